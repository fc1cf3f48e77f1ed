/* What the store reaches by itself: durable creates with a number of waiting sets, and reads.
 *
 *     store_bench [FOLDER] [SECONDS] [WAITING] [PRELOADED]
 *
 * One set = one Observation of about 1.5 KB with 15 index rows and an audit record, as a server would hand it in.
 * Prints one line a figure; the folder must be empty and is left behind. */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/memory.h"
#include "base/parse.h"
#include "base/uuid.h"
#include "store/search.h"

enum { ROWS = 15, WAITING_MAX = 4096, PATIENTS = 12000, BULK_WRITES = 1000, ID_BYTES = UUID_TEXT_BYTES };

struct slot {
    struct bench *bench;
    struct store_set set;
    struct store_write *writes;
    struct index_rows *indexes;
    struct index_row *rows;
    char (*ids)[ID_BYTES];
    struct arena arena;
    int64_t start_us;
    struct slot *next;
};

struct bench {
    struct store *store;
    pthread_mutex_t lock; /* guards free, the counts and times */
    pthread_cond_t freed;
    struct slot *free;
    uint64_t ended;
    uint64_t failed;
    uint32_t *times_us;
    size_t times_count;
    size_t times_max;
    uint64_t seed;
    uint64_t audit_group;
};

static uint32_t noise(struct bench *bench)
{
    bench->seed = bench->seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(bench->seed >> 33);
}

static bool append(void *data, uint64_t group, const struct str *records, size_t count, struct error *error)
{
    struct bench *bench = data;
    (void)records;
    (void)count;
    (void)error;
    bench->audit_group = group;
    return true;
}

static uint64_t durable(void *data)
{
    const struct bench *bench = data;
    return bench->audit_group;
}

/* ---- making a set ---- */

static struct str body_make(struct slot *slot, unsigned patient)
{
    struct bench *bench = slot->bench;
    return arena_printf(
        &slot->arena,
        "},\"text\":{\"status\":\"generated\",\"div\":\"<div xmlns=\\\"http://www.w3.org/1999/xhtml\\\">Body "
        "temperature %u.%u Cel, measured by the ward's nurse at the "
        "bedside</div>\"},\"identifier\":[{\"system\":"
        "\"https://hospital.example/"
        "observation\",\"value\":\"%08x%08x\"}],\"status\":\"final\",\"category\":[{"
        "\"coding\":[{\"system\":\"http://terminology.hl7.org/CodeSystem/observation-category\",\"code\":"
        "\"vital-signs\",\"display\":\"Vital "
        "Signs\"}]}],\"code\":{\"coding\":[{\"system\":\"http://loinc.org\","
        "\"code\":\"%u-%u\",\"display\":\"Body temperature\"}],\"text\":\"Temperature\"},\"subject\":{"
        "\"reference\":\"Patient/patient-%u\",\"display\":\"patient %u\"},\"encounter\":{\"reference\":"
        "\"Encounter/encounter-%u\"},\"effectiveDateTime\":\"2020-02-%02uT%02u:%02u:00+08:00\",\"issued\":"
        "\"2020-02-11T08:32:00.000+08:00\",\"performer\":[{\"reference\":\"Practitioner/"
        "nurse-%u\",\"display\":"
        "\"nurse %u\"}],\"valueQuantity\":{\"value\":%u.%u,\"unit\":\"Cel\",\"system\":"
        "\"http://unitsofmeasure.org\",\"code\":\"Cel\"},\"interpretation\":[{\"coding\":[{\"system\":"
        "\"http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation\",\"code\":\"N\",\"display\":"
        "\"Normal\"}]}],\"referenceRange\":[{\"low\":{\"value\":36.1,\"unit\":\"Cel\"},\"high\":{\"value\":"
        "37.2,"
        "\"unit\":\"Cel\"}}]}",
        36 + noise(bench) % 4, noise(bench) % 10, noise(bench), noise(bench), 8000 + noise(bench) % 300,
        noise(bench) % 10, patient, patient, patient * 5 + noise(bench) % 5, 1 + noise(bench) % 28,
        noise(bench) % 24, noise(bench) % 60, noise(bench) % 500, noise(bench) % 500, 36 + noise(bench) % 4,
        noise(bench) % 10);
}

static void rows_make(struct bench *bench, struct index_row *rows, unsigned patient)
{
    /* Three ways to ask for a code, status, category three times; identifier twice; references; date; quantity. */
    static const uint32_t spread[11] = { 300, 300, 1, 1, 1, 1, 1, 0, 0, 60000, 500 };
    for (uint32_t i = 0; i < 11; i++) {
        uint64_t value =
            spread[i] == 0 ? ((uint64_t)noise(bench) << 32 | noise(bench)) : noise(bench) % spread[i];
        rows[i] = (struct index_row){ .kind = INDEX_KEY,
                                      .parameter = 1000 + i,
                                      .key = hash64_combine(value, i < 2 ? 1 : i) };
    }
    rows[11] = (struct index_row){ .kind = INDEX_KEY, .parameter = 1011, .key = hash64_combine(patient, 99) };
    int64_t day = (int64_t)(18000 + noise(bench) % 1000) * 86400000 + noise(bench) % 86400000;
    rows[12] =
        (struct index_row){ .kind = INDEX_DATE, .parameter = 1012, .from_ms = day, .to_ms = day + 1000 };
    double value = 36 + noise(bench) % 40 / 10.0;
    rows[13] = (struct index_row){ .kind = INDEX_NUMBER, .parameter = 1013, .low = value, .high = value };
    rows[14] =
        (struct index_row){ .kind = INDEX_NUMBER, .parameter = 1013, .key = 7, .low = value, .high = value };
}

static void slot_fill(struct slot *slot, size_t count)
{
    struct bench *bench = slot->bench;
    arena_reset(&slot->arena);
    for (size_t i = 0; i < count; i++) {
        unsigned patient = noise(bench) % PATIENTS;
        struct index_row *rows = slot->rows + i * ROWS;
        rows_make(bench, rows, patient);
        slot->indexes[i] = (struct index_rows){ rows, ROWS };
        if (!uuid_v7(clock_now_ms(), slot->ids[i], NULL)) {
            abort();
        }
        slot->writes[i] = (struct store_write){ .type = STR("Observation"),
                                                .id = { slot->ids[i], 36 },
                                                .method = STORE_METHOD_CREATED,
                                                .body = body_make(slot, patient),
                                                .custodian = 5,
                                                .author = 6,
                                                .index = &slot->indexes[i] };
    }
    slot->set.arena = &slot->arena;
    slot->set.writes = slot->writes;
    slot->set.writes_count = count;
    slot->set.prepared = false;
    slot->set.audit_record =
        STR("time person post organisation route Observation/create 0 and so on, 100 bytes a "
            "record or so they say");
}

static void ended(struct store_set *set, const struct error *error)
{
    struct slot *slot = set->data;
    struct bench *bench = slot->bench;
    int64_t took_us = clock_monotonic_us() - slot->start_us;
    (void)pthread_mutex_lock(&bench->lock);
    bench->ended++;
    bench->failed += error != NULL ? 1 : 0;
    if (bench->times_count < bench->times_max) {
        bench->times_us[bench->times_count] = (uint32_t)took_us;
        bench->times_count++;
    }
    slot->next = bench->free;
    bench->free = slot;
    (void)pthread_cond_signal(&bench->freed);
    (void)pthread_mutex_unlock(&bench->lock);
}

static struct slot *slot_take(struct bench *bench)
{
    (void)pthread_mutex_lock(&bench->lock);
    while (bench->free == NULL) {
        (void)pthread_cond_wait(&bench->freed, &bench->lock);
    }
    struct slot *slot = bench->free;
    bench->free = slot->next;
    (void)pthread_mutex_unlock(&bench->lock);
    return slot;
}

static struct slot *slots_make(struct bench *bench, size_t count, size_t writes)
{
    struct slot *slots = memory_new_array(count, sizeof *slots);
    for (size_t i = 0; i < count; i++) {
        slots[i] = (struct slot){ .bench = bench,
                                  .arena = { .bytes_max = 64u << 20 },
                                  .writes = memory_new_array(writes, sizeof(struct store_write)),
                                  .indexes = memory_new_array(writes, sizeof(struct index_rows)),
                                  .rows = memory_new_array(writes * ROWS, sizeof(struct index_row)),
                                  .ids = memory_new_array(writes, ID_BYTES),
                                  .next = bench->free };
        slots[i].set.done = ended;
        slots[i].set.data = &slots[i];
        bench->free = &slots[i];
    }
    return slots;
}

/* Submits until `end_us` (0: until `sets` were handed in) and waits for the rest. */
static void run(struct bench *bench, size_t writes, int64_t end_us, uint64_t sets, size_t slots_count)
{
    struct error error = { 0 };
    uint64_t handed_in = 0;
    uint64_t before = bench->ended;
    while (end_us != 0 ? clock_monotonic_us() < end_us : handed_in < sets) {
        struct slot *slot = slot_take(bench);
        slot_fill(slot, writes);
        slot->start_us = clock_monotonic_us();
        if (!store_submit(bench->store, &slot->set, &error)) {
            (void)fprintf(stderr, "%s\n", error.text);
            exit(1);
        }
        handed_in++;
    }
    (void)pthread_mutex_lock(&bench->lock);
    while (bench->ended - before < handed_in) {
        (void)pthread_cond_wait(&bench->freed, &bench->lock);
    }
    (void)pthread_mutex_unlock(&bench->lock);
    (void)slots_count;
}

static int compare_times(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* ---- figures ---- */

static void preload(struct bench *bench, uint64_t count)
{
    struct slot *slots = slots_make(bench, 2, BULK_WRITES);
    int64_t start_us = clock_monotonic_us();
    run(bench, BULK_WRITES, 0, count / BULK_WRITES, 2);
    double seconds = (double)(clock_monotonic_us() - start_us) / 1e6;
    (void)printf("bulk of %d: %.0f resources/s (%" PRIu64 " loaded)\n", BULK_WRITES, (double)count / seconds,
                 count);
    bench->free = NULL;
    (void)slots;
}

static void creates(struct bench *bench, size_t waiting, int64_t seconds)
{
    struct store_counts before = { 0 };
    struct store_counts after = { 0 };
    struct slot *slots = slots_make(bench, waiting, 1);
    bench->times_max = 4u << 20;
    bench->times_us = memory_new_array(bench->times_max, sizeof *bench->times_us);
    bench->times_count = 0;
    store_counts(bench->store, &before);
    int64_t start_us = clock_monotonic_us();
    run(bench, 1, start_us + seconds * 1000000, 0, waiting);
    double took = (double)(clock_monotonic_us() - start_us) / 1e6;
    store_counts(bench->store, &after);
    qsort(bench->times_us, bench->times_count, sizeof *bench->times_us, compare_times);
    (void)printf(
        "durable creates, %zu waiting: %.0f /s, p50 %.1f ms, p99 %.1f ms, longest %.1f ms, %.1f a commit, "
        "%" PRIu64 " failed\n",
        waiting, (double)bench->times_count / took, bench->times_us[bench->times_count / 2] / 1e3,
        bench->times_us[bench->times_count * 99 / 100] / 1e3, bench->times_us[bench->times_count - 1] / 1e3,
        (double)bench->times_count / (double)(after.groups - before.groups), bench->failed);
    memory_free(bench->times_us);
    bench->free = NULL;
    (void)slots;
}

struct read_job {
    struct bench *bench;
    uint64_t seed;
    uint64_t count;
    bool by_name;
    int64_t end_us;
};

static void *read_some(void *data)
{
    struct read_job *job = data;
    struct arena arena = { .bytes_max = 8u << 20 };
    struct error error = { 0 };
    uint64_t seq_max = store_seq(job->bench->store);
    char ids[256][ID_BYTES];
    struct store_reader *reader = NULL;
    while (clock_monotonic_us() < job->end_us) {
        for (size_t i = 0; i < 256; i++) { /* a few ids to ask for, read by number */
            struct store_version version = { 0 };
            job->seed = job->seed * 6364136223846793005u + 1442695040888963407u;
            uint64_t seq = 1 + (job->seed >> 33) % seq_max;
            if (!store_reader_begin(job->bench->store, &reader, &error) ||
                !store_read_seqs(reader, &arena, &seq, 1, &version, &error)) {
                (void)fprintf(stderr, "%s\n", error.text);
                exit(1);
            }
            memcpy(ids[i], version.id.at, 36);
            store_reader_end(reader);
            arena_reset(&arena);
        }
        job->count += 256;
        for (size_t i = 0; i < 256 * 16; i++) {
            struct store_version version = { 0 };
            if (!store_reader_begin(job->bench->store, &reader, &error) ||
                !store_read(reader, &arena, STR("Observation"), (struct str){ ids[i % 256], 36 }, &version,
                            &error)) {
                (void)fprintf(stderr, "%s\n", error.text);
                exit(1);
            }
            store_reader_end(reader);
            arena_reset(&arena);
        }
        job->count += 256 * 16;
    }
    arena_deinit(&arena);
    return NULL;
}

static void *search_some(void *data)
{
    struct read_job *job = data;
    struct arena arena = { .bytes_max = 64u << 20 };
    struct error error = { 0 };
    while (clock_monotonic_us() < job->end_us) {
        job->seed = job->seed * 6364136223846793005u + 1442695040888963407u;
        struct search_value patient = { .test = SEARCH_TEST_KEY,
                                        .parameter = 1011,
                                        .key = hash64_combine((job->seed >> 33) % PATIENTS, 99) };
        struct search_criteria subject = {
            .kind = SEARCH_VALUES, .type = STR("Observation"), .values = &patient, .values_count = 1
        };
        struct search_query query = { .type = STR("Observation"), .criteria = &subject };
        struct store_search search = { .query = &query };
        struct store_hits hits = { 0 };
        struct store_reader *reader = NULL;
        if (!store_reader_begin(job->bench->store, &reader, &error) ||
            !store_search(reader, &arena, &search, &hits, &error)) {
            (void)fprintf(stderr, "%s\n", error.text);
            exit(1);
        }
        store_reader_end(reader);
        arena_reset(&arena);
        job->count++;
    }
    arena_deinit(&arena);
    return NULL;
}

static void reads(struct bench *bench, const char *what, void *(*work)(void *), int threads, int64_t seconds)
{
    pthread_t handles[8];
    struct read_job jobs[8];
    uint64_t count = 0;
    int64_t start_us = clock_monotonic_us();
    for (int i = 0; i < threads; i++) {
        jobs[i] = (struct read_job){ .bench = bench,
                                     .seed = (uint64_t)i + 1,
                                     .end_us = start_us + seconds * 1000000 };
        if (pthread_create(&handles[i], NULL, work, &jobs[i]) != 0) {
            exit(1);
        }
    }
    for (int i = 0; i < threads; i++) {
        (void)pthread_join(handles[i], NULL);
        count += jobs[i].count;
    }
    (void)printf("%s, %d threads: %.0f /s\n", what, threads,
                 (double)count / ((double)(clock_monotonic_us() - start_us) / 1e6));
}

int main(int count, char **arguments)
{
    const char *folder = count > 1 ? arguments[1] : "store_bench.data";
    uint64_t seconds = 5;
    uint64_t waiting = 64;
    uint64_t preloaded = 0;
    if ((count > 2 && !parse_uint64(str_from_cstr(arguments[2]), 3600, &seconds)) ||
        (count > 3 && !parse_uint64(str_from_cstr(arguments[3]), WAITING_MAX, &waiting)) ||
        (count > 4 && !parse_uint64(str_from_cstr(arguments[4]), 100000000, &preloaded))) {
        (void)fprintf(stderr, "store_bench [FOLDER] [SECONDS] [WAITING] [PRELOADED]\n");
        return 2;
    }
    struct bench bench = { .lock = PTHREAD_MUTEX_INITIALIZER, .freed = PTHREAD_COND_INITIALIZER, .seed = 1 };
    struct store_audit_sink sink = { &bench, append, durable };
    struct store_options options = { .folder = folder, .audit = &sink };
    struct error error = { 0 };
    if (!store_open(&options, &bench.store, &error)) {
        (void)fprintf(stderr, "%s\n", error.text);
        return 1;
    }
    if (preloaded >= BULK_WRITES) {
        preload(&bench, preloaded);
    }
    creates(&bench, (size_t)waiting, (int64_t)seconds);
    creates(&bench, 1, 2);
    reads(&bench, "reads by id", read_some, 1, 2);
    reads(&bench, "reads by id", read_some, 2, 2);
    reads(&bench, "searches by reference, up to 20 hits", search_some, 2, 2);
    struct store_counts counts = { 0 };
    store_counts(bench.store, &counts);
    uint64_t seq = store_seq(bench.store);
    store_close(bench.store);
    (void)printf("%" PRIu64 " versions, %" PRIu64 " bytes a version\n", seq,
                 counts.database_bytes / (seq == 0 ? 1 : seq));
    return 0;
}
