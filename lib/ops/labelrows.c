#include "ops/labelrows.h"

#include <math.h>
#include <string.h>

/* A header's TR is rounded (4/3 s is 1.3333334), so what is near a whole or half number of rows is meant to be it. */
static double delay_in_rows(double offset, double tr, double sampled)
{
    const double delay = offset / tr - sampled, half = nearbyint(2.0 * delay) / 2.0;

    return fabs(delay - half) < 1e-5 ? half : delay;
}

int64_t bm_delay_rows(double offset, double tr, double sampled)
{
    return (int64_t)nearbyint(delay_in_rows(offset, tr, sampled)); /* the default rounding mode: ties to even */
}

double bm_delay_rest(double offset, double tr, double sampled)
{
    return delay_in_rows(offset, tr, sampled) - (double)bm_delay_rows(offset, tr, sampled);
}

int64_t bm_onset_row(double seconds, double tr)
{
    return (int64_t)floor(seconds / tr + 0.5);
}

static void push(int32_t *history, size_t n, int32_t id)
{
    memmove(history, history + 1, (n - 1) * sizeof *history);
    history[n - 1] = id;
}

void bm_label_rows(struct bm_rows *rows, const int32_t *times, const struct bm_presentation *shown, size_t n,
                   int64_t shift, bool merge, int subject, int session, int run, int32_t *scratch)
{
    struct bm_row row = {.stimulus_history = scratch,
                         .subject_idx = (int16_t)subject,
                         .session = (int16_t)session,
                         .run = (int16_t)run,
                         .trial = -1,
                         .stimulus = -1};
    size_t next = 0;
    int64_t until = INT64_MIN; /* first volume that the latest stimulus no longer covers */

    for (size_t i = 0; i < rows->history; i++)
        scratch[i] = -1;
    for (size_t i = 0; i < rows->n; i++) {
        const int32_t t = times ? times[i] : (int32_t)i;

        for (; next < n && shown[next].first + shift <= t; next++) {
            if (!merge || row.trial < 0 || scratch[rows->history - 1] != shown[next].id) {
                push(scratch, rows->history, shown[next].id);
                row.trial++;
            }
            until = shown[next].first + shift + shown[next].rows;
        }
        row.stimulus = t < until ? scratch[rows->history - 1] : -1;
        row.time = (float)t;
        bm_row_put(rows, i, &row);
    }
}
