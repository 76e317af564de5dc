#include "core/tally.h"
#include "unit.h"

#include <math.h>

#define ROWS 4
#define COLS 6

/* One column each: varies, 0, 0 and -0, constant, NaN once, infinite throughout. */
static const double matrix[ROWS][COLS] = {
    {1, 0, 0, 7, 2, INFINITY},
    {2, 0, -0.0, 7, NAN, INFINITY},
    {1, 0, 0, 7, 2, INFINITY},
    {-5.5, 0, 0, 7, 2, INFINITY},
};

static void check(struct bm_tally_result r)
{
    CHECK(r.samples == 24 && r.nonfinite == 5 && r.min == -5.5 && r.max == 7);
    CHECK(r.mean == 32.5 / 19);
    CHECK(r.zero_cols == 2 && r.constant_cols == 1 && r.nonfinite_cols == 2);
}

static void all_at_once(void)
{
    struct bm_tally t;
    struct bm_error err = {0};
    int rc = bm_tally_begin(&t, COLS, &err);

    REQUIRE(rc == 0, &err);
    bm_tally_add(&t, 0, ROWS, COLS, matrix[0]);
    check(bm_tally_end(&t));
    CHECK(!t.first && !t.state);
}

static void row_by_row_and_block_by_block(void)
{
    struct bm_tally t;
    struct bm_error err = {0};
    double block[2 * 3];
    int rc = bm_tally_begin(&t, COLS, &err);

    REQUIRE(rc == 0, &err);
    for (size_t r = 0; r < ROWS; r++)
        bm_tally_add(&t, 0, 1, COLS, matrix[r]);
    check(bm_tally_end(&t));

    rc = bm_tally_begin(&t, COLS, &err);
    REQUIRE(rc == 0, &err);
    for (size_t first = COLS; first > 0; first -= 3) {
        for (size_t r = 0; r < ROWS; r += 2) {
            memcpy(block, &matrix[r][first - 3], sizeof block / 2);
            memcpy(block + 3, &matrix[r + 1][first - 3], sizeof block / 2);
            bm_tally_add(&t, first - 3, 2, 3, block);
        }
    }
    check(bm_tally_end(&t));
}

static void scaled_samples(void)
{
    static const int16_t samples[2][3] = {{-4, 10, 3}, {2, 10, 4}};
    static const double lowest[] = {-8, 96, -4};
    struct bm_tally t;
    struct bm_error err = {0};
    double line[3];
    int rc = bm_tally_begin(&t, 3, &err);

    REQUIRE(rc == 0, &err);
    bm_tally_add_samples(&t, 0, 2, 3, samples, BM_I16, 0.5, -5, line);
    struct bm_tally_result r = bm_tally_end(&t);
    CHECK(r.min == -7 && r.max == 0 && r.zero_cols == 1 && r.constant_cols == 0 && r.nonfinite == 0);
    CHECK(r.mean == (12.5 - 30) / 6);
    for (int k = 0; k < 3; k++) { /* slope, intercept, neither */
        rc = bm_tally_begin(&t, 3, &err);
        REQUIRE(rc == 0, &err);
        bm_tally_add_samples(&t, 0, 2, 3, samples, BM_I16, k ? 1 : 2, k == 1 ? 100 : 0, line);
        r = bm_tally_end(&t);
        CHECK_ROW(r.min == lowest[k] && r.max == lowest[k] + (k ? 14 : 28) && r.constant_cols == 1, k);
    }
}

static void nothing_finite_and_nothing_at_all(void)
{
    static const double nan = NAN;
    struct bm_tally t;
    struct bm_error err = {0};

    for (size_t rows = 0; rows < 2; rows++) {
        int rc = bm_tally_begin(&t, 1, &err);
        REQUIRE(rc == 0, &err);
        bm_tally_add(&t, 0, rows, 1, &nan);
        struct bm_tally_result r = bm_tally_end(&t);
        CHECK(isnan(r.min) && isnan(r.max) && isnan(r.mean) && r.samples == rows && r.nonfinite_cols == rows);
        CHECK(r.zero_cols == 0 && r.constant_cols == 0);
    }
}

int main(void)
{
    static const struct unit_test all[] = {
        UNIT(all_at_once),
        UNIT(row_by_row_and_block_by_block),
        UNIT(scaled_samples),
        UNIT(nothing_finite_and_nothing_at_all),
    };

    return unit_main(all, COUNT(all));
}
