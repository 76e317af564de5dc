/* jansson without memory. Where an allocation fails, jansson leaves out values (json_object_set_new of one that could
 * not be made), cuts texts short while it parses them, or gives up by assert. So failures are remembered, small ones
 * are met from a reserve so that it can go on, and who makes or reads a text asks. Any thread. */
#ifndef BM_IO_JSONMEM_H
#define BM_IO_JSONMEM_H

#include "core/error.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* Memory as jansson's own; bm_json_free. */
void *bm_json_alloc(size_t n);
void bm_json_free(void *p);
/* Has an allocation failed in this thread since the last call? */
bool bm_json_lost(void);
/* The value of a text that we made. NULL where memory is short; bm_json_lost still tells it. */
json_t *bm_json_own(const char *text) BM_MUST_USE;
/* As json_loadb: NULL with *why (may be NULL) where the text is no JSON, NULL with err set where memory was short or
 * the text would take more of it than any of ours does. */
json_t *bm_json_load(const char *text, size_t n, size_t flags, const char *where, json_error_t *why,
                     struct bm_error *err) BM_MUST_USE;

#endif
