/* The fields of a NIfTI header that we use, of either version, and of an Analyze 7.5 header: what the parts of the
 * header's reader (io/niftiheader.c, io/niftiaffine.c, io/niftiextension.c) share. */
#ifndef BM_IO_NIFTIFIELDS_H
#define BM_IO_NIFTIFIELDS_H

#include "io/bytes.h"
#include "io/nifti.h"

struct bm_nifti_fields { /* in native byte order */
    const char *name;    /* of the file, for messages */
    int version;
    bool big_endian, pair, analyze;
    char magic[8];
    int64_t dim[8];
    double pixdim[8];
    int datatype, bitpix, qform, sform, units;
    double vox_offset, slope, inter;
    double quatern[3], qoffset[3], srow[3][4];
    double cal_max, cal_min; /* this and what follows: of Analyze alone */
    int64_t glmax, glmin, origin[3];
};

/* Integers and reals of n bytes in either byte order. */
uint64_t bm_nifti_get_uint(const unsigned char *p, size_t n, bool big);
int64_t bm_nifti_get_int(const unsigned char *p, size_t n, bool big);
/* The error "file: NIfTI header: FIELD is VALUE: why; what to do". Always -1. */
int bm_nifti_bad(struct bm_error *err, const struct bm_nifti_fields *f, const char *field, double value,
                 const char *why);
#ifdef __clang_analyzer__ /* as for bm_fail */
#define bm_nifti_bad(...) ((bm_nifti_bad)(__VA_ARGS__), -1)
#endif

/* Drops n bytes. 1: done; 0: the input ends before; -1: error. */
int bm_nifti_skip(struct bm_bytes *b, uint64_t n, struct bm_error *err) BM_MUST_USE;

/* Sets info->grid.affine (the dims are there), affine_from and the codes. */
int bm_nifti_affine(const struct bm_nifti_fields *f, struct bm_nifti_info *info, struct bm_error *err) BM_MUST_USE;

/* Walks the extensions, which begin where b stands, behind the header: up to vox_offset in a single file, to the end
 * of a .hdr. What they claim must be there. Sets info->extensions and what goes with it. */
int bm_nifti_extensions(struct bm_bytes *b, const struct bm_nifti_fields *f, struct bm_nifti_info *info,
                        struct bm_error *err) BM_MUST_USE;

#endif
