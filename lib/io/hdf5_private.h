/* What the files behind io/hdf5.h share. The only place where the HDF5 library's header is included. */
#ifndef BM_IO_HDF5_PRIVATE_H
#define BM_IO_HDF5_PRIVATE_H

#include "io/hdf5.h"

#include <hdf5.h>

struct bm_h5 {
    hid_t id;
    char *name; /* for messages */
};

struct bm_h5_tiles {
    hid_t id;
    const char *name; /* the file's */
};

/* Around every call of the library. */
void bm_h5_lock(void);
void bm_h5_unlock(void);
/* "file: what (HDF5: its reason); ...", of writing and of reading. Always -1. The lock is held. */
int bm_h5_fail(struct bm_error *err, const char *file, const char *what);
int bm_h5_fail_reading(struct bm_error *err, const char *file, const char *what);
/* A type handle to be closed. float16 is built as h5py builds it: IEEE binary16 made from binary32. */
hid_t bm_h5_type(enum bm_dtype t);
/* A property list or type whose settings gave `status`: as it is, or closed and invalid where one of them failed. */
hid_t bm_h5_set(hid_t id, herr_t status);
/* Properties of something that is to be created, without the time: the same input gives the same bytes, whatever the
 * clock says. */
hid_t bm_h5_new_list(hid_t class);
/* Opens the dataset "/a/b/c" only if every component is a hard link. Negative on failure. */
hid_t bm_h5_dataset(struct bm_h5 *f, const char *name, struct bm_error *err);

#endif
