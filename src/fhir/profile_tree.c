#include "fhir/profile_tree.h"

#define CORE_PREFIX "http://hl7.org/fhir/StructureDefinition/"

struct profile_set {
    struct table by_url;
};

bool profile_set_create(struct arena *arena, struct str text, struct profile_set **set, struct error *error)
{
    struct json *list = NULL;
    struct profile_set *made = ARENA_NEW(arena, struct profile_set);
    if (made == NULL) {
        return PROFILE_NO_MEMORY(error);
    }
    made->by_url = table_in(arena);
    if (text.len > 0 && !json_read(arena, text, &list, error)) {
        return false;
    }
    JSON_EACH(structure, list) {
        struct str url = JSON_TEXT(arena, structure, "url");
        if (url.len > 0 && !table_set(&made->by_url, url, structure)) {
            return PROFILE_NO_MEMORY(error);
        }
    }
    *set = made;
    return true;
}

const struct json *profile_set_find(const struct profile_set *set, struct str url)
{
    return table_get(&set->by_url, str_slice(url, 0, str_find_char(url, '|')));
}

/* ---- looking ---- */

const struct json *profile_get(const struct profile_node *node, struct str name)
{
    const struct json *found = NULL;
    for (const struct profile_layer *layer = node->layers; layer != NULL && found == NULL;
         layer = layer->next) {
        found = json_member(layer->element, name);
    }
    return found;
}

const struct json *profile_get_prefixed(const struct profile_node *node, struct str prefix)
{
    for (const struct profile_layer *layer = node->layers; layer != NULL; layer = layer->next) {
        JSON_EACH(member, layer->element) {
            if (str_starts_with(member->name, prefix) && member->name.len > prefix.len) {
                return member;
            }
        }
    }
    return NULL;
}

struct profile_node *profile_child(const struct profile_node *node, struct str name)
{
    for (struct profile_node *child = node->first; child != NULL; child = child->next) {
        if (str_equal(child->name, name)) {
            return child;
        }
    }
    return NULL;
}

/* ---- building ---- */

struct building {
    struct arena *arena;
    struct profile_tree *tree;
    struct table recent; /* path → id of the last element with it, where ids are left out */
};

static struct profile_node *add_node(struct arena *arena, struct profile_node **first,
                                     struct profile_node **last, struct str name, struct str slice)
{
    for (struct profile_node *node = *first; node != NULL; node = node->next) {
        if (str_equal(node->name, name) && str_equal(node->slice, slice)) {
            return node;
        }
    }
    struct profile_node *node = ARENA_NEW(arena, struct profile_node);
    if (node == NULL) {
        return NULL;
    }
    node->name = name;
    node->slice = slice;
    if (*last != NULL) {
        (*last)->next = node;
    } else {
        *first = node;
    }
    *last = node;
    return node;
}

/* The node of an id such as "Observation.category:VSCat.coding"; what is on the way is made. */
static struct profile_node *node_of(struct building *building, struct str id)
{
    struct profile_node *node = building->tree->root;
    struct str rest = id;
    struct str segment = STR_NONE;
    (void)str_split_next(&rest, '.', &segment); /* the type */
    while (node != NULL && rest.at != NULL && str_split_next(&rest, '.', &segment)) {
        size_t colon = str_find_char(segment, ':');
        struct str name = str_slice(segment, 0, colon);
        node = add_node(building->arena, &node->first, &node->last, name, STR_NONE);
        if (node != NULL && colon < segment.len) {
            node = add_node(building->arena, &node->slices, &node->slices_last, name,
                            str_skip(segment, colon + 1));
        }
    }
    return node;
}

/* Ids may be left out of a differential: then a path goes on from the last slice of its parent. */
static struct str id_of(struct building *building, const struct json *element)
{
    struct arena *arena = building->arena;
    struct str id = JSON_TEXT(arena, element, "id");
    struct str path = JSON_TEXT(arena, element, "path");
    if (id.len > 0) {
        return id;
    }
    size_t dot = str_find_last_char(path, '.');
    if (path.len == 0 || dot >= path.len) {
        return path;
    }
    const struct str *parent = table_get(&building->recent, str_slice(path, 0, dot));
    struct str slice = JSON_TEXT(arena, element, "sliceName");
    struct str own =
        arena_printf(arena, "%.*s.%.*s%s%.*s", STR_FMT(parent != NULL ? *parent : str_slice(path, 0, dot)),
                     STR_FMT(str_skip(path, dot + 1)), slice.len > 0 ? ":" : "", STR_FMT(slice));
    return own;
}

/* What is there already is more derived. */
static bool add_elements(struct building *building, const struct json *elements, struct error *error)
{
    building->recent = table_in(building->arena);
    JSON_EACH(element, elements) {
        struct str id = id_of(building, element);
        struct profile_node *node = id.len == 0 ? NULL : node_of(building, id);
        struct profile_layer *layer = ARENA_NEW(building->arena, struct profile_layer);
        struct str *kept = ARENA_NEW(building->arena, struct str);
        if (node == NULL || layer == NULL || kept == NULL) {
            return id.len == 0 || PROFILE_NO_MEMORY(error);
        }
        layer->element = element;
        if (node->layers_last != NULL) {
            node->layers_last->next = layer;
        } else {
            node->layers = layer;
        }
        node->layers_last = layer;
        *kept = id;
        if (!table_set(&building->recent, JSON_TEXT(building->arena, element, "path"), kept)) {
            return PROFILE_NO_MEMORY(error);
        }
    }
    return true;
}

static bool is_core_type(struct str url)
{
    return str_starts_with(url, STR(CORE_PREFIX)) &&
           model_type_find(str_skip(url, sizeof CORE_PREFIX - 1)) != NULL;
}

bool profile_tree_build(const struct profile_source *source, struct arena *arena, struct str url,
                        const struct profile_tree **tree, struct error *error)
{
    const struct json *structure = NULL;
    if (!source->find(source->data, arena, url, &structure, error)) {
        return false;
    }
    if (structure == NULL) {
        return true;
    }
    struct profile_tree *made = ARENA_NEW(arena, struct profile_tree);
    struct building building = { .arena = arena, .tree = made };
    if (made == NULL) {
        return PROFILE_NO_MEMORY(error);
    }
    made->url = url;
    made->structure = structure;
    made->type = JSON_TEXT(arena, structure, "type");
    made->root = ARENA_NEW(arena, struct profile_node);
    if (made->root == NULL) {
        return PROFILE_NO_MEMORY(error);
    }
    made->root->name = made->type;
    for (int i = 0; structure != NULL && i < PROFILE_BASES_MAX; i++) {
        const struct json *snapshot = JSON_GET(JSON_GET(structure, "snapshot"), "element");
        const struct json *elements = JSON_GET(JSON_GET(structure, "differential"), "element");
        if (!add_elements(&building, snapshot != NULL ? snapshot : elements, error)) {
            return false;
        }
        struct str base = JSON_TEXT(arena, structure, "baseDefinition");
        bool derived = json_equals_text(JSON_GET(structure, "derivation"), STR("constraint"));
        structure = NULL;
        if (snapshot != NULL || !derived || base.len == 0) {
            break;
        }
        if (!source->find(source->data, arena, base, &structure, error)) {
            return false;
        }
        if (structure == NULL && !is_core_type(base)) {
            made->base_missing = base;
        }
    }
    *tree = made;
    return true;
}
