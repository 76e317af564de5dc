#include "core/parse.h"

#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define LONGEST_FIELD 400 /* longer than any double written in full (309 digits) */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static size_t count_digits(const char *s, size_t n)
{
    size_t i = 0;
    while (i < n && is_digit(s[i]))
        i++;
    return i;
}

/* Counts down from zero: the negative half of int64 is the larger one. */
bool bm_parse_int_n(const char *s, size_t n, int64_t lo, int64_t hi, int64_t *out)
{
    bool negative = n > 0 && s[0] == '-';
    size_t i = n > 0 && (s[0] == '-' || s[0] == '+');
    if (i == n || count_digits(s + i, n - i) != n - i)
        return false;
    int64_t v = 0;
    for (; i < n; i++) {
        int digit = s[i] - '0';
        if (v < (INT64_MIN + digit) / 10)
            return false;
        v = v * 10 - digit;
    }
    if (!negative && v == INT64_MIN)
        return false;
    v = negative ? v : -v;
    if (v < lo || v > hi)
        return false;
    *out = v;
    return true;
}

bool bm_parse_int(const char *s, int64_t lo, int64_t hi, int64_t *out)
{
    return bm_parse_int_n(s, strlen(s), lo, hi, out);
}

/* [sign] digits [. digits] [e [sign] digits], at least one digit before the exponent. */
static bool is_real(const char *s, size_t n)
{
    size_t i = n > 0 && (s[0] == '-' || s[0] == '+');
    size_t whole = count_digits(s + i, n - i);
    size_t fraction = 0;
    i += whole;
    if (i < n && s[i] == '.') {
        i++;
        fraction = count_digits(s + i, n - i);
        i += fraction;
    }
    if (whole + fraction == 0)
        return false;
    if (i < n && (s[i] == 'e' || s[i] == 'E')) {
        i++;
        i += i < n && (s[i] == '-' || s[i] == '+');
        size_t digits = count_digits(s + i, n - i);
        if (digits == 0)
            return false;
        i += digits;
    }
    return i == n;
}

bool bm_parse_real_n(const char *s, size_t n, double *out)
{
    char text[LONGEST_FIELD + 1];
    if (n > LONGEST_FIELD || !is_real(s, n))
        return false;
    memcpy(text, s, n);
    text[n] = 0;
    locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0); /* allocates nothing for "C" */
    if (c == (locale_t)0)
        return false;
    double v = strtod_l(text, NULL, c);
    freelocale(c);
    if (!isfinite(v))
        return false;
    *out = v;
    return true;
}

bool bm_parse_real(const char *s, double *out)
{
    return bm_parse_real_n(s, strlen(s), out);
}
