#include "core/mem.h"
#include "files.h"
#include "io/npy.h"
#include "unit.h"

/* An NPY file of the given version, dict and data. */
static const char *put_npy(const char *name, int version, const char *dict, const void *data, size_t n)
{
    static unsigned char file[5000];
    size_t length = strlen(dict), start = version == 1 ? 10 : 12;

    memcpy(file, "\x93NUMPY", 6);
    file[6] = (unsigned char)version;
    file[7] = 0;
    for (size_t i = 8; i < start; i++)
        file[i] = (unsigned char)(length >> (8 * (i - 8)));
    memcpy(file + start, dict, length);
    memcpy(file + start + length, data, n);
    return put_file(name, file, start + length + n);
}

static int read_header(const char *path, struct bm_npy_header *h, struct bm_error *err)
{
    struct bm_bytes *b = bm_bytes_open(path, err);
    int rc = b ? bm_npy_read_header(b, h, err) : -1;

    bm_bytes_close(b);
    return rc;
}

static void headers_that_are_read(void)
{
    static const struct {
        const char *dict, *descr;
        bool structured, fortran;
        size_t itemsize, ndim, last;
    } rows[] = {
        {"{'descr': '<i2', 'fortran_order': False, 'shape': (3, 4), }  \n", "<i2", false, false, 2, 2, 4},
        {"{'shape':(5,),'fortran_order':True,'descr':'>f8'}", ">f8", false, true, 8, 1, 5},
        {"{ \"descr\" : \"|b1\" , \"fortran_order\" : False , \"shape\" : ( ) }\n", "|b1", false, false, 1, 0, 0},
        {"{'descr': '|u1', 'fortran_order': False, 'shape': (0,), }", "|u1", false, false, 1, 1, 0},
        {"{'descr': '<f2', 'fortran_order': False, 'shape': (1L, 2L), }", "<f2", false, false, 2, 2, 2},
        {"{'descr': [('a', '<i4', (4,)), ('b', '<f4')], 'fortran_order': False, 'shape': (7,), }",
         "[('a', '<i4', (4,)), ('b', '<f4')]", true, false, 0, 1, 7},
        {"{'descr': [('a', '<i4'),], 'fortran_order': False, 'shape': (7,), }", "[('a', '<i4'),]", true, false, 0, 1,
         7},
        {"{'descr': [('p', [('x', '<f4'), ('y', '<f4')]), ('n', '|u1')], 'fortran_order': False, 'shape': (7,), }",
         "[('p', [('x', '<f4'), ('y', '<f4')]), ('n', '|u1')]", true, false, 0, 1, 7},
    };

    for (size_t i = 0; i < COUNT(rows); i++)
        for (int version = 1; version <= 3; version++) {
            struct bm_npy_header h;
            struct bm_error err = {0};
            int rc = read_header(put_npy("h.npy", version, rows[i].dict, "", 0), &h, &err);
            REQUIRE(rc == 1, &err);
            CHECK_ROW(strcmp(h.descr, rows[i].descr) == 0 && h.structured == rows[i].structured, i);
            CHECK_ROW(h.fortran_order == rows[i].fortran && h.itemsize == rows[i].itemsize, i);
            CHECK_ROW(h.ndim == rows[i].ndim && (h.ndim == 0 || h.shape[h.ndim - 1] == rows[i].last), i);
        }
}

static void headers_that_are_refused(void)
{
    static const struct {
        const char *dict, *why;
    } rows[] = {
        {"{'descr': '|O', 'fortran_order': False, 'shape': (3,), }", "only pickle can read"},
        {"{'descr': [('a', '|O')], 'fortran_order': False, 'shape': (3,), }", "only pickle can read"},
        {"{'descr': '<c8', 'fortran_order': False, 'shape': (3,), }", "\"<c8\" is not supported"},
        {"{'descr': '<U5', 'fortran_order': False, 'shape': (3,), }", "\"<U5\" is not supported"},
        {"{'descr': '<M8[ns]', 'fortran_order': False, 'shape': (3,), }", "is not supported"},
        {"{'descr': '<i2 and so on, which is none of the types that numpy knows', 'fortran_order': False}",
         "\"<i2 and so on, which is none of the type\" is not supported"},
        {"{'descr': '<i3', 'fortran_order': False, 'shape': (3,), }", "is not supported"},
        {"{'descr': '<f1', 'fortran_order': False, 'shape': (3,), }", "is not supported"},
        {"{'descr': '|i2', 'fortran_order': False, 'shape': (3,), }", "is not supported"},
        {"{'descr': '', 'fortran_order': False, 'shape': (3,), }", "is not supported"},
        {"{'descr': '<i2', 'fortran_order': False, 'shape': (3), }", "shape is no tuple"},
        {"{'descr': '<i2', 'fortran_order': False, 'shape': (-3,), }", "shape is no tuple"},
        {"{'descr': '<i2', 'fortran_order': False, 'shape': (,), }", "shape is no tuple"},
        {"{'descr': '<i2', 'fortran_order': False, 'shape': (99999999999999999999,), }", "shape is no tuple"},
        {"{'descr': '<i2', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1), }", "shape is no tuple"},
        {"{'descr': '<i2', 'fortran_order': 0, 'shape': (3,), }", "fortran_order is no truth value"},
        {"{'descr': '<i2', 'fortran_order': False, }", "is missing"},
        {"{'descr': '<i2', 'descr': '<i2', 'fortran_order': False, 'shape': (3,), }", "there twice"},
        {"{'descr': '<i2', 'fortran_order': False, 'shape': (3,), 'x': 1}", "a key is unknown"},
        {"{'descr': '<i2', 'fortran_order': False, 'shape': (3,), } x", "something follows"},
        {"{'descr': '<i2', 'fortran_order': False, 'shape': (3,), ", "not a dict of"},
        {"{'descr': '<i2', 'fortran_order': False, 'shape': (3,) 'x'", "does not end"},
        {"{'descr': __import__('os'), 'fortran_order': False, 'shape': (3,), }", "neither a string nor"},
        {"{'descr': [('a', '<i4', 4)], 'fortran_order': False, 'shape': (3,), }", "no proper shape"},
        {"{'descr': [('a', '<i4'], 'fortran_order': False, 'shape': (3,), }", "does not end"},
        {"{'descr': [('a', [('a', [('a', [('a', [('a', '<i4')])])])])], 'fortran_order': False, 'shape': (3,), }",
         "nested too deeply"},
        {"{'descr': '<i\\x32', 'fortran_order': False, 'shape': (3,), }", "neither a string nor"},
        {"", "not a dict"},
        {"[]", "not a dict"},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct bm_npy_header h;
        struct bm_error err = {0};
        CHECK_ROW(read_header(put_npy("r.npy", 1, rows[i].dict, "", 0), &h, &err) == -1, i);
        CHECK_ERR_CONTAINS(&err, rows[i].why);
        CHECK_ERR_CONTAINS(&err, "r.npy: ");
    }
}

/* A header whose text ends anywhere before its last brace. */
static void dicts_that_are_cut_are_refused(void)
{
    static const char *const dicts[] = {
        "{'descr': '<f2', 'fortran_order': True, 'shape': (1L, 2L), }",
        "{'shape': (7,), 'fortran_order': False, 'descr': [('a', '<i4', (4,)), ('p', [('x', '<f4'),])]}",
    };
    char part[120];

    for (size_t i = 0; i < COUNT(dicts); i++)
        for (size_t n = 0; n < strlen(dicts[i]); n++) {
            struct bm_npy_header h;
            struct bm_error err = {0};
            (void)snprintf(part, sizeof part, "%.*s", (int)n, dicts[i]);
            CHECK_ROW(read_header(put_npy("c.npy", 1, part, "", 0), &h, &err) == -1, n);
            CHECK_ERR_CONTAINS(&err, "c.npy: NPY header: ");
        }
}

static void prefixes_that_are_refused(void)
{
    struct bm_npy_header h;
    struct bm_error err = {0};
    const char *dict = "{'descr': '<i2', 'fortran_order': False, 'shape': (3,), }";

    CHECK(read_header(put_file("e", "", 0), &h, &err) == 0); /* a clean end, not an error */
    CHECK(read_header(put_text("e", "\x93NUM"), &h, &err) == -1);
    CHECK_ERR_CONTAINS(&err, "ends within an NPY header");
    err = (struct bm_error){0};
    CHECK(read_header(put_text("e", "PK\3\4........"), &h, &err) == -1);
    CHECK_ERR_CONTAINS(&err, "not an NPY array");
    err = (struct bm_error){0};
    CHECK(read_header(put_npy("e", 4, dict, "", 0), &h, &err) == -1);
    CHECK_ERR_CONTAINS(&err, "version 4.0 is unknown");
    err = (struct bm_error){0};
    CHECK(read_header(put_file("e", "\x93NUMPY\2\0\0\0\0\x40{'descr'", 20), &h, &err) == -1);
    CHECK_ERR_CONTAINS(&err, "is too long");
}

static void a_list_of_fields_that_is_too_long(void)
{
    char dict[4000] = "{'descr': [";
    struct bm_npy_header h;
    struct bm_error err = {0};

    for (int i = 0; i < 200; i++)
        (void)snprintf(dict + strlen(dict), sizeof dict - strlen(dict), "('f%d', '<i4'), ", i);
    (void)snprintf(dict + strlen(dict), sizeof dict - strlen(dict), "], 'fortran_order': False, 'shape': (3,), }");
    CHECK(read_header(put_npy("l.npy", 1, dict, "", 0), &h, &err) == -1);
    CHECK_ERR_CONTAINS(&err, "descr is too long");
}

/* A NUL is no byte order, though it ends the list of those that are. */
static void a_type_that_begins_with_nul(void)
{
    char dict[] = "{'descr': '?i2', 'fortran_order': False, 'shape': (3,), }";
    unsigned char file[10 + sizeof dict - 1] = "\x93NUMPY\1";
    struct bm_npy_header h;
    struct bm_error err = {0};

    *strchr(dict, '?') = 0;
    file[8] = sizeof dict - 1;
    memcpy(file + 10, dict, sizeof dict - 1);
    CHECK(read_header(put_file("n.npy", file, sizeof file), &h, &err) == -1);
    CHECK_ERR_CONTAINS(&err, "is not supported");
}

static void every_truncation_shows(void)
{
    const short data[3] = {1, 2, 3};
    size_t n;
    const char *path = put_npy("t.npy", 1, "{'descr': '<i2', 'fortran_order': False, 'shape': (3,), }\n", data, 6);
    unsigned char *file = get_file(path, &n);

    for (size_t cut = 0; file && cut < n; cut++) {
        struct bm_npy_header h;
        struct bm_error err = {0};
        enum bm_dtype t;
        void *p = NULL;
        CHECK_ROW(bm_npy_load(put_file("t.npy", file, cut), &h, &t, &p, &err) == -1 && !p, cut);
        CHECK(err.code == BM_EDATA);
    }
    free(file);
}

static void headers_as_numpy_writes_them(void)
{
    struct bm_error err = {0};
    struct bm_buf buf = {0};
    const size_t shape[2] = {225, 1024};
    const char want[] = "\x93NUMPY\1\0v\0{'descr': '<i2', 'fortran_order': False, 'shape': (225, 1024), }";

    CHECK(bm_npy_format_header(&buf, "<i2", false, 2, shape, 64, &err) == 0);
    CHECK(buf.size == 128 && memcmp(buf.data, want, sizeof want - 1) == 0 && ((char *)buf.data)[127] == '\n');
    CHECK(bm_npy_format_header(&buf, "<f4", false, 1, shape, 4096, &err) == 0 && buf.size == 4096);
    CHECK(strstr((char *)buf.data + 10, "'shape': (225,), }") != NULL);
    CHECK(bm_npy_format_header(&buf, "[('a', '<i4')]", true, 0, NULL, 64, &err) == 0);
    CHECK(strstr((char *)buf.data + 10, "{'descr': [('a', '<i4')], 'fortran_order': False, 'shape': (), }") != NULL);
    CHECK(bm_npy_format_header(&buf, "<f4", false, 1, shape, 0, &err) == -1);
    bm_buf_free(&buf);
}

static void what_is_saved_is_loaded(void)
{
    const double data[6] = {1, 2, 3, 4, 5, 6.5};
    const size_t shape[2] = {2, 3};
    struct bm_npy_header h;
    struct bm_error err = {0};
    enum bm_dtype t;
    void *p = NULL;

    int rc = bm_npy_save(scratch("s.npy"), "<f8", false, 8, 2, shape, data, &err);
    REQUIRE(rc == 0, &err);
    rc = bm_npy_load(scratch("s.npy"), &h, &t, &p, &err);
    REQUIRE(rc == 0, &err);
    CHECK(t == BM_F64 && h.ndim == 2 && h.shape[0] == 2 && h.shape[1] == 3 && memcmp(p, data, sizeof data) == 0);
    free(p);
}

static void fortran_order_and_big_endian_are_undone(void)
{
    unsigned char data[48];
    struct bm_npy_header h;
    struct bm_error err = {0};
    enum bm_dtype t;
    void *p = NULL;

    for (int i = 0; i < 24; i++) { /* a[x, y, z] = its place in the file, x fastest */
        data[2 * i] = 0;
        data[2 * i + 1] = (unsigned char)i;
    }
    int rc = bm_npy_load(put_npy("f.npy", 1, "{'descr': '>i2', 'fortran_order': True, 'shape': (2, 3, 4)}", data, 48),
                         &h, &t, &p, &err);
    REQUIRE(rc == 0, &err);
    CHECK(t == BM_I16 && !h.fortran_order && strcmp(h.descr, "<i2") == 0);
    for (int x = 0; x < 2; x++)
        for (int y = 0; y < 3; y++)
            for (int z = 0; z < 4; z++)
                CHECK(((int16_t *)p)[(x * 3 + y) * 4 + z] == x + 2 * (y + 3 * z));
    free(p);
}

static void booleans_are_bytes(void)
{
    struct bm_npy_header h;
    struct bm_error err = {0};
    enum bm_dtype t;
    void *p = NULL;
    int rc = bm_npy_load(put_npy("b.npy", 1, "{'descr': '|b1', 'fortran_order': False, 'shape': (3,)}", "\1\0\1", 3),
                         &h, &t, &p, &err);

    REQUIRE(rc == 0, &err);
    CHECK(t == BM_U8 && strcmp(h.descr, "|b1") == 0 && memcmp(p, "\1\0\1", 3) == 0);
    free(p);
}

static void loads_that_are_refused(void)
{
    static const struct {
        const char *dict, *why;
    } rows[] = {
        {"{'descr': '|u1', 'fortran_order': False, 'shape': (9,)}", "bytes follow the array"},
        {"{'descr': '|u1', 'fortran_order': False, 'shape': (999,)}", "too short for the 999 bytes"},
        {"{'descr': '<f8', 'fortran_order': False, 'shape': (1152921504606846976, 2)}", "address space"},
        {"{'descr': '<f8', 'fortran_order': False, 'shape': (4611686018427387904, 4)}", "address space"},
        {"{'descr': '<i8', 'fortran_order': False, 'shape': (2305843009213693951,)}",
         "too short for the 18446744073709551608 bytes"},
        {"{'descr': [('a', '|u1')], 'fortran_order': False, 'shape': (10,)}", "structured array"},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct bm_npy_header h;
        struct bm_error err = {0};
        enum bm_dtype t;
        void *p = NULL;
        CHECK_ROW(bm_npy_load(put_npy("l.npy", 1, rows[i].dict, "0123456789", 10), &h, &t, &p, &err) == -1 && !p, i);
        CHECK_ERR_CONTAINS(&err, rows[i].why);
    }
}

static void headers_that_cannot_be_written(void)
{
    static char descr[70000];
    const size_t shape[BM_NPY_MAX_DIMS + 1] = {1, 1, 1, 1, 1, 1, 1, 1, 1}, huge[2] = {SIZE_MAX, 2};
    const struct {
        const char *descr;
        size_t ndim;
        const size_t *shape;
        size_t align, itemsize;
        const char *why;
    } rows[] = {
        {"<i2", 9, shape, 64, 2, "9 dimensions where 8 are the most"},
        {"<i2", 1, shape, 0, 2, "no alignment"},
        {descr, 1, shape, 64, 2, "a header of 70070 bytes does not fit"},
        {"<i2", 2, huge, 64, 2, "address space"},
        {"<i2", 1, huge, 64, 2, "address space"},
    };

    memset(descr, 'x', sizeof descr - 1);
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct bm_error err = {0};
        struct bm_buf buf = {0};
        int rc = bm_npy_format_header(&buf, rows[i].descr, false, rows[i].ndim, rows[i].shape, rows[i].align, &err);
        CHECK_ROW((rc == 0) == (i > 2), i);
        if (i != 1)
            CHECK_ROW(bm_npy_save(scratch("w.npy"), rows[i].descr, false, rows[i].itemsize, rows[i].ndim,
                                  rows[i].shape, "", &err) == -1,
                      i);
        CHECK_ERR_CONTAINS(&err, rows[i].why);
        CHECK_ROW(access(scratch("w.npy"), F_OK) != 0, i);
        bm_buf_free(&buf);
    }
}

static void empty_arrays(void)
{
    struct bm_npy_header h = {.ndim = 2, .shape = {SIZE_MAX, 0}};
    struct bm_error err = {0};
    enum bm_dtype t;
    void *p = NULL;
    size_t items = 9;

    CHECK(bm_npy_items(&h, "x", &items, &err) == 0 && items == 0);
    h.ndim = 0;
    CHECK(bm_npy_items(&h, "x", &items, &err) == 0 && items == 1);
    const char *path = put_npy("n.npy", 1, "{'descr': '<f8', 'fortran_order': True, 'shape': (0, 5)}", "", 0);
    CHECK(bm_npy_load(path, &h, &t, &p, &err) == 0 && p);
    free(p);
}

/* A single byte changed anywhere: read or refused, never beyond the file. */
static void spoiled_files_do_no_harm(void)
{
    static const unsigned char values[] = {0, ' ', '(', ')', '[', '\'', ',', '9', 0xFF};
    size_t n;
    const char *path =
        put_npy("z.npy", 1, "{'descr': [('a', '<i4', (4,)), ('b', '<f4')], 'fortran_order': False, 'shape': (2,)}\n",
                "0123456789012345678901234567890123456789", 40);
    unsigned char *file = get_file(path, &n);

    for (size_t i = 0; file && i < n * COUNT(values); i++) {
        struct bm_npy_header h;
        struct bm_error err = {0};
        unsigned char was = file[i / COUNT(values)];
        file[i / COUNT(values)] = values[i % COUNT(values)];
        int rc = read_header(put_file("z.npy", file, n), &h, &err);
        CHECK_ROW(rc == 1 || (rc == -1 && err.text[0]), i);
        file[i / COUNT(values)] = was;
    }
    free(file);
}

int main(void)
{
    static const struct unit_test all[] = {
        UNIT(headers_that_are_read),
        UNIT(headers_that_are_refused),
        UNIT(dicts_that_are_cut_are_refused),
        UNIT(headers_that_cannot_be_written),
        UNIT(prefixes_that_are_refused),
        UNIT(a_list_of_fields_that_is_too_long),
        UNIT(a_type_that_begins_with_nul),
        UNIT(every_truncation_shows),
        UNIT(headers_as_numpy_writes_them),
        UNIT(what_is_saved_is_loaded),
        UNIT(fortran_order_and_big_endian_are_undone),
        UNIT(booleans_are_bytes),
        UNIT(loads_that_are_refused),
        UNIT(empty_arrays),
        UNIT(spoiled_files_do_no_harm),
    };

    return unit_main(all, COUNT(all));
}
