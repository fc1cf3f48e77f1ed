/* The way in: sign-in with its limits, sessions, posts, passwords, tokens, accounts. */
#include "access_world.h"

#include <errno.h>
#include <pthread.h>
#include <sys/resource.h>

#include "access/password.h"

/* A sanitizer's shadow memory is larger than any limit that a process could be given. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { IS_SANITIZED = 1 };
#else
enum { IS_SANITIZED = 0 };
#endif

static void a_person_signs_in_and_out(void **state)
{
    struct fixture *fixture = *state;
    struct error error = { 0 };
    add_account(fixture, "li");
    struct sign_in_answer answer = signed_in(fixture, "li");
    const char *cookie = arena_cstr(&fixture->arena, answer.set_cookie);
    assert_non_null(strstr(cookie, "; HttpOnly; SameSite=Strict; Secure"));
    assert_int_equal(secret_of(&answer).len, 64);
    const char *info = arena_cstr(&fixture->arena, json_write_arena(&fixture->arena, answer.info));
    assert_non_null(strstr(info, "\"person\":{\"id\":\"li\",\"name\":\"li\"}"));
    assert_non_null(strstr(
        info, "\"role\":\"county-doctor\",\"title\":{\"zh\":\"邀请方医生\",\"en\":\"Inviting doctor\"}"));
    assert_non_null(strstr(info, "\"organization\":{\"id\":\"county-ward\",\"name\":\"county-ward\"},"
                                 "\"tenant\":{\"id\":\"county\",\"name\":\"county\"}"));
    assert_non_null(strstr(info, "\"language\":\"zh\""));

    struct session_request request = { .cookie = secret_of(&answer) };
    struct access_session session;
    assert_int_equal(ask(fixture, &request, &session), ERROR_NONE);
    assert_true(str_equal(session.tenant, STR("county")));
    assert_int_equal(session.csrf.len, 32);
    struct str gone = STR_NONE;
    must(sign_out(fixture->access, &fixture->arena, &session, &gone, &error), &error);
    assert_non_null(strstr(arena_cstr(&fixture->arena, gone), "Max-Age=0"));
    assert_int_equal(ask(fixture, &request, NULL), ERROR_SIGN_IN);
}

static void wrong_passwords_wait_longer_and_names_are_not_told(void **state)
{
    struct fixture *fixture = *state;
    struct sign_in_answer answer = { 0 };
    struct error known = { 0 };
    struct error unknown = { 0 };
    uint32_t wait_s = 0;
    add_account(fixture, "li");
    assert_false(try_sign_in(fixture, "li", "wrong password", &answer, &wait_s, &known));
    assert_false(try_sign_in(fixture, "nobody", "wrong password", &answer, &wait_s, &unknown));
    assert_int_equal(known.kind, ERROR_SIGN_IN);
    assert_int_equal(unknown.kind, ERROR_SIGN_IN);
    assert_string_equal(known.text, unknown.text);
    for (int i = 0; i < 4; i++) {
        assert_false(try_sign_in(fixture, "LI", "wrong password", &answer, &wait_s, &known));
    }
    assert_false(try_sign_in(fixture, "li", good_password, &answer, &wait_s, &known));
    assert_int_equal(known.kind, ERROR_TOO_MANY);
    assert_int_equal(wait_s, 30);
    fixture->now_ms += 31 * 1000;
    assert_false(try_sign_in(fixture, "li", "wrong password", &answer, &wait_s, &known));
    assert_false(try_sign_in(fixture, "li", good_password, &answer, &wait_s, &known));
    assert_int_equal(wait_s, 60); /* doubled */
    fixture->now_ms += 61 * 1000;
    assert_true(try_sign_in(fixture, "li", good_password, &answer, &wait_s, &known));
    assert_false(try_sign_in(fixture, "li", "wrong password", &answer, &wait_s, &known));
    assert_int_equal(known.kind, ERROR_SIGN_IN); /* forgotten after a success */
}

static void one_address_cannot_try_many_names(void **state)
{
    struct fixture *fixture = *state;
    struct sign_in_answer answer = { 0 };
    struct error error = { 0 };
    uint32_t wait_s = 0;
    char name[32];
    for (int i = 0; i < 20; i++) {
        (void)snprintf(name, sizeof name, "guess-%d", i);
        assert_false(try_sign_in(fixture, name, "wrong password", &answer, &wait_s, &error));
        assert_int_equal(error.kind, ERROR_SIGN_IN);
    }
    assert_false(try_sign_in(fixture, "guess-20", "wrong password", &answer, &wait_s, &error));
    assert_int_equal(error.kind, ERROR_TOO_MANY);
    assert_true(wait_s > 0);
}

static void unsafe_requests_need_origin_and_token(void **state)
{
    struct fixture *fixture = *state;
    add_account(fixture, "li");
    struct sign_in_answer answer = signed_in(fixture, "li");
    struct session_request request = { .cookie = secret_of(&answer),
                                       .csrf = answer.session.csrf,
                                       .origin = STR("https://shanhai.test:8443"),
                                       .host = STR("shanhai.test:8443"),
                                       .tls = true,
                                       .unsafe = true };
    assert_int_equal(ask(fixture, &request, NULL), ERROR_NONE);
    struct session_request bad = request;
    bad.csrf = STR("0123456789abcdef0123456789abcdef");
    assert_int_equal(ask(fixture, &bad, NULL), ERROR_FORBIDDEN);
    bad = request;
    bad.csrf = STR_NONE;
    assert_int_equal(ask(fixture, &bad, NULL), ERROR_FORBIDDEN);
    static const char *const origins[] = { "", "null", "https://evil.test", "http://shanhai.test:8443",
                                           "https://shanhai.test:8443.evil.test" };
    for (size_t i = 0; i < sizeof origins / sizeof origins[0]; i++) {
        bad = request;
        bad.origin = str_from_cstr(origins[i]);
        assert_int_equal(ask(fixture, &bad, NULL), ERROR_FORBIDDEN);
    }
    bad = request;
    bad.unsafe = false;
    bad.origin = STR("https://evil.test");
    assert_int_equal(ask(fixture, &bad, NULL), ERROR_NONE); /* a read: the cookie's SameSite keeps it away */
}

static void sessions_end_by_idleness_age_and_disabling(void **state)
{
    struct fixture *fixture = *state;
    struct error error = { 0 };
    add_account(fixture, "li");
    struct sign_in_answer answer = signed_in(fixture, "li");
    struct session_request request = { .cookie = secret_of(&answer) };
    for (int i = 0; i < 24; i++) { /* used every 29 minutes: 11 h 36 min */
        fixture->now_ms += 29 * 60 * 1000;
        assert_int_equal(ask(fixture, &request, NULL), ERROR_NONE);
    }
    fixture->now_ms += 25 * 60 * 1000;
    assert_int_equal(ask(fixture, &request, NULL), ERROR_SIGN_IN); /* older than 12 h */

    answer = signed_in(fixture, "li");
    request.cookie = secret_of(&answer);
    /* A look by the program itself, as for live events, sees the session but does not keep it alive. */
    fixture->now_ms += 29 * 60 * 1000;
    request.passive = true;
    assert_int_equal(ask(fixture, &request, NULL), ERROR_NONE);
    request.passive = false;
    fixture->now_ms += 60 * 1000;
    assert_int_equal(ask(fixture, &request, NULL), ERROR_SIGN_IN); /* idle */

    answer = signed_in(fixture, "li");
    request.cookie = secret_of(&answer);
    must(account_set_disabled(fixture->access, STR("li"), true, &error), &error);
    assert_int_equal(ask(fixture, &request, NULL), ERROR_SIGN_IN);
    uint32_t wait_s = 0;
    assert_false(try_sign_in(fixture, "li", good_password, &answer, &wait_s, &error));
    must(account_set_disabled(fixture->access, STR("li"), false, &error), &error);
    (void)signed_in(fixture, "li");
}

static void sessions_and_accounts_survive_a_restart(void **state)
{
    struct fixture *fixture = *state;
    struct error error = { 0 };
    add_account(fixture, "li");
    struct sign_in_answer answer = signed_in(fixture, "li");
    struct session_request request = { .cookie = secret_of(&answer) };
    fixture->now_ms += 20 * 60 * 1000;
    assert_int_equal(ask(fixture, &request, NULL), ERROR_NONE);
    must(access_tick(fixture->access, &error), &error); /* writes down that it was used */
    access_close(fixture->access);
    start_access(fixture);
    fixture->now_ms += 20 * 60 * 1000;
    assert_int_equal(ask(fixture, &request, NULL), ERROR_NONE);
    fixture->now_ms += 13LL * 3600 * 1000;
    must(access_tick(fixture->access, &error), &error);
    access_close(fixture->access);
    start_access(fixture);
    assert_int_equal(ask(fixture, &request, NULL), ERROR_SIGN_IN);
    (void)signed_in(fixture, "li");
}

static void the_secret_is_not_in_the_store(void **state)
{
    struct fixture *fixture = *state;
    add_account(fixture, "li");
    struct sign_in_answer answer = signed_in(fixture, "li");
    struct str secret = secret_of(&answer);
    assert_true(scratch_contains(fixture->folder, "$argon2id$", 10)); /* the search itself finds things */
    assert_false(scratch_contains(fixture->folder, secret.at, secret.len));
    assert_false(scratch_contains(fixture->folder, good_password, sizeof good_password - 1));
}

static void switching_the_post_changes_rights_and_session(void **state)
{
    struct fixture *fixture = *state;
    struct error error = { 0 };
    put(fixture, "county",
        "{\"resourceType\":\"PractitionerRole\",\"id\":\"li-duty\",\"practitioner\":{\"reference\":"
        "\"Practitioner/li\"},"
        "\"organization\":{\"reference\":\"Organization/"
        "county\"},\"code\":[{\"coding\":[{\"system\":\"urn:shanhai:codes:role\",\"code\":\"duty-head\"}]}]"
        "}");
    put(fixture, "county",
        "{\"resourceType\":\"PractitionerRole\",\"id\":\"li-past\",\"practitioner\":{\"reference\":"
        "\"Practitioner/li\"},\"period\":{\"end\":\"2026-09-01\"},"
        "\"organization\":{\"reference\":\"Organization/"
        "county\"},\"code\":[{\"coding\":[{\"system\":\"urn:shanhai:codes:role\",\"code\":\"administrator\"}]"
        "}]}");
    put(fixture, "county",
        "{\"resourceType\":\"PractitionerRole\",\"id\":\"li-system\",\"practitioner\":{\"reference\":"
        "\"Practitioner/li\"},"
        "\"organization\":{\"reference\":\"Organization/"
        "county\"},\"code\":[{\"coding\":[{\"system\":\"urn:shanhai:codes:role\",\"code\":\"system\"}]}]}");
    add_account(fixture, "li");
    struct sign_in_answer first = signed_in(fixture, "li");
    assert_int_equal(JSON_GET(first.info, "posts")->count, 2); /* neither the ended nor the machine's */
    struct sign_in_answer next = { 0 };
    assert_false(session_switch_post(fixture->access, &fixture->arena, &first.session, STR("desk"), true,
                                     &next, &error));
    assert_int_equal(error.kind, ERROR_FORBIDDEN);
    struct str other = str_equal(first.session.post, STR("li")) ? STR("li-duty") : STR("li");
    must(session_switch_post(fixture->access, &fixture->arena, &first.session, other, true, &next, &error),
         &error);
    assert_true(str_equal(next.session.post, other));
    assert_false(str_equal(secret_of(&first), secret_of(&next)));
    struct session_request old = { .cookie = secret_of(&first) };
    assert_int_equal(ask(fixture, &old, NULL), ERROR_SIGN_IN);
    struct sign_in_answer again = signed_in(fixture, "li");
    assert_true(str_equal(again.session.post, other)); /* the last used */
}

static void a_post_taken_away_ends_its_sessions(void **state)
{
    struct fixture *fixture = *state;
    add_account(fixture, "li");
    struct sign_in_answer answer = signed_in(fixture, "li");
    struct session_request request = { .cookie = secret_of(&answer) };
    put(fixture, "county",
        "{\"resourceType\":\"PractitionerRole\",\"id\":\"li\",\"active\":false,\"practitioner\":{"
        "\"reference\":\"Practitioner/li\"},"
        "\"organization\":{\"reference\":\"Organization/"
        "county\"},\"code\":[{\"coding\":[{\"system\":\"urn:shanhai:codes:role\",\"code\":\"county-doctor\"}]"
        "}]}");
    access_directory_changed(fixture->access);
    assert_int_equal(ask(fixture, &request, NULL), ERROR_FORBIDDEN);
}

static void passwords_are_changed_with_the_old_one(void **state)
{
    struct fixture *fixture = *state;
    struct error error = { 0 };
    struct str reset = STR_NONE;
    uint32_t wait_s = 0;
    add_account(fixture, "li");
    struct sign_in_answer stale = signed_in(fixture, "li");
    must(account_reset_password(fixture->access, &fixture->arena, STR("li"), &reset, &error), &error);
    assert_int_equal(reset.len, 19);
    struct session_request old = { .cookie = secret_of(&stale) };
    assert_int_equal(ask(fixture, &old, NULL), ERROR_SIGN_IN);
    struct sign_in_answer answer = { 0 };
    must(try_sign_in(fixture, "li", arena_cstr(&fixture->arena, reset), &answer, &wait_s, &error), &error);
    assert_true(answer.session.must_change_password);
    struct access_act read = { .interaction = ACCESS_READ, .type = STR("Patient") };
    assert_false(access_check(&answer.session, read, &error));
    assert_non_null(strstr(error.text, "change the password"));

    static const char *const refused[] = { "short", "1234567890", "aaaaaaaaaaaa", "li li li li" };
    struct sign_in_answer changed = { 0 };
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        struct password_change change = { reset, str_from_cstr(refused[i]), true };
        assert_false(
            password_change(fixture->access, &fixture->arena, &answer.session, &change, &changed, &error));
        assert_int_equal(error.kind, ERROR_INPUT);
    }
    struct password_change wrong = { STR("not the old one"), STR("another mountain"), true };
    assert_false(
        password_change(fixture->access, &fixture->arena, &answer.session, &wrong, &changed, &error));
    assert_int_equal(error.kind, ERROR_SIGN_IN);
    struct password_change right = { reset, STR("another mountain"), true };
    must(password_change(fixture->access, &fixture->arena, &answer.session, &right, &changed, &error),
         &error);
    assert_false(changed.session.must_change_password);
    assert_true(access_check(&changed.session, read, &error));
    old.cookie = secret_of(&answer);
    assert_int_equal(ask(fixture, &old, NULL), ERROR_SIGN_IN);
    assert_true(try_sign_in(fixture, "li", "another mountain", &answer, &wait_s, &error));
}

static void signing_asks_for_the_password_again(void **state)
{
    struct fixture *fixture = *state;
    struct error error = { 0 };
    add_account(fixture, "li");
    struct sign_in_answer answer = signed_in(fixture, "li");
    assert_true(session_confirm(fixture->access, &answer.session, STR_NONE, &error)); /* given a moment ago */
    fixture->now_ms += 11 * 60 * 1000;
    assert_false(session_confirm(fixture->access, &answer.session, STR_NONE, &error));
    assert_int_equal(error.kind, ERROR_SIGN_IN);
    assert_false(session_confirm(fixture->access, &answer.session, STR("wrong password"), &error));
    assert_true(session_confirm(fixture->access, &answer.session, str_from_cstr(good_password), &error));
    assert_true(session_confirm(fixture->access, &answer.session, STR_NONE, &error));
}

static void tokens_act_for_a_post_until_they_end(void **state)
{
    struct fixture *fixture = *state;
    struct error error = { 0 };
    struct str text = STR_NONE;
    add_account(fixture, "li");
    struct token_new wanted = {
        .account = STR("li"), .post = STR("li"), .label = STR("LIS bridge"), .days = 30
    };
    must(token_add(fixture->access, &fixture->arena, &wanted, &text, &error), &error);
    struct session_request request = { .authorization = arena_concat(&fixture->arena, STR("Bearer "), text),
                                       .unsafe = true };
    struct access_session session;
    assert_int_equal(ask(fixture, &request, &session),
                     ERROR_NONE); /* no Origin, no CSRF token: not a browser */
    assert_true(str_equal(session.role, STR("county-doctor")));
    assert_false(session_confirm(fixture->access, &session, str_from_cstr(good_password), &error));
    struct token_new foreign = wanted;
    foreign.post = STR("desk");
    assert_false(token_add(fixture->access, &fixture->arena, &foreign, &text, &error));
    assert_int_equal(error.kind, ERROR_INPUT);

    access_close(fixture->access);
    start_access(fixture);
    assert_int_equal(ask(fixture, &request, NULL), ERROR_NONE);
    struct json *tokens = NULL;
    must(token_list(fixture->access, &fixture->arena, &tokens, &error), &error);
    assert_int_equal(tokens->count, 1);
    assert_true(json_equals_text(JSON_GET(json_at(tokens, 0), "label"), STR("LIS bridge")));
    fixture->now_ms += 31LL * 24 * 3600 * 1000;
    assert_int_equal(ask(fixture, &request, NULL), ERROR_SIGN_IN);
    fixture->now_ms = start_ms;
    must(token_remove(fixture->access, JSON_TEXT(&fixture->arena, json_at(tokens, 0), "id"), &error), &error);
    assert_int_equal(ask(fixture, &request, NULL), ERROR_SIGN_IN);
    static const char *const odd[] = { "Bearer x", "Bearer shanhai_zz", "Basic bGk6cGFzcw==", "Bearer " };
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
        struct session_request bad = { .authorization = str_from_cstr(odd[i]) };
        assert_int_equal(ask(fixture, &bad, NULL), ERROR_SIGN_IN);
    }
}

static void accounts_are_made_once_and_for_somebody(void **state)
{
    struct fixture *fixture = *state;
    struct error error = { 0 };
    struct str password = STR_NONE;
    struct json *accounts = NULL;
    struct account_new account = { .name = STR("li"), .practitioner = STR("li") };
    must(account_add(fixture->access, &fixture->arena, &account, &password, &error), &error);
    assert_int_equal(password.len, 19);
    account.name = STR("LI");
    assert_false(account_add(fixture->access, &fixture->arena, &account, &password, &error));
    assert_int_equal(error.kind, ERROR_CONFLICT);
    account.name = STR("li; drop");
    assert_false(account_add(fixture->access, &fixture->arena, &account, &password, &error));
    assert_int_equal(error.kind, ERROR_INPUT);
    account = (struct account_new){ .name = STR("ghost"), .practitioner = STR("nobody") };
    assert_false(account_add(fixture->access, &fixture->arena, &account, &password, &error));
    assert_int_equal(error.kind, ERROR_INPUT);
    must(account_list(fixture->access, &fixture->arena, NULL, &accounts, &error), &error);
    assert_int_equal(accounts->count, 1);
    const char *text = arena_cstr(&fixture->arena, json_write_arena(&fixture->arena, accounts));
    assert_null(strstr(text, "argon2"));
}

/* ---- one hash at a time ---- */

struct waiter {
    struct password_gate *gate;
    enum error_kind kind;
};

static void *wait_for_turn(void *data)
{
    struct waiter *waiter = data;
    struct error error = { 0 };
    bool right = true;
    waiter->kind =
        password_verify(waiter->gate, NULL, STR("any password"), &right, &error) ? ERROR_NONE : error.kind;
    return NULL;
}

/* Somebody is hashing: sixteen wait, the seventeenth is told to come back; nobody is right about nobody. */
static void a_flood_of_sign_ins_is_told_to_wait(void **state)
{
    enum { WAITERS = PASSWORD_WAITING_MAX };
    struct password_gate gate;
    struct waiter waiters[WAITERS];
    pthread_t threads[WAITERS];
    struct error error = { 0 };
    (void)state;
    must(password_gate_init(&gate, 1, 8192, &error), &error);
    gate.running = true;
    for (size_t i = 0; i < WAITERS; i++) {
        waiters[i] = (struct waiter){ &gate, ERROR_INTERNAL };
        assert_int_equal(pthread_create(&threads[i], NULL, wait_for_turn, &waiters[i]), 0);
    }
    for (bool full = false; !full;) {
        (void)pthread_mutex_lock(&gate.lock);
        full = gate.waiting == PASSWORD_WAITING_MAX;
        (void)pthread_mutex_unlock(&gate.lock);
        (void)usleep(1000);
    }
    bool right = true;
    assert_false(password_verify(&gate, NULL, STR("any password"), &right, &error));
    assert_int_equal(error.kind, ERROR_BUSY);
    (void)pthread_mutex_lock(&gate.lock);
    gate.running = false;
    (void)pthread_cond_signal(&gate.turn);
    (void)pthread_mutex_unlock(&gate.lock);
    for (size_t i = 0; i < WAITERS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(waiters[i].kind, ERROR_NONE);
    }
    assert_false(gate.running);
    assert_int_equal(gate.waiting, 0);
    password_gate_deinit(&gate);
}

/* Without memory for the hash nobody is told that his password is wrong: he is told to come again. */
static void no_memory_is_no_wrong_password(void **state)
{
    enum { ROOM_BYTES = 256 << 20 };
    char hash[PASSWORD_HASH_BYTES];
    struct password_gate gate;
    struct error error = { 0 };
    bool right = true;
    (void)state;
    if (IS_SANITIZED) {
        skip();
    }
    must(password_gate_init(&gate, 1, 8192, &error), &error);
    must(password_hash(&gate, STR("a quiet mountain"), hash, &error), &error);
    password_gate_deinit(&gate);
    must(password_gate_init(&gate, 1, (size_t)ROOM_BYTES * 8, &error), &error);
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_AS, &before), 0);
    const struct rlimit narrow = { .rlim_cur = (rlim_t)ROOM_BYTES * 4, .rlim_max = before.rlim_max };
    assert_int_equal(setrlimit(RLIMIT_AS, &narrow), 0);
    bool looked = password_verify(&gate, NULL, STR("a quiet mountain"), &right, &error);
    char unused[PASSWORD_HASH_BYTES];
    struct error made = { 0 };
    bool hashed = password_hash(&gate, STR("a quiet mountain"), unused, &made);
    bool small = password_verify(&gate, hash, STR("a quiet mountain"), &right, NULL);
    assert_int_equal(setrlimit(RLIMIT_AS, &before), 0);
    assert_false(looked);
    assert_int_equal(error.kind, ERROR_BUSY);
    assert_int_equal(error.os_errno, ENOMEM);
    assert_false(hashed);
    assert_int_equal(made.os_errno, ENOMEM);
    assert_true(small && right);
    must(password_verify(&gate, hash, STR("another mountain"), &right, &error), &error);
    assert_false(right);
    password_gate_deinit(&gate);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_person_signs_in_and_out, set_up, tear_down),
        cmocka_unit_test_setup_teardown(wrong_passwords_wait_longer_and_names_are_not_told, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(one_address_cannot_try_many_names, set_up, tear_down),
        cmocka_unit_test_setup_teardown(unsafe_requests_need_origin_and_token, set_up, tear_down),
        cmocka_unit_test_setup_teardown(sessions_end_by_idleness_age_and_disabling, set_up, tear_down),
        cmocka_unit_test_setup_teardown(sessions_and_accounts_survive_a_restart, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_secret_is_not_in_the_store, set_up, tear_down),
        cmocka_unit_test_setup_teardown(switching_the_post_changes_rights_and_session, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_post_taken_away_ends_its_sessions, set_up, tear_down),
        cmocka_unit_test_setup_teardown(passwords_are_changed_with_the_old_one, set_up, tear_down),
        cmocka_unit_test_setup_teardown(signing_asks_for_the_password_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(tokens_act_for_a_post_until_they_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(accounts_are_made_once_and_for_somebody, set_up, tear_down),
        cmocka_unit_test(a_flood_of_sign_ins_is_told_to_wait),
        cmocka_unit_test(no_memory_is_no_wrong_password),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
