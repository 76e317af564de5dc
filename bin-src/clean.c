#include "clean.h"

#include "io/open.h"
#include "io/runname.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum bm_dtype cli_dtype(const char *name)
{
    enum bm_dtype t = BM_F32;

    (void)bm_dtype_from_name(name, &t);
    return t;
}

/* Wraps the program's op: provenance and progress around it. */
struct wrapped {
    const struct cli *cli;
    const struct bm_op *op;
    size_t runs;
};

static int begin(void *self, struct bm_run *run, struct bm_error *err)
{
    struct wrapped *w = self;
    char *step = w->cli->own_steps ? NULL : cli_step(w->cli, NULL, 0, err);
    int status = step ? bm_run_add_step(run, step, err) : w->cli->own_steps ? 0 : -1;

    free(step);
    w->runs++;
    if (!status && w->op->begin)
        status = w->op->begin(w->op->self, run, err);
    return status;
}

static int tile(void *self, const struct bm_run *run, struct bm_tile *t, struct bm_error *err)
{
    struct wrapped *w = self;

    return w->op->tile(w->op->self, run, t, err);
}

static int end(void *self, struct bm_run *run, struct bm_error *err)
{
    struct wrapped *w = self;

    return w->op->end ? w->op->end(w->op->self, run, err) : 0;
}

static int done(void *self, struct bm_error *err)
{
    struct wrapped *w = self;

    return w->op->done ? w->op->done(w->op->self, err) : 0;
}

static void progress(void *self, const struct bm_run *run, size_t tiles_done)
{
    const struct wrapped *w = self;

    (void)run;
    if (tiles_done == 1)
        cli_progress(w->cli, "runs", w->runs, 0);
}

void cli_pump(const struct cli *cli, struct bm_source *src, struct bm_sink *sink, const struct bm_op *op, int threads)
{
    struct bm_error err = {0};
    struct wrapped w = {cli, op, 0};
    struct bm_op outer = {&w, begin, op->tile ? tile : NULL, end, done, progress};
    int status = bm_pump(src, &outer, sink, threads, &err);

    if (!status)
        status = sink->finish(sink, &err);
    sink->close(sink);
    src->close(src);
    cli_progress_end(cli);
    if (status)
        cli_fail(cli, &err);
}

void cli_run_op(const struct cli *cli, char *const *inputs, size_t n, const char *output, const char *store,
                const struct bm_op *op, int threads)
{
    struct bm_error err = {0};
    struct bm_source *src;
    struct bm_sink *sink;

    cli_check_stdout(cli, output);
    src = bm_open_sources(inputs, n, &err);
    sink = src ? bm_open_sink(output, !strcmp(store, "deflate"), &err) : NULL;
    if (!sink)
        cli_fail(cli, &err);
    cli_pump(cli, src, sink, op, threads);
}

/* ---- programs that change values ---- */

struct cleaning {
    const struct cli_cleaner *c;
    enum bm_dtype from, to;
    double slope, inter;
    atomic_uint_least64_t nothing, nonfinite;
};

static int clean_begin(void *self, struct bm_run *run, struct bm_error *err)
{
    struct cleaning *s = self;

    s->nothing = s->nonfinite = 0;
    if (s->c->begin(s->c->self, run, err))
        return -1;
    s->from = run->dtype;
    s->slope = run->slope;
    s->inter = run->inter;
    run->dtype = s->to;
    run->slope = 1.0;
    run->inter = 0.0;
    return 0;
}

#define ALIGN 64u /* bytes: panels that begin with a cache line are faster */

int cli_work(struct bm_tile *t, const struct bm_run *run, struct bm_work *w, size_t doubles, cli_kernel *kernel,
             const void *self, struct bm_error *err)
{
    double *scratch = bm_alloc(doubles + ALIGN / sizeof *scratch, sizeof *scratch, "panel", err);

    if (!scratch || bm_buf_resize(&t->packed, run->rows * t->cols * bm_dtype_size(run->dtype), err)) {
        free(scratch);
        return -1;
    }
    w->data = t->data.data;
    w->rows = t->rows;
    w->cols = t->cols;
    w->out = t->packed.data;
    w->out_dtype = run->dtype;
    w->scratch = scratch + (ALIGN - (uintptr_t)scratch % ALIGN) / sizeof *scratch;
    kernel(self, w);
    free(scratch);
    t->rows = run->rows;
    bm_tile_swap(t, run->dtype);
    if (w->overflow)
        return bm_fail(err, BM_EDATA, "run %s: a value is too large for %s; use --dtype float32 or float64",
                       run->label, bm_dtype_name(run->dtype));
    return 0;
}

static int clean_tile(void *self, const struct bm_run *run, struct bm_tile *t, struct bm_error *err)
{
    struct cleaning *s = self;
    struct bm_work w = {.dtype = s->from, .slope = s->slope, .inter = s->inter};
    const bool refuse = !strcmp(s->c->nonfinite, "error");

    w.zero = !strcmp(s->c->nonfinite, "zero");
    if (cli_work(t, run, &w, s->c->scratch(s->c->self, t->rows), s->c->kernel, s->c->self, err))
        return -1;
    s->nothing += w.nothing;
    s->nonfinite += w.nonfinite;
    if (!w.nonfinite || !refuse)
        return 0;
    return bm_fail(
        err, BM_EDATA,
        "run %s: there are samples that are not finite; use --nonfinite voxel or zero, or leave these voxels "
        "out of the mask",
        run->label);
}

static int clean_end(void *self, struct bm_run *run, struct bm_error *err)
{
    const struct cleaning *s = self;

    (void)err;
    bm_run_count(run, s->c->nothing_count, s->nothing);
    bm_run_count(run, s->c->nonfinite_count, s->nonfinite);
    if (s->c->end)
        s->c->end(s->c->self, run);
    return 0;
}

static int clean_done(void *self, struct bm_error *err)
{
    const struct cleaning *s = self;

    return s->c->done ? s->c->done(s->c->self, err) : 0;
}

void cli_clean(const struct cli *cli, const struct cli_cleaner *cleaner, int threads)
{
    struct cleaning s = {.c = cleaner, .to = cli_dtype(cleaner->dtype)};
    struct bm_op op = {.self = &s, .begin = clean_begin, .tile = clean_tile, .end = clean_end, .done = clean_done};

    cli_run_op(cli, cli->args, 1, cli->args[1], cleaner->store, &op, threads);
}

/* ---- one file a run ---- */

static bool is_pattern(const struct cli_list *files)
{
    return files->n == 1 && strchr(files->items[0], '{');
}

char *cli_file_of_run(const struct cli_list *files, const char *option, size_t nth, const struct bm_run *run,
                      struct bm_error *err)
{
    if (is_pattern(files))
        return bm_runname_expand(files->items[0], run->subject, run->session, run->run, err);
    if (nth < files->n)
        return bm_strdup(files->items[nth], err);
    (void)bm_fail(err, BM_EUSAGE,
                  "run %s: --%s was given %zu times, but there are more runs; give one --%s a run, or a pattern with "
                  "{session} and {run}",
                  run->label, option, files->n, option);
    return NULL;
}

int cli_files_used(const struct cli_list *files, const char *option, size_t runs, struct bm_error *err)
{
    if (files->n <= runs || is_pattern(files))
        return 0;
    return bm_fail(err, BM_EUSAGE, "--%s was given %zu times for %zu runs; give one a run", option, files->n, runs);
}
