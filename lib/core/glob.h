/* Globs: patterns of names. */
#ifndef BM_CORE_GLOB_H
#define BM_CORE_GLOB_H

#include <stdbool.h>
#include <stddef.h>

/* Does pattern[n] fit the whole of `name`? '*' is any text, '?' any one byte, [a-c9] one byte of the set, [!a-c9] one
 * that is not in it; a '[' without its ']' is itself. Takes at most strlen(name) * n steps, whatever the pattern. */
bool bm_glob(const char *pattern, size_t n, const char *name);
bool bm_glob_is(const char *pattern, size_t n); /* has it a '*', '?' or '['? */

#endif
