/* view_definition.h — inside of src/view: the compiled form of a ViewDefinition, made by view_compile.c and walked by
 * view.c. Everything lives in the arena of view_compile and is read-only afterwards. */
#ifndef SHANHAI_VIEW_VIEW_DEFINITION_H
#define SHANHAI_VIEW_VIEW_DEFINITION_H

#include "view/view.h"

enum { VIEW_COLUMNS_MAX = 128, VIEW_DEPTH_MAX = 16 };

struct view_select {
    const struct fhirpath *for_each; /* NULL: the element itself */
    bool or_null;
    const struct fhirpath **repeat; /* NULL: none */
    size_t repeat_count;
    const struct fhirpath **paths; /* of its own columns */
    size_t first_column;           /* position in the row */
    size_t columns_count;
    struct view_select *selects;
    size_t selects_count;
    struct view_select *branches; /* unionAll */
    size_t branches_count;
};

struct view {
    struct str name;
    struct str resource;
    struct view_select root;
    const struct fhirpath **where;
    size_t where_count;
    struct fhirpath_variable *constants;
    struct view_column columns[VIEW_COLUMNS_MAX];
    size_t columns_count;
};

#endif
