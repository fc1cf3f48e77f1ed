/* postgresql_backup.c — a PostgreSQL store as one file and back, by the server's own programs pg_dump and pg_restore, which
 * must be on the PATH. The dump is of the very snapshot whose numbers are told, so that the audit log beside it can be cut
 * at the same commit. */
#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "store/internal.h"

extern char **environ;

enum { SNAPSHOT_BYTES = 64, ARGUMENT_BYTES = 1200 };

/* What a command line holds, everybody on the machine can read. */
static bool has_password(const char *url)
{
    const char *host = strstr(url, "://");
    host = host == NULL ? url : host + 3;
    size_t len = strcspn(host, "/?");
    const char *at = memchr(host, '@', len);
    return (at != NULL && memchr(host, ':', (size_t)(at - host)) != NULL) || strstr(url, "password=") != NULL;
}

/* Runs a program to its end; what it has to say goes to our standard error. */
static bool run_program(char *const *words, struct error *error)
{
    pid_t child = 0;
    int status = 0;
    int failed = posix_spawnp(&child, words[0], NULL, NULL, words, environ);
    if (failed != 0) {
        return FAIL(error, ERROR_UNSUPPORTED,
                    "the program '%s' cannot be started (%s): it is in the package postgresql-client",
                    words[0], strerror(failed));
    }
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {}
    return (WIFEXITED(status) && WEXITSTATUS(status) == 0) ||
           FAIL(error, ERROR_INTERNAL, "%s did not succeed: its own words are above", words[0]);
}

static bool url_check(const char *url, struct error *error)
{
    if (!database_is_remote(url)) {
        return FAIL(error, ERROR_INPUT, "a store is named like postgresql://USER@HOST/DATABASE");
    }
    return !has_password(url) ||
           FAIL(error, ERROR_INPUT,
                "the address has a password, which others on this machine could read: keep it in ~/.pgpass");
}

static bool snapshot_name(struct store_reader *reader, char name[SNAPSHOT_BYTES], struct error *error)
{
    struct statement *statement = connection_statement(reader->connection, SQL_SNAPSHOT_EXPORT, error);
    enum step step = statement == NULL ? STEP_FAILED : statement_step(statement, error);
    struct str text = step == STEP_ROW ? column_bytes(statement, 0) : STR("");
    bool ok = text.len > 0 && text.len < SNAPSHOT_BYTES;
    if (ok) {
        memcpy(name, text.at, text.len);
        name[text.len] = '\0';
    }
    statement_reset(statement);
    return ok || (step == STEP_ROW && FAIL(error, ERROR_INTERNAL, "the snapshot has no name"));
}

bool store_dump(struct store *store, const char *path, uint64_t *seq, uint64_t *audit_group,
                struct error *error)
{
    char snapshot[SNAPSHOT_BYTES];
    char words[3][ARGUMENT_BYTES];
    struct store_reader *reader = NULL;
    if (!url_check(store->path, error) || !store_reader_begin(store, &reader, error)) {
        return false;
    }
    bool ok = reader_numbers(reader, error) && audit_group_read(reader, audit_group, error) &&
              snapshot_name(reader, snapshot, error);
    if (ok) {
        *seq = reader->seq;
        int lens[] = { snprintf(words[0], ARGUMENT_BYTES, "--snapshot=%s", snapshot),
                       snprintf(words[1], ARGUMENT_BYTES, "--file=%s", path),
                       snprintf(words[2], ARGUMENT_BYTES, "--dbname=%s", store->path) };
        ok = (lens[1] < ARGUMENT_BYTES && lens[2] < ARGUMENT_BYTES) ||
             FAIL(error, ERROR_INPUT, "the path is too long");
    }
    /* Not compressed much: bodies are already, and the backup is encrypted after. */
    char *const arguments[] = { (char[]){ "pg_dump" },
                                (char[]){ "--format=custom" },
                                (char[]){ "--no-owner" },
                                (char[]){ "--no-privileges" },
                                words[0],
                                words[1],
                                words[2],
                                NULL };
    ok = ok && run_program(arguments, error);
    store_reader_end(reader);
    return ok;
}

bool store_undump(const char *url, const char *path, struct error *error)
{
    char words[2][ARGUMENT_BYTES];
    if (!url_check(url, error)) {
        return false;
    }
    int lens[] = { snprintf(words[0], ARGUMENT_BYTES, "--dbname=%s", url),
                   snprintf(words[1], ARGUMENT_BYTES, "%s", path) };
    if (lens[0] >= ARGUMENT_BYTES || lens[1] >= ARGUMENT_BYTES) {
        return FAIL(error, ERROR_INPUT, "the path is too long");
    }
    char *const arguments[] = { (char[]){ "pg_restore" },
                                (char[]){ "--exit-on-error" },
                                (char[]){ "--single-transaction" },
                                (char[]){ "--no-owner" },
                                (char[]){ "--no-privileges" },
                                words[0],
                                words[1],
                                NULL };
    return run_program(arguments, error);
}
