/* Tasks: independent pieces of work over a few threads, taken in order. What they make must not depend on which
 * thread makes it. */
#ifndef BM_CORE_TASKS_H
#define BM_CORE_TASKS_H

#include "core/error.h"

#include <stdatomic.h>
#include <stddef.h>

#define BM_TASKS_MAX_THREADS 32 /* more are not started */

struct bm_tasks {
    void *self;
    size_t n;
    /* One worker's own memory, zeroed, made and freed by its thread; drop is called also where make failed half-way.
     * Either may be NULL. */
    size_t worker_size;
    int (*make)(void *self, void *worker, struct bm_error *err);
    void (*drop)(void *worker);
    /* Task i; may look at *stop now and then, and return -1 without an error once it is set. */
    int (*run)(void *self, void *worker, size_t i, const atomic_bool *stop, struct bm_error *err);
    /* Called by the calling thread five times a second; may be NULL. */
    void (*progress)(void *self);
};

/* Runs all tasks. The first failure stops the others. Returns when no thread is left. One thread is the calling one,
 * unless it has progress to report. */
int bm_tasks_run(const struct bm_tasks *tasks, int threads, struct bm_error *err) BM_MUST_USE;

#endif
