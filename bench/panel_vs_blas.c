/* Detrending a tile: the panel kernel beside a BLAS product (Y -= Q (Q' Y), float32). Prints the time of each, the
 * error of each against long double, and whether a column's bits change with its place in the tile and with the
 * tile's width. Needs a CBLAS (Debian: libopenblas-dev), which nothing else in the project does: make bench-blas. */
#include "ops/detrend.h"
#include "ops/panel.h"

#include <cblas.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { T = 225, B = 1024, REPEATS = 200 };

static double now(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void with_blas(float *out, const int16_t *in, int cols, const float *q, int k, float *coefficients)
{
    for (int i = 0; i < T * cols; i++)
        out[i] = (float)in[i];
    cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, k, cols, T, 1.0f, q, k, out, cols, 0.0f, coefficients, cols);
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, T, cols, k, -1.0f, q, k, coefficients, cols, 1.0f, out,
                cols);
}

static double worst(const float *out, const int16_t *in, const double *q, int k)
{
    double most = 0.0;

    for (int c = 0; c < B; c += 37) {
        long double along[BM_MAX_ORDER + 1] = {0};

        for (int t = 0; t < T; t++) {
            for (int j = 0; j < k; j++)
                along[j] += (long double)q[t * k + j] * in[t * B + c];
        }
        for (int t = 0; t < T; t++) {
            long double r = in[t * B + c];

            for (int j = 0; j < k; j++)
                r -= along[j] * (long double)q[t * k + j];
            most = fmax(most, fabs((double)(r - (long double)out[t * B + c])));
        }
    }
    return most;
}

int main(void)
{
    static int16_t in[T * B], part[T * B];
    static float whole[T * B], piece[T * B], ours[T * B], coefficients[(BM_MAX_ORDER + 1) * B];
    static double q[T * (BM_MAX_ORDER + 1)], scratch[T * BM_PANEL];
    static float q32[T * (BM_MAX_ORDER + 1)];
    struct bm_detrend_found found;

    for (int i = 0; i < T * B; i++)
        in[i] = (int16_t)(1000 + i % B + rand() % 200);
    (void)printf("%6s %12s %12s %14s %14s %22s\n", "order", "panel", "BLAS", "panel error", "BLAS error",
                 "BLAS: bits that change");
    for (int order = 0; order <= 8; order = order ? 2 * order : 1) {
        int k = order + 1, changed[2] = {0, 0};
        double start, panel, blas;

        (void)bm_poly_basis(q, T, (size_t)order);
        for (int i = 0; i < T * k; i++)
            q32[i] = (float)q[i];
        start = now();
        for (int r = 0; r < REPEATS; r++)
            bm_detrend(ours, BM_F32, in, BM_I16, 1.0, T, B, q, (size_t)k, scratch, &found);
        panel = (now() - start) / REPEATS;
        start = now();
        for (int r = 0; r < REPEATS; r++)
            with_blas(whole, in, B, q32, k, coefficients);
        blas = (now() - start) / REPEATS;
        for (int n = 1; n <= 1000; n += 111) { /* the first n columns alone: the same bits? */
            for (int t = 0; t < T; t++)
                memcpy(part + t * n, in + t * B, (size_t)n * sizeof *part);
            with_blas(piece, part, n, q32, k, coefficients);
            for (int t = 0; t < T; t++)
                changed[0] += memcmp(piece + t * n, whole + t * B, (size_t)n * sizeof *piece) != 0;
            bm_detrend(piece, BM_F32, part, BM_I16, 1.0, T, (size_t)n, q, (size_t)k, scratch, &found);
            for (int t = 0; t < T; t++)
                changed[1] += memcmp(piece + t * n, ours + t * B, (size_t)n * sizeof *piece) != 0;
        }
        (void)printf("%6d %9.0f us %9.0f us %14.1e %14.1e %15d of %d rows (panel: %d)\n", order, 1e6 * panel,
                     1e6 * blas, worst(ours, in, q, k), worst(whole, in, q, k), changed[0], 10 * T, changed[1]);
    }
    return 0;
}
