#include "ops/split.h"

#include <stdlib.h>
#include <string.h>

#define NONE SIZE_MAX

struct group_key {
    uint64_t key;
    size_t unit;
};

struct work {
    struct bm_split *s;
    const struct bm_timeline *t;
    const struct bm_split_rule *rule;
    struct group_key *key; /* of each unit */
    size_t *show;          /* presentation of each unit, or NONE */
    int8_t *claim;         /* of each row of the timeline: the part that uses it */
};

enum { UNCLAIMED = -1, CONTESTED = -2 };

static uint64_t key_of(const struct work *w, int64_t row, size_t run, size_t show)
{
    const struct bm_stretch *r = bm_timeline_run(w->t, run);
    uint64_t session = (uint64_t)r->subject << 16 | (uint64_t)r->session;
    switch (w->rule->by) {
    case BM_BY_RUN:
        return session << 16 | (uint64_t)r->run;
    case BM_BY_SESSION:
        return session;
    case BM_BY_IMAGE:
        return (uint64_t)bm_timeline_show(w->t, show)->image;
    case BM_BY_ROW:
        break;
    }
    return (uint64_t)row;
}

static void add_unit(struct work *w, size_t row, size_t run, size_t show)
{
    struct bm_split *s = w->s;
    s->row[s->n] = (int64_t)row;
    s->part[s->n] = 0;
    w->key[s->n] = (struct group_key){key_of(w, (int64_t)row, run, show), s->n};
    w->show[s->n] = show;
    s->n++;
}

/* The window of presentation `i` as rows [*lo, *hi), cut at the ends of its run and at gaps in it. false: something
 * was cut, or nobody knows whether the presentation began in a gap. */
static bool window_of(const struct work *w, size_t i, size_t *lo, size_t *hi)
{
    const struct bm_presentation *p = bm_timeline_show(w->t, i);
    const struct bm_piece *r = bm_timeline_piece(w->t, p->piece);
    int64_t first = (int64_t)r->first, end = (int64_t)(r->first + r->rows);
    int64_t from = (int64_t)p->first + w->rule->lag, to = from + w->rule->window;
    bool fits = from >= first && to <= end && bm_timeline_onset_known(w->t, i);
    from = from < first ? first : from > end ? end : from;
    to = to < from ? from : to > end ? end : to;
    *lo = (size_t)from;
    *hi = (size_t)to;
    return fits;
}

static void add_presentations(struct work *w)
{
    for (size_t i = 0; i < bm_timeline_shows(w->t); i++) {
        const struct bm_presentation *p = bm_timeline_show(w->t, i);
        size_t lo, hi;
        if (window_of(w, i, &lo, &hi))
            add_unit(w, p->first, p->stretch, i);
        else
            w->s->outside_run++;
    }
}

static void add_rows_of_run(struct work *w, size_t run, size_t *next_show)
{
    const struct bm_stretch *r = bm_timeline_run(w->t, run);
    size_t show = NONE, shows = bm_timeline_shows(w->t);
    for (size_t row = r->first; row < r->first + r->rows; row++) {
        if (*next_show < shows && bm_timeline_show(w->t, *next_show)->first == row)
            show = (*next_show)++;
        if (w->rule->by == BM_BY_IMAGE && show == NONE)
            w->s->no_image++;
        else
            add_unit(w, row, run, show);
    }
}

static void add_units(struct work *w)
{
    if (w->rule->unit == BM_UNIT_PRESENTATION) {
        add_presentations(w);
        return;
    }
    size_t next_show = 0;
    for (size_t run = 0; run < bm_timeline_runs(w->t); run++)
        add_rows_of_run(w, run, &next_show);
}

/* A decimal in (0, 1] of at most 9 decimals, exactly. */
static bool parse_share(const char *s, size_t n, uint32_t *share)
{
    size_t whole = 0;
    uint64_t value = 0, unit = BM_SHARE_ONE;
    for (; whole < n && s[whole] >= '0' && s[whole] <= '9' && value <= 1; whole++)
        value = value * 10 + (uint64_t)(s[whole] - '0');
    bool point = whole < n && s[whole] == '.';
    value *= unit;
    size_t i = whole + point;
    for (; i < n && s[i] >= '0' && s[i] <= '9' && unit > 1; i++) {
        unit /= 10;
        value += unit * (uint64_t)(s[i] - '0');
    }
    *share = (uint32_t)(value & UINT32_MAX);
    return i == n && n > point && value > 0 && value <= BM_SHARE_ONE;
}

static bool parse_name(const char *s, size_t n, char name[BM_PART_NAME])
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
    if (n == 0 || n >= BM_PART_NAME || strspn(s, allowed) < n)
        return false;
    memcpy(name, s, n);
    name[n] = '\0';
    return true;
}

static int parse_part(const char *s, size_t n, struct bm_split_rule *rule, struct bm_error *err)
{
    size_t p = rule->parts;
    const char *equals = memchr(s, '=', n);
    size_t name = equals ? (size_t)(equals - s) : n;
    if (p == BM_MAX_PARTS)
        return bm_fail(err, BM_EUSAGE, "--split: more than %d parts; name fewer", BM_MAX_PARTS);
    if (!equals || !parse_name(s, name, rule->name[p]) || !parse_share(equals + 1, n - name - 1, &rule->share[p]))
        return bm_fail(err, BM_EUSAGE,
                       "--split: '%.*s' is not NAME=FRACTION; a name has letters, digits, '_' and '-', a fraction is "
                       "above 0, at "
                       "most 1, with at most 9 decimals",
                       (int)(n < 100 ? n : 100), s);
    for (size_t i = 0; i < p; i++)
        if (strcmp(rule->name[i], rule->name[p]) == 0)
            return bm_fail(err, BM_EUSAGE, "--split: '%s' is named twice; name each part once", rule->name[p]);
    rule->parts++;
    return 0;
}

int bm_split_parse(const char *text, struct bm_split_rule *rule, struct bm_error *err)
{
    uint64_t sum = 0;
    rule->parts = 0;
    for (const char *s = text;; s++) {
        size_t n = strcspn(s, ",");
        if (parse_part(s, n, rule, err) < 0)
            return -1;
        sum += rule->share[rule->parts - 1];
        s += n;
        if (*s == '\0')
            break;
    }
    if (sum != BM_SHARE_ONE)
        return bm_fail(err, BM_EUSAGE, "--split: the fractions add up to %llu.%09llu; make it 1",
                       (unsigned long long)(sum / BM_SHARE_ONE), (unsigned long long)(sum % BM_SHARE_ONE));
    return 0;
}

void bm_split_sizes(size_t n, const struct bm_split_rule *rule, size_t *sizes)
{
    uint64_t rest[BM_MAX_PARTS];
    size_t given = 0;
    for (size_t p = 0; p < rule->parts; p++) {
        /* n * share without a 128-bit product: n = q * 10^9 + m */
        uint64_t q = n / BM_SHARE_ONE, m = n % BM_SHARE_ONE, product = m * rule->share[p];
        sizes[p] = (size_t)(q * rule->share[p] + product / BM_SHARE_ONE);
        rest[p] = product % BM_SHARE_ONE;
        given += sizes[p];
    }
    for (; given < n; given++) {
        size_t best = 0;
        for (size_t p = 1; p < rule->parts; p++)
            if (rest[p] > rest[best])
                best = p;
        sizes[best]++;
        rest[best] = 0;
    }
}

static int by_key(const void *a, const void *b)
{
    const struct group_key *x = a, *y = b;
    return (x->key > y->key) - (x->key < y->key);
}

static size_t count_groups(const struct group_key *key, size_t n)
{
    size_t groups = 0;
    for (size_t i = 0; i < n; i++)
        groups += i == 0 || key[i].key != key[i - 1].key;
    return groups;
}

static const char *group_name(enum bm_by by, enum bm_unit unit)
{
    static const char *const names[] = {"rows", "runs", "sessions", "images"};
    return by == BM_BY_ROW && unit == BM_UNIT_PRESENTATION ? "presentations" : names[by];
}

/* part_of[g] for groups in ascending order of their keys. */
static int deal(const struct work *w, size_t groups, int8_t *part_of, const char *name, struct bm_error *err)
{
    const struct bm_split_rule *rule = w->rule;
    int64_t *order = bm_alloc(groups, sizeof *order, "groups", err);
    if (!order)
        return -1;
    for (size_t g = 0; g < groups; g++)
        order[g] = (int64_t)g;
    struct bm_random r;
    bm_random_seed(&r, rule->seed, 0);
    bm_permute(order, groups, &r);
    bm_split_sizes(groups, rule, w->s->groups);
    int status = 0;
    for (size_t p = 0, g = 0; p < rule->parts; p++) {
        if (w->s->groups[p] == 0)
            status = bm_fail(err, BM_EUSAGE, "%s: part '%s' gets none of the %zu %s; give it a larger share", name,
                             rule->name[p], groups, group_name(rule->by, rule->unit));
        for (size_t k = 0; k < w->s->groups[p]; k++)
            part_of[order[g++]] = (int8_t)p;
    }
    free(order);
    return status;
}

static int assign_groups(struct work *w, const char *name, struct bm_error *err)
{
    struct bm_split *s = w->s;
    qsort(w->key, s->n, sizeof *w->key, by_key);
    size_t groups = count_groups(w->key, s->n);
    int8_t *part_of = bm_alloc(groups, 1, "groups", err);
    if (!part_of)
        return -1;
    int status = deal(w, groups, part_of, name, err);
    for (size_t i = 0, g = 0; status == 0 && i < s->n; i++) {
        g += i > 0 && w->key[i].key != w->key[i - 1].key;
        s->part[w->key[i].unit] = part_of[g];
    }
    free(part_of);
    return status;
}

static void leave_out(struct bm_split *s, size_t unit)
{
    s->shared[s->part[unit]]++;
    s->part[unit] = -1;
}

static void claim(struct work *w, size_t row, int8_t part)
{
    if (w->claim[row] == UNCLAIMED)
        w->claim[row] = part;
    else if (w->claim[row] != part)
        w->claim[row] = CONTESTED;
}

/* Rows by image: rows that presentations of two parts look at are left out. */
static void separate_rows(struct work *w)
{
    struct bm_split *s = w->s;
    for (size_t i = 0; i < s->n; i++) {
        claim(w, (size_t)s->row[i], s->part[i]);
        if (i > 0 && w->show[i] == w->show[i - 1])
            continue;
        size_t lo, hi;
        window_of(w, w->show[i], &lo, &hi);
        for (size_t row = lo; row < hi; row++)
            claim(w, row, s->part[i]);
    }
    for (size_t i = 0; i < s->n; i++)
        if (w->claim[s->row[i]] == CONTESTED)
            leave_out(s, i);
}

/* Parts by ascending share; among equal shares the part named last comes first. */
static void precedence(const struct bm_split_rule *rule, size_t *order)
{
    for (size_t p = 0; p < rule->parts; p++) {
        size_t at = p;
        for (; at > 0 && rule->share[order[at - 1]] >= rule->share[p]; at--)
            order[at] = order[at - 1];
        order[at] = p;
    }
}

static void keep_or_leave(struct work *w, size_t unit)
{
    int8_t part = w->s->part[unit];
    size_t lo, hi;
    window_of(w, w->show[unit], &lo, &hi);
    for (size_t row = lo; row < hi; row++)
        if (w->claim[row] != UNCLAIMED && w->claim[row] != part) {
            leave_out(w->s, unit);
            return;
        }
    memset(w->claim + lo, part, hi - lo);
}

/* Presentations: parts choose in turn, and windows that meet an earlier part's are left out. */
static void separate_presentations(struct work *w)
{
    size_t order[BM_MAX_PARTS] = {0};
    precedence(w->rule, order);
    for (size_t k = 0; k < w->rule->parts; k++)
        for (size_t i = 0; i < w->s->n; i++)
            if (w->s->part[i] == (int8_t)order[k])
                keep_or_leave(w, i);
}

static int separate(struct work *w, struct bm_error *err)
{
    bool rows = w->rule->unit == BM_UNIT_ROW;
    if (rows && w->rule->by != BM_BY_IMAGE)
        return 0;
    w->claim = bm_alloc(w->t->rows, 1, "rows", err);
    if (!w->claim)
        return -1;
    memset(w->claim, UNCLAIMED, w->t->rows);
    if (rows)
        separate_rows(w);
    else
        separate_presentations(w);
    free(w->claim);
    return 0;
}

static int count_units(const struct work *w, const char *name, struct bm_error *err)
{
    struct bm_split *s = w->s;
    for (size_t i = 0; i < s->n; i++)
        if (s->part[i] >= 0)
            s->units[s->part[i]]++;
    for (size_t p = 0; p < w->rule->parts; p++)
        if (s->units[p] == 0)
            return bm_fail(err, BM_EDATA,
                           "%s: part '%s' keeps nothing: all its %zu units share a window with another part; use a "
                           "smaller window, or split by run or session",
                           name, w->rule->name[p], s->shared[p]);
    return 0;
}

static int check_rule(const struct bm_timeline *t, const struct bm_split_rule *rule, const char *name,
                      struct bm_error *err)
{
    bool needs_shows = rule->unit == BM_UNIT_PRESENTATION || rule->by == BM_BY_IMAGE;
    size_t longest = bm_timeline_longest_piece(t);
    if (t->rows == 0)
        return bm_fail(err, BM_EDATA, "%s: has no rows; nothing can be shuffled", name);
    if (needs_shows && !t->has_presentations)
        return bm_fail(err, BM_EUSAGE, "%s: does not tell what was presented; give the NAME.meta.npy", name);
    if (needs_shows && bm_timeline_shows(t) == 0)
        return bm_fail(err, BM_EDATA, "%s: no row has a stimulus; was hrfshift given the right designs?", name);
    if (needs_shows && (uint64_t)rule->window > longest)
        return bm_fail(err, BM_EUSAGE,
                       "%s: a window of %lld rows fits into no run (the longest without a gap has %zu rows); use a "
                       "smaller --window",
                       name, (long long)rule->window, longest);
    return 0;
}

static int make(struct work *w, const char *name, struct bm_error *err)
{
    add_units(w);
    if (w->s->n == 0)
        return bm_fail(err, BM_EUSAGE,
                       "%s: no presentation's window of %lld rows from row %lld on fits into its run without a gap; "
                       "use a smaller "
                       "--window or another --lag",
                       name, (long long)w->rule->window, (long long)w->rule->lag);
    if (w->rule->parts == 1 && w->rule->by == BM_BY_ROW)
        w->s->groups[0] = w->s->n;
    else if (assign_groups(w, name, err) < 0 || separate(w, err) < 0)
        return -1;
    return count_units(w, name, err);
}

int bm_split_make(struct bm_split *s, const struct bm_timeline *t, const struct bm_split_rule *rule, const char *name,
                  struct bm_error *err)
{
    *s = (struct bm_split){0};
    if (check_rule(t, rule, name, err) < 0)
        return -1;
    size_t most = rule->unit == BM_UNIT_PRESENTATION ? bm_timeline_shows(t) : t->rows;
    struct work w = {.s = s, .t = t, .rule = rule};
    s->row = bm_alloc(most, sizeof *s->row, "rows", err);
    s->part = bm_alloc(most, sizeof *s->part, "parts", err);
    w.key = bm_alloc(most, sizeof *w.key, "groups", err);
    w.show = bm_alloc(most, sizeof *w.show, "presentations", err);
    int status = s->row && s->part && w.key && w.show ? make(&w, name, err) : -1;
    free(w.key);
    free(w.show);
    if (status < 0)
        bm_split_free(s);
    return status;
}

void bm_split_rows(const struct bm_split *s, size_t p, int64_t *rows)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->part[i] == (int8_t)p)
            *rows++ = s->row[i];
}

void bm_split_free(struct bm_split *s)
{
    free(s->row);
    free(s->part);
    *s = (struct bm_split){0};
}
