#include "dicom/dimse_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/limits.h"

enum {
    ASSOCIATIONS_MAX = 64,
    READ_BYTES = DIMSE_PDU_BYTES_MAX + DIMSE_PDU_SLACK_BYTES + DIMSE_PDU_HEADER_BYTES,
    FIRST_TIMEOUT_S = 10,
    IDLE_TIMEOUT_S = 60,
    SEND_TIMEOUT_S = 30,
    GOODBYE_MS = 2000,
    PER_ADDRESS_MIN = 4,
    INCOMING_BYTES_MAX = 1 << 30, /* data sets on their way in, of all associations together */
    DATA_KEPT_BYTES = 8 << 20,    /* a larger buffer is given back after its instance */
    ADDRESS_BYTES = 64
};

struct connection {
    struct dimse_server *server;
    pthread_t thread;
    int fd;          /* -1: free */
    bool has_thread; /* to be joined */
    bool is_over;    /* guarded by connections_lock */
    int64_t began_ms;
    char address[ADDRESS_BYTES];
    const char *organization;
    uint64_t refused_count;
    struct arena arena;           /* of the batch */
    struct archive_batch *batch;  /* NULL before the first C-STORE */
    struct archive_result result; /* of the C-STORE in work */
};

struct dimse_server {
    struct archive *archive;
    struct dimse_options options;
    int listener;
    int wake; /* eventfd: readable when the server stops */
    uint16_t port;
    pthread_t thread;
    atomic_size_t incoming_bytes; /* what the associations hold of data sets */
    _Atomic uint64_t total;       /* connections that got a place */
    _Atomic uint64_t refused;     /* and those that got none, or were not on the list */
    pthread_mutex_t connections_lock;
    struct connection connections[ASSOCIATIONS_MAX];
};

/* ---- who may come in ---- */

static bool is_loopback(const char *address)
{
    return strncmp(address, "127.", 4) == 0 || strcmp(address, "::1") == 0 ||
           strncmp(address, "::ffff:127.", 11) == 0;
}

static bool fits(const char *rule, const char *value)
{
    return strcmp(rule, "*") == 0 || strcmp(rule, value) == 0;
}

static enum dimse_verdict greet(void *context, const char *calling, const char *called)
{
    struct connection *connection = context;
    const struct dimse_options *options = &connection->server->options;
    const char *address = connection->address;
    if (strncmp(address, "::ffff:", 7) == 0) {
        address += 7;
    }
    if (options->ae_title != NULL && strcmp(options->ae_title, called) != 0) {
        return DIMSE_CALLED_UNKNOWN;
    }
    if (options->peers_count == 0 && is_loopback(connection->address)) {
        connection->organization = options->organization == NULL ? "" : options->organization;
        return DIMSE_WELCOME;
    }
    for (size_t i = 0; i < options->peers_count; i++) {
        if (fits(options->peers[i].ae_title, calling) && fits(options->peers[i].address, address)) {
            connection->organization = options->peers[i].organization;
            return DIMSE_WELCOME;
        }
    }
    atomic_fetch_add(&connection->server->refused, 1);
    return DIMSE_CALLING_UNKNOWN;
}

bool dimse_peer_parse(struct arena *arena, struct str text, struct dimse_peer *peer, struct error *error)
{
    size_t at = str_find_char(text, '@');
    size_t equal = str_find_char(text, '=');
    if (at == 0 || at > 16 || equal <= at + 1 || equal + 1 >= text.len) {
        return FAIL(error, ERROR_INPUT, "a DICOM peer is written AE@address=Organization/id");
    }
    struct str organization = str_skip(text, equal + 1);
    if (str_starts_with(organization, STR("Organization/"))) {
        organization = str_skip(organization, strlen("Organization/"));
    }
    struct dimse_peer made = { .ae_title = arena_cstr(arena, str_slice(text, 0, at)),
                               .address = arena_cstr(arena, str_slice(text, at + 1, equal)),
                               .organization = arena_cstr(arena, organization) };
    if (made.ae_title == NULL || made.address == NULL || made.organization == NULL || organization.len > 64) {
        return FAIL(error, ERROR_INPUT, "the DICOM peer's entry is too long");
    }
    *peer = made;
    return true;
}

/* ---- storing ---- */

static void told(void *context, const struct archive_result *result)
{
    struct connection *connection = context;
    connection->result = *result;
}

static uint16_t status_of(const struct archive_result *result, const struct dimse_store *request)
{
    if (result->outcome != ARCHIVE_REFUSED) {
        return DIMSE_SUCCESS;
    }
    if (result->class_uid[0] != '\0' && !str_equal_cstr(request->class_uid, result->class_uid)) {
        return DIMSE_NOT_THAT_CLASS;
    }
    switch (result->error.kind) {
    case ERROR_FULL:
    case ERROR_BUSY:
    case ERROR_TOO_LARGE:
    case ERROR_TOO_MANY:
        return DIMSE_OUT_OF_RESOURCES;
    case ERROR_FORBIDDEN:
        return DIMSE_NOT_AUTHORIZED;
    case ERROR_CONFLICT:
        return DIMSE_OTHER_CONTENT;
    case ERROR_INPUT:
    case ERROR_STRUCTURE:
    case ERROR_UNSUPPORTED:
        return DIMSE_CANNOT_UNDERSTAND;
    case ERROR_NONE:
    case ERROR_SIGN_IN:
    case ERROR_NOT_FOUND:
    case ERROR_METHOD:
    case ERROR_NOT_ACCEPTABLE:
    case ERROR_GONE:
    case ERROR_PRECONDITION:
    case ERROR_MEDIA_TYPE:
    case ERROR_RULE:
    case ERROR_TOO_COSTLY:
    case ERROR_INTERNAL:
    case ERROR_KINDS_COUNT:
        break;
    }
    return DIMSE_PROCESSING_FAILURE;
}

/* At the first C-STORE: only then it is known for whom the peer sends, and C-ECHO needs none. */
static bool begin_batch(struct connection *connection)
{
    const struct archive_batch_options options = { .organization = str_from_cstr(connection->organization),
                                                   .told = told,
                                                   .context = connection };
    struct error error = { 0 };
    return connection->batch != NULL || archive_batch_create(&connection->arena, connection->server->archive,
                                                             &options, &connection->batch, &error);
}

static uint16_t store(void *context, const struct dimse_store *request, char comment[DIMSE_COMMENT_BYTES])
{
    struct connection *connection = context;
    const struct archive_incoming incoming = { .bytes = request->bytes,
                                               .syntax = request->syntax,
                                               .expected_sop = request->sop };
    if (!begin_batch(connection)) {
        return DIMSE_OUT_OF_RESOURCES;
    }
    archive_batch_add(connection->batch, &incoming);
    archive_batch_flush(connection->batch);
    uint16_t status = status_of(&connection->result, request);
    if (status != DIMSE_SUCCESS) {
        connection->refused_count++;
        (void)snprintf(comment, DIMSE_COMMENT_BYTES, "%.63s", connection->result.error.text);
    }
    return status;
}

/* ---- one association ---- */

/* Waits for bytes; false after the time, at the end of the connection, or when the server stops. */
static bool wait_for(struct connection *connection, short events, int64_t timeout_ms)
{
    struct pollfd waiting[2] = { { .fd = connection->fd, .events = events },
                                 { .fd = connection->server->wake, .events = POLLIN } };
    int ready;
    do {
        ready = poll(waiting, 2, timeout_ms < 0 ? 0 : (int)timeout_ms);
    } while (ready < 0 && errno == EINTR);
    return ready > 0 && waiting[1].revents == 0;
}

static bool send_all(struct connection *connection, struct str bytes)
{
    while (bytes.len > 0) {
        ssize_t sent = send(connection->fd, bytes.at, bytes.len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) {
            if (!wait_for(connection, POLLOUT, SEND_TIMEOUT_S * 1000)) {
                return false;
            }
        } else if (sent <= 0) {
            return false;
        } else {
            bytes = str_skip(bytes, (size_t)sent);
        }
    }
    return true;
}

/* Reads what there is; the acknowledgement leaves at once. */
static bool receive(struct connection *connection, struct buf *in, int64_t timeout_ms)
{
    const int on = 1;
    char *room = buf_reserve(in, READ_BYTES - in->len);
    if (room == NULL || in->len >= READ_BYTES || !wait_for(connection, POLLIN, timeout_ms)) {
        return false;
    }
    ssize_t got = recv(connection->fd, room, READ_BYTES - in->len, MSG_DONTWAIT);
    (void)setsockopt(connection->fd, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof on);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return true;
    }
    in->len += got > 0 ? (size_t)got : 0;
    return got > 0;
}

/* Takes the whole PDUs off the front of what was read. False: a header that is none. */
static bool take_pdus(struct dimse_association *association, struct buf *in, struct buf *out)
{
    size_t at = 0;
    bool ok = true;
    while (ok && !association->is_over && in->len - at >= DIMSE_PDU_HEADER_BYTES) {
        uint8_t type;
        uint32_t length;
        ok = dimse_pdu_header(association, in->at + at, &type, &length, out);
        if (!ok || in->len - at - DIMSE_PDU_HEADER_BYTES < length) {
            break;
        }
        dimse_take_pdu(association, type, (struct str){ in->at + at + DIMSE_PDU_HEADER_BYTES, length }, out);
        at += DIMSE_PDU_HEADER_BYTES + (size_t)length;
    }
    if (at > 0) {
        memmove(in->at, in->at + at, in->len - at);
        in->len -= at;
    }
    return ok;
}

/* A byte now and then keeps nobody's place: the request must be whole in its time, and so must each PDU that began. */
static int64_t deadline_of(const struct connection *connection, bool is_open, bool has_begun,
                           int64_t began_ms)
{
    const struct dimse_options *options = &connection->server->options;
    int64_t idle_ms =
        (options->idle_timeout_s == 0 ? IDLE_TIMEOUT_S : options->idle_timeout_s) * INT64_C(1000);
    int64_t first_ms =
        (options->first_timeout_s == 0 ? FIRST_TIMEOUT_S : options->first_timeout_s) * INT64_C(1000);
    if (!is_open) {
        return connection->began_ms + first_ms;
    }
    return (has_begun ? began_ms : clock_monotonic_us() / 1000) + idle_ms;
}

/* What an association may take up now: its own buffer and what all together have left. More is A700 for that instance. */
static void share_memory(struct dimse_server *server, struct dimse_association *association, size_t *held)
{
    size_t has = association->data.capacity;
    if (has >= *held) {
        (void)atomic_fetch_add(&server->incoming_bytes, has - *held);
    } else {
        (void)atomic_fetch_sub(&server->incoming_bytes, *held - has);
    }
    *held = has;
    size_t all = atomic_load(&server->incoming_bytes);
    size_t left = all < INCOMING_BYTES_MAX ? INCOMING_BYTES_MAX - all : 0;
    size_t may = has + left;
    association->data.bytes_max = may < LIMIT_DICOM_INSTANCE_BYTES ? may : LIMIT_DICOM_INSTANCE_BYTES;
}

static void serve(struct connection *connection, struct dimse_association *association)
{
    struct buf in = { .bytes_max = READ_BYTES };
    struct buf out = { .bytes_max = (size_t)DIMSE_PDU_BYTES_MAX * 4 };
    int64_t began_ms = 0; /* of the PDU whose bytes are in `in` */
    size_t held = 0;
    bool goes_on = true;
    while (goes_on) {
        int64_t now_ms = clock_monotonic_us() / 1000;
        size_t had = in.len;
        int64_t left_ms = deadline_of(connection, association->is_open, had > 0, began_ms) - now_ms;
        if (left_ms <= 0 || !receive(connection, &in, left_ms)) {
            break;
        }
        size_t came = in.len;
        share_memory(connection->server, association, &held);
        goes_on = take_pdus(association, &in, &out) && !association->is_over;
        began_ms = had == 0 || in.len < came ? clock_monotonic_us() / 1000 : began_ms;
        if (!send_all(connection, buf_str(&out))) {
            break;
        }
        buf_clear(&out);
        if (association->data.len == 0 && association->data.capacity > DATA_KEPT_BYTES) {
            buf_deinit(&association->data);
        }
    }
    (void)atomic_fetch_sub(&connection->server->incoming_bytes, held);
    buf_deinit(&in);
    buf_deinit(&out);
}

/* Lets the peer read the last answer before the socket goes: closing with unread bytes would reset it. */
static void say_goodbye(struct connection *connection)
{
    char dropped[4096];
    int64_t until_ms = clock_monotonic_us() / 1000 + GOODBYE_MS;
    (void)shutdown(connection->fd, SHUT_WR);
    for (int64_t left_ms = GOODBYE_MS; left_ms > 0 && wait_for(connection, POLLIN, left_ms);
         left_ms = until_ms - clock_monotonic_us() / 1000) {
        if (recv(connection->fd, dropped, sizeof dropped, MSG_DONTWAIT) <= 0) {
            break;
        }
    }
}

static void *connection_main(void *data)
{
    struct connection *connection = data;
    struct dimse_server *server = connection->server;
    const struct dimse_host host = { .context = connection, .greet = greet, .store = store };
    struct dimse_association association;
    dimse_init(&association, &host);
    serve(connection, &association);
    if (connection->batch != NULL) {
        archive_batch_end(connection->batch);
        archive_batch_destroy(connection->batch);
    }
    say_goodbye(connection);
    if (server->options.ended != NULL) {
        server->options.ended(server->options.context, association.calling, connection->address,
                              association.stored_count, connection->refused_count);
    }
    dimse_deinit(&association);
    arena_deinit(&connection->arena);
    (void)pthread_mutex_lock(&server->connections_lock);
    (void)close(connection->fd);
    connection->fd = -1;
    connection->is_over = true;
    (void)pthread_mutex_unlock(&server->connections_lock);
    return NULL;
}

/* ---- the listener ---- */

/* Under connections_lock: a free slot; threads that ended are joined on the way. NULL when all are taken, or when this
 * address has its share: one peer that floods leaves room for the others. */
static struct connection *find_slot(struct dimse_server *server, const char *address)
{
    struct connection *found = NULL;
    size_t max = server->options.associations_max;
    size_t of_address = 0;
    size_t share = max / 2 > PER_ADDRESS_MIN ? max / 2 : PER_ADDRESS_MIN;
    for (size_t i = 0; i < max; i++) {
        struct connection *connection = &server->connections[i];
        if (connection->has_thread && connection->is_over) {
            (void)pthread_join(connection->thread, NULL);
            connection->has_thread = false;
        }
        if (!connection->has_thread && found == NULL) {
            found = connection;
        }
        of_address += connection->has_thread && strcmp(connection->address, address) == 0 ? 1 : 0;
    }
    return of_address < share ? found : NULL;
}

static void refuse(int fd)
{
    static const char reject[10] = { DIMSE_ASSOCIATE_RJ, 0, 0, 0, 0, 4, 0, 2, 3, 2 };
    (void)send(fd, reject, sizeof reject, MSG_NOSIGNAL | MSG_DONTWAIT);
    (void)close(fd);
}

static void accept_one(struct dimse_server *server)
{
    const int on = 1;
    struct sockaddr_storage address;
    socklen_t address_len = sizeof address;
    int fd =
        accept4(server->listener, (struct sockaddr *)&address, &address_len, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) {
        return;
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof on);
    char name[ADDRESS_BYTES] = "";
    (void)getnameinfo((struct sockaddr *)&address, address_len, name, sizeof name, NULL, 0, NI_NUMERICHOST);
    (void)pthread_mutex_lock(&server->connections_lock);
    struct connection *connection = find_slot(server, name);
    if (connection != NULL) {
        *connection = (struct connection){ .server = server,
                                           .fd = fd,
                                           .began_ms = clock_monotonic_us() / 1000,
                                           .arena = { .bytes_max = 1 << 20 } };
        memcpy(connection->address, name, sizeof connection->address);
        connection->has_thread = pthread_create(&connection->thread, NULL, connection_main, connection) == 0;
        if (!connection->has_thread) {
            connection->fd = -1;
            connection = NULL;
        }
    }
    (void)pthread_mutex_unlock(&server->connections_lock);
    atomic_fetch_add(connection == NULL ? &server->refused : &server->total, 1);
    if (connection == NULL) {
        refuse(fd);
    }
}

static void *listener_main(void *data)
{
    struct dimse_server *server = data;
    struct pollfd waiting[2] = { { .fd = server->listener, .events = POLLIN },
                                 { .fd = server->wake, .events = POLLIN } };
    for (;;) {
        int ready = poll(waiting, 2, -1);
        if (ready < 0 && errno != EINTR) {
            break;
        }
        if (ready > 0 && waiting[1].revents != 0) {
            break;
        }
        if (ready > 0 && waiting[0].revents != 0) {
            accept_one(server);
        }
    }
    return NULL;
}

static bool listen_on(struct dimse_server *server, struct error *error)
{
    const int on = 1;
    const char *bind_address =
        server->options.bind_address == NULL ? "127.0.0.1" : server->options.bind_address;
    char port[8];
    struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
    struct addrinfo *found = NULL;
    struct sockaddr_storage bound;
    socklen_t bound_len = sizeof bound;
    bool ok = false;
    hints.ai_flags = AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV;
    (void)snprintf(port, sizeof port, "%u", (unsigned)server->options.port);
    if (getaddrinfo(bind_address, port, &hints, &found) != 0) {
        return FAIL(error, ERROR_INPUT, "dicom.bind must be a numeric address");
    }
    server->listener = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (server->listener < 0 || setsockopt(server->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        bind(server->listener, found->ai_addr, found->ai_addrlen) != 0 || listen(server->listener, 64) != 0 ||
        getsockname(server->listener, (struct sockaddr *)&bound, &bound_len) != 0) {
        (void)FAIL_OS(error, ERROR_INPUT, "cannot listen for DICOM on port %s: %s", port, strerror(errno));
        goto done;
    }
    server->port = ntohs(bound.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&bound)->sin6_port
                                                     : ((struct sockaddr_in *)&bound)->sin_port);
    ok = true;
done:
    freeaddrinfo(found);
    return ok;
}

bool dimse_server_start(struct arena *arena, struct archive *archive, const struct dimse_options *options,
                        struct dimse_server **server, struct error *error)
{
    struct dimse_server *made = ARENA_NEW(arena, struct dimse_server);
    if (made == NULL) {
        return FAIL(error, ERROR_TOO_LARGE, "no memory for the DICOM listener");
    }
    made->archive = archive;
    made->options = *options;
    struct dimse_peer *peers = ARENA_ARRAY(arena, struct dimse_peer, options->peers_count + 1);
    if (peers == NULL) {
        return FAIL(error, ERROR_TOO_LARGE, "no memory for the DICOM listener");
    }
    memcpy(peers, options->peers == NULL ? peers : options->peers, options->peers_count * sizeof *peers);
    made->options.peers = peers;
    unsigned wanted = options->associations_max == 0 ? 16 : options->associations_max;
    made->options.associations_max = wanted > ASSOCIATIONS_MAX ? ASSOCIATIONS_MAX : wanted;
    made->listener = -1;
    made->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    (void)pthread_mutex_init(&made->connections_lock, NULL);
    for (size_t i = 0; i < ASSOCIATIONS_MAX; i++) {
        made->connections[i].fd = -1;
    }
    if (made->wake < 0 || !listen_on(made, error)) {
        goto fail;
    }
    if (pthread_create(&made->thread, NULL, listener_main, made) != 0) {
        (void)FAIL(error, ERROR_INTERNAL, "no thread for the DICOM listener");
        goto fail;
    }
    *server = made;
    return true;
fail:
    if (made->listener >= 0) {
        (void)close(made->listener);
    }
    if (made->wake >= 0) {
        (void)close(made->wake);
    }
    return false;
}

uint16_t dimse_server_port(const struct dimse_server *server)
{
    return server->port;
}

void dimse_server_stop(struct dimse_server *server)
{
    if (server == NULL) {
        return;
    }
    const uint64_t one = 1;
    ssize_t written = write(server->wake, &one, sizeof one);
    assert(written == (ssize_t)sizeof one);
    (void)pthread_join(server->thread, NULL);
    for (size_t i = 0; i < ASSOCIATIONS_MAX; i++) {
        if (server->connections[i].has_thread) {
            (void)pthread_join(server->connections[i].thread, NULL);
        }
    }
    (void)close(server->listener);
    (void)close(server->wake);
    (void)pthread_mutex_destroy(&server->connections_lock);
}

void dimse_server_counts(struct dimse_server *server, struct dimse_counts *counts)
{
    *counts = (struct dimse_counts){ .total = atomic_load(&server->total),
                                     .refused = atomic_load(&server->refused) };
    (void)pthread_mutex_lock(&server->connections_lock);
    for (size_t i = 0; i < server->options.associations_max; i++) {
        counts->open += server->connections[i].has_thread && !server->connections[i].is_over;
    }
    (void)pthread_mutex_unlock(&server->connections_lock);
}
