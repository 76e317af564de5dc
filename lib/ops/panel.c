#include "ops/panel.h"

#include "core/vector.h"

#include <math.h>
#include <string.h>

size_t bm_panel_size(size_t rows)
{
    return rows * BM_PANEL;
}

void bm_panel_load(struct bm_panel *p, const struct bm_work *w, size_t first, const size_t *keep, size_t n)
{
    const size_t size = bm_dtype_size(w->dtype);
    const unsigned char *from = w->data;

    p->rows = n;
    p->n = w->cols - first < BM_PANEL ? w->cols - first : BM_PANEL;
    if (p->n < BM_PANEL)
        memset(p->y, 0, n * BM_PANEL * sizeof *p->y);
    for (size_t i = 0; i < n; i++) {
        const size_t t = keep ? keep[i] : i;

        bm_to_double(p->y + i * BM_PANEL, from + (t * w->cols + first) * size, w->dtype, p->n);
    }
}

void bm_panel_store(const struct bm_panel *p, struct bm_work *w, size_t first)
{
    const size_t size = bm_dtype_size(w->out_dtype);
    unsigned char *to = w->out;

    for (size_t t = 0; t < p->rows; t++)
        w->overflow |= !bm_from_double(to + (t * w->cols + first) * size, w->out_dtype, p->y + t * BM_PANEL, p->n);
}

BM_VECTOR static void find_scale(const struct bm_panel *p, double scale[BM_PANEL])
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

static uint64_t count_nonfinite(struct bm_panel *p, size_t c, const double *zero)
{
    uint64_t n = 0;

    for (size_t t = 0; t < p->rows; t++) {
        double *y = p->y + t * BM_PANEL + c;

        if (isfinite(*y))
            continue;
        n++;
        *y = zero ? *zero : *y;
    }
    return n;
}

void bm_panel_scale(struct bm_panel *p, struct bm_work *w, double zero, double scale[BM_PANEL])
{
    uint64_t n = 0;

    find_scale(p, scale);
    for (size_t c = 0; c < p->n; c++)
        n += isnan(scale[c]) ? count_nonfinite(p, c, w->zero ? &zero : NULL) : 0;
    w->nonfinite += n;
    if (n && w->zero)
        find_scale(p, scale);
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

void bm_panel_line(struct bm_panel *p, double slope, double inter)
{
    for (size_t i = 0; i < p->rows * BM_PANEL; i++)
        p->y[i] = p->y[i] * slope + inter;
}

BM_VECTOR void bm_panel_means(const struct bm_panel *p, double mean[BM_PANEL])
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

double bm_panel_nothing(enum bm_dtype dtype)
{
    return dtype == BM_F16 || dtype == BM_F32 ? 0x1p-22 : 1e-12;
}
