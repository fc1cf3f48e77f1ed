/* outgoing.h — requests that this program sends: notifications of subscriptions. One client is driven by one thread,
 * which calls outgoing_wait in a loop; many calls run at once, so that one slow endpoint delays no other. On libcurl,
 * whose header is included nowhere outside outgoing.c.
 *
 * What a user may name as an endpoint is a way into the network around the server, so only what the operator has listed
 * is called (outgoing_allowed); redirects are not followed, no proxy of the environment is taken, certificates are
 * checked, and only http and https are spoken. */
#ifndef SHANHAI_HTTP_OUTGOING_H
#define SHANHAI_HTTP_OUTGOING_H

#include <stddef.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"

struct outgoing;

/* A POST. Everything is copied. */
struct outgoing_call {
    struct str url;
    struct str content_type;
    const struct str *headers; /* "Name: value" */
    size_t headers_count;
    struct str body;
    long timeout_ms;
    /* Called once on the thread of outgoing_wait. `status` is that of the answer; 0: there was none, and `why` says in
     * plain words what happened, never with a value of the request. */
    void (*done)(void *data, int status, const char *why);
    void *data;
};

/* Ends with the arena; calls that still run end without their `done`. */
bool outgoing_create(struct arena *arena, struct outgoing **outgoing, struct error *error) MUST_CHECK;

/* Starts a call, on the thread of outgoing_wait. ERROR_TOO_MANY over OUTGOING_CALLS_MAX. */
enum { OUTGOING_CALLS_MAX = 64 };
bool outgoing_send(struct outgoing *outgoing, const struct outgoing_call *call,
                   struct error *error) MUST_CHECK;

/* Works until something has ended, outgoing_wake was called, or the time is over. */
void outgoing_wait(struct outgoing *outgoing, int timeout_ms);

/* From any thread. */
void outgoing_wake(struct outgoing *outgoing);

/* Whether the URL may be called: one of `allowed` has the same scheme, host and port, and its path is the beginning of
 * the URL's, at a '/'. Also asks for a URL of http or https without user, password and fragment: ERROR_RULE. */
bool outgoing_allowed(struct arena *arena, struct str url, const struct str *allowed, size_t allowed_count,
                      struct error *error) MUST_CHECK;

/* Whether a header line may be sent along: a name and a value without control bytes, and none of those that say how the
 * request itself is framed. ERROR_RULE, never with the value. */
bool outgoing_header_allowed(struct str line, struct error *error) MUST_CHECK;

/* One GET of a small text, here and now (pool threads: OUTGOING_FETCH_MS at most): https, a trusted certificate, no
 * redirect, status 200, nothing that leads to an address of a private network, of this machine or of no machine at all; with
 * `private_too` these as well, and http. ERROR_RULE for such an address, ERROR_BUSY when it does not answer. */
enum { OUTGOING_FETCH_MS = 5000 };
struct sockaddr;
bool outgoing_address_is_private(const struct sockaddr *address);
bool outgoing_fetch(struct arena *arena, struct str url, size_t bytes_max, bool private_too, struct str *text,
                    struct error *error) MUST_CHECK;

#endif
