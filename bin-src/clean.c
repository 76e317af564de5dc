#include "clean.h"

#include "io/open.h"

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
