/* MAT-files, level 5: writing double matrices, uncompressed (MATLAB, "MAT-File Format", level 5; little-endian). */
#ifndef BM_IO_MAT5_H
#define BM_IO_MAT5_H

#include "core/error.h"

#include <stddef.h>

#define BM_MAT5_MAX_DIMS 3

struct bm_mat5_matrix {
    const char *name; /* at most 63 bytes */
    size_t ndims;     /* 2 or 3 */
    size_t dims[BM_MAT5_MAX_DIMS];
    const double *data; /* first index fastest */
};

/* Writes the matrices to path, atomically. The file has no date: same matrices, same bytes. */
int bm_mat5_write(const char *path, const struct bm_mat5_matrix *matrices, size_t n,
                  struct bm_error *err) BM_MUST_USE;

#endif
