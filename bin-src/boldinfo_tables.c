#include "boldinfo_print.h"
#include "io/jsonmem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void print_levels(const json_t *column)
{
    const json_t *levels = json_object_get(column, "levels"), *level;
    size_t i, at = 0;
    char word[300];

    json_array_foreach(levels, i, level)
    {
        (void)snprintf(word, sizeof word, "%s%s%.200s: %lld", i ? "" : info_text(column, "name"), i ? "" : " is ",
                       info_text(level, "value"), info_integer(level, "rows"));
        info_list_item("column", &at, word);
    }
    if (!json_array_size(levels))
        (void)printf("  %-9s %s: %s", "column", info_text(column, "name"),
                     levels ? "no values" : "words, many different");
}

static void print_range(const json_t *column)
{
    (void)printf("  %-9s %s: %g to %g, mean %g", "column", info_text(column, "name"), info_real(column, "min"),
                 info_real(column, "max"), info_real(column, "mean"));
}

static void print_columns(const json_t *columns)
{
    const json_t *c;
    size_t i;

    json_array_foreach(columns, i, c)
    {
        (info_has(c, "mean") ? print_range : print_levels)(c);
        if (info_integer(c, "missing"))
            (void)printf("; %lld n/a", info_integer(c, "missing"));
        (void)putchar('\n');
    }
}

void info_print_table(const json_t *info)
{
    const json_t *columns = json_object_get(info, "columns");
    const char *kind = info_text(info, "kind");
    const size_t n = json_array_size(columns);

    if (!strcmp(kind, "design"))
        (void)printf("design, %lld rows, %lld trials of %lld stimuli", info_integer(info, "rows"),
                     info_integer(info, "trials"), info_integer(info, "stimuli"));
    else if (!strcmp(kind, "events"))
        (void)printf("events, %lld, the last ends at %g s", info_integer(info, "rows"), info_real(info, "end"));
    else
        (void)printf("%s, %lld rows x %zu column%s",
                     strcmp(kind, "table") ? "table of numbers (confounds, motion)" : "table",
                     info_integer(info, "rows"), n, info_plural((long long)n));
    info_size(info);
    info_entities(info);
    print_columns(columns);
}

void info_print_label_table(const json_t *info)
{
    (void)printf("label table, %zu names", json_array_size(json_object_get(info, "labels")));
    info_size(info);
    info_entities(info);
    info_labels(info, true);
}

void info_print_sidecar(const json_t *info)
{
    json_t *fields = json_object_get(info, "fields"), *value;
    const char *key;

    (void)printf("BIDS sidecar, %zu fields", json_object_size(fields));
    info_size(info);
    info_entities(info);
    json_object_foreach(fields, key, value)
    {
        char *words = json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(6));

        if (json_is_object(value))
            info_line("field", "%s: %lld items", key, info_integer(value, "items"));
        else
            info_line("field", "%s: %s", key, words ? words : "?");
        bm_json_free(words);
    }
}
