/* POST /fhir/Patient/$break-glass: 紧急调阅. Who opens a record that is not his to see names the patient exactly (name and
 * one number), gives a reason, and both hospitals' heads are told (definitions/workflows/break-glass.json). Wrong
 * names are few and slow: this must not become a way to ask who is a patient here. */
#include "api/break_glass.h"
#include "access/access.h"
#include "api/call.h"
#include "api/handlers.h"
#include "base/clock.h"
#include "base/hash.h"
#include "fhir/outcome.h"
#include "fhir/search_query.h"
#include "store/body.h"

enum {
    TRIES_FREE = 3,
    REASON_BYTES_MIN = 12,
    NUMBER_BYTES_MIN = 4,
    NUMBER_BYTES_MAX = 64,
    CANDIDATES_MAX = 20
};

struct break_glass {
    struct http_request *request;
    struct arena *arena;
    const struct access_session *session;
    struct store_reader *reader;
    struct str identifier;
    struct str name;
    struct str reason;
    struct store_version patient;
    struct str custodian; /* Organization id */
    struct outcome *outcome;
};

static bool refuse(struct break_glass *asked, enum error_kind kind, const char *zh, const char *en,
                   struct error *error)
{
    outcome_add(asked->outcome, (struct outcome_issue){ .severity = OUTCOME_ERROR,
                                                        .code = error_issue_code(kind),
                                                        .text = str_from_cstr(en),
                                                        .chinese = str_from_cstr(zh) });
    return FAIL(error, kind, "%s", en);
}

static bool read_asked(struct break_glass *asked, struct error *error)
{
    struct json *parameters = NULL;
    if (!api_read_json(asked->request, &parameters, error)) {
        return false;
    }
    JSON_EACH(parameter, JSON_GET(parameters, "parameter")) {
        struct str name = JSON_TEXT(asked->arena, parameter, "name");
        struct str value = str_trim(JSON_TEXT(asked->arena, parameter, "valueString"));
        struct str *place = str_equal(name, STR("identifier")) ? &asked->identifier
                            : str_equal(name, STR("name"))     ? &asked->name
                            : str_equal(name, STR("reason"))   ? &asked->reason
                                                               : NULL;
        if (place == NULL) {
            return FAIL(error, ERROR_INPUT, "$break-glass takes identifier, name and reason");
        }
        *place = value;
    }
    bool named = asked->identifier.len >= NUMBER_BYTES_MIN && asked->identifier.len <= NUMBER_BYTES_MAX &&
                 asked->name.len > 0;
    if (!named) {
        return refuse(asked, ERROR_RULE, "须填写患者姓名，以及证件号码或住院号",
                      "the patient's name, and ID or inpatient number, are needed", error);
    }
    return asked->reason.len >= REASON_BYTES_MIN ||
           refuse(asked, ERROR_RULE, "须写明紧急调阅的理由", "the reason must be written out", error);
}

static bool has_name(struct arena *arena, const struct json *patient, struct str name)
{
    JSON_EACH(one, JSON_GET(patient, "name")) {
        if (str_equal(str_trim(JSON_TEXT(arena, one, "text")), name)) {
            return true;
        }
    }
    return false;
}

/* Only what a number has: nothing of the search language can be said with it. */
static bool is_number(struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.at[i];
        bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-';
        if (!plain) {
            return false;
        }
    }
    return true;
}

/* With the program's own authority: the one patient who has both, else type stays absent. */
static bool find_patient(struct break_glass *asked, struct error *error)
{
    struct search_query query = { 0 };
    struct store_hits hits = { 0 };
    const struct search_options options = { .type = STR("Patient"),
                                            .offset_minutes = api_of(asked->request)->offset_minutes };
    size_t matches = 0;
    if (!is_number(asked->identifier)) {
        return true;
    }
    struct str text = arena_printf(asked->arena, "identifier=%.*s", STR_FMT(asked->identifier));
    if (!search_query_parse_text(asked->arena, &options, text, &query, error)) {
        return false;
    }
    query.count = CANDIDATES_MAX;
    query.has_count = true;
    struct store_search search = { .query = &query, .now_ms = clock_now_ms() };
    if (!store_search(asked->reader, asked->arena, &search, &hits, error)) {
        return false;
    }
    for (size_t i = 0; i < hits.count; i++) {
        struct str body = STR_NONE;
        struct json *tree = NULL;
        if (!store_body_text(asked->arena, &hits.hits[i].version, &body, error) ||
            !json_read(asked->arena, body, &tree, error)) {
            return false;
        }
        if (has_name(asked->arena, tree, asked->name)) {
            asked->patient = hits.hits[i].version;
            matches++;
        }
    }
    if (matches != 1) {
        asked->patient = (struct store_version){ 0 };
    }
    return true;
}

/* The named patient, and that the session cannot see him anyway. One text for every reason why there is none. */
static bool look_up(struct break_glass *asked, struct str try_key, struct error *error)
{
    struct api_look look = { .request = asked->request,
                             .reader = asked->reader,
                             .session = asked->session,
                             .arena = asked->arena,
                             .interaction = ACCESS_READ };
    bool seen = false;
    struct str type = STR_NONE;
    if (!find_patient(asked, error)) {
        return false;
    }
    if (asked->patient.type.at == NULL) {
        access_try_failed(api_of(asked->request)->access, try_key, TRIES_FREE);
        return refuse(asked, ERROR_NOT_FOUND, "没有姓名与号码都相符的患者",
                      "no patient has this name and this number", error);
    }
    if (!api_may_see(&look, &asked->patient, &seen, error)) {
        return false;
    }
    if (seen) {
        return refuse(asked, ERROR_RULE, "您已能查看该患者，无需紧急调阅", "you see this patient already",
                      error);
    }
    return store_resource_name(asked->reader, asked->arena, asked->patient.custodian, &type,
                               &asked->custodian, error);
}

static struct json *text_in(struct arena *arena, struct json *object, struct str name, struct str text)
{
    return json_add_text(arena, object, name, text);
}

static void add_coded(struct arena *arena, struct json *task, struct str name, struct str system,
                      struct str code)
{
    struct json *concept = json_add(task, name, json_new(arena, JSON_OBJECT));
    struct json *codings = json_add(concept, STR("coding"), json_new(arena, JSON_ARRAY));
    struct json *coding = json_append(codings, json_new(arena, JSON_OBJECT));
    (void)text_in(arena, coding, STR("system"), system);
    (void)text_in(arena, coding, STR("code"), code);
}

static void add_reference(struct arena *arena, struct json *object, struct str name, const char *type,
                          struct str id)
{
    struct json *reference = json_add(object, name, json_new(arena, JSON_OBJECT));
    (void)text_in(arena, reference, STR("reference"), arena_printf(arena, "%s/%.*s", type, STR_FMT(id)));
}

static struct json *task_of(const struct break_glass *asked)
{
    struct arena *arena = asked->arena;
    char now[INSTANT_BYTES];
    (void)instant_format(clock_now_ms(), api_of(asked->request)->offset_minutes, now);
    struct json *task = json_new(arena, JSON_OBJECT);
    (void)text_in(arena, task, STR("resourceType"), STR("Task"));
    (void)text_in(arena, task, STR("status"), STR("requested"));
    (void)text_in(arena, task, STR("intent"), STR("order"));
    (void)text_in(arena, task, STR("authoredOn"), arena_dup(arena, str_from_cstr(now)));
    add_coded(arena, task, STR("code"), STR("urn:shanhai:codes:workflow"), STR("break-glass"));
    add_coded(arena, task, STR("businessStatus"), STR("urn:shanhai:codes:break-glass-state"), STR("asked"));
    add_reference(arena, task, STR("focus"), "Patient", asked->patient.id);
    add_reference(arena, task, STR("for"), "Patient", asked->patient.id);
    add_reference(arena, task, STR("requester"), "PractitionerRole", asked->session->post);
    struct json *extensions = json_add(task, STR("extension"), json_new(arena, JSON_ARRAY));
    struct json *custodian = json_append(extensions, json_new(arena, JSON_OBJECT));
    (void)text_in(arena, custodian, STR("url"), STR("urn:shanhai:ext:custodian"));
    add_reference(arena, custodian, STR("valueReference"), "Organization", asked->custodian);
    return task;
}

static struct json *open_step(const struct break_glass *asked)
{
    struct arena *arena = asked->arena;
    struct json *parameters = json_new(arena, JSON_OBJECT);
    (void)text_in(arena, parameters, STR("resourceType"), STR("Parameters"));
    struct json *list = json_add(parameters, STR("parameter"), json_new(arena, JSON_ARRAY));
    struct json *step = json_append(list, json_new(arena, JSON_OBJECT));
    (void)text_in(arena, step, STR("name"), STR("transition"));
    (void)text_in(arena, step, STR("valueCode"), STR("open"));
    struct json *reason = json_append(list, json_new(arena, JSON_OBJECT));
    (void)text_in(arena, reason, STR("name"), STR("reason"));
    (void)text_in(arena, reason, STR("valueString"), asked->reason);
    return parameters;
}

/* The Task, which opens nothing yet, then the step that opens and tells. A crash between leaves a Task `asked`. */
static bool open_record(struct break_glass *asked, struct json **task, struct error *error)
{
    struct change *change = api_of(asked->request)->change;
    struct change_entry entry = { .kind = CHANGE_CREATE, .type = STR("Task"), .resource = task_of(asked) };
    struct change_set set = { .arena = asked->arena,
                              .session = asked->session,
                              .route = STR("/fhir/Patient/$break-glass"),
                              .operation = STR("$break-glass"),
                              .entries = &entry,
                              .entries_count = 1,
                              .by_workflow = true };
    if (!change_apply(change, &set, error)) {
        return false;
    }
    const struct change_transition step = { .arena = asked->arena,
                                            .session = asked->session,
                                            .task_id = entry.result.id,
                                            .parameters = open_step(asked) };
    return change_take(change, &step, task, &asked->outcome, error);
}

enum http_verdict fhir_break_glass(struct http_request *request)
{
    struct error error = { 0 };
    struct json *task = NULL;
    uint32_t retry_after_s = 0;
    struct api *api = api_of(request);
    struct outcome outcome = outcome_in(&request->arena);
    struct break_glass asked = { .request = request,
                                 .arena = &request->arena,
                                 .session = &call_of(request)->session,
                                 .outcome = &outcome };
    struct str try_key = arena_concat(&request->arena, STR("break-glass:"), asked.session->post);
    bool ok = access_try_allowed(api->access, try_key, &retry_after_s, &error) &&
              read_asked(&asked, &error) && store_reader_begin(api->store, &asked.reader, &error);
    if (retry_after_s > 0) {
        http_add_header(request, STR("Retry-After"),
                        arena_printf(&request->arena, "%u", (unsigned)retry_after_s));
    }
    ok = ok && look_up(&asked, try_key, &error);
    if (asked.reader != NULL) {
        store_reader_end(asked.reader);
    }
    if (!ok || !open_record(&asked, &task, &error)) {
        api_respond_error(request, &error, asked.outcome->first == NULL ? NULL : asked.outcome);
        return HTTP_DONE;
    }
    api_respond_json(request, 201, true, task);
    return HTTP_DONE;
}

/* ---- the audit log: what was done while a record was open in this way ---- */

static bool was_open(struct store_reader *reader, struct arena *arena, struct str patient, struct str post,
                     int64_t at_ms, bool *open, struct error *error)
{
    struct store_grant *grants = NULL;
    size_t count = 0;
    struct str grantee = arena_printf(arena, "PractitionerRole/%.*s|break-glass", STR_FMT(post));
    struct store_grants_query query = { .resource = hash_resource_key(STR("Patient"), patient),
                                        .post = access_grantee_key(grantee),
                                        .alive_at_ms = at_ms };
    if (!store_grants_list(reader, arena, &query, &grants, &count, error)) {
        return false;
    }
    *open = *open || count > 0;
    return true;
}

static void mark(struct arena *arena, struct json *event)
{
    struct json *purposes = json_add(event, STR("purposeOfEvent"), json_new(arena, JSON_ARRAY));
    struct json *purpose = json_append(purposes, json_new(arena, JSON_OBJECT));
    struct json *codings = json_add(purpose, STR("coding"), json_new(arena, JSON_ARRAY));
    struct json *coding = json_append(codings, json_new(arena, JSON_OBJECT));
    (void)text_in(arena, coding, STR("system"), STR("http://terminology.hl7.org/CodeSystem/v3-ActReason"));
    (void)text_in(arena, coding, STR("code"), STR("BTG"));
}

bool break_glass_mark(struct store_reader *reader, struct arena *arena, struct json *bundle,
                      struct error *error)
{
    static const struct str prefix = { "Patient/", 8 };
    JSON_EACH(entry, JSON_GET(bundle, "entry")) {
        struct json *event = JSON_GET(entry, "resource");
        struct str post = JSON_TEXT(arena, json_at(JSON_GET(event, "agent"), 0), "altId");
        struct date_span recorded = { 0 };
        bool open = false;
        if (post.at == NULL || !date_parse(JSON_TEXT(arena, event, "recorded"), 0, &recorded, NULL)) {
            continue;
        }
        JSON_EACH(entity, JSON_GET(event, "entity")) {
            struct str what = JSON_TEXT(arena, JSON_GET(entity, "what"), "reference");
            if (str_starts_with(what, prefix) &&
                !was_open(reader, arena, str_skip(what, prefix.len), post, recorded.from_ms, &open, error)) {
                return false;
            }
        }
        if (open) {
            mark(arena, event);
        }
    }
    return true;
}
