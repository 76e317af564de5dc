/* float128 samples, which NIfTI defines as the writing machine's long double: to doubles.
 *
 * They have 16 bytes: 80-bit extended with 6 bytes of padding, which may hold anything (x86), or IEEE binary128
 * (64-bit ARM, POWER). The header does not say which, so this machine's form is taken, and that of x86 where it has
 * neither. Read as extended, a file with the latter would be zeros or noise; it is told by numbers that no x86
 * writes, and refused: read as the other form, a damaged file would be noise.
 */
#ifndef BM_IO_NIFTIWIDE_H
#define BM_IO_NIFTIWIDE_H

#include <stdbool.h>
#include <stddef.h>

enum bm_niftiwide_form { BM_NIFTIWIDE_EXTENDED, BM_NIFTIWIDE_BINARY128 };
enum bm_niftiwide_form bm_niftiwide_here(void);

/* What the samples of a volume were like so far. Zero-initialise. */
struct bm_niftiwide_seen {
    size_t numbers; /* that are not zero */
    size_t padded;  /* zeros with something in the padding */
};

enum bm_niftiwide { BM_NIFTIWIDE_OK, BM_NIFTIWIDE_FOREIGN, BM_NIFTIWIDE_TOO_LARGE };
/* n samples of 16 bytes at src, big-endian or not, each rounded to the nearest double. If one is no number of that
 * form or a finite one beyond a double's range: why, and which in *at. */
enum bm_niftiwide bm_niftiwide_to_double(double *dst, const unsigned char *src, size_t n, bool big,
                                         enum bm_niftiwide_form form, struct bm_niftiwide_seen *seen, size_t *at);
/* At the end of a volume: is all of it zero and yet not empty, as short binary128 numbers look? */
bool bm_niftiwide_foreign(const struct bm_niftiwide_seen *seen);

#endif
