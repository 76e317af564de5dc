#include "core/parse.h"
#include "unit.h"

#include <locale.h>

static void integers(void)
{
    static const struct {
        const char *text;
        int64_t lo, hi, want;
        bool ok;
    } rows[] = {
        {"0", 0, 10, 0, true},
        {"-0", 0, 10, 0, true},
        {"+7", 0, 10, 7, true},
        {"007", 0, 10, 7, true},
        {"-3", -3, 3, -3, true},
        {"11", 0, 10, 0, false},
        {"-1", 0, 10, 0, false},
        {"9223372036854775807", INT64_MIN, INT64_MAX, INT64_MAX, true},
        {"9223372036854775808", INT64_MIN, INT64_MAX, 0, false},
        {"-9223372036854775808", INT64_MIN, INT64_MAX, INT64_MIN, true},
        {"-9223372036854775809", INT64_MIN, INT64_MAX, 0, false},
        {"99999999999999999999999", INT64_MIN, INT64_MAX, 0, false},
        {"", INT64_MIN, INT64_MAX, 0, false},
        {"-", INT64_MIN, INT64_MAX, 0, false},
        {"+-1", INT64_MIN, INT64_MAX, 0, false},
        {" 1", INT64_MIN, INT64_MAX, 0, false},
        {"1 ", INT64_MIN, INT64_MAX, 0, false},
        {"1\n", INT64_MIN, INT64_MAX, 0, false},
        {"1.0", INT64_MIN, INT64_MAX, 0, false},
        {"1e3", INT64_MIN, INT64_MAX, 0, false},
        {"0x10", INT64_MIN, INT64_MAX, 0, false},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        int64_t v = 0;
        bool ok = bm_parse_int(rows[i].text, rows[i].lo, rows[i].hi, &v);
        CHECK_ROW(ok == rows[i].ok && (!ok || v == rows[i].want), i);
    }
}

static void reals(void)
{
    static const struct {
        const char *text;
        double want;
        bool ok;
    } rows[] = {
        {"0", 0, true},       {"1.5", 1.5, true},
        {"-.5", -0.5, true},  {"5.", 5, true},
        {"+2e3", 2000, true}, {"1E-2", 0.01, true},
        {"4.6", 4.6, true},   {"1.333333333333333", 1.333333333333333, true},
        {"1e-400", 0, true},  {"1e400", 0, false},
        {"", 0, false},       {".", 0, false},
        {"-", 0, false},      {"e5", 0, false},
        {"1e", 0, false},     {"1e+", 0, false},
        {"nan", 0, false},    {"inf", 0, false},
        {"-inf", 0, false},   {"0x1p3", 0, false},
        {"1,5", 0, false},    {" 1", 0, false},
        {"1 ", 0, false},     {"1.2.3", 0, false},
        {"1d5", 0, false},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        double v = -1;
        bool ok = bm_parse_real(rows[i].text, &v);
        CHECK_ROW(ok == rows[i].ok && (!ok || v == rows[i].want), i);
    }
}

static void fields_are_not_read_past_their_end(void)
{
    int64_t i = 0;
    double d = 0;

    CHECK(bm_parse_int_n("123456", 3, 0, 1000, &i) && i == 123);
    CHECK(!bm_parse_int_n("123", 0, 0, 1000, &i));
    CHECK(bm_parse_real_n("1.25x", 4, &d) && d == 1.25);
    CHECK(!bm_parse_real_n("1.25", 0, &d));
}

static void very_long_reals_are_refused(void)
{
    char text[2000];
    double d;

    memset(text, '1', sizeof text - 1);
    text[sizeof text - 1] = 0;
    CHECK(!bm_parse_real(text, &d));
}

static void failure_leaves_the_output_alone(void)
{
    int64_t i = 42;
    double d = 42;

    CHECK(!bm_parse_int("x", 0, 100, &i) && i == 42);
    CHECK(!bm_parse_int("101", 0, 100, &i) && i == 42);
    CHECK(!bm_parse_real("x", &d) && d == 42);
}

static void reals_do_not_depend_on_the_locale(void)
{
    double d = 0;

    if (!setlocale(LC_ALL, "de_DE.UTF-8") && !setlocale(LC_ALL, "fr_FR.UTF-8"))
        SKIP("no locale with a decimal comma is installed");
    CHECK(bm_parse_real("1.5", &d) && d == 1.5);
    CHECK(!bm_parse_real("1,5", &d));
    (void)setlocale(LC_ALL, "C");
}

int main(void)
{
    static const struct unit_test all[] = {
        UNIT(integers),
        UNIT(reals),
        UNIT(fields_are_not_read_past_their_end),
        UNIT(very_long_reals_are_refused),
        UNIT(failure_leaves_the_output_alone),
        UNIT(reals_do_not_depend_on_the_locale),
    };

    return unit_main(all, COUNT(all));
}
