#include "store/upkeep.h"

#include <inttypes.h>

#include "base/parse.h"
#include "store/body.h"
#include "store/internal.h"
#include "store/read.h"

enum { SWEEP_COUNT = 200, REINDEX_COUNT = 200 };
enum {
    TRAIN_FROM =
        2000, /* bodies of a type, before a dictionary is tried; again when there are so many times more: */
    TRAIN_AGAIN = 16,
    TRAIN_SAMPLES = 2000,
    TRAIN_PAGE = 200,
};

#define AREA STR("index")

/* ---- sweeping ---- */

struct sweep {
    struct store *store;
    struct store_version *dead; /* versions that were followed */
    struct index_rows *rows;    /* beside them */
    size_t count;
    uint64_t swept; /* every version that was followed up to here has lost its rows */
};

static bool row_sweep(struct connection *connection, const struct index_row *row, uint64_t seq,
                      struct error *error)
{
    static const enum sql sweeping[] = { [INDEX_KEY] = SQL_SWEEP_KEY,
                                         [INDEX_TEXT] = SQL_SWEEP_TEXT,
                                         [INDEX_DATE] = SQL_SWEEP_DATE,
                                         [INDEX_NUMBER] = SQL_SWEEP_NUMBER };
    struct statement *statement = connection_statement(connection, sweeping[row->kind], error);
    if (statement == NULL) {
        return false;
    }
    bind_index_row(statement, row, seq);
    return statement_run_later(statement, error);
}

bool version_sweep(struct connection *connection, const struct index_rows *rows, uint64_t seq,
                   struct error *error)
{
    static const enum sql by_version[] = { SQL_ROWS_SET, SQL_SWEEP_TEXT_OF };
    for (size_t i = 0; i < rows->count; i++) {
        const struct index_row *row = &rows->rows[i];
        struct index_row older = *row; /* as programs before store version 7 stored it */
        older.key = row->whole;
        if (!row_sweep(connection, row, seq, error) ||
            (!row->derived && row->whole != 0 && !row_sweep(connection, &older, seq, error))) {
            return false;
        }
    }
    bool packed = database_packs_rows(connection->database);
    for (size_t i = 0; i < (packed ? 1 : sizeof by_version / sizeof *by_version); i++) {
        struct statement *statement = connection_statement(connection, by_version[i], error);
        if (statement == NULL) {
            return false;
        }
        bind_key(statement, 1, seq);
        for (int at = bind_count(statement); at > 1; at--) {
            bind_null(statement, at);
        }
        if (!statement_run_later(statement, error)) {
            return false;
        }
    }
    return true;
}

static bool sweep_apply(void *data, struct store_transaction *transaction, struct error *error)
{
    struct sweep *sweep = data;
    struct connection *connection = transaction->reader.connection;
    for (size_t i = 0; i < sweep->count; i++) {
        uint64_t seq = sweep->dead[i].seq;
        if (index_is_waiting(&transaction->store->writer, seq)) {
            return FAIL(error, ERROR_BUSY, "its rows are not in the main index yet");
        }
        if (!version_sweep(connection, &sweep->rows[i], seq, error)) {
            return false;
        }
    }
    struct statement *statement = connection_statement(connection, SQL_SWEPT_SET, error);
    if (statement == NULL) {
        return false;
    }
    bind_key(statement, 1, sweep->swept);
    return statement_run(statement, error);
}

/* The next versions that were followed at or before sequence number `until`, with their rows. */
static bool sweep_find(struct store_reader *reader, struct arena *arena, uint64_t until, struct sweep *sweep,
                       struct error *error)
{
    const struct store_options *options = &reader->store->options;
    struct statement *statement = connection_statement(reader->connection, SQL_SWEEP_NEXT, error);
    struct store_rows found = { 0 };
    if (statement == NULL) {
        return false;
    }
    bind_key(statement, 1, reader->swept);
    bind_key(statement, 2, until);
    bind_integer(statement, 3, SWEEP_COUNT);
    bool ok = rows_collect(arena, statement, 2, SWEEP_COUNT, &found, error);
    statement_reset(statement);
    sweep->swept = until;
    sweep->dead = ok ? ARENA_ARRAY(arena, struct store_version, found.rows_count + 1) : NULL;
    sweep->rows = ok ? ARENA_ARRAY(arena, struct index_rows, found.rows_count + 1) : NULL;
    if (sweep->dead == NULL || sweep->rows == NULL) {
        return ok ? FAIL(error, ERROR_TOO_LARGE, "request memory used up") : false;
    }
    for (size_t i = 0; ok && i < found.rows_count; i++) {
        struct store_version *dead = &sweep->dead[i];
        struct str text = STR_NONE;
        ok = version_read(reader, arena, (uint64_t)found.values[2 * i + 1].integer, false, dead, error);
        if (ok && dead->body.at != NULL) {
            ok = store_body_text(arena, dead, &text, error) &&
                 options->index_rows(options->index_rows_data, arena, dead->type, text, &sweep->rows[i],
                                     error);
        }
        sweep->count++;
        if (found.rows_count == SWEEP_COUNT) {
            sweep->swept = (uint64_t)found.values[2 * i].integer;
        }
    }
    return ok;
}

bool store_sweep(struct store *store, int64_t before_ms, bool *more, struct error *error)
{
    struct arena arena = { .bytes_max = LIMIT_REQUEST_ARENA_BYTES };
    struct sweep sweep = { .store = store };
    struct store_reader *reader = NULL;
    uint64_t until = 0;
    uint64_t before = 0;
    assert(store->options.index_rows != NULL);
    bool ok = store_reader_begin(store, &reader, error) && reader_numbers(reader, error);
    if (ok) {
        before = reader->swept;
        ok = store_seq_before(reader, before_ms, &until, error) &&
             (until <= before || sweep_find(reader, &arena, until, &sweep, error));
    }
    store_reader_end(reader);
    *more = ok && sweep.swept > before && sweep.count == SWEEP_COUNT;
    if (ok && sweep.swept > before) {
        struct store_set set = { .apply = sweep_apply, .data = &sweep, .repair = true };
        struct error why = { 0 };
        ok = store_write_and_wait(store, &set, &why);
        if (!ok && why.kind == ERROR_BUSY) { /* later */
            *more = false;
            ok = true;
        } else if (!ok && error != NULL) {
            *error = why;
        }
    }
    arena_deinit(&arena);
    return ok;
}

/* ---- indexing again ---- */

static bool number_get(struct store *store, struct arena *arena, struct str name, uint64_t *number,
                       bool *found, struct error *error)
{
    struct str text = STR_NONE;
    if (!store_setting_get(store, arena, AREA, name, &text, error)) {
        return false;
    }
    *found = text.at != NULL;
    return text.at == NULL || parse_uint64(text, UINT64_MAX, number) ||
           FAIL(error, ERROR_INTERNAL, "the index's settings are damaged");
}

static bool number_set(struct store *store, struct arena *arena, struct str name, uint64_t number,
                       struct error *error)
{
    return store_setting_set(store, AREA, name, arena_printf(arena, "%" PRIu64, number), error);
}

bool store_reindex_needed(struct store *store, uint64_t digest, bool *needed, struct error *error)
{
    struct arena arena = { .bytes_max = LIMIT_REQUEST_ARENA_BYTES };
    uint64_t own = 0;
    bool found = false;
    bool ok = number_get(store, &arena, STR("digest"), &own, &found, error);
    if (ok && !found && store_seq(store) == 0) {
        ok = number_set(store, &arena, STR("digest"), digest, error);
        own = digest;
    }
    *needed = ok && own != digest;
    arena_deinit(&arena);
    return ok;
}

/* A page of current versions with their rows, as refills. */
static bool refills_make(struct store_reader *reader, struct arena *arena, uint64_t after_seq,
                         struct store_page *page, struct store_set *set, struct error *error)
{
    const struct store_options *options = &reader->store->options;
    struct store_refill *refills = ARENA_ARRAY(arena, struct store_refill, REINDEX_COUNT);
    if (refills == NULL) {
        return FAIL(error, ERROR_TOO_LARGE, "request memory used up");
    }
    if (!store_read_feed(reader, arena, after_seq, STR_NONE, REINDEX_COUNT, false, page, error)) {
        return false;
    }
    for (size_t i = 0; i < page->count; i++) {
        const struct store_version *version = &page->versions[i];
        struct index_rows *rows = ARENA_NEW(arena, struct index_rows);
        struct str text = STR_NONE;
        if (version->ended_seq != 0 || version->body.at == NULL) {
            continue;
        }
        if (rows == NULL || !store_body_text(arena, version, &text, error) ||
            !options->index_rows(options->index_rows_data, arena, version->type, text, rows, error)) {
            return rows == NULL ? FAIL(error, ERROR_TOO_LARGE, "request memory used up") : false;
        }
        refills[set->refills_count] = (struct store_refill){ .seq = version->seq, .index = rows };
        set->refills_count++;
    }
    set->refills = refills;
    return true;
}

bool store_reindex(struct store *store, uint64_t digest, unsigned *per_mille, struct error *error)
{
    struct arena arena = { .bytes_max = LIMIT_REQUEST_ARENA_BYTES };
    struct store_reader *reader = NULL;
    struct store_page page = { 0 };
    struct store_set set = { .arena = &arena };
    uint64_t made_for = 0;
    uint64_t at = 0;
    bool found = false;
    assert(store->options.index_rows != NULL);
    /* Definitions that changed once more: from the beginning. */
    bool ok = number_get(store, &arena, STR("reindex_digest"), &made_for, &found, error) &&
              number_get(store, &arena, STR("reindex_seq"), &at, &found, error);
    if (ok && made_for != digest) {
        at = 0;
        ok = number_set(store, &arena, STR("reindex_seq"), 0, error) &&
             number_set(store, &arena, STR("reindex_digest"), digest, error);
    }
    ok = ok && store_reader_begin(store, &reader, error) && reader_numbers(reader, error);
    ok = ok && refills_make(reader, &arena, at, &page, &set, error);
    uint64_t last = reader == NULL ? 0 : reader->seq;
    store_reader_end(reader);
    /* First the rows, then the place: a crash in between gives them once more, which changes nothing. */
    ok = ok && (set.refills_count == 0 || store_write_and_wait(store, &set, error));
    if (ok && page.more) {
        ok = number_set(store, &arena, STR("reindex_seq"), page.next_seq, error);
        *per_mille = (unsigned)(page.next_seq * 999 / (last == 0 ? 1 : last));
    } else if (ok) {
        ok = number_set(store, &arena, STR("digest"), digest, error);
        *per_mille = 1000;
    }
    arena_deinit(&arena);
    return ok;
}

/* ---- dictionaries ---- */

/* Versions of a type, counted up to `most`. */
static bool type_count(struct store_reader *reader, uint32_t type, uint64_t most, uint64_t *count,
                       struct error *error)
{
    struct statement *statement = connection_statement(reader->connection, SQL_TYPE_COUNT_UP_TO, error);
    if (statement == NULL) {
        return false;
    }
    bind_integer(statement, 1, type);
    bind_key(statement, 2, most);
    enum step step = statement_step(statement, error);
    *count = step == STEP_ROW ? column_key(statement, 0) : 0;
    statement_reset(statement);
    return step == STEP_ROW;
}

/* A type for which it is time; absent when there is none. */
static bool type_due(struct store *store, struct arena *arena, struct str *due, uint64_t *count,
                     struct error *error)
{
    struct store_reader *reader = NULL;
    bool ok = store_reader_begin(store, &reader, error);
    size_t types = atomic_load_explicit(&store->types_count, memory_order_acquire);
    for (uint32_t number = 1; ok && due->at == NULL && number <= types; number++) {
        struct str type = store_type_name(store, number);
        struct str name = arena_concat(arena, STR("trained_"), type);
        uint64_t tried = 0;
        bool found = false;
        ok = number_get(store, arena, name, &tried, &found, error);
        uint64_t from = found ? tried * TRAIN_AGAIN : TRAIN_FROM;
        ok = ok && type_count(reader, number, from, count, error);
        *due = ok && *count >= from ? type : STR_NONE;
    }
    store_reader_end(reader);
    return ok;
}

static bool samples_read(struct store *store, struct arena *arena, struct str type, struct str *samples,
                         size_t *count, struct error *error)
{
    struct store_history history = { .type = type, .count = TRAIN_PAGE };
    struct store_page page = { .more = true };
    struct store_reader *reader = NULL;
    bool ok = store_reader_begin(store, &reader, error);
    while (ok && page.more && *count + TRAIN_PAGE <= TRAIN_SAMPLES) {
        ok = store_read_history(reader, arena, &history, &page, error);
        for (size_t i = 0; ok && i < page.count; i++) {
            samples[*count] = page.versions[i].body;
            *count += page.versions[i].body.at != NULL ? 1 : 0;
        }
        history.before_seq = page.next_seq;
    }
    store_reader_end(reader);
    return ok;
}

struct trained {
    uint32_t id;
    struct str type;
    struct str bytes;
    int64_t now_ms;
};

static bool dictionary_apply(void *data, struct store_transaction *transaction, struct error *error)
{
    const struct trained *trained = data;
    struct statement *statement =
        connection_statement(transaction->reader.connection, SQL_DICTIONARY_ADD, error);
    if (statement == NULL) {
        return false;
    }
    bind_integer(statement, 1, trained->id);
    bind_text(statement, 2, trained->type);
    bind_integer(statement, 3, trained->now_ms);
    bind_bytes(statement, 4, trained->bytes);
    return statement_run(statement, error);
}

bool store_train(struct store *store, bool *more, struct error *error)
{
    struct arena arena = { .bytes_max = LIMIT_REQUEST_ARENA_BYTES };
    struct trained trained = { .id = codec_next_id(&store->codec), .now_ms = store->now_ms() };
    struct str *samples = ARENA_ARRAY(&arena, struct str, TRAIN_SAMPLES);
    size_t samples_count = 0;
    uint64_t count = 0;
    bool ok = samples != NULL || FAIL(error, ERROR_BUSY, "out of memory; try again");
    ok = ok && type_due(store, &arena, &trained.type, &count, error);
    *more = ok && trained.type.at != NULL;
    if (*more) {
        ok = samples_read(store, &arena, trained.type, samples, &samples_count, error) &&
             codec_train(&store->codec, &arena, trained.id, trained.type, samples, samples_count,
                         &trained.bytes, error);
        /* Kept before it is used: no frame names a dictionary that could be lost. */
        if (ok && trained.bytes.at != NULL) {
            ok = store_apply_and_wait(store, dictionary_apply, &trained, STR_NONE, error) &&
                 codec_add_dictionary(&store->codec, trained.id, trained.type, trained.bytes, error);
        }
        ok = ok &&
             number_set(store, &arena, arena_concat(&arena, STR("trained_"), trained.type), count, error);
    }
    arena_deinit(&arena);
    return ok;
}
