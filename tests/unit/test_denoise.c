#include "ops/denoise.h"
#include "ops/random.h"
#include "samples.h"
#include "unit.h"

#define T 90
#define MAX_COLS 130
#define FLAT 1e300 /* stands for a slope of 0 */

static double data[T * MAX_COLS], out[T * MAX_COLS], other[T * MAX_COLS], confounds[T * 80];
static size_t keep[T], nkept;

static const struct bm_denoise_settings plain = {.order = 1, .filter_order = 5};

/* Cleans `data` (BM_F64, T x cols) into `to`; leaves out the rows that are not in keep[nkept], if nkept > 0. */
static struct bm_work clean_into(double *to, const struct bm_denoise_settings *set, size_t ncols, size_t cols,
                                 struct bm_work w)
{
    struct bm_denoise_run run = {.label = "r", .tr = 2, .volumes = T, .rows = T, .kept = nkept ? nkept : T};
    struct bm_error err = {0};
    struct bm_denoise *plan;

    run.keep = run.at = nkept ? keep : NULL;
    run.confounds = confounds;
    run.ncols = ncols;
    plan = bm_denoise_plan(set, &run, &err);
    if (!plan) {
        unit_fail("%s", err.text);
        return w;
    }
    w.data = w.data ? w.data : data;
    w.dtype = w.dtype ? w.dtype : BM_F64;
    w.slope = w.slope != 0 ? w.slope : 1;
    w.slope = w.slope == FLAT ? 0 : w.slope;
    w.rows = T;
    w.cols = cols;
    w.out = to;
    w.out_dtype = BM_F64;
    w.scratch = malloc(bm_denoise_scratch(plan) * sizeof *w.scratch);
    bm_denoise(plan, &w);
    free(w.scratch);
    bm_denoise_free(plan);
    return w;
}

/* The rows from the third on, as a run of their own, give what is in `out`. */
static void check_alone(const struct bm_denoise_settings *set, const struct bm_denoise_run *run, size_t cols)
{
    struct bm_error err = {0};
    struct bm_denoise *plan = bm_denoise_plan(set, run, &err);
    struct bm_work w = {.data = data + 3 * cols, .dtype = BM_F64, .slope = 1, .rows = run->rows, .cols = cols};

    REQUIRE(plan, &err);
    w.out = other;
    w.out_dtype = BM_F64;
    w.scratch = malloc(bm_denoise_scratch(plan) * sizeof *w.scratch);
    bm_denoise(plan, &w);
    CHECK(memcmp(out, other, run->rows * cols * sizeof *out) == 0);
    free(w.scratch);
    bm_denoise_free(plan);
}

static void make_data(size_t cols, size_t ncols, uint64_t seed)
{
    struct bm_random r;

    bm_random_seed(&r, seed, 0);
    for (size_t t = 0; t < T; t++) {
        for (size_t c = 0; c < cols; c++)
            data[t * cols + c] = 500 + (double)c + 20 * bm_random_unit(&r) + 0.3 * (double)t;
        for (size_t c = 0; c < ncols; c++)
            confounds[t * ncols + c] = bm_random_unit(&r) - 0.5;
    }
}

static void leave_out(const size_t *rows, size_t n)
{
    nkept = 0;
    for (size_t t = 0; t < T; t++) {
        bool gone = false;
        for (size_t i = 0; i < n; i++)
            gone |= rows[i] == t;
        if (!gone)
            keep[nkept++] = t;
    }
}

static const size_t gone[] = {0, 1, 17, 18, 19, 40, 60, 61, 62, 63, 64, 65, 88, 89};
static const struct bm_denoise_settings kinds[] = {
    {.order = 1, .filter_order = 5},
    {.order = 3, .high_pass = 0.02, .filter_order = 5},
    {.order = -1, .high_pass = 0.02, .filter_order = 5},
    {.order = 1, .high_pass = 0.02, .low_pass = 0.15, .butterworth = true, .filter_order = 3},
    {.order = 0, .low_pass = 0.15, .butterworth = true, .filter_order = 2, .drop_ends = true, .keep_mean = true},
    {.order = -1, .high_pass = 0.01, .butterworth = true, .filter_order = 5, .drop_ends = true},
    {.order = -1, .low_pass = 0.2, .butterworth = true, .filter_order = 2},
    {.order = 2, .butterworth = true, .filter_order = 2}, /* nothing to filter */
};

/* The same column at every place among all kinds of neighbours, for every way of cleaning. */
static void bits_do_not_depend_on_the_place(void)
{
    static const size_t widths[] = {1, 2, 63, 64, 65, 130};
    static double column[T];

    for (size_t k = 0; k < 2 * COUNT(kinds); k++) {
        double want[T];
        size_t rows = T;
        make_data(1, 9, 3);
        memcpy(column, data, sizeof column);
        nkept = 0;
        if (k % 2) {
            leave_out(gone, COUNT(gone));
            rows = nkept;
        }
        (void)clean_into(want, &kinds[k / 2], 9, 1, (struct bm_work){0});
        for (size_t w = 0; w < COUNT(widths); w++)
            for (size_t place = 0; place < widths[w]; place += 1 + widths[w] / 7) {
                struct bm_random r;
                bm_random_seed(&r, place, 1);
                for (size_t i = 0; i < T * widths[w]; i++) {
                    double v = bm_random_unit(&r);
                    data[i] = v < 0.01 ? NAN : v < 0.02 ? 1e300 * v : v < 0.03 ? 0 : v * 1000;
                }
                for (size_t t = 0; t < T; t++)
                    data[t * widths[w] + place] = column[t];
                (void)clean_into(out, &kinds[k / 2], 9, widths[w], (struct bm_work){0});
                for (size_t t = 0; t < rows; t++)
                    CHECK_ROW(memcmp(&out[t * widths[w] + place], &want[t], sizeof *want) == 0, 1000 * k + place);
            }
    }
    nkept = 0;
}

/* All rows kept by name are all rows; so are those that are kept side by side, where the filter drops the ends. */
static void rows_without_gaps_are_not_interpolated(void)
{
    static const size_t ends[] = {0, 1, 2, 87, 88, 89};

    for (size_t k = 0; k < COUNT(kinds); k++) {
        struct bm_denoise_settings set = kinds[k];
        make_data(4, 9, k);
        nkept = 0;
        (void)clean_into(other, &set, 9, 4, (struct bm_work){0});
        leave_out(NULL, 0);
        (void)clean_into(out, &set, 9, 4, (struct bm_work){0});
        CHECK_ROW(memcmp(out, other, sizeof *out * T * 4) == 0, k);
        if (!set.butterworth)
            continue;
        leave_out(ends, COUNT(ends));
        set.drop_ends = true;
        (void)clean_into(out, &set, 9, 4, (struct bm_work){0});
        const struct bm_denoise_run run = {.label = "r",
                                           .tr = 2,
                                           .volumes = T - 6,
                                           .rows = T - 6,
                                           .kept = T - 6,
                                           .confounds = confounds + 27,
                                           .ncols = 9};
        check_alone(&set, &run, 4);
    }
    nkept = 0;
}

/* What is made of confounds, trend and drifts alone vanishes, and nothing else does. */
static void what_is_taken_out_is_gone(void)
{
    for (size_t k = 0; k < 2; k++) {
        struct bm_work w;
        make_data(3, 9, 5);
        for (size_t t = 0; t < T; t++) {
            /* a trend goes by rows, so with gaps in time there is none here */
            data[t * 3] = 100 + (k ? 0 : 3) * (double)t - 2 * confounds[t * 9 + 4] + confounds[t * 9 + 8];
            data[t * 3 + 1] = 1000 * confounds[t * 9];
        }
        nkept = 0;
        if (k)
            leave_out(gone, COUNT(gone));
        w = clean_into(out, &plain, 9, 3, (struct bm_work){0});
        CHECK_ROW(w.nothing == 2 && w.nonfinite == 0 && !w.overflow, k);
        for (size_t t = 0; t < (k ? nkept : T); t++)
            CHECK_ROW(out[t * 3] <= 0 && out[t * 3] >= 0 && fabs(out[t * 3 + 2]) > 0, k);
    }
    nkept = 0;
}

/* value = slope * sample + inter must come out as if it had come in, whatever is done. */
static void scaling_comes_last(void)
{
    for (size_t k = 0; k < 2 * COUNT(kinds); k++) {
        struct bm_denoise_settings set = kinds[k / 2];
        double most = 0;
        set.keep_mean = k % 2;
        make_data(5, 9, k);
        (void)clean_into(out, &set, 9, 5, (struct bm_work){.slope = -0.25, .inter = 700});
        for (size_t i = 0; i < T * 5; i++)
            data[i] = data[i] * -0.25 + 700;
        (void)clean_into(other, &set, 9, 5, (struct bm_work){0});
        for (size_t i = 0; i < T * 5; i++)
            most = fmax(most, fabs(out[i] - other[i]));
        CHECK_ROW(most < 1e-9, k);
    }
}

/* With a slope of 0 all values are the intercept, whatever the samples are. */
static void a_slope_of_nothing(void)
{
    for (size_t k = 0; k < 2 * COUNT(kinds); k++) {
        struct bm_denoise_settings set = kinds[k / 2];
        const struct bm_work flat = {.slope = FLAT, .inter = -3, .zero = true};
        const bool mean_goes = set.order >= 0 || (set.butterworth && set.high_pass > 0);
        set.keep_mean = k % 2;
        make_data(5, 9, k);
        data[8] = NAN; /* counts as the value 0, which is out of reach: the intercept it is */
        CHECK_ROW(clean_into(out, &set, 9, 5, flat).nonfinite == 1, k);
        for (size_t i = 0; i < T * 5; i++)
            CHECK_ROW(out[i] == (mean_goes && !set.keep_mean ? 0 : -3), k);
    }
}

static void round_to(double *x, size_t n, double unit)
{
    for (size_t i = 0; i < n; i++)
        x[i] = rint(x[i] / unit) * unit;
}

/* Where the mean goes, the level of the samples does not matter to the bit, as long as they hold it without rounding;
 * that of the confounds costs no digits. */
static void levels_cost_no_digits(void)
{
    for (size_t k = 0; k < 2 * COUNT(kinds); k++) {
        struct bm_denoise_settings set = kinds[k / 2];
        double most = 0;
        size_t rows = T;
        if (set.order < 0 && !(set.butterworth && set.high_pass > 0))
            continue;
        set.keep_mean = false;
        nkept = 0;
        make_data(5, 9, k);
        round_to(data, T * 5, 0x1p-10);
        round_to(confounds, T * 9, 0x1p-20);
        if (k % 2) {
            leave_out(gone, COUNT(gone));
            rows = nkept;
        }
        (void)clean_into(other, &set, 9, 5, (struct bm_work){0});
        for (size_t i = 0; i < T * 5; i++)
            data[i] += 0x1p40;
        CHECK_ROW(clean_into(out, &set, 9, 5, (struct bm_work){0}).nothing == 0, k);
        CHECK_ROW(memcmp(out, other, rows * 5 * sizeof *out) == 0, k);
        for (size_t i = 0; i < T * 9; i++)
            confounds[i] += 0x1p30;
        (void)clean_into(out, &set, 9, 5, (struct bm_work){0});
        for (size_t i = 0; i < rows * 5; i++)
            most = fmax(most, fabs(out[i] - other[i]));
        CHECK_ROW(most < 1e-10, k);
    }
    nkept = 0;
}

static void means_come_back(void)
{
    for (size_t k = 0; k < 2; k++) {
        const struct bm_denoise_settings set = {.order = 2, .high_pass = 0.01, .keep_mean = true};
        make_data(70, 9, 11);
        for (size_t t = 0; t < T; t++)
            data[t * 70 + 69] = 777;
        nkept = 0;
        if (k)
            leave_out(gone, COUNT(gone));
        const size_t rows = k ? nkept : T;
        CHECK_ROW(clean_into(out, &set, 9, 70, (struct bm_work){0}).nothing == 1, k);
        for (size_t c = 0; c < 70; c++) {
            long double before = 0, after = 0;
            for (size_t t = 0; t < rows; t++) {
                before += data[(k ? keep[t] : t) * 70 + c] / (long double)rows;
                after += out[t * 70 + c] / (long double)rows;
            }
            CHECK_ROW(fabsl(before - after) < 1e-11L, c);
        }
        CHECK_ROW(fabs(out[69] - 777) < 1e-12 && fabs(out[70 * (rows - 1) + 69] - 777) < 1e-12, k);
    }
    nkept = 0;
}

/* Zero means the value 0, whatever the scaling; what is in rows that are left out does not matter. */
static void not_finite(void)
{
    static float samples[T * 3];
    static const double bad[] = {NAN, INFINITY, -INFINITY};

    for (size_t k = 0; k < COUNT(kinds); k++)
        for (size_t b = 0; b < 3; b++) {
            struct bm_work w = {.data = samples, .dtype = BM_F32, .slope = 2, .inter = 30};
            make_data(3, 9, 21);
            leave_out(gone, COUNT(gone));
            for (size_t i = 0; i < T * 3; i++)
                samples[i] = (float)data[i];
            samples[30 * 3 + 1] = samples[31 * 3 + 1] = -15;
            (void)clean_into(other, &kinds[k], 9, 3, w);
            samples[30 * 3 + 1] = samples[31 * 3 + 1] = (float)bad[b];
            samples[17 * 3] = samples[63 * 3 + 1] = (float)bad[b];
            w.zero = true;
            CHECK_ROW(clean_into(out, &kinds[k], 9, 3, w).nonfinite == 2, k);
            CHECK_ROW(memcmp(out, other, nkept * 3 * sizeof *out) == 0, k);
            w.zero = false;
            CHECK_ROW(clean_into(out, &kinds[k], 9, 3, w).nonfinite == 2, k);
            for (size_t i = 0; i < nkept * 3; i++)
                CHECK_ROW(i % 3 == 1 ? isnan(out[i]) : memcmp(&out[i], &other[i], sizeof *out) == 0, 10 * k + i % 3);
        }
    nkept = 0;
}

/* As many rows as are needed, and one less. */
static void too_few_rows(void)
{
    static const struct {
        struct bm_denoise_settings set;
        size_t ncols, least;
        const char *says;
    } rows[] = {
        {{.order = 1}, 0, 3, "--order 1"},
        {{.order = -1}, 0, 1, ""},
        {{.order = -1}, 3, 5, "3 regressors"},
        {{.order = 0}, 3, 5, "3 regressors"},
        {{.order = 2}, 4, 8, "4 regressors"},
        {{.order = 1, .high_pass = 0.05}, 0, 21, "18 regressors"},
        {{.order = 1, .butterworth = true, .high_pass = 0.1, .filter_order = 5}, 0, 19, "--filter-order 5"},
        {{.order = -1, .butterworth = true, .low_pass = 0.1, .filter_order = 1}, 3, 7, "--filter-order 1"},
        {{.order = -1, .butterworth = true, .high_pass = 0.1, .low_pass = .2, .filter_order = 2},
         0,
         16,
         "--filter-order 2"},
    };

    make_data(1, 9, 1);
    for (size_t i = 0; i < COUNT(rows); i++)
        for (size_t n = 1; n < 50; n++) {
            struct bm_denoise_run run = {.label = "r9", .tr = 2, .volumes = n, .rows = n, .kept = n};
            struct bm_error err = {0};
            struct bm_denoise *plan;
            if (i == 5) { /* as many drifts as 90 volumes have */
                run.volumes = run.rows = T;
                run.keep = run.at = keep;
                for (size_t t = 0; t < n; t++)
                    keep[t] = t * T / n;
            }
            run.confounds = confounds;
            run.ncols = rows[i].ncols;
            plan = bm_denoise_plan(&rows[i].set, &run, &err);
            CHECK_ROW((plan != NULL) == (n >= rows[i].least), 100 * i + n);
            if (!plan && n + 1 == rows[i].least) {
                CHECK_ERR_CONTAINS(&err, rows[i].says);
                CHECK_ERR_CONTAINS(&err, "run r9: ");
            }
            bm_denoise_free(plan);
        }
}

static void edges_beyond_the_sampling_rate(void)
{
    static const double edges[][2] = {{0.25, 0}, {0.3, 0}, {0.1, 0.25}, {0, 2}};

    for (size_t i = 0; i < COUNT(edges); i++) {
        const struct bm_denoise_settings set = {
            .order = 1, .butterworth = true, .filter_order = 2, .high_pass = edges[i][0], .low_pass = edges[i][1]};
        const struct bm_denoise_run run = {.label = "r", .tr = 2, .volumes = T, .rows = T, .kept = T};
        struct bm_error err = {0};
        CHECK_ROW(!bm_denoise_plan(&set, &run, &err), i);
        CHECK_ERR_CONTAINS(&err, "0.25 Hz");
        CHECK_ERR_CONTAINS(&err, edges[i][1] > 0.2 ? "--low-pass" : "--high-pass");
    }
}

/* Filters that cannot be, and gaps with too little on both sides. */
static void filters_that_cannot_be(void)
{
    static const struct {
        struct bm_denoise_settings set;
        size_t kept;
        const char *says;
    } rows[] = {
        {{.butterworth = true, .filter_order = 0, .low_pass = 0.1}, T, "no filter of order 0 from 0 to 0.1 Hz"},
        {{.butterworth = true, .filter_order = 2, .high_pass = 0.2, .low_pass = 0.1}, T, "from 0.2 to 0.1 Hz"},
        {{.order = -1, .butterworth = true, .filter_order = 1, .low_pass = 0.1}, 3, "3 volumes are left, too few"},
        {{.order = -1, .butterworth = true, .filter_order = 1, .low_pass = 0.1}, 4, NULL},
        {{.order = -1, .butterworth = true, .filter_order = 1, .low_pass = 0.1, .drop_ends = true}, 3, "are left"},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        static const size_t few[] = {3, 20, 21, 89};
        struct bm_denoise_run run = {.label = "r3", .tr = 2, .volumes = T, .rows = T, .kept = rows[i].kept};
        struct bm_error err = {0};
        struct bm_denoise *plan;
        run.keep = run.at = run.kept < T ? few : NULL;
        plan = bm_denoise_plan(&rows[i].set, &run, &err);
        CHECK_ROW(!plan == !!rows[i].says, i);
        CHECK_ERR_CONTAINS(&err, rows[i].says ? rows[i].says : "");
        CHECK_ERR_CONTAINS(&err, rows[i].says ? "run r3: " : "");
        bm_denoise_free(plan);
    }
}

static void counts(void)
{
    const struct bm_denoise_settings set = {.order = 1, .high_pass = 0.02};
    struct bm_denoise_run run = {.label = "r", .tr = 2, .volumes = T, .rows = T, .kept = T, .ncols = 6};
    struct bm_error err = {0};
    struct bm_denoise *plan;

    make_data(1, 6, 2);
    for (size_t t = 0; t < T; t++) {
        confounds[t * 6] = 4; /* constant */
        confounds[t * 6 + 5] = 0;
        confounds[t * 6 + 1] = 1e6 - 2.5 * (double)t;                           /* the trend */
        confounds[t * 6 + 2] = 3 * confounds[t * 6 + 3] - confounds[t * 6 + 4]; /* a sum */
    }
    run.confounds = confounds;
    plan = bm_denoise_plan(&set, &run, &err);
    REQUIRE(plan, &err);
    CHECK(bm_denoise_regressors(plan) == 2 + 7 && bm_denoise_dropped(plan) == 4);
    bm_denoise_free(plan);
}

int main(void)
{
    static const struct unit_test all[] = {
        UNIT(bits_do_not_depend_on_the_place),
        UNIT(rows_without_gaps_are_not_interpolated),
        UNIT(what_is_taken_out_is_gone),
        UNIT(scaling_comes_last),
        UNIT(a_slope_of_nothing),
        UNIT(levels_cost_no_digits),
        UNIT(means_come_back),
        UNIT(not_finite),
        UNIT(too_few_rows),
        UNIT(edges_beyond_the_sampling_rate),
        UNIT(filters_that_cannot_be),
        UNIT(counts),
    };
    return unit_main(all, COUNT(all));
}
