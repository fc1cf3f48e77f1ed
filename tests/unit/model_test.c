/* The generated tables say what R4 says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "model/model.h"

static void types_and_inheritance(void **state)
{
    (void)state;
    const struct model_type *patient = model_type_find(STR("Patient"));
    assert_non_null(patient);
    assert_int_equal(patient->kind, MODEL_RESOURCE);
    assert_true(model_type_is_a(patient, STR("DomainResource")) && model_type_is_a(patient, STR("Resource")));
    assert_true(model_type_is_a(model_type_find(STR("Age")), STR("Quantity")));
    assert_false(model_type_is_a(patient, STR("Observation")));
    assert_null(model_type_find(STR("SubscriptionStatus")));
    assert_null(model_resource_find(STR("DomainResource")));
    size_t count = 0;
    (void)model_resources(&count);
    assert_int_equal(count, 146); /* R4 4.0.1: 148 resource types, two of them abstract */
}

static void elements_and_choices(void **state)
{
    (void)state;
    const struct model_type *observation = model_type_find(STR("Observation"));
    const struct model_element *status = model_element_find(observation, STR("status"));
    assert_int_equal(status->min, 1);
    assert_int_equal(status->strength, MODEL_BINDING_REQUIRED);
    assert_true(model_value_set_has(status->value_set, STR_NONE, STR("final")));
    assert_false(model_value_set_has(status->value_set, STR_NONE, STR("done")));
    size_t variants = 0;
    for (const struct model_element *at = NULL;
         (at = model_choice_next(observation, STR("value"), at)) != NULL;) {
        variants++;
    }
    assert_int_equal(variants, 11);
    assert_null(model_element_find(observation, STR("value")));
    const struct model_element *range =
        model_element_find(model_type_find(STR("Observation.component")), STR("referenceRange"));
    assert_true(str_equal(range->type->name, STR("Observation.referenceRange")));
    assert_true(str_equal(model_element_find(observation, STR("id"))->type->name, STR("id")));
    assert_true(str_equal(model_element_find(observation, STR("encounter"))->targets, STR("Encounter")));
}

static void search_parameters_and_compartments(void **state)
{
    (void)state;
    const struct model_search_parameter *date = model_search_find(STR("Observation"), STR("date"));
    assert_int_equal(date->kind, MODEL_SEARCH_DATE);
    assert_true(str_equal(date->expression, STR("Observation.effective")));
    assert_non_null(model_search_find(STR("Observation"), STR("_tag")));
    assert_null(model_search_find(STR("Observation"), STR("nothing")));
    const struct model_search_parameter *composite =
        model_search_find(STR("Observation"), STR("code-value-quantity"));
    assert_int_equal(composite->components_count, 2);
    assert_true(str_equal(model_compartment(STR("Patient"), STR("Observation")), STR("subject performer")));
    assert_null(model_compartment(STR("Patient"), STR("Organization")).at);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(types_and_inheritance),
        cmocka_unit_test(elements_and_choices),
        cmocka_unit_test(search_parameters_and_compartments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
