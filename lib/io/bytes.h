/* Bytes: one input read from start to end, plain or gzip.
 *
 * The first bytes decide: a gzip member (RFC 1952) is inflated, anything else is passed through. gzip input is
 * read to the trailer of its last member, and every member's CRC-32 and length must match, also when the caller
 * needs only the beginning: bm_bytes_finish reads and checks the rest. Trailing zero bytes after the last member
 * are padding (tapes, object stores); any other trailing bytes are an error.
 *
 * Inflates with ISA-L where the build has it (BM_HAVE_ISAL), else with zlib: io/inflate.c is the only file that
 * includes an inflate library's header for reading; it holds the checksums and the tile codec below, too.
 */
#ifndef BM_IO_BYTES_H
#define BM_IO_BYTES_H

#include "core/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bm_bytes;

/* `path` of a file, or "-" for standard input. Directories are refused. */
struct bm_bytes *bm_bytes_open(const char *path, struct bm_error *err) BM_MUST_USE;
/* The same from a pipe that is open already and is taken over, also on failure; `name` stands for it in messages.
 * `end` (may be NULL) is called once: with an error to fill when the pipe has been read to its end, where its failure
 * (-1) fails the reading; or with NULL when it was closed before that. */
typedef int bm_bytes_end(void *self, struct bm_error *err);
struct bm_bytes *bm_bytes_pipe(const char *name, int fd, bm_bytes_end *end, void *self,
                               struct bm_error *err) BM_MUST_USE;
/* Fills buf with n bytes. Returns n, or fewer (down to 0) where the input ends, or -1. */
long long bm_bytes_read(struct bm_bytes *b, void *buf, size_t n, struct bm_error *err) BM_MUST_USE;
/* The next n <= 65536 bytes without consuming them; *got may be less at the end. The pointer is good until the
 * next call. */
const unsigned char *bm_bytes_peek(struct bm_bytes *b, size_t n, size_t *got, struct bm_error *err) BM_MUST_USE;
/* Reads to the real end, checking all trailers, and that nobody wrote to the file meanwhile (size and time of
 * change). *left, if not NULL, gets how many decoded bytes were left over. */
int bm_bytes_finish(struct bm_bytes *b, uint64_t *left, struct bm_error *err) BM_MUST_USE;
/* The same where no more than `most` decoded bytes may be left over: it stops, with *left > most, as soon as there
 * are more. A small file can hold a thousand times its size; what its header does not name need not be inflated. */
int bm_bytes_finish_within(struct bm_bytes *b, uint64_t most, uint64_t *left, struct bm_error *err) BM_MUST_USE;

bool bm_bytes_gzip(const struct bm_bytes *b);          /* was it gzip? */
uint64_t bm_bytes_count(const struct bm_bytes *b);     /* decoded bytes handed out so far */
uint32_t bm_bytes_crc32(const struct bm_bytes *b);     /* CRC-32 of all decoded bytes; valid after bm_bytes_finish */
uint64_t bm_bytes_raw_count(const struct bm_bytes *b); /* bytes read from the file so far, for progress */
int64_t bm_bytes_raw_size(const struct bm_bytes *b);   /* size of the file, or -1 for a pipe */
/* Could the decoded input hold n bytes? No where the file is too small for that even at deflate's best ratio; a pipe
 * always could. Asked before a header's claim is believed. */
bool bm_bytes_may_hold(const struct bm_bytes *b, uint64_t n);
const char *bm_bytes_name(const struct bm_bytes *b); /* path, or "standard input" */
const char *bm_inflater_name(void);                  /* "ISA-L 2.30.0" or "zlib 1.2.13", for --version */
void bm_bytes_close(struct bm_bytes *b);             /* NULL is fine */

/* CRC-32 (IEEE, as gzip) of data continuing `crc` (0 to start). */
uint32_t bm_crc32(uint32_t crc, const void *data, size_t n);
/* CRC-32 of A followed by B, from their CRCs and B's length. */
uint32_t bm_crc32_join(uint32_t a, uint32_t b, uint64_t b_length);

#define BM_DEFLATE_MAX_RATIO 1032 /* 258 bytes from 2 bits, the most that RFC 1951 can do */

/* Tile codec, zlib format (RFC 1950) as HDF5's deflate filter stores it, level 1 speed. */
size_t bm_deflate_bound(size_t n);
/* Deflates src[n] into dst[cap]; *out = bytes written. Returns 1 and leaves dst undefined where it does not fit. */
int bm_deflate(const void *src, size_t n, void *dst, size_t cap, size_t *out, struct bm_error *err) BM_MUST_USE;
/* Inflates src[n] into exactly dst[m]; anything else (short, long, bad checksum) is an error named after `name`. */
int bm_inflate(const void *src, size_t n, void *dst, size_t m, const char *name, struct bm_error *err) BM_MUST_USE;

#endif
