#include "ops/resample.h"

#include "core/mem.h"
#include "core/vector.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define KAISER_BETA 6.0

/* I0(sqrt(4 q)), the modified Bessel function: the sum of q^m / m!^2. For q <= 9 it has settled long before. */
static double bessel(double q)
{
    double sum = 1.0, term = 1.0;

    for (int m = 1; m <= 40; m++) {
        term *= q / ((double)m * (double)m);
        sum += term;
    }
    return sum;
}

/* The windowed sinc at x = k - rest, over a common factor: sin(pi x) is (-1)^k times the same for all k. */
static double sinc_weight(int k, double x, double width)
{
    const double u = x / width, window = bessel(KAISER_BETA * KAISER_BETA / 4.0 * (1.0 - u * u));

    return (k % 2 ? -window : window) / x;
}

static double lagrange_weight(const struct bm_kernel *kernel, int k, double rest)
{
    double w = 1.0;

    for (int j = kernel->lo; j <= kernel->hi; j++)
        w *= j == k ? 1.0 : (rest - j) / (double)(k - j);
    return w;
}

void bm_kernel_make(struct bm_kernel *kernel, enum bm_shift how, size_t width, double rest)
{
    const int half = how == BM_SHIFT_LINEAR ? 1 : how == BM_SHIFT_CUBIC ? 2 : (int)width;
    double sum = 0.0;

    *kernel = (struct bm_kernel){.lo = 0, .hi = -1};
    if (how == BM_SHIFT_NONE || rest == 0.0)
        return;
    kernel->lo = rest > 0.0 ? 1 - half : -half;
    kernel->hi = kernel->lo + 2 * half - 1;
    for (int k = kernel->lo; k <= kernel->hi; k++) {
        double w = how == BM_SHIFT_SINC ? sinc_weight(k, k - rest, half) : lagrange_weight(kernel, k, rest);

        kernel->weight[k - kernel->lo] = w;
        sum += w;
    }
    for (int k = kernel->lo; k <= kernel->hi; k++)
        kernel->weight[k - kernel->lo] /= sum;
}

static bool is_edge(const struct bm_resample *r, size_t t)
{
    const size_t before = t - r->piece[t].first, behind = r->piece[t].last - t;

    return r->kernel.lo < -(int64_t)before || r->kernel.hi > (int64_t)behind;
}

static bool is_dropped(const struct bm_resample *r, size_t t)
{
    return r->edges == BM_EDGES_DROP && is_edge(r, t);
}

int bm_resample_plan(struct bm_resample *r, const int32_t *times, size_t rows, struct bm_error *err)
{
    bm_resample_clear(r);
    r->piece = bm_alloc(rows, sizeof *r->piece, "rows", err);
    if (!r->piece)
        return -1;
    r->rows = rows;
    for (size_t first = 0, end; first < rows; first = end) {
        for (end = first + 1; end < rows && (!times || times[end] == times[end - 1] + 1);)
            end++;
        for (size_t t = first; t < end; t++)
            r->piece[t] = (struct bm_reach){first, end - 1};
    }
    for (size_t t = 0; t < rows; t++) {
        r->edge_rows += is_edge(r, t);
        r->kept += !is_dropped(r, t);
    }
    return 0;
}

void bm_resample_keep(const struct bm_resample *r, size_t *keep)
{
    for (size_t t = 0; t < r->rows; t++) {
        if (!is_dropped(r, t))
            *keep++ = t;
    }
}

void bm_resample_clear(struct bm_resample *r)
{
    free(r->piece);
    r->piece = NULL;
    r->rows = r->kept = r->edge_rows = 0;
}

/* The row k rows after t, or the last one on the way there. */
static size_t held(const struct bm_reach *piece, size_t t, int k)
{
    const int64_t there = (int64_t)t + k, first = (int64_t)piece->first, last = (int64_t)piece->last;

    return (size_t)(there < first ? first : there > last ? last : there);
}

BM_VECTOR static void blend(double *out, const double *y, const struct bm_kernel *kernel, size_t t,
                            const struct bm_reach *piece)
{
    const double *here = y + t * BM_PANEL;
    double sum[BM_PANEL] = {0};

    for (int k = kernel->lo; k <= kernel->hi; k++) {
        const double w = kernel->weight[k - kernel->lo], *there = y + held(piece, t, k) * BM_PANEL;

        for (size_t c = 0; c < BM_PANEL; c++)
            sum[c] += w * (there[c] - here[c]);
    }
    for (size_t c = 0; c < BM_PANEL; c++)
        out[c] = here[c] + sum[c];
}

static void mark(double *out)
{
    for (size_t c = 0; c < BM_PANEL; c++)
        out[c] = NAN;
}

/* The rows of `to` from those of `from`. */
static void move(struct bm_panel *to, const struct bm_panel *from, const struct bm_resample *r)
{
    *to = (struct bm_panel){.rows = 0, .n = from->n, .y = to->y};
    for (size_t t = 0; t < r->rows; t++) {
        double *out = to->y + to->rows * BM_PANEL;

        if (is_dropped(r, t))
            continue;
        if (r->edges == BM_EDGES_MARK && is_edge(r, t))
            mark(out);
        else
            blend(out, from->y, &r->kernel, t, &r->piece[t]);
        to->rows++;
    }
}

/* An infinite sample would become NaN in some of the rows that its kernel reaches, and infinite in others. */
static void poison(struct bm_panel *p)
{
    for (size_t i = 0; i < p->rows * BM_PANEL; i++)
        p->y[i] = isfinite(p->y[i]) ? p->y[i] : NAN;
}

void bm_resample(const struct bm_resample *r, struct bm_work *w)
{
    const bool moves = r->kernel.hi >= r->kernel.lo;
    struct bm_panel p = {.y = w->scratch}, moved = {.y = w->scratch + bm_panel_size(r->rows)};
    double scale[BM_PANEL], unit[BM_PANEL];

    w->nothing = w->nonfinite = 0;
    w->overflow = false;
    for (size_t first = 0; first < w->cols; first += BM_PANEL) {
        const uint64_t before = w->nonfinite;
        bool tamed;

        bm_panel_load(&p, w, first, NULL, r->rows);
        if (w->slope != 1.0 || w->inter != 0.0)
            bm_panel_line(&p, w->slope, w->inter);
        bm_panel_scale(&p, w, 0.0, scale);
        if (w->nonfinite > before && moves)
            poison(&p);
        tamed = bm_panel_tame(&p, scale, unit);
        move(&moved, &p, r);
        if (tamed)
            bm_panel_multiply(&moved, unit);
        bm_panel_store(&moved, w, first);
    }
}
