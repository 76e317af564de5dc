/* Shuffling: orders of rows that depend on (seed, epoch, part) alone, the same on every machine.
 *
 * docs/shuffle.md describes the algorithms well enough to write them again.
 */
#ifndef BM_OPS_SHUFFLE_H
#define BM_OPS_SHUFFLE_H

#include "core/error.h"
#include "ops/random.h"

#include <stddef.h>
#include <stdint.h>

#define BM_GENERATOR "splitmix64+xoshiro256**"
#define BM_MAX_PARTS 16

enum bm_order_mode { BM_ORDER_NONE, BM_ORDER_FULL, BM_ORDER_BLOCK };

struct bm_order {
    enum bm_order_mode mode;
    size_t block_rows;    /* >= 1; BM_ORDER_BLOCK: rows [k * block_rows, (k + 1) * block_rows) are block k */
    size_t buffer_blocks; /* >= 1; so many blocks are held at a time and mixed */
    uint64_t seed, epoch;
};

/* Fisher-Yates: every one of the n! orders. */
void bm_permute(int64_t *items, size_t n, struct bm_random *r);
/* Puts the ascending rows[n] of part 0..BM_MAX_PARTS-1 into the order that (seed, epoch, part) gives. */
int bm_order_rows(int64_t *rows, size_t n, const struct bm_order *order, size_t part,
                  struct bm_error *err) BM_MUST_USE;
/* Puts items[n] into the order that their ascending rows[n] would get. */
int bm_order_items(int64_t *items, const int64_t *rows, size_t n, const struct bm_order *order, size_t part,
                   struct bm_error *err) BM_MUST_USE;
/* Shard k of `shards`: items [*first, *first + *count) of n. Sizes differ by at most one, larger ones first. */
void bm_shard(size_t n, size_t shards, size_t k, size_t *first, size_t *count);

#endif
