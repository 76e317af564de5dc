/* Quality files: what boldqc finds in the runs of a session (layout: docs/formats.md).
 *
 *   NAME.json        runs, their time courses and counts, grid, voxels, provenance, checksums
 *   NAME.maps.npy    float32 [3, voxels]: mean, standard deviation and tSNR of each voxel over all runs
 *   NAME.carpet.npy  float16 [time points, chosen voxels]
 */
#ifndef BM_IO_QUALITYFILE_H
#define BM_IO_QUALITYFILE_H

#include "core/series.h"

enum { BM_MAP_MEAN, BM_MAP_SD, BM_MAP_TSNR, BM_MAPS };

/* What is known of a run; not finite means that it is not known. */
struct bm_quality_run {
    double mean, tsnr;            /* of its voxels: mean of the means, median of the tSNR */
    const double *signal, *dvars; /* at each time point: global signal, DVARS */
    const double *carpet;         /* rows x picks */
};

struct bm_qualityfile;

/* path: NAME.json, a regular file. */
struct bm_qualityfile *bm_qualityfile_open(const char *path, struct bm_error *err) BM_MUST_USE;
/* Adds a run whose counts are final; all must fit the first. picks: the columns of the carpet, the same for all. */
int bm_qualityfile_add(struct bm_qualityfile *f, const struct bm_run *run, const size_t *picks, size_t npicks,
                       const struct bm_quality_run *quality, struct bm_error *err) BM_MUST_USE;
/* Writes all and commits. maps: BM_MAPS x voxels. */
int bm_qualityfile_finish(struct bm_qualityfile *f, const double *maps, struct bm_error *err) BM_MUST_USE;
void bm_qualityfile_close(struct bm_qualityfile *f); /* without finish nothing is left; NULL is fine */

#endif
