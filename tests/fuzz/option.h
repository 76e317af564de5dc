/* What a user would have written on the command line, from a fuzzer's input: what stands behind the first '#', to the
 * end of its line. */
#ifndef OPTION_H
#define OPTION_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline void option_of(const uint8_t *data, size_t size, char *text, size_t room)
{
    const uint8_t *from = size ? memchr(data, '#', size) : NULL;
    size_t n = 0;

    for (; from && from + 1 + n < data + size && n + 1 < room && from[1 + n] && from[1 + n] != '\n'; n++)
        text[n] = (char)from[1 + n];
    text[n] = 0;
}

#endif
