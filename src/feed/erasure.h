/* erasure.h — $erase (design.md section 5): a patient's record, or one resource of it, is taken out of the store for good.
 * One person asks and names the rule, another confirms; then a job deletes and erases record by record and goes on after a
 * crash. What stays is a row a record: type, id, time, rule and a hash of what was there; and the audit log, which holds
 * no content. A legal hold stops it, also in the middle. Images are not erased: who has some is refused.
 *
 * Any thread; the calls may block on the disk. */
#ifndef SHANHAI_FEED_ERASURE_H
#define SHANHAI_FEED_ERASURE_H

#include "access/access.h"
#include "feed/feed.h"

struct change;
struct erasure;
struct store_table;

enum { ERASURE_TABLES = 2 };
void erasure_tables(const struct store_table *tables[ERASURE_TABLES]);

struct erasure_options {
    struct store *store;
    struct change *change;
    struct access *access;
    int offset_minutes; /* site.timezone */
};
/* Lives in the arena, which must outlive the feed. */
bool erasure_open(struct arena *arena, const struct erasure_options *options, struct erasure **erasure,
                  struct error *error) MUST_CHECK;
struct job_kind erasure_job_kind(struct erasure *erasure);

/* Somebody asks: *answer tells the number of records that would go, and of those of other hospitals that stay. The caller
 * has asked for the right and whether the session may see the record. ERROR_RULE: a legal hold, images. */
struct erasure_ask {
    struct str type;
    struct str id;
    struct str rule; /* patient-request, retention-ended, entered-in-error, court-order */
};
bool erasure_begin(struct erasure *erasure, const struct access_session *session, struct arena *arena,
                   const struct erasure_ask *ask, struct json **answer, struct error *error) MUST_CHECK;

/* What was asked for in the session's hospital, newest first. */
bool erasure_list(struct erasure *erasure, const struct access_session *session, struct arena *arena,
                  struct json **answer, struct error *error) MUST_CHECK;

/* Another person's word: what is there now is written down, and the job begins. ERROR_FORBIDDEN for who asked,
 * ERROR_CONFLICT when it was decided already. */
bool erasure_confirm(struct erasure *erasure, const struct access_session *session, struct arena *arena,
                     struct str id, struct json **answer, struct error *error) MUST_CHECK;
bool erasure_refuse(struct erasure *erasure, const struct access_session *session, struct arena *arena,
                    struct str id, struct json **answer, struct error *error) MUST_CHECK;

#endif
