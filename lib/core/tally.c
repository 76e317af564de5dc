#include "core/tally.h"

#include "core/mem.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

enum { SEEN = 1, VARIES = 2, NONFINITE = 4 };

int bm_tally_begin(struct bm_tally *t, size_t cols, struct bm_error *err)
{
    *t = (struct bm_tally){.cols = cols, .min = DBL_MAX, .max = -DBL_MAX};
    t->first = bm_alloc(cols, sizeof *t->first, "values", err);
    t->state = bm_calloc(cols, sizeof *t->state, "values", err);
    if (t->first && t->state)
        return 0;
    (void)bm_tally_end(t);
    return -1;
}

static void add_row(struct bm_tally *t, double *first, unsigned char *state, size_t cols, const double *row)
{
    double sum = 0.0;

    for (size_t i = 0; i < cols; i++) {
        double v = row[i];

        if (!state[i])
            first[i] = v;
        state[i] = (unsigned char)(state[i] | SEEN | (v != first[i] ? VARIES : 0));
        if (!isfinite(v)) {
            state[i] |= NONFINITE;
            t->nonfinite++;
            continue;
        }
        sum += v;
        t->min = v < t->min ? v : t->min;
        t->max = v > t->max ? v : t->max;
    }
    t->sum += (long double)sum;
    t->samples += cols;
}

void bm_tally_add(struct bm_tally *t, size_t first, size_t rows, size_t cols, const double *values)
{
    for (size_t r = 0; r < rows; r++)
        add_row(t, t->first + first, t->state + first, cols, values + r * cols);
}

void bm_tally_add_samples(struct bm_tally *t, size_t first, size_t rows, size_t cols, const void *samples,
                          enum bm_dtype dtype, double slope, double inter, double *line)
{
    const unsigned char *p = samples;

    for (size_t r = 0; r < rows; r++, p += cols * bm_dtype_size(dtype)) {
        bm_to_double(line, p, dtype, cols);
        for (size_t i = 0; i < cols && (slope != 1.0 || inter != 0.0); i++)
            line[i] = slope * line[i] + inter;
        bm_tally_add(t, first, 1, cols, line);
    }
}

static void count_columns(const struct bm_tally *t, struct bm_tally_result *out)
{
    for (size_t i = 0; i < t->cols; i++) {
        if (t->state[i] & NONFINITE)
            out->nonfinite_cols++;
        else if (t->state[i] == SEEN && t->first[i] == 0.0)
            out->zero_cols++;
        else if (t->state[i] == SEEN)
            out->constant_cols++;
    }
}

struct bm_tally_result bm_tally_end(struct bm_tally *t)
{
    struct bm_tally_result out = {.samples = t->samples, .nonfinite = t->nonfinite};
    uint64_t finite = t->samples - t->nonfinite;

    out.min = finite ? t->min : NAN;
    out.max = finite ? t->max : NAN;
    out.mean = finite ? (double)(t->sum / (long double)finite) : NAN;
    if (t->first && t->state)
        count_columns(t, &out);
    free(t->first);
    free(t->state);
    *t = (struct bm_tally){0};
    return out;
}
