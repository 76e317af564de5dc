#include "io/hdf5_private.h"

#include <stdlib.h>
#include <string.h>

static hid_t tile_list(size_t itemsize, size_t rows, size_t chunk_cols, bool deflate)
{
    const hid_t dcpl = bm_h5_new_list(H5P_DATASET_CREATE);
    const hsize_t chunk[2] = {rows, chunk_cols};
    herr_t status = H5Pset_chunk(dcpl, 2, chunk);

    status |= H5Pset_fill_time(dcpl, H5D_FILL_TIME_NEVER);
    if (deflate && itemsize > 1)
        status |= H5Pset_shuffle(dcpl);
    if (deflate)
        status |= H5Pset_deflate(dcpl, 1);
    return bm_h5_set(dcpl, status);
}

static struct bm_h5_tiles *new_tiles(struct bm_h5 *f, hid_t id, struct bm_error *err)
{
    struct bm_h5_tiles *t = id < 0 ? NULL : bm_calloc(1, sizeof *t, "tiles", err);

    if (t) {
        t->id = id;
        t->name = f->name;
    } else if (id >= 0) {
        (void)H5Dclose(id);
    }
    return t;
}

struct bm_h5_tiles *bm_h5_create_tiles(struct bm_h5 *f, const char *name, enum bm_dtype dtype, size_t rows,
                                       size_t cols, size_t chunk_cols, bool deflate, struct bm_error *err)
{
    hsize_t dims[2] = {rows, cols};
    struct bm_h5_tiles *t;
    hid_t type, space, dcpl, id;

    bm_h5_lock();
    type = bm_h5_type(dtype);
    space = H5Screate_simple(2, dims, NULL);
    dcpl = tile_list(bm_dtype_size(dtype), rows, chunk_cols, deflate);
    id = H5Dcreate2(f->id, name, type, space, H5P_DEFAULT, dcpl, H5P_DEFAULT);
    if (id < 0)
        (void)bm_h5_fail(err, f->name, "a dataset cannot be written");
    t = new_tiles(f, id, err);
    (void)H5Pclose(dcpl);
    (void)H5Sclose(space);
    (void)H5Tclose(type);
    bm_h5_unlock();
    return t;
}

/* The filters must be none, deflate, or shuffle and deflate. */
static int filters_known(hid_t dcpl, size_t itemsize, bool *deflate)
{
    int n = H5Pget_nfilters(dcpl);
    const H5Z_filter_t want[2] = {H5Z_FILTER_SHUFFLE, H5Z_FILTER_DEFLATE};
    int skip = itemsize == 1;

    *deflate = n > 0;
    if (n != 0 && n != 2 - skip)
        return 0;
    for (int i = 0; i < n; i++) {
        unsigned flags, config;
        size_t nvalues = 0;

        if (H5Pget_filter2(dcpl, (unsigned)i, &flags, &nvalues, NULL, 0, NULL, &config) != want[i + skip])
            return 0;
    }
    return 1;
}

static int tiles_as_expected(hid_t id, enum bm_dtype dtype, const hsize_t dims[2], const hsize_t chunk[2],
                             bool *deflate)
{
    hid_t space = H5Dget_space(id), type = H5Dget_type(id), dcpl = H5Dget_create_plist(id), want = bm_h5_type(dtype);
    hsize_t have_dims[2] = {0, 0}, have_chunk[2] = {0, 0};
    int good =
        H5Sget_simple_extent_ndims(space) == 2 && H5Pget_layout(dcpl) == H5D_CHUNKED && H5Tequal(type, want) > 0;

    good = good && H5Sget_simple_extent_dims(space, have_dims, NULL) == 2 && H5Pget_chunk(dcpl, 2, have_chunk) == 2;
    good = good && !memcmp(have_dims, dims, sizeof have_dims) && !memcmp(have_chunk, chunk, sizeof have_chunk);
    good = good && filters_known(dcpl, bm_dtype_size(dtype), deflate);
    (void)H5Tclose(want);
    (void)H5Pclose(dcpl);
    (void)H5Tclose(type);
    (void)H5Sclose(space);
    return good;
}

struct bm_h5_tiles *bm_h5_open_tiles(struct bm_h5 *f, const char *name, enum bm_dtype dtype, size_t rows, size_t cols,
                                     size_t chunk_cols, bool *deflate, struct bm_error *err)
{
    hsize_t dims[2] = {rows, cols}, chunk[2] = {rows, chunk_cols};
    struct bm_h5_tiles *t = NULL;
    hid_t id;

    bm_h5_lock();
    id = bm_h5_dataset(f, name, err);
    if (id >= 0 && !tiles_as_expected(id, dtype, dims, chunk, deflate)) {
        (void)bm_fail(err, BM_EDATA, "%s: %s is not stored as its header says; the file is damaged", f->name, name);
        (void)H5Dclose(id);
        id = H5I_INVALID_HID;
    }
    t = new_tiles(f, id, err);
    bm_h5_unlock();
    return t;
}

int bm_h5_write_tile(struct bm_h5_tiles *t, size_t first, uint32_t filter_mask, const void *data, size_t n,
                     struct bm_error *err)
{
    hsize_t at[2] = {0, first};
    int status;

    bm_h5_lock();
    status = H5Dwrite_chunk(t->id, H5P_DEFAULT, filter_mask, at, n, data) < 0
                 ? bm_h5_fail(err, t->name, "cannot be written")
                 : 0;
    bm_h5_unlock();
    return status;
}

int bm_h5_read_tile(struct bm_h5_tiles *t, size_t first, size_t most, uint32_t *filter_mask, struct bm_buf *out,
                    struct bm_error *err)
{
    hsize_t at[2] = {0, first}, n = 0;
    int status = -1;

    bm_h5_lock();
    if (H5Dget_chunk_storage_size(t->id, at, &n) < 0 || n == 0)
        (void)bm_fail(err, BM_EDATA, "%s: a tile is missing (column %zu); build the file again", t->name, first);
    else if (n > most)
        (void)bm_fail(err, BM_EDATA, "%s: a tile claims %llu bytes; the file is damaged", t->name,
                      (unsigned long long)n);
    else if (bm_buf_resize(out, (size_t)n, err) == 0)
        status = H5Dread_chunk(t->id, H5P_DEFAULT, at, filter_mask, out->data) < 0
                     ? bm_h5_fail_reading(err, t->name, "a tile cannot be read")
                     : 0;
    bm_h5_unlock();
    return status;
}

int bm_h5_tile_place(struct bm_h5_tiles *t, size_t first, uint64_t *at, uint64_t *n, struct bm_error *err)
{
    const hsize_t coord[2] = {0, first};
    hsize_t size = 0;
    haddr_t address = HADDR_UNDEF;
    unsigned mask;
    int status = 0;

    bm_h5_lock();
    if (H5Dget_chunk_info_by_coord(t->id, coord, &mask, &address, &size) < 0 || address == HADDR_UNDEF)
        status = bm_fail(err, BM_ESYS, "%s: a tile did not reach the file; run again", t->name);
    bm_h5_unlock();
    *at = address;
    *n = size;
    return status;
}

void bm_h5_close_tiles(struct bm_h5_tiles *t)
{
    if (!t)
        return;
    bm_h5_lock();
    (void)H5Dclose(t->id);
    bm_h5_unlock();
    free(t);
}

static int map_sources(hid_t dcpl, hid_t space, size_t cols, size_t n, char *const *sources, const size_t *rows)
{
    hsize_t start[2] = {0, 0};
    int bad = 0;

    for (size_t i = 0; i < n && !bad; i++) {
        hsize_t count[2] = {rows[i], cols};
        hid_t part = H5Screate_simple(2, count, NULL);

        bad = H5Sselect_hyperslab(space, H5S_SELECT_SET, start, NULL, count, NULL) < 0 ||
              H5Pset_virtual(dcpl, space, ".", sources[i], part) < 0;
        (void)H5Sclose(part);
        start[0] += rows[i];
    }
    return bad;
}

int bm_h5_put_virtual(struct bm_h5 *f, const char *name, enum bm_dtype dtype, size_t cols, size_t n,
                      char *const *sources, const size_t *rows, struct bm_error *err)
{
    hsize_t dims[2] = {0, cols};
    hid_t type, space, dcpl, id = H5I_INVALID_HID;
    int bad;

    for (size_t i = 0; i < n; i++)
        dims[0] += rows[i];
    bm_h5_lock();
    type = bm_h5_type(dtype);
    space = H5Screate_simple(2, dims, NULL);
    dcpl = bm_h5_new_list(H5P_DATASET_CREATE);
    bad = map_sources(dcpl, space, cols, n, sources, rows);
    if (!bad && H5Sselect_all(space) >= 0)
        id = H5Dcreate2(f->id, name, type, space, H5P_DEFAULT, dcpl, H5P_DEFAULT);
    if (id < 0 || H5Dclose(id) < 0)
        bad = bm_h5_fail(err, f->name, "the view of all runs cannot be written");
    (void)H5Pclose(dcpl);
    (void)H5Sclose(space);
    (void)H5Tclose(type);
    bm_h5_unlock();
    return bad ? -1 : 0;
}
