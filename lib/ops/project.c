#include "core/vector.h"
#include "ops/basis.h"

#include <string.h>

/* The product is done in blocks that stay in registers: LANES voxels times up to BASE columns of the basis. Each
 * voxel adds up over time in order, and takes the columns of the basis away in order, whatever block it is in. */
#define LANES 8
#define BASE 8
#define ROWS 8

#if BM_PANEL % LANES
#error "a panel holds whole blocks"
#endif

typedef double lanes __attribute__((vector_size(LANES * sizeof(double))));
/* The same at any address. */
typedef double lanes_at __attribute__((vector_size(LANES * sizeof(double)), aligned(8), may_alias));

#define INLINE static inline __attribute__((always_inline))

/* along[j] = sum over t of q[t*k + j] y[t], for n <= BASE columns j. */
INLINE void dots(double *along, const double *y, size_t rows, const double *q, size_t k, const size_t n)
{
    lanes sum[BASE];

    for (size_t j = 0; j < n; j++)
        sum[j] = (lanes){0};
    for (size_t t = 0; t < rows; t++) {
        const lanes v = *(const lanes_at *)(y + t * BM_PANEL);

        for (size_t j = 0; j < n; j++)
            sum[j] += q[t * k + j] * v;
    }
    for (size_t j = 0; j < n; j++)
        *(lanes_at *)(along + j * BM_PANEL) = sum[j];
}

/* y[t] -= q[t*k + j] along[j] for all j in order, for n <= ROWS rows t. */
INLINE void take_away(double *y, const double *along, const double *q, size_t k, const size_t n)
{
    lanes v[ROWS];

    for (size_t t = 0; t < n; t++)
        v[t] = *(const lanes_at *)(y + t * BM_PANEL);
    for (size_t j = 0; j < k; j++) {
        const lanes a = *(const lanes_at *)(along + j * BM_PANEL);

        for (size_t t = 0; t < n; t++)
            v[t] -= q[t * k + j] * a;
    }
    for (size_t t = 0; t < n; t++)
        *(lanes_at *)(y + t * BM_PANEL) = v[t];
}

BM_VECTOR void bm_project_out(struct bm_panel *p, const double *q, size_t k, double *along)
{
    for (size_t c = 0; c < BM_PANEL; c += LANES) {
        double *y = p->y + c;
        size_t j = 0, t = 0;

        for (; j + BASE <= k; j += BASE)
            dots(along + j * BM_PANEL + c, y, p->rows, q + j, k, BASE);
        for (; j + 2 <= k; j += 2)
            dots(along + j * BM_PANEL + c, y, p->rows, q + j, k, 2);
        for (; j < k; j++)
            dots(along + j * BM_PANEL + c, y, p->rows, q + j, k, 1);
        for (; t + ROWS <= p->rows; t += ROWS)
            take_away(y + t * BM_PANEL, along + c, q + t * k, k, ROWS);
        for (; t < p->rows; t++)
            take_away(y + t * BM_PANEL, along + c, q + t * k, k, 1);
    }
}
