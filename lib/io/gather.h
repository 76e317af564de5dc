/* Gathering: the wanted voxels of a volume, from the file's order (x fastest) into a run's tiles.
 *
 * A volume in the file is x-fastest, columns are z-fastest, so this is a transposition of a masked volume. Voxels
 * that follow each other along z form segments; they are visited with x innermost, so that each cache line of the
 * volume is used up while it is near, and written one after the other.
 */
#ifndef BM_IO_GATHER_H
#define BM_IO_GATHER_H

#include "core/series.h"

struct bm_gather;

/* Runs of `rows` time points with tiles of tile_cols columns, all tiles rows x tile_cols one after the other (the
 * last one padded). `background`: also prepare to check the voxels that are not wanted. */
struct bm_gather *bm_gather_make(const struct bm_grid *grid, const int64_t *voxels, size_t n, size_t rows,
                                 size_t tile_cols, bool background, struct bm_error *err) BM_MUST_USE;
void bm_gather_free(struct bm_gather *g); /* NULL is fine */
/* Volume t into the tiles. */
void bm_gather_volume(const struct bm_gather *g, void *tiles, const void *volume, size_t t, enum bm_dtype dtype);
/* Is any voxel that is not wanted different from zero (or NaN)? */
bool bm_gather_outside(const struct bm_gather *g, const void *volume, enum bm_dtype dtype);

/* Marks in flags (C order) the voxels of a volume (file order) that are not zero. */
void bm_mark_nonzero(const struct bm_grid *grid, const void *volume, enum bm_dtype dtype, bool *flags);

#endif
