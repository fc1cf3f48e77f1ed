/* What nobody else has time for, on one thread: senders that trickle are cut, refused bodies are drained,
 * silent event streams get a comment. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "http/internal.h"

enum { TICK_MS = 1000, LINGER_S = 3, DRAIN_BYTES = 64 * 1024, DRAIN_ROUNDS = 16 };

/* ---- slots ---- */

struct http_connection *connection_begin(struct http_housekeeping *keeper, int fd, int64_t until_us)
{
    (void)pthread_mutex_lock(&keeper->lock);
    struct http_connection *slot = keeper->free_slot;
    if (slot != NULL) {
        keeper->free_slot = slot->next_free;
        slot->next_free = NULL;
        slot->fd = fd;
        atomic_store(&slot->until_us, until_us);
        atomic_store(&slot->phase, CONNECTION_RECEIVING_HEADERS);
    }
    (void)pthread_mutex_unlock(&keeper->lock);
    return slot;
}

void connection_end(struct http_housekeeping *keeper, struct http_connection *connection)
{
    if (connection == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&keeper->lock);
    atomic_store(&connection->phase, CONNECTION_UNUSED);
    connection->fd = -1;
    connection->next_free = keeper->free_slot;
    keeper->free_slot = connection;
    (void)pthread_mutex_unlock(&keeper->lock);
}

/* Shutting the socket down makes the network thread see its end; closing stays its business. The lock
 * keeps the slot, and so the descriptor, from being given back meanwhile. */
static void cut_late(struct http_housekeeping *keeper, int64_t now_us)
{
    for (size_t i = 0; i < keeper->slots_count; i++) {
        struct http_connection *slot = &keeper->slots[i];
        int phase = atomic_load(&slot->phase);
        bool receiving = phase == CONNECTION_RECEIVING_HEADERS || phase == CONNECTION_RECEIVING_BODY;
        if (receiving && slot->fd >= 0 && now_us > atomic_load(&slot->until_us)) {
            (void)shutdown(slot->fd, SHUT_RDWR);
        }
    }
}

/* ---- lingering ---- */

void linger_begin(struct http_housekeeping *keeper, int fd)
{
    int copy = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (copy < 0) {
        return;
    }
    (void)shutdown(copy, SHUT_WR);
    (void)pthread_mutex_lock(&keeper->lock);
    bool kept = keeper->lingering_count < LIMIT_HTTP_LINGERING && !keeper->stopping;
    if (kept) {
        keeper->lingering[keeper->lingering_count++] = (struct http_lingering){
            .fd = copy,
            .until_us = clock_monotonic_us() + (int64_t)LINGER_S * 1000000,
        };
    }
    (void)pthread_mutex_unlock(&keeper->lock);
    if (kept) {
        uint64_t one = 1;
        ssize_t written = write(keeper->wake_fd, &one, sizeof one);
        (void)written; /* a full counter has woken the thread already */
    } else {
        (void)close(copy);
    }
}

/* False: the peer has ended, or has had its share. */
static bool linger_drain(struct http_lingering *lingering, int64_t now_us)
{
    char dropped[DRAIN_BYTES];
    for (int round = 0; round < DRAIN_ROUNDS; round++) {
        ssize_t count = recv(lingering->fd, dropped, sizeof dropped, MSG_DONTWAIT);
        if (count < 0 && (errno == EAGAIN || errno == EINTR)) {
            break;
        }
        if (count <= 0) {
            return false;
        }
        lingering->bytes += (uint64_t)count;
    }
    return now_us < lingering->until_us && lingering->bytes < LIMIT_HTTP_LINGER_BYTES;
}

/* The entries are this thread's alone; others only append, under the lock. */
static void drain_all(struct http_housekeeping *keeper, int64_t now_us)
{
    (void)pthread_mutex_lock(&keeper->lock);
    for (size_t i = 0; i < keeper->lingering_count;) {
        if (linger_drain(&keeper->lingering[i], now_us)) {
            i++;
            continue;
        }
        (void)close(keeper->lingering[i].fd);
        keeper->lingering[i] = keeper->lingering[--keeper->lingering_count];
    }
    (void)pthread_mutex_unlock(&keeper->lock);
}

/* ---- the thread ---- */

static void wait_for_work(struct http_housekeeping *keeper)
{
    struct pollfd fds[1 + LIMIT_HTTP_LINGERING] = { { .fd = keeper->wake_fd, .events = POLLIN } };
    nfds_t count = 1;
    (void)pthread_mutex_lock(&keeper->lock);
    for (size_t i = 0; i < keeper->lingering_count; i++) {
        fds[count++] = (struct pollfd){ .fd = keeper->lingering[i].fd, .events = POLLIN };
    }
    (void)pthread_mutex_unlock(&keeper->lock);
    if (poll(fds, count, TICK_MS) > 0 && (fds[0].revents & POLLIN) != 0) {
        uint64_t woken = 0;
        ssize_t got = read(keeper->wake_fd, &woken, sizeof woken);
        (void)got;
    }
}

static void *housekeeping_thread(void *data)
{
    struct http_housekeeping *keeper = data;
    (void)pthread_setname_np(pthread_self(), "http-keeper");
    int64_t ticked_us = 0;
    for (;;) {
        wait_for_work(keeper);
        int64_t now_us = clock_monotonic_us();
        drain_all(keeper, now_us);
        (void)pthread_mutex_lock(&keeper->lock);
        bool stopping = keeper->stopping;
        if (now_us - ticked_us >= (int64_t)TICK_MS * 1000) {
            ticked_us = now_us;
            cut_late(keeper, now_us);
            streams_visit(keeper, now_us, false);
        }
        (void)pthread_mutex_unlock(&keeper->lock);
        if (stopping) {
            return NULL;
        }
    }
}

bool housekeeping_start(struct http_housekeeping *keeper, struct arena *arena,
                        const struct http_options *options, struct error *error)
{
    /* libmicrohttpd may begin the next connection before it has told of the end of the last. */
    size_t slots_count = (size_t)options->connections_max + 64;
    *keeper = (struct http_housekeeping){ .lock = PTHREAD_MUTEX_INITIALIZER,
                                          .streams_max = options->streams_max,
                                          .wake_fd = -1 };
    keeper->slots = ARENA_ARRAY(arena, struct http_connection, slots_count);
    if (keeper->slots == NULL) {
        return FAIL(error, ERROR_INTERNAL, "no memory for %zu connections", slots_count);
    }
    keeper->slots_count = slots_count;
    for (size_t i = 0; i < slots_count; i++) {
        keeper->slots[i].fd = -1;
        keeper->slots[i].next_free = keeper->free_slot;
        keeper->free_slot = &keeper->slots[i];
    }
    keeper->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (keeper->wake_fd < 0) {
        return FAIL_OS(error, ERROR_INTERNAL, "cannot make an eventfd");
    }
    int failure = pthread_create(&keeper->thread, NULL, housekeeping_thread, keeper);
    if (failure != 0) {
        errno = failure;
        (void)FAIL_OS(error, ERROR_INTERNAL, "cannot start the housekeeping thread");
        (void)close(keeper->wake_fd);
        keeper->wake_fd = -1;
        return false;
    }
    keeper->thread_runs = true;
    return true;
}

void housekeeping_stop(struct http_housekeeping *keeper)
{
    if (!keeper->thread_runs) {
        return;
    }
    (void)pthread_mutex_lock(&keeper->lock);
    keeper->stopping = true;
    (void)pthread_mutex_unlock(&keeper->lock);
    uint64_t one = 1;
    ssize_t written = write(keeper->wake_fd, &one, sizeof one);
    (void)written;
    (void)pthread_join(keeper->thread, NULL);
    keeper->thread_runs = false;
    for (size_t i = 0; i < keeper->lingering_count; i++) {
        (void)close(keeper->lingering[i].fd);
    }
    keeper->lingering_count = 0;
    (void)close(keeper->wake_fd);
    keeper->wake_fd = -1;
}
