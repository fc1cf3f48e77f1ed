/* access_open.h — making and ending the access module; only main.c, cli/ and tests include it. */
#ifndef SHANHAI_ACCESS_ACCESS_OPEN_H
#define SHANHAI_ACCESS_ACCESS_OPEN_H

#include "access/access.h"
#include "access/rows.h"

struct access_lookup {
    struct str type;      /* for example "PractitionerRole" */
    struct str parameter; /* for example "practitioner" */
    struct str reference; /* for example "Practitioner/x" */
};

/* Where access looks up posts and organisations (directory_store.c joins it to the store). Reads here
 * are the program's own: without a filter. */
struct access_directory {
    void *context;
    /* The current content of a resource, in `arena`; *resource = NULL when there is none. */
    bool (*read)(void *context, struct arena *arena, struct str type, struct str id, struct json **resource,
                 struct error *error);
    /* A JSON array of the current resources of `type` whose reference parameter points to `reference`
     * ("Organization/x"). */
    bool (*search)(void *context, struct arena *arena, const struct access_lookup *lookup,
                   struct json **resources, struct error *error);
};

/* Fetches the text of an app's key set (jwks_uri); `fetch` may be NULL: then only registered keys count. */
struct access_key_sets {
    void *context;
    bool (*fetch)(void *context, struct arena *arena, struct str url, size_t bytes_max, struct str *text,
                  struct error *error);
};

struct access_options {
    const struct access_policy_file *policies;
    size_t policies_count;
    struct access_rows rows;
    struct access_directory directory;
    struct access_key_sets key_sets;
    int64_t (*now_ms)(void *context); /* NULL takes the wall clock */
    void *now_context;
    unsigned long long password_operations; /* argon2id; 0 takes 2 */
    size_t password_memory_bytes;           /* 0 takes 64 MiB */
    uint32_t idle_seconds;                  /* 0 takes 30 minutes */
    uint32_t session_seconds;               /* 0 takes 12 hours */
    struct str default_language;            /* absent: "zh" */
};

/* Reads the policies and loads accounts, sessions and tokens. Policies are copied; what `rows` and
 * `directory` point to must outlive the module. */
bool access_open(const struct access_options *options, struct access **access,
                 struct error *error) MUST_CHECK;
void access_close(struct access *access); /* NULL is allowed; no request may be running */

/* About once a minute, on a thread that may wait for the store: writes down when sessions were last
 * used, removes ended sessions and tokens, lets idle memory go. */
bool access_tick(struct access *access, struct error *error) MUST_CHECK;

#endif
