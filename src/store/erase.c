#include "store/erase.h"

#include <stdio.h>
#include <time.h>

#include "base/hash.h"
#include "store/body.h"
#include "store/internal.h"

enum {
    PAGE_VERSIONS = 20,
    PIECES_TOGETHER = 8, /* in one commit: each is looked for under every parameter */
    WAITS_MAX = 30,
    WAIT_MS = 300, /* the writer merges what waits after 200 ms without a write */
};

/* One version on its way out. */
struct erasing {
    const struct store_version *version;
    struct index_rows rows;
    size_t at; /* rows whose pieces were looked at in the commits before */
    size_t pieces;
    bool whole; /* all pieces are done: rows and body go too */
};

/* What goes is overwritten in its page, not only let go of (SQLite; PostgreSQL's vacuum does it in its own time). */
static bool set_overwriting(struct connection *connection, bool on, struct error *error)
{
    return !database_packs_rows(connection->database) ||
           database_run(connection->database, on ? "PRAGMA secure_delete=ON" : "PRAGMA secure_delete=OFF",
                        error);
}

static bool remove_pieces(struct erasing *erasing, struct writer *writer, struct error *error)
{
    size_t looked = 0;
    erasing->pieces = erasing->at;
    while (erasing->pieces < erasing->rows.count && looked < PIECES_TOGETHER) {
        const struct index_row *row = &erasing->rows.rows[erasing->pieces++];
        if (row->words && !words_remove(writer, row, erasing->version->seq, error)) {
            return false;
        }
        looked += row->words;
    }
    erasing->whole = erasing->pieces == erasing->rows.count;
    return true;
}

static bool remove_version(const struct erasing *erasing, struct connection *connection, struct error *error)
{
    uint64_t seq = erasing->version->seq;
    if (!version_sweep(connection, &erasing->rows, seq, error)) {
        return false;
    }
    struct statement *statement = connection_statement(connection, SQL_VERSION_ERASE, error);
    if (statement == NULL) {
        return false;
    }
    bind_key(statement, 1, seq);
    return statement_run(statement, error);
}

/* Pieces first, while the body still tells which there are: so a crash between two commits costs nothing. */
static bool apply(void *data, struct store_transaction *transaction, struct error *error)
{
    struct erasing *erasing = data;
    struct writer *writer = &transaction->store->writer;
    struct connection *connection = transaction->reader.connection;
    struct error ignored = { 0 };
    if (index_is_waiting(writer, erasing->version->seq)) {
        return FAIL(error, ERROR_BUSY, "its rows are not in the main index yet");
    }
    bool ok = set_overwriting(connection, true, error) && remove_pieces(erasing, writer, error) &&
              (!erasing->whole ||
               (remove_version(erasing, connection, error) &&
                view_forget(transaction->store, erasing->version->resource, erasing->version->type, error)));
    return set_overwriting(connection, false, ok ? error : &ignored) && ok;
}

static bool write_when_settled(struct store *store, struct erasing *erasing, struct error *error)
{
    const struct timespec wait = { .tv_nsec = WAIT_MS * 1000000L };
    struct error why = { 0 };
    for (int i = 0; i < WAITS_MAX; i++) {
        struct store_set set = { .apply = apply, .data = erasing, .repair = true };
        why = (struct error){ 0 };
        if (store_write_and_wait(store, &set, &why)) {
            return true;
        }
        if (why.kind != ERROR_BUSY) {
            break;
        }
        (void)nanosleep(&wait, NULL);
    }
    *error = why;
    return false;
}

static bool hash_body(const struct store_version *version, struct store_erased *erased, struct error *error)
{
    uint8_t digest[SHA256_BYTES];
    if (!hash_sha256(version->body, digest, error)) {
        return false;
    }
    for (size_t i = 0; i < SHA256_BYTES; i++) {
        (void)snprintf(erased->hash + 2 * i, 3, "%02x", digest[i]);
    }
    return true;
}

static bool erase_version(struct store *store, struct arena *arena, const struct store_version *version,
                          struct store_erased *erased, struct error *error)
{
    const struct store_options *options = &store->options;
    struct erasing erasing = { .version = version };
    struct str text = STR_NONE;
    if (!store_body_text(arena, version, &text, error) ||
        !options->index_rows(options->index_rows_data, arena, version->type, text, &erasing.rows, error) ||
        !hash_body(version, erased, error)) {
        return false;
    }
    while (!erasing.whole) {
        if (!write_when_settled(store, &erasing, error)) {
            return false;
        }
        erasing.at = erasing.pieces;
    }
    erased->versions++;
    return true;
}

static bool is_deleted(struct store_reader *reader, struct arena *arena, struct str type, struct str id,
                       struct error *error)
{
    struct store_version version = { 0 };
    return store_read_head(reader, arena, type, id, &version, error) &&
           (version.method == STORE_METHOD_DELETED ||
            FAIL(error, ERROR_CONFLICT, "only what was deleted can be erased"));
}

/* A page of versions, oldest first; those without a body are done already. */
static bool erase_page(struct store *store, struct store_history *history, struct store_page *page,
                       struct store_erased *erased, struct error *error)
{
    struct arena arena = { .bytes_max = LIMIT_BUNDLE_BYTES };
    struct store_reader *reader = NULL;
    bool ok = store_reader_begin(store, &reader, error) &&
              is_deleted(reader, &arena, history->type, history->id, error) &&
              store_read_history(reader, &arena, history, page, error);
    store_reader_end(reader);
    for (size_t i = 0; ok && i < page->count; i++) {
        const struct store_version *version = &page->versions[i];
        if (version->body.at != NULL) {
            ok = erase_version(store, &arena, version, erased, error);
        }
    }
    history->before_seq = page->next_seq;
    arena_deinit(&arena);
    return ok;
}

bool store_erase(struct store *store, struct str type, struct str id, struct store_erased *erased,
                 struct error *error)
{
    struct store_history history = { .type = type, .id = id, .oldest_first = true, .count = PAGE_VERSIONS };
    struct store_page page = { .more = true };
    assert(store->options.index_rows != NULL);
    *erased = (struct store_erased){ 0 };
    while (page.more) {
        if (!erase_page(store, &history, &page, erased, error)) {
            return false;
        }
    }
    return true;
}
