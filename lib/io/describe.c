#include "io/describe.h"

#include "io/bidsname.h"
#include "io/describe_kinds.h"
#include "io/jsonmem.h"
#include "io/labelcounts.h"
#include "io/runjson.h"

#include <stdlib.h>
#include <string.h>

typedef json_t *(*describe_kind)(const char *, struct bm_bytes *, const struct bm_describe_how *, struct bm_error *);

/* ---- which kind ---- */

/* A stream's first array is a JSON record: uint8, and the first byte behind the header opens an object. */
static bool looks_like_stream(const unsigned char *p, size_t n)
{
    static const char type[] = "'|u1'";
    size_t data = n >= 10 ? 10u + p[8] + 256u * p[9] : n;

    if (data >= n || p[data] != '{')
        return false;
    for (size_t i = 10; i + sizeof type - 1 <= data; i++) {
        if (!memcmp(p + i, type, sizeof type - 1))
            return true;
    }
    return false;
}

static bool begins_with(const unsigned char *p, size_t n, const char *magic)
{
    return n >= strlen(magic) && !memcmp(p, magic, strlen(magic));
}

static bool ends_with(const char *path, const char *end)
{
    const size_t length = strlen(path), n = strlen(end);

    return length > n && !strcmp(path + length - n, end);
}

/* The header's own size, 348 or 540, in either byte order; or what is named so, whose errors name the field. */
static bool looks_like_nifti(const char *path, const unsigned char *p, size_t n)
{
    static const char *const ends[] = {".nii", ".nii.gz", ".hdr", ".hdr.gz", ".img", ".img.gz"};
    static const char *const sizes[] = {"\x5c\x01", "\x01\x5c", "\x1c\x02", "\x02\x1c"};

    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        if (ends_with(path, ends[i]))
            return true;
    }
    for (size_t i = 0; i < 4 && n >= 4; i++) {
        if (!memcmp(p + (i % 2 ? 2 : 0), sizes[i], 2) && !memcmp(p + (i % 2 ? 0 : 2), "\0", 2))
            return true;
    }
    return false;
}

static json_t *describe_nothing(const char *path, struct bm_bytes *in, const struct bm_describe_how *how,
                                struct bm_error *err)
{
    (void)path;
    (void)how;
    (void)bm_fail(
        err, BM_EDATA,
        "%s: is none of the kinds that are known here (NIfTI, series, streams, .npy, JSON, tables); check the "
        "name, or fetch it again",
        bm_bytes_name(in));
    bm_bytes_close(in);
    return NULL;
}

static describe_kind which_kind(const char *path, const unsigned char *p, size_t n)
{
    if (looks_like_nifti(path, p, n))
        return bm_describe_nifti;
    if (begins_with(p, n, "\x93NUMPY"))
        return looks_like_stream(p, n) ? bm_describe_stream : bm_describe_npy;
    if (begins_with(p, n, "\x89HDF\r\n\x1a\n"))
        return bm_describe_hdf5;
    if (*p == '{' || *p == '[' || ends_with(path, ".json")) /* so named: a damaged first byte is no table */
        return bm_describe_json;
    return bm_describe_is_text(p, n) ? bm_describe_table : describe_nothing;
}

/* ---- what all kinds have ---- */

static int add_entities(json_t *info, const char *path, struct bm_error *err)
{
    struct bm_bidsname name;
    json_t *entities;
    int status = 0;

    if (!bm_bidsname_parse(path, &name))
        return 0;
    entities = json_object();
    for (size_t i = 0; i < name.n && !status; i++) {
        char *key = bm_span_dup(name.keys[i], err);

        if (key)
            (void)json_object_set_new(entities, key, json_stringn(name.values[i].s, name.values[i].n));
        status = key ? 0 : -1;
        free(key);
    }
    (void)json_object_set_new(info, "entities", entities); /* last: where it fails, they are gone */
    (void)json_object_set_new(info, "suffix", json_stringn(name.suffix.s, name.suffix.n));
    return status;
}

static json_t *describe(const char *path, json_t *common, const struct bm_describe_how *how, struct bm_error *err)
{
    struct bm_bytes *in = bm_bytes_open(path, err);
    const unsigned char *p;
    size_t got = 0;

    if (!in)
        return NULL;
    p = bm_bytes_peek(in, 512, &got, err);
    if (p && got) {
        if (bm_bytes_raw_size(in) >= 0)
            (void)json_object_set_new(common, "bytes", json_integer((json_int_t)bm_bytes_raw_size(in)));
        (void)json_object_set_new(common, "gzip", json_boolean(bm_bytes_gzip(in)));
        return which_kind(path, p, got)(path, in, how, err);
    }
    if (p)
        (void)bm_fail(err, BM_EDATA, "%s: is empty", bm_bytes_name(in));
    bm_bytes_close(in);
    return NULL;
}

/* Is all that a file of this kind holds under a checksum, its own or that of gzip? A pair has two files: `gzip` is
 * said of the header, `image_gzip` of the other one. */
static bool has_checksums(const json_t *info)
{
    static const char *const kinds[] = {"series", "stream", "arrays", "shuffle", "quality", "summary"};
    const char *kind = json_string_value(json_object_get(info, "kind"));
    const json_t *image = json_object_get(info, "image_gzip");

    for (size_t i = 0; kind && i < sizeof kinds / sizeof *kinds; i++) {
        if (!strcmp(kind, kinds[i]))
            return true;
    }
    return json_is_true(json_object_get(info, "gzip")) && (!image || json_is_true(image));
}

json_t *bm_describe(const char *path, const struct bm_describe_how *how, struct bm_error *err)
{
    json_t *common = json_pack("{s:o}", "file", bm_runjson_text(path));
    json_t *info = describe(path, common, how, err);

    if (info && add_entities(common, path, err) == 0) {
        (void)json_object_update(common, info);
        if (how->verify)
            (void)json_object_set_new(common, "verified", json_boolean(has_checksums(common)));
    } else {
        json_decref(common);
        common = NULL;
    }
    json_decref(info);
    if (common && !bm_json_lost())
        return common;
    json_decref(common);
    (void)bm_fail(err, BM_ESYS, "%s: out of memory; use a machine with more memory", path);
    return NULL;
}

/* ---- values and labels ---- */

/* Not finite: null, which JSON can say. */
static json_t *real(double v)
{
    json_t *value = json_real(v);

    return value ? value : json_null();
}

json_t *bm_describe_values(struct bm_tally *t, size_t rows)
{
    const struct bm_tally_result r = bm_tally_end(t);
    json_t *values =
        json_pack("{s:I,s:I,s:o,s:o,s:o,s:I,s:I}", "samples", (json_int_t)r.samples, "nonfinite_samples",
                  (json_int_t)r.nonfinite, "min", real(r.min), "max", real(r.max), "mean", real(r.mean),
                  "nonfinite_voxels", (json_int_t)r.nonfinite_cols, "zero_voxels", (json_int_t)r.zero_cols);

    if (rows > 1)
        (void)json_object_set_new(values, "constant_voxels", json_integer((json_int_t)r.constant_cols));
    return values;
}

static json_t *label_json(int64_t value, size_t voxels, const struct bm_labels *table)
{
    json_t *label = json_pack("{s:I,s:I}", "value", (json_int_t)value, "voxels", (json_int_t)voxels);
    const char *name = table ? bm_labels_name(table, value) : NULL;

    if (name)
        (void)json_object_set_new(label, "name", bm_runjson_text(name));
    return label;
}

/* The labels of a volume, and those that only its table has, in order of their values. */
static json_t *labels_json(const struct bm_label_counts *counts, const struct bm_labels *table)
{
    json_t *labels = json_array();
    size_t t = 0;

    for (size_t i = 0; i < counts->n; i++) {
        for (; table && t < table->n && table->items[t].index <= counts->items[i].value; t++) {
            if (table->items[t].index < counts->items[i].value)
                (void)json_array_append_new(labels, label_json(table->items[t].index, 0, table));
        }
        (void)json_array_append_new(labels, label_json(counts->items[i].value, counts->items[i].voxels, table));
    }
    for (; table && t < table->n; t++)
        (void)json_array_append_new(labels, label_json(table->items[t].index, 0, table));
    return labels;
}

/* The table beside the volume. One that cannot be read is said so: the volume is still what it is. */
static int find_table(json_t *info, const char *path, struct bm_labels *own, struct bm_error *err)
{
    struct bm_error why = {0};
    char *name;

    if (bm_labels_beside(path, &name, err))
        return -1;
    if (name && bm_labels_read(name, own, &why))
        (void)json_object_set_new(info, "table_doubt", bm_runjson_text(why.text));
    free(name);
    return 0;
}

/* Whole numbers that hardly ever come twice, such as a list of indices, are no labels. */
static bool are_labels(const struct bm_label_counts *counts, size_t voxels)
{
    return counts->n && (counts->n == 1 || counts->n <= voxels / 2);
}

static int add_labels(json_t *info, const char *path, const struct bm_label_counts *counts, size_t voxels,
                      const struct bm_labels *given, struct bm_error *err)
{
    struct bm_labels own = {0};
    const struct bm_labels *table = given ? given : &own;

    if (!are_labels(counts, voxels))
        return json_object_set_new(info, "labels", json_null());
    if (!given && find_table(info, path, &own, err))
        return -1;
    if (table->n)
        (void)json_object_set_new(info, "table", bm_runjson_text(table->path));
    (void)json_object_set_new(info, "labels", labels_json(counts, table));
    bm_labels_clear(&own);
    return 0;
}

int bm_describe_volume(json_t *info, const char *path, const double *values, size_t n,
                       const struct bm_describe_how *how, struct bm_error *err)
{
    struct bm_label_counts counts;
    struct bm_tally tally;
    size_t positive = 0;
    int status;

    if (bm_tally_begin(&tally, n, err))
        return -1;
    bm_tally_add(&tally, 0, 1, n, values);
    (void)json_object_set_new(info, "values", bm_describe_values(&tally, 1));
    for (size_t i = 0; i < n; i++)
        positive += values[i] > 0.0;
    (void)json_object_set_new(info, "positive_voxels", json_integer((json_int_t)positive));
    status = bm_label_counts(values, n, &counts, err);
    if (!status)
        status = add_labels(info, path, &counts, n, how->table, err);
    bm_label_counts_clear(&counts);
    return status;
}
