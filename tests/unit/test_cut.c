/* Inputs that break off at about 200 places each: cut there, or with damaged gzip data from there on. Readers must
 * say so, whichever of their steps the end meets. */
#include "calls.h"

/* HDF5 1.10 does not free all of its own memory after it has met damage. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libhdf5";
}

static const struct input {
    const char *name;
    int (*run)(struct bm_error *err);
    bool text; /* may be cut at a line without becoming wrong */
} inputs[] = {
    {"c.tsv", read_confounds, true},   {"kept.txt", read_confounds, true},
    {"design.tsv", read_design, true}, {"events.tsv", read_events, true},
    {"x_dseg.tsv", read_roi, true},    {"x_dseg.nii", read_roi, false},
    {"y.nii", read_scan, false},       {"run.nii", read_niftiruns, false},
    {"in.npys", read_series, false},   {"in.meta.npy", read_rows, false},
    {"in.json", read_rows, false},     {"fortran.npy", save_and_load, false},
    {"pair.hdr", read_pair, false},    {"pair.img", read_pair, false},
    {"wide.nii", read_wide, false},    {"extended.nii", read_extended, false},
    {"mask.npy", read_mask, false},    {"mask.npy", describe, false},
    {"wide.npy", describe, false},     {"sub-1_bold.json", describe, false},
    {"c.tsv", describe, true},         {"events.tsv", describe, true},
    {"design.tsv", describe, true},    {"x_dseg.tsv", describe, true},
    {"run.nii", describe, false},      {"x_dseg.nii", describe, false},
    {"in.npys", describe, false},      {"in.meta.npy", describe, false},
    {"in.json", describe, false},      {"in.fmri.npy", describe, false},
    {"fortran.npy", describe, false},
};

static size_t step_of(size_t n, size_t at)
{
    return at < 64 ? 1 : 1 + n / 200;
}

static unsigned char packed[1 << 20];

/* data[n] as gzip, then a member of a method that is none. */
static size_t break_off(const unsigned char *data, size_t n)
{
    size_t used = gzip_member(packed, sizeof packed / 2, data, n, 0), more = used;

    used += gzip_member(packed + used, sizeof packed / 2, "more", 4, 0);
    packed[more + 2] = 7;
    return used;
}

static void broken_off(void)
{
    for (size_t i = 0; i < COUNT(inputs); i++) {
        size_t n = 0;
        unsigned char *whole = get_file(scratch(inputs[i].name), &n);

        described = inputs[i].name;
        for (size_t at = 0; at <= n; at += step_of(n, at)) {
            struct bm_error err = {0};

            (void)put_file(inputs[i].name, packed, break_off(whole, at));
            if (inputs[i].run(&err) == 0)
                unit_fail("%s is read though its gzip data are damaged from byte %zu on", inputs[i].name, at);
            else if (err.code != BM_EDATA || !strstr(err.text, inputs[i].name))
                unit_fail("%s, damaged from byte %zu on: \"%s\"", inputs[i].name, at, err.text);
        }
        (void)put_file(inputs[i].name, whole, n);
        free(whole);
    }
}

static void cut_off(void)
{
    for (size_t i = 0; i < COUNT(inputs); i++) {
        size_t n = 0;
        unsigned char *whole = get_file(scratch(inputs[i].name), &n);

        described = inputs[i].name;
        for (size_t at = 0; at < n; at += step_of(n, at)) {
            struct bm_error err = {0};

            (void)put_file(inputs[i].name, whole, at);
            if (inputs[i].run(&err) == 0 ? !inputs[i].text
                                         : !err.text[0] || (!inputs[i].text && err.code != BM_EDATA))
                unit_fail("%s, cut at byte %zu of %zu: \"%s\"", inputs[i].name, at, n, err.text);
        }
        (void)put_file(inputs[i].name, whole, n);
        free(whole);
    }
}

int main(void)
{
    static const struct unit_test all[] = {UNIT(put_inputs), UNIT(broken_off), UNIT(cut_off)};

    return unit_main(all, COUNT(all));
}
