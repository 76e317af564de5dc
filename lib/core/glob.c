#include "core/glob.h"

#include <string.h>

/* Length of the set "[...]" that p[n] begins with, or 0 where there is none; a ']' in front stands for itself. */
static size_t set_length(const char *p, size_t n)
{
    size_t i = 1;

    if (i < n && p[i] == '!')
        i++;
    for (i++; i < n; i++)
        if (p[i] == ']')
            return i + 1;
    return 0;
}

static bool in_set(const char *p, size_t n, char c)
{
    bool without = p[1] == '!', found = false;

    for (size_t i = without ? 2 : 1; i + 1 < n; i++) {
        bool range = i + 3 < n && p[i + 1] == '-';
        unsigned char lo = (unsigned char)p[i], hi = (unsigned char)p[range ? i + 2 : i];
        found |= (unsigned char)c >= lo && (unsigned char)c <= hi;
        i += range ? 2 : 0;
    }
    return found != without;
}

/* How many bytes of p[n] fit the one byte c; 0: it does not fit. */
static size_t fit_one(const char *p, size_t n, char c)
{
    if (n == 0)
        return 0;
    size_t set = p[0] == '[' ? set_length(p, n) : 0;
    if (set)
        return in_set(p, set, c) ? set : 0;
    return p[0] == '?' || p[0] == c;
}

/* Only the last star ever has to give way. */
bool bm_glob(const char *pattern, size_t n, const char *name)
{
    size_t at = 0, star = n, taken = 0, i = 0;

    while (name[i]) {
        size_t step = at < n && pattern[at] == '*' ? 0 : fit_one(pattern + at, n - at, name[i]);
        if (step) {
            at += step;
            i++;
        } else if (at < n && pattern[at] == '*') {
            star = at++;
            taken = i;
        } else if (star < n) {
            at = star + 1;
            i = ++taken;
        } else {
            return false;
        }
    }
    while (at < n && pattern[at] == '*')
        at++;
    return at == n;
}

bool bm_glob_is(const char *pattern, size_t n)
{
    return n > 0 && (memchr(pattern, '*', n) || memchr(pattern, '?', n) || memchr(pattern, '[', n));
}
