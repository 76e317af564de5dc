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
        {"1 V1\n2\n", "line 2 \"2\" does not fit"},
        {"1 V1 0 0 0 0\n2\n", "line 2 \"2\" does not fit"},
        {"1 V1 0 0 0 0\n2 V2 0 0 0\n", "line 2"},
        {"1 V1 0 0 0 0\n2 V2 0 0 0 0 0\n", "line 2"},
        {"index\tname\tname\n1\tV1\tV2\n", "no label table"},
        {"index\tindex\tname\n1\t1\tV2\n", "no label table"},
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
    static char names[5][8] = {"V1v", "V1d", "hV4", "8-9", "a, b"};
    static struct bm_label items[5] = {{1, names[0]}, {2, names[1]}, {7, names[2]}, {12, names[3]}, {13, names[4]}};
    static const struct bm_labels t = {.items = items, .n = 5};

    return &t;
}

static void selections(void)
{
    static const struct {
        const char *text;
        size_t n;
        struct bm_label_range want[4];
    } rows[] = {
        {"1", 1, {{1, 1}}},
        {"1,3-5,hV4", 3, {{1, 1}, {3, 5}, {7, 7}}},
        {"5,1,5,1-1", 4, {{5, 5}, {1, 1}, {5, 5}, {1, 1}}},
        {"V1d,V1v", 2, {{2, 2}, {1, 1}}},
        {" V1v , 4 ", 2, {{1, 1}, {4, 4}}},
        {"-1", 1, {{-1, -1}}},
        {"-2-1", 1, {{-2, 1}}},
        {"-3--2", 1, {{-3, -2}}},
        {"8-9", 1, {{12, 12}}}, /* a name that looks like a range */
        {"8-10", 1, {{8, 10}}},
        {"a, b", 1, {{13, 13}}}, /* a name with a comma */
        {"12", 1, {{12, 12}}},
        {"-9223372036854775808-9223372036854775807", 1, {{INT64_MIN, INT64_MAX}}},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct bm_error err = {0};
        struct bm_label_set set;
        int rc = bm_labels_select(rows[i].text, table(), &set, &err);
        REQUIRE(rc == 0, &err);
        CHECK_ROW(set.n == rows[i].n && memcmp(set.items, rows[i].want, set.n * sizeof *set.items) == 0, i);
        bm_label_set_clear(&set);
    }
}

static void selections_that_are_refused(void)
{
    static const struct {
        const char *text;
        int with_table;
        const char *why;
    } rows[] = {
        {"", 1, "empty item"},
        {"1,,2", 1, "empty item"},
        {"1,", 1, "empty item"},
        {"V2v", 1, "label \"V2v\" is not in the table; the names are V1v, V1d, hV4, 8-9, a, b"},
        {"v1v", 1, "is not in the table"},
        {"V1v", 0, "there is no table of names"},
        {"5-3", 1, "ends before it begins"},
        {"1.5", 0, "is no number"},
        {"1-", 0, "is no number"},
        {"1-x", 0, "is no number"},
        {"x-1", 0, "is no number"},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct bm_error err = {0};
        struct bm_label_set set;
        CHECK_ROW(bm_labels_select(rows[i].text, rows[i].with_table ? table() : NULL, &set, &err) == -1, i);
        CHECK_ROW(!set.items && !set.n, i);
        CHECK_ERR_CONTAINS(&err, rows[i].why);
        CHECK(err.code == BM_EUSAGE);
    }
}

static void names_of_numbers(void)
{
    struct bm_labels none = {0};

    CHECK(!strcmp(bm_labels_name(table(), 7), "hV4") && !strcmp(bm_labels_name(table(), 1), "V1v"));
    CHECK(!bm_labels_name(table(), 3) && !bm_labels_name(table(), -1) && !bm_labels_name(&none, 1));
}

static void what_a_table_was_read_from(void)
{
    struct bm_labels t;
    struct bm_error err = {0};
    const char *path = put_text("sum", "1 V1\n");
    int rc = bm_labels_read(path, &t, &err);

    REQUIRE(rc == 0, &err);
    CHECK(t.bytes == 5 && t.crc32 == 0xb4e875bbu && !strcmp(t.path, path));
    bm_labels_clear(&t);
    CHECK(!t.path && !t.items);
}

static void tables_beside_volumes(void)
{
    struct bm_error err = {0};
    const char *table_path = put_text("sub-01_dseg.tsv", "index\tname\n1\tV1\n");
    const char *same[] = {scratch("sub-01_dseg.nii.gz"), scratch("sub-01_dseg.nii")};
    char *path;

    for (size_t i = 0; i < 2; i++) {
        CHECK_ROW(bm_labels_beside(same[i], &path, &err) == 0 && path && !strcmp(path, table_path), i);
        free(path);
    }
    CHECK(bm_labels_beside(scratch("sub-02_dseg.nii.gz"), &path, &err) == 0 && !path);
    CHECK(bm_labels_beside(scratch("sub-01_mask.nii.gz"), &path, &err) == 0 && !path);
    CHECK(bm_labels_beside("_dseg.nii.gz", &path, &err) == 0 && !path);
    CHECK(err.code == BM_OK);
}

/* As many as an atlas has: all are kept, and a message names the first of them. */
static void tables_of_many_names(void)
{
    struct bm_labels t;
    struct bm_label_set set;
    struct bm_error err = {0};
    char text[8000] = "";

    for (int i = 0; i < 300; i++)
        (void)snprintf(text + strlen(text), sizeof text - strlen(text), "%d Area_%d\n", i, i);
    REQUIRE(bm_labels_read(put_text("many", text), &t, &err) == 0, &err);
    CHECK(t.n == 300 && !strcmp(bm_labels_name(&t, 0), "Area_0") && !strcmp(bm_labels_name(&t, 299), "Area_299"));
    CHECK(bm_labels_select("V1", &t, &set, &err) == -1);
    CHECK_ERR_CONTAINS(&err, "the names are Area_0, Area_1, ");
    CHECK(!strcmp(err.text + strlen(err.text) - 5, ", ..."));
    bm_labels_clear(&t);
}

int main(void)
{
    static const struct unit_test all[] = {
        UNIT(tables_of_every_kind),        UNIT(names_with_blanks_and_negative_numbers),
        UNIT(tables_that_are_refused),     UNIT(selections),
        UNIT(selections_that_are_refused), UNIT(names_of_numbers),
        UNIT(what_a_table_was_read_from),  UNIT(tables_beside_volumes),
        UNIT(tables_of_many_names),
    };

    return unit_main(all, COUNT(all));
}
