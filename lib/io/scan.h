/* A scan: the volumes of one run, front to back, from one file or from a list of 3-D files.
 *
 * Each file of a list holds one volume, all on the same grid. Where all have the same sample type and scaling,
 * samples are handed out as they are. Otherwise they come as float64 values, slope * sample + inter of their own
 * file.
 */
#ifndef BM_IO_SCAN_H
#define BM_IO_SCAN_H

#include "io/nifti.h"

/* What the headers of n files together say: those of files[0] where n is 1, else a run of n volumes. A list's
 * repetition time is what all agree on, and doubtful, as 3-D files have no time axis; 0 where they do not agree. */
int bm_scan_join(const struct bm_nifti_info *files, const char *const *paths, size_t n, struct bm_nifti_info *out,
                 struct bm_error *err) BM_MUST_USE;

struct bm_scan;

/* Opens the headers of all files. `paths` must outlive the scan. `opened` is the first of them where it is open
 * already (a pipe), or NULL; it stays the caller's. */
struct bm_scan *bm_scan_open(const char *const *paths, size_t n, struct bm_nifti *opened,
                             struct bm_error *err) BM_MUST_USE;
const struct bm_nifti_info *bm_scan_info(const struct bm_scan *s);
size_t bm_scan_volume_bytes(const struct bm_scan *s);
/* As bm_nifti_next. */
int bm_scan_next(struct bm_scan *s, void *buf, struct bm_error *err) BM_MUST_USE;
/* As bm_nifti_finish, of every file. */
int bm_scan_finish(struct bm_scan *s, size_t *skipped, uint64_t *trailing, struct bm_error *err) BM_MUST_USE;
uint64_t bm_scan_bytes(const struct bm_scan *s, size_t file); /* decoded bytes of a file; valid after finish */
uint32_t bm_scan_crc32(const struct bm_scan *s, size_t file); /* their CRC-32; valid after finish */
const char *bm_scan_affine_from(const struct bm_scan *s, size_t file); /* as in struct bm_nifti_info */
uint64_t bm_scan_raw_count(const struct bm_scan *s); /* bytes read from data files so far, for progress */
void bm_scan_close(struct bm_scan *s);               /* NULL is fine */

#endif
