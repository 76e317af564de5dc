/* Tables of confounds and sample masks: reading, selection, censoring, expansion, filling. The first byte chooses
 * what is done; behind the first '#' stand the names of columns or the condition, as an option would. */
#include "io/confounds.h"
#include "memfile.h"
#include "mend.h"
#include "option.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed);

#define NAME MEMFILE "x.tsv"

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed)
{
    mend_begin(data, size);
    return mend_text(data, size, most, seed);
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
    if (data[0] & 128) {
        read_mask(1 + data[0] % 8);
    } else if (bm_confounds_read(NAME, &table, &err) == 0) {
        option_of(data + 1, size - 1, option, sizeof option);
        use_table(&table, data[0], option);
    }
    bm_confounds_clear(&table);
    return 0;
}
