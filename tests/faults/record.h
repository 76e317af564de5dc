/* For shim.c: a record of what was done to files. FAULT_LOG (see there) gets a line for each operation,
 * FAULT_LOG.data the bytes written, one behind the other. */
#ifndef RECORD_H
#define RECORD_H

static FILE *log_file, *log_data;
static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;

static void open_log(const char *path)
{
    char data[4096];

    if (!path)
        return;
    (void)snprintf(data, sizeof data, "%s.data", path);
    log_file = fopen(path, "w");
    log_data = fopen(data, "w");
}

__attribute__((format(printf, 1, 2))) static void log_line(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)vfprintf(log_file, format, args);
    va_end(args);
    (void)fputc('\n', log_file);
    (void)fflush(log_file);
}

/* How a call on an open file ended: "write", "truncate" or "sync". offset < 0: where the file stands now is its end.
 */
static void log_fd(const char *what, int fd, const void *data, ssize_t n, off_t offset)
{
    const int why = errno;
    struct stat st;

    if (!log_file || n < 0 || fstatat(fd, "", &st, AT_EMPTY_PATH))
        return;
    (void)pthread_mutex_lock(&log_lock);
    if (data && offset < 0)
        offset = (off_t)syscall(SYS_lseek, fd, 0, SEEK_CUR) - n;
    if (data)
        (void)fwrite(data, 1, (size_t)n, log_data), (void)fflush(log_data);
    if (data)
        log_line("%s %llu %lld %zd", what, (unsigned long long)st.st_ino, (long long)offset, n);
    else
        log_line("%s %llu %lld", what, (unsigned long long)st.st_ino, (long long)offset);
    (void)pthread_mutex_unlock(&log_lock);
    errno = why;
}

static void log_create(int fd, const char *path)
{
    struct stat st;

    if (log_file && fd >= 0 && fstatat(fd, "", &st, AT_EMPTY_PATH) == 0)
        log_line("create %llu %s", (unsigned long long)st.st_ino, path);
}

#endif
