/* Advice about the rows of a file: it changes no value, and what is asked for comes into memory. */
#include "load/ahead.h"
#include "unit.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#define ROWS 3000
#define ROW_BYTES 10000
#define OFFSET 4096
#define LENGTH ((size_t)OFFSET + (size_t)ROWS * ROW_BYTES)

static struct bm_rows_file file;
static const unsigned char *data;

static unsigned char byte_at(size_t row, size_t i)
{
    return (unsigned char)(row * 31 + i * 7 + 1);
}

static bool open_file(void)
{
    char path[] = "build/test_ahead.XXXXXX", *row = malloc(ROW_BYTES);

    file = (struct bm_rows_file){mkstemp(path), NULL, OFFSET, ROW_BYTES};
    bool done = file.fd >= 0 && unlink(path) == 0;
    for (size_t r = 0; done && r < ROWS; r++) {
        for (size_t i = 0; i < ROW_BYTES; i++)
            row[i] = (char)byte_at(r, i);
        done = pwrite(file.fd, row, ROW_BYTES, (off_t)(OFFSET + r * ROW_BYTES)) == ROW_BYTES;
    }
    free(row);
    char *map = done && fsync(file.fd) == 0 ? mmap(NULL, LENGTH, PROT_READ, MAP_SHARED, file.fd, 0) : MAP_FAILED;
    if (map == MAP_FAILED)
        return false;
    file.map = map + OFFSET;
    data = file.map;
    return true;
}

static bool all_is_there(void)
{
    for (size_t r = 0; r < ROWS; r++)
        for (size_t i = 0; i < ROW_BYTES; i += 97)
            if (data[r * ROW_BYTES + i] != byte_at(r, i))
                return false;
    return true;
}

/* Is the middle of a row in the system's cache? Looking does not bring it there. */
static bool cached(size_t row)
{
    uintptr_t at = (uintptr_t)(data + row * ROW_BYTES + ROW_BYTES / 2), page = (uintptr_t)sysconf(_SC_PAGESIZE);
    unsigned char there = 0;

    return mincore((void *)(at / page * page), 1, &there) == 0 && (there & 1);
}

/* Does the system forget a file, of which nothing is mapped, when it is asked to? */
static bool can_let_go(void)
{
    char path[] = "build/test_ahead.XXXXXX", zeros[4096] = {0};
    unsigned char there = 1;
    int fd = mkstemp(path);
    bool done = fd >= 0 && unlink(path) == 0;

    for (int i = 0; done && i < 16; i++)
        done = write(fd, zeros, sizeof zeros) == sizeof zeros;
    done = done && fsync(fd) == 0 && posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) == 0;
    void *map = done ? mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;
    done = map != MAP_FAILED && mincore(map, 1, &there) == 0 && !(there & 1);
    if (map != MAP_FAILED)
        (void)munmap(map, 4096);
    if (fd >= 0)
        (void)close(fd);
    return done;
}

static size_t count_cached(size_t first, size_t end)
{
    size_t n = 0;

    for (size_t r = first; r < end; r++)
        n += cached(r);
    return n;
}

static void rows_go_and_come_back(void)
{
    int64_t all[ROWS], some[300], *whole = all + 1000;
    const int64_t apart[] = {2000, 2400, 2900};

    for (int64_t i = 0; i < ROWS; i++)
        all[i] = i;
    if (!can_let_go())
        SKIP("this file system does not let go of pages, or does not tell");
    CHECK(all_is_there());
    bm_rows_release(&file, all, ROWS);
    CHECK(count_cached(0, ROWS) < 300); /* what shares a large page with the header may stay */
    for (int64_t i = 0; i < 300; i++)
        some[i] = 1000 + 2 * i; /* the rows between them come, too */
    CHECK(bm_rows_fetch(&file, some, 300) == 599 * (int64_t)ROW_BYTES);
    for (int wait = 0; wait < 500 && count_cached(1000, 1599) < 599; wait++)
        (void)usleep(10000);
    CHECK(count_cached(1000, 1599) == 599 && count_cached(2000, ROWS) < 300);
    CHECK(bm_rows_fetch(&file, some, 300) == 0);                           /* they are there */
    CHECK(bm_rows_fetch(&file, apart, 3) == 3 * (int64_t)ROW_BYTES);       /* one by one */
    CHECK(bm_rows_fetch(&file, whole, 2000) == 2000 * (int64_t)ROW_BYTES); /* in several pieces */
    CHECK(all_is_there());
}

static void neighbours_of_what_is_released_stay(void)
{
    const int64_t rows[] = {100, 101, 500};

    CHECK(all_is_there());
    bm_rows_release(&file, rows, 3);
    CHECK(cached(99) && cached(102) && cached(499) && cached(501));
    struct bm_rows_file narrow = file; /* a row lies within a page that others share */
    const int64_t row = (int64_t)(ROW_BYTES / 2) / 100 + 700 * ROW_BYTES / 100;
    narrow.row_bytes = 100;
    bm_rows_release(&narrow, &row, 1);
    CHECK(cached(700));
    CHECK(all_is_there());
}

static void nothing_to_tell(void)
{
    const struct bm_rows_file closed = {-1, NULL, 0, 1};
    const int64_t row = 0;

    CHECK(bm_rows_fetch(&file, &row, 0) == 0);
    bm_rows_release(&file, &row, 0);
    (void)bm_rows_fetch(&closed, &row, 1);
    bm_rows_release(&closed, &row, 1);
    CHECK(all_is_there());
}

int main(void)
{
    static const struct unit_test all[] = {
        UNIT(rows_go_and_come_back),
        UNIT(neighbours_of_what_is_released_stay),
        UNIT(nothing_to_tell),
    };
    if (!open_file()) {
        (void)printf("FAIL no file could be made in build/\n0 passed, 1 failed\n");
        return 1;
    }
    return unit_main(all, COUNT(all));
}
