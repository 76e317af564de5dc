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

/* Could x86 have written these bytes? The top bit of the significand is set in all but zero and subnormals. A zero
 * with something in its padding may be a binary128 number. */
static bool extended(const unsigned char p[WIDE])
{
    static const unsigned char zeros[WIDE];
    const bool exponent = p[8] != 0 || (p[9] & 0x7F) != 0, top = (p[7] & 0x80) != 0;

    if (exponent != top)
        return false;
    return exponent || memcmp(p, zeros, 8) != 0 || memcmp(p + 10, zeros, 6) == 0;
}

static void reverse(unsigned char p[WIDE])
{
    for (size_t a = 0, z = WIDE - 1; a < z; a++, z--) {
        const unsigned char t = p[a];

        p[a] = p[z];
        p[z] = t;
    }
}

enum bm_niftiwide bm_niftiwide_to_double(double *dst, const unsigned char *src, size_t n, bool swapped, size_t *at)
{
    for (size_t i = 0; i < n; i++) {
        unsigned char p[WIDE];
        long double wide = 0;

        *at = i;
        memcpy(p, src + i * WIDE, WIDE);
        if (swapped)
            reverse(p);
        if (LDBL_MANT_DIG == 64 && !extended(p))
            return BM_NIFTIWIDE_FOREIGN;
        memcpy(&wide, p, sizeof wide < WIDE ? sizeof wide : WIDE);
        dst[i] = (double)wide;
        if (isinf(dst[i]) && !isinf(wide))
            return BM_NIFTIWIDE_TOO_LARGE;
    }
    return BM_NIFTIWIDE_OK;
}
