/* inflate_chunks: a yardstick for `make bench`. Reads from a packed session the chunks that an ROI needs and inflates
 * them, and does nothing else: no checksum, no byte shuffle, no arithmetic, no output.
 *
 *     inflate_chunks THREADS SERIES.h5 [ROI.nii.gz]
 *
 * Prints: chunks of the file, chunks inflated, bytes read, bytes inflated. */
#include "core/parse.h"
#include "io/bytes.h"
#include "io/nifti.h"
#include "io/seriesfile.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

struct state {
    pthread_mutex_t lock; /* of everything below but roi */
    struct bm_source *source;
    const char *path;
    const double *roi; /* > 0 selects; NULL: all chunks */
    const struct bm_run *run;
    bool *want;
    size_t chunks, inflated;
    uint64_t bytes_read, bytes_inflated;
    bool done;
    struct bm_error err;
};

static int start_run(struct state *s)
{
    int status = s->source->next_run(s->source, &s->run, &s->err);
    if (status <= 0)
        return status;
    size_t tiles = bm_run_tiles(s->run);
    s->chunks += tiles;
    free(s->want);
    s->want = bm_calloc(tiles, sizeof *s->want, "chunks", &s->err);
    if (!s->want)
        return -1;
    for (size_t c = 0; c < s->run->cols; c++)
        s->want[c / s->run->tile_cols] |= !s->roi || s->roi[s->run->voxels[c]] > 0;
    s->source->want(s->source, s->want);
    return 1;
}

/* Reads the next wanted chunk. *plain gets its inflated size. */
static int next_chunk(struct state *s, struct bm_tile *tile, size_t *plain)
{
    int status = s->run ? s->source->next_tile(s->source, tile, &s->err) : 0;
    while (status == 0 && (status = start_run(s)) > 0)
        status = s->source->next_tile(s->source, tile, &s->err);
    if (status <= 0)
        return status;
    size_t cols = s->run->tile_cols < s->run->cols ? s->run->tile_cols : s->run->cols;
    *plain = tile->rows * cols * bm_dtype_size(tile->dtype);
    s->inflated++;
    s->bytes_read += tile->packed.size;
    s->bytes_inflated += *plain;
    return 1;
}

static int locked_next(struct state *s, struct bm_tile *tile, size_t *plain)
{
    pthread_mutex_lock(&s->lock);
    int status = s->done || s->err.code != BM_OK ? 0 : next_chunk(s, tile, plain);
    s->done |= status == 0;
    pthread_mutex_unlock(&s->lock);
    return status;
}

static int inflate_chunk(const struct state *s, const struct bm_tile *tile, size_t plain, struct bm_buf *out,
                         struct bm_error *err)
{
    if (tile->packed.size == plain)
        return 0; /* stored as it is */
    if (bm_buf_resize(out, plain, err) < 0)
        return -1;
    return bm_inflate(tile->packed.data, tile->packed.size, out->data, plain, s->path, err);
}

static void *work(void *arg)
{
    struct state *s = arg;
    struct bm_tile tile = {0};
    struct bm_buf out = {0};
    struct bm_error err = {0};
    size_t plain = 0;
    while (err.code == BM_OK && locked_next(s, &tile, &plain) > 0)
        if (inflate_chunk(s, &tile, plain, &out, &err) < 0) {
            pthread_mutex_lock(&s->lock);
            s->err = err;
            pthread_mutex_unlock(&s->lock);
        }
    bm_tile_free(&tile);
    bm_buf_free(&out);
    return NULL;
}

static int run_threads(struct state *s, size_t n)
{
    pthread_t thread[256];
    size_t started = 0;
    while (started < n && pthread_create(&thread[started], NULL, work, s) == 0)
        started++;
    if (started < n)
        bm_fail(&s->err, BM_ESYS, "%s: a thread cannot be started; use fewer", s->path);
    for (size_t i = 0; i < started; i++)
        pthread_join(thread[i], NULL);
    return s->err.code == BM_OK ? 0 : -1;
}

static int measure(struct state *s, size_t threads, const char *roi_path)
{
    struct bm_grid grid;
    double *roi = NULL;
    int status = roi_path ? bm_nifti_read_volume(roi_path, &grid, &roi, &s->err) : 0;
    s->roi = roi;
    if (status == 0)
        s->source = bm_seriesfile_source(s->path, &s->err);
    if (s->source) {
        status = run_threads(s, threads);
        s->source->close(s->source);
    } else {
        status = -1;
    }
    free(s->want);
    free(roi);
    return status;
}

int main(int argc, char **argv)
{
    int64_t threads;
    if (argc < 3 || argc > 4 || !bm_parse_int(argv[1], 1, 256, &threads)) {
        fprintf(stderr, "usage: inflate_chunks THREADS SERIES.h5 [ROI.nii.gz]\n");
        return 2;
    }
    struct state s = {.lock = PTHREAD_MUTEX_INITIALIZER, .path = argv[2]};
    if (measure(&s, (size_t)threads, argc == 4 ? argv[3] : NULL) < 0) {
        fprintf(stderr, "inflate_chunks: %s\n", s.err.text);
        return 1;
    }
    printf("%zu %zu %llu %llu\n", s.chunks, s.inflated, (unsigned long long)s.bytes_read,
           (unsigned long long)s.bytes_inflated);
    return fflush(stdout) == 0 ? 0 : 1;
}
