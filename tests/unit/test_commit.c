#include "files.h"
#include "io/bytes.h"
#include "io/commit.h"
#include "io/inputs.h"
#include "unit.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

/* Number of files in the scratch directory, temporaries and all. */
static int files_left(void)
{
    DIR *d = opendir(scratch_dir);
    int n = -2; /* . and .. */

    while (d && readdir(d))
        n++;
    if (d)
        (void)closedir(d);
    return n;
}

static void empty_scratch(void)
{
    (void)scratch("");
    remove_scratch();
    (void)mkdir(scratch_dir, 0777);
}

/* Does the file hold exactly this text? */
static bool holds(const char *path, const char *text)
{
    size_t n = 0;
    unsigned char *p = get_file(path, &n);
    bool same = p && n == strlen(text) && memcmp(p, text, n) == 0;

    free(p);
    return same;
}

static void nothing_stands_there_before_done(void)
{
    struct bm_error err = {0};
    const char *path = scratch("a");
    struct bm_commit *c;
    struct stat st;

    empty_scratch();
    c = bm_commit_open(path, &err);
    REQUIRE(c && bm_commit_write(c, "hello", 5, &err) == 0, &err);
    CHECK(access(path, F_OK) != 0 && access(bm_commit_temp(c), F_OK) == 0 && files_left() == 1);
    CHECK(strcmp(bm_commit_name(c), path) == 0 && !bm_commit_direct(c));
    CHECK(strncmp(bm_commit_temp(c), scratch_dir, strlen(scratch_dir)) == 0 && strstr(bm_commit_temp(c), "/.a."));
    REQUIRE(bm_commit_done(c, &err) == 0, &err);
    CHECK(holds(path, "hello") && files_left() == 1);
    mode_t mask = umask(0);
    (void)umask(mask);
    CHECK(stat(path, &st) == 0 && (st.st_mode & 0777) == (0666 & ~mask));
}

static void the_old_file_stays_until_done(void)
{
    struct bm_error err = {0};
    const char *path = put_text("b", "old");
    struct bm_commit *c = bm_commit_open(path, &err);

    REQUIRE(c && bm_commit_write(c, "new", 3, &err) == 0, &err);
    CHECK(holds(path, "old"));
    REQUIRE(bm_commit_done(c, &err) == 0, &err);
    CHECK(holds(path, "new"));
}

static void dropping_leaves_nothing(void)
{
    struct bm_error err = {0};
    const char *path;

    empty_scratch();
    path = put_text("c", "old");
    for (int i = 0; i < 200; i++) { /* more often than there are slots */
        struct bm_commit *c = bm_commit_open(path, &err);
        REQUIRE(c && bm_commit_write(c, "new", 3, &err) == 0, &err);
        bm_commit_drop(c);
    }
    CHECK(holds(path, "old") && files_left() == 1);
    bm_commit_drop(NULL);
}

static void the_last_of_two_commits_stays(void)
{
    struct bm_error err = {0};
    const char *path = scratch("d");
    struct bm_commit *a = bm_commit_open(path, &err), *b = bm_commit_open(path, &err);

    REQUIRE(a && b && bm_commit_write(a, "first", 5, &err) == 0 && bm_commit_write(b, "second", 6, &err) == 0, &err);
    CHECK(strcmp(bm_commit_temp(a), bm_commit_temp(b)) != 0);
    REQUIRE(bm_commit_done(b, &err) == 0, &err);
    CHECK(holds(path, "second"));
    REQUIRE(bm_commit_done(a, &err) == 0, &err);
    CHECK(holds(path, "first"));
}

/* Made in one folder, and at its place only when done; either folder is left as it should be. */
static void a_scratch_folder_holds_it_until_done(void)
{
    struct bm_error err = {0}, none = {0};
    char folder[1200], path[1200], *large = calloc(1, 9 << 20);
    struct bm_commit *c;
    size_t n = 0;

    empty_scratch();
    (void)snprintf(folder, sizeof folder, "%s", scratch("near"));
    (void)snprintf(path, sizeof path, "%s", scratch("far"));
    REQUIRE(mkdir(folder, 0777) == 0 && large, &err);
    memset(large + (5 << 20), 7, 4 << 20);
    bm_commit_scratch(folder);
    c = bm_commit_open(path, &err);
    REQUIRE(c && bm_commit_write(c, "old", 3, &err) == 0, &err);
    CHECK(!strncmp(bm_commit_temp(c), folder, strlen(folder)) && strstr(bm_commit_temp(c), "/.far.") &&
          files_left() == 1);
    bm_commit_drop(c);
    CHECK(rmdir(folder) == 0 && files_left() == 0);
    CHECK(!bm_commit_open(path, &none) && strstr(none.text, "near: cannot be created"));
    REQUIRE(mkdir(folder, 0777) == 0, &err);
    c = bm_commit_open(path, &err);
    REQUIRE(c && bm_commit_write(c, large, 9 << 20, &err) == 0 && bm_commit_done(c, &err) == 0, &err);
    unsigned char *there = get_file(path, &n);
    CHECK(there && n == 9 << 20 && !memcmp(there, large, n) && unlink(path) == 0);
    c = bm_commit_open(path, &err);
    REQUIRE(c && bm_commit_write(c, large, 9 << 20, &err) == 0, &err);
    CHECK(pwrite(bm_commit_fd(c), "!", 1, 7 << 20) == 1 &&
          bm_commit_done(c, &err) == -1); /* it is not brought home */
    CHECK_ERR_CONTAINS(&err, "is not what stands on the disk");
    CHECK(rmdir(folder) == 0 && files_left() == 0);
    bm_commit_scratch(NULL);
    free(there);
    free(large);
}

/* Nobody can guess the temporary's name and put a link there, and another process, on another machine, with our
 * number makes another one. */
static void the_temporary_name_is_random(void)
{
    struct bm_error err = {0};
    const char *path = scratch("r");
    char first[1200];

    struct bm_commit *c = bm_commit_open(path, &err);
    REQUIRE(c, &err);
    (void)snprintf(first, sizeof first, "%s", strrchr(bm_commit_temp(c), '-'));
    bm_commit_drop(c);
    c = bm_commit_open(path, &err);
    REQUIRE(c, &err);
    CHECK(strcmp(strrchr(bm_commit_temp(c), '-'), first) != 0);
    CHECK(strspn(first + 1, "0123456789abcdef") == 16 && !strcmp(first + 17, ".tmp"));
    bm_commit_drop(c);
}

enum change { NOTHING, OTHER_FILE, OTHER_DEVICE, SHORTER, LATER, A_LITTLE_LATER, LOOP, GONE, NO_FOLDER, CHANGES };

/* Changes the input in dir, or takes it away. false: not here. */
static bool change_input(enum change how, const char *input)
{
    struct timespec times[2] = {{1000, 500}, {how == LATER ? 1001 : 1000, how == A_LITTLE_LATER ? 501 : 500}};
    struct stat here, there;

    switch (how) {
    case NOTHING:
    case LATER:
    case A_LITTLE_LATER:
        return utimensat(AT_FDCWD, input, times, 0) == 0;
    case SHORTER:
        return truncate(input, 2) == 0;
    case OTHER_FILE:
        return rename(put_text("other", "two"), input) == 0;
    case OTHER_DEVICE: /* behind a link */
        return stat(input, &here) == 0 && stat("/proc/self/stat", &there) == 0 && here.st_dev != there.st_dev &&
               unlink(input) == 0 && symlink("/proc/self/stat", input) == 0;
    case LOOP:
        return unlink(input) == 0 && symlink(input, input) == 0;
    default:
        return unlink(input) == 0 &&
               (how == GONE || (rmdir(scratch("dir")) == 0 && access(put_text("dir", ""), F_OK) == 0));
    }
}

/* An input that is replaced or written to between its opening and the end keeps the output from its name. */
static void inputs_that_change(void)
{
    const struct timespec times[2] = {{1000, 500}, {1000, 500}};
    struct stat st;

    empty_scratch();
    bm_inputs_watch();
    for (enum change k = NOTHING; k < CHANGES; k++) {
        const char *input, *path = scratch("made");
        struct bm_error err = {0};
        struct bm_commit *c = bm_commit_open(path, &err);
        char name[32]; /* another one each time: those before are still looked at */

        (void)mkdir(scratch("dir"), 0777);
        (void)snprintf(name, sizeof name, "dir/input%d", (int)k);
        input = put_text(name, "one");
        CHECK(utimensat(AT_FDCWD, input, times, 0) == 0 && stat(input, &st) == 0);
        CHECK(bm_inputs_note(input, &st, &err) == 0 && bm_inputs_check(&err) == 0);
        const bool changed = change_input(k, input), kept = !changed || k == NOTHING || k == GONE || k == NO_FOLDER;
        CHECK_ROW(changed || k == OTHER_DEVICE, k); /* where /proc is */
        CHECK_ROW(bm_commit_done(c, &err) == (kept ? 0 : -1), k);
        CHECK_ROW((access(path, F_OK) == 0) == kept, k);
        if (!kept)
            CHECK_ERR_CONTAINS(&err, k == LOOP ? "cannot be looked at" : "was replaced or written to");
        (void)unlink(input);
        (void)unlink(path);
    }
}

static void as_many_inputs_as_there_are(void)
{
    struct bm_error err = {0};
    char name[32];
    struct stat st;

    empty_scratch();
    for (int i = 0; i < 200; i++) {
        (void)snprintf(name, sizeof name, "input%d", i);
        const char *input = put_text(name, "one");
        CHECK(stat(input, &st) == 0 && bm_inputs_note(input, &st, &err) == 0);
    }
    CHECK(bm_inputs_check(&err) == 0 && truncate(scratch("input0"), 1) == 0 && bm_inputs_check(&err) == -1);
    CHECK_ERR_CONTAINS(&err, "input0: was replaced");
    CHECK(unlink(scratch("input0")) == 0);
    err = (struct bm_error){0};
    CHECK(truncate(scratch("input199"), 1) == 0 && bm_inputs_check(&err) == -1);
    CHECK_ERR_CONTAINS(&err, "input199: was replaced");
    empty_scratch();
}

/* What stands under the temporary's name must be what was written, all of it and no more. */
static void temporaries_that_change(void)
{
    for (int k = 0; k < 6; k++) {
        struct bm_error err = {0};
        const char *path;

        empty_scratch();
        path = scratch("t");
        struct bm_commit *c = bm_commit_open(path, &err);
        REQUIRE(c && bm_commit_reserve(c, 2, &err) == 0 && bm_commit_write(c, "llo", 3, &err) == 0 &&
                    bm_commit_fill(c, "he", 2, &err) == 0,
                &err);
        if (k == 0)
            CHECK(rename(put_text("other", "hello"), bm_commit_temp(c)) == 0);
        else if (k < 3)
            CHECK(truncate(bm_commit_temp(c), k == 1 ? 4 : 6) == 0);
        else if (k < 5)
            CHECK(pwrite(bm_commit_fd(c), "!", 1, k == 3 ? 1 : 4) == 1); /* the start, and what is behind it */
        else
            CHECK(unlink(bm_commit_temp(c)) == 0);
        CHECK_ROW(bm_commit_done(c, &err) == -1 && err.code == BM_ESYS && files_left() == 0, k);
        CHECK_ERR_CONTAINS(&err, k == 5 ? "cannot be looked at after writing" : "is not what stands on the disk");
    }
}

/* Neither one that is known when the output is opened, nor one that comes to stand there later. */
static void inputs_are_no_outputs(void)
{
    struct bm_error err = {0}, late = {0};
    struct stat st;
    char in[1200];

    empty_scratch();
    (void)snprintf(in, sizeof in, "%s", put_text("in", "kept"));
    bm_inputs_watch();
    REQUIRE(stat(in, &st) == 0 && bm_inputs_note(in, &st, &err) == 0, &err);
    CHECK(!bm_commit_open(in, &err) && err.code == BM_EUSAGE);
    CHECK_ERR_CONTAINS(&err, "in: is an input, too");
    struct bm_commit *c = bm_commit_open(scratch("out"), &late);
    REQUIRE(c && bm_commit_write(c, "x", 1, &late) == 0, &late);
    CHECK(link(in, scratch("out")) == 0 && bm_commit_done(c, &late) == -1 && late.code == BM_EUSAGE);
    CHECK_ERR_CONTAINS(&late, "out: is an input, too");
    CHECK(holds(in, "kept") && files_left() == 2);
    empty_scratch();
}

static void names_in_the_working_directory(void)
{
    struct bm_error err = {0};
    char old[1000];

    empty_scratch();
    CHECK(getcwd(old, sizeof old) && chdir(scratch_dir) == 0);
    struct bm_commit *c = bm_commit_open("plain", &err);
    if (c && bm_commit_write(c, "x", 1, &err) == 0 && bm_commit_done(c, &err) == 0)
        CHECK(holds("plain", "x") && files_left() == 1);
    else
        unit_fail("%s", err.text);
    CHECK(chdir(old) == 0);
}

static void long_names(void)
{
    char name[256];
    struct bm_error err = {0};

    for (size_t n = 180; n <= 255; n += 15) {
        memset(name, 'n', n);
        name[n] = '\0';
        const char *path = scratch(name);
        struct bm_commit *c = bm_commit_open(path, &err);
        REQUIRE(c && bm_commit_write(c, "x", 1, &err) == 0 && bm_commit_done(c, &err) == 0, &err);
        CHECK_ROW(holds(path, "x"), n);
    }
}

static void targets_that_cannot_be(void)
{
    struct bm_error err = {0};

    empty_scratch();
    CHECK(!bm_commit_open(scratch("no/such/dir"), &err) && err.code == BM_ESYS);
    CHECK_ERR_CONTAINS(&err, "no/such/dir: ");
    CHECK_ERR_CONTAINS(&err, "its folder is not there; make the folder");
    err = (struct bm_error){0};
    CHECK(!bm_commit_open(scratch_dir, &err) && err.code == BM_ESYS);
    CHECK_ERR_CONTAINS(&err, "is a directory");
    err = (struct bm_error){0};
    put_text("file", "");
    CHECK(!bm_commit_open(scratch("file/below"), &err) && err.code == BM_ESYS);
    err = (struct bm_error){0};
    CHECK(!bm_commit_open("", &err) && err.code == BM_EUSAGE);
    CHECK(files_left() == 1);
}

static void a_directory_that_comes_meanwhile(void)
{
    struct bm_error err = {0};
    const char *path;

    empty_scratch();
    path = scratch("e");
    struct bm_commit *c = bm_commit_open(path, &err);
    REQUIRE(c, &err);
    CHECK(mkdir(path, 0777) == 0);
    CHECK(bm_commit_done(c, &err) == -1 && err.code == BM_ESYS);
    CHECK_ERR_CONTAINS(&err, "cannot be put in place");
    CHECK(rmdir(path) == 0 && files_left() == 0);
}

static void read_only_directories_are_refused(void)
{
    struct bm_error err = {0};

    if (geteuid() == 0)
        SKIP("root may write anywhere");
    empty_scratch();
    (void)chmod(scratch_dir, 0555);
    CHECK(!bm_commit_open(scratch("f"), &err) && err.code == BM_ESYS);
    CHECK_ERR_CONTAINS(&err, "check the permissions");
    (void)chmod(scratch_dir, 0755);
}

/* A target that cannot be looked at may be anything: it is left alone. */
static void targets_that_cannot_be_looked_at(void)
{
    struct bm_error err = {0};
    const char *path;

    empty_scratch();
    path = scratch("loop");
    CHECK(symlink(path, path) == 0);
    CHECK(!bm_commit_open(path, &err) && err.code == BM_ESYS && files_left() == 1);
    CHECK_ERR_CONTAINS(&err, "/loop: cannot be looked at");
}

/* Neither a file nor something that can be opened for writing. */
static void sockets_are_refused(void)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    struct bm_error err = {0};
    const int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    empty_scratch();
    (void)snprintf(name.sun_path, sizeof name.sun_path, "%s", scratch("s"));
    CHECK(fd >= 0 && bind(fd, (const struct sockaddr *)(const void *)&name, sizeof name) == 0);
    CHECK(!bm_commit_open(name.sun_path, &err) && err.code == BM_ESYS && files_left() == 1);
    CHECK_ERR_CONTAINS(&err, "/s: cannot be opened for writing");
    (void)close(fd);
}

struct fifo_end {
    const char *path;
    char got[100];
    size_t n;
};

static void *read_fifo(void *arg)
{
    struct fifo_end *end = arg;
    int fd = open(end->path, O_RDONLY | O_CLOEXEC);
    ssize_t k = 1;

    while (fd >= 0 && k > 0) {
        k = read(fd, end->got + end->n, sizeof end->got - end->n);
        end->n += k > 0 ? (size_t)k : 0;
    }
    if (fd >= 0)
        (void)close(fd);
    return NULL;
}

static void pipes_are_written_directly(void)
{
    struct bm_error err = {0};
    struct fifo_end end = {.n = 0};
    pthread_t t;

    empty_scratch();
    end.path = scratch("fifo");
    CHECK(mkfifo(end.path, 0666) == 0 && pthread_create(&t, NULL, read_fifo, &end) == 0);
    struct bm_commit *c = bm_commit_open(end.path, &err);
    REQUIRE(c, &err);
    CHECK(bm_commit_direct(c) && bm_commit_write(c, "through", 7, &err) == 0);
    REQUIRE(bm_commit_done(c, &err) == 0, &err);
    (void)pthread_join(t, NULL);
    CHECK(end.n == 7 && memcmp(end.got, "through", 7) == 0);
    CHECK(files_left() == 1); /* the pipe itself is neither replaced nor removed */
}

static void full_devices_are_told(void)
{
    struct bm_error err = {0};

    if (access("/dev/full", W_OK))
        SKIP("no /dev/full");
    struct bm_commit *c = bm_commit_open("/dev/full", &err);
    REQUIRE(c && bm_commit_direct(c), &err);
    CHECK(bm_commit_write(c, "x", 1, &err) == -1 && err.code == BM_ESYS);
    CHECK_ERR_CONTAINS(&err, "/dev/full: cannot be written: No space left");
    CHECK_ERR_CONTAINS(&err, "make room");
    bm_commit_drop(c);
    CHECK(access("/dev/full", F_OK) == 0);
}

static void null_takes_all(void)
{
    struct bm_error err = {0};
    struct bm_commit *c = bm_commit_open("/dev/null", &err);

    REQUIRE(c && bm_commit_write(c, "x", 1, &err) == 0 && bm_commit_done(c, &err) == 0, &err);
    CHECK(access("/dev/null", F_OK) == 0);
}

static void a_start_that_is_filled_in_later(void)
{
    struct bm_error err = {0};
    static char block[3000000], *back;
    const char *path = scratch("g");
    struct bm_commit *c = bm_commit_open(path, &err);
    size_t n = 0;

    memset(block, 'b', sizeof block);
    REQUIRE(c && bm_commit_reserve(c, 10, &err) == 0 && bm_commit_write(c, block, sizeof block, &err) == 0, &err);
    REQUIRE(bm_commit_fill(c, "0123456789", 10, &err) == 0, &err);
    REQUIRE(bm_commit_write(c, "cc", 2, &err) == 0, &err); /* goes on where it was */
    bm_commit_flush_hint(c);
    CHECK(fcntl(bm_commit_fd(c), F_GETFD) & FD_CLOEXEC);
    CHECK(pread(bm_commit_fd(c), block, 2, 0) == 2 && memcmp(block, "01", 2) == 0); /* may be read, too */
    block[0] = block[1] = 'b';
    const uint32_t crc = bm_commit_crc32(c);
    REQUIRE(bm_commit_done(c, &err) == 0, &err);
    back = (char *)get_file(path, &n);
    CHECK(back && n == sizeof block + 12 && memcmp(back, "0123456789", 10) == 0);
    CHECK(back && memcmp(back + 10, block, sizeof block) == 0 && memcmp(back + 10 + sizeof block, "cc", 2) == 0);
    CHECK(back && crc == bm_crc32(0, back, n));
    free(back);
}

static void remove_all_removes_all(void)
{
    struct bm_error err = {0};
    struct bm_commit *c[64], *done;
    char path[32];

    empty_scratch();
    done = bm_commit_open(scratch("done"), &err);
    REQUIRE(done && bm_commit_done(done, &err) == 0, &err);
    for (size_t i = 0; i < COUNT(c); i++) {
        (void)snprintf(path, sizeof path, "r%zu", i);
        c[i] = bm_commit_open(scratch(path), &err);
        REQUIRE(c[i], &err);
    }
    CHECK(files_left() == 65 && !bm_commit_open(scratch("more"), &err));
    CHECK_ERR_CONTAINS(&err, "too many outputs");
    bm_commit_drop(c[5]);
    bm_commit_remove_all();
    bm_commit_remove_all();
    CHECK(files_left() == 1);
    err = (struct bm_error){0};
    CHECK(bm_commit_done(c[6], &err) == -1 && files_left() == 1); /* what was removed is not put in place */
    for (size_t i = 0; i < COUNT(c); i++)
        if (i != 5 && i != 6)
            bm_commit_drop(c[i]);
    CHECK(files_left() == 1);
    err = (struct bm_error){0};
    CHECK(!bm_commit_open(scratch("late"), &err) && files_left() == 1);
    CHECK_ERR_CONTAINS(&err, "ending");
}

/* In a child, whose standard output is closed, full or fine. */
static int child_writes(const char *to)
{
    pid_t pid = fork();
    int status = -1;

    if (pid == 0) {
        struct bm_error err = {0};
        (void)close(STDOUT_FILENO);
        if (to && open(to, O_WRONLY | O_CREAT | O_TRUNC, 0666) != STDOUT_FILENO)
            _exit(9);
        struct bm_commit *c = bm_commit_open("-", &err);
        if (!c)
            _exit(1);
        if (!bm_commit_direct(c) || strcmp(bm_commit_name(c), "standard output") != 0)
            _exit(8);
        if (bm_commit_write(c, "out", 3, &err))
            _exit(2);
        _exit(bm_commit_done(c, &err) ? 3 : 0);
    }
    return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void standard_output(void)
{
    const char *path = scratch("out");

    CHECK(child_writes(path) == 0 && holds(path, "out"));
    CHECK(child_writes(NULL) == 1);
    CHECK(access("/dev/full", W_OK) != 0 || child_writes("/dev/full") == 2);
}

int main(void)
{
    static const struct unit_test all[] = {
        UNIT(nothing_stands_there_before_done),
        UNIT(the_old_file_stays_until_done),
        UNIT(dropping_leaves_nothing),
        UNIT(the_last_of_two_commits_stays),
        UNIT(a_scratch_folder_holds_it_until_done),
        UNIT(the_temporary_name_is_random),
        UNIT(names_in_the_working_directory),
        UNIT(long_names),
        UNIT(targets_that_cannot_be),
        UNIT(a_directory_that_comes_meanwhile),
        UNIT(read_only_directories_are_refused),
        UNIT(pipes_are_written_directly),
        UNIT(full_devices_are_told),
        UNIT(null_takes_all),
        UNIT(a_start_that_is_filled_in_later),
        UNIT(standard_output),
        UNIT(temporaries_that_change),
        UNIT(targets_that_cannot_be_looked_at),
        UNIT(sockets_are_refused),
        UNIT(inputs_are_no_outputs),
        UNIT(inputs_that_change),
        UNIT(as_many_inputs_as_there_are),
        UNIT(remove_all_removes_all), /* the last: nothing can be opened after it */
    };
    return unit_main(all, COUNT(all));
}
