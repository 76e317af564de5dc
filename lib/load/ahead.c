#include "load/ahead.h"

#include <fcntl.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#define LARGEST ((int64_t)8 << 20) /* bytes asked for at a time */
#define PROBES 50                  /* rows that are looked at */
#define GAP ((int64_t)128 << 10)   /* rows closer than this are read together */

struct range {
    int64_t begin, end; /* bytes of the file */
};

/* The next range from row *i on; false: there is none left. Rows further apart than `gap` bytes are not joined, nor
 * are they to more than `largest` bytes. */
static bool next_range(const struct bm_rows_file *f, const int64_t *rows, int64_t n, int64_t *i, int64_t gap,
                       int64_t largest, struct range *r)
{
    if (*i >= n)
        return false;
    r->begin = f->offset + rows[*i] * f->row_bytes;
    r->end = r->begin + f->row_bytes;
    for ((*i)++; *i < n; (*i)++) {
        int64_t begin = f->offset + rows[*i] * f->row_bytes;

        if (begin > r->end + gap || begin + f->row_bytes - r->begin > largest)
            break;
        r->end = begin + f->row_bytes;
    }
    return true;
}

/* Is the byte in the system's cache? false also where the system cannot tell. */
static bool in_memory(int fd, int64_t at)
{
    char byte;
    struct iovec into = {&byte, 1};

    return preadv2(fd, &into, 1, at, RWF_NOWAIT) == 1;
}

/* Looks at a few rows: are all of those in the system's cache? */
static bool seem_in_memory(const struct bm_rows_file *f, const int64_t *rows, int64_t n)
{
    const int64_t step = n / PROBES + 1;

    for (int64_t i = 0; i < n; i += step)
        if (!in_memory(f->fd, f->offset + rows[i] * f->row_bytes))
            return false;
    return in_memory(f->fd, f->offset + (rows[n - 1] + 1) * f->row_bytes - 1);
}

int64_t bm_rows_fetch(const struct bm_rows_file *f, const int64_t *rows, int64_t n)
{
    struct range r;
    int64_t i = 0, asked = 0;

    if (n <= 0 || seem_in_memory(f, rows, n))
        return 0;
    while (next_range(f, rows, n, &i, GAP, LARGEST, &r)) {
        (void)posix_fadvise(f->fd, r.begin, r.end - r.begin, POSIX_FADV_WILLNEED);
        asked += r.end - r.begin;
    }
    return asked;
}

/* Whole pages only: the ends of a range belong to its neighbours, too. */
static void unmap_pages(const struct bm_rows_file *f, const struct range *r, int64_t page)
{
    uintptr_t first = (uintptr_t)f->map + (uintptr_t)(r->begin - f->offset),
              last = first + (uintptr_t)(r->end - r->begin);

    first = (first + (uintptr_t)page - 1) / (uintptr_t)page * (uintptr_t)page;
    last = last / (uintptr_t)page * (uintptr_t)page;
    if (first < last)
        (void)madvise((char *)f->map + (first - (uintptr_t)f->map), last - first, MADV_DONTNEED);
}

void bm_rows_release(const struct bm_rows_file *f, const int64_t *rows, int64_t n)
{
    const int64_t page = sysconf(_SC_PAGESIZE);
    struct range r;
    int64_t i = 0;

    while (next_range(f, rows, n, &i, 0, INT64_MAX, &r)) {
        if (f->map)
            unmap_pages(f, &r, page);
        (void)posix_fadvise(f->fd, r.begin, r.end - r.begin, POSIX_FADV_DONTNEED);
    }
}
