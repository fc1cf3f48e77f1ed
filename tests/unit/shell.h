/* shell.h — runs a command line of an independent tool (DCMTK …) from a test. */
#ifndef SHANHAI_TESTS_SHELL_H
#define SHANHAI_TESTS_SHELL_H

#include <spawn.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

/* Exit status of `sh -c COMMAND`, or -1. */
static inline int shell_run(const char *format, ...) __attribute__((format(printf, 1, 2)));
static inline int shell_run(const char *format, ...)
{
    char command[2048];
    char *arguments[] = { (char *)(uintptr_t) "sh", (char *)(uintptr_t) "-c", command, NULL };
    pid_t pid = 0;
    int status = 0;
    va_list values;
    va_start(values, format);
    (void)vsnprintf(command, sizeof command, format, values);
    va_end(values);
    if (posix_spawn(&pid, "/bin/sh", NULL, NULL, arguments, environ) != 0 ||
        waitpid(pid, &status, 0) != pid) {
        return -1;
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

#endif
