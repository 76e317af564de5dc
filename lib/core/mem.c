#include "core/mem.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

int bm_mul(size_t a, size_t b, size_t *out, const char *what, struct bm_error *err)
{
    if (__builtin_mul_overflow(a, b, out))
        return bm_fail(err, BM_EDATA, "%s: the size does not fit this machine's address space (%zu x %zu)", what, a,
                       b);
    return 0;
}

int bm_add(size_t a, size_t b, size_t *out, const char *what, struct bm_error *err)
{
    if (__builtin_add_overflow(a, b, out))
        return bm_fail(err, BM_EDATA, "%s: the size does not fit this machine's address space (%zu + %zu)", what, a,
                       b);
    return 0;
}

static void *out_of_memory(const char *what, size_t bytes, struct bm_error *err)
{
    (void)bm_fail(err, BM_ESYS, "%s: out of memory (%zu bytes); use a machine with more memory or fewer --threads",
                  what, bytes);
    return NULL;
}

void *bm_alloc(size_t n, size_t size, const char *what, struct bm_error *err)
{
    size_t bytes;
    void *p;

    if (bm_mul(n, size, &bytes, what, err))
        return NULL;
    p = malloc(bytes ? bytes : 1);
    return p ? p : out_of_memory(what, bytes, err);
}

void *bm_calloc(size_t n, size_t size, const char *what, struct bm_error *err)
{
    size_t bytes;
    void *p;

    if (bm_mul(n, size, &bytes, what, err))
        return NULL;
    p = calloc(1, bytes ? bytes : 1);
    return p ? p : out_of_memory(what, bytes, err);
}

#define HUGE_PAGE ((size_t)2 << 20)

void *bm_alloc_large(size_t bytes, const char *what, struct bm_error *err)
{
    void *p;

    if (bytes < 2 * HUGE_PAGE || bytes > SIZE_MAX - HUGE_PAGE)
        return bm_alloc(bytes, 1, what, err);
    bytes = (bytes + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
    p = aligned_alloc(HUGE_PAGE, bytes);
    if (!p)
        return out_of_memory(what, bytes, err);
#ifdef MADV_HUGEPAGE
    (void)madvise(p, bytes, MADV_HUGEPAGE);
#endif
    return p;
}

char *bm_strdup(const char *s, struct bm_error *err)
{
    size_t n = strlen(s) + 1;
    char *p = bm_alloc(n, 1, "text", err);

    if (p)
        memcpy(p, s, n);
    return p;
}

char *bm_format(struct bm_error *err, const char *fmt, ...)
{
    va_list ap, again;
    char *text;
    int n;

    va_start(ap, fmt);
    va_copy(again, ap);
    n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    text = n < 0 ? NULL : bm_alloc((size_t)n + 1, 1, "text", err);
    if (text)
        (void)vsnprintf(text, (size_t)n + 1, fmt, again);
    else
        (void)bm_fail(err, BM_ESYS, "text: cannot be formatted");
    va_end(again);
    return text;
}

static int reserve(struct bm_buf *buf, size_t size, size_t keep, struct bm_error *err)
{
    void *p;

    if (size <= buf->cap && buf->data)
        return 0;
    p = bm_alloc(size, 1, "buffer", err);
    if (!p)
        return -1;
    if (buf->data)
        memcpy(p, buf->data, keep);
    free(buf->data);
    buf->data = p;
    buf->cap = size;
    return 0;
}

int bm_buf_resize(struct bm_buf *buf, size_t size, struct bm_error *err)
{
    if (reserve(buf, size, 0, err))
        return -1;
    buf->size = size;
    return 0;
}

int bm_buf_append(struct bm_buf *buf, const void *data, size_t n, struct bm_error *err)
{
    size_t need;

    if (bm_add(buf->size, n, &need, "buffer", err))
        return -1;
    if (need > buf->cap && reserve(buf, need < SIZE_MAX / 2 ? 2 * need : need, buf->size, err))
        return -1;
    if (n)
        memcpy((char *)buf->data + buf->size, data, n);
    buf->size = need;
    return 0;
}

void bm_buf_free(struct bm_buf *buf)
{
    free(buf->data);
    memset(buf, 0, sizeof *buf);
}
