#include "ops/basis.h"

#include "core/mem.h"
#include "core/vector.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- polynomials ---- */

static long double dot(const double *q, size_t rows, size_t n, size_t a, size_t b)
{
    long double sum = 0.0L;

    for (size_t t = 0; t < rows; t++)
        sum += (long double)q[t * n + a] * (long double)q[t * n + b];
    return sum;
}

/* Makes column k orthogonal to the columns before it, and of length 1. */
static void orthonormalise(double *q, size_t rows, size_t n, size_t k)
{
    long double length;

    for (size_t j = 0; j < 2 * k; j++) { /* twice over all: the second round removes what rounding left */
        long double along = dot(q, rows, n, j % k, k);

        for (size_t t = 0; t < rows; t++)
            q[t * n + k] = (double)((long double)q[t * n + k] - along * (long double)q[t * n + j % k]);
    }
    length = sqrtl(dot(q, rows, n, k, k));
    for (size_t t = 0; t < rows; t++)
        q[t * n + k] = (double)((long double)q[t * n + k] / length);
}

bool bm_poly_basis(double *q, size_t rows, size_t order)
{
    const size_t n = order + 1;

    if (order > BM_MAX_ORDER || order >= rows)
        return false;
    for (size_t k = 0; k < n; k++) {
        for (size_t t = 0; t < rows; t++) {
            double time = rows > 1 ? 2.0 * (double)t / (double)(rows - 1) - 1.0 : 0.0;

            q[t * n + k] = k ? time * q[t * n + k - 1] : 1.0;
        }
        orthonormalise(q, rows, n, k);
    }
    return true;
}

/* ---- cosines ---- */

size_t bm_cosine_terms(size_t volumes, double tr, double high_pass)
{
    double step, terms;

    if (volumes < 2)
        return 0;
    step = (double)(volumes - 1) * tr / (double)(volumes - 1); /* as nilearn rounds it */
    terms = floor(2.0 * (double)volumes * high_pass * step);
    return terms >= (double)volumes ? volumes - 1 : terms >= 1.0 ? (size_t)terms : 0;
}

double bm_cosine(size_t volumes, size_t k, size_t v)
{
    const long double pi = 3.141592653589793238462643383279502884L, n = (long double)volumes;

    return (double)(sqrtl(2.0L / n) * cosl(pi / n * ((long double)v + 0.5L) * (long double)k));
}

/* ---- columns of any kind ---- */

/* Columns at work, one after the other (column-major) in long double. */
struct work {
    size_t rows, n;
    long double *c;
    double *noise; /* length below which nothing is left of a column */
    bool *used;
};

static long double product(const long double *a, const long double *b, size_t rows)
{
    long double sum = 0.0L;

    for (size_t t = 0; t < rows; t++)
        sum += a[t] * b[t];
    return sum;
}

static void subtract(long double *a, long double along, const long double *b, size_t rows)
{
    for (size_t t = 0; t < rows; t++)
        a[t] -= along * b[t];
}

/* Centres column j and brings it to standard deviation 1. */
static void standardise(struct work *w, size_t j)
{
    long double *c = w->c + j * w->rows, mean = 0.0L, sd;
    const long double rows = (long double)w->rows;

    for (size_t t = 0; t < w->rows; t++)
        mean += c[t] / rows;
    for (size_t t = 0; t < w->rows; t++)
        c[t] -= mean;
    sd = sqrtl(product(c, c, w->rows) / rows);
    w->used[j] = !(sd > 0.0L);
    w->noise[j] = w->used[j] ? 0.0 : fmax(0x64p-52, (double)(1e-12L / sd * sqrtl(rows)));
    for (size_t t = 0; t < w->rows && !w->used[j]; t++)
        c[t] /= sd;
}

/* The unused column of which most is left, or n. Columns of which nothing is left count as used. */
static size_t take_longest(struct work *w)
{
    long double most = 0.0L;
    size_t best = w->n;

    for (size_t j = 0; j < w->n; j++) {
        const long double *c = w->c + j * w->rows;
        long double length = w->used[j] ? 0.0L : sqrtl(product(c, c, w->rows));

        w->used[j] |= length <= (long double)w->noise[j];
        if (!w->used[j] && length > most) {
            most = length;
            best = j;
        }
    }
    if (best < w->n)
        w->used[best] = true;
    return best;
}

/* Takes column `unit`, of length 1, out of all columns that are still to come. */
static void deflate(struct work *w, const long double *unit)
{
    for (size_t j = 0; j < w->n; j++) {
        long double *c = w->c + j * w->rows;

        if (!w->used[j])
            subtract(c, product(unit, c, w->rows), unit, w->rows);
    }
}

/* Brings `c` to length 1 and, once more, out of all columns of `basis` (column-major). */
static void finish_column(long double *c, const long double *basis, size_t n, size_t rows)
{
    long double length;

    for (size_t j = 0; j < 2 * n; j++) {
        const long double *q = basis + j % n * rows;

        subtract(c, product(q, c, rows), q, rows);
    }
    length = sqrtl(product(c, c, rows));
    for (size_t t = 0; t < rows; t++)
        c[t] /= length;
}

static size_t extend(struct work *w, long double *basis, size_t nbefore)
{
    size_t n = nbefore, j;

    for (j = 0; j < nbefore; j++)
        deflate(w, basis + j * w->rows);
    while (n < w->rows && (j = take_longest(w)) < w->n) {
        long double *c = basis + n * w->rows;

        memcpy(c, w->c + j * w->rows, w->rows * sizeof *c);
        finish_column(c, basis, n++, w->rows);
        deflate(w, c);
    }
    return n;
}

static void transpose_in(long double *to, const double *from, size_t rows, size_t n)
{
    for (size_t t = 0; t < rows; t++) {
        for (size_t j = 0; j < n; j++)
            to[j * rows + t] = (long double)from[t * n + j];
    }
}

static void transpose_out(double *to, const long double *from, size_t rows, size_t n)
{
    for (size_t t = 0; t < rows; t++) {
        for (size_t j = 0; j < n; j++)
            to[t * n + j] = (double)from[j * rows + t];
    }
}

static void free_work(struct work *w)
{
    free(w->c);
    free(w->noise);
    free(w->used);
}

int bm_basis_extend(double *q, size_t rows, size_t nbefore, const double *columns, size_t n, size_t *found,
                    struct bm_error *err)
{
    struct work w = {.rows = rows, .n = n};
    long double *basis = NULL;
    size_t cells, all;
    int status = -1;

    *found = 0;
    if (bm_mul(rows, n, &cells, "confounds", err) || bm_mul(rows, nbefore + n, &all, "basis", err))
        return -1;
    w.c = bm_alloc(cells, sizeof *w.c, "confounds", err);
    w.noise = bm_calloc(n, sizeof *w.noise, "confounds", err);
    w.used = bm_calloc(n, sizeof *w.used, "confounds", err);
    basis = bm_alloc(all, sizeof *basis, "basis", err);
    if (w.c && w.noise && w.used && basis) {
        transpose_in(w.c, columns, rows, n);
        transpose_in(basis, q, rows, nbefore);
        for (size_t j = 0; j < n; j++)
            standardise(&w, j);
        *found = extend(&w, basis, nbefore) - nbefore;
        transpose_out(q, basis, rows, nbefore + *found);
        status = 0;
    }
    free_work(&w);
    free(basis);
    return status;
}
