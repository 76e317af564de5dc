/* A run's header and footer as JSON: the same text stands in tile streams and in series files. The keys are listed
 * in docs/formats.md. Uses jansson; what is read is untrusted and checked key by key. */
#ifndef BM_IO_RUNJSON_H
#define BM_IO_RUNJSON_H

#include "core/series.h"

#include <jansson.h>

#define BM_SCHEMA 1

/* Everything but voxels, metadata rows and counts. Owned text; NULL on failure. */
char *bm_runjson_header(const struct bm_run *run, struct bm_error *err) BM_MUST_USE;
/* Fills a fresh run; voxels and meta.data are left NULL, meta.n is set to the rows where history > 0. `where` names
 * the file in messages. The caller still has to run bm_run_check once the voxels are there. */
int bm_runjson_parse_header(const char *text, size_t n, const char *where, struct bm_run *run,
                            struct bm_error *err) BM_MUST_USE;

char *bm_runjson_footer(const struct bm_run *run, struct bm_error *err) BM_MUST_USE;
int bm_runjson_parse_footer(const char *text, size_t n, const char *where, struct bm_run *run,
                            struct bm_error *err) BM_MUST_USE;

/* Pieces for other JSON writers. Each returns a new reference, or NULL. */
json_t *bm_runjson_text(const char *s); /* bytes that are not UTF-8 become '?' */
json_t *bm_runjson_textn(const char *s, size_t n);
json_t *bm_runjson_grid_dims(const struct bm_grid *g);
json_t *bm_runjson_grid_affine(const struct bm_grid *g);
json_t *bm_runjson_counts(const struct bm_run *run);
json_t *bm_runjson_steps(const struct bm_run *run);
json_t *bm_runjson_categories(const struct bm_run *run);
/* Sets "times" in an object (which may be NULL) where the run has them; takes nothing. */
void bm_runjson_set_times(json_t *object, const struct bm_run *run);
/* Compact text of a JSON value, reals with 17 digits; takes the reference. NULL on failure, also where anything of
 * the value got lost for want of memory (io/jsonmem.h). */
char *bm_runjson_dump(json_t *value, struct bm_error *err) BM_MUST_USE;
/* What the "boldmill" key of a record says ("run", "run_end", "end"); "" when it is no record of ours. Into kind[16].
 * -1: out of memory. */
int bm_runjson_kind(const char *text, size_t n, const char *where, char kind[16], struct bm_error *err) BM_MUST_USE;

/* NPY descr of the metadata rows with this history. Into text[n]; returns text. */
const char *bm_meta_descr(size_t history, char *text, size_t n);

#endif
