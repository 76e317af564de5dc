/* Label tables: names of the numbers in a label volume.
 *
 * Read by content: FreeSurfer colour table (*.ctab: "index name R G B A"), BIDS dseg table (*_dseg.tsv with the
 * columns index and name), or two columns "index name". '#' starts a comment line.
 */
#ifndef BM_IO_LABELS_H
#define BM_IO_LABELS_H

#include "core/error.h"

#include <stddef.h>
#include <stdint.h>

struct bm_label {
    int64_t index;
    char *name; /* owned */
};
struct bm_labels {
    struct bm_label *items; /* ascending index, no index and no name twice; owned */
    size_t n;
};

int bm_labels_read(const char *path, struct bm_labels *out, struct bm_error *err) BM_MUST_USE;
void bm_labels_clear(struct bm_labels *t);

/* Parses a selection such as "1,3-5,V1v" (numbers, inclusive ranges, names from `table`, which may be NULL) into
 * ascending distinct numbers. Unknown names are an error that lists the names there are. */
int bm_labels_select(const char *spec, const struct bm_labels *table, int64_t **numbers, size_t *n,
                     struct bm_error *err) BM_MUST_USE;

#endif
