/* NIfTI files, plain and gzip: header, extensions, volumes, trailer. */
#include "io/nifti.h"
#include "memfile.h"
#include "mend.h"
#include "use.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed);

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed)
{
    mend_begin(data, size);
    return mend_gzip(data, size, most, seed, mend_nifti);
}

static void read_volumes(struct bm_nifti *n)
{
    struct bm_error err = {0};
    size_t bytes = bm_nifti_volume_bytes(n), volumes = bm_nifti_info(n)->volumes;
    void *volume = malloc(bytes ? bytes : 1);

    if (volume) {
        for (size_t i = 0; i < volumes / 2 + 1 && bm_nifti_next(n, volume, &err) == 1; i++)
            use(volume, bytes);
    }
    free(volume);
    if (!err.text[0] && bm_nifti_finish(n, NULL, NULL, &err) == 0)
        (void)bm_nifti_crc32(n);
}

/* A single volume as a mask is read. */
static void read_only_volume(struct bm_nifti *n)
{
    struct bm_error err = {0};
    double *values;

    if (bm_nifti_only_volume(n, &values, &err))
        return;
    use(values, bm_grid_voxels(&bm_nifti_info(n)->grid) * sizeof *values);
    free(values);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bm_error err = {0};
    struct bm_nifti *n;

    memfile_set(data, size);
    n = bm_nifti_open(size > 347 && data[345] == 'i' ? MEMFILE "x.hdr" : MEMFILE "x.nii",
                      &err); /* a pair in one file */
    if (n && bm_nifti_info(n)->volumes == 1)
        read_only_volume(n);
    else if (n)
        read_volumes(n);
    bm_nifti_close(n);
    return 0;
}
