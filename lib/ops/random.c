#include "ops/random.h"

__extension__ typedef unsigned __int128 wide;

static uint64_t rotate(uint64_t x, int k)
{
    return (x << k) | (x >> (64 - k));
}

uint64_t bm_splitmix64(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

void bm_random_seed(struct bm_random *r, uint64_t seed, uint64_t stream)
{
    uint64_t state = seed;
    state = bm_splitmix64(&state) ^ stream;
    for (int i = 0; i < 4; i++)
        r->s[i] = bm_splitmix64(&state);
}

uint64_t bm_random_next(struct bm_random *r)
{
    uint64_t *s = r->s;
    uint64_t result = rotate(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 45);
    return result;
}

uint64_t bm_random_below(struct bm_random *r, uint64_t n)
{
    if (n == 0)
        return 0;
    wide product = (wide)bm_random_next(r) * n;
    if ((uint64_t)product < n) {
        uint64_t biased = (0 - n) % n; /* 2^64 mod n: low halves below it would favour some results */
        while ((uint64_t)product < biased)
            product = (wide)bm_random_next(r) * n;
    }
    return (uint64_t)(product >> 64);
}

double bm_random_unit(struct bm_random *r)
{
    return (double)(bm_random_next(r) >> 11) * 0x1p-53;
}
