/* Butterworth filters, run forwards and backwards so that nothing is delayed.
 *
 * The design is the classic one: the analog prototype's poles, band edges warped for the bilinear transform, as
 * second-order sections. The filter is what scipy.signal.sosfiltfilt does: each end is continued by its reflection
 * through the end point ("odd"), and each pass begins as if the first value had been there for ever.
 */
#ifndef BM_OPS_BUTTERWORTH_H
#define BM_OPS_BUTTERWORTH_H

#include "ops/panel.h"

#include <stdbool.h>
#include <stddef.h>

#define BM_MAX_FILTER_ORDER 12

struct bm_section {    /* y = b0 x + z1; z1' = b1 x - a1 y + z2; z2' = b2 x - a2 y */
    double b[3], a[3]; /* a[0] is 1 */
    double start[2];   /* z1, z2 after a constant input of 1 to the whole filter */
};

struct bm_butterworth {
    size_t nsections;
    struct bm_section sections[BM_MAX_FILTER_ORDER];
    size_t pad; /* values by which each end is continued; series must be longer than that */
};

/* Passes what is above `high_pass` and below `low_pass`, in units of the sampling rate (cycles a sample); 0: no such
 * edge. At least one edge, each below 0.5, high_pass < low_pass where there are both, order 1..BM_MAX_FILTER_ORDER;
 * false otherwise. */
bool bm_butterworth(struct bm_butterworth *f, size_t order, double high_pass, double low_pass);

/* Filters each column of the panel in place. p->y must have f->pad rows of room before its first row and behind its
 * last; p->rows > f->pad. */
void bm_butterworth_panel(const struct bm_butterworth *f, struct bm_panel *p);

#endif
