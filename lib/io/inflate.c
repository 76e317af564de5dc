#include "io/inflate.h"

#include "core/mem.h"
#include "io/bytes.h"

#include <stdlib.h>
#include <zlib.h>
#ifdef BM_HAVE_ISAL
#include <isa-l.h>
#endif

uint32_t bm_crc32_join(uint32_t a, uint32_t b, uint64_t b_length)
{
    return (uint32_t)crc32_combine(a, b, (z_off_t)b_length);
}

size_t bm_deflate_bound(size_t n)
{
    return compressBound((uLong)n) + 64;
}

static int too_large(size_t n, struct bm_error *err)
{
    return bm_fail(err, BM_EUSAGE, "deflate: %zu bytes are too many for one tile; use smaller tiles", n);
}

static int damaged_tile(const char *name, struct bm_error *err)
{
    return bm_fail(err, BM_EDATA, "%s: a compressed tile is damaged; make the file again", name);
}

#ifdef BM_HAVE_ISAL /* ---- ISA-L ---- */

#define STRING(x) #x
#define VERSION_TEXT(a, b, c) "ISA-L " STRING(a) "." STRING(b) "." STRING(c)

struct bm_inflater {
    struct inflate_state s;
};

const char *bm_inflater_name(void)
{
    return VERSION_TEXT(ISAL_MAJOR_VERSION, ISAL_MINOR_VERSION, ISAL_PATCH_VERSION);
}

uint32_t bm_crc32(uint32_t crc, const void *data, size_t n)
{
    return n ? crc32_gzip_refl(crc, data, n) : crc;
}

int bm_inflater_start(struct bm_inflater **z, struct bm_error *err)
{
    if (!*z) {
        *z = bm_alloc(1, sizeof **z, "inflater", err);
        if (!*z)
            return -1;
        isal_inflate_init(&(*z)->s);
    }
    isal_inflate_reset(&(*z)->s);
    (*z)->s.crc_flag = ISAL_GZIP_NO_HDR; /* only computes the CRC-32; the trailer is left to the caller */
    return 0;
}

void bm_inflater_free(struct bm_inflater *z)
{
    free(z);
}

uint32_t bm_inflater_crc32(const struct bm_inflater *z)
{
    return z->s.crc;
}

/* Puts the whole bytes that are still in the bit buffer before `in`. */
static ptrdiff_t push_back(const struct inflate_state *s, unsigned char *in)
{
    ptrdiff_t n = s->read_in_length > 0 ? s->read_in_length / 8 : 0;
    uint64_t bits = n ? s->read_in >> (s->read_in_length % 8) : 0;

    for (ptrdiff_t i = 0; i < n; i++)
        in[i - n] = (unsigned char)(bits >> (8 * i));
    return n;
}

enum bm_inflated bm_inflater_run(struct bm_inflater *z, unsigned char *in, ptrdiff_t *n_in, unsigned char *out,
                                 size_t *n_out)
{
    struct inflate_state *s = &z->s;

    s->next_in = in;
    s->avail_in = (uint32_t)*n_in;
    s->next_out = out;
    s->avail_out = (uint32_t)*n_out;
    int rc = isal_inflate(s);
    *n_in = s->next_in - in;
    *n_out = (size_t)(s->next_out - out);
    if (rc != ISAL_DECOMP_OK)
        return BM_INFLATED_BAD;
    if (s->block_state != ISAL_BLOCK_FINISH)
        return BM_INFLATED_MORE;
    *n_in -= push_back(s, s->next_in);
    return BM_INFLATED_END;
}

struct deflater {
    struct isal_zstream s;
    uint8_t level[ISAL_DEF_LVL1_DEFAULT];
};

/* The hash of the very first bytes that ISA-L 2.30 sees at level 1 depends on the address of the stream, and with it,
 * in about one call in a thousand, the bytes that come out. BM_DEFLATE_PRIME bytes sent ahead, with a flush, take the
 * effect upon themselves: too few to be matched, they always come out the same. */
static void deflate_piece(struct isal_zstream *s, const void *src, size_t n, bool last, int *rc)
{
    s->next_in = (uint8_t *)(uintptr_t)src;
    s->avail_in = (uint32_t)n;
    s->end_of_stream = last;
    s->flush = last ? NO_FLUSH : SYNC_FLUSH;
    *rc = isal_deflate(s);
}

int bm_deflate(const void *src, size_t n, void *dst, size_t cap, size_t *out, struct bm_error *err)
{
    const size_t prime = n > BM_DEFLATE_PRIME ? BM_DEFLATE_PRIME : 0;
    struct deflater *z;
    int rc = COMP_OK;
    bool whole;

    if (n > UINT32_MAX || cap > UINT32_MAX)
        return too_large(n, err);
    z = bm_calloc(1, sizeof *z, "deflate",
                  err); /* ISA-L looks at old hash entries: the same bytes need a clean table */
    if (!z)
        return -1;
    isal_deflate_init(&z->s);
    z->s.level = 1;
    z->s.level_buf = z->level;
    z->s.level_buf_size = sizeof z->level;
    z->s.gzip_flag = IGZIP_ZLIB;
    z->s.next_out = dst;
    z->s.avail_out = (uint32_t)cap;
    if (prime)
        deflate_piece(&z->s, src, prime, false, &rc);
    if (rc == COMP_OK)
        deflate_piece(&z->s, (const unsigned char *)src + prime, n - prime, true, &rc);
    whole = z->s.internal_state.state == ZSTATE_END;
    *out = z->s.total_out;
    free(z);
    if (rc != COMP_OK)
        return bm_fail(err, BM_ESYS, "deflate: ISA-L failed with code %d; report this", rc);
    return whole ? 0 : 1;
}

int bm_inflate(const void *src, size_t n, void *dst, size_t m, const char *name, struct bm_error *err)
{
    if (n > UINT32_MAX || m > UINT32_MAX)
        return damaged_tile(name, err);
    struct inflate_state *s = bm_alloc(1, sizeof *s, "inflate", err);
    if (!s)
        return -1;
    isal_inflate_init(s);
    s->crc_flag = ISAL_ZLIB;
    s->next_in = (uint8_t *)(uintptr_t)src;
    s->avail_in = (uint32_t)n;
    s->next_out = dst;
    s->avail_out = (uint32_t)m;
    int rc = isal_inflate(s);
    bool exact = rc == ISAL_DECOMP_OK && s->block_state == ISAL_BLOCK_FINISH && s->avail_out == 0 &&
                 s->avail_in == 0 && s->read_in_length < 8;
    free(s);
    return exact ? 0 : damaged_tile(name, err);
}

#else /* ---- zlib ---- */

struct bm_inflater {
    z_stream s;
    uint32_t crc;
};

const char *bm_inflater_name(void)
{
    return "zlib " ZLIB_VERSION;
}

uint32_t bm_crc32(uint32_t crc, const void *data, size_t n)
{
    return n ? (uint32_t)crc32_z(crc, data, n) : crc;
}

static struct bm_inflater *new_inflater(struct bm_error *err)
{
    struct bm_inflater *z = bm_calloc(1, sizeof *z, "inflater", err);

    if (z && inflateInit2(&z->s, -MAX_WBITS) != Z_OK) {
        (void)bm_fail(err, BM_ESYS, "inflater: out of memory; use a machine with more memory or fewer --threads");
        free(z);
        return NULL;
    }
    return z;
}

int bm_inflater_start(struct bm_inflater **z, struct bm_error *err)
{
    if (!*z)
        *z = new_inflater(err);
    if (!*z)
        return -1;
    (void)inflateReset(&(*z)->s);
    (*z)->crc = 0;
    return 0;
}

void bm_inflater_free(struct bm_inflater *z)
{
    if (z)
        (void)inflateEnd(&z->s);
    free(z);
}

uint32_t bm_inflater_crc32(const struct bm_inflater *z)
{
    return z->crc;
}

enum bm_inflated bm_inflater_run(struct bm_inflater *z, unsigned char *in, ptrdiff_t *n_in, unsigned char *out,
                                 size_t *n_out)
{
    z->s.next_in = in;
    z->s.avail_in = (uInt)*n_in;
    z->s.next_out = out;
    z->s.avail_out = (uInt)*n_out;
    int rc = inflate(&z->s, Z_NO_FLUSH);
    *n_in = z->s.next_in - in;
    *n_out = (size_t)(z->s.next_out - out);
    z->crc = bm_crc32(z->crc, out, *n_out);
    if (rc == Z_STREAM_END)
        return BM_INFLATED_END;
    return rc == Z_OK || rc == Z_BUF_ERROR ? BM_INFLATED_MORE : BM_INFLATED_BAD;
}

int bm_deflate(const void *src, size_t n, void *dst, size_t cap, size_t *out, struct bm_error *err)
{
    uLongf size = (uLongf)cap;

    if (n > UINT32_MAX || cap > UINT32_MAX)
        return too_large(n, err);
    int rc = compress2(dst, &size, src, (uLong)n, 1);
    *out = (size_t)size;
    if (rc == Z_BUF_ERROR)
        return 1;
    return rc == Z_OK ? 0 : bm_fail(err, BM_ESYS, "deflate: out of memory; use fewer --threads");
}

int bm_inflate(const void *src, size_t n, void *dst, size_t m, const char *name, struct bm_error *err)
{
    unsigned char nothing;
    uLongf size = (uLongf)m;
    uLong took = (uLong)n;
    int rc = uncompress2(m ? dst : &nothing, &size, src, &took);

    if (rc == Z_MEM_ERROR)
        return bm_fail(err, BM_ESYS, "%s: out of memory; use fewer --threads", name);
    return rc == Z_OK && size == m && took == n ? 0 : damaged_tile(name, err);
}

#endif
