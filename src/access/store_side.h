/* store_side.h — access joined to the store: its rows as a table of the store's file, and the directory
 * (posts, organisations) as reads of the store. main.c gives access_rows_table to store_open and what these
 * functions return to access_open. */
#ifndef SHANHAI_ACCESS_STORE_SIDE_H
#define SHANHAI_ACCESS_STORE_SIDE_H

#include "access/access_open.h"

struct store;
struct store_table;
struct store_audit_sink;
struct audit;

/* Accounts, sessions, tokens: (kind, key) → value. To stand in store_options.tables. */
const struct store_table *access_rows_table(void);

struct access_rows access_rows_of_store(struct store *store);
struct access_directory access_directory_of_store(struct store *store);

/* For store_options.audit. */
struct store_audit_sink access_audit_sink(struct audit *audit);

#endif
