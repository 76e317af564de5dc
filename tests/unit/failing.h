/* Lets allocations and starts of threads fail on purpose. The linker leads them here (make/check.mk), so a program
 * that includes this needs its flags.
 */
#ifndef BM_UNIT_FAILING_H
#define BM_UNIT_FAILING_H

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

/* Calls of one kind: how many were made, and which fails. */
struct failing {
    atomic_long made;
    long at; /* the how-manieth fails; 0: none */
    bool on; /* all later ones too */
};

static struct failing allocations, threads_started;

static bool fails(struct failing *f)
{
    const long n = atomic_fetch_add(&f->made, 1) + 1;

    return f->at && (f->on ? n >= f->at : n == f->at);
}

static void fail_from(struct failing *f, long at, bool on)
{
    f->at = at;
    f->on = on;
    atomic_store(&f->made, 0);
}

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *old, size_t n);
void *__real_aligned_alloc(size_t alignment, size_t n);
int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*start)(void *), void *arg);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *old, size_t n);
void *__wrap_aligned_alloc(size_t alignment, size_t n);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*start)(void *), void *arg);

void *__wrap_malloc(size_t n)
{
    return fails(&allocations) ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return fails(&allocations) ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *old, size_t n)
{
    return fails(&allocations) ? NULL : __real_realloc(old, n);
}

void *__wrap_aligned_alloc(size_t alignment, size_t n)
{
    return fails(&allocations) ? NULL : __real_aligned_alloc(alignment, n);
}

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*start)(void *), void *arg)
{
    return fails(&threads_started) ? EAGAIN : __real_pthread_create(thread, attr, start, arg);
}

#endif
