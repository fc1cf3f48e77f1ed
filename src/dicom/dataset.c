#include "dicom/dataset.h"

#include <zlib.h>

#include "base/buf.h"
#include "base/limits.h"

#define LENGTH_UNDEFINED 0xFFFFFFFFu

struct reader {
    struct arena *arena;
    const char *base;
    size_t at;
    size_t end;
    unsigned depth;
    uint32_t elements_count; /* and items and fragments: everything that takes memory */
    bool is_explicit;
    bool big_endian;
    bool stop_at_pixels;
    bool stopped;
    struct error *error;
};

struct header {
    uint32_t tag;
    uint16_t vr;
    uint32_t length;
};

static bool read_dataset(struct reader *reader, size_t end, bool is_delimited, struct dicom_dataset *dataset);

static uint32_t number_at(const char *at, unsigned bytes, bool big_endian)
{
    uint32_t value = 0;
    for (unsigned i = 0; i < bytes; i++) {
        value = value << 8 | (uint8_t)at[big_endian ? i : bytes - 1 - i];
    }
    return value;
}

static uint32_t tag_at(const char *at, bool big_endian)
{
    return number_at(at, 2, big_endian) << 16 | number_at(at + 2, 2, big_endian);
}

static bool fail_short(struct reader *reader)
{
    return FAIL(reader->error, ERROR_STRUCTURE,
                "the DICOM data set is cut short or has a wrong length near byte %zu", reader->at);
}

static bool count_one(struct reader *reader)
{
    reader->elements_count++;
    if (reader->elements_count > LIMIT_DICOM_ELEMENTS) {
        return FAIL(reader->error, ERROR_TOO_LARGE, "the DICOM data set has more than %d elements",
                    LIMIT_DICOM_ELEMENTS);
    }
    return true;
}

static bool fail_memory(struct reader *reader)
{
    return FAIL(reader->error, ERROR_TOO_LARGE, "no memory left to read the DICOM data set");
}

/* PS3.5 7.1: the header of an element. Items and delimiters (group FFFE) never have a VR (7.5). */
static bool read_header(struct reader *reader, size_t end, struct header *header)
{
    if (end - reader->at < 8) {
        return fail_short(reader);
    }
    const char *at = reader->base + reader->at;
    header->tag = tag_at(at, reader->big_endian);
    if (header->tag >> 16 == 0xFFFEu || !reader->is_explicit) {
        header->vr = header->tag >> 16 == 0xFFFEu ? 0 : dictionary_vr(header->tag);
        header->length = number_at(at + 4, 4, reader->big_endian);
        reader->at += 8;
        return true;
    }
    if (at[4] < 'A' || at[4] > 'Z' || at[5] < 'A' || at[5] > 'Z') {
        return FAIL(reader->error, ERROR_STRUCTURE,
                    "no value representation at byte %zu of the DICOM data set", reader->at + 4);
    }
    header->vr = DICOM_VR((uint8_t)at[4], (uint8_t)at[5]);
    if (!vr_has_long_length(header->vr)) {
        header->length = number_at(at + 6, 2, reader->big_endian);
        reader->at += 8;
        return true;
    }
    if (end - reader->at < 12) {
        return fail_short(reader);
    }
    header->length = number_at(at + 8, 4, reader->big_endian);
    reader->at += 12;
    return true;
}

static struct dicom_item *add_item(struct reader *reader, struct dicom_element *element,
                                   struct dicom_item **last, const struct dicom_dataset *parent)
{
    struct dicom_item *item = count_one(reader) ? ARENA_NEW(reader->arena, struct dicom_item) : NULL;
    if (item == NULL) {
        if (reader->elements_count <= LIMIT_DICOM_ELEMENTS) {
            (void)fail_memory(reader);
        }
        return NULL;
    }
    item->dataset.big_endian = reader->big_endian;
    item->dataset.is_signed = parent->is_signed;
    item->dataset.charset = parent->charset;
    item->dataset.charset_fallback = parent->charset_fallback;
    if (*last == NULL) {
        element->items = item;
    } else {
        (*last)->next = item;
    }
    *last = item;
    return item;
}

/* PS3.5 7.5: items of a sequence of known length (`end`) or up to its delimiter. */
static bool read_items(struct reader *reader, size_t end, bool is_delimited,
                       const struct dicom_dataset *parent, struct dicom_element *element)
{
    struct dicom_item *last = NULL;
    if (reader->depth >= LIMIT_DICOM_DEPTH) {
        return FAIL(reader->error, ERROR_TOO_LARGE, "DICOM sequences nest deeper than %d", LIMIT_DICOM_DEPTH);
    }
    reader->depth++;
    while (is_delimited || reader->at < end) {
        struct header header;
        if (!read_header(reader, end, &header)) {
            return false;
        }
        if (is_delimited && header.tag == TAG_SEQUENCE_END) {
            break;
        }
        if (header.tag != TAG_ITEM ||
            (header.length != LENGTH_UNDEFINED && header.length > end - reader->at)) {
            return fail_short(reader);
        }
        struct dicom_item *item = add_item(reader, element, &last, parent);
        if (item == NULL) {
            return false;
        }
        bool item_is_delimited = header.length == LENGTH_UNDEFINED;
        size_t from = reader->at;
        size_t item_end = item_is_delimited ? end : from + header.length;
        if (!read_dataset(reader, item_end, item_is_delimited, &item->dataset)) {
            return false;
        }
        size_t to = item_is_delimited ? reader->at - 8 : reader->at;
        item->bytes = (struct str){ reader->base + from, to - from };
    }
    reader->depth--;
    return true;
}

/* PS3.5 A.4: the offset table and the fragments of encapsulated pixel data. */
static bool read_fragments(struct reader *reader, size_t end, const struct dicom_dataset *parent,
                           struct dicom_element *element)
{
    struct dicom_item *last = NULL;
    element->is_encapsulated = true;
    for (;;) {
        struct header header;
        if (!read_header(reader, end, &header)) {
            return false;
        }
        if (header.tag == TAG_SEQUENCE_END) {
            return element->items != NULL || fail_short(reader);
        }
        if (header.tag != TAG_ITEM || header.length > end - reader->at) {
            return fail_short(reader);
        }
        struct dicom_item *item = add_item(reader, element, &last, parent);
        if (item == NULL) {
            return false;
        }
        item->bytes = (struct str){ reader->base + reader->at, header.length };
        reader->at += header.length;
    }
}

/* PS3.5 6.2.2 note 2: UN of undefined length holds a sequence in implicit little endian. */
static bool read_unknown_sequence(struct reader *reader, size_t end, const struct dicom_dataset *parent,
                                  struct dicom_element *element)
{
    bool was_explicit = reader->is_explicit;
    bool was_big_endian = reader->big_endian;
    reader->is_explicit = false;
    reader->big_endian = false;
    bool ok = read_items(reader, end, true, parent, element);
    reader->is_explicit = was_explicit;
    reader->big_endian = was_big_endian;
    return ok;
}

static uint16_t resolve_vr(const struct dicom_dataset *dataset, uint16_t vr)
{
    if (vr == DICOM_VR_XS) {
        return dataset->is_signed ? DICOM_VR('S', 'S') : DICOM_VR('U', 'S');
    }
    return vr == DICOM_VR_OX ? DICOM_VR_OW : vr;
}

static bool read_value(struct reader *reader, size_t end, const struct dicom_dataset *dataset,
                       const struct header *header, struct dicom_element *element)
{
    size_t from = reader->at;
    bool ok;
    if (header->length == LENGTH_UNDEFINED) {
        bool is_pixels = header->tag == TAG_PIXEL_DATA;
        if (is_pixels || element->vr == DICOM_VR_OB || element->vr == DICOM_VR_OW) {
            ok = reader->is_explicit ? read_fragments(reader, end, dataset, element) : fail_short(reader);
        } else if (element->vr == DICOM_VR_SQ) {
            ok = read_items(reader, end, true, dataset, element);
        } else if (element->vr == DICOM_VR_UN) {
            element->vr = DICOM_VR_SQ;
            ok = read_unknown_sequence(reader, end, dataset, element);
        } else {
            ok = fail_short(reader);
        }
        size_t to = ok ? reader->at - 8 : from;
        element->value = (struct str){ reader->base + from, to - from };
        return ok;
    }
    if (header->length > end - reader->at) {
        return fail_short(reader);
    }
    element->value = (struct str){ reader->base + from, header->length };
    if (element->vr == DICOM_VR_SQ) {
        return read_items(reader, from + header->length, false, dataset, element);
    }
    reader->at += header->length;
    return true;
}

/* What later elements of the same data set need to be understood. */
static void note_context(struct dicom_dataset *dataset, const struct dicom_element *element)
{
    if (element->tag == TAG_SPECIFIC_CHARACTER_SET) {
        dataset->charset = element->value;
    }
    if (element->tag == TAG_PIXEL_REPRESENTATION && element->value.len >= 2) {
        dataset->is_signed = number_at(element->value.at, 2, dataset->big_endian) == 1;
    }
}

static bool read_element(struct reader *reader, size_t end, struct dicom_dataset *dataset)
{
    struct header header;
    size_t from = reader->at;
    if (!read_header(reader, end, &header) || !count_one(reader)) {
        return false;
    }
    if (header.vr == 0) {
        reader->at = from;
        return fail_short(reader);
    }
    struct dicom_element *element = ARENA_NEW(reader->arena, struct dicom_element);
    if (element == NULL) {
        return fail_memory(reader);
    }
    element->tag = header.tag;
    element->vr = resolve_vr(dataset, header.vr);
    bool is_pixels = header.tag == TAG_PIXEL_DATA || header.tag == TAG_FLOAT_PIXEL_DATA ||
                     header.tag == TAG_DOUBLE_FLOAT_PIXEL_DATA;
    if (is_pixels && reader->stop_at_pixels && reader->depth == 0) {
        element->is_encapsulated = header.length == LENGTH_UNDEFINED;
        element->value = (struct str){ reader->base + reader->at, end - reader->at };
        reader->stopped = true;
    } else if (!read_value(reader, end, dataset, &header, element)) {
        return false;
    }
    note_context(dataset, element);
    if (dataset->last == NULL) {
        dataset->first = element;
    } else {
        dataset->last->next = element;
    }
    dataset->last = element;
    dataset->count++;
    return true;
}

static bool rest_is_padding(const struct reader *reader, size_t end)
{
    for (size_t i = reader->at; i < end; i++) {
        if (reader->base[i] != '\0') {
            return false;
        }
    }
    return reader->depth == 0 && end - reader->at < 8;
}

static bool read_dataset(struct reader *reader, size_t end, bool is_delimited, struct dicom_dataset *dataset)
{
    while ((is_delimited || reader->at < end) && !reader->stopped) {
        if (is_delimited && end - reader->at >= 8 &&
            tag_at(reader->base + reader->at, reader->big_endian) == TAG_ITEM_END) {
            reader->at += 8;
            return true;
        }
        if (!is_delimited && rest_is_padding(reader, end)) {
            reader->at = end;
            return true;
        }
        if (!read_element(reader, end, dataset)) {
            return false;
        }
    }
    return true;
}

/* PS3.5 A.5: a raw deflate stream. The size is found out, not believed. */
static bool inflate_dataset(struct arena *arena, struct str bytes, struct str *out, struct error *error)
{
    enum { STEP_BYTES = 1 << 20 };
    struct buf buf = { .bytes_max = LIMIT_DICOM_INFLATED_BYTES };
    z_stream stream = { .next_in = (Bytef *)(uintptr_t)bytes.at, .avail_in = (uInt)bytes.len };
    bool ok = false;
    int result = bytes.len > LIMIT_DICOM_INSTANCE_BYTES ? Z_DATA_ERROR : inflateInit2(&stream, -MAX_WBITS);
    if (result != Z_OK) {
        return FAIL(error, ERROR_TOO_LARGE, "the deflated DICOM data set cannot be read");
    }
    while (result == Z_OK) {
        char *room = buf_reserve(&buf, STEP_BYTES);
        if (room == NULL) {
            (void)FAIL(error, ERROR_TOO_LARGE, "the deflated DICOM data set is larger than %d bytes",
                       LIMIT_DICOM_INFLATED_BYTES);
            goto done;
        }
        stream.next_out = (Bytef *)room;
        stream.avail_out = STEP_BYTES;
        result = inflate(&stream, Z_NO_FLUSH);
        buf.len += STEP_BYTES - stream.avail_out;
    }
    if (result != Z_STREAM_END) {
        (void)FAIL(error, ERROR_STRUCTURE, "the deflated DICOM data set is damaged or cut short");
        goto done;
    }
    *out = arena_dup(arena, buf_str(&buf));
    ok = out->at != NULL || FAIL(error, ERROR_TOO_LARGE, "no memory left to inflate the DICOM data set");
done:
    (void)inflateEnd(&stream);
    buf_deinit(&buf);
    return ok;
}

bool dicom_read_dataset(struct arena *arena, struct str bytes, const struct dicom_syntax *syntax,
                        const struct dicom_read_options *options, struct dicom_dataset *dataset,
                        struct error *error)
{
    if (syntax->is_deflated && !inflate_dataset(arena, bytes, &bytes, error)) {
        return false;
    }
    struct reader reader = {
        .arena = arena,
        .base = bytes.at,
        .end = bytes.len,
        .is_explicit = syntax->is_explicit,
        .big_endian = syntax->is_big_endian,
        .stop_at_pixels = options != NULL && options->stop_at_pixels,
        .error = error,
    };
    struct dicom_dataset read = { .big_endian = syntax->is_big_endian };
    read.charset_fallback = options == NULL ? NULL : options->charset_fallback;
    if (!read_dataset(&reader, bytes.len, false, &read)) {
        return false;
    }
    if (read.count == 0) {
        return FAIL(error, ERROR_STRUCTURE, "the DICOM data set is empty");
    }
    *dataset = read;
    return true;
}

/* PS3.10 7.1: group 0002 is explicit little endian whatever follows. Its group length is often wrong, so
 * the group ends where another one begins. */
static bool read_meta(struct arena *arena, struct str bytes, size_t *at, struct dicom_dataset *meta,
                      struct error *error)
{
    struct reader reader = {
        .arena = arena, .base = bytes.at, .at = *at, .end = bytes.len, .is_explicit = true, .error = error
    };
    while (bytes.len - reader.at >= 8 && tag_at(bytes.at + reader.at, false) >> 16 == 0x0002u) {
        if (!read_element(&reader, bytes.len, meta)) {
            return false;
        }
    }
    *at = reader.at;
    return true;
}

/* Without meta information: explicit when two capital letters stand where a VR would. */
static const struct dicom_syntax *guess_syntax(struct str bytes)
{
    bool is_explicit = bytes.len >= 6 && bytes.at[4] >= 'A' && bytes.at[4] <= 'Z' && bytes.at[5] >= 'A' &&
                       bytes.at[5] <= 'Z';
    return dicom_syntax_find(is_explicit ? STR(DICOM_EXPLICIT_LE) : STR(DICOM_IMPLICIT_LE));
}

bool dicom_read_file(struct arena *arena, struct str bytes, const struct dicom_read_options *options,
                     struct dicom_file *file, struct error *error)
{
    struct dicom_file read = { .bytes = bytes };
    size_t at = 0;
    if (bytes.len >= 132 && memcmp(bytes.at + 128, "DICM", 4) == 0) {
        at = 132;
    }
    if (bytes.len - at < 8) {
        return FAIL(error, ERROR_STRUCTURE, "too short for a DICOM file");
    }
    if (!read_meta(arena, bytes, &at, &read.meta, error)) {
        return false;
    }
    struct str rest = str_skip(bytes, at);
    const struct dicom_element *uid = dicom_find(&read.meta, TAG_TRANSFER_SYNTAX_UID);
    read.syntax = uid == NULL ? guess_syntax(rest) : dicom_syntax_find(uid->value);
    if (read.syntax == NULL) {
        return FAIL(error, ERROR_UNSUPPORTED, "the DICOM file has a transfer syntax that is not known here");
    }
    uint32_t group = rest.len < 8 ? 0 : tag_at(rest.at, read.syntax->is_big_endian) >> 16;
    bool is_dicom = at > 0 || (group >= 0x0004u && group <= 0x0020u && (group & 1u) == 0);
    if (!is_dicom) {
        return FAIL(error, ERROR_STRUCTURE, "this is not a DICOM file");
    }
    read.dataset_offset = at;
    if (!dicom_read_dataset(arena, rest, read.syntax, options, &read.dataset, error)) {
        return false;
    }
    *file = read;
    return true;
}

const struct dicom_element *dicom_find(const struct dicom_dataset *dataset, uint32_t tag)
{
    const struct dicom_element *element = dataset == NULL ? NULL : dataset->first;
    while (element != NULL && element->tag != tag) {
        element = element->next;
    }
    return element;
}

const struct dicom_dataset *dicom_find_item(const struct dicom_dataset *dataset, uint32_t tag)
{
    const struct dicom_element *element = dicom_find(dataset, tag);
    if (element == NULL || element->vr != DICOM_VR_SQ || element->items == NULL) {
        return NULL;
    }
    return &element->items->dataset;
}
