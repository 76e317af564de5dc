/* Some columns of a row. Neighbouring columns are copied together. */
#ifndef BM_LOAD_PICK_H
#define BM_LOAD_PICK_H

#include "core/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bm_pick {
    const int64_t *columns; /* n of them; not owned; NULL: all */
    int64_t n;
    uint16_t *run; /* run[i]: columns[i], columns[i] + 1, ... stand at least so many in a row from i on; owned */
};

/* columns NULL: all n columns as they are. Free with bm_pick_free. */
int bm_pick_make(struct bm_pick *p, const int64_t *columns, int64_t n, struct bm_error *err) BM_MUST_USE;
/* Entries [first, first + n) of the columns of `row`, whose samples have `size` bytes (2 or 4): in `room`, which has
 * space for n samples, or in place in the row. */
const void *bm_pick(const struct bm_pick *p, int64_t first, int64_t n, const void *row, size_t size, void *room);
void bm_pick_free(struct bm_pick *p);

#endif
