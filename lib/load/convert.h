/* Rows of arrays to what a model wants: float16 and float32 samples to float16, bfloat16, float32 or float64. */
#ifndef BM_LOAD_CONVERT_H
#define BM_LOAD_CONVERT_H

#include <stdbool.h>
#include <stddef.h>

/* The numbers are part of the interface to Python (python/boldmill/core.py). */
enum bm_sample { BM_SAMPLE_F16 = 1, BM_SAMPLE_F32, BM_SAMPLE_F64, BM_SAMPLE_BF16 };

size_t bm_sample_size(enum bm_sample type);

/* n samples, rounded to the nearest, ties to even; NaN stays NaN. `from` is BM_SAMPLE_F16 or BM_SAMPLE_F32, and not
 * `to`. false: a finite value was too large for `to` and became infinite. */
bool bm_convert(void *dst, enum bm_sample to, const void *src, enum bm_sample from, size_t n);

#endif
