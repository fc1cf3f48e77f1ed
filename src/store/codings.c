/* codings.c — what the store knows of codings. A code is asked for alone, with its system, or by the system alone; three rows
 * for each coding of each resource would say so. Only that of the whole coding is stored (fhir/index.h, derived rows): the
 * table `coding` leads from the key of a code or a system alone to the keys of the whole codings that were met with it, each
 * pair once, whatever parameters and resources have it. A search asks for those (search_codings.c).
 *
 * Pairs are stored with the version and stay, as pieces of text do (words.c): a pair that no row needs costs a look. */
#include "base/hash.h"
#include "store/internal.h"

bool codings_add(struct writer *writer, const struct index_rows *index, struct error *error)
{
    bool ok = true;
    for (size_t i = 0; ok && index != NULL && i < index->count; i++) {
        const struct index_row *row = &index->rows[i];
        if (!row->derived || row->whole == 0) {
            continue;
        }
        size_t at = (size_t)hash64_combine(row->key, row->whole) & (STORE_CODINGS_KNOWN - 1);
        struct coding_pair *known = &writer->codings_known[at];
        if (known->brief == row->key && known->whole == row->whole) {
            continue;
        }
        struct statement *statement = connection_statement(&writer->connection, SQL_CODING_ADD, error);
        ok = statement != NULL;
        if (ok) {
            bind_key(statement, 1, row->key);
            bind_key(statement, 2, row->whole);
            ok = statement_run_later(statement, error);
        }
        if (ok) { /* a rollback forgets all */
            *known = (struct coding_pair){ row->key, row->whole };
        }
    }
    return ok;
}

bool coding_exists(struct store_reader *reader, const struct index_row *row, bool *exists,
                   struct error *error)
{
    struct statement *statement = connection_statement(reader->connection, SQL_CODING_HAS, error);
    if (statement == NULL) {
        return false;
    }
    bind_key(statement, 1, row->key);
    bind_key(statement, 2, row->whole);
    enum step step = statement_step(statement, error);
    *exists = step == STEP_ROW;
    statement_reset(statement);
    return step != STEP_FAILED;
}
