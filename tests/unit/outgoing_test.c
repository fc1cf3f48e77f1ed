/* Where outgoing requests may go, and what may go along. The requests themselves: tests/api/subscription.test.mjs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <netinet/in.h>

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

static bool is_private(const char *text)
{
    struct sockaddr_in v4 = { .sin_family = AF_INET };
    struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };
    if (inet_pton(AF_INET, text, &v4.sin_addr) == 1) {
        return outgoing_address_is_private((const struct sockaddr *)&v4);
    }
    assert_int_equal(inet_pton(AF_INET6, text, &v6.sin6_addr), 1);
    return outgoing_address_is_private((const struct sockaddr *)&v6);
}

static void private_addresses_are_not_fetched_from(void **state)
{
    (void)state;
    static const char *const private[] = {
        "127.0.0.1",
        "0.0.0.0",
        "10.1.2.3",
        "100.64.0.1",
        "169.254.169.254",
        "172.31.255.255",
        "192.168.0.1",
        "198.19.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "fe80::1",
        "fd00::1",
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "ff02::1",
    };
    static const char *const public[] = { "8.8.8.8",    "100.128.0.1",  "172.32.0.1",          "192.169.0.1",
                                          "198.20.0.1", "2001:4860::1", "::ffff:93.184.216.34" };
    for (size_t i = 0; i < sizeof private / sizeof *private; i++) {
        assert_true(is_private(private[i]));
    }
    for (size_t i = 0; i < sizeof public / sizeof *public; i++) {
        assert_false(is_private(public[i]));
    }
    struct arena arena = { .bytes_max = 1 << 20 };
    struct str text = STR_NONE;
    struct error error = { 0 };
    assert_false(outgoing_fetch(&arena, STR("https://127.0.0.1:1/x"), 100, false, &text, &error));
    assert_int_equal(error.kind, ERROR_RULE);
    assert_false(outgoing_fetch(&arena, STR("https://localhost:1/x"), 100, false, &text, &error));
    assert_int_equal(error.kind, ERROR_RULE);
    assert_false(outgoing_fetch(&arena, STR("file:///etc/hostname"), 100, true, &text, &error));
    assert_int_equal(error.kind, ERROR_BUSY);
    assert_null(text.at);
    arena_deinit(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_what_is_listed_is_called),
        cmocka_unit_test(headers_are_one_line_and_not_the_requests_own),
        cmocka_unit_test(what_cannot_be_reached_is_told_once),
        cmocka_unit_test(private_addresses_are_not_fetched_from),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
