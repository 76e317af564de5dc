#include "io/maskfile.h"

#include "io/nifti.h"
#include "io/npy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool bm_maskfile_is_npy(const char *path)
{
    size_t n = strlen(path);

    return n > 4 && !strcmp(path + n - 4, ".npy");
}

void bm_maskfile_clear(struct bm_maskfile *m)
{
    free(m->values);
    *m = (struct bm_maskfile){0};
}

static int read_nifti(const char *path, const struct bm_grid *expected, struct bm_maskfile *out, struct bm_error *err)
{
    struct bm_nifti *n = bm_nifti_open(path, err);
    int status = n ? bm_nifti_only_volume(n, &out->values, err) : -1;
    char a[160], b[160];

    if (!status) {
        out->grid = bm_nifti_info(n)->grid;
        out->bytes = bm_nifti_bytes(n);
        out->crc32 = bm_nifti_crc32(n);
    }
    bm_nifti_close(n);
    if (status || !expected || bm_grid_same(&out->grid, expected))
        return status;
    return bm_fail(err, BM_EDATA, "%s: the mask's grid is %s, the series has %s; use the mask of the same space",
                   path, bm_grid_text(&out->grid, a, sizeof a), bm_grid_text(expected, b, sizeof b));
}

static const char *shape_text(const struct bm_npy_header *h, char text[160])
{
    int n = 0;

    text[0] = '\0';
    for (size_t i = 0; i < h->ndim && n < 130; i++)
        n += snprintf(text + n, 160 - (size_t)n, "%s%zu", i ? "x" : "", h->shape[i]);
    return text;
}

static bool shape_fits(const struct bm_npy_header *h, const struct bm_grid *grid)
{
    bool fits = h->ndim == 3 || (h->ndim == 1 && h->shape[0] == bm_grid_voxels(grid));

    for (size_t i = 0; i < 3 && h->ndim == 3; i++)
        fits = fits && h->shape[i] == (size_t)grid->dims[i];
    return fits;
}

static int take_array(const char *path, const struct bm_npy_header *h, enum bm_dtype dtype, const void *data,
                      struct bm_maskfile *out, struct bm_error *err)
{
    size_t voxels = bm_grid_voxels(&out->grid);
    char text[160], shape[160];

    if (!shape_fits(h, &out->grid))
        return bm_fail(err, BM_EDATA,
                       "%s: the mask's shape is %s, the series' grid is %s; use a mask of shape (X, Y, Z)", path,
                       shape_text(h, shape), bm_grid_text(&out->grid, text, sizeof text));
    out->values = bm_alloc(voxels, sizeof *out->values, "mask", err);
    if (!out->values)
        return -1;
    bm_to_double(out->values, data, dtype, voxels);
    return 0;
}

static int read_npy(const char *path, const struct bm_grid *expected, struct bm_maskfile *out, struct bm_error *err)
{
    struct bm_bytes *b = bm_bytes_open(path, err);
    struct bm_npy_header h;
    enum bm_dtype dtype;
    void *data;
    int status = b ? bm_npy_load_from(b, &h, &dtype, &data, err) : -1;

    if (!status) {
        out->grid = *expected;
        out->bytes = bm_bytes_count(b);
        out->crc32 = bm_bytes_crc32(b);
        status = take_array(path, &h, dtype, data, out, err);
        free(data);
    }
    bm_bytes_close(b);
    return status;
}

int bm_maskfile_read(const char *path, const struct bm_grid *expected, struct bm_maskfile *out, struct bm_error *err)
{
    const bool npy = bm_maskfile_is_npy(path);

    *out = (struct bm_maskfile){0};
    if (npy && !expected)
        return bm_fail(err, BM_EDATA, "%s: a .npy mask has no grid of its own; give a NIfTI mask here", path);
    if ((npy ? read_npy : read_nifti)(path, expected, out, err) == 0)
        return 0;
    bm_maskfile_clear(out);
    return -1;
}
