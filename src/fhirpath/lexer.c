/* Tokens of FHIRPath (N1 section 6 and the grammar in its appendix B). */
#include "base/limits.h"
#include "fhirpath/expression.h"
#include "fhirpath/text.h"

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static char peek(const struct lexer *lexer, size_t ahead)
{
    return lexer->at + ahead < lexer->source.len ? lexer->source.at[lexer->at + ahead] : '\0';
}

bool syntax_error(struct str source, size_t at, const char *what, struct error *error)
{
    size_t line = 1;
    size_t column = 1;
    for (size_t i = 0; i < at && i < source.len; i++) {
        bool is_newline = source.at[i] == '\n';
        line += is_newline ? 1 : 0;
        column = is_newline ? 1 : column + 1;
    }
    return FAIL(error, ERROR_STRUCTURE, "FHIRPath syntax, line %zu column %zu: %s", line, column, what);
}

/* White space and comments. */
static bool skip_blanks(struct lexer *lexer, struct error *error)
{
    for (;;) {
        char c = peek(lexer, 0);
        if (c == ' ' || c == '\t' || c == '\r' || c == '\n') {
            lexer->at++;
        } else if (c == '/' && peek(lexer, 1) == '/') {
            lexer->at += str_find_char(str_skip(lexer->source, lexer->at), '\n');
        } else if (c == '/' && peek(lexer, 1) == '*') {
            size_t end = str_find(str_skip(lexer->source, lexer->at + 2), STR("*/"));
            if (lexer->at + 2 + end >= lexer->source.len) {
                return syntax_error(lexer->source, lexer->at, "the comment has no end", error);
            }
            lexer->at += 2 + end + 2;
        } else {
            return true;
        }
    }
}

static bool read_hex4(const struct lexer *lexer, size_t at, uint32_t *code)
{
    uint32_t value = 0;
    for (size_t i = 0; i < 4; i++) {
        if (at + i >= lexer->source.len) {
            return false;
        }
        char c = lexer->source.at[at + i];
        uint32_t digit = is_digit(c)              ? (uint32_t)(c - '0')
                         : (c >= 'a' && c <= 'f') ? (uint32_t)(c - 'a') + 10
                         : (c >= 'A' && c <= 'F') ? (uint32_t)(c - 'A') + 10
                                                  : 16;
        if (digit > 15) {
            return false;
        }
        value = value << 4 | digit;
    }
    *code = value;
    return true;
}

/* \uXXXX, a pair of them for what lies beyond the first plane. lexer->at is on the 'u'. */
static bool read_unicode(struct lexer *lexer, char *out, size_t *len, struct error *error)
{
    uint32_t code = 0;
    if (!read_hex4(lexer, lexer->at + 1, &code)) {
        return syntax_error(lexer->source, lexer->at, "\\u needs four hexadecimal digits", error);
    }
    lexer->at += 4;
    if (code >= 0xD800 && code < 0xDC00) {
        uint32_t low = 0;
        if (peek(lexer, 1) != '\\' || peek(lexer, 2) != 'u' || !read_hex4(lexer, lexer->at + 3, &low) ||
            low < 0xDC00 || low > 0xDFFF) {
            return syntax_error(lexer->source, lexer->at, "half of a surrogate pair", error);
        }
        lexer->at += 6;
        code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    } else if (code >= 0xDC00 && code <= 0xDFFF) {
        return syntax_error(lexer->source, lexer->at, "half of a surrogate pair", error);
    }
    *len += str_put_utf8(code, out + *len);
    return true;
}

/* Text between two `quote` characters, escapes decoded. N1 4.1.2: the backslash before a character that
 * needs no escape is dropped. */
static bool read_quoted(struct lexer *lexer, char quote, struct str *text, struct error *error)
{
    size_t start = lexer->at;
    size_t end = start + 1;
    while (end < lexer->source.len && lexer->source.at[end] != quote) {
        end += lexer->source.at[end] == '\\' ? 2 : 1;
    }
    if (end >= lexer->source.len) {
        return syntax_error(lexer->source, start, "the quoted text has no end", error);
    }
    char *out = arena_alloc(lexer->arena, end - start);
    if (out == NULL) {
        return FAIL(error, ERROR_TOO_LARGE, "memory for the expression is used up");
    }
    size_t len = 0;
    for (lexer->at++; lexer->at < end; lexer->at++) {
        char c = peek(lexer, 0);
        if (c != '\\') {
            out[len++] = c;
            continue;
        }
        lexer->at++;
        c = peek(lexer, 0);
        if (c == 'u') {
            if (!read_unicode(lexer, out, &len, error)) {
                return false;
            }
            continue;
        }
        out[len++] = c == 'n' ? '\n' : c == 'r' ? '\r' : c == 't' ? '\t' : c == 'f' ? '\f' : c;
    }
    lexer->at++;
    *text = (struct str){ out, len };
    return true;
}

static void read_word(struct lexer *lexer, struct str *text)
{
    size_t start = lexer->at;
    while (is_letter(peek(lexer, 0)) || is_digit(peek(lexer, 0))) {
        lexer->at++;
    }
    *text = str_slice(lexer->source, start, lexer->at);
}

/* Characters of a time: digits and colons, a fraction, and a zone. */
static void skip_clock(struct lexer *lexer)
{
    while (is_digit(peek(lexer, 0)) || (peek(lexer, 0) == ':' && is_digit(peek(lexer, 1)))) {
        lexer->at++;
    }
    if (peek(lexer, 0) == '.' && is_digit(peek(lexer, 1))) {
        for (lexer->at++; is_digit(peek(lexer, 0)); lexer->at++) {}
    }
    if (peek(lexer, 0) == 'Z') {
        lexer->at++;
    } else if ((peek(lexer, 0) == '+' || peek(lexer, 0) == '-') && is_digit(peek(lexer, 1)) &&
               is_digit(peek(lexer, 2)) && peek(lexer, 3) == ':' && is_digit(peek(lexer, 4)) &&
               is_digit(peek(lexer, 5))) {
        lexer->at += 6;
    }
}

static bool read_moment(struct lexer *lexer, struct token *token, struct error *error)
{
    lexer->at++; /* @ */
    size_t start = lexer->at;
    token->kind = TOKEN_DATE;
    if (peek(lexer, 0) == 'T') {
        token->kind = TOKEN_TIME;
        start = ++lexer->at;
        skip_clock(lexer);
    } else {
        while (is_digit(peek(lexer, 0)) || (peek(lexer, 0) == '-' && is_digit(peek(lexer, 1)))) {
            lexer->at++;
        }
        if (peek(lexer, 0) == 'T') {
            token->kind = TOKEN_DATETIME;
            lexer->at++;
            skip_clock(lexer);
        }
    }
    token->text = str_slice(lexer->source, start, lexer->at);
    return token->text.len > 0 ||
           syntax_error(lexer->source, token->at, "a date or time must follow @", error);
}

static void read_number(struct lexer *lexer, struct token *token)
{
    token->kind = TOKEN_NUMBER;
    while (is_digit(peek(lexer, 0))) {
        lexer->at++;
    }
    if (peek(lexer, 0) == '.' && is_digit(peek(lexer, 1))) {
        for (lexer->at++; is_digit(peek(lexer, 0)); lexer->at++) {}
    }
    token->text = str_slice(lexer->source, token->at, lexer->at);
}

static bool read_variable(struct lexer *lexer, struct token *token, struct error *error)
{
    lexer->at++; /* % */
    token->kind = TOKEN_VARIABLE;
    char c = peek(lexer, 0);
    if (c == '`' || c == '\'' || c == '"') {
        return read_quoted(lexer, c, &token->text, error);
    }
    read_word(lexer, &token->text);
    return token->text.len > 0 || syntax_error(lexer->source, token->at, "a name must follow %", error);
}

static bool read_symbol(struct lexer *lexer, struct token *token, struct error *error)
{
    static const char *const symbols[] = { "<=", ">=", "!=", "!~", ".", "(", ")", "[", "]", "{", "}",
                                           ",",  "+",  "-",  "*",  "/", "&", "|", "<", ">", "=", "~" };
    struct str rest = str_skip(lexer->source, lexer->at);
    for (size_t i = 0; i < sizeof symbols / sizeof symbols[0]; i++) {
        if (str_starts_with(rest, str_from_cstr(symbols[i]))) {
            token->kind = TOKEN_SYMBOL;
            token->text = str_slice(rest, 0, strlen(symbols[i]));
            lexer->at += token->text.len;
            return true;
        }
    }
    return syntax_error(lexer->source, lexer->at, "this character has no meaning here", error);
}

bool lexer_next(struct lexer *lexer, struct token *token, struct error *error)
{
    if (!skip_blanks(lexer, error)) {
        return false;
    }
    *token = (struct token){ .kind = TOKEN_END, .at = lexer->at };
    if (lexer->at >= lexer->source.len) {
        return true;
    }
    char c = peek(lexer, 0);
    if (is_letter(c)) {
        token->kind = TOKEN_WORD;
        read_word(lexer, &token->text);
        return true;
    }
    if (is_digit(c)) {
        read_number(lexer, token);
        return true;
    }
    if (c == '\'' || c == '`') {
        token->kind = c == '`' ? TOKEN_DELIMITED : TOKEN_STRING;
        return read_quoted(lexer, c, &token->text, error);
    }
    if (c == '@') {
        return read_moment(lexer, token, error);
    }
    if (c == '%') {
        return read_variable(lexer, token, error);
    }
    if (c == '$') {
        lexer->at++;
        token->kind = TOKEN_DOLLAR;
        read_word(lexer, &token->text);
        return true;
    }
    return read_symbol(lexer, token, error);
}
