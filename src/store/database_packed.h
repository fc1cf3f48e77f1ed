/* database_packed.h — the packed rows of a version (store/packed_rows.h) as tables for SQL: reference_of(seq, parameter,
 * value), text_of(seq, parameter, value), date_of(seq, parameter, from_ms, to_ms) and number_of(seq, parameter, unit, low,
 * high). They are asked for one version at a time: a statement that gives no seq is refused. Only database_sqlite.c
 * includes this. */
#ifndef SHANHAI_STORE_DATABASE_PACKED_H
#define SHANHAI_STORE_DATABASE_PACKED_H

struct sqlite3;

/* Registers the four tables on a connection. The engine's result code. */
int database_packed_register(struct sqlite3 *engine);

/* Registers pack_rows(kind, parameter, a, b, c), an aggregate that makes packed rows of rows: KEY and TEXT have the value in
 * `a`, DATE from and to in `a` and `b`, NUMBER unit, low and high. For bringing older stores forward. */
int database_packed_register_pack(struct sqlite3 *engine);

#endif
