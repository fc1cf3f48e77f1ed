/* GET /metadata?mode=terminology: TerminologyCapabilities (R4 5.4): which code systems are written out in the program and what
 * the terminology operations take. Uploaded systems are not in it: whoever may see them searches for them. */
#include "api/handlers.h"
#include "api/metadata.h"
#include "fhir/terminology.h"

static const char *const expansion_parameters[] = {
    "url",        "valueSet",      "valueSetVersion",     "filter",
    "offset",     "count",         "includeDesignations", "includeDefinition",
    "activeOnly", "excludeNested", "displayLanguage",     "system-version"
};

struct listing {
    struct arena *arena;
    struct json *list;
};

static void add_flag(struct arena *arena, struct json *owner, const char *name, bool value)
{
    (void)json_add(owner, str_from_cstr(name), json_new_bool(arena, value));
}

static void take_system(void *data, const struct json *code_system)
{
    struct listing *listing = data;
    struct arena *arena = listing->arena;
    struct str version = JSON_TEXT(arena, code_system, "version");
    if (!json_equals_text(JSON_GET(code_system, "content"), STR("complete"))) {
        return;
    }
    struct json *system = json_append(listing->list, json_new(arena, JSON_OBJECT));
    (void)json_add_text(arena, system, STR("uri"), JSON_TEXT(arena, code_system, "url"));
    struct json *versions = json_add(system, STR("version"), json_new(arena, JSON_ARRAY));
    struct json *only = json_append(versions, json_new(arena, JSON_OBJECT));
    if (version.at != NULL) {
        (void)json_add_text(arena, only, STR("code"), version);
    }
    add_flag(arena, only, "isDefault", true);
    add_flag(arena, system, "subsumption", true);
}

static void add_expansion(struct arena *arena, struct json *made)
{
    struct json *expansion = json_add(made, STR("expansion"), json_new(arena, JSON_OBJECT));
    add_flag(arena, expansion, "hierarchical", false);
    add_flag(arena, expansion, "paging", true);
    add_flag(arena, expansion, "incomplete", false);
    struct json *list = json_add(expansion, STR("parameter"), json_new(arena, JSON_ARRAY));
    for (size_t i = 0; i < sizeof expansion_parameters / sizeof expansion_parameters[0]; i++) {
        struct json *parameter = json_append(list, json_new(arena, JSON_OBJECT));
        (void)json_add_text(arena, parameter, STR("name"), str_from_cstr(expansion_parameters[i]));
    }
    (void)json_add_text(arena, expansion, STR("textFilter"),
                        STR("A part of the code, the display or a designation, without regard to case."));
}

struct json *metadata_terminology(struct http_request *request, struct json *head)
{
    struct arena *arena = &request->arena;
    struct terminology *terminology = api_of(request)->terminology;
    struct listing listing = { .arena = arena, .list = json_new(arena, JSON_ARRAY) };
    if (terminology != NULL) {
        terminology_each(terminology, STR("CodeSystem"), take_system, &listing);
    }
    (void)json_add(head, STR("lockedDate"), json_new_bool(arena, false));
    (void)json_add(head, STR("codeSystem"), listing.list);
    add_expansion(arena, head);
    (void)json_add_text(arena, head, STR("codeSearch"), STR("all"));
    add_flag(arena, json_add(head, STR("validateCode"), json_new(arena, JSON_OBJECT)), "translations", true);
    add_flag(arena, json_add(head, STR("translation"), json_new(arena, JSON_OBJECT)), "needsMap", false);
    return head;
}
