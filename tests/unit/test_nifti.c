#include "image.h"

#include <math.h>

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

/* A compressed file may be shorter than its size lets one think. */
static void volumes_that_are_missing_at_the_end(void)
{
    struct bm_error err = {0};
    unsigned char gz[3000];
    int16_t v[VOXELS];
    struct image m;

    make_image(&m);
    const size_t n = gzip_member(gz, sizeof gz, m.bytes, sizeof m.bytes - 100, 0);
    struct bm_nifti *in = bm_nifti_open(put_file("s.nii.gz", gz, n), &err);
    REQUIRE(in, &err);
    CHECK(bm_nifti_gzip(in) && bm_nifti_next(in, v, &err) == 1);
    CHECK(bm_nifti_finish(in, NULL, NULL, &err) == -1);
    CHECK_ERR_CONTAINS(&err, "s.nii.gz: ends within volume 2 of 2");
    bm_nifti_close(in);
    double *values;
    struct bm_grid g;
    err = (struct bm_error){0};
    CHECK(bm_nifti_read_volume(scratch("absent.nii"), &g, &values, &err) == -1 && err.code == BM_ESYS);
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
        UNIT(huge_claims_are_refused_early),
        UNIT(every_truncation_shows),
        UNIT(volumes_left_over_are_counted),
        UNIT(big_endian_files_give_native_samples),
        UNIT(pairs),
        UNIT(volumes_that_are_missing_at_the_end),
        UNIT(one_volume_as_doubles_in_c_order),
        UNIT(files_by_other_writers),
        UNIT(values_agree_with_nibabel),
        UNIT(files_that_are_refused),
        UNIT(spoiled_headers_do_no_harm),
    };

    return unit_main(all, COUNT(all));
}
