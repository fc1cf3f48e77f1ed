/* archive_query.c — answers of QIDO-RS (PS3.18 section 10.6) from the index alone. */
#include "dicom/archive_internal.h"

#include <stdio.h>

#include "dicom/dicom_json.h"

enum { STUDIES_LIMIT = 100, SERIES_LIMIT = 1000, INSTANCES_LIMIT = 10000, LIMIT_MAX = 20000 };

struct search {
    struct archive *archive;
    const struct archive_query *query;
    struct arena *arena;
    struct buf *out;
    size_t skipped;
    size_t count;
    size_t limit;
    bool more;
    bool was_visible;
    char last_study[ARCHIVE_UID_BYTES]; /* whose visibility was asked last */
};

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* '*' and '?' (PS3.4 C.2.2.2.4), ASCII letters in any case. Linear by remembering the last star. */
static bool matches(struct str text, struct str pattern)
{
    size_t t = 0;
    size_t p = 0;
    size_t star = pattern.len;
    size_t star_text = 0;
    while (t < text.len) {
        if (p < pattern.len && pattern.at[p] == '*') {
            star = p++;
            star_text = t;
        } else if (p < pattern.len && (pattern.at[p] == '?' || lower(pattern.at[p]) == lower(text.at[t]))) {
            p++;
            t++;
        } else if (star < pattern.len) {
            p = star + 1;
            t = ++star_text;
        } else {
            return false;
        }
    }
    while (p < pattern.len && pattern.at[p] == '*') {
        p++;
    }
    return p == pattern.len;
}

/* A name matches as a whole or by one of its groups: "王*" finds "Wang^XiaoDong=王^小东". */
static bool name_matches(struct str name, struct str pattern)
{
    struct str part;
    if (pattern.at == NULL || matches(name, pattern)) {
        return true;
    }
    while (str_split_next(&name, '=', &part)) {
        if (matches(part, pattern)) {
            return true;
        }
    }
    return false;
}

static bool is_visible(struct search *search, struct str study)
{
    if (search->query->may_see == NULL) {
        return true;
    }
    if (!str_equal_cstr(study, search->last_study)) {
        (void)snprintf(search->last_study, sizeof search->last_study, "%.*s", STR_FMT(study));
        search->was_visible = search->query->may_see(search->query->context, study);
    }
    return search->was_visible;
}

static void add(struct buf *out, uint32_t tag, const char *vr, struct str text)
{
    buf_add_char(out, ',');
    dicom_json_write_attribute(out, tag, DICOM_VR(vr[0], vr[1]), text);
}

static void add_number(struct search *search, uint32_t tag, const char *vr, int64_t number)
{
    bool is_binary = vr[0] == 'U';
    if (is_binary) {
        buf_printf(search->out, ",\"%08X\":{\"vr\":\"%s\",\"Value\":[%lld]}", tag, vr, (long long)number);
    } else {
        add(search->out, tag, vr, arena_printf(search->arena, "%lld", (long long)number));
    }
}

static void write_study(struct search *search, const struct archive_study_row *row)
{
    struct buf *out = search->out;
    add(out, TAG_STUDY_DATE, "DA", row->date);
    add(out, TAG_STUDY_TIME, "TM", row->time);
    add(out, TAG_ACCESSION_NUMBER, "SH", row->accession);
    add(out, TAG_MODALITIES_IN_STUDY, "CS", row->modalities);
    add(out, TAG_REFERRING_PHYSICIAN_NAME, "PN", row->referring);
    add(out, TAG_TIMEZONE_OFFSET, "SH", row->timezone);
    add(out, TAG_STUDY_DESCRIPTION, "LO", row->description);
    add(out, TAG_PATIENT_NAME, "PN", row->patient_name);
    add(out, TAG_PATIENT_ID, "LO", row->patient_id);
    add(out, TAG_ISSUER_OF_PATIENT_ID, "LO", row->issuer);
    add(out, TAG_PATIENT_BIRTH_DATE, "DA", row->birth_date);
    add(out, TAG_PATIENT_SEX, "CS", row->sex);
    add(out, TAG_STUDY_ID, "SH", row->study_id);
    add_number(search, TAG_STUDY_SERIES_COUNT, "IS", row->series);
    add_number(search, TAG_STUDY_INSTANCES_COUNT, "IS", row->instances);
}

static void write_series(struct search *search, const struct archive_series_row *row)
{
    struct buf *out = search->out;
    add(out, TAG_SERIES_DATE, "DA", row->date);
    add(out, TAG_SERIES_TIME, "TM", row->time);
    add(out, TAG_MODALITY, "CS", row->modality);
    add(out, TAG_MANUFACTURER, "LO", row->manufacturer);
    add(out, TAG_STATION_NAME, "SH", row->station);
    add(out, TAG_SERIES_DESCRIPTION, "LO", row->description);
    add(out, TAG_MANUFACTURER_MODEL, "LO", row->model);
    add(out, TAG_BODY_PART, "CS", row->body_part);
    add(out, TAG_CONVOLUTION_KERNEL, "SH", row->kernel);
    add(out, TAG_SERIES_INSTANCE_UID, "UI", row->uid);
    add(out, TAG_SERIES_NUMBER, "IS", row->number);
    add(out, TAG_LATERALITY, "CS", row->laterality);
    add_number(search, TAG_SERIES_INSTANCES_COUNT, "IS", row->instances);
}

static void write_instance(struct search *search, const struct archive_query_row *row)
{
    struct buf *out = search->out;
    add(out, TAG_SOP_CLASS_UID, "UI", str_from_cstr(row->instance.class_uid));
    add(out, TAG_SOP_INSTANCE_UID, "UI", str_from_cstr(row->instance.sop));
    add_number(search, TAG_INSTANCE_NUMBER, "IS", row->instance.number);
    if (row->rows > 0) {
        add_number(search, TAG_ROWS, "US", row->rows);
        add_number(search, TAG_COLUMNS, "US", row->columns);
        add_number(search, TAG_BITS_ALLOCATED, "US", row->bits);
        add_number(search, TAG_NUMBER_OF_FRAMES, "IS", (int64_t)row->instance.frames_count);
    }
}

static void write_row(struct search *search, const struct archive_query_row *row)
{
    enum archive_level level = search->query->level;
    struct buf *out = search->out;
    buf_add(out, search->count == 0 ? STR("{") : STR(",{"));
    dicom_json_write_attribute(out, TAG_SPECIFIC_CHARACTER_SET, DICOM_VR('C', 'S'), STR("ISO_IR 192"));
    add(out, TAG_INSTANCE_AVAILABILITY, "CS", STR("ONLINE"));
    add(out, TAG_STUDY_INSTANCE_UID, "UI", row->study.uid);
    if (level != ARCHIVE_INSTANCES) {
        write_study(search, &row->study);
    }
    /* Instances are asked for by the hundred: what their study and series say is not said again with each. */
    struct str url = arena_printf(search->arena, "%s/studies/%.*s", search->archive->options.web_root,
                                  STR_FMT(row->study.uid));
    if (level == ARCHIVE_SERIES) {
        write_series(search, &row->series);
    }
    if (level == ARCHIVE_INSTANCES) {
        add(out, TAG_SERIES_INSTANCE_UID, "UI", row->series.uid);
    }
    if (level != ARCHIVE_STUDIES) {
        url = arena_printf(search->arena, "%.*s/series/%.*s", STR_FMT(url), STR_FMT(row->series.uid));
    }
    if (level == ARCHIVE_INSTANCES) {
        write_instance(search, row);
        url = arena_printf(search->arena, "%.*s/instances/%s", STR_FMT(url), row->instance.sop);
    }
    add(out, TAG_RETRIEVE_URL, "UR", url);
    buf_add_char(out, '}');
}

static bool take_row(void *data, const struct archive_query_row *row)
{
    struct search *search = data;
    const struct archive_query *query = search->query;
    if (!name_matches(row->study.patient_name, query->patient_name) ||
        (query->description.at != NULL && !matches(row->study.description, query->description)) ||
        !is_visible(search, row->study.uid)) {
        return true;
    }
    if (search->skipped < query->offset) {
        search->skipped++;
        return true;
    }
    if (search->count == search->limit) {
        search->more = true;
        return false;
    }
    write_row(search, row);
    search->count++;
    return !search->out->failed;
}

bool archive_find(struct archive *archive, struct arena *arena, const struct archive_query *query,
                  struct buf *out, size_t *count, bool *more, struct error *error)
{
    static const size_t limits[] = { STUDIES_LIMIT, SERIES_LIMIT, INSTANCES_LIMIT };
    struct search search = { .archive = archive, .query = query, .arena = arena, .out = out };
    search.limit = query->limit == 0 ? limits[query->level] : query->limit;
    search.limit = search.limit > LIMIT_MAX ? LIMIT_MAX : search.limit;
    buf_add_char(out, '[');
    if (!archive_index_query(archive->index, arena, query, take_row, &search, error)) {
        return false;
    }
    buf_add_char(out, ']');
    if (out->failed) {
        return FAIL(error, ERROR_TOO_COSTLY, "the answer is too large: ask for fewer with limit and offset");
    }
    *count = search.count;
    *more = search.more;
    return true;
}
