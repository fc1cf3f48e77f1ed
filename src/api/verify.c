/* GET /verify/{document}/{mark}: whether a printed report is genuine. For whoever holds the paper, without sign-in: the
 * answer has the date, the hospitals and the number of pages, never a word about the patient. `mark` is the end of the
 * signature, as the QR code on the sheet carries it; a wrong one, an unknown document and a copy that was never
 * printed get the same answer, and few tries. */
#include "access/access.h"
#include "access/signing.h"
#include "api/call.h"
#include "api/handlers.h"
#include "base/clock.h"
#include "base/parse.h"
#include "fhir/search_query.h"
#include "store/body.h"

enum { TRIES_FREE = 10, MARK_BYTES = 16, COPIES_MAX = 500, DAY_BYTES = 10 };

struct verify {
    struct http_request *request;
    struct arena *arena;
    struct store_reader *reader;
    struct json *document;
    uint64_t copy; /* number on the sheet; 0: not asked */
    bool genuine;
    struct json *pages; /* of that copy, else of the last one; NULL: never printed */
};

static bool read_document(struct verify *verify, struct str id, struct error *error)
{
    struct store_version version = { 0 };
    struct error cause = { 0 };
    struct str text = STR_NONE;
    if (!store_read(verify->reader, verify->arena, STR("Bundle"), id, &version, &cause)) {
        return cause.kind == ERROR_NOT_FOUND || FAIL(error, cause.kind, "%s", cause.text);
    }
    if (version.method == STORE_METHOD_DELETED) {
        return true;
    }
    return store_body_text(verify->arena, &version, &text, error) &&
           json_read(verify->arena, text, &verify->document, error);
}

/* The last characters of Signature.data without padding, in the alphabet of addresses (RFC 4648, section 5). */
static bool mark_fits(struct arena *arena, const struct json *document, struct str mark)
{
    struct str data = JSON_TEXT(arena, JSON_GET(document, "signature"), "data");
    while (data.len > 0 && data.at[data.len - 1] == '=') {
        data.len--;
    }
    if (data.len < MARK_BYTES || mark.len != MARK_BYTES) {
        return false;
    }
    unsigned differs = 0; /* all characters are looked at: time tells nothing about the first ones */
    for (size_t i = 0; i < MARK_BYTES; i++) {
        char c = data.at[data.len - MARK_BYTES + i];
        c = c == '+' ? '-' : c == '/' ? '_' : c;
        differs |= (unsigned)(unsigned char)c ^ (unsigned)(unsigned char)mark.at[i];
    }
    return differs == 0;
}

/* The stored document is still what was signed. */
static bool signature_holds(struct verify *verify)
{
    struct signing_verdict verdict = { 0 };
    struct error ignored = { 0 };
    const struct signer *signer = api_of(verify->request)->signer;
    return signer != NULL &&
           signing_verify(signer, verify->arena, verify->document, JSON_GET(verify->document, "signature"),
                          &verdict, &ignored) &&
           verdict.valid;
}

static const struct json *extension_value(const struct json *resource, struct str url, struct str member)
{
    JSON_EACH(extension, JSON_GET(resource, "extension")) {
        if (json_equals_text(JSON_GET(extension, "url"), url)) {
            return json_member(extension, member);
        }
    }
    return NULL;
}

/* The records of printing (docs/modules/consult.md section 9): pages of the asked copy, else of the last one. */
static bool take_copy(struct verify *verify, const struct json *print, struct str reference, bool *known)
{
    const struct json *document =
        extension_value(print, STR("urn:shanhai:ext:document"), STR("valueReference"));
    const struct json *number =
        extension_value(print, STR("urn:shanhai:ext:copy-number"), STR("valueInteger"));
    const struct json *pages = extension_value(print, STR("urn:shanhai:ext:pages"), STR("valueInteger"));
    uint64_t copy = 0;
    bool of_this = json_equals_text(JSON_GET(document, "reference"), reference) && number != NULL &&
                   pages != NULL && parse_uint64(number->raw, UINT32_MAX, &copy);
    if (of_this && (verify->copy == 0 || verify->copy == copy)) {
        *known = true;
        verify->pages = json_copy(verify->arena, pages, false);
        return verify->pages != NULL;
    }
    return true;
}

static bool read_copies(struct verify *verify, struct str id, bool *known, struct error *error)
{
    struct search_query query = { 0 };
    struct store_hits hits = { 0 };
    const struct search_options options = { .type = STR("Communication"),
                                            .offset_minutes = api_of(verify->request)->offset_minutes };
    const struct json *composition = JSON_GET(json_at(JSON_GET(verify->document, "entry"), 0), "resource");
    struct str encounter = JSON_TEXT(verify->arena, JSON_GET(composition, "encounter"), "reference");
    struct str reference = arena_concat(verify->arena, STR("Bundle/"), id);
    struct str text = arena_printf(
        verify->arena, "encounter=%.*s&category=urn:shanhai:codes:communication|print-copy&_sort=sent",
        STR_FMT(encounter));
    if (encounter.at == NULL) {
        return true;
    }
    if (!search_query_parse_text(verify->arena, &options, text, &query, error)) {
        return false;
    }
    query.count = COPIES_MAX;
    query.has_count = true;
    struct store_search search = { .query = &query, .now_ms = clock_now_ms() };
    if (!store_search(verify->reader, verify->arena, &search, &hits, error)) {
        return false;
    }
    for (size_t i = 0; i < hits.count; i++) {
        struct str body = STR_NONE;
        struct json *print = NULL;
        if (!store_body_text(verify->arena, &hits.hits[i].version, &body, error) ||
            !json_read(verify->arena, body, &print, error) || !take_copy(verify, print, reference, known)) {
            return false;
        }
    }
    return true;
}

static bool look(struct verify *verify, struct error *error)
{
    struct str id = http_parameter(verify->request, STR("document"));
    struct str mark = http_parameter(verify->request, STR("mark"));
    struct str copy = http_query_value(verify->request, STR("copy"));
    bool known = false;
    if (copy.at != NULL && !parse_uint64(copy, UINT32_MAX, &verify->copy)) {
        return true;
    }
    if (!read_document(verify, id, error)) {
        return false;
    }
    bool right = verify->document != NULL &&
                 json_equals_text(JSON_GET(verify->document, "type"), STR("document")) &&
                 mark_fits(verify->arena, verify->document, mark) && signature_holds(verify);
    if (!right) {
        return true;
    }
    if (!read_copies(verify, id, &known, error)) {
        return false;
    }
    verify->genuine = verify->copy == 0 || known;
    return true;
}

/* Names of the organisations in the document: each once, in order. */
static void add_hospitals(struct verify *verify, struct json *answer)
{
    struct json *list = json_add(answer, STR("hospitals"), json_new(verify->arena, JSON_ARRAY));
    JSON_EACH(entry, JSON_GET(verify->document, "entry")) {
        const struct json *resource = JSON_GET(entry, "resource");
        const struct json *name = JSON_GET(resource, "name");
        if (json_equals_text(JSON_GET(resource, "resourceType"), STR("Organization")) && name != NULL) {
            (void)json_append(list, json_copy(verify->arena, name, false));
        }
    }
}

static struct json *answer_of(struct verify *verify)
{
    struct json *answer = json_new(verify->arena, JSON_OBJECT);
    (void)json_add(answer, STR("genuine"), json_new_bool(verify->arena, verify->genuine));
    if (!verify->genuine) {
        return answer;
    }
    struct str time = JSON_TEXT(verify->arena, verify->document, "timestamp");
    (void)json_add_text(verify->arena, answer, STR("date"), str_slice(time, 0, DAY_BYTES));
    add_hospitals(verify, answer);
    (void)json_add(answer, STR("pages"),
                   verify->pages != NULL ? verify->pages : json_new(verify->arena, JSON_NULL));
    return answer;
}

enum http_verdict verify_document(struct http_request *request)
{
    struct api *api = api_of(request);
    struct error error = { 0 };
    struct verify verify = { .request = request, .arena = &request->arena };
    uint32_t retry_after_s = 0;
    struct str key = arena_concat(&request->arena, STR("verify:"), api_client_address(request));
    if (!access_try_allowed(api->access, key, &retry_after_s, &error)) {
        http_add_header(request, STR("Retry-After"),
                        arena_printf(&request->arena, "%u", (unsigned)retry_after_s));
        return api_fail(request, &error);
    }
    if (!store_reader_begin(api->store, &verify.reader, &error)) {
        return api_fail(request, &error);
    }
    bool ok = look(&verify, &error);
    store_reader_end(verify.reader);
    if (!ok) {
        return api_fail(request, &error);
    }
    if (!verify.genuine) {
        access_try_failed(api->access, key, TRIES_FREE);
    }
    http_add_header(request, STR("Cache-Control"), STR("no-store"));
    api_respond_json(request, 200, false, answer_of(&verify));
    return HTTP_DONE;
}
