#include "store/sql.h"

#include <assert.h>
#include <stddef.h>

#define SCHEMA_WAITING                                                                                       \
    "CREATE TABLE index_pending(id INTEGER PRIMARY KEY, rows BLOB NOT NULL);"                                \
    "CREATE TABLE index_mark(merged INTEGER NOT NULL, run INTEGER NOT NULL, position INTEGER NOT NULL);"     \
    "INSERT INTO index_mark VALUES(0, 0, 0);"

/* Versions that were followed up to this sequence number have no index rows any more (upkeep.c). */
#define SCHEMA_SWEPT "ALTER TABLE index_mark ADD COLUMN swept INTEGER NOT NULL DEFAULT 0;"

/* Pieces of text, each once, and what they are found by (words.c). */
#define SCHEMA_WORDS                                                                                         \
    "CREATE TABLE words(key INTEGER PRIMARY KEY, value TEXT NOT NULL);"                                      \
    "CREATE TABLE gram(gram INTEGER, words INTEGER, PRIMARY KEY(gram, words)) WITHOUT ROWID;"

/* A code or a system alone, and the whole codings that it leads to, as keys: each pair once (codings.c). */
#define SCHEMA_CODING                                                                                        \
    "CREATE TABLE coding(brief INTEGER, whole INTEGER, PRIMARY KEY(brief, whole)) WITHOUT ROWID;"

/* The rows by version, four tables until then, become a column of the version (packed_rows.h). The whole table is
 * written anew: each of its rows changes, and the column stands before the body, so that a long one is not read over. */
#define SCHEMA_PACKED                                                                                        \
    "ALTER TABLE version RENAME TO version_before; DROP INDEX version_by_type;"                              \
    "CREATE TABLE version(seq INTEGER PRIMARY KEY, resource INTEGER NOT NULL, version INTEGER NOT NULL,"     \
    " type INTEGER NOT NULL, id NOT NULL, method INTEGER NOT NULL, updated_ms INTEGER NOT NULL,"             \
    " custodian INTEGER NOT NULL, author INTEGER NOT NULL, ended_seq INTEGER, rows BLOB, body BLOB);"        \
    "INSERT INTO version SELECT seq, resource, version, type, id, method, updated_ms, custodian, author,"    \
    " ended_seq, (SELECT pack_rows(kind, parameter, a, b, c) FROM ("                                         \
    "SELECT 1 AS kind, parameter, value AS a, NULL AS b, NULL AS c FROM reference_of WHERE seq = v.seq"      \
    " UNION ALL SELECT 2, parameter, value, NULL, NULL FROM text_of WHERE seq = v.seq"                       \
    " UNION ALL SELECT 3, parameter, from_ms, to_ms, NULL FROM date_of WHERE seq = v.seq"                    \
    " UNION ALL SELECT 4, parameter, unit, low, high FROM number_of WHERE seq = v.seq)), body"               \
    " FROM version_before v ORDER BY seq;"                                                                   \
    "DROP TABLE version_before; DROP TABLE reference_of; DROP TABLE text_of; DROP TABLE date_of;"            \
    "DROP TABLE number_of; CREATE INDEX version_by_type ON version(type, seq);"

/* Every table that belongs to a resource has the resource's key in its primary key where it can be reached by it
 * alone; index rows reach it through their version (in a database that distributes by hash they get it as a
 * further column). WITHOUT ROWID: the primary key is the table, one tree and one page write a row. */
static const char schema[] =
    "CREATE TABLE meta(name TEXT PRIMARY KEY, value) WITHOUT ROWID;"
    "CREATE TABLE setting(area TEXT, name TEXT, value BLOB, PRIMARY KEY(area, name)) WITHOUT ROWID;"
    "CREATE TABLE resource_type(number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);"
    "CREATE TABLE dictionary(id INTEGER PRIMARY KEY, type TEXT, created_ms INTEGER, bytes BLOB NOT NULL);"
    "CREATE TABLE resource(key INTEGER PRIMARY KEY, seq INTEGER NOT NULL);"
    "CREATE TABLE version(seq INTEGER PRIMARY KEY, resource INTEGER NOT NULL, version INTEGER NOT NULL,"
    " type INTEGER NOT NULL, id NOT NULL, method INTEGER NOT NULL, updated_ms INTEGER NOT NULL,"
    " custodian INTEGER NOT NULL, author INTEGER NOT NULL, ended_seq INTEGER, rows BLOB, body BLOB);"
    "CREATE INDEX version_by_type ON version(type, seq);"
    /* Only versions that have been followed by another: a create costs nothing here. */
    "CREATE TABLE history(resource INTEGER, version INTEGER, seq INTEGER NOT NULL,"
    " PRIMARY KEY(resource, version)) WITHOUT ROWID;"
    "CREATE TABLE index_key(parameter INTEGER, value INTEGER, seq INTEGER,"
    " PRIMARY KEY(parameter, value, seq)) WITHOUT ROWID;"
    "CREATE TABLE index_text(parameter INTEGER, value TEXT, seq INTEGER,"
    " PRIMARY KEY(parameter, value, seq)) WITHOUT ROWID;"
    "CREATE TABLE index_date(parameter INTEGER, from_ms INTEGER, to_ms INTEGER, seq INTEGER,"
    " PRIMARY KEY(parameter, from_ms, to_ms, seq)) WITHOUT ROWID;"
    "CREATE TABLE index_number(parameter INTEGER, unit INTEGER, low REAL, high REAL, seq INTEGER,"
    " PRIMARY KEY(parameter, unit, low, high, seq)) WITHOUT ROWID;"
    /* Index rows that wait in memory (store/runs.h), a row a commit, and how far the main index is. */
    SCHEMA_WAITING SCHEMA_WORDS SCHEMA_SWEPT SCHEMA_CODING
    "CREATE TABLE grants(resource INTEGER, post INTEGER, basis INTEGER, from_ms INTEGER NOT NULL,"
    " until_ms INTEGER NOT NULL, PRIMARY KEY(resource, post, basis)) WITHOUT ROWID;"
    "CREATE INDEX grants_by_basis ON grants(basis);"
    "CREATE INDEX grants_by_post ON grants(post, until_ms);"
    "CREATE TABLE audit_outbox(number INTEGER PRIMARY KEY, records BLOB NOT NULL);"
    "CREATE TABLE job(id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, subject TEXT, unique_text "
    "TEXT,"
    " state INTEGER NOT NULL, input BLOB, result BLOB, progress INTEGER NOT NULL, attempts INTEGER NOT NULL,"
    " run_after_ms INTEGER NOT NULL, created_ms INTEGER NOT NULL, updated_ms INTEGER NOT NULL);"
    "CREATE INDEX job_waiting ON job(kind, run_after_ms, id) WHERE state = 1;"
    "CREATE INDEX job_unique ON job(unique_text) WHERE state IN (1, 2) AND unique_text IS NOT NULL;"
    "CREATE TABLE feed_cursor(name TEXT PRIMARY KEY, seq INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE own_table(name TEXT PRIMARY KEY, version INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE view_registry(name TEXT PRIMARY KEY, type TEXT NOT NULL, known INTEGER NOT NULL,"
    " digest INTEGER NOT NULL, columns TEXT NOT NULL, filled_seq INTEGER NOT NULL) WITHOUT ROWID;";

static const char *const schema_steps[STORE_SCHEMA_VERSION] = {
    [1] = SCHEMA_WAITING, [2] = SCHEMA_WORDS, [3] = SCHEMA_SWEPT, [4] = SCHEMA_PACKED, [6] = SCHEMA_CODING,
};

#define VERSION_COLUMNS                                                                                      \
    "v.seq, v.resource, v.version, v.type, v.id, v.method, v.updated_ms, v.custodian, v.author,"             \
    " v.ended_seq, v.body"
/* Of resource ?1: one that waits is later than what `resource` says, which is in `history` then. */
#define ALL_VERSIONS                                                                                         \
    "SELECT seq AS at FROM resource WHERE key = ?1 UNION SELECT seq FROM run_head WHERE key = ?1"            \
    " UNION SELECT seq FROM history WHERE resource = ?1"
#define CHECK_ALL(columns, kind)                                                                             \
    "SELECT k.* FROM (SELECT " columns ", seq FROM index_" kind " UNION ALL SELECT " columns                 \
    ", seq FROM run_" kind ") k CROSS JOIN version v ON v.seq = k.seq"                                       \
    " WHERE v.ended_seq IS NULL AND v.method <> 3"
#define JOB_COLUMNS                                                                                          \
    "id, kind, subject, unique_text, state, input, result, progress, attempts, run_after_ms, created_ms,"    \
    " updated_ms"

static const char *const texts[SQL_COUNT] = {
    [SQL_BEGIN_READ] = "BEGIN",
    [SQL_BEGIN_WRITE] = "BEGIN IMMEDIATE",
    [SQL_COMMIT] = "COMMIT",
    [SQL_ROLLBACK] = "ROLLBACK",
    [SQL_SAVEPOINT] = "SAVEPOINT one_set",
    [SQL_SAVEPOINT_UNDO] = "ROLLBACK TO one_set",
    [SQL_SAVEPOINT_RELEASE] = "RELEASE one_set",
    [SQL_META_GET] = "SELECT value FROM meta WHERE name = ?1",
    [SQL_META_SET] = "INSERT INTO meta VALUES(?1, ?2) ON CONFLICT(name) DO UPDATE SET value = excluded.value",
    [SQL_SEQ_LAST] = "SELECT seq, updated_ms FROM version ORDER BY seq DESC LIMIT 1",
    [SQL_SNAPSHOT] =
        "SELECT coalesce((SELECT max(seq) FROM version), 0), merged, run, position, swept FROM index_mark",
    [SQL_TYPE_ALL] = "SELECT number, name FROM resource_type ORDER BY number",
    [SQL_TYPE_ADD] = "INSERT INTO resource_type VALUES(?1, ?2)",
    [SQL_TYPE_COUNT_UP_TO] = "SELECT count(*) FROM (SELECT 1 FROM version WHERE type = ?1 LIMIT ?2)",
    [SQL_DICTIONARY_ALL] = "SELECT id, type, bytes FROM dictionary ORDER BY created_ms, id",
    [SQL_DICTIONARY_ADD] = "INSERT INTO dictionary VALUES(?1, ?2, ?3, ?4) ON CONFLICT(id) DO NOTHING",
    [SQL_VERSION_ADD] = "INSERT INTO version VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, NULL, ?11, ?10)",
    [SQL_VERSION_END] = "UPDATE version SET ended_seq = ?2 WHERE seq = ?1",
    [SQL_HISTORY_ADD] = "INSERT INTO history VALUES(?1, ?2, ?3)",
    [SQL_HISTORY_SEQ] = "SELECT seq FROM history WHERE resource = ?1 AND version = ?2",
    [SQL_HISTORY_AS_OF] =
        "SELECT seq FROM history WHERE resource = ?1 AND seq <= ?2 ORDER BY version DESC LIMIT 1",
    [SQL_VERSION_BY_SEQ] = "SELECT " VERSION_COLUMNS " FROM version v WHERE v.seq = ?1",
    [SQL_VERSION_BY_KEY] =
        "SELECT " VERSION_COLUMNS " FROM resource r JOIN version v ON v.seq = r.seq WHERE r.key = ?1",
    [SQL_INSTANCE_BEFORE] =
        "SELECT " VERSION_COLUMNS " FROM (" ALL_VERSIONS ") JOIN version v ON v.seq = at"
        " WHERE at < ?2 AND v.updated_ms >= ?3 AND v.updated_ms < ?4 ORDER BY at DESC LIMIT ?5",
    [SQL_TYPE_BEFORE] = "SELECT " VERSION_COLUMNS " FROM version v WHERE v.type = ?1 AND v.seq < ?2"
                        " AND v.updated_ms >= ?3 AND v.updated_ms < ?4 ORDER BY v.seq DESC LIMIT ?5",
    [SQL_SYSTEM_BEFORE] = "SELECT " VERSION_COLUMNS " FROM version v WHERE v.seq < ?1"
                          " AND v.updated_ms >= ?2 AND v.updated_ms < ?3 ORDER BY v.seq DESC LIMIT ?4",
    [SQL_INSTANCE_AFTER] = "SELECT " VERSION_COLUMNS " FROM (" ALL_VERSIONS ") JOIN version v ON v.seq = at"
                           " WHERE at > ?2 AND v.updated_ms >= ?3 AND v.updated_ms < ?4 ORDER BY at LIMIT ?5",
    [SQL_TYPE_AFTER] = "SELECT " VERSION_COLUMNS " FROM version v WHERE v.type = ?1 AND v.seq > ?2"
                       " AND v.updated_ms >= ?3 AND v.updated_ms < ?4 ORDER BY v.seq LIMIT ?5",
    [SQL_SYSTEM_AFTER] = "SELECT " VERSION_COLUMNS " FROM version v WHERE v.seq > ?1"
                         " AND v.updated_ms >= ?2 AND v.updated_ms < ?3 ORDER BY v.seq LIMIT ?4",
    [SQL_INSTANCE_COUNT] = "SELECT count(*) FROM (" ALL_VERSIONS ") JOIN version v ON v.seq = at"
                           " WHERE v.updated_ms >= ?2 AND v.updated_ms < ?3",
    [SQL_TYPE_COUNT] =
        "SELECT count(*) FROM version WHERE type = ?1 AND updated_ms >= ?2 AND updated_ms < ?3",
    [SQL_SYSTEM_COUNT] = "SELECT count(*) FROM version WHERE updated_ms >= ?1 AND updated_ms < ?2",
    [SQL_FEED] = "SELECT " VERSION_COLUMNS " FROM version v WHERE v.seq > ?1 ORDER BY v.seq LIMIT ?2",
    [SQL_FEED_TYPE] =
        "SELECT " VERSION_COLUMNS " FROM version v WHERE v.type = ?1 AND v.seq > ?2 ORDER BY v.seq LIMIT ?3",
    [SQL_VERSION_TIME] = "SELECT seq, updated_ms FROM version WHERE seq >= ?1 ORDER BY seq LIMIT 1",
    [SQL_CURSOR_GET] = "SELECT seq FROM feed_cursor WHERE name = ?1",
    [SQL_CURSOR_SET] =
        "INSERT INTO feed_cursor VALUES(?1, ?2) ON CONFLICT(name) DO UPDATE SET seq = excluded.seq",
    [SQL_SETTING_GET] = "SELECT value FROM setting WHERE area = ?1 AND name = ?2",
    [SQL_SETTING_SET] = "INSERT INTO setting VALUES(?1, ?2, ?3)"
                        " ON CONFLICT(area, name) DO UPDATE SET value = excluded.value",
    /* Equal rows of one version (two paths with one value) are one row. */
    [SQL_INDEX_KEY_ADD] = "INSERT OR IGNORE INTO index_key VALUES(?1, ?2, ?3)",
    [SQL_INDEX_TEXT_ADD] = "INSERT OR IGNORE INTO index_text VALUES(?1, ?2, ?3)",
    [SQL_INDEX_DATE_ADD] = "INSERT OR IGNORE INTO index_date VALUES(?1, ?2, ?3, ?4)",
    [SQL_INDEX_NUMBER_ADD] = "INSERT OR IGNORE INTO index_number VALUES(?1, ?2, ?3, ?4, ?5)",
    [SQL_WORDS_HAS] = "SELECT 1 FROM words WHERE key = ?1",
    [SQL_WORDS_ADD] = "INSERT INTO words VALUES(?1, ?2)",
    [SQL_CODING_HAS] = "SELECT 1 FROM coding WHERE brief = ?1 AND whole = ?2",
    [SQL_CODING_ADD] = "INSERT OR IGNORE INTO coding VALUES(?1, ?2)",
    [SQL_GRAM_ADD] = "INSERT OR IGNORE INTO gram VALUES(?1, ?2)",
    [SQL_ROWS_SET] = "UPDATE version SET rows = ?2 WHERE seq = ?1",
    [SQL_ROWS_GET] = "SELECT rows FROM version WHERE seq = ?1",
    [SQL_SWEEP_NEXT] = "SELECT n.seq, h.seq FROM version n JOIN history h"
                       " ON h.resource = n.resource AND h.version = n.version - 1"
                       " WHERE n.seq > ?1 AND n.seq <= ?2 AND n.version > 1 ORDER BY n.seq LIMIT ?3",
    [SQL_SWEEP_KEY] = "DELETE FROM index_key WHERE parameter = ?1 AND value = ?2 AND seq = ?3",
    [SQL_SWEEP_TEXT] = "DELETE FROM index_text WHERE parameter = ?1 AND value = ?2 AND seq = ?3",
    [SQL_SWEEP_DATE] =
        "DELETE FROM index_date WHERE parameter = ?1 AND from_ms = ?2 AND to_ms = ?3 AND seq = ?4",
    [SQL_SWEEP_NUMBER] = "DELETE FROM index_number WHERE parameter = ?1 AND unit = ?2 AND low = ?3"
                         " AND high = ?4 AND seq = ?5",
    [SQL_SWEPT_SET] = "UPDATE index_mark SET swept = ?1",
    /* From one parameter in use to the next: nothing is indexed by the value alone. */
    [SQL_PIECE_NAMED] =
        "WITH RECURSIVE p(x) AS (SELECT min(parameter) FROM index_key UNION ALL"
        " SELECT (SELECT min(parameter) FROM index_key WHERE parameter > x) FROM p WHERE x IS NOT NULL)"
        " SELECT 1 FROM p WHERE x IS NOT NULL AND (EXISTS (SELECT 1 FROM index_key"
        " WHERE parameter = x AND value = ?1 AND seq <> ?2) OR EXISTS"
        " (SELECT 1 FROM run_key WHERE parameter = x AND value = ?1 AND seq <> ?2)) LIMIT 1",
    [SQL_WORDS_DROP] = "DELETE FROM words WHERE key = ?1",
    [SQL_GRAM_DROP] = "DELETE FROM gram WHERE gram = ?1 AND words = ?2",
    [SQL_VERSION_ERASE] = "UPDATE version SET method = 3, body = NULL, rows = NULL WHERE seq = ?1",
    [SQL_PENDING_ADD] = "INSERT INTO index_pending VALUES(?1, ?2)",
    [SQL_PENDING_ALL] = "SELECT id, rows FROM index_pending WHERE id > ?1 ORDER BY id",
    [SQL_PENDING_DROP] = "DELETE FROM index_pending WHERE id IN"
                         " (SELECT id FROM index_pending WHERE id <= ?1 ORDER BY id LIMIT ?2)",
    [SQL_MARK_SET] = "UPDATE index_mark SET merged = ?1, run = ?2, position = ?3",
    [SQL_SLICE_HEAD] = "INSERT INTO resource SELECT key, seq FROM slice_head WHERE TRUE"
                       " ON CONFLICT(key) DO UPDATE SET seq = excluded.seq",
    [SQL_SLICE_KEY] = "INSERT OR IGNORE INTO index_key SELECT parameter, value, seq FROM slice_key",
    [SQL_SLICE_TEXT] = "INSERT OR IGNORE INTO index_text SELECT parameter, value, seq FROM slice_text",
    [SQL_SLICE_DATE] =
        "INSERT OR IGNORE INTO index_date SELECT parameter, from_ms, to_ms, seq FROM slice_date",
    [SQL_SLICE_NUMBER] =
        "INSERT OR IGNORE INTO index_number SELECT parameter, unit, low, high, seq FROM slice_number",
    [SQL_REFERENCES_OF] = "SELECT parameter, value FROM reference_of WHERE seq = ?1",
    [SQL_GRANT_ADD] = "INSERT INTO grants VALUES(?1, ?2, ?3, ?4, ?5) ON CONFLICT(resource, post, basis)"
                      " DO UPDATE SET from_ms = excluded.from_ms, until_ms = excluded.until_ms",
    [SQL_GRANT_END] = "UPDATE grants SET until_ms = ?4"
                      " WHERE resource = ?1 AND post = ?2 AND basis = ?3 AND until_ms > ?4",
    [SQL_GRANT_END_BASIS] = "UPDATE grants SET until_ms = ?2 WHERE basis = ?1 AND until_ms > ?2",
    [SQL_GRANT_ALIVE] =
        "SELECT 1 FROM grants WHERE resource = ?1 AND post = ?2 AND from_ms <= ?3 AND until_ms > ?3 LIMIT 1",
    [SQL_GRANT_LIST_RESOURCE] =
        "SELECT resource, post, basis FROM grants"
        " WHERE resource = ?1 AND (?2 = 0 OR post = ?2) AND from_ms <= ?3 AND until_ms > ?3",
    [SQL_GRANT_LIST_BASIS] =
        "SELECT resource, post, basis FROM grants"
        " WHERE basis = ?1 AND (?2 = 0 OR post = ?2) AND from_ms <= ?3 AND until_ms > ?3",
    [SQL_AUDIT_ADD] = "INSERT INTO audit_outbox VALUES(?1, ?2)",
    [SQL_AUDIT_ALL] = "SELECT number, records FROM audit_outbox ORDER BY number",
    [SQL_AUDIT_DROP] = "DELETE FROM audit_outbox WHERE number <= ?1",
    [SQL_JOB_ADD] =
        "INSERT INTO job(kind, subject, unique_text, state, input, progress, attempts, run_after_ms,"
        " created_ms, updated_ms) VALUES(?1, ?2, ?3, 1, ?4, 0, 0, ?5, ?6, ?6) RETURNING id",
    [SQL_JOB_UNIQUE] = "SELECT id FROM job WHERE unique_text = ?1 AND state IN (1, 2) LIMIT 1",
    [SQL_JOB_NEXT] = "SELECT " JOB_COLUMNS " FROM job WHERE state = 1 AND kind = ?1 AND run_after_ms <= ?2"
                     " ORDER BY run_after_ms, id LIMIT 1",
    [SQL_JOB_DUE] =
        "SELECT run_after_ms FROM job WHERE state = 1 AND kind = ?1 ORDER BY run_after_ms LIMIT 1",
    [SQL_JOB_START] =
        "UPDATE job SET state = 2, attempts = attempts + 1, updated_ms = ?2 WHERE id = ?1 AND state = 1",
    [SQL_JOB_PROGRESS] = "UPDATE job SET progress = ?2, updated_ms = ?3 WHERE id = ?1 AND state = 2",
    [SQL_JOB_END] = "UPDATE job SET state = ?2, result = ?3, run_after_ms = ?4, updated_ms = ?5,"
                    " progress = CASE WHEN ?2 = 3 THEN 1000 ELSE progress END, attempts = attempts - ?6"
                    " WHERE id = ?1 AND state = 2",
    [SQL_JOB_RETRY] =
        "UPDATE job SET state = 1, result = NULL, attempts = 0, run_after_ms = ?2, updated_ms = ?2"
        " WHERE id = ?1 AND state = 4",
    [SQL_JOB_CANCEL] = "UPDATE job SET state = 4, result = ?2, updated_ms = ?3 WHERE id = ?1 AND state = 1",
    [SQL_JOB_PRUNE] =
        "DELETE FROM job WHERE id IN (SELECT id FROM job WHERE state = 3 AND updated_ms < ?1 AND"
        " kind <> ?2 ORDER BY id LIMIT ?3)",
    [SQL_JOB_COUNTS] = "SELECT kind, state, count(*) FROM job GROUP BY kind, state ORDER BY kind, state",
    [SQL_JOB_GET] = "SELECT " JOB_COLUMNS " FROM job WHERE id = ?1",
    [SQL_JOB_LIST] = "SELECT " JOB_COLUMNS " FROM job WHERE id < ?4 AND (?1 IS NULL OR kind = ?1)"
                     " AND (?2 IS NULL OR subject = ?2) AND (?3 = 0 OR state = ?3) ORDER BY id DESC LIMIT ?5",
    [SQL_JOB_REVIVE] = "UPDATE job SET state = 1, updated_ms = ?1 WHERE state = 2",
    [SQL_TABLE_ALL] = "SELECT name, version FROM own_table",
    [SQL_TABLE_SET] =
        "INSERT INTO own_table VALUES(?1, ?2) ON CONFLICT(name) DO UPDATE SET version = excluded.version",
    [SQL_VIEW_ALL] = "SELECT name, type, known, digest, columns, filled_seq FROM view_registry ORDER BY name",
    [SQL_VIEW_SET] =
        "INSERT INTO view_registry VALUES(?1, ?2, ?3, ?4, ?5, ?6)"
        " ON CONFLICT(name) DO UPDATE SET type = excluded.type, known = excluded.known,"
        " digest = excluded.digest, columns = excluded.columns, filled_seq = excluded.filled_seq",
    [SQL_VIEW_FILLED] = "UPDATE view_registry SET filled_seq = ?2 WHERE name = ?1",
    [SQL_VIEW_DROP] = "DELETE FROM view_registry WHERE name = ?1",
    [SQL_CHECK_INTEGRITY] = "PRAGMA integrity_check(20)",
    [SQL_CHECK_GAPS] = "SELECT count(*), coalesce(min(seq), 1), coalesce(max(seq), 0) FROM version",
    /* Resources whose latest version is missing, ended, or of another resource; what waits is later than the table. */
    [SQL_CHECK_RESOURCES] =
        "SELECT r.key FROM resource r LEFT JOIN version v ON v.seq = r.seq"
        " WHERE v.seq IS NULL OR v.resource <> r.key OR (v.ended_seq IS NOT NULL"
        " AND NOT EXISTS(SELECT 1 FROM run_head h WHERE h.key = r.key AND h.seq > r.seq))"
        " UNION ALL SELECT r.key FROM run_head r LEFT JOIN version v ON v.seq = r.seq"
        " WHERE v.seq IS NULL OR v.resource <> r.key OR (v.ended_seq IS NOT NULL"
        " AND NOT EXISTS(SELECT 1 FROM run_head h WHERE h.key = r.key AND h.seq > r.seq)) LIMIT 20",
    /* Versions that claim to be the latest and are not. */
    [SQL_CHECK_CURRENT] = "SELECT v.seq FROM version v LEFT JOIN resource r ON r.key = v.resource"
                          " WHERE v.ended_seq IS NULL AND r.seq IS NOT v.seq AND NOT EXISTS"
                          "(SELECT 1 FROM run_head h WHERE h.key = v.resource AND h.seq = v.seq) LIMIT 20",
    /* Ended versions that are not in the history or whose follower is not the next version of the resource. */
    [SQL_CHECK_CHAIN] = "SELECT v.seq FROM version v LEFT JOIN version n ON n.seq = v.ended_seq"
                        " LEFT JOIN history h ON h.resource = v.resource AND h.version = v.version"
                        " WHERE v.ended_seq IS NOT NULL AND (n.seq IS NULL OR n.resource <> v.resource"
                        " OR n.version <> v.version + 1 OR h.seq IS NOT v.seq) LIMIT 20",
    [SQL_CHECK_COUNTS] = "SELECT (SELECT count(*) FROM version), (SELECT count(*) FROM resource)"
                         " + (SELECT count(DISTINCT h.key) FROM run_head h"
                         " WHERE NOT EXISTS(SELECT 1 FROM resource r WHERE r.key = h.key))",
    [SQL_CHECK_ALL_KEY] = CHECK_ALL("parameter, value", "key"),
    [SQL_CHECK_ALL_TEXT] = CHECK_ALL("parameter, value", "text"),
    [SQL_CHECK_ALL_DATE] = CHECK_ALL("parameter, from_ms, to_ms", "date"),
    [SQL_CHECK_ALL_NUMBER] = CHECK_ALL("parameter, unit, low, high", "number"),
    [SQL_CHECK_HAS_KEY] = "SELECT 1 FROM index_key WHERE parameter = ?1 AND value = ?2 AND seq = ?3 UNION ALL"
                          " SELECT 1 FROM run_key WHERE parameter = ?1 AND value = ?2 AND seq = ?3",
    [SQL_CHECK_HAS_TEXT] =
        "SELECT 1 FROM index_text WHERE parameter = ?1 AND value = ?2 AND seq = ?3 UNION ALL"
        " SELECT 1 FROM run_text WHERE parameter = ?1 AND value = ?2 AND seq = ?3",
    [SQL_CHECK_HAS_DATE] =
        "SELECT 1 FROM index_date WHERE parameter = ?1 AND from_ms = ?2 AND to_ms = ?3 AND seq = ?4 UNION ALL"
        " SELECT 1 FROM run_date WHERE parameter = ?1 AND from_ms = ?2 AND to_ms = ?3 AND seq = ?4",
    [SQL_CHECK_HAS_NUMBER] =
        "SELECT 1 FROM index_number WHERE parameter = ?1 AND unit = ?2 AND low = ?3"
        " AND high = ?4 AND seq = ?5 UNION ALL SELECT 1 FROM run_number WHERE parameter = ?1"
        " AND unit = ?2 AND low = ?3 AND high = ?4 AND seq = ?5",
    [SQL_TABLE_NAMES] =
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND substr(name, 1, 5) <> 'view_'",
    [SQL_TABLES] = "SELECT count(*) FROM sqlite_schema",
};

const char *sql_text(enum dialect dialect, enum sql which)
{
    assert(which < SQL_COUNT);
    const char *text = dialect == DIALECT_SQLITE ? texts[which] : sql_texts_postgresql[which];
    assert(text != NULL);
    return text;
}

const char *sql_schema(void)
{
    return schema;
}

/* NULL: nothing is to be done. Version 6 changes no table: an older program could not read what waits (run_bytes.c); version
 * 8 is PostgreSQL's (schema_postgresql.c). */
const char *sql_schema_step(int from)
{
    assert(from > 0);
    assert(from < STORE_SCHEMA_VERSION);
    return schema_steps[from];
}

const char *sql_kind(enum dialect dialect, enum store_value_kind kind)
{
    static const char *const names[][STORE_VALUE_BYTES + 1] = {
        [DIALECT_SQLITE] = { "", "INTEGER", "REAL", "TEXT", "BLOB" },
        [DIALECT_POSTGRESQL] = { "", "bigint", "float8", "text COLLATE \"C\"", "bytea" },
    };
    return names[dialect][kind];
}
