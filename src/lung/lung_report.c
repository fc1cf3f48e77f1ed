#include "lung/lung_report.h"

#include <assert.h>

#include "base/clock.h"
#include "base/uuid.h"
#include "lung/lung.h"

#define UCUM "http://unitsofmeasure.org"
#define OBSERVATION_CATEGORY "http://terminology.hl7.org/CodeSystem/observation-category"
#define DIAGNOSTIC_SERVICE "http://terminology.hl7.org/CodeSystem/v2-0074"

/* One Observation a row: the value is that of both lungs, the components are sides and zones. `path` leads from a
 * region of the JSON to the number. */
struct measure {
    const char *code;
    const char *name_zh;
    const char *name_en;
    const char *path[3];
    const char *unit;      /* as shown */
    const char *unit_code; /* UCUM */
};

static const struct measure measures[] = {
    { "lung-volume", "肺容积", "Lung volume", { "volume_ml" }, "ml", "mL" },
    { "opacity-volume", "密度增高区体积", "Opacity volume", { "opacity_ml" }, "ml", "mL" },
    { "opacity-percent", "密度增高区占比", "Opacity percentage", { "opacity_percent" }, "%", "%" },
    { "high-opacity-volume", "高密度区体积", "High opacity volume", { "high_opacity_ml" }, "ml", "mL" },
    { "high-opacity-percent",
      "高密度区占比",
      "High opacity percentage",
      { "high_opacity_percent" },
      "%",
      "%" },
    { "laa950-percent", "低密度区（LAA-950）占比", "LAA-950 percentage", { "laa950_percent" }, "%", "%" },
    { "well-aerated-percent",
      "通气良好肺占比",
      "Well-aerated percentage",
      { "classes", "well-aerated", "percent" },
      "%",
      "%" },
    { "well-aerated-volume",
      "通气良好肺体积",
      "Well-aerated volume",
      { "classes", "well-aerated", "ml" },
      "ml",
      "mL" },
    { "ground-glass-volume",
      "磨玻璃密度体积",
      "Ground-glass volume",
      { "classes", "ground-glass", "ml" },
      "ml",
      "mL" },
    { "mixed-density-volume",
      "混合密度体积",
      "Mixed-density volume",
      { "classes", "mixed-density", "ml" },
      "ml",
      "mL" },
    { "mean-density", "平均肺密度", "Mean lung density", { "mean_hu" }, "HU", "[hnsf'U]" },
    { "pd15-density", "第 15 百分位密度", "15th percentile density", { "pd15_hu" }, "HU", "[hnsf'U]" },
};

static struct str text_of(const char *text)
{
    return str_from_cstr(text);
}

/* ---- looking into the result ---- */

static const struct json *region_of(const struct json *result, enum lung_region region)
{
    return json_member(JSON_GET(result, "regions"), text_of(lung_regions[region].code));
}

static const struct json *number_at(const struct json *object, const char *const path[3])
{
    for (int i = 0; i < 3 && path[i] != NULL; i++) {
        object = json_member(object, text_of(path[i]));
    }
    return object != NULL && object->kind == JSON_NUMBER ? object : NULL;
}

static struct str digits_at(const struct json *result, enum lung_region region, const char *first)
{
    const char *const path[3] = { first };
    const struct json *number = number_at(region_of(result, region), path);
    return number == NULL ? STR("?") : number->raw;
}

static struct str member_digits(const struct json *object, const char *name)
{
    const struct json *number = json_member(object, text_of(name));
    return number == NULL || number->kind != JSON_NUMBER ? STR("?") : number->raw;
}

struct str lung_report_status(struct arena *arena, const struct json *result)
{
    return JSON_TEXT(arena, result, "status");
}

/* ---- pieces of FHIR ---- */

static struct json *object(struct arena *arena)
{
    return json_new(arena, JSON_OBJECT);
}

static void add_reference(struct arena *arena, struct json *parent, const char *name, struct str reference,
                          bool as_list)
{
    if (str_is_empty(reference)) {
        return;
    }
    struct json *value = object(arena);
    (void)json_add_text(arena, value, STR("reference"), reference);
    if (as_list) {
        (void)json_append(json_add(parent, text_of(name), json_new(arena, JSON_ARRAY)), value);
    } else {
        (void)json_add(parent, text_of(name), value);
    }
}

static struct json *concept(struct arena *arena, const char *system, const char *code, const char *display)
{
    struct json *value = object(arena);
    struct json *coding =
        json_append(json_add(value, STR("coding"), json_new(arena, JSON_ARRAY)), object(arena));
    (void)json_add_text(arena, coding, STR("system"), text_of(system));
    (void)json_add_text(arena, coding, STR("code"), text_of(code));
    (void)json_add_text(arena, coding, STR("display"), text_of(display));
    (void)json_add_text(arena, value, STR("text"), text_of(display));
    return value;
}

static void add_quantity(struct arena *arena, struct json *parent, struct str digits, const char *unit,
                         const char *unit_code)
{
    struct json *value = json_add(parent, STR("valueQuantity"), object(arena));
    (void)json_add(value, STR("value"), json_new_number(arena, digits));
    (void)json_add_text(arena, value, STR("unit"), text_of(unit));
    (void)json_add_text(arena, value, STR("system"), STR(UCUM));
    (void)json_add_text(arena, value, STR("code"), text_of(unit_code));
}

static struct json *add_component(struct arena *arena, struct json *observation, const char *code,
                                  const char *name)
{
    struct json *list = JSON_GET(observation, "component");
    if (list == NULL) {
        list = json_add(observation, STR("component"), json_new(arena, JSON_ARRAY));
    }
    struct json *component = json_append(list, object(arena));
    (void)json_add(component, STR("code"), concept(arena, LUNG_CODE_SYSTEM, code, name));
    return component;
}

struct building {
    struct arena *arena;
    const struct json *result;
    const struct lung_report_context *context;
    struct str device; /* reference */
    struct json *observations;
    struct error *error;
    bool failed;
};

/* The members that all Observations share, in the order of the specification. */
static struct json *new_observation(struct building *building, const char *code, const char *name)
{
    struct arena *arena = building->arena;
    const struct lung_report_context *context = building->context;
    char id[UUID_TEXT_BYTES];
    if (!uuid_v7(clock_now_ms(), id, building->error)) {
        building->failed = true;
        return NULL;
    }
    struct json *observation = json_append(building->observations, object(arena));
    (void)json_add_text(arena, observation, STR("resourceType"), STR("Observation"));
    (void)json_add_text(arena, observation, STR("id"), arena_dup(arena, text_of(id)));
    (void)json_add_text(arena, observation, STR("status"), STR("preliminary"));
    (void)json_append(json_add(observation, STR("category"), json_new(arena, JSON_ARRAY)),
                      concept(arena, OBSERVATION_CATEGORY, "imaging", "Imaging"));
    (void)json_add(observation, STR("code"), concept(arena, LUNG_CODE_SYSTEM, code, name));
    add_reference(arena, observation, "subject", context->patient, false);
    if (!str_is_empty(context->effective)) {
        (void)json_add_text(arena, observation, STR("effectiveDateTime"), context->effective);
    }
    add_reference(arena, observation, "performer", context->organization, true);
    return observation;
}

static void end_observation(struct building *building, struct json *observation)
{
    add_reference(building->arena, observation, "device", building->device, false);
    add_reference(building->arena, observation, "derivedFrom", building->context->imaging_study, true);
}

/* ---- Observations ---- */

static void add_measure(struct building *building, const struct measure *measure)
{
    const struct json *both = number_at(region_of(building->result, LUNG_BOTH), measure->path);
    if (both == NULL) {
        building->failed = true;
        return;
    }
    struct json *observation = new_observation(building, measure->code, measure->name_zh);
    add_quantity(building->arena, observation, both->raw, measure->unit, measure->unit_code);
    end_observation(building, observation);
    for (int region = 0; region < LUNG_BOTH; region++) {
        const struct json *number =
            number_at(region_of(building->result, (enum lung_region)region), measure->path);
        if (number == NULL) {
            building->failed = true;
            return;
        }
        struct json *component = add_component(building->arena, observation, lung_regions[region].code,
                                               lung_regions[region].name_zh);
        add_quantity(building->arena, component, number->raw, measure->unit, measure->unit_code);
    }
}

static void add_score(struct building *building)
{
    const struct json *score = JSON_GET(building->result, "six_zone_score");
    struct json *observation = new_observation(building, "six-zone-score", "六肺野评分（0-24）");
    (void)json_add(observation, STR("valueInteger"),
                   json_new_number(building->arena, member_digits(score, "sum")));
    end_observation(building, observation);
    for (int zone = 0; zone < LUNG_ZONES_COUNT; zone++) {
        struct json *component =
            add_component(building->arena, observation, lung_regions[zone].code, lung_regions[zone].name_zh);
        (void)json_add(component, STR("valueInteger"),
                       json_new_number(building->arena, member_digits(score, lung_regions[zone].code)));
    }
}

static void add_excluded(struct building *building)
{
    static const char *const members[2] = { "excluded_dense_right_ml", "excluded_dense_left_ml" };
    struct json *observation = new_observation(building, "excluded-dense-region", "可能未计入的致密区");
    end_observation(building, observation);
    for (int side = 0; side < 2; side++) {
        const struct lung_region_row *row = &lung_regions[LUNG_RIGHT + side];
        struct json *component = add_component(building->arena, observation, row->code, row->name_zh);
        add_quantity(building->arena, component, member_digits(building->result, members[side]), "ml", "mL");
    }
}

/* What limits the measurement: one component a note, with its value where it has one. */
static void add_notes(struct building *building)
{
    struct arena *arena = building->arena;
    const struct json *notes = JSON_GET(building->result, "notes");
    if (notes == NULL || notes->count == 0) {
        return;
    }
    struct json *observation = new_observation(building, "measurement-note", "测量提示");
    end_observation(building, observation);
    JSON_EACH(note, notes) {
        struct json *component =
            json_append(JSON_GET(observation, "component") != NULL
                            ? JSON_GET(observation, "component")
                            : json_add(observation, STR("component"), json_new(arena, JSON_ARRAY)),
                        object(arena));
        struct str code = JSON_TEXT(arena, note, "code");
        struct json *value = object(arena);
        struct json *coding =
            json_append(json_add(value, STR("coding"), json_new(arena, JSON_ARRAY)), object(arena));
        (void)json_add_text(arena, coding, STR("system"), STR(LUNG_CODE_SYSTEM));
        (void)json_add_text(arena, coding, STR("code"), code);
        (void)json_add_text(arena, value, STR("text"), JSON_TEXT(arena, note, "zh"));
        (void)json_add(component, STR("code"), value);
        const struct json *number = JSON_GET(note, "value");
        if (number == NULL) {
            (void)json_add(component, STR("valueBoolean"), json_new_bool(arena, true));
        } else {
            struct json *quantity = json_add(component, STR("valueQuantity"), object(arena));
            (void)json_add(quantity, STR("value"), json_new_number(arena, number->raw));
            (void)json_add_text(arena, quantity, STR("unit"), JSON_TEXT(arena, note, "unit"));
        }
    }
}

/* The image to open first. */
static void add_key_slice(struct building *building)
{
    struct arena *arena = building->arena;
    const struct json *key = JSON_GET(building->result, "key_slice");
    struct json *observation = new_observation(building, "key-slice", "关键层面");
    (void)json_add_text(arena, observation, STR("valueString"), JSON_TEXT(arena, key, "sop_instance_uid"));
    end_observation(building, observation);
    struct str zone = JSON_TEXT(arena, key, "worst_zone");
    for (int i = 0; i < LUNG_ZONES_COUNT; i++) {
        if (str_equal_cstr(zone, lung_regions[i].code)) {
            struct json *component = add_component(arena, observation, "worst-zone", "最重肺野");
            (void)json_add(component, STR("valueCodeableConcept"),
                           concept(arena, LUNG_CODE_SYSTEM, lung_regions[i].code, lung_regions[i].name_zh));
        }
    }
}

/* ---- Device and DiagnosticReport ---- */

static struct json *new_device(struct arena *arena)
{
    struct json *device = object(arena);
    (void)json_add_text(arena, device, STR("resourceType"), STR("Device"));
    (void)json_add_text(arena, device, STR("id"), STR(LUNG_DEVICE_ID));
    (void)json_add_text(arena, device, STR("status"), STR("active"));
    (void)json_add_text(arena, device, STR("manufacturer"), STR("Shanhai"));
    struct json *name =
        json_append(json_add(device, STR("deviceName"), json_new(arena, JSON_ARRAY)), object(arena));
    (void)json_add_text(arena, name, STR("name"), STR(LUNG_METHOD_NAME));
    (void)json_add_text(arena, name, STR("type"), STR("model-name"));
    (void)json_add(device, STR("type"),
                   concept(arena, LUNG_CODE_SYSTEM, "measuring-method", "影像定量测量方法"));
    struct json *version =
        json_append(json_add(device, STR("version"), json_new(arena, JSON_ARRAY)), object(arena));
    (void)json_add_text(arena, version, STR("value"), STR(LUNG_METHOD_VERSION));
    return device;
}

static struct json *new_diagnostic_report(const struct building *building, struct str conclusion)
{
    struct arena *arena = building->arena;
    const struct lung_report_context *context = building->context;
    struct json *report = object(arena);
    (void)json_add_text(arena, report, STR("resourceType"), STR("DiagnosticReport"));
    struct json *extension =
        json_append(json_add(report, STR("extension"), json_new(arena, JSON_ARRAY)), object(arena));
    (void)json_add_text(arena, extension, STR("url"), STR("urn:shanhai:ext:method"));
    add_reference(arena, extension, "valueReference", building->device, false);
    (void)json_add_text(arena, report, STR("status"), STR("preliminary"));
    (void)json_append(json_add(report, STR("category"), json_new(arena, JSON_ARRAY)),
                      concept(arena, DIAGNOSTIC_SERVICE, "CT", "CAT Scan"));
    (void)json_add(report, STR("code"),
                   concept(arena, LUNG_CODE_SYSTEM, "chest-ct-measurement", "胸部 CT 影像定量测量"));
    add_reference(arena, report, "subject", context->patient, false);
    if (!str_is_empty(context->effective)) {
        (void)json_add_text(arena, report, STR("effectiveDateTime"), context->effective);
    }
    add_reference(arena, report, "performer", context->organization, true);
    struct json *results = json_add(report, STR("result"), json_new(arena, JSON_ARRAY));
    JSON_EACH(observation, building->observations) {
        struct json *reference = json_append(results, object(arena));
        (void)json_add_text(arena, reference, STR("reference"),
                            arena_concat(arena, STR("Observation/"), JSON_TEXT(arena, observation, "id")));
    }
    add_reference(arena, report, "imagingStudy", context->imaging_study, true);
    (void)json_add_text(arena, report, STR("conclusion"), conclusion);
    return report;
}

static struct str join_lines(struct arena *arena, const struct json *lines)
{
    struct str text = STR("");
    JSON_EACH(line, lines) {
        text = arena_concat(arena, text, text.len > 0 ? STR("\n") : STR(""));
        text = arena_concat(arena, text, json_text(arena, line));
    }
    return lines == NULL ? STR_NONE : text;
}

bool lung_report_build(struct arena *arena, const struct json *result,
                       const struct lung_report_context *context, struct lung_report *report,
                       struct error *error)
{
    assert(!str_is_empty(context->patient));
    if (!str_equal_cstr(lung_report_status(arena, result), "measured")) {
        return FAIL(error, ERROR_INPUT, "this is not the result of a measured CT");
    }
    struct building building = { .arena = arena,
                                 .result = result,
                                 .context = context,
                                 .device = str_is_empty(context->device) ? STR("Device/" LUNG_DEVICE_ID)
                                                                         : context->device,
                                 .observations = json_new(arena, JSON_ARRAY),
                                 .error = error };
    *error = (struct error){ 0 };
    for (size_t i = 0; i < sizeof measures / sizeof measures[0] && !building.failed; i++) {
        add_measure(&building, &measures[i]);
    }
    if (!building.failed) {
        add_score(&building);
        add_excluded(&building);
        add_key_slice(&building);
        add_notes(&building);
    }
    if (building.failed) {
        return error->kind != ERROR_NONE
                   ? false
                   : FAIL(error, ERROR_INPUT, "the result of the measurement lacks a number");
    }
    struct str conclusion = join_lines(arena, lung_report_lines(arena, result, LUNG_CHINESE));
    struct str conclusion_en = join_lines(arena, lung_report_lines(arena, result, LUNG_ENGLISH));
    *report = (struct lung_report){ .device = new_device(arena),
                                    .observations = building.observations,
                                    .report = new_diagnostic_report(&building, conclusion),
                                    .conclusion = conclusion,
                                    .conclusion_en = conclusion_en };
    bool whole =
        report->device != NULL && report->report != NULL && conclusion.at != NULL && conclusion_en.at != NULL;
    return whole || FAIL(error, ERROR_TOO_LARGE, "no memory for the report");
}

/* ---- text ---- */

static void add_line(struct arena *arena, struct json *lines, struct str text)
{
    (void)json_append(lines, json_new_string(arena, text));
}

/* "第 12、40 层": which images a note about damage means. */
static struct str damaged_text(struct arena *arena, const struct json *result, enum lung_language language)
{
    struct str text = STR("");
    JSON_EACH(number, JSON_GET(result, "damaged_slices")) {
        struct str between = text.len == 0 ? STR("") : language == LUNG_CHINESE ? STR("、") : STR(", ");
        text = arena_concat(arena, arena_concat(arena, text, between), number->raw);
    }
    return language == LUNG_CHINESE ? arena_printf(arena, "第 %.*s 层", STR_FMT(text))
                                    : arena_printf(arena, "images %.*s", STR_FMT(text));
}

static struct str unit_text(struct str unit, enum lung_language language)
{
    if (language == LUNG_CHINESE && str_equal(unit, STR("slices"))) {
        return STR("层");
    }
    return language == LUNG_CHINESE && str_equal(unit, STR("series")) ? STR("套") : unit;
}

static void add_note_lines(struct arena *arena, const struct json *result, const char *kind,
                           enum lung_language language, struct json *lines)
{
    JSON_EACH(note, JSON_GET(result, "notes")) {
        if (!str_equal_cstr(JSON_TEXT(arena, note, "kind"), kind)) {
            continue;
        }
        struct str text =
            language == LUNG_CHINESE ? JSON_TEXT(arena, note, "zh") : JSON_TEXT(arena, note, "en");
        const struct json *value = JSON_GET(note, "value");
        if (value != NULL && value->kind == JSON_NUMBER) {
            struct str unit = unit_text(JSON_TEXT(arena, note, "unit"), language);
            text = arena_printf(arena, language == LUNG_CHINESE ? "%.*s（%.*s %.*s）" : "%.*s (%.*s %.*s)",
                                STR_FMT(text), STR_FMT(value->raw), STR_FMT(unit));
        }
        if (str_ends_with(JSON_TEXT(arena, note, "code"), STR("damaged-slices")) ||
            str_equal(JSON_TEXT(arena, note, "code"), STR("too-many-damaged"))) {
            text = arena_concat(arena, text, language == LUNG_CHINESE ? STR("：") : STR(": "));
            text = arena_concat(arena, text, damaged_text(arena, result, language));
        }
        add_line(arena, lines, text);
    }
}

static void add_chinese_lines(struct arena *arena, const struct json *result, struct json *lines)
{
    const struct json *score = JSON_GET(result, "six_zone_score");
    struct str right = member_digits(result, "excluded_dense_right_ml");
    struct str left = member_digits(result, "excluded_dense_left_ml");
    add_line(arena, lines, STR("影像定量测量，由程序按密度阈值算出；不是诊断，须经医师审核。"));
    add_line(arena, lines,
             arena_printf(arena, "肺容积：双肺 %.*s ml，右肺 %.*s ml，左肺 %.*s ml。",
                          STR_FMT(digits_at(result, LUNG_BOTH, "volume_ml")),
                          STR_FMT(digits_at(result, LUNG_RIGHT, "volume_ml")),
                          STR_FMT(digits_at(result, LUNG_LEFT, "volume_ml"))));
    add_line(arena, lines,
             arena_printf(arena,
                          "密度增高区（-700 至 60 HU，不含血管）：%.*s ml，占 %.*s%%（右 %.*s%%，左 "
                          "%.*s%%）；其中 -200 HU 以上占 %.*s%%。",
                          STR_FMT(digits_at(result, LUNG_BOTH, "opacity_ml")),
                          STR_FMT(digits_at(result, LUNG_BOTH, "opacity_percent")),
                          STR_FMT(digits_at(result, LUNG_RIGHT, "opacity_percent")),
                          STR_FMT(digits_at(result, LUNG_LEFT, "opacity_percent")),
                          STR_FMT(digits_at(result, LUNG_BOTH, "high_opacity_percent"))));
    add_line(arena, lines,
             arena_printf(arena, "低密度区（-950 HU 以下）：%.*s%%；平均密度 %.*s HU，第 15 百分位 %.*s HU。",
                          STR_FMT(digits_at(result, LUNG_BOTH, "laa950_percent")),
                          STR_FMT(digits_at(result, LUNG_BOTH, "mean_hu")),
                          STR_FMT(digits_at(result, LUNG_BOTH, "pd15_hu"))));
    add_line(arena, lines,
             arena_printf(arena, "六肺野评分：%.*s / 24。", STR_FMT(member_digits(score, "sum"))));
    add_line(
        arena, lines,
        arena_printf(arena, "可能未计入的致密区：右 %.*s ml，左 %.*s ml。", STR_FMT(right), STR_FMT(left)));
    add_note_lines(arena, result, "warning", LUNG_CHINESE, lines);
    add_line(arena, lines, STR("方法：" LUNG_METHOD_NAME " " LUNG_METHOD_VERSION "。"));
}

static void add_english_lines(struct arena *arena, const struct json *result, struct json *lines)
{
    const struct json *score = JSON_GET(result, "six_zone_score");
    struct str right = member_digits(result, "excluded_dense_right_ml");
    struct str left = member_digits(result, "excluded_dense_left_ml");
    add_line(
        arena, lines,
        STR("Quantitative measurement by density thresholds; not a diagnosis, to be reviewed by a doctor."));
    add_line(arena, lines,
             arena_printf(arena, "Lung volume: both %.*s ml, right %.*s ml, left %.*s ml.",
                          STR_FMT(digits_at(result, LUNG_BOTH, "volume_ml")),
                          STR_FMT(digits_at(result, LUNG_RIGHT, "volume_ml")),
                          STR_FMT(digits_at(result, LUNG_LEFT, "volume_ml"))));
    add_line(
        arena, lines,
        arena_printf(arena,
                     "Opacity (-700 to 60 HU, without vessels): %.*s ml, %.*s%% (right %.*s%%, left %.*s%%); "
                     "-200 HU and above %.*s%%.",
                     STR_FMT(digits_at(result, LUNG_BOTH, "opacity_ml")),
                     STR_FMT(digits_at(result, LUNG_BOTH, "opacity_percent")),
                     STR_FMT(digits_at(result, LUNG_RIGHT, "opacity_percent")),
                     STR_FMT(digits_at(result, LUNG_LEFT, "opacity_percent")),
                     STR_FMT(digits_at(result, LUNG_BOTH, "high_opacity_percent"))));
    add_line(arena, lines,
             arena_printf(
                 arena,
                 "Low attenuation (below -950 HU): %.*s%%; mean density %.*s HU, 15th percentile %.*s HU.",
                 STR_FMT(digits_at(result, LUNG_BOTH, "laa950_percent")),
                 STR_FMT(digits_at(result, LUNG_BOTH, "mean_hu")),
                 STR_FMT(digits_at(result, LUNG_BOTH, "pd15_hu"))));
    add_line(arena, lines,
             arena_printf(arena, "Six-zone score: %.*s of 24.", STR_FMT(member_digits(score, "sum"))));
    add_line(arena, lines,
             arena_printf(arena, "Possible excluded dense region: right %.*s ml, left %.*s ml.",
                          STR_FMT(right), STR_FMT(left)));
    add_note_lines(arena, result, "warning", LUNG_ENGLISH, lines);
    add_line(arena, lines, STR("Method: " LUNG_METHOD_NAME " " LUNG_METHOD_VERSION "."));
}

struct json *lung_report_lines(struct arena *arena, const struct json *result, enum lung_language language)
{
    struct json *lines = json_new(arena, JSON_ARRAY);
    if (str_equal_cstr(lung_report_status(arena, result), "unfit")) {
        add_note_lines(arena, result, "unfit", language, lines);
    } else if (language == LUNG_CHINESE) {
        add_chinese_lines(arena, result, lines);
    } else {
        add_english_lines(arena, result, lines);
    }
    return lines;
}

struct json *lung_report_reasons(struct arena *arena, const struct json *result, enum lung_language language)
{
    struct json *lines = json_new(arena, JSON_ARRAY);
    add_note_lines(arena, result, "unfit", language, lines);
    return lines;
}
