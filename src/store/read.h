/* read.h — snapshots. A reader sees the store as of one commit, whatever is written meanwhile. Take one a
 * request and end it within LIMIT_STORE_SNAPSHOT_MS: longer ones are cut off with ERROR_TOO_COSTLY, since they
 * keep the write-ahead log from being folded back (walk by key instead). A reader belongs to one thread at a time.
 * Texts and bodies that a reader gives are copied into the arena that the caller hands in and outlive it. */
#ifndef SHANHAI_STORE_READ_H
#define SHANHAI_STORE_READ_H

#include "store/store.h"

/* One version of a resource, as stored. */
struct store_version {
    uint64_t seq;
    uint64_t resource; /* its key */
    struct str type;
    struct str id;
    uint64_t version;
    int64_t updated_ms;
    enum store_method method; /* STORE_METHOD_DELETED: a deletion, without body */
    uint64_t custodian;
    uint64_t author;
    uint64_t ended_seq; /* the sequence number of the next version; 0 while current */
    struct str body;    /* tail */
};

/* Takes a reader (waits a moment for a free one, then ERROR_BUSY). It sees one moment: that of its first look into the
 * database, not before this call (in the folder's own file it is the call). */
bool store_reader_begin(struct store *store, struct store_reader **reader, struct error *error) MUST_CHECK;
void store_reader_end(struct store_reader *reader); /* NULL is fine */

/* The sequence number of the snapshot. */
uint64_t store_reader_seq(struct store_reader *reader);

/* Current version; ERROR_NOT_FOUND when it never was; a deleted one is given with method DELETED (the caller answers
 * 410). */
bool store_read(struct store_reader *reader, struct arena *arena, struct str type, struct str id,
                struct store_version *version, struct error *error) MUST_CHECK;
/* The same without its body: for who asks only whose it is, or what it is. */
bool store_read_head(struct store_reader *reader, struct arena *arena, struct str type, struct str id,
                     struct store_version *version, struct error *error) MUST_CHECK;
bool store_read_key(struct store_reader *reader, struct arena *arena, uint64_t resource,
                    struct store_version *version, struct error *error) MUST_CHECK;

/* A version by number, ERROR_NOT_FOUND when there is none. */
bool store_read_version(struct store_reader *reader, struct arena *arena, struct str type, struct str id,
                        uint64_t number, struct store_version *version, struct error *error) MUST_CHECK;

/* By sequence number. `versions` has room for `count`, filled in the order of `seqs`. */
bool store_read_seqs(struct store_reader *reader, struct arena *arena, const uint64_t *seqs, size_t count,
                     struct store_version *versions, struct error *error) MUST_CHECK;

/* The version of a resource in force at a sequence number (a report's, a page cursor's). */
bool store_read_as_of(struct store_reader *reader, struct arena *arena, struct str type, struct str id,
                      uint64_t as_of_seq, struct store_version *version, struct error *error) MUST_CHECK;

/* Type and id of a resource key. */
bool store_resource_name(struct store_reader *reader, struct arena *arena, uint64_t resource,
                         struct str *type, struct str *id, struct error *error) MUST_CHECK;

struct store_page {
    struct store_version *versions;
    size_t count;
    bool more;         /* there are further ones */
    uint64_t next_seq; /* hand in as before_seq (history) or after_seq (feed) for the next page */
};

/* History, newest first: of an instance (type and id), a type, or the system (both absent). before_seq 0 =
 * from the newest; since_ms/until_ms 0 = no bound on lastUpdated. Bodies are left out when `without_bodies`. */
struct store_history {
    struct str type;
    struct str id;
    uint64_t before_seq; /* oldest_first: after it; 0 = from the beginning of the order */
    bool oldest_first;
    int64_t since_ms; /* at or after (_since) */
    int64_t until_ms; /* before */
    size_t count;
    bool without_bodies;
};
bool store_read_history(struct store_reader *reader, struct arena *arena, const struct store_history *history,
                        struct store_page *page, struct error *error) MUST_CHECK;
bool store_count_history(struct store_reader *reader, const struct store_history *history, uint64_t *count,
                         struct error *error) MUST_CHECK;

/* The feed: the next versions after a sequence number, oldest first, of `type` or of all (absent). */
bool store_read_feed(struct store_reader *reader, struct arena *arena, uint64_t after_seq, struct str type,
                     size_t count, bool without_bodies, struct store_page *page,
                     struct error *error) MUST_CHECK;

/* The last sequence number whose commit was before `time_ms` (0 when none): `:as_of` as a number. */
bool store_seq_before(struct store_reader *reader, int64_t time_ms, uint64_t *seq,
                      struct error *error) MUST_CHECK;

/* Named cursors in the feed (subscriptions, view fills). 0 when never set. Setting writes and waits. */
bool store_cursor_get(struct store_reader *reader, struct str name, uint64_t *seq,
                      struct error *error) MUST_CHECK;
bool store_cursor_set(struct store *store, struct str name, uint64_t seq, struct error *error) MUST_CHECK;

/* Grants that are alive at a time: of a resource or of a basis (one of them is given), to one post or all (0). */
struct store_grants_query {
    uint64_t resource;
    uint64_t basis;
    uint64_t post;
    int64_t alive_at_ms;
};
bool store_grants_list(struct store_reader *reader, struct arena *arena,
                       const struct store_grants_query *query, struct store_grant **grants, size_t *count,
                       struct error *error) MUST_CHECK;

#endif
