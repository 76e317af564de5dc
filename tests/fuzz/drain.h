/* Reads a series to its end, or to its first error; of runs of even subjects every second tile alone. */
#ifndef DRAIN_H
#define DRAIN_H

#include "core/series.h"
#include "use.h"

#include <stdlib.h>

static bool *want_some(struct bm_source *src, const struct bm_run *run)
{
    const size_t n = bm_run_tiles(run);
    bool *want = src->want && run->subject % 2 == 0 ? calloc(n, sizeof *want) : NULL;

    for (size_t i = 0; want && i < n; i += 2)
        want[i] = true;
    if (want)
        src->want(src, want);
    return want;
}

static void drain(struct bm_source *src)
{
    struct bm_error err = {0};
    const struct bm_run *run;
    struct bm_tile tile = {0};

    while (src->next_run(src, &run, &err) == 1) {
        bool *want = want_some(src, run);

        while (src->next_tile(src, &tile, &err) == 1 && !(src->decode && src->decode(src, &tile, &err)))
            use(tile.data.data, tile.data.size);
        free(want);
    }
    bm_tile_free(&tile);
    src->close(src);
}

#endif
