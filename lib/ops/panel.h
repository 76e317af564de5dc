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

/* Samples in and out of a block: columns [first, first + n) of a rows x cols matrix. */
struct bm_panel {
    size_t rows, n;
    double *y; /* rows x BM_PANEL */
};

/* Doubles of scratch that a kernel call needs for tiles of `rows` rows. */
size_t bm_panel_scratch(size_t rows);
/* Loads columns [first, first+n), n <= BM_PANEL, as slope * sample + inter. */
void bm_panel_load(struct bm_panel *p, const void *data, enum bm_dtype dtype, size_t rows, size_t cols, size_t first,
                   double slope, double inter);
/* Stores the panel as `dtype` (a float type) into columns [first, first+n) of a rows x cols matrix. false: a finite
 * value is too large for that type. */
bool bm_panel_store(const struct bm_panel *p, void *data, enum bm_dtype dtype, size_t cols, size_t first);
/* Largest absolute value of each column; NaN where the column holds a sample that is not finite. */
void bm_panel_scale(const struct bm_panel *p, double scale[BM_PANEL]);
/* Columns so large or small that their squares would overflow or vanish come near 1 by a power of two, and `scale`
 * with them; unit[c] undoes it and is 1 for all others. false: there was no such column. */
bool bm_panel_tame(struct bm_panel *p, double scale[BM_PANEL], double unit[BM_PANEL]);
/* Each column times its factor; never gives -0. */
void bm_panel_multiply(struct bm_panel *p, const double factor[BM_PANEL]);
/* Number of samples that are not finite; `scale` as bm_panel_scale gave it. */
uint64_t bm_panel_nonfinite(const struct bm_panel *p, const double scale[BM_PANEL]);
/* The root mean square below which what is left of a voxel is rounding noise, relative to its largest value:
 * 2^-22 for float16 and float32 samples, 1e-12 for all others. */
double bm_panel_nothing(enum bm_dtype dtype);

#endif
