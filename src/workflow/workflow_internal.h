/* workflow_internal.h — what the files of this folder share: the loaded machine and one run over it. */
#ifndef SHANHAI_WORKFLOW_INTERNAL_H
#define SHANHAI_WORKFLOW_INTERNAL_H

#include "base/clock.h"
#include "fhirpath/fhirpath.h"
#include "workflow/workflow.h"

struct workflow_text {
    struct str zh;
    struct str en;
};

struct workflow_state {
    struct str code;
    struct workflow_text title;
    struct str task_status;
    struct str focus_status; /* STR_NONE: an effect sets it */
};

struct workflow_machine {
    struct str code;
    struct str version;
    struct str focus; /* resource type */
    struct str initial;
    const struct json *created_by;
    struct json *context;     /* name → {read | search | value, where} */
    struct json *transitions; /* array, as in the files; checked at load */
    struct table states;      /* code → struct workflow_state */
    struct table expressions; /* text → struct fhirpath */
};

/* One run: the variables and the resources it has touched. */
struct workflow_run {
    const struct workflow_request *request;
    const struct workflow_machine *machine;
    struct arena *arena;
    struct fhirpath_context context;
    struct fhirpath_variable *variables;
    struct workflow_write *resources; /* read, made or changed; in order */
    struct workflow_write *resources_last;
    struct workflow_plan *plan;
    int depth; /* of context entries that need each other */
};

struct workflow_text workflow_text_of(struct arena *arena, const struct json *value);

/* ---- workflow_run.c ---- */
bool workflow_run_begin(struct workflow_run *run, const struct workflow_request *request, struct arena *arena,
                        struct error *error) MUST_CHECK;

/* Evaluates an expression of the file (compiled at load) on `input` (may be NULL), after loading the
 * context that it names. */
bool workflow_evaluate(struct workflow_run *run, struct str expression, const struct fhirpath_item *input,
                       struct fhirpath_collection *result, struct error *error) MUST_CHECK;
bool workflow_test(struct workflow_run *run, struct str expression, bool *holds,
                   struct error *error) MUST_CHECK;

/* Binds %name, before earlier values of that name. */
bool workflow_bind(struct workflow_run *run, struct str name, struct fhirpath_collection value) MUST_CHECK;
bool workflow_bind_json(struct workflow_run *run, struct str name, const struct json *value) MUST_CHECK;

/* The touched resource of a tree, or of a reference; NULL when it was not touched. */
struct workflow_write *workflow_touched(const struct workflow_run *run, const struct json *tree);
struct workflow_write *workflow_touched_reference(const struct workflow_run *run, struct str reference);
struct workflow_write *workflow_touch(struct workflow_run *run, struct json *tree, bool made);

/* Reads by reference through the host, each resource once a run. *found stays NULL when there is none. */
bool workflow_read(struct workflow_run *run, struct str reference, struct workflow_write **found,
                   struct error *error) MUST_CHECK;

/* ---- workflow_template.c ---- */

/* A tree from a template: "=expression" strings are evaluated on `input`, empty results leave the member
 * out, {"$each": …} in an array stands for each item. *value NULL when nothing is left. */
bool workflow_expand(struct workflow_run *run, const struct json *template, const struct fhirpath_item *input,
                     struct json **value, struct error *error) MUST_CHECK;

/* ---- workflow_effect.c ---- */
bool workflow_apply(struct workflow_run *run, const struct json *effect, struct error *error) MUST_CHECK;

/* Makes a resource of a template's tree: id, touched as made, bound to %as when given. */
bool workflow_make(struct workflow_run *run, struct json *resource, struct str as,
                   struct error *error) MUST_CHECK;

/* ---- workflow_document.c ---- */
bool workflow_sign_resource(struct workflow_run *run, const struct json *effect,
                            struct error *error) MUST_CHECK;
bool workflow_make_document(struct workflow_run *run, const struct json *effect,
                            struct error *error) MUST_CHECK;

/* ---- workflow_input.c ---- */

/* Reads the inputs of a transition from Parameters into one JSON object, adding a message for each that is
 * missing or wrong. The password is taken out into *password. */
bool workflow_read_input(struct workflow_run *run, const struct json *transition, struct json **input,
                         struct str *password, struct workflow_refusal *refusal,
                         struct error *error) MUST_CHECK;

bool workflow_refuse(struct arena *arena, struct workflow_refusal *refusal, enum error_kind kind,
                     struct workflow_text message, struct error *error);

/* Whether the actor is one of `who`; adds the reasons why not. */
bool workflow_may(struct workflow_run *run, const struct json *transition, bool *may,
                  struct workflow_refusal *refusal, struct error *error) MUST_CHECK;

/* ---- workflow_timer.c ---- */

/* "P7D", "PT10M", "P1DT12H": days, hours and minutes are enough for timers. False for anything else. */
bool workflow_duration(struct str text, int64_t *duration_ms) MUST_CHECK;

/* Writes the timer of the Task's new state, or takes the old one off; `before`: the state that was. */
bool workflow_set_timer(struct workflow_run *run, const struct json *transition, struct str before,
                        struct error *error) MUST_CHECK;

bool workflow_timer_equal(const struct json *previous, const struct json *task);

#define WORKFLOW_NO_MEMORY(error)                                                                            \
    FAIL((error), ERROR_TOO_LARGE, "the transition needs more memory than a request may use")

#endif
