/* Looking at a tree and building one. */
#include "json/json.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

struct json *json_member(const struct json *object, struct str name)
{
    if (object == NULL || object->kind != JSON_OBJECT) {
        return NULL;
    }
    for (struct json *member = object->first; member != NULL; member = member->next) {
        if (str_equal(member->name, name)) {
            return member;
        }
    }
    return NULL;
}

struct json *json_at(const struct json *array, size_t index)
{
    if (array == NULL || array->kind != JSON_ARRAY) {
        return NULL;
    }
    struct json *value = array->first;
    while (value != NULL && index > 0) {
        value = value->next;
        index--;
    }
    return value;
}

static unsigned decode_hex4(const char *at)
{
    unsigned unit = 0;
    for (int i = 0; i < 4; i++) {
        char c = at[i];
        unsigned digit = c <= '9' ? (unsigned)(c - '0') : (unsigned)((c | 0x20) - 'a' + 10);
        unit = unit << 4 | digit;
    }
    return unit;
}

/* Decodes one escape at `at` (the reader has checked it) into out; *used gets its length in the source. */
static size_t decode_escape(const char *at, char *out, size_t *used)
{
    static const char plain[] = "\"\\/bfnrt";
    static const char meant[] = "\"\\/\b\f\n\r\t";
    if (at[1] != 'u') {
        *used = 2;
        out[0] = meant[strchr(plain, at[1]) - plain];
        return 1;
    }
    unsigned code = decode_hex4(at + 2);
    *used = 6;
    if (code >= 0xD800 && code <= 0xDBFF) {
        code = 0x10000 + ((code - 0xD800) << 10) + (decode_hex4(at + 8) - 0xDC00);
        *used = 12;
    }
    return str_put_utf8(code, out);
}

struct str json_text(struct arena *arena, const struct json *value)
{
    if (value == NULL || value->kind != JSON_STRING) {
        return STR_NONE;
    }
    if (!value->escaped) {
        return value->raw;
    }
    /* An escape is never shorter than what it stands for. */
    char *out = arena_alloc(arena, value->raw.len + 1);
    if (out == NULL) {
        return STR_NONE;
    }
    size_t len = 0;
    for (size_t i = 0; i < value->raw.len;) {
        if (value->raw.at[i] == '\\') {
            size_t used = 0;
            len += decode_escape(value->raw.at + i, out + len, &used);
            i += used;
        } else {
            out[len++] = value->raw.at[i++];
        }
    }
    out[len] = '\0';
    return (struct str){ out, len };
}

bool json_equals_text(const struct json *value, struct str text)
{
    if (value == NULL || value->kind != JSON_STRING) {
        return false;
    }
    if (!value->escaped) {
        return str_equal(value->raw, text);
    }
    struct arena arena = { .bytes_max = value->raw.len + 4096 };
    struct str decoded = json_text(&arena, value);
    bool equal = decoded.at != NULL && str_equal(decoded, text);
    arena_deinit(&arena);
    return equal;
}

struct str json_member_text(struct arena *arena, const struct json *object, struct str name)
{
    return json_text(arena, json_member(object, name));
}

bool json_is_true(const struct json *value)
{
    return value != NULL && value->kind == JSON_TRUE;
}

bool json_has_duplicates(const struct json *object)
{
    /* Objects of a record have a few dozen members at most; the square is cheaper than a table. */
    JSON_EACH(member, object) {
        for (const struct json *other = member->next; other != NULL; other = other->next) {
            if (object->kind == JSON_OBJECT && str_equal(member->name, other->name)) {
                return true;
            }
        }
    }
    return false;
}

struct json *json_new(struct arena *arena, enum json_kind kind)
{
    struct json *value = arena_calloc(arena, 1, sizeof *value);
    if (value != NULL) {
        value->kind = (uint8_t)kind;
    }
    return value;
}

static bool needs_escape(struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.at[i];
        if (c < 0x20 || c == '"' || c == '\\') {
            return true;
        }
    }
    return false;
}

struct json *json_new_string(struct arena *arena, struct str text)
{
    struct json *value = text.at == NULL ? NULL : json_new(arena, JSON_STRING);
    if (value == NULL) {
        return NULL;
    }
    value->raw = text;
    if (needs_escape(text)) {
        struct buf buf = { .bytes_max = text.len * 6 + 2 };
        json_write_text(&buf, text);
        value->raw = buf.failed ? STR_NONE : arena_dup(arena, str_slice(buf_str(&buf), 1, buf.len - 1));
        buf_deinit(&buf);
        value->escaped = true;
        return value->raw.at == NULL ? NULL : value;
    }
    return value;
}

struct json *json_new_number(struct arena *arena, struct str digits)
{
    struct json *value = json_new(arena, JSON_NUMBER);
    if (value != NULL) {
        value->raw = digits;
    }
    return value;
}

struct json *json_new_integer(struct arena *arena, int64_t value)
{
    struct str digits = arena_printf(arena, "%" PRId64, value);
    return digits.at == NULL ? NULL : json_new_number(arena, digits);
}

struct json *json_new_bool(struct arena *arena, bool value)
{
    return json_new(arena, value ? JSON_TRUE : JSON_FALSE);
}

struct json *json_copy(struct arena *arena, const struct json *value, bool with_text)
{
    if (value == NULL) {
        return NULL;
    }
    struct json *copy = json_new(arena, (enum json_kind)value->kind);
    if (copy == NULL) {
        return NULL;
    }
    copy->escaped = value->escaped;
    if (value->kind >= JSON_ARRAY) {
        JSON_EACH(child, value) {
            struct json *child_copy = json_append(copy, json_copy(arena, child, with_text));
            if (child_copy == NULL) {
                return NULL;
            }
            child_copy->name =
                with_text && child->name.at != NULL ? arena_dup(arena, child->name) : child->name;
        }
    } else {
        copy->raw = with_text && value->raw.at != NULL ? arena_dup(arena, value->raw) : value->raw;
    }
    return copy;
}

struct json *json_append(struct json *array, struct json *value)
{
    if (array == NULL || value == NULL) {
        return NULL;
    }
    assert(array->kind >= JSON_ARRAY);
    value->next = NULL;
    if (array->last == NULL) {
        array->first = value;
    } else {
        array->last->next = value;
    }
    array->last = value;
    array->count++;
    return value;
}

struct json *json_add(struct json *object, struct str name, struct json *value)
{
    if (json_append(object, value) == NULL) {
        return NULL;
    }
    assert(object->kind == JSON_OBJECT);
    value->name = name;
    return value;
}

struct json *json_set(struct json *object, struct str name, struct json *value)
{
    if (object == NULL || value == NULL) {
        return NULL;
    }
    assert(object->kind == JSON_OBJECT);
    struct json *before = NULL;
    for (struct json *member = object->first; member != NULL; before = member, member = member->next) {
        if (!str_equal(member->name, name)) {
            continue;
        }
        value->next = member->next;
        value->name = name;
        if (before == NULL) {
            object->first = value;
        } else {
            before->next = value;
        }
        if (object->last == member) {
            object->last = value;
        }
        return value;
    }
    return json_add(object, name, value);
}

struct json *json_add_text(struct arena *arena, struct json *object, struct str name, struct str text)
{
    return json_add(object, name, json_new_string(arena, text));
}

bool json_remove(struct json *parent, struct json *child)
{
    assert(parent != NULL);
    struct json *before = NULL;
    for (struct json *at = parent->kind < JSON_ARRAY ? NULL : parent->first; at != NULL;
         before = at, at = at->next) {
        if (at != child) {
            continue;
        }
        if (before == NULL) {
            parent->first = child->next;
        } else {
            before->next = child->next;
        }
        if (parent->last == child) {
            parent->last = before;
        }
        child->next = NULL;
        parent->count--;
        return true;
    }
    return false;
}

bool json_remove_member(struct json *object, struct str name)
{
    struct json *member = json_member(object, name);
    return member != NULL && json_remove(object, member);
}

bool json_equal(const struct json *a, const struct json *b)
{
    if (a == NULL || b == NULL) {
        return a == b;
    }
    if (a->kind != b->kind) {
        return false;
    }
    if (a->kind == JSON_NUMBER) {
        return str_equal(a->raw, b->raw);
    }
    if (a->kind == JSON_STRING) {
        struct arena arena = { .bytes_max = a->raw.len + 4096 };
        struct str text = json_text(&arena, a);
        bool equal = text.at != NULL && json_equals_text(b, text);
        arena_deinit(&arena);
        return equal;
    }
    if (a->kind < JSON_ARRAY) {
        return true;
    }
    if (a->count != b->count) {
        return false;
    }
    const struct json *other = b->first;
    JSON_EACH(child, a) {
        /* Mostly in the same order; only then is a name that stands twice compared in its place. */
        bool in_place = other != NULL && str_equal(other->name, child->name);
        const struct json *match = a->kind == JSON_OBJECT && !in_place ? json_member(b, child->name) : other;
        if (!json_equal(child, match)) {
            return false;
        }
        other = other == NULL ? NULL : other->next;
    }
    return true;
}
