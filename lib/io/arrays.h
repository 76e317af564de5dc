/* ROI arrays: what models train on.
 *
 *   NAME.fmri.npy  rows x voxels, C order, float32 or float16, data from byte 4096 on (page-aligned for mmap)
 *   NAME.meta.npy  one structured row a time point (bm_rows), where the runs carry metadata
 *   NAME.json      grid, voxels, row ranges of runs and sessions, counts, provenance, checksums
 *
 * All runs must have the same voxels and grid. One run at a time is held in memory.
 */
#ifndef BM_IO_ARRAYS_H
#define BM_IO_ARRAYS_H

#include "core/series.h"

/* path: NAME.fmri.npy, or NAME.npy. dtype: BM_F32 or BM_F16. */
struct bm_sink *bm_arrays_sink(const char *path, enum bm_dtype dtype, struct bm_error *err) BM_MUST_USE;

#endif
