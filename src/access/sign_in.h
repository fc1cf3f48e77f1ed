/* sign_in.h — the way in: sign-in with password, the session of a request, switching the post, signing
 * out, passwords, tokens for programs, and the administrator's work on accounts. These are the bodies
 * of the sign-in routes; api/ only moves text between HTTP and here.
 *
 * Rules (design.md section 5): argon2id one hash at a time with a bounded queue (ERROR_BUSY beyond it);
 * the same work for an unknown account; limits per account and per address (ERROR_TOO_MANY with
 * retry_after_s); a new session id at sign-in, post switch and change of password; idle 30 minutes, 12
 * hours at most; only hashes of ids and tokens are stored.
 *
 * Functions marked (slow) hash a password, 50 to 300 ms: never on a network thread. Any thread. */
#ifndef SHANHAI_ACCESS_SIGN_IN_H
#define SHANHAI_ACCESS_SIGN_IN_H

#include "access/access.h"

#define SESSION_COOKIE_NAME "shanhai_session"

/* What of an HTTP request decides about its session; absent headers are STR_NONE. */
struct session_request {
    struct str cookie;        /* value of the cookie SESSION_COOKIE_NAME */
    struct str authorization; /* whole header: "Bearer …" */
    struct str csrf;          /* header X-CSRF-Token */
    struct str origin;        /* header Origin; or scheme and host of Referer where Origin is absent */
    struct str host;          /* header Host */
    bool tls;                 /* the request came by TLS (or a trusted proxy says so) */
    bool unsafe;              /* any method but GET, HEAD, OPTIONS */
    bool passive; /* a look that is not the person's doing: does not keep the session from idling out */
};

/* The session of a request, in `arena`. ERROR_SIGN_IN (401) when there is none or it has ended;
 * ERROR_FORBIDDEN (403) when an unsafe method by cookie lacks the same Origin or the CSRF token, or the
 * account or post has been taken away meanwhile. A bearer token wins over a cookie. Fast: no store. */
bool session_of_request(struct access *access, struct arena *arena, const struct session_request *request,
                        struct access_session *session, struct error *error) MUST_CHECK;

struct sign_in_answer {
    struct str set_cookie; /* value of a Set-Cookie header: HttpOnly; SameSite=Strict; Path=/ (; Secure) */
    struct json *info;     /* what session_info gives */
    struct access_session session; /* for the audit record */
};

struct sign_in {
    struct str name;
    struct str password;
    struct str post;     /* PractitionerRole id to act under; absent takes the last used, else the first */
    struct str address;  /* of the client, as text */
    struct str language; /* "zh" or "en"; absent keeps the account's */
    bool tls;
};

/* (slow) ERROR_SIGN_IN for a wrong name or password (one text for both), a disabled account or one
 * without an active post; ERROR_TOO_MANY with *retry_after_s set; ERROR_BUSY when the queue is full. */
bool sign_in(struct access *access, struct arena *arena, const struct sign_in *request,
             struct sign_in_answer *answer, uint32_t *retry_after_s, struct error *error) MUST_CHECK;

/* {"person":{"id","name"},"account","post":{id,role,title:{zh,en},organization:{id,name},tenant:{id,name}},
 *  "posts":[…],"rights":[…],"csrf","language","mustChangePassword","idleSeconds","endsAt"} */
bool session_info(struct access *access, const struct access_session *session, struct arena *arena,
                  struct json **info, struct error *error) MUST_CHECK;

/* Another post of the same person: the old session ends, a new one begins. */
bool session_switch_post(struct access *access, struct arena *arena, const struct access_session *session,
                         struct str post, bool tls, struct sign_in_answer *answer,
                         struct error *error) MUST_CHECK;

/* Ends the session; *set_cookie deletes it at the browser. */
bool sign_out(struct access *access, struct arena *arena, const struct access_session *session,
              struct str *set_cookie, struct error *error) MUST_CHECK;

/* (slow) Checks the old password, sets the new one (at least 10 characters, not the name, none of the
 * commonest), ends all other sessions of the account and gives a new one. */
struct password_change {
    struct str old_password;
    struct str new_password;
    bool tls;
};
bool password_change(struct access *access, struct arena *arena, const struct access_session *session,
                     const struct password_change *change, struct sign_in_answer *answer,
                     struct error *error) MUST_CHECK;

/* (slow) Confirms the person again, before signing (signing.h): the password, or nothing when the last
 * confirmation in this session is at most 10 minutes old. ERROR_SIGN_IN when neither holds. */
bool session_confirm(struct access *access, const struct access_session *session, struct str password,
                     struct error *error) MUST_CHECK;

/* ---- the administrator's work (right "accounts"), also behind `shanhai user` ----
 * An administrator manages the people of the own tenant only: nobody who holds a post elsewhere, else a new
 * password would be a way into another hospital. The routes ask account_within first; the shell does not. */

/* ERROR_FORBIDDEN when the person holds a post outside the session's tenant. */
bool practitioner_within(struct access *access, struct arena *arena, const struct access_session *session,
                         struct str practitioner, struct error *error) MUST_CHECK;
/* The same for an account's person; ERROR_NOT_FOUND when there is no such account or it is not within. */
bool account_within(struct access *access, struct arena *arena, const struct access_session *session,
                    struct str name, struct error *error) MUST_CHECK;

struct account_new {
    struct str name;         /* 2 to 64 characters, letters, digits and .-_ */
    struct str password;     /* absent: one is made and given back */
    struct str practitioner; /* id */
    bool must_change_password;
};

/* (slow) *password is the password in force, to be shown once. ERROR_CONFLICT when the name is taken. */
bool account_add(struct access *access, struct arena *arena, const struct account_new *account,
                 struct str *password, struct error *error) MUST_CHECK;

/* What account_add would say against it, without doing it and without looking for the Practitioner. */
bool account_acceptable(struct access *access, const struct account_new *account,
                        struct error *error) MUST_CHECK;

/* The active posts of an account's person, as in session_info. */
bool account_posts(struct access *access, struct arena *arena, struct str name, struct str *practitioner,
                   struct json **posts, struct error *error) MUST_CHECK;

/* Array of {name, practitioner, disabled, mustChangePassword, createdAt, lastSignInAt}: of those within the session's
 * tenant, of all when session is NULL. */
bool account_list(struct access *access, struct arena *arena, const struct access_session *session,
                  struct json **accounts, struct error *error) MUST_CHECK;

/* Disabling ends the account's sessions and tokens at once. */
bool account_set_disabled(struct access *access, struct str name, bool disabled,
                          struct error *error) MUST_CHECK;

/* (slow) A new password set by the administrator: must be changed at the next sign-in; ends sessions. */
bool account_reset_password(struct access *access, struct arena *arena, struct str name, struct str *password,
                            struct error *error) MUST_CHECK;

struct token_new {
    struct str account; /* whose person the program acts for */
    struct str post;    /* PractitionerRole id; must be a post of that person */
    struct str label;   /* what it is for, up to 64 characters */
    uint32_t days;      /* until it ends: 1 to 400 */
};

/* The token's text "shanhai_…" is given once; only its hash is stored. */
bool token_add(struct access *access, struct arena *arena, const struct token_new *token, struct str *text,
               struct error *error) MUST_CHECK;

/* Array of {id, account, post, label, createdAt, endsAt}. */
bool token_list(struct access *access, struct arena *arena, struct json **tokens,
                struct error *error) MUST_CHECK;
bool token_remove(struct access *access, struct str id, struct error *error) MUST_CHECK;

#endif
