#include "files.h"
#include "io/confounds.h"
#include "unit.h"

#include <math.h>

static bool is_same(double a, double b)
{
    return a == b || (isnan(a) && isnan(b));
}

/* ---- tables with names ---- */

static void tables_with_names(void)
{
    static const struct {
        const char *text;
        size_t first_line;
    } same[] = {
        {"trans_x\tfd\trot\n0.5\tn/a\t-1e-3\n-.25\t0.75\t2\n", 2},
        {"trans_x\tfd\trot\r\n0.5\tn/a\t-1e-3\r\n-.25\t0.75\t2\r\n", 2},
        {"trans_x\tfd\trot\n0.5\tn/a\t-1e-3\n-.25\t0.75\t2", 2},
        {"\357\273\277trans_x\tfd\trot\n0.5\tn/a\t-1e-3\n-.25\t0.75\t2\n\n\r\n", 2},
        {"trans_x,fd,rot\n0.5,NaN,-1e-3\n-.25,0.75,2\n", 2},
        {"\"trans_x\",\"fd\",\"rot\"\n0.5,NA,-0.001\n-0.25,\"0.75\",+2.0\n", 2},
        {"trans_x fd rot\n 0.5 nan  -1e-3\n-.25 0.75 2 \n", 2},
        {"# a remark\n#\ntrans_x\t fd \trot\n0.5\t\t-1e-3\n-.25\t0.75\t2\n", 4},
        {"trans_x\tfd\trot\n0.5\t-nan\t-0.1e-2\n-25E-2\t 0.75\t2\n", 2},
    };

    for (size_t i = 0; i < COUNT(same); i++) {
        static const double want[6] = {0.5, NAN, -0.001, -0.25, 0.75, 2};
        struct bm_confounds c;
        struct bm_error err = {0};
        int rc = bm_confounds_read(put_text("c.tsv", same[i].text), &c, &err);
        REQUIRE(rc == 0, &err);
        CHECK_ROW(c.rows == 2 && c.cols == 3 && c.header && c.first_line == same[i].first_line, i);
        CHECK_ROW(strcmp(c.names[0], "trans_x") == 0 && strcmp(c.names[1], "fd") == 0, i);
        CHECK_ROW(strcmp(c.names[2], "rot") == 0 && strstr(c.path, "c.tsv"), i);
        for (size_t k = 0; k < 6; k++)
            CHECK_ROW(is_same(c.values[k], want[k]), i);
        CHECK_ROW(c.bytes == strlen(same[i].text), i);
        CHECK_ROW(c.crc32 == crc32_z(0, (const unsigned char *)same[i].text, strlen(same[i].text)), i);
        bm_confounds_clear(&c);
        CHECK_ROW(!c.names && !c.values && c.rows == 0, i);
    }
}

static void one_column_and_infinite_values(void)
{
    struct bm_confounds c;
    struct bm_error err = {0};
    int rc = bm_confounds_read(put_text("c.tsv", "std_dvars\nn/a\ninf\n-Infinity\n+inf\n"), &c, &err);

    REQUIRE(rc == 0, &err);
    CHECK(c.rows == 4 && c.cols == 1 && isnan(c.values[0]));
    CHECK(isinf(c.values[1]) && c.values[1] > 0 && isinf(c.values[2]) && c.values[2] < 0 && c.values[3] > 0);
    bm_confounds_clear(&c);
}

/* Where columns are set apart by tabs, a line of tabs is a row of missing values. */
static void rows_of_nothing(void)
{
    struct bm_confounds c;
    struct bm_error err = {0};
    int rc = bm_confounds_read(put_text("c.tsv", "a\tb\n1\t2\n\t\n3\t4\n\n"), &c, &err);

    REQUIRE(rc == 0, &err);
    CHECK(c.rows == 3 && isnan(c.values[2]) && isnan(c.values[3]) && c.values[5] == 4);
    bm_confounds_clear(&c);
    CHECK(bm_confounds_read(put_text("c.tsv", "a\tb\n1\t2\n \n3\t4\n"), &c, &err) == -1);
    CHECK_ERR_CONTAINS(&err, "line 3 is empty");
}

/* ---- plain numbers ---- */

static void plain_numbers(void)
{
    static const struct {
        const char *text;
        size_t first_line;
    } same[] = {
        {"1\t2\t3\n4\t5\t-6\n", 1},                                          /* NSD */
        {"1\t2\t3\t\n4\t5\t-6\t\n", 1},                                      /* MATLAB's fprintf */
        {"   1.0000000e+00   2.0000000e+00   3.0\n   4.0   5.0  -6.0\n", 1}, /* SPM */
        {"1  2  3  \n4  5  -6  \n", 1},                                      /* FSL */
        {"1,2,3\n4, 5 ,-6\n", 1},                                            /* CSV */
        {"# AFNI writes remarks\n# 2\n 1 2\t3\n 4\t 5 -6\n", 3},
    };

    for (size_t i = 0; i < COUNT(same); i++) {
        struct bm_confounds c;
        struct bm_error err = {0};
        int rc = bm_confounds_read(put_text("motion.tsv", same[i].text), &c, &err);
        REQUIRE(rc == 0, &err);
        CHECK_ROW(c.rows == 2 && c.cols == 3 && !c.header && c.first_line == same[i].first_line, i);
        CHECK_ROW(strcmp(c.names[0], "1") == 0 && strcmp(c.names[2], "3") == 0, i);
        for (size_t k = 0; k < 5; k++)
            CHECK_ROW(c.values[k] == (double)k + 1, i);
        CHECK_ROW(c.values[5] == -6, i);
        bm_confounds_clear(&c);
    }
}

static void compressed_tables(void)
{
    static const char text[] = "a\tb\n1\t2\n";
    unsigned char z[256];
    struct bm_confounds c;
    struct bm_error err = {0};
    size_t n = gzip_member(z, sizeof z, text, sizeof text - 1, 0);
    int rc = bm_confounds_read(put_file("c.tsv.gz", z, n), &c, &err);

    REQUIRE(rc == 0, &err);
    CHECK(c.cols == 2 && c.values[1] == 2 && c.bytes == sizeof text - 1);
    bm_confounds_clear(&c);
    z[n - 6] ^= 1; /* its CRC-32 */
    CHECK(bm_confounds_read(put_file("c.tsv.gz", z, n), &c, &err) == -1 && !c.values);
}

/* ---- what is refused ---- */

static void tables_that_are_refused(void)
{
    static const struct {
        const char *text, *why;
    } rows[] = {
        {"", "bad.tsv: is empty"},
        {"# remark\n", "is empty"},
        {"\n1\t2\n", "line 1 is empty"},
        {"   \n", "line 1 is empty"},
        {"a\tb\n", "names of columns, but no volumes"},
        {"a\tb\n\n", "names of columns, but no volumes"},
        {"a\tb\n1\t2\n3\n", "line 3 has 1 fields, the first 2"},
        {"a\tb\n1\t2\t3\n", "line 2 has 3 fields, the first 2"},
        {"a\tb\n1\t2\t\n", "line 2 has 3 fields, the first 2"},
        {"a\tb\n1 2\n", "line 2 has 1 fields, the first 2"},
        {"1 2\n3 4\n5\n", "line 3 has 1 fields, the first 2"},
        {"1\t2\n3\t\n", "line 2 has 1 fields, the first 2"},
        {"a\tb\n1\t2\n\n3\t4\n", "line 3 is empty"},
        {"a\n1\n \n3\n", "line 3 is empty"},
        {"1\n\n3\n", "line 2 is empty"},
        {"a\tb\n1\tx\n", "line 2: column b: \"x\" is no number"},
        {"a\tb\n1\t1,5\n", "column b: \"1,5\" is no number"},
        {"a\tb\n1\t0x10\n", "\"0x10\" is no number"},
        {"a\tb\n1\t1e999\n", "\"1e999\" is no number"},
        {"a\tb\n1\tnone\n", "\"none\" is no number"},
        {"a\tb\n1\t--inf\n", "\"--inf\" is no number"},
        {"a\tb\n# 1\t2\n", "line 2: column a: \"# 1\" is no number"},
        {"a\tb\n1\t\"2\n", "\"\"2\" is no number"},
        {"1\t2\n3\tn\n", "line 2: column 2: \"n\" is no number"},
        {"0.1\tx\n0.2\t0.3\n", "line 1 \"0.1\tx\" has names and numbers"},
        {"\ta\tb\n0\t1\t2\n", "column 1 has no name"},
        {"a\tb\t\n1\t2\t\n", "column 3 has no name"},
        {"a\tb\ta\n1\t2\t3\n", "two columns are called a"},
        {"a\t\"b\n1\t2\n", "the name of column 2, \"\"b\", holds a quote"},
        {"a\tb\x7f\n1\t2\n", "control character"},
        {"a\r1\r2\r", "holds a quote or a control character"},
        {"\x7f"
         "ELF\x01\x02\n1\n",
         "control character"},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct bm_confounds c;
        struct bm_error err = {0};
        CHECK_ROW(bm_confounds_read(put_text("bad.tsv", rows[i].text), &c, &err) == -1 && !c.values && !c.names, i);
        CHECK_ROW(err.code == BM_EDATA, i);
        /* a message is one line: tabs in what it quotes are '?' */
        char why[200];
        (void)snprintf(why, sizeof why, "%s", rows[i].why);
        for (char *p = why; *p; p++)
            *p = *p == '\t' ? '?' : *p;
        CHECK_ERR_CONTAINS(&err, why);
        CHECK_ERR_CONTAINS(&err, "bad.tsv: ");
    }
}

static void files_that_are_no_tables(void)
{
    static char wide[500000];
    struct bm_confounds c;
    struct bm_error err = {0};
    size_t n = 0;

    CHECK(bm_confounds_read(put_file("c.tsv", "a\tb\n1\t\0\n", 8), &c, &err) == -1);
    CHECK_ERR_CONTAINS(&err, "NUL");
    err = (struct bm_error){0};
    CHECK(bm_confounds_read(scratch("absent.tsv"), &c, &err) == -1 && err.code == BM_ESYS);
    err = (struct bm_error){0};
    memset(wide, 'a', 300);
    CHECK(bm_confounds_read(put_file("c.tsv", wide, 300), &c, &err) == -1);
    CHECK_ERR_CONTAINS(&err, "the name of column 1 is longer than 255 bytes");
    err = (struct bm_error){0};
    for (int i = 0; i < 65537; i++)
        n += (size_t)snprintf(wide + n, sizeof wide - n, "c%d ", i);
    CHECK(bm_confounds_read(put_file("c.tsv", wide, n), &c, &err) == -1);
    CHECK_ERR_CONTAINS(&err, "more than 65536 columns");
}

/* ---- sample masks ---- */

static void sample_masks(void)
{
    static const char *const same[] = {"1\n0\n1\n", "keep\n2\n0\n-1\n", "1.0\n0.0\n1e0\n", "1\n-0\n1\n\n"};

    for (size_t i = 0; i < COUNT(same); i++) {
        struct bm_error err = {0};
        bool censored[3] = {true, false, false};
        uint64_t bytes = 0;
        uint32_t crc = 0;
        int rc = bm_sample_mask_read(put_text("mask.tsv", same[i]), 3, censored, &bytes, &crc, &err);
        REQUIRE(rc == 0, &err);
        CHECK_ROW(censored[0] && censored[1] && !censored[2], i); /* what was set stays set */
        CHECK_ROW(bytes == strlen(same[i]), i);
        CHECK_ROW(crc == crc32_z(0, (const unsigned char *)same[i], strlen(same[i])), i);
    }
}

static void sample_masks_that_are_refused(void)
{
    static const struct {
        const char *text, *why;
    } rows[] = {
        {"1\n0\n", "has 2 numbers, the run 3 volumes"},
        {"1\n0\n1\n1\n", "has 4 numbers, the run 3 volumes"},
        {"1 0 1\n", "has 3 columns"},
        {"1\nn/a\n1\n", "line 2 is no number"},
        {"keep\n1\n1\ninf\n", "line 4 is no number"},
        {"1\ntrue\n1\n", "\"true\" is no number"},
        {"", "is empty"},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct bm_error err = {0};
        bool censored[3] = {false, false, false};
        CHECK_ROW(bm_sample_mask_read(put_text("mask.tsv", rows[i].text), 3, censored, NULL, NULL, &err) == -1, i);
        CHECK_ERR_CONTAINS(&err, rows[i].why);
        CHECK_ROW(!censored[0] && !censored[1] && !censored[2], i);
    }
}

int main(void)
{
    static const struct unit_test all[] = {
        UNIT(tables_with_names),
        UNIT(one_column_and_infinite_values),
        UNIT(rows_of_nothing),
        UNIT(plain_numbers),
        UNIT(compressed_tables),
        UNIT(tables_that_are_refused),
        UNIT(files_that_are_no_tables),
        UNIT(sample_masks),
        UNIT(sample_masks_that_are_refused),
    };

    return unit_main(all, COUNT(all));
}
