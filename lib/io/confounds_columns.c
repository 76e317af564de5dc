/* What is done to a confound table once it is read: columns chosen, expanded, filled, compared. */
#include "io/confounds.h"

#include "core/compare.h"
#include "core/glob.h"
#include "core/mem.h"
#include "core/parse.h"
#include "io/text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MOST_EXPANDED 4096
#define NO_COLUMN ((size_t)-1)
#define DERIVATIVE "_derivative1"
#define POWER "_power2"

static size_t find(const struct bm_confounds *c, struct bm_span name)
{
    for (size_t i = 0; i < c->cols; i++)
        if (bm_span_is(name, c->names[i]))
            return i;
    return NO_COLUMN;
}

static struct bm_span span(const char *text)
{
    return (struct bm_span){text, strlen(text)};
}

/* ---- names of expansions ---- */

/* "X_derivative1": does the name end in `stem` ("_derivative") and digits? */
static bool ends_in(const char *name, const char *stem)
{
    size_t n = strlen(name), m = strlen(stem), digits = 0;

    while (digits < n && name[n - 1 - digits] >= '0' && name[n - 1 - digits] <= '9')
        digits++;
    return digits > 0 && n > digits + m && memcmp(name + n - digits - m, stem, m) == 0;
}

static bool is_power(const char *name)
{
    return ends_in(name, "_power");
}

static bool is_derivative(const char *name)
{
    return ends_in(name, "_derivative");
}

/* ---- names for messages ---- */

/* Is `name` an expansion of the column `base`, by its name? */
static bool expands(const char *name, const char *base)
{
    size_t n = strlen(base);

    return (is_power(name) || is_derivative(name)) && strncmp(name, base, n) == 0 &&
           (strncmp(name + n, "_power", 6) == 0 || strncmp(name + n, "_derivative", 11) == 0);
}

static size_t stem_length(const char *name)
{
    size_t n = strlen(name);

    while (n > 0 && name[n - 1] >= '0' && name[n - 1] <= '9')
        n--;
    return n;
}

/* The last of the numbered columns that begin at `from`; `from` itself where fewer than three belong together. */
static size_t end_of_family(const struct bm_confounds *c, size_t from)
{
    size_t stem = stem_length(c->names[from]), last = from;

    while (c->names[from][stem] && last + 1 < c->cols && stem_length(c->names[last + 1]) == stem &&
           c->names[last + 1][stem] && memcmp(c->names[last + 1], c->names[from], stem) == 0)
        last++;
    return last - from >= 2 ? last : from;
}

static void put(char *text, size_t size, size_t *used, struct bm_span a)
{
    if (a.n && *used + a.n < size) {
        memcpy(text + *used, a.s, a.n);
        *used += a.n;
    }
    text[*used] = 0;
}

void bm_confounds_names(const struct bm_confounds *c, char *text, size_t size)
{
    const char *base = NULL;
    size_t used = 0;

    put(text, size, &used, span(c->cols ? "" : "none"));
    for (size_t i = 0; i < c->cols; i++) {
        size_t last = end_of_family(c, i);
        if (base && expands(c->names[i], base))
            continue;
        base = c->names[i];
        if (used + strlen(base) + strlen(c->names[last]) + 16 > size) {
            put(text, size, &used, span(", ..."));
            return;
        }
        put(text, size, &used, span(i ? ", " : ""));
        put(text, size, &used, span(base));
        put(text, size, &used, span(last > i ? " to " : ""));
        put(text, size, &used, span(last > i ? c->names[last] : ""));
        i = last;
    }
}

static int nothing_fits(const struct bm_confounds *c, struct bm_span item, struct bm_error *err)
{
    char names[600];

    bm_confounds_names(c, names, sizeof names);
    return bm_fail(err, BM_EUSAGE, "%s: no column fits \"%.*s\"; the columns are %s", c->path, BM_SPAN_ARG(item),
                   names);
}

/* ---- selection ---- */

/* fMRIPrep writes columns of these kinds for runs that need them. */
static bool may_fit_nothing(const struct bm_confounds *c, struct bm_span item)
{
    static const char *const now_and_then[] = {"motion_outlier00", "non_steady_state_outlier00", "cosine00"};

    for (size_t i = 0; c->header && bm_glob_is(item.s, item.n) && i < 3; i++)
        if (bm_glob(item.s, item.n, now_and_then[i]))
            return true;
    return false;
}

/* "2-5" of a table without a header. */
static bool parse_range(const struct bm_confounds *c, struct bm_span a, size_t *first, size_t *last)
{
    const char *dash = memchr(a.s, '-', a.n);
    int64_t lo, hi;

    if (c->header || !dash || !bm_parse_int_n(a.s, (size_t)(dash - a.s), 1, (int64_t)c->cols, &lo) ||
        !bm_parse_int_n(dash + 1, a.n - (size_t)(dash - a.s) - 1, lo, (int64_t)c->cols, &hi))
        return false;
    *first = (size_t)lo - 1;
    *last = (size_t)hi - 1;
    return true;
}

/* Marks the columns that one item of a list fits. Returns how many those are, or -1. */
static int mark(const struct bm_confounds *c, struct bm_span item, bool *chosen, struct bm_error *err)
{
    size_t only = find(c, item), first = 0, last = 0;
    bool range = parse_range(c, item, &first, &last);
    int n = 0;

    for (size_t i = 0; i < c->cols; i++) {
        bool fits = only != NO_COLUMN ? i == only
                    : range           ? i >= first && i <= last
                                      : bm_glob_is(item.s, item.n) && bm_glob(item.s, item.n, c->names[i]);
        chosen[i] |= fits;
        n += fits;
    }
    return n > 0 || may_fit_nothing(c, item) ? n : nothing_fits(c, item, err);
}

static int mark_list(const struct bm_confounds *c, struct bm_span list, bool *chosen, struct bm_error *err)
{
    struct bm_span whole = list, item;

    if (bm_span_is(bm_span_trim(list), "none") && find(c, bm_span_trim(list)) == NO_COLUMN)
        return 0;
    while (bm_span_field(&list, ',', &item)) {
        item = bm_span_trim(item);
        if (item.n == 0)
            return bm_fail(err, BM_EUSAGE,
                           "columns \"%.*s\": an item is empty; write names and patterns with commas between them",
                           BM_SPAN_ARG(whole));
        if (mark(c, item, chosen, err) < 0)
            return -1;
    }
    return 0;
}

/* Everything but names and values; room for `cols` columns. */
static int copy_frame(struct bm_confounds *out, const struct bm_confounds *table, size_t cols, struct bm_error *err)
{
    size_t n;

    *out = (struct bm_confounds){.header = table->header,
                                 .first_line = table->first_line,
                                 .rows = table->rows,
                                 .bytes = table->bytes,
                                 .crc32 = table->crc32};
    out->path = bm_strdup(table->path, err);
    if (!out->path || bm_mul(table->rows, cols, &n, table->path, err))
        return -1;
    out->names = bm_alloc(cols, sizeof *out->names, table->path, err);
    out->values = out->names ? bm_alloc(n, sizeof *out->values, table->path, err) : NULL;
    return out->values ? 0 : -1;
}

static int copy_chosen(struct bm_confounds *out, const struct bm_confounds *table, const bool *chosen,
                       struct bm_error *err)
{
    size_t cols = 0, n = 0;

    for (size_t i = 0; i < table->cols; i++)
        cols += chosen[i];
    if (copy_frame(out, table, cols, err))
        return -1;
    for (size_t i = 0; i < table->cols; i++)
        if (chosen[i]) {
            out->names[out->cols] = bm_strdup(table->names[i], err);
            if (!out->names[out->cols])
                return -1;
            out->cols++;
        }
    for (size_t r = 0; r < table->rows; r++)
        for (size_t i = 0; i < table->cols; i++)
            if (chosen[i])
                out->values[n++] = table->values[r * table->cols + i];
    return 0;
}

int bm_confounds_select(const struct bm_confounds *table, const char *list, struct bm_confounds *out,
                        struct bm_error *err)
{
    bool *chosen = bm_calloc(table->cols, sizeof *chosen, table->path, err);
    int rc = -1;

    memset(out, 0, sizeof *out);
    if (chosen && !list)
        memset(chosen, true, table->cols);
    if (chosen && (!list || mark_list(table, span(list), chosen, err) == 0))
        rc = copy_chosen(out, table, chosen, err);
    free(chosen);
    if (rc)
        bm_confounds_clear(out);
    return rc;
}

/* ---- expansion ---- */

struct wide {
    struct bm_confounds *c; /* grows by a column at a time; its rows are `stride` values apart */
    size_t stride;
    const struct bm_confounds *table;
};

static void copy_column(struct wide *w, size_t from)
{
    const struct bm_confounds *t = w->table;

    for (size_t r = 0; r < t->rows; r++)
        w->c->values[r * w->stride + w->c->cols] = t->values[r * t->cols + from];
}

static void derive_column(struct wide *w, size_t from)
{
    double *v = w->c->values;

    v[w->c->cols] = (double)NAN;
    for (size_t r = 1; r < w->c->rows; r++)
        v[r * w->stride + w->c->cols] = v[r * w->stride + from] - v[(r - 1) * w->stride + from];
}

static void square_column(struct wide *w, size_t from)
{
    double *v = w->c->values;

    for (size_t r = 0; r < w->c->rows; r++)
        v[r * w->stride + w->c->cols] = v[r * w->stride + from] * v[r * w->stride + from];
}

/* Adds the column BASE_SUFFIX, unless it is there. BASE is. */
static int add_column(struct wide *w, const char *base, const char *suffix, struct bm_error *err)
{
    char *name = bm_format(err, "%s%s", base, suffix);

    if (!name)
        return -1;
    if (find(w->c, span(name)) != NO_COLUMN) {
        free(name);
        return 0;
    }
    size_t known = w->table ? find(w->table, span(name)) : NO_COLUMN, from = find(w->c, span(base));
    if (known != NO_COLUMN)
        copy_column(w, known);
    else if (strcmp(suffix, DERIVATIVE) == 0)
        derive_column(w, from);
    else
        square_column(w, from);
    w->c->names[w->c->cols++] = name;
    return 0;
}

static int add_expansions(struct wide *w, const char *name, bool derivatives, bool squares, struct bm_error *err)
{
    bool derive = derivatives && !is_derivative(name) && !is_power(name);

    if ((derive && add_column(w, name, DERIVATIVE, err)) ||
        (squares && !is_power(name) && add_column(w, name, POWER, err)))
        return -1;
    if (!derive || !squares)
        return 0;
    char *derivative = bm_format(err, "%s" DERIVATIVE, name);
    int rc = derivative ? add_column(w, derivative, POWER, err) : -1;
    free(derivative);
    return rc;
}

/* Rows of c->cols values into rows that are `stride` apart, or back. */
static void restride(double *to, size_t to_stride, const double *from, size_t from_stride, size_t rows, size_t cols)
{
    for (size_t r = 0; r < rows && cols; r++)
        memmove(to + r * to_stride, from + r * from_stride, cols * sizeof *to);
}

static int expand_into(struct wide *w, const struct bm_confounds *c, bool derivatives, bool squares,
                       struct bm_error *err)
{
    if (copy_frame(w->c, c, w->stride, err))
        return -1;
    for (; w->c->cols < c->cols; w->c->cols++) {
        w->c->names[w->c->cols] = bm_strdup(c->names[w->c->cols], err);
        if (!w->c->names[w->c->cols])
            return -1;
    }
    restride(w->c->values, w->stride, c->values, c->cols, c->rows, c->cols);
    for (size_t i = 0; i < c->cols; i++)
        if (add_expansions(w, c->names[i], derivatives, squares, err))
            return -1;
    restride(w->c->values, w->c->cols, w->c->values, w->stride, c->rows, w->c->cols);
    return 0;
}

int bm_confounds_expand(struct bm_confounds *c, bool derivatives, bool squares, const struct bm_confounds *table,
                        struct bm_error *err)
{
    struct bm_confounds out = {0};
    struct wide w = {&out, c->cols * (1 + (size_t)derivatives) * (1 + (size_t)squares), table};

    if (!derivatives && !squares)
        return 0;
    if (c->cols > MOST_EXPANDED)
        return bm_fail(err, BM_EUSAGE, "%s: %zu columns are too many to expand; choose at most %d", c->path, c->cols,
                       MOST_EXPANDED);
    if (expand_into(&w, c, derivatives, squares, err)) {
        bm_confounds_clear(&out);
        return -1;
    }
    bm_confounds_clear(c);
    *c = out;
    return 0;
}

/* ---- missing values ---- */

struct column {
    const struct bm_confounds *c;
    size_t index, first; /* first: the first row with a finite value, or rows */
    double replacement;
    enum bm_missing policy;
    const bool *censored;
};

static bool is_kept(const struct column *k, size_t r)
{
    return !k->censored || !k->censored[r];
}

static double mean(const struct column *k)
{
    long double sum = 0;
    size_t n = 0;

    for (size_t r = 0; r < k->c->rows; r++) {
        double v = k->c->values[r * k->c->cols + k->index];
        if (is_kept(k, r) && isfinite(v)) {
            sum += v;
            n++;
        }
    }
    return n > 0 ? (double)(sum / (long double)n) : (double)NAN;
}

/* The value that missing ones become; NAN where the policy has none. */
static void prepare(struct column *k)
{
    const double *v = k->c->values + k->index;

    for (k->first = 0; k->first < k->c->rows && !isfinite(v[k->first * k->c->cols]);)
        k->first++;
    k->replacement = (double)NAN;
    if (k->policy == BM_MISSING_ZERO)
        k->replacement = 0;
    else if (k->policy == BM_MISSING_MEAN)
        k->replacement = mean(k);
    else if (k->policy == BM_MISSING_START && k->first < k->c->rows)
        k->replacement = v[k->first * k->c->cols];
}

static bool is_covered(const struct column *k, size_t r)
{
    return !isnan(k->replacement) && (k->policy != BM_MISSING_START || r < k->first);
}

static int cannot_fill(const struct column *k, size_t r, struct bm_error *err)
{
    const char *path = k->c->path, *name = k->c->names[k->index];
    size_t line = k->c->first_line + r;

    if (k->policy == BM_MISSING_ERROR)
        return bm_fail(err, BM_EDATA,
                       "%s: line %zu: column %s has no value; choose other columns, censor the volume, or say what "
                       "missing values become",
                       path, line, name);
    if (isnan(k->replacement))
        return bm_fail(err, BM_EDATA, "%s: column %s has no value in any volume; choose other columns", path, name);
    return bm_fail(err, BM_EDATA,
                   "%s: line %zu: column %s has no value, and has had one before; choose other columns, censor the "
                   "volume, or let missing values become zero or the mean",
                   path, line, name);
}

static int fill_value(const struct column *k, size_t r, double *v, uint64_t *filled, struct bm_error *err)
{
    if (isfinite(*v))
        return 0;
    if (is_kept(k, r) && !isnan(*v))
        return bm_fail(err, BM_EDATA,
                       "%s: line %zu: column %s is infinite; choose other columns, or censor the volume", k->c->path,
                       k->c->first_line + r, k->c->names[k->index]);
    if (is_kept(k, r) && !is_covered(k, r))
        return cannot_fill(k, r, err);
    *filled += is_kept(k, r);
    *v = isnan(*v) && is_covered(k, r) ? k->replacement : 0;
    return 0;
}

int bm_confounds_fill(struct bm_confounds *c, enum bm_missing policy, const bool *censored, uint64_t *filled,
                      struct bm_error *err)
{
    uint64_t n = 0;

    for (size_t i = 0; i < c->cols; i++) {
        struct column k = {.c = c, .index = i, .policy = policy, .censored = censored};
        prepare(&k);
        for (size_t r = 0; r < c->rows; r++)
            if (fill_value(&k, r, &c->values[r * c->cols + i], &n, err))
                return -1;
    }
    if (filled)
        *filled = n;
    return 0;
}

/* ---- conditions ---- */

struct condition {
    struct bm_span column;
    enum bm_compare op;
    double number;
};

static int parse_condition(const char *text, struct condition *out, struct bm_error *err)
{
    size_t n = strcspn(text, "<>=!");
    struct bm_span rest = span(text + n);
    const size_t sign = bm_compare_parse(rest.s, rest.n, &out->op);

    out->column = bm_span_trim((struct bm_span){text, n});
    rest = bm_span_trim((struct bm_span){rest.s + sign, rest.n - sign});
    if (sign && out->column.n && bm_parse_real_n(rest.s, rest.n, &out->number))
        return 0;
    return bm_fail(err, BM_EUSAGE,
                   "condition \"%.*s\": is none; write COLUMN OP NUMBER with > >= < <= = or !=, such as "
                   "'framewise_displacement > 0.5'",
                   BM_SPAN_ARG(span(text)));
}

int bm_confounds_censor(const struct bm_confounds *c, const char *condition, bool *censored, struct bm_error *err)
{
    struct condition k;
    bool *chosen;
    int n;

    if (parse_condition(condition, &k, err))
        return -1;
    chosen = bm_calloc(c->cols, sizeof *chosen, c->path, err);
    n = chosen ? mark(c, k.column, chosen, err) : -1;
    for (size_t i = 0; n > 0 && i < c->cols; i++)
        for (size_t r = 0; chosen[i] && r < c->rows; r++)
            censored[r] |= bm_compare_holds(c->values[r * c->cols + i], k.op, k.number);
    free(chosen);
    return n;
}
