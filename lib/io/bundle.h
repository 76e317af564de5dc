/* Bundles: arrays in NPY files and the sealed JSON beside them that vouches for each by its CRC-32. Every file is
 * complete in a temporary before the first of them gets its name. */
#ifndef BM_IO_BUNDLE_H
#define BM_IO_BUNDLE_H

#include "core/mem.h"
#include "io/commit.h"

#include <jansson.h>
#include <stdint.h>

/* Whether an array may have this name: the description is UTF-8 and must hold it as it is. */
int bm_bundle_name(const char *path, struct bm_error *err) BM_MUST_USE;
/* -1 where a file of this name is there that is no description of this kind: it is not ours to replace. A user who
 * names NAME.npy has not named NAME.json, which may be the sidecar of a scan. */
int bm_bundle_replaces(const char *path, const char *kind, struct bm_error *err) BM_MUST_USE;
/* The entry for an array file: {"file", "dtype", "shape", "crc32"}. Takes the references; the name loses its folder.
 * NULL on failure. */
json_t *bm_bundle_entry(const char *path, json_t *dtype, json_t *shape, uint32_t crc);
/* Opens a commit and writes parts[n], one behind the other; -1 leaves nothing open. */
int bm_bundle_write(const char *path, const struct bm_buf *parts, size_t n, struct bm_commit **out,
                    struct bm_error *err) BM_MUST_USE;
/* Writes an object as sealed JSON into an open commit; takes the reference. */
int bm_bundle_json(struct bm_commit *c, json_t *object, struct bm_error *err) BM_MUST_USE;
/* bm_commit_done for a commit that may be NULL; *c is NULL afterwards. */
int bm_bundle_done(struct bm_commit **c, struct bm_error *err) BM_MUST_USE;

#endif
