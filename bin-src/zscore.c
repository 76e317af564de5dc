/* zscore: standardises each voxel, run by run. */
#include "clean.h"
#include "ops/standardise.h"

#include <string.h>

static int64_t ddof = 1, threads;
static const char *method = "zscore", *nonfinite = "voxel", *dtype = "float32", *store = "deflate";

static const struct cli_option options[] = {
    {"method", 'm', CLI_CHOICE, &method, NULL,
     "zscore: (y - mean) / sd. demean: y - mean. psc: percent signal change, 100 (y - mean) / abs(mean); run it "
     "before detrend, which takes the mean away.",
     0, 0, "zscore|demean|psc", false},
    {"ddof", 'd', CLI_INT, &ddof, "D",
     "The standard deviation's divisor is (time points - D): 1 sample, 0 population.", 0, 1, NULL, false},
    CLI_NONFINITE(nonfinite),
    CLI_DTYPE(dtype),
    CLI_STORE(store),
    CLI_THREADS(threads),
    {0},
};

static const struct cli_program program = {
    .name = "zscore",
    .purpose = "Standardise each voxel, run by run",
    .usage = "[OPTIONS] INPUT OUTPUT",
    .description =
        "Gives every voxel's time series mean 0 and standard deviation 1, separately in each run (or one of "
        "the other forms of --method). Constant voxels become 0 and are counted (zscore.constant_voxels), as "
        "are samples that are not finite.\n" CLI_SERIES_NAMES,
    .options = options,
    .examples = "  detrend session_01.h5 - | zscore - clean.h5       # as nilearn's detrend + zscore_sample\n"
                "  zscore --method psc session_01.h5 - | detrend - psc.h5\n",
    .min_args = 2,
    .max_args = 2,
};

static enum bm_standard kind;

static int begin(void *self, struct bm_run *run, struct bm_error *err)
{
    (void)self;
    if (run->rows > (size_t)ddof)
        return 0;
    return bm_fail(err, BM_EDATA, "%s: one time point has no standard deviation; use --ddof 0 or longer runs",
                   run->label);
}

static size_t scratch(const void *self, size_t rows)
{
    (void)self;
    return bm_panel_size(rows);
}

static void kernel(const void *self, struct bm_work *w)
{
    (void)self;
    bm_standardise(w, kind, (size_t)ddof);
}

int main(int argc, char **argv)
{
    struct cli cli;
    struct cli_cleaner cleaner = {.nothing_count = "zscore.constant_voxels",
                                  .nonfinite_count = "zscore.nonfinite_samples",
                                  .begin = begin,
                                  .scratch = scratch,
                                  .kernel = kernel};

    cli_parse(&cli, &program, argc, argv);
    kind = !strcmp(method, "psc") ? BM_PSC : !strcmp(method, "demean") ? BM_DEMEAN : BM_ZSCORE;
    cleaner.dtype = dtype;
    cleaner.store = store;
    cleaner.nonfinite = nonfinite;
    cli_clean(&cli, &cleaner, cli_threads(threads));
    return 0;
}
