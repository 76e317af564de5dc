#include "reader.h"

#include "core/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct reader {
    struct reader *next, **link; /* among those at work */
    pid_t pid;
    char *name;    /* of what it brings */
    char *program; /* its own */
};

/* Programs at work. One is taken out before it is waited for, so that no other process is met by its number. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct reader *at_work;
static bool stopped;

static void take_out(struct reader *r)
{
    pthread_mutex_lock(&lock);
    *r->link = r->next;
    if (r->next)
        r->next->link = r->link;
    pthread_mutex_unlock(&lock);
}

/* With the lock. */
static void put_in(struct reader *r)
{
    r->next = at_work;
    r->link = &at_work;
    if (at_work)
        at_work->link = &r->next;
    at_work = r;
}

void cli_reader_stop(void)
{
    pthread_mutex_lock(&lock);
    stopped = true;
    for (struct reader *r = at_work; r; r = r->next)
        (void)kill(r->pid, SIGTERM);
    pthread_mutex_unlock(&lock);
}

static void free_reader(struct reader *r)
{
    if (r) {
        free(r->name);
        free(r->program);
    }
    free(r);
}

static struct reader *make_reader(const char *program, const char *name, struct bm_error *err)
{
    struct reader *r = bm_calloc(1, sizeof *r, name, err);

    if (!r)
        return NULL;
    r->name = bm_strdup(name, err);
    r->program = bm_strdup(program, err);
    if (r->name && r->program)
        return r;
    free_reader(r);
    return NULL;
}

/* Waits for the program. err is NULL where nobody wants its output any more. */
static int end_reader(void *self, struct bm_error *err)
{
    struct reader *r = self;
    int status = 0, result = 0;

    take_out(r);
    if (!err)
        (void)kill(r->pid, SIGTERM);
    while (waitpid(r->pid, &status, 0) < 0 && errno == EINTR)
        continue;
    if (err && WIFSIGNALED(status))
        result = bm_fail(err, BM_EDATA, "%s: %s was ended by signal %d while it brought it; try again", r->name,
                         r->program, WTERMSIG(status));
    else if (err && WEXITSTATUS(status))
        result = bm_fail(err, BM_EDATA, "%s: %s could not bring it (exit status %d); see its message", r->name,
                         r->program, WEXITSTATUS(status));
    free_reader(r);
    return result;
}

/* What the program finds when it starts: our pipe as standard output, and signals as usual. 0 or an errno. */
static int start(pid_t *pid, char *const *argv, int out)
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    sigset_t usual;
    int code = posix_spawn_file_actions_init(&files);

    if (code)
        return code;
    code = posix_spawnattr_init(&attributes);
    if (!code) {
        (void)sigemptyset(&usual);
        (void)sigaddset(&usual, SIGPIPE);
        code = posix_spawn_file_actions_adddup2(&files, out, STDOUT_FILENO);
        if (!code)
            code = posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
        (void)posix_spawnattr_setsigdefault(&attributes, &usual);
        (void)posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
        if (!code)
            code = posix_spawnp(pid, argv[0], &files, &attributes, argv, environ);
        (void)posix_spawnattr_destroy(&attributes);
    }
    (void)posix_spawn_file_actions_destroy(&files);
    return code;
}

/* The program's words; they belong to others. NULL on failure. */
static char **make_argv(const struct cli_list *words, const char *name, struct bm_error *err)
{
    char **argv = bm_calloc(words->n + 2, sizeof(*argv), "reader", err);

    for (size_t i = 0; argv && i < words->n; i++)
        argv[i] = (char *)(uintptr_t)words->items[i];
    if (argv)
        argv[words->n] = (char *)(uintptr_t)name;
    return argv;
}

/* Starts the program; the end of the pipe that it writes to, or -1. */
static int launch(struct reader *r, char *const *argv, struct bm_error *err)
{
    int ends[2], code;

    if (pipe2(ends, O_CLOEXEC))
        return bm_fail_errno(err, r->name, "no pipe can be made for it");
    pthread_mutex_lock(&lock);
    code = stopped ? ECANCELED : start(&r->pid, argv, ends[1]);
    if (!code)
        put_in(r);
    pthread_mutex_unlock(&lock);
    (void)close(ends[1]);
    if (!code)
        return ends[0];
    (void)close(ends[0]);
    errno = code;
    return bm_fail_errno(err, r->program, "cannot be started to bring runs");
}

struct bm_bytes *cli_reader_open(const struct cli_list *words, const char *name, struct bm_error *err)
{
    struct reader *r = make_reader(words->items[0], name, err);
    char **argv = r ? make_argv(words, name, err) : NULL;
    const int fd = argv ? launch(r, argv, err) : -1;

    free(argv);
    if (fd >= 0)
        return bm_bytes_pipe(name, fd, end_reader, r, err);
    free_reader(r);
    return NULL;
}
