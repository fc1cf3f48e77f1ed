/* options.h — flags of the command line as one table: `--name VALUE`, `--flag`. The table is also the help text. */
#ifndef SHANHAI_CLI_OPTIONS_H
#define SHANHAI_CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

enum option_kind { OPTION_TEXT, OPTION_NUMBER, OPTION_FLAG, OPTION_LIST };

enum { OPTION_LIST_MAX = 16 };

struct option_list {
    const char *values[OPTION_LIST_MAX];
    size_t count;
};

struct option {
    const char *name; /* without the dashes */
    enum option_kind kind;
    void *value; /* const char **, long *, bool *, struct option_list * */
    long low;    /* OPTION_NUMBER */
    long high;
    const char *help; /* "VALUE what it is for" */
};

/* Reads argv[1 …] into the values. False after telling what is wrong on standard error. *help is set for --help, whose
 * text is then printed. Words without dashes go to `words` (may be NULL: refused). */
bool options_read(const struct option *options, size_t count, int argc, char **argv,
                  struct option_list *words, bool *help);

#endif
