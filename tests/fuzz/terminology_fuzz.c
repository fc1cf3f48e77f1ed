/* Any JSON array as what somebody uploaded: the first element is a value set that is expanded, the others are found by
 * their URLs. Each code that the expansion gives is a member by the other way of asking; hierarchies end. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "fhir/terminology.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct uploads {
    const struct json *list;
    const struct terminology_run *run;
    const struct json *value_set;
    int left; /* codes that are asked about again */
};

static bool find(void *data, struct arena *arena, struct str type, struct str url,
                 const struct json **resource, struct error *error)
{
    const struct uploads *uploads = data;
    (void)error;
    (void)arena;
    JSON_EACH(item, uploads->list) {
        if (json_equals_text(JSON_GET(item, "resourceType"), type) &&
            json_equals_text(JSON_GET(item, "url"), url)) {
            *resource = item;
        }
    }
    return true;
}

static bool take(void *data, const struct terminology_code *code)
{
    struct uploads *uploads = data;
    struct error error = { 0 };
    bool known = false;
    bool is_member = false;
    const struct terminology_code plain = { .system = code->system, .code = code->code };
    if (terminology_has(uploads->run, uploads->value_set, &plain, &known, &is_member, &error)) {
        assert(is_member || !known || code->code.at == NULL);
    }
    return uploads->left-- > 0;
}

static void walk(const struct terminology_run *run, const struct json *code_system)
{
    const struct json *concepts = JSON_GET(code_system, "concept");
    int left = 20;
    JSON_EACH(a, concepts) {
        JSON_EACH(b, concepts) {
            struct str above = JSON_TEXT(run->arena, a, "code");
            struct str below = JSON_TEXT(run->arena, b, "code");
            if (left-- > 0 && above.at != NULL && below.at != NULL) {
                bool with = terminology_is_below(run, code_system, above, below, true);
                bool without = terminology_is_below(run, code_system, above, below, false);
                assert(with == without || str_equal(above, below));
            }
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena = { .bytes_max = 64u << 20 };
    struct error error = { 0 };
    struct json *list = NULL;
    struct terminology *terminology = NULL;
    if (json_read(&arena, (struct str){ (const char *)data, size }, &list, &error) &&
        list->kind == JSON_ARRAY && list->first != NULL &&
        terminology_create(STR_NONE, &terminology, &error)) {
        int64_t regex_us = 0;
        struct uploads uploads = { .list = list, .value_set = list->first, .left = 50 };
        const struct terminology_source source = { .data = &uploads, .find = find };
        struct terminology_memo memo = { .found = table_in(&arena), .indexes = table_in(&arena) };
        const struct terminology_run run = { .terminology = terminology,
                                             .source = &source,
                                             .arena = &arena,
                                             .regex_us = &regex_us,
                                             .memo = &memo };
        uploads.run = &run;
        if (!terminology_expand(&run, list->first, take, &uploads, &error)) {
            assert(error.kind != ERROR_NONE && error.kind != ERROR_INTERNAL);
        }
        JSON_EACH(item, list) {
            walk(&run, item);
        }
    }
    terminology_destroy(terminology);
    arena_deinit(&arena);
    return 0;
}
