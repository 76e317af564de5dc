#include "core/mem.h"
#include "io/describe_kinds.h"
#include "io/runjson.h"
#include "io/seriesfile.h"
#include "io/seriesfile_seal.h"
#include "io/stream.h"

#include <stdlib.h>
#include <string.h>

static json_t *run_json(const struct bm_run *run, size_t first_row)
{
    json_t *entry = json_pack(
        "{s:o,s:i,s:i,s:i,s:I,s:I,s:I,s:s,s:f,s:f,s:f,s:s,s:I,s:o,s:o}", "label", bm_runjson_text(run->label),
        "subject", run->subject, "session", run->session, "run", run->run, "first_row", (json_int_t)first_row, "rows",
        (json_int_t)run->rows, "cols", (json_int_t)run->cols, "dtype", bm_dtype_name(run->dtype), "slope", run->slope,
        "inter", run->inter, "tr", run->tr, "absent", run->absent_zero ? "zero" : "unknown", "history",
        (json_int_t)run->meta.history, "counts", bm_runjson_counts(run), "steps", bm_runjson_steps(run));

    bm_runjson_set_times(entry, run);
    return entry;
}

/* What is read of a run's tiles. */
struct reading {
    bool all;               /* of a series file nothing need be read; a stream cannot be spared it */
    struct bm_tally *tally; /* or NULL */
    struct bm_tile tile;
    struct bm_buf line;
};

static int take_tile(struct reading *r, struct bm_source *src, const struct bm_run *run, struct bm_error *err)
{
    const struct bm_tile *t = &r->tile;

    if (r->all && src->decode && src->decode(src, &r->tile, err))
        return -1;
    if (!r->tally)
        return 1;
    if (bm_buf_resize(&r->line, t->cols * sizeof(double), err))
        return -1;
    bm_tally_add_samples(r->tally, t->first, t->rows, t->cols, t->data.data, t->dtype, run->slope, run->inter,
                         r->line.data);
    return 1;
}

static int read_tiles(struct reading *r, struct bm_source *src, const struct bm_run *run, struct bm_error *err)
{
    bool *none = src->decode && !r->all ? bm_calloc(bm_run_tiles(run), sizeof *none, "tiles", err) : NULL;
    int got;

    if (none)
        src->want(src, none);
    while ((got = src->next_tile(src, &r->tile, err)) > 0) {
        got = take_tile(r, src, run, err);
        if (got < 0)
            break;
    }
    free(none);
    return got;
}

/* Reads the run; its entry in the list, with counts that are known only now. */
static int add_run(json_t *runs, struct reading *r, struct bm_source *src, const struct bm_run *run, size_t first_row,
                   bool values, struct bm_error *err)
{
    struct bm_tally tally;
    json_t *entry;
    int got;

    if (values && bm_tally_begin(&tally, run->cols, err))
        return -1;
    r->tally = values ? &tally : NULL;
    got = read_tiles(r, src, run, err);
    entry = got < 0 ? NULL : run_json(run, first_row);
    if (values) {
        json_t *found = bm_describe_values(&tally, run->rows);
        (void)json_object_set_new(entry, "values", found);
    }
    return entry ? json_array_append_new(runs, entry) : -1;
}

static json_t *describe_source(struct bm_source *src, const char *kind, const struct bm_describe_how *how,
                               struct bm_error *err)
{
    json_t *runs = json_array(), *info = json_pack("{s:s,s:o}", "kind", kind, "runs", runs);
    struct reading r = {.all = how->verify || how->values};
    const struct bm_run *run;
    size_t rows = 0;
    int got;

    while ((got = info ? src->next_run(src, &run, err) : -1) > 0) { /* without it the list is gone, too */
        if (rows == 0) {
            (void)json_object_set_new(info, "dims", bm_runjson_grid_dims(&run->grid));
            (void)json_object_set_new(info, "affine", bm_runjson_grid_affine(&run->grid));
            (void)json_object_set_new(info, "categories", bm_runjson_categories(run));
        }
        got = add_run(runs, &r, src, run, rows, how->values, err);
        if (got < 0)
            break;
        rows += run->rows;
    }
    (void)json_object_set_new(info, "rows", json_integer((json_int_t)rows));
    bm_tile_free(&r.tile);
    bm_buf_free(&r.line);
    src->close(src);
    if (got == 0)
        return info;
    json_decref(info);
    return NULL;
}

json_t *bm_describe_stream(const char *path, struct bm_bytes *in, const struct bm_describe_how *how,
                           struct bm_error *err)
{
    struct bm_source *src = bm_stream_source(in, err);

    (void)path;
    return src ? describe_source(src, "stream", how, err) : NULL;
}

json_t *bm_describe_hdf5(const char *path, struct bm_bytes *in, const struct bm_describe_how *how,
                         struct bm_error *err)
{
    struct bm_source *src = bm_seriesfile_reopen(path, in, err);
    json_t *info = src ? describe_source(src, "series", how, err) : NULL;

    if (info && how->verify && bm_series_check_seal(path, err)) {
        json_decref(info);
        info = NULL;
    }
    return info;
}
