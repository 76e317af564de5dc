#include "typos.h"

#include <string.h>

enum { LONGEST_NAME = 32 };

/* Letters to change, add or take away to make `name` of the first n letters of `word`. */
static size_t letters_between(const char *word, size_t n, const char *name)
{
    size_t row[LONGEST_NAME + 1], m = strnlen(name, LONGEST_NAME);

    for (size_t j = 0; j <= m; j++)
        row[j] = j;
    for (size_t i = 0; i < n; i++) {
        size_t before = row[0]++;

        for (size_t j = 0; j < m; j++) {
            size_t changed = before + (word[i] != name[j]);
            size_t longer = (row[j] < row[j + 1] ? row[j] : row[j + 1]) + 1;

            before = row[j + 1];
            row[j + 1] = changed < longer ? changed : longer;
        }
    }
    return row[m];
}

const struct cli_option *cli_like(const struct cli_option *table, const char *word, size_t n)
{
    for (const struct cli_option *o = table; o->name && n > 2; o++) {
        if (o->help && (!strncmp(o->name, word, n) || letters_between(word, n, o->name) <= (n > 3 ? 2 : 1)))
            return o;
    }
    return NULL;
}
