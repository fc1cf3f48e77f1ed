/* archive.h — DICOM instances kept for good (docs/modules/dicom.md). Each series has one pack file to which its
 * instances are appended untouched, behind a header with UIDs, length and hash; an index (archive_index.c) says
 * what lies where and answers queries. The pack files are the truth: the index can be made again from them.
 *
 * An instance counts as stored when its bytes are synced to disk and it stands in the index; only then its result
 * says so (options.ack_written leaves the sync out). One sync serves all appends that waited for it.
 * A SOP instance UID that is there with the same bytes is fine (ARCHIVE_ALREADY); with other bytes the first is
 * kept and the new one refused (ERROR_CONFLICT).
 *
 * Threads: everything may be called from any thread but a batch, which belongs to one at a time. Calls
 * block on the disk: not for network threads, archive_find_* excepted. */
#ifndef SHANHAI_DICOM_ARCHIVE_H
#define SHANHAI_DICOM_ARCHIVE_H

#include "base/buf.h"
#include "dicom/dataset.h"
#include "json/json.h"

struct archive;

enum { ARCHIVE_UID_BYTES = DICOM_UID_BYTES_MAX + 1, ARCHIVE_PACK_BYTES = 33 };

/* What the program fills in. */
struct archive_host {
    void *context;
    /* A study came to rest after a change: end of an association, a moment after the end of a STOW request, or
     * options.silence_ms without a new instance. Runs on the archive's own thread. False: it is told again after 30 s. May be NULL. */
    bool (*study_changed)(void *context, struct str study_uid, struct error *error);
    /* Before the first study is told of: what was decided about sources is said again (archive_decide), since the index
     * may have been made anew from the pack files, which do not know it. May be NULL. */
    bool (*opened)(void *context, struct archive *archive, struct error *error);
};

struct archive_options {
    const char *folder;           /* made when absent */
    const char *charset_fallback; /* site default for mis-declared text, for example "GB18030"; NULL: none */
    const char *web_root;         /* of URLs in metadata and answers; NULL: "/dicom-web" */
    unsigned silence_ms;          /* 0: 5000 */
    int offset_minutes;           /* site.timezone, for times without zone */
    bool ack_written;             /* acknowledge when written, before the sync */
    bool forget_lost;             /* what a pack file has lost is forgotten, so that it may be sent again */
    struct archive_host host;
};

/* Opens or makes the archive: pack files that are longer than the index knows are read again, a torn tail is cut,
 * a damaged or missing index is made anew. A pack file that is shorter than the index knows has lost acknowledged
 * instances: it is left as it is, its series takes no more (archive_damaged). `arena` must outlive the archive. */
bool archive_open(struct arena *arena, const struct archive_options *options, struct archive **archive,
                  struct error *error) MUST_CHECK;
void archive_close(struct archive *archive); /* NULL is allowed */

/* How many pack files had lost their end, or were missing, when the archive was opened; *first names one. */
size_t archive_damaged(const struct archive *archive, const char **first);

/* ---- storing ---- */

enum archive_outcome { ARCHIVE_REFUSED, ARCHIVE_STORED, ARCHIVE_ALREADY };

struct archive_result {
    enum archive_outcome outcome;
    struct error error;            /* ARCHIVE_REFUSED: why; ERROR_FULL when the disk is full */
    void *data;                    /* the caller's, from archive_incoming */
    char study[ARCHIVE_UID_BYTES]; /* UIDs as far as they could be read, else empty */
    char series[ARCHIVE_UID_BYTES];
    char sop[ARCHIVE_UID_BYTES];
    char class_uid[ARCHIVE_UID_BYTES];
};

struct archive_incoming {
    struct str bytes;                  /* a Part 10 file; or a bare data set when `syntax` is given */
    const struct dicom_syntax *syntax; /* NULL: a file */
    struct str expected_study;         /* STOW to /studies/{study}: others are refused; absent: any */
    struct str expected_sop;           /* C-STORE: the UID of the command; absent: any */
    void *data;
};

struct archive_batch;

/* Instances that are synced together. `organization`: id of the Organization whose device or person sends.
 * `told(context, result)` is called exactly once for each instance added, at the latest in flush. */
struct archive_batch_options {
    struct str organization;
    void (*told)(void *context, const struct archive_result *result);
    void *context;
    /* How long after archive_batch_end its studies wait for more before they count as at rest; 0: at once. A folder that
     * comes in several requests is one change, not several. */
    unsigned rest_ms;
};
bool archive_batch_create(struct arena *arena, struct archive *archive,
                          const struct archive_batch_options *options, struct archive_batch **batch,
                          struct error *error) MUST_CHECK;

/* Reads, checks and appends. The bytes are no longer needed afterwards. Flushes by itself when it is full. */
void archive_batch_add(struct archive_batch *batch, const struct archive_incoming *incoming);

/* Syncs, enters into the index, tells. */
void archive_batch_flush(struct archive_batch *batch);

/* Flushes and marks the studies touched as at rest: study_changed follows at once, or after options.rest_ms without
 * more of them. The batch may be used again; its memory goes with archive_batch_destroy. */
void archive_batch_end(struct archive_batch *batch);
void archive_batch_destroy(struct archive_batch *batch); /* without flush; NULL is allowed */

/* ---- looking ---- */

struct archive_instance {
    char study[ARCHIVE_UID_BYTES];
    char series[ARCHIVE_UID_BYTES];
    char sop[ARCHIVE_UID_BYTES];
    char class_uid[ARCHIVE_UID_BYTES];
    char pack[ARCHIVE_PACK_BYTES]; /* name of the pack file */
    const struct dicom_syntax *syntax;
    uint64_t offset; /* of the Part 10 file in the pack */
    uint64_t bytes;
    uint64_t header_bytes; /* of it before the pixel values; 0 when there are none */
    uint64_t frame_offset; /* of the only frame, from `offset`; 0 when it has to be looked for */
    uint64_t frame_bytes;
    uint64_t frames_count;
    int64_t number; /* Instance Number */
    char hash[65];  /* SHA-256 of the data set, hexadecimal: for ETag */
};

/* ERROR_NOT_FOUND when there is none, or not in that study and series (absent: any). */
bool archive_find_instance(struct archive *archive, struct str study, struct str series, struct str sop,
                           struct archive_instance *instance, struct error *error) MUST_CHECK;

/* Instances of a series, or of a study (series absent), by series and instance number, in the arena. */
bool archive_list_instances(struct archive *archive, struct arena *arena, struct str study, struct str series,
                            struct archive_instance **instances, size_t *count,
                            struct error *error) MUST_CHECK;

/* Opens the pack file of an instance for reading. The caller closes *fd. */
bool archive_open_pack(struct archive *archive, const char *pack, int *fd, struct error *error) MUST_CHECK;

/* The path of an instance's pack file, for a process of our own that reads it (the measurement). */
enum { ARCHIVE_PATH_BYTES = 1200 };
bool archive_pack_file(struct archive *archive, const char *pack, char path[ARCHIVE_PATH_BYTES],
                       struct error *error) MUST_CHECK;

/* The whole Part 10 file, or its first `bytes_max` bytes, in the arena. */
bool archive_read_instance(struct archive *archive, struct arena *arena,
                           const struct archive_instance *instance, uint64_t bytes_max, struct str *bytes,
                           struct error *error) MUST_CHECK;

/* DICOM JSON of all instances of a series as one gzip-compressed array, in the arena: kept in a file from the time
 * the study came to rest, made now when that file is older than the series. *etag is a quoted text. */
bool archive_series_metadata(struct archive *archive, struct arena *arena, struct str study,
                             struct str series, struct str *gzip, struct str *etag,
                             struct error *error) MUST_CHECK;

/* Undoes the compression of such a text. */
bool archive_gunzip(struct str gzip, struct buf *out, struct error *error) MUST_CHECK;

/* UIDs of a study's series, by series number. */
bool archive_list_series(struct archive *archive, struct arena *arena, struct str study, struct str **series,
                         size_t *count, struct error *error) MUST_CHECK;

/* DICOM JSON of one instance (an object), appended. */
bool archive_instance_metadata(struct archive *archive, struct arena *arena,
                               const struct archive_instance *instance, struct buf *out,
                               struct error *error) MUST_CHECK;

/* ---- QIDO (archive_query.c) ---- */

enum archive_level { ARCHIVE_STUDIES, ARCHIVE_SERIES, ARCHIVE_INSTANCES };

struct archive_query {
    enum archive_level level;
    struct str study; /* UIDs; absent: any */
    struct str series;
    struct str sop;
    struct str patient_id;
    struct str patient_name; /* wildcards '*' and '?', no case */
    struct str accession;
    struct str modality;  /* of the series; of any series of the study for ARCHIVE_STUDIES */
    struct str date_from; /* "YYYYMMDD", inclusive */
    struct str date_to;
    struct str description; /* of the study, wildcards */
    size_t limit;           /* 0: the default of the level */
    size_t offset;
    /* Whether the asker may see this study; others are as if they were not there. NULL: all. */
    bool (*may_see)(void *context, struct str study_uid);
    void *context;
};

/* Appends a JSON array of matches (PS3.18 table 10.6.3-3 … 5). *count rows; *more when the limit cut. */
bool archive_find(struct archive *archive, struct arena *arena, const struct archive_query *query,
                  struct buf *out, size_t *count, bool *more, struct error *error) MUST_CHECK;

/* ---- for change/ (archive_study.c) ---- */

/* Who the images say the patient is. All text UTF-8; absent where the images say nothing. */
struct archive_patient {
    struct str id;
    struct str issuer;
    struct str name;             /* the whole PN value: "Wang^XiaoDong=王^小东" */
    struct str name_alphabetic;  /* "Wang XiaoDong" */
    struct str name_ideographic; /* "王小东" */
    struct str birth_date;       /* FHIR date: "1962-03-08" */
    struct str gender;           /* FHIR code: male, female, other, unknown */
};

struct archive_study {
    struct json *imaging_study; /* R4 ImagingStudy without id, meta and subject */
    struct archive_patient patient;
    struct str organization; /* of the sender: the custodian */
    struct str accession;
    struct str description;
    struct str started;    /* FHIR dateTime */
    struct str modalities; /* "CT\SR" */
    struct str
        chest_ct_series; /* the series best measured as a chest CT: CT, most images; absent when none */
    uint64_t instances_count;
    uint64_t series_count;
};

bool archive_imaging_study(struct archive *archive, struct arena *arena, struct str study_uid,
                           struct archive_study *study, struct error *error) MUST_CHECK;

/* ---- sources (archive_source.c) ---- */

/* Where instances of a study came from: an organisation, with a Patient ID. The first source makes the study; what comes
 * from another one is hidden (it is as if it were not there, for every function above) until it is released. */
enum archive_verdict {
    ARCHIVE_HELD,     /* hidden */
    ARCHIVE_RELEASED, /* shown, and counted */
    ARCHIVE_REJECTED, /* hidden for good */
    ARCHIVE_FIRST     /* shown: who began the study */
};
struct archive_source {
    struct str organization;
    struct archive_patient patient;
    enum archive_verdict verdict;
    uint64_t instances_count;
    struct str modalities;
};
/* All but the first. */
bool archive_list_sources(struct archive *archive, struct arena *arena, struct str study_uid,
                          struct archive_source **sources, size_t *count, struct error *error) MUST_CHECK;

/* What becomes of a source's instances, those that are there and those to come. ARCHIVE_FIRST: it began the study, and who
 * seems to have done so did not. Nothing happens when it is so already; else the study is told of once more. ERROR_NOT_FOUND:
 * no such source. */
struct archive_decision {
    struct str study;
    struct str organization;
    struct str patient_id;
    enum archive_verdict verdict;
};
bool archive_decide(struct archive *archive, const struct archive_decision *decision,
                    struct error *error) MUST_CHECK;

/* ---- backup (archive_backup.c) ---- */

/* Copies the index of the archive in `folder` to `copy` (a new file) while others write, and lists the pack files that the
 * copy names with the bytes that it knows of each: those are complete on disk and do not change any more. A folder
 * without an archive gives none, and no copy. */
struct archive_part {
    char name[ARCHIVE_PACK_BYTES]; /* the file is FOLDER/NA/NAME.pack */
    uint64_t bytes;
};
bool archive_backup(struct arena *arena, const char *folder, const char *copy, struct archive_part **parts,
                    size_t *count, struct error *error) MUST_CHECK;

/* ---- looking after ---- */

struct archive_check_report {
    void (*finding)(void *data, const char *text); /* names a pack file, never a patient */
    void *data;
    uint64_t instances_count;
    uint64_t bytes_count;
    uint64_t findings_count;
};
/* Reads every record of every pack file and compares hash and index. */
bool archive_check(struct archive *archive, struct archive_check_report *report,
                   struct error *error) MUST_CHECK;

#endif
