#include "ops/quality.h"

#include "core/vector.h"
#include "ops/basis.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define LANES 8 /* sums over voxels run in as many parts, whatever the processor */

size_t bm_quality_scratch(size_t rows, size_t order)
{
    return bm_panel_size(rows) + (order + 1) * BM_PANEL;
}

/* Voxels that are not finite become 0, so that they add nothing to sums. */
static size_t leave_out(struct bm_panel *p, const double scale[BM_PANEL])
{
    size_t left = p->n;

    for (size_t c = 0; c < p->n; c++) {
        if (!isnan(scale[c]))
            continue;
        left--;
        for (size_t t = 0; t < p->rows; t++)
            p->y[t * BM_PANEL + c] = 0.0;
    }
    return left;
}

static double add_lanes(const double part[LANES])
{
    double sum = 0.0;

    for (size_t k = 0; k < LANES; k++)
        sum += part[k];
    return sum;
}

/* Adds the panel's voxels to the sums of each time point. */
BM_VECTOR static void add_rows(const struct bm_panel *p, double *signal, double *change)
{
    for (size_t t = 0; t < p->rows; t++) {
        const double *y = p->y + t * BM_PANEL, *before = t ? y - BM_PANEL : y;
        double sum[LANES] = {0}, square[LANES] = {0};

        for (size_t c = 0; c < BM_PANEL; c += LANES) {
            for (size_t k = 0; k < LANES; k++) {
                const double d = y[c + k] - before[c + k];

                sum[k] += y[c + k];
                square[k] += d * d;
            }
        }
        signal[t] += add_lanes(sum);
        change[t] += add_lanes(square);
    }
}

BM_VECTOR static void squares(const struct bm_panel *p, double square[BM_PANEL])
{
    for (size_t c = 0; c < BM_PANEL; c++)
        square[c] = 0.0;
    for (size_t t = 0; t < p->rows; t++) {
        const double *y = p->y + t * BM_PANEL;

        for (size_t c = 0; c < BM_PANEL; c++)
            square[c] += y[c] * y[c];
    }
}

/* The picks that lie in the panel at `first`; factor: 1 / sd in the panel's units, 0 or NaN. */
static void put_carpet(const struct bm_panel *p, size_t first, const double factor[BM_PANEL], struct bm_quality *q)
{
    for (size_t k = 0; k < q->npicks; k++) {
        const size_t c = q->picks[k] - first;

        if (q->picks[k] < first || c >= p->n)
            continue;
        for (size_t t = 0; t < p->rows; t++)
            q->carpet[t * q->npicks + k] = p->y[t * BM_PANEL + c] * factor[c] + 0.0;
    }
}

/* Deviations of the residues, which stand in the panel in units of `unit`. */
static void put_deviations(const struct bm_panel *p, size_t first, double nothing, const double scale[BM_PANEL],
                           const double unit[BM_PANEL], struct bm_quality *q)
{
    double square[BM_PANEL], factor[BM_PANEL];

    squares(p, square);
    for (size_t c = 0; c < p->n; c++) {
        const double sd = sqrt(square[c] / (double)p->rows);
        const bool constant = sd <= nothing * scale[c];

        factor[c] = isnan(scale[c]) ? NAN : constant ? 0.0 : 1.0 / sd;
        q->sd[first + c] = isnan(scale[c]) ? NAN : constant ? 0.0 : sd * unit[c];
        q->constant += constant;
    }
    put_carpet(p, first, factor, q);
}

/* The values of the block at `first`; 0 beyond the last column, where an intercept must not be. */
static void load_values(struct bm_panel *p, const struct bm_work *w, size_t first)
{
    bm_panel_load(p, w, first, NULL, w->rows);
    if (w->slope == 1.0 && w->inter == 0.0)
        return;
    bm_panel_line(p, w->slope, w->inter);
    for (size_t i = 0; p->n < BM_PANEL && i < w->rows * BM_PANEL; i++)
        p->y[i] = i % BM_PANEL < p->n ? p->y[i] : 0.0;
}

static void put_means(const struct bm_panel *p, size_t first, const double scale[BM_PANEL],
                      const double unit[BM_PANEL], struct bm_quality *q)
{
    double mean[BM_PANEL];

    bm_panel_means(p, mean);
    for (size_t c = 0; c < p->n; c++)
        q->mean[first + c] = isnan(scale[c]) ? NAN : mean[c] * unit[c];
}

void bm_quality_of(struct bm_work *w, const double *basis, size_t order, struct bm_quality *q)
{
    struct bm_panel p = {.y = w->scratch};
    double *along = w->scratch + bm_panel_size(w->rows), scale[BM_PANEL], unit[BM_PANEL];

    memset(q->signal, 0, w->rows * sizeof *q->signal);
    memset(q->change, 0, w->rows * sizeof *q->change);
    q->finite = 0;
    q->constant = w->nonfinite = 0;
    w->zero = false;
    for (size_t first = 0; first < w->cols; first += BM_PANEL) {
        load_values(&p, w, first);
        bm_panel_scale(&p, w, 0.0, scale);
        q->finite += leave_out(&p, scale);
        add_rows(&p, q->signal, q->change);
        (void)bm_panel_tame(&p, scale, unit);
        put_means(&p, first, scale, unit, q);
        bm_project_out(&p, basis, order + 1, along);
        put_deviations(&p, first, bm_panel_nothing(w->dtype), scale, unit, q);
    }
    q->nonfinite = w->nonfinite;
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

double bm_median(double *values, size_t n)
{
    size_t m = 0;

    for (size_t i = 0; i < n; i++) {
        if (isfinite(values[i]))
            values[m++] = values[i];
    }
    if (m == 0)
        return NAN;
    qsort(values, m, sizeof *values, compare);
    return m % 2 ? values[m / 2] : values[m / 2 - 1] + (values[m / 2] - values[m / 2 - 1]) / 2;
}

void bm_quality_picks(size_t *picks, size_t n, size_t cols)
{
    for (size_t k = 0; k < n; k++) /* cols is below 2^40 */
        picks[k] = (2 * k + 1) * cols / (2 * n);
}
