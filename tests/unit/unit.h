/* A tiny test frame. A test is a `static void name(void)`; main lists them in a table:
 *
 *     int main(void) { static const struct unit_test all[] = {UNIT(name), ...}; return unit_main(all, COUNT(all)); }
 *
 * Output: "ok name", "FAIL name: ..." or "skip name: why", and last "N passed, N failed". Exit status 1 on failure.
 */
#ifndef BM_UNIT_H
#define BM_UNIT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct unit_test {
    const char *name;
    void (*run)(void);
};

#define UNIT(f)                                                                                                      \
    {                                                                                                                \
#f, f                                                                                                        \
    }
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static char unit_message[2048]; /* of the first failure or the skip */
static bool unit_failed, unit_skipped;

__attribute__((format(printf, 1, 2), unused)) static void unit_fail(const char *fmt, ...)
{
    va_list ap;

    if (unit_failed)
        return;
    unit_failed = true;
    va_start(ap, fmt);
    (void)vsnprintf(unit_message, sizeof unit_message, fmt, ap);
    va_end(ap);
}

#define CHECK(cond)                                                                                                  \
    do {                                                                                                             \
        if (!(cond))                                                                                                 \
            unit_fail("%s:%d: %s", __FILE__, __LINE__, #cond);                                                       \
    } while (0)

/* For tables: says which row. */
#define CHECK_ROW(cond, row)                                                                                         \
    do {                                                                                                             \
        if (!(cond))                                                                                                 \
            unit_fail("%s:%d: %s (row %d)", __FILE__, __LINE__, #cond, (int)(row));                                  \
    } while (0)

/* For what the test cannot go on without. */
#define REQUIRE(cond, err)                                                                                           \
    do {                                                                                                             \
        if (!(cond)) {                                                                                               \
            unit_fail("%s:%d: %s: %s", __FILE__, __LINE__, #cond, (err)->text);                                      \
            return;                                                                                                  \
        }                                                                                                            \
    } while (0)

#define CHECK_ERR_CONTAINS(err, part)                                                                                \
    do {                                                                                                             \
        if (!strstr((err)->text, part))                                                                              \
            unit_fail("%s:%d: the message is \"%s\", without \"%s\"", __FILE__, __LINE__, (err)->text, part);        \
    } while (0)

#define SKIP(why)                                                                                                    \
    do {                                                                                                             \
        unit_skipped = true;                                                                                         \
        (void)snprintf(unit_message, sizeof unit_message, "%s", why);                                                \
        return;                                                                                                      \
    } while (0)

__attribute__((unused)) static int unit_main(const struct unit_test *tests, size_t n)
{
    int passed = 0, failed = 0;

    for (size_t i = 0; i < n; i++) {
        unit_failed = unit_skipped = false;
        tests[i].run();
        passed += !unit_failed && !unit_skipped;
        failed += unit_failed;
        if (unit_failed || unit_skipped)
            (void)printf("%s %s: %s\n", unit_failed ? "FAIL" : "skip", tests[i].name, unit_message);
        else
            (void)printf("ok %s\n", tests[i].name);
    }
    (void)printf("%d passed, %d failed\n", passed, failed);
    return failed > 0;
}

#endif
