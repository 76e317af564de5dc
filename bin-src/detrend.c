/* detrend: removes a polynomial trend from each voxel, run by run. */
#include "ops/detrend.h"
#include "clean.h"
#include "ops/panel.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static int64_t order = 1, threads;
static const char *dtype = "float32", *store = "deflate";

static const struct cli_option options[] = {
    {"order", 'k', CLI_INT, &order, "K", "Degree of the polynomial; 0 removes the mean alone.", 0, BM_MAX_ORDER, NULL,
     false},
    CLI_DTYPE(dtype),
    CLI_STORE(store),
    CLI_THREADS(threads),
    {0},
};

static const struct cli_program program = {
    .name = "detrend",
    .purpose = "Remove a polynomial trend from each voxel, run by run",
    .usage = "[OPTIONS] INPUT OUTPUT",
    .description =
        "Projects polynomials of time up to degree K out of every voxel's time series, separately in each run, as "
        "least "
        "squares does. A residue that is numerically nothing beside the voxel's own values becomes exactly 0; such "
        "voxels are counted (detrend.flat_voxels), as are samples that are not finite.\n"
        "\nINPUT and OUTPUT are series files (.h5), tile streams in files (.npys), or \"-\" for a stream "
        "on a pipe.",
    .options = options,
    .examples = "  detrend session_01.h5 clean.h5                    # straight lines, the usual choice\n"
                "  applymask --roi V1.nii.gz session_01.h5 - | detrend --order 2 - - | zscore - v1.h5\n",
    .min_args = 2,
    .max_args = 2,
};

struct state {
    double *basis;
    size_t rows; /* that the basis is for */
    double slope;
    enum bm_dtype from, to;
    atomic_uint_least64_t flat, nonfinite;
};

static int make_basis(struct state *s, const struct bm_run *run, struct bm_error *err)
{
    free(s->basis);
    s->rows = run->rows;
    s->basis = bm_alloc(run->rows, ((size_t)order + 1) * sizeof *s->basis, "basis", err);
    if (s->basis && !bm_poly_basis(s->basis, run->rows, (size_t)order))
        return bm_fail(err, BM_EDATA, "%s: %zu time points are too few for --order %lld; lower the order", run->label,
                       run->rows, (long long)order);
    return s->basis ? 0 : -1;
}

static int begin(void *self, struct bm_run *run, struct bm_error *err)
{
    struct state *s = self;

    s->from = run->dtype;
    s->slope = run->slope;
    s->flat = s->nonfinite = 0;
    run->dtype = s->to;
    run->slope = 1.0;
    run->inter = 0.0;
    return run->rows == s->rows && s->basis ? 0 : make_basis(s, run, err);
}

static int tile(void *self, const struct bm_run *run, struct bm_tile *t, struct bm_error *err)
{
    struct state *s = self;
    struct bm_detrend_found found;
    double *scratch = bm_alloc(bm_panel_scratch(t->rows), sizeof *scratch, "panel", err);

    if (!scratch || bm_buf_resize(&t->packed, t->rows * t->cols * bm_dtype_size(s->to), err)) {
        free(scratch);
        return -1;
    }
    bm_detrend(t->packed.data, s->to, t->data.data, s->from, s->slope, t->rows, t->cols, s->basis, (size_t)order + 1,
               scratch, &found);
    free(scratch);
    if (found.overflow)
        return bm_fail(err, BM_EDATA, "run %s: a value is too large for %s; use --dtype float32 or float64",
                       run->label, dtype);
    bm_tile_swap(t, s->to);
    s->flat += found.flat;
    s->nonfinite += found.nonfinite;
    return 0;
}

static int end(void *self, struct bm_run *run, struct bm_error *err)
{
    struct state *s = self;

    (void)err;
    bm_run_count(run, "detrend.flat_voxels", s->flat);
    bm_run_count(run, "detrend.nonfinite_samples", s->nonfinite);
    return 0;
}

int main(int argc, char **argv)
{
    struct cli cli;
    struct state s = {0};
    struct bm_op op = {.self = &s, .begin = begin, .tile = tile, .end = end};

    cli_parse(&cli, &program, argc, argv);
    s.to = cli_dtype(dtype);
    cli_run_op(&cli, cli.args, 1, cli.args[1], store, &op, cli_threads(threads));
    free(s.basis);
    return 0;
}
