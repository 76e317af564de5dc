/* For shim.c: allocations that fail. Those count that the program's own code makes, not those of the libraries. */
#ifndef MEMORY_H
#define MEMORY_H

static bool own(const void *caller)
{
    return ready && (uintptr_t)caller >= code_first && (uintptr_t)caller < code_end;
}

void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *old, size_t n);
void *__libc_memalign(size_t alignment, size_t n);

void *malloc(size_t n)
{
    return own(__builtin_return_address(0)) && fails(ALLOC) ? NULL : __libc_malloc(n);
}

void *calloc(size_t n, size_t size)
{
    return own(__builtin_return_address(0)) && fails(ALLOC) ? NULL : __libc_calloc(n, size);
}

void *realloc(void *old, size_t n)
{
    return own(__builtin_return_address(0)) && fails(ALLOC) ? NULL : __libc_realloc(old, n);
}

void *aligned_alloc(size_t alignment, size_t n)
{
    return own(__builtin_return_address(0)) && fails(ALLOC) ? NULL : __libc_memalign(alignment, n);
}

int posix_memalign(void **out, size_t alignment, size_t n)
{
    if (own(__builtin_return_address(0)) && fails(ALLOC))
        return ENOMEM;
    *out = __libc_memalign(alignment, n);
    return *out ? 0 : ENOMEM;
}

char *strdup(const char *s)
{
    const size_t n = strlen(s) + 1;
    char *copy = own(__builtin_return_address(0)) && fails(ALLOC) ? NULL : __libc_malloc(n);

    return copy ? memcpy(copy, s, n) : NULL;
}

#endif
