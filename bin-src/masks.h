/* The masks of a command line, as nifti2h5 and applymask take them: what they select together, and the files they
 * came from. */
#ifndef BM_MASKS_H
#define BM_MASKS_H

#include "cli.h"

struct cli_masks {
    struct cli_list files, minus, where;  /* SPECs, see io/roi.h */
    const char *labels, *table, *combine; /* combine: "union" or "intersection" */
};

/* The options beside --roi or --mask, for option tables; `option` is that one's name, `m` a struct cli_masks. */
#define CLI_MASK_OPTIONS(m, option)                                                                                  \
    {"minus",    0,      CLI_LIST,                                                                                   \
     &(m).minus, "SPEC", "Take away what SPEC selects; SPEC is as for --" option ", and --labels does not apply.",   \
     0,          0,      NULL,                                                                                       \
     false},                                                                                                         \
        {"where",                                                                                                    \
         'w',                                                                                                        \
         CLI_LIST,                                                                                                   \
         &(m).where,                                                                                                 \
         "SPEC",                                                                                                     \
         "Keep only what SPEC selects too, such as 'ncsnr.nii.gz > 0.2'. All of them must hold. NaN fulfils no "     \
         "condition.",                                                                                               \
         0,                                                                                                          \
         0,                                                                                                          \
         NULL,                                                                                                       \
         false},                                                                                                     \
        {"labels",                                                                                                   \
         'l',                                                                                                        \
         CLI_STRING,                                                                                                 \
         &(m).labels,                                                                                                \
         "LIST",                                                                                                     \
         "What a --" option                                                                                          \
         " without a condition selects: values such as 1,3-5, or names such as V1v,V1d. Each must be in the file; "  \
         "of a range, one value is enough.",                                                                         \
         0,                                                                                                          \
         0,                                                                                                          \
         NULL,                                                                                                       \
         false},                                                                                                     \
        {"table",                                                                                                    \
         't',                                                                                                        \
         CLI_STRING,                                                                                                 \
         &(m).table,                                                                                                 \
         "FILE",                                                                                                     \
         "Names of the values: a FreeSurfer colour table (.ctab), a BIDS _dseg.tsv, or lines \"number name\". "      \
         "Without it, X_dseg.tsv beside X_dseg.nii.gz is taken where there is one.",                                 \
         0,                                                                                                          \
         0,                                                                                                          \
         NULL,                                                                                                       \
         false},                                                                                                     \
    {                                                                                                                \
        "combine", 'c', CLI_CHOICE, &(m).combine, NULL, "How several --" option " go together.", 0, 0,               \
            "union|intersection", false                                                                              \
    }

/* What the masks select together: combine(files), less any of `minus`, where all of `where` hold. */
struct cli_mask {
    struct bm_grid grid;
    int64_t *voxels; /* ascending; owned */
    size_t n;
    char **inputs; /* the files that were read, each once, as cli_input makes them; owned */
    size_t ninputs;
};

/* Reads the masks, which must all lie on `grid`; where that is NULL, on the first mask's. An empty result is an error
 * that says what emptied it. */
int cli_mask_read(const struct cli_masks *m, const struct bm_grid *grid, struct cli_mask *out,
                  struct bm_error *err) BM_MUST_USE;
void cli_mask_clear(struct cli_mask *mask);
/* Ends the process if the other options are there without a mask; `option` is "roi" or "mask". */
void cli_mask_check(const struct cli *cli, const struct cli_masks *m, const char *option);

#endif
