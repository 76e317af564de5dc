/* Synthetic NSD: a made-up subject whose data have the shape and the habits of the real ones, and a known truth.
 *
 *     experiment   who saw which image when            synth_design.c
 *     anatomy      brain, cortex, ROIs, baseline       synth_anatomy.c
 *     signal       images' latents, responses, HRF     synth_signal.c
 *     run          volume after volume of one run      synth_volume.c
 *     picture      what an image looks like            synth_picture.c
 *
 * Everything follows from (seed, subject, session, run, image): each has its own random stream, so that the numbers
 * do not depend on the order in which they are made. Only + - * / sqrt are used on the way to stored numbers.
 * Voxels are in the order of NIfTI files here: index x + X*(y + Y*z).
 */
#ifndef BM_OPS_SYNTH_H
#define BM_OPS_SYNTH_H

#include "core/error.h"
#include "core/series.h"
#include "ops/random.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BM_SYNTH_SUBJECTS 8
#define BM_SYNTH_SESSIONS 40
#define BM_SYNTH_RUNS 12                           /* task runs a session */
#define BM_SYNTH_SLOTS 75                          /* slots of 4 s a run; a trial or nothing in each */
#define BM_SYNTH_SESSION_TRIALS 750                /* 63 in odd task runs, 62 in even ones */
#define BM_SYNTH_TRIALS 30000                      /* 40 sessions */
#define BM_SYNTH_IMAGES 10000                      /* images of a subject, of which ... */
#define BM_SYNTH_SHARED 1000                       /* ... all subjects see these */
#define BM_SYNTH_ALL_IMAGES 73000                  /* of all subjects together: 1-based ids 1..73000 */
#define BM_SYNTH_LATENTS 8                         /* numbers that describe an image */
#define BM_SYNTH_CLASSES 8                         /* kinds of images */
#define BM_SYNTH_REGRESSORS (1 + BM_SYNTH_LATENTS) /* "an image is shown", and its latents */

/* ---- Facts and random streams (synth.c) ---- */

enum bm_synth_stream {
    BM_SYNTH_ANATOMY = 1,
    BM_SYNTH_WEIGHTS,
    BM_SYNTH_ORDERING,
    BM_SYNTH_PATTERN,
    BM_SYNTH_IDS,
    BM_SYNTH_CLASS,
    BM_SYNTH_IMAGE,
    BM_SYNTH_NOISE,
    BM_SYNTH_DRIFT,
    BM_SYNTH_MOTION,
    BM_SYNTH_LOST_SESSION,
    BM_SYNTH_LOST_RUN
};

/* The stream of one thing of a subject, session and run (0 where a thing has none). */
void bm_synth_random(struct bm_random *r, uint64_t seed, enum bm_synth_stream what, int subject, int session,
                     int run);
/* Sum of the 8 bytes of x: mean 1020, nearly Gaussian for uniform bits. */
static inline int bm_synth_byte_sum(uint64_t x)
{
    const uint64_t pairs = 0x00ff00ff00ff00ffu, ones = 0x0001000100010001u;

    return (int)((((x & pairs) + (x >> 8 & pairs)) * ones) >> 48);
}
/* Nearly Gaussian (sum of 16 uniform bytes): mean 0, variance 1, |value| < 7. Exact on every machine. */
double bm_synth_gauss(struct bm_random *r);

struct bm_synth_subject {
    int64_t dims[3];        /* func1pt8mm */
    int64_t dims1mm[3];     /* func1mm */
    int sessions;           /* 30, 32 or 40 */
    int rest_from, rest_to; /* sessions with a rest run before and after the task runs */
    int nsdgeneral;         /* voxels at 1.8 mm */
};
/* subject 1..8 */
const struct bm_synth_subject *bm_synth_subject(int subject);
bool bm_synth_has_rest(int subject, int session);
/* The subject's grid at 1.8 mm, or at 1 mm, with each axis scaled. */
void bm_synth_dims(int subject, bool fine, double scale, int64_t dims[3]);

/* ---- Experiment (synth_design.c) ---- */

struct bm_synth_experiment {
    uint16_t ordering[BM_SYNTH_TRIALS]; /* 1..10000; up to 1000 are the shared images */
    unsigned char pattern[BM_SYNTH_SESSIONS][BM_SYNTH_RUNS][BM_SYNTH_SLOTS]; /* 1: a trial */
    int32_t shared[BM_SYNTH_SHARED];                                         /* ids, ascending */
    int32_t images[BM_SYNTH_SUBJECTS][BM_SYNTH_IMAGES];                      /* ids; the shared ones first */
    size_t pool;     /* images a subject sees in the sessions that are written */
    size_t pictures; /* ids 1..pictures are all that these sessions use */
};

struct bm_synth_plan {
    bool subjects[BM_SYNTH_SUBJECTS + 1]; /* [1..8]: written or not */
    bool sessions[BM_SYNTH_SESSIONS + 1]; /* [1..40] */
    int runs;                             /* task runs written a session, 1..12 */
    size_t pictures;                      /* upper end of the ids to use; 0: as few as give three showings each */
};

/* Trials, blanks and ids of all 40 sessions and 8 subjects. The written sessions draw from a pool of images small
 * enough that images come back, three times on average with pictures = 0; the others share what is left. */
int bm_synth_experiment_make(struct bm_synth_experiment *e, uint64_t seed, const struct bm_synth_plan *plan,
                             struct bm_error *err) BM_MUST_USE;
/* Number of trials before task run `run` (1..12) of its session. */
size_t bm_synth_run_offset(int run);
/* One id (1-based) a row at onsets, else 0. task_run 0 is a rest run. rows may be fewer than a full run's. */
void bm_synth_design(const struct bm_synth_experiment *e, int subject, int session, int task_run, size_t slot_rows,
                     int32_t *design, size_t rows);
/* reps[73000][8][3]: 1-based trial numbers of the first three showings of each image to each subject; 0: none. */
void bm_synth_showings(const struct bm_synth_experiment *e, int32_t *reps);

/* ---- Anatomy (synth_anatomy.c) ---- */

enum { BM_SYNTH_NSDGENERAL, BM_SYNTH_GENERAL, BM_SYNTH_PRF, BM_SYNTH_STREAMS, BM_SYNTH_FACES, BM_SYNTH_ROIS };

struct bm_synth_roi {
    const char *name;
    size_t n;              /* labels 1..n */
    const char *labels[8]; /* names of 0..n */
    bool table;            /* NSD has a label table for it */
};
const struct bm_synth_roi *bm_synth_roi(int roi);

struct bm_synth_anatomy {
    struct bm_grid grid;
    size_t nmask, ncortex;
    uint32_t *mask;                       /* [nmask] voxels of the brain, ascending */
    float *baseline;                      /* [nmask] */
    float *noise_sd;                      /* [nmask] */
    uint32_t *cortex;                     /* [ncortex] positions in mask, ascending */
    unsigned char *right;                 /* [ncortex] 1: right hemisphere */
    unsigned char *labels[BM_SYNTH_ROIS]; /* [ncortex] 0: none */
    float *weights[BM_SYNTH_REGRESSORS];  /* [ncortex] response at the HRF's peak, in units of the data */
};

/* The grid of a subject's space with voxels of `mm`, centred on the origin, +x right, +y front, +z up. */
void bm_synth_grid(struct bm_grid *grid, const int64_t dims[3], double mm);
/* The subject's brain in `grid`; gain scales all responses. Clear it also after a failure. */
int bm_synth_anatomy_make(struct bm_synth_anatomy *a, const struct bm_grid *grid, uint64_t seed, int subject,
                          double gain, struct bm_error *err) BM_MUST_USE;
void bm_synth_anatomy_clear(struct bm_synth_anatomy *a);
/* Label volume of an ROI set: -1 not cortex, 0 no label, 1..n. hemisphere 'l' and 'r' give -1 to the other side,
 * 'b' is both. out has a sample a voxel of the grid. */
void bm_synth_roi_volume(const struct bm_synth_anatomy *a, int roi, char hemisphere, int16_t *out);

/* What is known about the cortex, in C order of (x, y, z). */
struct bm_synth_truth {
    int64_t *voxels;            /* [ncortex] (x*Y + y)*Z + z, ascending */
    float *weights;             /* [ncortex][9] */
    float *noise_sd, *baseline; /* [ncortex] */
};
/* Clear it also after a failure. */
int bm_synth_truth_make(struct bm_synth_truth *t, const struct bm_synth_anatomy *a, struct bm_error *err) BM_MUST_USE;
void bm_synth_truth_clear(struct bm_synth_truth *t);

/* ---- Signal (synth_signal.c) ---- */

/* Latents of image `id` (0-based), each of variance about 1. Returns its class, 0..7. */
int bm_synth_latents(uint64_t seed, int32_t id, float latents[BM_SYNTH_LATENTS]);
/* Response to one image `row` rows after its onset; peak 1 at 5 s. slot_rows is 3 (TR 4/3 s) or 4 (TR 1 s). */
double bm_synth_hrf(size_t slot_rows, size_t row);
size_t bm_synth_hrf_rows(size_t slot_rows);
/* Regressors of a run, volumes x 9: HRF-convolved onsets and latents of the design. */
void bm_synth_regressors(uint64_t seed, const int32_t *design, size_t rows, size_t slot_rows, float *out,
                         size_t volumes);
/* Fills a->weights. */
void bm_synth_weights(struct bm_synth_anatomy *a, uint64_t seed, int subject, double gain);
/* Head motion, volumes x 6: millimetres, then radians. */
void bm_synth_motion(uint64_t seed, int subject, int session, int run, double *out, size_t volumes);

/* ---- Run (synth_volume.c) ---- */

#define BM_SYNTH_AR 0.4f /* lag-1 autocorrelation of the noise */
#define BM_SYNTH_DRIFT_ORDER 3

/* One worker's memory, used for one run after another. */
struct bm_synth_run {
    const struct bm_synth_anatomy *anatomy;                    /* borrowed */
    size_t volume;                                             /* the next one */
    float gain;                                                /* of the baseline in this run */
    const float *regressors;                                   /* borrowed */
    float *noise, *drift[BM_SYNTH_DRIFT_ORDER], *row, *signal; /* [nmask], signal [ncortex] */
    unsigned char *lost;                                       /* [nmask] 1: zero throughout the run */
    int32_t *sum;                                              /* [nmask] over the volumes made so far */
    size_t volumes;
    struct bm_random random;
};

int bm_synth_run_init(struct bm_synth_run *run, const struct bm_synth_anatomy *a, struct bm_error *err) BM_MUST_USE;
void bm_synth_run_clear(struct bm_synth_run *run);
/* Starts a run; regressors (volumes x 9) must stay. */
void bm_synth_run_start(struct bm_synth_run *run, uint64_t seed, int subject, int session, int number,
                        const float *regressors, size_t volumes);
/* The next volume; out is a sample a voxel of the grid and zero outside the brain already. */
void bm_synth_run_volume(struct bm_synth_run *run, int16_t *out);

/* What is known about the samples of several runs. Zero-initialise. */
struct bm_synth_sums {
    size_t samples;      /* a voxel */
    int64_t *sum;        /* [nmask] */
    unsigned char *lost; /* [nmask] zero throughout any of the runs */
};
int bm_synth_sums_add(struct bm_synth_sums *s, const struct bm_synth_run *run, struct bm_error *err) BM_MUST_USE;
void bm_synth_sums_clear(struct bm_synth_sums *s);
/* The mean, and 1 where no run is lost; out is a sample a voxel of the grid and zero outside the brain already. */
void bm_synth_mean_volume(const struct bm_synth_anatomy *a, const struct bm_synth_sums *s, float *out);
void bm_synth_valid_volume(const struct bm_synth_anatomy *a, const struct bm_synth_sums *s, int16_t *out);

/* ---- Pictures (synth_picture.c) ---- */

#define BM_SYNTH_PICTURE 425 /* pixels a side, 3 colours */

/* A drawing of image `id` (0-based): its class gives the colour, its latents the shapes. 425 x 425 x 3 bytes. */
void bm_synth_picture(uint64_t seed, int32_t id, unsigned char *pixels);

#endif
