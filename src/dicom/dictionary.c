#include "dicom/dictionary.h"

#include <assert.h>

static const struct dictionary_row rows[] = {
#include "dictionary_rows.inc"
};
enum { ROWS_COUNT = sizeof rows / sizeof rows[0] };

const struct dictionary_row *dictionary_find(uint32_t tag)
{
    if ((tag >> 16) >= 0x6000u && (tag >> 16) <= 0x601Eu && (tag & 0x10000u) == 0) {
        tag = 0x60000000u | (tag & 0xFFFFu);
    }
    size_t from = 0;
    size_t to = ROWS_COUNT;
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        if (rows[middle].tag == tag) {
            return &rows[middle];
        }
        if (rows[middle].tag < tag) {
            from = middle + 1;
        } else {
            to = middle;
        }
    }
    return NULL;
}

uint16_t dictionary_vr(uint32_t tag)
{
    uint32_t element = tag & 0xFFFFu;
    if (element == 0) {
        return DICOM_VR('U', 'L');
    }
    if ((tag & 0x10000u) != 0) {
        return element >= 0x10 && element <= 0xFF ? DICOM_VR('L', 'O') : DICOM_VR_UN;
    }
    const struct dictionary_row *row = dictionary_find(tag);
    return row == NULL ? DICOM_VR_UN : row->vr;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'A' && c <= 'F') {
        return c - 'A' + 10;
    }
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

uint32_t dictionary_tag(struct str keyword_or_digits)
{
    uint32_t tag = 0;
    size_t digits = 0;
    while (digits < keyword_or_digits.len && digits < 8 && hex_digit(keyword_or_digits.at[digits]) >= 0) {
        tag = tag << 4 | (uint32_t)hex_digit(keyword_or_digits.at[digits]);
        digits++;
    }
    if (digits == 8 && keyword_or_digits.len == 8) {
        return tag;
    }
    for (size_t i = 0; i < ROWS_COUNT; i++) {
        if (str_equal_cstr(keyword_or_digits, rows[i].keyword)) {
            return rows[i].tag;
        }
    }
    return 0;
}

bool vr_has_long_length(uint16_t vr)
{
    switch (vr) {
    case DICOM_VR('A', 'E'):
    case DICOM_VR('A', 'S'):
    case DICOM_VR('A', 'T'):
    case DICOM_VR('C', 'S'):
    case DICOM_VR('D', 'A'):
    case DICOM_VR('D', 'S'):
    case DICOM_VR('D', 'T'):
    case DICOM_VR('F', 'D'):
    case DICOM_VR('F', 'L'):
    case DICOM_VR('I', 'S'):
    case DICOM_VR('L', 'O'):
    case DICOM_VR('L', 'T'):
    case DICOM_VR('P', 'N'):
    case DICOM_VR('S', 'H'):
    case DICOM_VR('S', 'L'):
    case DICOM_VR('S', 'S'):
    case DICOM_VR('S', 'T'):
    case DICOM_VR('T', 'M'):
    case DICOM_VR('U', 'I'):
    case DICOM_VR('U', 'L'):
    case DICOM_VR('U', 'S'):
        return false;
    default:
        return true;
    }
}

bool vr_has_charset(uint16_t vr)
{
    switch (vr) {
    case DICOM_VR('L', 'O'):
    case DICOM_VR('L', 'T'):
    case DICOM_VR('P', 'N'):
    case DICOM_VR('S', 'H'):
    case DICOM_VR('S', 'T'):
    case DICOM_VR('U', 'C'):
    case DICOM_VR('U', 'T'):
        return true;
    default:
        return false;
    }
}

bool vr_is_text(uint16_t vr)
{
    switch (vr) {
    case DICOM_VR('A', 'E'):
    case DICOM_VR('A', 'S'):
    case DICOM_VR('C', 'S'):
    case DICOM_VR('D', 'A'):
    case DICOM_VR('D', 'S'):
    case DICOM_VR('D', 'T'):
    case DICOM_VR('I', 'S'):
    case DICOM_VR('T', 'M'):
    case DICOM_VR('U', 'I'):
    case DICOM_VR('U', 'R'):
        return true;
    default:
        return vr_has_charset(vr);
    }
}

unsigned vr_number_bytes(uint16_t vr)
{
    switch (vr) {
    case DICOM_VR('U', 'S'):
    case DICOM_VR('S', 'S'):
    case DICOM_VR('O', 'W'):
        return 2;
    case DICOM_VR('U', 'L'):
    case DICOM_VR('S', 'L'):
    case DICOM_VR('F', 'L'):
    case DICOM_VR('A', 'T'):
    case DICOM_VR('O', 'L'):
    case DICOM_VR('O', 'F'):
        return 4;
    case DICOM_VR('F', 'D'):
    case DICOM_VR('S', 'V'):
    case DICOM_VR('U', 'V'):
    case DICOM_VR('O', 'D'):
    case DICOM_VR('O', 'V'):
        return 8;
    case DICOM_VR('O', 'B'):
    case DICOM_VR('U', 'N'):
        return 1;
    default:
        return 0;
    }
}
