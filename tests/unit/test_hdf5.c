/* Each call of the HDF5 library that a writer or a reader makes fails once, in a call of its own, and then all from
 * there on. The call must say so and leave no file behind, or have done what it does without a failure. The linker
 * leads the library's calls here: make/check.mk.
 */
#include "files.h"
#include "io/hdf5_private.h"
#include "io/seriesfile.h"
#include "io/seriesfile_layout.h"
#include "io/seriesfile_seal.h"
#include "runs.h"

/* HDF5 1.10 does not free all of its own memory after a file could not be finished. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libhdf5";
}

int fsync(int fd) /* the disk is not what is tested here */
{
    (void)fd;
    return 0;
}

static long calls;    /* since fail_from() */
static long fails_at; /* the how-manieth fails; 0: none */
static bool lasts;
static const char *failed; /* the name of the first that did */

static bool fails(const char *name)
{
    calls++;
    if (!fails_at || (lasts ? calls < fails_at : calls != fails_at))
        return false;
    failed = calls == fails_at ? name : failed;
    return true;
}

static void fail_from(long at, bool on)
{
    fails_at = at;
    lasts = on;
    calls = 0;
}

#define WRAP(type, name, params, args, failure)                                                                      \
    type __real_##name params;                                                                                       \
    type __wrap_##name params;                                                                                       \
    type __wrap_##name params                                                                                        \
    {                                                                                                                \
        return fails(#name) ? (failure) : __real_##name args;                                                        \
    }

static long changes_at; /* the how-manieth tile reaches the file with another last byte; 0: none */

static const void *as_written(const void *data, size_t n)
{
    static unsigned char other[4096];

    if (!changes_at || --changes_at || n > sizeof other)
        return data;
    memcpy(other, data, n);
    other[n - 1] ^= 1;
    return other;
}

/* What closes something does so, and then says that it failed. */
#define WRAP_CLOSE(name)                                                                                             \
    herr_t __real_##name(hid_t id);                                                                                  \
    herr_t __wrap_##name(hid_t id);                                                                                  \
    herr_t __wrap_##name(hid_t id)                                                                                   \
    {                                                                                                                \
        const herr_t status = __real_##name(id);                                                                     \
        return fails(#name) ? -1 : status;                                                                           \
    }

WRAP_CLOSE(H5Aclose)
WRAP_CLOSE(H5Dclose)
WRAP_CLOSE(H5Fclose)
WRAP_CLOSE(H5Gclose)
WRAP(hid_t, H5Acreate2, (hid_t at, const char *name, hid_t type, hid_t space, hid_t acpl, hid_t aapl),
     (at, name, type, space, acpl, aapl), -1)
WRAP(htri_t, H5Aexists, (hid_t id, const char *name), (id, name), -1)
WRAP(herr_t, H5Awrite, (hid_t id, hid_t type, const void *data), (id, type, data), -1)
WRAP(hid_t, H5Dcreate2, (hid_t at, const char *name, hid_t type, hid_t space, hid_t lcpl, hid_t dcpl, hid_t dapl),
     (at, name, type, space, lcpl, dcpl, dapl), -1)
WRAP(herr_t, H5Dget_chunk_info_by_coord, (hid_t id, const hsize_t *at, unsigned *mask, haddr_t *address, hsize_t *n),
     (id, at, mask, address, n), -1)
WRAP(herr_t, H5Dget_chunk_storage_size, (hid_t id, const hsize_t *at, hsize_t *n), (id, at, n), -1)
WRAP(hid_t, H5Dget_create_plist, (hid_t id), (id), -1)
WRAP(hid_t, H5Dget_space, (hid_t id), (id), -1)
WRAP(hsize_t, H5Dget_storage_size, (hid_t id), (id), 0)
WRAP(hid_t, H5Dget_type, (hid_t id), (id), -1)
WRAP(hid_t, H5Dopen2, (hid_t at, const char *name, hid_t dapl), (at, name, dapl), -1)
WRAP(herr_t, H5Dread, (hid_t id, hid_t type, hid_t mem, hid_t file, hid_t dxpl, void *data),
     (id, type, mem, file, dxpl, data), -1)
WRAP(herr_t, H5Dread_chunk, (hid_t id, hid_t dxpl, const hsize_t *at, uint32_t *mask, void *data),
     (id, dxpl, at, mask, data), -1)
WRAP(herr_t, H5Dwrite, (hid_t id, hid_t type, hid_t mem, hid_t file, hid_t dxpl, const void *data),
     (id, type, mem, file, dxpl, data), -1)
WRAP(herr_t, H5Dwrite_chunk, (hid_t id, hid_t dxpl, uint32_t mask, const hsize_t *at, size_t n, const void *data),
     (id, dxpl, mask, at, n, as_written(data, n)), -1)
WRAP(hid_t, H5Fcreate, (const char *path, unsigned flags, hid_t fcpl, hid_t fapl), (path, flags, fcpl, fapl), -1)
WRAP(herr_t, H5Fget_filesize, (hid_t id, hsize_t *n), (id, n), -1)
WRAP(hid_t, H5Fopen, (const char *path, unsigned flags, hid_t fapl), (path, flags, fapl), -1)
WRAP(hid_t, H5Gcreate2, (hid_t at, const char *name, hid_t lcpl, hid_t gcpl, hid_t gapl),
     (at, name, lcpl, gcpl, gapl), -1)
#ifndef H5Lget_info /* a name for one of two from 1.12 on */
WRAP(herr_t, H5Lget_info, (hid_t at, const char *name, H5L_info_t *info, hid_t lapl), (at, name, info, lapl), -1)
#endif
WRAP(hid_t, H5Pcreate, (hid_t class), (class), -1)
WRAP(int, H5Pget_chunk, (hid_t id, int most, hsize_t dims[]), (id, most, dims), -1)
WRAP(H5Z_filter_t, H5Pget_filter2,
     (hid_t id, unsigned i, unsigned *flags, size_t *n, unsigned values[], size_t size, char name[],
      unsigned *config),
     (id, i, flags, n, values, size, name, config), -1)
WRAP(H5D_layout_t, H5Pget_layout, (hid_t id), (id), H5D_LAYOUT_ERROR)
WRAP(int, H5Pget_nfilters, (hid_t id), (id), -1)
WRAP(herr_t, H5Pset_chunk, (hid_t id, int n, const hsize_t dims[]), (id, n, dims), -1)
WRAP(herr_t, H5Pset_deflate, (hid_t id, unsigned level), (id, level), -1)
WRAP(herr_t, H5Pset_fclose_degree, (hid_t id, H5F_close_degree_t degree), (id, degree), -1)
WRAP(herr_t, H5Pset_fill_time, (hid_t id, H5D_fill_time_t when), (id, when), -1)
WRAP(herr_t, H5Pset_fletcher32, (hid_t id), (id), -1)
WRAP(herr_t, H5Pset_libver_bounds, (hid_t id, H5F_libver_t lo, H5F_libver_t hi), (id, lo, hi), -1)
WRAP(herr_t, H5Pset_obj_track_times, (hid_t id, hbool_t on), (id, on), -1)
WRAP(herr_t, H5Pset_shuffle, (hid_t id), (id), -1)
WRAP(herr_t, H5Pset_virtual, (hid_t id, hid_t space, const char *file, const char *name, hid_t part),
     (id, space, file, name, part), -1)
WRAP(hid_t, H5Screate, (H5S_class_t class), (class), -1)
WRAP(hid_t, H5Screate_simple, (int n, const hsize_t dims[], const hsize_t most[]), (n, dims, most), -1)
WRAP(int, H5Sget_simple_extent_dims, (hid_t id, hsize_t dims[], hsize_t most[]), (id, dims, most), -1)
WRAP(int, H5Sget_simple_extent_ndims, (hid_t id), (id), -1)
WRAP(herr_t, H5Sselect_all, (hid_t id), (id), -1)
WRAP(herr_t, H5Sselect_hyperslab,
     (hid_t id, H5S_seloper_t op, const hsize_t start[], const hsize_t stride[], const hsize_t count[],
      const hsize_t block[]),
     (id, op, start, stride, count, block), -1)
WRAP(hid_t, H5Tarray_create2, (hid_t base, unsigned n, const hsize_t dims[]), (base, n, dims), -1)
WRAP(hid_t, H5Tcopy, (hid_t id), (id), -1)
WRAP(hid_t, H5Tcreate, (H5T_class_t class, size_t n), (class, n), -1)
WRAP(htri_t, H5Tequal, (hid_t a, hid_t b), (a, b), -1)
WRAP(size_t, H5Tget_size, (hid_t id), (id), 0)
WRAP(herr_t, H5Tinsert, (hid_t id, const char *name, size_t at, hid_t field), (id, name, at, field), -1)
WRAP(herr_t, H5Tset_cset, (hid_t id, H5T_cset_t set), (id, set), -1)
WRAP(herr_t, H5Tset_ebias, (hid_t id, size_t bias), (id, bias), -1)
WRAP(herr_t, H5Tset_fields, (hid_t id, size_t sign, size_t epos, size_t esize, size_t mpos, size_t msize),
     (id, sign, epos, esize, mpos, msize), -1)
WRAP(herr_t, H5Tset_size, (hid_t id, size_t n), (id, n), -1)
WRAP(herr_t, H5Tset_strpad, (hid_t id, H5T_str_t pad), (id, pad), -1)

/* ---- what is called ---- */

static struct whole runs[2];

static int write_packed(struct bm_error *err)
{
    return put_series(bm_seriesfile_sink(scratch("out.h5"), true, err), runs, 2, true, err);
}

static int write_plain(struct bm_error *err)
{
    return put_series(bm_seriesfile_sink(scratch("out.h5"), false, err), runs, 1, true, err);
}

static int fill_picture(void *self, size_t i, unsigned char *picture, struct bm_error *err)
{
    (void)self;
    (void)err;
    memset(picture, (int)i + 1, 60);
    return 0;
}

static int write_pictures(struct bm_error *err)
{
    return bm_hdf5_write_pictures(scratch("out.h5"), "imgBrick", 3, 4, 5, 3, fill_picture, NULL, err);
}

static int read_packed(struct bm_error *err)
{
    return get_series(bm_seriesfile_source(scratch("packed.h5"), err), runs, 2, NULL, err);
}

static int read_plain(struct bm_error *err)
{
    return get_series(bm_seriesfile_source(scratch("plain.h5"), err), runs, 1, NULL, err);
}

/* ---- tests ---- */

static int files_in_scratch(void)
{
    DIR *d = opendir(scratch_dir);
    int n = 0;

    while (d && readdir(d))
        n++;
    if (d)
        (void)closedir(d);
    return n;
}

/* Does out.h5 hold these bytes? Where there are none: is there no file? */
static bool out_is(const unsigned char *want, size_t n)
{
    size_t m = 0;
    unsigned char *have = get_file(scratch("out.h5"), &m);
    const bool same = want ? have && m == n && !memcmp(have, want, n) : !have;

    free(have);
    return same;
}

/* What was abandoned stays open in the library. */
static void close_abandoned(void)
{
    hid_t open[16];
    const ssize_t n = H5Fget_obj_ids((hid_t)H5F_OBJ_ALL, H5F_OBJ_FILE, COUNT(open), open);

    for (ssize_t i = 0; i < n; i++)
        (void)H5Fclose(open[i]);
}

static void one_fails(const char *name, int (*call)(struct bm_error *err), bool writes, const unsigned char *want,
                      size_t n)
{
    const int files = files_in_scratch();
    struct bm_error err = {0};
    const int status = call(&err);
    const bool injected = calls >= fails_at;

    fail_from(0, false);
    if (writes && status)
        close_abandoned();
    if (!injected && status)
        unit_fail("%s: without a failure: %s", name, err.text);
    if (status && (err.code == BM_OK || !strstr(err.text, writes ? "/out.h5: " : ".h5: ")))
        unit_fail("%s: %s failed: no message: \"%s\"", name, failed, err.text);
    if (writes && !out_is(status ? NULL : want, n))
        unit_fail("%s: %s failed: status %d, but the file is %s", name, failed, status,
                  status ? "there" : "another one");
    (void)unlink(scratch("out.h5"));
    if (files_in_scratch() != files)
        unit_fail("%s: %s failed: something is left behind", name, failed);
}

/* Each fails once; from every seventh on, all do. Returns how many calls of the library there are. */
static long each_fails(const char *name, int (*call)(struct bm_error *err), bool writes)
{
    unsigned char *want = NULL;
    struct bm_error err = {0};
    size_t n = 0;
    long made;

    fail_from(0, false);
    if (call(&err))
        unit_fail("%s: %s", name, err.text);
    made = calls;
    if (writes)
        want = get_file(scratch("out.h5"), &n);
    (void)unlink(scratch("out.h5"));
    for (int on = 0; on < 2; on++) {
        for (long at = 1; at <= made; at += on ? 7 : 1) {
            fail_from(at, on);
            one_fails(name, call, writes, want, n);
        }
    }
    free(want);
    return made;
}

static void put_inputs(void)
{
    static const struct wish wishes[2] = {{BM_F16, 12, 9, 4, 2, 4, 1}, {BM_U8, 10, 9, 4, 2, 7, 1}};
    struct bm_error err = {0};

    for (int i = 0; i < 2; i++)
        make_run(&runs[i], &wishes[i]);
    REQUIRE(put_series(bm_seriesfile_sink(scratch("packed.h5"), true, &err), runs, 2, true, &err) == 0, &err);
    REQUIRE(put_series(bm_seriesfile_sink(scratch("plain.h5"), false, &err), runs, 1, true, &err) == 0, &err);
}

#define EACH(call, writes, least) CHECK(each_fails(#call, call, writes) >= (least))

static void writers(void)
{
    EACH(write_packed, true, 200);
    EACH(write_plain, true, 200);
    EACH(write_pictures, true, 20);
}

static size_t all_tiles(void)
{
    return bm_run_tiles(&runs[0].run) + bm_run_tiles(&runs[1].run);
}

/* Tiles are read again before the file gets its name. */
static void tiles_that_change_on_the_way(void)
{
    for (size_t k = 1; k <= all_tiles(); k++) {
        struct bm_error err = {0};

        changes_at = (long)k;
        CHECK_ROW(write_packed(&err) == -1 && changes_at == 0 && out_is(NULL, 0), k);
        CHECK_ERR_CONTAINS(&err, "is not what stands on the disk");
    }
}

/* A table that says something else than the runs. */
static void tables_that_do_not_fit(void)
{
    static const struct bm_series_row row = {.rows = 13};
    struct bm_error err = {0};
    struct bm_buf tiles = {0};
    struct bm_h5 f = {0};

    REQUIRE(put_series(bm_seriesfile_sink(scratch("l.h5"), true, &err), runs, 1, true, &err) == 0, &err);
    f.id = H5Fopen(scratch("l.h5"), H5F_ACC_RDWR, H5P_DEFAULT);
    CHECK(f.id >= 0 && H5Ldelete(f.id, "/run_table", H5P_DEFAULT) >= 0);
    CHECK(bm_h5_put_array(&f, "/run_table", &bm_series_table, 1, &row, &err) == 0 && H5Fclose(f.id) >= 0);
    CHECK(bm_seriesfile_check(scratch("l.h5"), "l.h5", 1, &tiles, &err) == -1);
    CHECK_ERR_CONTAINS(&err, "l.h5: /run_table does not fit the runs");
    bm_buf_free(&tiles);
}

static void readers(void)
{
    EACH(read_packed, false, 100);
    EACH(read_plain, false, 100);
}

/* Arrays of no items, of one chunk and of several. */
static void arrays_come_back(void)
{
    static const size_t sizes[] = {0, 1, 1000, (1 << 20) + 5};
    static unsigned char data[(1 << 20) + 5], back[(1 << 20) + 5];
    struct bm_error err = {0};
    char name[8];
    size_t n;

    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (unsigned char)(i * 7 >> 3);
    struct bm_h5 *f = bm_h5_create(scratch("arrays.h5"), "arrays.h5", &err);
    REQUIRE(f, &err);
    for (size_t i = 0; i < COUNT(sizes); i++) {
        (void)snprintf(name, sizeof name, "/a%zu", i);
        REQUIRE(bm_h5_put_array(f, name, &bm_series_byte, sizes[i], data, &err) == 0, &err);
    }
    REQUIRE(bm_h5_close(f, &err) == 0, &err);
    f = bm_h5_open(scratch("arrays.h5"), "arrays.h5", &err);
    REQUIRE(f, &err);
    for (size_t i = 0; i < COUNT(sizes); i++) {
        (void)snprintf(name, sizeof name, "/a%zu", i);
        CHECK_ROW(bm_h5_array_length(f, name, 1, &n, &err) == 0 && n == sizes[i], i);
        CHECK_ROW(bm_h5_get_array(f, name, &bm_series_byte, n, back, &err) == 0 && !memcmp(back, data, n), i);
    }
    CHECK(bm_h5_get_array(f, "/a1", &bm_series_byte, 2, back, &err) == -1);
    CHECK_ERR_CONTAINS(&err, "arrays.h5: /a1 has 1 entries where 2 are due");
    REQUIRE(bm_h5_close(f, &(struct bm_error){0}) == 0, &err);
}

/* The system's reason, where there is one, and a hint that fits. */
static void reasons(void)
{
    struct bm_error err = {0};
    char version[32];
    unsigned a, b, c;

    CHECK(!bm_h5_create(scratch("no/such.h5"), "such.h5", &err));
    CHECK_ERR_CONTAINS(&err, "such.h5: cannot be created (HDF5: No such file or directory); the disk is full or");
    err = (struct bm_error){0};
    bm_h5_lock();
    (void)H5Eclear2(H5E_DEFAULT);
    (void)H5Epush2(H5E_DEFAULT, "f", "f", 1, H5E_ERR_CLS, H5E_RESOURCE, H5E_NOSPACE, "memory allocation failed");
    CHECK(bm_h5_fail(&err, "x.h5", "cannot be read") == -1);
    bm_h5_unlock();
    CHECK_ERR_CONTAINS(&err, "x.h5: cannot be read (HDF5: memory allocation failed); memory is short");
    CHECK(H5get_libversion(&a, &b, &c) >= 0 && a == (unsigned)atoi(bm_hdf5_version(version)));
}

/* A tile that was never written. */
static void tiles_that_are_missing(void)
{
    struct bm_error err = {0};
    struct bm_buf out = {0};
    uint32_t mask;
    struct bm_h5 *f = bm_h5_create(scratch("t.h5"), "t.h5", &err);
    REQUIRE(f, &err);
    struct bm_h5_tiles *t = bm_h5_create_tiles(f, "/t", BM_I16, 3, 8, 4, false, &err);
    REQUIRE(t, &err);
    CHECK(bm_h5_write_tile(t, 0, 0, "123456781234567812345678", 24, &err) == 0);
    CHECK(bm_h5_read_tile(t, 4, 24, &mask, &out, &err) == -1);
    CHECK_ERR_CONTAINS(&err, "t.h5: a tile is missing (column 4)");
    err = (struct bm_error){0};
    CHECK(bm_h5_read_tile(t, 0, 23, &mask, &out, &err) == -1);
    CHECK_ERR_CONTAINS(&err, "t.h5: a tile claims 24 bytes");
    err = (struct bm_error){0};
    CHECK(bm_h5_read_tile(t, 0, 24, &mask, &out, &err) == 0 && out.size == 24 && mask == 0);
    bm_h5_close_tiles(t);
    bm_h5_close_tiles(NULL);
    CHECK(bm_h5_close(f, &err) == 0);
    bm_h5_abandon(NULL);
    bm_buf_free(&out);
}

/* Arrays of a series file that are longer than its header says, or links. */
static void arrays_that_do_not_fit(void)
{
    static const struct {
        const char *name, *says;
        const struct bm_h5_record *type;
    } rows[] = {
        {"/voxels", "has 10 voxels where run", &bm_series_voxel},
        {"/runs/0001/tile_crc32", "has 10 tile checksums for 3 tiles", &bm_series_crc},
        {"/runs/0001/metadata", "has 10 metadata rows for 12 time points", NULL},
        {"/runs/0001/header", "missing or wrong", &bm_series_byte},
        {"/runs/0001/footer", "missing or wrong", &bm_series_byte},
        {"/run_table", "/run_table is a link", &bm_series_byte},
        {"/metadata", "/metadata has 10 entries where 12 are due", NULL},
    };
    static const unsigned char zeros[1000];
    struct bm_h5_field fields[BM_SERIES_META];
    const struct bm_h5_record meta = bm_series_meta(2, fields);
    struct bm_buf tiles = {0};

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct bm_error err = {0};
        struct bm_h5 f = {0};

        REQUIRE(put_series(bm_seriesfile_sink(scratch("l.h5"), true, &err), runs, 1, true, &err) == 0, &err);
        f.id = H5Fopen(scratch("l.h5"), H5F_ACC_RDWR, H5P_DEFAULT);
        CHECK_ROW(f.id >= 0 && H5Ldelete(f.id, rows[i].name, H5P_DEFAULT) >= 0, i);
        if (i == 5)
            CHECK(H5Lcreate_soft("/voxels", f.id, rows[i].name, H5P_DEFAULT, H5P_DEFAULT) >= 0);
        else
            CHECK_ROW(bm_h5_put_array(&f, rows[i].name, rows[i].type ? rows[i].type : &meta, 10, zeros, &err) == 0,
                      i);
        CHECK_ROW(H5Fclose(f.id) >= 0, i);
        CHECK_ROW(bm_seriesfile_check(scratch("l.h5"), "l.h5", 1, &tiles, &err) == -1, i);
        CHECK_ERR_CONTAINS(&err, "l.h5: ");
        CHECK_ERR_CONTAINS(&err, rows[i].says);
    }
    struct bm_error err = {0};
    bm_buf_free(&tiles);
    CHECK(bm_seriesfile_check(scratch("packed.h5"), "p.h5", 2, &tiles, &err) == 0);
    CHECK(tiles.size == all_tiles() * sizeof(struct bm_series_part));
    CHECK(bm_seriesfile_check(scratch("packed.h5"), "p.h5", 3, &tiles, &err) == -1);
    CHECK_ERR_CONTAINS(&err, "p.h5: 2 of 3 runs reached the file");
    bm_buf_free(&tiles);
}

int main(void)
{
    static const struct unit_test all[] = {UNIT(put_inputs),
                                           UNIT(writers),
                                           UNIT(tiles_that_change_on_the_way),
                                           UNIT(readers),
                                           UNIT(arrays_come_back),
                                           UNIT(reasons),
                                           UNIT(tiles_that_are_missing),
                                           UNIT(arrays_that_do_not_fit),
                                           UNIT(tables_that_do_not_fit)};

    return unit_main(all, COUNT(all));
}
