#include "spool.h"

#include "core/mem.h"
#include "io/commit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool cli_is_pipe(const char *path)
{
    struct stat st;

    return !strcmp(path, "-") || (stat(path, &st) == 0 && S_ISFIFO(st.st_mode));
}

static int copy_bytes(int from, struct bm_commit *to, const char *name, struct bm_error *err)
{
    static char buf[1 << 16];

    for (;;) {
        ssize_t n = read(from, buf, sizeof buf);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return bm_fail_errno(err, name, "cannot be read");
        if (n == 0)
            return 0;
        if (bm_commit_write(to, buf, (size_t)n, err))
            return -1;
    }
}

/* A fresh name for a temporary file, that nobody else can have put something at. Owned. */
static char *spool_name(struct bm_error *err)
{
    const char *dir = getenv("TMPDIR");
    char *name = bm_format(err, "%s/boldmill-XXXXXX", dir && *dir ? dir : "/tmp");
    int fd = name ? mkstemp(name) : -1;

    if (fd >= 0) {
        (void)close(fd);
        (void)unlink(name);
        return name;
    }
    if (name)
        (void)bm_fail_errno(err, name, "cannot be created; set TMPDIR");
    free(name);
    return NULL;
}

static int copy_pipe(const char *path, struct bm_commit *to, struct bm_error *err)
{
    const bool is_stdin = !strcmp(path, "-");
    const int fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    int status;

    if (fd < 0)
        return bm_fail_errno(err, path, "cannot be opened");
    status = copy_bytes(fd, to, path, err);
    if (!is_stdin)
        (void)close(fd);
    return status;
}

struct bm_commit *cli_spool(const char *path, struct bm_error *err)
{
    char *name = spool_name(err);
    struct bm_commit *to = name ? bm_commit_open(name, err) : NULL;

    free(name);
    if (!to || copy_pipe(path, to, err) == 0)
        return to;
    bm_commit_drop(to);
    return NULL;
}
