#include "cli/options.h"

#include <stdio.h>
#include <string.h>

#include "base/parse.h"

static void print_help(const struct option *options, size_t count, const char *command)
{
    (void)printf("shanhai %s\n", command);
    for (size_t i = 0; i < count; i++) {
        (void)printf("  --%-18s %s\n", options[i].name, options[i].help);
    }
}

static const struct option *option_named(const struct option *options, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(options[i].name, name) == 0) {
            return &options[i];
        }
    }
    return NULL;
}

static bool set_value(const struct option *option, const char *text)
{
    int64_t number = 0;
    struct option_list *list = option->value;
    switch (option->kind) {
    case OPTION_TEXT:
        *(const char **)option->value = text;
        return true;
    case OPTION_NUMBER:
        if (!parse_int64(str_from_cstr(text), option->low, option->high, &number)) {
            (void)fprintf(stderr, "--%s wants a number from %ld to %ld\n", option->name, option->low,
                          option->high);
            return false;
        }
        *(long *)option->value = (long)number;
        return true;
    case OPTION_LIST:
        if (list->count == OPTION_LIST_MAX) {
            (void)fprintf(stderr, "--%s is given more than %d times\n", option->name, OPTION_LIST_MAX);
            return false;
        }
        list->values[list->count++] = text;
        return true;
    case OPTION_FLAG:
        break;
    }
    return false;
}

bool options_read(const struct option *options, size_t count, int argc, char **argv,
                  struct option_list *words, bool *help)
{
    *help = false;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            print_help(options, count, argv[0]);
            *help = true;
            return true;
        }
        if (strncmp(argv[i], "--", 2) != 0) {
            if (words == NULL || words->count == OPTION_LIST_MAX) {
                (void)fprintf(stderr, "'%s' is not understood; see shanhai %s --help\n", argv[i], argv[0]);
                return false;
            }
            words->values[words->count++] = argv[i];
            continue;
        }
        const struct option *option = option_named(options, count, argv[i] + 2);
        if (option == NULL) {
            (void)fprintf(stderr, "unknown option %s; see shanhai %s --help\n", argv[i], argv[0]);
            return false;
        }
        if (option->kind == OPTION_FLAG) {
            *(bool *)option->value = true;
            continue;
        }
        if (i + 1 == argc) {
            (void)fprintf(stderr, "--%s wants a value\n", option->name);
            return false;
        }
        if (!set_value(option, argv[++i])) {
            return false;
        }
    }
    return true;
}
