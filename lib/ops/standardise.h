/* Standardising: each voxel's time series to z-scores, deviations or percent signal change.
 *
 *   BM_ZSCORE  (y - mean) / sd, sd with divisor rows - ddof: ddof 1 is nilearn's "zscore_sample", 0 its "zscore"
 *   BM_DEMEAN  y - mean
 *   BM_PSC     100 (y - mean) / |mean|: percent signal change, nilearn's "psc"
 *
 * Constant voxels (deviation numerically nothing relative to the voxel's own scale, bm_panel_nothing) become 0, as do
 * voxels without a mean for BM_PSC; both are counted.
 */
#ifndef BM_OPS_STANDARDISE_H
#define BM_OPS_STANDARDISE_H

#include "core/dtype.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum bm_standard { BM_ZSCORE, BM_DEMEAN, BM_PSC };

struct bm_standardise_found {
    uint64_t constant;  /* voxels that became 0 */
    bool overflow;      /* a finite value was too large for out_dtype and became infinite */
    uint64_t nonfinite; /* samples that were NaN or infinite; such a voxel becomes NaN throughout */
};

/* rows x cols samples (value = slope * sample + inter) to `out`, same shape, of the float type out_dtype. `out` may
 * be `data` only where the types have the same size. ddof < rows. scratch: bm_panel_scratch(rows) doubles. */
void bm_standardise(void *out, enum bm_dtype out_dtype, const void *data, enum bm_dtype dtype, double slope,
                    double inter, size_t rows, size_t cols, enum bm_standard method, size_t ddof, double *scratch,
                    struct bm_standardise_found *found);

#endif
