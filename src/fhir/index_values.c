/* What each kind of search parameter makes of a value (R4 3.1.1.4). */
#include <math.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/parse.h"
#include "fhir/index_internal.h"

enum { TIMING_EVENTS_MAX = 1000 };

static bool row_equal(const struct index_row *a, const struct index_row *b)
{
    if (a->kind != b->kind || a->parameter != b->parameter || a->key != b->key) {
        return false;
    }
    switch (a->kind) {
    case INDEX_KEY:
        return a->whole == b->whole;
    case INDEX_TEXT:
        return str_equal(a->text, b->text);
    case INDEX_DATE:
        return a->from_ms == b->from_ms && a->to_ms == b->to_ms;
    case INDEX_NUMBER:
        return !(a->low < b->low) && !(a->low > b->low) && !(a->high < b->high) && !(a->high > b->high);
    }
    return false;
}

static bool rows_grow(struct row_builder *builder)
{
    size_t capacity = builder->capacity == 0 ? 64 : builder->capacity * 2;
    struct index_row *rows = arena_alloc(builder->arena, capacity * sizeof *rows);
    if (rows == NULL || builder->count >= LIMIT_STORE_INDEX_ROWS) {
        builder->failed = true;
        return false;
    }
    if (builder->count > 0) {
        memcpy(rows, builder->rows, builder->count * sizeof *rows);
    }
    builder->rows = rows;
    builder->capacity = capacity;
    return true;
}

void rows_add(struct row_builder *builder, struct index_row row)
{
    row.derived = row.derived || builder->deriving;
    for (size_t i = builder->section; i < builder->count; i++) {
        if (row_equal(&builder->rows[i], &row)) {
            return;
        }
    }
    if (builder->failed || (builder->count == builder->capacity && !rows_grow(builder))) {
        return;
    }
    builder->rows[builder->count++] = row;
}

static void add_key(struct row_builder *builder, uint32_t parameter, uint64_t key, struct str text)
{
    rows_add(builder,
             (struct index_row){ .kind = INDEX_KEY, .parameter = parameter, .key = key, .text = text });
}

static void add_reference(struct row_builder *builder, uint32_t parameter, uint64_t key, struct str text)
{
    rows_add(builder,
             (struct index_row){
                 .kind = INDEX_KEY, .parameter = parameter, .key = key, .text = text, .reference = true });
}

static void add_text(struct row_builder *builder, uint32_t parameter, struct str text)
{
    size_t end = text.len;
    if (end > LIMIT_STORE_INDEX_TEXT_BYTES) {
        end = LIMIT_STORE_INDEX_TEXT_BYTES;
        while (end > 0 && ((unsigned char)text.at[end] & 0xC0) == 0x80) {
            end--;
        }
    }
    if (end > 0) {
        rows_add(builder, (struct index_row){
                              .kind = INDEX_TEXT, .parameter = parameter, .text = str_slice(text, 0, end) });
    }
}

/* ---- token ---- */

static void add_token(struct row_builder *builder, uint32_t parameter, struct str system, struct str code)
{
    if (code.len > 0) {
        add_key(builder, parameter, index_token_key(STR_NONE, code), code);
        add_key(builder, parameter, index_token_key(system.at == NULL ? STR("") : system, code), STR_NONE);
    }
    if (system.len > 0) {
        add_key(builder, parameter, index_token_key(system, STR_NONE), STR_NONE);
    }
}

/* A key that only leads to that of a whole coding. */
static void add_brief(struct row_builder *builder, uint32_t parameter, uint64_t key, uint64_t whole,
                      struct str text)
{
    rows_add(builder, (struct index_row){ .kind = INDEX_KEY,
                                          .parameter = parameter,
                                          .key = key,
                                          .text = text,
                                          .derived = true,
                                          .whole = whole });
}

static void add_coding(struct row_builder *builder, uint32_t parameter, const struct json *coding)
{
    struct str system = JSON_TEXT(builder->arena, coding, "system");
    struct str code = JSON_TEXT(builder->arena, coding, "code");
    uint64_t whole = index_token_key(system.at == NULL ? STR("") : system, code);
    if (code.len == 0) {
        add_token(builder, parameter, system, code);
        return;
    }
    add_key(builder, parameter, whole, code);
    add_brief(builder, parameter, index_token_key(STR_NONE, code), whole, code);
    if (system.len > 0) {
        add_brief(builder, parameter, index_token_key(system, STR_NONE), whole, STR_NONE);
    }
}

/* Key of :of-type (R4 3.1.1.4.11): system|code|value of the identifier's type. */
static void add_identifier(struct row_builder *builder, uint32_t parameter, uint32_t of_type,
                           const struct json *identifier)
{
    struct str value = JSON_TEXT(builder->arena, identifier, "value");
    struct str issuer = JSON_TEXT(builder->arena, identifier, "system");
    if (value.len > 0) {
        struct str own = issuer.at == NULL ? STR("") : issuer;
        add_key(builder, parameter, index_token_key(STR_NONE, value), value);
        rows_add(builder, (struct index_row){ .kind = INDEX_KEY,
                                              .parameter = parameter,
                                              .key = index_identifier_key(own, value),
                                              .whole = index_token_key(own, value) });
    }
    if (issuer.len > 0) {
        add_key(builder, parameter, index_token_key(issuer, STR_NONE), STR_NONE);
    }
    JSON_EACH(coding, of_type == 0 ? NULL : JSON_GET(JSON_GET(identifier, "type"), "coding")) {
        struct str system = JSON_TEXT(builder->arena, coding, "system");
        struct str code = JSON_TEXT(builder->arena, coding, "code");
        uint64_t type = index_token_key(system.at == NULL ? STR("") : system, code);
        add_key(builder, of_type, hash64_combine(type, index_token_key(STR_NONE, value)), STR_NONE);
    }
}

static void add_coding_words(struct row_builder *builder, uint32_t parameter, const struct json *coding)
{
    if (parameter != 0) {
        index_add_words(builder, parameter, JSON_TEXT(builder->arena, coding, "display"), false);
    }
}

/* R4 3.1.1.4.5: CodeableConcept.text, Coding.display, Identifier.type.text */
static void add_concept_words(struct row_builder *builder, uint32_t parameter, const struct json *concept)
{
    if (parameter == 0 || concept == NULL) {
        return;
    }
    index_add_words(builder, parameter, JSON_TEXT(builder->arena, concept, "text"), false);
    JSON_EACH(coding, JSON_GET(concept, "coding")) {
        add_coding_words(builder, parameter, coding);
    }
}

static void index_token(struct row_builder *builder, const struct parameter_numbers *numbers,
                        const struct fhirpath_item *item, struct str type)
{
    const struct json *value = item->kind == FHIRPATH_NODE ? item->node.value : NULL;
    if (str_equal(type, STR("Coding"))) {
        add_coding(builder, numbers->own, value);
        add_coding_words(builder, numbers->words, value);
    } else if (str_equal(type, STR("CodeableConcept"))) {
        add_concept_words(builder, numbers->words, value);
        JSON_EACH(coding, JSON_GET(value, "coding")) {
            add_coding(builder, numbers->own, coding);
        }
    } else if (str_equal(type, STR("Identifier"))) {
        add_identifier(builder, numbers->own, numbers->of_type, value);
        add_concept_words(builder, numbers->words, JSON_GET(value, "type"));
    } else if (str_equal(type, STR("ContactPoint"))) {
        struct str point = JSON_TEXT(builder->arena, value, "value");
        if (point.len > 0) {
            add_key(builder, numbers->own, index_token_key(STR_NONE, point), point);
        }
    } else {
        /* A code, boolean, id, uri or string: its system is the definition's, so one key is enough. */
        struct str text = fhirpath_item_text(builder->arena, item);
        if (str_equal(type, STR("string"))) { /* R4 3.1.1.4.10: then the search is not case sensitive */
            text = index_normalise(builder->arena, text);
        }
        if (text.len > 0) {
            add_key(builder, numbers->own, index_token_key(STR_NONE, text), text);
        }
        size_t end = str_find_char(text, ';'); /* "text/xml; charset=UTF-8" */
        if (numbers->below != 0 && end < text.len && str_find_char(text, '/') < end) {
            struct str base = str_trim(str_slice(text, 0, end));
            add_key(builder, numbers->below, index_token_key(STR_NONE, base), STR_NONE);
        }
    }
}

/* ---- reference, uri ---- */

/* R4 3.1.1.4.13: "url|1.2.3" lies below "url|1" and "url|1.2". */
static void add_versions(struct row_builder *builder, uint32_t parameter, struct str text, size_t bar)
{
    for (size_t i = bar + 1; parameter != 0 && i < text.len; i++) {
        if (text.at[i] == '.') {
            struct str part = str_slice(text, 0, i);
            add_key(builder, parameter, index_reference_key(part, builder->options->base_url), STR_NONE);
        }
    }
}

static void add_canonical(struct row_builder *builder, const struct parameter_numbers *numbers,
                          struct str text)
{
    uint32_t parameter = numbers->own;
    uint64_t key = index_reference_key(text, builder->options->base_url);
    if (key == 0) {
        return;
    }
    add_reference(builder, parameter, key, text);
    size_t bar = str_find_char(text, '|');
    if (bar < text.len) {
        add_reference(builder, parameter,
                      index_reference_key(str_slice(text, 0, bar), builder->options->base_url), STR_NONE);
        add_versions(builder, numbers->below, text, bar);
    }
}

static bool is_target(struct str targets, struct str type)
{
    struct str target = STR_NONE;
    bool found = targets.len == 0 || str_equal(targets, STR("Resource"));
    while (!found && str_split_next(&targets, ' ', &target)) {
        found = str_equal(target, type);
    }
    return found;
}

static void index_reference(struct row_builder *builder, const struct parameter_numbers *numbers,
                            const struct fhirpath_item *item, struct str type)
{
    const struct json *value = item->kind == FHIRPATH_NODE ? item->node.value : NULL;
    if (value == NULL) {
        return;
    }
    if (value->kind == JSON_STRING) {
        add_canonical(builder, numbers, json_text(builder->arena, value));
    } else if (str_equal(type, STR("Reference"))) {
        struct str reference = JSON_TEXT(builder->arena, value, "reference");
        uint64_t key = index_reference_key(reference, builder->options->base_url);
        if (key != 0) {
            add_reference(builder, numbers->own, key, reference);
        } else if (str_starts_with(reference, STR("#")) && numbers->valueless != 0) {
            index_inside(builder, numbers, str_skip(reference, 1));
        }
        const struct json *identifier = JSON_GET(value, "identifier");
        if (identifier != NULL && numbers->identifier != 0) {
            add_identifier(builder, numbers->identifier, 0, identifier);
        }
    } else if (JSON_GET(value, "resourceType") != NULL) { /* Bundle.entry[0].resource */
        struct str id = JSON_TEXT(builder->arena, value, "id");
        struct str own = JSON_TEXT(builder->arena, value, "resourceType");
        if (id.len > 0 && is_target(numbers->targets, own)) {
            add_reference(builder, numbers->own, hash_resource_key(own, id), id);
        }
    }
}

static void index_uri(struct row_builder *builder, const struct parameter_numbers *numbers,
                      const struct fhirpath_item *item)
{
    struct str text = fhirpath_item_text(builder->arena, item);
    if (text.len == 0) {
        return;
    }
    add_key(builder, numbers->own, index_uri_key(text), STR_NONE);
    size_t bar = str_find_char(text, '|');
    if (bar < text.len) {
        add_key(builder, numbers->own, index_uri_key(str_slice(text, 0, bar)), STR_NONE);
    }
    add_text(builder, numbers->own, text);
}

/* ---- string ---- */

static void add_string(struct row_builder *builder, const struct parameter_numbers *numbers, struct str text)
{
    if (text.len == 0) {
        return;
    }
    struct str marked = index_string_text(builder->arena, text);
    if (marked.at == NULL) {
        builder->failed = true;
        return;
    }
    add_text(builder, numbers->own, marked);
    bool cut = marked.len > INDEX_MARK_BYTES && marked.at[marked.len - INDEX_MARK_BYTES] == INDEX_MARK_CUT;
    if (numbers->ends != 0 && cut) {
        add_text(builder, numbers->ends, index_string_end(builder->arena, text));
    }
    if (text.len > INDEX_STRING_BYTES - INDEX_MARK_BYTES) { /* its end may be cut off */
        index_add_words(builder, numbers->words, text, true);
    }
}

static void add_strings(struct row_builder *builder, const struct parameter_numbers *numbers,
                        const struct json *value)
{
    if (value == NULL || value->kind == JSON_STRING) {
        add_string(builder, numbers, json_text(builder->arena, value));
        return;
    }
    JSON_EACH(item, value) {
        add_string(builder, numbers, json_text(builder->arena, item));
    }
}

static void add_readings(struct row_builder *builder, uint32_t parameter, struct str text, bool initials)
{
    struct pinyin_reading readings[PINYIN_READINGS_MAX];
    size_t count = pinyin_read(builder->pinyin, builder->arena, text, readings);
    for (size_t i = 0; i < count; i++) {
        add_text(builder, parameter, readings[i].letters);
        if (initials) {
            add_text(builder, parameter, readings[i].initials);
        }
    }
}

static void index_human_name(struct row_builder *builder, const struct parameter_numbers *numbers,
                             const struct json *name)
{
    struct arena *arena = builder->arena;
    struct str family = JSON_TEXT(arena, name, "family");
    struct str text = JSON_TEXT(arena, name, "text");
    const struct json *given = JSON_GET(name, "given");
    add_string(builder, numbers, text);
    add_string(builder, numbers, family);
    add_strings(builder, numbers, given);
    add_strings(builder, numbers, JSON_GET(name, "prefix"));
    add_strings(builder, numbers, JSON_GET(name, "suffix"));
    /* The whole, as it is written: 张 + 三, and for others "Jane Doe" when text does not say it. */
    struct str first = json_text(arena, json_at(given, 0));
    struct pinyin_reading readings[PINYIN_READINGS_MAX];
    bool han = pinyin_read(builder->pinyin, arena, family, readings) > 0;
    struct str whole = STR_NONE;
    if (family.len > 0 && first.len > 0) {
        whole = han ? arena_concat(arena, family, first)
                    : arena_printf(arena, "%.*s %.*s", STR_FMT(first), STR_FMT(family));
        add_string(builder, numbers, text.len == 0 ? whole : STR_NONE);
    }
    add_readings(builder, numbers->own, text, true);
    add_readings(builder, numbers->own, han ? whole : STR_NONE, true);
    add_readings(builder, numbers->own, first, false);
}

static void index_string(struct row_builder *builder, const struct parameter_numbers *numbers,
                         const struct fhirpath_item *item, struct str type)
{
    const struct json *value = item->kind == FHIRPATH_NODE ? item->node.value : NULL;
    if (value != NULL && str_equal(type, STR("HumanName"))) {
        index_human_name(builder, numbers, value);
    } else if (value != NULL && str_equal(type, STR("Address"))) {
        static const struct str parts[] = { { "text", 4 },       { "line", 4 },  { "city", 4 },
                                            { "district", 8 },   { "state", 5 }, { "country", 7 },
                                            { "postalCode", 10 } };
        for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
            add_strings(builder, numbers, json_member(value, parts[i]));
        }
    } else {
        struct str text = fhirpath_item_text(builder->arena, item);
        add_string(builder, numbers, text);
        /* family and given, alone */
        const struct fhirpath_item *parent = item->kind == FHIRPATH_NODE ? item->node.parent : NULL;
        if (parent != NULL && str_equal(fhirpath_item_type_name(parent), STR("HumanName"))) {
            add_readings(builder, numbers->own, text, false);
        }
    }
}

/* ---- date ---- */

static bool span_of(struct row_builder *builder, const struct json *value, struct date_span *span)
{
    struct error error = { 0 };
    struct str text = json_text(builder->arena, value);
    return text.len > 0 && date_parse(text, builder->options->offset_minutes, span, &error);
}

static void add_date(struct row_builder *builder, uint32_t parameter, int64_t from_ms, int64_t to_ms)
{
    rows_add(builder, (struct index_row){
                          .kind = INDEX_DATE, .parameter = parameter, .from_ms = from_ms, .to_ms = to_ms });
}

static void index_period(struct row_builder *builder, uint32_t parameter, const struct json *period)
{
    struct date_span start = { .from_ms = INDEX_DATE_FIRST };
    struct date_span end = { .to_ms = INDEX_DATE_LAST };
    bool has_start = span_of(builder, JSON_GET(period, "start"), &start);
    bool has_end = span_of(builder, JSON_GET(period, "end"), &end);
    if ((has_start || has_end) && start.from_ms < end.to_ms) {
        add_date(builder, parameter, start.from_ms, end.to_ms);
    }
}

/* R4 3.1.1.4.5: of a Timing only the outer limits matter. */
static void index_timing(struct row_builder *builder, uint32_t parameter, const struct json *timing)
{
    int64_t from_ms = INDEX_DATE_LAST;
    int64_t to_ms = INDEX_DATE_FIRST;
    size_t count = 0;
    JSON_EACH(event, JSON_GET(timing, "event")) {
        struct date_span span;
        if (count++ < TIMING_EVENTS_MAX && span_of(builder, event, &span)) {
            from_ms = span.from_ms < from_ms ? span.from_ms : from_ms;
            to_ms = span.to_ms > to_ms ? span.to_ms : to_ms;
        }
    }
    if (from_ms < to_ms) {
        add_date(builder, parameter, from_ms, to_ms);
    }
    index_period(builder, parameter, JSON_GET(JSON_GET(timing, "repeat"), "boundsPeriod"));
}

static void index_date(struct row_builder *builder, const struct parameter_numbers *numbers,
                       const struct fhirpath_item *item, struct str type)
{
    const struct json *value = item->kind == FHIRPATH_NODE ? item->node.value : NULL;
    struct date_span span;
    if (str_equal(type, STR("Period"))) {
        index_period(builder, numbers->own, value);
    } else if (str_equal(type, STR("Timing"))) {
        index_timing(builder, numbers->own, value);
    } else if (value != NULL && value->kind == JSON_STRING && span_of(builder, value, &span)) {
        add_date(builder, numbers->own, span.from_ms, span.to_ms);
    }
}

/* ---- number, quantity ---- */

static void add_number(struct row_builder *builder, uint32_t parameter, uint64_t unit, double low,
                       double high)
{
    rows_add(builder,
             (struct index_row){
                 .kind = INDEX_NUMBER, .parameter = parameter, .key = unit, .low = low, .high = high });
}

/* A quantity or a Range: as written, and in base units when the unit is of UCUM. */
struct quantity_span {
    double low;
    double high;
    double canonical_low;
    double canonical_high;
    uint64_t dimension; /* 0: no canonical form */
};

static bool quantity_read(struct row_builder *builder, const struct json *quantity,
                          struct quantity_span *span)
{
    const struct json *value = JSON_GET(quantity, "value");
    double number = 0;
    struct index_scale scale;
    if (value == NULL || value->kind != JSON_NUMBER || !parse_double(value->raw, &number)) {
        return false;
    }
    *span = (struct quantity_span){ .low = number, .high = number };
    if (unit_cache_scale(builder->units, builder->arena, JSON_TEXT(builder->arena, quantity, "system"),
                         JSON_TEXT(builder->arena, quantity, "code"), &scale)) {
        span->dimension = scale.key;
        span->canonical_low = span->canonical_high = index_to_base(&scale, number);
    }
    const struct json *comparator = JSON_GET(quantity, "comparator");
    if (json_equals_text(comparator, STR("<")) || json_equals_text(comparator, STR("<="))) {
        span->low = span->canonical_low = -HUGE_VAL;
    } else if (json_equals_text(comparator, STR(">")) || json_equals_text(comparator, STR(">="))) {
        span->high = span->canonical_high = HUGE_VAL;
    }
    return true;
}

/* For whatever unit, for system|code, and for code or unit alone. */
static void add_quantity(struct row_builder *builder, uint32_t parameter, const struct json *quantity,
                         const struct quantity_span *span)
{
    struct str system = JSON_TEXT(builder->arena, quantity, "system");
    struct str code = JSON_TEXT(builder->arena, quantity, "code");
    struct str unit = JSON_TEXT(builder->arena, quantity, "unit");
    struct str currency = JSON_TEXT(builder->arena, quantity, "currency"); /* Money */
    code = code.len > 0 ? code : currency;
    system = currency.len > 0 ? STR("urn:iso:std:iso:4217") : system;
    add_number(builder, parameter, 0, span->low, span->high);
    if (span->dimension != 0) {
        add_number(builder, parameter, span->dimension, span->canonical_low, span->canonical_high);
    } else if (code.len > 0 && system.len > 0) {
        add_number(builder, parameter, index_token_key(system, code), span->low, span->high);
    }
    if (code.len > 0) {
        add_number(builder, parameter, index_token_key(STR_NONE, code), span->low, span->high);
    }
    if (unit.len > 0) {
        add_number(builder, parameter, index_token_key(STR_NONE, unit), span->low, span->high);
    }
}

static void index_range(struct row_builder *builder, uint32_t parameter, const struct json *range)
{
    struct quantity_span low = { 0 };
    struct quantity_span high = { 0 };
    const struct json *from = JSON_GET(range, "low");
    const struct json *to = JSON_GET(range, "high");
    bool has_low = quantity_read(builder, from, &low);
    bool has_high = quantity_read(builder, to, &high);
    if (!has_low && !has_high) {
        return;
    }
    const struct quantity_span span = {
        .low = has_low ? low.low : -HUGE_VAL,
        .high = has_high ? high.high : HUGE_VAL,
        .canonical_low = has_low ? low.canonical_low : -HUGE_VAL,
        .canonical_high = has_high ? high.canonical_high : HUGE_VAL,
        .dimension = has_low ? low.dimension : high.dimension,
    };
    add_quantity(builder, parameter, has_low ? from : to, &span);
}

static void index_number(struct row_builder *builder, const struct parameter_numbers *numbers,
                         const struct fhirpath_item *item, struct str type)
{
    const struct json *value = item->kind == FHIRPATH_NODE ? item->node.value : NULL;
    struct quantity_span span = { 0 };
    double number = 0;
    if (value == NULL) {
        return;
    }
    if (value->kind == JSON_NUMBER) {
        if (parse_double(value->raw, &number)) {
            add_number(builder, numbers->own, 0, number, number);
        }
    } else if (str_equal(type, STR("Range"))) {
        index_range(builder, numbers->own, value);
    } else if (quantity_read(builder, value, &span)) {
        add_quantity(builder, numbers->own, value, &span);
    }
}

/* ---- near ---- */

static void index_place(struct row_builder *builder, const struct parameter_numbers *numbers,
                        const struct fhirpath_item *item)
{
    const struct json *value = item->kind == FHIRPATH_NODE ? item->node.value : NULL;
    const struct json *latitude = JSON_GET(value, "latitude");
    const struct json *longitude = JSON_GET(value, "longitude");
    struct index_place place;
    double north = 0;
    double east = 0;
    if (latitude == NULL || longitude == NULL || latitude->kind != JSON_NUMBER ||
        longitude->kind != JSON_NUMBER || !parse_double(latitude->raw, &north) ||
        !parse_double(longitude->raw, &east) || !index_place_of(north, east, &place)) {
        return;
    }
    add_number(builder, numbers->own, 0, north, north); /* says that there is a place */
    for (size_t axis = 0; axis < 3; axis++) {
        add_number(builder, numbers->axes[axis], 0, place.at[axis], place.at[axis]);
    }
}

/* ---- all of them ---- */

void index_value(struct row_builder *builder, const struct parameter_numbers *numbers,
                 const struct fhirpath_item *item)
{
    struct str type = fhirpath_item_type_name(item);
    struct fhirpath_item computed;
    if (item->kind == FHIRPATH_STRING) { /* lies where the evaluation does, which ends before the row */
        computed = fhirpath_item_of_string(arena_dup(builder->arena, item->string));
        builder->failed = builder->failed || computed.string.at == NULL;
        item = &computed;
    }
    switch (numbers->kind) {
    case MODEL_SEARCH_TOKEN:
        index_token(builder, numbers, item, type);
        break;
    case MODEL_SEARCH_REFERENCE:
        index_reference(builder, numbers, item, type);
        break;
    case MODEL_SEARCH_URI:
        index_uri(builder, numbers, item);
        break;
    case MODEL_SEARCH_STRING:
        index_string(builder, numbers, item, type);
        break;
    case MODEL_SEARCH_DATE:
        index_date(builder, numbers, item, type);
        break;
    case MODEL_SEARCH_NUMBER:
    case MODEL_SEARCH_QUANTITY:
        index_number(builder, numbers, item, type);
        break;
    case MODEL_SEARCH_COMPOSITE: /* index.c */
        break;
    case MODEL_SEARCH_SPECIAL:
        index_place(builder, numbers, item);
        break;
    }
}

size_t index_component_keys(struct row_builder *builder, const struct fhirpath_item *item,
                            struct index_row *keys, size_t max)
{
    /* The keys are those that the component alone would have, so they are made as rows and taken off again. */
    struct row_builder own = { .arena = builder->arena, .options = builder->options };
    const struct parameter_numbers token = { .kind = MODEL_SEARCH_TOKEN, .own = 1 };
    index_token(&own, &token, item, fhirpath_item_type_name(item));
    size_t count = 0;
    for (size_t i = 0; i < own.count && count < max; i++) {
        const struct index_row *row = &own.rows[i];
        /* code and system|code; nobody asks for "system|" there, and it would be rows without end */
        bool second = i > 0 && own.rows[i - 1].text.at != NULL && !row->derived;
        if (i == 0 || row->text.at != NULL || second) {
            keys[count++] = *row;
        }
    }
    builder->failed = builder->failed || own.failed;
    return count;
}
