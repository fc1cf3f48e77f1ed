/* From text to the compiled form: recursive descent over the precedence of N1 section 6.9. */
#include <stdio.h>

#include "base/limits.h"
#include "fhirpath/datetime.h"
#include "fhirpath/engine.h"
#include "fhirpath/units.h"

enum {
    PARTS_MAX = 4096, /* steps of one path, arguments of one call */
    TREE_DEPTH_MAX =
        LIMIT_FHIRPATH_DEPTH * 4, /* a left-leaning chain of operators is deeper than its text nests */
};

struct parser {
    struct lexer lexer;
    struct token token; /* looked at, not yet taken */
    unsigned depth;
};

struct parts {
    const struct expression **at;
    uint32_t count;
    uint32_t capacity;
};

static bool parse_expression(struct parser *parser, unsigned level, struct expression **out,
                             struct error *error);

static const struct {
    const char *text;
    uint8_t operation;
    uint8_t level;
} operators[] = {
    { "*", OPERATION_MULTIPLY, 11 },    { "/", OPERATION_DIVIDE, 11 },
    { "div", OPERATION_DIV, 11 },       { "mod", OPERATION_MOD, 11 },
    { "+", OPERATION_ADD, 10 },         { "-", OPERATION_SUBTRACT, 10 },
    { "&", OPERATION_CONCATENATE, 10 }, { "is", OPERATION_IS, 9 },
    { "as", OPERATION_AS, 9 },          { "|", OPERATION_UNION, 8 },
    { "<", OPERATION_LESS, 7 },         { "<=", OPERATION_LESS_EQUAL, 7 },
    { ">", OPERATION_GREATER, 7 },      { ">=", OPERATION_GREATER_EQUAL, 7 },
    { "=", OPERATION_EQUAL, 6 },        { "!=", OPERATION_NOT_EQUAL, 6 },
    { "~", OPERATION_EQUIVALENT, 6 },   { "!~", OPERATION_NOT_EQUIVALENT, 6 },
    { "in", OPERATION_IN, 5 },          { "contains", OPERATION_CONTAINS, 5 },
    { "and", OPERATION_AND, 4 },        { "or", OPERATION_OR, 3 },
    { "xor", OPERATION_XOR, 3 },        { "implies", OPERATION_IMPLIES, 2 },
};
enum { OPERATION_LEVEL_LOWEST = 2, OPERATION_LEVEL_HIGHEST = 11 };

static bool fail_at(const struct parser *parser, const char *what, struct error *error)
{
    return syntax_error(parser->lexer.source, parser->token.at, what, error);
}

static bool advance(struct parser *parser, struct error *error)
{
    return lexer_next(&parser->lexer, &parser->token, error);
}

static bool is_symbol(const struct parser *parser, const char *text)
{
    return parser->token.kind == TOKEN_SYMBOL && str_equal_cstr(parser->token.text, text);
}

static bool take_symbol(struct parser *parser, const char *text, struct error *error)
{
    if (!is_symbol(parser, text)) {
        char what[64];
        (void)snprintf(what, sizeof what, "'%s' is missing", text);
        return fail_at(parser, what, error);
    }
    return advance(parser, error);
}

static struct expression *make(struct parser *parser, enum expression_kind kind, struct error *error)
{
    struct expression *expression = ARENA_NEW(parser->lexer.arena, struct expression);
    if (expression == NULL) {
        (void)FAIL(error, ERROR_TOO_LARGE, "memory for the expression is used up");
        return NULL;
    }
    expression->kind = (uint8_t)kind;
    expression->at = (uint32_t)parser->token.at;
    expression->depth = 1;
    return expression;
}

static bool parts_add(struct parser *parser, struct parts *parts, const struct expression *part,
                      struct error *error)
{
    if (parts->count == parts->capacity) {
        uint32_t capacity = parts->capacity == 0 ? 4 : parts->capacity * 2;
        const struct expression **grown =
            arena_alloc(parser->lexer.arena, capacity * sizeof(struct expression *));
        if (grown == NULL || capacity > PARTS_MAX) {
            return FAIL(error, ERROR_TOO_LARGE, "the expression has too many parts");
        }
        if (parts->count > 0) {
            memcpy(grown, parts->at, parts->count * sizeof(struct expression *));
        }
        parts->at = grown;
        parts->capacity = capacity;
    }
    parts->at[parts->count++] = part;
    return true;
}

/* Hangs the parts under the expression and keeps the depth of the tree. */
static bool adopt(struct parser *parser, struct expression *expression, struct parts parts,
                  struct error *error)
{
    expression->parts = parts.at;
    expression->parts_count = parts.count;
    for (uint32_t i = 0; i < parts.count; i++) {
        if (parts.at[i]->depth >= expression->depth) {
            expression->depth = (uint16_t)(parts.at[i]->depth + 1);
        }
    }
    if (expression->depth > TREE_DEPTH_MAX) {
        (void)parser;
        return FAIL(error, ERROR_TOO_LARGE, "the expression is nested too deep");
    }
    return true;
}

static bool find_operator(const struct parser *parser, size_t *found)
{
    if (parser->token.kind != TOKEN_SYMBOL && parser->token.kind != TOKEN_WORD) {
        return false;
    }
    for (size_t i = 0; i < sizeof operators / sizeof operators[0]; i++) {
        if (str_equal_cstr(parser->token.text, operators[i].text)) {
            *found = i;
            return true;
        }
    }
    return false;
}

/* identifier ('.' identifier)?: the second part only when no call follows, so that
 * `x is Quantity.not()` asks `not` of nothing and is refused by its type, never misread. */
static bool read_type_name(struct parser *parser, struct expression *expression, struct error *error)
{
    if (parser->token.kind != TOKEN_WORD && parser->token.kind != TOKEN_DELIMITED) {
        return fail_at(parser, "a type name is missing", error);
    }
    expression->name = parser->token.text;
    if (!advance(parser, error)) {
        return false;
    }
    if (!is_symbol(parser, ".")) {
        return true;
    }
    if (!advance(parser, error)) {
        return false;
    }
    if (parser->token.kind != TOKEN_WORD && parser->token.kind != TOKEN_DELIMITED) {
        return fail_at(parser, "a type name is missing", error);
    }
    expression->type_space = expression->name;
    expression->name = parser->token.text;
    return advance(parser, error);
}

static bool parse_type_name(struct parser *parser, struct expression *expression, struct error *error)
{
    if (!read_type_name(parser, expression, error)) {
        return false;
    }
    type_bind(expression);
    return true;
}

/* N1 2.1.6: the unit of a number: a calendar word, or a UCUM code in quotes. */
static bool parse_unit(struct parser *parser, struct expression *literal, struct error *error)
{
    struct fhirpath_quantity quantity = { 0 };
    if (parser->token.kind == TOKEN_STRING) {
        quantity.unit = parser->token.text;
    } else if (parser->token.kind != TOKEN_WORD || !units_calendar_word(parser->token.text, &quantity.unit)) {
        return true;
    } else {
        quantity.calendar = true;
    }
    quantity.value = literal->literal.kind == FHIRPATH_INTEGER
                         ? decimal_from_integer(literal->literal.integer)
                         : literal->literal.decimal;
    struct fhirpath_quantity *kept = ARENA_NEW(parser->lexer.arena, struct fhirpath_quantity);
    if (kept == NULL) {
        return FAIL(error, ERROR_TOO_LARGE, "memory for the expression is used up");
    }
    *kept = quantity;
    literal->literal = (struct fhirpath_item){ .kind = FHIRPATH_QUANTITY, .quantity = kept };
    return advance(parser, error);
}

static bool parse_number(struct parser *parser, struct expression *literal, struct error *error)
{
    struct str digits = parser->token.text;
    struct decimal value = { 0 };
    if (!decimal_parse(digits, &value)) {
        return fail_at(parser, "the number has too many digits", error);
    }
    int64_t integer = 0;
    if (str_find_char(digits, '.') == digits.len && decimal_to_integer(value, &integer) &&
        integer <= INT32_MAX) {
        literal->literal = (struct fhirpath_item){ .kind = FHIRPATH_INTEGER, .integer = integer };
    } else {
        literal->literal = (struct fhirpath_item){ .kind = FHIRPATH_DECIMAL, .decimal = value };
    }
    return advance(parser, error) && parse_unit(parser, literal, error);
}

static bool parse_moment(struct parser *parser, struct expression *literal, struct error *error)
{
    enum fhirpath_kind kind = parser->token.kind == TOKEN_DATE       ? FHIRPATH_DATE
                              : parser->token.kind == TOKEN_DATETIME ? FHIRPATH_DATETIME
                                                                     : FHIRPATH_TIME;
    struct fhirpath_time time = { 0 };
    if (!datetime_parse(parser->token.text, kind, &time)) {
        return fail_at(parser, "this is no date or time", error);
    }
    literal->literal = (struct fhirpath_item){ .kind = (uint8_t)kind, .time = time };
    if (kind == FHIRPATH_TIME && time.has_zone) {
        literal->kind = EXPRESSION_REFUSED; /* N1 2.1.5.2: a Time has no zone */
    }
    return advance(parser, error);
}

static bool parse_dollar(struct parser *parser, struct expression *expression, struct error *error)
{
    if (str_equal(parser->token.text, STR("this"))) {
        expression->kind = EXPRESSION_THIS;
    } else if (str_equal(parser->token.text, STR("index"))) {
        expression->kind = EXPRESSION_INDEX;
    } else if (str_equal(parser->token.text, STR("total"))) {
        expression->kind = EXPRESSION_TOTAL;
    } else {
        return fail_at(parser, "only $this, $index and $total exist", error);
    }
    return advance(parser, error);
}

static bool parse_type_argument(struct parser *parser, struct expression *call, struct error *error)
{
    if (call->function->arguments_min == 0 && is_symbol(parser, ")")) {
        call->name = STR_NONE;
        return advance(parser, error);
    }
    return parse_type_name(parser, call, error) && take_symbol(parser, ")", error);
}

/* `key desc` is what `-key` is; `asc` says what is so without it. */
static bool parse_direction(struct parser *parser, struct expression **key, struct error *error)
{
    bool is_descending = parser->token.kind == TOKEN_WORD && str_equal(parser->token.text, STR("desc"));
    if (!is_descending) {
        bool is_ascending = parser->token.kind == TOKEN_WORD && str_equal(parser->token.text, STR("asc"));
        return !is_ascending || advance(parser, error);
    }
    struct expression *turned = make(parser, EXPRESSION_NEGATE, error);
    struct parts parts = { 0 };
    if (turned == NULL || !advance(parser, error) || !parts_add(parser, &parts, *key, error)) {
        return false;
    }
    *key = turned;
    return adopt(parser, turned, parts, error);
}

static bool parse_arguments(struct parser *parser, bool sorts, struct parts *parts, struct error *error)
{
    if (is_symbol(parser, ")")) {
        return advance(parser, error);
    }
    for (;;) {
        struct expression *argument = NULL;
        if (!parse_expression(parser, OPERATION_LEVEL_LOWEST, &argument, error) ||
            (sorts && !parse_direction(parser, &argument, error)) ||
            !parts_add(parser, parts, argument, error)) {
            return false;
        }
        if (!is_symbol(parser, ",")) {
            return take_symbol(parser, ")", error);
        }
        if (!advance(parser, error)) {
            return false;
        }
    }
}

/* name(…) : the name is taken, the token is '('. */
static bool parse_call(struct parser *parser, struct expression *call, struct str name, struct error *error)
{
    call->kind = EXPRESSION_CALL;
    call->name = name;
    call->function = function_find(name);
    struct parts parts = { 0 };
    if (!advance(parser, error)) {
        return false;
    }
    if (call->function != NULL && (call->function->flags & FUNCTION_TYPE) != 0) {
        return parse_type_argument(parser, call, error);
    }
    bool sorts = call->function != NULL && (call->function->flags & FUNCTION_SORT) != 0;
    if (!parse_arguments(parser, sorts, &parts, error) || !adopt(parser, call, parts, error)) {
        return false;
    }
    if (call->function == NULL) {
        return FAIL(error, ERROR_INPUT, "FHIRPath, column %u: no function '%.*s'", call->at + 1,
                    STR_FMT(str_slice(name, 0, 64)));
    }
    if (call->parts_count < call->function->arguments_min ||
        call->parts_count > call->function->arguments_max) {
        return FAIL(error, ERROR_INPUT, "FHIRPath: %s() takes %u to %u arguments", call->function->name,
                    call->function->arguments_min, call->function->arguments_max);
    }
    return true;
}

/* A member or a call. */
static bool parse_invocation(struct parser *parser, struct expression **out, struct error *error)
{
    struct expression *step = make(parser, EXPRESSION_MEMBER, error);
    if (step == NULL) {
        return false;
    }
    if (parser->token.kind != TOKEN_WORD && parser->token.kind != TOKEN_DELIMITED) {
        return fail_at(parser, "a name is missing", error);
    }
    struct str name = parser->token.text;
    if (!advance(parser, error)) {
        return false;
    }
    if (is_symbol(parser, "(")) {
        if (!parse_call(parser, step, name, error)) {
            return false;
        }
    }
    if (step->kind == EXPRESSION_MEMBER) {
        step->name = name;
        if (name.len > 0 && name.at[0] >= 'A' && name.at[0] <= 'Z') {
            type_bind(step); /* a path may begin with the name of a type */
        }
    }
    *out = step;
    return true;
}

static bool parse_parentheses(struct parser *parser, struct expression **out, struct error *error)
{
    return advance(parser, error) && parse_expression(parser, OPERATION_LEVEL_LOWEST, out, error) &&
           take_symbol(parser, ")", error);
}

/* Words that the grammar keeps for operators; is, as, in, contains may be names. */
static bool is_reserved(struct str word)
{
    static const char *const reserved[] = { "and", "or", "xor", "implies", "div", "mod" };
    for (size_t i = 0; i < sizeof reserved / sizeof reserved[0]; i++) {
        if (str_equal_cstr(word, reserved[i])) {
            return true;
        }
    }
    return false;
}

static bool parse_word(struct parser *parser, struct expression **out, struct error *error)
{
    if (is_reserved(parser->token.text)) {
        return fail_at(parser, "an operator stands where a value must be", error);
    }
    bool is_true = str_equal(parser->token.text, STR("true"));
    if (!is_true && !str_equal(parser->token.text, STR("false"))) {
        return parse_invocation(parser, out, error);
    }
    struct expression *literal = make(parser, EXPRESSION_LITERAL, error);
    if (literal == NULL) {
        return false;
    }
    literal->literal = (struct fhirpath_item){ .kind = FHIRPATH_BOOLEAN, .boolean = is_true };
    *out = literal;
    return advance(parser, error);
}

static bool parse_symbol_term(struct parser *parser, struct expression **out, struct error *error)
{
    if (is_symbol(parser, "(")) {
        return parse_parentheses(parser, out, error);
    }
    if (!is_symbol(parser, "{")) {
        return fail_at(parser, "an expression is missing", error);
    }
    *out = make(parser, EXPRESSION_EMPTY, error);
    return *out != NULL && advance(parser, error) && take_symbol(parser, "}", error);
}

static bool parse_term(struct parser *parser, struct expression **out, struct error *error)
{
    struct expression *term = NULL;
    switch (parser->token.kind) {
    case TOKEN_WORD:
        return parse_word(parser, out, error);
    case TOKEN_DELIMITED:
        return parse_invocation(parser, out, error);
    case TOKEN_SYMBOL:
        return parse_symbol_term(parser, out, error);
    case TOKEN_END:
        return fail_at(parser, "the expression is not complete", error);
    case TOKEN_STRING:
    case TOKEN_NUMBER:
    case TOKEN_DATE:
    case TOKEN_DATETIME:
    case TOKEN_TIME:
    case TOKEN_VARIABLE:
    case TOKEN_DOLLAR:
        break;
    }
    term = make(parser, EXPRESSION_LITERAL, error);
    if (term == NULL) {
        return false;
    }
    *out = term;
    if (parser->token.kind == TOKEN_NUMBER) {
        return parse_number(parser, term, error);
    }
    if (parser->token.kind == TOKEN_STRING) {
        term->literal = (struct fhirpath_item){ .kind = FHIRPATH_STRING, .string = parser->token.text };
        return advance(parser, error);
    }
    if (parser->token.kind == TOKEN_VARIABLE) {
        term->kind = EXPRESSION_VARIABLE;
        term->name = parser->token.text;
        return advance(parser, error);
    }
    return parser->token.kind == TOKEN_DOLLAR ? parse_dollar(parser, term, error)
                                              : parse_moment(parser, term, error);
}

/* One step after a term: '.' invocation or '[' expression ']'. *out stays NULL when there is none. */
static bool parse_step(struct parser *parser, struct expression **out, struct error *error)
{
    if (is_symbol(parser, ".")) {
        return advance(parser, error) && parse_invocation(parser, out, error);
    }
    if (!is_symbol(parser, "[")) {
        return true;
    }
    struct expression *item = make(parser, EXPRESSION_ITEM, error);
    struct expression *index = NULL;
    struct parts parts = { 0 };
    if (item == NULL || !advance(parser, error) ||
        !parse_expression(parser, OPERATION_LEVEL_LOWEST, &index, error) ||
        !parts_add(parser, &parts, index, error) || !adopt(parser, item, parts, error)) {
        return false;
    }
    *out = item;
    return take_symbol(parser, "]", error);
}

static bool parse_path(struct parser *parser, struct expression **out, struct error *error)
{
    struct expression *path = make(parser, EXPRESSION_PATH, error);
    struct expression *part = NULL;
    struct parts parts = { 0 };
    if (path == NULL || !parse_term(parser, &part, error)) {
        return false;
    }
    struct expression *head = part;
    bool is_step = head->kind == EXPRESSION_MEMBER || head->kind == EXPRESSION_CALL;
    do {
        if (!parts_add(parser, &parts, part, error)) {
            return false;
        }
        part = NULL;
        if (!parse_step(parser, &part, error)) {
            return false;
        }
    } while (part != NULL);
    if (parts.count == 1 && !is_step) {
        *out = head;
        return true;
    }
    *out = path;
    return adopt(parser, path, parts, error);
}

static bool parse_unary(struct parser *parser, struct expression **out, struct error *error)
{
    bool is_minus = is_symbol(parser, "-");
    if (!is_minus && !is_symbol(parser, "+")) {
        return parse_path(parser, out, error);
    }
    if (++parser->depth > LIMIT_FHIRPATH_DEPTH) {
        return FAIL(error, ERROR_TOO_LARGE, "the expression is nested too deep");
    }
    struct expression *unary = make(parser, is_minus ? EXPRESSION_NEGATE : EXPRESSION_PLUS, error);
    struct expression *operand = NULL;
    struct parts parts = { 0 };
    if (unary == NULL || !advance(parser, error) || !parse_unary(parser, &operand, error) ||
        !parts_add(parser, &parts, operand, error)) {
        return false;
    }
    parser->depth--;
    *out = unary;
    return adopt(parser, unary, parts, error);
}

static bool parse_type_operator(struct parser *parser, struct expression **left, struct error *error)
{
    struct expression *type = make(parser, EXPRESSION_TYPE, error);
    struct parts parts = { 0 };
    if (type == NULL) {
        return false;
    }
    type->operation = str_equal(parser->token.text, STR("is")) ? OPERATION_IS : OPERATION_AS;
    if (!advance(parser, error) || !parse_type_name(parser, type, error) ||
        !parts_add(parser, &parts, *left, error)) {
        return false;
    }
    *left = type;
    return adopt(parser, type, parts, error);
}

static bool parse_union(struct parser *parser, struct expression **left, struct error *error)
{
    struct expression *all = make(parser, EXPRESSION_UNION, error);
    struct parts parts = { 0 };
    if (all == NULL || !parts_add(parser, &parts, *left, error)) {
        return false;
    }
    while (is_symbol(parser, "|")) {
        struct expression *part = NULL;
        if (!advance(parser, error) || !parse_expression(parser, 9, &part, error) ||
            !parts_add(parser, &parts, part, error)) {
            return false;
        }
    }
    *left = all;
    return adopt(parser, all, parts, error);
}

static bool parse_binary(struct parser *parser, size_t found, struct expression **left, struct error *error)
{
    struct expression *binary = make(parser, EXPRESSION_BINARY, error);
    struct expression *right = NULL;
    struct parts parts = { 0 };
    if (binary == NULL || !advance(parser, error) ||
        !parse_expression(parser, operators[found].level + 1u, &right, error) ||
        !parts_add(parser, &parts, *left, error) || !parts_add(parser, &parts, right, error)) {
        return false;
    }
    binary->operation = operators[found].operation;
    *left = binary;
    return adopt(parser, binary, parts, error);
}

/* Precedence climbing: operators of `level` and above. */
static bool parse_expression(struct parser *parser, unsigned level, struct expression **out,
                             struct error *error)
{
    if (++parser->depth > LIMIT_FHIRPATH_DEPTH) {
        return FAIL(error, ERROR_TOO_LARGE, "the expression is nested too deep");
    }
    struct expression *left = NULL;
    if (!parse_unary(parser, &left, error)) {
        return false;
    }
    unsigned ceiling = OPERATION_LEVEL_HIGHEST;
    size_t found = 0;
    while (find_operator(parser, &found) && operators[found].level >= level &&
           operators[found].level <= ceiling) {
        bool ok = operators[found].level == 9   ? parse_type_operator(parser, &left, error)
                  : operators[found].level == 8 ? parse_union(parser, &left, error)
                                                : parse_binary(parser, found, &left, error);
        if (!ok) {
            return false;
        }
    }
    parser->depth--;
    *out = left;
    return true;
}

struct fhirpath *fhirpath_compile(struct arena *arena, struct str expression, struct error *error)
{
    assert(arena != NULL);
    if (expression.len > LIMIT_FHIRPATH_BYTES) {
        (void)FAIL(error, ERROR_TOO_LARGE, "the expression is longer than %d bytes", LIMIT_FHIRPATH_BYTES);
        return NULL;
    }
    if (!str_is_utf8(expression)) {
        (void)FAIL(error, ERROR_STRUCTURE, "FHIRPath syntax: the expression is not UTF-8");
        return NULL;
    }
    struct fhirpath *path = ARENA_NEW(arena, struct fhirpath);
    struct str source = arena_dup(arena, expression);
    if (path == NULL || (source.at == NULL && expression.len > 0)) {
        (void)FAIL(error, ERROR_TOO_LARGE, "memory for the expression is used up");
        return NULL;
    }
    struct parser parser = { .lexer = { .arena = arena, .source = source } };
    struct expression *root = NULL;
    if (!advance(&parser, error) || !parse_expression(&parser, OPERATION_LEVEL_LOWEST, &root, error)) {
        return NULL;
    }
    if (parser.token.kind != TOKEN_END) {
        (void)fail_at(&parser, "the expression should end here", error);
        return NULL;
    }
    path->source = source;
    path->root = root;
    return path;
}
