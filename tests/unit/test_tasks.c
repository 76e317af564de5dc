#include "core/tasks.h"
#include "unit.h"

#include <sched.h>
#include <unistd.h>

#define MOST 200

static struct {
    atomic_int done[MOST]; /* how often each task was done */
    atomic_int made, dropped, reports, inside;
    size_t fails_at; /* the task that fails */
    int together;    /* tasks that wait for each other, and fail then */
    bool make_fails, waits;
} seen;

struct worker {
    int zero, one;
};

static int make(void *self, void *worker, struct bm_error *err)
{
    struct worker *w = worker;

    if (self != &seen || w->zero || w->one)
        unit_fail("a worker's memory is not zero, or self is not self");
    w->one = 1;
    (void)atomic_fetch_add(&seen.made, 1);
    return seen.make_fails ? bm_fail(err, BM_EDATA, "make: failed; mend it") : 0;
}

static void drop(void *worker)
{
    struct worker *w = worker;

    if (w->one != 1)
        unit_fail("a worker is dropped that was not made");
    (void)atomic_fetch_add(&seen.dropped, 1);
}

static void progress(void *self)
{
    if (self != &seen)
        unit_fail("self is not self");
    (void)atomic_fetch_add(&seen.reports, 1);
}

static int run(void *self, void *worker, size_t i, const atomic_bool *stop, struct bm_error *err)
{
    if (self != &seen || (worker && ((struct worker *)worker)->one > 1))
        unit_fail("self is not self, or another's memory");
    (void)atomic_fetch_add(&seen.done[i], 1);
    while (seen.waits && atomic_load(&seen.reports) == 0)
        (void)sched_yield();
    if (seen.together) {
        (void)atomic_fetch_add(&seen.inside, 1);
        while (atomic_load(&seen.inside) < seen.together && !atomic_load(stop))
            (void)sched_yield();
        return bm_fail(err, BM_EDATA, "task %zu: failed; mend it", i);
    }
    return i == seen.fails_at ? bm_fail(err, BM_EDATA, "task %zu: failed; mend it", i) : 0;
}

static int perform(size_t n, int threads, bool whole, bool reports, struct bm_error *err)
{
    const struct bm_tasks tasks = {.self = &seen,
                                   .n = n,
                                   .worker_size = sizeof(struct worker),
                                   .make = whole ? make : NULL,
                                   .drop = whole ? drop : NULL,
                                   .run = run,
                                   .progress = reports ? progress : NULL};

    return bm_tasks_run(&tasks, threads, err);
}

static void forget(void)
{
    memset(&seen, 0, sizeof seen);
    seen.fails_at = MOST;
}

static int count_done(size_t n)
{
    int done = 0;

    for (size_t i = 0; i < n; i++)
        done += atomic_load(&seen.done[i]);
    return done;
}

static void each_task_is_done_once(void)
{
    static const size_t sizes[] = {0, 1, 2, 7, MOST};
    static const int threads[] = {1, 2, 3, BM_TASKS_MAX_THREADS, BM_TASKS_MAX_THREADS + 8};

    for (size_t k = 0; k < 4 * COUNT(sizes) * COUNT(threads); k++) {
        const size_t n = sizes[k / 4 % COUNT(sizes)];
        const int most = threads[k / 4 / COUNT(sizes)];
        const bool whole = k % 2, reports = k / 2 % 2;
        struct bm_error err = {0};

        forget();
        REQUIRE(perform(n, most, whole, reports, &err) == 0, &err);
        for (size_t i = 0; i < n; i++)
            CHECK_ROW(atomic_load(&seen.done[i]) == 1, k);
        CHECK_ROW(atomic_load(&seen.made) == atomic_load(&seen.dropped), k);
        CHECK_ROW(atomic_load(&seen.made) <= (whole ? BM_TASKS_MAX_THREADS : 0), k);
        CHECK_ROW(!whole || n == 0 || atomic_load(&seen.made) == (most < (int)n ? (most < 32 ? most : 32) : (int)n),
                  k);
        CHECK_ROW(reports || atomic_load(&seen.reports) == 0, k);
    }
}

/* Also where one thread would do: the calling one reports. */
static void progress_is_reported_meanwhile(void)
{
    for (int threads = 1; threads < 3; threads++) {
        struct bm_error err = {0};

        forget();
        seen.waits = true;
        REQUIRE(perform(3, threads, true, true, &err) == 0, &err);
        CHECK_ROW(count_done(3) == 3 && atomic_load(&seen.reports) > 0, threads);
    }
}

static void the_first_failure_stops_the_others(void)
{
    for (int threads = 1; threads <= 4; threads++)
        for (size_t at = 0; at < MOST; at += 67) {
            struct bm_error err = {0};
            char says[32];

            forget();
            seen.fails_at = at;
            CHECK_ROW(perform(MOST, threads, true, false, &err) == -1 && err.code == BM_EDATA, at);
            (void)snprintf(says, sizeof says, "task %zu: failed", at);
            CHECK_ERR_CONTAINS(&err, says);
            CHECK_ROW(threads > 1 || count_done(MOST) == (int)at + 1, at);
            CHECK_ROW(atomic_load(&seen.made) == atomic_load(&seen.dropped), at);
        }
}

/* Of two failures at a time one is told, whole. */
static void two_failures_at_a_time(void)
{
    for (int i = 0; i < 20; i++) {
        struct bm_error err = {0};

        forget();
        seen.together = 2;
        CHECK_ROW(perform(2, 2, true, false, &err) == -1 && err.code == BM_EDATA, i);
        CHECK_ROW(!strcmp(err.text, "task 0: failed; mend it") || !strcmp(err.text, "task 1: failed; mend it"), i);
        CHECK_ROW(count_done(2) == 2 && atomic_load(&seen.dropped) == 2, i);
    }
}

static void workers_that_cannot_be_made(void)
{
    for (int threads = 1; threads <= 3; threads++) {
        struct bm_error err = {0};

        forget();
        seen.make_fails = true;
        CHECK_ROW(perform(9, threads, true, false, &err) == -1, threads);
        CHECK_ERR_CONTAINS(&err, "make: failed");
        CHECK_ROW(count_done(9) == 0 && atomic_load(&seen.made) == atomic_load(&seen.dropped), threads);
    }
}

int main(void)
{
    static const struct unit_test all[] = {
        UNIT(each_task_is_done_once), UNIT(progress_is_reported_meanwhile), UNIT(the_first_failure_stops_the_others),
        UNIT(two_failures_at_a_time), UNIT(workers_that_cannot_be_made),
    };

    (void)alarm(120); /* a deadlock ends here */
    return unit_main(all, COUNT(all));
}
