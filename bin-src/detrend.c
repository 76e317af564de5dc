/* detrend: removes a polynomial trend from each voxel, run by run. */
#include "clean.h"
#include "ops/basis.h"
#include "ops/denoise.h"

static int64_t order = 1, threads;
static bool keep_mean;
static const char *nonfinite = "voxel", *dtype = "float32", *store = "deflate";

static const struct cli_option options[] = {
    {"order", 'k', CLI_INT, &order, "K", "Degree of the polynomial; 0 removes the mean alone.", 0, BM_MAX_ORDER, NULL,
     false},
    CLI_KEEP_MEAN(keep_mean),
    CLI_NONFINITE(nonfinite),
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
        "least squares does. A residue that is numerically nothing beside the voxel's own values becomes exactly "
        "0; such voxels are counted (detrend.flat_voxels), as are samples that are not finite.\n" CLI_SERIES_NAMES,
    .options = options,
    .examples = "  detrend session_01.h5 clean.h5                    # straight lines, the usual choice\n"
                "  applymask --roi V1.nii.gz session_01.h5 - | detrend --order 2 - - | zscore - v1.h5\n",
    .min_args = 2,
    .max_args = 2,
};

static struct bm_denoise *plan;

static int begin(void *self, struct bm_run *run, struct bm_error *err)
{
    const struct bm_denoise_settings settings = {.order = (int)order, .keep_mean = keep_mean};
    const struct bm_denoise_run all = {
        .label = run->label, .tr = run->tr, .volumes = run->rows, .rows = run->rows, .kept = run->rows};

    (void)self;
    bm_denoise_free(plan);
    plan = bm_denoise_plan(&settings, &all, err);
    return plan ? 0 : -1;
}

static size_t scratch(const void *self, size_t rows)
{
    (void)self;
    (void)rows;
    return bm_denoise_scratch(plan);
}

static void kernel(const void *self, struct bm_work *w)
{
    (void)self;
    bm_denoise(plan, w);
}

int main(int argc, char **argv)
{
    struct cli cli;
    struct cli_cleaner cleaner = {.nothing_count = "detrend.flat_voxels",
                                  .nonfinite_count = "detrend.nonfinite_samples",
                                  .begin = begin,
                                  .scratch = scratch,
                                  .kernel = kernel};

    cli_parse(&cli, &program, argc, argv);
    cleaner.dtype = dtype;
    cleaner.store = store;
    cleaner.nonfinite = nonfinite;
    cli_clean(&cli, &cleaner, cli_threads(threads));
    bm_denoise_free(plan);
    return 0;
}
