#include "core/mem.h"
#include "io/describe_kinds.h"
#include "io/npy.h"
#include "io/rowsfile.h"
#include "io/runjson.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define MOST_MASK_VOXELS ((size_t)1 << 27) /* larger arrays of whole numbers are not looked at as masks */

/* NPY carries no checksum: all that can be verified is that the data are there, no more and no less. is_read: the
 * items have been read already. */
static int check_length(struct bm_bytes *in, const struct bm_npy_header *h, bool is_read, struct bm_error *err)
{
    uint64_t left = 0;
    size_t items, bytes = 0;

    if (bm_npy_items(h, bm_bytes_name(in), &items, err) ||
        (!h->structured && !is_read && bm_mul(items, h->itemsize, &bytes, bm_bytes_name(in), err)) ||
        bm_bytes_finish_within(in, h->structured ? UINT64_MAX : bytes, &left, err))
        return -1;
    if (h->structured) /* the record's size is not known, but all records have the same */
        return left && (!items || left % items)
                   ? bm_fail(err, BM_EDATA, "%s: the data end within a record; the file is damaged",
                             bm_bytes_name(in))
                   : 0;
    if (left != bytes)
        return bm_fail(err, BM_EDATA, "%s: holds %s data than the header says; the file is damaged",
                       bm_bytes_name(in), left < bytes ? "less" : "more");
    return 0;
}

/* ---- numbers ---- */

/* May it be a mask or label volume: booleans or whole numbers, (X, Y, Z) or flat? */
static bool may_be_mask(const struct bm_npy_header *h, size_t items)
{
    return h->descr[1] != 'f' && (h->ndim == 3 || h->ndim == 1) && items && items <= MOST_MASK_VOXELS;
}

static int add_mask(json_t *info, const char *path, const void *data, enum bm_dtype dtype, size_t items,
                    const struct bm_describe_how *how, struct bm_error *err)
{
    double *values = bm_alloc(items, sizeof *values, "mask", err);
    int status = values ? 0 : -1;

    if (!status) {
        bm_to_double(values, data, dtype, items);
        status = bm_describe_volume(info, path, values, items, how, err);
    }
    free(values);
    return status;
}

static int tally_rows(struct bm_bytes *in, const struct bm_npy_header *h, enum bm_dtype dtype, size_t rows,
                      struct bm_tally *tally, struct bm_error *err)
{
    const size_t bytes = tally->cols * h->itemsize;
    void *row = bm_alloc(tally->cols, h->itemsize, "values", err);
    double *line = bm_alloc(tally->cols, sizeof *line, "values", err);
    int status = row && line ? 0 : -1;

    for (size_t i = 0; i < rows && !status; i++) {
        long long got = bm_bytes_read(in, row, bytes, err);

        if (got < 0 || (size_t)got < bytes)
            status = got < 0 ? -1
                             : bm_fail(err, BM_EDATA, "%s: ends within row %zu; the file is damaged, make it again",
                                       bm_bytes_name(in), i);
        else
            bm_tally_add_samples(tally, 0, 1, tally->cols, row, dtype, 1.0, 0.0, line);
    }
    free(row);
    free(line);
    return status;
}

json_t *bm_describe_rows(struct bm_bytes *in, const struct bm_npy_header *h, size_t rows, size_t cols,
                         struct bm_error *err)
{
    struct bm_tally tally;
    enum bm_dtype dtype;
    json_t *values;
    int status;

    if (!bm_dtype_from_name(h->descr[1] == 'b' ? "|u1" : h->descr, &dtype)) {
        (void)bm_fail(err, BM_EDATA, "%s: NPY type \"%s\" cannot be read row by row; save it little-endian",
                      bm_bytes_name(in), h->descr);
        return NULL;
    }
    if (!bm_bytes_may_hold(in, (uint64_t)cols * h->itemsize)) {
        (void)bm_fail(err, BM_EDATA, "%s: the file is too short for a row of %zu; fetch it again", bm_bytes_name(in),
                      cols);
        return NULL;
    }
    if (bm_tally_begin(&tally, cols, err))
        return NULL;
    status = tally_rows(in, h, dtype, rows, &tally, err);
    values = bm_describe_values(&tally, rows);
    if (!status)
        return values;
    json_decref(values);
    return NULL;
}

/* A matrix is rows x columns; any other array is one row. In C order it is read row by row, however large it is. */
static int add_values(json_t *info, struct bm_bytes *in, const struct bm_npy_header *h, size_t items,
                      struct bm_error *err)
{
    const size_t rows = h->ndim == 2 && items ? h->shape[0] : 1;
    json_t *values;

    if (h->fortran_order && h->ndim > 1)
        return bm_fail(err, BM_EDATA, "%s: is in Fortran order, which --values does not read; save it in C order",
                       bm_bytes_name(in));
    values = bm_describe_rows(in, h, rows, items / rows, err);
    return values ? json_object_set_new(info, "values", values) : -1;
}

static json_t *header_json(const struct bm_npy_header *h)
{
    json_t *shape = json_array(), *info;

    for (size_t i = 0; i < h->ndim; i++)
        (void)json_array_append_new(shape, json_integer((json_int_t)h->shape[i]));
    info = json_pack("{s:s,s:s,s:o}", "kind", "npy", "dtype", h->descr, "shape", shape);
    for (enum bm_dtype t = BM_I8; t <= BM_F64; t++) {
        if (!strcmp(h->descr, bm_dtype_descr(t)))
            (void)json_object_set_new(info, "dtype", json_string(bm_dtype_name(t)));
    }
    if (!strcmp(h->descr, "|b1"))
        (void)json_object_set_new(info, "dtype", json_string("bool"));
    return info;
}

static int add_content(json_t *info, const char *path, struct bm_bytes *in, struct bm_npy_header *h,
                       const struct bm_describe_how *how, struct bm_error *err)
{
    enum bm_dtype dtype;
    void *data;
    size_t items;
    int status;

    if (bm_npy_items(h, bm_bytes_name(in), &items, err))
        return -1;
    if (!h->structured && may_be_mask(h, items)) {
        if (bm_npy_read_items(in, h, &dtype, &data, err))
            return -1;
        status = add_mask(info, path, data, dtype, items, how, err);
        free(data);
        return status;
    }
    if (how->values && !h->structured && add_values(info, in, h, items, err))
        return -1;
    return how->verify ? check_length(in, h, how->values && !h->structured, err) : 0;
}

static json_t *describe_array(const char *path, struct bm_bytes *in, const struct bm_describe_how *how,
                              struct bm_error *err)
{
    struct bm_npy_header h;
    json_t *info;

    if (bm_npy_read_header(in, &h, err) < 0)
        return NULL;
    info = header_json(&h);
    if (add_content(info, path, in, &h, how, err) == 0)
        return info;
    json_decref(info);
    return NULL;
}

/* ---- metadata rows ---- */

/* Which stimuli are on somewhere in the rows: how many different ones. */
static int compare_ids(const void *a, const void *b)
{
    int32_t x, y;

    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return x < y ? -1 : x > y;
}

static size_t count_distinct(int32_t *ids, size_t n)
{
    size_t distinct = 0;

    qsort(ids, n, sizeof *ids, compare_ids);
    for (size_t i = 0; i < n; i++)
        distinct += ids[i] >= 0 && (i == 0 || ids[i] != ids[i - 1]);
    return distinct;
}

static bool same_run(const struct bm_row *a, const struct bm_row *b)
{
    return a->subject_idx == b->subject_idx && a->session == b->session && a->run == b->run && b->time > a->time;
}

static json_t *row_run_json(const struct bm_row *first, const struct bm_row *last, size_t first_row, size_t rows)
{
    return json_pack("{s:i,s:i,s:i,s:I,s:I,s:I}", "subject", first->subject_idx, "session", first->session, "run",
                     first->run, "first_row", (json_int_t)first_row, "rows", (json_int_t)rows, "trials",
                     (json_int_t)last->trial + 1);
}

static json_t *rows_json(const struct bm_rows *meta, int32_t *ids)
{
    int32_t history[BM_MAX_HISTORY] = {0};
    struct bm_row first = {.stimulus_history = history}, last = first, row = first;
    json_t *runs = json_array();
    size_t from = 0;

    for (size_t i = 0; i < meta->n; i++) {
        bm_row_get(meta, i, &row);
        ids[i] = history[meta->history - 1];
        if (i > 0 && !same_run(&last, &row)) {
            (void)json_array_append_new(runs, row_run_json(&first, &last, from, i - from));
            from = i;
        }
        if (i == from)
            first = row;
        last = row;
    }
    if (meta->n)
        (void)json_array_append_new(runs, row_run_json(&first, &last, from, meta->n - from));
    return json_pack("{s:s,s:I,s:I,s:I,s:o}", "kind", "rows", "rows", (json_int_t)meta->n, "history",
                     (json_int_t)meta->history, "stimuli", (json_int_t)count_distinct(ids, meta->n), "runs", runs);
}

static json_t *describe_rows(struct bm_bytes *in, struct bm_error *err)
{
    struct bm_rows meta = {0};
    json_t *info = NULL;
    int32_t *ids;

    if (bm_rowsfile_read_meta(in, &meta, err))
        return NULL;
    ids = bm_alloc(meta.n, sizeof *ids, "stimuli", err);
    if (ids)
        info = rows_json(&meta, ids);
    free(ids);
    free(meta.data);
    return info;
}

json_t *bm_describe_npy(const char *path, struct bm_bytes *in, const struct bm_describe_how *how,
                        struct bm_error *err)
{
    static const char fields[] = "'stimulus_history'";
    size_t got = 0;
    const unsigned char *p = bm_bytes_peek(in, 256, &got, err);
    json_t *info = NULL;

    if (p && memmem(p, got, fields, sizeof fields - 1))
        info = describe_rows(in, err);
    else if (p)
        info = describe_array(path, in, how, err);
    bm_bytes_close(in);
    return info;
}
