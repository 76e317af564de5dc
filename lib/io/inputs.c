#include "io/inputs.h"

#include "core/mem.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct state {
    dev_t dev;
    ino_t ino;
    off_t size;
    struct timespec changed;
};

struct input {
    char *path;
    struct state state;
};

static struct input *inputs;
static size_t ninputs, room;
static atomic_bool watched;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static struct state state_of(const struct stat *st)
{
    return (struct state){st->st_dev, st->st_ino, st->st_size, st->st_mtim};
}

static bool same(const struct state *a, const struct stat *now)
{
    return a->dev == now->st_dev && a->ino == now->st_ino && a->size == now->st_size &&
           a->changed.tv_sec == now->st_mtim.tv_sec && a->changed.tv_nsec == now->st_mtim.tv_nsec;
}

static int make_room(struct bm_error *err)
{
    size_t more = room ? 2 * room : 64;
    struct input *wider;

    if (ninputs < room)
        return 0;
    wider = bm_alloc(more, sizeof *wider, "names of inputs", err);
    if (!wider)
        return -1;
    if (ninputs)
        memcpy(wider, inputs, ninputs * sizeof *wider);
    free(inputs);
    inputs = wider;
    room = more;
    return 0;
}

void bm_inputs_watch(void)
{
    atomic_store(&watched, true);
}

int bm_inputs_note(const char *path, const struct stat *st, struct bm_error *err)
{
    int status;

    if (!S_ISREG(st->st_mode) || !atomic_load(&watched))
        return 0;
    (void)pthread_mutex_lock(&lock);
    status = make_room(err);
    if (!status) {
        inputs[ninputs] = (struct input){bm_strdup(path, err), state_of(st)};
        status = inputs[ninputs].path ? 0 : -1;
        ninputs += status == 0;
    }
    (void)pthread_mutex_unlock(&lock);
    return status;
}

bool bm_inputs_has(const struct stat *st)
{
    bool found = false;

    (void)pthread_mutex_lock(&lock);
    for (size_t i = 0; i < ninputs && !found; i++)
        found = inputs[i].state.dev == st->st_dev && inputs[i].state.ino == st->st_ino;
    (void)pthread_mutex_unlock(&lock);
    return found;
}

int bm_inputs_check(struct bm_error *err)
{
    struct stat now;
    int status = 0;

    (void)pthread_mutex_lock(&lock);
    for (size_t i = 0; i < ninputs && !status; i++) {
        const bool there = stat(inputs[i].path, &now) == 0;

        if (!there && errno != ENOENT && errno != ENOTDIR)
            status = bm_fail_errno(err, inputs[i].path, "cannot be looked at after reading");
        else if (there && !same(&inputs[i].state, &now))
            status = bm_fail(err, BM_EDATA,
                             "%s: was replaced or written to since it was read; run again when it stays as it is",
                             inputs[i].path);
    }
    (void)pthread_mutex_unlock(&lock);
    return status;
}
