#include "ops/shuffle.h"

#include "core/mem.h"

#include <stdlib.h>
#include <string.h>

void bm_permute(int64_t *items, size_t n, struct bm_random *r)
{
    for (size_t i = n; i > 1; i--) {
        size_t j = (size_t)bm_random_below(r, i);
        int64_t moved = items[i - 1];
        items[i - 1] = items[j];
        items[j] = moved;
    }
}

/* starts[k] = position of the k-th block that has rows; returns their number, starts[number] = n. */
static size_t find_blocks(const int64_t *rows, size_t n, size_t block_rows, size_t *starts)
{
    size_t blocks = 0;
    for (size_t i = 0; i < n; i++)
        if (i == 0 || (uint64_t)rows[i] / block_rows != (uint64_t)rows[i - 1] / block_rows)
            starts[blocks++] = i;
    starts[blocks] = n;
    return blocks;
}

static void mix_blocks(int64_t *items, const int64_t *from, const size_t *starts, const int64_t *order, size_t blocks,
                       size_t buffer_blocks, struct bm_random *r)
{
    int64_t *out = items, *buffer = items;
    for (size_t k = 0; k < blocks; k++) {
        size_t first = starts[order[k]], count = starts[order[k] + 1] - first;
        memcpy(out, from + first, count * sizeof *out);
        out += count;
        if ((k + 1) % buffer_blocks == 0 || k + 1 == blocks) {
            bm_permute(buffer, (size_t)(out - buffer), r);
            buffer = out;
        }
    }
}

/* Blocks of rows come in shuffled order, the items of each `buffer_blocks` of them are mixed. The rows may be the
 * items themselves. */
static int block_shuffle(int64_t *items, const int64_t *rows, size_t n, const struct bm_order *how,
                         struct bm_random *r, struct bm_error *err)
{
    size_t *starts = bm_alloc(n + 1, sizeof *starts, "blocks", err);
    int64_t *order = bm_alloc(n, sizeof *order, "order of blocks", err);
    int64_t *from = bm_alloc(n, sizeof *from, "items", err);
    int status = starts && order && from ? 0 : -1;
    if (status == 0) {
        size_t blocks = find_blocks(rows, n, how->block_rows, starts);
        for (size_t k = 0; k < blocks; k++)
            order[k] = (int64_t)k;
        bm_permute(order, blocks, r);
        if (n > 0)
            memcpy(from, items, n * sizeof *from);
        mix_blocks(items, from, starts, order, blocks, how->buffer_blocks, r);
    }
    free(from);
    free(order);
    free(starts);
    return status;
}

int bm_order_items(int64_t *items, const int64_t *rows, size_t n, const struct bm_order *order, size_t part,
                   struct bm_error *err)
{
    struct bm_random r;
    bm_random_seed(&r, order->seed, 1 + order->epoch * BM_MAX_PARTS + part);
    if (order->mode == BM_ORDER_BLOCK)
        return block_shuffle(items, rows, n, order, &r, err);
    if (order->mode == BM_ORDER_FULL)
        bm_permute(items, n, &r);
    return 0;
}

int bm_order_rows(int64_t *rows, size_t n, const struct bm_order *order, size_t part, struct bm_error *err)
{
    return bm_order_items(rows, rows, n, order, part, err);
}

void bm_shard(size_t n, size_t shards, size_t k, size_t *first, size_t *count)
{
    size_t each = n / shards, larger = n % shards;
    *first = k * each + (k < larger ? k : larger);
    *count = each + (k < larger ? 1 : 0);
}
