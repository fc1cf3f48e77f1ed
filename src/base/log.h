/* log.h — one line a message to standard error: time, level, text. Rotation is the system's. Nothing
 * about a patient, no query string, no body. Only main.c, cli/, http/ and the ends of requests and jobs
 * log; library code returns errors. Any thread: a line is one write. */
#ifndef SHANHAI_BASE_LOG_H
#define SHANHAI_BASE_LOG_H

#include <stddef.h>
#include <stdint.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* Lines for people ("2026-11-22T06:30:00.123Z info text"), or a JSON object each for machines. */
enum log_format { LOG_TEXT, LOG_JSON };

void log_set_level(enum log_level level);
void log_set_format(enum log_format format);

/* An event with parts of its own: in JSON members beside "time", "level" and "event"; for people the values one after the
 * other. Names and texts are the program's own words, never a person's. */
struct log_field {
    const char *name;
    const char *text; /* NULL: the number */
    int64_t number;
};
void log_event(enum log_level level, const char *event, const struct log_field *fields, size_t count);

void log_line(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define LOG_ERROR(...) log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define LOG_WARNING(...) log_line(LOG_LEVEL_WARNING, __VA_ARGS__)
#define LOG_INFO(...) log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define LOG_DEBUG(...) log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
