/* search_internal.h — inside of src/fhir: a search being parsed. */
#ifndef SHANHAI_FHIR_SEARCH_INTERNAL_H
#define SHANHAI_FHIR_SEARCH_INTERNAL_H

#include "fhir/search_query.h"
#include "model/model.h"

struct search_parse {
    struct arena *arena;
    const struct search_options *options;
    struct search_query *query;
    int64_t now_ms;
    /* Set with an error that Prefer: handling=lenient forgives: something is unknown or not offered. A bad value
     * is never forgiven, since the answer would hold what nobody asked for. */
    bool forgivable;
    size_t criteria_count; /* made so far: chains over any type multiply */
    bool inside_filter;    /* where strings may be asked for as a whole */
};

/* A growing list of alternatives. */
struct search_values {
    struct search_value *values;
    size_t count;
    size_t capacity;
};

/* What a value is read for. */
struct search_target {
    struct str name; /* of the pair, for errors */
    struct str type;
    const struct model_search_parameter *parameter;
    struct str modifier;
};

bool search_no_memory(struct error *error); /* always false */

bool search_values_add(struct search_parse *parse, struct search_values *list, struct search_value value,
                       struct error *error) MUST_CHECK;

/* Reads one alternative, escapes still in it, and adds its values. */
bool search_value_parse(struct search_parse *parse, const struct search_target *target, struct str text,
                        struct search_values *list, struct error *error) MUST_CHECK;

/* The same under a number of its own: a component of a composite. */
bool search_part_parse(struct search_parse *parse, const struct search_target *target, struct str text,
                       uint32_t parameter, struct search_values *list, struct error *error) MUST_CHECK;

/* The keys of a composite's first component, which is a token; a whole system ("system|") is refused, since pairs are
 * kept by the keys of codes. */
bool search_first_parse(struct search_parse *parse, const struct search_target *target, struct str text,
                        struct search_values *list, struct error *error) MUST_CHECK;

/* Of a reference, but for :identifier (search_reference.c). */
bool search_reference_value(struct search_parse *parse, const struct search_target *target, struct str text,
                            uint32_t parameter, struct search_values *list, struct error *error) MUST_CHECK;

/* ---- search_group.c ---- */

/* Adds an alternative to a criterion, which becomes a group. */
bool search_group_add(struct search_parse *parse, struct search_criteria *criteria, struct str type,
                      const struct search_criteria *inner, struct error *error) MUST_CHECK;
/* :missing: neither a row to ask for nor a value that gives none, for each parameter that answers. */
bool search_missing_parse(struct search_parse *parse, const struct search_target *target, struct str text,
                          struct search_criteria *criteria, struct error *error) MUST_CHECK;
/* Alternatives of a canonical resource's `url`, some with |version: the url, and that version (R4 3.1.1.4.9). */
bool search_versioned_parse(struct search_parse *parse, const struct search_target *target, struct str text,
                            struct search_criteria *criteria, struct error *error) MUST_CHECK;
/* What a search over several types asks of each: its own condition. */
bool search_group_of_types(struct search_parse *parse, const struct search_pair *pair, size_t depth,
                           struct search_criteria *criteria, struct error *error) MUST_CHECK;
/* A composite of three components. */
bool search_composite_parse(struct search_parse *parse, const struct search_target *target, struct str text,
                            struct search_criteria *criteria, struct error *error) MUST_CHECK;

/* A chain, also into what its references contain (search_inside.c): it becomes a group where there is such a thing. */
bool search_look_inside(struct search_parse *parse, struct search_criteria *criteria,
                        struct error *error) MUST_CHECK;

/* _filter (search_filter.c). */
bool search_filter_parse(struct search_parse *parse, struct str type, struct str text, size_t depth,
                         struct search_criteria *criteria, struct error *error) MUST_CHECK;

/* ---- search_terms.c ---- */

/* The codes of an uploaded or R4's own value set; *found false: there is none of that URL. */
bool search_set_codes(struct search_parse *parse, const struct search_target *target, struct str url,
                      bool with_system, uint32_t parameter, struct search_values *list, bool *found,
                      struct error *error) MUST_CHECK;
/* The codes below or above (by the modifier) a code, and itself. */
bool search_code_side(struct search_parse *parse, const struct search_target *target, struct str system,
                      struct str code, bool with_system, struct search_values *list,
                      struct error *error) MUST_CHECK;

/* ---- search_words.c ---- */

/* _text and _content, whose name the pair has. */
bool search_words_parse(struct search_parse *parse, struct str type, const struct search_pair *pair,
                        struct search_criteria *criteria, struct error *error) MUST_CHECK;
/* One alternative of a token with :text. */
bool search_code_words(struct search_parse *parse, const struct search_target *target, struct str text,
                       struct search_values *list, struct error *error) MUST_CHECK;

/* The next part before an unescaped separator, as str_split_next. */
bool search_split(struct str *rest, char separator, struct str *part);
/* Without the escapes \, \| \$ \\ (R4 3.1.1.4.0.7). */
struct str search_unescape(struct arena *arena, struct str text);

/* One condition on resources of `type` (absent: of query->types), by name and value; depth counts links. */
bool search_criteria_parse(struct search_parse *parse, struct str type, const struct search_pair *pair,
                           size_t depth, struct search_criteria **criteria, struct error *error) MUST_CHECK;

/* Percent-decodes "a=b&c=d". */
bool search_pairs_decode(struct arena *arena, struct str text, struct search_pair **pairs, size_t *count,
                         struct error *error) MUST_CHECK;

#endif
