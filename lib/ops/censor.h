/* Censoring: which volumes are left out. */
#ifndef BM_OPS_CENSOR_H
#define BM_OPS_CENSOR_H

#include <stdbool.h>
#include <stddef.h>

/* Widens what is censored[rows]: first by the `before` volumes before and the `after` volumes behind each censored
 * one, then by the pieces of kept volumes that are shorter than `min_segment` and have a censored volume at one end
 * at least (0 and 1: none are; 5 is the choice of Power 2014 and of nilearn's scrub). Where nothing is censored,
 * nothing becomes so. Any numbers will do, also larger than rows. Returns how many volumes are censored. */
size_t bm_censor_widen(bool *censored, size_t rows, size_t before, size_t after, size_t min_segment);

#endif
