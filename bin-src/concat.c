/* concat: joins runs into a session file, and parts of sessions into the arrays that models train on. */
#include "clean.h"
#include "core/parse.h"
#include "io/arrays.h"
#include "io/open.h"

#include <stdlib.h>
#include <string.h>

static const char *dtype = "float32", *sessions, *store = "deflate";
static bool allow_gaps;
static int64_t threads;

static const struct cli_option options[] = {
    {"sessions", 's', CLI_STRING, &sessions, "LIST",
     "The sessions that must be there, no more and no fewer, such as 1-3,5. Without it the sessions found must "
     "have no gap.",
     0, 0, NULL, false},
    {"allow-gaps", 0, CLI_FLAG, &allow_gaps, NULL, "Accept gaps in the numbers of sessions and runs.", 0, 0, NULL,
     false},
    {"dtype", 0, CLI_CHOICE, &dtype, NULL, "Sample type of .npy output.", 0, 0, "float32|float16", false},
    CLI_STORE(store),
    CLI_THREADS(threads),
    {0},
};

static const struct cli_program program = {
    .name = "concat",
    .purpose = "Join runs and sessions, into one series or into training arrays",
    .usage = "[OPTIONS] INPUT... OUTPUT",
    .description =
        "Joins the runs of all inputs in the order given. An OUTPUT named NAME.fmri.npy gives three files: "
        "NAME.fmri.npy (time points x voxels), NAME.meta.npy (the rows that hrfshift attached) and NAME.json "
        "(grid, voxels, row ranges, counts, provenance, checksums). Other outputs are series: a .h5 or .npys file, "
        "or \"-\".\n"
        "\n"
        "A run that comes twice is an error, and so are missing sessions and gaps between the runs of a session.",
    .options = options,
    .examples = "  concat run1.h5 run2.h5 session_01.h5\n"
                "  concat --sessions 1-40 session_*.v1.h5 v1.fmri.npy\n"
                "  ... | hrfshift --design 'design_session{session}_run{run}.tsv' - - | concat - general.fmri.npy\n",
    .min_args = 2,
    .max_args = 1000000,
};

#define MAX_NUMBER 10000

struct seen {
    int subject, session, run;
};
struct state {
    struct seen *list;
    size_t n;
    bool wanted[MAX_NUMBER]; /* sessions named by --sessions */
};

static bool same_session(const struct seen *a, const struct seen *b)
{
    return a->subject == b->subject && a->session == b->session;
}

static int begin(void *self, struct bm_run *run, struct bm_error *err)
{
    struct state *s = self;
    struct seen now = {run->subject, run->session, run->run};
    struct seen *list;

    for (size_t i = 0; i < s->n; i++) {
        if (!memcmp(&s->list[i], &now, sizeof now))
            return bm_fail(err, BM_EDATA,
                           "run %s: session %d, run %d of subject %d comes twice; name each input once", run->label,
                           now.session, now.run, now.subject);
        if (same_session(&s->list[i], &now) && !same_session(&s->list[s->n - 1], &now))
            return bm_fail(err, BM_EDATA,
                           "run %s: session %d comes back after others; keep a session's runs together", run->label,
                           now.session);
    }
    if (sessions && (now.session >= MAX_NUMBER || !s->wanted[now.session]))
        return bm_fail(err, BM_EDATA, "run %s: session %d is not one of --sessions %s", run->label, now.session,
                       sessions);
    list = realloc(s->list, (s->n + 1) * sizeof *list);
    if (!list)
        return bm_fail(err, BM_ESYS, "run %s: out of memory", run->label);
    list[s->n++] = now;
    s->list = list;
    return 0;
}

/* Numbers are small: none is negative, and differences are exact. */
static int compare(const void *a, const void *b)
{
    const struct seen *p = a, *q = b;
    const int subjects = p->subject - q->subject, session = p->session - q->session;

    return subjects ? subjects : session ? session : p->run - q->run;
}

static int check_wanted(struct state *s, struct bm_error *err)
{
    for (size_t i = 0; i < s->n; i++)
        s->wanted[s->list[i].session] = false;
    for (int k = 0; k < MAX_NUMBER; k++) {
        if (s->wanted[k])
            return bm_fail(err, BM_EDATA, "session %d: is named by --sessions %s but is not among the inputs", k,
                           sessions);
    }
    return 0;
}

/* After the last run: nothing may be missing between what is there. */
static int check_gaps(struct state *s, struct bm_error *err)
{
    if (allow_gaps || s->n == 0)
        return 0;
    qsort(s->list, s->n, sizeof *s->list, compare);
    for (size_t i = 1; i < s->n; i++) {
        const struct seen *a = &s->list[i - 1], *b = &s->list[i];

        if (a->subject != b->subject)
            continue;
        if (a->session == b->session && b->run > a->run + 1)
            return bm_fail(err, BM_EDATA,
                           "session %d: run %d is missing between runs %d and %d; add it, or give "
                           "--allow-gaps",
                           a->session, a->run + 1, a->run, b->run);
        if (!sessions && b->session > a->session + 1)
            return bm_fail(err, BM_EDATA,
                           "session %d is missing between sessions %d and %d; add it, or name the sessions "
                           "with --sessions",
                           a->session + 1, a->session, b->session);
    }
    return 0;
}

static int done(void *self, struct bm_error *err)
{
    return check_gaps(self, err) || (sessions && check_wanted(self, err)) ? -1 : 0;
}

static bool parse_range(const char *text, size_t n, bool wanted[MAX_NUMBER])
{
    const char *dash = memchr(text, '-', n);
    size_t first = dash ? (size_t)(dash - text) : n;
    int64_t lo, hi;

    if (!bm_parse_int_n(text, first, 1, MAX_NUMBER - 1, &lo))
        return false;
    hi = lo;
    if (dash && !bm_parse_int_n(dash + 1, n - first - 1, lo, MAX_NUMBER - 1, &hi))
        return false;
    for (int64_t k = lo; k <= hi; k++)
        wanted[k] = true;
    return true;
}

static void parse_sessions(const struct cli *cli, struct state *s)
{
    for (const char *p = sessions; p && *p;) {
        size_t n = strcspn(p, ",");

        if (!parse_range(p, n, s->wanted))
            cli_usage(cli, "--sessions: '%s' is not a list like 1-3,5", sessions);
        p += n + (p[n] == ',');
    }
}

static struct bm_sink *open_output(const char *path, struct bm_error *err)
{
    size_t n = strlen(path);

    if (n > 4 && !strcmp(path + n - 4, ".npy"))
        return bm_arrays_sink(path, !strcmp(dtype, "float16") ? BM_F16 : BM_F32, err);
    return bm_open_sink(path, !strcmp(store, "deflate"), err);
}

int main(int argc, char **argv)
{
    static struct state s;
    struct cli cli;
    struct bm_error err = {0};
    struct bm_op op = {.self = &s, .begin = begin, .done = done};
    struct bm_sink *sink;
    struct bm_source *src;

    cli_parse(&cli, &program, argc, argv);
    parse_sessions(&cli, &s);
    cli_check_stdout(&cli, cli.args[cli.nargs - 1]);
    src = bm_open_sources(cli.args, cli.nargs - 1, &err);
    sink = src ? open_output(cli.args[cli.nargs - 1], &err) : NULL;
    if (!sink)
        cli_fail(&cli, &err);
    cli_pump(&cli, src, sink, &op, cli_threads(threads));
    free(s.list);
    return 0;
}
