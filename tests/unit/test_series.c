#include "core/series.h"
#include "runs.h"

static const struct bm_grid grid = {{81, 104, 83}, {{1.8, 0, 0, -72}, {0, 1.8, 0, -93.6}, {0, 0, 1.8, -74.7}}};

static void grids_are_the_same_at_their_corners(void)
{
    static const struct {
        int row, col;
        double by;
        bool same;
    } rows[] = {
        {0, 3, 0, true},         {0, 3, 0.9e-3, true},  {0, 3, 1.1e-3, false},  {2, 3, -1.1e-3, false},
        {0, 0, 1e-5, true},      {0, 0, 2e-5, false},   {1, 1, 0.9e-5, true},   {1, 1, 1.1e-5, false},
        {0, 2, 1.1e-5, true},    {0, 2, 1.3e-5, false}, {2, 0, -1.3e-5, false}, {1, 3, NAN, false},
        {2, 2, INFINITY, false},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct bm_grid other = grid;
        other.affine[rows[i].row][rows[i].col] += rows[i].by;
        CHECK_ROW(bm_grid_same(&grid, &other) == rows[i].same && bm_grid_same(&other, &grid) == rows[i].same, i);
    }
    for (int k = 0; k < 3; k++) { /* too far only where all three axes end */
        struct bm_grid other = grid;
        for (int c = 0; c < 3; c++)
            other.affine[k][c] += 0.4e-3 / (double)(grid.dims[c] - 1);
        CHECK_ROW(!bm_grid_same(&grid, &other), k);
        other.affine[k][k] = grid.affine[k][k];
        CHECK_ROW(bm_grid_same(&grid, &other), k);
    }
    for (int k = 0; k < 3; k++) {
        struct bm_grid other = grid;
        other.dims[k]++;
        CHECK_ROW(!bm_grid_same(&grid, &other), k);
    }
}

static void grids_in_words(void)
{
    char text[200], tiny[6];

    CHECK(strcmp(bm_grid_text(&grid, text, sizeof text), "81x104x83, 1.8x1.8x1.8 mm, origin (-72.0, -93.6, -74.7)") ==
          0);
    CHECK(strcmp(bm_grid_text(&grid, tiny, sizeof tiny), "81x10") == 0);
    CHECK(bm_grid_voxels(&grid) == 699192);
    CHECK(bm_grid_voxels(&(struct bm_grid){.dims = {1 << 20, 1 << 19, 1}}) == (size_t)1 << 39);
}

static void rows_lie_as_documented(void)
{
    static const unsigned char hand[2 * 26] =
        {
            0xEE, 0xEE, 0xEE, 0xEE, 0xEE, 0xEE, 0xEE, 0xEE, 0xEE, 0xEE, 0xEE, 0xEE, 0xEE,
            0xEE, 0xEE, 0xEE, 0xEE, 0xEE, 0xEE, 0xEE, 0xEE, 0xEE, 0xEE, 0xEE, 0xEE, 0xEE,
            0xFF, 0xFF, 0xFF, 0xFF, 0x78, 0x56, 0x34, 0x12, /* stimulus_history: -1, 0x12345678 */
            8,    0,    40,   0,    0x0C, 0xFF,             /* subject_idx, session, run: 8, 40, -244 */
            0,    0,    0x60, 0x43, 0xFE, 0xFF, 0xFF, 0xFF, 0,    0,    0,    0x80, /* time 224, trial -2, stimulus
                                                                                       -2^31 */
        };
    unsigned char data[2 * 26];
    int32_t history[2] = {-1, 0x12345678}, back[2];
    struct bm_rows rows = {2, 2, data};
    struct bm_row row = {history, 8, 40, -244, 224, -2, INT32_MIN}, got = {.stimulus_history = back};

    memset(data, 0xEE, sizeof data);
    bm_row_put(&rows, 1, &row);
    CHECK(bm_row_size(2) == 26 && memcmp(data, hand, sizeof hand) == 0);
    bm_row_get(&rows, 1, &got);
    CHECK(back[0] == -1 && back[1] == 0x12345678 && got.subject_idx == 8 && got.session == 40 && got.run == -244);
    CHECK(got.time == 224 && got.trial == -2 && got.stimulus == INT32_MIN);
    bm_row_get(&rows, 0, &got);
    CHECK(back[0] == (int32_t)0xEEEEEEEE && got.subject_idx == (int16_t)0xEEEE);
    CHECK(bm_row_size(0) == 18 && bm_row_size(1024) == 4114);
}

static const struct wish wish = {BM_I16, 20, 50, 16, 3, 5, 1};

/* Row t is volume t, save for one. */
static void spoil_times(struct bm_run *run, size_t at, int32_t volume)
{
    run->times = must(malloc(run->rows * sizeof *run->times));
    for (size_t t = 0; t < run->rows; t++)
        run->times[t] = t == at ? volume : (int32_t)t;
}

/* What is wrong with a run and what the message says of it. */
static void spoil(struct bm_run *run, size_t what)
{
    switch (what) {
    case 0:
        run->rows = 0;
        break;
    case 1:
        run->rows = (size_t)INT32_MAX + 1;
        break;
    case 2:
        run->cols = 0;
        break;
    case 3:
        run->tile_cols = 0;
        break;
    case 4:
        run->tile_cols = BM_TILE_MAX_COLS + 1;
        break;
    case 5:
        run->rows = BM_TILE_MAX_BYTES / 32 + 1;
        run->meta.n = run->rows;
        break;
    case 6:
        run->tr = 0;
        break;
    case 7:
        run->tr = -1;
        break;
    case 8:
        run->tr = NAN;
        break;
    case 9:
        run->tr = INFINITY;
        break;
    case 10:
        run->slope = NAN;
        break;
    case 11:
        run->slope = -INFINITY;
        break;
    case 12:
        run->inter = INFINITY;
        break;
    case 13:
        run->meta.n--;
        break;
    case 14:
        run->meta.n++;
        break;
    case 15:
        run->grid.dims[0] = 0;
        break;
    case 16:
        run->grid.dims[2] = -5;
        break;
    case 17:
        run->grid.dims[1] = (int64_t)INT32_MAX + 1;
        break;
    case 18:
        run->grid.dims[0] = run->grid.dims[1] = run->grid.dims[2] = 10322;
        break;
    case 19:
        run->grid.dims[0] = run->grid.dims[1] = run->grid.dims[2] = INT32_MAX;
        break;
    case 20:
        run->grid.affine[0][0] = NAN;
        break;
    case 21:
        run->grid.affine[2][3] = INFINITY;
        break;
    case 22:
        run->voxels[0] = -1;
        break;
    case 23:
        run->voxels[7] = run->voxels[6];
        break;
    case 24:
        run->voxels[49] = run->voxels[48] - 1;
        break;
    case 25:
        run->voxels[49] = (int64_t)bm_grid_voxels(&run->grid);
        break;
    case 26:
        run->voxels[49] = INT64_MAX;
        break;
    case 27:
        run->meta.history = 1025;
        break;
    case 28:
        spoil_times(run, 3, 2);
        break;
    case 29:
        spoil_times(run, 0, -1);
        break;
    case 30:
        spoil_times(run, 19, INT32_MAX);
        break;
    case 31:
        run->volumes = 19; /* without gaps, row 19 is volume 19 */
        break;
    case 32:
        spoil_times(run, 19, 40);
        run->volumes = 40;
        break;
    case 33:
        run->volumes = (size_t)INT32_MAX + 1;
        break;
    default:
        break;
    }
}

static const char *const complaints[] = {"time points",
                                         "time points",
                                         "no voxels",
                                         "tiles of 0",
                                         "tiles of 65537",
                                         "256 MiB",
                                         "TR 0 s",
                                         "TR -1 s",
                                         "TR nan",
                                         "TR inf",
                                         "slope nan",
                                         "slope -inf",
                                         "intercept inf",
                                         "19 metadata rows for 20",
                                         "21 metadata rows",
                                         "dimension 0 is 0",
                                         "dimension 2 is -5",
                                         "dimension 1 is 2147483648",
                                         "at most 2^40",
                                         "at most 2^40",
                                         "affine",
                                         "affine",
                                         "voxel 0 has index -1",
                                         "voxel 7 has",
                                         "voxel 49 has",
                                         "voxel 49 has",
                                         "voxel 49 has",
                                         "history",
                                         "volumes 2 and then 2",
                                         "volumes -1 and then -1",
                                         "volumes 18 and then 2147483647",
                                         "19 volumes, but a row of volume 19",
                                         "40 volumes, but a row of volume 40",
                                         "2147483648 volumes"};

static void every_bad_field_is_refused(void)
{
    for (size_t i = 0; i < COUNT(complaints); i++) {
        struct bm_error err = {0};
        struct whole w;
        make_run(&w, &wish);
        REQUIRE(bm_run_check(&w.run, "x.h5", &err) == 0, &err);
        spoil(&w.run, i);
        CHECK_ROW(bm_run_check(&w.run, "x.h5", &err) == -1 && err.code == BM_EDATA, i);
        CHECK_ERR_CONTAINS(&err, complaints[i]);
        CHECK_ROW(strncmp(err.text, "x.h5: ", 6) == 0, i);
        free_run(&w);
    }
}

static void extreme_runs_are_fine(void)
{
    struct bm_error err = {0};
    struct whole w;

    make_run(&w, &(struct wish){BM_F64, 1, 1, 65536, 0, 1, 1});
    REQUIRE(bm_run_check(&w.run, "x", &err) == 0, &err);
    w.run.rows = 512; /* 512 x 65536 doubles are 256 MiB */
    REQUIRE(bm_run_check(&w.run, "x", &err) == 0, &err);
    w.run.rows = 513;
    CHECK(bm_run_check(&w.run, "x", &err) == -1);
    w.run.rows = 1;
    w.run.grid = (struct bm_grid){{INT32_MAX, 1, 511}, {{1, 0, 0, 0}, {0, 1, 0, 0}, {0, 0, 1, 0}}};
    w.run.voxels[0] = (int64_t)INT32_MAX * 511 - 1;
    err = (struct bm_error){0};
    REQUIRE(bm_run_check(&w.run, "x", &err) == 0, &err);
    free_run(&w);
}

/* Rows 1, 2, 5 of a run, and again the last two of these: what they hold, and which volumes they are. */
static void rows_can_be_left_out(void)
{
    static const size_t first[] = {1, 2, 5}, then[] = {1, 2};

    for (size_t history = 0; history < 3; history += 2) {
        struct bm_error err = {0};
        struct whole w, before;
        const size_t size = bm_row_size(history);
        make_run(&w, &(struct wish){BM_I16, 20, 50, 16, history, 5, 1});
        make_run(&before, &(struct wish){BM_I16, 20, 50, 16, history, 5, 1});
        CHECK(bm_run_volumes(&w.run) == 20 && bm_run_time(&w.run, 7) == 7);
        REQUIRE(bm_run_keep_rows(&w.run, NULL, 20, &err) == 0, &err); /* all of them */
        CHECK(!run_differs(&w.run, &before.run) && !w.run.times && w.run.volumes == 0);
        REQUIRE(bm_run_keep_rows(&w.run, first, 3, &err) == 0, &err);
        CHECK(w.run.rows == 3 && w.run.volumes == 20 && w.run.meta.n == (history ? 3 : 0));
        for (size_t i = 0; i < 3; i++) {
            CHECK_ROW(bm_run_time(&w.run, i) == (int32_t)first[i], i);
            CHECK_ROW(!history || !memcmp(w.run.meta.data + i * size, before.run.meta.data + first[i] * size, size),
                      i);
        }
        REQUIRE(bm_run_check(&w.run, "x", &err) == 0, &err);
        REQUIRE(bm_run_keep_rows(&w.run, then, 2, &err) == 0, &err);
        CHECK(w.run.rows == 2 && w.run.times[0] == 2 && w.run.times[1] == 5 && bm_run_volumes(&w.run) == 20);
        w.run.volumes = 0; /* unknown: up to the last row */
        CHECK(bm_run_volumes(&w.run) == 6);
        REQUIRE(bm_run_check(&w.run, "x", &err) == 0, &err);
        free_run(&w);
        free_run(&before);
    }
}

static void copies_are_deep(void)
{
    for (size_t history = 0; history < 3; history += 2) {
        struct bm_error err = {0};
        struct whole a;
        struct bm_run b;
        make_run(&a, &(struct wish){BM_F32, 20, 50, 16, history, 5, 1});
        REQUIRE(bm_run_copy(&b, &a.run, &err) == 0, &err);
        CHECK(!run_differs(&a.run, &b) && same_counts(&a.run, &b));
        CHECK(a.run.label != b.label && a.run.voxels != b.voxels && a.run.steps != b.steps);
        a.run.label[0] = 'X';
        a.run.voxels[3]++;
        a.run.categories[0][0] = 'X';
        a.run.steps[1][0] = 'X';
        if (history)
            a.run.meta.data[0] ^= 1;
        free_run(&a);
        make_run(&a, &(struct wish){BM_F32, 20, 50, 16, history, 5, 1});
        CHECK(!run_differs(&a.run, &b));
        free_run(&a);
        bm_run_clear(&b);
        bm_run_clear(&b); /* twice does no harm */
    }
}

static void counts_add_up(void)
{
    struct bm_run run;
    char name[80];

    bm_run_init(&run);
    CHECK(bm_run_counted(&run, "a") == 0 && run.ncounts == 0 && run.slope == 1 && run.inter == 0);
    bm_run_count(&run, "a", 0);
    CHECK(run.ncounts == 1);
    bm_run_count(&run, "b", 5);
    bm_run_count(&run, "a", 7);
    bm_run_count(&run, "b", UINT64_C(1) << 60);
    CHECK(run.ncounts == 2 && bm_run_counted(&run, "a") == 7 && bm_run_counted(&run, "b") == (UINT64_C(1) << 60) + 5);
    for (int i = 0; i < 2 * BM_MAX_COUNTS; i++) {
        (void)snprintf(name, sizeof name, "%d", i);
        bm_run_count(&run, name, 1);
    }
    CHECK(run.ncounts == BM_MAX_COUNTS && bm_run_counted(&run, "61") == 1 && bm_run_counted(&run, "62") == 0);
    bm_run_clear(&run);
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    bm_run_count(&run, name, 2);
    bm_run_count(&run, name, 2); /* a long name is one count, too */
    CHECK(run.ncounts == 1 && bm_run_counted(&run, name) == 4);
}

static void tiles_have_their_shapes(void)
{
    for (size_t cols = 1; cols < 40; cols++)
        for (size_t width = 1; width < 20; width += 3) {
            struct bm_error err = {0};
            struct bm_tile tile = {0};
            struct bm_run run = {.rows = 3, .cols = cols, .tile_cols = width, .dtype = BM_F16};
            size_t next = 0;
            for (size_t i = 0; i < bm_run_tiles(&run); i++) {
                REQUIRE(bm_tile_shape(&tile, &run, i, &err) == 0, &err);
                CHECK_ROW(tile.index == i && tile.first == next && tile.rows == 3 && tile.dtype == BM_F16, cols);
                CHECK_ROW(tile.cols == width || (next + tile.cols == cols && tile.cols < width), cols);
                CHECK_ROW(tile.data.size == 3 * 2 * tile.cols, cols);
                next += tile.cols;
            }
            CHECK_ROW(next == cols, cols);
            bm_tile_free(&tile);
        }
}

static void tiles_that_are_too_large(void)
{
    static const size_t rows[] = {SIZE_MAX / 8, SIZE_MAX / 4 + 1};

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct bm_error err = {0};
        struct bm_tile tile = {0};
        struct bm_run run = {.rows = rows[i], .cols = 4, .tile_cols = 4, .dtype = BM_F32};
        CHECK_ROW(bm_tile_shape(&tile, &run, 0, &err) == -1 && err.code == BM_EDATA && !tile.data.data, i);
        CHECK_ERR_CONTAINS(&err, "tile: the size does not fit");
    }
}

static void tile_widths(void)
{
    static const size_t rows[][2] = {{0, 1024},  {1, 1024},   {225, 1024}, {256, 1024}, {257, 512},   {301, 512},
                                     {512, 512}, {1200, 128}, {16384, 16}, {16385, 16}, {1000000, 16}};

    for (size_t i = 0; i < COUNT(rows); i++)
        CHECK_ROW(bm_tile_cols(rows[i][0]) == rows[i][1], i);
}

static void tiles_swap(void)
{
    struct bm_error err = {0};
    struct bm_tile tile = {.dtype = BM_I16};

    REQUIRE(bm_buf_append(&tile.data, "in", 2, &err) == 0 && bm_buf_append(&tile.packed, "out!", 4, &err) == 0, &err);
    bm_tile_swap(&tile, BM_F32);
    CHECK(tile.dtype == BM_F32 && tile.data.size == 4 && memcmp(tile.data.data, "out!", 4) == 0);
    CHECK(tile.packed.size == 2 && memcmp(tile.packed.data, "in", 2) == 0);
    bm_tile_free(&tile);
}

/* Changes that make a run no fit for another, and what the message says. */
static void runs_that_do_not_fit(void)
{
    static const char *const says[] = {"subject 2",        "grid", "grid",     "different voxels",
                                       "different voxels", "TR",   "metadata", "categories"};

    for (size_t i = 0; i < COUNT(says) + 1; i++) {
        struct bm_error err = {0};
        struct whole a, b;
        make_run(&a, &wish);
        make_run(&b, &(struct wish){BM_F32, 30, 50, 8, 3, 6, 1});
        b.run.subject += i == 0;
        b.run.grid.dims[0] += i == 1;
        b.run.grid.affine[1][3] += i == 2 ? 0.01 : 1e-4;
        b.run.voxels[49] -= i == 3;
        b.run.cols -= i == 4;
        b.run.tr *= i == 5 ? 1.00001 : 1.0000001;
        b.run.meta.history -= i == 6;
        b.run.categories[0][0] = i == 7 ? 'X' : 'f';
        int status = bm_run_fits(&a.run, &b.run, "x.h5", &err);
        CHECK_ROW(status == (i < COUNT(says) ? -1 : 0), i);
        CHECK_ERR_CONTAINS(&err, i < COUNT(says) ? says[i] : "");
        b.run.meta.history = 3;
        free_run(&a);
        free_run(&b);
    }
}

int main(void)
{
    static const struct unit_test all[] = {
        UNIT(grids_are_the_same_at_their_corners),
        UNIT(grids_in_words),
        UNIT(rows_lie_as_documented),
        UNIT(every_bad_field_is_refused),
        UNIT(extreme_runs_are_fine),
        UNIT(rows_can_be_left_out),
        UNIT(copies_are_deep),
        UNIT(counts_add_up),
        UNIT(tiles_have_their_shapes),
        UNIT(tiles_that_are_too_large),
        UNIT(tile_widths),
        UNIT(tiles_swap),
        UNIT(runs_that_do_not_fit),
    };
    return unit_main(all, COUNT(all));
}
