/* What the programs in the middle of a pipe share: one series in, one operation, one series out. */
#ifndef BM_CLEAN_H
#define BM_CLEAN_H

#include "cli.h"
#include "core/pump.h"

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

enum bm_dtype cli_dtype(const char *name);

/* Pumps all runs of `src` through `op` into `sink`, commits and closes both. Adds the program's provenance step to
 * every run before op->begin sees it, and shows progress. Ends the process on failure. */
void cli_pump(const struct cli *cli, struct bm_source *src, struct bm_sink *sink, const struct bm_op *op,
              int threads);
/* Opens both ends, pumps all runs through `op`, commits. Ends the process on failure.
 * `inputs`: one or many series, taken as one. */
void cli_run_op(const struct cli *cli, char *const *inputs, size_t n, const char *output, const char *store,
                const struct bm_op *op, int threads);

#endif
