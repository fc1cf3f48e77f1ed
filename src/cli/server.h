/* server.h — the program put together: every module opened in order over one folder of data, and closed in reverse.
 * The floors below know each other only through what is joined here. */
#ifndef SHANHAI_CLI_SERVER_H
#define SHANHAI_CLI_SERVER_H

#include "access/access.h"
#include "access/audit_mark.h"
#include "access/signing.h"
#include "api/api.h"
#include "base/arena.h"
#include "base/error.h"
#include "feed/feed.h"
#include "feed/topic.h"
#include "view/indicator.h"
#include "workflow/workflow.h"

struct bulk;
struct erasure;
struct imaging;
struct subscriptions;
struct terminology;
struct validator;
struct view_set;

struct server_options {
    const char *data_folder;
    const char *store; /* "postgresql://…"; NULL: what the folder says (store_options.database) */
    const char *definitions_folder; /* NULL: only the built-in ones */
    int offset_minutes;             /* site.timezone; 480 is +08:00 */
    const char *base_url;           /* NULL: relative links */
    bool tls;                       /* a trusted proxy in front speaks TLS */
    bool check_references;          /* references lead somewhere, and stay so */
    bool validate_full;             /* every write is asked for invariants too */
    long jobs_kept_days;            /* done jobs are listed for so long */
    long stow_rest_ms;              /* a study is at rest so long after a STOW request */
    bool offline;                   /* a command, not the server: no feed, no jobs, no images */
    bool accept_lost;               /* store_options.accept_lost */
    const struct str *endpoints;    /* what subscriptions may call */
    size_t endpoints_count;
    const struct str *origins; /* pages of other origins that may ask with a token (CORS) */
    size_t origins_count;
    bool key_sets_private;                      /* key sets of apps may lie in a private network */
    void (*lost)(void *data, const char *text); /* store_options.lost */
    void *lost_data;
};

struct server {
    struct arena arena;
    struct server_options options;
    struct store *store;
    struct audit *audit;
    struct audit_mark audit_kept; /* the mark that the store has */
    struct access *access;
    struct signing_keys *keys;
    struct signer signer;
    struct fhir_index *index;
    struct view_set *views;
    struct workflow_set workflows;
    struct indicator_set indicators;
    struct validator *validator;
    struct terminology *terminology;
    struct change *change;
    struct imaging *imaging;
    struct decode_pool *decoders;
    struct bulk *bulk;
    struct erasure *erasure;
    struct topic_set topics;
    struct subscriptions *subscriptions;
    struct feed *feed;
    struct api api;
};

/* Opens everything. On failure nothing stays open. */
bool server_open(const struct server_options *options, struct server *server, struct error *error) MUST_CHECK;
void server_close(struct server *server);

#endif
