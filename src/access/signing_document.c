/* signing_document.c — which bytes of a resource are signed, and checking an R4 Signature over them. */
#include "access/row_json.h"
#include "access/signing.h"
#include "base/clock.h"
#include "base/limits.h"

#define CERTIFICATE_EXTENSION "urn:shanhai:ext:certificate-number"
#define SIGNATURE_FORMAT "application/x-sm2-sm3"

bool signing_canonical(struct arena *arena, const struct json *resource, struct str *bytes,
                       struct error *error)
{
    struct buf buf = { .bytes_max = LIMIT_BUNDLE_BYTES };
    struct json *copy = json_copy(arena, resource, false);
    if (copy == NULL) {
        return FAIL(error, ERROR_TOO_LARGE, "request memory used up");
    }
    (void)json_remove_member(copy, STR("id"));
    (void)json_remove_member(copy, STR("meta"));
    (void)json_remove_member(copy, STR("signature"));
    bool ok = json_write_canonical(&buf, copy, error);
    struct str text = ok ? arena_dup(arena, buf_str(&buf)) : STR_NONE;
    buf_deinit(&buf);
    if (ok && text.at == NULL) {
        ok = FAIL(error, ERROR_TOO_LARGE, "request memory used up");
    }
    if (ok) {
        *bytes = text;
    }
    return ok;
}

static struct str certificate_number(struct arena *arena, const struct json *signature)
{
    JSON_EACH(extension, JSON_GET(signature, "extension")) {
        if (json_equals_text(JSON_GET(extension, "url"), STR(CERTIFICATE_EXTENSION))) {
            return JSON_TEXT(arena, extension, "valueString");
        }
    }
    return STR_NONE;
}

static bool signature_read(struct arena *arena, const struct json *value, struct signature *signature,
                           struct error *error)
{
    struct date_span when;
    struct error ignored = { 0 };
    struct signature out = { 0 };
    bool fits = json_equals_text(JSON_GET(value, "sigFormat"), STR(SIGNATURE_FORMAT)) &&
                text_copy(certificate_number(arena, value), out.number, sizeof out.number) &&
                date_parse(JSON_TEXT(arena, value, "when"), 0, &when, &ignored) &&
                signature_from_base64(JSON_TEXT(arena, value, "data"), &out);
    if (!fits) {
        return FAIL(error, ERROR_STRUCTURE, "this is not a signature that this program made");
    }
    out.time_ms = when.from_ms;
    *signature = out;
    return true;
}

bool signing_verify(const struct signer *signer, struct arena *arena, const struct json *resource,
                    const struct json *value, struct signing_verdict *verdict, struct error *error)
{
    struct signature signature;
    struct signing_verdict out = { 0 };
    struct str bytes = STR_NONE;
    if (!signature_read(arena, value, &signature, error) ||
        !signing_canonical(arena, resource, &bytes, error) ||
        !signer->verify(signer->context, STR_NONE, bytes, &signature, &out.valid, error)) {
        return false;
    }
    out.time_ms = signature.time_ms;
    memcpy(out.number, signature.number, sizeof out.number);
    *verdict = out;
    return true;
}
