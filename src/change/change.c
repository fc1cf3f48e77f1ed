/* change.c — a set of entries is made ready (each by change_entry.c), submitted, and made again when it lost a race. */
#include "change/change.h"

#include <assert.h>

#include "access/audit.h"
#include "base/clock.h"
#include "base/table.h"
#include "change/change_internal.h"
#include "store/body.h"

bool change_open(struct arena *arena, const struct change_options *options, struct change **change,
                 struct error *error)
{
    struct change *made = ARENA_NEW(arena, struct change);
    if (made == NULL) {
        return CHANGE_NO_MEMORY(error);
    }
    made->options = *options;
    (void)change_profile_source(made);
    if (!change_load_locks(made, arena, error)) {
        return false;
    }
    *change = made;
    return true;
}

bool change_checks_references(const struct change *change)
{
    return change->options.check_references;
}

const struct profile_source *change_profiles(const struct change *change)
{
    return &change->profiles;
}

bool change_read_tree(struct arena *arena, const struct store_version *version, struct json **tree,
                      struct error *error)
{
    struct str text = STR_NONE;
    return store_body_text(arena, version, &text, error) && json_read(arena, text, tree, error);
}

bool change_read_current(struct store_reader *reader, struct arena *arena, struct str type, struct str id,
                         struct store_version *version, struct error *error)
{
    struct error cause = { 0 };
    struct store_version found = { 0 };
    if (store_read(reader, arena, type, id, &found, &cause)) {
        if (found.method == STORE_METHOD_DELETED) {
            found = (struct store_version){ 0 };
        }
        *version = found;
        return true;
    }
    if (cause.kind == ERROR_NOT_FOUND) {
        *version = (struct store_version){ 0 };
        return true;
    }
    if (error != NULL) {
        *error = cause;
    }
    return false;
}

/* ---- the set ---- */

static bool encode_audit(struct change_set *set, struct error *error)
{
    const struct change_entry *first = &set->entries[0];
    struct access_act act = { .interaction = set->operation.at != NULL ? ACCESS_OPERATION
                                                                       : change_interaction(first->kind),
                              .type = first->type,
                              .operation = set->operation };
    struct audit_record record = audit_record_of(set->session, act);
    record.route = set->route;
    record.id = first->id;
    record.outcome = AUDIT_SUCCESS;
    size_t patients = 0;
    for (size_t i = 0; i < set->entries_count && patients < AUDIT_PATIENTS_MAX; i++) {
        if (str_equal(set->entries[i].type, STR("Patient"))) {
            record.patients[patients++] = set->entries[i].id;
        }
    }
    static const char *const members[] = { "subject", "patient", "for" };
    for (size_t i = 0; i < set->entries_count * 3 && patients < AUDIT_PATIENTS_MAX; i++) {
        const struct json *member = json_member(set->entries[i / 3].resource, str_from_cstr(members[i % 3]));
        struct str reference = JSON_TEXT(set->arena, member, "reference");
        if (str_starts_with(reference, STR("Patient/"))) {
            struct str id = str_skip(reference, sizeof "Patient/" - 1);
            if (patients == 0 || !str_equal(record.patients[patients - 1], id)) {
                record.patients[patients++] = id;
            }
        }
    }
    return audit_encode(set->arena, &record, &set->stored.audit_record, error);
}

static void finish_results(struct change_set *set)
{
    size_t at = 0;
    for (size_t i = 0; i < set->entries_count; i++) {
        struct change_entry *entry = &set->entries[i];
        if (entry->result.http_status != 0) {
            continue; /* needed no write */
        }
        const struct store_write *write = &set->stored.writes[at++];
        entry->result.id = entry->id;
        entry->result.version = write->result.version;
        entry->result.seq = write->result.seq;
        entry->result.updated_ms = write->result.updated_ms;
        entry->result.http_status = write->result.method == STORE_METHOD_CREATED   ? 201
                                    : write->result.method == STORE_METHOD_UPDATED ? 200
                                                                                   : 204;
    }
}

static bool touches_directory(const struct change_set *set)
{
    for (size_t i = 0; i < set->entries_count; i++) {
        struct str type = set->entries[i].type;
        if (str_equal(type, STR("Organization")) || str_equal(type, STR("PractitionerRole")) ||
            str_equal(type, STR("Practitioner")) || str_equal(type, STR("OrganizationAffiliation"))) {
            return true;
        }
    }
    return false;
}

struct change_holder { /* set->stored.data: apply and done need both */
    struct change *change;
    struct change_set *set;
    struct change_references *references;
    bool asks_hold;       /* was found to be under no legal hold, by what was on disk */
    bool moves_hold;      /* places or lifts one itself */
    bool hold_begun;      /* moves_hold: its turn has come */
    bool holds_were_calm; /* none was on its way to disk when the snapshot was taken … */
    uint64_t holds_begun; /* … and so many had been before */
};

/* store_set.turn: a hold that was placed since the snapshot, even if it is not on disk yet, must be seen: the set is made
 * again. */
static bool run_turn(void *data, struct error *error)
{
    struct change_holder *holder = data;
    struct change *change = holder->change;
    bool moved = atomic_load(&change->holds_begun) != holder->holds_begun || !holder->holds_were_calm;
    if (holder->asks_hold && moved) {
        return FAIL(error, ERROR_PRECONDITION, "a legal hold was placed or lifted meanwhile: try again");
    }
    if (holder->moves_hold) {
        holder->hold_begun = true;
        (void)atomic_fetch_add(&change->holds_begun, 1);
    }
    return true;
}

/* store_set.decide */
static bool run_decide(void *data, struct store_reader *inside, struct error *error)
{
    struct change_holder *holder = data;
    return change_references_again(holder->references, inside, error);
}

static bool run_apply(void *data, struct store_transaction *transaction, struct error *error)
{
    struct change_holder *holder = data;
    return holder->set->apply(holder->set->apply_data, transaction, error);
}

static void stored_done(struct store_set *stored, const struct error *error)
{
    struct change_holder *holder = stored->data;
    struct change_set *set = holder->set;
    if (holder->hold_begun) {
        (void)atomic_fetch_add(&holder->change->holds_ended, 1);
    }
    if (error == NULL) {
        finish_results(set);
        if (touches_directory(set)) {
            access_directory_changed(holder->change->options.access);
        }
    }
    if (set->done != NULL) {
        set->done(set, error);
    }
}

static bool begin(struct change *change, struct change_set *set, struct preparing *at, struct error *error)
{
    set->outcome = ARENA_NEW(set->arena, struct outcome);
    struct change_holder *holder = ARENA_NEW(set->arena, struct change_holder);
    struct store_write *writes = ARENA_ARRAY(set->arena, struct store_write, set->entries_count + 1);
    *at = (struct preparing){ .change = change, .set = set, .now_ms = clock_now_ms() };
    at->conditions =
        ARENA_ARRAY(set->arena, struct store_condition, set->entries_count + set->conditions_count + 1);
    if (set->outcome == NULL || holder == NULL || writes == NULL || at->conditions == NULL) {
        return CHANGE_NO_MEMORY(error);
    }
    *set->outcome = outcome_in(set->arena);
    *holder = (struct change_holder){ .change = change, .set = set };
    at->asks_hold = &holder->asks_hold;
    uint64_t ended = atomic_load(&change->holds_ended); /* in this order, and before the snapshot */
    holder->holds_begun = atomic_load(&change->holds_begun);
    holder->holds_were_calm = ended == holder->holds_begun;
    for (size_t i = 0; i < set->conditions_count; i++) {
        at->conditions[at->conditions_count++] = set->conditions[i];
    }
    set->stored = (struct store_set){
        .arena = set->arena,
        .writes = writes,
        .grants = set->grants,
        .grants_count = set->grants_count,
        .jobs = set->jobs,
        .jobs_count = set->jobs_count,
        .apply = set->apply != NULL ? run_apply : NULL,
        .done = stored_done,
        .data = holder,
    };
    const struct access_act read = { .interaction = ACCESS_READ };
    return store_reader_begin(change->options.store, &at->reader, error) &&
           (set->by_workflow || access_filter(set->session, read, set->arena, &at->read_filter, error));
}

/* A reference to another entry counts as seen: that entry must pass its own check, or nothing is written. */
static bool note_written(struct preparing *at, struct error *error)
{
    struct change_set *set = at->set;
    at->written = table_in(set->arena);
    for (size_t i = 0; set->entries_count > 1 && i < set->entries_count; i++) {
        struct change_entry *entry = &set->entries[i];
        if (entry->kind == CHANGE_DELETE || entry->id.len == 0) {
            continue;
        }
        struct str key = arena_printf(set->arena, "%.*s/%.*s", STR_FMT(entry->type), STR_FMT(entry->id));
        if (key.at == NULL || !table_set(&at->written, key, entry)) {
            return FAIL(error, ERROR_TOO_LARGE, "the request needs more memory than a request may have");
        }
    }
    return true;
}

/* Ids are known by now but those that preparing chooses: nothing can refer to these. */
static bool begin_references(struct preparing *at, struct error *error)
{
    struct change_set *set = at->set;
    struct change_holder *holder = set->stored.data;
    if (!at->change->options.check_references || set->by_workflow) {
        return true;
    }
    at->references = change_references_begin(at->change, set, at->read_filter, at->reader);
    holder->references = at->references;
    set->stored.decide = run_decide;
    return at->references != NULL || CHANGE_NO_MEMORY(error);
}

bool change_prepare(struct change *change, struct change_set *set, struct error *error)
{
    struct preparing at = { 0 };
    struct error cause = { 0 };
    assert(set->entries_count > 0);
    set->refused = 0;
    bool ok = begin(change, set, &at, &cause) && note_written(&at, &cause) && begin_references(&at, &cause);
    for (size_t i = 0; ok && i < set->entries_count; i++) {
        bool needed = false;
        ok = change_prepare_entry(&at, &set->entries[i], &set->stored.writes[set->stored.writes_count],
                                  &needed, &cause);
        set->stored.writes_count += ok && needed;
        set->refused = ok ? 0 : i + 1;
    }
    store_reader_end(at.reader);
    struct change_holder *holder = set->stored.data;
    for (size_t i = 0; ok && i < set->entries_count; i++) {
        holder->moves_hold = holder->moves_hold || change_moves_hold(&set->entries[i]);
    }
    set->stored.turn = holder != NULL && (holder->asks_hold || holder->moves_hold) ? run_turn : NULL;
    set->stored.conditions = at.conditions;
    set->stored.conditions_count = at.conditions_count;
    ok = ok && encode_audit(set, &cause) && store_set_prepare(change->options.store, &set->stored, &cause);
    if (!ok) {
        if (set->outcome != NULL && set->outcome->errors_count == 0) {
            outcome_add_error(set->outcome, &cause);
        }
        if (error != NULL) {
            *error = cause;
        }
    }
    return ok;
}

bool change_submit(struct change *change, struct change_set *set, struct error *error)
{
    if (set->stored.writes_count == 0 && set->grants_count == 0 && set->jobs_count == 0 &&
        set->apply == NULL) {
        if (set->done != NULL) {
            set->done(set, NULL);
        }
        return true;
    }
    return store_submit(change->options.store, &set->stored, error);
}

static bool apply_once(struct change *change, struct change_set *set, bool *lost_race, struct error *error)
{
    *lost_race = false;
    if (!change_prepare(change, set, error)) {
        return false;
    }
    if (set->stored.writes_count == 0 && set->grants_count == 0 && set->jobs_count == 0 &&
        set->apply == NULL) {
        return true;
    }
    struct error cause = { 0 };
    if (store_write_and_wait(change->options.store, &set->stored, &cause)) {
        return true;
    }
    *lost_race = cause.kind == ERROR_PRECONDITION;
    outcome_add_error(set->outcome, &cause);
    *error = cause;
    return false;
}

/* The entries as they were asked. Preparing gives a resource its id; one chosen by a search may get another id at the
 * next attempt, so it is worked on in a copy. */
static bool take_asked(struct change_set *set, const struct change_entry *asked)
{
    for (size_t i = 0; i < set->entries_count; i++) {
        set->entries[i] = asked[i];
        if (asked[i].condition.at != NULL && asked[i].resource != NULL) {
            set->entries[i].resource = json_copy(set->arena, asked[i].resource, false);
            if (set->entries[i].resource == NULL) {
                return false;
            }
        }
    }
    return true;
}

/* Whoever names a version wants to be told that it is gone; all others only want it done. */
static bool may_try_again(const struct change_set *set)
{
    bool free_to_try = set->may_repeat && set->conditions_count == 0;
    for (size_t i = 0; i < set->entries_count; i++) {
        free_to_try = free_to_try && set->entries[i].if_match.at == NULL && !set->entries[i].if_absent;
    }
    return free_to_try;
}

bool change_apply(struct change *change, struct change_set *set, struct error *error)
{
    struct error cause = { 0 };
    size_t bytes = set->entries_count * sizeof *set->entries;
    struct change_entry *asked = arena_alloc(set->arena, bytes);
    if (asked == NULL) {
        return CHANGE_NO_MEMORY(error);
    }
    memcpy(asked, set->entries, bytes);
    for (int attempt = 0; attempt < CHANGE_ATTEMPTS; attempt++) {
        cause = (struct error){ 0 };
        bool lost_race = false;
        if (!take_asked(set, asked)) {
            return CHANGE_NO_MEMORY(error);
        }
        if (apply_once(change, set, &lost_race, &cause)) {
            return true;
        }
        if (!lost_race || !may_try_again(set)) {
            break;
        }
    }
    if (error != NULL) {
        *error = cause;
    }
    return false;
}
