#include "io/bundle.h"

#include "io/runjson.h"
#include "io/sealed.h"
#include "io/text.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

int bm_bundle_name(const char *path, struct bm_error *err)
{
    const char *name = base_name(path);

    if (bm_span_is_utf8((struct bm_span){name, strlen(name)}))
        return 0;
    return bm_fail(err, BM_EUSAGE,
                   "%s: this name is not UTF-8, and the description, which is, could not hold it; choose another one",
                   path);
}

int bm_bundle_replaces(const char *path, const char *kind, struct bm_error *err)
{
    struct stat st;
    json_t *old;
    const char *what;
    bool ours;

    if (stat(path, &st) < 0 || !S_ISREG(st.st_mode))
        return 0;
    old = json_load_file(path, 0, NULL);
    what = json_string_value(json_object_get(old, "boldmill"));
    ours = what && !strcmp(what, kind);
    json_decref(old);
    return ours ? 0
                : bm_fail(err, BM_EUSAGE,
                          "%s: exists and is not ours to replace; choose another name, or move it away", path);
}

json_t *bm_bundle_entry(const char *path, json_t *dtype, json_t *shape, uint32_t crc)
{
    char hex[16];

    (void)snprintf(hex, sizeof hex, "%08x", (unsigned)crc);
    return json_pack("{s:o,s:o,s:o,s:s}", "file", bm_runjson_text(base_name(path)), "dtype", dtype, "shape", shape,
                     "crc32", hex);
}

int bm_bundle_write(const char *path, const struct bm_buf *parts, size_t n, struct bm_commit **out,
                    struct bm_error *err)
{
    *out = bm_commit_open(path, err);
    for (size_t i = 0; i < n && *out; i++) {
        if (bm_commit_write(*out, parts[i].data, parts[i].size, err)) {
            bm_commit_drop(*out);
            *out = NULL;
        }
    }
    return *out ? 0 : -1;
}

int bm_bundle_json(struct bm_commit *c, json_t *object, struct bm_error *err)
{
    char *text = bm_sealed_text(object, err);
    int status = text ? bm_commit_write(c, text, strlen(text), err) : -1;

    free(text);
    return status;
}

int bm_bundle_done(struct bm_commit **c, struct bm_error *err)
{
    struct bm_commit *commit = *c;

    *c = NULL;
    return commit ? bm_commit_done(commit, err) : 0;
}
