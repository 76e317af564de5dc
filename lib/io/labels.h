/* Label tables: names of the numbers in a label volume.
 *
 * Read by content: FreeSurfer colour table (*.ctab: "index name R G B A"), BIDS dseg table (*_dseg.tsv with the
 * columns index and name), or two columns "index name". '#' starts a comment line.
 */
#ifndef BM_IO_LABELS_H
#define BM_IO_LABELS_H

#include "core/error.h"
#include "io/text.h"

#include <stddef.h>
#include <stdint.h>

struct bm_label {
    int64_t index;
    char *name; /* owned */
};
struct bm_labels {
    struct bm_label *items; /* ascending index, no index and no name twice; owned */
    size_t n;
    char *path;     /* as it was given; owned */
    uint64_t bytes; /* of the file, and their CRC-32 */
    uint32_t crc32;
};

int bm_labels_read(const char *path, struct bm_labels *out, struct bm_error *err) BM_MUST_USE;
/* The same from a text that has been read, and of which no line has been taken. */
int bm_labels_parse(const char *path, struct bm_text *text, struct bm_labels *out, struct bm_error *err) BM_MUST_USE;
void bm_labels_clear(struct bm_labels *t);
/* The name of a number, or NULL. */
const char *bm_labels_name(const struct bm_labels *t, int64_t index);
/* The table that BIDS puts beside a label volume: X_dseg.tsv (or .tsv.gz) for X_dseg.nii, X_dseg.nii.gz. *path is
 * owned, and NULL where the volume has another name or there is no such file. */
int bm_labels_beside(const char *volume, char **path, struct bm_error *err) BM_MUST_USE;

/* Numbers lo to hi, both included. */
struct bm_label_range {
    int64_t lo, hi;
};
struct bm_label_set {
    struct bm_label_range *items; /* as they were asked for; owned */
    size_t n;
};

/* Parses a selection such as "1,3-5,V1v": numbers, inclusive ranges, names from `table`, which may be NULL. A text
 * that is as a whole a name from the table is that name, commas and all. Unknown names are an error that lists the
 * names there are. */
int bm_labels_select(const char *text, const struct bm_labels *table, struct bm_label_set *out,
                     struct bm_error *err) BM_MUST_USE;
void bm_label_set_clear(struct bm_label_set *set);

#endif
