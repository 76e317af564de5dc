#include "io/niftiwide.h"

#include "io/niftifields.h"

#include <float.h>
#include <math.h>
#include <stdint.h>

#define WIDE 16           /* bytes of a sample */
#define BIAS (16383 + 63) /* of the exponent of a whole significand, in both forms */
#define SPECIAL 0x7FFF    /* the exponent of infinities and NaN */
#define DOUBLE_BITS 53
#define LEAST (-1074) /* the exponent of the smallest double */

enum bm_niftiwide_form bm_niftiwide_here(void)
{
    return LDBL_MANT_DIG == 113 ? BM_NIFTIWIDE_BINARY128 : BM_NIFTIWIDE_EXTENDED;
}

/* A number of either form: significand * 2^(exponent - BIAS). */
struct number {
    bool negative, more; /* more: something follows the significand */
    int exponent;
    uint64_t significand; /* its top bit is set in all but zero and subnormals */
    bool padded;
};

static struct number take_extended(uint64_t high, uint64_t low)
{
    return (struct number){
        .negative = high >> 15 & 1, .exponent = (int)(high & 0x7FFF), .significand = low, .padded = high >> 16 != 0};
}

static struct number take_binary128(uint64_t high, uint64_t low)
{
    const uint64_t exponent = high >> 48 & 0x7FFF;

    return (struct number){.negative = high >> 63,
                           .exponent = (int)exponent,
                           .significand = (uint64_t)(exponent != 0) << 63 | high << 16 >> 1 | low >> 49,
                           .more = low << 15 != 0};
}

/* v / 2^drop, rounded half to even; more: v was cut off. */
static uint64_t round_off(uint64_t v, int drop, bool more)
{
    if (drop > 64)
        return 0;
    const uint64_t half = (uint64_t)1 << (drop - 1), kept = v >> (drop - 1) >> 1;
    const bool beyond = (v & (half - 1)) != 0 || more;

    return kept + ((v & half) != 0 && (beyond || kept % 2 != 0));
}

/* Infinite where it is too large. */
static double to_double(const struct number *x)
{
    const int exponent = x->exponent - BIAS, least = 64 - DOUBLE_BITS;
    const int drop = LEAST - exponent > least ? LEAST - exponent : least;
    double v = ldexp((double)round_off(x->significand, drop, x->more), exponent + drop);

    if (x->exponent == SPECIAL)
        v = x->significand << 1 != 0 || x->more ? (double)NAN : (double)INFINITY;
    return copysign(v, x->negative ? -1 : 1);
}

/* One sample. An extended number that vanishes or overflows as a double, with something in its padding, is taken for
 * one of binary128: both are rare, together they tell. */
static enum bm_niftiwide convert(double *dst, const struct number *x, bool extended, struct bm_niftiwide_seen *seen)
{
    const bool zero = x->significand == 0;

    if (extended && (x->exponent != 0) != (x->significand >> 63 != 0))
        return BM_NIFTIWIDE_FOREIGN;
    *dst = to_double(x);
    seen->numbers += !zero;
    seen->padded += zero && x->padded;
    if (x->padded && !zero && *dst == 0)
        return BM_NIFTIWIDE_FOREIGN;
    if (isinf(*dst) && x->exponent != SPECIAL)
        return x->padded ? BM_NIFTIWIDE_FOREIGN : BM_NIFTIWIDE_TOO_LARGE;
    return BM_NIFTIWIDE_OK;
}

enum bm_niftiwide bm_niftiwide_to_double(double *dst, const unsigned char *src, size_t n, bool big,
                                         enum bm_niftiwide_form form, struct bm_niftiwide_seen *seen, size_t *at)
{
    const bool extended = form == BM_NIFTIWIDE_EXTENDED;

    for (size_t i = 0; i < n; i++) {
        const unsigned char *p = src + i * WIDE;
        const uint64_t high = bm_nifti_get_uint(p + (big ? 0 : 8), 8, big),
                       low = bm_nifti_get_uint(p + (big ? 8 : 0), 8, big);
        const struct number x = (extended ? take_extended : take_binary128)(high, low);
        const enum bm_niftiwide why = convert(dst + i, &x, extended, seen);

        *at = i;
        if (why != BM_NIFTIWIDE_OK)
            return why;
    }
    return BM_NIFTIWIDE_OK;
}

bool bm_niftiwide_foreign(const struct bm_niftiwide_seen *seen)
{
    return seen->padded > 0 && seen->numbers == 0;
}
