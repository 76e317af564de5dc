/* Describing: what a file is, as one JSON object, for people (bin-src/boldinfo.c prints it) and machines. The keys
 * are listed in docs/formats.md.
 *
 * Which kind a file is shows in its first bytes; describe.c decides, and each kind has a file of its own:
 * describe_nifti.c, describe_series.c (series files and streams), describe_json.c (arrays, indices, sidecars),
 * describe_npy.c (arrays, masks, metadata rows), describe_table.c (designs, events, confounds, label tables).
 */
#ifndef BM_IO_DESCRIBE_H
#define BM_IO_DESCRIBE_H

#include "core/error.h"
#include "io/labels.h"

#include <jansson.h>
#include <stdbool.h>

struct bm_describe_how {
    bool verify; /* read everything and check every checksum that there is; damage is an error. "verified" is true
                  * where checksums vouch for all of it, false where the file is complete but has none */
    bool values; /* read everything and tell the range of the values, run by run */
    const struct bm_labels *table; /* names of labels; NULL: those of a table beside the volume, if there is one */
};

/* Describes path, or "-". A new reference, or NULL. */
json_t *bm_describe(const char *path, const struct bm_describe_how *how, struct bm_error *err) BM_MUST_USE;

#endif
