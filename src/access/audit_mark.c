#include "access/audit_mark.h"

#include <stdio.h>

#include "access/audit_read.h"
#include "access/row_json.h"
#include "base/file.h"

#define LAST "last"

enum { MARK_ARENA_BYTES = 64 * 1024, SEAL_FRAME_BYTES = AUDIT_FRAME_BYTES + AUDIT_SEAL_PAYLOAD_BYTES };

static const size_t file_bytes_max = (size_t)1024 * 1024 * 1024;

static bool same(const struct audit_mark *a, const struct audit_mark *b)
{
    return a->file == b->file && a->end == b->end && memcmp(a->seal, b->seal, sizeof a->seal) == 0;
}

static bool row_make(struct arena *arena, const struct audit_mark *mark, struct str key,
                     struct rows_change *change, struct error *error)
{
    struct json *row = json_new(arena, JSON_OBJECT);
    (void)json_add(row, STR("file"), json_new_integer(arena, (int64_t)mark->file));
    (void)json_add(row, STR("end"), json_new_integer(arena, (int64_t)mark->end));
    (void)json_add_text(arena, row, STR("seal"), hex_text(arena, mark->seal, sizeof mark->seal));
    *change = (struct rows_change){ .kind = ROWS_AUDIT_MARK, .key = key };
    return row_change(arena, row, change, error);
}

bool audit_mark_keep(struct audit *audit, const struct access_rows *rows, struct audit_mark *kept,
                     struct error *error)
{
    struct arena arena = { .bytes_max = MARK_ARENA_BYTES };
    struct audit_mark mark = { 0 };
    struct rows_change change = { 0 };
    audit_mark_of(audit, &mark);
    bool ok = true;
    if (mark.end > 0 && !same(&mark, kept)) {
        ok = row_make(&arena, &mark, STR(LAST), &change, error) &&
             rows->write(rows->context, &change, 1, error);
        *kept = ok ? mark : *kept;
    }
    arena_deinit(&arena);
    return ok;
}

/* ---- looking ---- */

struct looking {
    struct arena arena;
    struct audit_mark last;
    struct audit_mark_report *report;
};

static void tell(struct audit_mark_report *report, const struct audit_mark *mark)
{
    char text[160];
    (void)snprintf(text, sizeof text,
                   "the end of the log was cut off: the seal at byte %llu of audit file %06llu is not there",
                   (unsigned long long)mark->end, (unsigned long long)mark->file);
    report->findings_count++;
    report->finding(report->data, text);
}

static bool row_look(void *data, struct str key, struct str value, struct error *error)
{
    struct looking *looking = data;
    struct json *row = NULL;
    int64_t file = 0;
    int64_t end = 0;
    struct audit_mark mark = { 0 };
    if (!json_read(&looking->arena, value, &row, error) || !row_integer(row, STR("file"), &file, error) ||
        !row_integer(row, STR("end"), &end, error) ||
        !hex_bytes(JSON_TEXT(&looking->arena, row, "seal"), mark.seal, sizeof mark.seal)) {
        return FAIL(error, ERROR_STRUCTURE, "the store's mark of the audit log is damaged");
    }
    mark.file = (uint64_t)file;
    mark.end = (uint64_t)end;
    if (str_equal(key, STR(LAST))) {
        looking->last = mark;
    } else {
        tell(looking->report, &mark); /* found before */
    }
    return true;
}

/* Whether this very seal stands at its place. That what is before it fits is audit_verify's to say. */
static bool is_there(struct arena *arena, const char *data_folder, const struct audit_mark *mark, bool *there,
                     struct error *error)
{
    char folder[AUDIT_PATH_BYTES];
    char path[AUDIT_PATH_BYTES];
    struct str file = STR_NONE;
    struct str payload = STR_NONE;
    struct audit_seal seal = { 0 };
    struct error missing = { 0 };
    char kind = 0;
    int len = snprintf(folder, sizeof folder, "%s/audit", data_folder);
    *there = false;
    if (len < 0 || (size_t)len >= sizeof folder || !audit_file_path(folder, mark->file, path)) {
        return FAIL(error, ERROR_INPUT, "the folder's name is too long");
    }
    if (!file_read_whole(arena, path, file_bytes_max, &file, &missing)) {
        return missing.kind == ERROR_NOT_FOUND || FAIL(error, missing.kind, "%.150s", missing.text);
    }
    size_t offset = mark->end < SEAL_FRAME_BYTES ? file.len : (size_t)mark->end - SEAL_FRAME_BYTES;
    *there = audit_frame_next(file, &offset, &kind, &payload) && kind == AUDIT_FRAME_SEAL &&
             offset == mark->end && audit_seal_read(payload, &seal) &&
             memcmp(seal.seal, mark->seal, sizeof seal.seal) == 0;
    return true;
}

bool audit_mark_verify(const char *data_folder, const struct access_rows *rows,
                       struct audit_mark_report *report, struct error *error)
{
    struct looking looking = { .arena = { .bytes_max = 2 * file_bytes_max }, .report = report };
    struct rows_change change = { 0 };
    bool there = true;
    bool ok = rows->each(rows->context, ROWS_AUDIT_MARK, row_look, &looking, error) &&
              (looking.last.end == 0 || is_there(&looking.arena, data_folder, &looking.last, &there, error));
    if (ok && !there) {
        tell(report, &looking.last);
        struct str key = arena_printf(&looking.arena, "cut-%lld", (long long)report->now_ms);
        ok = !report->remember || row_make(&looking.arena, &looking.last, key, &change, error);
        /* The mark itself goes, else the next start would find the same cut again. */
        const struct rows_change changes[] = { change, { .kind = ROWS_AUDIT_MARK, .key = STR(LAST) } };
        ok = ok && (!report->remember || rows->write(rows->context, changes, 2, error));
    }
    arena_deinit(&looking.arena);
    return ok;
}
