/* codec_jpeg_lossless.c — JPEG lossless, process 14 (ISO/IEC 10918-1 annex H; transfer syntaxes .57 and .70): Huffman
 * coded differences to one of seven predictors, 2 to 16 bits, one to three components without subsampling. No
 * library of Debian 12 reads it. Works on the frame's bytes and one row buffer; believes no length. */
#include "dicom/pixels.h"

#include "base/buf.h"

enum { COMPONENTS_MAX = 3, TABLES_MAX = 4, SYMBOLS_MAX = 17, CODE_BITS_MAX = 16 };
enum {
    MARKER_SOF3 = 0xC3,
    MARKER_DHT = 0xC4,
    MARKER_RST0 = 0xD0,
    MARKER_SOI = 0xD8,
    MARKER_EOI = 0xD9,
    MARKER_SOS = 0xDA,
    MARKER_DRI = 0xDD
};

struct huffman {
    bool is_there;
    int32_t first_code[CODE_BITS_MAX + 1]; /* of each length */
    uint32_t first_symbol[CODE_BITS_MAX + 1];
    uint32_t count[CODE_BITS_MAX + 1];
    uint8_t symbols[SYMBOLS_MAX];
};

struct decoder {
    const struct dicom_image *image;
    const uint8_t *in;
    size_t len;
    size_t at;
    uint32_t bits; /* the next bits of the scan, highest first */
    unsigned bits_count;
    struct huffman tables[TABLES_MAX];
    unsigned precision;
    unsigned components_count;
    uint8_t component_ids[COMPONENTS_MAX];
    unsigned restart_interval; /* in samples positions; 0: none */
    unsigned components_done;  /* a bit for each: none may be left as memory was before */
    int32_t *rows[2];          /* the row above and this one, colour by pixel */
    uint8_t *out;
};

struct scan {
    unsigned components_count;
    unsigned components[COMPONENTS_MAX]; /* index into the frame's */
    const struct huffman *tables[COMPONENTS_MAX];
    unsigned predictor;
    unsigned shift; /* point transform */
};

static bool take_byte(struct decoder *decoder, uint8_t *byte)
{
    if (decoder->at >= decoder->len) {
        return false;
    }
    *byte = decoder->in[decoder->at++];
    return true;
}

static bool take_segment(struct decoder *decoder, struct str *segment)
{
    if (decoder->len - decoder->at < 2) {
        return false;
    }
    size_t length = (size_t)decoder->in[decoder->at] << 8 | decoder->in[decoder->at + 1];
    if (length < 2 || length > decoder->len - decoder->at) {
        return false;
    }
    *segment = (struct str){ (const char *)decoder->in + decoder->at + 2, length - 2 };
    decoder->at += length;
    return true;
}

/* ---- headers ---- */

static bool take_tables(struct decoder *decoder, struct str segment)
{
    while (segment.len >= 17) {
        const uint8_t *at = (const uint8_t *)segment.at;
        struct huffman table = { .is_there = true };
        uint32_t total = 0;
        int32_t code = 0;
        if (at[0] >> 4 != 0 || at[0] >= TABLES_MAX) {
            return false; /* lossless has no AC tables */
        }
        for (unsigned bits = 1; bits <= CODE_BITS_MAX; bits++) {
            table.first_code[bits] = code;
            table.first_symbol[bits] = total;
            table.count[bits] = at[bits];
            total += at[bits];
            code += at[bits];
            if (code > 1 << bits) {
                return false; /* more codes than that length has */
            }
            code <<= 1;
        }
        if (total == 0 || total > SYMBOLS_MAX || segment.len < 17 + total) {
            return false;
        }
        memcpy(table.symbols, at + 17, total);
        decoder->tables[at[0]] = table;
        segment = str_skip(segment, 17 + total);
    }
    return segment.len == 0;
}

static bool take_frame_header(struct decoder *decoder, struct str segment)
{
    const uint8_t *at = (const uint8_t *)segment.at;
    const struct dicom_image *image = decoder->image;
    if (segment.len < 6 || decoder->components_count != 0) {
        return false;
    }
    uint32_t rows = (uint32_t)at[1] << 8 | at[2];
    uint32_t columns = (uint32_t)at[3] << 8 | at[4];
    decoder->precision = at[0];
    decoder->components_count = at[5];
    if (rows != image->rows || columns != image->columns || at[5] != image->samples_per_pixel || at[0] < 2 ||
        at[0] > image->bits_allocated || segment.len != 6u + 3u * at[5]) {
        return false;
    }
    for (unsigned i = 0; i < decoder->components_count; i++) {
        decoder->component_ids[i] = at[6 + 3 * i];
        if (at[7 + 3 * i] != 0x11) {
            return false; /* subsampled */
        }
    }
    return true;
}

static bool take_scan_header(struct decoder *decoder, struct str segment, struct scan *scan)
{
    const uint8_t *at = (const uint8_t *)segment.at;
    if (decoder->components_count == 0 || segment.len < 1 || at[0] == 0 ||
        at[0] > decoder->components_count || segment.len != 4u + 2u * at[0]) {
        return false;
    }
    scan->components_count = at[0];
    for (unsigned i = 0; i < scan->components_count; i++) {
        unsigned index = 0;
        while (index < decoder->components_count && decoder->component_ids[index] != at[1 + 2 * i]) {
            index++;
        }
        unsigned table = at[2 + 2 * i] >> 4;
        if (index == decoder->components_count || table >= TABLES_MAX || !decoder->tables[table].is_there) {
            return false;
        }
        if ((decoder->components_done & 1u << index) != 0) {
            return false;
        }
        decoder->components_done |= 1u << index;
        scan->components[i] = index;
        scan->tables[i] = &decoder->tables[table];
    }
    const uint8_t *rest = at + 1 + 2 * scan->components_count;
    scan->predictor = rest[0];
    scan->shift = rest[2] & 15u;
    return scan->predictor >= 1 && scan->predictor <= 7 && scan->shift < decoder->precision;
}

/* ---- samples ---- */

/* The next bit; a byte FF of data is followed by a stuffed 00 (10918-1 F.1.2.3). */
static bool take_bit(struct decoder *decoder, uint32_t *bit)
{
    if (decoder->bits_count == 0) {
        uint8_t byte;
        uint8_t stuffed = 0;
        if (!take_byte(decoder, &byte) || (byte == 0xFF && (!take_byte(decoder, &stuffed) || stuffed != 0))) {
            return false;
        }
        decoder->bits = byte;
        decoder->bits_count = 8;
    }
    decoder->bits_count--;
    *bit = decoder->bits >> decoder->bits_count & 1u;
    return true;
}

static bool take_symbol(struct decoder *decoder, const struct huffman *table, unsigned *symbol)
{
    int32_t code = 0;
    for (unsigned bits = 1; bits <= CODE_BITS_MAX; bits++) {
        uint32_t bit;
        if (!take_bit(decoder, &bit)) {
            return false;
        }
        code = code << 1 | (int32_t)bit;
        int32_t place = code - table->first_code[bits];
        if (place >= 0 && place < (int32_t)table->count[bits]) {
            *symbol = table->symbols[table->first_symbol[bits] + (uint32_t)place];
            return true;
        }
    }
    return false;
}

/* 10918-1 H.1.2.2: a category and that many bits; category 16 is 32768 without bits. */
static bool take_difference(struct decoder *decoder, const struct huffman *table, int32_t *difference)
{
    unsigned category;
    int32_t value = 0;
    if (!take_symbol(decoder, table, &category) || category > 16) {
        return false;
    }
    if (category == 16) {
        *difference = 32768;
        return true;
    }
    for (unsigned i = 0; i < category; i++) {
        uint32_t bit;
        if (!take_bit(decoder, &bit)) {
            return false;
        }
        value = value << 1 | (int32_t)bit;
    }
    bool is_negative = category > 0 && value < 1 << (category - 1);
    *difference = is_negative ? value - (1 << category) + 1 : value;
    return true;
}

/* 10918-1 table H.1: a left, b above, c above left. */
static int32_t predict(unsigned predictor, int32_t a, int32_t b, int32_t c)
{
    switch (predictor) {
    case 1:
        return a;
    case 2:
        return b;
    case 3:
        return c;
    case 4:
        return a + b - c;
    case 5:
        return a + ((b - c) >> 1);
    case 6:
        return b + ((a - c) >> 1);
    default:
        return (a + b) >> 1;
    }
}

static bool take_restart(struct decoder *decoder)
{
    uint8_t first;
    uint8_t second;
    decoder->bits_count = 0;
    return take_byte(decoder, &first) && take_byte(decoder, &second) && first == 0xFF &&
           second >= MARKER_RST0 && second < MARKER_RST0 + 8;
}

static void put_sample(const struct decoder *decoder, size_t index, uint32_t value)
{
    if (decoder->image->bits_allocated == 8) {
        decoder->out[index] = (uint8_t)value;
    } else {
        decoder->out[2 * index] = (uint8_t)value;
        decoder->out[2 * index + 1] = (uint8_t)(value >> 8);
    }
}

static bool take_row(struct decoder *decoder, const struct scan *scan, uint32_t row, bool is_first)
{
    size_t samples = decoder->components_count;
    const int32_t *above = decoder->rows[0];
    int32_t *here = decoder->rows[1];
    for (size_t column = 0; column < decoder->image->columns; column++) {
        for (unsigned i = 0; i < scan->components_count; i++) {
            size_t at = column * samples + scan->components[i];
            int32_t difference;
            int32_t guess;
            if (column == 0) {
                guess = is_first ? 1 << (decoder->precision - scan->shift - 1) : above[at];
            } else if (is_first) {
                guess = here[at - samples];
            } else {
                guess = predict(scan->predictor, here[at - samples], above[at], above[at - samples]);
            }
            if (!take_difference(decoder, scan->tables[i], &difference)) {
                return false;
            }
            here[at] = (guess + difference) & 0xFFFF;
            size_t place = (size_t)row * decoder->image->columns * samples + at;
            put_sample(decoder, place, (uint32_t)here[at] << scan->shift);
        }
    }
    return true;
}

static bool take_scan(struct decoder *decoder, const struct scan *scan)
{
    uint32_t columns = decoder->image->columns;
    /* 10918-1 H.1.1: a restart interval is a whole number of rows. */
    uint32_t rows_each = decoder->restart_interval / columns;
    if (decoder->restart_interval % columns != 0) {
        return false;
    }
    decoder->bits_count = 0;
    for (uint32_t row = 0; row < decoder->image->rows; row++) {
        bool is_restart = rows_each > 0 && row > 0 && row % rows_each == 0;
        if ((is_restart && !take_restart(decoder)) || !take_row(decoder, scan, row, row == 0 || is_restart)) {
            return false;
        }
        int32_t *swapped = decoder->rows[0];
        decoder->rows[0] = decoder->rows[1];
        decoder->rows[1] = swapped;
    }
    return true;
}

/* ---- markers ---- */

static bool take_marker(struct decoder *decoder, uint8_t *marker)
{
    uint8_t byte = 0;
    if (!take_byte(decoder, &byte) || byte != 0xFF) {
        return false;
    }
    do {
        if (!take_byte(decoder, marker)) {
            return false;
        }
    } while (*marker == 0xFF);
    return true;
}

static bool decode(struct decoder *decoder)
{
    uint8_t marker;
    struct str segment;
    if (!take_marker(decoder, &marker) || marker != MARKER_SOI) {
        return false;
    }
    while (decoder->components_count == 0 ||
           decoder->components_done != (1u << decoder->components_count) - 1) {
        struct scan scan = { 0 };
        bool ok = take_marker(decoder, &marker) && marker != MARKER_EOI && take_segment(decoder, &segment);
        if (!ok) {
            return false;
        }
        if (marker == MARKER_DHT) {
            ok = take_tables(decoder, segment);
        } else if (marker == MARKER_SOF3) {
            ok = take_frame_header(decoder, segment);
        } else if (marker == MARKER_DRI) {
            ok = segment.len == 2;
            decoder->restart_interval =
                ok ? (unsigned)(uint8_t)segment.at[0] << 8 | (uint8_t)segment.at[1] : 0;
        } else if (marker == MARKER_SOS) {
            ok = take_scan_header(decoder, segment, &scan) && take_scan(decoder, &scan);
        } else {
            /* Other frames are other processes; APPn, COM and the like are passed over. */
            ok = marker < 0xC0 || marker > 0xCF;
        }
        if (!ok) {
            return false;
        }
    }
    return true;
}

bool codec_jpeg_lossless_decode(const struct dicom_image *image, struct str frame, uint8_t *out,
                                size_t out_bytes, struct error *error)
{
    size_t row_samples = (size_t)image->columns * image->samples_per_pixel;
    struct buf buf = { .bytes_max = row_samples * 2 * sizeof(int32_t) };
    struct decoder decoder = {
        .image = image, .in = (const uint8_t *)frame.at, .len = frame.len, .out = out
    };
    assert(out_bytes == dicom_image_frame_bytes(image));
    int32_t *rows = (int32_t *)(void *)buf_reserve(&buf, row_samples * 2 * sizeof(int32_t));
    if (rows == NULL) {
        return FAIL(error, ERROR_TOO_LARGE, "no memory left to decode a frame");
    }
    decoder.rows[0] = rows;
    decoder.rows[1] = rows + row_samples;
    bool ok = decode(&decoder);
    buf_deinit(&buf);
    return ok || FAIL(error, ERROR_STRUCTURE, "the lossless JPEG frame is damaged or does not fit the image");
}
