/* shuffleidx: shuffled and split row indices, reproducible from a seed on any machine. */
#include "cli.h"

#include "core/parse.h"
#include "io/bundle.h"
#include "io/bytes.h"
#include "io/commit.h"
#include "io/jsonmem.h"
#include "io/npy.h"
#include "io/rowsfile.h"
#include "io/runjson.h"
#include "io/sealed.h"
#include "ops/split.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define MAX_ROWS ((int64_t)1 << 40)
#define MAX_WINDOW ((double)((int64_t)1 << 31))
#define MAX_SEED 9007199254740992.0 /* 2^53: exact in every JSON reader */

static int64_t seed, epoch, lag, window = 1, block_rows = 4096, buffer_blocks = 4, shards = 1;
static const char *mode = "full", *unit = "row", *by = "row", *split;

static const struct cli_option options[] = {
    {"seed", 's', CLI_INT, &seed, "S", "Seed of the split and of the orders.", 0, MAX_SEED, NULL, false},
    {"epoch", 'e', CLI_INT, &epoch, "E", "Gives another order of the same rows; the split stays.", 0, 4294967295.0,
     NULL, false},
    {"mode", 'm', CLI_CHOICE, &mode, "MODE",
     "full: any order. block: blocks of rows in any order, mixed within a buffer, so that a disk is read in big "
     "pieces. none: as they stand.",
     0, 0, "full|block|none", false},
    {"block-rows", 0, CLI_INT, &block_rows, "N", "Rows of a block.", 1, MAX_WINDOW, NULL, false},
    {"buffer-blocks", 0, CLI_INT, &buffer_blocks, "N", "Blocks that are mixed with each other.", 1, MAX_WINDOW, NULL,
     false},
    {"split", 0, CLI_STRING, &split, "PARTS",
     "Parts and their fractions, such as train=0.8,val=0.1,test=0.1; they must add up to 1.", 0, 0, NULL, false},
    {"by", 0, CLI_CHOICE, &by, "GROUP",
     "What --split keeps together. row: nothing. run, session: their rows. image: all presentations of an image.", 0,
     0, "row|run|session|image", false},
    {"unit", 'u', CLI_CHOICE, &unit, "UNIT",
     "What is given out: every row, or the first row of every presentation whose window fits into its run and has "
     "no gap in time.",
     0, 0, "row|presentation", false},
    {"window", 'w', CLI_INT, &window, "W", "Rows that a model looks at for one presentation.", 1, MAX_WINDOW, NULL,
     false},
    {"lag", 0, CLI_INT, &lag, "L",
     "Rows from the first row of a presentation to the first of its window; the metadata are already delayed.",
     -MAX_WINDOW, MAX_WINDOW, NULL, false},
    {"shards", 0, CLI_INT, &shards, "N", "Files that the rows of a part are spread over, in equal pieces.", 1, 65536,
     NULL, false},
    {0},
};

static const struct cli_program program = {
    .name = "shuffleidx",
    .purpose = "Write shuffled and split row indices, the same on every machine",
    .usage = "[OPTIONS] INPUT OUTPUT.npy",
    .description =
        "Writes an int64 array of row indices to train from. INPUT is the NAME.meta.npy or NAME.json that concat "
        "wrote, or a number of rows.\n"
        "\n"
        "With --split the indices go to OUTPUT.PART.npy, one file a part, with --shards N to OUTPUT-K-of-N.npy, K "
        "= 1 to N. OUTPUT.json tells what is in them.\n"
        "\n"
        "No row is on two sides of a split, and with --by image or --unit presentation no window is either: rows "
        "and presentations that would be are left out and counted.",
    .options = options,
    .examples =
        "  shuffleidx general.meta.npy general.shuffle.npy   # all rows, shuffled\n"
        "  shuffleidx --mode block --epoch 3 general.json general.shuffle.npy   # order for the fourth epoch\n"
        "  shuffleidx --split train=0.9,test=0.1 --by image --unit presentation -w 6 x.meta.npy x.npy   # trials\n",
    .min_args = 2,
    .max_args = 2,
};

struct job {
    const struct cli *cli;
    const char *input, *output;
    size_t stem; /* length of output without ".npy" */
    struct bm_split_rule rule;
    struct bm_order order;
    struct bm_timeline timeline;
    struct bm_split split;
    json_t *parts; /* description of what was written */
    char *step;
};

static int set_rules(struct job *job, struct bm_error *err)
{
    struct bm_split_rule *rule = &job->rule;
    *rule = (struct bm_split_rule){.window = window, .lag = lag, .seed = (uint64_t)seed, .parts = 1};
    rule->unit = (enum bm_unit)cli_choice(unit, (const char *const[]){"row", "presentation"});
    rule->by = (enum bm_by)cli_choice(by, (const char *const[]){"row", "run", "session", "image"});
    rule->share[0] = BM_SHARE_ONE;
    if (split && bm_split_parse(split, rule, err) < 0)
        return -1;
    if (!split && rule->by != BM_BY_ROW)
        return bm_fail(err, BM_EUSAGE, "--by %s: there is nothing to split; add --split", by);
    if (split && rule->by == BM_BY_ROW && rule->unit == BM_UNIT_ROW && (window != 1 || lag != 0))
        return bm_fail(
            err, BM_EUSAGE,
            "--window: single rows cannot be kept apart by windows; add --by image or --unit presentation");
    job->order =
        (struct bm_order){BM_ORDER_NONE, (size_t)block_rows, (size_t)buffer_blocks, (uint64_t)seed, (uint64_t)epoch};
    job->order.mode = (enum bm_order_mode)cli_choice(mode, (const char *const[]){"none", "full", "block"});
    return 0;
}

static int set_output(struct job *job, struct bm_error *err)
{
    size_t n = strlen(job->output);
    if (n < 5 || strcmp(job->output + n - 4, ".npy") != 0 || job->output[n - 5] == '/')
        return bm_fail(err, BM_EUSAGE, "%s: the output's name must end in .npy; change it", job->output);
    job->stem = n - 4;
    return bm_bundle_name(job->output, err);
}

static int add_file(struct job *job, struct bm_error *err)
{
    struct bm_rowsfile file;
    if (bm_rowsfile_read(job->input, &file, err) < 0)
        return -1;
    char *source = cli_input(job->input, file.bytes, file.crc32, err);
    int status = source ? 0 : -1;
    if (status == 0 && file.meta.history > 0)
        status = bm_timeline_add_rows(&job->timeline, &file.meta, job->input, err);
    for (size_t i = 0; status == 0 && i < file.nruns; i++) {
        const struct bm_run_rows *r = &file.runs[i];
        status = bm_timeline_add_run(&job->timeline, r->subject, r->session, r->run, r->rows, err);
    }
    if (status == 0)
        job->step = cli_step(job->cli, &source, 1, err);
    free(source);
    bm_rowsfile_clear(&file);
    return job->step ? status : -1;
}

static int read_input(struct job *job, struct bm_error *err)
{
    int64_t rows;
    if (!bm_parse_int(job->input, 1, MAX_ROWS, &rows)) {
        if (job->input[strspn(job->input, "+-0123456789")] != '\0' || strcmp(job->input, "-") == 0)
            return add_file(job, err);
        return bm_fail(err, BM_EUSAGE, "%s: is no number of rows; give 1 to 2^40, or ./%s for a file of this name",
                       job->input, job->input);
    }
    job->step = cli_step(job->cli, NULL, 0, err);
    return job->step ? bm_timeline_add_run(&job->timeline, 0, 1, 1, (size_t)rows, err) : -1;
}

/* OUTPUT[.PART][-K-of-N].npy; owned. */
static char *array_path(const struct job *job, size_t part, int64_t shard, struct bm_error *err)
{
    char piece[64] = "";
    if (shards > 1)
        (void)snprintf(piece, sizeof piece, "-%lld-of-%lld", (long long)shard + 1, (long long)shards);
    return bm_format(err, "%.*s%s%s%s.npy", (int)job->stem, job->output, split ? "." : "", job->rule.name[part],
                     piece);
}

static int refuse_input(const struct job *job, const char *path, struct bm_error *err)
{
    struct stat in, out;
    if (stat(job->input, &in) < 0 || stat(path, &out) < 0 || in.st_dev != out.st_dev || in.st_ino != out.st_ino)
        return 0;
    return bm_fail(err, BM_EUSAGE, "%s: is the input; choose another name for the output", path);
}

static int write_shard(struct job *job, json_t *files, size_t part, int64_t shard, const int64_t *rows,
                       struct bm_error *err)
{
    size_t first, count;
    bm_shard(job->split.units[part], (size_t)shards, (size_t)shard, &first, &count);
    char *path = array_path(job, part, shard, err);
    int status = path ? refuse_input(job, path, err) : -1;
    if (status == 0)
        status = bm_npy_save(path, "<i8", false, 8, 1, &count, rows + first, err);
    if (status == 0) {
        char crc[16];
        const char *slash = strrchr(path, '/');
        (void)snprintf(crc, sizeof crc, "%08x", (unsigned)bm_crc32(0, rows + first, count * 8));
        json_array_append_new(files, json_pack("{s:o, s:I, s:s}", "file", bm_runjson_text(slash ? slash + 1 : path),
                                               "rows", (json_int_t)count, "crc32", crc));
    }
    free(path);
    return status;
}

static int write_part(struct job *job, size_t part, struct bm_error *err)
{
    const struct bm_split *s = &job->split;
    json_t *files = json_array();
    int64_t *rows = bm_alloc(s->units[part], sizeof *rows, "rows of a part", err);
    int status = rows ? 0 : -1;
    if (status == 0) {
        bm_split_rows(s, part, rows);
        status = bm_order_rows(rows, s->units[part], &job->order, part, err);
    }
    for (int64_t k = 0; status == 0 && k < shards; k++)
        status = write_shard(job, files, part, k, rows, err);
    free(rows);
    json_t *entry = json_pack("{s:I, s:I, s:o}", "rows", (json_int_t)s->units[part], "left_out_shared",
                              (json_int_t)s->shared[part], "files", files);
    if (split) {
        json_object_set_new(entry, "name", json_string(job->rule.name[part]));
        json_object_set_new(entry, "fraction", json_real(job->rule.share[part] / (double)BM_SHARE_ONE));
        json_object_set_new(entry, "groups", json_integer((json_int_t)s->groups[part]));
    }
    json_array_append_new(job->parts, entry);
    return status;
}

static json_t *describe(const struct job *job)
{
    const struct bm_split *s = &job->split;
    json_t *root = json_pack("{s:s, s:i, s:s, s:I, s:I, s:s, s:I, s:I, s:I}", "boldmill", "shuffle", "schema",
                             BM_SCHEMA, "generator", BM_GENERATOR, "seed", (json_int_t)seed, "epoch",
                             (json_int_t)epoch, "mode", mode, "block_rows", (json_int_t)block_rows, "buffer_blocks",
                             (json_int_t)buffer_blocks, "shards", (json_int_t)shards);
    json_object_set_new(root, "split", split ? json_string(split) : json_null());
    json_object_update_new(
        root, json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:I}", "by", by, "unit", unit, "window", (json_int_t)window,
                        "lag", (json_int_t)lag, "input_rows", (json_int_t)job->timeline.rows, "left_out_no_image",
                        (json_int_t)s->no_image, "left_out_outside_run", (json_int_t)s->outside_run));
    json_object_set(root, "parts", job->parts);
    json_object_set_new(root, "steps", json_pack("[o]", bm_json_own(job->step)));
    return root;
}

static int write_text(const char *path, const char *text, struct bm_error *err)
{
    struct bm_commit *c = bm_commit_open(path, err);
    if (!c)
        return -1;
    if (bm_commit_write(c, text, strlen(text), err) < 0) {
        bm_commit_drop(c);
        return -1;
    }
    return bm_commit_done(c, err);
}

static int write_description(const struct job *job, const char *path, struct bm_error *err)
{
    char *text = bm_sealed_text(describe(job), err);
    int status = text ? write_text(path, text, err) : -1;
    free(text);
    return status;
}

static int check_shards(const struct job *job, struct bm_error *err)
{
    for (size_t p = 0; p < job->rule.parts; p++)
        if (job->split.units[p] < (size_t)shards)
            return bm_fail(err, BM_EUSAGE, "--shards: %lld files for %zu rows%s%s; use fewer", (long long)shards,
                           job->split.units[p], split ? " of part " : "", job->rule.name[p]);
    return 0;
}

static int write_all(struct job *job, struct bm_error *err)
{
    char *path = bm_format(err, "%.*s.json", (int)job->stem, job->output);
    int status = path ? refuse_input(job, path, err) : -1;
    if (status == 0)
        status = bm_bundle_replaces(path, "shuffle", err);
    for (size_t p = 0; status == 0 && p < job->rule.parts; p++)
        status = write_part(job, p, err);
    if (status == 0)
        status = write_description(job, path, err);
    free(path);
    return status;
}

static void note(const struct job *job)
{
    const struct bm_split *s = &job->split;
    size_t shared = 0;
    for (size_t p = 0; p < job->rule.parts; p++)
        shared += s->shared[p];
    if (s->no_image > 0)
        cli_note(job->cli, "%s: %zu rows before the first stimulus of their run are left out", job->input,
                 s->no_image);
    if (s->outside_run > 0)
        cli_note(job->cli, "%s: %zu presentations whose window leaves the run or meets a gap in it are left out",
                 job->input, s->outside_run);
    if (shared > 0)
        cli_note(job->cli, "%s: %zu %ss that two parts would share are left out", job->input, shared, unit);
}

static int run(struct job *job, struct bm_error *err)
{
    if (set_rules(job, err) < 0 || set_output(job, err) < 0 || read_input(job, err) < 0 ||
        bm_split_make(&job->split, &job->timeline, &job->rule, job->input, err) < 0 || check_shards(job, err) < 0)
        return -1;
    if (write_all(job, err) < 0)
        return -1;
    note(job);
    return 0;
}

int main(int argc, char **argv)
{
    struct bm_error err = {0};
    struct cli cli;
    cli_parse(&cli, &program, argc, argv);
    struct job job = {.cli = &cli, .input = cli.args[0], .output = cli.args[1], .parts = json_array()};
    int status = run(&job, &err);
    bm_split_free(&job.split);
    bm_timeline_free(&job.timeline);
    json_decref(job.parts);
    free(job.step);
    if (status < 0)
        cli_fail(&cli, &err);
    return 0;
}
