/* Uses what a reader hands out, to the last byte: it must be ours to read and, for the memory sanitizer, set. */
#ifndef USE_H
#define USE_H

#include <stddef.h>
#if __has_feature(memory_sanitizer)
#include <sanitizer/msan_interface.h>
#else
#include <sanitizer/asan_interface.h>
#include <stdlib.h>
#endif

static inline void use(void *data, size_t n)
{
#if __has_feature(memory_sanitizer)
    __msan_check_mem_is_initialized(data, n);
#else
    if (n && __asan_region_is_poisoned(data, n))
        abort();
#endif
}

#endif
