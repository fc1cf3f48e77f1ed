/* Studies that wait for a person: what the images say beside what the records say, and the person's word. */
#include "base/clock.h"
#include "fhir/search_query.h"
#include "imaging/imaging_internal.h"

enum { CANDIDATES_ROWS_MAX = 100 }; /* held studies that come with the patients they may mean */

/* ---- who the images mean ---- */

/* Percent-encodes all but letters, digits and '-', '.', '_' (RFC 3986 unreserved). */
static struct str encode_value(struct arena *arena, struct str value)
{
    struct buf buf = { .bytes_max = value.len * 3 + 1 };
    for (size_t i = 0; i < value.len; i++) {
        char c = value.at[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                     c == '.' || c == '_';
        if (plain) {
            buf_add_char(&buf, c);
        } else {
            buf_printf(&buf, "%%%02X", (unsigned char)c);
        }
    }
    struct str encoded = buf.failed ? STR_NONE : arena_dup(arena, buf_str(&buf));
    buf_deinit(&buf);
    return encoded;
}

struct str imaging_query(struct arena *arena, const char *parameter, struct str value)
{
    return arena_printf(arena, "%s=%.*s", parameter, STR_FMT(encode_value(arena, value)));
}

static bool name_fits(const struct json *patient, struct str name)
{
    JSON_EACH(one, JSON_GET(patient, "name")) {
        if (json_equals_text(JSON_GET(one, "text"), name)) {
            return true;
        }
    }
    return name.len == 0;
}

/* In the order in which they are told: the first is the reason. */
enum { DIFFERS_BIRTH_DATE = 1, DIFFERS_SEX = 2, DIFFERS_NAME = 4 };

static unsigned differences(struct arena *arena, const struct json *patient,
                            const struct archive_patient *images)
{
    struct str birth_date = JSON_TEXT(arena, patient, "birthDate");
    struct str gender = JSON_TEXT(arena, patient, "gender");
    bool other_date =
        images->birth_date.len > 0 && birth_date.len > 0 && !str_equal(images->birth_date, birth_date);
    bool other_sex = images->gender.len > 0 && gender.len > 0 && !str_equal(images->gender, gender);
    return (other_date ? DIFFERS_BIRTH_DATE : 0u) | (other_sex ? DIFFERS_SEX : 0u) |
           (name_fits(patient, images->name_ideographic) ? 0u : DIFFERS_NAME);
}

const char *imaging_identity_problem(struct arena *arena, const struct json *patient,
                                     const struct archive_patient *images)
{
    unsigned differs = differences(arena, patient, images);
    if ((differs & DIFFERS_BIRTH_DATE) != 0) {
        return "birth-date-differs";
    }
    if ((differs & DIFFERS_SEX) != 0) {
        return "sex-differs";
    }
    return differs != 0 ? "name-differs" : NULL;
}

/* ---- the list ---- */

static void add_member(struct arena *arena, struct json *object, const char *name,
                       const struct store_value *value)
{
    if (value->kind == STORE_VALUE_TEXT) {
        (void)json_add_text(arena, object, str_from_cstr(name), value->text);
    } else if (value->kind == STORE_VALUE_INTEGER) {
        (void)json_add(object, str_from_cstr(name), json_new_integer(arena, value->integer));
    }
}

bool imaging_held_rows(struct imaging *imaging, const struct access_session *session, struct arena *arena,
                       const struct imaging_rows_query *query, struct store_rows **rows, size_t *count,
                       struct error *error)
{
    struct store_reader *reader = NULL;
    size_t organizations_count = 0;
    size_t found = 0;
    const struct str *organizations = access_organizations(session, &organizations_count);
    struct store_rows *sets = ARENA_ARRAY(arena, struct store_rows, organizations_count + 1);
    if (sets == NULL) {
        return IMAGING_NO_MEMORY(error);
    }
    if (!store_reader_begin(imaging->options.store, &reader, error)) {
        return false;
    }
    bool ok = true;
    for (size_t i = 0; ok && i < organizations_count; i++) {
        const struct store_where where[] = { { query->organization, STORE_EQUAL,
                                               store_text(organizations[i]) },
                                             query->where[0],
                                             query->where[1] };
        const struct store_rows_query asked = { .where = where,
                                                .where_count = 1 + query->where_count,
                                                .order = { "received_ms", NULL } };
        ok = store_rows_find(reader, arena, query->table, &asked, &sets[found], error);
        found += ok && sets[found].rows_count > 0 ? 1 : 0;
    }
    store_reader_end(reader);
    *rows = sets;
    *count = found;
    return ok;
}

static bool held_rows(struct imaging *imaging, const struct access_session *session, struct arena *arena,
                      struct str study, struct store_rows **rows, size_t *count, struct error *error)
{
    const struct imaging_rows_query query = { .table = imaging_held_table(),
                                              .organization = "organization",
                                              .where = { { "study", STORE_EQUAL, store_text(study) } },
                                              .where_count = study.at == NULL ? 0 : 1 };
    return imaging_held_rows(imaging, session, arena, &query, rows, count, error);
}

static struct str row_text(const struct store_rows *rows, size_t row, const char *column)
{
    const struct store_value *value = store_rows_value(imaging_held_table(), rows, row, column);
    return value->kind == STORE_VALUE_TEXT ? value->text : STR_NONE;
}

static bool is_ascii(struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        if ((unsigned char)text.at[i] >= 0x80) {
            return false;
        }
    }
    return true;
}

void imaging_add_candidate(struct arena *arena, struct json *list, const struct json *patient,
                           const struct archive_patient *images)
{
    static const struct {
        unsigned bit;
        const char *name;
    } kinds[] = { { DIFFERS_BIRTH_DATE, "birthDate" }, { DIFFERS_SEX, "gender" }, { DIFFERS_NAME, "name" } };
    struct str id = JSON_TEXT(arena, patient, "id");
    struct str reference = arena_printf(arena, "Patient/%.*s", STR_FMT(id));
    JSON_EACH(known, list) {
        if (json_equals_text(JSON_GET(known, "patient"), reference)) {
            return;
        }
    }
    struct json *entry = json_append(list, json_new(arena, JSON_OBJECT));
    (void)json_add_text(arena, entry, STR("patient"), reference);
    struct json *differs = json_add(entry, STR("differs"), json_new(arena, JSON_ARRAY));
    unsigned bits = differences(arena, patient, images);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if ((bits & kinds[i].bit) != 0) {
            (void)json_append(differs, json_new_string(arena, str_from_cstr(kinds[i].name)));
        }
    }
}

/* Patients of the hospital whose number or name is the images': the other side of the question. */
static bool add_candidates(struct imaging *imaging, struct arena *arena, const struct store_filter *filter,
                           const struct archive_patient *images, struct json *entry, struct error *error)
{
    struct json *list = json_add(entry, STR("candidates"), json_new(arena, JSON_ARRAY));
    const struct {
        const char *parameter;
        struct str value;
    } ways[] = { { "identifier", images->id }, { "name:exact", images->name_ideographic } };
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        struct imaging_found found = { 0 };
        const struct imaging_search search = { .type = STR("Patient"),
                                               .query =
                                                   imaging_query(arena, ways[i].parameter, ways[i].value),
                                               .filter = filter };
        if (ways[i].value.len > 0 && !imaging_find(imaging, arena, &search, &found, error)) {
            return false;
        }
        for (size_t k = 0; k < found.count && k < IMAGING_FOUND_MAX; k++) {
            imaging_add_candidate(arena, list, found.trees[k], images);
        }
    }
    return true;
}

static struct json *held_entry(struct imaging *imaging, struct arena *arena, const struct store_rows *rows,
                               size_t row)
{
    const struct store_table *table = imaging_held_table();
    struct json *entry = json_new(arena, JSON_OBJECT);
    add_member(arena, entry, "study", store_rows_value(table, rows, row, "study"));
    add_member(arena, entry, "reason", store_rows_value(table, rows, row, "reason"));
    char time[INSTANT_BYTES];
    (void)instant_format(store_rows_value(table, rows, row, "received_ms")->integer,
                         imaging->options.offset_minutes, time);
    (void)json_add_text(arena, entry, STR("receivedAt"), arena_dup(arena, str_from_cstr(time)));
    add_member(arena, entry, "modality", store_rows_value(table, rows, row, "modalities"));
    add_member(arena, entry, "instances", store_rows_value(table, rows, row, "instances"));
    struct json *patient = json_add(entry, STR("patient"), json_new(arena, JSON_OBJECT));
    add_member(arena, patient, "id", store_rows_value(table, rows, row, "patient_id"));
    add_member(arena, patient, "name", store_rows_value(table, rows, row, "patient_name"));
    add_member(arena, patient, "birthDate", store_rows_value(table, rows, row, "birth_date"));
    add_member(arena, patient, "gender", store_rows_value(table, rows, row, "gender"));
    return entry;
}

static bool list_whole(struct imaging *imaging, struct arena *arena, const struct store_filter *filter,
                       const struct store_rows *rows, struct json *list, struct error *error)
{
    for (size_t i = 0; i < rows->rows_count; i++) {
        struct str name = row_text(rows, i, "patient_name");
        const struct archive_patient images = { .id = row_text(rows, i, "patient_id"),
                                                .name_ideographic = is_ascii(name) ? STR_NONE : name,
                                                .birth_date = row_text(rows, i, "birth_date"),
                                                .gender = row_text(rows, i, "gender") };
        struct json *entry = json_append(list, held_entry(imaging, arena, rows, i));
        if (list->count <= CANDIDATES_ROWS_MAX &&
            !add_candidates(imaging, arena, filter, &images, entry, error)) {
            return false;
        }
    }
    return true;
}

bool imaging_held(struct imaging *imaging, const struct access_session *session, struct arena *arena,
                  struct json **list, struct error *error)
{
    struct store_rows *sets = NULL;
    size_t count = 0;
    const struct store_filter *filter = NULL;
    const struct access_act read = { .interaction = ACCESS_READ, .type = STR("Patient") };
    struct json *made = json_new(arena, JSON_ARRAY);
    if (made == NULL) {
        return IMAGING_NO_MEMORY(error);
    }
    if (!access_need_right(session, "studies-match", error) ||
        !access_filter(session, read, arena, &filter, error) ||
        !held_rows(imaging, session, arena, STR_NONE, &sets, &count, error)) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (!list_whole(imaging, arena, filter, &sets[i], made, error)) {
            return false;
        }
    }
    *list = made;
    return imaging_list_parts(imaging, session, arena, made, error);
}

/* ---- a person's word ---- */

static bool need_held(struct imaging *imaging, const struct access_session *session, struct arena *arena,
                      struct str study_uid, struct error *error)
{
    struct store_rows *sets = NULL;
    size_t count = 0;
    return held_rows(imaging, session, arena, study_uid, &sets, &count, error) &&
           (count > 0 || FAIL(error, ERROR_NOT_FOUND, "there is no such study waiting to be matched"));
}

bool imaging_match(struct imaging *imaging, const struct access_session *session, struct arena *arena,
                   const struct imaging_match *match, struct error *error)
{
    struct json *tree = NULL;
    size_t count = 0;
    struct archive_study study = { 0 };
    if (!access_need_right(session, "studies-match", error) ||
        (match->part.at == NULL && !need_held(imaging, session, arena, match->study, error))) {
        return false;
    }
    const struct access_act read = { .interaction = ACCESS_READ, .type = STR("Patient") };
    struct imaging_search search = { .type = read.type };
    if (!str_starts_with(match->patient, STR("Patient/"))) {
        return FAIL(error, ERROR_INPUT, "patient must be \"Patient/…\"");
    }
    search.query = imaging_query(arena, "_id", str_skip(match->patient, 8));
    if (!access_filter(session, read, arena, &search.filter, error) ||
        !imaging_find_one(imaging, arena, &search, &tree, &count, error)) {
        return false;
    }
    if (tree == NULL) {
        return FAIL(error, ERROR_NOT_FOUND, "there is no such patient");
    }
    if (match->part.at != NULL) {
        return imaging_release_part(imaging, session, arena, match, tree, error);
    }
    if (!archive_imaging_study(imaging->archive, arena, match->study, &study, error)) {
        return false;
    }
    if (!match->is_confirmed && imaging_identity_problem(arena, tree, &study.patient) != NULL) {
        return FAIL(
            error, ERROR_RULE,
            "the images name another name, sex or date of birth than the record: compare both and confirm");
    }
    return imaging_write_study(imaging, arena, match->study, match->patient, &study, error);
}

struct rejecting {
    const struct access_session *session;
    const struct archive_study *study;
    struct str study_uid;
};

static bool reject_apply(void *data, struct store_transaction *transaction, struct error *error)
{
    const struct rejecting *rejecting = data;
    const struct store_where where = { "study", STORE_EQUAL, store_text(rejecting->study_uid) };
    const struct store_rows_query query = { .where = &where, .where_count = 1 };
    uint64_t count = 0;
    return store_rows_delete(transaction, imaging_held_table(), &query, &count, error) &&
           (count == 1 || FAIL(error, ERROR_CONFLICT, "somebody else has decided about these images")) &&
           imaging_reject_whole(transaction, rejecting->session, rejecting->study_uid, rejecting->study,
                                error);
}

bool imaging_reject(struct imaging *imaging, const struct access_session *session, struct arena *arena,
                    struct str study_uid, struct str part, struct error *error)
{
    struct archive_study study = { 0 };
    struct rejecting rejecting = { .session = session, .study = &study, .study_uid = study_uid };
    if (!access_need_right(session, "studies-match", error)) {
        return false;
    }
    if (part.at != NULL) {
        return imaging_reject_part(imaging, session, arena, study_uid, part, error);
    }
    return need_held(imaging, session, arena, study_uid, error) &&
           archive_imaging_study(imaging->archive, arena, study_uid, &study, error) &&
           store_apply_and_wait(imaging->options.store, reject_apply, &rejecting, STR_NONE, error);
}
