/* Run names: what a path says of subject, session and run.
 *
 * NSD:  .../subj01/.../timeseries_session02_run03.nii.gz  -> subject 1, session 2, run 3
 * BIDS: sub-01_ses-2_task-rest_run-03_bold.nii.gz         -> subject 1, session 2, run 3
 */
#ifndef BM_IO_RUNNAME_H
#define BM_IO_RUNNAME_H

#include "core/error.h"

#include <stddef.h>

struct bm_runname {
    int subject, session, run; /* 0 where the path does not say */
    char label[200];           /* file name without .nii, .nii.gz, .hdr, .img */
};
void bm_runname_parse(const char *path, struct bm_runname *out);

/* "{subject}", "{session}" and "{run}" become numbers of at least two digits, with ":d" ("{run:d}") of as many as
 * they need. Without braces the text is returned as it is. Owned; an unknown placeholder is an error. */
char *bm_runname_expand(const char *pattern, int subject, int session, int run, struct bm_error *err) BM_MUST_USE;

#endif
