/* Designs: when which stimulus was presented, from NSD design files or BIDS events.
 *
 * NSD design (*.tsv without header): one integer a line, one line a TR; the stimulus id (1-based) at the TR of an
 * onset, 0 elsewhere. BIDS events (*_events.tsv with header): onset and duration in seconds, one event a line.
 * Which one it is shows in the first line. Ids handed out are 0-based.
 */
#ifndef BM_IO_DESIGNS_H
#define BM_IO_DESIGNS_H

#include "core/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bm_event {
    double onset;    /* seconds for events; row index for a design (see in_rows) */
    double duration; /* same unit; a design has none and gives 1 row */
    int32_t id;      /* 0-based stimulus id, or index into the category list */
};

struct bm_design {
    bool in_rows; /* onset and duration count rows, not seconds */
    size_t rows;  /* number of rows of an NSD design; 0 for events */
    size_t nevents;
    struct bm_event *events; /* ascending onset; owned */
    uint64_t bytes;          /* of the file, and their CRC-32 */
    uint32_t crc32;
};

/* Names of categories, shared by all designs of a call so that ids agree between runs: a name's id is its place. */
struct bm_categories {
    char **names; /* owned */
    size_t n;
};

/* Reads a design or events file. For events, `column` (e.g. "trial_type") names the stimulus column: its values are
 * looked up in `cats`; a value that is not there is an error that lists what is. "n/a" values are no event. Where
 * cats is NULL the column must hold integers (ids as they stand, 0-based). */
int bm_design_read(const char *path, const char *column, const struct bm_categories *cats, struct bm_design *out,
                   struct bm_error *err) BM_MUST_USE;
void bm_design_clear(struct bm_design *d);
/* 1 if the file is an events table (has a header with onset and duration), 0 if a design, -1 error. */
int bm_design_is_events(const char *path, struct bm_error *err) BM_MUST_USE;

/* Adds the distinct values of `column` of an events file to cats, keeping cats sorted (byte order). Already sorted
 * input stays as it is. */
int bm_categories_collect(struct bm_categories *cats, const char *path, const char *column,
                          struct bm_error *err) BM_MUST_USE;
void bm_categories_clear(struct bm_categories *cats);

#endif
