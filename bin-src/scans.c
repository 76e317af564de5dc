#include "scans.h"

#include "core/mem.h"
#include "core/parse.h"
#include "io/commit.h"
#include "io/designs.h"
#include "io/runname.h"
#include "io/scan.h"
#include "spool.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* What is known of the files, one entry each. */
struct cli_scans_files {
    const char **names, **paths; /* as given; to be read */
    struct bm_commit **spooled;  /* copies of pipes, or NULL */
    struct bm_runname *called;
    struct bm_nifti_info *headers;
    struct bm_nifti *opened; /* the first file, where it is read once and the others are opened later */
};

/* ---- the files ---- */

static int read_header(struct cli_scans *s, size_t i, struct bm_error *err)
{
    struct cli_scans_files *f = s->own;
    const bool pipe = cli_is_pipe(f->paths[i]),
               straight = s->nfiles == 1 && s->read_once && !strcmp(f->paths[i], "-");
    struct bm_nifti *in;
    struct stat st;

    if (pipe && !straight) {
        f->spooled[i] = cli_spool(f->paths[i], err);
        if (!f->spooled[i])
            return -1;
        f->paths[i] = bm_commit_temp(f->spooled[i]);
    }
    in = bm_nifti_open(f->paths[i], err);
    if (!in)
        return -1;
    f->headers[i] = *bm_nifti_info(in);
    s->raw_size += stat(f->paths[i], &st) == 0 ? (uint64_t)st.st_size : 0;
    if (straight)
        f->opened = in;
    else
        bm_nifti_close(in);
    return 0;
}

/* The first file of those that are brought; the others are asked for when their turn comes. */
static int bring_first(struct cli_scans *s, struct bm_error *err)
{
    struct cli_scans_files *f = s->own;
    struct bm_bytes *in = s->open(s->self, f->paths[0], err);

    if (in)
        f->opened = bm_nifti_from(f->paths[0], in, err);
    if (!f->opened)
        return -1;
    f->headers[0] = *bm_nifti_info(f->opened);
    if (s->nfiles > 1 && f->headers[0].volumes == 1)
        return bm_fail(err, BM_EDATA, "%s: has a single volume; --reader takes runs of one file each", f->names[0]);
    return 0;
}

static int read_headers(struct cli_scans *s, struct bm_error *err)
{
    struct cli_scans_files *f = s->own = bm_calloc(1, sizeof *f, "runs", err);

    if (!f)
        return -1;
    f->names = bm_calloc(s->nfiles, sizeof *f->names, "runs", err);
    f->paths = bm_calloc(s->nfiles, sizeof *f->paths, "runs", err);
    f->spooled = bm_calloc(s->nfiles, sizeof(char *), "runs", err);
    f->called = bm_calloc(s->nfiles, sizeof *f->called, "runs", err);
    f->headers = bm_calloc(s->nfiles, sizeof *f->headers, "runs", err);
    if (!f->names || !f->paths || !f->spooled || !f->called || !f->headers)
        return -1;
    for (size_t i = 0; i < s->nfiles; i++) {
        f->names[i] = f->paths[i] = s->files[i];
        bm_runname_parse(s->files[i], &f->called[i]);
        if (!s->open && read_header(s, i, err))
            return -1;
    }
    return s->open ? bring_first(s, err) : 0;
}

/* ---- which files are a run ---- */

/* 1: there are several files and each holds a single volume; -1: only some do; 0: otherwise. */
static int all_single(const struct cli_scans *s, struct bm_error *err)
{
    const struct bm_nifti_info *h = s->own->headers;

    if (s->open)
        return 0;
    for (size_t i = 1; i < s->nfiles; i++) {
        if ((h[i].volumes == 1) != (h[0].volumes == 1)) {
            const size_t single = h[i].volumes == 1 ? i : 0, other = i - single;

            return bm_fail(err, BM_EDATA,
                           "%s: has a single volume, but %s has %zu; name either 4-D files, one a run, or 3-D files, "
                           "one a volume",
                           s->files[single], s->files[other], h[other].volumes);
        }
    }
    return s->nfiles > 1 && h[0].volumes == 1;
}

static bool same_run(const struct bm_runname *a, const struct bm_runname *b)
{
    return a->subject == b->subject && a->session == b->session && a->run == b->run;
}

/* What the labels of n files begin with, less a number's beginning and separators: "vol_0001", "vol_0002" are "vol".
 * The first label stays as it is where nothing is left. */
static void join_labels(struct bm_runname *called, size_t n)
{
    size_t common = strlen(called[0].label);

    for (size_t i = 1; i < n; i++) {
        size_t k = 0;

        while (k < common && called[i].label[k] == called[0].label[k])
            k++;
        common = k;
    }
    while (common > 0 && (isdigit((unsigned char)called[0].label[common - 1]) ||
                          strchr("_-.", called[0].label[common - 1]) != NULL))
        common--;
    if (common > 0 && n > 1)
        called[0].label[common] = '\0';
}

#define MAX_NUMBER 32767 /* of a session or run */

/* The number of run `index` of `nruns` by a list such as "3" or "1,1,2", which has one number or one for each. */
static int listed_number(const char *option, const char *list, size_t nruns, size_t index, int *out,
                         struct bm_error *err)
{
    size_t count = 0;

    for (const char *p = list;; p++) {
        size_t length = strcspn(p, ",");
        int64_t value;

        if (!bm_parse_int_n(p, length, 0, MAX_NUMBER, &value))
            return bm_fail(err, BM_EUSAGE, "--%s: '%s' is no list of numbers from 0 to %d; write it as 1,1,2", option,
                           list, MAX_NUMBER);
        if (!count || count == index)
            *out = (int)value;
        count++;
        p += length;
        if (!*p)
            break;
    }
    if (count != 1 && count != nruns)
        return bm_fail(err, BM_EUSAGE, "--%s: %zu numbers for %zu runs; give one, or one a run", option, count,
                       nruns);
    return 0;
}

/* Session and run by the options, or else by the name. */
static int number(const struct cli_scans *s, struct bm_niftirun *run, const struct bm_runname *name, size_t index,
                  size_t nruns, struct bm_error *err)
{
    int session, first;

    if (listed_number("session", s->sessions, nruns, index, &session, err) ||
        listed_number("run", s->numbers, nruns, index, &first, err))
        return -1;
    if (first && !strchr(s->numbers, ','))
        first += (int)index;
    run->session = session ? session : name->session ? name->session : 1;
    run->run = first ? first : name->run ? name->run : (int)index + 1;
    if (run->run > MAX_NUMBER)
        return bm_fail(err, BM_EUSAGE,
                       "--run: run %zu would be number %d, and %d is the last; begin with a smaller one", index + 1,
                       run->run, MAX_NUMBER);
    return 0;
}

static int describe(struct cli_scans *s, size_t index, size_t nruns, size_t first, size_t n, struct bm_error *err)
{
    struct cli_scans_files *f = s->own;
    struct bm_runname *name = &f->called[first];
    struct bm_niftirun *run = &s->runs[s->n];

    join_labels(name, n);
    *run = (struct bm_niftirun){.names = f->names + first,
                                .paths = f->paths + first,
                                .nfiles = n,
                                .opened = first == 0 ? f->opened : NULL,
                                .label = name->label,
                                .volumes = (size_t)s->volumes};
    run->subject = s->subject ? (int)s->subject : name->subject;
    return number(s, run, name, index, nruns, err);
}

/* ---- how much of it ---- */

static char *design_path(const struct cli_scans *s, size_t index, size_t nruns, struct bm_error *err)
{
    const struct bm_niftirun *run = &s->runs[s->n];

    if (s->designs.n == 1 && strchr(s->designs.items[0], '{'))
        return bm_runname_expand(s->designs.items[0], run->subject, run->session, run->run, err);
    if (s->designs.n == nruns)
        return bm_strdup(s->designs.items[index], err);
    (void)bm_fail(err, BM_EUSAGE,
                  "--design: %zu designs for %zu runs; give one a run, or a pattern with {session} and {run}",
                  s->designs.n, nruns);
    return NULL;
}

/* Sets the run's number of volumes from its design. 1: the run is rest and to be left out. */
static int apply_design(const struct cli_scans *s, struct bm_niftirun *run, const char *path, struct bm_error *err)
{
    struct bm_design d = {0};
    int events = bm_design_is_events(path, err), rest;

    if (events)
        return events < 0 ? -1 : 0;
    if (bm_design_read(path, NULL, NULL, &d, err))
        return -1;
    run->volumes = d.rows;
    rest = s->skip_rest && d.nevents == 0;
    bm_design_clear(&d);
    return rest;
}

static bool seen_before(const struct cli_scans *s, const struct bm_niftirun *r)
{
    for (size_t k = 0; k < s->n; k++) {
        if (s->runs[k].subject == r->subject && s->runs[k].session == r->session && s->runs[k].run == r->run)
            return true;
    }
    return false;
}

/* Run number `index` of `nruns`, from `n` files: kept, or left out as rest. */
static int add_run(struct cli_scans *s, size_t index, size_t nruns, size_t first, size_t n, struct bm_error *err)
{
    struct bm_niftirun *run = &s->runs[s->n];
    char *path;
    int rest = 0;

    if (describe(s, index, nruns, first, n, err))
        return -1;
    if (s->designs.n) {
        path = design_path(s, index, nruns, err);
        rest = path ? apply_design(s, run, path, err) : -1;
        free(path);
    }
    if (rest < 0)
        return -1;
    if (rest)
        cli_note(s->cli, "%s: the design shows no stimulus; left out as a rest run", run->names[0]);
    else if (seen_before(s, run))
        return bm_fail(err, BM_EDATA, "%s: session %d, run %d comes twice; name each run once", run->names[0],
                       run->session, run->run);
    s->n += !rest;
    return 0;
}

static int make_runs(struct cli_scans *s, bool lists, struct bm_error *err)
{
    const struct bm_runname *called = s->own->called;
    size_t nruns = 1, index = 0, first = 0;

    for (size_t i = 1; i < s->nfiles; i++)
        nruns += !lists || !same_run(&called[i - 1], &called[i]);
    s->runs = bm_calloc(nruns, sizeof *s->runs, "runs", err);
    if (!s->runs)
        return -1;
    for (size_t i = 1; i <= s->nfiles; i++) {
        if (i < s->nfiles && lists && same_run(&called[i - 1], &called[i]))
            continue;
        if (add_run(s, index++, nruns, first, i - first, err))
            return -1;
        first = i;
    }
    return s->n ? 0 : bm_fail(err, BM_EDATA, "%s: all runs are rest runs; nothing to write", s->files[0]);
}

/* ---- what is in doubt ---- */

struct doubt {
    char text[200];
    const char *file; /* the first */
    size_t n;         /* files or runs */
};

struct doubts {
    struct doubt *kinds; /* room for one of each file */
    size_t n;
};

static void add_doubt(struct doubts *d, const char *text, const char *file)
{
    size_t k = 0;

    if (!text[0])
        return;
    while (k < d->n && strcmp(d->kinds[k].text, text) != 0)
        k++;
    if (k == d->n) {
        d->kinds[d->n++].file = file;
        memcpy(d->kinds[k].text, text, strlen(text) + 1);
    }
    d->kinds[k].n++;
}

static void warn(const struct cli *cli, const struct doubts *d, const char *remedy)
{
    for (size_t k = 0; k < d->n; k++) {
        const struct doubt *one = &d->kinds[k];

        if (one->n == 1)
            cli_warn(cli, "%s: %s%s", one->file, one->text, remedy);
        else
            cli_warn(cli, "%s and %zu more: %s%s", one->file, one->n - 1, one->text, remedy);
    }
}

static int check_run(struct cli_scans *s, size_t i, struct doubts *about, struct doubts *about_tr,
                     struct bm_error *err)
{
    const struct bm_niftirun *run = &s->runs[i];
    const size_t first = (size_t)(run->names - s->own->names);
    struct bm_nifti_info info;

    if (s->open && first > 0) { /* its header is checked when it comes */
        if (i == 0)             /* the file that was brought is a rest run, of the same subject */
            s->grid = s->own->headers[0].grid;
        return 0;
    }
    if (bm_scan_join(s->own->headers + first, run->names, run->nfiles, &info, err))
        return -1;
    if (i == 0)
        s->grid = info.grid;
    for (size_t k = first; k < first + run->nfiles; k++)
        add_doubt(about, s->own->headers[k].doubt, s->own->names[k]);
    if (s->tr == 0.0 && info.tr > 0.0) /* without any, reading the run will fail */
        add_doubt(about_tr, info.tr_doubt, run->names[0]);
    return 0;
}

static int check_runs(struct cli_scans *s, struct bm_error *err)
{
    struct doubt *kinds = bm_calloc(2 * s->nfiles, sizeof *kinds, "warnings", err);
    struct doubts about = {kinds, 0}, about_tr = {NULL, 0};
    int status = 0;

    if (!kinds)
        return -1;
    about_tr.kinds = kinds + s->nfiles;
    for (size_t i = 0; i < s->n && !status; i++)
        status = check_run(s, i, &about, &about_tr, err);
    if (!status) {
        warn(s->cli, &about, "");
        warn(s->cli, &about_tr, "; give --tr to be sure");
    }
    free(kinds);
    return status;
}

int cli_scans_find(struct cli_scans *s, struct bm_error *err)
{
    int lists;

    if (read_headers(s, err))
        return -1;
    lists = all_single(s, err);
    return lists < 0 || make_runs(s, lists > 0, err) || check_runs(s, err) ? -1 : 0;
}

void cli_scans_name(const struct cli_scans *s, struct bm_error *err)
{
    const struct cli_scans_files *f = s->own;
    const struct bm_error said = *err;

    for (size_t i = 0; f && f->spooled && i < s->nfiles; i++) {
        const size_t n = f->spooled[i] ? strlen(f->paths[i]) : 0;

        if (n && !strncmp(said.text, f->paths[i], n))
            (void)snprintf(err->text, sizeof err->text, "%s%s",
                           strcmp(f->names[i], "-") ? f->names[i] : "standard input", said.text + n);
    }
}

void cli_scans_free(struct cli_scans *s)
{
    struct cli_scans_files *f = s->own;

    for (size_t i = 0; f && f->spooled && i < s->nfiles; i++)
        bm_commit_drop(f->spooled[i]);
    if (f) {
        bm_nifti_close(f->opened);
        free(f->names);
        free(f->paths);
        free(f->spooled);
        free(f->called);
        free(f->headers);
    }
    free(f);
    free(s->runs);
}
