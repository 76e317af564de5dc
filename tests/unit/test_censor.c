#include "ops/censor.h"
#include "unit.h"

#define MOST 64

static size_t widen(const char *from, bool *v, size_t before, size_t after, size_t min_segment)
{
    size_t n = strlen(from);

    for (size_t i = 0; i < n; i++)
        v[i] = from[i] == 'x';
    return bm_censor_widen(v, n, before, after, min_segment);
}

static bool is_as(const bool *v, const char *want)
{
    for (size_t i = 0; want[i]; i++)
        if (v[i] != (want[i] == 'x'))
            return false;
    return true;
}

static size_t count_x(const char *text)
{
    size_t n = 0;

    for (; *text; text++)
        n += *text == 'x';
    return n;
}

/* From nilearn 0.13.1: where the volumes marked in `from` are np.where(...)[0], what
 * interfaces.fmriprep.load_confounds_scrub.optimize_scrub(index, 40, min_segment) returns. Volumes are numpy draws,
 * default_rng(7).random(40) < 0.1 and < 0.25. */
static void short_pieces_as_nilearn_scrubs(void)
{
    static const struct {
        size_t min_segment;
        const char *from, *want;
    } rows[] = {
        {0, "......x................xx.......x....x..", "......x................xx.......x....x.."},
        {0, "......x.....x..x.......x.x.x.x....x....x", "......x.....x..x.......x.x.x.x....x....x"},
        {1, "..........x.....x.x...............x.....", "..........x.....x.x...............x....."},
        {1, "x....xx.x.................x...........xx", "x....xx.x.................x...........xx"},
        {2, "..............x..........xxx....x...x...", "..............x..........xxx....x...x..."},
        {2, "...x.x...x..x.....x..x...x........xx.x..", "...xxx...x..x.....x..x...x........xxxx.."},
        {3, "................x...x....x..........x...", "................x...x....x..........x..."},
        {3, "..x..x....xx.........x......x.........x.", "xxxxxx....xx.........x......x.........xx"},
        {5, "......x..........x.x....x.......x.......", "......x..........xxxxxxxx.......x......."},
        {5, ".........xxx..x.x...x..xx..........x.x..", ".........xxxxxxxxxxxxxxxx..........xxxxx"},
        {8, "....x.................x.x......x...x...x", "xxxxx.................xxxxxxxxxxxxxxxxxx"},
        {8, ".xx.x.........................x........x", "xxxxx.........................x........x"},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        bool v[MOST];
        CHECK_ROW(widen(rows[i].from, v, 0, 0, rows[i].min_segment) == count_x(rows[i].want), i);
        CHECK_ROW(is_as(v, rows[i].want), i);
    }
}

static void volumes_around(void)
{
    static const struct {
        const char *from;
        size_t before, after, min_segment;
        const char *want;
    } rows[] = {
        {"....x.....", 1, 0, 0, "...xx....."},
        {"....x.....", 0, 1, 0, "....xx...."},
        {"....x.....", 1, 2, 0, "...xxxx..."},
        {"x........x", 2, 2, 0, "xxx....xxx"},
        {"..x.x.....", 1, 1, 0, ".xxxxx...."},
        {"..x.......", 9, 0, 0, "xxx......."},
        {"..x.......", (size_t)-1, (size_t)-1, 0, "xxxxxxxxxx"},
        {"..x....x..", 0, 2, 3, "xxxxxxxxxx"}, /* widened first, then ".." "..": short */
        {"..x.....x.", 0, 1, 3, "xxxx....xx"},
        {"..........", 3, 3, 99, ".........."}, /* nothing is censored */
        {"x.........", 0, 0, (size_t)-1, "xxxxxxxxxx"},
        {"xxx", 1, 1, 1, "xxx"},
        {"", 1, 1, 1, ""},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        bool v[MOST];
        size_t n = widen(rows[i].from, v, rows[i].before, rows[i].after, rows[i].min_segment);
        CHECK_ROW(n == count_x(rows[i].want) && is_as(v, rows[i].want), i);
    }
}

/* Word for word: is any volume from `before` behind to `after` in front of volume i censored? */
static bool near_one(unsigned bits, int n, int i, int before, int after)
{
    for (int j = 0; j < n; j++)
        if ((bits >> j & 1) && i >= j - before && i <= j + after)
            return true;
    return false;
}

static void all_runs_of_ten_volumes(void)
{
    for (unsigned bits = 0; bits < 1024; bits++)
        for (int reach = 0; reach < 16; reach++) {
            bool v[10];
            size_t n = 0;
            for (int i = 0; i < 10; i++)
                v[i] = bits >> i & 1;
            size_t got = bm_censor_widen(v, 10, (size_t)reach % 4, (size_t)reach / 4, 0);
            for (int i = 0; i < 10; i++) {
                bool want = near_one(bits, 10, i, reach % 4, reach / 4);
                CHECK_ROW(v[i] == want, bits);
                n += want;
            }
            CHECK_ROW(got == n, bits);
        }
}

int main(void)
{
    static const struct unit_test all[] = {UNIT(short_pieces_as_nilearn_scrubs), UNIT(volumes_around),
                                           UNIT(all_runs_of_ten_volumes)};

    return unit_main(all, COUNT(all));
}
