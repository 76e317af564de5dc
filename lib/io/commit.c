#include "io/commit.h"

#include "core/mem.h"
#include "io/bytes.h"
#include "io/inputs.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_OPEN 64
#define BLOCK ((size_t)1 << 20)

struct bm_commit {
    char *path, *temp;
    char *name; /* the target, as messages call it */
    int fd, slot;
    bool direct, away; /* away: the temporary lies in the scratch folder */
    /* What was written by the functions below, and must be found again: bytes at the start, and behind them. */
    uint64_t reserved, appended;
    uint32_t head_crc, crc;
};

static const char *scratch; /* folder of the temporaries; NULL: beside each target */

void bm_commit_scratch(const char *folder)
{
    scratch = folder;
}

/* Paths of the temporaries that exist now; read by the signal handler, so only whole pointers are exchanged. */
static _Atomic(const char *) open_temps[MAX_OPEN];

static int claim_slot(const char *temp)
{
    for (int i = 0; i < MAX_OPEN; i++) {
        const char *none = NULL;

        if (atomic_compare_exchange_strong(&open_temps[i], &none, temp))
            return i;
    }
    return -1;
}

/* A thread may be making a temporary while another one's signal handler removes them all. So makers announce
 * themselves, with signals blocked, and give up once `ending` is set; the handler waits for those that came before.
 */
static atomic_int making;
static atomic_bool ending;

void bm_commit_remove_all(void)
{
    atomic_store(&ending, true);
    for (int i = 0; i < 1000000 && atomic_load(&making); i++)
        (void)sched_yield();
    for (int i = 0; i < MAX_OPEN; i++) {
        const char *temp = atomic_load(&open_temps[i]);

        if (temp)
            (void)unlink(temp);
    }
}

static void free_commit(struct bm_commit *c)
{
    if (c->slot >= 0)
        atomic_store(&open_temps[c->slot], NULL);
    if (c->fd > STDERR_FILENO)
        (void)close(c->fd);
    free(c->path);
    free(c->name);
    free(c->temp);
    free(c);
}

static struct bm_commit *open_direct(struct bm_commit *c, int fd, struct bm_error *err)
{
    c->fd = fd;
    c->temp = bm_strdup(c->path, err);
    if (c->temp && fd >= 0 && fcntl(fd, F_GETFD) >= 0)
        return c;
    if (c->temp)
        (void)bm_fail_errno(err, c->name, "cannot be opened for writing");
    free_commit(c);
    return NULL;
}

/* ".NAME.PID-RANDOM.tmp", beside the target or in the scratch folder: never the same for two commits, on whatever
 * machines or in whatever containers they run; there, two processes that write one target may well have the same
 * number. */
static char *temp_name(const struct bm_commit *c, struct bm_error *err)
{
    const char *slash = strrchr(c->path, '/'), *base = slash ? slash + 1 : c->path;
    const char *folder = c->away ? scratch : c->path;
    int n = c->away ? (int)strlen(scratch) : (int)(base - c->path);
    uint64_t random;

    if (getentropy(&random, sizeof random)) {
        (void)bm_fail_errno(err, c->name, "cannot be created, as the system gives no random number");
        return NULL;
    }
    return bm_format(err, "%.*s%s.%.200s.%ld-%016" PRIx64 ".tmp", n, folder, c->away ? "/" : "", base, (long)getpid(),
                     random);
}

static int make_temp(struct bm_commit *c, struct bm_error *err)
{
    c->temp = temp_name(c, err);
    if (!c->temp)
        return -1;
    c->slot = claim_slot(c->temp);
    if (c->slot < 0)
        return bm_fail(err, BM_ESYS, "%s: too many outputs are open at once", c->name);
    c->fd = open(c->temp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (c->fd >= 0)
        return 0;
    if (errno == ENOENT && !c->away)
        return bm_fail(err, BM_ESYS, "%s: its folder is not there; make the folder, or check the name", c->name);
    return bm_fail_errno(err, c->name, "cannot be created");
}

static int create_temp(struct bm_commit *c, struct bm_error *err)
{
    sigset_t all, old;
    int status;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &old);
    atomic_fetch_add(&making, 1);
    if (atomic_load(&ending))
        status = bm_fail(err, BM_ESYS, "%s: the program is ending", c->name);
    else
        status = make_temp(c, err);
    atomic_fetch_sub(&making, 1);
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    return status;
}

/* An output in an input's place would lose what that was made of. */
static int refuse_input(const char *path, struct bm_error *err)
{
    return bm_fail(err, BM_EUSAGE, "%s: is an input, too; choose another name for the output", path);
}

/* Its names, and what stands at the target: a regular file, nothing, or something to write to directly. */
static int look(struct bm_commit *c, const char *path, bool out, struct bm_error *err)
{
    bool there;
    struct stat st;

    if (!*path)
        return bm_fail(err, BM_EUSAGE, "output: the name is empty; name a file");
    there = !out && stat(path, &st) == 0;
    if (!there && !out && errno != ENOENT) /* it may be a device, which must not be replaced */
        return bm_fail_errno(err, path, "cannot be looked at");
    if (there && S_ISDIR(st.st_mode))
        return bm_fail(err, BM_ESYS, "%s: is a directory; name a file in it", path);
    if (there && bm_inputs_has(&st))
        return refuse_input(path, err);
    c->direct = out || (there && !S_ISREG(st.st_mode));
    c->away = scratch && !c->direct;
    c->path = bm_strdup(out ? "standard output" : path, err);
    c->name = c->away ? bm_format(err, "%s, by way of %s", path, scratch) : c->path ? bm_strdup(c->path, err) : NULL;
    return c->path && c->name ? 0 : -1;
}

struct bm_commit *bm_commit_open(const char *path, struct bm_error *err)
{
    struct bm_commit *c = bm_calloc(1, sizeof *c, "output", err);
    bool out = !strcmp(path, "-");

    if (!c)
        return NULL;
    c->fd = c->slot = -1;
    if (look(c, path, out, err) == 0) {
        if (c->direct)
            return open_direct(c, out ? STDOUT_FILENO : open(path, O_WRONLY | O_CLOEXEC), err);
        if (create_temp(c, err) == 0)
            return c;
    }
    free_commit(c);
    return NULL;
}

int bm_commit_fd(const struct bm_commit *c)
{
    return c->fd;
}

const char *bm_commit_temp(const struct bm_commit *c)
{
    return c->temp;
}

const char *bm_commit_name(const struct bm_commit *c)
{
    return c->name;
}

bool bm_commit_direct(const struct bm_commit *c)
{
    return c->direct;
}

/* offset < 0: at the current position. */
static int write_all(struct bm_commit *c, const unsigned char *p, size_t n, off_t offset, struct bm_error *err)
{
    while (n) {
        ssize_t k = offset < 0 ? write(c->fd, p, n) : pwrite(c->fd, p, n, offset);

        if (k < 0 && errno == EINTR)
            continue;
        if (k <= 0) {
            if (k == 0)
                errno = EIO;
            return bm_fail_errno(err, c->name, "cannot be written");
        }
        p += k;
        n -= (size_t)k;
        if (offset >= 0)
            offset += k;
    }
    return 0;
}

int bm_commit_write(struct bm_commit *c, const void *data, size_t n, struct bm_error *err)
{
    if (write_all(c, data, n, -1, err))
        return -1;
    if (!c->direct)
        c->crc = bm_crc32(c->crc, data, n);
    c->appended += n;
    return 0;
}

int bm_commit_reserve(struct bm_commit *c, size_t n, struct bm_error *err)
{
    if (lseek(c->fd, (off_t)n, SEEK_SET) < 0)
        return bm_fail_errno(err, c->name, "cannot be written");
    c->reserved = n;
    return 0;
}

int bm_commit_fill(struct bm_commit *c, const void *data, size_t n, struct bm_error *err)
{
    c->head_crc = bm_crc32(0, data, n);
    return write_all(c, data, n, 0, err);
}

int bm_commit_append(struct bm_commit *c, const void *data, size_t n, struct bm_error *err)
{
    if (lseek(c->fd, 0, SEEK_END) < 0)
        return bm_fail_errno(err, c->name, "cannot be written");
    return write_all(c, data, n, -1, err);
}

uint32_t bm_commit_crc32(const struct bm_commit *c)
{
    return bm_crc32_join(c->head_crc, c->crc, c->appended);
}

void bm_commit_flush_hint(struct bm_commit *c)
{
#ifdef SYNC_FILE_RANGE_WRITE
    if (!c->away) /* of a pipe it does nothing */
        (void)sync_file_range(c->fd, 0, 0, SYNC_FILE_RANGE_WRITE);
#else
    (void)c;
#endif
}

int bm_commit_sync_folder(const char *path, struct bm_error *err)
{
    const char *slash = strrchr(path, '/');
    char *dir = slash ? bm_format(err, "%.*s", (int)(slash - path + 1), path) : bm_strdup(".", err);
    int fd, status = 0;

    if (!dir)
        return -1;
    fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 && errno == EACCES) { /* it may be written to but not listed: the file stands there all the same */
        free(dir);
        return 0;
    }
    if (fd < 0 || (fsync(fd) && errno != EINVAL)) /* some file systems have no fsync of directories */
        status = bm_fail_errno(err, dir, "the directory cannot be synchronised");
    if (fd >= 0)
        (void)close(fd);
    free(dir);
    return status;
}

static int close_checked(struct bm_commit *c, struct bm_error *err)
{
    int fd = c->fd;

    c->fd = -1;
    if (close(fd) && errno != EINTR)
        return bm_fail_errno(err, c->name, "cannot be closed");
    return 0;
}

static int fail_changed(const struct bm_commit *c, struct bm_error *err)
{
    return bm_fail(err, BM_ESYS, "%s: what was written is not what stands on the disk; check the file system",
                   c->name);
}

static ssize_t read_block(int fd, unsigned char *block, uint64_t offset)
{
    ssize_t k;

    do
        k = pread(fd, block, BLOCK, (off_t)offset);
    while (k < 0 && errno == EINTR);
    return k;
}

/* Whether a file is what was written to c; passes it on to `to`, where that is not NULL. Of a file that others wrote
 * by its name only they know. */
static int read_again(const struct bm_commit *c, int fd, struct bm_commit *to, struct bm_error *err)
{
    const uint64_t written = c->reserved + c->appended;
    unsigned char *block = bm_alloc(BLOCK, 1, "block", err);
    uint64_t size = 0;
    uint32_t crc = 0;
    ssize_t k = 0;
    int status = block ? 0 : -1;

    while (!status && (k = read_block(fd, block, size)) > 0) {
        crc = bm_crc32(crc, block, (size_t)k);
        size += (uint64_t)k;
        status = to ? bm_commit_write(to, block, (size_t)k, err) : 0;
    }
    free(block);
    if (!status && k < 0)
        status = bm_fail_errno(err, c->name, "cannot be read again");
    else if (!status && written && (size != written || crc != bm_commit_crc32(c)))
        status = fail_changed(c, err);
    return status;
}

/* Opens the temporary once more by its name: it must be the file that we wrote, with all that we wrote. */
static int check_written(const struct bm_commit *c, struct bm_error *err)
{
    struct stat ours, there;
    int fd = open(c->temp, O_RDONLY | O_CLOEXEC), status;

    if (fd < 0 || fstat(c->fd, &ours) || fstat(fd, &there))
        status = bm_fail_errno(err, c->name, "cannot be looked at after writing");
    else if (ours.st_ino != there.st_ino || ours.st_dev != there.st_dev)
        status = fail_changed(c, err);
    else
        status = c->reserved + c->appended > 0 ? read_again(c, fd, NULL, err) : 0;
    if (fd >= 0)
        (void)close(fd);
    return status;
}

/* From the scratch folder to a temporary beside the target, in one go. */
static int bring_home(struct bm_commit *c, struct bm_error *err)
{
    struct bm_commit far = *c;
    int status;

    c->temp = NULL;
    c->fd = c->slot = -1;
    c->away = false;
    c->reserved = c->appended = 0;
    c->head_crc = c->crc = 0;
    status = create_temp(c, err);
    if (status == 0)
        status = read_again(&far, far.fd, c, err);
    (void)unlink(far.temp);
    (void)close(far.fd);
    atomic_store(&open_temps[far.slot], NULL);
    free(far.temp);
    return status;
}

static int publish(struct bm_commit *c, struct bm_error *err)
{
    struct stat st;

    if (stat(c->path, &st) == 0 && bm_inputs_has(&st))
        return refuse_input(c->path, err);
    if (fsync(c->fd))
        return bm_fail_errno(err, c->name, "cannot be synchronised to the disk");
    if (check_written(c, err) || bm_inputs_check(err) || close_checked(c, err))
        return -1;
    if (rename(c->temp, c->path))
        return bm_fail_errno(err, c->name, "cannot be put in place");
    atomic_store(&open_temps[c->slot], NULL);
    c->slot = -1;
    return bm_commit_sync_folder(c->path, err);
}

int bm_commit_done(struct bm_commit *c, struct bm_error *err)
{
    int status = c->away ? bring_home(c, err) : 0;

    if (!status && c->direct)
        status = bm_inputs_check(err) || close_checked(c, err) ? -1 : 0;
    else if (!status)
        status = publish(c, err);
    if (status)
        bm_commit_drop(c);
    else
        free_commit(c);
    return status;
}

void bm_commit_drop(struct bm_commit *c)
{
    if (!c)
        return;
    if (!c->direct && c->slot >= 0)
        (void)unlink(c->temp);
    free_commit(c);
}
