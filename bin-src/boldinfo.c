/* boldinfo: describes any file that a user of boldmill may hold, and verifies it. */
#include "boldinfo_text.h"
#include "cli.h"
#include "io/describe.h"
#include "io/jsonmem.h"

#include <stdio.h>

static bool as_json, verify, values;
static const char *table;

static const struct cli_option options[] = {
    {"json", 0, CLI_FLAG, &as_json, NULL, "Print JSON: one object, or a list of them for several files.", 0, 0, NULL,
     true},
    {"verify", 0, CLI_FLAG, &verify, NULL, "Read everything and check every checksum; damage gives status 1.", 0, 0,
     NULL, true},
    {"values", 0, CLI_FLAG, &values, NULL,
     "Read everything and tell the range and mean of the values of each run, how many samples are not finite, and "
     "how many voxels are 0 throughout or do not vary. Of a single volume this is told anyway.",
     0, 0, NULL, true},
    {"table", 't', CLI_STRING, &table, "FILE",
     "Names of labels: a FreeSurfer colour table (.ctab), a BIDS _dseg.tsv, or lines \"number name\". Without it, "
     "X_dseg.tsv beside X_dseg.nii.gz is taken where there is one.",
     0, 0, NULL, true},
    {0},
};

static const struct cli_program program = {
    .name = "boldinfo",
    .purpose = "Say what a file is and what is in it, and verify it",
    .usage = "[OPTIONS] FILE...",
    .description =
        "Describes whatever a user of boldmill may hold: NIfTI files (grid, TR, scaling, extensions; of a mask or "
        "label volume the ROIs with names and voxels), .npy masks, series files and tile streams (runs, sessions, "
        "what was counted on the way, which programs made them from which files), training arrays, index files and "
        "metadata rows, designs, events, confound and label tables, BIDS sidecars. What a file is shows in its "
        "content, not in its name.\n"
        "\n"
        "For arrays give NAME.json, which vouches for NAME.fmri.npy and NAME.meta.npy beside it. \"-\" reads "
        "standard input.",
    .options = options,
    .examples = "  boldinfo timeseries_session01_run01.nii.gz roi/prf-visualrois.nii.gz\n"
                "  boldinfo --table prf-visualrois.mgz.ctab roi/prf-visualrois.nii.gz\n"
                "  boldinfo --verify cache/subj01/*.h5 cache/subj01/*.json\n"
                "  boldinfo --values session_01.h5\n"
                "  boldinfo --json session_01.h5 | python -m json.tool\n",
    .no_output = true,
    .min_args = 1,
    .max_args = 1000000,
};

int main(int argc, char **argv)
{
    struct cli cli;
    struct bm_error err = {0};
    struct bm_labels names = {0};
    struct bm_describe_how how = {0};
    json_t *all = json_array();
    bool failed = false;

    cli_parse(&cli, &program, argc, argv);
    how = (struct bm_describe_how){.verify = verify, .values = values, .table = table ? &names : NULL};
    if (table && bm_labels_read(table, &names, &err))
        cli_fail(&cli, &err);
    for (size_t i = 0; i < cli.nargs; i++) {
        struct bm_error why = {0};
        json_t *info = bm_describe(cli.args[i], &how, &why);

        if (!info) {
            (void)fflush(stdout);
            cli_error(&cli, &why);
            failed = true;
            continue;
        }
        if (!as_json)
            boldinfo_text(info);
        (void)json_array_append_new(all, info);
    }
    if (as_json && json_array_size(all)) {
        (void)json_dumpf(cli.nargs == 1 ? json_array_get(all, 0) : all, stdout,
                         JSON_INDENT(1) | JSON_REAL_PRECISION(17));
        (void)putchar('\n');
    }
    json_decref(all);
    bm_labels_clear(&names);
    if (bm_json_lost()) {
        (void)bm_fail(&err, BM_ESYS, "out of memory, so that something is missing; use a machine with more memory");
        cli_fail(&cli, &err);
    }
    return cli_finish(&cli, failed);
}
