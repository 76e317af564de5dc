/* Series files through the HDF5 library, which takes the file from memory (its core driver). */
#include "drain.h"
#include "io/seriesfile.h"
#include "mend.h"

#include <hdf5.h>
#include <string.h>

/* The library's checksum of its own structures. */
uint32_t H5_checksum_metadata(const void *data, size_t n, uint32_t start);

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
hid_t __real_H5Fopen(const char *name, unsigned flags, hid_t fapl);
hid_t __wrap_H5Fopen(const char *name, unsigned flags, hid_t fapl);

static const uint8_t *image;
static size_t image_size;

/* The linker sends our calls of H5Fopen here. */
hid_t __wrap_H5Fopen(const char *name, unsigned flags, hid_t fapl)
{
    if (H5Pset_fapl_core(fapl, 1 << 14, 0) < 0 ||
        H5Pset_file_image(fapl, (void *)(uintptr_t)image, image_size) < 0)
        return H5I_INVALID_HID;
    return __real_H5Fopen(name, flags, fapl);
}

/* Sets the checksum behind data[n] right. */
static void seal(uint8_t *data, size_t n, const uint8_t *end)
{
    uint32_t sum;

    if (n >= (size_t)(end - data) || (size_t)(end - data) - n < 4)
        return;
    sum = H5_checksum_metadata(data, n, 0);
    memcpy(data + n, &sum, 4);
}

/* Length of an object header (version 2) without its checksum. */
static size_t header_length(const uint8_t *p, const uint8_t *end)
{
    size_t at = 6, n = 0, width;

    if (end - p < 32)
        return SIZE_MAX / 2;
    width = (size_t)1 << (p[5] & 3);
    at += (p[5] & 0x20 ? 16 : 0) + (p[5] & 0x10 ? 4 : 0);
    for (size_t i = 0; i < width && i < 4; i++)
        n |= (size_t)p[at + i] << (8 * i);
    return at + width + n;
}

/* Superblock, object headers, and the index of chunks. */
static void mend_hdf5(uint8_t *data, size_t size)
{
    const uint8_t *end = data + size;
    size_t items = 0, width = 0;

    if (size < 48)
        return;
    for (uint8_t *p = data; p + 32 < end; p++) {
        if (memcmp(p, "OHDR", 4) == 0)
            seal(p, header_length(p, end), end);
        if (memcmp(p, "FAHD", 4) == 0) {
            width = p[6];
            items = p[8];
            seal(p, 24, end);
        }
        if (memcmp(p, "FADB", 4) == 0)
            seal(p, 14 + items * width, end);
    }
    seal(data, 44, end);
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed)
{
    size = LLVMFuzzerMutate(data, size, most);
    if (seed % 4)
        mend_hdf5(data, size);
    return size;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bm_error err = {0};
    struct bm_source *src;

    if (size == 0)
        return 0;
    image = data;
    image_size = size;
    src = bm_seriesfile_source("x.h5", &err);
    if (src)
        drain(src);
    return 0;
}
