/* Files for tests: a scratch directory that goes away at exit, small files in it, gzip of any shape, the public data.
 */
#ifndef BM_UNIT_FILES_H
#define BM_UNIT_FILES_H

#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

static char scratch_dir[512];

static int remove_one(const char *path, const struct stat *st, int what, struct FTW *at)
{
    (void)st;
    (void)what;
    (void)at;
    return remove(path) && errno != ENOENT;
}

static void remove_scratch(void)
{
    (void)nftw(scratch_dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* The path of a file in the scratch directory; good until the fourth call from now. */
__attribute__((unused)) static const char *scratch(const char *name)
{
    static char paths[4][1024];
    static unsigned next;
    const char *tmp = getenv("TMPDIR");

    if (!scratch_dir[0]) {
        (void)snprintf(scratch_dir, sizeof scratch_dir, "%s/boldmill-unit-XXXXXX", tmp ? tmp : "/tmp");
        if (!mkdtemp(scratch_dir)) {
            perror(scratch_dir);
            exit(1);
        }
        (void)atexit(remove_scratch);
    }
    char *path = paths[next++ % 4];
    (void)snprintf(path, sizeof paths[0], "%s/%s", scratch_dir, name);
    return path;
}

__attribute__((unused)) static const char *put_file(const char *name, const void *data, size_t n)
{
    const char *path = scratch(name);

    (void)unlink(path); /* some file systems wait for the disk when a file is truncated and written again */
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(data, 1, n, f) != n || fclose(f) != 0) {
        perror(path);
        exit(1);
    }
    return path;
}

__attribute__((unused)) static const char *put_text(const char *name, const char *text)
{
    return put_file(name, text, strlen(text));
}

/* A whole file; the caller frees it. NULL if it is not there. */
__attribute__((unused)) static unsigned char *get_file(const char *path, size_t *n)
{
    FILE *f = fopen(path, "rb");
    struct stat st;

    if (!f || fstat(fileno(f), &st))
        return NULL;
    unsigned char *p = malloc((size_t)st.st_size + 1);
    *n = p ? fread(p, 1, (size_t)st.st_size, f) : 0;
    (void)fclose(f);
    return p;
}

/* One gzip member of data[n] into out[cap]: raw deflate between a header with the given flag bits and a trailer. */
__attribute__((unused)) static size_t gzip_member(unsigned char *out, size_t cap, const void *data, size_t n,
                                                  int flags)
{
    unsigned char h[64] = {0x1F, 0x8B, 8, (unsigned char)flags, 0, 0, 0, 0, 0, 255};
    size_t used = 10;
    z_stream s = {0};
    uint32_t crc = (uint32_t)crc32_z(0, data, n), size = (uint32_t)n;

    if (flags & 4) {
        memcpy(h + used, "\4\0ab\1\2", 6);
        used += 6;
    }
    if (flags & 8) {
        memcpy(h + used, "name", 5);
        used += 5;
    }
    if (flags & 16) {
        memcpy(h + used, "remark", 7);
        used += 7;
    }
    if (flags & 2) {
        uint32_t c = (uint32_t)crc32_z(0, h, used);
        h[used++] = (unsigned char)c;
        h[used++] = (unsigned char)(c >> 8);
    }
    memcpy(out, h, used);
    s.next_in = (unsigned char *)(uintptr_t)data;
    s.avail_in = (uInt)n;
    s.next_out = out + used;
    s.avail_out = (uInt)(cap - used - 8);
    if (deflateInit2(&s, 6, Z_DEFLATED, -15, 8, 0) != Z_OK || deflate(&s, Z_FINISH) != Z_STREAM_END)
        exit(1);
    used += s.total_out;
    (void)deflateEnd(&s);
    for (int i = 0; i < 4; i++) {
        out[used + (size_t)i] = (unsigned char)(crc >> (8 * i));
        out[used + (size_t)i + 4] = (unsigned char)(size >> (8 * i));
    }
    return used + 8;
}

/* A path in the public test data, or NULL where there are none. */
__attribute__((unused)) static const char *shared_file(const char *name)
{
    static char path[1024];
    const char *dir = getenv("BM_SHARED");

    (void)snprintf(path, sizeof path, "%s/%s", dir ? dir : "../shared/data", name);
    return access(path, R_OK) == 0 ? path : NULL;
}

#endif
