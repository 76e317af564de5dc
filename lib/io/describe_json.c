#include "core/mem.h"
#include "io/bidsname.h"
#include "io/describe_kinds.h"
#include "io/jsonmem.h"
#include "io/sealed.h"
#include "io/text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- files that a description vouches for ---- */

static int file_crc(const char *path, char hex[16], struct bm_error *err)
{
    struct bm_bytes *b = bm_bytes_open(path, err);
    int status;

    if (!b)
        return -1;
    status = bm_bytes_finish(b, NULL, err);
    (void)snprintf(hex, 16, "%08x", (unsigned)bm_bytes_crc32(b));
    bm_bytes_close(b);
    return status;
}

/* CRC-32 of the data of a .npy file, without its header. */
static int data_crc(const char *path, char hex[16], struct bm_error *err)
{
    struct bm_npy_header h;
    enum bm_dtype dtype;
    size_t items;
    void *data;

    if (bm_npy_load(path, &h, &dtype, &data, err))
        return -1;
    if (bm_npy_items(&h, path, &items, err)) {
        free(data);
        return -1;
    }
    (void)snprintf(hex, 16, "%08x", (unsigned)bm_crc32(0, data, items * bm_dtype_size(dtype)));
    free(data);
    return 0;
}

/* The file that an entry names; it stands beside the description. Owned. */
static char *entry_path(const char *json_path, const json_t *entry, struct bm_error *err)
{
    const char *name = json_string_value(json_object_get(entry, "file"));
    const char *slash = strrchr(json_path, '/');

    if (!name || !*name || strchr(name, '/') || !strcmp(name, "..") || !strcmp(name, ".")) {
        (void)bm_fail(err, BM_EDATA, "%s: does not name its files as boldmill does; build them again", json_path);
        return NULL;
    }
    return bm_format(err, "%.*s%s", slash ? (int)(slash - json_path + 1) : 0, json_path, name);
}

/* Checks the file that an entry vouches for. crc_of computes what is vouched for. */
static int check_file(const char *json_path, const json_t *entry,
                      int (*crc_of)(const char *, char *, struct bm_error *), struct bm_error *err)
{
    const char *crc = json_string_value(json_object_get(entry, "crc32"));
    char hex[16], *path = entry_path(json_path, entry, err);
    int status = path ? 0 : -1;

    if (!status && access(path, F_OK) && errno == ENOENT)
        status = bm_fail(err, BM_EDATA, "%s: is not there, though %s vouches for it; make it again", path, json_path);
    if (!status)
        status = crc_of(path, hex, err);
    if (!status && (!crc || strcmp(hex, crc) != 0))
        status = bm_fail(err, BM_EDATA, "%s: the checksum is %s where %s vouches for %s; build it again", path, hex,
                         json_path, crc ? crc : "none");
    free(path);
    return status;
}

static int check_arrays(const char *path, const json_t *info, struct bm_error *err)
{
    const json_t *meta = json_object_get(info, "meta");

    if (check_file(path, json_object_get(info, "fmri"), file_crc, err))
        return -1;
    return json_is_null(meta) ? 0 : check_file(path, meta, file_crc, err);
}

static int check_quality(const char *path, const json_t *info, struct bm_error *err)
{
    return check_file(path, json_object_get(info, "maps"), file_crc, err) ||
                   check_file(path, json_object_get(info, "carpet"), file_crc, err)
               ? -1
               : 0;
}

static int check_indices(const char *path, const json_t *info, struct bm_error *err)
{
    const json_t *part, *file;
    size_t i, k;

    json_array_foreach(json_object_get(info, "parts"), i, part)
    {
        json_array_foreach(json_object_get(part, "files"), k, file)
        {
            if (check_file(path, file, data_crc, err))
                return -1;
        }
    }
    return 0;
}

/* ---- values of arrays ---- */

static int read_runs(json_t *runs, struct bm_bytes *in, const struct bm_npy_header *h, struct bm_error *err)
{
    json_t *run, *values;
    json_int_t next = 0;
    size_t i;

    json_array_foreach(runs, i, run)
    {
        json_int_t rows = json_integer_value(json_object_get(run, "rows"));

        if (rows < 0 || rows > (json_int_t)h->shape[0] - next)
            return bm_fail(err, BM_EDATA, "%s: has %zu rows, fewer than its runs; build it again", bm_bytes_name(in),
                           h->shape[0]);
        values = bm_describe_rows(in, h, (size_t)rows, h->shape[1], err);
        if (!values || json_object_set_new(run, "values", values))
            return -1;
        next += rows;
    }
    return bm_bytes_finish(in, NULL, err);
}

static int add_values(const char *path, json_t *info, struct bm_error *err)
{
    char *fmri = entry_path(path, json_object_get(info, "fmri"), err);
    struct bm_bytes *in = fmri ? bm_bytes_open(fmri, err) : NULL;
    struct bm_npy_header h;
    int got = in ? bm_npy_read_header(in, &h, err) : -1, status = got > 0 ? 0 : -1;

    if (got == 0)
        status = bm_fail(err, BM_EDATA, "%s: is empty; build it again", fmri);
    if (!status && (h.ndim != 2 || h.structured || h.fortran_order))
        status = bm_fail(err, BM_EDATA, "%s: is no matrix of numbers in C order; build it again", fmri);
    if (!status)
        status = read_runs(json_object_get(info, "runs"), in, &h, err);
    bm_bytes_close(in);
    free(fmri);
    return status;
}

/* ---- which kind of JSON ---- */

/* Any of these makes a JSON object one of BIDS. */
static const char *const bids_keys[] = {"RepetitionTime", "BIDSVersion", "TaskName", "SliceTiming",
                                        "EchoTime",       "GeneratedBy", "Sources",  "SkullStripped",
                                        "Manufacturer",   "trial_type",  "onset",    "SpatialReference"};

static bool is_sidecar(const char *path, const json_t *info)
{
    struct bm_bidsname name;

    for (size_t i = 0; i < sizeof bids_keys / sizeof *bids_keys; i++) {
        if (json_object_get(info, bids_keys[i]))
            return true;
    }
    return bm_bidsname_parse(path, &name) && json_object_size(info);
}

/* Numbers, words and truth values as they are; of lists and objects how many items they have. */
static json_t *sidecar_json(json_t *info)
{
    json_t *fields = json_object(), *value;
    const char *key;

    json_object_foreach(info, key, value)
    {
        if (json_is_array(value) || json_is_object(value))
            value = json_pack("{s:I}", "items",
                              (json_int_t)(json_is_array(value) ? json_array_size(value) : json_object_size(value)));
        else
            (void)json_incref(value);
        (void)json_object_set_new(fields, key, value);
    }
    return json_pack("{s:s,s:o}", "kind", "sidecar", "fields", fields);
}

static int finish_own(const char *path, json_t *info, const char *kind, const struct bm_describe_how *how,
                      struct bm_error *err)
{
    const bool arrays = !strcmp(kind, "arrays"), quality = !strcmp(kind, "quality");
    const char *data = quality ? "maps" : "fmri";

    if ((arrays || quality) &&
        (!json_is_object(json_object_get(info, data)) || !json_is_array(json_object_get(info, "runs"))))
        return bm_fail(err, BM_EDATA, "%s: lacks what describes it (%s, runs); build it again", path, data);
    (void)json_object_set_new(info, "kind", json_string(kind));
    if (how->verify && !strcmp(kind, "shuffle") && check_indices(path, info, err))
        return -1;
    if (how->verify && arrays && check_arrays(path, info, err))
        return -1;
    if (how->verify && quality && check_quality(path, info, err))
        return -1;
    return how->values && arrays ? add_values(path, info, err) : 0;
}

static const char *const own_kinds[] = {"arrays", "shuffle", "quality", "summary", "synthetic"};

static json_t *describe(const char *path, json_t *info, const struct bm_describe_how *how, struct bm_error *err)
{
    const char *kind = json_string_value(json_object_get(info, "boldmill"));

    for (size_t i = 0; kind && i < sizeof own_kinds / sizeof *own_kinds; i++) {
        if (!strcmp(kind, own_kinds[i]))
            return finish_own(path, info, kind, how, err) ? NULL : json_incref(info);
    }
    if (is_sidecar(path, info))
        return sidecar_json(info);
    (void)bm_fail(err, BM_EDATA, "%s: is JSON, but neither boldmill's nor a sidecar of BIDS; name another file",
                  path);
    return NULL;
}

/* Descriptions of ours are sealed by their own checksum; other JSON is not. */
static json_t *parse(const char *path, const char *text, size_t n, struct bm_error *err)
{
    json_error_t why;
    json_t *root = bm_json_load(text, n, JSON_REJECT_DUPLICATES, path, &why, err);
    const char *kind = json_string_value(json_object_get(root, "boldmill"));
    const bool sealed = json_object_get(root, "crc32") || (kind && strcmp(kind, "synthetic") != 0);

    if (!root)
        (void)bm_fail(err, BM_EDATA, "%s: is not JSON (line %d: %s)", path, why.line, why.text);
    if (!root || !sealed)
        return root;
    json_decref(root);
    return bm_sealed_parse(text, n, path, err);
}

json_t *bm_describe_json(const char *path, struct bm_bytes *in, const struct bm_describe_how *how,
                         struct bm_error *err)
{
    struct bm_text text;
    json_t *root, *info;
    int status = bm_text_read_from(in, &text, err);

    bm_bytes_close(in);
    if (status)
        return NULL;
    root = parse(path, (const char *)text.buf.data + text.pos, text.buf.size - text.pos, err);
    info = root ? describe(path, root, how, err) : NULL;
    json_decref(root);
    bm_text_clear(&text);
    return info;
}
