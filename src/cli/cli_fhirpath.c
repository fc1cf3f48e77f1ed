#include "cli/cli_fhirpath.h"

#include <stdio.h>

#include "base/limits.h"
#include "cli/input.h"
#include "fhirpath/fhirpath.h"

enum { EXIT_FINE = 0, EXIT_FILE = 1, EXIT_SYNTAX = 2, EXIT_EVALUATION = 3 };

/* Quantities and types as toString() has them: a System value is no FHIR object. */
static const struct json *item_value(struct arena *arena, const struct fhirpath_item *item)
{
    const struct json *value = item->kind == FHIRPATH_QUANTITY
                                   ? json_new_string(arena, fhirpath_item_text(arena, item))
                                   : fhirpath_item_to_json(arena, item);
    return value != NULL ? value : json_new(arena, JSON_NULL);
}

static void print_trace(void *data, struct str name, const struct fhirpath_collection *items)
{
    struct arena *arena = data;
    (void)fprintf(stderr, "trace %.*s: %zu item(s)\n", STR_FMT(name), items->count);
    for (size_t i = 0; i < items->count; i++) {
        struct str text = json_write_arena(arena, item_value(arena, &items->items[i]));
        (void)fprintf(stderr, "  %.*s\n", STR_FMT(text));
    }
}

static bool print_result(struct arena *arena, const struct fhirpath_collection *result)
{
    struct buf buf = { .bytes_max = LIMIT_BUNDLE_BYTES };
    buf_add_char(&buf, '[');
    for (size_t i = 0; i < result->count; i++) {
        struct str type = fhirpath_item_type_name(&result->items[i]);
        buf_add(&buf, i == 0 ? STR("{\"type\":") : STR(",{\"type\":"));
        json_write_text(&buf, type.at == NULL ? STR("Element") : type);
        buf_add(&buf, STR(",\"value\":"));
        json_write(&buf, item_value(arena, &result->items[i]));
        buf_add_char(&buf, '}');
    }
    buf_add(&buf, STR("]\n"));
    bool ok = !buf.failed && fwrite(buf.at, 1, buf.len, stdout) == buf.len && fflush(stdout) == 0;
    buf_deinit(&buf);
    return ok;
}

static int fail(int code, const struct error *error)
{
    (void)fprintf(stderr, "shanhai fhirpath: %s\n", error->text);
    return code;
}

static int run(struct arena *arena, const char *expression, const char *file)
{
    struct error error = { 0 };
    struct json *resource = NULL;
    struct str text = STR_NONE;
    struct fhirpath *path = fhirpath_compile(arena, str_from_cstr(expression), &error);
    if (path == NULL) {
        return fail(error.kind == ERROR_STRUCTURE ? EXIT_SYNTAX : EXIT_EVALUATION, &error);
    }
    if (file != NULL && (!input_read_whole(arena, file, LIMIT_BUNDLE_BYTES, &text, &error) ||
                         !json_read(arena, text, &resource, &error))) {
        return fail(EXIT_FILE, &error);
    }
    struct fhirpath_context context = {
        .arena = arena, .strict = true, .trace = print_trace, .trace_data = arena
    };
    struct fhirpath_collection result = { 0 };
    if (!fhirpath_evaluate_on_resource(path, &context, resource, &result, &error)) {
        return fail(EXIT_EVALUATION, &error);
    }
    return print_result(arena, &result) ? EXIT_FINE : EXIT_FILE;
}

int cli_fhirpath(int argc, char **argv)
{
    bool asked = argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0);
    if (argc < 2 || argc > 3 || asked) {
        (void)fputs(
            "usage: shanhai fhirpath EXPRESSION [FILE]\n"
            "prints what the expression gives on the resource in FILE (JSON, '-' is standard input) as\n"
            "[{\"type\":…,\"value\":…}]\n"
            "exit 1: the file cannot be read, 2: syntax error, 3: semantic or execution error\n",
            asked ? stdout : stderr);
        return asked ? EXIT_FINE : EXIT_SYNTAX;
    }
    struct arena arena = { .bytes_max = LIMIT_REQUEST_ARENA_BYTES };
    int code = run(&arena, argv[1], argc == 3 ? argv[2] : NULL);
    arena_deinit(&arena);
    return code;
}
