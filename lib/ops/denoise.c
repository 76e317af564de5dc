#include "ops/denoise.h"

#include "core/mem.h"
#include "core/vector.h"
#include "ops/basis.h"
#include "ops/butterworth.h"
#include "ops/spline.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct bm_denoise {
    struct bm_denoise_settings set;
    size_t *keep;       /* rows of the tile; NULL: all */
    bool mean_goes;     /* does cleaning take a voxel's mean away? */
    size_t kept, npoly; /* npoly: columns of the polynomial, order + 1 */
    double *q;          /* kept x nq: taken out at the end */
    size_t nq, dropped;
    bool filtered; /* by Butterworth; what follows is for that alone */
    struct bm_butterworth filter;
    size_t length;           /* rows to filter: kept ones and interpolated ones */
    size_t *place;           /* of each kept row among them; NULL: its own */
    struct bm_spline spline; /* n = 0: there is nothing to interpolate */
    double *poly;            /* length x npoly: taken out before the filter */
};

/* ---- one panel ---- */

/* Moves the kept rows to their places among those to be filtered, and fills the gaps between them. */
static void spread(const struct bm_denoise *d, struct bm_panel *p, double *scratch)
{
    p->rows = d->length;
    if (!d->place)
        return;
    for (size_t i = d->kept; i-- > 0;)
        memmove(p->y + d->place[i] * BM_PANEL, p->y + i * BM_PANEL, BM_PANEL * sizeof *p->y);
    bm_spline_panel(&d->spline, p, scratch);
}

static void gather(const struct bm_denoise *d, struct bm_panel *p)
{
    for (size_t i = 0; d->place && i < d->kept; i++)
        memmove(p->y + i * BM_PANEL, p->y + d->place[i] * BM_PANEL, BM_PANEL * sizeof *p->y);
    p->rows = d->kept;
}

/* Trend and filter, from the kept rows to the kept rows. */
static void filter(const struct bm_denoise *d, struct bm_panel *p, double *mean, double *scratch)
{
    spread(d, p, scratch);
    if (mean)
        bm_panel_means(p, mean);
    bm_project_out(p, d->poly, d->npoly, scratch);
    bm_butterworth_panel(&d->filter, p);
    gather(d, p);
}

/* Sets columns whose root mean square is nothing beside `scale` to 0; multiplies the others by slope. */
BM_VECTOR static uint64_t settle(struct bm_panel *p, const double scale[BM_PANEL], double nothing, double slope)
{
    double sum[BM_PANEL] = {0}, factor[BM_PANEL];
    uint64_t flat = 0;

    for (size_t t = 0; t < p->rows; t++) {
        const double *y = p->y + t * BM_PANEL;

        for (size_t c = 0; c < BM_PANEL; c++)
            sum[c] += y[c] * y[c];
    }
    for (size_t c = 0; c < BM_PANEL; c++) {
        bool is_flat = sqrt(sum[c] / (double)p->rows) <= nothing * scale[c];

        factor[c] = isnan(scale[c]) ? NAN : is_flat ? 0.0 : slope;
        flat += is_flat && c < p->n;
    }
    bm_panel_multiply(p, factor);
    return flat;
}

BM_VECTOR static void add_means(struct bm_panel *p, const double level[BM_PANEL], const double mean[BM_PANEL],
                                const double unit[BM_PANEL], const struct bm_work *w)
{
    for (size_t t = 0; t < p->rows; t++) {
        double *y = p->y + t * BM_PANEL;

        for (size_t c = 0; c < BM_PANEL; c++)
            y[c] += (level[c] + mean[c]) * w->slope * unit[c] + w->inter;
    }
}

/* Samples of up to 24 bits leave double enough digits to spare, whatever their level. */
static bool has_many_digits(enum bm_dtype dtype)
{
    return bm_dtype_size(dtype) >= 4 && dtype != BM_F32;
}

/* Takes the middle row, level[c], from all rows: exact where a column varies little beside its level, which would
 * cost trend and filter digits. */
BM_VECTOR static void take_level(struct bm_panel *p, double level[BM_PANEL])
{
    memcpy(level, p->y + p->rows / 2 * BM_PANEL, BM_PANEL * sizeof *level);
    for (size_t t = 0; t < p->rows; t++) {
        double *y = p->y + t * BM_PANEL;

        for (size_t c = 0; c < BM_PANEL; c++)
            y[c] -= level[c];
    }
}

static void clean(const struct bm_denoise *d, struct bm_work *w, struct bm_panel *p, double *scratch)
{
    double scale[BM_PANEL], unit[BM_PANEL], level[BM_PANEL] = {0}, mean[BM_PANEL] = {0};
    bool tamed;

    bm_panel_scale(p, w, w->slope != 0.0 ? -w->inter / w->slope : 0.0, scale);
    tamed = bm_panel_tame(p, scale, unit);
    if (d->mean_goes && has_many_digits(w->dtype))
        take_level(p, level);
    if (d->set.keep_mean && !d->filtered)
        bm_panel_means(p, mean);
    if (d->filtered)
        filter(d, p, d->set.keep_mean ? mean : NULL, scratch);
    bm_project_out(p, d->q, d->nq, scratch);
    w->nothing += settle(p, scale, bm_panel_nothing(w->dtype), w->slope);
    if (tamed)
        bm_panel_multiply(p, unit);
    if (d->set.keep_mean || (!d->mean_goes && w->inter != 0.0))
        add_means(p, level, mean, unit, w);
}

/* Doubles of the panel with its room for the filter, and of what stands behind it. */
static size_t panel_rows(const struct bm_denoise *d)
{
    return d->filtered ? d->length + 2 * d->filter.pad : d->kept;
}

static size_t other_rows(const struct bm_denoise *d)
{
    const size_t along = d->nq > d->npoly ? d->nq : d->npoly;

    return d->spline.n > along ? d->spline.n : along;
}

size_t bm_denoise_scratch(const struct bm_denoise *d)
{
    return bm_panel_size(panel_rows(d) + other_rows(d));
}

void bm_denoise(const struct bm_denoise *d, struct bm_work *w)
{
    struct bm_panel p = {.y = w->scratch + (d->filtered ? d->filter.pad * BM_PANEL : 0)};
    double *scratch = w->scratch + panel_rows(d) * BM_PANEL;

    w->nothing = w->nonfinite = 0;
    w->overflow = false;
    for (size_t first = 0; first < w->cols; first += BM_PANEL) {
        bm_panel_load(&p, w, first, d->keep, d->kept);
        clean(d, w, &p, scratch);
        bm_panel_store(&p, w, first);
    }
}

/* ---- the plan ---- */

static int copy_places(size_t **to, const size_t *from, size_t n, size_t less, struct bm_error *err)
{
    *to = bm_alloc(n, sizeof **to, "rows", err);
    for (size_t i = 0; *to && i < n; i++)
        (*to)[i] = from[i] - less;
    return *to ? 0 : -1;
}

/* Which rows the Butterworth filter sees, and where the kept ones are among them. */
static int plan_gaps(struct bm_denoise *d, const struct bm_denoise_run *run, struct bm_error *err)
{
    const size_t first = run->at ? run->at[0] : 0, last = run->at ? run->at[run->kept - 1] : run->volumes - 1;
    const size_t start = d->set.drop_ends ? first : 0;

    d->length = d->set.drop_ends ? last - first + 1 : run->volumes;
    if (!run->at || d->length == run->kept)
        return 0;
    if (run->kept < BM_SPLINE_LEAST)
        return bm_fail(err, BM_EDATA,
                       "run %s: %zu volumes are left, too few to interpolate through; censor less, or filter with "
                       "--filter cosine",
                       run->label, run->kept);
    if (copy_places(&d->place, run->at, run->kept, start, err))
        return -1;
    return bm_spline_make(&d->spline, d->place, run->kept, err);
}

static int plan_filter(struct bm_denoise *d, const struct bm_denoise_run *run, struct bm_error *err)
{
    const double high = d->set.high_pass, low = d->set.low_pass, most = 0.5 / run->tr;

    if (high >= most || low >= most)
        return bm_fail(
            err, BM_EUSAGE,
            "run %s: %g Hz is not below half the sampling rate, %g Hz at a TR of %g s; lower --%s, or leave "
            "it out",
            run->label, high >= most ? high : low, most, run->tr, high >= most ? "high-pass" : "low-pass");
    if (!bm_butterworth(&d->filter, d->set.filter_order, high * run->tr, low * run->tr))
        return bm_fail(err, BM_EUSAGE, "run %s: no filter of order %zu from %g to %g Hz; lower --filter-order",
                       run->label, d->set.filter_order, high, low);
    if (plan_gaps(d, run, err))
        return -1;
    if (d->length <= d->filter.pad)
        return bm_fail(err, BM_EDATA,
                       "run %s: %zu time points are too few for --filter-order %zu, which takes more than %zu; lower "
                       "it, or filter with --filter cosine",
                       run->label, d->length, d->set.filter_order, d->filter.pad);
    return 0;
}

/* There are more rows than columns: plan() has seen to it. */
static double *make_poly(const struct bm_denoise *d, size_t rows, struct bm_error *err)
{
    double *q = bm_alloc(rows, d->npoly * sizeof *q, "basis", err);

    if (q && d->npoly)
        (void)bm_poly_basis(q, rows, d->npoly - 1);
    return q;
}

/* Centres n values that are `step` apart and divides them by the largest of them (0 throughout: as they are). The
 * mean goes from confounds in any case (bm_basis_extend), and before the filter it would cost them digits. */
static void centre(double *x, size_t n, size_t step)
{
    long double mean = 0.0L, most = 0.0L;

    for (size_t i = 0; i < n; i++) {
        mean += (long double)x[i * step] / (long double)n;
        most = fmaxl(most, fabsl((long double)x[i * step]));
    }
    for (size_t i = 0; i < n && most > 0.0L; i++)
        x[i * step] = (double)(((long double)x[i * step] - mean) / most);
}

/* Confounds and drifts at the kept rows, kept x n. */
static double *collect(const struct bm_denoise *d, const struct bm_denoise_run *run, size_t n, struct bm_error *err)
{
    double *all = bm_alloc(d->kept, n * sizeof *all, "confounds", err);

    for (size_t j = 0; all && j < n; j++) {
        for (size_t i = 0; i < d->kept; i++) {
            const size_t v = run->at ? run->at[i] : i;

            all[i * n + j] =
                j < run->ncols ? run->confounds[v * run->ncols + j] : bm_cosine(run->volumes, j + 1 - run->ncols, v);
        }
        centre(all + j, d->kept, n);
    }
    return all;
}

/* The columns go through trend and filter as voxels do. */
static int prepare(const struct bm_denoise *d, double *columns, size_t n, struct bm_error *err)
{
    struct bm_work w = {.data = columns, .dtype = BM_F64, .rows = d->kept, .cols = n, .out = columns};
    struct bm_panel p;
    double *scratch, *room;

    w.out_dtype = BM_F64;
    w.scratch = scratch = bm_alloc(bm_panel_size(panel_rows(d) + other_rows(d)), sizeof *scratch, "panel", err);
    if (!scratch)
        return -1;
    p.y = scratch + (d->filtered ? d->filter.pad * BM_PANEL : 0);
    room = scratch + panel_rows(d) * BM_PANEL;
    for (size_t first = 0; first < n; first += BM_PANEL) {
        bm_panel_load(&p, &w, first, NULL, d->kept);
        if (d->filtered)
            filter(d, &p, NULL, room);
        else
            bm_project_out(&p, d->q, d->nq, room);
        bm_panel_store(&p, &w, first);
    }
    free(scratch);
    return 0;
}

/* Adds the confounds and drifts to the basis. */
static int add_columns(struct bm_denoise *d, const struct bm_denoise_run *run, size_t n, struct bm_error *err)
{
    double *columns = collect(d, run, n, err), *q = NULL;
    size_t found = 0;
    int status = -1;

    if (columns)
        q = bm_alloc(d->kept, (d->nq + n) * sizeof *q, "basis", err);
    if (q && !prepare(d, columns, n, err)) {
        memcpy(q, d->q, d->kept * d->nq * sizeof *q);
        status = bm_basis_extend(q, d->kept, d->nq, columns, n, &found, err);
    }
    if (!status) {
        free(d->q);
        d->q = q;
        d->nq += found;
        d->dropped = n - found;
    } else {
        free(q);
    }
    free(columns);
    return status;
}

static int too_few(const struct bm_denoise_run *run, size_t regressors, int order, struct bm_error *err)
{
    if (!regressors)
        return bm_fail(err, BM_EDATA, "run %s: %zu time points are too few for --order %d; lower the order",
                       run->label, run->kept, order);
    return bm_fail(
        err, BM_EDATA,
        "run %s: %zu time points are too few to take %zu regressors and a trend of --order %d out of them; "
        "leave out fewer volumes, use fewer --columns, or lower --high-pass or --order",
        run->label, run->kept, regressors, order);
}

static int plan(struct bm_denoise *d, const struct bm_denoise_run *run, struct bm_error *err)
{
    const size_t drifts = d->filtered ? 0 : bm_cosine_terms(run->volumes, run->tr, d->set.high_pass);
    const size_t n = run->ncols + drifts;
    const size_t least = n && !d->npoly ? 1 : d->npoly; /* regressors are centred: the mean goes from them at least */

    if (d->kept <= least)
        return too_few(run, n, d->set.order, err);
    if (run->keep && copy_places(&d->keep, run->keep, run->kept, 0, err))
        return -1;
    if (d->filtered && plan_filter(d, run, err))
        return -1;
    if (d->filtered) {
        d->poly = make_poly(d, d->length, err);
        d->q = bm_alloc(0, 1, "basis", err);
    } else {
        d->q = make_poly(d, d->kept, err);
        d->nq = d->npoly;
    }
    if (!d->q || (d->filtered && !d->poly) || (n && add_columns(d, run, n, err)))
        return -1;
    if (d->kept <= least + bm_denoise_regressors(d))
        return too_few(run, bm_denoise_regressors(d), d->set.order, err);
    return 0;
}

struct bm_denoise *bm_denoise_plan(const struct bm_denoise_settings *settings, const struct bm_denoise_run *run,
                                   struct bm_error *err)
{
    struct bm_denoise *d = bm_calloc(1, sizeof *d, "plan", err);

    if (!d)
        return NULL;
    d->set = *settings;
    d->mean_goes = settings->order >= 0 || (settings->butterworth && settings->high_pass > 0.0);
    d->set.keep_mean &= d->mean_goes;
    d->kept = run->kept;
    d->npoly = (size_t)settings->order + 1;
    d->filtered = settings->butterworth && (settings->high_pass > 0.0 || settings->low_pass > 0.0);
    if (!plan(d, run, err))
        return d;
    bm_denoise_free(d);
    return NULL;
}

void bm_denoise_free(struct bm_denoise *d)
{
    if (!d)
        return;
    free(d->keep);
    free(d->place);
    free(d->poly);
    free(d->q);
    bm_spline_clear(&d->spline);
    free(d);
}

size_t bm_denoise_regressors(const struct bm_denoise *d)
{
    return d->filtered ? d->nq : d->nq - d->npoly;
}

size_t bm_denoise_dropped(const struct bm_denoise *d)
{
    return d->dropped;
}
