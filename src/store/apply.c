/* apply.c — one set inside the writer's transaction: everything that may refuse it is looked at before anything
 * is written, so that a refused set leaves no trace and needs no undoing. */
#include "base/clock.h"
#include "base/hash.h"
#include "store/internal.h"

enum { DECIDE_MS_MAX = 2000 }; /* the writer serves everybody */

/* Whether what was found under a key is this resource: a key is a hash. */
static bool is_same(const struct store *store, const struct head *head, struct str type, struct str id)
{
    char packed[16];
    bool packs = database_packs_ids(store->writer.connection.database);
    struct str stored = packs && id_pack(id, packed) ? (struct str){ packed, sizeof packed } : id;
    return head->seq == 0 || (str_equal(head->id, stored) && head->type == store_type_number(store, type));
}

static bool head_read(struct store *store, struct str type, struct str id, uint64_t key, struct head *head,
                      struct error *error)
{
    const struct head *known = heads_find(&store->writer, key);
    if (known != NULL) {
        *head = *known;
        return is_same(store, head, type, id) ||
               FAIL(error, ERROR_CONFLICT, "this id cannot be used: choose another");
    }
    struct statement *statement = statement_by_key(&store->writer.transaction.reader, key, error);
    if (statement == NULL || !versions_flush(&store->writer, error)) {
        return false;
    }
    *head = (struct head){ 0 };
    enum step step = statement_step(statement, error);
    bool same = true;
    if (step == STEP_ROW) {
        *head = (struct head){ .seq = column_key(statement, 0),
                               .version = column_key(statement, 2),
                               .type = (uint32_t)column_integer(statement, 3),
                               .id = column_bytes(statement, 4),
                               .custodian = column_key(statement, 7),
                               .deleted = column_integer(statement, 5) == STORE_METHOD_DELETED };
        same = is_same(store, head, type, id);
    }
    statement_reset(statement);
    head->id = STR_NONE; /* it was the row's */
    if (!same) {
        return FAIL(error, ERROR_CONFLICT, "this id cannot be used: choose another");
    }
    return step != STEP_FAILED;
}

static bool write_check(const struct store_write *write, const struct head *head, struct error *error)
{
    bool there = head->seq != 0 && !head->deleted;
    switch (write->expect) {
    case STORE_EXPECT_ANY:
        break;
    case STORE_EXPECT_ABSENT:
        if (there) {
            return FAIL(error, ERROR_PRECONDITION, "the resource exists already");
        }
        break;
    case STORE_EXPECT_VERSION:
        if (!there || head->version != write->version) {
            return FAIL(error, ERROR_PRECONDITION,
                        "the resource was changed meanwhile: read it again and repeat the change");
        }
        break;
    }
    if (write->method == STORE_METHOD_CREATED && there) {
        return FAIL(error, ERROR_CONFLICT, "a resource with this id exists already");
    }
    return true;
}

/* R4 3.1.0.8.1: no match, or (conditional create inside a transaction that was planned with a hit) that hit. */
static bool query_check(struct store *store, const struct store_condition *condition, struct error *error)
{
    struct arena arena = { .bytes_max = LIMIT_BUNDLE_BYTES };
    struct store_search search = { .query = condition->query,
                                   .filter = condition->filter,
                                   .without_bodies = true };
    struct store_hits hits = { 0 };
    bool ok = store_search(&store->writer.transaction.reader, &arena, &search, &hits, error);
    if (ok) {
        bool none = hits.matches_count == 0;
        bool this_one = hits.matches_count == 1 && condition->id.at != NULL &&
                        str_equal(hits.hits[0].version.id, condition->id);
        if (condition->id.at == NULL ? !none : !this_one) {
            ok = FAIL(error, ERROR_PRECONDITION, "the condition's search has other matches now");
        }
    }
    arena_deinit(&arena);
    return ok;
}

static bool condition_check(struct store *store, const struct store_condition *condition, struct error *error)
{
    if (condition->kind == STORE_CONDITION_QUERY) {
        return index_flush(&store->writer, error) && query_check(store, condition, error);
    }
    struct head head = { 0 };
    uint64_t key = hash_resource_key(condition->type, condition->id);
    if (!head_read(store, condition->type, condition->id, key, &head, error)) {
        return false;
    }
    bool there = head.seq != 0 && !head.deleted;
    bool wanted =
        condition->kind == STORE_CONDITION_ABSENT ? !there : there && head.version == condition->version;
    return wanted ||
           FAIL(error, ERROR_PRECONDITION, "a resource this depends on was changed meanwhile: try again");
}

/* All that may say no, before anything is written. */
static bool set_check(struct store *store, struct store_set *set, struct head *heads, struct error *error)
{
    if (set->definitions_epoch != 0 && set->definitions_epoch != atomic_load(&store->epoch)) {
        return FAIL(error, ERROR_BUSY, "the definitions were changed meanwhile: try again");
    }
    if (set->turn != NULL && !set->turn(set->data, error)) {
        return false;
    }
    for (size_t i = 0; i < set->conditions_count; i++) {
        if (!condition_check(store, &set->conditions[i], error)) {
            return false;
        }
    }
    for (size_t i = 0; i < set->writes_count; i++) {
        const struct store_write *write = &set->writes[i];
        uint64_t key = hash_resource_key(write->type, write->id);
        if (!head_read(store, write->type, write->id, key, &heads[i], error) ||
            !write_check(write, &heads[i], error)) {
            return false;
        }
    }
    if (set->decide == NULL) {
        return true;
    }
    struct database *database = store->writer.connection.database;
    database_set_deadline(database, clock_monotonic_us() + DECIDE_MS_MAX * 1000);
    bool yes = index_flush(&store->writer, error) &&
               set->decide(set->data, &store->writer.transaction.reader, error);
    database_set_deadline(database, 0);
    return yes;
}

/* Tables of other modules: the only part of a set that may refuse after having written, hence the savepoint. */
static bool own_apply(struct store *store, struct store_set *set, struct error *error)
{
    struct connection *connection = &store->writer.connection;
    bool waits = database_has_runs(connection->database); /* it may look for what the group has written */
    if (!versions_flush(&store->writer, error) || (waits && !index_flush(&store->writer, error)) ||
        !connection_do(connection, SQL_SAVEPOINT, error)) {
        return false;
    }
    bool ok = set->apply(set->data, &store->writer.transaction, error);
    if (!ok && database_in_transaction(connection->database)) {
        connection_try(connection, SQL_SAVEPOINT_UNDO);
    }
    if (database_in_transaction(connection->database)) {
        connection_try(connection, SQL_SAVEPOINT_RELEASE);
    }
    return ok;
}

static bool type_number(struct store *store, struct str type, uint32_t *number, struct error *error)
{
    *number = store_type_number(store, type);
    if (*number != 0) {
        return true;
    }
    struct writer *writer = &store->writer;
    if (writer->types_count == STORE_TYPES_MAX) {
        return FAIL(error, ERROR_INPUT, "too many resource types");
    }
    struct statement *statement = connection_statement(&writer->connection, SQL_TYPE_ADD, error);
    if (statement == NULL) {
        return false;
    }
    struct store_type *added = &store->types[writer->types_count];
    assert(type.len < sizeof added->name);
    memcpy(added->name, type.at, type.len);
    added->len = type.len;
    writer->types_count++;
    *number = (uint32_t)writer->types_count;
    atomic_store_explicit(&store->types_count, writer->types_count, memory_order_release);
    bind_integer(statement, 1, *number);
    bind_text(statement, 2, type);
    return statement_run(statement, error);
}

/* Closes the version before: its row, its place in the history, its view rows. */
static bool head_close(struct store *store, const struct store_write *write, uint64_t key,
                       const struct head *head, uint64_t seq, struct error *error)
{
    struct connection *connection = &store->writer.connection;
    struct statement *end = connection_statement(connection, SQL_VERSION_END, error);
    struct statement *history = connection_statement(connection, SQL_HISTORY_ADD, error);
    if (end == NULL || history == NULL) {
        return false;
    }
    bind_key(end, 1, head->seq);
    bind_key(end, 2, seq);
    bind_key(history, 1, key);
    bind_key(history, 2, head->version);
    bind_key(history, 3, head->seq);
    return statement_run_later(end, error) && statement_run_later(history, error) &&
           (head->deleted || view_close_rows(store, key, write->type, seq, error));
}

static bool version_add(struct store *store, const struct store_write *write, uint64_t key,
                        uint64_t custodian, struct error *error)
{
    uint32_t type = 0;
    if (!type_number(store, write->type, &type, error)) {
        return false;
    }
    if (database_dialect(store->writer.connection.database) == DIALECT_POSTGRESQL) {
        struct version_place place = { key, type, custodian, write->result.version == 1 };
        return versions_remember(&store->writer, write, place, error);
    }
    struct statement *statement = connection_statement(&store->writer.connection, SQL_VERSION_ADD, error);
    if (statement == NULL) {
        return false;
    }
    char packed[16];
    bool packs = database_packs_ids(store->writer.connection.database);
    bind_key(statement, 1, write->result.seq);
    bind_key(statement, 2, key);
    bind_key(statement, 3, write->result.version);
    bind_integer(statement, 4, type);
    if (packs && id_pack(write->id, packed)) {
        bind_bytes(statement, 5, (struct str){ packed, sizeof packed });
    } else {
        bind_text(statement, 5, write->id);
    }
    bind_integer(statement, 6, write->result.method);
    bind_integer(statement, 7, write->result.updated_ms);
    bind_key(statement, 8, custodian);
    bind_key(statement, 9, write->author);
    bind_bytes(statement, 10, write->result.method == STORE_METHOD_DELETED ? STR_NONE : write->packed);
    bind_bytes(statement, 11, write->packed_rows);
    return statement_run_later(statement, error);
}

/* Where the resource's latest version is; of a new one in PostgreSQL version_columns.c says it. */
static bool place_set(struct writer *writer, uint64_t key, uint64_t seq_before, uint64_t seq,
                      struct error *error)
{
    bool first = seq_before == 0;
    if (database_has_runs(writer->connection.database)) {
        return index_remember_head(writer, key, seq, error);
    }
    if (first && database_dialect(writer->connection.database) == DIALECT_POSTGRESQL) {
        return true;
    }
    struct statement *place =
        connection_statement(&writer->connection, first ? SQL_RESOURCE_ADD : SQL_RESOURCE_MOVE, error);
    if (place == NULL) {
        return false;
    }
    bind_key(place, 1, key);
    bind_key(place, 2, seq);
    return statement_run_later(place, error);
}

static bool write_apply(struct store *store, struct store_write *write, const struct head *head,
                        struct error *error)
{
    struct writer *writer = &store->writer;
    bool there = head->seq != 0 && !head->deleted;
    if (write->method == STORE_METHOD_DELETED && !there) {
        return true; /* R4 3.1.0.7: deleting what is not there succeeds */
    }
    uint64_t key = hash_resource_key(write->type, write->id);
    uint64_t seq = writer->seq + 1;
    write->result.seq = seq;
    write->result.version = head->version + 1;
    write->result.updated_ms = writer->transaction.now_ms;
    write->result.method = write->method == STORE_METHOD_DELETED ? STORE_METHOD_DELETED
                           : there                               ? STORE_METHOD_UPDATED
                                                                 : STORE_METHOD_CREATED;
    heads_note_write(writer, key);
    uint64_t custodian = write->custodian == 0 ? head->custodian : write->custodian;
    if (!version_add(store, write, key, custodian, error) || !place_set(writer, key, head->seq, seq, error) ||
        (head->seq != 0 && !head_close(store, write, key, head, seq, error)) ||
        !words_add(writer, write->index, error) || !codings_add(writer, write->index, error) ||
        !index_remember(writer, write->index, seq, key, error)) {
        return false;
    }
    for (size_t i = 0; i < write->view_rows_count; i++) {
        if (!view_add_rows(store, &write->view_rows[i], key, seq, error)) {
            return false;
        }
    }
    writer->seq = seq;
    return true;
}

static bool grant_apply(struct store *store, const struct store_grant *grant, struct error *error)
{
    static const enum sql changing[] = { [STORE_GRANT_ADD] = SQL_GRANT_ADD,
                                         [STORE_GRANT_END] = SQL_GRANT_END,
                                         [STORE_GRANT_END_BASIS] = SQL_GRANT_END_BASIS };
    int64_t now_ms = store->writer.transaction.now_ms;
    struct statement *statement =
        connection_statement(&store->writer.connection, changing[grant->kind], error);
    if (statement == NULL) {
        return false;
    }
    if (grant->kind == STORE_GRANT_END_BASIS) {
        bind_key(statement, 1, grant->basis);
        bind_integer(statement, 2, now_ms);
        return statement_run_later(statement, error);
    }
    bind_key(statement, 1, grant->resource);
    bind_key(statement, 2, grant->post);
    bind_key(statement, 3, grant->basis);
    if (grant->kind == STORE_GRANT_END) {
        bind_integer(statement, 4, now_ms);
    } else {
        bind_integer(statement, 4, grant->from_ms == 0 ? now_ms : grant->from_ms);
        bind_integer(statement, 5, grant->until_ms == 0 ? INT64_MAX : grant->until_ms);
    }
    return statement_run_later(statement, error);
}

static bool refill_apply(struct store *store, const struct store_refill *refill, struct error *error)
{
    struct statement *statement = connection_statement(&store->writer.connection, SQL_VERSION_BY_SEQ, error);
    if (statement == NULL || !versions_flush(&store->writer, error)) {
        return false;
    }
    bind_key(statement, 1, refill->seq);
    enum step step = statement_step(statement, error);
    bool current = step == STEP_ROW && column_is_null(statement, 9) &&
                   column_integer(statement, 5) != STORE_METHOD_DELETED;
    uint64_t key = step == STEP_ROW ? column_key(statement, 1) : 0;
    statement_reset(statement);
    if (!current) {
        return step != STEP_FAILED;
    }
    if (!words_add(&store->writer, refill->index, error) ||
        !codings_add(&store->writer, refill->index, error) ||
        !index_add_missing(&store->writer, refill->index, refill->seq, key, error)) {
        return false;
    }
    for (size_t i = 0; i < refill->view_rows_count; i++) {
        if (!view_replace_rows(store, &refill->view_rows[i], key, refill->seq, error)) {
            return false;
        }
    }
    return true;
}

static bool parts_apply(struct store *store, struct store_set *set, const struct head *heads,
                        struct error *error)
{
    for (size_t i = 0; i < set->writes_count; i++) {
        if (!write_apply(store, &set->writes[i], &heads[i], error)) {
            return false;
        }
    }
    for (size_t i = 0; i < set->grants_count; i++) {
        if (!grant_apply(store, &set->grants[i], error)) {
            return false;
        }
    }
    for (size_t i = 0; i < set->jobs_count; i++) {
        if (!job_add(store, &set->jobs[i], error)) {
            return false;
        }
    }
    for (size_t i = 0; i < set->refills_count; i++) {
        if (!refill_apply(store, &set->refills[i], error)) {
            return false;
        }
    }
    return true;
}

enum applied apply_set(struct store *store, struct store_set *set, struct error *error)
{
    assert(set->prepared);
    struct writer *writer = &store->writer;
    struct head few[4];
    struct head *heads = few;
    writer->transaction.reader.seq = writer->seq;
    if (set->writes_count > sizeof few / sizeof *few) {
        heads = ARENA_ARRAY(set->arena, struct head, set->writes_count);
        if (heads == NULL) {
            (void)FAIL(error, ERROR_TOO_LARGE, "request memory used up");
            return REFUSED;
        }
    }
    bool willing =
        set_check(store, set, heads, error) && (set->apply == NULL || own_apply(store, set, error));
    if (!willing) {
        return database_in_transaction(writer->connection.database) && error->kind != ERROR_FULL ? REFUSED
                                                                                                 : BROKEN;
    }
    return parts_apply(store, set, heads, error) ? APPLIED : BROKEN;
}
