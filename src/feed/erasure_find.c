/* erasure_find.c — which records an erasure takes along: the Patient compartment (R4), the patient's tasks, the signed
 * documents of its compositions and the Binaries that they name; of the own hospital only. */
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/table.h"
#include "feed/erasure_internal.h"
#include "fhir/search_query.h"
#include "model/model.h"
#include "store/search.h"

enum { PAGE_RECORDS = 200, RECORDS_MAX = 5000 };

struct finding {
    struct erasure *erasure;
    const struct access_session *session;
    struct arena *arena;
    struct store_reader *reader;
    struct table seen;
    struct erasure_found *found;
};

static bool is_own(const struct access_session *session, uint64_t custodian)
{
    size_t count = 0;
    const struct str *organizations = access_organizations(session, &count);
    for (size_t i = 0; i < count; i++) {
        if (hash_resource_key(STR("Organization"), organizations[i]) == custodian) {
            return true;
        }
    }
    return false;
}

static bool add(struct finding *finding, const struct store_version *version, struct error *error)
{
    struct str name = arena_printf(finding->arena, "%.*s/%.*s", STR_FMT(version->type), STR_FMT(version->id));
    bool photo = str_equal(version->type, STR("Media")) &&
                 str_find(version->body, STR("/photos/")) < version->body.len;
    if (version->method == STORE_METHOD_DELETED || table_get(&finding->seen, name) != NULL) {
        return true;
    }
    if (!is_own(finding->session, version->custodian)) {
        finding->found->kept++;
        return true;
    }
    if (photo || str_equal(version->type, STR("ImagingStudy"))) {
        return FAIL(error, ERROR_RULE, "the record has images, and these cannot be erased yet");
    }
    if (finding->found->records->count >= RECORDS_MAX) {
        return FAIL(error, ERROR_TOO_COSTLY, "more than %d records: erase by single resources first",
                    RECORDS_MAX);
    }
    struct json *kept = json_append(finding->found->records, json_new_string(finding->arena, name));
    return (kept != NULL && table_set(&finding->seen, name, kept)) ||
           FAIL(error, ERROR_TOO_LARGE, "request memory used up");
}

/* Binaries by address, wherever in the text. */
static bool add_binaries(struct finding *finding, struct str body, struct error *error)
{
    const struct str mark = STR("\"Binary/");
    size_t at = str_find(body, mark);
    while (at < body.len) {
        struct str rest = str_skip(body, at + mark.len);
        struct str id = str_slice(rest, 0, str_find_char(rest, '"'));
        struct store_version version = { 0 };
        struct error none = { 0 };
        id = str_slice(id, 0, str_find_char(id, '/'));
        if (store_read(finding->reader, finding->arena, STR("Binary"), id, &version, &none) &&
            !add(finding, &version, error)) {
            return false;
        }
        body = rest;
        at = str_find(body, mark);
    }
    return true;
}

static bool add_matches(struct finding *finding, const struct search_options *options, struct str text,
                        struct error *error);

static bool add_hit(struct finding *finding, const struct store_version *version, struct error *error)
{
    const struct search_options bundles = { .type = STR("Bundle"),
                                            .offset_minutes = finding->erasure->options.offset_minutes };
    if (!add(finding, version, error) || !add_binaries(finding, version->body, error)) {
        return false;
    }
    return !str_equal(version->type, STR("Composition")) ||
           add_matches(finding, &bundles,
                       arena_printf(finding->arena, "_sort=_id&_count=%d&composition=Composition/%.*s",
                                    PAGE_RECORDS, STR_FMT(version->id)),
                       error);
}

/* Whatever the session may see of it: the filter is whose the record is. */
static bool add_matches(struct finding *finding, const struct search_options *options, struct str text,
                        struct error *error)
{
    struct search_query query = { 0 };
    struct store_search search = { .query = &query, .now_ms = clock_now_ms() };
    bool more = true;
    if (!search_query_parse_text(finding->arena, options, text, &query, error)) {
        return false;
    }
    while (more) {
        struct store_hits hits = { 0 };
        if (!store_search(finding->reader, finding->arena, &search, &hits, error)) {
            return false;
        }
        for (size_t i = 0; i < hits.matches_count; i++) {
            if (!add_hit(finding, &hits.hits[i].version, error)) {
                return false;
            }
        }
        search.cursor = hits.next_cursor;
        more = hits.next_cursor.at != NULL;
    }
    return true;
}

/* A group is of many people: only who is in it names the patient. */
static bool is_taken(struct str type)
{
    return model_compartment(STR("Patient"), type).len > 0 && !str_equal(type, STR("Group")) &&
           !str_equal(type, STR("Patient"));
}

static bool add_compartment(struct finding *finding, struct str id, struct error *error)
{
    size_t count = 0;
    const struct model_type *const *types = model_resources(&count);
    struct search_options options = { .offset_minutes = finding->erasure->options.offset_minutes };
    struct str page = arena_printf(finding->arena, "_sort=_id&_count=%d", PAGE_RECORDS);
    for (size_t i = 0; i < count; i++) {
        options.type = types[i]->name;
        options.compartment_type = STR("Patient");
        options.compartment_id = id;
        if (is_taken(types[i]->name) && !add_matches(finding, &options, page, error)) {
            return false;
        }
    }
    options = (struct search_options){ .type = STR("Task"), .offset_minutes = options.offset_minutes };
    return add_matches(finding, &options,
                       arena_printf(finding->arena, "%.*s&patient=Patient/%.*s", STR_FMT(page), STR_FMT(id)),
                       error);
}

static bool find(struct finding *finding, const struct erasure_ask *ask, struct error *error)
{
    struct store_version version = { 0 };
    bool of_patient = str_equal(ask->type, STR("Patient"));
    bool held = false;
    if (!store_read(finding->reader, finding->arena, ask->type, ask->id, &version, error)) {
        return false;
    }
    if (!of_patient && !is_taken(ask->type)) {
        return FAIL(error, ERROR_RULE, "only a patient and what is in a patient's record can be erased");
    }
    if (!is_own(finding->session, version.custodian)) {
        return FAIL(error, ERROR_NOT_FOUND, "there is no such record of this hospital");
    }
    if (!change_is_held(finding->erasure->options.change, finding->reader, finding->arena, &version, &held,
                        error)) {
        return false;
    }
    if (held) {
        return FAIL(error, ERROR_RULE, ERASURE_HELD);
    }
    return (!of_patient || add_compartment(finding, ask->id, error)) &&
           add_binaries(finding, version.body, error) && add(finding, &version, error);
}

bool erasure_find(struct erasure *erasure, const struct access_session *session, struct arena *arena,
                  const struct erasure_ask *ask, struct erasure_found *found, struct error *error)
{
    struct finding finding = {
        .erasure = erasure, .session = session, .arena = arena, .seen = table_in(arena), .found = found
    };
    *found = (struct erasure_found){ .records = json_new(arena, JSON_ARRAY) };
    if (found->records == NULL) {
        return FAIL(error, ERROR_TOO_LARGE, "request memory used up");
    }
    if (!store_reader_begin(erasure->options.store, &finding.reader, error)) {
        return false;
    }
    bool ok = find(&finding, ask, error);
    store_reader_end(finding.reader);
    return ok;
}
