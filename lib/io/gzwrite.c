#include "io/gzwrite.h"

#include "core/mem.h"
#include "io/inflate.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#ifdef BM_HAVE_ISAL
#include <isa-l.h>
#endif

/* Input is gathered into blocks of one size, so that the bytes do not depend on how the caller cuts it. */
#define BLOCK ((size_t)1 << 20)
#define OUTPUT (BLOCK + (BLOCK >> 2))

struct bm_gzwrite {
    struct bm_commit *commit;
    unsigned char *block, *out;
    size_t filled;
#ifdef BM_HAVE_ISAL
    struct isal_zstream s;
    uint8_t level[ISAL_DEF_LVL1_DEFAULT];
#else
    z_stream s;
    bool ready;
#endif
};

#ifdef BM_HAVE_ISAL

static int start(struct bm_gzwrite *z, struct bm_error *err)
{
    (void)err;
    isal_deflate_init(&z->s);
    z->s.level = 1;
    z->s.level_buf = z->level;
    z->s.level_buf_size = sizeof z->level;
    z->s.gzip_flag = IGZIP_GZIP; /* its generic header: no name, no time */
    return 0;
}

static void stop(struct bm_gzwrite *z)
{
    (void)z;
}

/* Of the first block, so many bytes go ahead by themselves. */
static size_t prime_of(const struct bm_gzwrite *z)
{
    return z->s.total_in == 0 && z->filled > BM_DEFLATE_PRIME ? BM_DEFLATE_PRIME : 0;
}

/* Deflates from the block into the output; *done when nothing of the piece is left behind. */
static int deflate_some(struct bm_gzwrite *z, bool last, bool prime, size_t *made, bool *done, struct bm_error *err)
{
    z->s.end_of_stream = last;
    z->s.flush = prime ? SYNC_FLUSH : NO_FLUSH;
    z->s.next_out = z->out;
    z->s.avail_out = (uint32_t)OUTPUT;
    int rc = isal_deflate(&z->s);
    *made = OUTPUT - z->s.avail_out;
    *done = last ? z->s.internal_state.state == ZSTATE_END : z->s.avail_out > 0 && z->s.avail_in == 0;
    return rc == COMP_OK ? 0 : bm_fail(err, BM_ESYS, "deflate: ISA-L failed with code %d; report this", rc);
}

static void give(struct bm_gzwrite *z, size_t first, size_t n)
{
    z->s.next_in = z->block + first;
    z->s.avail_in = (uint32_t)n;
}

#else

static int start(struct bm_gzwrite *z, struct bm_error *err)
{
    if (deflateInit2(&z->s, 1, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        return bm_fail(err, BM_ESYS, "deflate: out of memory; use a machine with more memory");
    z->ready = true;
    return 0;
}

static void stop(struct bm_gzwrite *z)
{
    if (z->ready)
        (void)deflateEnd(&z->s);
}

static size_t prime_of(const struct bm_gzwrite *z)
{
    (void)z;
    return 0;
}

static int deflate_some(struct bm_gzwrite *z, bool last, bool prime, size_t *made, bool *done, struct bm_error *err)
{
    (void)prime;
    z->s.next_out = z->out;
    z->s.avail_out = (uInt)OUTPUT;
    int rc = deflate(&z->s, last ? Z_FINISH : Z_NO_FLUSH);
    *made = OUTPUT - z->s.avail_out;
    *done = last ? rc == Z_STREAM_END : z->s.avail_out > 0;
    return rc == Z_STREAM_ERROR ? bm_fail(err, BM_ESYS, "deflate: zlib failed with code %d; report this", rc) : 0;
}

static void give(struct bm_gzwrite *z, size_t first, size_t n)
{
    z->s.next_in = z->block + first;
    z->s.avail_in = (uInt)n;
}

#endif

static int write_piece(struct bm_gzwrite *z, size_t first, size_t n, bool last, bool prime, struct bm_error *err)
{
    size_t made;
    bool done = false;

    give(z, first, n);
    while (!done) {
        if (deflate_some(z, last, prime, &made, &done, err) || bm_commit_write(z->commit, z->out, made, err))
            return -1;
    }
    return 0;
}

static int write_block(struct bm_gzwrite *z, bool last, struct bm_error *err)
{
    const size_t prime = prime_of(z);

    if (prime && write_piece(z, 0, prime, false, true, err))
        return -1;
    if (write_piece(z, prime, z->filled - prime, last, false, err))
        return -1;
    z->filled = 0;
    return 0;
}

struct bm_gzwrite *bm_gzwrite_open(struct bm_commit *c, struct bm_error *err)
{
    struct bm_gzwrite *z = bm_calloc(1, sizeof *z, "gzip output", err);

    if (!z)
        return NULL;
    z->commit = c;
    z->block = bm_alloc(BLOCK, 1, "gzip output", err);
    z->out = bm_alloc(OUTPUT, 1, "gzip output", err);
    if (z->block && z->out && start(z, err) == 0)
        return z;
    bm_gzwrite_close(z);
    return NULL;
}

int bm_gzwrite(struct bm_gzwrite *z, const void *data, size_t n, struct bm_error *err)
{
    const unsigned char *p = data;

    while (n > 0) {
        size_t room = BLOCK - z->filled, step = n < room ? n : room;
        memcpy(z->block + z->filled, p, step);
        z->filled += step;
        p += step;
        n -= step;
        if (z->filled == BLOCK && write_block(z, false, err))
            return -1;
    }
    return 0;
}

int bm_gzwrite_finish(struct bm_gzwrite *z, struct bm_error *err)
{
    return write_block(z, true, err);
}

void bm_gzwrite_close(struct bm_gzwrite *z)
{
    if (!z)
        return;
    stop(z);
    free(z->block);
    free(z->out);
    free(z);
}
