#include "io/niftiwide.h"

#include <float.h>
#include <math.h>
#include <string.h>

#define WIDE 16 /* bytes of a sample */

#if LDBL_MANT_DIG == 64
#define FORM "80-bit extended"
#elif LDBL_MANT_DIG == 113
#define FORM "IEEE binary128"
#else
#define FORM ""
#endif

bool bm_niftiwide_known(void)
{
    return sizeof(long double) == WIDE && FORM[0] != 0;
}

const char *bm_niftiwide_form(void)
{
    return FORM;
}

static bool is_zero(const unsigned char *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (p[i])
            return false;
    }
    return true;
}

/* Could x86 have written these bytes? The top bit of the significand is set in all but zero and subnormals. */
static bool extended(const unsigned char p[WIDE])
{
    const bool exponent = p[8] != 0 || (p[9] & 0x7F) != 0, top = (p[7] & 0x80) != 0;

    return exponent == top;
}

static void reverse(unsigned char p[WIDE])
{
    for (size_t a = 0, z = WIDE - 1; a < z; a++, z--) {
        const unsigned char t = p[a];

        p[a] = p[z];
        p[z] = t;
    }
}

/* One sample in this machine's byte order. A number that vanishes or overflows as a double, with something in its
 * padding, is taken for one of binary128: both are rare, together they tell. */
static enum bm_niftiwide convert(double *dst, const unsigned char p[WIDE], struct bm_niftiwide_seen *seen)
{
    const bool padded = LDBL_MANT_DIG == 64 && !is_zero(p + 10, 6);
    long double wide = 0;

    memcpy(&wide, p, sizeof wide < WIDE ? sizeof wide : WIDE);
    if (LDBL_MANT_DIG == 64 && !extended(p))
        return BM_NIFTIWIDE_FOREIGN;
    *dst = (double)wide;
    seen->numbers += wide != 0;
    seen->padded += wide == 0 && padded;
    if (padded && wide != 0 && *dst == 0)
        return BM_NIFTIWIDE_FOREIGN;
    if (isinf(*dst) && !isinf(wide))
        return padded ? BM_NIFTIWIDE_FOREIGN : BM_NIFTIWIDE_TOO_LARGE;
    return BM_NIFTIWIDE_OK;
}

enum bm_niftiwide bm_niftiwide_to_double(double *dst, const unsigned char *src, size_t n, bool swapped,
                                         struct bm_niftiwide_seen *seen, size_t *at)
{
    for (size_t i = 0; i < n; i++) {
        unsigned char p[WIDE];

        *at = i;
        memcpy(p, src + i * WIDE, WIDE);
        if (swapped)
            reverse(p);
        const enum bm_niftiwide why = convert(dst + i, p, seen);
        if (why != BM_NIFTIWIDE_OK)
            return why;
    }
    return BM_NIFTIWIDE_OK;
}

bool bm_niftiwide_foreign(const struct bm_niftiwide_seen *seen)
{
    return seen->padded > 0 && seen->numbers == 0;
}
