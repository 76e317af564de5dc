/* Tile streams: a series as a sequence of NPY arrays, for pipes (layout: docs/formats.md). A stream that does not
 * end with its end record, or whose CRC-32 differs, is an error: a killed writer cannot pass for a finished one. */
#ifndef BM_IO_STREAM_H
#define BM_IO_STREAM_H

#include "core/series.h"
#include "io/bytes.h"

/* Takes over `in` (closed with the source, also on failure). */
struct bm_source *bm_stream_source(struct bm_bytes *in, struct bm_error *err) BM_MUST_USE;
/* Writes to path, "-" for standard output. */
struct bm_sink *bm_stream_sink(const char *path, struct bm_error *err) BM_MUST_USE;

#endif
