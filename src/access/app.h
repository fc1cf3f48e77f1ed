/* app.h — apps of others (SMART App Launch 2.2, docs/smart.md): their registration, what a person allows them, the
 * codes and tokens that carry it. These are the bodies of the /auth routes; api/ only moves text between HTTP and here.
 *
 * An app acts under ONE post, a person's (user/, patient/ scopes) or one of its own (system/ scopes), and may do what
 * the post's role may and its scopes name, never more (scope.h, actor_rules.c).
 *
 * Errors by kind, as api/ turns them into OAuth's words: ERROR_SIGN_IN invalid_client, ERROR_FORBIDDEN invalid_grant,
 * ERROR_INPUT invalid_request, ERROR_RULE invalid_scope, ERROR_UNSUPPORTED unsupported_…, ERROR_NOT_FOUND an app or
 * a redirect address that is not registered. Any thread; functions marked (slow) write a row or make a key. */
#ifndef SHANHAI_ACCESS_APP_H
#define SHANHAI_ACCESS_APP_H

#include "access/scope.h"

enum {
    APP_CODE_SECONDS = 60,
    APP_TOKEN_SECONDS = 60 * 60,
    APP_SYSTEM_TOKEN_SECONDS = 5 * 60, /* backend services: no longer than 5 minutes */
    APP_ASSERTION_SECONDS = 5 * 60,
    APP_REFRESH_DAYS = 90
};

/* ---- registration (`shanhai app`) ---- */

struct app_new {
    struct str name;            /* as people will read it, up to 100 bytes */
    const struct str *redirect; /* addresses, compared byte by byte; none for a backend service */
    size_t redirect_count;
    struct str key_set;  /* JWK set as JSON: private_key_jwt */
    struct str keys_url; /* or where the app keeps it: https, fetched when it is needed */
    bool secret;         /* client_secret_basic; neither: a public app, by PKCE alone */
    struct str scopes;   /* the most it may ask for; absent: no bound of its own */
    struct str post;     /* a backend service's own PractitionerRole id */
    struct str launch;   /* where it is opened from the screens (EHR launch); may be absent */
};

/* (slow) *secret is given once and only when asked for; its hash is stored. */
bool app_add(struct access *access, struct arena *arena, const struct app_new *app, struct str *id,
             struct str *secret, struct error *error) MUST_CHECK;

/* [{id, name, kind, redirect:[…], scopes, post, launch, disabled, createdAt}] */
bool app_list(struct access *access, struct arena *arena, struct json **apps, struct error *error) MUST_CHECK;

/* (slow) Disabling ends what the app holds. */
bool app_set_disabled(struct access *access, struct str id, bool disabled, struct error *error) MUST_CHECK;

/* ---- a person allows it ---- */

/* The parameters of /auth/authorize. */
struct app_ask {
    struct str app; /* client_id */
    struct str redirect;
    struct str response_type;
    struct str scope;
    struct str state;
    struct str aud;
    struct str challenge;
    struct str challenge_method;
    struct str nonce;
    struct str launch;
};

struct app_asked {
    struct str name;          /* of the app */
    bool redirect_known;      /* the app is known and the address is its: refusals may be sent there */
    struct scope_list scopes; /* what it may ask for at all */
};

/* `base` is our FHIR base URL, which aud must name. *asked is written as far as it was understood, also on failure. */
bool app_check_ask(struct access *access, struct arena *arena, const struct app_ask *ask, struct str base,
                   struct app_asked *asked, struct error *error) MUST_CHECK;

/* What of a scope the session's post may do at all (enum scope_act); 0: nothing, then it is not granted. */
unsigned app_scope_within(const struct access_session *session, const struct scope *scope);

struct app_choice {
    struct str patient;   /* id, which the session may read; needed by launch/patient and patient/ scopes */
    struct str encounter; /* id of one of that patient's; may be absent */
    const bool *declined; /* for each scope of `asked`; NULL: none */
};

/* (ACCESS_BY_COOKIE only) The code for the redirect address: 60 seconds, one use. */
bool app_allow(struct access *access, struct arena *arena, const struct access_session *session,
               const struct app_ask *ask, const struct app_asked *asked, const struct app_choice *choice,
               struct str *code, struct error *error) MUST_CHECK;

/* ---- opened from the screens ---- */

/* What a screen has open. */
struct app_context {
    struct str patient;
    struct str encounter; /* one of the patient's; may be absent */
};
struct app_opened {
    struct str launch;
    struct str address; /* where the app is opened */
};

/* The address at which an app is opened with a patient in context: its launch address with iss and launch. The launch
 * is good for one authorisation of the same person and post, for 5 minutes. */
bool app_launch(struct access *access, struct arena *arena, const struct access_session *session,
                struct str app, const struct app_context *context, struct app_opened *opened,
                struct error *error) MUST_CHECK;

/* What a launch is about, without using it up; nothing when there is none such of this session. */
struct app_context app_launch_context(struct access *access, struct arena *arena,
                                      const struct access_session *session, struct str launch);

/* ---- the token endpoint ---- */

/* What tells which app asks: one of these. */
struct app_proof {
    struct str authorization; /* whole header: "Basic …" */
    struct str client_id;     /* a public app's; else it must agree, when given */
    struct str assertion_type;
    struct str assertion;
    struct str token_url; /* what an assertion's aud must name */
    struct str address;   /* of the client, for limits */
};

struct app_client {
    struct str id;
    struct str name;
    bool is_public;
    struct str post; /* a backend service's */
    struct str scopes;
};

/* (slow) ERROR_SIGN_IN with one text for all that is wrong; ERROR_TOO_MANY with *retry_after_s. An assertion is good once. */
bool app_authenticate(struct access *access, struct arena *arena, const struct app_proof *proof,
                      struct app_client *client, uint32_t *retry_after_s, struct error *error) MUST_CHECK;

struct app_token {
    struct str access_token;
    struct str refresh_token; /* absent without offline_access and online_access */
    uint32_t expires_s;
    struct str scopes;
    struct str patient;   /* in context */
    struct str encounter; /* in context */
    struct str nonce;
    bool openid;                   /* an id_token is to be made */
    struct access_session session; /* for the audit record */
};

struct app_exchange {
    struct str code;
    struct str verifier;
    struct str redirect;
};

/* (slow with offline_access) A code that comes twice ends what the first one gave. */
bool app_exchange_code(struct access *access, struct arena *arena, const struct app_client *client,
                       const struct app_exchange *exchange, struct app_token *token,
                       struct error *error) MUST_CHECK;

/* (slow) The next pair of tokens. A refresh token that was already used ends all of its line: one of two holders is a thief. */
bool app_refresh(struct access *access, struct arena *arena, const struct app_client *client,
                 struct str refresh, struct str scope, struct app_token *token,
                 struct error *error) MUST_CHECK;

/* Backend services: for the app's own post. */
bool app_own_token(struct access *access, struct arena *arena, const struct app_client *client,
                   struct str scope, struct app_token *token, struct error *error) MUST_CHECK;

/* RFC 7662, for tokens of this app; others are {"active": false}. */
bool app_introspect(struct access *access, struct arena *arena, const struct app_client *client,
                    struct str token, struct json **answer, struct error *error) MUST_CHECK;

/* RFC 7009. (slow) A refresh token ends its whole line. What is none of the app's is no error. */
bool app_revoke(struct access *access, struct arena *arena, const struct app_client *client, struct str token,
                struct error *error) MUST_CHECK;

/* ---- who somebody is (OpenID Connect) ---- */

/* (slow at the first time) A token signed by the server's key, and the public key as a JWK set. */
bool app_sign(struct access *access, struct arena *arena, const struct json *claims, struct str *token,
              struct error *error) MUST_CHECK;
bool app_key_set(struct access *access, struct arena *arena, struct json **set,
                 struct error *error) MUST_CHECK;

#endif
