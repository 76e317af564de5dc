#include "io/open.h"

#include "io/seriesfile.h"
#include "io/stream.h"

#include <stdlib.h>
#include <string.h>

struct bm_source *bm_open_source(const char *path, struct bm_error *err)
{
    struct bm_bytes *in = bm_bytes_open(path, err);
    const unsigned char *p;
    size_t got = 0;

    if (!in)
        return NULL;
    p = bm_bytes_peek(in, 8, &got, err);
    if (p && got >= 6 && !memcmp(p, "\x93NUMPY", 6))
        return bm_stream_source(in, err);
    if (p && got == 8 && !memcmp(p, "\x89HDF\r\n\x1a\n", 8))
        return bm_seriesfile_reopen(path, in, err);
    if (p && got == 0)
        (void)bm_fail(err, BM_EDATA, "%s: is empty; its writer failed, see its message", bm_bytes_name(in));
    else if (p)
        (void)bm_fail(err, BM_EDATA,
                      "%s: is neither a series file nor a tile stream; NIfTI files go through nifti2h5",
                      bm_bytes_name(in));
    bm_bytes_close(in);
    return NULL;
}

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);

    return n >= m && !strcmp(s + n - m, end);
}

struct bm_sink *bm_open_sink(const char *path, bool deflate, struct bm_error *err)
{
    if (!strcmp(path, "-") || ends_with(path, ".npys"))
        return bm_stream_sink(path, err);
    if (ends_with(path, ".h5") || ends_with(path, ".hdf5"))
        return bm_seriesfile_sink(path, deflate, err);
    (void)bm_fail(err, BM_EUSAGE,
                  "%s: the output's kind is not known; name it *.h5 (series file), *.npys (tile stream) or -", path);
    return NULL;
}

/* ---- several inputs as one ---- */

struct chain {
    struct bm_source base;
    char *const *paths;
    size_t n, next;
    struct bm_source *now;
};

static int chain_next_run(struct bm_source *src, const struct bm_run **run, struct bm_error *err)
{
    struct chain *c = (struct chain *)src;

    for (;;) {
        int got = c->now ? c->now->next_run(c->now, run, err) : 0;

        if (got || (c->next == c->n && !c->now))
            return got;
        if (c->now)
            c->now->close(c->now);
        c->now = NULL;
        if (c->next == c->n)
            return 0;
        c->now = bm_open_source(c->paths[c->next], err);
        if (!c->now)
            return -1;
        c->next++;
    }
}

static void chain_want(struct bm_source *src, const bool *want)
{
    struct chain *c = (struct chain *)src;

    if (c->now->want)
        c->now->want(c->now, want);
}

static int chain_next_tile(struct bm_source *src, struct bm_tile *tile, struct bm_error *err)
{
    struct chain *c = (struct chain *)src;

    return c->now->next_tile(c->now, tile, err);
}

static int chain_decode(struct bm_source *src, struct bm_tile *tile, struct bm_error *err)
{
    struct chain *c = (struct chain *)src;

    return c->now->decode ? c->now->decode(c->now, tile, err) : 0;
}

static void chain_close(struct bm_source *src)
{
    struct chain *c = (struct chain *)src;

    if (c->now)
        c->now->close(c->now);
    free(c);
}

struct bm_source *bm_open_sources(char *const *paths, size_t n, struct bm_error *err)
{
    struct chain *c = bm_calloc(1, sizeof *c, "inputs", err);

    if (!c)
        return NULL;
    c->paths = paths;
    c->n = n;
    c->base = (struct bm_source){.next_run = chain_next_run,
                                 .want = chain_want,
                                 .next_tile = chain_next_tile,
                                 .decode = chain_decode,
                                 .close = chain_close};
    return &c->base;
}
