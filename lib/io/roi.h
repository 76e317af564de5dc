/* ROIs: which voxels of a grid a mask file selects.
 *
 * A NIfTI volume selects what is > 0, or the voxels whose value is one of `labels`. A .npy file is a boolean or
 * integer array of the grid's shape (X, Y, Z) or flat in C order; it has no affine, so only its size is checked.
 */
#ifndef BM_IO_ROI_H
#define BM_IO_ROI_H

#include "core/series.h"

/* labels: numbers to select, or NULL with n = 0 for "> 0". On success *flags (one a voxel, C order) is the caller's,
 * and *grid is the volume's grid; a .npy file takes over the grid in `expected`. expected, if not NULL, must fit:
 * otherwise the error shows both grids. A .npy file needs it. */
int bm_roi_read(const char *path, const int64_t *labels, size_t nlabels, const struct bm_grid *expected,
                struct bm_grid *grid, bool **flags, struct bm_error *err) BM_MUST_USE;
/* Does the name end in .npy? (Such a mask has no grid of its own.) */
bool bm_roi_is_npy(const char *path);

#endif
