#include "io/describe.h"

#include "io/bytes.h"
#include "io/nifti.h"
#include "io/npy.h"
#include "io/open.h"
#include "io/runjson.h"
#include "io/sealed.h"
#include "io/seriesfile.h"
#include "io/stream.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_LABELS 400 /* a volume with more different values is no label volume */

/* ---- NIfTI ---- */

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* How many voxels have which value, where the values are few whole numbers. */
static json_t *count_values(double *values, size_t n)
{
    json_t *counts = json_array();
    size_t first = 0;

    qsort(values, n, sizeof *values, compare_doubles);
    for (size_t i = 1; i <= n; i++) {
        if (i < n && values[i] == values[first])
            continue;
        if (values[first] != floor(values[first]) || json_array_size(counts) == MOST_LABELS) {
            json_decref(counts);
            return json_null();
        }
        (void)json_array_append_new(counts, json_pack("[f,I]", values[first], (json_int_t)(i - first)));
        first = i;
    }
    return counts;
}

static int add_values(json_t *info, const char *path, struct bm_error *err)
{
    struct bm_grid grid;
    double *values;
    size_t n;

    if (bm_nifti_read_volume(path, &grid, &values, err))
        return -1;
    n = bm_grid_voxels(&grid);
    (void)json_object_set_new(info, "values", count_values(values, n)); /* sorts */
    (void)json_object_set_new(
        info, "range",
        json_pack("[f,f]", isfinite(values[0]) ? values[0] : 0.0, isfinite(values[n - 1]) ? values[n - 1] : 0.0));
    free(values);
    return 0;
}

static json_t *describe_nifti(const char *path, bool verify, struct bm_error *err)
{
    struct bm_nifti *in = bm_nifti_open(path, err);
    const struct bm_nifti_info *h;
    uint64_t trailing = 0;
    json_t *info;
    int status = 0;

    if (!in)
        return NULL;
    h = bm_nifti_info(in);
    info =
        json_pack("{s:s,s:i,s:s,s:o,s:o,s:s,s:I,s:s,s:f,s:f,s:f}", "kind", "nifti", "version", h->version,
                  "byte_order", h->big_endian ? "big" : "little", "dims", bm_runjson_grid_dims(&h->grid), "affine",
                  bm_runjson_grid_affine(&h->grid), "affine_from", h->affine_from, "volumes", (json_int_t)h->volumes,
                  "dtype", bm_dtype_name(h->dtype), "slope", h->slope, "inter", h->inter, "tr", h->tr);
    if (h->tr_doubt[0])
        (void)json_object_set_new(info, "tr_doubt", json_string(h->tr_doubt));
    if (verify) {
        status = bm_nifti_finish(in, NULL, &trailing, err);
        (void)json_object_set_new(info, "trailing_bytes", json_integer((json_int_t)trailing));
    }
    if (!status && h->volumes == 1 && strcmp(path, "-") != 0)
        status = add_values(info, path, err);
    bm_nifti_close(in);
    if (!status)
        return info;
    json_decref(info);
    return NULL;
}

/* ---- series ---- */

static json_t *describe_run(const struct bm_run *run, size_t first_row)
{
    json_t *entry = json_pack(
        "{s:o,s:i,s:i,s:i,s:I,s:I,s:I,s:s,s:f,s:f,s:f,s:s,s:I,s:o,s:o}", "label", bm_runjson_text(run->label),
        "subject", run->subject, "session", run->session, "run", run->run, "first_row", (json_int_t)first_row, "rows",
        (json_int_t)run->rows, "cols", (json_int_t)run->cols, "dtype", bm_dtype_name(run->dtype), "slope", run->slope,
        "inter", run->inter, "tr", run->tr, "absent", run->absent_zero ? "zero" : "unknown", "history",
        (json_int_t)run->meta.history, "counts", bm_runjson_counts(run), "steps", bm_runjson_steps(run));

    (void)bm_runjson_set_times(entry, run);
    return entry;
}

/* Reads (and checks) the run's tiles; without `verify` a series file is spared the reading, a stream cannot be. */
static int read_tiles(struct bm_source *src, const struct bm_run *run, bool verify, struct bm_tile *tile,
                      struct bm_error *err)
{
    bool *none = src->decode && !verify ? bm_calloc(bm_run_tiles(run), sizeof *none, "tiles", err) : NULL;
    int got;

    if (none)
        src->want(src, none);
    while ((got = src->next_tile(src, tile, err)) > 0) {
        if (verify && src->decode && src->decode(src, tile, err))
            got = -1;
        if (got < 0)
            break;
    }
    free(none);
    return got;
}

static json_t *describe_source(struct bm_source *src, const char *kind, bool verify, struct bm_error *err)
{
    json_t *runs = json_array(), *info = json_pack("{s:s,s:o}", "kind", kind, "runs", runs);
    struct bm_tile tile = {0};
    const struct bm_run *run;
    size_t rows = 0;
    int got;

    while ((got = src->next_run(src, &run, err)) > 0) {
        if (rows == 0) {
            (void)json_object_set_new(info, "dims", bm_runjson_grid_dims(&run->grid));
            (void)json_object_set_new(info, "affine", bm_runjson_grid_affine(&run->grid));
            (void)json_object_set_new(info, "categories", bm_runjson_categories(run));
        }
        got = read_tiles(src, run, verify, &tile, err);
        if (got < 0)
            break;
        (void)json_array_append_new(runs, describe_run(run, rows)); /* the counts are known only now */
        rows += run->rows;
    }
    (void)json_object_set_new(info, "rows", json_integer((json_int_t)rows));
    bm_tile_free(&tile);
    src->close(src);
    if (got == 0)
        return info;
    json_decref(info);
    return NULL;
}

/* ---- arrays ---- */

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

/* Checks the file that an entry of a JSON file vouches for; it stands beside it. `crc_of` computes what is vouched
 * for. */
static int check_file(const char *json_path, const json_t *entry,
                      int (*crc_of)(const char *, char *, struct bm_error *), struct bm_error *err)
{
    const char *name = json_string_value(json_object_get(entry, "file"));
    const char *crc = json_string_value(json_object_get(entry, "crc32"));
    const char *slash = strrchr(json_path, '/');
    char hex[16], *path;
    int status;

    if (!name || !crc || !*name || strchr(name, '/') || !strcmp(name, "..") || !strcmp(name, "."))
        return bm_fail(err, BM_EDATA, "%s: does not name its files as boldmill does; build them again", json_path);
    path = bm_format(err, "%.*s%s", slash ? (int)(slash - json_path + 1) : 0, json_path, name);
    if (!path)
        return -1;
    status = crc_of(path, hex, err);
    if (!status && strcmp(hex, crc) != 0)
        status = bm_fail(err, BM_EDATA, "%s: the checksum is %s where %s vouches for %s; build it again", path, hex,
                         json_path, crc);
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

static json_t *describe_json(const char *path, bool verify, struct bm_error *err)
{
    json_t *info = bm_sealed_read(path, err);
    const char *kind = json_string_value(json_object_get(info, "boldmill"));
    json_t *fmri = json_object_get(info, "fmri");

    if (!info)
        return NULL;
    if (!kind || (strcmp(kind, "arrays") != 0 && strcmp(kind, "shuffle") != 0) ||
        (!strcmp(kind, "arrays") && (!json_is_object(fmri) || !json_is_array(json_object_get(info, "runs"))))) {
        (void)bm_fail(err, BM_EDATA, "%s: is JSON, but none of boldmill's", path);
        json_decref(info);
        return NULL;
    }
    (void)json_object_set_new(info, "kind", json_string(kind));
    if (!verify || (strcmp(kind, "arrays") ? check_indices : check_arrays)(path, info, err) == 0)
        return info;
    json_decref(info);
    return NULL;
}

/* NPY carries no checksum: all that can be verified is that the data are there, no more and no less. */
static int check_npy_length(struct bm_bytes *in, const struct bm_npy_header *h, struct bm_error *err)
{
    uint64_t left = 0;
    size_t items, bytes;

    if (bm_npy_items(h, bm_bytes_name(in), &items, err) || bm_bytes_finish(in, &left, err))
        return -1;
    if (h->structured) /* the record's size is not known, but all records have the same */
        return left && (!items || left % items)
                   ? bm_fail(err, BM_EDATA, "%s: the data end within a record; the file is damaged",
                             bm_bytes_name(in))
                   : 0;
    if (bm_mul(items, h->itemsize, &bytes, bm_bytes_name(in), err))
        return -1;
    if (left != bytes)
        return bm_fail(err, BM_EDATA, "%s: holds %llu bytes of data where the header says %zu; the file is damaged",
                       bm_bytes_name(in), (unsigned long long)left, bytes);
    return 0;
}

static json_t *describe_npy(struct bm_bytes *in, bool verify, struct bm_error *err)
{
    struct bm_npy_header h;
    json_t *shape, *info;

    if (bm_npy_read_header(in, &h, err) <= 0) {
        (void)bm_fail(err, BM_EDATA, "%s: is empty", bm_bytes_name(in));
        return NULL;
    }
    if (verify && check_npy_length(in, &h, err))
        return NULL;
    shape = json_array();
    for (size_t i = 0; i < h.ndim; i++)
        (void)json_array_append_new(shape, json_integer((json_int_t)h.shape[i]));
    info = json_pack("{s:s,s:s,s:o}", "kind", "npy", "dtype", h.descr, "shape", shape);
    for (enum bm_dtype t = BM_I8; t <= BM_F64; t++) {
        if (!strcmp(h.descr, bm_dtype_descr(t)))
            (void)json_object_set_new(info, "dtype", json_string(bm_dtype_name(t)));
    }
    return info;
}

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

static json_t *describe(const char *path, bool verify, struct bm_error *err)
{
    struct bm_bytes *in = bm_bytes_open(path, err);
    struct bm_source *src;
    const unsigned char *p;
    json_t *info = NULL;
    size_t got = 0;
    unsigned char first;
    bool hdf5;

    if (!in)
        return NULL;
    p = bm_bytes_peek(in, 512, &got, err);
    first = p && got ? *p : 0;
    hdf5 = p && got >= 8 && !memcmp(p, "\x89HDF\r\n\x1a\n", 8);
    if (p && got >= 6 && !memcmp(p, "\x93NUMPY", 6)) {
        if (!looks_like_stream(p, got)) {
            info = describe_npy(in, verify, err);
            bm_bytes_close(in);
            return info;
        }
        src = bm_stream_source(in, err);
        return src ? describe_source(src, "stream", verify, err) : NULL;
    }
    if (p && !got)
        (void)bm_fail(err, BM_EDATA, "%s: is empty", bm_bytes_name(in));
    bm_bytes_close(in);
    if (!p || !got)
        return NULL;
    if (hdf5) {
        src = bm_seriesfile_source(path, err);
        return src ? describe_source(src, "series", verify, err) : NULL;
    }
    return first == '{' || first == '[' ? describe_json(path, verify, err) : describe_nifti(path, verify, err);
}

json_t *bm_describe(const char *path, bool verify, struct bm_error *err)
{
    json_t *info = describe(path, verify, err), *named;

    if (!info)
        return NULL;
    named = json_pack("{s:o}", "file", bm_runjson_text(path));
    (void)json_object_update(named, info);
    json_decref(info);
    if (verify)
        (void)json_object_set_new(named, "verified", json_true());
    return named;
}
