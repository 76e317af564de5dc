/* applymask: keeps the voxels of an ROI. */
#include "clean.h"
#include "io/open.h"
#include "masks.h"
#include "ops/columns.h"

#include <stdlib.h>
#include <string.h>

static struct cli_masks masks = {.combine = "union"};
static const char *absent = "zero", *store = "deflate";
static int64_t threads;

static const struct cli_option options[] = {
    {"roi", 'r', CLI_LIST, &masks.files, "SPEC",
     "Keep these voxels. SPEC is a FILE, of which values above 0 select, or 'FILE OP VALUE' with blanks around OP, "
     "one of = != > >= < <=; for = and != VALUE may be a list of numbers, ranges and names, such as V1v,V1d. FILE "
     "is a NIfTI volume or a .npy array of shape (X, Y, Z), or flat in C order.",
     0, 0, NULL, false},
    CLI_MASK_OPTIONS(masks, "roi"),
    {"absent", 'a', CLI_CHOICE, &absent, NULL,
     "ROI voxels that the series does not hold: zero fills them with 0 where the series knows that they are 0 "
     "throughout (and is an error where it does not); error always refuses; drop leaves them out.",
     0, 0, "zero|error|drop", false},
    CLI_STORE(store),
    CLI_THREADS(threads),
    {0},
};

static const struct cli_program program = {
    .name = "applymask",
    .purpose = "Keep the voxels of a region of interest",
    .usage = "--roi SPEC [OPTIONS] INPUT... OUTPUT",
    .description =
        "Keeps those columns of a series whose voxels lie in the ROI, in C order of (x, y, z): the order of "
        "numpy's data[mask]. The ROI is the union (or, with --combine, the intersection) of all --roi, less what any "
        "--minus selects, where all --where hold. Only the tiles that hold ROI voxels are read and inflated. Several "
        "inputs are taken one after the other, as one series. The ROI's grid must be the series' "
        "grid.\n" CLI_SERIES_NAMES,
    .options = options,
    .examples = "  applymask --roi roi/nsdgeneral.nii.gz session_*.h5 - | detrend - - | zscore - - | concat - "
                "nsdgeneral.fmri.npy\n"
                "  applymask --roi prf-visualrois.nii.gz --labels 1,2 session_01.h5 v1.h5\n"
                "  applymask --roi 'sub-01_dseg.nii.gz = V1v,V1d' --where 'ncsnr.nii.gz > 0.2' session_01.h5 v1.h5\n"
                "  applymask --roi nsdgeneral.nii.gz --minus 'prf-visualrois.nii.gz = 1-7' session_01.h5 higher.h5\n"
                "  applymask --roi a.nii.gz --roi b.npy --combine intersection session_01.h5 ab.h5\n",
    .min_args = 2,
    .max_args = 1000000,
};

/* A sink that keeps the ROI's columns and passes them on to another sink. */
struct cut {
    struct bm_sink base;
    const struct cli *cli;
    struct bm_source *src;
    struct bm_sink *out;
    struct cli_mask roi; /* once known */
    size_t absent;
    struct bm_run run;     /* as passed on */
    size_t *map;           /* input column of each output column, ascending but for BM_NO_COLUMN */
    bool *want;            /* input tiles that hold any of them */
    struct bm_buf columns; /* the run's output tiles, one after the other */
    struct bm_tile tile;   /* scratch for passing on */
    size_t filled, passed; /* output columns that are settled; output tiles passed on */
};

static int read_roi(struct cut *c, const struct bm_run *run, struct bm_error *err)
{
    if (c->roi.voxels && bm_grid_same(&c->roi.grid, &run->grid))
        return 0;
    cli_mask_clear(&c->roi);
    return cli_mask_read(&masks, &run->grid, &c->roi, err);
}

static int add_step(struct cut *c, struct bm_run *run, struct bm_error *err)
{
    char *step = cli_step(c->cli, c->roi.inputs, c->roi.ninputs, err);
    int status = step ? bm_run_add_step(run, step, err) : -1;

    free(step);
    return status;
}

/* Decides what becomes of the absent voxels; leaves c->run.voxels and c->map for what is kept. */
static int settle_absent(struct cut *c, const struct bm_run *in, struct bm_error *err)
{
    const bool drop = !strcmp(absent, "drop");
    size_t kept = 0;

    c->absent = bm_columns_map(c->map, c->roi.voxels, c->roi.n, in->voxels, in->cols);
    if (c->absent && !drop && (!strcmp(absent, "error") || !in->absent_zero))
        return bm_fail(
            err, BM_EDATA,
            "%s: %zu of the ROI's %zu voxels are not in run %s; use --absent drop to leave them out, or make "
            "the series with a larger mask",
            masks.files.items[0], c->absent, c->roi.n, in->label);
    for (size_t i = 0; i < c->roi.n; i++) {
        if (c->map[i] == BM_NO_COLUMN && drop)
            continue;
        c->map[kept] = c->map[i];
        c->run.voxels[kept++] = c->roi.voxels[i];
    }
    c->run.cols = kept;
    return kept ? 0
                : bm_fail(err, BM_EDATA, "%s: no voxel of the ROI is in run %s; check the mask", masks.files.items[0],
                          in->label);
}

/* The run as it will be passed on: the input's, with other columns. */
static int make_run(struct cut *c, const struct bm_run *in, struct bm_error *err)
{
    int64_t *voxels = bm_alloc(c->roi.n, sizeof *voxels, "voxels", err);

    bm_run_clear(&c->run);
    if (!voxels || bm_run_copy(&c->run, in, err)) {
        free(voxels);
        return -1;
    }
    free(c->run.voxels);
    c->run.voxels = voxels;
    c->run.absent_zero = false; /* what is not in the ROI is not known to be zero */
    free(c->map);
    c->map = bm_alloc(c->roi.n, sizeof *c->map, "columns", err);
    return c->map ? settle_absent(c, in, err) : -1;
}

static int choose_tiles(struct cut *c, const struct bm_run *in, struct bm_error *err)
{
    free(c->want);
    c->want = bm_calloc(bm_run_tiles(in), sizeof *c->want, "tiles", err);
    if (!c->want)
        return -1;
    for (size_t i = 0; i < c->run.cols; i++) {
        if (c->map[i] != BM_NO_COLUMN)
            c->want[c->map[i] / in->tile_cols] = true;
    }
    c->src->want(c->src, c->want);
    return 0;
}

static int cut_plan(void *self, struct bm_run *in, struct bm_error *err)
{
    struct cut *c = self;
    size_t bytes;

    if (read_roi(c, in, err) || add_step(c, in, err) || make_run(c, in, err) || choose_tiles(c, in, err) ||
        bm_mul(c->run.rows * bm_dtype_size(c->run.dtype), c->run.cols, &bytes, "run", err) ||
        bm_buf_resize(&c->columns, bytes, err))
        return -1;
    if (c->absent)
        memset(c->columns.data, 0, bytes);
    c->filled = c->passed = 0;
    return 0;
}

static int cut_begin_run(struct bm_sink *sink, const struct bm_run *in, struct bm_error *err)
{
    struct cut *c = (struct cut *)sink;

    (void)in;
    return c->out->begin_run(c->out, &c->run, err);
}

/* Passes on the output tiles whose columns are all settled. */
static int pass_on(struct cut *c, struct bm_error *err)
{
    const size_t row = c->run.rows * bm_dtype_size(c->run.dtype);

    while (c->passed < bm_run_tiles(&c->run)) {
        if (bm_tile_shape(&c->tile, &c->run, c->passed, err))
            return -1;
        if (c->tile.first + c->tile.cols > c->filled)
            return 0;
        memcpy(c->tile.data.data, (unsigned char *)c->columns.data + c->tile.first * row, c->tile.data.size);
        if ((c->out->encode && c->out->encode(c->out, &c->tile, err)) || c->out->put_tile(c->out, &c->tile, err))
            return -1;
        c->passed++;
    }
    return 0;
}

/* Copies output columns [first, end), which this input tile settles, into their places. */
static void take_columns(struct cut *c, const struct bm_tile *in, size_t first, size_t end)
{
    const size_t size = bm_dtype_size(c->run.dtype), B = c->run.tile_cols;

    while (first < end) {
        size_t start = first / B * B; /* of the output tile */
        size_t width = c->run.cols - start < B ? c->run.cols - start : B;
        size_t n = end - first < start + width - first ? end - first : start + width - first;

        bm_columns_gather((unsigned char *)c->columns.data + start * c->run.rows * size, width, first - start, n,
                          c->map + first, in->data.data, in->first, in->cols, in->rows, size);
        first += n;
    }
}

static int cut_put_tile(struct bm_sink *sink, struct bm_tile *in, struct bm_error *err)
{
    struct cut *c = (struct cut *)sink;
    size_t end = c->filled;

    while (end < c->run.cols && (c->map[end] == BM_NO_COLUMN || c->map[end] < in->first + in->cols))
        end++;
    take_columns(c, in, c->filled, end);
    c->filled = end;
    return pass_on(c, err);
}

static int cut_end_run(struct bm_sink *sink, const struct bm_run *in, struct bm_error *err)
{
    struct cut *c = (struct cut *)sink;

    c->filled = c->run.cols; /* absent voxels at the end */
    if (pass_on(c, err))
        return -1;
    memcpy(c->run.counts, in->counts, sizeof in->counts);
    c->run.ncounts = in->ncounts;
    bm_run_count(&c->run, "applymask.absent_voxels", c->absent);
    return c->out->end_run(c->out, &c->run, err);
}

static int cut_finish(struct bm_sink *sink, struct bm_error *err)
{
    struct cut *c = (struct cut *)sink;

    return c->out->finish(c->out, err);
}

static void cut_close(struct bm_sink *sink)
{
    struct cut *c = (struct cut *)sink;

    c->out->close(c->out);
    bm_tile_free(&c->tile);
    bm_buf_free(&c->columns);
    bm_run_clear(&c->run);
    free(c->want);
    free(c->map);
    cli_mask_clear(&c->roi);
}

int main(int argc, char **argv)
{
    struct cli cli;
    struct bm_error err = {0};
    struct cut c = {.cli = &cli,
                    .base = {.begin_run = cut_begin_run,
                             .put_tile = cut_put_tile,
                             .end_run = cut_end_run,
                             .finish = cut_finish,
                             .close = cut_close}};
    struct bm_op op = {.self = &c, .begin = cut_plan};
    const char *output;

    cli_parse(&cli, &program, argc, argv);
    cli_mask_check(&cli, &masks, "roi");
    if (!masks.files.n)
        cli_usage(&cli, "give a mask with --roi SPEC");
    cli.own_steps = true;
    output = cli.args[cli.nargs - 1];
    cli_check_stdout(&cli, output);
    bm_run_init(&c.run);
    c.src = bm_open_sources(cli.args, cli.nargs - 1, &err);
    c.out = c.src ? bm_open_sink(output, !strcmp(store, "deflate"), &err) : NULL;
    if (!c.out)
        cli_fail(&cli, &err);
    cli_pump(&cli, c.src, &c.base, &op, cli_threads(threads));
    return 0;
}
