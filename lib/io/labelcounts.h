/* Label counts: which whole numbers a volume holds, and in how many voxels. NaN is no label and passed over. */
#ifndef BM_IO_LABELCOUNTS_H
#define BM_IO_LABELCOUNTS_H

#include "core/error.h"

#include <stddef.h>
#include <stdint.h>

#define BM_MOST_LABELS 1000 /* a volume with more different values is no label volume */

struct bm_label_count {
    int64_t value;
    size_t voxels;
};
struct bm_label_counts {
    struct bm_label_count *items; /* ascending value; owned */
    size_t n;                     /* 0: the values are not all whole numbers, or too many */
};

int bm_label_counts(const double *values, size_t n, struct bm_label_counts *out, struct bm_error *err) BM_MUST_USE;
void bm_label_counts_clear(struct bm_label_counts *c);

#endif
