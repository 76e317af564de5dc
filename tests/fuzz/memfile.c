#include "memfile.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FD 0x40000000

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

static const unsigned char *bytes;
static size_t size, at;

void memfile_set(const void *data, size_t n)
{
    bytes = data;
    size = n;
}

int __wrap_open(const char *path, int flags, ...)
{
    va_list args;
    mode_t mode;

    if (strncmp(path, MEMFILE, sizeof MEMFILE - 1) == 0) {
        at = 0;
        return FD;
    }
    va_start(args, flags);
    mode = flags & O_CREAT ? va_arg(args, mode_t) : 0;
    va_end(args);
    return __real_open(path, flags, mode);
}

int __wrap_fstat(int fd, struct stat *st)
{
    if (fd != FD)
        return __real_fstat(fd, st);
    memset(st, 0, sizeof *st);
    st->st_mode = S_IFREG | 0444;
    st->st_size = (off_t)size;
    return 0;
}

off_t __wrap_lseek(int fd, off_t offset, int whence)
{
    if (fd != FD)
        return __real_lseek(fd, offset, whence);
    at = whence == SEEK_SET ? (size_t)offset : whence == SEEK_END ? size + (size_t)offset : at + (size_t)offset;
    return (off_t)at;
}

ssize_t __wrap_read(int fd, void *buf, size_t n)
{
    size_t left = at < size ? size - at : 0;

    if (fd != FD)
        return __real_read(fd, buf, n);
    n = n < left ? n : left;
    memcpy(buf, bytes + at, n);
    at += n;
    return (ssize_t)n;
}

int __wrap_close(int fd)
{
    return fd == FD ? 0 : __real_close(fd);
}

int __wrap_posix_fadvise(int fd, off_t offset, off_t length, int advice)
{
    return fd == FD ? 0 : __real_posix_fadvise(fd, offset, length, advice);
}
