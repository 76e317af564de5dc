/* Comparisons that users write: "> 0.2", "!= 3". */
#ifndef BM_CORE_COMPARE_H
#define BM_CORE_COMPARE_H

#include <stdbool.h>
#include <stddef.h>

enum bm_compare { BM_GREATER, BM_AT_LEAST, BM_LESS, BM_AT_MOST, BM_IS, BM_IS_NOT };

/* The sign at the front of s[n], one of > >= < <= = == and !=. Returns its length, 0 where there is none. */
size_t bm_compare_parse(const char *s, size_t n, enum bm_compare *out);
const char *bm_compare_sign(enum bm_compare op); /* ">=" */
/* NaN fulfils none, not even !=. */
bool bm_compare_holds(double value, enum bm_compare op, double with);

#endif
