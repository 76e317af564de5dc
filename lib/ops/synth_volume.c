#include "ops/synth.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK 1024           /* voxels whose noise is drawn at a time */
#define BYTES_SD 209.02153f  /* of the sum of 8 uniform bytes: sqrt(8 (256^2 - 1) / 12) */
#define LOST_IN_SESSION 4096 /* one voxel in so many, beside those outside the field of view */
#define LOST_IN_RUN 8192
#define FIELD_OF_VIEW 1.17 /* a corner of the head beyond this is not scanned; the head's own radius is 0.89 */

/* Drift of each order in units of the noise sd. */
static const double drift_sd[BM_SYNTH_DRIFT_ORDER] = {1.2, 0.6, 0.3};

int bm_synth_run_init(struct bm_synth_run *run, const struct bm_synth_anatomy *a, struct bm_error *err)
{
    bool ok;

    memset(run, 0, sizeof *run);
    run->anatomy = a;
    run->noise = bm_alloc(a->nmask, sizeof *run->noise, "noise", err);
    run->row = bm_alloc(a->nmask, sizeof *run->row, "volume", err);
    run->signal = bm_alloc(a->ncortex, sizeof *run->signal, "signal", err);
    run->lost = bm_alloc(a->nmask, 1, "lost voxels", err);
    run->sum = bm_alloc(a->nmask, sizeof *run->sum, "mean", err);
    ok = run->noise && run->row && run->signal && run->lost && run->sum;
    for (int i = 0; i < BM_SYNTH_DRIFT_ORDER; i++) {
        run->drift[i] = bm_alloc(a->nmask, sizeof *run->drift[i], "drift", err);
        ok = ok && run->drift[i];
    }
    return ok ? 0 : -1;
}

void bm_synth_run_clear(struct bm_synth_run *run)
{
    free(run->noise);
    free(run->row);
    free(run->signal);
    free(run->lost);
    free(run->sum);
    for (int i = 0; i < BM_SYNTH_DRIFT_ORDER; i++)
        free(run->drift[i]);
    memset(run, 0, sizeof *run);
}

/* ---- Voxels that are zero throughout ---- */

static void lose_scattered(struct bm_synth_run *run, struct bm_random *r, uint64_t one_in)
{
    for (size_t i = 0; i < run->anatomy->nmask; i++)
        run->lost[i] |= bm_random_below(r, one_in) == 0;
}

/* One voxel of nsdgeneral, so that small datasets have constant columns too. */
static void lose_in_roi(struct bm_synth_run *run, struct bm_random *r)
{
    const struct bm_synth_anatomy *a = run->anatomy;
    size_t i = (size_t)bm_random_below(r, a->ncortex);

    while (!a->labels[BM_SYNTH_NSDGENERAL][i])
        i = (i + 1) % a->ncortex;
    run->lost[a->cortex[i]] = 1;
}

/* The head touches the edge of the field of view at one lower or upper corner. */
static void lose_corner(struct bm_synth_run *run, struct bm_random *r)
{
    const int64_t *dims = run->anatomy->grid.dims;
    uint64_t corner = bm_random_below(r, 4);
    double side = corner & 1 ? 1 : -1, up = corner & 2 ? 1 : -1;

    for (size_t i = 0; i < run->anatomy->nmask; i++) {
        int64_t voxel = run->anatomy->mask[i], x = voxel % dims[0], z = voxel / dims[0] / dims[1];
        double u = (double)(2 * x + 1 - dims[0]) / (double)dims[0];
        double w = (double)(2 * z + 1 - dims[2]) / (double)dims[2];

        run->lost[i] |= side * u + up * w > FIELD_OF_VIEW;
    }
}

static void lose_voxels(struct bm_synth_run *run, uint64_t seed, int subject, int session, int number)
{
    struct bm_random r;

    memset(run->lost, 0, run->anatomy->nmask);
    bm_synth_random(&r, seed, BM_SYNTH_LOST_SESSION, subject, session, 0);
    lose_corner(run, &r);
    lose_in_roi(run, &r);
    lose_scattered(run, &r, LOST_IN_SESSION);
    bm_synth_random(&r, seed, BM_SYNTH_LOST_RUN, subject, session, number);
    if (number == 2)
        lose_in_roi(run, &r);
    lose_scattered(run, &r, LOST_IN_RUN);
}

/* ---- Start ---- */

static void draw_drift(struct bm_synth_run *run, uint64_t seed, int subject, int session, int number)
{
    const struct bm_synth_anatomy *a = run->anatomy;
    struct bm_random r;

    bm_synth_random(&r, seed, BM_SYNTH_DRIFT, subject, session, number);
    run->gain = (float)(1 + 0.01 * bm_synth_gauss(&r));
    for (int k = 0; k < BM_SYNTH_DRIFT_ORDER; k++) {
        float sd = (float)drift_sd[k] / BYTES_SD;

        for (size_t i = 0; i < a->nmask; i++)
            run->drift[k][i] = (float)(bm_synth_byte_sum(bm_random_next(&r)) - 1020) * sd * a->noise_sd[i];
    }
}

void bm_synth_run_start(struct bm_synth_run *run, uint64_t seed, int subject, int session, int number,
                        const float *regressors, size_t volumes)
{
    const struct bm_synth_anatomy *a = run->anatomy;

    run->volume = 0;
    run->volumes = volumes;
    run->regressors = regressors;
    memset(run->sum, 0, a->nmask * sizeof *run->sum);
    lose_voxels(run, seed, subject, session, number);
    draw_drift(run, seed, subject, session, number);
    bm_synth_random(&run->random, seed, BM_SYNTH_NOISE, subject, session, number);
    for (size_t i = 0; i < a->nmask; i++)
        run->noise[i] = (float)(bm_synth_byte_sum(bm_random_next(&run->random)) - 1020) / BYTES_SD * a->noise_sd[i];
}

/* ---- One volume ---- */

static void step_noise(struct bm_synth_run *run)
{
    const float *restrict sd = run->anatomy->noise_sd;
    float *restrict noise = run->noise;
    float scale = sqrtf(1 - BM_SYNTH_AR * BM_SYNTH_AR) / BYTES_SD;
    struct bm_random random = run->random;
    int draws[BLOCK];

    for (size_t first = 0; first < run->anatomy->nmask; first += BLOCK) {
        const size_t left = run->anatomy->nmask - first, n = left < BLOCK ? left : BLOCK;

        for (size_t i = 0; i < n; i++)
            draws[i] = bm_synth_byte_sum(bm_random_next(&random)) - 1020;
        for (size_t i = 0; i < n; i++)
            noise[first + i] = BM_SYNTH_AR * noise[first + i] + (float)draws[i] * scale * sd[first + i];
    }
    run->random = random;
}

/* Baseline, drift and noise; t runs from -1 to 1. */
static void fill_row(struct bm_synth_run *run)
{
    const float *restrict baseline = run->anatomy->baseline, *restrict noise = run->noise;
    const float *restrict d1 = run->drift[0], *restrict d2 = run->drift[1], *restrict d3 = run->drift[2];
    double t = run->volumes > 1 ? 2 * (double)run->volume / (double)(run->volumes - 1) - 1 : 0;
    float p1 = (float)t, p2 = (float)((3 * t * t - 1) / 2), p3 = (float)((5 * t * t * t - 3 * t) / 2);
    float *restrict row = run->row;
    float gain = run->gain;

    for (size_t i = 0; i < run->anatomy->nmask; i++)
        row[i] = baseline[i] * gain + noise[i] + p1 * d1[i] + p2 * d2[i] + p3 * d3[i];
}

static void add_signal(struct bm_synth_run *run)
{
    const struct bm_synth_anatomy *a = run->anatomy;
    const float *x = run->regressors + run->volume * BM_SYNTH_REGRESSORS;
    float *restrict signal = run->signal;

    memset(signal, 0, a->ncortex * sizeof *signal);
    for (size_t k = 0; k < BM_SYNTH_REGRESSORS; k++) {
        const float *restrict weights = a->weights[k];
        float height = x[k];

        for (size_t i = 0; i < a->ncortex; i++)
            signal[i] += height * weights[i];
    }
    for (size_t i = 0; i < a->ncortex; i++)
        run->row[a->cortex[i]] += signal[i];
}

static void store_row(struct bm_synth_run *run, int16_t *out)
{
    const struct bm_synth_anatomy *a = run->anatomy;

    for (size_t i = 0; i < a->nmask; i++) {
        float value = run->row[i];
        int sample;

        value = value < 0 ? 0 : value;
        value = value > INT16_MAX ? INT16_MAX : value;
        sample = run->lost[i] ? 0 : (int)(value + 0.5f);
        run->sum[i] += sample;
        out[a->mask[i]] = (int16_t)sample;
    }
}

void bm_synth_run_volume(struct bm_synth_run *run, int16_t *out)
{
    step_noise(run);
    fill_row(run);
    add_signal(run);
    store_row(run, out);
    run->volume++;
}

/* ---- Over several runs ---- */

int bm_synth_sums_add(struct bm_synth_sums *s, const struct bm_synth_run *run, struct bm_error *err)
{
    size_t n = run->anatomy->nmask;

    if (!s->sum)
        s->sum = bm_calloc(n, sizeof *s->sum, "session mean", err);
    if (!s->lost)
        s->lost = bm_calloc(n, 1, "valid voxels", err);
    if (!s->sum || !s->lost)
        return -1;
    for (size_t i = 0; i < n; i++) {
        s->sum[i] += run->sum[i];
        s->lost[i] |= run->lost[i];
    }
    s->samples += run->volume;
    return 0;
}

void bm_synth_sums_clear(struct bm_synth_sums *s)
{
    free(s->sum);
    free(s->lost);
    memset(s, 0, sizeof *s);
}

void bm_synth_mean_volume(const struct bm_synth_anatomy *a, const struct bm_synth_sums *s, float *out)
{
    for (size_t i = 0; i < a->nmask; i++)
        out[a->mask[i]] = (float)((double)s->sum[i] / (double)s->samples);
}

void bm_synth_valid_volume(const struct bm_synth_anatomy *a, const struct bm_synth_sums *s, int16_t *out)
{
    for (size_t i = 0; i < a->nmask; i++)
        out[a->mask[i]] = !s->lost[i];
}
