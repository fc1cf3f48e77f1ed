/* Any bytes as a list of scopes and as a signed token: scopes that are understood are of known types and letters, and say
 * the same when they are written and read again; no bytes are a token that nobody signed. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "access/jose.h"
#include "access/scope.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void scopes(struct arena *arena, struct str text)
{
    struct scope_list list = { 0 };
    struct scope_list again = { 0 };
    struct error error = { 0 };
    if (!scope_list_read(arena, text, &list, &error)) {
        assert(error.kind == ERROR_RULE || error.kind == ERROR_TOO_LARGE);
        return;
    }
    for (size_t i = 0; i < list.count; i++) {
        assert(list.scopes[i].acts != 0 && (list.scopes[i].acts & ~(unsigned)SCOPE_EVERYTHING) == 0);
        assert(list.scopes[i].type.len > 0);
    }
    struct str written = scope_list_text(arena, &list, NULL);
    if (written.at != NULL && scope_list_read(arena, written, &again, &error)) {
        assert(again.count == list.count && again.ignored_count == 0 && again.openid == list.openid);
    }
}

static void token(struct arena *arena, struct str text)
{
    static const char set_text[] =
        "{\"keys\":[{\"kty\":\"EC\",\"kid\":\"k\",\"crv\":\"P-384\",\"x\":"
        "\"qofKIr6LBTeOscce8yCtdG4dO2KLp5uYWfdB4IJUKjhVAvJdv1UpbDpUXjhydgq3\","
        "\"y\":\"NhfeSpYmLG9dnpi_kpLcKfj0Hb0omhR86doxE7XwuMAKYLHOHX6BnXpDHXyQ6g5f\"}]}";
    struct json *set = NULL;
    struct json *claims = NULL;
    struct json *registered = NULL;
    struct error error = { 0 };
    bool read = json_read(arena, str_from_cstr(set_text), &set, &error);
    assert(read);
    assert(!jose_verify(arena, text, set, &claims, &error));
    (void)!jose_claims_unverified(arena, text, &claims, &error);
    if (json_read(arena, text, &registered, &error)) {
        (void)!jose_key_set_acceptable(arena, registered, &error);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena = { .bytes_max = 32u << 20 };
    struct str text = { (const char *)data, size };
    scopes(&arena, text);
    token(&arena, text);
    arena_deinit(&arena);
    return 0;
}
