/* access_open.c — the module's beginning, its minute and its end. */
#include "access/access_open.h"

#include <assert.h>

#include "access/actor.h"
#include "access/internal.h"
#include "access/row_json.h"
#include "base/clock.h"

enum {
    ACCESS_BYTES_MAX = 512 * 1024 * 1024,
    IDLE_SECONDS = 30 * 60,
    SESSION_SECONDS = 12 * 60 * 60,
    SAVE_USED_MS = 5 * 60 * 1000,    /* how much of an idle time a restart may forget */
    FORGET_ACTOR_MS = 5 * 60 * 1000, /* an actor that nobody used so long is made again when needed */
    TICK_CHANGES_MAX = 4096
};

static const size_t password_memory_bytes = 64u * 1024 * 1024;
static const unsigned long long password_operations = 2;

static int64_t wall_clock(void *context)
{
    (void)context;
    return clock_now_ms();
}

static void options_complete(struct access_options *options)
{
    options->now_ms = options->now_ms == NULL ? wall_clock : options->now_ms;
    if (options->password_operations == 0) {
        options->password_operations = password_operations;
    }
    if (options->password_memory_bytes == 0) {
        options->password_memory_bytes = password_memory_bytes;
    }
    if (options->idle_seconds == 0) {
        options->idle_seconds = IDLE_SECONDS;
    }
    if (options->session_seconds == 0) {
        options->session_seconds = SESSION_SECONDS;
    }
    if (options->default_language.len != 2) {
        options->default_language = STR("zh");
    }
}

static struct slots slots_of(struct access *access, size_t item_bytes, size_t items_max)
{
    return (struct slots){ .arena = &access->arena, .item_bytes = item_bytes, .items_max = items_max };
}

static bool rows_load(struct access *access, struct error *error)
{
    const struct access_rows *rows = &access->options.rows;
    return rows->each(rows->context, ROWS_ACCOUNT, account_load, access, error) &&
           rows->each(rows->context, ROWS_SESSION, session_load, access, error) &&
           rows->each(rows->context, ROWS_TOKEN, token_load, access, error) &&
           rows->each(rows->context, ROWS_KEY, app_key_load, access, error) &&
           rows->each(rows->context, ROWS_APP, app_load, access, error) &&
           rows->each(rows->context, ROWS_GRANT, app_grant_load, access, error) &&
           rows->each(rows->context, ROWS_ASSERTION, app_assertion_load, access, error);
}

bool access_open(const struct access_options *options, struct access **access, struct error *error)
{
    struct arena arena = { .bytes_max = ACCESS_BYTES_MAX };
    struct access *made = ARENA_NEW(&arena, struct access);
    if (made == NULL) {
        return FAIL(error, ERROR_BUSY, "no memory for sessions");
    }
    made->arena = arena;
    made->options = *options;
    options_complete(&made->options);
    (void)pthread_mutex_init(&made->lock, NULL);
    atomic_init(&made->directory_epoch, 1);
    made->accounts = slots_of(made, sizeof(struct account), ACCESS_ACCOUNTS_MAX);
    made->sessions = slots_of(made, sizeof(struct session), ACCESS_SESSIONS_MAX);
    made->tokens = slots_of(made, sizeof(struct session), ACCESS_TOKENS_MAX);
    made->throttles = slots_of(made, sizeof(struct throttle), ACCESS_THROTTLES_MAX);
    made->machines = slots_of(made, sizeof(struct machine), ACCESS_MACHINES_MAX);
    made->apps = slots_of(made, sizeof(struct app), ACCESS_APPS_MAX);
    made->app_grants = slots_of(made, sizeof(struct app_grant), ACCESS_GRANTS_MAX);
    made->app_tokens = slots_of(made, sizeof(struct app_access), ACCESS_APP_TOKENS_MAX);
    made->app_assertions = slots_of(made, sizeof(struct app_once), ACCESS_ASSERTIONS_MAX);
    made->app_launches = slots_of(made, sizeof(struct app_once), ACCESS_LAUNCHES_MAX);
    if (!password_gate_init(&made->gate, made->options.password_operations,
                            made->options.password_memory_bytes, error)) {
        (void)pthread_mutex_destroy(&made->lock);
        arena = made->arena;
        arena_deinit(&arena);
        return false;
    }
    if (!policy_read(&made->arena, options->policies, options->policies_count, &made->policies, error) ||
        !rows_load(made, error)) {
        access_close(made);
        return false;
    }
    *access = made;
    return true;
}

static void actors_drop(struct slots *slots)
{
    for (struct slot *item = slots_each(slots, NULL); item != NULL; item = slots_each(slots, item)) {
        actor_unref(((struct session *)item)->actor);
    }
}

void access_close(struct access *access)
{
    if (access == NULL) {
        return;
    }
    actors_drop(&access->sessions);
    actors_drop(&access->tokens);
    apps_close(access);
    for (struct slot *item = slots_each(&access->machines, NULL); item != NULL;
         item = slots_each(&access->machines, item)) {
        actor_unref(((struct machine *)item)->actor);
    }
    password_gate_deinit(&access->gate);
    (void)pthread_mutex_destroy(&access->lock);
    struct arena arena = access->arena;
    arena_deinit(&arena);
}

void access_directory_changed(struct access *access)
{
    (void)atomic_fetch_add(&access->directory_epoch, 1);
}

/* ---- the minute ---- */

/* Ended ones go, with their rows; those used meanwhile are written down; idle actors are let go. */
static bool slots_tick(struct access *access, struct slots *slots, struct arena *arena,
                       struct rows_change *changes, size_t *count, struct error *error)
{
    int64_t now_ms = access_now_ms(access);
    struct slot *item = slots_each(slots, NULL);
    while (item != NULL && *count < TICK_CHANGES_MAX) {
        struct session *session = (struct session *)item;
        item = slots_each(slots, item);
        if (session_has_ended(access, session, now_ms)) {
            changes[(*count)++] = session_row_removed(arena, session);
            session_drop(access, session);
            continue;
        }
        if (now_ms - session->used_ms > FORGET_ACTOR_MS) {
            actor_unref(session->actor);
            session->actor = NULL;
        }
        if (session->means == ACCESS_BY_COOKIE && session->used_ms - session->used_saved_ms >= SAVE_USED_MS) {
            if (!session_row(arena, session, &changes[*count], error)) {
                return false;
            }
            (*count)++;
            session->used_saved_ms = session->used_ms;
        }
    }
    return true;
}

bool access_tick(struct access *access, struct error *error)
{
    struct arena arena = { .bytes_max = 16 * 1024 * 1024 };
    struct rows_change *changes = ARENA_ARRAY(&arena, struct rows_change, TICK_CHANGES_MAX);
    size_t count = 0;
    bool ok = changes != NULL;
    (void)pthread_mutex_lock(&access->lock);
    ok = ok && slots_tick(access, &access->sessions, &arena, changes, &count, error) &&
         slots_tick(access, &access->tokens, &arena, changes, &count, error);
    if (ok) {
        app_sweep(access, &arena, changes, &count, TICK_CHANGES_MAX);
    }
    (void)pthread_mutex_unlock(&access->lock);
    ok =
        ok && (count == 0 || access->options.rows.write(access->options.rows.context, changes, count, error));
    arena_deinit(&arena);
    return ok;
}

/* ---- machines ---- */

static struct machine *machine_find(struct access *access, uint64_t hash, struct str role,
                                    struct str organization)
{
    struct slot *item = slots_find(&access->machines, hash);
    while (item != NULL && (!str_equal_cstr(role, ((struct machine *)item)->role) ||
                            !str_equal_cstr(organization, ((struct machine *)item)->organization))) {
        item = slots_find_next(item);
    }
    return (struct machine *)item;
}

/* Keeps the actor for the next job of the same kind, when there is room. */
static void machine_keep(struct access *access, uint64_t hash, struct str role, struct str organization,
                         struct access_actor *actor)
{
    (void)pthread_mutex_lock(&access->lock);
    struct machine *machine = machine_find(access, hash, role, organization);
    if (machine == NULL) {
        machine = slots_add(&access->machines, hash);
        if (machine != NULL &&
            (!text_copy(role, machine->role, sizeof machine->role) ||
             !text_copy(organization, machine->organization, sizeof machine->organization))) {
            slots_remove(&access->machines, &machine->slot);
            machine = NULL;
        }
    }
    if (machine != NULL) {
        actor_unref(machine->actor);
        machine->actor = actor_ref(actor);
    }
    (void)pthread_mutex_unlock(&access->lock);
}

bool access_session_machine(struct access *access, struct arena *arena, const char *role,
                            struct str organization, struct access_session *session, struct error *error)
{
    struct str code = str_from_cstr(role);
    uint64_t hash = hash64(organization, hash64(code, 4));
    struct access_actor *actor = NULL;
    (void)pthread_mutex_lock(&access->lock);
    struct machine *machine = machine_find(access, hash, code, organization);
    if (machine != NULL && !actor_is_stale(access, machine->actor)) {
        actor = actor_ref(machine->actor);
    }
    (void)pthread_mutex_unlock(&access->lock);
    if (actor == NULL) {
        struct actor_start start = { .role = code, .organization = organization };
        if (!actor_create(access, &start, &actor, error)) {
            return false;
        }
        machine_keep(access, hash, code, organization, actor);
    }
    *session = (struct access_session){ .means = ACCESS_BY_MACHINE, .language = STR("zh") };
    return actor_attach(arena, actor, session, error);
}

bool access_session_post(struct access *access, struct arena *arena, const struct access_asker *asker,
                         struct access_session *session, struct error *error)
{
    struct access_actor *actor = NULL;
    const struct actor_start start = {
        .practitioner = asker->person, .post = asker->post, .scopes = asker->scopes, .patient = asker->patient
    };
    if (!actor_create(access, &start, &actor, error)) {
        return false;
    }
    *session = (struct access_session){ .means = asker->scopes.at != NULL ? ACCESS_BY_APP : ACCESS_BY_TOKEN,
                                        .language = STR("zh"),
                                        .app = asker->app,
                                        .scopes = asker->scopes,
                                        .patient = asker->patient };
    return actor_attach(arena, actor, session, error);
}
