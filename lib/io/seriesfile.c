#include "io/seriesfile.h"

#include "core/vector.h"
#include "io/bytes.h"
#include "io/commit.h"
#include "io/hdf5.h"
#include "io/runjson.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_RUNS 9999
#define LABEL_BYTES 68 /* the record has no padding */

/* One line of /run_table. */
struct table_row {
    int64_t first_row, rows;
    double slope, inter, tr;
    int32_t subject, session, run;
    char label[LABEL_BYTES];
};

static const struct bm_h5_field table_fields[] = {
    {"label", BM_U8, LABEL_BYTES, offsetof(struct table_row, label), true},
    {"subject", BM_I32, 1, offsetof(struct table_row, subject), false},
    {"session", BM_I32, 1, offsetof(struct table_row, session), false},
    {"run", BM_I32, 1, offsetof(struct table_row, run), false},
    {"first_row", BM_I64, 1, offsetof(struct table_row, first_row), false},
    {"rows", BM_I64, 1, offsetof(struct table_row, rows), false},
    {"slope", BM_F64, 1, offsetof(struct table_row, slope), false},
    {"inter", BM_F64, 1, offsetof(struct table_row, inter), false},
    {"tr", BM_F64, 1, offsetof(struct table_row, tr), false},
};
static const struct bm_h5_record table_type = {table_fields, sizeof table_fields / sizeof *table_fields,
                                               sizeof(struct table_row)};

static const struct bm_h5_field byte_field = {NULL, BM_U8, 1, 0, false};
static const struct bm_h5_field voxel_field = {NULL, BM_I64, 1, 0, false};
static const struct bm_h5_field crc_field = {NULL, BM_U32, 1, 0, false};
static const struct bm_h5_record byte_type = {&byte_field, 1, 1};
static const struct bm_h5_record voxel_type = {&voxel_field, 1, 8};
static const struct bm_h5_record crc_type = {&crc_field, 1, 4};

#define META_FIELDS 7

static struct bm_h5_record meta_record(size_t history, struct bm_h5_field fields[META_FIELDS])
{
    const size_t h = 4 * history;

    fields[0] = (struct bm_h5_field){"stimulus_history", BM_I32, history, 0, false};
    fields[1] = (struct bm_h5_field){"subject_idx", BM_I16, 1, h, false};
    fields[2] = (struct bm_h5_field){"session", BM_I16, 1, h + 2, false};
    fields[3] = (struct bm_h5_field){"run", BM_I16, 1, h + 4, false};
    fields[4] = (struct bm_h5_field){"time", BM_F32, 1, h + 6, false};
    fields[5] = (struct bm_h5_field){"trial", BM_I32, 1, h + 10, false};
    fields[6] = (struct bm_h5_field){"stimulus", BM_I32, 1, h + 14, false};
    return (struct bm_h5_record){fields, META_FIELDS, bm_row_size(history)};
}

static const char *run_path(char text[64], size_t run, const char *what)
{
    (void)snprintf(text, 64, "/runs/%04zu/%s", run + 1, what);
    return text;
}

/* HDF5 demands chunks no wider than the dataset. */
static size_t chunk_cols(const struct bm_run *run)
{
    return run->tile_cols < run->cols ? run->tile_cols : run->cols;
}

/* Byte shuffle as HDF5's filter does it: all first bytes, then all second bytes, ... */
BM_VECTOR static void shuffle(unsigned char *dst, const unsigned char *src, size_t n, size_t size)
{
    for (size_t b = 0; b < size; b++) {
        unsigned char *to = dst + b * n;

        for (size_t i = 0; i < n; i++)
            to[i] = src[i * size + b];
    }
}

BM_VECTOR static void unshuffle(unsigned char *dst, const unsigned char *src, size_t n, size_t size)
{
    for (size_t b = 0; b < size; b++) {
        const unsigned char *from = src + b * n;

        for (size_t i = 0; i < n; i++)
            dst[i * size + b] = from[i];
    }
}

/* ---- reading ---- */

struct reader {
    struct bm_source base;
    struct bm_h5 *file;
    char *path;
    struct bm_run run;
    struct bm_h5_tiles *tiles;
    uint32_t *crcs;
    const bool *want;
    size_t next_run, nruns, first_row, next_tile;
    bool deflate;
};

static char *read_text(struct reader *r, const char *name, size_t *n, struct bm_error *err)
{
    char *text;

    if (bm_h5_array_length(r->file, name, 1, n, err))
        return NULL;
    text = bm_alloc(*n, 1, "header", err);
    if (text && bm_h5_get_array(r->file, name, &byte_type, *n, text, err) == 0)
        return text;
    free(text);
    return NULL;
}

static int read_header(struct reader *r, struct bm_error *err)
{
    char name[64];
    size_t n;
    char *text = read_text(r, run_path(name, r->next_run, "header"), &n, err);
    int status = text ? bm_runjson_parse_header(text, n, r->path, &r->run, err) : -1;

    free(text);
    if (status)
        return -1;
    text = read_text(r, run_path(name, r->next_run, "footer"), &n, err);
    status = text ? bm_runjson_parse_footer(text, n, r->path, &r->run, err) : -1;
    free(text);
    return status;
}

static int read_voxels(struct reader *r, struct bm_error *err)
{
    size_t n = 0;

    if (bm_h5_array_length(r->file, "/voxels", 8, &n, err))
        return -1;
    if (n != r->run.cols)
        return bm_fail(err, BM_EDATA, "%s: has %zu voxels where run %s needs %zu", r->path, n, r->run.label,
                       r->run.cols);
    r->run.voxels = bm_alloc(n, 8, "voxels", err);
    return r->run.voxels ? bm_h5_get_array(r->file, "/voxels", &voxel_type, n, r->run.voxels, err) : -1;
}

static int read_meta(struct reader *r, struct bm_error *err)
{
    struct bm_h5_field fields[META_FIELDS];
    struct bm_h5_record type = meta_record(r->run.meta.history, fields);
    char name[64];
    size_t n = 0;

    if (!r->run.meta.history)
        return 0;
    (void)run_path(name, r->next_run, "metadata");
    if (bm_h5_array_length(r->file, name, type.size, &n, err))
        return -1;
    if (n != r->run.rows)
        return bm_fail(err, BM_EDATA, "%s: run %s has %zu metadata rows for %zu time points", r->path, r->run.label,
                       n, r->run.rows);
    r->run.meta.data = bm_alloc(n, type.size, "metadata", err);
    return r->run.meta.data ? bm_h5_get_array(r->file, name, &type, n, r->run.meta.data, err) : -1;
}

static int open_tiles(struct reader *r, struct bm_error *err)
{
    char name[64];
    size_t n = bm_run_tiles(&r->run), have = 0;

    r->tiles = bm_h5_open_tiles(r->file, run_path(name, r->next_run, "fmri"), r->run.dtype, r->run.rows, r->run.cols,
                                chunk_cols(&r->run), &r->deflate, err);
    if (!r->tiles || bm_h5_array_length(r->file, run_path(name, r->next_run, "tile_crc32"), 4, &have, err))
        return -1;
    if (have != n)
        return bm_fail(err, BM_EDATA, "%s: run %s has %zu tile checksums for %zu tiles", r->path, r->run.label, have,
                       n);
    r->crcs = bm_alloc(n, sizeof *r->crcs, "checksums", err);
    return r->crcs ? bm_h5_get_array(r->file, name, &crc_type, n, r->crcs, err) : -1;
}

static void drop_run(struct reader *r)
{
    bm_h5_close_tiles(r->tiles);
    r->tiles = NULL;
    free(r->crcs);
    r->crcs = NULL;
    bm_run_clear(&r->run);
}

static int file_next_run(struct bm_source *src, const struct bm_run **run, struct bm_error *err)
{
    struct reader *r = (struct reader *)src;

    drop_run(r);
    if (r->next_run == r->nruns)
        return 0;
    if (read_header(r, err) || read_voxels(r, err) || read_meta(r, err) || bm_run_check(&r->run, r->path, err) ||
        open_tiles(r, err))
        return -1;
    r->next_run++;
    r->next_tile = 0;
    r->want = NULL;
    *run = &r->run;
    return 1;
}

static void file_want(struct bm_source *src, const bool *want)
{
    ((struct reader *)src)->want = want;
}

static int file_next_tile(struct bm_source *src, struct bm_tile *tile, struct bm_error *err)
{
    struct reader *r = (struct reader *)src;
    size_t plain = r->run.rows * chunk_cols(&r->run) * bm_dtype_size(r->run.dtype);

    while (r->want && r->next_tile < bm_run_tiles(&r->run) && !r->want[r->next_tile])
        r->next_tile++;
    if (r->next_tile == bm_run_tiles(&r->run))
        return 0;
    if (bm_tile_shape(tile, &r->run, r->next_tile, err) ||
        bm_h5_read_tile(r->tiles, tile->first, bm_deflate_bound(plain), &tile->filter_mask, &tile->packed, err))
        return -1;
    r->next_tile++;
    return 1;
}

/* Rows of the stored chunk (`wide` columns) to rows of the tile, which may be narrower. */
static void narrow(struct bm_tile *tile, const unsigned char *chunk, size_t wide, size_t size)
{
    unsigned char *to = tile->data.data;

    for (size_t t = 0; t < tile->rows; t++)
        memcpy(to + t * tile->cols * size, chunk + t * wide * size, tile->cols * size);
}

/* Undoes shuffle and deflate. Filter k was skipped on writing where bit k of the mask is set. */
static int unpack(const struct reader *r, struct bm_tile *tile, unsigned char *chunk, size_t n, struct bm_error *err)
{
    const size_t size = bm_dtype_size(tile->dtype);
    const bool shuffled = r->deflate && size > 1;
    const uint32_t deflate_bit = shuffled ? 2u : 1u;
    unsigned char *bytes;
    int status = 0;

    if (tile->filter_mask & ~deflate_bit || (tile->filter_mask && !r->deflate))
        return bm_fail(err, BM_EDATA, "%s: a tile is stored in an unknown way; the file is damaged", r->path);
    bytes = bm_alloc(n, 1, "tile", err);
    if (!bytes)
        return -1;
    if (r->deflate && !tile->filter_mask)
        status = bm_inflate(tile->packed.data, tile->packed.size, bytes, n, r->path, err);
    else if (tile->packed.size == n)
        memcpy(bytes, tile->packed.data, n);
    else
        status = bm_fail(err, BM_EDATA, "%s: a tile has the wrong size; the file is damaged", r->path);
    if (!status && shuffled)
        unshuffle(chunk, bytes, n / size, size);
    else if (!status)
        memcpy(chunk, bytes, n);
    free(bytes);
    return status;
}

static int file_decode(struct bm_source *src, struct bm_tile *tile, struct bm_error *err)
{
    const struct reader *r = (const struct reader *)src;
    const size_t size = bm_dtype_size(tile->dtype), wide = chunk_cols(&r->run), n = tile->rows * wide * size;
    struct bm_buf chunk = {0};
    int status;

    if (bm_crc32(0, tile->packed.data, tile->packed.size) != r->crcs[tile->index])
        return bm_fail(err, BM_EDATA,
                       "%s: run %s, tile %zu: the checksum differs; the file is damaged, build it again", r->path,
                       r->run.label, tile->index);
    if (tile->cols == wide)
        return unpack(r, tile, tile->data.data, n, err);
    if (bm_buf_resize(&chunk, n, err))
        return -1;
    status = unpack(r, tile, chunk.data, n, err);
    if (!status)
        narrow(tile, chunk.data, wide, size);
    bm_buf_free(&chunk);
    return status;
}

static void file_source_close(struct bm_source *src)
{
    struct reader *r = (struct reader *)src;
    struct bm_error ignored = {0};

    drop_run(r);
    if (r->file && bm_h5_close(r->file, &ignored))
        bm_h5_abandon(r->file);
    free(r->path);
    free(r);
}

struct bm_source *bm_seriesfile_source(const char *path, struct bm_error *err)
{
    struct reader *r = bm_calloc(1, sizeof *r, "series file", err);

    if (!r)
        return NULL;
    bm_run_init(&r->run);
    r->base = (struct bm_source){.next_run = file_next_run,
                                 .want = file_want,
                                 .next_tile = file_next_tile,
                                 .decode = file_decode,
                                 .close = file_source_close};
    r->path = bm_strdup(path, err);
    r->file = r->path ? bm_h5_open(path, err) : NULL;
    if (r->file && !bm_h5_has_attr(r->file, "boldmill"))
        (void)bm_fail(err, BM_EDATA, "%s: is HDF5, but not a series file of boldmill; make one with nifti2h5", path);
    else if (r->file && bm_h5_array_length(r->file, "/run_table", table_type.size, &r->nruns, err) == 0)
        return &r->base;
    file_source_close(&r->base);
    return NULL;
}

/* ---- writing ---- */

struct writer {
    struct bm_sink base;
    struct bm_commit *out;
    struct bm_h5 *file;
    struct bm_h5_tiles *tiles;
    struct bm_run first; /* the first run: all others must fit it */
    struct table_row *table;
    enum bm_dtype dtype; /* of the view of all runs */
    size_t runs;
    size_t wide; /* columns of a stored chunk */
    uint32_t *crcs;
    bool deflate;
};

static int put_attrs(struct writer *w, const struct bm_run *run, struct bm_error *err)
{
    const size_t three = 3, affine_shape[2] = {4, 4}, none = 0;
    double dims[3], affine[4][4] = {{0}};

    for (int k = 0; k < 3; k++) {
        dims[k] = (double)run->grid.dims[k];
        memcpy(affine[k], run->grid.affine[k], sizeof affine[k]);
    }
    affine[3][3] = 1.0;
    return bm_h5_put_attr_text(w->file, "boldmill", "series", err) ||
                   bm_h5_put_attr_reals(w->file, "schema", 0, &none, &(double){BM_SCHEMA}, err) ||
                   bm_h5_put_attr_reals(w->file, "dims", 1, &three, dims, err) ||
                   bm_h5_put_attr_reals(w->file, "affine", 2, affine_shape, affine[0], err) ||
                   bm_h5_put_attr_reals(w->file, "tr", 0, &none, &run->tr, err) ||
                   bm_h5_make_group(w->file, "/runs", err) ||
                   bm_h5_put_array(w->file, "/voxels", &voxel_type, run->cols, run->voxels, err)
               ? -1
               : 0;
}

static int check_fits(const struct writer *w, const struct bm_run *run, struct bm_error *err)
{
    if (w->runs == MAX_RUNS)
        return bm_fail(err, BM_EDATA, "%s: more than %d runs in one file; make several", bm_commit_path(w->out),
                       MAX_RUNS);
    return bm_run_fits(&w->first, run, bm_commit_path(w->out), err);
}

static int start_file(struct writer *w, const struct bm_run *run, struct bm_error *err)
{
    if (bm_run_copy(&w->first, run, err))
        return -1;
    w->dtype = run->dtype;
    w->file = bm_h5_create(bm_commit_temp(w->out), bm_commit_path(w->out), err);
    return w->file ? put_attrs(w, run, err) : -1;
}

static int add_table_row(struct writer *w, const struct bm_run *run, struct bm_error *err)
{
    struct table_row *table = bm_calloc(w->runs + 1, sizeof *table, "run table", err), *row;

    if (!table)
        return -1;
    if (w->runs)
        memcpy(table, w->table, w->runs * sizeof *table);
    row = &table[w->runs];
    *row = (struct table_row){.rows = (int64_t)run->rows,
                              .slope = run->slope,
                              .inter = run->inter,
                              .tr = run->tr,
                              .subject = run->subject,
                              .session = run->session,
                              .run = run->run};
    row->first_row = w->runs ? row[-1].first_row + row[-1].rows : 0;
    memcpy(row->label, run->label, strnlen(run->label, LABEL_BYTES - 1));
    free(w->table);
    w->table = table;
    return 0;
}

static int file_begin_run(struct bm_sink *sink, const struct bm_run *run, struct bm_error *err)
{
    struct writer *w = (struct writer *)sink;
    char name[64];

    if (bm_run_check(run, bm_commit_path(w->out), err))
        return -1;
    if (w->runs == 0 ? start_file(w, run, err) : check_fits(w, run, err))
        return -1;
    if (run->dtype != w->dtype)
        w->dtype = BM_F64;
    w->wide = chunk_cols(run);
    free(w->crcs);
    w->crcs = bm_calloc(bm_run_tiles(run), sizeof *w->crcs, "checksums", err);
    (void)snprintf(name, sizeof name, "/runs/%04zu", w->runs + 1);
    if (!w->crcs || bm_h5_make_group(w->file, name, err) || add_table_row(w, run, err))
        return -1;
    w->tiles = bm_h5_create_tiles(w->file, run_path(name, w->runs, "fmri"), run->dtype, run->rows, run->cols, w->wide,
                                  w->deflate, err);
    return w->tiles ? 0 : -1;
}

/* The tile's rows, padded with zeros to the chunk's width. */
static int widen(const struct bm_tile *tile, size_t wide, size_t size, struct bm_buf *out, struct bm_error *err)
{
    const unsigned char *from = tile->data.data;

    if (bm_buf_resize(out, tile->rows * wide * size, err))
        return -1;
    memset(out->data, 0, out->size);
    for (size_t t = 0; t < tile->rows; t++)
        memcpy((unsigned char *)out->data + t * wide * size, from + t * tile->cols * size, tile->cols * size);
    return 0;
}

/* Shuffles and deflates data[n] into tile->packed; stores shuffled bytes where they do not shrink. */
static int pack(struct bm_tile *tile, const unsigned char *data, size_t n, size_t size, struct bm_error *err)
{
    unsigned char *bytes = size > 1 ? bm_alloc(n, 1, "tile", err) : NULL;
    size_t out = 0;
    int status;

    if (size > 1 && !bytes)
        return -1;
    if (bytes)
        shuffle(bytes, data, n / size, size);
    status = bm_buf_resize(&tile->packed, n, err);
    if (!status)
        status = bm_deflate(bytes ? bytes : data, n, tile->packed.data, n, &out, err);
    if (status > 0) {
        memcpy(tile->packed.data, bytes ? bytes : data, n);
        tile->filter_mask = bytes ? 2 : 1;
        out = n;
        status = 0;
    }
    tile->packed.size = out;
    free(bytes);
    return status;
}

static int file_encode(struct bm_sink *sink, struct bm_tile *tile, struct bm_error *err)
{
    const struct writer *w = (const struct writer *)sink;
    const size_t size = bm_dtype_size(tile->dtype);
    const struct bm_buf *plain = &tile->data;
    struct bm_buf wide = {0};
    int status = 0;

    if (tile->cols < w->wide) {
        if (widen(tile, w->wide, size, &wide, err))
            return -1;
        plain = &wide;
    }
    tile->filter_mask = 0;
    if (w->deflate) {
        status = pack(tile, plain->data, plain->size, size, err);
    } else {
        tile->packed.size = 0;
        status = bm_buf_append(&tile->packed, plain->data, plain->size, err);
    }
    if (!status)
        tile->crc = bm_crc32(0, tile->packed.data, tile->packed.size);
    bm_buf_free(&wide);
    return status;
}

static int file_put_tile(struct bm_sink *sink, struct bm_tile *tile, struct bm_error *err)
{
    struct writer *w = (struct writer *)sink;

    w->crcs[tile->index] = tile->crc;
    return bm_h5_write_tile(w->tiles, tile->first, tile->filter_mask, tile->packed.data, tile->packed.size, err);
}

/* Writes a text as a byte array and frees it; NULL text is the failure of whoever made it. */
static int put_text(struct writer *w, const char *what, char *text, struct bm_error *err)
{
    char name[64];
    int status = -1;

    if (text)
        status = bm_h5_put_array(w->file, run_path(name, w->runs, what), &byte_type, strlen(text), text, err);
    free(text);
    return status;
}

static int put_meta(struct writer *w, const char *name, const struct bm_rows *meta, struct bm_error *err)
{
    struct bm_h5_field fields[META_FIELDS];
    struct bm_h5_record type = meta_record(meta->history, fields);

    return meta->history ? bm_h5_put_array(w->file, name, &type, meta->n, meta->data, err) : 0;
}

/* All runs' metadata, one after the other, for the view at /metadata. */
static int keep_meta(struct writer *w, const struct bm_run *run, struct bm_error *err)
{
    struct bm_rows *all = &w->first.meta;
    const size_t size = bm_row_size(all->history);
    struct bm_buf joined = {0};

    if (!run->meta.history || w->runs == 0)
        return 0;
    if (bm_buf_append(&joined, all->data, all->n * size, err) ||
        bm_buf_append(&joined, run->meta.data, run->meta.n * size, err)) {
        bm_buf_free(&joined);
        return -1;
    }
    free(all->data);
    all->data = joined.data;
    all->n += run->meta.n;
    return 0;
}

static int file_end_run(struct bm_sink *sink, const struct bm_run *run, struct bm_error *err)
{
    struct writer *w = (struct writer *)sink;
    char name[64];

    bm_h5_close_tiles(w->tiles);
    w->tiles = NULL;
    if (put_text(w, "header", bm_runjson_header(run, err), err) ||
        put_text(w, "footer", bm_runjson_footer(run, err), err) ||
        put_meta(w, run_path(name, w->runs, "metadata"), &run->meta, err) || keep_meta(w, run, err) ||
        bm_h5_put_array(w->file, run_path(name, w->runs, "tile_crc32"), &crc_type, bm_run_tiles(run), w->crcs, err))
        return -1;
    w->runs++;
    bm_commit_flush_hint(w->out);
    return 0;
}

static int put_view(struct writer *w, struct bm_error *err)
{
    char **names = bm_calloc(w->runs, sizeof *names, "run names", err);
    size_t *rows = bm_calloc(w->runs, sizeof *rows, "run rows", err);
    int status = names && rows ? 0 : -1;

    for (size_t i = 0; i < w->runs && !status; i++) {
        rows[i] = (size_t)w->table[i].rows;
        names[i] = bm_format(err, "/runs/%04zu/fmri", i + 1);
        status = names[i] ? 0 : -1;
    }
    if (!status)
        status = bm_h5_put_virtual(w->file, "/fmri", w->dtype, w->first.cols, w->runs, names, rows, err);
    for (size_t i = 0; names && i < w->runs; i++)
        free(names[i]);
    free(names);
    free(rows);
    return status;
}

/* Opens what was written as a reader would, and looks at every structure and at the presence of every tile. */
static int verify_structure(const char *path, size_t runs, struct bm_error *err)
{
    struct bm_source *src = bm_seriesfile_source(path, err);
    struct reader *r = (struct reader *)src;
    const struct bm_run *run;
    size_t n = 0;
    int got = src ? 1 : -1;

    while (got > 0 && (got = file_next_run(src, &run, err)) > 0) {
        n++;
        for (size_t i = 0; i < bm_run_tiles(run) && got > 0; i++) {
            if (bm_h5_tile_stored(r->tiles, i * run->tile_cols) == 0)
                got = bm_fail(err, BM_ESYS, "%s: a tile did not reach the file; run again", path);
        }
    }
    if (got == 0 && n != runs)
        got = bm_fail(err, BM_ESYS, "%s: %zu of %zu runs reached the file; run again", path, n, runs);
    if (src)
        file_source_close(src);
    return got;
}

static int file_finish(struct bm_sink *sink, struct bm_error *err)
{
    struct writer *w = (struct writer *)sink;
    struct bm_commit *out = w->out;
    struct bm_h5 *file = w->file;

    if (w->runs == 0)
        return bm_fail(err, BM_EDATA, "%s: there is no run to write; check the input", bm_commit_path(w->out));
    if (bm_h5_put_array(file, "/run_table", &table_type, w->runs, w->table, err) ||
        put_meta(w, "/metadata", &w->first.meta, err) || put_view(w, err) || bm_h5_close(file, err))
        return -1;
    w->file = NULL;
    if (verify_structure(bm_commit_temp(out), w->runs, err))
        return -1;
    w->out = NULL;
    return bm_commit_done(out, err);
}

static void file_sink_close(struct bm_sink *sink)
{
    struct writer *w = (struct writer *)sink;

    if (w->tiles)
        free(w->tiles); /* after a failure HDF5 must not be asked to write anything more */
    bm_h5_abandon(w->file);
    bm_commit_drop(w->out);
    bm_run_clear(&w->first);
    free(w->table);
    free(w->crcs);
    free(w);
}

struct bm_sink *bm_seriesfile_sink(const char *path, bool deflate, struct bm_error *err)
{
    struct writer *w = bm_calloc(1, sizeof *w, "series file", err);

    if (!w)
        return NULL;
    bm_run_init(&w->first);
    w->deflate = deflate;
    w->base = (struct bm_sink){.begin_run = file_begin_run,
                               .encode = file_encode,
                               .put_tile = file_put_tile,
                               .end_run = file_end_run,
                               .finish = file_finish,
                               .close = file_sink_close};
    w->out = bm_commit_open(path, err);
    if (w->out && bm_commit_direct(w->out))
        (void)bm_fail(err, BM_EUSAGE, "%s: a series file must be a regular file; use \"-\" for a pipe", path);
    else if (w->out)
        return &w->base;
    file_sink_close(&w->base);
    return NULL;
}
