/* json.h — a lossless JSON tree in an arena (RFC 8259). Numbers keep their digits (FHIR decimals: 1.00
 * is not 1.0), strings keep their escapes until somebody asks for the text, members keep their order.
 * The tree points into the source text: the source must live as long as the tree.
 *
 * Values of an array and members of an object are linked lists (first … next), so that a tree can be
 * built and changed in place. One thread changes; any thread reads. */
#ifndef SHANHAI_JSON_JSON_H
#define SHANHAI_JSON_JSON_H

#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"

enum json_kind { JSON_NULL, JSON_FALSE, JSON_TRUE, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

struct json {
    struct json *next; /* sibling in the array or object */
    struct str name;   /* as a member: its name, decoded; else absent */
    union {
        struct str raw; /* JSON_NUMBER: its digits; JSON_STRING: between the quotes, escapes as they came */
        struct {
            struct json *first;
            struct json *last;
        };
    };
    uint32_t count; /* of values or members */
    uint8_t kind;   /* enum json_kind */
    bool escaped;   /* JSON_STRING: raw has a backslash */
};

/* Reads one value with nothing but white space around it. Refuses what RFC 8259 refuses, ill-formed
 * UTF-8, an unpaired surrogate escape, and nesting over LIMIT_JSON_DEPTH (ERROR_STRUCTURE). Accepts
 * \u0000 (the FHIR validator refuses it) and duplicate names: json_member finds the first, who needs strictness asks
 * json_has_duplicates. The error's text has line and column, never content. */
bool json_read(struct arena *arena, struct str text, struct json **value, struct error *error) MUST_CHECK;

/* ---- looking ---- */

/* Member of an object, or NULL. NULL, or a value that is no object, gives NULL: chains need no checks. */
struct json *json_member(const struct json *object, struct str name);
#define JSON_GET(object, literal) json_member((object), STR(literal))

/* Value at a position of an array, or NULL. */
struct json *json_at(const struct json *array, size_t index);

/* The text of a string with escapes decoded (arena is used only when there are any); STR_NONE for NULL
 * or another kind, or when memory ran out. */
struct str json_text(struct arena *arena, const struct json *value);

/* Whether the value is a string that equals `text` after decoding. */
bool json_equals_text(const struct json *value, struct str text);

/* Member that is a string: its text, else STR_NONE. */
struct str json_member_text(struct arena *arena, const struct json *object, struct str name);
#define JSON_TEXT(arena, object, literal) json_member_text((arena), (object), STR(literal))

bool json_is_true(const struct json *value);
bool json_has_duplicates(const struct json *object);

/* The first child of an array or object; NULL for all else, absent too. */
static inline struct json *json_first(const struct json *parent)
{
    return parent == NULL || parent->kind < JSON_ARRAY ? NULL : parent->first;
}

#define JSON_EACH(child, parent)                                                                             \
    for (struct json *child = json_first(parent); child != NULL; child = child->next)

/* ---- building: every function gives NULL when the arena is used up, and takes NULL as "failed before",
 * so that a tree is built without a check at each step and looked at once at the end ---- */

struct json *json_new(struct arena *arena, enum json_kind kind);
struct json *json_new_string(struct arena *arena,
                             struct str text); /* text as people read it; escaped when needed */
struct json *json_new_number(struct arena *arena, struct str digits);
struct json *json_new_integer(struct arena *arena, int64_t value);
struct json *json_new_bool(struct arena *arena, bool value);

/* Deep copy into `arena`; strings and numbers still point to the old source unless `with_text`. */
struct json *json_copy(struct arena *arena, const struct json *value, bool with_text);

/* Appends a value without parent; both return the appended value. json_add does not look for a
 * member of that name; json_set replaces it in place. The name must outlive the tree. */
struct json *json_append(struct json *array, struct json *value);
struct json *json_add(struct json *object, struct str name, struct json *value);
struct json *json_set(struct json *object, struct str name, struct json *value);
struct json *json_add_text(struct arena *arena, struct json *object, struct str name, struct str text);

/* Takes a child out. False when it is not a child of `parent`. */
bool json_remove(struct json *parent, struct json *child);
bool json_remove_member(struct json *object, struct str name);

/* ---- writing ---- */

/* Compact text: no white space, numbers and string contents as they came. */
void json_write(struct buf *buf, const struct json *value);
struct str json_write_arena(struct arena *arena, const struct json *value);

/* Two blanks a level, for people. */
void json_write_pretty(struct buf *buf, const struct json *value);

/* Canonical form for signatures (docs/modules/json.md): members sorted by code point, no white space,
 * numbers and string contents verbatim. */
bool json_write_canonical(struct buf *buf, const struct json *value, struct error *error) MUST_CHECK;

/* A quoted and escaped JSON string of `text`. */
void json_write_text(struct buf *buf, struct str text);

/* Same content: kinds, member names (any order), array order, decoded strings, digits of numbers. */
bool json_equal(const struct json *a, const struct json *b);

#endif
