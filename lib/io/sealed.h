/* Sealed JSON: the files that describe arrays and indices end with the CRC-32 of their own text, so that a flipped
 * bit in them shows too (docs/formats.md). */
#ifndef BM_IO_SEALED_H
#define BM_IO_SEALED_H

#include "core/error.h"

#include <jansson.h>
#include <stddef.h>

/* Compact text of an object and a line end, with "crc32" as its last key; takes the reference. Owned; NULL on
 * failure. */
char *bm_sealed_text(json_t *object, struct bm_error *err) BM_MUST_USE;
/* The object in a text whose seal is right; `where` names the file in messages. A new reference, or NULL. */
json_t *bm_sealed_parse(const char *text, size_t n, const char *where, struct bm_error *err) BM_MUST_USE;

#endif
