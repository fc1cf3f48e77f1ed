/* suite.h — each JSON file of a folder of the shared suites, read. */
#ifndef SHANHAI_TESTS_SUITE_H
#define SHANHAI_TESTS_SUITE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/limits.h"
#include "json/json.h"

/* `take` gets the file's name, its tree and an arena that lives as long as the call. The count of files; a test whose suite is
 * not there is left out. */
static inline size_t suite_each(const char *suite,
                                void (*take)(void *data, const char *name, const struct json *tree,
                                             struct arena *arena),
                                void *data)
{
    const char *shared = getenv("SHANHAI_SHARED");
    struct arena paths = { .bytes_max = 64 * 1024 };
    struct str path = arena_printf(&paths, "%s/suites/%s", shared == NULL ? "../shared" : shared, suite);
    DIR *folder = opendir(path.at);
    size_t count = 0;
    if (folder == NULL) {
        arena_deinit(&paths);
        print_message("left out: no suites/%s in SHANHAI_SHARED\n", suite);
        skip();
    }
    for (struct dirent *entry = NULL; (entry = readdir(folder)) != NULL;) {
        struct str name = str_from_cstr(entry->d_name);
        if (!str_ends_with(name, STR(".json")) || str_equal(name, STR("package.json"))) {
            continue;
        }
        struct arena own = { .bytes_max = 1u << 30 };
        struct error error = { 0 };
        struct str text = STR_NONE;
        struct json *tree = NULL;
        struct str file = arena_printf(&own, "%.*s/%s", STR_FMT(path), entry->d_name);
        assert_true(file_read_whole(&own, file.at, LIMIT_BUNDLE_BYTES, &text, &error));
        assert_true(json_read(&own, text, &tree, &error));
        take(data, entry->d_name, tree, &own);
        arena_deinit(&own);
        count++;
    }
    (void)closedir(folder);
    arena_deinit(&paths);
    return count;
}

#endif
