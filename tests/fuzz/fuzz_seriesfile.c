/* Our reader of series files, with a stand-in for the HDF5 library (fakeh5.h): run table, headers and footers,
 * voxels, metadata rows, checksums, tiles. */
#include "drain.h"
#include "fakeh5.h"
#include "io/seriesfile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed);

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed)
{
    mend_begin(data, size);
    return fakeh5_mend(data, size, most, seed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bm_error err = {0};
    struct bm_source *src;
    struct bm_buf tiles = {0};

    fakeh5_set(data, size);
    if (size && data[0] & 8) {
        (void)!bm_seriesfile_check("x.h5", "x.h5", 1, &tiles, &err);
        bm_buf_free(&tiles);
        return 0;
    }
    src = bm_seriesfile_source("x.h5", &err);
    if (src)
        drain(src);
    return 0;
}
