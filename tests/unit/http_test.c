/* HTTP: routes, answers, bodies, as they are on the wire. Waiting, streams, stopping: http_waiting_test.c. */
#include "http_fixture.h"

/* ---- routes and answers ---- */

static void rows_are_found_and_others_refused(void **state)
{
    struct fixture *fixture = *state;
    assert_has(ask(fixture, "GET /hello/%E5%B1%B1" REST), "hello 山");
    assert_has(ask(fixture, "GET /hello/world" REST), "Content-Length: 0");
    assert_has(ask(fixture, "GET /nothing" REST), "HTTP/1.1 404");
    const char *reply = ask(fixture, "DELETE /echo" REST);
    assert_has(reply, "HTTP/1.1 405");
    assert_has(reply, "Allow: POST, PUT, OPTIONS\r\n");
    assert_has(ask(fixture, "BREW /echo" REST), "HTTP/1.1 405");
    reply = ask(fixture, "OPTIONS /hello/x" REST);
    assert_has(reply, "HTTP/1.1 204");
    assert_has(reply, "Allow: GET, HEAD, OPTIONS\r\n");
}

static void head_is_get_without_body(void **state)
{
    struct fixture *fixture = *state;
    const char *reply = ask(fixture, "HEAD /hello/you" REST);
    assert_has(reply, "HTTP/1.1 200");
    assert_has(reply, "Content-Length: 9\r\n");
    assert_has_not(reply, "hello you");
    assert_has_not(ask(fixture, "HEAD /numbers" REST), "1,2");
}

static void every_answer_has_the_security_headers(void **state)
{
    struct fixture *fixture = *state;
    const char *const requests[] = { "GET /hello/x" REST, "GET /nothing" REST, "POST /hello/x" REST };
    const char *const headers[] = { "Content-Security-Policy: default-src 'self'; ",
                                    "frame-ancestors 'none'",
                                    "X-Content-Type-Options: nosniff\r\n",
                                    "X-Frame-Options: DENY\r\n",
                                    "Referrer-Policy: no-referrer\r\n",
                                    "Cross-Origin-Opener-Policy: same-origin\r\n",
                                    "Cache-Control: no-store\r\n",
                                    "X-Request-Id: ",
                                    "Date: " };
    for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++) {
        const char *reply = ask(fixture, requests[i]);
        for (size_t k = 0; k < sizeof headers / sizeof headers[0]; k++) {
            assert_has(reply, headers[k]);
        }
    }
}

static void no_value_starts_a_header_of_its_own(void **state)
{
    struct fixture *fixture = *state;
    const char *reply = ask(fixture, "GET /headers?to=/a%0d%0aSet-Cookie:%20x=1" REST);
    assert_has(reply, "HTTP/1.1 201");
    assert_has(reply, "Location: /a%0D%0ASet-Cookie: x=1\r\n");
    assert_has_not(reply, "\r\nSet-Cookie");
    assert_has(reply, "Cache-Control: max-age=5\r\n");
    assert_has_not(reply, "no-store");
}

static void files_pulls_and_parts_arrive_whole(void **state)
{
    struct fixture *fixture = *state;
    const char *reply = ask(fixture, "GET /file" REST);
    assert_has(reply, "HTTP/1.1 206");
    assert_has(reply, "\r\n\r\nELF");
    reply = ask(fixture, "GET /mapped" REST);
    assert_has(reply, "HTTP/1.1 200");
    assert_has(reply, "Content-Length: ");
    assert_has_not(reply, "chunked");
    assert_has(reply, "\r\nContent-Type: application/octet-stream\r\n\r\nELF\r\n--part-");
    assert_true(str_ends_with(str_from_cstr(reply), STR("--\r\n")));
    reply = ask(fixture, "GET /numbers HTTP/1.0\r\n\r\n");
    assert_has(reply, "\r\n\r\n0,1,2,");
    assert_has(reply, ",19998,19999,");
    reply = ask(fixture, "GET /parts HTTP/1.0\r\n\r\n");
    assert_has(reply, "Content-Type: multipart/related; type=\"application/dicom\"; boundary=part-");
    const char *body = strstr(reply, "\r\n\r\n") + 4;
    size_t count = 0;
    for (const char *at = body; (at = strstr(at, "Content-Type: application/dicom\r\n")) != NULL; at++) {
        count++;
    }
    assert_int_equal(count, 3);
    assert_has(body, "\r\n\r\n--\r\n--content\r\n\r\n--part-");
    assert_true(str_ends_with(str_from_cstr(body), STR("--\r\n")));
}

/* ---- bodies ---- */

static void bodies_come_in_pieces_and_chunks(void **state)
{
    struct fixture *fixture = *state;
    int fd = dial(fixture);
    say(fd, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\nabc");
    (void)usleep(100000);
    say(fd, "def");
    assert_has(hear(fixture, fd, "abcdef"), "HTTP/1.1 200");
    say(fd, "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: "
            "chunked\r\n\r\n3\r\nxyz\r\n2;a=b\r\n12\r\n0\r\n\r\n");
    assert_has(hear(fixture, fd, "xyz12"), "HTTP/1.1 200");
    (void)close(fd);
}

static void requests_in_one_packet_are_answered_in_order(void **state)
{
    struct fixture *fixture = *state;
    const char *reply =
        ask(fixture, "GET /hello/a HTTP/1.1\r\nHost: x\r\n\r\nPOST /echo HTTP/1.1\r\nHost: x\r\n"
                     "Content-Length: 4\r\n\r\nbodyGET /at-once HTTP/1.1\r\nHost: x\r\n\r\n"
                     "GET /pool HTTP/1.1\r\nHost: x\r\n\r\nGET /hello/z" REST);
    const char *at = strstr(reply, "hello a");
    assert_non_null(at);
    const char *const next[] = { "\r\n\r\nbody", "resumed", "\r\n\r\npool", "hello z" };
    for (size_t i = 0; i < sizeof next / sizeof next[0]; i++) {
        at = strstr(at, next[i]);
        assert_non_null(at);
    }
}

static size_t resident_kb(void)
{
    FILE *file = fopen("/proc/self/statm", "r");
    long total = 0;
    long resident = 0;
    assert_int_equal(fscanf(file, "%ld %ld", &total, &resident), 2);
    (void)fclose(file);
    return (size_t)resident * 4;
}

static void a_gigabyte_is_refused_at_once(void **state)
{
    struct fixture *fixture = *state;
    size_t before_kb = resident_kb();
    static char block[64 * 1024];
    memset(block, 'x', sizeof block);
    int fd = dial(fixture);
    say(fd, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1073741824\r\n\r\n");
    for (int i = 0; i < 300; i++) { /* a client that sends on without looking */
        if (send(fd, block, sizeof block, MSG_NOSIGNAL) < 0) {
            break;
        }
    }
    const char *reply = hear(fixture, fd, NULL);
    assert_has(reply, "HTTP/1.1 413");
    assert_has(reply, "larger than the 1000 bytes");
    (void)close(fd);
    assert_true(resident_kb() < before_kb + 8 * 1024);
}

static void a_chunked_body_over_the_limit_is_refused(void **state)
{
    struct fixture *fixture = *state;
    int fd = dial(fixture);
    say(fd, "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    char chunk[600];
    (void)snprintf(chunk, sizeof chunk, "1f4\r\n%0500d\r\n", 7);
    for (int i = 0; i < 10; i++) {
        say(fd, chunk);
    }
    say(fd, "0\r\n\r\n");
    assert_has(hear(fixture, fd, "bytes allowed here"), "HTTP/1.1 413");
    say(fd, "GET /hello/again HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_has(hear(fixture, fd, "hello again"), "HTTP/1.1 200"); /* the connection lives */
    (void)close(fd);
}

static void a_body_that_does_not_come_is_cut(void **state)
{
    struct fixture *fixture = *state;
    int fd = dial(fixture);
    say(fd, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc");
    int64_t begun_us = clock_monotonic_us();
    assert_string_equal(hear(fixture, fd, NULL), "");
    assert_true(clock_monotonic_us() - begun_us < 15 * 1000000);
    (void)close(fd);
}

static void uploads_stream_through(void **state)
{
    struct fixture *fixture = *state;
    const char *const paths[] = { "/upload", "/upload-pool" };
    static char block[1000000];
    memset(block, 'x', sizeof block);
    for (size_t p = 0; p < 2; p++) {
        atomic_store(&fixture->uploaded, 0);
        char head[200];
        (void)snprintf(head, sizeof head, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 20000000\r\n\r\n",
                       paths[p]);
        int fd = dial(fixture);
        say(fd, head);
        for (int i = 0; i < 20; i++) {
            for (size_t sent = 0; sent < sizeof block;) {
                ssize_t count = send(fd, block + sent, sizeof block - sent, MSG_NOSIGNAL);
                assert_true(count > 0);
                sent += (size_t)count;
            }
        }
        assert_has(hear(fixture, fd, " bytes"), "HTTP/1.1 200");
        assert_has(fixture->reply, "\r\n\r\n20000000 bytes");
        (void)close(fd);
    }
}

static void chunked_uploads_reach_the_pool_and_may_be_refused(void **state)
{
    struct fixture *fixture = *state;
    atomic_store(&fixture->uploaded, 0);
    char text[8000] = "POST /upload-pool HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                      "Transfer-Encoding: chunked\r\n\r\n";
    for (int i = 0; i < 500; i++) {
        (void)strncat(text, "5\r\nabcde\r\n", sizeof text - strlen(text) - 1);
    }
    (void)strncat(text, "0\r\n\r\n", sizeof text - strlen(text) - 1);
    assert_has(ask(fixture, text), "2500 bytes");
    const char *reply = ask(fixture, "POST /upload-pool HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                                     "Content-Length: 3\r\n\r\na!b");
    assert_has(reply, "HTTP/1.1 422");
    assert_has(reply, "no exclamation marks");
    assert_has(ask(fixture, "POST /upload HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                            "Content-Length: 3\r\n\r\na!b"),
               "HTTP/1.1 422");
}

static void the_gate_stands_before_the_body(void **state)
{
    struct fixture *fixture = *state;
    /* A large body is not read: the answer comes although nothing was sent. */
    assert_has(ask(fixture, "POST /guarded HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\n\r\n"),
               "HTTP/1.1 401");
    assert_has(ask(fixture, "POST /guarded HTTP/1.1\r\nHost: x\r\nX-Key: 42\r\nConnection: close\r\n"
                            "Content-Length: 2\r\n\r\nok"),
               "\r\n\r\nok");
    int fd = dial(fixture);
    say(fd, "GET /guarded HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_has(hear(fixture, fd, "sign in first"), "HTTP/1.1 401");
    say(fd, "GET /hello/still HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_has(hear(fixture, fd, "hello still"), "HTTP/1.1 200");
    (void)close(fd);
}

static void bad_requests_are_refused(void **state)
{
    struct fixture *fixture = *state;
    assert_has(ask(fixture, "GET /pairs?a=%zz" REST), "HTTP/1.1 400");
    assert_has(ask(fixture, "GET /pairs?a=%4" REST), "HTTP/1.1 400");
    assert_has(ask(fixture, "GET /pairs?a=%00" REST), "HTTP/1.1 400");
    assert_has(ask(fixture, "GET /pairs?a=%ff" REST), "HTTP/1.1 400");
    assert_has(ask(fixture, "GET /hello/%c3%28" REST), "HTTP/1.1 400");
    assert_has(ask(fixture, "GET /hello/x HTTP/1.1\r\n\r\n"), "HTTP/1.1 400"); /* no Host */
    assert_has(
        ask(fixture, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd"),
        "HTTP/1.1 400");
    assert_has(ask(fixture, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n"
                            "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
               "HTTP/1.1 400");
    assert_has(ask(fixture, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n"), "HTTP/1.1 400");
    assert_has(ask(fixture, "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n"),
               "HTTP/1.1 400");
    static char longer[LIMIT_URL_BYTES + 200] = "GET /pairs?a=";
    memset(longer + strlen(longer), 'b', LIMIT_URL_BYTES);
    (void)snprintf(longer + strlen(longer), sizeof longer - strlen(longer), "%s", REST);
    assert_has(ask(fixture, longer), "HTTP/1.1 413");
}

static void queries_and_forms_are_decoded(void **state)
{
    struct fixture *fixture = *state;
    assert_has(ask(fixture, "GET /pairs?a=1&b=x+y%2B&&c&%E5%B1%B1=%e6%b5%b7" REST),
               "[a=1][b=x y+][c=][山=海]");
    assert_has(ask(fixture,
                   "POST /pairs?q=1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 10\r\n"
                   "Content-Type: Application/x-www-form-urlencoded; charset=utf-8\r\n\r\nf=2&g=a%3D"),
               "[q=1][f=2][g=a=]");
    assert_has(ask(fixture, "POST /pairs HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 3\r\n"
                            "Content-Type: application/x-www-form-urlencoded\r\n\r\na=%"),
               "HTTP/1.1 400");
}

/* ---- matching ---- */

static void the_most_specific_row_wins(void **state)
{
    (void)state;
    static const struct http_route rows[] = {
        { HTTP_GET, "/{rest*}", .handle = hello },
        { HTTP_GET, "/fhir/{type}/{id}", .handle = hello },
        { HTTP_POST, "/fhir/{type}/_search", .handle = hello },
        { HTTP_GET, "/fhir/{type}/${name}", .handle = hello },
        { HTTP_GET, "/fhir/{type}/$export", .handle = hello },
        { HTTP_GET, "/fhir/metadata", .handle = hello },
        { HTTP_GET, "/fhir/{type}", .handle = hello },
        { HTTP_GET, "/img/{series}/{n}.jpg", .handle = hello },
        { HTTP_GET, "/assets/{file*}", .handle = hello },
        { HTTP_GET, "/assets", .handle = hello },
        { HTTP_GET, "/only/{file*}", .handle = hello },
    };
    static const struct {
        const char *path;
        const char *template;
        const char *first;
    } cases[] = {
        { "/fhir/Patient/1", "/fhir/{type}/{id}", "Patient" },
        { "/fhir/Patient/_search", "/fhir/{type}/{id}", "Patient" }, /* GET: the POST row does not hide it */
        { "/fhir/Patient/$export", "/fhir/{type}/$export", "Patient" },
        { "/fhir/Patient/$x", "/fhir/{type}/${name}", "Patient" },
        { "/fhir/Patient/$", "/fhir/{type}/{id}", "Patient" },
        { "/fhir/metadata", "/fhir/metadata", NULL },
        { "/fhir/Patient", "/fhir/{type}", "Patient" },
        { "/fhir/", "/{rest*}", "fhir/" },
        { "/fhir/Patient/1/_history", "/{rest*}", "fhir/Patient/1/_history" },
        { "/img/1.2/7.jpg", "/img/{series}/{n}.jpg", "1.2" },
        { "/img/1.2/.jpg", "/{rest*}", "img/1.2/.jpg" },
        { "/assets/a/b.js", "/assets/{file*}", "a/b.js" },
        { "/assets", "/assets", NULL },
        { "/only", "/only/{file*}", "" },
        { "/", "/{rest*}", "" },
        { "/a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q/r/s/t/u/v/w/x/y/z", "/{rest*}",
          "a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q/r/s/t/u/v/w/x/y/z" },
    };
    struct arena arena = { .bytes_max = 1 << 20 };
    struct route_table table;
    struct error error = { 0 };
    assert_true(route_table_init(&table, &arena, rows, sizeof rows / sizeof rows[0], &error));
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct route_match match;
        route_match(&table, HTTP_GET, str_from_cstr(cases[i].path), &match);
        assert_non_null(match.route);
        assert_string_equal(match.route->template, cases[i].template);
        if (cases[i].first != NULL) {
            assert_true(str_equal_cstr(match.parameters[0].value, cases[i].first));
        }
    }
    struct route_match match;
    route_match(&table, HTTP_PUT, STR("/fhir/Patient/_search"), &match);
    assert_null(match.route);
    assert_int_equal(match.methods_allowed, 1u << HTTP_GET | 1u << HTTP_POST);
    arena_deinit(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_most_specific_row_wins),
        cmocka_unit_test(rows_are_found_and_others_refused),
        cmocka_unit_test(head_is_get_without_body),
        cmocka_unit_test(every_answer_has_the_security_headers),
        cmocka_unit_test(no_value_starts_a_header_of_its_own),
        cmocka_unit_test(files_pulls_and_parts_arrive_whole),
        cmocka_unit_test(bodies_come_in_pieces_and_chunks),
        cmocka_unit_test(requests_in_one_packet_are_answered_in_order),
        cmocka_unit_test(a_gigabyte_is_refused_at_once),
        cmocka_unit_test(a_chunked_body_over_the_limit_is_refused),
        cmocka_unit_test(a_body_that_does_not_come_is_cut),
        cmocka_unit_test(uploads_stream_through),
        cmocka_unit_test(chunked_uploads_reach_the_pool_and_may_be_refused),
        cmocka_unit_test(the_gate_stands_before_the_body),
        cmocka_unit_test(bad_requests_are_refused),
        cmocka_unit_test(queries_and_forms_are_decoded),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
