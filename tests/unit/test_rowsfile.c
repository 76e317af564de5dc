/* What describes the rows of arrays: their metadata, or the description's runs. */
#include "files.h"
#include "io/npy.h"
#include "io/rowsfile.h"
#include "io/runjson.h"
#include "unit.h"

/* A description under a seal whose checksum zlib made. */
static const char *put_json(const char *open)
{
    char text[600];

    (void)snprintf(text, sizeof text, "%s,\"crc32\":\"%08lx\"}\n", open,
                   crc32(0, (const unsigned char *)open, (unsigned)strlen(open)));
    return put_text("a.json", text);
}

static void runs_of_a_description(void)
{
    struct bm_rowsfile f;
    struct bm_error err = {0};
    const char *path = put_json("{\"boldmill\":\"arrays\",\"schema\":1,\"subject\":3,\"runs\":["
                                "{\"session\":1,\"run\":2,\"first_row\":0,\"rows\":10},"
                                "{\"session\":2,\"run\":1,\"first_row\":10,\"rows\":0}]");

    REQUIRE(bm_rowsfile_read(path, &f, &err) == 0, &err);
    CHECK(f.nruns == 2 && f.runs[0].subject == 3 && f.runs[0].session == 1 && f.runs[0].run == 2);
    CHECK(f.runs[0].rows == 10 && f.runs[1].rows == 0 && f.meta.history == 0);
    bm_rowsfile_clear(&f);
}

#define HEAD "{\"boldmill\":\"arrays\",\"schema\":1,\"subject\":3,\"runs\":[{"

static void descriptions_that_lie(void)
{
    static const struct {
        const char *open, *says;
    } rows[] = {
        {"{\"schema\":1,\"subject\":3,\"runs\":[]", "does not describe arrays"},
        {"{\"boldmill\":\"series\",\"schema\":1,\"subject\":3,\"runs\":[]", "does not describe arrays"},
        {"{\"boldmill\":\"arrays\",\"schema\":1,\"subject\":3,\"runs\":7", "does not describe arrays"},
        {"{\"boldmill\":\"arrays\",\"schema\":2,\"subject\":3,\"runs\":[]", "schema is not 1"},
        {"{\"boldmill\":\"arrays\",\"subject\":3,\"runs\":[]", "schema is not 1"},
        {"{\"boldmill\":\"arrays\",\"schema\":1,\"runs\":[]", "\"subject\" is not a subject number"},
        {"{\"boldmill\":\"arrays\",\"schema\":1,\"subject\":-3,\"runs\":[]", "\"subject\" is not a subject number"},
        {"{\"boldmill\":\"arrays\",\"schema\":1,\"subject\":32768,\"runs\":[]", "\"subject\" is not"},
        {HEAD "\"session\":-1,\"run\":2,\"first_row\":0,\"rows\":10}]", "entry 0 of \"runs\" needs"},
        {HEAD "\"session\":1,\"run\":\"2\",\"first_row\":0,\"rows\":10}]", "entry 0 of \"runs\" needs"},
        {HEAD "\"session\":1,\"run\":2,\"first_row\":1,\"rows\":10}]",
         "needs session, run, rows and a first_row of 0"},
        {HEAD "\"session\":1,\"run\":2,\"first_row\":0,\"rows\":-1}]", "entry 0 of \"runs\" needs"},
        {HEAD "\"session\":1,\"run\":2,\"first_row\":0,\"rows\":9223372036854775807}]", "entry 0 of \"runs\" needs"},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct bm_rowsfile f;
        struct bm_error err = {0};
        CHECK_ROW(bm_rowsfile_read(put_json(rows[i].open), &f, &err) == -1 && !f.runs, i);
        CHECK_ERR_CONTAINS(&err, "a.json: ");
        CHECK_ERR_CONTAINS(&err, rows[i].says);
    }
}

/* An array of three rows of this type, or of another shape. */
static const char *put_rows(const char *descr, size_t ndim, size_t rows)
{
    static const unsigned char zeros[4096];
    const size_t shape[2] = {rows, 1};
    struct bm_buf header = {0};
    struct bm_error err = {0};
    unsigned char file[6000];

    if (bm_npy_format_header(&header, descr, descr[0] == '[', ndim, shape, 64, &err))
        unit_fail("%s", err.text);
    memcpy(file, header.data, header.size);
    memcpy(file + header.size, zeros, 3 * 26);
    const char *path = put_file("a.meta.npy", file, header.size + 3 * 26);
    bm_buf_free(&header);
    return path;
}

static void metadata_that_are_none(void)
{
    char good[512], other[512];
    struct bm_rowsfile f;
    struct bm_error err = {0};

    (void)bm_meta_descr(2, good, sizeof good);
    REQUIRE(bm_rowsfile_read(put_rows(good, 1, 3), &f, &err) == 0, &err);
    CHECK(f.meta.history == 2 && f.meta.n == 3 && f.nruns == 0);
    bm_rowsfile_clear(&f);
    (void)snprintf(other, sizeof other, "%s", good);
    memcpy(strstr(other, "time"), "Time", 4);
    const struct {
        const char *descr;
        size_t ndim, rows;
        const char *says;
    } rows[] = {
        {"<i4", 1, 3, "is not an array of metadata rows"},
        {good, 2, 3, "is not an array of metadata rows"},
        {other, 1, 3, "is not an array of metadata rows"},
        {"[('a', '<i4')]", 1, 3, "is not an array of metadata rows"},
        {"[('stimulus_history', '<i4', (0,))]", 1, 3, "is not an array of metadata rows"},
        {"[('stimulus_history', '<i4', (1025,))]", 1, 3, "is not an array of metadata rows"},
        {good, 1, 4, "ends after 3 of 4 rows"},
        {good, 1, 2, "has bytes after its last row"},
        {good, 1, SIZE_MAX / 2, "address space"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct bm_error e = {0};
        CHECK_ROW(bm_rowsfile_read(put_rows(rows[i].descr, rows[i].ndim, rows[i].rows), &f, &e) == -1, i);
        CHECK_ERR_CONTAINS(&e, rows[i].says);
        CHECK_ROW(!f.meta.data, i);
    }
}

static void other_files(void)
{
    struct bm_rowsfile f;
    struct bm_error err = {0};

    CHECK(bm_rowsfile_read(put_text("x", "hello"), &f, &err) == -1);
    CHECK_ERR_CONTAINS(&err, "x: is neither metadata nor an arrays description");
    err = (struct bm_error){0};
    CHECK(bm_rowsfile_read(put_text("x", ""), &f, &err) == -1);
    CHECK_ERR_CONTAINS(&err, "x: is neither metadata nor");
    err = (struct bm_error){0};
    CHECK(bm_rowsfile_read(scratch("absent"), &f, &err) == -1 && err.code == BM_ESYS);
}

int main(void)
{
    static const struct unit_test all[] = {UNIT(runs_of_a_description), UNIT(descriptions_that_lie),
                                           UNIT(metadata_that_are_none), UNIT(other_files)};

    return unit_main(all, COUNT(all));
}
