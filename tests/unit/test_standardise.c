#include "ops/panel.h"
#include "ops/standardise.h"
#include "samples.h"
#include "unit.h"

#define MAX_T 1200
#define MAX_COLS 200

static double scratch[MAX_T * BM_PANEL];
static double *data, *out, *other; /* room for matrices of any sample type */

/* Column c by the definition, in long double. Returns what rounding errors are relative to. */
static long double reference(long double *y, enum bm_dtype type, double slope, double inter, size_t rows, size_t cols,
                             size_t c, enum bm_standard method, size_t ddof)
{
    long double mean = 0, square = 0, scale = 0, factor = 1;

    for (size_t t = 0; t < rows; t++) {
        y[t] = (long double)slope * sample_at(data, type, t * cols + c) + (long double)inter;
        scale = fmaxl(scale, fabsl(y[t]));
        mean += y[t] / (long double)rows;
    }
    for (size_t t = 0; t < rows; t++)
        square += (y[t] - mean) * (y[t] - mean) / (long double)(rows - ddof);
    if (method == BM_ZSCORE)
        factor = 1 / sqrtl(square);
    if (method == BM_PSC)
        factor = 100 / fabsl(mean);
    for (size_t t = 0; t < rows; t++)
        y[t] = (y[t] - mean) * factor;
    if (method == BM_PSC && scale * factor > 100) /* a mean near 0 is uncertain itself */
        factor *= scale * factor / 100;
    return scale * factor;
}

/* The largest difference of column c of `out` (BM_F64) from the reference, relative to the column's scale. */
static double error_of(enum bm_dtype type, double slope, double inter, size_t rows, size_t cols, size_t c,
                       enum bm_standard method, size_t ddof)
{
    static long double y[MAX_T];
    long double scale = reference(y, type, slope, inter, rows, cols, c, method, ddof), worst = 0;

    for (size_t t = 0; t < rows; t++) {
        long double d = fabsl(y[t] - sample_at(out, BM_F64, t * cols + c));
        worst = isnan(d) ? INFINITY : fmaxl(worst, d);
    }
    return (double)(worst / scale);
}

static struct bm_work standardise(void *to, enum bm_dtype out_type, enum bm_dtype type, double slope, double inter,
                                  size_t rows, size_t cols, enum bm_standard method, size_t ddof)
{
    struct bm_work w = {.data = data, .dtype = type, .slope = slope, .inter = inter, .rows = rows, .cols = cols};

    w.out = to;
    w.out_dtype = out_type;
    w.scratch = scratch;
    w.nothing = w.nonfinite = 99;
    w.overflow = true;
    bm_standardise(&w, method, ddof);
    return w;
}

static bool is_positive_zero(size_t rows, size_t cols, size_t c)
{
    bool all = true;

    for (size_t t = 0; t < rows; t++)
        all &= memcmp(&out[t * cols + c], &(double){0}, 8) == 0;
    return all;
}

static const size_t lengths[] = {3, 4, 5, 9, 32, 225, 301, 1200};

static void values_are_those_of_the_definition(void)
{
    struct bm_random r;

    bm_random_seed(&r, 1, 0);
    for (size_t i = 0; i < COUNT(lengths); i++)
        for (int type = BM_I8; type <= BM_F64; type++)
            for (size_t k = 0; k < 3 * 3 * 3; k++) {
                enum bm_standard method = (enum bm_standard)(k % 3);
                size_t ddof = k / 3 % 3;
                double slope = k < 9 ? 1 : k < 18 ? -0.37 : 1e-5, inter = k < 9 ? 0 : k < 18 ? 1e3 : -2;
                random_samples(data, (enum bm_dtype)type, lengths[i] * 4, &r);
                struct bm_work f =
                    standardise(out, BM_F64, (enum bm_dtype)type, slope, inter, lengths[i], 4, method, ddof);
                CHECK_ROW(f.nothing == 0 && f.nonfinite == 0 && !f.overflow, k);
                for (size_t c = 0; c < 4; c++)
                    CHECK_ROW(error_of((enum bm_dtype)type, slope, inter, lengths[i], 4, c, method, ddof) < 1e-14, k);
            }
}

/* By hand: 1 2 3 4 has mean 2.5 and squared deviations that sum to 5. */
static void known_values(void)
{
    static const struct {
        enum bm_standard method;
        size_t ddof;
        double first;
    } rows[] = {{BM_ZSCORE, 0, -1.3416407864998738},
                {BM_ZSCORE, 1, -1.161895003862225},
                {BM_ZSCORE, 2, -0.9486832980505138},
                {BM_DEMEAN, 1, -1.5},
                {BM_PSC, 1, -60}};

    for (size_t i = 0; i < COUNT(rows); i++) {
        for (size_t t = 0; t < 4; t++)
            set_sample(data, BM_I16, t, (double)t + 1);
        (void)standardise(out, BM_F64, BM_I16, 1, 0, 4, 1, rows[i].method, rows[i].ddof);
        CHECK_ROW(fabs(out[0] - rows[i].first) < 1e-15 * fabs(rows[i].first) + 1e-300, i);
        CHECK_ROW(out[3] == -out[0], i);
    }
    for (size_t t = 0; t < 4; t++)
        set_sample(data, BM_I16, t, -(double)t - 1);
    (void)standardise(out, BM_F64, BM_I16, 1, 0, 4, 1, BM_PSC,
                      1); /* relative to the size of the mean, not its sign */
    CHECK(out[0] == 60);
}

static void small_noise_on_large_values(void)
{
    static const enum bm_dtype types[] = {BM_I32, BM_I64, BM_F64};
    struct bm_random r;

    bm_random_seed(&r, 2, 0);
    for (size_t k = 0; k < 3 * COUNT(types); k++) {
        enum bm_standard method = (enum bm_standard)(k / 3);
        for (size_t t = 0; t < 300; t++)
            set_sample(data, types[k % 3], t, 1e9 + 20 * bm_random_unit(&r));
        CHECK_ROW(standardise(out, BM_F64, types[k % 3], 1, 0, 300, 1, method, 1).nothing == 0, k);
        CHECK_ROW(error_of(types[k % 3], 1, 0, 300, 1, 0, method, 1) < 1e-15, k);
    }
}

static void any_scale(void)
{
    static const double scales[] = {1e-310, 1e-300, 1e-200, 1e-170, 1e-150, 1e150, 1e170, 1e200, 1e300, 1.7e308};
    struct bm_random r;

    bm_random_seed(&r, 3, 0);
    for (size_t i = 0; i < 3 * COUNT(scales); i++) {
        enum bm_standard method = (enum bm_standard)(i % 3);
        double scale = scales[i / 3];
        for (size_t t = 0; t < 100; t++) {
            set_sample(data, BM_F64, 3 * t, scale * (bm_random_unit(&r) - 0.4));
            set_sample(data, BM_F64, 3 * t + 1, scale * 0.7);
            set_sample(data, BM_F64, 3 * t + 2, bm_random_unit(&r)); /* an ordinary neighbour */
        }
        struct bm_work f = standardise(out, BM_F64, BM_F64, 1, 0, 100, 3, method, 1);
        CHECK_ROW(f.nothing == 1 && f.nonfinite == 0 && !f.overflow, i);
        CHECK_ROW(is_positive_zero(100, 3, 1), i);
        CHECK_ROW(error_of(BM_F64, 1, 0, 100, 3, 0, method, 1) < (scale < 1e-305 ? 1e-12 : 1e-14), i);
        CHECK_ROW(error_of(BM_F64, 1, 0, 100, 3, 2, method, 1) < 1e-14, i);
    }
}

static void constants_become_zero(void)
{
    for (int type = BM_I8; type <= BM_F64; type++)
        for (size_t i = 0; i < 3 * COUNT(lengths); i++) {
            size_t rows = lengths[i / 3];
            double lo, hi;
            sample_range((enum bm_dtype)type, &lo, &hi);
            const double values[] = {0, 1, lo, hi, hi / 3, 100, hi - 1};
            for (size_t k = 0; k < COUNT(values) * rows; k++)
                set_sample(data, (enum bm_dtype)type, k, values[k % COUNT(values)]);
            struct bm_work f = standardise(out, BM_F64, (enum bm_dtype)type, -1.5, 0.1, rows, COUNT(values),
                                           (enum bm_standard)(i % 3), 1);
            CHECK_ROW(f.nothing == COUNT(values) && !f.overflow && f.nonfinite == 0, type);
            for (size_t c = 0; c < COUNT(values); c++)
                CHECK_ROW(is_positive_zero(rows, COUNT(values), c), type);
        }
}

/* One unit in the last place of a float32 is nothing, sixteen are something; so is one where samples are float64. */
static void rounding_noise_is_nothing(void)
{
    for (size_t t = 0; t < 100; t++) {
        set_sample(data, BM_F32, 2 * t, t % 2 ? 1e6 : 1e6 + 0.0625);
        set_sample(data, BM_F32, 2 * t + 1, t % 2 ? 1e6 : 1e6 + 1);
    }
    CHECK(standardise(out, BM_F64, BM_F32, 1, 0, 100, 2, BM_ZSCORE, 1).nothing == 1);
    CHECK(is_positive_zero(100, 2, 0) && out[1] > 0.99 && out[3] < -0.99);
    for (size_t t = 0; t < 100; t++)
        set_sample(data, BM_F64, t, t % 2 ? 1e6 : 1e6 + 0.0625);
    CHECK(standardise(out, BM_F64, BM_F64, 1, 0, 100, 1, BM_ZSCORE, 1).nothing == 0);
}

static void no_mean_no_percentage(void)
{
    for (size_t t = 0; t < 10; t++) {
        set_sample(data, BM_F32, 2 * t, t % 2 ? 3 : -3);
        set_sample(data, BM_F32, 2 * t + 1, t % 2 ? 3 : -2);
    }
    CHECK(standardise(out, BM_F64, BM_F32, 1, 0, 10, 2, BM_PSC, 1).nothing == 1);
    CHECK(is_positive_zero(10, 2, 0) && out[1] == -500 && out[3] == 500);
    CHECK(standardise(out, BM_F64, BM_F32, 1, 0, 10, 2, BM_ZSCORE, 1).nothing == 0);
    CHECK(standardise(out, BM_F64, BM_F32, 1, 1, 10, 2, BM_PSC, 1).nothing == 0); /* with an intercept it has one */
}

static void non_finite_columns_become_nan(void)
{
    static const uint16_t halves[] = {0x7e01, 0x7c00, 0xfc00};
    static const double values[] = {NAN, INFINITY, -INFINITY};
    struct bm_random r;

    bm_random_seed(&r, 4, 0);
    for (size_t k = 0; k < 9; k++) {
        enum bm_dtype type = (enum bm_dtype)(BM_F16 + k / 3);
        enum bm_standard method = (enum bm_standard)(k % 3);
        random_samples(data, type, 40 * 70, &r);
        CHECK_ROW(standardise(other, BM_F64, type, 2, 1, 40, 70, method, 1).nonfinite == 0, k);
        for (size_t i = 0; i < 5; i++) { /* two in column 64, three in column 69 */
            size_t at = i < 2 ? 70 * 20 * i + 64 : 70 * i + 69;
            if (type == BM_F16)
                ((uint16_t *)data)[at] = halves[i % 3];
            else
                set_sample(data, type, at, values[i % 3]);
        }
        struct bm_work f = standardise(out, BM_F64, type, 2, 1, 40, 70, method, 1);
        CHECK_ROW(f.nonfinite == 5 && f.nothing == 0 && !f.overflow, k);
        for (size_t i = 0; i < 40 * 70; i++)
            CHECK_ROW(i % 70 == 64 || i % 70 == 69 ? isnan(out[i]) : memcmp(&out[i], &other[i], 8) == 0, i);
    }
}

static void overflow_is_flagged(void)
{
    static const struct {
        enum bm_dtype type;
        enum bm_standard method;
        double size;
        bool over;
    } rows[] = {
        {BM_F16, BM_DEMEAN, 1e5, true},   {BM_F16, BM_DEMEAN, 65519, false}, {BM_F32, BM_DEMEAN, 1e39, true},
        {BM_F32, BM_DEMEAN, 3e38, false}, {BM_F64, BM_DEMEAN, 1e300, false}, {BM_F16, BM_ZSCORE, 1e300, false},
        {BM_F16, BM_PSC, 65520e-2, true}, {BM_F16, BM_PSC, 65000e-2, false},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        for (size_t t = 0; t < 4; t++)
            set_sample(data, BM_F64, t, t % 2 ? rows[i].size : -rows[i].size);
        struct bm_work f =
            standardise(out, rows[i].type, BM_F64, 1, rows[i].method == BM_PSC ? 1 : 0, 4, 1, rows[i].method, 1);
        CHECK_ROW(f.overflow == rows[i].over && f.nonfinite == 0, i);
        CHECK_ROW(!!isinf((double)sample_at(out, rows[i].type, 1)) == rows[i].over, i);
    }
}

static void bits_do_not_depend_on_the_place(void)
{
    static const size_t widths[] = {1, 2, 3, 63, 64, 65, 128, 130};
    double want[3][50];
    struct bm_random r;

    bm_random_seed(&r, 5, 0);
    for (size_t w = 0; w < COUNT(widths); w++)
        for (size_t place = 0; place < 3 * widths[w]; place++) {
            size_t method = place / widths[w], c = place % widths[w];
            for (size_t i = 0; i < 50 * widths[w]; i++) {
                double v = bm_random_unit(&r);
                data[i] = v < 0.01 ? NAN : v < 0.02 ? 1e300 * v : v < 0.03 ? 0 : v * 1000;
            }
            for (size_t t = 0; t < 50; t++)
                data[t * widths[w] + c] = 1000 + (double)(t * t * 7919 % 101) / 3;
            (void)standardise(out, BM_F64, BM_F64, 0.7, 0.3, 50, widths[w], (enum bm_standard)method, 1);
            for (size_t t = 0; t < 50; t++) {
                double got = out[t * widths[w] + c];
                if (w == 0)
                    want[method][t] = got;
                CHECK_ROW(memcmp(&want[method][t], &got, sizeof got) == 0, 1000 * widths[w] + place);
            }
        }
}

static void in_place_and_narrower(void)
{
    static const enum bm_dtype types[][2] = {{BM_F32, BM_F32}, {BM_F64, BM_F64}, {BM_I16, BM_F16},
                                             {BM_U32, BM_F32}, {BM_I64, BM_F64}, {BM_F16, BM_F16}};
    struct bm_random r;

    bm_random_seed(&r, 6, 0);
    for (size_t i = 0; i < COUNT(types); i++) {
        const size_t n = 33 * 100, size = bm_dtype_size(types[i][1]);
        random_samples(data, types[i][0], n, &r);
        (void)standardise(out, BM_F64, types[i][0], 1e-3, 5, 33, 100, BM_ZSCORE, 1);
        (void)bm_from_double(other, types[i][1], out, n);
        (void)standardise(out, types[i][1], types[i][0], 1e-3, 5, 33, 100, BM_ZSCORE, 1);
        CHECK_ROW(memcmp(out, other, n * size) == 0, i);
        (void)standardise(data, types[i][1], types[i][0], 1e-3, 5, 33, 100, BM_ZSCORE, 1);
        CHECK_ROW(memcmp(data, other, n * size) == 0, i);
    }
}

int main(void)
{
    static const struct unit_test all[] = {
        UNIT(values_are_those_of_the_definition),
        UNIT(known_values),
        UNIT(small_noise_on_large_values),
        UNIT(any_scale),
        UNIT(constants_become_zero),
        UNIT(rounding_noise_is_nothing),
        UNIT(no_mean_no_percentage),
        UNIT(non_finite_columns_become_nan),
        UNIT(overflow_is_flagged),
        UNIT(bits_do_not_depend_on_the_place),
        UNIT(in_place_and_narrower),
    };
    data = calloc(3 * MAX_T * MAX_COLS, sizeof *data);
    if (!data)
        return 1;
    out = data + MAX_T * MAX_COLS;
    other = out + MAX_T * MAX_COLS;
    int status = unit_main(all, COUNT(all));
    free(data);
    return status;
}
