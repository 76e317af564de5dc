#include "ops/timeline.h"

#include <stdlib.h>

size_t bm_timeline_runs(const struct bm_timeline *t)
{
    return t->stretches.size / sizeof(struct bm_stretch);
}

size_t bm_timeline_shows(const struct bm_timeline *t)
{
    return t->presentations.size / sizeof(struct bm_presentation);
}

static struct bm_stretch *stretch(const struct bm_timeline *t, size_t i)
{
    return (struct bm_stretch *)t->stretches.data + i;
}

static size_t pieces(const struct bm_timeline *t)
{
    return t->pieces.size / sizeof(struct bm_piece);
}

static struct bm_piece *piece(const struct bm_timeline *t, size_t i)
{
    return (struct bm_piece *)t->pieces.data + i;
}

static struct bm_presentation *show(const struct bm_timeline *t, size_t i)
{
    return (struct bm_presentation *)t->presentations.data + i;
}

const struct bm_stretch *bm_timeline_run(const struct bm_timeline *t, size_t i)
{
    return stretch(t, i);
}

const struct bm_presentation *bm_timeline_show(const struct bm_timeline *t, size_t i)
{
    return show(t, i);
}

const struct bm_piece *bm_timeline_piece(const struct bm_timeline *t, size_t i)
{
    return piece(t, i);
}

size_t bm_timeline_longest_piece(const struct bm_timeline *t)
{
    size_t longest = 0;
    for (size_t i = 0; i < pieces(t); i++)
        if (piece(t, i)->rows > longest)
            longest = piece(t, i)->rows;
    return longest;
}

bool bm_timeline_onset_known(const struct bm_timeline *t, size_t i)
{
    const struct bm_piece *p = piece(t, show(t, i)->piece);
    return !p->behind_gap || p->first != show(t, i)->first;
}

static int add_piece(struct bm_timeline *t, size_t rows, bool behind_gap, struct bm_error *err)
{
    struct bm_piece p = {t->rows, rows, behind_gap};
    return bm_buf_append(&t->pieces, &p, sizeof p, err);
}

static int add_stretch(struct bm_timeline *t, int subject, int session, int run, size_t rows, struct bm_error *err)
{
    struct bm_stretch s = {t->rows, rows, subject, session, run};
    return bm_buf_append(&t->stretches, &s, sizeof s, err);
}

int bm_timeline_add_run(struct bm_timeline *t, int subject, int session, int run, size_t rows, struct bm_error *err)
{
    if (add_piece(t, rows, false, err) < 0 || add_stretch(t, subject, session, run, rows, err) < 0)
        return -1;
    return bm_add(t->rows, rows, &t->rows, "rows", err);
}

static bool continues(const struct bm_timeline *t, const struct bm_row *row)
{
    const struct bm_stretch *s = bm_timeline_runs(t) > 0 ? stretch(t, bm_timeline_runs(t) - 1) : NULL;
    return s && s->subject == row->subject_idx && s->session == row->session && s->run == row->run &&
           row->time > t->last_time;
}

/* The run and the piece that row `row` continues, or new ones. */
static int enter_run(struct bm_timeline *t, const struct bm_row *row, struct bm_error *err)
{
    bool same_run = continues(t, row), next = same_run && row->time == t->last_time + 1;
    int status = 0;
    if (same_run)
        stretch(t, bm_timeline_runs(t) - 1)->rows++;
    else
        status = add_stretch(t, row->subject_idx, row->session, row->run, 1, err);
    if (next)
        piece(t, pieces(t) - 1)->rows++;
    else if (status == 0)
        status = add_piece(t, 1, same_run || row->time > 0, err);
    t->last_time = row->time;
    return status < 0 ? -1 : bm_add(t->rows, 1, &t->rows, "rows", err);
}

static int contradiction(const char *name, size_t i, const char *what, struct bm_error *err)
{
    return bm_fail(err, BM_EDATA, "%s: row %zu: %s; make the metadata again with hrfshift and concat", name, i, what);
}

/* The presentation that the newest row of the timeline continues, or a new one; row `i` of the input. */
static int enter_show(struct bm_timeline *t, const struct bm_row *row, int32_t image, const char *name, size_t i,
                      struct bm_error *err)
{
    size_t here = bm_timeline_runs(t) - 1, n = bm_timeline_shows(t);
    struct bm_presentation *last = n > 0 && show(t, n - 1)->stretch == here ? show(t, n - 1) : NULL;
    if (row->trial < 0)
        return last ? contradiction(name, i, "trial -1 after a presentation of the same run", err) : 0;
    if (image < 0)
        return contradiction(name, i, "a presentation without a stimulus in its history", err);
    if (last && row->trial < last->trial)
        return contradiction(name, i, "trial numbers go backwards within a run", err);
    if (last && row->trial == last->trial) {
        if (image != last->image)
            return contradiction(name, i, "the stimulus changes within a presentation", err);
        last->rows++;
        return 0;
    }
    struct bm_presentation p = {t->rows - 1, 1, here, pieces(t) - 1, row->trial, image};
    return bm_buf_append(&t->presentations, &p, sizeof p, err);
}

static int add_rows(struct bm_timeline *t, const struct bm_rows *rows, struct bm_row *row, const char *name,
                    struct bm_error *err)
{
    for (size_t i = 0; i < rows->n; i++) {
        bm_row_get(rows, i, row);
        if (row->subject_idx < 0 || row->session < 0 || row->run < 0)
            return contradiction(name, i, "negative subject, session or run number", err);
        if (enter_run(t, row, err) < 0)
            return -1;
        if (enter_show(t, row, row->stimulus_history[rows->history - 1], name, i, err) < 0)
            return -1;
    }
    return 0;
}

int bm_timeline_add_rows(struct bm_timeline *t, const struct bm_rows *rows, const char *name, struct bm_error *err)
{
    struct bm_row row = {.stimulus_history = bm_alloc(rows->history, sizeof(int32_t), "stimulus history", err)};
    if (!row.stimulus_history)
        return -1;
    t->has_presentations = true;
    int status = add_rows(t, rows, &row, name, err);
    free(row.stimulus_history);
    return status;
}

void bm_timeline_free(struct bm_timeline *t)
{
    bm_buf_free(&t->stretches);
    bm_buf_free(&t->pieces);
    bm_buf_free(&t->presentations);
    *t = (struct bm_timeline){0};
}
