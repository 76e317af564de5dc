#include "files.h"
#include "io/bytes.h"
#include "io/seriesfile_seal.h"
#include "unit.h"

#include <unistd.h>

#define SIZE ((size_t)5 << 20)
#define N 7

static unsigned char content[SIZE];

/* Parts of all sizes, the last one up to the end: less and more than what a thread reads at once. */
static void make_parts(struct bm_series_part parts[N])
{
    static const size_t at[N] = {100, 200, 300000, 1400000, 1400010, 4000000, SIZE - 9};
    static const size_t size[N] = {100, 5, 900000, 10, 2500000, 1, 9};

    for (size_t i = 0; i < N; i++) /* in no order */
        parts[(i * 3) % N] =
            (struct bm_series_part){.at = at[i], .size = size[i], .crc = bm_crc32(0, content + at[i], size[i])};
}

/* Writes the content and seals it. */
static int seal(struct bm_series_part *parts, size_t n, int threads, struct bm_error *err)
{
    struct bm_commit *c = bm_commit_open(scratch("sealed"), err);
    int status = c && write(bm_commit_fd(c), content, SIZE) == (ssize_t)SIZE ? 0 : -1;

    if (!status)
        status = bm_series_seal(c, parts, n, threads, err);
    if (!status)
        return bm_commit_done(c, err);
    bm_commit_drop(c);
    return -1;
}

static void any_number_of_threads(void)
{
    struct bm_error err = {0};
    char want[64], have[64] = "";

    (void)snprintf(want, sizeof want, "\nboldmill series crc32 %08x\n", (unsigned)bm_crc32(0, content, SIZE));
    for (int threads = 1; threads < 6; threads++) {
        struct bm_series_part parts[N];
        FILE *f;

        make_parts(parts);
        REQUIRE(seal(parts, threads == 5 ? 0 : N, threads, &err) == 0, &err);
        f = fopen(scratch("sealed"), "rb");
        CHECK_ROW(f && fseek(f, SIZE, SEEK_SET) == 0 && fread(have, 1, sizeof have, f) == 32, threads);
        CHECK_ROW(!strncmp(have, want, 32), threads);
        if (f)
            (void)fclose(f);
        CHECK_ROW(bm_series_check_seal(scratch("sealed"), &err) == 0, threads);
    }
}

static void parts_that_are_not_as_written(void)
{
    for (int threads = 1; threads < 4; threads++) {
        for (size_t i = 0; i < N * 4; i++) {
            struct bm_series_part parts[N], *part = &parts[i / 4];
            struct bm_error err = {0};

            make_parts(parts);
            switch (i % 4) {
            case 0:
                part->crc ^= 1;
                break;
            case 1: /* another place */
                part->at++;
                break;
            case 2: /* over the next one, or the end */
                part->size = SIZE - part->at + 1;
                break;
            default:
                part->size = UINT64_MAX;
            }
            CHECK_ROW(seal(parts, N, threads, &err) == -1, i);
            CHECK_ERR_CONTAINS(&err, "sealed: what was written is not what stands on the disk");
        }
    }
    CHECK(access(scratch("sealed"), F_OK) != 0);
}

int main(void)
{
    static const struct unit_test all[] = {UNIT(parts_that_are_not_as_written), UNIT(any_number_of_threads)};

    for (size_t i = 0; i < SIZE; i++)
        content[i] = (unsigned char)((i * 2654435761u) >> 13);
    return unit_main(all, COUNT(all));
}
