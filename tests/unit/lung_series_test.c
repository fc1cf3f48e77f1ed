/* From DICOM files to result, mask, JSON and FHIR: what must be told is told, what must not be measured is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include <math.h>
#include <unistd.h>

#include "base/file.h"
#include "base/parse.h"
#include "fhir/validate.h"
#include "lung/lung_measure.h"
#include "lung/lung_report.h"
#include "lung/lung_worker.h"
#include "phantom_file.h"

/* ---- a folder of phantom files ---- */

struct folder {
    char path[64];
    struct phantom phantom;
    struct phantom_series series;
    struct phantom_truth truth;
    struct arena arena;
    struct lung_source *sources;
    size_t count;
};

static const struct phantom_series soft = { .patient_name = "TEST^CHEST",
                                            .patient_id = "P1",
                                            .patient_sex = "M",
                                            .patient_birth = "19700101",
                                            .study_date = "20261122",
                                            .accession = "",
                                            .kernel = "B31f",
                                            .description = "soft",
                                            .number = 2,
                                            .thickness_mm = 3,
                                            .intercept = -1024 };

static void write_slice(struct folder *folder, const struct phantom_series *series, size_t slice,
                        unsigned key)
{
    size_t side = folder->phantom.options.columns;
    int16_t *hu = malloc(side * side * sizeof *hu);
    struct buf buf = { .bytes_max = 1 << 22 };
    struct error error = { 0 };
    char path[128];
    assert_non_null(hu);
    struct phantom_truth ignored = { 0 };
    phantom_render_slice(&folder->phantom, slice, hu, key == 0 ? &folder->truth : &ignored);
    phantom_file_write(&folder->phantom, series, slice, key, (unsigned)slice + 1, hu, &buf);
    (void)snprintf(path, sizeof path, "%s/%u-%04zu.dcm", folder->path, key, slice);
    assert_false(buf.failed);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(buf.at, 1, buf.len, file), buf.len);
    assert_int_equal(fclose(file), 0);
    (void)error;
    buf_deinit(&buf);
    free(hu);
}

static struct folder *folder_make(size_t side, size_t slices, struct phantom_options options)
{
    struct folder *folder = calloc(1, sizeof *folder);
    assert_non_null(folder);
    (void)snprintf(folder->path, sizeof folder->path, "/tmp/shanhai-lung-XXXXXX");
    assert_non_null(mkdtemp(folder->path));
    options.seed = options.seed != 0 ? options.seed : 3;
    options.columns = side;
    options.slices = slices;
    options.pixel_mm = 380.0 / (double)side;
    options.slice_mm = 300.0 / (double)slices;
    options.bottom_mm = -150;
    options.noise_hu = 10;
    phantom_init(&folder->phantom, &options);
    folder->series = soft;
    folder->arena.bytes_max = 1 << 22;
    return folder;
}

static void folder_list(struct folder *folder)
{
    struct error error = { 0 };
    if (!lung_sources_of_folder(&folder->arena, folder->path, &folder->sources, &folder->count, &error)) {
        fail_msg("%s", error.text);
    }
}

static void folder_fill(struct folder *folder)
{
    for (size_t z = 0; z < folder->phantom.options.slices; z++) {
        write_slice(folder, &folder->series, z, 0);
    }
    folder_list(folder);
}

static void folder_free(struct folder *folder)
{
    for (size_t i = 0; i < folder->count; i++) {
        (void)unlink(folder->sources[i].path);
    }
    assert_int_equal(rmdir(folder->path), 0);
    arena_deinit(&folder->arena);
    free(folder);
}

static void load(struct folder *folder, struct lung_ct *ct)
{
    struct error error = { 0 };
    if (!lung_ct_load(folder->sources, folder->count, NULL, ct, &error)) {
        fail_msg("%s", error.text);
    }
}

static bool told(const struct lung_ct *ct, enum lung_note_code code)
{
    return lung_notes_has(&ct->series.notes, code);
}

/* ---- loading ---- */

static void assert_same_voxels(const struct lung_ct *ct, struct folder *folder, int16_t tolerance)
{
    size_t plane = ct->volume.columns * ct->volume.rows;
    int16_t *hu = malloc(plane * sizeof *hu);
    assert_non_null(hu);
    for (size_t z = 0; z < ct->volume.slices; z += 7) {
        struct phantom_truth ignored = { 0 };
        phantom_render_slice(&folder->phantom, z, hu, &ignored);
        for (size_t i = 0; i < plane; i++) {
            int difference = ct->volume.hu[z * plane + i] - hu[i];
            assert_in_range(difference + tolerance, 0, 2 * tolerance);
        }
    }
    free(hu);
}

static void test_pixels_in_every_form(void **state)
{
    (void)state;
    for (int form = 0; form < 3; form++) {
        struct folder *folder = folder_make(64, 40, (struct phantom_options){ 0 });
        folder->series.is_signed = form > 0;
        folder->series.intercept = form == 2 ? -500 : -1024;
        folder_fill(folder);
        struct lung_ct ct;
        load(folder, &ct);
        assert_false(lung_notes_unfit(&ct.series.notes));
        assert_int_equal(ct.volume.slices, 40);
        assert_int_equal(ct.slices_joined, 1);
        assert_true(ct.volume.left_at_high_columns);
        assert_true(fabs(ct.volume.slice_mm - 7.5) < 1e-3);
        assert_same_voxels(&ct, folder, 0);
        lung_ct_deinit(&ct);
        folder_free(folder);
    }
}

static void test_padding_is_air(void **state)
{
    (void)state;
    struct folder *folder = folder_make(64, 40, (struct phantom_options){ 0 });
    folder->series.is_signed = true;
    folder->series.padding = true;
    folder_fill(folder);
    struct lung_ct ct;
    load(folder, &ct);
    assert_int_equal(ct.volume.hu[0], LUNG_HU_MIN); /* the corner lies outside the circle */
    lung_ct_deinit(&ct);
    folder_free(folder);
}

static void test_prone_orientation_turns_the_side(void **state)
{
    (void)state;
    struct folder *folder = folder_make(64, 40, (struct phantom_options){ 0 });
    folder->series.prone = true;
    folder_fill(folder);
    struct lung_ct ct;
    load(folder, &ct);
    assert_false(ct.volume.left_at_high_columns);
    assert_false(lung_notes_unfit(&ct.series.notes));
    lung_ct_deinit(&ct);
    folder_free(folder);
}

static void test_missing_slices_are_told(void **state)
{
    (void)state;
    struct folder *folder = folder_make(64, 40, (struct phantom_options){ 0 });
    folder_fill(folder);
    assert_int_equal(unlink(folder->sources[20].path), 0);
    assert_int_equal(unlink(folder->sources[21].path), 0);
    folder_list(folder);
    struct lung_measurement measurement;
    struct error error = { 0 };
    assert_true(lung_measure_series(folder->sources, folder->count, NULL, &measurement, &error));
    assert_true(lung_notes_has(&measurement.result.notes, LUNG_UNFIT_MISSING_SLICES));
    assert_true(fabs(measurement.result.notes.items[0].value - 2) < 0.01);
    assert_int_equal(measurement.mask.len, 0);
    struct arena arena = { .bytes_max = 1 << 22 };
    struct json *json = lung_measurement_json(&arena, &measurement);
    assert_true(json_equals_text(JSON_GET(json, "status"), STR("unfit")));
    assert_null(JSON_GET(json, "regions"));
    struct json *reasons = lung_report_reasons(&arena, json, LUNG_CHINESE);
    assert_int_equal(reasons->count, 1);
    assert_true(json_equals_text(json_at(reasons, 0), STR("中间缺层，不予测量（2 层）")));
    struct lung_report report;
    const struct lung_report_context context = { .patient = STR("Patient/1") };
    assert_false(lung_report_build(&arena, json, &context, &report, &error));
    arena_deinit(&arena);
    lung_measurement_deinit(&measurement);
    folder_free(folder);
}

static void test_mixed_series_are_told(void **state)
{
    (void)state;
    struct folder *folder = folder_make(64, 40, (struct phantom_options){ 0 });
    struct phantom_series second = soft;
    second.kernel = "B70f";
    for (size_t z = 0; z < 40; z += 3) {
        write_slice(folder, &second, z, 1);
    }
    folder_fill(folder);
    struct lung_ct ct;
    load(folder, &ct);
    assert_true(told(&ct, LUNG_UNFIT_MIXED_SERIES));
    assert_null(ct.volume.hu);
    lung_ct_deinit(&ct);
    folder_free(folder);
}

static void test_soft_series_is_chosen(void **state)
{
    (void)state;
    struct folder *folder = folder_make(64, 40, (struct phantom_options){ 0 });
    struct phantom_series second = soft;
    second.kernel = "B70f";
    second.description = "sharp";
    second.number = 1;
    for (size_t z = 0; z < 40; z++) {
        write_slice(folder, &second, z, 1);
    }
    folder_fill(folder);
    struct lung_ct ct;
    load(folder, &ct);
    assert_string_equal(ct.series.description, "soft");
    assert_int_equal(ct.series_count, 2);
    assert_true(told(&ct, LUNG_WARN_OTHER_SERIES));
    assert_string_equal(ct.others[0].description, "sharp");
    assert_true(lung_notes_has(&ct.others[0].notes, LUNG_WARN_SHARP_KERNEL));
    lung_ct_deinit(&ct);
    folder_free(folder);
}

static void test_warnings_come_from_the_header(void **state)
{
    (void)state;
    struct folder *folder =
        folder_make(64, 40, (struct phantom_options){ .tilt_degrees = 12, .contrast = true });
    folder->series.thickness_mm = 5;
    folder->series.kernel = "LUNG";
    folder->series.contrast = true;
    folder_fill(folder);
    struct lung_ct ct;
    load(folder, &ct);
    assert_true(told(&ct, LUNG_WARN_THICK_SLICES));
    assert_true(told(&ct, LUNG_WARN_SHARP_KERNEL));
    assert_true(told(&ct, LUNG_WARN_CONTRAST));
    assert_true(told(&ct, LUNG_WARN_TILT));
    assert_false(lung_notes_unfit(&ct.series.notes));
    lung_ct_deinit(&ct);
    folder_free(folder);
}

static void cut_slice(struct folder *folder, size_t index)
{
    /* The header is whole, the pixels are not. */
    assert_int_equal(truncate(folder->sources[index].path, 3000), 0);
}

static void test_damaged_slice_is_told_and_filled(void **state)
{
    (void)state;
    struct folder *folder = folder_make(64, 60, (struct phantom_options){ 0 });
    folder_fill(folder);
    cut_slice(folder, 10);
    struct lung_ct ct;
    load(folder, &ct);
    assert_true(told(&ct, LUNG_WARN_DAMAGED_SLICES));
    assert_false(lung_notes_unfit(&ct.series.notes));
    assert_int_equal(ct.damaged_count, 1);
    assert_int_equal(ct.damaged[0], 11); /* its Instance Number */
    assert_int_equal(ct.volume.slices, 60);
    size_t plane = 64 * 64;
    for (size_t i = 0; i < plane; i++) {
        int below = ct.volume.hu[9 * plane + i];
        int above = ct.volume.hu[11 * plane + i];
        assert_true(abs(2 * ct.volume.hu[10 * plane + i] - below - above) <= 1);
    }
    lung_ct_deinit(&ct);
    /* And in words, with its number. */
    struct lung_measurement measurement;
    struct error error = { 0 };
    assert_true(lung_measure_series(folder->sources, folder->count, NULL, &measurement, &error));
    struct json *json = lung_measurement_json(&folder->arena, &measurement);
    bool said = false;
    JSON_EACH(line, lung_report_lines(&folder->arena, json, LUNG_CHINESE)) {
        said = said || str_ends_with(json_text(&folder->arena, line), STR("（1 层）：第 11 层"));
    }
    assert_true(said);
    lung_measurement_deinit(&measurement);
    folder_free(folder);
}

static void test_too_many_damaged_slices_are_not_measured(void **state)
{
    (void)state;
    struct folder *folder = folder_make(64, 60, (struct phantom_options){ 0 });
    folder_fill(folder);
    cut_slice(folder, 0);
    cut_slice(folder, 20);
    struct lung_ct ct;
    load(folder, &ct);
    assert_true(told(&ct, LUNG_UNFIT_DAMAGED_SLICES));
    assert_null(ct.volume.hu);
    assert_int_equal(ct.damaged_count, 2);
    lung_ct_deinit(&ct);
    /* None can be decoded: that is an error of its own. */
    struct error error = { 0 };
    for (size_t i = 0; i < folder->count; i++) {
        cut_slice(folder, i);
    }
    assert_false(lung_ct_load(folder->sources, folder->count, NULL, &ct, &error));
    assert_int_equal(error.kind, ERROR_STRUCTURE);
    lung_ct_deinit(&ct);
    folder_free(folder);
}

static void test_foreign_files_are_counted_and_nothing_is_an_error(void **state)
{
    (void)state;
    struct folder *folder = folder_make(64, 25, (struct phantom_options){ 0 });
    char path[128];
    struct error error = { 0 };
    (void)snprintf(path, sizeof path, "%s/notes.txt", folder->path);
    assert_true(file_write_atomically(path, STR("not an image"), 0600, &error));
    folder_list(folder);
    struct lung_ct ct;
    assert_false(lung_ct_load(folder->sources, folder->count, NULL, &ct, &error));
    lung_ct_deinit(&ct);
    folder_fill(folder);
    load(folder, &ct);
    assert_int_equal(ct.unreadable_count, 1);
    assert_int_equal(ct.series.instances, 25);
    lung_ct_deinit(&ct);
    folder_free(folder);
}

static void test_kernels(void **state)
{
    (void)state;
    static const struct {
        const char *manufacturer;
        const char *kernel;
        bool sharp;
    } rows[] = {
        { "SIEMENS", "B31f", false },
        { "SIEMENS", "B70f", true },
        { "SIEMENS", "Br40d", false },
        { "SIEMENS", "Bl57d", true },
        { "SIEMENS", "I30f", false },
        { "GE MEDICAL SYSTEMS", "STANDARD", false },
        { "GE MEDICAL SYSTEMS", "LUNG", true },
        { "GE MEDICAL SYSTEMS", "BONEPLUS", true },
        { "Philips", "B", false },
        { "Philips", "D", true },
        { "Philips", "YA", true },
        { "TOSHIBA", "FC08", false },
        { "TOSHIBA", "FC51", true },
        { "UIH", "B_SOFT_B", false },
        { "UIH", "B_SHARP_C", true },
        { "", "", false },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (lung_kernel_is_sharp(rows[i].manufacturer, rows[i].kernel) != rows[i].sharp) {
            fail_msg("kernel %s", rows[i].kernel);
        }
    }
}

/* ---- result, mask, report ---- */

static double number(const struct json *object, const char *name)
{
    double value = NAN;
    const struct json *member = json_member(object, str_from_cstr(name));
    assert_non_null(member);
    assert_true(parse_double(member->raw, &value));
    return value;
}

static void check_mask(const struct lung_measurement *measurement, struct str bytes)
{
    struct lung_mask mask;
    struct error error = { 0 };
    size_t slice = 0;
    assert_true(lung_mask_open(bytes, &mask, &error));
    assert_true(lung_mask_find(&mask, str_from_cstr(measurement->key_uid), &slice));
    assert_int_equal(slice, measurement->result.key_slice);
    assert_false(lung_mask_find(&mask, STR("1.2.3"), &slice));
    uint8_t *labels = malloc(mask.columns * mask.rows);
    assert_non_null(labels);
    double voxels = 0;
    for (size_t z = 0; z < mask.slices; z++) {
        assert_true(lung_mask_read_slice(&mask, z, labels, &error));
        for (size_t i = 0; i < mask.columns * mask.rows; i++) {
            voxels += labels[i] >= LUNG_LABEL_LEFT && labels[i] < LUNG_LABEL_AIRWAY;
        }
        lung_mask_to_overlay(labels, mask.columns * mask.rows);
        for (size_t i = 0; i < mask.columns * mask.rows; i++) {
            assert_true(labels[i] <= LUNG_OVERLAY_EXCLUDED);
        }
    }
    const struct lung_volume *volume = &measurement->ct.volume;
    double ml = voxels * volume->column_mm * volume->row_mm * volume->slice_mm / 1000;
    assert_true(fabs(ml - measurement->result.regions[LUNG_LEFT].volume_ml) < 0.01);
    assert_false(lung_mask_read_slice(&mask, mask.slices, labels, &error));
    assert_false(lung_mask_open(str_slice(bytes, 0, 100), &mask, &error));
    free(labels);
}

static bool code_is_defined(const struct json *codes, struct str code)
{
    JSON_EACH(concept, JSON_GET(codes, "concept")) {
        if (json_equals_text(JSON_GET(concept, "code"), code)) {
            return true;
        }
    }
    return false;
}

/* Each coding of our own system that stands anywhere below `value` must be in the definition. */
static void check_codes(struct arena *arena, const struct json *codes, const struct json *value)
{
    if (json_equals_text(JSON_GET(value, "system"), STR(LUNG_CODE_SYSTEM)) &&
        !code_is_defined(codes, JSON_TEXT(arena, value, "code"))) {
        fail_msg("code '%.*s' is not defined", STR_FMT(JSON_TEXT(arena, value, "code")));
    }
    JSON_EACH(child, value) {
        check_codes(arena, codes, child);
    }
}

static void check_valid(struct arena *arena, const struct json *resource)
{
    struct outcome outcome = outcome_in(arena);
    bool valid = validate_resource(resource, &(struct validate_options){ 0 }, &outcome);
    for (const struct outcome_issue *issue = outcome.first; issue != NULL; issue = issue->next) {
        print_message("%.*s: %.*s\n", STR_FMT(issue->path), STR_FMT(issue->text));
    }
    assert_true(valid);
}

static void check_report(struct arena *arena, const struct json *json)
{
    struct lung_report report;
    struct error error = { 0 };
    const struct lung_report_context context = { .patient = STR("Patient/p1"),
                                                 .imaging_study = STR("ImagingStudy/s1"),
                                                 .organization = STR("Organization/o1"),
                                                 .effective = STR("2026-11-22T09:00:00+08:00") };
    if (!lung_report_build(arena, json, &context, &report, &error)) {
        fail_msg("%s", error.text);
    }
    assert_true(report.observations->count >= 15);
    assert_int_equal(JSON_GET(report.report, "result")->count, report.observations->count);
    const struct json *first = json_at(report.observations, 0);
    assert_true(json_equals_text(JSON_GET(first, "status"), STR("preliminary")));
    assert_true(json_equals_text(JSON_GET(JSON_GET(first, "subject"), "reference"), STR("Patient/p1")));
    assert_int_equal(JSON_GET(first, "component")->count, 8); /* six zones and two sides */
    struct str volume = JSON_GET(JSON_GET(first, "valueQuantity"), "value")->raw;
    const struct json *both = JSON_GET(JSON_GET(json, "regions"), "both-lungs");
    assert_true(str_equal(volume, JSON_GET(both, "volume_ml")->raw)); /* same digits */
    assert_true(str_find(report.conclusion, STR("不是诊断")) < report.conclusion.len);
    assert_true(str_find(report.conclusion_en, STR("not a diagnosis")) < report.conclusion_en.len);
    assert_true(str_find(report.conclusion, volume) < report.conclusion.len);
    check_valid(arena, report.device);
    check_valid(arena, report.report);
    JSON_EACH(observation, report.observations) {
        check_valid(arena, observation);
    }
    const char *definitions = getenv("SHANHAI_DEFINITIONS");
    struct str text;
    struct str path = arena_printf(arena, "%s/codesystems/ct-measurement.json",
                                   definitions == NULL ? "definitions" : definitions);
    assert_true(file_read_whole(arena, path.at, 1 << 20, &text, &error));
    struct json *codes = NULL;
    assert_true(json_read(arena, text, &codes, &error));
    check_codes(arena, codes, report.observations);
    check_codes(arena, codes, report.report);
    check_codes(arena, codes, report.device);
    for (int i = 0; i < LUNG_NOTES_COUNT; i++) {
        assert_true(code_is_defined(codes, str_from_cstr(lung_notes[i].code)));
    }
    for (int i = 0; i < LUNG_CLASSES_COUNT; i++) {
        assert_true(code_is_defined(codes, str_from_cstr(lung_classes[i].code)));
    }
}

static void count_progress(void *context, unsigned percent)
{
    unsigned *last = context;
    assert_true(percent >= *last);
    assert_true(percent <= 100);
    *last = percent;
}

static void test_files_to_report(void **state)
{
    (void)state;
    struct folder *folder = folder_make(128, 100, (struct phantom_options){ .solid_right_apex = true });
    folder_fill(folder);
    struct lung_measurement measurement;
    struct error error = { 0 };
    unsigned last = 0;
    const struct lung_options options = { .threads = 2, .progress = count_progress, .context = &last };
    if (!lung_measure_series(folder->sources, folder->count, &options, &measurement, &error)) {
        fail_msg("%s", error.text);
    }
    assert_int_equal(last, 100);
    struct arena arena = { .bytes_max = 1 << 24 };
    struct str text = json_write_arena(&arena, lung_measurement_json(&arena, &measurement));
    assert_non_null(text.at);
    struct buf output = { .bytes_max = 1 << 26 };
    buf_add(&output, STR("progress 50\nprogress 100\n"));
    lung_worker_write_result(&output, text, buf_str(&measurement.mask));
    struct str json_text;
    struct str mask;
    assert_true(lung_worker_read_result(buf_str(&output), &json_text, &mask, &error));
    assert_false(
        lung_worker_read_result(str_slice(buf_str(&output), 0, output.len - 1), &json_text, &mask, &error));
    assert_true(str_equal(json_text, text));
    struct json *json = NULL;
    assert_true(json_read(&arena, json_text, &json, &error));
    assert_true(json_equals_text(JSON_GET(json, "status"), STR("measured")));
    const struct json *regions = JSON_GET(json, "regions");
    double right = number(JSON_GET(regions, "right-lung"), "volume_ml");
    double left = number(JSON_GET(regions, "left-lung"), "volume_ml");
    assert_true(fabs(right - phantom_lung_ml(&folder->truth, 0)) < 0.02 * right);
    assert_true(fabs(left - phantom_lung_ml(&folder->truth, 1)) < 0.02 * left);
    assert_true(number(json, "excluded_dense_right_ml") > 200);
    check_mask(&measurement, mask);
    check_report(&arena, json);
    buf_deinit(&output);
    arena_deinit(&arena);
    lung_measurement_deinit(&measurement);
    folder_free(folder);
}

static void test_worker_lines(void **state)
{
    (void)state;
    struct arena arena = { .bytes_max = 1 << 20 };
    struct error error = { 0 };
    struct lung_source source;
    assert_true(lung_worker_read_source(&arena, STR("/a/b c.dcm"), &source, &error));
    assert_string_equal(source.path, "/a/b c.dcm");
    assert_int_equal(source.length, 0);
    assert_true(
        lung_worker_read_source(&arena, STR("/pack\t4096\t1000\t1.2.840.10008.1.2.1"), &source, &error));
    assert_int_equal(source.offset, 4096);
    assert_int_equal(source.length, 1000);
    assert_string_equal(source.syntax, "1.2.840.10008.1.2.1");
    assert_false(lung_worker_read_source(&arena, STR("/pack\t-1\t1000"), &source, &error));
    assert_false(lung_worker_read_source(&arena, STR("/pack\t1"), &source, &error));
    assert_false(lung_worker_read_source(&arena, STR("/pack\t1\t2\t9.9.9"), &source, &error));
    assert_false(lung_worker_read_source(&arena, STR("\t1\t2"), &source, &error));
    arena_deinit(&arena);
}

static bool note_percent(void *context, unsigned percent)
{
    *(unsigned *)context = percent;
    return true;
}

static bool stop(void *context, unsigned percent)
{
    (void)context;
    (void)percent;
    return false;
}

static void test_worker_process(void **state)
{
    (void)state;
    const char *program = getenv("SHANHAI_PROGRAM");
    if (program == NULL) {
        print_message("the worker process is left out: SHANHAI_PROGRAM is not set\n");
        skip();
    }
    struct folder *folder = folder_make(64, 40, (struct phantom_options){ 0 });
    folder_fill(folder);
    struct arena arena = { .bytes_max = 1 << 24 };
    struct error error = { 0 };
    struct str json = STR_NONE;
    struct str mask = STR_NONE;
    unsigned percent = 0;
    struct lung_worker_options options = { .program = program,
                                           .progress = note_percent,
                                           .context = &percent };
    if (!lung_worker_run(&arena, folder->sources, folder->count, &options, &json, &mask, &error)) {
        fail_msg("%s", error.text);
    }
    assert_int_equal(percent, 100);
    assert_true(str_find(json, STR("\"status\":\"measured\"")) < json.len);
    assert_true(mask.len > 1000);
    assert_true(lung_worker_run(&arena, folder->sources, 5, &options, &json, &mask, &error)); /* unfit */
    assert_true(str_find(json, STR("too-few-slices")) < json.len);
    assert_int_equal(mask.len, 0);
    assert_int_equal(truncate(folder->sources[10].path, 3000), 0);
    assert_true(lung_worker_run(&arena, folder->sources, folder->count, &options, &json, &mask, &error));
    assert_true(str_find(json, STR("too-many-damaged")) < json.len); /* one of 40 is more than 2 % */
    assert_true(str_find(json, STR("\"damaged_slices\":[11]")) < json.len);
    options.progress = stop;
    assert_false(lung_worker_run(&arena, folder->sources, folder->count, &options, &json, &mask, &error));
    assert_int_equal(error.kind, ERROR_BUSY);
    options.program = "/nonexistent";
    assert_false(lung_worker_run(&arena, folder->sources, folder->count, &options, &json, &mask, &error));
    arena_deinit(&arena);
    folder_free(folder);
}

/* The reference in numpy measured 954 and 1936 ml; the solid right upper zone must show as excluded. */
static void test_real_ct(void **state)
{
    (void)state;
    const char *shared = getenv("SHANHAI_SHARED");
    struct arena arena = { .bytes_max = 1 << 24 };
    struct str folder =
        arena_printf(&arena, "%s/data/ct/lidc-idri-0314", shared == NULL ? "../shared" : shared);
    if (getenv("SHANHAI_LONG") == NULL || access(folder.at, R_OK) != 0) {
        print_message("the real CT is left out: SHANHAI_LONG is not set, or it is not there\n");
        arena_deinit(&arena);
        skip();
    }
    struct lung_source *sources = NULL;
    size_t count = 0;
    struct lung_measurement measurement;
    struct error error = { 0 };
    assert_true(lung_sources_of_folder(&arena, folder.at, &sources, &count, &error));
    if (!lung_measure_series(sources, count, NULL, &measurement, &error)) {
        fail_msg("%s", error.text);
    }
    const struct lung_result *result = &measurement.result;
    assert_true(fabs(result->regions[LUNG_RIGHT].volume_ml - 954) < 20);
    assert_true(fabs(result->regions[LUNG_LEFT].volume_ml - 1936) < 40);
    assert_true(result->excluded_dense_right_ml > 100);
    assert_true(result->excluded_dense_left_ml < 10);
    assert_true(fabs(result->regions[LUNG_RIGHT].mean_hu + 774) < 15);
    assert_true(fabs(result->regions[LUNG_LEFT].mean_hu + 794) < 15);
    lung_measurement_deinit(&measurement);
    arena_deinit(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pixels_in_every_form),
        cmocka_unit_test(test_padding_is_air),
        cmocka_unit_test(test_prone_orientation_turns_the_side),
        cmocka_unit_test(test_missing_slices_are_told),
        cmocka_unit_test(test_mixed_series_are_told),
        cmocka_unit_test(test_soft_series_is_chosen),
        cmocka_unit_test(test_warnings_come_from_the_header),
        cmocka_unit_test(test_damaged_slice_is_told_and_filled),
        cmocka_unit_test(test_too_many_damaged_slices_are_not_measured),
        cmocka_unit_test(test_foreign_files_are_counted_and_nothing_is_an_error),
        cmocka_unit_test(test_kernels),
        cmocka_unit_test(test_files_to_report),
        cmocka_unit_test(test_worker_lines),
        cmocka_unit_test(test_worker_process),
        cmocka_unit_test(test_real_ct),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
