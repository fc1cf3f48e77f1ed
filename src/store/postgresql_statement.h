/* postgresql_statement.h — a prepared statement of PostgreSQL, and the functions of the engine's table (engine.h) about one. Only the
 * files of this engine include it. */
#ifndef SHANHAI_STORE_POSTGRESQL_STATEMENT_H
#define SHANHAI_STORE_POSTGRESQL_STATEMENT_H

#include "store/postgresql_line.h"
#include "store/postgresql_values.h"

struct bound { /* a value, or an array in the engine's form */
    struct store_value value;
    struct buf array;
    bool is_array;
};

struct postgresql_statement {
    struct statement base;
    struct postgresql *database;
    struct postgresql_text text;
    enum control control;
    char name[24];
    uint64_t generation; /* of the connection that it is prepared on */
    PGresult *described;
    struct bound *values;
    PGresult *result;
    int row;
    bool running;
    bool streams; /* by a cursor of the statement's name */
    bool open;
};

static inline struct postgresql_statement *statement_of(struct statement *statement)
{
    return (struct postgresql_statement *)statement;
}

/* ---- postgresql_statement.c ---- */

bool postgresql_prepare(struct database *base, struct str sql, struct statement **out, struct error *error);
void postgresql_reset(struct statement *base);
void postgresql_finalize(struct statement *base);
enum step postgresql_step(struct statement *base, struct error *error);
void postgresql_stream(struct statement *base);
bool postgresql_run_later(struct statement *base, struct error *error);
bool postgresql_is_read_only(struct statement *statement);

/* ---- postgresql_bind.c: values in ---- */

void postgresql_bind_integer(struct statement *statement, int at, int64_t value);
void postgresql_bind_real(struct statement *statement, int at, double value);
void postgresql_bind_text(struct statement *statement, int at, struct str text);
void postgresql_bind_bytes(struct statement *statement, int at, struct str bytes);
void postgresql_bind_null(struct statement *statement, int at);
void postgresql_bind_integers(struct statement *statement, int at, const int64_t *values, size_t count);
void postgresql_bind_reals(struct statement *statement, int at, const double *values, size_t count);
void postgresql_bind_texts(struct statement *statement, int at, const struct str *texts, size_t count);
void postgresql_bind_blobs(struct statement *statement, int at, const struct str *blobs, size_t count);
int postgresql_bind_count(struct statement *statement);
const char *postgresql_bind_name(struct statement *statement, int at);

/* ---- and out ---- */

int64_t postgresql_column_integer(struct statement *statement, int at);
double postgresql_column_real(struct statement *statement, int at);
struct str postgresql_column_bytes(struct statement *statement, int at);
enum store_value_kind postgresql_column_kind(struct statement *statement, int at);
int postgresql_columns(struct statement *statement);
const char *postgresql_column_name(struct statement *statement, int at);

#endif
