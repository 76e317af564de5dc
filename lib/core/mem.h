/* Checked memory: size arithmetic that cannot wrap, allocation that says why it failed. */
#ifndef BM_CORE_MEM_H
#define BM_CORE_MEM_H

#include "core/error.h"

#include <stddef.h>

/* *out = a * b (or a + b). -1 when the result does not fit a size_t; `what` names the thing in the message. */
int bm_mul(size_t a, size_t b, size_t *out, const char *what, struct bm_error *err) BM_MUST_USE;
int bm_add(size_t a, size_t b, size_t *out, const char *what, struct bm_error *err) BM_MUST_USE;

/* n items of `size` bytes, uninitialised / zeroed. NULL on failure with err set; n = 0 gives a
 * valid pointer to nothing. Free with free(). */
void *bm_alloc(size_t n, size_t size, const char *what, struct bm_error *err) BM_MUST_USE;
void *bm_calloc(size_t n, size_t size, const char *what, struct bm_error *err) BM_MUST_USE;

/* For large areas that are used again and again: on huge pages where the system has them. Uninitialised; free(). */
void *bm_alloc_large(size_t bytes, const char *what, struct bm_error *err) BM_MUST_USE;

/* A copy of a string; NULL stays NULL only on failure (s must not be NULL). Free with free(). */
char *bm_strdup(const char *s, struct bm_error *err) BM_MUST_USE;

/* A formatted string of any length. NULL on failure. Free with free(). */
char *bm_format(struct bm_error *err, const char *fmt, ...) BM_PRINTF(2, 3) BM_MUST_USE;

/* A buffer that grows and is reused; it never shrinks. Zero-initialise. */
struct bm_buf {
    void *data;
    size_t size; /* bytes in use */
    size_t cap;  /* bytes allocated */
};

/* Makes room for `size` bytes and sets buf->size to it. Old content is lost when the buffer moves. */
int bm_buf_resize(struct bm_buf *buf, size_t size, struct bm_error *err) BM_MUST_USE;
/* Appends `n` bytes, keeping the content. */
int bm_buf_append(struct bm_buf *buf, const void *data, size_t n, struct bm_error *err) BM_MUST_USE;
void bm_buf_free(struct bm_buf *buf);

#endif
