#include "ops/columns.h"

size_t bm_columns_map(size_t *map, const int64_t *want, size_t nwant, const int64_t *have, size_t nhave)
{
    size_t j = 0, absent = 0;

    for (size_t i = 0; i < nwant; i++) {
        while (j < nhave && have[j] < want[i])
            j++;
        map[i] = j < nhave && have[j] == want[i] ? j : BM_NO_COLUMN;
        absent += map[i] == BM_NO_COLUMN;
    }
    return absent;
}

/* One pass per row, so that the writes run along the output row. */
#define GATHER(type)                                                                                                 \
    for (size_t t = 0; t < rows; t++) {                                                                              \
        const type *from = (const type *)in + t * in_cols;                                                           \
        type *to = (type *)out + t * out_cols + first;                                                               \
                                                                                                                     \
        for (size_t i = 0; i < n; i++) {                                                                             \
            if (map[i] - in_first < in_cols)                                                                         \
                to[i] = from[map[i] - in_first];                                                                     \
        }                                                                                                            \
    }

void bm_columns_gather(void *out, size_t out_cols, size_t first, size_t n, const size_t *map, const void *in,
                       size_t in_first, size_t in_cols, size_t rows, size_t itemsize)
{
    switch (itemsize) {
    case 1:
        GATHER(uint8_t)
        break;
    case 2:
        GATHER(uint16_t)
        break;
    case 4:
        GATHER(uint32_t)
        break;
    default:
        GATHER(uint64_t)
        break;
    }
}

size_t bm_columns_list(int64_t *voxels, const bool *flags, size_t n)
{
    size_t count = 0;

    for (size_t i = 0; i < n; i++) {
        voxels[count] = (int64_t)i;
        count += flags[i];
    }
    return count;
}
