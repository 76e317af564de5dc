#include "io/scan.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct file {
    uint64_t bytes;
    uint32_t crc32;
    const char *affine_from;
};

struct bm_scan {
    struct bm_nifti_info info;
    const char *const *paths;
    size_t n;
    struct bm_nifti *in; /* open now, or NULL */
    bool own;            /* `in` is to be closed here */
    size_t at;           /* in a list: file that comes next */
    bool mixed;          /* types or scalings differ: samples are made values */
    void *raw;           /* where mixed: a volume of the file's own samples */
    struct file *files;
    uint64_t raw_count; /* of the files that are closed */
    uint64_t trailing;  /* bytes behind the volumes of the files so far */
};

/* ---- several headers as one ---- */

static bool same_samples(const struct bm_nifti_info *a, const struct bm_nifti_info *b)
{
    return a->dtype == b->dtype && a->slope == b->slope && a->inter == b->inter;
}

static bool same_tr(double a, double b)
{
    return fabs(a - b) <= 1e-6 * fabs(a);
}

static int join_one(const struct bm_nifti_info *file, const char *path, const char *first, struct bm_nifti_info *out,
                    bool *mixed, struct bm_error *err)
{
    char a[160], b[160];

    if (file->volumes != 1)
        return bm_fail(err, BM_EDATA, "%s: has %zu volumes, but as part of a list of 3-D files it must have 1", path,
                       file->volumes);
    if (!bm_grid_same(&file->grid, &out->grid))
        return bm_fail(err, BM_EDATA, "%s: its grid is %s, but that of %s is %s; resample one of them", path,
                       bm_grid_text(&file->grid, a, sizeof a), first, bm_grid_text(&out->grid, b, sizeof b));
    *mixed = *mixed || !same_samples(file, out);
    if (!same_tr(out->tr, file->tr)) {
        out->tr = 0;
        (void)snprintf(out->tr_doubt, sizeof out->tr_doubt, "pixdim[4] differs from one 3-D file to another");
    }
    if (!out->doubt[0])
        memcpy(out->doubt, file->doubt, sizeof out->doubt);
    return 0;
}

static int join(const struct bm_nifti_info *files, const char *const *paths, size_t n, struct bm_nifti_info *out,
                bool *mixed, struct bm_error *err)
{
    *out = files[0];
    *mixed = false;
    if (n == 1)
        return 0;
    for (size_t i = 0; i < n; i++) {
        if (join_one(&files[i], paths[i], paths[0], out, mixed, err))
            return -1;
    }
    out->volumes = n;
    if (out->tr > 0 && !out->has_time)
        (void)snprintf(out->tr_doubt, sizeof out->tr_doubt,
                       "3-D files have no time axis; their pixdim[4] is taken as repetition time");
    if (*mixed) {
        out->dtype = BM_F64;
        out->slope = 1;
        out->inter = 0;
    }
    return 0;
}

int bm_scan_join(const struct bm_nifti_info *files, const char *const *paths, size_t n, struct bm_nifti_info *out,
                 struct bm_error *err)
{
    bool mixed;

    return join(files, paths, n, out, &mixed, err);
}

/* ---- opening ---- */

static int read_headers(struct bm_scan *s, struct bm_error *err)
{
    struct bm_nifti_info *infos = bm_alloc(s->n, sizeof *infos, "headers", err);
    int status = infos ? 0 : -1;

    for (size_t i = 0; i < s->n && !status; i++) {
        struct bm_nifti *in = bm_nifti_open(s->paths[i], err);

        status = in ? 0 : -1;
        if (in) {
            infos[i] = *bm_nifti_info(in);
            s->files[i].affine_from = infos[i].affine_from;
        }
        bm_nifti_close(in);
    }
    if (!status)
        status = join(infos, s->paths, s->n, &s->info, &s->mixed, err);
    free(infos);
    if (!status && s->mixed)
        s->raw = bm_alloc(bm_scan_volume_bytes(s), 1, "volume", err); /* no type is wider than float64 */
    return !status && s->mixed && !s->raw ? -1 : status;
}

static int open_only(struct bm_scan *s, struct bm_nifti *opened, struct bm_error *err)
{
    s->in = opened ? opened : bm_nifti_open(s->paths[0], err);
    s->own = !opened;
    if (!s->in)
        return -1;
    s->info = *bm_nifti_info(s->in);
    s->files[0].affine_from = s->info.affine_from;
    return 0;
}

struct bm_scan *bm_scan_open(const char *const *paths, size_t n, struct bm_nifti *opened, struct bm_error *err)
{
    struct bm_scan *s = bm_calloc(1, sizeof *s, "scan", err);

    if (!s)
        return NULL;
    s->paths = paths;
    s->n = n;
    s->files = bm_calloc(n, sizeof *s->files, "scan", err);
    if (s->files && (n == 1 ? open_only(s, opened, err) : read_headers(s, err)) == 0)
        return s;
    bm_scan_close(s);
    return NULL;
}

static void close_file(struct bm_scan *s)
{
    if (!s->in)
        return;
    s->raw_count += bm_nifti_raw_count(s->in);
    if (s->own)
        bm_nifti_close(s->in);
    s->in = NULL;
}

void bm_scan_close(struct bm_scan *s)
{
    if (!s)
        return;
    close_file(s);
    free(s->files);
    free(s->raw);
    free(s);
}

const struct bm_nifti_info *bm_scan_info(const struct bm_scan *s)
{
    return &s->info;
}

size_t bm_scan_volume_bytes(const struct bm_scan *s)
{
    return bm_grid_voxels(&s->info.grid) * bm_dtype_size(s->info.dtype); /* bm_nifti_open has checked the product */
}

uint64_t bm_scan_bytes(const struct bm_scan *s, size_t file)
{
    return s->files[file].bytes;
}

uint32_t bm_scan_crc32(const struct bm_scan *s, size_t file)
{
    return s->files[file].crc32;
}

const char *bm_scan_affine_from(const struct bm_scan *s, size_t file)
{
    return s->files[file].affine_from;
}

uint64_t bm_scan_raw_count(const struct bm_scan *s)
{
    return s->raw_count + (s->in ? bm_nifti_raw_count(s->in) : 0);
}

/* ---- volumes ---- */

/* Opens the next file of a list, whose header must still say what it said before. */
static int open_next(struct bm_scan *s, struct bm_error *err)
{
    const struct bm_nifti_info *info;

    s->in = bm_nifti_open(s->paths[s->at], err);
    s->own = true;
    if (!s->in)
        return -1;
    info = bm_nifti_info(s->in);
    if (info->volumes != 1 || !bm_grid_same(&info->grid, &s->info.grid) ||
        (!s->mixed && !same_samples(info, &s->info)))
        return bm_fail(err, BM_EDATA, "%s: changes while it is being read; try again when it is complete",
                       s->paths[s->at]);
    return 0;
}

static void sum_up(struct bm_scan *s, size_t file)
{
    s->files[file].bytes = bm_nifti_bytes(s->in);
    s->files[file].crc32 = bm_nifti_crc32(s->in);
}

/* The open file to its end, and closed. */
static int finish_file(struct bm_scan *s, size_t file, struct bm_error *err)
{
    uint64_t behind = 0;

    if (bm_nifti_finish(s->in, NULL, &behind, err))
        return -1;
    sum_up(s, file);
    s->trailing += behind;
    close_file(s);
    return 0;
}

static void make_values(double *values, const void *raw, const struct bm_nifti_info *info)
{
    const size_t n = bm_grid_voxels(&info->grid);

    bm_to_double(values, raw, info->dtype, n);
    for (size_t i = 0; i < n; i++)
        values[i] = info->slope * values[i] + info->inter;
}

int bm_scan_next(struct bm_scan *s, void *buf, struct bm_error *err)
{
    if (s->n == 1)
        return bm_nifti_next(s->in, buf, err);
    if (s->in && finish_file(s, s->at - 1, err))
        return -1;
    if (s->at == s->n)
        return 0;
    if (open_next(s, err) || bm_nifti_next(s->in, s->mixed ? s->raw : buf, err) != 1)
        return -1;
    if (s->mixed)
        make_values(buf, s->raw, bm_nifti_info(s->in));
    s->at++;
    return 1;
}

static int finish_only(struct bm_scan *s, size_t *left, struct bm_error *err)
{
    if (bm_nifti_finish(s->in, left, &s->trailing, err))
        return -1;
    sum_up(s, 0);
    return 0;
}

static int finish_list(struct bm_scan *s, size_t *left, struct bm_error *err)
{
    *left = s->n - s->at;
    if (s->in && finish_file(s, s->at - 1, err))
        return -1;
    for (; s->at < s->n; s->at++) {
        if (open_next(s, err) || finish_file(s, s->at, err))
            return -1;
    }
    return 0;
}

int bm_scan_finish(struct bm_scan *s, size_t *skipped, uint64_t *trailing, struct bm_error *err)
{
    size_t left;

    if (s->n == 1 ? finish_only(s, &left, err) : finish_list(s, &left, err))
        return -1;
    if (skipped)
        *skipped = left;
    if (trailing)
        *trailing = s->trailing;
    return 0;
}
