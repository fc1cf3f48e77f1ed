/* dimse_test.c — the association machine PDU by PDU, and the listener with DCMTK's storescu and echoscu. */
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/file.h"
#include "dicom/dimse_server.h"
#include "dicom_build.h"
#include "shell.h"

#define CT_CLASS "1.2.840.10008.5.1.4.1.1.2"

struct fixture {
    struct arena arena;
    struct archive *archive;
    struct dimse_server *server;
    struct error error;
    char folder[64];
    struct buf answer;
    struct dimse_association association;
    struct dimse_host host;
    unsigned stores_count;
    size_t stored_bytes;
    uint64_t ended_stored;
};

static enum dimse_verdict greet(void *context, const char *calling, const char *called)
{
    (void)context;
    (void)called;
    return strcmp(calling, "STRANGER") == 0 ? DIMSE_CALLING_UNKNOWN : DIMSE_WELCOME;
}

static uint16_t store(void *context, const struct dimse_store *request, char comment[DIMSE_COMMENT_BYTES])
{
    struct fixture *fixture = context;
    fixture->stores_count++;
    fixture->stored_bytes = request->bytes.len;
    assert_string_equal(request->syntax->uid, DICOM_EXPLICIT_LE);
    (void)snprintf(comment, DIMSE_COMMENT_BYTES, "no");
    return str_equal(request->sop, STR("2.25.666")) ? DIMSE_OUT_OF_RESOURCES : DIMSE_SUCCESS;
}

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    fixture->arena.bytes_max = 64u << 20;
    fixture->answer.bytes_max = 1u << 20;
    fixture->host = (struct dimse_host){ .context = fixture, .greet = greet, .store = store };
    dimse_init(&fixture->association, &fixture->host);
    (void)snprintf(fixture->folder, sizeof fixture->folder, "/tmp/shanhai-dimse-XXXXXX");
    assert_non_null(mkdtemp(fixture->folder));
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    dimse_server_stop(fixture->server);
    archive_close(fixture->archive);
    dimse_deinit(&fixture->association);
    buf_deinit(&fixture->answer);
    (void)shell_run("rm -rf '%s'", fixture->folder);
    arena_deinit(&fixture->arena);
    free(fixture);
    return 0;
}

/* ---- the machine ---- */

static void add_big(struct buf *buf, uint32_t value, unsigned bytes)
{
    for (unsigned i = bytes; i-- > 0;) {
        buf_add_char(buf, (char)(uint8_t)(value >> (8 * i)));
    }
}

static void add_item(struct buf *buf, uint8_t type, struct str body)
{
    add_big(buf, (uint32_t)type << 8, 2);
    add_big(buf, (uint32_t)body.len, 2);
    buf_add(buf, body);
}

static void add_context(struct buf *buf, uint8_t id, const char *class_uid, const char *syntax)
{
    struct buf body = { .bytes_max = 1024 };
    add_big(&body, (uint32_t)id << 24, 4);
    add_item(&body, 0x30, str_from_cstr(class_uid));
    add_item(&body, 0x40, str_from_cstr(syntax));
    add_item(buf, 0x20, buf_str(&body));
    buf_deinit(&body);
}

static void add_request(struct buf *out, const char *calling)
{
    struct buf body = { .bytes_max = 4096 };
    char titles[33];
    add_big(&body, 1, 2);
    add_big(&body, 0, 2);
    (void)snprintf(titles, sizeof titles, "%-16s%-16s", "SHANHAI", calling);
    buf_add(&body, (struct str){ titles, 32 });
    for (unsigned i = 0; i < 32; i++) {
        buf_add_char(&body, '\0');
    }
    add_item(&body, 0x10, STR("1.2.840.10008.3.1.1.1"));
    add_context(&body, 1, CT_CLASS, DICOM_EXPLICIT_LE);
    add_context(&body, 3, "1.2.840.10008.1.1", DICOM_IMPLICIT_LE);
    add_context(&body, 5, "1.2.840.10008.5.1.4.1.2.2.1", DICOM_IMPLICIT_LE); /* C-FIND: not offered */
    add_context(&body, 7, CT_CLASS, "1.2.3.4");
    add_item(&body, 0x50, STR("\x51\0\0\4\0\0\x40\0"));
    buf_add(out, buf_str(&body));
    buf_deinit(&body);
}

static void associate(struct fixture *fixture, const char *calling)
{
    struct buf body = { .bytes_max = 4096 };
    add_request(&body, calling);
    dimse_take_pdu(&fixture->association, DIMSE_ASSOCIATE_RQ, buf_str(&body), &fixture->answer);
    buf_deinit(&body);
}

static void send_value(struct fixture *fixture, uint8_t context, uint8_t control, struct str bytes)
{
    struct buf body = { .bytes_max = 1u << 20 };
    add_big(&body, (uint32_t)bytes.len + 2, 4);
    buf_add_char(&body, (char)context);
    buf_add_char(&body, (char)control);
    buf_add(&body, bytes);
    buf_clear(&fixture->answer);
    dimse_take_pdu(&fixture->association, DIMSE_DATA, buf_str(&body), &fixture->answer);
    buf_deinit(&body);
}

static void send_command(struct fixture *fixture, uint8_t context, uint16_t field, const char *class_uid,
                         const char *sop)
{
    struct build build = { .buf = { .bytes_max = 4096 }, .is_implicit = true };
    build_text(&build, 0x00000002u, "UI", class_uid);
    build_us(&build, 0x00000100u, field);
    build_us(&build, 0x00000110u, 7);
    build_us(&build, 0x00000800u, sop == NULL ? 0x0101 : 0);
    if (sop != NULL) {
        build_text(&build, 0x00001000u, "UI", sop);
    }
    send_value(fixture, context, 3, buf_str(&build.buf));
    buf_deinit(&build.buf);
}

/* Status of the response in `answer`. */
static unsigned answered_status(struct fixture *fixture)
{
    struct dicom_dataset command;
    uint16_t status = 0xFFFF;
    uint16_t message = 0;
    assert_int_equal(fixture->answer.at[0], DIMSE_DATA);
    struct str elements = str_skip(buf_str(&fixture->answer), 12);
    assert_true(dicom_read_dataset(&fixture->arena, elements, dicom_syntax_find(STR(DICOM_IMPLICIT_LE)), NULL,
                                   &command, &fixture->error));
    assert_true(dicom_us(&command, 0x00000900u, &status));
    assert_true(dicom_us(&command, 0x00000120u, &message));
    assert_int_equal(message, 7);
    return status;
}

static void negotiates(void **state)
{
    struct fixture *fixture = *state;
    associate(fixture, "CT1");
    assert_int_equal(fixture->answer.at[0], DIMSE_ASSOCIATE_AC);
    assert_true(fixture->association.is_open);
    assert_non_null(fixture->association.contexts[0].syntax);
    assert_true(fixture->association.contexts[1].is_verification);
    assert_null(fixture->association.contexts[2].syntax);
    assert_null(fixture->association.contexts[3].syntax);
    assert_int_equal(fixture->association.peer_pdu_bytes_max, 0x4000);
    assert_string_equal(fixture->association.calling, "CT1");
    send_command(fixture, 3, 0x0030, "1.2.840.10008.1.1", NULL);
    assert_int_equal(answered_status(fixture), DIMSE_SUCCESS);
    send_command(fixture, 3, 0x0020, "1.2.840.10008.1.1", NULL);
    assert_int_equal(answered_status(fixture), DIMSE_UNRECOGNIZED_OPERATION);
    buf_clear(&fixture->answer);
    dimse_take_pdu(&fixture->association, DIMSE_RELEASE_RQ, STR("\0\0\0\0"), &fixture->answer);
    assert_int_equal(fixture->answer.at[0], DIMSE_RELEASE_RP);
    assert_true(fixture->association.is_over);
}

static void strangers_are_rejected(void **state)
{
    struct fixture *fixture = *state;
    associate(fixture, "STRANGER");
    assert_memory_equal(fixture->answer.at, "\3\0\0\0\0\4\0\1\1\3", 10);
    assert_true(fixture->association.is_over);
}

static void stores_in_pieces(void **state)
{
    struct fixture *fixture = *state;
    associate(fixture, "CT1");
    send_command(fixture, 1, 1, CT_CLASS, "2.25.1");
    assert_int_equal(fixture->answer.len, 0);
    send_value(fixture, 1, 0, STR("abcd"));
    send_value(fixture, 1, 2, STR("ef"));
    assert_int_equal(answered_status(fixture), DIMSE_SUCCESS);
    assert_int_equal(fixture->stored_bytes, 6);
    send_command(fixture, 1, 1, CT_CLASS, "2.25.666");
    send_value(fixture, 1, 2, STR("abcd"));
    assert_int_equal(answered_status(fixture), DIMSE_OUT_OF_RESOURCES);
    /* Another class than the context's, a UID that is none: refused before `store`. */
    send_command(fixture, 1, 1, "1.2.840.10008.5.1.4.1.1.4", "2.25.2");
    send_value(fixture, 1, 2, STR("abcd"));
    assert_int_equal(answered_status(fixture), DIMSE_CLASS_NOT_SUPPORTED);
    send_command(fixture, 1, 1, CT_CLASS, "../etc");
    send_value(fixture, 1, 2, STR("abcd"));
    assert_int_equal(answered_status(fixture), DIMSE_CANNOT_UNDERSTAND);
    assert_int_equal(fixture->stores_count, 2);
}

/* Too large for what is left: dropped to its end and answered; the association goes on. */
static void a_large_instance_is_out_of_resources(void **state)
{
    struct fixture *fixture = *state;
    associate(fixture, "CT1");
    fixture->association.data.bytes_max = 6;
    send_command(fixture, 1, 1, CT_CLASS, "2.25.1");
    send_value(fixture, 1, 0, STR("abcd"));
    send_value(fixture, 1, 0, STR("efgh"));
    send_value(fixture, 1, 2, STR("ij"));
    assert_int_equal(answered_status(fixture), DIMSE_OUT_OF_RESOURCES);
    assert_int_equal(fixture->stores_count, 0);
    assert_int_equal(fixture->association.data.capacity, 0);
    send_command(fixture, 1, 1, CT_CLASS, "2.25.2");
    send_value(fixture, 1, 2, STR("abcd"));
    assert_int_equal(answered_status(fixture), DIMSE_SUCCESS);
    assert_int_equal(fixture->stored_bytes, 4);
}

static void nonsense_is_aborted(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        uint8_t type;
        const char *bytes;
        size_t len;
        bool is_open;
    } cases[] = {
        { DIMSE_DATA, "\0\0\0\2\1\3", 6, false },        /* before the association */
        { DIMSE_DATA, "\xFF\xFF\xFF\xFF\1\3", 6, true }, /* lying length */
        { DIMSE_DATA, "\0\0", 2, true },                 /* cut */
        { DIMSE_DATA, "\0\0\0\2\x09\3", 6, true },       /* a context that was not negotiated */
        { DIMSE_DATA, "\0\0\0\2\1\0", 6, true },         /* data before a command */
        { DIMSE_DATA, "\0\0\0\6\1\3garb", 10, true },    /* a command that is none */
        { DIMSE_ASSOCIATE_RQ, "\0\1", 2, false },
        { DIMSE_ASSOCIATE_RQ, "\0\1", 2, true },
        { DIMSE_ASSOCIATE_AC, "\0\1", 2, true },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        dimse_deinit(&fixture->association);
        dimse_init(&fixture->association, &fixture->host);
        if (cases[i].is_open) {
            associate(fixture, "CT1");
        }
        buf_clear(&fixture->answer);
        dimse_take_pdu(&fixture->association, cases[i].type, (struct str){ cases[i].bytes, cases[i].len },
                       &fixture->answer);
        assert_true(fixture->association.is_over);
        assert_int_equal(fixture->answer.at[0], DIMSE_ABORT);
    }
    uint8_t type;
    uint32_t length;
    fixture->association.is_over = false;
    assert_false(
        dimse_pdu_header(&fixture->association, "\4\0\xFF\xFF\xFF\xFF", &type, &length, &fixture->answer));
    assert_false(dimse_pdu_header(&fixture->association, "GET / ", &type, &length, &fixture->answer));
    assert_true(fixture->association.is_over);
}

/* ---- the listener ---- */

static bool has_dcmtk(void)
{
    if (shell_run("command -v storescu echoscu >/dev/null 2>&1") != 0) {
        print_message("left out: DCMTK is not installed\n");
        return false;
    }
    return true;
}

static void ended(void *context, const char *calling, const char *address, uint64_t stored, uint64_t refused)
{
    struct fixture *fixture = context;
    (void)calling;
    (void)refused;
    assert_string_equal(address, "127.0.0.1");
    fixture->ended_stored += stored;
}

static void start_with(struct fixture *fixture, struct dimse_options listen)
{
    const struct archive_options options = { .folder = fixture->folder };
    listen.organization = "org-1";
    listen.ended = ended;
    listen.context = fixture;
    assert_true(archive_open(&fixture->arena, &options, &fixture->archive, &fixture->error));
    if (!dimse_server_start(&fixture->arena, fixture->archive, &listen, &fixture->server, &fixture->error)) {
        fail_msg("%s", fixture->error.text);
    }
}

static void start(struct fixture *fixture, const struct dimse_peer *peers, size_t peers_count)
{
    start_with(fixture, (struct dimse_options){ .peers = peers, .peers_count = peers_count });
}

static size_t instances_count(struct fixture *fixture)
{
    const struct archive_query query = { .level = ARCHIVE_INSTANCES };
    struct buf out = { .bytes_max = 8u << 20 };
    size_t count = 0;
    bool more = false;
    assert_true(
        archive_find(fixture->archive, &fixture->arena, &query, &out, &count, &more, &fixture->error));
    buf_deinit(&out);
    return count;
}

static void dcmtk_sends(void **state)
{
    struct fixture *fixture = *state;
    if (!has_dcmtk()) {
        skip();
    }
    start(fixture, NULL, 0);
    unsigned port = dimse_server_port(fixture->server);
    for (uint16_t i = 1; i <= 4; i++) {
        struct build build = { .buf = { .bytes_max = 1u << 20 } };
        char path[128];
        char sop[32];
        (void)snprintf(sop, sizeof sop, "2.25.90%u", (unsigned)i);
        const struct build_image image = { .study = "2.25.100",
                                           .series = "2.25.101",
                                           .sop = sop,
                                           .rows = 64,
                                           .columns = 64,
                                           .bits = 16,
                                           .number = i };
        build_meta(&build, DICOM_EXPLICIT_LE, CT_CLASS, sop);
        build_ct(&build, &image);
        (void)snprintf(path, sizeof path, "%s/%u.dcm", fixture->folder, (unsigned)i);
        assert_true(file_write_atomically(path, buf_str(&build.buf), 0600, &fixture->error));
        buf_deinit(&build.buf);
    }
    assert_int_equal(shell_run("echoscu 127.0.0.1 %u", port), 0);
    assert_int_equal(shell_run("cd '%s' && storescu 127.0.0.1 %u 1.dcm 2.dcm 3.dcm", fixture->folder, port),
                     0);
    assert_int_equal(instances_count(fixture), 3);
    /* The same again is fine; the implicit syntax has other bytes and is refused, and the sender is told. */
    assert_int_equal(shell_run("cd '%s' && storescu 127.0.0.1 %u 1.dcm", fixture->folder, port), 0);
    assert_int_not_equal(
        shell_run("cd '%s' && storescu -xi 127.0.0.1 %u 1.dcm >/dev/null 2>&1", fixture->folder, port), 0);
    assert_int_equal(shell_run("cd '%s' && storescu -xb 127.0.0.1 %u 4.dcm", fixture->folder, port), 0);
    assert_int_equal(instances_count(fixture), 4);
    dimse_server_stop(fixture->server);
    fixture->server = NULL;
    assert_int_equal(fixture->ended_stored, 5);
}

static void the_list_decides(void **state)
{
    struct fixture *fixture = *state;
    struct dimse_peer peers[2];
    if (!has_dcmtk()) {
        skip();
    }
    assert_true(dimse_peer_parse(&fixture->arena, STR("CT1@127.0.0.1=Organization/org-7"), &peers[0],
                                 &fixture->error));
    assert_string_equal(peers[0].organization, "org-7");
    assert_true(dimse_peer_parse(&fixture->arena, STR("CT2@192.0.2.9=org-8"), &peers[1], &fixture->error));
    assert_false(dimse_peer_parse(&fixture->arena, STR("CT2"), &peers[1], &fixture->error));
    start(fixture, peers, 2);
    unsigned port = dimse_server_port(fixture->server);
    assert_int_equal(shell_run("echoscu -aet CT1 127.0.0.1 %u", port), 0);
    assert_int_not_equal(shell_run("echoscu -aet CT2 127.0.0.1 %u 2>/dev/null", port), 0);
    assert_int_not_equal(shell_run("echoscu -aet CT9 127.0.0.1 %u 2>/dev/null", port), 0);
}

static void the_real_ct_arrives(void **state)
{
    struct fixture *fixture = *state;
    const char *shared = getenv("SHANHAI_SHARED");
    char folder[512];
    (void)snprintf(folder, sizeof folder, "%s/data/ct/lidc-idri-0314", shared == NULL ? "../shared" : shared);
    if (access(folder, R_OK) != 0 || !has_dcmtk()) {
        print_message("left out: the real CT is not there\n");
        skip();
    }
    start(fixture, NULL, 0);
    int64_t from_us = clock_monotonic_us();
    assert_int_equal(
        shell_run("storescu -xt +sd 127.0.0.1 %u '%s'", (unsigned)dimse_server_port(fixture->server), folder),
        0);
    int64_t took_us = clock_monotonic_us() - from_us;
    assert_int_equal(instances_count(fixture), 275);
    print_message("storescu -xt: 275 instances in %lld ms, each synced\n", (long long)(took_us / 1000));
    struct archive_study study;
    assert_true(archive_imaging_study(fixture->archive, &fixture->arena,
                                      STR("1.3.6.1.4.1.14519.5.2.1.6279.6001.265704884949271879044145982159"),
                                      &study, &fixture->error));
    assert_true(study.chest_ct_series.at != NULL);
    assert_int_equal(study.instances_count, 275);
}

/* ---- attacks on the listener, by socket ---- */

static int dial(struct fixture *fixture)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_port = htons(dimse_server_port(fixture->server)),
                                   .sin_addr = { htonl(INADDR_LOOPBACK) } };
    /* Longer than any wait of the server: a test that hangs fails here, a slow machine does not. */
    const struct timeval patience = { .tv_sec = 60 };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static void say(int fd, struct str bytes)
{
    (void)send(fd, bytes.at, bytes.len, MSG_NOSIGNAL);
}

static void say_request(int fd, const char *calling)
{
    struct buf body = { .bytes_max = 4096 };
    struct buf pdu = { .bytes_max = 4096 };
    add_request(&body, calling);
    buf_add(&pdu, STR("\1\0"));
    add_big(&pdu, (uint32_t)body.len, 4);
    buf_add(&pdu, buf_str(&body));
    say(fd, buf_str(&pdu));
    buf_deinit(&body);
    buf_deinit(&pdu);
}

/* Type of the next PDU, or -1 at the end of the connection (a reset is an end, too). */
static int hear(int fd)
{
    unsigned char header[6];
    char rest[4096];
    ssize_t got = recv(fd, header, sizeof header, MSG_WAITALL);
    if (got != (ssize_t)sizeof header) {
        return -1;
    }
    uint32_t length =
        (uint32_t)header[2] << 24 | (uint32_t)header[3] << 16 | (uint32_t)header[4] << 8 | header[5];
    assert_true(length <= sizeof rest);
    (void)recv(fd, rest, length, MSG_WAITALL);
    return header[0];
}

static void attack_oversize_pdu(void **state)
{
    struct fixture *fixture = *state;
    start(fixture, NULL, 0);
    int fd = dial(fixture);
    say(fd, STR("\1\0\xff\xff\xff\xff")); /* an A-ASSOCIATE-RQ of 4 GB: nothing is allocated for it */
    assert_int_equal(hear(fd), DIMSE_ABORT);
    assert_int_equal(hear(fd), -1);
    (void)close(fd);
    fd = dial(fixture);
    say_request(fd, "CT1");
    assert_int_equal(hear(fd), DIMSE_ASSOCIATE_AC);
    say(fd, STR("\4\0\0\x10\0\0")); /* 1 MB of data where 128 KB were agreed */
    assert_int_equal(hear(fd), DIMSE_ABORT);
    assert_int_equal(hear(fd), -1);
    (void)close(fd);
}

/* Other software leaked memory for each rejected association; the sanitizer build would tell. */
static void attack_rejected_associations(void **state)
{
    struct fixture *fixture = *state;
    struct dimse_peer peer = { .ae_title = "CT1", .address = "127.0.0.1", .organization = "org-1" };
    start(fixture, &peer, 1);
    for (int i = 0; i < 200; i++) {
        int fd = dial(fixture);
        say_request(fd, "STRANGER");
        assert_int_equal(hear(fd), DIMSE_ASSOCIATE_RJ);
        (void)close(fd);
    }
    int fd = dial(fixture);
    say_request(fd, "CT1");
    assert_int_equal(hear(fd), DIMSE_ASSOCIATE_AC);
    (void)close(fd);
}

static void attack_wrong_called_title(void **state)
{
    struct fixture *fixture = *state;
    start_with(fixture, (struct dimse_options){ .ae_title = "OURS" });
    int fd = dial(fixture);
    say_request(fd, "CT1"); /* calls SHANHAI */
    assert_int_equal(hear(fd), DIMSE_ASSOCIATE_RJ);
    (void)close(fd);
}

/* One address takes its share and no more; when it lets go, the next one gets in. */
static void attack_association_flood(void **state)
{
    struct fixture *fixture = *state;
    enum { FLOOD = 40, SHARE = 8 };
    int fds[FLOOD];
    int accepted = 0;
    start_with(fixture, (struct dimse_options){ .associations_max = 16 });
    for (int i = 0; i < FLOOD; i++) {
        fds[i] = dial(fixture);
        say_request(fds[i], "CT1");
        int answer = hear(fds[i]); /* the rejection may be lost in a reset */
        accepted += answer == DIMSE_ASSOCIATE_AC;
        assert_true(answer == DIMSE_ASSOCIATE_AC || answer == DIMSE_ASSOCIATE_RJ || answer == -1);
    }
    assert_int_equal(accepted, SHARE);
    for (int i = 0; i < FLOOD; i++) {
        (void)close(fds[i]);
    }
    int answer = -1;
    for (int64_t until_us = clock_monotonic_us() + 60000000; answer != DIMSE_ASSOCIATE_AC;) {
        assert_true(clock_monotonic_us() < until_us);
        int fd = dial(fixture);
        say_request(fd, "CT1");
        answer = hear(fd);
        (void)close(fd);
    }
}

/* A byte now and then, before the request and inside a PDU: the place is taken back all the same. */
static void attack_slow_peer(void **state)
{
    struct fixture *fixture = *state;
    start_with(fixture, (struct dimse_options){ .first_timeout_s = 1, .idle_timeout_s = 1 });
    for (int is_open = 0; is_open <= 1; is_open++) {
        int fd = dial(fixture);
        if (is_open) {
            say_request(fd, "CT1");
            assert_int_equal(hear(fd), DIMSE_ASSOCIATE_AC);
        }
        say(fd, is_open ? STR("\4\0\0\1\0\0") : STR("\1\0\0\1\0\0"));
        int64_t until_us = clock_monotonic_us() + 60000000;
        char byte;
        while (recv(fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK) < 0 && errno == EAGAIN) {
            assert_true(clock_monotonic_us() < until_us);
            say(fd, STR("\0"));
            (void)usleep(100000);
        }
        (void)close(fd);
    }
    int fd = dial(fixture); /* says nothing at all */
    assert_int_equal(hear(fd), -1);
    (void)close(fd);
}

/* A structured report and an encapsulated PDF are objects of a study as images are: stored, answered 0000. */
static void non_images_are_stored(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        const char *class_uid;
        const char *sop;
        const char *modality;
    } cases[] = { { "1.2.840.10008.5.1.4.1.1.88.22", "2.25.701", "SR" },
                  { "1.2.840.10008.5.1.4.1.1.104.1", "2.25.702", "DOC" } };
    if (!has_dcmtk()) {
        skip();
    }
    start(fixture, NULL, 0);
    for (size_t i = 0; i < 2; i++) {
        struct build build = { .buf = { .bytes_max = 1u << 16 } };
        char path[128];
        build_meta(&build, DICOM_EXPLICIT_LE, cases[i].class_uid, cases[i].sop);
        build_text(&build, 0x00080016u, "UI", cases[i].class_uid);
        build_text(&build, 0x00080018u, "UI", cases[i].sop);
        build_text(&build, 0x00080060u, "CS", cases[i].modality);
        build_text(&build, 0x0020000Du, "UI", "2.25.700");
        build_text(&build, 0x0020000Eu, "UI", i == 0 ? "2.25.710" : "2.25.711");
        if (i == 1) {
            build_bytes(&build, 0x00420011u, "OB", STR("%PDF-1.4 not really"));
        }
        (void)snprintf(path, sizeof path, "%s/%zu.dcm", fixture->folder, i);
        assert_true(file_write_atomically(path, buf_str(&build.buf), 0600, &fixture->error));
        buf_deinit(&build.buf);
        assert_int_equal(
            shell_run("storescu -R 127.0.0.1 %u '%s'", (unsigned)dimse_server_port(fixture->server), path),
            0);
    }
    assert_int_equal(instances_count(fixture), 2);
    struct archive_study study;
    assert_true(
        archive_imaging_study(fixture->archive, &fixture->arena, STR("2.25.700"), &study, &fixture->error));
    assert_null(study.chest_ct_series.at); /* nothing of it is measured */
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(negotiates),
        TEST(strangers_are_rejected),
        TEST(stores_in_pieces),
        TEST(nonsense_is_aborted),
        TEST(dcmtk_sends),
        TEST(the_list_decides),
        TEST(the_real_ct_arrives),
        TEST(attack_oversize_pdu),
        TEST(attack_rejected_associations),
        TEST(attack_wrong_called_title),
        TEST(attack_association_flood),
        TEST(attack_slow_peer),
        TEST(non_images_are_stored),
        TEST(a_large_instance_is_out_of_resources),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
