#include "ops/synth.h"

#include <math.h>
#include <string.h>

/* Sizes of the responses in units of a voxel's noise sd, at the peak of one trial. */
#define MEAN_RESPONSE 0.8
#define LATENT_RESPONSE 0.5 /* standard deviation over images */
#define OUTSIDE_GAIN 0.12   /* cortex outside nsdgeneral */

/* Double gamma (t^5 e^-t / 5! - t^15 e^-t / 15! / 6) at every third of a second, scaled to a peak of 10000. */
static const int16_t hrf[] = {0,    1,     32,   175,  528,  1154, 2057, 3186, 4451, 5747, 6973, 8047, 8908, 9524,
                              9885, 10000, 9893, 9596, 9147, 8583, 7939, 7248, 6537, 5827, 5136, 4475, 3854, 3277,
                              2747, 2264,  1827, 1434, 1083, 771,  495,  251,  39,   -146, -306, -442, -556, -651,
                              -727, -787,  -832, -863, -881, -889, -887, -876, -857, -833, -803, -770, -733, -694,
                              -653, -611,  -570, -528, -488, -448, -410, -374, -339, -307, -277, -249, -222, -198,
                              -176, -156,  -138, -122, -107, -94,  -82,  -72,  -62,  -54,  -47,  -40,  -35,  -30,
                              -26,  -22,   -19,  -16,  -14,  -12,  -10,  -8,   -7,   -6,   -5,   -4,   -3};

size_t bm_synth_hrf_rows(size_t slot_rows)
{
    size_t ticks = 12 / slot_rows; /* a slot is 4 s */

    return (sizeof hrf / sizeof hrf[0] - 1) / ticks + 1;
}

double bm_synth_hrf(size_t slot_rows, size_t row)
{
    const size_t ticks = 12 / slot_rows;

    return row < bm_synth_hrf_rows(slot_rows) ? hrf[row * ticks] / 10000.0 : 0;
}

/* An image is its class plus something of its own. */
int bm_synth_latents(uint64_t seed, int32_t id, float latents[BM_SYNTH_LATENTS])
{
    struct bm_random image, class;
    int which;

    bm_synth_random(&image, seed, BM_SYNTH_IMAGE, 0, id, 0);
    which = (int)bm_random_below(&image, BM_SYNTH_CLASSES);
    bm_synth_random(&class, seed, BM_SYNTH_CLASS, 0, which, 0);
    for (int i = 0; i < BM_SYNTH_LATENTS; i++)
        latents[i] = (float)(0.8 * bm_synth_gauss(&class) + 0.6 * bm_synth_gauss(&image));
    return which;
}

static void add_response(const float *height, size_t onset, size_t slot_rows, float *out, size_t volumes)
{
    size_t n = bm_synth_hrf_rows(slot_rows);

    for (size_t row = 0; row < n && onset + row < volumes; row++) {
        float h = (float)bm_synth_hrf(slot_rows, row);

        for (size_t k = 0; k < BM_SYNTH_REGRESSORS; k++)
            out[(onset + row) * BM_SYNTH_REGRESSORS + k] += h * height[k];
    }
}

void bm_synth_regressors(uint64_t seed, const int32_t *design, size_t rows, size_t slot_rows, float *out,
                         size_t volumes)
{
    memset(out, 0, volumes * BM_SYNTH_REGRESSORS * sizeof *out);
    for (size_t i = 0; i < rows; i++) {
        float height[BM_SYNTH_REGRESSORS] = {1};

        if (!design[i])
            continue;
        (void)bm_synth_latents(seed, design[i] - 1, height + 1);
        add_response(height, i, slot_rows, out, volumes);
    }
}

void bm_synth_weights(struct bm_synth_anatomy *a, uint64_t seed, int subject, double gain)
{
    struct bm_random r;

    bm_synth_random(&r, seed, BM_SYNTH_WEIGHTS, subject, 0, 0);
    for (size_t i = 0; i < a->ncortex; i++) {
        double place = a->labels[BM_SYNTH_NSDGENERAL][i] ? 1 : OUTSIDE_GAIN;
        double unit = gain * place * (0.4 + 1.2 * bm_random_unit(&r)) * (double)a->noise_sd[a->cortex[i]];

        a->weights[0][i] = (float)(unit * MEAN_RESPONSE);
        for (int k = 1; k < BM_SYNTH_REGRESSORS; k++)
            a->weights[k][i] = (float)(unit * LATENT_RESPONSE / sqrt(BM_SYNTH_LATENTS) * bm_synth_gauss(&r));
    }
}

void bm_synth_motion(uint64_t seed, int subject, int session, int run, double *out, size_t volumes)
{
    double now[6] = {0};
    struct bm_random r;

    bm_synth_random(&r, seed, BM_SYNTH_MOTION, subject, session, run);
    for (size_t t = 0; t < volumes; t++) {
        for (int i = 0; i < 6; i++) {
            now[i] = 0.98 * now[i] + (i < 3 ? 0.01 : 0.0002) * bm_synth_gauss(&r);
            out[t * 6 + (size_t)i] = now[i];
        }
    }
}
