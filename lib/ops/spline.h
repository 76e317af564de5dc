/* Cubic splines through the rows of a panel that are known, to fill in those that are not.
 *
 * The spline is the one of scipy.interpolate.CubicSpline: through all known rows, with the third derivative going on
 * across the second and the last but one ("not-a-knot"). Rows outside continue its first and last piece.
 */
#ifndef BM_OPS_SPLINE_H
#define BM_OPS_SPLINE_H

#include "core/error.h"
#include "ops/panel.h"

#include <stdbool.h>
#include <stddef.h>

#define BM_SPLINE_LEAST 4 /* known rows */

/* What depends on the places of the known rows alone. */
struct bm_spline {
    size_t n;    /* known rows */
    size_t *at;  /* their places, ascending; owned */
    double *up;  /* n: what elimination leaves above the diagonal; owned */
    double *low; /* n: what a row is divided by after elimination; owned */
};

/* For the n >= BM_SPLINE_LEAST rows at places at[] (ascending). -1: out of memory, or too few rows. */
int bm_spline_make(struct bm_spline *s, const size_t *at, size_t n, struct bm_error *err) BM_MUST_USE;
void bm_spline_clear(struct bm_spline *s);

/* Fills all rows of the panel that are not among the known ones; all places are below p->rows. slopes: s->n *
 * BM_PANEL doubles of scratch. */
void bm_spline_panel(const struct bm_spline *s, struct bm_panel *p, double *slopes);

#endif
