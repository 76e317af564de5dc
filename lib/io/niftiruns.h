/* NIfTI runs as a series: many files, inflated ahead in parallel, handed out in order.
 *
 * Each volume is inflated into a buffer that stays in the cache, and its wanted voxels are gathered from there into
 * the run's tiles, in the file's own sample type: no full-grid copy of a run ever exists. A few runs are alive at
 * once: the one handed out and those being inflated, as many as `threads` and `memory` allow.
 */
#ifndef BM_IO_NIFTIRUNS_H
#define BM_IO_NIFTIRUNS_H

#include "io/nifti.h"

#include <stdbool.h>

struct bm_niftirun {
    const char *const *names; /* of its files as the user gave them, for the provenance */
    const char *const *paths; /* files to read, or "-" */
    size_t nfiles;            /* 1, or as many as there are 3-D files, one a volume */
    struct bm_nifti *opened;  /* the only file where it is open already (a pipe), or NULL; the caller's */
    const char *label;        /* as bm_runname_parse makes it */
    int subject, session, run;
    size_t volumes; /* keep the first so many; 0 keeps all. Fewer in the file is an error */
};

struct bm_niftifile {
    const char *name;
    uint64_t bytes;          /* decoded */
    uint32_t crc32;          /* of these */
    const char *affine_from; /* "sform", "qform", "pixdim", "analyze" */
};

struct bm_niftiruns_config {
    const struct bm_niftirun *runs;
    size_t nruns;
    struct bm_grid grid;   /* all runs must have it */
    const int64_t *voxels; /* which voxels to keep, ascending */
    size_t nvoxels;
    bool complete; /* the voxels are all that are ever non-zero: any other non-zero sample is an error
                    * (bm_niftiruns_grown) */
    double tr;     /* seconds; 0: as the headers say */
    int threads;   /* runs inflated at once, >= 1 */
    size_t memory; /* bytes for runs in flight; one run is always allowed */
    /* Opens the only file of a run that is not `opened`, by its path: NULL for files on the disk. May run in any
     * thread. */
    struct bm_bytes *(*open)(void *self, const char *path, struct bm_error *err);
    /* Makes the provenance step of a run, given its data files; owned text. May run in any thread. */
    char *(*step)(void *self, const struct bm_niftifile *files, size_t n, struct bm_error *err);
    void *self;
};

/* The strings and arrays of `config` must outlive the source; the struct is copied. */
struct bm_source *bm_niftiruns_source(const struct bm_niftiruns_config *config, struct bm_error *err) BM_MUST_USE;
/* After a failure of next_run: was it a non-zero sample outside the voxels of a `complete` set? */
bool bm_niftiruns_grown(const struct bm_source *src);
/* Compressed bytes read so far, over all runs; any thread. For progress. */
uint64_t bm_niftiruns_raw_count(const struct bm_source *src);

/* Marks in flags (one a grid voxel, C order) the voxels that are non-zero (or NaN) in the first `most` volumes (0:
 * all that a run keeps) of any run, reading the files in parallel. */
int bm_niftiruns_nonzero(const struct bm_niftiruns_config *config, size_t most, bool *flags,
                         struct bm_error *err) BM_MUST_USE;

#endif
