#include "io/jsonmem.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define RESERVE ((size_t)64 << 10)
#define PIECE ((size_t)256)
#define MOST ((size_t)512 << 20) /* for one text: a few bytes of it can take a hundred in memory */

static _Thread_local bool lost;
static _Thread_local size_t taken; /* since the last text began, whatever came back meanwhile */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static _Alignas(16) char reserve[RESERVE]; /* handed out from its begin on, and whole again once all has come back */
static size_t used, parts;

static void *from_reserve(size_t n)
{
    const size_t whole = (n + 15) / 16 * 16;
    void *p = NULL;

    (void)pthread_mutex_lock(&lock);
    if (n <= RESERVE && whole <= RESERVE - used) {
        p = reserve + used;
        used += whole;
        parts++;
    }
    (void)pthread_mutex_unlock(&lock);
    return p;
}

void *bm_json_alloc(size_t n)
{
    void *p = malloc(n);

    taken += n;
    if (p)
        return p;
    lost = true;
    return from_reserve(n);
}

void bm_json_free(void *p)
{
    const uintptr_t at = (uintptr_t)p, first = (uintptr_t)reserve;

    if (at < first || at >= first + RESERVE) {
        free(p);
        return;
    }
    (void)pthread_mutex_lock(&lock);
    if (--parts == 0)
        used = 0;
    (void)pthread_mutex_unlock(&lock);
}

__attribute__((constructor)) static void use_own_memory(void)
{
    json_set_alloc_funcs(bm_json_alloc, bm_json_free);
}

bool bm_json_lost(void)
{
    const bool was = lost;

    lost = false;
    return was;
}

/* A text that is handed over in pieces, and ends where memory or our patience does: what jansson still needs fits the
 * reserve. */
struct pieces {
    const char *text;
    size_t left;
};

static size_t next_piece(void *to, size_t room, void *from)
{
    struct pieces *p = from;
    size_t n = p->left < PIECE ? p->left : PIECE;

    n = lost || taken > MOST ? 0 : n < room ? n : room;
    if (!n) /* text may be NULL then */
        return 0;
    memcpy(to, p->text, n);
    p->text += n;
    p->left -= n;
    return n;
}

static json_t *load(const char *text, size_t n, size_t flags, json_error_t *why)
{
    struct pieces pieces = {text, n};

    taken = 0;
    return json_load_callback(next_piece, &pieces, flags, why);
}

json_t *bm_json_own(const char *text)
{
    return load(text, strlen(text), 0, NULL);
}

json_t *bm_json_load(const char *text, size_t n, size_t flags, const char *where, json_error_t *why,
                     struct bm_error *err)
{
    json_t *value = load(text, n, flags, why);

    if (bm_json_lost())
        (void)bm_fail(err, BM_ESYS, "%s: out of memory; use a machine with more memory or fewer --threads", where);
    else if (taken > MOST)
        (void)bm_fail(err, BM_EDATA, "%s: holds JSON that takes more than %zu MiB to read; check the name", where,
                      MOST >> 20);
    else
        return value;
    json_decref(value);
    return NULL;
}
