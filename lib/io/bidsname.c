#include "io/bidsname.h"

#include <string.h>

/* Keys that may come first in a name: those of BIDS 1.10 and its derivatives that stand for a whole dataset, subject
 * or template, or that files outside subject folders begin with. */
static const char *const first_keys[] = {"sub",   "tpl", "ses",   "cohort", "sample", "task", "acq",
                                         "dir",   "run", "echo",  "hemi",   "space",  "res",  "den",
                                         "atlas", "seg", "scale", "desc",   "label"};

static bool is_plain(struct bm_span a)
{
    for (size_t i = 0; i < a.n; i++) {
        const char c = a.s[i];

        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '+'))
            return false;
    }
    return a.n > 0;
}

static bool is_known(struct bm_span key)
{
    for (size_t i = 0; i < sizeof first_keys / sizeof *first_keys; i++) {
        if (bm_span_is(key, first_keys[i]))
            return true;
    }
    return false;
}

bool bm_bidsname_parse(const char *path, struct bm_bidsname *out)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    struct bm_span rest = {name, strcspn(name, ".")}, part;

    *out = (struct bm_bidsname){0};
    for (;;) { /* to the last part, the suffix */
        struct bm_span value, key;

        (void)bm_span_field(&rest, '_', &part);
        value = part;
        (void)bm_span_field(&value, '-', &key);
        if (!rest.s) {
            out->suffix = part;
            return out->n && is_plain(part) && is_known(out->keys[0]);
        }
        if (out->n == BM_BIDS_ENTITIES || !value.s || !is_plain(key) || !is_plain(value))
            return false;
        out->keys[out->n] = key;
        out->values[out->n++] = value;
    }
}
