#include "view/view_text.h"

#include "base/limits.h"

static const struct {
    struct str name;
    struct str media;
    const char *type;
} formats[VIEW_FORMATS] = {
    [VIEW_JSON] = { { "json", 4 }, { "application/json", 16 }, "application/json; charset=utf-8" },
    [VIEW_NDJSON] = { { "ndjson", 6 },
                      { "application/x-ndjson", 20 },
                      "application/x-ndjson; charset=utf-8" },
    [VIEW_CSV] = { { "csv", 3 }, { "text/csv", 8 }, "text/csv; charset=utf-8" },
};

bool view_format_of(struct str text, enum view_format *format, struct error *error)
{
    *format = VIEW_JSON;
    for (int i = 0; text.at != NULL && i < VIEW_FORMATS; i++) {
        if (str_equal(text, formats[i].name) || str_equal(text, formats[i].media)) {
            *format = (enum view_format)i;
            return true;
        }
    }
    return text.at == NULL || FAIL(error, ERROR_NOT_ACCEPTABLE, "_format is json, ndjson or csv");
}

const char *view_format_type(enum view_format format)
{
    return formats[format].type;
}

const char *view_format_suffix(enum view_format format)
{
    return formats[format].name.at;
}

void view_text_begin(const struct view *view, enum view_format format, bool header, struct buf *out)
{
    size_t count = 0;
    const struct view_column *columns = view_columns(view, &count);
    buf_add(out, format == VIEW_JSON ? STR("[") : STR(""));
    if (format != VIEW_CSV || !header) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        buf_add(out, i == 0 ? STR("") : STR(","));
        buf_add(out, columns[i].name);
    }
    buf_add(out, STR("\r\n"));
}

void view_text_end(enum view_format format, struct buf *out)
{
    buf_add(out, format == VIEW_JSON ? STR("]\n") : STR(""));
}

static void add_cell(struct buf *out, const struct json *value)
{
    struct buf text = { .bytes_max = LIMIT_RESOURCE_BYTES };
    if (value == NULL || value->kind == JSON_NULL) {
        return;
    }
    if (value->kind != JSON_STRING) {
        json_write(&text, value);
    } else {
        struct arena arena = { .bytes_max = LIMIT_RESOURCE_BYTES };
        buf_add(&text, json_text(&arena, value));
        arena_deinit(&arena);
    }
    struct str plain = buf_str(&text);
    bool quoted = false;
    for (size_t i = 0; i < plain.len; i++) {
        quoted = quoted || strchr(",\"\r\n", plain.at[i]) != NULL;
    }
    buf_add(out, quoted ? STR("\"") : STR(""));
    for (size_t i = 0; i < plain.len; i++) {
        buf_add(out, plain.at[i] == '"' ? STR("\"\"") : str_slice(plain, i, i + 1));
    }
    buf_add(out, quoted ? STR("\"") : STR(""));
    buf_deinit(&text);
}

bool view_text_row(const struct view *view, enum view_format format, struct arena *arena,
                   const struct view_row *row, uint64_t number, struct buf *out)
{
    const struct json *object = view_row_json(view, arena, row);
    size_t at = 0;
    if (object == NULL) {
        return false;
    }
    if (format == VIEW_CSV) {
        JSON_EACH(cell, object) {
            buf_add(out, at++ == 0 ? STR("") : STR(","));
            add_cell(out, cell);
        }
        buf_add(out, STR("\r\n"));
        return true;
    }
    buf_add(out, format == VIEW_JSON && number > 0 ? STR(",") : STR(""));
    json_write(out, object);
    buf_add(out, format == VIEW_NDJSON ? STR("\n") : STR(""));
    return true;
}
