/* Label rows: attaches to each time point what was on the screen one haemodynamic delay earlier.
 *
 * Presentations are given in rows (TRs from the run's first volume). With the delay of `shift` rows, volume t of the
 * BOLD series is labelled with what had been presented by row t - shift: the history of the last H stimuli, restarted
 * every run, -1 where there was none yet.
 *
 * Volume v was sampled at (v + sampled) TRs, so a response `offset` seconds after the start of row p lies at volume
 * p + d, d = offset / tr - sampled. d is split: D = bm_delay_rows whole rows, by which the labels are delayed, and
 * bm_delay_rest = d - D, by which the data can be moved (ops/resample.h).
 */
#ifndef BM_OPS_LABELROWS_H
#define BM_OPS_LABELROWS_H

#include "core/series.h"

struct bm_presentation {
    int64_t first, rows; /* onset row and length; rows may be 0 for an impulse */
    int32_t id;          /* 0-based */
};

/* Whole rows of a delay: offset / tr - sampled, rounded to the nearest, ties to even (as Python's round). Headers
 * round the TR, so what is within 1e-5 of a tie is one. */
int64_t bm_delay_rows(double offset, double tr, double sampled);
/* What they leave over, -0.5..0.5 rows; within 1e-5 of 0 or of a half it is that. */
double bm_delay_rest(double offset, double tr, double sampled);
/* Row of an onset in seconds: the nearest, halves up. */
int64_t bm_onset_row(double seconds, double tr);

/* Fills rows->data (n and history set, data allocated by the caller) from presentations in ascending order of onset.
 * `merge`: a stimulus that directly follows itself is no new presentation (the public loader's behaviour); otherwise
 * every presentation counts. times: the volume that each row is, ascending, NULL for 0..n-1; what was presented at
 * volumes that have been left out stays in the history. scratch: history int32. */
void bm_label_rows(struct bm_rows *rows, const int32_t *times, const struct bm_presentation *shown, size_t n,
                   int64_t shift, bool merge, int subject, int session, int run, int32_t *scratch);

#endif
