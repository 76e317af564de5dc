#include "io/nsdtree.h"

#include "core/mem.h"
#include "io/commit.h"
#include "io/gzwrite.h"
#include "io/hdf5.h"
#include "io/mat5.h"
#include "io/nifti.h"
#include "io/npy.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define SUBJECTS 8
#define SHOWINGS 3

/* ---- Paths ---- */

/* Makes a folder and those above it; each is safe on the disk before anything is put into it. The text changes on the
 * way, and is as before at the end. */
static int make_folder(char *path, struct bm_error *err)
{
    char *end = strrchr(path, '/');
    int rc = mkdir(path, 0777);

    if (rc < 0 && errno == ENOENT && end && end > path) {
        while (end > path + 1 && end[-1] == '/')
            end--;
        *end = '\0';
        rc = make_folder(path, err);
        *end = '/';
        if (rc < 0)
            return -1;
        rc = mkdir(path, 0777);
    }
    if (rc == 0)
        return bm_commit_sync_folder(path, err);
    return errno == EEXIST ? 0 : bm_fail_errno(err, path, "cannot make the folder");
}

/* Makes the folders above path, which has one. */
static int make_parents(const char *path, struct bm_error *err)
{
    char *folder = bm_strdup(path, err);
    int rc = -1;

    if (folder) {
        *strrchr(folder, '/') = '\0';
        rc = make_folder(folder, err);
    }
    free(folder);
    return rc;
}

/* path, once its folders exist; frees it and gives NULL on failure. NULL stays NULL. */
static char *with_parents(char *path, struct bm_error *err)
{
    if (path && make_parents(path, err) < 0) {
        free(path);
        return NULL;
    }
    return path;
}

static char *run_path(const struct bm_nsd_tree *tree, const struct bm_nsd_run *run, const char *kind,
                      const char *suffix, struct bm_error *err)
{
    char part[64];

    if (run->task)
        (void)snprintf(part, sizeof part, "%.32s_run%02d", run->task, run->run);
    else
        (void)snprintf(part, sizeof part, "session%02d_run%02d", run->session, run->run);
    return with_parents(bm_format(err, "%s/nsddata_timeseries/ppdata/subj%02d/%s/%s/%s_%s.%s", tree->root,
                                  run->subject, tree->space, kind, kind, part, suffix),
                        err);
}

/* ---- Whole files ---- */

static int write_file(const char *path, const void *data, size_t n, struct bm_error *err)
{
    struct bm_commit *c = bm_commit_open(path, err);

    if (!c)
        return -1;
    if (bm_commit_write(c, data, n, err) < 0) {
        bm_commit_drop(c);
        return -1;
    }
    return bm_commit_done(c, err);
}

/* Writes text to path; frees both. NULL for either is the failure before. */
static int put_text(char *path, struct bm_buf *text, struct bm_error *err)
{
    int rc = path ? write_file(path, text->data, text->size, err) : -1;

    free(path);
    bm_buf_free(text);
    return rc;
}

static int append_text(struct bm_buf *buf, const char *text, struct bm_error *err)
{
    return bm_buf_append(buf, text, strlen(text), err);
}

/* ---- Time series ---- */

struct bm_nsd_series {
    struct bm_commit *commit;
    struct bm_gzwrite *gz;
    size_t volume_bytes;
};

static int start_nifti(struct bm_nsd_series *s, const char *path, const struct bm_grid *grid, size_t volumes,
                       enum bm_dtype dtype, double tr, struct bm_error *err)
{
    unsigned char header[352];

    s->volume_bytes = bm_grid_voxels(grid) * bm_dtype_size(dtype);
    s->commit = bm_commit_open(path, err);
    if (!s->commit)
        return -1;
    s->gz = bm_gzwrite_open(s->commit, err);
    if (!s->gz)
        return -1;
    bm_nifti1_header(header, grid, volumes, dtype, tr, "boldmill synthetic");
    return bm_gzwrite(s->gz, header, sizeof header, err);
}

static int finish_nifti(struct bm_nsd_series *s, struct bm_error *err)
{
    struct bm_commit *commit = s->commit;

    if (bm_gzwrite_finish(s->gz, err) < 0)
        return -1;
    bm_gzwrite_close(s->gz);
    s->gz = NULL;
    s->commit = NULL;
    return bm_commit_done(commit, err);
}

struct bm_nsd_series *bm_nsd_series_open(const struct bm_nsd_tree *tree, const struct bm_nsd_run *run,
                                         const struct bm_grid *grid, size_t volumes, double tr, struct bm_error *err)
{
    struct bm_nsd_series *s = bm_calloc(1, sizeof *s, "time series", err);
    char *path = s ? run_path(tree, run, "timeseries", "nii.gz", err) : NULL;

    if (!path || start_nifti(s, path, grid, volumes, BM_I16, tr, err) < 0) {
        bm_nsd_series_close(s);
        s = NULL;
    }
    free(path);
    return s;
}

int bm_nsd_series_put(struct bm_nsd_series *s, const int16_t *volume, struct bm_error *err)
{
    return bm_gzwrite(s->gz, volume, s->volume_bytes, err);
}

int bm_nsd_series_finish(struct bm_nsd_series *s, struct bm_error *err)
{
    return finish_nifti(s, err);
}

void bm_nsd_series_close(struct bm_nsd_series *s)
{
    if (!s)
        return;
    bm_gzwrite_close(s->gz);
    bm_commit_drop(s->commit);
    free(s);
}

int bm_nsd_put_volume(const struct bm_nsd_tree *tree, int subject, const char *name, const struct bm_grid *grid,
                      enum bm_dtype dtype, const void *samples, struct bm_error *err)
{
    struct bm_nsd_series s = {0};
    char *path = with_parents(
        bm_format(err, "%s/nsddata/ppdata/subj%02d/%s/%s.nii.gz", tree->root, subject, tree->space, name), err);
    int rc = path ? start_nifti(&s, path, grid, 1, dtype, 0, err) : -1;

    if (rc == 0)
        rc = bm_gzwrite(s.gz, samples, s.volume_bytes, err);
    if (rc == 0)
        rc = finish_nifti(&s, err);
    bm_gzwrite_close(s.gz);
    bm_commit_drop(s.commit);
    free(path);
    return rc;
}

/* ---- Tables ---- */

int bm_nsd_put_design(const struct bm_nsd_tree *tree, const struct bm_nsd_run *run, const int32_t *rows, size_t n,
                      struct bm_error *err)
{
    struct bm_buf text = {0};
    char line[16];

    for (size_t i = 0; i < n; i++) {
        (void)snprintf(line, sizeof line, "%d\n", (int)rows[i]);
        if (append_text(&text, line, err) < 0)
            return put_text(NULL, &text, err);
    }
    return put_text(run_path(tree, run, "design", "tsv", err), &text, err);
}

int bm_nsd_put_motion(const struct bm_nsd_tree *tree, const struct bm_nsd_run *run, const double *rows, size_t n,
                      struct bm_error *err)
{
    struct bm_buf text = {0};
    char line[160];

    for (size_t i = 0; i < n; i++) {
        const double *m = rows + 6 * i;

        (void)snprintf(line, sizeof line, "%.6f\t%.6f\t%.6f\t%.6f\t%.6f\t%.6f\n", m[0], m[1], m[2], m[3], m[4], m[5]);
        if (append_text(&text, line, err) < 0)
            return put_text(NULL, &text, err);
    }
    return put_text(run_path(tree, run, "motion", "tsv", err), &text, err);
}

int bm_nsd_put_ctab(const struct bm_nsd_tree *tree, int subject, const char *name, const char *const *labels,
                    size_t n, struct bm_error *err)
{
    struct bm_buf text = {0};
    char line[96];

    for (size_t i = 0; i <= n; i++) {
        (void)snprintf(line, sizeof line, "%zu %.64s\n", i, labels[i]);
        if (append_text(&text, line, err) < 0)
            return put_text(NULL, &text, err);
    }
    return put_text(
        with_parents(bm_format(err, "%s/nsddata/freesurfer/subj%02d/label/%s.mgz.ctab", tree->root, subject, name),
                     err),
        &text, err);
}

/* ---- Other experiments ---- */

#define DECOY_ROWS 4

static int put_decoy_series(const struct bm_nsd_tree *tree, const struct bm_nsd_run *run, const struct bm_grid *grid,
                            double tr, const int16_t *volume, struct bm_error *err)
{
    struct bm_nsd_series *s = bm_nsd_series_open(tree, run, grid, DECOY_ROWS, tr, err);
    int rc = s ? 0 : -1;

    for (int t = 0; rc == 0 && t < DECOY_ROWS; t++)
        rc = bm_nsd_series_put(s, volume, err);
    if (rc == 0)
        rc = bm_nsd_series_finish(s, err);
    bm_nsd_series_close(s);
    return rc;
}

int bm_nsd_put_decoys(const struct bm_nsd_tree *tree, int subject, const struct bm_grid *grid, double tr,
                      struct bm_error *err)
{
    const struct bm_nsd_run prffloc = {subject, 0, 1, "prffloc"}, floc = {subject, 0, 1, "floc"};
    const struct bm_nsd_run synthetic = {subject, 0, 1, "nsdsynthetic"};
    const int32_t design[DECOY_ROWS] = {0, 3, 0, 0};
    const double motion[6 * DECOY_ROWS] = {0};
    int16_t *volume = bm_calloc(bm_grid_voxels(grid), sizeof *volume, "volume", err);
    int rc = -1;

    if (volume && bm_nsd_put_design(tree, &floc, design, DECOY_ROWS, err) == 0 &&
        bm_nsd_put_design(tree, &synthetic, design, DECOY_ROWS, err) == 0 &&
        bm_nsd_put_motion(tree, &prffloc, motion, DECOY_ROWS, err) == 0 &&
        put_decoy_series(tree, &prffloc, grid, tr, volume, err) == 0)
        rc = put_decoy_series(tree, &synthetic, grid, tr, volume, err);
    free(volume);
    return rc;
}

/* ---- Experiment ---- */

static char *experiment_path(const struct bm_nsd_tree *tree, const char *name, struct bm_error *err)
{
    return with_parents(bm_format(err, "%s/nsddata/experiments/nsd/%s", tree->root, name), err);
}

/* The design's numbers as doubles with the first index fastest: ordering, shared, images, pattern. */
static void fill_expdesign(const struct bm_nsd_expdesign *e, double *out)
{
    for (size_t i = 0; i < e->trials; i++)
        *out++ = e->ordering[i];
    for (size_t i = 0; i < e->nshared; i++)
        *out++ = e->shared[i];
    for (size_t i = 0; i < e->nimages; i++) {
        for (size_t s = 0; s < e->subjects; s++)
            *out++ = e->images[s * e->nimages + i];
    }
    for (size_t slot = 0; slot < e->slots; slot++) {
        for (size_t run = 0; run < e->runs; run++) {
            for (size_t s = 0; s < e->sessions; s++)
                *out++ = e->pattern[(s * e->runs + run) * e->slots + slot];
        }
    }
}

int bm_nsd_put_expdesign(const struct bm_nsd_tree *tree, const struct bm_nsd_expdesign *e, struct bm_error *err)
{
    size_t images = e->subjects * e->nimages, slots = e->sessions * e->runs * e->slots;
    double *data = bm_alloc(e->trials + e->nshared + images + slots, sizeof *data, "experiment", err);
    char *path = experiment_path(tree, "nsd_expdesign.mat", err);
    int rc = -1;

    if (data && path) {
        double *shared = data + e->trials;
        const struct bm_mat5_matrix matrices[] = {
            {"masterordering", 2, {1, e->trials}, data},
            {"sharedix", 2, {1, e->nshared}, shared},
            {"subjectim", 2, {e->subjects, e->nimages}, shared + e->nshared},
            {"stimpattern", 3, {e->sessions, e->runs, e->slots}, shared + e->nshared + images},
        };

        fill_expdesign(e, data);
        rc = bm_mat5_write(path, matrices, sizeof matrices / sizeof matrices[0], err);
    }
    free(data);
    free(path);
    return rc;
}

static int append_stim_header(struct bm_buf *text, struct bm_error *err)
{
    char column[48];

    if (append_text(text, ",cocoId,cocoSplit,cropBox,loss,nsdId,flagged,BOLD5000,shared1000", err) < 0)
        return -1;
    for (int s = 1; s <= SUBJECTS; s++) {
        (void)snprintf(column, sizeof column, ",subject%d", s);
        if (append_text(text, column, err) < 0)
            return -1;
    }
    for (int i = 0; i < SUBJECTS * SHOWINGS; i++) {
        (void)snprintf(column, sizeof column, ",subject%d_rep%d", i / SHOWINGS + 1, i % SHOWINGS);
        if (append_text(text, column, err) < 0)
            return -1;
    }
    return append_text(text, "\n", err);
}

/* ",NUMBER"; where it ends. There are 2 million of them. */
static char *put_number(char *to, uint32_t n)
{
    char digits[10];
    int k = 0;

    do
        digits[k++] = (char)('0' + n % 10);
    while ((n /= 10) != 0);
    *to++ = ',';
    while (k)
        *to++ = digits[--k];
    return to;
}

/* Where a picture comes from is made up; all of it follows from its number. */
static int append_stim_row(struct bm_buf *text, size_t i, unsigned subjects, const int32_t *reps,
                           struct bm_error *err)
{
    char line[640];
    unsigned crop = (unsigned)(i * 37 % 400);
    size_t n = (size_t)snprintf(line, sizeof line, "%zu,%zu,%s,\"(0, 0, 0.%04u, 0.%04u)\",0.%04u,%zu,False,%s,%s", i,
                                100000 + 6 * i, i % 16 ? "train2017" : "val2017", crop, crop, crop / 2, i,
                                i % 50 ? "False" : "True", subjects == 0xff ? "True" : "False");
    char *end = line + n;

    for (int s = 0; s < SUBJECTS; s++)
        end = put_number(end, subjects >> s & 1);
    for (int k = 0; k < SUBJECTS * SHOWINGS; k++)
        end = put_number(end, (uint32_t)reps[k]);
    *end++ = '\n';
    return bm_buf_append(text, line, (size_t)(end - line), err);
}

int bm_nsd_put_stim_info(const struct bm_nsd_tree *tree, size_t n, const unsigned char *subjects, const int32_t *reps,
                         struct bm_error *err)
{
    struct bm_buf text = {0};
    int rc = append_stim_header(&text, err);

    for (size_t i = 0; i < n && rc == 0; i++)
        rc = append_stim_row(&text, i, subjects[i], reps + i * SUBJECTS * SHOWINGS, err);
    return put_text(rc == 0 ? experiment_path(tree, "nsd_stim_info_merged.csv", err) : NULL, &text, err);
}

int bm_nsd_put_pictures(const struct bm_nsd_tree *tree, size_t n, size_t side,
                        int (*fill)(void *self, size_t i, unsigned char *picture, struct bm_error *err), void *self,
                        struct bm_error *err)
{
    char *path = with_parents(bm_format(err, "%s/nsddata_stimuli/stimuli/nsd/nsd_stimuli.hdf5", tree->root), err);
    int rc = path ? bm_hdf5_write_pictures(path, "imgBrick", n, side, side, 3, fill, self, err) : -1;

    free(path);
    return rc;
}

/* ---- Ground truth ---- */

static char *truth_path(const struct bm_nsd_tree *tree, const char *name, struct bm_error *err)
{
    return with_parents(bm_format(err, "%s/ground_truth/%s", tree->root, name), err);
}

int bm_nsd_put_truth(const struct bm_nsd_tree *tree, const char *name, enum bm_dtype dtype, size_t ndim,
                     const size_t *shape, const void *data, struct bm_error *err)
{
    char *path = truth_path(tree, name, err);
    int rc = -1;

    if (path)
        rc = bm_npy_save(path, bm_dtype_descr(dtype), false, bm_dtype_size(dtype), ndim, shape, data, err);
    free(path);
    return rc;
}

int bm_nsd_put_truth_text(const struct bm_nsd_tree *tree, const char *name, const char *text, struct bm_error *err)
{
    struct bm_buf buf = {0};

    if (append_text(&buf, text, err) < 0)
        return put_text(NULL, &buf, err);
    return put_text(truth_path(tree, name, err), &buf, err);
}
