#include "io/niftiwide.h"
#include "unit.h"

#include <float.h>
#include <math.h>

enum { N = 12 };

/* Long doubles as bytes, all padding `fill`. */
static void put_wide(unsigned char *bytes, const long double *v, size_t n, unsigned char fill)
{
    const size_t used = LDBL_MANT_DIG == 64 ? 10 : 16;

    memset(bytes, fill, n * 16);
    for (size_t i = 0; i < n; i++)
        memcpy(bytes + i * 16, &v[i], used);
}

static void reverse(unsigned char *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        for (size_t a = 0; a < 8; a++) {
            unsigned char t = bytes[i * 16 + a];
            bytes[i * 16 + a] = bytes[i * 16 + 15 - a];
            bytes[i * 16 + 15 - a] = t;
        }
}

/* What remains of a long double in a double is known beforehand: halves go to the even side. */
static void rounded_to_the_nearest_double(void)
{
    const long double e = 0x1p-53L;
    const long double v[N] = {0,         -0.0L,      1,          1 + e,   1 + 3 * e, 1 + e + 0x1p-60L,
                              -INFINITY, 0x1p-1074L, 0x1p-1076L, DBL_MAX, -2.5L,     1e300L};
    const double want[N] = {0,         -0.0, 1,       1,    1 + 2 * 0x1p-52, 1 + 0x1p-52, -INFINITY,
                            0x1p-1074, 0.0,  DBL_MAX, -2.5, (double)1e300L};

    if (!bm_niftiwide_known())
        SKIP("this machine's long double has another form");
    for (int swapped = 0; swapped < 2; swapped++) {
        struct bm_niftiwide_seen seen = {0};
        unsigned char bytes[N * 16];
        double got[N];
        size_t at = 99;
        put_wide(bytes, v, N, 0);
        if (swapped)
            reverse(bytes, N);
        CHECK(bm_niftiwide_to_double(got, bytes, N, swapped, &seen, &at) == BM_NIFTIWIDE_OK);
        for (size_t i = 0; i < N; i++)
            CHECK_ROW(got[i] == want[i] && !signbit(got[i]) == !signbit(want[i]), i);
        CHECK(seen.numbers == N - 2 && seen.padded == 0 && !bm_niftiwide_foreign(&seen));
    }
}

static void too_large_for_a_double(void)
{
    const long double v[3] = {1, 0x1.fffffffffffff8p1023L, NAN};
    struct bm_niftiwide_seen seen = {0};
    unsigned char bytes[3 * 16];
    double got[3];
    size_t at;

    if (!bm_niftiwide_known())
        SKIP("this machine's long double has another form");
    put_wide(bytes, v, 3, 0);
    CHECK(bm_niftiwide_to_double(got, bytes, 3, false, &seen, &at) == BM_NIFTIWIDE_TOO_LARGE && at == 1);
    CHECK(bm_niftiwide_to_double(got, bytes + 32, 1, false, &seen, &at) == BM_NIFTIWIDE_OK && isnan(got[0]));
}

/* Anything may stand in x86's padding, but a volume of nothing but padded zeros is no x86's. */
static void padding(void)
{
    const long double v[3] = {0, 1, 0};
    struct bm_niftiwide_seen seen = {0};
    unsigned char bytes[3 * 16];
    double got[3];
    size_t at;

    if (LDBL_MANT_DIG != 64)
        SKIP("no padding in this machine's long double");
    put_wide(bytes, v, 3, 0x3F);
    CHECK(bm_niftiwide_to_double(got, bytes, 1, false, &seen, &at) == BM_NIFTIWIDE_OK);
    CHECK(seen.padded == 1 && bm_niftiwide_foreign(&seen));
    CHECK(bm_niftiwide_to_double(got, bytes, 3, false, &seen, &at) == BM_NIFTIWIDE_OK && got[1] == 1);
    CHECK(seen.padded == 3 && seen.numbers == 1 && !bm_niftiwide_foreign(&seen));
}

static void what_no_x86_writes(void)
{
    static const unsigned char rows[][16] = {
        {0, 0, 0, 0, 0, 0, 0, 0x40, 0xFF, 0x3F}, /* an exponent without the top bit */
        {0, 0, 0, 0, 0, 0, 0, 0x80, 0, 0},       /* the top bit without an exponent */
        {0, 0, 0, 0, 0, 0, 0, 0xA0, 0x99, 0x19, 0x99, 0x99, 0x99, 0x99, 0xFB, 0x3F}, /* binary128: 0.1 */
        {0, 0, 0, 0, 0, 0, 0, 0xA0, 0x99, 0x59, 0x99, 0x99, 0x99, 0x99, 0xFB, 0x3F},
    };

    if (LDBL_MANT_DIG != 64)
        SKIP("every sixteen bytes are a binary128 number");
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct bm_niftiwide_seen seen = {0};
        double got;
        size_t at;
        CHECK_ROW(bm_niftiwide_to_double(&got, rows[i], 1, false, &seen, &at) == BM_NIFTIWIDE_FOREIGN, i);
    }
}

int main(void)
{
    static const struct unit_test all[] = {
        UNIT(rounded_to_the_nearest_double),
        UNIT(too_large_for_a_double),
        UNIT(padding),
        UNIT(what_no_x86_writes),
    };

    return unit_main(all, COUNT(all));
}
