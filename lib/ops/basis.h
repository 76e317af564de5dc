/* Orthonormal bases over time, and taking them out of panels.
 *
 * All cleaning by least squares is a projection: with an orthonormal basis Q of what is not wanted, r = y - Q (Q' y).
 * Bases are built by Gram-Schmidt, each column twice against those before it and with sums in long double, which
 * stays well-conditioned where powers of time or confounds that resemble each other do not.
 *
 * A basis is a rows x k matrix, row-major: q[t*k + j].
 */
#ifndef BM_OPS_BASIS_H
#define BM_OPS_BASIS_H

#include "core/error.h"
#include "ops/panel.h"

#include <stdbool.h>
#include <stddef.h>

#define BM_MAX_ORDER 20

/* Polynomials of time up to `order` (0: the mean alone): fills q[rows * (order + 1)]. Needs order < rows and
 * order <= BM_MAX_ORDER; false otherwise. */
bool bm_poly_basis(double *q, size_t rows, size_t order);

/* The discrete cosine drifts below `high_pass` Hz over a scan of `volumes` volumes, as SPM, fMRIPrep and nilearn
 * count them: floor(2 * volumes * high_pass * tr), at most volumes - 1; without the constant. */
size_t bm_cosine_terms(size_t volumes, double tr, double high_pass);
/* Drift `k` (1 is the slowest) at volume v: sqrt(2/volumes) cos(pi/volumes (v + 1/2) k). */
double bm_cosine(size_t volumes, size_t k, size_t v);

/* Adds to `nbefore` orthonormal columns what n more columns have that is new. columns: rows x n, row-major, finite,
 * and of a size of about 1 before anything was taken out of them. They are centred and brought to standard deviation
 * 1, and then taken in order of what is left of them after those taken so far (pivoting). Left out is a column of
 * which nothing is left beside its standard deviation (100 eps, nilearn's bound) or beside 1 (1e-12).
 * q: room for rows x (nbefore + n). On entry a rows x nbefore matrix, on return rows x (nbefore + *found). */
int bm_basis_extend(double *q, size_t rows, size_t nbefore, const double *columns, size_t n, size_t *found,
                    struct bm_error *err) BM_MUST_USE;

/* y -= Q (Q' y) for every column of the panel. along: k * BM_PANEL doubles of scratch. */
void bm_project_out(struct bm_panel *p, const double *q, size_t k, double *along);

#endif
