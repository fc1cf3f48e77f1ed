#include "cli/cli_view.h"

#include <stdio.h>

#include "base/limits.h"
#include "cli/input.h"
#include "view/view.h"

enum { EXIT_FINE = 0, EXIT_FILE = 1, EXIT_VIEW = 2, EXIT_COSTLY = 3 };

/* Of what the view makes of a resource: its own fault unless a limit ended it. */
static int exit_of(const struct error *error)
{
    bool limit = error->kind == ERROR_TOO_COSTLY || error->kind == ERROR_TOO_LARGE;
    return limit ? EXIT_COSTLY : EXIT_VIEW;
}

static int fail(int code, const struct error *error)
{
    (void)fprintf(stderr, "shanhai view: %s\n", error->text);
    return code;
}

/* The rows of one resource, each after a comma or as the first. */
static bool print_rows(const struct view *view, struct arena *arena, const struct view_rows *rows,
                       bool *first)
{
    bool ok = true;
    for (const struct view_row *row = rows->first; ok && row != NULL; row = row->next) {
        struct str text = json_write_arena(arena, view_row_json(view, arena, row));
        ok = text.at != NULL && fputs(*first ? "" : ",\n", stdout) >= 0 &&
             fwrite(text.at, 1, text.len, stdout) == text.len;
        *first = false;
    }
    return ok;
}

static int print_all(const struct view *view, struct input_lines *lines, struct buf *line,
                     struct arena *arena)
{
    struct error error = { 0 };
    struct str text = STR_NONE;
    bool first = true;
    bool more = true;
    bool written = putchar('[') != EOF;
    while (written) {
        struct json *resource = NULL;
        struct view_rows rows = { 0 };
        if (!input_lines_next(lines, line, &text, &more, &error)) {
            return fail(EXIT_FILE, &error);
        }
        if (!more) {
            break;
        }
        if (!json_read(arena, text, &resource, &error)) {
            (void)fprintf(stderr, "shanhai view: line %zu: %s\n", lines->number, error.text);
            return EXIT_FILE;
        }
        const struct view_input input = { .resource = resource };
        if (!view_evaluate(view, arena, &input, &rows, &error)) {
            return fail(exit_of(&error), &error);
        }
        written = print_rows(view, arena, &rows, &first);
        arena_reset(arena);
    }
    written = written && puts("]") >= 0 && fflush(stdout) == 0;
    return written ? EXIT_FINE : EXIT_FILE;
}

static int run(struct arena *arena, const char *view_path, const char *resources_path)
{
    struct error error = { 0 };
    struct str text = STR_NONE;
    struct json *definition = NULL;
    struct view *view = NULL;
    struct input_lines lines = { 0 };
    struct buf line = { .bytes_max = LIMIT_RESOURCE_BYTES };
    struct arena row_arena = { .bytes_max = LIMIT_REQUEST_ARENA_BYTES };
    if (!input_read_whole(arena, view_path, LIMIT_RESOURCE_BYTES, &text, &error)) {
        return fail(EXIT_FILE, &error);
    }
    if (!json_read(arena, text, &definition, &error) || !view_compile(arena, definition, &view, &error)) {
        return fail(EXIT_VIEW, &error);
    }
    if (!input_lines_open(&lines, resources_path, &error)) {
        return fail(EXIT_FILE, &error);
    }
    int code = print_all(view, &lines, &line, &row_arena);
    input_lines_close(&lines);
    buf_deinit(&line);
    arena_deinit(&row_arena);
    return code;
}

int cli_view(int argc, char **argv)
{
    bool asked = argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0);
    if (argc != 3) {
        (void)fputs(
            "usage: shanhai view VIEW.json RESOURCES.ndjson\n"
            "prints the rows that a SQL-on-FHIR ViewDefinition makes of the resources (one a line) as a "
            "JSON array;\n"
            "'-' is standard input\n"
            "exit 1: a file cannot be read, 2: the view is invalid, 3: over the cost limit\n",
            asked ? stdout : stderr);
        return asked ? EXIT_FINE : EXIT_FILE;
    }
    struct arena arena = { .bytes_max = LIMIT_REQUEST_ARENA_BYTES };
    int code = run(&arena, argv[1], argv[2]);
    arena_deinit(&arena);
    return code;
}
