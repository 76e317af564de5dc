#include "core/mem.h"
#include "io/describe_kinds.h"
#include "io/nifti.h"
#include "io/runjson.h"
#include "io/runname.h"

#include <stdlib.h>
#include <string.h>

static json_t *extensions_json(const struct bm_nifti_info *h)
{
    json_t *list = json_array();

    for (size_t i = 0; i < h->extensions && i < BM_NIFTI_EXTENSIONS; i++)
        (void)json_array_append_new(
            list, json_pack("{s:i,s:I}", "code", h->extension[i].code, "bytes", (json_int_t)h->extension[i].size));
    return list;
}

static void add_doubts(json_t *info, const struct bm_nifti_info *h)
{
    if (h->tr_doubt[0])
        (void)json_object_set_new(info, "tr_doubt", json_string(h->tr_doubt));
    if (h->doubt[0])
        (void)json_object_set_new(info, "doubt", json_string(h->doubt));
}

/* What the name says of a run, as nifti2h5 takes it. */
static void add_run(json_t *info, const char *path)
{
    struct bm_runname name;

    bm_runname_parse(path, &name);
    (void)json_object_set_new(info, "subject", json_integer(name.subject));
    (void)json_object_set_new(info, "session", json_integer(name.session));
    (void)json_object_set_new(info, "run", json_integer(name.run));
}

static json_t *header_json(const struct bm_nifti_info *h, const char *path)
{
    json_t *info =
        json_pack("{s:s,s:s,s:i,s:b,s:s,s:o,s:o,s:s,s:i,s:i,s:I,s:s,s:s,s:f,s:f,s:f,s:I,s:o}", "kind", "nifti",
                  "format", h->analyze ? "analyze" : "nifti", "version", h->version, "pair", h->pair, "byte_order",
                  h->big_endian ? "big" : "little", "dims", bm_runjson_grid_dims(&h->grid), "affine",
                  bm_runjson_grid_affine(&h->grid), "affine_from", h->affine_from, "sform_code", h->sform_code,
                  "qform_code", h->qform_code, "volumes", (json_int_t)h->volumes, "stored", h->stored, "dtype",
                  bm_dtype_name(h->dtype), "slope", h->slope, "inter", h->inter, "tr", h->tr, "extension_count",
                  (json_int_t)h->extensions, "extensions", extensions_json(h));

    add_doubts(info, h);
    if (h->volumes > 1)
        add_run(info, path);
    return info;
}

/* ---- values ---- */

static int add_volume(json_t *info, const char *path, struct bm_nifti *in, const struct bm_describe_how *how,
                      struct bm_error *err)
{
    double *values = NULL;
    int status = bm_nifti_only_volume(in, &values, err);

    if (!status)
        status = bm_describe_volume(info, path, values, bm_grid_voxels(&bm_nifti_info(in)->grid), how, err);
    free(values);
    return status;
}

/* One volume after the other; x goes fastest, as in the file, since the order of voxels does not matter here. */
static int tally_volumes(struct bm_nifti *in, struct bm_tally *tally, struct bm_error *err)
{
    const struct bm_nifti_info *h = bm_nifti_info(in);
    void *samples = bm_alloc(bm_nifti_volume_bytes(in), 1, "volume", err);
    double *line = bm_alloc(tally->cols, sizeof *line, "volume", err);
    int got = samples && line ? 1 : -1;

    while (got > 0 && (got = bm_nifti_next(in, samples, err)) > 0)
        bm_tally_add_samples(tally, 0, 1, tally->cols, samples, h->dtype, h->slope, h->inter, line);
    free(samples);
    free(line);
    return got;
}

static int add_values(json_t *info, struct bm_nifti *in, struct bm_error *err)
{
    const struct bm_nifti_info *h = bm_nifti_info(in);
    struct bm_tally tally;
    json_t *values;
    int status;

    if (bm_tally_begin(&tally, bm_grid_voxels(&h->grid), err))
        return -1;
    status = tally_volumes(in, &tally, err);
    values = bm_describe_values(&tally, h->volumes);
    (void)json_object_set_new(info, "values", values);
    return status;
}

json_t *bm_describe_nifti(const char *path, struct bm_bytes *bytes, const struct bm_describe_how *how,
                          struct bm_error *err)
{
    struct bm_nifti *in = bm_nifti_from(path, bytes, err);
    uint64_t trailing = 0;
    json_t *info;
    int status = 0;

    if (!in)
        return NULL;
    info = header_json(bm_nifti_info(in), path);
    if (bm_nifti_info(in)->volumes == 1)
        status = add_volume(info, path, in, how, err);
    else if (how->values)
        status = add_values(info, in, err);
    if (!status && (how->verify || how->values))
        status = bm_nifti_finish(in, NULL, &trailing, err);
    if (bm_nifti_info(in)->pair)
        (void)json_object_set_new(info, "image_gzip", json_boolean(bm_nifti_gzip(in)));
    if (how->verify)
        (void)json_object_set_new(info, "trailing_bytes", json_integer((json_int_t)trailing));
    bm_nifti_close(in);
    if (!status)
        return info;
    json_decref(info);
    return NULL;
}
