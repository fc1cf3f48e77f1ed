/* concept_index.h — the concepts of one CodeSystem by their codes, and what each stands below: by nesting and by the
 * property "parent" (R4 4.8.10), which may name several and, in a damaged system, lead in a ring. Made once for a
 * request, in its arena; points into the CodeSystem. One thread. */
#ifndef SHANHAI_FHIR_CONCEPT_INDEX_H
#define SHANHAI_FHIR_CONCEPT_INDEX_H

#include "json/json.h"

struct concept_index;

/* NULL when memory ran out. */
struct concept_index *concept_index_make(struct arena *arena, const struct json *code_system);

/* The first concept of that code, at any depth, or NULL. */
const struct json *concept_index_find(const struct concept_index *index, struct str code);

/* Whether `code` stands somewhere below `ancestor`, another code. Each concept is looked at once, however many ways
 * lead to it; *steps grows by what was looked at. */
bool concept_index_is_below(struct concept_index *index, struct str ancestor, struct str code,
                            uint64_t *steps);

#endif
