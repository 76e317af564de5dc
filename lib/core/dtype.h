/* Sample types: the real-number types that NIfTI, NPY and our own files share.
 * All data are little-endian in memory and in our files. */
#ifndef BM_CORE_DTYPE_H
#define BM_CORE_DTYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum bm_dtype { BM_I8 = 1, BM_U8, BM_I16, BM_U16, BM_I32, BM_U32, BM_I64, BM_U64, BM_F16, BM_F32, BM_F64 };

size_t bm_dtype_size(enum bm_dtype t);       /* bytes a sample: 1, 2, 4 or 8 */
const char *bm_dtype_name(enum bm_dtype t);  /* numpy's name: "int16", "float32" */
const char *bm_dtype_descr(enum bm_dtype t); /* NPY descr: "<i2", "|u1", "<f4" */
bool bm_dtype_is_float(enum bm_dtype t);
bool bm_dtype_from_name(const char *name, enum bm_dtype *out); /* accepts name or descr; false if unknown */

/* n samples of type t at src to double, one by one exact except for 64-bit integers beyond 2^53. */
void bm_to_double(double *dst, const void *src, enum bm_dtype t, size_t n);
/* n doubles to BM_F16, BM_F32 or BM_F64 at dst, rounded to nearest even. false: a finite value was too large for the
 * type and became infinite. */
bool bm_from_double(void *dst, enum bm_dtype t, const double *src, size_t n);

/* Big-endian samples of `size` bytes each to little-endian ones, or back, in place. */
void bm_swap_bytes(void *samples, size_t size, size_t n);

uint16_t bm_half_from_float(float f); /* IEEE 754 binary16, round to nearest even */
float bm_half_to_float(uint16_t h);

#endif
