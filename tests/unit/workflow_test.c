/* Rule files: what is refused at load, and the durations of timers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "workflow/workflow_internal.h"

static void durations_are_days_hours_and_minutes(void **state)
{
    static const struct {
        const char *text;
        int64_t minutes; /* -1: refused */
    } cases[] = {
        { "P7D", 7 * 24 * 60 },
        { "PT10M", 10 },
        { "PT1H30M", 90 },
        { "P1DT2H", 26 * 60 },
        { "P0D", 0 },
        { "P10M", -1 }, /* ten months, not ten minutes */
        { "PT7D", -1 },
        { "P", -1 },
        { "PT", -1 },
        { "P1DT", -1 },
        { "7D", -1 },
        { "P7", -1 },
        { "P-1D", -1 },
        { "P1,5D", -1 },
        { "PTT1M", -1 },
        { "", -1 },
        { "P99999999999D", -1 },
        { "P1W", -1 },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t ms = -1;
        bool read = workflow_duration(str_from_cstr(cases[i].text), &ms);
        assert_int_equal(read, cases[i].minutes >= 0);
        assert_true(!read || ms == cases[i].minutes * 60 * 1000);
    }
}

static bool loads(const char *transition, struct error *error)
{
    struct arena arena = { .bytes_max = 1 << 20 };
    struct workflow_set set = { .arena = &arena };
    struct str text = arena_printf(&arena,
                                   "{\"code\":\"x\",\"focus\":\"Basic\",\"initial\":\"a\",\"createdBy\":[],"
                                   "\"states\":[{\"code\":\"a\",\"taskStatus\":\"draft\"}],\"context\":{},"
                                   "\"transitions\":[%s]}",
                                   transition);
    bool ok = workflow_load(&set, text, error);
    arena_deinit(&arena);
    return ok;
}

static void a_wrong_file_is_told_at_load(void **state)
{
    static const char *const wrong[] = {
        "{\"name\":\"t\",\"from\":[\"a\"],\"to\":\"b\",\"who\":[]}",
        "{\"name\":\"t\",\"from\":[\"a\"],\"who\":[],\"after\":\"P1M\"}",
        "{\"name\":\"t\",\"from\":[\"a\"],\"who\":[],\"after\":7}",
        "{\"name\":\"t\",\"from\":[\"a\"],\"who\":[],\"after\":\"P1D\",\"since\":\"%task.(\"}",
        "{\"name\":\"t\",\"from\":[\"a\"],\"who\":[],\"effects\":[{\"unknown\":\"x\"}]}",
        "{\"name\":\"t\",\"from\":[\"a\"],\"to\":\"a\",\"who\":[],\"quiet\":true}",
        "{\"name\":\"t\",\"from\":[\"a\"],\"who\":[],\"quiet\":true,\"after\":\"P1D\"}",
        "{\"from\":[\"a\"],\"who\":[]}",
    };
    struct error error = { 0 };
    (void)state;
    assert_true(loads("{\"name\":\"t\",\"from\":[\"a\"],\"to\":\"a\",\"who\":[],\"after\":\"P1D\","
                      "\"since\":\"%task.lastModified\",\"when\":\"true\"}",
                      &error));
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        error = (struct error){ 0 };
        assert_false(loads(wrong[i], &error));
        assert_int_equal(error.kind, ERROR_STRUCTURE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(durations_are_days_hours_and_minutes),
        cmocka_unit_test(a_wrong_file_is_told_at_load),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
