/* What the programs in the middle of a pipe share: one series in, one operation, one series out. */
#ifndef BM_CLEAN_H
#define BM_CLEAN_H

#include "cli.h"
#include "core/pump.h"
#include "ops/panel.h"

/* The output's sample type and storage, for option tables. */
#define CLI_DTYPE(var)                                                                                               \
    {                                                                                                                \
        "dtype", 0, CLI_CHOICE, &(var), NULL, "Sample type of the output.", 0, 0, "float32|float16|float64", false   \
    }
#define CLI_STORE(var)                                                                                               \
    {                                                                                                                \
        "store", 0, CLI_CHOICE, &(var), NULL,                                                                        \
            "How a series file stores its tiles: byte shuffle and deflate, or plain.", 0, 0, "deflate|plain", true   \
    }

#define CLI_KEEP_MEAN(var)                                                                                           \
    {                                                                                                                \
        "keep-mean", 0, CLI_FLAG, &(var), NULL,                                                                      \
            "Put each voxel's mean back that cleaning took away, so that zscore --method psc can follow.", 0, 0,     \
            NULL, false                                                                                              \
    }
#define CLI_NONFINITE(var)                                                                                           \
    {                                                                                                                \
        "nonfinite", 0, CLI_CHOICE, &(var), NULL,                                                                    \
            "Samples that are NaN or infinite: voxel makes their voxel NaN throughout the run; zero takes them as "  \
            "0; "                                                                                                    \
            "error refuses the run. They are counted.",                                                              \
            0, 0, "voxel|zero|error", false                                                                          \
    }

enum bm_dtype cli_dtype(const char *name);

/* Pumps all runs of `src` through `op` into `sink`, commits and closes both. Adds the program's provenance step to
 * every run before op->begin sees it, and shows progress. Ends the process on failure. */
void cli_pump(const struct cli *cli, struct bm_source *src, struct bm_sink *sink, const struct bm_op *op,
              int threads);
/* Opens both ends, pumps all runs through `op`, commits. Ends the process on failure.
 * `inputs`: one or many series, taken as one. */
void cli_run_op(const struct cli *cli, char *const *inputs, size_t n, const char *output, const char *store,
                const struct bm_op *op, int threads);

typedef void cli_kernel(const void *self, struct bm_work *w); /* thread-safe; w->out has the run's rows */

/* Does a kernel's work on a tile, in a run whose begin has changed type, scaling and rows to those of the output. The
 * caller has set w's dtype, slope, inter (of the input) and zero; `doubles`: the kernel's scratch. */
int cli_work(struct bm_tile *t, const struct bm_run *run, struct bm_work *w, size_t doubles, cli_kernel *kernel,
             const void *self, struct bm_error *err) BM_MUST_USE;

/* A program that changes values: what is its own about it. */
struct cli_cleaner {
    void *self;
    const char *dtype, *store, *nonfinite;       /* the options' values */
    const char *nothing_count, *nonfinite_count; /* names of counts */
    /* Looks at a run as it comes, before its type and scaling change; may leave rows out (bm_run_keep_rows). */
    int (*begin)(void *self, struct bm_run *run, struct bm_error *err);
    size_t (*scratch)(const void *self, size_t rows); /* doubles that the kernel needs for tiles of so many rows */
    cli_kernel *kernel;
    void (*end)(void *self, struct bm_run *run);   /* optional: adds counts */
    int (*done)(void *self, struct bm_error *err); /* optional: after the last run */
};

/* Runs the program: reads its first argument, cleans run by run, writes its second. Ends the process on failure. */
void cli_clean(const struct cli *cli, const struct cli_cleaner *cleaner, int threads);

/* The file that a list of options names for a run: the only one if it is a pattern with {subject}, {session}, {run},
 * otherwise number `nth`, in the order of the runs. Owned; NULL on failure. */
char *cli_file_of_run(const struct cli_list *files, const char *option, size_t nth, const struct bm_run *run,
                      struct bm_error *err);
/* After the last run: is the list a pattern, or did it name one file for each of `runs` runs? */
int cli_files_used(const struct cli_list *files, const char *option, size_t runs, struct bm_error *err);

#endif
