/* audit.c — the store's side of the audit log: records of a group are one row of an outbox in the group's own
 * transaction (so they are as durable as what they tell of, with one sync), handed to the sink after the commit,
 * and removed once the sink has them on disk. */
#include "store/internal.h"

enum { RECORD_HEAD_BYTES = 4 };

static bool hand_over_row(struct store *store, struct arena *arena, uint64_t number, struct str packed,
                          struct error *error)
{
    const struct store_audit_sink *sink = store->options.audit;
    size_t count = 0;
    for (struct str rest = packed; rest.len >= RECORD_HEAD_BYTES; count++) {
        uint32_t len = 0;
        memcpy(&len, rest.at, sizeof len);
        rest = str_skip(rest, RECORD_HEAD_BYTES + (size_t)len);
    }
    struct str *records = ARENA_ARRAY(arena, struct str, count + 1);
    if (records == NULL) {
        return FAIL(error, ERROR_BUSY, "out of memory; try again");
    }
    struct str rest = packed;
    for (size_t i = 0; i < count; i++) {
        uint32_t len = 0;
        memcpy(&len, rest.at, sizeof len);
        records[i] = str_slice(rest, RECORD_HEAD_BYTES, RECORD_HEAD_BYTES + (size_t)len);
        rest = str_skip(rest, RECORD_HEAD_BYTES + (size_t)len);
    }
    return sink->append(sink->data, number, records, count, error);
}

/* All rows of the outbox; the sink ignores those it has. */
static bool hand_over_all(struct store *store, struct error *error)
{
    struct statement *statement = connection_statement(&store->writer.connection, SQL_AUDIT_ALL, error);
    if (statement == NULL) {
        return false;
    }
    struct arena arena = { .bytes_max = LIMIT_BUNDLE_BYTES };
    bool ok = true;
    enum step step = statement_step(statement, error);
    while (ok && step == STEP_ROW) {
        uint64_t number = column_key(statement, 0);
        ok = store->options.audit == NULL ||
             hand_over_row(store, &arena, number, column_bytes(statement, 1), error);
        store->writer.audit_group = number > store->writer.audit_group ? number : store->writer.audit_group;
        arena_reset(&arena);
        step = ok ? statement_step(statement, error) : step;
    }
    statement_reset(statement);
    arena_deinit(&arena);
    return ok && step == STEP_DONE;
}

/* The log gets a group after its commit was synced: a log that knows more than the store tells that acknowledged changes are
 * gone (a write-ahead log that was cut, an old store.db put back). Counting on from there would also have new records taken
 * for known. */
static bool refuse_lost(struct store *store, struct error *error)
{
    struct writer *writer = &store->writer;
    const struct store_audit_sink *sink = store->options.audit;
    uint64_t durable = sink == NULL ? 0 : sink->groups_durable(sink->data);
    if (durable <= writer->audit_group) {
        return true;
    }
    if (!store->options.accept_lost) {
        return FAIL(error, ERROR_CONFLICT,
                    "%llu acknowledged commits are missing (the audit log has them): restore a backup, or go "
                    "on without "
                    "them by `shanhai check --accept-lost-changes`",
                    (unsigned long long)(durable - writer->audit_group));
    }
    struct statement *statement = connection_statement(&writer->connection, SQL_AUDIT_ADD, error);
    if (statement == NULL) {
        return false;
    }
    writer->audit_group = durable;
    bind_key(statement, 1, durable);
    bind_bytes(statement, 2, STR(""));
    return statement_run(statement, error);
}

bool audit_start(struct store *store, struct error *error)
{
    return hand_over_all(store, error) && refuse_lost(store, error);
}

static bool drop_durable(struct store *store, struct error *error)
{
    const struct store_audit_sink *sink = store->options.audit;
    uint64_t durable = sink->groups_durable(sink->data);
    /* The last row stays: its number is where counting goes on after a restart. */
    if (durable >= store->writer.audit_group) {
        durable = store->writer.audit_group == 0 ? 0 : store->writer.audit_group - 1;
    }
    if (durable <= store->writer.audit_dropped) {
        return true;
    }
    struct statement *statement = connection_statement(&store->writer.connection, SQL_AUDIT_DROP, error);
    if (statement == NULL) {
        return false;
    }
    bind_key(statement, 1, durable);
    store->writer.audit_dropped = durable;
    return statement_run_later(statement, error);
}

bool audit_add_group(struct store *store, size_t sets_count, struct error *error)
{
    struct writer *writer = &store->writer;
    struct buf packed = { .bytes_max = LIMIT_BUNDLE_BYTES };
    for (size_t i = 0; i < sets_count; i++) {
        struct str record = writer->group[i].set->audit_record;
        if (writer->group[i].applied && record.at != NULL) {
            uint32_t len = (uint32_t)record.len; /* bounded in store_set_prepare */
            buf_add(&packed, (struct str){ (const char *)&len, sizeof len });
            buf_add(&packed, record);
        }
    }
    bool ok = !packed.failed || FAIL(error, ERROR_TOO_LARGE, "the audit records of a commit are too large");
    if (ok && packed.len > 0) {
        struct statement *statement = connection_statement(&writer->connection, SQL_AUDIT_ADD, error);
        ok = statement != NULL;
        if (ok) {
            writer->audit_group++; /* a number lost to a rollback is only a gap */
            bind_key(statement, 1, writer->audit_group);
            bind_bytes(statement, 2, buf_str(&packed));
            ok = statement_run_later(statement, error) && drop_durable(store, error);
        }
    }
    buf_deinit(&packed);
    return ok;
}

void audit_hand_over(struct store *store, size_t sets_count)
{
    struct writer *writer = &store->writer;
    struct error error = { 0 };
    if (writer->audit_behind) {
        writer->audit_behind = !hand_over_all(store, &error);
        return;
    }
    struct str records[STORE_GROUP_SETS_MAX];
    size_t count = 0;
    for (size_t i = 0; i < sets_count; i++) {
        if (writer->group[i].applied && writer->group[i].set->audit_record.at != NULL) {
            records[count] = writer->group[i].set->audit_record;
            count++;
        }
    }
    /* A sink that fails now loses nothing: the outbox has the records and they are handed over again. */
    if (count > 0 && !store->options.audit->append(store->options.audit->data, writer->audit_group, records,
                                                   count, &error)) {
        writer->audit_behind = true;
    }
}

bool audit_group_read(struct store_reader *reader, uint64_t *group, struct error *error)
{
    uint64_t last = 0;
    struct statement *statement = connection_statement(reader->connection, SQL_AUDIT_ALL, error);
    enum step step = statement == NULL ? STEP_FAILED : statement_step(statement, error);
    while (step == STEP_ROW) {
        last = column_key(statement, 0);
        step = statement_step(statement, error);
    }
    statement_reset(statement);
    *group = last;
    return step == STEP_DONE;
}

bool store_audit_group(struct store *store, uint64_t *group, struct error *error)
{
    struct store_reader *reader = NULL;
    if (!store_reader_begin(store, &reader, error)) {
        return false;
    }
    bool ok = audit_group_read(reader, group, error);
    store_reader_end(reader);
    return ok;
}
