/* Panels: how the cleaning kernels see a tile.
 *
 * A kernel works on blocks of BM_PANEL columns as doubles (a rows x BM_PANEL panel in the caller's scratch memory,
 * short blocks padded with zeros). Each column is summed over time in the same order whatever its place in the
 * block, so its result does not depend on which other voxels travel with it: masking first and masking last give
 * the same bits.
 */
#ifndef BM_OPS_PANEL_H
#define BM_OPS_PANEL_H

#include "core/dtype.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BM_PANEL 64

/* What a cleaning kernel is given, and what it tells. */
struct bm_work {
    const void *data; /* rows x cols samples; value = slope * sample + inter */
    enum bm_dtype dtype;
    double slope, inter;
    size_t rows, cols;
    void *out; /* as many columns, of the float type out_dtype; may be `data` only where both types have one size */
    enum bm_dtype out_dtype;
    bool zero;       /* a sample that is not finite becomes the value 0; otherwise its voxel becomes NaN throughout */
    double *scratch; /* as many doubles as the kernel says */
    /* Set by the kernel: */
    uint64_t nothing;   /* voxels of which numerically nothing is left, and which became 0 */
    uint64_t nonfinite; /* samples that were NaN or infinite */
    bool overflow;      /* a finite value was too large for out_dtype and became infinite */
};

/* Samples in and out of a block: columns [first, first + n) of a rows x cols matrix. */
struct bm_panel {
    size_t rows, n;
    double *y; /* rows x BM_PANEL */
};

/* Doubles of a panel of `rows` rows. */
size_t bm_panel_size(size_t rows);
/* Loads the block at column `first`, samples as they are: the n rows of the work whose numbers are in `keep` (NULL:
 * all, n = w->rows). */
void bm_panel_load(struct bm_panel *p, const struct bm_work *w, size_t first, const size_t *keep, size_t n);
/* Stores the panel into the block at column `first` of w->out; sets w->overflow where a finite value is too large. */
void bm_panel_store(const struct bm_panel *p, struct bm_work *w, size_t first);
/* Largest absolute value of each column; NaN where the column holds a sample that is not finite. Counts those samples
 * in w->nonfinite; with w->zero they become `zero`, and no scale is NaN. */
void bm_panel_scale(struct bm_panel *p, struct bm_work *w, double zero, double scale[BM_PANEL]);
/* Columns so large or small that their squares would overflow or vanish come near 1 by a power of two, and `scale`
 * with them; unit[c] undoes it and is 1 for all others. false: there was no such column. */
bool bm_panel_tame(struct bm_panel *p, double scale[BM_PANEL], double unit[BM_PANEL]);
/* Each column times its factor; never gives -0. */
void bm_panel_multiply(struct bm_panel *p, const double factor[BM_PANEL]);
/* All values become slope * value + inter. */
void bm_panel_line(struct bm_panel *p, double slope, double inter);
/* The mean of each column. */
void bm_panel_means(const struct bm_panel *p, double mean[BM_PANEL]);
/* The root mean square below which what is left of a voxel is rounding noise, relative to its largest value:
 * 2^-22 for float16 and float32 samples, 1e-12 for all others. */
double bm_panel_nothing(enum bm_dtype dtype);

#endif
