/* Files in memory, under names that no disk has: what a fuzzer makes is read without touching a disk.
 *
 * The linker sends open, fstat, lseek, read, close, posix_fadvise and access through memfile.c (--wrap,
 * make/fuzz.mk), which answers for files whose names begin with MEMFILE and passes on everything else. Only access
 * does not: other names than these, and those with a blank, do not exist for it, so that what a fuzzer makes up is
 * never looked for on the disk.
 */
#ifndef MEMFILE_H
#define MEMFILE_H

#include <stddef.h>

#define MEMFILE "memory:"

/* What a file called MEMFILE... holds from now on; `data` stays the caller's and must outlive the reading. */
void memfile_set(const void *data, size_t size);
/* The same for files called MEMFILE...ENDING; NULL: there are none such. */
void memfile_set_other(const char *ending, const void *data, size_t size);

#endif
