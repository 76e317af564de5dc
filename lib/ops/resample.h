/* Resampling: moves a voxel's time series by a part of a TR, so that row t becomes the value at time t + rest.
 *
 *   BM_SHIFT_LINEAR  between the two neighbours
 *   BM_SHIFT_CUBIC   the cubic through the four neighbours (Lagrange): exact for cubics, third powers included
 *   BM_SHIFT_SINC    sin(pi x) / (pi x) over `width` neighbours on each side, under a Kaiser window with beta 6
 *
 * Weights add up to 1 and act on differences from the row itself, so a constant stays what it is to the bit. They are
 * made with + - * / alone. All columns get the same weights in the same order.
 *
 * A kernel does not reach over a gap between rows: each piece of rows whose volumes follow each other is a series of
 * its own. What lies beyond the ends of a piece is its first or last row (hold), or the rows whose kernel reaches
 * there are left out (drop) or NaN (mark).
 */
#ifndef BM_OPS_RESAMPLE_H
#define BM_OPS_RESAMPLE_H

#include "core/error.h"
#include "ops/panel.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BM_MAX_SINC 32

enum bm_shift { BM_SHIFT_NONE, BM_SHIFT_LINEAR, BM_SHIFT_CUBIC, BM_SHIFT_SINC };
enum bm_edges { BM_EDGES_HOLD, BM_EDGES_DROP, BM_EDGES_MARK };

/* weight[k - lo] is that of the row k rows later, lo <= k <= hi. Nothing to move: lo 0, hi -1. */
struct bm_kernel {
    int lo, hi;
    double weight[2 * BM_MAX_SINC];
};

/* rest: -0.5..0.5 rows. width: 1..BM_MAX_SINC, of BM_SHIFT_SINC alone. */
void bm_kernel_make(struct bm_kernel *k, enum bm_shift how, size_t width, double rest);

/* Rows first..last of a run: those whose volumes follow each other without a gap. */
struct bm_reach {
    size_t first, last;
};

/* How a run is moved. */
struct bm_resample {
    struct bm_kernel kernel;
    enum bm_edges edges;
    size_t rows, kept;      /* before and after; they differ with BM_EDGES_DROP alone */
    size_t edge_rows;       /* rows whose kernel reaches past an end of their piece */
    struct bm_reach *piece; /* of each row; owned */
};

/* Sets all but `kernel` and `edges`, which are the caller's. times: as in struct bm_run, NULL for no gaps. Zero the
 * struct before; a plan that is there already is replaced. */
int bm_resample_plan(struct bm_resample *r, const int32_t *times, size_t rows, struct bm_error *err) BM_MUST_USE;
/* The r->kept numbers of the rows that are left. */
void bm_resample_keep(const struct bm_resample *r, size_t *keep);
void bm_resample_clear(struct bm_resample *r);

/* Moves w's samples, r->rows rows of them, into w->out: r->kept rows of values. w->out must not be w->data. Rows
 * whose kernel reaches a sample that is not finite become NaN (or count it as 0, with w->zero). Scratch: 2 *
 * bm_panel_size(r->rows) doubles. */
void bm_resample(const struct bm_resample *r, struct bm_work *w);

#endif
