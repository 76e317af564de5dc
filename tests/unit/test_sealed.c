#include "files.h"
#include "io/sealed.h"
#include "unit.h"

/* A text of our own making under a seal whose checksum zlib made. */
static const char *seal(const char *open)
{
    static char text[400];

    (void)snprintf(text, sizeof text, "%s,\"crc32\":\"%08lx\"}\n", open,
                   crc32(0, (const unsigned char *)open, (unsigned)strlen(open)));
    return text;
}

static json_t *parse(const char *text, struct bm_error *err)
{
    *err = (struct bm_error){0};
    return bm_sealed_parse(text, strlen(text), "a.json", err);
}

static void what_is_sealed_is_read(void)
{
    struct bm_error err = {0};
    char *text = bm_sealed_text(json_pack("{s:i,s:s}", "a", 1, "b", "x"), &err);

    REQUIRE(text, &err);
    CHECK(!strcmp(text, seal("{\"a\":1,\"b\":\"x\"")));
    json_t *object = parse(text, &err);
    REQUIRE(object, &err);
    CHECK(json_integer_value(json_object_get(object, "a")) == 1 && json_object_size(object) == 3);
    json_decref(object);
    text[strlen(text) - 1] = 0; /* the line end may be missing */
    object = parse(text, &err);
    CHECK(object);
    json_decref(object);
    free(text);
}

static void every_changed_byte_shows(void)
{
    struct bm_error err = {0};
    char text[200];

    for (size_t i = 0; i < strlen(seal("{\"a\":1")) - 1; i++) {
        (void)snprintf(text, sizeof text, "%s", seal("{\"a\":1"));
        text[i] ^= 1;
        CHECK_ROW(!parse(text, &err) && err.code == BM_EDATA, i);
        CHECK_ERR_CONTAINS(&err, "checksum");
    }
}

static void seals_that_are_none(void)
{
    static const char *const texts[] = {"",
                                        "\n",
                                        "{}",
                                        "{\"a\":1,\"b\":\"a longer text without any\"}",
                                        "{\"a\":1,\"crc32\":\"1234567G\"}",
                                        "{\"a\":1,\"crc32\":\"0x123456\"}",
                                        "{\"a\":1,\"crc32\":\"12345678\" }",
                                        "{\"a\":1,\"crc32\":\" 1234567\"}"};
    struct bm_error err;

    for (size_t i = 0; i < COUNT(texts); i++) {
        CHECK_ROW(!parse(texts[i], &err), i);
        CHECK_ERR_CONTAINS(&err, "a.json: does not end with a checksum");
    }
}

/* The seal is right, and what it seals is wrong. */
static void sealed_nonsense(void)
{
    struct bm_error err;

    CHECK(!parse(seal("{\"a\":"), &err));
    CHECK_ERR_CONTAINS(&err, "a.json: line 1: ");
    CHECK(!parse(seal("{\"a\":1,\"a\":2"), &err));
    CHECK_ERR_CONTAINS(&err, "duplicate");
    CHECK(!parse(seal("\"a\""), &err) && err.code == BM_EDATA);
}

int main(void)
{
    static const struct unit_test all[] = {UNIT(what_is_sealed_is_read), UNIT(every_changed_byte_shows),
                                           UNIT(seals_that_are_none), UNIT(sealed_nonsense)};

    return unit_main(all, COUNT(all));
}
