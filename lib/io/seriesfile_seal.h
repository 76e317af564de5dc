/* The seal of a series file: its last 32 bytes, "\nboldmill series crc32 0123abcd\n", which hold the CRC-32 of all
 * bytes before them. HDF5 does not look at what stands behind its own end. Tiles have checksums of their own, which
 * every reading compares; the seal covers all else too, such as the view of all runs, whose map HDF5 1.10 follows
 * before it has compared that map's checksum. boldinfo --verify compares the seal; it takes reading the whole file.
 */
#ifndef BM_IO_SERIESFILE_SEAL_H
#define BM_IO_SERIESFILE_SEAL_H

#include "core/error.h"
#include "io/commit.h"

#include <stdint.h>

/* Where a tile lies in the file, and the CRC-32 that its bytes must have. */
struct bm_series_part {
    uint64_t at, size;
    uint32_t crc;
};

/* Reads a file again that HDF5 has written to a commit, compares its n tiles (which are sorted for that) and appends
 * the seal. threads >= 1. */
int bm_series_seal(struct bm_commit *c, struct bm_series_part *tiles, size_t n, int threads,
                   struct bm_error *err) BM_MUST_USE;
/* Compares it. */
int bm_series_check_seal(const char *path, struct bm_error *err) BM_MUST_USE;

#endif
