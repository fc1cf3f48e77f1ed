#include "lung/lung_measure.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/parse.h"
#include "dicom/syntax.h"

enum { PROGRESS_LOADED = 50 };

/* ---- the job ---- */

/* The computation's 0-100 becomes the second half of the job's. */
static void half_progress(void *context, unsigned percent)
{
    const struct lung_options *options = context;
    options->progress(options->context, PROGRESS_LOADED + percent * (100 - PROGRESS_LOADED) / 100);
}

static bool compute(struct lung_measurement *measurement, const struct lung_options *options,
                    struct error *error)
{
    struct lung_ct *ct = &measurement->ct;
    struct arena arena = { .bytes_max = (size_t)1 << 30 };
    size_t voxels = ct->volume.columns * ct->volume.rows * ct->volume.slices;
    uint8_t *labels = arena_alloc(&arena, voxels);
    if (labels == NULL) {
        return FAIL(error, ERROR_TOO_LARGE, "no memory to measure this CT");
    }
    struct lung_options inner = { 0 };
    if (options != NULL) {
        inner = *options;
    }
    if (inner.progress != NULL) {
        inner.progress = half_progress;
        inner.context = (void *)(uintptr_t)options;
    }
    bool ok = lung_measure_volume(&ct->volume, &inner, labels, &measurement->result, error);
    if (ok && !lung_notes_unfit(&measurement->result.notes)) {
        size_t key = measurement->result.key_slice * ct->slices_joined + ct->slices_joined / 2;
        memcpy(measurement->key_uid, ct->instance_uids[key], sizeof measurement->key_uid);
        lung_mask_write(&measurement->mask, &ct->volume, labels, ct->instance_uids, ct->slices_joined);
        ok = !measurement->mask.failed || FAIL(error, ERROR_TOO_LARGE, "the mask is too large");
    }
    arena_deinit(&arena);
    return ok;
}

bool lung_measure_series(const struct lung_source *sources, size_t count, const struct lung_options *options,
                         struct lung_measurement *measurement, struct error *error)
{
    *measurement = (struct lung_measurement){ .mask = { .bytes_max = LUNG_MASK_BYTES_MAX } };
    int64_t begin_us = clock_monotonic_us();
    if (!lung_ct_load(sources, count, options, &measurement->ct, error)) {
        return false;
    }
    int64_t loaded_us = clock_monotonic_us();
    measurement->load_us = loaded_us - begin_us;
    measurement->result.notes = measurement->ct.series.notes;
    if (options != NULL && options->progress != NULL) {
        options->progress(options->context, PROGRESS_LOADED);
    }
    bool ok = lung_notes_unfit(&measurement->result.notes) || compute(measurement, options, error);
    measurement->compute_us = clock_monotonic_us() - loaded_us;
    return ok;
}

void lung_measurement_deinit(struct lung_measurement *measurement)
{
    if (measurement != NULL) {
        lung_ct_deinit(&measurement->ct);
        buf_deinit(&measurement->mask);
        *measurement = (struct lung_measurement){ 0 };
    }
}

/* ---- JSON ---- */

/* A decimal with a fixed number of places: the digits are what was measured, no more. */
static void add_decimal(struct arena *arena, struct json *object, const char *name, double value, int places)
{
    double unit = pow(10, places);
    double rounded = round(value * unit) / unit;
    struct str digits = arena_printf(arena, "%.*f", places, rounded + 0.0); /* + 0.0: no "-0.0" */
    (void)json_add(object, str_from_cstr(name), json_new_number(arena, digits));
}

static void add_integer(struct arena *arena, struct json *object, const char *name, int64_t value)
{
    (void)json_add(object, str_from_cstr(name), json_new_integer(arena, value));
}

static void add_text(struct arena *arena, struct json *object, const char *name, const char *text)
{
    (void)json_add_text(arena, object, str_from_cstr(name), str_from_cstr(text));
}

static struct json *add_object(struct arena *arena, struct json *parent, const char *name)
{
    return json_add(parent, str_from_cstr(name), json_new(arena, JSON_OBJECT));
}

static void add_notes(struct arena *arena, struct json *parent, const struct lung_notes_list *notes)
{
    struct json *list = json_add(parent, STR("notes"), json_new(arena, JSON_ARRAY));
    for (size_t i = 0; i < notes->count; i++) {
        const struct lung_note *note = &notes->items[i];
        const struct lung_note_row *row = &lung_notes[note->code];
        struct json *item = json_append(list, json_new(arena, JSON_OBJECT));
        add_text(arena, item, "code", row->code);
        add_text(arena, item, "kind", note->code <= LUNG_UNFIT_LAST ? "unfit" : "warning");
        if (row->unit[0] != '\0') {
            add_decimal(arena, item, "value", note->value, row->unit[0] == 's' ? 0 : 1); /* slices, series */
            add_text(arena, item, "unit", row->unit);
        }
        add_text(arena, item, "zh", row->text_zh);
        add_text(arena, item, "en", row->text_en);
    }
}

static void add_series(struct arena *arena, struct json *object, const struct lung_series *series)
{
    add_text(arena, object, "study_instance_uid", series->study_uid);
    add_text(arena, object, "series_instance_uid", series->series_uid);
    add_text(arena, object, "description", series->description);
    add_text(arena, object, "manufacturer", series->manufacturer);
    add_text(arena, object, "kernel", series->kernel);
    add_integer(arena, object, "slices_count", (int64_t)series->instances);
    add_integer(arena, object, "rows", (int64_t)series->rows);
    add_integer(arena, object, "columns", (int64_t)series->columns);
    add_decimal(arena, object, "row_spacing_mm", series->pixel_mm[0], 4);
    add_decimal(arena, object, "column_spacing_mm", series->pixel_mm[1], 4);
    add_decimal(arena, object, "slice_thickness_mm", series->thickness_mm, 3);
    add_decimal(arena, object, "slice_spacing_mm", series->spacing_mm, 3);
}

static void add_region(struct arena *arena, struct json *parent, enum lung_region region,
                       const struct lung_amounts *amounts)
{
    struct json *object = add_object(arena, parent, lung_regions[region].code);
    add_decimal(arena, object, "volume_ml", amounts->volume_ml, 1);
    add_decimal(arena, object, "mean_hu", amounts->mean_hu, 1);
    add_decimal(arena, object, "pd15_hu", amounts->pd15_hu, 1);
    add_decimal(arena, object, "opacity_ml", amounts->opacity_ml, 1);
    add_decimal(arena, object, "opacity_percent", lung_percent(amounts, amounts->opacity_ml), 1);
    add_decimal(arena, object, "high_opacity_ml", amounts->high_opacity_ml, 1);
    add_decimal(arena, object, "high_opacity_percent", lung_percent(amounts, amounts->high_opacity_ml), 1);
    add_decimal(arena, object, "laa950_percent",
                lung_percent(amounts, amounts->class_ml[LUNG_CLASS_EMPHYSEMA]), 1);
    struct json *classes = add_object(arena, object, "classes");
    for (int i = 0; i < LUNG_CLASSES_COUNT; i++) {
        struct json *class = add_object(arena, classes, lung_classes[i].code);
        add_decimal(arena, class, "ml", amounts->class_ml[i], 1);
        add_decimal(arena, class, "percent", lung_percent(amounts, amounts->class_ml[i]), 1);
    }
    if (region >= LUNG_ZONES_COUNT) {
        struct json *histogram = json_add(object, STR("histogram_counts"), json_new(arena, JSON_ARRAY));
        for (int i = 0; i < LUNG_HISTOGRAM_BINS; i++) {
            (void)json_append(histogram, json_new_integer(arena, amounts->histogram[i]));
        }
    }
}

static void add_classes(struct arena *arena, struct json *root)
{
    struct json *list = json_add(root, STR("class_bounds"), json_new(arena, JSON_ARRAY));
    for (int i = 0; i < LUNG_CLASSES_COUNT; i++) {
        struct json *item = json_append(list, json_new(arena, JSON_OBJECT));
        add_text(arena, item, "code", lung_classes[i].code);
        add_integer(arena, item, "hu_from", lung_classes[i].hu_from);
        add_integer(arena, item, "hu_to", lung_classes[i].hu_to);
        add_text(arena, item, "zh", lung_classes[i].name_zh);
        add_text(arena, item, "en", lung_classes[i].name_en);
    }
    struct json *histogram = add_object(arena, root, "histogram");
    add_integer(arena, histogram, "from_hu", LUNG_HU_MIN);
    add_integer(arena, histogram, "step_hu", LUNG_HISTOGRAM_STEP_HU);
}

static void add_result(struct arena *arena, struct json *root, const struct lung_measurement *measurement)
{
    const struct lung_result *result = &measurement->result;
    struct json *regions = add_object(arena, root, "regions");
    for (int region = LUNG_REGIONS_COUNT - 1; region >= 0; region--) {
        add_region(arena, regions, (enum lung_region)region, &result->regions[region]);
    }
    struct json *score = add_object(arena, root, "six_zone_score");
    add_integer(arena, score, "sum", result->zone_score_sum);
    add_integer(arena, score, "max", 4 * LUNG_ZONES_COUNT);
    for (int zone = 0; zone < LUNG_ZONES_COUNT; zone++) {
        add_integer(arena, score, lung_regions[zone].code, result->zone_scores[zone]);
    }
    add_decimal(arena, root, "excluded_dense_right_ml", result->excluded_dense_right_ml, 1);
    add_decimal(arena, root, "excluded_dense_left_ml", result->excluded_dense_left_ml, 1);
    add_decimal(arena, root, "airway_ml", result->airway_ml, 1);
    add_decimal(arena, root, "noise_hu", result->noise_hu, 1);
    struct json *key = add_object(arena, root, "key_slice");
    add_integer(arena, key, "index_from_feet", (int64_t)result->key_slice);
    add_text(arena, key, "sop_instance_uid", measurement->key_uid);
    add_text(arena, key, "worst_zone", lung_regions[result->worst_zone].code);
    add_classes(arena, root);
    struct json *mask = add_object(arena, root, "mask");
    add_text(arena, mask, "media_type", LUNG_MASK_MEDIA_TYPE);
    add_integer(arena, mask, "bytes", (int64_t)measurement->mask.len);
}

struct json *lung_measurement_json(struct arena *arena, const struct lung_measurement *measurement)
{
    const struct lung_ct *ct = &measurement->ct;
    bool unfit = lung_notes_unfit(&measurement->result.notes);
    struct json *root = json_new(arena, JSON_OBJECT);
    struct json *method = add_object(arena, root, "method");
    add_text(arena, method, "name", LUNG_METHOD_NAME);
    add_text(arena, method, "version", LUNG_METHOD_VERSION);
    add_text(arena, root, "status", unfit ? "unfit" : "measured");
    struct json *statement = add_object(arena, root, "statement");
    add_text(arena, statement, "zh", "影像定量测量，由程序按密度阈值算出；不是诊断，须经医师审核。");
    add_text(arena, statement, "en",
             "Quantitative measurement by density thresholds; not a diagnosis, to be reviewed by a doctor.");
    add_notes(arena, root, &measurement->result.notes);
    add_series(arena, add_object(arena, root, "series"), &ct->series);
    add_integer(arena, root, "slices_joined", (int64_t)ct->slices_joined);
    add_integer(arena, root, "unreadable_files_count", (int64_t)ct->unreadable_count);
    struct json *damaged = json_add(root, STR("damaged_slices"), json_new(arena, JSON_ARRAY));
    for (size_t i = 0; i < ct->damaged_count && i < LUNG_DAMAGED_LISTED_MAX; i++) {
        (void)json_append(damaged, json_new_integer(arena, ct->damaged[i]));
    }
    struct json *others = json_add(root, STR("other_series"), json_new(arena, JSON_ARRAY));
    for (size_t i = 0; i + 1 < ct->series_count; i++) {
        struct json *other = json_append(others, json_new(arena, JSON_OBJECT));
        add_series(arena, other, &ct->others[i]);
        add_notes(arena, other, &ct->others[i].notes);
    }
    if (!unfit) {
        add_result(arena, root, measurement);
    }
    struct json *time = add_object(arena, root, "time_ms");
    add_integer(arena, time, "load", measurement->load_us / 1000);
    add_integer(arena, time, "compute", measurement->compute_us / 1000);
    return root;
}

/* ---- the worker's lines ---- */

void lung_worker_write_result(struct buf *buf, struct str json, struct str mask)
{
    buf_printf(buf, "result %zu %zu\n", json.len, mask.len);
    buf_add(buf, json);
    buf_add(buf, mask);
}

bool lung_worker_read_result(struct str output, struct str *json, struct str *mask, struct error *error)
{
    struct str rest = output;
    struct str line;
    while (rest.len > 0) {
        size_t end = str_find_char(rest, '\n');
        line = str_slice(rest, 0, end);
        rest = str_skip(rest, end + 1);
        if (!str_starts_with(line, STR("result "))) {
            continue;
        }
        struct str sizes = str_skip(line, 7);
        struct str first;
        uint64_t json_len = 0;
        uint64_t mask_len = 0;
        if (!str_split_next(&sizes, ' ', &first) || !parse_uint64(first, rest.len, &json_len) ||
            !parse_uint64(sizes, rest.len, &mask_len) || json_len + mask_len != rest.len) {
            break;
        }
        *json = str_slice(rest, 0, (size_t)json_len);
        *mask = str_skip(rest, (size_t)json_len);
        return true;
    }
    return FAIL(error, ERROR_STRUCTURE, "the measuring process gave no whole result");
}

bool lung_worker_read_source(struct arena *arena, struct str line, struct lung_source *source,
                             struct error *error)
{
    struct lung_source read = { 0 };
    struct str rest = line;
    struct str part;
    bool ok = str_split_next(&rest, '\t', &part) && part.len > 0;
    read.path = ok ? arena_cstr(arena, part) : NULL;
    if (ok && rest.at != NULL) {
        ok = str_split_next(&rest, '\t', &part) && parse_uint64(part, INT64_MAX, &read.offset) &&
             str_split_next(&rest, '\t', &part) && parse_uint64(part, INT64_MAX, &read.length);
    }
    if (ok && rest.at != NULL) {
        read.syntax = arena_cstr(arena, rest);
        ok = read.syntax != NULL && dicom_syntax_find(str_from_cstr(read.syntax)) != NULL;
    }
    if (!ok || read.path == NULL) {
        return FAIL(error, ERROR_INPUT, "a line of the list of images is not PATH, OFFSET, LENGTH, SYNTAX");
    }
    *source = read;
    return true;
}
