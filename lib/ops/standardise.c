#include "ops/standardise.h"

#include "core/vector.h"
#include "ops/panel.h"

#include <math.h>
#include <stdbool.h>

BM_VECTOR static void column_means(const struct bm_panel *p, double mean[BM_PANEL])
{
    for (size_t c = 0; c < BM_PANEL; c++)
        mean[c] = 0.0;
    for (size_t t = 0; t < p->rows; t++) {
        for (size_t c = 0; c < BM_PANEL; c++)
            mean[c] += p->y[t * BM_PANEL + c];
    }
    for (size_t c = 0; c < BM_PANEL; c++)
        mean[c] /= (double)p->rows;
}

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

void bm_standardise(void *out, enum bm_dtype out_dtype, const void *data, enum bm_dtype dtype, double slope,
                    double inter, size_t rows, size_t cols, enum bm_standard method, size_t ddof, double *scratch,
                    struct bm_standardise_found *found)
{
    struct bm_panel p = {.y = scratch};
    double scale[BM_PANEL], mean[BM_PANEL], square[BM_PANEL], factor[BM_PANEL], unit[BM_PANEL];
    const double nothing = bm_panel_nothing(dtype);

    *found = (struct bm_standardise_found){0};
    for (size_t first = 0; first < cols; first += BM_PANEL) {
        bm_panel_load(&p, data, dtype, rows, cols, first, slope, inter);
        bm_panel_scale(&p, scale);
        found->nonfinite += bm_panel_nonfinite(&p, scale);
        (void)bm_panel_tame(&p, scale, unit);
        column_means(&p, mean);
        centre(&p, mean, square);
        for (size_t c = 0; c < BM_PANEL; c++) {
            bool constant = sqrt(square[c] / (double)rows) <= nothing * scale[c] ||
                            (method == BM_PSC && fabs(mean[c]) <= nothing * scale[c]);

            factor[c] = constant ? 0.0 : factor_of(method, mean[c], square[c] / (double)(rows - ddof), unit[c]);
            if (isnan(scale[c]))
                factor[c] = NAN;
            found->constant += constant && c < p.n;
        }
        bm_panel_multiply(&p, factor);
        found->overflow |= !bm_panel_store(&p, out, out_dtype, cols, first);
    }
}
