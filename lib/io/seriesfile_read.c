#include "core/vector.h"
#include "io/bytes.h"
#include "io/hdf5.h"
#include "io/runjson.h"
#include "io/seriesfile.h"
#include "io/seriesfile_layout.h"
#include "io/seriesfile_seal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Undoes byte shuffle: all first bytes, then all second bytes, ... become samples again. */
BM_VECTOR static void unshuffle2(unsigned char *restrict dst, const unsigned char *restrict src, size_t n)
{
    const unsigned char *low = src, *high = src + n;

    for (size_t i = 0; i < n; i++) {
        dst[2 * i] = low[i];
        dst[2 * i + 1] = high[i];
    }
}

static void unshuffle(unsigned char *dst, const unsigned char *src, size_t n, size_t size)
{
    if (size == 2) {
        unshuffle2(dst, src, n);
        return;
    }
    for (size_t b = 0; b < size; b++) {
        const unsigned char *from = src + b * n;

        for (size_t i = 0; i < n; i++)
            dst[i * size + b] = from[i];
    }
}

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
    if (text && bm_h5_get_array(r->file, name, &bm_series_byte, *n, text, err) == 0)
        return text;
    free(text);
    return NULL;
}

static int read_header(struct reader *r, struct bm_error *err)
{
    char name[64];
    size_t n;
    char *text = read_text(r, bm_series_path(name, r->next_run, "header"), &n, err);
    int status = text ? bm_runjson_parse_header(text, n, r->path, &r->run, err) : -1;

    free(text);
    if (status)
        return -1;
    text = read_text(r, bm_series_path(name, r->next_run, "footer"), &n, err);
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
    return r->run.voxels ? bm_h5_get_array(r->file, "/voxels", &bm_series_voxel, n, r->run.voxels, err) : -1;
}

static int read_meta(struct reader *r, struct bm_error *err)
{
    struct bm_h5_field fields[BM_SERIES_META];
    struct bm_h5_record type = bm_series_meta(r->run.meta.history, fields);
    char name[64];
    size_t n = 0;

    if (!r->run.meta.history)
        return 0;
    (void)bm_series_path(name, r->next_run, "metadata");
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

    r->tiles = bm_h5_open_tiles(r->file, bm_series_path(name, r->next_run, "fmri"), r->run.dtype, r->run.rows,
                                r->run.cols, bm_series_chunk_cols(&r->run), &r->deflate, err);
    if (!r->tiles || bm_h5_array_length(r->file, bm_series_path(name, r->next_run, "tile_crc32"), 4, &have, err))
        return -1;
    if (have != n)
        return bm_fail(err, BM_EDATA, "%s: run %s has %zu tile checksums for %zu tiles", r->path, r->run.label, have,
                       n);
    r->crcs = bm_alloc(n, sizeof *r->crcs, "checksums", err);
    return r->crcs ? bm_h5_get_array(r->file, name, &bm_series_crc, n, r->crcs, err) : -1;
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
    size_t plain = r->run.rows * bm_series_chunk_cols(&r->run) * bm_dtype_size(r->run.dtype);

    while (r->want && r->next_tile < bm_run_tiles(&r->run) && !r->want[r->next_tile])
        r->next_tile++;
    if (r->next_tile == bm_run_tiles(&r->run))
        return 0;
    if (bm_h5_read_tile(r->tiles, r->next_tile * r->run.tile_cols, bm_deflate_bound(plain), &tile->filter_mask,
                        &tile->packed, err))
        return -1;
    if (plain / BM_DEFLATE_MAX_RATIO > tile->packed.size) /* before room is made for it */
        return bm_fail(err, BM_EDATA, "%s: run %s, tile %zu: has too few bytes for its samples; the file is damaged",
                       r->path, r->run.label, r->next_tile);
    return bm_tile_shape(tile, &r->run, r->next_tile++, err) ? -1 : 1;
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
    const size_t size = bm_dtype_size(tile->dtype), wide = bm_series_chunk_cols(&r->run),
                 n = tile->rows * wide * size;
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

static struct bm_source *open_as(const char *path, const char *shown_as, struct bm_error *err)
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
    r->path = bm_strdup(shown_as, err);
    r->file = r->path ? bm_h5_open(path, shown_as, err) : NULL;
    if (r->file && !bm_h5_has_attr(r->file, "boldmill"))
        (void)bm_fail(err, BM_EDATA, "%s: is HDF5, but not a series file of boldmill; make one with nifti2h5",
                      shown_as);
    else if (r->file && bm_h5_array_length(r->file, "/run_table", bm_series_table.size, &r->nruns, err) == 0)
        return &r->base;
    file_source_close(&r->base);
    return NULL;
}

struct bm_source *bm_seriesfile_source(const char *path, struct bm_error *err)
{
    return open_as(path, path, err);
}

struct bm_source *bm_seriesfile_reopen(const char *path, struct bm_bytes *in, struct bm_error *err)
{
    const bool file = strcmp(path, "-") != 0 && bm_bytes_raw_size(in) >= 0, good = file && !bm_bytes_gzip(in);

    if (!good)
        (void)bm_fail(err, BM_EDATA,
                      file ? "%s: HDF5 cannot be read gzipped; gunzip the file"
                           : "%s: HDF5 cannot be read from a pipe; name the file",
                      bm_bytes_name(in));
    bm_bytes_close(in);
    return good ? bm_seriesfile_source(path, err) : NULL;
}

/* ---- what was written ---- */

/* What the runs say of the whole file. */
struct all {
    size_t runs, rows, history;
};

static int check_table(struct reader *r, const struct all *all, struct bm_error *err)
{
    struct bm_series_row *table = bm_alloc(all->runs, sizeof *table, "run table", err);
    int status = table ? bm_h5_get_array(r->file, "/run_table", &bm_series_table, all->runs, table, err) : -1;
    int64_t rows = 0;

    for (size_t i = 0; i < all->runs && !status && table[i].first_row == rows; i++)
        rows += table[i].rows;
    if (!status && rows != (int64_t)all->rows)
        status = bm_fail(err, BM_EDATA, "%s: /run_table does not fit the runs; the file is damaged", r->path);
    free(table);
    return status;
}

static int check_meta(struct reader *r, const struct all *all, struct bm_error *err)
{
    struct bm_h5_field fields[BM_SERIES_META];
    const struct bm_h5_record type = bm_series_meta(all->history, fields);
    void *rows = all->history ? bm_alloc(all->rows, type.size, "metadata", err) : NULL;
    int status = all->history && !rows ? -1 : 0;

    if (rows)
        status = bm_h5_get_array(r->file, "/metadata", &type, all->rows, rows, err);
    free(rows);
    return status;
}

static int add_tiles(const struct reader *r, struct bm_buf *tiles, struct bm_error *err)
{
    for (size_t i = 0; i < bm_run_tiles(&r->run); i++) {
        struct bm_series_part part = {.crc = r->crcs[i]};

        if (bm_h5_tile_place(r->tiles, i * r->run.tile_cols, &part.at, &part.size, err) ||
            bm_buf_append(tiles, &part, sizeof part, err))
            return -1;
    }
    return 0;
}

int bm_seriesfile_check(const char *path, const char *shown_as, size_t runs, struct bm_buf *tiles,
                        struct bm_error *err)
{
    struct bm_source *src = open_as(path, shown_as, err);
    struct reader *r = (struct reader *)src;
    const struct bm_run *run;
    struct all all = {0};
    int got = src ? 1 : -1;

    while (got > 0 && (got = file_next_run(src, &run, err)) > 0) {
        all.runs++;
        all.rows += run->rows;
        all.history = run->meta.history;
        if (add_tiles(r, tiles, err))
            got = -1;
    }
    if (got == 0 && all.runs != runs)
        got = bm_fail(err, BM_ESYS, "%s: %zu of %zu runs reached the file; run again", shown_as, all.runs, runs);
    if (got == 0 && (check_table(r, &all, err) || check_meta(r, &all, err)))
        got = -1;
    if (src)
        file_source_close(src);
    return got;
}
