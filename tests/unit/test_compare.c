#include "core/compare.h"
#include "unit.h"

#include <math.h>

static void signs(void)
{
    static const struct {
        const char *text;
        size_t n, length;
        enum bm_compare op;
    } rows[] = {
        {">", 1, 1, BM_GREATER},   {">=", 2, 2, BM_AT_LEAST}, {"<", 1, 1, BM_LESS},    {"<=", 2, 2, BM_AT_MOST},
        {"=", 1, 1, BM_IS},        {"==", 2, 2, BM_IS},       {"!=", 2, 2, BM_IS_NOT}, {">=", 1, 1, BM_GREATER},
        {"> 2", 3, 1, BM_GREATER}, {"!", 1, 0, BM_IS},        {"", 0, 0, BM_IS},       {" >", 2, 0, BM_IS},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        enum bm_compare op = BM_IS;
        CHECK_ROW(bm_compare_parse(rows[i].text, rows[i].n, &op) == rows[i].length && op == rows[i].op, i);
    }
}

static void every_sign_reads_back(void)
{
    for (int i = BM_GREATER; i <= BM_IS_NOT; i++) {
        const char *text = bm_compare_sign((enum bm_compare)i);
        enum bm_compare op = BM_IS;
        CHECK_ROW(bm_compare_parse(text, strlen(text), &op) == strlen(text) && op == (enum bm_compare)i, i);
    }
}

static void values(void)
{
    static const bool wanted[][4] = {
        /* 1, 2, 3 and NaN, compared with 2 */
        [BM_GREATER] = {false, false, true, false}, [BM_AT_LEAST] = {false, true, true, false},
        [BM_LESS] = {true, false, false, false},    [BM_AT_MOST] = {true, true, false, false},
        [BM_IS] = {false, true, false, false},      [BM_IS_NOT] = {true, false, true, false}};
    static const double samples[] = {1, 2, 3, NAN};

    for (size_t op = 0; op < COUNT(wanted); op++)
        for (size_t i = 0; i < COUNT(samples); i++)
            CHECK_ROW(bm_compare_holds(samples[i], (enum bm_compare)op, 2) == wanted[op][i], op * 10 + i);
}

int main(void)
{
    static const struct unit_test all[] = {UNIT(signs), UNIT(every_sign_reads_back), UNIT(values)};

    return unit_main(all, COUNT(all));
}
