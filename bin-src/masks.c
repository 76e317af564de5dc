#include "masks.h"

#include "io/labels.h"
#include "io/roi.h"
#include "ops/columns.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What is selected so far. */
struct masking {
    const struct cli_masks *m;
    struct bm_labels table; /* of --table; n = 0 without */
    struct cli_mask *out;
    bool *flags;
    size_t files, voxels, left; /* masks combined so far; of the grid; selected */
};

/* ---- provenance ---- */

static int add_input(struct cli_mask *out, const char *path, uint64_t bytes, uint32_t crc32, struct bm_error *err)
{
    char **inputs = bm_alloc(out->ninputs + 1, sizeof *inputs, "inputs", err);
    char *input = inputs ? cli_input(path, bytes, crc32, err) : NULL;

    for (size_t i = 0; input && i < out->ninputs; i++) {
        if (!strcmp(out->inputs[i], input)) { /* one file may be in several conditions */
            free(input);
            free(inputs);
            return 0;
        }
    }
    if (!input) {
        free(inputs);
        return -1;
    }
    for (size_t i = 0; i < out->ninputs; i++)
        inputs[i] = out->inputs[i];
    inputs[out->ninputs++] = input;
    free(out->inputs);
    out->inputs = inputs;
    return 0;
}

static int add_files(struct cli_mask *out, const struct bm_roi *roi, struct bm_error *err)
{
    const struct bm_labels *t = roi->table;

    if (add_input(out, roi->path, roi->bytes, roi->crc32, err))
        return -1;
    return t ? add_input(out, t->path, t->bytes, t->crc32, err) : 0;
}

/* ---- one SPEC after the other ---- */

/* What the file holds, for messages. */
static const char *values_text(const struct bm_roi *roi, char text[120])
{
    if (roi->lo > roi->hi)
        (void)snprintf(text, 120, "no finite value");
    else
        (void)snprintf(text, 120, "values from %g to %g, %zu not finite", roi->lo, roi->hi, roi->nonfinite);
    return text;
}

static int selects_nothing(const struct bm_roi *roi, struct bm_error *err)
{
    char condition[400], values[120];

    return bm_fail(err, BM_EDATA, "%s: no voxel is %s; the file holds %s", roi->path,
                   bm_roi_condition(roi, condition, sizeof condition), values_text(roi, values));
}

static int take_file(struct masking *s, const struct bm_roi *roi, const bool *one, struct bm_error *err)
{
    const bool both = !strcmp(s->m->combine, "intersection"), first = s->files++ == 0;
    const size_t before = s->left;

    if (!roi->selected)
        return selects_nothing(roi, err);
    s->left = 0;
    for (size_t i = 0; i < s->voxels; i++) {
        s->flags[i] = first ? one[i] : both ? s->flags[i] && one[i] : s->flags[i] || one[i];
        s->left += s->flags[i];
    }
    if (s->left)
        return 0;
    return bm_fail(
        err, BM_EDATA,
        "%s: none of its %zu voxels is among the %zu that the masks before it have in common; use --combine "
        "union, or other masks",
        roi->path, roi->selected, before);
}

/* Keeps the voxels for which one[] is `wanted`. */
static int narrow(struct masking *s, const struct bm_roi *roi, const bool *one, bool wanted, struct bm_error *err)
{
    const size_t before = s->left;
    char condition[400], values[120];

    s->left = 0;
    for (size_t i = 0; i < s->voxels; i++) {
        s->flags[i] = s->flags[i] && one[i] == wanted;
        s->left += s->flags[i];
    }
    if (s->left)
        return 0;
    return bm_fail(err, BM_EDATA,
                   "%s: with --%s '%s %s' none of the %zu voxels selected so far is left; the file holds %s",
                   roi->path, wanted ? "where" : "minus", roi->path,
                   bm_roi_condition(roi, condition, sizeof condition), before, values_text(roi, values));
}

static int make_flags(struct masking *s, struct bm_error *err)
{
    s->voxels = bm_grid_voxels(&s->out->grid);
    s->flags = bm_calloc(s->voxels, sizeof *s->flags, "mask", err);
    return s->flags ? 0 : -1;
}

static int take(struct masking *s, const struct cli_list *list, size_t i, const struct bm_grid *grid,
                struct bm_error *err)
{
    const bool is_file = list == &s->m->files;
    struct bm_grid own;
    struct bm_roi roi;
    bool *one = NULL;
    int status =
        bm_roi_parse(list->items[i], is_file ? s->m->labels : NULL, s->table.n ? &s->table : NULL, &roi, err);

    if (status)
        return -1;
    status = bm_roi_read(&roi, s->flags ? &s->out->grid : grid, &own, &one, err);
    if (!status && !s->flags) {
        s->out->grid = own;
        status = make_flags(s, err);
    }
    if (!status)
        status = add_files(s->out, &roi, err);
    if (!status)
        status = is_file ? take_file(s, &roi, one, err) : narrow(s, &roi, one, list == &s->m->where, err);
    bm_roi_clear(&roi);
    free(one);
    return status;
}

static int take_all(struct masking *s, const struct bm_grid *grid, struct bm_error *err)
{
    const struct cli_list *const lists[] = {&s->m->files, &s->m->minus, &s->m->where};

    for (size_t k = 0; k < 3; k++) {
        for (size_t i = 0; i < lists[k]->n; i++) {
            if (take(s, lists[k], i, grid, err))
                return -1;
        }
    }
    s->out->voxels = bm_alloc(s->voxels, sizeof *s->out->voxels, "mask", err);
    if (!s->out->voxels)
        return -1;
    s->out->n = bm_columns_list(s->out->voxels, s->flags, s->voxels);
    return 0;
}

int cli_mask_read(const struct cli_masks *m, const struct bm_grid *grid, struct cli_mask *out, struct bm_error *err)
{
    struct masking s = {.m = m, .out = out};
    int status = 0;

    *out = (struct cli_mask){0};
    if (m->table)
        status = bm_labels_read(m->table, &s.table, err);
    if (!status)
        status = take_all(&s, grid, err);
    if (!status && m->table) /* read and checked, whether or not a SPEC needed it */
        status = add_input(out, m->table, s.table.bytes, s.table.crc32, err);
    bm_labels_clear(&s.table);
    free(s.flags);
    if (status)
        cli_mask_clear(out);
    return status;
}

void cli_mask_clear(struct cli_mask *mask)
{
    for (size_t i = 0; i < mask->ninputs; i++)
        free(mask->inputs[i]);
    free(mask->inputs);
    free(mask->voxels);
    *mask = (struct cli_mask){0};
}

void cli_mask_check(const struct cli *cli, const struct cli_masks *m, const char *option)
{
    if (!m->files.n && (m->minus.n || m->where.n || m->labels || m->table))
        cli_usage(cli, "--minus, --where, --labels and --table say more of a --%s; give one", option);
}
