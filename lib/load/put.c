#include "load/put.h"

#include <stdint.h>
#include <string.h>
#include <unistd.h>

#if defined(__SSE2__)
#include <immintrin.h>

#define LINE 64 /* bytes of a cache line */
#define AHEAD 1024

/* `lines` whole lines to dst, which begins a line. */
static void lines_sse2(char *dst, const char *src, size_t lines)
{
    for (; lines > 0; lines--, dst += LINE, src += LINE) {
        __m128i part[4];

        for (int i = 0; i < 4; i++)
            part[i] = _mm_loadu_si128((const __m128i_u *)(const void *)src + i);
        for (int i = 0; i < 4; i++)
            _mm_stream_si128((__m128i *)(void *)dst + i, part[i]);
    }
}

__attribute__((target("avx512f"))) static void lines_avx512(char *dst, const char *src, size_t lines)
{
    for (; lines > 0; lines--, dst += LINE, src += LINE) {
        _mm_prefetch(src + AHEAD, _MM_HINT_T0);
        _mm512_stream_si512((__m512i *)(void *)dst, _mm512_loadu_si512(src));
    }
}

static bool has_avx512(void)
{
    return __builtin_cpu_supports("avx512f");
}

static void put_around(char *dst, const char *src, size_t bytes)
{
    size_t head = (LINE - (uintptr_t)dst % LINE) % LINE, lines;

    head = head < bytes ? head : bytes;
    memcpy(dst, src, head);
    lines = (bytes - head) / LINE;
    if (has_avx512())
        lines_avx512(dst + head, src + head, lines);
    else
        lines_sse2(dst + head, src + head, lines);
    head += lines * LINE;
    memcpy(dst + head, src + head, bytes - head);
}

void bm_put_fence(void)
{
    _mm_sfence();
}
#else
static void put_around(char *dst, const char *src, size_t bytes)
{
    memcpy(dst, src, bytes);
}

void bm_put_fence(void) {}
#endif

void bm_put(void *dst, const void *src, size_t bytes, bool around)
{
    if (around)
        put_around(dst, src, bytes);
    else
        memcpy(dst, src, bytes);
}

bool bm_put_worth(size_t bytes)
{
    long last = -1;

#ifdef _SC_LEVEL3_CACHE_SIZE
    last = sysconf(_SC_LEVEL3_CACHE_SIZE);
#endif
    return bytes > (last > 0 ? (size_t)last : (size_t)32 << 20);
}
