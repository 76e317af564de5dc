/* Mending: mutated input that would be refused at its checksum or its length is given the right one, so that what
 * lies behind the check is reached too. Each function is a LLVMFuzzerCustomMutator: it changes data[size] in place,
 * where there is room for `most` bytes, and returns the new size. */
#ifndef MEND_H
#define MEND_H

#include <stddef.h>
#include <stdint.h>

typedef size_t mutation(uint8_t *data, size_t size, size_t most, unsigned seed);

/* libFuzzer's own mutation; where there is no room, none. */
size_t mend_mutate(uint8_t *data, size_t size, size_t most);
/* To be called first in a custom mutator: the memory sanitizer does not see that libFuzzer has written the bytes. */
void mend_begin(const uint8_t *data, size_t size);

/* Changes what is inside a gzip file by `inner` and packs it again (stored blocks, right CRC-32 and length); now and
 * then, and where the input is none, `inner` changes the bytes as they are. */
size_t mend_gzip(uint8_t *data, size_t size, size_t most, unsigned seed, mutation *inner);
/* A field of a NIfTI header becomes a value that is often trouble, in the header's byte order. */
size_t mend_nifti(uint8_t *data, size_t size, size_t most, unsigned seed);
/* A number in a text becomes another one, or something else that may stand there. */
size_t mend_text(uint8_t *data, size_t size, size_t most, unsigned seed);
/* An array of a tile stream is changed, left out or repeated; the lengths in the headers of its JSON records and the
 * crc32 in its last record are set right. */
size_t mend_stream(uint8_t *data, size_t size, size_t most, unsigned seed);
/* A description: a byte of choices, sealed JSON, and behind a NUL the array beside it. The seal, and the checksum of
 * the array that the JSON names first, are set right. */
size_t mend_sealed(uint8_t *data, size_t size, size_t most, unsigned seed);

/* A number from a seed, the next one with every call. */
uint32_t mend_random(uint32_t *state);

#endif
