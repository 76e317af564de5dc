/* boldqc: what a report needs to know about runs: mean, tSNR, global signal, DVARS, carpet. */
#include "clean.h"
#include "io/open.h"
#include "io/qualityfile.h"
#include "ops/basis.h"
#include "ops/quality.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int64_t order = 1, voxels = 300, threads;

static const struct cli_option options[] = {
    {"order", 'k', CLI_INT, &order, "K",
     "Degree of the polynomial that is taken out of each voxel before its standard deviation is taken; 0 is the mean "
     "alone.",
     0, BM_MAX_ORDER, NULL, false},
    {"voxels", 'n', CLI_INT, &voxels, "N",
     "Voxels in the carpet, spread evenly over all; where there are fewer, all.", 1, 10000, NULL, false},
    CLI_THREADS(threads),
    {0},
};

static const struct cli_program program = {
    .name = "boldqc",
    .purpose = "Measure the quality of runs: mean, tSNR, global signal, DVARS, carpet",
    .usage = "[OPTIONS] INPUT... OUTPUT.json",
    .description =
        "Reads the runs of all inputs once and writes three small files: NAME.json (global signal and DVARS of "
        "every time point, mean and median tSNR of every run, counts, provenance, checksums), NAME.maps.npy (mean, "
        "standard deviation and tSNR of each voxel, over all runs) and NAME.carpet.npy (time points x chosen "
        "voxels). The workflow's report draws its pictures from them; docs/report.md has the definitions.\n"
        "\n"
        "The runs must have the same voxels: give one session, or several that were packed with one mask.\n"
        "\n"
        "INPUT is a series file (.h5), a tile stream in a file (.npys), or \"-\" for a stream on a pipe.",
    .options = options,
    .examples = "  boldqc session_01.h5 session_01.quality.json\n"
                "  nifti2h5 timeseries_session01_run*.nii.gz - | boldqc - session_01.quality.json\n",
    .min_args = 2,
    .max_args = 1000000,
};

/* A sink that keeps sums. A tile's figures travel in its packed buffer from the workers to the writer, who adds them
 * up in order. */
struct gauge {
    struct bm_sink base;
    struct bm_qualityfile *file;
    size_t rows, cols, npicks, runs;
    size_t *picks; /* columns of the carpet */
    double *basis;
    double slope, inter;              /* of the run */
    double *maps;                     /* BM_MAPS x cols, sums over runs */
    double *tsnr;                     /* of the run */
    double *signal, *change, *carpet; /* of the run */
    double total;                     /* of the means of the run's finite voxels */
    size_t finite;
    uint64_t constant, nonfinite;
};

/* What a worker tells of a tile; arrays follow it in the packed buffer. */
struct figures {
    struct bm_quality q;
    size_t first_pick; /* its place among all */
    double values[];
};

static int make_basis(struct gauge *g, const struct bm_run *run, struct bm_error *err)
{
    free(g->basis);
    g->basis = bm_alloc(run->rows, ((size_t)order + 1) * sizeof *g->basis, "basis", err);
    if (!g->basis)
        return -1;
    if (bm_poly_basis(g->basis, run->rows, (size_t)order))
        return 0;
    return bm_fail(err, BM_EDATA, "run %s: %zu time points are too few for order %lld; use a lower --order",
                   run->label, run->rows, (long long)order);
}

static int start(struct gauge *g, const struct bm_run *run, struct bm_error *err)
{
    g->cols = run->cols;
    g->npicks = run->cols < (size_t)voxels ? run->cols : (size_t)voxels;
    g->picks = bm_alloc(g->npicks, sizeof *g->picks, "picks", err);
    g->maps = bm_calloc(g->cols, BM_MAPS * sizeof *g->maps, "maps", err);
    g->tsnr = bm_alloc(g->cols, sizeof *g->tsnr, "tSNR", err);
    if (!g->picks || !g->maps || !g->tsnr)
        return -1;
    bm_quality_picks(g->picks, g->npicks, g->cols);
    return 0;
}

static int make_rows(struct gauge *g, size_t rows, struct bm_error *err)
{
    free(g->signal);
    free(g->change);
    free(g->carpet);
    g->rows = rows;
    g->signal = bm_calloc(rows, sizeof *g->signal, "signal", err);
    g->change = bm_calloc(rows, sizeof *g->change, "signal", err);
    g->carpet = bm_alloc(rows, g->npicks * sizeof *g->carpet, "carpet", err);
    return g->signal && g->change && g->carpet ? 0 : -1;
}

static int gauge_begin_run(struct bm_sink *sink, const struct bm_run *run, struct bm_error *err)
{
    struct gauge *g = (struct gauge *)sink;

    if (g->runs == 0 && start(g, run, err))
        return -1;
    if (run->cols != g->cols)
        return bm_fail(err, BM_EDATA, "run %s: has %zu voxels where runs before it have %zu; give one session",
                       run->label, run->cols, g->cols);
    g->slope = run->slope;
    g->inter = run->inter;
    g->total = 0.0;
    g->finite = 0;
    g->constant = g->nonfinite = 0;
    return make_basis(g, run, err) || make_rows(g, run->rows, err) ? -1 : 0;
}

/* Lays a tile's figures out in its packed buffer: the arrays of doubles, and behind them the picks. */
static struct figures *lay_out(const struct gauge *g, struct bm_tile *tile, struct bm_error *err)
{
    const size_t *picks = g->picks, *end = g->picks + g->npicks;
    size_t n = 0, doubles, *own;
    struct figures *f;

    while (picks < end && *picks < tile->first)
        picks++;
    while (picks + n < end && picks[n] < tile->first + tile->cols)
        n++;
    doubles = 2 * tile->cols + (2 + n) * tile->rows; /* n <= cols, and a tile is limited */
    if (bm_buf_resize(&tile->packed, sizeof *f + doubles * sizeof(double) + n * sizeof *own, err))
        return NULL;
    f = tile->packed.data;
    own = (void *)(f->values + doubles);
    for (size_t k = 0; k < n; k++)
        own[k] = picks[k] - tile->first;
    f->q = (struct bm_quality){.mean = f->values, .sd = f->values + tile->cols, .picks = own, .npicks = n};
    f->q.signal = f->q.sd + tile->cols;
    f->q.change = f->q.signal + tile->rows;
    f->q.carpet = f->q.change + tile->rows;
    f->first_pick = (size_t)(picks - g->picks);
    return f;
}

static int gauge_encode(struct bm_sink *sink, struct bm_tile *tile, struct bm_error *err)
{
    const struct gauge *g = (const struct gauge *)sink;
    struct bm_work w = {.data = tile->data.data, .dtype = tile->dtype, .slope = g->slope, .inter = g->inter};
    struct figures *f = lay_out(g, tile, err);

    w.rows = tile->rows;
    w.cols = tile->cols;
    w.scratch = f ? bm_alloc(bm_quality_scratch(tile->rows, (size_t)order), sizeof *w.scratch, "panel", err) : NULL;
    if (!w.scratch)
        return -1;
    bm_quality_of(&w, g->basis, (size_t)order, &f->q);
    free(w.scratch);
    return 0;
}

static int gauge_put_tile(struct bm_sink *sink, struct bm_tile *tile, struct bm_error *err)
{
    struct gauge *g = (struct gauge *)sink;
    const struct figures *f = tile->packed.data;
    const struct bm_quality *q = &f->q;

    (void)err;
    for (size_t c = 0; c < tile->cols; c++) {
        const size_t column = tile->first + c;
        const bool constant = q->sd[c] == 0.0;
        const double tsnr = constant ? 0.0 : q->mean[c] / q->sd[c];

        g->tsnr[column] = constant ? NAN : tsnr; /* the median is that of voxels that vary */
        g->maps[BM_MAP_MEAN * g->cols + column] += q->mean[c];
        g->maps[BM_MAP_SD * g->cols + column] += q->sd[c] * q->sd[c];
        g->maps[BM_MAP_TSNR * g->cols + column] += tsnr;
        g->total += isnan(q->mean[c]) ? 0.0 : q->mean[c];
    }
    for (size_t t = 0; t < tile->rows; t++) {
        g->signal[t] += q->signal[t];
        g->change[t] += q->change[t];
        memcpy(g->carpet + t * g->npicks + f->first_pick, q->carpet + t * q->npicks, q->npicks * sizeof *q->carpet);
    }
    g->finite += q->finite;
    g->constant += q->constant;
    g->nonfinite += q->nonfinite;
    return 0;
}

/* Sums over voxels to the global signal and DVARS; NaN where there is no time point one TR before. */
static void settle_rows(struct gauge *g, const struct bm_run *run)
{
    for (size_t t = 0; t < run->rows; t++) {
        const bool follows = t && bm_run_time(run, t) == bm_run_time(run, t - 1) + 1;

        g->signal[t] = g->finite ? g->signal[t] / (double)g->finite : NAN;
        g->change[t] = g->finite && follows ? sqrt(g->change[t] / (double)g->finite) : NAN;
    }
}

static int gauge_end_run(struct bm_sink *sink, const struct bm_run *run, struct bm_error *err)
{
    struct gauge *g = (struct gauge *)sink;
    struct bm_quality_run of_run = {.signal = g->signal, .dvars = g->change, .carpet = g->carpet};

    settle_rows(g, run);
    of_run.mean = g->finite ? g->total / (double)g->finite : NAN;
    of_run.tsnr = bm_median(g->tsnr, g->cols);
    g->runs++;
    return bm_qualityfile_add(g->file, run, g->picks, g->npicks, &of_run, err);
}

/* The counts of the run, which the sink has made. */
static int add_counts(void *self, struct bm_run *run, struct bm_error *err)
{
    const struct gauge *g = self;

    (void)err;
    bm_run_count(run, "boldqc.constant_voxels", g->constant);
    bm_run_count(run, "boldqc.nonfinite_samples", g->nonfinite);
    return 0;
}

static int gauge_finish(struct bm_sink *sink, struct bm_error *err)
{
    struct gauge *g = (struct gauge *)sink;

    for (size_t i = 0; i < BM_MAPS * g->cols; i++)
        g->maps[i] /= (double)g->runs;
    for (size_t c = 0; c < g->cols; c++)
        g->maps[BM_MAP_SD * g->cols + c] = sqrt(g->maps[BM_MAP_SD * g->cols + c]);
    return bm_qualityfile_finish(g->file, g->maps, err);
}

static void gauge_close(struct bm_sink *sink)
{
    struct gauge *g = (struct gauge *)sink;

    bm_qualityfile_close(g->file);
    free(g->picks);
    free(g->basis);
    free(g->maps);
    free(g->tsnr);
    free(g->signal);
    free(g->change);
    free(g->carpet);
}

int main(int argc, char **argv)
{
    struct cli cli;
    struct bm_error err = {0};
    struct gauge g = {.base = {.begin_run = gauge_begin_run,
                               .encode = gauge_encode,
                               .put_tile = gauge_put_tile,
                               .end_run = gauge_end_run,
                               .finish = gauge_finish,
                               .close = gauge_close}};
    struct bm_op op = {.self = &g, .end = add_counts};
    struct bm_source *src;

    cli_parse(&cli, &program, argc, argv);
    src = bm_open_sources(cli.args, cli.nargs - 1, &err);
    g.file = src ? bm_qualityfile_open(cli.args[cli.nargs - 1], &err) : NULL;
    if (!g.file)
        cli_fail(&cli, &err);
    cli_pump(&cli, src, &g.base, &op, cli_threads(threads));
    return 0;
}
