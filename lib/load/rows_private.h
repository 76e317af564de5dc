/* What rows.c and standard.c share. */
#ifndef BM_LOAD_ROWS_PRIVATE_H
#define BM_LOAD_ROWS_PRIVATE_H

#include "core/tasks.h"
#include "load/pick.h"
#include "load/rows.h"

struct bm_gather {
    const struct bm_matrix *m;
    const struct bm_batch *b;
    struct bm_pick pick;
    size_t from_size, to_size; /* bytes of a sample */
    bool around;               /* the caches */
    int64_t piece;             /* rows of a task (rows.c), or columns of one (standard.c) */
    atomic_bool overflow;
};

/* Checks all numbers. Must be closed also where it fails. */
int bm_gather_open(struct bm_gather *g, const struct bm_matrix *m, const struct bm_batch *b, const char *name,
                   struct bm_error *err) BM_MUST_USE;
/* Tasks that n things make, g->piece of them each. */
size_t bm_gather_tasks(const struct bm_gather *g, int64_t n);
/* Columns [first, first + n) of the batch of row i as the matrix has them: in `room` (n samples), or in the matrix.
 */
const void *bm_gather_part(const struct bm_gather *g, int64_t i, int64_t first, int64_t n, void *room);
/* `n` samples of the batch's type to columns [first, first + n) of row i. */
void bm_gather_put(const struct bm_gather *g, int64_t i, int64_t first, const void *samples, int64_t n);
/* Frees what belongs to g. Returns `status`, or -1 where a value was too large. */
int bm_gather_close(struct bm_gather *g, const char *name, int status, struct bm_error *err) BM_MUST_USE;

#endif
