#include "io/seriesfile_layout.h"

#include <stddef.h>
#include <stdio.h>

static const struct bm_h5_field table_fields[] = {
    {"label", BM_U8, BM_SERIES_LABEL, offsetof(struct bm_series_row, label), true},
    {"subject", BM_I32, 1, offsetof(struct bm_series_row, subject), false},
    {"session", BM_I32, 1, offsetof(struct bm_series_row, session), false},
    {"run", BM_I32, 1, offsetof(struct bm_series_row, run), false},
    {"first_row", BM_I64, 1, offsetof(struct bm_series_row, first_row), false},
    {"rows", BM_I64, 1, offsetof(struct bm_series_row, rows), false},
    {"slope", BM_F64, 1, offsetof(struct bm_series_row, slope), false},
    {"inter", BM_F64, 1, offsetof(struct bm_series_row, inter), false},
    {"tr", BM_F64, 1, offsetof(struct bm_series_row, tr), false},
};
const struct bm_h5_record bm_series_table = {table_fields, sizeof table_fields / sizeof *table_fields,
                                             sizeof(struct bm_series_row)};

static const struct bm_h5_field byte_field = {NULL, BM_U8, 1, 0, false};
static const struct bm_h5_field voxel_field = {NULL, BM_I64, 1, 0, false};
static const struct bm_h5_field crc_field = {NULL, BM_U32, 1, 0, false};
const struct bm_h5_record bm_series_byte = {&byte_field, 1, 1};
const struct bm_h5_record bm_series_voxel = {&voxel_field, 1, 8};
const struct bm_h5_record bm_series_crc = {&crc_field, 1, 4};

struct bm_h5_record bm_series_meta(size_t history, struct bm_h5_field fields[BM_SERIES_META])
{
    const size_t h = 4 * history;

    fields[0] = (struct bm_h5_field){"stimulus_history", BM_I32, history, 0, false};
    fields[1] = (struct bm_h5_field){"subject_idx", BM_I16, 1, h, false};
    fields[2] = (struct bm_h5_field){"session", BM_I16, 1, h + 2, false};
    fields[3] = (struct bm_h5_field){"run", BM_I16, 1, h + 4, false};
    fields[4] = (struct bm_h5_field){"time", BM_F32, 1, h + 6, false};
    fields[5] = (struct bm_h5_field){"trial", BM_I32, 1, h + 10, false};
    fields[6] = (struct bm_h5_field){"stimulus", BM_I32, 1, h + 14, false};
    return (struct bm_h5_record){fields, BM_SERIES_META, bm_row_size(history)};
}

const char *bm_series_path(char text[64], size_t run, const char *what)
{
    (void)snprintf(text, 64, "/runs/%04zu/%s", run + 1, what);
    return text;
}

size_t bm_series_chunk_cols(const struct bm_run *run)
{
    return run->tile_cols < run->cols ? run->tile_cols : run->cols;
}
