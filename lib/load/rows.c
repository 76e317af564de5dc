#include "load/put.h"
#include "load/rows_private.h"

#define PIECE ((int64_t)1 << 20) /* bytes of the batch that one task fills; a task fills at least a row */
#define BLOCK 2048               /* columns that are picked and converted at a time: they stay in the first cache */

static int check_range(const int64_t *numbers, int64_t n, int64_t end, const char *what, const char *name,
                       struct bm_error *err)
{
    for (int64_t i = 0; i < n; i++)
        if (numbers[i] < 0 || numbers[i] >= end)
            return bm_fail(err, BM_EUSAGE, "%s: there is no %s %lld; give numbers from 0 to %lld", name, what,
                           (long long)numbers[i], (long long)end - 1);
    return 0;
}

int bm_gather_open(struct bm_gather *g, const struct bm_matrix *m, const struct bm_batch *b, const char *name,
                   struct bm_error *err)
{
    *g = (struct bm_gather){.m = m, .b = b};
    g->from_size = bm_sample_size(m->type);
    g->to_size = bm_sample_size(b->type);
    g->around = bm_put_worth((size_t)b->n * (size_t)b->ncolumns * g->to_size);
    if (check_range(b->rows, b->n, m->row_count, "row", name, err) < 0 ||
        (b->columns && check_range(b->columns, b->ncolumns, m->cols, "column", name, err) < 0))
        return -1;
    return bm_pick_make(&g->pick, b->columns, b->ncolumns, err);
}

size_t bm_gather_tasks(const struct bm_gather *g, int64_t n)
{
    return (size_t)((n + g->piece - 1) / g->piece);
}

const void *bm_gather_part(const struct bm_gather *g, int64_t i, int64_t first, int64_t n, void *room)
{
    const char *row = (const char *)g->m->data + (size_t)g->b->rows[i] * (size_t)g->m->cols * g->from_size;

    return bm_pick(&g->pick, first, n, row, g->from_size, room);
}

void bm_gather_put(const struct bm_gather *g, int64_t i, int64_t first, const void *samples, int64_t n)
{
    char *to = (char *)g->b->out + i * g->b->stride + (size_t)first * g->to_size;

    bm_put(to, samples, (size_t)n * g->to_size, g->around);
}

int bm_gather_close(struct bm_gather *g, const char *name, int status, struct bm_error *err)
{
    bm_pick_free(&g->pick);
    if (status == 0 && atomic_load(&g->overflow))
        return bm_fail(err, BM_EDATA,
                       "%s: a value is too large for the type that was asked for; take float32, or clean the data",
                       name);
    return status;
}

static bool fill_row(const struct bm_gather *g, int64_t i)
{
    const int64_t block = !g->b->columns && g->m->type == g->b->type ? g->b->ncolumns : BLOCK;
    uint32_t picked[BLOCK];
    double converted[BLOCK];
    bool fits = true;

    for (int64_t c = 0; c < g->b->ncolumns; c += block) {
        int64_t n = g->b->ncolumns - c < block ? g->b->ncolumns - c : block;
        const void *samples = bm_gather_part(g, i, c, n, picked);

        if (g->m->type != g->b->type) {
            fits &= bm_convert(converted, g->b->type, samples, g->m->type, (size_t)n);
            samples = converted;
        }
        bm_gather_put(g, i, c, samples, n);
    }
    return fits;
}

static int fill_piece(void *self, void *worker, size_t k, const atomic_bool *stop, struct bm_error *err)
{
    struct bm_gather *g = self;
    int64_t first = (int64_t)k * g->piece, end = first + g->piece < g->b->n ? first + g->piece : g->b->n;

    (void)worker, (void)stop, (void)err;
    for (int64_t i = first; i < end; i++)
        if (!fill_row(g, i))
            atomic_store(&g->overflow, true);
    bm_put_fence();
    return 0;
}

int bm_gather(const struct bm_matrix *m, const struct bm_batch *b, const char *name, int threads,
              struct bm_error *err)
{
    struct bm_gather g;
    struct bm_tasks tasks = {.self = &g, .run = fill_piece};
    int status = bm_gather_open(&g, m, b, name, err);

    if (status == 0) {
        int64_t bytes = b->ncolumns * (int64_t)(g.to_size > g.from_size ? g.to_size : g.from_size);

        g.piece = bytes > 0 && bytes < PIECE ? PIECE / bytes : 1;
        tasks.n = bm_gather_tasks(&g, b->n);
        status = bm_tasks_run(&tasks, threads, err);
    }
    return bm_gather_close(&g, name, status, err);
}
