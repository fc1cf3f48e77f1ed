/* archive_index.c — the index of the image archive, an SQLite file of its own beside the pack files. It is a
 * cache: its commits are not synced (a power cut may lose the last of them, never damage it), and what it
 * lost is read again from the packs. So an image costs one sync, that of its pack, and the writer of the
 * store is not in its way. */
#include "dicom/archive_sql.h"

#include <stdio.h>

#include "base/clock.h"

static bool open_both(struct archive_index *index, const char *path, struct error *error)
{
    if (!archive_sql_open(&index->writer, path, error)) {
        return false;
    }
    return archive_sql_make_tables(&index->writer, error) && archive_sql_open(&index->reader, path, error) &&
           archive_sql_open(&index->query, path, error);
}

bool archive_index_open(struct arena *arena, const char *folder, struct archive_index **index,
                        struct error *error)
{
    char path[1200];
    int len = snprintf(path, sizeof path, "%s/index.sqlite", folder);
    struct archive_index *made = ARENA_NEW(arena, struct archive_index);
    if (made == NULL || len < 0 || (size_t)len >= sizeof path) {
        return FAIL(error, ERROR_INPUT, "the path of the image archive is too long");
    }
    if (!open_both(made, path, error)) {
        int code = sqlite3_errcode(made->writer.database);
        archive_index_close(made);
        if (code != SQLITE_CORRUPT && code != SQLITE_NOTADB) {
            return false;
        }
        /* Damaged: put aside, made anew from the packs by archive_open. */
        char aside[1300];
        (void)snprintf(aside, sizeof aside, "%s.damaged", path);
        if (rename(path, aside) != 0 || !open_both(made, path, error)) {
            archive_index_close(made);
            return false;
        }
    }
    *index = made;
    return true;
}

void archive_index_close(struct archive_index *index)
{
    if (index != NULL) {
        archive_sql_close(&index->query);
        archive_sql_close(&index->reader);
        archive_sql_close(&index->writer);
    }
}

/* ---- writing ---- */

static bool known_inside(struct archive_connection *connection, struct str sop,
                         const uint8_t hash[SHA256_BYTES], enum archive_known *known, struct error *error)
{
    sqlite3_stmt *statement = archive_sql_statement(connection, ARCHIVE_SQL_FIND_HASH, error);
    if (statement == NULL) {
        return false;
    }
    archive_sql_bind_text(statement, 1, sop);
    int result = sqlite3_step(statement);
    if (result == SQLITE_ROW) {
        bool is_same = sqlite3_column_bytes(statement, 0) == SHA256_BYTES &&
                       memcmp(sqlite3_column_blob(statement, 0), hash, SHA256_BYTES) == 0;
        *known = is_same ? ARCHIVE_SAME : ARCHIVE_OTHER;
    } else {
        *known = ARCHIVE_UNKNOWN;
    }
    bool ok = result == SQLITE_ROW || result == SQLITE_DONE || archive_sql_fail(connection->database, error);
    archive_sql_finish(statement);
    return ok;
}

bool archive_index_known(struct archive_index *index, struct str sop, const uint8_t hash[SHA256_BYTES],
                         enum archive_known *known, struct error *error)
{
    struct archive_connection *connection = &index->reader;
    (void)pthread_mutex_lock(&connection->lock);
    bool ok = known_inside(connection, sop, hash, known, error);
    (void)pthread_mutex_unlock(&connection->lock);
    return ok;
}

bool archive_index_check_series(struct archive_index *index, struct str series, struct str study,
                                struct error *error)
{
    struct archive_connection *connection = &index->reader;
    bool ok = false;
    (void)pthread_mutex_lock(&connection->lock);
    sqlite3_stmt *statement = archive_sql_statement(connection, ARCHIVE_SQL_FIND_SERIES_STUDY, error);
    if (statement == NULL) {
        goto done;
    }
    archive_sql_bind_text(statement, 1, series);
    int result = sqlite3_step(statement);
    if (result == SQLITE_ROW) {
        struct str known = { (const char *)sqlite3_column_text(statement, 0),
                             (size_t)sqlite3_column_bytes(statement, 0) };
        ok = str_equal(known, study) ||
             FAIL(error, ERROR_INPUT, "the series belongs to another study than the instance says");
    } else {
        ok = result == SQLITE_DONE || archive_sql_fail(connection->database, error);
    }
    archive_sql_finish(statement);
done:
    (void)pthread_mutex_unlock(&connection->lock);
    return ok;
}

static bool insert_instance(struct archive_connection *connection, const struct archive_facts *facts,
                            struct error *error)
{
    sqlite3_stmt *statement = archive_sql_statement(connection, ARCHIVE_SQL_INSERT_INSTANCE, error);
    if (statement == NULL) {
        return false;
    }
    archive_sql_bind_text(statement, 1, facts->sop);
    archive_sql_bind_text(statement, 2, facts->study);
    archive_sql_bind_text(statement, 3, facts->series);
    archive_sql_bind_text(statement, 4, facts->class_uid);
    archive_sql_bind_text(statement, 5, facts->syntax);
    archive_sql_bind_number(statement, 6, facts->offset);
    archive_sql_bind_number(statement, 7, facts->bytes);
    archive_sql_bind_number(statement, 8, facts->header_bytes);
    archive_sql_bind_number(statement, 9, facts->frame_offset);
    archive_sql_bind_number(statement, 10, facts->frame_bytes);
    archive_sql_bind_number(statement, 11, (uint64_t)facts->frames);
    archive_sql_bind_number(statement, 12, (uint64_t)facts->number);
    (void)sqlite3_bind_blob(statement, 13, facts->hash, SHA256_BYTES, SQLITE_STATIC);
    archive_sql_bind_number(statement, 14, (uint64_t)facts->rows);
    archive_sql_bind_number(statement, 15, (uint64_t)facts->columns);
    archive_sql_bind_number(statement, 16, (uint64_t)facts->bits);
    archive_sql_bind_number(statement, 17, (uint64_t)facts->received_ms);
    archive_sql_bind_number(statement, 18, (uint64_t)facts->source);
    archive_sql_bind_number(statement, 19, facts->is_hidden ? 1 : 0);
    return archive_sql_run(connection, statement, error);
}

static bool add_to_series(struct archive_connection *connection, const struct archive_facts *facts,
                          struct error *error)
{
    sqlite3_stmt *statement = archive_sql_statement(connection, ARCHIVE_SQL_ADD_TO_SERIES, error);
    if (statement == NULL) {
        return false;
    }
    const struct str texts[] = { facts->series,
                                 facts->study,
                                 facts->modality,
                                 facts->series_number,
                                 facts->series_description,
                                 facts->body_part,
                                 facts->series_date,
                                 facts->series_time,
                                 facts->laterality,
                                 facts->manufacturer,
                                 facts->model,
                                 facts->station,
                                 facts->kernel,
                                 str_from_cstr(facts->pack) };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        archive_sql_bind_text(statement, (int)i + 1, texts[i]);
    }
    archive_sql_bind_number(statement, 15, facts->offset + facts->bytes);
    archive_sql_bind_number(statement, 16, facts->is_hidden ? 0 : 1);
    return archive_sql_run(connection, statement, error);
}

/* The study's columns from `uid` on. */
static void bind_study(sqlite3_stmt *statement, const struct archive_facts *facts)
{
    /* Date and time are never NULL: they order the answers. */
    struct str date = facts->study_date.at == NULL ? STR("") : facts->study_date;
    struct str time = facts->study_time.at == NULL ? STR("") : facts->study_time;
    const struct str texts[] = { facts->study,
                                 facts->patient_name,
                                 facts->patient_id,
                                 facts->issuer,
                                 facts->birth_date,
                                 facts->sex,
                                 facts->accession,
                                 facts->study_id,
                                 date,
                                 time,
                                 facts->study_description,
                                 facts->referring,
                                 facts->institution,
                                 facts->timezone,
                                 facts->organization };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        archive_sql_bind_text(statement, (int)i + 1, texts[i]);
    }
}

static bool add_to_study(struct archive_connection *connection, const struct archive_facts *facts,
                         int64_t due_ms, struct error *error)
{
    sqlite3_stmt *statement = archive_sql_statement(connection, ARCHIVE_SQL_ADD_TO_STUDY, error);
    if (statement == NULL) {
        return false;
    }
    bind_study(statement, facts);
    archive_sql_bind_number(statement, 16, (uint64_t)due_ms);
    archive_sql_bind_number(statement, 17, facts->is_hidden ? 0 : 1);
    return archive_sql_run(connection, statement, error);
}

static bool add_source(struct archive_connection *connection, struct archive_facts *facts,
                       struct error *error)
{
    sqlite3_stmt *statement = archive_sql_statement(connection, ARCHIVE_SQL_ADD_SOURCE, error);
    if (statement == NULL) {
        return false;
    }
    bind_study(statement, facts);
    facts->is_hidden = true;
    bool ok = archive_sql_run(connection, statement, error);
    facts->source = ok ? sqlite3_last_insert_rowid(connection->database) : 0;
    return ok;
}

/* Where the instance comes from, and whether it is shown. */
static bool find_source(struct archive_connection *connection, struct archive_facts *facts,
                        struct error *error)
{
    const struct archive_source_key key = { facts->study, facts->organization, facts->patient_id };
    struct archive_source_found found;
    facts->source = 0;
    facts->is_hidden = false;
    if (!archive_index_find_source(connection, &key, &found, error)) {
        return false;
    }
    if (found.is_first || !found.has_study) {
        return true;
    }
    if (found.number == 0) {
        return add_source(connection, facts, error);
    }
    facts->source = found.number;
    facts->is_hidden = found.verdict != ARCHIVE_RELEASED;
    return true;
}

static bool add_inside(struct archive_connection *connection, struct archive_facts *const *facts,
                       size_t count, int64_t due_ms, enum archive_known *known, struct error *error)
{
    for (size_t i = 0; i < count; i++) {
        if (!known_inside(connection, facts[i]->sop, facts[i]->hash, &known[i], error)) {
            return false;
        }
        if (known[i] == ARCHIVE_UNKNOWN &&
            (!find_source(connection, facts[i], error) || !insert_instance(connection, facts[i], error) ||
             !add_to_series(connection, facts[i], error) ||
             !add_to_study(connection, facts[i], due_ms, error))) {
            return false;
        }
    }
    return true;
}

bool archive_index_add(struct archive_index *index, struct archive_facts *const *facts, size_t count,
                       int64_t due_ms, enum archive_known *known, struct error *error)
{
    struct archive_connection *connection = &index->writer;
    (void)pthread_mutex_lock(&connection->lock);
    bool ok = archive_sql_run_plain(connection, ARCHIVE_SQL_BEGIN, error);
    if (ok) {
        struct error ignored = { 0 };
        ok = add_inside(connection, facts, count, due_ms, known, error) &&
             archive_sql_run_plain(connection, ARCHIVE_SQL_COMMIT, error);
        if (!ok) {
            (void)archive_sql_run_plain(connection, ARCHIVE_SQL_ROLLBACK, &ignored);
        }
    }
    (void)pthread_mutex_unlock(&connection->lock);
    return ok;
}

bool archive_index_forget(struct archive_index *index, const char *pack, uint64_t end, uint64_t *count,
                          struct error *error)
{
    static const enum archive_statement steps[] = { ARCHIVE_SQL_FORGET_LIST, ARCHIVE_SQL_FORGET_INSTANCES,
                                                    ARCHIVE_SQL_FORGET_COUNT_SERIES,
                                                    ARCHIVE_SQL_FORGET_COUNT_STUDIES };
    struct archive_connection *connection = &index->writer;
    (void)pthread_mutex_lock(&connection->lock);
    bool ok = archive_sql_run_plain(connection, ARCHIVE_SQL_BEGIN, error);
    for (size_t i = 0; ok && i < sizeof steps / sizeof steps[0]; i++) {
        sqlite3_stmt *statement = archive_sql_statement(connection, steps[i], error);
        ok = statement != NULL;
        if (!ok) {
            break;
        }
        archive_sql_bind_text(statement, 1, str_from_cstr(pack));
        archive_sql_bind_number(
            statement, 2, steps[i] == ARCHIVE_SQL_FORGET_COUNT_STUDIES ? (uint64_t)clock_now_ms() : end);
        if (steps[i] == ARCHIVE_SQL_FORGET_LIST) {
            ok = sqlite3_step(statement) == SQLITE_ROW || archive_sql_fail(connection->database, error);
            *count = ok ? (uint64_t)sqlite3_column_int64(statement, 0) : 0;
            archive_sql_finish(statement);
        } else {
            ok = archive_sql_run(connection, statement, error);
        }
    }
    struct error ignored = { 0 };
    ok = ok && archive_sql_run_plain(connection, ARCHIVE_SQL_COMMIT, error);
    if (!ok) {
        (void)archive_sql_run_plain(connection, ARCHIVE_SQL_ROLLBACK, &ignored);
    }
    (void)pthread_mutex_unlock(&connection->lock);
    return ok;
}

/* UPDATE … ?1 text, ?2 number. */
static bool update(struct archive_index *index, enum archive_statement which, struct str key, int64_t number,
                   struct error *error)
{
    struct archive_connection *connection = &index->writer;
    (void)pthread_mutex_lock(&connection->lock);
    sqlite3_stmt *statement = archive_sql_statement(connection, which, error);
    bool ok = statement != NULL;
    if (ok) {
        archive_sql_bind_text(statement, 1, key);
        archive_sql_bind_number(statement, 2, (uint64_t)number);
        ok = archive_sql_run(connection, statement, error);
    }
    (void)pthread_mutex_unlock(&connection->lock);
    return ok;
}

bool archive_index_set_due(struct archive_index *index, struct str study, int64_t due_ms, struct error *error)
{
    return update(index, ARCHIVE_SQL_SET_DUE, study, due_ms, error);
}

bool archive_index_told(struct archive_index *index, struct str study, int64_t changes, struct error *error)
{
    return update(index, ARCHIVE_SQL_SET_TOLD, study, changes, error);
}

bool archive_index_set_metadata(struct archive_index *index, struct str series, int64_t instances,
                                struct error *error)
{
    return update(index, ARCHIVE_SQL_SET_METADATA, series, instances, error);
}
