/* Small text tables: a whole file in memory, taken apart line by line and field by field without copying.
 *
 * Lines end in LF or CRLF; a byte-order mark before the first is skipped; NUL bytes are an error. gzip is fine.
 */
#ifndef BM_IO_TEXT_H
#define BM_IO_TEXT_H

#include "core/mem.h"
#include "io/bytes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bm_span {
    const char *s; /* not terminated */
    size_t n;
};

struct bm_text {
    struct bm_buf buf;
    size_t pos;     /* of the next line */
    size_t line_no; /* 1-based number of the line that bm_text_line gave last */
    uint32_t crc32; /* of the file's bytes, decoded */
};

int bm_text_read(const char *path, struct bm_text *text, struct bm_error *err) BM_MUST_USE;
/* The same from an input at its first byte; the caller closes it. */
int bm_text_read_from(struct bm_bytes *b, struct bm_text *text, struct bm_error *err) BM_MUST_USE;
void bm_text_clear(struct bm_text *text);
bool bm_text_line(struct bm_text *text, struct bm_span *line); /* false: no more lines */
bool bm_text_only_blank_left(const struct bm_text *text);      /* nothing but line ends after the last line given */

/* Takes the field before the next `sep` off `rest`; rest->s is NULL after the last field. */
bool bm_span_field(struct bm_span *rest, char sep, struct bm_span *field);
/* Takes the next run of bytes other than blank and tab off `rest`. */
bool bm_span_word(struct bm_span *rest, struct bm_span *word);
struct bm_span bm_span_trim(struct bm_span a); /* without blanks and tabs at both ends */
bool bm_span_is(struct bm_span a, const char *text);
bool bm_span_is_utf8(struct bm_span span); /* no overlong forms, no surrogates */
char *bm_span_dup(struct bm_span a, struct bm_error *err) BM_MUST_USE;
#define BM_SPAN_ARG(a) bm_span_shown(a), (a).s /* for "%.*s" */
int bm_span_shown(struct bm_span a);           /* so many bytes of it: messages show no more than 200 */

#endif
