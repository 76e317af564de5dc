#include "core/mem.h"
#include "files.h"
#include "io/nifti.h"
#include "io/scan.h"
#include "unit.h"

#include <math.h>

enum { NX = 5, NY = 4, NZ = 3, NT = 2, VOXELS = NX * NY * NZ };

static const struct bm_grid grid = {{NX, NY, NZ}, {{2, 0, 0, -10}, {0, 2.5, 0, -20}, {0, 0, 3, 30}}};

/* A file of int16 0, 1, 2, ...: header and samples in one buffer that tests then spoil. */
struct image {
    unsigned char bytes[352 + VOXELS * NT * 2];
};

static void make_image(struct image *m)
{
    bm_nifti1_header(m->bytes, &grid, NT, BM_I16, 1.5, "test");
    for (int i = 0; i < VOXELS * NT; i++) {
        m->bytes[352 + 2 * i] = (unsigned char)i;
        m->bytes[353 + 2 * i] = (unsigned char)(i >> 8);
    }
}

static void put_i16(struct image *m, size_t at, int v)
{
    m->bytes[at] = (unsigned char)v;
    m->bytes[at + 1] = (unsigned char)(v >> 8);
}

static void put_f32(struct image *m, size_t at, float v)
{
    memcpy(m->bytes + at, &v, 4);
}

static struct bm_nifti *open_image(const struct image *m, struct bm_error *err)
{
    return bm_nifti_open(put_file("m.nii", m->bytes, sizeof m->bytes), err);
}

static void refuses(const struct image *m, const char *why)
{
    struct bm_error err = {0};
    struct bm_nifti *n = open_image(m, &err);

    if (n)
        unit_fail("opened in spite of \"%s\"", why);
    bm_nifti_close(n);
    CHECK_ERR_CONTAINS(&err, why);
    CHECK_ERR_CONTAINS(&err, "m.nii: ");
    CHECK(err.code == BM_EDATA);
}

static void what_we_write_we_read(void)
{
    struct image m;
    struct bm_error err = {0};
    int16_t v[VOXELS];
    size_t skipped = 9;
    uint64_t trailing = 9;

    make_image(&m);
    struct bm_nifti *n = open_image(&m, &err);
    REQUIRE(n, &err);
    const struct bm_nifti_info *info = bm_nifti_info(n);
    CHECK(info->version == 1 && !info->big_endian && !info->pair && info->dtype == BM_I16 && info->volumes == NT);
    CHECK(bm_grid_same(&info->grid, &grid) && strcmp(info->affine_from, "sform") == 0);
    CHECK(info->slope == 1 && info->inter == 0 && info->tr == 1.5 && !info->tr_doubt[0]);
    CHECK(bm_nifti_volume_bytes(n) == sizeof v);
    for (int t = 0; t < NT; t++) {
        CHECK(bm_nifti_next(n, v, &err) == 1);
        CHECK(v[0] == t * VOXELS && v[VOXELS - 1] == t * VOXELS + VOXELS - 1);
    }
    CHECK(bm_nifti_next(n, v, &err) == 0);
    CHECK(bm_nifti_finish(n, &skipped, &trailing, &err) == 0 && skipped == 0 && trailing == 0);
    CHECK(bm_nifti_bytes(n) == sizeof m.bytes && bm_nifti_crc32(n) == crc32_z(0, m.bytes, sizeof m.bytes));
    bm_nifti_close(n);
}

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

static void huge_claims_are_refused_early(void)
{
    struct image m;
    struct bm_error err = {0};
    unsigned char gz[2000];

    make_image(&m);
    for (size_t at = 42; at < 50; at += 2)
        put_i16(&m, at, 32767);
    refuses(&m, "too many voxels");
    for (size_t at = 42; at < 48; at += 2)
        put_i16(&m, at, 8000);
    size_t size = gzip_member(gz, sizeof gz, m.bytes, sizeof m.bytes, 0);
    CHECK(!bm_nifti_open(put_file("huge.nii.gz", gz, size), &err));
    CHECK_ERR_CONTAINS(&err, "too few for the");
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
    int32_t many[20][4];
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

static void every_truncation_shows(void)
{
    struct image m;
    int16_t v[VOXELS];

    make_image(&m);
    for (size_t cut = 0; cut < sizeof m.bytes; cut++) {
        struct bm_error err = {0};
        struct bm_nifti *n = bm_nifti_open(put_file("cut.nii", m.bytes, cut), &err);
        CHECK_ROW(!n && err.code == BM_EDATA, cut);
        CHECK_ERR_CONTAINS(&err, "cut.nii: ");
        bm_nifti_close(n);
        unsigned char gz[2000]; /* an intact gzip file around a NIfTI file that was cut */
        err = (struct bm_error){0};
        n = bm_nifti_open(put_file("cut.nii.gz", gz, gzip_member(gz, sizeof gz, m.bytes, cut, 0)), &err);
        int rc = n ? 1 : -1;
        while (rc == 1)
            rc = bm_nifti_next(n, v, &err);
        CHECK_ROW(rc == -1 && err.code == BM_EDATA, cut);
        bm_nifti_close(n);
    }
}

static void volumes_left_over_are_counted(void)
{
    struct image m;
    struct bm_error err = {0};
    unsigned char longer[sizeof m.bytes + VOXELS * 2];
    size_t skipped;
    uint64_t trailing;
    int16_t v[VOXELS];

    make_image(&m);
    memset(longer, 0, sizeof longer);
    memcpy(longer, m.bytes, sizeof m.bytes);
    struct bm_nifti *n = bm_nifti_open(put_file("l.nii", longer, sizeof longer - 1), &err);
    REQUIRE(n, &err);
    CHECK(bm_nifti_next(n, v, &err) == 1);
    CHECK(bm_nifti_finish(n, &skipped, &trailing, &err) == 0 && skipped == 1 && trailing == VOXELS * 2 - 1);
    bm_nifti_close(n);
    n = bm_nifti_open(put_file("l.nii", longer, sizeof longer), &err);
    REQUIRE(n, &err);
    CHECK(bm_nifti_finish(n, NULL, NULL, &err) == -1);
    CHECK_ERR_CONTAINS(&err, "bytes follow the 2 volumes");
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

static void swap(unsigned char *p, size_t size, size_t n)
{
    for (; n > 0; n--, p += size)
        for (size_t i = 0; i < size / 2; i++) {
            unsigned char t = p[i];
            p[i] = p[size - 1 - i];
            p[size - 1 - i] = t;
        }
}

/* Turns a whole file of ours to the other byte order. */
static void swap_image(struct image *m)
{
    static const struct {
        size_t at, size, n;
    } fields[] = {{0, 4, 1},   {40, 2, 8},  {70, 2, 2},   {76, 4, 8},
                  {108, 4, 3}, {252, 2, 2}, {256, 4, 18}, {352, 2, VOXELS * NT}};

    for (size_t i = 0; i < COUNT(fields); i++)
        swap(m->bytes + fields[i].at, fields[i].size, fields[i].n);
}

static void big_endian_files_give_native_samples(void)
{
    struct image m;
    struct bm_error err = {0};
    int16_t v[VOXELS];

    make_image(&m);
    swap_image(&m);
    struct bm_nifti *n = open_image(&m, &err);
    REQUIRE(n, &err);
    CHECK(bm_nifti_info(n)->big_endian && bm_grid_same(&bm_nifti_info(n)->grid, &grid) &&
          bm_nifti_info(n)->tr == 1.5);
    CHECK(bm_nifti_next(n, v, &err) == 1 && bm_nifti_next(n, v, &err) == 1);
    CHECK(v[0] == VOXELS && v[VOXELS - 1] == 2 * VOXELS - 1);
    bm_nifti_close(n);
}

static void pairs(void)
{
    static const char *const names[][2] = {{"a.hdr", "a.img"}, {"b.hdr", "b.img.gz"}, {"c.hdr.gz", "c.img"}};
    struct image m;
    unsigned char gz[3000];
    int16_t v[VOXELS];

    make_image(&m);
    memcpy(m.bytes + 344, "ni1", 4);
    put_f32(&m, 108, 0);
    for (size_t i = 0; i < COUNT(names); i++) {
        const unsigned char *parts[2] = {m.bytes, m.bytes + 352};
        const size_t sizes[2] = {348, sizeof m.bytes - 352};
        for (int h = 0; h < 2; h++) {
            bool z = strstr(names[i][h], ".gz") != NULL;
            size_t n = z ? gzip_member(gz, sizeof gz, parts[h], sizes[h], 0) : sizes[h];
            (void)put_file(names[i][h], z ? gz : parts[h], n);
        }
        for (int h = 0; h < 2; h++) { /* by either name */
            struct bm_error err = {0};
            struct bm_nifti *n = bm_nifti_open(scratch(names[i][h]), &err);
            REQUIRE(n, &err);
            CHECK(bm_nifti_info(n)->pair && bm_nifti_next(n, v, &err) == 1 && v[7] == 7);
            CHECK(bm_nifti_finish(n, NULL, NULL, &err) == 0 && bm_nifti_bytes(n) == sizes[1]);
            bm_nifti_close(n);
        }
    }
    struct bm_error err = {0};
    CHECK(unlink(scratch("a.img")) == 0 && !bm_nifti_open(scratch("a.hdr"), &err));
    CHECK_ERR_CONTAINS(&err, "is missing");
    err = (struct bm_error){0};
    CHECK(!bm_nifti_open(put_file("d.img", m.bytes, 10), &err));
    CHECK_ERR_CONTAINS(&err, "is missing");
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
        {0, 3, 2, -2, 110, 10, 0.04, -2.4, true}, {INFINITY, 0, 1, 0, 4, 0, 0.25, 0, true},
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

/* Two 3-D files, of slope `slope` and type int16: 0, 1, 2, ... and 60, 61, ... */
static void put_parts(float slope, int tr)
{
    struct image m;
    unsigned char part[352 + VOXELS * 2];

    make_image(&m);
    put_i16(&m, 40, 3);
    for (size_t i = 0; i < 2; i++) {
        put_f32(&m, 112, i == 0 ? 1 : slope);
        put_f32(&m, 92, (float)(i == 0 ? 2 : tr));
        memcpy(part, m.bytes, 352);
        memcpy(part + 352, m.bytes + 352 + i * VOXELS * 2, VOXELS * 2);
        (void)put_file(i == 0 ? "p0.nii" : "p1.nii", part, sizeof part);
    }
}

static void a_list_of_files_is_one_scan(void)
{
    for (int kind = 0; kind < 2; kind++) { /* all alike, or scaled differently */
        put_parts(kind == 0 ? 1 : 0.5F, kind == 0 ? 2 : 3);
        const char *const paths[] = {scratch("p0.nii"), scratch("p1.nii")};
        struct bm_error err = {0};
        double wide[VOXELS];
        size_t skipped = 9;
        uint64_t trailing = 9;
        struct bm_scan *s = bm_scan_open(paths, 2, NULL, &err);
        REQUIRE(s, &err);
        const struct bm_nifti_info *info = bm_scan_info(s);
        CHECK(info->volumes == 2 && info->dtype == (kind == 0 ? BM_I16 : BM_F64));
        CHECK(info->slope == 1 && info->inter == 0 && info->tr == (kind == 0 ? 2 : 0));
        CHECK_ROW(strstr(info->tr_doubt, kind == 0 ? "no time axis" : "differs"), kind);
        CHECK(bm_scan_volume_bytes(s) == VOXELS * bm_dtype_size(info->dtype));
        for (int t = 0; t < 2; t++) {
            CHECK_ROW(bm_scan_next(s, wide, &err) == 1, t);
            CHECK_ROW(kind == 0 ? ((int16_t *)wide)[7] == t * VOXELS + 7 : wide[7] == (t ? 33.5 : 7), t);
        }
        CHECK(bm_scan_next(s, wide, &err) == 0 && bm_scan_finish(s, &skipped, &trailing, &err) == 0);
        CHECK(skipped == 0 && trailing == 0 && bm_scan_raw_count(s) == 2 * (352 + VOXELS * 2));
        CHECK(bm_scan_bytes(s, 1) == 352 + VOXELS * 2 && bm_scan_crc32(s, 0) != bm_scan_crc32(s, 1));
        bm_scan_close(s);
        s = bm_scan_open(paths, 2, NULL, &err); /* what is not asked for is read all the same */
        REQUIRE(s, &err);
        CHECK(bm_scan_next(s, wide, &err) == 1 && bm_scan_finish(s, &skipped, NULL, &err) == 0 && skipped == 1);
        CHECK(bm_scan_raw_count(s) == 2 * (352 + VOXELS * 2) && bm_scan_bytes(s, 1) > 0);
        bm_scan_close(s);
    }
}

static void one_volume_as_doubles_in_c_order(void)
{
    struct image m;
    struct bm_error err = {0};
    struct bm_grid g;
    double *v = NULL;

    make_image(&m);
    CHECK(bm_nifti_read_volume(put_file("m.nii", m.bytes, sizeof m.bytes), &g, &v, &err) == -1);
    CHECK_ERR_CONTAINS(&err, "holds 2 volumes where one is wanted");
    put_i16(&m, 40, 3);
    put_f32(&m, 112, 0.5F);
    put_f32(&m, 116, 1);
    err = (struct bm_error){0};
    int rc = bm_nifti_read_volume(put_file("m.nii", m.bytes, sizeof m.bytes - VOXELS * 2), &g, &v, &err);
    REQUIRE(rc == 0, &err);
    for (int x = 0; x < NX; x++)
        for (int y = 0; y < NY; y++)
            for (int z = 0; z < NZ; z++)
                CHECK(v[(x * NY + y) * NZ + z] == 0.5 * (x + NX * (y + NY * z)) + 1);
    CHECK(bm_grid_same(&g, &grid));
    free(v);
}

static void files_by_other_writers(void)
{
    static const struct {
        const char *name;
        enum bm_dtype dtype;
        int64_t x, y, z;
        size_t volumes;
        bool big;
    } rows[] = {
        {"example_nifti2.nii.gz", BM_I16, 32, 20, 12, 2, false},
        {"float32.nii", BM_F32, 3, 3, 3, 1, false},
        {"float64.nii", BM_F64, 3, 3, 3, 1, false},
        {"functional_scaled_int16.nii", BM_I16, 17, 21, 3, 20, false},
        {"int16.nii", BM_I16, 3, 3, 3, 1, false},
        {"int32.nii", BM_I32, 3, 3, 3, 1, false},
        {"int64.nii", BM_I64, 3, 3, 3, 1, false},
        {"int8.nii", BM_I8, 3, 3, 3, 1, false},
        {"minimal.hdr", BM_U8, 64, 64, 10, 1, true},
        {"minimal.img", BM_U8, 64, 64, 10, 1, true},
        {"minimal.nii", BM_U8, 64, 64, 10, 1, true},
        {"minimal.nii.gz", BM_U8, 64, 64, 10, 1, true},
        {"minimal2.hdr", BM_U8, 64, 64, 10, 1, true},
        {"minimal2.img.gz", BM_U8, 64, 64, 10, 1, true},
        {"minimal_extended_hdr.nii", BM_F64, 8, 8, 1, 1, false},
        {"uint16.nii", BM_U16, 3, 3, 3, 1, false},
        {"uint32.nii", BM_U32, 3, 3, 3, 1, false},
        {"uint64.nii", BM_U64, 3, 3, 3, 1, false},
        {"uint8.nii", BM_U8, 3, 3, 3, 1, false},
    };

    if (!shared_file("conformance"))
        SKIP("no public test data in ../shared/data (or $BM_SHARED)");
    for (size_t i = 0; i < COUNT(rows); i++) {
        char name[100];
        struct bm_error err = {0};
        (void)snprintf(name, sizeof name, "conformance/%s", rows[i].name);
        struct bm_nifti *n = bm_nifti_open(shared_file(name), &err);
        REQUIRE(n, &err);
        const struct bm_nifti_info *info = bm_nifti_info(n);
        const int64_t *d = info->grid.dims;
        CHECK_ROW(info->dtype == rows[i].dtype && d[0] == rows[i].x && d[1] == rows[i].y && d[2] == rows[i].z, i);
        CHECK_ROW(info->volumes == rows[i].volumes && info->big_endian == rows[i].big, i);
        unsigned char *v = malloc(bm_nifti_volume_bytes(n));
        double first[2] = {0};
        CHECK_ROW(v && bm_nifti_next(n, v, &err) == 1, i);
        bm_to_double(first, v, info->dtype, 2); /* they count up in C order */
        CHECK_ROW(d[0] != 3 || (first[0] == 0 && first[1] == 9), i);
        CHECK_ROW(bm_nifti_finish(n, NULL, NULL, &err) == 0, i);
        free(v);
        bm_nifti_close(n);
    }
}

/* The figures are nibabel's: data[0, 0, 0, 0] and the affine of functional_scaled_int16.nii. */
static void values_agree_with_nibabel(void)
{
    struct bm_error err = {0};
    int16_t v[17 * 21 * 3];
    const char *path = shared_file("conformance/functional_scaled_int16.nii");

    if (!path)
        SKIP("no public test data in ../shared/data (or $BM_SHARED)");
    struct bm_nifti *n = bm_nifti_open(path, &err);
    REQUIRE(n, &err);
    const struct bm_nifti_info *info = bm_nifti_info(n);
    CHECK(bm_nifti_next(n, v, &err) == 1);
    CHECK(fabs(info->slope * v[0] + info->inter - 4004.1372025) < 1e-6);
    CHECK(info->grid.affine[0][0] == -4 && info->grid.affine[0][3] == 32 && info->grid.affine[2][2] == 8);
    CHECK(info->tr == 2 && !info->tr_doubt[0]);
    bm_nifti_close(n);
}

static void files_that_are_refused(void)
{
    static const char *const rows[][2] = {
        {"conformance/complex32.nii", "complex64"}, {"conformance/rgb24.nii", "RGB24"},
        {"malformed/fuzz1.nii", "not NIfTI"},       {"malformed/fuzz2.nii", "not NIfTI"},
        {"malformed/fuzz3.nii", "not NIfTI"},       {"malformed/fuzz4.nii", "not NIfTI"},
        {"malformed/fuzz5.nii", "not NIfTI"},
    };

    if (!shared_file("malformed"))
        SKIP("no public test data in ../shared/data (or $BM_SHARED)");
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct bm_error err = {0};
        CHECK_ROW(!bm_nifti_open(shared_file(rows[i][0]), &err), i);
        CHECK_ERR_CONTAINS(&err, rows[i][1]);
    }
}

/* Whatever a single byte of the header says, the file is read within its length or refused. */
static void spoiled_headers_do_no_harm(void)
{
    static const unsigned char values[] = {0, 1, 0x7F, 0x80, 0xFF};
    struct image m;

    make_image(&m);
    for (size_t i = 0; i < 348 * sizeof values; i++) {
        struct bm_error err = {0};
        struct image spoiled = m;
        spoiled.bytes[i / sizeof values] = values[i % sizeof values];
        struct bm_nifti *n = open_image(&spoiled, &err);
        if (n) {
            unsigned char *v = malloc(bm_nifti_volume_bytes(n));
            CHECK_ROW(v && bm_nifti_volume_bytes(n) <= sizeof m.bytes, i);
            while (v && bm_nifti_next(n, v, &err) == 1)
                ;
            int rc = bm_nifti_finish(n, NULL, NULL, &err);
            CHECK_ROW(rc == 0 || err.text[0], i);
            free(v);
            bm_nifti_close(n);
        } else {
            CHECK_ROW(err.code == BM_EDATA && err.text[0], i);
        }
    }
}

int main(void)
{
    static const struct unit_test all[] = {
        UNIT(what_we_write_we_read),
        UNIT(header_fields_that_lie_are_named),
        UNIT(real_fields_that_lie_are_named),
        UNIT(dimensions_past_the_fourth_must_be_one),
        UNIT(huge_claims_are_refused_early),
        UNIT(extensions_are_walked),
        UNIT(more_extensions_than_are_kept),
        UNIT(extensions_that_are_not_there_are_named),
        UNIT(every_truncation_shows),
        UNIT(analyze_as_spm2_reads_it),
        UNIT(a_list_of_files_is_one_scan),
        UNIT(volumes_left_over_are_counted),
        UNIT(scaling),
        UNIT(repetition_time),
        UNIT(orientation_by_the_standards_rule),
        UNIT(big_endian_files_give_native_samples),
        UNIT(pairs),
        UNIT(one_volume_as_doubles_in_c_order),
        UNIT(files_by_other_writers),
        UNIT(values_agree_with_nibabel),
        UNIT(files_that_are_refused),
        UNIT(spoiled_headers_do_no_harm),
    };

    return unit_main(all, COUNT(all));
}
