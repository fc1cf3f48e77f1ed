/* heads.c — what is there now of everything that a group of sets writes or depends on, read by one look-up before the
 * group: where each look-up is a way to another process, and a group has hundreds. An entry that the group itself has
 * written is forgotten, so that the next set that asks for it looks again. */
#include "base/hash.h"
#include "base/memory.h"
#include "store/internal.h"

enum { HEADS_FEW = 2 }; /* fewer are looked up one by one */

struct head_entry {
    uint64_t key;
    bool used;
    bool written; /* by the group: not known any more */
    struct head head;
};

struct heads {
    struct head_entry *entries; /* open addressing */
    size_t slots;               /* a power of two, or 0 */
    struct arena arena;         /* ids */
};

static struct head_entry *entry_of(const struct heads *heads, uint64_t key)
{
    size_t at = (size_t)key & (heads->slots - 1);
    while (heads->entries[at].used && heads->entries[at].key != key) {
        at = (at + 1) & (heads->slots - 1);
    }
    return &heads->entries[at];
}

static bool head_keeps(const struct store_condition *condition)
{
    return condition->kind != STORE_CONDITION_QUERY;
}

static size_t keys_count(const struct outcome_of_set *group, size_t count)
{
    size_t keys = 0;
    for (size_t i = 0; i < count; i++) {
        keys += group[i].set->writes_count + group[i].set->conditions_count;
    }
    return keys;
}

static size_t keys_gather(struct heads *heads, const struct outcome_of_set *group, size_t count,
                          int64_t *keys)
{
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        const struct store_set *set = group[i].set;
        for (size_t k = 0; k < set->writes_count + set->conditions_count; k++) {
            bool write = k < set->writes_count;
            const struct store_condition *condition = write ? NULL : &set->conditions[k - set->writes_count];
            if (!write && !head_keeps(condition)) {
                continue;
            }
            uint64_t key = write ? hash_resource_key(set->writes[k].type, set->writes[k].id)
                                 : hash_resource_key(condition->type, condition->id);
            struct head_entry *entry = entry_of(heads, key);
            if (!entry->used) {
                *entry = (struct head_entry){ .key = key, .used = true };
                keys[found++] = (int64_t)key;
            }
        }
    }
    return found;
}

static bool heads_read(struct heads *heads, struct statement *statement, struct error *error)
{
    enum step step = statement_step(statement, error);
    bool ok = true;
    while (ok && step == STEP_ROW) {
        struct head_entry *entry = entry_of(heads, column_key(statement, 0));
        assert(entry->used);
        entry->head = (struct head){ .seq = column_key(statement, 1),
                                     .version = column_key(statement, 2),
                                     .type = (uint32_t)column_integer(statement, 3),
                                     .id = column_dup(&heads->arena, statement, 4),
                                     .deleted = column_integer(statement, 5) == STORE_METHOD_DELETED,
                                     .custodian = column_key(statement, 6) };
        ok = entry->head.id.at != NULL || FAIL(error, ERROR_BUSY, "out of memory; try again");
        step = ok ? statement_step(statement, error) : step;
    }
    statement_reset(statement);
    return ok && step == STEP_DONE;
}

void heads_forget(struct writer *writer)
{
    struct heads *heads = writer->heads;
    if (heads != NULL) {
        memory_free(heads->entries);
        arena_deinit(&heads->arena);
        memory_free(heads);
        writer->heads = NULL;
    }
}

bool heads_prepare(struct store *store, size_t count, struct error *error)
{
    struct writer *writer = &store->writer;
    size_t most = keys_count(writer->group, count);
    heads_forget(writer);
    if (most < HEADS_FEW || database_dialect(writer->connection.database) == DIALECT_SQLITE) {
        return true;
    }
    struct heads *heads = MEMORY_NEW(struct heads);
    int64_t *keys = memory_new_array(most, sizeof *keys);
    size_t slots = 4;
    while (slots < 2 * most) {
        slots *= 2;
    }
    struct head_entry *entries = memory_new_array(slots, sizeof *entries);
    struct statement *statement = connection_statement(&writer->connection, SQL_HEADS, error);
    bool ok = statement != NULL;
    if (ok && (heads == NULL || keys == NULL || entries == NULL)) {
        ok = FAIL(error, ERROR_BUSY, "out of memory; try again");
    }
    if (!ok) {
        memory_free(heads);
        memory_free(entries);
        memory_free(keys);
        return false;
    }
    *heads =
        (struct heads){ .entries = entries, .slots = slots, .arena = { .bytes_max = LIMIT_BUNDLE_BYTES } };
    writer->heads = heads;
    size_t asked = keys_gather(heads, writer->group, count, keys);
    bind_integers(statement, 1, keys, asked);
    ok = heads_read(heads, statement, error);
    memory_free(keys);
    if (!ok) {
        heads_forget(writer);
    }
    return ok;
}

const struct head *heads_find(const struct writer *writer, uint64_t key)
{
    const struct head_entry *entry = writer->heads == NULL ? NULL : entry_of(writer->heads, key);
    return entry == NULL || !entry->used || entry->written ? NULL : &entry->head;
}

void heads_note_write(struct writer *writer, uint64_t key)
{
    struct head_entry *entry = writer->heads == NULL ? NULL : entry_of(writer->heads, key);
    if (entry != NULL && entry->used) {
        entry->written = true;
    }
}
