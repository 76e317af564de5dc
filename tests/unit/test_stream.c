#include "files.h"
#include "io/stream.h"
#include "runs.h"

#define MAX_RUNS 4

static struct whole runs[MAX_RUNS];

static struct bm_source *open_stream(const char *path, struct bm_error *err)
{
    struct bm_bytes *in = bm_bytes_open(path, err);

    return in ? bm_stream_source(in, err) : NULL;
}

static const char *const name = "s.npys";

/* Writes n runs of these wishes; 0 or -1. The runs stay in `runs`. */
static int write_runs(const struct wish *wishes, size_t n, struct bm_error *err)
{
    for (size_t i = 0; i < n; i++)
        make_run(&runs[i], &wishes[i]);
    return put_series(bm_stream_sink(scratch(name), err), runs, n, true, err);
}

static void free_runs(size_t n)
{
    for (size_t i = 0; i < n; i++)
        free_run(&runs[i]);
}

static void series_come_back(void)
{
    struct bm_random r;

    bm_random_seed(&r, 1, 0);
    for (size_t k = 0; k < 60; k++) {
        struct bm_error err = {0};
        struct wish wishes[MAX_RUNS];
        size_t n = k % (MAX_RUNS + 1);
        for (size_t i = 0; i < n; i++)
            wishes[i] = (struct wish){(enum bm_dtype)(BM_I8 + (k + i) % 11),
                                      1 + bm_random_below(&r, 40),
                                      1 + bm_random_below(&r, k % 7 ? 60 : 1),
                                      1 + bm_random_below(&r, k % 3 ? 20 : 100),
                                      k % 4 ? bm_random_below(&r, 5) : 0,
                                      bm_random_below(&r, 1000),
                                      i};
        REQUIRE(write_runs(wishes, n, &err) == 0, &err);
        REQUIRE(get_series(open_stream(scratch(name), &err), runs, n, NULL, &err) == 0, &err);
        free_runs(n);
    }
}

static const struct wish two[2] = {{BM_I16, 4, 30, 8, 1, 3, 1}, {BM_F32, 6, 9, 4, 1, 4, 2}};

static void unwanted_tiles_are_skipped(void)
{
    struct bm_error err = {0};

    REQUIRE(write_runs(two, 2, &err) == 0, &err);
    for (unsigned mask = 0; mask < 16; mask++) {
        bool want[4];
        for (unsigned i = 0; i < 4; i++)
            want[i] = mask >> i & 1u;
        REQUIRE(get_series(open_stream(scratch(name), &err), runs, 2, want, &err) == 0, &err);
    }
    free_runs(2);
}

static void bytes_are_the_same_each_time(void)
{
    struct bm_error err = {0};
    size_t n1 = 0, n2 = 0;

    REQUIRE(write_runs(two, 2, &err) == 0, &err);
    unsigned char *a = get_file(scratch(name), &n1);
    free_runs(2);
    REQUIRE(write_runs(two, 2, &err) == 0, &err);
    unsigned char *b = get_file(scratch(name), &n2);
    CHECK(a && b && n1 == n2 && memcmp(a, b, n1) == 0);
    free_runs(2);
    free(a);
    free(b);
}

/* Reads all of a stream, whatever stands in it. 0: accepted. */
static int read_all(const char *path, struct bm_error *err)
{
    struct bm_source *src = open_stream(path, err);
    struct bm_tile tile = {0};
    const struct bm_run *run;
    int got = src ? 1 : -1;

    while (got > 0 && (got = src->next_run(src, &run, err)) > 0) {
        while ((got = src->next_tile(src, &tile, err)) > 0)
            continue;
        got = got < 0 ? -1 : 1;
    }
    if (src)
        src->close(src);
    bm_tile_free(&tile);
    return got;
}

static void every_truncation_is_refused(void)
{
    struct bm_error err = {0};
    size_t n = 0, steps = 0;

    REQUIRE(write_runs(two, 1, &err) == 0, &err);
    unsigned char *bytes = get_file(scratch(name), &n);
    CHECK(bytes && read_all(put_file("t.npys", bytes, n), &err) == 0);
    for (size_t cut = 0; bytes && cut<n; cut += cut + 200> n || cut < 200 ? 1 : 13, steps++) {
        struct bm_error e = {0};
        CHECK_ROW(read_all(put_file("t.npys", bytes, cut), &e) == -1 && e.code == BM_EDATA, cut);
    }
    CHECK(steps > 300);
    free(bytes);
    free_runs(1);
}

/* Some bits of the end record mean nothing: blanks of its array header, its schema. */
static void every_flipped_byte_is_found(void)
{
    struct bm_error err = {0};
    size_t n = 0, missed = 0, end;

    REQUIRE(write_runs(two, 1, &err) == 0, &err);
    unsigned char *bytes = get_file(scratch(name), &n);
    for (end = n - 6; bytes && memcmp(bytes + end, "\x93NUMPY", 6) != 0;)
        end--;
    for (size_t i = 0; bytes && i < n; i++) {
        struct bm_error e = {0};
        bytes[i] ^= (unsigned char)(1u << (i % 8));
        const char *path = put_file("t.npys", bytes, n);
        int got = i > end ? get_series(open_stream(path, &e), runs, 1, NULL, &e) : read_all(path, &e);
        CHECK_ROW(got == -1 ? e.text[0] != 0 : i > end, i);
        missed += got == 0;
        bytes[i] ^= (unsigned char)(1u << (i % 8));
    }
    CHECK(missed < 60 && n > 2000 && n - end < 250);
    free(bytes);
    free_runs(1);
}

static void what_follows_the_end_is_refused(void)
{
    struct bm_error err = {0};
    size_t n = 0;

    REQUIRE(write_runs(two, 2, &err) == 0, &err);
    unsigned char *bytes = get_file(scratch(name), &n);
    unsigned char *twice = must(calloc(2, n));
    memcpy(twice, bytes, n);
    memcpy(twice + n, bytes, n);
    CHECK(read_all(put_file("t.npys", twice, n + 1), &err) == -1);
    CHECK_ERR_CONTAINS(&err, "data follow the end record");
    err = (struct bm_error){0};
    CHECK(read_all(put_file("t.npys", twice, 2 * n), &err) == -1);
    CHECK_ERR_CONTAINS(&err, "t.npys: data follow the end record");
    free(twice);
    free(bytes);
    free_runs(2);
}

/* Puts `to` in the place of the n-th `from` from 0 on, of the same length. */
static bool replace(unsigned char *bytes, size_t size, const char *from, size_t n, const char *to)
{
    for (size_t i = 0; i + strlen(from) <= size; i++)
        if (!memcmp(bytes + i, from, strlen(from)) && n-- == 0) {
            memcpy(bytes + i, to, strlen(to));
            return strlen(from) == strlen(to);
        }
    return false;
}

/* Of two[0]: a header as record, 30 voxels, 4 rows of metadata, 4 tiles of 4 x 8 and one of 4 x 6, a footer. */
static void arrays_that_lie_are_refused(void)
{
    static const struct {
        const char *from;
        size_t n;
        const char *to, *says;
    } rows[] = {
        {"'|u1'", 0, "'|i1'", "a record was expected"},
        {"'|u1'", 1, "'<u1'", "a record was expected"},
        {"'shape': (", 0, "'shape': (9999999", "is damaged"},
        {"'fortran_order': False, 'shape': (", 0, "'fortran_order': True , 'shape': (", "a record was expected"},
        {"'<i8'", 0, "'<u8'", "the voxel list does not fit"},
        {"(30,), ", 0, "(30, 1)", "is damaged"},
        {"(30,)", 0, "(31,)", "the voxel list does not fit"},
        {"False, 'shape': (30,)", 0, "True , 'shape': (30,)", "the voxel list does not fit"},
        {"(4,), }", 0, "(5,), }", "the metadata do not fit"},
        {"'time', '<f4'", 0, "'time', '<i4'", "the metadata do not fit"},
        {"'<i2', 'fortran", 0, "'<u2', 'fortran", "a tile does not fit"},
        {"(4, 8)", 0, "(8, 4)", "a tile does not fit"},
        {"(4, 8), ", 0, "(4,8,1),", "a tile does not fit"},
        {"False, 'shape': (4, 8)", 0, "True , 'shape': (4, 8)", "a tile does not fit"},
        {"\"boldmill\":\"run\"", 0, "\"boldmill\":\"fun\"", "a record of unknown kind"},
        {"\"boldmill\":\"run_end\"", 0, "\"boldmill\":\"run_and\"", "\"boldmill\" is missing or wrong"},
        {"\"runs\":1", 0, "\"runs\":2", "the checksum of the end record differs"},
        {"\"runs\":1", 0, "\"rums\":1", "the checksum of the end record differs"},
        {"\"crc32\":\"", 0, "\"crc23\":\"", "the checksum of the end record differs"},
        {"\"rows\":4,", 0, "\"rows\":9,", "fit"},
    };
    struct bm_error err = {0};
    size_t n = 0;

    REQUIRE(write_runs(two, 1, &err) == 0, &err);
    unsigned char *good = get_file(scratch(name), &n), *bytes = must(malloc(n));
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct bm_error e = {0};
        memcpy(bytes, good, n);
        (void)replace(bytes, n, rows[i].from, rows[i].n, rows[i].to);
        CHECK_ROW(memcmp(bytes, good, n) != 0 && read_all(put_file("l.npys", bytes, n), &e) == -1, i);
        CHECK_ERR_CONTAINS(&e, rows[i].says);
    }
    free(bytes);
    free(good);
    free_runs(1);
}

/* No room is made for samples that the file cannot hold. */
static void claims_of_samples_are_weighed(void)
{
    struct bm_error err = {0};
    size_t n = 0;

    REQUIRE(write_runs(&(struct wish){BM_I16, 9000, 1, 1, 0, 3, 1}, 1, &err) == 0, &err);
    unsigned char *bytes = get_file(scratch(name), &n);
    CHECK(read_all(put_file("l.npys", bytes, 5000), &err) == -1);
    CHECK_ERR_CONTAINS(&err, "is too short for the samples that a run's header claims");
    free(bytes);
    free_runs(1);
}

static void readers_that_ask_again(void)
{
    struct bm_error err = {0};
    const struct bm_run *run;
    struct bm_tile tile = {0};

    REQUIRE(write_runs(two, 1, &err) == 0, &err);
    struct bm_source *src = open_stream(scratch(name), &err);
    REQUIRE(src && src->next_run(src, &run, &err) == 1, &err);
    while (src->next_tile(src, &tile, &err) > 0)
        continue;
    CHECK(src->next_tile(src, &tile, &err) == 0 && src->next_run(src, &run, &err) == 0);
    CHECK(src->next_run(src, &run, &err) == 0 && err.code == BM_OK);
    src->close(src);
    bm_tile_free(&tile);
    free_runs(1);
}

static void nothing_stands_at_the_name_before_finish(void)
{
    struct bm_error err = {0};

    make_run(&runs[0], &two[0]);
    CHECK(put_series(bm_stream_sink(scratch("never.npys"), &err), runs, 1, false, &err) == 0);
    CHECK(access(scratch("never.npys"), F_OK) != 0);
    free_run(&runs[0]);
}

static void a_bad_run_is_not_written(void)
{
    struct bm_error err = {0};

    make_run(&runs[0], &two[0]);
    runs[0].run.tr = -1;
    CHECK(put_series(bm_stream_sink(scratch("never.npys"), &err), runs, 1, true, &err) == -1);
    CHECK_ERR_CONTAINS(&err, "TR -1 s");
    CHECK(access(scratch("never.npys"), F_OK) != 0);
    free_run(&runs[0]);
}

static void other_files_are_no_streams(void)
{
    static const char *const texts[] = {"", "hello", "\x93NUMPY", "\x93NUMPY\1\0\xff\xff{'descr'",
                                        "0123456789012345678901234567890"};

    for (size_t i = 0; i < COUNT(texts); i++) {
        struct bm_error err = {0};
        size_t n = i == 3 ? 17 : strlen(texts[i]);
        CHECK_ROW(read_all(put_file("t.npys", texts[i], n), &err) == -1 && err.text[0], i);
    }
}

int main(void)
{
    static const struct unit_test all[] = {
        UNIT(series_come_back),
        UNIT(unwanted_tiles_are_skipped),
        UNIT(bytes_are_the_same_each_time),
        UNIT(every_truncation_is_refused),
        UNIT(every_flipped_byte_is_found),
        UNIT(what_follows_the_end_is_refused),
        UNIT(arrays_that_lie_are_refused),
        UNIT(claims_of_samples_are_weighed),
        UNIT(readers_that_ask_again),
        UNIT(nothing_stands_at_the_name_before_finish),
        UNIT(a_bad_run_is_not_written),
        UNIT(other_files_are_no_streams),
    };
    return unit_main(all, COUNT(all));
}
