/* sql.h — the one table of SQL statements (the dialect). Everything that the store asks of its database is a row
 * here, except what is put together from declarations: tables of other modules (rows.c), views (views.c) and
 * searches (search_sql.c), which use fragments without values. PostgreSQL's table is sql_postgresql.c. */
#ifndef SHANHAI_STORE_SQL_H
#define SHANHAI_STORE_SQL_H

#include "store/database.h"

enum { STORE_SCHEMA_VERSION = 8 };

enum sql {
    SQL_BEGIN_READ,
    SQL_BEGIN_WRITE,
    SQL_COMMIT,
    SQL_ROLLBACK,
    SQL_SAVEPOINT,
    SQL_SAVEPOINT_UNDO,
    SQL_SAVEPOINT_RELEASE,
    SQL_META_GET, /* name */
    SQL_META_SET, /* name, value */
    SQL_SEQ_LAST,
    SQL_SNAPSHOT,
    SQL_TYPE_ALL,
    SQL_TYPE_ADD,         /* number, name */
    SQL_TYPE_COUNT_UP_TO, /* type, most */
    SQL_DICTIONARY_ALL,
    SQL_DICTIONARY_ADD,  /* id, type, created_ms, bytes */
    SQL_RESOURCE_ADD,    /* PostgreSQL: key, seq */
    SQL_RESOURCES_ADD,   /* PostgreSQL: columns of them */
    SQL_RESOURCE_MOVE,   /* PostgreSQL: key, seq */
    SQL_VERSION_ADD,     /* the columns of version but ended_seq; SQLite: rows */
    SQL_VERSIONS_ADD,    /* PostgreSQL: columns: the same, id and body last */
    SQL_VERSION_END,     /* seq, ended_seq */
    SQL_HISTORY_ADD,     /* resource, version, seq */
    SQL_HISTORY_SEQ,     /* resource, version */
    SQL_HISTORY_AS_OF,   /* resource, seq */
    SQL_VERSION_BY_SEQ,  /* seq */
    SQL_HEADS,           /* PostgreSQL: an array of keys */
    SQL_VERSIONS_BY_SEQ, /* PostgreSQL: an array of seq; in its order */
    SQL_VERSION_BY_KEY,  /* key */
    SQL_INSTANCE_BEFORE, /* resource, before_seq, since, until, limit */
    SQL_TYPE_BEFORE,     /* type, before_seq, since, until, limit */
    SQL_SYSTEM_BEFORE,   /* before_seq, since, until, limit */
    SQL_INSTANCE_AFTER,  /* the same three, oldest first: after_seq in place of before_seq */
    SQL_TYPE_AFTER,
    SQL_SYSTEM_AFTER,
    SQL_INSTANCE_COUNT,   /* resource, since, until */
    SQL_TYPE_COUNT,       /* type, since, until */
    SQL_SYSTEM_COUNT,     /* since, until */
    SQL_FEED,             /* after_seq, limit */
    SQL_FEED_TYPE,        /* type, after_seq, limit */
    SQL_VERSION_TIME,     /* seq: the first at or after it */
    SQL_CURSOR_GET,       /* name */
    SQL_CURSOR_SET,       /* name, seq */
    SQL_SETTING_GET,      /* area, name */
    SQL_SETTING_SET,      /* area, name, value */
    SQL_INDEX_KEY_ADD,    /* parameter, value, seq */
    SQL_INDEX_TEXT_ADD,   /* parameter, value, seq */
    SQL_INDEX_DATE_ADD,   /* parameter, from_ms, to_ms, seq */
    SQL_INDEX_NUMBER_ADD, /* parameter, unit, low, high, seq */
    SQL_INDEX_KEY_COPY,   /* PostgreSQL: the same columns */
    SQL_INDEX_TEXT_COPY,
    SQL_INDEX_DATE_COPY,
    SQL_INDEX_NUMBER_COPY,
    SQL_INDEX_KEY_AGAIN, /* PostgreSQL: the same columns, where rows may be there already */
    SQL_INDEX_TEXT_AGAIN,
    SQL_INDEX_DATE_AGAIN,
    SQL_INDEX_NUMBER_AGAIN,
    SQL_WORDS_HAS,     /* key */
    SQL_WORDS_ADD,     /* key, value */
    SQL_CODING_HAS,    /* brief, whole */
    SQL_CODING_ADD,    /* brief, whole */
    SQL_GRAM_ADD,      /* gram, words */
    SQL_ROWS_SET,      /* seq, packed rows; PostgreSQL: seq, the columns of rows by version */
    SQL_ROWS_GET,      /* SQLite: seq */
    SQL_REFERENCES_OF, /* seq */
    SQL_SWEEP_NEXT,    /* after seq, up to seq, how many: of the follower, of the followed */
    SQL_SWEEP_KEY,     /* parameter, value, seq */
    SQL_SWEEP_TEXT,    /* parameter, value, seq */
    SQL_SWEEP_DATE,    /* parameter, from_ms, to_ms, seq */
    SQL_SWEEP_NUMBER,  /* parameter, unit, low, high, seq */
    SQL_SWEEP_TEXT_OF, /* PostgreSQL: seq; the rest by SQL_ROWS_SET */
    SQL_SWEPT_SET,     /* seq */
    SQL_PIECE_NAMED,   /* key of a piece, seq: whether a version other than that has it */
    SQL_WORDS_DROP,    /* key */
    SQL_GRAM_DROP,     /* gram, words */
    SQL_VERSION_ERASE, /* seq: from then on a deletion without body */
    SQL_PENDING_ADD,   /* id, rows */
    SQL_PENDING_ALL,   /* after id */
    SQL_PENDING_DROP,  /* up to id, how many */
    SQL_MARK_SET,      /* merged, run, position */
    SQL_SLICE_HEAD,    /* what slice_head shows, into `resource` */
    SQL_SLICE_KEY,     /* what slice_key shows, into the main index */
    SQL_SLICE_TEXT,
    SQL_SLICE_DATE,
    SQL_SLICE_NUMBER,
    SQL_GRANT_ADD,       /* resource, post, basis, from_ms, until_ms */
    SQL_GRANT_END,       /* resource, post, basis, now */
    SQL_GRANT_END_BASIS, /* basis, now */
    SQL_GRANT_ALIVE,     /* resource, post, now */
    SQL_AUDIT_ADD,       /* number, records */
    SQL_AUDIT_ALL,
    SQL_AUDIT_DROP,   /* number */
    SQL_JOB_ADD,      /* kind, subject, unique_text, input, run_after_ms, now */
    SQL_JOB_UNIQUE,   /* unique_text */
    SQL_JOB_NEXT,     /* kind, now */
    SQL_JOB_DUE,      /* kind */
    SQL_JOB_START,    /* id, now */
    SQL_JOB_PROGRESS, /* id, progress, now */
    SQL_JOB_END,      /* id, state, result, run_after_ms, now, attempts less */
    SQL_JOB_RETRY,    /* id, now */
    SQL_JOB_CANCEL,   /* id, result, now */
    SQL_JOB_PRUNE,    /* done before, kind that stays, limit */
    SQL_JOB_COUNTS,
    SQL_JOB_GET,    /* id */
    SQL_JOB_LIST,   /* kind, subject, state, before_id, limit */
    SQL_JOB_REVIVE, /* now */
    SQL_TABLE_ALL,
    SQL_TABLE_SET, /* name, version */
    SQL_VIEW_ALL,
    SQL_VIEW_SET,    /* name, type, known, digest, columns, filled_seq */
    SQL_VIEW_FILLED, /* name, filled_seq */
    SQL_VIEW_DROP,   /* name */
    SQL_CHECK_INTEGRITY,
    SQL_CHECK_GAPS,
    SQL_CHECK_RESOURCES,
    SQL_CHECK_CURRENT,
    SQL_CHECK_CHAIN,
    SQL_CHECK_COUNTS,
    SQL_CHECK_ALL_KEY, /* of current versions, each with its seq */
    SQL_CHECK_ALL_TEXT,
    SQL_CHECK_ALL_DATE,
    SQL_CHECK_ALL_NUMBER,
    SQL_CHECK_HAS_KEY,      /* parameter, value, seq */
    SQL_CHECK_HAS_TEXT,     /* parameter, value, seq */
    SQL_CHECK_HAS_DATE,     /* parameter, from_ms, to_ms, seq */
    SQL_CHECK_HAS_NUMBER,   /* parameter, unit, low, high, seq */
    SQL_CHECK_OF_REFERENCE, /* PostgreSQL, of a version's own rows: the same parameters */
    SQL_CHECK_OF_DATE,
    SQL_CHECK_OF_NUMBER,
    SQL_TABLES,
    SQL_TABLE_NAMES,         /* that indicator SQL may not name (PostgreSQL: schemas) */
    SQL_SNAPSHOT_EXPORT,     /* PostgreSQL: a name by which another session sees the same */
    SQL_STORE_SIZE,          /* bytes of all tables and indexes */
    SQL_SCHEMA,              /* PostgreSQL: where the tables are */
    SQL_GRANT_LIST_RESOURCE, /* resource, post or 0, now */
    SQL_GRANT_LIST_BASIS,    /* basis, post or 0, now */
    SQL_COUNT
};

/* The second table (sql_postgresql.c). */
struct buf;
extern const char *const sql_texts_postgresql[SQL_COUNT];
/* What makes a store of version `from` one of the next; nothing where there is nothing to do. */
void sql_step_postgresql(struct buf *buf, int from);
void sql_schema_postgresql(struct buf *buf, unsigned partitions);
/* A column's type. */
const char *sql_kind(enum dialect dialect, enum store_value_kind kind);
/* What ends a CREATE TABLE: ";", or its partitions by hash of the column `by`. */
void sql_parts_postgresql(struct buf *buf, const char *name, const char *by, unsigned partitions);

const char *sql_text(enum dialect dialect, enum sql which);

/* The statements that make an empty store, and those that make a store of version `from` one of the next. */
const char *sql_schema(void); /* of SQLite */
const char *sql_schema_step(int from);

#endif
