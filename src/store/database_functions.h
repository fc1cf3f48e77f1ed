/* database_functions.h — the functions that indicator SQL may call beside the engine's own: median, percentile,
 * ratio, days_between, local_day (store/views.h). Only database.c includes this. */
#ifndef SHANHAI_STORE_DATABASE_FUNCTIONS_H
#define SHANHAI_STORE_DATABASE_FUNCTIONS_H

#include <stdint.h>

struct sqlite3;

struct database_functions {
    int offset_minutes; /* of site.timezone */
    uint64_t as_of_seq; /* what as_of_seq() gives */
};

/* Registers them on a connection; `functions` outlives it. The engine's result code. */
int database_functions_register(struct sqlite3 *engine, struct database_functions *functions);

#endif
