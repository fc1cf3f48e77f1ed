/* engine.h — what a database must be able to do to be the store's: database.h's functions as a table. Each engine's
 * connection and statement begin with the structures here. Only database.c and the engines include this; what the
 * functions promise is told in database.h. */
#ifndef SHANHAI_STORE_ENGINE_H
#define SHANHAI_STORE_ENGINE_H

#include "store/database.h"

struct engine {
    enum dialect dialect;
    bool (*open)(const char *place, enum database_mode mode, struct database **database, struct error *error);
    void (*close)(struct database *database);
    bool (*run)(struct database *database, const char *sql, struct error *error);
    bool (*copy)(struct database *database, const char *sql, struct str bytes,
                 struct error *error); /* NULL where an engine has none */
    bool (*prepare)(struct database *database, struct str sql, struct statement **statement,
                    struct error *error);
    void (*finalize)(struct statement *statement);

    void (*bind_integer)(struct statement *statement, int at, int64_t value);
    void (*bind_real)(struct statement *statement, int at, double value);
    void (*bind_text)(struct statement *statement, int at, struct str text); /* never absent */
    void (*bind_bytes)(struct statement *statement, int at, struct str bytes);
    void (*bind_null)(struct statement *statement, int at);
    /* NULL where an engine has none. */
    void (*bind_integers)(struct statement *statement, int at, const int64_t *values, size_t count);
    void (*bind_reals)(struct statement *statement, int at, const double *values, size_t count);
    void (*bind_texts)(struct statement *statement, int at, const struct str *texts, size_t count);
    void (*bind_blobs)(struct statement *statement, int at, const struct str *blobs, size_t count);
    int (*bind_count)(struct statement *statement);
    const char *(*bind_name)(struct statement *statement, int at);

    void (*stream)(struct statement *statement); /* NULL: it does so anyway */
    enum step (*step)(struct statement *statement, struct error *error);
    void (*reset)(struct statement *statement);
    bool (*run_later)(struct statement *statement, struct error *error);

    int64_t (*column_integer)(struct statement *statement, int at);
    double (*column_real)(struct statement *statement, int at);
    struct str (*column_bytes)(struct statement *statement, int at);
    enum store_value_kind (*column_kind)(struct statement *statement, int at);
    int (*columns)(struct statement *statement);
    const char *(*column_name)(struct statement *statement, int at);
    bool (*is_read_only)(struct statement *statement);

    void (*send)(struct database *database); /* NULL: nothing is ever late */
    bool (*in_transaction)(struct database *database);
    uint64_t (*changes)(struct database *database);
    void (*set_deadline)(struct database *database, int64_t deadline_us);
    void (*set_steps)(struct database *database, uint64_t steps);
    void (*release)(struct database *database);
    void (*fold_log)(struct database *database, enum fold_mode mode);
    unsigned (*log_pages)(const struct database *database);
    bool (*backup)(struct database *database, const char *path, struct error *error);
    bool (*is_fenced)(const struct database *database);
    void (*lock_to_views)(struct database *database, bool locked);
    void (*set_functions)(struct database *database, int offset_minutes, uint64_t as_of_seq);
};

struct database {
    const struct engine *engine;
    struct run_view runs;
    struct run_view slice;
};

struct statement {
    const struct engine *engine;
};

extern const struct engine engine_sqlite;
extern const struct engine engine_postgresql;

#endif
