/* Rows of a file that is mapped: telling the system which are wanted soon, and which no longer. All of it is advice;
 * what the system does not understand is not done, and changes nothing but the time that reading takes. */
#ifndef BM_LOAD_AHEAD_H
#define BM_LOAD_AHEAD_H

#include <stddef.h>
#include <stdint.h>

struct bm_rows_file {
    int fd;            /* open for reading */
    void *map;         /* where row 0 is mapped in this process, or NULL */
    int64_t offset;    /* of row 0 in the file */
    int64_t row_bytes; /* >= 1 */
};

/* Asks for rows[n], which ascend, in few large pieces; for none where a sample of them is in memory. May wait while
 * the disk's queue is full. Returns the bytes asked for. */
int64_t bm_rows_fetch(const struct bm_rows_file *f, const int64_t *rows, int64_t n);

/* Takes rows[n], which ascend, out of this process's memory and out of the system's cache of the file, as far as
 * nobody else has them mapped. They are read from the disk when they are looked at again. Linux lets go of whole
 * folios only, which may be as large as 2 MiB: this does much for long stretches of rows, and little for single ones.
 */
void bm_rows_release(const struct bm_rows_file *f, const int64_t *rows, int64_t n);

#endif
