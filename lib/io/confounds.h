/* Confounds: a table of regressors, one line a volume, and what is done to it before it is regressed out.
 *
 * Read by content: a table whose first line names the columns (fMRIPrep's desc-confounds_timeseries.tsv), or plain
 * numbers (NSD's motion files, SPM's rp_*.txt, FSL's *.par). The first line decides how all are separated: by tabs if
 * it has one, else by commas if it has one, else by blanks; plain numbers without a comma stand between any blanks
 * and tabs. Lines that begin with '#' may come before the first; gzip is fine. A field may stand in double quotes.
 *
 * A value is a number, inf, or missing: n/a, N/A, NA, NaN, nan, or an empty field. A missing value is NaN here, an
 * infinite one stays: what cannot be regressed out may stand in a column that nobody chooses. All else is an error
 * with its line, and so are a line with more or fewer fields than the first, a name twice, a column without a name, a
 * first line with names and numbers, and an empty line before the end. NaN and n/a are the same from here on.
 * Limits: 64 MB of text, 65536 columns, names of 255 bytes. Memory grows with the values that have been read.
 *
 * The order of work: read, mark what to censor (on the whole table), select, expand, fill. How it agrees with
 * nilearn.interfaces.fmriprep.load_confounds 0.13.1: docs/cleaning.md.
 *
 * Every struct below may be cleared, also one of zeros; a function that fails leaves its `out` cleared. All of this
 * may be called from any thread, for one struct from one thread at a time.
 */
#ifndef BM_IO_CONFOUNDS_H
#define BM_IO_CONFOUNDS_H

#include "core/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bm_confounds {
    char *path;        /* of the file, for messages; owned */
    bool header;       /* does the file name its columns? */
    size_t first_line; /* 1-based line of the file where row 0 is; row r is on line first_line + r */
    size_t rows, cols; /* rows >= 1; cols may be 0 after a selection of "none" */
    char **names;      /* cols names, distinct; "1", "2", ... where the file has no header; owned */
    double *values;    /* rows x cols, row-major; NaN: missing; owned */
    uint64_t bytes;    /* of the file, decoded, and their CRC-32 */
    uint32_t crc32;
};

/* Reads a table. It is the caller's part to compare rows with the run's. */
int bm_confounds_read(const char *path, struct bm_confounds *out, struct bm_error *err) BM_MUST_USE;
void bm_confounds_clear(struct bm_confounds *c);

/* Some columns of a table, in the table's order, none twice; everything else is copied. `list` holds, with commas
 * between them: names; globs, in which '*' is any text, '?' any one byte and [abc0-9] one of those
 * (a_comp_cor_0[0-4]); and for a table without a header, numbers and ranges such as 1-6. NULL chooses all columns.
 * "none", unless a column is called so, chooses no column: for a table that is there for censoring alone. What fits
 * no column is an error that lists the columns there are (BM_EUSAGE). Only globs that would fit motion_outlier00,
 * non_steady_state_outlier00 or cosine00 may fit nothing, in a table with a header: fMRIPrep writes these columns for
 * runs that need them, and not for others. */
int bm_confounds_select(const struct bm_confounds *table, const char *list, struct bm_confounds *out,
                        struct bm_error *err) BM_MUST_USE;

/* Appends to every chosen column X its expansions, as fMRIPrep names and computes them:
 *     derivatives   X_derivative1, the difference from the row before; row 0 is missing
 *     squares       X_power2
 *     both          also X_derivative1_power2
 * What is an expansion already is not expanded in the same way again: X_derivative1 and X_power2 get no derivative,
 * X_power2 no square; X_derivative1 gets a square. A column that c has is not made twice; one that `table` (the whole
 * table that c was selected from; may be NULL) has is taken from there. */
int bm_confounds_expand(struct bm_confounds *c, bool derivatives, bool squares, const struct bm_confounds *table,
                        struct bm_error *err) BM_MUST_USE;

/* What a missing value becomes. */
enum bm_missing {
    BM_MISSING_START, /* those before a column's first value take that value; any later one is an error */
    BM_MISSING_ZERO,
    BM_MISSING_MEAN, /* the mean of the column's values in rows that are not censored */
    BM_MISSING_ERROR
};

/* Makes all values finite. Rows with censored[row] (may be NULL: none) do not take part in any fit, so what is
 * missing or infinite there becomes 0 where `policy` does not cover it. *filled (may be NULL) counts the missing
 * values of the other rows that were filled. Errors name column and line: a missing value that `policy` does not
 * cover, a column without any value (START, MEAN), an infinite value in a row that is not censored. */
int bm_confounds_fill(struct bm_confounds *c, enum bm_missing policy, const bool *censored, uint64_t *filled,
                      struct bm_error *err) BM_MUST_USE;

/* Sets censored[row] (of c->rows) where the condition "COLUMN OP NUMBER" holds, and leaves the others as they are:
 * call it once for each condition. OP is > >= < <= = or !=; blanks around it may be left out. COLUMN is a name, or a
 * glob or range as above: then it is enough that one of the columns fulfils it. A missing value fulfils no condition,
 * not even "!=". Returns how many columns were compared, or -1; 0 only for the globs that may fit nothing. */
int bm_confounds_censor(const struct bm_confounds *c, const char *condition, bool *censored,
                        struct bm_error *err) BM_MUST_USE;

/* A sample mask: a table of one column and `rows` rows; censored[row] is set where the number is 0, and left as it is
 * elsewhere. Missing values, and any other number of rows, are errors. bytes and crc32 may be NULL. */
int bm_sample_mask_read(const char *path, size_t rows, bool *censored, uint64_t *bytes, uint32_t *crc32,
                        struct bm_error *err) BM_MUST_USE;

/* The columns' names for messages, with commas between them, into text[size] (size >= 64), cut short with "...".
 * Numbered columns that follow each other are put together (cosine00 to cosine04), and expansions of columns that are
 * there too are left out. */
void bm_confounds_names(const struct bm_confounds *c, char *text, size_t size);

#endif
