#include "load/rows.h"

#include "core/mem.h"
#include "core/tasks.h"
#include "load/pick.h"
#include "load/put.h"
#include "ops/panel.h"
#include "ops/standardise.h"

#include <stdlib.h>
#include <string.h>

#define PIECE ((int64_t)1 << 20) /* bytes of the batch that one task fills; a task fills at least a row */
#define BLOCK 2048               /* columns that are picked and converted at a time: they stay in the first cache */

struct gather {
    const struct bm_matrix *m;
    const struct bm_batch *b;
    struct bm_pick pick;
    size_t from_size, to_size; /* bytes of a sample */
    bool around;               /* the caches */
    int64_t piece;             /* rows of a task (plain), or columns of one (standardised) */
    atomic_bool overflow;
};

static int check_range(const int64_t *numbers, int64_t n, int64_t end, const char *what, const char *name,
                       struct bm_error *err)
{
    for (int64_t i = 0; i < n; i++)
        if (numbers[i] < 0 || numbers[i] >= end)
            return bm_fail(err, BM_EUSAGE, "%s: there is no %s %lld; give numbers from 0 to %lld", name, what,
                           (long long)numbers[i], (long long)end - 1);
    return 0;
}

static int open_gather(struct gather *g, const struct bm_matrix *m, const struct bm_batch *b, const char *name,
                       struct bm_error *err)
{
    *g = (struct gather){.m = m, .b = b};
    g->from_size = bm_sample_size(m->type);
    g->to_size = bm_sample_size(b->type);
    g->around = bm_put_worth((size_t)b->n * (size_t)b->ncolumns * g->to_size);
    if (check_range(b->rows, b->n, m->row_count, "row", name, err) < 0 ||
        (b->columns && check_range(b->columns, b->ncolumns, m->cols, "column", name, err) < 0))
        return -1;
    return bm_pick_make(&g->pick, b->columns, b->ncolumns, err);
}

static const char *row_of(const struct gather *g, int64_t i)
{
    return (const char *)g->m->data + (size_t)g->b->rows[i] * (size_t)g->m->cols * g->from_size;
}

/* `n` samples of the batch's type to columns [first, first + n) of row i. */
static void put_part(const struct gather *g, int64_t i, int64_t first, const void *samples, int64_t n)
{
    char *to = (char *)g->b->out + i * g->b->stride + (size_t)first * g->to_size;

    bm_put(to, samples, (size_t)n * g->to_size, g->around);
}

static bool fill_row(const struct gather *g, int64_t i)
{
    const int64_t block = !g->b->columns && g->m->type == g->b->type ? g->b->ncolumns : BLOCK;
    uint32_t picked[BLOCK];
    double converted[BLOCK];
    bool fits = true;

    for (int64_t c = 0; c < g->b->ncolumns; c += block) {
        int64_t n = g->b->ncolumns - c < block ? g->b->ncolumns - c : block;
        const void *samples = bm_pick(&g->pick, c, n, row_of(g, i), g->from_size, picked);

        if (g->m->type != g->b->type) {
            fits &= bm_convert(converted, g->b->type, samples, g->m->type, (size_t)n);
            samples = converted;
        }
        put_part(g, i, c, samples, n);
    }
    return fits;
}

static int no_worker(void *self, void *worker, struct bm_error *err)
{
    (void)self, (void)worker, (void)err;
    return 0;
}

static void drop_nothing(void *worker)
{
    (void)worker;
}

static int fill_piece(void *self, void *worker, size_t k, const atomic_bool *stop, struct bm_error *err)
{
    struct gather *g = self;
    int64_t first = (int64_t)k * g->piece, end = first + g->piece < g->b->n ? first + g->piece : g->b->n;

    (void)worker, (void)stop, (void)err;
    for (int64_t i = first; i < end; i++)
        if (!fill_row(g, i))
            atomic_store(&g->overflow, true);
    if (g->around)
        bm_put_fence();
    return 0;
}

static int finish(struct gather *g, const char *name, int status, struct bm_error *err)
{
    bm_pick_free(&g->pick);
    if (status == 0 && atomic_load(&g->overflow))
        return bm_fail(err, BM_EDATA,
                       "%s: a value is too large for the type that was asked for; take float32, or clean the data",
                       name);
    return status;
}

static size_t pieces_of(int64_t n, int64_t piece)
{
    return (size_t)((n + piece - 1) / piece);
}

int bm_gather(const struct bm_matrix *m, const struct bm_batch *b, const char *name, int threads,
              struct bm_error *err)
{
    struct gather g;
    struct bm_tasks tasks = {.self = &g, .make = no_worker, .drop = drop_nothing, .run = fill_piece};
    int status = open_gather(&g, m, b, name, err);

    if (status == 0) {
        int64_t bytes = b->ncolumns * (int64_t)(g.to_size > g.from_size ? g.to_size : g.from_size);

        g.piece = bytes < PIECE ? PIECE / (bytes > 0 ? bytes : 1) : 1;
        tasks.n = pieces_of(b->n, g.piece);
        status = bm_tasks_run(&tasks, threads, err);
    }
    return finish(&g, name, status, err);
}

/* What one thread standardises in: BM_PANEL columns of all rows. */
struct panel {
    void *in;     /* samples as they are in the matrix */
    void *out;    /* standardised: as the batch has them, floats for bfloat16 */
    void *last;   /* a row of the batch */
    double *work; /* scratch of bm_standardise */
};

static int make_panel(void *self, void *worker, struct bm_error *err)
{
    const struct gather *g = self;
    struct panel *p = worker;
    size_t samples = (size_t)g->b->n * BM_PANEL;

    p->in = bm_alloc(samples, g->from_size, "panel", err);
    p->out = bm_alloc(samples, g->to_size == 8 ? 8 : 4, "panel", err);
    p->last = bm_alloc(BM_PANEL, 8, "panel", err);
    p->work = bm_alloc(bm_panel_scratch((size_t)g->b->n), sizeof *p->work, "panel", err);
    return p->in && p->out && p->last && p->work ? 0 : -1;
}

static void drop_panel(void *worker)
{
    struct panel *p = worker;

    free(p->in);
    free(p->out);
    free(p->last);
    free(p->work);
}

static enum bm_dtype dtype_of(enum bm_sample type)
{
    return type == BM_SAMPLE_F16 ? BM_F16 : type == BM_SAMPLE_F64 ? BM_F64 : BM_F32;
}

/* Loads columns [first, first + n) of all rows. */
static void load_panel(const struct gather *g, struct panel *p, int64_t first, int64_t n)
{
    const size_t bytes = (size_t)n * g->from_size;
    uint32_t picked[BM_PANEL];

    for (int64_t i = 0; i < g->b->n; i++)
        memcpy((char *)p->in + (size_t)i * bytes, bm_pick(&g->pick, first, n, row_of(g, i), g->from_size, picked),
               bytes);
}

static int standardise_piece(void *self, void *worker, size_t k, const atomic_bool *stop, struct bm_error *err)
{
    struct gather *g = self;
    struct panel *p = worker;
    struct bm_standardise_found found;
    int64_t first = (int64_t)k * g->piece, left = g->b->ncolumns - first, n = left < g->piece ? left : g->piece;
    enum bm_dtype type = dtype_of(g->b->type);
    bool fits;

    (void)stop, (void)err;
    load_panel(g, p, first, n);
    bm_standardise(p->out, type, p->in, dtype_of(g->m->type), 1.0, 0.0, (size_t)g->b->n, (size_t)n, BM_ZSCORE, 1,
                   p->work, &found);
    fits = !found.overflow;
    for (int64_t i = 0; i < g->b->n; i++) {
        const char *samples = (const char *)p->out + (size_t)(i * n) * bm_dtype_size(type);

        if (g->b->type == BM_SAMPLE_BF16) {
            fits &= bm_convert(p->last, BM_SAMPLE_BF16, samples, BM_SAMPLE_F32, (size_t)n);
            samples = p->last;
        }
        put_part(g, i, first, samples, n);
    }
    if (!fits)
        atomic_store(&g->overflow, true);
    bm_put_fence();
    return 0;
}

int bm_gather_standardised(const struct bm_matrix *m, const struct bm_batch *b, const char *name, int threads,
                           struct bm_error *err)
{
    struct gather g;
    struct bm_tasks tasks = {.self = &g,
                             .worker_size = sizeof(struct panel),
                             .make = make_panel,
                             .drop = drop_panel,
                             .run = standardise_piece};
    int status = open_gather(&g, m, b, name, err);

    if (status == 0 && b->n < 2)
        status = bm_fail(err, BM_EUSAGE, "%s: a batch of %lld rows has no standard deviation; take larger batches",
                         name, (long long)b->n);
    if (status == 0) {
        g.piece = BM_PANEL;
        tasks.n = pieces_of(b->ncolumns, g.piece);
        status = bm_tasks_run(&tasks, threads, err);
    }
    return finish(&g, name, status, err);
}
