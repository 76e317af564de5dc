#include "io/seriesfile_seal.h"

#include "core/mem.h"
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
#else
#define BLOCK ((size_t)1 << 20)
#endif

struct reading {
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
static ssize_t fill(const struct reading *r, uint64_t n, struct bm_error *err)
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
static int read_part(struct reading *r, uint64_t n, uint32_t *crc, struct bm_error *err)
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

/* Reads the tiles, and what stands before each. */
static int read_tiles(struct reading *r, const struct bm_series_part *tiles, size_t n, struct bm_error *err)
{
    uint32_t crc;

    for (size_t i = 0; i < n; i++) {
        if (tiles[i].at < r->at || read_part(r, tiles[i].at - r->at, &crc, err) ||
            read_part(r, tiles[i].size, &crc, err) || crc != tiles[i].crc)
            return bm_fail(err, BM_ESYS, "%s: what was written is not what stands on the disk; check the file system",
                           bm_commit_name(r->c));
    }
    return 0;
}

/* Appends the seal, and looks whether it is there. */
static int append(struct bm_commit *c, struct reading *r, struct bm_error *err)
{
    char text[SEAL + 1];

    if (bm_commit_append(c, seal_text(text, r->crc), SEAL, err))
        return -1;
    if (fill(r, SEAL + 1, err) == SEAL && !memcmp(r->block, text, SEAL))
        return 0;
    return bm_fail(err, BM_ESYS, "%s: what was written is not what stands on the disk; check the file system",
                   bm_commit_name(c));
}

int bm_series_seal(struct bm_commit *c, struct bm_series_part *tiles, size_t n, struct bm_error *err)
{
    struct reading r = {.c = c, .block = bm_alloc(BLOCK, 1, "block", err)};
    uint32_t rest;
    int status = -1;

    if (n)
        qsort(tiles, n, sizeof *tiles, by_place);
    if (r.block && read_tiles(&r, tiles, n, err) == 0 && read_part(&r, UINT64_MAX, &rest, err) == 0)
        status = append(c, &r, err);
    free(r.block);
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
