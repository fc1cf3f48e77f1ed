/* The entries of a batch or transaction: what each asks for, which resource it means, and where references between
 * them lead. */
#include "base/clock.h"
#include "base/limits.h"
#include "base/uuid.h"
#include "change/bundle.h"
#include "fhir/index.h"
#include "fhir/search_query.h"
#include "store/search.h"

bool bundle_refuse(struct bundle_run *run, const struct bundle_entry *entry, enum error_kind kind,
                   const char *text, struct error *error)
{
    size_t index = (size_t)(entry - run->entries);
    outcome_add(run->outcome, (struct outcome_issue){
                                  .severity = OUTCOME_ERROR,
                                  .code = error_issue_code(kind),
                                  .path = arena_printf(run->arena, "Bundle.entry[%zu]", index),
                                  .text = arena_dup(run->arena, str_from_cstr(text)),
                              });
    return FAIL(error, kind, "Bundle.entry[%zu]: %.150s", index, text);
}

/* ---- one entry ---- */

/* ETag form W/"3" to 3; else as it is. */
static struct str etag_version(struct str etag)
{
    etag = str_starts_with(etag, STR("W/")) ? str_skip(etag, 2) : etag;
    bool quoted = etag.len >= 2 && etag.at[0] == '"' && etag.at[etag.len - 1] == '"';
    return quoted ? str_slice(etag, 1, etag.len - 1) : etag;
}

static int base64_digit(char c)
{
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }
    if (c >= 'a' && c <= 'z') {
        return c - 'a' + 26;
    }
    if (c >= '0' && c <= '9') {
        return c - '0' + 52;
    }
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* RFC 4648; white space is skipped as R4's base64Binary allows. STR_NONE when it is none. */
static struct str base64_decode(struct arena *arena, struct str text)
{
    char *out = arena_alloc(arena, text.len + 1);
    size_t len = 0;
    uint32_t bits = 0;
    int held = 0;
    for (size_t i = 0; out != NULL && i < text.len && text.at[i] != '='; i++) {
        int digit = base64_digit(text.at[i]);
        bool blank = text.at[i] == ' ' || text.at[i] == '\n' || text.at[i] == '\r' || text.at[i] == '\t';
        if (digit < 0 && !blank) {
            return STR_NONE;
        }
        if (digit >= 0) {
            bits = (bits << 6) | (uint32_t)digit;
            held += 6;
        }
        if (held >= 8) {
            held -= 8;
            out[len++] = (char)((bits >> held) & 0xff);
        }
    }
    return out == NULL ? STR_NONE : (struct str){ out, len };
}

/* A JSON Patch comes as a Binary, a FHIRPath Patch as Parameters (R4 3.1.0.11, 3.1.0.6). */
static bool read_patch(struct bundle_run *run, struct bundle_entry *entry, struct error *error)
{
    struct json *patch = NULL;
    if (json_equals_text(JSON_GET(entry->resource, "resourceType"), STR("Parameters"))) {
        entry->patch = entry->resource;
        entry->resource = NULL;
        return true;
    }
    struct str type = JSON_TEXT(run->arena, entry->resource, "contentType");
    struct str text = base64_decode(run->arena, JSON_TEXT(run->arena, entry->resource, "data"));
    bool is_patch = str_starts_with(type, STR("application/json-patch+json"));
    if (!is_patch || text.at == NULL || !json_read(run->arena, text, &patch, NULL) ||
        patch->kind != JSON_ARRAY) {
        return bundle_refuse(run, entry, ERROR_INPUT,
                             "PATCH wants Parameters, or a Binary of application/json-patch+json", error);
    }
    entry->patch = patch;
    entry->resource = NULL;
    return true;
}

static bool read_address(struct bundle_run *run, struct bundle_entry *entry, struct error *error)
{
    struct str url = entry->url;
    url = str_starts_with(url, STR("/")) ? str_skip(url, 1) : url;
    size_t end = str_find_char(url, '?');
    size_t slash = str_find_char(url, '/');
    entry->is_operation = str_find_char(str_slice(url, 0, end), '$') < end;
    if (entry->is_operation && entry->verb == BUNDLE_POST && run->is_transaction) {
        return bundle_refuse(run, entry, ERROR_UNSUPPORTED,
                             "operations by POST stand in a batch, not in a transaction", error);
    }
    if (entry->verb >= BUNDLE_GET || (entry->is_operation && entry->verb == BUNDLE_POST)) {
        return true;
    }
    entry->type = str_slice(url, 0, slash < end ? slash : end);
    entry->id = slash < end ? str_slice(url, slash + 1, end) : STR_NONE;
    bool conditional = end < url.len;
    if (entry->verb == BUNDLE_POST) {
        return (!conditional && entry->id.at == NULL) ||
               bundle_refuse(run, entry, ERROR_UNSUPPORTED, "POST wants the type alone as its url", error);
    }
    if (conditional) {
        entry->condition = str_skip(url, end + 1);
    }
    return conditional != (entry->id.at != NULL) ||
           bundle_refuse(run, entry, ERROR_INPUT, "PUT, PATCH and DELETE want Type/id or Type?search", error);
}

static bool read_entry(struct bundle_run *run, struct bundle_entry *entry, struct error *error)
{
    static const char *const verbs[BUNDLE_VERBS_COUNT] = { "DELETE", "POST", "PUT", "PATCH", "GET", "HEAD" };
    const struct json *request = JSON_GET(entry->entry, "request");
    struct str method = JSON_TEXT(run->arena, request, "method");
    entry->resource = JSON_GET(entry->entry, "resource");
    entry->url = JSON_TEXT(run->arena, request, "url");
    entry->if_match = etag_version(JSON_TEXT(run->arena, request, "ifMatch"));
    entry->if_none_match = JSON_TEXT(run->arena, request, "ifNoneMatch");
    if (request == NULL || entry->url.at == NULL) {
        return bundle_refuse(run, entry, ERROR_STRUCTURE, "request with method and url is needed", error);
    }
    while (entry->verb < BUNDLE_VERBS_COUNT && !str_equal_cstr(method, verbs[entry->verb])) {
        entry->verb++;
    }
    if (entry->verb == BUNDLE_VERBS_COUNT) {
        entry->verb = BUNDLE_GET;
        return bundle_refuse(run, entry, ERROR_INPUT, "method is one of GET, HEAD, POST, PUT, PATCH, DELETE",
                             error);
    }
    if (!read_address(run, entry, error)) {
        return false;
    }
    if (entry->verb == BUNDLE_POST) {
        entry->condition = JSON_TEXT(run->arena, request, "ifNoneExist");
    }
    run->has_conditions = run->has_conditions || entry->condition.at != NULL;
    bool wants = entry->verb == BUNDLE_POST || entry->verb == BUNDLE_PUT || entry->verb == BUNDLE_PATCH;
    if (wants && entry->resource == NULL) {
        return bundle_refuse(run, entry, ERROR_STRUCTURE, "a resource is needed", error);
    }
    return entry->verb != BUNDLE_PATCH || read_patch(run, entry, error);
}

bool bundle_read_entries(struct bundle_run *run, struct json *bundle, struct error *error)
{
    struct json *given = JSON_GET(bundle, "entry");
    struct str type = JSON_TEXT(run->arena, bundle, "type");
    run->is_transaction = str_equal(type, STR("transaction"));
    if (!json_equals_text(JSON_GET(bundle, "resourceType"), STR("Bundle")) ||
        !(run->is_transaction || str_equal(type, STR("batch")))) {
        return FAIL(error, ERROR_STRUCTURE, "a Bundle of type batch or transaction was expected");
    }
    size_t count = given == NULL ? 0 : given->count;
    if (count > LIMIT_BUNDLE_ENTRIES) {
        return FAIL(error, ERROR_TOO_LARGE, "a bundle has at most %d entries", LIMIT_BUNDLE_ENTRIES);
    }
    run->entries = ARENA_ARRAY(run->arena, struct bundle_entry, count + 1);
    run->conditions = ARENA_ARRAY(run->arena, struct store_condition, count + 1);
    if (run->entries == NULL || run->conditions == NULL) {
        return CHANGE_NO_MEMORY(error);
    }
    JSON_EACH(item, given) {
        struct bundle_entry *entry = &run->entries[run->count++];
        entry->entry = item;
        if (!read_entry(run, entry, &entry->error) && run->is_transaction) {
            *error = entry->error;
            return false;
        }
    }
    return true;
}

/* ---- which resource ---- */

static bool add_none_condition(struct bundle_run *run, const struct change_condition *found)
{
    run->conditions[run->conditions_count++] =
        (struct store_condition){ .kind = STORE_CONDITION_QUERY, .type = found->type, .query = found->query };
    return true;
}

static bool choose_id(struct bundle_run *run, struct bundle_entry *entry, struct error *error)
{
    char id[UUID_TEXT_BYTES];
    struct str own = entry->verb == BUNDLE_PUT ? JSON_TEXT(run->arena, entry->resource, "id") : STR_NONE;
    if (own.at != NULL) {
        entry->id = own;
        return true;
    }
    if (!uuid_v7(clock_now_ms(), id, error)) {
        return false;
    }
    entry->id = arena_dup(run->arena, str_from_cstr(id));
    entry->id_is_ours = true;
    return entry->id.at != NULL || CHANGE_NO_MEMORY(error);
}

/* The same ifNoneExist twice asks for one resource: the first entry makes it. */
static bool is_asked_before(struct bundle_run *run, struct table *conditions, struct bundle_entry *entry,
                            struct error *error)
{
    struct str key = arena_printf(run->arena, "%d %.*s?%.*s", entry->verb, STR_FMT(entry->type),
                                  STR_FMT(entry->condition));
    entry->same_as = table_get(conditions, key);
    return key.at != NULL &&
           (entry->same_as != NULL || table_set(conditions, key, entry) || CHANGE_NO_MEMORY(error));
}

static bool settle_condition(struct bundle_run *run, struct store_reader *reader, struct bundle_entry *entry,
                             struct error *error)
{
    struct change_condition found = { .session = run->request->session,
                                      .type = entry->type,
                                      .text = entry->condition,
                                      .now_ms = clock_now_ms() };
    struct error cause = { 0 };
    if (!change_find(run->change, reader, run->arena, &found, &cause)) {
        return bundle_refuse(run, entry, cause.kind, cause.text, error);
    }
    if (found.hit.type.at != NULL) {
        entry->id = found.hit.id;
        entry->is_settled = entry->verb == BUNDLE_POST;
        entry->existing = found.hit;
        struct str own = JSON_TEXT(run->arena, entry->resource, "id");
        return entry->verb != BUNDLE_PUT || own.at == NULL || str_equal(own, entry->id) ||
               bundle_refuse(run, entry, ERROR_INPUT,
                             "the resource has another id than the match of the condition", error);
    }
    if (entry->verb == BUNDLE_PATCH) {
        return bundle_refuse(run, entry, ERROR_NOT_FOUND, "the condition has no match", error);
    }
    if (entry->verb == BUNDLE_DELETE) {
        entry->is_settled = true;
        return true;
    }
    return add_none_condition(run, &found) && choose_id(run, entry, error);
}

/* R4 3.1.0.11.2: "if any resource identities (including resolved identities from conditional update/delete) overlap in
 * steps 1-3, then the transaction SHALL fail". */
static bool note_identity(struct bundle_run *run, struct table *identities, struct bundle_entry *entry,
                          struct error *error)
{
    struct str key = arena_printf(run->arena, "%.*s/%.*s", STR_FMT(entry->type), STR_FMT(entry->id));
    if (entry->is_settled) {
        return true;
    }
    if (table_get(identities, key) != NULL) {
        return bundle_refuse(run, entry, ERROR_INPUT, "an earlier entry is about the same resource", error);
    }
    return table_set(identities, key, entry) || CHANGE_NO_MEMORY(error);
}

static bool map_url(struct bundle_run *run, struct bundle_entry *entry, struct error *error)
{
    struct str full_url = JSON_TEXT(run->arena, entry->entry, "fullUrl");
    bool has_target = entry->verb == BUNDLE_POST || entry->verb == BUNDLE_PUT || entry->verb == BUNDLE_PATCH;
    if (full_url.at == NULL || !has_target) {
        return true;
    }
    struct str *target = ARENA_NEW(run->arena, struct str);
    if (target == NULL) {
        return CHANGE_NO_MEMORY(error);
    }
    *target = arena_printf(run->arena, "%.*s/%.*s", STR_FMT(entry->type), STR_FMT(entry->id));
    if (!table_set(&run->ids, full_url, target)) {
        return CHANGE_NO_MEMORY(error);
    }
    /* R4 2.36.4.1: "Patient/1" in a bundle is first the entry whose fullUrl ends so. */
    size_t slash = str_find_last_char(full_url, '/');
    struct str before = str_slice(full_url, 0, slash < full_url.len ? slash : 0);
    bool is_rest = str_starts_with(full_url, STR("http")) && str_ends_with(before, entry->type);
    struct str relative = str_skip(full_url, before.len - (is_rest ? entry->type.len : 0));
    return !is_rest || entry->verb != BUNDLE_POST || table_set(&run->ids, relative, target) ||
           CHANGE_NO_MEMORY(error);
}

bool bundle_settle(struct bundle_run *run, struct error *error)
{
    struct store_reader *reader = NULL;
    struct table conditions = table_in(run->arena);
    struct table identities = table_in(run->arena);
    if (!store_reader_begin(run->change->options.store, &reader, error)) {
        return false;
    }
    bool ok = true;
    for (size_t i = 0; ok && i < run->count; i++) {
        struct bundle_entry *entry = &run->entries[i];
        if (entry->verb >= BUNDLE_GET) {
            continue;
        }
        if (entry->condition.at != NULL) {
            ok = is_asked_before(run, &conditions, entry, error);
            if (ok && entry->same_as != NULL && entry->verb == BUNDLE_POST) {
                entry->id = entry->same_as->id;
                entry->is_settled = true;
            } else {
                ok = ok && settle_condition(run, reader, entry, error);
            }
        } else if (entry->verb == BUNDLE_POST) {
            ok = choose_id(run, entry, error);
        }
        ok = ok && note_identity(run, &identities, entry, error) && map_url(run, entry, error);
    }
    store_reader_end(reader);
    return ok;
}

/* ---- references ---- */

static bool fits_entry(struct bundle_run *run, const struct search_query *query,
                       const struct bundle_entry *entry, bool *fits, struct error *error)
{
    struct index_rows rows = { 0 };
    bool known = true;
    bool makes = (entry->verb == BUNDLE_POST || entry->verb == BUNDLE_PUT) && !entry->is_settled;
    *fits = false;
    if (!makes || !str_equal(entry->type, query->type)) {
        return true;
    }
    if (!fhir_index_rows(run->change->options.index, run->arena, entry->resource, &rows, error)) {
        return false;
    }
    const struct search_subject subject = {
        .id = entry->id, .updated_ms = clock_now_ms(), .rows = rows.rows, .rows_count = rows.count
    };
    *fits = search_criteria_match(query->criteria, &subject, &known) && known;
    return true;
}

/* "Patient?identifier=…": exactly one resource that the session may see, in the store or among what this transaction
 * makes. */
static bool find_reference(struct bundle_run *run, struct str reference, struct str *target,
                           struct error *error)
{
    size_t mark = str_find_char(reference, '?');
    struct store_reader *reader = NULL;
    struct change_condition found = { .session = run->request->session,
                                      .type = str_slice(reference, 0, mark),
                                      .text = str_skip(reference, mark + 1),
                                      .now_ms = clock_now_ms() };
    if (!store_reader_begin(run->change->options.store, &reader, error)) {
        return false;
    }
    bool ok = change_find(run->change, reader, run->arena, &found, error);
    store_reader_end(reader);
    struct str id = found.hit.id;
    size_t matches = found.hit.type.at != NULL ? 1 : 0;
    for (size_t i = 0; ok && run->is_transaction && i < run->count; i++) {
        bool fits = false;
        ok = fits_entry(run, found.query, &run->entries[i], &fits, error);
        if (ok && fits && !(matches > 0 && str_equal(id, run->entries[i].id))) {
            id = run->entries[i].id;
            matches++;
        }
    }
    if (ok && matches != 1) {
        return FAIL(error, ERROR_PRECONDITION, "a conditional reference to %.*s must have exactly one match",
                    STR_FMT(str_slice(found.type, 0, 40)));
    }
    if (ok) {
        *target = arena_printf(run->arena, "%.*s/%.*s", STR_FMT(found.type), STR_FMT(id));
    }
    return ok;
}

/* Bundles name the same practitioner a thousand times. In a batch an entry before may have changed the answer. */
static bool remember(struct bundle_run *run, struct str reference, struct str target, struct error *error)
{
    struct str *kept = ARENA_NEW(run->arena, struct str);
    if (kept == NULL) {
        return CHANGE_NO_MEMORY(error);
    }
    *kept = target;
    return !run->is_transaction || table_set(&run->ids, reference, kept) || CHANGE_NO_MEMORY(error);
}

/* Members that may name another entry: references, and URIs that are an entry's urn: (R4 3.1.0.11.2.1). */
static bool rewrite_text(struct bundle_run *run, struct json *owner, struct json *member, struct error *error)
{
    static const char *const uris[] = { "uri", "url", "valueUri", "valueUrl", "valueUuid", "valueCanonical" };
    struct str text = json_text(run->arena, member);
    bool is_reference = str_equal(member->name, STR("reference"));
    bool is_uri = false;
    for (size_t i = 0; i < sizeof uris / sizeof uris[0]; i++) {
        is_uri = is_uri || str_equal_cstr(member->name, uris[i]);
    }
    is_uri = is_uri && str_starts_with(text, STR("urn:"));
    if (!is_reference && !is_uri) {
        return true;
    }
    const struct str *mapped = table_get(&run->ids, text);
    struct str target = mapped != NULL ? *mapped : STR_NONE;
    bool search = mapped == NULL && is_reference && str_find_char(text, '?') < text.len &&
                  !str_starts_with(text, STR("http"));
    if (search && (!find_reference(run, text, &target, error) || !remember(run, text, target, error))) {
        return false;
    }
    return target.at == NULL || json_set(owner, member->name, json_new_string(run->arena, target)) != NULL ||
           CHANGE_NO_MEMORY(error);
}

/* Depth is bounded by the reader. */
static bool rewrite_value(struct bundle_run *run, struct json *value, struct error *error)
{
    struct json *next = NULL;
    if (value->kind != JSON_OBJECT && value->kind != JSON_ARRAY) {
        return true;
    }
    for (struct json *child = value->first; child != NULL; child = next) {
        next = child->next;
        bool is_text = child->kind == JSON_STRING && value->kind == JSON_OBJECT;
        if (is_text ? !rewrite_text(run, value, child, error) : !rewrite_value(run, child, error)) {
            return false;
        }
    }
    return true;
}

bool bundle_rewrite(struct bundle_run *run, struct bundle_entry *entry, struct error *error)
{
    struct error cause = { 0 };
    if (entry->resource == NULL || entry->is_settled || rewrite_value(run, entry->resource, &cause)) {
        return true;
    }
    return bundle_refuse(run, entry, cause.kind, cause.text, error);
}
