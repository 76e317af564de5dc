/* BM_VECTOR before a function: compile it for wider vector units too and pick at load time.
 *
 * Results do not depend on the choice: the kernels work lane by lane on independent columns, and multiply and add are
 * never contracted (-ffp-contract=off).
 */
#ifndef BM_CORE_VECTOR_H
#define BM_CORE_VECTOR_H

#if defined(__x86_64__) && defined(__gnu_linux__) && defined(__GNUC__) && !defined(__clang__) &&                     \
    defined(__OPTIMIZE__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define BM_VECTOR __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define BM_VECTOR
#endif

#endif
