/* ROIs: which voxels a SPEC selects.
 *
 * SPEC is FILE, or "FILE OP VALUE" with blanks around OP, one of = == != > >= < <=. VALUE is a number, or for = and
 * != a list of numbers, ranges and names ("V1v,V1d", "1-3"). FILE alone selects what is > 0. A file that has the
 * whole text as its name is that file. NaN fulfils no condition, not even !=.
 */
#ifndef BM_IO_ROI_H
#define BM_IO_ROI_H

#include "core/compare.h"
#include "core/series.h"
#include "io/labels.h"

/* Not to be copied: `table` may point into it. */
struct bm_roi {
    char *path; /* FILE; owned */
    enum bm_compare op;
    double number;                 /* what values are compared with, where there are no labels */
    struct bm_label_set labels;    /* of = and != */
    const struct bm_labels *table; /* names of the values: the caller's, or `own`; NULL where there are none */
    struct bm_labels own;          /* the table beside FILE */
    /* What bm_roi_read found. */
    uint64_t bytes; /* of FILE (decoded), and their CRC-32 */
    uint32_t crc32;
    size_t selected;  /* voxels */
    double lo, hi;    /* range of the finite values, lo > hi where there are none */
    size_t nonfinite; /* voxels that are NaN or infinite */
};

/* Takes a SPEC apart. labels: a list that counts as "FILE = LIST" where SPEC has no condition, or NULL. table: names
 * for = and !=; where it is NULL and FILE has a BIDS table beside it, that is read. */
int bm_roi_parse(const char *spec, const char *labels, const struct bm_labels *table, struct bm_roi *out,
                 struct bm_error *err) BM_MUST_USE;
/* Reads FILE. On success *flags (one a voxel, C order) is the caller's, and *grid is the file's; none of the flags
 * may be set. expected: as for bm_maskfile_read. With = each number and name, and at least one number of each range,
 * must be in the file: otherwise the error lists what is. */
int bm_roi_read(struct bm_roi *roi, const struct bm_grid *expected, struct bm_grid *grid, bool **flags,
                struct bm_error *err) BM_MUST_USE;
/* The condition as text, such as "> 0" or "= V1v,3-5"; for messages. Returns text. */
const char *bm_roi_condition(const struct bm_roi *roi, char *text, size_t n);
void bm_roi_clear(struct bm_roi *roi);

#endif
