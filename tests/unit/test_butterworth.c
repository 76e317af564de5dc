#include "ops/butterworth.h"
#include "unit.h"

#include <complex.h>
#include <math.h>
#include <stdint.h>

#define T 80
#define MOST 90 /* rows of padding */

static double room[(T + 2 * MOST) * BM_PANEL];

/* scipy 1.17: sosfiltfilt(butter(order, edges, output="sos", fs=1), x) with x[t] = t*t*7919 % 101 - 50 + 3 t, at
 * t = 0, 1, 40, 78, 79; and its padding. */
static const struct {
    size_t order;
    double high, low;
    size_t pad;
    double y[5];
} known[] = {
    {1,
     0.05,
     0,
     6,
     {-1.5183001038719652, 25.77780037781627, 8.9463201419410847, 20.608106550696021, -3.0421912481387707}},
    {1,
     0,
     0.2,
     6,
     {-49.999850978059357, -13.551956756829711, 113.61349095073712, 251.54334364797415, 234.99974910248432}},
    {2,
     0.02,
     0,
     9,
     {5.7873096307965426, 41.216599984452664, 2.4541509037162399, 31.669666588731168, 2.5839624688011931}},
    {3,
     0,
     0.1,
     12,
     {-49.903041683649363, -27.36854014058693, 109.75089243884162, 241.82953961996952, 234.75777740755967}},
    {5,
     0.01,
     0,
     18,
     {0.36406869513201912, 39.652216473909391, 0.13988064314421322, 22.214484026235873, -5.0843213039650266}},
    {5,
     0,
     0.3,
     18,
     {-50.013420356143151, -9.933068706157675, 119.72177090637348, 263.50719706792984, 234.97948111670337}},
    {5,
     0.02,
     0.2,
     33,
     {0.82654085123912679, 42.024423144992724, -10.331070994021864, 17.012189930649431, -3.6203108089255025}},
    {4,
     0.1,
     0.12,
     27,
     {0.16926205576786862, -3.8274668082617445, -3.4871666090675388, -0.066315253824169557, -0.029904400272111928}},
    {2,
     0.0125,
     0.4,
     15,
     {-1.8494071198071538, 37.746572976358799, 10.310560254303518, 21.478030803389856, -2.1646705479896844}},
    {12,
     0,
     0.25,
     39,
     {-50.021698209604367, -7.5063752139709168, 108.06343621288246, 261.49071026390584, 235.08053996165398}},
    {7,
     0.25,
     0,
     24,
     {0.012195232708546055, 0.65599688502712961, 12.604559849378306, -1.6839191255523842, -0.15774433180959679}},
    {3,
     0.05,
     0.45,
     21,
     {-0.80318007860539886, 28.070706555036523, 12.550547920228746, 25.44462903575932, -0.79264844502621479}},
    {1,
     0.05,
     0.2,
     9,
     {-0.15340816144585823, 25.647988542432273, 0.68418680023829737, 20.511919910336147, 0.14600124857868657}},
    {6,
     0.03,
     0.3,
     39,
     {0.26779073666265774, 29.231224419834476, 5.8503813212572222, 36.159387004625138, 2.1423025045984865}},
};

static double sample(size_t t)
{
    return (double)(t * t * 7919 % 101) - 50 + 3 * (double)t;
}

static void values_are_those_of_scipy(void)
{
    static const size_t at[] = {0, 1, 40, 78, 79};

    for (size_t i = 0; i < COUNT(known); i++) {
        struct bm_butterworth f;
        struct bm_panel p = {.rows = T, .n = BM_PANEL, .y = room + MOST * BM_PANEL};
        CHECK_ROW(bm_butterworth(&f, known[i].order, known[i].high, known[i].low), i);
        CHECK_ROW(f.pad == known[i].pad, i);
        for (size_t t = 0; t < T; t++)
            for (size_t c = 0; c < BM_PANEL; c++)
                p.y[t * BM_PANEL + c] = (1 + (double)c) * sample(t);
        bm_butterworth_panel(&f, &p);
        for (size_t k = 0; k < COUNT(at); k++)
            for (size_t c = 0; c < BM_PANEL; c += 9)
                CHECK_ROW(fabs(p.y[at[k] * BM_PANEL + c] / (1 + (double)c) - known[i].y[k]) < 1e-9, i);
    }
}

/* |H|^2 at w (radians a sample), from the sections. */
static long double gain(const struct bm_butterworth *f, long double w)
{
    long double complex z = cexpl(-w * I);
    long double all = 1;

    for (size_t k = 0; k < f->nsections; k++) {
        const struct bm_section *s = &f->sections[k];
        long double h = cabsl((s->b[0] + z * (s->b[1] + z * s->b[2])) / (s->a[0] + z * (s->a[1] + z * s->a[2])));
        all *= h * h;
    }
    return all;
}

/* Butterworth's law: |H|^2 = 1 / (1 + x^2N), with x from the warped frequencies. */
static long double law(size_t order, double high, double low, long double w)
{
    const long double pi = 3.141592653589793238462643383279502884L;
    long double v = tanl(w / 2), h = tanl(pi * (long double)high), l = tanl(pi * (long double)low), x;

    x = low <= 0 ? h / v : high <= 0 ? v / l : (v * v - h * l) / (v * (l - h));
    return 1 / (1 + powl(x * x, (long double)order));
}

static void gain_follows_butterworths_law(void)
{
    static const double edges[][2] = {{.01, 0},  {.3, 0},   {0, .01},    {0, .25},   {0, .49},
                                      {.01, .1}, {.1, .12}, {.005, .45}, {.24, .26}, {.2, .4}};

    for (size_t i = 0; i < COUNT(edges); i++)
        for (size_t order = 1; order <= BM_MAX_FILTER_ORDER; order++) {
            struct bm_butterworth f;
            CHECK_ROW(bm_butterworth(&f, order, edges[i][0], edges[i][1]), i);
            for (int k = 1; k < 60; k++) {
                long double w = 3.1L * k / 60, want = law(order, edges[i][0], edges[i][1], w), got = gain(&f, w);
                CHECK_ROW(fabsl(got - want) <= 1e-9L + 1e-5L * want || want < 1e-12L, 100 * i + order);
            }
        }
}

static void constants_pass_or_vanish(void)
{
    for (size_t i = 0; i < COUNT(known); i++) {
        struct bm_butterworth f;
        struct bm_panel p = {.rows = T, .n = BM_PANEL, .y = room + MOST * BM_PANEL};
        (void)bm_butterworth(&f, known[i].order, known[i].high, known[i].low);
        for (size_t c = 0; c < T * BM_PANEL; c++)
            p.y[c] = 1000;
        bm_butterworth_panel(&f, &p);
        for (size_t c = 0; c < T * BM_PANEL; c++)
            CHECK_ROW(fabs(p.y[c] - (known[i].high > 0 ? 0 : 1000)) < 1e-7, i);
    }
}

/* A series and its mirror image give results that are mirror images, up to how a filter that runs forwards first
 * differs from one that runs backwards first; a middle far from both ends shows no delay. */
static void nothing_is_delayed(void)
{
    struct bm_butterworth f;
    struct bm_panel p = {.rows = T, .n = BM_PANEL, .y = room + MOST * BM_PANEL};

    CHECK(bm_butterworth(&f, 5, 0, .3));
    for (size_t t = 0; t < T; t++)
        for (size_t c = 0; c < BM_PANEL; c++)
            p.y[t * BM_PANEL + c] = t == 40;
    bm_butterworth_panel(&f, &p);
    for (size_t k = 1; k < 30; k++)
        CHECK_ROW(fabs(p.y[(40 - k) * BM_PANEL] - p.y[(40 + k) * BM_PANEL]) < 1e-9, k);
    CHECK(p.y[40 * BM_PANEL] > 0.5);
}

static void what_makes_no_sense_is_refused(void)
{
    struct bm_butterworth f;

    CHECK(!bm_butterworth(&f, 0, .1, 0) && !bm_butterworth(&f, 13, .1, 0) && !bm_butterworth(&f, 5, 0, 0));
    CHECK(!bm_butterworth(&f, 5, .5, 0) && !bm_butterworth(&f, 5, 0, .5) && !bm_butterworth(&f, 5, NAN, .2));
    CHECK(!bm_butterworth(&f, 5, .2, .2) && !bm_butterworth(&f, 5, .3, .2));
}

int main(void)
{
    static const struct unit_test all[] = {
        UNIT(values_are_those_of_scipy), UNIT(gain_follows_butterworths_law),  UNIT(constants_pass_or_vanish),
        UNIT(nothing_is_delayed),        UNIT(what_makes_no_sense_is_refused),
    };
    return unit_main(all, COUNT(all));
}
