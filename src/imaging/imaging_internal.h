/* imaging_internal.h — shared by the files of this folder. */
#ifndef SHANHAI_IMAGING_INTERNAL_H
#define SHANHAI_IMAGING_INTERNAL_H

#include <pthread.h>

#include "imaging/imaging.h"
#include "store/jobs.h"
#include "store/rows.h"
#include "store/search.h"

struct imaging {
    struct imaging_options options;
    struct archive *archive;
    pthread_mutex_t measuring; /* one at a time looks whether a study may be measured again, and begins it */
};

#define IMAGING_NO_MEMORY(error)                                                                             \
    FAIL((error), ERROR_TOO_LARGE, "the images need more memory than a request may use")

/* A search with the program's own authority, or a session's filter: the first hit's tree (NULL without) and version. */
struct imaging_search {
    struct str type;
    struct str query; /* "identifier=…", percent-encoded */
    const struct store_filter *filter;
};
enum { IMAGING_FOUND_MAX = 5 };
struct imaging_found {
    struct json *trees[IMAGING_FOUND_MAX]; /* the first hits */
    size_t count;                          /* of all on the page */
};
bool imaging_find(struct imaging *imaging, struct arena *arena, const struct imaging_search *search,
                  struct imaging_found *found, struct error *error) MUST_CHECK;
bool imaging_find_one(struct imaging *imaging, struct arena *arena, const struct imaging_search *search,
                      struct json **tree, size_t *count, struct error *error) MUST_CHECK;

/* Whether there is a hit at all, and the first one's id (absent without): nothing of it is read. */
bool imaging_exists(struct imaging *imaging, struct arena *arena, const struct imaging_search *search,
                    bool *exists, struct error *error) MUST_CHECK;
bool imaging_find_id(struct imaging *imaging, struct arena *arena, const struct imaging_search *search,
                     struct str *id, struct error *error) MUST_CHECK;

/* "identifier=urn:dicom:uid|urn:oid:UID", encoded. */
struct str imaging_study_query(struct arena *arena, struct str study_uid);

/* ---- imaging_held.c ---- */

/* "PARAMETER=value", the value percent-encoded. */
struct str imaging_query(struct arena *arena, const char *parameter, struct str value);

/* Why images may not be attached to this patient by themselves, as a code; NULL: nothing contradicts. A name that fits
 * with another sex or birth date is asked, never attached (domain b5). */
const char *imaging_identity_problem(struct arena *arena, const struct json *patient,
                                     const struct archive_patient *images);

/* ---- imaging.c ---- */

/* Writes the ImagingStudy of a study for a patient ("Patient/…"), and, when a chest CT came or grew, its measurement
 * (report, Task, job) in the same commit. Ends holding it. */
bool imaging_write_study(struct imaging *imaging, struct arena *arena, struct str study_uid,
                         struct str patient, const struct archive_study *study,
                         struct error *error) MUST_CHECK;

/* ---- imaging_part.c: what somebody else sent into a study ---- */

/* How the other sources of a study stand. */
struct imaging_parts {
    bool has_released; /* some were let in now: the study is told of again */
    bool
        has_other_patient; /* somebody of the hospital sent images of another Patient ID, and nobody has decided */
    bool is_rejected;      /* the study as a whole */
};
/* Lets in what the same hospital sent of the same patient; holds the rest, for the study's hospital to decide. */
bool imaging_ask_parts(struct imaging *imaging, struct arena *arena, struct str study_uid,
                       const struct archive_study *study, struct imaging_parts *parts,
                       struct error *error) MUST_CHECK;

/* Says again to the archive what was decided. */
bool imaging_settle_parts(struct imaging *imaging, struct error *error) MUST_CHECK;

/* Appends what the session's hospital has to decide. */
bool imaging_list_parts(struct imaging *imaging, const struct access_session *session, struct arena *arena,
                        struct json *list, struct error *error) MUST_CHECK;

/* The session's word on a held part, whose id is match->part; `patient` is the record that was named. */
bool imaging_release_part(struct imaging *imaging, const struct access_session *session, struct arena *arena,
                          const struct imaging_match *match, const struct json *patient,
                          struct error *error) MUST_CHECK;
bool imaging_reject_part(struct imaging *imaging, const struct access_session *session, struct arena *arena,
                         struct str study_uid, struct str part, struct error *error) MUST_CHECK;

/* A row that says that the study as a whole was rejected, inside a transaction. */
bool imaging_reject_whole(struct store_transaction *transaction, const struct access_session *session,
                          struct str study_uid, const struct archive_study *study,
                          struct error *error) MUST_CHECK;

/* ---- imaging_held.c ---- */

/* Adds a patient to `list` with what differs from the images, once. */
void imaging_add_candidate(struct arena *arena, struct json *list, const struct json *patient,
                           const struct archive_patient *images);

/* Rows of a table of held images that one of the session's organisations decides about, by `where` besides: a set for each
 * organisation that has some. */
struct imaging_rows_query {
    const struct store_table *table;
    const char *organization; /* the column that says who decides */
    struct store_where where[2];
    size_t where_count;
};
bool imaging_held_rows(struct imaging *imaging, const struct access_session *session, struct arena *arena,
                       const struct imaging_rows_query *query, struct store_rows **rows, size_t *count,
                       struct error *error) MUST_CHECK;

/* ---- imaging_steps.c ---- */

#define IMAGING_JOB_KIND "measure-ct"

/* Parameters of $transition with the step's name; *list takes the inputs. */
struct json *imaging_step_parameters(struct arena *arena, struct str name, struct json **list);
void imaging_step_add(struct arena *arena, struct json *list, struct str name, struct str member,
                      struct json *value);

struct imaging_step {
    struct arena *arena;
    const struct access_session *session;
    struct str task; /* its id */
    const struct json *parameters;
};
bool imaging_step_take(struct imaging *imaging, const struct imaging_step *step,
                       struct error *error) MUST_CHECK;

/* The state of a Task, absent when there is none. */
bool imaging_task_state(struct imaging *imaging, struct arena *arena, struct str task, struct str *state,
                        struct error *error) MUST_CHECK;

/* The jobs of a study's measurements, newest first; none for a study that is nobody's. */
bool imaging_measurements(struct imaging *imaging, struct arena *arena, struct str study_uid,
                          struct store_job **jobs, size_t *count, struct error *error) MUST_CHECK;

/* The study ("ImagingStudy/…") grew: what is being measured or waits for its review is superseded; what was reviewed
 * stays. *is_waiting: a measurement has not begun and will take all images, so no new one is needed. */
bool imaging_supersede(struct imaging *imaging, struct arena *arena, struct str study,
                       struct str organization, bool *is_waiting, struct error *error) MUST_CHECK;

/* ---- imaging_measure.c ---- */

bool imaging_run_measurement(void *data, struct arena *arena, const struct store_job *job, struct str *result,
                             struct error *error);
void imaging_measurement_given_up(void *data, struct arena *arena, const struct store_job *job,
                                  const struct error *error);

/* Builders. */
struct json *imaging_reference(struct arena *arena, struct str reference);
struct json *imaging_concept(struct arena *arena, struct str system, struct str code, struct str display);

#endif
