/* Searches over a folder that store_load filled: for each shape p50, p99, hits and refusals, one client, values drawn from
 * what is stored.
 *
 *     search_bench FOLDER [RUNS]
 *
 * A search here is parsing, planning, finding the page of 20 and reading its bodies: what the server adds is in run.mjs. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/parse.h"
#include "fhir/index.h"
#include "fhir/search_query.h"
#include "json/json.h"
#include "store/body.h"
#include "store/search.h"

enum { RUNS_MAX = 2000 };

struct bench {
    struct store *store;
    struct fhir_index *index;
    struct arena arena;
    uint64_t random;
    size_t runs;
};

static _Noreturn void die(const struct error *error)
{
    (void)fprintf(stderr, "%s\n", error->text);
    exit(1);
}

static uint64_t chance(struct bench *bench, uint64_t below)
{
    bench->random ^= bench->random << 13;
    bench->random ^= bench->random >> 7;
    bench->random ^= bench->random << 17;
    return bench->random % below;
}

static bool rows_of(void *data, struct arena *arena, struct str type, struct str text,
                    struct index_rows *rows, struct error *error)
{
    struct bench *bench = data;
    struct json *tree = NULL;
    (void)type;
    return json_read(arena, text, &tree, error) && fhir_index_rows(bench->index, arena, tree, rows, error);
}

/* A resource of the type, from a random place of the sequence on. */
static const struct json *some(struct bench *bench, const char *type)
{
    for (int i = 0; i < 100000; i++) {
        struct store_reader *reader = NULL;
        struct store_version version = { 0 };
        struct str text = STR_NONE;
        struct json *tree = NULL;
        struct error error = { 0 };
        uint64_t seq = 1 + chance(bench, store_seq(bench->store));
        if (!store_reader_begin(bench->store, &reader, &error)) {
            die(&error);
        }
        bool ok = store_read_seqs(reader, &bench->arena, &seq, 1, &version, &error) &&
                  str_equal_cstr(version.type, type) &&
                  store_body_text(&bench->arena, &version, &text, &error) &&
                  json_read(&bench->arena, text, &tree, &error);
        store_reader_end(reader);
        if (ok) {
            return tree;
        }
    }
    return NULL;
}

static struct str at(struct bench *bench, const struct json *object, const char *name)
{
    return json_member_text(&bench->arena, object, str_from_cstr(name));
}

static const struct json *first(const struct json *object, const char *name)
{
    return json_at(json_member(object, str_from_cstr(name)), 0);
}

struct question {
    struct str type;
    struct str text;
};

static struct str code_of(struct bench *bench, const struct json *observation)
{
    return at(bench, first(JSON_GET(observation, "code"), "coding"), "code");
}

/* An Observation with a quantity. */
static const struct json *some_quantity(struct bench *bench)
{
    const struct json *tree = some(bench, "Observation");
    while (JSON_GET(tree, "valueQuantity") == NULL) {
        tree = some(bench, "Observation");
    }
    return tree;
}

static struct question ask(struct bench *bench, size_t shape)
{
    struct arena *arena = &bench->arena;
    const struct json *patient = NULL;
    const struct json *observation = NULL;
    struct str family = STR_NONE;
    switch (shape) {
    case 0:
        patient = some(bench, "Patient");
        family = at(bench, first(patient, "name"), "family");
        return (struct question){ STR("Patient"), arena_printf(arena, "family=%.*s", STR_FMT(family)) };
    case 1:
        observation = some(bench, "Observation");
        return (struct question){ STR("Observation"), arena_printf(arena, "code=http://loinc.org|%.*s",
                                                                   STR_FMT(code_of(bench, observation))) };
    case 2:
        observation = some(bench, "Observation");
        return (struct question){
            STR("Observation"),
            arena_printf(arena, "date=%.*s",
                         STR_FMT(str_slice(at(bench, observation, "effectiveDateTime"), 0, 10)))
        };
    case 3:
    case 4:
    case 5:
        observation = some(bench, "Observation");
        return (
            struct question){ STR("Observation"),
                              arena_printf(arena, "patient=%.*s%s",
                                           STR_FMT(at(bench, JSON_GET(observation, "subject"), "reference")),
                                           shape == 4   ? "&_sort=-date"
                                           : shape == 5 ? "&_sort=code,-date&_total=accurate"
                                                        : "") };
    case 6:
        patient = some(bench, "Patient");
        return (struct question){ STR("Observation"),
                                  arena_printf(arena, "patient.identifier=%.*s",
                                               STR_FMT(at(bench, first(patient, "identifier"), "value"))) };
    case 7:
        observation = some_quantity(bench);
        return (struct question){
            STR("Patient"),
            arena_printf(arena, "_has:Observation:patient:code-value-quantity=%.*s$%.*s",
                         STR_FMT(code_of(bench, observation)),
                         STR_FMT(JSON_GET(JSON_GET(observation, "valueQuantity"), "value")->raw))
        };
    case 8:
        observation = some_quantity(bench);
        return (struct question){
            STR("Observation"),
            arena_printf(arena, "code-value-quantity=%.*s$%.*s", STR_FMT(code_of(bench, observation)),
                         STR_FMT(JSON_GET(JSON_GET(observation, "valueQuantity"), "value")->raw))
        };
    case 9:
        observation = some_quantity(bench);
        return (struct question){
            STR("Observation"),
            arena_printf(arena, "value-quantity=%.*s",
                         STR_FMT(JSON_GET(JSON_GET(observation, "valueQuantity"), "value")->raw))
        };
    case 10:
        return (struct question){ STR("Observation"), STR("code:text=body%20mass&date=ge2015") };
    case 11:
        return (struct question){ STR("Patient"), STR("_sort=family,birthdate") };
    case 12:
        return (struct question){ STR("Observation"), STR("_sort=-date") };
    default:
        return (struct question){ STR("Encounter"),
                                  STR("_filter=status%20eq%20finished%20and%20date%20ge%202019-06-01") };
    }
}

static const char *const shapes[] = { "string: Patient?family",
                                      "token: Observation?code",
                                      "date: Observation?date=DAY",
                                      "reference: Observation?patient",
                                      "sort: …patient&_sort=-date",
                                      "two keys, one a code, with total",
                                      "chain: Observation?patient.identifier",
                                      "_has by a composite",
                                      "composite: code-value-quantity",
                                      "quantity: value-quantity",
                                      "code:text and a date",
                                      "Patient?_sort=family,birthdate",
                                      "Observation?_sort=-date",
                                      "_filter of two" };

static int compare(const void *left, const void *right)
{
    int64_t a = *(const int64_t *)left;
    int64_t b = *(const int64_t *)right;
    return (a > b) - (a < b);
}

/* Microseconds; below 0: refused. */
static int64_t run(struct bench *bench, const struct question *question, size_t *hits_count)
{
    struct arena arena = { .bytes_max = 512u << 20 };
    const struct search_options options = { .type = question->type, .offset_minutes = 480 };
    struct search_query query = { 0 };
    struct store_reader *reader = NULL;
    struct store_hits hits = { 0 };
    struct error error = { 0 };
    int64_t start_us = clock_monotonic_us();
    struct store_search search = { .query = &query };
    bool ok = search_query_parse_text(&arena, &options, question->text, &query, &error) &&
              store_reader_begin(bench->store, &reader, &error) &&
              store_search(reader, &arena, &search, &hits, &error);
    store_reader_end(reader);
    int64_t took_us = clock_monotonic_us() - start_us;
    *hits_count += hits.matches_count;
    if (!ok && error.kind != ERROR_TOO_COSTLY) {
        die(&error);
    }
    arena_deinit(&arena);
    return ok ? took_us : -took_us;
}

static void measure(struct bench *bench, size_t shape)
{
    static int64_t times[RUNS_MAX];
    size_t hits = 0;
    size_t refused = 0;
    for (size_t i = 0; i < bench->runs; i++) {
        struct question question = ask(bench, shape);
        int64_t took_us = run(bench, &question, &hits);
        refused += took_us < 0 ? 1 : 0;
        times[i] = took_us < 0 ? -took_us : took_us;
        arena_reset(&bench->arena);
    }
    qsort(times, bench->runs, sizeof *times, compare);
    (void)printf("| %-40s | %8.2f | %8.2f | %6.1f | %4zu |\n", shapes[shape],
                 (double)times[bench->runs / 2] / 1000, (double)times[bench->runs * 99 / 100] / 1000,
                 (double)hits / (double)bench->runs, refused);
}

int main(int count, char **arguments)
{
    struct bench bench = { .arena = { .bytes_max = 1u << 30 }, .random = 88172645463325252, .runs = 200 };
    struct error error = { 0 };
    uint64_t runs = 200;
    if (count < 2 || (count > 2 && !parse_uint64(str_from_cstr(arguments[2]), RUNS_MAX, &runs)) ||
        runs == 0) {
        (void)fprintf(stderr, "search_bench FOLDER [RUNS]\n");
        return 2;
    }
    bench.runs = (size_t)runs;
    const struct fhir_index_options index = { .offset_minutes = 480 };
    const struct store_options options = { .folder = arguments[1],
                                           .index_rows = rows_of,
                                           .index_rows_data = &bench };
    if (!fhir_index_create(&index, &bench.index, &error) || !store_open(&options, &bench.store, &error)) {
        die(&error);
    }
    (void)printf(
        "%" PRIu64
        " resources\n| search, page of 20 | p50 ms | p99 ms | hits | refused |\n|---|---|---|---|---|\n",
        store_seq(bench.store));
    for (size_t shape = 0; shape < sizeof shapes / sizeof *shapes; shape++) {
        measure(&bench, shape);
    }
    store_close(bench.store);
    fhir_index_destroy(bench.index);
    arena_deinit(&bench.arena);
    return 0;
}
