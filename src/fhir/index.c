#include <pthread.h>
#include <stdatomic.h>

#include "base/hash.h"
#include "base/limits.h"
#include "fhir/index_internal.h"

enum {
    INDEX_ARENA_BYTES = 32 * 1024 * 1024, /* all expressions of all types need about 4 MB */
    COMPONENT_KEYS_MAX = 16,
};

struct compiled_parameter {
    const struct fhirpath *path;
    struct parameter_numbers numbers;
    const struct fhirpath *components[INDEX_COMPONENTS_MAX]; /* composite; the first is a token */
    struct parameter_numbers component_numbers[INDEX_COMPONENTS_MAX];
    size_t components_count;
};

struct compiled_type {
    const struct fhirpath_trunk *trunk; /* of all paths but those of components */
    const struct compiled_parameter *parameters;
    size_t count;
};

struct fhir_index {
    struct arena arena; /* holds everything, this struct too */
    struct fhir_index_options options;
    struct pinyin *pinyin;
    struct unit_cache *units;
    pthread_mutex_t compile_lock; /* guards arena, and the making of types */
    const struct model_type *const *resources;
    size_t resources_count;
    _Atomic(const struct compiled_type *) *types; /* beside resources; NULL until the first use */
};

bool fhir_index_create(const struct fhir_index_options *options, struct fhir_index **index,
                       struct error *error)
{
    struct arena arena = { .bytes_max = INDEX_ARENA_BYTES };
    struct fhir_index *made = ARENA_NEW(&arena, struct fhir_index);
    bool ok = made != NULL && pthread_mutex_init(&made->compile_lock, NULL) == 0;
    if (!ok) {
        goto fail;
    }
    made->resources = model_resources(&made->resources_count);
    made->types = arena_calloc(&arena, made->resources_count, sizeof *made->types);
    made->options = *options;
    made->options.base_url = arena_dup(&arena, options->base_url);
    made->pinyin = pinyin_create(&arena);
    made->units = unit_cache_create(&arena);
    if (made->types == NULL || made->pinyin == NULL || made->units == NULL) {
        goto fail;
    }
    made->arena = arena;
    *index = made;
    return true;
fail:
    arena_deinit(&arena);
    return FAIL(error, ERROR_INTERNAL, "no memory for the search parameters");
}

/* To be raised when rows are made otherwise by the same parameters (another form of a value, a further row). */
enum { INDEX_FORMS_VERSION = 7 };

static uint64_t parameters_digest(struct str type, uint64_t digest)
{
    size_t count = 0;
    const struct model_search_parameter *list = model_search_list(type, &count);
    for (size_t i = 0; i < count; i++) {
        digest = hash64_combine(digest, hash64(list[i].code, 1));
        digest = hash64_combine(digest, hash64(list[i].expression, 2));
        digest = hash64_combine(digest, list[i].kind);
        for (size_t c = 0; c < list[i].components_count; c++) {
            digest = hash64_combine(digest, hash64(list[i].components[c].code, 3));
            digest = hash64_combine(digest, hash64(list[i].components[c].expression, 4));
        }
    }
    return digest;
}

uint64_t fhir_index_digest(const struct fhir_index *index)
{
    uint64_t digest = INDEX_FORMS_VERSION;
    digest = parameters_digest(STR("Resource"), parameters_digest(STR("DomainResource"), digest));
    for (size_t i = 0; i < index->resources_count; i++) {
        digest = parameters_digest(index->resources[i]->name, digest);
    }
    return digest;
}

void fhir_index_destroy(struct fhir_index *index)
{
    if (index == NULL) {
        return;
    }
    pinyin_destroy(index->pinyin);
    unit_cache_destroy(index->units);
    (void)pthread_mutex_destroy(&index->compile_lock);
    struct arena arena = index->arena;
    arena_deinit(&arena);
}

/* ---- compiling ---- */

static struct parameter_numbers numbers_of(struct str type, const struct model_search_parameter *parameter)
{
    enum model_search_kind kind = parameter->kind;
    struct str code = parameter->code;
    struct parameter_numbers numbers = { .kind = kind,
                                         .own = hash_parameter(type, code),
                                         .valueless = index_parameter_with(type, code, STR("missing")),
                                         .targets = parameter->targets };
    if (kind == MODEL_SEARCH_REFERENCE) {
        numbers.identifier = index_parameter_with(type, code, STR("identifier"));
        numbers.below = index_parameter_with(type, code, STR("below"));
    } else if (kind == MODEL_SEARCH_TOKEN) {
        numbers.of_type = index_parameter_with(type, code, STR("of-type"));
        numbers.below = index_parameter_with(type, code, STR("below"));
        numbers.words = index_parameter_with(type, code, STR("text"));
    } else if (kind == MODEL_SEARCH_SPECIAL) {
        for (size_t axis = 0; axis < 3; axis++) {
            numbers.axes[axis] = index_place_number(type, code, axis);
        }
    } else if (kind == MODEL_SEARCH_STRING) {
        numbers.words = index_parameter_with(type, code, STR("contains"));
        numbers.ends = index_parameter_with(type, code, STR("end"));
    }
    return numbers;
}

/* Not what other parameters' rows answer for; _id and _lastUpdated are columns. */
static bool is_indexed(struct arena *arena, const struct model_search_parameter *parameter)
{
    struct str aliases[INDEX_ALIASES_MAX];
    size_t count = index_aliases(arena, parameter->type, parameter->code, aliases);
    return parameter->expression.len > 0 && count == 1 && str_equal(parameter->code, aliases[0]) &&
           !str_equal(parameter->code, STR("_id")) && !str_equal(parameter->code, STR("_lastUpdated"));
}

/* Code-value-date of the standard says DateTime, which is no type. */
static struct fhirpath *compile(struct arena *arena, struct str expression, struct error *error)
{
    struct str wrong = STR("as(DateTime)");
    size_t at = str_find(expression, wrong);
    if (at < expression.len) {
        expression = arena_printf(arena, "%.*sas(dateTime)%.*s", (int)at, expression.at,
                                  STR_FMT(str_skip(expression, at + wrong.len)));
    }
    return fhirpath_compile(arena, expression, error);
}

struct compiling {
    struct arena *arena;
    struct str type;
    struct fhirpath_trunk *trunk;
};

static bool compile_parameter(const struct compiling *at, const struct model_search_parameter *parameter,
                              struct compiled_parameter *compiled, struct error *error)
{
    struct arena *arena = at->arena;
    struct str type = at->type;
    struct fhirpath *path = compile(arena, parameter->expression, error);
    if (path == NULL || !fhirpath_trunk_add(at->trunk, path, error)) {
        return false;
    }
    compiled->numbers = numbers_of(type, parameter);
    compiled->path = path;
    if (parameter->kind != MODEL_SEARCH_COMPOSITE) {
        return true;
    }
    bool of_whole = str_equal(parameter->expression, type); /* components are asked of the resource itself */
    for (size_t i = 0; i < parameter->components_count && i < INDEX_COMPONENTS_MAX; i++) {
        const struct model_search_parameter *component =
            model_search_find(type, parameter->components[i].code);
        if (component == NULL) {
            return FAIL(error, ERROR_INTERNAL, "a component of %.*s.%.*s is no search parameter",
                        STR_FMT(type), STR_FMT(parameter->code));
        }
        compiled->component_numbers[i] =
            (struct parameter_numbers){ .kind = component->kind,
                                        .own = hash_parameter(type, component->code) };
        struct fhirpath *one = compile(arena, parameter->components[i].expression, error);
        if (one == NULL || (of_whole && !fhirpath_trunk_add(at->trunk, one, error))) {
            return false;
        }
        compiled->components[i] = one;
        compiled->components_count++;
    }
    return true;
}

/* The type's own parameters and those of Resource and DomainResource. Under compile_lock. */
static const struct compiled_type *compile_type(struct fhir_index *index, struct str type,
                                                struct error *error)
{
    const struct str levels[] = { type, STR("DomainResource"), STR("Resource") };
    size_t total = 0;
    for (size_t i = 0; i < 3; i++) {
        size_t count = 0;
        (void)model_search_list(levels[i], &count);
        total += count;
    }
    struct compiled_type *made = ARENA_NEW(&index->arena, struct compiled_type);
    struct compiled_parameter *parameters = ARENA_ARRAY(&index->arena, struct compiled_parameter, total);
    const struct compiling at = { .arena = &index->arena,
                                  .type = type,
                                  .trunk = fhirpath_trunk_create(&index->arena, type) };
    if (made == NULL || parameters == NULL || at.trunk == NULL) {
        (void)FAIL(error, ERROR_INTERNAL, "no memory for the search parameters of %.*s", STR_FMT(type));
        return NULL;
    }
    for (size_t i = 0; i < 3; i++) {
        size_t count = 0;
        const struct model_search_parameter *list = model_search_list(levels[i], &count);
        for (size_t j = 0; j < count; j++) {
            if (!is_indexed(&index->arena, &list[j])) {
                continue;
            }
            if (!compile_parameter(&at, &list[j], &parameters[made->count], error)) {
                return NULL;
            }
            made->count++;
        }
    }
    made->parameters = parameters;
    made->trunk = at.trunk;
    return made;
}

static size_t resource_position(const struct fhir_index *index, struct str type)
{
    size_t low = 0;
    size_t high = index->resources_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = str_compare(index->resources[middle]->name, type);
        if (order == 0) {
            return middle;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return index->resources_count;
}

static const struct compiled_type *type_get(struct fhir_index *index, struct str type, struct error *error)
{
    size_t position = resource_position(index, type);
    if (position == index->resources_count) {
        (void)FAIL(error, ERROR_STRUCTURE, "no resource type of R4");
        return NULL;
    }
    const struct compiled_type *found = atomic_load_explicit(&index->types[position], memory_order_acquire);
    if (found != NULL) {
        return found;
    }
    (void)pthread_mutex_lock(&index->compile_lock);
    found = atomic_load_explicit(&index->types[position], memory_order_relaxed);
    if (found == NULL) {
        found = compile_type(index, index->resources[position]->name, error);
        atomic_store_explicit(&index->types[position], found, memory_order_release);
    }
    (void)pthread_mutex_unlock(&index->compile_lock);
    return found;
}

/* ---- rows ---- */

/* The rows of the components after the first under numbers made of the composite, a key of the first and, where there
 * are three, the repetition's position: so only the values of one repetition meet (R4 3.1.1.4.13). */
static void index_components(struct row_builder *builder, const struct compiled_parameter *parameter,
                             const struct fhirpath_collection *values, uint64_t key, size_t position)
{
    for (size_t c = 1; c < parameter->components_count; c++) {
        struct parameter_numbers numbers = parameter->component_numbers[c];
        numbers.own = index_composite_parameter(parameter->numbers.own, key);
        if (parameter->components_count > 2) {
            numbers.own = index_composite_part(numbers.own, c, position);
        }
        for (size_t j = 0; j < values[c].count; j++) {
            index_value(builder, &numbers, &values[c].items[j]);
        }
    }
}

static bool index_composite(struct row_builder *builder, const struct compiled_parameter *parameter,
                            struct fhirpath_context *context, const struct fhirpath_item *item,
                            size_t position, struct error *error)
{
    struct fhirpath_collection values[INDEX_COMPONENTS_MAX] = { { 0 } };
    for (size_t c = parameter->components_count; c-- > 0;) { /* the last is the one that is missing most */
        if (!fhirpath_evaluate(parameter->components[c], context, item, &values[c], error)) {
            return false;
        }
        if (values[c].count == 0) {
            return true;
        }
    }
    for (size_t i = 0; i < values[0].count; i++) {
        struct index_row keys[COMPONENT_KEYS_MAX];
        size_t count = index_component_keys(builder, &values[0].items[i], keys, COMPONENT_KEYS_MAX);
        for (size_t k = 0; k < count; k++) {
            /* By a code alone: asked under the numbers of the whole codings that have it. Of three components there are
             * too many numbers to ask. */
            builder->deriving = keys[k].derived && parameter->components_count == 2;
            index_components(builder, parameter, values, keys[k].key, position);
            builder->deriving = false;
            if (keys[k].derived) {
                keys[k].parameter = parameter->component_numbers[0].own;
                rows_add(builder, keys[k]);
            }
        }
    }
    return true;
}

static bool has_row(const struct row_builder *builder, uint32_t parameter)
{
    for (size_t i = builder->section; i < builder->count; i++) {
        if (builder->rows[i].parameter == parameter) {
            return true;
        }
    }
    return false;
}

/* R4 3.1.1.4.4: an element that has extensions and no value is missing. */
static bool has_value(const struct fhirpath_collection *values)
{
    for (size_t i = 0; i < values->count; i++) {
        if (values->items[i].kind != FHIRPATH_NODE || values->items[i].node.value != NULL) {
            return true;
        }
    }
    return false;
}

static bool index_parameter(struct row_builder *builder, const struct compiled_parameter *parameter,
                            struct fhirpath_context *context, const struct fhirpath_item *root,
                            struct error *error)
{
    struct fhirpath_collection values = { 0 };
    builder->section = builder->count;
    if (!fhirpath_evaluate(parameter->path, context, root, &values, error)) {
        return false;
    }
    for (size_t i = 0; i < values.count; i++) {
        if (parameter->numbers.kind != MODEL_SEARCH_COMPOSITE) {
            index_value(builder, &parameter->numbers, &values.items[i]);
        } else if (!index_composite(builder, parameter, context, &values.items[i], i, error)) {
            return false;
        }
    }
    if (has_value(&values) && parameter->numbers.kind != MODEL_SEARCH_COMPOSITE &&
        !has_row(builder, parameter->numbers.own)) {
        rows_add(builder, (struct index_row){
                              .kind = INDEX_KEY, .parameter = parameter->numbers.valueless, .key = 1 });
    }
    return true;
}

static void index_contained(struct row_builder *builder, const struct json *resource)
{
    builder->section = builder->count; /* each type once */
    JSON_EACH(contained, JSON_GET(resource, "contained")) {
        struct str type = JSON_TEXT(builder->arena, contained, "resourceType");
        if (model_resource_find(type) != NULL) {
            rows_add(builder, (struct index_row){ .kind = INDEX_KEY,
                                                  .parameter = index_contained_parameter(),
                                                  .key = index_contained_key(type) });
        }
    }
}

static bool index_parameters(struct row_builder *builder, const struct compiled_type *type,
                             const struct json *resource, struct arena *scratch, struct error *error)
{
    struct fhirpath_context context = {
        .arena = scratch,
        .resource = resource,
        .root_resource = builder->container,
        .offset_minutes = builder->options->offset_minutes,
        .has_offset = true,
        .as_filters = true,
    };
    const struct fhirpath_item root = fhirpath_item_of_resource(resource);
    bool ok = fhirpath_trunk_walk(type->trunk, &context, &root, error);
    for (size_t i = 0; ok && i < type->count; i++) {
        ok = index_parameter(builder, &type->parameters[i], &context, &root, error);
    }
    return ok;
}

/* The parameters' rows. What the paths make on their way is let go of at once: the next resource of a bundle finds the memory
 * warm. Rows and their texts are made in the caller's arena. */
static bool index_resource(struct row_builder *builder, const struct json *resource, struct error *error)
{
    const struct compiled_type *type =
        type_get(builder->index, JSON_TEXT(builder->arena, resource, "resourceType"), error);
    struct arena scratch = { .bytes_max = builder->arena->bytes_max };
    bool ok = type != NULL && index_parameters(builder, type, resource, &scratch, error);
    arena_deinit(&scratch);
    return ok;
}

enum {
    INSIDE_DEPTH_MAX = 3,
    INSIDE_ROWS_MAX = LIMIT_STORE_INDEX_ROWS / 2, /* chains give way to the resource's own rows */
};

void index_inside(struct row_builder *builder, const struct parameter_numbers *numbers, struct str id)
{
    const struct json *found = NULL;
    JSON_EACH(contained, JSON_GET(builder->container, "contained")) {
        found = json_equals_text(JSON_GET(contained, "id"), id) ? contained : found;
    }
    struct str type = JSON_TEXT(builder->arena, found, "resourceType");
    if (found == NULL || model_resource_find(type) == NULL || builder->inside == INSIDE_DEPTH_MAX) {
        return;
    }
    struct row_builder own = { .arena = builder->arena,
                               .options = builder->options,
                               .pinyin = builder->pinyin,
                               .units = builder->units,
                               .index = builder->index,
                               .container = builder->container,
                               .inside = builder->inside + 1 };
    struct error error = { 0 };
    if (!index_resource(&own, found, &error) || own.failed || builder->count + own.count > INSIDE_ROWS_MAX) {
        return;
    }
    rows_add(builder, (struct index_row){
                          .kind = INDEX_KEY,
                          .parameter = index_inside_parameter(numbers->own, index_contained_parameter()),
                          .key = index_contained_key(type) });
    for (size_t i = 0; i < own.count; i++) {
        struct index_row row = own.rows[i];
        row.parameter = index_inside_parameter(numbers->own, row.parameter);
        row.whole = row.derived ? row.whole : 0;
        rows_add(builder, row);
    }
}

bool fhir_index_rows(struct fhir_index *index, struct arena *arena, const struct json *resource,
                     struct index_rows *rows, struct error *error)
{
    assert(index != NULL);
    assert(resource != NULL);
    struct row_builder builder = { .arena = arena,
                                   .options = &index->options,
                                   .pinyin = index->pinyin,
                                   .units = index->units,
                                   .index = index,
                                   .container = resource };
    if (!index_resource(&builder, resource, error)) {
        return false;
    }
    index_contained(&builder, resource);
    index_resource_words(&builder, resource);
    if (builder.failed) {
        return FAIL(error, ERROR_TOO_LARGE, "the resource has more than %d values to search by",
                    LIMIT_STORE_INDEX_ROWS);
    }
    *rows = (struct index_rows){ .rows = builder.rows, .count = builder.count };
    return true;
}
