#include "fhir/concept_index.h"

#include <assert.h>

#include "base/limits.h"
#include "base/table.h"

struct concept_node {
    const struct json *concept;
    struct concept_node *nested_in;
    struct concept_node **parents; /* by the property */
    size_t parents_count;
    uint32_t seen; /* in the walk of that number */
};

struct concept_index {
    struct arena *arena;
    struct table by_code;          /* code → concept_node */
    struct concept_node **waiting; /* room for every node */
    size_t nodes_count;
    uint32_t walk;
    bool failed;
};

static void add_all(struct concept_index *index, const struct json *list, struct concept_node *nested_in,
                    int levels)
{
    JSON_EACH(concept, list) {
        struct str code = JSON_TEXT(index->arena, concept, "code");
        struct concept_node *node = ARENA_NEW(index->arena, struct concept_node);
        if (node == NULL || code.at == NULL) {
            index->failed = index->failed || node == NULL;
            continue;
        }
        *node = (struct concept_node){ .concept = concept, .nested_in = nested_in };
        index->nodes_count++;
        bool first = table_get(&index->by_code, code) == NULL;
        index->failed = index->failed || (first && !table_set(&index->by_code, code, node));
        if (levels > 0) {
            add_all(index, JSON_GET(concept, "concept"), node, levels - 1);
        }
    }
}

static void link_parents(struct concept_index *index, struct concept_node *node)
{
    const struct json *properties = JSON_GET(node->concept, "property");
    JSON_EACH(property, properties) {
        if (!json_equals_text(JSON_GET(property, "code"), STR("parent"))) {
            continue;
        }
        struct str code = JSON_TEXT(index->arena, property, "valueCode");
        struct concept_node *parent = code.at == NULL ? NULL : table_get(&index->by_code, code);
        if (parent != NULL && node->parents == NULL) {
            node->parents = ARENA_ARRAY(index->arena, struct concept_node *, properties->count);
            index->failed = index->failed || node->parents == NULL;
        }
        if (parent != NULL && node->parents != NULL) {
            node->parents[node->parents_count++] = parent;
        }
    }
}

struct concept_index *concept_index_make(struct arena *arena, const struct json *code_system)
{
    struct concept_index *index = ARENA_NEW(arena, struct concept_index);
    if (index == NULL) {
        return NULL;
    }
    *index = (struct concept_index){ .arena = arena, .by_code = table_in(arena) };
    add_all(index, JSON_GET(code_system, "concept"), NULL, LIMIT_JSON_DEPTH);
    for (size_t i = 0; i < index->by_code.count; i++) {
        link_parents(index, index->by_code.entries[i].value);
    }
    index->waiting = ARENA_ARRAY(arena, struct concept_node *, index->nodes_count + 1);
    return index->failed || index->waiting == NULL ? NULL : index;
}

const struct json *concept_index_find(const struct concept_index *index, struct str code)
{
    const struct concept_node *node = code.at == NULL ? NULL : table_get(&index->by_code, code);
    return node == NULL ? NULL : node->concept;
}

static void wait_for(struct concept_index *index, struct concept_node *node, size_t *waiting)
{
    if (node != NULL && node->seen != index->walk) {
        assert(*waiting <= index->nodes_count);
        node->seen = index->walk;
        index->waiting[(*waiting)++] = node;
    }
}

bool concept_index_is_below(struct concept_index *index, struct str ancestor, struct str code,
                            uint64_t *steps)
{
    const struct concept_node *wanted = ancestor.at == NULL ? NULL : table_get(&index->by_code, ancestor);
    struct concept_node *from = code.at == NULL ? NULL : table_get(&index->by_code, code);
    size_t waiting = 0;
    if (wanted == NULL || from == NULL) {
        return false;
    }
    index->walk++;
    wait_for(index, from, &waiting);
    while (waiting > 0) {
        const struct concept_node *node = index->waiting[--waiting];
        *steps += 1 + node->parents_count;
        if (node->nested_in == wanted) {
            return true;
        }
        wait_for(index, node->nested_in, &waiting);
        for (size_t i = 0; i < node->parents_count; i++) {
            if (node->parents[i] == wanted) {
                return true;
            }
            wait_for(index, node->parents[i], &waiting);
        }
    }
    return false;
}
