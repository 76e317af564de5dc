#include "ops/basis.h"

#define BASE 8
#define ROWS 8
#define INLINE static inline __attribute__((always_inline))

#if BM_PANEL % 8
#error "a panel holds whole vectors"
#endif

#define LANES 2
#define NAMED(x) x##_2
#define TARGET
#include "ops/project_lanes.h"

#if defined(__x86_64__) && defined(__OPTIMIZE__)
#define WIDER 1
#undef LANES
#undef NAMED
#undef TARGET
#define LANES 4
#define NAMED(x) x##_4
#define TARGET __attribute__((target("avx2")))
#include "ops/project_lanes.h"

#undef LANES
#undef NAMED
#undef TARGET
#define LANES 8
#define NAMED(x) x##_8
#define TARGET __attribute__((target("avx512f")))
#include "ops/project_lanes.h"
#endif

void bm_project_out(struct bm_panel *p, const double *q, size_t k, double *along)
{
#ifdef WIDER
    if (__builtin_cpu_supports("avx512f"))
        project_out_8(p, q, k, along);
    else if (__builtin_cpu_supports("avx2"))
        project_out_4(p, q, k, along);
    else
#endif
        project_out_2(p, q, k, along);
}
