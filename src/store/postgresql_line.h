/* postgresql_line.h — a connection to a PostgreSQL server: made, made again, sent to and listened to. Only the files of
 * this engine (database_postgresql.c, postgresql_*.c) include it, and the library's header by it. */
#ifndef SHANHAI_STORE_POSTGRESQL_LINE_H
#define SHANHAI_STORE_POSTGRESQL_LINE_H

#include <libpq-fe.h>

#include "base/buf.h"
#include "store/engine.h"

enum { QUEUE_MAX = 200 }; /* results not taken yet: few enough for the sockets' buffers */

enum transaction_state { TRANSACTION_NONE, TRANSACTION_OPEN, TRANSACTION_BROKEN };

struct postgresql {
    struct database base;
    PGconn *line;
    char *place;
    enum database_mode mode;
    int64_t deadline_us; /* of the snapshot */
    int64_t steps_until_us;
    bool queue[QUEUE_MAX + 8]; /* what has been sent: true = a statement, false = an end of a pipeline */
    size_t queued;
    bool fresh;        /* begun, and nothing done in the transaction yet */
    const char *begin; /* how it was begun */
    int backend;       /* the server's process at the other end */
    enum transaction_state state;
    bool savepoint;
    bool fenced;
    uint64_t generation; /* statements of an older one are prepared anew */
    uint64_t names;
    uint64_t changes;
    int64_t fence; /* 0: not taken yet */
    int64_t commits;
    struct buf dropped; /* names of prepared statements that are no longer wanted, each with a zero byte */
};

static inline struct postgresql *postgresql_of(struct database *database)
{
    return (struct postgresql *)database;
}

#define FENCED_TEXT "another server has taken over this database: this one must stop"

/* Connects. The writer takes the lock, and the fence once the tables are there. */
bool line_first(struct postgresql *database, struct error *error) MUST_CHECK;
bool line_fence(struct postgresql *database, struct error *error) MUST_CHECK;
/* Connects anew. The writer must find everything as it left it: nobody may have written meanwhile; *commits is the number
 * of the last commit. */
bool line_again(struct postgresql *database, int64_t *commits, struct error *error) MUST_CHECK;
bool line_is_lost(const struct postgresql *database);
bool line_fail(struct postgresql *database, struct error *error);
void line_pause(int ms);

/* Counts what was sent (`sent`: the library's answer); its result is taken later. */
bool line_queue(struct postgresql *database, int sent, struct error *error) MUST_CHECK;
/* Ends the pipeline and takes all results; the last statement's goes to *out (may be NULL), to be cleared by the caller.
 * The first failure is what is told; outside a savepoint it has rolled the transaction back. */
bool line_drain(struct postgresql *database, PGresult **out, struct error *error) MUST_CHECK;
/* Sends the end of a pipeline without waiting for anything. */
bool line_end(struct postgresql *database, struct error *error) MUST_CHECK;
/* Sends a text without parameters; with room made in the queue first. */
bool line_send(struct postgresql *database, const char *sql, struct error *error) MUST_CHECK;
bool line_room(struct postgresql *database, struct error *error) MUST_CHECK;
/* COPY … FROM STDIN with all its bytes. Waits for all that was sent before. */
bool line_copy(struct postgresql *database, const char *sql, struct str bytes,
               struct error *error) MUST_CHECK;
/* Several statements at once. They may change tables: what was prepared before is prepared anew. */
bool line_run(struct postgresql *database, const char *sql, struct error *error) MUST_CHECK;

/* ---- transactions (postgresql_transaction.c) ---- */

enum control {
    CONTROL_NONE,
    CONTROL_BEGIN,
    CONTROL_COMMIT,
    CONTROL_ROLLBACK,
    CONTROL_SAVEPOINT,
    CONTROL_UNDO,
    CONTROL_RELEASE
};

/* What a statement's text does to the transaction. */
enum control transaction_control_of(const char *text);
bool transaction_control(struct postgresql *database, enum control control, const char *text,
                         struct error *error) MUST_CHECK;
/* Begins as database->begin says, connecting anew where the line is gone. */
bool transaction_begin(struct postgresql *database, struct error *error) MUST_CHECK;

#endif
