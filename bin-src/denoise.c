/* denoise: trend, slow drifts, confounds, a band-pass and bad volumes out of each voxel, run by run. */
#include "ops/denoise.h"
#include "clean.h"
#include "io/confounds.h"
#include "ops/basis.h"
#include "ops/butterworth.h"
#include "ops/censor.h"

#include <stdlib.h>
#include <string.h>

static int64_t order = 1, filter_order = 5, before, after, min_segment, threads;
static double high_pass, low_pass;
static bool keep_mean;
static struct cli_list confounds, conditions, masks;
static const char *filter = "cosine", *columns, *expand, *missing = "start", *ends = "drop";
static const char *nonfinite = "voxel", *dtype = "float32", *store = "deflate";

#define PER_RUN                                                                                                      \
    "With {subject}, {session}, {run} in the name one pattern serves all runs; otherwise one file a run, in the "    \
    "runs' order."

static const struct cli_option options[] = {
    {"order", 'k', CLI_INT, &order, "K",
     "Degree of the polynomial trend that is taken out; 0 takes the mean alone, -1 nothing.", -1, BM_MAX_ORDER, NULL,
     false},
    {"high-pass", 0, CLI_REAL, &high_pass, "HZ", "Takes out what is slower than this; 0: no such filter.", 0, 1000,
     NULL, false},
    {"low-pass", 0, CLI_REAL, &low_pass, "HZ",
     "Takes out what is faster than this; 0: no such filter. Needs --filter butterworth.", 0, 1000, NULL, false},
    {"filter", 0, CLI_CHOICE, &filter, NULL,
     "cosine: a discrete cosine basis below --high-pass joins the confounds, as in SPM and fMRIPrep. butterworth: a "
     "filter over time, forwards and backwards.",
     0, 0, "cosine|butterworth", false},
    {"filter-order", 0, CLI_INT, &filter_order, "N", "Order of the Butterworth filter.", 1, BM_MAX_FILTER_ORDER, NULL,
     false},
    {"confounds", 0, CLI_LIST, &confounds, "FILE",
     "Table of confounds, one line a volume: fMRIPrep's desc-confounds_timeseries.tsv, or numbers without a header "
     "as NSD's motion files. " PER_RUN,
     0, 0, NULL, false},
    {"columns", 0, CLI_STRING, &columns, "LIST",
     "Columns to take out: names, globs and, without a header, ranges, with commas between them "
     "(\"trans_*,rot_*,csf\", "
     "\"1-6\"); \"none\" where the table is there for --censor alone. Without this option: all columns.",
     0, 0, NULL, false},
    {"expand", 0, CLI_STRING, &expand, "LIST",
     "Of derivatives,squares: adds differences from volume to volume and squares of the columns; both make the "
     "24-parameter model of 6 motion columns.",
     0, 0, NULL, false},
    {"missing", 0, CLI_CHOICE, &missing, NULL,
     "What n/a in a chosen column becomes. start: the column's first value, for those before it; later ones are an "
     "error. mean: the column's mean over kept volumes.",
     0, 0, "start|zero|mean|error", false},
    {"censor", 0, CLI_LIST, &conditions, "COND",
     "Leaves out the volumes for which this holds, such as 'framewise_displacement > 0.5' or 'motion_outlier* > 0'. "
     "n/a fulfils no condition.",
     0, 0, NULL, false},
    {"sample-mask", 0, CLI_LIST, &masks, "FILE",
     "One number a line, one line a volume: 0 leaves the volume out. " PER_RUN, 0, 0, NULL, false},
    {"censor-before", 0, CLI_INT, &before, "N", "Also leaves out N volumes before each.", 0, 1000000, NULL, false},
    {"censor-after", 0, CLI_INT, &after, "N", "Also leaves out N volumes after each.", 0, 1000000, NULL, false},
    {"min-segment", 0, CLI_INT, &min_segment, "N",
     "Also leaves out what is kept between two of them where it is shorter than N volumes (nilearn's scrub: 5).", 0,
     1000000, NULL, false},
    {"ends", 0, CLI_CHOICE, &ends, NULL,
     "Butterworth with volumes left out at the beginning or the end of the run: the filter does not see them (drop, "
     "nilearn's default), or sees what the spline makes of them (extrapolate).",
     0, 0, "drop|extrapolate", false},
    CLI_KEEP_MEAN(keep_mean),
    CLI_NONFINITE(nonfinite),
    CLI_DTYPE(dtype),
    CLI_STORE(store),
    CLI_THREADS(threads),
    {0},
};

static const struct cli_program program = {
    .name = "denoise",
    .purpose = "Take trends, drifts, confounds and bad volumes out of each voxel, run by run",
    .usage = "[OPTIONS] INPUT OUTPUT",
    .description =
        "Cleans in the order of nilearn's signal.clean. Volumes that are left out go first; with a Butterworth "
        "filter they are interpolated by a cubic spline through the others instead, and go after it. Then the "
        "polynomial trend is taken out of data and confounds, then the Butterworth filter goes over both, then the "
        "confounds are projected out. Cosine drifts are made for the whole run and join the confounds. Rows that "
        "are left out are missing from the output, and each row keeps the number of its volume (times). A residue "
        "that is numerically nothing beside the voxel's own values becomes exactly 0.\n"
        "\n"
        "Counts: denoise.flat_voxels, denoise.nonfinite_samples, denoise.censored_volumes, denoise.regressors "
        "(taken out beside the polynomial), denoise.dropped_confounds (with nothing new in them).\n" CLI_SERIES_NAMES,
    .options = options,
    .examples = "  denoise --high-pass 0.008 session_01.h5 clean.h5\n"
                "  denoise --confounds 'confounds_run-{run}.tsv' --columns 'trans_*,rot_*,csf' --expand squares "
                "in.h5 out.h5\n"
                "  denoise --confounds c.tsv --columns none --censor 'framewise_displacement > 0.5' in.h5 out.h5\n"
                "  denoise --filter butterworth --high-pass 0.01 --low-pass 0.1 in.h5 - | zscore - out.h5\n",
    .min_args = 2,
    .max_args = 2,
};

struct state {
    const struct cli *cli;
    size_t runs; /* begun so far */
    struct bm_denoise *plan;
    uint64_t censored; /* rows left out of this run */
    char *inputs[2];   /* of this run's step */
    size_t ninputs;
};

/* What is known of one run while it is planned. */
struct planning {
    struct bm_run *run;
    size_t volumes;
    bool *censored;
    size_t *keep, *at, kept;
    struct bm_confounds table, chosen;
};

static int add_input(struct state *s, const char *path, uint64_t bytes, uint32_t crc32, struct bm_error *err)
{
    s->inputs[s->ninputs] = cli_input(path, bytes, crc32, err);
    return s->inputs[s->ninputs++] ? 0 : -1;
}

/* ---- confounds ---- */

/* A table has as many lines as the run has volumes, or as the scan had before volumes behind the last row were cut
 * off (NSD's motion files have one more). */
static int check_length(struct planning *p, const char *path, struct bm_error *err)
{
    const struct bm_run *run = p->run;
    const size_t scanned = bm_run_volumes(run), lines = p->table.rows;

    if (lines == p->volumes || lines == scanned) {
        p->table.rows = p->volumes;
        return 0;
    }
    if (scanned > p->volumes)
        return bm_fail(
            err, BM_EDATA,
            "%s: the table has %zu lines of values, run %s has %zu volumes, of %zu that were scanned; name "
            "the right table",
            path, lines, run->label, p->volumes, scanned);
    return bm_fail(err, BM_EDATA,
                   "%s: the table has %zu lines of values, run %s has %zu volumes; name the right table, or trim the "
                   "run with nifti2h5",
                   path, lines, run->label, scanned);
}

static int read_table(struct state *s, struct planning *p, struct bm_error *err)
{
    char *path = cli_file_of_run(&confounds, "confounds", s->runs, p->run, err);
    int status = path ? bm_confounds_read(path, &p->table, err) : -1;

    if (!status)
        status = check_length(p, path, err) || add_input(s, path, p->table.bytes, p->table.crc32, err) ? -1 : 0;
    free(path);
    return status;
}

static bool expands(const char *what)
{
    return expand && strstr(expand, what);
}

static enum bm_missing missing_policy(void)
{
    return !strcmp(missing, "start")  ? BM_MISSING_START
           : !strcmp(missing, "zero") ? BM_MISSING_ZERO
           : !strcmp(missing, "mean") ? BM_MISSING_MEAN
                                      : BM_MISSING_ERROR;
}

static int choose_columns(struct planning *p, struct bm_error *err)
{
    if (bm_confounds_select(&p->table, columns, &p->chosen, err) ||
        bm_confounds_expand(&p->chosen, expands("derivatives"), expands("squares"), &p->table, err))
        return -1;
    return bm_confounds_fill(&p->chosen, missing_policy(), p->censored, NULL, err);
}

/* ---- volumes to leave out ---- */

static int read_mask(struct state *s, struct planning *p, struct bm_error *err)
{
    char *path = cli_file_of_run(&masks, "sample-mask", s->runs, p->run, err);
    uint64_t bytes;
    uint32_t crc32;
    int status = path ? bm_sample_mask_read(path, p->volumes, p->censored, &bytes, &crc32, err) : -1;

    if (!status)
        status = add_input(s, path, bytes, crc32, err);
    free(path);
    return status;
}

/* Volumes that earlier programs have left out count as such, but nothing around them goes for that. */
static int mark_volumes(struct state *s, struct planning *p, struct bm_error *err)
{
    size_t i = 0;

    p->censored = bm_calloc(p->volumes, sizeof *p->censored, "volumes", err);
    if (!p->censored)
        return -1;
    for (size_t k = 0; k < conditions.n; k++) {
        if (bm_confounds_censor(&p->table, conditions.items[k], p->censored, err) < 0)
            return -1;
    }
    if (masks.n && read_mask(s, p, err))
        return -1;
    (void)bm_censor_widen(p->censored, p->volumes, (size_t)before, (size_t)after, 0);
    for (size_t v = 0; p->run->times && v < p->volumes; v++) {
        bool there = i < p->run->rows && (size_t)p->run->times[i] == v;

        p->censored[v] |= !there;
        i += there;
    }
    (void)bm_censor_widen(p->censored, p->volumes, 0, 0, (size_t)min_segment);
    return 0;
}

static int list_rows(struct planning *p, struct bm_error *err)
{
    p->keep = bm_alloc(p->run->rows, sizeof *p->keep, "rows", err);
    p->at = bm_alloc(p->run->rows, sizeof *p->at, "rows", err);
    if (!p->keep || !p->at)
        return -1;
    for (size_t i = 0; i < p->run->rows; i++) {
        size_t v = (size_t)bm_run_time(p->run, i);

        if (p->censored[v])
            continue;
        p->keep[p->kept] = i;
        p->at[p->kept++] = v;
    }
    if (p->kept)
        return 0;
    return bm_fail(err, BM_EDATA,
                   "run %s: all %zu volumes are to be left out; relax --censor, --sample-mask or "
                   "--min-segment, or leave the run out",
                   p->run->label, p->run->rows);
}

/* ---- one run ---- */

static int make_plan(struct state *s, const struct planning *p, struct bm_error *err)
{
    const struct bm_denoise_settings settings = {.order = (int)order,
                                                 .high_pass = high_pass,
                                                 .low_pass = low_pass,
                                                 .butterworth = !strcmp(filter, "butterworth"),
                                                 .filter_order = (size_t)filter_order,
                                                 .drop_ends = !strcmp(ends, "drop"),
                                                 .keep_mean = keep_mean};
    struct bm_denoise_run run = {.label = p->run->label, .tr = p->run->tr, .volumes = p->volumes};

    run.rows = p->run->rows;
    run.kept = p->kept;
    run.keep = p->kept < p->run->rows ? p->keep : NULL;
    run.at = p->kept < p->volumes ? p->at : NULL;
    run.confounds = p->chosen.values;
    run.ncols = p->chosen.cols;
    bm_denoise_free(s->plan);
    s->plan = bm_denoise_plan(&settings, &run, err);
    return s->plan ? 0 : -1;
}

static int plan_run(struct state *s, struct planning *p, struct bm_error *err)
{
    if ((confounds.n && read_table(s, p, err)) || mark_volumes(s, p, err) || list_rows(p, err) ||
        (confounds.n && choose_columns(p, err)) || make_plan(s, p, err))
        return -1;
    s->censored = p->run->rows - p->kept;
    return bm_run_keep_rows(p->run, p->keep, p->kept, err);
}

static int add_step(struct state *s, struct bm_run *run, struct bm_error *err)
{
    char *step = cli_step(s->cli, s->inputs, s->ninputs, err);
    int status = step ? bm_run_add_step(run, step, err) : -1;

    free(step);
    return status;
}

static int begin(void *self, struct bm_run *run, struct bm_error *err)
{
    struct state *s = self;
    struct planning p = {.run = run, .volumes = run->times ? bm_run_volumes(run) : run->rows};
    int status = plan_run(s, &p, err);

    if (!status)
        status = add_step(s, run, err);
    while (s->ninputs)
        free(s->inputs[--s->ninputs]);
    free(p.censored);
    free(p.keep);
    free(p.at);
    bm_confounds_clear(&p.table);
    bm_confounds_clear(&p.chosen);
    s->runs++;
    return status;
}

static size_t scratch(const void *self, size_t rows)
{
    const struct state *s = self;

    (void)rows;
    return bm_denoise_scratch(s->plan);
}

static void kernel(const void *self, struct bm_work *w)
{
    const struct state *s = self;

    bm_denoise(s->plan, w);
}

static void end(void *self, struct bm_run *run)
{
    const struct state *s = self;

    bm_run_count(run, "denoise.censored_volumes", s->censored);
    bm_run_count(run, "denoise.regressors", bm_denoise_regressors(s->plan));
    bm_run_count(run, "denoise.dropped_confounds", bm_denoise_dropped(s->plan));
}

static int done(void *self, struct bm_error *err)
{
    const struct state *s = self;

    return cli_files_used(&confounds, "confounds", s->runs, err) ||
                   cli_files_used(&masks, "sample-mask", s->runs, err)
               ? -1
               : 0;
}

/* ---- the command line ---- */

static void check_expand(const struct cli *cli)
{
    for (const char *p = expand; p && *p; p += strcspn(p, ","), p += *p == ',') {
        size_t n = strcspn(p, ",");

        if (!cli_is_choice("derivatives|squares", p, n))
            cli_usage(cli, "--expand: '%.*s' is not one of derivatives, squares", (int)n, p);
    }
}

static void check_options(const struct cli *cli)
{
    check_expand(cli);
    if (low_pass > 0.0 && strcmp(filter, "butterworth") != 0)
        cli_usage(cli, "--low-pass needs --filter butterworth; a cosine basis takes out slow drifts alone");
    if (low_pass > 0.0 && high_pass >= low_pass)
        cli_usage(cli, "--high-pass %g is not below --low-pass %g, so nothing would pass", high_pass, low_pass);
    if (!confounds.n && (columns || expand || conditions.n))
        cli_usage(cli, "--%s needs --confounds", columns ? "columns" : expand ? "expand" : "censor");
    if (!conditions.n && !masks.n && (before || after || min_segment))
        cli_usage(cli, "--%s needs --censor or --sample-mask",
                  before  ? "censor-before"
                  : after ? "censor-after"
                          : "min-segment");
}

int main(int argc, char **argv)
{
    struct cli cli;
    struct state s = {.cli = &cli};
    struct cli_cleaner cleaner = {.self = &s,
                                  .nothing_count = "denoise.flat_voxels",
                                  .nonfinite_count = "denoise.nonfinite_samples",
                                  .begin = begin,
                                  .scratch = scratch,
                                  .kernel = kernel,
                                  .end = end,
                                  .done = done};

    cli_parse(&cli, &program, argc, argv);
    check_options(&cli);
    cli.own_steps = true;
    cleaner.dtype = dtype;
    cleaner.store = store;
    cleaner.nonfinite = nonfinite;
    cli_clean(&cli, &cleaner, cli_threads(threads));
    bm_denoise_free(s.plan);
    return 0;
}
