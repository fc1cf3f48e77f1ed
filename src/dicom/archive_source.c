/* archive_source.c — where the instances of a study came from. What another source than the first sends into a study is in
 * the index and hidden, so that nobody who may see the study sees it before a person has decided (domain b5). */
#include "dicom/archive_sql.h"

static void bind_key(sqlite3_stmt *statement, const struct archive_source_key *key)
{
    archive_sql_bind_text(statement, 1, key->study);
    archive_sql_bind_text(statement, 2, key->organization);
    archive_sql_bind_text(statement, 3, key->patient_id);
}

/* Two numbers of the one row, if there is one. */
static bool find_row(struct archive_connection *connection, enum archive_statement which,
                     const struct archive_source_key *key, bool *has_row, int64_t numbers[2],
                     struct error *error)
{
    sqlite3_stmt *statement = archive_sql_statement(connection, which, error);
    if (statement == NULL) {
        return false;
    }
    bind_key(statement, key);
    int result = sqlite3_step(statement);
    *has_row = result == SQLITE_ROW;
    for (int i = 0; *has_row && i < 2 && i < sqlite3_column_count(statement); i++) {
        numbers[i] = sqlite3_column_int64(statement, i);
    }
    bool ok = result == SQLITE_ROW || result == SQLITE_DONE || archive_sql_fail(connection->database, error);
    archive_sql_finish(statement);
    return ok;
}

bool archive_index_find_source(struct archive_connection *connection, const struct archive_source_key *key,
                               struct archive_source_found *found, struct error *error)
{
    int64_t numbers[2] = { 0 };
    bool has_source = false;
    *found = (struct archive_source_found){ 0 };
    if (!find_row(connection, ARCHIVE_SQL_FIND_FIRST, key, &found->has_study, numbers, error)) {
        return false;
    }
    found->is_first = found->has_study && numbers[0] != 0;
    if (found->is_first || !found->has_study) {
        return true;
    }
    numbers[0] = 0;
    if (!find_row(connection, ARCHIVE_SQL_FIND_SOURCE, key, &has_source, numbers, error)) {
        return false;
    }
    found->number = numbers[0];
    found->verdict = (int)numbers[1];
    return true;
}

struct step {
    enum archive_statement statement;
    int64_t second; /* what is bound beside the study */
    int64_t third;
};

static bool run_step(struct archive_connection *connection, struct str study, const struct step *step,
                     struct error *error)
{
    sqlite3_stmt *statement = archive_sql_statement(connection, step->statement, error);
    if (statement == NULL) {
        return false;
    }
    int count = sqlite3_bind_parameter_count(statement);
    if (step->statement == ARCHIVE_SQL_SET_VERDICT) {
        archive_sql_bind_number(statement, 1, (uint64_t)step->second);
        archive_sql_bind_number(statement, 2, (uint64_t)step->third);
        return archive_sql_run(connection, statement, error);
    }
    archive_sql_bind_text(statement, 1, study);
    if (count > 1) {
        archive_sql_bind_number(statement, 2, (uint64_t)step->second);
    }
    if (count > 2) {
        archive_sql_bind_number(statement, 3, (uint64_t)step->third);
    }
    return archive_sql_run(connection, statement, error);
}

static bool decide_inside(struct archive_connection *connection, const struct archive_decision *decision,
                          struct error *error)
{
    const struct archive_source_key key = { decision->study, decision->organization, decision->patient_id };
    struct archive_source_found found;
    enum { DUE_AT_ONCE_MS = 1 };
    if (!archive_index_find_source(connection, &key, &found, error)) {
        return false;
    }
    if (!found.is_first && found.number == 0) {
        return FAIL(error, ERROR_NOT_FOUND, "nobody sent such images into the study");
    }
    if (found.is_first ? decision->verdict == ARCHIVE_FIRST : found.verdict == (int)decision->verdict) {
        return true;
    }
    if (found.is_first) {
        return FAIL(error, ERROR_RULE, "the images are those that the study began with");
    }
    const struct step first[] = { { ARCHIVE_SQL_SWAP_ADD, 0, 0 },
                                  { ARCHIVE_SQL_SWAP_LEAVE, 0, 0 },
                                  { ARCHIVE_SQL_SWAP_ENTER, found.number, 0 },
                                  { ARCHIVE_SQL_SWAP_STUDY, found.number, 0 },
                                  { ARCHIVE_SQL_SWAP_DROP, found.number, 0 },
                                  { ARCHIVE_SQL_COUNT_SERIES, 0, 0 },
                                  { ARCHIVE_SQL_COUNT_STUDY, DUE_AT_ONCE_MS, 0 } };
    const struct step other[] = { { ARCHIVE_SQL_SET_VERDICT, found.number, decision->verdict },
                                  { ARCHIVE_SQL_SHOW_SOURCE, found.number,
                                    decision->verdict == ARCHIVE_RELEASED ? 0 : 1 },
                                  { ARCHIVE_SQL_COUNT_SERIES, 0, 0 },
                                  { ARCHIVE_SQL_COUNT_STUDY, DUE_AT_ONCE_MS, 0 } };
    bool swaps = decision->verdict == ARCHIVE_FIRST;
    const struct step *steps = swaps ? first : other;
    size_t count = swaps ? sizeof first / sizeof *first : sizeof other / sizeof *other;
    bool ok = true;
    for (size_t i = 0; ok && i < count; i++) {
        ok = run_step(connection, decision->study, &steps[i], error);
    }
    return ok;
}

bool archive_index_decide(struct archive_index *index, const struct archive_decision *decision,
                          struct error *error)
{
    struct archive_connection *connection = &index->writer;
    struct error ignored = { 0 };
    (void)pthread_mutex_lock(&connection->lock);
    bool ok = archive_sql_run_plain(connection, ARCHIVE_SQL_BEGIN, error);
    if (ok) {
        ok = decide_inside(connection, decision, error) &&
             archive_sql_run_plain(connection, ARCHIVE_SQL_COMMIT, error);
        if (!ok) {
            (void)archive_sql_run_plain(connection, ARCHIVE_SQL_ROLLBACK, &ignored);
        }
    }
    (void)pthread_mutex_unlock(&connection->lock);
    return ok;
}
