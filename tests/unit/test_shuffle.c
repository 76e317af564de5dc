/* Orders, shards, timelines and splits. The arrays come from the Python model in tests/test_shuffleidx.py. */
#include "ops/shuffle.h"
#include "ops/split.h"
#include "unit.h"

static bool same(const int64_t *a, const int64_t *b, size_t n)
{
    return memcmp(a, b, n * sizeof *a) == 0;
}

static void count_up(int64_t *rows, size_t n)
{
    for (size_t i = 0; i < n; i++)
        rows[i] = (int64_t)i;
}

static void full_orders_as_the_model_has_them(void)
{
    static const struct {
        uint64_t epoch;
        size_t part;
        int64_t order[10];
    } rows[] = {
        {0, 0, {4, 8, 1, 3, 7, 0, 2, 6, 5, 9}},
        {1, 0, {5, 4, 9, 2, 3, 1, 7, 0, 8, 6}},
        {0, 1, {8, 6, 1, 4, 9, 7, 5, 2, 3, 0}},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct bm_error err = {0};
        struct bm_order order = {.mode = BM_ORDER_FULL, .epoch = rows[i].epoch};
        int64_t items[10];
        count_up(items, 10);
        CHECK_ROW(bm_order_rows(items, 10, &order, rows[i].part, &err) == 0, i);
        CHECK_ROW(same(items, rows[i].order, 10), i);
    }
}

static void block_orders_as_the_model_has_them(void)
{
    static const int64_t whole[] = {4, 5, 1, 3, 7, 0, 2, 6, 10, 9, 11, 8}, gaps[] = {11, 1, 0, 5, 6, 7};
    struct bm_error err = {0};
    struct bm_order order = {BM_ORDER_BLOCK, 4, 2, 0, 0};
    int64_t items[12], few[] = {0, 1, 5, 6, 7, 11};
    count_up(items, 12);
    CHECK(bm_order_rows(items, 12, &order, 0, &err) == 0 && same(items, whole, 12));
    order.buffer_blocks = 1;
    order.seed = 3;
    CHECK(bm_order_rows(few, 6, &order, 0, &err) == 0 && same(few, gaps, 6));
}

/* Items follow their rows, also where several items share one. */
static void items_go_with_their_rows(void)
{
    static const int64_t rows[] = {0, 1, 1, 5, 6, 7, 7, 11};
    struct bm_error err = {0};
    struct bm_order order = {BM_ORDER_BLOCK, 4, 1, 3, 0};
    int64_t same[8], items[8];
    memcpy(same, rows, sizeof rows);
    count_up(items, 8);
    CHECK(bm_order_rows(same, 8, &order, 2, &err) == 0);
    CHECK(bm_order_items(items, rows, 8, &order, 2, &err) == 0);
    for (size_t i = 0; i < 8; i++)
        CHECK_ROW(rows[items[i]] == same[i], i);
    order.mode = BM_ORDER_FULL;
    count_up(same, 8);
    count_up(items, 8);
    CHECK(bm_order_rows(same, 8, &order, 2, &err) == 0 && bm_order_items(items, rows, 8, &order, 2, &err) == 0);
    CHECK(memcmp(same, items, sizeof items) == 0);
}

static void nothing_can_be_ordered(void)
{
    struct bm_error err = {0};
    int64_t one = 5;
    for (int mode = BM_ORDER_NONE; mode <= BM_ORDER_BLOCK; mode++) {
        struct bm_order order = {(enum bm_order_mode)mode, 4, 2, 0, 0};
        CHECK_ROW(bm_order_rows(&one, 0, &order, 0, &err) == 0, mode);
        CHECK_ROW(bm_order_rows(&one, 1, &order, 0, &err) == 0 && one == 5, mode);
    }
}

static void shards_join_to_the_whole(void)
{
    for (size_t n = 0; n < 40; n++)
        for (size_t shards = 1; shards < 9; shards++) {
            size_t next = 0;
            for (size_t k = 0; k < shards; k++) {
                size_t first, count;
                bm_shard(n, shards, k, &first, &count);
                CHECK_ROW(first == next && (count == n / shards || count == n / shards + 1), n);
                next += count;
            }
            CHECK_ROW(next == n, n);
        }
}

static void fractions(void)
{
    static const struct {
        const char *text, *says; /* says NULL: fine */
    } rows[] = {
        {"train=0.8,val=0.1,test=0.1", NULL},
        {"a=1", NULL},
        {"a=.5,b=0.5", NULL},
        {"a=0.333333333,b=0.333333333,c=0.333333334", NULL},
        {"a=0.8,b=0.1", "0.900000000"},
        {"a=1,b=1", "2.000000000"},
        {"a=0.5,a=0.5", "twice"},
        {"a=0.5,b", "'b'"},
        {"a=0.5,", "''"},
        {"", "''"},
        {"a=,b=1", "'a='"},
        {"a=.,b=1", "'a=.'"},
        {"a=2", "'a=2'"},
        {"a=99999999999999999999999999", "'a=9999"},
        {"a=-1", "'a=-1'"},
        {"a=0,b=1", "'a=0'"},
        {"a=1.5", "'a=1.5'"},
        {"=1", "'=1'"},
        {"a=.05,b=.05,c=.05,d=.05,e=.05,f=.05,g=.05,h=.05,i=.05,j=.05,k=.05,l=.05,m=.05,n=.05,o=.05,p=.25", NULL},
        {"a=.05,b=.05,c=.05,d=.05,e=.05,f=.05,g=.05,h=.05,i=.05,j=.05,k=.05,l=.05,m=.05,n=.05,o=.05,p=.05,q=.2",
         "more than 16 parts"},
        {"0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789x",
         "'0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789' is"},
        {"a=1e0", "'a=1e0'"},
        {"a=0.0000000001,b=0.9999999999", "'a=0.0000000001'"},
        {"a/b=1", "'a/b=1'"},
        {"0123456789012345678901234567890123=1", "is not NAME=FRACTION"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct bm_error err = {0};
        struct bm_split_rule rule = {.parts = 0};
        CHECK_ROW((bm_split_parse(rows[i].text, &rule, &err) == 0) == !rows[i].says, i);
        CHECK_ERR_CONTAINS(&err, rows[i].says ? rows[i].says : "");
    }
}

static void sizes_are_exact(void)
{
    static const struct {
        const char *split;
        size_t n, sizes[3];
    } rows[] = {
        {"a=0.8,b=0.1,c=0.1", 10, {8, 1, 1}},
        {"a=0.8,b=0.1,c=0.1", 8, {6, 1, 1}},
        {"a=0.8,b=0.1,c=0.1", 5, {4, 1, 0}}, /* a tie of 0.5 and 0.5: named first */
        {"a=0.25,b=0.25,c=0.5", 7, {2, 2, 3}},
        {"a=0.333333333,b=0.333333333,c=0.333333334", 1000, {333, 333, 334}},
        {"a=0.1,b=0.2,c=0.7", 10000000000u, {1000000000u, 2000000000u, 7000000000u}},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct bm_error err = {0};
        struct bm_split_rule rule;
        size_t sizes[BM_MAX_PARTS];
        REQUIRE(bm_split_parse(rows[i].split, &rule, &err) == 0, &err);
        bm_split_sizes(rows[i].n, &rule, sizes);
        CHECK_ROW(memcmp(sizes, rows[i].sizes, sizeof rows[i].sizes) == 0, i);
    }
}

static int add_row(struct bm_timeline *t, int run, float time, int32_t trial, int32_t image, struct bm_error *err)
{
    unsigned char record[4 + 18];
    struct bm_rows rows = {1, 1, record};
    struct bm_row row = {&image, 1, 2, (int16_t)run, time, trial, image};
    bm_row_put(&rows, 0, &row);
    return bm_timeline_add_rows(t, &rows, "x", err);
}

/* Runs of 12 rows with a trial in every third row from row 3 on: images 0, 1, 2 in run 1, 3, 4, 5 in run 2, ... */
static int make_timeline(struct bm_timeline *t, int runs, struct bm_error *err)
{
    unsigned char record[12 * 22];
    for (int run = 1; run <= runs; run++) {
        struct bm_rows rows = {1, 12, record};
        for (int i = 0; i < 12; i++) {
            int32_t trial = i / 3 - 1, image = trial < 0 ? -1 : 3 * (run - 1) + trial;
            struct bm_row row = {&image, 1, 2, (int16_t)run, (float)i, trial, i % 3 == 0 ? image : -1};
            bm_row_put(&rows, (size_t)i, &row);
        }
        if (bm_timeline_add_rows(t, &rows, "x", err) < 0)
            return -1;
    }
    return 0;
}

static void timeline_finds_runs_and_presentations(void)
{
    struct bm_error err = {0};
    struct bm_timeline t = {0};
    REQUIRE(make_timeline(&t, 3, &err) == 0, &err);
    CHECK(t.rows == 36 && bm_timeline_runs(&t) == 3 && bm_timeline_shows(&t) == 9);
    CHECK(bm_timeline_run(&t, 1)->first == 12 && bm_timeline_run(&t, 1)->run == 2);
    CHECK(bm_timeline_run(&t, 1)->session == 2 && bm_timeline_longest_piece(&t) == 12);
    const struct bm_presentation *p = bm_timeline_show(&t, 4);
    CHECK(p->first == 18 && p->rows == 3 && p->stretch == 1 && p->trial == 1 && p->image == 4);
    bm_timeline_free(&t);
}

static void timeline_starts_a_run_where_time_starts_again(void)
{
    struct bm_error err = {0};
    struct bm_timeline t = {0};
    unsigned char record[4 * 22];
    struct bm_rows rows = {1, 4, record};
    int32_t none = -1;
    for (size_t i = 0; i < 4; i++) {
        struct bm_row row = {&none, 1, 1, 1, (float)(i % 2), -1, -1};
        bm_row_put(&rows, i, &row);
    }
    REQUIRE(bm_timeline_add_rows(&t, &rows, "x", &err) == 0, &err);
    CHECK(bm_timeline_runs(&t) == 2 && bm_timeline_shows(&t) == 0 && t.has_presentations);
    bm_timeline_free(&t);
}

/* Two runs of the volumes 0 1 2 4 5 6 7 and 2 3, a trial every two volumes from 1 on. */
static int make_gaps(struct bm_timeline *t, struct bm_error *err)
{
    static const int times[] = {0, 1, 2, 4, 5, 6, 7, 2, 3};
    int status = 0;
    for (size_t i = 0; i < COUNT(times) && status == 0; i++) {
        unsigned char record[22];
        int32_t trial = (times[i] + 1) / 2 - 1, image = trial < 0 ? -1 : 10 + trial;
        struct bm_rows rows = {1, 1, record};
        struct bm_row row = {&image, 1, 2, i < 7 ? 1 : 2, (float)times[i], trial, image};
        bm_row_put(&rows, 0, &row);
        status = bm_timeline_add_rows(t, &rows, "x", err);
    }
    return status;
}

static void timeline_sees_gaps(void)
{
    static const struct {
        size_t first, rows, stretch, piece, piece_first, piece_rows;
        bool known;
    } shows[] = {
        {1, 2, 0, 0, 0, 3, true}, {3, 1, 0, 1, 3, 4, false}, {4, 2, 0, 1, 3, 4, true},
        {6, 1, 0, 1, 3, 4, true}, {7, 1, 1, 2, 7, 2, false}, {8, 1, 1, 2, 7, 2, true},
    };
    struct bm_error err = {0};
    struct bm_timeline t = {0};
    REQUIRE(make_gaps(&t, &err) == 0, &err);
    CHECK(t.rows == 9 && bm_timeline_runs(&t) == 2 && bm_timeline_run(&t, 0)->rows == 7);
    CHECK(bm_timeline_shows(&t) == COUNT(shows) && bm_timeline_longest_piece(&t) == 4);
    for (size_t i = 0; i < COUNT(shows) && i < bm_timeline_shows(&t); i++) {
        const struct bm_presentation *p = bm_timeline_show(&t, i);
        const struct bm_piece *piece = bm_timeline_piece(&t, p->piece);
        CHECK_ROW(p->first == shows[i].first && p->rows == shows[i].rows && p->stretch == shows[i].stretch, i);
        CHECK_ROW(p->piece == shows[i].piece && piece->first == shows[i].piece_first, i);
        CHECK_ROW(piece->rows == shows[i].piece_rows && bm_timeline_onset_known(&t, i) == shows[i].known, i);
    }
    bm_timeline_free(&t);
}

static int add_row_of(struct bm_timeline *t, int subject, int session, int run, struct bm_error *err)
{
    unsigned char record[4 + 18];
    struct bm_rows rows = {1, 1, record};
    int32_t none = -1;
    struct bm_row row = {&none, (int16_t)subject, (int16_t)session, (int16_t)run, t->last_time + 1, -1, -1};
    bm_row_put(&rows, 0, &row);
    return bm_timeline_add_rows(t, &rows, "x", err);
}

static void timeline_starts_a_run_where_a_number_changes(void)
{
    static const struct {
        int subject, session, run;
        size_t runs;
    } rows[] = {{1, 1, 1, 1}, {1, 1, 1, 1}, {2, 1, 1, 2}, {2, 3, 1, 3}, {2, 3, 2, 4}, {2, 3, 2, 4}, {1, 3, 2, 5}};
    struct bm_error err = {0};
    struct bm_timeline t = {0};
    for (size_t i = 0; i < COUNT(rows); i++) {
        REQUIRE(add_row_of(&t, rows[i].subject, rows[i].session, rows[i].run, &err) == 0, &err);
        CHECK_ROW(bm_timeline_runs(&t) == rows[i].runs, i);
    }
    bm_timeline_free(&t);
}

static void timeline_refuses_contradictions(void)
{
    static const struct {
        int run;
        int32_t trial, image; /* behind trial 3, which shows image 5, in run 1 */
        const char *says;     /* NULL: fine */
    } rows[] = {
        {-1, -1, -1, "x: row 0: negative"},
        {1, 4, -1, "x: row 0: a presentation without a stimulus"},
        {1, -1, -1, "x: row 0: trial -1 after a presentation"},
        {1, 2, 5, "x: row 0: trial numbers go backwards"},
        {1, 3, 6, "x: row 0: the stimulus changes within a presentation"},
        {1, 3, 5, NULL},
        {2, -1, -1, NULL},
        {2, 0, 6, NULL},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct bm_error err = {0};
        struct bm_timeline t = {0};
        REQUIRE(add_row(&t, 1, 0, 3, 5, &err) == 0, &err);
        CHECK_ROW(add_row(&t, rows[i].run, 1, rows[i].trial, rows[i].image, &err) == (rows[i].says ? -1 : 0), i);
        CHECK_ERR_CONTAINS(&err, rows[i].says ? rows[i].says : "");
        bm_timeline_free(&t);
    }
    for (int which = 0; which < 2; which++) {
        struct bm_error err = {0};
        struct bm_timeline t = {0};
        CHECK_ROW(add_row_of(&t, which ? 1 : -1, which ? -1 : 1, 1, &err) == -1 && err.code == BM_EDATA, which);
        CHECK_ERR_CONTAINS(&err, "x: row 0: negative subject, session or run");
        bm_timeline_free(&t);
    }
}

static struct bm_split_rule rule_of(const char *split, enum bm_by by, enum bm_unit unit, int64_t window)
{
    struct bm_error err = {0};
    struct bm_split_rule rule = {.parts = 0};
    if (bm_split_parse(split, &rule, &err) < 0)
        unit_fail("%s", err.text);
    rule.by = by;
    rule.unit = unit;
    rule.window = window;
    rule.seed = 9;
    return rule;
}

static size_t given_out(const struct bm_split *s, size_t parts)
{
    size_t n = 0;
    for (size_t p = 0; p < parts; p++)
        n += s->units[p] + s->shared[p];
    return n;
}

static void rows_before_the_first_image_are_left_out(void)
{
    struct bm_error err = {0};
    struct bm_timeline t = {0};
    struct bm_split s;
    struct bm_split_rule rule = rule_of("a=0.5,b=0.5", BM_BY_IMAGE, BM_UNIT_ROW, 1);
    REQUIRE(make_timeline(&t, 4, &err) == 0, &err);
    REQUIRE(bm_split_make(&s, &t, &rule, "x", &err) == 0, &err);
    CHECK(s.no_image == 12 && s.n == 36 && given_out(&s, 2) == 36);
    CHECK(s.groups[0] == 6 && s.groups[1] == 6 && s.units[0] == 18 && s.units[1] == 18);
    for (size_t i = 0; i < s.n; i++)
        CHECK_ROW(s.row[i] % 12 >= 3 && s.part[i] == s.part[i / 3 * 3], i);
    bm_split_free(&s);
    bm_timeline_free(&t);
}

/* With windows of two trials, no row of a part may lie in the window of another part's presentation. */
static void windows_keep_apart(void)
{
    for (int unit = BM_UNIT_ROW; unit <= BM_UNIT_PRESENTATION; unit++) {
        struct bm_error err = {0};
        struct bm_timeline t = {0};
        struct bm_split s;
        struct bm_split_rule rule = rule_of("a=0.6,b=0.4", BM_BY_IMAGE, (enum bm_unit)unit, 6);
        int side[12 * 40] = {0};
        REQUIRE(make_timeline(&t, 40, &err) == 0, &err);
        REQUIRE(bm_split_make(&s, &t, &rule, "x", &err) == 0, &err);
        CHECK_ROW(s.shared[0] > 0 && (unit == BM_UNIT_PRESENTATION ? s.shared[1] == 0 : s.shared[1] > 0), unit);
        CHECK_ROW(s.outside_run == (unit == BM_UNIT_PRESENTATION ? 40 : 0), unit);
        CHECK_ROW(given_out(&s, 2) == s.n, unit);
        for (size_t i = 0; i < s.n; i++)
            for (int64_t k = 0; s.part[i] >= 0 && k < (unit == BM_UNIT_PRESENTATION ? 6 : 1); k++)
                side[s.row[i] + k] |= 1 << s.part[i];
        for (size_t i = 0; i < COUNT(side); i++)
            CHECK_ROW(side[i] != 3, i);
        bm_split_free(&s);
        bm_timeline_free(&t);
    }
}

/* The part with the smaller share chooses first, wherever it is named. */
static void the_smaller_part_chooses_first(void)
{
    static const char *const splits[] = {"a=0.3,b=0.7", "a=0.7,b=0.3", "a=0.5,b=0.5"};
    for (size_t i = 0; i < COUNT(splits); i++) {
        const size_t first = i == 0 ? 0 : 1; /* of equal ones that named last */
        struct bm_error err = {0};
        struct bm_timeline t = {0};
        struct bm_split s;
        struct bm_split_rule rule = rule_of(splits[i], BM_BY_IMAGE, BM_UNIT_PRESENTATION, 6);
        REQUIRE(make_timeline(&t, 40, &err) == 0, &err);
        REQUIRE(bm_split_make(&s, &t, &rule, "x", &err) == 0, &err);
        CHECK_ROW(s.shared[first] == 0 && s.shared[1 - first] > 0, i);
        bm_split_free(&s);
        bm_timeline_free(&t);
    }
}

/* Windows wholly before or behind their runs touch no row. */
static void windows_outside_touch_nothing(void)
{
    for (int64_t lag = -100; lag <= 100; lag += 200) {
        struct bm_error err = {0};
        struct bm_timeline t = {0};
        struct bm_split s;
        struct bm_split_rule rule = rule_of("a=0.6,b=0.4", BM_BY_IMAGE, BM_UNIT_ROW, 6);
        rule.lag = lag;
        REQUIRE(make_timeline(&t, 10, &err) == 0, &err);
        REQUIRE(bm_split_make(&s, &t, &rule, "x", &err) == 0, &err);
        CHECK(s.n == 90 && s.shared[0] == 0 && s.shared[1] == 0 && s.units[0] == 54 && s.units[1] == 36);
        bm_split_free(&s);
        bm_timeline_free(&t);
    }
}

/* Rows by run: a run is in one part, no window matters, and bm_split_rows lists each part's rows. */
static void runs_stay_together(void)
{
    static const char *const splits[] = {"a=0.5,b=0.25,c=0.25", "a=1"};
    for (size_t i = 0; i < COUNT(splits); i++) {
        struct bm_error err = {0};
        struct bm_timeline t = {0};
        struct bm_split s;
        struct bm_split_rule rule = rule_of(splits[i], BM_BY_RUN, BM_UNIT_ROW, 6);
        int64_t rows[8 * 12];
        size_t seen = 0;
        REQUIRE(make_timeline(&t, 8, &err) == 0, &err);
        REQUIRE(bm_split_make(&s, &t, &rule, "x", &err) == 0, &err);
        CHECK_ROW(s.groups[0] == (i ? 8 : 4) && s.groups[1] == (i ? 0 : 2) && s.n == 96, i);
        for (size_t p = 0; p < rule.parts; p++) {
            CHECK_ROW(s.units[p] == 12 * s.groups[p] && s.shared[p] == 0, i);
            bm_split_rows(&s, p, rows);
            for (size_t k = 0; k < s.units[p]; k++) {
                CHECK_ROW(s.part[rows[k]] == (int8_t)p && (k == 0 || rows[k] > rows[k - 1]), i);
                CHECK_ROW(rows[k] % 12 == (int64_t)k % 12, i);
            }
            seen += s.units[p];
        }
        CHECK_ROW(seen == 96, i);
        bm_split_free(&s);
        bm_timeline_free(&t);
    }
}

/* Windows that meet a gap are as those that leave their run; so are those of trials that may have begun in one. */
static void windows_do_not_cross_gaps(void)
{
    static const struct {
        int64_t window, lag;
        size_t n;
        int64_t first[4];
    } rows[] = {
        {1, 0, 4, {1, 4, 6, 8}},  {2, 0, 2, {1, 4}},        {3, 0, 1, {4}},     {1, 1, 2, {1, 4}},
        {1, -1, 4, {1, 4, 6, 8}}, {2, -1, 4, {1, 4, 6, 8}}, {3, -1, 2, {1, 4}}, {1, -2, 1, {6}},
    };
    struct bm_error err = {0};
    struct bm_timeline t = {0};
    REQUIRE(make_gaps(&t, &err) == 0, &err);
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct bm_split_rule rule = rule_of("a=1", BM_BY_ROW, BM_UNIT_PRESENTATION, rows[i].window);
        struct bm_split s;
        rule.lag = rows[i].lag;
        REQUIRE(bm_split_make(&s, &t, &rule, "x", &err) == 0, &err);
        CHECK_ROW(s.n == rows[i].n && s.outside_run == 6 - rows[i].n, i);
        CHECK_ROW(s.n != rows[i].n || memcmp(s.row, rows[i].first, s.n * sizeof *s.row) == 0, i);
        bm_split_free(&s);
    }
    bm_timeline_free(&t);
}

static void rules_that_do_not_fit(void)
{
    static const struct {
        const char *split;
        enum bm_by by;
        enum bm_unit unit;
        int64_t window;
        const char *says;
    } rows[] = {
        {"a=0.9,b=0.1", BM_BY_RUN, BM_UNIT_ROW, 1, "part 'b' gets none of the 2 runs"},
        {"a=0.9,b=0.1", BM_BY_SESSION, BM_UNIT_ROW, 1, "1 sessions"},
        {"a=1", BM_BY_ROW, BM_UNIT_PRESENTATION, 13, "13 rows fits into no run"},
        {"a=1", BM_BY_ROW, BM_UNIT_PRESENTATION, 12, "no presentation's window"},
        {"a=0.5,b=0.5", BM_BY_IMAGE, BM_UNIT_ROW, 100, "fits into no run"},
        {"a=0.99,b=0.01", BM_BY_ROW, BM_UNIT_ROW, 1, "none of the 24 rows"},
        {"a=0.99,b=0.01", BM_BY_ROW, BM_UNIT_PRESENTATION, 1, "none of the 6 presentations"},
        {"a=0.99,b=0.01", BM_BY_IMAGE, BM_UNIT_PRESENTATION, 1, "none of the 6 images"},
    };
    struct bm_error err = {0};
    struct bm_timeline t = {0};
    REQUIRE(make_timeline(&t, 2, &err) == 0, &err);
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct bm_split s;
        struct bm_split_rule rule = rule_of(rows[i].split, rows[i].by, rows[i].unit, rows[i].window);
        err = (struct bm_error){0};
        CHECK_ROW(bm_split_make(&s, &t, &rule, "x", &err) == -1, i);
        CHECK_ERR_CONTAINS(&err, rows[i].says);
    }
    bm_timeline_free(&t);
}

/* Of two presentations whose windows meet one has to go, and with it its part. */
static void parts_that_keep_nothing(void)
{
    struct bm_error err = {0};
    struct bm_timeline t = {0};
    struct bm_split s;
    struct bm_split_rule rule = rule_of("a=0.5,b=0.5", BM_BY_ROW, BM_UNIT_PRESENTATION, 6);
    REQUIRE(make_timeline(&t, 1, &err) == 0, &err);
    CHECK(bm_split_make(&s, &t, &rule, "x", &err) == -1 && err.code == BM_EDATA && !s.row && !s.part);
    CHECK_ERR_CONTAINS(&err, "x: part 'a' keeps nothing: all its 1 units share a window with another part");
    bm_timeline_free(&t);
}

static void runs_alone_tell_no_images(void)
{
    struct bm_error err = {0};
    struct bm_timeline t = {0};
    struct bm_split s;
    struct bm_split_rule rule = rule_of("a=0.5,b=0.5", BM_BY_IMAGE, BM_UNIT_ROW, 1);
    CHECK(bm_split_make(&s, &t, &rule, "x", &err) == -1);
    CHECK_ERR_CONTAINS(&err, "x: has no rows");
    err = (struct bm_error){0};
    REQUIRE(bm_timeline_add_run(&t, 1, 1, 1, 10, &err) == 0, &err);
    CHECK(bm_split_make(&s, &t, &rule, "x", &err) == -1 && err.code == BM_EUSAGE);
    CHECK_ERR_CONTAINS(&err, "meta.npy");
    bm_timeline_free(&t);
    err = (struct bm_error){0};
    REQUIRE(add_row(&t, 1, 0, -1, -1, &err) == 0, &err);
    CHECK(bm_split_make(&s, &t, &rule, "x", &err) == -1 && err.code == BM_EDATA);
    CHECK_ERR_CONTAINS(&err, "x: no row has a stimulus");
    bm_timeline_free(&t);
}

int main(void)
{
    static const struct unit_test all[] = {
        UNIT(full_orders_as_the_model_has_them),
        UNIT(block_orders_as_the_model_has_them),
        UNIT(items_go_with_their_rows),
        UNIT(nothing_can_be_ordered),
        UNIT(shards_join_to_the_whole),
        UNIT(fractions),
        UNIT(sizes_are_exact),
        UNIT(timeline_finds_runs_and_presentations),
        UNIT(timeline_starts_a_run_where_time_starts_again),
        UNIT(timeline_sees_gaps),
        UNIT(timeline_starts_a_run_where_a_number_changes),
        UNIT(timeline_refuses_contradictions),
        UNIT(rows_before_the_first_image_are_left_out),
        UNIT(windows_keep_apart),
        UNIT(the_smaller_part_chooses_first),
        UNIT(windows_outside_touch_nothing),
        UNIT(runs_stay_together),
        UNIT(windows_do_not_cross_gaps),
        UNIT(rules_that_do_not_fit),
        UNIT(parts_that_keep_nothing),
        UNIT(runs_alone_tell_no_images),
    };
    return unit_main(all, COUNT(all));
}
