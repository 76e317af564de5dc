#include "io/gather.h"
#include "runs.h"

#define MAX_VOXELS 4000
#define MAX_ROWS 5

static const enum bm_dtype types[] = {BM_U8, BM_I8, BM_I16, BM_F16, BM_I32, BM_F32, BM_F64, BM_I64};

/* A grid, a mask, and volumes of random samples in the file's order (x fastest). */
struct scene {
    struct bm_grid grid;
    size_t total, n, rows, tile_cols;
    enum bm_dtype type;
    int64_t voxels[MAX_VOXELS];
    unsigned char *volumes, *tiles;
};

static void make_scene(struct scene *s, size_t k, struct bm_random *r)
{
    static const double chances[] = {0.5, 0.02, 0.98, 1, 0.3};
    const double chance = chances[k % COUNT(chances)];

    for (int i = 0; i < 3; i++)
        s->grid.dims[i] = 1 + (int64_t)bm_random_below(r, k % 4 == (size_t)i ? 40 : 9);
    s->total = bm_grid_voxels(&s->grid);
    s->rows = 1 + bm_random_below(r, MAX_ROWS);
    s->tile_cols = (size_t)1 << bm_random_below(r, 8);
    s->type = types[k % COUNT(types)];
    s->n = 0;
    for (size_t i = 0; i < s->total; i++)
        if (bm_random_unit(r) < chance)
            s->voxels[s->n++] = (int64_t)i;
    if (s->n == 0)
        s->voxels[s->n++] = (int64_t)s->total - 1;
    size_t size = bm_dtype_size(s->type);
    s->volumes = must(malloc(s->total * s->rows * size));
    for (size_t i = 0; i < s->total * s->rows * size; i++)
        s->volumes[i] = (unsigned char)(bm_random_next(r) >> 20);
}

static void free_scene(struct scene *s)
{
    free(s->volumes);
    free(s->tiles);
}

/* Where the file keeps the voxel with this C-order index. */
static size_t file_place(const struct bm_grid *g, size_t voxel)
{
    size_t X = (size_t)g->dims[0], Y = (size_t)g->dims[1], Z = (size_t)g->dims[2];

    return voxel / Z / Y + X * (voxel / Z % Y) + X * Y * (voxel % Z);
}

static void places_are_those_of_a_triple_loop(void)
{
    const struct bm_grid g = {.dims = {3, 4, 5}};
    size_t place = 0;

    for (size_t z = 0; z < 5; z++)
        for (size_t y = 0; y < 4; y++)
            for (size_t x = 0; x < 3; x++)
                CHECK_ROW(file_place(&g, (x * 4 + y) * 5 + z) == place++, place);
}

/* Sample (t, column) of the tiles: tiles of rows x tile_cols one after the other. */
static const unsigned char *in_tiles(const struct scene *s, size_t t, size_t c)
{
    size_t B = s->tile_cols;

    return s->tiles + (c / B * s->rows * B + t * B + c % B) * bm_dtype_size(s->type);
}

static void gathering_is_that_of_a_loop(void)
{
    struct bm_random r;

    bm_random_seed(&r, 1, 0);
    for (size_t k = 0; k < 400; k++) {
        struct bm_error err = {0};
        static struct scene s;
        make_scene(&s, k, &r);
        size_t size = bm_dtype_size(s.type), tiles = (s.n + s.tile_cols - 1) / s.tile_cols;
        struct bm_gather *g = bm_gather_make(&s.grid, s.voxels, s.n, s.rows, s.tile_cols, k % 2, &err);
        REQUIRE(g, &err);
        s.tiles = must(malloc(tiles * s.tile_cols * s.rows * size));
        memset(s.tiles, 0xEE, tiles * s.tile_cols * s.rows * size);
        for (size_t t = s.rows; t-- > 0;)
            bm_gather_volume(g, s.tiles, s.volumes + t * s.total * size, t, s.type);
        for (size_t t = 0; t < s.rows; t++)
            for (size_t c = 0; c < s.n; c++) {
                size_t at = t * s.total + file_place(&s.grid, (size_t)s.voxels[c]);
                CHECK_ROW(memcmp(in_tiles(&s, t, c), s.volumes + at * size, size) == 0, k);
            }
        for (size_t c = s.n; c < tiles * s.tile_cols; c++) /* padding is left alone */
            CHECK_ROW(*in_tiles(&s, 0, c) == 0xEE, k);
        bm_gather_free(g);
        free_scene(&s);
        s.tiles = NULL;
    }
    bm_gather_free(NULL);
}

/* Values and whether they count as something. */
static const struct {
    enum bm_dtype type;
    uint64_t bits;
    bool something;
} values[] = {
    {BM_U8, 1, true},
    {BM_U8, 0x80, true},
    {BM_I8, 0xff, true},
    {BM_I16, 0x0100, true},
    {BM_I16, 0x8000, true},
    {BM_U16, 0x8000, true},
    {BM_I32, 0x80000000, true},
    {BM_U32, 0x00010000, true},
    {BM_I64, 1ull << 63, true},
    {BM_U64, 1ull << 63, true},
    {BM_F16, 0x8000, false},
    {BM_F16, 0x0001, true},
    {BM_F16, 0x8001, true},
    {BM_F16, 0x7e00, true},
    {BM_F16, 0x7c00, true},
    {BM_F32, 0x80000000, false},
    {BM_F32, 1, true},
    {BM_F32, 0x7fc00000, true},
    {BM_F32, 0xff800000, true},
    {BM_F64, 1ull << 63, false},
    {BM_F64, 1, true},
    {BM_F64, 0x7ff8ull << 48, true},
    {BM_F64, 0x7ff0000000000001, true},
    {BM_F64, 0, false},
};

static void what_lies_outside_is_seen(void)
{
    struct bm_random r;

    bm_random_seed(&r, 2, 0);
    for (size_t k = 0; k < 30; k++) {
        struct bm_error err = {0};
        static struct scene s;
        static bool wanted[MAX_VOXELS];
        make_scene(&s, k, &r);
        struct bm_gather *g = bm_gather_make(&s.grid, s.voxels, s.n, s.rows, s.tile_cols, true, &err);
        REQUIRE(g, &err);
        memset(wanted, 0, sizeof wanted);
        for (size_t i = 0; i < s.n; i++)
            wanted[s.voxels[i]] = true;
        unsigned char *volume = must(calloc(s.total, 8));
        for (size_t v = 0; v < COUNT(values); v++) {
            size_t size = bm_dtype_size(values[v].type);
            for (size_t i = 0; i < s.total; i += 1 + i % 3) {
                unsigned char *at = volume + file_place(&s.grid, i) * size;
                memcpy(at, &values[v].bits, size);
                CHECK_ROW(bm_gather_outside(g, volume, values[v].type) == (values[v].something && !wanted[i]), v);
                memset(at, 0, size);
            }
            for (size_t i = 0; i < s.total * size; i += size) /* everywhere */
                memcpy(volume + i, &values[v].bits, size);
            CHECK_ROW(bm_gather_outside(g, volume, values[v].type) == (values[v].something && s.n < s.total), v);
            memset(volume, 0, s.total * 8);
        }
        free(volume);
        bm_gather_free(g);
        free_scene(&s);
    }
}

static void voxels_that_are_not_zero_are_marked(void)
{
    const struct bm_grid grid = {.dims = {5, 3, 7}};

    for (size_t v = 0; v < COUNT(values); v++) {
        size_t size = bm_dtype_size(values[v].type);
        unsigned char volume[105 * 8] = {0};
        bool flags[105] = {false};
        flags[17] = true; /* what is marked already stays marked */
        for (size_t i = 0; i < 105; i += 4)
            memcpy(volume + file_place(&grid, i) * size, &values[v].bits, size);
        bm_mark_nonzero(&grid, volume, values[v].type, flags);
        for (size_t i = 0; i < 105; i++)
            CHECK_ROW(flags[i] == (i == 17 || (i % 4 == 0 && values[v].something)), v);
    }
}

static void too_many_samples_are_refused(void)
{
    static const struct bm_grid grid = {.dims = {2, 2, 2}};
    static const int64_t voxels[] = {0, 3, 7};
    struct bm_error err = {0};

    CHECK(!bm_gather_make(&grid, voxels, 3, (size_t)1 << 31, 4, false, &err) && err.code == BM_EDATA);
    CHECK_ERR_CONTAINS(&err, "2^32 samples");
    err = (struct bm_error){0};
    const struct bm_grid large = {.dims = {1 << 16, 1 << 16, 1}}; /* nothing is allocated for it */
    CHECK(!bm_gather_make(&large, voxels, 3, 1, 4, false, &err) && err.code == BM_EDATA);
    CHECK_ERR_CONTAINS(&err, "on a grid of 4294967296 is more than 2^32 samples");
}

int main(void)
{
    static const struct unit_test all[] = {
        UNIT(places_are_those_of_a_triple_loop), UNIT(gathering_is_that_of_a_loop),
        UNIT(what_lies_outside_is_seen),         UNIT(voxels_that_are_not_zero_are_marked),
        UNIT(too_many_samples_are_refused),
    };
    return unit_main(all, COUNT(all));
}
