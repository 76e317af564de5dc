/* The kernel for every width of vectors that this machine has: the same bits. The kernel is built in here, so that
 * the processor can be told to have less than it has. */
#include <stdbool.h>
#include <string.h>

static const char *widest = "avx512f"; /* the machine's, or less */
static bool supported(const char *name, bool has)
{
    return has && (!strcmp(widest, "avx512f") || !strcmp(widest, name));
}
#define __builtin_cpu_supports(name) supported(name, __builtin_cpu_supports(name))
#include "ops/project.c"

#include "ops/random.h"
#include "unit.h"

#define MAX_T 301
#define MAX_K 40

static double q[MAX_T * MAX_K], along[MAX_K * BM_PANEL], y[3][MAX_T * BM_PANEL];

static void widths_agree(void)
{
    static const size_t heights[] = {1, 7, 8, 9, 64, 301};
    struct bm_random r;

    bm_random_seed(&r, 1, 0);
#ifdef WIDER
    for (size_t i = 0; i < COUNT(heights); i++)
        for (size_t k = 0; k <= MAX_K; k++) {
            struct bm_panel p[3];
            for (size_t c = 0; c < heights[i] * k; c++)
                q[c] = bm_random_unit(&r) - 0.5;
            for (size_t c = 0; c < heights[i] * BM_PANEL; c++)
                y[0][c] = y[1][c] = y[2][c] = bm_random_unit(&r);
            for (size_t n = 0; n < 3; n++)
                p[n] = (struct bm_panel){.rows = heights[i], .n = BM_PANEL, .y = y[n]};
            project_out_2(&p[0], q, k, along);
            if (__builtin_cpu_supports("avx2")) {
                project_out_4(&p[1], q, k, along);
                CHECK_ROW(memcmp(y[0], y[1], sizeof y[0]) == 0, k);
            }
            if (__builtin_cpu_supports("avx512f")) {
                project_out_8(&p[2], q, k, along);
                CHECK_ROW(memcmp(y[0], y[2], sizeof y[0]) == 0, k);
            }
        }
#else
    (void)heights;
    SKIP("one width alone in this build");
#endif
}

/* What is chosen does what the narrowest does. */
static void any_choice_is_right(void)
{
    static const char *const choices[] = {"avx512f", "avx2", "none"};
    struct bm_panel p = {.rows = MAX_T, .n = BM_PANEL, .y = y[0]}, narrow = {.rows = MAX_T, .n = BM_PANEL, .y = y[1]};
    struct bm_random r;

    for (size_t i = 0; i < COUNT(choices); i++) {
        widest = choices[i];
        bm_random_seed(&r, 2, 0);
        for (size_t c = 0; c < (size_t)MAX_T * 7; c++)
            q[c] = bm_random_unit(&r) - 0.5;
        for (size_t c = 0; c < (size_t)MAX_T * BM_PANEL; c++)
            y[0][c] = y[1][c] = bm_random_unit(&r);
        bm_project_out(&p, q, 7, along);
        project_out_2(&narrow, q, 7, along);
        CHECK_ROW(memcmp(y[0], y[1], sizeof y[0]) == 0, i);
    }
    widest = "avx512f";
}

int main(void)
{
    static const struct unit_test all[] = {UNIT(widths_agree), UNIT(any_choice_is_right)};

    return unit_main(all, COUNT(all));
}
