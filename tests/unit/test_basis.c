#include "ops/basis.h"
#include "samples.h"
#include "unit.h"

#define MAX_T 1200
#define MAX_K 64

static double q[MAX_T * MAX_K], columns[MAX_T * MAX_K];
static const size_t lengths[] = {3, 4, 5, 6, 9, 10, 21, 31, 32, 64, 225, 301, 1200};

static long double dot_less(const double *m, size_t rows, size_t n, size_t a, size_t b, long double less)
{
    long double dot = -less;

    for (size_t t = 0; t < rows; t++)
        dot += (long double)m[t * n + a] * m[t * n + b];
    return fabsl(dot);
}

static void polynomials_are_orthonormal(void)
{
    for (size_t i = 0; i < COUNT(lengths); i++)
        for (size_t order = 0; order <= BM_MAX_ORDER && order < lengths[i]; order++) {
            const size_t n = order + 1;
            CHECK_ROW(bm_poly_basis(q, lengths[i], order), order);
            for (size_t a = 0; a < n; a++)
                for (size_t b = 0; b <= a; b++)
                    CHECK_ROW(dot_less(q, lengths[i], n, a, b, a == b) < 1e-15L, 1000 * order + lengths[i]);
        }
}

static void orders_that_do_not_fit_are_refused(void)
{
    for (size_t rows = 1; rows <= 30; rows++)
        for (size_t order = 0; order <= 30; order++)
            CHECK_ROW(bm_poly_basis(q, rows, order) == (order < rows && order <= BM_MAX_ORDER), 100 * rows + order);
    CHECK(!bm_poly_basis(q, 0, 0) && !bm_poly_basis(q, 5, SIZE_MAX));
}

/* nilearn's create_cosine_drift, whose rounding of the number of drifts is part of what users compare. */
static void cosines_are_counted_as_nilearn_does(void)
{
    static const struct {
        size_t volumes, terms;
        double tr, high_pass;
    } rows[] = {
        {200, 8, 2.0, 0.01},   {200, 0, 2.0, 0.001},     {225, 5, 1.6, 0.0078125}, {300, 6, 1.333, 0.0078125},
        {100, 5, 2.5, 0.01},   {240, 3, 0.8, 0.0078125}, {10, 9, 2.0, 5.0},        {10, 9, 2.0, 0.24999999},
        {10, 9, 2.0, 0.25},    {1, 0, 2.0, 0.1},         {2, 1, 2.0, 0.2},         {121, 4, 2.5, 0.008},
        {1000, 20, 1.0, 0.01}, {150, 6, 2.0, 0.01},      {300, 9, 1.5, 0.01},
    };

    for (size_t i = 0; i < COUNT(rows); i++)
        CHECK_ROW(bm_cosine_terms(rows[i].volumes, rows[i].tr, rows[i].high_pass) == rows[i].terms, i);
}

static void cosines_are_orthonormal(void)
{
    for (size_t i = 2; i < COUNT(lengths); i++) {
        size_t n = lengths[i] - 1 < 20 ? lengths[i] - 1 : 20;
        for (size_t t = 0; t < lengths[i]; t++)
            for (size_t k = 0; k < n; k++)
                q[t * n + k] = bm_cosine(lengths[i], k + 1, t);
        for (size_t a = 0; a < n; a++) {
            long double sum = 0;
            for (size_t t = 0; t < lengths[i]; t++)
                sum += q[t * n + a];
            CHECK_ROW(fabsl(sum) < 1e-15L * (long double)lengths[i], i);
            for (size_t b = 0; b <= a; b++)
                CHECK_ROW(dot_less(q, lengths[i], n, a, b, a == b) < 1e-15L, i);
        }
    }
    CHECK(fabs(bm_cosine(4, 1, 0) - 0.65328148243818826) < 1e-16); /* cos(pi/8) / sqrt(2) */
    CHECK(fabs(bm_cosine(4, 2, 1) + 0.5) < 1e-16);
}

/* Columns 0..n-1 as a smooth, a wild and a large one, and so on. */
static void fill_columns(size_t rows, size_t n, uint64_t seed)
{
    struct bm_random r;

    bm_random_seed(&r, seed, 0);
    for (size_t t = 0; t < rows; t++)
        for (size_t j = 0; j < n; j++)
            columns[t * n + j] =
                j % 3 == 2 ? 0.9 + 1e-3 * bm_random_unit(&r) : bm_random_unit(&r) - (j % 2 ? 0.5 : 0);
}

/* The basis is orthonormal, and what stands before it is not touched. */
static void extended_bases_are_orthonormal(void)
{
    struct bm_error err = {0};

    for (size_t before = 0; before <= 3; before++)
        for (size_t n = 1; n <= 40; n += 13) {
            size_t found, all = before + n;
            double poly[225 * 3];
            fill_columns(225, n, before);
            memset(q, 0xff, sizeof q);
            if (before)
                (void)bm_poly_basis(poly, 225, before - 1);
            memcpy(q, poly, 225 * before * sizeof *q);
            REQUIRE(bm_basis_extend(q, 225, before, columns, n, &found, &err) == 0, &err);
            CHECK_ROW(found == n, n);
            for (size_t t = 0; t < 225; t++)
                CHECK_ROW(memcmp(q + t * all, poly + t * before, before * sizeof *q) == 0, n);
            for (size_t a = 0; a < all; a++)
                for (size_t b = 0; b <= a; b++)
                    CHECK_ROW(dot_less(q, 225, all, a, b, a == b) < 1e-15L, n);
        }
}

/* Every centred column lies in the span: nothing is left of it. */
static void extended_bases_span_their_columns(void)
{
    struct bm_error err = {0};
    size_t found;

    fill_columns(100, 20, 7);
    REQUIRE(bm_basis_extend(q, 100, 0, columns, 20, &found, &err) == 0, &err);
    for (size_t j = 0; j < 20; j++) {
        long double y[100], mean = 0, left = 0;
        for (size_t t = 0; t < 100; t++)
            mean += columns[t * 20 + j] / 100.0L;
        for (size_t t = 0; t < 100; t++)
            y[t] = columns[t * 20 + j] - mean;
        for (size_t k = 0; k < found; k++) {
            long double along = 0;
            for (size_t t = 0; t < 100; t++)
                along += q[t * found + k] * y[t];
            for (size_t t = 0; t < 100; t++)
                y[t] -= along * q[t * found + k];
        }
        for (size_t t = 0; t < 100; t++)
            left += y[t] * y[t];
        CHECK_ROW(sqrtl(left) < 1e-14L, j);
    }
}

/* Constants, copies, sums, trends that are there already, and more columns than rows add nothing. */
static void what_adds_nothing_is_left_out(void)
{
    struct bm_error err = {0};
    size_t found;

    fill_columns(60, 12, 3);
    for (size_t t = 0; t < 60; t++) {
        double *c = columns + t * 12;
        c[2] = 0.7;                                  /* constant */
        c[4] = -0.4 * c[0];                          /* a multiple */
        c[5] = c[0] + c[1];                          /* a sum */
        c[7] = 1 + 3e-9 * (double)t;                 /* the trend */
        c[8] = c[6] * (1 + 1e-13 * (double)(t % 2)); /* the same to rounding */
        c[10] = c[9] + 1e-9 * (double)(t % 3);       /* nearly the same, but not quite */
        c[11] = 0;
    }
    (void)bm_poly_basis(q, 60, 1);
    REQUIRE(bm_basis_extend(q, 60, 2, columns, 12, &found, &err) == 0, &err);
    CHECK(found == 6); /* 0, 1, 3, 6, 9, 10 */
    fill_columns(5, 30, 4);
    REQUIRE(bm_basis_extend(q, 5, 0, columns, 30, &found, &err) == 0, &err);
    CHECK(found == 4); /* centred columns of 5 rows */
}

static void bases_that_are_too_large(void)
{
    static const size_t sizes[][2] = {{SIZE_MAX / 2, 0}, {SIZE_MAX / 4 + 1, 2}}; /* rows, columns before */

    for (size_t i = 0; i < COUNT(sizes); i++) {
        struct bm_error err = {0};
        size_t found = 7;
        CHECK_ROW(bm_basis_extend(q, sizes[i][0], sizes[i][1], columns, 3 - i, &found, &err) == -1, i);
        CHECK_ROW(found == 0 && err.code == BM_EDATA, i);
        CHECK_ERR_CONTAINS(&err, i ? "basis: the size does not fit" : "confounds: the size does not fit");
    }
}

/* y - Q Q' y in long double, for widths around the blocks of the kernel. */
static void projection_is_that_of_the_definition(void)
{
    static double y[301 * BM_PANEL], kept[301 * BM_PANEL], along[MAX_K * BM_PANEL];
    static const size_t heights[] = {1, 2, 7, 8, 9, 64, 301};
    struct bm_panel p = {.y = y, .n = BM_PANEL};
    struct bm_random r;

    bm_random_seed(&r, 9, 0);
    for (size_t i = 0; i < COUNT(heights); i++)
        for (size_t k = 0; k <= 40; k++) {
            const size_t rows = p.rows = heights[i];
            for (size_t c = 0; c < rows * k; c++)
                q[c] = (bm_random_unit(&r) - 0.5) / sqrt((double)rows);
            for (size_t c = 0; c < rows * BM_PANEL; c++)
                y[c] = kept[c] = bm_random_unit(&r) - 0.3;
            bm_project_out(&p, q, k, along);
            for (size_t c = 0; c < BM_PANEL; c += 5)
                for (size_t t = 0; t < rows; t += 3) {
                    long double want = kept[t * BM_PANEL + c];
                    for (size_t j = 0; j < k; j++)
                        for (size_t u = 0; u < rows; u++)
                            want -= (long double)q[t * k + j] * q[u * k + j] * kept[u * BM_PANEL + c];
                    CHECK_ROW(fabsl(want - (long double)y[t * BM_PANEL + c]) < 1e-13L, 100 * rows + k);
                }
        }
}

int main(void)
{
    static const struct unit_test all[] = {
        UNIT(polynomials_are_orthonormal),
        UNIT(orders_that_do_not_fit_are_refused),
        UNIT(cosines_are_counted_as_nilearn_does),
        UNIT(cosines_are_orthonormal),
        UNIT(extended_bases_are_orthonormal),
        UNIT(extended_bases_span_their_columns),
        UNIT(what_adds_nothing_is_left_out),
        UNIT(projection_is_that_of_the_definition),
        UNIT(bases_that_are_too_large),
    };
    return unit_main(all, COUNT(all));
}
