/* schema_postgresql.c — the tables of a PostgreSQL store, and what brings those of an older one forward.
 *
 * Every table of resources has the resource's key as a column of its primary key, so that it can be distributed by hash of
 * it (docs/scale.md); with `partitions` it is, over native partitions. All whole numbers are bigint (the 64 bits of a key,
 * signed); all texts compare as bytes.
 *
 * Index rows by value are *blocks* (docs/modules/store.md, "Blocks"): one row for all versions of a group that share the
 * value: `seq` is the first of them, `more` the others, ascending, NULL when there is none. Blocks of a value never reach
 * into each other, so the block that may have a version is the last one that begins at or before it. A block is only
 * changed by a re-index and by sweeping. index_key_row and so on show each version as a row. The rows by version are
 * columns of the version, which reference_of, date_of and number_of show as rows; texts, which hardly ever repeat, are
 * rows with a second index. */
#include "store/sql.h"

#include <assert.h>

#include "base/buf.h"

#define TEXT "text COLLATE \"C\""

/* The rows of a version by itself. References are pairs (parameter, value), dates are (parameter, from, to), each after
 * the other; of numbers `highs` is NULL when all are equal to the lows. */
#define VERSION_ROWS(sep)                                                                                    \
    " reference_rows bigint[]" sep " date_rows bigint[]" sep " number_parameters bigint[]" sep               \
    " number_units bigint[]" sep " number_lows float8[]" sep " number_highs float8[]"

/* What a table of blocks needs: its versions as rows, and the ways in which one is added late and taken out. `values`: the
 * columns of the value, `takes`: the same with their types as arguments, `is`: that they are those of the arguments. */
#define BLOCK(name, values, takes, given, is)                                                                \
    "CREATE VIEW " name "_row AS SELECT b.parameter, " values ", b.seq AS first, u.seq FROM " name " b"      \
    " CROSS JOIN LATERAL unnest(b.seq || b.more) u(seq);"                                                    \
    "CREATE FUNCTION " name "_again(p bigint, " takes ", s bigint, r bigint) RETURNS void"                   \
    " LANGUAGE plpgsql AS $block$ DECLARE b record; BEGIN"                                                   \
    " SELECT seq, resource, more INTO b FROM " name " WHERE parameter = p AND " is " AND seq <= s"           \
    " ORDER BY seq DESC LIMIT 1;"                                                                            \
    " IF b.seq = s OR s = ANY(b.more) THEN RETURN; END IF;"                                                  \
    " IF s < b.more[cardinality(b.more)] THEN"                                                               \
    " UPDATE " name " SET more = (SELECT array_agg(x ORDER BY x) FROM unnest(s || b.more) x)"                \
    " WHERE parameter = p AND " is " AND seq = b.seq AND resource = b.resource;"                             \
    " ELSE INSERT INTO " name "(parameter, " values ", seq, resource) VALUES(p, " given ", s, r); END IF;"   \
    " END $block$;"                                                                                          \
    "CREATE FUNCTION " name "_sweep(p bigint, " takes ", s bigint) RETURNS void"                             \
    " LANGUAGE plpgsql AS $block$ DECLARE b record; BEGIN"                                                   \
    " SELECT seq, resource, more INTO b FROM " name " WHERE parameter = p AND " is " AND seq <= s"           \
    " ORDER BY seq DESC LIMIT 1;"                                                                            \
    " IF b.seq = s AND b.more IS NULL THEN"                                                                  \
    " DELETE FROM " name " WHERE parameter = p AND " is " AND seq = s AND resource = b.resource;"            \
    " ELSIF b.seq = s THEN UPDATE " name " SET seq = more[1], more = nullif(more[2:], '{}')"                 \
    " WHERE parameter = p AND " is " AND seq = s AND resource = b.resource;"                                 \
    " ELSIF s = ANY(b.more) THEN UPDATE " name " SET more = nullif(array_remove(more, s), '{}')"             \
    " WHERE parameter = p AND " is " AND seq = b.seq AND resource = b.resource; END IF;"                     \
    " END $block$;"

/* In pieces: C99 knows texts of 4,095 characters. */
static const char *const index_rows[] = {
    "CREATE VIEW index_text_row AS SELECT parameter, value, seq AS first, seq FROM index_text;",
    BLOCK("index_key", "value", "v bigint", "v", "value = v"),
    BLOCK("index_date", "from_ms, to_ms", "f bigint, t bigint", "f, t", "from_ms = f AND to_ms = t"),
    BLOCK("index_number", "unit, low, high", "u bigint, l float8, h float8", "u, l, h",
          "unit = u AND low = l AND high = h"),
    "CREATE VIEW reference_of AS SELECT v.seq, v.reference_rows[i] AS parameter,"
    " v.reference_rows[i + 1] AS value FROM version v"
    " CROSS JOIN LATERAL generate_series(1, cardinality(v.reference_rows), 2) i;",
    "CREATE VIEW date_of AS SELECT v.seq, v.date_rows[i] AS parameter, v.date_rows[i + 1] AS from_ms,"
    " v.date_rows[i + 2] AS to_ms FROM version v"
    " CROSS JOIN LATERAL generate_series(1, cardinality(v.date_rows), 3) i;",
    "CREATE VIEW number_of AS SELECT v.seq, n.parameter, n.unit, n.low, coalesce(n.high, n.low) AS high"
    " FROM version v CROSS JOIN LATERAL unnest(v.number_parameters, v.number_units, v.number_lows,"
    " v.number_highs) n(parameter, unit, low, high);",
};

static void add_index_rows(struct buf *buf)
{
    for (size_t i = 0; i < sizeof index_rows / sizeof *index_rows; i++) {
        buf_add(buf, str_from_cstr(index_rows[i]));
    }
}

#define CODING "brief bigint, whole bigint, PRIMARY KEY(brief, whole)"

struct table {
    const char *name;
    const char *columns;
    const char *by; /* the column of the resource's key; NULL: one table whatever happens */
};

static const struct table tables[] = {
    { "meta", "name " TEXT " PRIMARY KEY, value bigint", NULL },
    { "setting", "area " TEXT ", name " TEXT ", value bytea, PRIMARY KEY(area, name)", NULL },
    { "resource_type", "number bigint PRIMARY KEY, name " TEXT " NOT NULL UNIQUE", NULL },
    { "dictionary", "id bigint PRIMARY KEY, type " TEXT ", created_ms bigint, bytes bytea NOT NULL", NULL },
    { "resource", "key bigint PRIMARY KEY, seq bigint NOT NULL", "key" },
    { "version",
      "seq bigint, resource bigint, version bigint NOT NULL, type bigint NOT NULL, id " TEXT " NOT NULL,"
      " method bigint NOT NULL, updated_ms bigint NOT NULL, custodian bigint NOT NULL,"
      " author bigint NOT NULL, ended_seq bigint, body bytea," VERSION_ROWS(
          ",") ", PRIMARY KEY(seq, resource)",
      "resource" },
    { "history", "resource bigint, version bigint, seq bigint NOT NULL, PRIMARY KEY(resource, version)",
      "resource" },
    { "index_key",
      "parameter bigint, value bigint, seq bigint, resource bigint, more bigint[],"
      " PRIMARY KEY(parameter, value, seq, resource)",
      "resource" },
    { "index_text",
      "parameter bigint, value " TEXT ", seq bigint, resource bigint,"
      " PRIMARY KEY(parameter, value, seq, resource)",
      "resource" },
    { "index_date",
      "parameter bigint, from_ms bigint, to_ms bigint, seq bigint, resource bigint, more bigint[],"
      " PRIMARY KEY(parameter, from_ms, to_ms, seq, resource)",
      "resource" },
    { "index_number",
      "parameter bigint, unit bigint, low float8, high float8, seq bigint, resource bigint, more bigint[],"
      " PRIMARY KEY(parameter, unit, low, high, seq, resource)",
      "resource" },
    { "index_mark",
      "merged bigint NOT NULL, run bigint NOT NULL, position bigint NOT NULL,"
      " swept bigint NOT NULL DEFAULT 0",
      NULL },
    { "coding", CODING, NULL },
    { "words", "key bigint PRIMARY KEY, value " TEXT " NOT NULL", NULL },
    { "gram", "gram bigint, words bigint, PRIMARY KEY(gram, words)", NULL },
    { "grants",
      "resource bigint, post bigint, basis bigint, from_ms bigint NOT NULL, until_ms bigint NOT NULL,"
      " PRIMARY KEY(resource, post, basis)",
      "resource" },
    { "audit_outbox", "number bigint PRIMARY KEY, records bytea NOT NULL", NULL },
    { "job",
      "id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, kind " TEXT " NOT NULL, subject " TEXT ","
      " unique_text " TEXT ", state bigint NOT NULL, input bytea, result bytea, progress bigint NOT NULL,"
      " attempts bigint NOT NULL, run_after_ms bigint NOT NULL, created_ms bigint NOT NULL,"
      " updated_ms bigint NOT NULL",
      NULL },
    { "feed_cursor", "name " TEXT " PRIMARY KEY, seq bigint NOT NULL", NULL },
    { "own_table", "name " TEXT " PRIMARY KEY, version bigint NOT NULL", NULL },
    { "view_registry",
      "name " TEXT " PRIMARY KEY, type " TEXT " NOT NULL, known bigint NOT NULL, digest bigint NOT NULL,"
      " columns " TEXT " NOT NULL, filled_seq bigint NOT NULL",
      NULL },
    /* Who writes: a number raised at each open, and the number of the last commit (database_postgresql.c). */
    { "writer", "fence bigint NOT NULL, commits bigint NOT NULL", NULL },
};

/* After the tables. writer_step runs in every commit: whoever was followed by another writer fails there. */
static const char rest[] =
    "INSERT INTO index_mark VALUES(0, 0, 0); INSERT INTO writer VALUES(0, 0);"
    "CREATE INDEX version_by_type ON version(type, seq);"
    "CREATE INDEX index_text_of ON index_text(seq, parameter, value);"
    "CREATE VIEW text_of AS SELECT seq, parameter, value FROM index_text;"
    "CREATE INDEX grants_by_basis ON grants(basis);"
    "CREATE INDEX grants_by_post ON grants(post, until_ms);"
    "CREATE INDEX job_waiting ON job(kind, run_after_ms, id) WHERE state = 1;"
    "CREATE INDEX job_unique ON job(unique_text) WHERE state IN (1, 2) AND unique_text IS NOT NULL;"
    "CREATE FUNCTION instr(text, text) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT strpos($1, $2)';"
    "CREATE FUNCTION writer_step(bigint, bigint) RETURNS void LANGUAGE plpgsql AS $step$ BEGIN"
    " UPDATE writer SET commits = $2 WHERE fence = $1;"
    " IF NOT FOUND THEN RAISE EXCEPTION 'another server writes' USING ERRCODE = 'SH001'; END IF;"
    " END $step$;"
    /* What indicator SQL may call (store/views.h), in a schema of its own. */
    "CREATE SCHEMA IF NOT EXISTS shanhai_sql;"
    "CREATE OR REPLACE FUNCTION shanhai_sql.ratio(float8, float8) RETURNS float8 LANGUAGE sql IMMUTABLE"
    " AS 'SELECT $1 / nullif($2, 0)';"
    "CREATE OR REPLACE FUNCTION shanhai_sql.days_between(float8, float8) RETURNS float8 LANGUAGE sql"
    " IMMUTABLE AS 'SELECT ($2 - $1) / 86400000.0::float8';"
    "CREATE OR REPLACE FUNCTION shanhai_sql.local_day(bigint) RETURNS bigint LANGUAGE sql STABLE AS"
    " 'SELECT floor(($1 + 60000 * current_setting(''shanhai.offset_minutes'')::bigint) / 86400000.0)"
    "::bigint';"
    "CREATE OR REPLACE FUNCTION shanhai_sql.one_of(text, text) RETURNS boolean LANGUAGE sql IMMUTABLE"
    " AS 'SELECT coalesce($1 <> '''' AND $1 = ANY(string_to_array($2, '' '')), false)';"
    "CREATE OR REPLACE FUNCTION shanhai_sql.as_of_seq() RETURNS bigint LANGUAGE sql STABLE"
    " AS 'SELECT current_setting(''shanhai.as_of_seq'')::bigint';"
    "CREATE OR REPLACE FUNCTION shanhai_sql.sample_middle(float8[]) RETURNS float8 LANGUAGE sql IMMUTABLE"
    " AS 'SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY v) FROM unnest($1) v';"
    "CREATE OR REPLACE FUNCTION shanhai_sql.sample_add(float8[], float8, float8) RETURNS float8[]"
    " LANGUAGE plpgsql IMMUTABLE AS $sample$ BEGIN IF $1 IS NULL THEN RETURN ARRAY[$3, $2]; END IF;"
    " RETURN array_append($1, $2); END $sample$;"
    "CREATE OR REPLACE FUNCTION shanhai_sql.sample_part(float8[]) RETURNS float8 LANGUAGE sql IMMUTABLE"
    " AS 'SELECT percentile_cont($1[1]) WITHIN GROUP (ORDER BY v) FROM unnest($1[2:]) v';"
    "CREATE OR REPLACE AGGREGATE shanhai_sql.median(float8) (SFUNC = array_append, STYPE = float8[],"
    " FINALFUNC = shanhai_sql.sample_middle);"
    "CREATE OR REPLACE AGGREGATE shanhai_sql.percentile(float8, float8) (SFUNC = shanhai_sql.sample_add,"
    " STYPE = float8[], FINALFUNC = shanhai_sql.sample_part);";

void sql_parts_postgresql(struct buf *buf, const char *name, const char *by, unsigned partitions)
{
    if (partitions == 0 || by == NULL) {
        buf_add_char(buf, ';');
        return;
    }
    buf_printf(buf, " PARTITION BY HASH(%s);", by);
    for (unsigned i = 0; i < partitions; i++) {
        buf_printf(buf, "CREATE TABLE %s_part_%u PARTITION OF %s FOR VALUES WITH (MODULUS %u, REMAINDER %u);",
                   name, i, name, partitions, i);
    }
}

void sql_schema_postgresql(struct buf *buf, unsigned partitions)
{
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        buf_printf(buf, "CREATE TABLE %s(%s)", tables[i].name, tables[i].columns);
        sql_parts_postgresql(buf, tables[i].name, tables[i].by, partitions);
    }
    buf_add(buf, str_from_cstr(rest));
    add_index_rows(buf);
}

/* Version 8: what was a row a version becomes a block of one; what was found over second indexes becomes columns. */
static const char to_blocks[] = "ALTER TABLE version ADD COLUMN" VERSION_ROWS(
    ", ADD COLUMN") ";"
                    "UPDATE version v SET reference_rows = (SELECT array_agg(w.word ORDER BY "
                    "k.parameter, k.value,"
                    " w.place) FROM index_key k CROSS JOIN LATERAL (VALUES (1, k.parameter), (2, "
                    "k.value)) w(place, word)"
                    " WHERE k.seq = v.seq AND k.reference = 1),"
                    " date_rows = (SELECT array_agg(w.word ORDER BY k.parameter, k.from_ms, k.to_ms, "
                    "w.place)"
                    " FROM index_date k CROSS JOIN LATERAL"
                    " (VALUES (1, k.parameter), (2, k.from_ms), (3, k.to_ms)) w(place, word) WHERE k.seq "
                    "= v.seq),"
                    " (number_parameters, number_units, number_lows, number_highs) ="
                    " (SELECT array_agg(k.parameter ORDER BY k.parameter, k.unit, k.low, k.high),"
                    " array_agg(k.unit ORDER BY k.parameter, k.unit, k.low, k.high),"
                    " array_agg(k.low ORDER BY k.parameter, k.unit, k.low, k.high),"
                    " CASE WHEN bool_and(k.low = k.high) THEN NULL"
                    " ELSE array_agg(k.high ORDER BY k.parameter, k.unit, k.low, k.high) END"
                    " FROM index_number k WHERE k.seq = v.seq);"
                    "DROP VIEW reference_of; DROP VIEW date_of; DROP VIEW number_of;"
                    "DROP INDEX index_key_of; DROP INDEX index_date_of; DROP INDEX index_number_of;"
                    "ALTER TABLE index_key DROP COLUMN reference, ADD COLUMN more bigint[];"
                    "ALTER TABLE index_date ADD COLUMN more bigint[]; ALTER TABLE index_number ADD "
                    "COLUMN more bigint[];";

void sql_step_postgresql(struct buf *buf, int from)
{
    assert(from >= 4); /* what versions 5 and 6 changed was the other engine's */
    if (from == 6) {
        buf_add(buf, STR("CREATE TABLE coding(" CODING ");"));
    }
    if (from == 7) {
        buf_add(buf, str_from_cstr(to_blocks));
        add_index_rows(buf);
    }
}
