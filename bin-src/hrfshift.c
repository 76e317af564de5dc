/* hrfshift: attaches to each time point what was on the screen one haemodynamic delay earlier. */
#include "clean.h"
#include "io/designs.h"
#include "io/runname.h"
#include "ops/labelrows.h"
#include "ops/resample.h"

#include <glob.h>
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static struct cli_list designs;
static double offset = 4.6, sampled;
static int64_t history = 4, sinc_width = 8, threads;
static const char *shift = "none", *edges = "hold", *dtype = "float32";
static const char *repeats = "count", *column = "trial_type", *categories, *ids = "names", *store = "deflate";

static const struct cli_option options[] = {
    {"design", 'd', CLI_LIST, &designs, "FILE",
     "Design (NSD: one 1-based stimulus id a TR, 0 between) or BIDS events.tsv. With {subject}, {session}, {run} "
     "in the name one pattern serves all runs; otherwise one file a run, in the runs' order. With --shift it may "
     "be left out: the data are moved, and labels stay as they are.",
     0, 0, NULL, false},
    {"offset", 'o', CLI_REAL, &offset, "SECONDS",
     "Haemodynamic delay. Labels move by the whole TRs nearest to it; --shift moves the data by the rest.", 0, 60,
     NULL, false},
    {"sampled", 0, CLI_REAL, &sampled, "FRACTION",
     "When in its TR a volume was sampled: 0 at its start (first slice; NSD), 0.5 in its middle (fMRIPrep with slice "
     "timing correction).",
     0, 1, NULL, false},
    {"shift", 's', CLI_CHOICE, &shift, NULL,
     "Move the data by the part of a TR that is left over: between two volumes (linear), on the cubic through four "
     "(cubic), by a windowed sinc (sinc), or not at all.",
     0, 0, "none|linear|cubic|sinc", false},
    {"edges", 0, CLI_CHOICE, &edges, NULL,
     "Where the volumes that --shift needs lie beyond the ends of a run, or in a gap: hold the last one, drop the "
     "rows, or mark them with NaN.",
     0, 0, "hold|drop|mark", false},
    {"sinc-width", 0, CLI_INT, &sinc_width, "N", "Volumes on each side that --shift sinc takes.", 2, BM_MAX_SINC,
     NULL, false},
    {"history", 'H', CLI_INT, &history, "N", "How many past stimuli each row remembers.", 1, 1024, NULL, false},
    {"repeats", 0, CLI_CHOICE, &repeats, NULL,
     "A stimulus that directly follows itself: count it as a new presentation, or merge (the public NSD loader's "
     "behaviour).",
     0, 0, "count|merge", false},
    {"column", 0, CLI_STRING, &column, "NAME", "Column of events.tsv that names the stimulus.", 0, 0, NULL, false},
    {"ids", 0, CLI_CHOICE, &ids, NULL,
     "What that column holds: names, which become the numbers of --categories, or the numbers of stimuli (0, 1, ...) "
     "themselves.",
     0, 0, "names|numbers", false},
    {"categories", 0, CLI_STRING, &categories, "A,B,C",
     "Names of the stimulus ids 0, 1, 2, ... for events.tsv; without it the sorted names that occur in all designs "
     "of this call that can be found beforehand (give it when runs come from a pipe one by one).",
     0, 0, NULL, false},
    {"dtype", 0, CLI_CHOICE, &dtype, NULL, "Sample type of data that --shift has moved.", 0, 0,
     "float32|float16|float64", false},
    CLI_STORE(store),
    CLI_THREADS(threads),
    {0},
};

static const struct cli_program program = {
    .name = "hrfshift",
    .purpose = "Label each time point with what was on the screen one haemodynamic delay earlier",
    .usage = "[--design FILE] [OPTIONS] INPUT OUTPUT",
    .description = "Attaches one metadata row to each time point: stimulus_history (the last N stimuli presented, "
                   "oldest first, -1 for "
                   "none yet, restarted every run), subject_idx, session, run, time (TR index), trial (index of the "
                   "latest presentation "
                   "in the run) and stimulus (what is on the screen, -1 for nothing; designs of NSD mark "
                   "onsets only, so it is -1 in all other rows there). Ids "
                   "are 0-based: an NSD 73k id less 1, or the index of the category.\n"
                   "\nThe delay in TRs is offset / TR - sampled. Its nearest whole number (ties to the even one) "
                   "delays the labels. The rest, at most half a TR, is left alone unless --shift is given: then the "
                   "data are moved by it. Without --shift they pass through unchanged.\n" CLI_SERIES_NAMES,
    .options = options,
    .examples =
        "  hrfshift --design 'design/design_session{session}_run{run}.tsv' clean.h5 labelled.h5\n"
        "  hrfshift --offset 0 --design 'sub-01_task-x_run-{run}_events.tsv' --categories cat,face,house "
        "in.h5 out.h5\n"
        "  hrfshift --shift cubic --sampled 0.5 --design 'run-{run}_events.tsv' in.h5 out.h5   # fMRIPrep, no "
        "rounding\n",
    .min_args = 2,
    .max_args = 2,
};

struct state {
    const struct cli *cli;
    struct bm_categories cats;
    bool numbers; /* events name their stimuli by number */
    size_t runs;  /* seen so far */
    enum bm_shift shift;
    struct bm_resample plan; /* of this run */
    double slope, inter;
    enum bm_dtype from, to;
    atomic_uint_least64_t nonfinite;
};

#define LONGEST 1e9 /* seconds; no scan is longer, and rows stay far within 64 bits */

static struct bm_presentation *to_rows(const struct bm_design *d, const char *path, double tr, struct bm_error *err)
{
    struct bm_presentation *shown = bm_alloc(d->nevents, sizeof *shown, "presentations", err);

    for (size_t i = 0; shown && i < d->nevents; i++) {
        const struct bm_event *e = &d->events[i];
        const double unit = d->in_rows ? 1.0 : tr;

        if (!(fabs(e->onset) <= LONGEST && e->duration <= LONGEST)) {
            (void)bm_fail(err, BM_EDATA, "%s: an event has onset %g s and duration %g s; correct the table", path,
                          e->onset, e->duration);
            free(shown);
            return NULL;
        }
        shown[i].first = bm_onset_row(e->onset, unit);
        shown[i].rows = bm_onset_row(e->onset + e->duration, unit) - shown[i].first;
        shown[i].id = e->id;
    }
    return shown;
}

static int label(struct bm_run *run, const struct bm_presentation *shown, size_t n, struct bm_error *err)
{
    int32_t *scratch = bm_alloc((size_t)history, sizeof *scratch, "history", err);

    free(run->meta.data);
    run->meta = (struct bm_rows){.history = (size_t)history, .n = run->rows};
    run->meta.data = bm_alloc(run->rows, bm_row_size((size_t)history), "metadata", err);
    if (scratch && run->meta.data)
        bm_label_rows(&run->meta, run->times, shown, n, bm_delay_rows(offset, run->tr, sampled),
                      !strcmp(repeats, "merge"), run->subject, run->session, run->run, scratch);
    free(scratch);
    return scratch && run->meta.data ? 0 : -1;
}

/* The run's categories become the first n of ours. */
static int set_categories(const struct state *s, struct bm_run *run, size_t n, struct bm_error *err)
{
    char **names;

    while (run->ncategories) /* of an earlier labelling */
        free(run->categories[--run->ncategories]);
    free(run->categories);
    run->categories = names = bm_calloc(n, sizeof *names, "categories", err);
    if (!names)
        return -1;
    for (run->ncategories = 0; run->ncategories < n; run->ncategories++) {
        names[run->ncategories] = bm_strdup(s->cats.names[run->ncategories], err);
        if (!names[run->ncategories])
            return -1;
    }
    return 0;
}

/* The provenance step names the design that this run was labelled with, if it was. */
static int add_step(const struct state *s, struct bm_run *run, const char *path, const struct bm_design *d,
                    struct bm_error *err)
{
    char *input = path ? cli_input(path, d->bytes, d->crc32, err) : NULL;
    char *step = path && !input ? NULL : cli_step(s->cli, &input, input ? 1 : 0, err);
    int status = step ? bm_run_add_step(run, step, err) : -1;

    free(step);
    free(input);
    return status;
}

/* A design of NSD has a row for each volume, also for those that have been left out since. */
static int check_length(const struct bm_design *d, const char *path, const struct bm_run *run, struct bm_error *err)
{
    const size_t volumes = (size_t)bm_run_time(run, run->rows - 1) + 1;

    if (!d->in_rows || d->rows == volumes || (run->times && d->rows > volumes))
        return 0;
    if (run->times)
        return bm_fail(err, BM_EDATA,
                       "%s: the design has %zu rows, but run %s, some of whose volumes have been left out, still has "
                       "its volume %zu; name the right design",
                       path, d->rows, run->label, volumes - 1);
    return bm_fail(
        err, BM_EDATA,
        "%s: the design has %zu rows, run %s has %zu volumes; trim the run with nifti2h5 --design, or name "
        "the right design",
        path, d->rows, run->label, volumes);
}

static int label_run(struct state *s, struct bm_run *run, const char *path, struct bm_error *err)
{
    struct bm_design d = {0};
    struct bm_presentation *shown = NULL;
    int status = -1;

    if (bm_design_read(path, column, s->numbers ? NULL : &s->cats, &d, err))
        return -1;
    if (!check_length(&d, path, run, err))
        shown = to_rows(&d, path, run->tr, err);
    if (shown && !label(run, shown, d.nevents, err) && !add_step(s, run, path, &d, err))
        status = set_categories(s, run, d.in_rows ? 0 : s->cats.n, err);
    free(shown);
    bm_design_clear(&d);
    return status;
}

static int drop_edges(struct state *s, struct bm_run *run, struct bm_error *err)
{
    size_t *keep;
    int status;

    if (!s->plan.kept)
        return bm_fail(err, BM_EDATA,
                       "run %s: --shift %s needs %d volumes without a gap, and --edges drop leaves none of the %zu "
                       "rows; use --edges hold, or for sinc a smaller --sinc-width",
                       run->label, shift, s->plan.kernel.hi - s->plan.kernel.lo + 1, s->plan.rows);
    keep = bm_alloc(s->plan.kept, sizeof *keep, "rows", err);
    if (!keep)
        return -1;
    bm_resample_keep(&s->plan, keep);
    status = bm_run_keep_rows(run, keep, s->plan.kept, err);
    free(keep);
    return status;
}

static int begin_shift(struct state *s, struct bm_run *run, struct bm_error *err)
{
    bm_kernel_make(&s->plan.kernel, s->shift, (size_t)sinc_width, bm_delay_rest(offset, run->tr, sampled));
    if (bm_resample_plan(&s->plan, run->times, run->rows, err))
        return -1;
    s->from = run->dtype;
    s->slope = run->slope;
    s->inter = run->inter;
    s->nonfinite = 0;
    run->dtype = s->to;
    run->slope = 1.0;
    run->inter = 0.0;
    return drop_edges(s, run, err);
}

static int begin(void *self, struct bm_run *run, struct bm_error *err)
{
    struct state *s = self;
    char *path = designs.n ? cli_file_of_run(&designs, "design", s->runs, run, err) : NULL;
    int status = path ? label_run(s, run, path, err) : designs.n ? -1 : add_step(s, run, NULL, NULL, err);

    free(path);
    s->runs++;
    return status || s->shift == BM_SHIFT_NONE ? status : begin_shift(s, run, err);
}

static void move(const void *self, struct bm_work *w)
{
    bm_resample(self, w);
}

static int tile(void *self, const struct bm_run *run, struct bm_tile *t, struct bm_error *err)
{
    struct state *s = self;
    struct bm_work w = {.dtype = s->from, .slope = s->slope, .inter = s->inter};

    if (cli_work(t, run, &w, 2 * bm_panel_size(t->rows), move, &s->plan, err))
        return -1;
    s->nonfinite += w.nonfinite;
    return 0;
}

static int end(void *self, struct bm_run *run, struct bm_error *err)
{
    struct state *s = self;

    (void)err;
    bm_run_count(run, "hrfshift.shifted_edges", s->plan.edge_rows);
    bm_run_count(run, "hrfshift.nonfinite_samples", s->nonfinite);
    return 0;
}

static int done(void *self, struct bm_error *err)
{
    const struct state *s = self;

    return cli_files_used(&designs, "design", s->runs, err);
}

/* Is `path` the pattern with digits at its placeholders? What else the shell's "*" finds belongs to nobody's run. */
static bool names_a_run(const char *pattern, const char *path)
{
    while (*pattern) {
        if (*pattern == '{' && strchr(pattern, '}')) {
            size_t digits = strspn(path, "0123456789");

            if (!digits)
                return false;
            path += digits;
            pattern = strchr(pattern, '}') + 1;
        } else if (*pattern++ != *path++) {
            return false;
        }
    }
    return !*path;
}

/* The pattern with its placeholders as "*", all else taken literally. */
static char *as_glob(const char *pattern, struct bm_error *err)
{
    char *text = bm_alloc(2 * strlen(pattern) + 1, 1, "pattern", err), *to = text;

    if (!text)
        return NULL;
    for (const char *p = pattern; *p; p++) {
        if (*p == '{') {
            *to++ = '*';
            p += strcspn(p, "}") - (strchr(p, '}') ? 0 : 1);
            continue;
        }
        if (strchr("*?[]\\", *p))
            *to++ = '\\';
        *to++ = *p;
    }
    *to = '\0';
    return text;
}

static int collect_from(struct bm_categories *cats, const char *path, struct bm_error *err)
{
    int events = bm_design_is_events(path, err);

    return events > 0 ? bm_categories_collect(cats, path, column, err) : events;
}

/* Without --categories: the names that occur in all the designs that the options name, so that ids agree between
 * runs. */
static int collect_categories(struct bm_categories *cats, struct bm_error *err)
{
    int status = 0;

    for (size_t i = 0; i < designs.n && !status; i++) {
        glob_t found = {0};
        char *pattern;

        if (!strchr(designs.items[i], '{')) {
            status = collect_from(cats, designs.items[i], err);
            continue;
        }
        pattern = as_glob(designs.items[i], err);
        if (!pattern)
            return -1;
        if (glob(pattern, 0, NULL, &found) == 0) {
            for (size_t k = 0; k < found.gl_pathc && !status; k++) {
                if (names_a_run(designs.items[i], found.gl_pathv[k]))
                    status = collect_from(cats, found.gl_pathv[k], err);
            }
            globfree(&found);
        }
        free(pattern);
    }
    return status;
}

static int given_categories(struct bm_categories *cats, struct bm_error *err)
{
    size_t most = strlen(categories) / 2 + 1;

    cats->names = bm_calloc(most, sizeof *cats->names, "categories", err);
    if (!cats->names)
        return -1;
    for (const char *p = categories; *p;) {
        size_t n = strcspn(p, ",");

        if (n == 0)
            return bm_fail(err, BM_EUSAGE, "--categories: '%s' has an empty name", categories);
        cats->names[cats->n] = bm_format(err, "%.*s", (int)n, p);
        if (!cats->names[cats->n++])
            return -1;
        p += n + (p[n] == ',');
    }
    return 0;
}

static void set_shift(struct state *s, struct bm_op *op)
{
    s->shift = (enum bm_shift)cli_choice(shift, (const char *const[]){"none", "linear", "cubic", "sinc"});
    s->plan.edges = (enum bm_edges)cli_choice(edges, (const char *const[]){"hold", "drop", "mark"});
    s->to = cli_dtype(dtype);
    if (s->shift != BM_SHIFT_NONE) {
        op->tile = tile;
        op->end = end;
    }
}

int main(int argc, char **argv)
{
    struct cli cli;
    struct bm_error err = {0};
    struct state s = {.cli = &cli};
    struct bm_op op = {.self = &s, .begin = begin, .done = done};

    cli_parse(&cli, &program, argc, argv);
    set_shift(&s, &op);
    if (!designs.n && s.shift == BM_SHIFT_NONE)
        cli_usage(&cli, "give the runs' designs with --design, or move the data with --shift");
    s.numbers = !strcmp(ids, "numbers");
    if (s.numbers && categories)
        cli_usage(&cli, "--ids numbers have no --categories; leave one of them out");
    cli.own_steps = true;
    if (!s.numbers && (categories ? given_categories(&s.cats, &err) : collect_categories(&s.cats, &err)))
        cli_fail(&cli, &err);
    cli_run_op(&cli, cli.args, 1, cli.args[1], store, &op, cli_threads(threads));
    bm_categories_clear(&s.cats);
    bm_resample_clear(&s.plan);
    return 0;
}
