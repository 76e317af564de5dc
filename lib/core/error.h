/* Errors: how a library function says what went wrong.
 *
 * Every function that can fail takes a `struct bm_error *` as its last argument
 * and returns 0 (or a count) on success and -1 on failure. On failure it has
 * filled the error with one line in the form
 *
 *     file: what is wrong; what to do
 *
 * without a trailing newline. The library never prints and never exits; a
 * program prints the line behind its own name (bin-src/cli.h).
 *
 * The first failure wins: once an error is set, later bm_fail calls on it keep
 * the text, so that a cleanup that fails too cannot hide the cause.
 * An error belongs to one thread at a time.
 */
#ifndef BM_CORE_ERROR_H
#define BM_CORE_ERROR_H

#if defined(__GNUC__)
#define BM_MUST_USE __attribute__((warn_unused_result))
#define BM_PRINTF(fmt, first) __attribute__((format(printf, fmt, first)))
#else
#define BM_MUST_USE
#define BM_PRINTF(fmt, first)
#endif

enum bm_code {
    BM_OK = 0,
    BM_EDATA,  /* an input is not what it claims, or does not fit the others */
    BM_ESYS,   /* the system refused: no such file, disk full, out of memory */
    BM_EUSAGE, /* the caller asked for something that makes no sense */
    BM_EPIPE   /* the reader of our output went away; nobody is left to tell */
};

struct bm_error {
    enum bm_code code;
    char text[1000]; /* one line, always terminated; control characters are replaced by '?' */
};

/* Files and their names may hold anything; what is printed stays one line, without commands to a terminal: control
 * characters, also those beyond ASCII (U+0080 to U+009F), become '?'. */
void bm_printable(char *s);

/* Sets `err` to (code, text) unless it is set already. Always returns -1. */
int bm_fail(struct bm_error *err, enum bm_code code, const char *fmt, ...) BM_PRINTF(3, 4);

#ifdef __clang_analyzer__ /* it sees one file at a time: so it knows what a failure returns */
#define bm_fail(...) ((bm_fail)(__VA_ARGS__), -1)
#endif

/* Sets `err` from errno: "subject: what: strerror". Adds a remedy for the
 * errors that have one (no space, no such file, permission). Always -1. */
int bm_fail_errno(struct bm_error *err, const char *subject, const char *what);
#ifdef __clang_analyzer__
#define bm_fail_errno(...) ((bm_fail_errno)(__VA_ARGS__), -1)
#endif

#endif
