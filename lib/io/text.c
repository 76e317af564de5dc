#include "io/text.h"

#include "io/bytes.h"

#include <stdlib.h>
#include <string.h>

#define LARGEST ((size_t)64 << 20)
#ifdef BM_SMALL_BUFFERS
#define STEP ((size_t)256)
#else
#define STEP ((size_t)64 << 10)
#endif

static int read_all(struct bm_bytes *b, struct bm_buf *buf, struct bm_error *err)
{
    unsigned char *step = bm_alloc(STEP, 1, bm_bytes_name(b), err);
    long long got = step ? 0 : -1;

    while (got >= 0) {
        got = bm_bytes_read(b, step, STEP, err);
        if (got < 0 || bm_buf_append(buf, step, (size_t)got, err))
            got = -1;
        else if (buf->size > LARGEST)
            got = bm_fail(err, BM_EDATA, "%s: is larger than %zu MB, too large for a table; name another file",
                          bm_bytes_name(b), LARGEST >> 20);
        else if ((size_t)got < STEP)
            break;
    }
    free(step);
    return got < 0 ? -1 : bm_bytes_finish(b, NULL, err);
}

int bm_text_read_from(struct bm_bytes *b, struct bm_text *text, struct bm_error *err)
{
    int rc;

    memset(text, 0, sizeof *text);
    rc = read_all(b, &text->buf, err);
    text->crc32 = bm_bytes_crc32(b);
    if (rc == 0 && text->buf.size > 0 && memchr(text->buf.data, 0, text->buf.size))
        rc = bm_fail(err, BM_EDATA, "%s: is not text (it has NUL bytes); name a text table", bm_bytes_name(b));
    if (text->buf.size >= 3 && memcmp(text->buf.data, "\xEF\xBB\xBF", 3) == 0)
        text->pos = 3;
    if (rc)
        bm_text_clear(text);
    return rc;
}

int bm_text_read(const char *path, struct bm_text *text, struct bm_error *err)
{
    struct bm_bytes *b = bm_bytes_open(path, err);
    int rc = b ? bm_text_read_from(b, text, err) : -1;

    if (!b)
        memset(text, 0, sizeof *text);
    bm_bytes_close(b);
    return rc;
}

void bm_text_clear(struct bm_text *text)
{
    bm_buf_free(&text->buf);
    memset(text, 0, sizeof *text);
}

bool bm_text_line(struct bm_text *text, struct bm_span *line)
{
    size_t left = text->buf.size - text->pos;

    if (left == 0)
        return false;
    const char *s = (const char *)text->buf.data + text->pos;
    const char *end = memchr(s, '\n', left);
    size_t n = end ? (size_t)(end - s) : left;
    text->pos += end ? n + 1 : n;
    text->line_no++;
    line->s = s;
    line->n = n > 0 && s[n - 1] == '\r' ? n - 1 : n;
    return true;
}

bool bm_text_only_blank_left(const struct bm_text *text)
{
    const char *s = text->buf.data;

    for (size_t i = text->pos; i < text->buf.size; i++)
        if (s[i] != '\n' && s[i] != '\r')
            return false;
    return true;
}

bool bm_span_field(struct bm_span *rest, char sep, struct bm_span *field)
{
    if (!rest->s)
        return false;
    const char *end = memchr(rest->s, sep, rest->n);
    field->s = rest->s;
    field->n = end ? (size_t)(end - rest->s) : rest->n;
    rest->n -= end ? field->n + 1 : field->n;
    rest->s = end ? end + 1 : NULL;
    return true;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

bool bm_span_word(struct bm_span *rest, struct bm_span *word)
{
    size_t from = 0, to;

    while (from < rest->n && is_blank(rest->s[from]))
        from++;
    for (to = from; to < rest->n && !is_blank(rest->s[to]);)
        to++;
    word->s = rest->s + from;
    word->n = to - from;
    rest->s += to;
    rest->n -= to;
    return word->n > 0;
}

struct bm_span bm_span_trim(struct bm_span a)
{
    while (a.n > 0 && is_blank(a.s[0])) {
        a.s++;
        a.n--;
    }
    while (a.n > 0 && is_blank(a.s[a.n - 1]))
        a.n--;
    return a;
}

bool bm_span_is(struct bm_span a, const char *text)
{
    return a.n == strlen(text) && memcmp(a.s, text, a.n) == 0;
}

int bm_span_shown(struct bm_span a)
{
    return a.n < 200 ? (int)a.n : 200;
}

/* Bytes that follow the first one of a character; -1 where it cannot begin one. */
static int followers(unsigned char first)
{
    return first < 0x80 ? 0 : first < 0xc0 ? -1 : first < 0xe0 ? 1 : first < 0xf0 ? 2 : first < 0xf8 ? 3 : -1;
}

bool bm_span_is_utf8(struct bm_span span)
{
    static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};

    for (size_t i = 0; i < span.n;) {
        const unsigned char first = (unsigned char)span.s[i++];
        const int more = followers(first);
        uint32_t code = more > 0 ? first & (0x3fU >> more) : first;

        for (int k = 0; k < more; k++, i++) {
            if (i == span.n || ((unsigned char)span.s[i] & 0xc0) != 0x80)
                return false;
            code = code << 6 | ((unsigned char)span.s[i] & 0x3f);
        }
        if (more < 0 || code < least[more] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
            return false;
    }
    return true;
}

char *bm_span_dup(struct bm_span a, struct bm_error *err)
{
    char *p = bm_alloc(a.n + 1, 1, "text", err);

    if (p) {
        memcpy(p, a.s, a.n);
        p[a.n] = 0;
    }
    return p;
}
