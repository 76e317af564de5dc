#include "io/niftifields.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Voxel sizes for the methods that use them; an axis that the file does not have counts as 1. */
static int voxel_sizes(const struct bm_nifti_fields *f, double size[3], struct bm_error *err)
{
    char field[24];

    for (int i = 0; i < 3; i++) {
        size[i] = f->pixdim[i + 1];
        if (i >= f->dim[0] && !(size[i] > 0 && isfinite(size[i])))
            size[i] = 1;
        (void)snprintf(field, sizeof field, "pixdim[%d]", i + 1);
        if (!(size[i] > 0 && isfinite(size[i])))
            return bm_nifti_bad(err, f, field, size[i],
                                f->analyze ? "no voxel size" : "no voxel size, and there is no sform");
    }
    return 0;
}

/* Three fields whose names are `stem` with a letter, from `first` on. */
static int all_finite(const struct bm_nifti_fields *f, const char *stem, char first, const double v[3],
                      struct bm_error *err)
{
    char field[24];

    for (int i = 0; i < 3; i++) {
        (void)snprintf(field, sizeof field, "%s%c", stem, first + i);
        if (!isfinite(v[i]))
            return bm_nifti_bad(err, f, field, v[i], "no orientation");
    }
    return 0;
}

/* Method 2 of nifti1.h: a unit quaternion (a, b, c, d) whose a is not stored. */
static int affine_from_qform(const struct bm_nifti_fields *f, double m[3][4], struct bm_error *err)
{
    double b = f->quatern[0], c = f->quatern[1], d = f->quatern[2], size[3];
    double a = 1 - (b * b + c * c + d * d);

    if (voxel_sizes(f, size, err))
        return -1;
    if (all_finite(f, "quatern_", 'b', f->quatern, err) || all_finite(f, "qoffset_", 'x', f->qoffset, err))
        return -1;
    if (!(a > -1e-4))
        return bm_nifti_bad(err, f, "quatern_b, c, d squared", 1 - a, "more than 1, so no rotation");
    if (a < 1e-7) {
        double norm = 1 / sqrt(b * b + c * c + d * d);
        a = 0;
        b *= norm;
        c *= norm;
        d *= norm;
    } else {
        a = sqrt(a);
    }
    const double r[3][3] = {
        {a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)},
        {2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)},
        {2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c},
    };
    size[2] *= f->pixdim[0] < 0 ? -1 : 1;
    for (int i = 0; i < 3; i++) {
        for (int j = 0; j < 3; j++)
            m[i][j] = r[i][j] * size[j];
        m[i][3] = f->qoffset[i];
    }
    return 0;
}

static int affine_from_pixdim(const struct bm_nifti_fields *f, double m[3][4], struct bm_error *err)
{
    double size[3];

    if (voxel_sizes(f, size, err))
        return -1;
    memset(m, 0, 12 * sizeof(double));
    for (int i = 0; i < 3; i++)
        m[i][i] = size[i];
    return 0;
}

static int affine_from_sform(const struct bm_nifti_fields *f, double m[3][4], struct bm_error *err)
{
    char field[24];

    for (int i = 0; i < 12; i++) {
        (void)snprintf(field, sizeof field, "srow_%c[%d]", 'x' + i / 4, i % 4);
        if (!isfinite(f->srow[i / 4][i % 4]))
            return bm_nifti_bad(err, f, field, f->srow[i / 4][i % 4], "no orientation");
    }
    memcpy(m, f->srow, sizeof f->srow);
    return 0;
}

/* Where SPM's origin, the voxel (1-based) at 0 mm, is set and near the volume it counts, else the middle does. x runs
 * from right to left. */
static int affine_from_origin(const struct bm_nifti_fields *f, const int64_t dims[3], double m[3][4],
                              struct bm_error *err)
{
    bool set = f->origin[0] || f->origin[1] || f->origin[2];

    if (affine_from_pixdim(f, m, err))
        return -1;
    for (int i = 0; i < 3; i++)
        set = set && f->origin[i] > -dims[i] && f->origin[i] < 2 * dims[i];
    m[0][0] = -m[0][0];
    for (int i = 0; i < 3; i++)
        m[i][3] = -m[i][i] * (set ? (double)f->origin[i] - 1 : (double)(dims[i] - 1) / 2);
    return 0;
}

static int fill(const struct bm_nifti_fields *f, struct bm_nifti_info *info, struct bm_error *err)
{
    if (f->analyze)
        return affine_from_origin(f, info->grid.dims, info->grid.affine, err);
    if (f->sform > 0)
        return affine_from_sform(f, info->grid.affine, err);
    return f->qform > 0 ? affine_from_qform(f, info->grid.affine, err)
                        : affine_from_pixdim(f, info->grid.affine, err);
}

int bm_nifti_affine(const struct bm_nifti_fields *f, struct bm_nifti_info *info, struct bm_error *err)
{
    static const double to_mm[8] = {1, 1000, 1, 0.001, 1, 1, 1, 1}; /* unknown, m, mm, um */

    info->affine_from = f->analyze ? "analyze" : f->sform > 0 ? "sform" : f->qform > 0 ? "qform" : "pixdim";
    info->qform_code = f->qform;
    info->sform_code = f->sform;
    if (fill(f, info, err))
        return -1;
    for (int i = 0; i < 12; i++) {
        double *v = &info->grid.affine[i / 4][i % 4];

        *v *= to_mm[f->units & 7];
        if (!isfinite(*v))
            return bm_nifti_bad(err, f, info->affine_from, *v, "the affine made of it is beyond all numbers");
    }
    return 0;
}
