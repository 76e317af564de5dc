#include "io/roi.h"

#include "core/parse.h"
#include "io/labelcounts.h"
#include "io/maskfile.h"
#include "io/text.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- SPEC ---- */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* Is there a condition's sign at s, with blanks around it? Returns its length, 0 for none. */
static size_t sign_at(const char *text, const char *s, enum bm_compare *op)
{
    const size_t n = strcspn(s, " \t");
    const bool apart = s > text && is_blank(s[-1]) && s[n];

    return apart && bm_compare_parse(s, n, op) == n ? n : 0;
}

/* Cuts "FILE OP VALUE" in three; *value is NULL where there is no condition. The name of a file may hold a sign, too:
 * the last cut whose left side exists counts, or else the first. */
static int cut(const char *spec, char **path, enum bm_compare *op, const char **value, struct bm_error *err)
{
    const bool whole = access(spec, F_OK) == 0;

    *path = NULL;
    *value = NULL;
    for (const char *s = spec; *s && !whole; s++) {
        enum bm_compare this_op = BM_GREATER;
        size_t n = sign_at(spec, s, &this_op);
        char *name;

        if (!n)
            continue;
        name = bm_span_dup(bm_span_trim((struct bm_span){spec, (size_t)(s - spec)}), err);
        if (!name)
            return -1;
        if (!*path || access(name, F_OK) == 0) {
            free(*path);
            *path = name;
            *op = this_op;
            *value = s + n + strspn(s + n, " \t");
        } else {
            free(name);
        }
    }
    if (!*path)
        *path = bm_strdup(spec, err);
    return *path ? 0 : -1;
}

static int check_cut(const char *spec, const struct bm_roi *roi, const char *value, struct bm_error *err)
{
    if (value && !*value)
        return bm_fail(err, BM_EUSAGE, "'%s': there is nothing behind the sign; write a condition such as '%s > 0.2'",
                       spec, roi->path);
    if (!value && access(roi->path, F_OK) && strpbrk(roi->path, "<>="))
        return bm_fail(err, BM_EUSAGE,
                       "'%s': there is no such file; a condition needs blanks around its sign, as in 'FILE > 0.2'",
                       spec);
    return 0;
}

static int find_table(struct bm_roi *roi, const struct bm_labels *table, struct bm_error *err)
{
    char *path = NULL;
    int status = table ? 0 : bm_labels_beside(roi->path, &path, err);

    roi->table = table;
    if (!status && path) {
        status = bm_labels_read(path, &roi->own, err);
        roi->table = &roi->own;
    }
    free(path);
    return status;
}

static int parse_value(struct bm_roi *roi, const char *value, const struct bm_labels *table, struct bm_error *err)
{
    const struct bm_span text = bm_span_trim((struct bm_span){value, strlen(value)});
    const bool is_number = bm_parse_real_n(text.s, text.n, &roi->number);
    int64_t whole;

    if (roi->op < BM_IS)
        return is_number
                   ? 0
                   : bm_fail(err, BM_EUSAGE, "%s: '%s' behind %s is no number; names go with = and !=", roi->path,
                             value, bm_compare_sign(roi->op));
    if (is_number && !bm_parse_int_n(text.s, text.n, INT64_MIN, INT64_MAX, &whole))
        return 0;
    return find_table(roi, table, err) || bm_labels_select(value, roi->table, &roi->labels, err) ? -1 : 0;
}

int bm_roi_parse(const char *spec, const char *labels, const struct bm_labels *table, struct bm_roi *out,
                 struct bm_error *err)
{
    const char *value;
    int status;

    *out = (struct bm_roi){.op = BM_GREATER};
    status = cut(spec, &out->path, &out->op, &value, err) || check_cut(spec, out, value, err) ? -1 : 0;
    if (!status && !value && labels) {
        out->op = BM_IS;
        value = labels;
    }
    if (!status && value)
        status = parse_value(out, value, table, err);
    if (status)
        bm_roi_clear(out);
    return status;
}

void bm_roi_clear(struct bm_roi *roi)
{
    free(roi->path);
    bm_label_set_clear(&roi->labels);
    bm_labels_clear(&roi->own);
    *roi = (struct bm_roi){0};
}

/* Adds one label to a list that ends in "..." where it is full. false: it is. */
BM_PRINTF(4, 5) static bool list(char *text, size_t size, size_t *used, const char *fmt, ...)
{
    char item[280];
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(item, sizeof item, fmt, ap);
    va_end(ap);
    if (n < 0 || *used + strlen(item) + 8 > size) {
        (void)snprintf(text + *used, size - *used, "%s...", *used ? ", " : "");
        return false;
    }
    *used += (size_t)snprintf(text + *used, size - *used, "%s%s", *used ? ", " : "", item);
    return true;
}

/* "V1v (1)", "1" or "1-3" */
static void range_text(const struct bm_roi *roi, const struct bm_label_range *r, char *text, size_t n)
{
    const char *name = roi->table && r->lo == r->hi ? bm_labels_name(roi->table, r->lo) : NULL;

    if (name)
        (void)snprintf(text, n, "%.200s (%lld)", name, (long long)r->lo);
    else if (r->lo == r->hi)
        (void)snprintf(text, n, "%lld", (long long)r->lo);
    else
        (void)snprintf(text, n, "%lld-%lld", (long long)r->lo, (long long)r->hi);
}

const char *bm_roi_condition(const struct bm_roi *roi, char *text, size_t n)
{
    char item[256];
    size_t used = (size_t)snprintf(text, n, "%s ", bm_compare_sign(roi->op)), from = used;

    if (!roi->labels.n)
        (void)snprintf(text + used, n - used, "%.10g", roi->number);
    for (size_t i = 0, at = 0; i < roi->labels.n; i++) {
        range_text(roi, &roi->labels.items[i], item, sizeof item);
        if (!list(text + from, n - from, &at, "%s", item))
            break;
    }
    return text;
}

/* ---- voxels ---- */

/* Which of the ranges hold the value; each that does is marked in `seen`. */
static bool in_labels(const struct bm_label_set *set, double value, bool *seen)
{
    bool any = false;

    for (size_t i = 0; i < set->n; i++) {
        if (value >= (double)set->items[i].lo && value <= (double)set->items[i].hi && value == floor(value))
            any = seen[i] = true;
    }
    return any;
}

static bool holds(const struct bm_roi *roi, double value, bool *seen)
{
    if (!roi->labels.n)
        return bm_compare_holds(value, roi->op, roi->number);
    return !isnan(value) && in_labels(&roi->labels, value, seen) == (roi->op == BM_IS);
}

static void select_all(struct bm_roi *roi, const double *values, size_t n, bool *flags, bool *seen)
{
    roi->selected = roi->nonfinite = 0;
    roi->lo = INFINITY;
    roi->hi = -INFINITY;
    for (size_t i = 0; i < n; i++) {
        /* neighbours mostly have the same value */
        flags[i] = i && values[i] == values[i - 1] ? flags[i - 1] : holds(roi, values[i], seen);
        roi->selected += flags[i];
        if (!isfinite(values[i])) {
            roi->nonfinite++;
            continue;
        }
        roi->lo = values[i] < roi->lo ? values[i] : roi->lo;
        roi->hi = values[i] > roi->hi ? values[i] : roi->hi;
    }
}

/* The labels that a volume holds, with names and voxels, for a message. */
static void labels_text(const struct bm_roi *roi, const struct bm_label_counts *counts, char *text, size_t n)
{
    char item[256];
    size_t used = 0;

    text[0] = '\0';
    for (size_t i = 0; i < counts->n; i++) {
        const struct bm_label_range r = {counts->items[i].value, counts->items[i].value};

        range_text(roi, &r, item, sizeof item);
        if (!list(text, n, &used, "%s: %zu", item, counts->items[i].voxels))
            return;
    }
}

static int label_missing(const struct bm_roi *roi, const struct bm_label_range *r, const double *values, size_t n,
                         struct bm_error *err)
{
    struct bm_label_counts counts;
    char wanted[256], found[500];

    if (bm_label_counts(values, n, &counts, err))
        return -1;
    range_text(roi, r, wanted, sizeof wanted);
    labels_text(roi, &counts, found, sizeof found);
    bm_label_counts_clear(&counts);
    if (!*found)
        return bm_fail(err, BM_EDATA,
                       "%s: no voxel is %s; its values are not few whole numbers, so compare with < or >", roi->path,
                       wanted);
    return bm_fail(err, BM_EDATA, "%s: no voxel is %s; name labels that are there (with the voxels of each: %s)",
                   roi->path, wanted, found);
}

static int select_voxels(struct bm_roi *roi, const double *values, size_t n, bool *flags, struct bm_error *err)
{
    bool *seen = bm_calloc(roi->labels.n, sizeof *seen, "labels", err);
    int status = seen ? 0 : -1;

    if (!status)
        select_all(roi, values, n, flags, seen);
    for (size_t i = 0; i < roi->labels.n && roi->op == BM_IS && !status; i++) {
        if (!seen[i])
            status = label_missing(roi, &roi->labels.items[i], values, n, err);
    }
    free(seen);
    return status;
}

int bm_roi_read(struct bm_roi *roi, const struct bm_grid *expected, struct bm_grid *grid, bool **flags,
                struct bm_error *err)
{
    struct bm_maskfile file;
    size_t voxels;
    int status;

    *flags = NULL;
    if (bm_maskfile_read(roi->path, expected, &file, err))
        return -1;
    *grid = expected ? *expected : file.grid;
    roi->bytes = file.bytes;
    roi->crc32 = file.crc32;
    voxels = bm_grid_voxels(grid);
    *flags = bm_alloc(voxels, sizeof **flags, "mask", err);
    status = *flags ? select_voxels(roi, file.values, voxels, *flags, err) : -1;
    bm_maskfile_clear(&file);
    if (!status)
        return 0;
    free(*flags);
    *flags = NULL;
    return -1;
}
