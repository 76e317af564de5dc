/* Splitting: which row (or presentation) goes to training, validation, test.
 *
 * Whole groups (rows, runs, sessions or images) are dealt to the parts in an order that depends on the seed alone.
 * Windows: presentation p looks at the rows [p.first + lag, p.first + lag + window) of its run; a window with a gap
 * in time inside, before it or in front of p is as one that leaves the run. No row that is given out for one part
 * lies in a window that another part uses; what has to give way is left out and counted. rows (by image)   a row in
 * windows, or own rows, of presentations of two parts is left out of both presentations     parts with the smaller
 * share choose first; a presentation whose window meets a window that an earlier part has kept is left out
 */
#ifndef BM_OPS_SPLIT_H
#define BM_OPS_SPLIT_H

#include "ops/shuffle.h"
#include "ops/timeline.h"

enum bm_unit { BM_UNIT_ROW, BM_UNIT_PRESENTATION };
enum bm_by { BM_BY_ROW, BM_BY_RUN, BM_BY_SESSION, BM_BY_IMAGE };

#define BM_PART_NAME 32
#define BM_SHARE_ONE 1000000000u /* shares are in billionths, and exact */

struct bm_split_rule {
    enum bm_unit unit;
    enum bm_by by;
    int64_t window; /* rows, 1..2^31 */
    int64_t lag;    /* rows from a presentation's first row to its window's; -2^31..2^31 */
    uint64_t seed;
    size_t parts;                 /* 1..BM_MAX_PARTS; with 1 nothing is split */
    uint32_t share[BM_MAX_PARTS]; /* each > 0, together BM_SHARE_ONE */
    char name[BM_MAX_PARTS][BM_PART_NAME];
};

/* Parses "train=0.8,val=0.1,test=0.1" into parts, names and shares: at most 9 decimals, no rounding, sum 1. Names
 * become parts of file names: letters, digits, '_' and '-'. Messages open with "--split". */
int bm_split_parse(const char *text, struct bm_split_rule *rule, struct bm_error *err) BM_MUST_USE;

/* The result. A unit is a row, or the first row of a presentation. */
struct bm_split {
    size_t n;
    int64_t *row;                                     /* n units, ascending; owned */
    int8_t *part;                                     /* part of each, or -1: left out; owned */
    size_t groups[BM_MAX_PARTS], units[BM_MAX_PARTS]; /* dealt and given out */
    size_t shared[BM_MAX_PARTS];                      /* units of the part left out because of windows */
    size_t no_image;                                  /* rows before the first presentation of their run (by image) */
    size_t outside_run;                               /* presentations whose window leaves their run or meets a gap */
};

/* `name` (the input's) opens the messages. BM_EUSAGE where the rule does not fit the timeline. */
int bm_split_make(struct bm_split *s, const struct bm_timeline *t, const struct bm_split_rule *rule, const char *name,
                  struct bm_error *err) BM_MUST_USE;
/* The rows of part p into rows[s->units[p]], ascending. */
void bm_split_rows(const struct bm_split *s, size_t p, int64_t *rows);
void bm_split_free(struct bm_split *s);

/* sizes[p]: how many of n groups each part gets, by largest remainder; ties go to the part named first. */
void bm_split_sizes(size_t n, const struct bm_split_rule *rule, size_t *sizes);

#endif
