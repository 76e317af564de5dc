/* Tables of confounds and sample masks: reading, selection, censoring, expansion, filling. The first bytes choose
 * what is done; a line that begins with '#' holds the names of columns or the condition, as an option would. */
#include "io/confounds.h"
#include "memfile.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NAME MEMFILE "x.tsv"

/* What stands after the first '#', to the end of its line. */
static void option_of(const uint8_t *data, size_t size, char *text, size_t room)
{
    const uint8_t *from = memchr(data, '#', size);
    size_t n = 0;

    for (; from && from + 1 + n < data + size && n + 1 < room && from[1 + n] && from[1 + n] != '\n'; n++)
        text[n] = (char)from[1 + n];
    text[n] = 0;
}

static void use_table(const struct bm_confounds *table, unsigned choice, const char *option)
{
    struct bm_error err = {0};
    struct bm_confounds chosen = {0};
    bool *censored = calloc(table->rows, 1);
    uint64_t filled;
    char names[64];

    bm_confounds_names(table, names, sizeof names);
    if (censored && bm_confounds_censor(table, option, censored, &err) < 0)
        err = (struct bm_error){0};
    if (censored && table->cols <= 256 &&
        bm_confounds_select(table, choice & 1 ? option : NULL, &chosen, &err) == 0 &&
        bm_confounds_expand(&chosen, choice & 2, choice & 4, choice & 8 ? table : NULL, &err) == 0)
        (void)!bm_confounds_fill(&chosen, (enum bm_missing)(choice >> 4 & 3), choice & 64 ? censored : NULL, &filled,
                                 &err);
    bm_confounds_clear(&chosen);
    free(censored);
}

static void read_mask(size_t rows)
{
    struct bm_error err = {0};
    bool *censored = calloc(rows, 1);

    if (censored)
        (void)!bm_sample_mask_read(NAME, rows, censored, NULL, NULL, &err);
    free(censored);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bm_error err = {0};
    struct bm_confounds table = {0};
    char option[64];

    if (size < 1)
        return 0;
    memfile_set(data + 1, size - 1);
    option_of(data + 1, size - 1, option, sizeof option);
    if (bm_confounds_read(NAME, &table, &err) == 0) {
        use_table(&table, data[0], option);
        read_mask(table.rows);
    }
    read_mask(4);
    bm_confounds_clear(&table);
    return 0;
}
