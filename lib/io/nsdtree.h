/* The file tree of the Natural Scenes Dataset: writing the files of one, each at its place and atomically.
 *
 *     nsddata_timeseries/ppdata/subjAA/SPACE/{timeseries,design,motion}/KIND_sessionBB_runCC.{nii.gz,tsv}
 *     nsddata/ppdata/subjAA/SPACE/NAME.nii.gz           (brainmask, mean, valid_session01, roi/lh.streams ...)
 *     nsddata/freesurfer/subjAA/label/NAME.mgz.ctab
 *     nsddata/experiments/nsd/{nsd_expdesign.mat,nsd_stim_info_merged.csv}
 *     nsddata_stimuli/stimuli/nsd/nsd_stimuli.hdf5
 *     ground_truth/...                                  (ours: what the data were made from)
 *
 * Folders are made as needed. Safe for several threads as long as each writes its own files, but for the pictures.
 */
#ifndef BM_IO_NSDTREE_H
#define BM_IO_NSDTREE_H

#include "core/error.h"
#include "core/series.h"

#include <stddef.h>
#include <stdint.h>

struct bm_nsd_tree {
    const char *root;
    const char *space; /* "func1pt8mm" or "func1mm" */
};

struct bm_nsd_run {
    int subject, session, run;
    const char *task; /* NULL: "sessionBB_runCC"; else "TASK_runCC" */
};

/* One run's time series, volume by volume in file order (x fastest). close without finish leaves nothing. */
struct bm_nsd_series;
struct bm_nsd_series *bm_nsd_series_open(const struct bm_nsd_tree *tree, const struct bm_nsd_run *run,
                                         const struct bm_grid *grid, size_t volumes, double tr,
                                         struct bm_error *err) BM_MUST_USE;
int bm_nsd_series_put(struct bm_nsd_series *s, const int16_t *volume, struct bm_error *err) BM_MUST_USE;
int bm_nsd_series_finish(struct bm_nsd_series *s, struct bm_error *err) BM_MUST_USE;
void bm_nsd_series_close(struct bm_nsd_series *s); /* NULL is fine */

int bm_nsd_put_design(const struct bm_nsd_tree *tree, const struct bm_nsd_run *run, const int32_t *rows, size_t n,
                      struct bm_error *err) BM_MUST_USE;
/* n rows of three shifts in mm and three turns in radians */
int bm_nsd_put_motion(const struct bm_nsd_tree *tree, const struct bm_nsd_run *run, const double *rows, size_t n,
                      struct bm_error *err) BM_MUST_USE;

/* A volume `name` (without .nii.gz) of the subject's space: a sample a voxel, file order. */
int bm_nsd_put_volume(const struct bm_nsd_tree *tree, int subject, const char *name, const struct bm_grid *grid,
                      enum bm_dtype dtype, const void *samples, struct bm_error *err) BM_MUST_USE;
/* labels[0..n]: the names of 0..n */
int bm_nsd_put_ctab(const struct bm_nsd_tree *tree, int subject, const char *name, const char *const *labels,
                    size_t n, struct bm_error *err) BM_MUST_USE;

/* What the folders hold beside the main experiment, a few empty volumes each: *_prffloc_run01, *_nsdsynthetic_run01,
 * design_floc_run01. */
int bm_nsd_put_decoys(const struct bm_nsd_tree *tree, int subject, const struct bm_grid *grid, double tr,
                      struct bm_error *err) BM_MUST_USE;

/* nsd_expdesign.mat from row-major arrays: ordering[trials], shared[nshared], images[subjects][nimages],
 * pattern[sessions][runs][slots]. */
struct bm_nsd_expdesign {
    const uint16_t *ordering;
    const int32_t *shared, *images;
    const unsigned char *pattern;
    size_t trials, nshared, subjects, nimages, sessions, runs, slots;
};
int bm_nsd_put_expdesign(const struct bm_nsd_tree *tree, const struct bm_nsd_expdesign *e,
                         struct bm_error *err) BM_MUST_USE;
/* nsd_stim_info_merged.csv for ids 1..n. subjects: bit s of byte i says that subject s + 1 has image i among its
 * own; reps[n][8][3]: 1-based trials, 0 for none. An image of all eight is a shared one. */
int bm_nsd_put_stim_info(const struct bm_nsd_tree *tree, size_t n, const unsigned char *subjects, const int32_t *reps,
                         struct bm_error *err) BM_MUST_USE;
/* imgBrick: n pictures of side x side x 3; fill as bm_hdf5_write_pictures has it. */
int bm_nsd_put_pictures(const struct bm_nsd_tree *tree, size_t n, size_t side,
                        int (*fill)(void *self, size_t i, unsigned char *picture, struct bm_error *err), void *self,
                        struct bm_error *err) BM_MUST_USE;

/* ground_truth/NAME: a numeric array, or text. */
int bm_nsd_put_truth(const struct bm_nsd_tree *tree, const char *name, enum bm_dtype dtype, size_t ndim,
                     const size_t *shape, const void *data, struct bm_error *err) BM_MUST_USE;
int bm_nsd_put_truth_text(const struct bm_nsd_tree *tree, const char *name, const char *text,
                          struct bm_error *err) BM_MUST_USE;

#endif
