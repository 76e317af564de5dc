#include "load/pick.h"

#include "core/mem.h"

#include <stdlib.h>
#include <string.h>

#define SHORT 8 /* runs below it are copied one by one */

int bm_pick_make(struct bm_pick *p, const int64_t *columns, int64_t n, struct bm_error *err)
{
    *p = (struct bm_pick){.columns = columns, .n = n};
    if (!columns)
        return 0;
    p->run = bm_alloc((size_t)n, sizeof *p->run, "columns", err);
    if (!p->run)
        return -1;
    for (int64_t i = n - 1; i >= 0; i--) {
        bool joined = i + 1 < n && columns[i + 1] == columns[i] + 1 && p->run[i + 1] < UINT16_MAX;

        p->run[i] = joined ? (uint16_t)(p->run[i + 1] + 1) : 1;
    }
    return 0;
}

#define COPY_EACH(type)                                                                                              \
    for (int64_t i = 0; i < n; i++)                                                                                  \
    ((type *)to)[i] = ((const type *)row)[columns[i]]

static void copy_each(void *to, const void *row, const int64_t *columns, int64_t n, size_t size)
{
    if (size == 2)
        COPY_EACH(uint16_t);
    else
        COPY_EACH(uint32_t);
}

const void *bm_pick(const struct bm_pick *p, int64_t first, int64_t n, const void *row, size_t size, void *room)
{
    const int64_t *columns;
    char *to = room;

    if (!p->columns)
        return (const char *)row + (size_t)first * size;
    columns = p->columns + first;
    for (int64_t i = 0, count; i < n; i += count, to += (size_t)count * size) {
        count = p->run[first + i] < n - i ? p->run[first + i] : n - i;
        if (count == n)
            return (const char *)row + (size_t)columns[i] * size;
        if (count < SHORT)
            copy_each(to, row, columns + i, count, size);
        else
            memcpy(to, (const char *)row + (size_t)columns[i] * size, (size_t)count * size);
    }
    return room;
}

void bm_pick_free(struct bm_pick *p)
{
    free(p->run);
    *p = (struct bm_pick){0};
}
