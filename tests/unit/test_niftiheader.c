#include "image.h"

#include <math.h>

static void header_fields_that_lie_are_named(void)
{
    static const struct {
        size_t at;
        int v;
        const char *why;
    } rows[] = {
        {0, 347, "not NIfTI (sizeof_hdr is 347"},
        {40, 0, "dim[0] is 0"},
        {40, 8, "dim[0] is 8"},
        {40, -1, "dim[0] is -1"},
        {42, 0, "dim[1] is 0"},
        {44, -4, "dim[2] is -4"},
        {48, 0, "dim[4] is 0"},
        {48, 3, "dim 5x4x3x3, datatype int16 and vox_offset 352"},
        {42, 6, "dim 6x4x3x2, datatype int16 and vox_offset 352"},
        {70, 0, "datatype is 0"},
        {70, 3, "datatype is 3"},
        {70, 1, "binary"},
        {70, 32, "datatype is 32 (complex64)"},
        {70, 128, "RGB24"},
        {70, 1536, "bitpix is 16"},
        {70, 1792, "complex128"},
        {70, 2048, "complex256"},
        {70, 2304, "RGBA32"},
        {72, 8, "bitpix is 8"},
        {72, 0, "bitpix is 0"},
        {344, 0, "magic is empty"},
        {344, 'n' | 'i' << 8, "header half of a pair"},
        {344, 'n' | '-' << 8, "magic is \"n-1\""},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct image m;
        make_image(&m);
        put_i16(&m, rows[i].at, rows[i].v);
        refuses(&m, rows[i].why);
    }
}

static void real_fields_that_lie_are_named(void)
{
    static const struct {
        size_t at;
        float v;
        const char *why;
    } rows[] = {
        {108, 351, "vox_offset is 351"},      {108, 0, "vox_offset is 0"},         {108, -352, "vox_offset is -352"},
        {108, 352.5F, "vox_offset is 352.5"}, {108, 1e30F, "vox_offset is 1"},     {108, NAN, "vox_offset is nan"},
        {108, 353, "too few for the"},        {116, INFINITY, "scl_inter is inf"}, {280, NAN, "srow_x[0] is nan"},
        {324, INFINITY, "srow_z[3] is inf"},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct image m;
        make_image(&m);
        put_f32(&m, rows[i].at, rows[i].v);
        refuses(&m, rows[i].why);
    }
}

/* NIfTI-2 has dimensions of 64 bits: their product must not be believed either. */
static void products_of_dimensions_do_not_wrap(void)
{
    static const int64_t rows[][3] = {
        {1, 1, 1LL << 40},                 /* more than 2^31 - 1 in one */
        {INT32_MAX, INT32_MAX, INT32_MAX}, /* above 2^62 */
        {1 << 20, 1 << 19, INT32_MAX},     /* the first two below 2^40, all above 2^63 */
        {1 << 20, 1 << 20, 1},
        {1 << 20, 1 << 19, 2}, /* 2^40 */
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        unsigned char h[544] = {0x1C, 2}; /* 540 */
        struct bm_error err = {0};
        const int64_t dim[4] = {3, rows[i][0], rows[i][1], rows[i][2]};
        memcpy(h + 4, "n+2\0\r\n\032\n", 8);
        memcpy(h + 16, dim, sizeof dim);
        CHECK_ROW(!bm_nifti_open(put_file("m.nii", h, sizeof h), &err), i);
        CHECK_ERR_CONTAINS(&err, i == 0 ? "dim[3] is 1099511627776" : "too many voxels");
    }
}

static void dimensions_past_the_fourth_must_be_one(void)
{
    struct image m;
    struct bm_error err = {0};

    make_image(&m);
    put_i16(&m, 40, 6);
    struct bm_nifti *n = open_image(&m, &err);
    CHECK(n && bm_nifti_info(n)->volumes == NT);
    bm_nifti_close(n);
    put_i16(&m, 52, 2);
    refuses(&m, "dim[6] is 2");
    put_i16(&m, 40, 4); /* and are not looked at where dim[0] does not count them */
    n = open_image(&m, &err);
    CHECK(n);
    bm_nifti_close(n);
}

static void scaling(void)
{
    static const struct {
        float slope, inter;
        double want_slope, want_inter;
    } rows[] = {{2, 3, 2, 3},        {0, 3, 1, 0},        {NAN, 3, 1, 0},
                {INFINITY, 3, 1, 0}, {-0.5F, 0, -0.5, 0}, {NAN, NAN, 1, 0}};

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct image m;
        struct bm_error err = {0};
        make_image(&m);
        put_f32(&m, 112, rows[i].slope);
        put_f32(&m, 116, rows[i].inter);
        struct bm_nifti *n = open_image(&m, &err);
        REQUIRE(n, &err);
        CHECK_ROW(bm_nifti_info(n)->slope == rows[i].want_slope && bm_nifti_info(n)->inter == rows[i].want_inter, i);
        bm_nifti_close(n);
    }
}

static void repetition_time(void)
{
    static const struct {
        float value;
        unsigned char units;
        double want;
        const char *doubt;
    } rows[] = {
        {2, 10, 2, ""},
        {1500, 18, 1.5, ""},
        {1500000, 26, 1.5, ""},
        {2, 2, 2, "seconds assumed"},
        {2, 0, 2, "seconds assumed"},
        {2, 34, 2, "seconds assumed"}, /* Hz */
        {0, 10, 0, "no repetition time"},
        {-2, 10, 0, "no repetition time"},
        {NAN, 10, 0, "no repetition time"},
        {2000, 10, 2000, "no plausible"},
        {2, 18, 0.002, "no plausible"},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct image m;
        struct bm_error err = {0};
        make_image(&m);
        put_f32(&m, 92, rows[i].value);
        m.bytes[123] = rows[i].units;
        struct bm_nifti *n = open_image(&m, &err);
        REQUIRE(n, &err);
        const struct bm_nifti_info *info = bm_nifti_info(n);
        CHECK_ROW(fabs(info->tr - rows[i].want) < 1e-9 && strstr(info->tr_doubt, rows[i].doubt) != NULL, i);
        CHECK_ROW(rows[i].doubt[0] || !info->tr_doubt[0], i);
        bm_nifti_close(n);
    }
}

static void orientation_by_the_standards_rule(void)
{
    struct image m;
    struct bm_error err = {0};
    const struct bm_grid by_pixdim = {{NX, NY, NZ}, {{2, 0, 0, 0}, {0, 2.5, 0, 0}, {0, 0, 3, 0}}};
    /* half a turn about z, qfac -1 */
    const struct bm_grid by_qform = {{NX, NY, NZ}, {{-2, 0, 0, 7}, {0, -2.5, 0, 8}, {0, 0, -3, 9}}};

    make_image(&m);
    put_i16(&m, 254, 0);
    struct bm_nifti *n = open_image(&m, &err);
    REQUIRE(n, &err);
    CHECK(strcmp(bm_nifti_info(n)->affine_from, "pixdim") == 0 && bm_grid_same(&bm_nifti_info(n)->grid, &by_pixdim));
    bm_nifti_close(n);
    put_i16(&m, 252, 1);
    put_f32(&m, 76, -1);
    put_f32(&m, 264, 1); /* quatern_d */
    for (int i = 0; i < 3; i++)
        put_f32(&m, 268 + 4 * (size_t)i, (float)(7 + i));
    n = open_image(&m, &err);
    REQUIRE(n, &err);
    CHECK(strcmp(bm_nifti_info(n)->affine_from, "qform") == 0 && bm_grid_same(&bm_nifti_info(n)->grid, &by_qform));
    bm_nifti_close(n);
    put_f32(&m, 260, 0.5F);
    refuses(&m, "quatern_b, c, d squared is 1.25");
    put_f32(&m, 260, 0);
    put_f32(&m, 84, -2.5F);
    refuses(&m, "pixdim[2] is -2.5");
    put_i16(&m, 254, 1); /* which nobody minds where the sform rules */
    n = open_image(&m, &err);
    CHECK(n && bm_grid_same(&bm_nifti_info(n)->grid, &grid));
    bm_nifti_close(n);
}

/* NIfTI-2 of one voxel by default, in which `at` gets a number of 8 bytes. */
struct image2 {
    unsigned char bytes[544 + 16];
};

static void put_i64(struct image2 *m, size_t at, int64_t v)
{
    memcpy(m->bytes + at, &v, 8);
}

static void put_f64(struct image2 *m, size_t at, double v)
{
    memcpy(m->bytes + at, &v, 8);
}

static void make_image2(struct image2 *m)
{
    memset(m, 0, sizeof *m);
    m->bytes[0] = 540 & 0xFF;
    m->bytes[1] = 540 >> 8;
    memcpy(m->bytes + 4, "n+2\0\r\n\032\n", 8);
    m->bytes[12] = 64; /* float64 */
    m->bytes[14] = 64;
    put_i64(m, 16, 4);
    for (size_t i = 1; i < 8; i++)
        put_i64(m, 16 + 8 * i, 1);
    for (size_t i = 1; i < 5; i++)
        put_f64(m, 104 + 8 * i, 2);
    put_i64(m, 168, 544);
}

/* What no NIfTI-1 header can say. */
static void fields_of_the_second_version(void)
{
    static const struct {
        int64_t dims[4], offset;
        double scale;
        int sform, units, magic;
        const char *says; /* NULL: it is read */
    } rows[] = {
        {{1, 1, 1, 1}, 544, 2, 0, 0, 0, NULL},
        {{1, 1, 1, 1}, 544, 2, 0, 0, 1, NULL}, /* no line ends behind the magic: as some write it */
        {{1, 1, 1, 1}, 544, 2, 0, 0, 2, "line ends were changed"},
        {{1 << 13, 1 << 13, 1 << 13, INT32_MAX}, 544, 2, 0, 0, 0, "claim more data than any file can hold"},
        {{1 << 13, 1 << 13, 1 << 13, 1 << 21}, 544, 2, 0, 0, 0, "claim more data than any file can hold"},
        {{1 << 13, 1 << 13, 1 << 13, (1 << 22) - 1}, 1000000000000000, 2, 0, 0, 0, "claim more data than any"},
        {{1, 1, 1, 1}, 2000000000000000, 2, 0, 0, 0, "no position in a file"},
        {{1, 1, 1, 1}, 544, 1e308, 1, 1, 0, "the affine made of it is beyond all numbers"},
        {{1, 1, 1, 1}, 544, 1e308, 1, 2, 0, NULL},
        {{(int64_t)1 << 31, 1, 1, 1}, 544, 2, 0, 0, 0, "dim[1] is 2147483648"},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct bm_error err = {0};
        struct image2 m;
        make_image2(&m);
        for (size_t k = 0; k < 4; k++)
            put_i64(&m, 24 + 8 * k, rows[i].dims[k]);
        put_i64(&m, 168, rows[i].offset);
        m.bytes[348] = (unsigned char)rows[i].sform;
        m.bytes[500] = (unsigned char)rows[i].units;
        for (size_t k = 0; k < 3; k++)
            put_f64(&m, 400 + 40 * k, rows[i].scale);
        memcpy(m.bytes + 8, rows[i].magic == 0 ? "\r\n\032\n" : rows[i].magic == 1 ? "\0\0\0\0" : "\n\032\n\0", 4);
        struct bm_nifti *n = bm_nifti_open(put_file("two.nii", m.bytes, 552), &err);
        CHECK_ROW((n != NULL) == !rows[i].says, i);
        if (rows[i].says)
            CHECK_ERR_CONTAINS(&err, rows[i].says);
        bm_nifti_close(n);
    }
}

/* An axis that is not there needs no voxel size. */
static void images_of_two_dimensions(void)
{
    struct bm_error err = {0};
    struct image m;

    make_image(&m);
    put_i16(&m, 40, 2);
    put_i16(&m, 254, 0);
    put_f32(&m, 88, 0);
    struct bm_nifti *n = bm_nifti_open(put_file("m.nii", m.bytes, 352 + 2 * NX * NY), &err);
    REQUIRE(n, &err);
    CHECK(bm_nifti_info(n)->grid.dims[2] == 1 && bm_nifti_info(n)->grid.affine[2][2] == 1);
    bm_nifti_close(n);
    put_i16(&m, 40, 3);
    refuses(&m, "pixdim[3] is 0");
}

static void headers_of_every_type(void)
{
    for (enum bm_dtype t = BM_I8; t <= BM_F64; t++) {
        unsigned char bytes[352 + 8 * VOXELS] = {0};
        struct bm_error err = {0};
        bm_nifti1_header(bytes, &grid, 1, t, 2, "test");
        struct bm_nifti *n = bm_nifti_open(put_file("t.nii", bytes, 352 + bm_dtype_size(t) * VOXELS), &err);
        CHECK_ROW(t == BM_F16 ? !n : n && bm_nifti_info(n)->dtype == t, t); /* NIfTI has no half */
        bm_nifti_close(n);
    }
}

/* Header, four bytes that say whether extensions follow, and `n` bytes of them before the samples. */
static struct bm_nifti *open_extended(const void *extensions, size_t n, struct bm_error *err)
{
    struct image m;
    unsigned char longer[sizeof m.bytes + 512];

    make_image(&m);
    put_f32(&m, 108, (float)(352 + n));
    m.bytes[348] = 1;
    memcpy(longer, m.bytes, 352);
    memcpy(longer + 352, extensions, n);
    memcpy(longer + 352 + n, m.bytes + 352, sizeof m.bytes - 352);
    return bm_nifti_open(put_file("m.nii", longer, sizeof m.bytes + n), err);
}

static void extensions_are_walked(void)
{
    static const int32_t two[12] = {16, 4, 0, 0, 32, 6};
    int16_t v[VOXELS];

    for (size_t padding = 0; padding < 48; padding += 5) {
        struct bm_error err = {0};
        unsigned char bytes[96] = {0};
        memcpy(bytes, two, sizeof two);
        struct bm_nifti *n = open_extended(bytes, sizeof two + padding, &err);
        REQUIRE(n, &err);
        const struct bm_nifti_info *info = bm_nifti_info(n);
        CHECK_ROW(info->extensions == 2 && !info->doubt[0], padding);
        CHECK(info->extension[0].code == 4 && info->extension[0].size == 16);
        CHECK(info->extension[1].code == 6 && info->extension[1].size == 32);
        CHECK_ROW(bm_nifti_next(n, v, &err) == 1 && v[0] == 0 && v[7] == 7, padding);
        bm_nifti_close(n);
    }
}

static void more_extensions_than_are_kept(void)
{
    int32_t many[20][4] = {{0}};
    struct bm_error err = {0};

    for (int32_t i = 0; i < 20; i++) {
        many[i][0] = 16;
        many[i][1] = i + 2;
    }
    struct bm_nifti *n = open_extended(many, sizeof many, &err);
    REQUIRE(n, &err);
    CHECK(bm_nifti_info(n)->extensions == 20);
    CHECK(bm_nifti_info(n)->extension[BM_NIFTI_EXTENSIONS - 1].code == (int)BM_NIFTI_EXTENSIONS + 1);
    bm_nifti_close(n);
}

static void extensions_that_are_not_there_are_named(void)
{
    static const struct {
        int32_t words[8];
        size_t n;
        const char *why;
    } rows[] = {
        {{0}, 0, "extension[0] is 1, but there is no extension"},
        {{16, 6, 0}, 12, "extension[0] is 1, but there is no extension"},
        {{0}, 32, "extension[0] is 1, but there is no extension"},
        {{0, 6}, 32, "extension 1: esize is 0"},
        {{7, 6}, 32, "extension 1: esize is 7"},
        {{-16, 6}, 32, "extension 1: esize is -16"},
        {{48, 6}, 32, "extension 1: esize is 48"},
        {{16, 6, 0, 0, 32, 6}, 32, "extension 2: esize is 32"},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct bm_error err = {0};
        CHECK_ROW(!open_extended(rows[i].words, rows[i].n, &err), i);
        CHECK_ERR_CONTAINS(&err, rows[i].why);
    }
}

/* The figures are nibabel's Spm2AnalyzeImage's. */
static void analyze_as_spm2_reads_it(void)
{
    static const struct {
        float slope, inter, cal_max, cal_min;
        int glmax, glmin;
        double want_slope, want_inter;
        bool ranges;
    } rows[] = {
        {0.5F, 3, 9, 0, 9, 0, 0.5, 3, false},     {0.5F, NAN, 0, 0, 0, 0, 0.5, 0, false},
        {0, 3, 0, 0, 0, 0, 1, 0, false},          {NAN, 3, 2, 0, 0, 0, 1, 0, false},
        {0, 3, 2, 2, 110, 10, 1, 0, false},       {0, 3, 2, -2, 110, 10, 0.04, -2.4, true},
        {INFINITY, 0, 1, 0, 4, 0, 0.25, 0, true},
    };
    struct image m;

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct bm_error err = {0};
        make_image(&m);
        memset(m.bytes + 344, 0, 4);
        memset(m.bytes + 252, 0, 76);
        put_f32(&m, 108, 0);
        put_f32(&m, 112, rows[i].slope);
        put_f32(&m, 116, rows[i].inter);
        put_f32(&m, 124, rows[i].cal_max);
        put_f32(&m, 128, rows[i].cal_min);
        put_i16(&m, 140, rows[i].glmax);
        put_i16(&m, 144, rows[i].glmin);
        put_i16(&m, 253, 3); /* the origin: voxel 3, 2, 1 from 1 */
        put_i16(&m, 255, 2);
        put_i16(&m, 257, i == 0 ? 60 : 1); /* or too far away: the middle, then */
        (void)put_file("y.img", m.bytes + 352, sizeof m.bytes - 352);
        struct bm_nifti *n = bm_nifti_open(put_file("y.hdr", m.bytes, 348), &err);
        REQUIRE(n, &err);
        const struct bm_nifti_info *info = bm_nifti_info(n);
        CHECK_ROW(info->analyze && strcmp(info->affine_from, "analyze") == 0 && info->doubt[0], i);
        CHECK_ROW(fabs(info->slope - rows[i].want_slope) < 1e-12 && fabs(info->inter - rows[i].want_inter) < 1e-12,
                  i);
        CHECK_ROW(info->scaled_by_ranges == rows[i].ranges, i);
        CHECK_ROW(info->grid.affine[0][0] == -2 && info->grid.affine[0][3] == 4, i);
        CHECK_ROW(info->grid.affine[1][3] == (i == 0 ? -3.75 : -2.5) && info->grid.affine[2][3] == (i == 0 ? -3 : 0),
                  i);
        CHECK_ROW(info->tr == 1.5 && strstr(info->tr_doubt, "seconds assumed"), i);
        bm_nifti_close(n);
    }
}

/* Reads all that a file offers: within its length, or an error. */
static void read_through(const char *path, size_t length, size_t row)
{
    struct bm_error err = {0};
    struct bm_nifti *n = bm_nifti_open(path, &err);

    if (!n) {
        CHECK_ROW(err.code == BM_EDATA && err.text[0], row);
        return;
    }
    unsigned char *v = malloc(bm_nifti_volume_bytes(n));
    CHECK_ROW(v && bm_nifti_volume_bytes(n) <= length, row);
    while (v && bm_nifti_next(n, v, &err) == 1)
        ;
    CHECK_ROW(bm_nifti_finish(n, NULL, NULL, &err) == 0 || err.text[0], row);
    free(v);
    bm_nifti_close(n);
}

/* Whatever a single byte says, of a header of Analyze or of extensions. */
static void spoiled_bytes_do_no_harm(void)
{
    static const unsigned char values[] = {0, 1, 0x7F, 0x80, 0xFF};
    static const int32_t two[12] = {16, 4, 0, 0, 32, 6};
    struct image m;
    unsigned char analyze[348], longer[sizeof m.bytes + sizeof two];

    make_image(&m);
    (void)put_file("s.img", m.bytes + 352, sizeof m.bytes - 352);
    memcpy(analyze, m.bytes, 348);
    memset(analyze + 252, 0, 96);
    put_f32(&m, 108, 352 + sizeof two);
    m.bytes[348] = 1;
    memcpy(longer, m.bytes, 352);
    memcpy(longer + 352, two, sizeof two);
    memcpy(longer + 352 + sizeof two, m.bytes + 352, sizeof m.bytes - 352);
    for (size_t i = 0; i < 348 * sizeof values; i++) {
        const size_t at = i / sizeof values, in_extension = 344 + at % 64;
        unsigned char was = analyze[at];
        analyze[at] = values[i % sizeof values];
        read_through(put_file("s.hdr", analyze, sizeof analyze), sizeof m.bytes, i);
        analyze[at] = was;
        was = longer[in_extension];
        longer[in_extension] = values[i % sizeof values];
        read_through(put_file("s.nii", longer, sizeof longer), sizeof m.bytes, i);
        longer[in_extension] = was;
    }
}

int main(void)
{
    static const struct unit_test all[] = {
        UNIT(header_fields_that_lie_are_named),
        UNIT(real_fields_that_lie_are_named),
        UNIT(products_of_dimensions_do_not_wrap),
        UNIT(fields_of_the_second_version),
        UNIT(images_of_two_dimensions),
        UNIT(headers_of_every_type),
        UNIT(dimensions_past_the_fourth_must_be_one),
        UNIT(extensions_are_walked),
        UNIT(more_extensions_than_are_kept),
        UNIT(extensions_that_are_not_there_are_named),
        UNIT(analyze_as_spm2_reads_it),
        UNIT(spoiled_bytes_do_no_harm),
        UNIT(scaling),
        UNIT(repetition_time),
        UNIT(orientation_by_the_standards_rule),
    };

    return unit_main(all, COUNT(all));
}
