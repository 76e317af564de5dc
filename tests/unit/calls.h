/* Calls of readers and writers on small files, for tests that let each allocation or system call in them fail. */
#ifndef BM_UNIT_CALLS_H
#define BM_UNIT_CALLS_H

#include "core/mem.h"
#include "image.h"
#include "io/arrays.h"
#include "io/confounds.h"
#include "io/describe.h"
#include "io/designs.h"
#include "io/gzwrite.h"
#include "io/inputs.h"
#include "io/jsonmem.h"
#include "io/maskfile.h"
#include "io/mat5.h"
#include "io/niftiruns.h"
#include "io/npy.h"
#include "io/nsdtree.h"
#include "io/open.h"
#include "io/qualityfile.h"
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
#include <math.h>
#include <sys/syscall.h>
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

/* A label that is not there: the message lists those that are. */
static int miss_label(struct bm_error *err)
{
    struct bm_roi roi;
    struct bm_grid there;
    bool *flags;
    char spec[600];

    (void)snprintf(spec, sizeof spec, "%s = 77", scratch("mask.npy"));
    if (bm_roi_parse(spec, NULL, NULL, &roi, err))
        return -1;
    if (bm_roi_read(&roi, &grid, &there, &flags, err) && strstr(err->text, "of each: 0: 58, 1: 2)"))
        *err = (struct bm_error){0};
    bm_roi_clear(&roi);
    return err->code == BM_OK ? 0 : -1;
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

/* All volumes of a file. */
static int read_image(const char *name, struct bm_error *err)
{
    struct bm_nifti *n = bm_nifti_open(scratch(name), err);
    static double volume[VOXELS];
    int more = n ? 1 : -1;

    while (more > 0)
        more = bm_nifti_next(n, volume, err);
    if (!more)
        more = bm_nifti_finish(n, NULL, NULL, err);
    bm_nifti_close(n);
    return more;
}

static int read_pair(struct bm_error *err)
{
    return read_image("pair.hdr", err) || read_image("pair.img", err) ? -1 : 0;
}

static int read_wide(struct bm_error *err)
{
    return read_image("wide.nii", err);
}

static int read_extended(struct bm_error *err)
{
    return read_image("extended.nii", err);
}

static int read_mask(struct bm_error *err)
{
    struct bm_maskfile m;

    if (bm_maskfile_read(scratch("mask.npy"), &grid, &m, err))
        return -1;
    bm_maskfile_clear(&m);
    return 0;
}

static int count_end(void *self, struct bm_error *err)
{
    (void)err;
    ++*(int *)self;
    return 0;
}

/* The pipe is closed and its end called, whatever happens. */
static int read_pipe(struct bm_error *err)
{
    int ends = 0, fd[2];
    char text[8] = "1234";
    long long got = -1;

    if (pipe(fd) || writev(fd[1], &(struct iovec){text, 4}, 1) != 4)
        unit_fail("no pipe");
    (void)syscall(SYS_close, fd[1]);
    struct bm_bytes *b = bm_bytes_pipe("pipe", fd[0], count_end, &ends, err);
    if (b)
        got = bm_bytes_read(b, text, sizeof text, err);
    bm_bytes_close(b);
    if (ends != 1 || fcntl(fd[0], F_GETFD) >= 0)
        unit_fail("the pipe is left open");
    return got == 4 ? 0 : got < 0 ? -1 : bm_fail(err, BM_EDATA, "pipe: memory"); /* a read of nothing */
}

/* More than one notes fill. The files of inputs must not change any more. */
static int note_inputs(struct bm_error *err)
{
    struct stat st;
    int status = 0;

    if (lstat(scratch("c.tsv"), &st))
        unit_fail("c.tsv is not there");
    bm_inputs_watch();
    for (int i = 0; i < 70 && !status; i++)
        status = bm_inputs_note(scratch("c.tsv"), &st, err);
    return status;
}

static int read_niftiruns(struct bm_error *err)
{
    static int64_t voxels[4] = {1, 7, 30, 31};
    const char *path = scratch("run.nii");
    struct bm_niftirun two[2] = {{.names = &path, .paths = &path, .nfiles = 1, .label = "run", .run = 1}, {0}};
    struct bm_niftiruns_config config = {.runs = two,
                                         .nruns = 2,
                                         .grid = grid,
                                         .voxels = voxels,
                                         .nvoxels = 4,
                                         .threads = 1,
                                         .memory = 1,
                                         .step = one_step};
    bool flags[VOXELS] = {false};

    two[1] = two[0];
    if (bm_niftiruns_nonzero(&config, 1, flags, err) || drain(bm_niftiruns_source(&config, err), err))
        return -1;
    config.complete = true; /* which it is not: the other voxels are looked at */
    config.nruns = 1;
    if (drain(bm_niftiruns_source(&config, err), err) == -1 && strstr(err->text, "outside the brain mask"))
        *err = (struct bm_error){0};
    return err->code == BM_OK ? 0 : -1;
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

static int fill_picture(void *self, size_t i, unsigned char *picture, struct bm_error *err)
{
    (void)self;
    (void)err;
    memset(picture, (int)i, 48);
    return 0;
}

/* What a synthetic experiment has beside its runs. */
static int write_experiment(struct bm_error *err)
{
    static const uint16_t ordering[3] = {1, 2, 300};
    static const int32_t shared[1] = {70000}, images[4] = {-1, 2, 3, 4}, reps[2][8][3];
    static const unsigned char pattern[2] = {1, 0}, subjects[2] = {0xff, 1};
    static const double truth[3] = {1, 2, 0.5};
    const struct bm_nsd_tree tree = {scratch("tree"), "func1pt8mm"};
    const struct bm_nsd_expdesign e = {ordering, shared, images, pattern, 3, 1, 2, 2, 1, 1, 2};
    const size_t three = 3;

    return bm_nsd_put_expdesign(&tree, &e, err) || bm_nsd_put_stim_info(&tree, 2, subjects, reps[0][0], err) ||
                   bm_nsd_put_pictures(&tree, 2, 4, fill_picture, NULL, err) ||
                   bm_nsd_put_truth(&tree, "t.npy", BM_F64, 1, &three, truth, err)
               ? -1
               : 0;
}

/* Several blocks. */
static int write_gzip(struct bm_error *err)
{
    static unsigned char data[(1 << 20) + 9];
    struct bm_commit *c = bm_commit_open(scratch("out.gz"), err);
    struct bm_gzwrite *z = c ? bm_gzwrite_open(c, err) : NULL;
    int status = z && bm_gzwrite(z, data, sizeof data, err) == 0 ? bm_gzwrite_finish(z, err) : -1;

    bm_gzwrite_close(z);
    if (!status)
        return bm_commit_done(c, err);
    bm_commit_drop(c);
    return -1;
}

static int write_quality(struct bm_error *err)
{
    static const double numbers[BM_MAPS * 9];
    const size_t picks[2] = {0, 3};
    const struct bm_quality_run q = {1, NAN, numbers, numbers, numbers};
    struct bm_qualityfile *f = bm_qualityfile_open(scratch("out.q.json"), err);
    int status = f && bm_qualityfile_add(f, &runs[0].run, picks, 2, &q, err) == 0 &&
                         bm_qualityfile_add(f, &runs[1].run, picks, 2, &q, err) == 0
                     ? bm_qualityfile_finish(f, numbers, err)
                     : -1;

    bm_qualityfile_close(f);
    return status;
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
    char *empty = bm_runname_expand("", 1, 2, 3, err);
    const int status = text && empty ? 0 : -1;

    free(text);
    free(empty);
    return status;
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
    (void)put_text("x_dseg.tsv", "index\tname\n-7\tV0\n1\tV1\n4\tV4\n999\tV999\n");
    (void)put_text("sub-1_bold.json", "{\"RepetitionTime\":2,\"a\":[1,2],\"b\":{},\"c\":true}");
}

/* A pair, one of float128, and one with an extension. */
static void put_other_images(void)
{
    unsigned char bytes[352 + 32 + 16 * VOXELS] = {0};
    struct image m;

    make_image(&m);
    memcpy(m.bytes + 344, "ni1", 4);
    put_f32(&m, 108, 0);
    (void)put_file("pair.hdr", m.bytes, 348);
    (void)put_file("pair.img", m.bytes + 352, sizeof m.bytes - 352);
    make_image(&m);
    put_i16(&m, 40, 3);
    put_f32(&m, 108, 352 + 32);
    m.bytes[348] = 1;
    memcpy(bytes, m.bytes, 352);
    bytes[352] = 32; /* its size; then its code */
    bytes[356] = 4;
    memcpy(bytes + 352 + 32, m.bytes + 352, 2 * VOXELS);
    (void)put_file("extended.nii", bytes, 352 + 32 + 2 * VOXELS);
    put_i16(&m, 70, 1536);
    put_i16(&m, 72, 128);
    put_f32(&m, 108, 352);
    m.bytes[348] = 0;
    memcpy(bytes, m.bytes, 352);
    memset(bytes + 352, 0, 16 * VOXELS);
    for (int i = 0; i < VOXELS; i++)
        memcpy(bytes + 352 + 16 * i, &(long double){i}, sizeof(long double) < 16 ? sizeof(long double) : 10);
    (void)put_file("wide.nii", bytes, 352 + 16 * VOXELS);
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
    put_other_images();
}

static void put_arrays(void)
{
    static const char dict[] = "{'descr': '>i2', 'fortran_order': True, 'shape': (2, 2), }\n";
    char file[10 + sizeof dict - 1 + 8] = "\x93NUMPY\1";

    file[8] = (char)(sizeof dict - 1);
    memcpy(file + 10, dict, sizeof dict - 1);
    (void)put_file("fortran.npy", file, sizeof file);
}

/* A mask, and a matrix of two rows. */
static void put_masks(void)
{
    static const unsigned char mask[VOXELS] = {0, 1, 1};
    static const double wide[6] = {1, 2, 3, 4, 5, 6};
    const size_t shape[3] = {NX, NY, NZ}, two[2] = {2, 3};
    struct bm_error err = {0};

    REQUIRE(bm_npy_save(scratch("mask.npy"), "|u1", false, 1, 3, shape, mask, &err) == 0, &err);
    REQUIRE(bm_npy_save(scratch("wide.npy"), "<f8", false, 8, 2, two, wide, &err) == 0, &err);
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
    put_masks();
    runs[0].run.times = must(malloc(runs[0].run.rows * sizeof *runs[0].run.times));
    for (size_t t = 0; t < runs[0].run.rows; t++)
        runs[0].run.times[t] = (int32_t)(3 * t);
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
    bool once; /* it makes JSON: jansson loses memory when all of it fails, until its reserve is used up */
} calls_of_all[] = {
    {"read_confounds", read_confounds, 20, false},
    {"read_design", read_design, 5, false},
    {"read_events", read_events, 10, false},
    {"read_roi", read_roi, 10, false},
    {"miss_label", miss_label, 5, false},
    {"read_scan", read_scan, 10, false},
    {"read_niftiruns", read_niftiruns, 15, false},
    {"read_series", read_series, 30, false},
    {"read_rows", read_rows, 10, false},
    {"expand_name", expand_name, 1, false},
    {"read_pair", read_pair, 5, false},
    {"read_wide", read_wide, 4, false},
    {"read_extended", read_extended, 4, false},
    {"read_mask", read_mask, 5, false},
    {"read_pipe", read_pipe, 4, false},
    {"write_experiment", write_experiment, 10, false},
    {"write_gzip", write_gzip, 5, false},
    {"write_quality", write_quality, 10, true},
    {"write_stream", write_stream, 10, false},
    {"write_series", write_series, 20, false},
    {"write_arrays", write_arrays, 20, false},
    {"write_pipe", write_pipe, 10, false},
    {"save_and_load", save_and_load, 5, false},
    {"write_tree", write_tree, 10, false},
    {"write_mat", write_mat, 5, false},
    {"note_inputs", note_inputs, 1, false}, /* the last that writes is before */
};

static const char *const to_describe[] = {"mask.npy",   "sub-1_bold.json", "wide.npy", "c.tsv",      "events.tsv",
                                          "design.tsv", "x_dseg.tsv",      "run.nii",  "x_dseg.nii", "in.npys",
                                          "in.h5",      "in.meta.npy",     "in.json",  "in.fmri.npy"};

/* Hands every call over; of the describing ones each file has its own. */
__attribute__((unused)) static void each_call(void (*take)(const struct call *call))
{
    for (size_t i = 0; i < COUNT(calls_of_all); i++)
        take(&calls_of_all[i]);
    for (size_t i = 0; i < COUNT(to_describe); i++) {
        const struct call call = {to_describe[i], describe, 10, true};
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
