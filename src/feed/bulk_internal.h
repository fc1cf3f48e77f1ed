/* bulk_internal.h — what the files of bulk share. */
#ifndef SHANHAI_FEED_BULK_INTERNAL_H
#define SHANHAI_FEED_BULK_INTERNAL_H

#include <stdatomic.h>

#include "base/uuid.h"
#include "feed/bulk.h"
#include "json/json.h"

#define BULK_EXPORT "export"
#define BULK_IMPORT "import"
#define BULK_VIEWS "view-export"
#define BULK_INPUT_FILE "input.ndjson"
#define BULK_ERRORS_FILE "errors.ndjson"

enum { BULK_PATH_BYTES = 512 };

struct bulk {
    struct bulk_options options;
    _Atomic bool stopping;
};

/* One running job: its input, and how far it came the last time. */
struct bulk_run {
    struct bulk *bulk;
    struct arena *arena; /* of the whole job */
    uint64_t id;
    struct str folder; /* the job's own, in bulk_options.folder */
    const struct json *input;
    struct json *state; /* never NULL; an empty object at first */
    struct access_session session;
};
bool bulk_run_begin(struct bulk *bulk, struct arena *arena, const struct store_job *job, struct bulk_run *run,
                    struct error *error) MUST_CHECK;

/* The path of a job's folder, or of a file in it. */
bool bulk_path(const struct bulk *bulk, struct str folder, struct str name, char path[BULK_PATH_BYTES],
               struct error *error) MUST_CHECK;

/* Makes a job's folder under a new name. */
bool bulk_folder_make(struct bulk *bulk, char name[UUID_TEXT_BYTES], struct error *error) MUST_CHECK;

/* A member of a state or result that counts something; 0 without. */
uint64_t bulk_number(const struct json *object, struct str name);

/* Writes down how far the job is; what the state names must be on disk before. */
bool bulk_run_save(struct bulk_run *run, const struct json *state, struct error *error) MUST_CHECK;

/* ERROR_RULE when somebody has cancelled the job, ERROR_BUSY when the program ends. */
bool bulk_run_is_wanted(struct bulk_run *run, struct error *error) MUST_CHECK;

/* Adds who asks to the input and queues it. The folder is there already and named by `folder`. */
bool bulk_queue(struct bulk *bulk, const struct access_session *session, struct arena *arena,
                const char *kind, struct json *input, uint64_t *id, struct error *error) MUST_CHECK;

bool bulk_export_run(void *bulk, struct arena *arena, const struct store_job *job, struct str *result,
                     struct error *error) MUST_CHECK;
bool bulk_views_run(void *bulk, struct arena *arena, const struct store_job *job, struct str *result,
                    struct error *error) MUST_CHECK;
bool bulk_import_run(void *bulk, struct arena *arena, const struct store_job *job, struct str *result,
                     struct error *error) MUST_CHECK;

#endif
