/* Opening, and from a study at rest to its records. */
#include "imaging/imaging.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/uuid.h"
#include "change/change.h"
#include "fhir/search_query.h"
#include "imaging/imaging_internal.h"
#include "store/body.h"

/* ---- held studies: machinery, guarded as records are ---- */

static const struct store_column held_columns[] = {
    { "study", STORE_VALUE_TEXT, 1 },      { "organization", STORE_VALUE_TEXT, 1 },
    { "reason", STORE_VALUE_TEXT, 1 },     { "received_ms", STORE_VALUE_INTEGER, 1 },
    { "patient_id", STORE_VALUE_TEXT, 1 }, { "patient_name", STORE_VALUE_TEXT, 1 },
    { "birth_date", STORE_VALUE_TEXT, 1 }, { "gender", STORE_VALUE_TEXT, 1 },
    { "modalities", STORE_VALUE_TEXT, 1 }, { "instances", STORE_VALUE_INTEGER, 1 },
};

static const struct store_table held_table = {
    .name = "imaging_held",
    .version = 1,
    .columns = held_columns,
    .columns_count = sizeof held_columns / sizeof *held_columns,
    .key_columns = 1,
};

const struct store_table *imaging_held_table(void)
{
    return &held_table;
}

/* ---- looking ---- */

struct str imaging_study_query(struct arena *arena, struct str study_uid)
{
    return arena_printf(arena, "identifier=urn:dicom:uid%%7Curn:oid:%.*s", STR_FMT(study_uid));
}

bool imaging_find(struct imaging *imaging, struct arena *arena, const struct imaging_search *search,
                  struct imaging_found *found, struct error *error)
{
    struct search_query query = { 0 };
    struct store_hits hits = { 0 };
    struct store_reader *reader = NULL;
    const struct search_options options = { .type = search->type,
                                            .offset_minutes = imaging->options.offset_minutes };
    const struct store_search asked = { .query = &query, .filter = search->filter, .now_ms = clock_now_ms() };
    *found = (struct imaging_found){ 0 };
    if (!search_query_parse_text(arena, &options, search->query, &query, error) ||
        !store_reader_begin(imaging->options.store, &reader, error)) {
        return false;
    }
    bool ok = store_search(reader, arena, &asked, &hits, error);
    store_reader_end(reader);
    found->count = ok ? hits.matches_count : 0;
    for (size_t i = 0; ok && i < found->count && i < IMAGING_FOUND_MAX; i++) {
        struct str text = STR_NONE;
        ok = store_body_text(arena, &hits.hits[i].version, &text, error) &&
             json_read(arena, text, &found->trees[i], error);
    }
    return ok;
}

bool imaging_find_one(struct imaging *imaging, struct arena *arena, const struct imaging_search *search,
                      struct json **tree, size_t *count, struct error *error)
{
    struct imaging_found found;
    *tree = NULL;
    *count = 0;
    if (!imaging_find(imaging, arena, search, &found, error)) {
        return false;
    }
    *tree = found.trees[0];
    *count = found.count;
    return true;
}

bool imaging_find_id(struct imaging *imaging, struct arena *arena, const struct imaging_search *search,
                     struct str *id, struct error *error)
{
    struct search_query query = { 0 };
    struct store_hits hits = { 0 };
    struct store_reader *reader = NULL;
    const struct search_options options = { .type = search->type,
                                            .offset_minutes = imaging->options.offset_minutes };
    const struct store_search asked = {
        .query = &query, .filter = search->filter, .now_ms = clock_now_ms(), .without_bodies = true
    };
    if (!search_query_parse_text(arena, &options, search->query, &query, error) ||
        !store_reader_begin(imaging->options.store, &reader, error)) {
        return false;
    }
    bool ok = store_search(reader, arena, &asked, &hits, error);
    store_reader_end(reader);
    *id = ok && hits.matches_count > 0 ? hits.hits[0].version.id : STR_NONE;
    return ok;
}

bool imaging_exists(struct imaging *imaging, struct arena *arena, const struct imaging_search *search,
                    bool *exists, struct error *error)
{
    struct str id = STR_NONE;
    bool ok = imaging_find_id(imaging, arena, search, &id, error);
    *exists = ok && id.at != NULL;
    return ok;
}

bool imaging_may_see(struct imaging *imaging, const struct access_session *session, struct arena *arena,
                     struct str study_uid, bool *may, struct error *error)
{
    const struct access_act act = { .interaction = ACCESS_READ, .type = STR("ImagingStudy") };
    struct imaging_search search = { .type = act.type, .query = imaging_study_query(arena, study_uid) };
    *may = false;
    if (!access_has(session, act)) {
        return true;
    }
    return access_filter(session, act, arena, &search.filter, error) &&
           imaging_exists(imaging, arena, &search, may, error);
}

/* ---- whose study is it ---- */

/* The number is unknown, the name is not: a person must look at both sides (domain b5). */
static bool name_is_known(struct imaging *imaging, struct arena *arena, const struct store_filter *filter,
                          const struct archive_patient *images, const char **reason, struct error *error)
{
    struct imaging_found found = { 0 };
    const struct imaging_search search = { .type = STR("Patient"),
                                           .query =
                                               imaging_query(arena, "name:exact", images->name_ideographic),
                                           .filter = filter };
    if (images->name_ideographic.len > 0 && !imaging_find(imaging, arena, &search, &found, error)) {
        return false;
    }
    *reason = found.count > 0 ? "number-differs" : "no-patient";
    return true;
}

/* The patients of the whole hospital, also when a department of it sends. */
static bool take_custodians(struct imaging *imaging, struct arena *arena, struct str organization,
                            struct store_rule *rule, struct error *error)
{
    struct access_session session = { 0 };
    struct str tenant = STR_NONE;
    size_t count = 0;
    if (!access_tenant_of(imaging->options.access, arena, organization, &tenant, error) ||
        !access_session_machine(imaging->options.access, arena, "device", tenant, &session, error)) {
        return false;
    }
    const struct str *ids = access_organizations(&session, &count);
    uint64_t *keys = ARENA_ARRAY(arena, uint64_t, count + 1);
    if (keys == NULL) {
        return IMAGING_NO_MEMORY(error);
    }
    for (size_t i = 0; i < count; i++) {
        keys[i] = hash_resource_key(STR("Organization"), ids[i]);
    }
    rule->custodians = keys;
    rule->custodians_count = count;
    return true;
}

/* *patient is "Patient/…" or absent with *reason why it is held. */
static bool match_patient(struct imaging *imaging, struct arena *arena, const struct archive_study *study,
                          struct str *patient, const char **reason, struct error *error)
{
    struct store_rule rule = { .type = STR("Patient") };
    const struct store_filter filter = { .rules = &rule, .rules_count = 1, .now_ms = clock_now_ms() };
    struct json *tree = NULL;
    size_t count = 0;
    *patient = STR_NONE;
    *reason = "no-patient";
    if (study->organization.len == 0 || study->patient.id.len == 0) {
        return true;
    }
    if (!take_custodians(imaging, arena, study->organization, &rule, error)) {
        return false;
    }
    struct imaging_search search = { .type = rule.type, .filter = &filter };
    search.query = imaging_query(arena, "identifier", study->patient.id);
    if (!imaging_find_one(imaging, arena, &search, &tree, &count, error)) {
        return false;
    }
    if (count == 0) {
        return name_is_known(imaging, arena, &filter, &study->patient, reason, error);
    }
    if (count > 1) {
        *reason = "several-patients";
        return true;
    }
    *reason = imaging_identity_problem(arena, tree, &study->patient);
    if (*reason == NULL) {
        *patient = arena_printf(arena, "Patient/%.*s", STR_FMT(JSON_TEXT(arena, tree, "id")));
    }
    return true;
}

/* ---- holding ---- */

struct holding {
    struct str study_uid;
    const struct archive_study *study;
    const char *reason;
};

static bool hold_apply(void *data, struct store_transaction *transaction, struct error *error)
{
    const struct holding *holding = data;
    const struct archive_patient *patient = &holding->study->patient;
    struct str name =
        patient->name_ideographic.len > 0 ? patient->name_ideographic : patient->name_alphabetic;
    const struct store_value row[] = {
        store_text(holding->study_uid),
        store_text(holding->study->organization),
        store_text(str_from_cstr(holding->reason)),
        store_integer(store_transaction_time(transaction)),
        store_text(patient->id),
        store_text(name),
        store_text(patient->birth_date),
        store_text(patient->gender),
        store_text(holding->study->modalities),
        store_integer((int64_t)holding->study->instances_count),
    };
    return store_rows_put(transaction, &held_table, row, error);
}

static bool unhold_apply(void *data, struct store_transaction *transaction, struct error *error)
{
    const struct str *study_uid = data;
    const struct store_where where = { "study", STORE_EQUAL, store_text(*study_uid) };
    const struct store_rows_query query = { .where = &where, .where_count = 1 };
    return store_rows_delete(transaction, &held_table, &query, NULL, error);
}

/* ---- writing ---- */

struct json *imaging_reference(struct arena *arena, struct str reference)
{
    struct json *object = json_new(arena, JSON_OBJECT);
    (void)json_add_text(arena, object, STR("reference"), reference);
    return object;
}

struct json *imaging_concept(struct arena *arena, struct str system, struct str code, struct str display)
{
    struct json *concept = json_new(arena, JSON_OBJECT);
    struct json *codings = json_add(concept, STR("coding"), json_new(arena, JSON_ARRAY));
    struct json *coding = json_append(codings, json_new(arena, JSON_OBJECT));
    (void)json_add_text(arena, coding, STR("system"), system);
    (void)json_add_text(arena, coding, STR("code"), code);
    if (display.at != NULL) {
        (void)json_add_text(arena, coding, STR("display"), display);
    }
    return concept;
}

static struct json *list_of(struct arena *arena, struct json *value)
{
    struct json *list = json_new(arena, JSON_ARRAY);
    (void)json_append(list, value);
    return list;
}

struct measurement_ids {
    struct str study;
    struct str report;
    struct str task;
    struct str organization; /* "Organization/…" */
    struct str patient;
    struct str now;
};

static struct json *registered_report(struct arena *arena, const struct measurement_ids *ids)
{
    struct json *report = json_new(arena, JSON_OBJECT);
    (void)json_add_text(arena, report, STR("resourceType"), STR("DiagnosticReport"));
    (void)json_add_text(arena, report, STR("status"), STR("registered"));
    (void)json_add(report, STR("category"),
                   list_of(arena, imaging_concept(arena, STR("http://terminology.hl7.org/CodeSystem/v2-0074"),
                                                  STR("RAD"), STR("Radiology"))));
    (void)json_add(report, STR("code"),
                   imaging_concept(arena, STR("urn:shanhai:codes:ct-measurement"), STR("chest-ct"),
                                   STR("胸部 CT 定量测量")));
    (void)json_add(report, STR("subject"), imaging_reference(arena, ids->patient));
    (void)json_add(report, STR("performer"), list_of(arena, imaging_reference(arena, ids->organization)));
    (void)json_add(report, STR("imagingStudy"), list_of(arena, imaging_reference(arena, ids->study)));
    return report;
}

static struct json *queued_task(struct arena *arena, const struct measurement_ids *ids)
{
    struct json *task = json_new(arena, JSON_OBJECT);
    (void)json_add_text(arena, task, STR("resourceType"), STR("Task"));
    (void)json_add_text(arena, task, STR("status"), STR("requested"));
    (void)json_add(
        task, STR("businessStatus"),
        imaging_concept(arena, STR("urn:shanhai:codes:ct-measurement-state"), STR("queued"), STR("排队")));
    (void)json_add_text(arena, task, STR("intent"), STR("order"));
    (void)json_add(task, STR("code"),
                   imaging_concept(arena, STR("urn:shanhai:codes:workflow"), STR("ct-measurement"),
                                   STR("影像定量测量")));
    (void)json_add(
        task, STR("focus"),
        imaging_reference(arena, arena_printf(arena, "DiagnosticReport/%.*s", STR_FMT(ids->report))));
    (void)json_add(task, STR("for"), imaging_reference(arena, ids->patient));
    (void)json_add_text(arena, task, STR("authoredOn"), ids->now);
    (void)json_add(task, STR("owner"), imaging_reference(arena, ids->organization));
    return task;
}

static bool new_id(struct arena *arena, struct str *id, struct error *error)
{
    char text[UUID_TEXT_BYTES];
    if (!uuid_v7(clock_now_ms(), text, error)) {
        return false;
    }
    *id = arena_dup(arena, str_from_cstr(text));
    return id->at != NULL || IMAGING_NO_MEMORY(error);
}

static bool add_measurement(struct imaging *imaging, struct change_set *set, struct str study_uid,
                            const struct archive_study *study, struct measurement_ids *ids,
                            struct error *error)
{
    struct arena *arena = set->arena;
    char now[INSTANT_BYTES];
    (void)instant_format(clock_now_ms(), imaging->options.offset_minutes, now);
    ids->now = arena_dup(arena, str_from_cstr(now));
    if (!new_id(arena, &ids->report, error) || !new_id(arena, &ids->task, error)) {
        return false;
    }
    set->entries[set->entries_count++] = (struct change_entry){ .kind = CHANGE_CREATE,
                                                                .type = STR("DiagnosticReport"),
                                                                .id = ids->report,
                                                                .resource = registered_report(arena, ids) };
    set->entries[set->entries_count++] = (struct change_entry){
        .kind = CHANGE_CREATE, .type = STR("Task"), .id = ids->task, .resource = queued_task(arena, ids)
    };
    struct store_job_new *job = ARENA_NEW(arena, struct store_job_new);
    if (job == NULL) {
        return IMAGING_NO_MEMORY(error);
    }
    struct str input = arena_printf(
        arena, "{\"task\":\"%.*s\",\"study\":\"%.*s\",\"series\":\"%.*s\",\"organization\":\"%.*s\"}",
        STR_FMT(ids->task), STR_FMT(study_uid), STR_FMT(study->chest_ct_series),
        STR_FMT(study->organization));
    *job = (struct store_job_new){ .kind = STR(IMAGING_JOB_KIND), .subject = ids->study, .input = input };
    set->jobs = job;
    set->jobs_count = 1;
    return input.at != NULL || IMAGING_NO_MEMORY(error);
}

static bool grew(const struct json *before, const struct json *now)
{
    return before == NULL ||
           !json_equal(JSON_GET(before, "numberOfInstances"), JSON_GET(now, "numberOfInstances"));
}

bool imaging_write_study(struct imaging *imaging, struct arena *arena, struct str study_uid,
                         struct str patient, const struct archive_study *study, struct error *error)
{
    struct json *before = NULL;
    size_t count = 0;
    struct access_session session;
    struct measurement_ids ids = { .patient = patient };
    struct change_entry entries[3] = { { 0 } };
    const struct imaging_search search = { .type = STR("ImagingStudy"),
                                           .query = imaging_study_query(arena, study_uid) };
    struct change_set set = { .arena = arena,
                              .session = &session,
                              .route = STR("study"),
                              .entries = entries,
                              .entries_count = 1,
                              .by_workflow = true,
                              .apply = unhold_apply,
                              .apply_data = &study_uid };
    if (!access_session_machine(imaging->options.access, arena, "device", study->organization, &session,
                                error) ||
        !imaging_find_one(imaging, arena, &search, &before, &count, error)) {
        return false;
    }
    struct json *resource = study->imaging_study;
    if (json_set(resource, STR("subject"), imaging_reference(arena, patient)) == NULL) {
        return IMAGING_NO_MEMORY(error);
    }
    struct str id = JSON_TEXT(arena, before, "id");
    if (id.at == NULL && !new_id(arena, &id, error)) {
        return false;
    }
    ids.study = arena_printf(arena, "ImagingStudy/%.*s", STR_FMT(id));
    ids.organization = arena_printf(arena, "Organization/%.*s", STR_FMT(study->organization));
    entries[0] = (struct change_entry){ .kind = before == NULL ? CHANGE_CREATE : CHANGE_UPDATE,
                                        .type = search.type,
                                        .id = id,
                                        .resource = resource };
    bool measured = study->chest_ct_series.len > 0 && grew(before, resource);
    bool is_waiting = false;
    if (measured && before != NULL &&
        !imaging_supersede(imaging, arena, ids.study, study->organization, &is_waiting, error)) {
        return false;
    }
    if (measured && !is_waiting && !add_measurement(imaging, &set, study_uid, study, &ids, error)) {
        return false;
    }
    return change_apply(imaging->options.change, &set, error);
}

/* ---- measuring again ---- */

/* A study is measured again by hand when nothing came of what was begun: it was stopped, failed, or the images were not
 * fit (and more may have come since). */
static bool may_measure_again(struct imaging *imaging, struct arena *arena, struct str study_uid,
                              struct error *error)
{
    static const char *const ends[] = { "stopped", "failed", "unfit", "superseded" };
    struct store_job *jobs = NULL;
    size_t count = 0;
    if (!imaging_measurements(imaging, arena, study_uid, &jobs, &count, error)) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        struct json *input = NULL;
        struct str state = STR_NONE;
        bool is_over = false;
        if (!json_read(arena, jobs[i].input, &input, error) ||
            !imaging_task_state(imaging, arena, JSON_TEXT(arena, input, "task"), &state, error)) {
            return false;
        }
        for (size_t k = 0; k < sizeof ends / sizeof *ends; k++) {
            is_over = is_over || str_equal_cstr(state, ends[k]);
        }
        if (!is_over) {
            return FAIL(error, ERROR_RULE, "the study is being measured, or was measured already");
        }
    }
    return true;
}

bool imaging_measure_again(struct imaging *imaging, const struct access_session *session, struct arena *arena,
                           struct str study_uid, struct error *error)
{
    struct json *known = NULL;
    size_t count = 0;
    struct archive_study study = { 0 };
    struct str tenant = STR_NONE;
    struct change_entry entries[2] = { { 0 } };
    struct measurement_ids ids = { 0 };
    struct change_set set = { .arena = arena,
                              .session = session,
                              .route = STR("/studies/{study}/measurement"),
                              .entries = entries,
                              .by_workflow = true };
    const struct imaging_search search = { .type = STR("ImagingStudy"),
                                           .query = imaging_study_query(arena, study_uid) };
    if (!access_need_right(session, "measure", error) ||
        !imaging_find_one(imaging, arena, &search, &known, &count, error) ||
        !archive_imaging_study(imaging->archive, arena, study_uid, &study, error) ||
        !access_tenant_of(imaging->options.access, arena, study.organization, &tenant, error)) {
        return false;
    }
    if (known == NULL) {
        return FAIL(error, ERROR_NOT_FOUND, "there is no such study");
    }
    if (!str_equal(tenant, session->tenant)) {
        return FAIL(error, ERROR_FORBIDDEN,
                    "only a doctor of the hospital that owns the images measures them");
    }
    if (study.chest_ct_series.len == 0) {
        return FAIL(error, ERROR_RULE, "the study has no chest CT that could be measured");
    }
    ids.study = arena_printf(arena, "ImagingStudy/%.*s", STR_FMT(JSON_TEXT(arena, known, "id")));
    ids.organization = arena_printf(arena, "Organization/%.*s", STR_FMT(study.organization));
    ids.patient = JSON_TEXT(arena, JSON_GET(known, "subject"), "reference");
    /* Two who ask in the same moment: the second looks when the first one's is stored. */
    (void)pthread_mutex_lock(&imaging->measuring);
    bool begun = may_measure_again(imaging, arena, study_uid, error) &&
                 add_measurement(imaging, &set, study_uid, &study, &ids, error) &&
                 change_apply(imaging->options.change, &set, error);
    (void)pthread_mutex_unlock(&imaging->measuring);
    return begun;
}

static bool attach_or_hold(struct imaging *imaging, struct arena *arena, struct str study_uid,
                           const struct archive_study *study, const struct imaging_parts *parts,
                           struct error *error)
{
    struct json *known = NULL;
    size_t count = 0;
    struct str patient = STR_NONE;
    const char *reason = NULL;
    const struct imaging_search search = { .type = STR("ImagingStudy"),
                                           .query = imaging_study_query(arena, study_uid) };
    if (!imaging_find_one(imaging, arena, &search, &known, &count, error)) {
        return false;
    }
    if (known == NULL && parts->is_rejected) {
        return true;
    }
    if (known != NULL) {
        patient = JSON_TEXT(arena, JSON_GET(known, "subject"), "reference");
    } else if (!match_patient(imaging, arena, study, &patient, &reason, error)) {
        return false;
    }
    /* Two patients in one study that is nobody's yet: which of them is right is for a person to say. */
    if (known == NULL && patient.at != NULL && parts->has_other_patient) {
        reason = "other-patient-in-study";
        patient = STR_NONE;
    }
    if (patient.at != NULL) {
        return imaging_write_study(imaging, arena, study_uid, patient, study, error);
    }
    struct holding holding = { .study_uid = study_uid, .study = study, .reason = reason };
    return store_apply_and_wait(imaging->options.store, hold_apply, &holding, STR_NONE, error);
}

/* archive_host.study_changed */
static bool study_changed(void *context, struct str study_uid, struct error *error)
{
    struct imaging *imaging = context;
    struct arena arena = { .bytes_max = LIMIT_REQUEST_ARENA_BYTES };
    struct archive_study study = { 0 };
    struct imaging_parts parts = { 0 };
    bool ok = archive_imaging_study(imaging->archive, &arena, study_uid, &study, error) &&
              imaging_ask_parts(imaging, &arena, study_uid, &study, &parts, error);
    /* What was let in is told of once more, with all that is shown then. */
    if (ok && !parts.has_released) {
        ok = attach_or_hold(imaging, &arena, study_uid, &study, &parts, error);
    }
    arena_deinit(&arena);
    return ok;
}

/* ---- opening ---- */

/* archive_host.opened */
static bool archive_opened(void *context, struct archive *archive, struct error *error)
{
    struct imaging *imaging = context;
    imaging->archive = archive;
    return imaging_settle_parts(imaging, error);
}

bool imaging_open(struct arena *arena, const struct imaging_options *options, struct imaging **imaging,
                  struct error *error)
{
    struct imaging *made = ARENA_NEW(arena, struct imaging);
    if (made == NULL) {
        return IMAGING_NO_MEMORY(error);
    }
    made->options = *options;
    (void)pthread_mutex_init(&made->measuring, NULL);
    const struct archive_options archive = {
        .folder = options->folder,
        .charset_fallback = "GB18030",
        .offset_minutes = options->offset_minutes,
        .host = { .context = made, .opened = archive_opened, .study_changed = study_changed }
    };
    if (!archive_open(arena, &archive, &made->archive, error)) {
        return false;
    }
    *imaging = made;
    return true;
}

void imaging_close(struct imaging *imaging)
{
    if (imaging != NULL) {
        archive_close(imaging->archive);
        (void)pthread_mutex_destroy(&imaging->measuring);
    }
}

struct archive *imaging_archive(struct imaging *imaging)
{
    return imaging->archive;
}

struct job_kind imaging_job_kind(struct imaging *imaging)
{
    return (struct job_kind){ .name = IMAGING_JOB_KIND,
                              .data = imaging,
                              .run = imaging_run_measurement,
                              .given_up = imaging_measurement_given_up,
                              .attempts_max = 3 };
}
