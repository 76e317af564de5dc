/* Calls of readers and writers on small files, for tests that let each allocation or system call in them fail. */
#ifndef BM_UNIT_CALLS_H
#define BM_UNIT_CALLS_H

#include "core/mem.h"
#include "image.h"
#include "io/arrays.h"
#include "io/confounds.h"
#include "io/describe.h"
#include "io/designs.h"
#include "io/jsonmem.h"
#include "io/mat5.h"
#include "io/niftiruns.h"
#include "io/npy.h"
#include "io/nsdtree.h"
#include "io/open.h"
#include "io/roi.h"
#include "io/rowsfile.h"
#include "io/runjson.h"
#include "io/runname.h"
#include "io/scan.h"
#include "io/sealed.h"
#include "io/seriesfile.h"
#include "io/stream.h"
#include "runs.h"

#include <fcntl.h>
#include <sys/uio.h>

/* The disk is not what is tested here. */
int fsync(int fd)
{
    (void)fd;
    return 0;
}

/* ---- what is called ---- */

static struct whole runs[2];

static int read_confounds(struct bm_error *err)
{
    struct bm_confounds table, some = {0};
    bool censored[4] = {false};
    int status = bm_confounds_read(scratch("c.tsv"), &table, err);

    if (status)
        return -1;
    status = bm_confounds_select(&table, "a,b*", &some, err);
    if (!status)
        status = bm_confounds_expand(&some, true, true, &table, err);
    if (!status)
        status = bm_confounds_fill(&some, BM_MISSING_MEAN, censored, NULL, err);
    if (!status && bm_confounds_censor(&table, "b[12] > 3", censored, err) < 0)
        status = -1;
    bm_confounds_clear(&some);
    bm_confounds_clear(&table);
    return status ? -1 : bm_sample_mask_read(scratch("kept.txt"), 4, censored, NULL, NULL, err);
}

static int read_design(struct bm_error *err)
{
    struct bm_design d;

    if (bm_design_read(scratch("design.tsv"), NULL, NULL, &d, err))
        return -1;
    bm_design_clear(&d);
    return 0;
}

static int read_events(struct bm_error *err)
{
    struct bm_categories cats = {0};
    struct bm_design d;
    int status = bm_categories_collect(&cats, scratch("events.tsv"), "trial_type", err);

    if (!status)
        status = bm_design_read(scratch("events.tsv"), "trial_type", &cats, &d, err);
    if (!status)
        bm_design_clear(&d);
    bm_categories_clear(&cats);
    return status;
}

static int read_roi(struct bm_error *err)
{
    struct bm_roi roi;
    struct bm_grid there;
    bool *flags = NULL;
    char spec[600];

    (void)snprintf(spec, sizeof spec, "%s = V1,3-5", scratch("x_dseg.nii"));
    if (bm_roi_parse(spec, NULL, NULL, &roi, err))
        return -1;
    int status = bm_roi_read(&roi, NULL, &there, &flags, err);
    free(flags);
    bm_roi_clear(&roi);
    return status;
}

static int read_scan(struct bm_error *err)
{
    const char *const paths[2] = {scratch("x_dseg.nii"), scratch("y.nii")};
    struct bm_scan *s = bm_scan_open(paths, 2, NULL, err);
    double v[VOXELS];
    int status = s ? 1 : -1;

    while (status > 0)
        status = bm_scan_next(s, v, err);
    if (!status)
        status = bm_scan_finish(s, NULL, NULL, err);
    bm_scan_close(s);
    return status;
}

static char *one_step(void *self, const struct bm_niftifile *files, size_t n, struct bm_error *err)
{
    (void)self;
    (void)n;
    return bm_format(err, "{\"program\":\"test\",\"bytes\":%d}", (int)files[0].bytes);
}

/* All tiles of all runs. */
static int drain(struct bm_source *src, struct bm_error *err)
{
    const struct bm_run *run;
    struct bm_tile tile = {0};
    int more = src ? 1 : -1;

    while (more > 0 && (more = src->next_run(src, &run, err)) > 0) {
        while (more > 0 && (more = src->next_tile(src, &tile, err)) > 0)
            more = src->decode && src->decode(src, &tile, err) ? -1 : 1;
        more = more ? more : 1;
    }
    if (src)
        src->close(src);
    bm_tile_free(&tile);
    return more;
}

static int read_niftiruns(struct bm_error *err)
{
    static int64_t voxels[4] = {1, 7, 30, 31};
    const char *path = scratch("run.nii");
    struct bm_niftirun run = {.names = &path, .paths = &path, .nfiles = 1, .label = "run", .run = 1};
    struct bm_niftiruns_config config = {.runs = &run,
                                         .nruns = 1,
                                         .grid = grid,
                                         .voxels = voxels,
                                         .nvoxels = 4,
                                         .threads = 1,
                                         .memory = 1,
                                         .step = one_step};
    bool flags[VOXELS] = {false};

    if (bm_niftiruns_nonzero(&config, 1, flags, err))
        return -1;
    return drain(bm_niftiruns_source(&config, err), err);
}

static int write_stream(struct bm_error *err)
{
    return put_series(bm_stream_sink(scratch("out.npys"), err), runs, 2, true, err);
}

static int pipe_end; /* the reading end of the pipe "fifo"; it does not wait */

/* Into a pipe, which must stay one. */
static int write_pipe(struct bm_error *err)
{
    static char bytes[65536];
    const struct iovec all = {bytes, sizeof bytes};
    const int status = put_series(bm_stream_sink(scratch("fifo"), err), runs, 2, true, err);
    struct stat st;

    if (lstat(scratch("fifo"), &st) || !S_ISFIFO(st.st_mode))
        unit_fail("the pipe is no pipe any more");
    while (readv(pipe_end, &all, 1) > 0)
        continue;
    return status;
}

static int write_series(struct bm_error *err)
{
    return put_series(bm_seriesfile_sink(scratch("out.h5"), true, err), runs, 2, true, err);
}

static int write_arrays(struct bm_error *err)
{
    return put_series(bm_arrays_sink(scratch("out.fmri.npy"), BM_F32, err), runs, 2, true, err);
}

static int read_series(struct bm_error *err)
{
    char h5[600], npys[600];
    char *paths[2] = {h5, npys};

    (void)snprintf(h5, sizeof h5, "%s", scratch("in.h5"));
    (void)snprintf(npys, sizeof npys, "%s", scratch("in.npys"));
    return drain(bm_open_sources(paths, 2, err), err);
}

static int read_rows(struct bm_error *err)
{
    static const char *const names[2] = {"in.meta.npy", "in.json"};

    for (int i = 0; i < 2; i++) {
        struct bm_rowsfile rows;

        if (bm_rowsfile_read(scratch(names[i]), &rows, err))
            return -1;
        bm_rowsfile_clear(&rows);
    }
    return 0;
}

static int save_and_load(struct bm_error *err)
{
    const size_t shape[2] = {2, 3};
    const int16_t values[6] = {1, 2, 3, 4, 5, 6};
    struct bm_npy_header h;
    enum bm_dtype dtype;
    void *data = NULL;

    if (bm_npy_save(scratch("out.npy"), "<i2", false, 2, 2, shape, values, err) ||
        bm_npy_load(scratch("fortran.npy"), &h, &dtype, &data, err))
        return -1;
    free(data);
    return 0;
}

static int write_tree(struct bm_error *err)
{
    const struct bm_nsd_tree tree = {scratch("tree"), "func1mm"};
    const char *const labels[2] = {"none", "some"};
    static const int16_t samples[VOXELS];

    if (bm_nsd_put_volume(&tree, 1, "roi", &grid, BM_I16, samples, err) ||
        bm_nsd_put_ctab(&tree, 1, "roi", labels, 1, err) || bm_nsd_put_decoys(&tree, 1, &grid, 1.5, err))
        return -1;
    return bm_nsd_put_truth_text(&tree, "a.txt", "text", err);
}

static int write_mat(struct bm_error *err)
{
    const double values[2] = {1, 2.5};
    const struct bm_mat5_matrix m = {"m", 2, {1, 2}, values};

    return bm_mat5_write(scratch("out.mat"), &m, 1, err);
}

static int expand_name(struct bm_error *err)
{
    char *text = bm_runname_expand("a{subject}-{session}-{run:d}.tsv", 1, 2, 3, err);

    free(text);
    return text ? 0 : -1;
}

static const char *described;

static int describe(struct bm_error *err)
{
    const struct bm_describe_how how = {.verify = true, .values = true};
    json_t *info = bm_describe(scratch(described), &how, err);
    char *text = info ? bm_runjson_dump(info, err) : NULL;

    free(text);
    return text ? 0 : -1;
}

/* ---- the files that they read ---- */

static void put_tables(void)
{
    unsigned char packed[200];

    (void)put_text("c.tsv", "a\tb1\tb2\n1\tn/a\t3\n2\t5\t7\n4\t4\t1\n0\t1\t2\n");
    (void)put_file("kept.txt", packed, gzip_member(packed, sizeof packed, "1\n0\n1\n1\n", 8, 0));
    (void)put_text("design.tsv", "0\n3\n0\n1\n");
    (void)put_text("events.tsv", "onset\tduration\ttrial_type\n0\t1\tcat\n2.5\t1\tdog\n4\t1\tcat\n");
    (void)put_text("x_dseg.tsv", "index\tname\n1\tV1\n4\tV4\n");
}

static void put_images(void)
{
    struct image m;

    make_image(&m);
    (void)put_file("run.nii", m.bytes, sizeof m.bytes);
    put_i16(&m, 40, 3);
    (void)put_file("x_dseg.nii", m.bytes, 352 + 2 * VOXELS);
    put_f32(&m, 112, 0.5F);
    (void)put_file("y.nii", m.bytes, 352 + 2 * VOXELS);
}

static void put_arrays(void)
{
    static const char dict[] = "{'descr': '>i2', 'fortran_order': True, 'shape': (2, 2), }\n";
    char file[10 + sizeof dict - 1 + 8] = "\x93NUMPY\1";

    file[8] = (char)(sizeof dict - 1);
    memcpy(file + 10, dict, sizeof dict - 1);
    (void)put_file("fortran.npy", file, sizeof file);
}

static void put_inputs(void)
{
    static const struct wish wishes[2] = {{BM_F32, 12, 9, 4, 2, 4, 1}, {BM_F32, 10, 9, 4, 2, 7, 1}};
    struct bm_error err = {0};

    for (int i = 0; i < 2; i++) {
        make_run(&runs[i], &wishes[i]);
        for (size_t k = 0; k < runs[i].run.rows * runs[i].run.cols; k++)
            ((float *)(void *)runs[i].samples)[k] = (float)k;
    }
    put_tables();
    put_images();
    put_arrays();
    REQUIRE(put_series(bm_stream_sink(scratch("in.npys"), &err), runs, 2, true, &err) == 0, &err);
    REQUIRE(put_series(bm_seriesfile_sink(scratch("in.h5"), true, &err), runs, 2, true, &err) == 0, &err);
    CHECK(mkfifo(scratch("fifo"), 0666) == 0);
    pipe_end = open(scratch("fifo"), O_RDWR | O_NONBLOCK | O_CLOEXEC);
    CHECK(pipe_end >= 0);
    REQUIRE(put_series(bm_arrays_sink(scratch("in.fmri.npy"), BM_F32, &err), runs, 2, true, &err) == 0, &err);
}

/* ---- all of it ---- */

/* Calls that write do so to "out...", in the scratch directory or (synthnsd's files) to "tree". least: allocations.
 */
static const struct call {
    const char *name;
    int (*run)(struct bm_error *err);
    long least;
} calls_of_all[] = {
    {"read_confounds", read_confounds, 20}, {"read_design", read_design, 5},
    {"read_events", read_events, 10},       {"read_roi", read_roi, 10},
    {"read_scan", read_scan, 10},           {"read_niftiruns", read_niftiruns, 15},
    {"read_series", read_series, 30},       {"read_rows", read_rows, 10},
    {"expand_name", expand_name, 1},        {"write_stream", write_stream, 10},
    {"write_series", write_series, 20},     {"write_arrays", write_arrays, 20},
    {"write_pipe", write_pipe, 10},         {"save_and_load", save_and_load, 5},
    {"write_tree", write_tree, 10},         {"write_mat", write_mat, 5},
};

static const char *const to_describe[] = {"c.tsv",       "events.tsv", "design.tsv", "x_dseg.tsv",
                                          "run.nii",     "x_dseg.nii", "in.npys",    "in.h5",
                                          "in.meta.npy", "in.json",    "in.fmri.npy"};

/* Hands every call over; of the describing ones each file has its own. */
__attribute__((unused)) static void each_call(void (*take)(const struct call *call))
{
    for (size_t i = 0; i < COUNT(calls_of_all); i++)
        take(&calls_of_all[i]);
    for (size_t i = 0; i < COUNT(to_describe); i++) {
        const struct call call = {to_describe[i], describe, 10};
        described = to_describe[i];
        take(&call);
    }
}

__attribute__((unused)) static bool temporaries_left(void)
{
    DIR *d = opendir(scratch_dir);
    bool left = false;

    for (struct dirent *e = d ? readdir(d) : NULL; e; e = readdir(d)) {
        const size_t n = strlen(e->d_name);
        left |= n > 4 && strcmp(e->d_name + n - 4, ".tmp") == 0;
    }
    if (d)
        (void)closedir(d);
    return left;
}

#endif
