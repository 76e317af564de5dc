/* nifti2h5: packs NIfTI runs into a series, brain voxels only, samples as scanned. */
#include "clean.h"
#include "io/commit.h"
#include "io/designs.h"
#include "io/nifti.h"
#include "io/niftiruns.h"
#include "io/open.h"
#include "io/runname.h"
#include "masks.h"
#include "ops/columns.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct cli_masks masks = {.combine = "union"};
static struct cli_list designs;
static int64_t volumes, subject, session, first_run, threads, memory = 384;
static double tr;
static bool skip_rest;
static const char *store = "deflate";

static const struct cli_option options[] = {
    {"mask", 'm', CLI_LIST, &masks.files, "FILE",
     "Keep these voxels: a NIfTI volume (> 0 selects, or the values of --labels) or a .npy array. Without it, the "
     "voxels "
     "that are ever non-zero in any run of the call.",
     0, 0, NULL, false},
    {"labels", 'l', CLI_STRING, &masks.labels, "LIST",
     "Values of the mask that select, such as 1,3-5, or names with "
     "--table.",
     0, 0, NULL, false},
    {"table", 't', CLI_STRING, &masks.table, "FILE", "Names of the mask's values (.ctab, _dseg.tsv).", 0, 0, NULL,
     false},
    {"combine", 'c', CLI_CHOICE, &masks.combine, NULL, "How several --mask go together.", 0, 0, "union|intersection",
     false},
    {"volumes", 'n', CLI_INT, &volumes, "N", "Keep the first N volumes of each run; 0 keeps all.", 0, 1 << 30, NULL,
     false},
    {"design", 'd', CLI_LIST, &designs, "FILE",
     "Keep as many volumes as the run's design has rows (events.tsv files have no length and keep all). With "
     "{subject}, "
     "{session}, {run} in the name one pattern serves all runs; otherwise one file a run, in order.",
     0, 0, NULL, false},
    {"skip-rest", 0, CLI_FLAG, &skip_rest, NULL, "Leave out runs whose --design shows no stimulus at all.", 0, 0,
     NULL, false},
    {"subject", 0, CLI_INT, &subject, "N", "Subject number; 0 takes it from the name (subjNN, sub-NN).", 0, 32767,
     NULL, false},
    {"session", 0, CLI_INT, &session, "N", "Session number; 0 takes it from the name (sessionNN, ses-NN), else 1.", 0,
     32767, NULL, false},
    {"run", 0, CLI_INT, &first_run, "N",
     "Number of the first run, counting up; 0 takes numbers from the names (runNN, "
     "run-NN), else counts from 1.",
     0, 32767, NULL, false},
    {"tr", 0, CLI_REAL, &tr, "SECONDS", "Repetition time; 0 takes it from the header.", 0, 1000, NULL, false},
    CLI_STORE(store),
    {"memory", 0, CLI_INT, &memory, "MIB", "Memory for runs in flight; at least one run is always held.", 1, 1 << 20,
     NULL, true},
    CLI_THREADS(threads),
    {0},
};

static const struct cli_program program = {
    .name = "nifti2h5",
    .purpose = "Pack NIfTI runs into a series: brain voxels only, samples as scanned, lossless",
    .usage = "[OPTIONS] RUN... OUTPUT",
    .description = "Reads NIfTI-1 and NIfTI-2 runs (.nii, .nii.gz, .hdr/.img; \"-\" for one run on standard input), "
                   "several at once, "
                   "and writes them in the order given: as a series file (.h5) or a tile stream (.npys, or \"-\"). "
                   "Samples keep the file's "
                   "own type; scaling is recorded and applied by the programs that compute. gzip input is read to "
                   "its last trailer, "
                   "and its CRC must match.\n"
                   "\nWithout --mask the same voxels are kept for all runs of the call: those that are ever "
                   "non-zero. Where several runs "
                   "go to a pipe, that takes a first pass over all of them; give --mask there.",
    .options = options,
    .examples = "  nifti2h5 timeseries_session01_run*.nii.gz session_01.h5\n"
                "  nifti2h5 --design 'design/design_session{session}_run{run}.tsv' --skip-rest "
                "timeseries_session21_*.nii.gz s.h5\n"
                "  nifti2h5 --mask roi/V1.nii.gz run*.nii.gz - | detrend - - | zscore - v1.h5\n",
    .min_args = 2,
    .max_args = 1000000,
};

struct job {
    struct cli cli;
    struct bm_niftirun *runs;
    struct bm_runname *names;
    size_t n;
    struct bm_niftiruns_config config;
    int64_t *voxels;
    struct bm_commit **spooled; /* copies of inputs that are pipes, or NULL, one a run */
    char *output;
    uint64_t raw_size; /* of all inputs, for progress */
    struct bm_source *src;
};

static char *make_step(void *self, const char *path, uint64_t bytes, uint32_t crc32, struct bm_error *err)
{
    const struct job *j = self;
    char *input = cli_input(path, bytes, crc32, err);
    char *step = input ? cli_step(&j->cli, &input, 1, err) : NULL;

    free(input);
    return step;
}

/* ---- which runs, how many volumes ---- */

static char *design_path(const struct job *j, size_t i, struct bm_error *err)
{
    if (designs.n == 1 && strchr(designs.items[0], '{'))
        return bm_runname_expand(designs.items[0], j->runs[i].subject, j->runs[i].session, j->runs[i].run, err);
    if (designs.n == j->cli.nargs - 1)
        return bm_strdup(designs.items[i], err);
    (void)bm_fail(err, BM_EUSAGE,
                  "--design: %zu designs for %zu runs; give one a run, or a pattern with {session} and {run}",
                  designs.n, j->cli.nargs - 1);
    return NULL;
}

/* Sets the run's number of volumes from its design. 1: the run is rest and to be left out. */
static int apply_design(struct bm_niftirun *run, const char *path, struct bm_error *err)
{
    struct bm_design d = {0};
    int events = bm_design_is_events(path, err), rest;

    if (events)
        return events < 0 ? -1 : 0;
    if (bm_design_read(path, NULL, NULL, &d, err))
        return -1;
    run->volumes = d.rows;
    rest = skip_rest && d.nevents == 0;
    bm_design_clear(&d);
    return rest;
}

static void name_run(struct job *j, size_t i, const char *path)
{
    struct bm_runname *name = &j->names[i];
    struct bm_niftirun *run = &j->runs[i];

    bm_runname_parse(path, name);
    *run = (struct bm_niftirun){.path = path, .name = path, .label = name->label, .volumes = (size_t)volumes};
    run->subject = subject ? (int)subject : name->subject;
    run->session = session ? (int)session : name->session ? name->session : 1;
    run->run = first_run ? (int)first_run + (int)i : name->run ? name->run : (int)i + 1;
}

static bool seen_before(const struct job *j, size_t kept, size_t i)
{
    const struct bm_niftirun *r = &j->runs[i];

    for (size_t k = 0; k < kept; k++) {
        if (j->runs[k].subject == r->subject && j->runs[k].session == r->session && j->runs[k].run == r->run)
            return true;
    }
    return false;
}

static int list_runs(struct job *j, struct bm_error *err)
{
    size_t kept = 0;

    for (size_t i = 0; i < j->cli.nargs - 1; i++) {
        char *path;
        int rest = 0;

        name_run(j, i, j->cli.args[i]);
        if (designs.n) {
            path = design_path(j, i, err);
            rest = path ? apply_design(&j->runs[i], path, err) : -1;
            free(path);
        }
        if (rest < 0)
            return -1;
        if (rest) {
            cli_note(&j->cli, "%s: the design shows no stimulus; left out as a rest run", j->cli.args[i]);
            continue;
        }
        if (seen_before(j, kept, i))
            return bm_fail(err, BM_EDATA, "%s: session %d, run %d comes twice; name each run once", j->runs[i].path,
                           j->runs[i].session, j->runs[i].run);
        j->runs[kept++] = j->runs[i];
    }
    j->n = kept;
    return kept ? 0 : bm_fail(err, BM_EDATA, "%s: all runs are rest runs; nothing to write", j->output);
}

/* ---- inputs that cannot be read twice ---- */

static int copy_bytes(int from, struct bm_commit *to, const char *name, struct bm_error *err)
{
    static char buf[1 << 16];

    for (;;) {
        ssize_t n = read(from, buf, sizeof buf);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return bm_fail_errno(err, name, "cannot be read");
        if (n == 0)
            return 0;
        if (bm_commit_write(to, buf, (size_t)n, err))
            return -1;
    }
}

/* A fresh name for a temporary file, that nobody else can have put something at. Owned. */
static char *spool_name(struct bm_error *err)
{
    const char *dir = getenv("TMPDIR");
    char *name = bm_format(err, "%s/boldmill-XXXXXX", dir && *dir ? dir : "/tmp");
    int fd = name ? mkstemp(name) : -1;

    if (fd >= 0) {
        (void)close(fd);
        (void)unlink(name);
        return name;
    }
    if (name)
        (void)bm_fail_errno(err, name, "cannot be created; set TMPDIR");
    free(name);
    return NULL;
}

/* Copies a pipe to a temporary file, which vanishes with the process, and reads that instead: a pipe cannot be read
 * twice. Standard input is read once, and so left alone, where the mask is given. */
static int spool(struct bm_niftirun *run, struct bm_commit **out, struct bm_error *err)
{
    const bool is_stdin = !strcmp(run->path, "-");
    struct stat st;
    char *name;
    int fd, status;

    if (is_stdin ? masks.files.n > 0 : stat(run->path, &st) || !S_ISFIFO(st.st_mode))
        return 0;
    name = spool_name(err);
    *out = name ? bm_commit_open(name, err) : NULL;
    free(name);
    if (!*out)
        return -1;
    fd = is_stdin ? STDIN_FILENO : open(run->path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return bm_fail_errno(err, run->path, "cannot be opened");
    status = copy_bytes(fd, *out, run->path, err);
    if (!is_stdin)
        (void)close(fd);
    run->path = bm_commit_temp(*out);
    return status;
}

static int spool_all(struct job *j, struct bm_error *err)
{
    j->spooled = bm_calloc(j->n, sizeof(*j->spooled), "inputs", err);
    for (size_t i = 0; j->spooled && i < j->n; i++) {
        if (spool(&j->runs[i], &j->spooled[i], err))
            return -1;
    }
    return j->spooled ? 0 : -1;
}

static void drop_spooled(struct job *j)
{
    for (size_t i = 0; j->spooled && i < j->n; i++)
        bm_commit_drop(j->spooled[i]);
    free(j->spooled);
}

/* ---- which voxels ---- */

static int first_grid(struct job *j, struct bm_error *err)
{
    struct bm_nifti *in = bm_nifti_open(j->runs[0].path, err);

    if (!in)
        return -1;
    j->config.grid = bm_nifti_info(in)->grid;
    if (bm_nifti_info(in)->tr_doubt[0] && tr == 0.0)
        cli_warn(&j->cli, "%s: %s; give --tr to be sure", j->runs[0].path, bm_nifti_info(in)->tr_doubt);
    bm_nifti_close(in);
    return 0;
}

static int set_voxels(struct job *j, const bool *flags, struct bm_error *err)
{
    size_t n = bm_grid_voxels(&j->config.grid);

    free(j->voxels);
    j->voxels = bm_alloc(n, sizeof *j->voxels, "mask", err);
    if (!j->voxels)
        return -1;
    j->config.voxels = j->voxels;
    j->config.nvoxels = bm_columns_list(j->voxels, flags, n);
    j->config.complete = true;
    return 0;
}

/* The voxels that are non-zero in the first `most` volumes of any run (0: in all). */
static int find_brain(struct job *j, size_t most, struct bm_error *err)
{
    bool *flags = bm_calloc(bm_grid_voxels(&j->config.grid), sizeof *flags, "mask", err);
    int status = flags ? bm_niftiruns_nonzero(&j->config, most, flags, err) : -1;

    if (!status)
        status = set_voxels(j, flags, err);
    free(flags);
    if (!status && !j->config.nvoxels && !most)
        return bm_fail(err, BM_EDATA, "%s: all samples of all runs are zero; check the files", j->runs[0].path);
    return status;
}

/* Can packing begin anew when the first look at the voxels turns out not to be all? A file can be dropped; a pipe
 * cannot take anything back, but standard output has been given nothing before the first run is complete. */
static bool may_begin_anew(const struct job *j)
{
    struct stat st;

    if (!strcmp(j->output, "-"))
        return j->n == 1;
    return stat(j->output, &st) != 0 || S_ISREG(st.st_mode);
}

static int choose_voxels(struct job *j, struct bm_error *err)
{

    if (!masks.files.n) /* a first look is nearly always the whole answer; if not, pack() looks at everything */
        return first_grid(j, err) || find_brain(j, may_begin_anew(j) ? 1 : 0, err) ? -1 : 0;
    if (strcmp(j->runs[0].path, "-") != 0 && first_grid(j, err))
        return -1;
    if (cli_masks_read(&masks, strcmp(j->runs[0].path, "-") ? &j->config.grid : NULL, &j->config.grid, &j->voxels,
                       &j->config.nvoxels, err))
        return -1;
    j->config.voxels = j->voxels;
    return 0;
}

/* ---- packing ---- */

static void progress(void *self, const struct bm_run *run, size_t tiles_done)
{
    const struct job *j = self;

    (void)run;
    (void)tiles_done;
    cli_progress(&j->cli, "read", bm_niftiruns_raw_count(j->src), j->raw_size);
}

/* 1: voxels outside the first look's mask turned up; nothing was written. */
static int pack(struct job *j, struct bm_error *err)
{
    struct bm_op op = {.self = j, .progress = progress};
    struct bm_sink *sink = NULL;
    int status = -1;

    j->src = bm_niftiruns_source(&j->config, err);
    if (j->src)
        sink = bm_open_sink(j->output, !strcmp(store, "deflate"), err);
    if (sink)
        status = bm_pump(j->src, &op, sink, j->config.threads, err);
    if (!status)
        status = sink->finish(sink, err);
    if (sink)
        sink->close(sink);
    if (j->src) {
        if (status && bm_niftiruns_grown(j->src))
            status = 1;
        j->src->close(j->src);
    }
    return status;
}

static int pack_all(struct job *j, struct bm_error *err)
{
    int status = j->config.nvoxels ? pack(j, err) : 1;

    if (status <= 0)
        return status;
    *err = (struct bm_error){0};
    cli_note(&j->cli,
             "voxels come and go between volumes; reading all runs once more to find all that are ever non-zero");
    return find_brain(j, 0, err) || pack(j, err) ? -1 : 0;
}

int main(int argc, char **argv)
{
    struct job j = {0};
    struct bm_error err = {0};
    struct stat st;
    int status = -1;

    cli_parse(&j.cli, &program, argc, argv);
    if (skip_rest && !designs.n)
        cli_usage(&j.cli, "--skip-rest needs --design");
    j.output = j.cli.args[j.cli.nargs - 1];
    cli_check_stdout(&j.cli, j.output);
    j.runs = bm_calloc(j.cli.nargs, sizeof *j.runs, "runs", &err);
    j.names = bm_calloc(j.cli.nargs, sizeof *j.names, "runs", &err);
    if (j.runs && j.names && list_runs(&j, &err) == 0)
        status = spool_all(&j, &err);
    for (size_t i = 0; i < j.n && !status; i++)
        j.raw_size += stat(j.runs[i].path, &st) == 0 ? (uint64_t)st.st_size : 0;
    j.config = (struct bm_niftiruns_config){.runs = j.runs,
                                            .nruns = j.n,
                                            .tr = tr,
                                            .threads = cli_threads(threads),
                                            .memory = (size_t)memory << 20,
                                            .step = make_step,
                                            .self = &j};
    if (!status)
        status = choose_voxels(&j, &err) || pack_all(&j, &err) ? -1 : 0;
    cli_progress_end(&j.cli);
    drop_spooled(&j);
    if (status)
        cli_fail(&j.cli, &err);
    free(j.voxels);
    free(j.names);
    free(j.runs);
    return 0;
}
