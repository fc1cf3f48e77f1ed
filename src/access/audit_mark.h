/* audit_mark.h — the log's last seal kept in the store too: whole sealed groups that were cut off the log's end, or whole
 * files taken from it, leave a chain that fits; but then the seal that the store remembers is not in it.
 *
 * A mark is written only after the log has it on disk, so a crash never looks like a cut. What is found missing stays
 * remembered for good: a log that goes on does not hide it. */
#ifndef SHANHAI_ACCESS_AUDIT_MARK_H
#define SHANHAI_ACCESS_AUDIT_MARK_H

#include "access/audit.h"
#include "access/rows.h"
#include "base/hash.h"

struct audit_mark {
    uint64_t file;
    uint64_t end; /* offset behind the seal; 0: no seal yet */
    uint8_t seal[SHA256_BYTES];
};

/* The last seal that is on disk. */
void audit_mark_of(struct audit *audit, struct audit_mark *mark);

/* Writes it into the store when it is another than *kept. About every few seconds, on a thread that may wait. */
bool audit_mark_keep(struct audit *audit, const struct access_rows *rows, struct audit_mark *kept,
                     struct error *error) MUST_CHECK;

/* Compares the store's mark with the log, and tells what was found missing now and before, a line each. With `remember`
 * (at start) what is missing now is remembered. False only when looking itself failed. */
struct audit_mark_report {
    bool remember;
    int64_t now_ms;
    void (*finding)(void *data, const char *text);
    void *data;
    uint64_t findings_count;
};
bool audit_mark_verify(const char *data_folder, const struct access_rows *rows,
                       struct audit_mark_report *report, struct error *error) MUST_CHECK;

#endif
