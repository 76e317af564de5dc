/* The timeline: which rows of an array belong to which run, and to which presentation of a stimulus.
 *
 * Zero-initialise, add runs (bm_timeline_add_run) or metadata rows (bm_timeline_add_rows), bm_timeline_free.
 * Rows added as metadata also tell the presentations; a timeline made of runs alone has none.
 */
#ifndef BM_OPS_TIMELINE_H
#define BM_OPS_TIMELINE_H

#include "core/series.h"

/* One run: rows [first, first + rows). */
struct bm_stretch {
    size_t first, rows;
    int subject, session, run; /* 0..32767 */
};

/* Rows [first, first + rows) of one run whose volumes follow each other without a gap. */
struct bm_piece {
    size_t first, rows;
    bool behind_gap; /* volumes before it are missing: of the run's, or its first ones */
};

/* One presentation: the rows whose latest stimulus it is, [first, first + rows) within run `stretch`. Its first row
 * is in `piece`. It may have begun before that row where volumes are missing right there. */
struct bm_presentation {
    size_t first, rows;
    size_t stretch, piece;
    int32_t trial, image;
};

struct bm_timeline {
    size_t rows;
    struct bm_buf stretches, pieces, presentations; /* of the structures above */
    bool has_presentations;                         /* metadata were added */
    float last_time;                                /* of the newest of their rows */
};

int bm_timeline_add_run(struct bm_timeline *t, int subject, int session, int run, size_t rows,
                        struct bm_error *err) BM_MUST_USE;
/* Adds all rows. A run begins where subject, session or run change or where `time` does not grow; a piece of it where
 * `time` grows by more than 1; a presentation where `trial` grows. Rows that contradict each other are an error that
 * opens with `name`. */
int bm_timeline_add_rows(struct bm_timeline *t, const struct bm_rows *rows, const char *name,
                         struct bm_error *err) BM_MUST_USE;
void bm_timeline_free(struct bm_timeline *t);

size_t bm_timeline_runs(const struct bm_timeline *t);
const struct bm_stretch *bm_timeline_run(const struct bm_timeline *t, size_t i);
size_t bm_timeline_shows(const struct bm_timeline *t);
const struct bm_presentation *bm_timeline_show(const struct bm_timeline *t, size_t i);
const struct bm_piece *bm_timeline_piece(const struct bm_timeline *t, size_t i); /* as numbered in presentations */
size_t bm_timeline_longest_piece(const struct bm_timeline *t);                   /* rows; 0 when empty */
/* Is presentation i known to begin with its first row? */
bool bm_timeline_onset_known(const struct bm_timeline *t, size_t i);

#endif
