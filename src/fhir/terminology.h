/* terminology.h — code systems, value sets and concept maps: R4's own (definitions/r4/terminology.json, read when first
 * asked for) and uploaded ones, which the caller looks up. What R4 4.7 and 4.8 say of expansion, membership,
 * subsumption and translation, as far as the definitions are written out: systems that are only named (SNOMED CT,
 * LOINC, UCUM …) cannot be expanded, and whether they have a code is not known.
 *
 * struct terminology is made once and used by any number of threads. Trees that come back live in it or in the arena. */
#ifndef SHANHAI_FHIR_TERMINOLOGY_H
#define SHANHAI_FHIR_TERMINOLOGY_H

#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/table.h"
#include "json/json.h"

struct terminology;

/* Finds an uploaded resource by its canonical URL; *resource stays NULL when there is none. */
struct terminology_source {
    void *data;
    bool (*find)(void *data, struct arena *arena, struct str type, struct str url,
                 const struct json **resource, struct error *error);
};

/* `text` is constant and outlives the module; absent: nothing but uploaded ones. */
bool terminology_create(struct str text, struct terminology **terminology, struct error *error) MUST_CHECK;
void terminology_destroy(struct terminology *terminology); /* NULL is fine */

/* R4's own CodeSystem, ValueSet or ConceptMap of a URL ("url" or "url|version"), or NULL. */
const struct json *terminology_base(struct terminology *terminology, struct str type, struct str url);

/* Calls `take` for each of R4's own resources of a type, in their order. */
void terminology_each(struct terminology *terminology, struct str type,
                      void (*take)(void *data, const struct json *resource), void *data);

/* What one request found and how much it looked at: a set asks the same CodeSystem for each of its codes. `{ .found =
 * table_in(arena), .indexes = table_in(arena) }`, in the arena of the run. */
struct terminology_memo {
    struct table found;   /* "type url" → what `source` or R4 has */
    struct table indexes; /* CodeSystem → its concept_index */
    uint64_t steps;       /* concepts, includes and filters looked at, LIMIT_TERMINOLOGY_STEPS at most */
};

/* One request's view: where to look, and what may be spent. */
struct terminology_run {
    struct terminology *terminology;
    const struct terminology_source *source; /* or NULL */
    struct arena *arena;
    int64_t *
        regex_us; /* processor time that regular expressions of filters have taken so far; NULL: none is offered */
    const struct str *versions; /* "system|version" to take where a value set names none */
    size_t versions_count;
    struct terminology_memo *memo; /* or NULL: for a single question */
};

/* ERROR_TOO_COSTLY when the request has looked at more than it may. */
bool terminology_may_go_on(const struct terminology_run *run, struct error *error) MUST_CHECK;

/* Uploaded ones first, then R4's own; *resource stays NULL when neither has it. */
bool terminology_find(const struct terminology_run *run, struct str type, struct str url,
                      const struct json **resource, struct error *error) MUST_CHECK;

/* The concept of a code in a CodeSystem, at any depth, or NULL. */
const struct json *terminology_concept(const struct terminology_run *run, const struct json *code_system,
                                       struct str code);
/* Whether `code` lies below `ancestor` (or is it, with `itself`), by the nesting and the property "parent". */
bool terminology_is_below(const struct terminology_run *run, const struct json *code_system,
                          struct str ancestor, struct str code, bool itself);

/* Calls `take` for each code of a value set, each once, in the order of its definition. ERROR_UNSUPPORTED: a system is
 * only named, or a filter is not offered. ERROR_TOO_COSTLY over LIMIT_TERMINOLOGY_CODES. */
struct terminology_code {
    struct str system;
    struct str code;
    struct str display;         /* absent where nobody told one */
    const struct json *concept; /* in its CodeSystem; NULL where that is not known. Only from an expansion */
    const struct json *listed;  /* in the value set that lists it, or NULL */
};
bool terminology_expand(const struct terminology_run *run, const struct json *value_set,
                        bool (*take)(void *data, const struct terminology_code *code), void *data,
                        struct error *error) MUST_CHECK;

/* Membership without writing the set out. An absent system asks for the code in any. *known false: it cannot be told. */
bool terminology_has(const struct terminology_run *run, const struct json *value_set,
                     const struct terminology_code *code, bool *known, bool *is_member,
                     struct error *error) MUST_CHECK;

#endif
