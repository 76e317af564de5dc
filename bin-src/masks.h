/* The masks of a command line, as nifti2h5 and applymask take them: files, labels, a table, and how they combine. */
#ifndef BM_MASKS_H
#define BM_MASKS_H

#include "cli.h"

struct cli_masks {
    struct cli_list files;
    const char *labels, *table, *combine; /* combine: "union" or "intersection" */
};

/* The voxels (ascending, owned by the caller) that the masks select together on `grid`, which all must fit.
 * Where `grid` is NULL the first mask's grid counts. *out_grid gets the grid. */
int cli_masks_read(const struct cli_masks *m, const struct bm_grid *grid, struct bm_grid *out_grid, int64_t **voxels,
                   size_t *n, struct bm_error *err) BM_MUST_USE;

#endif
