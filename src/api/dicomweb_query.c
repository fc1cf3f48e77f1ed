/* dicomweb_query.c — QIDO-RS: studies, series, instances (PS3.18 section 10.6). Attributes come as keywords or tags;
 * an attribute that the index does not hold is refused by name, never ignored. */
#include "api/dicomweb.h"

#include "api/handlers.h"
#include "base/limits.h"
#include "base/parse.h"
#include "imaging/imaging.h"

enum { QUERY_LIMIT_MAX = 20000, CHECKS_MAX = 5000, ANSWER_BYTES_MAX = 64 << 20 };

struct visibility {
    struct http_request *request;
    size_t checks_count;
    struct error error;
    bool failed;
};

/* A broad search by somebody who sees little ends in an error that says so, not in minutes. */
static bool may_see(void *context, struct str study_uid)
{
    struct visibility *visibility = context;
    struct http_request *request = visibility->request;
    bool may = false;
    if (visibility->failed) {
        return false;
    }
    if (++visibility->checks_count > CHECKS_MAX) {
        visibility->failed = true;
        return FAIL(&visibility->error, ERROR_TOO_COSTLY, "more than %d studies fit: narrow the search",
                    CHECKS_MAX);
    }
    visibility->failed = !imaging_may_see(api_of(request)->imaging, &call_of(request)->session,
                                          &request->arena, study_uid, &may, &visibility->error);
    return may && !visibility->failed;
}

/* "20261101", "20261101-", "-20261101", "20261101-20261130" (PS3.4 C.2.2.2.5). */
static bool take_dates(struct str value, struct archive_query *query, struct error *error)
{
    size_t dash = str_find_char(value, '-');
    struct str parts[2] = { str_slice(value, 0, dash),
                            dash == value.len ? value : str_skip(value, dash + 1) };
    for (size_t i = 0; i < 2; i++) {
        uint64_t number;
        bool is_good = parts[i].len == 0 || (parts[i].len == 8 && parse_uint64(parts[i], 99999999, &number));
        if (!is_good) {
            return FAIL(error, ERROR_INPUT, "StudyDate must be YYYYMMDD or a range of two such dates");
        }
    }
    query->date_from = parts[0].len == 0 ? STR_NONE : parts[0];
    query->date_to = parts[1].len == 0 ? STR_NONE : parts[1];
    return true;
}

static bool take_uid(struct str value, struct str *uid, struct str name, struct error *error)
{
    if (!dicom_uid_is_valid(value) || (uid->at != NULL && !str_equal(*uid, value))) {
        return FAIL(error, ERROR_INPUT, "%.*s must be one DICOM UID, that of the path when it has one",
                    STR_FMT(name));
    }
    *uid = value;
    return true;
}

static bool take_number(struct str value, size_t *number, struct str name, struct error *error)
{
    uint64_t read = 0;
    if (!parse_uint64(value, UINT32_MAX, &read)) {
        return FAIL(error, ERROR_INPUT, "%.*s must be a whole number", STR_FMT(name));
    }
    *number = (size_t)read;
    return true;
}

static bool take_attribute(const struct http_pair *pair, struct archive_query *query, struct error *error)
{
    switch (dictionary_tag(pair->name)) {
    case TAG_STUDY_INSTANCE_UID:
        return take_uid(pair->value, &query->study, pair->name, error);
    case TAG_SERIES_INSTANCE_UID:
        return take_uid(pair->value, &query->series, pair->name, error);
    case TAG_SOP_INSTANCE_UID:
        return take_uid(pair->value, &query->sop, pair->name, error);
    case TAG_PATIENT_ID:
        query->patient_id = pair->value;
        return true;
    case TAG_PATIENT_NAME:
        query->patient_name = pair->value;
        return true;
    case TAG_ACCESSION_NUMBER:
        query->accession = pair->value;
        return true;
    case TAG_MODALITY:
    case TAG_MODALITIES_IN_STUDY:
        query->modality = pair->value;
        return true;
    case TAG_STUDY_DESCRIPTION:
        query->description = pair->value;
        return true;
    case TAG_STUDY_DATE:
        return take_dates(pair->value, query, error);
    case 0:
        return FAIL(error, ERROR_INPUT, "'%.*s' is no attribute and no parameter of a DICOMweb search",
                    STR_FMT(pair->name));
    default:
        return FAIL(error, ERROR_UNSUPPORTED, "searching by '%.*s' is not offered", STR_FMT(pair->name));
    }
}

static bool take_pairs(struct http_request *request, struct archive_query *query, struct error *error)
{
    for (size_t i = 0; i < request->pairs_count; i++) {
        const struct http_pair *pair = &request->pairs[i];
        bool ok = true;
        if (str_equal(pair->name, STR("limit"))) {
            ok = take_number(pair->value, &query->limit, pair->name, error);
            query->limit =
                query->limit == 0 || query->limit > QUERY_LIMIT_MAX ? QUERY_LIMIT_MAX : query->limit;
        } else if (str_equal(pair->name, STR("offset"))) {
            ok = take_number(pair->value, &query->offset, pair->name, error);
        } else if (str_equal(pair->name, STR("fuzzymatching"))) {
            if (str_equal(pair->value, STR("true"))) {
                http_add_header(
                    request, STR("Warning"),
                    STR("299 shanhai \"The fuzzymatching parameter is not supported. Only literal "
                        "matching has been performed.\""));
            }
        } else if (pair->value.len > 0 && !str_equal(pair->name, STR("includefield"))) {
            /* includefield: everything that the index holds is always there. An empty value matches all. */
            ok = take_attribute(pair, query, error);
        }
        if (!ok) {
            return false;
        }
    }
    return true;
}

static enum archive_level level_of(const struct http_request *request)
{
    if (str_ends_with(request->path, STR("/instances"))) {
        return ARCHIVE_INSTANCES;
    }
    return str_ends_with(request->path, STR("/series")) ? ARCHIVE_SERIES : ARCHIVE_STUDIES;
}

enum http_verdict dicomweb_query(struct http_request *request)
{
    struct api *api = api_of(request);
    struct error error = { 0 };
    struct dicomweb_path path;
    struct visibility visibility = { .request = request };
    struct archive_query query = { .level = level_of(request), .may_see = may_see, .context = &visibility };
    struct buf out = { .bytes_max = ANSWER_BYTES_MAX };
    size_t count = 0;
    bool more = false;
    bool ok = api->archive != NULL || FAIL(&error, ERROR_NOT_FOUND, "this server keeps no images");
    ok = ok && dicomweb_path(request, &path, &error);
    if (ok) {
        query.study = path.study;
        query.series = path.series;
        ok = take_pairs(request, &query, &error);
    }
    if (ok && query.level == ARCHIVE_INSTANCES && query.study.at == NULL) {
        ok = FAIL(&error, ERROR_TOO_COSTLY, "instances are searched within one study");
    }
    const struct api_read read = { .act = { .interaction = ACCESS_SEARCH, .type = STR("ImagingStudy") },
                                   .type = STR("ImagingStudy") };
    ok = ok && api_audit_read(request, &call_of(request)->session, &read, &error) &&
         archive_find(api->archive, &request->arena, &query, &out, &count, &more, &error);
    if (ok && visibility.failed) {
        error = visibility.error;
        ok = false;
    }
    struct str text = ok ? arena_dup(&request->arena, buf_str(&out)) : STR_NONE;
    buf_deinit(&out);
    if (!ok) {
        return api_fail(request, &error);
    }
    if (more) {
        /* PS3.18 8.3.4.4: the client must be able to tell that there is more. */
        http_add_header(request, STR("Warning"),
                        STR("299 shanhai \"There are more results: use limit and offset\""));
    }
    dicomweb_respond_json(request, 200, STR_NONE, text);
    return HTTP_DONE;
}
