#include "io/sealed.h"

#include "core/mem.h"
#include "io/bytes.h"
#include "io/jsonmem.h"
#include "io/runjson.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEAL ",\"crc32\":\"" /* then 8 digits, then CLOSE, then perhaps a line end */
#define CLOSE "\"}"
#define DIGITS 8
#define SEAL_SIZE (sizeof SEAL - 1 + DIGITS + sizeof CLOSE - 1)

char *bm_sealed_text(json_t *object, struct bm_error *err)
{
    char *open = bm_runjson_dump(object, err), *text;
    size_t n = open ? strlen(open) - 1 : 0; /* without its last brace */

    text = open ? bm_format(err, "%.*s" SEAL "%08" PRIx32 CLOSE "\n", (int)n, open, bm_crc32(0, open, n)) : NULL;
    free(open);
    return text;
}

/* Where the seal of a text begins, or NULL where it does not end with one. */
static const char *find_seal(const char *text, size_t n)
{
    const char *seal, *digits;

    n -= n > 0 && text[n - 1] == '\n';
    if (n < SEAL_SIZE)
        return NULL;
    seal = text + n - SEAL_SIZE;
    digits = seal + sizeof SEAL - 1;
    for (size_t i = 0; i < DIGITS; i++)
        if (!memchr("0123456789abcdef", digits[i], 16))
            return NULL;
    return !memcmp(seal, SEAL, sizeof SEAL - 1) && !memcmp(digits + DIGITS, CLOSE, sizeof CLOSE - 1) ? seal : NULL;
}

static bool seal_is_right(const char *text, const char *seal)
{
    char digits[DIGITS + 1];

    (void)snprintf(digits, sizeof digits, "%08" PRIx32, bm_crc32(0, text, (size_t)(seal - text)));
    return !memcmp(seal + sizeof SEAL - 1, digits, DIGITS);
}

json_t *bm_sealed_parse(const char *text, size_t n, const char *where, struct bm_error *err)
{
    json_error_t why;
    const char *seal = find_seal(text, n);
    json_t *object;

    if (!seal || !seal_is_right(text, seal)) {
        (void)bm_fail(err, BM_EDATA,
                      seal ? "%s: is damaged or was edited: its checksum does not match; make it again"
                           : "%s: does not end with a checksum as boldmill's descriptions do; make it again",
                      where);
        return NULL;
    }
    object = bm_json_load(text, n, JSON_REJECT_DUPLICATES, where, &why, err);
    if (!object)
        (void)bm_fail(err, BM_EDATA, "%s: line %d: %s; make it again", where, why.line, why.text);
    return object; /* what ends with a brace is one */
}
