/* Inputs that are pipes: copied to a temporary file where they must be read twice. */
#ifndef BM_SPOOL_H
#define BM_SPOOL_H

#include "core/error.h"

#include <stdbool.h>

struct bm_commit;

/* Is `path` standard input ("-") or a named pipe? */
bool cli_is_pipe(const char *path);
/* The pipe's content in a temporary file, which bm_commit_drop (or the end of the process) removes; its name is
 * bm_commit_temp. NULL on failure. */
struct bm_commit *cli_spool(const char *path, struct bm_error *err) BM_MUST_USE;

#endif
