/* subscription_rows.c — where each subscription is in the feed, and which version each numbered event is. */
#include "base/limits.h"
#include "feed/subscription_internal.h"
#include "store/rows.h"

enum { PRUNE_EVERY = 1000 };

static const struct store_column place_columns[] = { { "subscription", STORE_VALUE_TEXT, 1 },
                                                     { "place", STORE_VALUE_INTEGER, 1 },
                                                     { "place_ms", STORE_VALUE_INTEGER, 1 },
                                                     { "number", STORE_VALUE_INTEGER, 1 },
                                                     { "sent", STORE_VALUE_INTEGER, 1 } };
static const struct store_table place_table = {
    .name = "subscription_place", .version = 1, .columns = place_columns, .columns_count = 5, .key_columns = 1
};
static const struct store_column event_columns[] = { { "subscription", STORE_VALUE_TEXT, 1 },
                                                     { "number", STORE_VALUE_INTEGER, 1 },
                                                     { "seq", STORE_VALUE_INTEGER, 1 } };
static const struct store_table event_table = {
    .name = "subscription_event", .version = 1, .columns = event_columns, .columns_count = 3, .key_columns = 2
};

void subscription_tables(const struct store_table *tables[SUBSCRIPTION_TABLES])
{
    tables[0] = &place_table;
    tables[1] = &event_table;
}

static uint64_t number_at(const struct store_table *table, const struct store_rows *rows, size_t row,
                          const char *column)
{
    return (uint64_t)store_rows_value(table, rows, row, column)->integer;
}

bool subscription_rows_load(struct store *store, struct subscription *subscription, bool *found,
                            struct error *error)
{
    struct arena arena = { .bytes_max = LIMIT_RESOURCE_BYTES };
    struct store_reader *reader = NULL;
    struct store_rows rows = { 0 };
    const struct store_where where = { "subscription", STORE_EQUAL, store_text(subscription->id) };
    const struct store_rows_query query = { .where = &where, .where_count = 1 };
    if (!store_reader_begin(store, &reader, error)) {
        return false;
    }
    bool ok = store_rows_find(reader, &arena, &place_table, &query, &rows, error);
    store_reader_end(reader);
    *found = ok && rows.rows_count > 0;
    if (*found) {
        subscription->place = number_at(&place_table, &rows, 0, "place");
        subscription->place_ms = (int64_t)number_at(&place_table, &rows, 0, "place_ms");
        subscription->place_saved = subscription->place;
        subscription->number = number_at(&place_table, &rows, 0, "number");
        subscription->sent = number_at(&place_table, &rows, 0, "sent");
    }
    arena_deinit(&arena);
    return ok;
}

struct saving {
    const struct subscription *subscription;
    const uint64_t *seqs;
    size_t seqs_count;
};

static bool prune(struct store_transaction *transaction, const struct subscription *subscription,
                  struct error *error)
{
    uint64_t oldest = subscription->sent > LIMIT_SUBSCRIPTION_EVENTS_KEPT
                          ? subscription->sent - LIMIT_SUBSCRIPTION_EVENTS_KEPT
                          : 0;
    const struct store_where where[] = { { "subscription", STORE_EQUAL, store_text(subscription->id) },
                                         { "number", STORE_AT_MOST, store_integer((int64_t)oldest) } };
    const struct store_rows_query query = { .where = where, .where_count = 2 };
    return oldest == 0 || store_rows_delete(transaction, &event_table, &query, NULL, error);
}

static bool save_apply(void *data, struct store_transaction *transaction, struct error *error)
{
    const struct saving *saving = data;
    const struct subscription *subscription = saving->subscription;
    const struct store_value place[] = { store_text(subscription->id),
                                         store_integer((int64_t)subscription->place),
                                         store_integer(subscription->place_ms),
                                         store_integer((int64_t)subscription->number),
                                         store_integer((int64_t)subscription->sent) };
    if (!store_rows_put(transaction, &place_table, place, error)) {
        return false;
    }
    for (size_t i = 0; i < saving->seqs_count; i++) {
        uint64_t number = subscription->number - saving->seqs_count + 1 + i;
        const struct store_value event[] = { store_text(subscription->id), store_integer((int64_t)number),
                                             store_integer((int64_t)saving->seqs[i]) };
        if (!store_rows_put(transaction, &event_table, event, error) ||
            (number % PRUNE_EVERY == 0 && !prune(transaction, subscription, error))) {
            return false;
        }
    }
    return true;
}

bool subscription_rows_save(struct store *store, struct subscription *subscription, const uint64_t *seqs,
                            size_t seqs_count, struct error *error)
{
    struct saving saving = { .subscription = subscription, .seqs = seqs, .seqs_count = seqs_count };
    if (!store_apply_and_wait(store, save_apply, &saving, STR_NONE, error)) {
        return false;
    }
    subscription->place_saved = subscription->place;
    return true;
}

static bool remove_apply(void *data, struct store_transaction *transaction, struct error *error)
{
    const struct str *id = data;
    const struct store_where where = { "subscription", STORE_EQUAL, store_text(*id) };
    const struct store_rows_query query = { .where = &where, .where_count = 1 };
    return store_rows_delete(transaction, &place_table, &query, NULL, error) &&
           store_rows_delete(transaction, &event_table, &query, NULL, error);
}

bool subscription_rows_remove(struct store *store, struct str id, struct error *error)
{
    return store_apply_and_wait(store, remove_apply, &id, STR_NONE, error);
}

bool subscription_rows_events(struct store_reader *reader, struct arena *arena, struct str id, uint64_t from,
                              uint64_t until, struct subscription_event **events, size_t *count,
                              struct error *error)
{
    const struct store_where where[] = { { "subscription", STORE_EQUAL, store_text(id) },
                                         { "number", STORE_AT_LEAST, store_integer((int64_t)from) },
                                         { "number", STORE_AT_MOST, store_integer((int64_t)until) } };
    const struct store_rows_query query = { .where = where, .where_count = 3 };
    struct store_rows rows = { 0 };
    if (!store_rows_find(reader, arena, &event_table, &query, &rows, error)) {
        return false;
    }
    struct subscription_event *list = ARENA_ARRAY(arena, struct subscription_event, rows.rows_count + 1);
    if (list == NULL) {
        return FAIL(error, ERROR_TOO_LARGE, "request memory used up");
    }
    for (size_t i = 0; i < rows.rows_count; i++) {
        list[i] = (struct subscription_event){ .number = number_at(&event_table, &rows, i, "number"),
                                               .seq = number_at(&event_table, &rows, i, "seq") };
    }
    *events = list;
    *count = rows.rows_count;
    return true;
}
