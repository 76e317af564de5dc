/* What only computes: each allocation of a call fails once, in a call of its own, and then all from there on; and so
 * does each start of a thread. The call must say so, and (under the address sanitizer) lose nothing. Readers and
 * writers are in test_memory.c.
 */
#include "core/pump.h"
#include "core/tally.h"
#include "core/tasks.h"
#include "failing.h"
#include "load/rows.h"
#include "ops/basis.h"
#include "ops/denoise.h"
#include "ops/resample.h"
#include "ops/shuffle.h"
#include "ops/spline.h"
#include "ops/split.h"
#include "ops/synth.h"
#include "runs.h"

#include <unistd.h>

#define T 40

/* ---- core ---- */

static struct whole whole; /* with gaps in time */

static void make_whole(void)
{
    make_run(&whole, &(struct wish){BM_F32, T, 50, 8, 2, 3, 1});
    whole.run.times = must(malloc(T * sizeof *whole.run.times));
    for (int32_t t = 0; t < T; t++)
        whole.run.times[t] = t + t / 10;
}

static int copy_run(struct bm_error *err)
{
    static const size_t keep[] = {1, 2, 5};
    struct bm_run run;
    int status = bm_run_copy(&run, &whole.run, err);

    if (status)
        return -1;
    status = bm_run_add_step(&run, "{}", err) || bm_run_keep_rows(&run, keep, COUNT(keep), err) ? -1 : 0;
    bm_run_clear(&run);
    return status;
}

static int tally(struct bm_error *err)
{
    struct bm_tally t;

    if (bm_tally_begin(&t, 9, err))
        return -1;
    (void)bm_tally_end(&t);
    return 0;
}

struct reader {
    struct bm_source source;
    size_t tiles; /* given so far */
    bool done;
};

static int next_run(struct bm_source *src, const struct bm_run **run, struct bm_error *err)
{
    struct reader *r = (struct reader *)src;
    bool more = !r->done;

    (void)err;
    r->done = true;
    *run = &whole.run;
    return more;
}

static int next_tile(struct bm_source *src, struct bm_tile *tile, struct bm_error *err)
{
    struct reader *r = (struct reader *)src;

    if (r->tiles == bm_run_tiles(&whole.run))
        return 0;
    return bm_tile_shape(tile, &whole.run, r->tiles++, err) ? -1 : 1;
}

static size_t written; /* tiles */

static int about_run(struct bm_sink *sink, const struct bm_run *run, struct bm_error *err)
{
    (void)sink, (void)run, (void)err;
    return 0;
}

static int put_tile(struct bm_sink *sink, struct bm_tile *tile, struct bm_error *err)
{
    (void)sink, (void)err;
    written += tile->cols > 0;
    return 0;
}

static int pump_with(int threads, struct bm_error *err)
{
    struct reader r = {.source = {.next_run = next_run, .next_tile = next_tile}};
    struct bm_sink sink = {.begin_run = about_run, .put_tile = put_tile, .end_run = about_run};
    const struct bm_op op = {.self = NULL};

    written = 0;
    return bm_pump(&r.source, &op, &sink, threads, err);
}

static int pump(struct bm_error *err)
{
    return pump_with(1, err);
}

static atomic_size_t tasks_done;

static int one_task(void *self, void *worker, size_t i, const atomic_bool *stop, struct bm_error *err)
{
    (void)self, (void)worker, (void)i, (void)stop, (void)err;
    atomic_fetch_add(&tasks_done, 1);
    return 0;
}

static int work(struct bm_error *err)
{
    const struct bm_tasks tasks = {.n = 100, .worker_size = 10, .run = one_task};

    atomic_store(&tasks_done, 0);
    return bm_tasks_run(&tasks, 3, err);
}

/* ---- ops ---- */

static double confounds[T * 3];

static int extend_basis(struct bm_error *err)
{
    double q[T * 5];
    size_t found;

    return bm_poly_basis(q, T, 1) ? bm_basis_extend(q, T, 2, confounds, 3, &found, err) : -1;
}

static int plan_cleaning(const struct bm_denoise_settings *set, struct bm_error *err)
{
    size_t keep[T - 6];
    struct bm_denoise_run run = {.label = "r", .tr = 2, .volumes = T, .rows = T, .keep = keep, .at = keep};
    struct bm_denoise *d;

    for (size_t t = 0; t < T; t++)
        if (t % 7 != 3)
            keep[run.kept++] = t;
    run.confounds = confounds;
    run.ncols = 3;
    d = bm_denoise_plan(set, &run, err);
    bm_denoise_free(d);
    return d ? 0 : -1;
}

static int plan_cosines(struct bm_error *err)
{
    return plan_cleaning(&(struct bm_denoise_settings){.order = 1, .high_pass = 0.02}, err);
}

static int plan_butterworth(struct bm_error *err)
{
    return plan_cleaning(
        &(struct bm_denoise_settings){.order = 1, .butterworth = true, .high_pass = 0.02, .filter_order = 2}, err);
}

static int plan_shift(struct bm_error *err)
{
    struct bm_resample r = {.edges = BM_EDGES_DROP};
    int status;

    bm_kernel_make(&r.kernel, BM_SHIFT_CUBIC, 0, 0.25);
    status = bm_resample_plan(&r, whole.run.times, T, err);
    bm_resample_clear(&r);
    return status;
}

static int make_spline(struct bm_error *err)
{
    static const size_t at[] = {0, 2, 3, 9};
    struct bm_spline s;
    int status = bm_spline_make(&s, at, COUNT(at), err);

    bm_spline_clear(&s);
    return status;
}

static int order_blocks(struct bm_error *err)
{
    const struct bm_order order = {BM_ORDER_BLOCK, 4, 2, 0, 0};
    int64_t rows[T];

    for (int64_t i = 0; i < T; i++)
        rows[i] = i;
    return bm_order_rows(rows, T, &order, 0, err);
}

/* 20 runs of 12 rows, an image in every third; one more without anything. */
static int make_timeline(struct bm_timeline *t, struct bm_error *err)
{
    unsigned char record[12 * 22];

    for (int16_t run = 1; run <= 20; run++) {
        struct bm_rows rows = {1, 12, record};

        for (int32_t i = 0; i < 12; i++) {
            int32_t image = 4 * run + i / 3;
            struct bm_row row = {&image, 1, 2, run, (float)i, i / 3, image};

            bm_row_put(&rows, (size_t)i, &row);
        }
        if (bm_timeline_add_rows(t, &rows, "x", err))
            return -1;
    }
    return 0;
}

static int split_by(enum bm_by by, enum bm_unit unit, struct bm_error *err)
{
    struct bm_split_rule rule = {.by = by, .unit = unit, .window = 4};
    struct bm_timeline t = {0};
    struct bm_split s;
    int status = bm_split_parse("a=0.5,b=0.5", &rule, err) || make_timeline(&t, err) ? -1 : 0;

    if (!status && !(status = bm_split_make(&s, &t, &rule, "x", err)))
        bm_split_free(&s);
    bm_timeline_free(&t);
    return status;
}

static int split_images(struct bm_error *err)
{
    return split_by(BM_BY_IMAGE, BM_UNIT_PRESENTATION, err);
}

static int split_runs(struct bm_error *err)
{
    return split_by(BM_BY_RUN, BM_UNIT_ROW, err);
}

static int add_runs(struct bm_error *err)
{
    struct bm_timeline t = {0};
    int status = 0;

    for (int run = 0; run < 50 && !status; run++)
        status = bm_timeline_add_run(&t, 1, 1, run, 5, err);
    bm_timeline_free(&t);
    return status;
}

static int make_experiment(struct bm_error *err)
{
    const struct bm_synth_plan plan = {.subjects = {[1] = true}, .sessions = {[1] = true}, .runs = 1};
    struct bm_synth_experiment *e = __real_malloc(sizeof *e);
    int status = bm_synth_experiment_make(must(e), 7, &plan, err);

    free(e);
    return status;
}

static int make_subject(struct bm_error *err)
{
    static const int64_t dims[3] = {9, 8, 10};
    static int16_t volume[9 * 8 * 10];
    static const float regressors[2 * BM_SYNTH_REGRESSORS] = {1};
    struct bm_synth_anatomy a;
    struct bm_synth_truth truth = {0};
    struct bm_synth_run run = {0};
    struct bm_synth_sums sums = {0};
    struct bm_grid grid;
    int status;

    bm_synth_grid(&grid, dims, 2);
    status = bm_synth_anatomy_make(&a, &grid, 7, 1, 1, err) || bm_synth_truth_make(&truth, &a, err) ||
                     bm_synth_run_init(&run, &a, err)
                 ? -1
                 : 0;
    if (!status) {
        bm_synth_run_start(&run, 7, 1, 1, 1, regressors, 2);
        bm_synth_run_volume(&run, volume);
        status = bm_synth_sums_add(&sums, &run, err);
    }
    bm_synth_sums_clear(&sums);
    bm_synth_run_clear(&run);
    bm_synth_truth_clear(&truth);
    bm_synth_anatomy_clear(&a);
    return status;
}

/* ---- load ---- */

static int gather_with(bool standardised, struct bm_error *err)
{
    static const float values[6] = {1, 2, 3, 4, 5, 7};
    static const int64_t rows[] = {1, 0}, columns[] = {2, 0};
    const struct bm_matrix m = {values, 2, 3, BM_SAMPLE_F32};
    float out[4];
    const struct bm_batch b = {rows, 2, columns, 2, out, 8, BM_SAMPLE_F32};

    return standardised ? bm_gather_standardised(&m, &b, "x", 1, err) : bm_gather(&m, &b, "x", 1, err);
}

static int gather(struct bm_error *err)
{
    return gather_with(false, err);
}

static int gather_standardised(struct bm_error *err)
{
    return gather_with(true, err);
}

/* ---- tests ---- */

/* The call without a failure, and how many of the kind it makes. */
static long without_failure(struct failing *f, const char *name, int (*call)(struct bm_error *err))
{
    struct bm_error err = {0};

    fail_from(f, 0, false);
    if (call(&err))
        unit_fail("%s: without a failure: %s", name, err.text);
    return atomic_load(&f->made);
}

static void each_fails(const char *name, int (*call)(struct bm_error *err), long least)
{
    const long made = without_failure(&allocations, name, call);

    if (made < least)
        unit_fail("%s: %ld allocations, not at least %ld", name, made, least);
    for (long at = 1; at <= made; at++)
        for (int on = 0; on < 2; on++) {
            struct bm_error err = {0};

            fail_from(&allocations, at, on);
            const int status = call(&err);
            fail_from(&allocations, 0, false);
            if (status == 0 || err.code != BM_ESYS || !strstr(err.text, "out of memory"))
                unit_fail("%s: allocation %ld%s: status %d, \"%s\"", name, at, on ? " and later" : "", status,
                          err.text);
        }
}

#define EACH(call, least) each_fails(#call, call, least)

static void allocations_of_core(void)
{
    EACH(copy_run, 12);
    EACH(tally, 2);
    EACH(pump, 5);
    EACH(work, 3);
}

static void allocations_of_ops(void)
{
    EACH(extend_basis, 4);
    EACH(plan_cosines, 8);
    EACH(plan_butterworth, 12);
    EACH(plan_shift, 1);
    EACH(make_spline, 3);
    EACH(order_blocks, 3);
    EACH(split_images, 8);
    EACH(split_runs, 7);
    EACH(add_runs, 4);
}

static void allocations_of_made_up_data(void)
{
    EACH(make_experiment, 3);
    EACH(make_subject, 30);
}

static void allocations_of_load(void)
{
    EACH(gather, 2);
    EACH(gather_standardised, 2);
}

/* The pump needs all of its threads. */
static void threads_of_the_pump(void)
{
    for (long at = 1; at <= 4; at++)
        for (int on = 0; on < 2; on++) {
            struct bm_error err = {0};

            fail_from(&threads_started, at, on);
            CHECK_ROW(pump_with(3, &err) == -1 && err.code == BM_ESYS && written == 0, at);
            CHECK_ERR_CONTAINS(&err, "threads: cannot start one; use fewer --threads");
        }
    fail_from(&threads_started, 0, false);
}

/* Tasks are done by those that could be started. */
static void threads_of_tasks(void)
{
    for (long at = 1; at <= 3; at++) {
        struct bm_error err = {0};

        fail_from(&threads_started, at, true);
        const int status = work(&err);
        CHECK_ROW(status == (at > 1 ? 0 : -1), at);
        CHECK_ROW(atomic_load(&tasks_done) == (at > 1 ? 100 : 0), at);
        CHECK_ERR_CONTAINS(&err, at > 1 ? "" : "threads: none could be started");
    }
    fail_from(&threads_started, 0, false);
}

int main(void)
{
    static const struct unit_test all[] = {
        UNIT(allocations_of_core), UNIT(allocations_of_ops),  UNIT(allocations_of_made_up_data),
        UNIT(allocations_of_load), UNIT(threads_of_the_pump), UNIT(threads_of_tasks),
    };
    struct bm_random r;

    (void)alarm(240); /* a deadlock ends here */
    bm_random_seed(&r, 4, 0);
    for (size_t i = 0; i < COUNT(confounds); i++)
        confounds[i] = bm_random_unit(&r) - 0.5;
    make_whole();
    const int status = unit_main(all, COUNT(all));
    free_run(&whole);
    return status;
}
