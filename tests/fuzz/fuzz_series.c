/* Series files (HDF5). The library opens them itself and by their real names, so they lie in a file system in memory.
 */
#include "drain.h"
#include "io/seriesfile.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char path[64];

static void remove_file(void)
{
    (void)unlink(path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int fd = -1;
    struct bm_error err = {0};
    struct bm_source *src;

    if (fd < 0) {
        (void)snprintf(path, sizeof path, "/dev/shm/boldmill-fuzz-%d.h5", (int)getpid());
        fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        (void)atexit(remove_file);
    }
    if (ftruncate(fd, 0) || pwrite(fd, data, size, 0) != (ssize_t)size)
        return 0;
    src = bm_seriesfile_source(path, &err);
    if (src)
        drain(src);
    return 0;
}
