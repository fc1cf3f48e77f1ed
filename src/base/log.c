#include "base/log.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"

/* Listed in docs/globals.md. */
static _Atomic int level_max = LOG_LEVEL_INFO;
static _Atomic int line_format = LOG_TEXT;

static const char *const level_names[] = { "error", "warning", "info", "debug" };

/* A line on its way; what does not fit is cut, and the line still ends as it should. */
struct line {
    char text[1024];
    size_t len;
};

enum { LINE_TAIL_BYTES = 4 }; /* kept free for the end */

void log_set_level(enum log_level level)
{
    atomic_store(&level_max, (int)level);
}

void log_set_format(enum log_format format)
{
    atomic_store(&line_format, (int)format);
}

static void put(struct line *line, const char *text)
{
    while (*text != '\0' && line->len < sizeof line->text - LINE_TAIL_BYTES) {
        line->text[line->len++] = *text++;
    }
}

/* RFC 8259: quotes, backslashes and control characters are escaped. An escape goes in whole or not at all. */
static void put_json(struct line *line, const char *text)
{
    put(line, "\"");
    for (; *text != '\0' && line->len < sizeof line->text - LINE_TAIL_BYTES - 8; text++) {
        unsigned char c = (unsigned char)*text;
        char escaped[8] = { (char)c };
        if (c == '"' || c == '\\') {
            escaped[0] = '\\';
            escaped[1] = (char)c;
        } else if (c < ' ') {
            (void)snprintf(escaped, sizeof escaped, "\\u%04x", c);
        }
        put(line, escaped);
    }
    put(line, "\"");
}

static void begin(struct line *line, enum log_level level, bool json)
{
    char time[INSTANT_BYTES];
    (void)instant_format(clock_now_ms(), 0, time);
    line->len = 0;
    put(line, json ? "{\"time\":\"" : "");
    put(line, time);
    put(line, json ? "\",\"level\":\"" : " ");
    put(line, level_names[level]);
    put(line, json ? "\"," : " ");
}

static void end(struct line *line, bool json)
{
    if (json) {
        line->text[line->len++] = '}';
    }
    line->text[line->len++] = '\n';
    /* A log line that cannot be written has nowhere to be reported. */
    ssize_t written = write(STDERR_FILENO, line->text, line->len);
    (void)written;
}

void log_line(enum log_level level, const char *format, ...)
{
    if ((int)level > atomic_load(&level_max)) {
        return;
    }
    struct line line;
    char text[900];
    bool json = atomic_load(&line_format) == LOG_JSON;
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    begin(&line, level, json);
    if (json) {
        put(&line, "\"event\":\"message\",\"text\":");
        put_json(&line, text);
    } else {
        put(&line, text);
    }
    end(&line, json);
}

void log_event(enum log_level level, const char *event, const struct log_field *fields, size_t count)
{
    if ((int)level > atomic_load(&level_max)) {
        return;
    }
    struct line line;
    bool json = atomic_load(&line_format) == LOG_JSON;
    begin(&line, level, json);
    put(&line, json ? "\"event\":\"" : "");
    put(&line, event);
    put(&line, json ? "\"" : "");
    for (size_t i = 0; i < count; i++) {
        char number[24];
        (void)snprintf(number, sizeof number, "%" PRId64, fields[i].number);
        put(&line, json ? ",\"" : " ");
        put(&line, json ? fields[i].name : "");
        put(&line, json ? "\":" : "");
        if (fields[i].text == NULL) {
            put(&line, number);
        } else if (json) {
            put_json(&line, fields[i].text);
        } else {
            put(&line, fields[i].text);
        }
    }
    end(&line, json);
}
