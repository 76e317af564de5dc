#include "core/dtype.h"

#include "core/vector.h"

#include <float.h>
#include <math.h>
#include <string.h>

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "boldmill keeps samples little-endian in memory; big-endian machines are not supported"
#endif

static const struct {
    const char *name, *descr;
    size_t size;
} types[] = {
    [BM_I8] = {"int8", "|i1", 1},     [BM_U8] = {"uint8", "|u1", 1},    [BM_I16] = {"int16", "<i2", 2},
    [BM_U16] = {"uint16", "<u2", 2},  [BM_I32] = {"int32", "<i4", 4},   [BM_U32] = {"uint32", "<u4", 4},
    [BM_I64] = {"int64", "<i8", 8},   [BM_U64] = {"uint64", "<u8", 8},  [BM_F16] = {"float16", "<f2", 2},
    [BM_F32] = {"float32", "<f4", 4}, [BM_F64] = {"float64", "<f8", 8},
};

size_t bm_dtype_size(enum bm_dtype t)
{
    return types[t].size;
}

const char *bm_dtype_name(enum bm_dtype t)
{
    return types[t].name;
}

const char *bm_dtype_descr(enum bm_dtype t)
{
    return types[t].descr;
}

bool bm_dtype_is_float(enum bm_dtype t)
{
    return t == BM_F16 || t == BM_F32 || t == BM_F64;
}

bool bm_dtype_from_name(const char *name, enum bm_dtype *out)
{
    for (int t = BM_I8; t <= BM_F64; t++) {
        if (!strcmp(name, types[t].name) || !strcmp(name, types[t].descr)) {
            *out = (enum bm_dtype)t;
            return true;
        }
    }
    return false;
}

uint16_t bm_half_from_float(float f)
{
    uint32_t x, sign, mant, shift, rest, half;

    memcpy(&x, &f, 4);
    sign = x >> 16 & 0x8000u;
    x &= 0x7fffffffu;
    if (x > 0x7f800000u)
        return (uint16_t)(sign | 0x7e00u | (x >> 13 & 0x1ffu)); /* NaN stays NaN */
    if (x >= 0x477ff000u)
        return (uint16_t)(sign | 0x7c00u); /* rounds past 65504 */
    if (x >= 0x38800000u) {                /* normal */
        x -= 0x38000000u;
        x += 0xfffu + (x >> 13 & 1u);
        return (uint16_t)(sign | x >> 13);
    }
    if (x < 0x33000000u)
        return (uint16_t)sign; /* below half of the smallest subnormal */
    mant = (x & 0x7fffffu) | 0x800000u;
    shift = 126u - (x >> 23);
    half = mant >> shift;
    rest = mant & ((1u << shift) - 1u);
    if (rest > 1u << (shift - 1) || (rest == 1u << (shift - 1) && (half & 1u)))
        half++;
    return (uint16_t)(sign | half);
}

float bm_half_to_float(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000u) << 16, e = h >> 10 & 0x1fu, mant = h & 0x3ffu, x;
    float f;

    if (e == 0) {
        f = (float)mant * 0x1p-24f;
        return sign ? -f : f;
    }
    x = e == 31 ? sign | 0x7f800000u | mant << 13 : sign | (e + 112u) << 23 | mant << 13;
    memcpy(&f, &x, 4);
    return f;
}

#define LOAD(ctype)                                                                                                  \
    do {                                                                                                             \
        const ctype *s = src;                                                                                        \
        for (size_t i = 0; i < n; i++)                                                                               \
            dst[i] = (double)s[i];                                                                                   \
    } while (0)

BM_VECTOR void bm_to_double(double *dst, const void *src, enum bm_dtype t, size_t n)
{
    switch (t) {
    case BM_I8:
        LOAD(int8_t);
        break;
    case BM_U8:
        LOAD(uint8_t);
        break;
    case BM_I16:
        LOAD(int16_t);
        break;
    case BM_U16:
        LOAD(uint16_t);
        break;
    case BM_I32:
        LOAD(int32_t);
        break;
    case BM_U32:
        LOAD(uint32_t);
        break;
    case BM_I64:
        LOAD(int64_t);
        break;
    case BM_U64:
        LOAD(uint64_t);
        break;
    case BM_F16:
        for (size_t i = 0; i < n; i++)
            dst[i] = (double)bm_half_to_float(((const uint16_t *)src)[i]);
        break;
    case BM_F32:
        LOAD(float);
        break;
    case BM_F64:
        LOAD(double);
        break;
    }
}

/* Is any finite value at least `limit` in size, the first that rounds to infinity? */
BM_VECTOR static bool any_beyond(const double *src, size_t n, double limit)
{
    unsigned beyond = 0;

    for (size_t i = 0; i < n; i++) {
        double a = fabs(src[i]);

        beyond |= (unsigned)(a >= limit) & (unsigned)(a <= DBL_MAX);
    }
    return beyond != 0;
}

/* d cut off to a float, its last bit set where something was lost (round to odd): rounds to the same half as d. */
static float round_to_odd(double d)
{
    float f = (float)d;
    uint32_t x;

    if ((double)f == d || isnan(d))
        return f;
    memcpy(&x, &f, 4);
    x = (x - (fabs((double)f) > fabs(d) ? 1u : 0u)) | 1u;
    memcpy(&f, &x, 4);
    return f;
}

BM_VECTOR bool bm_from_double(void *dst, enum bm_dtype t, const double *src, size_t n)
{
    switch (t) {
    case BM_F16:
        for (size_t i = 0; i < n; i++)
            ((uint16_t *)dst)[i] = bm_half_from_float(round_to_odd(src[i]));
        return !any_beyond(src, n, 65520.0);
    case BM_F32:
        for (size_t i = 0; i < n; i++)
            ((float *)dst)[i] = (float)src[i];
        return !any_beyond(src, n, 0x1.ffffffp127);
    default:
        memcpy(dst, src, n * sizeof *src);
        return true;
    }
}

void bm_swap_bytes(void *samples, size_t size, size_t n)
{
    unsigned char *p = samples;

    for (size_t i = 0; i < n; i++, p += size)
        for (size_t a = 0, z = size - 1; a < z; a++, z--) {
            unsigned char t = p[a];
            p[a] = p[z];
            p[z] = t;
        }
}
