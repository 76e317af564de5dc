#include "io/confounds.h"

#include "core/mem.h"
#include "core/parse.h"
#include "io/text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define MAX_COLUMNS 65536
#define MAX_NAME 255

struct table {
    const char *path;
    struct bm_text text;
    char sep;               /* '\t', ',', or ' ' for runs of blanks and tabs */
    struct bm_buf values;   /* double */
    struct bm_confounds *c; /* what it becomes */
};

/* ---- fields ---- */

static bool is_word(struct bm_span a, const char *word)
{
    return a.n == strlen(word) && strncasecmp(a.s, word, a.n) == 0;
}

static bool is_missing(struct bm_span a)
{
    if (a.n == 4 && (a.s[0] == '-' || a.s[0] == '+')) /* as C writes some of them */
        return is_word((struct bm_span){a.s + 1, 3}, "nan");
    return a.n == 0 || is_word(a, "n/a") || is_word(a, "na") || is_word(a, "nan");
}

/* Of a field that is not missing, so not empty. */
static bool is_infinite(struct bm_span a)
{
    if (a.s[0] == '-' || a.s[0] == '+')
        a = (struct bm_span){a.s + 1, a.n - 1};
    return is_word(a, "inf") || is_word(a, "infinity");
}

static bool parse_value(struct bm_span a, double *v)
{
    if (bm_parse_real_n(a.s, a.n, v))
        return true;
    if (is_missing(a)) {
        *v = (double)NAN;
        return true;
    }
    *v = a.s[0] == '-' ? -(double)INFINITY : (double)INFINITY;
    return is_infinite(a);
}

static struct bm_span unquote(struct bm_span a)
{
    bool quoted = a.n >= 2 && a.s[0] == '"' && a.s[a.n - 1] == '"';

    return quoted ? (struct bm_span){a.s + 1, a.n - 2} : a;
}

static bool next_field(char sep, struct bm_span *rest, struct bm_span *field)
{
    if (sep == ' ' ? !bm_span_word(rest, field) : !bm_span_field(rest, sep, field))
        return false;
    *field = unquote(bm_span_trim(*field));
    return true;
}

static bool holds(struct bm_span line, char c)
{
    return line.n > 0 && memchr(line.s, c, line.n);
}

/* An empty field is a value of a table with several columns, so a line of separators is not blank. */
static bool is_blank(struct bm_span line, char sep)
{
    return bm_span_trim(line).n == 0 && (sep == ' ' || !holds(line, sep));
}

/* ---- the first line ---- */

static void count_kinds(struct bm_span line, char sep, size_t *numbers, size_t *names)
{
    struct bm_span field;
    double v;

    *numbers = *names = 0;
    while (*numbers + *names <= MAX_COLUMNS && next_field(sep, &line, &field)) {
        bool value = parse_value(field, &v);
        *numbers += value && field.n > 0;
        *names += !value;
    }
}

static int find_style(struct table *t, struct bm_span line, struct bm_error *err)
{
    size_t numbers, names;

    t->sep = ' '; /* plain numbers: SPM, FSL and MATLAB mix tabs with blanks, and end lines in them */
    count_kinds(line, t->sep, &numbers, &names);
    if (names > 0) {
        t->sep = holds(line, '\t') ? '\t' : holds(line, ',') ? ',' : ' ';
        count_kinds(line, t->sep, &numbers, &names);
    }
    t->c->header = names > 0;
    if (names > 0 && numbers > 0)
        return bm_fail(err, BM_EDATA,
                       "%s: line %zu \"%.*s\" has names and numbers; name a table whose first line has one kind "
                       "alone",
                       t->path, t->text.line_no, BM_SPAN_ARG(line));
    return 0;
}

static int check_name(const struct table *t, struct bm_span name, struct bm_error *err)
{
    size_t column = t->c->cols + 1;

    if (name.n == 0)
        return bm_fail(err, BM_EDATA, "%s: column %zu has no name; name it, or leave it out", t->path, column);
    for (size_t i = 0; i < name.n; i++)
        if ((unsigned char)name.s[i] < ' ' || name.s[i] == 127 || name.s[i] == '"')
            return bm_fail(err, BM_EDATA,
                           "%s: the name of column %zu, \"%.*s\", holds a quote or a control character; is it a text "
                           "table?",
                           t->path, column, BM_SPAN_ARG(name));
    if (name.n > MAX_NAME)
        return bm_fail(err, BM_EDATA, "%s: the name of column %zu is longer than %d bytes; is it a table?", t->path,
                       column, MAX_NAME);
    return 0;
}

static char *column_name(const struct table *t, struct bm_span field, struct bm_error *err)
{
    if (!t->c->header)
        return bm_format(err, "%zu", t->c->cols + 1);
    return check_name(t, field, err) ? NULL : bm_span_dup(field, err);
}

static size_t count_fields(struct bm_span line, char sep)
{
    struct bm_span field;
    size_t n = 0;

    while (next_field(sep, &line, &field))
        n++;
    return n;
}

static int read_names(struct table *t, struct bm_span line, struct bm_error *err)
{
    size_t n = count_fields(line, t->sep);
    struct bm_span field;

    if (n > MAX_COLUMNS)
        return bm_fail(err, BM_EDATA, "%s: more than %d columns; name a table of confounds", t->path, MAX_COLUMNS);
    t->c->names = bm_alloc(n, sizeof *t->c->names, t->path, err);
    if (!t->c->names)
        return -1;
    for (; next_field(t->sep, &line, &field); t->c->cols++) {
        t->c->names[t->c->cols] = column_name(t, field, err);
        if (!t->c->names[t->c->cols])
            return -1;
    }
    return 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int check_distinct(const struct table *t, struct bm_error *err)
{
    size_t n = t->c->cols, i;
    char **sorted = bm_alloc(n, sizeof *sorted, t->path, err);

    if (!sorted)
        return -1;
    memcpy(sorted, t->c->names, n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, by_name);
    for (i = 1; i < n && strcmp(sorted[i - 1], sorted[i]) != 0;)
        i++;
    if (i < n)
        (void)bm_fail(err, BM_EDATA, "%s: two columns are called %s; make the names distinct", t->path, sorted[i]);
    free(sorted);
    return i < n ? -1 : 0;
}

/* ---- rows ---- */

static int bad_value(const struct table *t, size_t column, struct bm_span field, struct bm_error *err)
{
    return bm_fail(err, BM_EDATA, "%s: line %zu: column %s: \"%.*s\" is no number; correct it, or write n/a", t->path,
                   t->text.line_no, t->c->names[column], BM_SPAN_ARG(field));
}

static int read_row(struct table *t, struct bm_span line, struct bm_error *err)
{
    struct bm_span rest = line, field;
    size_t n = count_fields(line, t->sep);
    double v;

    if (is_blank(line, t->sep))
        return bm_fail(err, BM_EDATA, "%s: line %zu is empty; write n/a where there is no value", t->path,
                       t->text.line_no);
    if (n != t->c->cols)
        return bm_fail(err, BM_EDATA, "%s: line %zu has %zu fields, the first %zu; correct the table", t->path,
                       t->text.line_no, n, t->c->cols);
    for (size_t i = 0; next_field(t->sep, &rest, &field); i++)
        if (!parse_value(field, &v))
            return bad_value(t, i, field, err);
        else if (bm_buf_append(&t->values, &v, sizeof v, err))
            return -1;
    if (t->c->rows++ == 0)
        t->c->first_line = t->text.line_no;
    return 0;
}

/* The first line that is no remark. */
static int first_line(struct table *t, struct bm_span *line, struct bm_error *err)
{
    while (bm_text_line(&t->text, line))
        if (line->n == 0 || line->s[0] != '#') {
            if (bm_span_trim(*line).n > 0)
                return 0;
            return bm_fail(err, BM_EDATA, "%s: line %zu is empty; begin with the names or the first volume", t->path,
                           t->text.line_no);
        }
    return bm_fail(err, BM_EDATA, "%s: is empty; name a table with one line a volume", t->path);
}

static int read_table(struct table *t, struct bm_error *err)
{
    struct bm_span line;

    if (first_line(t, &line, err) || find_style(t, line, err) || read_names(t, line, err) || check_distinct(t, err) ||
        (!t->c->header && read_row(t, line, err)))
        return -1;
    while (bm_text_line(&t->text, &line)) {
        if (is_blank(line, t->sep) && bm_text_only_blank_left(&t->text))
            break;
        if (read_row(t, line, err))
            return -1;
    }
    if (t->c->rows == 0)
        return bm_fail(err, BM_EDATA, "%s: has names of columns, but no volumes; name a table with one line a volume",
                       t->path);
    return 0;
}

int bm_confounds_read(const char *path, struct bm_confounds *out, struct bm_error *err)
{
    struct table t = {.path = path, .c = out};
    int rc;

    memset(out, 0, sizeof *out);
    if (bm_text_read(path, &t.text, err))
        return -1;
    out->bytes = t.text.buf.size;
    out->crc32 = t.text.crc32;
    out->path = bm_strdup(path, err);
    rc = out->path ? read_table(&t, err) : -1;
    out->values = t.values.data;
    bm_text_clear(&t.text);
    if (rc)
        bm_confounds_clear(out);
    return rc;
}

void bm_confounds_clear(struct bm_confounds *c)
{
    for (size_t i = 0; c->names && i < c->cols; i++)
        free(c->names[i]);
    free(c->names);
    free(c->values);
    free(c->path);
    memset(c, 0, sizeof *c);
}

/* ---- sample masks ---- */

static int apply_mask(const struct bm_confounds *c, size_t rows, bool *censored, struct bm_error *err)
{
    if (c->cols != 1)
        return bm_fail(err, BM_EDATA, "%s: has %zu columns; a sample mask has one number a line", c->path, c->cols);
    if (c->rows != rows)
        return bm_fail(err, BM_EDATA,
                       "%s: has %zu numbers, the run %zu volumes; a sample mask has one number a volume, 0 for those "
                       "to leave out",
                       c->path, c->rows, rows);
    for (size_t r = 0; r < rows; r++)
        if (!isfinite(c->values[r]))
            return bm_fail(err, BM_EDATA, "%s: line %zu is no number; write 0 or 1", c->path, c->first_line + r);
    for (size_t r = 0; r < rows; r++)
        censored[r] |= c->values[r] == 0;
    return 0;
}

int bm_sample_mask_read(const char *path, size_t rows, bool *censored, uint64_t *bytes, uint32_t *crc32,
                        struct bm_error *err)
{
    struct bm_confounds c;

    if (bm_confounds_read(path, &c, err))
        return -1;
    int rc = apply_mask(&c, rows, censored, err);
    if (bytes)
        *bytes = c.bytes;
    if (crc32)
        *crc32 = c.crc32;
    bm_confounds_clear(&c);
    return rc;
}
