/* Text tables: designs, events, categories, label tables and selections. */
#include "io/designs.h"
#include "io/labels.h"
#include "memfile.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NAME MEMFILE "x.tsv"

static void read_design(void)
{
    struct bm_error err = {0};
    struct bm_categories cats = {0};
    struct bm_design design = {0};
    size_t rows;
    int events = bm_design_is_events(NAME, &err);

    if (events > 0)
        (void)!bm_categories_collect(&cats, NAME, "trial_type", &err);
    if (events >= 0 && bm_design_read(NAME, "trial_type", events ? &cats : NULL, &design, &err) == 0)
        (void)!bm_design_rows(NAME, &rows, &err);
    bm_design_clear(&design);
    bm_categories_clear(&cats);
}

static void read_labels(const uint8_t *data, size_t size)
{
    struct bm_error err = {0};
    struct bm_labels table = {0};
    int64_t *numbers = NULL;
    size_t n;
    char spec[64];

    if (bm_labels_read(NAME, &table, &err))
        return;
    n = size < sizeof spec - 1 ? size : sizeof spec - 1;
    memcpy(spec, data, n);
    spec[n] = 0;
    if (bm_labels_select(spec, &table, &numbers, &n, &err) == 0)
        free(numbers);
    bm_labels_clear(&table);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    memfile_set(data, size);
    read_design();
    read_labels(data, size);
    return 0;
}
