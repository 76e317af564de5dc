/* The NIfTI header: both versions and both byte orders to struct bm_nifti_info. Used by io/nifti.c only, which
 * declares bm_nifti1_header, the writing side of io/niftiheader.c, to the world. */
#ifndef BM_IO_NIFTIHEADER_H
#define BM_IO_NIFTIHEADER_H

#include "io/bytes.h"
#include "io/nifti.h"

/* Reads and checks the header at the start of b, and the extensions behind it. *offset is where the samples begin, at
 * or behind what was consumed in a single file. */
int bm_nifti_read_header(struct bm_bytes *b, struct bm_nifti_info *info, uint64_t *offset,
                         struct bm_error *err) BM_MUST_USE;

#endif
