#include "ops/detrend.h"

#include "core/vector.h"
#include "ops/panel.h"

#include <math.h>
#include <string.h>

static long double dot(const double *q, size_t rows, size_t n, size_t a, size_t b)
{
    long double sum = 0.0L;

    for (size_t t = 0; t < rows; t++)
        sum += (long double)q[t * n + a] * (long double)q[t * n + b];
    return sum;
}

/* Makes column k orthogonal to the columns before it, and of length 1. */
static void orthonormalise(double *q, size_t rows, size_t n, size_t k)
{
    long double length;

    for (size_t j = 0; j < 2 * k; j++) { /* twice over all: the second round removes what rounding left */
        long double along = dot(q, rows, n, j % k, k);

        for (size_t t = 0; t < rows; t++)
            q[t * n + k] = (double)((long double)q[t * n + k] - along * (long double)q[t * n + j % k]);
    }
    length = sqrtl(dot(q, rows, n, k, k));
    for (size_t t = 0; t < rows; t++)
        q[t * n + k] = (double)((long double)q[t * n + k] / length);
}

bool bm_poly_basis(double *q, size_t rows, size_t order)
{
    const size_t n = order + 1;

    if (order > BM_MAX_ORDER || order >= rows)
        return false;
    for (size_t k = 0; k < n; k++) {
        for (size_t t = 0; t < rows; t++) {
            double time = rows > 1 ? 2.0 * (double)t / (double)(rows - 1) - 1.0 : 0.0;

            q[t * n + k] = k ? time * q[t * n + k - 1] : 1.0;
        }
        orthonormalise(q, rows, n, k);
    }
    return true;
}

/* y -= Q (Q' y) for every column of the panel. */
BM_VECTOR static void project_out(struct bm_panel *p, const double *q, size_t k)
{
    double along[BM_MAX_ORDER + 1][BM_PANEL];

    memset(along, 0, k * sizeof *along);
    for (size_t t = 0; t < p->rows; t++) {
        const double *y = p->y + t * BM_PANEL;

        for (size_t j = 0; j < k; j++) {
            const double w = q[t * k + j];

            for (size_t c = 0; c < BM_PANEL; c++)
                along[j][c] += w * y[c];
        }
    }
    for (size_t t = 0; t < p->rows; t++) {
        double *y = p->y + t * BM_PANEL;

        for (size_t j = 0; j < k; j++) {
            const double w = q[t * k + j];

            for (size_t c = 0; c < BM_PANEL; c++)
                y[c] -= w * along[j][c];
        }
    }
}

/* Sets columns whose root mean square is nothing beside `scale` to 0; multiplies the others by slope. */
BM_VECTOR static uint64_t settle(struct bm_panel *p, const double scale[BM_PANEL], double nothing, double slope)
{
    double sum[BM_PANEL] = {0}, factor[BM_PANEL];
    uint64_t flat = 0;

    for (size_t t = 0; t < p->rows; t++) {
        const double *y = p->y + t * BM_PANEL;

        for (size_t c = 0; c < BM_PANEL; c++)
            sum[c] += y[c] * y[c];
    }
    for (size_t c = 0; c < BM_PANEL; c++) {
        bool is_flat = sqrt(sum[c] / (double)p->rows) <= nothing * scale[c];

        factor[c] = isnan(scale[c]) ? NAN : is_flat ? 0.0 : slope;
        flat += is_flat && c < p->n;
    }
    for (size_t t = 0; t < p->rows; t++) {
        double *y = p->y + t * BM_PANEL;

        for (size_t c = 0; c < BM_PANEL; c++)
            y[c] = y[c] * factor[c] + 0.0; /* never -0 */
    }
    return flat;
}

void bm_detrend(void *out, enum bm_dtype out_dtype, const void *data, enum bm_dtype dtype, double slope, size_t rows,
                size_t cols, const double *q, size_t k, double *scratch, struct bm_detrend_found *found)
{
    struct bm_panel p = {.y = scratch};
    double scale[BM_PANEL], unit[BM_PANEL];
    bool tamed;

    *found = (struct bm_detrend_found){0};
    for (size_t first = 0; first < cols; first += BM_PANEL) {
        bm_panel_load(&p, data, dtype, rows, cols, first, 1.0, 0.0);
        bm_panel_scale(&p, scale);
        found->nonfinite += bm_panel_nonfinite(&p, scale);
        tamed = bm_panel_tame(&p, scale, unit);
        project_out(&p, q, k);
        found->flat += settle(&p, scale, bm_panel_nothing(dtype), slope);
        if (tamed)
            bm_panel_multiply(&p, unit);
        found->overflow |= !bm_panel_store(&p, out, out_dtype, cols, first);
    }
}
