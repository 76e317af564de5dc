/* Detrending: projects a polynomial trend out of each voxel's time series.
 *
 * The basis is orthonormal: each polynomial is time times the one before, orthogonalised against all (Gram-Schmidt,
 * twice, sums in long double), which stays well-conditioned where monomials do not. The residue r = y - Q (Q' y) is
 * what least squares leaves, as nilearn.signal.clean(detrend=True) does for order 1.
 *
 * Residues that are numerically nothing relative to the voxel's own scale (bm_panel_nothing) become exactly 0: a
 * constant voxel, or one that is nothing but trend, does not turn into amplified rounding noise in a later z-score.
 */
#ifndef BM_OPS_DETREND_H
#define BM_OPS_DETREND_H

#include "core/dtype.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BM_MAX_ORDER 20

/* Fills q[rows * (order + 1)], row-major: q[t*(order+1) + k]. Needs order < rows and order <= BM_MAX_ORDER; false
 * otherwise. order 0 is the mean alone. */
bool bm_poly_basis(double *q, size_t rows, size_t order);

struct bm_detrend_found {
    uint64_t flat;      /* voxels whose residue was nothing and became 0 */
    bool overflow;      /* a finite residue was too large for out_dtype and became infinite */
    uint64_t nonfinite; /* samples that were NaN or infinite; such a voxel becomes NaN throughout */
};

/* Detrends a rows x cols matrix of samples (value = slope * sample + inter) into `out`, a matrix of the same shape of
 * the float type `out_dtype`. `out` may be `data` only where the types have the same size. q: k columns as above.
 * scratch: bm_panel_scratch(rows) doubles. */
void bm_detrend(void *out, enum bm_dtype out_dtype, const void *data, enum bm_dtype dtype, double slope, size_t rows,
                size_t cols, const double *q, size_t k, double *scratch, struct bm_detrend_found *found);

#endif
