/* A plan with a polynomial trend alone: what detrend does. */
#include "ops/basis.h"
#include "ops/denoise.h"
#include "samples.h"
#include "unit.h"

#define MAX_T 1200
#define MAX_COLS 200
#define MAX_K (BM_MAX_ORDER + 1)

static double *data, *out, *other; /* room for matrices of any sample type */

/* Legendre polynomials over the run's time points, by Bonnet's recursion. */
static void legendre(long double *p, size_t rows, size_t order)
{
    for (size_t t = 0; t < rows; t++) {
        long double x = rows > 1 ? 2.0L * (long double)t / (long double)(rows - 1) - 1.0L : 0.0L;
        long double *row = p + t * (order + 1);
        for (size_t k = 0; k <= order; k++) {
            long double n = (long double)k;
            row[k] = k == 0 ? 1.0L : k == 1 ? x : ((2 * n - 1) * x * row[k - 1] - (n - 1) * row[k - 2]) / n;
        }
    }
}

/* Solves the n x n system a x = b (positive definite) in place by Cholesky's method; b becomes x. */
static void solve(long double *a, long double *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j <= i; j++) {
            long double s = a[i * n + j];
            for (size_t k = 0; k < j; k++)
                s -= a[i * n + k] * a[j * n + k];
            a[i * n + j] = i == j ? sqrtl(s) : s / a[j * n + j];
        }
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < i; k++)
            b[i] -= a[i * n + k] * b[k];
        b[i] /= a[i * n + i];
    }
    for (size_t i = n; i-- > 0;) {
        for (size_t k = i + 1; k < n; k++)
            b[i] -= a[k * n + i] * b[k];
        b[i] /= a[i * n + i];
    }
}

/* What least squares leaves of y: normal equations in long double, twice, so that the second corrects the first. */
static void residue(long double *y, size_t rows, size_t order)
{
    static long double p[MAX_T * MAX_K];
    const size_t n = order + 1;

    legendre(p, rows, order);
    for (int round = 0; round < 2; round++) {
        long double a[MAX_K * MAX_K] = {0}, b[MAX_K] = {0};
        for (size_t t = 0; t < rows; t++)
            for (size_t i = 0; i < n; i++) {
                b[i] += p[t * n + i] * y[t];
                for (size_t j = 0; j <= i; j++)
                    a[i * n + j] += p[t * n + i] * p[t * n + j];
            }
        solve(a, b, n);
        for (size_t t = 0; t < rows; t++)
            for (size_t i = 0; i < n; i++)
                y[t] -= p[t * n + i] * b[i];
    }
}

/* The largest difference of column c of `out` (BM_F64) from the reference, relative to the largest sample. */
static double error_of(enum bm_dtype type, double slope, size_t rows, size_t cols, size_t c, size_t order)
{
    static long double y[MAX_T];
    long double scale = 0, worst = 0;

    for (size_t t = 0; t < rows; t++) {
        y[t] = (long double)slope * sample_at(data, type, t * cols + c);
        scale = fmaxl(scale, fabsl(y[t]));
    }
    residue(y, rows, order);
    for (size_t t = 0; t < rows; t++) {
        long double d = fabsl(y[t] - sample_at(out, BM_F64, t * cols + c));
        worst = isnan(d) ? INFINITY : fmaxl(worst, d);
    }
    return (double)(scale > 0 ? worst / scale : worst);
}

static struct bm_work detrend(void *to, enum bm_dtype out_type, enum bm_dtype type, double slope, size_t rows,
                              size_t cols, size_t order)
{
    const struct bm_denoise_settings settings = {.order = (int)order};
    const struct bm_denoise_run run = {.label = "r", .tr = 1, .volumes = rows, .rows = rows, .kept = rows};
    struct bm_work w = {.data = data, .dtype = type, .slope = slope, .rows = rows, .cols = cols, .out = to};
    struct bm_error err = {0};
    struct bm_denoise *plan = bm_denoise_plan(&settings, &run, &err);

    w.out_dtype = out_type;
    w.nothing = w.nonfinite = 99;
    w.overflow = true;
    if (!plan) {
        unit_fail("%s", err.text);
        return w;
    }
    w.scratch = malloc(bm_denoise_scratch(plan) * sizeof *w.scratch);
    bm_denoise(plan, &w);
    free(w.scratch);
    bm_denoise_free(plan);
    return w;
}

static bool is_positive_zero(const void *samples, enum bm_dtype type, size_t rows, size_t cols, size_t c)
{
    static const unsigned char zero[8];
    const size_t size = bm_dtype_size(type);
    const unsigned char *p = samples;
    bool all = true;

    for (size_t t = 0; t < rows; t++)
        all &= memcmp(p + (t * cols + c) * size, zero, size) == 0;
    return all;
}

static const size_t lengths[] = {3, 4, 5, 6, 9, 10, 21, 31, 32, 64, 225, 301, 1200};

static void nothing_left_is_an_error(void)
{
    for (size_t rows = 1; rows <= 30; rows++)
        for (int order = -1; order <= BM_MAX_ORDER; order++) {
            const struct bm_denoise_settings settings = {.order = order};
            const struct bm_denoise_run run = {.label = "r7", .tr = 1, .volumes = rows, .rows = rows, .kept = rows};
            struct bm_error err = {0};
            struct bm_denoise *plan = bm_denoise_plan(&settings, &run, &err);
            CHECK_ROW((plan != NULL) == (order + 1 < (int)rows), 100 * (int)rows + order);
            if (!plan)
                CHECK_ERR_CONTAINS(&err, "run r7: ");
            bm_denoise_free(plan);
        }
}

static void residues_are_those_of_least_squares(void)
{
    struct bm_random r;

    bm_random_seed(&r, 1, 0);
    for (size_t i = 0; i < COUNT(lengths); i++)
        for (size_t order = 0; order <= 8 && order + 1 < lengths[i]; order++)
            for (int type = BM_I8; type <= BM_F64; type++) {
                double slope = type % 3 == 0 ? 1.0 : type % 3 == 1 ? -0.37 : 1e-5;
                random_samples(data, (enum bm_dtype)type, lengths[i] * 3, &r);
                struct bm_work f = detrend(out, BM_F64, (enum bm_dtype)type, slope, lengths[i], 3, order);
                CHECK_ROW(f.nonfinite == 0 && !f.overflow && f.nothing == 0, 100 * order + i);
                for (size_t c = 0; c < 3; c++)
                    CHECK_ROW(error_of((enum bm_dtype)type, slope, lengths[i], 3, c, order) < 4e-15, 100 * order + i);
            }
}

/* Noise of size 1 on top of large offsets and of trends. */
static void small_noise_on_large_values(void)
{
    static const enum bm_dtype types[] = {BM_I32, BM_I64, BM_F64};
    struct bm_random r;

    bm_random_seed(&r, 2, 0);
    for (size_t k = 0; k < COUNT(types); k++)
        for (size_t order = 0; order <= 8; order++) {
            for (size_t t = 0; t < 300; t++) {
                double noise = 20 * bm_random_unit(&r), time = (double)t;
                set_sample(data, types[k], 2 * t, 1e9 + noise);
                set_sample(data, types[k], 2 * t + 1, 1e6 * time - 1e3 * time * time + noise);
            }
            CHECK_ROW(detrend(out, BM_F64, types[k], 1.0, 300, 2, order).nothing == 0, order);
            for (size_t c = 0; c < 2; c++)
                CHECK_ROW(error_of(types[k], 1.0, 300, 2, c, order) < 2e-15, order);
        }
}

static void any_scale(void)
{
    static const double scales[] = {1e-310, 1e-300, 1e-200, 1e-170, 1e-150, 1e-30,
                                    1e30,   1e150,  1e170,  1e200,  1e300,  1.7e308};
    struct bm_random r;

    bm_random_seed(&r, 3, 0);
    for (size_t i = 0; i < COUNT(scales); i++)
        for (size_t order = 0; order <= 8; order++) {
            for (size_t t = 0; t < 100; t++) {
                set_sample(data, BM_F64, 3 * t, scales[i] * (bm_random_unit(&r) - 0.5));
                set_sample(data, BM_F64, 3 * t + 1, scales[i] * 0.7);
                set_sample(data, BM_F64, 3 * t + 2, bm_random_unit(&r)); /* an ordinary neighbour */
            }
            struct bm_work f = detrend(out, BM_F64, BM_F64, 1.0, 100, 3, order);
            CHECK_ROW(f.nothing == 1 && f.nonfinite == 0 && !f.overflow, i);
            CHECK_ROW(is_positive_zero(out, BM_F64, 100, 3, 1), i);
            CHECK_ROW(error_of(BM_F64, 1.0, 100, 3, 0, order) < (scales[i] < 1e-305 ? 1e-12 : 2e-15), i);
            CHECK_ROW(error_of(BM_F64, 1.0, 100, 3, 2, order) < 2e-15, i);
        }
}

static void constants_become_zero(void)
{
    for (int type = BM_I8; type <= BM_F64; type++)
        for (size_t i = 0; i < COUNT(lengths); i++) {
            double lo, hi;
            sample_range((enum bm_dtype)type, &lo, &hi);
            const double values[] = {0, 1, lo, hi, hi / 3, 100, hi - 1};
            for (size_t k = 0; k < COUNT(values) * lengths[i]; k++)
                set_sample(data, (enum bm_dtype)type, k, values[k % COUNT(values)]);
            for (size_t order = 0; order <= 8 && order + 1 < lengths[i]; order += 2) {
                struct bm_work f = detrend(out, BM_F32, (enum bm_dtype)type, -1.5, lengths[i], COUNT(values), order);
                CHECK_ROW(f.nothing == COUNT(values) && !f.overflow, type);
                for (size_t c = 0; c < COUNT(values); c++)
                    CHECK_ROW(is_positive_zero(out, BM_F32, lengths[i], COUNT(values), c), type);
            }
        }
}

/* Polynomials in whole numbers: nothing is left from their own degree on, something below it. */
static void trends_become_zero(void)
{
    for (size_t i = 3; i < COUNT(lengths); i++) /* 6 rows or more */
        for (size_t degree = 1; degree <= 3; degree++)
            for (size_t order = 0; order <= 5 && order + 1 < lengths[i]; order++) {
                for (size_t t = 0; t < lengths[i]; t++) {
                    int64_t x = (int64_t)t - 7,
                            v = 1000 + 3 * x - (degree > 1 ? 2 * x * x : 0) + (degree > 2 ? x * x * x : 0);
                    set_sample(data, BM_I64, t, (double)v);
                }
                struct bm_work f = detrend(out, BM_F64, BM_I64, 1.0, lengths[i], 1, order);
                CHECK_ROW(f.nothing == (order >= degree), 100 * i + 10 * degree + order);
                CHECK_ROW(is_positive_zero(out, BM_F64, lengths[i], 1, 0) == (f.nothing == 1), order);
            }
}

/* A line that float32 rounds leaves rounding noise, which is nothing; as little in float64 is something. */
static void rounding_noise_is_nothing(void)
{
    for (size_t t = 0; t < 300; t++) {
        float f = 1000.1f + 0.3f * (float)t;
        set_sample(other, BM_F32, t, (double)f);
        set_sample(data, BM_F64, t, (double)f);
    }
    CHECK(detrend(out, BM_F64, BM_F64, 1.0, 300, 1, 1).nothing == 0);
    memcpy(data, other, 300 * sizeof(float));
    CHECK(detrend(out, BM_F64, BM_F32, 1.0, 300, 1, 0).nothing == 0);
    CHECK(detrend(out, BM_F64, BM_F32, 1.0, 300, 1, 1).nothing == 1 && is_positive_zero(out, BM_F64, 300, 1, 0));
}

static void non_finite_columns_become_nan(void)
{
    static const enum bm_dtype types[] = {BM_F16, BM_F32, BM_F64};
    static const struct {
        size_t col, first, step, count;
        double value;
    } bad[] = {
        {0, 0, 1, 1, NAN}, {2, 39, 1, 1, INFINITY}, {5, 3, 7, 4, -INFINITY}, {69, 0, 1, 40, NAN}, {40, 1, 1, 1, 0}};
    struct bm_random r;

    bm_random_seed(&r, 4, 0);
    for (size_t k = 0; k < COUNT(types); k++) {
        const size_t size = bm_dtype_size(types[k]);
        random_samples(data, types[k], 40 * 70, &r);
        CHECK_ROW(detrend(other, BM_F64, types[k], 2.0, 40, 70, 2).nonfinite == 0, k);
        for (size_t i = 0; i + 1 < COUNT(bad); i++)
            for (size_t n = 0; n < bad[i].count; n++) {
                uint16_t half = isnan(bad[i].value) ? 0x7e01 : bad[i].value > 0 ? 0x7c00 : 0xfc00;
                size_t at = (bad[i].first + n * bad[i].step) * 70 + bad[i].col;
                if (types[k] == BM_F16)
                    memcpy((unsigned char *)data + at * size, &half, 2);
                else
                    set_sample(data, types[k], at, bad[i].value);
            }
        struct bm_work f = detrend(out, BM_F64, types[k], 2.0, 40, 70, 2);
        CHECK_ROW(f.nonfinite == 46 && f.nothing == 0 && !f.overflow, k);
        for (size_t i = 0; i < 40 * 70; i++) {
            bool poisoned = i % 70 == 0 || i % 70 == 2 || i % 70 == 5 || i % 70 == 69;
            CHECK_ROW(poisoned ? isnan(out[i]) : memcmp(&out[i], &other[i], 8) == 0, i);
        }
    }
}

static void overflow_is_flagged(void)
{
    static const struct {
        enum bm_dtype type;
        double size;
        bool over;
    } rows[] = {
        {BM_F16, 1e5, true},   {BM_F16, 65520, true},  {BM_F16, 65519, false}, {BM_F32, 1e39, true},
        {BM_F32, 3e38, false}, {BM_F64, 1e300, false}, {BM_F64, 1e39, false},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        for (size_t t = 0; t < 4; t++)
            set_sample(data, BM_F64, t, (t == 1 || t == 2 ? 0.5 : -0.5) * rows[i].size); /* no mean, no slope */
        struct bm_work f = detrend(out, rows[i].type, BM_F64, 2.0, 4, 1, 1);
        CHECK_ROW(f.overflow == rows[i].over && f.nonfinite == 0, i);
        CHECK_ROW(!!isinf((double)sample_at(out, rows[i].type, 1)) == rows[i].over, i);
        data[2] = INFINITY; /* not finite to begin with: nothing overflows */
        CHECK_ROW(!detrend(out, rows[i].type, BM_F64, 2.0, 4, 1, 1).overflow, i);
    }
}

/* The same column at every place among all kinds of neighbours. */
static void bits_do_not_depend_on_the_place(void)
{
    static const size_t widths[] = {1, 2, 3, 63, 64, 65, 127, 128, 130};
    double want[50];
    struct bm_random r;

    bm_random_seed(&r, 5, 0);
    for (size_t w = 0; w < COUNT(widths); w++)
        for (size_t place = 0; place < widths[w]; place++) {
            for (size_t i = 0; i < 50 * widths[w]; i++) {
                double v = bm_random_unit(&r);
                data[i] = v < 0.01 ? NAN : v < 0.02 ? 1e300 * v : v < 0.03 ? 0 : v * 1000;
            }
            for (size_t t = 0; t < 50; t++)
                data[t * widths[w] + place] = 1000 + (double)(t * t * 7919 % 101) / 3;
            (void)detrend(out, BM_F64, BM_F64, 0.7, 50, widths[w], 3);
            for (size_t t = 0; t < 50; t++) {
                double got = out[t * widths[w] + place];
                if (w == 0)
                    want[t] = got;
                CHECK_ROW(memcmp(&want[t], &got, sizeof got) == 0, 1000 * widths[w] + place);
            }
        }
}

static void in_place_and_narrower(void)
{
    static const struct {
        enum bm_dtype in, out;
    } rows[] = {{BM_F32, BM_F32}, {BM_F64, BM_F64}, {BM_I16, BM_F16},
                {BM_U32, BM_F32}, {BM_I64, BM_F64}, {BM_F16, BM_F16}};
    struct bm_random r;

    bm_random_seed(&r, 6, 0);
    for (size_t i = 0; i < COUNT(rows); i++) {
        const size_t n = 33 * 100, size = bm_dtype_size(rows[i].out);
        random_samples(data, rows[i].in, n, &r);
        (void)detrend(out, BM_F64, rows[i].in, 1e-3, 33, 100, 1);
        (void)bm_from_double(other, rows[i].out, out, n);
        (void)detrend(out, rows[i].out, rows[i].in, 1e-3, 33, 100, 1);
        CHECK_ROW(memcmp(out, other, n * size) == 0, i);
        (void)detrend(data, rows[i].out, rows[i].in, 1e-3, 33, 100, 1);
        CHECK_ROW(memcmp(data, other, n * size) == 0, i);
    }
}

int main(void)
{
    static const struct unit_test all[] = {
        UNIT(nothing_left_is_an_error),    UNIT(residues_are_those_of_least_squares),
        UNIT(small_noise_on_large_values), UNIT(any_scale),
        UNIT(constants_become_zero),       UNIT(trends_become_zero),
        UNIT(rounding_noise_is_nothing),   UNIT(non_finite_columns_become_nan),
        UNIT(overflow_is_flagged),         UNIT(bits_do_not_depend_on_the_place),
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
