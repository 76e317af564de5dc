#include "io/npy.h"

#include "core/parse.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_HEADER 65536
#define MAX_NESTING 4 /* of structured types within each other */

static const char magic[6] = {'\x93', 'N', 'U', 'M', 'P', 'Y'};

/* ---- the header's text: a Python dict literal ---- */

struct reader {
    const char *p, *end;
    const char *name;
};

static void skip_blanks(struct reader *r)
{
    while (r->p < r->end && (*r->p == ' ' || *r->p == '\t' || *r->p == '\n'))
        r->p++;
}

/* Takes the next character if it is c. */
static bool accept(struct reader *r, char c)
{
    skip_blanks(r);
    if (r->p == r->end || *r->p != c)
        return false;
    r->p++;
    return true;
}

static bool accept_word(struct reader *r, const char *word)
{
    size_t n = strlen(word);

    skip_blanks(r);
    if ((size_t)(r->end - r->p) < n || memcmp(r->p, word, n) != 0)
        return false;
    r->p += n;
    return true;
}

static bool closes(struct reader *r)
{
    skip_blanks(r);
    return r->p < r->end && *r->p == ')';
}

/* A quoted string without escapes; *s points to its n characters. */
static bool take_string(struct reader *r, const char **s, size_t *n)
{
    skip_blanks(r);
    if (r->p == r->end || (*r->p != '\'' && *r->p != '"'))
        return false;
    char quote = *r->p++;
    for (*s = r->p; r->p < r->end && *r->p != quote; r->p++)
        if (*r->p == '\\' || *r->p == '\n')
            return false;
    if (r->p == r->end)
        return false;
    *n = (size_t)(r->p++ - *s);
    return true;
}

static bool take_size(struct reader *r, size_t *out)
{
    int64_t v;
    const char *from;

    skip_blanks(r);
    for (from = r->p; r->p < r->end && *r->p >= '0' && *r->p <= '9';)
        r->p++;
    if (!bm_parse_int_n(from, (size_t)(r->p - from), 0, INT64_MAX, &v))
        return false;
    if (r->p < r->end && *r->p == 'L') /* as Python 2 wrote long integers */
        r->p++;
    *out = (size_t)v;
    return true;
}

/* (), (3,), (3, 4), (3, 4,) */
static bool take_shape(struct reader *r, size_t *shape, size_t *ndim)
{
    *ndim = 0;
    if (!accept(r, '('))
        return false;
    while (!accept(r, ')')) {
        if (*ndim == BM_NPY_MAX_DIMS || !take_size(r, &shape[*ndim]))
            return false;
        ++*ndim;
        if (!accept(r, ','))
            return accept(r, ')') && *ndim > 1;
    }
    return true;
}

/* Size of a plain type such as "<i2" or "|b1"; 0 for what we do not know. */
static size_t type_size(const char *s, size_t n)
{
    static const struct {
        char kind, sizes[5];
    } known[] = {{'b', "1"}, {'i', "1248"}, {'u', "1248"}, {'f', "248"}};

    if (n != 3 || !memchr("<>|", s[0], 3) || s[2] < '1' || s[2] > '8' || (s[0] == '|' && s[2] != '1'))
        return 0;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (known[i].kind == s[1] && strchr(known[i].sizes, s[2]))
            return (size_t)(s[2] - '0');
    return 0;
}

static int unknown_type(const struct reader *r, const char *s, size_t n, struct bm_error *err)
{
    if (n >= 2 && s[1] == 'O')
        return bm_fail(err, BM_EDATA, "%s: holds Python objects, which only pickle can read; save it as numbers",
                       r->name);
    return bm_fail(err, BM_EDATA, "%s: NPY type \"%.*s\" is not supported; save it as real numbers", r->name,
                   (int)(n < 40 ? n : 40), s);
}

static int malformed(const struct reader *r, const char *what, struct bm_error *err)
{
    return bm_fail(err, BM_EDATA, "%s: NPY header: %s; the file is damaged, make it again", r->name, what);
}

static int check_fields(struct reader *r, int depth, struct bm_error *err);

/* ('name', 'type' or [...], optional shape) */
static int check_field(struct reader *r, int depth, struct bm_error *err)
{
    const char *s;
    size_t n, shape[BM_NPY_MAX_DIMS], ndim;

    if (!accept(r, '(') || !take_string(r, &s, &n) || !accept(r, ','))
        return malformed(r, "a field of descr is not ('name', 'type')", err);
    skip_blanks(r);
    if (r->p < r->end && *r->p == '[') {
        if (check_fields(r, depth + 1, err))
            return -1;
    } else if (!take_string(r, &s, &n)) {
        return malformed(r, "a field of descr has no type", err);
    } else if (type_size(s, n) == 0) {
        return unknown_type(r, s, n, err);
    }
    if (accept(r, ',') && !closes(r) && !take_shape(r, shape, &ndim))
        return malformed(r, "a field of descr has no proper shape", err);
    return accept(r, ')') ? 0 : malformed(r, "a field of descr does not end", err);
}

/* The list that begins with the '[' at hand. */
static int check_fields(struct reader *r, int depth, struct bm_error *err)
{
    if (depth == MAX_NESTING)
        return malformed(r, "descr is nested too deeply", err);
    (void)accept(r, '[');
    while (!accept(r, ']')) {
        if (check_field(r, depth, err))
            return -1;
        if (!accept(r, ',')) {
            if (accept(r, ']'))
                return 0;
            return malformed(r, "the list of fields in descr does not end", err);
        }
    }
    return 0;
}

static int take_descr(struct reader *r, struct bm_npy_header *h, struct bm_error *err)
{
    const char *s;
    size_t n;

    skip_blanks(r);
    h->structured = r->p < r->end && *r->p == '[';
    if (h->structured) {
        s = r->p;
        if (check_fields(r, 0, err))
            return -1;
        n = (size_t)(r->p - s);
    } else {
        if (!take_string(r, &s, &n))
            return malformed(r, "descr is neither a string nor a list of fields", err);
        h->itemsize = type_size(s, n);
        if (h->itemsize == 0)
            return unknown_type(r, s, n, err);
    }
    if (n >= sizeof h->descr)
        return malformed(r, "descr is too long", err);
    memcpy(h->descr, s, n);
    h->descr[n] = 0;
    return 0;
}

static int take_entry(struct reader *r, struct bm_npy_header *h, unsigned *seen, struct bm_error *err)
{
    static const char *const keys[3] = {"descr", "fortran_order", "shape"};
    const char *s;
    size_t n;
    unsigned which = 0;

    if (!take_string(r, &s, &n) || !accept(r, ':'))
        return malformed(r, "not a dict of descr, fortran_order and shape", err);
    while (which < 3 && !(strlen(keys[which]) == n && memcmp(keys[which], s, n) == 0))
        which++;
    if (which == 3 || (*seen & 1U << which))
        return malformed(r, "a key is unknown or there twice", err);
    *seen |= 1U << which;
    if (which == 0)
        return take_descr(r, h, err);
    if (which == 2)
        return take_shape(r, h->shape, &h->ndim) ? 0 : malformed(r, "shape is no tuple of up to 8 lengths", err);
    h->fortran_order = accept_word(r, "True");
    return h->fortran_order || accept_word(r, "False") ? 0 : malformed(r, "fortran_order is no truth value", err);
}

static int parse_dict(struct reader *r, struct bm_npy_header *h, struct bm_error *err)
{
    unsigned seen = 0;

    if (!accept(r, '{'))
        return malformed(r, "not a dict", err);
    while (!accept(r, '}')) {
        if (take_entry(r, h, &seen, err))
            return -1;
        if (!accept(r, ',')) {
            if (accept(r, '}'))
                break;
            return malformed(r, "the dict does not end", err);
        }
    }
    skip_blanks(r);
    if (seen != 7)
        return malformed(r, "descr, fortran_order or shape is missing", err);
    return r->p == r->end ? 0 : malformed(r, "something follows the dict", err);
}

/* ---- headers ---- */

static int ends_early(struct bm_bytes *b, const char *where, struct bm_error *err)
{
    return bm_fail(err, BM_EDATA, "%s: ends within %s after %" PRIu64 " bytes; the file is truncated, fetch it again",
                   bm_bytes_name(b), where, bm_bytes_count(b));
}

/* Magic, version and length. 1: got them, 0: the input ended before. */
static int read_prefix(struct bm_bytes *b, size_t *length, struct bm_error *err)
{
    unsigned char p[12];
    long long got = bm_bytes_read(b, p, 8, err);

    if (got <= 0)
        return (int)got;
    if (memcmp(p, magic, got < 6 ? (size_t)got : 6) != 0)
        return bm_fail(err, BM_EDATA,
                       "%s: not an NPY array (at byte %" PRIu64 "); name a .npy file or a boldmill stream",
                       bm_bytes_name(b), bm_bytes_count(b) - (uint64_t)got);
    if (got < 8)
        return ends_early(b, "an NPY header", err);
    if (p[6] < 1 || p[6] > 3 || p[7] != 0)
        return bm_fail(err, BM_EDATA, "%s: NPY version %d.%d is unknown; save it as version 1.0", bm_bytes_name(b),
                       p[6], p[7]);
    size_t n = p[6] == 1 ? 2 : 4;
    got = bm_bytes_read(b, p + 8, n, err);
    if (got < 0)
        return -1;
    if ((size_t)got < n)
        return ends_early(b, "an NPY header", err);
    *length = (size_t)p[8] | (size_t)p[9] << 8;
    if (n == 4)
        *length |= (size_t)p[10] << 16 | (size_t)p[11] << 24;
    return 1;
}

int bm_npy_read_header(struct bm_bytes *b, struct bm_npy_header *h, struct bm_error *err)
{
    size_t n = 0;
    int rc = read_prefix(b, &n, err);

    if (rc != 1)
        return rc;
    if (n > MAX_HEADER)
        return bm_fail(err, BM_EDATA,
                       "%s: an NPY header of %zu bytes is too long; the file is damaged, make it again",
                       bm_bytes_name(b), n);
    char *text = bm_alloc(n, 1, bm_bytes_name(b), err);
    if (!text)
        return -1;
    struct reader r = {text, text + n, bm_bytes_name(b)};
    long long got = bm_bytes_read(b, text, n, err);
    memset(h, 0, sizeof *h);
    if (got < 0)
        rc = -1;
    else if ((size_t)got < n)
        rc = ends_early(b, "an NPY header", err);
    else
        rc = parse_dict(&r, h, err) ? -1 : 1;
    free(text);
    return rc;
}

int bm_npy_items(const struct bm_npy_header *h, const char *name, size_t *items, struct bm_error *err)
{
    bool empty = false;

    *items = 1;
    for (size_t i = 0; i < h->ndim; i++)
        empty = empty || h->shape[i] == 0;
    for (size_t i = 0; i < h->ndim && !empty; i++)
        if (bm_mul(*items, h->shape[i], items, name, err))
            return -1;
    if (empty)
        *items = 0;
    return 0;
}

#define SHAPE_TEXT ((size_t)BM_NPY_MAX_DIMS * 24)

/* "3, 4", or "3," where there is one dimension. */
static void format_shape(char text[SHAPE_TEXT], size_t ndim, const size_t *shape)
{
    size_t used = 0;

    text[0] = '\0';
    for (size_t i = 0; i < ndim; i++)
        used += (size_t)snprintf(text + used, SHAPE_TEXT - used, "%s%zu%s", i ? ", " : "", shape[i],
                                 ndim == 1 ? "," : "");
}

/* Version 1.0: magic, version, length, the dict, blanks, and a line end. */
static int put_header(struct bm_buf *buf, const char *dict, size_t align, struct bm_error *err)
{
    const size_t n = strlen(dict), whole = (10 + n + 1 + align - 1) / align * align, length = whole - 10;
    unsigned char *p;

    if (length > UINT16_MAX)
        return bm_fail(err, BM_EUSAGE, "NPY: a header of %zu bytes does not fit version 1.0; use fewer fields",
                       length);
    if (bm_buf_resize(buf, whole, err))
        return -1;
    p = buf->data;
    memcpy(p, magic, sizeof magic);
    p[6] = 1;
    p[7] = 0;
    p[8] = (unsigned char)(length & 0xFF);
    p[9] = (unsigned char)(length >> 8);
    memcpy(p + 10, dict, n);
    memset(p + 10 + n, ' ', length - n);
    p[whole - 1] = '\n';
    return 0;
}

int bm_npy_format_header(struct bm_buf *buf, const char *descr, bool structured, size_t ndim, const size_t *shape,
                         size_t align, struct bm_error *err)
{
    const char *quote = structured ? "" : "'";
    char text[SHAPE_TEXT], *dict;
    int status;

    if (align == 0 || ndim > BM_NPY_MAX_DIMS)
        return bm_fail(err, BM_EUSAGE, "NPY: no alignment, or %zu dimensions where 8 are the most", ndim);
    format_shape(text, ndim, shape);
    dict = bm_format(err, "{'descr': %s%s%s, 'fortran_order': False, 'shape': (%s), }", quote, descr, quote, text);
    status = dict ? put_header(buf, dict, align, err) : -1;
    free(dict);
    return status;
}

/* ---- whole arrays ---- */

/* Fortran order to C order: walks the items as they lie, counting indices with the first one fastest. */
static void *to_c_order(const unsigned char *src, const struct bm_npy_header *h, size_t items, const char *name,
                        struct bm_error *err)
{
    size_t stride[BM_NPY_MAX_DIMS] = {0}, index[BM_NPY_MAX_DIMS] = {0}, step = h->itemsize, at = 0;
    unsigned char *dst = bm_alloc(items, h->itemsize, name, err);

    for (size_t d = h->ndim; d-- > 0; step *= h->shape[d])
        stride[d] = step;
    for (size_t i = 0; dst && i < items; i++) {
        memcpy(dst + at, src + i * h->itemsize, h->itemsize);
        for (size_t d = 0; d < h->ndim; d++) {
            at += stride[d];
            if (++index[d] < h->shape[d])
                break;
            at -= stride[d] * h->shape[d];
            index[d] = 0;
        }
    }
    return dst;
}

/* Makes what was read native and C order; *data may be replaced. */
static int make_native(struct bm_npy_header *h, enum bm_dtype dtype, size_t items, const char *name, void **data,
                       struct bm_error *err)
{
    if (h->descr[0] == '>' && h->itemsize > 1)
        bm_swap_bytes(*data, h->itemsize, items);
    if (h->descr[1] != 'b')
        (void)snprintf(h->descr, sizeof h->descr, "%s", bm_dtype_descr(dtype));
    if (h->fortran_order && h->ndim > 1) {
        void *c = to_c_order(*data, h, items, name, err);
        if (!c)
            return -1;
        free(*data);
        *data = c;
    }
    h->fortran_order = false;
    return 0;
}

static int read_items(struct bm_bytes *b, size_t items, size_t itemsize, void **data, struct bm_error *err)
{
    const char *name = bm_bytes_name(b);
    size_t bytes;
    uint64_t left, need;

    if (bm_mul(items, itemsize, &bytes, name, err))
        return -1;
    if (__builtin_add_overflow((uint64_t)bytes, bm_bytes_count(b), &need) || !bm_bytes_may_hold(b, need))
        return bm_fail(err, BM_EDATA,
                       "%s: the file is too short for the %zu bytes its NPY header claims; fetch it again", name,
                       bytes);
    *data = bm_alloc(bytes, 1, name, err);
    if (!*data)
        return -1;
    long long got = bm_bytes_read(b, *data, bytes, err);
    if (got < 0)
        return -1;
    if ((size_t)got < bytes)
        return ends_early(b, "the array", err);
    if (bm_bytes_finish_within(b, 0, &left, err))
        return -1;
    if (left > 0)
        return bm_fail(err, BM_EDATA, "%s: bytes follow the array; name a file of one array", name);
    return 0;
}

/* The type in memory; booleans are bytes. All others that headers may have are known. */
static int native_type(const struct bm_npy_header *h, const char *name, enum bm_dtype *dtype, struct bm_error *err)
{
    char descr[4];

    if (h->structured)
        return bm_fail(err, BM_EDATA, "%s: is a structured array where numbers are wanted; name another file", name);
    (void)snprintf(descr, sizeof descr, "%c%.2s", h->itemsize == 1 ? '|' : '<', h->descr + 1);
    *dtype = BM_U8;
    if (h->descr[1] != 'b')
        (void)bm_dtype_from_name(descr, dtype);
    return 0;
}

int bm_npy_read_items(struct bm_bytes *b, struct bm_npy_header *h, enum bm_dtype *dtype, void **data,
                      struct bm_error *err)
{
    const char *name = bm_bytes_name(b);
    size_t items;

    *data = NULL;
    if (native_type(h, name, dtype, err) == 0 && bm_npy_items(h, name, &items, err) == 0 &&
        read_items(b, items, h->itemsize, data, err) == 0 && make_native(h, *dtype, items, name, data, err) == 0)
        return 0;
    free(*data);
    *data = NULL;
    return -1;
}

int bm_npy_load_from(struct bm_bytes *b, struct bm_npy_header *h, enum bm_dtype *dtype, void **data,
                     struct bm_error *err)
{
    int rc = bm_npy_read_header(b, h, err);

    *data = NULL;
    if (rc == 0)
        return bm_fail(err, BM_EDATA, "%s: is empty; name a .npy file", bm_bytes_name(b));
    return rc < 0 ? -1 : bm_npy_read_items(b, h, dtype, data, err);
}

int bm_npy_load(const char *path, struct bm_npy_header *h, enum bm_dtype *dtype, void **data, struct bm_error *err)
{
    struct bm_bytes *b = bm_bytes_open(path, err);
    int rc = b ? bm_npy_load_from(b, h, dtype, data, err) : -1;

    if (!b)
        *data = NULL;
    bm_bytes_close(b);
    return rc;
}

static int write_array(struct bm_commit *c, const struct bm_buf *header, const void *data, size_t bytes,
                       struct bm_error *err)
{
    if (bm_commit_write(c, header->data, header->size, err) || bm_commit_write(c, data, bytes, err)) {
        bm_commit_drop(c);
        return -1;
    }
    return bm_commit_done(c, err);
}

int bm_npy_save(const char *path, const char *descr, bool structured, size_t itemsize, size_t ndim,
                const size_t *shape, const void *data, struct bm_error *err)
{
    struct bm_npy_header h = {.ndim = ndim};
    struct bm_buf header = {0};
    size_t items, bytes;
    int rc = bm_npy_format_header(&header, descr, structured, ndim, shape, 64, err);

    if (rc == 0)
        memcpy(h.shape, shape, ndim * sizeof *shape);
    if (rc == 0 && bm_npy_items(&h, path, &items, err) == 0 && bm_mul(items, itemsize, &bytes, path, err) == 0) {
        struct bm_commit *c = bm_commit_open(path, err);
        rc = c ? write_array(c, &header, data, bytes, err) : -1;
    } else {
        rc = -1;
    }
    bm_buf_free(&header);
    return rc;
}
