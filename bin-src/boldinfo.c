/* boldinfo: describes any file of ours, or a NIfTI file, and verifies it. */
#include "cli.h"
#include "io/bytes.h"
#include "io/describe.h"
#include "io/runjson.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool as_json, verify;

static const struct cli_option options[] = {
    {"json", 0, CLI_FLAG, &as_json, NULL, "Print JSON: one object, or a list of them for several files.", 0, 0, NULL,
     true},
    {"verify", 0, CLI_FLAG, &verify, NULL, "Read everything and check every checksum; damage gives status 1.", 0, 0,
     NULL, true},
    {0},
};

static const struct cli_program program = {
    .name = "boldinfo",
    .purpose = "Describe a NIfTI file, series file, tile stream or training array, and verify it",
    .usage = "[OPTIONS] FILE...",
    .description =
        "Says what a file is: grid, TR, rows, runs, sessions, values and voxel counts of a mask or ROI volume, what "
        "was "
        "counted on the way (constant voxels, dropped volumes, ...) and which programs made it. For arrays give "
        "NAME.json, "
        "which vouches for NAME.fmri.npy and NAME.meta.npy beside it. \"-\" reads a stream from standard input.",
    .options = options,
    .examples = "  boldinfo timeseries_session01_run01.nii.gz roi/prf-visualrois.nii.gz\n"
                "  boldinfo --verify cache/subj01/*.h5 cache/subj01/*.json\n"
                "  boldinfo --json session_01.h5 | python -m json.tool\n",
    .min_args = 1,
    .max_args = 1000000,
};

static json_int_t integer(const json_t *o, const char *key)
{
    return json_integer_value(json_object_get(o, key));
}

static double real(const json_t *o, const char *key)
{
    return json_number_value(json_object_get(o, key));
}

static const char *text(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));

    return s ? s : "?";
}

static void print_grid(const json_t *o)
{
    const json_t *dims = json_object_get(o, "dims"), *affine = json_object_get(o, "affine");
    struct bm_grid g;
    char line[160];

    if (!dims)
        return;
    for (size_t r = 0; r < 3; r++) {
        g.dims[r] = json_integer_value(json_array_get(dims, r));
        for (size_t c = 0; c < 4; c++)
            g.affine[r][c] = json_number_value(json_array_get(json_array_get(affine, r), c));
    }
    (void)printf("  grid      %s\n", bm_grid_text(&g, line, sizeof line));
}

static void print_values(const json_t *info)
{
    const json_t *values = json_object_get(info, "values"), *range = json_object_get(info, "range"), *v;
    size_t i;

    if (range)
        (void)printf("  range     %g to %g\n", json_number_value(json_array_get(range, 0)),
                     json_number_value(json_array_get(range, 1)));
    if (!json_is_array(values))
        return;
    (void)printf("  values    ");
    json_array_foreach(values, i, v)(void)
        printf("%s%g: %lld voxels", i ? ", " : "", json_number_value(json_array_get(v, 0)),
               (long long)json_integer_value(json_array_get(v, 1)));
    (void)putchar('\n');
}

static void print_nifti(const json_t *info)
{
    (void)printf("NIfTI-%lld, %lld volume%s, %s, %s-endian\n", (long long)integer(info, "version"),
                 (long long)integer(info, "volumes"), integer(info, "volumes") == 1 ? "" : "s", text(info, "dtype"),
                 text(info, "byte_order"));
    print_grid(info);
    (void)printf("  affine    from the %s\n", text(info, "affine_from"));
    if (integer(info, "volumes") > 1)
        (void)printf("  TR        %g s%s%s\n", real(info, "tr"), json_object_get(info, "tr_doubt") ? "; " : "",
                     json_object_get(info, "tr_doubt") ? text(info, "tr_doubt") : "");
    (void)printf("  scaling   value = %g * sample + %g\n", real(info, "slope"), real(info, "inter"));
    print_values(info);
}

static bool same_kind(const json_t *a, const json_t *b)
{
    return integer(a, "subject") == integer(b, "subject") && integer(a, "session") == integer(b, "session") &&
           integer(a, "rows") == integer(b, "rows") && real(a, "tr") == real(b, "tr") &&
           integer(b, "run") == integer(a, "run") + 1;
}

/* One line for runs of a session that follow each other and are equally long. */
static void print_runs(const json_t *runs)
{
    const size_t n = json_array_size(runs);

    for (size_t i = 0, end; i < n; i = end) {
        const json_t *first = json_array_get(runs, i);

        for (end = i + 1; end < n && same_kind(json_array_get(runs, end - 1), json_array_get(runs, end)); end++)
            ;
        (void)printf("  runs      subject %lld, session %lld, run %lld", (long long)integer(first, "subject"),
                     (long long)integer(first, "session"), (long long)integer(first, "run"));
        if (end > i + 1)
            (void)printf(" to %lld", (long long)integer(json_array_get(runs, end - 1), "run"));
        (void)printf(": rows %lld to %lld (%zu x %lld), TR %g s\n", (long long)integer(first, "first_row"),
                     (long long)(integer(first, "first_row") + (json_int_t)(end - i) * integer(first, "rows") - 1),
                     end - i, (long long)integer(first, "rows"), real(first, "tr"));
    }
}

static void print_counts(const json_t *runs)
{
    json_t *total = json_object(), *value;
    const json_t *run;
    const char *name;
    size_t i;

    json_array_foreach(runs, i, run)
    {
        json_t *counts = json_object_get(run, "counts");

        json_object_foreach(counts, name, value)(void)
            json_object_set_new(total, name, json_integer(integer(total, name) + json_integer_value(value)));
    }
    json_object_foreach(total, name, value)(void)
        printf("  counted   %s: %lld\n", name, (long long)json_integer_value(value));
    json_decref(total);
}

static void print_steps(const json_t *runs)
{
    const json_t *steps = json_object_get(json_array_get(runs, 0), "steps"), *step;
    size_t i;

    json_array_foreach(steps, i, step)
    {
        char *settings = json_dumps(json_object_get(step, "settings"), JSON_COMPACT | JSON_REAL_PRECISION(6));

        (void)printf("  made by   %s %s %s\n", text(step, "program"), text(step, "version"),
                     settings ? settings : "");
        free(settings);
    }
}

static void print_series(const json_t *info)
{
    const json_t *runs = json_object_get(info, "runs"), *first = json_array_get(runs, 0);

    (void)printf("%s, %zu run%s, %lld time points x %lld voxels, %s%s\n",
                 strcmp(text(info, "kind"), "stream") ? "series file" : "tile stream", json_array_size(runs),
                 json_array_size(runs) == 1 ? "" : "s", (long long)integer(info, "rows"),
                 (long long)integer(first, "cols"), text(first, "dtype"),
                 integer(first, "history") ? ", labelled" : "");
    print_grid(info);
    print_runs(runs);
    print_counts(runs);
    print_steps(runs);
}

static void print_arrays(const json_t *info)
{
    const json_t *fmri = json_object_get(info, "fmri"), *shape = json_object_get(fmri, "shape");
    const json_t *runs = json_object_get(info, "runs"), *meta = json_object_get(info, "meta");

    (void)printf("arrays, %lld time points x %lld voxels, %s; %zu session%s, %zu runs\n",
                 (long long)json_integer_value(json_array_get(shape, 0)),
                 (long long)json_integer_value(json_array_get(shape, 1)), text(fmri, "dtype"),
                 json_array_size(json_object_get(info, "sessions")),
                 json_array_size(json_object_get(info, "sessions")) == 1 ? "" : "s", json_array_size(runs));
    (void)printf("  files     %s, %s\n", text(fmri, "file"),
                 json_is_object(meta) ? text(meta, "file") : "no metadata");
    print_grid(json_object_get(info, "grid"));
    print_runs(runs);
    print_counts(runs);
    print_steps(runs);
}

static void print_npy(const json_t *info)
{
    const json_t *shape = json_object_get(info, "shape");

    (void)printf("NPY array, ");
    for (size_t i = 0; i < json_array_size(shape); i++)
        (void)printf("%s%lld", i ? " x " : "", (long long)json_integer_value(json_array_get(shape, i)));
    (void)printf(", %s\n", text(info, "dtype"));
}

static void print_shuffle(const json_t *info)
{
    const json_t *parts = json_object_get(info, "parts"), *part, *file;
    size_t i, k;

    (void)printf("shuffled indices, seed %lld, epoch %lld, order %s, of %lld rows\n",
                 (long long)integer(info, "seed"), (long long)integer(info, "epoch"), text(info, "mode"),
                 (long long)integer(info, "input_rows"));
    json_array_foreach(parts, i, part)
    {
        json_array_foreach(json_object_get(part, "files"), k, file)(void)
            printf("  file      %s: %lld indices\n", text(file, "file"), (long long)integer(file, "rows"));
    }
}

static void print_text(const json_t *info)
{
    const char *kind = text(info, "kind");

    (void)printf("%s: ", text(info, "file"));
    if (!strcmp(kind, "nifti"))
        print_nifti(info);
    else if (!strcmp(kind, "arrays"))
        print_arrays(info);
    else if (!strcmp(kind, "npy"))
        print_npy(info);
    else if (!strcmp(kind, "shuffle"))
        print_shuffle(info);
    else
        print_series(info);
    if (json_is_true(json_object_get(info, "verified")))
        (void)printf("  verified  %s\n", strcmp(kind, "npy") ? "complete, all checksums good"
                                                             : "complete; this file carries no checksum of its own");
}

int main(int argc, char **argv)
{
    struct cli cli;
    json_t *all = json_array();
    bool failed = false;

    cli_parse(&cli, &program, argc, argv);
    for (size_t i = 0; i < cli.nargs; i++) {
        struct bm_error err = {0};
        json_t *info = bm_describe(cli.args[i], verify, &err);

        if (!info) {
            (void)fflush(stdout);
            cli_error(&cli, &err);
            failed = true;
            continue;
        }
        if (!as_json)
            print_text(info);
        (void)json_array_append_new(all, info);
    }
    if (as_json && (json_array_size(all) || !failed))
        (void)json_dumpf(cli.nargs == 1 ? json_array_get(all, 0) : all, stdout,
                         JSON_INDENT(1) | JSON_REAL_PRECISION(17));
    if (as_json && json_array_size(all))
        (void)putchar('\n');
    json_decref(all);
    return cli_finish(&cli, failed);
}
