#include "io/qualityfile.h"

#include "io/bundle.h"
#include "io/bytes.h"
#include "io/jsonmem.h"
#include "io/npy.h"
#include "io/runjson.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct bm_qualityfile {
    char *json_path, *maps_path, *carpet_path;
    struct bm_commit *json;
    struct bm_run first; /* all runs must fit it */
    size_t *picks, npicks, nrows;
    struct bm_buf carpet; /* float16, all runs so far */
    json_t *runs;
};

void bm_qualityfile_close(struct bm_qualityfile *f)
{
    if (!f)
        return;
    bm_commit_drop(f->json);
    bm_run_clear(&f->first);
    bm_buf_free(&f->carpet);
    json_decref(f->runs);
    free(f->picks);
    free(f->json_path);
    free(f->maps_path);
    free(f->carpet_path);
    free(f);
}

struct bm_qualityfile *bm_qualityfile_open(const char *path, struct bm_error *err)
{
    static const char end[] = ".json";
    const size_t n = strlen(path), m = sizeof end - 1, stem = n > m && !strcmp(path + n - m, end) ? n - m : 0;
    struct bm_qualityfile *f;

    if (!stem) {
        (void)bm_fail(err, BM_EUSAGE, "%s: does not end in .json; call the output NAME.json", path);
        return NULL;
    }
    if (bm_bundle_name(path, err))
        return NULL;
    f = bm_calloc(1, sizeof *f, "quality", err);
    if (!f)
        return NULL;
    bm_run_init(&f->first);
    f->runs = json_array();
    f->json_path = bm_strdup(path, err);
    f->maps_path = bm_format(err, "%.*s.maps.npy", (int)stem, path);
    f->carpet_path = bm_format(err, "%.*s.carpet.npy", (int)stem, path);
    if (f->json_path && f->maps_path && f->carpet_path)
        f->json = bm_commit_open(path, err);
    if (f->json && bm_commit_direct(f->json))
        (void)bm_fail(err, BM_EUSAGE, "%s: must be a regular file, as two others belong to it", path);
    else if (f->json)
        return f;
    bm_qualityfile_close(f);
    return NULL;
}

/* ---- runs ---- */

static json_t *number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *numbers(const double *values, size_t n)
{
    json_t *list = json_array();

    for (size_t i = 0; i < n; i++)
        (void)json_array_append_new(list, number(values[i]));
    return list;
}

static int begin(struct bm_qualityfile *f, const struct bm_run *run, const size_t *picks, size_t npicks,
                 struct bm_error *err)
{
    if (bm_run_copy(&f->first, run, err))
        return -1;
    f->picks = bm_alloc(npicks, sizeof *picks, "picks", err);
    if (!f->picks)
        return -1;
    memcpy(f->picks, picks, npicks * sizeof *picks);
    f->npicks = npicks;
    return 0;
}

static int add_carpet(struct bm_qualityfile *f, const double *values, size_t n, struct bm_error *err)
{
    const size_t before = f->carpet.size, size = n * sizeof(uint16_t);
    void *half = bm_alloc(n, sizeof(uint16_t), "carpet", err);
    int status;

    if (!half)
        return -1;
    (void)bm_from_double(half, BM_F16, values, n); /* deviations of n time points are at most sqrt(n) */
    status = bm_buf_append(&f->carpet, half, size, err);
    free(half);
    return status || f->carpet.size != before + size ? -1 : 0;
}

int bm_qualityfile_add(struct bm_qualityfile *f, const struct bm_run *run, const size_t *picks, size_t npicks,
                       const struct bm_quality_run *quality, struct bm_error *err)
{
    json_t *entry;

    if (json_array_size(f->runs) == 0 ? begin(f, run, picks, npicks, err)
                                      : bm_run_fits(&f->first, run, f->json_path, err))
        return -1;
    if (add_carpet(f, quality->carpet, run->rows * npicks, err))
        return -1;
    entry = json_pack("{s:o,s:i,s:i,s:i,s:I,s:I,s:f,s:o,s:o,s:o,s:o,s:o,s:o}", "label", bm_runjson_text(run->label),
                      "subject", run->subject, "session", run->session, "run", run->run, "first_row",
                      (json_int_t)f->nrows, "rows", (json_int_t)run->rows, "tr", run->tr, "mean",
                      number(quality->mean), "tsnr", number(quality->tsnr), "signal",
                      numbers(quality->signal, run->rows), "dvars", numbers(quality->dvars, run->rows), "counts",
                      bm_runjson_counts(run), "steps", bm_runjson_steps(run));
    bm_runjson_set_times(entry, run);
    (void)json_array_append_new(f->runs, entry);
    f->nrows += run->rows;
    return bm_json_lost() ? bm_fail(err, BM_ESYS, "%s: out of memory", f->json_path) : 0; /* in this thread */
}

/* ---- the whole ---- */

/* Writes an array into a temporary; *entry describes it. */
static int write_array(const char *path, enum bm_dtype dtype, const size_t shape[2], struct bm_buf data,
                       struct bm_commit **out, json_t **entry, struct bm_error *err)
{
    struct bm_buf parts[2] = {{0}, data};
    int status = bm_npy_format_header(&parts[0], bm_dtype_descr(dtype), false, 2, shape, 64, err);

    if (!status)
        status = bm_bundle_write(path, parts, 2, out, err);
    if (!status)
        *entry =
            bm_bundle_entry(path, json_string(bm_dtype_name(dtype)),
                            json_pack("[I,I]", (json_int_t)shape[0], (json_int_t)shape[1]), bm_commit_crc32(*out));
    bm_buf_free(&parts[0]);
    return status;
}

static int write_maps(struct bm_qualityfile *f, const double *maps, struct bm_commit **out, json_t **entry,
                      struct bm_error *err)
{
    const size_t shape[2] = {BM_MAPS, f->first.cols}, n = BM_MAPS * f->first.cols;
    struct bm_buf data = {0};
    int status = bm_buf_resize(&data, n * sizeof(float), err);

    if (!status && !bm_from_double(data.data, BM_F32, maps, n))
        status = bm_fail(err, BM_EDATA, "%s: a value is too large for float32; check the scaling of the runs",
                         f->maps_path);
    if (!status)
        status = write_array(f->maps_path, BM_F32, shape, data, out, entry, err);
    bm_buf_free(&data);
    return status;
}

/* Voxel indices as [first, number, first, number, ...]: neighbours in z follow each other. */
static json_t *voxel_ranges(const struct bm_run *run)
{
    json_t *list = json_array();

    for (size_t i = 0, n; i < run->cols; i += n) {
        for (n = 1; i + n < run->cols && run->voxels[i + n] == run->voxels[i] + (int64_t)n;)
            n++;
        (void)json_array_append_new(list, json_integer(run->voxels[i]));
        (void)json_array_append_new(list, json_integer((json_int_t)n));
    }
    return list;
}

static json_t *columns(const struct bm_qualityfile *f)
{
    json_t *list = json_array();

    for (size_t k = 0; k < f->npicks; k++)
        (void)json_array_append_new(list, json_integer((json_int_t)f->picks[k]));
    return list;
}

static int write_json(struct bm_qualityfile *f, json_t *maps, json_t *carpet, struct bm_error *err)
{
    json_t *runs = f->runs;

    f->runs = NULL;
    (void)json_object_set_new(carpet, "columns", columns(f));
    return bm_bundle_json(f->json,
                          json_pack("{s:s,s:i,s:o,s:o,s:i,s:{s:o,s:o},s:f,s:o,s:o}", "boldmill", "quality", "schema",
                                    BM_SCHEMA, "maps", maps, "carpet", carpet, "subject", f->first.subject, "grid",
                                    "dims", bm_runjson_grid_dims(&f->first.grid), "affine",
                                    bm_runjson_grid_affine(&f->first.grid), "tr", f->first.tr, "runs", runs,
                                    "voxel_ranges", voxel_ranges(&f->first)),
                          err);
}

/* The description, which others wait for, gets its name last. */
int bm_qualityfile_finish(struct bm_qualityfile *f, const double *maps, struct bm_error *err)
{
    const size_t shape[2] = {f->nrows, f->npicks};
    struct bm_commit *files[2] = {NULL, NULL};
    json_t *entries[2] = {NULL, NULL};
    int status = 0;

    if (json_array_size(f->runs) == 0)
        return bm_fail(err, BM_EDATA, "%s: there is no run to write; check the input", f->json_path);
    if (write_maps(f, maps, &files[0], &entries[0], err) ||
        write_array(f->carpet_path, BM_F16, shape, f->carpet, &files[1], &entries[1], err)) {
        json_decref(entries[0]);
        status = -1;
    } else {
        status = write_json(f, entries[0], entries[1], err);
    }
    for (size_t i = 0; i < 2 && !status; i++)
        status = bm_bundle_done(&files[i], err);
    for (size_t i = 0; i < 2; i++)
        bm_commit_drop(files[i]);
    return status ? -1 : bm_bundle_done(&f->json, err);
}
