/* Where outgoing requests may go, and what may go along. The requests themselves: tests/api/subscription.test.mjs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "http/outgoing.h"

static const struct str list[] = { { "http://127.0.0.1:8099/hook", 26 },
                                   { "https://peer.example.org", 24 },
                                   { "https://[2001:db8::1]:8443/a/", 29 } };

static bool allowed(const char *url)
{
    struct arena arena = { .bytes_max = 1 << 20 };
    struct error error = { 0 };
    bool ok = outgoing_allowed(&arena, str_from_cstr(url), list, sizeof list / sizeof *list, &error);
    assert_true(ok || error.kind == ERROR_RULE);
    arena_deinit(&arena);
    return ok;
}

static void only_what_is_listed_is_called(void **state)
{
    (void)state;
    static const char *const good[] = { "http://127.0.0.1:8099/hook",    "http://127.0.0.1:8099/hook/",
                                        "http://127.0.0.1:8099/hook/a",  "http://127.0.0.1:8099/hook?x=1",
                                        "https://peer.example.org/any",  "https://PEER.example.org:443/",
                                        "https://[2001:db8::1]:8443/a/b" };
    static const char *const bad[] = { "",
                                       "nonsense",
                                       "http://127.0.0.1:8099/",
                                       "http://127.0.0.1:8099/hooks",
                                       "http://127.0.0.1:8098/hook",
                                       "https://127.0.0.1:8099/hook",
                                       "http://127.0.0.1:8099@elsewhere.example/hook",
                                       "http://user:secret@127.0.0.1:8099/hook",
                                       "http://127.0.0.1:8099/hook#x",
                                       "http://127.0.0.1:8099/hook/../admin",
                                       "http://127.0.0.1:8099/hook/%2e%2e/admin",
                                       "http://peer.example.org/",
                                       "https://peer.example.org.evil.example/",
                                       "https://peer.example.org:444/",
                                       "ftp://peer.example.org/",
                                       "file:///etc/passwd",
                                       "gopher://127.0.0.1:8099/hook",
                                       "http://127.0.0.1:8099\\@peer.example.org/hook",
                                       "http://localhost:8099/hook",
                                       "http://[::ffff:127.0.0.1]:8099/hook" };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        if (!allowed(good[i])) {
            fail_msg("%s is refused", good[i]);
        }
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (allowed(bad[i])) {
            fail_msg("%s is allowed", bad[i]);
        }
    }
    struct arena arena = { .bytes_max = 1 << 20 };
    struct error error = { 0 };
    assert_false(outgoing_allowed(&arena, STR("http://127.0.0.1:8099/hook"), NULL, 0, &error));
    arena_deinit(&arena);
}

static void headers_are_one_line_and_not_the_requests_own(void **state)
{
    (void)state;
    struct error error = { 0 };
    assert_true(outgoing_header_allowed(STR("Authorization: Bearer abc.def"), &error));
    assert_true(outgoing_header_allowed(STR("X-Trace:1"), &error));
    static const char *const bad[] = { "",
                                       "NoColon",
                                       ": x",
                                       "Host: a",
                                       "content-length: 3",
                                       "A B: c",
                                       "A: b\r\nC: d",
                                       "A: b\nC: d",
                                       "Transfer-Encoding: chunked" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (outgoing_header_allowed(str_from_cstr(bad[i]), &error)) {
            fail_msg("'%s' is allowed", bad[i]);
        }
    }
}

struct answer {
    int status;
    int calls;
};

static void note(void *data, int status, const char *why)
{
    struct answer *answer = data;
    answer->status = status;
    answer->calls++;
    assert_non_null(why);
}

/* Nobody listens on the port 1 of the loopback. */
static void what_cannot_be_reached_is_told_once(void **state)
{
    (void)state;
    struct arena arena = { .bytes_max = 1 << 20 };
    struct outgoing *outgoing = NULL;
    struct error error = { 0 };
    struct answer answer = { .status = -1 };
    assert_true(outgoing_create(&arena, &outgoing, &error));
    const struct outgoing_call call = { .url = STR("http://127.0.0.1:1/"),
                                        .content_type = STR("application/json"),
                                        .body = STR("{}"),
                                        .timeout_ms = 5000,
                                        .done = note,
                                        .data = &answer };
    assert_true(outgoing_send(outgoing, &call, &error));
    for (int i = 0; i < 100 && answer.calls == 0; i++) {
        outgoing_wait(outgoing, 100);
    }
    assert_int_equal(answer.calls, 1);
    assert_int_equal(answer.status, 0);
    for (int i = 0; i < OUTGOING_CALLS_MAX; i++) {
        assert_true(outgoing_send(outgoing, &call, &error));
    }
    assert_false(outgoing_send(outgoing, &call, &error));
    assert_int_equal(error.kind, ERROR_TOO_MANY);
    arena_deinit(&arena); /* calls under way end without their word */
    assert_int_equal(answer.calls, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_what_is_listed_is_called),
        cmocka_unit_test(headers_are_one_line_and_not_the_requests_own),
        cmocka_unit_test(what_cannot_be_reached_is_told_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
