#include "io/mat5.h"

#include "core/mem.h"
#include "io/commit.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum {
    MI_INT8 = 1,
    MI_UINT8,
    MI_INT16,
    MI_UINT16,
    MI_INT32,
    MI_UINT32,
    MI_DOUBLE = 9,
    MI_MATRIX = 14,
    MX_DOUBLE = 6
};

#define HEADER 128
#define MAX_NAME 63

/* Bytes of an element's data, padded to whole 8-byte words. */
static size_t padded(size_t n)
{
    return (n + 7) / 8 * 8;
}

static int append_tag(struct bm_buf *buf, uint32_t type, size_t bytes, struct bm_error *err)
{
    uint32_t tag[2] = {type, (uint32_t)bytes};

    return bm_buf_append(buf, tag, sizeof tag, err);
}

static int append_element(struct bm_buf *buf, uint32_t type, const void *data, size_t bytes, struct bm_error *err)
{
    static const char zeros[8];

    if (append_tag(buf, type, bytes, err) < 0 || bm_buf_append(buf, data, bytes, err) < 0)
        return -1;
    return bm_buf_append(buf, zeros, padded(bytes) - bytes, err);
}

static int append_header(struct bm_buf *buf, struct bm_error *err)
{
    char header[HEADER];
    const char *text = "MATLAB 5.0 MAT-file, written by boldmill";
    const uint16_t version = 0x0100, endian = 0x4d49; /* "IM" on disk */

    memset(header, ' ', 116);
    memset(header + 116, 0, HEADER - 116);
    memcpy(header, text, strlen(text));
    memcpy(header + 124, &version, sizeof version);
    memcpy(header + 126, &endian, sizeof endian);
    return bm_buf_append(buf, header, sizeof header, err);
}

/* Number of elements. -1 where the matrix does not fit the format, whose sizes are 32 bits. */
static int matrix_items(const struct bm_mat5_matrix *m, size_t *items, struct bm_error *err)
{
    const size_t most = INT32_MAX / 16;
    bool fits = m->ndims >= 2 && m->ndims <= BM_MAT5_MAX_DIMS && strlen(m->name) <= MAX_NAME;

    *items = 1;
    for (size_t i = 0; i < m->ndims && fits; i++) {
        fits = m->dims[i] <= most && *items * m->dims[i] <= most;
        *items *= m->dims[i];
    }
    if (!fits)
        return bm_fail(err, BM_EUSAGE, "%s: does not fit a MAT-file of level 5; make the matrix smaller", m->name);
    return 0;
}

/* Whole numbers are stored in the narrowest type that holds them all, as MATLAB does; the matrix stays double. */
static uint32_t storage_type(const double *data, size_t n)
{
    double low = 0, high = 0;

    for (size_t i = 0; i < n; i++) {
        if (!(data[i] >= INT32_MIN && data[i] <= INT32_MAX) || (double)(int32_t)data[i] != data[i])
            return MI_DOUBLE;
        low = data[i] < low ? data[i] : low;
        high = data[i] > high ? data[i] : high;
    }
    if (low < 0 || high > UINT16_MAX)
        return MI_INT32;
    return high > UINT8_MAX ? MI_UINT16 : MI_UINT8;
}

static size_t storage_bytes(uint32_t type)
{
    return type == MI_DOUBLE ? 8 : type == MI_INT32 ? 4 : type == MI_UINT16 ? 2 : 1;
}

static void store_number(unsigned char *out, uint32_t type, double value)
{
    if (type == MI_DOUBLE)
        memcpy(out, &value, 8);
    else if (type == MI_INT32)
        memcpy(out, &(int32_t){(int32_t)value}, 4);
    else if (type == MI_UINT16)
        memcpy(out, &(uint16_t){(uint16_t)value}, 2);
    else
        *out = (unsigned char)value;
}

static int append_numbers(struct bm_buf *buf, uint32_t type, const double *data, size_t n, struct bm_error *err)
{
    size_t size = storage_bytes(type);
    unsigned char *packed = bm_alloc(n, size, "matrix", err);
    int rc = -1;

    if (packed) {
        for (size_t i = 0; i < n; i++)
            store_number(packed + i * size, type, data[i]);
        rc = append_element(buf, type, packed, n * size, err);
    }
    free(packed);
    return rc;
}

static int append_matrix(struct bm_buf *buf, const struct bm_mat5_matrix *m, struct bm_error *err)
{
    uint32_t flags[2] = {MX_DOUBLE, 0}, type;
    int32_t dims[BM_MAT5_MAX_DIMS] = {0};
    size_t items, bytes;

    if (matrix_items(m, &items, err) < 0)
        return -1;
    for (size_t i = 0; i < m->ndims; i++)
        dims[i] = (int32_t)m->dims[i];
    type = storage_type(m->data, items);
    bytes =
        4 * sizeof(uint32_t[2]) + sizeof flags + padded(4 * m->ndims) + padded(strlen(m->name)); /* with four tags */
    bytes += padded(items * storage_bytes(type));
    if (append_tag(buf, MI_MATRIX, bytes, err) < 0 || append_element(buf, MI_UINT32, flags, sizeof flags, err) < 0 ||
        append_element(buf, MI_INT32, dims, 4 * m->ndims, err) < 0 ||
        append_element(buf, MI_INT8, m->name, strlen(m->name), err) < 0)
        return -1;
    return append_numbers(buf, type, m->data, items, err);
}

static int write_all(const char *path, const struct bm_buf *buf, struct bm_error *err)
{
    struct bm_commit *c = bm_commit_open(path, err);

    if (!c)
        return -1;
    if (bm_commit_write(c, buf->data, buf->size, err) < 0) {
        bm_commit_drop(c);
        return -1;
    }
    return bm_commit_done(c, err);
}

int bm_mat5_write(const char *path, const struct bm_mat5_matrix *matrices, size_t n, struct bm_error *err)
{
    struct bm_buf buf = {0};
    int rc = append_header(&buf, err);

    for (size_t i = 0; i < n && rc == 0; i++)
        rc = append_matrix(&buf, &matrices[i], err);
    if (rc == 0)
        rc = write_all(path, &buf, err);
    bm_buf_free(&buf);
    return rc;
}
