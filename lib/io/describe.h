/* Describing: what a file is, as one JSON object, for people (bin-src/boldinfo.c prints it) and machines.
 *
 * Kinds and their keys: "nifti" (version, byte_order, dims, affine, affine_from, volumes, dtype, slope, inter, tr,
 * tr_doubt; values and range for a single volume; trailing_bytes when verified), "series" and "stream" (dims, affine,
 * rows, categories, runs with their counts and steps), "arrays" and "shuffle" (the JSON file as it stands), "npy"
 * (dtype, shape). All have "file", "kind" and, where verification was asked for, "verified".
 */
#ifndef BM_IO_DESCRIBE_H
#define BM_IO_DESCRIBE_H

#include "core/error.h"

#include <jansson.h>
#include <stdbool.h>

/* Describes path, or "-". verify: also read everything and check every checksum that there is; damage is an error.
 * A new reference, or NULL. */
json_t *bm_describe(const char *path, bool verify, struct bm_error *err) BM_MUST_USE;

#endif
