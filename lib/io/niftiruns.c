#include "io/niftiruns.h"

#include "io/gather.h"
#include "io/scan.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* What a thread made of one run. */
struct result {
    struct bm_run run;
    void *tiles;
    struct bm_error err;
    bool ready, grown;
};

struct source {
    struct bm_source base;
    struct bm_niftiruns_config config;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    pthread_t *threads;
    int nthreads;
    struct result *results;       /* one a run */
    size_t next_start, next_give; /* runs begun; runs handed out */
    size_t in_flight, most_in_flight;
    void **spare; /* tile memory to use again */
    size_t nspare, spare_bytes;
    size_t next_tile;
    atomic_bool stop;
    bool grown;
    atomic_uint_least64_t raw;
    struct bm_gather *gather; /* for gather_rows time points; made once while runs have the same length */
    size_t gather_rows;
};

/* ---- one run ---- */

static struct bm_scan *open_scan(const struct bm_niftirun *r, struct bm_error *err)
{
    return bm_scan_open(r->paths, r->nfiles, r->opened, err);
}

/* As open_scan, where the configuration says how to open; *own is for the caller to close after the scan. */
static struct bm_scan *open_by_config(const struct bm_niftiruns_config *config, const struct bm_niftirun *r,
                                      struct bm_nifti **own, struct bm_error *err)
{
    struct bm_bytes *in;

    *own = NULL;
    if (!config->open || r->opened)
        return open_scan(r, err);
    in = config->open(config->self, r->paths[0], err);
    if (in)
        *own = bm_nifti_from(r->paths[0], in, err);
    return *own ? bm_scan_open(r->paths, 1, *own, err) : NULL;
}

static int check_run(const struct source *s, const struct bm_niftirun *r, const struct bm_nifti_info *info,
                     struct bm_error *err)
{
    char a[160], b[160];

    if (!bm_grid_same(&info->grid, &s->config.grid))
        return bm_fail(err, BM_EDATA,
                       "%s: its grid is %s, but the mask or the first run has %s; resample one of them", r->paths[0],
                       bm_grid_text(&info->grid, a, sizeof a), bm_grid_text(&s->config.grid, b, sizeof b));
    if (r->volumes > info->volumes)
        return bm_fail(err, BM_EDATA,
                       "%s: has %zu volumes where %zu are needed (--volumes or the design); check the run",
                       r->paths[0], info->volumes, r->volumes);
    if (s->config.tr == 0.0 && info->tr <= 0.0)
        return bm_fail(err, BM_EDATA, "%s: %s; give --tr", r->paths[0],
                       info->tr_doubt[0] ? info->tr_doubt : "pixdim[4] holds no repetition time");
    return 0;
}

static int describe_run(const struct source *s, const struct bm_niftirun *r, const struct bm_nifti_info *info,
                        struct bm_run *run, struct bm_error *err)
{
    bm_run_init(run);
    run->label = bm_strdup(r->label, err);
    run->voxels = bm_alloc(s->config.nvoxels, sizeof *run->voxels, "voxels", err);
    if (!run->label || !run->voxels)
        return -1;
    memcpy(run->voxels, s->config.voxels, s->config.nvoxels * sizeof *run->voxels);
    run->subject = r->subject;
    run->session = r->session;
    run->run = r->run;
    run->rows = r->volumes ? r->volumes : info->volumes;
    run->cols = s->config.nvoxels;
    run->tile_cols = bm_tile_cols(run->rows);
    run->dtype = info->dtype;
    run->slope = info->slope;
    run->inter = info->inter;
    run->tr = s->config.tr > 0.0 ? s->config.tr : info->tr;
    run->grid = s->config.grid;
    run->absent_zero = s->config.complete;
    return bm_run_check(run, r->paths[0], err);
}

/* The gather table for this length, shared while all runs have the same; the lock is not held. */
static struct bm_gather *get_gather(struct source *s, const struct bm_run *run, bool *own, struct bm_error *err)
{
    struct bm_gather *g = NULL;

    pthread_mutex_lock(&s->lock);
    if (!s->gather) {
        s->gather =
            bm_gather_make(&run->grid, run->voxels, run->cols, run->rows, run->tile_cols, s->config.complete, err);
        s->gather_rows = run->rows;
    }
    if (s->gather && s->gather_rows == run->rows)
        g = s->gather;
    pthread_mutex_unlock(&s->lock);
    *own = !g;
    return g ? g
             : bm_gather_make(&run->grid, run->voxels, run->cols, run->rows, run->tile_cols, s->config.complete, err);
}

static void *take_tiles(struct source *s, size_t bytes, struct bm_error *err)
{
    void *tiles = NULL;

    pthread_mutex_lock(&s->lock);
    if (bytes == s->spare_bytes && s->nspare)
        tiles = s->spare[--s->nspare];
    pthread_mutex_unlock(&s->lock);
    return tiles ? tiles : bm_alloc_large(bytes, "run", err);
}

static void give_tiles(struct source *s, void *tiles, size_t bytes)
{
    if (s->spare_bytes != bytes) {
        while (s->nspare)
            free(s->spare[--s->nspare]);
        s->spare_bytes = bytes;
    }
    s->spare[s->nspare++] = tiles;
}

static uint64_t count_nonfinite(const void *data, enum bm_dtype dtype, size_t n)
{
    uint64_t bad = 0;

    for (size_t i = 0; i < n; i++) {
        if (dtype == BM_F32)
            bad += isfinite(((const float *)data)[i]) ? 0u : 1u;
        else
            bad += isfinite(((const double *)data)[i]) ? 0u : 1u;
    }
    return bad;
}

static int read_volumes(struct source *s, struct bm_scan *in, const struct bm_gather *g, struct result *r,
                        struct bm_error *err)
{
    void *volume = bm_alloc_large(bm_scan_volume_bytes(in), "volume", err);
    int got = volume ? 1 : -1;
    uint64_t before = 0;

    for (size_t t = 0; t < r->run.rows && got > 0; t++) {
        got = bm_scan_next(in, volume, err);
        if (got <= 0)
            break;
        atomic_fetch_add(&s->raw, bm_scan_raw_count(in) - before);
        before = bm_scan_raw_count(in);
        bm_gather_volume(g, r->tiles, volume, t, r->run.dtype);
        if (s->config.complete && bm_gather_outside(g, volume, r->run.dtype)) {
            r->grown = true;
            got = bm_fail(err, BM_EDATA, "%s: voxels outside the brain mask become non-zero", r->run.label);
        }
        if (s->stop)
            got = bm_fail(err, BM_ESYS, "stopped");
    }
    free(volume);
    return got > 0 ? 0 : -1;
}

static int add_step(struct source *s, const struct bm_niftirun *what, const struct bm_scan *in, struct bm_run *run,
                    struct bm_error *err)
{
    struct bm_niftifile *files = bm_alloc(what->nfiles, sizeof *files, "inputs", err);
    char *step;
    int status;

    for (size_t i = 0; files && i < what->nfiles; i++)
        files[i] = (struct bm_niftifile){what->names[i], bm_scan_bytes(in, i), bm_scan_crc32(in, i),
                                         bm_scan_affine_from(in, i)};
    step = files ? s->config.step(s->config.self, files, what->nfiles, err) : NULL;
    status = step ? bm_run_add_step(run, step, err) : -1;
    free(step);
    free(files);
    return status;
}

static int finish_run(struct source *s, const struct bm_niftirun *what, struct bm_scan *in, struct result *r,
                      struct bm_error *err)
{
    size_t dropped = 0;
    uint64_t trailing = 0;

    if (bm_scan_finish(in, &dropped, &trailing, err))
        return -1;
    r->run.volumes = dropped ? r->run.rows + dropped : 0;
    bm_run_count(&r->run, "nifti2h5.dropped_volumes", dropped);
    if (trailing)
        bm_run_count(&r->run, "nifti2h5.trailing_bytes", trailing);
    return add_step(s, what, in, &r->run, err);
}

static size_t padded_bytes(const struct bm_run *run)
{
    return bm_run_tiles(run) * run->tile_cols * run->rows * bm_dtype_size(run->dtype);
}

static int read_run(struct source *s, const struct bm_niftirun *what, struct result *r, struct bm_error *err)
{
    struct bm_nifti *own = NULL;
    struct bm_scan *in = open_by_config(&s->config, what, &own, err);
    const struct bm_nifti_info *info = in ? bm_scan_info(in) : NULL;
    struct bm_gather *g = NULL;
    bool own_gather = false;
    int status = -1;

    if (in && !check_run(s, what, info, err) && !describe_run(s, what, info, &r->run, err))
        g = get_gather(s, &r->run, &own_gather, err);
    if (g)
        r->tiles = take_tiles(s, padded_bytes(&r->run), err);
    if (r->tiles && !read_volumes(s, in, g, r, err))
        status = finish_run(s, what, in, r, err);
    if (own_gather)
        bm_gather_free(g);
    bm_scan_close(in);
    bm_nifti_close(own);
    return status;
}

/* ---- threads ---- */

static bool may_start(const struct source *s)
{
    return s->next_start < s->config.nruns && s->in_flight < s->most_in_flight;
}

static void *inflater(void *arg)
{
    struct source *s = arg;

    for (;;) {
        struct result *r;
        size_t i;

        pthread_mutex_lock(&s->lock);
        while (!s->stop && s->next_start < s->config.nruns && !may_start(s))
            pthread_cond_wait(&s->changed, &s->lock);
        if (s->stop || s->next_start == s->config.nruns) {
            pthread_mutex_unlock(&s->lock);
            return NULL;
        }
        i = s->next_start++;
        s->in_flight++;
        pthread_mutex_unlock(&s->lock);
        r = &s->results[i];
        (void)read_run(s, &s->config.runs[i], r, &r->err);
        pthread_mutex_lock(&s->lock);
        r->ready = true;
        pthread_cond_broadcast(&s->changed);
        pthread_mutex_unlock(&s->lock);
    }
}

/* ---- the source ---- */

static void release(struct source *s, struct result *r)
{
    size_t bytes = r->tiles ? padded_bytes(&r->run) : 0;

    pthread_mutex_lock(&s->lock);
    if (r->tiles)
        give_tiles(s, r->tiles, bytes);
    r->tiles = NULL;
    s->in_flight--;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
    bm_run_clear(&r->run);
}

static int runs_next_run(struct bm_source *src, const struct bm_run **run, struct bm_error *err)
{
    struct source *s = (struct source *)src;
    struct result *r;

    if (s->next_give)
        release(s, &s->results[s->next_give - 1]);
    if (s->next_give == s->config.nruns)
        return 0;
    r = &s->results[s->next_give];
    pthread_mutex_lock(&s->lock);
    while (!r->ready)
        pthread_cond_wait(&s->changed, &s->lock);
    pthread_mutex_unlock(&s->lock);
    s->grown = r->grown;
    if (r->err.code != BM_OK) {
        *err = r->err;
        return -1;
    }
    s->next_give++;
    s->next_tile = 0;
    *run = &r->run;
    return 1;
}

/* The tile's samples out of the run's memory, whose last tile is padded. */
static void copy_tile(struct bm_tile *tile, const struct result *r)
{
    const size_t size = bm_dtype_size(r->run.dtype), pitch = r->run.tile_cols * size;
    const unsigned char *from = (const unsigned char *)r->tiles + tile->index * r->run.rows * pitch;

    if (tile->cols == r->run.tile_cols) {
        memcpy(tile->data.data, from, tile->data.size);
        return;
    }
    for (size_t t = 0; t < tile->rows; t++)
        memcpy((unsigned char *)tile->data.data + t * tile->cols * size, from + t * pitch, tile->cols * size);
}

static int runs_next_tile(struct bm_source *src, struct bm_tile *tile, struct bm_error *err)
{
    struct source *s = (struct source *)src;
    struct result *r = &s->results[s->next_give - 1];

    if (s->next_tile == bm_run_tiles(&r->run))
        return 0;
    if (bm_tile_shape(tile, &r->run, s->next_tile++, err))
        return -1;
    copy_tile(tile, r);
    if (bm_dtype_is_float(tile->dtype))
        bm_run_count(&r->run, "nifti2h5.nonfinite_samples",
                     count_nonfinite(tile->data.data, tile->dtype, tile->rows * tile->cols));
    return 1;
}

static void runs_close(struct bm_source *src)
{
    struct source *s = (struct source *)src;

    pthread_mutex_lock(&s->lock);
    s->stop = true;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
    for (int i = 0; i < s->nthreads; i++)
        pthread_join(s->threads[i], NULL);
    for (size_t i = 0; s->results && i < s->config.nruns; i++) {
        free(s->results[i].tiles);
        bm_run_clear(&s->results[i].run);
    }
    while (s->nspare)
        free(s->spare[--s->nspare]);
    bm_gather_free(s->gather);
    pthread_cond_destroy(&s->changed);
    pthread_mutex_destroy(&s->lock);
    free(s->spare);
    free(s->threads);
    free(s->results);
    free(s);
}

bool bm_niftiruns_grown(const struct bm_source *src)
{
    return ((const struct source *)src)->grown;
}

uint64_t bm_niftiruns_raw_count(const struct bm_source *src)
{
    return atomic_load(&((const struct source *)src)->raw);
}

/* How many runs of this size may be in memory: enough to keep all threads busy, within the budget. */
static int plan_memory(struct source *s, struct bm_error *err)
{
    struct bm_scan *in = open_scan(&s->config.runs[0], err);
    size_t bytes, most = s->config.threads > 1 ? (size_t)s->config.threads : 2;

    if (!in)
        return -1;
    bytes = bm_scan_info(in)->volumes * s->config.nvoxels * bm_dtype_size(bm_scan_info(in)->dtype) + 1;
    bm_scan_close(in);
    s->most_in_flight = s->config.memory / bytes;
    if (s->most_in_flight > most)
        s->most_in_flight = most;
    if (s->most_in_flight < 1)
        s->most_in_flight = 1;
    return 0;
}

static int start_threads(struct source *s, struct bm_error *err)
{
    int want = s->config.threads;

    if ((size_t)want > s->most_in_flight)
        want = (int)s->most_in_flight;
    if ((size_t)want > s->config.nruns)
        want = (int)s->config.nruns;
    for (s->nthreads = 0; s->nthreads < want; s->nthreads++) {
        if (pthread_create(&s->threads[s->nthreads], NULL, inflater, s))
            return bm_fail(err, BM_ESYS, "threads: cannot start one; use fewer --threads");
    }
    return 0;
}

struct bm_source *bm_niftiruns_source(const struct bm_niftiruns_config *config, struct bm_error *err)
{
    struct source *s = bm_calloc(1, sizeof *s, "runs", err);

    if (!s)
        return NULL;
    s->config = *config;
    s->base = (struct bm_source){.next_run = runs_next_run, .next_tile = runs_next_tile, .close = runs_close};
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->changed, NULL);
    s->results = bm_calloc(config->nruns, sizeof *s->results, "runs", err);
    s->threads = bm_calloc((size_t)config->threads, sizeof *s->threads, "threads", err);
    s->most_in_flight = (size_t)config->threads + 1;
    if (config->nruns > 1 && plan_memory(s, err)) {
        runs_close(&s->base);
        return NULL;
    }
    s->spare = bm_calloc(s->most_in_flight + 1, sizeof *s->spare, "runs", err);
    if (s->results && s->threads && s->spare && start_threads(s, err) == 0)
        return &s->base;
    runs_close(&s->base);
    return NULL;
}

/* ---- ever non-zero ---- */

struct scan {
    const struct bm_niftiruns_config *config;
    size_t most;
    bool *flags;
    pthread_mutex_t lock;
    size_t next;
    struct bm_error err;
};

static int scan_run(struct scan *s, const struct bm_niftirun *what, bool *mine, struct bm_error *err)
{
    struct bm_scan *in = open_scan(what, err);
    void *volume = NULL;
    size_t keep;
    int got = 1;

    if (!in)
        return -1;
    if (!bm_grid_same(&bm_scan_info(in)->grid, &s->config->grid)) {
        char a[160], b[160];

        got = bm_fail(err, BM_EDATA, "%s: its grid is %s, but the first run has %s; resample one of them",
                      what->paths[0], bm_grid_text(&bm_scan_info(in)->grid, a, sizeof a),
                      bm_grid_text(&s->config->grid, b, sizeof b));
    }
    keep = what->volumes ? what->volumes : bm_scan_info(in)->volumes;
    if (s->most && s->most < keep)
        keep = s->most;
    if (got > 0 && !(volume = bm_alloc(bm_scan_volume_bytes(in), 1, "volume", err)))
        got = -1;
    for (size_t t = 0; t < keep && got > 0; t++) {
        got = bm_scan_next(in, volume, err);
        if (got > 0)
            bm_mark_nonzero(&s->config->grid, volume, bm_scan_info(in)->dtype, mine);
    }
    free(volume);
    bm_scan_close(in);
    return got < 0 ? -1 : 0;
}

static void *scanner(void *arg)
{
    struct scan *s = arg;
    const size_t voxels = bm_grid_voxels(&s->config->grid);
    struct bm_error err = {0};
    bool *mine = bm_calloc(voxels, sizeof *mine, "mask", &err);

    while (mine && err.code == BM_OK) {
        size_t i;

        pthread_mutex_lock(&s->lock);
        i = s->err.code == BM_OK && s->next < s->config->nruns ? s->next++ : s->config->nruns;
        pthread_mutex_unlock(&s->lock);
        if (i == s->config->nruns)
            break;
        (void)scan_run(s, &s->config->runs[i], mine, &err);
    }
    pthread_mutex_lock(&s->lock);
    for (size_t v = 0; mine && v < voxels; v++)
        s->flags[v] |= mine[v];
    if (s->err.code == BM_OK)
        s->err = err;
    pthread_mutex_unlock(&s->lock);
    free(mine);
    return NULL;
}

int bm_niftiruns_nonzero(const struct bm_niftiruns_config *config, size_t most, bool *flags, struct bm_error *err)
{
    struct scan s = {.config = config, .most = most, .flags = flags};
    pthread_t *threads = bm_calloc((size_t)config->threads, sizeof *threads, "threads", err);
    int n = 0;

    if (!threads)
        return -1;
    pthread_mutex_init(&s.lock, NULL);
    while (n < config->threads && pthread_create(&threads[n], NULL, scanner, &s) == 0)
        n++;
    if (n == 0)
        (void)bm_fail(&s.err, BM_ESYS, "threads: cannot start one");
    for (int i = 0; i < n; i++)
        pthread_join(threads[i], NULL);
    pthread_mutex_destroy(&s.lock);
    free(threads);
    if (s.err.code != BM_OK)
        *err = s.err;
    return s.err.code == BM_OK ? 0 : -1;
}
