/* The runs that a command line of nifti2h5 names: which files make up which run, how many volumes are kept, and what
 * the headers leave in doubt. */
#ifndef BM_SCANS_H
#define BM_SCANS_H

#include "cli.h"
#include "io/niftiruns.h"

struct cli_scans {
    /* Set by the caller, mostly from options. */
    const struct cli *cli;
    char *const *files; /* as given */
    size_t nfiles;
    struct cli_list designs;
    int64_t volumes, subject;
    const char *sessions, *numbers; /* of the runs: lists such as "1,1,2", one number a run, or a single one */
    double tr;
    bool skip_rest;
    struct bm_bytes *(*open)(void *self, const char *path, struct bm_error *err); /* how files are opened, or NULL */
    void *self;
    bool read_once; /* nothing asks for a second reading: standard input need not be kept */
    /* Set by cli_scans_find. */
    struct bm_niftirun *runs;
    size_t n;
    struct bm_grid grid; /* of the first run */
    uint64_t raw_size;   /* of all files, as they lie on the disk */
    struct cli_scans_files *own;
};

/* Opens all headers (with `open`, the first one's alone: each file is a run, and read once) and makes runs of the
 * files: one of each, or, where every file holds a single volume, one of all files in a row whose names say the same
 * subject, session and run. Warns of what is in doubt, once for each kind. */
int cli_scans_find(struct cli_scans *s, struct bm_error *err) BM_MUST_USE;
/* Where an error names the copy of a pipe, which tells the user nothing, it names the pipe instead. */
void cli_scans_name(const struct cli_scans *s, struct bm_error *err);
void cli_scans_free(struct cli_scans *s);

#endif
