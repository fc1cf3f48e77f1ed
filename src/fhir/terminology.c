#include "fhir/terminology.h"

#include <assert.h>
#include <pthread.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/table.h"
#include "fhir/concept_index.h"
#include "fhirpath/regex.h"

enum {
    TERMINOLOGY_ARENA_BYTES = 64 * 1024 * 1024,
    TERMINOLOGY_IMPORTS = 8,
    CONCEPT_DEPTH = 32,
    REGEX_US_MAX = 300000, /* of processor time for all regular expressions of one request */
};

struct terminology {
    struct arena arena;        /* holds this struct and the trees */
    pthread_mutex_t read_lock; /* guards arena, tables, is_read */
    struct str text;
    struct table resources; /* "CodeSystem url" → tree */
    bool is_read;
};

bool terminology_create(struct str text, struct terminology **terminology, struct error *error)
{
    struct arena arena = { .bytes_max = TERMINOLOGY_ARENA_BYTES };
    struct terminology *made = ARENA_NEW(&arena, struct terminology);
    if (made == NULL || pthread_mutex_init(&made->read_lock, NULL) != 0) {
        arena_deinit(&arena);
        return FAIL(error, ERROR_INTERNAL, "no memory for the code systems");
    }
    made->arena = arena;
    made->text = text;
    made->resources = table_in(&made->arena);
    *terminology = made;
    return true;
}

void terminology_destroy(struct terminology *terminology)
{
    if (terminology != NULL) {
        (void)pthread_mutex_destroy(&terminology->read_lock);
        struct arena arena = terminology->arena;
        arena_deinit(&arena);
    }
}

static struct str key_of(struct arena *arena, struct str type, struct str url)
{
    return arena_printf(arena, "%.*s %.*s", STR_FMT(type), STR_FMT(url));
}

/* The first that asks pays some milliseconds; a server that is never asked keeps its memory. */
static void read_all(struct terminology *terminology)
{
    struct json *list = NULL;
    struct arena *arena = &terminology->arena;
    terminology->is_read = true;
    if (terminology->text.len == 0 || !json_read(arena, terminology->text, &list, NULL)) {
        return;
    }
    JSON_EACH(resource, list) {
        struct str type = JSON_TEXT(arena, resource, "resourceType");
        struct str key = key_of(arena, type, JSON_TEXT(arena, resource, "url"));
        if (key.at == NULL || !table_set(&terminology->resources, key, resource)) {
            return;
        }
    }
}

const struct json *terminology_base(struct terminology *terminology, struct str type, struct str url)
{
    char key[600];
    struct str plain = str_slice(url, 0, str_find_char(url, '|'));
    if (type.len + plain.len + 1 > sizeof key) {
        return NULL;
    }
    memcpy(key, type.at, type.len);
    key[type.len] = ' ';
    memcpy(key + type.len + 1, plain.at == NULL ? "" : plain.at, plain.len);
    (void)pthread_mutex_lock(&terminology->read_lock);
    if (!terminology->is_read) {
        read_all(terminology);
    }
    const struct json *found =
        table_get(&terminology->resources, (struct str){ key, type.len + 1 + plain.len });
    (void)pthread_mutex_unlock(&terminology->read_lock);
    return found;
}

void terminology_each(struct terminology *terminology, struct str type,
                      void (*take)(void *data, const struct json *resource), void *data)
{
    assert(take != NULL);
    (void)terminology_base(terminology, type, STR("")); /* reads all when nobody has */
    for (size_t i = 0; i < terminology->resources.count; i++) {
        const struct json *resource = terminology->resources.entries[i].value;
        if (json_equals_text(JSON_GET(resource, "resourceType"), type)) {
            take(data, resource);
        }
    }
}

struct found {
    const struct json *resource; /* or NULL: looked for and not there */
};

static bool look_for(const struct terminology_run *run, struct str type, struct str url,
                     const struct json **resource, struct error *error)
{
    *resource = NULL;
    if (run->source != NULL &&
        !run->source->find(run->source->data, run->arena, type, url, resource, error)) {
        return false;
    }
    if (*resource == NULL) {
        *resource = terminology_base(run->terminology, type, url);
    }
    return true;
}

bool terminology_find(const struct terminology_run *run, struct str type, struct str url,
                      const struct json **resource, struct error *error)
{
    if (run->memo == NULL) {
        return look_for(run, type, url, resource, error);
    }
    struct str key = arena_printf(run->arena, "%.*s %.*s", STR_FMT(type), STR_FMT(url));
    struct found *known = key.at == NULL ? NULL : table_get(&run->memo->found, key);
    if (known == NULL) {
        const struct json *there = NULL;
        if (!look_for(run, type, url, &there, error)) {
            return false;
        }
        known = ARENA_NEW(run->arena, struct found);
        if (key.at == NULL || known == NULL || !table_set(&run->memo->found, key, known)) {
            return FAIL(error, ERROR_TOO_LARGE, "request memory used up");
        }
        known->resource = there;
    }
    *resource = known->resource;
    return true;
}

bool terminology_may_go_on(const struct terminology_run *run, struct error *error)
{
    return run->memo == NULL || run->memo->steps <= LIMIT_TERMINOLOGY_STEPS ||
           FAIL(error, ERROR_TOO_COSTLY, "this value set takes too many steps: filter it");
}

static bool step(const struct terminology_run *run, size_t count, struct error *error)
{
    if (run->memo != NULL) {
        run->memo->steps += count;
    }
    return terminology_may_go_on(run, error);
}

/* ---- concepts ---- */

static const struct json *concept_in(const struct json *list, struct str code, int levels)
{
    JSON_EACH(concept, list) {
        if (json_equals_text(JSON_GET(concept, "code"), code)) {
            return concept;
        }
        const struct json *below =
            levels > 0 ? concept_in(JSON_GET(concept, "concept"), code, levels - 1) : NULL;
        if (below != NULL) {
            return below;
        }
    }
    return NULL;
}

/* NULL without memory. */
static struct concept_index *index_of(const struct terminology_run *run, const struct json *code_system)
{
    struct str key =
        run->memo == NULL
            ? STR_NONE
            : arena_dup(run->arena, (struct str){ (const char *)&code_system, sizeof code_system });
    struct concept_index *index = key.at == NULL ? NULL : table_get(&run->memo->indexes, key);
    if (index == NULL) {
        index = concept_index_make(run->arena, code_system);
        if (index != NULL && key.at != NULL && !table_set(&run->memo->indexes, key, index)) {
            return NULL;
        }
    }
    return index;
}

const struct json *terminology_concept(const struct terminology_run *run, const struct json *code_system,
                                       struct str code)
{
    struct concept_index *index =
        run->memo == NULL || code_system == NULL ? NULL : index_of(run, code_system);
    return index != NULL ? concept_index_find(index, code)
                         : concept_in(JSON_GET(code_system, "concept"), code, CONCEPT_DEPTH);
}

bool terminology_is_below(const struct terminology_run *run, const struct json *code_system,
                          struct str ancestor, struct str code, bool itself)
{
    if (str_equal(ancestor, code)) {
        return itself;
    }
    uint64_t steps = 0;
    struct concept_index *index = index_of(run, code_system);
    bool below = index != NULL && concept_index_is_below(index, ancestor, code, &steps);
    if (run->memo != NULL) {
        run->memo->steps += steps;
    }
    return below;
}

/* ---- one include ---- */

/* The CodeSystem of an include, in the version that it names, or else that the request does (R4 4.9.5: version). */
static bool system_of_include(const struct terminology_run *run, const struct json *include,
                              struct str system, const struct json **code_system, struct error *error)
{
    struct str version = JSON_TEXT(run->arena, include, "version");
    struct str url = system;
    for (size_t i = 0; version.at == NULL && i < run->versions_count; i++) {
        size_t bar = str_find_char(run->versions[i], '|');
        url = str_equal(str_slice(run->versions[i], 0, bar), system) ? run->versions[i] : url;
    }
    if (version.len > 0) {
        url = arena_printf(run->arena, "%.*s|%.*s", STR_FMT(system), STR_FMT(version));
    }
    return terminology_find(run, STR("CodeSystem"), url, code_system, error);
}

static bool code_in_list(const struct json *filter, struct str code, struct arena *arena)
{
    struct str rest = JSON_TEXT(arena, filter, "value");
    struct str part = STR_NONE;
    while (rest.at != NULL && str_split_next(&rest, ',', &part)) {
        if (str_equal(str_trim(part), code)) {
            return true;
        }
    }
    return false;
}

/* What a concept has as a property: "code" and "display" are its own. */
static struct str property_of(struct arena *arena, const struct json *concept, struct str name)
{
    if (str_equal(name, STR("code")) || str_equal(name, STR("concept"))) {
        return JSON_TEXT(arena, concept, "code");
    }
    if (str_equal(name, STR("display"))) {
        return JSON_TEXT(arena, concept, "display");
    }
    JSON_EACH(property, JSON_GET(concept, "property")) {
        if (json_equals_text(JSON_GET(property, "code"), name)) {
            JSON_EACH(member, property) {
                if (str_starts_with(member->name, STR("value"))) {
                    return member->kind == JSON_STRING ? json_text(arena, member) : member->raw;
                }
            }
        }
    }
    return STR_NONE;
}

/* The whole value fits the expression. All those of a request share one budget: a set asks each of its codes. */
static bool regex_fits(const struct terminology_run *run, struct str pattern, struct str text, bool *fits,
                       struct error *error)
{
    struct regex_cache *cache = NULL;
    const struct regex_question question = { .pattern = pattern, .text = text, .whole = true };
    if (run->regex_us == NULL) {
        return FAIL(error, ERROR_UNSUPPORTED, "the filter 'regex' of a value set is not offered here");
    }
    if (*run->regex_us > REGEX_US_MAX) {
        return FAIL(error, ERROR_TOO_COSTLY, "the regular expressions of this value set take too long");
    }
    int64_t began_us = clock_thread_us();
    bool ok = text.at == NULL || regex_matches(&cache, run->arena, &question, fits, error);
    regex_cache_close(cache);
    *run->regex_us += clock_thread_us() - began_us;
    *fits = text.at != NULL && *fits;
    return ok;
}

static bool filter_fits(const struct terminology_run *run, const struct json *code_system,
                        const struct json *filter, const struct json *concept, bool *fits,
                        struct error *error)
{
    struct str op = JSON_TEXT(run->arena, filter, "op");
    struct str value = JSON_TEXT(run->arena, filter, "value");
    struct str property = JSON_TEXT(run->arena, filter, "property");
    struct str code = JSON_TEXT(run->arena, concept, "code");
    if (str_equal(op, STR("is-a")) || str_equal(op, STR("descendent-of"))) {
        *fits = terminology_is_below(run, code_system, value, code, str_equal(op, STR("is-a")));
    } else if (str_equal(op, STR("is-not-a"))) {
        *fits = !terminology_is_below(run, code_system, value, code, true);
    } else if (str_equal(op, STR("generalizes"))) {
        *fits = terminology_is_below(run, code_system, code, value, true);
    } else if (str_equal(op, STR("regex"))) {
        return regex_fits(run, value, property_of(run->arena, concept, property), fits, error);
    } else if (str_equal(op, STR("in"))) {
        *fits = code_in_list(filter, property_of(run->arena, concept, property), run->arena);
    } else if (str_equal(op, STR("not-in"))) {
        *fits = !code_in_list(filter, property_of(run->arena, concept, property), run->arena);
    } else if (str_equal(op, STR("="))) {
        *fits = str_equal(property_of(run->arena, concept, property), value);
    } else if (str_equal(op, STR("exists"))) {
        *fits = (property_of(run->arena, concept, property).at != NULL) == str_equal(value, STR("true"));
    } else {
        return FAIL(error, ERROR_UNSUPPORTED, "the filter '%.*s' of a value set is not offered",
                    STR_FMT(str_slice(op, 0, 20)));
    }
    return true;
}

static bool filters_fit(const struct terminology_run *run, const struct json *code_system,
                        const struct json *filters, const struct json *concept, bool *fits,
                        struct error *error)
{
    *fits = true;
    JSON_EACH(filter, filters) {
        if (*fits && (!step(run, 1, error) || !filter_fits(run, code_system, filter, concept, fits, error))) {
            return false;
        }
    }
    return true;
}

/* ---- membership ---- */

struct asking {
    const struct terminology_run *run;
    const struct terminology_code *code;
    int imports_left;
    bool known;
};

static bool set_has(struct asking *asking, const struct json *value_set, bool *has, struct error *error);

static bool import_has(struct asking *asking, struct str url, bool *has, struct error *error)
{
    const struct json *value_set = NULL;
    *has = false;
    if (asking->imports_left == 0) {
        return FAIL(error, ERROR_TOO_COSTLY, "value sets name each other too deep");
    }
    if (!terminology_find(asking->run, STR("ValueSet"), url, &value_set, error)) {
        return false;
    }
    if (value_set == NULL) {
        asking->known = false;
        return true;
    }
    asking->imports_left--;
    bool ok = set_has(asking, value_set, has, error);
    asking->imports_left++;
    return ok;
}

static bool system_has(struct asking *asking, const struct json *include, struct str system, bool *has,
                       struct error *error)
{
    const struct terminology_run *run = asking->run;
    const struct json *listed = JSON_GET(include, "concept");
    const struct json *code_system = NULL;
    *has = false;
    if (asking->code->system.at != NULL && !str_equal(asking->code->system, system)) {
        return true;
    }
    if (listed != NULL) {
        if (!step(run, listed->count, error)) {
            return false;
        }
        *has = concept_in(listed, asking->code->code, 0) != NULL;
        return true;
    }
    if (!system_of_include(run, include, system, &code_system, error)) {
        return false;
    }
    bool whole = json_equals_text(JSON_GET(code_system, "content"), STR("complete"));
    const struct json *concept = terminology_concept(run, code_system, asking->code->code);
    if (concept == NULL) {
        asking->known = asking->known && whole;
        return true;
    }
    return filters_fit(run, code_system, JSON_GET(include, "filter"), concept, has, error);
}

/* The system and every value set of an include have to have the code (R4 4.9.5). */
static bool include_has(struct asking *asking, const struct json *include, bool *has, struct error *error)
{
    struct str system = JSON_TEXT(asking->run->arena, include, "system");
    *has = true;
    if (!step(asking->run, 1, error)) {
        return false;
    }
    if (system.at != NULL && !system_has(asking, include, system, has, error)) {
        return false;
    }
    JSON_EACH(import, JSON_GET(include, "valueSet")) {
        if (*has && !import_has(asking, json_text(asking->run->arena, import), has, error)) {
            return false;
        }
    }
    return true;
}

static bool set_has(struct asking *asking, const struct json *value_set, bool *has, struct error *error)
{
    const struct json *compose = JSON_GET(value_set, "compose");
    bool found = false;
    bool excluded = false;
    JSON_EACH(include, JSON_GET(compose, "include")) {
        if (!found && !include_has(asking, include, &found, error)) {
            return false;
        }
    }
    JSON_EACH(exclude, JSON_GET(compose, "exclude")) {
        if (found && !excluded && !include_has(asking, exclude, &excluded, error)) {
            return false;
        }
    }
    *has = found && !excluded;
    return true;
}

bool terminology_has(const struct terminology_run *run, const struct json *value_set,
                     const struct terminology_code *code, bool *known, bool *is_member, struct error *error)
{
    struct asking asking = { .run = run, .code = code, .imports_left = TERMINOLOGY_IMPORTS, .known = true };
    struct error cause = { 0 };
    *is_member = false;
    *known = false;
    if (!set_has(&asking, value_set, is_member, &cause)) {
        if (cause.kind == ERROR_UNSUPPORTED) {
            return true;
        }
        *error = cause;
        return false;
    }
    *known = *is_member || asking.known;
    return true;
}

/* ---- expansion ---- */

struct expanding {
    const struct terminology_run *run;
    bool (*take)(void *data, const struct terminology_code *code);
    void *data;
    const struct json *value_set; /* the one that is expanded: its excludes count */
    struct table seen;
    size_t looked;
    int imports_left;
    bool ended; /* `take` has enough */
};

/* Whether every code that an include names is in the set. */
static bool is_plain(const struct json *value_set)
{
    const struct json *compose = JSON_GET(value_set, "compose");
    bool plain = JSON_GET(compose, "exclude") == NULL;
    JSON_EACH(include, JSON_GET(compose, "include")) {
        const struct json *imports = JSON_GET(include, "valueSet");
        bool alone = imports == NULL || (imports->count == 1 && JSON_GET(include, "system") == NULL);
        plain = plain && alone && JSON_GET(include, "filter") == NULL;
    }
    return plain;
}

static bool take_code(struct expanding *expanding, const struct json *owner,
                      const struct terminology_code *code, struct error *error)
{
    const struct terminology_run *run = expanding->run;
    struct asking asking = { .run = run, .code = code, .imports_left = TERMINOLOGY_IMPORTS, .known = true };
    bool has = false;
    if (expanding->looked++ >= LIMIT_TERMINOLOGY_CODES) {
        return FAIL(error, ERROR_TOO_COSTLY, "the value set has more than %d codes: filter it",
                    LIMIT_TERMINOLOGY_CODES);
    }
    struct str key = arena_printf(run->arena, "%.*s|%.*s", STR_FMT(code->system), STR_FMT(code->code));
    if (table_get(&expanding->seen, key) != NULL) {
        return true;
    }
    /* Filters, intersections and excludes are asked of each set on the way. */
    has = is_plain(owner);
    if (!has && !set_has(&asking, owner, &has, error)) {
        return false;
    }
    bool outer = has && owner != expanding->value_set && !is_plain(expanding->value_set);
    if (outer && !set_has(&asking, expanding->value_set, &has, error)) {
        return false;
    }
    if (!has) {
        return true;
    }
    if (key.at == NULL || !table_set(&expanding->seen, key, expanding)) {
        return FAIL(error, ERROR_TOO_LARGE, "request memory used up");
    }
    expanding->ended = !expanding->take(expanding->data, code);
    return true;
}

static bool take_concepts(struct expanding *expanding, const struct json *owner, const struct json *list,
                          struct str system, int levels, struct error *error)
{
    struct arena *arena = expanding->run->arena;
    JSON_EACH(concept, list) {
        struct terminology_code code = { .system = system,
                                         .code = JSON_TEXT(arena, concept, "code"),
                                         .display = JSON_TEXT(arena, concept, "display"),
                                         .concept = concept };
        if (!take_code(expanding, owner, &code, error) ||
            (!expanding->ended && levels > 0 &&
             !take_concepts(expanding, owner, JSON_GET(concept, "concept"), system, levels - 1, error))) {
            return false;
        }
        if (expanding->ended) {
            return true;
        }
    }
    return true;
}

static bool expand_set(struct expanding *expanding, const struct json *value_set, struct error *error);

static bool expand_import(struct expanding *expanding, struct str url, struct error *error)
{
    const struct json *imported = NULL;
    if (expanding->imports_left == 0) {
        return FAIL(error, ERROR_TOO_COSTLY, "value sets name each other too deep");
    }
    if (!terminology_find(expanding->run, STR("ValueSet"), url, &imported, error)) {
        return false;
    }
    if (imported == NULL) {
        return FAIL(error, ERROR_UNSUPPORTED, "the value set %.*s is not known here",
                    STR_FMT(str_slice(url, 0, 100)));
    }
    expanding->imports_left--;
    bool ok = expand_set(expanding, imported, error);
    expanding->imports_left++;
    return ok;
}

/* Displays of listed codes are left out where the code system has them. */
static bool take_listed(struct expanding *expanding, const struct json *owner, const struct json *include,
                        struct str system, struct error *error)
{
    const struct terminology_run *run = expanding->run;
    const struct json *code_system = NULL;
    if (!system_of_include(run, include, system, &code_system, error)) {
        return false;
    }
    JSON_EACH(item, JSON_GET(include, "concept")) {
        struct terminology_code code = { .system = system,
                                         .code = JSON_TEXT(run->arena, item, "code"),
                                         .display = JSON_TEXT(run->arena, item, "display"),
                                         .listed = item };
        code.concept = terminology_concept(run, code_system, code.code);
        if (code.display.at == NULL) {
            code.display = JSON_TEXT(run->arena, code.concept, "display");
        }
        if (!take_code(expanding, owner, &code, error)) {
            return false;
        }
        if (expanding->ended) {
            return true;
        }
    }
    return true;
}

static bool expand_include(struct expanding *expanding, const struct json *owner, const struct json *include,
                           struct error *error)
{
    const struct terminology_run *run = expanding->run;
    struct str system = JSON_TEXT(run->arena, include, "system");
    const struct json *imports = JSON_GET(include, "valueSet");
    const struct json *code_system = NULL;
    if (system.at == NULL) {
        /* An intersection is a part of its first set. */
        return imports == NULL || expand_import(expanding, json_text(run->arena, imports->first), error);
    }
    if (JSON_GET(include, "concept") != NULL) {
        return take_listed(expanding, owner, include, system, error);
    }
    if (!system_of_include(run, include, system, &code_system, error)) {
        return false;
    }
    if (code_system == NULL || !json_equals_text(JSON_GET(code_system, "content"), STR("complete"))) {
        return FAIL(error, ERROR_UNSUPPORTED, "the codes of %.*s are not known here: upload the CodeSystem",
                    STR_FMT(str_slice(system, 0, 100)));
    }
    return take_concepts(expanding, owner, JSON_GET(code_system, "concept"), system, CONCEPT_DEPTH, error);
}

static bool expand_set(struct expanding *expanding, const struct json *value_set, struct error *error)
{
    JSON_EACH(include, JSON_GET(JSON_GET(value_set, "compose"), "include")) {
        if (!expanding->ended && !expand_include(expanding, value_set, include, error)) {
            return false;
        }
    }
    return true;
}

bool terminology_expand(const struct terminology_run *run, const struct json *value_set,
                        bool (*take)(void *data, const struct terminology_code *code), void *data,
                        struct error *error)
{
    struct expanding expanding = { .run = run,
                                   .take = take,
                                   .data = data,
                                   .value_set = value_set,
                                   .seen = table_in(run->arena),
                                   .imports_left = TERMINOLOGY_IMPORTS };
    return expand_set(&expanding, value_set, error);
}
