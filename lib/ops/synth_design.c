#include "ops/synth.h"

#include "core/mem.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_SLOT 3 /* no trials in the first 3 and the last 4 slots */
#define INNER_SLOTS 68
#define OWN_IMAGES (BM_SYNTH_IMAGES - BM_SYNTH_SHARED)
#define SHOWINGS 3
#define PAIR_TRIES 16

size_t bm_synth_run_offset(int run)
{
    return 62 * (size_t)(run - 1) + (size_t)run / 2;
}

static size_t run_trials(int run)
{
    return run % 2 ? 63 : 62;
}

static void shuffle_u16(struct bm_random *r, uint16_t *items, size_t n)
{
    for (size_t i = n; i > 1; i--) {
        size_t j = (size_t)bm_random_below(r, i);
        uint16_t item = items[i - 1];

        items[i - 1] = items[j];
        items[j] = item;
    }
}

static void shuffle_i32(struct bm_random *r, int32_t *items, size_t n)
{
    for (size_t i = n; i > 1; i--) {
        size_t j = (size_t)bm_random_below(r, i);
        int32_t item = items[i - 1];

        items[i - 1] = items[j];
        items[j] = item;
    }
}

/* ---- Which slots hold trials ---- */

/* Blank slots lie one in each of 5 or 6 equal parts of the inner slots, never side by side. */
static void make_run_pattern(struct bm_random *r, int run, unsigned char *slots)
{
    size_t blanks = INNER_SLOTS - run_trials(run), part = INNER_SLOTS / blanks;

    memset(slots, 0, BM_SYNTH_SLOTS);
    memset(slots + FIRST_SLOT, 1, INNER_SLOTS);
    for (size_t i = 0; i < blanks; i++)
        slots[FIRST_SLOT + i * part + 1 + (size_t)bm_random_below(r, part - 1)] = 0;
}

static void make_pattern(struct bm_synth_experiment *e, uint64_t seed)
{
    for (int session = 1; session <= BM_SYNTH_SESSIONS; session++) {
        for (int run = 1; run <= BM_SYNTH_RUNS; run++) {
            struct bm_random r;

            bm_synth_random(&r, seed, BM_SYNTH_PATTERN, 0, session, run);
            make_run_pattern(&r, run, e->pattern[session - 1][run - 1]);
        }
    }
}

/* ---- How many images ---- */

static size_t shared_in_pool(size_t pool)
{
    size_t shared = pool / 10;

    return shared ? shared : 1;
}

static size_t count_flags(const bool *flags, size_t n)
{
    size_t count = 0;

    for (size_t i = 1; i <= n; i++)
        count += flags[i];
    return count;
}

static size_t pool_pictures(size_t pool, size_t subjects)
{
    size_t shared = shared_in_pool(pool);

    return shared + subjects * (pool - shared);
}

static void choose_pool(struct bm_synth_experiment *e, const struct bm_synth_plan *plan)
{
    size_t subjects = count_flags(plan->subjects, BM_SYNTH_SUBJECTS);
    size_t trials = count_flags(plan->sessions, BM_SYNTH_SESSIONS) * bm_synth_run_offset(plan->runs + 1);

    e->pool = (trials + SHOWINGS - 1) / SHOWINGS;
    e->pictures = pool_pictures(e->pool, subjects);
    if (plan->pictures) {
        e->pictures = plan->pictures;
        for (e->pool = BM_SYNTH_IMAGES; e->pool > 1; e->pool--) {
            if (pool_pictures(e->pool, subjects) <= plan->pictures)
                break;
        }
    }
}

/* ---- The order of the images ---- */

struct ordering {
    struct bm_synth_experiment *e;
    bool *in_pool;  /* [trials] the trial shows an image of the pool */
    uint16_t *deck; /* [trials] scratch */
    struct bm_random random;
};

static bool is_written(const struct bm_synth_plan *plan, size_t trial)
{
    size_t session = trial / BM_SYNTH_SESSION_TRIALS + 1;

    return plan->sessions[session] && trial % BM_SYNTH_SESSION_TRIALS < bm_synth_run_offset(plan->runs + 1);
}

/* The trials that are written, and as many others as it takes to show each image of the pool three times. */
static void mark_pool_trials(struct ordering *o, const struct bm_synth_plan *plan)
{
    size_t marked = 0;

    for (size_t i = 0; i < BM_SYNTH_TRIALS; i++)
        marked += o->in_pool[i] = is_written(plan, i);
    for (size_t i = 0; i < BM_SYNTH_TRIALS && marked < SHOWINGS * o->e->pool; i++) {
        marked += !o->in_pool[i];
        o->in_pool[i] = true;
    }
}

static bool image_in_pool(const struct bm_synth_experiment *e, size_t index)
{
    size_t shared = shared_in_pool(e->pool);

    if (index < BM_SYNTH_SHARED)
        return index < shared;
    return index - BM_SYNTH_SHARED < e->pool - shared;
}

/* Deals the images of one kind evenly to the trials of that kind, in random order. */
static void deal(struct ordering *o, bool pool)
{
    uint16_t *ordering = o->e->ordering, images[BM_SYNTH_IMAGES];
    size_t nimages = 0, ntrials = 0, next = 0;

    for (size_t i = 0; i < BM_SYNTH_IMAGES; i++) {
        if (image_in_pool(o->e, i) == pool)
            images[nimages++] = (uint16_t)(i + 1);
    }
    shuffle_u16(&o->random, images, nimages);
    for (size_t i = 0; i < BM_SYNTH_TRIALS; i++) {
        if (o->in_pool[i] == pool)
            ntrials++;
    }
    for (size_t i = 0; i < ntrials; i++)
        o->deck[i] = images[i % nimages];
    shuffle_u16(&o->random, o->deck, ntrials);
    for (size_t i = 0; i < BM_SYNTH_TRIALS; i++) {
        if (o->in_pool[i] == pool)
            ordering[i] = o->deck[next++];
    }
}

static bool has_equal_neighbour(const uint16_t *ordering, size_t i)
{
    return (i > 0 && ordering[i - 1] == ordering[i]) || (i + 1 < BM_SYNTH_TRIALS && ordering[i + 1] == ordering[i]);
}

/* Makes trial i + 1 show the image of trial i, by exchange with another showing of that image. */
static bool make_pair(struct ordering *o, size_t i)
{
    uint16_t *ordering = o->e->ordering, image = ordering[i], other = ordering[i + 1];

    if (o->in_pool[i] != o->in_pool[i + 1] || has_equal_neighbour(ordering, i) ||
        has_equal_neighbour(ordering, i + 1))
        return false;
    for (size_t j = 0; j < BM_SYNTH_TRIALS; j++) {
        if (j != i && ordering[j] == image && !has_equal_neighbour(ordering, j)) {
            ordering[j] = other;
            ordering[i + 1] = image;
            return true;
        }
    }
    return false;
}

/* A trial of the run whose next slot holds a trial too; BM_SYNTH_SLOTS where the draw fell on a blank. */
static size_t draw_adjacent(struct bm_random *r, const unsigned char *slots)
{
    size_t slot = FIRST_SLOT + (size_t)bm_random_below(r, INNER_SLOTS - 1), trial = 0;

    if (!slots[slot] || !slots[slot + 1])
        return BM_SYNTH_SLOTS;
    for (size_t i = 0; i < slot; i++)
        trial += slots[i];
    return trial;
}

/* One image that directly follows itself in every run, where the images allow it. */
static void make_pairs(struct ordering *o)
{
    for (int run = 0; run < BM_SYNTH_SESSIONS * BM_SYNTH_RUNS; run++) {
        int session = run / BM_SYNTH_RUNS, number = run % BM_SYNTH_RUNS + 1;
        size_t first = (size_t)session * BM_SYNTH_SESSION_TRIALS + bm_synth_run_offset(number);

        for (int try = 0; try < PAIR_TRIES; try++) {
            size_t trial = draw_adjacent(&o->random, o->e->pattern[session][number - 1]);

            if (trial < BM_SYNTH_SLOTS && make_pair(o, first + trial))
                break;
        }
    }
}

static int make_ordering(struct bm_synth_experiment *e, uint64_t seed, const struct bm_synth_plan *plan,
                         struct bm_error *err)
{
    struct ordering o = {.e = e};
    int rc = -1;

    o.in_pool = bm_calloc(BM_SYNTH_TRIALS, sizeof *o.in_pool, "trials", err);
    o.deck = bm_alloc(BM_SYNTH_TRIALS, sizeof *o.deck, "trials", err);
    if (o.in_pool && o.deck) {
        bm_synth_random(&o.random, seed, BM_SYNTH_ORDERING, 0, 0, 0);
        mark_pool_trials(&o, plan);
        deal(&o, true);
        deal(&o, false);
        make_pairs(&o);
        rc = 0;
    }
    free(o.in_pool);
    free(o.deck);
    return rc;
}

/* ---- Ids ---- */

/* Images of all subjects, numbered for dealing out ids: the shared ones, then each subject's own. */
static int32_t *image_slot(struct bm_synth_experiment *e, int32_t owner)
{
    if (owner < BM_SYNTH_SHARED)
        return &e->shared[owner];
    owner -= BM_SYNTH_SHARED;
    return &e->images[owner / OWN_IMAGES][BM_SYNTH_SHARED + owner % OWN_IMAGES];
}

static bool owner_in_pool(const struct bm_synth_experiment *e, const struct bm_synth_plan *plan, int32_t owner)
{
    if (owner < BM_SYNTH_SHARED)
        return image_in_pool(e, (size_t)owner);
    owner -= BM_SYNTH_SHARED;
    return plan->subjects[owner / OWN_IMAGES + 1] && image_in_pool(e, BM_SYNTH_SHARED + (size_t)(owner % OWN_IMAGES));
}

static int compare_i32(const void *a, const void *b)
{
    const int32_t *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

/* Ids 1..pictures go to the pool and whoever else has room there, in random order; the rest get the rest. */
static int make_ids(struct bm_synth_experiment *e, uint64_t seed, const struct bm_synth_plan *plan,
                    struct bm_error *err)
{
    int32_t *owners = bm_alloc(BM_SYNTH_ALL_IMAGES, sizeof *owners, "image ids", err);
    size_t n = 0, front;
    struct bm_random r;

    if (!owners)
        return -1;
    bm_synth_random(&r, seed, BM_SYNTH_IDS, 0, 0, 0);
    for (int kind = 1; kind >= 0; kind--) {
        front = n;
        for (int32_t i = 0; i < BM_SYNTH_ALL_IMAGES; i++) {
            if (owner_in_pool(e, plan, i) == (kind == 1))
                owners[n++] = i;
        }
    }
    shuffle_i32(&r, owners + front, n - front);
    shuffle_i32(&r, owners, e->pictures);
    shuffle_i32(&r, owners + e->pictures, n - e->pictures);
    for (int32_t i = 0; i < BM_SYNTH_ALL_IMAGES; i++)
        *image_slot(e, owners[i]) = i + 1;
    free(owners);
    qsort(e->shared, BM_SYNTH_SHARED, sizeof e->shared[0], compare_i32);
    for (int s = 0; s < BM_SYNTH_SUBJECTS; s++)
        memcpy(e->images[s], e->shared, sizeof e->shared);
    return 0;
}

int bm_synth_experiment_make(struct bm_synth_experiment *e, uint64_t seed, const struct bm_synth_plan *plan,
                             struct bm_error *err)
{
    choose_pool(e, plan);
    make_pattern(e, seed);
    if (make_ordering(e, seed, plan, err) < 0)
        return -1;
    return make_ids(e, seed, plan, err);
}

/* ---- What follows from it ---- */

void bm_synth_design(const struct bm_synth_experiment *e, int subject, int session, int task_run, size_t slot_rows,
                     int32_t *design, size_t rows)
{
    size_t trial;

    memset(design, 0, rows * sizeof *design);
    if (task_run == 0)
        return;
    trial = (size_t)(session - 1) * BM_SYNTH_SESSION_TRIALS + bm_synth_run_offset(task_run);
    for (size_t slot = 0; slot < BM_SYNTH_SLOTS && slot * slot_rows < rows; slot++) {
        if (e->pattern[session - 1][task_run - 1][slot])
            design[slot * slot_rows] = e->images[subject - 1][e->ordering[trial++] - 1];
    }
}

void bm_synth_showings(const struct bm_synth_experiment *e, int32_t *reps)
{
    memset(reps, 0, (size_t)BM_SYNTH_ALL_IMAGES * BM_SYNTH_SUBJECTS * SHOWINGS * sizeof *reps);
    for (size_t s = 0; s < BM_SYNTH_SUBJECTS; s++) {
        for (size_t trial = 0; trial < BM_SYNTH_TRIALS; trial++) {
            size_t image = (size_t)e->images[s][e->ordering[trial] - 1] - 1;
            int32_t *rep = reps + (image * BM_SYNTH_SUBJECTS + s) * SHOWINGS;

            for (size_t i = 0; i < SHOWINGS; i++) {
                if (!rep[i]) {
                    rep[i] = (int32_t)trial + 1;
                    break;
                }
            }
        }
    }
}
