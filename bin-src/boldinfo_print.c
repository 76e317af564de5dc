#include "boldinfo_print.h"
#include "io/jsonmem.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define WIDTH 110 /* of lists, in columns */

long long info_integer(const json_t *o, const char *key)
{
    return json_integer_value(json_object_get(o, key));
}

double info_real(const json_t *o, const char *key)
{
    return json_number_value(json_object_get(o, key));
}

const char *info_text(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));

    return s ? s : "?";
}

bool info_has(const json_t *o, const char *key)
{
    return json_object_get(o, key) != NULL;
}

long long info_item(const json_t *list, size_t i)
{
    return json_integer_value(json_array_get(list, i));
}

const char *info_plural(long long n)
{
    return n == 1 ? "" : "s";
}

/* "  grid      ..." */
void info_line(const char *what, const char *fmt, ...)
{
    va_list ap;

    (void)printf("  %-9s ", what);
    va_start(ap, fmt);
    (void)vprintf(fmt, ap);
    va_end(ap);
    (void)putchar('\n');
}

/* Prints one item of a list behind those before it, on a new line where it does not fit. *column: 0 to begin. */
void info_list_item(const char *what, size_t *column, const char *word)
{
    if (*column && *column + strlen(word) + 2 > WIDTH) {
        (void)printf(",\n%12s%s", "", word);
        *column = 12 + strlen(word);
    } else if (*column) {
        (void)printf(", %s", word);
        *column += strlen(word) + 2;
    } else {
        (void)printf("  %-9s %s", what, word);
        *column = 12 + strlen(word);
    }
}

void info_size(const json_t *info)
{
    static const char *const units[] = {"bytes", "kB", "MB", "GB", "TB", "PB", "EB"}; /* 2^63 bytes are 9.2 EB */
    double size = (double)info_integer(info, "bytes");
    size_t u = 0;

    for (; size >= 1000; u++)
        size /= 1000;
    if (info_has(info, "bytes"))
        (void)printf(u ? "; %.1f %s" : "; %.0f %s", size, units[u]);
    if (json_is_true(json_object_get(info, "gzip")))
        (void)printf(", gzipped");
    (void)putchar('\n');
}

void info_entities(const json_t *info)
{
    json_t *entities = json_object_get(info, "entities"), *value;
    const char *key;

    if (!entities)
        return;
    (void)printf("  %-9s", "BIDS name");
    json_object_foreach(entities, key, value)(void) printf(" %s %s,", key, json_string_value(value));
    (void)printf(" %s\n", info_text(info, "suffix"));
}

/* Without names: "1: 120, 2: 98, ..." */
static void print_counts_of_labels(const json_t *labels)
{
    const json_t *label;
    size_t i, column = 0;
    char word[80];

    json_array_foreach(labels, i, label)
    {
        (void)snprintf(word, sizeof word, "%lld: %lld%s", info_integer(label, "value"), info_integer(label, "voxels"),
                       i ? "" : " voxels");
        info_list_item("ROIs", &column, word);
    }
    (void)putchar('\n');
}

static void print_names_of_labels(const json_t *labels)
{
    const bool counted = info_has(json_array_get(labels, 0), "voxels");
    const json_t *label;
    size_t i;

    info_line(counted ? "ROIs" : "labels", counted ? "value    voxels  name" : "value  name");
    json_array_foreach(labels, i, label)
    {
        (void)printf("  %15lld", info_integer(label, "value"));
        if (counted)
            (void)printf("  %8lld", info_integer(label, "voxels"));
        (void)printf("%s%s\n", info_has(label, "name") ? "  " : "",
                     info_has(label, "name") ? info_text(label, "name") : "");
    }
}

void info_labels(const json_t *info, bool named)
{
    const json_t *labels = json_object_get(info, "labels");

    if (info_has(info, "table_doubt"))
        info_line("names", "none: %s", info_text(info, "table_doubt"));
    else if (info_has(info, "table"))
        info_line("names", "from %s", info_text(info, "table"));
    if (json_array_size(labels))
        (named ? print_names_of_labels : print_counts_of_labels)(labels);
}

/* A copy without control characters, or NULL where there are none. Where memory is short, bm_json_lost tells it. */
static char *cleaned(const char *s)
{
    const size_t n = strlen(s) + 1;
    char *copy = bm_json_alloc(n);

    if (!copy)
        return NULL;
    memcpy(copy, s, n);
    bm_printable(copy);
    if (strcmp(copy, s) != 0)
        return copy;
    bm_json_free(copy);
    return NULL;
}

static void clean_object(json_t *object)
{
    const char *key;
    json_t *value;
    void *next;

    json_object_foreach_safe(object, next, key, value)
    {
        char *copy = cleaned(key);

        info_clean(value);
        if (copy) {
            (void)json_object_set(object, copy, value);
            (void)json_object_del(object, key);
        }
        bm_json_free(copy);
    }
}

void info_clean(json_t *value)
{
    char *copy = json_is_string(value) ? cleaned(json_string_value(value)) : NULL;
    json_t *each;
    size_t i;

    if (copy)
        (void)json_string_set(value, copy);
    bm_json_free(copy);
    if (json_is_object(value))
        clean_object(value);
    json_array_foreach(value, i, each) info_clean(each);
}
