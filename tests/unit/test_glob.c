#include "core/glob.h"
#include "unit.h"

/* What Python's fnmatch.fnmatchcase says, save where a backslash or a set of one range upside down is concerned. */
static void as_python_does(void)
{
    static const struct {
        const char *pattern, *name;
        bool fits;
    } rows[] = {
        {"", "", true},
        {"", "a", false},
        {"trans_x", "trans_x", true},
        {"trans_x", "trans_xy", false},
        {"trans_xy", "trans_x", false},
        {"*", "", true},
        {"*", "anything", true},
        {"**", "a", true},
        {"trans_*", "trans_", true},
        {"trans_*", "rot_x", false},
        {"*_x", "trans_x_power2", false},
        {"*_x*", "trans_x_power2", true},
        {"a?**", "abc", true},
        {"*??", "a", false},
        {"?", "", false},
        {"a*b*c", "axxbxbxc", true},
        {"a*b*c", "axxbxbx", false},
        {"*ab", "aab", true},
        {"*aab", "aaab", true},
        {"a_comp_cor_0[0-4]", "a_comp_cor_04", true},
        {"a_comp_cor_0[0-4]", "a_comp_cor_05", false},
        {"[", "[", true},
        {"[", "a", false},
        {"a[", "a[", true},
        {"[abc]x", "bx", true},
        {"[a-cx-z]", "y", true},
        {"[a-cx-z]", "d", false},
        {"[!0-4]", "5", true},
        {"[!0-4]", "4", false},
        {"[]a]", "]", true},
        {"[!]a]", "]", false},
        {"[a-]", "-", true},
        {"[-a]", "-", true},
        {"[a", "[a", true},
        {"[", "[", true},
        {"[", "a", false},
        {"[]", "[]", true},
        {"[!]", "[!]", true},
        {"?[!b]", "ac", true},
        {"*[0-9]", "cosine10", true},
        {"*[0-9]", "cosine", false},
    };

    for (size_t i = 0; i < COUNT(rows); i++)
        CHECK_ROW(bm_glob(rows[i].pattern, strlen(rows[i].pattern), rows[i].name) == rows[i].fits, i);
}

/* A matcher that tries every star at every place would not come back from this. */
static void many_stars_take_no_longer(void)
{
    static char name[5001];
    static const char pattern[] = "*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b";

    memset(name, 'a', sizeof name - 1);
    CHECK(!bm_glob(pattern, sizeof pattern - 1, name));
    name[4999] = 'b';
    CHECK(bm_glob(pattern, sizeof pattern - 1, name));
}

static void what_is_a_glob(void)
{
    CHECK(!bm_glob_is("trans_x", 7) && !bm_glob_is("", 0) && !bm_glob_is("x*", 1));
    CHECK(bm_glob_is("x*", 2) && bm_glob_is("?", 1) && bm_glob_is("[ab]", 4));
}

int main(void)
{
    static const struct unit_test all[] = {UNIT(as_python_does), UNIT(many_stars_take_no_longer),
                                           UNIT(what_is_a_glob)};

    return unit_main(all, COUNT(all));
}
