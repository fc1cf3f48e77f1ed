#include "dicom/dicom_json.h"

#include <math.h>
#include <stdio.h>

#include "base/limits.h"
#include "json/json.h"

struct writer {
    struct buf *buf;
    struct arena *arena;
    const struct dicom_json_options *options;
    unsigned depth;
};

static void write_dataset(struct writer *writer, const struct dicom_dataset *dataset);

static void write_base64(struct buf *buf, struct str bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < bytes.len; i += 3) {
        size_t left = bytes.len - i;
        uint32_t three = (uint32_t)(uint8_t)bytes.at[i] << 16;
        three |= left > 1 ? (uint32_t)(uint8_t)bytes.at[i + 1] << 8 : 0;
        three |= left > 2 ? (uint32_t)(uint8_t)bytes.at[i + 2] : 0;
        char four[4] = { digits[three >> 18], digits[three >> 12 & 63],
                         left > 1 ? digits[three >> 6 & 63] : '=', left > 2 ? digits[three & 63] : '=' };
        buf_add(buf, (struct str){ four, sizeof four });
    }
}

/* PS3.18 F.2.2: up to three '='-separated component groups. */
static void write_person_name(struct buf *buf, struct str name)
{
    static const char *const groups[] = { "Alphabetic", "Ideographic", "Phonetic" };
    struct str part;
    bool is_first = true;
    buf_add_char(buf, '{');
    for (size_t i = 0; i < 3 && str_split_next(&name, '=', &part); i++) {
        part = str_trim(part);
        if (part.len > 0) {
            buf_printf(buf, "%s\"%s\":", is_first ? "" : ",", groups[i]);
            json_write_text(buf, part);
            is_first = false;
        }
    }
    buf_add_char(buf, '}');
}

static void write_text_value(struct buf *buf, uint16_t vr, struct str text)
{
    char digits[DICOM_DECIMAL_BYTES];
    bool is_number = vr == DICOM_VR('D', 'S') || vr == DICOM_VR('I', 'S');
    size_t len = is_number ? dicom_decimal(text, digits) : 0;
    if (text.len == 0) {
        buf_add(buf, STR("null"));
    } else if (len > 0) {
        buf_add(buf, (struct str){ digits, len });
    } else if (vr == DICOM_VR('P', 'N')) {
        write_person_name(buf, text);
    } else {
        json_write_text(buf, text);
    }
}

static void write_text_values(struct buf *buf, uint16_t vr, struct str text)
{
    bool is_single = vr == DICOM_VR('L', 'T') || vr == DICOM_VR('S', 'T') || vr == DICOM_VR('U', 'T') ||
                     vr == DICOM_VR('U', 'R');
    struct str part;
    bool is_first = true;
    if (text.len == 0) {
        return;
    }
    buf_add(buf, STR(",\"Value\":["));
    while (is_single ? is_first : str_split_next(&text, '\\', &part)) {
        buf_add(buf, is_first ? STR("") : STR(","));
        write_text_value(buf, vr, is_single ? text : str_trim(part));
        is_first = false;
    }
    buf_add_char(buf, ']');
}

static void write_head(struct buf *buf, uint32_t tag, uint16_t vr)
{
    buf_printf(buf, "\"%08X\":{\"vr\":\"%c%c\"", tag, vr >> 8, vr & 0xFF);
}

void dicom_json_write_attribute(struct buf *buf, uint32_t tag, uint16_t vr, struct str text)
{
    write_head(buf, tag, vr);
    write_text_values(buf, vr, text);
    buf_add_char(buf, '}');
}

static void write_float(struct buf *buf, uint16_t vr, double number)
{
    if (!isfinite(number)) {
        buf_add(buf, isnan(number) ? STR("\"NaN\"") : number > 0 ? STR("\"inf\"") : STR("\"-inf\""));
        return;
    }
    buf_printf(buf, "%.*g", vr == DICOM_VR('F', 'L') ? 9 : 17, number);
}

static void write_number(struct buf *buf, uint16_t vr, const char *at, bool big_endian)
{
    double number = dicom_binary_number(vr, at, big_endian);
    switch (vr) {
    case DICOM_VR('A', 'T'): {
        uint32_t group = (uint32_t)dicom_binary_number(DICOM_VR('U', 'S'), at, big_endian);
        uint32_t element = (uint32_t)dicom_binary_number(DICOM_VR('U', 'S'), at + 2, big_endian);
        buf_printf(buf, "\"%04X%04X\"", group, element);
        break;
    }
    case DICOM_VR('F', 'L'):
    case DICOM_VR('F', 'D'):
        write_float(buf, vr, number);
        break;
    default:
        buf_printf(buf, "%.0f", number);
        break;
    }
}

static void write_numbers(struct buf *buf, const struct dicom_element *element, bool big_endian)
{
    unsigned bytes = vr_number_bytes(element->vr);
    size_t count = element->value.len / bytes;
    for (size_t i = 0; i < count; i++) {
        buf_add(buf, i == 0 ? STR(",\"Value\":[") : STR(","));
        write_number(buf, element->vr, element->value.at + i * bytes, big_endian);
    }
    buf_add(buf, count == 0 ? STR("") : STR("]"));
}

static void write_items(struct writer *writer, const struct dicom_element *element)
{
    bool is_first = true;
    if (element->items == NULL) {
        return;
    }
    buf_add(writer->buf, STR(",\"Value\":["));
    writer->depth++;
    for (const struct dicom_item *item = element->items; item != NULL; item = item->next) {
        buf_add(writer->buf, is_first ? STR("") : STR(","));
        write_dataset(writer, &item->dataset);
        is_first = false;
    }
    writer->depth--;
    buf_add_char(writer->buf, ']');
}

/* Inline values are little endian (PS3.18 F.2.7). */
static void write_inline(struct writer *writer, const struct dicom_element *element, bool big_endian)
{
    unsigned bytes = vr_number_bytes(element->vr);
    struct str value = element->value;
    if (big_endian && bytes > 1) {
        char *swapped = arena_alloc(writer->arena, value.len + 1);
        if (swapped == NULL) {
            writer->buf->failed = true;
            return;
        }
        size_t whole = value.len - value.len % bytes;
        for (size_t i = 0; i < whole; i++) {
            swapped[i] = value.at[i - i % bytes + bytes - 1 - i % bytes];
        }
        value = (struct str){ swapped, whole };
    }
    buf_add(writer->buf, STR(",\"InlineBinary\":\""));
    write_base64(writer->buf, value);
    buf_add_char(writer->buf, '"');
}

static void write_bulk(struct writer *writer, const struct dicom_element *element, bool big_endian)
{
    bool is_pixels = element->tag == TAG_PIXEL_DATA || element->tag == TAG_FLOAT_PIXEL_DATA ||
                     element->tag == TAG_DOUBLE_FLOAT_PIXEL_DATA;
    if (!is_pixels && !element->is_encapsulated && element->value.len <= writer->options->inline_bytes_max) {
        if (element->value.len > 0) {
            write_inline(writer, element, big_endian);
        }
        return;
    }
    if (writer->depth == 0 && writer->options->bulk_uri.len > 0) {
        buf_add(writer->buf, STR(",\"BulkDataURI\":\""));
        buf_add(writer->buf, writer->options->bulk_uri);
        buf_printf(writer->buf, "%08X\"", element->tag);
    }
}

static void write_element(struct writer *writer, const struct dicom_dataset *dataset,
                          const struct dicom_element *element)
{
    struct buf *buf = writer->buf;
    write_head(buf, element->tag, element->vr);
    if (element->vr == DICOM_VR_SQ) {
        write_items(writer, element);
    } else if (element->tag == TAG_SPECIFIC_CHARACTER_SET) {
        /* PS3.18 F.2.1.1.1: the text is UTF-8 now, whatever it was. */
        write_text_values(buf, element->vr, STR("ISO_IR 192"));
    } else if (vr_is_text(element->vr)) {
        write_text_values(buf, element->vr, dicom_element_text(writer->arena, dataset, element));
    } else {
        switch (element->vr) {
        case DICOM_VR('U', 'S'):
        case DICOM_VR('S', 'S'):
        case DICOM_VR('U', 'L'):
        case DICOM_VR('S', 'L'):
        case DICOM_VR('F', 'L'):
        case DICOM_VR('F', 'D'):
        case DICOM_VR('A', 'T'):
        case DICOM_VR('S', 'V'):
        case DICOM_VR('U', 'V'):
            write_numbers(buf, element, dataset->big_endian);
            break;
        default:
            write_bulk(writer, element, dataset->big_endian);
            break;
        }
    }
    buf_add_char(buf, '}');
}

static void write_dataset(struct writer *writer, const struct dicom_dataset *dataset)
{
    bool is_first = true;
    buf_add_char(writer->buf, '{');
    for (const struct dicom_element *element = dataset->first; element != NULL; element = element->next) {
        if ((element->tag & 0xFFFFu) == 0 || element->tag >> 16 == 0x0002u) {
            continue;
        }
        buf_add(writer->buf, is_first ? STR("") : STR(","));
        write_element(writer, dataset, element);
        is_first = false;
    }
    buf_add_char(writer->buf, '}');
}

void dicom_json_write(struct buf *buf, struct arena *arena, const struct dicom_dataset *dataset,
                      const struct dicom_json_options *options)
{
    struct writer writer = { .buf = buf, .arena = arena, .options = options };
    write_dataset(&writer, dataset);
}
