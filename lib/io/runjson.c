#include "io/runjson.h"

#include "io/jsonmem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_HISTORY 1024

const char *bm_meta_descr(size_t history, char *text, size_t n)
{
    (void)snprintf(
        text, n,
        "[('stimulus_history', '<i4', (%zu,)), ('subject_idx', '<i2'), ('session', '<i2'), ('run', '<i2'), "
        "('time', '<f4'), ('trial', '<i4'), ('stimulus', '<i4')]",
        history);
    return text;
}

json_t *bm_runjson_textn(const char *s, size_t n)
{
    json_t *value = json_stringn(s, n);
    char *ascii;

    if (value)
        return value;
    ascii = bm_json_alloc(n + 1);
    for (size_t i = 0; ascii && i < n; i++)
        ascii[i] = (unsigned char)s[i] >= 0x80 ? '?' : s[i];
    value = ascii ? json_stringn(ascii, n) : NULL;
    bm_json_free(ascii);
    return value;
}

json_t *bm_runjson_text(const char *s)
{
    return bm_runjson_textn(s, strlen(s));
}

json_t *bm_runjson_grid_dims(const struct bm_grid *g)
{
    return json_pack("[I,I,I]", (json_int_t)g->dims[0], (json_int_t)g->dims[1], (json_int_t)g->dims[2]);
}

json_t *bm_runjson_grid_affine(const struct bm_grid *g)
{
    const double(*a)[4] = g->affine;

    return json_pack("[[f,f,f,f],[f,f,f,f],[f,f,f,f]]", a[0][0], a[0][1], a[0][2], a[0][3], a[1][0], a[1][1], a[1][2],
                     a[1][3], a[2][0], a[2][1], a[2][2], a[2][3]);
}

json_t *bm_runjson_counts(const struct bm_run *run)
{
    json_t *counts = json_object();

    for (size_t i = 0; i < run->ncounts; i++)
        (void)json_object_set_new(counts, run->counts[i].name, json_integer((json_int_t)run->counts[i].value));
    return counts;
}

json_t *bm_runjson_steps(const struct bm_run *run)
{
    json_t *steps = json_array();

    for (size_t i = 0; i < run->nsteps; i++)
        (void)json_array_append_new(steps, bm_json_own(run->steps[i]));
    return steps;
}

json_t *bm_runjson_categories(const struct bm_run *run)
{
    json_t *names = json_array();

    for (size_t i = 0; i < run->ncategories; i++)
        (void)json_array_append_new(names, bm_runjson_text(run->categories[i]));
    return names;
}

void bm_runjson_set_times(json_t *object, const struct bm_run *run)
{
    json_t *times;

    if (!run->times)
        return;
    times = json_array();
    for (size_t i = 0; i < run->rows; i++)
        (void)json_array_append_new(times, json_integer(run->times[i]));
    (void)json_object_set_new(object, "times", times);
}

char *bm_runjson_dump(json_t *value, struct bm_error *err)
{
    char *text = value ? json_dumps(value, JSON_COMPACT | JSON_REAL_PRECISION(17)) : NULL;

    json_decref(value);
    if (text && !bm_json_lost())
        return text;
    (void)bm_fail(err, BM_ESYS, "JSON: out of memory; use a machine with more memory or fewer --threads");
    bm_json_free(text);
    return NULL;
}

char *bm_runjson_header(const struct bm_run *run, struct bm_error *err)
{
    json_t *header = json_pack(
        "{s:s,s:i,s:o,s:i,s:i,s:i,s:I,s:I,s:I,s:s,s:f,s:f,s:f,s:o,s:o,s:s,s:I,s:o,s:o}", "boldmill", "run", "schema",
        BM_SCHEMA, "label", bm_runjson_text(run->label), "subject", run->subject, "session", run->session, "run",
        run->run, "rows", (json_int_t)run->rows, "cols", (json_int_t)run->cols, "tile_cols",
        (json_int_t)run->tile_cols, "dtype", bm_dtype_descr(run->dtype), "slope", run->slope, "inter", run->inter,
        "tr", run->tr, "dims", bm_runjson_grid_dims(&run->grid), "affine", bm_runjson_grid_affine(&run->grid),
        "absent", run->absent_zero ? "zero" : "unknown", "history", (json_int_t)run->meta.history, "categories",
        bm_runjson_categories(run), "steps", bm_runjson_steps(run));

    bm_runjson_set_times(header, run);
    if (run->volumes)
        (void)json_object_set_new(header, "volumes", json_integer((json_int_t)run->volumes));
    return bm_runjson_dump(header, err);
}

char *bm_runjson_footer(const struct bm_run *run, struct bm_error *err)
{
    return bm_runjson_dump(
        json_pack("{s:s,s:i,s:o}", "boldmill", "run_end", "schema", BM_SCHEMA, "counts", bm_runjson_counts(run)),
        err);
}

static json_t *load(const char *text, size_t n, const char *where, struct bm_error *err)
{
    json_t *value = bm_json_load(text, n, JSON_REJECT_DUPLICATES, where, NULL, err);

    if (value && !json_is_object(value)) {
        json_decref(value);
        value = NULL;
    }
    return value;
}

int bm_runjson_kind(const char *text, size_t n, const char *where, char kind[16], struct bm_error *err)
{
    json_t *value = load(text, n, where, err);
    const char *word = json_string_value(json_object_get(value, "boldmill"));

    (void)snprintf(kind, 16, "%s", word ? word : "");
    json_decref(value);
    return err->code == BM_OK ? 0 : -1;
}

/* One key of a header that is being parsed; the first bad one is reported. */
struct parser {
    json_t *object;
    const char *where;
    struct bm_error *err;
};

static int bad(const struct parser *p, const char *key)
{
    return bm_fail(p->err, BM_EDATA,
                   "%s: the header's \"%s\" is missing or wrong; the file is damaged or not a series", p->where, key);
}

static int get_int(const struct parser *p, const char *key, long long lo, long long hi, long long *out)
{
    json_t *v = json_object_get(p->object, key);

    *out = json_is_integer(v) ? json_integer_value(v) : lo - 1;
    return *out < lo || *out > hi ? bad(p, key) : 0;
}

static int get_size(const struct parser *p, const char *key, size_t *out)
{
    long long v;

    if (get_int(p, key, 0, 1LL << 40, &v))
        return -1;
    *out = (size_t)v;
    return 0;
}

static int get_small(const struct parser *p, const char *key, int hi, int *out)
{
    long long v;

    if (get_int(p, key, 0, hi, &v))
        return -1;
    *out = (int)v;
    return 0;
}

static int get_real(const struct parser *p, const char *key, double *out)
{
    json_t *v = json_object_get(p->object, key);

    *out = json_number_value(v);
    return json_is_number(v) ? 0 : bad(p, key);
}

static int get_strings(const struct parser *p, const char *key, bool objects, char ***out, size_t *n)
{
    json_t *list = json_object_get(p->object, key), *v;
    size_t i;

    if (!json_is_array(list))
        return bad(p, key);
    *n = 0;
    *out = bm_calloc(json_array_size(list), sizeof **out, key, p->err);
    if (!*out)
        return -1;
    json_array_foreach(list, i, v)
    {
        if (objects ? !json_is_object(v) : !json_is_string(v))
            return bad(p, key);
        (*out)[i] = objects ? bm_runjson_dump(json_incref(v), p->err) : bm_strdup(json_string_value(v), p->err);
        if (!(*out)[i])
            return -1;
        *n = i + 1;
    }
    return 0;
}

static int get_grid(const struct parser *p, struct bm_grid *g)
{
    json_t *dims = json_object_get(p->object, "dims"), *affine = json_object_get(p->object, "affine");

    for (size_t r = 0; r < 3; r++) {
        json_t *row = json_array_get(affine, r), *d = json_array_get(dims, r);

        if (!json_is_integer(d))
            return bad(p, "dims");
        g->dims[r] = json_integer_value(d);
        for (size_t c = 0; c < 4; c++) {
            json_t *v = json_array_get(row, c);

            if (!json_is_number(v))
                return bad(p, "affine");
            g->affine[r][c] = json_number_value(v);
        }
    }
    return 0;
}

static int get_words(const struct parser *p, struct bm_run *run)
{
    const char *label = json_string_value(json_object_get(p->object, "label"));
    const char *dtype = json_string_value(json_object_get(p->object, "dtype"));
    const char *absent = json_string_value(json_object_get(p->object, "absent"));

    if (!label)
        return bad(p, "label");
    if (!dtype || !bm_dtype_from_name(dtype, &run->dtype))
        return bad(p, "dtype");
    if (!absent || (strcmp(absent, "zero") != 0 && strcmp(absent, "unknown") != 0))
        return bad(p, "absent");
    run->absent_zero = !strcmp(absent, "zero");
    run->label = bm_strdup(label, p->err);
    return run->label ? 0 : -1;
}

/* Optional: where it is not there the rows are volumes 0, 1, 2, ... */
static int get_times(const struct parser *p, struct bm_run *run)
{
    json_t *list = json_object_get(p->object, "times"), *v;
    size_t i;

    if (!list)
        return 0;
    if (!json_is_array(list) || json_array_size(list) != run->rows)
        return bad(p, "times");
    run->times = bm_alloc(run->rows, sizeof *run->times, "times", p->err);
    if (!run->times)
        return -1;
    json_array_foreach(list, i, v)
    {
        if (!json_is_integer(v) || json_integer_value(v) < 0 || json_integer_value(v) >= INT32_MAX)
            return bad(p, "times");
        run->times[i] = (int32_t)json_integer_value(v);
    }
    return 0;
}

static int get_all(const struct parser *p, struct bm_run *run)
{
    if (get_words(p, run) || get_small(p, "subject", INT16_MAX, &run->subject) ||
        get_small(p, "session", INT16_MAX, &run->session) || get_small(p, "run", INT16_MAX, &run->run) ||
        get_size(p, "rows", &run->rows) || get_size(p, "cols", &run->cols) ||
        get_size(p, "tile_cols", &run->tile_cols) || get_real(p, "slope", &run->slope) ||
        get_real(p, "inter", &run->inter) || get_real(p, "tr", &run->tr) || get_grid(p, &run->grid) ||
        get_times(p, run) || (json_object_get(p->object, "volumes") && get_size(p, "volumes", &run->volumes)) ||
        get_size(p, "history", &run->meta.history) ||
        get_strings(p, "categories", false, &run->categories, &run->ncategories) ||
        get_strings(p, "steps", true, &run->steps, &run->nsteps))
        return -1;
    if (run->meta.history > MAX_HISTORY)
        return bad(p, "history");
    run->meta.n = run->meta.history ? run->rows : 0;
    return 0;
}

static int check_record(const struct parser *p, const char *kind)
{
    const char *word = json_string_value(json_object_get(p->object, "boldmill"));
    long long schema;

    if (!word || strcmp(word, kind) != 0)
        return bad(p, "boldmill");
    if (get_int(p, "schema", 1, INT32_MAX, &schema))
        return -1;
    if (schema > BM_SCHEMA)
        return bm_fail(p->err, BM_EDATA, "%s: written in schema %lld by a newer boldmill; this one knows up to %d",
                       p->where, schema, BM_SCHEMA);
    return 0;
}

int bm_runjson_parse_header(const char *text, size_t n, const char *where, struct bm_run *run, struct bm_error *err)
{
    struct parser p = {load(text, n, where, err), where, err};
    int status;

    bm_run_init(run);
    status = check_record(&p, "run") || get_all(&p, run) ? -1 : 0;
    json_decref(p.object);
    if (status)
        bm_run_clear(run);
    return status;
}

int bm_runjson_parse_footer(const char *text, size_t n, const char *where, struct bm_run *run, struct bm_error *err)
{
    struct parser p = {load(text, n, where, err), where, err};
    json_t *counts = json_object_get(p.object, "counts"), *v;
    const char *name;
    int status = check_record(&p, "run_end");

    if (!status && (!json_is_object(counts) || json_object_size(counts) > BM_MAX_COUNTS))
        status = bad(&p, "counts");
    if (!status) {
        json_object_foreach(counts, name, v)
        {
            if (!json_is_integer(v) || json_integer_value(v) < 0)
                status = bad(&p, "counts");
            else
                bm_run_count(run, name, (uint64_t)json_integer_value(v));
        }
    }
    json_decref(p.object);
    return status;
}
