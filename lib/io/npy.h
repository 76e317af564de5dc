/* NPY: the array format of numpy (format specification: numpy.lib.format), versions 1.0 to 3.0 read, 1.0 written.
 * Object arrays and anything that would need pickle are refused. */
#ifndef BM_IO_NPY_H
#define BM_IO_NPY_H

#include "core/dtype.h"
#include "core/error.h"
#include "core/mem.h"
#include "io/bytes.h"
#include "io/commit.h"

#include <stdbool.h>
#include <stdint.h>

#define BM_NPY_MAX_DIMS 8

struct bm_npy_header {
    char descr[2048]; /* "<i2", "|b1", or for structured arrays the list as numpy prints it, quotes and all */
    bool structured;  /* descr is a list of fields */
    size_t itemsize;  /* bytes a record; 0 for a structured descr (the caller knows its own) */
    bool fortran_order;
    size_t ndim;
    size_t shape[BM_NPY_MAX_DIMS];
};

/* Header text for an array: magic, version, padded dict, newline; total length a multiple of `align` (64 for
 * streams, 4096 for page-aligned data). buf is replaced. */
int bm_npy_format_header(struct bm_buf *buf, const char *descr, bool structured, size_t ndim, const size_t *shape,
                         size_t align, struct bm_error *err) BM_MUST_USE;
/* Reads and checks a header at the current position. 1: got one; 0: the input ended cleanly before its first byte. */
int bm_npy_read_header(struct bm_bytes *b, struct bm_npy_header *h, struct bm_error *err) BM_MUST_USE;
/* Total items of the shape, checked against wrapping. */
int bm_npy_items(const struct bm_npy_header *h, const char *name, size_t *items, struct bm_error *err) BM_MUST_USE;

/* Reads a whole numeric or boolean .npy file (bool gives BM_U8), C order made of either order.
 * *data is owned by the caller. */
int bm_npy_load(const char *path, struct bm_npy_header *h, enum bm_dtype *dtype, void **data,
                struct bm_error *err) BM_MUST_USE;
/* What follows a header that has been read: all items, native and in C order; h then says so. The input is read to
 * its end. */
int bm_npy_read_items(struct bm_bytes *b, struct bm_npy_header *h, enum bm_dtype *dtype, void **data,
                      struct bm_error *err) BM_MUST_USE;
/* bm_npy_load from an open input at the array's first byte; the caller closes it. */
int bm_npy_load_from(struct bm_bytes *b, struct bm_npy_header *h, enum bm_dtype *dtype, void **data,
                     struct bm_error *err) BM_MUST_USE;
/* Writes one array to path, atomically. */
int bm_npy_save(const char *path, const char *descr, bool structured, size_t itemsize, size_t ndim,
                const size_t *shape, const void *data, struct bm_error *err) BM_MUST_USE;

#endif
