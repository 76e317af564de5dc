/* The command line of every program: options from one table, messages, exit status, progress, signals.
 *
 * A program is a `struct cli_program` (name, one-line purpose, usage, options, examples) and a run function.
 * The table drives parsing, range checks, `--help` with the live defaults, the pages in docs/tools
 * (hidden option --help-markdown) and the settings that are recorded as provenance.
 *
 * Exit status: 0 success; 1 an input, the data or the system is at fault; 2 the command line is;
 * 128+N ended by signal N (broken pipes: 141).
 * Messages go to standard error, one line each: "program: file: what is wrong; what to do".
 */
#ifndef BM_CLI_H
#define BM_CLI_H

#include "core/error.h"
#include "core/series.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum cli_type {
    CLI_FLAG,   /* bool *: set to true */
    CLI_INT,    /* int64_t *: lo..hi */
    CLI_REAL,   /* double *: lo..hi */
    CLI_STRING, /* const char ** */
    CLI_LIST,   /* struct cli_list *: may be given many times */
    CLI_CHOICE  /* const char **: one of `choices`, separated by '|' */
};

struct cli_list {
    const char **items; /* grown by cli_parse; freed at exit */
    size_t n;
};

struct cli_option {
    const char *name; /* "order": given as --order K or --order=K */
    char letter;      /* 'k', or 0 */
    enum cli_type type;
    void *value;         /* holds the default before parsing */
    const char *metavar; /* "K" */
    const char *help;    /* one or a few sentences; the default and range are added */
    double lo, hi;       /* CLI_INT, CLI_REAL */
    const char *choices; /* CLI_CHOICE */
    bool no_record;      /* does not change the result: left out of the provenance */
};

struct cli_program {
    const char *name, *purpose;
    const char *usage;                /* "detrend [OPTIONS] INPUT OUTPUT" without the program's name in front */
    const char *description;          /* paragraphs, wrapped by --help */
    const struct cli_option *options; /* ends with name NULL; the common ones are added by cli_parse */
    const char *examples;             /* lines "  command   # what it does" */
    size_t min_args, max_args;        /* positional arguments */
    bool no_output;                   /* it makes no files: its inputs need not stay as they are (io/inputs.h) */
};

/* Common to all: --help, --version, --quiet, --progress. */
struct cli {
    const struct cli_program *program;
    bool quiet, progress;
    bool own_steps; /* the program adds its provenance steps itself, with its inputs */
    char **args;    /* positional */
    size_t nargs;
};

/* Parses; answers --help and --version itself; ends the process with status 2 on a bad command line. Also sets up
 * signals (temporaries are removed), the locale, and HDF5's exit behaviour. */
void cli_parse(struct cli *cli, const struct cli_program *program, int argc, char **argv);
/* Ends the process if `output` is "-" and standard output is a terminal: binary data would garble it. */
void cli_check_stdout(const struct cli *cli, const char *output);
/* Are the n bytes at `value` one of the choices, "a|b|c"? */
bool cli_is_choice(const char *choices, const char *value, size_t n);
/* The place of `value` among names, one of which it must be: for enums that follow an option's choices. */
size_t cli_choice(const char *value, const char *const *names);
/* The paragraph of a description on programs that take series and write one. */
#define CLI_SERIES_NAMES                                                                                             \
    "\nINPUT and OUTPUT are series files (.h5), tile streams in files (.npys), or \"-\" for a stream on a pipe."
/* --threads: the option entry to put into a table, and the number to use (0: as many as the cores we may run on). */
#define CLI_THREADS(var)                                                                                             \
    {                                                                                                                \
        "threads", 'j', CLI_INT, &(var), "N",                                                                        \
            "Worker threads; 0 means one for each available core. The output does not depend on it.", 0, 1024, NULL, \
            true                                                                                                     \
    }
int cli_threads(int64_t wanted);

/* One provenance object: program, version, settings, inputs. Each input is a JSON object made by cli_input. Owned. */
char *cli_step(const struct cli *cli, char **inputs, size_t ninputs, struct bm_error *err);
char *cli_input(const char *path, uint64_t bytes, uint32_t crc32, struct bm_error *err);

void cli_warn(const struct cli *cli, const char *fmt, ...) BM_PRINTF(2, 3); /* silent with --quiet */
void cli_note(const struct cli *cli, const char *fmt, ...) BM_PRINTF(2, 3); /* silent with --quiet */
/* Ends the process for an error: prints the line, removes temporaries, status as above. */
void cli_fail(const struct cli *cli, const struct bm_error *err) __attribute__((noreturn));
/* Prints the line of an error and goes on. */
void cli_error(const struct cli *cli, const struct bm_error *err);
/* For programs that print on standard output: checks that it took everything; returns the exit status. */
int cli_finish(const struct cli *cli, bool failed);
/* The same for a mistake on the command line (status 2, "try --help"). */
void cli_usage(const struct cli *cli, const char *fmt, ...) BM_PRINTF(2, 3) __attribute__((noreturn));

/* Progress on standard error: shown when it is a terminal or --progress was given, at most 10 times a second, with
 * rate and time left. `total` 0: unknown. */
void cli_progress(const struct cli *cli, const char *what, uint64_t done, uint64_t total);
void cli_progress_end(const struct cli *cli);

#endif
