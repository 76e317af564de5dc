#include "io/hdf5_private.h"
#include "io/inputs.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static pthread_mutex_t h5_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t h5_once = PTHREAD_ONCE_INIT;

/* HDF5's own exit handlers would try once more to write a file that has failed; it must not load filters from
 * elsewhere. */
static void start_library(void)
{
    (void)H5dont_atexit();
    (void)H5open();
    (void)H5PLset_loading_state(0);
}

void bm_h5_lock(void)
{
    (void)pthread_once(&h5_once, start_library);
    (void)pthread_mutex_lock(&h5_lock);
    (void)H5Eset_auto2(H5E_DEFAULT, NULL, NULL); /* a thread's own setting where the library is thread-safe */
}

void bm_h5_unlock(void)
{
    (void)pthread_mutex_unlock(&h5_lock);
}

const char *bm_hdf5_version(char text[32])
{
    unsigned a = 0, b = 0, c = 0;

    bm_h5_lock();
    (void)H5get_libversion(&a, &b, &c);
    bm_h5_unlock();
    (void)snprintf(text, 32, "%u.%u.%u", a, b, c);
    return text;
}

/* The system's message where there is one: HDF5 has it behind the time and the name of the temporary. */
static herr_t keep_deepest(unsigned n, const H5E_error2_t *e, void *out)
{
    static const char before[] = "error message = '";
    const char *system = strstr(e->desc, before);

    (void)n;
    if (system) {
        system += sizeof before - 1;
        (void)snprintf(out, 160, "%.*s", (int)strcspn(system, "'"), system);
    } else
        (void)snprintf(out, 160, "%s", e->desc);
    return 0;
}

static int fail(struct bm_error *err, const char *file, const char *what, const char *remedy)
{
    char why[160] = "no reason given";

    (void)H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, keep_deepest, why);
    (void)H5Ewalk2(H5E_DEFAULT, H5E_WALK_DOWNWARD, keep_deepest, why);
    return bm_fail(err, BM_EDATA, "%s: %s (HDF5: %s); %s", file, what, why,
                   strstr(why, "memory alloc") ? "memory is short" : remedy);
}

int bm_h5_fail(struct bm_error *err, const char *file, const char *what)
{
    return fail(err, file, what, "the disk is full or broken");
}

int bm_h5_fail_reading(struct bm_error *err, const char *file, const char *what)
{
    return fail(err, file, what, "the file is damaged");
}

static hid_t native(enum bm_dtype t)
{
    switch (t) {
    case BM_I8:
        return H5T_STD_I8LE;
    case BM_U8:
        return H5T_STD_U8LE;
    case BM_I16:
        return H5T_STD_I16LE;
    case BM_U16:
        return H5T_STD_U16LE;
    case BM_I32:
        return H5T_STD_I32LE;
    case BM_U32:
        return H5T_STD_U32LE;
    case BM_I64:
        return H5T_STD_I64LE;
    case BM_U64:
        return H5T_STD_U64LE;
    case BM_F64:
        return H5T_IEEE_F64LE;
    default:
        return H5T_IEEE_F32LE;
    }
}

hid_t bm_h5_set(hid_t id, herr_t status)
{
    if (status >= 0)
        return id;
    (void)H5Idec_ref(id);
    return H5I_INVALID_HID;
}

hid_t bm_h5_type(enum bm_dtype t)
{
    const hid_t id = H5Tcopy(native(t));
    herr_t status = 0;

    if (t == BM_F16) { /* a status is negative where any of them is */
        status = H5Tset_fields(id, 15, 10, 5, 0, 10);
        status |= H5Tset_size(id, 2);
        status |= H5Tset_ebias(id, 15);
    }
    return bm_h5_set(id, status);
}

static hid_t make_field(const struct bm_h5_field *f)
{
    hsize_t n = f->count;
    hid_t base, id;
    herr_t status;

    if (f->text) {
        id = H5Tcopy(H5T_C_S1);
        status = H5Tset_size(id, f->count);
        status |= H5Tset_strpad(id, H5T_STR_NULLPAD);
        return bm_h5_set(id, status);
    }
    base = bm_h5_type(f->dtype);
    if (f->count == 1)
        return base;
    id = H5Tarray_create2(base, 1, &n);
    (void)H5Tclose(base);
    return id;
}

static hid_t make_record(const struct bm_h5_record *type)
{
    herr_t status = 0;
    hid_t id;

    if (!type->fields[0].name)
        return make_field(&type->fields[0]);
    id = H5Tcreate(H5T_COMPOUND, type->size);
    for (size_t i = 0; i < type->nfields; i++) {
        const hid_t field = make_field(&type->fields[i]);

        status |= H5Tinsert(id, type->fields[i].name, type->fields[i].offset, field);
        (void)H5Tclose(field);
    }
    return bm_h5_set(id, status);
}

static struct bm_h5 *new_file(const char *name, struct bm_error *err)
{
    struct bm_h5 *f = bm_calloc(1, sizeof *f, "file", err);

    if (!f)
        return NULL;
    f->id = H5I_INVALID_HID;
    f->name = bm_strdup(name, err);
    if (f->name)
        return f;
    free(f);
    return NULL;
}

void bm_h5_abandon(struct bm_h5 *f)
{
    if (!f)
        return;
    free(f->name);
    free(f);
}

static hid_t access_list(void)
{
    const hid_t fapl = H5Pcreate(H5P_FILE_ACCESS);
    herr_t status = H5Pset_libver_bounds(fapl, H5F_LIBVER_V110, H5F_LIBVER_V110);

    status |= H5Pset_fclose_degree(fapl, H5F_CLOSE_STRONG);
#if H5_VERSION_GE(1, 10, 7)
    status |= H5Pset_file_locking(fapl, 0, 1);
#endif
    return bm_h5_set(fapl, status);
}

hid_t bm_h5_new_list(hid_t class)
{
    const hid_t list = H5Pcreate(class);

    return bm_h5_set(list, H5Pset_obj_track_times(list, 0));
}

struct bm_h5 *bm_h5_create(const char *path, const char *shown_as, struct bm_error *err)
{
    struct bm_h5 *f = new_file(shown_as, err);
    hid_t fapl, fcpl;

    if (!f)
        return NULL;
    bm_h5_lock();
    fapl = access_list();
    fcpl = bm_h5_new_list(H5P_FILE_CREATE);
    f->id = H5Fcreate(path, H5F_ACC_TRUNC, fcpl, fapl);
    if (f->id < 0) /* at once: the next call of HDF5 forgets why */
        (void)bm_h5_fail(err, shown_as, "cannot be created");
    (void)H5Pclose(fcpl);
    (void)H5Pclose(fapl);
    bm_h5_unlock();
    if (f->id >= 0)
        return f;
    bm_h5_abandon(f);
    return NULL;
}

struct bm_h5 *bm_h5_open(const char *path, const char *shown_as, struct bm_error *err)
{
    struct bm_h5 *f = new_file(shown_as, err);
    struct stat st;
    hid_t fapl;

    if (!f)
        return NULL;
    if (strcmp(path, shown_as) == 0 &&
        (stat(path, &st) ? bm_fail_errno(err, path, "cannot open") : bm_inputs_note(path, &st, err))) {
        bm_h5_abandon(f);
        return NULL;
    }
    bm_h5_lock();
    fapl = access_list();
    f->id = H5Fopen(path, H5F_ACC_RDONLY, fapl);
    if (f->id < 0)
        (void)bm_h5_fail_reading(err, shown_as, "cannot be opened as HDF5");
    (void)H5Pclose(fapl);
    bm_h5_unlock();
    if (f->id >= 0)
        return f;
    bm_h5_abandon(f);
    return NULL;
}

int bm_h5_close(struct bm_h5 *f, struct bm_error *err)
{
    int status;

    bm_h5_lock();
    status = H5Fclose(f->id) < 0 ? bm_h5_fail(err, f->name, "cannot be closed") : 0;
    bm_h5_unlock();
    if (!status)
        bm_h5_abandon(f);
    return status;
}

int bm_h5_make_group(struct bm_h5 *f, const char *name, struct bm_error *err)
{
    hid_t id, gcpl;
    int status;

    bm_h5_lock();
    gcpl = bm_h5_new_list(H5P_GROUP_CREATE);
    id = H5Gcreate2(f->id, name, H5P_DEFAULT, gcpl, H5P_DEFAULT);
    (void)H5Pclose(gcpl);
    status = id < 0 || H5Gclose(id) < 0 ? bm_h5_fail(err, f->name, "a group cannot be written") : 0;
    bm_h5_unlock();
    return status;
}

static int put_attr(struct bm_h5 *f, const char *name, hid_t type, hid_t space, const void *data,
                    struct bm_error *err)
{
    hid_t id = H5Acreate2(f->id, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    static const char what[] = "an attribute cannot be written";
    int bad = id < 0 || H5Awrite(id, type, data) < 0 ? bm_h5_fail(err, f->name, what) : 0;

    if (id >= 0 && H5Aclose(id) < 0)
        bad = bm_h5_fail(err, f->name, what);
    return bad;
}

int bm_h5_put_attr_text(struct bm_h5 *f, const char *name, const char *text, struct bm_error *err)
{
    hid_t type, space;
    herr_t set;
    int status;

    bm_h5_lock();
    type = H5Tcopy(H5T_C_S1);
    set = H5Tset_size(type, strlen(text) + 1);
    set |= H5Tset_cset(type, H5T_CSET_UTF8);
    type = bm_h5_set(type, set);
    space = H5Screate(H5S_SCALAR);
    status = put_attr(f, name, type, space, text, err);
    (void)H5Sclose(space);
    (void)H5Tclose(type);
    bm_h5_unlock();
    return status;
}

int bm_h5_put_attr_reals(struct bm_h5 *f, const char *name, size_t ndim, const size_t *shape, const double *values,
                         struct bm_error *err)
{
    hsize_t dims[4] = {0};
    hid_t space;
    int status;

    for (size_t i = 0; i < ndim; i++)
        dims[i] = shape[i];
    bm_h5_lock();
    space = ndim ? H5Screate_simple((int)ndim, dims, NULL) : H5Screate(H5S_SCALAR);
    status = put_attr(f, name, H5T_IEEE_F64LE, space, values, err);
    (void)H5Sclose(space);
    bm_h5_unlock();
    return status;
}

int bm_h5_has_attr(struct bm_h5 *f, const char *name)
{
    int has;

    bm_h5_lock();
    has = H5Aexists(f->id, name) > 0;
    bm_h5_unlock();
    return has;
}

#define ARRAY_CHUNK (1u << 20)
#define FLETCHER32 4u /* bytes behind a chunk */

static hid_t array_list(size_t n)
{
    const hid_t dcpl = bm_h5_new_list(H5P_DATASET_CREATE);
    const hsize_t chunk = n < ARRAY_CHUNK ? n : ARRAY_CHUNK;
    herr_t status = 0;

    if (n) {
        status = H5Pset_chunk(dcpl, 1, &chunk);
        status |= H5Pset_fletcher32(dcpl);
    }
    return bm_h5_set(dcpl, status);
}

int bm_h5_put_array(struct bm_h5 *f, const char *name, const struct bm_h5_record *type, size_t n, const void *data,
                    struct bm_error *err)
{
    hsize_t dim = n;
    hid_t t, space, dcpl, id;
    static const char what[] = "an array cannot be written";
    int bad = 0;

    bm_h5_lock();
    t = make_record(type);
    space = H5Screate_simple(1, &dim, NULL);
    dcpl = array_list(n);
    id = H5Dcreate2(f->id, name, t, space, H5P_DEFAULT, dcpl, H5P_DEFAULT);
    if (id < 0 || (n && H5Dwrite(id, t, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) < 0))
        bad = bm_h5_fail(err, f->name, what);
    if (id >= 0 && H5Dclose(id) < 0)
        bad = bm_h5_fail(err, f->name, what);
    (void)H5Pclose(dcpl);
    (void)H5Sclose(space);
    (void)H5Tclose(t);
    bm_h5_unlock();
    return bad;
}

hid_t bm_h5_dataset(struct bm_h5 *f, const char *name, struct bm_error *err)
{
    char part[128];
    H5L_info_t info;
    hid_t id;

    for (const char *p = name; p; p = strchr(p + 1, '/')) {
        const char *end = strchr(p + 1, '/');

        (void)snprintf(part, sizeof part, "%.*s", (int)(end ? end - name : (long)strlen(name)), name);
        if (H5Lget_info(f->id, part, &info, H5P_DEFAULT) < 0) {
            (void)bm_fail(err, BM_EDATA, "%s: has no %s; it is not a complete series file", f->name, part);
            return H5I_INVALID_HID;
        }
        if (info.type != H5L_TYPE_HARD) {
            (void)bm_fail(err, BM_EDATA, "%s: %s is a link to somewhere else; such files are refused", f->name, part);
            return H5I_INVALID_HID;
        }
    }
    id = H5Dopen2(f->id, name, H5P_DEFAULT);
    if (id < 0)
        (void)bm_h5_fail_reading(err, f->name, "a dataset cannot be opened");
    return id;
}

/* Chunks as bm_h5_put_array makes them: none that HDF5 would have to inflate, none larger than that, and stored in as
 * many bytes. HDF5 takes that size from the file: it would ask for so much memory, and read on behind a chunk that is
 * too small. */
static int plain_chunks(hid_t id, hid_t dcpl, hsize_t dim, size_t size)
{
    unsigned flags, config;
    size_t nvalues = 0;
    hsize_t chunk = 0, stored = 0;

    if (H5Pget_chunk(dcpl, 1, &chunk) != 1 || chunk == 0 || chunk > ARRAY_CHUNK || H5Pget_nfilters(dcpl) != 1 ||
        H5Pget_filter2(dcpl, 0, &flags, &nvalues, NULL, 0, NULL, &config) != H5Z_FILTER_FLETCHER32)
        return 0;
    for (hsize_t at = 0; at < dim; at += chunk) {
        if (H5Dget_chunk_storage_size(id, &at, &stored) < 0 || stored != chunk * size + FLETCHER32)
            return 0;
    }
    return 1;
}

/* Could the file hold n items of this size? */
static int may_hold(const struct bm_h5 *f, hsize_t n, size_t size)
{
    hsize_t bytes = 0;

    return H5Fget_filesize(f->id, &bytes) >= 0 && n <= bytes / size;
}

static int stored_inside(hid_t id, hsize_t dim, size_t size)
{
    hid_t dcpl = H5Dget_create_plist(id);
    H5D_layout_t layout = H5Pget_layout(dcpl);
    int inside = layout == H5D_CHUNKED      ? plain_chunks(id, dcpl, dim, size)
                 : layout == H5D_CONTIGUOUS ? H5Pget_external_count(dcpl) == 0
                                            : 0;

    (void)H5Pclose(dcpl);
    return inside && (dim == 0 || H5Dget_storage_size(id) / size >= dim);
}

static int item_has(hid_t id, size_t size)
{
    hid_t type = H5Dget_type(id);
    int has = H5Tget_size(type) == size;

    (void)H5Tclose(type);
    return has;
}

static int array_length(struct bm_h5 *f, hid_t id, const char *name, size_t size, size_t *n, struct bm_error *err)
{
    hid_t space = H5Dget_space(id);
    hsize_t dim = 0;
    int good = H5Sget_simple_extent_ndims(space) == 1 && H5Sget_simple_extent_dims(space, &dim, NULL) == 1;

    (void)H5Sclose(space);
    *n = (size_t)dim;
    if (good && item_has(id, size) && may_hold(f, dim, size) && stored_inside(id, dim, size))
        return 0;
    return bm_fail(err, BM_EDATA, "%s: %s is not stored as a series file stores it", f->name, name);
}

int bm_h5_array_length(struct bm_h5 *f, const char *name, size_t size, size_t *n, struct bm_error *err)
{
    hid_t id;
    int status = -1;

    bm_h5_lock();
    id = bm_h5_dataset(f, name, err);
    if (id >= 0) {
        status = array_length(f, id, name, size, n, err);
        (void)H5Dclose(id);
    }
    bm_h5_unlock();
    return status;
}

int bm_h5_get_array(struct bm_h5 *f, const char *name, const struct bm_h5_record *type, size_t n, void *data,
                    struct bm_error *err)
{
    size_t have = 0;
    hid_t id, t;
    int status = -1;

    bm_h5_lock();
    id = bm_h5_dataset(f, name, err);
    if (id >= 0 && array_length(f, id, name, type->size, &have, err) == 0) {
        t = make_record(type);
        if (have != n)
            (void)bm_fail(err, BM_EDATA, "%s: %s has %zu entries where %zu are due", f->name, name, have, n);
        else if (n && H5Dread(id, t, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) < 0)
            (void)bm_h5_fail_reading(err, f->name, "an array cannot be read");
        else
            status = 0;
        (void)H5Tclose(t);
    }
    if (id >= 0)
        (void)H5Dclose(id);
    bm_h5_unlock();
    return status;
}
