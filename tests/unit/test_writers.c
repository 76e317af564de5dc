/* Outputs that cannot be: arrays, quality files, MAT-files, names of no kind. Nothing may be left of them. */
#include "files.h"
#include "io/arrays.h"
#include "io/mat5.h"
#include "io/open.h"
#include "io/qualityfile.h"
#include "runs.h"

#include <fcntl.h>

static struct whole runs[2];

static void make_runs(enum bm_dtype dtype)
{
    make_run(&runs[0], &(struct wish){dtype, 6, 9, 4, 2, 4, 1});
    make_run(&runs[1], &(struct wish){dtype, 5, 9, 4, 2, 7, 1});
}

static void free_runs(void)
{
    free_run(&runs[0]);
    free_run(&runs[1]);
}

static bool nothing_is_left(void)
{
    DIR *d = opendir(scratch_dir);
    bool left = false;

    for (struct dirent *e = d ? readdir(d) : NULL; e; e = readdir(d))
        left |= strstr(e->d_name, "out") != NULL;
    if (d)
        (void)closedir(d);
    return !left;
}

static void arrays_that_cannot_be(void)
{
    static const char *const says[] = {"there is no run to write", "TR -1 s", "a value is too large for float16",
                                       "must be regular files", "TR"};

    for (int i = 0; i < 5; i++) {
        struct bm_error err = {0};
        make_runs(BM_F32);
        for (size_t k = 0; k < 6 * 9; k++)
            ((float *)(void *)runs[0].samples)[k] = i == 2 ? 1e6F : 1;
        memset(runs[1].samples, 0, 5 * 9 * 4);
        runs[0].run.tr = i == 1 ? -1 : 2;
        runs[1].run.tr = i == 4 ? 3 : 2;
        (void)mkfifo(scratch("pipe.npy"), 0666);
        const int end = i == 3 ? open(scratch("pipe.npy"), O_RDWR) : -1;
        struct bm_sink *sink = bm_arrays_sink(scratch(i == 3 ? "pipe.npy" : "out.npy"), BM_F16, &err);
        CHECK_ROW(put_series(sink, runs, i == 0 ? 0 : i == 4 ? 2 : 1, true, &err) == -1, i);
        CHECK_ERR_CONTAINS(&err, says[i]);
        CHECK_ROW(nothing_is_left(), i);
        if (end >= 0)
            (void)close(end);
        free_runs();
    }
}

static void quality_files_that_cannot_be(void)
{
    static const char *const says[] = {"does not end in .json",
                                       "must be a regular file",
                                       "there is no run to write",
                                       "a value is too large for float32",
                                       "TR",
                                       "its folder is not there"};
    static const char *const names[] = {"out.txt", "pipe.json", "out.json", "out.json", "out.json", "no/out.json"};

    for (int i = 0; i < 6; i++) {
        double numbers[BM_MAPS * 9] = {0};
        const size_t picks[2] = {0, 3};
        const struct bm_quality_run q = {1, 2, numbers, numbers, numbers};
        struct bm_error err = {0};
        int status = 0;
        make_runs(BM_F32);
        runs[0].run.tr = 2;
        runs[1].run.tr = i == 4 ? 3 : 2;
        (void)mkfifo(scratch("pipe.json"), 0666);
        const int end = i == 1 ? open(scratch("pipe.json"), O_RDWR) : -1;
        struct bm_qualityfile *f = bm_qualityfile_open(scratch(names[i]), &err);
        CHECK_ROW((f != NULL) == (i >= 2 && i < 5), i);
        for (int k = 0; f && !status && k < (i == 2 ? 0 : 2); k++)
            status = bm_qualityfile_add(f, &runs[k].run, picks, 2, &q, &err);
        numbers[0] = 1e300;
        if (f && !status)
            status = bm_qualityfile_finish(f, numbers, &err);
        CHECK_ROW(!f || status == -1, i);
        CHECK_ERR_CONTAINS(&err, says[i]);
        bm_qualityfile_close(f);
        CHECK_ROW(nothing_is_left(), i);
        if (end >= 0)
            (void)close(end);
        free_runs();
    }
}

static void matrices_that_cannot_be(void)
{
    static const double data[4] = {1, 2, 3, 4};
    static char name[65];
    memset(name, 'n', 64);
    const struct bm_mat5_matrix rows[] = {
        {"m", 1, {4}, data},
        {"m", 4, {1, 1, 4}, data},
        {name, 2, {1, 4}, data},
        {"m", 2, {1 << 16, 1 << 16}, data},
        {"m", 3, {SIZE_MAX, 2, 2}, data},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct bm_error err = {0};
        CHECK_ROW(bm_mat5_write(scratch("out.mat"), &rows[i], 1, &err) == -1 && err.code == BM_EUSAGE, i);
        CHECK_ERR_CONTAINS(&err, "does not fit a MAT-file of level 5");
        CHECK_ROW(nothing_is_left(), i);
    }
}

/* The narrowest type that holds all: the tag behind the matrix's header says which. */
static void types_of_whole_numbers(void)
{
    static const struct {
        double data[2];
        unsigned char type;
    } rows[] = {{{0, 255}, 2},           {{0, 256}, 4}, {{65535, 0}, 4},        {{65536, 0}, 5}, {{-1, 0}, 5},
                {{0, -2147483648.0}, 5}, {{0.5, 0}, 9}, {{2147483648.0, 0}, 9}, {{0, NAN}, 9}};

    for (size_t i = 0; i < COUNT(rows); i++) {
        const struct bm_mat5_matrix m = {"m", 2, {1, 2}, rows[i].data};
        struct bm_error err = {0};
        size_t n = 0;
        CHECK_ROW(bm_mat5_write(scratch("out.mat"), &m, 1, &err) == 0, i);
        unsigned char *bytes = get_file(scratch("out.mat"), &n);
        CHECK_ROW(bytes && n >= 192 && bytes[184] == rows[i].type, i);
        free(bytes);
        CHECK(unlink(scratch("out.mat")) == 0);
    }
}

static void names_and_contents(void)
{
    static const char *const says[] = {"is empty; its writer failed", "is neither a series file nor a tile stream",
                                       "is neither", "is neither"};
    static const char *const texts[] = {"", "hello", "hello there, this is no series", "\x89HDF\r\n\x1a"};
    struct bm_error err = {0};

    for (size_t i = 0; i < COUNT(texts); i++) {
        struct bm_error e = {0};
        CHECK_ROW(!bm_open_source(put_text("in", texts[i]), &e), i);
        CHECK_ERR_CONTAINS(&e, says[i]);
    }
    CHECK(!bm_open_sink(scratch("out.nii"), true, &err) && err.code == BM_EUSAGE);
    CHECK_ERR_CONTAINS(&err, "out.nii: the output's kind is not known");
    for (int k = 0; k < 3; k++) {
        err = (struct bm_error){0};
        make_runs(BM_I16);
        const char *name = k == 0 ? "all.h5" : k == 1 ? "all.hdf5" : "all.npys";
        CHECK_ROW(put_series(bm_open_sink(scratch(name), true, &err), runs, 2, true, &err) == 0, k);
        char path[1024];
        (void)snprintf(path, sizeof path, "%s", scratch(name));
        char *const paths[1] = {path};
        const bool want[3] = {true, false, true};
        CHECK_ROW(get_series(bm_open_sources(paths, 1, &err), runs, 2, want, &err) == 0, k);
        free_runs();
    }
}

int main(void)
{
    static const struct unit_test all[] = {UNIT(arrays_that_cannot_be), UNIT(quality_files_that_cannot_be),
                                           UNIT(matrices_that_cannot_be), UNIT(types_of_whole_numbers),
                                           UNIT(names_and_contents)};

    (void)scratch("");
    return unit_main(all, COUNT(all));
}
