#include "io/rowsfile.h"

#include "core/parse.h"
#include "io/npy.h"
#include "io/runjson.h"
#include "io/sealed.h"

#include <stdlib.h>
#include <string.h>

#define MAX_HISTORY 1024
#define MAX_JSON ((size_t)64 << 20) /* as much as boldinfo reads */
#ifdef BM_SMALL_BUFFERS
#define BLOCK ((size_t)256)
#else
#define BLOCK ((size_t)1 << 20)
#endif

/* Appends up to n bytes in blocks, so that memory follows what is there and not what a header claims. */
static int read_up_to(struct bm_bytes *in, size_t n, struct bm_buf *buf, struct bm_error *err)
{
    unsigned char *block = bm_alloc(BLOCK, 1, "buffer", err);
    int status = block ? 0 : -1;
    while (status == 0 && buf->size < n) {
        size_t want = n - buf->size < BLOCK ? n - buf->size : BLOCK;
        long long got = bm_bytes_read(in, block, want, err);
        status = got < 0 ? -1 : bm_buf_append(buf, block, (size_t)got, err);
        if (got >= 0 && (size_t)got < want)
            break;
    }
    free(block);
    return status;
}

/* The H of the metadata layout, or 0 where the array has another one. */
static size_t history_of(const struct bm_npy_header *h)
{
    static const char start[] = "[('stimulus_history', '<i4', (";
    char expected[512];
    int64_t history;
    const char *digits = h->descr + sizeof start - 1;
    if (!h->structured || h->ndim != 1 || strncmp(h->descr, start, sizeof start - 1) != 0)
        return 0;
    if (!bm_parse_int_n(digits, strspn(digits, "0123456789"), 1, MAX_HISTORY, &history))
        return 0;
    return strcmp(h->descr, bm_meta_descr((size_t)history, expected, sizeof expected)) == 0 ? (size_t)history : 0;
}

int bm_rowsfile_read_meta(struct bm_bytes *in, struct bm_rows *meta, struct bm_error *err)
{
    const char *name = bm_bytes_name(in);
    struct bm_npy_header h;
    struct bm_buf buf = {0};
    size_t bytes;
    uint64_t left = 0;
    if (bm_npy_read_header(in, &h, err) < 0)
        return -1;
    size_t history = history_of(&h);
    if (history == 0)
        return bm_fail(err, BM_EDATA,
                       "%s: is not an array of metadata rows; give the NAME.meta.npy that concat wrote", name);
    if (bm_mul(h.shape[0], bm_row_size(history), &bytes, "metadata", err) < 0)
        return -1;
    int status = read_up_to(in, bytes, &buf, err);
    if (status == 0 && buf.size < bytes)
        status = bm_fail(err, BM_EDATA, "%s: ends after %zu of %zu rows; make it again", name,
                         buf.size / bm_row_size(history), h.shape[0]);
    if (status == 0)
        status = bm_bytes_finish_within(in, 0, &left, err);
    if (status == 0 && left > 0)
        status = bm_fail(err, BM_EDATA, "%s: has bytes after its last row; make it again", name);
    if (status < 0) {
        bm_buf_free(&buf);
        return -1;
    }
    *meta = (struct bm_rows){history, h.shape[0], buf.data};
    return 0;
}

/* Member `key` of a run as an integer of 0..hi, or -1. */
static json_int_t member(const json_t *object, const char *key, json_int_t hi)
{
    const json_t *value = json_object_get(object, key);
    json_int_t v = json_integer_value(value);
    return json_is_integer(value) && v >= 0 && v <= hi ? v : -1;
}

static int take_run(struct bm_rowsfile *f, json_int_t subject, const json_t *entry, json_int_t *next,
                    const char *name, struct bm_error *err)
{
    json_int_t session = member(entry, "session", INT16_MAX), run = member(entry, "run", INT16_MAX);
    json_int_t first = member(entry, "first_row", INT64_MAX / 2), rows = member(entry, "rows", INT64_MAX / 2 - *next);
    if (session < 0 || run < 0 || rows < 0 || first != *next)
        return bm_fail(err, BM_EDATA,
                       "%s: entry %zu of \"runs\" needs session, run, rows and a first_row of %lld; make it again",
                       name, f->nruns, (long long)*next);
    f->runs[f->nruns++] = (struct bm_run_rows){(int)subject, (int)session, (int)run, (size_t)rows};
    *next += rows;
    return 0;
}

static int take_runs(struct bm_rowsfile *f, const json_t *root, const char *name, struct bm_error *err)
{
    const json_t *runs = json_object_get(root, "runs");
    const char *kind = json_string_value(json_object_get(root, "boldmill"));
    json_int_t subject = member(root, "subject", INT16_MAX), next = 0;
    if (!kind || strcmp(kind, "arrays") != 0 || !json_is_array(runs))
        return bm_fail(err, BM_EDATA, "%s: does not describe arrays; give the NAME.json that concat wrote", name);
    if (member(root, "schema", INT16_MAX) != BM_SCHEMA)
        return bm_fail(err, BM_EDATA, "%s: schema is not %d; use the version of boldmill that wrote it", name,
                       BM_SCHEMA);
    if (subject < 0)
        return bm_fail(err, BM_EDATA, "%s: \"subject\" is not a subject number; make it again", name);
    f->runs = bm_alloc(json_array_size(runs), sizeof *f->runs, "runs", err);
    if (!f->runs)
        return -1;
    for (size_t i = 0; i < json_array_size(runs); i++)
        if (take_run(f, subject, json_array_get(runs, i), &next, name, err) < 0)
            return -1;
    return 0;
}

static int read_json(struct bm_bytes *in, struct bm_rowsfile *f, struct bm_error *err)
{
    const char *name = bm_bytes_name(in);
    struct bm_buf text = {0};
    int status = read_up_to(in, MAX_JSON + 1, &text, err);
    if (status == 0 && text.size > MAX_JSON)
        status = bm_fail(err, BM_EDATA, "%s: is too long for an arrays description; check the name", name);
    if (status == 0)
        status = bm_bytes_finish(in, NULL, err);
    if (status == 0) {
        json_t *root = bm_sealed_parse(text.data, text.size, name, err);
        status = root ? take_runs(f, root, name, err) : -1;
        json_decref(root);
    }
    bm_buf_free(&text);
    return status;
}

static int read_any(struct bm_bytes *in, struct bm_rowsfile *out, struct bm_error *err)
{
    size_t got = 0;
    const unsigned char *start = bm_bytes_peek(in, 1, &got, err);
    if (!start)
        return -1;
    if (got == 1 && *start == 0x93)
        return bm_rowsfile_read_meta(in, &out->meta, err);
    if (got == 1 && *start == '{')
        return read_json(in, out, err);
    return bm_fail(
        err, BM_EDATA,
        "%s: is neither metadata nor an arrays description; give NAME.meta.npy, NAME.json or a number of rows",
        bm_bytes_name(in));
}

int bm_rowsfile_read(const char *path, struct bm_rowsfile *out, struct bm_error *err)
{
    *out = (struct bm_rowsfile){0};
    struct bm_bytes *in = bm_bytes_open(path, err);
    if (!in)
        return -1;
    int status = read_any(in, out, err);
    if (status == 0) {
        out->bytes = bm_bytes_count(in);
        out->crc32 = bm_bytes_crc32(in);
    } else {
        bm_rowsfile_clear(out);
    }
    bm_bytes_close(in);
    return status;
}

void bm_rowsfile_clear(struct bm_rowsfile *f)
{
    free(f->meta.data);
    free(f->runs);
    *f = (struct bm_rowsfile){0};
}
