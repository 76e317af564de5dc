/* inflate_files: a yardstick for `make bench`, the unit where igzip is not installed. Inflates gzip files with the
 * project's inflater, checks their trailers and drops the bytes; THREADS files at a time.
 *
 *     inflate_files THREADS FILE...
 */
#include "core/mem.h"
#include "core/parse.h"
#include "io/bytes.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define BLOCK ((size_t)1 << 20)

struct state {
    pthread_mutex_t lock; /* of next and err */
    char **paths;
    size_t n, next;
    struct bm_error err;
};

static int inflate_file(const char *path, void *block, struct bm_error *err)
{
    struct bm_bytes *in = bm_bytes_open(path, err);
    long long got = in ? 1 : -1;
    while (got > 0)
        got = bm_bytes_read(in, block, BLOCK, err);
    int status = got < 0 ? -1 : bm_bytes_finish(in, NULL, err);
    bm_bytes_close(in);
    return status;
}

static const char *take(struct state *s)
{
    pthread_mutex_lock(&s->lock);
    const char *path = s->next < s->n && s->err.code == BM_OK ? s->paths[s->next++] : NULL;
    pthread_mutex_unlock(&s->lock);
    return path;
}

static void *work(void *arg)
{
    struct state *s = arg;
    struct bm_error err = {0};
    void *block = bm_alloc(BLOCK, 1, "buffer", &err);
    for (const char *path; block && err.code == BM_OK && (path = take(s));)
        if (inflate_file(path, block, &err) < 0)
            break;
    if (err.code != BM_OK) {
        pthread_mutex_lock(&s->lock);
        s->err = err;
        pthread_mutex_unlock(&s->lock);
    }
    free(block);
    return NULL;
}

int main(int argc, char **argv)
{
    int64_t threads;
    pthread_t thread[256];
    size_t started = 0;
    if (argc < 3 || !bm_parse_int(argv[1], 1, 256, &threads)) {
        fprintf(stderr, "usage: inflate_files THREADS FILE...\n");
        return 2;
    }
    struct state s = {.lock = PTHREAD_MUTEX_INITIALIZER, .paths = argv + 2, .n = (size_t)argc - 2};
    while (started < (size_t)threads && pthread_create(&thread[started], NULL, work, &s) == 0)
        started++;
    for (size_t i = 0; i < started; i++)
        pthread_join(thread[i], NULL);
    if (s.err.code != BM_OK || s.next < s.n) {
        fprintf(stderr, "inflate_files: %s\n", s.err.code != BM_OK ? s.err.text : "no thread can be started");
        return 1;
    }
    return 0;
}
