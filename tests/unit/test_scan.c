#include "image.h"
#include "io/niftiruns.h"
#include "io/scan.h"

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
        union {
            double wide[VOXELS];
            int16_t narrow[VOXELS];
        } v;
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
            CHECK_ROW(bm_scan_next(s, &v, &err) == 1, t);
            CHECK_ROW(kind == 0 ? v.narrow[7] == t * VOXELS + 7 : v.wide[7] == (t ? 33.5 : 7), t);
        }
        CHECK(bm_scan_next(s, &v, &err) == 0 && bm_scan_finish(s, &skipped, &trailing, &err) == 0);
        CHECK(skipped == 0 && trailing == 0 && bm_scan_raw_count(s) == 2 * (352 + VOXELS * 2));
        CHECK(bm_scan_bytes(s, 1) == 352 + VOXELS * 2 && bm_scan_crc32(s, 0) != bm_scan_crc32(s, 1));
        bm_scan_close(s);
        s = bm_scan_open(paths, 2, NULL, &err); /* what is not asked for is read all the same */
        REQUIRE(s, &err);
        CHECK(bm_scan_next(s, &v, &err) == 1 && bm_scan_finish(s, &skipped, NULL, &err) == 0 && skipped == 1);
        CHECK(bm_scan_raw_count(s) == 2 * (352 + VOXELS * 2) && bm_scan_bytes(s, 1) > 0);
        bm_scan_close(s);
    }
}

static void lists_that_do_not_fit(void)
{
    struct bm_error err = {0};
    struct image m;

    put_parts(1, 2);
    make_image(&m);
    const char *whole[] = {scratch("p0.nii"), put_file("w.nii", m.bytes, sizeof m.bytes)};
    CHECK(!bm_scan_open(whole, 2, NULL, &err));
    CHECK_ERR_CONTAINS(&err, "w.nii: has 2 volumes");
    put_i16(&m, 40, 3);
    put_f32(&m, 292, 9); /* srow_x[3] */
    const char *moved[] = {scratch("p0.nii"), put_file("w.nii", m.bytes, sizeof m.bytes - VOXELS * 2)};
    err = (struct bm_error){0};
    CHECK(!bm_scan_open(moved, 2, NULL, &err));
    CHECK_ERR_CONTAINS(&err, "w.nii: its grid is");
    CHECK_ERR_CONTAINS(&err, "p0.nii is");
    const char *missing[] = {scratch("p0.nii"), scratch("none.nii")};
    err = (struct bm_error){0};
    CHECK(!bm_scan_open(missing, 2, NULL, &err) && err.code == BM_ESYS);
}

/* A file may be replaced between the look at all headers and the reading. */
static void a_file_that_changes_is_refused(void)
{
    struct bm_error err = {0};
    int16_t v[VOXELS];
    struct image m;

    put_parts(1, 2);
    const char *const paths[] = {scratch("p0.nii"), scratch("p1.nii")};
    struct bm_scan *s = bm_scan_open(paths, 2, NULL, &err);
    REQUIRE(s, &err);
    CHECK(bm_scan_next(s, v, &err) == 1);
    make_image(&m);
    put_i16(&m, 40, 3);
    put_i16(&m, 70, 8); /* int32: too large for the caller's buffer */
    put_i16(&m, 72, 32);
    (void)put_file("p1.nii", m.bytes, sizeof m.bytes);
    CHECK(bm_scan_next(s, v, &err) == -1);
    CHECK_ERR_CONTAINS(&err, "changes while it is being read");
    bm_scan_close(s);
}

static char *no_step(void *self, const struct bm_niftifile *files, size_t n, struct bm_error *err)
{
    (void)self;
    (void)files;
    (void)n;
    return bm_format(err, "{}");
}

/* 1: the first run came; -1: not even that. */
static int first_run(const struct bm_niftiruns_config *config, struct bm_error *err)
{
    struct bm_source *src = bm_niftiruns_source(config, err);
    const struct bm_run *run;
    const int got = src ? src->next_run(src, &run, err) : -1;

    if (src)
        src->close(src);
    return got;
}

/* Runs that do not fit what is asked for, and more threads than runs. */
static void runs_that_do_not_fit(void)
{
    static int64_t voxels[2] = {1, 7};
    struct image m;
    struct bm_error err = {0};
    make_image(&m);
    const char *path = put_file("run.nii", m.bytes, sizeof m.bytes), *absent = scratch("absent.nii");
    struct bm_niftirun two[2];
    for (int i = 0; i < 2; i++)
        two[i] = (struct bm_niftirun){.names = &path, .paths = &path, .nfiles = 1, .label = "run", .run = 1};
    struct bm_niftiruns_config config = {.runs = two,
                                         .nruns = 2,
                                         .grid = grid,
                                         .voxels = voxels,
                                         .nvoxels = 2,
                                         .threads = 5,
                                         .memory = 1 << 30,
                                         .step = no_step};

    CHECK(first_run(&config, &err) == 1);
    config.memory = 1;
    CHECK(first_run(&config, &err) == 1);
    config.grid.affine[0][3] += 1;
    CHECK(first_run(&config, &err) == -1);
    CHECK_ERR_CONTAINS(&err, "run.nii: its grid is");
    config.grid = grid;
    two[0].volumes = NT + 1;
    err = (struct bm_error){0};
    CHECK(first_run(&config, &err) == -1);
    CHECK_ERR_CONTAINS(&err, "run.nii: has 2 volumes where 3 are needed");
    two[0].volumes = 0;
    two[0].paths = &absent;
    err = (struct bm_error){0};
    CHECK(first_run(&config, &err) == -1 && err.code == BM_ESYS);
    CHECK_ERR_CONTAINS(&err, "absent.nii: cannot open");
}

int main(void)
{
    static const struct unit_test all[] = {
        UNIT(a_list_of_files_is_one_scan),
        UNIT(lists_that_do_not_fit),
        UNIT(a_file_that_changes_is_refused),
        UNIT(runs_that_do_not_fit),
    };

    return unit_main(all, COUNT(all));
}
