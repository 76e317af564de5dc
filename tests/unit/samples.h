/* Samples for tests: matrices of any sample type, read back without the library's own conversions. */
#ifndef BM_UNIT_SAMPLES_H
#define BM_UNIT_SAMPLES_H

#include "core/dtype.h"
#include "ops/random.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

/* A half by its definition (IEEE 754: sign, 5 bits of exponent, 10 of fraction). */
__attribute__((unused)) static double half_value(uint16_t h)
{
    int e = h >> 10 & 31, m = h & 1023;
    double v = e == 31 ? (m ? NAN : INFINITY) : e ? ldexp(1024 + m, e - 25) : ldexp(m, -24);

    return h & 0x8000 ? -v : v;
}

#define SAMPLE_AT(ctype) (long double)((const ctype *)data)[i]

/* Sample i as it is: long double holds every type exactly. */
__attribute__((unused)) static long double sample_at(const void *data, enum bm_dtype type, size_t i)
{
    switch (type) {
    case BM_I8:
        return SAMPLE_AT(int8_t);
    case BM_U8:
        return SAMPLE_AT(uint8_t);
    case BM_I16:
        return SAMPLE_AT(int16_t);
    case BM_U16:
        return SAMPLE_AT(uint16_t);
    case BM_I32:
        return SAMPLE_AT(int32_t);
    case BM_U32:
        return SAMPLE_AT(uint32_t);
    case BM_I64:
        return SAMPLE_AT(int64_t);
    case BM_U64:
        return SAMPLE_AT(uint64_t);
    case BM_F16:
        return (long double)half_value(((const uint16_t *)data)[i]);
    case BM_F32:
        return SAMPLE_AT(float);
    default:
        return SAMPLE_AT(double);
    }
}

/* The finite half nearest to v, the even one of two, found among all (slow). */
__attribute__((unused)) static uint16_t half_near(double v)
{
    unsigned lo = 0, hi = 0x7bff;

    while (lo < hi) {
        unsigned mid = (lo + hi) / 2;
        double here = half_value((uint16_t)mid), next = half_value((uint16_t)(mid + 1));
        double middle = here + (next - here) / 2;
        if (fabs(v) < middle || (fabs(v) <= middle && mid % 2 == 0))
            hi = mid;
        else
            lo = mid + 1;
    }
    return (uint16_t)(lo | (v < 0 ? 0x8000u : 0u));
}

#define SET_SAMPLE(ctype) ((ctype *)data)[i] = (ctype)v

/* Sets sample i to v, which must be in the type's range; integers are cut off. */
__attribute__((unused)) static void set_sample(void *data, enum bm_dtype type, size_t i, double v)
{
    switch (type) {
    case BM_I8:
        SET_SAMPLE(int8_t);
        break;
    case BM_U8:
        SET_SAMPLE(uint8_t);
        break;
    case BM_I16:
        SET_SAMPLE(int16_t);
        break;
    case BM_U16:
        SET_SAMPLE(uint16_t);
        break;
    case BM_I32:
        SET_SAMPLE(int32_t);
        break;
    case BM_U32:
        SET_SAMPLE(uint32_t);
        break;
    case BM_I64:
        SET_SAMPLE(int64_t);
        break;
    case BM_U64:
        SET_SAMPLE(uint64_t);
        break;
    case BM_F16:
        ((uint16_t *)data)[i] = half_near(v);
        break;
    case BM_F32:
        SET_SAMPLE(float);
        break;
    case BM_F64:
        SET_SAMPLE(double);
        break;
    }
}

/* The range that random samples are taken from: the whole type, or as much as differs from noise to noise. */
__attribute__((unused)) static void sample_range(enum bm_dtype type, double *lo, double *hi)
{
    static const double range[][2] = {
        [BM_I8] = {-128, 127.9},
        [BM_U8] = {0, 255.9},
        [BM_I16] = {-32768, 32767.9},
        [BM_U16] = {0, 65535.9},
        [BM_I32] = {-0x1p31, 0x1p31 - 1},
        [BM_U32] = {0, 0x1p32 - 1},
        [BM_I64] = {-0x1p63, 0x1.fffffp62},
        [BM_U64] = {0, 0x1.fffffp63},
        [BM_F16] = {-6e4, 6e4},
        [BM_F32] = {-1e6, 3e6},
        [BM_F64] = {-1e6, 3e6},
    };

    *lo = range[type][0];
    *hi = range[type][1];
}

__attribute__((unused)) static void random_samples(void *data, enum bm_dtype type, size_t n, struct bm_random *r)
{
    double lo, hi;

    sample_range(type, &lo, &hi);
    for (size_t i = 0; i < n; i++)
        set_sample(data, type, i, lo + (hi - lo) * bm_random_unit(r));
}

#endif
