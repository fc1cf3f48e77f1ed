/* values.c — the values of elements as text and numbers (PS3.5 6.2). */
#include <string.h>

#include "base/parse.h"
#include "dicom/charset.h"
#include "dicom/dataset.h"

/* PS3.5 6.2: values are padded to even length with a blank, UI with NUL; some writers use NUL for all. */
static struct str trim_padding(struct str value)
{
    while (value.len > 0 && (value.at[value.len - 1] == ' ' || value.at[value.len - 1] == '\0')) {
        value.len--;
    }
    while (value.len > 0 && value.at[0] == ' ') {
        value = str_skip(value, 1);
    }
    return value;
}

struct str dicom_element_text(struct arena *arena, const struct dicom_dataset *dataset,
                              const struct dicom_element *element)
{
    struct str value = element == NULL || !vr_is_text(element->vr) ? STR_NONE : trim_padding(element->value);
    if (value.len == 0) {
        return STR_NONE;
    }
    struct str declared = vr_has_charset(element->vr) ? dataset->charset : STR_NONE;
    return charset_to_utf8(arena, value, declared, dataset->charset_fallback);
}

struct str dicom_text(struct arena *arena, const struct dicom_dataset *dataset, uint32_t tag)
{
    const struct dicom_element *element = dicom_find(dataset, tag);
    return element == NULL ? STR_NONE : dicom_element_text(arena, dataset, element);
}

struct str dicom_value_at(struct str text, size_t index)
{
    struct str part = STR_NONE;
    for (size_t i = 0; i <= index; i++) {
        if (!str_split_next(&text, '\\', &part)) {
            return STR_NONE;
        }
    }
    return trim_padding(part);
}

struct str dicom_uid(const struct dicom_dataset *dataset, uint32_t tag)
{
    const struct dicom_element *element = dicom_find(dataset, tag);
    struct str uid = element == NULL ? STR_NONE : dicom_uid_trim(element->value);
    return dicom_uid_is_valid(uid) ? uid : STR_NONE;
}

static uint64_t integer_at(const char *at, unsigned bytes, bool big_endian)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < bytes; i++) {
        value = value << 8 | (uint8_t)at[big_endian ? i : bytes - 1 - i];
    }
    return value;
}

double dicom_binary_number(uint16_t vr, const char *at, bool big_endian)
{
    unsigned bytes = vr_number_bytes(vr);
    uint64_t bits = bytes == 0 ? 0 : integer_at(at, bytes, big_endian);
    uint32_t bits32 = (uint32_t)bits;
    float single;
    double number;
    switch (vr) {
    case DICOM_VR('S', 'S'):
        return (double)(int16_t)(uint16_t)bits;
    case DICOM_VR('S', 'L'):
        return (double)(int32_t)bits32;
    case DICOM_VR('S', 'V'):
        return (double)(int64_t)bits;
    case DICOM_VR('F', 'L'):
    case DICOM_VR('O', 'F'):
        memcpy(&single, &bits32, sizeof single);
        return (double)single;
    case DICOM_VR('F', 'D'):
    case DICOM_VR('O', 'D'):
        memcpy(&number, &bits, sizeof number);
        return number;
    default:
        return (double)bits;
    }
}

/* Copies digits from text[*at], returns how many. */
static size_t copy_digits(struct str text, size_t *at, char *out)
{
    size_t count = 0;
    while (*at < text.len && text.at[*at] >= '0' && text.at[*at] <= '9') {
        out[count++] = text.at[(*at)++];
    }
    return count;
}

size_t dicom_decimal(struct str text, char out[DICOM_DECIMAL_BYTES])
{
    size_t at = 0;
    size_t len = 0;
    text = trim_padding(text);
    if (text.len == 0 || text.len > DICOM_DECIMAL_BYTES - 4) {
        return 0;
    }
    if (text.at[0] == '-' || text.at[0] == '+') {
        len = text.at[0] == '-' ? 1 : 0;
        out[0] = '-';
        at = 1;
    }
    while (at + 1 < text.len && text.at[at] == '0' && text.at[at + 1] >= '0' && text.at[at + 1] <= '9') {
        at++;
    }
    size_t whole = copy_digits(text, &at, out + len);
    if (whole == 0) {
        out[len] = '0';
    }
    len += whole == 0 ? 1 : whole;
    size_t fraction = 0;
    if (at < text.len && text.at[at] == '.') {
        at++;
        fraction = copy_digits(text, &at, out + len + 1);
        out[len] = '.';
        len += fraction == 0 ? 0 : fraction + 1;
    }
    if (whole + fraction == 0) {
        return 0;
    }
    if (at < text.len && (text.at[at] == 'e' || text.at[at] == 'E')) {
        out[len++] = text.at[at++];
        if (at < text.len && (text.at[at] == '-' || text.at[at] == '+')) {
            out[len++] = text.at[at++];
        }
        size_t exponent = copy_digits(text, &at, out + len);
        len = exponent == 0 ? 0 : len + exponent;
    }
    return at == text.len ? len : 0;
}

static bool parse_decimal(struct str text, double *number)
{
    char digits[DICOM_DECIMAL_BYTES];
    size_t len = dicom_decimal(text, digits);
    return len > 0 && parse_double((struct str){ digits, len }, number);
}

size_t dicom_numbers(const struct dicom_dataset *dataset, uint32_t tag, double *numbers, size_t max)
{
    const struct dicom_element *element = dicom_find(dataset, tag);
    size_t count = 0;
    if (element == NULL || element->value.len == 0) {
        return 0;
    }
    unsigned bytes = vr_number_bytes(element->vr);
    if (vr_is_text(element->vr)) {
        struct str rest = trim_padding(element->value);
        struct str part;
        while (count < max && str_split_next(&rest, '\\', &part) && parse_decimal(part, &numbers[count])) {
            count++;
        }
        return count;
    }
    while (bytes > 0 && count < max && (count + 1) * bytes <= element->value.len) {
        numbers[count] =
            dicom_binary_number(element->vr, element->value.at + count * bytes, dataset->big_endian);
        count++;
    }
    return count;
}

bool dicom_number(const struct dicom_dataset *dataset, uint32_t tag, double *number)
{
    return dicom_numbers(dataset, tag, number, 1) == 1;
}

bool dicom_us(const struct dicom_dataset *dataset, uint32_t tag, uint16_t *value)
{
    const struct dicom_element *element = dicom_find(dataset, tag);
    if (element == NULL || element->vr != DICOM_VR('U', 'S') || element->value.len != 2) {
        return false;
    }
    *value = (uint16_t)integer_at(element->value.at, 2, dataset->big_endian);
    return true;
}
