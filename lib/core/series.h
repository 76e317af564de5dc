/* The series: what flows between the programs.
 *
 * A series is a sequence of runs. A run is a matrix of `rows` time points x
 * `cols` voxels, row-major, that comes as tiles: all rows of a block of
 * `tile_cols` neighbouring columns (the last tile may be narrower).
 *
 *     source -> [decode] -> op -> [encode] -> sink
 *
 * A source yields runs and their tiles; a sink takes them. decode and encode
 * are the parts of reading and writing that may run on several tiles at once
 * (inflating, deflating); everything else is called by one thread at a time.
 * core/pump.h connects the two. Sources and sinks are in io.
 *
 * Columns are voxels in C order of (x, y, z): voxel index (x*Y + y)*Z + z,
 * strictly ascending within a run.
 */
#ifndef BM_CORE_SERIES_H
#define BM_CORE_SERIES_H

#include "core/dtype.h"
#include "core/error.h"
#include "core/mem.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The voxel grid of a volume. */
struct bm_grid {
    int64_t dims[3];     /* X, Y, Z; each 1..2^31-1, their product below 2^40 */
    double affine[3][4]; /* voxel (x,y,z,1) to millimetres; the last row (0,0,0,1) is implied */
};

/* Same dims, and affines equal within 1e-3 mm at every corner of the grid. */
bool bm_grid_same(const struct bm_grid *a, const struct bm_grid *b);
/* "81x104x83, 1.80x1.80x1.80 mm, origin (-72.0, -93.6, -74.7)" into text[n]. Returns text. */
const char *bm_grid_text(const struct bm_grid *g, char *text, size_t n);
size_t bm_grid_voxels(const struct bm_grid *g);

#define BM_MAX_HISTORY 1024u

/* Metadata: one packed little-endian record a time point. With H = history:
 *   stimulus_history  int32[H]  the last H stimuli presented, oldest first, 0-based ids; -1: none yet
 *   subject_idx       int16     subject number
 *   session           int16     session number, 1-based
 *   run               int16     run number, 1-based
 *   time              float32   index of the time point within the run (TRs)
 *   trial             int32     index within the run of the latest presentation; -1: none yet
 *   stimulus          int32     id of the stimulus on the screen, one delay earlier; -1: none. NSD designs mark
 * onsets alone, so there it is set in the onset's row only */
struct bm_rows {
    size_t history;      /* H, 1..BM_MAX_HISTORY; 0 means that no metadata are attached */
    size_t n;            /* rows */
    unsigned char *data; /* n * bm_row_size(H) bytes, owned */
};
size_t bm_row_size(size_t history); /* 4*H + 18 */
struct bm_row {
    int32_t *stimulus_history; /* H values; the caller's array */
    int16_t subject_idx, session, run;
    float time;
    int32_t trial, stimulus;
};
void bm_row_put(struct bm_rows *rows, size_t i, const struct bm_row *row);
void bm_row_get(const struct bm_rows *rows, size_t i, struct bm_row *row); /* fills row->stimulus_history too */

struct bm_count {
    char name[48]; /* "zscore.constant_voxels" */
    uint64_t value;
};

#define BM_MAX_COUNTS 64
#define BM_TILE_MAX_COLS 65536u
#define BM_TILE_MAX_BYTES (256u << 20) /* of one tile: what a header can make a reader allocate */

struct bm_run {
    char *label; /* file name stem of the run, for messages and the run table; owned */
    int subject; /* 0: unknown */
    int session; /* 1.. */
    int run;     /* 1.. */
    size_t rows, cols, tile_cols;
    enum bm_dtype dtype;
    double slope, inter; /* value = slope * sample + inter; 1 and 0 when there is nothing to scale */
    double tr;           /* seconds, > 0 */
    struct bm_grid grid;
    bool absent_zero; /* voxels that are not among the columns are known to be zero throughout */
    int64_t *voxels;  /* cols voxel indices, strictly ascending; owned */
    int32_t *times; /* the volume of the scan that each row is, 0-based, strictly ascending; NULL: 0..rows-1; owned */
    size_t volumes; /* of the scan, where that had more than the rows tell: volumes behind the last row; else 0 */
    struct bm_rows meta;
    char **categories; /* names of stimulus ids 0..n-1 where they have names; owned */
    size_t ncategories;
    char **steps; /* provenance: one JSON object a program, oldest first; owned */
    size_t nsteps;
    /* Known only when the run's last tile has passed: what was found and done. */
    struct bm_count counts[BM_MAX_COUNTS];
    size_t ncounts;
};

void bm_run_init(struct bm_run *run); /* zero, slope 1, subject 0 */
void bm_run_clear(struct bm_run *run);
/* Volume of the scan that row i is: the two differ once rows have been left out. */
int32_t bm_run_time(const struct bm_run *run, size_t i);
/* Volumes that the scan had: run->volumes, or as many as the rows tell. */
size_t bm_run_volumes(const struct bm_run *run);
/* Keeps the n >= 1 rows whose numbers (ascending, 0-based) are in `keep`: rows, times, volumes and metadata. The
 * tiles are the caller's affair. */
int bm_run_keep_rows(struct bm_run *run, const size_t *keep, size_t n, struct bm_error *err) BM_MUST_USE;
int bm_run_copy(struct bm_run *dst, const struct bm_run *src, struct bm_error *err) BM_MUST_USE;
int bm_run_add_step(struct bm_run *run, const char *json, struct bm_error *err) BM_MUST_USE;
/* Adds `value` to the named count, making it if need be (zero is recorded too). */
void bm_run_count(struct bm_run *run, const char *name, uint64_t value);
uint64_t bm_run_counted(const struct bm_run *run, const char *name); /* 0 if absent */
/* Can both stand in one matrix: same subject, grid, voxels, TR, kind of metadata and categories? If not, an error
 * that names both. */
int bm_run_fits(const struct bm_run *first, const struct bm_run *run, const char *where,
                struct bm_error *err) BM_MUST_USE;
size_t bm_run_tiles(const struct bm_run *run);
/* Checks every promise above (sizes, order and range of voxels, finite affine ...). `where` opens the message. */
int bm_run_check(const struct bm_run *run, const char *where, struct bm_error *err) BM_MUST_USE;
/* The tile width for runs of `rows` time points: a power of two, at most 1024, that keeps a float32
 * panel within 1 MiB. */
size_t bm_tile_cols(size_t rows);

struct bm_tile {
    size_t index;       /* of the tile within its run */
    size_t first, cols; /* columns [first, first + cols) of the run */
    size_t rows;
    enum bm_dtype dtype;
    struct bm_buf data;   /* rows x cols samples, row-major, no padding */
    struct bm_buf packed; /* scratch between read and decode, encode and put */
    uint32_t crc;         /* scratch: of the packed bytes */
    uint32_t filter_mask; /* scratch: how the packed bytes are packed */
};
void bm_tile_free(struct bm_tile *tile);
/* Makes the packed buffer, which an op has filled with samples of type `dtype`, the tile's data, and the other way
 * round: ops that cannot work in place write there, and no memory is allocated per tile. */
void bm_tile_swap(struct bm_tile *tile, enum bm_dtype dtype);
/* Shapes tile `index` of `run`: sets all but the buffers' content, makes room in tile->data. */
int bm_tile_shape(struct bm_tile *tile, const struct bm_run *run, size_t index, struct bm_error *err) BM_MUST_USE;

struct bm_source {
    /* 1: *run is the next run, owned by the source and valid until the next call (its counts are final only once
     * next_tile has returned 0). 0: there is no further run and the input was complete. */
    int (*next_run)(struct bm_source *src, const struct bm_run **run, struct bm_error *err);
    /* Optional, after next_run: only tiles with want[index] set will be asked for. */
    void (*want)(struct bm_source *src, const bool *want);
    /* 1: the next (wanted) tile of the current run, decoded or for decode to finish. 0: no more tiles; the
     * run's counts are now known. */
    int (*next_tile)(struct bm_source *src, struct bm_tile *tile, struct bm_error *err);
    /* Optional, thread-safe. */
    int (*decode)(struct bm_source *src, struct bm_tile *tile, struct bm_error *err);
    void (*close)(struct bm_source *src); /* frees src too */
};

struct bm_sink {
    int (*begin_run)(struct bm_sink *sink, const struct bm_run *run, struct bm_error *err);
    int (*encode)(struct bm_sink *sink, struct bm_tile *tile, struct bm_error *err); /* optional, thread-safe */
    int (*put_tile)(struct bm_sink *sink, struct bm_tile *tile, struct bm_error *err);
    int (*end_run)(struct bm_sink *sink, const struct bm_run *run, struct bm_error *err); /* run->counts is final */
    int (*finish)(struct bm_sink *sink, struct bm_error *err); /* commits; nothing is at the final name before */
    void (*close)(struct bm_sink *sink); /* frees sink; without finish the output is discarded */
    int threads;                         /* that finish may use; those of bm_pump, which sets it */
};

#endif
