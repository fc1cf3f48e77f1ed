#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"

/* Listed in docs/globals.md. */
static _Atomic int level_max = LOG_LEVEL_INFO;

void log_set_level(enum log_level level)
{
    atomic_store(&level_max, (int)level);
}

void log_line(enum log_level level, const char *format, ...)
{
    static const char *const names[] = { "error", "warning", "info", "debug" };
    if ((int)level > atomic_load(&level_max)) {
        return;
    }
    char line[1024];
    char time[INSTANT_BYTES];
    (void)instant_format(clock_now_ms(), 0, time);
    int head = snprintf(line, sizeof line, "%s %s ", time, names[level]);
    va_list arguments;
    va_start(arguments, format);
    int body = vsnprintf(line + head, sizeof line - (size_t)head - 1, format, arguments);
    va_end(arguments);
    size_t len = (size_t)head + (body < 0 ? 0 : (size_t)body);
    if (len > sizeof line - 2) {
        len = sizeof line - 2;
    }
    line[len++] = '\n';
    /* A log line that cannot be written has nowhere to be reported. */
    ssize_t written = write(STDERR_FILENO, line, len);
    (void)written;
}
