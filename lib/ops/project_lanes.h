/* The kernel of bm_project_out for vectors of one width: project.c alone includes this, once for each width, with
 * LANES (voxels in a vector), NAMED(x) (x with the width in its name) and TARGET (an attribute) defined.
 *
 * The product is done in blocks that stay in registers: LANES voxels times up to BASE columns of the basis, or ROWS
 * rows. Each voxel adds up over time in order, and takes the columns of the basis away in order, whatever the width.
 */

typedef double NAMED(lanes) __attribute__((vector_size(LANES * sizeof(double))));
/* The same at any address. */
typedef double NAMED(lanes_at) __attribute__((vector_size(LANES * sizeof(double)), aligned(8), may_alias));

/* along[j] = sum over t of q[t*k + j] y[t], for n <= BASE columns j. */
INLINE TARGET void NAMED(dots)(double *along, const double *y, size_t rows, const double *q, size_t k, const size_t n)
{
    NAMED(lanes) sum[BASE];

    for (size_t j = 0; j < n; j++)
        sum[j] = (NAMED(lanes)){0};
    for (size_t t = 0; t < rows; t++) {
        const NAMED(lanes) v = *(const NAMED(lanes_at) *)(y + t * BM_PANEL);

        for (size_t j = 0; j < n; j++)
            sum[j] += q[t * k + j] * v;
    }
    for (size_t j = 0; j < n; j++)
        *(NAMED(lanes_at) *)(along + j * BM_PANEL) = sum[j];
}

/* y[t] -= q[t*k + j] along[j] for all j in order, for n <= ROWS rows t. */
INLINE TARGET void NAMED(take_away)(double *y, const double *along, const double *q, size_t k, const size_t n)
{
    NAMED(lanes) v[ROWS];

    for (size_t t = 0; t < n; t++)
        v[t] = *(const NAMED(lanes_at) *)(y + t * BM_PANEL);
    for (size_t j = 0; j < k; j++) {
        const NAMED(lanes) a = *(const NAMED(lanes_at) *)(along + j * BM_PANEL);

        for (size_t t = 0; t < n; t++)
            v[t] -= q[t * k + j] * a;
    }
    for (size_t t = 0; t < n; t++)
        *(NAMED(lanes_at) *)(y + t * BM_PANEL) = v[t];
}

TARGET static void NAMED(project_out)(struct bm_panel *p, const double *q, size_t k, double *along)
{
    for (size_t c = 0; c < BM_PANEL; c += LANES) {
        double *y = p->y + c;
        size_t j = 0, t = 0;

        for (; j + BASE <= k; j += BASE)
            NAMED(dots)(along + j * BM_PANEL + c, y, p->rows, q + j, k, BASE);
        for (; j + 4 <= k; j += 4)
            NAMED(dots)(along + j * BM_PANEL + c, y, p->rows, q + j, k, 4);
        for (; j + 2 <= k; j += 2)
            NAMED(dots)(along + j * BM_PANEL + c, y, p->rows, q + j, k, 2);
        if (j < k)
            NAMED(dots)(along + j * BM_PANEL + c, y, p->rows, q + j, k, 1);
        for (; t + ROWS <= p->rows; t += ROWS)
            NAMED(take_away)(y + t * BM_PANEL, along + c, q + t * k, k, ROWS);
        for (; t < p->rows; t++)
            NAMED(take_away)(y + t * BM_PANEL, along + c, q + t * k, k, 1);
    }
}
