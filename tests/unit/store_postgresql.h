/* store_postgresql.h — when SHANHAI_TEST_POSTGRESQL names a server ("postgresql://USER@/postgres?host=…"), each folder of
 * a test gets a database of its own there and the tests of the store run on it (the suite "postgresql" of tests/run.py). */
#ifndef SHANHAI_TESTS_STORE_POSTGRESQL_H
#define SHANHAI_TESTS_STORE_POSTGRESQL_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static inline const char *test_server(void)
{
    return getenv("SHANHAI_TEST_POSTGRESQL");
}

/* SHANHAI_TEST_PARTITIONS: the tables of resources distributed by hash over so many. */
static inline unsigned test_partitions(void)
{
    const char *text = getenv("SHANHAI_TEST_PARTITIONS");
    return text == NULL ? 0 : (unsigned)strtoul(text, NULL, 10);
}

/* Runs a program to its end; 0 when it said so. */
static inline int test_run(const char *const *words)
{
    pid_t child = fork();
    if (child == 0) {
        (void)execvp(words[0], (char *const *)(uintptr_t)words);
        _exit(127);
    }
    int status = 0;
    return waitpid(child, &status, 0) == child && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static inline int test_sql(const char *url, const char *sql)
{
    const char *const words[] = { "psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", url, "-c", sql, NULL };
    return test_run(words);
}

/* The first number that a statement gives. */
static inline long long test_sql_number(const char *url, const char *file, const char *sql)
{
    const char *const words[] = { "psql", "-X", "-q", "-A", "-t", "-o", file, "-d", url, "-c", sql, NULL };
    char text[32] = "";
    int ended = test_run(words);
    FILE *made = fopen(file, "r");
    if (ended != 0 || made == NULL || fgets(text, sizeof text, made) == NULL) {
        abort();
    }
    (void)fclose(made);
    return strtoll(text, NULL, 10);
}

/* The database of a folder made by mkdtemp: named after its last letters. */
static inline void test_database_name(const char *folder, char name[32])
{
    (void)snprintf(name, 32, "test_%s", folder + strlen(folder) - 6);
}

static inline void test_database_url(const char *folder, char url[512])
{
    char name[32];
    const char *server = test_server();
    const char *tail = strstr(server, "/postgres?");
    test_database_name(folder, name);
    (void)snprintf(url, 512, "%.*s/%s%s", (int)(tail - server), server, name, tail + strlen("/postgres"));
}

static inline void test_database_make(const char *folder)
{
    char name[32];
    char text[600];
    char url[512];
    if (test_server() == NULL) {
        return;
    }
    test_database_name(folder, name);
    test_database_url(folder, url);
    (void)snprintf(text, sizeof text, "CREATE DATABASE \"%s\" TEMPLATE template0", name);
    int made = test_sql(test_server(), text);
    (void)snprintf(text, sizeof text, "%s/store.url", folder);
    FILE *file = fopen(text, "w");
    if (made != 0 || file == NULL || fputs(url, file) < 0 || fclose(file) != 0) {
        abort(); /* the server is not there: nothing can be tested */
    }
}

static inline void test_database_drop(const char *folder)
{
    char name[32];
    char sql[96];
    if (test_server() != NULL) {
        test_database_name(folder, name);
        (void)snprintf(sql, sizeof sql, "DROP DATABASE \"%s\" WITH (FORCE)", name);
        (void)test_sql(test_server(), sql);
    }
}

#endif
