/* HDF5: behind this header the HDF5 library is known, nowhere else. It offers what series files (io/seriesfile.h) and
 * the picture brick need, no more. All calls are serialised by one lock, so that a reading and a writing thread may
 * share a process (the installed library need not be thread-safe).
 *
 * Written files use the 1.10 format, whose internal structures carry checksums; small arrays carry Fletcher-32.
 * Reading trusts nothing: every object must be reached through hard links of this file (no external or soft links),
 * tiles must be chunked as expected with no filter but shuffle and deflate, arrays must be stored in full; filter
 * plugins are never loaded and file locks never taken.
 */
#ifndef BM_IO_HDF5_H
#define BM_IO_HDF5_H

#include "core/dtype.h"
#include "core/error.h"
#include "core/mem.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bm_h5;       /* an open file */
struct bm_h5_tiles; /* an open dataset of tiles */

/* shown_as: the name for messages. */
struct bm_h5 *bm_h5_create(const char *path, const char *shown_as, struct bm_error *err) BM_MUST_USE;
/* Read only. An input (io/inputs.h), unless it is shown as another file: then it is a temporary of ours. */
struct bm_h5 *bm_h5_open(const char *path, const char *shown_as, struct bm_error *err) BM_MUST_USE;
int bm_h5_close(struct bm_h5 *f, struct bm_error *err) BM_MUST_USE; /* frees f on success */
/* After a failure: forgets the file without asking HDF5 to write anything more. NULL is fine. */
void bm_h5_abandon(struct bm_h5 *f);

/* One field of a record. `text` fields are fixed, zero-padded strings of `count` bytes. */
struct bm_h5_field {
    const char *name;
    enum bm_dtype dtype;
    size_t count, offset;
    bool text;
};
/* A record type: fields of a packed record of `size` bytes; a single field without a name is a plain number. */
struct bm_h5_record {
    const struct bm_h5_field *fields;
    size_t nfields, size;
};

int bm_h5_make_group(struct bm_h5 *f, const char *name, struct bm_error *err) BM_MUST_USE;
/* Attributes of the root group. */
int bm_h5_put_attr_text(struct bm_h5 *f, const char *name, const char *text, struct bm_error *err) BM_MUST_USE;
int bm_h5_put_attr_reals(struct bm_h5 *f, const char *name, size_t ndim, const size_t *shape, const double *values,
                         struct bm_error *err) BM_MUST_USE;
/* 1: there is such an attribute of the root group, 0: there is none. */
int bm_h5_has_attr(struct bm_h5 *f, const char *name);

/* 1-D arrays of records. Reading demands exactly n records, stored in full. */
int bm_h5_put_array(struct bm_h5 *f, const char *name, const struct bm_h5_record *type, size_t n, const void *data,
                    struct bm_error *err) BM_MUST_USE;
int bm_h5_get_array(struct bm_h5 *f, const char *name, const struct bm_h5_record *type, size_t n, void *data,
                    struct bm_error *err) BM_MUST_USE;
/* Number of records; backed by as many stored bytes as they need (`size` bytes each). */
int bm_h5_array_length(struct bm_h5 *f, const char *name, size_t size, size_t *n, struct bm_error *err) BM_MUST_USE;

/* Tiles: a rows x cols dataset, chunk = rows x chunk_cols; byte shuffle + deflate, or none. */
struct bm_h5_tiles *bm_h5_create_tiles(struct bm_h5 *f, const char *name, enum bm_dtype dtype, size_t rows,
                                       size_t cols, size_t chunk_cols, bool deflate,
                                       struct bm_error *err) BM_MUST_USE;
struct bm_h5_tiles *bm_h5_open_tiles(struct bm_h5 *f, const char *name, enum bm_dtype dtype, size_t rows, size_t cols,
                                     size_t chunk_cols, bool *deflate, struct bm_error *err) BM_MUST_USE;
/* The stored bytes of the chunk that begins at column `first`, as HDF5's filter pipeline would write them. Bit k of
 * filter_mask: filter k was skipped. Reading refuses chunks of more than `most` bytes. */
int bm_h5_write_tile(struct bm_h5_tiles *t, size_t first, uint32_t filter_mask, const void *data, size_t n,
                     struct bm_error *err) BM_MUST_USE;
int bm_h5_read_tile(struct bm_h5_tiles *t, size_t first, size_t most, uint32_t *filter_mask, struct bm_buf *out,
                    struct bm_error *err) BM_MUST_USE;
/* Where the stored bytes of that chunk lie in the file. */
int bm_h5_tile_place(struct bm_h5_tiles *t, size_t first, uint64_t *at, uint64_t *n,
                     struct bm_error *err) BM_MUST_USE;
void bm_h5_close_tiles(struct bm_h5_tiles *t); /* NULL is fine */

/* A virtual dataset of this file that stacks n datasets of the given rows, each `cols` wide. */
int bm_h5_put_virtual(struct bm_h5 *f, const char *name, enum bm_dtype dtype, size_t cols, size_t n,
                      char *const *sources, const size_t *rows, struct bm_error *err) BM_MUST_USE;

/* Writes a uint8 dataset `name` of shape n x h x w x c to path, atomically; `fill` makes picture i
 * (h*w*c bytes, row-major). Chunks of one picture, deflated. */
int bm_hdf5_write_pictures(const char *path, const char *name, size_t n, size_t h, size_t w, size_t c,
                           int (*fill)(void *self, size_t i, unsigned char *picture, struct bm_error *err),
                           void *self, struct bm_error *err) BM_MUST_USE;

const char *bm_hdf5_version(char text[32]); /* of the library in use, "1.10.8" */

#endif
