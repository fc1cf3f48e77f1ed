/* archive_lookup.c — reading the archive's index: single rows, lists, and the rows of QIDO. */
#include "dicom/archive_sql.h"

#include <stdio.h>

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

struct reading {
    struct archive_connection *connection;
    sqlite3_stmt *statement;
};

static bool begin_reading(struct archive_index *index, enum archive_statement which, struct reading *reading,
                          struct error *error)
{
    reading->connection = &index->reader;
    (void)pthread_mutex_lock(&reading->connection->lock);
    reading->statement = archive_sql_statement(reading->connection, which, error);
    if (reading->statement == NULL) {
        (void)pthread_mutex_unlock(&reading->connection->lock);
        return false;
    }
    return true;
}

static void end_reading(struct reading *reading)
{
    archive_sql_finish(reading->statement);
    (void)pthread_mutex_unlock(&reading->connection->lock);
}

bool archive_index_pack_end(struct archive_index *index, const char *pack, uint64_t *end, struct error *error)
{
    struct reading reading;
    if (!begin_reading(index, ARCHIVE_SQL_PACK_END, &reading, error)) {
        return false;
    }
    archive_sql_bind_text(reading.statement, 1, str_from_cstr(pack));
    int result = sqlite3_step(reading.statement);
    *end = result == SQLITE_ROW ? (uint64_t)sqlite3_column_int64(reading.statement, 0) : 0;
    bool ok = result == SQLITE_ROW || result == SQLITE_DONE ||
              archive_sql_fail(reading.connection->database, error);
    end_reading(&reading);
    return ok;
}

bool archive_index_packs(struct archive_index *index, struct arena *arena, struct archive_pack_row **rows,
                         size_t *count, struct error *error)
{
    struct reading reading;
    size_t capacity = 0;
    size_t found = 0;
    struct archive_pack_row *list = NULL;
    bool ok = true;
    if (!begin_reading(index, ARCHIVE_SQL_LIST_PACKS, &reading, error)) {
        return false;
    }
    int result = sqlite3_step(reading.statement);
    for (; ok && result == SQLITE_ROW; result = sqlite3_step(reading.statement)) {
        if (found == capacity) {
            capacity = capacity == 0 ? 64 : capacity * 2;
            struct archive_pack_row *grown = ARENA_ARRAY(arena, struct archive_pack_row, capacity);
            if (grown == NULL) {
                ok = FAIL(error, ERROR_TOO_LARGE, "no memory left to list pack files");
                break;
            }
            if (found > 0) {
                memcpy(grown, list, found * sizeof *list);
            }
            list = grown;
        }
        column_uid(reading.statement, 0, list[found].name, sizeof list[found].name);
        list[found++].end = (uint64_t)sqlite3_column_int64(reading.statement, 1);
    }
    ok = ok && (result == SQLITE_DONE || archive_sql_fail(reading.connection->database, error));
    end_reading(&reading);
    *rows = list;
    *count = found;
    return ok;
}

bool archive_index_next_due(struct archive_index *index, char study[ARCHIVE_UID_BYTES], int64_t *due_ms,
                            int64_t *changes, struct error *error)
{
    struct reading reading;
    if (!begin_reading(index, ARCHIVE_SQL_NEXT_DUE, &reading, error)) {
        return false;
    }
    int result = sqlite3_step(reading.statement);
    *due_ms = 0;
    if (result == SQLITE_ROW) {
        column_uid(reading.statement, 0, study, ARCHIVE_UID_BYTES);
        *due_ms = sqlite3_column_int64(reading.statement, 1);
        *changes = sqlite3_column_int64(reading.statement, 2);
    }
    bool ok = result == SQLITE_ROW || result == SQLITE_DONE ||
              archive_sql_fail(reading.connection->database, error);
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
    if (!begin_reading(index, ARCHIVE_SQL_FIND_STUDY, &reading, error)) {
        return false;
    }
    archive_sql_bind_text(reading.statement, 1, uid);
    int result = sqlite3_step(reading.statement);
    bool ok = result == SQLITE_ROW;
    if (ok) {
        take_study(arena, reading.statement, 0, row);
    } else if (result == SQLITE_DONE) {
        (void)FAIL(error, ERROR_NOT_FOUND, "there is no such study");
    } else {
        (void)archive_sql_fail(reading.connection->database, error);
    }
    end_reading(&reading);
    return ok;
}

bool archive_index_sources(struct archive_index *index, struct arena *arena, struct str uid,
                           struct archive_source_row **rows, size_t *count, struct error *error)
{
    enum {
        SOURCES_MAX = 256
    }; /* what more there is stays hidden, and is asked about when others are decided */
    struct reading reading;
    struct archive_source_row *list = ARENA_ARRAY(arena, struct archive_source_row, SOURCES_MAX);
    size_t found = 0;
    if (list == NULL) {
        return FAIL(error, ERROR_TOO_LARGE, "no memory left to list who sent images");
    }
    if (!begin_reading(index, ARCHIVE_SQL_LIST_SOURCES, &reading, error)) {
        return false;
    }
    archive_sql_bind_text(reading.statement, 1, uid);
    archive_sql_bind_number(reading.statement, 2, SOURCES_MAX);
    int result = sqlite3_step(reading.statement);
    for (; result == SQLITE_ROW && found < SOURCES_MAX; result = sqlite3_step(reading.statement)) {
        struct archive_source_row *row = &list[found++];
        struct str *const texts[] = { &row->study.patient_name, &row->study.patient_id,
                                      &row->study.issuer,       &row->study.birth_date,
                                      &row->study.sex,          &row->study.organization };
        for (int i = 0; i < 6; i++) {
            *texts[i] = column_text(arena, reading.statement, i);
        }
        row->verdict = sqlite3_column_int(reading.statement, 6);
        row->study.instances = sqlite3_column_int64(reading.statement, 7);
        row->study.modalities = column_text(arena, reading.statement, 8);
    }
    bool ok = result == SQLITE_DONE || archive_sql_fail(reading.connection->database, error);
    end_reading(&reading);
    *rows = list;
    *count = found;
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
    if (!begin_reading(index, ARCHIVE_SQL_LIST_SERIES, &reading, error)) {
        return false;
    }
    archive_sql_bind_text(reading.statement, 1, study);
    archive_sql_bind_text(reading.statement, 2, uid);
    int result = sqlite3_step(reading.statement);
    while (result == SQLITE_ROW && found < SERIES_MAX) {
        take_series(arena, reading.statement, 0, &list[found++]);
        result = sqlite3_step(reading.statement);
    }
    bool ok =
        result == SQLITE_DONE ||
        (result == SQLITE_ROW ? FAIL(error, ERROR_TOO_COSTLY, "the study has more than %d series", SERIES_MAX)
                              : archive_sql_fail(reading.connection->database, error));
    end_reading(&reading);
    *rows = list;
    *count = found;
    return ok;
}

bool archive_index_instance(struct archive_index *index, struct str sop, struct archive_instance *instance,
                            struct error *error)
{
    struct reading reading;
    if (!begin_reading(index, ARCHIVE_SQL_FIND_INSTANCE, &reading, error)) {
        return false;
    }
    archive_sql_bind_text(reading.statement, 1, sop);
    int result = sqlite3_step(reading.statement);
    bool ok = result == SQLITE_ROW;
    if (ok) {
        take_instance(reading.statement, 0, instance);
    } else if (result == SQLITE_DONE) {
        (void)FAIL(error, ERROR_NOT_FOUND, "there is no such instance");
    } else {
        (void)archive_sql_fail(reading.connection->database, error);
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
    if (!begin_reading(index, ARCHIVE_SQL_LIST_INSTANCES, &reading, error)) {
        return false;
    }
    archive_sql_bind_text(reading.statement, 1, study);
    archive_sql_bind_text(reading.statement, 2, series);
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
    ok = ok && (result == SQLITE_DONE || archive_sql_fail(reading.connection->database, error));
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
    " AND (?6 IS NULL OR EXISTS (SELECT 1 FROM series WHERE study = t.uid AND modality = ?6 AND "            \
    "instances > 0))"
#define SERIES_REST " AND s.instances > 0 AND (?6 IS NULL OR s.modality = ?6) AND (?7 IS NULL OR s.uid = ?7)"
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
    " WHERE " first STUDY_REST SERIES_REST " AND i.hidden = 0 AND (?8 IS NULL OR i.sop = ?8)" INSTANCE_ORDER
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
    struct archive_connection *connection = &index->query;
    sqlite3_stmt *statement = NULL;
    (void)pthread_mutex_lock(&connection->lock);
    bool ok = sqlite3_prepare_v2(connection->database, query_texts[query->level][way_in(query)], -1,
                                 &statement, NULL) == SQLITE_OK ||
              archive_sql_fail(connection->database, error);
    if (!ok) {
        goto done;
    }
    const struct str values[] = { query->study,   query->patient_id, query->accession, query->date_from,
                                  query->date_to, query->modality,   query->series,    query->sop };
    int values_count = sqlite3_bind_parameter_count(statement);
    for (int i = 0; i < values_count; i++) {
        archive_sql_bind_text(statement, i + 1, values[i]);
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
    ok = result == SQLITE_DONE || archive_sql_fail(connection->database, error);
done:
    (void)sqlite3_finalize(statement);
    (void)pthread_mutex_unlock(&connection->lock);
    return ok;
}
