#include "core/tasks.h"

#include "core/mem.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

#define TICK 200000000 /* nanoseconds between two reports of progress */

struct crew {
    const struct bm_tasks *tasks;
    atomic_size_t next;
    atomic_bool stop;
    pthread_mutex_t lock; /* for what follows */
    pthread_cond_t left;
    size_t working;
    struct bm_error err;
};

static int work(struct crew *crew, struct bm_error *err)
{
    const struct bm_tasks *t = crew->tasks;
    void *worker = bm_calloc(1, t->worker_size, "worker", err);
    int rc = !worker ? -1 : t->make ? t->make(t->self, worker, err) : 0;
    size_t i;

    while (rc == 0 && !atomic_load(&crew->stop) && (i = atomic_fetch_add(&crew->next, 1)) < t->n)
        rc = t->run(t->self, worker, i, &crew->stop, err);
    if (worker && t->drop)
        t->drop(worker);
    free(worker);
    return rc;
}

static void *thread_main(void *arg)
{
    struct crew *crew = arg;
    struct bm_error err = {0};
    int rc = work(crew, &err);

    (void)pthread_mutex_lock(&crew->lock);
    if (rc < 0 && !atomic_exchange(&crew->stop, true))
        crew->err = err;
    crew->working--;
    (void)pthread_cond_signal(&crew->left);
    (void)pthread_mutex_unlock(&crew->lock);
    return NULL;
}

static void wait_for_all(struct crew *crew)
{
    (void)pthread_mutex_lock(&crew->lock);
    while (crew->working > 0) {
        struct timespec until;

        (void)clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += TICK;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        (void)pthread_cond_timedwait(&crew->left, &crew->lock, &until);
        if (crew->tasks->progress)
            crew->tasks->progress(crew->tasks->self);
    }
    (void)pthread_mutex_unlock(&crew->lock);
}

int bm_tasks_run(const struct bm_tasks *tasks, int threads, struct bm_error *err)
{
    struct crew crew = {.tasks = tasks};
    pthread_t ids[BM_TASKS_MAX_THREADS];
    size_t wanted = threads < BM_TASKS_MAX_THREADS ? (size_t)threads : BM_TASKS_MAX_THREADS, started = 0;

    wanted = wanted < tasks->n ? wanted : tasks->n;
    if (wanted == 1 && !tasks->progress)
        return work(&crew, err);
    (void)pthread_mutex_init(&crew.lock, NULL);
    (void)pthread_cond_init(&crew.left, NULL);
    crew.working = wanted;
    while (started < wanted && pthread_create(&ids[started], NULL, thread_main, &crew) == 0)
        started++;
    (void)pthread_mutex_lock(&crew.lock);
    crew.working -= wanted - started;
    (void)pthread_mutex_unlock(&crew.lock);
    wait_for_all(&crew);
    for (size_t i = 0; i < started; i++)
        (void)pthread_join(ids[i], NULL);
    (void)pthread_cond_destroy(&crew.left);
    (void)pthread_mutex_destroy(&crew.lock);
    if (wanted > 0 && started == 0)
        return bm_fail(err, BM_ESYS, "threads: none could be started; allow this user more processes");
    if (atomic_load(&crew.stop))
        *err = crew.err;
    return atomic_load(&crew.stop) ? -1 : 0;
}
