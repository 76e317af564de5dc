/* Copies for batches: memory that is written once and read much later, or by another device. */
#ifndef BM_LOAD_PUT_H
#define BM_LOAD_PUT_H

#include <stdbool.h>
#include <stddef.h>

/* A copy of `bytes` from src to dst, which do not overlap. With `around` it goes around the caches where the
 * processor can: a plain copy of a row reads the memory that it is about to overwrite. Call bm_put_fence before
 * another thread looks at what was put around the caches. */
void bm_put(void *dst, const void *src, size_t bytes, bool around);
void bm_put_fence(void);

/* Is a batch of so many bytes better put around the caches: is it larger than the largest of them? */
bool bm_put_worth(size_t bytes);

#endif
