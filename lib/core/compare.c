#include "core/compare.h"

#include <math.h>
#include <string.h>

size_t bm_compare_parse(const char *s, size_t n, enum bm_compare *out)
{
    static const struct {
        const char *text;
        enum bm_compare op;
    } signs[] = {{">=", BM_AT_LEAST}, {"<=", BM_AT_MOST}, {"!=", BM_IS_NOT}, {"==", BM_IS},
                 {">", BM_GREATER},   {"<", BM_LESS},     {"=", BM_IS}};

    for (size_t i = 0; i < sizeof signs / sizeof signs[0]; i++) {
        size_t length = strlen(signs[i].text);
        if (length <= n && memcmp(s, signs[i].text, length) == 0) {
            *out = signs[i].op;
            return length;
        }
    }
    return 0;
}

const char *bm_compare_sign(enum bm_compare op)
{
    static const char *const signs[] = {">", ">=", "<", "<=", "=", "!="};

    return signs[op];
}

bool bm_compare_holds(double value, enum bm_compare op, double with)
{
    switch (op) {
    case BM_GREATER:
        return value > with;
    case BM_AT_LEAST:
        return value >= with;
    case BM_LESS:
        return value < with;
    case BM_AT_MOST:
        return value <= with;
    case BM_IS:
        return value == with;
    default:
        return !isnan(value) && value != with;
    }
}
