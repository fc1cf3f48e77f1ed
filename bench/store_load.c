/* Fills a folder quickly with invented records, for benches on a large store.
 *
 *     store_load FOLDER TEMPLATES COUNT
 *
 * TEMPLATES has one resource a line (JSON, with its id). They are stored over and over until the store has COUNT
 * versions; in each copy every UUID in the text becomes another one, always the same for the same UUID and copy, so
 * that references hold, and the minutes of times differ. Index rows are made as the server makes them; view rows are
 * left to the server's fill. */
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/memory.h"
#include "base/parse.h"
#include "fhir/index.h"
#include "json/json.h"
#include "store/body.h"
#include "store/upkeep.h"

enum { SET_WRITES = 500, THREADS = 2, TRAIN_EVERY = 20, TEMPLATES_BYTES = 256 << 20, UUID_LEN = 36 };

struct load {
    struct store *store;
    struct fhir_index *index;
    struct str *lines;
    size_t lines_count;
    uint64_t count;
    _Atomic uint64_t next_copy;
    uint64_t first_copy;
};

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

static bool is_uuid(const char *at)
{
    for (size_t i = 0; i < UUID_LEN; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (dash ? at[i] != '-' : !is_hex(at[i])) {
            return false;
        }
    }
    return true;
}

static void uuid_change(char *at, uint64_t copy)
{
    static const char digits[] = "0123456789abcdef";
    uint64_t mixed = hash64((struct str){ at, UUID_LEN }, copy + 1);
    for (size_t i = 0; i < 18; i++) {
        if (at[i] != '-') {
            at[i] = digits[mixed & 15];
            mixed >>= 4;
        }
    }
}

/* "T12:34:56": other minutes and seconds in each copy. */
static void time_change(char *at, uint64_t copy)
{
    uint64_t mixed = hash64((struct str){ at, 9 }, copy);
    at[4] = (char)('0' + mixed % 6);
    at[5] = (char)('0' + mixed / 6 % 10);
    at[7] = (char)('0' + mixed / 60 % 6);
    at[8] = (char)('0' + mixed / 360 % 10);
}

static struct str copy_make(struct arena *arena, struct str line, uint64_t copy)
{
    char *text = arena_alloc(arena, line.len + 1);
    if (text == NULL) {
        abort();
    }
    memcpy(text, line.at, line.len);
    for (size_t i = 0; i + UUID_LEN < line.len; i++) {
        if (is_hex(text[i]) && is_uuid(text + i)) {
            uuid_change(text + i, copy);
            i += UUID_LEN - 1;
        } else if (text[i] == 'T' && text[i + 3] == ':' && text[i + 6] == ':' && text[i + 1] < '3') {
            time_change(text + i, copy);
            i += 8;
        }
    }
    return (struct str){ text, line.len };
}

static bool write_make(struct load *load, struct arena *arena, struct str line, uint64_t copy,
                       struct store_write *write, struct error *error)
{
    struct json *tree = NULL;
    struct index_rows *rows = ARENA_NEW(arena, struct index_rows);
    struct store_write made = { .method = STORE_METHOD_CREATED, .custodian = 5, .author = 6, .index = rows };
    if (rows == NULL || !json_read(arena, copy_make(arena, line, copy), &tree, error) ||
        !fhir_index_rows(load->index, arena, tree, rows, error) ||
        !store_body_from_json(arena, tree, &made.body, error)) {
        return false;
    }
    made.type = JSON_TEXT(arena, tree, "resourceType");
    made.id = JSON_TEXT(arena, tree, "id");
    *write = made;
    return true;
}

static void die(const struct error *error)
{
    (void)fprintf(stderr, "%s\n", error->text);
    exit(1);
}

/* Dictionaries, as the server trains them every ten minutes. */
static void train(struct load *load, uint64_t copy)
{
    struct error error = { 0 };
    bool more = (copy - load->first_copy) % TRAIN_EVERY == 2;
    while (more) {
        if (!store_train(load->store, &more, &error)) {
            die(&error);
        }
    }
}

static void *work(void *data)
{
    struct load *load = data;
    struct arena arena = { .bytes_max = 512u << 20 };
    struct error error = { 0 };
    struct store_write *writes = memory_new_array(SET_WRITES, sizeof *writes);
    while (store_seq(load->store) < load->count) {
        uint64_t copy = atomic_fetch_add(&load->next_copy, 1);
        for (size_t from = 0; from < load->lines_count; from += SET_WRITES) {
            size_t count = load->lines_count - from < SET_WRITES ? load->lines_count - from : SET_WRITES;
            for (size_t i = 0; i < count; i++) {
                if (!write_make(load, &arena, load->lines[from + i], copy, &writes[i], &error)) {
                    die(&error);
                }
            }
            struct store_set set = { .arena = &arena, .writes = writes, .writes_count = count };
            if (!store_write_and_wait(load->store, &set, &error)) {
                die(&error);
            }
            arena_reset(&arena);
        }
        train(load, copy);
    }
    arena_deinit(&arena);
    memory_free(writes);
    return NULL;
}

static void lines_read(struct load *load, struct arena *arena, const char *path)
{
    struct str text = STR_NONE;
    struct error error = { 0 };
    if (!file_read_whole(arena, path, TEMPLATES_BYTES, &text, &error)) {
        die(&error);
    }
    load->lines = ARENA_ARRAY(arena, struct str, text.len / 16 + 1);
    while (load->lines != NULL && text.len > 0) {
        const char *end = memchr(text.at, '\n', text.len);
        size_t len = end == NULL ? text.len : (size_t)(end - text.at);
        if (len > 0) {
            load->lines[load->lines_count] = (struct str){ text.at, len };
            load->lines_count++;
        }
        text = str_skip(text, end == NULL ? len : len + 1);
    }
}

int main(int count, char **arguments)
{
    struct arena arena = { .bytes_max = 2 * (size_t)TEMPLATES_BYTES };
    struct load load = { 0 };
    struct error error = { 0 };
    if (count != 4 || !parse_uint64(str_from_cstr(arguments[3]), 100000000, &load.count)) {
        (void)fprintf(stderr, "store_load FOLDER TEMPLATES COUNT\n");
        return 2;
    }
    lines_read(&load, &arena, arguments[2]);
    const struct fhir_index_options index = { .base_url = STR("http://127.0.0.1/fhir"),
                                              .offset_minutes = 480 };
    struct store_options options = { .folder = arguments[1] };
    if (!fhir_index_create(&index, &load.index, &error) || !store_open(&options, &load.store, &error)) {
        die(&error);
    }
    load.next_copy = store_seq(load.store); /* other UUIDs when it goes on */
    load.first_copy = load.next_copy;
    uint64_t before = store_seq(load.store);
    int64_t start_us = clock_monotonic_us();
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++) {
        if (pthread_create(&threads[i], NULL, work, &load) != 0) {
            return 1;
        }
    }
    for (size_t i = 0; i < THREADS; i++) {
        (void)pthread_join(threads[i], NULL);
    }
    uint64_t stored = store_seq(load.store) - before;
    (void)printf("%" PRIu64 " stored, %.0f /s\n", stored,
                 (double)stored / ((double)(clock_monotonic_us() - start_us) / 1e6));
    store_close(load.store);
    fhir_index_destroy(load.index);
    arena_deinit(&arena);
    return 0;
}
