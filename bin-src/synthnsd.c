/* synthnsd: a synthetic dataset in the layout of the Natural Scenes Dataset, with known ground truth. */
#include "cli.h"

#include "core/parse.h"
#include "core/tasks.h"
#include "io/jsonmem.h"
#include "io/nsdtree.h"
#include "io/runjson.h"
#include "ops/synth.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define MAX_SEED 9007199254740992.0 /* 2^53: exact in every JSON reader */
#define MIN_DIM 6
#define MAX_DIM 512
#define MAX_VOLUMES 4096

static int64_t volumes, runs = BM_SYNTH_RUNS, seed, pictures, threads;
static double scale = 1, signal_gain = 1;
static const char *subject_list = "1", *session_list = "1", *dims_text, *space = "func1pt8mm";
static bool decoys;

static const struct cli_option options[] = {
    {"subjects", 's', CLI_STRING, &subject_list, "LIST", "Subjects 1 to 8, such as 1,2 or 1-8.", 0, 0, NULL, false},
    {"sessions", 'S', CLI_STRING, &session_list, "LIST",
     "Sessions 1 to 40, such as 1-3 or 1-2,21. Sessions 21 to 30 (subjects 1 and 5: to 38) have a rest run before "
     "and after the task runs. A subject's sessions end at 30, 32 or 40, as in NSD.",
     0, 0, NULL, false},
    {"space", 0, CLI_CHOICE, &space, NULL, "1.8 mm and a TR of 4/3 s, or 1 mm and 1 s.", 0, 0, "func1pt8mm|func1mm",
     false},
    {"scale", 0, CLI_REAL, &scale, "S", "Size of the grid along each axis, relative to the subject's own.", 0.05, 1,
     NULL, false},
    {"dims", 'd', CLI_STRING, &dims_text, "X,Y,Z", "Size of the grid in voxels, in place of --scale.", 0, 0, NULL,
     false},
    {"volumes", 0, CLI_INT, &volumes, "N",
     "Volumes of a run, one more than its design has rows; 0 means as in NSD: 226 at 1.8 mm and 301 at 1 mm.", 0,
     MAX_VOLUMES, NULL, false},
    {"runs", 0, CLI_INT, &runs, "N", "Task runs of a session.", 1, BM_SYNTH_RUNS, NULL, false},
    {"pictures", 0, CLI_INT, &pictures, "N",
     "Pictures in nsd_stimuli.hdf5, to which the images shown are limited; 0 means as many as it takes to show each "
     "one three times. 73000 gives all of NSD's images.",
     0, BM_SYNTH_ALL_IMAGES, NULL, false},
    {"signal", 0, CLI_REAL, &signal_gain, "G", "Size of the responses; 0 leaves noise.", 0, 100, NULL, false},
    {"decoys", 0, CLI_FLAG, &decoys, NULL, "Also write the runs of other experiments (tiny) that NSD's folders hold.",
     0, 0, NULL, false},
    {"seed", 0, CLI_INT, &seed, "S", "Seed of everything.", 0, MAX_SEED, NULL, false},
    CLI_THREADS(threads),
    {0},
};

static const struct cli_program program = {
    .name = "synthnsd",
    .purpose = "Write a synthetic dataset in NSD's layout, with known ground truth",
    .usage = "[OPTIONS] OUTDIR",
    .description =
        "Writes time series, designs, motion, masks, ROIs, label tables, the experiment's files and small pictures "
        "below OUTDIR, each at the place where NSD has it. Files that exist are replaced one by one, others stay.\n\n"
        "Each image has 8 latent numbers; voxels of the cortex respond to them, most of all in nsdgeneral, on top of "
        "drifts and autocorrelated noise. OUTDIR/ground_truth holds latents, responses and settings.\n\n"
        "One call makes one experiment: which images are shown depends on the subjects, sessions and runs asked for.",
    .options = options,
    .examples = "  synthnsd data/nsd   # subject 1, session 1 in full size: 12 runs, 1.1 GB\n"
                "  synthnsd --sessions 1-3 --dims 20,24,18 data/demo   # small volumes, all 226 of them\n"
                "  synthnsd --subjects 1,2 --sessions 1,21 --dims 20,24,18 --decoys data/test   # 12 and 14 runs\n",
    .min_args = 1,
    .max_args = 1,
};

struct job {
    const struct cli *cli;
    struct bm_nsd_tree tree;
    struct bm_synth_plan plan;
    struct bm_synth_experiment *experiment;
    size_t slot_rows, volumes, rows; /* rows of the designs */
    double tr, mm;
    int64_t dims[3]; /* 0: the subject's own, scaled */
};

/* ---- Command line ---- */

/* "1,3-5" to flags[1..max]. */
static int parse_list(const char *option, const char *text, int max, bool *flags, struct bm_error *err)
{
    for (const char *p = text;; p++) {
        size_t n = strcspn(p, ","), dash = strcspn(p, "-,");
        int64_t first, last;

        if (!bm_parse_int_n(p, dash, 1, max, &first))
            break;
        last = first;
        if (dash < n && !bm_parse_int_n(p + dash + 1, n - dash - 1, first, max, &last))
            break;
        for (int64_t i = first; i <= last; i++)
            flags[i] = true;
        p += n;
        if (!*p)
            return 0;
    }
    return bm_fail(err, BM_EUSAGE, "--%s: '%s' is not a list of numbers from 1 to %d; write it as 1,3-5", option,
                   text, max);
}

static int parse_dims(int64_t dims[3], struct bm_error *err)
{
    const char *p = dims_text;

    if (!p)
        return 0;
    if (scale < 1)
        return bm_fail(err, BM_EUSAGE, "--dims and --scale both set the grid's size; give one of them");
    for (int i = 0; i < 3; i++) {
        size_t n = strcspn(p, ",");

        if (!bm_parse_int_n(p, n, MIN_DIM, MAX_DIM, &dims[i]) || (p[n] == ',') != (i < 2))
            return bm_fail(err, BM_EUSAGE, "--dims: '%s' is not X,Y,Z, each from %d to %d", dims_text, MIN_DIM,
                           MAX_DIM);
        p += n + (i < 2);
    }
    return 0;
}

static int set_up(struct job *job, struct bm_error *err)
{
    bool fine = strcmp(space, "func1mm") == 0;
    size_t design;

    if (strcmp(job->cli->args[0], "-") == 0)
        return bm_fail(err, BM_EUSAGE, "-: a dataset does not fit into a pipe; name a folder");
    job->tree = (struct bm_nsd_tree){job->cli->args[0], space};
    job->slot_rows = fine ? 4 : 3;
    job->tr = 4.0 / (double)job->slot_rows;
    job->mm = fine ? 1 : 1.8;
    design = BM_SYNTH_SLOTS * job->slot_rows;
    job->volumes = volumes ? (size_t)volumes : design + 1;
    if (job->volumes < 2)
        return bm_fail(err, BM_EUSAGE, "--volumes: a run needs 2 or more; give a larger number");
    job->rows = job->volumes - 1 < design ? job->volumes - 1 : design;
    job->plan.runs = (int)runs;
    job->plan.pictures = (size_t)pictures;
    if (parse_list("subjects", subject_list, BM_SYNTH_SUBJECTS, job->plan.subjects, err) < 0 ||
        parse_list("sessions", session_list, BM_SYNTH_SESSIONS, job->plan.sessions, err) < 0 ||
        parse_dims(job->dims, err) < 0)
        return -1;
    job->experiment = bm_alloc(1, sizeof *job->experiment, "experiment", err);
    return job->experiment ? bm_synth_experiment_make(job->experiment, (uint64_t)seed, &job->plan, err) : -1;
}

static void subject_grid(const struct job *job, int subject, struct bm_grid *grid)
{
    int64_t dims[3];

    bm_synth_dims(subject, job->slot_rows == 4, scale, dims);
    for (int i = 0; i < 3; i++)
        dims[i] = job->dims[i] ? job->dims[i] : dims[i] < MIN_DIM ? MIN_DIM : dims[i];
    bm_synth_grid(grid, dims, job->mm);
}

/* ---- A subject's volumes ---- */

static int put_rois(const struct job *job, int subject, const struct bm_synth_anatomy *a, int16_t *volume,
                    struct bm_error *err)
{
    static const char sides[] = {'b', 'l', 'r'};
    static const char *const prefixes[] = {"", "lh.", "rh."};

    for (int roi = 0; roi < BM_SYNTH_ROIS; roi++) {
        const struct bm_synth_roi *r = bm_synth_roi(roi);

        for (int side = 0; side < 3; side++) {
            char name[64];

            (void)snprintf(name, sizeof name, "roi/%s%s", prefixes[side], r->name);
            bm_synth_roi_volume(a, roi, sides[side], volume);
            if (bm_nsd_put_volume(&job->tree, subject, name, &a->grid, BM_I16, volume, err) < 0)
                return -1;
        }
        if (r->table && bm_nsd_put_ctab(&job->tree, subject, r->name, r->labels, r->n, err) < 0)
            return -1;
    }
    return 0;
}

static int put_anatomy(const struct job *job, int subject, const struct bm_synth_anatomy *a, struct bm_error *err)
{
    size_t voxels = bm_grid_voxels(&a->grid);
    int16_t *volume = bm_calloc(voxels, sizeof *volume, "volume", err);
    int rc = volume ? 0 : -1;

    for (size_t i = 0; rc == 0 && i < a->nmask; i++)
        volume[a->mask[i]] = 1;
    if (rc == 0)
        rc = bm_nsd_put_volume(&job->tree, subject, "brainmask", &a->grid, BM_I16, volume, err);
    if (rc == 0)
        rc = put_rois(job, subject, a, volume, err);
    free(volume);
    return rc;
}

/* ---- A subject's runs ---- */

struct task {
    struct bm_nsd_run id;
    int task_run; /* 1..12; 0: rest */
    struct session *session;
};

struct session {
    int number;
    size_t runs_left;
    struct bm_synth_sums sums;
};

struct work {
    const struct job *job;
    const struct bm_synth_anatomy *anatomy;
    int subject;
    struct session sessions[BM_SYNTH_SESSIONS];
    struct task tasks[BM_SYNTH_SESSIONS * (BM_SYNTH_RUNS + 2)];
    size_t nsessions, ntasks;
    atomic_size_t volumes_done;
    pthread_mutex_t lock; /* for the sessions and the total */
    struct bm_synth_sums total;
};

static void plan_session(struct work *w, int number)
{
    struct session *s = &w->sessions[w->nsessions++];
    int rest = bm_synth_has_rest(w->subject, number), n = (int)runs + 2 * rest;

    *s = (struct session){.number = number, .runs_left = (size_t)n};
    for (int run = 1; run <= n; run++) {
        bool is_rest = rest && (run == 1 || run == n);

        w->tasks[w->ntasks++] = (struct task){{w->subject, number, run, NULL}, is_rest ? 0 : run - rest, s};
    }
}

static int put_tables(const struct work *w, const struct task *task, const int32_t *design, struct bm_error *err)
{
    const struct job *job = w->job;
    double *motion = bm_alloc(job->volumes, 6 * sizeof *motion, "motion", err);
    int rc = -1;

    if (motion) {
        bm_synth_motion((uint64_t)seed, w->subject, task->id.session, task->id.run, motion, job->volumes);
        rc = bm_nsd_put_design(&job->tree, &task->id, design, job->rows, err);
    }
    if (rc == 0)
        rc = bm_nsd_put_motion(&job->tree, &task->id, motion, job->volumes, err);
    free(motion);
    return rc;
}

/* The mean of the runs summed up, or the voxels that none of them has lost. */
static int put_summary(const struct work *w, const struct bm_synth_sums *sums, const char *name, bool mean,
                       struct bm_error *err)
{
    const struct bm_grid *grid = &w->anatomy->grid;
    enum bm_dtype dtype = mean ? BM_F32 : BM_I16;
    void *volume = bm_calloc(bm_grid_voxels(grid), bm_dtype_size(dtype), "volume", err);
    int rc = -1;

    if (volume) {
        if (mean)
            bm_synth_mean_volume(w->anatomy, sums, volume);
        else
            bm_synth_valid_volume(w->anatomy, sums, volume);
        rc = bm_nsd_put_volume(&w->job->tree, w->subject, name, grid, dtype, volume, err);
    }
    free(volume);
    return rc;
}

static int finish_session(const struct work *w, struct session *s, struct bm_error *err)
{
    char name[32];
    int rc;

    (void)snprintf(name, sizeof name, "mean_session%02d", s->number);
    rc = put_summary(w, &s->sums, name, true, err);
    (void)snprintf(name, sizeof name, "valid_session%02d", s->number);
    if (rc == 0)
        rc = put_summary(w, &s->sums, name, false, err);
    bm_synth_sums_clear(&s->sums);
    return rc;
}

/* Adds a finished run to its session; the last one writes the session's mean and valid voxels. */
static int account(struct work *w, struct session *s, const struct bm_synth_run *run, struct bm_error *err)
{
    int rc;
    bool last;

    (void)pthread_mutex_lock(&w->lock);
    rc = bm_synth_sums_add(&s->sums, run, err);
    if (rc == 0)
        rc = bm_synth_sums_add(&w->total, run, err);
    last = rc == 0 && --s->runs_left == 0;
    (void)pthread_mutex_unlock(&w->lock);
    return last ? finish_session(w, s, err) : rc;
}

static int put_series(struct work *w, const struct task *task, struct bm_synth_run *run, int16_t *volume,
                      const atomic_bool *stop, struct bm_error *err)
{
    struct bm_nsd_series *s =
        bm_nsd_series_open(&w->job->tree, &task->id, &w->anatomy->grid, run->volumes, w->job->tr, err);
    int rc = s ? 0 : -1;

    while (rc == 0 && run->volume < run->volumes) {
        if (atomic_load(stop))
            rc = -1;
        else
            bm_synth_run_volume(run, volume);
        if (rc == 0)
            rc = bm_nsd_series_put(s, volume, err);
        atomic_fetch_add(&w->volumes_done, 1);
    }
    if (rc == 0)
        rc = bm_nsd_series_finish(s, err);
    bm_nsd_series_close(s);
    return rc;
}

/* A worker's memory: one volume in the file's order and what the generator keeps a voxel. */
struct bench {
    struct bm_synth_run run;
    int16_t *volume;
    int32_t *design;
    float *regressors;
};

static int make_bench(void *self, void *worker, struct bm_error *err)
{
    const struct work *w = self;
    struct bench *b = worker;

    b->volume = bm_calloc(bm_grid_voxels(&w->anatomy->grid), sizeof *b->volume, "volume", err);
    b->design = bm_alloc(w->job->rows, sizeof *b->design, "design", err);
    b->regressors = bm_alloc(w->job->volumes, BM_SYNTH_REGRESSORS * sizeof *b->regressors, "regressors", err);
    return b->volume && b->design && b->regressors ? bm_synth_run_init(&b->run, w->anatomy, err) : -1;
}

static void drop_bench(void *worker)
{
    struct bench *b = worker;

    bm_synth_run_clear(&b->run);
    free(b->volume);
    free(b->design);
    free(b->regressors);
}

static int make_run(void *self, void *worker, size_t i, const atomic_bool *stop, struct bm_error *err)
{
    struct work *w = self;
    struct bench *b = worker;
    const struct job *job = w->job;
    const struct task *task = &w->tasks[i];

    bm_synth_design(job->experiment, w->subject, task->id.session, task->task_run, job->slot_rows, b->design,
                    job->rows);
    bm_synth_regressors((uint64_t)seed, b->design, job->rows, job->slot_rows, b->regressors, job->volumes);
    bm_synth_run_start(&b->run, (uint64_t)seed, w->subject, task->id.session, task->id.run, b->regressors,
                       job->volumes);
    if (put_tables(w, task, b->design, err) < 0 || put_series(w, task, &b->run, b->volume, stop, err) < 0)
        return -1;
    return account(w, task->session, &b->run, err);
}

static void show_progress(void *self)
{
    struct work *w = self;
    char what[32];

    (void)snprintf(what, sizeof what, "subject %02d, volumes", w->subject);
    cli_progress(w->job->cli, what, atomic_load(&w->volumes_done), w->ntasks * w->job->volumes);
}

/* All runs, several at a time. */
static int put_runs(struct work *w, struct bm_error *err)
{
    const struct bm_tasks tasks = {w,          w->ntasks, sizeof(struct bench), make_bench,
                                   drop_bench, make_run,  show_progress};
    int rc = bm_tasks_run(&tasks, cli_threads(threads), err);

    if (rc == 0)
        rc = put_summary(w, &w->total, "mean", true, err);
    for (size_t i = 0; i < w->nsessions; i++)
        bm_synth_sums_clear(&w->sessions[i].sums);
    bm_synth_sums_clear(&w->total);
    return rc;
}

/* ---- Ground truth and experiment ---- */

/* Arrays over the cortex in C order of (x, y, z): where, responses, noise and baseline. */
static int put_subject_truth(const struct job *job, int subject, const struct bm_synth_anatomy *a,
                             struct bm_error *err)
{
    static const char *const names[] = {"voxels", "weights", "noise_sd", "baseline"};
    const enum bm_dtype dtypes[] = {BM_I64, BM_F32, BM_F32, BM_F32};
    size_t n = a->ncortex, shape[2] = {n, BM_SYNTH_REGRESSORS};
    struct bm_synth_truth truth = {0};
    int rc = bm_synth_truth_make(&truth, a, err);
    const void *const data[] = {truth.voxels, truth.weights, truth.noise_sd, truth.baseline};

    for (size_t i = 0; rc == 0 && i < 4; i++) {
        char name[48];

        (void)snprintf(name, sizeof name, "subj%02d_%s.npy", subject, names[i]);
        rc = bm_nsd_put_truth(&job->tree, name, dtypes[i], i == 1 ? 2 : 1, shape, data[i], err);
    }
    bm_synth_truth_clear(&truth);
    return rc;
}

static int put_image_truth(const struct job *job, struct bm_error *err)
{
    size_t n = job->experiment->pictures, shape[2] = {n, BM_SYNTH_LATENTS};
    float *latents = bm_alloc(n, BM_SYNTH_LATENTS * sizeof *latents, "latents", err);
    unsigned char *classes = bm_alloc(n, 1, "classes", err);
    int rc = latents && classes ? 0 : -1;

    for (size_t i = 0; rc == 0 && i < n; i++)
        classes[i] = (unsigned char)bm_synth_latents((uint64_t)seed, (int32_t)i, latents + i * BM_SYNTH_LATENTS);
    if (rc == 0)
        rc = bm_nsd_put_truth(&job->tree, "image_latents.npy", BM_F32, 2, shape, latents, err);
    if (rc == 0)
        rc = bm_nsd_put_truth(&job->tree, "image_classes.npy", BM_U8, 1, shape, classes, err);
    free(latents);
    free(classes);
    return rc;
}

static json_t *flag_list(const bool *flags, int max)
{
    json_t *list = json_array();

    for (int i = 1; i <= max; i++) {
        if (flags[i])
            (void)json_array_append_new(list, json_integer(i));
    }
    return list;
}

static json_t *hrf_list(size_t slot_rows)
{
    json_t *list = json_array();

    for (size_t i = 0; i < bm_synth_hrf_rows(slot_rows); i++)
        (void)json_array_append_new(list, json_real(bm_synth_hrf(slot_rows, i)));
    return list;
}

static json_t *settings(const struct job *job, const char *step)
{
    const struct bm_synth_plan *plan = &job->plan;

    return json_pack("{s:s, s:i, s:I, s:s, s:f, s:I, s:I, s:I, s:o, s:o, s:I, s:I, s:o, s:f, s:f, s:i, s:o}",
                     "boldmill", "synthetic", "schema", BM_SCHEMA, "seed", (json_int_t)seed, "space", space, "tr",
                     job->tr, "volumes", (json_int_t)job->volumes, "design_rows", (json_int_t)job->rows, "slot_rows",
                     (json_int_t)job->slot_rows, "subjects", flag_list(plan->subjects, BM_SYNTH_SUBJECTS), "sessions",
                     flag_list(plan->sessions, BM_SYNTH_SESSIONS), "pictures", (json_int_t)job->experiment->pictures,
                     "images_a_subject", (json_int_t)job->experiment->pool, "hrf", hrf_list(job->slot_rows), "signal",
                     signal_gain, "noise_ar1", (double)BM_SYNTH_AR, "drift_order", BM_SYNTH_DRIFT_ORDER, "step",
                     bm_json_own(step));
}

static int put_settings(const struct job *job, struct bm_error *err)
{
    char *step = cli_step(job->cli, NULL, 0, err), *text = step ? bm_runjson_dump(settings(job, step), err) : NULL;
    int rc = text ? bm_nsd_put_truth_text(&job->tree, "settings.json", text, err) : -1;

    free(text);
    free(step);
    return rc;
}

static int put_experiment(const struct job *job, struct bm_error *err)
{
    const struct bm_synth_experiment *e = job->experiment;
    const struct bm_nsd_expdesign design = {
        e->ordering,       e->shared,       &e->images[0][0],  &e->pattern[0][0][0], BM_SYNTH_TRIALS, BM_SYNTH_SHARED,
        BM_SYNTH_SUBJECTS, BM_SYNTH_IMAGES, BM_SYNTH_SESSIONS, BM_SYNTH_RUNS,        BM_SYNTH_SLOTS};
    int32_t *reps = bm_alloc(BM_SYNTH_ALL_IMAGES, sizeof *reps * 3 * BM_SYNTH_SUBJECTS, "showings", err);
    unsigned char *owners = bm_calloc(BM_SYNTH_ALL_IMAGES, 1, "images", err);
    int rc = reps && owners ? bm_nsd_put_expdesign(&job->tree, &design, err) : -1;

    if (rc == 0) {
        bm_synth_showings(e, reps);
        for (int s = 0; s < BM_SYNTH_SUBJECTS; s++) {
            for (int i = 0; i < BM_SYNTH_IMAGES; i++)
                owners[e->images[s][i] - 1] |= (unsigned char)(1 << s);
        }
        rc = bm_nsd_put_stim_info(&job->tree, BM_SYNTH_ALL_IMAGES, owners, reps, err);
    }
    free(reps);
    free(owners);
    return rc;
}

static int draw_picture(void *self, size_t i, unsigned char *picture, struct bm_error *err)
{
    const struct job *job = self;

    (void)err;
    bm_synth_picture((uint64_t)seed, (int32_t)i, picture);
    cli_progress(job->cli, "pictures", i + 1, job->experiment->pictures);
    return 0;
}

/* ---- All of it ---- */

static int put_subject(const struct job *job, int subject, struct work *w, struct bm_error *err)
{
    struct bm_synth_anatomy anatomy;
    struct bm_grid grid;
    int rc;

    memset(w, 0, sizeof *w);
    w->job = job;
    w->subject = subject;
    w->anatomy = &anatomy;
    (void)pthread_mutex_init(&w->lock, NULL);
    for (int s = 1; s <= bm_synth_subject(subject)->sessions; s++) {
        if (job->plan.sessions[s])
            plan_session(w, s);
    }
    subject_grid(job, subject, &grid);
    rc = bm_synth_anatomy_make(&anatomy, &grid, (uint64_t)seed, subject, signal_gain, err);
    if (rc == 0)
        rc = put_anatomy(job, subject, &anatomy, err);
    if (rc == 0)
        rc = put_subject_truth(job, subject, &anatomy, err);
    if (rc == 0 && decoys)
        rc = bm_nsd_put_decoys(&job->tree, subject, &grid, job->tr, err);
    if (rc == 0)
        rc = put_runs(w, err);
    (void)pthread_mutex_destroy(&w->lock);
    bm_synth_anatomy_clear(&anatomy);
    w->anatomy = NULL;
    return rc;
}

/* Sessions that the subject does not have are left out; one that has none of them is a mistake. */
static int check_sessions(const struct job *job, int subject, struct bm_error *err)
{
    int last = bm_synth_subject(subject)->sessions, wanted = 0;

    for (int s = 1; s <= last; s++)
        wanted += job->plan.sessions[s];
    if (!wanted)
        return bm_fail(err, BM_EUSAGE, "--sessions: subject %d has sessions 1 to %d; name one of them", subject,
                       last);
    for (int s = last + 1; s <= BM_SYNTH_SESSIONS; s++) {
        if (job->plan.sessions[s])
            cli_note(job->cli, "subject %d has no session %d: left out", subject, s);
    }
    return 0;
}

static int put_all(struct job *job, struct bm_error *err)
{
    struct work *w = bm_alloc(1, sizeof *w, "runs", err);
    int rc = w ? 0 : -1;

    for (int s = 1; rc == 0 && s <= BM_SYNTH_SUBJECTS; s++)
        rc = job->plan.subjects[s] ? check_sessions(job, s, err) : 0;
    if (rc == 0)
        rc = put_experiment(job, err);
    if (rc == 0)
        rc = put_image_truth(job, err);
    if (rc == 0)
        rc = put_settings(job, err);
    for (int s = 1; rc == 0 && s <= BM_SYNTH_SUBJECTS; s++)
        rc = job->plan.subjects[s] ? put_subject(job, s, w, err) : 0;
    if (rc == 0)
        rc = bm_nsd_put_pictures(&job->tree, job->experiment->pictures, BM_SYNTH_PICTURE, draw_picture, job, err);
    free(w);
    return rc;
}

int main(int argc, char **argv)
{
    struct bm_error err = {0};
    struct cli cli;
    struct job job = {.cli = &cli};

    cli_parse(&cli, &program, argc, argv);
    if (set_up(&job, &err) < 0 || put_all(&job, &err) < 0)
        cli_fail(&cli, &err);
    cli_progress_end(&cli);
    free(job.experiment);
    return 0;
}
