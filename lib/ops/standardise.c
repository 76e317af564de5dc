#include "ops/standardise.h"

#include "core/vector.h"
#include "ops/panel.h"

#include <math.h>
#include <stdbool.h>

/* Subtracts the means; square[c] becomes the sum of squared deviations, less the square of their sum (which corrects
 * for the rounding of the mean; Chan, Golub & LeVeque 1983). */
BM_VECTOR static void centre(struct bm_panel *p, const double mean[BM_PANEL], double square[BM_PANEL])
{
    double sum[BM_PANEL] = {0};

    for (size_t c = 0; c < BM_PANEL; c++)
        square[c] = 0.0;
    for (size_t t = 0; t < p->rows; t++) {
        double *y = p->y + t * BM_PANEL;

        for (size_t c = 0; c < BM_PANEL; c++) {
            y[c] -= mean[c];
            sum[c] += y[c];
            square[c] += y[c] * y[c];
        }
    }
    for (size_t c = 0; c < BM_PANEL; c++) {
        double corrected = square[c] - sum[c] * sum[c] / (double)p->rows;

        square[c] = corrected < 0.0 ? 0.0 : corrected;
    }
}

static double factor_of(enum bm_standard method, double mean, double variance, double unit)
{
    switch (method) {
    case BM_ZSCORE:
        return 1.0 / sqrt(variance);
    case BM_PSC:
        return 100.0 / fabs(mean);
    default:
        return unit;
    }
}

/* What each column is multiplied with; counts those of which nothing is left. */
static void find_factors(struct bm_work *w, const struct bm_panel *p, enum bm_standard method, size_t ddof,
                         const double *scale, const double *mean, const double *square, double *factor)
{
    const double nothing = bm_panel_nothing(w->dtype), rows = (double)p->rows;

    for (size_t c = 0; c < BM_PANEL; c++) {
        bool constant =
            sqrt(square[c] / rows) <= nothing * scale[c] || (method == BM_PSC && fabs(mean[c]) <= nothing * scale[c]);

        factor[c] = constant ? 0.0 : factor_of(method, mean[c], square[c] / (rows - (double)ddof), factor[c]);
        if (isnan(scale[c]))
            factor[c] = NAN;
        w->nothing += constant && c < p->n;
    }
}

void bm_standardise(struct bm_work *w, enum bm_standard method, size_t ddof)
{
    struct bm_panel p = {.y = w->scratch};
    double scale[BM_PANEL], mean[BM_PANEL], square[BM_PANEL], factor[BM_PANEL];

    w->nothing = w->nonfinite = 0;
    w->overflow = false;
    for (size_t first = 0; first < w->cols; first += BM_PANEL) {
        bm_panel_load(&p, w, first, NULL, w->rows);
        if (w->slope != 1.0 || w->inter != 0.0)
            bm_panel_line(&p, w->slope, w->inter);
        bm_panel_scale(&p, w, 0.0, scale);
        (void)bm_panel_tame(&p, scale, factor);
        bm_panel_means(&p, mean);
        centre(&p, mean, square);
        find_factors(w, &p, method, ddof, scale, mean, square, factor);
        bm_panel_multiply(&p, factor);
        bm_panel_store(&p, w, first);
    }
}
