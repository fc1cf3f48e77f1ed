/* search_query.h — a FHIR search (R4 3.1.1) as pure data: what store/ turns into one statement. Parameters are
 * resolved against the R4 definitions, values are in the forms of index rows (fhir/index.h), so that the store
 * knows keys, texts, spans and ranges and no FHIR. All memory is in the caller's arena; read-only once parsed.
 *
 * Unknown parameters, modifiers that do not fit the type and bad values are ERROR_INPUT naming the parameter (never
 * the value); known ones that are not offered are ERROR_UNSUPPORTED. With `lenient` what is unknown or not offered
 * becomes a warning and is left out; a bad value stays an error. */
#ifndef SHANHAI_FHIR_SEARCH_QUERY_H
#define SHANHAI_FHIR_SEARCH_QUERY_H

#include "fhir/index.h"

struct search_pair {
    struct str name; /* "subject:Patient.name", decoded */
    struct str value;
};

enum search_prefix {
    SEARCH_EQ,
    SEARCH_NE,
    SEARCH_GT,
    SEARCH_LT,
    SEARCH_GE,
    SEARCH_LE,
    SEARCH_SA,
    SEARCH_EB,
    SEARCH_AP,
};

enum search_test {
    SEARCH_TEST_KEY,      /* a KEY row with this key */
    SEARCH_TEST_PREFIX,   /* a TEXT row that begins with text */
    SEARCH_TEST_CONTAINS, /* a TEXT row with text in it */
    SEARCH_TEST_EQUAL,    /* a TEXT row that is text */
    SEARCH_TEST_ENDS,     /* a TEXT row that ends with text, a mark of its exact bytes left aside */
    SEARCH_TEST_ABOVE,    /* a TEXT row by which text begins, at a path boundary (uri :above) */
    SEARCH_TEST_DATE,     /* a DATE row against [from_ms, to_ms) by prefix, see search_date_matches */
    SEARCH_TEST_NUMBER,   /* a NUMBER row with this key against number and [low, high] by prefix, see
                             search_number_matches */
    SEARCH_TEST_WORDS,    /* a KEY row of a piece of text with this phrase at the beginning of a word */
    SEARCH_TEST_WITHIN,   /* a KEY row of a piece of text with text anywhere in it */
    SEARCH_TEST_NEAR,     /* a place within `high` (squared chord) of `place` (index.h) */
    SEARCH_TEST_NOTHING,  /* no row ever (a value that no resource can have) */
};

/* One alternative of a comma list. */
struct search_value {
    enum search_test test;
    enum search_prefix prefix;
    uint32_t
        parameter; /* number of the rows to look at (composites and modifiers have numbers of their own) */
    uint64_t key;
    /* KEY: of a code or a system alone, for which whole codings answer (struct index_row, derived). */
    bool brief;
    /* Of a composite whose first component is such a key: its own number and that key. `parameter` is that of the key. */
    uint32_t composite;
    uint64_t composite_key;
    struct str text;
    int64_t from_ms;
    int64_t to_ms;
    double number; /* as written, for gt lt ge le */
    double low;    /* what its digits cover, for eq and ne; 10 % around for ap */
    double high;
    struct index_place place; /* NEAR */
    uint32_t axes[3];         /* NEAR: numbers of its rows */
};

enum search_kind {
    SEARCH_VALUES,  /* any of values */
    SEARCH_MISSING, /* the resource has no row of `rows` kind for `parameter`; negated: it has one */
    SEARCH_ID,      /* id is one of `ids` */
    SEARCH_UPDATED, /* lastUpdated: values with from_ms, to_ms and prefix; a moment, so the span is [t, t+1) */
    SEARCH_CHAIN,   /* a KEY row of `parameter` leads to a resource that fits one of `links` */
    SEARCH_HAS, /* a resource of links[0].type fits its criteria and has a KEY row of `parameter` to this one */
    SEARCH_LIST,  /* one of the Lists `ids` names this resource: List's KEY row of `parameter` (_list) */
    SEARCH_GROUP, /* the resource itself is of one of the `links`' types (absent: any) and fits its criteria */
};

struct search_criteria;

struct search_link {
    struct str type; /* resource type on the other side, of the resource itself in a group */
    const struct search_criteria *criteria; /* all of them; NULL: it only has to exist */
};

/* One condition; a list by `next` means all of them. */
struct search_criteria {
    const struct search_criteria *next;
    enum search_kind kind;
    bool negated; /* :not, :missing=false: resources that do not fit (R4 3.1.1.4.5: also without a value) */
    struct str type;      /* of the resources this is asked of */
    struct str code;      /* parameter, "birthdate" */
    struct str modifier;  /* "exact", or absent */
    enum index_kind rows; /* kind of the rows that say whether the parameter has a value */
    uint32_t parameter;   /* hash_parameter(type, code); HAS, LIST: of the other side's reference */
    const struct search_value *values; /* alternatives */
    size_t values_count;
    const struct str *ids;
    size_t ids_count;
    const struct search_link *links; /* CHAIN, GROUP: alternatives; HAS: one */
    size_t links_count;
};

enum search_sort_by { SEARCH_SORT_ID, SEARCH_SORT_UPDATED, SEARCH_SORT_ROWS };

struct search_sort {
    enum search_sort_by by;
    struct str code;
    uint32_t parameter;
    uint32_t also;        /* of combo-…: the components' parameter, whose values count as well; else 0 */
    enum index_kind rows; /* ascending by the smallest value of a resource, descending by the largest */
    bool descending;
};

struct search_include {
    bool reverse;           /* _revinclude: resources of source_type that point here */
    bool iterate;           /* also from included resources */
    bool all;               /* "*": every reference parameter of source_type */
    struct str source_type; /* that has the reference; absent: any ("*" alone) */
    struct str code;
    uint32_t parameter;
    struct str target_type;     /* absent: any */
    const uint32_t *parameters; /* all: numbers of the reference parameters of source_type */
    size_t parameters_count;
};

enum search_total { SEARCH_TOTAL_NONE, SEARCH_TOTAL_ESTIMATE, SEARCH_TOTAL_ACCURATE, SEARCH_TOTAL_UNSAID };
enum search_summary {
    SEARCH_SUMMARY_FALSE,
    SEARCH_SUMMARY_TRUE,
    SEARCH_SUMMARY_TEXT,
    SEARCH_SUMMARY_DATA,
    SEARCH_SUMMARY_COUNT
};

struct search_warning {
    const struct search_warning *next;
    struct str parameter; /* the name as given */
    struct str text;
};

enum { SEARCH_COUNT_DEFAULT = 20 };

/* _contained, _containedType (R4 3.1.1.4.13): whether resources within others are found, and what stands for them. */
enum search_contained { SEARCH_CONTAINED_FALSE, SEARCH_CONTAINED_TRUE, SEARCH_CONTAINED_BOTH };

struct search_query {
    enum search_contained contained; /* only where options.contained offers it */
    bool contained_itself;           /* _containedType=contained: the resource; else its container */
    struct str type;         /* absent: all types (only _id, _lastUpdated, _tag … then), see `types` */
    const struct str *types; /* _type, or NULL */
    size_t types_count;
    const struct search_criteria *criteria; /* all of them; NULL: every resource of the type */
    const struct search_sort *sorts;
    size_t sorts_count;
    const struct search_include *includes;
    size_t includes_count;
    uint32_t count; /* _count, cut to LIMIT_SEARCH_COUNT; 0 asks for the total only */
    bool has_count;
    enum search_total total;
    enum search_summary summary;
    const struct str *elements; /* _elements: names at the top */
    size_t elements_count;
    struct str cursor; /* _cursor: a page link's place, opaque */
    struct str format; /* _format, as given */
    bool pretty;       /* _pretty=true */
    const struct search_warning *warnings;
    const struct search_pair *pairs; /* those that were understood, in order: for the self link */
    size_t pairs_count;
};

struct terminology_run;

/* Hierarchies of resources of one type (R4 3.1.1.4.14): the ids below a place, its parts and theirs, or above it, by the
 * type's reference parameter `code`, as far as who asks may see them. ERROR_TOO_COSTLY for more than LIMIT_SEARCH_VALUES. */
struct search_place_in {
    struct str type;
    struct str code; /* "partof" */
    struct str id;
    bool below;
};
struct search_hierarchy {
    void *data;
    bool (*find)(void *data, struct arena *arena, const struct search_place_in *place, const struct str **ids,
                 size_t *count, struct error *error);
};

/* Whether there are contained resources of a type: only then a chain looks inside. */
struct search_inside {
    void *data;
    bool (*has)(void *data, struct arena *arena, struct str type);
};

struct search_options {
    struct str type;     /* resource type, absent for a search over all */
    struct str base_url; /* as in fhir_index_options */
    int offset_minutes;
    int64_t now_ms; /* for ap; 0 = the clock */
    bool lenient;   /* Prefer: handling=lenient */
    bool contained; /* the caller knows how to look into contained resources */
    /* R4 3.1.1.3: a parameter without a value is ignored, with a warning. Only where nothing is written by the answer:
     * a condition that says nothing would choose everything. */
    bool ignore_empty;
    const struct search_inside *inside;       /* NULL: chains go to resources of their own only */
    const struct search_hierarchy *hierarchy; /* references' :above and :below; NULL: not offered */
    const struct terminology_run
        *terms; /* :below, :above, :in of uploaded sets; NULL: R4's written-out sets only */
    /* Compartment search, "Patient/123/Observation": only what belongs to it. Absent: none. */
    struct str compartment_type;
    struct str compartment_id;
};

bool search_query_parse(struct arena *arena, const struct search_options *options,
                        const struct search_pair *pairs, size_t pairs_count, struct search_query *query,
                        struct error *error) MUST_CHECK;

/* The same from one text, "status=active&subject=Patient/1" (percent-encoded), as in a policy, a conditional
 * create or a reference. A type before a ? ("Patient?identifier=…") must be options->type. */
bool search_query_parse_text(struct arena *arena, const struct search_options *options, struct str text,
                             struct search_query *query, struct error *error) MUST_CHECK;

/* The query part of the self link: what was understood, percent-encoded. */
struct str search_query_self(struct arena *arena, const struct search_query *query);

/* Whether the rows of a resource fit the criteria that rows alone can answer. *known false: there is a chain, a
 * _has or a list among them, and the store has to look. `id` and `updated_ms` answer SEARCH_ID and SEARCH_UPDATED. */
struct search_subject {
    struct str type;
    struct str id;
    int64_t updated_ms;
    const struct index_row *rows;
    size_t rows_count;
};
bool search_criteria_match(const struct search_criteria *criteria, const struct search_subject *subject,
                           bool *known);

/* R4 3.1.1.4.6: how a row's span or range meets the value's, by prefix. The store's SQL must say the same. */
bool search_date_matches(const struct search_value *value, int64_t from_ms, int64_t to_ms);
bool search_number_matches(const struct search_value *value, double low, double high);

#endif
