/* Rows of a matrix in memory (a mapped NAME.fmri.npy), gathered into a batch.
 *
 * The functions are called from Python through ctypes, which lets other Python threads run meanwhile; structures and
 * their order of members are repeated in python/boldmill/core.py. They may be called from several threads at once,
 * and after fork. Threads are started for one call and have ended when it returns.
 */
#ifndef BM_LOAD_ROWS_H
#define BM_LOAD_ROWS_H

#include "core/error.h"
#include "load/convert.h"

#include <stddef.h>
#include <stdint.h>

/* What is gathered from. */
struct bm_matrix {
    const void *data;    /* row_count x cols samples, one row behind the other */
    int64_t row_count;   /* >= 0 */
    int64_t cols;        /* >= 1 */
    enum bm_sample type; /* BM_SAMPLE_F16 or BM_SAMPLE_F32 */
};

/* Which rows and columns, and where they go. */
struct bm_batch {
    const int64_t *rows; /* n row numbers in any order, also repeated */
    int64_t n;
    const int64_t *columns; /* ncolumns column numbers in any order; NULL: all, and ncolumns = cols */
    int64_t ncolumns;
    void *out;           /* row i of the batch begins at out + i * stride */
    int64_t stride;      /* bytes; >= ncolumns samples of `type` */
    enum bm_sample type; /* of the batch */
};

/* Fills the batch. Row and column numbers outside the matrix are refused before anything is written. A value that is
 * finite and too large for the batch's type is an error, too; then the batch is filled all the same. `name` (the
 * matrix's file) opens the messages. threads >= 1; small batches take fewer. */
int bm_gather(const struct bm_matrix *m, const struct bm_batch *b, const char *name, int threads,
              struct bm_error *err) BM_MUST_USE;

/* The same, and each column of the batch is brought to mean 0 and standard deviation 1 (divisor n - 1, sums in
 * double, BM_ZSCORE of ops/standardise.h) before it is rounded to the batch's type. Constant columns become 0,
 * columns with a value that is not finite NaN. n >= 2. */
int bm_gather_standardised(const struct bm_matrix *m, const struct bm_batch *b, const char *name, int threads,
                           struct bm_error *err) BM_MUST_USE;

#endif
