/* Series files (.h5): a series in HDF5, chunk = tile (layout: docs/formats.md).
 *
 * All runs of a file have the same voxels and grid, so that h5py users see one matrix at /fmri. Tiles are stored
 * as HDF5's own filters would store them, but packed and unpacked here, in parallel, and carry a CRC-32 that every
 * read checks.
 */
#ifndef BM_IO_SERIESFILE_H
#define BM_IO_SERIESFILE_H

#include "core/series.h"
#include "io/bytes.h"

struct bm_source *bm_seriesfile_source(const char *path, struct bm_error *err) BM_MUST_USE;
/* The same, where `in` has read the start of the file, and is closed: HDF5 opens it once more, by its name. */
struct bm_source *bm_seriesfile_reopen(const char *path, struct bm_bytes *in, struct bm_error *err) BM_MUST_USE;
/* Opens a file as a reader would and looks at every structure, those that only others read among them; `runs` is how
 * many runs there must be; messages call it shown_as. Appends a struct bm_series_part (io/seriesfile_seal.h) to
 * `tiles` for each tile, which is still to be compared. */
int bm_seriesfile_check(const char *path, const char *shown_as, size_t runs, struct bm_buf *tiles,
                        struct bm_error *err) BM_MUST_USE;
/* `deflate`: byte shuffle + deflate; otherwise plain. */
struct bm_sink *bm_seriesfile_sink(const char *path, bool deflate, struct bm_error *err) BM_MUST_USE;

#endif
