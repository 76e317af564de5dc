/* What a file tells about the rows of ROI arrays: NAME.meta.npy (every row) or NAME.json (the runs). Which one it is
 * shows in its first byte. Layouts: docs/formats.md. */
#ifndef BM_IO_ROWSFILE_H
#define BM_IO_ROWSFILE_H

#include "core/series.h"
#include "io/bytes.h"

struct bm_run_rows {
    int subject, session, run; /* 0..32767 */
    size_t rows;
};

struct bm_rowsfile {
    struct bm_rows meta;      /* meta.history > 0: the file was NAME.meta.npy */
    struct bm_run_rows *runs; /* otherwise: the runs in the order of their rows; owned */
    size_t nruns;
    uint64_t bytes; /* of the file */
    uint32_t crc32; /* of the file */
};

/* The rows of NAME.meta.npy alone, from an input at its first byte, read to its end; meta->data is owned. */
int bm_rowsfile_read_meta(struct bm_bytes *in, struct bm_rows *meta, struct bm_error *err) BM_MUST_USE;
int bm_rowsfile_read(const char *path, struct bm_rowsfile *out, struct bm_error *err) BM_MUST_USE;
void bm_rowsfile_clear(struct bm_rowsfile *f);

#endif
