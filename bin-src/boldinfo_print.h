/* What the printing parts of boldinfo share: access to a description's members, lines and lists, and what more than
 * one kind has. boldinfo_text.c prints NIfTI files and artifacts, boldinfo_tables.c tables and sidecars. */
#ifndef BM_BOLDINFO_PRINT_H
#define BM_BOLDINFO_PRINT_H

#include "core/error.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* A member: 0, or "?", where it is not there or of another type. */
long long info_integer(const json_t *o, const char *key);
double info_real(const json_t *o, const char *key);
const char *info_text(const json_t *o, const char *key);
bool info_has(const json_t *o, const char *key);
long long info_item(const json_t *list, size_t i);

const char *info_plural(long long n); /* "s", but for 1 */
/* "  what      ..." and a line's end. */
void info_line(const char *what, const char *fmt, ...) BM_PRINTF(2, 3);
/* Prints one word of a list behind those before it, on a new line where it does not fit. *column: 0 to begin. */
void info_list_item(const char *what, size_t *column, const char *word);

void info_size(const json_t *info);     /* "; 12.3 kB, gzipped" and the end of the first line */
void info_entities(const json_t *info); /* of a BIDS name */
/* Labels: with names one a line, otherwise as a list. */
void info_labels(const json_t *info, bool named);

/* Replaces control characters in all strings and keys by '?': what files hold must not reach a terminal as it is. */
void info_clean(json_t *value);

/* Kinds, in boldinfo_tables.c. */
void info_print_table(const json_t *info);
void info_print_label_table(const json_t *info);
void info_print_sidecar(const json_t *info);

#endif
