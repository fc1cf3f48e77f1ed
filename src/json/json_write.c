/* Writing a tree: compact, for people, and canonical. Depth is bounded because trees come from the
 * reader (LIMIT_JSON_DEPTH) or from our own code. */
#include "json/json.h"

#include <stdlib.h>

void json_write_text(struct buf *buf, struct str text)
{
    buf_add_char(buf, '"');
    size_t from = 0;
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.at[i];
        if (c >= 0x20 && c != '"' && c != '\\') {
            continue;
        }
        buf_add(buf, str_slice(text, from, i));
        from = i + 1;
        switch (c) {
        case '"':
            buf_add(buf, STR("\\\""));
            break;
        case '\\':
            buf_add(buf, STR("\\\\"));
            break;
        case '\n':
            buf_add(buf, STR("\\n"));
            break;
        case '\r':
            buf_add(buf, STR("\\r"));
            break;
        case '\t':
            buf_add(buf, STR("\\t"));
            break;
        default:
            buf_printf(buf, "\\u%04x", c);
        }
    }
    buf_add(buf, str_skip(text, from));
    buf_add_char(buf, '"');
}

static void write_indent(struct buf *buf, int level)
{
    if (level < 0) {
        return;
    }
    buf_add_char(buf, '\n');
    for (int i = 0; i < level; i++) {
        buf_add(buf, STR("  "));
    }
}

static void write_scalar(struct buf *buf, const struct json *value)
{
    switch ((enum json_kind)value->kind) {
    case JSON_NULL:
        buf_add(buf, STR("null"));
        break;
    case JSON_FALSE:
        buf_add(buf, STR("false"));
        break;
    case JSON_TRUE:
        buf_add(buf, STR("true"));
        break;
    case JSON_NUMBER:
        buf_add(buf, value->raw);
        break;
    case JSON_STRING:
        buf_add_char(buf, '"');
        buf_add(buf, value->raw);
        buf_add_char(buf, '"');
        break;
    case JSON_ARRAY:
    case JSON_OBJECT:
        break;
    }
}

/* level < 0: compact. */
static void write_value(struct buf *buf, const struct json *value, int level)
{
    if (value->kind < JSON_ARRAY) {
        write_scalar(buf, value);
        return;
    }
    bool is_object = value->kind == JSON_OBJECT;
    int inner = level < 0 ? level : level + 1;
    buf_add_char(buf, is_object ? '{' : '[');
    JSON_EACH(child, value) {
        if (child != value->first) {
            buf_add_char(buf, ',');
        }
        write_indent(buf, inner);
        if (is_object) {
            json_write_text(buf, child->name);
            buf_add(buf, level < 0 ? STR(":") : STR(": "));
        }
        write_value(buf, child, inner);
    }
    if (value->first != NULL) {
        write_indent(buf, level);
    }
    buf_add_char(buf, is_object ? '}' : ']');
}

void json_write(struct buf *buf, const struct json *value)
{
    write_value(buf, value, -1);
}

void json_write_pretty(struct buf *buf, const struct json *value)
{
    write_value(buf, value, 0);
    buf_add_char(buf, '\n');
}

struct str json_write_arena(struct arena *arena, const struct json *value)
{
    struct buf buf = { .bytes_max = arena->bytes_max };
    json_write(&buf, value);
    struct str text = buf.failed ? STR_NONE : arena_dup(arena, buf_str(&buf));
    buf_deinit(&buf);
    return text;
}

/* UTF-8 keeps the order of code points, so bytes are compared. */
static int order_by_name(const void *a, const void *b)
{
    const struct json *const *left = a;
    const struct json *const *right = b;
    return str_compare((*left)->name, (*right)->name);
}

static bool write_canonical(struct buf *buf, const struct json *value, struct error *error);

static bool write_canonical_object(struct buf *buf, const struct json *value, struct error *error)
{
    const struct json **members = calloc(value->count + 1, sizeof *members);
    if (members == NULL) {
        return FAIL(error, ERROR_INTERNAL, "no memory for the canonical form");
    }
    size_t count = 0;
    JSON_EACH(member, value) {
        members[count++] = member;
    }
    qsort(members, count, sizeof *members, order_by_name);
    bool ok = true;
    buf_add_char(buf, '{');
    for (size_t i = 0; ok && i < count; i++) {
        if (i > 0 && str_equal(members[i - 1]->name, members[i]->name)) {
            ok = FAIL(error, ERROR_STRUCTURE, "a member name stands twice: such a document cannot be signed");
            break;
        }
        if (i > 0) {
            buf_add_char(buf, ',');
        }
        json_write_text(buf, members[i]->name);
        buf_add_char(buf, ':');
        ok = write_canonical(buf, members[i], error);
    }
    buf_add_char(buf, '}');
    free(members);
    return ok;
}

static bool write_canonical(struct buf *buf, const struct json *value, struct error *error)
{
    if (value->kind == JSON_OBJECT) {
        return write_canonical_object(buf, value, error);
    }
    if (value->kind != JSON_ARRAY) {
        write_scalar(buf, value);
        return true;
    }
    bool ok = true;
    buf_add_char(buf, '[');
    JSON_EACH(child, value) {
        if (child != value->first) {
            buf_add_char(buf, ',');
        }
        ok = ok && write_canonical(buf, child, error);
    }
    buf_add_char(buf, ']');
    return ok;
}

bool json_write_canonical(struct buf *buf, const struct json *value, struct error *error)
{
    if (!write_canonical(buf, value, error)) {
        return false;
    }
    return !buf->failed || FAIL(error, ERROR_TOO_LARGE, "the canonical form is too large");
}
