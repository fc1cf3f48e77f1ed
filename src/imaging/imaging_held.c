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

static bool held_rows(struct imaging *imaging, struct arena *arena, const struct store_where *where,
                      size_t where_count, struct store_rows *rows, struct error *error)
{
    struct store_reader *reader = NULL;
    const struct store_rows_query query = { .where = where,
                                            .where_count = where_count,
                                            .order = { "received_ms", NULL } };
    if (!store_reader_begin(imaging->options.store, &reader, error)) {
        return false;
    }
    bool ok = store_rows_find(reader, arena, imaging_held_table(), &query, rows, error);
    store_reader_end(reader);
    return ok;
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

static void add_candidate(struct arena *arena, struct json *list, const struct json *patient,
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
            add_candidate(arena, list, found.trees[k], images);
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

bool imaging_held(struct imaging *imaging, const struct access_session *session, struct arena *arena,
                  struct json **list, struct error *error)
{
    struct store_rows rows = { 0 };
    const struct store_filter *filter = NULL;
    const struct store_where where = { "organization", STORE_EQUAL, store_text(session->organization) };
    const struct access_act read = { .interaction = ACCESS_READ, .type = STR("Patient") };
    struct json *made = json_new(arena, JSON_ARRAY);
    if (!access_need_right(session, "studies-match", error) ||
        !access_filter(session, read, arena, &filter, error) ||
        !held_rows(imaging, arena, &where, 1, &rows, error)) {
        return false;
    }
    for (size_t i = 0; i < rows.rows_count; i++) {
        struct str name = row_text(&rows, i, "patient_name");
        const struct archive_patient images = { .id = row_text(&rows, i, "patient_id"),
                                                .name_ideographic = is_ascii(name) ? STR_NONE : name,
                                                .birth_date = row_text(&rows, i, "birth_date"),
                                                .gender = row_text(&rows, i, "gender") };
        struct json *entry = json_append(made, held_entry(imaging, arena, &rows, i));
        if (i < CANDIDATES_ROWS_MAX && !add_candidates(imaging, arena, filter, &images, entry, error)) {
            return false;
        }
    }
    *list = made;
    return made != NULL || IMAGING_NO_MEMORY(error);
}

bool imaging_match(struct imaging *imaging, const struct access_session *session, struct arena *arena,
                   const struct imaging_match *match, struct error *error)
{
    struct store_rows rows = { 0 };
    struct json *tree = NULL;
    size_t count = 0;
    struct archive_study study = { 0 };
    const struct store_where where[] = { { "organization", STORE_EQUAL, store_text(session->organization) },
                                         { "study", STORE_EQUAL, store_text(match->study) } };
    if (!access_need_right(session, "studies-match", error) ||
        !held_rows(imaging, arena, where, 2, &rows, error)) {
        return false;
    }
    if (rows.rows_count == 0) {
        return FAIL(error, ERROR_NOT_FOUND, "there is no such study waiting to be matched");
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
