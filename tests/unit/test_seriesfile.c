#include "files.h"
#include "io/bytes.h"
#include "io/seriesfile.h"
#include "io/seriesfile_seal.h"
#include "runs.h"

/* HDF5 1.10 does not free all of its own memory after it has met damage. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libhdf5";
}

#define MAX_RUNS 4

static struct whole runs[MAX_RUNS];
static const char *const name = "s.h5";

static int write_runs(const struct wish *wishes, size_t n, bool deflate, struct bm_error *err)
{
    for (size_t i = 0; i < n; i++)
        make_run(&runs[i], &wishes[i]);
    return put_series(bm_seriesfile_sink(scratch(name), deflate, err), runs, n, true, err);
}

static void free_runs(size_t n)
{
    for (size_t i = 0; i < n; i++)
        free_run(&runs[i]);
}

/* Runs of one file share voxels and history; rows, types, scaling and tile widths may differ. */
static void series_come_back(void)
{
    struct bm_random r;

    bm_random_seed(&r, 1, 0);
    for (size_t k = 0; k < 44; k++) {
        struct bm_error err = {0};
        struct wish wishes[MAX_RUNS];
        size_t n = 1 + k % MAX_RUNS, cols = k % 5 ? 1 + bm_random_below(&r, 60) : 1, history = k % 3 ? k % 3 : 0;
        for (size_t i = 0; i < n; i++)
            wishes[i] = (struct wish){(enum bm_dtype)(BM_I8 + (k + (k % 2 ? i : 0)) % 11),
                                      1 + bm_random_below(&r, 40),
                                      cols,
                                      1 + bm_random_below(&r, k % 3 ? 20 : 100),
                                      history,
                                      bm_random_below(&r, 1000),
                                      k};
        REQUIRE(write_runs(wishes, n, k / 4 % 2, &err) == 0, &err);
        REQUIRE(get_series(bm_seriesfile_source(scratch(name), &err), runs, n, NULL, &err) == 0, &err);
        free_runs(n);
    }
}

static void tiles_that_do_not_shrink_come_back(void)
{
    struct bm_error err = {0};
    static const struct wish wishes[2] = {{BM_U8, 100, 70, 32, 0, 3, 1}, {BM_I16, 90, 70, 32, 0, 6, 1}}; /* noise */
    size_t n = 0;

    REQUIRE(write_runs(wishes, 2, true, &err) == 0, &err);
    REQUIRE(get_series(bm_seriesfile_source(scratch(name), &err), runs, 2, NULL, &err) == 0, &err);
    unsigned char *bytes = get_file(scratch(name), &n);
    CHECK(bytes && n > 7000 + 12600);
    free(bytes);
    free_runs(2);
}

static const struct wish two[2] = {{BM_I16, 20, 30, 8, 1, 4, 1}, {BM_I16, 26, 30, 8, 1, 7, 1}};

static void unwanted_tiles_are_skipped(void)
{
    struct bm_error err = {0};

    REQUIRE(write_runs(two, 2, true, &err) == 0, &err);
    for (unsigned mask = 0; mask < 16; mask++) {
        bool want[4];
        for (unsigned i = 0; i < 4; i++)
            want[i] = mask >> i & 1u;
        REQUIRE(get_series(bm_seriesfile_source(scratch(name), &err), runs, 2, want, &err) == 0, &err);
    }
    free_runs(2);
}

static void bytes_are_the_same_each_time(void)
{
    struct bm_error err = {0};
    size_t n1 = 0, n2 = 0;

    REQUIRE(write_runs(two, 2, true, &err) == 0, &err);
    unsigned char *a = get_file(scratch(name), &n1);
    free_runs(2);
    REQUIRE(write_runs(two, 2, true, &err) == 0, &err);
    unsigned char *b = get_file(scratch(name), &n2);
    CHECK(a && b && n1 == n2 && memcmp(a, b, n1) == 0);
    free_runs(2);
    free(a);
    free(b);
}

/* Reads all of a file, whatever stands in it. 0: accepted. */
static int read_all(const char *path, struct bm_error *err)
{
    struct bm_source *src = bm_seriesfile_source(path, err);
    struct bm_tile tile = {0};
    const struct bm_run *run;
    int got = src ? 1 : -1;

    while (got > 0 && (got = src->next_run(src, &run, err)) > 0) {
        while (got > 0 && (got = src->next_tile(src, &tile, err)) > 0)
            got = src->decode(src, &tile, err) ? -1 : 1;
        got = got < 0 ? -1 : 1;
    }
    if (src)
        src->close(src);
    bm_tile_free(&tile);
    return got;
}

static void truncated_files_are_refused(void)
{
    struct bm_error err = {0};
    size_t n = 0;

    REQUIRE(write_runs(two, 2, true, &err) == 0, &err);
    unsigned char *bytes = get_file(scratch(name), &n);
    CHECK(bytes && read_all(put_file("t.h5", bytes, n), &err) == 0);
    for (size_t k = 0; bytes && k < 60; k++) {
        struct bm_error e = {0};
        size_t cut = k < 30 ? n - 33 - k * k : (n - 1000) * (k - 30) / 30; /* into what HDF5 wrote */
        CHECK_ROW(read_all(put_file("t.h5", bytes, cut), &e) == -1 && e.text[0], cut);
    }
    free(bytes);
    free_runs(2);
}

/* Where `part` stands in bytes[n]; it must stand there. */
static size_t place_of(const unsigned char *bytes, size_t n, const void *part, size_t length)
{
    const unsigned char *p = memmem(bytes, n, part, length);

    if (!p)
        unit_fail("a tile is not stored as it was expected");
    return p ? (size_t)(p - bytes) : 0;
}

/* Plain tiles stand in the file as they are: each byte of each tile is flipped once. */
static void a_flipped_byte_is_found_in_each_tile(void)
{
    static const struct wish wish = {BM_I16, 5, 30, 8, 0, 6, 1};
    struct bm_error err = {0};
    struct bm_tile tile = {0};
    size_t n = 0;

    REQUIRE(write_runs(&wish, 1, false, &err) == 0, &err);
    unsigned char *bytes = get_file(scratch(name), &n);
    for (size_t i = 0; bytes && i < bm_run_tiles(&runs[0].run); i++) {
        char says[64];
        REQUIRE(bm_tile_shape(&tile, &runs[0].run, i, &err) == 0, &err);
        fill_tile(&tile, &runs[0]);
        size_t row = tile.cols * 2, at = place_of(bytes, n, tile.data.data, row); /* the last tile is padded */
        (void)snprintf(says, sizeof says, "tile %zu: the checksum", i);
        for (size_t k = 0; k < 5 * 16; k++) {
            struct bm_error e = {0};
            bytes[at + k] ^= 0x10;
            CHECK_ROW(read_all(put_file("t.h5", bytes, n), &e) == -1, k);
            CHECK_ERR_CONTAINS(&e, says);
            bytes[at + k] ^= 0x10;
        }
    }
    CHECK(read_all(put_file("t.h5", bytes, n), &err) == 0);
    bm_tile_free(&tile);
    free(bytes);
    free_runs(1);
}

/* Flips anywhere: what is read without an error is what was written. */
static void flipped_bytes_never_change_what_is_read(void)
{
    static const struct wish wish = {BM_I16, 5, 30, 8, 1, 4, 1};
    struct bm_error err = {0};
    size_t n = 0, found = 0;

    REQUIRE(write_runs(&wish, 1, true, &err) == 0, &err);
    unsigned char *bytes = get_file(scratch(name), &n);
    for (size_t i = 0; bytes && i < n; i += 5) {
        struct bm_error e = {0};
        bytes[i] ^= 0x04;
        found += get_series(bm_seriesfile_source(put_file("t.h5", bytes, n), &e), runs, 1, NULL, &e) < 0;
        if (unit_failed) {
            (void)printf("byte %zu of %zu\n", i, n);
            break;
        }
        bytes[i] ^= 0x04;
    }
    CHECK(found > 100);
    free(bytes);
    free_runs(1);
}

/* Tiles that were spoilt before their checksum was made: what no checksum finds. */
/* The seal covers every byte, also those that no reader looks at; it is the last thing in the file. */
static void the_seal_finds_any_change(void)
{
    const struct wish wish = {BM_I16, 6, 9, 4, 1, 3, 1};
    struct bm_error err = {0};
    size_t n = 0;
    char text[40];

    REQUIRE(write_runs(&wish, 1, true, &err) == 0 && bm_series_check_seal(scratch(name), &err) == 0, &err);
    unsigned char *bytes = get_file(scratch(name), &n);
    REQUIRE(bytes && n > 32, &err);
    (void)snprintf(text, sizeof text, "\nboldmill series crc32 %08x\n", (unsigned)bm_crc32(0, bytes, n - 32));
    CHECK(!memcmp(bytes + n - 32, text, 32));
    for (size_t i = 0; i < n; i += i + 33 < n ? 13 : 1) {
        err = (struct bm_error){0};
        bytes[i] ^= 4;
        (void)put_file(name, bytes, n);
        CHECK_ROW(bm_series_check_seal(scratch(name), &err) == -1 && err.code == BM_EDATA, i);
        bytes[i] ^= 4;
    }
    for (size_t cut = 0; cut < n; cut += cut + 40 < n ? 101 : 1) {
        err = (struct bm_error){0};
        (void)put_file(name, bytes, cut);
        CHECK_ROW(bm_series_check_seal(scratch(name), &err) == -1, cut);
        CHECK_ERR_CONTAINS(&err, "has no checksum at its end");
    }
    free(bytes);
    free_runs(1);
}

static void tiles_that_lie_are_refused(void)
{
    static const struct {
        uint64_t seed; /* 4: shrinks, 6: does not and is stored shuffled alone */
        long longer;
        uint32_t mask;
        const char *says;
    } rows[] = {
        {6, -2, 0, "wrong size"}, {6, 2, 0, "wrong size"},      {6, 0, 4, "unknown way"},
        {6, 0, 1, "unknown way"}, {6, 0, 2, "tile is damaged"}, {4, -1, 0, "tile is damaged"},
        {4, 0, 2, "wrong size"},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct bm_error err = {0};
        struct bm_tile tile = {0};
        make_run(&runs[0], &(struct wish){BM_I16, 50, 30, 32, 0, rows[i].seed, 1});
        struct bm_sink *sink = bm_seriesfile_sink(scratch(name), true, &err);
        REQUIRE(sink && sink->begin_run(sink, &runs[0].run, &err) == 0, &err);
        REQUIRE(bm_tile_shape(&tile, &runs[0].run, 0, &err) == 0, &err);
        fill_tile(&tile, &runs[0]);
        REQUIRE(sink->encode(sink, &tile, &err) == 0, &err);
        CHECK_ROW(tile.filter_mask == (rows[i].seed == 6 ? 2 : 0), i);
        if (rows[i].longer > 0)
            REQUIRE(bm_buf_append(&tile.packed, "more", (size_t)rows[i].longer, &err) == 0, &err);
        else
            tile.packed.size -= (size_t)-rows[i].longer;
        tile.filter_mask ^= rows[i].mask;
        tile.crc = bm_crc32(0, tile.packed.data, tile.packed.size);
        REQUIRE(sink->put_tile(sink, &tile, &err) == 0 && sink->end_run(sink, &runs[0].run, &err) == 0, &err);
        REQUIRE(sink->finish(sink, &err) == 0, &err);
        sink->close(sink);
        CHECK_ROW(read_all(scratch(name), &err) == -1, i);
        CHECK_ERR_CONTAINS(&err, rows[i].says);
        bm_tile_free(&tile);
        free_run(&runs[0]);
    }
}

static void nothing_stands_at_the_name_before_finish(void)
{
    struct bm_error err = {0};

    make_run(&runs[0], &two[0]);
    CHECK(put_series(bm_seriesfile_sink(scratch("never.h5"), true, &err), runs, 1, false, &err) == 0);
    CHECK(access(scratch("never.h5"), F_OK) != 0);
    CHECK(put_series(bm_seriesfile_sink(scratch("never.h5"), true, &err), runs, 0, true, &err) == -1);
    CHECK_ERR_CONTAINS(&err, "there is no run to write");
    CHECK(access(scratch("never.h5"), F_OK) != 0);
    free_run(&runs[0]);
}

/* Changes to the second of two runs that one file cannot hold together. */
static void runs_that_do_not_fit_are_refused(void)
{
    static const char *const says[] = {"subject", "voxels", "TR", "metadata", "time points"};

    for (size_t i = 0; i < COUNT(says); i++) {
        struct bm_error err = {0};
        struct wish other = two[1];
        other.voxels_seed += i == 1;
        other.history += i == 3;
        make_run(&runs[0], &two[0]);
        make_run(&runs[1], &other);
        runs[1].run.subject += i == 0;
        if (i == 1)
            runs[1].run.grid = runs[0].run.grid; /* larger than its voxels need, or refused for them */
        runs[1].run.tr += i == 2;
        runs[1].run.rows *= i != 4;
        CHECK_ROW(put_series(bm_seriesfile_sink(scratch("never.h5"), true, &err), runs, 2, true, &err) == -1, i);
        CHECK_ERR_CONTAINS(&err, i == 1 ? "voxel" : says[i]);
        CHECK_ROW(access(scratch("never.h5"), F_OK) != 0, i);
        free_runs(2);
    }
}

static void other_files_are_refused(void)
{
    static const char *const texts[] = {"", "hello", "\x89HDF\r\n\x1a\n",
                                        "\x89HDF\r\n\x1a\n 0123456789012345678901234567890"};
    struct bm_error err = {0};

    for (size_t i = 0; i < COUNT(texts); i++) {
        struct bm_error e = {0};
        CHECK_ROW(read_all(put_text("t.h5", texts[i]), &e) == -1 && e.text[0], i);
    }
    CHECK(read_all(scratch("absent.h5"), &err) == -1);
    CHECK_ERR_CONTAINS(&err, "absent.h5: cannot open");
    err = (struct bm_error){0};
    CHECK(!bm_seriesfile_sink("/dev/null", true, &err));
    CHECK_ERR_CONTAINS(&err, "must be a regular file");
}

int main(void)
{
    static const struct unit_test all[] = {
        UNIT(series_come_back),
        UNIT(tiles_that_do_not_shrink_come_back),
        UNIT(unwanted_tiles_are_skipped),
        UNIT(bytes_are_the_same_each_time),
        UNIT(truncated_files_are_refused),
        UNIT(a_flipped_byte_is_found_in_each_tile),
        UNIT(flipped_bytes_never_change_what_is_read),
        UNIT(the_seal_finds_any_change),
        UNIT(tiles_that_lie_are_refused),
        UNIT(nothing_stands_at_the_name_before_finish),
        UNIT(runs_that_do_not_fit_are_refused),
        UNIT(other_files_are_refused),
    };
    return unit_main(all, COUNT(all));
}
