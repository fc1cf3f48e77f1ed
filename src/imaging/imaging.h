/* imaging.h — what joins the image archive to the records: a study at rest becomes an ImagingStudy of a patient or is
 * held and asked; a chest CT is measured by a job in a process of its own (docs/modules/imaging.md).
 *
 * Threads: the archive's thread calls study_changed, feed's workers run the job, pool threads the rest. */
#ifndef SHANHAI_IMAGING_IMAGING_H
#define SHANHAI_IMAGING_IMAGING_H

#include "access/access.h"
#include "base/arena.h"
#include "base/error.h"
#include "dicom/archive.h"
#include "feed/feed.h"

struct change;
struct imaging;
struct store;
struct store_table;

struct imaging_options {
    struct store *store;
    struct access *access;
    struct change *change;
    const char *folder;        /* of pack files */
    const char *masks_folder;  /* of measurement masks */
    const char *photos_folder; /* of photos of film */
    int offset_minutes;
};

bool imaging_open(struct arena *arena, const struct imaging_options *options, struct imaging **imaging,
                  struct error *error) MUST_CHECK;
void imaging_close(struct imaging *imaging); /* NULL is allowed */

struct archive *imaging_archive(struct imaging *imaging);

/* The job "measure-ct", for feed_options.kinds. */
struct job_kind imaging_job_kind(struct imaging *imaging);

/* Held studies: (study UID) → who sent it, why it is held. To stand in store_options.tables. */
const struct store_table *imaging_held_table(void);

/* Parts of studies: (study UID, sender, Patient ID) → held, released, rejected. To stand there too. */
const struct store_table *imaging_part_table(void);

/* Whether the session may see a study: its ImagingStudy passes the session's filter. A held study: only the sender's
 * own organisation with the right "studies-match". */
bool imaging_may_see(struct imaging *imaging, const struct access_session *session, struct arena *arena,
                     struct str study_uid, bool *may, struct error *error) MUST_CHECK;

/* How far the latest measurement of a study is. */
struct imaging_progress {
    const char *state; /* "queued", "running", "done", "failed"; "none" when there never was one */
    unsigned percent;
};

bool imaging_progress(struct imaging *imaging, struct arena *arena, struct str study_uid,
                      struct imaging_progress *progress, struct error *error) MUST_CHECK;

/* Queues a measurement of a study whose earlier ones were stopped, failed or found the images unfit: ERROR_RULE when one runs
 * or is done. Right "measure", and of the hospital that the images are of. */
bool imaging_measure_again(struct imaging *imaging, const struct access_session *session, struct arena *arena,
                           struct str study_uid, struct error *error) MUST_CHECK;

/* Array of {study, reason, receivedAt, modality, instances, patient: {id, name, birthDate, gender}, candidates: [{patient,
 * differs: ["birthDate", "gender", "name"]}]} of the session's tenant: both sides, for a person to compare. What somebody
 * else sent into a study that has its patient is an entry of its own, with `part` (its id) and `sender`. Right
 * "studies-match". */
bool imaging_held(struct imaging *imaging, const struct access_session *session, struct arena *arena,
                  struct json **list, struct error *error) MUST_CHECK;

/* A person says whose study it is ("Patient/…", readable by the session). What contradicts must be confirmed by name:
 * ERROR_RULE else. */
struct imaging_match {
    struct str study; /* its UID */
    struct str part;  /* absent: the study as a whole */
    struct str patient;
    bool is_confirmed; /* name, sex or birth date differ, and it is the same person nevertheless */
};
bool imaging_match(struct imaging *imaging, const struct access_session *session, struct arena *arena,
                   const struct imaging_match *match, struct error *error) MUST_CHECK;

/* The images are nobody's, or nobody's here: they are seen by nobody, now and later. `part` absent: the study as a whole. */
bool imaging_reject(struct imaging *imaging, const struct access_session *session, struct arena *arena,
                    struct str study_uid, struct str part, struct error *error) MUST_CHECK;

/* The mask of the newest measurement of the instance's study whose report the session may see (lung/lung_mask.h); *mask stays
 * absent without. What no doctor has agreed to is seen in its own hospital only. */
bool imaging_mask(struct imaging *imaging, const struct access_session *session, struct arena *arena,
                  const struct archive_instance *instance, struct str *mask, struct error *error) MUST_CHECK;

/* A photo of film becomes a Media of the patient, marked as not for diagnosis; the bytes are kept once by their SHA-256.
 * The session needs "create" on Media and to see the patient. *media has its id. */
struct imaging_photo {
    struct arena *arena;
    const struct access_session *session;
    struct str patient; /* "Patient/…" */
    struct str bytes;
};
bool imaging_keep_photo(struct imaging *imaging, const struct imaging_photo *request, struct json **media,
                        struct error *error) MUST_CHECK;

/* Its bytes, for whoever may read the Media: ERROR_NOT_FOUND else. */
struct imaging_photo_bytes {
    struct str media_type;
    struct str bytes;
    struct str hash;
};
bool imaging_read_photo(struct imaging *imaging, const struct access_session *session, struct arena *arena,
                        struct str media_id, struct imaging_photo_bytes *photo,
                        struct error *error) MUST_CHECK;

/* Reads every photo and compares it with the hash it is named by; for `shanhai check`, without the rest of this module. */
struct imaging_photos_report {
    void (*finding)(void *data, const char *text); /* names a file, never a patient */
    void *data;
    uint64_t photos_count;
    uint64_t findings_count;
};
bool imaging_photos_check(const char *folder, struct imaging_photos_report *report,
                          struct error *error) MUST_CHECK;

#endif
