#include "cli/definitions.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"

enum { DEFINITION_FILES_MAX = 256, DEFINITION_BYTES_MAX = 4 * 1024 * 1024 };

bool definitions_read(struct arena *arena, const char *override, const char *name, struct str *text,
                      struct error *error)
{
    char path[4096];
    struct error cause = { 0 };
    *text = STR_NONE;
    if (override != NULL) {
        (void)snprintf(path, sizeof path, "%s/%s", override, name);
        if (file_read_whole(arena, path, DEFINITION_BYTES_MAX, text, &cause)) {
            return true;
        }
        if (cause.kind != ERROR_NOT_FOUND) {
            return FAIL(error, cause.kind, "%s", cause.text);
        }
    }
    for (size_t i = 0; i < definition_files_count; i++) {
        if (strcmp(definition_files[i].name, name) == 0) {
            *text = definition_files[i].text;
        }
    }
    return true;
}

static int by_name(const void *a, const void *b)
{
    const struct definition_file *left = a;
    const struct definition_file *right = b;
    return strcmp(left->name, right->name);
}

static bool has_file(const struct definition_file *files, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(files[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

/* Names in the operator's folder that the program does not know. */
static bool add_own(struct arena *arena, const char *override, const char *folder,
                    struct definition_file *files, size_t *count)
{
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/%s", override, folder);
    DIR *dir = opendir(path);
    bool ok = true;
    for (struct dirent *entry = dir == NULL ? NULL : readdir(dir); ok && entry != NULL;
         entry = readdir(dir)) {
        struct str name = str_from_cstr(entry->d_name);
        if (!str_ends_with(name, STR(".json"))) {
            continue;
        }
        struct str full = arena_printf(arena, "%s/%s", folder, entry->d_name);
        ok = full.at != NULL && *count < DEFINITION_FILES_MAX;
        if (ok && !has_file(files, *count, full.at)) {
            files[(*count)++].name = full.at;
        }
    }
    if (dir != NULL) {
        (void)closedir(dir);
    }
    return ok;
}

bool definitions_list(struct arena *arena, const char *override, const char *folder,
                      struct definition_file **files, size_t *count, struct error *error)
{
    struct definition_file *list = ARENA_ARRAY(arena, struct definition_file, DEFINITION_FILES_MAX);
    size_t found = 0;
    size_t folder_len = strlen(folder);
    if (list == NULL) {
        return FAIL(error, ERROR_INTERNAL, "no memory for the definitions");
    }
    for (size_t i = 0; i < definition_files_count; i++) {
        const char *name = definition_files[i].name;
        if (strncmp(name, folder, folder_len) == 0 && name[folder_len] == '/') {
            list[found++].name = name;
        }
    }
    if (override != NULL && !add_own(arena, override, folder, list, &found)) {
        return FAIL(error, ERROR_TOO_LARGE, "more than %d files in '%s'", DEFINITION_FILES_MAX, folder);
    }
    qsort(list, found, sizeof *list, by_name);
    for (size_t i = 0; i < found; i++) {
        if (!definitions_read(arena, override, list[i].name, &list[i].text, error)) {
            return false;
        }
    }
    *files = list;
    *count = found;
    return true;
}
