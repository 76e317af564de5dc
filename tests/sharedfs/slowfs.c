/* A file system as clusters have them, for tests: shows a folder elsewhere, slowly and with the habits of NFS.
 *
 *   slowfs [OPTIONS] BACKING MOUNTPOINT      (libfuse's own -f: stay in the foreground)
 *
 *   --delay MS      each call to the server takes so long (more threads wait side by side)
 *   --whole S       times are whole multiples of S seconds, as some servers store them
 *   --skew S        the server's clock is so many seconds ahead (or, negative, behind)
 *   --cache S       attributes, names and "no such file" are believed for so long without asking (NFS: 3 to 60)
 *   --stale N       the N-th opening of a file answers ESTALE, once
 *   --counts FILE   gets how often each call came, when the file system is unmounted
 *
 * Locks of both kinds fail with ENOLCK, hard links with EPERM, and a file that is removed while it is open gets a
 * hidden name until it is closed (libfuse's .fuse_hidden..., NFS's .nfs...).
 */
#define FUSE_USE_VERSION 312
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fuse3/fuse.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

static struct {
    int delay, whole, skew, cache, stale;
    char *counts;
} set = {.whole = 1};
static int backing = -1;

enum call { LOOKUP, OPEN, CREATE, READ, WRITE, CLOSE, SYNC, RENAME, REMOVE, FOLDER, CHANGE, LOCK, CALLS };
static const char *const names[CALLS] = {"getattr", "open",   "create", "read",   "write",   "close",
                                         "fsync",   "rename", "remove", "folder", "setattr", "lock"};
static atomic_long counts[CALLS];

static void ask(enum call call)
{
    struct timespec wait = {set.delay / 1000, set.delay % 1000 * 1000000L};

    counts[call]++;
    if (set.delay)
        (void)nanosleep(&wait, NULL);
}

/* Below the backing folder; "" is not a path. */
static const char *below(const char *path)
{
    return path[1] ? path + 1 : ".";
}

static int answer(long status)
{
    return status < 0 ? -errno : (int)status;
}

static void as_the_server_says(struct timespec *t)
{
    t->tv_sec += set.skew;
    if (set.whole) {
        t->tv_sec -= t->tv_sec % set.whole;
        t->tv_nsec = 0;
    }
}

static int fs_getattr(const char *path, struct stat *st, struct fuse_file_info *fi)
{
    int status;

    ask(LOOKUP);
    status = fi ? fstat((int)fi->fh, st) : fstatat(backing, below(path), st, AT_SYMLINK_NOFOLLOW);
    as_the_server_says(&st->st_mtim);
    as_the_server_says(&st->st_ctim);
    as_the_server_says(&st->st_atim);
    return answer(status);
}

static int fs_open(const char *path, struct fuse_file_info *fi)
{
    static atomic_int opened;
    int fd;

    ask(OPEN);
    if (++opened == set.stale)
        return -ESTALE;
    fd = openat(backing, below(path), fi->flags & ~(O_CREAT | O_EXCL));
    if (fd >= 0)
        fi->fh = (uint64_t)fd;
    return fd < 0 ? -errno : 0;
}

static int fs_create(const char *path, mode_t mode, struct fuse_file_info *fi)
{
    int fd;

    ask(CREATE);
    fd = openat(backing, below(path), fi->flags, mode);
    if (fd >= 0)
        fi->fh = (uint64_t)fd;
    return fd < 0 ? -errno : 0;
}

static int fs_read(const char *path, char *data, size_t n, off_t offset, struct fuse_file_info *fi)
{
    (void)path;
    ask(READ);
    return answer(pread((int)fi->fh, data, n, offset));
}

static int fs_write(const char *path, const char *data, size_t n, off_t offset, struct fuse_file_info *fi)
{
    (void)path;
    ask(WRITE);
    return answer(pwrite((int)fi->fh, data, n, offset));
}

static int fs_release(const char *path, struct fuse_file_info *fi)
{
    (void)path;
    ask(CLOSE);
    return answer(close((int)fi->fh));
}

static int fs_fsync(const char *path, int data_alone, struct fuse_file_info *fi)
{
    (void)path;
    (void)data_alone;
    ask(SYNC);
    return answer(fsync((int)fi->fh));
}

static int fs_fsyncdir(const char *path, int data_alone, struct fuse_file_info *fi)
{
    (void)path;
    (void)data_alone;
    (void)fi;
    ask(SYNC);
    return 0;
}

static int fs_rename(const char *from, const char *to, unsigned flags)
{
    ask(RENAME);
    return flags ? -EINVAL : answer(renameat(backing, below(from), backing, below(to)));
}

static int fs_unlink(const char *path)
{
    ask(REMOVE);
    return answer(unlinkat(backing, below(path), 0));
}

static int fs_rmdir(const char *path)
{
    ask(REMOVE);
    return answer(unlinkat(backing, below(path), AT_REMOVEDIR));
}

static int fs_mkdir(const char *path, mode_t mode)
{
    ask(FOLDER);
    return answer(mkdirat(backing, below(path), mode));
}

static int fs_readdir(const char *path, void *out, fuse_fill_dir_t fill, off_t offset, struct fuse_file_info *fi,
                      enum fuse_readdir_flags flags)
{
    int fd = openat(backing, below(path), O_RDONLY | O_DIRECTORY);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *entry;

    (void)offset;
    (void)fi;
    (void)flags;
    ask(FOLDER);
    if (!dir)
        return -errno;
    while ((entry = readdir(dir)) != NULL)
        (void)fill(out, entry->d_name, NULL, 0, 0);
    return answer(closedir(dir));
}

static int fs_symlink(const char *target, const char *path)
{
    ask(CREATE);
    return answer(symlinkat(target, backing, below(path)));
}

static int fs_readlink(const char *path, char *target, size_t n)
{
    ssize_t k = readlinkat(backing, below(path), target, n - 1);

    ask(LOOKUP);
    if (k >= 0)
        target[k] = 0;
    return k < 0 ? -errno : 0;
}

static int fs_link(const char *from, const char *to)
{
    (void)from;
    (void)to;
    return -EPERM;
}

static int fs_chmod(const char *path, mode_t mode, struct fuse_file_info *fi)
{
    (void)fi;
    ask(CHANGE);
    return answer(fchmodat(backing, below(path), mode, 0));
}

static int fs_chown(const char *path, uid_t uid, gid_t gid, struct fuse_file_info *fi)
{
    (void)fi;
    ask(CHANGE);
    return answer(fchownat(backing, below(path), uid, gid, AT_SYMLINK_NOFOLLOW));
}

static int fs_truncate(const char *path, off_t n, struct fuse_file_info *fi)
{
    int fd = fi ? (int)fi->fh : openat(backing, below(path), O_WRONLY), status;

    ask(CHANGE);
    status = fd < 0 ? -errno : answer(ftruncate(fd, n));
    if (!fi && fd >= 0)
        (void)close(fd);
    return status;
}

/* A time that somebody chose is kept; "now" is the server's. */
static int fs_utimens(const char *path, const struct timespec times[2], struct fuse_file_info *fi)
{
    struct timespec chosen[2] = {times[0], times[1]};

    (void)fi;
    ask(CHANGE);
    for (int i = 0; i < 2; i++) {
        if (chosen[i].tv_nsec != UTIME_NOW && chosen[i].tv_nsec != UTIME_OMIT)
            chosen[i].tv_sec -= set.skew;
    }
    return answer(utimensat(backing, below(path), chosen, AT_SYMLINK_NOFOLLOW));
}

static int fs_statfs(const char *path, struct statvfs *st)
{
    (void)path;
    ask(LOOKUP);
    return answer(fstatvfs(backing, st));
}

/* libfuse itself gives all locks up when a file is closed. */
static int fs_lock(const char *path, struct fuse_file_info *fi, int command, struct flock *lock)
{
    (void)path;
    (void)fi;
    (void)command;
    if (lock->l_type == F_UNLCK)
        return 0;
    ask(LOCK);
    return -ENOLCK;
}

static int fs_flock(const char *path, struct fuse_file_info *fi, int operation)
{
    (void)path;
    (void)fi;
    (void)operation;
    ask(LOCK);
    return -ENOLCK;
}

static void *fs_init(struct fuse_conn_info *connection, struct fuse_config *config)
{
    (void)connection;
    config->use_ino = 1;
    config->attr_timeout = config->entry_timeout = config->negative_timeout = set.cache;
    config->hard_remove = 0;
    return NULL;
}

static void fs_destroy(void *unused)
{
    FILE *f = set.counts ? fopen(set.counts, "w") : NULL;

    (void)unused;
    for (int i = 0; f && i < CALLS; i++)
        (void)fprintf(f, "%s %ld\n", names[i], (long)counts[i]);
    if (f)
        (void)fclose(f);
}

static const struct fuse_operations operations = {
    .getattr = fs_getattr,
    .open = fs_open,
    .create = fs_create,
    .read = fs_read,
    .write = fs_write,
    .release = fs_release,
    .fsync = fs_fsync,
    .fsyncdir = fs_fsyncdir,
    .rename = fs_rename,
    .unlink = fs_unlink,
    .rmdir = fs_rmdir,
    .mkdir = fs_mkdir,
    .readdir = fs_readdir,
    .symlink = fs_symlink,
    .readlink = fs_readlink,
    .link = fs_link,
    .chmod = fs_chmod,
    .chown = fs_chown,
    .truncate = fs_truncate,
    .utimens = fs_utimens,
    .statfs = fs_statfs,
    .lock = fs_lock,
    .flock = fs_flock,
    .init = fs_init,
    .destroy = fs_destroy,
};

#define OPTION(text, field)                                                                                          \
    {                                                                                                                \
        text, offsetof(__typeof__(set), field), 0                                                                    \
    }
static const struct fuse_opt options[] = {
    OPTION("--delay %d", delay),
    OPTION("--whole %d", whole),
    OPTION("--skew %d", skew),
    OPTION("--cache %d", cache),
    OPTION("--stale %d", stale),
    OPTION("--counts %s", counts),
    FUSE_OPT_END,
};

/* The first argument that is no option is the backing folder. */
static int sort_argument(void *unused, const char *argument, int key, struct fuse_args *args)
{
    (void)unused;
    (void)args;
    if (key != FUSE_OPT_KEY_NONOPT || backing >= 0)
        return 1;
    backing = open(argument, O_RDONLY | O_DIRECTORY);
    if (backing < 0)
        perror(argument);
    return backing < 0 ? -1 : 0;
}

int main(int argc, char **argv)
{
    struct fuse_args args = FUSE_ARGS_INIT(argc, argv);

    if (fuse_opt_parse(&args, &set, options, sort_argument) || backing < 0)
        return 2;
    (void)umask(0);
    return fuse_main(args.argc, args.argv, &operations, NULL);
}
