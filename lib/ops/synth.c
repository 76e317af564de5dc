#include "ops/synth.h"

/* Sizes and sessions as the NSD Data Manual gives them; nsdgeneral as counted by users of the dataset. */
static const struct bm_synth_subject subjects[BM_SYNTH_SUBJECTS] = {
    {{81, 104, 83}, {145, 186, 148}, 40, 21, 38, 15724}, {{82, 106, 84}, {146, 190, 150}, 40, 21, 30, 14278},
    {{81, 106, 82}, {145, 190, 146}, 32, 21, 30, 15226}, {{85, 99, 80}, {152, 177, 143}, 30, 21, 30, 13153},
    {{79, 97, 78}, {141, 173, 139}, 40, 21, 38, 13039},  {{85, 113, 83}, {152, 202, 148}, 32, 21, 30, 17907},
    {{78, 95, 81}, {139, 170, 145}, 40, 21, 30, 12682},  {{80, 103, 78}, {143, 184, 139}, 30, 21, 30, 14386},
};

const struct bm_synth_subject *bm_synth_subject(int subject)
{
    return &subjects[subject - 1];
}

bool bm_synth_has_rest(int subject, int session)
{
    const struct bm_synth_subject *s = bm_synth_subject(subject);

    return session >= s->rest_from && session <= s->rest_to;
}

void bm_synth_dims(int subject, bool fine, double scale, int64_t dims[3])
{
    const struct bm_synth_subject *s = bm_synth_subject(subject);

    for (int i = 0; i < 3; i++)
        dims[i] = (int64_t)((double)(fine ? s->dims1mm[i] : s->dims[i]) * scale + 0.5);
}

void bm_synth_random(struct bm_random *r, uint64_t seed, enum bm_synth_stream what, int subject, int session, int run)
{
    uint64_t stream = (uint64_t)what << 56 | (uint64_t)subject << 40 | (uint64_t)session << 20 | (uint64_t)run;

    bm_random_seed(r, seed, stream);
}

double bm_synth_gauss(struct bm_random *r)
{
    /* 16 bytes: mean 16 * 127.5, variance 16 * (256^2 - 1) / 12 = 87380 */
    static const double scale = 1 / 295.6010825419961;
    int sum = bm_synth_byte_sum(bm_random_next(r));

    sum += bm_synth_byte_sum(bm_random_next(r));
    return (sum - 2040) * scale;
}
