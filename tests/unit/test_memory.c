/* Each allocation of a call fails once, in a call of its own, and then all from there on. The call must say so, leave
 * no file behind and (under the address sanitizer) lose nothing. The linker leads allocations here: make/check.mk.
 */
#include "calls.h"
#include "failing.h"
#include "io/jsonmem.h"

#include <sys/wait.h>

/* HDF5 1.10 does not free all of its own memory after a file could not be finished, nor jansson 2.14 all of a value
 * that it could not finish. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libhdf5\nleak:libjansson";
}

/* ---- tests ---- */

/* Also with all later ones failing, where that may be done many times in one process. */
static void each_fails(const struct call *call)
{
    long made = 0;

    for (int on = 0; on < 1 + !call->once; on++) {
        for (long at = 1;; at++) {
            struct bm_error err = {0};
            fail_from(&allocations, at, on);
            (void)bm_json_lost();
            const int status = call->run(&err);
            made = atomic_load(&allocations.made);
            fail_from(&allocations, 0, false);
            if (made < at) {
                if (status)
                    unit_fail("%s: without a failure: %s", call->name, err.text);
                break;
            }
            if (status == 0 || !strstr(err.text, "memory"))
                unit_fail("%s: allocation %ld%s: status %d, \"%s\"", call->name, at, on ? " and later" : "", status,
                          err.text);
            if (temporaries_left())
                unit_fail("%s: allocation %ld: a temporary file is left", call->name, at);
        }
    }
    if (made < call->least)
        unit_fail("%s: %ld allocations, where %ld are the least", call->name, made, call->least);
}

/* In a process of its own: each time that it fails, jansson keeps some of the reserve. */
static void take(const struct call *call)
{
    int status = -1;

    (void)fflush(NULL);
    const pid_t pid = fork();
    if (pid == 0) {
        each_fails(call);
        if (unit_failed)
            (void)printf("%s\n", unit_message);
        scratch_dir[0] = '\0'; /* not to be removed here */
        exit(unit_failed);
    }
    if (waitpid(pid, &status, 0) != pid || status != 0)
        unit_fail("%s: its process ended with %d", call->name, status);
}

static void all_calls(void)
{
    each_call(take);
}

int main(void)
{
    static const struct unit_test all[] = {UNIT(put_inputs), UNIT(all_calls)};

    return unit_main(all, COUNT(all));
}
