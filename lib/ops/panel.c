#include "ops/panel.h"

#include "core/vector.h"

#include <math.h>
#include <string.h>

size_t bm_panel_scratch(size_t rows)
{
    return rows * BM_PANEL;
}

void bm_panel_load(struct bm_panel *p, const void *data, enum bm_dtype dtype, size_t rows, size_t cols, size_t first,
                   double slope, double inter)
{
    const size_t size = bm_dtype_size(dtype);
    const unsigned char *from = data;

    p->rows = rows;
    p->n = cols - first < BM_PANEL ? cols - first : BM_PANEL;
    if (p->n < BM_PANEL)
        memset(p->y, 0, rows * BM_PANEL * sizeof *p->y);
    for (size_t t = 0; t < rows; t++)
        bm_to_double(p->y + t * BM_PANEL, from + (t * cols + first) * size, dtype, p->n);
    if (slope == 1.0 && inter == 0.0)
        return;
    for (size_t i = 0; i < rows * BM_PANEL; i++)
        p->y[i] = p->y[i] * slope + inter;
}

bool bm_panel_store(const struct bm_panel *p, void *data, enum bm_dtype dtype, size_t cols, size_t first)
{
    const size_t size = bm_dtype_size(dtype);
    unsigned char *to = data;
    bool fits = true;

    for (size_t t = 0; t < p->rows; t++)
        fits &= bm_from_double(to + (t * cols + first) * size, dtype, p->y + t * BM_PANEL, p->n);
    return fits;
}

BM_VECTOR void bm_panel_scale(const struct bm_panel *p, double scale[BM_PANEL])
{
    double poison[BM_PANEL] = {0}; /* 0, or NaN once a sample is not finite */

    for (size_t c = 0; c < BM_PANEL; c++)
        scale[c] = 0.0;
    for (size_t t = 0; t < p->rows; t++) {
        const double *y = p->y + t * BM_PANEL;

        for (size_t c = 0; c < BM_PANEL; c++) {
            double a = fabs(y[c]);

            scale[c] = a > scale[c] ? a : scale[c];
            poison[c] += 0.0 * y[c];
        }
    }
    for (size_t c = 0; c < BM_PANEL; c++)
        scale[c] += poison[c];
}

bool bm_panel_tame(struct bm_panel *p, double scale[BM_PANEL], double unit[BM_PANEL])
{
    double factor[BM_PANEL];
    bool any = false;

    for (size_t c = 0; c < BM_PANEL; c++) {
        bool large = scale[c] > 0x1p400, small = scale[c] > 0.0 && scale[c] < 0x1p-400;

        unit[c] = large ? 0x1p900 : small ? 0x1p-900 : 1.0;
        factor[c] = 1.0 / unit[c];
        any |= large || small;
    }
    if (!any)
        return false;
    bm_panel_multiply(p, factor);
    for (size_t c = 0; c < BM_PANEL; c++)
        scale[c] *= factor[c];
    return true;
}

BM_VECTOR void bm_panel_multiply(struct bm_panel *p, const double factor[BM_PANEL])
{
    for (size_t t = 0; t < p->rows; t++) {
        double *y = p->y + t * BM_PANEL;

        for (size_t c = 0; c < BM_PANEL; c++)
            y[c] = y[c] * factor[c] + 0.0;
    }
}

uint64_t bm_panel_nonfinite(const struct bm_panel *p, const double scale[BM_PANEL])
{
    uint64_t n = 0;

    for (size_t c = 0; c < p->n; c++) {
        if (!isnan(scale[c]))
            continue;
        for (size_t t = 0; t < p->rows; t++)
            n += isfinite(p->y[t * BM_PANEL + c]) ? 0u : 1u;
    }
    return n;
}

double bm_panel_nothing(enum bm_dtype dtype)
{
    return dtype == BM_F16 || dtype == BM_F32 ? 0x1p-22 : 1e-12;
}
