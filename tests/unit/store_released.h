/* store_released.h — the schema of each released version, as it made an empty store: what an upgrade begins with.
 * Never changed; a release adds its own. */
#ifndef SHANHAI_TESTS_STORE_RELEASED_H
#define SHANHAI_TESTS_STORE_RELEASED_H

/* 0.1.0 */
static const char released_1[] =
    "CREATE TABLE meta(name TEXT PRIMARY KEY, value) WITHOUT ROWID;"
    "CREATE TABLE setting(area TEXT, name TEXT, value BLOB, PRIMARY KEY(area, name)) WITHOUT ROWID;"
    "CREATE TABLE resource_type(number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);"
    "CREATE TABLE dictionary(id INTEGER PRIMARY KEY, type TEXT, created_ms INTEGER, bytes BLOB NOT NULL);"
    "CREATE TABLE resource(key INTEGER PRIMARY KEY, seq INTEGER NOT NULL);"
    "CREATE TABLE version(seq INTEGER PRIMARY KEY, resource INTEGER NOT NULL, version INTEGER NOT NULL,"
    " type INTEGER NOT NULL, id NOT NULL, method INTEGER NOT NULL, updated_ms INTEGER NOT NULL,"
    " custodian INTEGER NOT NULL, author INTEGER NOT NULL, ended_seq INTEGER, body BLOB);"
    "CREATE INDEX version_by_type ON version(type, seq);"
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
    "CREATE TABLE reference_of(seq INTEGER, parameter INTEGER, value INTEGER,"
    " PRIMARY KEY(seq, parameter, value)) WITHOUT ROWID;"
    "CREATE TABLE text_of(seq INTEGER, parameter INTEGER, value TEXT,"
    " PRIMARY KEY(seq, parameter, value)) WITHOUT ROWID;"
    "CREATE TABLE date_of(seq INTEGER, parameter INTEGER, from_ms INTEGER, to_ms INTEGER,"
    " PRIMARY KEY(seq, parameter, from_ms, to_ms)) WITHOUT ROWID;"
    "CREATE TABLE number_of(seq INTEGER, parameter INTEGER, unit INTEGER, low REAL, high REAL,"
    " PRIMARY KEY(seq, parameter, unit, low, high)) WITHOUT ROWID;"
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

#endif
