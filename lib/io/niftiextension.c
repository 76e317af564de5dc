#include "io/niftifields.h"

#include <inttypes.h>
#include <stdio.h>

/* What is between the header and the samples of a single file, in all: UINT64_MAX where the end of a .hdr is the
 * limit. */
static uint64_t room_for_extensions(const struct bm_bytes *b, const struct bm_nifti_fields *f)
{
    return f->pair ? UINT64_MAX : (uint64_t)f->vox_offset - bm_bytes_count(b);
}

static int bad_extension(struct bm_error *err, const struct bm_nifti_fields *f, size_t number, int64_t esize,
                         const char *why)
{
    return bm_fail(err, BM_EDATA,
                   "%s: NIfTI header: extension %zu: esize is %" PRId64 ": %s; write the file again with a "
                   "conforming tool",
                   f->name, number, esize, why);
}

/* The claim of an extension where there is none. */
static int no_extension(struct bm_error *err, const struct bm_nifti_fields *f, int flag, const char *where)
{
    return bm_fail(
        err, BM_EDATA,
        "%s: NIfTI header: extension[0] is %d, but there is no extension%s (vox_offset is %.0f); write the "
        "file again with a conforming tool",
        f->name, flag, where, f->vox_offset);
}

int bm_nifti_skip(struct bm_bytes *b, uint64_t n, struct bm_error *err)
{
    unsigned char dropped[4096];

    while (n > 0) {
        const size_t part = n < sizeof dropped ? (size_t)n : sizeof dropped;
        const long long got = bm_bytes_read(b, dropped, part, err);

        if (got < 0 || (size_t)got < part)
            return got < 0 ? -1 : 0;
        n -= part;
    }
    return 1;
}

static void note_extension(struct bm_nifti_info *info, int64_t esize, int64_t ecode)
{
    if (info->extensions < BM_NIFTI_EXTENSIONS)
        info->extension[info->extensions] = (struct bm_nifti_extension){.code = (int)ecode, .size = (uint32_t)esize};
    info->extensions++;
    if (esize % 16 != 0)
        (void)snprintf(info->doubt, sizeof info->doubt, "an extension's esize is no multiple of 16");
}

/* One extension: esize and ecode, then esize - 8 bytes. 1: got it; 0: there are no more; -1: error. Zeros in place of
 * esize and ecode are padding. */
static int next_extension(struct bm_bytes *b, const struct bm_nifti_fields *f, uint64_t *room,
                          struct bm_nifti_info *info, struct bm_error *err)
{
    unsigned char h[8];
    const size_t number = info->extensions + 1;
    const long long got = *room < 16 ? 0 : bm_bytes_read(b, h, sizeof h, err);

    if (got <= 0)
        return (int)got;
    if (got < 4)
        return bm_fail(err, BM_EDATA,
                       "%s: NIfTI header: extension %zu: the file ends within its esize; fetch it again", f->name,
                       number);
    if (got < 8)
        return bad_extension(err, f, number, bm_nifti_get_int(h, 4, f->big_endian), "the file ends within it");
    const int64_t esize = bm_nifti_get_int(h, 4, f->big_endian), ecode = bm_nifti_get_int(h + 4, 4, f->big_endian);
    if (esize == 0 && ecode == 0)
        return 0;
    if (esize < 8)
        return bad_extension(err, f, number, esize, "less than its own 8 bytes");
    if ((uint64_t)esize > *room)
        return bad_extension(err, f, number, esize, "it does not end before the samples, at vox_offset");
    const int whole = bm_nifti_skip(b, (uint64_t)esize - 8, err);
    if (whole <= 0)
        return whole < 0 ? -1 : bad_extension(err, f, number, esize, "the file ends within it");
    *room -= f->pair ? 0 : (uint64_t)esize;
    note_extension(info, esize, ecode);
    return 1;
}

int bm_nifti_extensions(struct bm_bytes *b, const struct bm_nifti_fields *f, struct bm_nifti_info *info,
                        struct bm_error *err)
{
    unsigned char flags[4] = {0};
    const long long got = bm_bytes_read(b, flags, sizeof flags, err);
    int more = 1;

    if (got < 0)
        return -1;
    if (got < 4 && !f->pair)
        return bm_fail(err, BM_EDATA,
                       "%s: NIfTI header: vox_offset is %.0f, but the file has %" PRIu64 " bytes; fetch it again",
                       f->name, f->vox_offset, bm_bytes_count(b));
    if (got < 4 || flags[0] == 0) /* a .hdr may end with the header itself */
        return 0;
    uint64_t room = room_for_extensions(b, f);
    while (more > 0)
        more = next_extension(b, f, &room, info, err);
    if (more == 0 && info->extensions == 0)
        return no_extension(err, f, flags[0], f->pair ? " behind the header" : " before the samples");
    return more;
}
