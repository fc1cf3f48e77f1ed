/* tables.h — the generated tables, sorted by bytes for binary search. Only model.c includes this. */
#ifndef SHANHAI_MODEL_TABLES_H
#define SHANHAI_MODEL_TABLES_H

#include "model/model.h"

struct model_compartment_row {
    struct str compartment;
    struct str type;
    struct str parameters;
};

extern const struct model_type model_types[];
extern const size_t model_types_count;
extern const struct model_type *const model_resource_list[];
extern const size_t model_resource_list_count;
extern const struct model_value_set model_value_sets[];
extern const size_t model_value_sets_count;
extern const struct model_search_parameter model_search_parameters[];
extern const size_t model_search_parameters_count;
extern const struct model_compartment_row model_compartments[];
extern const size_t model_compartments_count;
extern const struct model_invariant model_invariant_list[];
extern const size_t model_invariant_list_count;

#endif
