#include "io/niftiheader.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define HEADER1 348
#define HEADER2 540
#define MAX_VOXELS ((int64_t)1 << 40)

/* The fields of either version that we use, in native byte order. */
struct fields {
    const char *name;
    int version;
    bool big_endian, pair;
    char magic[8];
    int64_t dim[8];
    double pixdim[8];
    int datatype, bitpix, qform, sform, units;
    double vox_offset, slope, inter;
    double quatern[3], qoffset[3], srow[3][4];
};

/* ---- reading numbers of either byte order ---- */

static uint64_t get_uint(const unsigned char *p, size_t n, bool big)
{
    uint64_t v = 0;

    for (size_t i = 0; i < n; i++)
        v = v << 8 | p[big ? i : n - 1 - i];
    return v;
}

static int64_t get_int(const unsigned char *p, size_t n, bool big)
{
    uint64_t v = get_uint(p, n, big), sign = (uint64_t)1 << (8 * n - 1);

    return (int64_t)((v ^ sign) - sign);
}

static double get_real(const unsigned char *p, size_t n, bool big)
{
    uint64_t bits = get_uint(p, n, big);
    uint32_t bits32 = (uint32_t)bits;
    double d;
    float f;

    memcpy(&d, &bits, sizeof d);
    memcpy(&f, &bits32, sizeof f);
    return n == 4 ? (double)f : d;
}

/* Where the fields are. Both versions hold arrays of one integer and one real size. */
struct layout {
    size_t size, magic, dim, dim_size, pixdim, real, datatype, bitpix, vox_offset, slope, inter, units, units_size;
    size_t qform, sform, code_size, quatern, qoffset, srow;
};

static const struct layout layouts[2] = {
    {.size = HEADER1,
     .magic = 344,
     .dim = 40,
     .dim_size = 2,
     .pixdim = 76,
     .real = 4,
     .datatype = 70,
     .bitpix = 72,
     .vox_offset = 108,
     .slope = 112,
     .inter = 116,
     .units = 123,
     .units_size = 1,
     .qform = 252,
     .sform = 254,
     .code_size = 2,
     .quatern = 256,
     .qoffset = 268,
     .srow = 280},
    {.size = HEADER2,
     .magic = 4,
     .dim = 16,
     .dim_size = 8,
     .pixdim = 104,
     .real = 8,
     .datatype = 12,
     .bitpix = 14,
     .vox_offset = 168,
     .slope = 176,
     .inter = 184,
     .units = 500,
     .units_size = 4,
     .qform = 344,
     .sform = 348,
     .code_size = 4,
     .quatern = 352,
     .qoffset = 376,
     .srow = 400},
};

static void get_reals(double *dst, size_t n, const unsigned char *p, size_t size, bool big)
{
    for (size_t i = 0; i < n; i++)
        dst[i] = get_real(p + i * size, size, big);
}

static void get_fields(struct fields *f, const unsigned char *h)
{
    const struct layout *l = &layouts[f->version - 1];
    bool big = f->big_endian;

    memcpy(f->magic, h + l->magic, f->version == 1 ? 4 : 8);
    for (size_t i = 0; i < 8; i++)
        f->dim[i] = get_int(h + l->dim + i * l->dim_size, l->dim_size, big);
    get_reals(f->pixdim, 8, h + l->pixdim, l->real, big);
    f->datatype = (int)get_int(h + l->datatype, 2, big);
    f->bitpix = (int)get_int(h + l->bitpix, 2, big);
    f->vox_offset =
        f->version == 1 ? get_real(h + l->vox_offset, 4, big) : (double)get_int(h + l->vox_offset, 8, big);
    f->slope = get_real(h + l->slope, l->real, big);
    f->inter = get_real(h + l->inter, l->real, big);
    f->units = (int)get_uint(h + l->units, l->units_size, big);
    f->qform = (int)get_int(h + l->qform, l->code_size, big);
    f->sform = (int)get_int(h + l->sform, l->code_size, big);
    get_reals(f->quatern, 3, h + l->quatern, l->real, big);
    get_reals(f->qoffset, 3, h + l->qoffset, l->real, big);
    get_reals(f->srow[0], 12, h + l->srow, l->real, big);
}

/* ---- checks ---- */

static int bad(struct bm_error *err, const struct fields *f, const char *field, double value, const char *why)
{
    return bm_fail(err, BM_EDATA, "%s: NIfTI header: %s is %.10g: %s; write the file again with a conforming tool",
                   f->name, field, value, why);
}

static int check_dims(const struct fields *f, struct bm_nifti_info *info, struct bm_error *err)
{
    char field[24];
    int64_t dim[8] = {0, 1, 1, 1, 1, 1, 1, 1};

    if (f->dim[0] < 1 || f->dim[0] > 7)
        return bad(err, f, "dim[0]", (double)f->dim[0], "not 1 to 7");
    for (int i = 1; i <= f->dim[0]; i++) {
        (void)snprintf(field, sizeof field, "dim[%d]", i);
        if (f->dim[i] < 1 || f->dim[i] > INT32_MAX)
            return bad(err, f, field, (double)f->dim[i], "not a length");
        if (i > 4 && f->dim[i] != 1)
            return bad(err, f, field, (double)f->dim[i], "only volumes over time are read, so it must be 1");
        dim[i] = f->dim[i];
    }
    if (dim[1] * dim[2] >= MAX_VOXELS || dim[1] * dim[2] * dim[3] >= MAX_VOXELS)
        return bad(err, f, "dim[1] x dim[2] x dim[3]", (double)dim[1] * (double)dim[2] * (double)dim[3],
                   "too many voxels for a volume");
    for (int i = 0; i < 3; i++)
        info->grid.dims[i] = dim[i + 1];
    info->volumes = (size_t)dim[4];
    return 0;
}

static const struct {
    int code, bits;
    enum bm_dtype dtype; /* 0: not for us */
    const char *name;
} types[] = {
    {2, 8, BM_U8, "uint8"},       {4, 16, BM_I16, "int16"},    {8, 32, BM_I32, "int32"},
    {16, 32, BM_F32, "float32"},  {64, 64, BM_F64, "float64"}, {256, 8, BM_I8, "int8"},
    {512, 16, BM_U16, "uint16"},  {768, 32, BM_U32, "uint32"}, {1024, 64, BM_I64, "int64"},
    {1280, 64, BM_U64, "uint64"}, {1, 1, 0, "binary"},         {32, 64, 0, "complex64"},
    {128, 24, 0, "RGB24"},        {1536, 128, 0, "float128"},  {1792, 128, 0, "complex128"},
    {2048, 256, 0, "complex256"}, {2304, 32, 0, "RGBA32"},
};

static int check_type(const struct fields *f, struct bm_nifti_info *info, struct bm_error *err)
{
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (types[i].code != f->datatype)
            continue;
        if (types[i].dtype == 0)
            return bm_fail(err, BM_EDATA,
                           "%s: the samples are %s, not real numbers of up to 64 bits; convert the file", f->name,
                           types[i].name);
        if (types[i].bits != f->bitpix)
            return bad(err, f, "bitpix", f->bitpix, "does not agree with datatype");
        info->dtype = types[i].dtype;
        return 0;
    }
    return bad(err, f, "datatype", f->datatype, "no type of the standard");
}

static int check_offset(const struct fields *f, struct bm_error *err)
{
    double least = f->pair ? 0 : f->version == 1 ? HEADER1 + 4 : HEADER2 + 4;

    if (!isfinite(f->vox_offset) || f->vox_offset != floor(f->vox_offset) || f->vox_offset > 1e15)
        return bad(err, f, "vox_offset", f->vox_offset, "no position in a file");
    if (f->vox_offset < least)
        return bad(err, f, "vox_offset", f->vox_offset, f->pair ? "negative" : "inside the header");
    return 0;
}

/* The standard: a slope of zero means that nothing is to be scaled. */
static int check_scaling(const struct fields *f, struct bm_nifti_info *info, struct bm_error *err)
{
    bool scaled = isfinite(f->slope) && f->slope != 0;

    if (scaled && !isfinite(f->inter))
        return bad(err, f, "scl_inter", f->inter, "not finite although scl_slope is set");
    info->slope = scaled ? f->slope : 1;
    info->inter = scaled ? f->inter : 0;
    return 0;
}

/* Voxel sizes for the methods that use them; an axis that the file does not have counts as 1. */
static int voxel_sizes(const struct fields *f, double size[3], struct bm_error *err)
{
    char field[24];

    for (int i = 0; i < 3; i++) {
        size[i] = f->pixdim[i + 1];
        if (i >= f->dim[0] && !(size[i] > 0 && isfinite(size[i])))
            size[i] = 1;
        (void)snprintf(field, sizeof field, "pixdim[%d]", i + 1);
        if (!(size[i] > 0 && isfinite(size[i])))
            return bad(err, f, field, size[i], "no voxel size, and there is no sform");
    }
    return 0;
}

/* Method 2 of nifti1.h: a unit quaternion (a, b, c, d) whose a is not stored. */
static int affine_from_qform(const struct fields *f, double m[3][4], struct bm_error *err)
{
    double b = f->quatern[0], c = f->quatern[1], d = f->quatern[2], size[3];
    double a = 1 - (b * b + c * c + d * d);

    if (voxel_sizes(f, size, err))
        return -1;
    if (!(a > -1e-4))
        return bad(err, f, "quatern_b, c, d squared", 1 - a, "more than 1, so no rotation");
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

static int affine_from_pixdim(const struct fields *f, double m[3][4], struct bm_error *err)
{
    double size[3];

    if (voxel_sizes(f, size, err))
        return -1;
    memset(m, 0, 12 * sizeof(double));
    for (int i = 0; i < 3; i++)
        m[i][i] = size[i];
    return 0;
}

static int check_affine(const struct fields *f, struct bm_nifti_info *info, struct bm_error *err)
{
    static const double to_mm[8] = {1, 1000, 1, 0.001, 1, 1, 1, 1}; /* unknown, m, mm, um */
    double(*m)[4] = info->grid.affine;
    int rc = 0;

    info->affine_from = f->sform > 0 ? "sform" : f->qform > 0 ? "qform" : "pixdim";
    if (f->sform > 0)
        memcpy(m, f->srow, sizeof f->srow);
    else
        rc = f->qform > 0 ? affine_from_qform(f, m, err) : affine_from_pixdim(f, m, err);
    for (int i = 0; rc == 0 && i < 12; i++) {
        m[i / 4][i % 4] *= to_mm[f->units & 7];
        if (!isfinite(m[i / 4][i % 4]))
            rc = bad(err, f, info->affine_from, m[i / 4][i % 4], "not finite");
    }
    return rc;
}

static void set_tr(const struct fields *f, struct bm_nifti_info *info)
{
    int unit = f->units & 0x38;
    double value = f->pixdim[4];
    const char *doubt = "";

    info->tr = value > 0 && isfinite(value) ? value * (unit == 16 ? 1e-3 : unit == 24 ? 1e-6 : 1) : 0;
    if (info->tr == 0)
        doubt = f->dim[0] >= 4 ? "pixdim[4] holds no repetition time" : "";
    else if (unit != 8 && unit != 16 && unit != 24)
        doubt = "xyzt_units names no time unit; seconds assumed";
    else if (info->tr > 60 || info->tr < 0.01)
        doubt = "no plausible repetition time; is the time unit in xyzt_units right?";
    (void)snprintf(info->tr_doubt, sizeof info->tr_doubt, "%s", doubt);
}

static int check_fields(const struct fields *f, struct bm_nifti_info *info, struct bm_error *err)
{
    info->version = f->version;
    info->big_endian = f->big_endian;
    info->pair = f->pair;
    if (check_dims(f, info, err) || check_type(f, info, err) || check_offset(f, err) || check_scaling(f, info, err) ||
        check_affine(f, info, err))
        return -1;
    set_tr(f, info);
    return 0;
}

/* ---- reading ---- */

/* Version and byte order from the first four bytes, sizeof_hdr. */
static int detect(struct fields *f, const unsigned char *h, size_t n, struct bm_error *err)
{
    if (n < 4)
        return bm_fail(err, BM_EDATA, "%s: too short (%zu bytes) to be NIfTI; fetch it again", f->name, n);
    for (int big = 0; big < 2; big++) {
        uint64_t size = get_uint(h, 4, big);
        if (size != HEADER1 && size != HEADER2)
            continue;
        f->version = size == HEADER1 ? 1 : 2;
        f->big_endian = big;
        return 0;
    }
    return bm_fail(err, BM_EDATA, "%s: not NIfTI (sizeof_hdr is %" PRId64 ", not 348 or 540); name a NIfTI file",
                   f->name, get_int(h, 4, false));
}

/* The magic says whether the samples follow in this file ("n+1") or lie in another ("ni1"). */
static int check_magic(struct fields *f, struct bm_error *err)
{
    const char single[4] = {'n', '+', (char)('0' + f->version), 0}, half[4] = {'n', 'i', (char)('0' + f->version), 0};

    f->pair = memcmp(f->magic, half, 4) == 0;
    if (f->version == 2 && memcmp(f->magic + 4, "\0\0\0\0", 4) != 0 && memcmp(f->magic + 4, "\r\n\032\n", 4) != 0)
        return bm_fail(err, BM_EDATA,
                       "%s: NIfTI header: line ends were changed in transit; fetch it again in binary mode", f->name);
    if (f->pair || memcmp(f->magic, single, 4) == 0)
        return 0;
    if (f->version == 1 && f->magic[0] == 0)
        return bm_fail(err, BM_EDATA, "%s: looks like Analyze 7.5, which has no orientation; convert it to NIfTI",
                       f->name);
    return bm_fail(err, BM_EDATA, "%s: NIfTI header: magic is \"%.4s\", not \"%s\" or \"%s\"; fetch it again",
                   f->name, f->magic, single, half);
}

static int get_header(struct bm_bytes *b, struct fields *f, struct bm_error *err)
{
    unsigned char h[HEADER2];
    size_t got;
    const unsigned char *start = bm_bytes_peek(b, 4, &got, err);

    if (!start || detect(f, start, got, err))
        return -1;
    size_t size = layouts[f->version - 1].size;
    long long n = bm_bytes_read(b, h, size, err);
    if (n < 0)
        return -1;
    if ((size_t)n < size)
        return bm_fail(err, BM_EDATA, "%s: ends within the NIfTI header (%lld of %zu bytes); fetch it again", f->name,
                       n, size);
    get_fields(f, h);
    return 0;
}

int bm_nifti_read_header(struct bm_bytes *b, struct bm_nifti_info *info, uint64_t *offset, struct bm_error *err)
{
    struct fields f = {.name = bm_bytes_name(b)};

    if (get_header(b, &f, err) || check_magic(&f, err) || check_fields(&f, info, err))
        return -1;
    *offset = (uint64_t)f.vox_offset;
    return 0;
}

/* ---- writing ---- */

static void put_i16(unsigned char *p, int64_t v)
{
    p[0] = (unsigned char)(v & 0xFF);
    p[1] = (unsigned char)(v >> 8 & 0xFF);
}

static void put_f32(unsigned char *p, double v)
{
    float f = (float)v;
    memcpy(p, &f, sizeof f);
}

void bm_nifti1_header(unsigned char hdr[352], const struct bm_grid *grid, size_t volumes, enum bm_dtype dtype,
                      double tr, const char *descrip)
{
    const struct layout *l = &layouts[0];

    memset(hdr, 0, 352);
    put_i16(hdr, HEADER1);
    put_i16(hdr + l->dim, volumes > 1 ? 4 : 3);
    for (size_t i = 1; i < 8; i++)
        put_i16(hdr + l->dim + 2 * i, i < 4 ? grid->dims[i - 1] : i == 4 ? (int64_t)volumes : 1);
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (types[i].dtype == dtype) {
            put_i16(hdr + l->datatype, types[i].code);
            put_i16(hdr + l->bitpix, types[i].bits);
        }
    put_f32(hdr + l->pixdim, 1);
    for (size_t j = 0; j < 3; j++) {
        double x = grid->affine[0][j], y = grid->affine[1][j], z = grid->affine[2][j];
        put_f32(hdr + l->pixdim + 4 * (j + 1), sqrt(x * x + y * y + z * z));
    }
    put_f32(hdr + l->pixdim + 16, tr);
    put_f32(hdr + l->vox_offset, 352);
    put_f32(hdr + l->slope, 1);
    hdr[l->units] = 2 | 8; /* mm, s */
    (void)snprintf((char *)hdr + 148, 80, "%s", descrip);
    put_i16(hdr + l->sform, 1);
    for (size_t i = 0; i < 12; i++)
        put_f32(hdr + l->srow + 4 * i, grid->affine[i / 4][i % 4]);
    memcpy(hdr + l->magic, "n+1", 4);
}
