/* version_columns.c — the new versions of a group as columns: one statement for all rows of `version`, one for those of
 * `resource` and one for the pieces of text (words.c), each with an array a column. The way of PostgreSQL, where a statement of its own for each row costs more than
 * the row. They wait until the transaction is asked something or commits; their texts are the sets', which live until they
 * are answered. */
#include "base/memory.h"
#include "store/internal.h"
#include "store/version_rows.h"

struct version_row {
    int64_t seq;
    int64_t resource;
    int64_t version;
    int64_t type;
    int64_t method;
    int64_t updated_ms;
    int64_t custodian;
    int64_t author;
    struct version_rows_part index; /* its rows by version */
    struct str id;
    struct str body;
    bool is_first; /* its resource is new too */
};

enum { GRAMS_MAX = 512, PIECES_MAX = 2000 }; /* of a piece; that are sent together */

struct pieces {
    int64_t keys[PIECES_MAX];
    struct str texts[PIECES_MAX];
    size_t count;
    int64_t *grams; /* of all of them, beside the keys that have them */
    int64_t *gram_keys;
    size_t grams_count;
    size_t grams_capacity;
};

struct version_rows {
    struct pieces pieces;
    struct version_rows_columns index;
    struct version_row *rows;
    size_t count;
    size_t capacity;
    /* A column at a time, as the statement wants it. */
    int64_t *integers;
    struct str *texts;
};

static bool rows_grow(struct version_rows *rows)
{
    size_t capacity = rows->capacity == 0 ? 64 : 2 * rows->capacity;
    struct version_row *grown = memory_resize(rows->rows, capacity * sizeof *grown);
    rows->rows = grown == NULL ? rows->rows : grown;
    int64_t *integers = grown == NULL ? NULL : memory_resize(rows->integers, capacity * sizeof *integers);
    rows->integers = integers == NULL ? rows->integers : integers;
    struct str *texts = integers == NULL ? NULL : memory_resize(rows->texts, capacity * sizeof *texts);
    rows->texts = texts == NULL ? rows->texts : texts;
    rows->capacity = texts == NULL ? rows->capacity : capacity;
    return texts != NULL;
}

static struct version_rows *rows_of(struct writer *writer, struct error *error)
{
    if (writer->versions == NULL) {
        writer->versions = MEMORY_NEW(struct version_rows);
    }
    if (writer->versions == NULL) {
        (void)FAIL(error, ERROR_BUSY, "out of memory; try again");
    }
    return writer->versions;
}

bool versions_remember(struct writer *writer, const struct store_write *write, struct version_place place,
                       struct error *error)
{
    struct version_rows *rows = rows_of(writer, error);
    if (rows == NULL) {
        return false;
    }
    if (rows->count == rows->capacity && !rows_grow(rows)) {
        return FAIL(error, ERROR_BUSY, "out of memory; try again");
    }
    bool deleted = write->result.method == STORE_METHOD_DELETED;
    struct version_rows_part index;
    if (!version_rows_add(&rows->index, write->index, &index, error)) {
        return false;
    }
    rows->rows[rows->count] = (struct version_row){ .seq = (int64_t)write->result.seq,
                                                    .resource = (int64_t)place.key,
                                                    .version = (int64_t)write->result.version,
                                                    .type = place.type,
                                                    .method = write->result.method,
                                                    .updated_ms = write->result.updated_ms,
                                                    .custodian = (int64_t)place.custodian,
                                                    .author = (int64_t)write->author,
                                                    .index = index,
                                                    .id = write->id,
                                                    .body = deleted ? STR_NONE : write->packed,
                                                    .is_first = place.is_first };
    rows->count++;
    return true;
}

static void bind_column(struct statement *statement, int at, struct version_rows *rows, size_t offset)
{
    for (size_t i = 0; i < rows->count; i++) {
        memcpy(&rows->integers[i], (const char *)&rows->rows[i] + offset, sizeof *rows->integers);
    }
    bind_integers(statement, at, rows->integers, rows->count);
}

static bool versions_add(struct writer *writer, struct version_rows *rows, struct error *error)
{
    static const size_t offsets[] = { offsetof(struct version_row, seq),
                                      offsetof(struct version_row, resource),
                                      offsetof(struct version_row, version),
                                      offsetof(struct version_row, type),
                                      offsetof(struct version_row, method),
                                      offsetof(struct version_row, updated_ms),
                                      offsetof(struct version_row, custodian),
                                      offsetof(struct version_row, author),
                                      offsetof(struct version_row, index.references_from),
                                      offsetof(struct version_row, index.references_to),
                                      offsetof(struct version_row, index.dates_from),
                                      offsetof(struct version_row, index.dates_to),
                                      offsetof(struct version_row, index.numbers_from),
                                      offsetof(struct version_row, index.numbers_to),
                                      offsetof(struct version_row, index.numbers_wide) };
    struct statement *statement = connection_statement(&writer->connection, SQL_VERSIONS_ADD, error);
    int at = 1;
    if (statement == NULL) {
        return false;
    }
    for (size_t i = 0; i < sizeof offsets / sizeof *offsets; i++) {
        bind_column(statement, at++, rows, offsets[i]);
    }
    for (size_t i = 0; i < rows->count; i++) {
        rows->texts[i] = rows->rows[i].id;
    }
    bind_texts(statement, at++, rows->texts, rows->count);
    for (size_t i = 0; i < rows->count; i++) {
        rows->texts[i] = rows->rows[i].body;
    }
    bind_blobs(statement, at++, rows->texts, rows->count);
    version_rows_bind(statement, at, &rows->index);
    return statement_run_later(statement, error);
}

static bool resources_add(struct writer *writer, struct version_rows *rows, struct error *error)
{
    size_t count = 0;
    for (size_t i = 0; i < rows->count; i++) { /* what is sent already: only new resources are left */
        if (rows->rows[i].is_first) {
            rows->rows[count++] = rows->rows[i];
        }
    }
    rows->count = count;
    struct statement *statement =
        count == 0 ? NULL : connection_statement(&writer->connection, SQL_RESOURCES_ADD, error);
    if (statement == NULL) {
        return count == 0;
    }
    bind_column(statement, 1, rows, offsetof(struct version_row, resource));
    bind_column(statement, 2, rows, offsetof(struct version_row, seq));
    return statement_run_later(statement, error);
}

static bool pieces_grow(struct pieces *pieces)
{
    size_t capacity = pieces->grams_capacity == 0 ? (size_t)2 * GRAMS_MAX : 2 * pieces->grams_capacity;
    int64_t *grams = memory_resize(pieces->grams, capacity * sizeof *grams);
    pieces->grams = grams == NULL ? pieces->grams : grams;
    int64_t *keys = grams == NULL ? NULL : memory_resize(pieces->gram_keys, capacity * sizeof *keys);
    pieces->gram_keys = keys == NULL ? pieces->gram_keys : keys;
    pieces->grams_capacity = keys == NULL ? pieces->grams_capacity : capacity;
    return keys != NULL;
}

static bool pieces_flush(struct writer *writer, struct pieces *pieces, struct error *error)
{
    if (pieces->count == 0) {
        return true;
    }
    struct statement *statement = connection_statement(&writer->connection, SQL_WORDS_ADD, error);
    if (statement == NULL) {
        return false;
    }
    bind_integers(statement, 1, pieces->keys, pieces->count);
    bind_texts(statement, 2, pieces->texts, pieces->count);
    bind_integers(statement, 3, pieces->grams, pieces->grams_count);
    bind_integers(statement, 4, pieces->gram_keys, pieces->grams_count);
    pieces->count = 0;
    pieces->grams_count = 0;
    return statement_run_later(statement, error);
}

bool pieces_remember(struct writer *writer, const struct index_row *row, struct error *error)
{
    struct version_rows *rows = rows_of(writer, error);
    if (rows == NULL) {
        return false;
    }
    struct pieces *pieces = &rows->pieces;
    if (pieces->count == PIECES_MAX && !pieces_flush(writer, pieces, error)) {
        return false;
    }
    if (pieces->grams_count + GRAMS_MAX > pieces->grams_capacity && !pieces_grow(pieces)) {
        return FAIL(error, ERROR_BUSY, "out of memory; try again");
    }
    struct index_gram grams[GRAMS_MAX];
    size_t count = index_grams(row->text, grams, GRAMS_MAX);
    for (size_t i = 0; i < count; i++) {
        pieces->grams[pieces->grams_count] = (int64_t)grams[i].first;
        pieces->gram_keys[pieces->grams_count] = (int64_t)row->key;
        pieces->grams_count++;
    }
    pieces->keys[pieces->count] = (int64_t)row->key;
    pieces->texts[pieces->count] = row->text;
    pieces->count++;
    return true;
}

bool versions_flush(struct writer *writer, struct error *error)
{
    struct version_rows *rows = writer->versions;
    if (rows == NULL || (rows->count == 0 && rows->pieces.count == 0)) {
        return true;
    }
    bool ok = (rows->count == 0 || versions_add(writer, rows, error)) && resources_add(writer, rows, error) &&
              pieces_flush(writer, &rows->pieces, error);
    rows->count = 0;
    version_rows_clear(&rows->index);
    if (ok) {
        database_send(writer->connection.database);
    }
    return ok;
}

void versions_forget(struct writer *writer)
{
    if (writer->versions != NULL) {
        writer->versions->count = 0;
        version_rows_clear(&writer->versions->index);
        writer->versions->pieces.count = 0;
        writer->versions->pieces.grams_count = 0;
    }
}

void versions_end(struct writer *writer)
{
    struct version_rows *rows = writer->versions;
    if (rows != NULL) {
        version_rows_free(&rows->index);
        memory_free(rows->rows);
        memory_free(rows->integers);
        memory_free(rows->texts);
        memory_free(rows->pieces.grams);
        memory_free(rows->pieces.gram_keys);
        memory_free(rows);
        writer->versions = NULL;
    }
}
