#include "core/pump.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* A ring of tiles. A tile goes EMPTY -> (reader) READ -> (worker) BUSY -> DONE -> (writer) EMPTY. The reader fills
 * slots in order, workers take them in order, the writer empties them in order. */
enum state { EMPTY, READ, BUSY, DONE };

struct slot {
    struct bm_tile tile;
    enum state state;
};

struct ring {
    struct bm_source *src;
    struct bm_sink *sink;
    const struct bm_op *op;
    struct bm_run run; /* as the op makes it: the source's run is not touched */
    pthread_mutex_t lock;
    pthread_cond_t filled, worked, emptied;
    struct slot *slots;
    size_t nslots;
    size_t next_work; /* count of tiles of this run */
    size_t total;     /* tiles read in all, once `all_read` */
    bool all_read, stop;
    struct bm_error err; /* the first failure of any thread; under lock */
};

static void fail_ring(struct ring *r, const struct bm_error *err)
{
    pthread_mutex_lock(&r->lock);
    if (r->err.code == BM_OK)
        r->err = *err;
    r->stop = true;
    pthread_cond_broadcast(&r->filled);
    pthread_cond_broadcast(&r->worked);
    pthread_cond_broadcast(&r->emptied);
    pthread_mutex_unlock(&r->lock);
}

static void end_of_tiles(struct ring *r, size_t total)
{
    pthread_mutex_lock(&r->lock);
    r->all_read = true;
    r->total = total;
    pthread_cond_broadcast(&r->filled);
    pthread_cond_broadcast(&r->worked);
    pthread_mutex_unlock(&r->lock);
}

/* Waits until `slot` has `state` or the pump stops. The lock is held on entry and return. */
static bool wait_state(struct ring *r, const struct slot *slot, enum state state, pthread_cond_t *cond)
{
    while (!r->stop && slot->state != state)
        pthread_cond_wait(cond, &r->lock);
    return !r->stop;
}

static void *reader(void *arg)
{
    struct ring *r = arg;
    struct bm_error err = {0};

    for (size_t n = 0;; n++) {
        struct slot *slot = &r->slots[n % r->nslots];
        bool go;
        int got;

        pthread_mutex_lock(&r->lock);
        go = wait_state(r, slot, EMPTY, &r->emptied);
        pthread_mutex_unlock(&r->lock);
        if (!go)
            return NULL;
        got = r->src->next_tile(r->src, &slot->tile, &err);
        if (got < 0)
            fail_ring(r, &err);
        else if (got == 0)
            end_of_tiles(r, n);
        if (got <= 0)
            return NULL;
        pthread_mutex_lock(&r->lock);
        slot->state = READ;
        pthread_cond_signal(&r->filled);
        pthread_mutex_unlock(&r->lock);
    }
}

static int process(struct ring *r, struct bm_tile *tile, struct bm_error *err)
{
    if (r->src->decode && r->src->decode(r->src, tile, err))
        return -1;
    if (r->op->tile && r->op->tile(r->op->self, &r->run, tile, err))
        return -1;
    return r->sink->encode ? r->sink->encode(r->sink, tile, err) : 0;
}

/* The next tile to work on, marked BUSY, or NULL when there will be none. */
static struct slot *take_work(struct ring *r)
{
    struct slot *slot = NULL;

    pthread_mutex_lock(&r->lock);
    for (;;) {
        struct slot *next = &r->slots[r->next_work % r->nslots];

        if (r->stop || (r->all_read && r->next_work >= r->total))
            break;
        if (next->state == READ) {
            next->state = BUSY;
            r->next_work++;
            slot = next;
            break;
        }
        pthread_cond_wait(&r->filled, &r->lock);
    }
    pthread_mutex_unlock(&r->lock);
    return slot;
}

static void *worker(void *arg)
{
    struct ring *r = arg;
    struct bm_error err = {0};
    struct slot *slot;

    while ((slot = take_work(r))) {
        if (process(r, &slot->tile, &err)) {
            fail_ring(r, &err);
            break;
        }
        pthread_mutex_lock(&r->lock);
        slot->state = DONE;
        pthread_cond_broadcast(&r->worked);
        pthread_mutex_unlock(&r->lock);
    }
    return NULL;
}

/* Writes the tiles of one run in order, in the calling thread. */
static void write_tiles(struct ring *r)
{
    struct bm_error err = {0};

    for (size_t n = 0;; n++) {
        struct slot *slot = &r->slots[n % r->nslots];
        bool have;

        pthread_mutex_lock(&r->lock);
        while (!r->stop && slot->state != DONE && !(r->all_read && n >= r->total))
            pthread_cond_wait(&r->worked, &r->lock);
        have = !r->stop && slot->state == DONE;
        pthread_mutex_unlock(&r->lock);
        if (!have)
            return;
        if (r->sink->put_tile(r->sink, &slot->tile, &err)) {
            fail_ring(r, &err);
            return;
        }
        if (r->op->progress)
            r->op->progress(r->op->self, &r->run, n + 1);
        pthread_mutex_lock(&r->lock);
        slot->state = EMPTY;
        pthread_cond_signal(&r->emptied);
        pthread_mutex_unlock(&r->lock);
    }
}

static int start_threads(struct ring *r, pthread_t *threads, size_t n, size_t *started, struct bm_error *err)
{
    for (*started = 0; *started < n; ++*started) {
        if (pthread_create(&threads[*started], NULL, *started ? worker : reader, r))
            return bm_fail(err, BM_ESYS, "threads: cannot start one; use fewer --threads");
    }
    return 0;
}

static int pump_tiles(struct ring *r, pthread_t *threads, size_t nthreads, struct bm_error *err)
{
    struct bm_error start = {0};
    size_t started;

    r->next_work = r->total = 0;
    r->all_read = false;
    for (size_t i = 0; i < r->nslots; i++)
        r->slots[i].state = EMPTY;
    if (start_threads(r, threads, nthreads, &started, &start))
        fail_ring(r, &start);
    else
        write_tiles(r);
    for (size_t i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
    if (r->err.code != BM_OK)
        *err = r->err;
    return r->stop ? -1 : 0;
}

/* The counts that the source has added while its tiles passed. */
static void take_counts(struct bm_run *run, const struct bm_run *from)
{
    memcpy(run->counts, from->counts, sizeof from->counts);
    run->ncounts = from->ncounts;
}

static int pump_run(struct ring *r, const struct bm_run *from, pthread_t *threads, size_t nthreads,
                    struct bm_error *err)
{
    if (r->op->begin && r->op->begin(r->op->self, &r->run, err))
        return -1;
    if (r->sink->begin_run(r->sink, &r->run, err) || pump_tiles(r, threads, nthreads, err))
        return -1;
    take_counts(&r->run, from);
    if (r->op->end && r->op->end(r->op->self, &r->run, err))
        return -1;
    return r->sink->end_run(r->sink, &r->run, err);
}

static int pump_runs(struct ring *r, pthread_t *threads, size_t nthreads, struct bm_error *err)
{
    const struct bm_run *from;
    int got;

    while ((got = r->src->next_run(r->src, &from, err)) > 0) {
        int status = bm_run_copy(&r->run, from, err) ? -1 : pump_run(r, from, threads, nthreads, err);

        bm_run_clear(&r->run);
        if (status)
            return -1;
    }
    return got == 0 && r->op->done ? r->op->done(r->op->self, err) : got;
}

int bm_pump(struct bm_source *src, const struct bm_op *op, struct bm_sink *sink, int threads, struct bm_error *err)
{
    struct ring r = {.src = src, .sink = sink, .op = op};
    size_t nthreads = 1 + (size_t)threads;
    pthread_t *ids = bm_calloc(nthreads, sizeof *ids, "threads", err);
    int status = -1;

    sink->threads = threads;
    r.nslots = (size_t)threads + 2; /* one being read, one being written, the others at work */
    r.slots = bm_calloc(r.nslots, sizeof *r.slots, "tiles", err);
    pthread_mutex_init(&r.lock, NULL);
    pthread_cond_init(&r.filled, NULL);
    pthread_cond_init(&r.worked, NULL);
    pthread_cond_init(&r.emptied, NULL);
    if (ids && r.slots)
        status = pump_runs(&r, ids, nthreads, err);
    pthread_cond_destroy(&r.emptied);
    pthread_cond_destroy(&r.worked);
    pthread_cond_destroy(&r.filled);
    pthread_mutex_destroy(&r.lock);
    for (size_t i = 0; r.slots && i < r.nslots; i++)
        bm_tile_free(&r.slots[i].tile);
    free(r.slots);
    free(ids);
    return status;
}
