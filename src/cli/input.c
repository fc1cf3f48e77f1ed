#include "cli/input.h"

#include <errno.h>
#include <string.h>

#include "base/file.h"

enum { PIECE_BYTES = 64 * 1024 };

static bool read_stdin(struct arena *arena, size_t bytes_max, struct str *out, struct error *error)
{
    struct buf buf = { .bytes_max = bytes_max };
    for (size_t got = 1; got > 0 && !buf.failed;) {
        char piece[PIECE_BYTES];
        got = fread(piece, 1, sizeof piece, stdin);
        buf_add(&buf, (struct str){ piece, got });
    }
    struct str text = buf.failed ? STR_NONE : arena_dup(arena, buf_str(&buf));
    buf_deinit(&buf);
    if (ferror(stdin) != 0) {
        return FAIL(error, ERROR_INPUT, "standard input cannot be read");
    }
    if (text.at == NULL) {
        return FAIL(error, ERROR_TOO_LARGE, "standard input is larger than %zu bytes", bytes_max);
    }
    *out = text;
    return true;
}

bool input_read_whole(struct arena *arena, const char *path, size_t bytes_max, struct str *out,
                      struct error *error)
{
    return strcmp(path, "-") == 0 ? read_stdin(arena, bytes_max, out, error)
                                  : file_read_whole(arena, path, bytes_max, out, error);
}

bool input_lines_open(struct input_lines *lines, const char *path, struct error *error)
{
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "rbe");
    if (file == NULL) {
        return FAIL_OS(error, error_kind_from_errno(errno), "cannot open '%s': %s", path, strerror(errno));
    }
    *lines = (struct input_lines){ .file = file };
    return true;
}

void input_lines_close(struct input_lines *lines)
{
    if (lines->file != NULL && lines->file != stdin) {
        (void)fclose(lines->file);
    }
    lines->file = NULL;
}

bool input_lines_next(struct input_lines *lines, struct buf *line, struct str *text, bool *more,
                      struct error *error)
{
    struct str found = STR_NONE;
    bool ended = false;
    while (!ended && found.len == 0) {
        buf_clear(line);
        lines->number++;
        int c = getc_unlocked(lines->file);
        for (; c != EOF && c != '\n' && !line->failed; c = getc_unlocked(lines->file)) {
            buf_add_char(line, (char)c);
        }
        if (line->failed) {
            return FAIL(error, ERROR_TOO_LARGE, "line %zu is longer than %zu bytes", lines->number,
                        line->bytes_max);
        }
        ended = c == EOF;
        found = str_trim(buf_str(line));
    }
    if (ferror(lines->file) != 0) {
        return FAIL(error, ERROR_INPUT, "the input cannot be read after line %zu", lines->number);
    }
    *more = found.len > 0;
    *text = found;
    return true;
}
