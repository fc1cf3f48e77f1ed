/* ConceptMap $translate (R4 4.10): one map, or every map that fits what is asked for. */
#include "api/handlers.h"
#include "api/terms.h"
#include "base/clock.h"

#define ASKED                                                                                                \
    "url conceptMap conceptMapVersion code system version source coding codeableConcept target "             \
    "targetsystem dependency reverse"

enum { MAPS_MAX = 50, OTHER_MAPS_MAX = 5 };

/* One request. Without a map's address: any map that goes between the value sets or to the system asked for. */
struct maps {
    struct terms *terms;
    const struct terms_coding *codings;
    size_t codings_count;
    struct json *made;
    bool reverse;
    bool found;  /* a match that is more than "unmatched" */
    bool failed; /* a map that another one names could not be looked for */
    struct error *error;
};

/* A map as it is read: by itself, or because another one leaves to it what it does not know. */
struct reading {
    const struct json *map;
    const struct terms_coding *from;
    int levels; /* maps may name each other in a circle */
};

/* ---- matches ---- */

static void add_coding(struct terms *terms, struct json *list, struct str system, struct str code,
                       struct str display)
{
    struct json *concept = json_add(terms_add_part(terms, list, "concept"), STR("valueCoding"),
                                    json_new(terms->arena, JSON_OBJECT));
    if (system.at != NULL) {
        (void)json_add_text(terms->arena, concept, STR("system"), system);
    }
    (void)json_add_text(terms->arena, concept, STR("code"), code);
    if (display.at != NULL) {
        (void)json_add_text(terms->arena, concept, STR("display"), display);
    }
}

/* The parts of a new match. `to` is where its code and display stand (a target, or group.unmapped). */
static struct json *add_match(struct maps *maps, const struct json *map, struct str equivalence,
                              struct str system, struct str code)
{
    struct terms *terms = maps->terms;
    struct arena *arena = terms->arena;
    struct json *part = terms_add_part(terms, JSON_GET(maps->made, "parameter"), "match");
    struct json *list = json_add(part, STR("part"), json_new(arena, JSON_ARRAY));
    struct str url = JSON_TEXT(arena, map, "url");
    bool none = str_equal(equivalence, STR("unmatched")) || str_equal(equivalence, STR("disjoint"));
    maps->found = maps->found || !none;
    (void)json_add_text(arena, terms_add_part(terms, list, "equivalence"), STR("valueCode"), equivalence);
    add_coding(terms, list, system, code, STR_NONE);
    if (url.at != NULL) {
        (void)json_add_text(arena, terms_add_part(terms, list, "source"), STR("valueUri"), url);
    }
    return list;
}

static void add_products(struct terms *terms, struct json *list, const struct json *target)
{
    struct arena *arena = terms->arena;
    JSON_EACH(product, JSON_GET(target, "product")) {
        struct json *parts =
            json_add(terms_add_part(terms, list, "product"), STR("part"), json_new(arena, JSON_ARRAY));
        (void)json_add_text(arena, terms_add_part(terms, parts, "element"), STR("valueUri"),
                            JSON_TEXT(arena, product, "property"));
        add_coding(terms, parts, JSON_TEXT(arena, product, "system"), JSON_TEXT(arena, product, "value"),
                   JSON_TEXT(arena, product, "display"));
    }
}

/* ---- dependencies ---- */

static const struct json *part_of(const struct json *parameter, struct str name)
{
    JSON_EACH(part, JSON_GET(parameter, "part")) {
        if (json_equals_text(JSON_GET(part, "name"), name)) {
            return part;
        }
    }
    return NULL;
}

static bool is_met_by(struct terms *terms, const struct json *depends, const struct json *dependency)
{
    struct arena *arena = terms->arena;
    struct str system = JSON_TEXT(arena, depends, "system");
    struct str element = JSON_TEXT(arena, part_of(dependency, STR("element")), "valueUri");
    const struct json *concept = JSON_GET(part_of(dependency, STR("concept")), "valueCodeableConcept");
    JSON_EACH(coding, JSON_GET(concept, "coding")) {
        if (str_equal(element, JSON_TEXT(arena, depends, "property")) &&
            (system.at == NULL || str_equal(system, JSON_TEXT(arena, coding, "system"))) &&
            str_equal(JSON_TEXT(arena, coding, "code"), JSON_TEXT(arena, depends, "value"))) {
            return true;
        }
    }
    return false;
}

/* R4 ConceptMap.group.element.target.dependsOn: the mapping holds only where all of them are given. */
static bool depends_met(struct terms *terms, const struct json *target)
{
    JSON_EACH(depends, JSON_GET(target, "dependsOn")) {
        bool met = false;
        JSON_EACH(parameter, JSON_GET(terms->body, "parameter")) {
            met = met || (json_equals_text(JSON_GET(parameter, "name"), STR("dependency")) &&
                          is_met_by(terms, depends, parameter));
        }
        if (!met) {
            return false;
        }
    }
    return true;
}

/* ---- one map ---- */

static void translate(struct maps *maps, const struct reading *reading);

/* What a group does with a code that none of its elements has. */
static void translate_unmapped(struct maps *maps, const struct reading *reading, const struct json *group)
{
    struct arena *arena = maps->terms->arena;
    const struct json *unmapped = JSON_GET(group, "unmapped");
    struct str mode = JSON_TEXT(arena, unmapped, "mode");
    struct str target = JSON_TEXT(arena, group, "target");
    if (maps->reverse || unmapped == NULL) {
        return;
    }
    if (str_equal(mode, STR("provided"))) {
        (void)add_match(maps, reading->map, STR("equivalent"), target, reading->from->code.code);
    } else if (str_equal(mode, STR("fixed"))) {
        (void)add_match(maps, reading->map, STR("inexact"), target, JSON_TEXT(arena, unmapped, "code"));
    } else if (str_equal(mode, STR("other-map")) && reading->levels > 0) {
        struct reading other = { .from = reading->from, .levels = reading->levels - 1 };
        maps->failed =
            maps->failed || !terminology_find(&maps->terms->run, STR("ConceptMap"),
                                              JSON_TEXT(arena, unmapped, "url"), &other.map, maps->error);
        if (!maps->failed && other.map != NULL) {
            translate(maps, &other);
        }
    }
}

static void translate_group(struct maps *maps, const struct reading *reading, const struct json *group)
{
    struct terms *terms = maps->terms;
    struct arena *arena = terms->arena;
    struct str other = maps->reverse ? JSON_TEXT(arena, group, "source") : JSON_TEXT(arena, group, "target");
    bool mapped = false;
    JSON_EACH(element, JSON_GET(group, "element")) {
        struct str code = JSON_TEXT(arena, element, "code");
        mapped = mapped || str_equal(code, reading->from->code.code);
        JSON_EACH(to, JSON_GET(element, "target")) {
            struct str there = JSON_TEXT(arena, to, "code");
            struct str key = maps->reverse ? there : code;
            if (there.at != NULL && str_equal(key, reading->from->code.code) && depends_met(terms, to)) {
                struct json *list = add_match(maps, reading->map, JSON_TEXT(arena, to, "equivalence"), other,
                                              maps->reverse ? code : there);
                add_products(terms, list, to);
            }
        }
    }
    if (!mapped) {
        translate_unmapped(maps, reading, group);
    }
}

/* With `reverse` a map is read from its targets. */
static void translate(struct maps *maps, const struct reading *reading)
{
    struct terms *terms = maps->terms;
    struct arena *arena = terms->arena;
    struct str wanted = terms_asked(terms, "targetsystem");
    struct str version = terms_asked(terms, "version");
    JSON_EACH(group, JSON_GET(reading->map, "group")) {
        struct str source = JSON_TEXT(arena, group, "source");
        struct str target = JSON_TEXT(arena, group, "target");
        struct str own = maps->reverse ? target : source;
        struct str own_version = maps->reverse ? JSON_TEXT(arena, group, "targetVersion")
                                               : JSON_TEXT(arena, group, "sourceVersion");
        bool fits = (reading->from->code.system.at == NULL || own.at == NULL ||
                     str_equal(own, reading->from->code.system)) &&
                    (wanted.at == NULL || str_equal(wanted, maps->reverse ? source : target)) &&
                    (version.at == NULL || own_version.at == NULL || str_equal(version, own_version));
        if (fits) {
            translate_group(maps, reading, group);
        }
    }
}

static void translate_all(struct maps *maps, const struct json *map)
{
    for (size_t i = 0; i < maps->codings_count; i++) {
        const struct reading reading = { .map = map, .from = &maps->codings[i], .levels = OTHER_MAPS_MAX };
        translate(maps, &reading);
    }
}

/* ---- which maps ---- */

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
    if (map_fits(maps->terms, map)) {
        translate_all(maps, map);
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
    static const struct terms_names names = {
        { "ConceptMap", 10 }, "conceptMap", "url", "conceptMapVersion"
    };
    struct error error = { 0 };
    struct terms terms = { 0 };
    struct terms_coding codings[16] = { 0 };
    const struct json *map = NULL;
    struct maps maps = { .terms = &terms, .codings = codings, .error = &error };
    bool ok = terms_begin(request, ASKED, &terms, &error);
    bool any = ok && http_parameter(request, STR("id")).at == NULL && terms_asked(&terms, "url").at == NULL &&
               terms_asked_value(&terms, "conceptMap", "resource") == NULL;
    ok = ok && terms_flag(&terms, "reverse", &maps.reverse, &error) &&
         (any || terms_find(&terms, &names, &map, &error));
    maps.codings_count = ok ? terms_codings(&terms, codings, sizeof codings / sizeof codings[0]) : 0;
    maps.made = terms_parameters(&terms);
    ok = ok &&
         (maps.codings_count > 0 ||
          FAIL(&error, ERROR_INPUT, "give code and system, coding or codeableConcept")) &&
         (!any || translate_by_any(&maps, &error));
    if (ok && !any) {
        translate_all(&maps, map);
    }
    ok = ok && !maps.failed;
    struct json *made = terms_parameters(&terms);
    terms_add_flag(&terms, made, "result", maps.found);
    struct json *next = NULL;
    for (struct json *match = json_first(JSON_GET(maps.made, "parameter")); match != NULL; match = next) {
        next = match->next;
        match->next = NULL;
        (void)json_append(JSON_GET(made, "parameter"), match);
    }
    return terms_finish(&terms, ok, made, &error);
}
