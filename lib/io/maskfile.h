/* Mask files: the values of a mask, label or statistic volume. A NIfTI volume, or a .npy array of real numbers or
 * booleans, of the grid's shape (X, Y, Z) or flat in C order; it has no affine, so only its size is checked. */
#ifndef BM_IO_MASKFILE_H
#define BM_IO_MASKFILE_H

#include "core/series.h"

struct bm_maskfile {
    struct bm_grid grid;
    double *values; /* one a voxel, C order, scaled; owned */
    uint64_t bytes; /* of the file (decoded), and their CRC-32 */
    uint32_t crc32;
};

/* expected, if not NULL, must fit: otherwise the error shows both grids. A .npy file needs it, and takes it over. */
int bm_maskfile_read(const char *path, const struct bm_grid *expected, struct bm_maskfile *out,
                     struct bm_error *err) BM_MUST_USE;
void bm_maskfile_clear(struct bm_maskfile *m);
/* Does the name end in .npy? (Such a mask has no grid of its own.) */
bool bm_maskfile_is_npy(const char *path);

#endif
