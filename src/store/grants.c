/* Listing grants. They are written by apply.c and asked one by one by search.c. */
#include <assert.h>

#include "base/limits.h"
#include "store/internal.h"
#include "store/read.h"

bool store_grants_list(struct store_reader *reader, struct arena *arena,
                       const struct store_grants_query *query, struct store_grant **grants, size_t *count,
                       struct error *error)
{
    assert((query->resource == 0) != (query->basis == 0));
    bool by_resource = query->resource != 0;
    struct statement *statement = connection_statement(
        reader->connection, by_resource ? SQL_GRANT_LIST_RESOURCE : SQL_GRANT_LIST_BASIS, error);
    size_t capacity = 16;
    size_t found = 0;
    struct store_grant *list = ARENA_ARRAY(arena, struct store_grant, capacity);
    if (statement == NULL) {
        return false;
    }
    bind_key(statement, 1, by_resource ? query->resource : query->basis);
    bind_key(statement, 2, query->post);
    bind_integer(statement, 3, query->alive_at_ms);
    enum step step = STEP_DONE;
    bool room = list != NULL;
    while (room && (step = statement_step(statement, error)) == STEP_ROW) {
        if (found == capacity) {
            struct store_grant *grown = ARENA_ARRAY(arena, struct store_grant, capacity * 2);
            room = grown != NULL;
            if (!room) {
                break;
            }
            memcpy(grown, list, found * sizeof *list);
            list = grown;
            capacity *= 2;
        }
        list[found++] = (struct store_grant){ .kind = STORE_GRANT_ADD,
                                              .resource = column_key(statement, 0),
                                              .post = column_key(statement, 1),
                                              .basis = column_key(statement, 2) };
    }
    statement_reset(statement);
    if (!room) {
        return FAIL(error, ERROR_TOO_LARGE, "the grants need more memory than a request may use");
    }
    *grants = list;
    *count = found;
    return step != STEP_FAILED;
}
