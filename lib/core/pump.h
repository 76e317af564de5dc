/* The pump: moves a series from a source through an operation into a sink, tiles in parallel, order kept.
 *
 * One thread reads, `threads` workers decode, apply and encode, the calling thread writes. At most
 * threads + 2 tiles are alive. The bytes that reach the sink do not depend on `threads`.
 */
#ifndef BM_CORE_PUMP_H
#define BM_CORE_PUMP_H

#include "core/series.h"

struct bm_op {
    void *self;
    /* Optional, serial: look at and change the run before the sink sees it (dtype, steps, metadata). */
    int (*begin)(void *self, struct bm_run *run, struct bm_error *err);
    /* Optional, thread-safe: change the tile in place; `run` is the run as begin left it. */
    int (*tile)(void *self, const struct bm_run *run, struct bm_tile *tile, struct bm_error *err);
    /* Optional, serial, after the last tile and before the sink's end_run: add counts to the run. */
    int (*end)(void *self, struct bm_run *run, struct bm_error *err);
    /* Optional, serial, after the last run: the series as a whole can still be refused. */
    int (*done)(void *self, struct bm_error *err);
    /* Optional, serial: called after every tile for progress; may be NULL. */
    void (*progress)(void *self, const struct bm_run *run, size_t tiles_done);
};

/* Pumps all runs. Does not finish or close either end. threads >= 1. */
int bm_pump(struct bm_source *src, const struct bm_op *op, struct bm_sink *sink, int threads,
            struct bm_error *err) BM_MUST_USE;

#endif
