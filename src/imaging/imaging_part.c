/* imaging_part.c — what somebody else sent into a study that has its first sender and patient: kept apart, hidden from all
 * ways out by the archive, and asked of the study's hospital. A decision is written down before it is carried out, and is
 * said again at each start, so neither a crash nor an image index that was made anew can show what nobody let in. */
#include <stdio.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/limits.h"
#include "imaging/imaging_internal.h"

/* What stands in the column verdict: the archive's, and that of a study rejected as a whole. */
enum { VERDICT_WHOLE_REJECTED = 4 };
static_assert((int)ARCHIVE_FIRST < VERDICT_WHOLE_REJECTED, "the numbers are stored");

enum { SETTLE_PAGE_ROWS = 500, PART_ID_BYTES = 17 };

static const struct store_column part_columns[] = {
    { "study", STORE_VALUE_TEXT, 1 },          { "organization", STORE_VALUE_TEXT, 1 },
    { "patient_id", STORE_VALUE_TEXT, 1 },     { "owner", STORE_VALUE_TEXT, 1 },
    { "verdict", STORE_VALUE_INTEGER, 1 },     { "reason", STORE_VALUE_TEXT, 1 },
    { "received_ms", STORE_VALUE_INTEGER, 1 }, { "patient_name", STORE_VALUE_TEXT, 1 },
    { "birth_date", STORE_VALUE_TEXT, 1 },     { "gender", STORE_VALUE_TEXT, 1 },
    { "modalities", STORE_VALUE_TEXT, 1 },     { "instances", STORE_VALUE_INTEGER, 1 },
    { "decided_ms", STORE_VALUE_INTEGER, 1 },  { "decided_by", STORE_VALUE_TEXT, 1 },
};

static const struct store_table part_table = {
    .name = "imaging_part",
    .version = 1,
    .columns = part_columns,
    .columns_count = sizeof part_columns / sizeof *part_columns,
    .key_columns = 3,
};

const struct store_table *imaging_part_table(void)
{
    return &part_table;
}

/* ---- rows ---- */

/* A part's key is never NULL. */
static struct store_value key_text(struct str text)
{
    return store_text(text.at == NULL ? STR("") : text);
}

struct part {
    struct str study;
    struct str owner; /* who decides */
    struct archive_source source;
    int64_t verdict;
    const char *reason;
    struct str decided_by;
};

static bool put_part(struct store_transaction *transaction, const struct part *part, struct error *error)
{
    const struct archive_patient *patient = &part->source.patient;
    struct str name =
        patient->name_ideographic.len > 0 ? patient->name_ideographic : patient->name_alphabetic;
    int64_t now_ms = store_transaction_time(transaction);
    const struct store_value none = { .kind = STORE_VALUE_NULL };
    const struct store_value row[] = {
        store_text(part->study),
        key_text(part->source.organization),
        key_text(patient->id),
        store_text(part->owner),
        store_integer(part->verdict),
        part->reason == NULL ? none : store_text(str_from_cstr(part->reason)),
        store_integer(now_ms),
        store_text(name),
        store_text(patient->birth_date),
        store_text(patient->gender),
        store_text(part->source.modalities),
        store_integer((int64_t)part->source.instances_count),
        part->verdict == ARCHIVE_HELD ? none : store_integer(now_ms),
        store_text(part->decided_by),
    };
    static_assert(sizeof row / sizeof *row == sizeof part_columns / sizeof *part_columns, "a value a column");
    return store_rows_put(transaction, &part_table, row, error);
}

static struct str row_text(const struct store_rows *rows, size_t row, const char *column)
{
    const struct store_value *value = store_rows_value(&part_table, rows, row, column);
    return value->kind == STORE_VALUE_TEXT ? value->text : STR_NONE;
}

static int64_t row_number(const struct store_rows *rows, size_t row, const char *column)
{
    return store_rows_value(&part_table, rows, row, column)->integer;
}

/* The row's verdict, -1 when there is none. */
static bool read_verdict(struct store_reader *reader, struct arena *arena, struct str study,
                         const struct archive_source *source, int64_t *verdict, struct error *error)
{
    const struct store_value *row = NULL;
    const struct store_value key[] = { store_text(study), key_text(source->organization),
                                       key_text(source->patient.id) };
    bool ok = store_rows_get(reader, arena, &part_table, key, &row, error);
    *verdict = ok && row != NULL ? row[4].integer : -1;
    return ok;
}

static bool find_verdict(struct imaging *imaging, struct arena *arena, struct str study,
                         const struct archive_source *source, int64_t *verdict, struct error *error)
{
    struct store_reader *reader = NULL;
    if (!store_reader_begin(imaging->options.store, &reader, error)) {
        return false;
    }
    bool ok = read_verdict(reader, arena, study, source, verdict, error);
    store_reader_end(reader);
    return ok;
}

/* ---- asking ---- */

struct asking {
    struct arena *arena;
    const struct part *parts;
    size_t count;
};

/* In the writer's turn: what a person has decided meanwhile stays decided. */
static bool asking_apply(void *data, struct store_transaction *transaction, struct error *error)
{
    const struct asking *asking = data;
    struct store_reader *reader = store_transaction_reader(transaction);
    bool ok = true;
    for (size_t i = 0; ok && i < asking->count; i++) {
        const struct part *part = &asking->parts[i];
        int64_t decided = -1;
        ok = read_verdict(reader, asking->arena, part->study, &part->source, &decided, error) &&
             ((decided >= 0 && decided != ARCHIVE_HELD) || put_part(transaction, part, error));
    }
    return ok;
}

/* A source that nobody has decided about: let in when the same hospital sent it of the same patient (a department beside
 * the first one), else *reason why it is held. */
static bool judge(struct imaging *imaging, struct arena *arena, const struct archive_study *study,
                  const struct archive_source *source, const char **reason, struct error *error)
{
    struct str first = STR_NONE;
    struct str other = STR_NONE;
    if (!access_tenant_of(imaging->options.access, arena, study->organization, &first, error) ||
        !access_tenant_of(imaging->options.access, arena, source->organization, &other, error)) {
        return false;
    }
    if (!str_equal(first, other)) {
        *reason = "other-sender-in-study";
    } else {
        *reason = str_equal(study->patient.id, source->patient.id) ? NULL : "other-patient-in-study";
    }
    return true;
}

static bool carry_out(struct imaging *imaging, struct str study, const struct archive_source *source,
                      enum archive_verdict verdict, struct error *error)
{
    const struct archive_decision decision = { .study = study,
                                               .organization = source->organization,
                                               .patient_id = source->patient.id,
                                               .verdict = verdict };
    return archive_decide(imaging->archive, &decision, error);
}

static bool ask_one(struct imaging *imaging, struct arena *arena, const struct archive_study *study,
                    struct part *part, struct imaging_parts *parts, struct error *error)
{
    int64_t decided = -1;
    if (!find_verdict(imaging, arena, part->study, &part->source, &decided, error)) {
        return false;
    }
    if (decided == ARCHIVE_RELEASED || decided == ARCHIVE_REJECTED) { /* written down, not carried out */
        parts->has_released = true;
        part->verdict = decided;
        return carry_out(imaging, part->study, &part->source, (enum archive_verdict)decided, error);
    }
    if (!judge(imaging, arena, study, &part->source, &part->reason, error)) {
        return false;
    }
    if (part->reason == NULL) {
        parts->has_released = true;
        part->verdict = ARCHIVE_RELEASED;
        return carry_out(imaging, part->study, &part->source, ARCHIVE_RELEASED, error);
    }
    parts->has_other_patient =
        parts->has_other_patient || strcmp(part->reason, "other-patient-in-study") == 0;
    return true;
}

bool imaging_ask_parts(struct imaging *imaging, struct arena *arena, struct str study_uid,
                       const struct archive_study *study, struct imaging_parts *parts, struct error *error)
{
    struct archive_source *sources = NULL;
    size_t count = 0;
    int64_t first_verdict = -1;
    struct archive_source first = { .organization = study->organization,
                                    .patient = study->patient,
                                    .modalities = study->modalities };
    *parts = (struct imaging_parts){ 0 };
    if (!archive_list_sources(imaging->archive, arena, study_uid, &sources, &count, error) ||
        !find_verdict(imaging, arena, study_uid, &first, &first_verdict, error)) {
        return false;
    }
    parts->is_rejected = first_verdict == VERDICT_WHOLE_REJECTED;
    struct part *list = ARENA_ARRAY(arena, struct part, count + 1);
    struct asking asking = { .arena = arena, .parts = list };
    if (list == NULL) {
        return IMAGING_NO_MEMORY(error);
    }
    if (count > 0 && first_verdict < 0) {
        list[asking.count++] = (struct part){
            .study = study_uid, .owner = study->organization, .source = first, .verdict = ARCHIVE_FIRST
        };
    }
    for (size_t i = 0; i < count; i++) {
        if (sources[i].verdict != ARCHIVE_HELD) {
            continue;
        }
        struct part *part = &list[asking.count];
        *part = (struct part){
            .study = study_uid, .owner = study->organization, .source = sources[i], .verdict = ARCHIVE_HELD
        };
        if (!ask_one(imaging, arena, study, part, parts, error)) {
            return false;
        }
        asking.count += part->verdict == ARCHIVE_HELD ? 1 : 0;
    }
    return asking.count == 0 ||
           store_apply_and_wait(imaging->options.store, asking_apply, &asking, STR_NONE, error);
}

/* ---- at the start ---- */

static bool settle_row(struct imaging *imaging, const struct store_rows *rows, size_t row, bool firsts,
                       struct error *error)
{
    int64_t verdict = row_number(rows, row, "verdict");
    bool is_first = verdict == ARCHIVE_FIRST || verdict == VERDICT_WHOLE_REJECTED;
    const struct archive_source source = { .organization = row_text(rows, row, "organization"),
                                           .patient = { .id = row_text(rows, row, "patient_id") } };
    struct error cause = { 0 };
    if (is_first != firsts || verdict == ARCHIVE_HELD) {
        return true;
    }
    enum archive_verdict said = is_first ? ARCHIVE_FIRST : (enum archive_verdict)verdict;
    /* Not found: its images are lost, or were never sent again. */
    return carry_out(imaging, row_text(rows, row, "study"), &source, said, &cause) ||
           cause.kind == ERROR_NOT_FOUND || cause.kind == ERROR_RULE ||
           FAIL(error, cause.kind, "%s", cause.text);
}

/* Who began each study first, then what became of the others. */
static bool settle(struct imaging *imaging, bool firsts, struct error *error)
{
    struct arena arena = { .bytes_max = LIMIT_REQUEST_ARENA_BYTES };
    struct store_rows_query query = { .limit = SETTLE_PAGE_ROWS };
    struct store_rows rows = { .rows_count = SETTLE_PAGE_ROWS };
    bool ok = true;
    while (ok && rows.rows_count == SETTLE_PAGE_ROWS) {
        struct store_reader *reader = NULL;
        ok = store_reader_begin(imaging->options.store, &reader, error);
        if (ok) {
            ok = store_rows_find(reader, &arena, &part_table, &query, &rows, error);
            store_reader_end(reader);
        }
        for (size_t i = 0; ok && i < rows.rows_count; i++) {
            ok = settle_row(imaging, &rows, i, firsts, error);
        }
        query.offset += SETTLE_PAGE_ROWS;
        arena_reset(&arena);
    }
    arena_deinit(&arena);
    return ok;
}

bool imaging_settle_parts(struct imaging *imaging, struct error *error)
{
    return settle(imaging, true, error) && settle(imaging, false, error);
}

/* ---- what there is to decide ---- */

/* A part is named by its sender and Patient ID without saying them. */
static void part_id(struct str organization, struct str patient_id, char id[PART_ID_BYTES])
{
    (void)snprintf(id, PART_ID_BYTES, "%016llx",
                   (unsigned long long)hash64(patient_id, hash64(organization, 0x50415254)));
}

static bool held_parts(struct imaging *imaging, const struct access_session *session, struct arena *arena,
                       struct str study, struct store_rows **rows, size_t *count, struct error *error)
{
    const struct imaging_rows_query query = {
        .table = &part_table,
        .organization = "owner",
        .where = { { "verdict", STORE_EQUAL, store_integer(ARCHIVE_HELD) },
                   { "study", STORE_EQUAL, store_text(study) } },
        .where_count = study.at == NULL ? 1 : 2,
    };
    return imaging_held_rows(imaging, session, arena, &query, rows, count, error);
}

static struct archive_patient row_patient(const struct store_rows *rows, size_t row)
{
    return (struct archive_patient){ .id = row_text(rows, row, "patient_id"),
                                     .name_ideographic = row_text(rows, row, "patient_name"),
                                     .birth_date = row_text(rows, row, "birth_date"),
                                     .gender = row_text(rows, row, "gender") };
}

/* The patient of the study is the one that may be meant, where the session may see him. */
static bool add_subject(struct imaging *imaging, struct arena *arena, const struct store_filter *filter,
                        const struct archive_patient *images, struct json *entry, struct error *error)
{
    struct json *list = json_add(entry, STR("candidates"), json_new(arena, JSON_ARRAY));
    struct json *study = NULL;
    struct json *patient = NULL;
    size_t count = 0;
    const struct imaging_search of_study = {
        .type = STR("ImagingStudy"), .query = imaging_study_query(arena, JSON_TEXT(arena, entry, "study"))
    };
    if (!imaging_find_one(imaging, arena, &of_study, &study, &count, error)) {
        return false;
    }
    struct str subject = JSON_TEXT(arena, JSON_GET(study, "subject"), "reference");
    if (!str_starts_with(subject, STR("Patient/"))) {
        return true;
    }
    const struct imaging_search of_patient = { .type = STR("Patient"),
                                               .query = imaging_query(arena, "_id", str_skip(subject, 8)),
                                               .filter = filter };
    if (!imaging_find_one(imaging, arena, &of_patient, &patient, &count, error)) {
        return false;
    }
    if (patient != NULL) {
        imaging_add_candidate(arena, list, patient, images);
    }
    return true;
}

static struct json *part_entry(struct imaging *imaging, struct arena *arena, const struct store_rows *rows,
                               size_t row)
{
    struct json *entry = json_new(arena, JSON_OBJECT);
    struct json *patient = json_new(arena, JSON_OBJECT);
    struct str sender = row_text(rows, row, "organization");
    char id[PART_ID_BYTES];
    char time[INSTANT_BYTES];
    part_id(sender, row_text(rows, row, "patient_id"), id);
    (void)instant_format(row_number(rows, row, "received_ms"), imaging->options.offset_minutes, time);
    const struct {
        struct json *object;
        const char *name;
        struct str text;
    } texts[] = { { entry, "study", row_text(rows, row, "study") },
                  { entry, "part", arena_dup(arena, str_from_cstr(id)) },
                  { entry, "sender", arena_printf(arena, "Organization/%.*s", STR_FMT(sender)) },
                  { entry, "reason", row_text(rows, row, "reason") },
                  { entry, "receivedAt", arena_dup(arena, str_from_cstr(time)) },
                  { entry, "modality", row_text(rows, row, "modalities") },
                  { patient, "id", row_text(rows, row, "patient_id") },
                  { patient, "name", row_text(rows, row, "patient_name") },
                  { patient, "birthDate", row_text(rows, row, "birth_date") },
                  { patient, "gender", row_text(rows, row, "gender") } };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        if (texts[i].text.len > 0) {
            (void)json_add_text(arena, texts[i].object, str_from_cstr(texts[i].name), texts[i].text);
        }
    }
    (void)json_add(entry, STR("instances"), json_new_integer(arena, row_number(rows, row, "instances")));
    (void)json_add(entry, STR("patient"), patient);
    return entry;
}

bool imaging_list_parts(struct imaging *imaging, const struct access_session *session, struct arena *arena,
                        struct json *list, struct error *error)
{
    struct store_rows *sets = NULL;
    size_t count = 0;
    const struct store_filter *filter = NULL;
    const struct access_act read = { .interaction = ACCESS_READ, .type = STR("Patient") };
    if (!access_filter(session, read, arena, &filter, error) ||
        !held_parts(imaging, session, arena, STR_NONE, &sets, &count, error)) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        for (size_t row = 0; row < sets[i].rows_count; row++) {
            const struct archive_patient images = row_patient(&sets[i], row);
            struct json *entry = json_append(list, part_entry(imaging, arena, &sets[i], row));
            if (entry == NULL) {
                return IMAGING_NO_MEMORY(error);
            }
            if (!add_subject(imaging, arena, filter, &images, entry, error)) {
                return false;
            }
        }
    }
    return true;
}

/* ---- deciding ---- */

static bool find_part(struct imaging *imaging, const struct access_session *session, struct arena *arena,
                      struct str study, struct str part, struct archive_source *source, struct error *error)
{
    struct store_rows *sets = NULL;
    size_t count = 0;
    if (!held_parts(imaging, session, arena, study, &sets, &count, error)) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        for (size_t row = 0; row < sets[i].rows_count; row++) {
            char id[PART_ID_BYTES];
            struct str sender = row_text(&sets[i], row, "organization");
            part_id(sender, row_text(&sets[i], row, "patient_id"), id);
            if (str_equal_cstr(part, id)) {
                *source =
                    (struct archive_source){ .organization = sender, .patient = row_patient(&sets[i], row) };
                return true;
            }
        }
    }
    return FAIL(error, ERROR_NOT_FOUND, "there are no such images waiting for a decision");
}

struct deciding {
    struct str study;
    const struct archive_source *source;
    const struct access_session *session;
    enum archive_verdict verdict;
};

static bool decide_apply(void *data, struct store_transaction *transaction, struct error *error)
{
    const struct deciding *deciding = data;
    const struct store_where where[] = {
        { "study", STORE_EQUAL, store_text(deciding->study) },
        { "organization", STORE_EQUAL, key_text(deciding->source->organization) },
        { "patient_id", STORE_EQUAL, key_text(deciding->source->patient.id) },
        { "verdict", STORE_EQUAL, store_integer(ARCHIVE_HELD) },
    };
    const struct store_rows_query query = { .where = where, .where_count = 4 };
    const struct store_change changes[] = {
        { "verdict", store_integer(deciding->verdict) },
        { "decided_ms", store_integer(store_transaction_time(transaction)) },
        { "decided_by", store_text(deciding->session->post) },
    };
    uint64_t count = 0;
    return store_rows_update(transaction, &part_table, &query, changes, 3, &count, error) &&
           (count == 1 || FAIL(error, ERROR_CONFLICT, "somebody else has decided about these images"));
}

static bool decide(struct imaging *imaging, struct deciding *deciding, struct error *error)
{
    return store_apply_and_wait(imaging->options.store, decide_apply, deciding, STR_NONE, error) &&
           carry_out(imaging, deciding->study, deciding->source, deciding->verdict, error);
}

bool imaging_release_part(struct imaging *imaging, const struct access_session *session, struct arena *arena,
                          const struct imaging_match *match, const struct json *patient, struct error *error)
{
    struct archive_source source = { 0 };
    struct archive_study study = { 0 };
    struct json *known = NULL;
    size_t count = 0;
    const struct imaging_search search = { .type = STR("ImagingStudy"),
                                           .query = imaging_study_query(arena, match->study) };
    struct deciding deciding = {
        .study = match->study, .source = &source, .session = session, .verdict = ARCHIVE_RELEASED
    };
    if (!find_part(imaging, session, arena, match->study, match->part, &source, error) ||
        !imaging_find_one(imaging, arena, &search, &known, &count, error)) {
        return false;
    }
    if (known == NULL ||
        !json_equals_text(JSON_GET(JSON_GET(known, "subject"), "reference"), match->patient)) {
        return FAIL(error, ERROR_RULE, "a study has one patient: these images cannot be another patient's");
    }
    if (!match->is_confirmed && imaging_identity_problem(arena, patient, &source.patient) != NULL) {
        return FAIL(
            error, ERROR_RULE,
            "the images name another name, sex or date of birth than the record: compare both and confirm");
    }
    return decide(imaging, &deciding, error) &&
           archive_imaging_study(imaging->archive, arena, match->study, &study, error) &&
           imaging_write_study(imaging, arena, match->study, match->patient, &study, error);
}

bool imaging_reject_part(struct imaging *imaging, const struct access_session *session, struct arena *arena,
                         struct str study_uid, struct str part, struct error *error)
{
    struct archive_source source = { 0 };
    struct deciding deciding = {
        .study = study_uid, .source = &source, .session = session, .verdict = ARCHIVE_REJECTED
    };
    return find_part(imaging, session, arena, study_uid, part, &source, error) &&
           decide(imaging, &deciding, error);
}

bool imaging_reject_whole(struct store_transaction *transaction, const struct access_session *session,
                          struct str study_uid, const struct archive_study *study, struct error *error)
{
    const struct part part = { .study = study_uid,
                               .owner = study->organization,
                               .source = { .organization = study->organization,
                                           .patient = study->patient,
                                           .modalities = study->modalities,
                                           .instances_count = study->instances_count },
                               .verdict = VERDICT_WHOLE_REJECTED,
                               .decided_by = session->post };
    return put_part(transaction, &part, error);
}
