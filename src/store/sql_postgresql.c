/* sql_postgresql.c — the second table of statements: PostgreSQL's. The same numbers, parameters and columns as in sql.c. The
 * tables are in schema_postgresql.c. */
#include "store/sql.h"

#define VERSION_COLUMNS                                                                                      \
    "v.seq, v.resource, v.version, v.type, v.id, v.method, v.updated_ms, v.custodian, v.author,"             \
    " v.ended_seq, v.body"
#define CHECK_ALL(columns, kind)                                                                             \
    "SELECT " columns ", k.seq FROM index_" kind "_row k JOIN version v ON v.seq = k.seq"                    \
    " WHERE v.ended_seq IS NULL AND v.method <> 3"
#define JOB_COLUMNS                                                                                          \
    "id, kind, subject, unique_text, state, input, result, progress, attempts, run_after_ms, created_ms,"    \
    " updated_ms"

/* Columns of a group's blocks of index rows (index_columns.c): `more` is the part of one array that the last two columns
 * say. Where rows may be there already, each is one by itself and is looked for. */
#define BLOCK_ADD(table, columns, count, types)                                                              \
    "INSERT INTO " table "(" columns ", seq, resource, more) SELECT " columns                                \
    ", seq, resource, CASE WHEN till > since THEN (?" count "::bigint[])[since + 1 : till] END"              \
    " FROM unnest(" types ") u(" columns ", seq, resource, since, till)"
#define BLOCK_COPY(table, columns)                                                                           \
    "COPY " table "(" columns ", seq, resource, more) FROM STDIN (FORMAT binary)"
#define BLOCK_HAS(table, is, seq)                                                                            \
    "SELECT 1 FROM (SELECT seq, more FROM " table " WHERE parameter = ?1 AND " is " AND seq <= " seq         \
    " ORDER BY seq DESC LIMIT 1) k WHERE k.seq = " seq " OR " seq " = ANY(k.more)"
#define TEXT_ADD                                                                                             \
    "INSERT INTO index_text SELECT * FROM unnest(?1::bigint[], ?2::text[], ?3::bigint[], ?4::bigint[])"
#define ROWS_ARE "(reference_rows, date_rows, number_parameters, number_units, number_lows, number_highs)"

const char *const sql_texts_postgresql[SQL_COUNT] = {
    [SQL_BEGIN_READ] = "BEGIN ISOLATION LEVEL REPEATABLE READ",
    [SQL_BEGIN_WRITE] = "BEGIN",
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
    [SQL_TYPE_COUNT_UP_TO] = "SELECT count(*) FROM (SELECT 1 FROM version WHERE type = ?1 LIMIT ?2) t",
    [SQL_DICTIONARY_ALL] = "SELECT id, type, bytes FROM dictionary ORDER BY created_ms, id",
    [SQL_DICTIONARY_ADD] = "INSERT INTO dictionary VALUES(?1, ?2, ?3, ?4) ON CONFLICT(id) DO NOTHING",
    [SQL_RESOURCES_ADD] = "INSERT INTO resource SELECT * FROM unnest(?1::bigint[], ?2::bigint[])",
    [SQL_RESOURCE_MOVE] = "UPDATE resource SET seq = ?2 WHERE key = ?1",
    /* Of the rows by version each has its part of arrays over all. */
    [SQL_VERSIONS_ADD] =
        "INSERT INTO version(seq, resource, version, type, method, updated_ms, custodian, author, id, body,"
        " reference_rows, date_rows, number_parameters, number_units, number_lows, number_highs)"
        " SELECT seq, resource, version, type, method, updated_ms, custodian, author, id, body,"
        " CASE WHEN rt > rf THEN (?18::bigint[])[rf + 1 : rt] END,"
        " CASE WHEN dt > df THEN (?19::bigint[])[df + 1 : dt] END,"
        " CASE WHEN nt > nf THEN (?20::bigint[])[nf + 1 : nt] END,"
        " CASE WHEN nt > nf THEN (?21::bigint[])[nf + 1 : nt] END,"
        " CASE WHEN nt > nf THEN (?22::float8[])[nf + 1 : nt] END,"
        " CASE WHEN wide = 1 THEN (?23::float8[])[nf + 1 : nt] END"
        " FROM unnest(?1::bigint[], ?2::bigint[], ?3::bigint[], ?4::bigint[], ?5::bigint[],"
        " ?6::bigint[], ?7::bigint[], ?8::bigint[], ?9::bigint[], ?10::bigint[], ?11::bigint[], "
        "?12::bigint[],"
        " ?13::bigint[], ?14::bigint[], ?15::bigint[], ?16::text[], ?17::bytea[])"
        " u(seq, resource, version, type, method, updated_ms, custodian, author, rf, rt, df, dt, nf, nt,"
        " wide, id, body)",
    [SQL_VERSION_END] = "UPDATE version SET ended_seq = ?2 WHERE seq = ?1",
    [SQL_HISTORY_ADD] = "INSERT INTO history VALUES(?1, ?2, ?3)",
    [SQL_HISTORY_SEQ] = "SELECT seq FROM history WHERE resource = ?1 AND version = ?2",
    [SQL_HISTORY_AS_OF] =
        "SELECT seq FROM history WHERE resource = ?1 AND seq <= ?2 ORDER BY version DESC LIMIT 1",
    [SQL_VERSION_BY_SEQ] = "SELECT " VERSION_COLUMNS " FROM version v WHERE v.seq = ?1",
    [SQL_HEADS] =
        "SELECT r.key, v.seq, v.version, v.type, v.id, v.method, v.custodian FROM unnest(?1::bigint[]) u(key)"
        " JOIN resource r ON r.key = u.key JOIN version v ON v.seq = r.seq AND v.resource = r.key",
    [SQL_VERSIONS_BY_SEQ] =
        "SELECT " VERSION_COLUMNS " FROM unnest(?1::bigint[]) WITH ORDINALITY u(seq, place)"
        " JOIN version v ON v.seq = u.seq ORDER BY u.place",
    [SQL_VERSION_BY_KEY] =
        "SELECT " VERSION_COLUMNS " FROM resource r JOIN version v ON v.seq = r.seq AND v.resource = r.key"
        " WHERE r.key = ?1",
    /* The latest version is not in `history`; the two parts keep the order because it is the newest. */
    [SQL_INSTANCE_BEFORE] =
        "SELECT " VERSION_COLUMNS " FROM (SELECT seq AS at FROM resource WHERE key = ?1 UNION ALL"
        " SELECT seq FROM history WHERE resource = ?1) h JOIN version v ON v.seq = at AND v.resource = ?1"
        " WHERE at < ?2 AND v.updated_ms >= ?3 AND v.updated_ms < ?4 ORDER BY at DESC LIMIT ?5",
    [SQL_TYPE_BEFORE] = "SELECT " VERSION_COLUMNS " FROM version v WHERE v.type = ?1 AND v.seq < ?2"
                        " AND v.updated_ms >= ?3 AND v.updated_ms < ?4 ORDER BY v.seq DESC LIMIT ?5",
    [SQL_SYSTEM_BEFORE] = "SELECT " VERSION_COLUMNS " FROM version v WHERE v.seq < ?1"
                          " AND v.updated_ms >= ?2 AND v.updated_ms < ?3 ORDER BY v.seq DESC LIMIT ?4",
    [SQL_INSTANCE_AFTER] =
        "SELECT " VERSION_COLUMNS " FROM (SELECT seq AS at FROM resource WHERE key = ?1 UNION ALL"
        " SELECT seq FROM history WHERE resource = ?1) h JOIN version v ON v.seq = at AND v.resource = ?1"
        " WHERE at > ?2 AND v.updated_ms >= ?3 AND v.updated_ms < ?4 ORDER BY at LIMIT ?5",
    [SQL_TYPE_AFTER] = "SELECT " VERSION_COLUMNS " FROM version v WHERE v.type = ?1 AND v.seq > ?2"
                       " AND v.updated_ms >= ?3 AND v.updated_ms < ?4 ORDER BY v.seq LIMIT ?5",
    [SQL_SYSTEM_AFTER] = "SELECT " VERSION_COLUMNS " FROM version v WHERE v.seq > ?1"
                         " AND v.updated_ms >= ?2 AND v.updated_ms < ?3 ORDER BY v.seq LIMIT ?4",
    [SQL_INSTANCE_COUNT] =
        "SELECT count(*) FROM (SELECT seq AS at FROM resource WHERE key = ?1 UNION ALL"
        " SELECT seq FROM history WHERE resource = ?1) h JOIN version v ON v.seq = at AND v.resource = ?1"
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
    [SQL_INDEX_KEY_ADD] =
        BLOCK_ADD("index_key", "parameter, value", "7",
                  "?1::bigint[], ?2::bigint[], ?3::bigint[], ?4::bigint[], ?5::bigint[], ?6::bigint[]"),
    [SQL_INDEX_TEXT_ADD] = TEXT_ADD,
    [SQL_INDEX_DATE_ADD] = BLOCK_ADD(
        "index_date", "parameter, from_ms, to_ms", "8",
        "?1::bigint[], ?2::bigint[], ?3::bigint[], ?4::bigint[], ?5::bigint[], ?6::bigint[], ?7::bigint[]"),
    [SQL_INDEX_NUMBER_ADD] = BLOCK_ADD("index_number", "parameter, unit, low, high", "9",
                                       "?1::bigint[], ?2::bigint[], ?3::float8[], ?4::float8[], "
                                       "?5::bigint[], ?6::bigint[], ?7::bigint[], ?8::bigint[]"),
    [SQL_INDEX_KEY_COPY] = BLOCK_COPY("index_key", "parameter, value"),
    [SQL_INDEX_TEXT_COPY] = "COPY index_text FROM STDIN (FORMAT binary)",
    [SQL_INDEX_DATE_COPY] = BLOCK_COPY("index_date", "parameter, from_ms, to_ms"),
    [SQL_INDEX_NUMBER_COPY] = BLOCK_COPY("index_number", "parameter, unit, low, high"),
    [SQL_INDEX_KEY_AGAIN] = "SELECT index_key_again(p, v, s, r) FROM unnest(?1::bigint[], ?2::bigint[], "
                            "?3::bigint[], ?4::bigint[]) u(p, v, s, r)",
    [SQL_INDEX_TEXT_AGAIN] = TEXT_ADD " ON CONFLICT DO NOTHING",
    [SQL_INDEX_DATE_AGAIN] = "SELECT index_date_again(p, f, t, s, r) FROM unnest(?1::bigint[], ?2::bigint[], "
                             "?3::bigint[], ?4::bigint[], ?5::bigint[]) u(p, f, t, s, r)",
    [SQL_INDEX_NUMBER_AGAIN] =
        "SELECT index_number_again(p, n, l, h, s, r) FROM unnest(?1::bigint[], ?2::bigint[], ?3::float8[], "
        "?4::float8[], ?5::bigint[], ?6::bigint[]) u(p, n, l, h, s, r)",
    [SQL_WORDS_HAS] = "SELECT 1 FROM words WHERE key = ?1",
    [SQL_WORDS_ADD] = "WITH added AS (INSERT INTO words SELECT * FROM unnest(?1::bigint[], ?2::text[])"
                      " ON CONFLICT DO NOTHING RETURNING key)"
                      /* IS TRUE: looked up in a hash of `added`, not joined. */
                      " INSERT INTO gram SELECT * FROM unnest(?3::bigint[], ?4::bigint[]) g(gram, words)"
                      " WHERE (g.words IN (SELECT key FROM added)) IS TRUE ON CONFLICT DO NOTHING",
    [SQL_CODING_HAS] = "SELECT 1 FROM coding WHERE brief = ?1 AND whole = ?2",
    [SQL_CODING_ADD] = "INSERT INTO coding VALUES(?1, ?2) ON CONFLICT DO NOTHING",
    [SQL_GRAM_ADD] = "INSERT INTO gram VALUES(?1, ?2) ON CONFLICT DO NOTHING",
    [SQL_SWEEP_NEXT] = "SELECT n.seq, h.seq FROM version n JOIN history h"
                       " ON h.resource = n.resource AND h.version = n.version - 1"
                       " WHERE n.seq > ?1 AND n.seq <= ?2 AND n.version > 1 ORDER BY n.seq LIMIT ?3",
    [SQL_SWEEP_KEY] = "SELECT index_key_sweep(?1, ?2, ?3)",
    [SQL_SWEEP_TEXT] = "DELETE FROM index_text WHERE parameter = ?1 AND value = ?2 AND seq = ?3",
    [SQL_SWEEP_DATE] = "SELECT index_date_sweep(?1, ?2, ?3, ?4)",
    [SQL_SWEEP_NUMBER] = "SELECT index_number_sweep(?1, ?2, ?3, ?4, ?5)",
    [SQL_ROWS_SET] = "UPDATE version SET " ROWS_ARE " = (?2, ?3, ?4, ?5, ?6, ?7) WHERE seq = ?1 AND " ROWS_ARE
                     " IS DISTINCT FROM (?2::bigint[], ?3::bigint[], ?4::bigint[], ?5::bigint[], "
                     "?6::float8[], ?7::float8[])",
    [SQL_SWEEP_TEXT_OF] = "DELETE FROM index_text WHERE seq = ?1",
    [SQL_SWEPT_SET] = "UPDATE index_mark SET swept = ?1",
    /* From one parameter in use to the next: nothing is indexed by the value alone. */
    [SQL_PIECE_NAMED] =
        "WITH RECURSIVE p(x) AS (SELECT min(parameter) FROM index_key UNION ALL"
        " SELECT (SELECT min(parameter) FROM index_key WHERE parameter > x) FROM p WHERE x IS NOT NULL)"
        " SELECT 1 FROM p WHERE x IS NOT NULL AND (EXISTS (SELECT 1 FROM index_key"
        " WHERE parameter = x AND value = ?1 AND (seq <> ?2 OR more IS NOT NULL))) LIMIT 1",
    [SQL_WORDS_DROP] = "DELETE FROM words WHERE key = ?1",
    [SQL_GRAM_DROP] = "DELETE FROM gram WHERE gram = ?1 AND words = ?2",
    [SQL_VERSION_ERASE] = "UPDATE version SET method = 3, body = NULL, " ROWS_ARE
                          " = (NULL, NULL, NULL, NULL, NULL, NULL) WHERE seq = ?1",
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
        " WHERE resource = ?1 AND (?2::bigint = 0 OR post = ?2) AND from_ms <= ?3 AND until_ms > ?3",
    [SQL_GRANT_LIST_BASIS] =
        "SELECT resource, post, basis FROM grants"
        " WHERE basis = ?1 AND (?2::bigint = 0 OR post = ?2) AND from_ms <= ?3 AND until_ms > ?3",
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
    [SQL_JOB_END] =
        "UPDATE job SET state = ?2, result = ?3, run_after_ms = ?4, updated_ms = ?5,"
        " progress = CASE WHEN ?2::bigint = 3 THEN 1000 ELSE progress END, attempts = attempts - ?6"
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
    [SQL_JOB_LIST] = "SELECT " JOB_COLUMNS " FROM job WHERE id < ?4 AND (?1::text IS NULL OR kind = ?1)"
                     " AND (?2::text IS NULL OR subject = ?2) AND (?3::bigint = 0 OR state = ?3)"
                     " ORDER BY id DESC LIMIT ?5",
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
    [SQL_CHECK_INTEGRITY] = "SELECT 'ok'::text",
    [SQL_CHECK_GAPS] = "SELECT count(*), coalesce(min(seq), 1), coalesce(max(seq), 0) FROM version",
    /* Resources whose latest version is missing, ended, or of another resource. */
    [SQL_CHECK_RESOURCES] = "SELECT r.key FROM resource r LEFT JOIN version v ON v.seq = r.seq"
                            " WHERE v.seq IS NULL OR v.resource <> r.key OR v.ended_seq IS NOT NULL LIMIT 20",
    /* Versions that claim to be the latest and are not. */
    [SQL_CHECK_CURRENT] = "SELECT v.seq FROM version v LEFT JOIN resource r ON r.key = v.resource"
                          " WHERE v.ended_seq IS NULL AND r.seq IS DISTINCT FROM v.seq LIMIT 20",
    /* Ended versions that are not in the history or whose follower is not the next version of the resource. */
    [SQL_CHECK_CHAIN] = "SELECT v.seq FROM version v LEFT JOIN version n ON n.seq = v.ended_seq"
                        " LEFT JOIN history h ON h.resource = v.resource AND h.version = v.version"
                        " WHERE v.ended_seq IS NOT NULL AND (n.seq IS NULL OR n.resource <> v.resource"
                        " OR n.version <> v.version + 1 OR h.seq IS DISTINCT FROM v.seq) LIMIT 20",
    [SQL_CHECK_COUNTS] = "SELECT (SELECT count(*) FROM version), (SELECT count(*) FROM resource)",
    [SQL_CHECK_ALL_KEY] = CHECK_ALL("k.parameter, k.value", "key"),
    [SQL_CHECK_ALL_TEXT] = CHECK_ALL("k.parameter, k.value", "text"),
    [SQL_CHECK_ALL_DATE] = CHECK_ALL("k.parameter, k.from_ms, k.to_ms", "date"),
    [SQL_CHECK_ALL_NUMBER] = CHECK_ALL("k.parameter, k.unit, k.low, k.high", "number"),
    [SQL_CHECK_HAS_KEY] = BLOCK_HAS("index_key", "value = ?2", "?3"),
    [SQL_CHECK_HAS_TEXT] = "SELECT 1 FROM index_text WHERE parameter = ?1 AND value = ?2 AND seq = ?3",
    [SQL_CHECK_HAS_DATE] = BLOCK_HAS("index_date", "from_ms = ?2 AND to_ms = ?3", "?4"),
    [SQL_CHECK_HAS_NUMBER] = BLOCK_HAS("index_number", "unit = ?2 AND low = ?3 AND high = ?4", "?5"),
    [SQL_CHECK_OF_REFERENCE] =
        "SELECT 1 FROM reference_of WHERE parameter = ?1 AND value = ?2 AND seq = ?3 LIMIT 1",
    [SQL_CHECK_OF_DATE] =
        "SELECT 1 FROM date_of WHERE parameter = ?1 AND from_ms = ?2 AND to_ms = ?3 AND seq = ?4 LIMIT 1",
    [SQL_CHECK_OF_NUMBER] = "SELECT 1 FROM number_of WHERE parameter = ?1 AND unit = ?2 AND low = ?3"
                            " AND high = ?4 AND seq = ?5 LIMIT 1",
    [SQL_TABLE_NAMES] = "SELECT nspname::text FROM pg_namespace",
    [SQL_SNAPSHOT_EXPORT] = "SELECT pg_export_snapshot()",
    [SQL_STORE_SIZE] = "SELECT pg_database_size(current_database())",
    [SQL_SCHEMA] = "SELECT quote_ident(current_schema())",
    [SQL_TABLES] = "SELECT count(*) FROM pg_class WHERE relnamespace = current_schema()::regnamespace"
                   " AND relkind IN ('r', 'p')",
};
