/* Makes system calls and allocations of a program fail on purpose: LD_PRELOAD=shim.so.
 *
 *   FAULT_CALL   which: open read write fsync close finish rename mmap truncate mkdir stat alloc; a call counts under
 * the first name of its family (pread under read, openat under open, lseek under stat, ...); finish is the close of a
 * file that was open for writing; "any" counts them all, but stat and alloc FAULT_AT     the how-manieth such call of
 * the process, from 1; 0 (or no FAULT_CALL): none fails, all are counted FAULT_HOW    an errno (EIO, ENOSPC, EINTR,
 * EDQUOT, EMFILE, ENOMEM), "short" (half of a read or write), "changed" (a write of other bytes), or "kill" (SIGKILL
 * in its place), or "stop" (SIGSTOP before it; it goes on as if nothing had been) FAULT_LASTS  set: every such call
 * from there on fails too FAULT_UNDER a folder: only calls on files below it count FAULT_CODE   end of the name of a
 * library whose allocations count; without it those of the program FAULT_LOG    a file that gets what was done to
 * files, a line each: "create INODE PATH", "write INODE OFFSET BYTES", "truncate INODE LENGTH", "sync INODE", "rename
 * FROM\tTO", "unlink PATH", "mkdir PATH"; the bytes written are in FAULT_LOG.data, one behind the other FAULT_COUNT
 * a file that gets the counts when the process ends, a line "NAME COUNT" each, and as "unsynced" how many files were
 * renamed with something written but not synchronised, and how many folders were not synchronised after a name in
 * them was made or changed FAULT_SERVER "IN,OUT", two pipes: the process waits before its main() for lines "CALL AT
 * HOW LASTS" on IN (LASTS is 0 or 1), goes on as a fork of itself with each, and writes how that ended (as waitpid
 * has it) to OUT. Ends with IN. A run of a minute is ended by SIGALRM. FAULT_LATER set: it does so when it calls
 * fault_serve() FAULT_ALONE  set: what the program starts has no faults FAULT_SITES  a file that gets a line "CALL N
 * SITE" for each call that counts: N is its number, and SITE is the same for calls that the same chain of the
 * program's own functions made
 *
 * Only calls on files count: pipes, terminals and sockets pass, and so does what the dynamic linker and the C library
 * do among themselves (it does not go through here). Of allocations only those count that the program's own code
 * makes, not those of the libraries.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "record.h"

enum call { OPEN, READ, WRITE, FSYNC, CLOSE, FINISH, RENAME, MMAP, TRUNCATE, MKDIR, STAT, ALLOC, CALLS };
static const char *const names[CALLS] = {"open",   "read", "write",    "fsync", "close", "finish",
                                         "rename", "mmap", "truncate", "mkdir", "stat",  "alloc"};

static atomic_long counts[CALLS], total;
static int wanted = -1; /* CALLS: any */
static long at;
static bool lasts, ready, short_counts, changes, kills, stops;
static int error;
static const char *under;
static uintptr_t code_first, code_end; /* of the program itself, or of FAULT_CODE */

static int find_code(struct dl_phdr_info *info, size_t size, void *wanted_end)
{
    const char *end = wanted_end;
    size_t n = strlen(info->dlpi_name), m = end ? strlen(end) : 0;

    (void)size;
    if (end && (n < m || strcmp(info->dlpi_name + n - m, end) != 0))
        return 0;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *p = &info->dlpi_phdr[i];

        if (p->p_type == PT_LOAD && (p->p_flags & PF_X)) {
            code_first = info->dlpi_addr + p->p_vaddr;
            code_end = code_first + p->p_memsz;
        }
    }
    return 1; /* the first of all is the program */
}

static void set_how(const char *how)
{
    static const struct {
        const char *name;
        int value;
    } errors[] = {{"EIO", EIO},       {"ENOSPC", ENOSPC}, {"EINTR", EINTR},
                  {"EDQUOT", EDQUOT}, {"EMFILE", EMFILE}, {"ENOMEM", ENOMEM}};

    error = EIO;
    short_counts = !strcmp(how, "short");
    changes = !strcmp(how, "changed");
    kills = !strcmp(how, "kill");
    stops = !strcmp(how, "stop");
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        if (!strcmp(how, errors[i].name))
            error = errors[i].value;
    }
}

static void set_fault(const char *call, long place, const char *how, bool is_lasting)
{
    for (int i = 0; call && i < CALLS; i++) {
        if (!strcmp(call, names[i]))
            wanted = i;
    }
    if (call && !strcmp(call, "any"))
        wanted = CALLS;
    at = place;
    lasts = is_lasting;
    set_how(how ? how : "EIO");
}

#define LONGEST_RUN 60 /* seconds */

/* Returns in each child, with its fault. */
void fault_serve(void);
void fault_serve(void)
{
    const char *pipes = getenv("FAULT_SERVER");
    char line[128], call[16], how[16];
    int in, out, status, is_lasting;
    long place;
    FILE *orders;

    if (!pipes || sscanf(pipes, "%d,%d", &in, &out) != 2 || !(orders = fdopen(in, "r")))
        return;
    while (fgets(line, sizeof line, orders)) {
        pid_t child = fork();

        if (child == 0) {
            (void)fclose(orders);
            (void)close(out);
            if (sscanf(line, "%15s %ld %15s %d", call, &place, how, &is_lasting) != 4)
                abort();
            memset(counts, 0, sizeof counts);
            total = 0;
            set_fault(call, place, how, is_lasting != 0);
            (void)alarm(LONGEST_RUN);
            return;
        }
        if (child < 0 || waitpid(child, &status, 0) != child || dprintf(out, "%d\n", status) < 0)
            _exit(1);
    }
    _exit(0);
}

/* ---- who calls ---- */

#define DEEPEST 24
static FILE *sites;

static void open_sites(const char *path)
{
    void *frame;

    if (!path)
        return;
    (void)backtrace(&frame, 1); /* loads what it needs */
    sites = fopen(path, "w");
}

static void log_site(enum call call, long n)
{
    const int why = errno;
    void *frames[DEEPEST];
    int depth = backtrace(frames, DEEPEST);
    uint64_t site = 14695981039346656037u;

    for (int i = 0; i < depth; i++) {
        uintptr_t place = (uintptr_t)frames[i];

        if (place >= code_first && place < code_end)
            site = (site ^ (place - code_first)) * 1099511628211u;
    }
    (void)fprintf(sites, "%s %ld %016llx\n", names[call], n, (unsigned long long)site);
    errno = why;
}

__attribute__((constructor)) static void start(void)
{
    const char *place = getenv("FAULT_AT");

    (void)dl_iterate_phdr(find_code, getenv("FAULT_CODE"));
    under = getenv("FAULT_UNDER");
    open_log(getenv("FAULT_LOG"));
    open_sites(getenv("FAULT_SITES"));
    if (getenv("FAULT_ALONE"))
        (void)unsetenv("LD_PRELOAD");
    set_fault(getenv("FAULT_CALL"), place ? atol(place) : 0, getenv("FAULT_HOW"), getenv("FAULT_LASTS") != NULL);
    if (!getenv("FAULT_LATER"))
        fault_serve();
    ready = true;
}

/* ---- what is not on the disk yet ---- */

/* The real ones: those of this file count and fail. */
static int real_fstat(int fd, struct stat *st)
{
    return fstatat(fd, "", st, AT_EMPTY_PATH);
}

#define MOST_DIRTY 256
static struct dirty {
    dev_t dev;
    ino_t ino;
    bool folder;
} dirty[MOST_DIRTY];
static int ndirty;
static long unsynced;
static pthread_mutex_t dirty_lock = PTHREAD_MUTEX_INITIALIZER;

/* Notes that the file has something to synchronise, or has nothing any more. Had it before? */
static bool set_dirty(const struct stat *st, bool now)
{
    bool before = false;
    int i = 0;

    pthread_mutex_lock(&dirty_lock);
    while (i < ndirty && (dirty[i].dev != st->st_dev || dirty[i].ino != st->st_ino))
        i++;
    before = i < ndirty;
    if (before && !now)
        dirty[i] = dirty[--ndirty];
    if (!before && now && ndirty < MOST_DIRTY)
        dirty[ndirty++] = (struct dirty){st->st_dev, st->st_ino, S_ISDIR(st->st_mode)};
    pthread_mutex_unlock(&dirty_lock);
    return before;
}

static void wrote(int fd)
{
    struct stat st;

    if (real_fstat(fd, &st) == 0)
        (void)set_dirty(&st, true);
}

static void synced(int fd)
{
    struct stat st;

    if (real_fstat(fd, &st) == 0)
        (void)set_dirty(&st, false);
}

/* The folder of a name that was made or changed has something to synchronise. */
static void folder_changed(const char *path)
{
    const char *slash = strrchr(path, '/');
    char folder[4096] = ".";
    struct stat st;

    if (slash && (size_t)(slash - path) + 1 < sizeof folder) {
        memcpy(folder, path, (size_t)(slash - path) + 1);
        folder[slash - path + 1] = 0;
    }
    if (fstatat(AT_FDCWD, folder, &st, 0) == 0)
        (void)set_dirty(&st, true);
}

/* A file that is renamed must be on the disk. */
static void renamed(const char *to)
{
    struct stat st;

    if (fstatat(AT_FDCWD, to, &st, 0) == 0 && set_dirty(&st, false))
        unsynced++;
    folder_changed(to);
}

__attribute__((destructor)) static void tell(void)
{
    const char *path = getenv("FAULT_COUNT");
    FILE *f;

    ready = false;
    f = path ? fopen(path, "w") : NULL;
    for (int i = 0; f && i < CALLS; i++)
        (void)fprintf(f, "%s %ld\n", names[i], (long)counts[i]);
    for (int i = 0; i < ndirty; i++)
        unsynced += dirty[i].folder;
    if (f)
        (void)fprintf(f, "unsynced %ld\n", unsynced);
    if (f)
        (void)fclose(f);
}

/* Counts the call; true: it is to fail, with errno set. */
static bool fails(enum call call)
{
    long n = ++counts[call];

    if (sites)
        log_site(call, n);
    if (wanted == CALLS && call != ALLOC && call != STAT)
        n = ++total;
    else if (wanted != (int)call)
        return false;
    if (at == 0 || (lasts ? n < at : n != at))
        return false;
    if (kills)
        (void)raise(SIGKILL);
    if (stops) {
        (void)kill(getpid(), SIGSTOP);
        return false;
    }
    errno = error;
    return !short_counts && !changes;
}

/* Is this the call that is not to fail, but to be cut short or to write something else? */
static bool is_here(enum call call)
{
    long n = wanted == CALLS ? (long)total : (long)counts[call];

    return (wanted == (int)call || wanted == CALLS) && at && (lasts ? n >= at : n == at);
}

static bool cut(enum call call)
{
    return short_counts && is_here(call);
}

static bool is_under(const char *path)
{
    const size_t n = under ? strlen(under) : 0;

    return !under || (!strncmp(path, under, n) && (path[n] == '/' || !path[n]));
}

static bool fd_is_under(int fd)
{
    char link[64], path[4096];
    ssize_t n;

    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    n = readlink(link, path, sizeof path - 1);
    path[n < 0 ? 0 : n] = 0;
    return is_under(path);
}

static bool on_file(int fd)
{
    struct stat st;

    return ready && fd > STDERR_FILENO && real_fstat(fd, &st) == 0 && (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)) &&
           (!under || fd_is_under(fd));
}

#define REAL(type, name, ...)                                                                                        \
    static type (*real)(__VA_ARGS__);                                                                                \
    if (!real)                                                                                                       \
    *(void **)&real = dlsym(RTLD_NEXT, name)

/* ---- files ---- */

/* System files (/proc, /sys, /etc, libraries) are not what a user's disk holds. */
static bool is_data(const char *path)
{
    static const char *const others[] = {"/proc/", "/sys/", "/etc/", "/usr/", "/lib/", "/dev/null", "/dev/tty"};

    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        if (!strncmp(path, others[i], strlen(others[i])))
            return false;
    }
    return ready && is_under(path);
}

static int opened(int fd, int flags, const char *path)
{
    if (flags & O_CREAT)
        log_create(fd, path);
    if (flags & O_TRUNC)
        log_fd("truncate", fd, NULL, 0, 0);
    return fd;
}

#define OPENER(function, text)                                                                                       \
    int function(const char *path, int flags, ...)                                                                   \
    {                                                                                                                \
        REAL(int, text, const char *, int, ...);                                                                     \
        va_list args;                                                                                                \
        mode_t mode;                                                                                                 \
        va_start(args, flags);                                                                                       \
        mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(args, mode_t) : 0;                                             \
        va_end(args);                                                                                                \
        if (!is_data(path))                                                                                          \
            return real(path, flags, mode);                                                                          \
        return fails(OPEN) ? -1 : opened(real(path, flags, mode), flags, path);                                      \
    }
OPENER(open, "open")
OPENER(open64, "open64")

int openat(int dir, const char *path, int flags, ...)
{
    REAL(int, "openat", int, const char *, int, ...);
    va_list args;
    mode_t mode;

    va_start(args, flags);
    mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(args, mode_t) : 0;
    va_end(args);
    if (!is_data(path))
        return real(dir, path, flags, mode);
    return fails(OPEN) ? -1 : opened(real(dir, path, flags, mode), flags, path);
}

ssize_t read(int fd, void *buf, size_t n)
{
    REAL(ssize_t, "read", int, void *, size_t);

    if (on_file(fd)) {
        if (fails(READ))
            return -1;
        n = cut(READ) && n > 1 ? n / 2 : n;
    }
    return real(fd, buf, n);
}

/* What reaches the file; with FAULT_HOW=changed one byte is another one. */
static void *as_written(void *data, size_t n)
{
    static unsigned char other[1 << 20];

    if (!changes || !is_here(WRITE) || n == 0 || n > sizeof other)
        return data;
    memcpy(other, data, n);
    other[n / 2] ^= 16;
    return other;
}

static ssize_t wrote_bytes(int fd, const void *data, ssize_t n, off_t offset)
{
    log_fd("write", fd, data, n, offset);
    return n;
}

ssize_t write(int fd, const void *buf, size_t n)
{
    REAL(ssize_t, "write", int, const void *, size_t);

    if (on_file(fd)) {
        wrote(fd);
        if (fails(WRITE))
            return -1;
        n = cut(WRITE) && n > 1 ? n / 2 : n;
        return wrote_bytes(fd, buf, real(fd, as_written((void *)(uintptr_t)buf, n), n), -1);
    }
    return real(fd, buf, n);
}

#define AT_OFFSET(function, text, kind, buffer)                                                                      \
    ssize_t function(int fd, buffer buf, size_t n, off_t offset)                                                     \
    {                                                                                                                \
        REAL(ssize_t, text, int, buffer, size_t, off_t);                                                             \
        if (on_file(fd)) {                                                                                           \
            if ((kind) == WRITE)                                                                                     \
                wrote(fd);                                                                                           \
            if (fails(kind))                                                                                         \
                return -1;                                                                                           \
            n = cut(kind) && n > 1 ? n / 2 : n;                                                                      \
        }                                                                                                            \
        if ((kind) == WRITE && on_file(fd))                                                                          \
            return wrote_bytes(fd, buf, real(fd, as_written((void *)(uintptr_t)buf, n), n, offset), offset);         \
        return real(fd, buf, n, offset);                                                                             \
    }
AT_OFFSET(pread, "pread", READ, void *)
AT_OFFSET(pread64, "pread64", READ, void *)
AT_OFFSET(pwrite, "pwrite", WRITE, const void *)
AT_OFFSET(pwrite64, "pwrite64", WRITE, const void *)

#define SYNC(function, text)                                                                                         \
    int function(int fd)                                                                                             \
    {                                                                                                                \
        REAL(int, text, int);                                                                                        \
        if (!on_file(fd))                                                                                            \
            return real(fd);                                                                                         \
        if (fails(FSYNC))                                                                                            \
            return -1;                                                                                               \
        synced(fd);                                                                                                  \
        log_fd("sync", fd, NULL, 0, 0);                                                                              \
        return real(fd);                                                                                             \
    }
SYNC(fsync, "fsync")
SYNC(fdatasync, "fdatasync")

/* A close that fails has closed the file all the same, as Linux does. */
int close(int fd)
{
    REAL(int, "close", int);

    if (on_file(fd) && fails((fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDONLY ? CLOSE : FINISH)) {
        int why = errno;

        (void)real(fd);
        errno = why;
        return -1;
    }
    return real(fd);
}

#define ON_LENGTH(function, text)                                                                                    \
    int function(int fd, off_t length)                                                                               \
    {                                                                                                                \
        REAL(int, text, int, off_t);                                                                                 \
        if (on_file(fd)) {                                                                                           \
            wrote(fd);                                                                                               \
            if (fails(TRUNCATE))                                                                                     \
                return -1;                                                                                           \
            log_fd("truncate", fd, NULL, 0, length);                                                                 \
        }                                                                                                            \
        return real(fd, length);                                                                                     \
    }
ON_LENGTH(ftruncate, "ftruncate")
ON_LENGTH(ftruncate64, "ftruncate64")

int rename(const char *from, const char *to)
{
    REAL(int, "rename", const char *, const char *);

    int status;

    if (ready && fails(RENAME))
        return -1;
    status = real(from, to);
    if (ready && status == 0)
        renamed(to);
    if (ready && status == 0 && log_file)
        log_line("rename %s\t%s", from, to);
    return status;
}

int unlink(const char *path)
{
    REAL(int, "unlink", const char *);

    int status = real(path);
    if (ready && status == 0 && log_file)
        log_line("unlink %s", path);
    return status;
}

int mkdir(const char *path, mode_t mode)
{
    REAL(int, "mkdir", const char *, mode_t);

    if (is_data(path) && fails(MKDIR))
        return -1;
    int status = real(path, mode);
    if (ready && status == 0)
        folder_changed(path);
    if (ready && status == 0 && log_file)
        log_line("mkdir %s", path);
    return status;
}

/* ---- what looks at files; Python calls those with 64 in their names ---- */

#define ON_PATH(function, type, flags)                                                                               \
    int function(const char *path, struct type *st)                                                                  \
    {                                                                                                                \
        return is_data(path) && fails(STAT) ? -1 : (int)syscall(SYS_newfstatat, AT_FDCWD, path, st, flags);          \
    }
ON_PATH(stat, stat, 0)
ON_PATH(stat64, stat64, 0)
ON_PATH(lstat, stat, AT_SYMLINK_NOFOLLOW)
ON_PATH(lstat64, stat64, AT_SYMLINK_NOFOLLOW)

int fstat(int fd, struct stat *st)
{
    return on_file(fd) && fails(STAT) ? -1 : real_fstat(fd, st);
}

int fstat64(int fd, struct stat64 *st)
{
    return fstat(fd, (struct stat *)(void *)st);
}

off_t lseek(int fd, off_t offset, int whence)
{
    return on_file(fd) && fails(STAT) ? -1 : (off_t)syscall(SYS_lseek, fd, offset, whence);
}

off64_t lseek64(int fd, off64_t offset, int whence)
{
    return lseek(fd, offset, whence);
}

int access(const char *path, int mode)
{
    return is_data(path) && fails(STAT) ? -1 : (int)syscall(SYS_faccessat, AT_FDCWD, path, mode);
}

DIR *opendir(const char *path)
{
    REAL(DIR *, "opendir", const char *);

    return is_data(path) && fails(OPEN) ? NULL : real(path);
}

void *mmap(void *where, size_t n, int protection, int flags, int fd, off_t offset)
{
    REAL(void *, "mmap", void *, size_t, int, int, int, off_t);

    return on_file(fd) && fails(MMAP) ? MAP_FAILED : real(where, n, protection, flags, fd, offset);
}

void *mmap64(void *where, size_t n, int protection, int flags, int fd, off_t offset)
{
    return mmap(where, n, protection, flags, fd, offset);
}

#include "memory.h"
