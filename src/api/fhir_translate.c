/* ConceptMap $translate (R4 4.10): one map, or every map that fits what is asked for. */
#include "api/handlers.h"
#include "api/terms.h"
#include "base/clock.h"

enum { MAPS_MAX = 50 };

static void add_match(struct terms *terms, struct json *made, struct str equivalence, struct str system,
                      struct str code)
{
    struct arena *arena = terms->arena;
    struct json *part = terms_add_part(terms, JSON_GET(made, "parameter"), "match");
    struct json *list = json_add(part, STR("part"), json_new(arena, JSON_ARRAY));
    (void)json_add_text(arena, terms_add_part(terms, list, "equivalence"), STR("valueCode"), equivalence);
    struct json *concept =
        json_add(terms_add_part(terms, list, "concept"), STR("valueCoding"), json_new(arena, JSON_OBJECT));
    if (system.at != NULL) {
        (void)json_add_text(arena, concept, STR("system"), system);
    }
    (void)json_add_text(arena, concept, STR("code"), code);
}

/* With `reverse` the map is read from its targets. True when one of the matches is more than "unmatched". */
static bool translate(struct terms *terms, const struct json *map, const struct terms_coding *from,
                      bool reverse, struct json *made)
{
    struct arena *arena = terms->arena;
    bool found = false;
    JSON_EACH(group, JSON_GET(map, "group")) {
        struct str source = JSON_TEXT(arena, group, "source");
        struct str target = JSON_TEXT(arena, group, "target");
        struct str own = reverse ? target : source;
        struct str wanted = terms_asked(terms, "targetsystem");
        struct str other = reverse ? source : target;
        if ((from->code.system.at != NULL && own.at != NULL && !str_equal(own, from->code.system)) ||
            (wanted.at != NULL && !str_equal(wanted, other))) {
            continue;
        }
        JSON_EACH(element, JSON_GET(group, "element")) {
            struct str code = JSON_TEXT(arena, element, "code");
            JSON_EACH(to, JSON_GET(element, "target")) {
                struct str there = JSON_TEXT(arena, to, "code");
                struct str how = JSON_TEXT(arena, to, "equivalence");
                bool none = str_equal(how, STR("unmatched")) || str_equal(how, STR("disjoint"));
                if (there.at != NULL && str_equal(reverse ? there : code, from->code.code)) {
                    add_match(terms, made, how, reverse ? source : target, reverse ? code : there);
                    found = found || !none;
                }
            }
        }
    }
    return found;
}

/* Without a map's address: any that goes between the value sets or to the system that are asked for. */
struct maps {
    struct terms *terms;
    const struct terms_coding *codings;
    size_t codings_count;
    struct json *made;
    bool reverse;
    bool found;
};

static bool map_fits(struct terms *terms, const struct json *map)
{
    static const struct {
        const char *parameter;
        const char *members[2];
    } sides[] = { { "source", { "sourceUri", "sourceCanonical" } },
                  { "target", { "targetUri", "targetCanonical" } } };
    for (size_t i = 0; i < sizeof sides / sizeof *sides; i++) {
        struct str wanted = terms_asked(terms, sides[i].parameter);
        struct str own = json_member_text(terms->arena, map, str_from_cstr(sides[i].members[0]));
        own = own.at != NULL ? own : json_member_text(terms->arena, map, str_from_cstr(sides[i].members[1]));
        if (wanted.at != NULL && !str_equal(wanted, str_slice(own, 0, str_find_char(own, '|')))) {
            return false;
        }
    }
    return true;
}

static void take_map(void *data, const struct json *map)
{
    struct maps *maps = data;
    for (size_t i = 0; map_fits(maps->terms, map) && i < maps->codings_count; i++) {
        maps->found =
            translate(maps->terms, map, &maps->codings[i], maps->reverse, maps->made) || maps->found;
    }
}

static bool uploaded_maps(struct maps *maps, struct error *error)
{
    struct terms *terms = maps->terms;
    const struct fhir_view view = { .summary = SEARCH_SUMMARY_FALSE };
    struct search_pair pair = { .name = maps->reverse ? STR("target-system") : STR("source-system"),
                                .value = maps->codings[0].code.system };
    struct operation_search search = { .request = terms->request,
                                       .options = { .type = STR("ConceptMap"), .now_ms = clock_now_ms() },
                                       .pairs = &pair,
                                       .pairs_count = 1,
                                       .count = MAPS_MAX };
    if (!operation_search(&search, error)) {
        return false;
    }
    for (size_t i = 0; i < search.hits.matches_count; i++) {
        struct json *tree = NULL;
        struct str text = STR_NONE;
        if (!fhir_text(&call_of(terms->request)->session, terms->arena, &search.hits.hits[i].version, &view,
                       &text, error) ||
            !json_read(terms->arena, text, &tree, error)) {
            return false;
        }
        take_map(maps, tree);
    }
    return search.hits.next_cursor.at == NULL ||
           FAIL(error, ERROR_TOO_COSTLY, "more than %d concept maps: name one by url", MAPS_MAX);
}

static bool translate_by_any(struct maps *maps, struct error *error)
{
    if (maps->codings_count == 0 || maps->codings[0].code.system.len == 0) {
        return FAIL(error, ERROR_INPUT, "give url of a ConceptMap, or code with system");
    }
    if (!uploaded_maps(maps, error)) {
        return false;
    }
    terminology_each(maps->terms->run.terminology, STR("ConceptMap"), take_map, maps);
    return true;
}

enum http_verdict fhir_translate(struct http_request *request)
{
    struct error error = { 0 };
    struct terms terms = { 0 };
    struct terms_coding codings[16] = { 0 };
    const struct json *map = NULL;
    bool found = false;
    bool ok = terms_begin(request, &terms, &error);
    bool any = ok && http_parameter(request, STR("id")).at == NULL && terms_asked(&terms, "url").at == NULL &&
               terms_asked_value(&terms, "conceptMap", "resource") == NULL;
    ok = ok && (any || terms_find(&terms, STR("ConceptMap"), "conceptMap", "url", &map, &error));
    size_t count = ok ? terms_codings(&terms, codings, sizeof codings / sizeof codings[0]) : 0;
    ok = ok && (count > 0 || FAIL(&error, ERROR_INPUT, "give code and system, coding or codeableConcept"));
    bool reverse = ok && str_equal(terms_asked(&terms, "reverse"), STR("true"));
    struct json *matches = terms_parameters(&terms);
    struct maps maps = { &terms, codings, count, matches, reverse, false };
    ok = ok && (!any || translate_by_any(&maps, &error));
    found = maps.found;
    for (size_t i = 0; ok && !any && i < count; i++) {
        found = translate(&terms, map, &codings[i], reverse, matches) || found;
    }
    struct json *made = terms_parameters(&terms);
    terms_add_flag(&terms, made, "result", found);
    struct json *next = NULL;
    for (struct json *match = json_first(JSON_GET(matches, "parameter")); match != NULL; match = next) {
        next = match->next;
        match->next = NULL;
        (void)json_append(JSON_GET(made, "parameter"), match);
    }
    return terms_finish(&terms, ok, made, &error);
}
