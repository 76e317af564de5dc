#include "io/arrays.h"

#include "io/bundle.h"
#include "io/commit.h"
#include "io/jsonmem.h"
#include "io/npy.h"
#include "io/runjson.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DATA_START 4096

struct writer {
    struct bm_sink base;
    char *fmri_path, *meta_path, *json_path;
    struct bm_commit *fmri;
    enum bm_dtype dtype;
    struct bm_run first; /* all runs must fit it; its meta holds nothing but the history */
    struct bm_buf rows;  /* the run that is being written, rows x voxels */
    struct bm_buf meta;
    json_t *runs, *sessions;
    double slope, inter; /* of the current run */
    size_t nrows;
    int session; /* of the latest entry in `sessions` */
};

static int start(struct writer *w, const struct bm_run *run, struct bm_error *err)
{
    return bm_run_copy(&w->first, run, err) || bm_commit_reserve(w->fmri, DATA_START, err) ? -1 : 0;
}

static int arrays_begin_run(struct bm_sink *sink, const struct bm_run *run, struct bm_error *err)
{
    struct writer *w = (struct writer *)sink;
    size_t bytes;

    if (bm_run_check(run, w->fmri_path, err))
        return -1;
    if (json_array_size(w->runs) == 0 ? start(w, run, err) : bm_run_fits(&w->first, run, w->fmri_path, err))
        return -1;
    w->slope = run->slope;
    w->inter = run->inter;
    return bm_mul(run->rows * bm_dtype_size(w->dtype), run->cols, &bytes, "run", err) ||
                   bm_buf_resize(&w->rows, bytes, err)
               ? -1
               : 0;
}

/* Converts a tile to the array's type, scaled, row by row. */
static int arrays_encode(struct bm_sink *sink, struct bm_tile *tile, struct bm_error *err)
{
    const struct writer *w = (const struct writer *)sink;
    const size_t from = bm_dtype_size(tile->dtype), to = bm_dtype_size(w->dtype);
    double *row;
    bool fits = true;

    if (tile->dtype == w->dtype && w->slope == 1.0 && w->inter == 0.0)
        return 0;
    row = bm_alloc(tile->cols, sizeof *row, "row", err);
    if (!row || bm_buf_resize(&tile->packed, tile->rows * tile->cols * to, err)) {
        free(row);
        return -1;
    }
    for (size_t t = 0; t < tile->rows; t++) {
        bm_to_double(row, (unsigned char *)tile->data.data + t * tile->cols * from, tile->dtype, tile->cols);
        for (size_t c = 0; c < tile->cols; c++)
            row[c] = row[c] * w->slope + w->inter;
        fits &= bm_from_double((unsigned char *)tile->packed.data + t * tile->cols * to, w->dtype, row, tile->cols);
    }
    free(row);
    if (!fits)
        return bm_fail(err, BM_EDATA, "%s: a value is too large for %s; use another --dtype", w->fmri_path,
                       bm_dtype_name(w->dtype));
    bm_tile_swap(tile, w->dtype);
    return 0;
}

static int arrays_put_tile(struct bm_sink *sink, struct bm_tile *tile, struct bm_error *err)
{
    struct writer *w = (struct writer *)sink;
    const size_t size = bm_dtype_size(w->dtype), n = tile->cols * size;

    (void)err;
    for (size_t t = 0; t < tile->rows; t++)
        memcpy((unsigned char *)w->rows.data + (t * w->first.cols + tile->first) * size,
               (unsigned char *)tile->data.data + t * n, n);
    return 0;
}

/* Rows that follow each other in one session form one range. */
static void note_session(struct writer *w, const struct bm_run *run)
{
    json_t *last = json_array_get(w->sessions, json_array_size(w->sessions) - 1), *rows;

    if (last && w->session == run->session) {
        rows = json_object_get(last, "rows");
        (void)json_integer_set(rows, json_integer_value(rows) + (json_int_t)run->rows);
        return;
    }
    w->session = run->session;
    (void)json_array_append_new(w->sessions,
                                json_pack("{s:i,s:i,s:I,s:I}", "subject", run->subject, "session", run->session,
                                          "first_row", (json_int_t)w->nrows, "rows", (json_int_t)run->rows));
}

static int arrays_end_run(struct bm_sink *sink, const struct bm_run *run, struct bm_error *err)
{
    struct writer *w = (struct writer *)sink;
    json_t *entry;

    if (bm_commit_write(w->fmri, w->rows.data, w->rows.size, err))
        return -1;
    bm_commit_flush_hint(w->fmri);
    if (run->meta.history && bm_buf_append(&w->meta, run->meta.data, run->rows * bm_row_size(run->meta.history), err))
        return -1;
    note_session(w, run);
    entry = json_pack("{s:o,s:i,s:i,s:i,s:I,s:I,s:f,s:o,s:o}", "label", bm_runjson_text(run->label), "subject",
                      run->subject, "session", run->session, "run", run->run, "first_row", (json_int_t)w->nrows,
                      "rows", (json_int_t)run->rows, "tr", run->tr, "counts", bm_runjson_counts(run), "steps",
                      bm_runjson_steps(run));
    bm_runjson_set_times(entry, run);
    (void)json_array_append_new(w->runs, entry);
    w->nrows += run->rows;
    return bm_json_lost() ? bm_fail(err, BM_ESYS, "%s: out of memory", w->json_path) : 0; /* in this thread */
}

/* Puts the header in front of the data, now that the number of rows is known. */
static int put_header(struct writer *w, json_t **entry, struct bm_error *err)
{
    const size_t shape[2] = {w->nrows, w->first.cols};
    struct bm_buf header = {0};
    int status = bm_npy_format_header(&header, bm_dtype_descr(w->dtype), false, 2, shape, DATA_START, err);

    if (!status)
        status = bm_commit_fill(w->fmri, header.data, header.size, err);
    if (!status)
        *entry =
            bm_bundle_entry(w->fmri_path, json_string(bm_dtype_name(w->dtype)),
                            json_pack("[I,I]", (json_int_t)shape[0], (json_int_t)shape[1]), bm_commit_crc32(w->fmri));
    bm_buf_free(&header);
    return status;
}

static int write_meta(struct writer *w, struct bm_commit **out, json_t **entry, struct bm_error *err)
{
    struct bm_buf parts[2] = {{0}, w->meta};
    char descr[512];
    int status;

    if (!w->first.meta.history) {
        *entry = json_null();
        return 0;
    }
    (void)bm_meta_descr(w->first.meta.history, descr, sizeof descr);
    status = bm_npy_format_header(&parts[0], descr, true, 1, &w->nrows, 64, err);
    if (!status)
        status = bm_bundle_write(w->meta_path, parts, 2, out, err);
    if (!status) {
        *entry = bm_bundle_entry(w->meta_path, json_string(descr), json_pack("[I]", (json_int_t)w->nrows),
                                 bm_commit_crc32(*out));
        (void)json_object_set_new(*entry, "history", json_integer((json_int_t)w->first.meta.history));
    }
    bm_buf_free(&parts[0]);
    return status;
}

static json_t *voxel_list(const struct bm_run *run)
{
    json_t *list = json_array();

    for (size_t i = 0; i < run->cols; i++)
        (void)json_array_append_new(list, json_integer(run->voxels[i]));
    return list;
}

static int write_json(struct writer *w, json_t *fmri, json_t *meta, struct bm_commit **out, struct bm_error *err)
{
    json_t *runs = w->runs, *sessions = w->sessions, *object;

    w->runs = w->sessions = NULL;
    object = json_pack("{s:s,s:i,s:o,s:o,s:i,s:{s:o,s:o},s:f,s:o,s:o,s:o,s:o}", "boldmill", "arrays", "schema",
                       BM_SCHEMA, "fmri", fmri, "meta", meta, "subject", w->first.subject, "grid", "dims",
                       bm_runjson_grid_dims(&w->first.grid), "affine", bm_runjson_grid_affine(&w->first.grid), "tr",
                       w->first.tr, "categories", bm_runjson_categories(&w->first), "sessions", sessions, "runs",
                       runs, "voxels", voxel_list(&w->first));
    *out = bm_commit_open(w->json_path, err);
    if (*out)
        return bm_bundle_json(*out, object, err);
    json_decref(object);
    return -1;
}

/* Everything is complete in temporaries before the first gets its name; the data, which others wait for, come last.
 */
static int arrays_finish(struct bm_sink *sink, struct bm_error *err)
{
    struct writer *w = (struct writer *)sink;
    struct bm_commit *meta = NULL, *json = NULL;
    json_t *fmri_entry = NULL, *meta_entry = NULL;
    int status;

    if (json_array_size(w->runs) == 0)
        return bm_fail(err, BM_EDATA, "%s: there is no run to write; check the input", w->fmri_path);
    status = put_header(w, &fmri_entry, err) || write_meta(w, &meta, &meta_entry, err) ? -1 : 0;
    if (status)
        json_decref(fmri_entry);
    else
        status = write_json(w, fmri_entry, meta_entry, &json, err);
    if (!status && (bm_bundle_done(&meta, err) || bm_bundle_done(&json, err) || bm_bundle_done(&w->fmri, err)))
        status = -1;
    if (!status && !w->first.meta.history)
        (void)remove(w->meta_path); /* of an earlier array with metadata: it does not belong to this one */
    bm_commit_drop(meta);
    bm_commit_drop(json);
    return status;
}

static void arrays_close(struct bm_sink *sink)
{
    struct writer *w = (struct writer *)sink;

    bm_commit_drop(w->fmri);
    bm_buf_free(&w->rows);
    bm_buf_free(&w->meta);
    bm_run_clear(&w->first);
    json_decref(w->runs);
    json_decref(w->sessions);
    free(w->fmri_path);
    free(w->meta_path);
    free(w->json_path);
    free(w);
}

static int make_names(struct writer *w, const char *path, struct bm_error *err)
{
    static const char *const ends[] = {".fmri.npy", ".npy"};
    size_t n = strlen(path), stem = 0;

    for (size_t i = 0; i < 2 && !stem; i++) {
        size_t m = strlen(ends[i]);

        if (n > m && !strcmp(path + n - m, ends[i]))
            stem = n - m;
    }
    w->fmri_path = bm_strdup(path, err);
    w->meta_path = bm_format(err, "%.*s.meta.npy", (int)stem, path);
    w->json_path = bm_format(err, "%.*s.json", (int)stem, path);
    return w->fmri_path && w->meta_path && w->json_path ? 0 : -1;
}

struct bm_sink *bm_arrays_sink(const char *path, enum bm_dtype dtype, struct bm_error *err)
{
    struct writer *w = bm_calloc(1, sizeof *w, "arrays", err);

    if (!w)
        return NULL;
    w->base = (struct bm_sink){.begin_run = arrays_begin_run,
                               .encode = arrays_encode,
                               .put_tile = arrays_put_tile,
                               .end_run = arrays_end_run,
                               .finish = arrays_finish,
                               .close = arrays_close};
    bm_run_init(&w->first);
    w->dtype = dtype;
    w->runs = json_array();
    w->sessions = json_array();
    if (bm_bundle_name(path, err) == 0 && make_names(w, path, err) == 0 &&
        bm_bundle_replaces(w->json_path, "arrays", err) == 0)
        w->fmri = bm_commit_open(path, err);
    if (w->fmri && bm_commit_direct(w->fmri))
        (void)bm_fail(err, BM_EUSAGE, "%s: arrays must be regular files", path);
    else if (w->fmri)
        return &w->base;
    arrays_close(&w->base);
    return NULL;
}
