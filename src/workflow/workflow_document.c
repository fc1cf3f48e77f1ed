/* Signing: a resource by a Provenance beside it, a Composition by freezing it with all it refers to in a
 * document Bundle (R4 3.3: bundle type document). The signed bytes are the canonical form of
 * docs/modules/signing.md: members sorted, no white space, `id`, `meta` and `signature` of the signed root out. */
#include "workflow/workflow_internal.h"

#include "base/limits.h"
#include "base/parse.h"

/* Documents leave the house: their entries need absolute addresses, and this one resolves nowhere. */
#define DOCUMENT_BASE "https://shanhai.invalid/fhir/"

static struct json *instant_of(struct workflow_run *run)
{
    char now[INSTANT_BYTES];
    (void)instant_format(run->request->now_ms, run->request->offset_minutes, now);
    return json_new_string(run->arena, arena_dup(run->arena, str_from_cstr(now)));
}

static struct json *reference_to(struct workflow_run *run, struct str reference)
{
    struct json *object = json_new(run->arena, JSON_OBJECT);
    (void)json_add_text(run->arena, object, STR("reference"), reference);
    return object;
}

static struct json *coding_of(struct workflow_run *run, struct str system, struct str code)
{
    struct json *coding = json_new(run->arena, JSON_OBJECT);
    (void)json_add_text(run->arena, coding, STR("system"), system);
    (void)json_add_text(run->arena, coding, STR("code"), code);
    return coding;
}

/* The R4 Signature over `root` as it stands now. */
static bool make_signature(struct workflow_run *run, const struct json *root, struct json **signature,
                           struct error *error)
{
    const struct workflow_host *host = run->request->host;
    struct json *signed_part = json_copy(run->arena, root, false);
    struct buf canonical = { .bytes_max = LIMIT_RESOURCE_BYTES };
    struct workflow_signature made = { 0 };
    if (signed_part == NULL) {
        return WORKFLOW_NO_MEMORY(error);
    }
    (void)json_remove_member(signed_part, STR("id"));
    (void)json_remove_member(signed_part, STR("meta"));
    (void)json_remove_member(signed_part, STR("signature"));
    bool ok = json_write_canonical(&canonical, signed_part, error) &&
              host->sign(host->data, run->arena, buf_str(&canonical), &made, error);
    buf_deinit(&canonical);
    if (!ok) {
        return false;
    }
    struct json *object = json_new(run->arena, JSON_OBJECT);
    struct json *extensions = json_add(object, STR("extension"), json_new(run->arena, JSON_ARRAY));
    struct json *extension = json_append(extensions, json_new(run->arena, JSON_OBJECT));
    (void)json_add_text(run->arena, extension, STR("url"), STR("urn:shanhai:ext:certificate-number"));
    (void)json_add_text(run->arena, extension, STR("valueString"), made.certificate);
    struct json *types = json_add(object, STR("type"), json_new(run->arena, JSON_ARRAY));
    /* Author's signature: ASTM E1762, as R4 2.1.28.0.9 Signature.type asks. */
    (void)json_append(types,
                      coding_of(run, STR("urn:iso-astm:E1762-95:2013"), STR("1.2.840.10065.1.12.1.1")));
    (void)json_add(object, STR("when"), instant_of(run));
    (void)json_add(object, STR("who"), reference_to(run, run->request->actor->post));
    (void)json_add_text(run->arena, object, STR("sigFormat"), made.format);
    if (json_add_text(run->arena, object, STR("data"), made.data) == NULL) {
        return WORKFLOW_NO_MEMORY(error);
    }
    *signature = object;
    return true;
}

static struct str versioned_reference(struct workflow_run *run, const struct workflow_write *write)
{
    uint64_t read_version = 0;
    if (write->version.at != NULL && !parse_uint64(write->version, UINT32_MAX, &read_version)) {
        return STR_NONE;
    }
    return arena_printf(run->arena, "%.*s/%.*s/_history/%llu", STR_FMT(write->type), STR_FMT(write->id),
                        (unsigned long long)read_version + 1);
}

static bool one_touched(struct workflow_run *run, struct str expression, struct workflow_write **write,
                        struct error *error)
{
    struct fhirpath_collection result = { 0 };
    if (!workflow_evaluate(run, expression, NULL, &result, error)) {
        return false;
    }
    *write = result.count == 1 ? workflow_touched(run, result.items[0].node.value) : NULL;
    return *write != NULL || FAIL(error, ERROR_INTERNAL, "workflow %.*s: what is signed must be one resource",
                                  STR_FMT(run->machine->code));
}

bool workflow_sign_resource(struct workflow_run *run, const struct json *effect, struct error *error)
{
    struct workflow_write *write = NULL;
    struct json *signature = NULL;
    if (!one_touched(run, JSON_TEXT(run->arena, effect, "sign"), &write, error) ||
        !make_signature(run, write->resource, &signature, error)) {
        return false;
    }
    struct json *provenance = json_new(run->arena, JSON_OBJECT);
    (void)json_add_text(run->arena, provenance, STR("resourceType"), STR("Provenance"));
    struct json *targets = json_add(provenance, STR("target"), json_new(run->arena, JSON_ARRAY));
    (void)json_append(targets, reference_to(run, versioned_reference(run, write)));
    (void)json_add(provenance, STR("recorded"), instant_of(run));
    struct json *activity = json_add(provenance, STR("activity"), json_new(run->arena, JSON_OBJECT));
    struct json *codings = json_add(activity, STR("coding"), json_new(run->arena, JSON_ARRAY));
    (void)json_append(codings, coding_of(run, STR("urn:shanhai:codes:transition"), STR("signature")));
    struct json *agents = json_add(provenance, STR("agent"), json_new(run->arena, JSON_ARRAY));
    struct json *agent = json_append(agents, json_new(run->arena, JSON_OBJECT));
    (void)json_add(agent, STR("who"), reference_to(run, run->request->actor->post));
    struct json *signatures = json_add(provenance, STR("signature"), json_new(run->arena, JSON_ARRAY));
    if (json_append(signatures, signature) == NULL) {
        return WORKFLOW_NO_MEMORY(error);
    }
    return workflow_make(run, provenance, JSON_TEXT(run->arena, effect, "as"), error);
}

/* ---- documents ---- */

struct document {
    struct workflow_run *run;
    struct json *entries;
};

static bool document_has(const struct document *document, struct str full_url)
{
    JSON_EACH(entry, document->entries) {
        if (json_equals_text(JSON_GET(entry, "fullUrl"), full_url)) {
            return true;
        }
    }
    return false;
}

/* Adds a resource as it stands; its references to others are not followed. */
static bool document_add(struct document *document, const struct workflow_write *write, struct error *error)
{
    struct workflow_run *run = document->run;
    struct str url =
        arena_printf(run->arena, DOCUMENT_BASE "%.*s/%.*s", STR_FMT(write->type), STR_FMT(write->id));
    if (document_has(document, url)) {
        return true;
    }
    struct json *copy = json_copy(run->arena, write->resource, false);
    struct json *entry = json_append(document->entries, json_new(run->arena, JSON_OBJECT));
    (void)json_add_text(run->arena, entry, STR("fullUrl"), url);
    return json_add(entry, STR("resource"), copy) != NULL || WORKFLOW_NO_MEMORY(error);
}

static bool document_add_reference(struct document *document, struct str reference, struct error *error)
{
    struct workflow_write *found = NULL;
    if (reference.at == NULL || !workflow_read(document->run, reference, &found, error)) {
        return reference.at == NULL;
    }
    if (found == NULL || !document_add(document, found, error)) {
        return found == NULL;
    }
    /* A post says little without its person and its hospital. */
    static const char *const of_post[] = { "practitioner", "organization" };
    for (size_t i = 0; str_equal(found->type, STR("PractitionerRole")) && i < 2; i++) {
        const struct json *target = json_member(found->resource, str_from_cstr(of_post[i]));
        struct workflow_write *more = NULL;
        struct str name = JSON_TEXT(document->run->arena, target, "reference");
        if (name.at != NULL && (!workflow_read(document->run, name, &more, error) ||
                                (more != NULL && !document_add(document, more, error)))) {
            return false;
        }
    }
    return true;
}

/* Every Reference below `value`, in order. */
static bool document_follow(struct document *document, const struct json *value, struct error *error)
{
    if (value->kind == JSON_OBJECT) {
        struct str reference = JSON_TEXT(document->run->arena, value, "reference");
        bool local = reference.at != NULL && !str_starts_with(reference, STR("#"));
        if (local && !document_add_reference(document, reference, error)) {
            return false;
        }
    }
    JSON_EACH(child, value) {
        if (!document_follow(document, child, error)) {
            return false;
        }
    }
    return true;
}

static bool document_fill(struct document *document, const struct workflow_write *composition,
                          struct str include, struct error *error)
{
    struct fhirpath_collection more = { 0 };
    if (!document_add(document, composition, error) ||
        !document_follow(document, composition->resource, error) ||
        (include.at != NULL && !workflow_evaluate(document->run, include, NULL, &more, error))) {
        return false;
    }
    for (size_t i = 0; i < more.count; i++) {
        struct str reference = fhirpath_item_text(document->run->arena, &more.items[i]);
        if (!document_add_reference(document, reference, error)) {
            return false;
        }
    }
    return true;
}

bool workflow_make_document(struct workflow_run *run, const struct json *effect, struct error *error)
{
    struct workflow_write *composition = NULL;
    struct str as = JSON_TEXT(run->arena, effect, "as");
    if (!one_touched(run, JSON_TEXT(run->arena, effect, "document"), &composition, error)) {
        return false;
    }
    struct json *bundle = json_new(run->arena, JSON_OBJECT);
    (void)json_add_text(run->arena, bundle, STR("resourceType"), STR("Bundle"));
    struct json *identifier = json_add(bundle, STR("identifier"), json_new(run->arena, JSON_OBJECT));
    (void)json_add_text(run->arena, identifier, STR("system"), STR("urn:shanhai:id:document"));
    (void)json_add_text(
        run->arena, identifier, STR("value"),
        arena_printf(run->arena, "%.*s/%.*s", STR_FMT(composition->type), STR_FMT(composition->id)));
    (void)json_add_text(run->arena, bundle, STR("type"), STR("document"));
    (void)json_add(bundle, STR("timestamp"), instant_of(run));
    struct document document = { .run = run };
    document.entries = json_add(bundle, STR("entry"), json_new(run->arena, JSON_ARRAY));
    struct json *signature = NULL;
    if (document.entries == NULL) {
        return WORKFLOW_NO_MEMORY(error);
    }
    if (!document_fill(&document, composition, JSON_TEXT(run->arena, effect, "include"), error) ||
        !make_signature(run, bundle, &signature, error)) {
        return false;
    }
    (void)json_add(bundle, STR("signature"), signature);
    return workflow_make(run, bundle, as, error);
}
