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

#include "ops/panel.h"

enum bm_standard { BM_ZSCORE, BM_DEMEAN, BM_PSC };

/* Standardises w's samples into w->out, of the same shape; w->nothing counts the voxels that became 0. ddof < rows.
 * Scratch: bm_panel_size(w->rows) doubles. */
void bm_standardise(struct bm_work *w, enum bm_standard method, size_t ddof);

#endif
