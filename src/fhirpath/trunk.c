/* What the paths over one type have in common ("Observation.component" begins four) is walked once for a resource. Only names
 * at the beginning of a path are taken here; functions, indices and whatever follows are evaluated as ever, from the list
 * that the walk found. */
#include "base/limits.h"
#include "fhirpath/engine.h"
#include "fhirpath/types.h"

/* One name after the other from the root; the root itself is branch 0 and stands in no array. */
struct branch {
    struct str name;
    struct branch *next;           /* of the same parent */
    struct branch *first;          /* of its own children */
    const struct model_type *from; /* the type that `element` was found in; NULL: not known before the walk */
    const struct model_element *element; /* NULL: `from` has none of that name */
    uint32_t number;                     /* from 1 */
};

struct fhirpath_trunk {
    struct arena *arena;
    struct branch root;
    const struct model_type *type;
    uint32_t count; /* of branches */
};

struct fhirpath_grown {
    const struct fhirpath_trunk *trunk;
    const struct json *root;
    struct list lists[]; /* by number - 1 */
};

struct fhirpath_trunk *fhirpath_trunk_create(struct arena *arena, struct str type)
{
    struct fhirpath_trunk *trunk = ARENA_NEW(arena, struct fhirpath_trunk);
    if (trunk != NULL) {
        trunk->arena = arena;
        trunk->type = type_find(type);
    }
    return trunk;
}

/* ---- growing: once, when paths are compiled ---- */

/* What stands below a branch is known before a walk unless it may be one of several types, or a resource. */
static const struct model_type *type_below(const struct fhirpath_trunk *trunk, const struct branch *branch)
{
    if (branch == &trunk->root) {
        return trunk->type;
    }
    const struct model_element *element = branch->element;
    bool fixed = element != NULL && element->choice.len == 0 && element->type->kind != MODEL_RESOURCE;
    return fixed ? element->type : NULL;
}

static struct branch *branch_of(struct fhirpath_trunk *trunk, struct branch *parent, struct str name)
{
    struct branch **link = &parent->first;
    while (*link != NULL && !str_equal((*link)->name, name)) {
        link = &(*link)->next;
    }
    if (*link == NULL) {
        struct branch *made = ARENA_NEW(trunk->arena, struct branch);
        if (made == NULL) {
            return NULL;
        }
        made->name = name;
        made->from = type_below(trunk, parent);
        made->element = made->from == NULL ? NULL : type_element(made->from, name);
        made->number = ++trunk->count;
        *link = made;
    }
    return *link;
}

/* The compiled form is the arena's and is not yet shared with anybody: here it may still be changed. */
static struct expression *unshared(const struct expression *expression)
{
    return (struct expression *)(uintptr_t)expression;
}

static bool take_path(struct fhirpath_trunk *trunk, struct expression *path)
{
    const struct expression *head = path->parts[0];
    /* N1 2.1.1: a path may begin with the name of the type it starts from. */
    bool named = head->type != NULL && type_descends(trunk->type, head->type);
    struct branch *branch = &trunk->root;
    uint32_t at = named ? 1 : 0;
    for (; at < path->parts_count && path->parts[at]->kind == EXPRESSION_MEMBER; at++) {
        branch = branch_of(trunk, branch, path->parts[at]->name);
        if (branch == NULL) {
            return false;
        }
    }
    if (branch != &trunk->root) {
        path->branch = branch->number;
        path->branch_parts = at;
    }
    return true;
}

/* Only what is evaluated with the root as $this: a function's arguments are not. */
static bool take(struct fhirpath_trunk *trunk, struct expression *expression)
{
    bool is_path = expression->kind == EXPRESSION_PATH;
    bool passes = expression->kind == EXPRESSION_UNION || expression->kind == EXPRESSION_BINARY ||
                  expression->kind == EXPRESSION_TYPE || expression->kind == EXPRESSION_NEGATE ||
                  expression->kind == EXPRESSION_PLUS;
    if (is_path && expression->parts[0]->kind == EXPRESSION_MEMBER) {
        return take_path(trunk, expression);
    }
    bool ok = true;
    for (uint32_t i = 0; ok && (passes || (is_path && i == 0)) && i < expression->parts_count; i++) {
        ok = take(trunk, unshared(expression->parts[i]));
    }
    return ok;
}

/* Whether the step gives nothing where there is nothing before it. */
static bool step_is_hollow(const struct expression *step)
{
    static const char *const names[] = { "where", "as", "ofType", "resolve", "first", "select", "extension" };
    bool hollow = step->kind == EXPRESSION_MEMBER;
    for (size_t i = 0; step->kind == EXPRESSION_CALL && !hollow && i < sizeof names / sizeof *names; i++) {
        hollow = strcmp(step->function->name, names[i]) == 0;
    }
    return hollow;
}

/* Whether the expression gives nothing where all its branches are bare. */
static bool is_hollow(const struct expression *expression)
{
    bool hollow = true;
    switch ((enum expression_kind)expression->kind) {
    case EXPRESSION_PATH:
        hollow = expression->branch != 0 || is_hollow(expression->parts[0]);
        for (uint32_t i = expression->branch != 0 ? expression->branch_parts : 1;
             hollow && i < expression->parts_count; i++) {
            hollow = step_is_hollow(expression->parts[i]);
        }
        return hollow;
    case EXPRESSION_UNION:
    case EXPRESSION_TYPE:
        hollow = expression->kind == EXPRESSION_UNION || expression->operation == OPERATION_AS;
        for (uint32_t i = 0; hollow && i < expression->parts_count; i++) {
            hollow = is_hollow(expression->parts[i]);
        }
        return hollow;
    case EXPRESSION_EMPTY:
    case EXPRESSION_LITERAL:
    case EXPRESSION_REFUSED:
    case EXPRESSION_THIS:
    case EXPRESSION_INDEX:
    case EXPRESSION_TOTAL:
    case EXPRESSION_VARIABLE:
    case EXPRESSION_MEMBER:
    case EXPRESSION_CALL:
    case EXPRESSION_ITEM:
    case EXPRESSION_NEGATE:
    case EXPRESSION_PLUS:
    case EXPRESSION_BINARY:
        return false;
    }
    return false;
}

bool fhirpath_trunk_add(struct fhirpath_trunk *trunk, struct fhirpath *path, struct error *error)
{
    assert(trunk != NULL);
    assert(path->trunk == NULL);
    if (trunk->type == NULL) {
        return true;
    }
    if (!take(trunk, unshared(path->root))) {
        return FAIL(error, ERROR_TOO_LARGE, "memory for the expression is used up");
    }
    path->trunk = trunk;
    path->hollow = is_hollow(path->root);
    return true;
}

/* ---- the walk: once for a resource ---- */

static bool walk(struct run *run, const struct branch *parent, const struct list *in,
                 struct fhirpath_grown *grown, struct error *error)
{
    bool ok = true;
    for (const struct branch *branch = parent->first; ok && branch != NULL; branch = branch->next) {
        struct list *out = &grown->lists[branch->number - 1];
        for (size_t i = 0; ok && i < in->count; i++) {
            const struct fhirpath_item *item = &in->items[i];
            bool known = item->kind == FHIRPATH_NODE && item->type != NULL && item->type == branch->from;
            if (!known) {
                ok = node_children_named(run, item, branch->name, out, error);
            } else if (branch->element != NULL) {
                ok = node_children_known(run, item, branch->element, out, error);
            }
        }
        if (ok && out->count > 0 && branch->first != NULL) {
            ok = walk(run, branch, out, grown, error);
        }
    }
    return ok;
}

bool fhirpath_trunk_walk(const struct fhirpath_trunk *trunk, struct fhirpath_context *context,
                         const struct fhirpath_item *root, struct error *error)
{
    struct fhirpath_item *kept = arena_alloc(context->arena, sizeof *kept); /* results point at it */
    struct fhirpath_grown *grown =
        arena_calloc(context->arena, 1, sizeof *grown + trunk->count * sizeof grown->lists[0]);
    if (kept == NULL || grown == NULL) {
        return run_out_of_memory(error);
    }
    *kept = *root;
    struct run run = { .context = context,
                       .arena = context->arena,
                       .input = kept,
                       .steps_max = context->steps_max != 0 ? context->steps_max : LIMIT_FHIRPATH_STEPS };
    const struct list in = { .items = kept, .count = 1 };
    grown->trunk = trunk;
    grown->root = root->node.value;
    if (!walk(&run, &trunk->root, &in, grown, error)) {
        return false;
    }
    context->grown = grown;
    return true;
}

const struct list *grown_lists(const struct fhirpath_grown *grown, const struct fhirpath *path,
                               const struct fhirpath_item *input)
{
    bool fits = grown != NULL && path->trunk != NULL && grown->trunk == path->trunk && input != NULL &&
                input->kind == FHIRPATH_NODE && input->node.parent == NULL &&
                input->node.value == grown->root;
    return fits ? grown->lists : NULL;
}

bool grown_is_bare(const struct list *lists, const struct expression *expression)
{
    if (expression->branch != 0) {
        return lists[expression->branch - 1].count == 0;
    }
    bool bare = true;
    uint32_t count = expression->kind == EXPRESSION_PATH ? 1 : expression->parts_count;
    for (uint32_t i = 0; bare && i < count; i++) {
        bare = grown_is_bare(lists, expression->parts[i]);
    }
    return bare;
}
