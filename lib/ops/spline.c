#include "ops/spline.h"

#include "core/mem.h"
#include "core/vector.h"

#include <stdlib.h>
#include <string.h>

/* The slopes d at the known rows solve a tridiagonal system, with h the steps between them and m the slopes of the
 * chords. Inside: h[i] d[i-1] + 2 (h[i-1] + h[i]) d[i] + h[i-1] d[i+1] = 3 (h[i] m[i-1] + h[i-1] m[i]). At the ends:
 * h[1] d[0] + (h[0] + h[1]) d[1] = ((2 (h[0] + h[1]) + h[0]) h[1] m[0] + h[0]^2 m[1]) / (h[0] + h[1]), and mirrored.
 */
static double step(const struct bm_spline *s, size_t i)
{
    return (double)(s->at[i + 1] - s->at[i]);
}

/* What stands left of the diagonal, on it and right of it in row i. */
static void equation(const struct bm_spline *s, size_t i, double *left, double *diagonal, double *right)
{
    const size_t n = s->n;

    *left = i == 0 ? 0.0 : i == n - 1 ? step(s, n - 2) + step(s, n - 3) : step(s, i);
    *diagonal = i == 0 ? step(s, 1) : i == n - 1 ? step(s, n - 3) : 2.0 * (step(s, i - 1) + step(s, i));
    *right = i == 0 ? step(s, 0) + step(s, 1) : i == n - 1 ? 0.0 : step(s, i - 1);
}

int bm_spline_make(struct bm_spline *s, const size_t *at, size_t n, struct bm_error *err)
{
    *s = (struct bm_spline){.n = n};
    if (n < BM_SPLINE_LEAST)
        return bm_fail(err, BM_EDATA, "spline: %zu known rows are too few; it takes %d", n, BM_SPLINE_LEAST);
    s->at = bm_alloc(n, sizeof *s->at, "spline", err);
    s->up = bm_alloc(n, sizeof *s->up, "spline", err);
    s->low = bm_alloc(n, sizeof *s->low, "spline", err);
    if (!s->at || !s->up || !s->low) {
        bm_spline_clear(s);
        return -1;
    }
    memcpy(s->at, at, n * sizeof *at);
    for (size_t i = 0; i < n; i++) {
        double left, diagonal, right;

        equation(s, i, &left, &diagonal, &right);
        s->low[i] = diagonal - (i ? left * s->up[i - 1] : 0.0);
        s->up[i] = right / s->low[i];
    }
    return 0;
}

void bm_spline_clear(struct bm_spline *s)
{
    free(s->at);
    free(s->up);
    free(s->low);
    *s = (struct bm_spline){0};
}

/* The right side of equation i: `near` and `far` times the rises of two neighbouring chords, the first of which
 * begins at known row *chord. */
static void right_side(const struct bm_spline *s, size_t i, size_t *chord, double *first, double *second)
{
    const size_t n = s->n;

    *chord = i == 0 ? 0 : i == n - 1 ? n - 3 : i - 1;
    {
        const double h0 = step(s, *chord), h1 = step(s, *chord + 1), both = h0 + h1;

        *first = i == 0 ? (2.0 * both + h0) * h1 / both : i == n - 1 ? h1 * h1 / both : 3.0 * h1;
        *second = i == 0 ? h0 * h0 / both : i == n - 1 ? (2.0 * both + h1) * h0 / both : 3.0 * h0;
        *first /= h0;
        *second /= h1;
    }
}

BM_VECTOR static void find_slopes(const struct bm_spline *s, const struct bm_panel *p, double *slopes)
{
    for (size_t i = 0; i < s->n; i++) {
        double left, diagonal, right, first, second;
        double *d = slopes + i * BM_PANEL;
        const double *y0, *y1, *y2;
        size_t chord;

        equation(s, i, &left, &diagonal, &right);
        right_side(s, i, &chord, &first, &second);
        y0 = p->y + s->at[chord] * BM_PANEL;
        y1 = p->y + s->at[chord + 1] * BM_PANEL;
        y2 = p->y + s->at[chord + 2] * BM_PANEL;
        for (size_t c = 0; c < BM_PANEL; c++)
            d[c] = first * (y1[c] - y0[c]) + second * (y2[c] - y1[c]);
        for (size_t c = 0; i && c < BM_PANEL; c++)
            d[c] -= left * d[(ptrdiff_t)c - BM_PANEL];
        for (size_t c = 0; c < BM_PANEL; c++)
            d[c] /= s->low[i];
    }
    for (size_t i = s->n - 1; i-- > 0;) {
        double *d = slopes + i * BM_PANEL;

        for (size_t c = 0; c < BM_PANEL; c++)
            d[c] -= s->up[i] * d[c + BM_PANEL];
    }
}

/* Row t from the cubic between known rows i and i + 1: from the value at i on, by rise and slopes alone. Beyond the
 * ends the weights are large: weights of the values themselves would cancel, at the cost of a high level's digits. */
BM_VECTOR static void fill(const struct bm_spline *s, struct bm_panel *p, const double *slopes, size_t i, size_t t)
{
    const double h = step(s, i), x = ((double)t - (double)s->at[i]) / h, r = 1.0 - x;
    const double rise = x * x * (1.0 + 2.0 * r), v0 = h * x * r * r, v1 = -h * x * x * r;
    const double *y0 = p->y + s->at[i] * BM_PANEL, *y1 = p->y + s->at[i + 1] * BM_PANEL;
    const double *d0 = slopes + i * BM_PANEL, *d1 = d0 + BM_PANEL;
    double *y = p->y + t * BM_PANEL;

    for (size_t c = 0; c < BM_PANEL; c++)
        y[c] = y0[c] + (rise * (y1[c] - y0[c]) + v0 * d0[c] + v1 * d1[c]);
}

void bm_spline_panel(const struct bm_spline *s, struct bm_panel *p, double *slopes)
{
    size_t i = 0;

    find_slopes(s, p, slopes);
    for (size_t t = 0; t < p->rows; t++) {
        while (i + 2 < s->n && s->at[i + 1] < t)
            i++;
        if (t != s->at[i] && t != s->at[i + 1])
            fill(s, p, slopes, i, t);
    }
}
