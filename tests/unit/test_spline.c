#include "ops/random.h"
#include "ops/spline.h"
#include "unit.h"

#include <math.h>
#include <stdint.h>

#define T 30

static double y[T * BM_PANEL], slopes[T * BM_PANEL];

/* scipy 1.17: CubicSpline through x[t] = t*t*7919 % 101 - 50 + 3 t at the known rows, at t = 0, 4, 10, 13, 24, 29. */
static const struct {
    size_t n, at[20];
    double y[6];
} known[] = {
    {4,
     {2, 3, 5, 6},
     {-302.5, -4.8333333333333357, 1891.6666666666656, 6446.6666666666624, 69643.499999999927, 135315.99999999988}},
    {4,
     {0, 1, 2, 9},
     {-50, 31.238095238095127, 112.14285714285745, 415.52380952381156, 5496.4761904762199, 11086.00000000006}},
    {8,
     {0, 5, 6, 7, 8, 20, 21, 29},
     {-50, -75.813404788206839, 91.253515091511403, 114.51811390724123, -79.524426428564908, 77}},
    {20,
     {3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22},
     {-1674.3772090246589, 12, 40, 50, 936.99646317764359, 13811.925726730515}},
    {4, {0, 14, 15, 29}, {-50, 101.55665024630655, 116.12315270936013, 68.408866995074021, -62.669950738915077, 77}},
    {10,
     {1, 4, 7, 10, 13, 16, 19, 22, 25, 28},
     {22.420363796752213, 12, 40, 50, 88.01910166206514, 11.955744706116882}},
};

static double sample(size_t t)
{
    return (double)(t * t * 7919 % 101) - 50 + 3 * (double)t;
}

static bool is_known(const size_t *at, size_t n, size_t t)
{
    bool found = false;

    for (size_t i = 0; i < n; i++)
        found |= at[i] == t;
    return found;
}

/* Fills the panel from f at the known rows, and with NaN elsewhere. */
static void interpolate(const size_t *at, size_t n, double (*f)(size_t))
{
    struct bm_panel p = {.rows = T, .n = BM_PANEL, .y = y};
    struct bm_error err = {0};
    struct bm_spline s;

    for (size_t t = 0; t < T; t++)
        for (size_t c = 0; c < BM_PANEL; c++)
            y[t * BM_PANEL + c] = is_known(at, n, t) ? (1 + (double)c) * f(t) : NAN;
    REQUIRE(bm_spline_make(&s, at, n, &err) == 0, &err);
    bm_spline_panel(&s, &p, slopes);
    bm_spline_clear(&s);
}

static void values_are_those_of_scipy(void)
{
    static const size_t at[] = {0, 4, 10, 13, 24, 29};

    for (size_t i = 0; i < COUNT(known); i++) {
        interpolate(known[i].at, known[i].n, sample);
        for (size_t k = 0; k < COUNT(at); k++)
            for (size_t c = 0; c < BM_PANEL; c += 7) {
                double want = known[i].y[k], got = y[at[k] * BM_PANEL + c] / (1 + (double)c);
                CHECK_ROW(fabs(got - want) <= 1e-11 * (100 + fabs(want)), 10 * i + k);
            }
    }
}

static double cubic(size_t t)
{
    double x = (double)t - 11.5;

    return 3 - 2 * x + 0.25 * x * x - 0.125 * x * x * x;
}

/* Not-a-knot reproduces cubics, whatever rows are known, also outside them. */
static void cubics_come_back(void)
{
    struct bm_random r;

    bm_random_seed(&r, 3, 0);
    for (size_t round = 0; round < 300; round++) {
        size_t at[T], n = 0;
        for (size_t t = 0; t < T; t++)
            if (bm_random_unit(&r) < 0.2 + 0.7 * (double)(round % 10) / 10)
                at[n++] = t;
        if (n < BM_SPLINE_LEAST)
            continue;
        interpolate(at, n, cubic);
        for (size_t t = 0; t < T; t++)
            for (size_t c = 0; c < BM_PANEL; c += 13)
                CHECK_ROW(fabs(y[t * BM_PANEL + c] / (1 + (double)c) - cubic(t)) < 1e-6, round);
    }
}

static double high(size_t t)
{
    return 1e9 + sample(t);
}

/* A level takes no more digits than its own rounding, also where the weights of far rows are large. */
static void level_costs_no_digits(void)
{
    static double low[T];

    for (size_t i = 0; i < COUNT(known); i++) {
        interpolate(known[i].at, known[i].n, sample);
        for (size_t t = 0; t < T; t++)
            low[t] = y[t * BM_PANEL];
        interpolate(known[i].at, known[i].n, high);
        for (size_t t = 0; t < T; t++)
            CHECK_ROW(fabs(y[t * BM_PANEL] - 1e9 - low[t]) <= 2e-7 + 1e-13 * fabs(low[t]), i);
    }
}

static void known_rows_keep_their_bits(void)
{
    for (size_t i = 0; i < COUNT(known); i++) {
        interpolate(known[i].at, known[i].n, sample);
        for (size_t t = 0; t < T; t++)
            for (size_t c = 0; c < BM_PANEL; c++) {
                double want = (1 + (double)c) * sample(t), *got = &y[t * BM_PANEL + c];
                CHECK_ROW(isfinite(*got), i);
                CHECK_ROW(!is_known(known[i].at, known[i].n, t) || memcmp(got, &want, sizeof want) == 0, i);
            }
    }
}

static void too_few_rows(void)
{
    static const size_t at[] = {1, 5, 9, 12};

    for (size_t n = 0; n <= 4; n++) {
        struct bm_error err = {0};
        struct bm_spline s;
        CHECK_ROW((bm_spline_make(&s, at, n, &err) == 0) == (n == 4), n);
        CHECK_ROW(n == 4 || err.code == BM_EDATA, n);
        bm_spline_clear(&s);
    }
}

int main(void)
{
    static const struct unit_test all[] = {
        UNIT(values_are_those_of_scipy),  UNIT(cubics_come_back), UNIT(level_costs_no_digits),
        UNIT(known_rows_keep_their_bits), UNIT(too_few_rows),
    };
    return unit_main(all, COUNT(all));
}
