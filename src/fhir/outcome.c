#include "fhir/outcome.h"

#include "base/limits.h"
#include "fhir/outcome_words.h"

static void path_write(struct buf *buf, const struct outcome_place *place)
{
    if (place->parent != NULL) {
        path_write(buf, place->parent);
        buf_add_char(buf, '.');
    }
    buf_add(buf, place->name);
    if (place->index >= 0) {
        buf_printf(buf, "[%lld]", (long long)place->index);
    }
}

struct str outcome_path(struct arena *arena, const struct outcome_place *place)
{
    struct buf buf = { .bytes_max = 4096 };
    path_write(&buf, place);
    struct str text = buf.failed ? STR("") : arena_dup(arena, buf_str(&buf));
    buf_deinit(&buf);
    return text;
}

/* Takes the last issue that is no error out of the list; false when there is none. */
static bool drop_last_warning(struct outcome *outcome)
{
    struct outcome_issue *before = NULL;
    struct outcome_issue *before_warning = NULL;
    struct outcome_issue *warning = NULL;
    for (struct outcome_issue *issue = outcome->first; issue != NULL; issue = issue->next) {
        if (issue->severity > OUTCOME_ERROR) {
            warning = issue;
            before_warning = before;
        }
        before = issue;
    }
    if (warning == NULL) {
        return false;
    }
    if (before_warning == NULL) {
        outcome->first = warning->next;
    } else {
        before_warning->next = warning->next;
    }
    outcome->last = outcome->last == warning ? before_warning : outcome->last;
    return true;
}

void outcome_add(struct outcome *outcome, struct outcome_issue issue)
{
    assert(outcome->arena != NULL);
    outcome->count++;
    outcome->errors_count += issue.severity <= OUTCOME_ERROR ? 1 : 0;
    if (outcome->count > LIMIT_OUTCOME_ISSUES) {
        outcome->cut = true;
        bool is_error =
            issue.severity <= OUTCOME_ERROR; /* goes before any warning: without it nobody knows why */
        if (!is_error || !drop_last_warning(outcome)) {
            return;
        }
    }
    struct outcome_issue *kept = ARENA_NEW(outcome->arena, struct outcome_issue);
    if (kept == NULL) {
        outcome->cut = true;
        return;
    }
    *kept = issue;
    kept->next = NULL;
    if (outcome->last == NULL) {
        outcome->first = kept;
    } else {
        outcome->last->next = kept;
    }
    outcome->last = kept;
}

void outcome_add_error(struct outcome *outcome, const struct error *error)
{
    struct str text = arena_dup(outcome->arena, str_from_cstr(error->text));
    struct outcome_words words = outcome_words_of(outcome->arena, error->kind, text);
    outcome_add(outcome, (struct outcome_issue){
                             .severity = OUTCOME_ERROR,
                             .code = error_issue_code(error->kind),
                             .text = text,
                             .chinese = words.chinese,
                             .detail = words.code,
                         });
}

static const char *severity_code(enum outcome_severity severity)
{
    switch (severity) {
    case OUTCOME_FATAL:
        return "fatal";
    case OUTCOME_ERROR:
        return "error";
    case OUTCOME_WARNING:
        return "warning";
    case OUTCOME_INFORMATION:
        return "information";
    }
    return "error";
}

/* By the code a program or a screen knows the sentence, in whatever language it was told. */
static void add_detail(struct arena *arena, struct json *details, const char *code)
{
    if (code == NULL) {
        return;
    }
    struct json *codings = json_add(details, STR("coding"), json_new(arena, JSON_ARRAY));
    struct json *coding = json_append(codings, json_new(arena, JSON_OBJECT));
    (void)json_add_text(arena, coding, STR("system"), STR("urn:shanhai:codes:error"));
    (void)json_add_text(arena, coding, STR("code"), str_from_cstr(code));
}

static struct json *issue_to_json(struct arena *arena, const struct outcome_issue *issue,
                                  enum outcome_language language)
{
    struct json *object = json_new(arena, JSON_OBJECT);
    (void)json_add_text(arena, object, STR("severity"), str_from_cstr(severity_code(issue->severity)));
    (void)json_add_text(arena, object, STR("code"), str_from_cstr(issue->code));
    /* R4 2.28.5: details is what the person is told, in his language; diagnostics helps to find the cause. */
    struct str told = language == OUTCOME_CHINESE && issue->chinese.len > 0 ? issue->chinese : issue->text;
    if (told.len > 0 || issue->detail != NULL) {
        struct json *details = json_add(object, STR("details"), json_new(arena, JSON_OBJECT));
        add_detail(arena, details, issue->detail);
        if (told.len > 0) {
            (void)json_add_text(arena, details, STR("text"), told);
        }
    }
    if (issue->text.len > 0) {
        (void)json_add_text(arena, object, STR("diagnostics"), issue->text);
    }
    if (issue->path.len > 0) {
        struct json *list = json_add(object, STR("expression"), json_new(arena, JSON_ARRAY));
        (void)json_append(list, json_new_string(arena, issue->path));
    }
    return object;
}

struct json *outcome_to_json(const struct outcome *outcome, enum outcome_language language)
{
    struct arena *arena = outcome->arena;
    struct json *resource = json_new(arena, JSON_OBJECT);
    (void)json_add_text(arena, resource, STR("resourceType"), STR("OperationOutcome"));
    struct json *list = json_add(resource, STR("issue"), json_new(arena, JSON_ARRAY));
    for (const struct outcome_issue *issue = outcome->first; issue != NULL; issue = issue->next) {
        (void)json_append(list, issue_to_json(arena, issue, language));
    }
    if (outcome->cut) {
        const struct outcome_issue more = {
            .severity = OUTCOME_INFORMATION,
            .code = "informational",
            .text = arena_printf(arena, "%zu issues in all; only the first are listed.", outcome->count),
            .chinese = arena_printf(arena, "共 %zu 个问题，仅列出前面的。", outcome->count),
        };
        (void)json_append(list, issue_to_json(arena, &more, language));
    }
    if (outcome->count == 0) {
        const struct outcome_issue fine = { .severity = OUTCOME_INFORMATION,
                                            .code = "informational",
                                            .text = STR("All OK"),
                                            .chinese = STR("没有问题") };
        (void)json_append(list, issue_to_json(arena, &fine, language));
    }
    return list == NULL || list->count == 0 ? NULL : resource;
}

struct json *outcome_of_error(struct arena *arena, const struct error *error, enum outcome_language language)
{
    struct outcome outcome = outcome_in(arena);
    outcome_add_error(&outcome, error);
    return outcome_to_json(&outcome, language);
}
