/* input.h — what commands read: a file by its name, or standard input for "-". One thread. */
#ifndef SHANHAI_CLI_INPUT_H
#define SHANHAI_CLI_INPUT_H

#include <stdio.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"

/* All of it; ERROR_TOO_LARGE over bytes_max. */
bool input_read_whole(struct arena *arena, const char *path, size_t bytes_max, struct str *out,
                      struct error *error) MUST_CHECK;

/* NDJSON, a line at a time. `line` is the caller's and must have a bytes_max; the slice stays good until the next
 * call. *more false: there is none left. Lines without anything in them are passed over. */
struct input_lines {
    FILE *file;
    size_t number; /* of the line last given, from 1 */
};
bool input_lines_open(struct input_lines *lines, const char *path, struct error *error) MUST_CHECK;
void input_lines_close(struct input_lines *lines);
bool input_lines_next(struct input_lines *lines, struct buf *line, struct str *text, bool *more,
                      struct error *error) MUST_CHECK;

#endif
