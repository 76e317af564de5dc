/* Tile streams: run headers (JSON), voxels, metadata rows, tiles, footers, the end record. */
#include "drain.h"
#include "io/bytes.h"
#include "io/stream.h"
#include "memfile.h"
#include "mend.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed);

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed)
{
    mend_begin(data, size);
    return mend_stream(data, size, most, seed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bm_error err = {0};
    struct bm_bytes *in;
    struct bm_source *src;

    memfile_set(data, size);
    in = bm_bytes_open(MEMFILE "x.npys", &err);
    src = in ? bm_stream_source(in, &err) : NULL;
    if (src)
        drain(src);
    return 0;
}
