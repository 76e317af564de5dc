/* Mending: mutated input that would be refused at its checksum is given the right one, so that what lies behind the
 * check is reached too. */
#ifndef MEND_H
#define MEND_H

#include <stddef.h>
#include <stdint.h>

/* libFuzzer's own mutation. */
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t most);

/* Mutates what is inside a gzip file and packs it again (stored blocks, right CRC-32 and length); anything else is
 * mutated as it is. As LLVMFuzzerCustomMutator. */
size_t mend_gzip(uint8_t *data, size_t size, size_t most, unsigned seed);
/* Mutates a tile stream and sets the crc32 in its last record right, where there is one. */
size_t mend_stream(uint8_t *data, size_t size, size_t most, unsigned seed);

#endif
