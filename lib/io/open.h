/* Opening a series by name: which format it is shows in the content (inputs) or in the name (outputs). */
#ifndef BM_IO_OPEN_H
#define BM_IO_OPEN_H

#include "core/series.h"

/* "-" or a file holding a tile stream, or a series file. */
struct bm_source *bm_open_source(const char *path, struct bm_error *err) BM_MUST_USE;
/* Several inputs one after the other, as one series; each is opened when its turn comes. `paths` must outlive it. It
 * has a want(). */
struct bm_source *bm_open_sources(char *const *paths, size_t n, struct bm_error *err) BM_MUST_USE;
/* "-" or *.npys: tile stream; *.h5, *.hdf5: series file. */
struct bm_sink *bm_open_sink(const char *path, bool deflate, struct bm_error *err) BM_MUST_USE;

#endif
