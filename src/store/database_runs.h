/* database_runs.h — the rows of runs (store/runs.h) as tables for SQL: run_key, run_text, run_date, run_number, with the
 * columns of index_key and so on, and run_head(key, seq) as `resource`. Look-ups by the leading columns are binary searches in every run; an ORDER BY along
 * the columns, up or down, costs no sorting. Only database.c includes this. */
#ifndef SHANHAI_STORE_DATABASE_RUNS_H
#define SHANHAI_STORE_DATABASE_RUNS_H

#include "store/runs.h"

struct sqlite3;

/* Registers the five tables on a connection under "PREFIX_key" and so on; `view` outlives it and may be filled anew
 * while no statement runs. The engine's result code. */
int database_runs_register(struct sqlite3 *engine, const char *prefix, const struct run_view *view);

#endif
