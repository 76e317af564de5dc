/* Our descriptions, sealed JSON: NAME.json of arrays, with the array beside it, and OUTPUT.json of indices; metadata
 * rows (NAME.meta.npy). Behind a NUL stands the file that the description vouches for. */
#include "io/describe.h"
#include "io/rowsfile.h"
#include "memfile.h"
#include "mend.h"
#include "use.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed);

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed)
{
    mend_begin(data, size);
    if (size > 2 && data[1] == 0x93)
        return 1 + mend_text(data + 1, size - 1, most - 1, seed);
    return mend_sealed(data, size, most, seed);
}

static void read_rows(void)
{
    struct bm_error err = {0};
    struct bm_rowsfile rows;
    int32_t history[BM_MAX_HISTORY];
    struct bm_row row = {.stimulus_history = history};

    if (bm_rowsfile_read(MEMFILE "x", &rows, &err))
        return;
    for (size_t i = 0; rows.meta.history && i < rows.meta.n; i++)
        bm_row_get(&rows.meta, i, &row);
    use(rows.meta.data, rows.meta.n * bm_row_size(rows.meta.history));
    bm_rowsfile_clear(&rows);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *end = size > 1 && data[1] != 0x93 ? memchr(data + 1, 0, size - 1) : NULL;
    struct bm_error err = {0};
    struct bm_describe_how how;

    if (size < 1)
        return 0;
    memfile_set(data + 1, end ? (size_t)(end - data) - 1 : size - 1);
    memfile_set_other(".npy", end ? end + 1 : data, end ? (size_t)(data + size - end) - 1 : 0);
    if (data[0] & 1) {
        read_rows();
    } else {
        how = (struct bm_describe_how){.verify = data[0] & 2, .values = data[0] & 4};
        json_decref(bm_describe(MEMFILE "/x.json", &how, &err));
    }
    return 0;
}
