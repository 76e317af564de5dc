#include "io/labels.h"

#include "core/parse.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum style { COLOUR_TABLE, DSEG_TABLE, TWO_COLUMNS };

struct table {
    const char *path;
    enum style style;
    size_t columns, index_column, name_column; /* of a dseg table */
    size_t room;
};

static bool is_integer(struct bm_span a)
{
    int64_t v;

    return bm_parse_int_n(a.s, a.n, INT64_MIN, INT64_MAX, &v);
}

/* ---- which kind of table ---- */

static size_t count_words(struct bm_span line)
{
    struct bm_span word;
    size_t n = 0;

    while (bm_span_word(&line, &word))
        n++;
    return n;
}

/* A dseg header: columns index and name among tab-separated fields. */
static bool is_header(struct bm_span line, struct table *t)
{
    struct bm_span field;
    size_t seen_index = 0, seen_name = 0;

    for (t->columns = 0; bm_span_field(&line, '\t', &field); t->columns++) {
        if (bm_span_is(field, "index")) {
            t->index_column = t->columns;
            seen_index++;
        } else if (bm_span_is(field, "name")) {
            t->name_column = t->columns;
            seen_name++;
        }
    }
    return seen_index == 1 && seen_name == 1;
}

static int find_style(struct table *t, struct bm_span line, bool *header, struct bm_error *err)
{
    struct bm_span rest = line, first;
    size_t words = count_words(line);

    *header = is_header(line, t);
    t->style = *header ? DSEG_TABLE : words == 6 ? COLOUR_TABLE : TWO_COLUMNS;
    (void)bm_span_word(&rest, &first);
    if (*header || (is_integer(first) && words >= 2))
        return 0;
    return bm_fail(
        err, BM_EDATA,
        "%s: no label table; name a colour table (index name R G B A), a dseg.tsv (columns index and name) or "
        "a table of two columns",
        t->path);
}

/* ---- lines of each kind, none of them blank ---- */

static bool split_colours(struct bm_span line, struct bm_span *index, struct bm_span *name)
{
    struct bm_span colour;
    int64_t v;

    (void)bm_span_word(&line, index);
    if (!bm_span_word(&line, name))
        return false;
    for (int i = 0; i < 4; i++)
        if (!bm_span_word(&line, &colour) || !bm_parse_int_n(colour.s, colour.n, 0, 255, &v))
            return false;
    return !bm_span_word(&line, &colour);
}

static bool split_dseg(const struct table *t, struct bm_span line, struct bm_span *index, struct bm_span *name)
{
    struct bm_span field;
    size_t i = 0;

    for (; bm_span_field(&line, '\t', &field); i++) {
        if (i == t->index_column)
            *index = field;
        if (i == t->name_column)
            *name = field;
    }
    return i == t->columns;
}

/* A name behind a tab may hold blanks; one behind a blank may not. */
static bool split_two(struct bm_span line, struct bm_span *index, struct bm_span *name)
{
    (void)bm_span_word(&line, index);
    bool tab = line.n > 0 && line.s[0] == '\t';
    *name = bm_span_trim(line);
    return tab ? !memchr(name->s, '\t', name->n) : count_words(*name) == 1;
}

static bool split(const struct table *t, struct bm_span line, struct bm_span *index, struct bm_span *name)
{
    if (t->style == DSEG_TABLE)
        return split_dseg(t, line, index, name);
    return t->style == COLOUR_TABLE ? split_colours(line, index, name) : split_two(line, index, name);
}

static int grow(struct table *t, struct bm_labels *out, struct bm_error *err)
{
    size_t more = t->room ? 2 * t->room : 64;
    struct bm_label *p;

    if (out->n < t->room)
        return 0;
    p = bm_alloc(more, sizeof *p, "labels", err);
    if (!p)
        return -1;
    if (out->n)
        memcpy(p, out->items, out->n * sizeof *p);
    free(out->items);
    out->items = p;
    t->room = more;
    return 0;
}

static int add_line(struct table *t, size_t number, struct bm_span line, struct bm_labels *out, struct bm_error *err)
{
    struct bm_span index = {NULL, 0}, name = {NULL, 0};
    int64_t v;

    if (!split(t, line, &index, &name) || name.n == 0)
        return bm_fail(err, BM_EDATA, "%s: line %zu \"%.*s\" does not fit the table's first line; correct it",
                       t->path, number, BM_SPAN_ARG(line));
    if (!bm_parse_int_n(index.s, index.n, INT64_MIN, INT64_MAX, &v))
        return bm_fail(err, BM_EDATA, "%s: line %zu: index \"%.*s\" is no integer; correct it", t->path, number,
                       BM_SPAN_ARG(index));
    if (grow(t, out, err))
        return -1;
    char *copy = bm_span_dup(name, err);
    if (!copy)
        return -1;
    out->items[out->n++] = (struct bm_label){v, copy};
    return 0;
}

/* ---- the table as a whole ---- */

static int by_name(const void *a, const void *b)
{
    const struct bm_label *x = a, *y = b;

    return strcmp(x->name, y->name);
}

static int by_index(const void *a, const void *b)
{
    const struct bm_label *x = a, *y = b;

    return x->index < y->index ? -1 : x->index > y->index;
}

static int check_distinct(const char *path, struct bm_labels *t, struct bm_error *err)
{
    if (t->n == 0)
        return bm_fail(err, BM_EDATA, "%s: names no labels; name a label table", path);
    qsort(t->items, t->n, sizeof *t->items, by_name);
    for (size_t i = 1; i < t->n; i++)
        if (strcmp(t->items[i - 1].name, t->items[i].name) == 0)
            return bm_fail(err, BM_EDATA, "%s: the name \"%s\" is there twice; make the names distinct", path,
                           t->items[i].name);
    qsort(t->items, t->n, sizeof *t->items, by_index);
    for (size_t i = 1; i < t->n; i++)
        if (t->items[i - 1].index == t->items[i].index)
            return bm_fail(err, BM_EDATA, "%s: the index %lld is there twice; make the indices distinct", path,
                           (long long)t->items[i].index);
    return 0;
}

static int read_lines(struct bm_text *text, struct table *t, struct bm_labels *out, struct bm_error *err)
{
    struct bm_span line;
    bool begun = false, header = false;

    while (bm_text_line(text, &line)) {
        struct bm_span content = bm_span_trim(line);
        if (content.n == 0 || content.s[0] == '#')
            continue;
        if (!begun && find_style(t, line, &header, err))
            return -1;
        if ((begun || !header) && add_line(t, text->line_no, line, out, err))
            return -1;
        begun = true;
    }
    return check_distinct(t->path, out, err);
}

int bm_labels_parse(const char *path, struct bm_text *text, struct bm_labels *out, struct bm_error *err)
{
    struct table t = {.path = path};
    int rc;

    *out = (struct bm_labels){.bytes = text->buf.size, .crc32 = text->crc32};
    out->path = bm_strdup(path, err);
    rc = out->path ? read_lines(text, &t, out, err) : -1;
    if (rc)
        bm_labels_clear(out);
    return rc;
}

int bm_labels_read(const char *path, struct bm_labels *out, struct bm_error *err)
{
    struct bm_text text;
    int rc;

    *out = (struct bm_labels){0};
    if (bm_text_read(path, &text, err))
        return -1;
    rc = bm_labels_parse(path, &text, out, err);
    bm_text_clear(&text);
    return rc;
}

void bm_labels_clear(struct bm_labels *t)
{
    for (size_t i = 0; i < t->n; i++)
        free(t->items[i].name);
    free(t->items);
    free(t->path);
    memset(t, 0, sizeof *t);
}

const char *bm_labels_name(const struct bm_labels *t, int64_t index)
{
    const struct bm_label key = {index, NULL};
    const struct bm_label *found = t->n ? bsearch(&key, t->items, t->n, sizeof key, by_index) : NULL;

    return found ? found->name : NULL;
}

int bm_labels_beside(const char *volume, char **path, struct bm_error *err)
{
    static const char *const from[] = {"_dseg.nii.gz", "_dseg.nii"}, *const to[] = {"_dseg.tsv", "_dseg.tsv.gz"};
    size_t n = strlen(volume), stem = 0;

    *path = NULL;
    for (size_t i = 0; i < 2 && !stem; i++) {
        size_t m = strlen(from[i]);
        stem = n > m && strcmp(volume + n - m, from[i]) == 0 ? n - m : 0;
    }
    for (size_t i = 0; i < 2 && stem; i++) {
        *path = bm_format(err, "%.*s%s", (int)stem, volume, to[i]);
        if (!*path)
            return -1;
        if (access(*path, F_OK) == 0)
            return 0;
        free(*path);
        *path = NULL;
    }
    return 0;
}

/* ---- selections ---- */

/* "N" or "N-M", where N and M may carry a sign of their own. */
static bool parse_range(struct bm_span a, struct bm_label_range *r)
{
    if (bm_parse_int_n(a.s, a.n, INT64_MIN, INT64_MAX, &r->lo)) {
        r->hi = r->lo;
        return true;
    }
    for (size_t i = 1; i + 1 < a.n; i++)
        if (a.s[i] == '-')
            return bm_parse_int_n(a.s, i, INT64_MIN, INT64_MAX, &r->lo) &&
                   bm_parse_int_n(a.s + i + 1, a.n - i - 1, INT64_MIN, INT64_MAX, &r->hi);
    return false;
}

static int unknown_name(struct bm_span a, const struct bm_labels *table, struct bm_error *err)
{
    char list[600] = "";
    size_t used = 0;

    if (!table)
        return bm_fail(err, BM_EUSAGE, "label \"%.*s\" is no number, and there is no table of names; give --table",
                       BM_SPAN_ARG(a));
    for (size_t i = 0; i < table->n; i++) {
        size_t n = strlen(table->items[i].name);
        if (used + n + 8 > sizeof list) {
            memcpy(list + used, ", ...", 6);
            break;
        }
        memcpy(list + used, ", ", 2);
        memcpy(list + used + 2, table->items[i].name, n + 1);
        used += n + 2;
    }
    return bm_fail(err, BM_EUSAGE, "label \"%.*s\" is not in the table; the names are %s", BM_SPAN_ARG(a), list + 2);
}

static bool find_name(struct bm_span a, const struct bm_labels *table, struct bm_label_range *r)
{
    for (size_t i = 0; table && i < table->n; i++)
        if (bm_span_is(a, table->items[i].name)) {
            r->lo = r->hi = table->items[i].index;
            return true;
        }
    return false;
}

/* Names win over ranges, so that a name such as "4-5" can be asked for; plain numbers are always numbers. */
static int resolve(struct bm_span a, const struct bm_labels *table, struct bm_label_range *r, struct bm_error *err)
{
    bool numeric = parse_range(a, r);

    if (!(numeric && is_integer(a)) && find_name(a, table, r))
        return 0;
    if (!numeric)
        return unknown_name(a, table, err);
    if (r->lo > r->hi)
        return bm_fail(err, BM_EUSAGE, "label range \"%.*s\" ends before it begins; turn it round", BM_SPAN_ARG(a));
    return 0;
}

static int collect(struct bm_span list, const struct bm_labels *table, struct bm_buf *all, struct bm_error *err)
{
    const struct bm_span whole = list;
    struct bm_span item;
    struct bm_label_range r;

    if (!is_integer(list) && find_name(list, table, &r))
        return bm_buf_append(all, &r, sizeof r, err);
    while (bm_span_field(&list, ',', &item)) {
        item = bm_span_trim(item);
        if (item.n == 0)
            return bm_fail(err, BM_EUSAGE,
                           "the list of labels '%.*s' has an empty item; write numbers, ranges and names with commas "
                           "between them",
                           BM_SPAN_ARG(whole));
        if (resolve(item, table, &r, err) || bm_buf_append(all, &r, sizeof r, err))
            return -1;
    }
    return 0;
}

int bm_labels_select(const char *text, const struct bm_labels *table, struct bm_label_set *out, struct bm_error *err)
{
    struct bm_buf all = {0};

    *out = (struct bm_label_set){0};
    if (collect(bm_span_trim((struct bm_span){text, strlen(text)}), table, &all, err)) {
        bm_buf_free(&all);
        return -1;
    }
    *out = (struct bm_label_set){all.data, all.size / sizeof(struct bm_label_range)};
    return 0;
}

void bm_label_set_clear(struct bm_label_set *set)
{
    free(set->items);
    *set = (struct bm_label_set){0};
}
