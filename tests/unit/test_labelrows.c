#include "ops/labelrows.h"
#include "unit.h"

#include <math.h>

#define MAX_ROWS 12
#define MAX_H 4
#define _ (-1)

static void delays_round_to_even(void)
{
    static const struct {
        double offset, tr;
        int64_t rows;
    } rows[] = {
        {0, 1, 0},
        {0.5, 1, 0},
        {1.5, 1, 2},
        {2.5, 1, 2},
        {3.5, 1, 4},
        {4.6, 1.6, 3},
        {4.6, 1.5999, 3},
        {4.6, 4.0 / 3, 3},
        {4.6, 1, 5},
        {4.6, 2, 2},
        {4.6, 2.5, 2},
        {5, 2, 2},
        {3, 2, 2},
        {1, 2, 0},
        {0.4999, 1, 0},
        {0.5001, 1, 1},
        {2, 1.3333333730697632, 2},
        {6, 1.3333333730697632, 4},
        {-4.6, 1, -5},
        {-0.5, 1, 0},
        {-1.5, 1, -2},
        {-2.5, 1, -2},
        {1e6, 0.5, 2000000},
        {1.25, 0.5, 2},
        {1.75, 0.5, 4},
    };

    for (size_t i = 0; i < COUNT(rows); i++)
        CHECK_ROW(bm_delay_rows(rows[i].offset, rows[i].tr, 0) == rows[i].rows, i);
}

/* offset / tr - sampled, split into whole rows and a rest of at most half a row. */
static void delays_are_split(void)
{
    static const struct {
        double offset, tr, sampled;
        int64_t rows;
        double rest;
    } rows[] = {
        {4.6, 4.0 / 3, 0, 3, 0.45}, {4.6, 4.0 / 3, 0.5, 3, -0.05},
        {4.6, 2, 0.5, 2, -0.2},     {4.6, 1, 0, 5, -0.4},
        {4.6, 1, 1, 4, -0.4},       {5, 2, 0, 2, 0.5},
        {7, 2, 0, 4, -0.5},         {0, 2, 0.5, 0, -0.5},
        {0, 2, 1, -1, 0},           {4, (double)(4.0f / 3), 0, 3, 0},
        {4, 4.0 / 3, 0, 3, 0},      {4.00002, 4.0 / 3, 0, 3, 1.5e-5},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        double rest = bm_delay_rest(rows[i].offset, rows[i].tr, rows[i].sampled);
        CHECK_ROW(bm_delay_rows(rows[i].offset, rows[i].tr, rows[i].sampled) == rows[i].rows, i);
        CHECK_ROW(fabs(rest - rows[i].rest) < 1e-12, i);
        CHECK_ROW(rows[i].rest != 0 || rest == 0, i);
    }
}

static void onsets_round_halves_up(void)
{
    static const struct {
        double seconds, tr;
        int64_t row;
    } rows[] = {
        {0, 2, 0},  {0.99, 2, 0},  {1, 2, 1},   {2.9, 2, 1},  {3, 2, 2},           {5, 2, 3},   {-0.9, 2, 0},
        {-1, 2, 0}, {-1.1, 2, -1}, {-3, 2, -1}, {12, 2.5, 5}, {1e6, 0.5, 2000000}, {0.5, 1, 1}, {1.5, 1, 2},
    };

    for (size_t i = 0; i < COUNT(rows); i++)
        CHECK_ROW(bm_onset_row(rows[i].seconds, rows[i].tr) == rows[i].row, i);
}

/* Tables by hand. history: the rows' histories one after the other. */
static const struct table {
    const char *name;
    struct bm_presentation shown[6];
    size_t n, rows, h;
    int64_t shift;
    bool merge;
    int32_t history[MAX_ROWS * MAX_H], trial[MAX_ROWS], stimulus[MAX_ROWS];
} tables[] = {
    {"nothing was shown", {{0, 0, 0}}, 0, 3, 2, 1, false, {_, _, _, _, _, _}, {_, _, _}, {_, _, _}},
    {"one image, no delay",
     {{1, 2, 7}},
     1,
     5,
     2,
     0,
     false,
     {_, _, _, 7, _, 7, _, 7, _, 7},
     {_, 0, 0, 0, 0},
     {_, 7, 7, _, _}},
    {"one image, a delay",
     {{1, 2, 7}},
     1,
     5,
     2,
     2,
     false,
     {_, _, _, _, _, _, _, 7, _, 7},
     {_, _, _, 0, 0},
     {_, _, _, 7, 7}},
    {"history 1",
     {{0, 1, 4}, {2, 1, 5}, {4, 1, 4}},
     3,
     6,
     1,
     0,
     false,
     {4, 4, 5, 5, 4, 4},
     {0, 0, 1, 1, 2, 2},
     {4, _, 5, _, 4, _}},
    {"the oldest falls out",
     {{0, 1, 1}, {1, 1, 2}, {2, 1, 3}, {3, 1, 4}},
     4,
     4,
     3,
     0,
     false,
     {_, _, 1, _, 1, 2, 1, 2, 3, 2, 3, 4},
     {0, 1, 2, 3},
     {1, 2, 3, 4}},
    {"repeats are counted",
     {{0, 1, 6}, {1, 1, 6}, {2, 1, 6}, {3, 1, 2}},
     4,
     5,
     3,
     0,
     false,
     {_, _, 6, _, 6, 6, 6, 6, 6, 6, 6, 2, 6, 6, 2},
     {0, 1, 2, 3, 3},
     {6, 6, 6, 2, _}},
    {"repeats are merged",
     {{0, 1, 6}, {1, 1, 6}, {3, 1, 6}, {4, 1, 2}, {5, 1, 6}},
     5,
     6,
     3,
     0,
     true,
     {_, _, 6, _, _, 6, _, _, 6, _, _, 6, _, 6, 2, 6, 2, 6},
     {0, 0, 0, 0, 1, 2},
     {6, 6, _, 6, 2, 6}},
    {"image 0 after none is no repeat", {{1, 1, 0}}, 1, 3, 2, 0, true, {_, _, _, 0, _, 0}, {_, 0, 0}, {_, 0, _}},
    {"an id of -1 after none is no repeat", {{1, 1, -1}}, 1, 3, 1, 0, true, {_, _, _}, {_, 0, 0}, {_, _, _}},
    {"before the run",
     {{-3, 2, 8}, {-1, 3, 9}},
     2,
     4,
     3,
     0,
     false,
     {_, 8, 9, _, 8, 9, _, 8, 9, _, 8, 9},
     {1, 1, 1, 1},
     {9, 9, _, _}},
    {"before the run, delayed into it",
     {{-3, 2, 8}, {-1, 3, 9}},
     2,
     5,
     2,
     3,
     false,
     {_, 8, _, 8, 8, 9, 8, 9, 8, 9},
     {0, 0, 1, 1, 1},
     {8, 8, 9, 9, 9}},
    {"a negative delay",
     {{2, 1, 5}, {4, 2, 6}},
     2,
     4,
     2,
     -2,
     false,
     {_, 5, _, 5, 5, 6, 5, 6},
     {0, 0, 1, 1},
     {5, _, 6, 6}},
    {"impulses are trials without a stimulus",
     {{1, 0, 3}, {2, 2, 4}, {3, 0, 5}},
     3,
     5,
     2,
     0,
     false,
     {_, _, _, 3, 3, 4, 4, 5, 4, 5},
     {_, 0, 1, 2, 2},
     {_, _, 4, _, _}},
    {"the latest covers what is still on",
     {{0, 5, 1}, {2, 1, 2}},
     2,
     5,
     2,
     0,
     false,
     {_, 1, _, 1, 1, 2, 1, 2, 1, 2},
     {0, 0, 1, 1, 1},
     {1, 1, 2, _, _}},
    {"two in one row",
     {{1, 1, 3}, {1, 2, 4}},
     2,
     4,
     2,
     0,
     false,
     {_, _, 3, 4, 3, 4, 3, 4},
     {_, 1, 1, 1},
     {_, 4, 4, _}},
    {"behind the run",
     {{1, 9, 3}, {4, 1, 4}, {99, 1, 5}},
     3,
     4,
     1,
     0,
     false,
     {_, 3, 3, 3},
     {_, 0, 0, 0},
     {_, 3, 3, 3}},
    {"delayed out of the run", {{1, 9, 3}}, 1, 3, 1, 5, false, {_, _, _}, {_, _, _}, {_, _, _}},
};

static void tables_by_hand(void)
{
    for (size_t i = 0; i < COUNT(tables); i++) {
        const struct table *w = &tables[i];
        unsigned char data[MAX_ROWS * (4 * MAX_H + 18) + 1];
        int32_t history[MAX_H] = {0}, keep[MAX_H];
        struct bm_rows rows = {w->h, w->rows, data};
        memset(data, 0xEE, sizeof data);
        bm_label_rows(&rows, NULL, w->shown, w->n, w->shift, w->merge, 8, 40, 12, keep);
        CHECK_ROW(data[w->rows * bm_row_size(w->h)] == 0xEE, i);
        for (size_t t = 0; t < w->rows; t++) {
            struct bm_row row = {.stimulus_history = history};
            bm_row_get(&rows, t, &row);
            if (memcmp(history, w->history + t * w->h, 4 * w->h) != 0 || row.trial != w->trial[t] ||
                row.stimulus != w->stimulus[t])
                unit_fail("%s: row %zu has trial %d, stimulus %d, last %d", w->name, t, row.trial, row.stimulus,
                          history[w->h - 1]);
            CHECK_ROW(row.subject_idx == 8 && row.session == 40 && row.run == 12 && row.time == (float)t, i);
        }
    }
}

/* What a delay of n rows labels row t with is what no delay labels row t - n with. */
static void a_delay_moves_the_rows(void)
{
    static const struct bm_presentation shown[] = {{0, 2, 1}, {3, 1, 1}, {4, 0, 2}, {5, 3, 3}, {6, 1, 0}, {9, 2, 9}};
    unsigned char plain[30 * 34], moved[30 * 34];
    int32_t keep[4];
    struct bm_rows a = {4, 30, plain}, b = {4, 30, moved};

    for (int64_t shift = 0; shift < 25; shift++)
        for (int merge = 0; merge < 2; merge++) {
            bm_label_rows(&a, NULL, shown, COUNT(shown), 0, merge, 1, 1, 1, keep);
            bm_label_rows(&b, NULL, shown, COUNT(shown), shift, merge, 1, 1, 1, keep);
            for (size_t t = (size_t)shift; t < 30; t++) {
                const unsigned char *from = plain + (t - (size_t)shift) * 34, *to = moved + t * 34;
                CHECK_ROW(memcmp(from, to, 22) == 0 && memcmp(from + 26, to + 26, 8) == 0, shift); /* all but time */
            }
        }
}

/* Rows of a run from which volumes have been left out are those of the whole run at the volumes that are left. */
static void left_out_volumes_leave_the_others_alone(void)
{
    static const struct bm_presentation shown[] = {{0, 2, 1}, {3, 1, 1}, {4, 0, 2}, {5, 3, 3}, {6, 1, 0}, {9, 2, 9}};
    static const int32_t times[] = {0, 1, 2, 7, 8, 9, 12, 29};
    unsigned char whole[30 * 34], left[COUNT(times) * 34];
    int32_t keep[4];
    struct bm_rows a = {4, 30, whole}, b = {4, COUNT(times), left};

    for (int64_t shift = -3; shift < 8; shift++)
        for (int merge = 0; merge < 2; merge++) {
            bm_label_rows(&a, NULL, shown, COUNT(shown), shift, merge, 1, 2, 3, keep);
            bm_label_rows(&b, times, shown, COUNT(shown), shift, merge, 1, 2, 3, keep);
            for (size_t i = 0; i < COUNT(times); i++)
                CHECK_ROW(memcmp(left + i * 34, whole + times[i] * 34, 34) == 0, shift);
        }
}

int main(void)
{
    static const struct unit_test all[] = {
        UNIT(delays_round_to_even), UNIT(delays_are_split),       UNIT(onsets_round_halves_up),
        UNIT(tables_by_hand),       UNIT(a_delay_moves_the_rows), UNIT(left_out_volumes_leave_the_others_alone),
    };
    return unit_main(all, COUNT(all));
}
