#include "ops/butterworth.h"

#include "core/vector.h"

#include <complex.h>
#include <math.h>
#include <string.h>

typedef long double complex root;

#define PI 3.141592653589793238462643383279502884L

/* ---- design ---- */

/* An edge in cycles a sample on the axis of the analog filter, with the bilinear transform s = 2 (z - 1) / (z + 1).
 */
static long double warp(double edge)
{
    return 2.0L * tanl(PI * (long double)edge);
}

static root to_z(root s)
{
    return (2.0L + s) / (2.0L - s);
}

/* A section with the poles z1, z2 (a conjugate pair, or two real ones) and the numerator b. */
static void set_poles(struct bm_section *s, root z1, root z2, const long double b[3], long double gain)
{
    for (int i = 0; i < 3; i++)
        s->b[i] = (double)(gain * b[i]);
    s->a[0] = 1.0;
    s->a[1] = (double)-creall(z1 + z2);
    s->a[2] = (double)creall(z1 * z2);
}

/* Magnitude of 1 / H at z, for gain 1. */
static long double inverse_gain(root z1, root z2, const long double b[3], root z)
{
    root above = (b[0] * z + b[1]) * z + b[2], below = (z - z1) * (z - z2);

    return cabsl(below) / cabsl(above);
}

/* Pole k of the prototype of this order: on the unit circle, left half, upper ones first. */
static root prototype(size_t order, size_t k)
{
    long double angle = PI * (long double)(2 * k + 1) / (long double)(2 * order);

    return 2 * k + 1 == order ? -1.0L : -sinl(angle) + cosl(angle) * I;
}

/* Low or high pass: conjugate poles in pairs, the real one of odd orders in a section of first order. */
static void design_one_edge(struct bm_butterworth *f, size_t order, long double edge, bool high)
{
    const long double sign = high ? -1.0L : 1.0L;
    const root passed = high ? -1.0L : 1.0L; /* z of the frequency whose gain is 1 */

    f->nsections = (order + 1) / 2;
    for (size_t k = 0; k < f->nsections; k++) {
        const bool single = 2 * k + 1 == order;
        const long double b[3] = {1.0L, single ? sign : 2.0L * sign, single ? 0.0L : 1.0L};
        root p = prototype(order, k), z1 = to_z(high ? edge / p : edge * p), z2 = single ? 0.0L : conjl(z1);

        set_poles(&f->sections[k], z1, z2, b, inverse_gain(z1, z2, b, passed));
    }
    f->pad = 3 * (2 * f->nsections + 1 - order % 2);
}

/* Each pole of the prototype becomes two, so each conjugate pair two sections. */
static void design_band(struct bm_butterworth *f, size_t order, long double low, long double high)
{
    static const long double b[3] = {1.0L, 0.0L, -1.0L};
    const long double width = high - low, centre = sqrtl(low * high);
    const root passed = to_z(centre * I);
    size_t n = 0;

    for (size_t k = 0; k < (order + 1) / 2; k++) {
        root p = prototype(order, k) * width / 2.0L, apart = csqrtl(p * p - centre * centre);
        root z1 = to_z(p + apart), z2 = to_z(p - apart);

        if (2 * k + 1 == order) {
            set_poles(&f->sections[n++], z1, z2, b, inverse_gain(z1, z2, b, passed));
            continue;
        }
        set_poles(&f->sections[n++], z1, conjl(z1), b, inverse_gain(z1, conjl(z1), b, passed));
        set_poles(&f->sections[n++], z2, conjl(z2), b, inverse_gain(z2, conjl(z2), b, passed));
    }
    f->nsections = n;
    f->pad = 3 * (2 * n + 1);
}

/* The states after a constant input of 1. */
static void find_starts(struct bm_butterworth *f)
{
    double input = 1.0;

    for (size_t k = 0; k < f->nsections; k++) {
        struct bm_section *s = &f->sections[k];
        double gain = (s->b[0] + s->b[1] + s->b[2]) / (s->a[0] + s->a[1] + s->a[2]);

        s->start[1] = input * (s->b[2] - s->a[2] * gain);
        s->start[0] = input * (s->b[1] - s->a[1] * gain) + s->start[1];
        input *= gain;
    }
}

bool bm_butterworth(struct bm_butterworth *f, size_t order, double high_pass, double low_pass)
{
    const bool high = high_pass > 0.0, low = low_pass > 0.0;

    if (order < 1 || order > BM_MAX_FILTER_ORDER || (!high && !low) || !(high_pass < 0.5) || !(low_pass < 0.5) ||
        (high && low && high_pass >= low_pass))
        return false;
    if (high && low)
        design_band(f, order, warp(high_pass), warp(low_pass));
    else
        design_one_edge(f, order, warp(high ? high_pass : low_pass), high);
    find_starts(f);
    return true;
}

/* ---- filtering ---- */

/* Continues both ends by their reflection through the end point. */
BM_VECTOR static void extend(double *y, size_t rows, size_t pad)
{
    const double *first = y, *last = y + (rows - 1) * BM_PANEL;

    for (size_t t = 1; t <= pad; t++) {
        double *before = y - t * BM_PANEL, *behind = y + (rows - 1 + t) * BM_PANEL;
        const double *mirrored = y + t * BM_PANEL, *from = y + (rows - 1 - t) * BM_PANEL;

        for (size_t c = 0; c < BM_PANEL; c++)
            before[c] = 2.0 * first[c] - mirrored[c];
        for (size_t c = 0; c < BM_PANEL; c++)
            behind[c] = 2.0 * last[c] - from[c];
    }
}

/* One section over n rows that are `step` doubles apart (backwards where step is negative). `level`: the first value,
 * which the whole filter has seen for ever. */
BM_VECTOR static void run_section(const struct bm_section *s, double *y, ptrdiff_t step, size_t n,
                                  const double level[BM_PANEL])
{
    const double b0 = s->b[0], b1 = s->b[1], b2 = s->b[2], a1 = s->a[1], a2 = s->a[2];
    double z1[BM_PANEL], z2[BM_PANEL];

    for (size_t c = 0; c < BM_PANEL; c++) {
        z1[c] = s->start[0] * level[c];
        z2[c] = s->start[1] * level[c];
    }
    for (size_t t = 0; t < n; t++, y += step) {
        for (size_t c = 0; c < BM_PANEL; c++) {
            const double x = y[c], v = b0 * x + z1[c];

            z1[c] = b1 * x - a1 * v + z2[c];
            z2[c] = b2 * x - a2 * v;
            y[c] = v;
        }
    }
}

static void run_all(const struct bm_butterworth *f, double *y, ptrdiff_t step, size_t n)
{
    double level[BM_PANEL];

    memcpy(level, y, sizeof level);
    for (size_t k = 0; k < f->nsections; k++)
        run_section(&f->sections[k], y, step, n, level);
}

void bm_butterworth_panel(const struct bm_butterworth *f, struct bm_panel *p)
{
    const size_t n = p->rows + 2 * f->pad;
    double *first = p->y - f->pad * BM_PANEL;

    extend(p->y, p->rows, f->pad);
    run_all(f, first, BM_PANEL, n);
    run_all(f, first + (n - 1) * BM_PANEL, -(ptrdiff_t)BM_PANEL, n);
}
