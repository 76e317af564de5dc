#include "files.h"
#include "io/confounds.h"
#include "unit.h"

#include <math.h>

/* numpy: default_rng(11).normal(size=8) * 0.1, to 3 places, is trans_x; the sixth such draw rot_z. */
static const char motion[] = "trans_x\trot_z\tframewise_displacement\tstd_dvars\tnon_steady_state_outlier00\n"
                             "0.003\t0.035\tn/a\tn/a\t1\n"
                             "0.136\t0.025\t0.1\t1.6\t0\n"
                             "0.122\t0.11\t0.6\t1.0\t0\n"
                             "-0.051\t-0.128\t0.1\t1.2\t0\n"
                             "-0.03\t-0.066\t0.5\t1.5\t0\n"
                             "-0.053\t-0.084\t0.1\t1.0\t0\n"
                             "0.057\t-0.173\t0.51\t1.0\t0\n"
                             "-0.006\t0.013\t0.2\t1.0\t0\n";

static struct bm_confounds read_text(const char *text)
{
    struct bm_confounds c;
    struct bm_error err = {0};

    if (bm_confounds_read(put_text("c.tsv", text), &c, &err))
        unit_fail("the table cannot be read: %s", err.text);
    return c;
}

/* The names, with blanks between them. */
static const char *names_of(const struct bm_confounds *c)
{
    static char text[2000];
    size_t used = 0;

    text[0] = 0;
    for (size_t i = 0; i < c->cols; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%s", i ? " " : "", c->names[i]);
    return text;
}

/* ---- selection ---- */

static void selections(void)
{
    static const char named[] = "a\tb1\tb2\tb10\tc,d\tmotion_outlier00\n1\t2\t3\t4\t5\t6\n7\t8\t9\t10\t11\t12\n";
    static const char plain[] = "1 2 3 4 5 6\n7 8 9 10 11 12\n";
    static const struct {
        const char *text, *list, *want;
        double first, last; /* the second row's */
    } rows[] = {
        {named, NULL, "a b1 b2 b10 c,d motion_outlier00", 7, 12},
        {named, "*", "a b1 b2 b10 c,d motion_outlier00", 7, 12},
        {named, "b2", "b2", 9, 9},
        {named, " b10 , a ,b10", "a b10", 7, 10}, /* in the table's order, none twice */
        {named, "b*", "b1 b2 b10", 8, 10},
        {named, "b?,b1", "b1 b2", 8, 9},
        {named, "b[2-9]", "b2", 9, 9},
        {named, "c?d", "c,d", 11, 11},
        {named, "a,motion_outlier*", "a motion_outlier00", 7, 12},
        {named, "a,non_steady_state*", "a", 7, 7},
        {named, "a,cosine*,cosine0?", "a", 7, 7},
        {named, "none", "", 0, 0},
        {plain, NULL, "1 2 3 4 5 6", 7, 12},
        {plain, "1-6", "1 2 3 4 5 6", 7, 12},
        {plain, "4,1-2", "1 2 4", 7, 10},
        {plain, "3-3", "3", 9, 9},
        {plain, "[56]", "5 6", 11, 12},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct bm_confounds table = read_text(rows[i].text), c;
        struct bm_error err = {0};
        int rc = bm_confounds_select(&table, rows[i].list, &c, &err);
        REQUIRE(rc == 0, &err);
        CHECK_ROW(strcmp(names_of(&c), rows[i].want) == 0, i);
        CHECK_ROW(c.rows == 2 && c.header == table.header && c.first_line == table.first_line, i);
        CHECK_ROW(c.bytes == table.bytes && c.crc32 == table.crc32 && strcmp(c.path, table.path) == 0, i);
        CHECK_ROW(c.cols == 0 || c.values[c.cols] == rows[i].first, i);
        CHECK_ROW(c.cols == 0 || c.values[2 * c.cols - 1] == rows[i].last, i);
        bm_confounds_clear(&c);
        bm_confounds_clear(&table);
    }
}

static void a_column_called_none(void)
{
    struct bm_confounds table = read_text("x\tnone\n1\t2\n"), c;
    struct bm_error err = {0};
    int rc = bm_confounds_select(&table, "none", &c, &err);

    REQUIRE(rc == 0, &err);
    CHECK(c.cols == 1 && c.values[0] == 2);
    bm_confounds_clear(&c);
    bm_confounds_clear(&table);
}

static void selections_that_are_refused(void)
{
    static const char named[] = "a\tb1\tmotion_outlier00\n1\t2\t3\n";
    static const char plain[] = "1 2 3\n4 5 6\n";
    static const struct {
        const char *text, *list, *why;
    } rows[] = {
        {named, "", "an item is empty"},
        {named, "a,,b1", "an item is empty"},
        {named, "x", "c.tsv: no column fits \"x\"; the columns are a, b1, motion_outlier00"},
        {named, "a,x*", "no column fits \"x*\""},
        {named, "A", "no column fits \"A\""},
        {named, "1-2", "no column fits \"1-2\""},
        {named, "motion_outlier01", "no column fits \"motion_outlier01\""}, /* a name must be there */
        {named, "cosine", "no column fits \"cosine\""},
        {named, "motoin_outlier*", "no column fits"},
        {plain, "4", "no column fits \"4\"; the columns are 1 to 3"},
        {plain, "2-4", "no column fits \"2-4\""},
        {plain, "0-2", "no column fits \"0-2\""},
        {plain, "3-2", "no column fits \"3-2\""},
        {plain, "motion_outlier*", "no column fits"}, /* only where columns have names */
        {"1\n2\n", "2", "the columns are 1"},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct bm_confounds table = read_text(rows[i].text), c;
        struct bm_error err = {0};
        CHECK_ROW(bm_confounds_select(&table, rows[i].list, &c, &err) == -1 && !c.names && !c.values && !c.path, i);
        CHECK_ERR_CONTAINS(&err, rows[i].why);
        CHECK_ROW(err.code == BM_EUSAGE, i);
        bm_confounds_clear(&table);
    }
}

static void names_for_messages(void)
{
    struct bm_confounds c =
        read_text("csf csf_derivative1 csf_power2 csf_derivative1_power2 csf_wm rot_x_power2 rot_x "
                  "a0 a1 b0 b1 b2 b b_derivative1\n1 2 3 4 5 6 7 8 9 10 11 12 13 14\n");
    char text[200];

    bm_confounds_names(&c, text, sizeof text);
    CHECK(strcmp(text, "csf, csf_wm, rot_x_power2, rot_x, a0, a1, b0 to b2, b") == 0);
    bm_confounds_names(&c, text, 64);
    CHECK(strlen(text) < 64 && strcmp(text, "csf, csf_wm, rot_x_power2, rot_x, a0, a1, b0 to b2, ...") == 0);
    bm_confounds_clear(&c);
    bm_confounds_names(&c, text, sizeof text);
    CHECK(strcmp(text, "none") == 0);
}

/* ---- expansion ---- */

/* nilearn 0.13.1, load_confounds(strategy=("motion",), motion="full", demean=False) on a table that has the columns
 * `motion` begins with and their expansions as pandas computes them (diff, square), n/a in the first row. */
static const struct {
    const char *name;
    double v[8];
} full_model[] = {
    {"trans_x", {0.003, 0.136, 0.122, -0.051, -0.03, -0.053, 0.057, -0.006}},
    {"rot_z", {0.035, 0.025, 0.11, -0.128, -0.066, -0.084, -0.173, 0.013}},
    {"trans_x_derivative1",
     {0.133, 0.133, -0.014000000000000012, -0.173, 0.020999999999999998, -0.023, 0.11, -0.063}},
    {"trans_x_power2",
     {9e-06, 0.018496000000000002, 0.014884, 0.0026009999999999996, 0.0009, 0.002809, 0.003249, 3.6e-05}},
    {"trans_x_derivative1_power2",
     {0.017689000000000003, 0.017689000000000003, 0.00019600000000000035, 0.029928999999999997,
      0.00044099999999999993, 0.000529, 0.0121, 0.003969}},
    {"rot_z_derivative1",
     {-0.010000000000000002, -0.010000000000000002, 0.08499999999999999, -0.238, 0.062, -0.018000000000000002,
      -0.08899999999999998, 0.186}},
    {"rot_z_power2",
     {0.0012250000000000002, 0.0006250000000000001, 0.0121, 0.016384, 0.0043560000000000005, 0.007056000000000001,
      0.029928999999999997, 0.000169}},
    {"rot_z_derivative1_power2",
     {0.00010000000000000005, 0.00010000000000000005, 0.007224999999999999, 0.05664399999999999,
      0.0038439999999999998, 0.00032400000000000007, 0.007920999999999997, 0.034596}},
};

static void the_full_motion_model(void)
{
    struct bm_confounds table = read_text(motion), c;
    struct bm_error err = {0};
    uint64_t filled = 99;
    int rc = bm_confounds_select(&table, "trans_*,rot_*", &c, &err);

    REQUIRE(rc == 0, &err);
    rc = bm_confounds_expand(&c, true, true, &table, &err);
    REQUIRE(rc == 0, &err);
    CHECK(c.cols == 8 && c.rows == 8 && isnan(c.values[2]) && isnan(c.values[4]));
    rc = bm_confounds_fill(&c, BM_MISSING_START, NULL, &filled, &err);
    REQUIRE(rc == 0, &err);
    CHECK(filled == 4);
    for (size_t i = 0; i < COUNT(full_model) && i < c.cols; i++) {
        CHECK_ROW(strcmp(c.names[i], full_model[i].name) == 0, i);
        for (size_t r = 0; r < 8; r++)
            CHECK_ROW(fabs(c.values[r * c.cols + i] - full_model[i].v[r]) <= 1e-15 * fabs(full_model[i].v[r]), i);
    }
    bm_confounds_clear(&c);
    bm_confounds_clear(&table);
}

static void which_columns_are_made(void)
{
    static const struct {
        const char *header, *list;
        bool derivatives, squares;
        const char *want;
    } rows[] = {
        {"x y z", "x,y", false, false, "x y"},
        {"x y z", "x,y", true, false, "x y x_derivative1 y_derivative1"},
        {"x y z", "x,y", false, true, "x y x_power2 y_power2"},
        {"x y z", "x", true, true, "x x_derivative1 x_power2 x_derivative1_power2"},
        {"x x_derivative1 z", "x*", true, true, "x x_derivative1 x_power2 x_derivative1_power2"},
        {"x x_derivative1 z", "x*", false, true, "x x_derivative1 x_power2 x_derivative1_power2"},
        {"x x_derivative1 z", "x_derivative1", true, false, "x_derivative1"},
        {"x x_power2 x_derivative1_power2", "*", true, true, "x x_power2 x_derivative1_power2 x_derivative1"},
        {"x x_power2 x_power3", "x_power?", true, true, "x_power2 x_power3"},
        {"power2 _power2 x_power", "*", false, true,
         "power2 _power2 x_power power2_power2 _power2_power2 x_power_power2"},
        {"x y z", "none", true, true, ""},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        char text[200];
        (void)snprintf(text, sizeof text, "%s\n1 2 3\n2 4 9\n", rows[i].header);
        struct bm_confounds table = read_text(text), c;
        struct bm_error err = {0};
        int rc = bm_confounds_select(&table, rows[i].list, &c, &err);
        REQUIRE(rc == 0, &err);
        rc = bm_confounds_expand(&c, rows[i].derivatives, rows[i].squares, &table, &err);
        REQUIRE(rc == 0, &err);
        CHECK_ROW(strcmp(names_of(&c), rows[i].want) == 0, i);
        CHECK_ROW(strcmp(c.path, table.path) == 0 && c.first_line == 2 && c.bytes == table.bytes, i);
        bm_confounds_clear(&c);
        bm_confounds_clear(&table);
    }
}

static void what_the_table_has_is_taken_from_it(void)
{
    struct bm_confounds table = read_text("x x_derivative1\n1 70\n2 80\n4 90\n"), c;
    struct bm_error err = {0};
    static const double want[3][4] = {{1, 70, 1, 4900}, {2, 80, 4, 6400}, {4, 90, 16, 8100}};
    int rc = bm_confounds_select(&table, "x", &c, &err);

    REQUIRE(rc == 0, &err);
    rc = bm_confounds_expand(&c, true, true, &table, &err);
    REQUIRE(rc == 0, &err);
    CHECK(c.cols == 4 && memcmp(c.values, want, sizeof want) == 0);
    bm_confounds_clear(&c);
    rc = bm_confounds_select(&table, "x", &c, &err);
    REQUIRE(rc == 0, &err);
    rc = bm_confounds_expand(&c, true, false, NULL, &err); /* without it, they are computed */
    REQUIRE(rc == 0, &err);
    CHECK(c.cols == 2 && isnan(c.values[1]) && c.values[3] == 1 && c.values[5] == 2);
    bm_confounds_clear(&c);
    bm_confounds_clear(&table);
}

static void columns_that_are_not_made_leave_no_gap(void)
{
    struct bm_confounds c = read_text("x x_power2 y_power2\n1 70 5\n2 80 6\n4 90 7\n");
    struct bm_error err = {0};
    static const double want[9] = {1, 70, 5, 2, 80, 6, 4, 90, 7};
    int rc = bm_confounds_expand(&c, false, true, NULL, &err);

    REQUIRE(rc == 0, &err);
    CHECK(c.cols == 3 && memcmp(c.values, want, sizeof want) == 0);
    bm_confounds_clear(&c);
}

static void too_many_columns_to_expand(void)
{
    static char text[60000];
    size_t n = 0;

    for (int i = 0; i < 4097; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "1 ");
    struct bm_confounds c = read_text(text);
    struct bm_error err = {0};
    CHECK(c.cols == 4097 && bm_confounds_expand(&c, true, false, NULL, &err) == -1 && c.cols == 4097);
    CHECK_ERR_CONTAINS(&err, "4097 columns are too many to expand");
    bm_confounds_clear(&c);
}

/* ---- missing values ---- */

static void fills(void)
{
    static const struct {
        const char *text;
        enum bm_missing policy;
        const char *censored;
        uint64_t filled;
        double want[6];
    } rows[] = {
        {"a\nn/a\nn/a\n3\n4\n5\n6\n", BM_MISSING_START, "......", 2, {3, 3, 3, 4, 5, 6}},
        {"a\n1\nn/a\n3\n4\n5\nn/a\n", BM_MISSING_ZERO, "......", 2, {1, 0, 3, 4, 5, 0}},
        {"a\nn/a\n2\n3\n4\n5\n11\n", BM_MISSING_MEAN, "......", 1, {5, 2, 3, 4, 5, 11}},
        {"a\nn/a\n2\n3\n4\n5\n11\n", BM_MISSING_MEAN, ".....x", 1, {3.5, 2, 3, 4, 5, 11}},
        {"a\n1\n2\n3\n4\n5\n6\n", BM_MISSING_ERROR, "......", 0, {1, 2, 3, 4, 5, 6}},
        /* volumes that are censored do not count, and need no value */
        {"a\n1\nn/a\n3\ninf\n5\n6\n", BM_MISSING_START, ".x.x..", 0, {1, 0, 3, 0, 5, 6}},
        {"a\n1\nn/a\n3\n-inf\n5\n6\n", BM_MISSING_ERROR, ".x.x..", 0, {1, 0, 3, 0, 5, 6}},
        /* the first value may stand in a censored volume; it must be finite */
        {"a\nn/a\n2\n3\n4\n5\n6\n", BM_MISSING_START, ".x....", 1, {2, 2, 3, 4, 5, 6}},
        {"a\nn/a\ninf\n3\n4\n5\n6\n", BM_MISSING_START, ".x....", 1, {3, 0, 3, 4, 5, 6}},
        {"a\nn/a\ninf\n3\n3\n3\n3\n", BM_MISSING_MEAN, ".x....", 1, {3, 0, 3, 3, 3, 3}},
        {"a\nn/a\n1e308\n1e308\n1e308\n1e308\n1e308\n",
         BM_MISSING_MEAN,
         "......",
         1,
         {1e308, 1e308, 1e308, 1e308, 1e308, 1e308}},
        {"a\nn/a\nn/a\nn/a\nn/a\nn/a\nn/a\n", BM_MISSING_ZERO, "......", 6, {0, 0, 0, 0, 0, 0}},
        {"a\nn/a\nn/a\nn/a\nn/a\nn/a\nn/a\n", BM_MISSING_START, "xxxxxx", 0, {0, 0, 0, 0, 0, 0}},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct bm_confounds c = read_text(rows[i].text);
        struct bm_error err = {0};
        bool censored[6];
        uint64_t filled = 99;
        for (size_t r = 0; r < 6; r++)
            censored[r] = rows[i].censored[r] == 'x';
        int rc =
            bm_confounds_fill(&c, rows[i].policy, strchr(rows[i].censored, 'x') ? censored : NULL, &filled, &err);
        REQUIRE(rc == 0, &err);
        CHECK_ROW(filled == rows[i].filled, i);
        CHECK_ROW(memcmp(c.values, rows[i].want, sizeof rows[i].want) == 0, i);
        bm_confounds_clear(&c);
    }
}

static void fills_that_are_refused(void)
{
    static const struct {
        const char *text;
        enum bm_missing policy;
        const char *why;
    } rows[] = {
        {"a b\n1 n/a\n1 2\n1 n/a\n", BM_MISSING_START,
         "c.tsv: line 4: column b has no value, and has had one before"},
        {"# remark\na b\n1 1\n1 2\nn/a 1\n", BM_MISSING_START, "line 5: column a has no value"},
        {"1 1\n1 n/a\n1 1\n", BM_MISSING_START, "line 2: column 2 has no value"},
        {"a b\nn/a 1\n1 2\n1 1\n", BM_MISSING_ERROR, "line 2: column a has no value; choose"},
        {"a b\nn/a 1\nn/a 2\nn/a 1\n", BM_MISSING_START, "column a has no value in any volume"},
        {"a b\nn/a 1\nn/a 2\nn/a 1\n", BM_MISSING_MEAN, "column a has no value in any volume"},
        {"a b\n1 1\n1 inf\n1 1\n", BM_MISSING_ZERO, "line 3: column b is infinite"},
        {"a b\nn/a 1\n-inf 2\n1 1\n", BM_MISSING_START, "line 3: column a is infinite"},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct bm_confounds c = read_text(rows[i].text);
        struct bm_error err = {0};
        CHECK_ROW(bm_confounds_fill(&c, rows[i].policy, NULL, NULL, &err) == -1 && err.code == BM_EDATA, i);
        CHECK_ERR_CONTAINS(&err, rows[i].why);
        bm_confounds_clear(&c);
    }
}

/* ---- censoring ---- */

/* nilearn 0.13.1, load_confounds(strategy=("motion", "scrub"), scrub=0) with its thresholds (fd 0.5, std_dvars 1.5)
 * on this table: sample_mask is [3, 4, 5, 7]. */
static void censored_as_nilearn_scrubs(void)
{
    struct bm_confounds c = read_text(motion);
    struct bm_error err = {0};
    bool v[8] = {false};
    static const bool want[8] = {true, true, true, false, false, false, true, false};

    CHECK(bm_confounds_censor(&c, "framewise_displacement > 0.5", v, &err) == 1);
    CHECK(bm_confounds_censor(&c, "std_dvars > 1.5", v, &err) == 1);
    CHECK(bm_confounds_censor(&c, "non_steady_state_outlier* > 0", v, &err) == 1);
    CHECK(bm_confounds_censor(&c, "motion_outlier* > 0", v, &err) == 0); /* a run without outliers */
    CHECK(memcmp(v, want, sizeof v) == 0);
    bm_confounds_clear(&c);
}

static void conditions(void)
{
    static const char table[] = "a\tb1\tb2\n1\t0\t0\n2\t0\t1\nn/a\t0\t0\ninf\t1\t0\n-3\tn/a\tn/a\n";
    static const struct {
        const char *condition;
        int columns;
        const char *want;
    } rows[] = {
        {"a > 1", 1, ".x.x."},       {"a >= 1", 1, "xx.x."},     {"a < 2", 1, "x...x"},  {"a <= 2", 1, "xx..x"},
        {"a = 2", 1, ".x..."},       {"a == 2", 1, ".x..."},     {"a != 2", 1, "x..xx"}, {"a>1", 1, ".x.x."},
        {"  a<-2.5e0 ", 1, "....x"}, {"b* > 0", 2, ".x.x."},     {"b2 > 0", 1, ".x..."}, {"b[1] > 0", 1, "...x."},
        {"b* = 0", 2, "xxxx."},      {"* < -1e300", 3, "....."},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct bm_confounds c = read_text(table);
        struct bm_error err = {0};
        bool v[5] = {false};
        CHECK_ROW(bm_confounds_censor(&c, rows[i].condition, v, &err) == rows[i].columns, i);
        for (size_t r = 0; r < 5; r++)
            CHECK_ROW(v[r] == (rows[i].want[r] == 'x'), i);
        bm_confounds_clear(&c);
    }
}

static void conditions_add_up(void)
{
    struct bm_confounds c = read_text("1 0\n0 1\n0 0\n");
    struct bm_error err = {0};
    bool v[3] = {false, false, true};

    CHECK(bm_confounds_censor(&c, "1 > 0", v, &err) == 1 && v[0] && !v[1] && v[2]);
    CHECK(bm_confounds_censor(&c, "1-2 > 0", v, &err) == 2 && v[0] && v[1] && v[2]);
    bm_confounds_clear(&c);
}

static void conditions_that_are_refused(void)
{
    static const struct {
        const char *condition, *why;
    } rows[] = {
        {"", "write COLUMN OP NUMBER"},
        {"a", "condition \"a\": is none; write COLUMN OP NUMBER"},
        {"a >", "write COLUMN OP NUMBER"},
        {"> 1", "write COLUMN OP NUMBER"},
        {"a > x", "write COLUMN OP NUMBER"},
        {"a > 1 2", "write COLUMN OP NUMBER"},
        {"a > inf", "write COLUMN OP NUMBER"},
        {"a => 1", "write COLUMN OP NUMBER"},
        {"a ! 1", "write COLUMN OP NUMBER"},
        {"a > > 1", "write COLUMN OP NUMBER"},
        {"a 1", "write COLUMN OP NUMBER"},
        {"x > 1", "no column fits \"x\"; the columns are a, b"},
        {"motion_outlier00 > 0", "no column fits"},
        {"x* > 1", "no column fits"},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct bm_confounds c = read_text("a b\n1 2\n");
        struct bm_error err = {0};
        bool v[1] = {false};
        CHECK_ROW(bm_confounds_censor(&c, rows[i].condition, v, &err) == -1 && err.code == BM_EUSAGE && !v[0], i);
        CHECK_ERR_CONTAINS(&err, rows[i].why);
        bm_confounds_clear(&c);
    }
}

int main(void)
{
    static const struct unit_test all[] = {
        UNIT(selections),
        UNIT(a_column_called_none),
        UNIT(selections_that_are_refused),
        UNIT(names_for_messages),
        UNIT(the_full_motion_model),
        UNIT(which_columns_are_made),
        UNIT(what_the_table_has_is_taken_from_it),
        UNIT(columns_that_are_not_made_leave_no_gap),
        UNIT(too_many_columns_to_expand),
        UNIT(fills),
        UNIT(fills_that_are_refused),
        UNIT(censored_as_nilearn_scrubs),
        UNIT(conditions),
        UNIT(conditions_add_up),
        UNIT(conditions_that_are_refused),
    };

    return unit_main(all, COUNT(all));
}
