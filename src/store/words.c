/* words.c — the pieces of text that searches look into (_text, _content, :text, :contains of long strings): each is kept
 * once, however many resources have it, beside its grams (fhir/index.h). A KEY row, (parameter, key of the piece, seq),
 * says which version has it. Pieces are stored with the version, not when its index rows are: they are few, most are
 * there already, and a row that waits in memory must find its piece. */
#include "store/internal.h"

enum { GRAMS_MAX = 512 };

static bool piece_is_known(struct connection *connection, uint64_t key, bool *known, struct error *error)
{
    struct statement *statement = connection_statement(connection, SQL_WORDS_HAS, error);
    if (statement == NULL) {
        return false;
    }
    bind_key(statement, 1, key);
    enum step step = statement_step(statement, error);
    *known = step == STEP_ROW;
    statement_reset(statement);
    return step != STEP_FAILED;
}

static bool piece_add(struct connection *connection, const struct index_row *row, struct error *error)
{
    struct index_gram grams[GRAMS_MAX];
    size_t count = index_grams(row->text, grams, GRAMS_MAX);
    struct statement *statement = connection_statement(connection, SQL_WORDS_ADD, error);
    if (statement == NULL) {
        return false;
    }
    bind_key(statement, 1, row->key);
    bind_text(statement, 2, row->text);
    if (!statement_run(statement, error)) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        statement = connection_statement(connection, SQL_GRAM_ADD, error);
        if (statement == NULL) {
            return false;
        }
        bind_key(statement, 1, grams[i].first);
        bind_key(statement, 2, row->key);
        if (!statement_run(statement, error)) {
            return false;
        }
    }
    return true;
}

/* Where a look is an answer to wait for, without one. */
static bool piece_put(struct writer *writer, const struct index_row *row, struct error *error)
{
    struct connection *connection = &writer->connection;
    bool known = false;
    if (!database_has_runs(connection->database)) {
        return pieces_remember(writer, row, error);
    }
    return piece_is_known(connection, row->key, &known, error) &&
           (known || piece_add(connection, row, error));
}

/* Those met of late are known without the database. */
bool words_add(struct writer *writer, const struct index_rows *index, struct error *error)
{
    for (size_t i = 0; index != NULL && i < index->count; i++) {
        const struct index_row *row = &index->rows[i];
        uint64_t *known = &writer->pieces_known[row->key & (STORE_PIECES_KNOWN - 1)];
        if (!row->words || *known == row->key) {
            continue;
        }
        if (!piece_put(writer, row, error)) {
            return false;
        }
        *known = row->key; /* a rollback forgets all */
    }
    return true;
}

static bool drop(struct connection *connection, enum sql which, uint64_t first, uint64_t second,
                 struct error *error)
{
    struct statement *statement = connection_statement(connection, which, error);
    if (statement == NULL) {
        return false;
    }
    bind_key(statement, 1, first);
    if (which == SQL_GRAM_DROP) {
        bind_key(statement, 2, second);
    }
    return statement_run(statement, error);
}

bool words_remove(struct writer *writer, const struct index_row *row, uint64_t seq, struct error *error)
{
    struct index_gram grams[GRAMS_MAX];
    struct connection *connection = &writer->connection;
    struct statement *statement = connection_statement(connection, SQL_PIECE_NAMED, error);
    if (statement == NULL) {
        return false;
    }
    bind_key(statement, 1, row->key);
    bind_key(statement, 2, seq);
    enum step step = statement_step(statement, error);
    statement_reset(statement);
    if (step != STEP_DONE) {
        return step == STEP_ROW;
    }
    size_t count = index_grams(row->text, grams, GRAMS_MAX);
    for (size_t i = 0; i < count; i++) {
        if (!drop(connection, SQL_GRAM_DROP, grams[i].first, row->key, error)) {
            return false;
        }
    }
    writer->pieces_known[row->key & (STORE_PIECES_KNOWN - 1)] = 0;
    return drop(connection, SQL_WORDS_DROP, row->key, 0, error);
}
