/* HTTP: requests that are held, event streams, metrics, stopping. */
#include "http_fixture.h"

/* ---- waiting ---- */

static void held_requests_are_resumed_from_other_threads(void **state)
{
    struct fixture *fixture = *state;
    const char *const paths[] = { "GET /hold" REST, "GET /pool-hold" REST };
    for (int i = 0; i < 50; i++) {
        int fd = dial(fixture);
        say(fd, paths[i % 2]);
        struct http_request *request = take_held(fixture);
        if (i % 3 == 0) {
            (void)usleep(2000); /* now and then after the handler has returned */
        }
        http_resume(request);
        assert_has(hear(fixture, fd, NULL), "\r\n\r\nresumed");
        (void)close(fd);
        assert_has(ask(fixture, "GET /at-once" REST), "\r\n\r\nresumed");
    }
}

static void a_full_pool_says_try_again(void **state)
{
    struct fixture *fixture = *state;
    (void)pthread_mutex_lock(&fixture->lock);
    fixture->pool_blocked = true;
    fixture->pool_entered = 0;
    (void)pthread_mutex_unlock(&fixture->lock);
    int fds[4];
    for (int i = 0; i < 4; i++) { /* two at work, two in the queue */
        fds[i] = dial(fixture);
        say(fds[i], i % 2 == 0 ? "GET /pool" REST : "GET /to-pool" REST);
        (void)pthread_mutex_lock(&fixture->lock);
        while (i < 2 && fixture->pool_entered <= i) {
            (void)pthread_cond_wait(&fixture->changed, &fixture->lock);
        }
        (void)pthread_mutex_unlock(&fixture->lock);
    }
    /* The queue's two places may not be taken yet: the answer must come within some tries. */
    struct buf metrics = { .bytes_max = 1000000 };
    do {
        buf_clear(&metrics);
        http_server_metrics(fixture->server, &metrics);
        buf_add_char(&metrics, '\0');
    } while (strstr(metrics.at, "shanhai_http_pool_queued 2") == NULL);
    buf_deinit(&metrics);
    const char *const paths[] = { "GET /pool" REST, "GET /to-pool" REST };
    for (int i = 0; i < 2; i++) {
        const char *reply = ask(fixture, paths[i]);
        assert_has(reply, "HTTP/1.1 503");
        assert_has(reply, "Retry-After: 1\r\n");
    }
    assert_has(ask(fixture, "GET /hello/others" REST), "hello others");
    (void)pthread_mutex_lock(&fixture->lock);
    fixture->pool_blocked = false;
    (void)pthread_cond_broadcast(&fixture->changed);
    (void)pthread_mutex_unlock(&fixture->lock);
    for (int i = 0; i < 4; i++) {
        assert_has(hear(fixture, fds[i], NULL), "\r\n\r\npool");
        (void)close(fds[i]);
    }
}

static void work_that_waited_too_long_is_not_begun(void **state)
{
    struct fixture *fixture = *state;
    (void)pthread_mutex_lock(&fixture->lock);
    fixture->pool_blocked = true;
    fixture->pool_entered = 0;
    (void)pthread_mutex_unlock(&fixture->lock);
    int fds[3];
    for (int i = 0; i < 3; i++) {
        fds[i] = dial(fixture);
        say(fds[i], "GET /pool" REST);
        (void)pthread_mutex_lock(&fixture->lock);
        while (i < 2 && fixture->pool_entered <= i) {
            (void)pthread_cond_wait(&fixture->changed, &fixture->lock);
        }
        (void)pthread_mutex_unlock(&fixture->lock);
    }
    (void)usleep((DEADLINE_MS + 300) * 1000);
    (void)pthread_mutex_lock(&fixture->lock);
    fixture->pool_blocked = false;
    (void)pthread_cond_broadcast(&fixture->changed);
    (void)pthread_mutex_unlock(&fixture->lock);
    assert_has(hear(fixture, fds[0], NULL), "\r\n\r\npool");
    assert_has(hear(fixture, fds[1], NULL), "\r\n\r\npool");
    assert_has(hear(fixture, fds[2], NULL), "HTTP/1.1 503");
    for (int i = 0; i < 3; i++) {
        (void)close(fds[i]);
    }
}

/* One of the two threads is for long work: a second long request waits, a third is told to come again, and what others
 * ask goes past both. */
static void long_work_leaves_room_for_others(void **state)
{
    struct fixture *fixture = *state;
    (void)pthread_mutex_lock(&fixture->lock);
    fixture->pool_blocked = true;
    fixture->pool_entered = 0;
    (void)pthread_mutex_unlock(&fixture->lock);
    int fds[3];
    for (int i = 0; i < 2; i++) {
        fds[i] = dial(fixture);
        say(fds[i], "GET /long" REST);
        (void)pthread_mutex_lock(&fixture->lock);
        while (fixture->pool_entered < 1) { /* it has left the queue, where there is room for one such */
            (void)pthread_cond_wait(&fixture->changed, &fixture->lock);
        }
        (void)pthread_mutex_unlock(&fixture->lock);
    }
    struct buf metrics = { .bytes_max = 1000000 };
    do {
        buf_clear(&metrics);
        http_server_metrics(fixture->server, &metrics);
        buf_add_char(&metrics, '\0');
    } while (strstr(metrics.at, "shanhai_http_pool_queued 1") == NULL);
    buf_deinit(&metrics);
    assert_has(ask(fixture, "GET /long" REST), "HTTP/1.1 503");
    fds[2] = dial(fixture);
    say(fds[2], "GET /pool" REST);
    (void)pthread_mutex_lock(&fixture->lock);
    while (fixture->pool_entered < 2) { /* the short one, while a long one waits before it */
        (void)pthread_cond_wait(&fixture->changed, &fixture->lock);
    }
    assert_int_equal(fixture->pool_entered, 2);
    fixture->pool_blocked = false;
    (void)pthread_cond_broadcast(&fixture->changed);
    (void)pthread_mutex_unlock(&fixture->lock);
    for (int i = 0; i < 3; i++) {
        assert_has(hear(fixture, fds[i], NULL), "\r\n\r\npool");
        (void)close(fds[i]);
    }
    assert_has(ask(fixture, "GET /long" REST), "\r\n\r\npool");
}

/* ---- event streams ---- */

static struct http_stream *open_stream(struct fixture *fixture, int *fd)
{
    *fd = dial(fixture);
    say(*fd, "GET /events HTTP/1.1\r\nHost: x\r\n\r\n");
    (void)pthread_mutex_lock(&fixture->lock);
    while (fixture->stream == NULL) {
        (void)pthread_cond_wait(&fixture->changed, &fixture->lock);
    }
    struct http_stream *stream = fixture->stream;
    fixture->stream = NULL;
    (void)pthread_mutex_unlock(&fixture->lock);
    return stream;
}

static void wait_closed(struct fixture *fixture, int count)
{
    for (int i = 0; i < 2000 && atomic_load(&fixture->streams_closed) < count; i++) {
        (void)usleep(5000);
    }
    assert_int_equal(atomic_load(&fixture->streams_closed), count);
}

static void events_are_delivered_and_streams_end(void **state)
{
    struct fixture *fixture = *state;
    int fd = -1;
    struct http_stream *stream = open_stream(fixture, &fd);
    assert_has(hear(fixture, fd, ":\n\n"), "Content-Type: text/event-stream\r\n");
    for (int i = 0; i < 100; i++) {
        char id[16];
        (void)snprintf(id, sizeof id, "%d", i);
        struct http_event event = { .id = str_from_cstr(id),
                                    .type = STR("Task"),
                                    .data = STR("one\ntwo\rdata: x") };
        assert_true(http_stream_push(stream, &event));
        if (i % 10 == 0) {
            (void)usleep(1000); /* some meet a suspended connection, some do not */
        }
    }
    struct http_event last = { .data = STR("last") };
    assert_true(http_stream_push(stream, &last));
    http_stream_close(stream);
    const char *reply = hear(fixture, fd, "\r\n0\r\n\r\n");
    assert_has(reply, "id: 0\nevent: Task\ndata: one\ndata: two\ndata: data: x\n\n");
    assert_has(reply, "id: 99\n");
    assert_has(reply, "data: last\n\n");
    wait_closed(fixture, 1);
    (void)close(fd);
}

static void readers_that_leave_or_lag_are_closed(void **state)
{
    struct fixture *fixture = *state;
    int fd = -1;
    struct http_stream *stream = open_stream(fixture, &fd);
    static char text[60000];
    memset(text, 'e', sizeof text);
    struct http_event event = { .data = { text, sizeof text } };
    int pushed = 0;
    while (http_stream_push(stream, &event)) { /* nobody reads: kernel buffers and our queue fill */
        assert_true(++pushed < 10000);
    }
    wait_closed(fixture, 2);
    assert_false(http_stream_push(stream, &event));
    http_stream_close(stream);
    (void)close(fd);

    stream = open_stream(fixture, &fd);
    (void)close(fd);
    while (http_stream_push(stream, &event)) {
        (void)usleep(2000);
    }
    wait_closed(fixture, 3);
    http_stream_close(stream);
}

static void streams_are_counted(void **state)
{
    struct fixture *fixture = *state;
    struct http_stream *streams[4];
    int fds[4];
    for (int i = 0; i < 4; i++) {
        streams[i] = open_stream(fixture, &fds[i]);
    }
    assert_has(ask(fixture, "GET /events" REST), "HTTP/1.1 503");
    for (int i = 0; i < 4; i++) {
        http_stream_close(streams[i]);
        (void)close(fds[i]);
    }
}

/* ---- metrics, stopping ---- */

static void metrics_name_templates_and_never_paths(void **state)
{
    struct fixture *fixture = *state;
    (void)ask(fixture, "GET /hello/secret-name?q=secret-query" REST);
    (void)ask(fixture, "GET /nowhere/secret" REST);
    struct buf metrics = { .bytes_max = 1000000 };
    http_server_metrics(fixture->server, &metrics);
    buf_add_char(&metrics, '\0');
    assert_has(metrics.at,
               "shanhai_http_requests_total{method=\"GET\",route=\"/hello/{name}\",status=\"2xx\"}");
    assert_has(metrics.at,
               "shanhai_http_duration_seconds_bucket{method=\"GET\",route=\"/hello/{name}\",le=\"+Inf\"}");
    assert_has(metrics.at, "route=\"none\",status=\"4xx\"");
    assert_has_not(metrics.at, "secret");
    buf_deinit(&metrics);
}

static void stopping_waits_for_work_and_ends_streams(void **state)
{
    (void)state;
    void *own = NULL;
    assert_int_equal(start(&own), 0);
    struct fixture *fixture = own;
    int stream_fd = -1;
    struct http_stream *stream = open_stream(fixture, &stream_fd);
    int fd = dial(fixture);
    say(fd, "GET /hold" REST);
    struct http_request *request = take_held(fixture);
    assert_false(http_server_stop(fixture->server, 50)); /* somebody holds a request */
    struct http_event event = { .data = STR("late") };
    assert_false(http_stream_push(stream, &event));
    http_resume(request);
    assert_has(hear(fixture, fd, NULL), "resumed");
    http_stream_close(stream);
    (void)close(fd);
    (void)close(stream_fd);
    assert_int_equal(stop(&own), 0);
}

static void a_taken_port_and_a_bad_table_are_told(void **state)
{
    struct fixture *fixture = *state;
    struct arena arena = { .bytes_max = 1 << 20 };
    struct http_options options = { .port = http_server_port(fixture->server) };
    struct http_server *server = NULL;
    struct error error = { 0 };
    assert_false(http_server_start(&arena, &options, &server, &error));
    assert_has(error.text, "port");
    const char *const bad[] = { "x", "/a/{b", "/a/b}", "/{a*}/b", "/a/{}" };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct http_route row = { HTTP_GET, bad[i], .handle = hello };
        struct route_table table;
        assert_false(route_table_init(&table, &arena, &row, 1, &error));
    }
    struct http_route twice[] = { { HTTP_GET, "/a", .handle = hello }, { HTTP_GET, "/a", .handle = echo } };
    struct route_table table;
    assert_false(route_table_init(&table, &arena, twice, 2, &error));
    arena_deinit(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(held_requests_are_resumed_from_other_threads),
        cmocka_unit_test(a_full_pool_says_try_again),
        cmocka_unit_test(long_work_leaves_room_for_others),
        cmocka_unit_test(work_that_waited_too_long_is_not_begun),
        cmocka_unit_test(events_are_delivered_and_streams_end),
        cmocka_unit_test(readers_that_leave_or_lag_are_closed),
        cmocka_unit_test(streams_are_counted),
        cmocka_unit_test(metrics_name_templates_and_never_paths),
        cmocka_unit_test(stopping_waits_for_work_and_ends_streams),
        cmocka_unit_test(a_taken_port_and_a_bad_table_are_told),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
