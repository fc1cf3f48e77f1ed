/* validate_run.h — inside of src/fhir: one structural validation, what it tells, and the checks of single values. */
#ifndef SHANHAI_FHIR_VALIDATE_RUN_H
#define SHANHAI_FHIR_VALIDATE_RUN_H

#include "fhir/outcome.h"
#include "model/model.h"

struct validate_run {
    struct outcome *outcome;
    struct arena *arena;
    const struct json *root; /* resource whose `contained` a "#id" looks into */
    bool full;               /* struct validate_options */
};

struct validate_issue {
    const char *code;
    struct str text;
    struct str chinese;
};

/* ---- validate_tell.c ---- */

void validate_tell(struct validate_run *run, const struct outcome_place *place, struct validate_issue issue);
/* A member that the type does not have, with the nearest name that it has. */
void validate_tell_unknown(struct validate_run *run, const struct model_type *type,
                           const struct outcome_place *place);

/* ---- validate_value.c ---- */

void validate_primitive(struct validate_run *run, const struct json *value,
                        const struct model_element *element, const struct outcome_place *place);
void validate_binding(struct validate_run *run, const struct json *value, const struct model_element *element,
                      const struct outcome_place *place);
void validate_reference(struct validate_run *run, const struct json *value,
                        const struct model_element *element, const struct outcome_place *place);
/* ext-1: a value or extensions, not both and not neither. */
void validate_extension(struct validate_run *run, const struct json *value,
                        const struct outcome_place *place);

#endif
