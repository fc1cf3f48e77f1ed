/* postgresql_bind.c — the values of a statement of PostgreSQL: those that it is given and those that it gives. */
#include "store/postgresql_statement.h"

enum { ARRAY_BYTES_MAX = 1 << 30 };

/* ---- in ---- */

static struct bound *bound_at(struct statement *statement, int at)
{
    assert(at >= 1 && at <= statement_of(statement)->text.parameters_count);
    struct bound *bound = &statement_of(statement)->values[at - 1];
    bound->is_array = false;
    return bound;
}

void postgresql_bind_integer(struct statement *statement, int at, int64_t value)
{
    bound_at(statement, at)->value = store_integer(value);
}

void postgresql_bind_real(struct statement *statement, int at, double value)
{
    bound_at(statement, at)->value = store_real(value);
}

void postgresql_bind_text(struct statement *statement, int at, struct str text)
{
    struct bound *bound = bound_at(statement, at);
    bound->value = store_text(text);
    if (memchr(text.at, '\0', text.len) != NULL) {
        bound->array.bytes_max = ARRAY_BYTES_MAX;
        buf_clear(&bound->array);
        postgresql_text_add(&bound->array, text);
        bound->value = store_text(buf_str(&bound->array));
    }
}

void postgresql_bind_bytes(struct statement *statement, int at, struct str bytes)
{
    bound_at(statement, at)->value = store_bytes(bytes);
}

void postgresql_bind_null(struct statement *statement, int at)
{
    bound_at(statement, at)->value = (struct store_value){ 0 };
}

static struct buf *array_at(struct statement *statement, int at, unsigned type, size_t count)
{
    struct bound *bound = bound_at(statement, at);
    bound->is_array = true;
    bound->array.bytes_max = ARRAY_BYTES_MAX;
    buf_clear(&bound->array);
    postgresql_array_begin(&bound->array, type, count);
    return &bound->array;
}

void postgresql_bind_integers(struct statement *statement, int at, const int64_t *values, size_t count)
{
    struct buf *array = array_at(statement, at, POSTGRESQL_INT8, count);
    for (size_t i = 0; i < count; i++) {
        postgresql_array_integer(array, values[i]);
    }
}

void postgresql_bind_reals(struct statement *statement, int at, const double *values, size_t count)
{
    struct buf *array = array_at(statement, at, POSTGRESQL_FLOAT8, count);
    for (size_t i = 0; i < count; i++) {
        postgresql_array_real(array, values[i]);
    }
}

void postgresql_bind_texts(struct statement *statement, int at, const struct str *texts, size_t count)
{
    struct buf *array = array_at(statement, at, POSTGRESQL_TEXT, count);
    for (size_t i = 0; i < count; i++) {
        postgresql_array_text(array, texts[i]);
    }
}

void postgresql_bind_blobs(struct statement *statement, int at, const struct str *blobs, size_t count)
{
    struct buf *array = array_at(statement, at, POSTGRESQL_BYTES, count);
    for (size_t i = 0; i < count; i++) {
        postgresql_array_bytes(array, blobs[i]);
    }
}

int postgresql_bind_count(struct statement *statement)
{
    return statement_of(statement)->text.parameters_count;
}

const char *postgresql_bind_name(struct statement *statement, int at)
{
    const struct postgresql_text *text = &statement_of(statement)->text;
    return at <= text->names_count ? text->names[at - 1] : "";
}

/* ---- out ---- */

static const char *cell(struct statement *base, int at, size_t *len, bool *binary)
{
    struct postgresql_statement *statement = statement_of(base);
    *len = (size_t)PQgetlength(statement->result, statement->row, at);
    *binary = PQfformat(statement->result, at) == 1;
    return PQgetvalue(statement->result, statement->row, at);
}

static bool cell_is_null(struct statement *base, int at)
{
    struct postgresql_statement *statement = statement_of(base);
    return PQgetisnull(statement->result, statement->row, at) != 0;
}

int64_t postgresql_column_integer(struct statement *statement, int at)
{
    size_t len = 0;
    bool binary = false;
    const char *bytes = cell(statement, at, &len, &binary);
    return cell_is_null(statement, at) ? 0 : postgresql_integer(bytes, len, binary);
}

double postgresql_column_real(struct statement *statement, int at)
{
    size_t len = 0;
    bool binary = false;
    const char *bytes = cell(statement, at, &len, &binary);
    unsigned type = PQftype(statement_of(statement)->result, at);
    return cell_is_null(statement, at) ? 0 : postgresql_real(bytes, len, type, binary);
}

struct str postgresql_column_bytes(struct statement *statement, int at)
{
    size_t len = 0;
    bool binary = false;
    const char *bytes = cell(statement, at, &len, &binary);
    return cell_is_null(statement, at) ? STR_NONE : (struct str){ bytes, len };
}

enum store_value_kind postgresql_column_kind(struct statement *statement, int at)
{
    size_t len = 0;
    bool binary = false;
    const char *bytes = cell(statement, at, &len, &binary);
    unsigned type = PQftype(statement_of(statement)->result, at);
    return cell_is_null(statement, at) ? STORE_VALUE_NULL : postgresql_kind(type, bytes, len, binary);
}

int postgresql_columns(struct statement *statement)
{
    return PQnfields(statement_of(statement)->described);
}

const char *postgresql_column_name(struct statement *statement, int at)
{
    const char *name = PQfname(statement_of(statement)->described, at);
    return name == NULL ? "" : name;
}
