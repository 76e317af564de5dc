#include "ops/synth.h"

#define SIDE BM_SYNTH_PICTURE

static const unsigned char palette[BM_SYNTH_CLASSES][3] = {
    {214, 69, 65},  {65, 131, 215}, {38, 166, 91},  {245, 171, 53},
    {142, 68, 173}, {22, 160, 133}, {149, 113, 80}, {127, 140, 141},
};

struct drawing {
    const unsigned char *colour;
    int cx, cy, radius; /* a disc */
    int a, b, period;   /* stripes across (a, b) */
};

static int scaled(float latent, int middle, int step, int low, int high)
{
    int value = middle + (int)((float)step * latent);

    return value < low ? low : value > high ? high : value;
}

static struct drawing plan_drawing(uint64_t seed, int32_t id)
{
    float z[BM_SYNTH_LATENTS];
    int class = bm_synth_latents(seed, id, z);

    return (struct drawing){
        .colour = palette[class],
        .cx = scaled(z[0], SIDE / 2, 70, 40, SIDE - 40),
        .cy = scaled(z[1], SIDE / 2, 70, 40, SIDE - 40),
        .radius = scaled(z[2], 70, 25, 15, 140),
        .a = scaled(z[3], 0, 2, -4, 4),
        .b = scaled(z[4], 2, 2, -4, 4),
        .period = scaled(z[5], 60, 20, 20, 120),
    };
}

/* Brightness 0..256 of a pixel: stripes that get lighter downwards. */
static int shade(const struct drawing *d, int x, int y)
{
    int wave = (d->a * x + d->b * y + 8 * SIDE) % d->period;

    return (wave * 2 < d->period ? 96 : 144) + 96 * y / SIDE;
}

void bm_synth_picture(uint64_t seed, int32_t id, unsigned char *pixels)
{
    struct drawing d = plan_drawing(seed, id);

    for (int y = 0; y < SIDE; y++) {
        for (int x = 0; x < SIDE; x++) {
            int dx = x - d.cx, dy = y - d.cy;
            bool disc = dx * dx + dy * dy < d.radius * d.radius;
            int light = shade(&d, x, y);

            for (int c = 0; c < 3; c++)
                *pixels++ = (unsigned char)(disc ? 255 - d.colour[c] / 3 : d.colour[c] * light / 256);
        }
    }
}
