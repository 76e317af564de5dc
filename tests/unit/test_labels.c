#include "files.h"
#include "io/labels.h"
#include "unit.h"

static void tables_of_every_kind(void)
{
    static const char *const same[] = {
        "# FreeSurfer\n  0  Unknown 0 0 0 0\n  2  V1d    120  18 134   0\n  1  V1v     25   5  25 255\n",
        "0 Unknown\n\n# remark\n1 V1v\n2 V1d\n",
        "0\tUnknown\r\n2\tV1d\r\n1\tV1v\r\n",
        "index\tname\tcolor\n0\tUnknown\t#000\n1\tV1v\t#f00\n2\tV1d\t#0f0\n",
        "name\tx\tindex\nV1v\t\t1\nV1d\t\t2\nUnknown\t\t0\n",
    };

    for (size_t i = 0; i < COUNT(same); i++) {
        struct bm_labels t;
        struct bm_error err = {0};
        int rc = bm_labels_read(put_text("t", same[i]), &t, &err);
        REQUIRE(rc == 0, &err);
        CHECK_ROW(t.n == 3 && t.items[0].index == 0 && t.items[1].index == 1 && t.items[2].index == 2, i);
        CHECK_ROW(t.n == 3 && strcmp(t.items[1].name, "V1v") == 0 && strcmp(t.items[2].name, "V1d") == 0, i);
        bm_labels_clear(&t);
    }
}

static void names_with_blanks_and_negative_numbers(void)
{
    struct bm_labels t;
    struct bm_error err = {0};
    int rc = bm_labels_read(put_text("t", "-1\tnot cortex\n 7\tAngular gyrus, left\n"), &t, &err);

    REQUIRE(rc == 0, &err);
    CHECK(t.n == 2 && t.items[0].index == -1 && strcmp(t.items[0].name, "not cortex") == 0);
    CHECK(strcmp(t.items[1].name, "Angular gyrus, left") == 0);
    bm_labels_clear(&t);
}

static void tables_that_are_refused(void)
{
    static const struct {
        const char *text, *why;
    } rows[] = {
        {"", "names no labels"},
        {"# nothing\n", "names no labels"},
        {"index\tname\n", "names no labels"},
        {"V1 1\n", "no label table"},
        {"1\n", "no label table"},
        {"1 V1\n1 V2\n", "the index 1 is there twice"},
        {"1 V1\n2 V1\n", "the name \"V1\" is there twice"},
        {"1 V1\n2 V2 more\n", "line 2 \"2 V2 more\" does not fit"},
        {"1 V1\nx V2\n", "index \"x\" is no integer"},
        {"1 V1 0 0 0 0\n2 V2 0 0 256 0\n", "line 2"},
        {"1 V1 0 0 0 0\n2 V2\n", "line 2"},
        {"index\tname\n1\n", "line 2"},
        {"index\tname\n1\t\n", "line 2"},
        {"index\tname\n1.5\tV1\n", "index \"1.5\" is no integer"},
        {"99999999999999999999 V1\n", "no label table"},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct bm_labels t;
        struct bm_error err = {0};
        CHECK_ROW(bm_labels_read(put_text("bad.ctab", rows[i].text), &t, &err) == -1 && t.n == 0, i);
        CHECK_ERR_CONTAINS(&err, rows[i].why);
        CHECK_ERR_CONTAINS(&err, "bad.ctab: ");
    }
}

static const struct bm_labels *table(void)
{
    static char names[4][8] = {"V1v", "V1d", "hV4", "8-9"};
    static struct bm_label items[4] = {{1, names[0]}, {2, names[1]}, {7, names[2]}, {12, names[3]}};
    static const struct bm_labels t = {items, 4};

    return &t;
}

static void selections(void)
{
    static const struct {
        const char *spec;
        size_t n;
        int64_t want[6];
    } rows[] = {
        {"1", 1, {1}},
        {"1,3-5,hV4", 5, {1, 3, 4, 5, 7}},
        {"5,1,5,1-1", 2, {1, 5}},
        {"V1d,V1v", 2, {1, 2}},
        {" V1v , 4 ", 2, {1, 4}},
        {"-1", 1, {-1}},
        {"-2-1", 4, {-2, -1, 0, 1}},
        {"-3--2", 2, {-3, -2}},
        {"8-9", 1, {12}}, /* a name that looks like a range */
        {"9223372036854775806-9223372036854775807", 2, {INT64_MAX - 1, INT64_MAX}},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct bm_error err = {0};
        int64_t *v = NULL;
        size_t n = 0;
        int rc = bm_labels_select(rows[i].spec, table(), &v, &n, &err);
        REQUIRE(rc == 0, &err);
        CHECK_ROW(n == rows[i].n && memcmp(v, rows[i].want, n * sizeof *v) == 0, i);
        free(v);
    }
}

static void selections_that_are_refused(void)
{
    static const struct {
        const char *spec;
        int with_table;
        const char *why;
    } rows[] = {
        {"", 1, "empty item"},
        {"1,,2", 1, "empty item"},
        {"1,", 1, "empty item"},
        {"V2v", 1, "label \"V2v\" is not in the table; the names are V1v, V1d, hV4, 8-9"},
        {"v1v", 1, "is not in the table"},
        {"V1v", 0, "there is no table of names"},
        {"5-3", 1, "ends before it begins"},
        {"0-2000000", 1, "longer than"},
        {"-9223372036854775808-9223372036854775807", 1, "longer than"},
        {"1.5", 0, "is no number"},
        {"1-", 0, "is no number"},
        {"0-999999,0-999999,0-999999,0-999999,0-999999", 1, "too many numbers"},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct bm_error err = {0};
        int64_t *v = NULL;
        size_t n = 0;
        CHECK_ROW(bm_labels_select(rows[i].spec, rows[i].with_table ? table() : NULL, &v, &n, &err) == -1 && !v, i);
        CHECK_ERR_CONTAINS(&err, rows[i].why);
        CHECK(err.code == BM_EUSAGE);
    }
}

int main(void)
{
    static const struct unit_test all[] = {
        UNIT(tables_of_every_kind),        UNIT(names_with_blanks_and_negative_numbers),
        UNIT(tables_that_are_refused),     UNIT(selections),
        UNIT(selections_that_are_refused),
    };

    return unit_main(all, COUNT(all));
}
