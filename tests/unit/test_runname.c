#include "io/bidsname.h"
#include "io/runname.h"
#include "unit.h"

static void names_of_runs(void)
{
    static const struct {
        const char *path;
        int subject, session, run;
        const char *label;
    } rows[] = {
        {"data/ppdata/subj01/func1pt8mm/timeseries/timeseries_session02_run03.nii.gz", 1, 2, 3,
         "timeseries_session02_run03"},
        {"/x/subj08/timeseries_session40_run14.nii.gz", 8, 40, 14, "timeseries_session40_run14"},
        {"sub-01_ses-2_task-rest_run-03_bold.nii.gz", 1, 2, 3, "sub-01_ses-2_task-rest_run-03_bold"},
        {"sub-05/ses-07/func/sub-05_ses-07_run-1_bold.nii", 5, 7, 1, "sub-05_ses-07_run-1_bold"},
        {"sub-05/func/task_bold.nii", 5, 0, 0, "task_bold"},
        {"sub-03/sub-04_run-2.hdr", 4, 0, 2, "sub-04_run-2"}, /* the file's own name goes first */
        {"subj01/subj02/bold.img", 2, 0, 0, "bold"},          /* the innermost folder */
        {"bold.nii.gz", 0, 0, 0, "bold"},
        {"-", 0, 0, 0, "stdin"},
        {"bold", 0, 0, 0, "bold"},
        {".nii", 0, 0, 0, ".nii"},
        {"a.nii.nii.gz", 0, 0, 0, "a.nii"},
        {"a.gz", 0, 0, 0, "a"},
        {"sub-abc_ses-pre_run-x.nii", 0, 0, 0, "sub-abc_ses-pre_run-x"},
        {"session01_run99999.nii", 0, 1, 0, "session01_run99999"}, /* above 9999 is no number */
        {"session00_run-0.nii", 0, 0, 0, "session00_run-0"},
        {"run1_run2.nii", 0, 0, 2, "run1_run2"},
        {"session-1_run+1.nii", 0, 0, 0, "session-1_run+1"},
        {"", 0, 0, 0, ""},
        {"dir/", 0, 0, 0, ""},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct bm_runname n;
        memset(&n, 0xEE, sizeof n);
        bm_runname_parse(rows[i].path, &n);
        CHECK_ROW(n.subject == rows[i].subject && n.session == rows[i].session && n.run == rows[i].run, i);
        CHECK_ROW(strcmp(n.label, rows[i].label) == 0, i);
    }
}

static void long_names_are_cut(void)
{
    char path[1000];
    struct bm_runname n;

    for (size_t length = 190; length < sizeof path; length++) {
        memset(path, 'a', length);
        memcpy(path + length - 8, ".nii.gz", 8);
        bm_runname_parse(path, &n);
        CHECK_ROW(strlen(n.label) < sizeof n.label && strspn(n.label, "a") >= 180, length);
    }
}

static void patterns(void)
{
    static const struct {
        const char *pattern, *want; /* NULL: refused */
    } rows[] = {
        {"design_session{session}_run{run}.tsv", "design_session07_run12.tsv"},
        {"sub-{subject:d}/ses-{session:d}/run-{run:d}", "sub-3/ses-7/run-12"},
        {"subj{subject}{session}{run}", "subj030712"},
        {"plain.tsv", "plain.tsv"},
        {"", ""},
        {"}{run}}", "}12}"},
        {"{run}", "12"},
        {"{", NULL},
        {"{}", NULL},
        {"{run", NULL},
        {"{Run}", NULL},
        {"{run:x}", NULL},
        {"{run:dd}", NULL},
        {"{runs}", NULL},
        {"{ru}", NULL},
        {"{{run}}", NULL},
        {"{run}{session", NULL},
        {"{run:d", NULL},
        {"{run:}", NULL},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct bm_error err = {0};
        char *text = bm_runname_expand(rows[i].pattern, 3, 7, 12, &err);
        CHECK_ROW(rows[i].want ? text && strcmp(text, rows[i].want) == 0 : !text && err.code == BM_EUSAGE, i);
        if (!rows[i].want)
            CHECK_ERR_CONTAINS(&err, "unknown placeholder");
        free(text);
    }
}

static void large_numbers_in_patterns(void)
{
    struct bm_error err = {0};
    char *text = bm_runname_expand("{subject}-{session}-{run:d}", 100, 2147483647, -2147483647, &err);

    REQUIRE(text, &err);
    CHECK(strcmp(text, "100-2147483647--2147483647") == 0);
    free(text);
}

/* Names as BIDS has them: keys and values, a suffix; out: "key=value ..." and the suffix. */
static void names_of_bids(void)
{
    static const struct {
        const char *path, *want;
    } rows[] = {
        {"sub-01_task-rest_bold.nii.gz", "sub=01 task=rest bold"},
        {"/a/b-c/sub-01_ses-A+b_T1w.nii", "sub=01 ses=A+b T1w"},
        {"task-x_bold.json", "task=x bold"},
        {"sub-01", NULL},
        {"sub-01_", NULL},
        {"bold.nii", NULL},
        {"_bold.nii", NULL},
        {"sub_bold.nii", NULL},
        {"sub-_bold.nii", NULL},
        {"-01_bold.nii", NULL},
        {"sub-0 1_bold.nii", NULL},
        {"sub-01_bo ld.nii", NULL},
        {"sub-01_run[1_bold.nii", NULL},
        {"sub-01_run-{1_bold.nii", NULL},
        {"sub-01_run-:_bold.nii", NULL},
        {"sub-01_run-/_bold.nii", NULL},
        {"other-01_bold.nii", NULL},
        {"", NULL},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct bm_bidsname name;
        char text[200] = "";
        const bool good = bm_bidsname_parse(rows[i].path, &name);
        CHECK_ROW(good == (rows[i].want != NULL), i);
        for (size_t k = 0; good && k < name.n; k++)
            (void)snprintf(text + strlen(text), sizeof text - strlen(text), "%.*s=%.*s ", BM_SPAN_ARG(name.keys[k]),
                           BM_SPAN_ARG(name.values[k]));
        if (good)
            (void)snprintf(text + strlen(text), sizeof text - strlen(text), "%.*s", BM_SPAN_ARG(name.suffix));
        CHECK_ROW(!good || strcmp(text, rows[i].want) == 0, i);
    }
    char many[400] = "";
    struct bm_bidsname name;
    for (int k = 0; k < BM_BIDS_ENTITIES; k++)
        (void)strncat(many, "sub-01_", 8);
    (void)strncat(many, "bold", 5);
    CHECK(bm_bidsname_parse(many, &name) && name.n == BM_BIDS_ENTITIES);
    memmove(many + 7, many, strlen(many) + 1);
    memcpy(many, "sub-01_", 7);
    CHECK(!bm_bidsname_parse(many, &name));
}

int main(void)
{
    static const struct unit_test all[] = {
        UNIT(names_of_runs), UNIT(long_names_are_cut), UNIT(patterns), UNIT(large_numbers_in_patterns),
        UNIT(names_of_bids),
    };
    return unit_main(all, COUNT(all));
}
