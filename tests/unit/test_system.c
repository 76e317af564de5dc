/* Each system call of a call fails once, in a call of its own, and then all from there on; or is to be made again
 * (EINTR), or does a part of its work. The call must say so and leave no file behind, or end as it does without a
 * failure, with the same files. The linker leads system calls here: rules/check.mk.
 */
#include "calls.h"

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

enum how { FAILS, FAILS_ON, AGAIN, PART };
static const char *const how_named[] = {"fails", "and all later ones fail", "is interrupted", "does a part"};

static atomic_bool counting;
static atomic_long calls;
static long fails_at;
static enum how how;
static const char *failed;

/* Is this the call that is to go wrong in one of these ways? */
static bool wrong(const char *name, bool may_again, bool may_part)
{
    if (!atomic_load(&counting) || (how == AGAIN && !may_again) || (how == PART && !may_part))
        return false;
    const long n = atomic_fetch_add(&calls, 1) + 1;
    if (how == FAILS_ON ? n < fails_at : n != fails_at)
        return false;
    if (n == fails_at)
        failed = name;
    errno = how == AGAIN ? EINTR : EIO;
    return true;
}

#define WRAP(type, name, params, args, failure)                                                                      \
    type __real_##name params;                                                                                       \
    type __wrap_##name params;                                                                                       \
    type __wrap_##name params                                                                                        \
    {                                                                                                                \
        return wrong(#name, false, false) ? (failure) : __real_##name args;                                          \
    }

#define WRAP_TRANSFER(name, params, args, part)                                                                      \
    ssize_t __real_##name params;                                                                                    \
    ssize_t __wrap_##name params;                                                                                    \
    ssize_t __wrap_##name params                                                                                     \
    {                                                                                                                \
        if (!wrong(#name, true, n > 1))                                                                              \
            return __real_##name args;                                                                               \
        return how == PART ? __real_##name part : -1;                                                                \
    }

WRAP(int, stat, (const char *restrict path, struct stat *restrict st), (path, st), -1)
WRAP(int, fstat, (int fd, struct stat *st), (fd, st), -1)
WRAP(int, fsync, (int fd), (fd), -1)
WRAP(int, rename, (const char *from, const char *to), (from, to), -1)
WRAP(int, mkdir, (const char *path, mode_t mode), (path, mode), -1)
WRAP(int, getentropy, (void *data, size_t n), (data, n), -1)
WRAP(locale_t, newlocale, (int mask, const char *name, locale_t base), (mask, name, base), (locale_t)0)
WRAP_TRANSFER(read, (int fd, void *data, size_t n), (fd, data, n), (fd, data, n / 2))
WRAP_TRANSFER(write, (int fd, const void *data, size_t n), (fd, data, n), (fd, data, n / 2))

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...)
{
    return wrong("open", false, false) ? -1 : __real_open(path, flags, 0666);
}

/* Closes, and then says that it failed; an interrupted close has closed. */
int __real_close(int fd);
int __wrap_close(int fd);
int __wrap_close(int fd)
{
    const int status = __real_close(fd);
    return wrong("close", true, false) ? -1 : status;
}

int __real_pthread_create(pthread_t *restrict t, const pthread_attr_t *restrict attr, void *(*run)(void *),
                          void *restrict arg);
int __wrap_pthread_create(pthread_t *restrict t, const pthread_attr_t *restrict attr, void *(*run)(void *),
                          void *restrict arg);
int __wrap_pthread_create(pthread_t *restrict t, const pthread_attr_t *restrict attr, void *(*run)(void *),
                          void *restrict arg)
{
    return wrong("pthread_create", false, false) ? EAGAIN : __real_pthread_create(t, attr, run, arg);
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
    if (status && how != FAILS && how != FAILS_ON)
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
    for (how = FAILS; how <= PART; how++) {
        for (long at = 1; one_fails(call, at, want); at++)
            ;
    }
}

static void all_calls(void)
{
    each_call(each_fails);
}

int main(void)
{
    static const struct unit_test all[] = {UNIT(put_inputs), UNIT(all_calls)};

    return unit_main(all, COUNT(all));
}
