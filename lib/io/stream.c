#include "io/stream.h"

#include "io/commit.h"
#include "io/inputs.h"
#include "io/jsonmem.h"
#include "io/npy.h"
#include "io/runjson.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A record is a JSON text in a uint8 array; no header of ours comes near this size. */
#define MAX_RECORD (64u << 20)

/* ---- reading ---- */

struct reader {
    struct bm_source base;
    struct bm_bytes *in;
    struct bm_run run;
    struct bm_buf text;
    const bool *want;
    size_t next_tile;
    size_t runs;
    bool in_run, ended;
    uint32_t crc, crc_before; /* of everything read; of everything before the current array */
};

static int damaged(struct reader *r, const char *what, struct bm_error *err)
{
    return bm_fail(err, BM_EDATA, "%s: %s; the stream is damaged or its writer failed, see its message",
                   bm_bytes_name(r->in), what);
}

/* Reads exactly n bytes and adds them to the CRC. */
static int read_exact(struct reader *r, void *buf, size_t n, struct bm_error *err)
{
    long long got = bm_bytes_read(r->in, buf, n, err);

    if (got < 0)
        return -1;
    if ((size_t)got != n)
        return damaged(r, "ends without its end record", err);
    r->crc = bm_crc32(r->crc, buf, n);
    return 0;
}

/* The next array's header. Its bytes are peeked first so that they enter the CRC as they stand. */
static int array_header(struct reader *r, struct bm_npy_header *h, struct bm_error *err)
{
    size_t got, n;
    const unsigned char *p = bm_bytes_peek(r->in, 10, &got, err);

    if (!p)
        return -1;
    if (got < 10)
        return damaged(r, "ends without its end record", err);
    n = 10u + p[8] + 256u * p[9];
    p = bm_bytes_peek(r->in, n < 65536 ? n : 65536, &got, err);
    if (!p)
        return -1;
    if (got != n)
        return damaged(r, "ends within an array header", err);
    r->crc_before = r->crc;
    r->crc = bm_crc32(r->crc, p, n);
    return bm_npy_read_header(r->in, h, err) < 0 ? -1 : 0;
}

/* Reads an array of known type and shape into buf (n bytes in all). */
static int read_array(struct reader *r, const char *descr, size_t ndim, const size_t *shape, void *buf, size_t n,
                      const char *what, struct bm_error *err)
{
    struct bm_npy_header h;

    if (array_header(r, &h, err))
        return -1;
    if (strcmp(h.descr, descr) != 0 || h.ndim != ndim || memcmp(h.shape, shape, ndim * sizeof *shape) != 0 ||
        h.fortran_order)
        return damaged(r, what, err);
    return read_exact(r, buf, n, err);
}

/* Reads a JSON record into r->text. The text grows as bytes arrive, so a header's claim alone allocates little. */
static int read_record(struct reader *r, struct bm_error *err)
{
    struct bm_npy_header h;
    char piece[16384];

    if (array_header(r, &h, err))
        return -1;
    if (strcmp(h.descr, "|u1") != 0 || h.ndim != 1 || h.shape[0] > MAX_RECORD || h.fortran_order)
        return damaged(r, "a record was expected where other data stand", err);
    r->text.size = 0;
    for (size_t left = h.shape[0]; left;) {
        size_t n = left < sizeof piece ? left : sizeof piece;

        if (read_exact(r, piece, n, err) || bm_buf_append(&r->text, piece, n, err))
            return -1;
        left -= n;
    }
    return 0;
}

/* Arrays whose size a header claims are read in pieces too: memory follows the bytes that really came. */
static int read_claimed(struct reader *r, const char *descr, size_t items, size_t itemsize, struct bm_buf *out,
                        const char *what, struct bm_error *err)
{
    struct bm_npy_header h;
    size_t left;

    if (array_header(r, &h, err) || bm_mul(items, itemsize, &left, what, err))
        return -1;
    if (strcmp(h.descr, descr) != 0 || h.ndim != 1 || h.shape[0] != items || h.fortran_order)
        return damaged(r, what, err);
    out->size = 0;
    while (left) {
        char piece[65536];
        size_t n = left < sizeof piece ? left : sizeof piece;

        if (read_exact(r, piece, n, err) || bm_buf_append(out, piece, n, err))
            return -1;
        left -= n;
    }
    return 0;
}

static int read_end(struct reader *r, struct bm_error *err)
{
    json_t *end = bm_json_load(r->text.data, r->text.size, 0, bm_bytes_name(r->in), NULL, err);
    const char *crc = json_string_value(json_object_get(end, "crc32"));
    json_t *runs = json_object_get(end, "runs");
    char mine[16];
    bool good;
    uint64_t left;

    (void)snprintf(mine, sizeof mine, "%08x", (unsigned)r->crc_before);
    good = crc && !strcmp(crc, mine) && json_is_integer(runs) && (size_t)json_integer_value(runs) == r->runs;
    json_decref(end);
    if (!good)
        return damaged(r, "the checksum of the end record differs", err);
    if (bm_bytes_finish_within(r->in, 0, &left, err))
        return -1;
    if (left)
        return damaged(r, "data follow the end record", err);
    r->ended = true;
    return 0;
}

/* A file must be long enough for the samples that the header claims, before room is made for them. */
static int check_length(struct reader *r, struct bm_error *err)
{
    size_t bytes;

    return bm_mul(r->run.rows * bm_dtype_size(r->run.dtype), r->run.cols, &bytes, bm_bytes_name(r->in), err) ||
                   (!bm_bytes_may_hold(r->in, bytes) &&
                    damaged(r, "is too short for the samples that a run's header claims", err))
               ? -1
               : 0;
}

static int read_run(struct reader *r, struct bm_error *err)
{
    const char *name = bm_bytes_name(r->in);
    struct bm_buf buf = {0};
    char descr[512];

    if (bm_runjson_parse_header(r->text.data, r->text.size, name, &r->run, err))
        return -1;
    if (read_claimed(r, "<i8", r->run.cols, 8, &buf, "the voxel list does not fit its header", err))
        goto fail;
    r->run.voxels = buf.data;
    memset(&buf, 0, sizeof buf);
    if (r->run.meta.history) {
        if (read_claimed(r, bm_meta_descr(r->run.meta.history, descr, sizeof descr), r->run.rows,
                         bm_row_size(r->run.meta.history), &buf, "the metadata do not fit their header", err))
            goto fail;
        r->run.meta.data = buf.data;
        memset(&buf, 0, sizeof buf);
    }
    if (bm_run_check(&r->run, name, err) || check_length(r, err))
        goto fail;
    r->runs++;
    r->next_tile = 0;
    r->in_run = true;
    return 1;
fail:
    bm_buf_free(&buf);
    bm_run_clear(&r->run);
    return -1;
}

static int stream_next_run(struct bm_source *src, const struct bm_run **run, struct bm_error *err)
{
    struct reader *r = (struct reader *)src;
    char kind[16];

    if (r->ended)
        return 0;
    bm_run_clear(&r->run);
    r->want = NULL;
    if (read_record(r, err))
        return -1;
    if (bm_runjson_kind(r->text.data, r->text.size, bm_bytes_name(r->in), kind, err))
        return -1;
    *run = &r->run;
    if (!strcmp(kind, "run"))
        return read_run(r, err);
    if (!strcmp(kind, "end"))
        return read_end(r, err);
    return damaged(r, "a record of unknown kind", err);
}

static void stream_want(struct bm_source *src, const bool *want)
{
    ((struct reader *)src)->want = want;
}

static int end_run(struct reader *r, struct bm_error *err)
{
    r->in_run = false;
    if (read_record(r, err))
        return -1;
    return bm_runjson_parse_footer(r->text.data, r->text.size, bm_bytes_name(r->in), &r->run, err);
}

static int stream_next_tile(struct bm_source *src, struct bm_tile *tile, struct bm_error *err)
{
    struct reader *r = (struct reader *)src;
    bool wanted = false;

    while (r->in_run && !wanted) {
        size_t index = r->next_tile++, shape[2];

        if (index == bm_run_tiles(&r->run))
            return end_run(r, err);
        if (bm_tile_shape(tile, &r->run, index, err))
            return -1;
        shape[0] = tile->rows;
        shape[1] = tile->cols;
        if (read_array(r, bm_dtype_descr(r->run.dtype), 2, shape, tile->data.data, tile->data.size,
                       "a tile does not fit the run's header", err))
            return -1;
        wanted = !r->want || r->want[index];
    }
    return wanted;
}

static void stream_close(struct bm_source *src)
{
    struct reader *r = (struct reader *)src;

    bm_bytes_close(r->in);
    bm_run_clear(&r->run);
    bm_buf_free(&r->text);
    free(r);
}

struct bm_source *bm_stream_source(struct bm_bytes *in, struct bm_error *err)
{
    struct reader *r = bm_calloc(1, sizeof *r, "stream", err);

    if (!r) {
        bm_bytes_close(in);
        return NULL;
    }
    r->in = in;
    bm_run_init(&r->run);
    r->base = (struct bm_source){
        .next_run = stream_next_run, .want = stream_want, .next_tile = stream_next_tile, .close = stream_close};
    return &r->base;
}

/* ---- writing ---- */

struct writer {
    struct bm_sink base;
    struct bm_commit *out;
    struct bm_buf header;
    size_t runs;
    uint32_t crc;
};

static int put(struct writer *w, const void *data, size_t n, struct bm_error *err)
{
    w->crc = bm_crc32(w->crc, data, n);
    return bm_commit_write(w->out, data, n, err);
}

static int put_array(struct writer *w, const char *descr, bool structured, size_t ndim, const size_t *shape,
                     const void *data, size_t n, struct bm_error *err)
{
    if (bm_npy_format_header(&w->header, descr, structured, ndim, shape, 64, err))
        return -1;
    return put(w, w->header.data, w->header.size, err) || put(w, data, n, err) ? -1 : 0;
}

/* Writes a JSON record and frees its text; NULL text is the failure of whoever made it. */
static int put_record(struct writer *w, char *text, struct bm_error *err)
{
    size_t n = text ? strlen(text) : 0;
    int status = text ? put_array(w, "|u1", false, 1, &n, text, n, err) : -1;

    free(text);
    return status;
}

static int stream_begin_run(struct bm_sink *sink, const struct bm_run *run, struct bm_error *err)
{
    struct writer *w = (struct writer *)sink;
    char descr[512];

    if (bm_run_check(run, bm_commit_name(w->out), err) || put_record(w, bm_runjson_header(run, err), err) ||
        put_array(w, "<i8", false, 1, &run->cols, run->voxels, 8 * run->cols, err))
        return -1;
    w->runs++;
    if (!run->meta.history)
        return 0;
    return put_array(w, bm_meta_descr(run->meta.history, descr, sizeof descr), true, 1, &run->rows, run->meta.data,
                     run->rows * bm_row_size(run->meta.history), err);
}

static int stream_put_tile(struct bm_sink *sink, struct bm_tile *tile, struct bm_error *err)
{
    size_t shape[2] = {tile->rows, tile->cols};

    return put_array((struct writer *)sink, bm_dtype_descr(tile->dtype), false, 2, shape, tile->data.data,
                     tile->data.size, err);
}

static int stream_end_run(struct bm_sink *sink, const struct bm_run *run, struct bm_error *err)
{
    return put_record((struct writer *)sink, bm_runjson_footer(run, err), err);
}

/* Whoever reads the stream from a pipe acts on its end record: the inputs are looked at before it is written. */
static int stream_finish(struct bm_sink *sink, struct bm_error *err)
{
    struct writer *w = (struct writer *)sink;
    char *end = bm_inputs_check(err)
                    ? NULL
                    : bm_format(err, "{\"boldmill\":\"end\",\"schema\":%d,\"runs\":%zu,\"crc32\":\"%08x\"}",
                                BM_SCHEMA, w->runs, (unsigned)w->crc);
    struct bm_commit *out = w->out;

    if (put_record(w, end, err))
        return -1;
    w->out = NULL;
    return bm_commit_done(out, err);
}

static void stream_sink_close(struct bm_sink *sink)
{
    struct writer *w = (struct writer *)sink;

    bm_commit_drop(w->out);
    bm_buf_free(&w->header);
    free(w);
}

struct bm_sink *bm_stream_sink(const char *path, struct bm_error *err)
{
    struct writer *w = bm_calloc(1, sizeof *w, "stream", err);

    if (!w)
        return NULL;
    w->base = (struct bm_sink){.begin_run = stream_begin_run,
                               .put_tile = stream_put_tile,
                               .end_run = stream_end_run,
                               .finish = stream_finish,
                               .close = stream_sink_close};
    w->out = bm_commit_open(path, err);
#ifdef F_SETPIPE_SZ
    if (w->out && bm_commit_direct(w->out)) /* a tile at a time, not 64 KiB; where it is no pipe this does nothing */
        (void)fcntl(bm_commit_fd(w->out), F_SETPIPE_SZ, 1 << 20);
#endif
    if (w->out)
        return &w->base;
    free(w);
    return NULL;
}
