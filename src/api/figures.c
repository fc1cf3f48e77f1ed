/* /indicators and /reports (docs/modules/consult.md section 3): a day and a hospital. Every number comes from the
 * indicator set, so list, report and drill-down cannot disagree. In the pool. */
#include <math.h>

#include "api/call.h"
#include "api/handlers.h"
#include "base/clock.h"
#include "base/limits.h"
#include "store/body.h"
#include "view/indicator.h"

enum { DRILL_RESOURCES_MAX = 1000, ORGANIZATIONS_NAMED_MAX = 200 };

struct figures_job {
    struct http_request *request;
    struct arena *arena;
    const struct indicator_set *set;
    struct indicator_scope scope;
    struct str asked; /* the organisation that was asked for; absent = all that the asker may see */
    struct str date;  /* "2026-11-22" */
};

/* ---- what is asked ---- */

static bool read_day(struct figures_job *job, struct error *error)
{
    struct str text = http_query_value(job->request, STR("date"));
    struct date_span span = { 0 };
    if (text.at == NULL) {
        job->scope.day = local_day(clock_now_ms(), job->set->offset_minutes);
    } else if (!date_parse(text, 0, &span, error)) {
        return false;
    } else if (span.precision != DATE_DAY) {
        return FAIL(error, ERROR_INPUT, "date must be a day, for example 2026-11-22");
    } else {
        job->scope.day = span.from_ms / (24 * 3600 * 1000);
    }
    int64_t year = 0;
    unsigned month = 0;
    unsigned day = 0;
    civil_from_days(job->scope.day, &year, &month, &day);
    job->date = arena_printf(job->arena, "%04lld-%02u-%02u", (long long)year, month, day);
    return true;
}

/* A hospital's people see its own figures, a command those of the hospitals that it leads too (docs/rights.md). */
static bool read_organization(struct figures_job *job, struct error *error)
{
    const struct access_session *session = &call_of(job->request)->session;
    struct str asked = http_query_value(job->request, STR("org"));
    if (str_starts_with(asked, STR("Organization/"))) {
        asked = str_skip(asked, 13);
    }
    job->asked = asked.len == 0 ? STR_NONE : asked;
    return access_figure_scope(session, asked, job->arena, &job->scope.organizations, error);
}

static bool begin(struct http_request *request, struct figures_job *job, struct error *error)
{
    *job = (struct figures_job){ .request = request,
                                 .arena = &request->arena,
                                 .set = api_of(request)->indicators };
    if (job->set == NULL) {
        return FAIL(error, ERROR_NOT_FOUND, "this server has no indicators");
    }
    return read_day(job, error) && read_organization(job, error);
}

/* ---- writing ---- */

static struct json *number(struct arena *arena, bool known, double value, unsigned decimals)
{
    if (!known || !isfinite(value)) {
        return json_new(arena, JSON_NULL);
    }
    return json_new_number(arena, arena_printf(arena, "%.*f", (int)decimals, value));
}

static void add_words(struct arena *arena, struct json *object, struct str name, struct str zh, struct str en)
{
    struct json *words = json_add(object, name, json_new(arena, JSON_OBJECT));
    (void)json_add_text(arena, words, STR("zh"), zh.at == NULL ? STR("") : zh);
    (void)json_add_text(arena, words, STR("en"), en.at == NULL ? STR("") : en);
}

static bool figure(const struct figures_job *job, const struct indicator *indicator, struct json **out,
                   struct error *error)
{
    struct arena *arena = job->arena;
    struct indicator_value value = { 0 };
    struct indicator_value before = { 0 };
    struct indicator_scope day_before = job->scope;
    day_before.day--;
    struct indicator_counted *counted = NULL;
    size_t count = 0;
    if (!indicator_value(job->set, arena, indicator, &job->scope, &value, error) ||
        !indicator_value(job->set, arena, indicator, &day_before, &before, error) ||
        !indicator_drill(job->set, arena, indicator, &job->scope, &counted, &count, error)) {
        return false;
    }
    struct json *object = json_new(arena, JSON_OBJECT);
    (void)json_add_text(arena, object, STR("code"), indicator->code);
    add_words(arena, object, STR("name"), indicator->name_zh, indicator->name_en);
    add_words(arena, object, STR("unit"), indicator->unit_zh, indicator->unit_en);
    (void)json_add(object, STR("value"), number(arena, value.known, value.value, indicator->decimals));
    (void)json_add(object, STR("previous"), number(arena, before.known, before.value, indicator->decimals));
    (void)json_add(object, STR("decimals"), json_new_integer(arena, (int64_t)indicator->decimals));
    if (value.has_parts) {
        (void)json_add(object, STR("numerator"), number(arena, true, value.numerator, 0));
        (void)json_add(object, STR("denominator"), number(arena, true, value.denominator, 0));
    }
    add_words(arena, object, STR("rule"), indicator->rule_zh, indicator->rule_en);
    (void)json_add(object, STR("counted"), json_new_integer(arena, (int64_t)count));
    struct str org = job->asked;
    (void)json_add_text(arena, object, STR("drill"),
                        arena_printf(arena, "/indicators/%.*s/resources?date=%.*s%s%.*s",
                                     STR_FMT(indicator->code), STR_FMT(job->date),
                                     org.at == NULL ? "" : "&org=", STR_FMT(org)));
    *out = object;
    return true;
}

static void add_organization(const struct figures_job *job, struct store_reader *reader, struct str id,
                             struct json *organization)
{
    struct store_version version = { 0 };
    struct str text = STR_NONE;
    struct json *tree = NULL;
    (void)json_add_text(job->arena, organization, STR("id"), id);
    if (store_read(reader, job->arena, STR("Organization"), id, &version, NULL) &&
        version.method != STORE_METHOD_DELETED && store_body_text(job->arena, &version, &text, NULL) &&
        json_read(job->arena, text, &tree, NULL)) {
        (void)json_add_text(job->arena, organization, STR("name"), JSON_TEXT(job->arena, tree, "name"));
    }
}

/* date, asOf, organization (who asked, or was asked for), organizations (whose records count): what every answer
 * begins with. */
static struct json *answer_head(const struct figures_job *job)
{
    const struct access_session *session = &call_of(job->request)->session;
    char now[INSTANT_BYTES];
    size_t len = instant_format(clock_now_ms(), job->set->offset_minutes, now);
    struct json *answer = json_new(job->arena, JSON_OBJECT);
    (void)json_add_text(job->arena, answer, STR("date"), job->date);
    (void)json_add_text(job->arena, answer, STR("asOf"), arena_dup(job->arena, (struct str){ now, len }));
    struct store_reader *reader = NULL;
    if (job->scope.organizations.at == NULL ||
        !store_reader_begin(api_of(job->request)->store, &reader, NULL)) {
        return answer;
    }
    add_organization(job, reader, job->asked.at == NULL ? session->tenant : job->asked,
                     json_add(answer, STR("organization"), json_new(job->arena, JSON_OBJECT)));
    struct json *counted = json_add(answer, STR("organizations"), json_new(job->arena, JSON_ARRAY));
    struct str rest = job->scope.organizations;
    struct str id = STR_NONE;
    for (size_t i = 0; i < ORGANIZATIONS_NAMED_MAX && str_split_next(&rest, ' ', &id); i++) {
        add_organization(job, reader, id, json_append(counted, json_new(job->arena, JSON_OBJECT)));
    }
    store_reader_end(reader);
    return answer;
}

static bool audit(struct http_request *request, const char *operation, struct error *error)
{
    struct api_read read = { .act = { .interaction = ACCESS_OPERATION,
                                      .operation = str_from_cstr(operation) } };
    return api_audit_read(request, &call_of(request)->session, &read, error);
}

/* ---- the list ---- */

static bool list(struct figures_job *job, struct error *error)
{
    struct json *answer = answer_head(job);
    struct json *indicators = json_add(answer, STR("indicators"), json_new(job->arena, JSON_ARRAY));
    for (size_t i = 0; i < job->set->indicators.count; i++) {
        struct json *one = NULL;
        if (!figure(job, job->set->indicators.entries[i].value, &one, error)) {
            return false;
        }
        (void)json_append(indicators, one);
    }
    if (!audit(job->request, "indicators", error)) {
        return false;
    }
    api_respond_json(job->request, 200, false, answer);
    return true;
}

enum http_verdict figures_list(struct http_request *request)
{
    struct error error = { 0 };
    struct figures_job job;
    if (!begin(request, &job, &error) || !list(&job, &error)) {
        return api_fail(request, &error);
    }
    return HTTP_DONE;
}

/* ---- what was counted: n, of which you may see m ---- */

static bool add_counted(const struct figures_job *job, const struct api_look *look,
                        const struct indicator_counted *counted, struct json *resources, struct error *error)
{
    struct store_version version = { 0 };
    struct error cause = { 0 };
    bool may = false;
    if (!store_read_key(look->reader, job->arena, counted->resource, &version, &cause)) {
        return cause.kind == ERROR_NOT_FOUND || FAIL(error, cause.kind, "%s", cause.text);
    }
    if (version.method == STORE_METHOD_DELETED) {
        return true;
    }
    if (!api_may_see(look, &version, &may, error)) {
        return false;
    }
    if (!may) {
        return true;
    }
    struct json *one = json_append(resources, json_new(job->arena, JSON_OBJECT));
    (void)json_add_text(job->arena, one, STR("reference"),
                        arena_printf(job->arena, "%.*s/%.*s", STR_FMT(version.type), STR_FMT(version.id)));
    if (counted->at_ms != 0) {
        char time[INSTANT_BYTES];
        size_t len = instant_format(counted->at_ms, job->set->offset_minutes, time);
        (void)json_add_text(job->arena, one, STR("time"), arena_dup(job->arena, (struct str){ time, len }));
    }
    if (counted->has_value) {
        (void)json_add(one, STR("value"), number(job->arena, true, counted->value, 1));
    }
    return true;
}

static bool drill(struct figures_job *job, struct error *error)
{
    struct str code = http_parameter(job->request, STR("code"));
    const struct indicator *indicator = table_get(&job->set->indicators, code);
    struct indicator_counted *counted = NULL;
    size_t count = 0;
    struct store_reader *reader = NULL;
    if (indicator == NULL) {
        return FAIL(error, ERROR_NOT_FOUND, "there is no such indicator");
    }
    if (!indicator_drill(job->set, job->arena, indicator, &job->scope, &counted, &count, error) ||
        !store_reader_begin(api_of(job->request)->store, &reader, error)) {
        return false;
    }
    struct api_look look = { .request = job->request,
                             .reader = reader,
                             .session = &call_of(job->request)->session,
                             .arena = job->arena,
                             .interaction = ACCESS_READ };
    struct json *answer = answer_head(job);
    struct json *resources = json_new(job->arena, JSON_ARRAY);
    bool ok = true;
    for (size_t i = 0; ok && i < count && i < DRILL_RESOURCES_MAX; i++) {
        ok = add_counted(job, &look, &counted[i], resources, error);
    }
    store_reader_end(reader);
    if (!ok || !audit(job->request, "indicator-resources", error)) {
        return false;
    }
    (void)json_add_text(job->arena, answer, STR("code"), indicator->code);
    (void)json_add(answer, STR("total"), json_new_integer(job->arena, (int64_t)count));
    (void)json_add(answer, STR("visible"), json_new_integer(job->arena, (int64_t)resources->count));
    (void)json_add(answer, STR("resources"), resources);
    api_respond_json(job->request, 200, false, answer);
    return true;
}

enum http_verdict figures_drill(struct http_request *request)
{
    struct error error = { 0 };
    struct figures_job job;
    if (!begin(request, &job, &error) || !drill(&job, &error)) {
        return api_fail(request, &error);
    }
    return HTTP_DONE;
}

/* ---- a report ---- */

static bool add_section(const struct figures_job *job, const struct json *section, struct json *sections,
                        struct error *error)
{
    struct json *one = json_append(sections, json_new(job->arena, JSON_OBJECT));
    (void)json_add_text(job->arena, one, STR("code"),
                        arena_printf(job->arena, "%u", (unsigned)sections->count));
    (void)json_add(one, STR("title"), json_copy(job->arena, JSON_GET(section, "title"), false));
    struct json *indicators = json_add(one, STR("indicators"), json_new(job->arena, JSON_ARRAY));
    JSON_EACH(named, JSON_GET(section, "indicators")) {
        struct json *value = NULL;
        const struct indicator *indicator = table_get(&job->set->indicators, json_text(job->arena, named));
        if (indicator != NULL && !figure(job, indicator, &value, error)) {
            return false;
        }
        (void)json_append(indicators, value);
    }
    return true;
}

/* RFC 4180; a leading = + - @ would be a formula to a spreadsheet. */
static void add_cell(struct buf *out, struct str text, bool last)
{
    bool formula = text.len > 0 && strchr("=+-@\t", text.at[0]) != NULL;
    buf_add(out, formula ? STR("\"'") : STR("\""));
    for (size_t i = 0; i < text.len; i++) {
        buf_add(out, text.at[i] == '"' ? STR("\"\"") : str_slice(text, i, i + 1));
    }
    buf_add(out, last ? STR("\"\r\n") : STR("\","));
}

static struct str word_of(const struct figures_job *job, const struct json *object, const char *name)
{
    bool english = api_language(job->request) == OUTCOME_ENGLISH;
    return json_member_text(job->arena, json_member(object, str_from_cstr(name)),
                            english ? STR("en") : STR("zh"));
}

/* Unknown is empty, never 0. */
static void add_number(struct buf *out, const struct json *value)
{
    buf_add(out, value != NULL && value->kind == JSON_NUMBER ? value->raw : STR(""));
    buf_add_char(out, ',');
}

static void write_csv(const struct figures_job *job, const struct json *answer, struct buf *out)
{
    const struct json *sections = JSON_GET(answer, "sections");
    struct str as_of = JSON_TEXT(job->arena, answer, "asOf");
    bool english = api_language(job->request) == OUTCOME_ENGLISH;
    buf_add(out, STR("\xef\xbb\xbf")); /* spreadsheets take the file for UTF-8 by it */
    buf_add(out, english ? STR("date,section,indicator,value,previous day,unit,counted,rule,as of\r\n")
                         : STR("日期,章节,指标,数值,前日,单位,计入数,口径,截至\r\n"));
    JSON_EACH(section, sections) {
        JSON_EACH(one, JSON_GET(section, "indicators")) {
            const struct json *counted = JSON_GET(one, "counted");
            add_cell(out, job->date, false);
            add_cell(out, word_of(job, section, "title"), false);
            add_cell(out, word_of(job, one, "name"), false);
            add_number(out, JSON_GET(one, "value"));
            add_number(out, JSON_GET(one, "previous"));
            add_cell(out, word_of(job, one, "unit"), false);
            buf_add(out, counted == NULL ? STR("") : counted->raw);
            buf_add_char(out, ',');
            add_cell(out, word_of(job, one, "rule"), false);
            add_cell(out, as_of, true);
        }
    }
}

static bool respond_csv(const struct figures_job *job, const struct json *answer, struct error *error)
{
    struct buf out = { .bytes_max = LIMIT_RESOURCE_BYTES };
    write_csv(job, answer, &out);
    struct str text = out.failed ? STR_NONE : arena_dup(job->arena, buf_str(&out));
    buf_deinit(&out);
    if (text.at == NULL) {
        return FAIL(error, ERROR_TOO_LARGE, "the report is too large");
    }
    http_add_header(job->request, STR("Content-Disposition"),
                    arena_printf(job->arena, "attachment; filename=\"report-%.*s.csv\"", STR_FMT(job->date)));
    http_respond(job->request, 200, STR("text/csv; charset=utf-8"), text);
    return true;
}

static bool report(struct figures_job *job, struct error *error)
{
    struct str code = http_parameter(job->request, STR("code"));
    const struct json *definition = json_member(job->set->reports, code);
    if (definition == NULL) {
        return FAIL(error, ERROR_NOT_FOUND, "there is no such report");
    }
    struct json *answer = answer_head(job);
    (void)json_add(answer, STR("title"), json_copy(job->arena, JSON_GET(definition, "title"), false));
    struct json *sections = json_add(answer, STR("sections"), json_new(job->arena, JSON_ARRAY));
    JSON_EACH(section, JSON_GET(definition, "sections")) {
        if (!add_section(job, section, sections, error)) {
            return false;
        }
    }
    if (!audit(job->request, "report", error)) {
        return false;
    }
    if (str_equal(http_query_value(job->request, STR("format")), STR("csv"))) {
        return respond_csv(job, answer, error);
    }
    api_respond_json(job->request, 200, false, answer);
    return true;
}

enum http_verdict reports_get(struct http_request *request)
{
    struct error error = { 0 };
    struct figures_job job;
    if (!begin(request, &job, &error) || !report(&job, &error)) {
        return api_fail(request, &error);
    }
    return HTTP_DONE;
}
