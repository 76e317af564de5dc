#include "io/niftiwide.h"
#include "ops/random.h"
#include "unit.h"

#include <float.h>
#include <math.h>
#include <stdint.h>

#define TOP ((uint64_t)1 << 63)
#define ONE ((uint64_t)0x3FFF)
#define EXTENDED BM_NIFTIWIDE_EXTENDED
#define BINARY128 BM_NIFTIWIDE_BINARY128

/* The two halves of a sample, as bytes of either order. */
static void put_halves(unsigned char bytes[16], uint64_t high, uint64_t low, bool big)
{
    for (size_t i = 0; i < 16; i++) {
        const unsigned char byte = (unsigned char)((i < 8 ? low : high) >> 8 * (i % 8));
        bytes[big ? 15 - i : i] = byte;
    }
}

static enum bm_niftiwide convert(double *got, uint64_t high, uint64_t low, bool big, enum bm_niftiwide_form form,
                                 struct bm_niftiwide_seen *seen)
{
    unsigned char bytes[16];
    size_t at = 99;

    put_halves(bytes, high, low, big);
    return bm_niftiwide_to_double(got, bytes, 1, big, form, seen, &at);
}

static bool same(double a, double b)
{
    return (isnan(a) && isnan(b)) || (a == b && !signbit(a) == !signbit(b));
}

struct row {
    uint64_t high, low;
    double want;
};

static void check_rows(const struct row *rows, size_t n, enum bm_niftiwide_form form)
{
    for (size_t i = 0; i < n; i++) {
        for (int big = 0; big < 2; big++) {
            struct bm_niftiwide_seen seen = {0};
            double got = 99;
            CHECK_ROW(convert(&got, rows[i].high, rows[i].low, big, form, &seen) == BM_NIFTIWIDE_OK, i);
            CHECK_ROW(same(got, rows[i].want), i);
        }
    }
}

/* Halves go to the even side, once, also where a double has fewer bits left. */
static void extended_numbers(void)
{
    static const struct row rows[] = {
        {0, 0, 0},
        {0x8000, 0, -0.0},
        {ONE, TOP, 1},
        {ONE, TOP | 0x400, 1},
        {ONE, TOP | 0x401, 1 + 0x1p-52},
        {ONE, TOP | 0xC00, 1 + 0x1p-51},
        {ONE, ~(uint64_t)0, 2},
        {0x8000 | 0x4000, TOP | TOP >> 2, -2.5},
        {0x7FFF, TOP, INFINITY},
        {0xFFFF, TOP, -INFINITY},
        {0x7FFF, TOP | 1, NAN},
        {ONE + 1023, ~(uint64_t)0x7FF, DBL_MAX},
        {ONE + 1023, ~(uint64_t)0x400, DBL_MAX},
        {ONE - 1074, TOP, 0x1p-1074},
        {ONE - 1075, TOP, 0},
        {ONE - 1075, TOP | 1, 0x1p-1074},
        {ONE - 1076, ~(uint64_t)0, 0},
        {ONE - 1023, TOP | 0x800, 0x1p-1023},
        {ONE - 1023, TOP | 0x1800, 0x1p-1023 + 0x1p-1073},
        {1, TOP, 0},
        {0x8000, 1, -0.0},
    };

    check_rows(rows, COUNT(rows), EXTENDED);
}

static void binary128_numbers(void)
{
    static const struct row rows[] = {
        {0, 0, 0},
        {TOP, 0, -0.0},
        {ONE << 48, 0, 1},
        {ONE << 48, (uint64_t)1 << 59, 1},
        {ONE << 48, (uint64_t)1 << 59 | 1, 1 + 0x1p-52},
        {ONE << 48, (uint64_t)3 << 59, 1 + 0x1p-51},
        {ONE << 48 | 0xFFFFFFFFFFFF, ~(uint64_t)0, 2},
        {TOP | (ONE + 1) << 48 | (uint64_t)1 << 46, 0, -2.5},
        {(uint64_t)0x7FFF << 48, 0, INFINITY},
        {(uint64_t)0xFFFF << 48, 0, -INFINITY},
        {(uint64_t)0x7FFF << 48, 1, NAN},
        {(ONE + 1023) << 48 | 0xFFFFFFFFFFFF, (uint64_t)0xF << 60, DBL_MAX},
        {(ONE - 1074) << 48, 0, 0x1p-1074},
        {(ONE - 1075) << 48, 0, 0},
        {(ONE - 1075) << 48, 1, 0x1p-1074},
        {0, ~(uint64_t)0, 0},
        {TOP, 1, -0.0},
    };

    check_rows(rows, COUNT(rows), BINARY128);
}

static struct bm_random random_state;

static uint64_t any_bits(void)
{
    return bm_random_next(&random_state);
}

/* Exponents around those of doubles, and now and then any; fractions whose tails are mostly halves or nearly so. */
static uint64_t any_exponent(void)
{
    return any_bits() % 4 == 0 ? any_bits() % 0x8000 : ONE - 1100 + any_bits() % 2200;
}

static uint64_t any_tail(void)
{
    const uint64_t v = any_bits(), cut = any_bits() % 64;

    return (v >> cut << cut) + any_bits() % 3 - 1;
}

static void check_against(double want, uint64_t high, uint64_t low, bool finite, enum bm_niftiwide_form form)
{
    struct bm_niftiwide_seen seen = {0};
    double got = 99;
    const enum bm_niftiwide why = convert(&got, high, low, false, form, &seen);

    CHECK(why == (isinf(want) && finite ? BM_NIFTIWIDE_TOO_LARGE : BM_NIFTIWIDE_OK));
    CHECK(same(got, want));
}

static void extended_as_the_machine_reads_it(void)
{
    if (LDBL_MANT_DIG != 64 || sizeof(long double) != 16)
        SKIP("this machine has no 80-bit extended");
    bm_random_seed(&random_state, 1, 0);
    for (size_t i = 0; i < 100000; i++) {
        const uint64_t exponent = any_exponent(), low = exponent ? any_tail() | TOP : any_tail() & ~TOP,
                       high = exponent | (any_bits() % 2) << 15;
        unsigned char bytes[16];
        long double wide;
        put_halves(bytes, high, low, false);
        memcpy(&wide, bytes, sizeof bytes);
        check_against((double)wide, high, low, isfinite(wide), EXTENDED);
    }
}

#if LDBL_MANT_DIG == 113
#define HAVE_BINARY128
typedef long double binary128;
#elif defined(__SIZEOF_FLOAT128__)
#define HAVE_BINARY128
__extension__ typedef __float128 binary128;
#endif

static void binary128_as_the_compiler_reads_it(void)
{
#ifdef HAVE_BINARY128
    bm_random_seed(&random_state, 2, 0);
    for (size_t i = 0; i < 100000; i++) {
        const uint64_t exponent = any_exponent(), high = (any_bits() % 2) << 63 | exponent << 48 | any_tail() >> 16,
                       low = any_bits() % 4 == 0 ? 0 : any_tail();
        unsigned char bytes[16];
        binary128 wide;
        put_halves(bytes, high, low, false);
        memcpy(&wide, bytes, sizeof bytes);
        check_against((double)wide, high, low, exponent != 0x7FFF, BINARY128);
    }
#else
    SKIP("this compiler has no binary128");
#endif
}

static void too_large_for_a_double(void)
{
    struct bm_niftiwide_seen seen = {0};
    double got;

    CHECK(convert(&got, ONE + 1023, ~(uint64_t)0x3FF, false, EXTENDED, &seen) == BM_NIFTIWIDE_TOO_LARGE);
    CHECK(convert(&got, ONE + 1024, TOP, false, EXTENDED, &seen) == BM_NIFTIWIDE_TOO_LARGE);
    CHECK(convert(&got, (ONE + 1024) << 48, 0, true, BINARY128, &seen) == BM_NIFTIWIDE_TOO_LARGE);
}

static void where_it_is(void)
{
    struct bm_niftiwide_seen seen = {0};
    unsigned char bytes[3 * 16];
    double got[3];
    size_t at = 99;

    for (size_t i = 0; i < 3; i++)
        put_halves(bytes + 16 * i, i == 1 ? ONE + 1024 : ONE, TOP, false);
    CHECK(bm_niftiwide_to_double(got, bytes, 3, false, EXTENDED, &seen, &at) == BM_NIFTIWIDE_TOO_LARGE && at == 1);
}

/* Anything may stand in x86's padding, but a volume of nothing but padded zeros is no x86's. */
static void padding(void)
{
    const uint64_t fill = (uint64_t)0x3F3F3F << 16;
    struct bm_niftiwide_seen seen = {0};
    double got;

    CHECK(convert(&got, 0, 0, false, EXTENDED, &seen) == BM_NIFTIWIDE_OK && !bm_niftiwide_foreign(&seen));
    CHECK(convert(&got, fill, 0, false, EXTENDED, &seen) == BM_NIFTIWIDE_OK && got == 0);
    CHECK(seen.padded == 1 && seen.numbers == 0 && bm_niftiwide_foreign(&seen));
    CHECK(convert(&got, fill | ONE, TOP, false, EXTENDED, &seen) == BM_NIFTIWIDE_OK && got == 1);
    CHECK(seen.padded == 1 && seen.numbers == 1 && !bm_niftiwide_foreign(&seen));
}

static void what_no_x86_writes(void)
{
    static const uint64_t rows[][2] = {
        {ONE, 0x4000000000000000},                /* an exponent without the top bit */
        {0, TOP},                                 /* the top bit without an exponent */
        {0x3FFB999999999999, 0x999999999999A000}, /* binary128: 0.1 */
        {0x3FFB999999991999, 0xA000000000000000}, /* padded and vanishes as a double */
        {0x3FFB999999995999, 0xA000000000000000}, /* padded and overflows */
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct bm_niftiwide_seen seen = {0};
        double got;
        CHECK_ROW(convert(&got, rows[i][0], rows[i][1], false, EXTENDED, &seen) == BM_NIFTIWIDE_FOREIGN, i);
    }
}

static void this_machine(void)
{
    CHECK(bm_niftiwide_here() == (LDBL_MANT_DIG == 113 ? BINARY128 : EXTENDED));
}

int main(void)
{
    static const struct unit_test all[] = {
        UNIT(extended_numbers),
        UNIT(binary128_numbers),
        UNIT(extended_as_the_machine_reads_it),
        UNIT(binary128_as_the_compiler_reads_it),
        UNIT(too_large_for_a_double),
        UNIT(where_it_is),
        UNIT(padding),
        UNIT(what_no_x86_writes),
        UNIT(this_machine),
    };

    return unit_main(all, COUNT(all));
}
