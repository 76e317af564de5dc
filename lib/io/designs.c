#include "io/designs.h"

#include "core/parse.h"
#include "io/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_COLUMNS 4096
#define MAX_CATEGORIES 65536
#define NO_COLUMN ((size_t)-1)

/* ---- what kind of file it is ---- */

struct columns {
    size_t n, onset, duration, wanted;
};

/* Finds the named columns in a header line. -1: one of them is there twice, or there are too many. */
static int find_columns(const char *path, struct bm_span header, const char *wanted, struct columns *c,
                        struct bm_error *err)
{
    struct bm_span field;

    *c = (struct columns){0, NO_COLUMN, NO_COLUMN, NO_COLUMN};
    for (; bm_span_field(&header, '\t', &field); c->n++) {
        size_t *const places[3] = {&c->onset, &c->duration, &c->wanted};
        const char *const names[3] = {"onset", "duration", wanted};

        for (int i = 0; i < 3; i++) {
            if (!names[i] || !bm_span_is(field, names[i]))
                continue;
            if (*places[i] != NO_COLUMN)
                return bm_fail(err, BM_EDATA, "%s: the column %s is there twice; keep one", path, names[i]);
            *places[i] = c->n;
        }
        if (c->n == MAX_COLUMNS)
            return bm_fail(err, BM_EDATA, "%s: more than %d columns; name an events table", path, MAX_COLUMNS);
    }
    return 0;
}

static bool is_integer(struct bm_span a)
{
    int64_t v;

    return bm_parse_int_n(a.s, a.n, INT64_MIN, INT64_MAX, &v);
}

/* Reads the file and its first line. 1: events, 0: design, -1: neither. */
static int open_design(const char *path, const char *wanted, struct bm_text *text, struct bm_span *first,
                       struct columns *c, struct bm_error *err)
{
    if (bm_text_read(path, text, err))
        return -1;
    if (!bm_text_line(text, first))
        return bm_fail(err, BM_EDATA, "%s: is empty; name a design or events file", path);
    if (is_integer(*first))
        return 0;
    if (find_columns(path, *first, wanted, c, err))
        return -1;
    if (c->onset != NO_COLUMN && c->duration != NO_COLUMN)
        return 1;
    return bm_fail(
        err, BM_EDATA,
        "%s: line 1 is neither an integer (a design) nor a header with onset and duration (events); name a "
        "design or events file",
        path);
}

int bm_design_is_events(const char *path, struct bm_error *err)
{
    struct bm_text text = {0};
    struct bm_span first;
    struct columns c;
    int kind = open_design(path, NULL, &text, &first, &c, err);

    bm_text_clear(&text);
    return kind;
}

/* ---- events, either kind ---- */

static int add_event(struct bm_design *d, size_t *room, const struct bm_event *e, struct bm_error *err)
{
    if (d->nevents == *room) {
        size_t more = *room ? 2 * *room : 128;
        struct bm_event *p = bm_alloc(more, sizeof *p, "events", err);
        if (!p)
            return -1;
        if (d->nevents)
            memcpy(p, d->events, d->nevents * sizeof *p);
        free(d->events);
        d->events = p;
        *room = more;
    }
    d->events[d->nevents++] = *e;
    return 0;
}

/* ---- designs ---- */

static int read_design(const char *path, struct bm_text *text, struct bm_span line, struct bm_design *d,
                       struct bm_error *err)
{
    size_t room = 0;
    int64_t v;

    d->in_rows = true;
    do {
        if (line.n == 0 && bm_text_only_blank_left(text))
            break;
        if (!bm_parse_int_n(line.s, line.n, 0, INT32_MAX, &v))
            return bm_fail(err, BM_EDATA,
                           "%s: line %zu: \"%.*s\" is no stimulus number (0 to 2147483647); correct the design", path,
                           text->line_no, BM_SPAN_ARG(line));
        struct bm_event e = {.onset = (double)d->rows, .duration = 1, .id = (int32_t)(v - 1)};
        if (v > 0 && add_event(d, &room, &e, err))
            return -1;
        d->rows++;
    } while (bm_text_line(text, &line));
    return 0;
}

/* ---- events ---- */

struct event_row {
    struct bm_span onset, duration, value;
};

/* The next row of an events table. 0: no more. */
static int next_row(const char *path, struct bm_text *text, const struct columns *c, struct event_row *row,
                    struct bm_error *err)
{
    struct bm_span line, field;
    size_t i = 0;

    *row = (struct event_row){{NULL, 0}, {NULL, 0}, {NULL, 0}};
    if (!bm_text_line(text, &line) || (line.n == 0 && bm_text_only_blank_left(text)))
        return 0;
    for (; bm_span_field(&line, '\t', &field); i++) {
        if (i == c->onset)
            row->onset = field;
        if (i == c->duration)
            row->duration = field;
        if (i == c->wanted)
            row->value = field;
    }
    if (i != c->n)
        return bm_fail(err, BM_EDATA, "%s: line %zu has %zu fields, the header %zu; correct the events table", path,
                       text->line_no, i, c->n);
    if (row->value.n == 0)
        return bm_fail(err, BM_EDATA, "%s: line %zu: the stimulus is empty; write n/a where there was none", path,
                       text->line_no);
    return 1;
}

/* Names for a message, ", " between them and "..." for what does not fit. */
struct name_list {
    char text[300];
    size_t used;
    bool full;
};

static void add_name(struct name_list *list, struct bm_span name)
{
    const char *between = list->used ? ", " : "";
    const size_t most = sizeof list->text - 8;

    if (list->full)
        return;
    list->full = list->used + name.n + 2 > most;
    if (list->full)
        name = (struct bm_span){"...", 3};
    list->used += (size_t)snprintf(list->text + list->used, sizeof list->text - list->used, "%s%.*s", between,
                                   BM_SPAN_ARG(name));
}

static int need_column(const char *path, const char *column, const struct columns *c, struct bm_span header,
                       struct bm_error *err)
{
    struct name_list list = {.used = 0};
    struct bm_span field;

    if (c->wanted != NO_COLUMN)
        return 0;
    while (bm_span_field(&header, '\t', &field))
        add_name(&list, field);
    return bm_fail(err, BM_EDATA, "%s: has no column %s; name one of its columns: %s", path,
                   column ? column : "for the stimulus", list.text);
}

static int unknown_category(const char *path, size_t line, struct bm_span value, const struct bm_categories *cats,
                            struct bm_error *err)
{
    struct name_list list = {.text = "none"};

    for (size_t i = 0; i < cats->n; i++)
        add_name(&list, (struct bm_span){cats->names[i], strlen(cats->names[i])});
    return bm_fail(err, BM_EDATA, "%s: line %zu: \"%.*s\" is not among the categories (%s); correct it or add it",
                   path, line, BM_SPAN_ARG(value), list.text);
}

static int compare_name(struct bm_span a, const char *name)
{
    const size_t n = strlen(name);
    const int order = memcmp(a.s, name, a.n < n ? a.n : n);

    return order ? order : (a.n > n) - (a.n < n);
}

/* Where `value` is; if it is not there, where it would have to be put, or the end of names that are not sorted. */
static size_t place(const struct bm_categories *cats, struct bm_span value)
{
    size_t lo = 0, hi = cats->n;

    while (!cats->sorted && lo < hi && !bm_span_is(value, cats->names[lo]))
        lo++;
    while (cats->sorted && lo < hi) {
        const size_t mid = lo + (hi - lo) / 2;

        if (compare_name(value, cats->names[mid]) > 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static int find_id(const char *path, size_t line, struct bm_span value, const struct bm_categories *cats, int32_t *id,
                   struct bm_error *err)
{
    int64_t v;

    if (!cats) {
        if (!bm_parse_int_n(value.s, value.n, 0, INT32_MAX, &v))
            return bm_fail(err, BM_EDATA,
                           "%s: line %zu: \"%.*s\" is no stimulus number; name categories or another column", path,
                           line, BM_SPAN_ARG(value));
        *id = (int32_t)v;
        return 0;
    }
    const size_t at = place(cats, value);

    if (at == cats->n || !bm_span_is(value, cats->names[at]))
        return unknown_category(path, line, value, cats, err);
    *id = (int32_t)at;
    return 0;
}

static int parse_times(const char *path, size_t line, const struct event_row *row, struct bm_event *e,
                       struct bm_error *err)
{
    if (!bm_parse_real_n(row->onset.s, row->onset.n, &e->onset))
        return bm_fail(err, BM_EDATA,
                       "%s: line %zu: onset \"%.*s\" is no number of seconds; correct it, or delete "
                       "the line if nothing was presented",
                       path, line, BM_SPAN_ARG(row->onset));
    e->duration = 0;
    if (!bm_span_is(row->duration, "n/a") &&
        (!bm_parse_real_n(row->duration.s, row->duration.n, &e->duration) || e->duration < 0))
        return bm_fail(err, BM_EDATA, "%s: line %zu: duration \"%.*s\" is no number of seconds; correct it", path,
                       line, BM_SPAN_ARG(row->duration));
    return 0;
}

struct ordered {
    struct bm_event event;
    size_t place;
};

static int by_onset(const void *a, const void *b)
{
    const struct ordered *x = a, *y = b;

    if (x->event.onset != y->event.onset)
        return x->event.onset < y->event.onset ? -1 : 1;
    return (x->place > y->place) - (x->place < y->place);
}

static int sort_events(struct bm_design *d, struct bm_error *err)
{
    struct ordered *o = bm_alloc(d->nevents, sizeof *o, "events", err);

    if (!o)
        return -1;
    for (size_t i = 0; i < d->nevents; i++)
        o[i] = (struct ordered){d->events[i], i};
    qsort(o, d->nevents, sizeof *o, by_onset);
    for (size_t i = 0; i < d->nevents; i++)
        d->events[i] = o[i].event;
    free(o);
    return 0;
}

static int read_events(const char *path, struct bm_text *text, const struct columns *c,
                       const struct bm_categories *cats, struct bm_design *d, struct bm_error *err)
{
    struct event_row row;
    struct bm_event e;
    size_t room = 0;
    int rc;

    while ((rc = next_row(path, text, c, &row, err)) == 1) {
        const bool nothing = bm_span_is(row.value, "n/a");

        if (nothing && bm_span_is(row.onset, "n/a"))
            continue;
        if (parse_times(path, text->line_no, &row, &e, err))
            return -1;
        if (nothing)
            continue;
        if (find_id(path, text->line_no, row.value, cats, &e.id, err) || add_event(d, &room, &e, err))
            return -1;
    }
    return rc < 0 ? -1 : sort_events(d, err);
}

/* ---- both ---- */

int bm_design_read(const char *path, const char *column, const struct bm_categories *cats, struct bm_design *out,
                   struct bm_error *err)
{
    struct bm_text text = {0};
    struct bm_span first;
    struct columns c;
    int kind, rc = -1;

    memset(out, 0, sizeof *out);
    kind = open_design(path, column, &text, &first, &c, err);
    if (kind == 0)
        rc = read_design(path, &text, first, out, err);
    else if (kind == 1 && need_column(path, column, &c, first, err) == 0)
        rc = read_events(path, &text, &c, cats, out, err);
    out->crc32 = text.crc32;
    out->bytes = text.buf.size;
    bm_text_clear(&text);
    if (rc)
        bm_design_clear(out);
    return rc;
}

void bm_design_clear(struct bm_design *d)
{
    free(d->events);
    memset(d, 0, sizeof *d);
}

/* ---- categories ---- */

/* The room doubles whenever the number of names is a power of two. */
static int make_room(struct bm_categories *cats, struct bm_error *err)
{
    char **wider;

    if (cats->n & (cats->n - 1))
        return 0;
    wider = bm_alloc(2 * cats->n + 1, sizeof *wider, "categories", err);
    if (!wider)
        return -1;
    for (size_t i = 0; i < cats->n; i++)
        wider[i] = cats->names[i];
    free(cats->names);
    cats->names = wider;
    return 0;
}

static int insert_category(struct bm_categories *cats, size_t at, struct bm_span value, struct bm_error *err)
{
    char *name = make_room(cats, err) ? NULL : bm_span_dup(value, err);

    if (!name)
        return -1;
    memmove(cats->names + at + 1, cats->names + at, (cats->n - at) * sizeof *cats->names);
    cats->names[at] = name;
    cats->n++;
    return 0;
}

static int collect_one(struct bm_categories *cats, const char *path, struct bm_span value, struct bm_error *err)
{
    const size_t at = place(cats, value);

    if (at < cats->n && bm_span_is(value, cats->names[at]))
        return 0;
    if (cats->n == MAX_CATEGORIES)
        return bm_fail(err, BM_EDATA, "%s: more than %d categories; name the column that holds the stimulus", path,
                       MAX_CATEGORIES);
    if (!bm_span_is_utf8(value)) /* two of them could end up with one name in JSON */
        return bm_fail(err, BM_EDATA, "%s: the category \"%.*s\" is not UTF-8; save the table as UTF-8", path,
                       BM_SPAN_ARG(value));
    return insert_category(cats, at, value, err);
}

static int collect_all(struct bm_categories *cats, const char *path, struct bm_text *text, const struct columns *c,
                       struct bm_error *err)
{
    struct event_row row;
    int rc;

    while ((rc = next_row(path, text, c, &row, err)) == 1)
        if (!bm_span_is(row.value, "n/a") && collect_one(cats, path, row.value, err))
            return -1;
    return rc;
}

int bm_categories_collect(struct bm_categories *cats, const char *path, const char *column, struct bm_error *err)
{
    struct bm_text text = {0};
    struct bm_span first;
    struct columns c;
    int kind = open_design(path, column, &text, &first, &c, err), rc = -1;

    cats->sorted = true;
    if (kind == 0)
        (void)bm_fail(err, BM_EDATA, "%s: a design holds numbers, no categories; name an events table", path);
    else if (kind == 1 && need_column(path, column, &c, first, err) == 0)
        rc = collect_all(cats, path, &text, &c, err);
    bm_text_clear(&text);
    return rc;
}

void bm_categories_clear(struct bm_categories *cats)
{
    for (size_t i = 0; i < cats->n; i++)
        free(cats->names[i]);
    free(cats->names);
    memset(cats, 0, sizeof *cats);
}
