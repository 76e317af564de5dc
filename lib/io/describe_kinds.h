/* The kinds of files that io/describe.c tells apart. Each function takes over `in`, which is at the file's first
 * byte, and returns a new object without "file", or NULL. */
#ifndef BM_IO_DESCRIBE_KINDS_H
#define BM_IO_DESCRIBE_KINDS_H

#include "core/tally.h"
#include "io/bytes.h"
#include "io/describe.h"
#include "io/npy.h"

json_t *bm_describe_nifti(const char *path, struct bm_bytes *bytes, const struct bm_describe_how *how,
                          struct bm_error *err) BM_MUST_USE;
json_t *bm_describe_stream(const char *path, struct bm_bytes *in, const struct bm_describe_how *how,
                           struct bm_error *err) BM_MUST_USE;
json_t *bm_describe_hdf5(const char *path, struct bm_bytes *in, const struct bm_describe_how *how,
                         struct bm_error *err) BM_MUST_USE;
json_t *bm_describe_npy(const char *path, struct bm_bytes *in, const struct bm_describe_how *how,
                        struct bm_error *err) BM_MUST_USE;
json_t *bm_describe_json(const char *path, struct bm_bytes *in, const struct bm_describe_how *how,
                         struct bm_error *err) BM_MUST_USE;
json_t *bm_describe_table(const char *path, struct bm_bytes *in, const struct bm_describe_how *how,
                          struct bm_error *err) BM_MUST_USE;

/* Is the text a table that bm_describe_table knows? Decided by its first bytes. */
bool bm_describe_is_text(const unsigned char *p, size_t n);

/* Ends a tally: the object "values". `rows` is the number of time points; of a single one it is not said which voxels
 * are constant. */
json_t *bm_describe_values(struct bm_tally *t, size_t rows);
/* The "values" of the next rows x cols items of an array in C order whose header has been read. NULL on failure. */
json_t *bm_describe_rows(struct bm_bytes *in, const struct bm_npy_header *h, size_t rows, size_t cols,
                         struct bm_error *err) BM_MUST_USE;
/* Of a volume or mask: "values", "positive_voxels", "labels" and the table of their names. */
int bm_describe_volume(json_t *info, const char *path, const double *values, size_t n,
                       const struct bm_describe_how *how, struct bm_error *err) BM_MUST_USE;

#endif
