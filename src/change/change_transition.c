/* Transitions: the workflow's plan becomes one commit. Everything that the rules read is a precondition, so a
 * decision on a state that has moved is refused by the writer and made again here. */
#include "access/access.h"
#include "access/sign_in.h"
#include "access/signing.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/parse.h"
#include "change/change_internal.h"
#include "fhir/search_query.h"
#include "store/body.h"
#include "store/search.h"
#include "store/views.h"
#include "workflow/workflow.h"

enum { TRANSITION_ATTEMPTS = 4, CONTEXT_HITS_MAX = 1000 };

struct transition_run {
    struct change *change;
    const struct change_transition *request;
    struct store_reader *reader;
};

static bool split_reference(struct str reference, struct str *type, struct str *id)
{
    size_t slash = str_find_char(reference, '/');
    struct str rest = str_skip(reference, slash + 1);
    *type = str_slice(reference, 0, slash);
    *id = str_slice(rest, 0, str_find_char(rest, '/'));
    return slash > 0 && id->len > 0;
}

static bool host_read(void *data, struct arena *arena, struct str reference, struct json **resource,
                      struct error *error)
{
    struct transition_run *run = data;
    struct store_version version = { 0 };
    struct str type = STR_NONE;
    struct str id = STR_NONE;
    *resource = NULL;
    if (!split_reference(reference, &type, &id)) {
        return true;
    }
    if (!change_read_current(run->reader, arena, type, id, &version, error)) {
        return false;
    }
    return version.type.at == NULL || change_read_tree(arena, &version, resource, error);
}

/* Keys of these organisations and of those below them: what a session of theirs would call "own". */
struct keepers {
    uint64_t *keys;
    size_t count;
};

static bool keepers_add(struct transition_run *run, struct arena *arena, struct str reference,
                        struct keepers *keepers, struct error *error)
{
    struct access_session session = { 0 };
    struct str type = STR_NONE;
    struct str organization = STR_NONE;
    size_t own = 0;
    if (!split_reference(reference, &type, &organization)) {
        return true;
    }
    if (!access_session_machine(run->change->options.access, arena, "system", organization, &session,
                                error)) {
        return false;
    }
    const struct str *ids = access_organizations(&session, &own);
    uint64_t *keys = ARENA_ARRAY(arena, uint64_t, keepers->count + own + 1);
    if (keys == NULL) {
        return CHANGE_NO_MEMORY(error);
    }
    for (size_t i = 0; i < keepers->count + own; i++) {
        keys[i] = i < keepers->count ? keepers->keys[i]
                                     : hash_resource_key(STR("Organization"), ids[i - keepers->count]);
    }
    *keepers = (struct keepers){ .keys = keys, .count = keepers->count + own };
    return true;
}

static bool is_kept_by(const struct keepers *keepers, uint64_t custodian)
{
    for (size_t i = 0; i < keepers->count; i++) {
        if (keepers->keys[i] == custodian) {
            return true;
        }
    }
    return false;
}

static bool host_search(void *data, struct arena *arena, const struct workflow_query *asked,
                        struct workflow_list *hits, struct error *error)
{
    struct transition_run *run = data;
    size_t mark = str_find_char(asked->text, '?');
    struct search_query query = { 0 };
    struct store_hits found = { 0 };
    struct keepers keepers = { 0 };
    struct search_options options = { .type = str_slice(asked->text, 0, mark),
                                      .offset_minutes = run->change->options.offset_minutes };
    if (!search_query_parse_text(arena, &options, str_skip(asked->text, mark + 1), &query, error)) {
        return false;
    }
    for (size_t i = 0; i < asked->keepers_count; i++) {
        if (!keepers_add(run, arena, asked->keepers[i], &keepers, error)) {
            return false;
        }
    }
    query.count = CONTEXT_HITS_MAX;
    query.has_count = true;
    struct store_search search = { .query = &query, .now_ms = clock_now_ms() };
    if (!store_search(run->reader, arena, &search, &found, error)) {
        return false;
    }
    if (found.next_cursor.at != NULL) {
        return FAIL(error, ERROR_TOO_COSTLY, "a rule looks at more than %d records", CONTEXT_HITS_MAX);
    }
    *hits = (struct workflow_list){ .items = ARENA_ARRAY(arena, struct json *, found.count + 1) };
    if (hits->items == NULL) {
        return CHANGE_NO_MEMORY(error);
    }
    for (size_t i = 0; i < found.count; i++) {
        const struct store_version *version = &found.hits[i].version;
        if (asked->kept && !is_kept_by(&keepers, version->custodian)) {
            continue;
        }
        if (!change_read_tree(arena, version, &hits->items[hits->count], error)) {
            return false;
        }
        hits->count++;
    }
    return true;
}

/* A grantee that is known by its key only, on its way from one grant to another. */
static struct str key_text(struct arena *arena, uint64_t key)
{
    return arena_printf(arena, "#%llu", (unsigned long long)key);
}

static uint64_t grantee_key(struct str principal)
{
    uint64_t key = 0;
    if (str_starts_with(principal, STR("#")) && parse_uint64(str_skip(principal, 1), UINT64_MAX, &key)) {
        return key;
    }
    return access_grantee_key(principal);
}

static bool list_grants(struct transition_run *run, struct arena *arena,
                        const struct store_grants_query *query, struct store_grant **grants, size_t *count,
                        struct error *error)
{
    return store_grants_list(run->reader, arena, query, grants, count, error);
}

static bool host_principals(void *data, struct arena *arena, struct str reference, struct str **list,
                            size_t *count, struct error *error)
{
    struct transition_run *run = data;
    struct store_grant *grants = NULL;
    size_t grants_count = 0;
    struct str type = STR_NONE;
    struct str id = STR_NONE;
    *count = 0;
    if (!split_reference(reference, &type, &id)) {
        return true;
    }
    struct store_grants_query query = { .resource = hash_resource_key(type, id),
                                        .alive_at_ms = clock_now_ms() };
    if (!list_grants(run, arena, &query, &grants, &grants_count, error)) {
        return false;
    }
    *list = ARENA_ARRAY(arena, struct str, grants_count + 1);
    if (*list == NULL) {
        return CHANGE_NO_MEMORY(error);
    }
    for (size_t i = 0; i < grants_count; i++) {
        (*list)[(*count)++] = key_text(arena, grants[i].post);
    }
    return true;
}

static bool host_suggest(void *data, struct arena *arena, struct str sql, struct str focus_id,
                         struct json **rows, struct error *error)
{
    struct transition_run *run = data;
    const struct store_sql_parameter parameters[] = {
        { "focus", store_text(focus_id) },
        { "now", store_integer(clock_now_ms()) },
    };
    const struct store_sql statement = { .text = sql,
                                         .parameters = parameters,
                                         .parameters_count = sizeof parameters / sizeof *parameters };
    struct store_sql_result result = { 0 };
    if (!store_sql_run(run->change->options.store, arena, &statement, &result, error)) {
        return false;
    }
    *rows = json_new(arena, JSON_ARRAY);
    for (size_t i = 0; i < result.rows_count; i++) {
        struct json *row = json_append(*rows, json_new(arena, JSON_OBJECT));
        for (size_t k = 0; k < result.columns_count; k++) {
            const struct store_value *value = &result.values[i * result.columns_count + k];
            struct str name = str_from_cstr(result.columns[k]);
            if (value->kind == STORE_VALUE_TEXT) {
                (void)json_add_text(arena, row, name, value->text);
            } else if (value->kind == STORE_VALUE_INTEGER) {
                (void)json_add(row, name, json_new_integer(arena, value->integer));
            }
        }
    }
    return *rows != NULL || CHANGE_NO_MEMORY(error);
}

static bool host_confirm(void *data, struct str password, struct error *error)
{
    struct transition_run *run = data;
    struct error cause = { 0 };
    if (session_confirm(run->change->options.access, run->request->session, password, &cause)) {
        return true;
    }
    /* Not 401: the session is fine, the signature is what is refused. */
    enum error_kind kind = cause.kind == ERROR_SIGN_IN ? ERROR_RULE : cause.kind;
    return FAIL(error, kind, "%s",
                cause.kind == ERROR_SIGN_IN ? "the password is wrong; nothing was signed" : cause.text);
}

static bool host_sign(void *data, struct arena *arena, struct str canonical,
                      struct workflow_signature *signature, struct error *error)
{
    struct transition_run *run = data;
    struct signer *signer = run->change->options.signer;
    struct signature made = { 0 };
    if (signer == NULL) {
        return FAIL(error, ERROR_INTERNAL, "no signing keys are configured");
    }
    if (!signer->sign(signer->context, run->request->session->person, canonical, &made, error)) {
        return false;
    }
    *signature = (struct workflow_signature){
        .data = signature_base64(arena, &made),
        .format = STR("application/x-sm2-sm3"),
        .certificate = arena_dup(arena, str_from_cstr(made.number)),
    };
    return signature->data.at != NULL || CHANGE_NO_MEMORY(error);
}

/* ---- from a plan to a set ---- */

struct grants_made {
    struct store_grant *list;
    size_t count;
};

static bool revoke_one(struct transition_run *run, uint64_t post, uint64_t basis, struct grants_made *made,
                       struct error *error)
{
    struct store_grant *alive = NULL;
    size_t count = 0;
    struct store_grants_query query = { .post = post, .basis = basis, .alive_at_ms = clock_now_ms() };
    if (!list_grants(run, run->request->arena, &query, &alive, &count, error)) {
        return false;
    }
    struct store_grant *grown = ARENA_ARRAY(run->request->arena, struct store_grant, made->count + count + 1);
    if (grown == NULL) {
        return CHANGE_NO_MEMORY(error);
    }
    for (size_t i = 0; i < made->count; i++) {
        grown[i] = made->list[i];
    }
    for (size_t i = 0; i < count; i++) {
        grown[made->count + i] = alive[i];
        grown[made->count + i].kind = STORE_GRANT_END;
    }
    made->list = grown;
    made->count += count;
    return true;
}

/* Grants of a consult have the Task as their basis and end with it; lasting ones (the archive copy) have the focus. */
static bool grants_of_plan(struct transition_run *run, const struct workflow_plan *plan,
                           struct grants_made *made, struct error *error)
{
    struct arena *arena = run->request->arena;
    struct str type = STR_NONE;
    struct str id = STR_NONE;
    uint64_t task_key = hash_resource_key(STR("Task"), run->request->task_id);
    uint64_t focus_key = task_key;
    if (split_reference(JSON_TEXT(arena, JSON_GET(plan->task, "focus"), "reference"), &type, &id)) {
        focus_key = hash_resource_key(type, id);
    }
    for (const struct workflow_revoke *revoke = plan->revokes; revoke != NULL; revoke = revoke->next) {
        uint64_t post = revoke->principal.at == NULL ? 0 : grantee_key(revoke->principal);
        if (!revoke_one(run, post, task_key, made, error)) {
            return false;
        }
    }
    size_t count = 0;
    for (const struct workflow_grant *grant = plan->grants; grant != NULL; grant = grant->next) {
        count++;
    }
    struct store_grant *all = ARENA_ARRAY(arena, struct store_grant, made->count + count + 1);
    if (all == NULL) {
        return CHANGE_NO_MEMORY(error);
    }
    for (size_t i = 0; i < made->count; i++) {
        all[i] = made->list[i];
    }
    for (const struct workflow_grant *grant = plan->grants; grant != NULL; grant = grant->next) {
        uint64_t post = grantee_key(grant->principal);
        if (post == 0 || !split_reference(grant->reference, &type, &id)) {
            continue;
        }
        all[made->count++] = (struct store_grant){ .kind = STORE_GRANT_ADD,
                                                   .resource = hash_resource_key(type, id),
                                                   .post = post,
                                                   .basis = grant->lasting ? focus_key : task_key,
                                                   .until_ms = grant->until_ms };
    }
    made->list = all;
    return true;
}

static bool set_of_plan(struct transition_run *run, const struct workflow_plan *plan, struct change_set *set,
                        struct error *error)
{
    struct arena *arena = run->request->arena;
    size_t count = 0;
    for (const struct workflow_write *write = plan->writes; write != NULL; write = write->next) {
        count++;
    }
    struct change_entry *entries = ARENA_ARRAY(arena, struct change_entry, count + 1);
    struct store_condition *conditions = ARENA_ARRAY(arena, struct store_condition, count + 1);
    struct grants_made grants = { 0 };
    if (entries == NULL || conditions == NULL) {
        return CHANGE_NO_MEMORY(error);
    }
    *set = (struct change_set){ .arena = arena,
                                .session = run->request->session,
                                .by_workflow = true,
                                .route = STR("/fhir/Task/{id}/$transition"),
                                .operation = STR("$transition"),
                                .entries = entries,
                                .conditions = conditions };
    /* The Task first: it names the audit record. */
    for (const struct workflow_write *write = plan->writes; write != NULL; write = write->next) {
        uint64_t version = 0;
        bool made = write->version.at == NULL;
        if (!made && !parse_uint64(write->version, UINT64_MAX, &version)) {
            return FAIL(error, ERROR_INTERNAL, "a stored version is not a number");
        }
        if (write->changed) {
            entries[set->entries_count++] = (struct change_entry){
                .kind = made ? CHANGE_CREATE : CHANGE_UPDATE,
                .type = write->type,
                .id = write->id,
                .resource = write->resource,
                .if_match = write->version,
                .custodian = write->custodian,
            };
        } else {
            conditions[set->conditions_count++] = (struct store_condition){
                .kind = STORE_CONDITION_VERSION,
                .type = write->type,
                .id = write->id,
                .version = version,
            };
        }
    }
    if (!grants_of_plan(run, plan, &grants, error)) {
        return false;
    }
    set->grants = grants.list;
    set->grants_count = grants.count;
    return true;
}

/* ---- the two operations ---- */

static struct str reference_of(struct arena *arena, const char *type, struct str id)
{
    return id.len == 0 ? STR_NONE : arena_printf(arena, "%s/%.*s", type, STR_FMT(id));
}

struct transition_context {
    struct workflow_actor actor;
    struct workflow_host host;
    struct workflow_request request;
};

/* Reads the Task if the session may see it: else 404. */
static bool begin_transition(struct transition_run *run, struct transition_context *context,
                             struct error *error)
{
    const struct change_transition *request = run->request;
    struct arena *arena = request->arena;
    struct store_version version = { 0 };
    const struct access_act act = { .interaction = ACCESS_READ, .type = STR("Task") };
    const struct store_filter *filter = NULL;
    bool seen = false;
    bool machine = request->session->means == ACCESS_BY_MACHINE;
    if (!access_check(request->session, act, error) ||
        !access_filter(request->session, act, arena, &filter, error) ||
        !change_read_current(run->reader, arena, STR("Task"), request->task_id, &version, error)) {
        return false;
    }
    if (version.type.at != NULL && !store_matches(run->reader, &version, filter, &seen, error)) {
        return false;
    }
    if (version.type.at == NULL || !(seen || machine)) {
        return FAIL(error, ERROR_NOT_FOUND, "there is no such Task");
    }
    struct json *task = NULL;
    if (!change_read_tree(arena, &version, &task, error)) {
        return false;
    }
    uint64_t expected = 0;
    bool matches = request->if_match.at == NULL ||
                   (parse_uint64(request->if_match, UINT64_MAX, &expected) && expected == version.version);
    if (!matches) {
        return FAIL(error, ERROR_PRECONDITION, "the Task has moved meanwhile: read it again");
    }
    const struct workflow_machine *workflow = workflow_of_task(run->change->options.workflows, task);
    if (workflow == NULL) {
        return FAIL(error, ERROR_RULE, "this Task has no workflow");
    }
    context->actor = (struct workflow_actor){
        .role = request->session->role,
        .post = machine ? STR_NONE : reference_of(arena, "PractitionerRole", request->session->post),
        .organization = reference_of(arena, "Organization", request->session->organization),
        .person = reference_of(arena, "Practitioner", request->session->person),
    };
    context->host = (struct workflow_host){ .data = run,
                                            .read = host_read,
                                            .search = host_search,
                                            .principals = host_principals,
                                            .suggest = host_suggest,
                                            .confirm = host_confirm,
                                            .sign = host_sign };
    context->request = (struct workflow_request){
        .machine = workflow,
        .host = &context->host,
        .actor = &context->actor,
        .task = task,
        .parameters = request->parameters,
        .now_ms = clock_now_ms(),
        .offset_minutes = run->change->options.offset_minutes,
    };
    return true;
}

bool change_transitions(struct change *change, const struct change_transition *request,
                        struct json **parameters, struct error *error)
{
    struct transition_run run = { .change = change, .request = request };
    struct transition_context context;
    if (!store_reader_begin(change->options.store, &run.reader, error)) {
        return false;
    }
    bool ok = begin_transition(&run, &context, error) &&
              workflow_transitions(&context.request, request->arena, parameters, error);
    store_reader_end(run.reader);
    return ok;
}

static bool refuse(const struct workflow_refusal *refusal, struct outcome *outcome, struct error *error)
{

    for (const struct workflow_message *message = refusal->first; message != NULL; message = message->next) {
        outcome_add(outcome, (struct outcome_issue){ .severity = OUTCOME_ERROR,
                                                     .code = error_issue_code(refusal->kind),
                                                     .text = message->en,
                                                     .chinese = message->zh });
    }
    return FAIL(error, refusal->kind, "the transition was refused");
}

static bool take_once(struct change *change, const struct change_transition *request, struct json **task,
                      struct outcome *outcome, struct error *error)
{
    struct transition_run run = { .change = change, .request = request };
    struct transition_context context;
    struct workflow_plan plan = { 0 };
    struct workflow_refusal refusal = { 0 };
    struct change_set set = { 0 };
    if (!store_reader_begin(change->options.store, &run.reader, error)) {
        return false;
    }
    bool ok = begin_transition(&run, &context, error) &&
              workflow_take(&context.request, request->arena, &plan, &refusal, error);
    ok = ok && (refusal.first == NULL || refuse(&refusal, outcome, error));
    ok = ok && set_of_plan(&run, &plan, &set, error);
    store_reader_end(run.reader);
    if (!ok) {
        return false;
    }
    *task = plan.task; /* a quiet step leaves it as it was, and may find nothing to write at all */
    if (set.entries_count == 0) {
        return true;
    }
    if (!change_apply(change, &set, error)) {
        for (const struct outcome_issue *issue = set.outcome->first; issue != NULL; issue = issue->next) {
            outcome_add(outcome, *issue);
        }
        return false;
    }
    for (size_t i = 0; i < set.entries_count; i++) {
        const struct change_entry *entry = &set.entries[i];
        if (str_equal(entry->type, STR("Task")) && str_equal(entry->id, request->task_id)) {
            struct store_version version = { .type = entry->type,
                                             .id = entry->id,
                                             .version = entry->result.version,
                                             .updated_ms = entry->result.updated_ms,
                                             .body = entry->result.body };
            return change_read_tree(request->arena, &version, task, error);
        }
    }
    return true;
}

bool change_take(struct change *change, const struct change_transition *request, struct json **task,
                 struct outcome **outcome, struct error *error)
{
    struct outcome *made = ARENA_NEW(request->arena, struct outcome);
    struct error cause = { 0 };
    if (made == NULL) {
        return CHANGE_NO_MEMORY(error);
    }
    *outcome = made;
    for (int attempt = 0; attempt < TRANSITION_ATTEMPTS; attempt++) {
        *made = outcome_in(request->arena);
        if (take_once(change, request, task, made, &cause)) {
            return true;
        }
        bool moved = cause.kind == ERROR_PRECONDITION || cause.kind == ERROR_CONFLICT;
        if (!moved || request->if_match.at != NULL) {
            break;
        }
    }
    if (made->errors_count == 0) {
        outcome_add_error(made, &cause);
    }
    if (error != NULL) {
        *error = cause;
    }
    return false;
}
