/* Reads a series to its end, or to its first error. */
#ifndef DRAIN_H
#define DRAIN_H

#include "core/series.h"

static void drain(struct bm_source *src)
{
    struct bm_error err = {0};
    const struct bm_run *run;
    struct bm_tile tile = {0};

    while (src->next_run(src, &run, &err) == 1) {
        while (src->next_tile(src, &tile, &err) == 1 && !(src->decode && src->decode(src, &tile, &err)))
            ;
    }
    bm_tile_free(&tile);
    src->close(src);
}

#endif
