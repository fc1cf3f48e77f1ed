/* archive_study.c — a study as the R4 ImagingStudy (R4 10.8; mapping to DICOM in its section 10.8.4) and what its
 * images say about the patient. */
#include "dicom/archive_internal.h"

#include <stdio.h>

#include "base/clock.h"

#define SYSTEM_UID "urn:dicom:uid"
#define SYSTEM_DCM "http://dicom.nema.org/resources/ontology/DCM"
enum { INSTANCES_LISTED_MAX = 5000, CHEST_SLICES_MIN = 20 };

static bool all_digits(struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] < '0' || text.at[i] > '9') {
            return false;
        }
    }
    return text.len > 0;
}

/* DA "20261101" or the old "2026.11.01" → "2026-11-01"; STR_NONE when it is no date. */
static struct str fhir_date(struct arena *arena, struct str date)
{
    if (date.len == 10 && date.at[4] == '.' && date.at[7] == '.') {
        date = arena_printf(arena, "%.4s%.2s%.2s", date.at, date.at + 5, date.at + 8);
    }
    if (date.len != 8 || !all_digits(date)) {
        return STR_NONE;
    }
    struct date_span span;
    struct error ignored;
    struct str text = arena_printf(arena, "%.4s-%.2s-%.2s", date.at, date.at + 4, date.at + 6);
    return text.at != NULL && date_parse(text, 0, &span, &ignored) ? text : STR_NONE;
}

/* DA and TM "081530.25" with the zone of the file ("+0800") or of the site. A time of the day needs a zone in FHIR;
 * without a time the date alone is given. */
static struct str fhir_date_time(struct arena *arena, struct str date, struct str time, struct str zone,
                                 int offset_minutes)
{
    struct str day = fhir_date(arena, date);
    if (day.at == NULL || time.len < 4 || !all_digits(str_slice(time, 0, time.len < 6 ? 4 : 6))) {
        return day;
    }
    bool has_zone =
        zone.len == 5 && (zone.at[0] == '+' || zone.at[0] == '-') && all_digits(str_skip(zone, 1));
    unsigned minutes = (unsigned)(offset_minutes < 0 ? -offset_minutes : offset_minutes);
    struct str offset = has_zone ? arena_printf(arena, "%.3s:%.2s", zone.at, zone.at + 3)
                                 : arena_printf(arena, "%c%02u:%02u", offset_minutes < 0 ? '-' : '+',
                                                minutes / 60, minutes % 60);
    struct str text = arena_printf(arena, "%.*sT%.2s:%.2s:%.2s%.*s", STR_FMT(day), time.at, time.at + 2,
                                   time.len >= 6 ? time.at + 4 : "00", STR_FMT(offset));
    struct date_span span;
    struct error ignored;
    return text.at != NULL && date_parse(text, 0, &span, &ignored) ? text : day;
}

/* One group of a PN: family^given^middle^prefix^suffix. Chinese names are joined, others get blanks. */
static struct str name_group(struct arena *arena, struct str name, size_t index, bool is_joined)
{
    struct str group = STR_NONE;
    struct str part;
    struct buf buf = { .bytes_max = 1024 };
    for (size_t i = 0; i <= index; i++) {
        if (!str_split_next(&name, '=', &group)) {
            return STR_NONE;
        }
    }
    for (size_t i = 0; i < 3 && str_split_next(&group, '^', &part); i++) {
        part = str_trim(part);
        if (part.len > 0 && buf.len > 0 && !is_joined) {
            buf_add_char(&buf, ' ');
        }
        buf_add(&buf, part);
    }
    struct str text = buf.len == 0 || buf.failed ? STR_NONE : arena_dup(arena, buf_str(&buf));
    buf_deinit(&buf);
    return text;
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

static void take_patient(struct arena *arena, const struct archive_study_row *row,
                         struct archive_patient *patient)
{
    patient->id = row->patient_id;
    patient->issuer = row->issuer;
    patient->name = row->patient_name;
    patient->name_alphabetic = name_group(arena, row->patient_name, 0, false);
    patient->name_ideographic = name_group(arena, row->patient_name, 1, true);
    /* Many devices write Han characters into the first group. */
    if (patient->name_ideographic.at == NULL && !is_ascii(patient->name_alphabetic)) {
        patient->name_ideographic = name_group(arena, row->patient_name, 0, true);
        patient->name_alphabetic = STR_NONE;
    }
    patient->birth_date = fhir_date(arena, row->birth_date);
    if (str_equal(row->sex, STR("M"))) {
        patient->gender = STR("male");
    } else if (str_equal(row->sex, STR("F"))) {
        patient->gender = STR("female");
    } else if (str_equal(row->sex, STR("O"))) {
        patient->gender = STR("other");
    }
}

static struct json *coding(struct arena *arena, struct str system, struct str code)
{
    struct json *made = json_new(arena, JSON_OBJECT);
    (void)json_add_text(arena, made, STR("system"), system);
    (void)json_add_text(arena, made, STR("code"), code);
    return made;
}

static void add_optional(struct arena *arena, struct json *object, struct str name, struct str text)
{
    struct str trimmed = str_trim(text);
    if (trimmed.len > 0) {
        (void)json_add_text(arena, object, name, trimmed);
    }
}

/* IS in the range of R4 unsignedInt, else left out. */
static void add_number(struct arena *arena, struct json *object, struct str name, struct str digits)
{
    char number[DICOM_DECIMAL_BYTES];
    size_t len = dicom_decimal(dicom_value_at(digits, 0), number);
    if (len > 0 && len <= 9 && all_digits((struct str){ number, len })) {
        (void)json_add(object, name, json_new_number(arena, arena_dup(arena, (struct str){ number, len })));
    }
}

static struct json *identifier(struct arena *arena, const char *system, struct str value)
{
    struct json *made = json_new(arena, JSON_OBJECT);
    (void)json_add_text(arena, made, STR("system"), str_from_cstr(system));
    (void)json_add_text(arena, made, STR("value"), value);
    return made;
}

static struct json *identifiers(struct arena *arena, const struct archive_study_row *row)
{
    struct json *list = json_new(arena, JSON_ARRAY);
    (void)json_append(list, identifier(arena, SYSTEM_UID, arena_concat(arena, STR("urn:oid:"), row->uid)));
    if (row->accession.len > 0) {
        struct json *accession = json_new(arena, JSON_OBJECT);
        struct json *type = json_add(accession, STR("type"), json_new(arena, JSON_OBJECT));
        struct json *codings = json_add(type, STR("coding"), json_new(arena, JSON_ARRAY));
        (void)json_append(codings,
                          coding(arena, STR("http://terminology.hl7.org/CodeSystem/v2-0203"), STR("ACSN")));
        (void)json_add_text(arena, accession, STR("value"), str_trim(row->accession));
        (void)json_append(list, accession);
    }
    return list;
}

static struct json *series_json(struct archive *archive, struct arena *arena,
                                const struct archive_study_row *study, const struct archive_series_row *row)
{
    struct json *made = json_new(arena, JSON_OBJECT);
    (void)json_add_text(arena, made, STR("uid"), row->uid);
    add_number(arena, made, STR("number"), row->number);
    struct str modality = row->modality.len == 0 ? STR("OT") : dicom_value_at(row->modality, 0);
    (void)json_add(made, STR("modality"), coding(arena, STR(SYSTEM_DCM), modality));
    add_optional(arena, made, STR("description"), row->description);
    (void)json_add(made, STR("numberOfInstances"), json_new_integer(arena, row->instances));
    if (row->body_part.len > 0) {
        struct json *site = json_add(made, STR("bodySite"), json_new(arena, JSON_OBJECT));
        add_optional(arena, site, STR("display"), row->body_part);
    }
    add_optional(
        arena, made, STR("started"),
        fhir_date_time(arena, row->date, row->time, study->timezone, archive->options.offset_minutes));
    return made;
}

static struct json *instance_json(struct arena *arena, const struct archive_instance *row)
{
    struct json *made = json_new(arena, JSON_OBJECT);
    (void)json_add_text(arena, made, STR("uid"), arena_dup(arena, str_from_cstr(row->sop)));
    struct str code = arena_printf(arena, "urn:oid:%s", row->class_uid);
    (void)json_add(made, STR("sopClass"), coding(arena, STR("urn:ietf:rfc:3986"), code));
    if (row->number >= 0) {
        (void)json_add(made, STR("number"), json_new_integer(arena, row->number));
    }
    return made;
}

static bool add_series(struct archive *archive, struct arena *arena, const struct archive_study_row *row,
                       struct archive_study *study, struct json *tree, struct error *error)
{
    struct archive_series_row *series = NULL;
    size_t count = 0;
    int64_t most = CHEST_SLICES_MIN - 1;
    if (!archive_index_series(archive->index, arena, row->uid, STR_NONE, &series, &count, error)) {
        return false;
    }
    struct json *list =
        count == 0 ? NULL : json_add(tree, STR("series"), json_new(arena, JSON_ARRAY)); /* R4: never empty */
    for (size_t i = 0; i < count; i++) {
        struct json *made = json_append(list, series_json(archive, arena, row, &series[i]));
        bool is_chest = series[i].body_part.len == 0 ||
                        str_equal_ignore_case(series[i].body_part, STR("CHEST")) ||
                        str_equal_ignore_case(series[i].body_part, STR("LUNG")) ||
                        str_equal_ignore_case(series[i].body_part, STR("THORAX"));
        if (is_chest && str_equal(series[i].modality, STR("CT")) && series[i].instances > most) {
            most = series[i].instances;
            study->chest_ct_series = series[i].uid;
        }
        struct archive_instance *instances = NULL;
        size_t instances_count = 0;
        if (series[i].instances == 0 || row->instances > INSTANCES_LISTED_MAX) {
            continue;
        }
        if (!archive_index_instances(archive->index, arena, row->uid, series[i].uid, &instances,
                                     &instances_count, error)) {
            return false;
        }
        struct json *instances_json = json_add(made, STR("instance"), json_new(arena, JSON_ARRAY));
        for (size_t j = 0; j < instances_count; j++) {
            (void)json_append(instances_json, instance_json(arena, &instances[j]));
        }
    }
    study->series_count = count;
    return true;
}

bool archive_imaging_study(struct archive *archive, struct arena *arena, struct str study_uid,
                           struct archive_study *study, struct error *error)
{
    struct archive_study_row row = { 0 };
    struct archive_study made = { 0 };
    struct str rest;
    struct str part;
    if (!archive_index_study(archive->index, arena, study_uid, &row, error)) {
        return false;
    }
    take_patient(arena, &row, &made.patient);
    made.organization = row.organization;
    made.accession = row.accession;
    made.description = row.description;
    made.modalities = row.modalities;
    made.instances_count = (uint64_t)row.instances;
    made.started = fhir_date_time(arena, row.date, row.time, row.timezone, archive->options.offset_minutes);
    struct json *tree = json_new(arena, JSON_OBJECT);
    (void)json_add_text(arena, tree, STR("resourceType"), STR("ImagingStudy"));
    (void)json_add(tree, STR("identifier"), identifiers(arena, &row));
    (void)json_add_text(arena, tree, STR("status"), STR("available"));
    rest = row.modalities;
    if (rest.len > 0) {
        struct json *modalities = json_add(tree, STR("modality"), json_new(arena, JSON_ARRAY));
        while (str_split_next(&rest, '\\', &part)) {
            (void)json_append(modalities, coding(arena, STR(SYSTEM_DCM), part));
        }
    }
    add_optional(arena, tree, STR("started"), made.started);
    (void)json_add(tree, STR("numberOfInstances"), json_new_integer(arena, row.instances));
    struct json *series_count = json_add(tree, STR("numberOfSeries"), json_new_integer(arena, row.series));
    add_optional(arena, tree, STR("description"), row.description);
    if (!add_series(archive, arena, &row, &made, tree, error)) {
        return false;
    }
    if (series_count == NULL) {
        return FAIL(error, ERROR_TOO_LARGE, "no memory left for the ImagingStudy");
    }
    made.imaging_study = tree;
    *study = made;
    return true;
}

bool archive_list_sources(struct archive *archive, struct arena *arena, struct str study_uid,
                          struct archive_source **sources, size_t *count, struct error *error)
{
    struct archive_source_row *rows = NULL;
    size_t found = 0;
    if (!archive_index_sources(archive->index, arena, study_uid, &rows, &found, error)) {
        return false;
    }
    struct archive_source *list = ARENA_ARRAY(arena, struct archive_source, found + 1);
    if (list == NULL) {
        return FAIL(error, ERROR_TOO_LARGE, "no memory left to list who sent images");
    }
    for (size_t i = 0; i < found; i++) {
        list[i] = (struct archive_source){ .organization = rows[i].study.organization,
                                           .verdict = (enum archive_verdict)rows[i].verdict,
                                           .instances_count = (uint64_t)rows[i].study.instances,
                                           .modalities = rows[i].study.modalities };
        take_patient(arena, &rows[i].study, &list[i].patient);
    }
    *sources = list;
    *count = found;
    return true;
}
