/* Items: from a node to its System value, to text and to JSON. */
#include <stdio.h>

#include "base/limits.h"
#include "fhirpath/datetime.h"
#include "fhirpath/engine.h"
#include "fhirpath/types.h"
#include "fhirpath/units.h"

struct fhirpath_item fhirpath_item_of_node(const struct json *value, struct str type_name)
{
    return (struct fhirpath_item){ .kind = FHIRPATH_NODE,
                                   .type = type_find(type_name),
                                   .node = { .value = value } };
}

struct fhirpath_item fhirpath_item_of_resource(const struct json *resource)
{
    const struct json *name = JSON_GET(resource, "resourceType");
    bool known = name != NULL && name->kind == JSON_STRING && !name->escaped;
    return fhirpath_item_of_node(resource, known ? name->raw : STR_NONE);
}

struct fhirpath_item fhirpath_item_of_string(struct str text)
{
    return (struct fhirpath_item){ .kind = FHIRPATH_STRING, .string = text };
}

struct fhirpath_item fhirpath_item_of_boolean(bool value)
{
    return (struct fhirpath_item){ .kind = FHIRPATH_BOOLEAN, .boolean = value };
}

struct fhirpath_item fhirpath_item_of_integer(int64_t value)
{
    return (struct fhirpath_item){ .kind = FHIRPATH_INTEGER, .integer = value };
}

bool fhirpath_to_boolean(const struct fhirpath_collection *collection, bool *value, struct error *error)
{
    if (collection->count > 1) {
        return FAIL(error, ERROR_RULE, "FHIRPath: a condition gave more than one item");
    }
    *value = false;
    if (collection->count == 1) {
        const struct fhirpath_item *item = &collection->items[0];
        *value = item->kind == FHIRPATH_BOOLEAN ? item->boolean
                 : item->kind == FHIRPATH_NODE
                     ? item->node.value == NULL || item->node.value->kind != JSON_FALSE
                     : true;
    }
    return true;
}

struct str fhirpath_item_type_name(const struct fhirpath_item *item)
{
    switch ((enum fhirpath_kind)item->kind) {
    case FHIRPATH_NODE:
        return item->type == NULL ? STR_NONE : type_name(item->type);
    case FHIRPATH_BOOLEAN:
        return STR("boolean");
    case FHIRPATH_INTEGER:
        return STR("integer");
    case FHIRPATH_DECIMAL:
        return STR("decimal");
    case FHIRPATH_STRING:
        return STR("string");
    case FHIRPATH_DATE:
        return STR("date");
    case FHIRPATH_DATETIME:
        return STR("dateTime");
    case FHIRPATH_TIME:
        return STR("time");
    case FHIRPATH_QUANTITY:
        return STR("Quantity");
    case FHIRPATH_TYPE:
        return STR("SimpleTypeInfo");
    }
    return STR_NONE;
}

/* R4 fhirpath.html 2.9.1.2.1: only UCUM units have a meaning here, and those of time become calendar
 * words. A quantity without any unit is a number of '1'. One with a comparator is no value. */
static bool quantity_of_node(struct arena *arena, const struct json *value,
                             struct fhirpath_quantity *quantity)
{
    const struct json *number = JSON_GET(value, "value");
    if (number == NULL || number->kind != JSON_NUMBER || JSON_GET(value, "comparator") != NULL ||
        !decimal_parse(number->raw, &quantity->value)) {
        return false;
    }
    const struct json *system = JSON_GET(value, "system");
    struct str code = JSON_TEXT(arena, value, "code");
    struct str unit = JSON_TEXT(arena, value, "unit");
    if (json_equals_text(system, STR("http://unitsofmeasure.org")) && code.at != NULL) {
        quantity->calendar = units_calendar_of_ucum(code, &quantity->unit);
        if (!quantity->calendar) {
            quantity->unit = code;
        }
        return true;
    }
    if (system != NULL || code.at != NULL) {
        return false;
    }
    quantity->unit = unit.at == NULL ? STR("1") : unit;
    quantity->calendar = unit.at != NULL && units_calendar_word(unit, &quantity->unit);
    return true;
}

static bool system_quantity(struct arena *arena, const struct json *value, struct fhirpath_item *out)
{
    struct fhirpath_quantity read = { 0 };
    if (value->kind != JSON_OBJECT || !quantity_of_node(arena, value, &read)) {
        return false;
    }
    struct fhirpath_quantity *quantity = ARENA_NEW(arena, struct fhirpath_quantity);
    if (quantity == NULL) {
        return false;
    }
    *quantity = read;
    *out = (struct fhirpath_item){ .kind = FHIRPATH_QUANTITY, .quantity = quantity };
    return true;
}

static bool system_number(const struct json *value, struct fhirpath_item *out)
{
    struct decimal number = { 0 };
    int64_t integer = 0;
    if (!decimal_parse(value->raw, &number)) {
        return false;
    }
    if (number.scale == 0 && (out->kind == FHIRPATH_INTEGER || out->type == NULL) &&
        decimal_to_integer(number, &integer) && integer <= INT32_MAX && integer >= INT32_MIN) {
        *out = (struct fhirpath_item){ .kind = FHIRPATH_INTEGER, .integer = integer };
    } else {
        *out = (struct fhirpath_item){ .kind = FHIRPATH_DECIMAL, .decimal = number };
    }
    return true;
}

static bool system_string(struct arena *arena, const struct json *value, enum fhirpath_kind kind,
                          struct fhirpath_item *out)
{
    struct str text = json_text(arena, value);
    struct fhirpath_time time = { 0 };
    if (text.at == NULL) {
        return false;
    }
    if (kind >= FHIRPATH_DATE && kind <= FHIRPATH_TIME && datetime_parse(text, kind, &time)) {
        *out = (struct fhirpath_item){ .kind = (uint8_t)kind, .time = time };
    } else {
        *out = fhirpath_item_of_string(text);
    }
    return true;
}

struct fhirpath_item fhirpath_item_to_system(struct arena *arena, const struct fhirpath_item *item)
{
    if (item->kind != FHIRPATH_NODE || item->node.value == NULL) {
        return *item;
    }
    const struct json *value = item->node.value;
    enum fhirpath_kind kind = item->type == NULL ? FHIRPATH_NODE : type_system_kind(item->type);
    struct fhirpath_item out = { .kind = (uint8_t)kind, .type = item->type };
    bool found = false;
    switch ((enum json_kind)value->kind) {
    case JSON_TRUE:
    case JSON_FALSE:
        return fhirpath_item_of_boolean(value->kind == JSON_TRUE);
    case JSON_NUMBER:
        found = system_number(value, &out);
        break;
    case JSON_STRING:
        found = system_string(arena, value, kind, &out);
        break;
    case JSON_OBJECT:
        found = kind == FHIRPATH_QUANTITY && system_quantity(arena, value, &out);
        break;
    case JSON_NULL:
    case JSON_ARRAY:
        break;
    }
    return found ? out : *item;
}

static struct str quantity_text(struct arena *arena, const struct fhirpath_quantity *quantity)
{
    char digits[DECIMAL_TEXT_BYTES];
    (void)decimal_format(quantity->value, digits);
    if (!quantity->calendar) {
        return arena_printf(arena, "%s '%.*s'", digits, STR_FMT(quantity->unit));
    }
    bool one = decimal_compare(quantity->value, decimal_from_integer(1)) == 0;
    return arena_printf(arena, "%s %.*s%s", digits, STR_FMT(quantity->unit), one ? "" : "s");
}

struct str fhirpath_item_text(struct arena *arena, const struct fhirpath_item *item)
{
    struct fhirpath_item value = fhirpath_item_to_system(arena, item);
    char text[64];
    static_assert(sizeof text >= (size_t)DECIMAL_TEXT_BYTES && sizeof text >= (size_t)DATETIME_TEXT_BYTES,
                  "either fits");
    size_t length = 0;
    if (item->kind == FHIRPATH_NODE && item->node.value != NULL && item->node.value->kind == JSON_NUMBER) {
        return item->node.value->raw;
    }
    if (item->kind == FHIRPATH_NODE && item->node.value != NULL && item->node.value->kind == JSON_STRING) {
        return json_text(arena, item->node.value);
    }
    switch ((enum fhirpath_kind)value.kind) {
    case FHIRPATH_BOOLEAN:
        return value.boolean ? STR("true") : STR("false");
    case FHIRPATH_INTEGER:
        return arena_printf(arena, "%lld", (long long)value.integer);
    case FHIRPATH_DECIMAL:
        length = decimal_format(value.decimal, text);
        return arena_dup(arena, (struct str){ text, length });
    case FHIRPATH_STRING:
        return value.string;
    case FHIRPATH_DATE:
    case FHIRPATH_DATETIME:
    case FHIRPATH_TIME:
        length = datetime_format(&value.time, (enum fhirpath_kind)value.kind, text);
        return arena_dup(arena, (struct str){ text, length });
    case FHIRPATH_QUANTITY:
        return quantity_text(arena, value.quantity);
    case FHIRPATH_TYPE:
        return arena_printf(arena, "%.*s.%.*s", STR_FMT(value.info.space), STR_FMT(value.info.name));
    case FHIRPATH_NODE:
        break;
    }
    return STR_NONE;
}

static const struct json *quantity_to_json(struct arena *arena, const struct fhirpath_quantity *quantity)
{
    char digits[DECIMAL_TEXT_BYTES];
    struct str number = { digits, decimal_format(quantity->value, digits) };
    struct json *object = json_new(arena, JSON_OBJECT);
    struct json *value = json_new_number(arena, arena_dup(arena, number));
    struct str code = quantity->unit;
    if (quantity->calendar) {
        code = units_ucum_of_calendar(quantity->unit);
    }
    if (json_add(object, STR("value"), value) == NULL ||
        json_add_text(arena, object, STR("unit"), quantity->unit) == NULL ||
        json_add_text(arena, object, STR("system"), STR("http://unitsofmeasure.org")) == NULL ||
        json_add_text(arena, object, STR("code"), code) == NULL) {
        return NULL;
    }
    return object;
}

const struct json *fhirpath_item_to_json(struct arena *arena, const struct fhirpath_item *item)
{
    if (item->kind == FHIRPATH_NODE) {
        return item->node.value;
    }
    if (item->kind == FHIRPATH_BOOLEAN) {
        return json_new_bool(arena, item->boolean);
    }
    if (item->kind == FHIRPATH_INTEGER) {
        return json_new_integer(arena, item->integer);
    }
    if (item->kind == FHIRPATH_QUANTITY) {
        return quantity_to_json(arena, item->quantity);
    }
    struct str text = fhirpath_item_text(arena, item);
    if (text.at == NULL) {
        return NULL;
    }
    return item->kind == FHIRPATH_DECIMAL ? json_new_number(arena, text) : json_new_string(arena, text);
}

struct str fhirpath_item_path(struct arena *arena, const struct fhirpath_item *item)
{
    if (item->kind != FHIRPATH_NODE) {
        return STR_NONE;
    }
    const struct fhirpath_item *chain[LIMIT_JSON_DEPTH + 2];
    size_t count = 0;
    for (; item != NULL && count < sizeof chain / sizeof chain[0]; item = item->node.parent) {
        chain[count++] = item;
    }
    struct str path = type_name(chain[count - 1]->type);
    for (size_t i = count - 1; i-- > 0;) {
        struct str name = chain[i]->node.member->name;
        bool only_extra = chain[i]->node.value == NULL && name.len > 0 && name.at[0] == '_';
        name = only_extra ? str_skip(name, 1) : name;
        path = chain[i]->is_list
                   ? arena_printf(arena, "%.*s%s%.*s[%u]", STR_FMT(path), path.len > 0 ? "." : "",
                                  STR_FMT(name), chain[i]->index)
                   : arena_printf(arena, "%.*s%s%.*s", STR_FMT(path), path.len > 0 ? "." : "", STR_FMT(name));
    }
    return path;
}
