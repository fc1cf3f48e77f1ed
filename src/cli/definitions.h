/* definitions.h — the rule files that are part of the program (definitions/ at build time), overridden file by file by
 * a folder of the operator. */
#ifndef SHANHAI_CLI_DEFINITIONS_H
#define SHANHAI_CLI_DEFINITIONS_H

#include "base/arena.h"
#include "base/error.h"

struct definition_file {
    const char *name; /* "workflows/consult.json" */
    struct str text;
};

extern const struct definition_file definition_files[];
extern const size_t definition_files_count;

/* definitions/r4/terminology.json, in the program as it is (2 MB). */
extern const char definition_terminology_start[];
extern const char definition_terminology_end[];

static inline struct str definition_terminology(void)
{
    /* cppcheck-suppress comparePointers ; both are ends of one object file's bytes */
    ptrdiff_t len = definition_terminology_end - definition_terminology_start;
    return (struct str){ definition_terminology_start, (size_t)len };
}

/* All files of a folder ("workflows") by name, those of `override` (may be NULL) instead of or beside the built-in. */
bool definitions_list(struct arena *arena, const char *override, const char *folder,
                      struct definition_file **files, size_t *count, struct error *error) MUST_CHECK;

/* One file; STR_NONE when there is none. */
bool definitions_read(struct arena *arena, const char *override, const char *name, struct str *text,
                      struct error *error) MUST_CHECK;

#endif
