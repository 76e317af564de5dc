#include "core/mem.h"
#include "files.h"
#include "io/bytes.h"
#include "io/commit.h"
#include "io/gzwrite.h"
#include "unit.h"

#include <fcntl.h>
#include <pthread.h>

#define DATA 3000000 /* decoded bytes of the large cases: several inflater steps */

static unsigned char data[DATA], packed[2 * DATA], back[DATA + 100000];

/* Compressible, with a part that is not. */
static void make_data(void)
{
    uint32_t x = 1;

    for (size_t i = 0; i < DATA; i++) {
        x = x * 1664525u + 1013904223u;
        data[i] = (unsigned char)(i < DATA / 2 ? (x >> 24) & 15 : i < DATA * 3 / 4 ? x >> 24 : 0);
    }
}

/* Reads `path` in steps and finishes. Decoded length, or -1 with err set. */
static long long read_all(const char *path, size_t step, uint32_t *crc, struct bm_error *err)
{
    struct bm_bytes *b = bm_bytes_open(path, err);
    long long total = 0, got;

    if (!b)
        return -1;
    do {
        size_t room = sizeof back - (size_t)total;
        got = bm_bytes_read(b, back + total, step < room ? step : room, err);
        total += got > 0 ? got : 0;
    } while (got > 0);
    if (got == 0 && bm_bytes_finish(b, NULL, err))
        got = -1;
    if (crc)
        *crc = bm_bytes_crc32(b);
    if (got == 0 && bm_bytes_count(b) != (uint64_t)total)
        got = -2;
    bm_bytes_close(b);
    return got < 0 ? got : total;
}

static void plain_and_gzip_give_the_same(void)
{
    static const size_t steps[] = {1000, 65536, 262144, 1400000, 524288, 2999999, DATA};
    uint32_t want = (uint32_t)crc32_z(0, data, DATA), crc;
    const char *paths[2];

    paths[0] = put_file("a", data, DATA);
    paths[1] = put_file("a.gz", packed, gzip_member(packed, sizeof packed, data, DATA, 0));
    for (size_t i = 0; i < 2 * COUNT(steps); i++) {
        struct bm_error err = {0};
        memset(back, 1, sizeof back);
        CHECK_ROW(read_all(paths[i % 2], steps[i / 2], &crc, &err) == DATA, i);
        CHECK_ROW(memcmp(back, data, DATA) == 0 && crc == want, i);
    }
}

static void byte_by_byte(void)
{
    struct bm_error err = {0};
    uint32_t crc;
    size_t n = 70000;

    CHECK(read_all(put_file("b.gz", packed, gzip_member(packed, sizeof packed, data, n, 0)), 1, &crc, &err) ==
          (int)n);
    CHECK(memcmp(back, data, n) == 0 && crc == (uint32_t)crc32_z(0, data, n));
}

static void many_members(void)
{
    size_t used = 0, at = 0;
    uint32_t crc;
    struct bm_error err = {0};

    for (size_t i = 0; at < DATA; i++) { /* sizes from nothing to much, headers of all kinds */
        size_t n = i * i * 13 % 70001;
        n = n < DATA - at ? n : DATA - at;
        used += gzip_member(packed + used, sizeof packed - used, data + at, n, (int)(i % 16) * 2);
        at += n;
    }
    CHECK(read_all(put_file("m.gz", packed, used), 1400000, &crc, &err) == DATA);
    CHECK(memcmp(back, data, DATA) == 0 && crc == (uint32_t)crc32_z(0, data, DATA));
}

static void padding_is_allowed_and_rubbish_is_not(void)
{
    struct bm_error err = {0};
    size_t n = gzip_member(packed, sizeof packed, data, 1000, 0);

    memset(packed + n, 0, 100000);
    CHECK(read_all(put_file("p.gz", packed, n + 100000), 300, NULL, &err) == 1000);
    CHECK(read_all(put_file("p.gz", packed, n + 1), 300, NULL, &err) == 1000);
    packed[n + 99999] = 7;
    CHECK(read_all(put_file("p.gz", packed, n + 100000), 300, NULL, &err) == -1);
    CHECK_ERR_CONTAINS(&err, "followed by zeros and then by something else");
    memcpy(packed + n, "abcdefghijklmn", 14);
    err = (struct bm_error){0};
    CHECK(read_all(put_file("p.gz", packed, n + 14), 300, NULL, &err) == -1);
    CHECK_ERR_CONTAINS(&err, "followed by something else");
    err = (struct bm_error){0};
    CHECK(read_all(put_file("p.gz", packed, n + 1), 300, NULL, &err) == -1);
    CHECK_ERR_CONTAINS(&err, "followed by something else");
    packed[n] = 0x1F; /* the first byte of a member is not enough */
    err = (struct bm_error){0};
    CHECK(read_all(put_file("p.gz", packed, n + 14), 300, NULL, &err) == -1);
    CHECK_ERR_CONTAINS(&err, "followed by something else");
}

static void every_truncation_shows(void)
{
    size_t n = gzip_member(packed, sizeof packed, data, 5000, 30);

    for (size_t cut = 2; cut < n; cut++) {
        struct bm_error err = {0};
        CHECK_ROW(read_all(put_file("t.gz", packed, cut), 777, NULL, &err) == -1, cut);
        CHECK_ERR_CONTAINS(&err, "gzip data end early after");
        CHECK_ERR_CONTAINS(&err, "fetch it again");
    }
}

/* Bits of no meaning: FTEXT, MTIME, XFL and OS of the header; what is left of the last byte of deflate data. */
static bool is_free_bit(size_t byte, int bit, size_t n)
{
    return (byte == 3 && bit == 0) || (byte >= 4 && byte < 10) || (byte == n - 9 && bit > 0);
}

static void every_flipped_bit_shows(void)
{
    size_t n = gzip_member(packed, sizeof packed, data, 400, 0);

    for (size_t i = 0; i < 8 * n; i++) {
        struct bm_error err = {0};
        packed[i / 8] ^= (unsigned char)(1 << (i % 8));
        long long got = read_all(put_file("f.gz", packed, n), 64, NULL, &err);
        bool same = got == 400 && memcmp(back, data, 400) == 0;
        if (i < 16) /* no gzip any more: handed out as it is */
            CHECK_ROW(got == (long long)n, i);
        else
            CHECK_ROW(got == -1 || (same && is_free_bit(i / 8, (int)(i % 8), n)), i);
        packed[i / 8] ^= (unsigned char)(1 << (i % 8));
    }
}

static void header_checksum_is_checked(void)
{
    struct bm_error err = {0};
    size_t n = gzip_member(packed, sizeof packed, data, 100, 2);

    CHECK(read_all(put_file("h.gz", packed, n), 64, NULL, &err) == 100);
    packed[5] ^= 1; /* the time */
    CHECK(read_all(put_file("h.gz", packed, n), 64, NULL, &err) == -1);
    CHECK_ERR_CONTAINS(&err, "header's checksum");
}

static void wrong_trailers_are_named(void)
{
    struct bm_error err = {0};
    size_t n = gzip_member(packed, sizeof packed, data, 100, 0);

    packed[n - 1] ^= 1;
    CHECK(read_all(put_file("w.gz", packed, n), 64, NULL, &err) == -1);
    CHECK_ERR_CONTAINS(&err, "length does not match");
    packed[n - 8] ^= 1;
    err = (struct bm_error){0};
    CHECK(read_all(put_file("w.gz", packed, n), 64, NULL, &err) == -1);
    CHECK_ERR_CONTAINS(&err, "checksum does not match");
}

static void finish_checks_what_was_not_read(void)
{
    struct bm_error err = {0};
    size_t n = gzip_member(packed, sizeof packed, data, DATA, 0);
    uint64_t left = 0;
    struct bm_bytes *b = bm_bytes_open(put_file("e.gz", packed, n), &err);

    REQUIRE(b, &err);
    CHECK(bm_bytes_read(b, back, 1000, &err) == 1000);
    CHECK(bm_bytes_finish(b, &left, &err) == 0 && left == DATA - 1000);
    CHECK(bm_bytes_raw_count(b) == n && bm_bytes_raw_size(b) == (int64_t)n && bm_bytes_gzip(b));
    bm_bytes_close(b);
    packed[n - 5] ^= 16;
    b = bm_bytes_open(put_file("e.gz", packed, n), &err);
    REQUIRE(b, &err);
    CHECK(bm_bytes_read(b, back, 1000, &err) == 1000);
    CHECK(bm_bytes_finish(b, &left, &err) == -1);
    err = (struct bm_error){0};
    CHECK(bm_bytes_finish(b, &left, &err) == -1 && err.text[0]); /* and it stays failed */
    bm_bytes_close(b);
}

static void peek_and_read(void)
{
    struct bm_error err = {0};
    size_t got;
    struct bm_bytes *b =
        bm_bytes_open(put_file("k.gz", packed, gzip_member(packed, sizeof packed, data, 200000, 0)), &err);

    REQUIRE(b, &err);
    const unsigned char *p = bm_bytes_peek(b, 65536, &got, &err);
    CHECK(p && got == 65536 && memcmp(p, data, got) == 0 && bm_bytes_count(b) == 0);
    CHECK(bm_bytes_read(b, back, 10, &err) == 10 && memcmp(back, data, 10) == 0 && bm_bytes_count(b) == 10);
    CHECK(bm_bytes_read(b, back, 100000, &err) == 100000 && memcmp(back, data + 10, 100000) == 0);
    CHECK(bm_bytes_count(b) == 100010);
    p = bm_bytes_peek(b, 4, &got, &err);
    CHECK(p && got == 4 && memcmp(p, data + 100010, 4) == 0);
    CHECK(bm_bytes_read(b, back, 99000, &err) == 99000 && memcmp(back, data + 100010, 99000) == 0);
    p = bm_bytes_peek(b, 65536, &got, &err);
    CHECK(p && got == 990 && memcmp(p, data + 199010, got) == 0);
    CHECK(bm_bytes_read(b, back, 991, &err) == 990 && memcmp(back, data + 199010, 990) == 0);
    CHECK(bm_bytes_read(b, back, 1, &err) == 0 && bm_bytes_count(b) == 200000);
    bm_bytes_close(b);
}

static void small_and_strange_inputs(void)
{
    struct bm_error err = {0};

    CHECK(read_all(put_file("s", "", 0), 10, NULL, &err) == 0);
    CHECK(read_all(put_file("s", "\x1f", 1), 10, NULL, &err) == 1);
    CHECK(!bm_bytes_open(scratch("absent"), &err) && err.code == BM_ESYS);
    err = (struct bm_error){0};
    CHECK(!bm_bytes_open("/", &err));
    CHECK_ERR_CONTAINS(&err, "is a directory");
}

static void claims_are_weighed(void)
{
    struct bm_error err = {0};
    size_t n = gzip_member(packed, sizeof packed, data, 1000, 0);
    struct bm_bytes *b = bm_bytes_open(put_file("c.gz", packed, n), &err);

    REQUIRE(b, &err);
    CHECK(bm_bytes_may_hold(b, 1032 * n) && !bm_bytes_may_hold(b, 1033 * n + 2000));
    bm_bytes_close(b);
    b = bm_bytes_open(put_file("c", data, 1000), &err);
    REQUIRE(b, &err);
    CHECK(bm_bytes_may_hold(b, 1000) && !bm_bytes_may_hold(b, 1001));
    bm_bytes_close(b);
}

struct dribble {
    int fd;
    size_t n;
};

/* Writes `packed` into a pipe in pieces of odd sizes. */
static void *dribble(void *arg)
{
    struct dribble *d = arg;

    for (size_t at = 0, i = 0; at < d->n; i++) {
        size_t step = 1 + i * 37 % 9001;
        ssize_t w = write(d->fd, packed + at, step < d->n - at ? step : d->n - at);
        at += w > 0 ? (size_t)w : d->n;
    }
    (void)close(d->fd);
    return NULL;
}

/* The same after a while. */
static void *late_dribble(void *arg)
{
    (void)usleep(20000);
    return dribble(arg);
}

/* Each bit of what is said of a file may have changed by the end. */
static void files_that_change_meanwhile(void)
{
    for (int k = 0; k < 4; k++) {
        struct bm_error err = {0};
        const char *path = put_file("m", data, 1000);
        struct timespec times[2] = {{1000, 500}, {1000, 500}};
        CHECK(utimensat(AT_FDCWD, path, times, 0) == 0);
        struct bm_bytes *b = bm_bytes_open(path, &err);
        REQUIRE(b, &err);
        CHECK(bm_bytes_read(b, back, 10, &err) == 10);
        CHECK(truncate(path, k == 1 ? 1001 : 1000) == 0);
        times[1] = (struct timespec){k == 2 ? 1001 : 1000, k == 3 ? 501 : 500};
        CHECK(utimensat(AT_FDCWD, path, times, 0) == 0);
        CHECK_ROW(bm_bytes_finish(b, NULL, &err) == (k == 0 ? 0 : -1), k);
        if (k > 0)
            CHECK_ERR_CONTAINS(&err, "was written to while it was read");
        bm_bytes_close(b);
    }
}

/* No more is read than it takes to know that too much is there. */
static void finishing_within_a_limit(void)
{
    struct bm_error err = {0};
    uint64_t left = 0;
    struct bm_bytes *b = bm_bytes_open(put_file("l", data, DATA), &err);

    REQUIRE(b, &err);
    CHECK(bm_bytes_finish_within(b, 1000, &left, &err) == 0 && left > 1000 && left < DATA);
    bm_bytes_close(b);
}

static int ended; /* how often; < 0: it fails */

static int at_end(void *self, struct bm_error *err)
{
    ended++;
    *(bool *)self = err != NULL;
    return err && ended < 0 ? bm_fail(err, BM_EDATA, "p: the other end says so") : 0;
}

/* What stands behind a pipe says at its end whether that was all, and hears of it where it is closed before. */
static void ends_of_pipes(void)
{
    for (int k = 0; k < 5; k++) {
        struct bm_error err = {0};
        bool told = false;
        int fd[2];

        CHECK(pipe(fd) == 0 && write(fd[1], "hello", 5) == 5 && close(fd[1]) == 0);
        ended = k == 1 ? -9 : 0;
        struct bm_bytes *b = bm_bytes_pipe("p", fd[0], k < 3 ? at_end : NULL, &told, &err);
        REQUIRE(b, &err);
        CHECK(bm_bytes_raw_size(b) == -1 && bm_bytes_may_hold(b, UINT64_MAX));
        if (k == 0 || k == 3)
            CHECK_ROW(bm_bytes_read(b, back, 9, &err) == 5 && memcmp(back, "hello", 5) == 0, k);
        if (k == 1)
            CHECK(bm_bytes_read(b, back, 9, &err) == -1 && strcmp(err.text, "p: the other end says so") == 0);
        bm_bytes_close(b);
        CHECK_ROW(ended == (k == 1 ? -8 : k < 3) && told == (k < 2), k);
    }
}

static int breaks_off(void *self, struct bm_error *err)
{
    (void)self;
    return err ? bm_fail(err, BM_EDATA, "p: broke off") : 0;
}

/* Whatever of a gzip file came through a pipe, the failure at its end is told. */
static void pipes_that_break_off(void)
{
    const size_t n = gzip_member(packed, sizeof packed, data, 500, 30);

    memset(packed + n, 0, 9); /* padding */
    for (size_t cut = 0; cut < n + 9; cut++) {
        struct bm_error err = {0};
        int fd[2];

        CHECK(pipe(fd) == 0 && write(fd[1], packed, cut) == (ssize_t)cut && close(fd[1]) == 0);
        struct bm_bytes *b = bm_bytes_pipe("p", fd[0], breaks_off, NULL, &err);
        CHECK_ROW(!b || bm_bytes_read(b, back, 600, &err) == -1, cut);
        CHECK_ERR_CONTAINS(&err, "p: broke off");
        bm_bytes_close(b);
    }
}

/* A pipe that is not to be waited for is waited for. */
static void pipes_that_do_not_block(void)
{
    struct bm_error err = {0};
    struct dribble d;
    pthread_t t;
    int fd[2];

    d.n = gzip_member(packed, sizeof packed, data, DATA, 0);
    CHECK(pipe2(fd, O_NONBLOCK) == 0 && fcntl(fd[1], F_SETFL, 0) == 0);
    d.fd = fd[1];
    CHECK(pthread_create(&t, NULL, late_dribble, &d) == 0);
    struct bm_bytes *b = bm_bytes_pipe("p", fd[0], NULL, NULL, &err);
    REQUIRE(b, &err);
    CHECK(bm_bytes_read(b, back, DATA + 1, &err) == DATA && memcmp(back, data, DATA) == 0);
    bm_bytes_close(b);
    (void)pthread_join(t, NULL);
}

/* An open file may stand anywhere; how much it holds is known where it stands within. */
static void files_from_within(void)
{
    struct bm_error err = {0};
    int fd = open(put_file("w", data, 1000), O_RDONLY);

    CHECK(lseek(fd, 400, SEEK_SET) == 400);
    struct bm_bytes *b = bm_bytes_pipe("w", dup(fd), NULL, NULL, &err);
    REQUIRE(b, &err);
    CHECK(bm_bytes_raw_size(b) == 600 && bm_bytes_read(b, back, 601, &err) == 600);
    CHECK(memcmp(back, data + 400, 600) == 0);
    bm_bytes_close(b);
    CHECK(lseek(fd, 1400, SEEK_SET) == 1400);
    b = bm_bytes_pipe("w", fd, NULL, NULL, &err);
    REQUIRE(b, &err);
    CHECK(bm_bytes_raw_size(b) == -1 && bm_bytes_read(b, back, 1, &err) == 0);
    bm_bytes_close(b);
    CHECK(!bm_bytes_pipe("w", -1, at_end, &(bool){false}, &err) && err.code == BM_ESYS);
}

static void pipes_with_short_reads(void)
{
    struct bm_error err = {0};
    int fd[2], keep = dup(STDIN_FILENO);
    pthread_t t;
    uint32_t crc;
    struct dribble d;

    d.n = gzip_member(packed, sizeof packed, data, DATA, 0);
    CHECK(pipe(fd) == 0 && dup2(fd[0], STDIN_FILENO) == STDIN_FILENO);
    (void)close(fd[0]);
    d.fd = fd[1];
    CHECK(pthread_create(&t, NULL, dribble, &d) == 0);
    CHECK(read_all("-", 1400000, &crc, &err) == DATA);
    CHECK(memcmp(back, data, DATA) == 0 && crc == (uint32_t)crc32_z(0, data, DATA));
    (void)pthread_join(t, NULL);
    if (keep >= 0) {
        (void)dup2(keep, STDIN_FILENO);
        (void)close(keep);
    }
}

static void checksums_join(void)
{
    uint32_t whole = bm_crc32(0, data, DATA);

    CHECK(whole == (uint32_t)crc32_z(0, data, DATA));
    CHECK(bm_crc32(0, "123456789", 9) == 0xCBF43926);
    CHECK(bm_crc32(5, data, 0) == 5 && bm_crc32(5, NULL, 0) == 5);
    for (size_t cut = 0; cut <= DATA; cut += 99991) {
        uint32_t a = bm_crc32(0, data, cut), b = bm_crc32(0, data + cut, DATA - cut);
        CHECK_ROW(bm_crc32_join(a, b, DATA - cut) == whole && bm_crc32(a, data + cut, DATA - cut) == whole, cut);
    }
}

static void tiles_come_back(void)
{
    static const size_t sizes[] = {0, 1, 100, 65535, 65536, 460800, DATA / 2, DATA};

    for (size_t i = 0; i < 2 * COUNT(sizes); i++) {
        struct bm_error err = {0};
        size_t n = sizes[i / 2], out = 0, used;
        const unsigned char *src = i % 2 ? data + DATA - n : data;
        CHECK_ROW(bm_deflate(src, n, packed, bm_deflate_bound(n), &out, &err) == 0 && out <= bm_deflate_bound(n), i);
        memset(back, 1, n + 1);
        CHECK_ROW(bm_inflate(packed, out, back, n, "t", &err) == 0 && memcmp(back, src, n) == 0, i);
        uLongf zn = (uLongf)n + 1; /* and zlib can read it */
        CHECK_ROW(uncompress(back, &zn, packed, (uLong)out) == Z_OK && zn == n && memcmp(back, src, n) == 0, i);
        zn = compressBound((uLong)n); /* and we what zlib writes */
        CHECK_ROW(compress2(packed, &zn, src, (uLong)n, 9) == Z_OK, i);
        used = (size_t)zn;
        CHECK_ROW(bm_inflate(packed, used, back, n, "t", &err) == 0 && memcmp(back, src, n) == 0, i);
    }
}

static void incompressible_tiles_say_so(void)
{
    struct bm_error err = {0};
    size_t out, n = 100000;
    const unsigned char *noise = data + DATA / 2;

    CHECK(bm_deflate(noise, n, packed, n - 1, &out, &err) == 1 && err.code == BM_OK);
    CHECK(bm_deflate(noise, n, packed, 3, &out, &err) == 1);
    CHECK(bm_deflate(noise, n, packed, bm_deflate_bound(n), &out, &err) == 0);
    CHECK(bm_inflate(packed, out, back, n, "t", &err) == 0 && memcmp(back, noise, n) == 0);
}

/* Nothing is read or written: the sizes say enough. */
static void tiles_that_are_too_large(void)
{
    const size_t most = UINT32_MAX;
    struct bm_error err = {0};
    size_t out;

    CHECK(bm_deflate(data, most + 1, packed, 10, &out, &err) == -1 && err.code == BM_EUSAGE);
    CHECK_ERR_CONTAINS(&err, "4294967296 bytes are too many for one tile");
    err = (struct bm_error){0};
    CHECK(bm_deflate(data, 10, packed, most + 1, &out, &err) == -1 && err.code == BM_EUSAGE);
    err = (struct bm_error){0};
    CHECK(bm_inflate(data, most + 1, packed, 10, "x.h5", &err) == -1 && err.code == BM_EDATA);
    err = (struct bm_error){0};
    CHECK(bm_inflate(data, 10, packed, most + 1, "x.h5", &err) == -1 && err.code == BM_EDATA);
    CHECK_ERR_CONTAINS(&err, "x.h5: a compressed tile is damaged");
}

static void damaged_tiles_are_refused(void)
{
    struct bm_error err = {0};
    size_t n = 3000, out;

    CHECK(bm_deflate(data, n, packed, sizeof packed, &out, &err) == 0);
    for (size_t cut = 0; cut < out; cut++)
        CHECK_ROW(bm_inflate(packed, cut, back, n, "x.h5", &err) == -1, cut);
    CHECK_ERR_CONTAINS(&err, "x.h5: a compressed tile is damaged");
    for (size_t more = 1; more < 12; more++)
        CHECK_ROW(bm_inflate(packed, out + more, back, n, "x", &err) == -1, more);
    CHECK(bm_inflate(packed, out, back, n - 1, "x", &err) == -1);
    CHECK(bm_inflate(packed, out, back, n + 1, "x", &err) == -1);
    for (size_t i = 0; i < 8 * out; i++) {
        packed[i / 8] ^= (unsigned char)(1 << (i % 8));
        int rc = bm_inflate(packed, out, back, n, "x", &err);
        /* Adler-32 misses some flips that change three bytes; the tile's CRC-32 in a series file does not. */
        CHECK_ROW(rc == -1 || adler32_z(1, back, n) == adler32_z(1, data, n), i);
        packed[i / 8] ^= (unsigned char)(1 << (i % 8));
    }
}

/* Writes data[n] through gzwrite in steps; the file's bytes, to be freed. */
static unsigned char *write_gzip(size_t n, size_t step, size_t *size)
{
    struct bm_error err = {0};
    const char *path = scratch("w.gz");
    struct bm_commit *c = bm_commit_open(path, &err);
    struct bm_gzwrite *z = c ? bm_gzwrite_open(c, &err) : NULL;
    bool ok = z != NULL;

    for (size_t at = 0; ok && at < n; at += step)
        ok = bm_gzwrite(z, data + at, step < n - at ? step : n - at, &err) == 0;
    ok = ok && bm_gzwrite_finish(z, &err) == 0;
    bm_gzwrite_close(z);
    if (ok)
        ok = bm_commit_done(c, &err) == 0;
    else
        bm_commit_drop(c);
    if (!ok)
        unit_fail("gzwrite: %s", err.text);
    return ok ? get_file(path, size) : NULL;
}

static void written_gzip_depends_on_the_data_only(void)
{
    static const size_t lengths[] = {0, 1, 1000, 1 << 20, (1 << 20) + 1, 2 << 20, DATA};

    for (size_t i = 0; i < COUNT(lengths); i++) {
        struct bm_error err = {0};
        size_t n = lengths[i], n1 = 0, n2 = 0;
        unsigned char *a = write_gzip(n, n + 1, &n1), *b = write_gzip(n, 4099, &n2);
        CHECK_ROW(a && b && n1 == n2 && memcmp(a, b, n1) == 0, i);
        CHECK_ROW(read_all(scratch("w.gz"), 99999, NULL, &err) == (long long)n && memcmp(back, data, n) == 0, i);
        free(a);
        free(b);
    }
}

#ifdef BM_HAVE_ISAL     /* make/check.mk leads its calls here */
static int deflates_at; /* the how-manieth fails; 0: none */

struct isal_zstream;
int __real_isal_deflate(struct isal_zstream *s);
int __wrap_isal_deflate(struct isal_zstream *s);
int __wrap_isal_deflate(struct isal_zstream *s)
{
    return deflates_at && --deflates_at == 0 ? -3 : __real_isal_deflate(s);
}
#endif

/* The library that deflates says that it cannot. */
static void deflating_that_fails(void)
{
#ifdef BM_HAVE_ISAL
    for (int at = 1; at <= 3; at++) {
        struct bm_error err = {0};
        size_t out;
        deflates_at = at;
        CHECK_ROW(bm_deflate(data, 10000, packed, sizeof packed, &out, &err) == (at < 3 ? -1 : 0), at);
        if (at < 3)
            CHECK_ERR_CONTAINS(&err, "deflate: ISA-L failed with code -3");
        err = (struct bm_error){0};
        deflates_at = at;
        struct bm_commit *c = bm_commit_open(scratch("f.gz"), &err);
        struct bm_gzwrite *z = c ? bm_gzwrite_open(c, &err) : NULL;
        REQUIRE(z, &err);
        const bool written = bm_gzwrite(z, data, 2 << 20, &err) == 0;
        CHECK_ROW(!written && err.code == BM_ESYS, at);
        CHECK_ERR_CONTAINS(&err, "deflate: ISA-L failed with code -3");
        bm_gzwrite_close(z);
        bm_commit_drop(c);
        deflates_at = 0;
    }
#else
    SKIP("built without ISA-L");
#endif
}

int main(void)
{
    static const struct unit_test all[] = {
        UNIT(plain_and_gzip_give_the_same),
        UNIT(byte_by_byte),
        UNIT(many_members),
        UNIT(padding_is_allowed_and_rubbish_is_not),
        UNIT(every_truncation_shows),
        UNIT(every_flipped_bit_shows),
        UNIT(header_checksum_is_checked),
        UNIT(wrong_trailers_are_named),
        UNIT(finish_checks_what_was_not_read),
        UNIT(peek_and_read),
        UNIT(small_and_strange_inputs),
        UNIT(claims_are_weighed),
        UNIT(pipes_with_short_reads),
        UNIT(ends_of_pipes),
        UNIT(pipes_that_break_off),
        UNIT(pipes_that_do_not_block),
        UNIT(files_from_within),
        UNIT(files_that_change_meanwhile),
        UNIT(finishing_within_a_limit),
        UNIT(tiles_that_are_too_large),
        UNIT(deflating_that_fails),
        UNIT(checksums_join),
        UNIT(tiles_come_back),
        UNIT(incompressible_tiles_say_so),
        UNIT(damaged_tiles_are_refused),
        UNIT(written_gzip_depends_on_the_data_only),
    };

    make_data();
    (void)printf("inflater: %s\n", bm_inflater_name());
    return unit_main(all, COUNT(all));
}
