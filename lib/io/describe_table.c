#include "core/mem.h"
#include "core/parse.h"
#include "io/describe_kinds.h"
#include "io/runjson.h"
#include "io/text.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MOST_COLUMNS ((size_t)4096)
#define MOST_LEVELS 50 /* a column with more different words is not listed */

struct level {
    struct bm_span word;
    size_t rows;
};

struct column {
    struct bm_span name; /* s = NULL: the table has no header */
    size_t missing, numbers, words;
    bool whole; /* all numbers are whole and not negative */
    double min, max, sum;
    struct level levels[MOST_LEVELS];
    size_t nlevels; /* MOST_LEVELS + 1: too many */
};

struct table {
    const char *path;
    struct bm_text text;
    bool tabs, header;
    struct column *columns;
    size_t n, room, rows;
    size_t onset, duration; /* columns of an events table; n: none */
    double end;             /* of the last event, seconds */
};

/* UTF-8, but for a character that the end may have cut in two. */
static bool is_utf8(const unsigned char *p, size_t n)
{
    for (size_t cut = 0; cut < 4 && cut < n; cut++)
        if (bm_span_is_utf8((struct bm_span){(const char *)p, n - cut}))
            return true;
    return false;
}

bool bm_describe_is_text(const unsigned char *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (p[i] < 0x20 && p[i] != '\t' && p[i] != '\n' && p[i] != '\r')
            return false;
    }
    return is_utf8(p, n);
}

/* ---- fields ---- */

static bool next_field(const struct table *t, struct bm_span *line, struct bm_span *field)
{
    if (!t->tabs)
        return bm_span_word(line, field);
    if (!bm_span_field(line, '\t', field))
        return false;
    *field = bm_span_trim(*field);
    return true;
}

static bool is_missing(struct bm_span a)
{
    static const char *const words[] = {"n/a", "NaN", "nan", "NA", "N/A", ""};

    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (bm_span_is(a, words[i]))
            return true;
    }
    return false;
}

static bool is_number(struct bm_span a, double *v)
{
    return bm_parse_real_n(a.s, a.n, v);
}

static void count_word(struct column *c, struct bm_span word)
{
    size_t i = 0;

    c->words++;
    while (i < c->nlevels && i < MOST_LEVELS &&
           !(c->levels[i].word.n == word.n && !memcmp(c->levels[i].word.s, word.s, word.n)))
        i++;
    if (i == MOST_LEVELS) {
        c->nlevels = MOST_LEVELS + 1;
        return;
    }
    if (i == c->nlevels)
        c->levels[c->nlevels++] = (struct level){word, 0};
    c->levels[i].rows++;
}

static void take_field(struct column *c, struct bm_span field)
{
    double v;

    if (is_missing(field)) {
        c->missing++;
        return;
    }
    count_word(c, field);
    if (!is_number(field, &v))
        return;
    c->words--;
    c->numbers++;
    c->whole = c->whole && v >= 0 && v == floor(v);
    c->min = v < c->min ? v : c->min;
    c->max = v > c->max ? v : c->max;
    c->sum += v;
}

/* ---- lines ---- */

static int add_column(struct table *t, struct bm_span name, struct bm_error *err)
{
    struct column *more;

    if (t->n == MOST_COLUMNS)
        return bm_fail(err, BM_EDATA, "%s: more than %zu columns; name a table", t->path, MOST_COLUMNS);
    if (t->n == t->room) {
        t->room = t->room ? 2 * t->room : 16;
        more = bm_calloc(t->room, sizeof *more, "columns", err);
        if (!more)
            return -1;
        for (size_t i = 0; i < t->n; i++)
            more[i] = t->columns[i];
        free(t->columns);
        t->columns = more;
    }
    t->columns[t->n++] = (struct column){.name = name, .whole = true, .min = DBL_MAX, .max = -DBL_MAX};
    return 0;
}

/* The first line says how fields are separated, how many there are, and what they are called, if anything. */
static int take_first(struct table *t, struct bm_span line, struct bm_error *err)
{
    struct bm_span rest = line, field;
    double v;

    t->tabs = memchr(line.s, '\t', line.n) != NULL;
    while (next_field(t, &rest, &field)) {
        t->header = t->header || !(is_missing(field) || is_number(field, &v));
        if (add_column(t, field, err))
            return -1;
    }
    t->onset = t->duration = t->n;
    for (size_t i = 0; i < t->n; i++) {
        if (!t->header)
            t->columns[i].name.s = NULL;
        else if (bm_span_is(t->columns[i].name, "onset"))
            t->onset = i;
        else if (bm_span_is(t->columns[i].name, "duration"))
            t->duration = i;
    }
    return 0;
}

static int take_line(struct table *t, struct bm_span line, struct bm_error *err)
{
    struct bm_span field;
    double v, onset = NAN, duration = 0.0;
    size_t i = 0;

    for (; next_field(t, &line, &field); i++) {
        if (i >= t->n)
            continue;
        take_field(&t->columns[i], field);
        if (i == t->onset && is_number(field, &v))
            onset = v;
        if (i == t->duration && is_number(field, &v))
            duration = v;
    }
    if (i != t->n)
        return bm_fail(err, BM_EDATA, "%s: line %zu has %zu fields, the first line %zu; this is no table", t->path,
                       t->text.line_no, i, t->n);
    t->rows++;
    if (onset + duration > t->end)
        t->end = onset + duration;
    return 0;
}

static int take_lines(struct table *t, struct bm_error *err)
{
    struct bm_span line;
    bool begun = false;

    while (bm_text_line(&t->text, &line)) {
        if (line.n == 0 && bm_text_only_blank_left(&t->text))
            break;
        if (!begun && take_first(t, line, err))
            return -1;
        if ((begun || !t->header) && take_line(t, line, err))
            return -1;
        begun = true;
    }
    if (t->n > 1 || t->rows)
        return 0;
    return bm_fail(err, BM_EDATA, "%s: is text, but no table; name another file", t->path);
}

/* ---- what came out ---- */

static json_t *word_json(struct bm_span a)
{
    return bm_runjson_textn(a.s, a.n);
}

static json_t *levels_json(const struct column *c)
{
    json_t *levels = json_array();

    for (size_t i = 0; i < c->nlevels && i < MOST_LEVELS; i++)
        (void)json_array_append_new(levels, json_pack("{s:o,s:I}", "value", word_json(c->levels[i].word), "rows",
                                                      (json_int_t)c->levels[i].rows));
    return levels;
}

static json_t *column_json(const struct column *c, size_t number)
{
    json_t *name = c->name.s ? word_json(c->name) : json_sprintf("%zu", number + 1);
    json_t *out = json_pack("{s:o,s:I}", "name", name, "missing", (json_int_t)c->missing);

    if (c->numbers && !c->words) {
        (void)json_object_set_new(out, "min", json_real(c->min));
        (void)json_object_set_new(out, "max", json_real(c->max));
        (void)json_object_set_new(out, "mean", json_real(c->sum / (double)c->numbers));
    } else if (c->nlevels <= MOST_LEVELS) {
        (void)json_object_set_new(out, "levels", levels_json(c));
    }
    return out;
}

static json_t *columns_json(const struct table *t)
{
    json_t *columns = json_array();

    for (size_t i = 0; i < t->n; i++)
        (void)json_array_append_new(columns, column_json(&t->columns[i], i));
    return columns;
}

static bool all_numbers(const struct table *t)
{
    for (size_t i = 0; i < t->n; i++) {
        if (t->columns[i].words)
            return false;
    }
    return t->rows > 0;
}

static json_t *table_json(const struct table *t)
{
    const bool design = !t->header && t->n == 1 && t->columns[0].whole && !t->columns[0].missing && all_numbers(t);
    const bool events = t->onset < t->n && t->duration < t->n;
    const char *kind = design ? "design" : events ? "events" : all_numbers(t) ? "confounds" : "table";
    json_t *info = json_pack("{s:s,s:I,s:o}", "kind", kind, "rows", (json_int_t)t->rows, "columns", columns_json(t));

    if (events)
        (void)json_object_set_new(info, "end", json_real(t->end));
    return info;
}

static int compare_numbers(const void *a, const void *b)
{
    double x, y;

    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return (x > y) - (x < y);
}

/* Trials and different stimuli of a design, of which the first line is about to be read. */
static int add_design(json_t *info, struct table *t, struct bm_error *err)
{
    double *ids = bm_alloc(t->rows, sizeof *ids, "design", err);
    struct bm_span line;
    size_t trials = 0, stimuli = 0;

    if (!ids)
        return -1;
    for (size_t i = 0; i < t->rows && bm_text_line(&t->text, &line); i++) {
        if (is_number(bm_span_trim(line), &ids[trials]) && ids[trials] > 0)
            trials++;
    }
    qsort(ids, trials, sizeof *ids, compare_numbers);
    for (size_t i = 0; i < trials; i++)
        stimuli += i == 0 || ids[i] != ids[i - 1];
    free(ids);
    (void)json_object_set_new(info, "trials", json_integer((json_int_t)trials));
    return json_object_set_new(info, "stimuli", json_integer((json_int_t)stimuli));
}

static json_t *labels_json(const struct bm_labels *labels)
{
    json_t *list = json_array();

    for (size_t i = 0; i < labels->n; i++)
        (void)json_array_append_new(list, json_pack("{s:I,s:o}", "value", (json_int_t)labels->items[i].index, "name",
                                                    bm_runjson_text(labels->items[i].name)));
    return json_pack("{s:s,s:o}", "kind", "labels", "labels", list);
}

/* ---- which table ---- */

/* Is it a label table? Its first line with content begins with a whole number that something else than numbers
 * follows, or is a header with index and name. Leaves the text at its first line. */
static bool looks_like_labels(struct bm_text *text)
{
    const size_t start = text->pos;
    struct bm_span line = {"", 0}, field, rest;
    bool number, words = false, index = false, name = false;
    int64_t whole;
    double v;

    while (bm_text_line(text, &line) && (bm_span_trim(line).n == 0 || bm_span_trim(line).s[0] == '#'))
        ;
    text->pos = start;
    text->line_no = 0;
    for (rest = line; bm_span_field(&rest, '\t', &field);) {
        index = index || bm_span_is(field, "index");
        name = name || bm_span_is(field, "name");
    }
    number = bm_span_word(&line, &field) && bm_parse_int_n(field.s, field.n, INT64_MIN, INT64_MAX, &whole);
    while (number && bm_span_word(&line, &field))
        words = words || !(is_number(field, &v) || is_missing(field));
    return (index && name) || words;
}

static json_t *describe_text(struct table *t, struct bm_error *err)
{
    const size_t start = t->text.pos;
    struct bm_labels labels;
    const char *kind;
    json_t *info;

    if (looks_like_labels(&t->text)) {
        if (bm_labels_parse(t->path, &t->text, &labels, err))
            return NULL;
        info = labels_json(&labels);
        bm_labels_clear(&labels);
        return info;
    }
    if (take_lines(t, err))
        return NULL;
    info = table_json(t);
    t->text.pos = start;
    kind = json_string_value(json_object_get(info, "kind"));
    if (kind && (strcmp(kind, "design") != 0 || add_design(info, t, err) == 0))
        return info;
    json_decref(info);
    return NULL;
}

json_t *bm_describe_table(const char *path, struct bm_bytes *in, const struct bm_describe_how *how,
                          struct bm_error *err)
{
    struct table t = {.path = bm_bytes_name(in)};
    json_t *info = NULL;

    (void)path;
    (void)how;
    if (bm_text_read_from(in, &t.text, err) == 0)
        info = describe_text(&t, err);
    bm_text_clear(&t.text);
    free(t.columns);
    bm_bytes_close(in);
    return info;
}
