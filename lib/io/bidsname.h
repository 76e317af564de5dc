/* BIDS names: the entities in a file's name, such as sub-01_task-rest_run-2_bold.nii.gz (key-value parts, a suffix,
 * an extension). */
#ifndef BM_IO_BIDSNAME_H
#define BM_IO_BIDSNAME_H

#include "io/text.h"

#include <stdbool.h>

#define BM_BIDS_ENTITIES 32

/* All spans point into the path. */
struct bm_bidsname {
    struct bm_span keys[BM_BIDS_ENTITIES], values[BM_BIDS_ENTITIES];
    size_t n;
    struct bm_span suffix; /* "bold" */
};

/* false: the name has no such form, its first key is none that BIDS knows, or it has more than BM_BIDS_ENTITIES. */
bool bm_bidsname_parse(const char *path, struct bm_bidsname *out);

#endif
