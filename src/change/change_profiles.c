/* Profiles for validation: R4's own, and StructureDefinitions that were uploaded. They are read with the program's own
 * authority: definitions are open to everybody who is signed in (docs/rights.md). */
#include "change/change_internal.h"
#include "fhir/search_query.h"
#include "fhir/terminology.h"
#include "fhir/validation.h"
#include "store/search.h"

/* The newest that is not retired; of a version when the canonical URL names one. */
static bool read_stored(const struct change *change, struct arena *arena, struct str type, struct str url,
                        const struct json **structure, struct error *error)
{
    size_t bar = str_find_char(url, '|');
    struct search_query *query = ARENA_NEW(arena, struct search_query);
    struct search_pair pairs[3] = {
        { .name = STR("url"), .value = str_slice(url, 0, bar) },
        { .name = STR("_sort"), .value = STR("-_lastUpdated") },
        { .name = STR("version"), .value = str_skip(url, bar + 1) },
    };
    const struct search_options options = { .type = type };
    struct store_search search = { .query = query };
    struct store_hits hits = { 0 };
    struct store_reader *reader = NULL;
    struct json *tree = NULL;
    if (query == NULL) {
        return CHANGE_NO_MEMORY(error);
    }
    if (!search_query_parse(arena, &options, pairs, bar < url.len ? 3 : 2, query, error) ||
        !store_reader_begin(change->options.store, &reader, error)) {
        return false;
    }
    bool ok = store_search(reader, arena, &search, &hits, error);
    store_reader_end(reader);
    if (ok && hits.matches_count > 0 && change_read_tree(arena, &hits.hits[0].version, &tree, error)) {
        *structure = tree;
        return true;
    }
    return ok && hits.matches_count == 0;
}

/* A URL with a comma would be another question. */
static bool is_plain(struct str url)
{
    return url.len > 0 && url.len < 1000 && str_find_char(url, ',') == url.len &&
           str_find_char(url, '\\') == url.len;
}

/* terminology_source */
static bool find_terms(void *data, struct arena *arena, struct str type, struct str url,
                       const struct json **resource, struct error *error)
{
    return !is_plain(url) || read_stored(data, arena, type, url, resource, error);
}

static bool has_code(void *data, struct arena *arena, struct str value_set, struct str system,
                     struct str code, bool *known, bool *is_member, struct error *error)
{
    struct change *change = data;
    const struct terminology_source source = { .data = change, .find = find_terms };
    const struct terminology_run run = { .terminology = change->options.terminology,
                                         .source = &source,
                                         .arena = arena };
    const struct terminology_code asked = { .system = system, .code = code };
    const struct json *found = NULL;
    if (change->options.terminology == NULL) {
        return true;
    }
    if (!terminology_find(&run, STR("ValueSet"), value_set, &found, error)) {
        return false;
    }
    return found == NULL || terminology_has(&run, found, &asked, known, is_member, error);
}

static bool find_profile(void *data, struct arena *arena, struct str url, const struct json **structure,
                         struct error *error)
{
    const struct change *change = data;
    *structure = profile_set_find(validator_profiles(change->options.validator), url);
    return *structure != NULL || !is_plain(url) ||
           read_stored(change, arena, STR("StructureDefinition"), url, structure, error);
}

const struct profile_source *change_profile_source(struct change *change)
{
    change->profiles = (struct profile_source){ .data = change, .find = find_profile, .member_of = has_code };
    return &change->profiles;
}
