/* zscore: standardises each voxel, run by run. */
#include "clean.h"
#include "ops/panel.h"
#include "ops/standardise.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static int64_t ddof = 1, threads;
static const char *method = "zscore", *dtype = "float32", *store = "deflate";

static const struct cli_option options[] = {
    {"method", 'm', CLI_CHOICE, &method, NULL,
     "zscore: (y - mean) / sd. demean: y - mean. psc: percent signal change, 100 (y - mean) / abs(mean); run it "
     "before "
     "detrend, which takes the mean away.",
     0, 0, "zscore|demean|psc", false},
    {"ddof", 'd', CLI_INT, &ddof, "D",
     "The standard deviation's divisor is (time points - D): 1 sample, 0 population.", 0, 1, NULL, false},
    CLI_DTYPE(dtype),
    CLI_STORE(store),
    CLI_THREADS(threads),
    {0},
};

static const struct cli_program program = {
    .name = "zscore",
    .purpose = "Standardise each voxel, run by run",
    .usage = "[OPTIONS] INPUT OUTPUT",
    .description =
        "Gives every voxel's time series mean 0 and standard deviation 1, separately in each run (or one of "
        "the other forms of --method). Constant voxels become 0 and are counted (zscore.constant_voxels), as "
        "are samples that are not finite.\n"
        "\nINPUT and OUTPUT are series files (.h5), tile streams in files (.npys), or \"-\" for a stream "
        "on a pipe.",
    .options = options,
    .examples = "  detrend session_01.h5 - | zscore - clean.h5       # as nilearn's detrend + zscore_sample\n"
                "  zscore --method psc session_01.h5 - | detrend - psc.h5\n",
    .min_args = 2,
    .max_args = 2,
};

struct state {
    enum bm_standard method;
    double slope, inter;
    enum bm_dtype from, to;
    atomic_uint_least64_t constant, nonfinite;
};

static int begin(void *self, struct bm_run *run, struct bm_error *err)
{
    struct state *s = self;

    if (run->rows <= (size_t)ddof)
        return bm_fail(err, BM_EDATA, "%s: one time point has no standard deviation; use --ddof 0 or longer runs",
                       run->label);
    s->from = run->dtype;
    s->slope = run->slope;
    s->inter = run->inter;
    s->constant = s->nonfinite = 0;
    run->dtype = s->to;
    run->slope = 1.0;
    run->inter = 0.0;
    return 0;
}

static int tile(void *self, const struct bm_run *run, struct bm_tile *t, struct bm_error *err)
{
    struct state *s = self;
    struct bm_standardise_found found;
    double *scratch = bm_alloc(bm_panel_scratch(t->rows), sizeof *scratch, "panel", err);

    if (!scratch || bm_buf_resize(&t->packed, t->rows * t->cols * bm_dtype_size(s->to), err)) {
        free(scratch);
        return -1;
    }
    bm_standardise(t->packed.data, s->to, t->data.data, s->from, s->slope, s->inter, t->rows, t->cols, s->method,
                   (size_t)ddof, scratch, &found);
    free(scratch);
    if (found.overflow)
        return bm_fail(err, BM_EDATA, "run %s: a value is too large for %s; use --dtype float32 or float64",
                       run->label, dtype);
    bm_tile_swap(t, s->to);
    s->constant += found.constant;
    s->nonfinite += found.nonfinite;
    return 0;
}

static int end(void *self, struct bm_run *run, struct bm_error *err)
{
    struct state *s = self;

    (void)err;
    bm_run_count(run, "zscore.constant_voxels", s->constant);
    bm_run_count(run, "zscore.nonfinite_samples", s->nonfinite);
    return 0;
}

int main(int argc, char **argv)
{
    struct cli cli;
    struct state s = {0};
    struct bm_op op = {.self = &s, .begin = begin, .tile = tile, .end = end};

    cli_parse(&cli, &program, argc, argv);
    s.method = !strcmp(method, "psc") ? BM_PSC : !strcmp(method, "demean") ? BM_DEMEAN : BM_ZSCORE;
    s.to = cli_dtype(dtype);
    cli_run_op(&cli, cli.args, 1, cli.args[1], store, &op, cli_threads(threads));
    return 0;
}
