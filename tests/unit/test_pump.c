#include "core/pump.h"
#include "files.h"
#include "io/seriesfile.h"
#include "io/stream.h"
#include "runs.h"

#include <sched.h>
#include <stdatomic.h>

#define MAX_RUNS 6
#define MAX_TILES 100
#define ANYWHERE SIZE_MAX

/* Where a fake fails. The order is that of the calls for one tile. */
enum stage {
    NOWHERE,
    NEXT_RUN,
    BEGIN,
    BEGIN_RUN,
    NEXT_TILE,
    DECODE,
    TILE,
    ENCODE,
    PUT_TILE,
    END,
    END_RUN,
    DONE,
    STAGES
};

static const char *const stage_names[] = {"",     "next_run", "begin",    "begin_run", "next_tile", "decode",
                                          "tile", "encode",   "put_tile", "end",       "end_run",   "done"};

/* A source, an operation and a sink in one. Tile i of run r holds the number 1000 r + i, to which each stage does
 * something of its own. */
struct fake {
    struct bm_source source;
    struct bm_sink sink;
    size_t nruns, tiles[MAX_RUNS]; /* what there is */
    bool want[MAX_TILES];
    enum stage fail; /* where, in which run and at which tile */
    size_t fail_run, fail_tile;
    bool silently;
    struct bm_run run;
    size_t next_run, next_tile; /* of the source */
    size_t put_run, put_tile;   /* of the sink */
    size_t begun, ended, progress;
    bool done;
    atomic_int alive, most_alive; /* tiles between next_tile and put_tile */
};

static struct fake *of_sink(struct bm_sink *sink)
{
    return (struct fake *)(void *)((char *)sink - offsetof(struct fake, sink));
}

/* Fails if it is this stage's turn. */
static int stage(struct fake *f, enum stage which, size_t run, size_t tile, struct bm_error *err)
{
    if (f->fail != which || f->fail_run != run || (f->fail_tile != tile && f->fail_tile != ANYWHERE))
        return 0;
    return f->silently ? -1 : bm_fail(err, BM_EDATA, "fake: %s failed; mend it", stage_names[which]);
}

static int fake_next_run(struct bm_source *src, const struct bm_run **run, struct bm_error *err)
{
    struct fake *f = (struct fake *)src;

    if (stage(f, NEXT_RUN, f->next_run, 0, err))
        return -1;
    if (f->next_run == f->nruns)
        return 0;
    bm_run_clear(&f->run);
    f->run.label = text_of("fake");
    f->run.run = (int)f->next_run++;
    f->run.dtype = BM_I32;
    f->run.rows = f->run.tile_cols = 1;
    f->run.voxels = must(calloc(1, sizeof(int64_t)));
    f->next_tile = 0;
    *run = &f->run;
    return 1;
}

static int fake_next_tile(struct bm_source *src, struct bm_tile *tile, struct bm_error *err)
{
    struct fake *f = (struct fake *)src;
    size_t r = f->next_run - 1;
    int32_t number;

    while (f->next_tile < f->tiles[r] && !f->want[f->next_tile])
        f->next_tile++;
    if (stage(f, NEXT_TILE, r, f->next_tile, err))
        return -1;
    if (f->next_tile == f->tiles[r]) {
        bm_run_count(&f->run, "fake.tiles", f->tiles[r]);
        return 0;
    }
    int alive = atomic_fetch_add(&f->alive, 1) + 1;
    if (alive > atomic_load(&f->most_alive))
        atomic_store(&f->most_alive, alive);
    tile->index = f->next_tile++;
    number = (int32_t)(1000 * r + tile->index);
    tile->data.size = 0;
    return bm_buf_append(&tile->data, &number, sizeof number, err) ? -1 : 1;
}

/* number = number * by + 1, after a while that differs from tile to tile. */
static int work(struct fake *f, struct bm_tile *tile, int32_t by, enum stage which, struct bm_error *err)
{
    int32_t *number = tile->data.data, at = *number;

    for (int32_t i = 0; which == TILE && i < at * 7919 % 13; i++)
        (void)sched_yield();
    *number = at * by + 1;
    if (which == ENCODE) /* back to the number that the source gave */
        at = (at - 1) / 3;
    if (which != DECODE)
        at = (at - 1) / 2;
    return stage(f, which, (size_t)at / 1000, tile->index, err);
}

static int fake_decode(struct bm_source *src, struct bm_tile *tile, struct bm_error *err)
{
    return work((struct fake *)src, tile, 2, DECODE, err);
}

static int fake_tile(void *self, const struct bm_run *run, struct bm_tile *tile, struct bm_error *err)
{
    if (run->dtype != BM_F16 || !run->label)
        unit_fail("the operation does not see the run as begin left it");
    return work(self, tile, 3, TILE, err);
}

static int fake_encode(struct bm_sink *sink, struct bm_tile *tile, struct bm_error *err)
{
    return work(of_sink(sink), tile, 5, ENCODE, err);
}

static int fake_begin(void *self, struct bm_run *run, struct bm_error *err)
{
    run->dtype = BM_F16;
    return stage(self, BEGIN, (size_t)run->run, 0, err);
}

static int fake_begin_run(struct bm_sink *sink, const struct bm_run *run, struct bm_error *err)
{
    struct fake *f = of_sink(sink);

    if (run->dtype != BM_F16 || f->run.dtype != BM_I32)
        unit_fail("the operation's run and the source's are mixed up");
    f->put_run = (size_t)run->run;
    f->put_tile = 0;
    f->begun++;
    return stage(f, BEGIN_RUN, f->put_run, 0, err);
}

static int fake_put_tile(struct bm_sink *sink, struct bm_tile *tile, struct bm_error *err)
{
    struct fake *f = of_sink(sink);
    int32_t number;

    while (f->put_tile < MAX_TILES && !f->want[f->put_tile])
        f->put_tile++;
    number = (int32_t)(1000 * f->put_run + f->put_tile);
    if (tile->index != f->put_tile || *(int32_t *)tile->data.data != ((number * 2 + 1) * 3 + 1) * 5 + 1)
        unit_fail("tile %zu comes where tile %zu is due, or unfinished", tile->index, f->put_tile);
    f->put_tile++;
    (void)atomic_fetch_sub(&f->alive, 1);
    return stage(f, PUT_TILE, f->put_run, tile->index, err);
}

static int fake_end(void *self, struct bm_run *run, struct bm_error *err)
{
    bm_run_count(run, "fake.end", 1);
    return stage(self, END, (size_t)run->run, 0, err);
}

static int fake_end_run(struct bm_sink *sink, const struct bm_run *run, struct bm_error *err)
{
    struct fake *f = of_sink(sink);

    f->ended++;
    if (bm_run_counted(run, "fake.tiles") != f->tiles[run->run] || bm_run_counted(run, "fake.end") != 1)
        unit_fail("the counts of run %d did not arrive", run->run);
    return stage(f, END_RUN, f->put_run, 0, err);
}

static int fake_done(void *self, struct bm_error *err)
{
    struct fake *f = self;

    f->done = true;
    return stage(f, DONE, f->fail_run, 0, err);
}

static void fake_progress(void *self, const struct bm_run *run, size_t tiles_done)
{
    (void)run;
    ((struct fake *)self)->progress += tiles_done > 0;
}

static void fake_init(struct fake *f, size_t nruns, const size_t *tiles)
{
    memset(f, 0, sizeof *f);
    f->source = (struct bm_source){.next_run = fake_next_run, .next_tile = fake_next_tile, .decode = fake_decode};
    f->sink = (struct bm_sink){
        .begin_run = fake_begin_run, .encode = fake_encode, .put_tile = fake_put_tile, .end_run = fake_end_run};
    f->nruns = nruns;
    memcpy(f->tiles, tiles, nruns * sizeof *tiles);
    memset(f->want, 1, sizeof f->want);
    bm_run_init(&f->run);
}

static int pump(struct fake *f, int threads, struct bm_error *err)
{
    struct bm_op op = {f, fake_begin, fake_tile, fake_end, fake_done, fake_progress};
    int status = bm_pump(&f->source, &op, &f->sink, threads, err);

    bm_run_clear(&f->run);
    return status;
}

static const size_t some[] = {7, 0, 100, 1, 33, 2};

static void tiles_keep_their_order(void)
{
    for (int threads = 1; threads <= 8; threads++)
        for (size_t nruns = 0; nruns <= MAX_RUNS; nruns++) {
            struct bm_error err = {0};
            struct fake f;
            size_t total = 0;
            fake_init(&f, nruns, some);
            for (size_t r = 0; r < nruns; r++)
                total += some[r];
            REQUIRE(pump(&f, threads, &err) == 0, &err);
            CHECK_ROW(f.begun == nruns && f.ended == nruns && f.done && f.progress == total, threads);
            CHECK_ROW(f.most_alive <= 2 * threads + 2 && f.alive == 0, threads);
        }
}

static void tiles_may_be_left_out(void)
{
    for (int threads = 1; threads <= 8; threads++)
        for (size_t every = 1; every <= 200; every = every * 2 + 1) {
            struct bm_error err = {0};
            struct fake f;
            fake_init(&f, MAX_RUNS, some);
            for (size_t i = 0; i < MAX_TILES; i++)
                f.want[i] = i % every == every - 1; /* none in the end */
            REQUIRE(pump(&f, threads, &err) == 0, &err);
            CHECK_ROW(f.ended == MAX_RUNS && f.done && f.alive == 0, threads);
        }
}

static void every_stage_can_fail(void)
{
    static const size_t places[][2] = {{0, 0}, {0, 6}, {2, 0}, {2, 50}, {2, 99}, {2, ANYWHERE}, {5, 1}};

    for (int s = NEXT_RUN; s < STAGES; s++)
        for (int threads = 1; threads <= 8; threads = threads * 3 / 2 + 1) /* 1, 2, 4, 7 */
            for (size_t i = 0; i < COUNT(places); i++) {
                bool per_tile = s >= NEXT_TILE && s <= PUT_TILE;
                struct bm_error err = {0};
                struct fake f;
                fake_init(&f, MAX_RUNS, some);
                f.fail = (enum stage)s;
                f.fail_run = places[i][0];
                f.fail_tile = per_tile ? places[i][1] : 0;
                CHECK_ROW(pump(&f, threads, &err) == -1, s);
                CHECK_ROW(err.code == BM_EDATA, s);
                CHECK_ERR_CONTAINS(&err, stage_names[s]);
                CHECK_ROW(f.done == (s == DONE), s);
                size_t ended = s == DONE ? MAX_RUNS : s == END_RUN ? f.fail_run + 1 : f.fail_run;
                CHECK_ROW(f.ended == ended, s);
                if (per_tile && f.fail_tile != ANYWHERE)
                    CHECK_ROW(f.put_tile <= f.fail_tile + (s == PUT_TILE), s);
            }
}

/* Also where the failing call forgot to say why. */
static void silent_failures_are_failures(void)
{
    for (int s = NEXT_RUN; s < STAGES; s++) {
        struct bm_error err = {0};
        struct fake f;
        fake_init(&f, MAX_RUNS, some);
        f.fail = (enum stage)s;
        f.fail_run = 2;
        f.silently = true;
        CHECK_ROW(pump(&f, 3, &err) == -1, s);
    }
}

static void only_what_is_there_is_called(void)
{
    for (int threads = 1; threads <= 3; threads++) {
        struct bm_error err = {0};
        struct whole w;
        const struct bm_op op = {.self = NULL};
        make_run(&w, &(struct wish){BM_I16, 30, 200, 7, 2, 4, 1});
        REQUIRE(put_series(bm_stream_sink(scratch("a.npys"), &err), &w, 1, true, &err) == 0, &err);
        struct bm_bytes *in = bm_bytes_open(scratch("a.npys"), &err);
        struct bm_source *src = in ? bm_stream_source(in, &err) : NULL;
        struct bm_sink *sink = bm_stream_sink(scratch("b.npys"), &err); /* neither decode nor encode */
        REQUIRE(src && sink && bm_pump(src, &op, sink, threads, &err) == 0 && sink->finish(sink, &err) == 0, &err);
        sink->close(sink);
        src->close(src);
        in = bm_bytes_open(scratch("b.npys"), &err);
        REQUIRE(in && get_series(bm_stream_source(in, &err), &w, 1, NULL, &err) == 0, &err);
        free_run(&w);
    }
}

/* Series files pack and unpack in the workers: the same bytes whatever their number. */
static void files_do_not_depend_on_the_threads(void)
{
    struct whole w[2];
    size_t n0 = 0, n = 0;
    unsigned char *first = NULL;

    make_run(&w[0], &(struct wish){BM_I16, 40, 300, 8, 2, 4, 1});
    make_run(&w[1], &(struct wish){BM_I16, 20, 300, 8, 2, 6, 1});
    for (int threads = 1; threads <= 8; threads = threads * 2 + 1) {
        struct bm_error err = {0};
        const struct bm_op op = {.self = NULL};
        struct bm_sink *sink = bm_seriesfile_sink(scratch("a.h5"), true, &err);
        REQUIRE(put_series(sink, w, 2, true, &err) == 0, &err);
        struct bm_source *src = bm_seriesfile_source(scratch("a.h5"), &err);
        sink = bm_seriesfile_sink(scratch("b.h5"), true, &err);
        REQUIRE(src && sink && bm_pump(src, &op, sink, threads, &err) == 0 && sink->finish(sink, &err) == 0, &err);
        sink->close(sink);
        src->close(src);
        REQUIRE(get_series(bm_seriesfile_source(scratch("b.h5"), &err), w, 2, NULL, &err) == 0, &err);
        unsigned char *bytes = get_file(scratch("b.h5"), &n);
        if (!first) {
            first = bytes;
            n0 = n;
        } else {
            CHECK_ROW(bytes && n == n0 && memcmp(bytes, first, n) == 0, threads);
            free(bytes);
        }
    }
    free(first);
    free_run(&w[0]);
    free_run(&w[1]);
}

int main(void)
{
    static const struct unit_test all[] = {
        UNIT(tiles_keep_their_order),       UNIT(tiles_may_be_left_out),
        UNIT(every_stage_can_fail),         UNIT(silent_failures_are_failures),
        UNIT(only_what_is_there_is_called), UNIT(files_do_not_depend_on_the_threads),
    };

    (void)alarm(240); /* a deadlock ends here */
    return unit_main(all, COUNT(all));
}
