/* Inputs that another program brings: its words, and behind them the name of what is wanted. */
#ifndef BM_READER_H
#define BM_READER_H

#include "cli.h"
#include "io/bytes.h"

/* Starts the program `words` with `name` as its last word (no shell) and reads what it writes to standard output.
 * That it ends with another status than 0 is a failure of the reading. It is waited for when its output has been
 * read, or is closed; a program that is still at work then gets SIGTERM. Any thread. */
struct bm_bytes *cli_reader_open(const struct cli_list *words, const char *name, struct bm_error *err) BM_MUST_USE;
/* Ends all programs that are still at work, and starts no more: whoever waits for one of them sees its pipe end. */
void cli_reader_stop(void);

#endif
