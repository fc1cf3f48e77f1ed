/* outcome.h — a list of issues and the OperationOutcome that tells them (R4 2.28.5). Texts never hold a value of a
 * record, paths do no harm. Issues live in the arena given to outcome_add; one thread. */
#ifndef SHANHAI_FHIR_OUTCOME_H
#define SHANHAI_FHIR_OUTCOME_H

#include "base/arena.h"
#include "base/error.h"
#include "json/json.h"

enum outcome_severity { OUTCOME_FATAL, OUTCOME_ERROR, OUTCOME_WARNING, OUTCOME_INFORMATION };
enum outcome_language { OUTCOME_ENGLISH, OUTCOME_CHINESE };

struct outcome_issue {
    struct outcome_issue *next;
    enum outcome_severity severity;
    const char *code;   /* value set issue-type: "structure", "required", "value", "invalid" … */
    struct str path;    /* FHIRPath of the element, "Patient.name[0].given", or absent */
    struct str text;    /* what is wrong and what to do, English */
    struct str chinese; /* the same in Chinese, or absent */
    const char *detail; /* which sentence this is (outcome_words.h), or NULL */
};

struct outcome {
    struct arena *arena;
    struct outcome_issue *first;
    struct outcome_issue *last;
    size_t count;
    size_t errors_count; /* fatal and error */
    bool cut; /* more than LIMIT_OUTCOME_ISSUES: the rest, warnings first, is not listed (an issue says so) */
};

/* Where a check stands in a resource: a chain on the stack, down from the root. */
struct outcome_place {
    const struct outcome_place *parent;
    struct str name; /* of the member, or of the root's type */
    int64_t index;   /* position in an array, -1: none */
};

/* Its FHIRPath, "Patient.name[0].given"; empty when it is too long or memory is used up. */
struct str outcome_path(struct arena *arena, const struct outcome_place *place);

static inline struct outcome outcome_in(struct arena *arena)
{
    return (struct outcome){ .arena = arena };
}

/* Copies nothing: path and texts must live in the arena or be constant. Beyond the limit it only counts. */
void outcome_add(struct outcome *outcome, struct outcome_issue issue);

/* The kind's issue code and the text of a struct error. */
void outcome_add_error(struct outcome *outcome, const struct error *error);

/* The resource as a tree; an outcome without issues says "all ok" (R4 2.28.5: at least one). NULL when the
 * arena is used up. */
struct json *outcome_to_json(const struct outcome *outcome, enum outcome_language language);

/* Short for the one error of a request. */
struct json *outcome_of_error(struct arena *arena, const struct error *error, enum outcome_language language);

#endif
