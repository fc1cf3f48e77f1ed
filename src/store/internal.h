/* internal.h — what the files of store/ share. Nobody outside includes it.
 *
 * Threads: the writer thread alone touches `writer` and its connection once it runs; `types` grows only there and
 * is read by all (count published last); `readers`, `queue`, `codec.contexts` have the lock beside them. No two of
 * these locks are ever held together. */
#ifndef SHANHAI_STORE_INTERNAL_H
#define SHANHAI_STORE_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/buf.h"
#include "base/hash.h"
#include "base/limits.h"
#include "store/database.h"
#include "store/jobs.h"
#include "store/search.h"
#include "store/sql.h"
#include "store/views.h"

enum { STORE_TYPES_MAX = 512, STORE_LISTENERS_MAX = 16, STORE_COMPOSED_MAX = 64, STORE_GROUP_SETS_MAX = 256 };
enum { STORE_FRESH_HEADS = 16384 };                              /* a power of two */
enum { STORE_PIECES_KNOWN = 16384, STORE_CODINGS_KNOWN = 4096 }; /* powers of two */
enum { STORE_JOBS_LOOKED = 4 };
enum { STORE_BLOCK_REACH = 8192 }; /* between the first and the last version of a block of index rows */

/* ---- a connection and its prepared statements (connection.c) ---- */

struct composed { /* a statement put together from fragments, kept by its text */
    struct str text;
    struct statement *statement;
    uint64_t used;
    bool busy;
};

struct connection {
    struct database *database;
    struct statement *statements[SQL_COUNT]; /* prepared at first use */
    struct composed composed[STORE_COMPOSED_MAX];
    uint64_t composed_clock;
};

bool connection_open(struct connection *connection, const char *path, enum database_mode mode,
                     struct error *error) MUST_CHECK;
void connection_close(struct connection *connection);
struct statement *connection_statement(struct connection *connection, enum sql which, struct error *error);
/* A composed statement, to be given back with connection_release (reset, kept for the next time). */
struct statement *connection_composed(struct connection *connection, struct str text, struct error *error);
void connection_release(struct connection *connection, struct statement *statement);
/* Runs a statement without parameters and rows. */
bool connection_do(struct connection *connection, enum sql which, struct error *error) MUST_CHECK;
/* The same where there is nothing to be done about a failure: the end of a snapshot, a rollback. */
void connection_try(struct connection *connection, enum sql which);

/* ---- bodies (codec.c) ---- */

struct codec_dictionary;
struct codec_context;

struct codec {
    pthread_mutex_t contexts_lock; /* guards contexts and dictionaries */
    struct codec_context *contexts;
    struct codec_dictionary *dictionaries; /* newest first; never freed before the end */
};

bool codec_init(struct codec *codec, struct error *error) MUST_CHECK;
void codec_deinit(struct codec *codec);
/* Makes a dictionary known: `type` absent = for every type that has none of its own. Copies the bytes. */
bool codec_add_dictionary(struct codec *codec, uint32_t id, struct str type, struct str bytes,
                          struct error *error) MUST_CHECK;
/* Trains a dictionary on three of four samples. *bytes absent: it would not save a tenth of what the rest takes now, or
 * they do not do for one. */
bool codec_train(struct codec *codec, struct arena *arena, uint32_t id, struct str type,
                 const struct str *samples, size_t samples_count, struct str *bytes,
                 struct error *error) MUST_CHECK;
/* A number that no dictionary has. */
uint32_t codec_next_id(struct codec *codec);
bool codec_pack(struct codec *codec, struct arena *arena, struct str type, struct str body,
                struct str *packed, struct error *error) MUST_CHECK;
bool codec_unpack(struct codec *codec, struct arena *arena, struct str packed, struct str *body,
                  struct error *error) MUST_CHECK;

/* ---- views (views.c) ---- */

struct view_table { /* a registered view; made once, never changed */
    struct view_table *next;
    char name[44];
    char type[68];
    size_t columns_count;
    bool known;
    uint64_t digest;
    struct str columns; /* "name kind,name kind" as registered */
    struct str sql_add;
    struct str sql_delete;
    struct str sql_forget;
    struct str sql_close;
    struct arena arena;
    bool dropped;
};

/* ---- the store ---- */

struct store_reader {
    struct store *store;
    struct connection *connection;
    struct connection own; /* when not inside the writer */
    struct store_reader *next;
    bool numbered; /* seq and swept are known (reader_numbers) */
    uint64_t seq;
    uint64_t swept;    /* versions followed up to here have no index rows */
    struct runs *runs; /* held for the snapshot */
    bool inside_writer;
};

struct store_transaction {
    struct store *store;
    struct store_reader reader;
    int64_t now_ms;
};

struct store_waiter;

/* What became of each set of the group. */
struct outcome_of_set {
    struct store_set *set;
    bool applied;
    struct error error;
};

/* Where the group has put the latest version of a resource, as long as no run has it. */
struct fresh_head {
    uint64_t key;
    uint64_t seq;
    uint64_t group; /* fresh_group of the writer; any other: free */
};

/* A code or a system alone, and a whole coding that it leads to: keys. */
struct coding_pair {
    uint64_t brief;
    uint64_t whole;
};

struct writer {
    pthread_t thread;
    bool started;
    struct connection connection;
    struct store_transaction transaction;
    uint64_t seq;       /* of the group so far */
    int64_t updated_ms; /* of the last commit, then of the group */
    size_t types_count; /* of store->types; taken back on a rollback */
    bool changed_views;
    bool changed_jobs;
    struct run_entry *entries; /* index rows of the group, not yet in a run */
    size_t entries_count;
    size_t entries_capacity;
    struct fresh_head fresh[STORE_FRESH_HEADS]; /* open addressing; changes its fresh_group to be emptied */
    uint64_t fresh_group;
    bool entries_again;     /* among them such that may be stored already */
    size_t rows_count;      /* index rows of the group so far */
    struct runs *runs;      /* what waits, as committed */
    struct runs *runs_next; /* with the group's; the same when it has none yet */
    struct run_mark mark;   /* how far the main index is, as committed */
    struct run_mark mark_next;
    uint64_t pending; /* number of the last row of index_pending, the group's included */
    uint64_t pending_committed;
    uint64_t pending_dropped; /* rows up to here were deleted */
    bool runs_published;      /* readers may have runs_next already */
    struct buf run_bytes;
    struct version_rows *versions;             /* of the group, not sent yet (version_columns.c) */
    struct heads *heads;                       /* of the group (heads.c); NULL: looked up one by one */
    uint64_t pieces_known[STORE_PIECES_KNOWN]; /* keys of pieces of text that are stored (words.c); 0: none */
    struct coding_pair codings_known[STORE_CODINGS_KNOWN]; /* that are stored (codings.c); zeros: none */
    uint64_t audit_group;                                  /* number of the last outbox row */
    uint64_t audit_dropped;                                /* rows up to here were removed */
    struct view_table *views;                              /* all registered; dropped ones stay in the list */
    bool full;                                             /* the last commit found the disk full */
    bool rested;                                           /* what the last burst took was given back */
    bool told_lost;                                        /* store_options.lost was called */
    bool audit_behind; /* the sink refused a group: hand it over again from the outbox */
    struct outcome_of_set group[STORE_GROUP_SETS_MAX];
};

/* A connection for indicator SQL, whose temporary SQL views show the registered views. */
struct sql_place {
    pthread_mutex_t lock; /* guards the rest */
    struct connection connection;
    uint64_t views_digest; /* of the registry when the temporary views were made */
};

/* The thread that folds the log back (fold.c); `again_at` and `pages_before` are the writer's. */
struct fold {
    pthread_mutex_t lock; /* guards state and closing */
    pthread_cond_t asked;
    enum { FOLD_IDLE, FOLD_ASKED, FOLD_DONE } state;
    bool closing;
    bool started;
    pthread_t thread;
    struct connection connection;
    unsigned again_at;     /* length of the log at which folding is tried again */
    unsigned pages_before; /* length of the log after the commit before */
};

/* When the next job of some kinds is due, as it was found when `changes` of jobs had been committed. */
struct jobs_looked {
    uint64_t kinds; /* a hash of their names */
    uint64_t changes;
    int64_t due_ms;
};

struct store_type {
    char name[68];
    size_t len;
};

struct store {
    struct store_options options;
    int64_t (*now_ms)(void);
    char *folder;
    char *path;
    char *blob_folder;
    char *reserve_path;
    char *url_path;        /* FOLDER/store.url */
    const char *given_url; /* while opening */
    int lock_fd;
    bool is_remote;      /* the path is a PostgreSQL database; the folder has all else */
    unsigned partitions; /* of each table of resources; 0: none (PostgreSQL, sql_postgresql.c) */
    struct codec codec;

    struct store_type types[STORE_TYPES_MAX]; /* number = index + 1 */
    _Atomic size_t types_count;

    pthread_mutex_t jobs_lock; /* guards the next two */
    struct jobs_looked jobs_looked[STORE_JOBS_LOOKED];
    size_t jobs_looked_next;
    _Atomic uint64_t jobs_changes; /* commits that changed jobs; counted after they can be seen */

    pthread_mutex_t readers_lock; /* guards the next six */
    pthread_cond_t readers_free;
    struct store_reader *readers;
    size_t readers_made;
    size_t readers_out;
    uint64_t snapshots;        /* begun since the start */
    uint64_t snapshots_rested; /* of them when store_rest was called last */

    struct sql_place sql_places[2]; /* indicator SQL: now, and as of a sequence number */

    pthread_mutex_t runs_lock; /* guards runs: the pointer, not what it leads to */
    struct runs *runs;

    pthread_mutex_t queue_lock; /* guards the next five */
    pthread_cond_t queue_filled;
    struct store_set *queue_first;
    struct store_set **queue_end;
    size_t queue_count;
    bool closing;

    pthread_mutex_t seq_lock; /* guards waiting for the published sequence number */
    pthread_cond_t seq_grown;
    _Atomic uint64_t seq;
    _Atomic uint64_t epoch;
    struct {
        void (*wake)(void *data, uint64_t seq_last);
        void *data;
    } listeners[STORE_LISTENERS_MAX];
    _Atomic size_t listeners_count; /* published after what it counts */

    _Atomic uint64_t groups;
    _Atomic uint64_t sets;
    _Atomic uint64_t sets_refused;
    _Atomic uint64_t group_us_max;
    _Atomic uint64_t group_us[STORE_GROUP_BUCKETS + 1];
    _Atomic uint64_t group_us_sum;
    _Atomic uint64_t sync_us_sum;
    _Atomic uint64_t group_sets_max;
    _Atomic uint64_t rows_waiting;

    struct fold fold;
    struct writer writer;
};

/* Number of a type, 0 when the store has none of it; its name; both any thread. */
uint32_t store_type_number(const struct store *store, struct str type);
struct str store_type_name(const struct store *store, uint32_t number);

/* Canonical lower-case UUIDs are kept as 16 bytes, other ids as text. `packed` has room for 16 bytes. */
bool id_pack(struct str id, char packed[16]);
bool id_unpack(struct arena *arena, struct str packed, struct str *id);
bool id_is_valid(struct str id);
bool type_is_valid(struct str type);

/* Creates, migrates and reads what an open store needs (schema.c). */
bool schema_prepare(struct store *store, struct error *error) MUST_CHECK;

/* A copy of a text or bytes column; NULL gives STR_NONE, memory that runs out too. */
struct str column_dup(struct arena *arena, struct statement *statement, int at);
/* A column as what it is, texts copied. */
bool column_value(struct arena *arena, struct statement *statement, int at, struct store_value *value,
                  struct error *error) MUST_CHECK;
/* All rows of a statement as values; more than rows_max is ERROR_TOO_COSTLY. Does not reset it. */
bool rows_collect(struct arena *arena, struct statement *statement, size_t columns_count, size_t rows_max,
                  struct store_rows *rows, struct error *error) MUST_CHECK;

/* Before seq or swept of a reader is looked at: where asking is a way to another process, a read by id does without. */
bool reader_numbers(struct store_reader *reader, struct error *error) MUST_CHECK;

/* Reads one row of VERSION_COLUMNS (read.c). */
bool version_from_row(struct store_reader *reader, struct arena *arena, struct statement *statement,
                      bool without_body, struct store_version *version, struct error *error) MUST_CHECK;

/* The statement that gives the latest version of a resource, with its values bound; NULL with an error. */
struct statement *statement_by_key(struct store_reader *reader, uint64_t resource, struct error *error);

/* The version with a sequence number; ERROR_NOT_FOUND. */
bool version_read(struct store_reader *reader, struct arena *arena, uint64_t seq, bool without_body,
                  struct store_version *version, struct error *error) MUST_CHECK;

/* The versions with these numbers, in their order: where a look-up is a way to another process, by one. */
bool versions_read(struct store_reader *reader, struct arena *arena, const uint64_t *seqs, size_t count,
                   bool without_bodies, struct store_version *versions, struct error *error) MUST_CHECK;

/* Removes the rows of one version (upkeep.c), and a piece of text that no other version has (words.c). In the writer. */
bool version_sweep(struct connection *connection, const struct index_rows *rows, uint64_t seq,
                   struct error *error) MUST_CHECK;
bool words_remove(struct writer *writer, const struct index_row *row, uint64_t seq,
                  struct error *error) MUST_CHECK;

/* ---- writer.c, apply.c, index.c ---- */

/* Folding beside the writer; the second after each commit. */
bool fold_start(struct store *store, struct error *error) MUST_CHECK;
void fold_after_commit(struct store *store);
void fold_stop(struct store *store); /* also when it was never started */

bool writer_start(struct store *store, struct error *error) MUST_CHECK;
void writer_stop(struct store *store);

/* Gives up the reserve file, or makes it again (store.c). */
void reserve_release(struct store *store);
void reserve_make(struct store *store);
bool reserve_has_room(const struct store *store);

/* Hands outbox rows after `after` to the sink (audit.c). */
bool audit_start(struct store *store, struct error *error) MUST_CHECK;
bool audit_add_group(struct store *store, size_t sets_count, struct error *error) MUST_CHECK;
bool audit_group_read(struct store_reader *reader, uint64_t *group, struct error *error) MUST_CHECK;
void audit_hand_over(struct store *store, size_t sets_count);

/* What is there now of a resource. */
struct head {
    uint64_t seq; /* 0: nothing */
    uint64_t version;
    uint64_t custodian;
    uint32_t type;
    struct str id; /* as stored */
    bool deleted;
};

/* heads.c: reads what is there of all that the first `count` sets of the group name. Does nothing where look-ups are cheap. */
bool heads_prepare(struct store *store, size_t count, struct error *error) MUST_CHECK;
const struct head *heads_find(const struct writer *writer, uint64_t key); /* NULL: not known */
void heads_note_write(struct writer *writer, uint64_t key);
void heads_forget(struct writer *writer);

/* version_columns.c: a new version of the group; sent with the others before anything is asked in the transaction. */
struct version_place {
    uint64_t key;
    uint32_t type;
    uint64_t custodian;
    bool is_first; /* version of its resource */
};

bool versions_remember(struct writer *writer, const struct store_write *write, struct version_place place,
                       struct error *error) MUST_CHECK;
/* The text must live until the group's end. */
bool pieces_remember(struct writer *writer, const struct index_row *row, struct error *error) MUST_CHECK;
bool versions_flush(struct writer *writer, struct error *error) MUST_CHECK;
void versions_forget(struct writer *writer);
void versions_end(struct writer *writer);

enum applied { APPLIED, REFUSED, BROKEN }; /* BROKEN: the transaction must be rolled back */
/* Checks and applies one set inside the open transaction. */
enum applied apply_set(struct store *store, struct store_set *set, struct error *error);

/* The one place through which index rows enter the store. Of a version in the group: remembered, then put into a run
 * (index_flush: whoever searches in the transaction sees them). */
bool index_remember(struct writer *writer, const struct index_rows *index, uint64_t seq, uint64_t resource,
                    struct error *error) MUST_CHECK;
/* And where the latest version of a resource is now; where there are runs. */
bool index_remember_head(struct writer *writer, uint64_t resource, uint64_t seq,
                         struct error *error) MUST_CHECK;
/* Where that is, as far as it waits; 0: look into the table. */
uint64_t index_head(const struct store_reader *reader, uint64_t resource);
bool index_flush(struct writer *writer, struct error *error) MUST_CHECK;
/* Of a version that is stored already: those that it lacks. */
bool index_add_missing(struct writer *writer, const struct index_rows *index, uint64_t seq, uint64_t resource,
                       struct error *error) MUST_CHECK;
/* The rows of the writer's entries, which are sorted, in as few statements as there are kinds: PostgreSQL's way. `blocks`:
 * versions that share a value as one row. */
bool index_add_columns(struct writer *writer, bool blocks, struct error *error) MUST_CHECK;
int index_entries_compare(const void *left, const void *right);
/* In the order of the main index. */
void index_sort_entries(struct run_entry *entries, size_t count);
/* The last step before a commit: flush, carry on merging into the main index (`rows_more` rows beyond what the group
 * itself pays for), show readers what waits now. */
bool index_before_commit(struct store *store, size_t rows_more, struct error *error) MUST_CHECK;
void index_after_commit(struct store *store);
void index_after_rollback(struct store *store);
/* Reads what waits (at open), and whether anything does. */
/* Binds a row as INSERT, DELETE and the look-up of one row have it: parameter, values, seq. */
void bind_index_row(struct statement *statement, const struct index_row *row, uint64_t seq);
/* Whether rows of the version, or of one before it, may wait still. */
bool index_is_waiting(const struct writer *writer, uint64_t seq);
/* Whether an index row is there, in the main index or waiting (check.c). */
bool index_row_exists(struct store_reader *reader, const struct index_row *row, uint64_t seq, bool *exists,
                      struct error *error) MUST_CHECK;
bool index_start(struct store *store, struct error *error) MUST_CHECK;
bool index_waits(const struct store *store);
void index_end(struct store *store);
/* The pairs of keys that derived rows speak of, unless they are there, and whether one is (codings.c). */
bool codings_add(struct writer *writer, const struct index_rows *index, struct error *error) MUST_CHECK;
bool coding_exists(struct store_reader *reader, const struct index_row *row, bool *exists,
                   struct error *error) MUST_CHECK;
/* The pieces of text that rows speak of, unless they are there (words.c). */
bool words_add(struct writer *writer, const struct index_rows *index, struct error *error) MUST_CHECK;

/* ---- views.c, inside the writer ---- */

struct view_table *view_find(const struct store *store, struct str name);
bool view_close_rows(struct store *store, uint64_t resource, struct str type, uint64_t seq_to,
                     struct error *error) MUST_CHECK;
bool view_forget(struct store *store, uint64_t resource, struct str type, struct error *error) MUST_CHECK;
bool view_add_rows(struct store *store, const struct store_view_rows *rows, uint64_t resource, uint64_t seq,
                   struct error *error) MUST_CHECK;
bool view_replace_rows(struct store *store, const struct store_view_rows *rows, uint64_t resource,
                       uint64_t seq, struct error *error) MUST_CHECK;
bool views_load(struct store *store, struct error *error) MUST_CHECK;
bool views_reload(struct store *store, struct error *error) MUST_CHECK;
void views_free(struct store *store);

/* ---- rows.c ---- */
bool tables_prepare(struct store *store, struct error *error) MUST_CHECK;

/* ---- jobs.c ---- */
bool job_add(struct store *store, struct store_job_new *job, struct error *error) MUST_CHECK;

#endif
