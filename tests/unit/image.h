/* A small NIfTI file in memory, for tests to spoil. */
#ifndef BM_UNIT_IMAGE_H
#define BM_UNIT_IMAGE_H

#include "core/mem.h"
#include "files.h"
#include "io/nifti.h"
#include "unit.h"

enum { NX = 5, NY = 4, NZ = 3, NT = 2, VOXELS = NX * NY * NZ };

static const struct bm_grid grid = {{NX, NY, NZ}, {{2, 0, 0, -10}, {0, 2.5, 0, -20}, {0, 0, 3, 30}}};

/* A file of int16 0, 1, 2, ...: header and samples in one buffer that tests then spoil. */
struct image {
    unsigned char bytes[352 + VOXELS * NT * 2];
};

__attribute__((unused)) static void make_image(struct image *m)
{
    bm_nifti1_header(m->bytes, &grid, NT, BM_I16, 1.5, "test");
    for (int i = 0; i < VOXELS * NT; i++) {
        m->bytes[352 + 2 * i] = (unsigned char)i;
        m->bytes[353 + 2 * i] = (unsigned char)(i >> 8);
    }
}

__attribute__((unused)) static void put_i16(struct image *m, size_t at, int v)
{
    m->bytes[at] = (unsigned char)v;
    m->bytes[at + 1] = (unsigned char)(v >> 8);
}

__attribute__((unused)) static void put_f32(struct image *m, size_t at, float v)
{
    memcpy(m->bytes + at, &v, 4);
}

__attribute__((unused)) static struct bm_nifti *open_image(const struct image *m, struct bm_error *err)
{
    return bm_nifti_open(put_file("m.nii", m->bytes, sizeof m->bytes), err);
}

__attribute__((unused)) static void refuses(const struct image *m, const char *why)
{
    struct bm_error err = {0};
    struct bm_nifti *n = open_image(m, &err);

    if (n)
        unit_fail("opened in spite of \"%s\"", why);
    bm_nifti_close(n);
    CHECK_ERR_CONTAINS(&err, why);
    CHECK_ERR_CONTAINS(&err, "m.nii: ");
    CHECK(err.code == BM_EDATA);
}

#endif
