#include "io/gather.h"

#include <stdlib.h>
#include <string.h>

/* Wanted voxels that follow each other along z, and so in the columns of one tile. */
struct segment {
    uint32_t from, to; /* samples: in the volume; in the tiles, for row 0 */
    uint32_t n;
};

struct span {
    uint32_t first, n; /* neighbouring unwanted voxels of the volume */
};

struct bm_gather {
    struct segment *segments;
    size_t nsegments, tile_cols;
    size_t slice; /* samples of the volume from one z to the next */
    struct span *spans;
    size_t nspans;
};

/* Splits the column of voxels at (x, y) into segments. */
static int add_segments(const struct bm_gather *g, const struct bm_grid *grid, const int64_t *column_of, size_t rows,
                        size_t x, size_t y, struct bm_buf *out, struct bm_error *err)
{
    const size_t X = (size_t)grid->dims[0], Z = (size_t)grid->dims[2], B = g->tile_cols;
    const int64_t *column = column_of + (x * (size_t)grid->dims[1] + y) * Z;
    struct segment now = {0};

    for (size_t z = 0; z < Z; z++) {
        size_t c = (size_t)column[z];

        if (column[z] < 0)
            continue;
        if (now.n++ == 0) {
            now.from = (uint32_t)(x + X * y + g->slice * z);
            now.to = (uint32_t)(c / B * rows * B + c % B);
        }
        if (z + 1 < Z && column[z + 1] >= 0 && (c + 1) % B)
            continue;
        if (bm_buf_append(out, &now, sizeof now, err))
            return -1;
        now.n = 0;
    }
    return 0;
}

/* x innermost: the cache lines of the volume that hold one (x, y) column of voxels, one line for each z, serve the
 * next x too while they are near. */
static int fill_segments(struct bm_gather *g, const struct bm_grid *grid, const int64_t *column_of, size_t rows,
                         struct bm_error *err)
{
    const size_t X = (size_t)grid->dims[0], Y = (size_t)grid->dims[1];
    struct bm_buf all = {0};

    for (size_t y = 0; y < Y; y++) {
        for (size_t x = 0; x < X; x++) {
            if (add_segments(g, grid, column_of, rows, x, y, &all, err)) {
                bm_buf_free(&all);
                return -1;
            }
        }
    }
    g->segments = all.data;
    g->nsegments = all.size / sizeof *g->segments;
    return 0;
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

/* Column of each voxel of the grid, -1: none. */
static int64_t *invert(const int64_t *voxels, size_t n, size_t total, struct bm_error *err)
{
    int64_t *column_of = bm_alloc(total, sizeof *column_of, "voxels", err);

    for (size_t i = 0; column_of && i < total; i++)
        column_of[i] = -1;
    for (size_t i = 0; column_of && i < n; i++)
        column_of[voxels[i]] = (int64_t)i;
    return column_of;
}

struct bm_gather *bm_gather_make(const struct bm_grid *grid, const int64_t *voxels, size_t n, size_t rows,
                                 size_t tile_cols, bool background, struct bm_error *err)
{
    const size_t total = bm_grid_voxels(grid), samples = (n + tile_cols - 1) / tile_cols * tile_cols * rows;
    struct bm_gather *g;
    int64_t *column_of;
    int status = -1;

    if (total > UINT32_MAX || samples > UINT32_MAX) {
        (void)bm_fail(err, BM_EDATA,
                      "a run of %zu volumes x %zu voxels on a grid of %zu is more than 2^32 samples; "
                      "keep fewer voxels with --mask",
                      rows, n, total);
        return NULL;
    }
    g = bm_calloc(1, sizeof *g, "voxels", err);
    column_of = g ? invert(voxels, n, total, err) : NULL;
    if (column_of) {
        g->tile_cols = tile_cols;
        g->slice = (size_t)grid->dims[0] * (size_t)grid->dims[1];
        status = fill_segments(g, grid, column_of, rows, err);
        if (background && !status)
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
    free(g->segments);
    free(g->spans);
    free(g);
}

#define GATHER(type)                                                                                                 \
    for (size_t i = 0; i < g->nsegments; i++) {                                                                      \
        const struct segment *s = &g->segments[i];                                                                   \
        const type *from = (const type *)volume + s->from;                                                           \
        type *to = (type *)tiles + t * g->tile_cols + s->to;                                                         \
                                                                                                                     \
        for (size_t k = 0; k < s->n; k++)                                                                            \
            to[k] = from[k * g->slice];                                                                              \
    }

void bm_gather_volume(const struct bm_gather *g, void *tiles, const void *volume, size_t t, enum bm_dtype dtype)
{
    switch (bm_dtype_size(dtype)) {
    case 1:
        GATHER(uint8_t)
        break;
    case 2:
        GATHER(uint16_t)
        break;
    case 4:
        GATHER(uint32_t)
        break;
    default:
        GATHER(uint64_t)
        break;
    }
}

/* Eight bytes at a time; the last step may overlap the one before. */
static bool all_zero_bytes(const unsigned char *p, size_t n)
{
    uint64_t any = 0, word;

    if (n < sizeof word) {
        for (size_t i = 0; i < n; i++)
            any |= p[i];
        return any == 0;
    }
    for (size_t i = 0; i + sizeof word <= n; i += sizeof word) {
        memcpy(&word, p + i, sizeof word);
        any |= word;
    }
    memcpy(&word, p + n - sizeof word, sizeof word);
    return (any | word) == 0;
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
