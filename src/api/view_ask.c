#include "api/view_ask.h"

#include <string.h>

#include "base/limits.h"
#include "base/table.h"

struct patients {
    struct http_request *request;
    struct table seen;
    struct json *ids;
};

struct str view_ask_name(struct http_request *request, struct str reference)
{
    struct str own = api_url(request, "%s", "/");
    reference = str_starts_with(reference, own) ? str_skip(reference, own.len) : reference;
    return str_starts_with(reference, STR("ViewDefinition/")) ? str_skip(reference, strlen("ViewDefinition/"))
                                                              : STR("");
}

struct str view_ask_reference(struct arena *arena, const struct json *parameter)
{
    struct str text = JSON_TEXT(arena, parameter, "valueString");
    return text.at != NULL ? text : JSON_TEXT(arena, JSON_GET(parameter, "valueReference"), "reference");
}

/* R4 2.24.0.1: 1 to 64 of A-Z, a-z, 0-9, '-' and '.'; nothing of it means something to a search. */
static bool is_id(struct str id)
{
    bool ok = id.len > 0 && id.len < ACCESS_ID_BYTES;
    for (size_t i = 0; ok && i < id.len; i++) {
        char c = id.at[i];
        ok = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
             c == '.';
    }
    return ok;
}

static bool add_patient(struct patients *patients, struct str reference, struct error *error)
{
    struct str id =
        str_starts_with(reference, STR("Patient/")) ? str_skip(reference, strlen("Patient/")) : reference;
    if (!is_id(id)) {
        return FAIL(error, ERROR_INPUT, "patient and group are references: Patient/1, Group/1");
    }
    if (table_get(&patients->seen, id) != NULL) {
        return true;
    }
    if (patients->ids->count >= LIMIT_VIEW_PATIENTS) {
        return FAIL(error, ERROR_TOO_COSTLY, "more than %d patients in one view: ask for fewer",
                    LIMIT_VIEW_PATIENTS);
    }
    struct json *kept = json_append(patients->ids, json_new_string(patients->seen.arena, id));
    return (kept != NULL && table_set(&patients->seen, id, kept)) ||
           FAIL(error, ERROR_TOO_LARGE, "request memory used up");
}

static bool add_group(struct patients *patients, struct str reference, struct error *error)
{
    struct str id =
        str_starts_with(reference, STR("Group/")) ? str_skip(reference, strlen("Group/")) : reference;
    const struct fhir_wanted wanted = { .type = STR("Group"), .id = id };
    struct store_version version = { 0 };
    struct json *group = NULL;
    bool any = false;
    if (!operation_read(patients->request, &wanted, &version, &group, error)) {
        return false;
    }
    JSON_EACH(member, JSON_GET(group, "member")) {
        struct str who = JSON_TEXT(&patients->request->arena, JSON_GET(member, "entity"), "reference");
        if (str_starts_with(who, STR("Patient/")) && !json_is_true(JSON_GET(member, "inactive"))) {
            any = true;
            if (!add_patient(patients, who, error)) {
                return false;
            }
        }
    }
    return any || FAIL(error, ERROR_RULE, "the group has no patients as members");
}

static bool add(struct patients *patients, struct str name, struct str value, struct error *error)
{
    return str_equal(name, STR("patient")) ? add_patient(patients, value, error)
           : str_equal(name, STR("group")) ? add_group(patients, value, error)
                                           : true;
}

bool view_ask_patients(struct http_request *request, const struct json *body, struct json **ids,
                       struct error *error)
{
    struct arena *arena = &request->arena;
    struct patients patients = { .request = request,
                                 .seen = table_in(arena),
                                 .ids = json_new(arena, JSON_ARRAY) };
    if (patients.ids == NULL) {
        return FAIL(error, ERROR_TOO_LARGE, "request memory used up");
    }
    for (size_t i = 0; i < request->pairs_count; i++) {
        if (!add(&patients, request->pairs[i].name, request->pairs[i].value, error)) {
            return false;
        }
    }
    JSON_EACH(parameter, JSON_GET(body, "parameter")) {
        if (!add(&patients, JSON_TEXT(arena, parameter, "name"), view_ask_reference(arena, parameter),
                 error)) {
            return false;
        }
    }
    *ids = patients.ids;
    return true;
}
