/* NPY files: header and data. */
#include "io/npy.h"
#include "memfile.h"
#include "mend.h"
#include "use.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed);

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed)
{
    mend_begin(data, size);
    return mend_text(data, size, most, seed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bm_error err = {0};
    struct bm_npy_header h;
    enum bm_dtype dtype;
    void *items = NULL;
    size_t n;

    memfile_set(data, size);
    if (bm_npy_load(MEMFILE "x.npy", &h, &dtype, &items, &err))
        return 0;
    if (bm_npy_items(&h, "x", &n, &err) == 0)
        use(items, n * bm_dtype_size(dtype));
    free(items);
    return 0;
}
