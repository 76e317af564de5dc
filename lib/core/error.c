#include "core/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#undef bm_fail /* the analyzer's, see error.h */
#undef bm_fail_errno

void bm_printable(char *s)
{
    for (; *s; s++) {
        const unsigned char here = (unsigned char)s[0], next = (unsigned char)s[1];

        if (here == 0xc2 && next >= 0x80 && next < 0xa0)
            s[0] = s[1] = '?';
        else if (here < 0x20 || here == 0x7f)
            *s = '?';
    }
}

int bm_fail(struct bm_error *err, enum bm_code code, const char *fmt, ...)
{
    va_list ap;

    if (err->code != BM_OK)
        return -1;
    err->code = code;
    va_start(ap, fmt);
    (void)vsnprintf(err->text, sizeof err->text, fmt, ap);
    va_end(ap);
    bm_printable(err->text);
    return -1;
}

static const char *remedy(int number)
{
    switch (number) {
    case ENOENT:
        return "; check the name";
    case EACCES:
    case EPERM:
    case EROFS:
        return "; check the permissions";
    case ENOSPC:
    case EDQUOT:
        return "; make room and run again";
    case EISDIR:
        return "; name a file";
    case ENOMEM:
        return "; use a machine with more memory or fewer --threads";
    default:
        return "";
    }
}

int bm_fail_errno(struct bm_error *err, const char *subject, const char *what)
{
    int number = errno;
    char reason[128];
    const char *text = strerror_r(number, reason, sizeof reason);

    if (number == EPIPE)
        return bm_fail(err, BM_EPIPE, "%s: %s: the reader closed the pipe", subject, what);
    return bm_fail(err, BM_ESYS, "%s: %s: %s%s", subject, what, text, remedy(number));
}
