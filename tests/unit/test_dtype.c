#include "core/dtype.h"
#include "samples.h"
#include "unit.h"

#include <float.h>

static bool is_nan_half(unsigned h)
{
    return (h & 0x7c00) == 0x7c00 && (h & 0x3ff) != 0;
}

static void halves_have_the_values_of_the_standard(void)
{
    for (unsigned h = 0; h < 65536; h++) {
        float f = bm_half_to_float((uint16_t)h);
        double want = half_value((uint16_t)h), wide;
        uint16_t in = (uint16_t)h;
        bm_to_double(&wide, &in, BM_F16, 1);
        if (is_nan_half(h))
            CHECK_ROW(isnan(f) && isnan(wide), h);
        else
            CHECK_ROW((double)f == want && wide == want && !signbit(f) == !signbit(want), h);
    }
}

static void all_halves_come_back(void)
{
    for (unsigned h = 0; h < 65536; h++) {
        uint16_t back = bm_half_from_float(bm_half_to_float((uint16_t)h));
        CHECK_ROW(is_nan_half(h) ? is_nan_half(back) && (back >> 15) == (h >> 15) : back == h, h);
    }
}

/* Every finite half, the midpoint to the next and the floats beside both. */
static void floats_round_to_the_nearest_half(void)
{
    for (unsigned h = 0; h < 0x7c00; h++) {
        double here = half_value((uint16_t)h), next = h == 0x7bff ? 65536 : half_value((uint16_t)(h + 1));
        float mid = (float)((here + next) / 2); /* exact */
        uint16_t even = (uint16_t)(h + (h & 1));
        CHECK_ROW(bm_half_from_float(mid) == even && bm_half_from_float(-mid) == (even | 0x8000), h);
        CHECK_ROW(bm_half_from_float(nextafterf(mid, 0)) == h, h);
        CHECK_ROW(bm_half_from_float(nextafterf(mid, INFINITY)) == h + 1, h);
        CHECK_ROW(bm_half_from_float(nextafterf((float)here, INFINITY)) == h, h);
        CHECK_ROW(bm_half_from_float(nextafterf((float)next, 0)) == h + 1, h);
    }
}

static void special_floats(void)
{
    static const struct {
        float f;
        uint16_t h;
    } rows[] = {
        {0.0f, 0},           {-0.0f, 0x8000},      {1.0f, 0x3c00},        {-2.0f, 0xc000},    {65504.0f, 0x7bff},
        {65519.99f, 0x7bff}, {65520.0f, 0x7c00},   {1e30f, 0x7c00},       {-FLT_MAX, 0xfc00}, {INFINITY, 0x7c00},
        {-INFINITY, 0xfc00}, {0x1p-24f, 1},        {0x1p-25f, 0},         {0x1.8p-24f, 2},    {0x1.000002p-25f, 1},
        {0x1p-149f, 0},      {-0x1p-149f, 0x8000}, {0x1.ff8p-15f, 0x3ff}, {0x1p-14f, 0x400},
    };

    for (size_t i = 0; i < COUNT(rows); i++)
        CHECK_ROW(bm_half_from_float(rows[i].f) == rows[i].h, i);
    for (uint32_t payload = 1; payload < 0x800000; payload = payload * 3 + 1) {
        uint32_t bits = 0xff800000u | payload;
        float nan;
        memcpy(&nan, &bits, 4);
        CHECK_ROW(is_nan_half(bm_half_from_float(nan)), payload);
    }
}

static void random_floats_round_to_the_nearest_half(void)
{
    struct bm_random r;

    bm_random_seed(&r, 1, 0);
    for (int i = 0; i < 200000; i++) {
        float f = (float)ldexp(bm_random_unit(&r) - 0.5, (int)bm_random_below(&r, 44) - 26);
        if (fabsf(f) < 65504)
            CHECK_ROW((half_near((double)f) & 0x7fff) == (bm_half_from_float(f) & 0x7fff) &&
                          bm_half_from_float(f) >> 15 == !!signbit(f),
                      i);
    }
}

/* Doubles beside the midpoints of halves: rounding by way of the nearest float would give the wrong neighbour. */
static void doubles_are_rounded_once(void)
{
    for (unsigned h = 0; h < 0x7c00; h++) {
        double here = half_value((uint16_t)h), next = h == 0x7bff ? 65536 : half_value((uint16_t)(h + 1));
        double mid = (here + next) / 2, x[6] = {mid, nextafter(mid, 0), nextafter(mid, 1e9)};
        uint16_t even = (uint16_t)(h + (h & 1)), want[3] = {even, (uint16_t)h, (uint16_t)(h + 1)}, got[6];
        for (int i = 0; i < 3; i++)
            x[3 + i] = -x[i];
        CHECK_ROW(bm_from_double(got, BM_F16, x, 6) == (h != 0x7bff), h);
        for (int i = 0; i < 6; i++)
            CHECK_ROW(got[i] == (want[i % 3] | (i < 3 ? 0 : 0x8000)), h);
    }
}

static void all_types_to_double(void)
{
    struct bm_random r;

    bm_random_seed(&r, 2, 0);
    for (int type = BM_I8; type <= BM_F64; type++) {
        const size_t size = bm_dtype_size((enum bm_dtype)type);
        uint64_t data[1000];
        double got[1000];
        for (size_t i = 0; i < COUNT(data); i++)
            data[i] = bm_random_next(&r);
        memset(data, 0, size);
        memset((unsigned char *)data + size, 0xff, size);
        memset((unsigned char *)data + 2 * size, 0x80, size);
        for (size_t i = 0; i < 4; i++) { /* the ends of signed ranges */
            memset((unsigned char *)data + (3 + i) * size, i & 1 ? 0xff : 0, size);
            ((unsigned char *)data)[(4 + i) * size - 1] = i & 2 ? 0x7f : 0x80;
        }
        bm_to_double(got, data, (enum bm_dtype)type, COUNT(data));
        for (size_t i = 0; i < COUNT(data); i++) {
            double want = (double)sample_at(data, (enum bm_dtype)type, i);
            CHECK_ROW(got[i] == want || (isnan(got[i]) && isnan(want)), type);
        }
    }
}

static void doubles_to_floats(void)
{
    struct bm_random r;
    double x[1000], same[1000];
    float f[1000];

    bm_random_seed(&r, 3, 0);
    for (size_t i = 0; i < COUNT(x); i++)
        x[i] = ldexp(bm_random_unit(&r) - 0.5, (int)bm_random_below(&r, 250) - 124);
    x[3] = NAN;
    x[4] = INFINITY;
    CHECK(bm_from_double(f, BM_F32, x, COUNT(x)) && bm_from_double(same, BM_F64, x, COUNT(x)));
    CHECK(memcmp(same, x, sizeof x) == 0);
    for (size_t i = 0; i < COUNT(x); i++)
        CHECK_ROW(f[i] == (float)x[i] || isnan(x[i]), i);
    CHECK(isnan(f[3]) && isinf(f[4]));
}

static void overflow_is_told(void)
{
    static const struct {
        enum bm_dtype type;
        double value;
        bool fits;
    } rows[] = {
        {BM_F16, 65504, true},
        {BM_F16, 65519.99, true},
        {BM_F16, 65519.9999999, true},
        {BM_F16, 0x1.ffdfffffffffep15, true},
        {BM_F16, 65520, false},
        {BM_F16, -65520, false},
        {BM_F16, 1e300, false},
        {BM_F16, INFINITY, true},
        {BM_F16, NAN, true},
        {BM_F16, 1e-300, true},
        {BM_F32, FLT_MAX, true},
        {BM_F32, 0x1.fffffefffffffp127, true},
        {BM_F32, 0x1.ffffffp127, false},
        {BM_F32, -1e300, false},
        {BM_F32, -INFINITY, true},
        {BM_F32, NAN, true},
        {BM_F64, DBL_MAX, true},
        {BM_F64, INFINITY, true},
        {BM_F32, 1e-300, true},
    };

    for (size_t i = 0; i < COUNT(rows); i++)
        for (size_t at = 0; at < 9; at++) {
            double x[9] = {1, 2, 3, -4, 5, 6, 7, 8, 0}, out[9];
            x[at] = rows[i].value;
            CHECK_ROW(bm_from_double(out, rows[i].type, x, 9) == rows[i].fits, i);
            CHECK_ROW(!!isinf((double)sample_at(out, rows[i].type, at)) == (!rows[i].fits || !!isinf(rows[i].value)),
                      i);
        }
    CHECK(bm_from_double(&(double){0}, BM_F16, NULL, 0));
}

static void names(void)
{
    static const struct {
        enum bm_dtype type;
        const char *name, *descr;
        size_t size;
        bool is_float;
    } rows[] = {
        {BM_I8, "int8", "|i1", 1, false},    {BM_U8, "uint8", "|u1", 1, false},   {BM_I16, "int16", "<i2", 2, false},
        {BM_U16, "uint16", "<u2", 2, false}, {BM_I32, "int32", "<i4", 4, false},  {BM_U32, "uint32", "<u4", 4, false},
        {BM_I64, "int64", "<i8", 8, false},  {BM_U64, "uint64", "<u8", 8, false}, {BM_F16, "float16", "<f2", 2, true},
        {BM_F32, "float32", "<f4", 4, true}, {BM_F64, "float64", "<f8", 8, true},
    };
    static const char *const unknown[] = {"",       "int", "<i3",       ">i2", "float",
                                          "int16 ", "i2",  "complex64", "|b1", "INT8"};
    enum bm_dtype t;

    for (size_t i = 0; i < COUNT(rows); i++) {
        CHECK_ROW(strcmp(bm_dtype_name(rows[i].type), rows[i].name) == 0, i);
        CHECK_ROW(strcmp(bm_dtype_descr(rows[i].type), rows[i].descr) == 0, i);
        CHECK_ROW(bm_dtype_size(rows[i].type) == rows[i].size && bm_dtype_is_float(rows[i].type) == rows[i].is_float,
                  i);
        CHECK_ROW(bm_dtype_from_name(rows[i].name, &t) && t == rows[i].type, i);
        CHECK_ROW(bm_dtype_from_name(rows[i].descr, &t) && t == rows[i].type, i);
    }
    for (size_t i = 0; i < COUNT(unknown); i++)
        CHECK_ROW(!bm_dtype_from_name(unknown[i], &t), i);
}

static void bytes_are_swapped(void)
{
    static const struct {
        size_t size;
        const char *want;
    } rows[] = {{1, "abcdefgh"}, {2, "badcfehg"}, {4, "dcbahgfe"}, {8, "hgfedcba"}};

    for (size_t i = 0; i < COUNT(rows); i++) {
        char text[] = "abcdefgh+";
        bm_swap_bytes(text, rows[i].size, 8 / rows[i].size);
        CHECK_ROW(memcmp(text, rows[i].want, 8) == 0 && text[8] == '+', i);
    }
}

int main(void)
{
    static const struct unit_test all[] = {
        UNIT(halves_have_the_values_of_the_standard),
        UNIT(all_halves_come_back),
        UNIT(floats_round_to_the_nearest_half),
        UNIT(special_floats),
        UNIT(random_floats_round_to_the_nearest_half),
        UNIT(doubles_are_rounded_once),
        UNIT(all_types_to_double),
        UNIT(doubles_to_floats),
        UNIT(overflow_is_told),
        UNIT(names),
        UNIT(bytes_are_swapped),
    };
    return unit_main(all, COUNT(all));
}
