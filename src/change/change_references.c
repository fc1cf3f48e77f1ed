/* Referential integrity, a setting (serve --check-references): a reference "Type/id" leads to a resource that exists and
 * that the writer may see, and what others refer to is not deleted. Referrers are found by the reference parameters of
 * search. The writer looks again when somebody wrote meanwhile. */
#include "base/table.h"
#include "change/change_internal.h"
#include "fhir/search_query.h"
#include "model/model.h"
#include "store/search.h"

enum { REFERRERS_NAMED = 10, REFERRERS_PAGE = 50 };

struct change_references {
    const struct change *change;
    struct change_set *set;
    const struct store_filter *filter; /* what the session may read */
    uint64_t seq;                      /* of the snapshot that was looked at */
    struct table written;              /* "Type/id" of the set's own creates and updates */
    struct table removed;              /* … and deletes */
    struct table targets;              /* "Type/id" outside of the set that must stay */
};

static struct str key_of(struct arena *arena, struct str type, struct str id)
{
    return arena_printf(arena, "%.*s/%.*s", STR_FMT(type), STR_FMT(id));
}

struct change_references *change_references_begin(const struct change *change, struct change_set *set,
                                                  const struct store_filter *filter,
                                                  struct store_reader *reader)
{
    struct change_references *references = ARENA_NEW(set->arena, struct change_references);
    if (references == NULL) {
        return NULL;
    }
    *references = (struct change_references){ .change = change, .set = set, .filter = filter };
    references->seq = store_reader_seq(reader);
    references->written = table_in(set->arena);
    references->removed = table_in(set->arena);
    references->targets = table_in(set->arena);
    for (size_t i = 0; i < set->entries_count; i++) {
        struct change_entry *entry = &set->entries[i];
        bool removes = entry->kind == CHANGE_DELETE;
        struct str key = key_of(set->arena, entry->type, entry->id);
        if (entry->id.len > 0 &&
            !table_set(removes ? &references->removed : &references->written, key, entry)) {
            return NULL;
        }
    }
    return references;
}

/* ---- where a resource points ---- */

/* "Type/id" with or without a version; anything else is not ours to check. */
static bool is_literal(struct str text, struct str *type, struct str *id)
{
    text = str_slice(text, 0, str_find(text, STR("/_history/")));
    size_t slash = str_find_char(text, '/');
    *type = str_slice(text, 0, slash);
    *id = str_skip(text, slash + 1);
    return slash < text.len && id->len > 0 && str_find_char(*id, '/') == id->len &&
           str_find_char(text, '?') == text.len && model_resource_find(*type) != NULL;
}

static bool exists(struct change_references *references, struct store_reader *reader, struct str type,
                   struct str id, bool *there, struct error *error)
{
    struct store_version version = { 0 };
    *there = false;
    return change_read_current(reader, references->set->arena, type, id, &version, error) &&
           (version.type.at == NULL || store_matches(reader, &version, references->filter, there, error));
}

static bool check_target(struct change_references *references, struct store_reader *reader, struct str text,
                         struct str path, struct error *error)
{
    struct str type = STR_NONE;
    struct str id = STR_NONE;
    struct change_set *set = references->set;
    bool there = false;
    if (!is_literal(text, &type, &id)) {
        return true;
    }
    struct str key = key_of(set->arena, type, id);
    bool removed = table_get(&references->removed, key) != NULL;
    if (!removed &&
        (table_get(&references->written, key) != NULL || table_get(&references->targets, key) != NULL)) {
        return true;
    }
    if (!removed && !exists(references, reader, type, id, &there, error)) {
        return false;
    }
    if (there) {
        return table_set(&references->targets, key, set) || CHANGE_NO_MEMORY(error);
    }
    outcome_add(set->outcome,
                (struct outcome_issue){
                    .severity = OUTCOME_ERROR,
                    .code = "not-found",
                    .path = path,
                    .text = arena_printf(set->arena, "refers to a %.*s that does not exist", STR_FMT(type)),
                    .chinese = arena_printf(set->arena, "所引用的 %.*s 不存在", STR_FMT(type)) });
    return true;
}

/* Depth is bounded by the reader. */
static bool check_value(struct change_references *references, struct store_reader *reader,
                        const struct json *value, struct str path, struct error *error)
{
    struct arena *arena = references->set->arena;
    size_t index = 0;
    JSON_EACH(child, value) {
        bool is_item = value->kind == JSON_ARRAY;
        if (child->kind == JSON_STRING && !is_item && str_equal(child->name, STR("reference"))) {
            if (!check_target(references, reader, json_text(arena, child), path, error)) {
                return false;
            }
        }
        if (child->kind < JSON_ARRAY) {
            continue;
        }
        struct str here = is_item ? arena_printf(arena, "%.*s[%zu]", STR_FMT(path), index)
                                  : arena_printf(arena, "%.*s.%.*s", STR_FMT(path), STR_FMT(child->name));
        index++;
        if (!check_value(references, reader, child, here, error)) {
            return false;
        }
    }
    return true;
}

/* ---- what points to a resource ---- */

struct referrers {
    struct table seen;
    struct str named; /* "Condition/1 (subject), …" */
    size_t named_count;
    size_t visible;
    size_t hidden;
};

static bool has_word(struct str words, struct str word)
{
    struct str part = STR_NONE;
    while (words.at != NULL && str_split_next(&words, ' ', &part)) {
        if (str_equal(part, word)) {
            return true;
        }
    }
    return false;
}

static bool note_referrer(struct change_references *references, struct store_reader *reader,
                          const struct store_version *version, struct str code, struct referrers *found,
                          struct error *error)
{
    struct arena *arena = references->set->arena;
    struct str key = key_of(arena, version->type, version->id);
    bool seen = false;
    bool own = table_get(&references->removed, key) != NULL || table_get(&references->written, key) != NULL;
    if (own || table_get(&found->seen, key) != NULL) {
        return true;
    }
    if (!table_set(&found->seen, key, found)) {
        return CHANGE_NO_MEMORY(error);
    }
    if (!store_matches(reader, version, references->filter, &seen, error)) {
        return false;
    }
    found->visible += seen ? 1 : 0;
    found->hidden += seen ? 0 : 1;
    if (seen && found->named_count < REFERRERS_NAMED) {
        found->named = arena_printf(arena, "%.*s%s%.*s (%.*s)", STR_FMT(found->named),
                                    found->named_count > 0 ? ", " : "", STR_FMT(key), STR_FMT(code));
        found->named_count++;
    }
    return true;
}

static bool find_by_parameter(struct change_references *references, struct store_reader *reader,
                              const struct model_search_parameter *parameter, struct str target,
                              struct referrers *found, struct error *error)
{
    struct arena *arena = references->set->arena;
    struct search_query *query = ARENA_NEW(arena, struct search_query);
    struct store_hits hits = { 0 };
    const struct search_pair pairs[2] = { { .name = parameter->code, .value = target },
                                          { .name = STR("_count"),
                                            .value = arena_printf(arena, "%d", REFERRERS_PAGE) } };
    const struct search_options options = { .type = parameter->type };
    const struct store_search search = { .query = query, .without_bodies = true };
    struct error cause = { 0 };
    if (query == NULL) {
        return CHANGE_NO_MEMORY(error);
    }
    if (!search_query_parse(arena, &options, pairs, 2, query, &cause)) {
        return true; /* a parameter that is not offered finds nothing anywhere */
    }
    if (!store_search(reader, arena, &search, &hits, error)) {
        return false;
    }
    for (size_t i = 0; i < hits.matches_count; i++) {
        if (!note_referrer(references, reader, &hits.hits[i].version, parameter->code, found, error)) {
            return false;
        }
    }
    return true;
}

static bool find_referrers(struct change_references *references, struct store_reader *reader, struct str type,
                           struct str id, struct referrers *found, struct error *error)
{
    size_t types_count = 0;
    const struct model_type *const *types = model_resources(&types_count);
    struct str target = key_of(references->set->arena, type, id);
    found->seen = table_in(references->set->arena);
    for (size_t i = 0; i < types_count; i++) {
        size_t count = 0;
        const struct model_search_parameter *parameters = model_search_list(types[i]->name, &count);
        for (size_t k = 0; k < count; k++) {
            bool leads = parameters[k].kind == MODEL_SEARCH_REFERENCE &&
                         (parameters[k].targets.len == 0 || has_word(parameters[k].targets, type));
            if (leads && !find_by_parameter(references, reader, &parameters[k], target, found, error)) {
                return false;
            }
        }
    }
    return true;
}

static bool check_delete(struct change_references *references, struct store_reader *reader,
                         const struct change_entry *entry, struct error *error)
{
    struct arena *arena = references->set->arena;
    struct referrers found = { 0 };
    if (!find_referrers(references, reader, entry->type, entry->id, &found, error)) {
        return false;
    }
    if (found.visible + found.hidden == 0) {
        return true;
    }
    struct str more = STR("");
    struct str further = STR("");
    if (found.visible > found.named_count) {
        more = arena_printf(arena, " and %zu more", found.visible - found.named_count);
        further = arena_printf(arena, "，另有 %zu 条", found.visible - found.named_count);
    }
    if (found.hidden > 0) {
        more = arena_printf(arena, "%.*s; %zu that you may not see", STR_FMT(more), found.hidden);
        further = arena_printf(arena, "%.*s；另有 %zu 条您无权查看", STR_FMT(further), found.hidden);
    }
    outcome_add(references->set->outcome,
                (struct outcome_issue){
                    .severity = OUTCOME_ERROR,
                    .code = "conflict",
                    .path = entry->type,
                    .text = arena_printf(arena, "is referred to by %.*s%.*s: change or delete these first",
                                         STR_FMT(found.named), STR_FMT(more)),
                    .chinese = arena_printf(arena, "仍被引用：%.*s%.*s。请先修改或删除这些记录",
                                            STR_FMT(found.named), STR_FMT(further)) });
    return FAIL(error, ERROR_CONFLICT, "other records refer to this one");
}

bool change_references_check(struct change_references *references, struct store_reader *reader,
                             const struct change_entry *entry, struct error *error)
{
    if (entry->kind == CHANGE_DELETE) {
        return check_delete(references, reader, entry, error);
    }
    struct str key = key_of(references->set->arena, entry->type, entry->id);
    (void)table_set(&references->written, key, references->set); /* it may point to itself */
    size_t errors_before = references->set->outcome->errors_count;
    if (!check_value(references, reader, entry->resource, entry->type, error)) {
        return false;
    }
    return references->set->outcome->errors_count == errors_before ||
           FAIL(error, ERROR_RULE, "the record refers to something that does not exist");
}

/* In the writer, which sees what was written since the snapshot. */
bool change_references_again(struct change_references *references, struct store_reader *inside,
                             struct error *error)
{
    bool ok = true;
    if (store_reader_seq(inside) == references->seq) {
        return true;
    }
    for (size_t i = 0; ok && i < references->targets.count; i++) {
        struct str key = references->targets.entries[i].key;
        size_t slash = str_find_char(key, '/');
        bool there = false;
        ok = exists(references, inside, str_slice(key, 0, slash), str_skip(key, slash + 1), &there, error) &&
             (there || FAIL(error, ERROR_PRECONDITION, "what the record refers to was deleted meanwhile"));
    }
    for (size_t i = 0; ok && i < references->removed.count; i++) {
        const struct change_entry *entry = references->removed.entries[i].value;
        struct referrers found = { 0 };
        ok = find_referrers(references, inside, entry->type, entry->id, &found, error) &&
             (found.visible + found.hidden == 0 ||
              FAIL(error, ERROR_PRECONDITION, "another record refers to this one now"));
    }
    return ok;
}
