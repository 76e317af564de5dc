/* Rows gathered into batches, against loops that do one value at a time. What depends on the processor is built in
 * here, so that it can be told to be a plain one. */
#include <stdbool.h>
#include <unistd.h>

static bool plain; /* no wide vectors, and caches of unknown size */
static bool unless_plain(bool has)
{
    return has && !plain;
}
#define __builtin_cpu_supports(name) unless_plain(__builtin_cpu_supports(name))
#define sysconf(name) (plain ? 0 : sysconf(name))
#include "load/convert.c"
#include "load/put.c"

#undef BLOCK
#include "core/dtype.h"
#include "load/pick.h"
#include "load/rows.h"
#include "ops/panel.h"
#include "ops/random.h"
#include "ops/standardise.h"
#include "unit.h"

#include <math.h>

#define ROWS 50
#define COLS 2300 /* more than one block of columns */

static float *values; /* ROWS x COLS, of many sizes */
static uint16_t *half_values;

static void make_values(void)
{
    struct bm_random r;

    bm_random_seed(&r, 3, 0);
    values = malloc(sizeof *values * ROWS * COLS);
    half_values = malloc(sizeof *half_values * ROWS * COLS);
    for (size_t i = 0; i < ROWS * COLS; i++) {
        values[i] = (float)((bm_random_unit(&r) - 0.5) * exp2(bm_random_unit(&r) * 40 - 30));
        half_values[i] = bm_half_from_float(values[i]);
    }
}

static float read_value(enum bm_sample type, size_t i)
{
    return type == BM_SAMPLE_F16 ? bm_half_to_float(half_values[i]) : values[i];
}

/* Is the value at p what f becomes in this type? */
static bool is_value(const char *p, enum bm_sample type, float f)
{
    double d = (double)f;
    uint32_t x;
    uint16_t half;

    switch (type) {
    case BM_SAMPLE_F64:
        return memcmp(p, &d, 8) == 0;
    case BM_SAMPLE_F32:
        return memcmp(p, &f, 4) == 0;
    case BM_SAMPLE_F16:
        half = bm_half_from_float(f);
        return memcmp(p, &half, 2) == 0;
    default: /* the nearer of the two floats with 16 bits, the even one of two that are as near */
        memcpy(&x, &f, 4);
        memcpy(&half, p, 2);
        x = (x & 0xffffu) > 0x8000u || ((x & 0xffffu) == 0x8000u && (x >> 16 & 1u)) ? (x >> 16) + 1 : x >> 16;
        return half == x;
    }
}

/* Gathers n rows and ncolumns columns (0: all) into memory with a margin, and looks at every byte. */
static void check_gather(enum bm_sample from, enum bm_sample to, int64_t n, int64_t ncolumns, size_t margin,
                         int threads)
{
    struct bm_random r;
    struct bm_error err = {0};
    struct bm_matrix m = {from == BM_SAMPLE_F16 ? (void *)half_values : (void *)values, ROWS, COLS, from};
    int64_t *rows = malloc(sizeof *rows * (size_t)n + 1), *columns = malloc(sizeof *columns * (size_t)ncolumns + 1);
    size_t size = bm_sample_size(to), width = (size_t)(ncolumns ? ncolumns : COLS), stride = width * size + margin;
    char *out = malloc(stride * (size_t)n + 1);
    struct bm_batch b = {rows, n, ncolumns ? columns : NULL, (int64_t)width, out, (int64_t)stride, to};

    bm_random_seed(&r, (uint64_t)(n + ncolumns), 1);
    for (int64_t i = 0; i < n; i++)
        rows[i] = (int64_t)bm_random_below(&r, ROWS);
    for (int64_t i = 0; i < ncolumns; i++) /* runs of all lengths, in any order */
        columns[i] =
            i > 0 && bm_random_below(&r, 20) ? (columns[i - 1] + 1) % COLS : (int64_t)bm_random_below(&r, COLS);
    memset(out, 0x5a, stride * (size_t)n + 1);
    REQUIRE(bm_gather(&m, &b, "x", threads, &err) == 0, &err);
    for (size_t i = 0; i < (size_t)n; i++) {
        for (size_t c = 0; c < width; c++) {
            size_t column = ncolumns ? (size_t)columns[c] : c;
            CHECK_ROW(is_value(out + i * stride + c * size, to, read_value(from, (size_t)rows[i] * COLS + column)),
                      c);
        }
        for (size_t c = width * size; c < stride; c++)
            CHECK_ROW(out[i * stride + c] == 0x5a, c);
    }
    CHECK(out[stride * (size_t)n] == 0x5a);
    free(rows), free(columns), free(out);
}

static void all_types(void)
{
    for (int from = BM_SAMPLE_F16; from <= BM_SAMPLE_F32; from++)
        for (int to = BM_SAMPLE_F16; to <= BM_SAMPLE_BF16; to++) {
            check_gather((enum bm_sample)from, (enum bm_sample)to, 7, 0, 0, 1);
            check_gather((enum bm_sample)from, (enum bm_sample)to, 5, 2100, 6, 2);
        }
}

static void all_numbers_of_columns(void)
{
    for (int64_t n = 1; n < 40; n++) {
        check_gather(BM_SAMPLE_F32, BM_SAMPLE_F32, 3, n, (size_t)n % 3 * 4, 1);
        check_gather(BM_SAMPLE_F16, BM_SAMPLE_F32, 2, n, 0, 1);
        check_gather(BM_SAMPLE_F32, BM_SAMPLE_F16, 2, n, 0, 1);
    }
}

static void many_threads(void)
{
    for (int threads = 1; threads < 6; threads++) {
        check_gather(BM_SAMPLE_F32, BM_SAMPLE_F32, 1000, 0, 0, threads);
        check_gather(BM_SAMPLE_F32, BM_SAMPLE_BF16, 700, 0, 2, threads);
    }
}

static void no_rows(void)
{
    check_gather(BM_SAMPLE_F32, BM_SAMPLE_F32, 0, 0, 0, 2);
}

static void numbers_that_are_not_there(void)
{
    static const struct {
        int64_t row, column;
        const char *says;
    } table[] = {
        {-1, 0, "no row -1"},    {ROWS, 0, "no row 50"},      {INT64_MIN, 0, "no row"},
        {0, -1, "no column -1"}, {0, COLS, "no column 2300"},
    };
    for (size_t i = 0; i < COUNT(table); i++) {
        struct bm_error err = {0};
        struct bm_matrix m = {values, ROWS, COLS, BM_SAMPLE_F32};
        int64_t rows[] = {1, table[i].row}, columns[] = {2, table[i].column};
        float out[4] = {7, 7, 7, 7};
        struct bm_batch b = {rows, 2, columns, 2, out, 8, BM_SAMPLE_F32};
        CHECK_ROW(bm_gather(&m, &b, "x.npy", 1, &err) < 0 && err.code == BM_EUSAGE, i);
        CHECK_ERR_CONTAINS(&err, table[i].says);
        err = (struct bm_error){0};
        CHECK_ROW(bm_gather_standardised(&m, &b, "x.npy", 1, &err) < 0 && err.code == BM_EUSAGE, i);
        CHECK_ERR_CONTAINS(&err, table[i].says);
        CHECK_ROW(out[0] == 7 && out[1] == 7 && out[2] == 7 && out[3] == 7, i);
    }
}

static void values_that_become_infinite(void)
{
    static const struct {
        float value;
        bool half, brain;
    } table[] = {
        {65519.996f, true, true},         {65520.0f, false, true},        {-65520.0f, false, true},
        {INFINITY, true, true},           {-INFINITY, true, true},        {NAN, true, true},
        {0x1.fep127f, false, true},       {0x1.fefffep127f, false, true}, {0x1.ffp127f, false, false},
        {-0x1.fffffep127f, false, false},
    };
    for (size_t i = 0; i < COUNT(table); i++)
        for (size_t at = 0; at < 19; at++) {
            float in[19] = {0};
            uint16_t out[19];

            in[at] = table[i].value;
            CHECK_ROW(bm_convert(out, BM_SAMPLE_F16, in, BM_SAMPLE_F32, 19) == table[i].half, i);
            CHECK_ROW(bm_convert(out, BM_SAMPLE_BF16, in, BM_SAMPLE_F32, 19) == table[i].brain, i);
        }
}

/* The batch is there all the same. */
static void values_too_large_for_a_batch(void)
{
    static const float large[] = {1, -70000, 3, 4};
    static const uint16_t wanted[] = {0x4200, 0x4400, 0x3c00, 0xfc00}; /* 3, 4, 1, -infinity */
    const struct bm_matrix m = {large, 2, 2, BM_SAMPLE_F32};
    const int64_t rows[] = {1, 0};
    uint16_t out[4] = {0};
    const struct bm_batch b = {rows, 2, NULL, 2, out, 4, BM_SAMPLE_F16};
    struct bm_error err = {0};

    CHECK(bm_gather(&m, &b, "x.npy", 2, &err) < 0 && err.code == BM_EDATA);
    CHECK_ERR_CONTAINS(&err, "x.npy: a value is too large for the type that was asked for");
    CHECK(memcmp(out, wanted, sizeof out) == 0);
}

static void every_half_there_and_back(void)
{
    uint16_t *all = malloc(sizeof *all * 65536), *back = malloc(sizeof *back * 65536);
    float *wide = malloc(sizeof *wide * 65536);

    for (uint32_t i = 0; i < 65536; i++)
        all[i] = (uint16_t)i;
    CHECK(bm_convert(wide, BM_SAMPLE_F32, all, BM_SAMPLE_F16, 65536));
    CHECK(bm_convert(back, BM_SAMPLE_F16, wide, BM_SAMPLE_F32, 65536));
    for (uint32_t i = 0; i < 65536; i++)
        CHECK_ROW(back[i] == all[i] || (isnan(wide[i]) && (back[i] | 0x200u) == (all[i] | 0x200u)), i);
    free(all), free(back), free(wide);
}

static void copies_around_the_caches(void)
{
    char from[700], to[800];

    for (size_t i = 0; i < sizeof from; i++)
        from[i] = (char)(i * 7 + 1);
    for (size_t start = 0; start < 65; start++)
        for (size_t n = 0; n < 300; n += 1 + n / 7) {
            memset(to, 0, sizeof to);
            bm_put(to + start, from + start % 5, n, true);
            bm_put_fence();
            CHECK_ROW(memcmp(to + start, from + start % 5, n) == 0 && to[start + n] == 0, n);
            CHECK_ROW(start == 0 || to[start - 1] == 0, n);
        }
    CHECK(bm_put_worth(SIZE_MAX) && !bm_put_worth(1 << 16));
}

static void processors_without_wide_vectors(void)
{
    plain = true;
    all_types();
    all_numbers_of_columns();
    values_that_become_infinite();
    every_half_there_and_back();
    copies_around_the_caches();
    CHECK(!bm_put_worth((size_t)32 << 20) && bm_put_worth(((size_t)32 << 20) + 1));
    plain = false;
}

static void no_columns(void)
{
    const struct bm_matrix m = {values, ROWS, COLS, BM_SAMPLE_F32};
    const int64_t rows[] = {1, 0}, none = 0;
    float out[2] = {7, 7};
    const struct bm_batch b = {rows, 2, &none, 0, out, 4, BM_SAMPLE_F32};
    struct bm_error err = {0};

    REQUIRE(bm_gather(&m, &b, "x", 1, &err) == 0, &err);
    REQUIRE(bm_gather_standardised(&m, &b, "x", 1, &err) == 0, &err);
    CHECK(out[0] == 7 && out[1] == 7);
}

/* A row is more than a task's share; standardising takes several pieces of columns. */
static void wide_rows(void)
{
    enum { W = 300001, N = 3 };
    static float wide[N * W], out[N * W];
    static double standard[N * W];
    const struct bm_matrix m = {wide, N, W, BM_SAMPLE_F32};
    const int64_t rows[N] = {2, 0, 1};
    const struct bm_batch b = {rows, N, NULL, W, out, sizeof *out * W, BM_SAMPLE_F32},
                          s = {rows, N, NULL, W, standard, sizeof *standard * W, BM_SAMPLE_F64};
    struct bm_error err = {0};

    for (size_t i = 0; i < N * W; i++)
        wide[i] = (float)(i * 7919 % 10007) + (float)(i / W);
    REQUIRE(bm_gather(&m, &b, "x", 2, &err) == 0, &err);
    for (size_t i = 0; i < N; i++)
        CHECK_ROW(memcmp(out + i * W, wide + (size_t)rows[i] * W, sizeof *out * W) == 0, i);
    for (int threads = 1; threads < 3; threads++) {
        memset(standard, 0, sizeof standard);
        REQUIRE(bm_gather_standardised(&m, &s, "x", threads, &err) == 0, &err);
        for (size_t c = 0; c < W; c++) {
            const double x[N] = {(double)wide[c], (double)wide[W + c], (double)wide[2 * W + c]};
            const long double mean = ((long double)x[0] + x[1] + x[2]) / 3;
            const long double sd = sqrtl((powl(x[0] - mean, 2) + powl(x[1] - mean, 2) + powl(x[2] - mean, 2)) / 2);
            for (size_t i = 0; i < N; i++)
                CHECK_ROW(fabsl(standard[i * W + c] - (x[rows[i]] - mean) / sd) < 1e-12L, c);
        }
    }
}

/* Against two passes in long double. */
static void check_standardised(enum bm_sample from, enum bm_sample to, int64_t ncolumns, int threads)
{
    struct bm_error err = {0};
    struct bm_matrix m = {from == BM_SAMPLE_F16 ? (void *)half_values : (void *)values, ROWS, COLS, from};
    int64_t rows[] = {4, 9, 49, 0, 9, 17}, *columns = malloc(sizeof *columns * (size_t)ncolumns);
    size_t size = bm_sample_size(to);
    char *out = malloc(COUNT(rows) * (size_t)ncolumns * size);
    struct bm_batch b = {rows, COUNT(rows), columns, ncolumns, out, ncolumns * (int64_t)size, to};

    for (int64_t c = 0; c < ncolumns; c++)
        columns[c] = (c * 7 + c % 2) % COLS;
    REQUIRE(bm_gather_standardised(&m, &b, "x", threads, &err) == 0, &err);
    for (size_t c = 0; c < (size_t)ncolumns; c++) {
        long double mean = 0, square = 0;
        for (size_t i = 0; i < COUNT(rows); i++)
            mean += read_value(from, (size_t)(rows[i] * COLS + columns[c])) / (long double)COUNT(rows);
        for (size_t i = 0; i < COUNT(rows); i++)
            square += powl(read_value(from, (size_t)(rows[i] * COLS + columns[c])) - mean, 2);
        for (size_t i = 0; i < COUNT(rows); i++) {
            float value = read_value(from, (size_t)(rows[i] * COLS + columns[c]));
            double got = 0, wanted = (double)((value - mean) / sqrtl(square / (COUNT(rows) - 1)));
            const char *p = out + (i * (size_t)ncolumns + c) * size;
            uint32_t bits = 0;
            float f;

            memcpy((char *)&bits + (size == 2 ? 2 : 0), p, size == 8 ? 4 : size);
            memcpy(&f, &bits, 4);
            if (to == BM_SAMPLE_F16)
                f = bm_half_to_float((uint16_t)(bits >> 16));
            got = (double)f;
            if (to == BM_SAMPLE_F64)
                memcpy(&got, p, 8);
            CHECK_ROW(fabs(got - wanted) <= fabs(wanted) * (size == 2 ? 0x1p-8 : 0x1p-23) + 1e-9, c);
        }
    }
    free(columns), free(out);
}

static void standardised_batches(void)
{
    for (int from = BM_SAMPLE_F16; from <= BM_SAMPLE_F32; from++)
        for (int to = BM_SAMPLE_F16; to <= BM_SAMPLE_BF16; to++) {
            check_standardised((enum bm_sample)from, (enum bm_sample)to, 1, 1);
            check_standardised((enum bm_sample)from, (enum bm_sample)to, 64, 2);
            check_standardised((enum bm_sample)from, (enum bm_sample)to, 333, 3);
        }
}

/* The kernel of zscore gives the same bits: also for columns that are constant, nearly so, huge, or not finite. */
static void the_same_bits_as_zscore(void)
{
    enum { N = 2000, W = 100 };
    static float in[N * W], out[N * W], wanted[N * W];
    static uint16_t half[N * W], wanted_half[N * W];
    struct bm_random r;
    struct bm_error err = {0};
    struct bm_matrix m = {in, N, W, BM_SAMPLE_F32};
    int64_t rows[N];
    struct bm_batch b = {rows, N, NULL, W, out, W * 4, BM_SAMPLE_F32},
                    h = {rows, N, NULL, W, half, W * 2, BM_SAMPLE_F16};
    double *scratch = malloc(sizeof *scratch * bm_panel_size(N));

    struct bm_work w = {in, BM_F32, 1, 0, N, W, wanted, BM_F32, false, scratch, 0, 0, false};

    bm_random_seed(&r, 8, 0);
    for (size_t i = 0; i < N * W; i++)
        in[i] = (float)(bm_random_unit(&r) * exp2((double)(i % W) * 2 - 120) + (i % 7 == 0 && i / W < 40 ? 1000 : 0));
    for (size_t i = 0; i < N; i++) {
        rows[i] = (int64_t)i;
        in[i * W + 3] = 0.1f;
        in[i * W + 4] = 1000 + (float)(i % 2) * 0x1p-13f;
        in[i * W + 5] = i == 20 ? NAN : in[i * W + 5];
        in[i * W + 6] = i == 30 ? INFINITY : in[i * W + 6];
        in[i * W + 7] = (i % 2 ? 1.0f : -1.0f) * 0x1.fp127f;
        in[i * W + 8] = (float)(i % 3) * 0x1p-149f;
    }
    bm_standardise(&w, BM_ZSCORE, 1);
    w.out = wanted_half;
    w.out_dtype = BM_F16;
    bm_standardise(&w, BM_ZSCORE, 1);
    REQUIRE(bm_gather_standardised(&m, &b, "x", 2, &err) == 0, &err);
    REQUIRE(bm_gather_standardised(&m, &h, "x", 1, &err) == 0, &err);
    for (size_t i = 0; i < N * W; i++) {
        CHECK_ROW(memcmp(out + i, wanted + i, 4) == 0 || (isnan(out[i]) && isnan(wanted[i])), i);
        CHECK_ROW(half[i] == wanted_half[i] || (isnan(out[i]) && (half[i] & 0x7fffu) > 0x7c00u), i);
    }
    free(scratch);
}

static void one_row_has_no_deviation(void)
{
    struct bm_error err = {0};
    struct bm_matrix m = {values, ROWS, COLS, BM_SAMPLE_F32};
    int64_t row = 3;
    float out[COLS];
    struct bm_batch b = {&row, 1, NULL, COLS, out, sizeof out, BM_SAMPLE_F32};

    CHECK(bm_gather_standardised(&m, &b, "x", 1, &err) < 0 && err.code == BM_EUSAGE);
    CHECK_ERR_CONTAINS(&err, "no standard deviation");
}

static void picks(void)
{
    static const int64_t columns[] = {5, 6, 7, 8, 9, 10, 11, 12, 13, 3, 4, 4, 40};
    static const uint16_t runs[] = {9, 8, 7, 6, 5, 4, 3, 2, 1, 2, 1, 1, 1};
    struct bm_error err = {0};
    struct bm_pick p;
    float row[41], room[13];

    for (int i = 0; i < 41; i++)
        row[i] = (float)i;
    REQUIRE(bm_pick_make(&p, columns, COUNT(columns), &err) == 0, &err);
    CHECK(memcmp(p.run, runs, sizeof runs) == 0);
    for (int64_t first = 0; first < 13; first++)
        for (int64_t n = 0; n <= 13 - first; n++) {
            const float *got = bm_pick(&p, first, n, row, 4, room);
            for (int64_t i = 0; i < n; i++)
                CHECK_ROW(got[i] == (float)columns[first + i], first);
        }
    bm_pick_free(&p);
    REQUIRE(bm_pick_make(&p, NULL, 41, &err) == 0, &err);
    CHECK(bm_pick(&p, 7, 20, row, 4, room) == row + 7);
    bm_pick_free(&p);
}

/* Longer than a stretch is counted. */
static void picks_in_a_long_stretch(void)
{
    enum { N = 150000 };
    static const int64_t widths[] = {1, 7, 1000, 65535, 65536, 70000};
    struct bm_error err = {0};
    struct bm_pick p;
    int64_t *columns = malloc(sizeof *columns * N);
    float *row = malloc(sizeof *row * (N + 9)), *room = malloc(sizeof *room * N);

    for (int64_t i = 0; i < N + 9; i++)
        row[i] = (float)i;
    for (int64_t i = 0; i < N; i++)
        columns[i] = i + 9;
    REQUIRE(bm_pick_make(&p, columns, N, &err) == 0, &err);
    for (size_t k = 0; k < COUNT(widths); k++)
        for (int64_t first = 0; first + widths[k] <= N; first += 9973) {
            const float *got = bm_pick(&p, first, widths[k], row, 4, room);
            CHECK_ROW(memcmp(got, row + 9 + first, sizeof *got * (size_t)widths[k]) == 0, k);
        }
    bm_pick_free(&p);
    free(columns), free(row), free(room);
}

int main(void)
{
    static const struct unit_test all[] = {
        UNIT(all_types),
        UNIT(all_numbers_of_columns),
        UNIT(many_threads),
        UNIT(no_rows),
        UNIT(no_columns),
        UNIT(wide_rows),
        UNIT(numbers_that_are_not_there),
        UNIT(values_that_become_infinite),
        UNIT(values_too_large_for_a_batch),
        UNIT(every_half_there_and_back),
        UNIT(copies_around_the_caches),
        UNIT(processors_without_wide_vectors),
        UNIT(standardised_batches),
        UNIT(the_same_bits_as_zscore),
        UNIT(one_row_has_no_deviation),
        UNIT(picks),
        UNIT(picks_in_a_long_stretch),
    };
    make_values();
    int status = unit_main(all, COUNT(all));
    free(values), free(half_values);
    return status;
}
