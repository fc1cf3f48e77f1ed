/* Any JSON as a ViewDefinition: it compiles or is refused as ill formed, it gives rows for a patient and a
 * questionnaire or is refused for what it asks, each row has every column, and a second evaluation gives as many rows. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "view/view.h"

static const char *const resources[] = {
    "{\"resourceType\":\"Patient\",\"id\":\"p1\",\"active\":true,\"name\":[{\"use\":\"official\",\"family\":"
    "\"张\","
    "\"given\":[\"三\",\"四\"]},{\"text\":\"b\"}],\"birthDate\":\"1974-12\",\"deceasedDateTime\":"
    "\"2020-01-02T03:04:05+08:00\",\"multipleBirthInteger\":2,\"managingOrganization\":{\"reference\":"
    "\"Organization/1\"}}",
    "{\"resourceType\":\"QuestionnaireResponse\",\"id\":\"q1\",\"item\":[{\"linkId\":\"1\",\"item\":[{"
    "\"linkId\":"
    "\"1.1\",\"answer\":[{\"valueDecimal\":1.50,\"item\":[{\"linkId\":\"1.1.1\"}]}]}]},{\"linkId\":\"2\"}]}",
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void evaluate(const struct view *view, const char *text)
{
    struct arena arena = { .bytes_max = 64u << 20 };
    struct error error = { 0 };
    struct json *resource = NULL;
    bool ok = json_read(&arena, str_from_cstr(text), &resource, &error);
    assert(ok);
    const struct view_input input = { .resource = resource, .now_ms = 1600000000000 };
    struct view_rows rows = { 0 };
    struct view_rows again = { 0 };
    size_t columns = 0;
    (void)view_columns(view, &columns);
    if (view_evaluate(view, &arena, &input, &rows, &error)) {
        size_t left = 100;
        for (const struct view_row *row = rows.first; row != NULL && left > 0; row = row->next, left--) {
            const struct json *object = view_row_json(view, &arena, row);
            assert(object == NULL || object->count == columns);
        }
        if (view_evaluate(view, &arena, &input, &again, &error)) {
            assert(again.count == rows.count);
        }
    }
    assert(error.kind != ERROR_INTERNAL);
    arena_deinit(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena = { .bytes_max = 16u << 20 };
    struct error error = { 0 };
    struct json *definition = NULL;
    struct view *view = NULL;
    if (json_read(&arena, (struct str){ (const char *)data, size }, &definition, &error)) {
        if (view_compile(&arena, definition, &view, &error)) {
            evaluate(view, resources[0]);
            evaluate(view, resources[1]);
        } else {
            assert(error.kind == ERROR_STRUCTURE);
        }
    }
    arena_deinit(&arena);
    return 0;
}
