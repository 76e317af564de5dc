#include "io/roi.h"

#include "io/nifti.h"
#include "io/npy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool bm_roi_is_npy(const char *path)
{
    size_t n = strlen(path);

    return n > 4 && !strcmp(path + n - 4, ".npy");
}

static bool selected(double value, const int64_t *labels, size_t nlabels)
{
    if (!nlabels)
        return value > 0.0;
    for (size_t i = 0; i < nlabels; i++) {
        if (value == (double)labels[i])
            return true;
    }
    return false;
}

static int select_all(const double *values, size_t n, const int64_t *labels, size_t nlabels, const char *path,
                      bool *flags, struct bm_error *err)
{
    size_t count = 0;

    for (size_t i = 0; i < n; i++) {
        flags[i] = selected(values[i], labels, nlabels);
        count += flags[i];
    }
    if (!count)
        return bm_fail(err, BM_EDATA, "%s: no voxel %s; list its values with boldinfo", path,
                       nlabels ? "has one of the values that --labels names" : "is above 0");
    return 0;
}

static int grid_differs(const char *path, const struct bm_grid *mask, const struct bm_grid *expected,
                        struct bm_error *err)
{
    char a[160], b[160];

    return bm_fail(err, BM_EDATA, "%s: the mask's grid is %s, the series has %s; use the mask of the same space",
                   path, bm_grid_text(mask, a, sizeof a), bm_grid_text(expected, b, sizeof b));
}

static int read_nifti(const char *path, const struct bm_grid *expected, struct bm_grid *grid, double **values,
                      struct bm_error *err)
{
    if (bm_nifti_read_volume(path, grid, values, err))
        return -1;
    if (!expected || bm_grid_same(grid, expected))
        return 0;
    free(*values);
    return grid_differs(path, grid, expected, err);
}

static const char *shape_text(const struct bm_npy_header *h, char text[160])
{
    int n = 0;

    text[0] = '\0';
    for (size_t i = 0; i < h->ndim && n < 130; i++)
        n += snprintf(text + n, 160 - (size_t)n, "%s%zu", i ? "x" : "", h->shape[i]);
    return text;
}

static int read_npy(const char *path, const struct bm_grid *expected, double **values, struct bm_error *err)
{
    struct bm_npy_header h;
    enum bm_dtype dtype;
    size_t items = 1, voxels;
    void *data;
    char text[160], shape[160];
    bool fits;

    if (!expected)
        return bm_fail(err, BM_EDATA, "%s: a .npy mask has no grid of its own; give a NIfTI mask here", path);
    if (bm_npy_load(path, &h, &dtype, &data, err))
        return -1;
    voxels = bm_grid_voxels(expected);
    for (size_t i = 0; i < h.ndim; i++)
        items *= h.shape[i];
    fits = items == voxels && (h.ndim == 1 || h.ndim == 3);
    for (size_t i = 0; i < 3 && h.ndim == 3; i++)
        fits = fits && h.shape[i] == (size_t)expected->dims[i];
    *values = fits ? bm_alloc(items, sizeof **values, "mask", err) : NULL;
    if (!fits)
        (void)bm_fail(err, BM_EDATA,
                      "%s: the mask's shape is %s, the series' grid is %s; use a mask of shape (X, Y, Z)", path,
                      shape_text(&h, shape), bm_grid_text(expected, text, sizeof text));
    if (*values)
        bm_to_double(*values, data, dtype, items);
    free(data);
    return *values ? 0 : -1;
}

int bm_roi_read(const char *path, const int64_t *labels, size_t nlabels, const struct bm_grid *expected,
                struct bm_grid *grid, bool **flags, struct bm_error *err)
{
    double *values = NULL;
    int status =
        bm_roi_is_npy(path) ? read_npy(path, expected, &values, err) : read_nifti(path, expected, grid, &values, err);

    if (status)
        return -1;
    if (expected)
        *grid = *expected;
    *flags = bm_alloc(bm_grid_voxels(grid), sizeof **flags, "mask", err);
    status = *flags ? select_all(values, bm_grid_voxels(grid), labels, nlabels, path, *flags, err) : -1;
    free(values);
    if (!status)
        return 0;
    free(*flags);
    *flags = NULL;
    return -1;
}
