/* Quality of a scan: what the field looks at before it trusts a run. Per voxel mean, standard deviation and what a
 * carpet plot shows; per volume the global signal and DVARS.
 *
 *   mean    of the values over time
 *   sd      standard deviation of what a polynomial of time leaves, divisor: time points (numpy's and nipype's std).
 *           tSNR = mean / sd (Triantafyllou et al. 2005), as nipype's and MRIQC's
 *   signal  sum over voxels at each time point: divided by their number, the global signal
 *   change  sum over voxels of (value - value one time point earlier)^2: the root of their mean is DVARS (Power et
 *           al. 2012, NeuroImage 59:2142), nipype's "non-standardised"
 *   carpet  residue / sd of chosen voxels (Power 2017, NeuroImage 154:150)
 *
 * A voxel with a sample that is not finite is NaN and takes no part in the sums. One of which the polynomial leaves
 * numerically nothing (bm_panel_nothing) has sd 0 and a carpet of zeros, and is counted.
 */
#ifndef BM_OPS_QUALITY_H
#define BM_OPS_QUALITY_H

#include "ops/panel.h"

/* What is told of a tile; the arrays are the caller's. */
struct bm_quality {
    double *mean, *sd;       /* cols each */
    double *signal, *change; /* rows each; change[0] is 0 */
    const size_t *picks;     /* columns for the carpet, ascending */
    size_t npicks;
    double *carpet;     /* rows x npicks */
    size_t finite;      /* voxels in the sums */
    uint64_t constant;  /* voxels with sd 0 */
    uint64_t nonfinite; /* samples that are NaN or infinite */
};

/* Doubles of scratch for bm_quality_of. */
size_t bm_quality_scratch(size_t rows, size_t order);
/* Of w: data, dtype, slope, inter, rows, cols and scratch are read. basis: of bm_poly_basis(rows, order). */
void bm_quality_of(struct bm_work *w, const double *basis, size_t order, struct bm_quality *q);
/* The median of the finite ones of n values, which are put into another order; NaN where there are none. */
double bm_median(double *values, size_t n);
/* n of `cols` columns, spread evenly: the middle ones of n equal parts. 1 <= n <= cols, n < 2^20. */
void bm_quality_picks(size_t *picks, size_t n, size_t cols);

#endif
