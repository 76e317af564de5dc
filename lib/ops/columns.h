/* Columns: which voxels of a run make which columns of another. */
#ifndef BM_OPS_COLUMNS_H
#define BM_OPS_COLUMNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BM_NO_COLUMN SIZE_MAX

/* map[i] = the position of want[i] in have, or BM_NO_COLUMN. Both ascend. Returns how many are absent. */
size_t bm_columns_map(size_t *map, const int64_t *want, size_t nwant, const int64_t *have, size_t nhave);

/* Copies into columns [first, first + n) of a rows x out_cols matrix those wanted columns that a tile holds: the
 * tile's columns are [in_first, in_first + in_cols) of the run, map[0..n) belongs to the output columns. */
void bm_columns_gather(void *out, size_t out_cols, size_t first, size_t n, const size_t *map, const void *in,
                       size_t in_first, size_t in_cols, size_t rows, size_t itemsize);

/* flags[i] for grid voxels to the ascending list of those set; voxels must have room for them. Returns their number.
 */
size_t bm_columns_list(int64_t *voxels, const bool *flags, size_t n);

#endif
