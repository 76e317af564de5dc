#include "files.h"
#include "io/designs.h"
#include "io/text.h"
#include "unit.h"

static void designs(void)
{
    static const char *const same[] = {"0\n46003\n0\n1\n", "0\r\n46003\r\n0\r\n1\r\n", "0\n46003\n0\n1",
                                       "0\n46003\n0\n1\n\n", "\357\273\2770\n46003\n0\n1\n"};

    for (size_t i = 0; i < COUNT(same); i++) {
        struct bm_design d;
        struct bm_error err = {0};
        int rc = bm_design_read(put_text("design.tsv", same[i]), NULL, NULL, &d, &err);
        REQUIRE(rc == 0, &err);
        CHECK_ROW(d.in_rows && d.rows == 4 && d.nevents == 2, i);
        CHECK_ROW(d.events[0].onset == 1 && d.events[0].id == 46002 && d.events[0].duration == 1, i);
        CHECK_ROW(d.events[1].onset == 3 && d.events[1].id == 0, i);
        CHECK_ROW(d.crc32 == crc32_z(0, (const unsigned char *)same[i], strlen(same[i])), i);
        bm_design_clear(&d);
        CHECK_ROW(bm_design_is_events(scratch("design.tsv"), &err) == 0, i);
    }
}

static void rest_and_long_runs(void)
{
    static char text[20000];
    struct bm_design d;
    struct bm_error err = {0};

    for (size_t i = 0; i < 5000; i++)
        memcpy(text + 2 * i, i % 2 ? "7\n" : "8\n", 3);
    CHECK(bm_design_read(put_text("long.tsv", text), NULL, NULL, &d, &err) == 0 && d.rows == 5000 &&
          d.nevents == 5000);
    bm_design_clear(&d);
    CHECK(bm_design_read(put_text("rest.tsv", "0\n0\n0\n"), NULL, NULL, &d, &err) == 0 && d.rows == 3 &&
          d.nevents == 0);
    bm_design_clear(&d);
}

static void designs_that_are_refused(void)
{
    static const struct {
        const char *text, *why;
    } rows[] = {
        {"", "is empty"},
        {"\n", "line 1 is neither"},
        {"0\n\n5\n", "line 2: \"\" is no stimulus number"},
        {"0\n5.0\n", "line 2: \"5.0\" is no stimulus number"},
        {"0\n-5\n", "line 2: \"-5\" is no stimulus number"},
        {"-1\n", "line 1: \"-1\" is no stimulus number"},
        {"0\n2147483648\n", "line 2: \"2147483648\""},
        {"0\n 5\n", "line 2: \" 5\""},
        {"0\n5 \n", "line 2: \"5 \""},
        {"0\n5\t\n", "line 2: "},
        {"0\n5\n0x1\n", "line 3: \"0x1\""},
        {"x\n5\n", "line 1 is neither an integer (a design) nor a header"},
        {"onset\ttrial_type\n", "line 1 is neither"},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct bm_design d;
        struct bm_error err = {0};
        CHECK_ROW(bm_design_read(put_text("bad.tsv", rows[i].text), NULL, NULL, &d, &err) == -1 && !d.events, i);
        CHECK_ERR_CONTAINS(&err, rows[i].why);
        CHECK_ERR_CONTAINS(&err, "bad.tsv: ");
    }
    struct bm_design d;
    struct bm_error err = {0};
    CHECK(bm_design_read(put_file("nul.tsv", "0\n\0\n", 4), NULL, NULL, &d, &err) == -1);
    CHECK_ERR_CONTAINS(&err, "is not text");
}

static void events_with_categories(void)
{
    struct bm_categories cats = {0};
    struct bm_design d;
    struct bm_error err = {0};
    const char *path =
        put_text("e_events.tsv", "trial_type\tonset\tx\tduration\r\nface\t52.5\t0\t22.5\r\nhouse\t-1.5\t0\tn/a\r\n"
                                 "n/a\t60\t0\t1\r\nface\t15\t0\t0\r\nbottle\t52.5\t0\t1\r\n");

    CHECK(bm_design_is_events(path, &err) == 1);
    int rc = bm_categories_collect(&cats, path, "trial_type", &err);
    REQUIRE(rc == 0, &err);
    CHECK(cats.n == 3 && strcmp(cats.names[0], "bottle") == 0 && strcmp(cats.names[2], "house") == 0);
    CHECK(bm_categories_collect(&cats, path, "trial_type", &err) == 0 && cats.n == 3);
    rc = bm_design_read(path, "trial_type", &cats, &d, &err);
    REQUIRE(rc == 0, &err);
    CHECK(!d.in_rows && d.rows == 0 && d.nevents == 4);
    CHECK(d.events[0].onset == -1.5 && d.events[0].id == 2 && d.events[0].duration == 0);
    CHECK(d.events[1].onset == 15 && d.events[1].id == 1);
    CHECK(d.events[2].onset == 52.5 && d.events[2].id == 1 && d.events[2].duration == 22.5); /* in the file's order */
    CHECK(d.events[3].onset == 52.5 && d.events[3].id == 0);
    bm_design_clear(&d);
    bm_categories_clear(&cats);
}

/* Rows of one onset keep the file's order, wherever they stood. */
static void events_out_of_order(void)
{
    static const char *const text =
        "onset\tduration\tid\nn/a\t1\tn/a\n9\t1\t0\n5\t1\t1\n5\t1\t2\n9\t1\t3\n5\t1\t4\n1\t1\t5\n\n";
    static const int32_t order[] = {5, 1, 2, 4, 0, 3};
    struct bm_design d;
    struct bm_error err = {0};

    CHECK(bm_design_read(put_text("o.tsv", text), "id", NULL, &d, &err) == 0 && d.nevents == COUNT(order));
    for (size_t i = 0; i < d.nevents; i++)
        CHECK_ROW(d.events[i].id == order[i], i);
    bm_design_clear(&d);
}

/* Names of which one begins another, more than there is room for at first. */
static void categories_are_sorted(void)
{
    static char text[40000];
    struct bm_categories cats = {0};
    struct bm_design d;
    struct bm_error err = {0};
    size_t n = (size_t)snprintf(text, sizeof text, "onset\tduration\tt\n");

    for (int i = 0; i < 1000; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "%d\t1\t%.*s%d\n", i, i % 3, "ab", i * 37 % 500);
    CHECK(bm_categories_collect(&cats, put_text("many.tsv", text), "t", &err) == 0);
    CHECK(cats.n == 1000);
    for (size_t i = 1; i < cats.n; i++)
        CHECK_ROW(strcmp(cats.names[i - 1], cats.names[i]) < 0, i);
    CHECK(bm_design_read(scratch("many.tsv"), "t", &cats, &d, &err) == 0 && d.nevents == 1000);
    for (size_t i = 0; i < d.nevents; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "%.*s%d", (int)i % 3, "ab", (int)i * 37 % 500);
        CHECK_ROW(strcmp(cats.names[d.events[i].id], name) == 0, i);
    }
    bm_design_clear(&d);
    CHECK(bm_design_read(put_text("one.tsv", "onset\tduration\tt\n1\t1\tzz\n"), "t", &cats, &d, &err) == -1);
    CHECK_ERR_CONTAINS(&err, "\"zz\" is not among the categories");
    bm_categories_clear(&cats);
}

/* Limits, and messages that list more than there is room for. */
static void too_many(void)
{
    static char text[2000000];
    struct bm_categories cats = {0};
    struct bm_design d;
    struct bm_error err = {0};
    size_t n = (size_t)snprintf(text, sizeof text, "onset\tduration");

    for (int i = 0; i < 4095; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "\tcolumn%d", i);
    CHECK(bm_design_is_events(put_text("wide.tsv", text), &err) == -1);
    CHECK_ERR_CONTAINS(&err, "wide.tsv: more than 4096 columns");
    err = (struct bm_error){0};
    *strrchr(text, '\t') = '\0';
    CHECK(bm_design_is_events(put_text("wide.tsv", text), &err) == 1);
    CHECK(bm_design_read(scratch("wide.tsv"), "t", NULL, &d, &err) == -1);
    CHECK_ERR_CONTAINS(&err, "name one of its columns: onset, duration, column0, column1");
    CHECK_ERR_CONTAINS(&err, ", ...");
    err = (struct bm_error){0};
    n = (size_t)snprintf(text, sizeof text, "onset\tduration\tt\n");
    for (int i = 0; i < 65537; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "1\t1\t%06d\n", i);
    CHECK(bm_categories_collect(&cats, put_text("many.tsv", text), "t", &err) == -1 && cats.n == 65536);
    CHECK_ERR_CONTAINS(&err, "many.tsv: more than 65536 categories");
    bm_categories_clear(&cats);
    CHECK(bm_categories_collect(&cats, scratch("absent.tsv"), "t", &err) == -1);
    err = (struct bm_error){0};
    CHECK(bm_categories_collect(&cats, put_text("few.tsv", "onset\tduration\n1\t1\n"), "t", &err) == -1);
    CHECK_ERR_CONTAINS(&err, "has no column t");
}

static void events_with_numbers(void)
{
    struct bm_design d;
    struct bm_error err = {0};
    const char *path = put_text("n.tsv", "onset\tduration\tid\n4\t3\t17\n0\t3\t0\n");

    CHECK(bm_design_read(path, "id", NULL, &d, &err) == 0 && d.nevents == 2 && d.events[0].id == 0 &&
          d.events[1].id == 17);
    bm_design_clear(&d);
}

static void events_that_are_refused(void)
{
    static const struct {
        const char *text, *why;
    } rows[] = {
        {"onset\tduration\tt\n1\t2\n", "line 2 has 2 fields, the header 3"},
        {"onset\tduration\tt\n1\t2\tface\t\n", "line 2 has 4 fields, the header 3"},
        {"onset\tduration\tt\n1\t2\tface\n\n3\t4\tface\n", "line 3 has 1 fields"},
        {"onset\tduration\tt\nn/a\t2\tface\n", "onset \"n/a\" is no number"},
        {"onset\tduration\tt\n1s\t2\tface\n", "onset \"1s\" is no number"},
        {"onset\tduration\tt\n1\t-2\tface\n", "duration \"-2\" is no number"},
        {"onset\tduration\tt\n1\t\tface\n", "duration \"\" is no number"},
        {"onset\tduration\tt\n1\t2\tcat\n", "\"cat\" is not among the categories (face, house)"},
        {"onset\tduration\tt\n1\t2\t\n", "the stimulus is empty"},
        {"onset\tduration\tt\tt\n1\t2\ta\tb\n", "the column t is there twice"},
        {"onset\tduration\tonset\tt\n1\t2\t1\tb\n", "the column onset is there twice"},
        {"onset\tduration\tkind\n1\t2\tface\n", "has no column t; name one of its columns: onset, duration, kind"},
    };
    char face[] = "face", house[] = "house", *names[2] = {face, house};
    const struct bm_categories cats = {names, 2, false};

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct bm_design d;
        struct bm_error err = {0};
        CHECK_ROW(bm_design_read(put_text("bad.tsv", rows[i].text), "t", &cats, &d, &err) == -1 && !d.events, i);
        CHECK_ERR_CONTAINS(&err, rows[i].why);
    }
    struct bm_design d;
    struct bm_error err = {0};
    struct bm_categories none = {0};
    CHECK(bm_design_read(put_text("bad.tsv", "onset\tduration\tt\n1\t2\tface\n"), "t", NULL, &d, &err) == -1);
    CHECK_ERR_CONTAINS(&err, "\"face\" is no stimulus number");
    err = (struct bm_error){0};
    CHECK(bm_design_read(scratch("bad.tsv"), NULL, NULL, &d, &err) == -1);
    CHECK_ERR_CONTAINS(&err, "has no column for the stimulus");
    err = (struct bm_error){0};
    CHECK(bm_categories_collect(&none, put_text("d.tsv", "0\n1\n"), "t", &err) == -1);
    CHECK_ERR_CONTAINS(&err, "a design holds numbers");
}

static void public_events(void)
{
    struct bm_categories cats = {0};
    struct bm_design d;
    struct bm_error err = {0};
    const char *path = shared_file("haxby/sub-01_task-objectviewing_run-01_events.tsv");

    if (!path)
        SKIP("no public test data in ../shared/data (or $BM_SHARED)");
    CHECK(bm_categories_collect(&cats, path, "trial_type", &err) == 0 && cats.n == 8);
    CHECK(bm_design_read(path, "trial_type", &cats, &d, &err) == 0 && d.nevents == 8);
    CHECK(d.events[0].onset == 15 && d.events[0].duration == 22.5 &&
          strcmp(cats.names[d.events[0].id], "scissors") == 0);
    bm_design_clear(&d);
    bm_categories_clear(&cats);
}

static void names_that_are_text(void)
{
    static const char *const good[] = {"",
                                       "face",
                                       "\xc2\x80",
                                       "\xdf\xbf",
                                       "\xe0\xa0\x80",
                                       "\xed\x9f\xbf",
                                       "\xee\x80\x80",
                                       "\xef\xbf\xbfx",
                                       "\xf0\x90\x80\x80",
                                       "\xf4\x8f\xbf\xbf"};
    static const char *const bad[] = {
        "r\xeave",          "\x80",         "\xc0\x80",    "\xc1\xbf",         "\xc2",
        "\xe0\x9f\xbf",     "\xed\xa0\x80", "\xef\xbf",    "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80",
        "\xf8\x88\x80\x80", "\xff",         "\xe2\x28\xa1"};

    for (size_t i = 0; i < COUNT(good); i++)
        CHECK_ROW(bm_span_is_utf8((struct bm_span){good[i], strlen(good[i])}), i);
    for (size_t i = 0; i < COUNT(bad); i++)
        CHECK_ROW(!bm_span_is_utf8((struct bm_span){bad[i], strlen(bad[i])}), i);
}

int main(void)
{
    static const struct unit_test all[] = {
        UNIT(designs),
        UNIT(rest_and_long_runs),
        UNIT(designs_that_are_refused),
        UNIT(events_with_categories),
        UNIT(events_with_numbers),
        UNIT(events_out_of_order),
        UNIT(categories_are_sorted),
        UNIT(too_many),
        UNIT(events_that_are_refused),
        UNIT(public_events),
        UNIT(names_that_are_text),
    };

    return unit_main(all, COUNT(all));
}
