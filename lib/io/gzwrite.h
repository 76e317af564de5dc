/* gzip output: one member, written to a commit. Deflates fast (ISA-L level 1, or zlib level 1); the bytes depend
 * only on the input. */
#ifndef BM_IO_GZWRITE_H
#define BM_IO_GZWRITE_H

#include "io/commit.h"

struct bm_gzwrite;
struct bm_gzwrite *bm_gzwrite_open(struct bm_commit *c, struct bm_error *err) BM_MUST_USE; /* borrows c */
int bm_gzwrite(struct bm_gzwrite *z, const void *data, size_t n, struct bm_error *err) BM_MUST_USE;
int bm_gzwrite_finish(struct bm_gzwrite *z, struct bm_error *err) BM_MUST_USE; /* writes the trailer; then close */
void bm_gzwrite_close(struct bm_gzwrite *z);                                   /* NULL is fine */

#endif
