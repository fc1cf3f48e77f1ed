/* The semantic check against a type (N1 strict mode): which types each part of an expression can give,
 * as far as the model tells. What it cannot tell is "anything" and is not checked. */
#include "fhirpath/engine.h"
#include "fhirpath/types.h"

enum { SHAPE_TYPES_MAX = 128 };

/* The types that a collection may hold. */
struct shape {
    const struct model_type **types;
    size_t count;
    bool anything;  /* other types besides, or computed values */
    bool unordered; /* children(), descendants(): the order means nothing */
};

struct check {
    struct arena *arena;
    struct shape input;
    bool quiet; /* an unknown element is nothing, not an error */
};

/* A step of a path: what stands before it, and what $this is around it. */
struct place {
    struct check *check;
    const struct expression *step;
    const struct shape *in;
    const struct shape *self;
};

static bool check_expression(struct check *check, const struct expression *expression,
                             const struct shape *self, struct shape *out, struct error *error);

static struct shape anything(void)
{
    return (struct shape){ .anything = true };
}

static bool shape_add(struct check *check, struct shape *shape, const struct model_type *type,
                      struct error *error)
{
    for (size_t i = 0; i < shape->count; i++) {
        if (shape->types[i] == type) {
            return true;
        }
    }
    /* A member of type Resource may be any of them. */
    if (type == NULL || shape->count == SHAPE_TYPES_MAX || str_equal(type->name, STR("Resource"))) {
        shape->anything = true;
        return true;
    }
    const struct model_type **grown =
        arena_alloc(check->arena, (shape->count + 1) * sizeof(struct model_type *));
    if (grown == NULL) {
        return run_out_of_memory(error);
    }
    if (shape->count > 0) {
        memcpy(grown, shape->types, shape->count * sizeof(struct model_type *));
    }
    grown[shape->count++] = type;
    shape->types = grown;
    return true;
}

static bool shape_merge(struct check *check, struct shape *shape, const struct shape *more,
                        struct error *error)
{
    shape->anything = shape->anything || more->anything;
    shape->unordered = shape->unordered || more->unordered;
    for (size_t i = 0; i < more->count; i++) {
        if (!shape_add(check, shape, more->types[i], error)) {
            return false;
        }
    }
    return true;
}

/* All variants of an element of one type. */
static bool add_element_types(struct check *check, const struct model_type *type, struct str name,
                              struct shape *out, struct error *error)
{
    const struct model_element *element = type_element(type, name);
    if (element == NULL) {
        return true;
    }
    if (element->choice.len == 0) {
        return shape_add(check, out, element->type, error);
    }
    for (; element != NULL; element = model_choice_next(type, name, element)) {
        if (!shape_add(check, out, element->type, error)) {
            return false;
        }
    }
    return true;
}

static bool check_member(struct check *check, const struct expression *step, const struct shape *in,
                         struct shape *out, struct error *error)
{
    *out = (struct shape){ .anything = in->anything, .unordered = in->unordered };
    for (size_t i = 0; i < in->count; i++) {
        if (!add_element_types(check, in->types[i], step->name, out, error)) {
            return false;
        }
    }
    if (!check->quiet && !in->anything && in->count > 0 && out->count == 0 && !out->anything) {
        return FAIL(error, ERROR_INPUT, "FHIRPath, column %u: %.*s has no element '%.*s'", step->at + 1,
                    STR_FMT(in->types[0]->name), STR_FMT(str_slice(step->name, 0, 64)));
    }
    return true;
}

static bool shape_of_type(struct check *check, const struct expression *named, struct shape *out,
                          struct error *error)
{
    *out = (struct shape){ 0 };
    if (named->type != NULL) {
        return shape_add(check, out, named->type, error);
    }
    *out = anything();
    return type_exists(named) || FAIL(error, ERROR_INPUT, "FHIRPath, column %u: no type '%.*s'",
                                      named->at + 1, STR_FMT(str_slice(named->name, 0, 64)));
}

static bool is_one_of(struct str name, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (str_equal_cstr(name, names[i])) {
            return true;
        }
    }
    return false;
}

/* What a function gives when its input and its arguments have these shapes. */
static bool shape_of_call(const struct place *place, const struct shape arguments[2], struct shape *out,
                          struct error *error)
{
    static const char *const same[] = { "where", "first",          "last",      "tail",          "skip",
                                        "take",  "single",         "intersect", "exclude",       "trace",
                                        "sort",  "checkModifiers", "distinct",  "defineVariable" };
    struct str name = str_from_cstr(place->step->function->name);
    *out = anything();
    if (is_one_of(name, same, sizeof same / sizeof same[0])) {
        *out = *place->in;
        return true;
    }
    if (str_equal(name, STR("select"))) {
        *out = arguments[0];
        return true;
    }
    if (str_equal(name, STR("combine")) || str_equal(name, STR("union"))) {
        *out = *place->in;
        return shape_merge(place->check, out, &arguments[0], error);
    }
    if (str_equal(name, STR("ofType")) || str_equal(name, STR("as"))) {
        return shape_of_type(place->check, place->step, out, error);
    }
    if (str_equal(name, STR("extension"))) {
        *out = (struct shape){ 0 };
        return shape_add(place->check, out, type_find(STR("Extension")), error);
    }
    out->unordered = (place->step->function->flags & FUNCTION_UNORDERED) != 0;
    return true;
}

/* repeat() looks at what it found with the same argument again: an element need only be one of some type that
 * comes up on the way (`repeat(item | answer)` of a QuestionnaireResponse). *self is its input and all of these. */
static bool shape_of_repeat(const struct place *place, struct shape *self, struct error *error)
{
    struct check *check = place->check;
    bool before = check->quiet;
    size_t count = 0;
    bool ok = true;
    *self = *place->in;
    check->quiet = true;
    do {
        struct shape found = { 0 };
        count = self->count;
        ok = check_expression(check, place->step->parts[0], self, &found, error) &&
             shape_merge(check, self, &found, error);
    } while (ok && self->count > count);
    check->quiet = before;
    return ok;
}

static bool check_call(const struct place *place, struct shape *out, struct error *error)
{
    const struct expression *call = place->step;
    struct shape arguments[2] = { { 0 }, { 0 } };
    struct shape items = *place->in;
    bool on_items = (call->function->flags & FUNCTION_PREDICATE) != 0;
    if (str_starts_with(str_from_cstr(call->function->name), STR("repeat")) &&
        !shape_of_repeat(place, &items, error)) {
        return false;
    }
    if (place->in->unordered && (call->function->flags & FUNCTION_ORDER) != 0) {
        return FAIL(error, ERROR_INPUT, "FHIRPath, column %u: %s() needs an order, and its input has none",
                    call->at + 1, call->function->name);
    }
    for (uint32_t i = 0; i < call->parts_count; i++) {
        struct shape shape = { 0 };
        if (!check_expression(place->check, call->parts[i], on_items ? &items : place->self, &shape, error)) {
            return false;
        }
        if (i < 2) {
            arguments[i] = shape;
        }
    }
    return shape_of_call(place, arguments, out, error);
}

static bool check_step(const struct place *place, struct shape *out, struct error *error)
{
    struct shape index = { 0 };
    switch (place->step->kind) {
    case EXPRESSION_MEMBER:
        return check_member(place->check, place->step, place->in, out, error);
    case EXPRESSION_CALL:
        return check_call(place, out, error);
    default:
        assert(place->step->kind == EXPRESSION_ITEM);
        *out = *place->in;
        return check_expression(place->check, place->step->parts[0], place->self, &index, error);
    }
}

/* A path that begins with a type name: the type of the input, or one that it comes from. */
static bool check_type_head(struct check *check, const struct expression *head, const struct shape *self,
                            struct shape *out, struct error *error)
{
    const struct model_type *named = head->type;
    *out = *self;
    if (self->anything) {
        *out = (struct shape){ .anything = true };
        return true;
    }
    for (size_t i = 0; i < self->count; i++) {
        if (type_descends(self->types[i], named)) {
            *out = (struct shape){ 0 };
            return shape_add(check, out, self->types[i], error);
        }
    }
    return self->count == 0 || FAIL(error, ERROR_INPUT, "FHIRPath, column %u: the input is no %.*s",
                                    head->at + 1, STR_FMT(str_slice(head->name, 0, 64)));
}

static bool check_path(struct check *check, const struct expression *path, const struct shape *self,
                       struct shape *out, struct error *error)
{
    const struct expression *head = path->parts[0];
    struct shape shape = { 0 };
    struct place place = { .check = check, .step = head, .in = self, .self = self };
    bool ok = false;
    if (head->kind == EXPRESSION_MEMBER && head->type != NULL) {
        ok = check_type_head(check, head, self, &shape, error);
    } else if (head->kind == EXPRESSION_MEMBER || head->kind == EXPRESSION_CALL) {
        ok = check_step(&place, &shape, error);
    } else {
        ok = check_expression(check, head, self, &shape, error);
    }
    for (uint32_t i = 1; ok && i < path->parts_count; i++) {
        struct shape in = shape;
        place.step = path->parts[i];
        place.in = &in;
        ok = check_step(&place, &shape, error);
    }
    *out = shape;
    return ok;
}

static bool check_parts(struct check *check, const struct expression *expression, const struct shape *self,
                        struct shape *out, struct error *error)
{
    struct shape all = { 0 };
    for (uint32_t i = 0; i < expression->parts_count; i++) {
        struct shape part = { 0 };
        if (!check_expression(check, expression->parts[i], self, &part, error) ||
            !shape_merge(check, &all, &part, error)) {
            return false;
        }
    }
    *out = expression->kind == EXPRESSION_UNION ? all : anything();
    return true;
}

static bool check_expression(struct check *check, const struct expression *expression,
                             const struct shape *self, struct shape *out, struct error *error)
{
    switch ((enum expression_kind)expression->kind) {
    case EXPRESSION_PATH:
        return check_path(check, expression, self, out, error);
    case EXPRESSION_THIS:
        *out = *self;
        return true;
    case EXPRESSION_VARIABLE:
        *out = str_equal(expression->name, STR("context")) ? check->input : anything();
        return true;
    case EXPRESSION_TYPE:
        if (!check_parts(check, expression, self, out, error)) {
            return false;
        }
        return expression->operation == OPERATION_AS
                   ? shape_of_type(check, expression, out, error)
                   : type_exists(expression) || shape_of_type(check, expression, out, error);
    case EXPRESSION_NEGATE:
    case EXPRESSION_PLUS:
    case EXPRESSION_BINARY:
    case EXPRESSION_UNION:
        return check_parts(check, expression, self, out, error);
    case EXPRESSION_EMPTY:
    case EXPRESSION_LITERAL:
    case EXPRESSION_REFUSED:
    case EXPRESSION_INDEX:
    case EXPRESSION_TOTAL:
    case EXPRESSION_MEMBER:
    case EXPRESSION_CALL:
    case EXPRESSION_ITEM:
        break;
    }
    *out = anything();
    return true;
}

bool fhirpath_check(const struct fhirpath *path, struct arena *arena, struct str type, struct error *error)
{
    assert(path != NULL);
    assert(arena != NULL);
    const struct model_type *found = type_find(type);
    struct check check = { .arena = arena, .input = anything() };
    struct shape out = { 0 };
    if (found != NULL) {
        check.input = (struct shape){ 0 };
        if (!shape_add(&check, &check.input, found, error)) {
            return false;
        }
    }
    return check_expression(&check, path->root, &check.input, &out, error);
}
