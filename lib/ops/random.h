/* Random numbers that are the same on every machine: SplitMix64 seeds xoshiro256** (Blackman and Vigna).
 *
 * Integer arithmetic only. A generator belongs to one thread at a time. docs/shuffle.md describes each function
 * well enough to write it again.
 */
#ifndef BM_OPS_RANDOM_H
#define BM_OPS_RANDOM_H

#include <stdint.h>

struct bm_random {
    uint64_t s[4];
};

/* The next SplitMix64 output; steps *state. */
uint64_t bm_splitmix64(uint64_t *state);

/* Starts stream `stream` of `seed`. Any two (seed, stream) pairs with one part in common give different states. */
void bm_random_seed(struct bm_random *r, uint64_t seed, uint64_t stream);
/* The next xoshiro256** output: all 64 bits may be used. */
uint64_t bm_random_next(struct bm_random *r);
/* 0 <= result < n without bias (Lemire's multiply-and-reject). n = 0 gives 0. */
uint64_t bm_random_below(struct bm_random *r, uint64_t n);
/* 0 <= result < 1, a multiple of 2^-53. */
double bm_random_unit(struct bm_random *r);

#endif
