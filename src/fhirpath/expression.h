/* expression.h — inside of src/fhirpath: tokens, and the compiled form. An expression is a tree whose
 * paths are flat: `a.b.f(x)[0]` is one EXPRESSION_PATH with four steps, so that a long path costs no
 * stack. Everything lives in the arena of compile and is read-only afterwards. */
#ifndef SHANHAI_FHIRPATH_EXPRESSION_H
#define SHANHAI_FHIRPATH_EXPRESSION_H

#include "fhirpath/fhirpath.h"

struct function; /* engine.h */

enum token_kind {
    TOKEN_END,
    TOKEN_SYMBOL,    /* text is the operation or bracket */
    TOKEN_WORD,      /* identifier or keyword */
    TOKEN_DELIMITED, /* `identifier`, decoded */
    TOKEN_STRING,    /* decoded */
    TOKEN_NUMBER,    /* integer or decimal digits */
    TOKEN_DATE,      /* after @, date */
    TOKEN_DATETIME,  /* after @, with T */
    TOKEN_TIME,      /* after @T */
    TOKEN_VARIABLE,  /* name after % */
    TOKEN_DOLLAR,    /* name after $ */
};

struct token {
    enum token_kind kind;
    struct str text;
    size_t at; /* offset in the expression */
};

struct lexer {
    struct arena *arena;
    struct str source;
    size_t at;
};

/* The next token; at the end TOKEN_END again and again. */
bool lexer_next(struct lexer *lexer, struct token *token, struct error *error) MUST_CHECK;

/* A syntax error with line and column of `at` in `source`. Always false. */
bool syntax_error(struct str source, size_t at, const char *what, struct error *error);

enum expression_kind {
    EXPRESSION_EMPTY,   /* {} */
    EXPRESSION_LITERAL, /* literal */
    EXPRESSION_REFUSED, /* a literal that is well formed and means nothing: an error when evaluated */
    EXPRESSION_THIS,
    EXPRESSION_INDEX,
    EXPRESSION_TOTAL,
    EXPRESSION_VARIABLE, /* name */
    EXPRESSION_PATH,     /* parts: steps, the first a head */
    EXPRESSION_MEMBER,   /* step: name */
    EXPRESSION_CALL,     /* step: function, parts are the arguments */
    EXPRESSION_ITEM,     /* step: [parts[0]] */
    EXPRESSION_NEGATE,
    EXPRESSION_PLUS,   /* unary */
    EXPRESSION_BINARY, /* operation, parts[0] and parts[1] */
    EXPRESSION_UNION,  /* parts */
    EXPRESSION_TYPE,   /* operation is OPERATION_IS or _AS, parts[0], type_space, name */
};

enum operation {
    OPERATION_MULTIPLY,
    OPERATION_DIVIDE,
    OPERATION_DIV,
    OPERATION_MOD,
    OPERATION_ADD,
    OPERATION_SUBTRACT,
    OPERATION_CONCATENATE,
    OPERATION_IS,
    OPERATION_AS,
    OPERATION_UNION,
    OPERATION_LESS,
    OPERATION_LESS_EQUAL,
    OPERATION_GREATER,
    OPERATION_GREATER_EQUAL,
    OPERATION_EQUAL,
    OPERATION_NOT_EQUAL,
    OPERATION_EQUIVALENT,
    OPERATION_NOT_EQUIVALENT,
    OPERATION_IN,
    OPERATION_CONTAINS,
    OPERATION_AND,
    OPERATION_OR,
    OPERATION_XOR,
    OPERATION_IMPLIES,
};

struct expression {
    uint8_t kind;      /* enum expression_kind */
    uint8_t operation; /* enum operation */
    uint16_t depth;
    uint32_t parts_count;
    uint32_t at;           /* offset in the source, for messages */
    uint32_t branch;       /* EXPRESSION_PATH: of the trunk (trunk.c); 0: none */
    uint32_t branch_parts; /* so many parts it stands for */
    const struct expression **parts;
    const struct function *function;
    struct str name;
    struct str type_space;         /* "System", "FHIR" or absent */
    const struct model_type *type; /* the FHIR type that `name` names (in FHIR's space), or NULL */
    bool is_system_type;           /* `name` may be a System type */
    struct fhirpath_item literal;
};

struct fhirpath {
    struct str source;
    const struct expression *root;
    const struct fhirpath_trunk *trunk; /* NULL: on none */
    bool hollow;                        /* nothing where all its branches are bare */
};

#endif
