/* Inputs: the files that this process has opened for reading, and whether they still are what they were.
 *
 * Who makes results from files that others may replace or write to must not give an old state's result a newer time
 * than the new state has: make and Snakemake would take it for up to date. So a program that makes one result calls
 * bm_inputs_watch: from then on each file is noted when it is opened, and before an output gets its name all of them
 * are looked at again (bm_commit_done does so).
 *
 * Any thread may call these. What was noted is kept until the process ends.
 */
#ifndef BM_IO_INPUTS_H
#define BM_IO_INPUTS_H

#include "core/error.h"

#include <stdbool.h>
#include <sys/stat.h>

void bm_inputs_watch(void);
/* A file has been opened for reading under this name, and is `st`. Anything but regular files is passed over, and
 * everything where nobody watches. */
int bm_inputs_note(const char *path, const struct stat *st, struct bm_error *err) BM_MUST_USE;
/* Whether this is a file that was noted. */
bool bm_inputs_has(const struct stat *st);
/* Fails where another file stands at a name that was noted, or the file was written to since. A name at which nothing
 * stands any more is fine. */
int bm_inputs_check(struct bm_error *err) BM_MUST_USE;

#endif
