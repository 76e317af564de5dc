#include "masks.h"

#include "io/labels.h"
#include "io/roi.h"
#include "ops/columns.h"

#include <stdlib.h>
#include <string.h>

static int read_labels(const struct cli_masks *m, int64_t **numbers, size_t *n, struct bm_error *err)
{
    struct bm_labels table = {0};
    int status = 0;

    *numbers = NULL;
    *n = 0;
    if (m->table && bm_labels_read(m->table, &table, err))
        return -1;
    if (m->labels)
        status = bm_labels_select(m->labels, m->table ? &table : NULL, numbers, n, err);
    bm_labels_clear(&table);
    return status;
}

static void combine(bool *all, const bool *one, size_t n, bool first, bool both)
{
    for (size_t i = 0; i < n; i++)
        all[i] = first ? one[i] : both ? all[i] && one[i] : all[i] || one[i];
}

static int list_voxels(const bool *flags, size_t voxels, const char *path, int64_t **out, size_t *n,
                       struct bm_error *err)
{
    *out = bm_alloc(voxels, sizeof **out, "mask", err);
    if (!*out)
        return -1;
    *n = bm_columns_list(*out, flags, voxels);
    if (*n)
        return 0;
    free(*out);
    *out = NULL;
    return bm_fail(err, BM_EDATA, "%s: the masks have no voxel in common; check them or use --combine union", path);
}

int cli_masks_read(const struct cli_masks *m, const struct bm_grid *grid, struct bm_grid *out_grid, int64_t **voxels,
                   size_t *n, struct bm_error *err)
{
    const bool both = !strcmp(m->combine, "intersection");
    struct bm_grid mask_grid;
    bool *all = NULL, *one = NULL;
    int64_t *labels;
    size_t nlabels;
    int status = read_labels(m, &labels, &nlabels, err);

    for (size_t i = 0; i < m->files.n && !status; i++) {
        status = bm_roi_read(m->files.items[i], labels, nlabels, i ? out_grid : grid, &mask_grid, &one, err);
        if (status)
            break;
        if (i == 0)
            *out_grid = mask_grid;
        if (!all && !(all = bm_alloc(bm_grid_voxels(out_grid), sizeof *all, "mask", err)))
            status = -1;
        if (!status)
            combine(all, one, bm_grid_voxels(out_grid), i == 0, both);
        free(one);
    }
    if (!status)
        status = list_voxels(all, bm_grid_voxels(out_grid), m->files.items[0], voxels, n, err);
    free(all);
    free(labels);
    return status;
}
