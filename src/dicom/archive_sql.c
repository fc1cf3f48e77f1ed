#include "dicom/archive_sql.h"

enum { SCHEMA_VERSION = 3 }; /* 2: the table sender; 3: source in its place */

/* What the first instance of a source says of its study, as in the table study. */
#define FACTS_COLUMNS                                                                                        \
    "patient_name, patient_id, issuer, birth_date, sex, accession, study_id, date, time, description, "      \
    "referring, institution, timezone, organization"

static const char schema[] =
    "CREATE TABLE IF NOT EXISTS study(uid TEXT PRIMARY KEY, patient_name TEXT, patient_id TEXT, issuer TEXT, "
    "birth_date TEXT, sex TEXT, accession TEXT, study_id TEXT, date TEXT NOT NULL, time TEXT NOT NULL, "
    "description TEXT, referring TEXT, institution TEXT, timezone TEXT, organization TEXT, instances INTEGER "
    "NOT NULL, changes INTEGER NOT NULL, due_ms INTEGER NOT NULL) WITHOUT ROWID;"
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
    "NOT NULL, source INTEGER NOT NULL DEFAULT 0, hidden INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;"
    "CREATE INDEX IF NOT EXISTS instance_by_series ON instance(series, number);"
    "CREATE TABLE IF NOT EXISTS source(number INTEGER PRIMARY KEY, study TEXT NOT NULL, patient_name TEXT, "
    "patient_id TEXT, issuer TEXT, birth_date TEXT, sex TEXT, accession TEXT, study_id TEXT, date TEXT NOT "
    "NULL, time TEXT NOT NULL, description TEXT, referring TEXT, institution TEXT, timezone TEXT, "
    "organization TEXT, verdict INTEGER NOT NULL);"
    "CREATE INDEX IF NOT EXISTS source_by_study ON source(study);"
    "PRAGMA user_version = 3;";

/* A study into which several sent, or with several patients, is read again from its packs: then it is known whose each
 * instance is. */
static const char upgrade[] =
    "BEGIN IMMEDIATE;"
    "CREATE TABLE IF NOT EXISTS sender(study TEXT NOT NULL, organization TEXT NOT NULL, PRIMARY KEY(study, "
    "organization)) WITHOUT ROWID;"
    "CREATE TEMP TABLE mixed AS SELECT uid FROM study WHERE other_patients > 0 UNION SELECT study FROM "
    "sender;"
    "DELETE FROM instance WHERE series IN (SELECT uid FROM series WHERE study IN (SELECT uid FROM mixed));"
    "DELETE FROM series WHERE study IN (SELECT uid FROM mixed);"
    "DELETE FROM study WHERE uid IN (SELECT uid FROM mixed);"
    "DROP TABLE mixed;"
    "DROP TABLE sender;"
    "ALTER TABLE study DROP COLUMN other_patients;"
    "ALTER TABLE instance ADD COLUMN source INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE instance ADD COLUMN hidden INTEGER NOT NULL DEFAULT 0;"
    "COMMIT;";

static const char *const statements[ARCHIVE_SQL_STATEMENTS_COUNT] = {
    [ARCHIVE_SQL_INSERT_INSTANCE] =
        "INSERT INTO instance "
        "VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17,?18,?19)",
/* What a series is called is said by the first of its instances that is shown. */
#define SHOWN_FIRST(column)                                                                                  \
#column " = CASE WHEN instances = 0 AND ?16 > 0 THEN excluded." #column " ELSE " #column " END, "
    [ARCHIVE_SQL_ADD_TO_SERIES] =
        "INSERT INTO series VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,0) ON "
        "CONFLICT(uid) "
        "DO UPDATE SET " SHOWN_FIRST(modality) SHOWN_FIRST(number) SHOWN_FIRST(description)
            SHOWN_FIRST(body_part) SHOWN_FIRST(date) SHOWN_FIRST(time) SHOWN_FIRST(laterality)
                SHOWN_FIRST(manufacturer) SHOWN_FIRST(model) SHOWN_FIRST(station) SHOWN_FIRST(
                    kernel) "instances = instances + ?16, pack_end = max(pack_end, excluded.pack_end)",
    [ARCHIVE_SQL_ADD_TO_STUDY] =
        "INSERT INTO study VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,1,1,?16) "
        "ON CONFLICT(uid) DO UPDATE SET instances = instances + ?17, changes = changes + 1, due_ms = ?16",
    [ARCHIVE_SQL_FIND_FIRST] = "SELECT ifnull(organization, '') = ifnull(?2, '') AND ifnull(patient_id, '') "
                               "= ifnull(?3, '') FROM study "
                               "WHERE uid = ?1",
    [ARCHIVE_SQL_FIND_SOURCE] = "SELECT number, verdict FROM source WHERE study = ?1 AND "
                                "ifnull(organization, '') = ifnull(?2, '') AND "
                                "ifnull(patient_id, '') = ifnull(?3, '')",
    [ARCHIVE_SQL_ADD_SOURCE] = "INSERT INTO source(study, " FACTS_COLUMNS ", verdict) "
                               "VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,0)",
    [ARCHIVE_SQL_LIST_SOURCES] =
        "SELECT patient_name, patient_id, issuer, birth_date, sex, organization, verdict, (SELECT count(*) "
        "FROM series s JOIN instance i ON i.series = s.uid WHERE s.study = ?1 AND i.source = n.number), "
        "(SELECT group_concat(m, '\\') FROM (SELECT DISTINCT modality AS m FROM series s WHERE s.study = ?1 "
        "AND modality IS NOT NULL AND EXISTS (SELECT 1 FROM instance i WHERE i.series = s.uid AND i.source = "
        "n.number) ORDER BY 1)) FROM source n WHERE study = ?1 ORDER BY number LIMIT ?2",
    [ARCHIVE_SQL_SET_VERDICT] = "UPDATE source SET verdict = ?2 WHERE number = ?1",
    [ARCHIVE_SQL_SHOW_SOURCE] =
        "UPDATE instance SET hidden = ?3 WHERE series IN (SELECT uid FROM series WHERE "
        "study = ?1) AND source = ?2",
    [ARCHIVE_SQL_COUNT_SERIES] =
        "UPDATE series SET metadata_instances = 0, instances = (SELECT count(*) FROM "
        "instance WHERE series = series.uid AND hidden = 0) WHERE study = ?1",
    [ARCHIVE_SQL_COUNT_STUDY] = "UPDATE study SET changes = changes + 1, due_ms = ?2, instances = (SELECT "
                                "coalesce(sum(instances), 0) "
                                "FROM series WHERE study = ?1) WHERE uid = ?1",
    /* The study's first source and another one change places; ?2 is the other, ?3 what becomes of its number. */
    [ARCHIVE_SQL_SWAP_ADD] = "INSERT INTO source(study, " FACTS_COLUMNS
                             ", verdict) SELECT uid, " FACTS_COLUMNS ", 0 FROM study WHERE uid = ?1",
    [ARCHIVE_SQL_SWAP_LEAVE] =
        "UPDATE instance SET source = (SELECT max(number) FROM source), hidden = 1 WHERE "
        "series IN (SELECT uid FROM series WHERE study = ?1) AND source = 0",
    [ARCHIVE_SQL_SWAP_ENTER] = "UPDATE instance SET source = 0, hidden = 0 WHERE series IN (SELECT uid FROM "
                               "series WHERE study = ?1) AND source = ?2",
    [ARCHIVE_SQL_SWAP_STUDY] = "UPDATE study SET (" FACTS_COLUMNS ") = (SELECT " FACTS_COLUMNS
                               " FROM source WHERE number = ?2) WHERE uid = ?1",
    [ARCHIVE_SQL_SWAP_DROP] = "DELETE FROM source WHERE study = ?1 AND number = ?2",
    [ARCHIVE_SQL_FIND_HASH] = "SELECT hash FROM instance WHERE sop = ?1",
    [ARCHIVE_SQL_FIND_SERIES_STUDY] = "SELECT study FROM series WHERE uid = ?1",
    [ARCHIVE_SQL_PACK_END] = "SELECT max(pack_end) FROM series WHERE pack = ?1",
    [ARCHIVE_SQL_LIST_PACKS] = "SELECT pack, max(pack_end) FROM series GROUP BY pack",
    [ARCHIVE_SQL_FORGET_LIST] =
        "SELECT count(*) FROM instance i JOIN series s ON s.uid = i.series WHERE s.pack = ?1 AND "
        "i.offset + i.bytes > ?2",
    [ARCHIVE_SQL_FORGET_INSTANCES] =
        "DELETE FROM instance WHERE series IN (SELECT uid FROM series WHERE pack = ?1) AND offset + "
        "bytes > ?2",
    [ARCHIVE_SQL_FORGET_COUNT_SERIES] =
        "UPDATE series SET pack_end = (SELECT coalesce(max(offset + bytes), 0) FROM instance WHERE series = "
        "series.uid AND offset + bytes <= ?2), metadata_instances = 0, instances = (SELECT "
        "count(*) FROM instance WHERE series = series.uid AND hidden = 0) WHERE pack = ?1",
    [ARCHIVE_SQL_FORGET_COUNT_STUDIES] =
        "UPDATE study SET changes = changes + 1, due_ms = ?2, instances = (SELECT count(*) FROM "
        "instance WHERE instance.study = study.uid AND hidden = 0) WHERE uid IN (SELECT study FROM series "
        "WHERE "
        "pack = ?1)",
    [ARCHIVE_SQL_SET_DUE] = "UPDATE study SET due_ms = ?2 WHERE uid = ?1 AND due_ms > 0",
    [ARCHIVE_SQL_NEXT_DUE] =
        "SELECT uid, due_ms, changes FROM study WHERE due_ms > 0 ORDER BY due_ms LIMIT 1",
    [ARCHIVE_SQL_SET_TOLD] = "UPDATE study SET due_ms = 0 WHERE uid = ?1 AND changes = ?2",
    [ARCHIVE_SQL_FIND_STUDY] = "SELECT " STUDY_COLUMNS " FROM study t WHERE t.uid = ?1",
    [ARCHIVE_SQL_LIST_SERIES] =
        "SELECT " SERIES_COLUMNS " FROM series s WHERE s.study = ?1 AND s.instances > 0 AND (?2 IS NULL OR "
        "s.uid = ?2) ORDER BY CAST(s.number AS INTEGER), s.uid",
    [ARCHIVE_SQL_SET_METADATA] = "UPDATE series SET metadata_instances = ?2 WHERE uid = ?1",
    [ARCHIVE_SQL_FIND_INSTANCE] =
        "SELECT " INSTANCE_COLUMNS " FROM instance i JOIN series s ON s.uid = i.series WHERE i.sop = ?1 AND "
        "i.hidden = 0",
    [ARCHIVE_SQL_LIST_INSTANCES] =
        "SELECT " INSTANCE_COLUMNS " FROM series s JOIN instance i ON i.series = s.uid WHERE s.study = ?1 "
        "AND i.hidden = 0 AND (?2 IS NULL OR s.uid = ?2) ORDER BY CAST(s.number AS INTEGER), s.uid, "
        "i.number, "
        "i.sop",
    [ARCHIVE_SQL_BEGIN] = "BEGIN IMMEDIATE",
    [ARCHIVE_SQL_COMMIT] = "COMMIT",
    [ARCHIVE_SQL_ROLLBACK] = "ROLLBACK",
};

bool archive_sql_fail(sqlite3 *database, struct error *error)
{
    int code = database == NULL ? SQLITE_NOMEM : sqlite3_errcode(database);
    return FAIL(error, code == SQLITE_FULL ? ERROR_FULL : ERROR_INTERNAL, "the image index failed: %s",
                sqlite3_errstr(code));
}

sqlite3_stmt *archive_sql_statement(struct archive_connection *connection, enum archive_statement which,
                                    struct error *error)
{
    if (connection->prepared[which] == NULL &&
        sqlite3_prepare_v3(connection->database, statements[which], -1, SQLITE_PREPARE_PERSISTENT,
                           &connection->prepared[which], NULL) != SQLITE_OK) {
        (void)archive_sql_fail(connection->database, error);
        return NULL;
    }
    return connection->prepared[which];
}

void archive_sql_bind_text(sqlite3_stmt *statement, int index, struct str text)
{
    (void)sqlite3_bind_text64(statement, index, text.at, text.len, SQLITE_STATIC, SQLITE_UTF8);
}

void archive_sql_bind_number(sqlite3_stmt *statement, int index, uint64_t number)
{
    (void)sqlite3_bind_int64(statement, index, (sqlite3_int64)number);
}

/* Runs to the end; no rows wanted. */
bool archive_sql_run(struct archive_connection *connection, sqlite3_stmt *statement, struct error *error)
{
    int result = sqlite3_step(statement);
    bool ok = result == SQLITE_DONE || result == SQLITE_ROW || archive_sql_fail(connection->database, error);
    (void)sqlite3_reset(statement);
    (void)sqlite3_clear_bindings(statement);
    return ok;
}

bool archive_sql_run_plain(struct archive_connection *connection, enum archive_statement which,
                           struct error *error)
{
    sqlite3_stmt *statement = archive_sql_statement(connection, which, error);
    return statement != NULL && archive_sql_run(connection, statement, error);
}

void archive_sql_finish(sqlite3_stmt *statement)
{
    (void)sqlite3_reset(statement);
    (void)sqlite3_clear_bindings(statement);
}

bool archive_sql_open(struct archive_connection *connection, const char *path, struct error *error)
{
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE;
    if (pthread_mutex_init(&connection->lock, NULL) != 0 ||
        sqlite3_open_v2(path, &connection->database, flags, NULL) != SQLITE_OK) {
        return archive_sql_fail(connection->database, error);
    }
    (void)sqlite3_busy_timeout(connection->database, 5000);
    if (sqlite3_exec(connection->database,
                     "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA cache_size = -4096;",
                     NULL, NULL, NULL) != SQLITE_OK) {
        return archive_sql_fail(connection->database, error);
    }
    return true;
}

void archive_sql_close(struct archive_connection *connection)
{
    for (size_t i = 0; i < ARCHIVE_SQL_STATEMENTS_COUNT; i++) {
        (void)sqlite3_finalize(connection->prepared[i]);
        connection->prepared[i] = NULL;
    }
    (void)sqlite3_close(connection->database);
    connection->database = NULL;
    (void)pthread_mutex_destroy(&connection->lock);
}

static bool run_script(struct archive_connection *connection, const char *script, struct error *error)
{
    if (sqlite3_exec(connection->database, script, NULL, NULL, NULL) == SQLITE_OK) {
        return true;
    }
    (void)archive_sql_fail(connection->database, error);
    (void)sqlite3_exec(connection->database, "ROLLBACK", NULL, NULL, NULL);
    return false;
}

/* Only where they are missing: also on a full disk the index must open. */
bool archive_sql_make_tables(struct archive_connection *connection, struct error *error)
{
    sqlite3_stmt *statement = NULL;
    bool ok =
        sqlite3_prepare_v2(connection->database, "PRAGMA user_version", -1, &statement, NULL) == SQLITE_OK &&
        sqlite3_step(statement) == SQLITE_ROW;
    int version = ok ? sqlite3_column_int(statement, 0) : 0;
    (void)sqlite3_finalize(statement);
    if (version == SCHEMA_VERSION) {
        return true;
    }
    bool is_old = version > 0 && version < SCHEMA_VERSION;
    return (!is_old || run_script(connection, upgrade, error)) && run_script(connection, schema, error);
}
