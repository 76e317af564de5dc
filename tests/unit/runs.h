/* Runs for tests: random ones with all their samples, written to a sink and compared with what a source gives. */
#ifndef BM_UNIT_RUNS_H
#define BM_UNIT_RUNS_H

#include "core/series.h"
#include "samples.h"
#include "unit.h"

struct whole {
    struct bm_run run;
    unsigned char *samples; /* rows x cols */
};

/* What make_run is asked for. Runs of one `voxels_seed` and cols have the same voxels. */
struct wish {
    enum bm_dtype dtype;
    size_t rows, cols, tile_cols, history;
    uint64_t seed, voxels_seed;
};

__attribute__((unused)) static void *must(void *p)
{
    if (!p) {
        perror("memory");
        exit(1);
    }
    return p;
}

__attribute__((unused)) static char *text_of(const char *s)
{
    return must(strdup(s));
}

static void fill_rows(struct bm_run *run, struct bm_random *r)
{
    int32_t history[64];

    run->meta.n = run->meta.history ? run->rows : 0;
    run->meta.data = must(malloc(run->meta.n * bm_row_size(run->meta.history) + 1));
    for (size_t t = 0; t < run->meta.n; t++) {
        struct bm_row row = {history,
                             (int16_t)run->subject,
                             (int16_t)run->session,
                             (int16_t)run->run,
                             (float)t,
                             (int32_t)t / 3 - 1,
                             (int32_t)bm_random_below(r, 9) - 1};
        for (size_t k = 0; k < run->meta.history; k++)
            history[k] = (int32_t)bm_random_next(r);
        bm_row_put(&run->meta, t, &row);
    }
}

static void fill_voxels(struct bm_run *run, uint64_t seed)
{
    struct bm_random r;
    int64_t at = -1;

    bm_random_seed(&r, seed, 1);
    run->voxels = must(malloc((run->cols + 1) * sizeof *run->voxels));
    for (size_t i = 0; i < run->cols; i++)
        run->voxels[i] = at += 1 + (int64_t)bm_random_below(&r, 4);
    run->grid.dims[0] = 2;
    run->grid.dims[1] = 3;
    run->grid.dims[2] = at / 6 + 1;
    for (int k = 0; k < 12; k++)
        run->grid.affine[k / 4][k % 4] = k % 5 == 0 ? 1.8 : k % 4 == 3 ? -72.3 : 0.01 * k;
}

__attribute__((unused)) static void make_run(struct whole *w, const struct wish *wish)
{
    struct bm_run *run = &w->run;
    struct bm_random r;
    char label[32];

    bm_random_seed(&r, wish->seed, 0);
    bm_run_init(run);
    (void)snprintf(label, sizeof label, "run \"%d\"", (int)wish->seed);
    run->label = text_of(label);
    run->subject = 1;
    run->session = 1 + (int)(wish->seed % 40);
    run->run = 1 + (int)(wish->seed % 14);
    run->rows = wish->rows;
    run->cols = wish->cols;
    run->tile_cols = wish->tile_cols;
    run->dtype = wish->dtype;
    run->slope = bm_random_unit(&r) + 0.1;
    run->inter = bm_random_unit(&r) * 1e-7;
    run->tr = 4.0 / 3;
    run->absent_zero = wish->seed % 2;
    run->meta.history = wish->history;
    fill_voxels(run, wish->voxels_seed);
    fill_rows(run, &r);
    run->ncategories = 2;
    run->categories = must(calloc(2, sizeof *run->categories));
    run->categories[0] = text_of("f\xc3\xa4"
                                 "ce");
    run->categories[1] = text_of("");
    struct bm_error err = {0};
    if (bm_run_add_step(run, "{\"program\":\"a\"}", &err) ||
        bm_run_add_step(run, "{\"program\":\"b\",\"n\":[1,2.5]}", &err))
        unit_fail("%s", err.text);
    bm_run_count(run, "test.seed", wish->seed);
    bm_run_count(run, "test.none", 0);
    w->samples = must(malloc(run->rows * run->cols * bm_dtype_size(run->dtype)));
    for (size_t i = 0; i < run->rows * run->cols * bm_dtype_size(run->dtype); i++)
        w->samples[i] =
            (unsigned char)(bm_random_next(&r) >> (wish->seed % 3 ? 58 : 20)); /* some shrink, some do not */
}

__attribute__((unused)) static void free_run(struct whole *w)
{
    bm_run_clear(&w->run);
    free(w->samples);
}

/* A tile's samples as a loop over the whole run finds them. */
__attribute__((unused)) static void fill_tile(struct bm_tile *tile, const struct whole *w)
{
    const size_t size = bm_dtype_size(w->run.dtype);

    for (size_t t = 0; t < tile->rows; t++)
        memcpy((unsigned char *)tile->data.data + t * tile->cols * size,
               w->samples + (t * w->run.cols + tile->first) * size, tile->cols * size);
}

__attribute__((unused)) static bool same_tile(const struct bm_tile *tile, const struct whole *w)
{
    const size_t size = bm_dtype_size(w->run.dtype);
    bool same =
        tile->rows == w->run.rows && tile->dtype == w->run.dtype && tile->data.size == tile->rows * tile->cols * size;

    for (size_t t = 0; same && t < tile->rows; t++)
        same = memcmp((const unsigned char *)tile->data.data + t * tile->cols * size,
                      w->samples + (t * w->run.cols + tile->first) * size, tile->cols * size) == 0;
    return same;
}

static bool same_strings(char *const *a, size_t na, char *const *b, size_t nb)
{
    bool same = na == nb;

    for (size_t i = 0; same && i < na; i++)
        same = strcmp(a[i], b[i]) == 0;
    return same;
}

/* NULL, or what differs. Counts are left to same_counts. */
__attribute__((unused)) static const char *run_differs(const struct bm_run *a, const struct bm_run *b)
{
    if (strcmp(a->label, b->label) != 0)
        return "label";
    if (a->subject != b->subject || a->session != b->session || a->run != b->run)
        return "subject, session, run";
    if (a->rows != b->rows || a->cols != b->cols || a->tile_cols != b->tile_cols || a->dtype != b->dtype)
        return "shape";
    if (memcmp(&a->slope, &b->slope, 8) != 0 || memcmp(&a->inter, &b->inter, 8) != 0 ||
        memcmp(&a->tr, &b->tr, 8) != 0)
        return "slope, inter, tr";
    if (memcmp(&a->grid, &b->grid, sizeof a->grid) != 0 || a->absent_zero != b->absent_zero)
        return "grid";
    if (memcmp(a->voxels, b->voxels, a->cols * sizeof *a->voxels) != 0)
        return "voxels";
    if (a->meta.history != b->meta.history || a->meta.n != b->meta.n ||
        (a->meta.history && memcmp(a->meta.data, b->meta.data, a->meta.n * bm_row_size(a->meta.history)) != 0))
        return "metadata";
    if (!same_strings(a->categories, a->ncategories, b->categories, b->ncategories))
        return "categories";
    return same_strings(a->steps, a->nsteps, b->steps, b->nsteps) ? NULL : "steps";
}

__attribute__((unused)) static bool same_counts(const struct bm_run *a, const struct bm_run *b)
{
    bool same = a->ncounts == b->ncounts;

    for (size_t i = 0; same && i < a->ncounts; i++)
        same = strcmp(a->counts[i].name, b->counts[i].name) == 0 && a->counts[i].value == b->counts[i].value;
    return same;
}

/* All tiles of one run into a sink, as the pump would. */
static int put_run(struct bm_sink *sink, const struct whole *w, struct bm_tile *tile, struct bm_error *err)
{
    if (sink->begin_run(sink, &w->run, err))
        return -1;
    for (size_t i = 0; i < bm_run_tiles(&w->run); i++) {
        if (bm_tile_shape(tile, &w->run, i, err))
            return -1;
        fill_tile(tile, w);
        if ((sink->encode && sink->encode(sink, tile, err)) || sink->put_tile(sink, tile, err))
            return -1;
    }
    return sink->end_run(sink, &w->run, err);
}

/* Writes n runs, finishes where `finish`, closes. */
__attribute__((unused)) static int put_series(struct bm_sink *sink, const struct whole *w, size_t n, bool finish,
                                              struct bm_error *err)
{
    struct bm_tile tile = {0};
    int status = sink ? 0 : -1;

    for (size_t i = 0; i < n && !status; i++)
        status = put_run(sink, &w[i], &tile, err);
    if (!status && finish)
        status = sink->finish(sink, err);
    if (sink)
        sink->close(sink);
    bm_tile_free(&tile);
    return status;
}

static int get_tiles(struct bm_source *src, const struct whole *w, const bool *want, struct bm_error *err)
{
    struct bm_tile tile = {0};
    size_t next = 0, tiles = bm_run_tiles(&w->run);
    int got;

    while ((got = src->next_tile(src, &tile, err)) > 0) {
        while (want && next < tiles && !want[next])
            next++;
        if (tile.index != next++ || tile.first != tile.index * w->run.tile_cols)
            unit_fail("tile %zu comes out of order", tile.index);
        if (src->decode && (got = src->decode(src, &tile, err)))
            break;
        if (!same_tile(&tile, w))
            unit_fail("tile %zu of %s differs", tile.index, w->run.label);
    }
    while (want && next < tiles && !want[next])
        next++;
    if (!got && next != tiles)
        unit_fail("%zu of %zu tiles came", next, tiles);
    bm_tile_free(&tile);
    return got;
}

/* Reads a series and compares it with w[n]; closes the source. `want` serves every run. -1: the source failed. */
__attribute__((unused)) static int get_series(struct bm_source *src, const struct whole *w, size_t n,
                                              const bool *want, struct bm_error *err)
{
    const struct bm_run *run;
    size_t runs = 0;
    int got = src ? 1 : -1;

    while (got > 0 && (got = src->next_run(src, &run, err)) > 0 && runs < n) {
        const char *differs = run_differs(run, &w[runs].run);
        if (differs)
            unit_fail("%s of run %zu differs", differs, runs);
        if (want && src->want)
            src->want(src, want);
        if (get_tiles(src, &w[runs], want, err))
            got = -1;
        else if (!same_counts(run, &w[runs].run))
            unit_fail("counts of run %zu differ", runs);
        runs++;
    }
    if (got >= 0 && (got || runs != n))
        unit_fail("%zu runs%s came where %zu are", runs, got ? " and more" : "", n);
    if (src)
        src->close(src);
    return got < 0 ? -1 : 0;
}

#endif
