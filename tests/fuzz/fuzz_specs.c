/* What users and names say: SPECs of ROIs with the table beside the volume, patterns, run names, BIDS names. Lines:
 * SPEC, list of labels, then the table. */
#include "core/glob.h"
#include "io/bidsname.h"
#include "io/roi.h"
#include "io/runname.h"
#include "memfile.h"
#include "mend.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed);

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed)
{
    mend_begin(data, size);
    return mend_text(data, size, most, seed);
}

/* The next line as text; NULL where there is none. Owned. */
static char *next_line(const uint8_t **data, size_t *size)
{
    const uint8_t *end = *size ? memchr(*data, '\n', *size) : NULL;
    size_t n = end ? (size_t)(end - *data) : *size;
    char *text = *size ? malloc(n + 1) : NULL;

    if (text) {
        memcpy(text, *data, n);
        text[n] = 0;
        *data += n + (end != NULL);
        *size -= n + (end != NULL);
    }
    return text;
}

/* A volume of 24 voxels with the values 0 to 11, in NIfTI-1. */
static const uint8_t *volume(size_t *size)
{
    static uint8_t bytes[352 + 24];
    static const uint8_t dim[] = {3, 0, 4, 0, 3, 0, 2, 0, 1, 0, 1, 0, 1, 0, 1, 0};

    bytes[0] = 0x5c;
    bytes[1] = 1;
    memcpy(bytes + 40, dim, sizeof dim);
    bytes[70] = 2;
    bytes[72] = 8;
    for (size_t i = 0; i < 4; i++) /* voxels of 1 mm */
        memcpy(bytes + 76 + 4 * i, "\0\0\x80\x3f", 4);
    memcpy(bytes + 108, "\0\0\xb0\x43", 4);
    memcpy(bytes + 344, "n+1", 4);
    for (size_t i = 0; i < 24; i++)
        bytes[352 + i] = (uint8_t)(i / 2);
    *size = sizeof bytes;
    return bytes;
}

static void use_roi(const char *spec, const char *labels)
{
    struct bm_error err = {0};
    struct bm_roi roi;
    struct bm_grid grid;
    bool *flags;
    char text[80];

    if (bm_roi_parse(spec, labels, NULL, &roi, &err))
        return;
    (void)bm_roi_condition(&roi, text, sizeof text);
    if (strncmp(roi.path, MEMFILE, sizeof MEMFILE - 1) == 0 && bm_roi_read(&roi, NULL, &grid, &flags, &err) == 0)
        free(flags);
    bm_roi_clear(&roi);
}

static void use_names(const char *spec, const char *labels)
{
    struct bm_error err = {0};
    struct bm_bidsname bids;
    struct bm_runname run;
    const size_t n = strlen(spec);
    char *pattern;

    (void)bm_bidsname_parse(spec, &bids);
    bm_runname_parse(spec, &run);
    free(bm_runname_expand(spec, run.subject, run.session, run.run, &err));
    pattern = malloc(n); /* no more than the pattern itself */
    if (pattern && labels && bm_glob_is(spec, n))
        (void)bm_glob(memcpy(pattern, spec, n), n, labels);
    free(pattern);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *image;
    char *spec = next_line(&data, &size), *labels = next_line(&data, &size);
    size_t n;

    memfile_set(data, size);
    image = volume(&n);
    memfile_set_other(".nii", image, n);
    if (spec) {
        use_roi(spec, labels && *labels ? labels : NULL);
        use_names(spec, labels);
    }
    free(spec);
    free(labels);
    return 0;
}
