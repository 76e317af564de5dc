/* Tally: what the values of a matrix of voxels are, taken up block by block: range, mean, what is not finite, and
 * voxels that do not vary. Blocks of a column must come in order of time; otherwise any order will do. */
#ifndef BM_CORE_TALLY_H
#define BM_CORE_TALLY_H

#include "core/dtype.h"
#include "core/error.h"

#include <stddef.h>
#include <stdint.h>

struct bm_tally {
    size_t cols;
    double *first;        /* a column's first value; owned */
    unsigned char *state; /* of each column; owned */
    uint64_t samples, nonfinite;
    double min, max;
    long double sum; /* of the finite values */
};

/* What came out. min, max and mean are those of the finite values, and NaN where there are none. */
struct bm_tally_result {
    uint64_t samples, nonfinite;
    double min, max, mean;
    size_t nonfinite_cols; /* that hold a NaN or an infinite value */
    size_t zero_cols;      /* that are 0 throughout */
    size_t constant_cols;  /* that have one value other than 0 throughout */
};

int bm_tally_begin(struct bm_tally *t, size_t cols, struct bm_error *err) BM_MUST_USE;
/* rows x cols values (row-major) of the columns from `first` on. */
void bm_tally_add(struct bm_tally *t, size_t first, size_t rows, size_t cols, const double *values);
/* The same from samples: value = slope * sample + inter. `line` is scratch for `cols` doubles. */
void bm_tally_add_samples(struct bm_tally *t, size_t first, size_t rows, size_t cols, const void *samples,
                          enum bm_dtype dtype, double slope, double inter, double *line);
/* Ends the tally and frees what it held. */
struct bm_tally_result bm_tally_end(struct bm_tally *t);

#endif
