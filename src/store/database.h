/* database.h — the thin wrapper around the two SQL engines: SQLite (database_sqlite.c) and PostgreSQL
 * (database_postgresql.c), which have the same functions (engine.h). Nothing above this file includes an engine's header. A
 * connection and its statements belong to one thread at a time. Statement texts come from sql.c, or are put together from its
 * fragments; values are always bound. */
#ifndef SHANHAI_STORE_DATABASE_H
#define SHANHAI_STORE_DATABASE_H

#include "store/rows.h"
#include "store/runs.h"

struct database;
struct statement;

enum dialect { DIALECT_SQLITE, DIALECT_POSTGRESQL };

enum database_mode {
    DATABASE_WRITE, /* the one writer */
    DATABASE_READ,  /* a reader beside it */
    DATABASE_VIEWS, /* a reader for indicator SQL: views only, with our functions */
};

/* Once, before the first open: process-wide settings of the engine. */
bool database_setup(struct error *error) MUST_CHECK;

/* A place that begins with "postgresql://" or "postgres://" is a PostgreSQL server's database, any other a file. */
bool database_is_remote(const char *place);
bool database_open(const char *place, enum database_mode mode, struct database **database,
                   struct error *error) MUST_CHECK;
void database_close(struct database *database);
enum dialect database_dialect(const struct database *database);
/* Whether index rows may wait in memory (store/runs.h) and the statements see them as tables. */
bool database_has_runs(const struct database *database);
/* Whether a column may hold bytes in one row and text in another, so that UUIDs are kept as 16 bytes. */
bool database_packs_ids(const struct database *database);
/* Whether the rows by version are a column of the version (store/packed_rows.h), which statements see as tables. */
bool database_packs_rows(const struct database *database);

/* Runs a constant text of one or more statements without parameters. */
bool database_run(struct database *database, const char *sql, struct error *error) MUST_CHECK;

/* COPY … FROM STDIN (FORMAT binary) with its bytes, of the PostgreSQL table. */
bool database_copy(struct database *database, const char *sql, struct str bytes,
                   struct error *error) MUST_CHECK;

bool database_prepare(struct database *database, struct str sql, struct statement **statement,
                      struct error *error) MUST_CHECK;
void statement_finalize(struct statement *statement);

/* Parameters count from 1. Texts are not copied: they must live until the statement is reset. */
void bind_integer(struct statement *statement, int at, int64_t value);
void bind_key(struct statement *statement, int at, uint64_t value); /* the same 64 bits, signed */
void bind_real(struct statement *statement, int at, double value);
void bind_text(struct statement *statement, int at, struct str text); /* absent = NULL */
void bind_bytes(struct statement *statement, int at, struct str bytes);
void bind_null(struct statement *statement, int at);
void bind_value(struct statement *statement, int at, const struct store_value *value);
/* A column of values at once, for statements of the PostgreSQL table; copied. */
void bind_integers(struct statement *statement, int at, const int64_t *values, size_t count);
void bind_reals(struct statement *statement, int at, const double *values, size_t count);
void bind_texts(struct statement *statement, int at, const struct str *texts, size_t count);
void bind_blobs(struct statement *statement, int at, const struct str *blobs, size_t count);
int bind_count(struct statement *statement);
const char *bind_name(struct statement *statement, int at); /* with its colon; "" when it has none */

/* Its rows may be many, or more than are wanted: an engine that gives all at once gives them bit by bit. To be called before
 * the first step; ends with the reset. */
void statement_stream(struct statement *statement);

enum step { STEP_FAILED, STEP_ROW, STEP_DONE };
/* The next row. STEP_FAILED fills error; the statement must be reset afterwards in every case. */
enum step statement_step(struct statement *statement, struct error *error) MUST_CHECK;
void statement_reset(struct statement *statement);
/* Steps to the end and resets: for statements that give no rows. */
bool statement_run(struct statement *statement, struct error *error) MUST_CHECK;
/* The same for a statement of which nobody wants to know more than that it was done when the commit succeeds: an engine may
 * send it later, together with others, and tell of its failure at any later call in the transaction. The values are copied. */
bool statement_run_later(struct statement *statement, struct error *error) MUST_CHECK;

/* What is to be sent later is better on its way while more is being made. */
void database_send(struct database *database);

int64_t column_integer(struct statement *statement, int at); /* columns count from 0 */
uint64_t column_key(struct statement *statement, int at);
double column_real(struct statement *statement, int at);
bool column_is_null(struct statement *statement, int at);
struct str column_bytes(struct statement *statement, int at); /* until the next step */
enum store_value_kind column_kind(struct statement *statement, int at);
int statement_columns(struct statement *statement);
const char *statement_column_name(struct statement *statement, int at);
bool statement_is_read_only(struct statement *statement);

/* Another server writes now, or it could not be found out whether a commit took place: this process must write no more and
 * end. Never so where the folder's lock keeps others out. */
bool database_is_fenced(const struct database *database);

/* False after an error that made the engine roll back by itself. */
bool database_in_transaction(struct database *database);
uint64_t database_changes(struct database *database);

/* Running statements end with ERROR_TOO_COSTLY once the monotonic clock passes deadline_us, or once `steps` engine
 * steps were made since the call (0 = no bound). */
void database_set_deadline(struct database *database, int64_t deadline_us);
void database_set_steps(struct database *database, uint64_t steps);

/* Lets go of cached and mapped pages that nobody needs just now. Not while a statement runs. */
void database_release(struct database *database);

/* What run_key, run_text, run_date and run_number show (store/database_runs.h); to be filled while no statement runs.
 * slice_key and so on, on the writer's connection, show what goes into the main index next. */
struct run_view *database_runs(struct database *database);
struct run_view *database_slice(struct database *database);

/* Folds the write-ahead log back as far as no reader needs it; FOLD_ALL waits for them and truncates it (at close).
 * FOLD_BESIDE is for another connection than the writer's. A failure only means that the log stays longer: the next
 * call goes on. */
enum fold_mode { FOLD_PASSIVE, FOLD_BESIDE, FOLD_ALL };
void database_fold_log(struct database *database, enum fold_mode mode);
/* Its length after the writer's last commit. */
unsigned database_log_pages(const struct database *database);

bool database_backup(struct database *database, const char *path, struct error *error) MUST_CHECK;

/* DATABASE_VIEWS: while locked only SELECT over views is prepared. */
void database_lock_to_views(struct database *database, bool locked);
/* For local_day(ms), and for the sequence number that as_of_seq() gives. */
void database_set_functions(struct database *database, int offset_minutes, uint64_t as_of_seq);

#endif
