/* Commit: the one way an artifact gets its final name.
 *
 *     struct bm_commit *c = bm_commit_open(path, &err);
 *     ... write to bm_commit_fd(c) or to the file bm_commit_temp(c) ...
 *     bm_commit_done(c, &err)      fsync, opened and read again, a look at the inputs (io/inputs.h), close, rename,
 *                                  fsync of the directory
 *     bm_commit_drop(c)            otherwise: the temporary is removed
 *
 * The temporary lies in the target's directory under a private name (".NAME.PID-RANDOM.tmp", mode 0666 & ~umask),
 * so the rename is atomic and a half-written file never stands at the final name. A name that is taken is left alone.
 * What bm_commit_write and bm_commit_fill wrote is compared, byte for byte by its CRC-32, with what is read again.
 * Who writes to bm_commit_temp by other ways (HDF5) reads it again himself, before bm_commit_done.
 *
 * "-" means standard output and an existing target that is not a regular file (a pipe, /dev/null) is written
 * directly; for both bm_commit_done only checks what the system still has to say.
 *
 * With a scratch folder (bm_commit_scratch) the temporary is made there, on a disk that is near, and bm_commit_done
 * copies it in one go to a second one beside the target, which then gets the name.
 *
 * bm_commit_remove_all may be called from a signal handler that ends the process: it unlinks every temporary that is
 * open, and no new ones can be made after it.
 */
#ifndef BM_IO_COMMIT_H
#define BM_IO_COMMIT_H

#include "core/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bm_commit;

/* For all commits from here on; NULL (as it begins): none. The text stays the caller's and must outlive them. */
void bm_commit_scratch(const char *folder);

struct bm_commit *bm_commit_open(const char *path, struct bm_error *err) BM_MUST_USE;
int bm_commit_fd(const struct bm_commit *c);           /* open for reading and writing */
const char *bm_commit_temp(const struct bm_commit *c); /* path of the temporary, or of the target when direct */
const char *bm_commit_name(const struct bm_commit *c); /* the target, for messages */
bool bm_commit_direct(const struct bm_commit *c);      /* a pipe or device: cannot seek, is not renamed */

/* Appends all n bytes, through short writes and EINTR. */
int bm_commit_write(struct bm_commit *c, const void *data, size_t n, struct bm_error *err) BM_MUST_USE;
/* Before the first write: leaves out n bytes at the start of the file, for what is known when the rest is written. */
int bm_commit_reserve(struct bm_commit *c, size_t n, struct bm_error *err) BM_MUST_USE;
/* Writes them, all n; once. */
int bm_commit_fill(struct bm_commit *c, const void *data, size_t n, struct bm_error *err) BM_MUST_USE;
/* Behind what others wrote by its name. */
int bm_commit_append(struct bm_commit *c, const void *data, size_t n, struct bm_error *err) BM_MUST_USE;
/* CRC-32 of all that was written so far; of a direct one 0. */
uint32_t bm_commit_crc32(const struct bm_commit *c);
/* Tells the kernel to start writing back what has been written so far, so that the final fsync finds little left. */
void bm_commit_flush_hint(struct bm_commit *c);

int bm_commit_done(struct bm_commit *c, struct bm_error *err) BM_MUST_USE; /* frees c on success and on failure */
void bm_commit_drop(struct bm_commit *c);                                  /* NULL is fine */
void bm_commit_remove_all(void);                                           /* async-signal-safe */
/* fsync of the folder in which path stands, for what was made there by other ways, such as folders. No error where it
 * cannot be opened for reading or the file system cannot do it. */
int bm_commit_sync_folder(const char *path, struct bm_error *err) BM_MUST_USE;

#endif
