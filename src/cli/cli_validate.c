#include "cli/cli_validate.h"

#include <dirent.h>
#include <stdio.h>

#include "base/file.h"
#include "base/limits.h"
#include "base/table.h"
#include "cli/definitions.h"
#include "fhir/terminology.h"
#include "fhir/validation.h"

enum { EXIT_VALID = 0, EXIT_INVALID = 1, EXIT_USAGE = 2 };

static const char help[] =
    "usage: shanhai validate [--chinese] [--profile URL]... [--definitions PATH]... FILE...\n"
    "prints one OperationOutcome (JSON) a file, each on a line of its own, in the order of the files\n"
    "  --profile URL        a profile to be met beside those in meta.profile\n"
    "  --definitions PATH   StructureDefinitions beside R4's: a file with one or a Bundle of them, or a "
    "folder\n"
    "  --chinese            tells what is wrong in Chinese\n"
    "exit status: 0 all are valid, 1 one has an error, 2 wrong use or a file that cannot be read\n";

struct asked {
    struct arena *arena; /* of the definitions */
    struct validator *validator;
    struct profile_source source;
    struct terminology *terminology;
    struct table own; /* "type url" → resource of --definitions */
    struct validation_options options;
    enum outcome_language language;
};

static bool print_outcome(const struct outcome *outcome, enum outcome_language language)
{
    struct buf buf = { .bytes_max = LIMIT_BUNDLE_BYTES };
    const struct json *resource = outcome_to_json(outcome, language);
    if (resource != NULL) {
        json_write(&buf, resource);
    }
    buf_add_char(&buf, '\n');
    bool ok = resource != NULL && !buf.failed && fwrite(buf.at, 1, buf.len, stdout) == buf.len;
    buf_deinit(&buf);
    return ok;
}

/* The worst exit status so far; each file has an arena of its own, so that a thousand files are no more than one. */
static int validate_file(const struct asked *asked, const char *path)
{
    struct arena arena = { .bytes_max = LIMIT_REQUEST_ARENA_BYTES };
    struct outcome outcome = outcome_in(&arena);
    struct error error = { 0 };
    struct str text = STR_NONE;
    struct json *resource = NULL;
    int code = EXIT_VALID;
    if (!file_read_whole(&arena, path, LIMIT_BUNDLE_BYTES, &text, &error)) {
        (void)fprintf(stderr, "shanhai validate: %s: %s\n", path, error.text);
        outcome_add_error(&outcome, &error);
        code = EXIT_USAGE;
    } else if (!json_read(&arena, text, &resource, &error)) {
        outcome_add_error(&outcome, &error);
        code = EXIT_INVALID;
    } else if (!validation_check(asked->validator, resource, &asked->options, &outcome)) {
        code = EXIT_INVALID;
    }
    if (!print_outcome(&outcome, asked->language)) {
        (void)fprintf(stderr, "shanhai validate: %s: the outcome could not be written\n", path);
        code = EXIT_USAGE;
    }
    arena_deinit(&arena);
    return code;
}

/* ---- definitions ---- */

/* terminology_source */
static bool find_own(void *data, struct arena *arena, struct str type, struct str url,
                     const struct json **resource, struct error *error)
{
    const struct asked *asked = data;
    struct str key =
        arena_printf(arena, "%.*s %.*s", STR_FMT(type), STR_FMT(str_slice(url, 0, str_find_char(url, '|'))));
    *resource = table_get(&asked->own, key);
    return key.at != NULL || FAIL(error, ERROR_TOO_LARGE, "no memory for the definitions");
}

static bool has_code(void *data, struct arena *arena, struct str value_set, struct str system,
                     struct str code, bool *known, bool *is_member, struct error *error)
{
    struct asked *asked = data;
    const struct terminology_source source = { .data = asked, .find = find_own };
    int64_t regex_us = 0;
    const struct terminology_run run = {
        .terminology = asked->terminology, .source = &source, .arena = arena, .regex_us = &regex_us
    };
    const struct terminology_code wanted = { .system = system, .code = code };
    const struct json *found = NULL;
    return terminology_find(&run, STR("ValueSet"), value_set, &found, error) &&
           (found == NULL || terminology_has(&run, found, &wanted, known, is_member, error));
}

static bool find_profile(void *data, struct arena *arena, struct str url, const struct json **structure,
                         struct error *error)
{
    const struct asked *asked = data;
    if (!find_own(data, arena, STR("StructureDefinition"), url, structure, error)) {
        return false;
    }
    *structure =
        *structure != NULL ? *structure : profile_set_find(validator_profiles(asked->validator), url);
    return true;
}

static bool add_definition(struct asked *asked, struct json *resource, struct error *error)
{
    struct str type = JSON_TEXT(asked->arena, resource, "resourceType");
    struct str url = JSON_TEXT(asked->arena, resource, "url");
    if (str_equal(type, STR("Bundle"))) {
        JSON_EACH(entry, JSON_GET(resource, "entry")) {
            struct json *inner = JSON_GET(entry, "resource");
            bool is_bundle = json_equals_text(JSON_GET(inner, "resourceType"), STR("Bundle"));
            if (inner != NULL && !is_bundle && !add_definition(asked, inner, error)) {
                return false;
            }
        }
        return true;
    }
    struct str key = arena_printf(asked->arena, "%.*s %.*s", STR_FMT(type), STR_FMT(url));
    return url.len == 0 || (key.at != NULL && table_set(&asked->own, key, resource)) ||
           FAIL(error, ERROR_TOO_LARGE, "no memory for the definitions");
}

static bool read_definitions(struct asked *asked, const char *path, struct error *error)
{
    struct str text = STR_NONE;
    struct json *resource = NULL;
    DIR *folder = opendir(path);
    bool ok = true;
    if (folder == NULL) {
        return file_read_whole(asked->arena, path, LIMIT_BUNDLE_BYTES, &text, error) &&
               json_read(asked->arena, text, &resource, error) && add_definition(asked, resource, error);
    }
    for (struct dirent *entry = readdir(folder); ok && entry != NULL; entry = readdir(folder)) {
        struct str name = str_from_cstr(entry->d_name);
        if (str_ends_with(name, STR(".json"))) {
            struct str file = arena_printf(asked->arena, "%s/%s", path, entry->d_name);
            ok = file.at != NULL &&
                 file_read_whole(asked->arena, file.at, LIMIT_BUNDLE_BYTES, &text, error) &&
                 json_read(asked->arena, text, &resource, error) && add_definition(asked, resource, error);
        }
    }
    (void)closedir(folder);
    return ok;
}

static bool prepare(struct asked *asked, struct error *error)
{
    struct str profiles = STR_NONE;
    const struct str terms = definition_terminology();
    asked->source = (struct profile_source){ .data = asked, .find = find_profile, .member_of = has_code };
    asked->options.source = &asked->source;
    return definitions_read(asked->arena, NULL, "r4/profiles.json", &profiles, error) &&
           validator_create(profiles, &asked->validator, error) &&
           terminology_create(terms, &asked->terminology, error);
}

/* Options stand before the files. The number of arguments read, or -1. */
static int read_options(int argc, char **argv, struct asked *asked, struct str *profiles)
{
    int at = 1;
    asked->options.profiles = profiles;
    while (at < argc && strncmp(argv[at], "--", 2) == 0) {
        if (strcmp(argv[at], "--chinese") == 0) {
            asked->language = OUTCOME_CHINESE;
            at++;
        } else if (strcmp(argv[at], "--profile") == 0 && at + 1 < argc) {
            profiles[asked->options.profiles_count++] = str_from_cstr(argv[at + 1]);
            at += 2;
        } else if (strcmp(argv[at], "--definitions") == 0 && at + 1 < argc) {
            struct error error = { 0 };
            if (!read_definitions(asked, argv[at + 1], &error)) {
                (void)fprintf(stderr, "shanhai validate: %s: %s\n", argv[at + 1], error.text);
                return -1;
            }
            at += 2;
        } else {
            return -1;
        }
    }
    return at < argc ? at : -1;
}

int cli_validate(int argc, char **argv)
{
    struct arena arena = { .bytes_max = LIMIT_REQUEST_ARENA_BYTES };
    struct error error = { 0 };
    struct asked asked = { .arena = &arena, .own = table_in(&arena), .language = OUTCOME_ENGLISH };
    int code = EXIT_VALID;
    bool help_asked = argc == 2 && strcmp(argv[1], "--help") == 0;
    struct str *profiles = ARENA_ARRAY(&arena, struct str, (size_t)argc);
    int first = help_asked || profiles == NULL ? -1 : read_options(argc, argv, &asked, profiles);
    if (first < 0) {
        (void)fputs(help, help_asked ? stdout : stderr);
        code = help_asked ? EXIT_VALID : EXIT_USAGE;
        goto done;
    }
    if (!prepare(&asked, &error)) {
        (void)fprintf(stderr, "shanhai validate: %s\n", error.text);
        code = EXIT_USAGE;
        goto done;
    }
    for (int i = first; i < argc; i++) {
        int worst = validate_file(&asked, argv[i]);
        code = worst > code ? worst : code;
    }
done:
    terminology_destroy(asked.terminology);
    validator_destroy(asked.validator);
    arena_deinit(&arena);
    return code;
}
