#include "memfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FD 0x40000000
#define FILES 2

int __real_open(const char *path, int flags, ...);
int __real_fstat(int fd, struct stat *st);
off_t __real_lseek(int fd, off_t offset, int whence);
ssize_t __real_read(int fd, void *buf, size_t n);
int __real_close(int fd);
int __real_posix_fadvise(int fd, off_t offset, off_t length, int advice);
int __wrap_open(const char *path, int flags, ...);
int __wrap_fstat(int fd, struct stat *st);
off_t __wrap_lseek(int fd, off_t offset, int whence);
ssize_t __wrap_read(int fd, void *buf, size_t n);
int __wrap_close(int fd);
int __wrap_posix_fadvise(int fd, off_t offset, off_t length, int advice);
int __wrap_access(const char *path, int mode);

static struct {
    const char *ending; /* of the other one */
    const unsigned char *bytes;
    size_t size, at;
} files[FILES];

static void set(int i, const char *ending, const void *data, size_t n)
{
    files[i].ending = ending;
    files[i].bytes = data;
    files[i].size = n;
    files[i].at = 0;
}

void memfile_set(const void *data, size_t size)
{
    set(0, NULL, data, size);
}

void memfile_set_other(const char *ending, const void *data, size_t size)
{
    set(1, ending, data, size);
}

static bool is_ours(const char *path)
{
    return strncmp(path, MEMFILE, sizeof MEMFILE - 1) == 0;
}

static bool is_file(int fd)
{
    return fd >= FD && fd < FD + FILES;
}

static int which(const char *path)
{
    const char *ending = files[1].ending;
    size_t n = strlen(path), m = ending ? strlen(ending) : 0;

    return m > 0 && n >= m && strcmp(path + n - m, ending) == 0;
}

int __wrap_open(const char *path, int flags, ...)
{
    va_list args;
    mode_t mode;

    if (is_ours(path)) {
        files[which(path)].at = 0;
        return FD + which(path);
    }
    va_start(args, flags);
    mode = flags & O_CREAT ? va_arg(args, mode_t) : 0;
    va_end(args);
    return __real_open(path, flags, mode);
}

int __wrap_fstat(int fd, struct stat *st)
{
    if (!is_file(fd))
        return __real_fstat(fd, st);
    memset(st, 0, sizeof *st);
    st->st_mode = S_IFREG | 0444;
    st->st_size = (off_t)files[fd - FD].size;
    return 0;
}

off_t __wrap_lseek(int fd, off_t offset, int whence)
{
    size_t from, *at;

    if (!is_file(fd))
        return __real_lseek(fd, offset, whence);
    at = &files[fd - FD].at;
    from = whence == SEEK_SET ? 0 : whence == SEEK_END ? files[fd - FD].size : *at;
    *at = from + (size_t)offset;
    return (off_t)*at;
}

ssize_t __wrap_read(int fd, void *buf, size_t n)
{
    size_t left;

    if (!is_file(fd))
        return __real_read(fd, buf, n);
    left = files[fd - FD].at < files[fd - FD].size ? files[fd - FD].size - files[fd - FD].at : 0;
    n = n < left ? n : left;
    if (n)
        memcpy(buf, files[fd - FD].bytes + files[fd - FD].at, n);
    files[fd - FD].at += n;
    return (ssize_t)n;
}

int __wrap_close(int fd)
{
    return is_file(fd) ? 0 : __real_close(fd);
}

int __wrap_posix_fadvise(int fd, off_t offset, off_t length, int advice)
{
    return is_file(fd) ? 0 : __real_posix_fadvise(fd, offset, length, advice);
}

int __wrap_access(const char *path, int mode)
{
    (void)mode;
    if (is_ours(path) && !strchr(path, ' '))
        return 0;
    errno = ENOENT;
    return -1;
}
