/* scratch.h — folders of a test under /tmp: made, looked through, removed. */
#ifndef SHANHAI_TESTS_SCRATCH_H
#define SHANHAI_TESTS_SCRATCH_H

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SCRATCH_PATH_BYTES = 512, SCRATCH_DEPTH_MAX = 8 };

static inline bool scratch_file_has(const char *path, const char *text, size_t len)
{
    static char bytes[8 << 20];
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        return false;
    }
    size_t size = fread(bytes, 1, sizeof bytes, file);
    (void)fclose(file);
    return memmem(bytes, size, text, len) != NULL;
}

/* Visits every file below; removes them (text NULL), or says whether one holds the text. */
static inline bool scratch_visit(const char *folder, const char *text, size_t len, unsigned depth)
{
    char path[SCRATCH_PATH_BYTES];
    struct stat info;
    bool found = false;
    DIR *entries = depth > SCRATCH_DEPTH_MAX ? NULL : opendir(folder);
    for (struct dirent *entry = entries == NULL ? NULL : readdir(entries); entry != NULL;
         entry = readdir(entries)) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
            snprintf(path, sizeof path, "%s/%s", folder, entry->d_name) >= SCRATCH_PATH_BYTES ||
            lstat(path, &info) != 0) {
            continue;
        }
        if (S_ISDIR(info.st_mode)) {
            found = scratch_visit(path, text, len, depth + 1) || found;
        } else if (text != NULL) {
            found = scratch_file_has(path, text, len) || found;
        } else {
            (void)unlink(path);
        }
    }
    if (entries != NULL) {
        (void)closedir(entries);
    }
    if (text == NULL) {
        (void)rmdir(folder);
    }
    return found;
}

static inline void scratch_remove(const char *folder)
{
    (void)scratch_visit(folder, NULL, 0, 0);
}

static inline bool scratch_contains(const char *folder, const char *text, size_t len)
{
    return scratch_visit(folder, text, len, 0);
}

#endif
