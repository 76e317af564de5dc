/* What the made-up dataset is built of, where tests/test_synthnsd.py does not look: the shape of the response, the
 * ends of what may be asked for, and values beyond the range of samples. */
#include "ops/synth.h"
#include "unit.h"

#include <math.h>

static struct bm_synth_experiment experiment;

/* t^5 e^-t / 5! - t^15 e^-t / 15! / 6 over its largest value. */
static double double_gamma(double t)
{
    double peak = 0;

    for (int i = 0; i < 100000; i++) {
        double x = i * 1e-4, y = pow(x, 5) * exp(-x) / 120 - pow(x, 15) * exp(-x) / 1307674368000.0 / 6;
        peak = fmax(peak, y);
    }
    return (pow(t, 5) * exp(-t) / 120 - pow(t, 15) * exp(-t) / 1307674368000.0 / 6) / peak;
}

static void responses_are_double_gammas(void)
{
    for (size_t slot_rows = 3; slot_rows <= 4; slot_rows++) {
        const size_t rows = bm_synth_hrf_rows(slot_rows);

        for (size_t row = 0; row < rows; row++)
            CHECK_ROW(fabs(bm_synth_hrf(slot_rows, row) - double_gamma(4.0 / (double)slot_rows * (double)row)) <
                          1.1e-4,
                      row);
        CHECK(bm_synth_hrf(slot_rows, rows) == 0 && bm_synth_hrf(slot_rows, 1000000) == 0);
        CHECK(rows == (slot_rows == 3 ? 25 : 33)); /* 32 s */
    }
}

/* Ids 1..pictures, as few as one and as many as there are, and what trials then show. */
static void experiments_of_any_size(void)
{
    static const struct {
        size_t pictures, pool; /* asked for; images that a subject sees */
        int subjects, sessions, runs;
    } rows[] = {
        {1, 1, 8, 1, 1},       {2, 1, 2, 1, 12},          {3, 2, 2, 40, 12},       {0, 250, 1, 1, 12},
        {0, 10000, 8, 40, 12}, {73000, 10000, 8, 40, 12}, {73000, 10000, 8, 1, 1},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct bm_synth_plan plan = {.runs = rows[i].runs, .pictures = rows[i].pictures};
        struct bm_error err = {0};
        static bool seen[BM_SYNTH_ALL_IMAGES + 1];
        size_t distinct = 0;

        for (int s = 1; s <= rows[i].subjects; s++)
            plan.subjects[s] = true;
        for (int s = 1; s <= rows[i].sessions; s++)
            plan.sessions[s] = true;
        REQUIRE(bm_synth_experiment_make(&experiment, 3, &plan, &err) == 0, &err);
        CHECK_ROW(experiment.pool == rows[i].pool, i);
        memset(seen, 0, sizeof seen);
        for (int s = 0; s < rows[i].subjects; s++)
            for (int session = 1; session <= rows[i].sessions; session++)
                for (int run = 1; run <= rows[i].runs; run++) {
                    int32_t design[BM_SYNTH_SLOTS];
                    size_t trials = 0;
                    bm_synth_design(&experiment, s + 1, session, run, 1, design, BM_SYNTH_SLOTS);
                    for (size_t k = 0; k < BM_SYNTH_SLOTS; k++) {
                        trials += design[k] > 0;
                        CHECK_ROW(design[k] >= 0 && (size_t)design[k] <= experiment.pictures, i);
                        distinct += design[k] > 0 && !seen[design[k]];
                        seen[design[k]] = true;
                    }
                    CHECK_ROW(trials == (run % 2 ? 63 : 62), i);
                }
        CHECK_ROW(rows[i].pictures != 1 || distinct == 1, i);
        CHECK_ROW(rows[i].sessions < 40 || distinct == experiment.pictures, i); /* each image is shown */
    }
}

static void rest_runs_show_nothing(void)
{
    int32_t design[BM_SYNTH_SLOTS];

    memset(design, 1, sizeof design);
    bm_synth_design(&experiment, 1, 1, 0, 1, design, BM_SYNTH_SLOTS);
    for (size_t k = 0; k < BM_SYNTH_SLOTS; k++)
        CHECK_ROW(design[k] == 0, k);
}

static void small_heads_have_no_room(void)
{
    static const struct {
        int64_t dims[3];
        bool fits;
    } rows[] = {{{1, 1, 1}, false}, {{3, 3, 3}, false}, {{2, 2, 20}, false},
                {{5, 5, 5}, true},  {{8, 9, 8}, true},  {{30, 30, 30}, true}};

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct bm_synth_anatomy a;
        struct bm_error err = {0};
        struct bm_grid grid;

        bm_synth_grid(&grid, rows[i].dims, 1.8);
        CHECK_ROW((bm_synth_anatomy_make(&a, &grid, 5, 2, 1, &err) == 0) == rows[i].fits, i);
        CHECK_ERR_CONTAINS(&err, rows[i].fits ? "" : "voxels has no room for the ROIs; make it larger");
        if (rows[i]
                .fits) { /* nsdgeneral is neither empty nor all of cortex, and at least 28 voxels where it can be */
            size_t n = 0;
            for (size_t k = 0; k < a.ncortex; k++)
                n += a.labels[BM_SYNTH_NSDGENERAL][k];
            CHECK_ROW(n > 0 && n <= (a.ncortex + 1) / 2 && (n >= 28 || n + 1 >= a.ncortex / 2), i);
        }
        bm_synth_anatomy_clear(&a);
    }
}

/* Samples stay in the range of NSD's int16, however strong the responses; and one volume is a run, too. */
static void values_are_cut_off(void)
{
    enum { VOLUMES = 4, VOXELS = 12 * 13 * 11 };
    static const int64_t dims[3] = {12, 13, 11};
    static int16_t volume[VOXELS];
    float regressors[VOLUMES * BM_SYNTH_REGRESSORS] = {0};
    size_t lowest = 0, highest = 0;
    struct bm_synth_anatomy a;
    struct bm_synth_run run;
    struct bm_error err = {0};
    struct bm_grid grid;

    bm_synth_grid(&grid, dims, 1.8);
    for (size_t t = 0; t < VOLUMES; t++)
        regressors[t * BM_SYNTH_REGRESSORS] = t % 2 ? 1 : -1;
    REQUIRE(bm_synth_anatomy_make(&a, &grid, 5, 1, 1e6, &err) == 0 && bm_synth_run_init(&run, &a, &err) == 0, &err);
    for (size_t volumes = 1; volumes <= VOLUMES; volumes += VOLUMES - 1) {
        bm_synth_run_start(&run, 5, 1, 1, 1, regressors, volumes);
        for (size_t t = 0; t < volumes; t++) {
            bm_synth_run_volume(&run, volume);
            for (size_t i = 0; i < VOXELS; i++) {
                CHECK_ROW(volume[i] >= 0, i);
                highest += volume[i] == INT16_MAX;
            }
            for (size_t i = 0; i < a.ncortex; i++)
                lowest += volume[a.mask[a.cortex[i]]] == 0;
            for (size_t i = 0, next = 0; i < a.nmask; i++) {
                const bool in_cortex = next < a.ncortex && a.cortex[next] == i;
                next += in_cortex;
                CHECK_ROW(in_cortex || run.lost[i] || volume[a.mask[i]] > 300, i);
            }
        }
    }
    CHECK(run.volume == VOLUMES && highest + lowest == 5 * a.ncortex && lowest > 3 * a.ncortex);
    bm_synth_run_clear(&run);
    bm_synth_anatomy_clear(&a);
}

int main(void)
{
    static const struct unit_test all[] = {
        UNIT(responses_are_double_gammas), UNIT(experiments_of_any_size), UNIT(rest_runs_show_nothing),
        UNIT(small_heads_have_no_room),    UNIT(values_are_cut_off),
    };

    return unit_main(all, COUNT(all));
}
