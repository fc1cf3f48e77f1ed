/* archive_sql.h — the SQLite side of the archive's index: statements, connections and small helpers, shared by
 * archive_index.c (writing) and archive_lookup.c (reading). Not for others. */
#ifndef SHANHAI_DICOM_ARCHIVE_SQL_H
#define SHANHAI_DICOM_ARCHIVE_SQL_H

#include <pthread.h>

#include <sqlite3.h>

#include "dicom/archive_internal.h"

enum archive_statement {
    ARCHIVE_SQL_INSERT_INSTANCE,
    ARCHIVE_SQL_ADD_TO_SERIES,
    ARCHIVE_SQL_ADD_TO_STUDY,
    ARCHIVE_SQL_FIND_HASH,
    ARCHIVE_SQL_FIND_FIRST,
    ARCHIVE_SQL_FIND_SOURCE,
    ARCHIVE_SQL_ADD_SOURCE,
    ARCHIVE_SQL_LIST_SOURCES,
    ARCHIVE_SQL_SET_VERDICT,
    ARCHIVE_SQL_SHOW_SOURCE,
    ARCHIVE_SQL_COUNT_SERIES,
    ARCHIVE_SQL_COUNT_STUDY,
    ARCHIVE_SQL_SWAP_ADD,
    ARCHIVE_SQL_SWAP_LEAVE,
    ARCHIVE_SQL_SWAP_ENTER,
    ARCHIVE_SQL_SWAP_STUDY,
    ARCHIVE_SQL_SWAP_DROP,
    ARCHIVE_SQL_FIND_SERIES_STUDY,
    ARCHIVE_SQL_PACK_END,
    ARCHIVE_SQL_LIST_PACKS,
    ARCHIVE_SQL_FORGET_LIST,
    ARCHIVE_SQL_FORGET_INSTANCES,
    ARCHIVE_SQL_FORGET_COUNT_SERIES,
    ARCHIVE_SQL_FORGET_COUNT_STUDIES,
    ARCHIVE_SQL_SET_DUE,
    ARCHIVE_SQL_NEXT_DUE,
    ARCHIVE_SQL_SET_TOLD,
    ARCHIVE_SQL_FIND_STUDY,
    ARCHIVE_SQL_LIST_SERIES,
    ARCHIVE_SQL_SET_METADATA,
    ARCHIVE_SQL_FIND_INSTANCE,
    ARCHIVE_SQL_LIST_INSTANCES,
    ARCHIVE_SQL_BEGIN,
    ARCHIVE_SQL_COMMIT,
    ARCHIVE_SQL_ROLLBACK,
    ARCHIVE_SQL_STATEMENTS_COUNT
};

#define STUDY_COLUMNS                                                                                        \
    "t.uid, t.patient_name, t.patient_id, t.issuer, t.birth_date, t.sex, t.accession, t.study_id, t.date, "  \
    "t.time, t.description, t.referring, t.institution, t.timezone, t.organization, "                        \
    "(SELECT group_concat(m, '\\') FROM (SELECT DISTINCT modality AS m FROM series WHERE study = t.uid AND " \
    "instances > 0 AND modality IS NOT NULL ORDER BY 1)), t.instances, (SELECT count(*) FROM series WHERE "  \
    "study = t.uid AND instances > 0)"
/* The same without what is counted: of many rows of one study. */
#define STUDY_COLUMNS_FEW                                                                                    \
    "t.uid, t.patient_name, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, t.description, NULL, NULL, "     \
    "NULL, NULL, "                                                                                           \
    "NULL, 0, 0"
#define SERIES_COLUMNS                                                                                       \
    "s.uid, s.modality, s.number, s.description, s.body_part, s.date, s.time, s.laterality, "                \
    "s.manufacturer, "                                                                                       \
    "s.model, s.station, s.kernel, s.pack, s.instances, s.metadata_instances"
#define INSTANCE_COLUMNS                                                                                     \
    "i.study, i.series, i.sop, i.class, i.syntax, s.pack, i.offset, i.bytes, i.header_bytes, "               \
    "i.frame_offset, "                                                                                       \
    "i.frame_bytes, i.frames, i.number, i.hash, i.rows, i.columns, i.bits"
enum { STUDY_COLUMNS_COUNT = 18, SERIES_COLUMNS_COUNT = 15 };

struct archive_connection {
    pthread_mutex_t lock; /* guards the database handle and its statements */
    sqlite3 *database;
    sqlite3_stmt *prepared[ARCHIVE_SQL_STATEMENTS_COUNT];
};

struct archive_index {
    struct archive_connection writer;
    struct archive_connection reader;
    struct archive_connection query; /* of QIDO, which may take long: frames do not wait for it */
};

bool archive_sql_open(struct archive_connection *connection, const char *path,
                      struct error *error) MUST_CHECK;
void archive_sql_close(struct archive_connection *connection);

/* Makes the tables where they are missing. */
bool archive_sql_make_tables(struct archive_connection *connection, struct error *error) MUST_CHECK;

/* Always false: the error of the last call on `database`; ERROR_FULL when the disk is full. */
bool archive_sql_fail(sqlite3 *database, struct error *error);

/* The prepared statement, ready to be bound; NULL with an error. */
sqlite3_stmt *archive_sql_statement(struct archive_connection *connection, enum archive_statement which,
                                    struct error *error);
/* The text must live until the statement is finished. */
void archive_sql_bind_text(sqlite3_stmt *statement, int index, struct str text);
void archive_sql_bind_number(sqlite3_stmt *statement, int index, uint64_t number);

/* Runs to the end, no rows wanted, and finishes. */
bool archive_sql_run(struct archive_connection *connection, sqlite3_stmt *statement,
                     struct error *error) MUST_CHECK;
bool archive_sql_run_plain(struct archive_connection *connection, enum archive_statement which,
                           struct error *error);
void archive_sql_finish(sqlite3_stmt *statement);

/* ---- archive_source.c ---- */

struct archive_source_key {
    struct str study;
    struct str organization;
    struct str patient_id;
};
struct archive_source_found {
    bool has_study;
    bool is_first;  /* the study's first source */
    int64_t number; /* of another one; 0: not known yet */
    int verdict;
};
bool archive_index_find_source(struct archive_connection *connection, const struct archive_source_key *key,
                               struct archive_source_found *found, struct error *error) MUST_CHECK;

#endif
