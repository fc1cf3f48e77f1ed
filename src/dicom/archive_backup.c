/* archive_backup.c — a copy of the archive's index, and what of the pack files belongs to it. */
#include "dicom/archive_sql.h"

#include <stdio.h>
#include <unistd.h>

static bool copy_index(const char *path, const char *copy, struct error *error)
{
    sqlite3 *from = NULL;
    sqlite3 *to = NULL;
    sqlite3_backup *backup = NULL;
    int code = sqlite3_open_v2(path, &from, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    if (code == SQLITE_OK) {
        (void)sqlite3_busy_timeout(from, 5000);
        code = sqlite3_open_v2(copy, &to, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
                               NULL);
    }
    if (code == SQLITE_OK) {
        backup = sqlite3_backup_init(to, "main", from, "main");
        code = backup == NULL ? sqlite3_errcode(to) : sqlite3_backup_step(backup, -1);
    }
    int finished = backup == NULL ? code : sqlite3_backup_finish(backup);
    bool ok = (code == SQLITE_DONE && finished == SQLITE_OK) || archive_sql_fail(to, error);
    (void)sqlite3_close(to);
    (void)sqlite3_close(from);
    return ok;
}

static bool list_parts(struct archive_connection *connection, struct arena *arena,
                       struct archive_part **parts, size_t *count, struct error *error)
{
    size_t capacity = 0;
    size_t found = 0;
    struct archive_part *list = NULL;
    sqlite3_stmt *statement = archive_sql_statement(connection, ARCHIVE_SQL_LIST_PACKS, error);
    int result = statement == NULL ? SQLITE_ERROR : sqlite3_step(statement);
    bool ok = statement != NULL;
    for (; ok && result == SQLITE_ROW; result = sqlite3_step(statement)) {
        const char *name = (const char *)sqlite3_column_text(statement, 0);
        if (found == capacity) {
            capacity = capacity == 0 ? 64 : capacity * 2;
            struct archive_part *grown = ARENA_ARRAY(arena, struct archive_part, capacity);
            ok = grown != NULL || FAIL(error, ERROR_TOO_LARGE, "no memory to list pack files");
            if (ok && found > 0) {
                memcpy(grown, list, found * sizeof *list);
            }
            list = grown;
        }
        if (ok) {
            (void)snprintf(list[found].name, sizeof list[found].name, "%s", name == NULL ? "" : name);
            list[found++].bytes = (uint64_t)sqlite3_column_int64(statement, 1);
        }
    }
    ok = ok && (result == SQLITE_DONE || archive_sql_fail(connection->database, error));
    if (statement != NULL) {
        archive_sql_finish(statement);
    }
    *parts = list;
    *count = found;
    return ok;
}

bool archive_backup(struct arena *arena, const char *folder, const char *copy, struct archive_part **parts,
                    size_t *count, struct error *error)
{
    char path[ARCHIVE_PATH_BYTES];
    struct archive_connection connection = { 0 };
    int len = snprintf(path, sizeof path, "%s/index.sqlite", folder);
    *parts = NULL;
    *count = 0;
    if (len < 0 || (size_t)len >= sizeof path) {
        return FAIL(error, ERROR_INPUT, "the path of the image archive is too long");
    }
    if (access(path, F_OK) != 0) {
        return true;
    }
    if (!copy_index(path, copy, error)) {
        return false;
    }
    bool ok =
        archive_sql_open(&connection, copy, error) && list_parts(&connection, arena, parts, count, error);
    archive_sql_close(&connection);
    return ok;
}
