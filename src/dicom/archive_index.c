/* archive_index.c — the index of the image archive, an SQLite file of its own beside the pack files. It is a
 * cache: its commits are not synced (a power cut may lose the last of them, never damage it), and what it
 * lost is read again from the packs. So an image costs one sync, that of its pack, and the writer of the
 * store is not in its way. */
#include "dicom/archive_internal.h"

#include <stdio.h>
#include <unistd.h>

#include <sqlite3.h>

#include "base/clock.h"

enum statement {
    INSERT_INSTANCE,
    ADD_TO_SERIES,
    ADD_TO_STUDY,
    FIND_HASH,
    PACK_END,
    FORGET_LIST,
    FORGET_INSTANCES,
    FORGET_COUNT_SERIES,
    FORGET_COUNT_STUDIES,
    SET_DUE,
    NEXT_DUE,
    SET_TOLD,
    FIND_STUDY,
    LIST_SERIES,
    SET_METADATA,
    FIND_INSTANCE,
    LIST_INSTANCES,
    BEGIN,
    COMMIT,
    ROLLBACK,
    STATEMENTS_COUNT
};

#define STUDY_COLUMNS                                                                                        \
    "t.uid, t.patient_name, t.patient_id, t.issuer, t.birth_date, t.sex, t.accession, t.study_id, t.date, "  \
    "t.time, t.description, t.referring, t.institution, t.timezone, t.organization, "                        \
    "(SELECT group_concat(m, '\\') FROM (SELECT DISTINCT modality AS m FROM series WHERE study = t.uid AND " \
    "modality IS NOT NULL ORDER BY 1)), t.instances, (SELECT count(*) FROM series WHERE study = t.uid), "    \
    "t.other_patients"
/* The same without what is counted: of many rows of one study. */
#define STUDY_COLUMNS_FEW                                                                                    \
    "t.uid, t.patient_name, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, t.description, NULL, NULL, "     \
    "NULL, NULL, "                                                                                           \
    "NULL, 0, 0, 0"
#define SERIES_COLUMNS                                                                                       \
    "s.uid, s.modality, s.number, s.description, s.body_part, s.date, s.time, s.laterality, "                \
    "s.manufacturer, "                                                                                       \
    "s.model, s.station, s.kernel, s.pack, s.instances, s.metadata_instances"
#define INSTANCE_COLUMNS                                                                                     \
    "i.study, i.series, i.sop, i.class, i.syntax, s.pack, i.offset, i.bytes, i.header_bytes, "               \
    "i.frame_offset, "                                                                                       \
    "i.frame_bytes, i.frames, i.number, i.hash, i.rows, i.columns, i.bits"
enum { STUDY_COLUMNS_COUNT = 19, SERIES_COLUMNS_COUNT = 15 };

static const char schema[] =
    "CREATE TABLE IF NOT EXISTS study(uid TEXT PRIMARY KEY, patient_name TEXT, patient_id TEXT, issuer TEXT, "
    "birth_date TEXT, sex TEXT, accession TEXT, study_id TEXT, date TEXT NOT NULL, time TEXT NOT NULL, "
    "description TEXT, referring TEXT, institution TEXT, timezone TEXT, organization TEXT, instances INTEGER "
    "NOT NULL, other_patients INTEGER NOT NULL, changes INTEGER NOT NULL, due_ms INTEGER NOT NULL) WITHOUT "
    "ROWID;"
    "CREATE INDEX IF NOT EXISTS study_by_date ON study(date DESC, time DESC, uid);"
    "CREATE INDEX IF NOT EXISTS study_by_patient ON study(patient_id);"
    "CREATE INDEX IF NOT EXISTS study_by_accession ON study(accession);"
    "CREATE INDEX IF NOT EXISTS study_due ON study(due_ms) WHERE due_ms > 0;"
    "CREATE TABLE IF NOT EXISTS series(uid TEXT PRIMARY KEY, study TEXT NOT NULL, modality TEXT, number "
    "TEXT, "
    "description TEXT, body_part TEXT, date TEXT, time TEXT, laterality TEXT, manufacturer TEXT, model TEXT, "
    "station TEXT, kernel TEXT, pack TEXT NOT NULL, pack_end INTEGER NOT NULL, instances INTEGER NOT NULL, "
    "metadata_instances INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE INDEX IF NOT EXISTS series_by_study ON series(study);"
    "CREATE INDEX IF NOT EXISTS series_by_pack ON series(pack);"
    "CREATE TABLE IF NOT EXISTS instance(sop TEXT PRIMARY KEY, study TEXT NOT NULL, series TEXT NOT NULL, "
    "class TEXT "
    "NOT NULL, syntax TEXT NOT NULL, offset INTEGER NOT NULL, bytes INTEGER NOT NULL, header_bytes INTEGER "
    "NOT NULL, "
    "frame_offset INTEGER NOT NULL, frame_bytes INTEGER NOT NULL, frames INTEGER NOT NULL, number INTEGER "
    "NOT NULL, "
    "hash BLOB NOT NULL, rows INTEGER NOT NULL, columns INTEGER NOT NULL, bits INTEGER NOT NULL, received_ms "
    "INTEGER "
    "NOT NULL) WITHOUT ROWID;"
    "CREATE INDEX IF NOT EXISTS instance_by_series ON instance(series, number);"
    "PRAGMA user_version = 1;";

static const char *const statements[STATEMENTS_COUNT] = {
    [INSERT_INSTANCE] =
        "INSERT INTO instance VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17)",
    [ADD_TO_SERIES] =
        "INSERT INTO series VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,1,0) ON CONFLICT(uid) "
        "DO UPDATE SET instances = instances + 1, pack_end = max(pack_end, excluded.pack_end)",
    [ADD_TO_STUDY] =
        "INSERT INTO study VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,1,0,1,?16) "
        "ON CONFLICT(uid) DO UPDATE SET instances = instances + 1, changes = changes + 1, due_ms = ?16, "
        "other_patients = other_patients + (patient_id IS NOT excluded.patient_id)",
    [FIND_HASH] = "SELECT hash FROM instance WHERE sop = ?1",
    [PACK_END] = "SELECT max(pack_end) FROM series WHERE pack = ?1",
    [FORGET_LIST] = "SELECT count(*) FROM instance i JOIN series s ON s.uid = i.series WHERE s.pack = ?1 AND "
                    "i.offset + i.bytes > ?2",
    [FORGET_INSTANCES] =
        "DELETE FROM instance WHERE series IN (SELECT uid FROM series WHERE pack = ?1) AND offset + "
        "bytes > ?2",
    [FORGET_COUNT_SERIES] =
        "UPDATE series SET pack_end = (SELECT coalesce(max(offset + bytes), 0) FROM instance WHERE series = "
        "series.uid AND offset + bytes <= ?2), metadata_instances = 0, instances = (SELECT "
        "count(*) FROM instance WHERE series = series.uid) WHERE pack = ?1",
    [FORGET_COUNT_STUDIES] =
        "UPDATE study SET changes = changes + 1, due_ms = ?2, instances = (SELECT count(*) FROM "
        "instance WHERE instance.study = study.uid) WHERE uid IN (SELECT study FROM series WHERE "
        "pack = ?1)",
    [SET_DUE] = "UPDATE study SET due_ms = ?2 WHERE uid = ?1 AND due_ms > 0",
    [NEXT_DUE] = "SELECT uid, due_ms, changes FROM study WHERE due_ms > 0 ORDER BY due_ms LIMIT 1",
    [SET_TOLD] = "UPDATE study SET due_ms = 0 WHERE uid = ?1 AND changes = ?2",
    [FIND_STUDY] = "SELECT " STUDY_COLUMNS " FROM study t WHERE t.uid = ?1",
    [LIST_SERIES] =
        "SELECT " SERIES_COLUMNS " FROM series s WHERE s.study = ?1 AND (?2 IS NULL OR s.uid = ?2) ORDER BY "
        "CAST(s.number AS INTEGER), s.uid",
    [SET_METADATA] = "UPDATE series SET metadata_instances = ?2 WHERE uid = ?1",
    [FIND_INSTANCE] =
        "SELECT " INSTANCE_COLUMNS " FROM instance i JOIN series s ON s.uid = i.series WHERE i.sop = ?1",
    [LIST_INSTANCES] =
        "SELECT " INSTANCE_COLUMNS " FROM series s JOIN instance i ON i.series = s.uid WHERE s.study = ?1 "
        "AND (?2 IS NULL OR s.uid = ?2) ORDER BY CAST(s.number AS INTEGER), s.uid, i.number, i.sop",
    [BEGIN] = "BEGIN IMMEDIATE",
    [COMMIT] = "COMMIT",
    [ROLLBACK] = "ROLLBACK",
};

struct connection {
    pthread_mutex_t lock; /* guards the database handle and its statements */
    sqlite3 *database;
    sqlite3_stmt *prepared[STATEMENTS_COUNT];
};

struct archive_index {
    struct connection writer;
    struct connection reader;
    struct connection query; /* of QIDO, which may take long: frames do not wait for it */
};

static bool fail_sql(sqlite3 *database, struct error *error)
{
    int code = database == NULL ? SQLITE_NOMEM : sqlite3_errcode(database);
    return FAIL(error, code == SQLITE_FULL ? ERROR_FULL : ERROR_INTERNAL, "the image index failed: %s",
                sqlite3_errstr(code));
}

static sqlite3_stmt *statement_of(struct connection *connection, enum statement which, struct error *error)
{
    if (connection->prepared[which] == NULL &&
        sqlite3_prepare_v3(connection->database, statements[which], -1, SQLITE_PREPARE_PERSISTENT,
                           &connection->prepared[which], NULL) != SQLITE_OK) {
        (void)fail_sql(connection->database, error);
        return NULL;
    }
    return connection->prepared[which];
}

static void bind_text(sqlite3_stmt *statement, int index, struct str text)
{
    (void)sqlite3_bind_text64(statement, index, text.at, text.len, SQLITE_STATIC, SQLITE_UTF8);
}

static void bind_number(sqlite3_stmt *statement, int index, uint64_t number)
{
    (void)sqlite3_bind_int64(statement, index, (sqlite3_int64)number);
}

/* Runs to the end; no rows wanted. */
static bool run(struct connection *connection, sqlite3_stmt *statement, struct error *error)
{
    int result = sqlite3_step(statement);
    bool ok = result == SQLITE_DONE || result == SQLITE_ROW || fail_sql(connection->database, error);
    (void)sqlite3_reset(statement);
    (void)sqlite3_clear_bindings(statement);
    return ok;
}

static bool run_plain(struct connection *connection, enum statement which, struct error *error)
{
    sqlite3_stmt *statement = statement_of(connection, which, error);
    return statement != NULL && run(connection, statement, error);
}

static void finish(sqlite3_stmt *statement)
{
    (void)sqlite3_reset(statement);
    (void)sqlite3_clear_bindings(statement);
}

static struct str column_text(struct arena *arena, sqlite3_stmt *statement, int column)
{
    const char *text = (const char *)sqlite3_column_text(statement, column);
    if (text == NULL) {
        return STR_NONE;
    }
    return arena_dup(arena, (struct str){ text, (size_t)sqlite3_column_bytes(statement, column) });
}

static void column_uid(sqlite3_stmt *statement, int column, char *out, size_t size)
{
    const char *text = (const char *)sqlite3_column_text(statement, column);
    (void)snprintf(out, size, "%s", text == NULL ? "" : text);
}

/* ---- opening ---- */

static bool connection_open(struct connection *connection, const char *path, struct error *error)
{
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE;
    if (pthread_mutex_init(&connection->lock, NULL) != 0 ||
        sqlite3_open_v2(path, &connection->database, flags, NULL) != SQLITE_OK) {
        return fail_sql(connection->database, error);
    }
    (void)sqlite3_busy_timeout(connection->database, 5000);
    if (sqlite3_exec(connection->database,
                     "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA cache_size = -4096;",
                     NULL, NULL, NULL) != SQLITE_OK) {
        return fail_sql(connection->database, error);
    }
    return true;
}

static void connection_close(struct connection *connection)
{
    for (size_t i = 0; i < STATEMENTS_COUNT; i++) {
        (void)sqlite3_finalize(connection->prepared[i]);
        connection->prepared[i] = NULL;
    }
    (void)sqlite3_close(connection->database);
    connection->database = NULL;
    (void)pthread_mutex_destroy(&connection->lock);
}

static bool open_both(struct archive_index *index, const char *path, struct error *error)
{
    if (!connection_open(&index->writer, path, error)) {
        return false;
    }
    if (sqlite3_exec(index->writer.database, schema, NULL, NULL, NULL) != SQLITE_OK) {
        return fail_sql(index->writer.database, error);
    }
    return connection_open(&index->reader, path, error) && connection_open(&index->query, path, error);
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
        connection_close(&index->query);
        connection_close(&index->reader);
        connection_close(&index->writer);
    }
}

/* ---- writing ---- */

static bool known_inside(struct connection *connection, struct str sop, const uint8_t hash[SHA256_BYTES],
                         enum archive_known *known, struct error *error)
{
    sqlite3_stmt *statement = statement_of(connection, FIND_HASH, error);
    if (statement == NULL) {
        return false;
    }
    bind_text(statement, 1, sop);
    int result = sqlite3_step(statement);
    if (result == SQLITE_ROW) {
        bool is_same = sqlite3_column_bytes(statement, 0) == SHA256_BYTES &&
                       memcmp(sqlite3_column_blob(statement, 0), hash, SHA256_BYTES) == 0;
        *known = is_same ? ARCHIVE_SAME : ARCHIVE_OTHER;
    } else {
        *known = ARCHIVE_UNKNOWN;
    }
    bool ok = result == SQLITE_ROW || result == SQLITE_DONE || fail_sql(connection->database, error);
    finish(statement);
    return ok;
}

bool archive_index_known(struct archive_index *index, struct str sop, const uint8_t hash[SHA256_BYTES],
                         enum archive_known *known, struct error *error)
{
    struct connection *connection = &index->reader;
    (void)pthread_mutex_lock(&connection->lock);
    bool ok = known_inside(connection, sop, hash, known, error);
    (void)pthread_mutex_unlock(&connection->lock);
    return ok;
}

static bool insert_instance(struct connection *connection, const struct archive_facts *facts,
                            struct error *error)
{
    sqlite3_stmt *statement = statement_of(connection, INSERT_INSTANCE, error);
    if (statement == NULL) {
        return false;
    }
    bind_text(statement, 1, facts->sop);
    bind_text(statement, 2, facts->study);
    bind_text(statement, 3, facts->series);
    bind_text(statement, 4, facts->class_uid);
    bind_text(statement, 5, facts->syntax);
    bind_number(statement, 6, facts->offset);
    bind_number(statement, 7, facts->bytes);
    bind_number(statement, 8, facts->header_bytes);
    bind_number(statement, 9, facts->frame_offset);
    bind_number(statement, 10, facts->frame_bytes);
    bind_number(statement, 11, (uint64_t)facts->frames);
    bind_number(statement, 12, (uint64_t)facts->number);
    (void)sqlite3_bind_blob(statement, 13, facts->hash, SHA256_BYTES, SQLITE_STATIC);
    bind_number(statement, 14, (uint64_t)facts->rows);
    bind_number(statement, 15, (uint64_t)facts->columns);
    bind_number(statement, 16, (uint64_t)facts->bits);
    bind_number(statement, 17, (uint64_t)facts->received_ms);
    return run(connection, statement, error);
}

static bool add_to_series(struct connection *connection, const struct archive_facts *facts,
                          struct error *error)
{
    sqlite3_stmt *statement = statement_of(connection, ADD_TO_SERIES, error);
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
        bind_text(statement, (int)i + 1, texts[i]);
    }
    bind_number(statement, 15, facts->offset + facts->bytes);
    return run(connection, statement, error);
}

static bool add_to_study(struct connection *connection, const struct archive_facts *facts, int64_t due_ms,
                         struct error *error)
{
    sqlite3_stmt *statement = statement_of(connection, ADD_TO_STUDY, error);
    if (statement == NULL) {
        return false;
    }
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
        bind_text(statement, (int)i + 1, texts[i]);
    }
    bind_number(statement, 16, (uint64_t)due_ms);
    return run(connection, statement, error);
}

static bool add_inside(struct connection *connection, struct archive_facts *const *facts, size_t count,
                       int64_t due_ms, enum archive_known *known, struct error *error)
{
    for (size_t i = 0; i < count; i++) {
        if (!known_inside(connection, facts[i]->sop, facts[i]->hash, &known[i], error)) {
            return false;
        }
        if (known[i] == ARCHIVE_UNKNOWN &&
            (!insert_instance(connection, facts[i], error) || !add_to_series(connection, facts[i], error) ||
             !add_to_study(connection, facts[i], due_ms, error))) {
            return false;
        }
    }
    return true;
}

bool archive_index_add(struct archive_index *index, struct archive_facts *const *facts, size_t count,
                       int64_t due_ms, enum archive_known *known, struct error *error)
{
    struct connection *connection = &index->writer;
    (void)pthread_mutex_lock(&connection->lock);
    bool ok = run_plain(connection, BEGIN, error);
    if (ok) {
        struct error ignored = { 0 };
        ok = add_inside(connection, facts, count, due_ms, known, error) &&
             run_plain(connection, COMMIT, error);
        if (!ok) {
            (void)run_plain(connection, ROLLBACK, &ignored);
        }
    }
    (void)pthread_mutex_unlock(&connection->lock);
    return ok;
}

bool archive_index_forget(struct archive_index *index, const char *pack, uint64_t end, uint64_t *count,
                          struct error *error)
{
    static const enum statement steps[] = { FORGET_LIST, FORGET_INSTANCES, FORGET_COUNT_SERIES,
                                            FORGET_COUNT_STUDIES };
    struct connection *connection = &index->writer;
    (void)pthread_mutex_lock(&connection->lock);
    bool ok = run_plain(connection, BEGIN, error);
    for (size_t i = 0; ok && i < sizeof steps / sizeof steps[0]; i++) {
        sqlite3_stmt *statement = statement_of(connection, steps[i], error);
        ok = statement != NULL;
        if (!ok) {
            break;
        }
        bind_text(statement, 1, str_from_cstr(pack));
        bind_number(statement, 2, steps[i] == FORGET_COUNT_STUDIES ? (uint64_t)clock_now_ms() : end);
        if (steps[i] == FORGET_LIST) {
            ok = sqlite3_step(statement) == SQLITE_ROW || fail_sql(connection->database, error);
            *count = ok ? (uint64_t)sqlite3_column_int64(statement, 0) : 0;
            finish(statement);
        } else {
            ok = run(connection, statement, error);
        }
    }
    struct error ignored = { 0 };
    ok = ok && run_plain(connection, COMMIT, error);
    if (!ok) {
        (void)run_plain(connection, ROLLBACK, &ignored);
    }
    (void)pthread_mutex_unlock(&connection->lock);
    return ok;
}

/* UPDATE … ?1 text, ?2 number. */
static bool update(struct archive_index *index, enum statement which, struct str key, int64_t number,
                   struct error *error)
{
    struct connection *connection = &index->writer;
    (void)pthread_mutex_lock(&connection->lock);
    sqlite3_stmt *statement = statement_of(connection, which, error);
    bool ok = statement != NULL;
    if (ok) {
        bind_text(statement, 1, key);
        bind_number(statement, 2, (uint64_t)number);
        ok = run(connection, statement, error);
    }
    (void)pthread_mutex_unlock(&connection->lock);
    return ok;
}

bool archive_index_set_due(struct archive_index *index, struct str study, int64_t due_ms, struct error *error)
{
    return update(index, SET_DUE, study, due_ms, error);
}

bool archive_index_told(struct archive_index *index, struct str study, int64_t changes, struct error *error)
{
    return update(index, SET_TOLD, study, changes, error);
}

bool archive_index_set_metadata(struct archive_index *index, struct str series, int64_t instances,
                                struct error *error)
{
    return update(index, SET_METADATA, series, instances, error);
}

/* ---- reading ---- */

struct reading {
    struct connection *connection;
    sqlite3_stmt *statement;
};

static bool begin_reading(struct archive_index *index, enum statement which, struct reading *reading,
                          struct error *error)
{
    reading->connection = &index->reader;
    (void)pthread_mutex_lock(&reading->connection->lock);
    reading->statement = statement_of(reading->connection, which, error);
    if (reading->statement == NULL) {
        (void)pthread_mutex_unlock(&reading->connection->lock);
        return false;
    }
    return true;
}

static void end_reading(struct reading *reading)
{
    finish(reading->statement);
    (void)pthread_mutex_unlock(&reading->connection->lock);
}

bool archive_index_pack_end(struct archive_index *index, const char *pack, uint64_t *end, struct error *error)
{
    struct reading reading;
    if (!begin_reading(index, PACK_END, &reading, error)) {
        return false;
    }
    bind_text(reading.statement, 1, str_from_cstr(pack));
    int result = sqlite3_step(reading.statement);
    *end = result == SQLITE_ROW ? (uint64_t)sqlite3_column_int64(reading.statement, 0) : 0;
    bool ok = result == SQLITE_ROW || result == SQLITE_DONE || fail_sql(reading.connection->database, error);
    end_reading(&reading);
    return ok;
}

bool archive_index_next_due(struct archive_index *index, char study[ARCHIVE_UID_BYTES], int64_t *due_ms,
                            int64_t *changes, struct error *error)
{
    struct reading reading;
    if (!begin_reading(index, NEXT_DUE, &reading, error)) {
        return false;
    }
    int result = sqlite3_step(reading.statement);
    *due_ms = 0;
    if (result == SQLITE_ROW) {
        column_uid(reading.statement, 0, study, ARCHIVE_UID_BYTES);
        *due_ms = sqlite3_column_int64(reading.statement, 1);
        *changes = sqlite3_column_int64(reading.statement, 2);
    }
    bool ok = result == SQLITE_ROW || result == SQLITE_DONE || fail_sql(reading.connection->database, error);
    end_reading(&reading);
    return ok;
}

static void take_study(struct arena *arena, sqlite3_stmt *statement, int first, struct archive_study_row *row)
{
    struct str *const texts[] = {
        &row->uid,         &row->patient_name, &row->patient_id,   &row->issuer,
        &row->birth_date,  &row->sex,          &row->accession,    &row->study_id,
        &row->date,        &row->time,         &row->description,  &row->referring,
        &row->institution, &row->timezone,     &row->organization, &row->modalities
    };
    int texts_count = (int)(sizeof texts / sizeof texts[0]);
    for (int i = 0; i < texts_count; i++) {
        *texts[i] = column_text(arena, statement, first + i);
    }
    row->instances = sqlite3_column_int64(statement, first + texts_count);
    row->series = sqlite3_column_int64(statement, first + texts_count + 1);
    row->other_patients = sqlite3_column_int64(statement, first + texts_count + 2);
}

static void take_series(struct arena *arena, sqlite3_stmt *statement, int first,
                        struct archive_series_row *row)
{
    struct str *const texts[] = { &row->uid,          &row->modality, &row->number,  &row->description,
                                  &row->body_part,    &row->date,     &row->time,    &row->laterality,
                                  &row->manufacturer, &row->model,    &row->station, &row->kernel,
                                  &row->pack };
    int texts_count = (int)(sizeof texts / sizeof texts[0]);
    for (int i = 0; i < texts_count; i++) {
        *texts[i] = column_text(arena, statement, first + i);
    }
    row->instances = sqlite3_column_int64(statement, first + texts_count);
    row->metadata_instances = sqlite3_column_int64(statement, first + texts_count + 1);
}

static void take_instance(sqlite3_stmt *statement, int first, struct archive_instance *row)
{
    column_uid(statement, first, row->study, sizeof row->study);
    column_uid(statement, first + 1, row->series, sizeof row->series);
    column_uid(statement, first + 2, row->sop, sizeof row->sop);
    column_uid(statement, first + 3, row->class_uid, sizeof row->class_uid);
    row->syntax = dicom_syntax_find(str_from_cstr((const char *)sqlite3_column_text(statement, first + 4)));
    column_uid(statement, first + 5, row->pack, sizeof row->pack);
    row->offset = (uint64_t)sqlite3_column_int64(statement, first + 6);
    row->bytes = (uint64_t)sqlite3_column_int64(statement, first + 7);
    row->header_bytes = (uint64_t)sqlite3_column_int64(statement, first + 8);
    row->frame_offset = (uint64_t)sqlite3_column_int64(statement, first + 9);
    row->frame_bytes = (uint64_t)sqlite3_column_int64(statement, first + 10);
    row->frames_count = (uint64_t)sqlite3_column_int64(statement, first + 11);
    row->number = sqlite3_column_int64(statement, first + 12);
    if (sqlite3_column_bytes(statement, first + 13) == SHA256_BYTES) {
        hash_hex(sqlite3_column_blob(statement, first + 13), SHA256_BYTES, row->hash);
    }
}

bool archive_index_study(struct archive_index *index, struct arena *arena, struct str uid,
                         struct archive_study_row *row, struct error *error)
{
    struct reading reading;
    if (!begin_reading(index, FIND_STUDY, &reading, error)) {
        return false;
    }
    bind_text(reading.statement, 1, uid);
    int result = sqlite3_step(reading.statement);
    bool ok = result == SQLITE_ROW;
    if (ok) {
        take_study(arena, reading.statement, 0, row);
    } else if (result == SQLITE_DONE) {
        (void)FAIL(error, ERROR_NOT_FOUND, "there is no such study");
    } else {
        (void)fail_sql(reading.connection->database, error);
    }
    end_reading(&reading);
    return ok;
}

bool archive_index_series(struct archive_index *index, struct arena *arena, struct str study, struct str uid,
                          struct archive_series_row **rows, size_t *count, struct error *error)
{
    enum { SERIES_MAX = 4096 };
    struct reading reading;
    struct archive_series_row *list = ARENA_ARRAY(arena, struct archive_series_row, SERIES_MAX);
    size_t found = 0;
    if (list == NULL) {
        return FAIL(error, ERROR_TOO_LARGE, "no memory left to list series");
    }
    if (!begin_reading(index, LIST_SERIES, &reading, error)) {
        return false;
    }
    bind_text(reading.statement, 1, study);
    bind_text(reading.statement, 2, uid);
    int result = sqlite3_step(reading.statement);
    while (result == SQLITE_ROW && found < SERIES_MAX) {
        take_series(arena, reading.statement, 0, &list[found++]);
        result = sqlite3_step(reading.statement);
    }
    bool ok =
        result == SQLITE_DONE ||
        (result == SQLITE_ROW ? FAIL(error, ERROR_TOO_COSTLY, "the study has more than %d series", SERIES_MAX)
                              : fail_sql(reading.connection->database, error));
    end_reading(&reading);
    *rows = list;
    *count = found;
    return ok;
}

bool archive_index_instance(struct archive_index *index, struct str sop, struct archive_instance *instance,
                            struct error *error)
{
    struct reading reading;
    if (!begin_reading(index, FIND_INSTANCE, &reading, error)) {
        return false;
    }
    bind_text(reading.statement, 1, sop);
    int result = sqlite3_step(reading.statement);
    bool ok = result == SQLITE_ROW;
    if (ok) {
        take_instance(reading.statement, 0, instance);
    } else if (result == SQLITE_DONE) {
        (void)FAIL(error, ERROR_NOT_FOUND, "there is no such instance");
    } else {
        (void)fail_sql(reading.connection->database, error);
    }
    end_reading(&reading);
    return ok;
}

bool archive_index_instances(struct archive_index *index, struct arena *arena, struct str study,
                             struct str series, struct archive_instance **rows, size_t *count,
                             struct error *error)
{
    struct reading reading;
    struct archive_instance *list = NULL;
    size_t found = 0;
    size_t capacity = 0;
    bool ok = true;
    if (!begin_reading(index, LIST_INSTANCES, &reading, error)) {
        return false;
    }
    bind_text(reading.statement, 1, study);
    bind_text(reading.statement, 2, series);
    int result = sqlite3_step(reading.statement);
    while (ok && result == SQLITE_ROW) {
        if (found == capacity) {
            capacity = capacity == 0 ? 512 : capacity * 2;
            struct archive_instance *more = ARENA_ARRAY(arena, struct archive_instance, capacity);
            ok = more != NULL || FAIL(error, ERROR_TOO_LARGE, "no memory left to list instances");
            if (!ok) {
                break;
            }
            memcpy(more, list == NULL ? more : list, found * sizeof *more);
            list = more;
        }
        take_instance(reading.statement, 0, &list[found++]);
        result = sqlite3_step(reading.statement);
    }
    ok = ok && (result == SQLITE_DONE || fail_sql(reading.connection->database, error));
    end_reading(&reading);
    if (ok && found == 0) {
        return FAIL(error, ERROR_NOT_FOUND, "there is no such study or series");
    }
    *rows = list;
    *count = found;
    return ok;
}

/* ---- QIDO: each way in has its own constant statement, the rest of the conditions is the same ---- */

#define STUDY_REST                                                                                           \
    " AND (?1 IS NULL OR t.uid = ?1) AND (?2 IS NULL OR t.patient_id = ?2) AND (?3 IS NULL OR t.accession "  \
    "= ?3)"                                                                                                  \
    " AND (?4 IS NULL OR t.date >= ?4) AND (?5 IS NULL OR t.date <= ?5)"
#define STUDY_MODALITY                                                                                       \
    " AND (?6 IS NULL OR EXISTS (SELECT 1 FROM series WHERE study = t.uid AND modality = ?6))"
#define SERIES_REST " AND (?6 IS NULL OR s.modality = ?6) AND (?7 IS NULL OR s.uid = ?7)"
#define STUDY_ORDER " ORDER BY t.date DESC, t.time DESC, t.uid"
#define SERIES_ORDER STUDY_ORDER ", CAST(s.number AS INTEGER), s.uid"
#define INSTANCE_ORDER SERIES_ORDER ", i.number, i.sop"
#define FROM_SERIES " FROM study t JOIN series s ON s.study = t.uid"
#define FROM_INSTANCES FROM_SERIES " JOIN instance i ON i.series = s.uid"

/* [level][way in]: 0 by study UID, 1 by patient, 2 by accession number, 3 newest first. */
static const char *const query_texts[3][4] = {
#define STUDIES(first)                                                                                       \
    "SELECT " STUDY_COLUMNS " FROM study t WHERE " first STUDY_REST STUDY_MODALITY STUDY_ORDER
    { STUDIES("t.uid = ?1"), STUDIES("t.patient_id = ?2"), STUDIES("t.accession = ?3"), STUDIES("1") },
#define SERIES(first)                                                                                        \
    "SELECT " STUDY_COLUMNS ", " SERIES_COLUMNS FROM_SERIES                                                  \
    " WHERE " first STUDY_REST SERIES_REST SERIES_ORDER
    { SERIES("t.uid = ?1"), SERIES("t.patient_id = ?2"), SERIES("t.accession = ?3"), SERIES("1") },
#define INSTANCES(first)                                                                                     \
    "SELECT " STUDY_COLUMNS_FEW ", " SERIES_COLUMNS ", " INSTANCE_COLUMNS FROM_INSTANCES                     \
    " WHERE " first STUDY_REST SERIES_REST " AND (?8 IS NULL OR i.sop = ?8)" INSTANCE_ORDER
    { INSTANCES("t.uid = ?1"), INSTANCES("t.patient_id = ?2"), INSTANCES("t.accession = ?3"),
      INSTANCES("1") },
};

static size_t way_in(const struct archive_query *query)
{
    if (query->study.at != NULL) {
        return 0;
    }
    if (query->patient_id.at != NULL) {
        return 1;
    }
    return query->accession.at != NULL ? 2 : 3;
}

bool archive_index_query(struct archive_index *index, struct arena *arena, const struct archive_query *query,
                         bool (*row)(void *data, const struct archive_query_row *row), void *data,
                         struct error *error)
{
    struct connection *connection = &index->query;
    sqlite3_stmt *statement = NULL;
    (void)pthread_mutex_lock(&connection->lock);
    bool ok = sqlite3_prepare_v2(connection->database, query_texts[query->level][way_in(query)], -1,
                                 &statement, NULL) == SQLITE_OK ||
              fail_sql(connection->database, error);
    if (!ok) {
        goto done;
    }
    const struct str values[] = { query->study,   query->patient_id, query->accession, query->date_from,
                                  query->date_to, query->modality,   query->series,    query->sop };
    int values_count = sqlite3_bind_parameter_count(statement);
    for (int i = 0; i < values_count; i++) {
        bind_text(statement, i + 1, values[i]);
    }
    int result = sqlite3_step(statement);
    bool wants_more = true;
    while (result == SQLITE_ROW && wants_more) {
        struct archive_query_row found = { 0 };
        take_study(arena, statement, 0, &found.study);
        if (query->level != ARCHIVE_STUDIES) {
            take_series(arena, statement, STUDY_COLUMNS_COUNT, &found.series);
        }
        if (query->level == ARCHIVE_INSTANCES) {
            int first = STUDY_COLUMNS_COUNT + SERIES_COLUMNS_COUNT;
            take_instance(statement, first, &found.instance);
            found.rows = sqlite3_column_int64(statement, first + 14);
            found.columns = sqlite3_column_int64(statement, first + 15);
            found.bits = sqlite3_column_int64(statement, first + 16);
        }
        wants_more = row(data, &found);
        result = wants_more ? sqlite3_step(statement) : SQLITE_DONE;
    }
    ok = result == SQLITE_DONE || fail_sql(connection->database, error);
done:
    (void)sqlite3_finalize(statement);
    (void)pthread_mutex_unlock(&connection->lock);
    return ok;
}
