#include "core/series.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

size_t bm_grid_voxels(const struct bm_grid *g)
{
    return (size_t)g->dims[0] * (size_t)g->dims[1] * (size_t)g->dims[2];
}

static void corner(const struct bm_grid *g, unsigned which, double mm[3])
{
    double p[3];

    for (unsigned k = 0; k < 3; k++)
        p[k] = which >> k & 1u ? (double)(g->dims[k] - 1) : 0.0;
    for (int r = 0; r < 3; r++)
        mm[r] = g->affine[r][0] * p[0] + g->affine[r][1] * p[1] + g->affine[r][2] * p[2] + g->affine[r][3];
}

bool bm_grid_same(const struct bm_grid *a, const struct bm_grid *b)
{
    double p[3], q[3];

    if (memcmp(a->dims, b->dims, sizeof a->dims) != 0)
        return false;
    for (unsigned which = 0; which < 8; which++) {
        corner(a, which, p);
        corner(b, which, q);
        for (int r = 0; r < 3; r++) {
            if (!(fabs(p[r] - q[r]) <= 1e-3))
                return false;
        }
    }
    return true;
}

static double voxel_size(const struct bm_grid *g, int axis)
{
    double x = g->affine[0][axis], y = g->affine[1][axis], z = g->affine[2][axis];

    return sqrt(x * x + y * y + z * z);
}

const char *bm_grid_text(const struct bm_grid *g, char *text, size_t n)
{
    (void)snprintf(text, n, "%lldx%lldx%lld, %.3gx%.3gx%.3g mm, origin (%.1f, %.1f, %.1f)", (long long)g->dims[0],
                   (long long)g->dims[1], (long long)g->dims[2], voxel_size(g, 0), voxel_size(g, 1), voxel_size(g, 2),
                   g->affine[0][3], g->affine[1][3], g->affine[2][3]);
    return text;
}

size_t bm_row_size(size_t history)
{
    return 4 * history + 18;
}

void bm_row_put(struct bm_rows *rows, size_t i, const struct bm_row *row)
{
    unsigned char *p = rows->data + i * bm_row_size(rows->history);

    memcpy(p, row->stimulus_history, 4 * rows->history);
    p += 4 * rows->history;
    memcpy(p, &row->subject_idx, 2);
    memcpy(p + 2, &row->session, 2);
    memcpy(p + 4, &row->run, 2);
    memcpy(p + 6, &row->time, 4);
    memcpy(p + 10, &row->trial, 4);
    memcpy(p + 14, &row->stimulus, 4);
}

void bm_row_get(const struct bm_rows *rows, size_t i, struct bm_row *row)
{
    const unsigned char *p = rows->data + i * bm_row_size(rows->history);

    memcpy(row->stimulus_history, p, 4 * rows->history);
    p += 4 * rows->history;
    memcpy(&row->subject_idx, p, 2);
    memcpy(&row->session, p + 2, 2);
    memcpy(&row->run, p + 4, 2);
    memcpy(&row->time, p + 6, 4);
    memcpy(&row->trial, p + 10, 4);
    memcpy(&row->stimulus, p + 14, 4);
}

void bm_run_init(struct bm_run *run)
{
    memset(run, 0, sizeof *run);
    run->slope = 1.0;
    run->session = 1;
    run->run = 1;
}

static void free_strings(char **strings, size_t n)
{
    for (size_t i = 0; strings && i < n; i++)
        free(strings[i]);
    free(strings);
}

void bm_run_clear(struct bm_run *run)
{
    free(run->label);
    free(run->voxels);
    free(run->times);
    free(run->meta.data);
    free_strings(run->categories, run->ncategories);
    free_strings(run->steps, run->nsteps);
    bm_run_init(run);
}

static int copy_bytes(void *out, const void *src, size_t n, size_t size, const char *what, struct bm_error *err)
{
    void *p = bm_alloc(n, size, what, err);

    if (!p)
        return -1;
    if (n)
        memcpy(p, src, n * size);
    memcpy(out, &p, sizeof p);
    return 0;
}

static int copy_strings(char ***out, char *const *src, size_t n, struct bm_error *err)
{
    *out = bm_calloc(n, sizeof **out, "strings", err);
    for (size_t i = 0; *out && i < n; i++) {
        (*out)[i] = bm_strdup(src[i], err);
        if (!(*out)[i])
            return -1;
    }
    return *out ? 0 : -1;
}

int bm_run_copy(struct bm_run *dst, const struct bm_run *src, struct bm_error *err)
{
    size_t meta = src->meta.n * bm_row_size(src->meta.history);

    *dst = *src;
    dst->label = NULL;
    dst->voxels = NULL;
    dst->times = NULL;
    dst->meta.data = NULL;
    dst->categories = dst->steps = NULL;
    dst->label = bm_strdup(src->label, err);
    if (!dst->label || copy_bytes(&dst->voxels, src->voxels, src->cols, sizeof *src->voxels, "voxels", err) ||
        (src->times && copy_bytes(&dst->times, src->times, src->rows, sizeof *src->times, "times", err)) ||
        (src->meta.history && copy_bytes(&dst->meta.data, src->meta.data, meta, 1, "metadata", err)) ||
        copy_strings(&dst->categories, src->categories, src->ncategories, err) ||
        copy_strings(&dst->steps, src->steps, src->nsteps, err)) {
        bm_run_clear(dst);
        return -1;
    }
    return 0;
}

int32_t bm_run_time(const struct bm_run *run, size_t i)
{
    return run->times ? run->times[i] : (int32_t)i;
}

size_t bm_run_volumes(const struct bm_run *run)
{
    return run->volumes ? run->volumes : (size_t)bm_run_time(run, run->rows - 1) + 1;
}

int bm_run_keep_rows(struct bm_run *run, const size_t *keep, size_t n, struct bm_error *err)
{
    const size_t size = bm_row_size(run->meta.history);
    int32_t *times = n < run->rows ? bm_alloc(n, sizeof *times, "times", err) : NULL;

    if (n == run->rows)
        return 0;
    if (!times)
        return -1;
    run->volumes = bm_run_volumes(run);
    for (size_t i = 0; i < n; i++) {
        times[i] = bm_run_time(run, keep[i]);
        if (run->meta.history)
            memmove(run->meta.data + i * size, run->meta.data + keep[i] * size, size);
    }
    free(run->times);
    run->times = times;
    run->rows = n;
    run->meta.n = run->meta.history ? n : 0;
    return 0;
}

int bm_run_add_step(struct bm_run *run, const char *json, struct bm_error *err)
{
    char **steps = bm_calloc(run->nsteps + 1, sizeof *steps, "provenance", err);

    if (!steps)
        return -1;
    if (run->nsteps)
        memcpy(steps, run->steps, run->nsteps * sizeof *steps);
    steps[run->nsteps] = bm_strdup(json, err);
    if (!steps[run->nsteps]) {
        free(steps);
        return -1;
    }
    free(run->steps);
    run->steps = steps;
    run->nsteps++;
    return 0;
}

/* The place of a count, or ncounts. Names are cut to what a count holds. */
static size_t find_count(const struct bm_run *run, const char *name)
{
    size_t i = 0;

    while (i < run->ncounts && strncmp(run->counts[i].name, name, sizeof run->counts[i].name - 1) != 0)
        i++;
    return i;
}

void bm_run_count(struct bm_run *run, const char *name, uint64_t value)
{
    size_t i = find_count(run, name);

    if (i == BM_MAX_COUNTS)
        return;
    if (i == run->ncounts) {
        (void)snprintf(run->counts[i].name, sizeof run->counts[i].name, "%s", name);
        run->counts[i].value = 0;
        run->ncounts++;
    }
    run->counts[i].value += value;
}

uint64_t bm_run_counted(const struct bm_run *run, const char *name)
{
    size_t i = find_count(run, name);

    return i < run->ncounts ? run->counts[i].value : 0;
}

static bool same_categories(const struct bm_run *a, const struct bm_run *b)
{
    bool same = a->ncategories == b->ncategories;

    for (size_t i = 0; same && i < a->ncategories; i++)
        same = !strcmp(a->categories[i], b->categories[i]);
    return same;
}

int bm_run_fits(const struct bm_run *first, const struct bm_run *run, const char *where, struct bm_error *err)
{
    const char *a = first->label, *b = run->label;
    char p[160], q[160];

    if (first->subject != run->subject)
        return bm_fail(err, BM_EDATA, "%s: run %s is of subject %d, run %s of subject %d; keep subjects apart", where,
                       a, first->subject, b, run->subject);
    if (!bm_grid_same(&first->grid, &run->grid))
        return bm_fail(err, BM_EDATA, "%s: run %s has the grid %s, run %s has %s; keep grids apart", where, a,
                       bm_grid_text(&first->grid, p, sizeof p), b, bm_grid_text(&run->grid, q, sizeof q));
    if (first->cols != run->cols || memcmp(first->voxels, run->voxels, run->cols * sizeof *run->voxels) != 0)
        return bm_fail(err, BM_EDATA,
                       "%s: runs %s and %s have different voxels; give both the same --mask, or cut both with "
                       "the same applymask --roi",
                       where, a, b);
    if (fabs(first->tr - run->tr) > 1e-6 * first->tr)
        return bm_fail(err, BM_EDATA,
                       "%s: run %s has a TR of %g s, run %s of %g s; give nifti2h5 --tr if a header is wrong", where,
                       a, first->tr, b, run->tr);
    if (first->meta.history != run->meta.history)
        return bm_fail(err, BM_EDATA,
                       "%s: runs %s and %s differ in their metadata (history %zu and %zu); run hrfshift on "
                       "both with one --history",
                       where, a, b, first->meta.history, run->meta.history);
    if (!same_categories(first, run))
        return bm_fail(err, BM_EDATA, "%s: runs %s and %s differ in their categories; give hrfshift --categories",
                       where, a, b);
    return 0;
}

size_t bm_run_tiles(const struct bm_run *run)
{
    return run->cols / run->tile_cols + (run->cols % run->tile_cols != 0);
}

size_t bm_tile_cols(size_t rows)
{
    size_t cols = 1024;

    while (cols > 16 && cols > (1u << 18) / (rows ? rows : 1))
        cols /= 2;
    return cols;
}

static int check_grid(const struct bm_grid *g, const char *where, struct bm_error *err)
{
    double voxels = 1.0;

    for (int k = 0; k < 3; k++) {
        if (g->dims[k] < 1 || g->dims[k] > INT32_MAX)
            return bm_fail(err, BM_EDATA, "%s: grid dimension %d is %lld; it must be 1 to 2^31-1", where, k,
                           (long long)g->dims[k]);
        voxels *= (double)g->dims[k];
    }
    if (voxels >= 0x1p40)
        return bm_fail(err, BM_EDATA, "%s: the grid has %.0f voxels; at most 2^40 are supported", where, voxels);
    for (int r = 0; r < 3; r++) {
        for (int c = 0; c < 4; c++) {
            if (!isfinite(g->affine[r][c]))
                return bm_fail(err, BM_EDATA, "%s: the affine has an element that is not finite", where);
        }
    }
    return 0;
}

static int check_voxels(const struct bm_run *run, const char *where, struct bm_error *err)
{
    int64_t below = -1, limit = (int64_t)bm_grid_voxels(&run->grid);

    for (size_t i = 0; i < run->cols; i++) {
        if (run->voxels[i] <= below || run->voxels[i] >= limit)
            return bm_fail(err, BM_EDATA,
                           "%s: voxel %zu has index %lld; indices must ascend within the grid's %lld voxels", where,
                           i, (long long)run->voxels[i], (long long)limit);
        below = run->voxels[i];
    }
    return 0;
}

static int check_times(const struct bm_run *run, const char *where, struct bm_error *err)
{
    for (size_t i = 0; run->times && i < run->rows; i++) {
        if (run->times[i] < (i ? run->times[i - 1] + 1 : 0) || run->times[i] == INT32_MAX)
            return bm_fail(err, BM_EDATA, "%s: run %s has the volumes %d and then %d; the file is damaged", where,
                           run->label, i ? run->times[i - 1] : -1, run->times[i]);
    }
    if (run->volumes && (run->volumes > INT32_MAX || run->volumes <= (size_t)bm_run_time(run, run->rows - 1)))
        return bm_fail(err, BM_EDATA, "%s: run %s has %zu volumes, but a row of volume %d; the file is damaged",
                       where, run->label, run->volumes, bm_run_time(run, run->rows - 1));
    return 0;
}

int bm_run_check(const struct bm_run *run, const char *where, struct bm_error *err)
{
    if (run->rows < 1 || run->rows > INT32_MAX)
        return bm_fail(err, BM_EDATA, "%s: run %s has %zu time points", where, run->label, run->rows);
    if (run->cols < 1)
        return bm_fail(err, BM_EDATA, "%s: run %s has no voxels; check the mask", where, run->label);
    if (run->tile_cols < 1 || run->tile_cols > BM_TILE_MAX_COLS)
        return bm_fail(err, BM_EDATA, "%s: run %s has tiles of %zu columns", where, run->label, run->tile_cols);
    if (run->rows > BM_TILE_MAX_BYTES / bm_dtype_size(run->dtype) / run->tile_cols)
        return bm_fail(err, BM_EDATA, "%s: run %s has tiles of %zu x %zu samples; at most %u MiB are supported",
                       where, run->label, run->rows, run->tile_cols, BM_TILE_MAX_BYTES >> 20);
    if (!(run->tr > 0.0) || !isfinite(run->tr) || !isfinite(run->slope) || !isfinite(run->inter))
        return bm_fail(err, BM_EDATA, "%s: run %s has TR %g s, slope %g, intercept %g; give --tr", where, run->label,
                       run->tr, run->slope, run->inter);
    if (run->meta.history > BM_MAX_HISTORY)
        return bm_fail(err, BM_EDATA, "%s: run %s has a history of %zu stimuli; at most %u are supported", where,
                       run->label, run->meta.history, BM_MAX_HISTORY);
    if (run->meta.history && run->meta.n != run->rows)
        return bm_fail(err, BM_EDATA, "%s: run %s has %zu metadata rows for %zu time points", where, run->label,
                       run->meta.n, run->rows);
    if (check_times(run, where, err) || check_grid(&run->grid, where, err))
        return -1;
    return check_voxels(run, where, err);
}

void bm_tile_free(struct bm_tile *tile)
{
    bm_buf_free(&tile->data);
    bm_buf_free(&tile->packed);
}

void bm_tile_swap(struct bm_tile *tile, enum bm_dtype dtype)
{
    struct bm_buf data = tile->data;

    tile->data = tile->packed;
    tile->packed = data;
    tile->dtype = dtype;
}

int bm_tile_shape(struct bm_tile *tile, const struct bm_run *run, size_t index, struct bm_error *err)
{
    size_t left = run->cols - index * run->tile_cols, n;

    tile->index = index;
    tile->first = index * run->tile_cols;
    tile->cols = left < run->tile_cols ? left : run->tile_cols;
    tile->rows = run->rows;
    tile->dtype = run->dtype;
    if (bm_mul(tile->cols, tile->rows, &n, "tile", err) || bm_mul(n, bm_dtype_size(run->dtype), &n, "tile", err))
        return -1;
    return bm_buf_resize(&tile->data, n, err);
}
