/* Each system call of a call fails once, in a call of its own, and then all from there on; or is to be made again
 * (EINTR), or does a part of its work. The call must say so and leave no file behind, or end as it does without a
 * failure, with the same files. The linker leads system calls here: make/check.mk.
 */
#include "calls.h"
#include "io/commit.h"

#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <pthread.h>
#include <stdatomic.h>

const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libhdf5";
}

/* DENIED: folders may not be opened; UNFIT: they have no fsync; NOTHING: a write writes nothing. */
enum how { FAILS, FAILS_ON, AGAIN, PART, DENIED, UNFIT, NOTHING, HOWS };
static const char *const how_named[HOWS] = {
    "fails", "and all later ones fail", "is interrupted", "does a part", "denied", "unfit", "does nothing"};

static atomic_bool counting;
static atomic_long calls;
static long fails_at;
static enum how how;
static const char *failed;

/* Is this the call that is to go wrong? ways: the letters of those that it knows besides failing. */
static bool wrong(const char *name, const char *ways)
{
    static const int errors[HOWS] = {EIO, EIO, EINTR, 0, EACCES, EINVAL, 0};

    if (!atomic_load(&counting) || (how > FAILS_ON && !strchr(ways, "ffapdun"[how])))
        return false;
    const long n = atomic_fetch_add(&calls, 1) + 1;
    if (how == FAILS_ON ? n < fails_at : n != fails_at)
        return false;
    if (n == fails_at)
        failed = name;
    errno = errors[how];
    return true;
}

#define WRAP(type, name, params, args, failure)                                                                      \
    type __real_##name params;                                                                                       \
    type __wrap_##name params;                                                                                       \
    type __wrap_##name params                                                                                        \
    {                                                                                                                \
        return wrong(#name, "") ? (failure) : __real_##name args;                                                    \
    }

#define WRAP_TRANSFER(name, params, args, part, ways)                                                                \
    ssize_t __real_##name params;                                                                                    \
    ssize_t __wrap_##name params;                                                                                    \
    ssize_t __wrap_##name params                                                                                     \
    {                                                                                                                \
        if (!wrong(#name, n > 1 ? ways : "a"))                                                                       \
            return __real_##name args;                                                                               \
        return how == PART ? __real_##name part : how == NOTHING ? 0 : -1;                                           \
    }

WRAP(int, stat, (const char *restrict path, struct stat *restrict st), (path, st), -1)
WRAP(int, fstat, (int fd, struct stat *st), (fd, st), -1)
WRAP(int, rename, (const char *from, const char *to), (from, to), -1)
WRAP(int, mkdir, (const char *path, mode_t mode), (path, mode), -1)
WRAP(int, getentropy, (void *data, size_t n), (data, n), -1)
WRAP(locale_t, newlocale, (int mask, const char *name, locale_t base), (mask, name, base), (locale_t)0)
WRAP_TRANSFER(read, (int fd, void *data, size_t n), (fd, data, n), (fd, data, n / 2), "ap")
WRAP_TRANSFER(pread, (int fd, void *data, size_t n, off_t at), (fd, data, n, at), (fd, data, n / 2, at), "ap")
WRAP_TRANSFER(write, (int fd, const void *data, size_t n), (fd, data, n), (fd, data, n / 2), "apn")

static atomic_bool held, opened; /* outputs stop before they are opened; one got there */

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...)
{
    while (atomic_load(&held) && (flags & O_CREAT)) {
        atomic_store(&opened, true);
        (void)usleep(100);
    }
    return wrong("open", flags & O_DIRECTORY ? "d" : "") ? -1 : __real_open(path, flags, 0666);
}

/* Closes, and then says that it failed; an interrupted close has closed. */
int __real_close(int fd);
int __wrap_close(int fd);
int __wrap_close(int fd)
{
    const int status = __real_close(fd);
    return wrong("close", "a") ? -1 : status;
}

int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __wrap_fsync(int fd)
{
    const bool folder = fcntl(fd, F_GETFL) & O_DIRECTORY;

    return wrong("fsync", folder ? "u" : "") ? -1 : __real_fsync(fd);
}

int __real_pthread_create(pthread_t *restrict t, const pthread_attr_t *restrict attr, void *(*run)(void *),
                          void *restrict arg);
int __wrap_pthread_create(pthread_t *restrict t, const pthread_attr_t *restrict attr, void *(*run)(void *),
                          void *restrict arg);
int __wrap_pthread_create(pthread_t *restrict t, const pthread_attr_t *restrict attr, void *(*run)(void *),
                          void *restrict arg)
{
    return wrong("pthread_create", "") ? EAGAIN : __real_pthread_create(t, attr, run, arg);
}

/* ---- what is left ---- */

static uint32_t sum; /* of names and bytes of all outputs */
static size_t outputs;

static int add_output(const char *path, const struct stat *st, int what, struct FTW *at)
{
    const char *name = path + strlen(scratch_dir) + 1;
    size_t n = 0;
    unsigned char *bytes;

    (void)st;
    (void)at;
    if (what != FTW_F || (strncmp(name, "out", 3) != 0 && strncmp(name, "tree/", 5) != 0))
        return 0;
    bytes = get_file(path, &n);
    sum += (uint32_t)crc32_z(crc32_z(0, (const unsigned char *)name, strlen(name)), bytes, n);
    outputs++;
    free(bytes);
    return unlink(path);
}

/* Adds the outputs up and removes them. */
static uint32_t take_outputs(void)
{
    sum = 0;
    outputs = 0;
    (void)nftw(scratch_dir, add_output, 8, FTW_PHYS);
    return sum;
}

/* ---- tests ---- */

/* The call with the system call `at` going wrong. false: there are not so many. */
static bool one_fails(const struct call *call, long at, uint32_t want)
{
    struct bm_error err = {0};

    fails_at = at;
    atomic_store(&calls, 0);
    atomic_store(&counting, true);
    const int status = call->run(&err);
    atomic_store(&counting, false);
    if (temporaries_left())
        unit_fail("%s: %s %s: a temporary file is left", call->name, failed, how_named[how]);
    const uint32_t have = take_outputs();
    if (atomic_load(&calls) < at) {
        if (status || have != want)
            unit_fail("%s: without a failure: %s", call->name, err.text);
        return false;
    }
    if (status && how != FAILS && how != FAILS_ON && how != NOTHING)
        unit_fail("%s: %s %s: %s", call->name, failed, how_named[how], err.text);
    else if (status && (err.code == BM_OK || !err.text[0]))
        unit_fail("%s: %s %s: no message", call->name, failed, how_named[how]);
    else if (!status && have != want)
        unit_fail("%s: %s %s: status 0, but other files", call->name, failed, how_named[how]);
    return true;
}

static void each_fails(const struct call *call)
{
    struct bm_error err = {0};
    uint32_t want;

    (void)take_outputs();
    if (call->run(&err))
        unit_fail("%s: %s", call->name, err.text);
    want = take_outputs();
    for (how = FAILS; how < HOWS; how++) {
        for (long at = 1; one_fails(call, at, want); at++)
            ;
    }
}

static void all_calls(void)
{
    each_call(each_fails);
}

/* ---- ending while an output is made ---- */

static atomic_bool removed;
static bool gone; /* the temporary, once all have been removed */

static void *make_output(void *arg)
{
    struct bm_error err = {0};
    struct bm_commit *c = bm_commit_open(scratch("late"), &err);

    (void)arg;
    while (c && !atomic_load(&removed))
        (void)usleep(100);
    gone = c && access(bm_commit_temp(c), F_OK) != 0;
    bm_commit_drop(c);
    return NULL;
}

static void *remove_outputs(void *arg)
{
    (void)arg;
    bm_commit_remove_all();
    atomic_store(&removed, true);
    return NULL;
}

/* Who removes all temporaries waits for one that is just being made. */
static void ending_while_an_output_is_made(void)
{
    pthread_t maker, remover;

    atomic_store(&held, true);
    CHECK(pthread_create(&maker, NULL, make_output, NULL) == 0);
    while (!atomic_load(&opened))
        (void)usleep(100);
    CHECK(pthread_create(&remover, NULL, remove_outputs, NULL) == 0);
    (void)usleep(20000);
    CHECK(!atomic_load(&removed));
    atomic_store(&held, false);
    (void)pthread_join(remover, NULL);
    (void)pthread_join(maker, NULL);
    CHECK(atomic_load(&removed) && gone && !temporaries_left());
}

int main(void)
{
    static const struct unit_test all[] = {
        UNIT(put_inputs), UNIT(all_calls),
        UNIT(ending_while_an_output_is_made), /* the last: nothing can be opened after it */
    };

    return unit_main(all, COUNT(all));
}
