/* One file in memory, under a name that no disk has: what a fuzzer makes is read without touching a disk.
 *
 * The linker sends open, fstat, lseek, read, close and posix_fadvise through memfile.c (--wrap, rules/fuzz.mk), which
 * answers for files whose names begin with MEMFILE and passes on everything else.
 */
#ifndef MEMFILE_H
#define MEMFILE_H

#include <stddef.h>

#define MEMFILE "memory:"

/* What a file called MEMFILE... holds from now on; `data` stays the caller's and must outlive the reading. */
void memfile_set(const void *data, size_t size);

#endif
