#include "io/gather.h"

#include <stdlib.h>
#include <string.h>

struct pair {
    uint32_t from, to; /* samples: in the volume; in the tiles, for row 0 */
};

struct span {
    uint32_t first, n; /* neighbouring unwanted voxels of the volume */
};

struct bm_gather {
    struct pair *pairs;
    size_t npairs, tile_cols, samples;
    struct span *spans;
    size_t nspans;
};

/* x in blocks of a cache line of int16; within a block z runs innermost, as the columns do. */
#define BLOCK 32

static void fill_pairs(struct bm_gather *g, const struct bm_grid *grid, const int64_t *column_of, size_t rows)
{
    const size_t X = (size_t)grid->dims[0], Y = (size_t)grid->dims[1], Z = (size_t)grid->dims[2];
    const size_t B = g->tile_cols;
    size_t n = 0;

    for (size_t y = 0; y < Y; y++) {
        for (size_t x0 = 0; x0 < X; x0 += BLOCK) {
            for (size_t z = 0; z < Z; z++) {
                for (size_t x = x0; x < X && x < x0 + BLOCK; x++) {
                    int64_t c = column_of[(x * Y + y) * Z + z];

                    if (c < 0)
                        continue;
                    g->pairs[n].from = (uint32_t)(x + X * (y + Y * z));
                    g->pairs[n++].to = (uint32_t)((size_t)c / B * rows * B + (size_t)c % B);
                }
            }
        }
    }
}

static int fill_spans(struct bm_gather *g, const struct bm_grid *grid, const int64_t *column_of, struct bm_error *err)
{
    const size_t X = (size_t)grid->dims[0], Y = (size_t)grid->dims[1], Z = (size_t)grid->dims[2];
    struct bm_buf spans = {0};
    struct span now = {0, 0};

    for (size_t i = 0; i < X * Y * Z; i++) {
        bool wanted = column_of[(i % X * Y + i / X % Y) * Z + i / X / Y] >= 0;

        if (!wanted && now.n++ == 0)
            now.first = (uint32_t)i;
        if ((wanted || i + 1 == X * Y * Z) && now.n) {
            if (bm_buf_append(&spans, &now, sizeof now, err)) {
                bm_buf_free(&spans);
                return -1;
            }
            now.n = 0;
        }
    }
    g->spans = spans.data;
    g->nspans = spans.size / sizeof now;
    return 0;
}

struct bm_gather *bm_gather_make(const struct bm_grid *grid, const int64_t *voxels, size_t n, size_t rows,
                                 size_t tile_cols, bool background, struct bm_error *err)
{
    struct bm_gather *g = bm_calloc(1, sizeof *g, "voxels", err);
    const size_t total = bm_grid_voxels(grid);
    int64_t *column_of = g ? bm_alloc(total, sizeof *column_of, "voxels", err) : NULL;
    int status = -1;

    if (column_of) {
        g->tile_cols = tile_cols;
        g->npairs = n;
        g->samples = (n + tile_cols - 1) / tile_cols * tile_cols * rows;
        if (total > UINT32_MAX || g->samples > UINT32_MAX)
            (void)bm_fail(err, BM_EDATA, "a run of %zu volumes x %zu voxels on a grid of %zu is more than 2^32 samples; "
                                         "keep fewer voxels with --mask",
                          rows, n, total);
        else if ((g->pairs = bm_alloc(n, sizeof *g->pairs, "voxels", err)))
            status = 0;
    }
    if (!status) {
        for (size_t i = 0; i < total; i++)
            column_of[i] = -1;
        for (size_t i = 0; i < n; i++)
            column_of[voxels[i]] = (int64_t)i;
        fill_pairs(g, grid, column_of, rows);
        if (background)
            status = fill_spans(g, grid, column_of, err);
    }
    free(column_of);
    if (!status)
        return g;
    bm_gather_free(g);
    return NULL;
}

void bm_gather_free(struct bm_gather *g)
{
    if (!g)
        return;
    free(g->pairs);
    free(g->spans);
    free(g);
}

size_t bm_gather_bytes(const struct bm_gather *g, enum bm_dtype dtype)
{
    return g->samples * bm_dtype_size(dtype);
}

#define GATHER(type)                                                                                                  \
    do {                                                                                                              \
        type *to = (type *)tiles + t * g->tile_cols;                                                                  \
        const type *from = volume;                                                                                    \
                                                                                                                      \
        for (size_t i = 0; i < g->npairs; i++)                                                                        \
            to[g->pairs[i].to] = from[g->pairs[i].from];                                                              \
    } while (0)

void bm_gather_volume(const struct bm_gather *g, void *tiles, const void *volume, size_t t, enum bm_dtype dtype)
{
    switch (bm_dtype_size(dtype)) {
    case 1:
        GATHER(uint8_t);
        break;
    case 2:
        GATHER(uint16_t);
        break;
    case 4:
        GATHER(uint32_t);
        break;
    default:
        GATHER(uint64_t);
        break;
    }
}

static bool all_zero_bytes(const unsigned char *p, size_t n)
{
    unsigned char any = 0;

    for (size_t i = 0; i < n; i++)
        any |= p[i];
    return any == 0;
}

static bool is_nonzero(const void *sample, enum bm_dtype dtype)
{
    double v;

    bm_to_double(&v, sample, dtype, 1);
    return v != 0.0; /* a negative zero is zero, NaN is not */
}

bool bm_gather_outside(const struct bm_gather *g, const void *volume, enum bm_dtype dtype)
{
    const size_t size = bm_dtype_size(dtype);
    const unsigned char *bytes = volume;

    for (size_t s = 0; s < g->nspans; s++) {
        const unsigned char *p = bytes + g->spans[s].first * size;

        if (all_zero_bytes(p, g->spans[s].n * size))
            continue;
        for (size_t i = 0; i < g->spans[s].n; i++) {
            if (is_nonzero(p + i * size, dtype))
                return true;
        }
    }
    return false;
}

void bm_mark_nonzero(const struct bm_grid *grid, const void *volume, enum bm_dtype dtype, bool *flags)
{
    const size_t X = (size_t)grid->dims[0], Y = (size_t)grid->dims[1], Z = (size_t)grid->dims[2];
    const size_t size = bm_dtype_size(dtype);
    const unsigned char *p = volume;

    for (size_t z = 0; z < Z; z++) {
        for (size_t y = 0; y < Y; y++) {
            for (size_t x = 0; x < X; x++, p += size) {
                if (!all_zero_bytes(p, size) && is_nonzero(p, dtype))
                    flags[(x * Y + y) * Z + z] = true;
            }
        }
    }
}
