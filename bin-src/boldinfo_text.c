#include "boldinfo_text.h"

#include "boldinfo_print.h"
#include "core/series.h"
#include "io/jsonmem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void print_grid(const json_t *o)
{
    const json_t *dims = json_object_get(o, "dims"), *affine = json_object_get(o, "affine");
    struct bm_grid g;
    char words[160];

    if (!dims)
        return;
    for (size_t r = 0; r < 3; r++) {
        g.dims[r] = info_item(dims, r);
        for (size_t c = 0; c < 4; c++)
            g.affine[r][c] = json_number_value(json_array_get(json_array_get(affine, r), c));
    }
    info_line("grid", "%s", bm_grid_text(&g, words, sizeof words));
}

/* "session 1, run 2: 0 to 1400, mean 310.5; 12 voxels 0 throughout, 3 constant" */
static void print_values(const json_t *values, const char *of)
{
    if (!values)
        return;
    (void)printf("  %-9s %s", "values", of);
    if (json_is_number(json_object_get(values, "min")))
        (void)printf("%g to %g, mean %g", info_real(values, "min"), info_real(values, "max"),
                     info_real(values, "mean"));
    else
        (void)printf("none is finite");
    if (info_integer(values, "nonfinite_samples"))
        (void)printf("; %lld of %lld samples in %lld voxels not finite", info_integer(values, "nonfinite_samples"),
                     info_integer(values, "samples"), info_integer(values, "nonfinite_voxels"));
    (void)printf("; %lld voxels are 0%s", info_integer(values, "zero_voxels"),
                 info_has(values, "constant_voxels") ? " throughout" : "");
    if (info_has(values, "constant_voxels"))
        (void)printf(", %lld constant", info_integer(values, "constant_voxels"));
    (void)putchar('\n');
}

static void print_volume(const json_t *info)
{
    print_values(json_object_get(info, "values"), "");
    if (info_has(info, "positive_voxels"))
        info_line("as a mask", "%lld voxels above 0", info_integer(info, "positive_voxels"));
    info_labels(info, info_has(info, "table"));
}

/* ---- NIfTI ---- */

static void print_run_of_name(const json_t *info)
{
    if (!info_integer(info, "subject") && !info_integer(info, "session") && !info_integer(info, "run"))
        return;
    (void)printf("  %-9s", "by name");
    if (info_integer(info, "subject"))
        (void)printf(" subject %lld", info_integer(info, "subject"));
    if (info_integer(info, "session"))
        (void)printf(" session %lld", info_integer(info, "session"));
    if (info_integer(info, "run"))
        (void)printf(" run %lld", info_integer(info, "run"));
    (void)putchar('\n');
}

static void print_extensions(const json_t *info)
{
    const json_t *extensions = json_object_get(info, "extensions"), *e;
    size_t i, column = 0;
    char word[64];

    json_array_foreach(extensions, i, e)
    {
        (void)snprintf(word, sizeof word, "code %lld (%lld bytes)", info_integer(e, "code"),
                       info_integer(e, "bytes"));
        info_list_item("extension", &column, word);
    }
    if (json_array_size(extensions))
        (void)printf(info_integer(info, "extension_count") > (long long)json_array_size(extensions) ? ", ...\n"
                                                                                                    : "\n");
}

static void print_nifti(const json_t *info)
{
    const bool analyze = !strcmp(info_text(info, "format"), "analyze");

    if (analyze)
        (void)printf("Analyze 7.5");
    else
        (void)printf("NIfTI-%lld", info_integer(info, "version"));
    (void)printf("%s, %lld volume%s, %s, %s-endian", json_is_true(json_object_get(info, "pair")) ? " pair" : "",
                 info_integer(info, "volumes"), info_plural(info_integer(info, "volumes")), info_text(info, "stored"),
                 info_text(info, "byte_order"));
    info_size(info);
    info_entities(info);
    print_run_of_name(info);
    print_grid(info);
    info_line("affine", "from the %s (sform code %lld, qform code %lld)", info_text(info, "affine_from"),
              info_integer(info, "sform_code"), info_integer(info, "qform_code"));
    if (info_has(info, "tr_doubt") || info_integer(info, "volumes") > 1)
        info_line("TR", "%g s%s%s", info_real(info, "tr"), info_has(info, "tr_doubt") ? "; " : "",
                  info_has(info, "tr_doubt") ? info_text(info, "tr_doubt") : "");
    if (info_real(info, "slope") == 1.0 && info_real(info, "inter") == 0.0)
        info_line("scaling", "none");
    else
        info_line("scaling", "value = %g * sample + %g", info_real(info, "slope"), info_real(info, "inter"));
    if (info_has(info, "doubt"))
        info_line("note", "%s", info_text(info, "doubt"));
    print_extensions(info);
    print_volume(info);
    if (info_integer(info, "trailing_bytes"))
        info_line("behind", "%lld bytes after the last volume", info_integer(info, "trailing_bytes"));
}

/* ---- runs ---- */

static bool same_kind(const json_t *a, const json_t *b)
{
    return info_integer(a, "subject") == info_integer(b, "subject") &&
           info_integer(a, "session") == info_integer(b, "session") &&
           info_integer(a, "rows") == info_integer(b, "rows") && info_real(a, "tr") == info_real(b, "tr") &&
           info_integer(b, "run") == info_integer(a, "run") + 1;
}

/* One line for runs of a session that follow each other and are equally long. */
static void print_runs(const json_t *runs)
{
    const size_t n = json_array_size(runs);

    for (size_t i = 0, end; i < n; i = end) {
        const json_t *first = json_array_get(runs, i);

        for (end = i + 1; end < n && same_kind(json_array_get(runs, end - 1), json_array_get(runs, end)); end++)
            ;
        (void)printf("  %-9s subject %lld, session %lld, run %lld", "runs", info_integer(first, "subject"),
                     info_integer(first, "session"), info_integer(first, "run"));
        if (end > i + 1)
            (void)printf(" to %lld", info_integer(json_array_get(runs, end - 1), "run"));
        (void)printf(": rows %lld to %lld (%zu x %lld)", info_integer(first, "first_row"),
                     info_integer(first, "first_row") + (long long)(end - i) * info_integer(first, "rows") - 1,
                     end - i, info_integer(first, "rows"));
        if (info_has(first, "tr"))
            (void)printf(", TR %g s", info_real(first, "tr"));
        if (info_has(first, "trials"))
            (void)printf(", %lld trials%s", info_integer(first, "trials"), end > i + 1 ? " in the first" : "");
        (void)putchar('\n');
    }
}

/* Of each run what only --values knows, and which volumes its rows are, where some are left out. */
static void print_run_details(const json_t *runs)
{
    const json_t *run;
    char of[80];
    size_t i;

    json_array_foreach(runs, i, run)
    {
        const json_t *times = json_object_get(run, "times");

        (void)snprintf(of, sizeof of, "session %lld, run %lld: ", info_integer(run, "session"),
                       info_integer(run, "run"));
        if (times)
            info_line("volumes", "%s%zu kept, the first is volume %lld and the last %lld (counted from 0)", of,
                      json_array_size(times), info_item(times, 0), info_item(times, json_array_size(times) - 1));
        print_values(json_object_get(run, "values"), of);
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
            json_object_set_new(total, name, json_integer(info_integer(total, name) + json_integer_value(value)));
    }
    json_object_foreach(total, name, value)
        info_line("counted", "%s: %lld", name, (long long)json_integer_value(value));
    json_decref(total);
}

/* ---- provenance ---- */

static bool is_set(const json_t *value)
{
    return !json_is_null(value) && !json_is_false(value);
}

static void print_setting(const char *name, const json_t *value)
{
    char *words = json_is_string(value) ? NULL : json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(6));
    const char *s = words ? words : json_string_value(value);

    if (json_is_true(value))
        (void)printf(" --%s", name);
    else if (s)
        (void)printf(strpbrk(s, " *?'\"<>|&;()") ? " --%s '%s'" : " --%s %s", name, s);
    bm_json_free(words);
}

static void print_settings(json_t *settings)
{
    const char *name;
    json_t *value, *each;
    size_t i;

    json_object_foreach(settings, name, value)
    {
        if (json_is_array(value))
            json_array_foreach(value, i, each) print_setting(name, each);
        else if (is_set(value))
            print_setting(name, value);
    }
}

static void print_inputs(const json_t *step, size_t runs)
{
    const json_t *inputs = json_object_get(step, "inputs"), *input;
    size_t i;

    json_array_foreach(inputs, i, input)
        info_line("", "  read %s (%lld bytes, CRC-32 %s)%s", info_text(input, "path"), info_integer(input, "bytes"),
                  info_text(input, "crc32"), i == 0 && runs > 1 ? ", for the first run" : "");
}

static void print_step(const json_t *step, size_t runs)
{
    (void)printf("  %-9s %s %s", "made by", info_text(step, "program"), info_text(step, "version"));
    print_settings(json_object_get(step, "settings"));
    (void)putchar('\n');
    print_inputs(step, runs);
}

static void print_steps(const json_t *steps, size_t runs)
{
    const json_t *step;
    size_t i;

    json_array_foreach(steps, i, step) print_step(step, runs);
}

static void print_all_of_runs(const json_t *runs)
{
    print_runs(runs);
    print_run_details(runs);
    print_counts(runs);
    print_steps(json_object_get(json_array_get(runs, 0), "steps"), json_array_size(runs));
}

/* ---- our own artifacts ---- */

static size_t count_sessions(const json_t *runs)
{
    const json_t *run, *last = NULL;
    size_t i, n = 0;

    json_array_foreach(runs, i, run)
    {
        n += !last || info_integer(last, "session") != info_integer(run, "session") ||
             info_integer(last, "subject") != info_integer(run, "subject");
        last = run;
    }
    return n;
}

static void print_series(const json_t *info)
{
    const json_t *runs = json_object_get(info, "runs"), *first = json_array_get(runs, 0);
    const size_t n = json_array_size(runs), sessions = count_sessions(runs);

    (void)printf("%s, %zu session%s, %zu run%s, %lld time points x %lld voxels, %s%s",
                 strcmp(info_text(info, "kind"), "stream") ? "series file" : "tile stream", sessions,
                 info_plural((long long)sessions), n, info_plural((long long)n), info_integer(info, "rows"),
                 info_integer(first, "cols"), info_text(first, "dtype"),
                 info_integer(first, "history") ? ", labelled" : "");
    info_size(info);
    print_grid(info);
    print_all_of_runs(runs);
}

static void print_arrays(const json_t *info)
{
    const json_t *fmri = json_object_get(info, "fmri"), *shape = json_object_get(fmri, "shape");
    const json_t *runs = json_object_get(info, "runs"), *meta = json_object_get(info, "meta");
    const size_t sessions = json_array_size(json_object_get(info, "sessions")), n = json_array_size(runs);

    (void)printf("arrays, %lld time points x %lld voxels, %s; %zu session%s, %zu run%s\n", info_item(shape, 0),
                 info_item(shape, 1), info_text(fmri, "dtype"), sessions, info_plural((long long)sessions), n,
                 info_plural((long long)n));
    info_line("files", "%s, %s", info_text(fmri, "file"),
              json_is_object(meta) ? info_text(meta, "file") : "no metadata");
    print_grid(json_object_get(info, "grid"));
    print_all_of_runs(runs);
}

static void print_quality(const json_t *info)
{
    const json_t *maps = json_object_get(info, "maps"), *carpet = json_object_get(info, "carpet");
    const json_t *runs = json_object_get(info, "runs");
    const size_t n = json_array_size(runs);

    (void)printf("quality of %zu run%s, %lld time points x %lld voxels\n", n, info_plural((long long)n),
                 info_item(json_object_get(carpet, "shape"), 0), info_item(json_object_get(maps, "shape"), 1));
    info_line("files", "%s, %s", info_text(maps, "file"), info_text(carpet, "file"));
    print_grid(json_object_get(info, "grid"));
    print_all_of_runs(runs);
}

static void print_summary(const json_t *info)
{
    const json_t *files = json_object_get(info, "files"), *file;
    size_t i;

    (void)printf("summary of a call, %lld bytes written\n", info_integer(info, "bytes"));
    json_array_foreach(files, i, file) info_line("file", "%s: %lld rows x %lld voxels", info_text(file, "file"),
                                                 info_integer(file, "rows"), info_integer(file, "voxels"));
}

static void print_shuffle(const json_t *info)
{
    const json_t *parts = json_object_get(info, "parts"), *part, *file;
    size_t i, k;

    (void)printf("shuffled indices, seed %lld, epoch %lld, order %s, of %lld rows\n", info_integer(info, "seed"),
                 info_integer(info, "epoch"), info_text(info, "mode"), info_integer(info, "input_rows"));
    json_array_foreach(parts, i, part)
    {
        json_array_foreach(json_object_get(part, "files"), k, file)
            info_line("file", "%s: %lld indices", info_text(file, "file"), info_integer(file, "rows"));
    }
    print_steps(json_object_get(info, "steps"), 1);
}

static void print_synthetic(const json_t *info)
{
    (void)printf("ground truth of a synthetic dataset, seed %lld\n", info_integer(info, "seed"));
    print_step(json_object_get(info, "step"), 1);
}

static void print_rows(const json_t *info)
{
    (void)printf("metadata rows, %lld time points, history of %lld, %lld different stimuli",
                 info_integer(info, "rows"), info_integer(info, "history"), info_integer(info, "stimuli"));
    info_size(info);
    print_runs(json_object_get(info, "runs"));
}

static void print_npy(const json_t *info)
{
    const json_t *shape = json_object_get(info, "shape");

    (void)printf("NPY array, ");
    for (size_t i = 0; i < json_array_size(shape); i++)
        (void)printf("%s%lld", i ? " x " : "", info_item(shape, i));
    (void)printf("%s, %s", json_array_size(shape) ? "" : "a single item", info_text(info, "dtype"));
    info_size(info);
    print_volume(info);
}

/* ---- all ---- */

static const struct {
    const char *kind;
    void (*print)(const json_t *);
} kinds[] = {
    {"nifti", print_nifti},
    {"series", print_series},
    {"stream", print_series},
    {"arrays", print_arrays},
    {"shuffle", print_shuffle},
    {"quality", print_quality},
    {"summary", print_summary},
    {"synthetic", print_synthetic},
    {"rows", print_rows},
    {"npy", print_npy},
    {"design", info_print_table},
    {"events", info_print_table},
    {"confounds", info_print_table},
    {"table", info_print_table},
    {"labels", info_print_label_table},
    {"sidecar", info_print_sidecar},
};

void boldinfo_text(json_t *info)
{
    const char *kind = info_text(info, "kind");

    info_clean(info);
    (void)printf("%s: ", info_text(info, "file"));
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (strcmp(kinds[i].kind, kind) != 0)
            continue;
        kinds[i].print(info);
        if (info_has(info, "verified"))
            info_line("verified", json_is_true(json_object_get(info, "verified"))
                                      ? "complete, all checksums good"
                                      : "no: it is complete, but no checksum vouches for what is in it");
    }
}
