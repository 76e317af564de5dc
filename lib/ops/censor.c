#include "ops/censor.h"

/* Sets what lies at most `reach` volumes after a censored one; `step` -1 goes through the run from its end. */
static void reach_on(bool *censored, size_t rows, size_t reach, bool backwards)
{
    size_t left = 0;

    for (size_t i = 0; i < rows; i++) {
        bool *here = &censored[backwards ? rows - 1 - i : i];
        if (*here)
            left = reach;
        else if (left > 0) {
            *here = true;
            left--;
        }
    }
}

static void drop_short(bool *censored, size_t rows, size_t min_segment)
{
    for (size_t from = 0, to; from < rows; from = to + 1) {
        for (to = from; to < rows && !censored[to];)
            to++;
        bool whole = from == 0 && to == rows;
        for (size_t i = from; i < to && to - from < min_segment && !whole; i++)
            censored[i] = true;
    }
}

size_t bm_censor_widen(bool *censored, size_t rows, size_t before, size_t after, size_t min_segment)
{
    size_t n = 0;

    /* The second pass may start from what the first has set: that hangs on to its volume, so it reaches no further.
     */
    reach_on(censored, rows, after, false);
    reach_on(censored, rows, before, true);
    drop_short(censored, rows, min_segment);
    for (size_t i = 0; i < rows; i++)
        n += censored[i];
    return n;
}
