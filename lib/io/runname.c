#include "io/runname.h"

#include "core/mem.h"
#include "core/parse.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* The number behind the last `key` that is followed by a digit, 0 if there is none or it is above 9999. */
static int number_after(const char *text, const char *key)
{
    int value = 0;

    for (const char *p = strstr(text, key); p; p = strstr(p + 1, key)) {
        size_t n = strspn(p + strlen(key), "0123456789");

        int64_t number;

        if (bm_parse_int_n(p + strlen(key), n, 0, 9999, &number))
            value = (int)number;
    }
    return value;
}

static void make_label(const char *path, char *label, size_t n)
{
    static const char *const ends[] = {".gz", ".nii", ".hdr", ".img"};
    const char *slash = strrchr(path, '/');

    (void)snprintf(label, n, "%s", !strcmp(path, "-") ? "stdin" : slash ? slash + 1 : path);
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        size_t have = strlen(label), end = strlen(ends[i]);

        if (have > end && !strcmp(label + have - end, ends[i]))
            label[have - end] = '\0';
    }
}

void bm_runname_parse(const char *path, struct bm_runname *out)
{
    *out = (struct bm_runname){0};
    make_label(path, out->label, sizeof out->label);
    out->session = number_after(out->label, "session");
    if (!out->session)
        out->session = number_after(out->label, "ses-");
    out->run = number_after(out->label, "run");
    if (!out->run)
        out->run = number_after(out->label, "run-");
    out->subject = number_after(out->label, "sub-");
    if (!out->subject)
        out->subject = number_after(path, "subj");
    if (!out->subject)
        out->subject = number_after(path, "sub-");
}

/* Writes the number that placeholder p[n] ("{run:d}") stands for; returns false if it is none. */
static bool placeholder(const char *p, size_t n, int subject, int session, int run, char out[16])
{
    static const char *const names[] = {"subject", "session", "run"};
    const int values[] = {subject, session, run};

    for (size_t i = 0; i < 3; i++) {
        size_t m = strlen(names[i]);

        if (strncmp(p + 1, names[i], m) != 0)
            continue;
        if (n == m + 2 || (n == m + 4 && !strncmp(p + 1 + m, ":d", 2))) {
            (void)snprintf(out, 16, n == m + 2 ? "%02d" : "%d", values[i]);
            return true;
        }
    }
    return false;
}

char *bm_runname_expand(const char *pattern, int subject, int session, int run, struct bm_error *err)
{
    struct bm_buf text = {0};
    char number[16];

    for (const char *p = pattern; *p;) {
        size_t n = strcspn(p, "{");
        const char *end;

        if (bm_buf_append(&text, p, n, err))
            goto fail;
        p += n;
        if (!*p)
            break;
        end = strchr(p, '}');
        if (!end || !placeholder(p, (size_t)(end - p + 1), subject, session, run, number)) {
            (void)bm_fail(err, BM_EUSAGE, "%s: unknown placeholder; use {subject}, {session} and {run}", pattern);
            goto fail;
        }
        if (bm_buf_append(&text, number, strlen(number), err))
            goto fail;
        p = end + 1;
    }
    if (bm_buf_append(&text, "", 1, err) == 0)
        return text.data;
fail:
    bm_buf_free(&text);
    return NULL;
}
