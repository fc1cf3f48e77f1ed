/* search_world.h — the resources that searches are asked over: the synthetic patients and the standard's examples, in memory for the
 * oracle and in a store. Every test file that includes it has its own copy. */
#ifndef SHANHAI_TESTS_SEARCH_WORLD_H
#define SHANHAI_TESTS_SEARCH_WORLD_H

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "search_oracle.h"

#include "base/file.h"
#include "base/hash.h"
#include "scratch.h"
#include "store/body.h"
#include "store/search.h"
#include "store_postgresql.h"

enum { WORLD_RESOURCES_MAX = 20000, HITS_MAX = 20000 };

static struct arena world_arena = { .bytes_max = 1u << 30 };
static struct arena search_arena = { .bytes_max = 512u << 20 };
static struct oracle_resource resources[WORLD_RESOURCES_MAX];
static struct oracle_world world = { .resources = resources };
static struct store *store;
static struct fhir_index *index_of;
static uint64_t random_state;

static inline uint64_t chance(uint64_t below)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state % below;
}

/* ---- the world ---- */

static inline bool rows_of(void *data, struct arena *arena, struct str type, struct str text,
                           struct index_rows *rows, struct error *error)
{
    (void)data;
    (void)type;
    struct json *tree = NULL;
    return json_read(arena, text, &tree, error) && fhir_index_rows(index_of, arena, tree, rows, error);
}

/* Of all resources one in three is of another hospital. */
static inline uint64_t custodian_of(const struct oracle_resource *resource)
{
    return hash_resource_key(STR("Organization"), resource->hidden ? STR("theirs") : STR("ours"));
}

static inline bool known_already(struct str type, struct str id)
{
    for (size_t i = 0; i < world.count; i++) {
        if (str_equal(resources[i].id, id) && str_equal(resources[i].type, type)) {
            return true;
        }
    }
    return false;
}

static inline void remember(const struct json *tree, struct str id)
{
    struct str type = JSON_TEXT(&world_arena, tree, "resourceType");
    if (id.len == 0 || model_resource_find(type) == NULL || known_already(type, id)) {
        return;
    }
    assert_true(world.count < WORLD_RESOURCES_MAX);
    bool hidden = hash64(id, hash64(type, 7)) % 3 == 0;
    resources[world.count++] =
        (struct oracle_resource){ .type = type, .id = id, .tree = tree, .hidden = hidden };
}

static inline struct json *read_tree(const char *folder, const char *name)
{
    char path[2048];
    struct str text = STR_NONE;
    struct json *tree = NULL;
    struct error error = { 0 };
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    if (!file_read_whole(&world_arena, path, 64u << 20, &text, &error) ||
        !json_read(&world_arena, text, &tree, &error)) {
        fail_msg("%s: %s", path, error.text);
    }
    return tree;
}

/* urn:uuid:… of a bundle's entries become Type/…; the others of the world know them so already. */
static inline void relink(struct json *value, const struct json *bundle)
{
    if (value->kind == JSON_STRING && str_starts_with(value->raw, STR("urn:uuid:"))) {
        JSON_EACH(entry, JSON_GET(bundle, "entry")) {
            if (json_equals_text(JSON_GET(entry, "fullUrl"), value->raw)) {
                struct str type = JSON_TEXT(&world_arena, JSON_GET(entry, "resource"), "resourceType");
                value->raw =
                    arena_printf(&world_arena, "%.*s/%.*s", STR_FMT(type), STR_FMT(str_skip(value->raw, 9)));
                break;
            }
        }
        return;
    }
    JSON_EACH(child, value) {
        relink(child, bundle);
    }
}

static inline void load_bundle(const char *folder, const char *name)
{
    struct json *bundle = read_tree(folder, name);
    JSON_EACH(entry, JSON_GET(bundle, "entry")) {
        struct json *tree = JSON_GET(entry, "resource");
        struct str url = JSON_TEXT(&world_arena, entry, "fullUrl");
        struct str id =
            str_starts_with(url, STR("urn:uuid:")) ? str_skip(url, 9) : JSON_TEXT(&world_arena, tree, "id");
        relink(tree, bundle);
        (void)json_set(tree, STR("id"), json_new_string(&world_arena, id));
        remember(tree, id);
    }
}

static inline void load_example(const char *folder, const char *name)
{
    const struct json *tree = read_tree(folder, name);
    if (strcmp(name, "Patient-ch-example.json") == 0) {
        return; /* is found by pinyin too, which has tests of its own (fhir_index_test) */
    }
    remember(tree, JSON_TEXT(&world_arena, tree, "id"));
}

static inline bool load_folder(const char *shared, const char *name,
                               void (*load)(const char *folder, const char *name))
{
    char folder[1024];
    struct dirent **entries = NULL;
    (void)snprintf(folder, sizeof folder, "%s/suites/%s", shared, name);
    int count = scandir(folder, &entries, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        if (str_ends_with(str_from_cstr(entries[i]->d_name), STR(".json"))) {
            load(folder, entries[i]->d_name);
        }
        free(entries[i]);
    }
    free(entries);
    return count > 0;
}

static inline void put(const struct oracle_resource *list, size_t count)
{
    struct arena arena = { .bytes_max = 512u << 20 };
    struct store_write *writes = ARENA_ARRAY(&arena, struct store_write, count);
    struct error error = { 0 };
    for (size_t i = 0; i < count; i++) {
        struct index_rows *rows = ARENA_NEW(&arena, struct index_rows);
        struct store_write *write = &writes[i];
        if (!fhir_index_rows(index_of, &arena, list[i].tree, rows, &error) ||
            !store_body_from_json(&arena, list[i].tree, &write->body, &error)) {
            fail_msg("%.*s/%.*s: %s", STR_FMT(list[i].type), STR_FMT(list[i].id), error.text);
        }
        write->type = list[i].type;
        write->id = list[i].id;
        write->method = STORE_METHOD_CREATED;
        write->custodian = custodian_of(&list[i]);
        write->index = rows;
    }
    struct store_set set = { .arena = &arena, .writes = writes, .writes_count = count };
    if (!store_write_and_wait(store, &set, &error)) {
        fail_msg("put: %s", error.text);
    }
    arena_deinit(&arena);
}

#endif
