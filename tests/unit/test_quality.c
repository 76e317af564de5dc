#include "ops/basis.h"
#include "ops/quality.h"
#include "samples.h"
#include "unit.h"

#define ROWS 40
#define COLS 150 /* two whole panels and a part of one */
#define ORDERS 4

static double data[ROWS * COLS], scratch[(ROWS + ORDERS) * BM_PANEL], basis[ROWS * ORDERS];
static double mean[COLS], sd[COLS], signal[ROWS], change[ROWS], carpet[ROWS * COLS];
static const size_t picks[] = {0, 63, 64, 149};

static struct bm_quality measure(enum bm_dtype type, double slope, double inter, size_t rows, size_t cols,
                                 size_t order)
{
    struct bm_work w = {.data = data, .dtype = type, .slope = slope, .inter = inter, .rows = rows, .cols = cols};
    struct bm_quality q = {.mean = mean, .sd = sd, .signal = signal, .change = change, .picks = picks};

    q.npicks = cols == COLS ? COUNT(picks) : 1;
    q.carpet = carpet;
    w.scratch = scratch;
    CHECK(bm_poly_basis(basis, rows, order));
    CHECK(bm_quality_scratch(rows, order) <= COUNT(scratch));
    bm_quality_of(&w, basis, order, &q);
    return q;
}

/* 1 2 3 4 7 by hand: mean 3.4; about it squares of 5.76 1.96 .16 .36 12.96; the line is 0.6 + 1.4 t, residues
 * .4 0 -.4 -.8 .8, whose squares sum to 1.6. */
static void known_values(void)
{
    static const double values[] = {1, 2, 3, 4, 7}, jumps[] = {0, 1, 1, 1, 9};
    struct bm_quality q;

    for (size_t t = 0; t < 5; t++)
        set_sample(data, BM_I16, t, values[t]);
    q = measure(BM_I16, 1, 0, 5, 1, 0);
    CHECK(fabs(mean[0] - 3.4) < 1e-15 && fabs(sd[0] - sqrt(21.2 / 5)) < 1e-14);
    CHECK(q.finite == 1 && q.constant == 0 && q.nonfinite == 0);
    (void)measure(BM_I16, 1, 0, 5, 1, 1);
    CHECK(fabs(sd[0] - sqrt(1.6 / 5)) < 1e-14 && fabs(carpet[4] - 0.8 / sqrt(1.6 / 5)) < 1e-14);
    for (size_t t = 0; t < 5; t++)
        CHECK_ROW(signal[t] == values[t] && change[t] == jumps[t], t);
    (void)measure(BM_I16, 1, 10, 5, 1, 1);
    CHECK(fabs(mean[0] - 13.4) < 1e-14 && fabs(sd[0] - sqrt(1.6 / 5)) < 1e-14 && signal[4] == 17);
    (void)measure(BM_I16, -2, 10, 5, 1, 1);
    CHECK(fabs(mean[0] - 3.2) < 1e-14 && fabs(sd[0] - 2 * sqrt(1.6 / 5)) < 1e-14 && signal[4] == -4);
}

static void fill(enum bm_dtype type, uint64_t seed)
{
    struct bm_random r;

    bm_random_seed(&r, seed, 0);
    for (size_t i = 0; i < ROWS * COLS; i++)
        set_sample(data, type, i, floor(100 * bm_random_unit(&r)));
}

/* Sums over all voxels, with an intercept that must not reach the padding; the carpet is in its places. */
static void sums_over_voxels(void)
{
    struct bm_quality q;

    fill(BM_I16, 1);
    q = measure(BM_I16, 0.5, 3, ROWS, COLS, 2);
    CHECK(q.finite == COLS && q.constant == 0);
    for (size_t t = 0; t < ROWS; t++) {
        double sum = 0, squares = 0;

        for (size_t c = 0; c < COLS; c++) {
            const double y = 0.5 * (double)sample_at(data, BM_I16, t * COLS + c);
            const double before = t ? 0.5 * (double)sample_at(data, BM_I16, (t - 1) * COLS + c) : y;

            sum += y + 3;
            squares += (y - before) * (y - before);
        }
        CHECK_ROW(signal[t] == sum && change[t] == squares, t); /* exact: halves of whole numbers */
    }
    for (size_t k = 0; k < COUNT(picks); k++) {
        double square = 0;

        for (size_t t = 0; t < ROWS; t++)
            square += carpet[t * COUNT(picks) + k] * carpet[t * COUNT(picks) + k];
        CHECK_ROW(fabs(square / ROWS - 1) < 1e-13, k);
    }
}

static void odd_voxels(void)
{
    struct bm_quality q;

    fill(BM_F32, 2);
    for (size_t t = 0; t < ROWS; t++) {
        set_sample(data, BM_F32, t * COLS, 7);                 /* constant */
        set_sample(data, BM_F32, t * COLS + 1, 3 * (double)t); /* nothing but trend */
    }
    set_sample(data, BM_F32, 5 * COLS + 149, NAN);
    set_sample(data, BM_F32, 6 * COLS + 149, INFINITY);
    q = measure(BM_F32, 1, 0, ROWS, COLS, 1);
    CHECK(q.finite == COLS - 1 && q.constant == 2 && q.nonfinite == 2);
    CHECK(mean[0] == 7 && sd[0] == 0 && sd[1] == 0 && isnan(mean[149]) && isnan(sd[149]) && isfinite(sd[148]));
    for (size_t t = 0; t < ROWS; t++)
        CHECK_ROW(carpet[t * COUNT(picks)] == 0 && isnan(carpet[t * COUNT(picks) + 3]) && isfinite(signal[t]), t);
}

/* A voxel has the same bits wherever it stands. */
static void place_does_not_matter(void)
{
    double there[3];

    fill(BM_F64, 3);
    (void)measure(BM_F64, 1.25, -3, ROWS, COLS, 3);
    there[0] = mean[77];
    there[1] = sd[77];
    for (size_t t = 0; t < ROWS; t++)
        data[t] = data[t * COLS + 77];
    (void)measure(BM_F64, 1.25, -3, ROWS, 1, 3);
    CHECK(there[0] == mean[0] && there[1] == sd[0]);
}

static void any_scale(void)
{
    static const double scales[] = {1e-300, 1e-160, 1e160, 1e300};

    for (size_t k = 0; k < COUNT(scales); k++) {
        fill(BM_F64, 4);
        (void)measure(BM_F64, 1, 0, ROWS, COLS, 1);
        double expected = sd[9];
        for (size_t i = 0; i < ROWS * COLS; i++)
            data[i] *= scales[k];
        CHECK_ROW(measure(BM_F64, 1, 0, ROWS, COLS, 1).constant == 0, k);
        CHECK_ROW(fabs(sd[9] / scales[k] / expected - 1) < 1e-12, k);
    }
}

static void medians(void)
{
    double odd[] = {5, NAN, 1, 3, INFINITY}, even[] = {4, 1, 3, 2}, none[] = {NAN};

    CHECK(bm_median(odd, COUNT(odd)) == 3);
    CHECK(bm_median(even, COUNT(even)) == 2.5);
    CHECK(isnan(bm_median(none, 1)) && isnan(bm_median(none, 0)));
}

static void picks_are_spread(void)
{
    size_t some[10];

    bm_quality_picks(some, 10, 10);
    for (size_t k = 0; k < 10; k++)
        CHECK_ROW(some[k] == k, k);
    bm_quality_picks(some, 3, 100);
    CHECK(some[0] == 16 && some[1] == 50 && some[2] == 83);
    bm_quality_picks(some, 1, 7);
    CHECK(some[0] == 3);
}

int main(void)
{
    static const struct unit_test all[] = {UNIT(known_values),    UNIT(sums_over_voxels),      UNIT(odd_voxels),
                                           UNIT(any_scale),       UNIT(place_does_not_matter), UNIT(medians),
                                           UNIT(picks_are_spread)};

    return unit_main(all, COUNT(all));
}
