/* What the rules say of times, told to whoever shows them: one place, the files. */
#include "workflow/workflow_internal.h"

/* A calendar quantity of FHIRPath as its only word: "15 minutes". */
static bool is_time(struct str text)
{
    static const char *const units[] = { " minute", " minutes", " hour", " hours", " day", " days" };
    size_t digits = 0;
    while (digits < text.len && text.at[digits] >= '0' && text.at[digits] <= '9') {
        digits++;
    }
    for (size_t i = 0; digits > 0 && i < sizeof units / sizeof *units; i++) {
        if (str_equal_cstr(str_skip(text, digits), units[i])) {
            return true;
        }
    }
    return false;
}

static struct json *times_of(const struct workflow_machine *machine, struct arena *arena)
{
    struct json *times = json_new(arena, JSON_OBJECT);
    struct json *after = json_add(times, STR("after"), json_new(arena, JSON_OBJECT));
    struct json *limits = json_add(times, STR("limits"), json_new(arena, JSON_OBJECT));
    JSON_EACH(transition, machine->transitions) {
        struct str text = JSON_TEXT(arena, transition, "after");
        if (text.at != NULL) {
            (void)json_add_text(arena, after, JSON_TEXT(arena, transition, "name"), text);
        }
    }
    JSON_EACH(entry, machine->context) {
        struct str text = JSON_TEXT(arena, entry, "value");
        if (text.at != NULL && is_time(text)) {
            (void)json_add_text(arena, limits, entry->name, text);
        }
    }
    return times;
}

struct json *workflow_times(const struct workflow_set *set, struct arena *arena)
{
    struct json *all = json_new(arena, JSON_OBJECT);
    for (size_t i = 0; all != NULL && i < set->machines.count; i++) {
        const struct table_entry *entry = &set->machines.entries[i];
        if (json_add(all, entry->key, times_of(entry->value, arena)) == NULL) {
            return NULL;
        }
    }
    return all;
}
