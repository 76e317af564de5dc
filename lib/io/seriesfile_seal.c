#include "io/seriesfile_seal.h"

#include "core/mem.h"
#include "core/tasks.h"
#include "io/bytes.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SEAL 32
#define TEXT "\nboldmill series crc32 "
#ifdef BM_SMALL_BUFFERS
#define BLOCK ((size_t)64)
#define RANGE 256
#else
#define BLOCK ((size_t)1 << 20)
#define RANGE (1 << 20)
#endif

/* Bytes of the file that one thread reads: some tiles, and what stands before, between and behind them. */
struct range {
    uint64_t from, to; /* UINT64_MAX: the end of the file */
    const struct bm_series_part *tiles;
    size_t n;
    uint64_t size; /* and CRC-32 of what was read */
    uint32_t crc;
};

struct reading {
    const struct bm_commit *c;
    struct range *ranges;
    size_t n;
};

struct reader {
    const struct bm_commit *c;
    unsigned char *block;
    uint64_t at; /* all before it has been read */
    uint32_t crc;
};

static const char *seal_text(char text[SEAL + 1], uint32_t crc)
{
    (void)snprintf(text, SEAL + 1, TEXT "%08" PRIx32 "\n", crc);
    return text;
}

/* Fills the block with the next bytes, at most n. Their number, fewer at the end of the file, or -1. */
static ssize_t fill(const struct reader *r, uint64_t n, struct bm_error *err)
{
    const size_t want = n < BLOCK ? (size_t)n : BLOCK;
    size_t have = 0;
    ssize_t k = 1;

    while (have < want && k > 0) {
        k = pread(bm_commit_fd(r->c), r->block + have, want - have, (off_t)(r->at + have));
        if (k < 0 && errno == EINTR)
            k = 1;
        else if (k > 0)
            have += (size_t)k;
    }
    return k < 0 ? bm_fail_errno(err, bm_commit_name(r->c), "cannot be read again") : (ssize_t)have;
}

/* CRC-32 of the next n bytes, or of all that are left where there are fewer. */
static int read_part(struct reader *r, uint64_t n, uint32_t *crc, struct bm_error *err)
{
    const uint64_t end = n < UINT64_MAX - r->at ? r->at + n : UINT64_MAX, start = r->at;
    ssize_t k = 1;

    *crc = 0;
    while (r->at < end && (k = fill(r, end - r->at, err)) > 0) {
        *crc = bm_crc32(*crc, r->block, (size_t)k);
        r->at += (uint64_t)k;
    }
    r->crc = bm_crc32_join(r->crc, *crc, r->at - start);
    return k < 0 ? -1 : 0;
}

static int by_place(const void *a, const void *b)
{
    const struct bm_series_part *x = a, *y = b;

    return (x->at > y->at) - (x->at < y->at);
}

static int fail_changed(const struct bm_commit *c, struct bm_error *err)
{
    return bm_fail(err, BM_ESYS, "%s: what was written is not what stands on the disk; check the file system",
                   bm_commit_name(c));
}

static int read_range(struct reader *r, struct range *range, struct bm_error *err)
{
    uint32_t crc;

    r->at = range->from;
    r->crc = 0;
    for (size_t i = 0; i < range->n; i++) {
        const struct bm_series_part *tile = &range->tiles[i];

        if (tile->at < r->at || tile->size > range->to - tile->at || read_part(r, tile->at - r->at, &crc, err) ||
            read_part(r, tile->size, &crc, err) || r->at != tile->at + tile->size || crc != tile->crc)
            return fail_changed(r->c, err);
    }
    if (read_part(r, range->to - r->at, &crc, err))
        return -1;
    range->size = r->at - range->from;
    range->crc = r->crc;
    return 0;
}

static int make_reader(void *self, void *worker, struct bm_error *err)
{
    struct reader *r = worker;

    r->c = ((struct reading *)self)->c;
    r->block = bm_alloc(BLOCK, 1, "block", err);
    return r->block ? 0 : -1;
}

static void drop_reader(void *worker)
{
    free(((struct reader *)worker)->block);
}

static int run_reader(void *self, void *worker, size_t i, const atomic_bool *stop, struct bm_error *err)
{
    (void)stop;
    return read_range(worker, &((struct reading *)self)->ranges[i], err);
}

/* Ranges that begin with a tile each, the first at the start of the file. */
static void cut(struct reading *all, const struct bm_series_part *tiles, size_t n)
{
    struct range *range = &all->ranges[0];

    *range = (struct range){.to = UINT64_MAX, .tiles = tiles};
    for (size_t i = 0; i < n; i++) {
        if (tiles[i].at > range->from && tiles[i].at - range->from >= RANGE) {
            range->to = tiles[i].at;
            range++;
            *range = (struct range){.from = tiles[i].at, .to = UINT64_MAX, .tiles = &tiles[i]};
        }
        range->n++;
    }
    all->n = (size_t)(range - all->ranges) + 1;
}

/* Reads all of the file, as `cut` divides it. Where a range ends too soon, so does the file, and the tile with which
 * the next range begins is not there. */
static int read_all(struct reading *all, int threads, uint64_t *size, uint32_t *crc, struct bm_error *err)
{
    const struct bm_tasks tasks = {.self = all,
                                   .n = all->n,
                                   .worker_size = sizeof(struct reader),
                                   .make = make_reader,
                                   .drop = drop_reader,
                                   .run = run_reader};

    *size = 0;
    *crc = 0;
    if (bm_tasks_run(&tasks, threads, err))
        return -1;
    for (size_t i = 0; i < all->n; i++) {
        const struct range *range = &all->ranges[i];

        *crc = bm_crc32_join(*crc, range->crc, range->size);
        *size += range->size;
    }
    return 0;
}

/* Appends the seal, and looks whether it is there. */
static int append(struct bm_commit *c, uint64_t size, uint32_t crc, struct bm_error *err)
{
    unsigned char block[SEAL + 1]; /* one more than there should be */
    char text[SEAL + 1];
    const struct reader r = {.c = c, .block = block, .at = size};
    ssize_t k;

    if (bm_commit_append(c, seal_text(text, crc), SEAL, err))
        return -1;
    k = fill(&r, sizeof block, err);
    return k < 0 ? -1 : k == SEAL && !memcmp(block, text, SEAL) ? 0 : fail_changed(c, err);
}

int bm_series_seal(struct bm_commit *c, struct bm_series_part *tiles, size_t n, int threads, struct bm_error *err)
{
    struct reading all = {.c = c, .ranges = bm_alloc(n + 1, sizeof *all.ranges, "parts of the file", err)};
    uint64_t size;
    uint32_t crc;
    int status = -1;

    if (all.ranges) {
        if (n)
            qsort(tiles, n, sizeof *tiles, by_place);
        cut(&all, tiles, n);
        if (read_all(&all, threads, &size, &crc, err) == 0)
            status = append(c, size, crc, err);
    }
    free(all.ranges);
    return status;
}

/* The seal that the bytes before it ought to have; another one where the file has become shorter. */
static int read_body(struct bm_bytes *in, uint64_t n, char text[SEAL + 1], struct bm_error *err)
{
    unsigned char *block = bm_alloc(BLOCK, 1, "block", err);
    uint32_t crc = 0;
    long long k = block ? 1 : -1;

    while (n && k > 0) {
        k = bm_bytes_read(in, block, n < BLOCK ? (size_t)n : BLOCK, err);
        if (k > 0) {
            crc = bm_crc32(crc, block, (size_t)k);
            n -= (uint64_t)k;
        }
    }
    free(block);
    (void)seal_text(text, crc);
    return k < 0 ? -1 : 0;
}

static int compare(struct bm_bytes *in, struct bm_error *err)
{
    const int64_t size = bm_bytes_raw_size(in);
    char want[SEAL + 1], have[SEAL] = "";

    if (size >= SEAL && (read_body(in, (uint64_t)size - SEAL, want, err) || bm_bytes_read(in, have, SEAL, err) < 0))
        return -1;
    if (size < SEAL || memcmp(have, TEXT, sizeof TEXT - 1) != 0)
        return bm_fail(err, BM_EDATA,
                       "%s: has no checksum at its end; it was cut, or changed by another program: build it again",
                       bm_bytes_name(in));
    if (memcmp(have, want, SEAL) != 0)
        return bm_fail(err, BM_EDATA, "%s: the checksum at its end differs; the file is damaged, build it again",
                       bm_bytes_name(in));
    return bm_bytes_finish(in, NULL, err);
}

int bm_series_check_seal(const char *path, struct bm_error *err)
{
    struct bm_bytes *in = bm_bytes_open(path, err);
    int status = in ? compare(in, err) : -1;

    bm_bytes_close(in);
    return status;
}
