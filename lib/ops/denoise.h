/* Cleaning a run by least squares and filters: trend, drifts, confounds, band-pass, volumes left out.
 *
 * The order is nilearn's (signal.clean, 0.13):
 *   1. cosine drifts are made for the whole scan and join the confounds;
 *   2. rows that are not kept go; with a Butterworth filter they are interpolated instead (ops/spline.h), and go
 * after step 4;
 *   3. the polynomial trend is taken out of data and confounds. Its time is the number of the row among those that
 *      are there at this step, as nilearn has it;
 *   4. the Butterworth filter (ops/butterworth.h) goes over data and confounds;
 *   5. what is left of the confounds is centred, scaled, and projected out of the data.
 * Without a Butterworth filter steps 3 and 5 are one projection on one orthonormal basis (ops/basis.h).
 *
 * What is left of a voxel and is numerically nothing beside its own largest value (bm_panel_nothing) becomes exactly
 * 0: a constant voxel does not turn into amplified rounding noise in a later z-score.
 */
#ifndef BM_OPS_DENOISE_H
#define BM_OPS_DENOISE_H

#include "core/error.h"
#include "ops/panel.h"

#include <stdbool.h>
#include <stddef.h>

struct bm_denoise_settings {
    int order;                  /* of the polynomial, to BM_MAX_ORDER; -1: none */
    double high_pass, low_pass; /* Hz; 0: none */
    bool butterworth;    /* filters by Butterworth; otherwise high_pass makes cosine drifts, low_pass is not used */
    size_t filter_order; /* 1..BM_MAX_FILTER_ORDER */
    bool drop_ends;      /* Butterworth: rows before the first kept one and after the last are not extrapolated */
    bool keep_mean;      /* put the mean back that was taken away */
};

/* A run as it comes. */
struct bm_denoise_run {
    const char *label;       /* for messages */
    double tr;               /* seconds */
    size_t volumes;          /* of the scan */
    size_t rows;             /* of the tiles */
    const size_t *keep;      /* numbers of the rows to keep, ascending; NULL: all */
    const size_t *at;        /* the volume that each kept row is, ascending; NULL: row i is volume i */
    size_t kept;             /* rows to keep */
    const double *confounds; /* volumes x ncols, row-major; finite at the kept rows, the others are not looked at */
    size_t ncols;
};

struct bm_denoise; /* what all tiles of a run have in common */

/* Plans a run. NULL on failure: rows too few for what is to be taken out of them, edges not below half the sampling
 * rate, no memory. Messages name command-line options of `denoise`. */
struct bm_denoise *bm_denoise_plan(const struct bm_denoise_settings *settings, const struct bm_denoise_run *run,
                                   struct bm_error *err) BM_MUST_USE;
void bm_denoise_free(struct bm_denoise *d); /* NULL is fine */

size_t bm_denoise_regressors(const struct bm_denoise *d); /* columns taken out beside the polynomial */
size_t bm_denoise_dropped(const struct bm_denoise *d);    /* confounds and drifts left out: nothing new in them */

/* Cleans w's samples into w->out, which has as many rows as were kept. w->nothing counts the voxels that became 0 (or
 * their mean, where that is put back). Thread-safe. */
size_t bm_denoise_scratch(const struct bm_denoise *d); /* doubles */
void bm_denoise(const struct bm_denoise *d, struct bm_work *w);

#endif
