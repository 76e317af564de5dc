#include "core/vector.h"
#include "io/bytes.h"
#include "io/commit.h"
#include "io/hdf5.h"
#include "io/runjson.h"
#include "io/seriesfile.h"
#include "io/seriesfile_layout.h"
#include "io/seriesfile_seal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Byte shuffle as HDF5's filter does it: all first bytes, then all second bytes, ... */
BM_VECTOR static void shuffle2(unsigned char *restrict dst, const unsigned char *restrict src, size_t n)
{
    unsigned char *low = dst, *high = dst + n;

    for (size_t i = 0; i < n; i++) {
        low[i] = src[2 * i];
        high[i] = src[2 * i + 1];
    }
}

static void shuffle(unsigned char *dst, const unsigned char *src, size_t n, size_t size)
{
    if (size == 2) {
        shuffle2(dst, src, n);
        return;
    }
    for (size_t b = 0; b < size; b++) {
        unsigned char *to = dst + b * n;

        for (size_t i = 0; i < n; i++)
            to[i] = src[i * size + b];
    }
}

struct writer {
    struct bm_sink base;
    struct bm_commit *out;
    struct bm_h5 *file;
    struct bm_h5_tiles *tiles;
    struct bm_run first; /* the first run: all others must fit it */
    struct bm_series_row *table;
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
                   bm_h5_put_array(w->file, "/voxels", &bm_series_voxel, run->cols, run->voxels, err)
               ? -1
               : 0;
}

static int check_fits(const struct writer *w, const struct bm_run *run, struct bm_error *err)
{
    if (w->runs == BM_SERIES_MAX_RUNS)
        return bm_fail(err, BM_EDATA, "%s: more than %d runs in one file; make several", bm_commit_name(w->out),
                       BM_SERIES_MAX_RUNS);
    return bm_run_fits(&w->first, run, bm_commit_name(w->out), err);
}

static int start_file(struct writer *w, const struct bm_run *run, struct bm_error *err)
{
    if (bm_run_copy(&w->first, run, err))
        return -1;
    w->dtype = run->dtype;
    w->file = bm_h5_create(bm_commit_temp(w->out), bm_commit_name(w->out), err);
    return w->file ? put_attrs(w, run, err) : -1;
}

static int add_table_row(struct writer *w, const struct bm_run *run, struct bm_error *err)
{
    struct bm_series_row *table = bm_calloc(w->runs + 1, sizeof *table, "run table", err), *row;

    if (!table)
        return -1;
    if (w->runs)
        memcpy(table, w->table, w->runs * sizeof *table);
    row = &table[w->runs];
    *row = (struct bm_series_row){.rows = (int64_t)run->rows,
                                  .slope = run->slope,
                                  .inter = run->inter,
                                  .tr = run->tr,
                                  .subject = run->subject,
                                  .session = run->session,
                                  .run = run->run};
    row->first_row = w->runs ? row[-1].first_row + row[-1].rows : 0;
    memcpy(row->label, run->label, strnlen(run->label, BM_SERIES_LABEL - 1));
    free(w->table);
    w->table = table;
    return 0;
}

static int file_begin_run(struct bm_sink *sink, const struct bm_run *run, struct bm_error *err)
{
    struct writer *w = (struct writer *)sink;
    char name[64];

    if (bm_run_check(run, bm_commit_name(w->out), err))
        return -1;
    if (w->runs == 0 ? start_file(w, run, err) : check_fits(w, run, err))
        return -1;
    if (run->dtype != w->dtype)
        w->dtype = BM_F64;
    w->wide = bm_series_chunk_cols(run);
    free(w->crcs);
    w->crcs = bm_calloc(bm_run_tiles(run), sizeof *w->crcs, "checksums", err);
    (void)snprintf(name, sizeof name, "/runs/%04zu", w->runs + 1);
    if (!w->crcs || bm_h5_make_group(w->file, name, err) || add_table_row(w, run, err))
        return -1;
    w->tiles = bm_h5_create_tiles(w->file, bm_series_path(name, w->runs, "fmri"), run->dtype, run->rows, run->cols,
                                  w->wide, w->deflate, err);
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
        status =
            bm_h5_put_array(w->file, bm_series_path(name, w->runs, what), &bm_series_byte, strlen(text), text, err);
    free(text);
    return status;
}

static int put_meta(struct writer *w, const char *name, const struct bm_rows *meta, struct bm_error *err)
{
    struct bm_h5_field fields[BM_SERIES_META];
    struct bm_h5_record type = bm_series_meta(meta->history, fields);

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
        put_meta(w, bm_series_path(name, w->runs, "metadata"), &run->meta, err) || keep_meta(w, run, err) ||
        bm_h5_put_array(w->file, bm_series_path(name, w->runs, "tile_crc32"), &bm_series_crc, bm_run_tiles(run),
                        w->crcs, err))
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

/* What HDF5 has written, and seals it. */
static int read_again(struct writer *w, struct bm_error *err)
{
    struct bm_buf tiles = {0};
    int status = bm_seriesfile_check(bm_commit_temp(w->out), bm_commit_name(w->out), w->runs, &tiles, err);

    if (!status)
        status =
            bm_series_seal(w->out, (struct bm_series_part *)tiles.data, tiles.size / sizeof(struct bm_series_part),
                           w->base.threads > 1 ? w->base.threads : 1, err);
    bm_buf_free(&tiles);
    return status;
}

static int file_finish(struct bm_sink *sink, struct bm_error *err)
{
    struct writer *w = (struct writer *)sink;
    struct bm_commit *out = w->out;
    struct bm_h5 *file = w->file;

    if (w->runs == 0)
        return bm_fail(err, BM_EDATA, "%s: there is no run to write; check the input", bm_commit_name(w->out));
    if (bm_h5_put_array(file, "/run_table", &bm_series_table, w->runs, w->table, err) ||
        put_meta(w, "/metadata", &w->first.meta, err) || put_view(w, err) || bm_h5_close(file, err))
        return -1;
    w->file = NULL;
    if (read_again(w, err))
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
