/* index.c — the one door through which index rows enter the store. Random pages of the main index are what a durable
 * create costs (limits.md section 3), so rows wait first: those of a commit become a sorted run in memory and one row
 * of index_pending, which a start reads again. When enough wait they are frozen into one run, which the following
 * commits insert into the main index in its own order, a slice each: neighbours share pages. index_mark says in the
 * same transaction how far that is, so that a snapshot sees each row exactly once (store/runs.h). */
#include <stdlib.h>

#include "base/memory.h"
#include "store/internal.h"
#include "store/packed_rows.h"
#include "store/version_rows.h"

enum {
    GROUP_ROWS_MAX =
        200000,           /* a larger group goes into the main index at once: it is sorted enough by itself */
    PAID_PART = 3,        /* of two: a group merges 1.5 times as many rows as it brings */
    DROPPED_A_COMMIT = 8, /* rows of index_pending that are deleted with a commit */
    PENDING_BYTES_MAX = 1 << 30,
};

static bool entries_grow(struct writer *writer, size_t more, struct error *error)
{
    if (writer->entries_count + more > writer->entries_capacity) {
        size_t capacity = writer->entries_capacity == 0 ? 4096 : writer->entries_capacity;
        while (capacity < writer->entries_count + more) {
            capacity *= 2;
        }
        struct run_entry *grown = memory_resize(writer->entries, capacity * sizeof *grown);
        if (grown == NULL) {
            return FAIL(error, ERROR_BUSY, "out of memory; try again");
        }
        writer->entries = grown;
        writer->entries_capacity = capacity;
    }
    return true;
}

/* Where a head of the group is, or can be put: a group has far fewer than there are places. */
static struct fresh_head *fresh_head_place(struct writer *writer, uint64_t resource)
{
    static_assert(STORE_FRESH_HEADS >= 2 * LIMIT_STORE_GROUP_WRITES, "there is always a free place");
    static_assert(STORE_FRESH_HEADS >= 2 * LIMIT_BUNDLE_ENTRIES, "also for a single set");
    size_t at = (size_t)resource & (STORE_FRESH_HEADS - 1);
    while (writer->fresh[at].group == writer->fresh_group && writer->fresh[at].key != resource) {
        at = (at + 1) & (STORE_FRESH_HEADS - 1);
    }
    return &writer->fresh[at];
}

bool index_remember(struct writer *writer, const struct index_rows *index, uint64_t seq, uint64_t resource,
                    struct error *error)
{
    if (index == NULL || index->count == 0) {
        return true;
    }
    if (!entries_grow(writer, index->count, error)) {
        return false;
    }
    for (size_t i = 0; i < index->count; i++) {
        writer->entries[writer->entries_count] = (struct run_entry){ &index->rows[i], seq, resource };
        writer->entries_count += index->rows[i].derived ? 0 : 1;
    }
    return true;
}

static const struct index_row head_row = { .kind = RUN_HEAD };

bool index_remember_head(struct writer *writer, uint64_t resource, uint64_t seq, struct error *error)
{
    if (!entries_grow(writer, 1, error)) {
        return false;
    }
    writer->entries[writer->entries_count] = (struct run_entry){ &head_row, seq, resource };
    writer->entries_count++;
    struct fresh_head *fresh = fresh_head_place(writer, resource);
    *fresh = (struct fresh_head){ resource, seq, writer->fresh_group };
    return true;
}

uint64_t index_head(const struct store_reader *reader, uint64_t resource)
{
    if (reader->inside_writer) { /* of the group, and not in a run yet */
        struct writer *writer = &reader->store->writer;
        const struct fresh_head *fresh = fresh_head_place(writer, resource);
        if (fresh->group == writer->fresh_group) {
            return fresh->seq;
        }
    }
    return run_view_head(database_runs(reader->connection->database), resource);
}

/* ---- straight into the main index ---- */

#define ORDER(a, b)                                                                                          \
    if ((a) != (b)) {                                                                                        \
        return (a) < (b) ? -1 : 1;                                                                           \
    }

int index_entries_compare(const void *left, const void *right)
{
    const struct run_entry *x = left;
    const struct run_entry *y = right;
    const struct index_row *a = x->row;
    const struct index_row *b = y->row;
    ORDER(a->kind, b->kind)
    ORDER(a->parameter, b->parameter)
    if (a->kind == RUN_HEAD) {
        ORDER((int64_t)x->resource, (int64_t)y->resource)
    }
    switch (a->kind) {
    case INDEX_KEY:
        ORDER((int64_t)a->key, (int64_t)b->key)
        break;
    case INDEX_TEXT: {
        int order = str_compare(index_text_cut(a->text), index_text_cut(b->text));
        if (order != 0) {
            return order;
        }
        break;
    }
    case INDEX_DATE:
        ORDER(a->from_ms, b->from_ms)
        ORDER(a->to_ms, b->to_ms)
        break;
    case INDEX_NUMBER:
        ORDER((int64_t)a->key, (int64_t)b->key)
        ORDER(a->low, b->low)
        ORDER(a->high, b->high)
        break;
    }
    ORDER(x->seq, y->seq)
    return 0;
}

void bind_index_row(struct statement *statement, const struct index_row *row, uint64_t seq)
{
    int at = 1;
    bind_integer(statement, at++, row->parameter);
    switch (row->kind) {
    case INDEX_KEY:
        bind_key(statement, at++, row->key);
        break;
    case INDEX_TEXT:
        bind_text(statement, at++, index_text_cut(row->text));
        break;
    case INDEX_DATE:
        bind_integer(statement, at++, row->from_ms);
        bind_integer(statement, at++, row->to_ms);
        break;
    case INDEX_NUMBER:
        bind_key(statement, at++, row->key);
        bind_real(statement, at++, row->low);
        bind_real(statement, at++, row->high);
        break;
    }
    bind_key(statement, at, seq);
}

void index_sort_entries(struct run_entry *entries, size_t count)
{
    qsort(entries, count, sizeof *entries, index_entries_compare);
}

static bool insert_entry(struct connection *connection, const struct run_entry *entry, struct error *error)
{
    static const enum sql adding[] = { [INDEX_KEY] = SQL_INDEX_KEY_ADD,
                                       [INDEX_TEXT] = SQL_INDEX_TEXT_ADD,
                                       [INDEX_DATE] = SQL_INDEX_DATE_ADD,
                                       [INDEX_NUMBER] = SQL_INDEX_NUMBER_ADD };
    const struct index_row *row = entry->row;
    struct statement *statement = connection_statement(connection, adding[row->kind], error);
    if (statement == NULL) {
        return false;
    }
    bind_index_row(statement, row, entry->seq);
    return statement_run(statement, error);
}

/* ---- runs of the group ---- */

static bool no_memory(struct error *error)
{
    return FAIL(error, ERROR_BUSY, "out of memory; try again");
}

/* What the transaction itself sees: everything. */
static void show_inside(struct writer *writer)
{
    struct run_view *view = database_runs(writer->connection.database);
    bool whole = runs_view(writer->runs_next, &writer->mark_next, UINT64_MAX, view);
    assert(whole);
    (void)whole;
}

/* Takes over a reference to `next`. */
static void runs_replace(struct writer *writer, struct runs *next)
{
    if (writer->runs_next != writer->runs) {
        runs_unref(writer->runs_next);
    }
    writer->runs_next = next;
    show_inside(writer);
}

static bool is_merging(const struct writer *writer)
{
    return writer->mark_next.run != 0;
}

static bool pending_add(struct writer *writer, const struct run *run, struct error *error)
{
    struct statement *statement = connection_statement(&writer->connection, SQL_PENDING_ADD, error);
    writer->run_bytes.bytes_max = PENDING_BYTES_MAX;
    buf_clear(&writer->run_bytes);
    run_write(run, &writer->run_bytes);
    if (statement == NULL || writer->run_bytes.failed) {
        return statement == NULL ? false : no_memory(error);
    }
    bind_key(statement, 1, run->last);
    bind_bytes(statement, 2, buf_str(&writer->run_bytes));
    return statement_run(statement, error);
}

static bool entries_to_run(struct writer *writer, size_t count, struct error *error)
{
    struct run *run = run_create(writer->entries, count, writer->pending + 1);
    if (run == NULL) {
        return no_memory(error);
    }
    struct runs *next = NULL;
    bool ok = pending_add(writer, run, error);
    if (ok) {
        next = runs_with(writer->runs_next, run, is_merging(writer) ? 1 : 0);
        ok = next != NULL || no_memory(error);
    }
    if (!ok) {
        run_unref(run);
        return false;
    }
    writer->pending++;
    runs_replace(writer, next);
    return true;
}

/* The heads, which sort first, wait all the same: what waits of a resource is always later than what its table says. */
static bool entries_to_index(struct writer *writer, struct error *error)
{
    size_t heads = 0;
    index_sort_entries(writer->entries, writer->entries_count);
    while (heads < writer->entries_count && writer->entries[heads].row->kind == RUN_HEAD) {
        heads++;
    }
    if (heads > 0 && !entries_to_run(writer, heads, error)) {
        return false;
    }
    for (size_t i = heads; i < writer->entries_count; i++) {
        if (!insert_entry(&writer->connection, &writer->entries[i], error)) {
            return false;
        }
    }
    return true;
}

bool index_flush(struct writer *writer, struct error *error)
{
    if (!versions_flush(writer, error)) {
        return false;
    }
    if (writer->entries_count == 0) {
        return true;
    }
    if (!database_has_runs(writer->connection.database)) {
        index_sort_entries(writer->entries, writer->entries_count);
        bool ok = index_add_columns(writer, writer->transaction.store->partitions == 0, error);
        writer->entries_count = ok ? 0 : writer->entries_count;
        writer->entries_again = writer->entries_again && !ok;
        return ok;
    }
    bool many = writer->entries_count > GROUP_ROWS_MAX;
    if (many ? !entries_to_index(writer, error) : !entries_to_run(writer, writer->entries_count, error)) {
        return false;
    }
    writer->fresh_group++;
    writer->rows_count += many ? 0 : writer->entries_count;
    writer->entries_count = 0;
    return true;
}

/* By version a re-index leaves what it brings and nothing else. */
static bool packed_rows_set(struct writer *writer, const struct index_rows *index, uint64_t seq,
                            struct error *error)
{
    struct arena arena = { .bytes_max = LIMIT_REQUEST_ARENA_BYTES };
    struct str packed = STR_NONE;
    struct statement *statement = connection_statement(&writer->connection, SQL_ROWS_SET, error);
    bool ok = statement != NULL && packed_rows_make(&arena, index, &packed, error);
    if (ok) {
        bind_key(statement, 1, seq);
        bind_bytes(statement, 2, packed);
        ok = statement_run(statement, error);
    }
    arena_deinit(&arena);
    return ok;
}

/* A re-index brings rows that may be there already, in the main index or waiting: each must be there once. */
bool index_add_missing(struct writer *writer, const struct index_rows *index, uint64_t seq, uint64_t resource,
                       struct error *error)
{
    if (!database_has_runs(
            writer->connection.database)) { /* nothing waits, and what is there is left alone */
        writer->entries_again = true;
        return index_remember(writer, index, seq, resource, error) &&
               (index == NULL || version_rows_set(writer, index, seq, error));
    }
    if (index == NULL || !index_flush(writer, error)) {
        return index == NULL;
    }
    struct store_reader *inside = &writer->transaction.reader;
    for (size_t i = 0; i < index->count; i++) {
        bool exists = false;
        struct run_entry entry = { &index->rows[i], seq, resource };
        if (index->rows[i].derived) {
            continue;
        }
        if (!index_row_exists(inside, &index->rows[i], seq, &exists, error)) {
            return false;
        }
        if (!exists && !insert_entry(&writer->connection, &entry, error)) {
            return false;
        }
    }
    return packed_rows_set(writer, index, seq, error);
}

/* ---- into the main index ---- */

/* Inserts the next rows of the frozen run. */
static bool slice_merge(struct writer *writer, size_t rows, struct error *error)
{
    static const enum sql inserting[] = { [RUN_HEAD] = SQL_SLICE_HEAD,
                                          [INDEX_KEY] = SQL_SLICE_KEY,
                                          [INDEX_TEXT] = SQL_SLICE_TEXT,
                                          [INDEX_DATE] = SQL_SLICE_DATE,
                                          [INDEX_NUMBER] = SQL_SLICE_NUMBER };
    const struct run *run = writer->runs_next->runs[0];
    assert(run->last == writer->mark_next.run);
    size_t from = (size_t)writer->mark_next.position;
    size_t to = rows < run->count - from ? from + rows : run->count;
    struct run_view *slice = database_slice(writer->connection.database);
    *slice = (struct run_view){ .spans = { { run, from, to } }, .count = 1, .seq_max = UINT64_MAX };
    bool ok = true;
    if (from < to) {
        enum index_kind last = run_row_kind(&run->rows[to - 1]);
        for (enum index_kind kind = run_row_kind(&run->rows[from]); ok && kind <= last; kind++) {
            struct statement *statement = connection_statement(&writer->connection, inserting[kind], error);
            ok = statement != NULL && statement_run(statement, error);
        }
    }
    slice->count = 0;
    if (ok) {
        writer->mark_next.position = to;
        if (to == run->count) {
            writer->mark_next = (struct run_mark){ .merged = run->last };
        }
    }
    return ok;
}

static bool freeze(struct writer *writer, struct error *error)
{
    struct runs *frozen = runs_frozen(writer->runs_next);
    if (frozen == NULL) {
        return no_memory(error);
    }
    writer->mark_next.run = frozen->runs[0]->last;
    writer->mark_next.position = 0;
    runs_replace(writer, frozen);
    return true;
}

static bool mark_write(struct writer *writer, struct error *error)
{
    struct statement *statement = connection_statement(&writer->connection, SQL_MARK_SET, error);
    if (statement == NULL) {
        return false;
    }
    bind_key(statement, 1, writer->mark_next.merged);
    bind_key(statement, 2, writer->mark_next.run);
    bind_key(statement, 3, writer->mark_next.position);
    return statement_run(statement, error);
}

static bool pending_drop(struct writer *writer, size_t count, struct error *error)
{
    if (writer->pending_dropped >= writer->mark.merged) {
        return true;
    }
    struct statement *statement = connection_statement(&writer->connection, SQL_PENDING_DROP, error);
    if (statement == NULL) {
        return false;
    }
    bind_key(statement, 1, writer->mark.merged);
    bind_integer(statement, 2, (int64_t)count);
    bool ok = statement_run(statement, error);
    if (ok && database_changes(writer->connection.database) < count) {
        writer->pending_dropped =
            writer->mark.merged; /* were it rolled back, the next merged run drops them */
    }
    return ok;
}

static void runs_publish(struct store *store, struct runs *runs)
{
    runs_ref(runs);
    (void)pthread_mutex_lock(&store->runs_lock);
    struct runs *before = store->runs;
    store->runs = runs;
    (void)pthread_mutex_unlock(&store->runs_lock);
    runs_unref(before);
}

bool index_before_commit(struct store *store, size_t rows_more, struct error *error)
{
    struct writer *writer = &store->writer;
    if (!index_flush(writer, error)) {
        return false;
    }
    bool enough = writer->runs_next->rows_count >= store->options.waiting_rows_max || rows_more > 0;
    if (!is_merging(writer) && enough && writer->runs_next->count > 0 && !freeze(writer, error)) {
        return false;
    }
    if (is_merging(writer) && !slice_merge(writer, writer->rows_count * PAID_PART / 2 + rows_more, error)) {
        return false;
    }
    if (memcmp(&writer->mark, &writer->mark_next, sizeof writer->mark) != 0 && !mark_write(writer, error)) {
        return false;
    }
    if (!pending_drop(writer, rows_more > 0 ? 8 * DROPPED_A_COMMIT : DROPPED_A_COMMIT, error)) {
        return false;
    }
    /* Before the commit: whoever sees the commit finds its rows; whoever does not leaves them out by their number. */
    if (writer->runs_next != writer->runs) {
        runs_publish(store, writer->runs_next);
        writer->runs_published = true;
    }
    return true;
}

void index_after_commit(struct store *store)
{
    struct writer *writer = &store->writer;
    bool ended =
        writer->mark.run != 0 || is_merging(writer) || writer->mark_next.merged != writer->mark.merged;
    ended = ended && writer->mark_next.run == 0 && writer->mark_next.merged != writer->mark.merged;
    if (writer->runs_next != writer->runs) {
        runs_unref(writer->runs);
        writer->runs = writer->runs_next;
    }
    writer->mark = writer->mark_next;
    writer->pending_committed = writer->pending;
    writer->rows_count = 0;
    writer->runs_published = false;
    if (ended) { /* memory for a smaller set that cannot be had now is asked for at the next run's end */
        struct runs *rest = runs_without_first(writer->runs);
        if (rest != NULL) {
            runs_publish(store, rest);
            runs_unref(writer->runs);
            writer->runs = rest;
            writer->runs_next = rest;
        }
    }
    atomic_store(&store->rows_waiting, writer->runs->rows_count);
    show_inside(writer);
}

void index_after_rollback(struct store *store)
{
    struct writer *writer = &store->writer;
    writer->entries_count = 0;
    writer->fresh_group++;
    writer->rows_count = 0;
    writer->entries_again = false;
    versions_forget(writer);
    memset(writer->pieces_known, 0, sizeof writer->pieces_known);
    memset(writer->codings_known, 0, sizeof writer->codings_known);
    writer->pending = writer->pending_committed;
    writer->mark_next = writer->mark;
    if (writer->runs_next != writer->runs) {
        runs_unref(writer->runs_next);
        writer->runs_next = writer->runs;
    }
    if (writer->runs_published) {
        runs_publish(store, writer->runs);
        writer->runs_published = false;
    }
    show_inside(writer);
}

/* ---- at open ---- */

static bool mark_read(struct writer *writer, struct error *error)
{
    struct statement *statement = connection_statement(&writer->connection, SQL_SNAPSHOT, error);
    enum step step = statement == NULL ? STEP_FAILED : statement_step(statement, error);
    if (step == STEP_ROW) {
        writer->mark =
            (struct run_mark){ column_key(statement, 1), column_key(statement, 2), column_key(statement, 3) };
    }
    statement_reset(statement);
    return step == STEP_ROW || (step == STEP_DONE && FAIL(error, ERROR_INTERNAL, "index_mark is empty"));
}

/* A further row of index_pending. The runs up to the mark's become one again, the same as before, since the order of
 * rows does not depend on how they came together. */
static bool pending_take(struct writer *writer, uint64_t id, struct str bytes, struct error *error)
{
    struct run *run = NULL;
    if (!run_read(bytes, id, &run, error)) {
        return false;
    }
    bool kept = writer->mark.run != 0 && id > writer->mark.run;
    struct runs *next = runs_with(writer->runs, run, kept ? 1 : 0);
    if (next == NULL) {
        run_unref(run);
        return no_memory(error);
    }
    if (id == writer->mark.run) {
        struct runs *frozen = runs_frozen(next);
        runs_unref(next);
        next = frozen;
    }
    if (next == NULL) {
        return no_memory(error);
    }
    runs_unref(writer->runs);
    writer->runs = next;
    writer->pending = id;
    return true;
}

bool index_start(struct store *store, struct error *error)
{
    struct writer *writer = &store->writer;
    if (!mark_read(writer, error)) {
        return false;
    }
    writer->runs = runs_create(writer->mark.merged);
    if (writer->runs == NULL) {
        return no_memory(error);
    }
    if (!database_has_runs(writer->connection.database)) {
        writer->runs_next = writer->runs;
        runs_publish(store, writer->runs);
        return true;
    }
    struct statement *statement = connection_statement(&writer->connection, SQL_PENDING_ALL, error);
    if (statement == NULL) {
        return false;
    }
    writer->pending = writer->mark.run > writer->mark.merged ? writer->mark.run : writer->mark.merged;
    bind_key(statement, 1, writer->mark.merged);
    enum step step = statement_step(statement, error);
    while (step == STEP_ROW) {
        if (!pending_take(writer, column_key(statement, 0), column_bytes(statement, 1), error)) {
            statement_reset(statement);
            return false;
        }
        step = statement_step(statement, error);
    }
    statement_reset(statement);
    bool whole = writer->mark.run == 0 ||
                 (writer->runs->count > 0 && writer->runs->runs[0]->last == writer->mark.run &&
                  writer->mark.position <= writer->runs->runs[0]->count);
    if (step != STEP_DONE || !whole) {
        return step != STEP_DONE
                   ? false
                   : FAIL(error, ERROR_INTERNAL, "waiting index rows are missing: restore a backup");
    }
    writer->runs_next = writer->runs;
    writer->mark_next = writer->mark;
    writer->pending_committed = writer->pending;
    writer->fresh_group = 1;
    runs_publish(store, writer->runs);
    show_inside(writer);
    return true;
}

bool index_is_waiting(const struct writer *writer, uint64_t seq)
{
    for (size_t i = 0; i < writer->runs_next->count; i++) {
        if (writer->runs_next->runs[i]->seq_first <= seq) {
            return true;
        }
    }
    return writer->entries_count > 0;
}

bool index_waits(const struct store *store)
{
    return store->writer.runs->count > 0 || store->writer.pending_dropped < store->writer.mark.merged;
}

void index_end(struct store *store)
{
    struct writer *writer = &store->writer;
    if (writer->runs_next != writer->runs) {
        runs_unref(writer->runs_next);
    }
    runs_unref(writer->runs);
    runs_unref(store->runs);
    memory_free(writer->entries);
    versions_end(writer);
    buf_deinit(&writer->run_bytes);
}
