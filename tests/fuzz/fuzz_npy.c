/* NPY files: header and data. */
#include "io/npy.h"
#include "memfile.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bm_error err = {0};
    struct bm_npy_header h;
    enum bm_dtype dtype;
    void *items = NULL;

    memfile_set(data, size);
    if (bm_npy_load(MEMFILE "x.npy", &h, &dtype, &items, &err) == 0)
        free(items);
    return 0;
}
