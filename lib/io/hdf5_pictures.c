#include "io/bytes.h"
#include "io/commit.h"
#include "io/hdf5_private.h"

#include <stdlib.h>

/* Writes picture i, or reads it. */
static int move_picture(hid_t id, size_t i, const hsize_t dims[4], unsigned char *picture, bool writes)
{
    hsize_t start[4] = {i, 0, 0, 0}, count[4] = {1, dims[1], dims[2], dims[3]};
    hid_t file = H5Dget_space(id), mem = H5Screate_simple(4, count, NULL);
    int bad = H5Sselect_hyperslab(file, H5S_SELECT_SET, start, NULL, count, NULL) < 0;

    if (!bad && writes)
        bad = H5Dwrite(id, H5T_STD_U8LE, mem, file, H5P_DEFAULT, picture) < 0;
    else if (!bad)
        bad = H5Dread(id, H5T_STD_U8LE, mem, file, H5P_DEFAULT, picture) < 0;
    (void)H5Sclose(mem);
    (void)H5Sclose(file);
    return bad;
}

static hid_t create_brick(struct bm_h5 *f, const char *name, const hsize_t dims[4], struct bm_error *err)
{
    hsize_t chunk[4] = {1, dims[1], dims[2], dims[3]};
    hid_t space, dcpl, id;
    herr_t status;

    bm_h5_lock();
    space = H5Screate_simple(4, dims, NULL);
    dcpl = bm_h5_new_list(H5P_DATASET_CREATE);
    status = H5Pset_chunk(dcpl, 4, chunk);
    status |= H5Pset_deflate(dcpl, 1);
    dcpl = bm_h5_set(dcpl, status);
    id = H5Dcreate2(f->id, name, H5T_STD_U8LE, space, H5P_DEFAULT, dcpl, H5P_DEFAULT);
    if (id < 0)
        (void)bm_h5_fail(err, f->name, "a dataset cannot be written");
    (void)H5Pclose(dcpl);
    (void)H5Sclose(space);
    bm_h5_unlock();
    return id;
}

static size_t picture_bytes(const hsize_t dims[4])
{
    return (size_t)(dims[1] * dims[2] * dims[3]);
}

/* crcs: of the pictures. */
static int fill_brick(struct bm_h5 *f, hid_t id, const hsize_t dims[4],
                      int (*fill)(void *self, size_t i, unsigned char *picture, struct bm_error *err), void *self,
                      uint32_t *crcs, struct bm_error *err)
{
    unsigned char *picture = bm_alloc((size_t)(dims[1] * dims[2]), (size_t)dims[3], "picture", err);
    int status = picture ? 0 : -1;

    for (size_t i = 0; i < dims[0] && !status; i++) {
        status = fill(self, i, picture, err);
        bm_h5_lock();
        if (!status && move_picture(id, i, dims, picture, true))
            status = bm_h5_fail(err, f->name, "a picture cannot be written");
        bm_h5_unlock();
        if (!status)
            crcs[i] = bm_crc32(0, picture, picture_bytes(dims));
    }
    free(picture);
    return status;
}

/* Reads all pictures of the finished file again. */
static int check_brick(struct bm_h5 *f, const char *name, const hsize_t dims[4], const uint32_t *crcs,
                       struct bm_error *err)
{
    unsigned char *picture = bm_alloc(picture_bytes(dims), 1, "picture", err);
    hid_t id = H5I_INVALID_HID;
    int status;

    bm_h5_lock();
    if (picture)
        id = bm_h5_dataset(f, name, err);
    status = id < 0 ? -1 : 0;
    for (size_t i = 0; i < dims[0] && !status; i++) {
        if (move_picture(id, i, dims, picture, false))
            status = bm_h5_fail_reading(err, f->name, "a picture cannot be read again");
        else if (bm_crc32(0, picture, picture_bytes(dims)) != crcs[i])
            status =
                bm_fail(err, BM_ESYS, "%s: picture %zu is not what was written; check the file system", f->name, i);
    }
    if (id >= 0)
        (void)H5Dclose(id);
    bm_h5_unlock();
    free(picture);
    return status;
}

static int write_brick(struct bm_commit *commit, const char *path, const char *name, const hsize_t dims[4],
                       int (*fill)(void *self, size_t i, unsigned char *picture, struct bm_error *err), void *self,
                       struct bm_error *err)
{
    uint32_t *crcs = bm_alloc((size_t)dims[0], sizeof *crcs, "checksums", err);
    struct bm_h5 *f = crcs ? bm_h5_create(bm_commit_temp(commit), path, err) : NULL;
    hid_t id = f ? create_brick(f, name, dims, err) : H5I_INVALID_HID;
    int status = id < 0 || fill_brick(f, id, dims, fill, self, crcs, err) || bm_h5_close(f, err) ? -1 : 0;

    if (!status) {
        f = bm_h5_open(bm_commit_temp(commit), path, err);
        status = f ? check_brick(f, name, dims, crcs, err) || bm_h5_close(f, err) : -1;
    }
    if (status)
        bm_h5_abandon(f);
    free(crcs);
    return status ? -1 : 0;
}

int bm_hdf5_write_pictures(const char *path, const char *name, size_t n, size_t h, size_t w, size_t c,
                           int (*fill)(void *self, size_t i, unsigned char *picture, struct bm_error *err),
                           void *self, struct bm_error *err)
{
    const hsize_t dims[4] = {n, h, w, c};
    struct bm_commit *commit = bm_commit_open(path, err);

    if (commit && write_brick(commit, path, name, dims, fill, self, err) == 0)
        return bm_commit_done(commit, err);
    bm_commit_drop(commit);
    return -1;
}
