/* Random searches over the Synthea bundles and the official examples against a brute-force oracle
 * (search_oracle.h): the same hits on all pages, in the asked order, with the same total; asked by the system and by a
 * session that sees half of the resources. SHANHAI_SEED and SHANHAI_QUERIES repeat and lengthen a run. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "search_oracle.h"

#include "base/file.h"
#include "base/hash.h"
#include "scratch.h"
#include "store/body.h"
#include "store/search.h"
#include "store_postgresql.h"

enum { WORLD_RESOURCES_MAX = 20000, HITS_MAX = 20000 };

static struct arena world_arena = { .bytes_max = 1u << 30 };
static struct arena search_arena = { .bytes_max = 512u << 20 };
static struct oracle_resource resources[WORLD_RESOURCES_MAX];
static struct oracle_world world = { .resources = resources };
static struct store *store;
static struct fhir_index *index_of;
static uint64_t random_state;

static uint64_t chance(uint64_t below)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state % below;
}

/* ---- the world ---- */

static bool rows_of(void *data, struct arena *arena, struct str type, struct str text,
                    struct index_rows *rows, struct error *error)
{
    (void)data;
    (void)type;
    struct json *tree = NULL;
    return json_read(arena, text, &tree, error) && fhir_index_rows(index_of, arena, tree, rows, error);
}

/* Of all resources one in three is of another hospital. */
static uint64_t custodian_of(const struct oracle_resource *resource)
{
    return hash_resource_key(STR("Organization"), resource->hidden ? STR("theirs") : STR("ours"));
}

static bool known_already(struct str type, struct str id)
{
    for (size_t i = 0; i < world.count; i++) {
        if (str_equal(resources[i].id, id) && str_equal(resources[i].type, type)) {
            return true;
        }
    }
    return false;
}

static void remember(const struct json *tree, struct str id)
{
    struct str type = JSON_TEXT(&world_arena, tree, "resourceType");
    if (id.len == 0 || model_resource_find(type) == NULL || known_already(type, id)) {
        return;
    }
    assert_true(world.count < WORLD_RESOURCES_MAX);
    bool hidden = hash64(id, hash64(type, 7)) % 3 == 0;
    resources[world.count++] =
        (struct oracle_resource){ .type = type, .id = id, .tree = tree, .hidden = hidden };
}

static struct json *read_tree(const char *folder, const char *name)
{
    char path[2048];
    struct str text = STR_NONE;
    struct json *tree = NULL;
    struct error error = { 0 };
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    if (!file_read_whole(&world_arena, path, 64u << 20, &text, &error) ||
        !json_read(&world_arena, text, &tree, &error)) {
        fail_msg("%s: %s", path, error.text);
    }
    return tree;
}

/* urn:uuid:… of a bundle's entries become Type/…; the others of the world know them so already. */
static void relink(struct json *value, const struct json *bundle)
{
    if (value->kind == JSON_STRING && str_starts_with(value->raw, STR("urn:uuid:"))) {
        JSON_EACH(entry, JSON_GET(bundle, "entry")) {
            if (json_equals_text(JSON_GET(entry, "fullUrl"), value->raw)) {
                struct str type = JSON_TEXT(&world_arena, JSON_GET(entry, "resource"), "resourceType");
                value->raw =
                    arena_printf(&world_arena, "%.*s/%.*s", STR_FMT(type), STR_FMT(str_skip(value->raw, 9)));
                break;
            }
        }
        return;
    }
    JSON_EACH(child, value) {
        relink(child, bundle);
    }
}

static void load_bundle(const char *folder, const char *name)
{
    struct json *bundle = read_tree(folder, name);
    JSON_EACH(entry, JSON_GET(bundle, "entry")) {
        struct json *tree = JSON_GET(entry, "resource");
        struct str url = JSON_TEXT(&world_arena, entry, "fullUrl");
        struct str id =
            str_starts_with(url, STR("urn:uuid:")) ? str_skip(url, 9) : JSON_TEXT(&world_arena, tree, "id");
        relink(tree, bundle);
        (void)json_set(tree, STR("id"), json_new_string(&world_arena, id));
        remember(tree, id);
    }
}

static void load_example(const char *folder, const char *name)
{
    const struct json *tree = read_tree(folder, name);
    if (strcmp(name, "Patient-ch-example.json") == 0) {
        return; /* is found by pinyin too, which has tests of its own (fhir_index_test) */
    }
    remember(tree, JSON_TEXT(&world_arena, tree, "id"));
}

static bool load_folder(const char *shared, const char *name,
                        void (*load)(const char *folder, const char *name))
{
    char folder[1024];
    struct dirent **entries = NULL;
    (void)snprintf(folder, sizeof folder, "%s/suites/%s", shared, name);
    int count = scandir(folder, &entries, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        if (str_ends_with(str_from_cstr(entries[i]->d_name), STR(".json"))) {
            load(folder, entries[i]->d_name);
        }
        free(entries[i]);
    }
    free(entries);
    return count > 0;
}

static void put(const struct oracle_resource *list, size_t count)
{
    struct arena arena = { .bytes_max = 512u << 20 };
    struct store_write *writes = ARENA_ARRAY(&arena, struct store_write, count);
    struct error error = { 0 };
    for (size_t i = 0; i < count; i++) {
        struct index_rows *rows = ARENA_NEW(&arena, struct index_rows);
        struct store_write *write = &writes[i];
        if (!fhir_index_rows(index_of, &arena, list[i].tree, rows, &error) ||
            !store_body_from_json(&arena, list[i].tree, &write->body, &error)) {
            fail_msg("%.*s/%.*s: %s", STR_FMT(list[i].type), STR_FMT(list[i].id), error.text);
        }
        write->type = list[i].type;
        write->id = list[i].id;
        write->method = STORE_METHOD_CREATED;
        write->custodian = custodian_of(&list[i]);
        write->index = rows;
    }
    struct store_set set = { .arena = &arena, .writes = writes, .writes_count = count };
    if (!store_write_and_wait(store, &set, &error)) {
        fail_msg("put: %s", error.text);
    }
    arena_deinit(&arena);
}

/* ---- questions ---- */

static struct str escape(struct str text)
{
    char *out = arena_alloc(&oracle_query, 2 * text.len + 1);
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (strchr(",|$\\", text.at[i]) != NULL) {
            out[len++] = '\\';
        }
        out[len++] = text.at[i];
    }
    return (struct str){ out, len };
}

static const struct oracle_resource *some_resource(struct str type)
{
    const struct oracle_resource *found = NULL;
    uint64_t seen = 0;
    for (size_t i = 0; i < world.count; i++) {
        if (str_equal(resources[i].type, type) && chance(++seen) == 0) {
            found = &resources[i];
        }
    }
    return found;
}

/* A value that some resource of the type has for the parameter; false when none of a few has one. */
static bool some_value(struct str type, const struct model_search_parameter *parameter,
                       struct fhirpath_item *item, const struct json **resource)
{
    for (int i = 0; i < 8; i++) {
        const struct oracle_resource *from = some_resource(type);
        struct fhirpath_collection values =
            from == NULL ? (struct fhirpath_collection){ 0 } : oracle_parameter_values(parameter, from->tree);
        if (values.count > 0) {
            *item = values.items[chance(values.count)];
            *resource = from->tree;
            return true;
        }
    }
    return false;
}

static struct str with_bar(struct str system, struct str code)
{
    switch (chance(5)) {
    case 0:
        return arena_printf(&oracle_query, "%.*s|", STR_FMT(escape(system)));
    case 1:
        return arena_printf(&oracle_query, "|%.*s", STR_FMT(escape(code)));
    case 2:
    case 3:
        return arena_printf(&oracle_query, "%.*s|%.*s", STR_FMT(escape(system)), STR_FMT(escape(code)));
    default:
        return escape(code);
    }
}

static size_t character_start(struct str text, size_t at)
{
    while (at > 0 && at < text.len && ((unsigned char)text.at[at] & 0xC0) == 0x80) {
        at--;
    }
    return at;
}

static struct str token_question(const struct fhirpath_item *item, struct str modifier)
{
    struct str type = fhirpath_item_type_name(item);
    const struct json *node = oracle_node(item);
    const struct json *coding = node;
    bool identifier = str_equal(type, STR("Identifier"));
    if (str_equal(type, STR("CodeableConcept"))) {
        const struct json *codings = JSON_GET(node, "coding");
        coding = codings == NULL ? NULL : json_at(codings, chance(codings->count));
    } else if (!str_equal(type, STR("Coding")) && !identifier) {
        struct str text = str_equal(type, STR("ContactPoint")) ? oracle_text(node, "value")
                                                               : fhirpath_item_text(&oracle_scratch, item);
        return escape(text);
    }
    struct str system = oracle_text(coding, "system");
    struct str code = oracle_text(coding, identifier ? "value" : "code");
    if (str_equal(modifier, STR("text"))) {
        struct str words = identifier       ? oracle_text(JSON_GET(node, "type"), "text")
                           : chance(2) == 0 ? oracle_text(node, "text")
                                            : oracle_text(coding, "display");
        size_t from = chance(2) == 0 ? 0 : str_find_char(words, ' ') + 1;
        words = str_skip(words, from);
        words = str_slice(words, 0, character_start(words, 1 + chance(words.len + 1)));
        return index_words(&oracle_scratch, words).len > 0 ? escape(words) : STR_NONE;
    }
    if (str_equal(modifier, STR("of-type"))) {
        const struct json *kind = json_at(JSON_GET(JSON_GET(node, "type"), "coding"), 0);
        return oracle_text(kind, "system").len == 0 || oracle_text(kind, "code").len == 0 || code.len == 0
                   ? STR_NONE
                   : arena_printf(&oracle_query, "%.*s|%.*s|%.*s",
                                  STR_FMT(escape(oracle_text(kind, "system"))),
                                  STR_FMT(escape(oracle_text(kind, "code"))), STR_FMT(escape(code)));
    }
    if (system.len == 0 || code.len == 0) {
        return escape(code);
    }
    return with_bar(system, code);
}

static struct str string_question(const struct fhirpath_item *item, struct str modifier)
{
    static const char *const parts[] = { "family", "text", "city", "country", "state", "postalCode" };
    const struct json *node = oracle_node(item);
    struct str text = fhirpath_item_text(&oracle_scratch, item);
    if (node != NULL && node->kind == JSON_OBJECT) {
        const struct json *list =
            JSON_GET(node, "given") != NULL ? JSON_GET(node, "given") : JSON_GET(node, "line");
        text = chance(2) == 0 && list != NULL ? json_text(&oracle_scratch, json_at(list, chance(list->count)))
                                              : oracle_text(node, parts[chance(6)]);
    }
    if (str_equal(modifier, STR("exact")) || text.len == 0) {
        return escape(text);
    }
    size_t limit = text.len > 60 ? 60 : text.len;
    size_t from = str_equal(modifier, STR("contains")) ? character_start(text, chance(limit)) : 0;
    size_t to = character_start(text, from + 1 + chance(limit - from));
    struct str cut = str_trim(str_slice(text, from, to > from ? to : limit));
    char *turned = arena_cstr(&oracle_query, cut);
    for (size_t i = 0; i < cut.len && chance(2) == 0; i++) {
        turned[i] = (char)(turned[i] >= 'a' && turned[i] <= 'z' ? turned[i] - 32 : turned[i]);
    }
    return escape((struct str){ turned, cut.len });
}

static struct str date_question(const struct fhirpath_item *item)
{
    static const char *const prefixes[] = { "", "eq", "ne", "gt", "lt", "ge", "le", "sa", "eb" };
    static const size_t lengths[] = { 4, 7, 10, 16, 19, 29 };
    const struct json *node = oracle_node(item);
    struct str text = fhirpath_item_text(&oracle_scratch, item);
    if (node != NULL && node->kind == JSON_OBJECT) {
        const struct json *period = JSON_GET(JSON_GET(node, "repeat"), "boundsPeriod");
        period = period != NULL ? period : node;
        text = oracle_text(period, chance(2) == 0 ? "start" : "end");
        text = text.len > 0 ? text : json_text(&oracle_scratch, json_at(JSON_GET(node, "event"), 0));
    }
    struct str day = str_slice(text, 0, lengths[chance(6)]);
    struct date_span span;
    struct error error = { 0 };
    if (day.len == 0 || !date_parse(day, ORACLE_OFFSET_MINUTES, &span, &error)) {
        day = str_slice(text, 0, 4);
    }
    return day.len < 4 || !date_parse(day, ORACLE_OFFSET_MINUTES, &span, &error)
               ? STR_NONE
               : arena_printf(&oracle_query, "%s%.*s", prefixes[chance(9)], STR_FMT(day));
}

static struct str number_question(const struct fhirpath_item *item)
{
    static const char *const prefixes[] = { "", "eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap" };
    static const struct {
        const char *code;
        const char *other;
        double factor;
    } units[] = { { "cm", "m", 0.01 },   { "kg", "g", 1000 },          { "mg/dL", "g/L", 0.01 },
                  { "g/dL", "g/L", 10 }, { "mm[Hg]", "kPa", 0.13332 }, { "mg", "g", 0.001 } };
    const struct json *node = oracle_node(item);
    const char *prefix = prefixes[chance(10)];
    if (node == NULL) {
        return STR_NONE;
    }
    if (node->kind == JSON_NUMBER) {
        return arena_printf(&oracle_query, "%s%.*s", prefix, STR_FMT(node->raw));
    }
    if (JSON_GET(node, "value") == NULL) {
        node = JSON_GET(node, "low") != NULL ? JSON_GET(node, "low") : JSON_GET(node, "high");
    }
    const struct json *value = JSON_GET(node, "value");
    if (value == NULL) {
        return STR_NONE;
    }
    struct str system = oracle_text(node, "system");
    struct str code = oracle_text(node, "code");
    struct str digits = str_slice(value->raw, 0, 1 + chance(value->raw.len));
    double number = 0;
    if (!parse_double(digits, &number) || digits.at[digits.len - 1] == '.') {
        digits = value->raw;
    }
    switch (chance(4)) {
    case 0:
        return arena_printf(&oracle_query, "%s%.*s", prefix, STR_FMT(digits));
    case 1:
        if (code.len > 0) {
            return arena_printf(&oracle_query, "%s%.*s||%.*s", prefix, STR_FMT(digits),
                                STR_FMT(escape(code)));
        }
        break;
    case 2:
        for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
            if (str_equal_cstr(code, units[i].code) && parse_double(digits, &number)) {
                return arena_printf(&oracle_query, "%s%g|%.*s|%s", prefix, number * units[i].factor,
                                    STR_FMT(system), units[i].other);
            }
        }
        break;
    default:
        break;
    }
    return system.len > 0 && code.len > 0
               ? arena_printf(&oracle_query, "%s%.*s|%.*s|%.*s", prefix, STR_FMT(digits),
                              STR_FMT(escape(system)), STR_FMT(escape(code)))
               : arena_printf(&oracle_query, "%s%.*s", prefix, STR_FMT(digits));
}

static struct str question(const struct model_search_parameter *parameter, const struct fhirpath_item *item,
                           const struct json *resource, struct str *modifier);

static struct str composite_question(const struct model_search_parameter *composite,
                                     const struct fhirpath_item *item, const struct json *resource)
{
    struct str made = STR_NONE;
    for (size_t i = 0; i < composite->components_count; i++) {
        const struct model_component *component = &composite->components[i];
        const struct model_search_parameter *parameter = model_search_find(composite->type, component->code);
        struct fhirpath_collection values = oracle_values(component->expression, item, resource);
        struct str none = STR("-");
        if (parameter == NULL || values.count == 0) {
            return STR_NONE;
        }
        struct str part = question(parameter, &values.items[chance(values.count)], resource, &none);
        if (part.len == 0 || (parameter->kind == MODEL_SEARCH_TOKEN && str_ends_with(part, STR("|")))) {
            return STR_NONE;
        }
        made = i == 0 ? part : arena_printf(&oracle_query, "%.*s$%.*s", STR_FMT(made), STR_FMT(part));
    }
    return made;
}

/* The value's question; *modifier "-" asks for none, else it is set. STR_NONE: nothing to ask by this value. */
static struct str question(const struct model_search_parameter *parameter, const struct fhirpath_item *item,
                           const struct json *resource, struct str *modifier)
{
    bool plain = str_equal(*modifier, STR("-"));
    struct str picked = STR_NONE;
    struct str made = STR_NONE;
    bool identifier = str_equal(fhirpath_item_type_name(item), STR("Identifier"));
    switch (parameter->kind) {
    case MODEL_SEARCH_TOKEN:
        picked = chance(4) == 0                 ? STR("not")
                 : chance(4) == 0               ? STR("text")
                 : identifier && chance(3) == 0 ? STR("of-type")
                                                : STR_NONE;
        made = token_question(item, plain ? STR_NONE : picked);
        break;
    case MODEL_SEARCH_STRING:
        picked = chance(3) == 0 ? STR("exact") : chance(2) == 0 ? STR("contains") : STR_NONE;
        made = string_question(item, plain ? STR_NONE : picked);
        break;
    case MODEL_SEARCH_URI:
        picked = chance(3) == 0 ? STR("below") : chance(2) == 0 ? STR("above") : STR_NONE;
        made = escape(fhirpath_item_text(&oracle_scratch, item));
        break;
    case MODEL_SEARCH_DATE:
        made = date_question(item);
        break;
    case MODEL_SEARCH_NUMBER:
    case MODEL_SEARCH_QUANTITY:
        made = number_question(item);
        break;
    case MODEL_SEARCH_REFERENCE: {
        struct str text = oracle_reference_of(item);
        struct str id = str_skip(text, str_find_last_char(text, '/') + 1);
        struct str type = str_slice(text, 0, str_find_char(text, '/'));
        const struct json *node = JSON_GET(oracle_node(item), "identifier");
        bool local = model_resource_find(type) != NULL;
        made = text.len == 0 || text.at[0] == '#' ? STR_NONE : escape(text);
        if (!plain && node != NULL) {
            struct fhirpath_item inner = fhirpath_item_of_node(node, STR("Identifier"));
            picked = STR("identifier");
            made = token_question(&inner, STR_NONE);
        } else if (!plain && local && chance(3) == 0) {
            made = escape(id);
            picked = chance(2) == 0 ? arena_dup(&oracle_query, type) : STR_NONE;
        }
        break;
    }
    case MODEL_SEARCH_COMPOSITE:
        made = composite_question(parameter, item, resource);
        break;
    case MODEL_SEARCH_SPECIAL:
        break;
    }
    *modifier = plain ? STR_NONE : picked;
    return arena_dup(&oracle_query, made);
}

static bool is_asked(const struct model_search_parameter *parameter)
{
    return parameter->expression.len > 0 && parameter->kind != MODEL_SEARCH_SPECIAL &&
           !str_equal(parameter->code, STR("_id")) && !str_equal(parameter->code, STR("_lastUpdated")) &&
           !str_equal(parameter->code, STR("phonetic")); /* is name */
}

static struct oracle_criterion *plain_criterion(struct str type)
{
    size_t count = 0;
    size_t common = 0;
    const struct model_search_parameter *list = model_search_list(type, &count);
    const struct model_search_parameter *resource_list = model_search_list(STR("Resource"), &common);
    struct oracle_criterion *made = ARENA_NEW(&oracle_query, struct oracle_criterion);
    struct fhirpath_item item;
    const struct json *resource = NULL;
    size_t at = chance(count + 1);
    const struct model_search_parameter *parameter = at < count ? &list[at] : &resource_list[chance(common)];
    if (!is_asked(parameter) || !some_value(type, parameter, &item, &resource)) {
        return NULL;
    }
    *made = (struct oracle_criterion){ .type = type, .code = parameter->code, .parameter = parameter };
    if (chance(12) == 0 && parameter->kind != MODEL_SEARCH_COMPOSITE) {
        made->modifier = STR("missing");
        made->values[made->values_count++] = chance(2) == 0 ? STR("true") : STR("false");
        return made;
    }
    made->values[0] = question(parameter, &item, resource, &made->modifier);
    made->values_count = 1;
    for (size_t i = chance(ORACLE_ALTERNATIVES); i > 0 && some_value(type, parameter, &item, &resource);
         i--) {
        struct str same = STR("-");
        struct str value = made->modifier.len > 0 ? STR_NONE : question(parameter, &item, resource, &same);
        if (value.len > 0) {
            made->values[made->values_count++] = value;
        }
    }
    return made->values[0].len > 0 ? made : NULL;
}

/* Some reference parameter of the type; NULL when chance finds none. */
static const struct model_search_parameter *some_reference(struct str type)
{
    size_t count = 0;
    const struct model_search_parameter *list = model_search_list(type, &count);
    for (int i = 0; count > 0 && i < 12; i++) {
        const struct model_search_parameter *parameter = &list[chance(count)];
        if (parameter->kind == MODEL_SEARCH_REFERENCE && is_asked(parameter)) {
            return parameter;
        }
    }
    return NULL;
}

static struct oracle_criterion *some_criterion(struct str type, int depth);

static struct oracle_criterion *chain_criterion(struct str type, int depth)
{
    struct fhirpath_item item;
    const struct json *resource = NULL;
    const struct model_search_parameter *parameter = some_reference(type);
    if (parameter == NULL || !some_value(type, parameter, &item, &resource)) {
        return NULL;
    }
    struct str reference = arena_dup(&oracle_query, oracle_reference_of(&item));
    const struct oracle_resource *target = oracle_find(&world, reference);
    struct oracle_criterion *inner = target == NULL ? NULL : some_criterion(target->type, depth + 1);
    struct oracle_criterion *made = ARENA_NEW(&oracle_query, struct oracle_criterion);
    if (inner == NULL) {
        return NULL;
    }
    *made = (struct oracle_criterion){ .kind = ORACLE_CHAIN,
                                       .type = type,
                                       .code = parameter->code,
                                       .parameter = parameter,
                                       .other = target->type,
                                       .inner = inner };
    return made;
}

static struct oracle_criterion *has_criterion(struct str type, int depth)
{
    const struct oracle_resource *source = &resources[chance(world.count)];
    const struct model_search_parameter *parameter = some_reference(source->type);
    struct fhirpath_item item;
    const struct json *resource = NULL;
    if (parameter == NULL || !some_value(source->type, parameter, &item, &resource)) {
        return NULL;
    }
    struct str prefix = arena_printf(&oracle_query, "%.*s/", STR_FMT(type));
    struct oracle_criterion *inner =
        str_starts_with(oracle_reference_of(&item), prefix) ? some_criterion(source->type, depth + 1) : NULL;
    struct oracle_criterion *made = ARENA_NEW(&oracle_query, struct oracle_criterion);
    if (inner == NULL) {
        return NULL;
    }
    *made = (struct oracle_criterion){ .kind = ORACLE_HAS,
                                       .type = type,
                                       .code = parameter->code,
                                       .parameter = parameter,
                                       .other = source->type,
                                       .inner = inner };
    return made;
}

static struct oracle_criterion *some_criterion(struct str type, int depth)
{
    uint64_t kind = depth > 2 ? 9 : chance(10);
    if (kind < 2) {
        return chain_criterion(type, depth);
    }
    return kind < 4 ? has_criterion(type, depth) : plain_criterion(type);
}

static void write_name(struct buf *out, const struct oracle_criterion *criterion)
{
    switch (criterion->kind) {
    case ORACLE_PLAIN:
        buf_printf(out, "%.*s%s%.*s", STR_FMT(criterion->code), criterion->modifier.len > 0 ? ":" : "",
                   STR_FMT(criterion->modifier));
        break;
    case ORACLE_CHAIN:
        buf_printf(out, "%.*s:%.*s.", STR_FMT(criterion->code), STR_FMT(criterion->other));
        write_name(out, criterion->inner);
        break;
    case ORACLE_HAS:
        buf_printf(out, "_has:%.*s:%.*s:", STR_FMT(criterion->other), STR_FMT(criterion->code));
        write_name(out, criterion->inner);
        break;
    }
}

static struct search_pair pair_of(const struct oracle_criterion *criterion)
{
    struct buf name = { .bytes_max = 4096 };
    struct buf value = { .bytes_max = 65536 };
    const struct oracle_criterion *last = criterion;
    write_name(&name, criterion);
    while (last->kind != ORACLE_PLAIN) {
        last = last->inner;
    }
    for (size_t i = 0; i < last->values_count; i++) {
        buf_add(&value, i == 0 ? STR("") : STR(","));
        buf_add(&value, last->values[i]);
    }
    struct search_pair pair = { arena_dup(&oracle_query, buf_str(&name)),
                                arena_dup(&oracle_query, buf_str(&value)) };
    buf_deinit(&name);
    buf_deinit(&value);
    return pair;
}

/* ---- asking both ---- */

static struct str hits[HITS_MAX];
static struct str wanted[HITS_MAX];

struct asked {
    struct str type;
    struct oracle_criterion *criteria[3];
    size_t criteria_count;
    const struct model_search_parameter *sort; /* or NULL */
    bool descending;
    unsigned page;
    struct search_pair pairs[8];
    size_t pairs_count;
};

static void describe(const struct asked *asked, const char *what)
{
    print_message("%s: %.*s?", what, STR_FMT(asked->type));
    for (size_t i = 0; i < asked->pairs_count; i++) {
        print_message("%s%.*s=%.*s", i == 0 ? "" : "&", STR_FMT(asked->pairs[i].name),
                      STR_FMT(asked->pairs[i].value));
    }
    print_message("%s\n", world.foreign ? " (foreign)" : "");
}

static bool ask_store(const struct asked *asked, size_t *count, uint64_t *total, struct error *error)
{
    static const uint64_t no_posts[1] = { 0 };
    const uint64_t ours = hash_resource_key(STR("Organization"), STR("ours"));
    const struct store_rule rule = { .type = STR("*"), .custodians = &ours, .custodians_count = 1 };
    const struct store_filter filter = {
        .rules = &rule, .rules_count = 1, .posts = no_posts, .posts_count = 1
    };
    struct search_options options = { .type = asked->type, .offset_minutes = ORACLE_OFFSET_MINUTES };
    struct search_query query = { 0 };
    struct str cursor = STR_NONE;
    *count = 0;
    if (!search_query_parse(&search_arena, &options, asked->pairs, asked->pairs_count, &query, error)) {
        return false;
    }
    for (bool first = true; first || cursor.at != NULL; first = false) {
        struct store_reader *reader = NULL;
        struct store_hits page = { 0 };
        struct store_search search = { .query = &query,
                                       .filter = world.foreign ? &filter : NULL,
                                       .cursor = cursor,
                                       .without_bodies = true };
        if (!store_reader_begin(store, &reader, error)) {
            return false;
        }
        bool ok = store_search(reader, &search_arena, &search, &page, error);
        store_reader_end(reader);
        if (!ok) {
            return false;
        }
        for (size_t i = 0; i < page.matches_count; i++) {
            assert_true(*count < HITS_MAX);
            hits[(*count)++] = arena_dup(&oracle_query, page.hits[i].version.id);
        }
        *total = page.has_total ? page.total : UINT64_MAX;
        cursor = page.next_cursor;
    }
    return true;
}

static size_t ask_oracle(const struct asked *asked)
{
    size_t count = 0;
    for (size_t i = 0; i < world.count; i++) {
        const struct oracle_resource *resource = &resources[i];
        bool fits = str_equal(resource->type, asked->type) && !(world.foreign && resource->hidden);
        for (size_t c = 0; c < asked->criteria_count && fits; c++) {
            fits = oracle_fits(&world, asked->criteria[c], resource);
        }
        if (fits) {
            wanted[count++] = resource->id;
        }
        arena_reset(&oracle_scratch);
    }
    return count;
}

/* What a resource stands at in the order; false without a value. */
static bool sort_key(const struct asked *asked, struct str id, struct str *text, double *number)
{
    struct str reference = arena_printf(&oracle_query, "%.*s/%.*s", STR_FMT(asked->type), STR_FMT(id));
    const struct oracle_resource *resource = oracle_find(&world, reference);
    struct fhirpath_collection values = oracle_parameter_values(asked->sort, resource->tree);
    bool any = false;
    for (size_t i = 0; i < values.count; i++) {
        struct oracle_span spans[2];
        double value = 0;
        struct str own = STR_NONE;
        if (asked->sort->kind == MODEL_SEARCH_DATE) {
            if (oracle_spans(&values.items[i], spans) == 0) {
                continue;
            }
            value = (double)spans[0].from;
        } else {
            own = index_normalise(&oracle_query, fhirpath_item_text(&oracle_scratch, &values.items[i]));
            own = str_slice(own, 0, 100);
        }
        int order = asked->sort->kind == MODEL_SEARCH_DATE ? (value > *number) - (value < *number)
                                                           : str_compare(own, *text);
        if (!any || (asked->descending ? order > 0 : order < 0)) {
            *text = own;
            *number = value;
        }
        any = true;
    }
    return any;
}

static bool in_order(const struct asked *asked, size_t count)
{
    struct str before = STR_NONE;
    double before_number = 0;
    bool before_any = true;
    for (size_t i = 0; asked->sort != NULL && i < count; i++) {
        struct str text = STR_NONE;
        double number = 0;
        bool any = sort_key(asked, hits[i], &text, &number);
        int order = asked->sort->kind == MODEL_SEARCH_DATE
                        ? (number > before_number) - (number < before_number)
                        : str_compare(text, before);
        if (i > 0 && any && (!before_any || (asked->descending ? order > 0 : order < 0))) {
            return false;
        }
        before = text;
        before_number = number;
        before_any = any;
    }
    return true;
}

static bool same_hits(size_t count, size_t wanted_count)
{
    static struct str sorted[HITS_MAX];
    memcpy(sorted, hits, count * sizeof *hits);
    qsort(sorted, count, sizeof *sorted, oracle_compare_text);
    bool same = count == wanted_count;
    size_t a = 0;
    size_t b = 0;
    for (int shown = 0; (a < count || b < wanted_count) && shown < 4;) {
        int order = a == count ? 1 : b == wanted_count ? -1 : str_compare(sorted[a], wanted[b]);
        if (order != 0) {
            print_message("  %s %.*s\n",
                          order < 0 ? "not wanted:" : "missed:", STR_FMT(order < 0 ? sorted[a] : wanted[b]));
            same = false;
            shown++;
        }
        a += order <= 0;
        b += order >= 0;
    }
    return same;
}

static bool compare(const struct asked *asked, size_t *found)
{
    struct error error = { 0 };
    size_t count = 0;
    uint64_t total = 0;
    oracle_is_close = false;
    size_t wanted_count = ask_oracle(asked);
    if (oracle_is_close) {
        return true;
    }
    if (!ask_store(asked, &count, &total, &error)) {
        describe(asked, "refused");
        print_message("  %s\n", error.text);
        return false;
    }
    *found = wanted_count;
    bool same = same_hits(count, wanted_count);
    bool ordered = in_order(asked, count);
    if (!same || !ordered || total != wanted_count) {
        describe(asked, !same ? "other hits" : !ordered ? "out of order" : "wrong total");
        print_message("  %zu hits, %zu wanted, total %llu\n", count, wanted_count, (unsigned long long)total);
        return false;
    }
    return true;
}

static bool is_sorted_by(const struct model_search_parameter *parameter)
{
    return parameter->kind == MODEL_SEARCH_DATE ||
           (parameter->kind == MODEL_SEARCH_TOKEN && str_equal(parameter->code, STR("status")));
}

static bool make(struct asked *asked)
{
    const char *pages[] = { "7", "50", "1000" };
    size_t count = 0;
    *asked = (struct asked){ .type = resources[chance(world.count)].type };
    if (chance(3) == 0) { /* the examples have one of many types */
        size_t all = 0;
        const struct model_type *const *types = model_resources(&all);
        asked->type = types[chance(all)]->name;
    }
    const struct model_search_parameter *list = model_search_list(asked->type, &count);
    for (size_t i = 1 + chance(3); i > 0; i--) {
        struct oracle_criterion *criterion = some_criterion(asked->type, 0);
        if (criterion != NULL) {
            asked->criteria[asked->criteria_count++] = criterion;
            asked->pairs[asked->pairs_count++] = pair_of(criterion);
        }
    }
    for (int i = 0; i < 5 && count > 0 && asked->sort == NULL && chance(2) == 0; i++) {
        const struct model_search_parameter *sort = &list[chance(count)];
        asked->sort = is_sorted_by(sort) ? sort : NULL;
    }
    if (asked->sort != NULL) {
        asked->descending = chance(2) == 0;
        asked->pairs[asked->pairs_count++] =
            (struct search_pair){ STR("_sort"),
                                  arena_printf(&oracle_query, "%s%.*s%s", asked->descending ? "-" : "",
                                               STR_FMT(asked->sort->code), chance(2) == 0 ? ",_id" : "") };
    }
    asked->pairs[asked->pairs_count++] =
        (struct search_pair){ STR("_count"), str_from_cstr(pages[chance(3)]) };
    asked->pairs[asked->pairs_count++] = (struct search_pair){ STR("_total"), STR("accurate") };
    return asked->criteria_count > 0;
}

static void random_searches_find_what_the_oracle_finds(void **state)
{
    (void)state;
    const char *shared = getenv("SHANHAI_SHARED");
    const char *seed = getenv("SHANHAI_SEED");
    const char *queries = getenv("SHANHAI_QUERIES");
    random_state = seed == NULL ? 20200211 : strtoull(seed, NULL, 10);
    size_t rounds = queries == NULL ? 2000 : strtoul(queries, NULL, 10);
    if (shared == NULL || !load_folder(shared, "synthea", load_bundle) ||
        !load_folder(shared, "examples", load_example)) {
        print_message("left out: random searches (SHANHAI_SHARED is not there)\n");
        skip();
    }
    qsort(resources, world.count, sizeof *resources, oracle_compare);
    for (size_t i = 0; i < world.count; i += 500) {
        put(&resources[i], world.count - i < 500 ? world.count - i : 500);
    }
    size_t failed = 0;
    size_t with_hits = 0;
    for (size_t i = 0; i < rounds;) {
        struct asked asked;
        size_t found = 0;
        world.foreign = false;
        bool made = make(&asked);
        if (made) {
            world.foreign = chance(2) == 0;
            for (size_t c = 0; c < asked.criteria_count; c++) {
                arena_reset(&oracle_scratch);
            }
            failed += compare(&asked, &found) ? 0 : 1;
            with_hits += found > 0;
            i++;
        }
        arena_reset(&oracle_scratch);
        arena_reset(&oracle_query);
        arena_reset(&search_arena);
    }
    print_message("random searches: %zu passed, %zu failed over %zu resources; %zu had hits\n",
                  rounds - failed, failed, world.count, with_hits);
    assert_int_equal(failed, 0);
    assert_true(with_hits > rounds / 2);
}

static char folder[64];

static int setup(void **state)
{
    (void)state;
    struct error error = { 0 };
    struct fhir_index_options index_options = { .offset_minutes = ORACLE_OFFSET_MINUTES };
    (void)snprintf(folder, sizeof folder, "/tmp/search-oracle-XXXXXX");
    assert_non_null(mkdtemp(folder));
    test_database_make(folder);
    struct store_options options = { .folder = folder,
                                     .index_rows = rows_of,
                                     .partitions = test_partitions() };
    if (!fhir_index_create(&index_options, &index_of, &error) || !store_open(&options, &store, &error)) {
        fail_msg("open: %s", error.text);
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    store_close(store);
    fhir_index_destroy(index_of);
    test_database_drop(folder);
    scratch_remove(folder);
    arena_deinit(&world_arena);
    arena_deinit(&search_arena);
    arena_deinit(&oracle_arena);
    arena_deinit(&oracle_query);
    arena_deinit(&oracle_scratch);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(random_searches_find_what_the_oracle_finds, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
