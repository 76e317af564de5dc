/* jansson's memory. A value that could not be made is left out by json_object_set_new and the like, and who passes over
 * their status gets a text that lacks a key. So every allocation of jansson that fails is remembered, and who makes a
 * text of values asks. */
#ifndef BM_IO_JSONMEM_H
#define BM_IO_JSONMEM_H

#include <stdbool.h>
#include <stddef.h>

/* What jansson allocates with; free(). Failures are remembered. */
void *bm_json_alloc(size_t n);
/* Has an allocation of jansson failed in this thread since the last call? */
bool bm_json_lost(void);

#endif
