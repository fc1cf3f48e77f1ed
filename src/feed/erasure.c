#include "feed/erasure.h"

#include <inttypes.h>
#include <string.h>

#include "access/audit.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/uuid.h"
#include "feed/erasure_internal.h"
#include "store/erase.h"
#include "store/jobs.h"
#include "store/rows.h"

#define ERASURE_JOB "erase"

enum { LIST_MAX = 200, ATTEMPTS_MAX = 100 };

/* ---- rows ---- */

static const struct store_column request_columns[] = {
    { "id", STORE_VALUE_TEXT, 1 },           { "type", STORE_VALUE_TEXT, 1 },
    { "target", STORE_VALUE_TEXT, 1 },       { "rule", STORE_VALUE_TEXT, 1 },
    { "tenant", STORE_VALUE_TEXT, 1 },       { "asker", STORE_VALUE_TEXT, 1 },
    { "asker_post", STORE_VALUE_TEXT, 1 },   { "asked_ms", STORE_VALUE_INTEGER, 1 },
    { "decider", STORE_VALUE_TEXT, 1 },      { "decided_ms", STORE_VALUE_INTEGER, 1 },
    { "state", STORE_VALUE_TEXT, 1 },        { "records", STORE_VALUE_INTEGER, 1 },
    { "kept", STORE_VALUE_INTEGER, 1 },      { "ended_ms", STORE_VALUE_INTEGER, 1 },
    { "organization", STORE_VALUE_TEXT, 1 },
};
enum { REQUEST_COLUMNS = sizeof request_columns / sizeof request_columns[0] };
static const struct store_table request_table = { .name = "erasure_request",
                                                  .version = 1,
                                                  .columns = request_columns,
                                                  .columns_count = REQUEST_COLUMNS,
                                                  .key_columns = 1 };

/* One record: to be erased (erased_ms 0), then what stays of it. */
static const struct store_column record_columns[] = {
    { "request", STORE_VALUE_TEXT, 1 }, { "number", STORE_VALUE_INTEGER, 1 },
    { "name", STORE_VALUE_TEXT, 1 },    { "versions", STORE_VALUE_INTEGER, 1 },
    { "hash", STORE_VALUE_TEXT, 1 },    { "erased_ms", STORE_VALUE_INTEGER, 1 },
};
enum { RECORD_COLUMNS = sizeof record_columns / sizeof record_columns[0] };
static const struct store_table record_table = { .name = "erasure_record",
                                                 .version = 1,
                                                 .columns = record_columns,
                                                 .columns_count = RECORD_COLUMNS,
                                                 .key_columns = 2 };

void erasure_tables(const struct store_table *tables[ERASURE_TABLES])
{
    tables[0] = &request_table;
    tables[1] = &record_table;
}

bool erasure_open(struct arena *arena, const struct erasure_options *options, struct erasure **erasure,
                  struct error *error)
{
    struct erasure *made = ARENA_NEW(arena, struct erasure);
    if (made == NULL) {
        return FAIL(error, ERROR_INTERNAL, "no memory to start");
    }
    made->options = *options;
    *erasure = made;
    return true;
}

static struct str text_at(const struct store_rows *rows, size_t row, const char *column)
{
    return store_rows_value(&request_table, rows, row, column)->text;
}

static int64_t number_at(const struct store_rows *rows, size_t row, const char *column)
{
    return store_rows_value(&request_table, rows, row, column)->integer;
}

/* ---- as JSON ---- */

static void add_time(struct arena *arena, struct json *item, const char *name, int64_t time_ms, int offset)
{
    char text[INSTANT_BYTES];
    if (time_ms > 0) {
        (void)instant_format(time_ms, offset, text);
        (void)json_add_text(arena, item, str_from_cstr(name), arena_dup(arena, str_from_cstr(text)));
    }
}

static struct json *request_json(const struct erasure *erasure, struct arena *arena,
                                 const struct store_rows *rows, size_t row)
{
    static const char *const texts[] = { "id", "rule", "state", "asker", "decider" };
    int offset = erasure->options.offset_minutes;
    struct json *item = json_new(arena, JSON_OBJECT);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct str text = text_at(rows, row, texts[i]);
        if (text.at != NULL) {
            (void)json_add_text(arena, item, str_from_cstr(texts[i]), text);
        }
    }
    (void)json_add_text(arena, item, STR("target"),
                        arena_printf(arena, "%.*s/%.*s", STR_FMT(text_at(rows, row, "type")),
                                     STR_FMT(text_at(rows, row, "target"))));
    (void)json_add(item, STR("records"), json_new_integer(arena, number_at(rows, row, "records")));
    (void)json_add(item, STR("kept"), json_new_integer(arena, number_at(rows, row, "kept")));
    add_time(arena, item, "asked", number_at(rows, row, "asked_ms"), offset);
    add_time(arena, item, "decided", number_at(rows, row, "decided_ms"), offset);
    add_time(arena, item, "ended", number_at(rows, row, "ended_ms"), offset);
    return item;
}

static bool read_request(struct erasure *erasure, const struct access_session *session, struct arena *arena,
                         struct str id, struct store_rows *rows, struct error *error)
{
    struct store_reader *reader = NULL;
    const struct store_where where[] = { { "id", STORE_EQUAL, store_text(id) },
                                         { "tenant", STORE_EQUAL, store_text(session->tenant) } };
    const struct store_rows_query query = { .where = where, .where_count = 2 };
    if (!store_reader_begin(erasure->options.store, &reader, error)) {
        return false;
    }
    bool ok = store_rows_find(reader, arena, &request_table, &query, rows, error);
    store_reader_end(reader);
    return ok && (rows->rows_count == 1 || FAIL(error, ERROR_NOT_FOUND, "there is no such request"));
}

bool erasure_list(struct erasure *erasure, const struct access_session *session, struct arena *arena,
                  struct json **answer, struct error *error)
{
    struct store_reader *reader = NULL;
    struct store_rows rows = { 0 };
    const struct store_where where = { "tenant", STORE_EQUAL, store_text(session->tenant) };
    const struct store_rows_query query = {
        .where = &where, .where_count = 1, .order = { "id" }, .descending = true, .limit = LIST_MAX
    };
    struct json *made = json_new(arena, JSON_OBJECT);
    struct json *list = json_add(made, STR("erasures"), json_new(arena, JSON_ARRAY));
    if (!store_reader_begin(erasure->options.store, &reader, error)) {
        return false;
    }
    bool ok = store_rows_find(reader, arena, &request_table, &query, &rows, error);
    store_reader_end(reader);
    for (size_t i = 0; ok && i < rows.rows_count; i++) {
        (void)json_append(list, request_json(erasure, arena, &rows, i));
    }
    *answer = made;
    return ok;
}

/* ---- asking and deciding ---- */

static bool is_rule(struct str rule)
{
    static const char *const known[] = { "patient-request", "retention-ended", "entered-in-error",
                                         "court-order" };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (str_equal_cstr(rule, known[i])) {
            return true;
        }
    }
    return false;
}

static bool put_request(void *data, struct store_transaction *transaction, struct error *error)
{
    return store_rows_put(transaction, &request_table, data, error);
}

bool erasure_begin(struct erasure *erasure, const struct access_session *session, struct arena *arena,
                   const struct erasure_ask *ask, struct json **answer, struct error *error)
{
    char id[UUID_TEXT_BYTES];
    struct erasure_found found = { 0 };
    if (!is_rule(ask->rule)) {
        return FAIL(error, ERROR_INPUT,
                    "rule is patient-request, retention-ended, entered-in-error or court-order");
    }
    if (!erasure_find(erasure, session, arena, ask, &found, error) || !uuid_v7(clock_now_ms(), id, error)) {
        return false;
    }
    struct store_value row[REQUEST_COLUMNS] = {
        store_text(arena_dup(arena, str_from_cstr(id))),
        store_text(ask->type),
        store_text(ask->id),
        store_text(ask->rule),
        store_text(session->tenant),
        store_text(session->person),
        store_text(session->post),
        store_integer(clock_now_ms()),
        store_text(STR_NONE),
        store_integer(0),
        store_text(STR("asked")),
        store_integer((int64_t)found.records->count),
        store_integer((int64_t)found.kept),
        store_integer(0),
        store_text(session->organization),
    };
    const struct store_rows rows = { .values = row, .rows_count = 1 };
    *answer = request_json(erasure, arena, &rows, 0);
    return store_apply_and_wait(erasure->options.store, put_request, row, STR_NONE, error);
}

struct deciding {
    struct store_value *row;    /* of the request, as it will be */
    const struct json *records; /* NULL: refused */
};

/* Once more in the writer: two people may decide at the same moment. */
static bool decide_apply(void *data, struct store_transaction *transaction, struct error *error)
{
    const struct deciding *deciding = data;
    struct arena arena = { .bytes_max = LIMIT_RESOURCE_BYTES };
    const struct store_value *stored = NULL;
    int64_t number = 0;
    bool ok = store_rows_get(store_transaction_reader(transaction), &arena, &request_table, deciding->row,
                             &stored, error);
    bool open = ok && stored != NULL && str_equal(stored[10].text, STR("asked"));
    ok = ok && (open || FAIL(error, ERROR_CONFLICT, "it was decided already")) &&
         store_rows_put(transaction, &request_table, deciding->row, error);
    JSON_EACH(record, ok ? deciding->records : NULL) {
        const struct store_value row[RECORD_COLUMNS] = {
            deciding->row[0], store_integer(number++), store_text(json_text(&arena, record)),
            store_integer(0), store_text(STR_NONE),    store_integer(0)
        };
        ok = ok && store_rows_put(transaction, &record_table, row, error);
    }
    arena_deinit(&arena);
    return ok;
}

static bool decide(struct erasure *erasure, const struct access_session *session, struct arena *arena,
                   struct store_rows *rows, const struct erasure_found *found, struct json **answer,
                   struct error *error)
{
    struct store_value row[REQUEST_COLUMNS];
    memcpy(row, rows->values, sizeof row);
    row[8] = store_text(session->person);
    row[9] = store_integer(clock_now_ms());
    row[10] = store_text(found == NULL ? STR("refused") : STR("confirmed"));
    struct json *input = json_new(arena, JSON_OBJECT);
    (void)json_add_text(arena, input, STR("request"), row[0].text);
    (void)json_add_text(arena, input, STR("post"), session->post);
    struct store_job_new job = { .kind = STR(ERASURE_JOB),
                                 .input = json_write_arena(arena, input),
                                 .unique = row[0].text };
    struct deciding deciding = { .row = row };
    struct store_set set = { .arena = arena, .apply = decide_apply, .data = &deciding };
    if (found != NULL) {
        row[11] = store_integer((int64_t)found->records->count);
        row[12] = store_integer((int64_t)found->kept);
        deciding.records = found->records;
        set.jobs = &job;
        set.jobs_count = 1;
    }
    const struct store_rows made = { .values = row, .rows_count = 1 };
    *answer = request_json(erasure, arena, &made, 0);
    return store_write_and_wait(erasure->options.store, &set, error);
}

bool erasure_confirm(struct erasure *erasure, const struct access_session *session, struct arena *arena,
                     struct str id, struct json **answer, struct error *error)
{
    struct store_rows rows = { 0 };
    struct erasure_found found = { 0 };
    if (!read_request(erasure, session, arena, id, &rows, error)) {
        return false;
    }
    if (str_equal(text_at(&rows, 0, "asker"), session->person)) {
        return FAIL(error, ERROR_FORBIDDEN, "another person confirms what somebody asked for");
    }
    if (!str_equal(text_at(&rows, 0, "state"), STR("asked"))) {
        return FAIL(error, ERROR_CONFLICT, "it was decided already");
    }
    const struct erasure_ask ask = { .type = text_at(&rows, 0, "type"),
                                     .id = text_at(&rows, 0, "target"),
                                     .rule = text_at(&rows, 0, "rule") };
    return erasure_find(erasure, session, arena, &ask, &found, error) &&
           decide(erasure, session, arena, &rows, &found, answer, error);
}

bool erasure_refuse(struct erasure *erasure, const struct access_session *session, struct arena *arena,
                    struct str id, struct json **answer, struct error *error)
{
    struct store_rows rows = { 0 };
    return read_request(erasure, session, arena, id, &rows, error) &&
           decide(erasure, session, arena, &rows, NULL, answer, error);
}

/* ---- the job ---- */

/* One record on its way out. */
struct leaving {
    struct erasure *erasure;
    struct store_version version;
    struct store_value row[RECORD_COLUMNS];
};

/* The law may have come in between: a hold is looked for in the writer's turn. */
static bool may_leave(void *data, struct store_reader *inside, struct error *error)
{
    struct leaving *leaving = data;
    struct arena arena = { .bytes_max = LIMIT_BUNDLE_BYTES };
    bool held = false;
    bool ok =
        change_is_held(leaving->erasure->options.change, inside, &arena, &leaving->version, &held, error);
    arena_deinit(&arena);
    return ok && (!held || FAIL(error, ERROR_RULE, ERASURE_HELD));
}

static bool delete_current(struct erasure *erasure, struct arena *arena, struct leaving *leaving,
                           const struct store_rows *request, struct error *error)
{
    const struct access_act act = { .interaction = ACCESS_OPERATION,
                                    .type = leaving->version.type,
                                    .operation = STR("$erase") };
    struct access_session session;
    struct store_write write = { .type = leaving->version.type,
                                 .id = leaving->version.id,
                                 .method = STORE_METHOD_DELETED,
                                 .expect = STORE_EXPECT_VERSION,
                                 .version = leaving->version.version };
    struct store_set set = {
        .arena = arena, .writes = &write, .writes_count = 1, .decide = may_leave, .data = leaving
    };
    if (leaving->version.method == STORE_METHOD_DELETED) {
        return true;
    }
    if (!access_session_machine(erasure->options.access, arena, "system", text_at(request, 0, "organization"),
                                &session, error)) {
        return false;
    }
    struct audit_record record = audit_record_of(&session, act);
    record.route = STR("/fhir/{type}/{id}/$erase");
    record.id = leaving->version.id;
    record.outcome = AUDIT_SUCCESS;
    return audit_encode(arena, &record, &set.audit_record, error) &&
           store_write_and_wait(erasure->options.store, &set, error);
}

static bool put_record(void *data, struct store_transaction *transaction, struct error *error)
{
    return store_rows_put(transaction, &record_table, data, error);
}

static bool erase_record(struct erasure *erasure, struct leaving *leaving, const struct store_rows *request,
                         struct error *error)
{
    struct arena arena = { .bytes_max = LIMIT_BUNDLE_BYTES };
    struct store_reader *reader = NULL;
    struct store_erased erased = { 0 };
    struct str id = leaving->row[2].text;
    struct str type = STR_NONE;
    bool ok = str_split_next(&id, '/', &type) && store_reader_begin(erasure->options.store, &reader, error) &&
              store_read(reader, &arena, type, id, &leaving->version, error);
    store_reader_end(reader);
    ok = ok && delete_current(erasure, &arena, leaving, request, error) &&
         store_erase(erasure->options.store, type, id, &erased, error);
    if (ok) {
        leaving->row[3] = store_integer((int64_t)erased.versions);
        leaving->row[4] = store_text(str_from_cstr(erased.hash));
        leaving->row[5] = store_integer(clock_now_ms());
        ok = store_apply_and_wait(erasure->options.store, put_record, leaving->row, STR_NONE, error);
    }
    arena_deinit(&arena);
    return ok;
}

static bool read_rows(struct erasure *erasure, struct arena *arena, struct str id, struct store_rows *request,
                      struct store_rows *records, struct error *error)
{
    struct store_reader *reader = NULL;
    const struct store_where of_request = { "request", STORE_EQUAL, store_text(id) };
    const struct store_where own = { "id", STORE_EQUAL, store_text(id) };
    if (!store_reader_begin(erasure->options.store, &reader, error)) {
        return false;
    }
    bool ok =
        store_rows_find(reader, arena, &request_table,
                        &(struct store_rows_query){ .where = &own, .where_count = 1 }, request, error) &&
        store_rows_find(reader, arena, &record_table,
                        &(struct store_rows_query){ .where = &of_request, .where_count = 1 }, records, error);
    store_reader_end(reader);
    return ok &&
           (request->rows_count == 1 || FAIL(error, ERROR_INTERNAL, "the request to erase is not there"));
}

static bool run(void *data, struct arena *arena, const struct store_job *job, struct str *result,
                struct error *error)
{
    struct erasure *erasure = data;
    struct json *input = NULL;
    struct store_rows request = { 0 };
    struct store_rows records = { 0 };
    struct store_value row[REQUEST_COLUMNS];
    if (!json_read(arena, job->input, &input, error) ||
        !read_rows(erasure, arena, JSON_TEXT(arena, input, "request"), &request, &records, error)) {
        return false;
    }
    for (size_t i = 0; i < records.rows_count; i++) {
        struct leaving leaving = { .erasure = erasure };
        memcpy(leaving.row, records.values + i * RECORD_COLUMNS, sizeof leaving.row);
        bool done = leaving.row[5].integer > 0;
        if (!done && (!erase_record(erasure, &leaving, &request, error) ||
                      !store_job_progress(erasure->options.store, job->id,
                                          (unsigned)(1000 * (i + 1) / records.rows_count), error))) {
            return false;
        }
    }
    memcpy(row, request.values, sizeof row);
    row[10] = store_text(STR("done"));
    row[13] = store_integer(clock_now_ms());
    *result = STR("{}");
    return store_apply_and_wait(erasure->options.store, put_request, row, STR_NONE, error);
}

struct job_kind erasure_job_kind(struct erasure *erasure)
{
    return (struct job_kind){
        .name = ERASURE_JOB, .data = erasure, .run = run, .attempts_max = ATTEMPTS_MAX, .is_lasting = true
    };
}
