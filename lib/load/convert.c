#include "load/convert.h"

#include "core/dtype.h"
#include "core/vector.h"

#include <stdint.h>
#include <string.h>

#if defined(__SSE2__)
#include <immintrin.h>
#define F16C __attribute__((target("avx,f16c")))
#endif

#define BLOCK 1024 /* samples that are converted in two steps at a time */

size_t bm_sample_size(enum bm_sample type)
{
    return type == BM_SAMPLE_F64 ? 8 : type == BM_SAMPLE_F32 ? 4 : 2;
}

/* Counts finite floats that have become infinite: bits of the result without its sign against those of infinity. */
static bool became_infinite(float f, uint16_t bits, uint16_t infinity)
{
    uint32_t x;

    memcpy(&x, &f, sizeof x);
    return (bits & 0x7fffu) == infinity && (x & 0x7fffffffu) < 0x7f800000u;
}

static bool halves_plain(uint16_t *dst, const float *src, size_t n)
{
    bool fits = true;

    for (size_t i = 0; i < n; i++) {
        dst[i] = bm_half_from_float(src[i]);
        fits &= !became_infinite(src[i], dst[i], 0x7c00u);
    }
    return fits;
}

static void floats_plain(float *dst, const uint16_t *src, size_t n)
{
    for (size_t i = 0; i < n; i++)
        dst[i] = bm_half_to_float(src[i]);
}

#ifdef F16C
F16C static bool halves_f16c(uint16_t *dst, const float *src, size_t n)
{
    size_t i = 0;
    bool fits = true;

    for (; i + 8 <= n; i += 8) {
        __m256 value = _mm256_loadu_ps(src + i), sign = _mm256_set1_ps(-0.0f), size = _mm256_andnot_ps(sign, value);
        __m256 large = _mm256_cmp_ps(size, _mm256_set1_ps(65520.0f), _CMP_GE_OQ);
        __m256 finite = _mm256_cmp_ps(size, _mm256_set1_ps(0x1.fffffep127f), _CMP_LE_OQ);

        fits &= _mm256_testz_ps(large, finite) != 0;
        _mm_storeu_si128((__m128i_u *)(void *)(dst + i), _mm256_cvtps_ph(value, _MM_FROUND_TO_NEAREST_INT));
    }
    return halves_plain(dst + i, src + i, n - i) && fits;
}

F16C static void floats_f16c(float *dst, const uint16_t *src, size_t n)
{
    size_t i = 0;

    for (; i + 8 <= n; i += 8)
        _mm256_storeu_ps(dst + i, _mm256_cvtph_ps(_mm_loadu_si128((const __m128i_u *)(const void *)(src + i))));
    floats_plain(dst + i, src + i, n - i);
}

/* Processors with AVX2 have these conversions; clang 14 cannot ask for them by name. */
static bool has_f16c(void)
{
    return __builtin_cpu_supports("avx2");
}

static bool halves(uint16_t *dst, const float *src, size_t n)
{
    return has_f16c() ? halves_f16c(dst, src, n) : halves_plain(dst, src, n);
}

static void floats(float *dst, const uint16_t *src, size_t n)
{
    if (has_f16c())
        floats_f16c(dst, src, n);
    else
        floats_plain(dst, src, n);
}
#else
#define halves halves_plain
#define floats floats_plain
#endif

/* bfloat16 is the upper half of a float. A NaN keeps its upper bits and is made quiet. */
BM_VECTOR static bool brains(uint16_t *dst, const float *src, size_t n)
{
    uint32_t lost = 0;

    for (size_t i = 0; i < n; i++) {
        uint32_t x, rounded, size;

        memcpy(&x, src + i, sizeof x);
        size = x & 0x7fffffffu;
        rounded = x + 0x7fffu + (x >> 16 & 1u);
        rounded = size > 0x7f800000u ? x | 0x400000u : rounded;
        lost |= (uint32_t)(size >= 0x7f7f8000u) & (uint32_t)(size < 0x7f800000u);
        dst[i] = (uint16_t)(rounded >> 16);
    }
    return lost == 0;
}

BM_VECTOR static void doubles(double *dst, const float *src, size_t n)
{
    for (size_t i = 0; i < n; i++)
        dst[i] = (double)src[i];
}

static bool from_floats(void *dst, enum bm_sample to, const float *src, size_t n)
{
    switch (to) {
    case BM_SAMPLE_F16:
        return halves(dst, src, n);
    case BM_SAMPLE_BF16:
        return brains(dst, src, n);
    default:
        doubles(dst, src, n);
        return true;
    }
}

bool bm_convert(void *dst, enum bm_sample to, const void *src, enum bm_sample from, size_t n)
{
    const size_t size = bm_sample_size(to);
    float values[BLOCK];
    bool fits = true;

    if (from == BM_SAMPLE_F32)
        fits = from_floats(dst, to, src, n);
    else if (to == BM_SAMPLE_F32)
        floats(dst, src, n);
    else
        for (size_t i = 0; i < n; i += BLOCK) {
            size_t count = n - i < BLOCK ? n - i : BLOCK;

            floats(values, (const uint16_t *)src + i, count);
            fits &= from_floats((char *)dst + i * size, to, values, count);
        }
    return fits;
}
