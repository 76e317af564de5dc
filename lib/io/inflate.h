/* The inflate library behind io/bytes.h: raw deflate data in, bytes and their CRC-32 out.
 *
 * ISA-L where the build has it (BM_HAVE_ISAL), else zlib. io/inflate.c also holds the checksums and the tile codec
 * that io/bytes.h declares, so that no other file needs to include the library. Used by io/bytes.c and io/gzwrite.c.
 */
#ifndef BM_IO_INFLATE_H
#define BM_IO_INFLATE_H

#include "core/error.h"

#include <stddef.h>
#include <stdint.h>

#define BM_DEFLATE_PRIME                                                                                             \
    16 /* bytes sent ahead to ISA-L, so that what it makes depends on its input alone; see inflate.c */
#define BM_INFLATE_PUSHBACK 16 /* bytes before `in` that bm_inflater_run may write to */

enum bm_inflated { BM_INFLATED_MORE, BM_INFLATED_END, BM_INFLATED_BAD };

struct bm_inflater;

/* Makes *z where it is NULL, and stands it at the start of new deflate data. */
int bm_inflater_start(struct bm_inflater **z, struct bm_error *err) BM_MUST_USE;
/* Inflates from in[*n_in] to out[*n_out]; both become what was used, each below 2^32. At the end of the deflate data
 * *n_in may come back negative: the inflater had taken -*n_in bytes too many, which it has put back before `in`. */
enum bm_inflated bm_inflater_run(struct bm_inflater *z, unsigned char *in, ptrdiff_t *n_in, unsigned char *out,
                                 size_t *n_out);
uint32_t bm_inflater_crc32(const struct bm_inflater *z); /* of the bytes since bm_inflater_start */
void bm_inflater_free(struct bm_inflater *z);            /* NULL is fine */

#endif
