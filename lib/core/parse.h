/* Strict parsing: the whole string must be the number, in range. No atoi anywhere. */
#ifndef BM_CORE_PARSE_H
#define BM_CORE_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Decimal integer, optional sign, nothing else (no blanks, no "1e3", no hex). false: not one, or out of [lo, hi]. */
bool bm_parse_int(const char *s, int64_t lo, int64_t hi, int64_t *out);
/* Decimal or scientific real, independent of the locale; finite only. */
bool bm_parse_real(const char *s, double *out);
/* The same for a field s[n] that is not terminated. */
bool bm_parse_int_n(const char *s, size_t n, int64_t lo, int64_t hi, int64_t *out);
bool bm_parse_real_n(const char *s, size_t n, double *out);

#endif
