/* Headers and footers of runs as JSON: what is written comes back, and what lies is named by its key. */
#include "io/jsonmem.h"
#include "io/runjson.h"
#include "runs.h"

/* text with the first `from` replaced by `to`; to be freed. NULL: `from` is not there. */
static char *edited(const char *text, const char *from, const char *to)
{
    const char *at = strstr(text, from);
    char *out = at ? must(malloc(strlen(text) + strlen(to) + 1)) : NULL;

    if (out)
        (void)sprintf(out, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
    return out;
}

/* With times and volumes, which are written where they are there. */
static void make_timed(struct whole *w)
{
    make_run(w, &(struct wish){BM_I16, 5, 9, 4, 2, 3, 1});
    w->run.times = must(malloc(w->run.rows * sizeof *w->run.times));
    for (size_t i = 0; i < w->run.rows; i++)
        w->run.times[i] = (int32_t)(2 * i);
    w->run.volumes = 12;
}

static void headers_come_back(void)
{
    for (int timed = 0; timed < 2; timed++) {
        struct bm_error err = {0};
        struct whole w;
        struct bm_run run;

        make_timed(&w);
        if (!timed) {
            free(w.run.times);
            w.run.times = NULL;
            w.run.volumes = 0;
        }
        char *text = bm_runjson_header(&w.run, &err);
        REQUIRE(text && bm_runjson_parse_header(text, strlen(text), "x", &run, &err) == 0, &err);
        CHECK(run.volumes == w.run.volumes && run.rows == 5 && run.cols == 9 && strcmp(run.label, w.run.label) == 0);
        CHECK(timed ? run.times && memcmp(run.times, w.run.times, 20) == 0 : !run.times);
        CHECK((strstr(text, "times") != NULL) == timed && (strstr(text, "volumes") != NULL) == timed);
        bm_run_clear(&run);
        free(text);
        free_run(&w);
    }
}

static void headers_that_lie(void)
{
    static const struct {
        const char *from, *to, *key;
    } rows[] = {
        {"\"boldmill\":\"run\"", "\"boldmill\":\"ruin\"", "boldmill"},
        {"\"boldmill\":\"run\",", "", "boldmill"},
        {"\"schema\":1", "\"schema\":0", "schema"},
        {"\"schema\":1", "\"schema\":\"1\"", "schema"},
        {"\"label\":\"", "\"lable\":\"", "label"},
        {"\"subject\":1", "\"subject\":-1", "subject"},
        {"\"subject\":1", "\"subject\":32768", "subject"},
        {"\"session\":", "\"session\":9999", "session"},
        {"\"run\":4", "\"run\":4.5", "run"},
        {"\"rows\":5", "\"rows\":1099511627777", "rows"},
        {"\"cols\":9", "\"cols\":null", "cols"},
        {"\"tile_cols\":4", "\"tile_cols\":-4", "tile_cols"},
        {"\"dtype\":\"<i2\"", "\"dtype\":\"<i3\"", "dtype"},
        {"\"dtype\":\"<i2\"", "\"dtype\":2", "dtype"},
        {"\"slope\":", "\"slope\":null,\"s\":", "slope"},
        {"\"inter\":", "\"inter\":null,\"s\":", "inter"},
        {"\"tr\":", "\"tr\":null,\"s\":", "tr"},
        {"\"dims\":[2,", "\"dims\":[2.5,", "dims"},
        {"\"dims\":", "\"dims\":[2,3],\"s\":", "dims"},
        {"\"affine\":[[", "\"affine\":[[\"1\"],[", "affine"},
        {"\"absent\":\"zero\"", "\"absent\":\"none\"", "absent"},
        {"\"absent\":\"zero\"", "\"absent\":0", "absent"},
        {"\"history\":2", "\"history\":1025", "history"},
        {"\"history\":2", "\"history\":-1", "history"},
        {"\"categories\":[", "\"categories\":[7,", "categories"},
        {"\"categories\":[", "\"categories\":0,\"s\":[", "categories"},
        {"\"steps\":[{", "\"steps\":[\"a\",{", "steps"},
        {"\"times\":[0,", "\"times\":[", "times"},
        {"\"times\":[0,", "\"times\":0,\"s\":[", "times"},
        {"\"times\":[0,", "\"times\":[-1,", "times"},
        {"\"times\":[0,", "\"times\":[2147483647,", "times"},
        {"\"times\":[0,", "\"times\":[0.5,", "times"},
        {"\"volumes\":12", "\"volumes\":-1", "volumes"},
    };
    struct bm_error err = {0};
    struct whole w;

    make_timed(&w);
    char *good = bm_runjson_header(&w.run, &err);
    REQUIRE(good, &err);
    for (size_t i = 0; i < COUNT(rows); i++) {
        char *text = edited(good, rows[i].from, rows[i].to), says[100];
        struct bm_error e = {0};
        struct bm_run run;

        CHECK_ROW(text && bm_runjson_parse_header(text, strlen(text), "x.npys", &run, &e) == -1, i);
        (void)snprintf(says, sizeof says, "x.npys: the header's \"%s\" is missing or wrong", rows[i].key);
        CHECK_ERR_CONTAINS(&e, says);
        CHECK_ROW(!run.label && !run.times && !run.categories && !run.steps, i);
        free(text);
    }
    free(good);
    free_run(&w);
}

static void texts_that_are_no_records(void)
{
    static const struct {
        const char *text, *kind;
    } rows[] = {{"", ""},
                {"[]", ""},
                {"{}", ""},
                {"{\"boldmill\":7}", ""},
                {"{\"boldmill\":\"end\"}", "end"},
                {"{\"boldmill\":\"run\",\"boldmill\":\"run\"}", ""},
                {"{", ""}};

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct bm_error err = {0};
        struct bm_run run;
        char kind[16] = "?";

        CHECK_ROW(bm_runjson_kind(rows[i].text, strlen(rows[i].text), "x", kind, &err) == 0, i);
        CHECK_ROW(strcmp(kind, rows[i].kind) == 0, i);
        CHECK_ROW(bm_runjson_parse_header(rows[i].text, strlen(rows[i].text), "x", &run, &err) == -1, i);
        CHECK_ERR_CONTAINS(&err, "x: the header's \"boldmill\" is missing or wrong");
    }
    struct bm_error err = {0};
    struct bm_run run;
    const char *newer = "{\"boldmill\":\"run\",\"schema\":2}";
    CHECK(bm_runjson_parse_header(newer, strlen(newer), "x", &run, &err) == -1);
    CHECK_ERR_CONTAINS(&err, "x: written in schema 2 by a newer boldmill; this one knows up to 1");
}

static void footers_that_lie(void)
{
    static char many[4000] = "\"counts\":{\"a0\":0";
    const char *const rows[] = {"\"count\":{}",           "\"counts\":[]",           "\"counts\":{\"a\":-1}",
                                "\"counts\":{\"a\":1.5}", "\"counts\":{\"a\":null}", many};
    char text[5000];

    for (int i = 1; i <= BM_MAX_COUNTS; i++)
        (void)snprintf(many + strlen(many), 20, ",\"a%d\":0", i);
    (void)strncat(many, "}", 2);
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct bm_error err = {0};
        struct bm_run run;

        bm_run_init(&run);
        (void)snprintf(text, sizeof text, "{\"boldmill\":\"run_end\",\"schema\":1,%s}", rows[i]);
        CHECK_ROW(bm_runjson_parse_footer(text, strlen(text), "x", &run, &err) == -1, i);
        CHECK_ERR_CONTAINS(&err, "x: the header's \"counts\" is missing or wrong");
        bm_run_clear(&run);
    }
}

/* Bytes that are no UTF-8, which names of files may hold. */
static void strange_texts(void)
{
    struct bm_error err = {0};
    char *text = bm_runjson_dump(json_pack("[o]", bm_runjson_text("a\xff\xc3\xa4z")), &err);

    CHECK(text && strcmp(text, "[\"a???z\"]") == 0);
    free(text);
    text = bm_runjson_dump(json_pack("[o]", bm_runjson_text("\xc3\xa4")), &err);
    CHECK(text && strcmp(text, "[\"\xc3\xa4\"]") == 0);
    free(text);
}

int main(void)
{
    static const struct unit_test all[] = {
        UNIT(headers_come_back), UNIT(headers_that_lie), UNIT(texts_that_are_no_records),
        UNIT(footers_that_lie),  UNIT(strange_texts),
    };
    return unit_main(all, COUNT(all));
}
