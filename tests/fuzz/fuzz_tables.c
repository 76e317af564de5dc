/* Text tables: designs, events, categories; label tables and selections. The first byte chooses what is done; behind
 * the first '#' stands the selection, as an option would. */
#include "io/designs.h"
#include "io/labels.h"
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

/* Categories: none, those of the file, or others. */
static void read_design(const char *column, unsigned choice)
{
    static char face[] = "face", house[] = "house", *names[] = {face, house};
    struct bm_error err = {0};
    struct bm_categories cats = {0};
    const struct bm_categories others = {names, 2, false};
    struct bm_design design = {0};
    int events = bm_design_is_events(NAME, &err);

    if (events > 0 && choice & 8)
        (void)!bm_categories_collect(&cats, NAME, column, &err);
    if (events >= 0)
        (void)!bm_design_read(NAME, column, choice & 16 ? &others : cats.n ? &cats : NULL, &design, &err);
    bm_design_clear(&design);
    bm_categories_clear(&cats);
}

static void read_labels(const uint8_t *data, size_t size)
{
    struct bm_error err = {0};
    struct bm_labels table = {0};
    struct bm_label_set set;
    char list[64];

    if (bm_labels_read(NAME, &table, &err))
        return;
    option_of(data, size, list, sizeof list);
    if (bm_labels_select(list, &table, &set, &err) == 0) {
        (void)bm_labels_name(&table, set.n ? set.items[0].lo : 0);
        bm_label_set_clear(&set);
    }
    bm_labels_clear(&table);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const columns[] = {"trial_type", "stimulus", "x", NULL};

    if (size < 1)
        return 0;
    memfile_set(data + 1, size - 1);
    if (data[0] & 1)
        read_labels(data + 1, size - 1);
    else
        read_design(columns[data[0] >> 1 & 3], data[0]);
    return 0;
}
