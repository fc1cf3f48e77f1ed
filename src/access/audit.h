/* audit.h — who did what to which record, in an append-only file of compact records with no names and
 * no values (design.md section 5). Groups of records are sealed with SHA-256 over the group and the
 * seal before it: a changed, missing or inserted byte breaks the chain, and audit_verify names the
 * first broken record. Files rotate by size; the chain goes on from file to file.
 *
 * Writes: the store keeps the record in the write's own transaction and hands it to audit_append before
 * the answer goes out, again after a crash (store.h, store_audit_sink). Reads: audit_read_done puts the record into the file before the answer leaves and a
 * background thread syncs within a second. The same person, post, resource and route within 60 s is one
 * record with a count. Any thread; one lock. */
#ifndef SHANHAI_ACCESS_AUDIT_H
#define SHANHAI_ACCESS_AUDIT_H

#include "access/access.h"

struct audit;

enum { AUDIT_PATIENTS_MAX = 8, AUDIT_ROUTE_BYTES_MAX = 96 };

/* AuditEvent.outcome, R4: 0 success, 4 the caller's fault or refused, 8 our fault. */
enum audit_outcome { AUDIT_SUCCESS = 0, AUDIT_REFUSED = 4, AUDIT_FAILED = 8 };

struct audit_record {
    int64_t time_ms;
    struct str person; /* Practitioner id; absent before sign-in and for machines */
    struct str post;
    struct str organization;
    struct str route; /* template: "/fhir/{type}/{id}", never the path asked for */
    enum access_interaction interaction;
    struct str operation;                    /* "$transition", "sign-in", "sign-out", …; else absent */
    struct str type;                         /* resource type; absent for what is none */
    struct str id;                           /* resource id; for a search absent */
    uint64_t query_hash;                     /* of a search's canonical parameters; 0 when there is none */
    uint64_t version;                        /* version written, 0 for reads */
    struct str patients[AUDIT_PATIENTS_MAX]; /* ids of the Patients concerned; the rest absent */
    enum audit_outcome outcome;
    uint32_t count; /* 1; more after merging */
    struct str app; /* client_id of the app that acted for the person; absent without one */
};

struct audit_options {
    const char *folder;               /* of the data; files are audit/000001.log … */
    uint64_t file_bytes_max;          /* rotation; 0 takes 16 MB */
    int64_t (*now_ms)(void *context); /* NULL takes the wall clock */
    void *now_context;
};

bool audit_open(struct arena *arena, const struct audit_options *options, struct audit **audit,
                struct error *error) MUST_CHECK;
void audit_close(struct audit *audit); /* seals and syncs; NULL is allowed */

/* A session's part of a record filled in; the caller adds route, type, id, patients, outcome. */
struct audit_record audit_record_of(const struct access_session *session, struct access_act act);

/* A read (or a refused request): in the file when this returns, on disk within a second. */
bool audit_read_done(struct audit *audit, const struct audit_record *record, struct error *error) MUST_CHECK;

/* The binary form of a record, to travel with a change set to the writer thread. */
bool audit_encode(struct arena *arena, const struct audit_record *record, struct str *bytes,
                  struct error *error) MUST_CHECK;

/* The store's sink (store_audit_sink.append): the encoded records of one commit group, handed over after the
 * commit and before any answer. A group at or below the last one in the log is ignored. The record is in the
 * file when this returns; audit_groups_durable says up to which group it is on disk, and the store keeps what
 * is above that in its outbox. `audit` is void so that the sink's function pointers fit. */
bool audit_append(void *audit, uint64_t group, const struct str *records, size_t records_count,
                  struct error *error) MUST_CHECK;
uint64_t audit_groups_durable(void *audit);

/* The folder of data given at open, for audit_list and audit_verify. */
const char *audit_data_folder(const struct audit *audit);

/* Seals and syncs everything now, counts of running minutes too: for backup, check and tests. */
bool audit_sync(struct audit *audit, struct error *error) MUST_CHECK;

#endif
