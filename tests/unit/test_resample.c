#include "ops/panel.h"
#include "ops/resample.h"
#include "samples.h"
#include "unit.h"

#define MAX_T 300
#define MAX_COLS 130

static double scratch[2 * MAX_T * BM_PANEL];
static double *data, *out, *other; /* room for matrices of any sample type */

static const enum bm_shift kinds[] = {BM_SHIFT_LINEAR, BM_SHIFT_CUBIC, BM_SHIFT_SINC};
static const double rests[] = {0.45, -0.45, 0.5, -0.5, 0.2, -0.01, 1e-5};

/* A plan for a run; `times` NULL: no gaps. */
static struct bm_resample plan_of(enum bm_shift how, size_t width, double rest, enum bm_edges edges,
                                  const int32_t *times, size_t rows)
{
    struct bm_resample r = {.edges = edges};
    struct bm_error err = {0};

    bm_kernel_make(&r.kernel, how, width, rest);
    if (bm_resample_plan(&r, times, rows, &err))
        unit_fail("%s", err.text);
    return r;
}

/* Moves `cols` columns of `data`, as float64 into `out`. */
static void resample(void *to, enum bm_dtype out_type, const void *from, enum bm_dtype type, double slope,
                     double inter, size_t cols, const struct bm_resample *r, double *room, struct bm_work *w)
{
    *w = (struct bm_work){.data = from, .dtype = type, .slope = slope, .inter = inter, .rows = r->rows};
    w->cols = cols;
    w->out = to;
    w->out_dtype = out_type;
    w->scratch = room;
    w->nonfinite = 99;
    w->overflow = true;
    bm_resample(r, w);
}

static struct bm_work moved(const struct bm_resample *r, enum bm_dtype type, size_t cols)
{
    struct bm_work found;

    resample(out, BM_F64, data, type, 1, 0, cols, r, scratch, &found);
    return found;
}

/* From scipy 1.17: KroghInterpolator over the four neighbours, numpy.sinc times scipy.signal.windows.kaiser's formula
 * over its sum. */
static void known_weights(void)
{
    static const struct {
        enum bm_shift how;
        size_t width;
        double rest;
        int lo, hi;
        double weight[8];
    } rows[] = {
        {BM_SHIFT_NONE, 8, 0.3, 0, -1, {0}},
        {BM_SHIFT_SINC, 8, 0, 0, -1, {0}},
        {BM_SHIFT_LINEAR, 8, 0.25, 0, 1, {0.75, 0.25}},
        {BM_SHIFT_LINEAR, 8, -0.25, -1, 0, {0.25, 0.75}},
        {BM_SHIFT_CUBIC, 8, 0.5, -1, 2, {-0.0625, 0.5625, 0.5625, -0.0625}},
        {BM_SHIFT_CUBIC, 8, 0.2, -1, 2, {-0.048, 0.864, 0.216, -0.032}},
        {BM_SHIFT_CUBIC, 8, -0.2, -2, 1, {-0.032, 0.216, 0.864, -0.048}},
        {BM_SHIFT_SINC,
         2,
         0.5,
         -1,
         2,
         {-0.03468544915927225, 0.5346854491592722, 0.5346854491592722, -0.03468544915927225}},
        {BM_SHIFT_SINC,
         4,
         0.45,
         -3,
         4,
         {-0.006811305044894906, 0.04133870938344942, -0.1495778040962313, 0.674598614743516, 0.5425161738929497,
          -0.13245042612778815, 0.03571002711105454, -0.005323989862055325}},
        {BM_SHIFT_SINC,
         4,
         -0.2,
         -4,
         3,
         {-0.0015306033128578184, 0.014387944958609828, -0.05808277934897411, 0.209436626595433, 0.929227452819554,
          -0.1212567988813149, 0.03480006615215418, -0.006981908982604099}},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct bm_kernel k;
        bm_kernel_make(&k, rows[i].how, rows[i].width, rows[i].rest);
        CHECK_ROW(k.lo == rows[i].lo && k.hi == rows[i].hi, i);
        for (int j = 0; j <= k.hi - k.lo; j++)
            CHECK_ROW(fabs(k.weight[j] - rows[i].weight[j]) < 1e-15, i);
    }
}

/* Forward and back are mirror images, and all weights add up to 1. */
static void kernels_are_fair(void)
{
    for (size_t i = 0; i < COUNT(kinds) * COUNT(rests); i++)
        for (size_t width = 1; width <= BM_MAX_SINC; width++) {
            struct bm_kernel a, b;
            double sum = 0, rest = rests[i / COUNT(kinds)];
            bm_kernel_make(&a, kinds[i % COUNT(kinds)], width, rest);
            bm_kernel_make(&b, kinds[i % COUNT(kinds)], width, -rest);
            CHECK_ROW(a.lo == -b.hi && a.hi == -b.lo, i);
            for (int k = a.lo; k <= a.hi; k++) {
                sum += a.weight[k - a.lo];
                CHECK_ROW(fabs(a.weight[k - a.lo] - b.weight[a.hi - k]) < 1e-15, i);
            }
            CHECK_ROW(fabs(sum - 1) < 1e-15, i);
        }
}

/* Column c is time to the power of c. Away from the ends linear is exact for powers 0 and 1, cubic for 0 to 3. */
static void polynomials_are_exact(void)
{
    enum { T = 21 };

    for (size_t i = 0; i < 2 * COUNT(rests); i++) {
        size_t degree = i % 2 ? 3 : 1;
        double rest = rests[i / 2];
        struct bm_resample r = plan_of(kinds[i % 2], 8, rest, BM_EDGES_HOLD, NULL, T);
        for (size_t k = 0; k < T * 5; k++)
            data[k] = pow(((double)(k / 5) - 10) / 4, (double)(k % 5));
        (void)moved(&r, BM_F64, 5);
        for (size_t k = 0; k < T * 5; k++) {
            double t = (double)(k / 5), off = out[k] - pow((t + rest - 10) / 4, (double)(k % 5));
            if (t >= 2 && t < T - 2)
                CHECK_ROW(k % 5 > degree || fabs(off) < 1e-13, i);
        }
        CHECK_ROW(fabs(out[10 * 5 + degree + 1] - pow(rest / 4, (double)degree + 1)) > 1e-10, i);
        bm_resample_clear(&r);
    }
}

/* A slow sine in the middle of a long run, against the sine itself: each kind better than the one before. */
static void sines_move(void)
{
    enum { T = 200 };
    static const double worst[] = {0.06, 0.006, 0.002};

    for (size_t i = 0; i < COUNT(kinds) * 4; i++) {
        double rest = rests[i / COUNT(kinds)], omega = 2 * acos(-1) * 0.1, off = 0;
        struct bm_resample r = plan_of(kinds[i % COUNT(kinds)], 8, rest, BM_EDGES_HOLD, NULL, T);
        for (size_t t = 0; t < T; t++)
            data[t] = sin(omega * (double)t);
        (void)moved(&r, BM_F64, 1);
        for (size_t t = 8; t < T - 8; t++)
            off = fmax(off, fabs(out[t] - sin(omega * ((double)t + rest))));
        CHECK_ROW(off < worst[i % COUNT(kinds)] && off > 1e-6, i);
        bm_resample_clear(&r);
    }
}

static void constants_stay(void)
{
    static const double values[] = {0, 1, 0.1, -1e-3, 12345.678, 1e300, -1.7e308, 1e-310, 1.0 / 3};
    enum { T = 40, C = COUNT(values) };

    for (size_t i = 0; i < COUNT(kinds) * COUNT(rests); i++) {
        struct bm_resample r = plan_of(kinds[i % COUNT(kinds)], 5, rests[i / COUNT(kinds)], BM_EDGES_HOLD, NULL, T);
        for (size_t k = 0; k < T * C; k++)
            data[k] = values[k % C];
        struct bm_work f = moved(&r, BM_F64, C);
        CHECK_ROW(f.nonfinite == 0 && !f.overflow && memcmp(out, data, T * C * sizeof *out) == 0, i);
        bm_resample_clear(&r);
    }
}

/* 3 + 2 + 1 + 5 rows; a kernel reaches neither over a gap nor past the ends. */
static const int32_t gaps[] = {1, 2, 3, 7, 8, 20, 30, 31, 32, 33, 34};

static void edges_are_those_of_the_pieces(void)
{
    static const struct {
        enum bm_shift how;
        double rest;
        size_t kept, keep[8];
    } rows[] = {
        {BM_SHIFT_LINEAR, 0.3, 7, {0, 1, 3, 6, 7, 8, 9}},
        {BM_SHIFT_LINEAR, -0.3, 7, {1, 2, 4, 7, 8, 9, 10}},
        {BM_SHIFT_CUBIC, 0.3, 2, {7, 8}},
        {BM_SHIFT_CUBIC, -0.3, 2, {8, 9}},
        {BM_SHIFT_SINC, 0.3, 0, {0}},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        size_t keep[COUNT(gaps)];
        struct bm_resample r = plan_of(rows[i].how, 3, rows[i].rest, BM_EDGES_DROP, gaps, COUNT(gaps));
        CHECK_ROW(r.kept == rows[i].kept && r.edge_rows == COUNT(gaps) - r.kept, i);
        bm_resample_keep(&r, keep);
        CHECK_ROW(memcmp(keep, rows[i].keep, r.kept * sizeof *keep) == 0, i);
        bm_resample_clear(&r);
        for (int edges = BM_EDGES_HOLD; edges <= BM_EDGES_MARK; edges += BM_EDGES_MARK) {
            r = plan_of(rows[i].how, 3, rows[i].rest, (enum bm_edges)edges, gaps, COUNT(gaps));
            CHECK_ROW(r.kept == COUNT(gaps) && r.edge_rows == COUNT(gaps) - rows[i].kept, i);
            bm_resample_clear(&r);
        }
    }
}

/* The three ways at the edges agree in all other rows; a piece is moved as if it were alone. */
static void pieces_are_series_of_their_own(void)
{
    struct bm_random rnd;

    bm_random_seed(&rnd, 4, 0);
    random_samples(data, BM_F64, COUNT(gaps), &rnd);
    for (size_t i = 0; i < COUNT(kinds) * COUNT(rests); i++) {
        enum bm_shift how = kinds[i % COUNT(kinds)];
        double rest = rests[i / COUNT(kinds)], whole[COUNT(gaps)];
        size_t keep[COUNT(gaps)];
        struct bm_resample hold = plan_of(how, 2, rest, BM_EDGES_HOLD, gaps, COUNT(gaps));
        struct bm_resample drop = plan_of(how, 2, rest, BM_EDGES_DROP, gaps, COUNT(gaps));
        struct bm_resample mark = plan_of(how, 2, rest, BM_EDGES_MARK, gaps, COUNT(gaps));
        (void)moved(&hold, BM_F64, 1);
        memcpy(whole, out, sizeof whole);
        (void)moved(&drop, BM_F64, 1);
        bm_resample_keep(&drop, keep);
        for (size_t k = 0; k < drop.kept; k++)
            CHECK_ROW(out[k] == whole[keep[k]], i);
        (void)moved(&mark, BM_F64, 1);
        for (size_t t = 0, k = 0; t < COUNT(gaps); t++) {
            bool kept = k < drop.kept && keep[k] == t;
            CHECK_ROW(kept ? out[t] == whole[t] : isnan(out[t]), i);
            k += kept;
        }
        struct bm_resample alone = plan_of(how, 2, rest, BM_EDGES_HOLD, NULL, 5);
        memmove(data, data + 6, 5 * sizeof *data);
        (void)moved(&alone, BM_F64, 1);
        CHECK_ROW(memcmp(out, whole + 6, 5 * sizeof *out) == 0, i);
        memmove(data + 6, data, 5 * sizeof *data);
        bm_resample_clear(&hold);
        bm_resample_clear(&drop);
        bm_resample_clear(&mark);
        bm_resample_clear(&alone);
    }
}

static void held_edges_by_hand(void)
{
    static const double y[] = {8, 16, 0}, quarter[] = {10, 12, 0}, back[] = {8, 14, 4};

    memcpy(data, y, sizeof y);
    for (int i = 0; i < 2; i++) {
        struct bm_resample r = plan_of(BM_SHIFT_LINEAR, 8, i ? -0.25 : 0.25, BM_EDGES_HOLD, NULL, 3);
        (void)moved(&r, BM_F64, 1);
        CHECK_ROW(memcmp(out, i ? back : quarter, sizeof quarter) == 0 && r.edge_rows == 1, i);
        bm_resample_clear(&r);
    }
}

/* A bad sample takes the rows whose kernel reaches it, no more; it is counted once. */
static void bad_samples_spread_as_far_as_the_kernel(void)
{
    enum { T = 30, C = 3 };
    static const double bad[] = {NAN, INFINITY, -INFINITY};

    for (size_t i = 0; i < COUNT(kinds) * COUNT(bad); i++) {
        struct bm_resample r = plan_of(kinds[i % COUNT(kinds)], 4, 0.3, BM_EDGES_HOLD, NULL, T);
        for (size_t k = 0; k < T * C; k++)
            data[k] = (double)(k * k % 17);
        data[14 * C + 1] = bad[i / COUNT(kinds)];
        struct bm_work f = moved(&r, BM_F64, C);
        CHECK_ROW(f.nonfinite == 1 && !f.overflow, i);
        for (int k = 0; k < T * C; k++) {
            int t = k / C, reaches = 14 - t >= r.kernel.lo && 14 - t <= r.kernel.hi;
            CHECK_ROW(k % C == 1 && reaches ? isnan(out[k]) : isfinite(out[k]), i);
        }
        bm_resample_clear(&r);
    }
    struct bm_resample still = plan_of(BM_SHIFT_SINC, 4, 0, BM_EDGES_MARK, NULL, T); /* nothing to move */
    CHECK(moved(&still, BM_F64, C).nonfinite == 1 && memcmp(out, data, T * C * sizeof *out) == 0);
    CHECK(still.edge_rows == 0 && still.kept == T);
    bm_resample_clear(&still);
}

/* An intercept alone, or a slope alone, moves as the values do. A bad sample that is to be 0 is a value of 0. */
static void values_not_samples_are_moved(void)
{
    enum { T = 40, C = 3 };
    static const double lines[][2] = {{1, -70}, {0.5, 0}, {2, 5}};
    struct bm_resample r = plan_of(BM_SHIFT_CUBIC, 8, 0.25, BM_EDGES_HOLD, NULL, T);
    struct bm_work found;

    for (size_t i = 0; i < 2 * COUNT(lines); i++) {
        const bool bad = i % 2;
        for (size_t k = 0; k < T * C; k++) {
            data[k] = (double)(k * k % 23);
            other[k] = lines[i / 2][0] * data[k] + lines[i / 2][1];
        }
        data[17 * C + 1] = bad ? NAN : data[17 * C + 1];
        other[17 * C + 1] = bad ? 0 : other[17 * C + 1];
        found =
            (struct bm_work){.data = data, .dtype = BM_F64, .rows = T, .cols = C, .out = out, .out_dtype = BM_F64};
        found.slope = lines[i / 2][0];
        found.inter = lines[i / 2][1];
        found.scratch = scratch;
        found.zero = true;
        bm_resample(&r, &found);
        CHECK_ROW(found.nonfinite == bad, i);
        memcpy(data, out, T * C * sizeof *out);
        resample(out, BM_F64, other, BM_F64, 1, 0, C, &r, scratch, &found);
        CHECK_ROW(memcmp(out, data, T * C * sizeof *out) == 0, i);
    }
    bm_resample_clear(&r);
}

static void every_sample_type(void)
{
    enum { T = 50, C = 70 };
    struct bm_random rnd;

    bm_random_seed(&rnd, 5, 0);
    for (int type = BM_I8; type <= BM_F64; type++)
        for (int to = BM_F16; to <= BM_F64; to++) {
            struct bm_resample r = plan_of(BM_SHIFT_CUBIC, 8, 0.45, BM_EDGES_HOLD, NULL, T);
            struct bm_work found;
            bool exact = true;
            random_samples(data, (enum bm_dtype)type, T * C, &rnd);
            for (size_t k = 0; k < T * C; k++)
                other[k] = (double)sample_at(data, (enum bm_dtype)type, k) * 1e-5 + 2;
            resample(out, BM_F64, other, BM_F64, 1, 0, C, &r, scratch, &found);
            (void)bm_from_double(other, (enum bm_dtype)to, out, T * C);
            resample(out, (enum bm_dtype)to, data, (enum bm_dtype)type, 1e-5, 2, C, &r, scratch, &found);
            exact = memcmp(out, other, T * C * bm_dtype_size((enum bm_dtype)to)) == 0;
            CHECK_ROW(exact || found.overflow, 100 * type + to);
            CHECK_ROW(!found.overflow || to == BM_F16, 100 * type + to);
            bm_resample_clear(&r);
        }
}

static void overflow_is_flagged(void)
{
    struct bm_resample r = plan_of(BM_SHIFT_LINEAR, 8, 0.5, BM_EDGES_HOLD, NULL, 2);
    struct bm_work found;

    data[0] = 60000;
    data[1] = 80000;
    resample(out, BM_F16, data, BM_F64, 1, 0, 1, &r, scratch, &found);
    CHECK(found.overflow && found.nonfinite == 0);
    data[1] = 64000;
    resample(out, BM_F16, data, BM_F64, 1, 0, 1, &r, scratch, &found);
    CHECK(!found.overflow);
    bm_resample_clear(&r);
}

/* Huge and tiny columns are moved like all others: scaling by a power of two changes no bit. */
static void any_scale(void)
{
    enum { T = 30 };
    struct bm_random rnd;

    bm_random_seed(&rnd, 6, 0);
    for (size_t i = 0; i < COUNT(kinds); i++) {
        struct bm_resample r = plan_of(kinds[i], 6, 0.45, BM_EDGES_HOLD, NULL, T);
        for (size_t t = 0; t < T; t++) {
            data[3 * t] = 0.99 * (2 * bm_random_unit(&rnd) - 1);
            data[3 * t + 1] = ldexp(data[3 * t], 1024);
            data[3 * t + 2] = ldexp(data[3 * t], -900);
        }
        (void)moved(&r, BM_F64, 3);
        for (size_t t = 0; t < T; t++)
            CHECK_ROW(out[3 * t + 1] == ldexp(out[3 * t], 1024) && out[3 * t + 2] == ldexp(out[3 * t], -900), i);
        bm_resample_clear(&r);
    }
}

/* The same column among others, at any place of any tile. */
static void bits_do_not_depend_on_the_place(void)
{
    static const size_t widths[] = {1, 3, 63, 64, 65, MAX_COLS};
    enum { T = 50 };
    double want[T];
    struct bm_random rnd;

    for (size_t i = 0; i < COUNT(kinds) * COUNT(widths) * 5; i++) {
        size_t cols = widths[i / COUNT(kinds) % COUNT(widths)], c = i / COUNT(kinds) / COUNT(widths) * (cols - 1) / 4;
        struct bm_resample r = plan_of(kinds[i % COUNT(kinds)], 8, 0.45, BM_EDGES_HOLD, NULL, T);
        bm_random_seed(&rnd, i, 0);
        random_samples(data, BM_F64, T * cols, &rnd);
        for (size_t t = 0; t < T; t++)
            other[t] = data[t * cols + c] = 1000 + (double)(t * t * 7919 % 101) / 3;
        (void)moved(&r, BM_F64, cols);
        for (size_t t = 0; t < T; t++)
            want[t] = out[t * cols + c];
        struct bm_work found;
        resample(out, BM_F64, other, BM_F64, 1, 0, 1, &r, scratch, &found);
        CHECK_ROW(memcmp(want, out, sizeof want) == 0, i);
        bm_resample_clear(&r);
    }
}

int main(void)
{
    static const struct unit_test all[] = {
        UNIT(known_weights),
        UNIT(kernels_are_fair),
        UNIT(polynomials_are_exact),
        UNIT(sines_move),
        UNIT(constants_stay),
        UNIT(edges_are_those_of_the_pieces),
        UNIT(pieces_are_series_of_their_own),
        UNIT(held_edges_by_hand),
        UNIT(bad_samples_spread_as_far_as_the_kernel),
        UNIT(values_not_samples_are_moved),
        UNIT(every_sample_type),
        UNIT(overflow_is_flagged),
        UNIT(any_scale),
        UNIT(bits_do_not_depend_on_the_place),
    };
    data = calloc(3 * MAX_T * MAX_COLS, sizeof *data);
    if (!data)
        return 1;
    out = data + MAX_T * MAX_COLS;
    other = out + MAX_T * MAX_COLS;
    int status = unit_main(all, COUNT(all));
    free(data);
    return status;
}
