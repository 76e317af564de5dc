/* What was meant by an option that does not exist. */
#ifndef BM_TYPOS_H
#define BM_TYPOS_H

#include "cli.h"

/* The option of a table (which ends with a NULL name) whose name the first n letters of `word` are the beginning of,
 * or become by changing two of them (one, where there are three). NULL where there is none, or n is below 3. Options
 * without a help text are hidden. */
const struct cli_option *cli_like(const struct cli_option *table, const char *word, size_t n);

#endif
