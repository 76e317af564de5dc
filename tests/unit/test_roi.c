#include "files.h"
#include "io/labelcounts.h"
#include "io/maskfile.h"
#include "io/npy.h"
#include "io/roi.h"
#include "unit.h"

#include <math.h>

#define N 9

static const double values[N] = {0, 1, 2, 2, 3, 0.5, -1, NAN, INFINITY};
static const struct bm_grid grid = {{3, 3, 1}, {{1, 0, 0, 0}, {0, 1, 0, 0}, {0, 0, 1, 0}}};

static const char *volume(const char *name)
{
    const char *path = scratch(name);
    const size_t shape[1] = {N};
    struct bm_error err = {0};

    if (bm_npy_save(path, "<f8", false, sizeof *values, 1, shape, values, &err))
        unit_fail("%s", err.text);
    return path;
}

/* Selects by "PATH CONDITION"; the voxels as a string of 0 and 1. -1: an error. */
static int select_by(const char *path, const char *condition, const char *labels, char bits[N + 1],
                     struct bm_error *err)
{
    char spec[1200];
    struct bm_roi roi;
    struct bm_grid own;
    bool *flags = NULL;
    int rc;

    (void)snprintf(spec, sizeof spec, "%s%s%s", path, *condition ? " " : "", condition);
    if (bm_roi_parse(spec, labels, NULL, &roi, err))
        return -1;
    CHECK(strcmp(roi.path, path) == 0);
    rc = bm_roi_read(&roi, &grid, &own, &flags, err);
    for (size_t i = 0; i < N && !rc; i++)
        bits[i] = (char)('0' + flags[i]);
    bits[N] = '\0';
    if (!rc)
        CHECK(roi.lo == -1 && roi.hi == 3 && roi.nonfinite == 2);
    bm_roi_clear(&roi);
    free(flags);
    return rc;
}

static void conditions(void)
{
    static const struct {
        const char *condition, *labels, *want;
    } rows[] = {
        {"", NULL, "011111001"},        {"> 0", NULL, "011111001"},      {"> 0.5", NULL, "011110001"},
        {">= 0.5", NULL, "011111001"},  {"< 1", NULL, "100001100"},      {"<= 1", NULL, "110001100"},
        {"= 2", NULL, "001100000"},     {"= 0.5", NULL, "000001000"},    {"= 1,2-3", NULL, "011110000"},
        {"!= 2", NULL, "110011101"},    {"!= 0.5", NULL, "111110101"},   {"!= 1-3", NULL, "100001101"},
        {"= 0-1", NULL, "110000000"},   {"", "1,3", "010010000"},        {"> 2", "1,3", "000010001"},
        {"= 2-100", NULL, "001110000"}, {"!= 77", NULL, "111111101"},    {"> 1e300", NULL, "000000001"},
        {"> 77", "1", "000000001"},     {"<  -0.5 ", NULL, "000000100"}, {"= -1", NULL, "000000100"},
        {"< -77", NULL, "000000000"},
    };
    const char *path = volume("v.npy");
    char kept[1024], bits[N + 1];

    (void)snprintf(kept, sizeof kept, "%s", path);
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct bm_error err = {0};
        int rc = select_by(kept, rows[i].condition, rows[i].labels, bits, &err);
        REQUIRE(rc == 0, &err);
        CHECK_ROW(strcmp(bits, rows[i].want) == 0, i);
    }
}

static void files_with_signs_in_their_names(void)
{
    static const char *const names[] = {"a > 1.npy", "a", "a = b"};
    char kept[1024], bits[N + 1];
    struct bm_roi roi;

    (void)snprintf(kept, sizeof kept, "%s", volume(names[0]));
    for (int twice = 0; twice < 2; twice++) {
        struct bm_error err = {0};
        int rc = select_by(kept, twice ? "> 2" : "", NULL, bits, &err);
        REQUIRE(rc == 0, &err);
        CHECK_ROW(strcmp(bits, twice ? "000010001" : "011111001") == 0, twice);
    }
    for (size_t i = 1; i < COUNT(names); i++) { /* not there: the first sign cuts */
        struct bm_error err = {0};
        char spec[64];
        (void)snprintf(spec, sizeof spec, "/nowhere/%s >= 4", names[i]);
        int rc = bm_roi_parse(spec, NULL, NULL, &roi, &err);
        CHECK_ROW(i == 2 ? rc == -1 : rc == 0 && !strcmp(roi.path, "/nowhere/a") && roi.number == 4, i);
        if (i == 2)
            CHECK_ERR_CONTAINS(&err, "label \"b >= 4\"");
        bm_roi_clear(&roi);
    }
}

static void specs_that_are_refused(void)
{
    static const struct {
        const char *condition, *why;
    } rows[] = {
        {"> V1", "is no number"},  {"> ", "nothing behind the sign"}, {"= V1", "no table of names"},
        {">2", "blanks around"},   {"= 3-1", "ends before"},          {"> nan", "is no number"},
        {"= 4", "no voxel is 4"},  {"= 1,4-9", "no voxel is 4-9"},    {"=> 1", "blanks around"},
        {"> 1 2", "is no number"},
    };
    char kept[1024], bits[N + 1];

    (void)snprintf(kept, sizeof kept, "%s", volume("v.npy"));
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct bm_error err = {0};
        CHECK_ROW(select_by(kept, rows[i].condition, NULL, bits, &err) == -1, i);
        CHECK_ERR_CONTAINS(&err, rows[i].why);
    }
}

static void missing_labels_show_what_there_is(void)
{
    struct bm_error err = {0};
    struct bm_label_counts c;
    char kept[1024], bits[N + 1];
    int rc = bm_label_counts(values + 6, 1, &c, &err);

    REQUIRE(rc == 0, &err);
    CHECK(c.n == 1 && c.items[0].value == -1 && c.items[0].voxels == 1);
    bm_label_counts_clear(&c);
    (void)snprintf(kept, sizeof kept, "%s", volume("v.npy"));
    CHECK(select_by(kept, "= 9", NULL, bits, &err) == -1);
    CHECK_ERR_CONTAINS(&err, "its values are not few whole numbers");
}

/* A selection and what is there, each longer than a message. */
static void long_lists_are_cut(void)
{
    static char spec[6000];
    double many[200];
    const size_t shape[1] = {200};
    const struct bm_grid line = {{200, 1, 1}, {{1, 0, 0, 0}, {0, 1, 0, 0}, {0, 0, 1, 0}}};
    struct bm_error err = {0};
    struct bm_roi roi;
    struct bm_grid own;
    bool *flags;
    char text[100];

    for (size_t i = 0; i < 200; i++)
        many[i] = 1000.0 + (double)i;
    REQUIRE(bm_npy_save(scratch("l.npy"), "<f8", false, 8, 1, shape, many, &err) == 0, &err);
    size_t n = (size_t)snprintf(spec, sizeof spec, "%s\t= 7", scratch("l.npy"));
    for (int i = 0; i < 100; i++)
        n += (size_t)snprintf(spec + n, sizeof spec - n, ",%d-%d", 1000 + i, 1001 + i);
    REQUIRE(bm_roi_parse(spec, NULL, NULL, &roi, &err) == 0, &err);
    CHECK(strncmp(bm_roi_condition(&roi, text, sizeof text), "= 7, 1000-1001, ", 16) == 0);
    CHECK(strcmp(text + strlen(text) - 5, ", ...") == 0);
    CHECK(bm_roi_read(&roi, &line, &own, &flags, &err) == -1);
    CHECK_ERR_CONTAINS(&err, "no voxel is 7; name labels that are there (with the voxels of each: 1000: 1, 1001: 1");
    CHECK_ERR_CONTAINS(&err, ", ...)");
    bm_roi_clear(&roi);
    err = (struct bm_error){0};
    (void)snprintf(spec, sizeof spec, "%s > 0.25", scratch("l.npy"));
    REQUIRE(bm_roi_parse(spec, NULL, NULL, &roi, &err) == 0, &err);
    CHECK(strcmp(bm_roi_condition(&roi, text, sizeof text), "> 0.25") == 0);
    CHECK(bm_roi_read(&roi, NULL, &own, &flags, &err) == -1);
    CHECK_ERR_CONTAINS(&err, "l.npy: a .npy mask has no grid of its own");
    bm_roi_clear(&roi);
    err = (struct bm_error){0};
    CHECK(bm_roi_parse(scratch("a>b"), NULL, NULL, &roi, &err) == -1);
    CHECK_ERR_CONTAINS(&err, "a condition needs blanks around its sign");
}

/* Shapes of arrays that are no mask of a 3 x 3 x 1 grid. */
static void shapes_that_do_not_fit(void)
{
    static const struct {
        size_t ndim, shape[8];
        const char *says;
    } rows[] = {
        {1, {8}, "shape is 8, the series"},
        {2, {3, 3}, "shape is 3x3, the series"},
        {3, {3, 3, 2}, "shape is 3x3x2, the series"},
        {3, {1, 3, 3}, "shape is 1x3x3, the series"},
        {3, {3, 1, 3}, "shape is 3x1x3, the series"},
        {8, {1, 1, 1, 1, 1, 1, 1, 9}, "shape is 1x1x1x1x1x1x1x9, the series"},
        {8,
         {0, 1111111111111111111, 1111111111111111111, 1111111111111111111, 1111111111111111111, 1111111111111111111,
          1111111111111111111, 1111111111111111111},
         "shape is 0x1111111111111111111x"},
    };
    static const unsigned char zeros[32];

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct bm_error err = {0};
        struct bm_maskfile m;
        CHECK_ROW(bm_npy_save(scratch("m.npy"), "|u1", false, 1, rows[i].ndim, rows[i].shape, zeros, &err) == 0, i);
        CHECK_ROW(bm_maskfile_read(scratch("m.npy"), &grid, &m, &err) == -1 && !m.values, i);
        CHECK_ERR_CONTAINS(&err, rows[i].says);
    }
    struct bm_error err = {0};
    struct bm_maskfile m;
    CHECK(!bm_maskfile_is_npy("npy") && !bm_maskfile_is_npy(".npy") && bm_maskfile_is_npy("a.npy"));
    CHECK(bm_maskfile_read(scratch("absent.npy"), &grid, &m, &err) == -1 && err.code == BM_ESYS);
    err = (struct bm_error){0};
    CHECK(bm_maskfile_read(scratch("absent.nii"), &grid, &m, &err) == -1 && err.code == BM_ESYS);
}

static void counts_of_labels(void)
{
    static double many[3000];
    struct bm_error err = {0};
    struct bm_label_counts c;

    for (size_t i = 0; i < COUNT(many); i++) /* 0 .. 999, from both ends, with NaN between */
        many[i] = i % 3 == 2 ? NAN : i % 2 ? (double)(i / 3) : (double)(999 - i / 3);
    int rc = bm_label_counts(many, COUNT(many), &c, &err);
    REQUIRE(rc == 0, &err);
    CHECK(c.n == BM_MOST_LABELS);
    for (size_t i = 0; i < c.n; i++)
        CHECK_ROW(c.items[i].value == (int64_t)i && c.items[i].voxels == 2, i);
    bm_label_counts_clear(&c);
    many[0] = 1000; /* one more value than fits */
    many[3] = 1001;
    CHECK(bm_label_counts(many, COUNT(many), &c, &err) == 0 && c.n == 0);
    bm_label_counts_clear(&c);
    many[0] = many[3] = 0.5;
    CHECK(bm_label_counts(many, 1, &c, &err) == 0 && c.n == 0);
    bm_label_counts_clear(&c);
}

int main(void)
{
    static const struct unit_test all[] = {
        UNIT(conditions),
        UNIT(files_with_signs_in_their_names),
        UNIT(specs_that_are_refused),
        UNIT(missing_labels_show_what_there_is),
        UNIT(counts_of_labels),
        UNIT(long_lists_are_cut),
        UNIT(shapes_that_do_not_fit),
    };

    return unit_main(all, COUNT(all));
}
