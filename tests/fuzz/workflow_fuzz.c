/* Any bytes as a workflow file: refused with a reason, or loaded; then a Task of that machine is judged, and a Task that is
 * none of it is not taken for one. */
#include <stdint.h>

#include "workflow/workflow.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void judge(const struct workflow_machine *machine, const struct json *task)
{
    struct error error = { 0 };
    if (!workflow_check_new(machine, task, STR("county-doctor"), &error)) {
        assert(error.kind == ERROR_RULE || error.kind == ERROR_FORBIDDEN);
        assert(error.text[0] != '\0');
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct str task_text = STR(
        "{\"resourceType\":\"Task\",\"status\":\"draft\",\"intent\":\"order\",\"code\":{\"coding\":[{"
        "\"system\":\"urn:shanhai:codes:workflow\",\"code\":\"consult\"}]},\"businessStatus\":{\"coding\":[{"
        "\"code\":\"draft\"}]}}");
    struct arena arena = { .bytes_max = 64u << 20 };
    struct workflow_set set = { .arena = &arena };
    struct error error = { 0 };
    struct json *task = NULL;
    struct json *empty = json_new(&arena, JSON_OBJECT);
    bool ok = workflow_load(&set, (struct str){ (const char *)data, size }, &error);
    if (!ok) {
        assert(error.kind != ERROR_NONE);
        assert(error.text[0] != '\0');
    }
    assert(workflow_of_task(&set, empty) == NULL);
    if (ok && json_read(&arena, task_text, &task, &error)) {
        const struct workflow_machine *machine = workflow_of_task(&set, task);
        if (machine != NULL) {
            judge(machine, task);
        }
    }
    arena_deinit(&arena);
    return 0;
}
