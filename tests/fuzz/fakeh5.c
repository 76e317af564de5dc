#include "fakeh5.h"

#include "io/hdf5.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define MOST_RECORDS 64
#define HEAD 4 /* of a record */

struct record {
    uint8_t kind, run;
    size_t at, n; /* its data */
};

struct bm_h5 {
    const uint8_t *data;
    struct record records[MOST_RECORDS];
    size_t n;
};

struct bm_h5_tiles {
    const struct bm_h5 *file;
    size_t run, chunk_cols;
};

static const uint8_t *bytes;
static size_t total;

void fakeh5_set(const uint8_t *data, size_t size)
{
    bytes = data;
    total = size;
}

static size_t split(const uint8_t *data, size_t size, struct record *records)
{
    size_t n = 0;

    for (size_t at = 1; n < MOST_RECORDS && at + HEAD <= size; n++) {
        size_t length = data[at + 2] + 256u * data[at + 3], room = size - at - HEAD;

        records[n] = (struct record){data[at] % FAKEH5_KINDS, data[at + 1], at + HEAD, length < room ? length : room};
        at += HEAD + records[n].n;
    }
    return n;
}

/* ---- io/hdf5.h ---- */

struct bm_h5 *bm_h5_open(const char *path, const char *shown_as, struct bm_error *err)
{
    struct bm_h5 *f = total ? bm_calloc(1, sizeof *f, path, err) : NULL;

    if (!f) {
        (void)bm_fail(err, BM_EDATA, "%s: is empty", shown_as);
        return NULL;
    }
    f->data = bytes;
    f->n = split(bytes, total, f->records);
    return f;
}

int bm_h5_close(struct bm_h5 *f, struct bm_error *err)
{
    (void)err;
    free(f);
    return 0;
}

void bm_h5_abandon(struct bm_h5 *f)
{
    free(f);
}

int bm_h5_has_attr(struct bm_h5 *f, const char *name)
{
    (void)name;
    return !(f->data[0] & 1);
}

static const struct record *find(const struct bm_h5 *f, const char *name)
{
    static const char *const kinds[] = {"run_table", "voxels", "header", "footer", "metadata", "tile_crc32"};
    const char *slash = strrchr(name, '/');
    unsigned long run = slash > name ? strtoul(name + sizeof "/runs/" - 1, NULL, 10) - 1 : 0;

    for (size_t i = 0; i < f->n; i++) {
        const struct record *r = &f->records[i];

        if (r->kind < FAKEH5_TILE && strcmp(kinds[r->kind], slash + 1) == 0 &&
            (r->kind <= FAKEH5_VOXELS || r->run == run))
            return r;
    }
    return NULL;
}

int bm_h5_array_length(struct bm_h5 *f, const char *name, size_t size, size_t *n, struct bm_error *err)
{
    const struct record *r = find(f, name);

    if (!r)
        return bm_fail(err, BM_EDATA, "%s: is missing", name);
    *n = r->n / size;
    return 0;
}

int bm_h5_get_array(struct bm_h5 *f, const char *name, const struct bm_h5_record *type, size_t n, void *data,
                    struct bm_error *err)
{
    const struct record *r = find(f, name);

    if (!r || r->n / type->size != n)
        return bm_fail(err, BM_EDATA, "%s: has another length", name);
    if (n)
        memcpy(data, f->data + r->at, n * type->size);
    return 0;
}

struct bm_h5_tiles *bm_h5_open_tiles(struct bm_h5 *f, const char *name, enum bm_dtype dtype, size_t rows, size_t cols,
                                     size_t chunk_cols, bool *deflate, struct bm_error *err)
{
    struct bm_h5_tiles *t = bm_calloc(1, sizeof *t, name, err);

    (void)dtype;
    (void)rows;
    (void)cols;
    if (!t)
        return NULL;
    *t = (struct bm_h5_tiles){f, strtoul(name + sizeof "/runs/" - 1, NULL, 10) - 1, chunk_cols};
    *deflate = f->data[0] & 2;
    if (!(f->data[0] & 4))
        return t;
    free(t);
    (void)bm_fail(err, BM_EDATA, "%s: is not stored as its header says", name);
    return NULL;
}

static const struct record *find_tile(const struct bm_h5_tiles *t, size_t first)
{
    for (size_t i = 0; i < t->file->n; i++) {
        const struct record *r = &t->file->records[i];

        if (r->kind == FAKEH5_TILE && r->run == t->run && r->n > 2 && t->file->data[r->at] * t->chunk_cols == first)
            return r;
    }
    return NULL;
}

int bm_h5_read_tile(struct bm_h5_tiles *t, size_t first, size_t most, uint32_t *filter_mask, struct bm_buf *out,
                    struct bm_error *err)
{
    const struct record *r = find_tile(t, first);

    if (!r || r->n - 2 > most)
        return bm_fail(err, BM_EDATA, "a tile is missing or too long");
    *filter_mask = t->file->data[r->at + 1];
    if (bm_buf_resize(out, r->n - 2, err))
        return -1;
    memcpy(out->data, t->file->data + r->at + 2, r->n - 2);
    return 0;
}

int bm_h5_tile_place(struct bm_h5_tiles *t, size_t first, uint64_t *at, uint64_t *n, struct bm_error *err)
{
    const struct record *r = find_tile(t, first);

    *at = r ? r->at + 2 : 0;
    *n = r ? r->n - 2 : 0;
    return r ? 0 : bm_fail(err, BM_ESYS, "a tile did not reach the file");
}

void bm_h5_close_tiles(struct bm_h5_tiles *t)
{
    free(t);
}

/* ---- mending ---- */

static void mend_crcs(uint8_t *data, size_t size)
{
    struct record records[MOST_RECORDS];
    size_t n = split(data, size, records);

    for (size_t i = 0; i < n; i++) {
        const struct record *tile = &records[i];

        for (size_t k = 0; k < n && tile->kind == FAKEH5_TILE && tile->n > 2; k++) {
            const struct record *crcs = &records[k];
            const size_t at = 4u * data[tile->at];

            if (crcs->kind == FAKEH5_CRCS && crcs->run == tile->run && at + 4 <= crcs->n) {
                const uint32_t crc = (uint32_t)crc32(0, data + tile->at + 2, (uInt)tile->n - 2);

                memcpy(data + crcs->at + at, &crc, 4);
            }
        }
    }
}

/* Changes the data of a record, of which `behind` bytes follow. Returns the new size of the whole. */
static size_t change(uint8_t *data, size_t size, size_t most, const struct record *r, unsigned seed)
{
    static uint8_t held[1 << 16];
    const size_t behind = size - r->at - r->n, room = most - (size - r->n);
    mutation *text = r->kind == FAKEH5_HEADER || r->kind == FAKEH5_FOOTER ? mend_text : NULL;
    size_t n = r->n;

    if (behind > sizeof held || room == 0)
        return size;
    memcpy(held, data + r->at + r->n, behind);
    n = text ? text(data + r->at, n, room, seed) : mend_mutate(data + r->at, n, room);
    memcpy(data + r->at + n, held, behind);
    data[r->at - 2] = (uint8_t)n;
    data[r->at - 1] = (uint8_t)(n >> 8);
    return size - r->n + n;
}

size_t fakeh5_mend(uint8_t *data, size_t size, size_t most, unsigned seed)
{
    struct record records[MOST_RECORDS];
    size_t n = size ? split(data, size, records) : 0;
    uint32_t state = seed;
    const struct record *r = n ? &records[mend_random(&state) % n] : NULL;
    const unsigned what = mend_random(&state) % 32;

    if (!r || what == 0) {
        size = mend_mutate(data, size, most);
    } else if (what == 1) {
        memmove(data + r->at - HEAD, data + r->at + r->n, size - r->at - r->n);
        size -= HEAD + r->n;
    } else if (what == 2 && size + HEAD + r->n <= most) {
        memcpy(data + size, data + r->at - HEAD, HEAD + r->n);
        size += HEAD + r->n;
    } else {
        size = change(data, size, most, r, mend_random(&state));
    }
    if (size && seed % 16)
        mend_crcs(data, size);
    return size;
}
