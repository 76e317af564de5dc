#include "io/bytes.h"

#include "core/mem.h"
#include "io/inflate.h"
#include "io/inputs.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#ifdef BM_SMALL_BUFFERS /* fuzzing: small files meet every boundary */
#define INPUT_BYTES ((size_t)256)
#define HOLD_BYTES ((size_t)1024)
#define SCRATCH_BYTES ((size_t)512)
#define STEP_BYTES ((size_t)1024)
#else
#define INPUT_BYTES ((size_t)512 << 10)
#define HOLD_BYTES ((size_t)65536)
#define SCRATCH_BYTES ((size_t)256 << 10)
#define STEP_BYTES ((size_t)1 << 20) /* decoded in one go: its checksum is taken while it is still in the cache */
#endif

struct bm_bytes {
    char *name;
    int fd;
    bool gzip, in_member, raw_end, ended, failed;
    int64_t raw_size;
    uint64_t raw_count;
    struct stat at_open; /* of a regular file: it must stay as it is until the end */
    unsigned char *in;   /* BM_INFLATE_PUSHBACK + in_size */
    size_t in_size, in_pos, in_end;
    uint64_t produced, member_start; /* decoded bytes in all, and when this member began */
    uint32_t crc;                    /* of plain input, or of the members that are complete */
    uint32_t header_crc;
    unsigned char *hold; /* decoded bytes that were peeked at */
    size_t hold_pos, hold_end;
    unsigned char *scratch;
    struct bm_inflater *z;
    bm_bytes_end *end; /* NULL once it was called */
    void *end_self;
};

/* ---- raw input ---- */

/* Nothing more is to come: what stands behind a pipe may say whether that was all. */
static int end_of_input(struct bm_bytes *b, struct bm_error *err)
{
    bm_bytes_end *end = b->end;

    b->raw_end = true;
    b->end = NULL;
    return end ? end(b->end_self, err) : 0;
}

/* One read(2) through signals and non-blocking pipes. *got is 0 at the end of the file. */
static int read_some(struct bm_bytes *b, void *dst, size_t n, size_t *got, struct bm_error *err)
{
    for (;;) {
        ssize_t r = read(b->fd, dst, n);

        if (r >= 0) {
            *got = (size_t)r;
            b->raw_count += (uint64_t)r;
            return r == 0 ? end_of_input(b, err) : 0;
        }
        if (errno == EAGAIN) {
            struct pollfd wait = {.fd = b->fd, .events = POLLIN};
            (void)poll(&wait, 1, -1);
        } else if (errno != EINTR) {
            return bm_fail_errno(err, b->name, "cannot read");
        }
    }
}

static int fill_if_empty(struct bm_bytes *b, struct bm_error *err)
{
    size_t got;

    if (b->in_pos < b->in_end || b->raw_end)
        return 0;
    if (read_some(b, b->in + BM_INFLATE_PUSHBACK, b->in_size, &got, err))
        return -1;
    b->in_pos = BM_INFLATE_PUSHBACK;
    b->in_end = BM_INFLATE_PUSHBACK + got;
    return 0;
}

static int ends_early(const struct bm_bytes *b, struct bm_error *err)
{
    return bm_fail(err, BM_EDATA,
                   "%s: gzip data end early after %" PRIu64 " bytes; the file is truncated, fetch it again", b->name,
                   b->produced);
}

static int take_raw(struct bm_bytes *b, unsigned char *dst, size_t n, struct bm_error *err)
{
    while (n > 0) {
        if (fill_if_empty(b, err))
            return -1;
        size_t have = b->in_end - b->in_pos;
        if (have == 0)
            return ends_early(b, err);
        size_t step = have < n ? have : n;
        memcpy(dst, b->in + b->in_pos, step);
        b->in_pos += step;
        dst += step;
        n -= step;
    }
    return 0;
}

/* ---- gzip members (RFC 1952) ---- */

static int take_header(struct bm_bytes *b, unsigned char *dst, size_t n, struct bm_error *err)
{
    if (take_raw(b, dst, n, err))
        return -1;
    b->header_crc = bm_crc32(b->header_crc, dst, n);
    return 0;
}

static int skip_extra(struct bm_bytes *b, struct bm_error *err)
{
    unsigned char len[2], field[256];

    if (take_header(b, len, 2, err))
        return -1;
    for (size_t left = (size_t)len[0] | (size_t)len[1] << 8; left > 0;) {
        size_t step = left < sizeof field ? left : sizeof field;
        if (take_header(b, field, step, err))
            return -1;
        left -= step;
    }
    return 0;
}

static int skip_text(struct bm_bytes *b, struct bm_error *err)
{
    unsigned char c;

    do {
        if (take_header(b, &c, 1, err))
            return -1;
    } while (c != 0);
    return 0;
}

static int check_header_crc(struct bm_bytes *b, struct bm_error *err)
{
    unsigned char stored[2];
    uint32_t computed = b->header_crc & 0xFFFF;

    if (take_raw(b, stored, 2, err))
        return -1;
    if (computed != ((uint32_t)stored[0] | (uint32_t)stored[1] << 8))
        return bm_fail(err, BM_EDATA,
                       "%s: the gzip header's checksum does not match; the file is damaged, fetch it again", b->name);
    return 0;
}

static int followed(const struct bm_bytes *b, struct bm_error *err)
{
    return bm_fail(err, BM_EDATA,
                   "%s: the gzip data are followed by something else; cut it off or fetch the file again", b->name);
}

/* A member that begins with 0x1F. */
static int read_member_header(struct bm_bytes *b, struct bm_error *err)
{
    enum { FHCRC = 2, FEXTRA = 4, FNAME = 8, FCOMMENT = 16, RESERVED = 0xE0 };
    unsigned char h[10];

    b->header_crc = 0;
    if (take_header(b, h, sizeof h, err))
        return -1;
    if (h[1] != 0x8B)
        return followed(b, err);
    if (h[2] != 8)
        return bm_fail(err, BM_EDATA, "%s: gzip method %d is not deflate; fetch the file again", b->name, h[2]);
    if (h[3] & RESERVED)
        return bm_fail(err, BM_EDATA,
                       "%s: the gzip header sets reserved flags (0x%02x); the file is damaged, fetch it again",
                       b->name, h[3]);
    if ((h[3] & FEXTRA) && skip_extra(b, err))
        return -1;
    if ((h[3] & FNAME) && skip_text(b, err))
        return -1;
    if ((h[3] & FCOMMENT) && skip_text(b, err))
        return -1;
    return (h[3] & FHCRC) ? check_header_crc(b, err) : 0;
}

/* Zero bytes to the end of the file. */
static int skip_padding(struct bm_bytes *b, struct bm_error *err)
{
    for (;;) {
        if (fill_if_empty(b, err))
            return -1;
        if (b->in_pos == b->in_end)
            return 0;
        for (; b->in_pos < b->in_end; b->in_pos++)
            if (b->in[b->in_pos] != 0)
                return bm_fail(err, BM_EDATA,
                               "%s: the gzip data are followed by zeros and then by something else; cut it off or "
                               "fetch the file again",
                               b->name);
    }
}

/* 1: the inflater stands at the start of a member. 0: there is no further one. */
static int next_member(struct bm_bytes *b, struct bm_error *err)
{
    if (fill_if_empty(b, err))
        return -1;
    if (b->in_pos == b->in_end)
        return 0;
    if (b->in[b->in_pos] == 0)
        return skip_padding(b, err);
    if (b->in[b->in_pos] != 0x1F)
        return followed(b, err);
    if (read_member_header(b, err) || bm_inflater_start(&b->z, err))
        return -1;
    b->in_member = true;
    b->member_start = b->produced;
    return 1;
}

static uint32_t get_u32(const unsigned char *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static int end_member(struct bm_bytes *b, struct bm_error *err)
{
    unsigned char t[8];
    uint64_t length = b->produced - b->member_start;

    if (take_raw(b, t, sizeof t, err))
        return -1;
    if (get_u32(t) != bm_inflater_crc32(b->z))
        return bm_fail(
            err, BM_EDATA,
            "%s: the gzip checksum does not match (stored %08x, computed %08x); the file is damaged, fetch it again",
            b->name, (unsigned)get_u32(t), (unsigned)bm_inflater_crc32(b->z));
    if (get_u32(t + 4) != (uint32_t)length)
        return bm_fail(
            err, BM_EDATA,
            "%s: the gzip length does not match (stored %u, inflated %u); the file is damaged, fetch it again",
            b->name, (unsigned)get_u32(t + 4), (unsigned)(uint32_t)length);
    b->crc = bm_crc32_join(b->crc, bm_inflater_crc32(b->z), length);
    b->in_member = false;
    return 0;
}

/* Up to *n decoded bytes; *n = 0 only at the end of everything. */
static int produce_gzip(struct bm_bytes *b, unsigned char *out, size_t *n, struct bm_error *err)
{
    size_t want = *n < STEP_BYTES ? *n : STEP_BYTES;

    for (*n = 0; *n == 0;) {
        int more = b->in_member ? 1 : next_member(b, err);
        if (more <= 0)
            return more;
        if (fill_if_empty(b, err))
            return -1;
        size_t made = want;
        ptrdiff_t took = (ptrdiff_t)(b->in_end - b->in_pos);
        bool starved = took == 0;
        enum bm_inflated state = bm_inflater_run(b->z, b->in + b->in_pos, &took, out, &made);
        b->in_pos = (size_t)((ptrdiff_t)b->in_pos + took);
        b->produced += made;
        *n = made;
        if (state == BM_INFLATED_BAD)
            return bm_fail(err, BM_EDATA, "%s: gzip data are corrupt after %" PRIu64 " bytes; fetch the file again",
                           b->name, b->produced);
        if (state == BM_INFLATED_END && end_member(b, err))
            return -1;
        if (state == BM_INFLATED_MORE && made == 0 && starved)
            return ends_early(b, err);
    }
    return 0;
}

/* ---- decoded input ---- */

static int produce_plain(struct bm_bytes *b, unsigned char *out, size_t *n, struct bm_error *err)
{
    size_t want = *n, have;

    *n = 0;
    if (b->in_pos == b->in_end && !b->raw_end && want >= INPUT_BYTES) {
        if (read_some(b, out, want < STEP_BYTES ? want : STEP_BYTES, n, err))
            return -1;
    } else {
        if (fill_if_empty(b, err))
            return -1;
        have = b->in_end - b->in_pos;
        *n = have < want ? have : want;
        memcpy(out, b->in + b->in_pos, *n);
        b->in_pos += *n;
    }
    b->crc = bm_crc32(b->crc, out, *n);
    b->produced += *n;
    return 0;
}

/* Fills out[n]; *got is less only at the end. After a failure every further call fails too. */
static int produce(struct bm_bytes *b, unsigned char *out, size_t n, size_t *got, struct bm_error *err)
{
    *got = 0;
    if (b->failed)
        return bm_fail(err, BM_EDATA, "%s: cannot be read on after an earlier error; fetch the file again", b->name);
    while (*got < n && !b->ended) {
        size_t step = n - *got;
        int rc = b->gzip ? produce_gzip(b, out + *got, &step, err) : produce_plain(b, out + *got, &step, err);
        if (rc < 0) {
            b->failed = true;
            return -1;
        }
        b->ended = step == 0;
        *got += step;
    }
    return 0;
}

static size_t from_hold(struct bm_bytes *b, void *dst, size_t n)
{
    size_t have = b->hold_end - b->hold_pos, step = have < n ? have : n;

    memcpy(dst, b->hold + b->hold_pos, step);
    b->hold_pos += step;
    return step;
}

long long bm_bytes_read(struct bm_bytes *b, void *buf, size_t n, struct bm_error *err)
{
    size_t got, held = from_hold(b, buf, n);

    if (held < n && produce(b, (unsigned char *)buf + held, n - held, &got, err))
        return -1;
    return (long long)(held < n ? held + got : held);
}

const unsigned char *bm_bytes_peek(struct bm_bytes *b, size_t n, size_t *got, struct bm_error *err)
{
    size_t have = b->hold_end - b->hold_pos, more;

    n = n < HOLD_BYTES ? n : HOLD_BYTES;
    if (have < n) {
        memmove(b->hold, b->hold + b->hold_pos, have);
        b->hold_pos = 0;
        b->hold_end = have;
        if (produce(b, b->hold + have, n - have, &more, err))
            return NULL;
        b->hold_end += more;
    }
    have = b->hold_end - b->hold_pos;
    *got = have < n ? have : n;
    return b->hold + b->hold_pos;
}

static int make_scratch(struct bm_bytes *b, struct bm_error *err)
{
    if (!b->scratch)
        b->scratch = bm_alloc(SCRATCH_BYTES, 1, b->name, err);
    return b->scratch ? 0 : -1;
}

/* A file that is written to while we read it would be a mix of two. */
static int check_unchanged(const struct bm_bytes *b, struct bm_error *err)
{
    const struct stat *old = &b->at_open;
    struct stat now;

    if (!S_ISREG(old->st_mode))
        return 0;
    if (fstat(b->fd, &now))
        return bm_fail_errno(err, b->name, "cannot be looked at after reading");
    if (now.st_size != old->st_size || now.st_mtim.tv_sec != old->st_mtim.tv_sec ||
        now.st_mtim.tv_nsec != old->st_mtim.tv_nsec)
        return bm_fail(err, BM_EDATA, "%s: was written to while it was read; try again when it is complete", b->name);
    return 0;
}

int bm_bytes_finish(struct bm_bytes *b, uint64_t *left, struct bm_error *err)
{
    uint64_t total;

    return bm_bytes_finish_within(b, UINT64_MAX, left ? left : &total, err);
}

int bm_bytes_finish_within(struct bm_bytes *b, uint64_t most, uint64_t *left, struct bm_error *err)
{
    uint64_t total = 0;
    long long got;

    if (make_scratch(b, err))
        return -1;
    do {
        got = bm_bytes_read(b, b->scratch, SCRATCH_BYTES, err);
        if (got < 0)
            return -1;
        total += (uint64_t)got;
    } while ((size_t)got == SCRATCH_BYTES && total <= most);
    *left = total;
    return check_unchanged(b, err);
}

/* ---- opening and asking ---- */

/* Reads until two bytes are there: enough to tell gzip. */
static int read_start(struct bm_bytes *b, struct bm_error *err)
{
    size_t got;

    b->in_pos = b->in_end = BM_INFLATE_PUSHBACK;
    while (b->in_end < BM_INFLATE_PUSHBACK + 2 && !b->raw_end) {
        if (read_some(b, b->in + b->in_end, b->in_size + BM_INFLATE_PUSHBACK - b->in_end, &got, err))
            return -1;
        b->in_end += got;
    }
    b->gzip = b->in_end >= BM_INFLATE_PUSHBACK + 2 && b->in[BM_INFLATE_PUSHBACK] == 0x1F &&
              b->in[BM_INFLATE_PUSHBACK + 1] == 0x8B;
    return 0;
}

/* b->fd is an open file, or -1 with errno set. */
static int prepare(struct bm_bytes *b, struct bm_error *err)
{
    struct stat st;

    if (b->fd < 0 || fstat(b->fd, &st))
        return bm_fail_errno(err, b->name, "cannot open");
    b->at_open = st;
    if (S_ISDIR(st.st_mode))
        return bm_fail(err, BM_EDATA, "%s: is a directory; name a file", b->name);
    const off_t at = lseek(b->fd, 0, SEEK_CUR);
    if (at < 0 && S_ISREG(st.st_mode))
        return bm_fail_errno(err, b->name, "cannot be read");
    b->raw_size = S_ISREG(st.st_mode) && at <= st.st_size ? (int64_t)(st.st_size - at) : -1;
    (void)posix_fadvise(b->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    b->in_size = b->raw_size >= 0 && (uint64_t)b->raw_size < INPUT_BYTES ? (size_t)b->raw_size + 2 : INPUT_BYTES;
    b->in = bm_alloc(BM_INFLATE_PUSHBACK + b->in_size, 1, b->name, err);
    b->hold = bm_alloc(HOLD_BYTES, 1, b->name, err);
    return b->in && b->hold ? read_start(b, err) : -1;
}

static int open_input(struct bm_bytes *b, const char *path, struct bm_error *err)
{
    const bool is_stdin = strcmp(path, "-") == 0;

    b->name = bm_strdup(is_stdin ? "standard input" : path, err);
    if (!b->name)
        return -1;
    b->fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (prepare(b, err))
        return -1;
    return is_stdin ? 0 : bm_inputs_note(path, &b->at_open, err);
}

struct bm_bytes *bm_bytes_open(const char *path, struct bm_error *err)
{
    struct bm_bytes *b = bm_calloc(1, sizeof *b, path, err);

    if (!b)
        return NULL;
    b->fd = -1;
    if (open_input(b, path, err)) {
        bm_bytes_close(b);
        return NULL;
    }
    return b;
}

struct bm_bytes *bm_bytes_pipe(const char *name, int fd, bm_bytes_end *end, void *self, struct bm_error *err)
{
    struct bm_bytes *b = bm_calloc(1, sizeof *b, name, err);

    if (!b) {
        (void)close(fd);
        if (end)
            (void)end(self, NULL);
        return NULL;
    }
    b->fd = fd;
    b->end = end;
    b->end_self = self;
    b->name = bm_strdup(name, err);
    if (!b->name || prepare(b, err)) {
        bm_bytes_close(b);
        return NULL;
    }
    return b;
}

void bm_bytes_close(struct bm_bytes *b)
{
    if (!b)
        return;
    if (b->fd > STDIN_FILENO)
        (void)close(b->fd);
    if (b->end)
        (void)b->end(b->end_self, NULL);
    bm_inflater_free(b->z);
    free(b->scratch);
    free(b->hold);
    free(b->in);
    free(b->name);
    free(b);
}

bool bm_bytes_gzip(const struct bm_bytes *b)
{
    return b->gzip;
}

uint64_t bm_bytes_count(const struct bm_bytes *b)
{
    return b->produced - (b->hold_end - b->hold_pos);
}

uint32_t bm_bytes_crc32(const struct bm_bytes *b)
{
    return b->crc;
}

uint64_t bm_bytes_raw_count(const struct bm_bytes *b)
{
    return b->raw_count;
}

int64_t bm_bytes_raw_size(const struct bm_bytes *b)
{
    return b->raw_size;
}

bool bm_bytes_may_hold(const struct bm_bytes *b, uint64_t n)
{
    if (b->raw_size < 0)
        return true;
    return (b->gzip ? n / BM_DEFLATE_MAX_RATIO : n) <= (uint64_t)b->raw_size;
}

const char *bm_bytes_name(const struct bm_bytes *b)
{
    return b->name;
}
