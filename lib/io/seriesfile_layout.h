/* What reader and writer of series files share: where things stand in the file, and the record types. */
#ifndef BM_IO_SERIESFILE_LAYOUT_H
#define BM_IO_SERIESFILE_LAYOUT_H

#include "core/series.h"
#include "io/hdf5.h"

#define BM_SERIES_MAX_RUNS 9999
#define BM_SERIES_LABEL 68 /* bytes; so the record has no padding */
#define BM_SERIES_META 7   /* fields of a metadata row */

/* One line of /run_table. */
struct bm_series_row {
    int64_t first_row, rows;
    double slope, inter, tr;
    int32_t subject, session, run;
    char label[BM_SERIES_LABEL];
};

extern const struct bm_h5_record bm_series_table, bm_series_byte, bm_series_voxel, bm_series_crc;

/* The record type of metadata rows; `fields` is the caller's and must outlive it. */
struct bm_h5_record bm_series_meta(size_t history, struct bm_h5_field fields[BM_SERIES_META]);
/* "/runs/0001/WHAT" for run 0. Returns text. */
const char *bm_series_path(char text[64], size_t run, const char *what);
/* Width of a stored chunk: HDF5 demands that it is no wider than the dataset. */
size_t bm_series_chunk_cols(const struct bm_run *run);

#endif
