#include "io/labelcounts.h"

#include "core/mem.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static bool is_whole(double v)
{
    return v == floor(v) && fabs(v) < 0x1p62; /* infinite values are not */
}

/* Where `value` is, or would have to be put. */
static size_t place(const struct bm_label_counts *c, int64_t value)
{
    size_t lo = 0, hi = c->n;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;

        if (c->items[mid].value < value)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

/* Counts one value at place `at`, making it if need be. false: there is no more room. */
static bool count_at(struct bm_label_counts *c, size_t at, int64_t value)
{
    if (at == c->n || c->items[at].value != value) {
        if (c->n == BM_MOST_LABELS)
            return false;
        memmove(c->items + at + 1, c->items + at, (c->n - at) * sizeof *c->items);
        c->items[at] = (struct bm_label_count){value, 0};
        c->n++;
    }
    c->items[at].voxels++;
    return true;
}

int bm_label_counts(const double *values, size_t n, struct bm_label_counts *out, struct bm_error *err)
{
    size_t at = 0;

    *out = (struct bm_label_counts){0};
    out->items = bm_alloc(BM_MOST_LABELS, sizeof *out->items, "labels", err);
    if (!out->items)
        return -1;
    for (size_t i = 0; i < n; i++) {
        int64_t value = is_whole(values[i]) ? (int64_t)values[i] : 0;

        if (isnan(values[i]))
            continue;
        if (i == 0 || values[i] != values[i - 1]) /* neighbours mostly have the same */
            at = place(out, value);
        if (!is_whole(values[i]) || !count_at(out, at, value)) {
            out->n = 0;
            return 0;
        }
    }
    return 0;
}

void bm_label_counts_clear(struct bm_label_counts *c)
{
    free(c->items);
    *c = (struct bm_label_counts){0};
}
