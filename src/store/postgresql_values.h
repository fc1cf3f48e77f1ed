/* postgresql_values.h — values and statement texts in the form that PostgreSQL wants: parameters as "$1", whole numbers
 * and doubles as bytes in network order, a column of values as an array. Knows no library. Inside store/ only. */
#ifndef SHANHAI_STORE_POSTGRESQL_VALUES_H
#define SHANHAI_STORE_POSTGRESQL_VALUES_H

#include "base/buf.h"
#include "store/rows.h"

/* Type numbers of the engine's catalogue; they are part of its protocol. */
enum {
    POSTGRESQL_BOOL = 16,
    POSTGRESQL_BYTES = 17,
    POSTGRESQL_INT8 = 20,
    POSTGRESQL_INT2 = 21,
    POSTGRESQL_INT4 = 23,
    POSTGRESQL_TEXT = 25,
    POSTGRESQL_FLOAT4 = 700,
    POSTGRESQL_FLOAT8 = 701,
    POSTGRESQL_NUMERIC = 1700,
};

enum { POSTGRESQL_NAME_BYTES = 48, POSTGRESQL_NAMES_MAX = 32, POSTGRESQL_PARAMETERS_MAX = 8192 };

struct postgresql_text {
    struct buf text; /* ends with a zero byte */
    int parameters_count;
    bool uses_first; /* a search's first parameter may be in none of its parts */
    int names_count; /* of ":name" parameters; the others have none */
    char names[POSTGRESQL_NAMES_MAX][POSTGRESQL_NAME_BYTES];
};

/* "?1", "?" (the next number) and ":name" become "$1"; texts between quotes and "::" stay. ":name IS NULL", which tells the
 * server no type, is read as of a text. */
bool postgresql_text_make(struct str sql, struct postgresql_text *out, struct error *error) MUST_CHECK;
void postgresql_text_free(struct postgresql_text *text);

/* A value as the described type wants it, in `room` (32 bytes) or where it lies. *binary false: as text. */
struct str postgresql_encode(const struct store_value *value, unsigned type, char room[32], bool *binary);

/* An array of one dimension, in the engine's binary form. */
void postgresql_array_begin(struct buf *buf, unsigned type, size_t count);
void postgresql_array_integer(struct buf *buf, int64_t value);
void postgresql_array_real(struct buf *buf, double value);
void postgresql_array_text(struct buf *buf, struct str text);
void postgresql_array_bytes(struct buf *buf, struct str bytes); /* absent = NULL */
/* Appends a text with U+0001 for each U+0000, which the engine's texts cannot have. */
void postgresql_text_add(struct buf *buf, struct str text);

/* Rows in the binary form of COPY: a head, rows with their count of columns, an end. */
void postgresql_copy_begin(struct buf *buf);
void postgresql_copy_row(struct buf *buf, unsigned columns);
void postgresql_field_begin(struct buf *buf, size_t len); /* the bytes are added after it */
void postgresql_copy_end(struct buf *buf);

/* A column's bytes as a value; `binary` as the result says. */
int64_t postgresql_integer(const char *bytes, size_t len, bool binary);
double postgresql_real(const char *bytes, size_t len, unsigned type, bool binary);
enum store_value_kind postgresql_kind(unsigned type, const char *bytes, size_t len, bool binary);

/* SQL of an indicator may be one SELECT that names nothing but views, columns and our functions: what is followed by an
 * open bracket must be on the list, what stands before a dot must not be a schema, and nothing begins with "pg_".
 * ERROR_INPUT says what is wrong. The transaction only reads and does not see the store's tables; this keeps the
 * catalogue and the functions of the server away too. */
bool postgresql_figure_check(struct str sql, struct str schemas, struct error *error) MUST_CHECK;

#endif
