#include "io/jsonmem.h"

#include <jansson.h>
#include <stdlib.h>

static _Thread_local bool lost;

void *bm_json_alloc(size_t n)
{
    void *p = malloc(n);

    lost |= !p;
    return p;
}

__attribute__((constructor)) static void use_own_memory(void)
{
    json_set_alloc_funcs(bm_json_alloc, free);
}

bool bm_json_lost(void)
{
    const bool was = lost;

    lost = false;
    return was;
}
