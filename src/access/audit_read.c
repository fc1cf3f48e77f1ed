#include "access/audit_read.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>

#include "access/row_json.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/parse.h"

enum {
    FILE_BYTES_MAX = 1024 * 1024 * 1024,
    READ_ARENA_BYTES = 1100 * 1024 * 1024,
    LIST_COUNT_DEFAULT = 50,
    LIST_COUNT_MAX = 1000,
    LIST_FILES_MAX = 64 /* looked through for one page; the cursor goes on from there */
};

bool audit_file_path(const char *log_folder, uint64_t number, char out[AUDIT_PATH_BYTES])
{
    int len = snprintf(out, AUDIT_PATH_BYTES, "%s/%06llu.log", log_folder, (unsigned long long)number);
    return len > 0 && len < AUDIT_PATH_BYTES;
}

bool audit_last_file(const char *log_folder, uint64_t *number, struct error *error)
{
    DIR *folder = opendir(log_folder);
    if (folder == NULL) {
        return FAIL_OS(error, error_kind_from_errno(errno), "the folder of the audit log cannot be read");
    }
    uint64_t last = 0;
    for (struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        struct str name = str_from_cstr(entry->d_name);
        uint64_t found = 0;
        if (str_ends_with(name, STR(".log")) &&
            parse_uint64(str_slice(name, 0, name.len - 4), UINT64_MAX, &found) && found > last) {
            last = found;
        }
    }
    (void)closedir(folder);
    *number = last;
    return true;
}

bool audit_tail_find(struct str file, struct audit_tail *tail, struct error *error)
{
    struct audit_tail out = { 0 };
    uint64_t number = 0;
    char kind = 0;
    struct str payload = STR_NONE;
    if (!audit_header_read(file, &number, out.seal.seal)) {
        return FAIL(error, ERROR_STRUCTURE,
                    "the last file of the audit log has no header: run 'shanhai check'");
    }
    size_t offset = AUDIT_HEADER_BYTES;
    out.sealed = offset;
    out.good = offset;
    while (audit_frame_next(file, &offset, &kind, &payload)) {
        if (kind == AUDIT_FRAME_RECORD) {
            out.records++;
        } else if (audit_seal_read(payload, &out.seal)) {
            out.sealed = offset;
            out.records = 0;
        } else {
            break;
        }
        out.good = offset;
    }
    /* A seal behind the broken place means that this was sealed and acknowledged: not ours to cut. */
    struct str rest = str_skip(file, out.good);
    out.damaged = rest.len > 0 && str_find(str_skip(rest, 1), STR("SEAL")) < rest.len - 1;
    *tail = out;
    return true;
}

/* ---- verifying ---- */

struct walk {
    struct audit_verdict *verdict;
    uint8_t seal[SHA256_BYTES]; /* the last one computed */
    uint64_t number;
};

static bool broken(struct walk *walk, uint64_t record, const char *what)
{
    walk->verdict->intact = false;
    (void)snprintf(walk->verdict->finding, sizeof walk->verdict->finding,
                   "audit file %06llu, record %llu: %s", (unsigned long long)walk->number,
                   (unsigned long long)record, what);
    return false;
}

/* False when the chain breaks in this file. `record` counts from 1 in each file. */
static bool file_verify(struct walk *walk, struct arena *arena, struct str file, bool is_last)
{
    uint64_t number = 0;
    uint8_t before[SHA256_BYTES];
    char kind = 0;
    struct str payload = STR_NONE;
    uint64_t record = 0;
    uint32_t since_seal = 0;
    struct error error = { 0 };
    if (!audit_header_read(file, &number, before) || number != walk->number) {
        return broken(walk, 0, "the header is damaged");
    }
    if (memcmp(before, walk->seal, sizeof before) != 0) {
        return broken(walk, 0, "the file does not follow the one before it");
    }
    size_t offset = AUDIT_HEADER_BYTES;
    size_t sealed = offset;
    size_t at = offset;
    while (audit_frame_next(file, &offset, &kind, &payload)) {
        struct audit_record ignored;
        struct audit_seal seal;
        if (kind == AUDIT_FRAME_RECORD) {
            record++;
            since_seal++;
            if (!audit_record_decode(arena, payload, &ignored)) {
                return broken(walk, record, "this is not a record");
            }
            walk->verdict->records++;
        } else {
            if (!audit_seal_read(payload, &seal)) {
                return broken(walk, record, "the seal after this record is damaged");
            }
            struct audit_seal expected = { .group = seal.group, .records = since_seal };
            if (!audit_seal_compute(walk->seal, str_slice(file, sealed, at), &expected, &error) ||
                seal.records != since_seal || memcmp(expected.seal, seal.seal, sizeof seal.seal) != 0) {
                return broken(walk, record - since_seal + 1,
                              "this or one of the records up to the next seal was changed");
            }
            memcpy(walk->seal, seal.seal, sizeof walk->seal);
            walk->verdict->seals++;
            since_seal = 0;
            sealed = offset;
        }
        at = offset;
        arena_reset(arena);
    }
    if (offset != file.len) {
        return broken(walk, record + 1, "the bytes after the record before it are no record");
    }
    if (since_seal > 0 && !is_last) {
        return broken(walk, record - since_seal + 1, "this record was never sealed, but a later file exists");
    }
    walk->verdict->unsealed = since_seal;
    return true;
}

static bool file_read(struct arena *arena, const char *folder, uint64_t number, struct str *file,
                      struct error *error)
{
    char path[AUDIT_PATH_BYTES];
    char log_folder[AUDIT_PATH_BYTES];
    int len = snprintf(log_folder, sizeof log_folder, "%s/audit", folder);
    if (len < 0 || len >= AUDIT_PATH_BYTES || !audit_file_path(log_folder, number, path)) {
        return FAIL(error, ERROR_INPUT, "the path of the audit log is too long");
    }
    return file_read_whole(arena, path, FILE_BYTES_MAX, file, error);
}

static bool folder_last(const char *folder, uint64_t *last, struct error *error)
{
    char log_folder[AUDIT_PATH_BYTES];
    int len = snprintf(log_folder, sizeof log_folder, "%s/audit", folder);
    if (len < 0 || len >= AUDIT_PATH_BYTES) {
        return FAIL(error, ERROR_INPUT, "the path of the audit log is too long");
    }
    return audit_last_file(log_folder, last, error);
}

bool audit_verify(const char *folder, struct audit_verdict *verdict, struct error *error)
{
    struct arena arena = { .bytes_max = READ_ARENA_BYTES };
    struct arena texts = { .bytes_max = 1024 * 1024 };
    struct audit_verdict out = { .intact = true };
    struct walk walk = { .verdict = &out };
    uint64_t last = 0;
    bool ok = folder_last(folder, &last, error);
    for (walk.number = 1; ok && walk.number <= last && out.intact; walk.number++) {
        struct str file = STR_NONE;
        struct error missing = { 0 };
        if (!file_read(&arena, folder, walk.number, &file, &missing)) {
            if (missing.kind == ERROR_NOT_FOUND) {
                (void)broken(&walk, 0, "the file is missing");
            } else {
                *error = missing;
                ok = false;
            }
            break;
        }
        out.files++;
        (void)file_verify(&walk, &texts, file, walk.number == last);
        arena_reset(&arena);
    }
    arena_deinit(&texts);
    arena_deinit(&arena);
    if (ok) {
        *verdict = out;
    }
    return ok;
}

/* ---- listing ---- */

static bool organization_fits(const struct audit_query *query, struct str organization)
{
    bool fits = query->organizations == NULL || organization.len == 0;
    for (size_t i = 0; i < query->organizations_count && !fits; i++) {
        fits = str_equal(query->organizations[i], organization);
    }
    return fits;
}

static bool record_fits(const struct audit_query *query, const struct audit_record *record)
{
    bool patient = query->patient.len == 0;
    for (size_t i = 0; i < AUDIT_PATIENTS_MAX; i++) {
        patient = patient || (record->patients[i].len > 0 && str_equal(record->patients[i], query->patient));
    }
    return patient && organization_fits(query, record->organization) && record->time_ms >= query->from_ms &&
           (query->until_ms == 0 || record->time_ms < query->until_ms) &&
           (query->person.len == 0 || str_equal(record->person, query->person)) &&
           (query->type.len == 0 || str_equal(record->type, query->type)) &&
           (query->id.len == 0 || str_equal(record->id, query->id));
}

static bool cursor_read(struct str cursor, uint64_t *number, uint64_t *offset)
{
    size_t dash = str_find_char(cursor, '-');
    return parse_uint64(str_slice(cursor, 0, dash), UINT64_MAX, number) &&
           parse_uint64(str_skip(cursor, dash + 1), UINT64_MAX, offset);
}

struct found {
    uint64_t number;
    size_t offset;
    size_t end;
};

/* The last `room` fitting records of a file before offset `before`, newest first, into found[]. */
static size_t file_search(struct str file, uint64_t number, uint64_t before, const struct audit_query *query,
                          struct found *found, size_t room)
{
    struct arena texts = { .bytes_max = 1024 * 1024 };
    size_t offset = AUDIT_HEADER_BYTES;
    size_t at = offset;
    size_t count = 0; /* of fitting ones, kept in a ring */
    char kind = 0;
    struct str payload = STR_NONE;
    while (offset < before && audit_frame_next(file, &offset, &kind, &payload)) {
        struct audit_record record;
        if (kind == AUDIT_FRAME_RECORD && audit_record_decode(&texts, payload, &record) &&
            record_fits(query, &record)) {
            found[count % room] = (struct found){ .number = number, .offset = at, .end = offset };
            count++;
        }
        at = offset;
        arena_reset(&texts);
    }
    arena_deinit(&texts);
    /* The ring unrolled and turned round in place: newest first. */
    size_t kept = count < room ? count : room;
    struct found turned[LIST_COUNT_MAX + 1] = { 0 };
    for (size_t i = 0; i < kept; i++) {
        turned[i] = found[(count - 1 - i) % room];
    }
    memcpy(found, turned, kept * sizeof *found);
    return kept;
}

static bool entries_add(struct arena *arena, struct json *entries, struct str file, const struct found *found,
                        size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t offset = found[i].offset;
        char kind = 0;
        struct str payload = STR_NONE;
        struct audit_record record;
        if (!audit_frame_next(file, &offset, &kind, &payload) ||
            !audit_record_decode(arena, payload, &record)) {
            return false; /* memory: the frame was read a moment ago */
        }
        struct str id =
            arena_printf(arena, "%06llu-%zu", (unsigned long long)found[i].number, found[i].offset);
        struct json *entry = json_append(entries, json_new(arena, JSON_OBJECT));
        if (json_add(entry, STR("resource"), audit_event_json(arena, &record, id)) == NULL) {
            return false;
        }
    }
    return true;
}

bool audit_list(const char *folder, struct arena *arena, const struct audit_query *query,
                struct json **bundle, struct str *cursor, struct error *error)
{
    struct arena files = { .bytes_max = READ_ARENA_BYTES };
    struct found found[LIST_COUNT_MAX + 1];
    size_t count = query->count == 0 ? LIST_COUNT_DEFAULT : query->count;
    count = count > LIST_COUNT_MAX ? LIST_COUNT_MAX : count;
    struct json *out = json_new(arena, JSON_OBJECT);
    (void)json_add(out, STR("resourceType"), json_new_string(arena, STR("Bundle")));
    (void)json_add(out, STR("type"), json_new_string(arena, STR("searchset")));
    struct json *entries = json_add(out, STR("entry"), json_new(arena, JSON_ARRAY));
    uint64_t number = 0;
    uint64_t before = UINT64_MAX;
    struct str next = STR_NONE;
    bool ok = folder_last(folder, &number, error);
    if (ok && query->cursor.len > 0 && !cursor_read(query->cursor, &number, &before)) {
        ok = FAIL(error, ERROR_INPUT, "the page link of the audit log is not one of ours");
    }
    for (size_t looked = 0; ok && number > 0 && next.at == NULL && count > 0; looked++) {
        struct str file = STR_NONE;
        if (looked == LIST_FILES_MAX) {
            next = arena_printf(arena, "%llu-%llu", (unsigned long long)number, (unsigned long long)before);
            break;
        }
        ok = file_read(&files, folder, number, &file, error);
        size_t got = ok ? file_search(file, number, before, query, found, count + 1) : 0;
        size_t shown = got > count ? count : got;
        if (ok && !entries_add(arena, entries, file, found, shown)) {
            ok = FAIL(error, ERROR_TOO_LARGE, "request memory used up");
        }
        if (got > count) { /* one more is there: the next page begins with it */
            next = arena_printf(arena, "%llu-%zu", (unsigned long long)number, found[count].end);
        }
        count -= shown;
        if (count == 0 && next.at == NULL && number > 1) {
            next = arena_printf(arena, "%llu-%llu", (unsigned long long)(number - 1),
                                (unsigned long long)UINT64_MAX);
        }
        before = UINT64_MAX;
        number--;
        arena_reset(&files);
    }
    arena_deinit(&files);
    if (ok && entries == NULL) {
        ok = FAIL(error, ERROR_TOO_LARGE, "request memory used up");
    }
    if (ok && entries->count == 0) {
        (void)json_remove(out, entries); /* R4 2.6.2: no empty arrays */
    }
    if (ok) {
        *bundle = out;
        *cursor = next;
    }
    return ok;
}

/* ---- AuditEvent ---- */

static struct json *coding(struct arena *arena, struct str system, struct str code)
{
    struct json *out = json_new(arena, JSON_OBJECT);
    (void)json_add(out, STR("system"), json_new_string(arena, system));
    (void)json_add(out, STR("code"), json_new_string(arena, code));
    return out;
}

static struct json *reference(struct arena *arena, const char *type, struct str id)
{
    struct json *out = json_new(arena, JSON_OBJECT);
    (void)json_add(out, STR("reference"),
                   json_new_string(arena, arena_printf(arena, "%s/%.*s", type, STR_FMT(id))));
    return out;
}

/* R4 5.3: action codes, and the restful-interaction that says it more exactly. */
static const struct {
    const char *subtype;
    const char *action;
} interactions[] = {
    [ACCESS_READ] = { "read", "R" },           [ACCESS_SEARCH] = { "search-type", "E" },
    [ACCESS_HISTORY] = { "history", "R" },     [ACCESS_CREATE] = { "create", "C" },
    [ACCESS_UPDATE] = { "update", "U" },       [ACCESS_DELETE] = { "delete", "D" },
    [ACCESS_OPERATION] = { "operation", "E" },
};
static_assert(sizeof interactions / sizeof interactions[0] == ACCESS_INTERACTIONS_COUNT, "a row for each");

static void agent_add(struct arena *arena, struct json *event, const struct audit_record *record)
{
    struct json *agents = json_add(event, STR("agent"), json_new(arena, JSON_ARRAY));
    struct json *agent = json_append(agents, json_new(arena, JSON_OBJECT));
    if (record->person.len > 0) {
        (void)json_add(agent, STR("who"), reference(arena, "Practitioner", record->person));
    }
    if (record->post.len > 0) {
        (void)json_add(agent, STR("altId"), json_new_string(arena, record->post));
    }
    (void)json_add(agent, STR("requestor"), json_new_bool(arena, true));
    if (record->app.len > 0) {
        struct json *app = json_append(agents, json_new(arena, JSON_OBJECT));
        struct json *type = json_add(app, STR("type"), json_new(arena, JSON_OBJECT));
        struct json *codings = json_add(type, STR("coding"), json_new(arena, JSON_ARRAY));
        struct json *coding = json_append(codings, json_new(arena, JSON_OBJECT));
        (void)json_add(coding, STR("system"),
                       json_new_string(arena, STR("http://dicom.nema.org/resources/ontology/DCM")));
        (void)json_add(coding, STR("code"), json_new_string(arena, STR("110150"))); /* Application */
        (void)json_add(app, STR("altId"), json_new_string(arena, record->app));
        (void)json_add(app, STR("requestor"), json_new_bool(arena, false));
    }
    struct json *source = json_add(event, STR("source"), json_new(arena, JSON_OBJECT));
    (void)json_add(source, STR("site"), json_new_string(arena, STR("shanhai")));
    if (record->organization.len > 0) {
        (void)json_add(source, STR("observer"), reference(arena, "Organization", record->organization));
    } else {
        struct json *observer = json_add(source, STR("observer"), json_new(arena, JSON_OBJECT));
        (void)json_add(observer, STR("display"), json_new_string(arena, STR("shanhai")));
    }
}

static void detail_add(struct arena *arena, struct json *details, struct str type, struct str value)
{
    struct json *detail = json_append(details, json_new(arena, JSON_OBJECT));
    (void)json_add(detail, STR("type"), json_new_string(arena, type));
    (void)json_add(detail, STR("valueString"), json_new_string(arena, value));
}

static void entities_add(struct arena *arena, struct json *event, const struct audit_record *record)
{
    struct json *entities = json_add(event, STR("entity"), json_new(arena, JSON_ARRAY));
    struct json *entity = json_append(entities, json_new(arena, JSON_OBJECT));
    if (record->type.len > 0 && record->id.len > 0) {
        struct str what = record->version == 0
                              ? arena_printf(arena, "%.*s/%.*s", STR_FMT(record->type), STR_FMT(record->id))
                              : arena_printf(arena, "%.*s/%.*s/_history/%llu", STR_FMT(record->type),
                                             STR_FMT(record->id), (unsigned long long)record->version);
        struct json *to = json_add(entity, STR("what"), json_new(arena, JSON_OBJECT));
        (void)json_add(to, STR("reference"), json_new_string(arena, what));
    } else if (record->type.len > 0) {
        (void)json_add(entity, STR("type"),
                       coding(arena, STR("http://hl7.org/fhir/resource-types"), record->type));
    }
    struct json *details = json_add(entity, STR("detail"), json_new(arena, JSON_ARRAY));
    detail_add(arena, details, STR("route"), record->route.len > 0 ? record->route : STR("-"));
    detail_add(arena, details, STR("count"), arena_printf(arena, "%u", record->count));
    if (record->query_hash != 0) {
        detail_add(arena, details, STR("query"),
                   arena_printf(arena, "%016llx", (unsigned long long)record->query_hash));
    }
    for (size_t i = 0; i < AUDIT_PATIENTS_MAX && record->patients[i].len > 0; i++) {
        struct json *patient = json_append(entities, json_new(arena, JSON_OBJECT));
        (void)json_add(patient, STR("what"), reference(arena, "Patient", record->patients[i]));
        (void)json_add(patient, STR("role"),
                       coding(arena, STR("http://terminology.hl7.org/CodeSystem/object-role"), STR("1")));
    }
}

struct json *audit_event_json(struct arena *arena, const struct audit_record *record, struct str id)
{
    char time[INSTANT_BYTES];
    size_t time_len = instant_format(record->time_ms, 0, time);
    bool plain = record->interaction != ACCESS_OPERATION;
    struct json *event = json_new(arena, JSON_OBJECT);
    (void)json_add(event, STR("resourceType"), json_new_string(arena, STR("AuditEvent")));
    (void)json_add(event, STR("id"), json_new_string(arena, id));
    (void)json_add(event, STR("type"),
                   coding(arena, STR("http://terminology.hl7.org/CodeSystem/audit-event-type"), STR("rest")));
    struct json *subtypes = json_add(event, STR("subtype"), json_new(arena, JSON_ARRAY));
    (void)json_append(subtypes, coding(arena, STR("http://hl7.org/fhir/restful-interaction"),
                                       str_from_cstr(interactions[record->interaction].subtype)));
    if (!plain && record->operation.len > 0) {
        (void)json_append(subtypes, coding(arena, STR("urn:shanhai:codes:operation"), record->operation));
    }
    (void)json_add(event, STR("action"),
                   json_new_string(arena, str_from_cstr(interactions[record->interaction].action)));
    (void)json_add(event, STR("recorded"),
                   json_new_string(arena, arena_dup(arena, (struct str){ time, time_len })));
    (void)json_add(event, STR("outcome"),
                   json_new_string(arena, arena_printf(arena, "%d", (int)record->outcome)));
    agent_add(arena, event, record);
    entities_add(arena, event, record);
    return event;
}
