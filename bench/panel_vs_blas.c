/* Taking k columns out of a tile: the panel kernel beside BLAS products (Y -= Q (Q' Y)). Prints the time of the whole
 * cleaning and of the projection alone, of each in float32 and float64, the error of each against long double, and
 * whether a column's bits change with the tile's width. Needs a CBLAS (Debian: libopenblas-dev), which nothing else
 * in the project does: make bench-blas. */
#include "ops/basis.h"
#include "ops/denoise.h"

#include <cblas.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { T = 225, B = 1024, MOST = 60, ROUNDS = 9, REPEATS = 40 };

static int16_t in[T * B], part[T * B];
static float whole[T * B], piece[T * B], ours[T * B], q32[T * MOST], c32[MOST * B];
static double values[T * B], q64[T * MOST], c64[MOST * B], panel[T * BM_PANEL], confounds[T * MOST];
static double *scratch;
static struct bm_denoise *plan;

static double now(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- what is compared ---- */

static void clean(float *out, const int16_t *from, int cols)
{
    struct bm_work w = {.data = from, .dtype = BM_I16, .slope = 1.0, .rows = T, .cols = (size_t)cols, .out = out};

    w.out_dtype = BM_F32;
    w.scratch = scratch;
    bm_denoise(plan, &w);
}

static void clean_sgemm(float *out, const int16_t *from, int cols, int k)
{
    for (int i = 0; i < T * cols; i++)
        out[i] = (float)from[i];
    cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, k, cols, T, 1.0f, q32, k, out, cols, 0.0f, c32, cols);
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, T, cols, k, -1.0f, q32, k, c32, cols, 1.0f, out, cols);
}

static void clean_dgemm(float *out, const int16_t *from, int cols, int k)
{
    for (int i = 0; i < T * cols; i++)
        values[i] = (double)from[i];
    cblas_dgemm(CblasRowMajor, CblasTrans, CblasNoTrans, k, cols, T, 1.0, q64, k, values, cols, 0.0, c64, cols);
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, T, cols, k, -1.0, q64, k, c64, cols, 1.0, values, cols);
    for (int i = 0; i < T * cols; i++)
        out[i] = (float)values[i];
}

static void clean_ours(float *out, const int16_t *from, int cols, int k)
{
    (void)k;
    clean(out, from, cols);
}

/* The products alone, on values that stay where they are: a tile is 16 panels. */
static void project(float *out, const int16_t *from, int cols, int k)
{
    struct bm_panel p = {.rows = T, .n = BM_PANEL, .y = panel};

    (void)out;
    (void)from;
    for (int c = 0; c < cols; c += BM_PANEL)
        bm_project_out(&p, q64, (size_t)k, scratch);
}

typedef void cleaner(float *out, const int16_t *from, int cols, int k);

/* The best of ROUNDS, in microseconds a tile. */
static double time_of(cleaner *f, float *out, int k)
{
    double best = INFINITY;

    for (int i = 0; i < ROUNDS; i++) {
        double start = now();

        for (int r = 0; r < REPEATS; r++)
            f(out, in, B, k);
        best = fmin(best, (now() - start) / REPEATS);
    }
    return 1e6 * best;
}

/* ---- how right it is ---- */

static double worst(const float *out, int k)
{
    double most = 0.0;

    for (int c = 0; c < B; c += 37) {
        long double along[MOST] = {0};

        for (int t = 0; t < T; t++) {
            for (int j = 0; j < k; j++)
                along[j] += (long double)q64[t * k + j] * in[t * B + c];
        }
        for (int t = 0; t < T; t++) {
            long double r = in[t * B + c];

            for (int j = 0; j < k; j++)
                r -= along[j] * (long double)q64[t * k + j];
            most = fmax(most, fabs((double)(r - (long double)out[t * B + c])));
        }
    }
    return most;
}

/* Rows (of 10 T) whose bits differ when the first n columns come alone. */
static int changes(cleaner *f, const float *all, int k)
{
    int changed = 0;

    for (int n = 1; n <= 1000; n += 111) {
        for (int t = 0; t < T; t++)
            memcpy(part + t * n, in + t * B, (size_t)n * sizeof *part);
        f(piece, part, n, k);
        for (int t = 0; t < T; t++)
            changed += memcmp(piece + t * n, all + t * B, (size_t)n * sizeof *piece) != 0;
    }
    return changed;
}

/* ---- the tables ---- */

/* A line and k - 2 columns of noise, as a plan and as a basis for BLAS. */
static int prepare(int k)
{
    const struct bm_denoise_settings settings = {.order = 1};
    struct bm_denoise_run run = {.label = "bench", .tr = 1.6, .volumes = T, .rows = T, .kept = T};
    struct bm_error err = {0};
    double poly[2 * T];
    size_t found = 0;

    run.confounds = confounds;
    run.ncols = (size_t)k - 2;
    for (int i = 0; i < T * (k - 2); i++)
        confounds[i] = rand() / (double)RAND_MAX;
    bm_denoise_free(plan);
    plan = bm_denoise_plan(&settings, &run, &err);
    (void)bm_poly_basis(poly, T, 1);
    memcpy(q64, poly, sizeof poly);
    if (!plan || bm_basis_extend(q64, T, 2, confounds, run.ncols, &found, &err)) {
        (void)fprintf(stderr, "%s\n", err.text);
        return -1;
    }
    for (int i = 0; i < T * k; i++)
        q32[i] = (float)q64[i];
    free(scratch);
    scratch = aligned_alloc(64, (bm_denoise_scratch(plan) * sizeof *scratch + 63) / 64 * 64);
    return scratch ? 0 : -1;
}

int main(void)
{
    static const int ks[] = {2, 4, 8, 24, 60};

    for (int i = 0; i < T * B; i++)
        in[i] = (int16_t)(1000 + i % B + rand() % 200);
    for (int i = 0; i < T * BM_PANEL; i++)
        panel[i] = in[i];
    (void)printf("One tile of %d x %d int16 samples to float32: microseconds, largest error, rows of %d whose bits "
                 "change with the tile's width\n%4s %9s | %9s %9s %7s | %9s %9s %7s | %9s %9s %7s\n",
                 T, B, 10 * T, "k", "products", "panel", "error", "bits", "dgemm", "error", "bits", "sgemm", "error",
                 "bits");
    for (size_t i = 0; i < sizeof ks / sizeof *ks; i++) {
        static cleaner *const all[] = {clean_ours, clean_dgemm, clean_sgemm};

        if (prepare(ks[i]))
            return 1;
        (void)printf("%4d %9.0f", ks[i], time_of(project, whole, ks[i]));
        for (int f = 0; f < 3; f++) {
            double us = time_of(all[f], f ? whole : ours, ks[i]);

            (void)printf(" | %9.0f %9.1e %7d", us, worst(f ? whole : ours, ks[i]),
                         changes(all[f], f ? whole : ours, ks[i]));
        }
        (void)puts("");
    }
    bm_denoise_free(plan);
    free(scratch);
    return 0;
}
