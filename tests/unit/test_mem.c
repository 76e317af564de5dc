#include "core/mem.h"
#include "unit.h"

#include <errno.h>
#include <stdint.h>
#include <wchar.h>

/* The address sanitizer would rather stop the program. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}

static void sizes_that_wrap(void)
{
    struct bm_error err = {0};
    size_t n = 7;

    CHECK(bm_mul(3, 4, &n, "x", &err) == 0 && n == 12 && bm_add(3, 4, &n, "x", &err) == 0 && n == 7);
    CHECK(bm_mul(SIZE_MAX, 0, &n, "x", &err) == 0 && n == 0 && bm_add(SIZE_MAX, 0, &n, "x", &err) == 0);
    CHECK(bm_mul(SIZE_MAX / 2 + 1, 2, &n, "voxels", &err) == -1 && err.code == BM_EDATA);
    CHECK_ERR_CONTAINS(&err, "voxels: the size does not fit");
    err = (struct bm_error){0};
    CHECK(bm_add(SIZE_MAX, 1, &n, "rows", &err) == -1);
    CHECK_ERR_CONTAINS(&err, "rows: the size does not fit");
    err = (struct bm_error){0};
    CHECK(!bm_alloc(SIZE_MAX, 2, "x", &err) && !bm_calloc(SIZE_MAX, 2, "x", &err) && err.code == BM_EDATA);
}

static void more_than_there_is(void)
{
    static const size_t much = (size_t)1 << 60;

    for (int i = 0; i < 3; i++) {
        struct bm_error err = {0};
        void *p = i == 0   ? bm_alloc(much, 1, "x", &err)
                  : i == 1 ? bm_calloc(much, 1, "x", &err)
                           : bm_alloc_large(much, "x", &err);
        CHECK_ROW(!p && err.code == BM_ESYS, i);
        CHECK_ERR_CONTAINS(&err, "x: out of memory");
        free(p);
    }
}

/* Sizes at the end of the address space must not wrap on the way to the next page. */
static void large_areas_that_wrap(void)
{
    for (size_t less = 0; less < 3; less++) {
        struct bm_error err = {0};

        CHECK_ROW(!bm_alloc_large(SIZE_MAX - less * 1048576, "x", &err) && err.code == BM_ESYS, less);
        CHECK_ERR_CONTAINS(&err, "x: out of memory");
    }
}

static void large_areas(void)
{
    static const size_t sizes[] = {0, 1, 4194303, 4194304, 5000000};

    for (size_t i = 0; i < COUNT(sizes); i++) {
        struct bm_error err = {0};
        unsigned char *p = bm_alloc_large(sizes[i], "x", &err);
        REQUIRE(p, &err);
        memset(p, 1, sizes[i]);
        CHECK_ROW(sizes[i] < 4194304 || (uintptr_t)p % 2097152 == 0, i);
        free(p);
    }
}

static void buffers_grow_and_keep(void)
{
    struct bm_buf buf = {0};
    struct bm_error err = {0};

    CHECK(bm_buf_resize(&buf, 0, &err) == 0 && buf.data && buf.size == 0);
    CHECK(bm_buf_append(&buf, NULL, 0, &err) == 0 && buf.size == 0);
    for (unsigned char i = 0; i < 200; i++)
        CHECK(bm_buf_append(&buf, &i, 1, &err) == 0);
    CHECK(buf.size == 200 && ((unsigned char *)buf.data)[7] == 7 && ((unsigned char *)buf.data)[199] == 199);
    CHECK(bm_buf_append(&buf, "", SIZE_MAX, &err) == -1 && buf.size == 200); /* the sum wraps */
    CHECK(err.code == BM_EDATA);
    err = (struct bm_error){0};
    CHECK(bm_buf_append(&buf, "", SIZE_MAX / 2, &err) == -1 && err.code == BM_ESYS && buf.size == 200);
    err = (struct bm_error){0};
    CHECK(bm_buf_resize(&buf, 5, &err) == 0 && buf.size == 5 && buf.cap >= 200);
    CHECK(bm_buf_resize(&buf, (size_t)1 << 60, &err) == -1 && err.code == BM_ESYS);
    bm_buf_free(&buf);
    CHECK(!buf.data && !buf.cap);
}

static void texts(void)
{
    struct bm_error err = {0};
    char *text = bm_format(&err, "%s-%03d", "run", 7), *again = text ? bm_strdup(text, &err) : NULL;

    CHECK(text && again && text != again && strcmp(text, "run-007") == 0 && strcmp(again, text) == 0);
    free(text);
    free(again);
    CHECK(!bm_format(&err, "%lc", (wint_t)0x110000) && err.code == BM_ESYS); /* no such character */
    CHECK_ERR_CONTAINS(&err, "text: cannot be formatted");
}

static void remedies(void)
{
    static const struct {
        int number;
        enum bm_code code;
        const char *says;
    } rows[] = {
        {ENOENT, BM_ESYS, "check the name"},
        {EACCES, BM_ESYS, "check the permissions"},
        {EPERM, BM_ESYS, "check the permissions"},
        {EROFS, BM_ESYS, "check the permissions"},
        {ENOSPC, BM_ESYS, "make room"},
        {EDQUOT, BM_ESYS, "make room"},
        {EISDIR, BM_ESYS, "name a file"},
        {ENOMEM, BM_ESYS, "more memory"},
        {EIO, BM_ESYS, "Input/output error"},
        {EPIPE, BM_EPIPE, "closed the pipe"},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct bm_error err = {0};
        errno = rows[i].number;
        CHECK_ROW(bm_fail_errno(&err, "a\nb", "cannot be") == -1 && err.code == rows[i].code, i);
        CHECK_ERR_CONTAINS(&err, "a?b: cannot be");
        CHECK_ERR_CONTAINS(&err, rows[i].says);
        CHECK(bm_fail(&err, BM_EDATA, "later") == -1 && !strstr(err.text, "later")); /* the first counts */
    }
}

/* Control characters of ASCII and of Latin-1 in UTF-8 go; the letters that begin with the same byte stay. */
static void messages_are_printable(void)
{
    static const char *const rows[][2] = {{"a\n\x1b\x7f z~", "a??? z~"},
                                          {"\xc2\x80\xc2\x9b\xc2\x9f", "??????"},
                                          {"\xc2\xa0\xc2\xbf\xc3\x9b", "\xc2\xa0\xc2\xbf\xc3\x9b"},
                                          {"\xc2", "\xc2"},
                                          {"\xc2\n", "\xc2?"},
                                          {"", ""}};

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct bm_error err = {0};
        CHECK_ROW(bm_fail(&err, BM_EDATA, "%s", rows[i][0]) == -1 && strcmp(err.text, rows[i][1]) == 0, i);
    }
}

int main(void)
{
    static const struct unit_test all[] = {
        UNIT(sizes_that_wrap), UNIT(more_than_there_is),    UNIT(large_areas_that_wrap),
        UNIT(large_areas),     UNIT(buffers_grow_and_keep), UNIT(texts),
        UNIT(remedies),        UNIT(messages_are_printable)};

    return unit_main(all, COUNT(all));
}
