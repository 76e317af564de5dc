/* NIfTI: volumes of one file, read front to back.
 *
 * NIfTI-1 and NIfTI-2, single file (.nii, .nii.gz, or a pipe) or pair (.hdr + .img, either gzipped), both byte
 * orders, every real type of up to 64 bits. 3-D files are one volume; dimensions past the fourth must be 1.
 * Complex, RGB, 128-bit and bit types are refused by name.
 *
 * Every header field that is used is checked; what lies is an error with the field's name and value:
 *   sizeof_hdr, magic, dim[0..7], datatype, bitpix (must agree), vox_offset, pixdim[4], the file's length.
 * Format: nifti1.h and nifti2.h of the NIfTI data format working group (2005, 2011).
 */
#ifndef BM_IO_NIFTI_H
#define BM_IO_NIFTI_H

#include "core/series.h"

#include <stdbool.h>
#include <stdint.h>

struct bm_nifti_info {
    int version;             /* 1 or 2 */
    bool big_endian;         /* byte order of the file */
    bool pair;               /* .hdr + .img */
    enum bm_dtype dtype;     /* of the samples as handed out: native byte order */
    struct bm_grid grid;     /* affine by the standard's rule: sform if sform_code > 0, else qform, else pixdim */
    const char *affine_from; /* "sform", "qform" or "pixdim" */
    size_t volumes;          /* 1 for a 3-D file */
    double slope, inter;     /* 1 and 0 where the header says none (slope 0 or not finite, NIfTI standard) */
    double tr;               /* seconds, from pixdim[4] and xyzt_units; 0 where the header has none */
    char tr_doubt[160]; /* why tr should not be trusted ("xyzt_units names no time unit; seconds assumed"), or "" */
};

struct bm_nifti;

/* Opens and checks the header; for a pair either name may be given. "-" is standard input. */
struct bm_nifti *bm_nifti_open(const char *path, struct bm_error *err) BM_MUST_USE;
const struct bm_nifti_info *bm_nifti_info(const struct bm_nifti *n);
size_t bm_nifti_volume_bytes(const struct bm_nifti *n);
/* Next volume into buf (bm_nifti_volume_bytes), samples in the file's order (x fastest), native byte order,
 * unscaled. 1: got one; 0: all volumes were read; -1: error (truncated, corrupt). */
int bm_nifti_next(struct bm_nifti *n, void *buf, struct bm_error *err) BM_MUST_USE;
/* Reads what is left and checks it: gzip trailers, and that no volume is missing. *skipped (may be NULL) gets the
 * number of volumes that were not asked for. Bytes after the last volume are allowed only if fewer than a volume;
 * *trailing (may be NULL) gets their number. */
int bm_nifti_finish(struct bm_nifti *n, size_t *skipped, uint64_t *trailing, struct bm_error *err) BM_MUST_USE;
uint32_t bm_nifti_crc32(const struct bm_nifti *n);     /* of the decoded data file; valid after finish */
uint64_t bm_nifti_bytes(const struct bm_nifti *n);     /* decoded bytes; valid after finish */
uint64_t bm_nifti_raw_count(const struct bm_nifti *n); /* bytes read from the data file, for progress */
void bm_nifti_close(struct bm_nifti *n);               /* NULL is fine */

/* Reads one whole 3-D volume as doubles in C order of (x, y, z), scaled (value = slope * sample + inter).
 * *values is owned by the caller. A file of more than one volume is an error. */
int bm_nifti_read_volume(const char *path, struct bm_grid *grid, double **values, struct bm_error *err) BM_MUST_USE;

/* Header fields for writing a single-file NIfTI-1: fills hdr[352] (header, 4 zero bytes of extension). */
void bm_nifti1_header(unsigned char hdr[352], const struct bm_grid *grid, size_t volumes, enum bm_dtype dtype,
                      double tr, const char *descrip);

#endif
