/* archive_internal.h — what the files of the archive share. Not for others. */
#ifndef SHANHAI_DICOM_ARCHIVE_INTERNAL_H
#define SHANHAI_DICOM_ARCHIVE_INTERNAL_H

#include <pthread.h>

#include "base/hash.h"
#include "dicom/archive.h"

enum {
    ARCHIVE_PACK_MAGIC_BYTES = 16,
    ARCHIVE_RECORD_BYTES = 512, /* header before each instance */
    ARCHIVE_PACKS_OPEN_MAX = 32,
    ARCHIVE_BATCH_MAX = 64,
    ARCHIVE_TEXT_BYTES_MAX = 1024, /* of one attribute in the index */
};

/* What the index knows of one instance. Text in an arena. */
struct archive_facts {
    struct str sop, class_uid, syntax, study, series, organization;
    struct str patient_name, patient_id, issuer, birth_date, sex;
    struct str accession, study_id, study_date, study_time, study_description, referring, institution,
        timezone;
    struct str modality, series_number, series_description, body_part, series_date, series_time, laterality,
        manufacturer, model, station, kernel;
    int64_t number, rows, columns, bits, frames;
    uint64_t dataset_offset; /* in the Part 10 file */
    uint64_t header_bytes;
    uint64_t frame_offset;
    uint64_t frame_bytes;
    uint64_t bytes;  /* of the Part 10 file */
    uint64_t offset; /* in the pack */
    int64_t received_ms;
    char pack[ARCHIVE_PACK_BYTES];
    uint8_t hash[SHA256_BYTES]; /* of the data set */
    int64_t source;             /* number of where it came from; 0: from where the study's first came */
    bool is_hidden;
};

/* An open pack file of a series that is being received. */
struct archive_pack {
    pthread_mutex_t lock; /* guards all below but pins */
    pthread_cond_t synced_more;
    char name[ARCHIVE_PACK_BYTES];
    int fd;               /* -1: free slot */
    unsigned pins;        /* guarded by archive->packs_lock */
    uint64_t used_number; /* guarded by archive->packs_lock: for the least recently used */
    uint64_t end;
    uint64_t synced;
    bool is_syncing;
    bool is_broken; /* a failed sync or a tail that could not be cut: nothing more until reopened */
};

struct archive_index; /* archive_index.c */

struct archive {
    struct arena *arena;
    struct archive_options options;
    char folder[1024];
    pthread_mutex_t packs_lock; /* guards slots, pins, used_number */
    struct archive_pack packs[ARCHIVE_PACKS_OPEN_MAX];
    uint64_t packs_used;
    struct archive_index *index;
    pthread_mutex_t metadata_lock; /* one series' metadata is made at a time */
    pthread_mutex_t teller_lock;   /* guards closing, told */
    pthread_cond_t teller_wake;
    pthread_t teller;
    bool has_teller;
    size_t damaged_count; /* pack files that are shorter than the index says, or missing */
    char damaged[ARCHIVE_PACK_BYTES];
    bool is_closing;
    bool has_news;
};

/* ---- facts (archive_facts.c) ---- */

/* Reads what the index needs. `prefix_bytes` is what stands before `bytes` in the pack (the meta made for a bare
 * data set). ERROR_INPUT when a UID is missing or wrong. Fills everything but pack, offset, hash, received_ms,
 * organization. */
bool archive_facts_read(struct arena *arena, struct str bytes, const struct dicom_syntax *syntax,
                        uint64_t prefix_bytes, const char *charset_fallback, struct archive_facts *facts,
                        struct error *error) MUST_CHECK;

/* Preamble and meta information for a bare data set (PS3.10 7.1), in the arena. */
struct str archive_meta_make(struct arena *arena, const char *syntax_uid, struct str class_uid,
                             struct str sop);

/* ---- packs (archive_pack.c) ---- */

void archive_pack_name(struct str series, char name[ARCHIVE_PACK_BYTES]);
bool archive_pack_path(const struct archive *archive, const char *name, const char *suffix, char *path,
                       size_t size, struct error *error) MUST_CHECK;

/* The open pack of a series, pinned until archive_pack_release. */
bool archive_pack_acquire(struct archive *archive, struct str series, struct archive_pack **pack,
                          struct error *error) MUST_CHECK;
void archive_pack_release(struct archive *archive, struct archive_pack *pack);

/* Appends record header, prefix and bytes; sets facts->offset and facts->pack. On failure the pack is as before. */
bool archive_pack_append(struct archive_pack *pack, struct archive_facts *facts, struct str prefix,
                         struct str bytes, struct error *error) MUST_CHECK;

/* What was appended last could not be entered into the index: it is cut off before the pack is used again. */
void archive_pack_distrust(struct archive_pack *pack);

/* Returns when everything appended before the call is on disk; one thread syncs for all that wait. */
bool archive_pack_sync(struct archive_pack *pack, struct error *error) MUST_CHECK;

/* Reads records of a pack file from `from` on and calls `record` for each; *valid_end is the end of the last whole
 * one. `record` gets the facts (UIDs, hash, offsets from the header) and the Part 10 bytes. */
struct archive_scan {
    bool (*record)(void *data, struct archive_facts *facts, struct str bytes, struct error *error);
    void *data;
    uint64_t valid_end;
    uint64_t file_bytes;
};
bool archive_pack_scan(const struct archive *archive, const char *name, uint64_t from,
                       struct archive_scan *scan, struct error *error) MUST_CHECK;

/* Calls `pack` with each pack file's name. */
bool archive_packs_each(const struct archive *archive,
                        bool (*pack)(void *data, const char *name, struct error *error), void *data,
                        struct error *error) MUST_CHECK;

/* Cuts a torn tail off. */
bool archive_pack_cut(const struct archive *archive, const char *name, uint64_t end,
                      struct error *error) MUST_CHECK;

void archive_packs_close(struct archive *archive);

/* ---- index (archive_index.c) ---- */

bool archive_index_open(struct arena *arena, const char *folder, struct archive_index **index,
                        struct error *error) MUST_CHECK;
void archive_index_close(struct archive_index *index); /* NULL is allowed */

enum archive_known { ARCHIVE_UNKNOWN, ARCHIVE_SAME, ARCHIVE_OTHER };
/* Whether the SOP instance is there, with these bytes or with others. */
bool archive_index_known(struct archive_index *index, struct str sop, const uint8_t hash[SHA256_BYTES],
                         enum archive_known *known, struct error *error) MUST_CHECK;

/* A series belongs to one study (PS3.3 A.1.2.3): ERROR_INPUT when its UID stands under another one. */
bool archive_index_check_series(struct archive_index *index, struct str series, struct str study,
                                struct error *error) MUST_CHECK;

/* Enters `count` instances in one transaction; known[i] says for each what was there before (ARCHIVE_UNKNOWN:
 * it is entered now). due_ms: when the study is to be told of. */
bool archive_index_add(struct archive_index *index, struct archive_facts *const *facts, size_t count,
                       int64_t due_ms, enum archive_known *known, struct error *error) MUST_CHECK;

/* How far the index knows a pack file. */
bool archive_index_pack_end(struct archive_index *index, const char *pack, uint64_t *end,
                            struct error *error) MUST_CHECK;
/* All packs that the index knows. */
struct archive_pack_row {
    char name[ARCHIVE_PACK_BYTES];
    uint64_t end;
};
bool archive_index_packs(struct archive_index *index, struct arena *arena, struct archive_pack_row **rows,
                         size_t *count, struct error *error) MUST_CHECK;
/* Forgets what lies beyond the end of a pack file that lost its tail; *count instances. */
bool archive_index_forget(struct archive_index *index, const char *pack, uint64_t end, uint64_t *count,
                          struct error *error) MUST_CHECK;

/* Sets when a study is to be told of. */
bool archive_index_set_due(struct archive_index *index, struct str study, int64_t due_ms,
                           struct error *error);
/* The study due first; *due_ms 0 when none is. `changes` identifies its state. */
bool archive_index_next_due(struct archive_index *index, char study[ARCHIVE_UID_BYTES], int64_t *due_ms,
                            int64_t *changes, struct error *error) MUST_CHECK;
/* Nothing is due any more, unless the study changed since. */
bool archive_index_told(struct archive_index *index, struct str study, int64_t changes, struct error *error);

struct archive_series_row {
    struct str uid, modality, number, description, body_part, date, time, laterality, manufacturer, model,
        station, kernel, pack;
    int64_t instances;
    int64_t metadata_instances; /* how many the kept metadata covers */
};
struct archive_study_row {
    struct str uid, patient_name, patient_id, issuer, birth_date, sex, accession, study_id, date, time,
        description, referring, institution, timezone, organization, modalities;
    int64_t instances;
    int64_t series;
};
/* Another source of a study: its facts, and how many instances it sent. */
struct archive_source_row {
    struct archive_study_row study;
    int verdict; /* enum archive_verdict */
};

bool archive_index_study(struct archive_index *index, struct arena *arena, struct str uid,
                         struct archive_study_row *row, struct error *error) MUST_CHECK;
/* The sources of a study but the first. */
bool archive_index_sources(struct archive_index *index, struct arena *arena, struct str uid,
                           struct archive_source_row **rows, size_t *count, struct error *error) MUST_CHECK;
/* archive_decide. */
bool archive_index_decide(struct archive_index *index, const struct archive_decision *decision,
                          struct error *error) MUST_CHECK;
/* Series of a study; `uid` absent: all of them, by number. */
bool archive_index_series(struct archive_index *index, struct arena *arena, struct str study, struct str uid,
                          struct archive_series_row **rows, size_t *count, struct error *error) MUST_CHECK;
bool archive_index_set_metadata(struct archive_index *index, struct str series, int64_t instances,
                                struct error *error) MUST_CHECK;
bool archive_index_instance(struct archive_index *index, struct str sop, struct archive_instance *instance,
                            struct error *error) MUST_CHECK;
bool archive_index_instances(struct archive_index *index, struct arena *arena, struct str study,
                             struct str series, struct archive_instance **rows, size_t *count,
                             struct error *error) MUST_CHECK;

/* Rows for QIDO, one after the other in the order of the answer; `row` returns false to stop. */
struct archive_query_row {
    struct archive_study_row study;
    struct archive_series_row series; /* ARCHIVE_SERIES, ARCHIVE_INSTANCES */
    struct archive_instance instance; /* ARCHIVE_INSTANCES */
    int64_t rows, columns, bits;
};
bool archive_index_query(struct archive_index *index, struct arena *arena, const struct archive_query *query,
                         bool (*row)(void *data, const struct archive_query_row *row), void *data,
                         struct error *error) MUST_CHECK;

/* ---- metadata (archive_metadata.c) ---- */

/* Makes and keeps the metadata of every series of a study that changed. */
bool archive_metadata_refresh(struct archive *archive, struct str study, struct error *error) MUST_CHECK;

#endif
