/* store_ask.h — one number from the store's database, beside the program. After store_fixture.h. */
#ifndef SHANHAI_TESTS_STORE_ASK_H
#define SHANHAI_TESTS_STORE_ASK_H

#include <sqlite3.h>

static inline int64_t ask(const char *sql)
{
    char path[96];
    sqlite3 *database = NULL;
    sqlite3_stmt *statement = NULL;
    if (test_server() != NULL) {
        char url[512];
        test_database_url(folder, url);
        (void)snprintf(path, sizeof path, "%s/number", folder);
        return test_sql_number(url, path, sql);
    }
    (void)snprintf(path, sizeof path, "%s/store.db", folder);
    assert_int_equal(sqlite3_open(path, &database), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(database, sql, -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    int64_t value = sqlite3_column_int64(statement, 0);
    (void)sqlite3_finalize(statement);
    assert_int_equal(sqlite3_close(database), SQLITE_OK);
    return value;
}

#endif
