#include "io/niftiheader.h"

#include "io/niftifields.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define HEADER1 348
#define HEADER2 540
#define MAX_VOXELS ((int64_t)1 << 40)

/* ---- reading numbers of either byte order ---- */

uint64_t bm_nifti_get_uint(const unsigned char *p, size_t n, bool big)
{
    uint64_t v = 0;

    for (size_t i = 0; i < n; i++)
        v = v << 8 | p[big ? i : n - 1 - i];
    return v;
}

int64_t bm_nifti_get_int(const unsigned char *p, size_t n, bool big)
{
    const uint64_t v = bm_nifti_get_uint(p, n, big), one = 1,
                   sign = n == 2   ? one << 15
                          : n == 4 ? one << 31
                                   : one << 63;

    return (int64_t)((v ^ sign) - sign);
}

static double get_real(const unsigned char *p, size_t n, bool big)
{
    uint64_t bits = bm_nifti_get_uint(p, n, big);
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

static void get_fields(struct bm_nifti_fields *f, const unsigned char *h)
{
    const struct layout *l = &layouts[f->version - 1];
    bool big = f->big_endian;

    memcpy(f->magic, h + l->magic, f->version == 1 ? 4 : 8);
    for (size_t i = 0; i < 8; i++)
        f->dim[i] = bm_nifti_get_int(h + l->dim + i * l->dim_size, l->dim_size, big);
    get_reals(f->pixdim, 8, h + l->pixdim, l->real, big);
    f->datatype = (int)bm_nifti_get_int(h + l->datatype, 2, big);
    f->bitpix = (int)bm_nifti_get_int(h + l->bitpix, 2, big);
    f->vox_offset =
        f->version == 1 ? get_real(h + l->vox_offset, 4, big) : (double)bm_nifti_get_int(h + l->vox_offset, 8, big);
    f->slope = get_real(h + l->slope, l->real, big);
    f->inter = get_real(h + l->inter, l->real, big);
    f->units = (int)bm_nifti_get_uint(h + l->units, l->units_size, big);
    f->qform = (int)bm_nifti_get_int(h + l->qform, l->code_size, big);
    f->sform = (int)bm_nifti_get_int(h + l->sform, l->code_size, big);
    get_reals(f->quatern, 3, h + l->quatern, l->real, big);
    get_reals(f->qoffset, 3, h + l->qoffset, l->real, big);
    get_reals(f->srow[0], 12, h + l->srow, l->real, big);
}

/* Analyze 7.5 has the fields of the samples where NIfTI-1 has them, and others in place of units and orientation. */
static void get_analyze_fields(struct bm_nifti_fields *f, const unsigned char *h)
{
    const bool big = f->big_endian;

    f->cal_max = get_real(h + 124, 4, big);
    f->cal_min = get_real(h + 128, 4, big);
    f->glmax = bm_nifti_get_int(h + 140, 4, big);
    f->glmin = bm_nifti_get_int(h + 144, 4, big);
    for (size_t i = 0; i < 3; i++)
        f->origin[i] = bm_nifti_get_int(h + 253 + 2 * i, 2, big);
    f->qform = f->sform = f->units = 0;
}

/* ---- checks ---- */

int(bm_nifti_bad)(struct bm_error *err, const struct bm_nifti_fields *f, const char *field, double value,
                  const char *why)
{
    const bool whole = fabs(value) < 1e18 && value == floor(value);
    char text[40];

    (void)(whole ? snprintf(text, sizeof text, "%.0f", value) : snprintf(text, sizeof text, "%.10g", value));
    return bm_fail(err, BM_EDATA, "%s: %s header: %s is %s: %s; write the file again with a conforming tool", f->name,
                   f->analyze ? "Analyze" : "NIfTI", field, text, why);
}

static int check_dims(const struct bm_nifti_fields *f, struct bm_nifti_info *info, struct bm_error *err)
{
    char field[24];
    int64_t dim[8] = {0, 1, 1, 1, 1, 1, 1, 1};

    if (f->dim[0] < 1 || f->dim[0] > 7)
        return bm_nifti_bad(err, f, "dim[0]", (double)f->dim[0], "not 1 to 7");
    for (int i = 1; i <= f->dim[0]; i++) {
        (void)snprintf(field, sizeof field, "dim[%d]", i);
        if (f->dim[i] < 1 || f->dim[i] > INT32_MAX)
            return bm_nifti_bad(err, f, field, (double)f->dim[i], "not a length");
        if (i > 4 && f->dim[i] != 1)
            return bm_nifti_bad(err, f, field, (double)f->dim[i], "only volumes over time are read, so it must be 1");
        dim[i] = f->dim[i];
    }
    if (dim[1] * dim[2] >= MAX_VOXELS || dim[3] > (MAX_VOXELS - 1) / (dim[1] * dim[2])) /* no product above 2^62 */
        return bm_nifti_bad(err, f, "dim[1] x dim[2] x dim[3]", (double)dim[1] * (double)dim[2] * (double)dim[3],
                            "too many voxels for a volume");
    for (int i = 0; i < 3; i++)
        info->grid.dims[i] = dim[i + 1];
    info->volumes = (size_t)dim[4];
    return 0;
}

static const struct {
    int code, bits;
    enum bm_dtype dtype; /* of the samples as handed out; 0: not for us */
    bool analyze;        /* Analyze 7.5 has it too */
    const char *name;
} types[] = {
    {2, 8, BM_U8, true, "uint8"},        {4, 16, BM_I16, true, "int16"},
    {8, 32, BM_I32, true, "int32"},      {16, 32, BM_F32, true, "float32"},
    {64, 64, BM_F64, true, "float64"},   {256, 8, BM_I8, false, "int8"},
    {512, 16, BM_U16, false, "uint16"},  {768, 32, BM_U32, false, "uint32"},
    {1024, 64, BM_I64, false, "int64"},  {1280, 64, BM_U64, false, "uint64"},
    {1, 1, 0, true, "binary"},           {32, 64, 0, true, "complex64"},
    {128, 24, 0, true, "RGB24"},         {1536, 128, BM_F64, false, "float128"},
    {1792, 128, 0, false, "complex128"}, {2048, 256, 0, false, "complex256"},
    {2304, 32, 0, false, "RGBA32"},
};
#define NTYPES (sizeof types / sizeof types[0])

static int refuse_type(const struct bm_nifti_fields *f, const char *name, struct bm_error *err)
{
    return bm_fail(err, BM_EDATA,
                   "%s: %s header: datatype is %d (%s): the samples are not real numbers; convert the file", f->name,
                   f->analyze ? "Analyze" : "NIfTI", f->datatype, name);
}

static int check_type(const struct bm_nifti_fields *f, struct bm_nifti_info *info, struct bm_error *err)
{
    size_t i = 0;

    while (i < NTYPES && (types[i].code != f->datatype || (f->analyze && !types[i].analyze)))
        i++;
    if (i == NTYPES)
        return bm_nifti_bad(err, f, "datatype", f->datatype, "no type of the standard");
    if (types[i].dtype == 0)
        return refuse_type(f, types[i].name, err);
    if (types[i].bits != f->bitpix)
        return bm_nifti_bad(err, f, "bitpix", f->bitpix, "does not agree with datatype");
    info->dtype = types[i].dtype;
    info->stored = types[i].name;
    info->stored_size = (size_t)types[i].bits / 8;
    return 0;
}

static int check_offset(const struct bm_nifti_fields *f, struct bm_error *err)
{
    const double least = f->pair ? 0 : f->version == 1 ? HEADER1 + 4 : HEADER2 + 4;

    if (!isfinite(f->vox_offset) || f->vox_offset != floor(f->vox_offset) || f->vox_offset > 1e15)
        return bm_nifti_bad(err, f, "vox_offset", f->vox_offset, "no position in a file");
    if (f->vox_offset < least)
        return bm_nifti_bad(err, f, "vox_offset", f->vox_offset, f->pair ? "negative" : "inside the header");
    return 0;
}

/* Scaling of an Analyze file without a scaling factor, as SPM2 has it: the range of the samples (gl) stands for that
 * of the values (cal), where both are there. */
static int scale_by_ranges(const struct bm_nifti_fields *f, struct bm_nifti_info *info, struct bm_error *err)
{
    const double samples = (double)(f->glmax - f->glmin);
    const double values = (double)((float)f->cal_max - (float)f->cal_min); /* in the field's own precision */

    if (!isfinite(values))
        return bm_nifti_bad(err, f, isfinite(f->cal_max) ? "cal_min" : "cal_max",
                            isfinite(f->cal_max) ? f->cal_min : f->cal_max, "no value to scale by");
    info->scaled_by_ranges = samples != 0 && values != 0;
    info->slope = info->scaled_by_ranges ? values / samples : 1;
    info->inter = info->scaled_by_ranges ? f->cal_min - info->slope * (double)f->glmin : 0;
    return 0;
}

/* The standard: a slope of zero means that nothing is to be scaled. */
static int check_scaling(const struct bm_nifti_fields *f, struct bm_nifti_info *info, struct bm_error *err)
{
    const bool scaled = isfinite(f->slope) && f->slope != 0;

    if (f->analyze && !scaled)
        return scale_by_ranges(f, info, err);
    if (scaled && !f->analyze && !isfinite(f->inter))
        return bm_nifti_bad(err, f, "scl_inter", f->inter, "not finite although scl_slope is set");
    info->slope = scaled ? f->slope : 1;
    info->inter = scaled && isfinite(f->inter) ? f->inter : 0;
    return 0;
}

static void set_tr(const struct bm_nifti_fields *f, struct bm_nifti_info *info)
{
    int unit = f->units & 0x38;
    double value = f->pixdim[4];
    const char *doubt = "";

    info->tr = value > 0 && isfinite(value) ? value * (unit == 16 ? 1e-3 : unit == 24 ? 1e-6 : 1) : 0;
    if (info->tr == 0)
        doubt = f->dim[0] >= 4 ? "pixdim[4] holds no repetition time" : "";
    else if (info->tr > 60 || info->tr < 0.01)
        doubt = "pixdim[4] is no plausible repetition time; is the unit of time right?";
    else if (f->analyze)
        doubt = "Analyze 7.5 names no unit of time; seconds assumed";
    else if (unit != 8 && unit != 16 && unit != 24)
        doubt = "xyzt_units names no time unit; seconds assumed";
    (void)snprintf(info->tr_doubt, sizeof info->tr_doubt, "%s", doubt);
}

static void set_doubt(const struct bm_nifti_fields *f, struct bm_nifti_info *info)
{
    if (f->analyze)
        (void)snprintf(info->doubt, sizeof info->doubt,
                       "Analyze 7.5 has no orientation; x is taken to run from right to left, as SPM takes it%s",
                       info->scaled_by_ranges ? ", and cal_max, cal_min, glmax, glmin for a scaling" : "");
}

static int check_fields(const struct bm_nifti_fields *f, struct bm_nifti_info *info, struct bm_error *err)
{
    info->version = f->version;
    info->big_endian = f->big_endian;
    info->pair = f->pair;
    info->analyze = f->analyze;
    info->has_time = f->dim[0] >= 4;
    if (check_dims(f, info, err) || check_type(f, info, err) || check_offset(f, err) || check_scaling(f, info, err) ||
        bm_nifti_affine(f, info, err))
        return -1;
    set_tr(f, info);
    set_doubt(f, info);
    return 0;
}

/* ---- reading ---- */

/* Version and byte order from the first four bytes, sizeof_hdr. */
static int detect(struct bm_nifti_fields *f, const unsigned char *h, size_t n, struct bm_error *err)
{
    if (n < 4)
        return bm_fail(err, BM_EDATA, "%s: too short (%zu bytes) to be NIfTI; fetch it again", f->name, n);
    for (int big = 0; big < 2; big++) {
        uint64_t size = bm_nifti_get_uint(h, 4, big);
        if (size != HEADER1 && size != HEADER2)
            continue;
        f->version = size == HEADER1 ? 1 : 2;
        f->big_endian = big;
        return 0;
    }
    return bm_fail(err, BM_EDATA, "%s: not NIfTI (sizeof_hdr is %" PRId64 ", not 348 or 540); name a NIfTI file",
                   f->name, bm_nifti_get_int(h, 4, false));
}

/* Analyze 7.5 has no magic there, and headers apart from the samples. */
static bool looks_like_analyze(const struct bm_nifti_fields *f)
{
    return f->version == 1 && f->magic[0] != 'n';
}

static bool named_header(const char *name)
{
    const size_t n = strlen(name);

    return (n > 4 && strcmp(name + n - 4, ".hdr") == 0) || (n > 7 && strcmp(name + n - 7, ".hdr.gz") == 0);
}

static int refuse_magic(const struct bm_nifti_fields *f, const char *single, const char *half, struct bm_error *err)
{
    if (looks_like_analyze(f) && f->magic[0] == 0)
        return bm_fail(err, BM_EDATA,
                       "%s: NIfTI header: magic is empty, as in Analyze 7.5, whose header is named .hdr; name that "
                       "file",
                       f->name);
    return bm_fail(err, BM_EDATA, "%s: NIfTI header: magic is \"%.4s\", not \"%s\" or \"%s\"; fetch it again",
                   f->name, f->magic, single, half);
}

/* The magic says whether the samples follow in this file ("n+1") or lie in another ("ni1"). */
static int check_magic(struct bm_nifti_fields *f, struct bm_error *err)
{
    const char single[4] = {'n', '+', (char)('0' + f->version), 0}, half[4] = {'n', 'i', (char)('0' + f->version), 0};
    const unsigned char *m = (const unsigned char *)f->magic;

    f->analyze = looks_like_analyze(f) && named_header(f->name);
    f->pair = f->analyze || memcmp(f->magic, half, 4) == 0;
    if (f->version == 2 && memcmp(m + 4, "\0\0\0\0", 4) != 0 && memcmp(m + 4, "\r\n\032\n", 4) != 0)
        return bm_fail(
            err, BM_EDATA,
            "%s: NIfTI header: magic[4..7] is %02x %02x %02x %02x, not 0d 0a 1a 0a: line ends were changed "
            "in transit; fetch it again in binary mode",
            f->name, m[4], m[5], m[6], m[7]);
    if (f->pair || memcmp(f->magic, single, 4) == 0)
        return 0;
    return refuse_magic(f, single, half, err);
}

static int get_header(struct bm_bytes *b, struct bm_nifti_fields *f, struct bm_error *err)
{
    unsigned char h[HEADER2] = {0};
    size_t got;
    const unsigned char *start = bm_bytes_peek(b, 4, &got, err);

    if (!start || detect(f, start, got, err))
        return -1;
    size_t size = layouts[f->version - 1].size;
    long long n = bm_bytes_read(b, h, size, err);
    if (n < 0)
        return -1;
    if ((size_t)n < size)
        return bm_fail(err, BM_EDATA,
                       "%s: NIfTI header: sizeof_hdr is %zu, but the file has %lld bytes; fetch it again", f->name,
                       size, n);
    get_fields(f, h);
    if (check_magic(f, err))
        return -1;
    if (f->analyze)
        get_analyze_fields(f, h);
    return 0;
}

int bm_nifti_read_header(struct bm_bytes *b, struct bm_nifti_info *info, uint64_t *offset, struct bm_error *err)
{
    struct bm_nifti_fields f = {.name = bm_bytes_name(b)};

    if (get_header(b, &f, err) || check_fields(&f, info, err) ||
        (!f.analyze && bm_nifti_extensions(b, &f, info, err)))
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
    for (size_t i = 0; i < NTYPES; i++)
        if (types[i].dtype == dtype && types[i].bits == (int)bm_dtype_size(dtype) * 8) {
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
