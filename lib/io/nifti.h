/* NIfTI: volumes of one file, read front to back.
 *
 * NIfTI-1 and NIfTI-2, single file (.nii, .nii.gz, or a pipe) or pair (.hdr + .img, either gzipped), both byte
 * orders, every real type. 3-D files are one volume; dimensions past the fourth must be 1. float128 is this machine's
 * long double and is handed out as float64 (io/niftiwide.h). Complex, RGB and bit types are refused by name.
 * Analyze 7.5 pairs are read as SPM2 does, with a doubt that the caller should pass on.
 *
 * Every header field that is used is checked; what lies is an error with the field's name and value:
 *   sizeof_hdr, magic, dim[0..7], datatype, bitpix (must agree), vox_offset, scl_inter, pixdim, quatern, qoffset,
 *   srow, extension and each esize, the file's length.
 * Format: nifti1.h and nifti2.h of the NIfTI data format working group (2005, 2011); dbh.h of Analyze 7.5 (Mayo).
 */
#ifndef BM_IO_NIFTI_H
#define BM_IO_NIFTI_H

#include "core/series.h"
#include "io/bytes.h"

#include <stdbool.h>
#include <stdint.h>

#define BM_NIFTI_EXTENSIONS 8u /* of which more than the number is kept */

struct bm_nifti_extension {
    int code;      /* ecode: 4 AFNI, 6 comment, ... */
    uint32_t size; /* esize: with its own 8 bytes */
};

struct bm_nifti_info {
    int version;             /* 1 or 2; 1 also for Analyze */
    bool analyze;            /* Analyze 7.5 */
    bool big_endian;         /* byte order of the file */
    bool pair;               /* .hdr + .img */
    enum bm_dtype dtype;     /* of the samples as handed out: native byte order */
    const char *stored;      /* the file's type: as dtype's name, or "float128" */
    size_t stored_size;      /* bytes a sample in the file */
    struct bm_grid grid;     /* affine by the standard's rule: sform if sform_code > 0, else qform, else pixdim */
    const char *affine_from; /* "sform", "qform", "pixdim", or "analyze" */
    int qform_code, sform_code;
    size_t volumes;        /* 1 for a 3-D file */
    double slope, inter;   /* 1 and 0 where the header says none (slope 0 or not finite, NIfTI standard) */
    bool scaled_by_ranges; /* of Analyze: slope and inter come from cal_max, cal_min, glmax, glmin */
    double tr;             /* seconds, from pixdim[4] and xyzt_units; 0 where the header has none */
    bool has_time;         /* four dimensions or more: pixdim[4] means something */
    char tr_doubt[160]; /* why tr should not be trusted ("xyzt_units names no time unit; seconds assumed"), or "" */
    char doubt[200];    /* what else a user should know ("Analyze 7.5 has no orientation; ..."), or "". Names no
                           file and no number: the same doubt about many files has the same text */
    size_t extensions;  /* their number; the first of them: */
    struct bm_nifti_extension extension[BM_NIFTI_EXTENSIONS];
};

struct bm_nifti;

/* Opens and checks the header; for a pair either name may be given. "-" is standard input. The error of a file that
 * is too short names dim, datatype and vox_offset. */
struct bm_nifti *bm_nifti_open(const char *path, struct bm_error *err) BM_MUST_USE;
/* The same from an input that stands at the file's first byte and is taken over, also on failure. For the .img of a
 * pair it is closed, and the pair opened by its names. */
struct bm_nifti *bm_nifti_from(const char *path, struct bm_bytes *in, struct bm_error *err) BM_MUST_USE;
const struct bm_nifti_info *bm_nifti_info(const struct bm_nifti *n);
size_t bm_nifti_volume_bytes(const struct bm_nifti *n);
/* Next volume into buf (bm_nifti_volume_bytes), samples in the file's order (x fastest), native byte order,
 * unscaled. 1: got one; 0: all volumes were read; -1: error (truncated, corrupt). */
int bm_nifti_next(struct bm_nifti *n, void *buf, struct bm_error *err) BM_MUST_USE;
/* Reads what is left and checks it: gzip trailers, and that no volume is missing. *skipped (may be NULL) gets the
 * number of volumes that were not asked for. Bytes after the last volume are allowed only if fewer than a volume;
 * *trailing (may be NULL) gets their number, on a second call too. */
int bm_nifti_finish(struct bm_nifti *n, size_t *skipped, uint64_t *trailing, struct bm_error *err) BM_MUST_USE;
uint32_t bm_nifti_crc32(const struct bm_nifti *n);     /* of the decoded data file; valid after finish */
uint64_t bm_nifti_bytes(const struct bm_nifti *n);     /* decoded bytes; valid after finish */
uint64_t bm_nifti_raw_count(const struct bm_nifti *n); /* bytes read from the data file, for progress */
bool bm_nifti_gzip(const struct bm_nifti *n);          /* is the file with the samples gzipped? */
void bm_nifti_close(struct bm_nifti *n);               /* NULL is fine */

/* All values of a file of one volume, nothing of which has been read, as doubles in C order of (x, y, z), scaled; the
 * file is read to its end. *values is owned by the caller. A file of more than one volume is an error. */
int bm_nifti_only_volume(struct bm_nifti *n, double **values, struct bm_error *err) BM_MUST_USE;
/* Reads one whole 3-D volume as doubles in C order of (x, y, z), scaled (value = slope * sample + inter).
 * *values is owned by the caller. A file of more than one volume is an error. */
int bm_nifti_read_volume(const char *path, struct bm_grid *grid, double **values, struct bm_error *err) BM_MUST_USE;

/* Header fields for writing a single-file NIfTI-1: fills hdr[352] (header, 4 zero bytes of extension). */
void bm_nifti1_header(unsigned char hdr[352], const struct bm_grid *grid, size_t volumes, enum bm_dtype dtype,
                      double tr, const char *descrip);

#endif
