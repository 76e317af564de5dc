/* Descriptions of foreign files, as boldinfo makes them: which kind a file is, then tables, NPY, NIfTI, streams,
 * sidecars. The first byte chooses the name and how much is read. */
#include "io/describe.h"
#include "io/runjson.h"
#include "memfile.h"
#include "mend.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed);

static size_t change(uint8_t *data, size_t size, size_t most, unsigned seed)
{
    if (size > 6 && memcmp(data, "\x93NUMPY", 6) == 0)
        return (seed % 2 ? mend_stream : mend_text)(data, size, most, seed / 2);
    return (size > 3 && (data[0] == 0 || data[1] <= 2) ? mend_nifti : mend_text)(data, size, most, seed);
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed)
{
    mend_begin(data, size);
    if (size < 2 || seed % 16 == 0)
        return mend_mutate(data, size, most);
    return 1 + mend_gzip(data + 1, size - 1, most - 1, seed / 16, change);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {
        MEMFILE "x",      MEMFILE "x_dseg.nii", MEMFILE "x.npy", MEMFILE "sub-1_task-a_run-2_bold.nii.gz",
        MEMFILE "x.json", MEMFILE "x.txt",      MEMFILE "x.hdr", MEMFILE "/a/task-a_events.txt"};
    static const char table[] = "-1\tbefore\n1\tV1 left\n3\tV2\n70000\tbehind\n"; /* beside a label volume */
    struct bm_error err = {0};
    struct bm_describe_how how;
    json_t *info;

    if (size < 1 || (size > 1 && data[1] == 0x89)) /* HDF5 is fuzz_series.c's part */
        return 0;
    memfile_set(data + 1, size - 1);
    memfile_set_other(".tsv", table, sizeof table - 1);
    how = (struct bm_describe_how){.verify = data[0] & 8, .values = data[0] & 16};
    info = bm_describe(names[data[0] & 7], &how, &err);
    if (info)
        free(bm_runjson_dump(info, &err));
    return 0;
}
