#include "ops/synth.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Subject 01's brain mask: 257764 voxels of 81 x 104 x 83. */
#define BRAIN_SHARE (257764.0 / (81 * 104 * 83))
#define SMALLEST_NSDGENERAL 28.0
#define SMALLEST_CORTEX 8

static const struct bm_synth_roi rois[BM_SYNTH_ROIS] = {
    {"nsdgeneral", 1, {"Unknown", "nsdgeneral"}, true},
    {"general", 1, {"Unknown", "general"}, false},
    {"prf-visualrois", 7, {"Unknown", "V1v", "V1d", "V2v", "V2d", "V3v", "V3d", "hV4"}, true},
    {"streams",
     7,
     {"Unknown", "early", "midventral", "midlateral", "midparietal", "ventral", "lateral", "parietal"},
     true},
    {"floc-faces", 5, {"Unknown", "OFA", "FFA-1", "FFA-2", "mTL-faces", "aTL-faces"}, true},
};

/* A label's place: cortex is ranked from back to front, with nsdgeneral, which is at most half of it, from 0 to 1,
 * and no place beyond 1.6; the voxels of a range are ranked again from bottom to top, 0 to 1. */
struct place {
    int roi;
    double back, front, bottom, top;
    unsigned char label;
};

static const struct place places[] = {
    {BM_SYNTH_NSDGENERAL, 0, 1, 0, 1, 1},      {BM_SYNTH_GENERAL, 0, 1, 0, 1, 1},
    {BM_SYNTH_PRF, 0, 0.22, 0, 0.5, 1},        {BM_SYNTH_PRF, 0, 0.22, 0.5, 1, 2},
    {BM_SYNTH_PRF, 0.22, 0.40, 0, 0.5, 3},     {BM_SYNTH_PRF, 0.22, 0.40, 0.5, 1, 4},
    {BM_SYNTH_PRF, 0.40, 0.54, 0, 0.5, 5},     {BM_SYNTH_PRF, 0.40, 0.54, 0.5, 1, 6},
    {BM_SYNTH_PRF, 0.54, 0.66, 0, 0.5, 7},     {BM_SYNTH_STREAMS, 0, 0.5, 0, 1, 1},
    {BM_SYNTH_STREAMS, 0.5, 0.7, 0, 0.33, 2},  {BM_SYNTH_STREAMS, 0.5, 0.7, 0.33, 0.67, 3},
    {BM_SYNTH_STREAMS, 0.5, 0.7, 0.67, 1, 4},  {BM_SYNTH_STREAMS, 0.7, 1, 0, 0.33, 5},
    {BM_SYNTH_STREAMS, 0.7, 1, 0.33, 0.67, 6}, {BM_SYNTH_STREAMS, 0.7, 1, 0.67, 1, 7},
    {BM_SYNTH_FACES, 0.54, 0.66, 0, 0.3, 1},   {BM_SYNTH_FACES, 0.70, 0.80, 0, 0.3, 2},
    {BM_SYNTH_FACES, 0.84, 0.94, 0, 0.3, 3},   {BM_SYNTH_FACES, 1.2, 1.3, 0, 0.3, 4},
    {BM_SYNTH_FACES, 1.5, 1.6, 0, 0.3, 5},
};

const struct bm_synth_roi *bm_synth_roi(int roi)
{
    return &rois[roi];
}

void bm_synth_grid(struct bm_grid *grid, const int64_t dims[3], double mm)
{
    memset(grid, 0, sizeof *grid);
    for (int i = 0; i < 3; i++) {
        grid->dims[i] = dims[i];
        grid->affine[i][i] = mm;
        grid->affine[i][3] = -mm * (double)(dims[i] - 1) / 2;
    }
}

/* ---- The brain: an ellipsoid, a little skewed ---- */

struct head {
    int64_t dims[3];
    double skew[3];
};

struct point {
    double u, v, w; /* -1..1 across the grid: right, front, up */
};

static double across(int64_t i, int64_t n)
{
    return (double)(2 * i + 1 - n) / (double)n;
}

static struct point point_at(const struct head *h, size_t voxel)
{
    int64_t i = (int64_t)voxel, x = i % h->dims[0], y = i / h->dims[0] % h->dims[1];
    int64_t z = i / h->dims[0] / h->dims[1];

    return (struct point){across(x, h->dims[0]), across(y, h->dims[1]), across(z, h->dims[2])};
}

static double distance2(const struct head *h, struct point p)
{
    return p.u * p.u + p.v * p.v + p.w * p.w + h->skew[0] * p.u * p.v + h->skew[1] * p.v * p.w +
           h->skew[2] * p.u * p.w;
}

static size_t count_within(const struct head *h, size_t voxels, double limit)
{
    size_t n = 0;

    for (size_t i = 0; i < voxels; i++)
        n += distance2(h, point_at(h, i)) <= limit;
    return n;
}

/* The squared radius that holds BRAIN_SHARE of the grid, or as near below as the grid's symmetry allows. */
static double brain_limit(const struct head *h, size_t voxels)
{
    size_t wanted = (size_t)(BRAIN_SHARE * (double)voxels + 0.5);
    double low = 0, high = 1;

    for (int i = 0; i < 30; i++) {
        double middle = (low + high) / 2;
        size_t n = count_within(h, voxels, middle);

        if (n > wanted)
            high = middle;
        else
            low = middle;
        if (n == wanted)
            break;
    }
    return low;
}

static double triangle(double x)
{
    double part = x - floor(x);

    return part < 0.5 ? 4 * part - 1 : 3 - 4 * part;
}

/* A folded sheet below the surface, open between the hemispheres. */
static bool in_cortex(struct point p, double radius)
{
    double fold = (triangle(3 * p.u) + triangle(3 * p.v + 0.3) + triangle(3 * p.w + 0.6)) / 3;
    double depth = radius + 0.06 * fold;

    return depth > 0.68 && depth < 0.86 && fabs(p.u) > 0.03;
}

/* ---- Building it ---- */

/* Cortex from back to front; ties by position, so that sorting has one answer. */
struct ranked {
    double key;
    uint32_t item; /* index into cortex */
};

static int compare_ranked(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;

    if (x->key != y->key)
        return (x->key > y->key) - (x->key < y->key);
    return (x->item > y->item) - (x->item < y->item);
}

static int allocate_mask(struct bm_synth_anatomy *a, struct bm_error *err)
{
    a->mask = bm_alloc(a->nmask, sizeof *a->mask, "brain mask", err);
    a->baseline = bm_alloc(a->nmask, sizeof *a->baseline, "baseline", err);
    a->noise_sd = bm_alloc(a->nmask, sizeof *a->noise_sd, "noise", err);
    a->cortex = bm_alloc(a->nmask, sizeof *a->cortex, "cortex", err);
    a->right = bm_alloc(a->nmask, 1, "hemispheres", err);
    return a->mask && a->baseline && a->noise_sd && a->cortex && a->right ? 0 : -1;
}

static int allocate_cortex(struct bm_synth_anatomy *a, struct bm_error *err)
{
    for (int i = 0; i < BM_SYNTH_ROIS; i++) {
        a->labels[i] = bm_calloc(a->ncortex, 1, "labels", err);
        if (!a->labels[i])
            return -1;
    }
    for (int i = 0; i < BM_SYNTH_REGRESSORS; i++) {
        a->weights[i] = bm_calloc(a->ncortex, sizeof(float), "response weights", err);
        if (!a->weights[i])
            return -1;
    }
    return 0;
}

/* Bright inside, dark at the rim, with texture: 500 to 3000. */
static void fill_voxel(struct bm_synth_anatomy *a, size_t i, double radius, struct bm_random *r)
{
    double bright = 1 - radius * radius * radius * radius;

    a->baseline[i] = (float)(500 + 2500 * bright * (0.75 + 0.25 * bm_random_unit(r)));
    a->noise_sd[i] = (float)(25 + 15 * bm_random_unit(r));
}

static void fill_mask(struct bm_synth_anatomy *a, const struct head *h, double limit, struct bm_random *r)
{
    size_t voxels = bm_grid_voxels(&a->grid), n = 0;

    for (size_t i = 0; i < voxels; i++) {
        struct point p = point_at(h, i);
        double d2 = distance2(h, p), radius;

        if (d2 > limit)
            continue;
        radius = sqrt(d2 / limit);
        a->mask[n] = (uint32_t)i;
        fill_voxel(a, n, radius, r);
        if (in_cortex(p, radius)) {
            a->right[a->ncortex] = p.u > 0;
            a->cortex[a->ncortex++] = (uint32_t)n;
        }
        n++;
    }
}

static void label_place(struct bm_synth_anatomy *a, const struct head *h, const struct place *place,
                        const struct ranked *order, double unit, struct ranked *scratch)
{
    size_t from = (size_t)(place->back * unit + 0.5), to = (size_t)(place->front * unit + 0.5), n = to - from;

    for (size_t i = 0; i < n; i++) {
        scratch[i].item = order[from + i].item;
        scratch[i].key = point_at(h, a->mask[a->cortex[scratch[i].item]]).w;
    }
    qsort(scratch, n, sizeof *scratch, compare_ranked);
    from = (size_t)(place->bottom * (double)n + 0.5);
    to = (size_t)(place->top * (double)n + 0.5);
    for (size_t i = from; i < to; i++)
        a->labels[place->roi][scratch[i].item] = place->label;
}

/* Voxels of nsdgeneral: the subject's real number, scaled with the grid. */
static double nsdgeneral_size(const struct bm_synth_anatomy *a, const struct bm_synth_subject *s)
{
    double real = (double)(s->dims[0] * s->dims[1] * s->dims[2]);
    double n = s->nsdgeneral * ((double)bm_grid_voxels(&a->grid) / real);

    double most = (double)a->ncortex / 2;

    n = n > SMALLEST_NSDGENERAL ? n : SMALLEST_NSDGENERAL;
    return n < most ? n : most;
}

static int make_labels(struct bm_synth_anatomy *a, const struct head *h, const struct bm_synth_subject *subject,
                       struct bm_error *err)
{
    struct ranked *order = bm_alloc(a->ncortex, sizeof *order, "cortex", err);
    struct ranked *scratch = bm_alloc(a->ncortex, sizeof *scratch, "cortex", err);

    if (order && scratch) {
        double unit = nsdgeneral_size(a, subject);

        for (size_t i = 0; i < a->ncortex; i++) {
            struct point p = point_at(h, a->mask[a->cortex[i]]);

            order[i] = (struct ranked){p.v + 0.15 * p.w, (uint32_t)i};
        }
        qsort(order, a->ncortex, sizeof *order, compare_ranked);
        for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
            label_place(a, h, &places[i], order, unit, scratch);
    }
    free(order);
    free(scratch);
    return order && scratch ? 0 : -1;
}

int bm_synth_anatomy_make(struct bm_synth_anatomy *a, const struct bm_grid *grid, uint64_t seed, int subject,
                          double gain, struct bm_error *err)
{
    struct head h;
    struct bm_random r;
    double limit;

    memset(a, 0, sizeof *a);
    a->grid = *grid;
    memcpy(h.dims, grid->dims, sizeof h.dims);
    bm_synth_random(&r, seed, BM_SYNTH_ANATOMY, subject, 0, 0);
    for (int i = 0; i < 3; i++)
        h.skew[i] = 0.16 * (bm_random_unit(&r) - 0.5);
    limit = brain_limit(&h, bm_grid_voxels(grid));
    a->nmask = count_within(&h, bm_grid_voxels(grid), limit);
    if (allocate_mask(a, err) < 0)
        return -1;
    fill_mask(a, &h, limit, &r);
    if (a->ncortex < SMALLEST_CORTEX)
        return bm_fail(err, BM_EUSAGE, "a grid of %lld x %lld x %lld voxels has no room for the ROIs; make it larger",
                       (long long)h.dims[0], (long long)h.dims[1], (long long)h.dims[2]);
    if (allocate_cortex(a, err) < 0 || make_labels(a, &h, bm_synth_subject(subject), err) < 0)
        return -1;
    bm_synth_weights(a, seed, subject, gain);
    return 0;
}

void bm_synth_anatomy_clear(struct bm_synth_anatomy *a)
{
    free(a->mask);
    free(a->baseline);
    free(a->noise_sd);
    free(a->cortex);
    free(a->right);
    for (int i = 0; i < BM_SYNTH_ROIS; i++)
        free(a->labels[i]);
    for (int i = 0; i < BM_SYNTH_REGRESSORS; i++)
        free(a->weights[i]);
    memset(a, 0, sizeof *a);
}

void bm_synth_roi_volume(const struct bm_synth_anatomy *a, int roi, char hemisphere, int16_t *out)
{
    size_t voxels = bm_grid_voxels(&a->grid);

    for (size_t i = 0; i < voxels; i++)
        out[i] = -1;
    for (size_t i = 0; i < a->ncortex; i++) {
        if (hemisphere == 'b' || a->right[i] == (hemisphere == 'r'))
            out[a->mask[a->cortex[i]]] = a->labels[roi][i];
    }
}

/* ---- In the order of numpy ---- */

struct placed {
    int64_t voxel;
    size_t item; /* index into cortex */
};

static int compare_placed(const void *a, const void *b)
{
    const struct placed *x = a, *y = b;

    return (x->voxel > y->voxel) - (x->voxel < y->voxel);
}

static int64_t c_order(const int64_t dims[3], int64_t voxel)
{
    int64_t x = voxel % dims[0], y = voxel / dims[0] % dims[1], z = voxel / dims[0] / dims[1];

    return (x * dims[1] + y) * dims[2] + z;
}

int bm_synth_truth_make(struct bm_synth_truth *t, const struct bm_synth_anatomy *a, struct bm_error *err)
{
    size_t n = a->ncortex;
    struct placed *order = bm_alloc(n, sizeof *order, "cortex", err);
    bool ok;

    t->voxels = bm_alloc(n, sizeof *t->voxels, "voxels", err);
    t->weights = bm_alloc(n, BM_SYNTH_REGRESSORS * sizeof *t->weights, "response weights", err);
    t->noise_sd = bm_alloc(n, sizeof *t->noise_sd, "noise", err);
    t->baseline = bm_alloc(n, sizeof *t->baseline, "baseline", err);
    ok = order && t->voxels && t->weights && t->noise_sd && t->baseline;
    for (size_t i = 0; ok && i < n; i++)
        order[i] = (struct placed){c_order(a->grid.dims, a->mask[a->cortex[i]]), i};
    if (ok)
        qsort(order, n, sizeof *order, compare_placed);
    for (size_t i = 0; ok && i < n; i++) {
        size_t from = order[i].item;

        t->voxels[i] = order[i].voxel;
        t->noise_sd[i] = a->noise_sd[a->cortex[from]];
        t->baseline[i] = a->baseline[a->cortex[from]];
        for (size_t k = 0; k < BM_SYNTH_REGRESSORS; k++)
            t->weights[i * BM_SYNTH_REGRESSORS + k] = a->weights[k][from];
    }
    free(order);
    return ok ? 0 : -1;
}

void bm_synth_truth_clear(struct bm_synth_truth *t)
{
    free(t->voxels);
    free(t->weights);
    free(t->noise_sd);
    free(t->baseline);
    memset(t, 0, sizeof *t);
}
