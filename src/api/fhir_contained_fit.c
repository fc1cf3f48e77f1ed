/* Whether a contained resource fits criteria. Its own rows answer most of them; a chain goes on to what lies beside it in the
 * container ("#id"), or to a resource of the store. */
#include "api/fhir_contained.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/limits.h"
#include "fhir/index.h"
#include "fhirpath/fhirpath.h"
#include "model/model.h"

struct contained_subject {
    const struct contained_fit *fit;
    const struct json *tree;
    struct search_subject subject;
    size_t depth;
};

static bool all_fit(const struct contained_subject *one, const struct search_criteria *criteria, bool *fits,
                    struct error *error);

static bool subject_of(const struct contained_fit *fit, const struct json *tree, size_t depth,
                       struct contained_subject *one, struct index_rows *rows, struct error *error)
{
    if (depth > LIMIT_SEARCH_CHAIN) {
        return FAIL(error, ERROR_TOO_COSTLY, "a chain has more than %d links", LIMIT_SEARCH_CHAIN);
    }
    if (!fhir_index_rows(api_of(fit->request)->index, fit->arena, tree, rows, error)) {
        return false;
    }
    *one = (struct contained_subject){ .fit = fit,
                                       .tree = tree,
                                       .subject = { .type = JSON_TEXT(fit->arena, tree, "resourceType"),
                                                    .id = JSON_TEXT(fit->arena, tree, "id"),
                                                    .updated_ms = fit->updated_ms,
                                                    .rows = rows->rows,
                                                    .rows_count = rows->count },
                                       .depth = depth };
    return true;
}

/* ---- chains ---- */

/* A resource of the store by its key's text, "Type/id", against one link. */
static bool outside_fits(const struct contained_subject *one, struct str reference,
                         const struct search_link *link, bool *fits, struct error *error)
{
    size_t slash = str_find_last_char(reference, '/');
    struct str id = str_skip(reference, slash + 1);
    const struct search_criteria criteria = {
        .next = link->criteria, .kind = SEARCH_ID, .type = link->type, .ids = &id, .ids_count = 1
    };
    const struct search_query query = {
        .type = link->type, .criteria = &criteria, .count = 1, .has_count = true, .total = SEARCH_TOTAL_NONE
    };
    const struct store_search search = {
        .query = &query, .filter = one->fit->filter, .now_ms = clock_now_ms(), .without_bodies = true
    };
    struct store_hits hits = { 0 };
    if (slash >= reference.len) {
        return true;
    }
    *one->fit->looked_up += 1;
    if (!store_search(one->fit->reader, one->fit->arena, &search, &hits, error)) {
        return false;
    }
    *fits = hits.count > 0;
    return true;
}

static const struct json *beside(const struct contained_subject *one, struct str reference)
{
    struct str id = str_skip(reference, 1);
    if (id.len == 0) { /* "#": the container itself */
        return one->fit->container;
    }
    JSON_EACH(contained, JSON_GET(one->fit->container, "contained")) {
        if (json_equals_text(JSON_GET(contained, "id"), id)) {
            return contained;
        }
    }
    return NULL;
}

static bool link_fits(const struct contained_subject *one, struct str reference,
                      const struct search_link *link, bool *fits, struct error *error)
{
    struct str base = api_of(one->fit->request)->base_url;
    if (!str_starts_with(reference, STR("#"))) {
        bool own = index_reference_key(reference, base) ==
                   hash_resource_key(link->type, str_skip(reference, str_find_last_char(reference, '/') + 1));
        return !own || outside_fits(one, reference, link, fits, error);
    }
    struct contained_subject next = { 0 };
    struct index_rows rows = { 0 };
    const struct json *tree = beside(one, reference);
    if (tree == NULL || !json_equals_text(JSON_GET(tree, "resourceType"), link->type)) {
        return true;
    }
    return subject_of(one->fit, tree, one->depth + 1, &next, &rows, error) &&
           all_fit(&next, link->criteria, fits, error);
}

/* The texts of the references that a parameter finds: those within the container have no rows. */
static bool chain_fits(const struct contained_subject *one, const struct search_criteria *chain, bool *fits,
                       struct error *error)
{
    struct arena *arena = one->fit->arena;
    const struct model_search_parameter *parameter = model_search_find(one->subject.type, chain->code);
    struct fhirpath_context context = {
        .arena = arena, .resource = one->tree, .root_resource = one->fit->container, .as_filters = true
    };
    struct fhirpath_collection values = { 0 };
    struct fhirpath *path = parameter == NULL ? NULL : fhirpath_compile(arena, parameter->expression, error);
    if (path == NULL || !fhirpath_evaluate_on_resource(path, &context, one->tree, &values, error)) {
        return parameter == NULL;
    }
    for (size_t i = 0; i < values.count && !*fits; i++) {
        const struct json *value = values.items[i].kind == FHIRPATH_NODE ? values.items[i].node.value : NULL;
        struct str reference = JSON_TEXT(arena, value, "reference");
        for (size_t l = 0; reference.len > 0 && l < chain->links_count && !*fits; l++) {
            if (!link_fits(one, reference, &chain->links[l], fits, error)) {
                return false;
            }
        }
    }
    return true;
}

/* ---- criteria ---- */

static bool group_fits(const struct contained_subject *one, const struct search_criteria *group, bool *fits,
                       struct error *error)
{
    for (size_t i = 0; i < group->links_count && !*fits; i++) {
        const struct search_link *link = &group->links[i];
        bool of_type = link->type.len == 0 || str_equal(link->type, one->subject.type);
        if (of_type && !all_fit(one, link->criteria, fits, error)) {
            return false;
        }
    }
    return true;
}

static bool one_fits(const struct contained_subject *one, const struct search_criteria *criteria, bool *fits,
                     struct error *error)
{
    struct search_criteria alone = *criteria;
    bool known = false;
    alone.next = NULL;
    *fits = search_criteria_match(&alone, &one->subject, &known);
    if (known) {
        return true;
    }
    bool any = false;
    bool ok = criteria->kind == SEARCH_GROUP ? group_fits(one, criteria, &any, error)
              : criteria->kind == SEARCH_CHAIN
                  ? chain_fits(one, criteria, &any, error)
                  : FAIL(error, ERROR_UNSUPPORTED, "_has and _list are not offered with _contained");
    *fits = any != criteria->negated;
    return ok;
}

static bool all_fit(const struct contained_subject *one, const struct search_criteria *criteria, bool *fits,
                    struct error *error)
{
    *fits = true;
    for (; criteria != NULL && *fits; criteria = criteria->next) {
        if (!one_fits(one, criteria, fits, error)) {
            return false;
        }
    }
    return true;
}

bool contained_fits(const struct contained_fit *fit, const struct json *contained,
                    const struct search_criteria *criteria, struct index_rows *rows, bool *fits,
                    struct error *error)
{
    struct contained_subject one = { 0 };
    return subject_of(fit, contained, 0, &one, rows, error) && all_fit(&one, criteria, fits, error);
}
