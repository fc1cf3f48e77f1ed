#include "cli/settings.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"

enum { FILE_BYTES_MAX = 256 * 1024, NAME_BYTES = 64, WORDS_MAX = 512 };

/* What a source says, as words of a command line. */
struct words {
    struct arena *arena;
    char *at[WORDS_MAX];
    size_t count;
};

static const struct option *option_named(const struct option *options, size_t count, struct str name)
{
    for (size_t i = 0; i < count; i++) {
        if (str_equal_cstr(name, options[i].name)) {
            return &options[i];
        }
    }
    return NULL;
}

static bool add_word(struct words *words, struct str text)
{
    char *word = words->count + 1 < WORDS_MAX ? arena_cstr(words->arena, text) : NULL;
    if (word == NULL) {
        (void)fprintf(stderr, "there are too many settings\n");
        return false;
    }
    words->at[words->count++] = word;
    return true;
}

/* "port", "8080" → --port 8080; a flag takes true or false; a list several words. */
static bool add_setting(struct words *words, const struct option *option, struct str value)
{
    struct str dashed = arena_printf(words->arena, "--%s", option->name);
    struct str one = STR_NONE;
    if (option->kind == OPTION_FLAG) {
        if (!str_equal(value, STR("true")) && !str_equal(value, STR("false"))) {
            (void)fprintf(stderr, "the setting %s wants true or false\n", option->name);
            return false;
        }
        return str_equal(value, STR("false")) || add_word(words, dashed);
    }
    if (option->kind != OPTION_LIST) {
        return add_word(words, dashed) && add_word(words, value);
    }
    while (str_split_next(&value, ' ', &one)) {
        if (one.len > 0 && (!add_word(words, dashed) || !add_word(words, one))) {
            return false;
        }
    }
    return true;
}

/* ---- the sources ---- */

static void note(const struct option *options, size_t count, const struct option *option,
                 enum setting_source source, enum setting_source *sources)
{
    assert(option >= options && option < options + count);
    sources[option - options] = source;
}

/* "name = value   # remark"; *option stays NULL for an empty line. */
static bool read_line(const struct option *options, size_t count, struct str line,
                      const struct option **option, struct str *value)
{
    struct str name = STR_NONE;
    line = str_slice(line, 0, str_find(line, STR(" #")));
    line = str_trim(line);
    *option = NULL;
    if (line.len == 0 || line.at[0] == '#') {
        return true;
    }
    if (str_find_char(line, '=') == line.len || !str_split_next(&line, '=', &name)) {
        (void)fprintf(stderr, "a line of the settings is: name = value\n");
        return false;
    }
    *value = str_trim(line);
    *option = option_named(options, count, str_trim(name));
    if (*option == NULL) {
        (void)fprintf(stderr, "there is no setting '%.*s'\n",
                      STR_FMT(str_slice(str_trim(name), 0, NAME_BYTES)));
    }
    return *option != NULL;
}

static const char *file_of(int argc, char **argv)
{
    const char *path = getenv("SHANHAI_CONFIG");
    for (int i = 1; i + 1 < argc; i++) {
        path = strcmp(argv[i], "--config") == 0 ? argv[i + 1] : path;
    }
    return path;
}

static const char *environment_of(const struct option *option)
{
    char name[NAME_BYTES] = "SHANHAI_";
    size_t at = strlen(name);
    for (const char *c = option->name; *c != '\0' && at + 1 < sizeof name; c++) {
        name[at++] = *c == '-' ? '_' : (char)(*c >= 'a' && *c <= 'z' ? *c - 'a' + 'A' : *c);
    }
    name[at] = '\0';
    return getenv(name);
}

/* Who is the last to speak of each setting. */
static bool find_sources(const struct option *options, size_t count, struct str file, int argc, char **argv,
                         enum setting_source *sources)
{
    struct str line = STR_NONE;
    while (str_split_next(&file, '\n', &line)) {
        const struct option *option = NULL;
        struct str value = STR_NONE;
        if (!read_line(options, count, line, &option, &value)) {
            return false;
        }
        if (option != NULL) {
            note(options, count, option, SETTING_FILE, sources);
        }
    }
    for (size_t i = 0; i < count; i++) {
        sources[i] = environment_of(&options[i]) != NULL ? SETTING_ENVIRONMENT : sources[i];
    }
    for (int i = 1; i < argc; i++) {
        bool dashed = strncmp(argv[i], "--", 2) == 0;
        const struct option *option =
            dashed ? option_named(options, count, str_from_cstr(argv[i] + 2)) : NULL;
        if (option != NULL) {
            note(options, count, option, SETTING_FLAG, sources);
            i += option->kind == OPTION_FLAG ? 0 : 1;
        }
    }
    return true;
}

static bool gather(struct words *words, const struct option *options, size_t count, struct str file,
                   const enum setting_source *sources)
{
    struct str line = STR_NONE;
    while (str_split_next(&file, '\n', &line)) {
        const struct option *option = NULL;
        struct str value = STR_NONE;
        bool ok = read_line(options, count, line, &option, &value) &&
                  (option == NULL || sources[option - options] != SETTING_FILE ||
                   add_setting(words, option, value));
        if (!ok) {
            return false;
        }
    }
    for (size_t i = 0; i < count; i++) {
        if (sources[i] == SETTING_ENVIRONMENT &&
            !add_setting(words, &options[i], str_from_cstr(environment_of(&options[i])))) {
            return false;
        }
    }
    return true;
}

bool settings_read(struct arena *arena, const struct option *options, size_t count, int argc, char **argv,
                   enum setting_source *sources, bool *help)
{
    struct words *words = ARENA_NEW(arena, struct words);
    struct str file = STR_NONE;
    struct error error = { 0 };
    const char *path = file_of(argc, argv);
    assert(count <= SETTINGS_MAX);
    if (words == NULL) {
        (void)fprintf(stderr, "no memory for the settings\n");
        return false;
    }
    if (path != NULL && !file_read_whole(arena, path, FILE_BYTES_MAX, &file, &error)) {
        (void)fprintf(stderr, "the settings cannot be read: %s\n", error.text);
        return false;
    }
    words->arena = arena;
    if (!find_sources(options, count, file, argc, argv, sources) ||
        !add_word(words, str_from_cstr(argv[0])) || !gather(words, options, count, file, sources)) {
        return false;
    }
    for (int i = 1; i < argc; i++) {
        if (!add_word(words, str_from_cstr(argv[i]))) {
            return false;
        }
    }
    return options_read(options, count, (int)words->count, words->at, NULL, help);
}

/* ---- telling ---- */

/* "postgresql://user:secret@host/…" is shown without what stands between ':' and '@'. */
static void print_text(const char *text)
{
    struct str value = str_from_cstr(text == NULL ? "" : text);
    size_t host = str_find(value, STR("://"));
    struct str rest = str_skip(value, host + 3);
    size_t at = str_find_char(str_slice(rest, 0, str_find_char(rest, '/')), '@');
    size_t colon = str_find_char(str_slice(rest, 0, at), ':');
    bool hides = host < value.len && at < rest.len && colon < at;
    struct str head = hides ? str_slice(value, 0, host + 3 + colon + 1) : value;
    (void)printf("%.*s%s%.*s", STR_FMT(head), hides ? "***" : "",
                 STR_FMT(hides ? str_skip(rest, at) : STR("")));
}

static void print_value(const struct option *option)
{
    const struct option_list *list = option->value;
    switch (option->kind) {
    case OPTION_TEXT:
        print_text(*(const char **)option->value);
        break;
    case OPTION_NUMBER:
        (void)printf("%ld", *(long *)option->value);
        break;
    case OPTION_FLAG:
        (void)printf("%s", *(bool *)option->value ? "true" : "false");
        break;
    case OPTION_LIST:
        for (size_t i = 0; i < list->count; i++) {
            (void)printf("%s", i == 0 ? "" : " ");
            print_text(list->values[i]);
        }
        break;
    }
}

/* Nothing that a file could say. */
static bool is_unset(const struct option *option)
{
    const struct option_list *list = option->value;
    return (option->kind == OPTION_TEXT && *(const char **)option->value == NULL) ||
           (option->kind == OPTION_LIST && list->count == 0);
}

void settings_print(const struct option *options, size_t count, const enum setting_source *sources)
{
    static const char *const names[] = { "as built", "from the file", "from the environment",
                                         "from the command line" };
    for (size_t i = 0; i < count; i++) {
        if (strcmp(options[i].name, "config") != 0) {
            (void)printf("%s%s = ", is_unset(&options[i]) ? "# " : "", options[i].name);
            print_value(&options[i]);
            (void)printf("   # %s\n", names[sources[i]]);
        }
    }
}
