/* Kills a writing process with SIGKILL at random moments and looks whether everything that it had acknowledged is
 * there whole, and nothing is half there.
 *
 *     store_crash [ROUNDS] [SEED]
 *
 * The child writes with many sets in flight: single creates, updates, and sets of three resources that belong
 * together, each with index rows, a job and an audit record; it reports each acknowledged set through a pipe. The
 * parent kills it, opens the same store again, checks it, and goes on in the same folder, round after round. */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/memory.h"
#include "base/parse.h"
#include "store/body.h"
#include "store/jobs.h"
#include "store/search.h"

/* Few index rows wait, so that kills come while they are merged, frozen and dropped. */
enum { THREADS = 8, IN_FLIGHT = 12, NUMBERS_MAX = 400000, TOGETHER = 3, WAITING_ROWS = 600 };

/* What the child tells: number of the set (its resources are named by it) and the version of its first. */
struct acknowledgement {
    uint32_t number;
    uint32_t version;
};

static uint32_t noise(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*seed >> 33);
}

/* Resources of a set: every third number is three together, the rest one. */
static size_t parts_of(uint32_t number)
{
    return number % 3 == 0 ? TOGETHER : 1;
}

static struct str id_of(struct arena *arena, uint32_t number, size_t part)
{
    return arena_printf(arena, "n%u-%zu", number, part);
}

/* Said twice in the body, so that half a body would show. */
static struct str body_of(struct arena *arena, uint32_t number, size_t part, uint32_t version)
{
    return arena_printf(arena, "},\"first\":\"%u.%zu.%u\",\"filler\":\"%*u\",\"last\":\"%u.%zu.%u\"}", number,
                        part, version, (int)(number % 900), number, number, part, version);
}

static bool rows_of(void *data, struct arena *arena, struct str type, struct str resource,
                    struct index_rows *rows, struct error *error)
{
    (void)data;
    (void)type;
    struct json *tree = NULL;
    struct index_row *made = ARENA_ARRAY(arena, struct index_row, 4);
    if (made == NULL || !json_read(arena, resource, &tree, error)) {
        return false;
    }
    struct str first = JSON_TEXT(arena, tree, "first");
    made[0] = (struct index_row){ .kind = INDEX_KEY, .parameter = 1, .key = hash64(first, 1) };
    made[1] = (struct index_row){ .kind = INDEX_TEXT, .parameter = 2, .text = first };
    made[2] =
        (struct index_row){ .kind = INDEX_DATE, .parameter = 3, .from_ms = (int64_t)first.len, .to_ms = 99 };
    made[3] = (struct index_row){ .kind = INDEX_NUMBER, .parameter = 4, .low = 1.5, .high = 1.5 };
    *rows = (struct index_rows){ made, 4 };
    return true;
}

/* ---- the child ---- */

struct worker {
    struct store *store;
    uint32_t next; /* number of the next set: each worker has every THREADS-th */
    uint64_t seed;
    int report_fd;
};

static bool sink_append(void *data, uint64_t group, const struct str *records, size_t count,
                        struct error *error)
{
    (void)records;
    (void)count;
    (void)error;
    uint64_t *last = data;
    *last = group;
    return true;
}

static uint64_t sink_durable(void *data)
{
    const uint64_t *last = data;
    return *last / 2;
}

static void write_number(struct worker *worker, struct arena *arena, uint32_t number)
{
    struct store_write writes[TOGETHER] = { 0 };
    struct index_rows rows[TOGETHER] = { 0 };
    uint32_t versions = number % 5 == 0 ? 2 : 1; /* every fifth is updated once */
    for (uint32_t version = 1; version <= versions; version++) {
        for (size_t part = 0; part < parts_of(number); part++) {
            writes[part] = (struct store_write){ .type = STR("Basic"),
                                                 .id = id_of(arena, number, part),
                                                 .method = STORE_METHOD_UPDATED,
                                                 .body = body_of(arena, number, part, version),
                                                 .index = &rows[part] };
            struct str text = arena_printf(arena, "{\"x\":{%.*s", STR_FMT(writes[part].body));
            if (!rows_of(NULL, arena, STR("Basic"), text, &rows[part], NULL)) {
                abort();
            }
        }
        struct store_job_new job = { .kind = STR("check"), .subject = writes[0].id };
        struct store_set set = { .arena = arena,
                                 .writes = writes,
                                 .writes_count = parts_of(number),
                                 .jobs = &job,
                                 .jobs_count = 1,
                                 .audit_record = writes[0].id };
        struct error error = { 0 };
        if (!store_write_and_wait(worker->store, &set, &error)) {
            (void)fprintf(stderr, "write: %s\n", error.text);
            _exit(3);
        }
        struct acknowledgement told = { number, version };
        if (write(worker->report_fd, &told, sizeof told) !=
            (ssize_t)sizeof told) { /* atomic: below PIPE_BUF */
            _exit(0);
        }
    }
}

static void *work(void *data)
{
    struct worker *worker = data;
    struct arena arena = { .bytes_max = 8u << 20 };
    for (;;) {
        write_number(worker, &arena, worker->next);
        worker->next += THREADS;
        arena_reset(&arena);
        if (noise(&worker->seed) % 64 == 0) { /* jobs come and go meanwhile */
            struct store_job job = { 0 };
            struct str kind = STR("check");
            bool found = false;
            if (store_job_take(worker->store, &arena, &kind, 1, &job, &found, NULL) && found) {
                struct store_job_end end = { .id = job.id, .state = STORE_JOB_DONE };
                (void)!store_job_end(worker->store, &end, NULL);
            }
        }
    }
    return NULL;
}

static void child(const char *folder, uint32_t first, uint64_t seed, int report_fd)
{
    static uint64_t last;
    struct store_audit_sink sink = { &last, sink_append, sink_durable };
    struct store_options options = { .folder = folder, .audit = &sink, .waiting_rows_max = WAITING_ROWS };
    struct store *store = NULL;
    struct error error = { 0 };
    if (!store_open(&options, &store, &error)) {
        (void)fprintf(stderr, "open: %s\n", error.text);
        _exit(3);
    }
    static struct worker workers[THREADS * IN_FLIGHT];
    pthread_t thread = 0;
    for (uint32_t i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){ store, first + i, seed + i, report_fd };
        if (pthread_create(&thread, NULL, work, &workers[i]) != 0) {
            _exit(3);
        }
    }
    for (;;) {
        (void)pause();
    }
}

/* ---- the parent ---- */

struct ledger {
    uint8_t *versions; /* acknowledged version by number; 0 = none */
    uint32_t highest;
    uint64_t count;
    uint64_t lost;
    uint64_t broken;
};

static void ledger_read(struct ledger *ledger, int fd)
{
    struct acknowledgement told = { 0 };
    size_t have = 0;
    for (;;) {
        ssize_t got = read(fd, (char *)&told + have, sizeof told - have);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return;
        }
        have += (size_t)got;
        if (have == sizeof told) {
            have = 0;
            if (told.number < NUMBERS_MAX) {
                ledger->versions[told.number] = (uint8_t)told.version;
                ledger->highest = told.number > ledger->highest ? told.number : ledger->highest;
                ledger->count++;
            }
        }
    }
}

static bool part_is_whole(struct store_reader *reader, struct arena *arena, uint32_t number, size_t part,
                          uint64_t *version_number)
{
    struct store_version version = { 0 };
    struct error error = { 0 };
    *version_number = 0;
    if (!store_read(reader, arena, STR("Basic"), id_of(arena, number, part), &version, &error)) {
        return error.kind == ERROR_NOT_FOUND;
    }
    *version_number = version.version;
    /* A round that begins again may have written a number twice; content says which version it was. */
    return str_equal(version.body, body_of(arena, number, part, 1)) ||
           str_equal(version.body, body_of(arena, number, part, 2));
}

static void ledger_check(struct ledger *ledger, struct store *store, uint32_t from)
{
    struct arena arena = { .bytes_max = 8u << 20 };
    struct store_reader *reader = NULL;
    for (uint32_t number = from; number <= ledger->highest + THREADS * 2 && number < NUMBERS_MAX; number++) {
        uint64_t versions[TOGETHER] = { 0 };
        if (reader == NULL && !store_reader_begin(store, &reader, NULL)) {
            abort();
        }
        for (size_t part = 0; part < parts_of(number); part++) {
            ledger->broken += part_is_whole(reader, &arena, number, part, &versions[part]) ? 0 : 1;
            ledger->broken += versions[part] != versions[0] ? 1 : 0; /* all of a set or nothing */
        }
        ledger->lost += versions[0] < ledger->versions[number] ? 1 : 0;
        arena_reset(&arena);
        if (number % 1000 == 0) {
            store_reader_end(reader);
            reader = NULL;
        }
    }
    store_reader_end(reader);
    arena_deinit(&arena);
}

static void say(void *data, const char *text)
{
    (void)data;
    (void)fprintf(stderr, "finding: %s\n", text);
}

/* One life and death of the child; false when something is not as it must be. */
static bool round_run(const char *folder, struct ledger *ledger, uint64_t *seed)
{
    int ends[2] = { -1, -1 };
    uint32_t first = ledger->highest + 1 + THREADS * 2;
    if (pipe(ends) != 0) {
        return false;
    }
    pid_t pid = fork();
    if (pid == 0) {
        (void)close(ends[0]);
        child(folder, first, *seed, ends[1]);
    }
    (void)close(ends[1]);
    struct timespec nap = { 0, (long)(noise(seed) % 300 + 5) * 1000000 };
    (void)nanosleep(&nap, NULL);
    (void)kill(pid, SIGKILL);
    ledger_read(ledger, ends[0]);
    (void)close(ends[0]);
    int status = 0;
    (void)waitpid(pid, &status, 0);
    if (!WIFSIGNALED(status)) {
        (void)fprintf(stderr, "the writer ended by itself (status %d)\n", status);
        return false;
    }
    static uint64_t last;
    struct store_audit_sink sink = { &last, sink_append, sink_durable };
    struct store_options options = {
        .folder = folder, .audit = &sink, .index_rows = rows_of, .waiting_rows_max = WAITING_ROWS
    };
    struct store *store = NULL;
    struct error error = { 0 };
    if (!store_open(&options, &store, &error)) {
        (void)fprintf(stderr, "open after the kill: %s\n", error.text);
        return false;
    }
    struct store_check_report report = { .finding = say, .sample_count = 200, .whole_index = true };
    bool ok = store_check(store, &report, &error) && report.findings_count == 0;
    ledger_check(ledger, store, first);
    store_close(store);
    return ok && ledger->lost == 0 && ledger->broken == 0;
}

int main(int count, char **arguments)
{
    uint64_t rounds = 20;
    uint64_t seed = (uint64_t)clock_now_ms();
    if ((count > 1 && !parse_uint64(str_from_cstr(arguments[1]), 100000, &rounds)) ||
        (count > 2 && !parse_uint64(str_from_cstr(arguments[2]), UINT64_MAX, &seed))) {
        (void)fprintf(stderr, "store_crash [ROUNDS] [SEED]\n");
        return 2;
    }
    char folder[] = "/tmp/store-crash-XXXXXX";
    if (mkdtemp(folder) == NULL) {
        return 1;
    }
    struct ledger ledger = { .versions = memory_new(NUMBERS_MAX) };
    (void)printf("seed %" PRIu64 "\n", seed);
    bool ok = ledger.versions != NULL;
    for (uint64_t i = 0; ok && i < rounds; i++) {
        ok = round_run(folder, &ledger, &seed);
    }
    (void)printf("%" PRIu64 " kills, %" PRIu64 " acknowledged, %" PRIu64 " lost, %" PRIu64 " broken\n",
                 rounds, ledger.count, ledger.lost, ledger.broken);
    memory_free(ledger.versions);
    pid_t remover = ok ? fork() : -1;
    if (remover == 0) {
        (void)execlp("rm", "rm", "-rf", folder, (char *)NULL);
        _exit(127);
    }
    if (remover > 0) {
        (void)waitpid(remover, NULL, 0);
    }
    return ok && ledger.count > 0 ? 0 : 1;
}
