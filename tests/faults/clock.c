/* A machine whose clock jumps, for the processes that load this: LD_PRELOAD=clock.so CLOCK_FILE=FILE. FILE holds by
 * how many seconds the clock is off; who writes another number into it makes the clock jump, for all of them at once.
 * What they write and touch gets its time by that clock, as a file system would give it. Clocks that only count, such
 * as CLOCK_MONOTONIC, stay as they are.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long offset(void)
{
    const char *path = getenv("CLOCK_FILE");
    const long fd = path ? syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC) : -1;
    char text[32] = "";

    if (fd < 0)
        return 0;
    (void)!syscall(SYS_read, fd, text, sizeof text - 1);
    (void)syscall(SYS_close, fd);
    return atol(text);
}

int clock_gettime(clockid_t which, struct timespec *t)
{
    const int status = (int)syscall(SYS_clock_gettime, which, t);

    if (which == CLOCK_REALTIME || which == CLOCK_REALTIME_COARSE)
        t->tv_sec += offset();
    return status;
}

int gettimeofday(struct timeval *restrict t, void *restrict zone)
{
    struct timespec now;

    (void)zone;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    *t = (struct timeval){now.tv_sec, now.tv_nsec / 1000};
    return 0;
}

time_t time(time_t *out)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    if (out)
        *out = now.tv_sec;
    return now.tv_sec;
}

/* ---- times of files ---- */

static void now_for(struct timespec *t)
{
    if (t->tv_nsec == UTIME_NOW)
        (void)clock_gettime(CLOCK_REALTIME, t);
}

static int set_times(int dir, const char *path, const struct timespec times[2], int flags)
{
    struct timespec chosen[2] = {{0, UTIME_NOW}, {0, UTIME_NOW}};

    for (int i = 0; i < 2; i++) {
        chosen[i] = times ? times[i] : chosen[i];
        now_for(&chosen[i]);
    }
    return (int)syscall(SYS_utimensat, dir, path, chosen, flags);
}

int utimensat(int dir, const char *path, const struct timespec times[2], int flags)
{
    return set_times(dir, path, times, flags);
}

int futimens(int fd, const struct timespec times[2])
{
    return set_times(fd, NULL, times, 0);
}

/* What was open for writing is taken for written to. */
int close(int fd)
{
    const int flags = fcntl(fd, F_GETFL);
    struct stat st;

    if (flags >= 0 && (flags & O_ACCMODE) != O_RDONLY && fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
        (void)futimens(fd, NULL);
    return (int)syscall(SYS_close, fd);
}
