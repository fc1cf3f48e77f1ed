/* audit_backup.c — how much of the audit log belongs to a copy of the store. The copy numbers its next commit group after
 * the last it knows; a log that knew later groups would take those new ones for known and drop their records. */
#include <stdio.h>

#include "access/audit_format.h"
#include "access/audit_read.h"
#include "base/file.h"

enum { FILE_BYTES_MAX = 1024 * 1024 * 1024 };

/* The end of the last seal whose group is at most `group`; *is_whole: no later group was met. */
static bool part_end(struct str file, uint64_t group, size_t *end, bool *is_whole, struct error *error)
{
    uint64_t number = 0;
    uint8_t before[SHA256_BYTES];
    char kind = 0;
    struct str payload = STR_NONE;
    struct audit_seal seal = { 0 };
    size_t offset = AUDIT_HEADER_BYTES;
    if (!audit_header_read(file, &number, before)) {
        return FAIL(error, ERROR_STRUCTURE, "a file of the audit log has no header: run `shanhai check`");
    }
    *end = offset;
    *is_whole = true;
    while (*is_whole && audit_frame_next(file, &offset, &kind, &payload)) {
        if (kind == AUDIT_FRAME_SEAL && audit_seal_read(payload, &seal)) {
            *is_whole = seal.group <= group;
            *end = *is_whole ? offset : *end;
        }
    }
    return true;
}

bool audit_backup_parts(struct arena *arena, const char *data_folder, uint64_t group,
                        struct audit_part **parts, size_t *count, struct error *error)
{
    char folder[AUDIT_PATH_BYTES];
    uint64_t last = 0;
    int len = snprintf(folder, sizeof folder, "%s/audit", data_folder);
    if (len < 0 || len >= AUDIT_PATH_BYTES || !audit_last_file(folder, &last, error)) {
        return FAIL(error, ERROR_NOT_FOUND, "there is no audit log in this folder");
    }
    struct audit_part *list = ARENA_ARRAY(arena, struct audit_part, (size_t)last + 1);
    bool ok = list != NULL || FAIL(error, ERROR_TOO_LARGE, "no memory for the list of audit files");
    bool is_whole = true;
    size_t found = 0;
    for (uint64_t number = 1; ok && is_whole && number <= last; number++) {
        struct arena texts = { .bytes_max = FILE_BYTES_MAX + 4096u };
        struct str file = STR_NONE;
        size_t end = 0;
        struct audit_part *part = &list[found++];
        ok = audit_file_path(folder, number, part->path) &&
             file_read_whole(&texts, part->path, FILE_BYTES_MAX, &file, error) &&
             part_end(file, group, &end, &is_whole, error);
        part->bytes = end;
        arena_deinit(&texts);
    }
    *parts = list;
    *count = ok ? found : 0;
    return ok;
}
