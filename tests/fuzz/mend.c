#include "mend.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#if __has_feature(memory_sanitizer)
#include <sanitizer/msan_interface.h>
#endif

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t most);

#define INNER ((size_t)1 << 16)
#define STORED 65535u /* of one block */

uint32_t mend_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

void mend_begin(const uint8_t *data, size_t size)
{
#if __has_feature(memory_sanitizer)
    __msan_unpoison(data, size);
#else
    (void)data;
    (void)size;
#endif
}

size_t mend_mutate(uint8_t *data, size_t size, size_t most)
{
    if (most == 0 || size > most)
        return size;
    size = LLVMFuzzerMutate(data, size, most);
    mend_begin(data, size);
    return size;
}

/* ---- gzip ---- */

static size_t unpack(uint8_t *out, const uint8_t *data, size_t size)
{
    z_stream z = {.next_in = (Bytef *)(uintptr_t)data, .avail_in = (uInt)size, .next_out = out, .avail_out = INNER};

    if (inflateInit2(&z, 15 + 16) != Z_OK)
        return 0;
    (void)inflate(&z, Z_FINISH);
    (void)inflateEnd(&z);
    return INNER - z.avail_out;
}

static void put32(uint8_t *p, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> (8 * i));
}

/* A gzip file of one stored block; 0 where it does not fit. */
static size_t pack(uint8_t *out, size_t most, const uint8_t *data, size_t size)
{
    static const uint8_t head[10] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255};

    if (size > STORED || size + 23 > most)
        return 0;
    memcpy(out, head, sizeof head);
    out[10] = 1;
    out[11] = (uint8_t)size;
    out[12] = (uint8_t)(size >> 8);
    out[13] = (uint8_t)~size;
    out[14] = (uint8_t)(~size >> 8);
    memcpy(out + 15, data, size);
    put32(out + 15 + size, (uint32_t)crc32(0, data, (uInt)size));
    put32(out + 19 + size, (uint32_t)size);
    return size + 23;
}

size_t mend_gzip(uint8_t *data, size_t size, size_t most, unsigned seed, mutation *inner)
{
    static uint8_t held[INNER];
    size_t n, packed;

    if (size < 18 || data[0] != 0x1f || data[1] != 0x8b || seed % 4 == 0)
        return inner(data, size, most, seed);
    n = unpack(held, data, size);
    n = inner(held, n < most ? n : most, most < INNER ? most : INNER, seed);
    packed = pack(data, most, held, n);
    return packed ? packed : mend_mutate(data, size, most);
}

/* ---- NIfTI ---- */

enum kind { WHOLE, REAL, TYPE };

static const struct {
    uint16_t at[2];  /* of NIfTI-1 and NIfTI-2 */
    uint8_t size[2]; /* of one value */
    uint8_t n;
    uint8_t kind;
} fields[] = {
    {{40, 16}, {2, 8}, 8, WHOLE},   {{70, 12}, {2, 2}, 1, TYPE},    {{72, 14}, {2, 2}, 1, WHOLE},
    {{76, 104}, {4, 8}, 8, REAL},   {{108, 168}, {4, 8}, 1, REAL},  {{112, 176}, {4, 8}, 2, REAL},
    {{123, 500}, {1, 4}, 1, WHOLE}, {{124, 192}, {4, 8}, 2, REAL},  {{140, 224}, {4, 4}, 2, WHOLE},
    {{252, 344}, {2, 4}, 2, WHOLE}, {{253, 344}, {2, 4}, 3, WHOLE}, {{256, 352}, {4, 8}, 6, REAL},
    {{280, 400}, {4, 8}, 12, REAL}, {{348, 540}, {1, 1}, 1, WHOLE}, {{352, 544}, {4, 4}, 2, WHOLE},
};
#define NFIELDS (sizeof fields / sizeof fields[0])

static void put(uint8_t *p, size_t size, uint64_t bits, bool big)
{
    for (size_t i = 0; i < size; i++)
        p[big ? size - 1 - i : i] = (uint8_t)(bits >> (8 * i));
}

static uint64_t whole_number(uint32_t r)
{
    static const int64_t usual[] = {0,     1,      2,         3,         4,   5,   7,   8,   -1,  16,
                                    32767, -32768, INT32_MAX, INT32_MIN, 352, 544, 348, 255, 256, 65536};

    return r % 3 ? (uint64_t)usual[r / 3 % (sizeof usual / sizeof usual[0])] : r / 3;
}

/* vox_offset of NIfTI-2 is a whole number, which is set as a real one here: both are worth trying. */
static uint64_t real_number(uint32_t r, size_t size)
{
    static const double usual[] = {0,     1,      -1,           0.5,       352,        353,      544,
                                   1e-45, 1e-300, 3.4e+38,      1e+300,    1e+15,      1e+16,    8,
                                   16,    24,     4294967296.0, 1.0 / 0.0, -1.0 / 0.0, 0.0 / 0.0};
    const double v = usual[r % (sizeof usual / sizeof usual[0])];
    const float f = (float)v;
    uint64_t bits = 0;

    memcpy(&bits, size == 4 ? (const void *)&f : (const void *)&v, size == 4 ? 4 : 8);
    return bits;
}

static void put_type(uint8_t *data, size_t version, uint32_t r, bool big)
{
    static const uint16_t types[][2] = {{1, 1},     {2, 8},      {4, 16},     {8, 32},     {16, 32},   {32, 64},
                                        {64, 64},   {128, 24},   {256, 8},    {512, 16},   {768, 32},  {1024, 64},
                                        {1280, 64}, {1536, 128}, {1792, 128}, {2048, 256}, {2304, 32}, {0, 0}};
    const uint16_t *type = types[r % (sizeof types / sizeof types[0])];
    const size_t at = version ? 12 : 70;

    put(data + at, 2, type[0], big);
    put(data + at + 2, 2, type[1], big);
}

size_t mend_nifti(uint8_t *data, size_t size, size_t most, unsigned seed)
{
    const bool big = size > 3 && data[0] == 0;
    const size_t version = size > 3 && data[big ? 3 : 0] == 0x1c;
    uint32_t state = seed;
    const size_t f = mend_random(&state) % NFIELDS, width = fields[f].size[version],
                 at = fields[f].at[version] + mend_random(&state) % fields[f].n * width;
    const uint32_t r = mend_random(&state);

    if (seed % 2 || at + 4 > size || at + width > size)
        return mend_mutate(data, size, most);
    if (fields[f].kind == TYPE)
        put_type(data, version, r, big);
    else if (fields[f].kind == REAL && !(at == 168 && r % 2))
        put(data + at, width, real_number(r, width), big);
    else
        put(data + at, width, whole_number(r), big);
    return size;
}

/* ---- text ---- */

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

/* The number at or behind a place; *n is its length, 0 where there is none. */
static size_t find_number(const uint8_t *data, size_t size, size_t from, size_t *n)
{
    while (from < size && !is_digit(data[from]))
        from++;
    while (from > 0 && from < size && is_digit(data[from - 1]))
        from--;
    for (*n = 0; from + *n < size && is_digit(data[from + *n]);)
        ++*n;
    return from;
}

size_t mend_text(uint8_t *data, size_t size, size_t most, unsigned seed)
{
    static const char *const words[] = {"0",
                                        "1",
                                        "2",
                                        "-1",
                                        "7",
                                        "16",
                                        "255",
                                        "1024",
                                        "32767",
                                        "32768",
                                        "65535",
                                        "65536",
                                        "33554432",
                                        "2147483647",
                                        "2147483648",
                                        "4294967296",
                                        "1099511627776",
                                        "9223372036854775807",
                                        "1e308",
                                        "1e-5",
                                        "0.5",
                                        "1.",
                                        "n/a",
                                        "nan",
                                        "inf",
                                        "null",
                                        "true",
                                        "[]",
                                        "{}",
                                        "\"\"",
                                        "-",
                                        " ",
                                        "",
                                        "18446744073709551616"};
    uint32_t state = seed;
    const char *word = words[mend_random(&state) % (sizeof words / sizeof words[0])];
    const size_t m = strlen(word);
    size_t n = 0, at = size ? find_number(data, size, mend_random(&state) % size, &n) : 0;

    if (seed % 2 || n == 0 || size - n + m > most)
        return mend_mutate(data, size, most);
    memmove(data + at + m, data + at + n, size - at - n);
    memcpy(data + at, word, m);
    return size - n + m;
}

/* ---- streams ---- */

#define MOST_PARTS 64

struct part {
    size_t at, body, end; /* header, data, next part */
};

static uint8_t *find(uint8_t *data, size_t size, const char *word)
{
    return size ? memmem(data, size, word, strlen(word)) : NULL;
}

static uint8_t *find_last(uint8_t *data, size_t size, const char *word)
{
    size_t n = strlen(word);

    for (size_t i = size < n ? 0 : size - n + 1; i-- > 0;) {
        if (data[i] == (uint8_t)word[0] && memcmp(data + i, word, n) == 0)
            return data + i;
    }
    return NULL;
}

static size_t split(uint8_t *data, size_t size, struct part parts[MOST_PARTS])
{
    size_t n = 0, at = 0;

    for (; n < MOST_PARTS && size - at >= 10 && memcmp(data + at, "\x93NUMPY", 6) == 0; n++) {
        size_t body = at + 10 + data[at + 8] + 256u * data[at + 9];
        uint8_t *next = body < size ? find(data + body, size - body, "\x93NUMPY") : NULL;

        if (body > size)
            break;
        parts[n] = (struct part){at, body, next ? (size_t)(next - data) : size};
        at = parts[n].end;
    }
    return n;
}

static void set_crc(uint8_t *text, const uint8_t *data, size_t size)
{
    char digits[9];

    (void)snprintf(digits, sizeof digits, "%08x", (unsigned)crc32(0, data, (uInt)size));
    memcpy(text, digits, 8);
}

static void mend_end(uint8_t *data, size_t size)
{
    uint8_t *record = find_last(data, size, "\x93NUMPY");
    uint8_t *text = record ? find_last(record, size - (size_t)(record - data), "\"crc32\":\"") : NULL;

    if (text && (size_t)(data + size - text) >= 17)
        set_crc(text + 9, data, (size_t)(record - data));
}

/* A JSON record: its header, of `n` bytes, with the length that fits. Returns the whole length, 0 where there is no
 * room. */
static size_t put_record(uint8_t *out, size_t most, const uint8_t *body, size_t n)
{
    char text[128];
    int used = snprintf(text, sizeof text, "{'descr': '|u1', 'fortran_order': False, 'shape': (%zu,), }", n);
    size_t length = ((size_t)used + 11 + 63) / 64 * 64;

    if (length + n > most)
        return 0;
    memcpy(out, "\x93NUMPY\x01\x00", 8);
    out[8] = (uint8_t)(length - 10);
    out[9] = (uint8_t)((length - 10) >> 8);
    memset(out + 10, ' ', length - 11);
    memcpy(out + 10, text, (size_t)used);
    out[length - 1] = '\n';
    memcpy(out + length, body, n);
    return length + n;
}

/* The part changed: its header, its data, or, for a record, its text with a header that fits. */
static size_t change_part(uint8_t *out, size_t most, uint8_t *data, const struct part *p, unsigned seed)
{
    static uint8_t body[INNER];
    const bool record = find(data + p->at, p->body - p->at, "'|u1'") != NULL;
    size_t head = p->body - p->at, n = p->end - p->body, room = most < INNER ? most : INNER;

    if (head + n > most || room < 256 || n > room - 128)
        return 0;
    memcpy(body, data + p->body, n);
    if (seed % 8 == 0) {
        memcpy(out, data + p->at, head);
        head = 10 + mend_text(out + 10, head - 10, most - n - 10, seed / 8);
        memcpy(out + head, body, n);
        return head + n;
    }
    n = record ? mend_text(body, n, room - 128, seed / 8) : mend_mutate(body, n, room - head);
    if (record)
        return put_record(out, most, body, n);
    if (head + n > most)
        return 0;
    memcpy(out, data + p->at, head);
    memcpy(out + head, body, n);
    return head + n;
}

size_t mend_stream(uint8_t *data, size_t size, size_t most, unsigned seed)
{
    static uint8_t out[INNER];
    struct part parts[MOST_PARTS];
    uint32_t state = seed;
    size_t n = split(data, size, parts), made = 0, used;
    const struct part *p = n ? &parts[mend_random(&state) % n] : NULL;
    const unsigned what = mend_random(&state) % 16;

    most = most < INNER ? most : INNER;
    if (!p || size > most || what == 0) {
        size = mend_mutate(data, size, most);
        mend_end(data, size);
        return size;
    }
    used = what == 1 ? p->at : what == 2 ? p->end : p->at;
    memcpy(out, data, used);
    if (what == 2 && used + (p->end - p->at) <= most) {
        memcpy(out + used, data + p->at, p->end - p->at);
        made = p->end - p->at;
    } else if (what > 2) {
        made = change_part(out + used, most - used, data, p, mend_random(&state));
        if (!made)
            return mend_mutate(data, size, most);
    }
    used += made;
    if (size - p->end > most - used)
        return mend_mutate(data, size, most);
    memcpy(out + used, data + p->end, size - p->end);
    used += size - p->end;
    memcpy(data, out, used);
    if (seed % 16)
        mend_end(data, used);
    return used;
}

/* ---- sealed JSON ---- */

#define CRC "\"crc32\":\""

/* What the description vouches for: a whole file, or the data of an index. */
static void mend_array(uint8_t *text, size_t n, const uint8_t *array, size_t size)
{
    uint8_t *crc = find(text, n, CRC);
    const bool data_alone = find(text, n, "\"shuffle\"") && size >= 10;
    const size_t skip = data_alone ? 10 + array[8] + 256u * array[9] : 0;

    if (crc && (size_t)(text + n - crc) >= sizeof CRC - 1 + 8 && skip <= size)
        set_crc(crc + sizeof CRC - 1, array + skip, size - skip);
}

static void mend_seal(uint8_t *text, size_t n)
{
    uint8_t *seal = find_last(text, n, "," CRC);

    if (seal && (size_t)(text + n - seal) >= sizeof CRC + 8)
        set_crc(seal + sizeof CRC, text, (size_t)(seal - text));
}

size_t mend_sealed(uint8_t *data, size_t size, size_t most, unsigned seed)
{
    static uint8_t text[INNER];
    uint8_t *end = size > 1 ? memchr(data + 1, 0, size - 1) : NULL;
    size_t n = end ? (size_t)(end - data) - 1 : size ? size - 1 : 0, behind = size ? size - 1 - n : 0;

    if (size < 2 || size > most || n > INNER / 2 || most > INNER / 2 || seed % 16 == 0)
        return mend_mutate(data, size, most);
    if (behind > 1 && seed % 4 == 1) {
        behind = 1 + mend_mutate(data + 2 + n, behind - 1, most - 2 - n);
    } else {
        memcpy(text, data + 1, n);
        n = mend_text(text, n, most - 1 - behind, seed / 4);
        memmove(data + 1 + n, data + size - behind, behind);
        memcpy(data + 1, text, n);
    }
    if (behind > 1)
        mend_array(data + 1, n, data + 2 + n, behind - 1);
    mend_seal(data + 1, n);
    return 1 + n + behind;
}
