#include "ops/columns.h"
#include "ops/random.h"
#include "unit.h"

#define N 300

/* Every voxel below n with the given chance, ascending. */
static size_t random_list(int64_t *list, size_t n, double chance, struct bm_random *r)
{
    size_t count = 0;

    for (size_t i = 0; i < n; i++)
        if (bm_random_unit(r) < chance)
            list[count++] = (int64_t)i * 3;
    return count;
}

static size_t find(const int64_t *list, size_t n, int64_t value)
{
    for (size_t i = 0; i < n; i++)
        if (list[i] == value)
            return i;
    return BM_NO_COLUMN;
}

static void maps_are_those_of_a_search(void)
{
    struct bm_random r;
    int64_t want[N], have[N];
    size_t map[N];

    bm_random_seed(&r, 1, 0);
    for (size_t k = 0; k < 400; k++) {
        size_t n = bm_random_below(&r, N), nwant = random_list(want, n, (double)(k % 5) / 4, &r);
        size_t nhave = random_list(have, n + k % 3, (double)(k / 5 % 5) / 4, &r), absent = 0;
        size_t told = bm_columns_map(map, want, nwant, have, nhave);
        for (size_t i = 0; i < nwant; i++) {
            CHECK_ROW(map[i] == find(have, nhave, want[i]), k);
            absent += map[i] == BM_NO_COLUMN;
        }
        CHECK_ROW(told == absent, k);
    }
}

static void maps_of_nothing(void)
{
    int64_t one = 5;
    size_t map = 7;

    CHECK(bm_columns_map(&map, &one, 0, &one, 1) == 0 && map == 7);
    CHECK(bm_columns_map(&map, &one, 1, &one, 0) == 1 && map == BM_NO_COLUMN);
    CHECK(bm_columns_map(&map, &one, 1, &one, 1) == 0 && map == 0);
}

/* Any tiling of the input and of the output gives the columns that the map names; the rest stays as it was. */
static void gathering_is_that_of_a_loop(void)
{
    static const size_t sizes[] = {1, 2, 4, 8};
    static uint64_t in[7 * N], tile[7 * N], out[7 * N];
    struct bm_random r;

    bm_random_seed(&r, 2, 0);
    for (size_t i = 0; i < 7 * N; i++)
        in[i] = bm_random_next(&r);
    for (size_t k = 0; k < 4 * 60; k++) {
        const size_t size = sizes[k % 4], rows = 1 + k % 7;
        int64_t want[N], have[N];
        size_t map[N], nwant = 0, nhave = 0;
        while (!nwant || !nhave) {
            nwant = random_list(want, N, 0.4, &r);
            nhave = random_list(have, N, 0.6, &r);
        }
        (void)bm_columns_map(map, want, nwant, have, nhave);
        size_t width = 1 + bm_random_below(&r, nhave), first = bm_random_below(&r, nwant), n = nwant - first;
        size_t out_cols = n + bm_random_below(&r, 4), at = bm_random_below(&r, out_cols - n + 1);
        memset(out, 0xEE, sizeof out);
        for (size_t i = 0; i * width < nhave; i++) { /* forwards or backwards */
            size_t from = k / 4 % 2 ? (nhave - 1) / width * width - i * width : i * width;
            size_t cols = from + width < nhave ? width : nhave - from;
            for (size_t t = 0; t < rows; t++)
                memcpy((unsigned char *)tile + t * cols * size, (unsigned char *)in + (t * nhave + from) * size,
                       cols * size);
            bm_columns_gather(out, out_cols, at, n, map + first, tile, from, cols, rows, size);
        }
        for (size_t i = 0; i < rows * out_cols; i++) {
            size_t t = i / out_cols, c = i % out_cols - at;
            static const unsigned char untouched[8] = {0xEE, 0xEE, 0xEE, 0xEE, 0xEE, 0xEE, 0xEE, 0xEE};
            bool filled = c < n && map[first + c] != BM_NO_COLUMN;
            const unsigned char *expect =
                filled ? (unsigned char *)in + (t * nhave + map[first + c]) * size : untouched;
            CHECK_ROW(memcmp((unsigned char *)out + i * size, expect, size) == 0, k);
        }
        CHECK_ROW(((unsigned char *)out)[rows * out_cols * size] == 0xEE, k);
    }
}

static void lists_of_flags(void)
{
    struct bm_random r;

    bm_random_seed(&r, 3, 0);
    for (size_t k = 0; k <= 20; k++) {
        bool flags[N];
        int64_t list[N + 1];
        size_t n = k == 20 ? 0 : N, count = 0;
        for (size_t i = 0; i < N; i++)
            flags[i] = k > 0 && bm_random_unit(&r) * 19 < (double)k;
        list[n] = 77;
        size_t told = bm_columns_list(list, flags, n);
        for (size_t i = 0; i < n; i++)
            if (flags[i])
                CHECK_ROW(list[count++] == (int64_t)i, k);
        CHECK_ROW(told == count && list[n] == 77, k);
    }
}

int main(void)
{
    static const struct unit_test all[] = {
        UNIT(maps_are_those_of_a_search),
        UNIT(maps_of_nothing),
        UNIT(gathering_is_that_of_a_loop),
        UNIT(lists_of_flags),
    };
    return unit_main(all, COUNT(all));
}
