/* What a create costs before the writer, stage by stage, without HTTP: the processor time of this thread, so that other
 * programs on the machine disturb it little. Of five rounds the best is printed.
 *
 *     write_bench FOLDER RESOURCE.json VIEWS [COUNT]
 *
 * FOLDER is a new or an old folder of a store (nothing is written to it but what opening it makes), VIEWS the folder
 * definitions/views. Rights, session, locks and audit are not in it: `valgrind --tool=callgrind` on the server shows those. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/file.h"
#include "base/limits.h"
#include "base/parse.h"
#include "fhir/index.h"
#include "fhir/outcome.h"
#include "fhir/validate.h"
#include "json/json.h"
#include "store/body.h"
#include "store/store.h"
#include "view/view_set.h"

enum { STAGE_READ, STAGE_VALIDATE, STAGE_INDEX, STAGE_VIEWS, STAGE_BODY, STAGE_PACK, STAGES, ROUNDS = 5 };

static const char *const names[STAGES] = { "read the JSON", "validate", "index rows",
                                           "view rows",     "body",     "compress, rows as stored" };

struct bench {
    struct store *store;
    struct fhir_index *index;
    struct view_set *views;
    struct arena kept;
    struct arena arena; /* of one create */
    struct str text;
    struct json *tree;
    struct outcome outcome;
    struct index_rows rows;
    struct store_view_rows *view_rows;
    struct store_write write;
    struct store_set set;
};

static void must(bool ok, const struct error *error)
{
    if (!ok) {
        (void)fprintf(stderr, "%s\n", error->text);
        exit(1);
    }
}

static uint64_t thread_ns(void)
{
    struct timespec now = { 0 };
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void views_add(struct bench *bench, const char *path)
{
    struct error error = { 0 };
    DIR *folder = opendir(path);
    for (struct dirent *entry = NULL; folder != NULL && (entry = readdir(folder)) != NULL;) {
        struct str text = STR_NONE;
        if (str_ends_with(str_from_cstr(entry->d_name), STR(".json"))) {
            struct str file = arena_printf(&bench->kept, "%s/%s", path, entry->d_name);
            must(file_read_whole(&bench->kept, file.at, LIMIT_REQUEST_ARENA_BYTES, &text, &error) &&
                     view_set_add(bench->views, text, &error),
                 &error);
        }
    }
    if (folder != NULL) {
        (void)closedir(folder);
    }
}

static bool stage_run(struct bench *bench, int stage, struct error *error)
{
    struct arena *arena = &bench->arena;
    struct store_write *write = &bench->write;
    switch (stage) {
    case STAGE_READ:
        return json_read(arena, bench->text, &bench->tree, error);
    case STAGE_VALIDATE:
        bench->outcome = outcome_in(arena);
        return validate_resource(bench->tree, NULL, &bench->outcome) ||
               FAIL(error, ERROR_STRUCTURE, "the resource is not valid R4");
    case STAGE_INDEX:
        return fhir_index_rows(bench->index, arena, bench->tree, &bench->rows, error);
    case STAGE_VIEWS:
        return view_set_rows(bench->views, arena, JSON_TEXT(arena, bench->tree, "resourceType"), bench->tree,
                             &bench->view_rows, &write->view_rows_count, error);
    case STAGE_BODY:
        return store_body_from_json(arena, bench->tree, &write->body, error);
    default:
        write->type = JSON_TEXT(arena, bench->tree, "resourceType");
        write->id = STR("bench");
        write->method = STORE_METHOD_CREATED;
        write->index = &bench->rows;
        write->view_rows = bench->view_rows;
        bench->set = (struct store_set){ .arena = arena, .writes = write, .writes_count = 1 };
        return store_set_prepare(bench->store, &bench->set, error);
    }
}

static void round_run(struct bench *bench, uint64_t count, uint64_t best[STAGES])
{
    struct error error = { 0 };
    uint64_t spent[STAGES] = { 0 };
    for (uint64_t i = 0; i < count; i++) {
        bench->write = (struct store_write){ 0 };
        for (int stage = 0; stage < STAGES; stage++) {
            uint64_t before = thread_ns();
            must(stage_run(bench, stage, &error), &error);
            spent[stage] += thread_ns() - before;
        }
        arena_reset(&bench->arena);
    }
    for (int stage = 0; stage < STAGES; stage++) {
        best[stage] = spent[stage] / count < best[stage] ? spent[stage] / count : best[stage];
    }
}

int main(int count, char **arguments)
{
    struct bench bench = { .kept = { .bytes_max = 64u << 20 }, .arena = { .bytes_max = 64u << 20 } };
    struct error error = { 0 };
    uint64_t creates = 2000;
    uint64_t best[STAGES];
    uint64_t sum = 0;
    if (count < 4 || count > 5 ||
        (count == 5 && (!parse_uint64(str_from_cstr(arguments[4]), 10000000, &creates) || creates == 0))) {
        (void)fprintf(stderr, "write_bench FOLDER RESOURCE.json VIEWS [COUNT]\n");
        return 2;
    }
    const struct fhir_index_options index = { .base_url = STR("http://127.0.0.1/fhir"),
                                              .offset_minutes = 480 };
    const struct store_options options = { .folder = arguments[1] };
    must(file_read_whole(&bench.kept, arguments[2], LIMIT_REQUEST_ARENA_BYTES, &bench.text, &error) &&
             fhir_index_create(&index, &bench.index, &error) && store_open(&options, &bench.store, &error) &&
             view_set_open(&bench.kept, bench.store, 480, &bench.views, &error),
         &error);
    views_add(&bench, arguments[3]);
    for (int stage = 0; stage < STAGES; stage++) {
        best[stage] = UINT64_MAX;
    }
    for (int i = 0; i < ROUNDS; i++) {
        round_run(&bench, creates, best);
    }
    for (int stage = 0; stage < STAGES; stage++) {
        (void)printf("%-32s %6.1f us\n", names[stage], (double)best[stage] / 1000);
        sum += best[stage];
    }
    (void)printf("%-32s %6.1f us, %zu rows\n", "all", (double)sum / 1000, bench.rows.count);
    store_close(bench.store);
    fhir_index_destroy(bench.index);
    arena_deinit(&bench.arena);
    arena_deinit(&bench.kept);
    return 0;
}
