/* A stand-in for io/hdf5.h: what our reader of series files asks the HDF5 library for comes from a fuzzer's bytes, so
 * that the reader is tried at full speed and in ways that the library would not let through.
 *
 * The bytes: one of choices (bit 0: no attribute, 1: deflate, 2: other tiles than the header says), then records:
 * kind, run, length (2 bytes, little-endian), data. Of a tile, the data begin with its number and its filter mask.
 */
#ifndef FAKEH5_H
#define FAKEH5_H

#include "mend.h"

enum fakeh5_kind {
    FAKEH5_TABLE,
    FAKEH5_VOXELS,
    FAKEH5_HEADER,
    FAKEH5_FOOTER,
    FAKEH5_METADATA,
    FAKEH5_CRCS,
    FAKEH5_TILE,
    FAKEH5_KINDS
};

/* The file that is opened next. */
void fakeh5_set(const uint8_t *data, size_t size);
/* Changes, drops or repeats a record and sets the checksums of the tiles right; a LLVMFuzzerCustomMutator. */
size_t fakeh5_mend(uint8_t *data, size_t size, size_t most, unsigned seed);

#endif
