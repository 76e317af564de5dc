#include "io/nifti.h"

#include "io/bytes.h"
#include "io/niftifields.h"
#include "io/niftiheader.h"
#include "io/niftiwide.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MOST_BEHIND_HEADER (64u << 20) /* in the header half of a pair */

struct bm_nifti {
    struct bm_nifti_info info;
    struct bm_bytes *data; /* at the next volume */
    uint64_t offset;       /* of the first */
    size_t samples;        /* a volume */
    size_t volume_bytes;   /* as handed out */
    size_t stored_bytes;   /* of a volume in the file */
    size_t next;
    uint64_t trailing; /* bytes behind the last volume, once finished */
};

/* ---- opening ---- */

static bool ends_with(const char *s, const char *tail)
{
    size_t n = strlen(s), m = strlen(tail);

    return n > m && strcmp(s + n - m, tail) == 0;
}

/* The other half of a pair: path with its ending replaced by `ending` or that plus ".gz", whichever exists, in the
 * style of the name given first. NULL if path has none of the endings of a pair. */
static char *other_half(const char *path, const char *from, const char *ending, struct bm_error *err)
{
    char gz_from[8];
    (void)snprintf(gz_from, sizeof gz_from, "%s.gz", from);
    bool gz = ends_with(path, gz_from);
    size_t stem = strlen(path) - strlen(gz ? gz_from : from);

    for (int i = 0; i < 2; i++) {
        char *name = bm_format(err, "%.*s%s%s", (int)stem, path, ending, (i == 0) == gz ? ".gz" : "");
        if (!name || access(name, F_OK) == 0)
            return name;
        free(name);
    }
    (void)bm_fail(err, BM_EDATA, "%s: the other half of the pair, %.*s%s or %.*s%s.gz, is missing; put it beside",
                  path, (int)stem, path, ending, (int)stem, path, ending);
    return NULL;
}

static bool is_named(const char *path, const char *plain, const char *gz)
{
    return ends_with(path, plain) || ends_with(path, gz);
}

/* Leaves the header file, whose checksums count too, for the file with the samples. */
static int switch_to_image(struct bm_nifti *n, const char *path, struct bm_error *err)
{
    uint64_t left;

    if (!is_named(path, ".hdr", ".hdr.gz"))
        return bm_fail(err, BM_EDATA, "%s: is the header half of a pair, but not named .hdr; rename it and its .img",
                       path);
    if (bm_bytes_finish_within(n->data, MOST_BEHIND_HEADER, &left, err))
        return -1;
    if (left > MOST_BEHIND_HEADER)
        return bm_fail(err, BM_EDATA, "%s: more than %u MiB follow the header; is it the samples' half of the pair?",
                       path, MOST_BEHIND_HEADER >> 20);
    char *image = other_half(path, ".hdr", ".img", err);
    if (!image)
        return -1;
    bm_bytes_close(n->data);
    n->data = bm_bytes_open(image, err);
    free(image);
    return n->data ? 0 : -1;
}

/* The fields that say how long the file must be: "dim 7x6x5x24, datatype float128, vox_offset 352". */
static const char *length_fields(const struct bm_nifti *n, char text[200])
{
    const int64_t *d = n->info.grid.dims;

    (void)snprintf(text, 200, "dim %" PRId64 "x%" PRId64 "x%" PRId64 "x%zu, datatype %s and vox_offset %" PRIu64,
                   d[0], d[1], d[2], n->info.volumes, n->info.stored, n->offset);
    return text;
}

/* Nothing is allocated for, or promised of, data that the file cannot hold. */
static int check_length(const struct bm_nifti *n, struct bm_error *err)
{
    uint64_t need;
    char fields[200];

    if (__builtin_mul_overflow((uint64_t)n->stored_bytes, (uint64_t)n->info.volumes, &need) ||
        __builtin_add_overflow(need, n->offset, &need) || need > (uint64_t)INT64_MAX)
        return bm_fail(err, BM_EDATA,
                       "%s: %s in the NIfTI header claim more data than any file can hold; fetch it "
                       "again",
                       bm_bytes_name(n->data), length_fields(n, fields));
    if (!bm_bytes_may_hold(n->data, need))
        return bm_fail(err, BM_EDATA,
                       "%s: the file has %" PRId64 " bytes%s, too few for the %" PRIu64
                       " that %s in its header claim; fetch it again",
                       bm_bytes_name(n->data), bm_bytes_raw_size(n->data), bm_bytes_gzip(n->data) ? " (gzip)" : "",
                       need, length_fields(n, fields));
    return 0;
}

static int set_sizes(struct bm_nifti *n, struct bm_error *err)
{
    const char *name = bm_bytes_name(n->data);

    n->samples = bm_grid_voxels(&n->info.grid);
    return bm_mul(n->samples, bm_dtype_size(n->info.dtype), &n->volume_bytes, name, err) ||
                   bm_mul(n->samples, n->info.stored_size, &n->stored_bytes, name, err)
               ? -1
               : 0;
}

/* SPM keeps an orientation of its own in a .mat beside an Analyze pair, which is not read: that should be known. */
static void look_for_mat(struct bm_nifti_info *info, const char *path)
{
    const size_t stem = strlen(path) - (ends_with(path, ".gz") ? 7 : 4), used = strlen(info->doubt);
    struct bm_error ignored = {0};
    char *name = bm_format(&ignored, "%.*s.mat", (int)stem, path);

    if (name && access(name, F_OK) == 0)
        (void)snprintf(info->doubt + used, sizeof info->doubt - used, "; the .mat beside it is not read");
    free(name);
}

static int skip_to_samples(struct bm_nifti *n, struct bm_error *err)
{
    const int whole = bm_nifti_skip(n->data, n->offset - bm_bytes_count(n->data), err);

    if (whole == 0)
        return bm_fail(err, BM_EDATA,
                       "%s: vox_offset is %" PRIu64 ", but the file has %" PRIu64 " bytes; fetch it again",
                       bm_bytes_name(n->data), n->offset, bm_bytes_count(n->data));
    return whole < 0 ? -1 : 0;
}

static int open_header(struct bm_nifti *n, const char *path, struct bm_error *err)
{
    if (!n->data)
        n->data = bm_bytes_open(path, err);
    if (!n->data)
        return -1;
    if (bm_nifti_read_header(n->data, &n->info, &n->offset, err) || (n->info.pair && switch_to_image(n, path, err)))
        return -1;
    if (n->info.analyze)
        look_for_mat(&n->info, path);
    if (set_sizes(n, err) || check_length(n, err))
        return -1;
    return skip_to_samples(n, err);
}

struct bm_nifti *bm_nifti_from(const char *path, struct bm_bytes *in, struct bm_error *err)
{
    struct bm_nifti *n = bm_calloc(1, sizeof *n, path, err);
    bool image = is_named(path, ".img", ".img.gz");
    char *header = image && n ? other_half(path, ".img", ".hdr", err) : NULL;

    if (n && !image)
        n->data = in;
    else
        bm_bytes_close(in);
    if (n && (!image || header) && open_header(n, image ? header : path, err) == 0) {
        free(header);
        return n;
    }
    free(header);
    bm_nifti_close(n);
    return NULL;
}

struct bm_nifti *bm_nifti_open(const char *path, struct bm_error *err)
{
    return bm_nifti_from(path, NULL, err);
}

bool bm_nifti_gzip(const struct bm_nifti *n)
{
    return bm_bytes_gzip(n->data);
}

void bm_nifti_close(struct bm_nifti *n)
{
    if (!n)
        return;
    bm_bytes_close(n->data);
    free(n);
}

const struct bm_nifti_info *bm_nifti_info(const struct bm_nifti *n)
{
    return &n->info;
}

size_t bm_nifti_volume_bytes(const struct bm_nifti *n)
{
    return n->volume_bytes;
}

uint32_t bm_nifti_crc32(const struct bm_nifti *n)
{
    return bm_bytes_crc32(n->data);
}

uint64_t bm_nifti_bytes(const struct bm_nifti *n)
{
    return bm_bytes_count(n->data);
}

uint64_t bm_nifti_raw_count(const struct bm_nifti *n)
{
    return bm_bytes_raw_count(n->data);
}

/* ---- samples ---- */

static int ends_in_volume(const struct bm_nifti *n, size_t volume, struct bm_error *err)
{
    char fields[200];

    return bm_fail(err, BM_EDATA,
                   "%s: ends within volume %zu of %zu: %s claim more; the file is truncated, fetch it again",
                   bm_bytes_name(n->data), volume + 1, n->info.volumes, length_fields(n, fields));
}

static int foreign_sample(const struct bm_nifti *n, enum bm_niftiwide why, size_t sample, struct bm_error *err)
{
    const char *name = bm_bytes_name(n->data);

    if (why == BM_NIFTIWIDE_TOO_LARGE)
        return bm_fail(err, BM_EDATA,
                       "%s: sample %zu of volume %zu (datatype 1536, float128) is beyond the range of float64; scale "
                       "the data",
                       name, sample + 1, n->next + 1);
    return bm_fail(err, BM_EDATA,
                   "%s: sample %zu of volume %zu (datatype 1536, float128) is not in x86's form, 80-bit extended; "
                   "convert the file "
                   "to float64 where it was made",
                   name, sample + 1, n->next + 1);
}

/* Reads a volume of float128 as doubles. The number of stored bytes read, or -1. */
static long long read_wide(struct bm_nifti *n, double *dst, struct bm_error *err)
{
    enum { BLOCK = 512 };
    const enum bm_niftiwide_form form = bm_niftiwide_here();
    unsigned char stored[BLOCK * 16];
    struct bm_niftiwide_seen seen = {0};
    long long read = 0;
    size_t at = 0;

    for (size_t i = 0; i < n->samples; i += BLOCK) {
        const size_t part = n->samples - i < BLOCK ? n->samples - i : BLOCK;
        const long long got = bm_bytes_read(n->data, stored, part * 16, err);

        if (got < 0)
            return -1;
        read += got;
        if ((size_t)got < part * 16)
            break;
        const enum bm_niftiwide why =
            bm_niftiwide_to_double(dst + i, stored, part, n->info.big_endian, form, &seen, &at);
        if (why != BM_NIFTIWIDE_OK)
            return foreign_sample(n, why, i + at, err);
    }
    if (bm_niftiwide_foreign(&seen))
        return foreign_sample(n, BM_NIFTIWIDE_FOREIGN, at, err);
    return read;
}

int bm_nifti_next(struct bm_nifti *n, void *buf, struct bm_error *err)
{
    const bool wide = n->stored_bytes != n->volume_bytes;

    if (n->next == n->info.volumes)
        return 0;
    const long long got = wide ? read_wide(n, buf, err) : bm_bytes_read(n->data, buf, n->stored_bytes, err);
    if (got < 0)
        return -1;
    if ((size_t)got < n->stored_bytes)
        return ends_in_volume(n, n->next, err);
    if (n->info.big_endian && !wide)
        bm_swap_bytes(buf, n->info.stored_size, n->samples);
    n->next++;
    return 1;
}

int bm_nifti_finish(struct bm_nifti *n, size_t *skipped, uint64_t *trailing, struct bm_error *err)
{
    uint64_t due = (uint64_t)(n->info.volumes - n->next) * n->stored_bytes, left;

    if (bm_bytes_finish_within(n->data, due + n->stored_bytes - 1, &left, err))
        return -1;
    if (left < due)
        return ends_in_volume(n, n->next + (size_t)(left / n->stored_bytes), err);
    if (left - due >= n->stored_bytes)
        return bm_fail(err, BM_EDATA,
                       "%s: %zu or more bytes follow the %zu volumes that the header names in dim[4]; the header is "
                       "wrong or the file is not what it seems",
                       bm_bytes_name(n->data), n->stored_bytes, n->info.volumes);
    if (skipped)
        *skipped = n->info.volumes - n->next;
    n->trailing += left - due;
    if (trailing)
        *trailing = n->trailing;
    n->next = n->info.volumes;
    return 0;
}

/* Column-major samples to scaled doubles in C order. */
static void to_c_order(double *dst, const unsigned char *src, const struct bm_nifti_info *info, double *line)
{
    size_t nx = (size_t)info->grid.dims[0], ny = (size_t)info->grid.dims[1], nz = (size_t)info->grid.dims[2];
    size_t size = bm_dtype_size(info->dtype);

    for (size_t z = 0; z < nz; z++)
        for (size_t y = 0; y < ny; y++) {
            bm_to_double(line, src + (z * ny + y) * nx * size, info->dtype, nx);
            for (size_t x = 0; x < nx; x++)
                dst[(x * ny + y) * nz + z] = info->slope * line[x] + info->inter;
        }
}

int bm_nifti_only_volume(struct bm_nifti *n, double **values, struct bm_error *err)
{
    const char *name = bm_bytes_name(n->data);
    size_t voxels = bm_grid_voxels(&n->info.grid);

    if (n->info.volumes != 1)
        return bm_fail(err, BM_EDATA, "%s: holds %zu volumes where one is wanted; name a 3-D file", name,
                       n->info.volumes);
    unsigned char *samples = bm_alloc(n->volume_bytes, 1, name, err);
    double *line = bm_alloc((size_t)n->info.grid.dims[0], sizeof *line, name, err);
    double *v = bm_alloc(voxels, sizeof *v, name, err);
    int rc = -1;
    if (samples && line && v && bm_nifti_next(n, samples, err) == 1 && bm_nifti_finish(n, NULL, NULL, err) == 0) {
        to_c_order(v, samples, &n->info, line);
        *values = v;
        rc = 0;
    }
    free(samples);
    free(line);
    if (rc)
        free(v);
    return rc;
}

int bm_nifti_read_volume(const char *path, struct bm_grid *grid, double **values, struct bm_error *err)
{
    struct bm_nifti *n = bm_nifti_open(path, err);

    if (!n)
        return -1;
    int rc = bm_nifti_only_volume(n, values, err);
    *grid = n->info.grid;
    bm_nifti_close(n);
    return rc;
}
