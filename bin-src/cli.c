#include "cli.h"
#include "typos.h"

#include "core/mem.h"
#include "core/parse.h"
#include "io/bytes.h"
#include "io/commit.h"
#include "io/hdf5.h"
#include "io/inputs.h"
#include "io/jsonmem.h"
#include "io/runjson.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#ifndef BM_VERSION
#error "the Makefile defines BM_VERSION"
#endif

static bool opt_help, opt_markdown, opt_version, opt_quiet, opt_progress;

static const struct cli_option common[] = {
    {"progress", 0, CLI_FLAG, &opt_progress, NULL, "Show progress also when standard error is not a terminal.", 0, 0,
     NULL, true},
    {"quiet", 'q', CLI_FLAG, &opt_quiet, NULL, "Print nothing but errors.", 0, 0, NULL, true},
    {"help", 'h', CLI_FLAG, &opt_help, NULL, "Show this help and exit.", 0, 0, NULL, true},
    {"version", 'V', CLI_FLAG, &opt_version, NULL, "Show version and libraries and exit.", 0, 0, NULL, true},
    {"help-markdown", 0, CLI_FLAG, &opt_markdown, NULL, NULL, 0, 0, NULL, true}, /* hidden: makes docs/tools */
    {NULL, 0, CLI_FLAG, NULL, NULL, NULL, 0, 0, NULL, true},
};

/* ---- messages and exits ---- */

static bool progress_on_line;

static void clear_line(void)
{
    if (progress_on_line)
        (void)fputs("\r\033[K", stderr);
    progress_on_line = false;
}

BM_PRINTF(3, 0) static void say(const struct cli *cli, const char *kind, const char *fmt, va_list ap)
{
    char text[1000];

    clear_line();
    (void)vsnprintf(text, sizeof text, fmt, ap);
    bm_printable(text);
    (void)fprintf(stderr, "%s: %s%s\n", cli->program->name, kind, text);
}

void cli_warn(const struct cli *cli, const char *fmt, ...)
{
    va_list ap;

    if (cli->quiet)
        return;
    va_start(ap, fmt);
    say(cli, "warning: ", fmt, ap);
    va_end(ap);
}

void cli_note(const struct cli *cli, const char *fmt, ...)
{
    va_list ap;

    if (cli->quiet)
        return;
    va_start(ap, fmt);
    say(cli, "", fmt, ap);
    va_end(ap);
}

void cli_usage(const struct cli *cli, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    say(cli, "", fmt, ap);
    va_end(ap);
    (void)fprintf(stderr, "%s: try '%s --help'\n", cli->program->name, cli->program->name);
    bm_commit_remove_all();
    exit(2);
}

void cli_error(const struct cli *cli, const struct bm_error *err)
{
    clear_line();
    (void)fprintf(stderr, "%s: %s\n", cli->program->name, err->text);
}

void cli_fail(const struct cli *cli, const struct bm_error *err)
{
    bm_commit_remove_all();
    if (err->code == BM_EPIPE) {
        (void)signal(SIGPIPE, SIG_DFL);
        (void)raise(SIGPIPE);
    }
    if (err->code == BM_EUSAGE)
        cli_usage(cli, "%s", err->text);
    cli_error(cli, err);
    _exit(1); /* other threads may still be at work, and a file that failed must not be touched again */
}

static void on_signal(int number)
{
    bm_commit_remove_all();
    (void)signal(number, SIG_DFL);
    (void)raise(number);
}

/* What is done about a signal now. */
static void (*handler(int number))(int)
{
    struct sigaction action = {0};

    (void)sigaction(number, NULL, &action);
    return action.sa_handler;
}

static void catch_signals(void)
{
    const int numbers[] = {SIGINT,  SIGQUIT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2, SIGALRM, SIGXCPU,
                           SIGXFSZ, SIGABRT, SIGSEGV, SIGBUS, SIGFPE,  SIGILL}; /* a crash leaves nothing either */
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_NODEFER};

    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        /* what was ignored stays so (nohup, background jobs), and what a sanitizer has taken; but a full file size
         * limit must be an error */
        if (numbers[i] == SIGXFSZ)
            (void)signal(SIGXFSZ, SIG_IGN);
        else if (handler(numbers[i]) == SIG_DFL)
            (void)sigaction(numbers[i], &action, NULL);
    }
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGCHLD, SIG_DFL); /* ignored, how a child ended could not be known */
}

/* ---- help ---- */

static void print_wrapped(const char *text, int indent, int width)
{
    int column = indent;

    while (*text) {
        size_t n = strcspn(text, " \n");

        if (column > indent && column + 1 + (int)n > width) {
            (void)printf("\n%*s", indent, "");
            column = indent;
        } else if (column > indent) {
            (void)putchar(' ');
            column++;
        }
        (void)fwrite(text, 1, n, stdout);
        column += (int)n;
        text += n;
        if (*text == '\n') {
            (void)printf("\n%*s", indent, "");
            column = indent;
        }
        text += *text != '\0';
    }
    (void)putchar('\n');
}

static void default_text(const struct cli_option *o, char text[160])
{
    const char *s = o->type == CLI_STRING || o->type == CLI_CHOICE ? *(const char **)o->value : NULL;

    text[0] = '\0';
    if (o->type == CLI_INT)
        (void)snprintf(text, 160, " [%lld; %.0f to %.0f]", (long long)*(int64_t *)o->value, o->lo, o->hi);
    else if (o->type == CLI_REAL)
        (void)snprintf(text, 160, " [%g; %g to %g]", *(double *)o->value, o->lo, o->hi);
    else if (s)
        (void)snprintf(text, 160, " [%s]", s);
}

static const char *value_name(const struct cli_option *o)
{
    return o->type == CLI_FLAG ? "" : o->type == CLI_CHOICE ? o->choices : o->metavar;
}

static const char *several(const struct cli_option *o)
{
    return o->type == CLI_LIST ? " May be given several times." : "";
}

static const char *blank_before_value(const struct cli_option *o)
{
    return o->type == CLI_FLAG ? "" : " ";
}

static void print_option(const struct cli_option *o)
{
    char head[160], defaults[160], text[1400];
    int n;

    if (!o->help)
        return;
    n = snprintf(head, sizeof head, "  %c%c%s --%s%s%s", o->letter ? '-' : ' ', o->letter ? o->letter : ' ',
                 o->letter ? "," : " ", o->name, blank_before_value(o), value_name(o));
    (void)fputs(head, stdout);
    (void)printf("%s%*s", n > 30 ? "\n" : "", n > 30 ? 32 : 32 - n, "");
    default_text(o, defaults);
    (void)snprintf(text, sizeof text, "%s%s%s", o->help, defaults, several(o));
    print_wrapped(text, 32, 100);
}

static void print_help(const struct cli_program *p)
{
    (void)printf("%s - %s\n\nUsage: %s %s\n\n", p->name, p->purpose, p->name, p->usage);
    print_wrapped(p->description, 0, 100);
    (void)puts("\nOptions:");
    for (const struct cli_option *o = p->options; o->name; o++)
        print_option(o);
    for (const struct cli_option *o = common; o->name; o++)
        print_option(o);
    (void)printf("\nExamples:\n%s\n", p->examples);
    if (!p->no_output)
        (void)puts(
            "Environment: BOLDMILL_SCRATCH names a folder where outputs are made before they go to their place.");
    (void)puts("Exit status: 0 success; 1 an input, the data or the system is at fault; 2 the command line is.");
}

static void print_markdown_option(const struct cli_option *o)
{
    char defaults[160];

    if (!o->help)
        return;
    default_text(o, defaults);
    (void)printf("| `--%s%s", o->name, blank_before_value(o));
    for (const char *s = value_name(o); *s; s++)
        (void)printf(*s == '|' ? "\\|" : "%c", *s);
    (void)putchar('`');
    if (o->letter)
        (void)printf(", `-%c`", o->letter);
    (void)printf(" | %s%s%s |\n", o->help, defaults, several(o));
}

static void print_markdown(const struct cli_program *p)
{
    (void)printf(
        "# %s\n\n%s.\n\n    %s %s\n\n%s\n\n## Options\n\n| option | meaning [default; range] |\n| --- | --- |\n",
        p->name, p->purpose, p->name, p->usage, p->description);
    for (const struct cli_option *o = p->options; o->name; o++)
        print_markdown_option(o);
    for (const struct cli_option *o = common; o->name; o++)
        print_markdown_option(o);
    (void)printf("\n## Examples\n\n```\n%s```\n", p->examples);
    if (!p->no_output)
        (void)puts(
            "\n## Environment\n\n`BOLDMILL_SCRATCH`: a folder on a near disk, where outputs are made; they are "
            "copied to their place in one go ([cluster.md](../cluster.md#node-local-disks)).");
    (void)puts("\n## Exit status\n\n0: success. 1: an input, the data or the system is at fault. 2: the command line "
               "is. 141: the reader of a pipe went away.\n\nGenerated by `make docs` from the program's own option "
               "table.");
}

static void print_version(const struct cli_program *p)
{
    char hdf5[32];

    (void)printf("%s (boldmill) %s\ninflate: %s; HDF5 %s; jansson %s\n", p->name, BM_VERSION, bm_inflater_name(),
                 bm_hdf5_version(hdf5), JANSSON_VERSION);
}

int cli_finish(const struct cli *cli, bool failed)
{
    struct bm_error err = {0};

    if (fflush(stdout) == 0 && !ferror(stdout) && (close(STDOUT_FILENO) == 0 || errno == EBADF))
        return failed ? 1 : 0;
    (void)bm_fail_errno(&err, "standard output", "cannot be written");
    cli_fail(cli, &err);
}

/* ---- parsing ---- */

static const struct cli_option *find_in(const struct cli_option *table, const char *name, size_t n, char letter)
{
    for (const struct cli_option *o = table; o->name; o++) {
        if (letter ? o->letter == letter : strlen(o->name) == n && !strncmp(o->name, name, n))
            return o;
    }
    return NULL;
}

static const struct cli_option *find_option(const struct cli *cli, const char *name, size_t n, char letter)
{
    const struct cli_option *o = find_in(cli->program->options, name, n, letter);

    return o ? o : find_in(common, name, n, letter);
}

bool cli_is_choice(const char *choices, const char *value, size_t n)
{
    for (const char *p = choices; *p; p += strcspn(p, "|"), p += *p == '|') {
        if (strcspn(p, "|") == n && !strncmp(p, value, n))
            return true;
    }
    return false;
}

size_t cli_choice(const char *value, const char *const *names)
{
    size_t i = 0;

    while (strcmp(value, names[i]) != 0)
        i++;
    return i;
}

static void add_to_list(const struct cli *cli, struct cli_list *list, const char *value)
{
    const char **items = realloc(list->items, (list->n + 1) * sizeof *items);

    if (!items)
        cli_usage(cli, "out of memory");
    items[list->n++] = value;
    list->items = items;
}

static void set_number(const struct cli *cli, const struct cli_option *o, const char *value)
{
    double x = 0.0;

    if (o->type == CLI_INT) {
        if (!bm_parse_int(value, (int64_t)o->lo, (int64_t)o->hi, o->value))
            cli_usage(cli, "--%s: '%s' is not a whole number from %.0f to %.0f", o->name, value, o->lo, o->hi);
        return;
    }
    if (!bm_parse_real(value, &x) || x < o->lo || x > o->hi)
        cli_usage(cli, "--%s: '%s' is not a number from %g to %g", o->name, value, o->lo, o->hi);
    *(double *)o->value = x;
}

static void set_option(const struct cli *cli, const struct cli_option *o, const char *value)
{
    switch (o->type) {
    case CLI_FLAG:
        *(bool *)o->value = true;
        break;
    case CLI_INT:
    case CLI_REAL:
        set_number(cli, o, value);
        break;
    case CLI_CHOICE:
        if (!cli_is_choice(o->choices, value, strlen(value)))
            cli_usage(cli, "--%s: '%s' is not one of %s", o->name, value, o->choices);
        *(const char **)o->value = value;
        break;
    case CLI_STRING:
        *(const char **)o->value = value;
        break;
    default: /* CLI_LIST */
        add_to_list(cli, o->value, value);
        break;
    }
}

__attribute__((noreturn)) static void unknown_option(const struct cli *cli, const char *arg)
{
    size_t n = arg[1] == '-' ? strcspn(arg + 2, "=") : 0;
    const struct cli_option *o = cli_like(cli->program->options, arg + 2, n);

    if (!o)
        o = cli_like(common, arg + 2, n);
    if (!o)
        cli_usage(cli, "unknown option '%s'", arg);
    cli_usage(cli, "unknown option '%s'; did you mean --%s?", arg, o->name);
}

/* Handles argv[i], which begins with "-". Returns the index of the last argument that it used. */
static int parse_option(const struct cli *cli, int argc, char **argv, int i)
{
    const char *arg = argv[i], *value = NULL;
    const struct cli_option *o;

    if (arg[1] == '-') {
        size_t n = strcspn(arg + 2, "=");

        o = find_option(cli, arg + 2, n, '\0');
        value = arg[2 + n] ? arg + 3 + n : NULL;
    } else {
        o = find_option(cli, NULL, 0, arg[1]);
        value = arg[2] ? arg + 2 : NULL;
    }
    if (!o)
        unknown_option(cli, arg);
    if (o->type == CLI_FLAG) {
        if (value)
            cli_usage(cli, "--%s takes no value", o->name);
    } else if (!value) {
        if (i + 1 == argc)
            cli_usage(cli, "--%s needs a value (%s)", o->name, value_name(o));
        value = argv[++i];
    }
    set_option(cli, o, value);
    return i;
}

static const struct cli_program *parsed; /* for free_arguments */
static char **positional;

static void free_arguments(void)
{
    for (const struct cli_option *o = parsed->options; o->name; o++) {
        if (o->type == CLI_LIST)
            free(((struct cli_list *)o->value)->items);
    }
    free(positional);
}

/* Tiles come and go by the thousand: their memory stays with the process instead of going back to the system, which
 * would have to clear it anew each time. */
static void keep_memory(void)
{
#ifdef M_MMAP_THRESHOLD
    (void)mallopt(M_MMAP_THRESHOLD, 32 << 20);
    (void)mallopt(M_TRIM_THRESHOLD, 256 << 20);
#endif
}

/* A descriptor 0, 1 or 2 that is closed would go to the next file that is opened, and messages would end up in an
 * output. So it is taken by something that can be neither read nor written. */
static void fill_descriptors(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_PATH) != fd && open("/", O_PATH) != fd)
            _exit(1); /* no message can be given */
    }
}

void cli_parse(struct cli *cli, const struct cli_program *program, int argc, char **argv)
{
    const char *scratch = getenv("BOLDMILL_SCRATCH");
    bool options = true;

    *cli = (struct cli){.program = program};
    fill_descriptors();
    catch_signals();
    keep_memory();
    if (!program->no_output)
        bm_inputs_watch();
    bm_commit_scratch(scratch && *scratch ? scratch : NULL);
    parsed = program;
    (void)atexit(free_arguments);
    cli->args = positional = calloc((size_t)argc + 1, sizeof *positional);
    if (!positional)
        cli_usage(cli, "out of memory");
    for (int i = 1; i < argc; i++) {
        if (options && !strcmp(argv[i], "--"))
            options = false;
        else if (options && argv[i][0] == '-' && argv[i][1])
            i = parse_option(cli, argc, argv, i);
        else
            cli->args[cli->nargs++] = argv[i];
    }
    cli->quiet = opt_quiet;
    cli->progress = opt_progress || (!opt_quiet && isatty(STDERR_FILENO));
    if (opt_help)
        print_help(program);
    else if (opt_markdown)
        print_markdown(program);
    else if (opt_version)
        print_version(program);
    if (opt_help || opt_markdown || opt_version)
        exit(cli_finish(cli, false));
    if (cli->nargs < program->min_args)
        cli_usage(cli, "too few arguments; usage: %s %s", program->name, program->usage);
    if (cli->nargs > program->max_args)
        cli_usage(cli, "too many arguments, from '%s' on; usage: %s %s", cli->args[program->max_args], program->name,
                  program->usage);
}

void cli_check_stdout(const struct cli *cli, const char *output)
{
    if (!strcmp(output, "-") && isatty(STDOUT_FILENO))
        cli_usage(cli, "standard output is a terminal; name an output file, or pipe into another program");
}

int cli_threads(int64_t wanted)
{
    cpu_set_t set;

    if (wanted > 0)
        return (int)wanted;
    return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}

/* ---- provenance ---- */

static json_t *list_value(const struct cli_list *list)
{
    json_t *a = json_array();

    for (size_t i = 0; i < list->n; i++)
        (void)json_array_append_new(a, bm_runjson_text(list->items[i]));
    return a;
}

static json_t *option_value(const struct cli_option *o)
{
    switch (o->type) {
    case CLI_FLAG:
        return json_boolean(*(bool *)o->value);
    case CLI_INT:
        return json_integer(*(int64_t *)o->value);
    case CLI_REAL:
        return json_real(*(double *)o->value);
    case CLI_LIST:
        return list_value(o->value);
    default:
        return *(const char **)o->value ? bm_runjson_text(*(const char **)o->value) : json_null();
    }
}

char *cli_input(const char *path, uint64_t bytes, uint32_t crc32, struct bm_error *err)
{
    char hex[16];

    (void)snprintf(hex, sizeof hex, "%08x", (unsigned)crc32);
    return bm_runjson_dump(
        json_pack("{s:o,s:I,s:s}", "path", bm_runjson_text(path), "bytes", (json_int_t)bytes, "crc32", hex), err);
}

char *cli_step(const struct cli *cli, char **inputs, size_t ninputs, struct bm_error *err)
{
    json_t *settings = json_object(), *list = json_array();

    for (const struct cli_option *o = cli->program->options; o->name; o++) {
        if (!o->no_record)
            (void)json_object_set_new(settings, o->name, option_value(o));
    }
    for (size_t i = 0; i < ninputs; i++)
        (void)json_array_append_new(list, bm_json_own(inputs[i]));
    return bm_runjson_dump(json_pack("{s:s,s:s,s:o,s:o}", "program", cli->program->name, "version", BM_VERSION,
                                     "settings", settings, "inputs", list),
                           err);
}

/* ---- progress ---- */

static double now(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void cli_progress(const struct cli *cli, const char *what, uint64_t done, uint64_t total)
{
    static double start, last;
    double t;

    if (!cli->progress)
        return;
    if (done > total)
        total = 0; /* more than was thought: nobody knows */
    t = now();
    if (start == 0.0)
        start = t;
    if (t - last < (isatty(STDERR_FILENO) ? 0.1 : 1.0) && last > 0.0 && done != total)
        return;
    last = t;
    if (total && done)
        (void)fprintf(stderr, "\r\033[K%s: %s %3.0f %%, %.0f s left", cli->program->name, what,
                      100.0 * (double)done / (double)total, (t - start) * (double)(total - done) / (double)done);
    else
        (void)fprintf(stderr, "\r\033[K%s: %s %llu, %.0f s", cli->program->name, what, (unsigned long long)done,
                      t - start);
    (void)fflush(stderr);
    progress_on_line = true;
}

void cli_progress_end(const struct cli *cli)
{
    (void)cli;
    if (progress_on_line)
        (void)fputc('\n', stderr);
    progress_on_line = false;
}
