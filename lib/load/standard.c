/* The arithmetic is that of bm_standardise (ops/standardise.h), bit for bit: each column is summed in the order of
 * the rows. Here the rows stay where they are, and are read three times, because copying them to where a kernel wants
 * them would take longer. */
#include "core/vector.h"
#include "load/put.h"
#include "load/rows_private.h"
#include "ops/panel.h"

#include <math.h>
#include <string.h>

/* Columns of a task. Long parts of rows are read faster than short ones; few columns are shared by the threads. */
#define MOST 8192
#define LEAST 1024

/* What one thread needs for MOST columns. */
struct work {
    uint32_t picked[MOST];
    float values[MOST];
    double mean[MOST], sum[MOST], square[MOST];
    double factor[MOST];
    float largest[MOST]; /* absolute value */
    float poison[MOST];  /* 0, or NaN once a value is not finite */
    double result[MOST];
    double out[MOST]; /* of the batch's type */
};

/* Begins to load a part of row i: the processor would do so page by page, and each time too late. */
static void expect(const struct bm_gather *g, int64_t i, int64_t first, int64_t n)
{
    if (g->b->columns || i >= g->b->n)
        return;
    const char *part = bm_gather_part(g, i, first, n, NULL);

    for (size_t at = 0; at < (size_t)n * g->from_size; at += 64)
        __builtin_prefetch(part + at);
}

static const float *part_of(const struct bm_gather *g, struct work *w, int64_t i, int64_t first, int64_t n)
{
    const void *samples = bm_gather_part(g, i, first, n, w->picked);

    expect(g, i + 1, first, n);
    if (g->m->type == BM_SAMPLE_F32)
        return samples;
    (void)bm_convert(w->values, BM_SAMPLE_F32, samples, g->m->type, (size_t)n);
    return w->values;
}

BM_VECTOR static void add(struct work *w, const float *x, int64_t n)
{
    for (int64_t c = 0; c < n; c++) {
        float a = fabsf(x[c]);

        w->mean[c] += (double)x[c];
        w->largest[c] = a > w->largest[c] ? a : w->largest[c];
        w->poison[c] += 0.0f * x[c];
    }
}

BM_VECTOR static void add_deviations(struct work *w, const float *x, int64_t n)
{
    for (int64_t c = 0; c < n; c++) {
        double y = (double)x[c] - w->mean[c];

        w->sum[c] += y;
        w->square[c] += y * y;
    }
}

BM_VECTOR static void scale(struct work *w, const float *x, int64_t n)
{
    for (int64_t c = 0; c < n; c++)
        w->result[c] = ((double)x[c] - w->mean[c]) * w->factor[c] + 0.0;
}

static void find_factors(const struct bm_gather *g, struct work *w, int64_t n)
{
    const double rows = (double)g->b->n, nothing = bm_panel_nothing(BM_F32);

    for (int64_t c = 0; c < n; c++) {
        double corrected = w->square[c] - w->sum[c] * w->sum[c] / rows;
        double square = corrected < 0.0 ? 0.0 : corrected;
        bool constant = sqrt(square / rows) <= nothing * (double)w->largest[c];

        w->factor[c] = constant ? 0.0 : 1.0 / sqrt(square / (rows - 1.0));
        if (isnan(w->poison[c]))
            w->factor[c] = NAN;
    }
}

static void find_scaling(const struct bm_gather *g, struct work *w, int64_t first, int64_t n)
{
    for (int64_t c = 0; c < n; c++) {
        w->mean[c] = w->sum[c] = w->square[c] = 0.0;
        w->largest[c] = w->poison[c] = 0.0f;
    }
    for (int64_t i = 0; i < g->b->n; i++)
        add(w, part_of(g, w, i, first, n), n);
    for (int64_t c = 0; c < n; c++)
        w->mean[c] /= (double)g->b->n;
    for (int64_t i = 0; i < g->b->n; i++)
        add_deviations(w, part_of(g, w, i, first, n), n);
    find_factors(g, w, n);
}

/* d cut off to a float, its last bit set where something was lost (round to odd): rounds to the same number of fewer
 * bits as d does. */
BM_VECTOR static void cut_off(float *dst, const double *src, int64_t n)
{
    for (int64_t c = 0; c < n; c++) {
        float f = (float)src[c];
        uint32_t x, odd;

        memcpy(&x, &f, sizeof x);
        odd = (x - (fabs((double)f) > fabs(src[c]) ? 1u : 0u)) | 1u;
        x = (double)f == src[c] || src[c] != src[c] ? x : odd;
        memcpy(dst + c, &x, sizeof x);
    }
}

BM_VECTOR static void round_off(float *dst, const double *src, int64_t n)
{
    for (int64_t c = 0; c < n; c++)
        dst[c] = (float)src[c];
}

/* w->result in the batch's type. No value is beyond the square root of the number of rows: all fit. */
static const void *rounded(const struct bm_gather *g, struct work *w, int64_t n)
{
    switch (g->b->type) {
    case BM_SAMPLE_F64:
        return w->result;
    case BM_SAMPLE_F32:
        round_off(w->values, w->result, n);
        return w->values;
    default:
        cut_off(w->values, w->result, n);
        (void)bm_convert(w->out, g->b->type, w->values, BM_SAMPLE_F32, (size_t)n);
        return w->out;
    }
}

static int standardise_piece(void *self, void *worker, size_t k, const atomic_bool *stop, struct bm_error *err)
{
    const struct bm_gather *g = self;
    struct work *w = worker;
    int64_t first = (int64_t)k * g->piece, left = g->b->ncolumns - first, n = left < g->piece ? left : g->piece;

    (void)stop, (void)err;
    find_scaling(g, w, first, n);
    for (int64_t i = 0; i < g->b->n; i++) {
        scale(w, part_of(g, w, i, first, n), n);
        bm_gather_put(g, i, first, rounded(g, w, n), n);
    }
    bm_put_fence();
    return 0;
}

int bm_gather_standardised(const struct bm_matrix *m, const struct bm_batch *b, const char *name, int threads,
                           struct bm_error *err)
{
    struct bm_gather g;
    struct bm_tasks tasks = {.self = &g, .worker_size = sizeof(struct work), .run = standardise_piece};
    int status = bm_gather_open(&g, m, b, name, err);

    if (status == 0 && b->n < 2)
        status = bm_fail(err, BM_EUSAGE, "%s: a batch of %lld rows has no standard deviation; take larger batches",
                         name, (long long)b->n);
    if (status == 0) {
        g.piece = (b->ncolumns / threads + LEAST - 1) / LEAST * LEAST;
        g.piece = g.piece < LEAST ? LEAST : g.piece > MOST ? MOST : g.piece;
        tasks.n = bm_gather_tasks(&g, b->ncolumns);
        status = bm_tasks_run(&tasks, threads, err);
    }
    return bm_gather_close(&g, name, status, err);
}
