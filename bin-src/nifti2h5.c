/* nifti2h5: packs NIfTI runs into a series, brain voxels only, samples as scanned. */
#include "clean.h"
#include "io/open.h"
#include "masks.h"
#include "ops/columns.h"
#include "reader.h"
#include "scans.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static struct cli_masks masks = {.combine = "union"};
static struct cli_scans scans = {.sessions = "0", .numbers = "0"};
static int64_t threads, memory = 384;
static const char *store = "deflate";
static struct cli_list reader;

static const struct cli_option options[] = {
    {"mask", 'm', CLI_LIST, &masks.files, "SPEC",
     "Keep these voxels: FILE (a NIfTI volume or a .npy array; values above 0 select) or 'FILE OP VALUE', as for "
     "--roi of applymask. Without it, the voxels that are ever non-zero in any run of the call.",
     0, 0, NULL, false},
    CLI_MASK_OPTIONS(masks, "mask"),
    {"volumes", 'n', CLI_INT, &scans.volumes, "N", "Keep the first N volumes of each run; 0 keeps all.", 0, 1 << 30,
     NULL, false},
    {"design", 'd', CLI_LIST, &scans.designs, "FILE",
     "Keep as many volumes as the run's design has rows (events.tsv files have no length and keep all). With "
     "{subject}, {session}, {run} in the name one pattern serves all runs; otherwise one file a run, in order.",
     0, 0, NULL, false},
    {"skip-rest", 0, CLI_FLAG, &scans.skip_rest, NULL, "Leave out runs whose --design shows no stimulus at all.", 0,
     0, NULL, false},
    {"subject", 0, CLI_INT, &scans.subject, "N", "Subject number; 0 takes it from the name (subjNN, sub-NN).", 0,
     32767, NULL, false},
    {"session", 0, CLI_STRING, &scans.sessions, "N[,N...]",
     "Session number, or one a run with commas between them; 0 takes it from the name (sessionNN, ses-NN), else 1.",
     0, 0, NULL, false},
    {"run", 0, CLI_STRING, &scans.numbers, "N[,N...]",
     "Number of the first run, counting up, or one a run with commas between them; 0 takes it from the name (runNN, "
     "run-NN), else counts from 1.",
     0, 0, NULL, false},
    {"tr", 0, CLI_REAL, &scans.tr, "SECONDS",
     "Repetition time; 0 takes it from the header. What is doubtful there is reported.", 0, 1000, NULL, false},
    CLI_STORE(store),
    {"reader", 0, CLI_LIST, &reader, "WORD",
     "A program that brings the runs, one word at a time: it is started with these words and the name of a run, and "
     "writes the run's bytes to standard output. Runs are then no files but names, each is read once, and "
     "--mask must be given.",
     0, 0, NULL, true},
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
                   "own type (float128 becomes float64); scaling is recorded and applied by the programs that "
                   "compute. gzip input is read to its last trailer, "
                   "and its CRC must match. Analyze 7.5 is read with a warning, as SPM reads it.\n"
                   "\nA list of 3-D files is one run, a volume a file in the order given; files whose names say "
                   "different runs (run-01, run-02) are different runs. If their scalings or types differ, the run's "
                   "samples are the scaled values, as float64.\n"
                   "\nWithout --mask the same voxels are kept for all runs of the call: those that are ever "
                   "non-zero. Where several runs "
                   "go to a pipe, that takes a first pass over all of them; give --mask there.",
    .options = options,
    .examples = "  nifti2h5 timeseries_session01_run*.nii.gz session_01.h5\n"
                "  nifti2h5 --design 'design/design_session{session}_run{run}.tsv' --skip-rest "
                "timeseries_session21_*.nii.gz s.h5\n"
                "  nifti2h5 --mask roi/V1.nii.gz run*.nii.gz - | detrend - - | zscore - v1.h5\n"
                "  nifti2h5 --mask V1.nii.gz --reader ssh --reader lab --reader cat /data/run01.nii.gz v1.h5\n",
    .min_args = 2,
    .max_args = 1000000,
};

struct job {
    struct cli cli;
    struct bm_niftiruns_config config;
    struct cli_mask mask; /* of --mask */
    int64_t *voxels;      /* without one, those that are ever non-zero */
    char *output;
    struct bm_source *src;
};

/* What cli_input makes of a file, with where its orientation comes from. */
static char *describe_input(const struct bm_niftifile *file, struct bm_error *err)
{
    char *plain = cli_input(file->name, file->bytes, file->crc32, err), *full = NULL;

    if (plain)
        full = bm_format(err, "%.*s,\"affine_from\":\"%s\"}", (int)strlen(plain) - 1, plain, file->affine_from);
    free(plain);
    return full;
}

/* The run's files, and those of the mask. */
static char *make_step(void *self, const struct bm_niftifile *files, size_t n, struct bm_error *err)
{
    const struct job *j = self;
    char **inputs = bm_calloc(n + j->mask.ninputs, sizeof(*inputs), "inputs", err), *step = NULL;
    size_t made = 0;

    while (inputs && made < n) {
        inputs[made] = describe_input(&files[made], err);
        if (!inputs[made])
            break;
        made++;
    }
    for (size_t i = 0; inputs && i < j->mask.ninputs; i++)
        inputs[n + i] = j->mask.inputs[i];
    if (inputs && made == n)
        step = cli_step(&j->cli, inputs, n + j->mask.ninputs, err);
    while (made > 0)
        free(inputs[--made]);
    free(inputs);
    return step;
}

/* ---- which voxels ---- */

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
        /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): the command line has one file at least */
        return bm_fail(err, BM_EDATA, "%s: all samples of all runs are zero; check the files", scans.files[0]);
    return status;
}

/* Can packing begin anew when the first look at the voxels turns out not to be all? A file can be dropped; a pipe
 * cannot take anything back, but standard output has been given nothing before the first run is complete. */
static bool may_begin_anew(const struct job *j)
{
    struct stat st;

    if (!strcmp(j->output, "-"))
        return scans.n == 1;
    return stat(j->output, &st) != 0 || S_ISREG(st.st_mode);
}

static int choose_voxels(struct job *j, struct bm_error *err)
{
    j->config.grid = scans.grid;
    if (!masks.files.n) /* a first look is nearly always the whole answer; if not, pack() looks at everything */
        return find_brain(j, may_begin_anew(j) ? 1 : 0, err);
    if (cli_mask_read(&masks, &j->config.grid, &j->mask, err))
        return -1;
    j->config.grid = j->mask.grid;
    j->config.voxels = j->mask.voxels;
    j->config.nvoxels = j->mask.n;
    return 0;
}

/* ---- packing ---- */

static void progress(void *self, const struct bm_run *run, size_t tiles_done)
{
    const struct job *j = self;

    (void)run;
    (void)tiles_done;
    cli_progress(&j->cli, "read", bm_niftiruns_raw_count(j->src), scans.raw_size);
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
        if (status < 0)
            cli_reader_stop();
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

static struct bm_bytes *bring(void *self, const char *name, struct bm_error *err)
{
    (void)self;
    return cli_reader_open(&reader, name, err);
}

static void configure(struct job *j)
{
    j->config = (struct bm_niftiruns_config){.runs = scans.runs,
                                             .nruns = scans.n,
                                             .tr = scans.tr,
                                             .threads = cli_threads(threads),
                                             .memory = (size_t)memory << 20,
                                             .open = scans.open,
                                             .step = make_step,
                                             .self = j};
}

int main(int argc, char **argv)
{
    struct job j = {0};
    struct bm_error err = {0};
    int status;

    cli_parse(&j.cli, &program, argc, argv);
    if (reader.n && !masks.files.n)
        cli_usage(&j.cli, "--reader needs --mask: what it brings is read once");
    if (scans.skip_rest && !scans.designs.n)
        cli_usage(&j.cli, "--skip-rest needs --design");
    cli_mask_check(&j.cli, &masks, "mask");
    j.output = j.cli.args[j.cli.nargs - 1];
    cli_check_stdout(&j.cli, j.output);
    scans.cli = &j.cli;
    scans.files = j.cli.args;
    scans.nfiles = j.cli.nargs - 1;
    scans.read_once = masks.files.n > 0;
    scans.open = reader.n ? bring : NULL;
    status = cli_scans_find(&scans, &err);
    configure(&j);
    if (!status)
        status = choose_voxels(&j, &err) || pack_all(&j, &err) ? -1 : 0;
    cli_progress_end(&j.cli);
    cli_scans_name(&scans, &err);
    cli_scans_free(&scans);
    if (status)
        cli_fail(&j.cli, &err);
    cli_mask_clear(&j.mask);
    free(j.voxels);
    return 0;
}
