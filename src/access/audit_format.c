#include "access/audit_format.h"

#include <assert.h>

#include "access/row_json.h"

static const char magic[8] = { 'S', 'H', 'A', 'U', 'D', 'I', 'T', '1' };
enum { TEXT_IS_UUID = 255, RECORD_VERSION = 1, RECORD_VERSION_APP = 2 /* one text more, at the end */ };

static_assert(AUDIT_RECORD_BYTES_MAX < UINT16_MAX, "a frame's length has two bytes");

static void add_number(struct buf *buf, uint64_t value, size_t bytes)
{
    char little[8] = { 0 };
    assert(bytes <= sizeof little);
    for (size_t i = 0; i < bytes; i++) {
        little[i] = (char)(unsigned char)(value >> (8 * i));
    }
    buf_add(buf, (struct str){ little, bytes });
}

static uint64_t number_at(const char *at, size_t bytes)
{
    uint64_t value = 0;
    for (size_t i = 0; i < bytes; i++) {
        value |= (uint64_t)(unsigned char)at[i] << (8 * i);
    }
    return value;
}

/* "01234567-89ab-…" in lower case as 16 bytes. */
static bool uuid_pack(struct str text, uint8_t bytes[16])
{
    char hex[32];
    size_t len = 0;
    if (text.len != 36) {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (dash != (text.at[i] == '-')) {
            return false;
        }
        if (!dash) {
            hex[len++] = text.at[i];
        }
    }
    return hex_bytes((struct str){ hex, sizeof hex }, bytes, 16);
}

static struct str uuid_unpack(struct arena *arena, const uint8_t *bytes)
{
    char hex[33];
    hash_hex(bytes, 16, hex);
    return arena_printf(arena, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16, hex + 20);
}

static void add_text(struct buf *buf, struct str text)
{
    uint8_t bytes[16];
    assert(text.len < TEXT_IS_UUID);
    if (uuid_pack(text, bytes)) {
        buf_add_char(buf, (char)(unsigned char)TEXT_IS_UUID);
        buf_add(buf, (struct str){ (const char *)bytes, sizeof bytes });
        return;
    }
    buf_add_char(buf, (char)(unsigned char)text.len);
    buf_add(buf, text);
}

static size_t patients_count(const struct audit_record *record)
{
    size_t count = 0;
    while (count < AUDIT_PATIENTS_MAX && record->patients[count].len > 0) {
        count++;
    }
    return count;
}

bool audit_record_encode(struct buf *buf, const struct audit_record *record, struct error *error)
{
    const struct str texts[] = { record->person, record->post,      record->organization, record->route,
                                 record->type,   record->operation, record->id,           record->app };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (texts[i].len > AUDIT_ROUTE_BYTES_MAX || !str_is_utf8(texts[i])) {
            return FAIL(error, ERROR_INPUT, "a field of an audit record is too long or no text");
        }
    }
    size_t texts_count = sizeof texts / sizeof texts[0] - 1; /* the app stands at the end, if there is one */
    add_number(buf, record->app.len > 0 ? RECORD_VERSION_APP : RECORD_VERSION, 1);
    add_number(buf, (uint64_t)record->time_ms, 8);
    add_number(buf, (uint64_t)record->interaction, 1);
    add_number(buf, (uint64_t)record->outcome, 1);
    add_number(buf, record->count, 4);
    add_number(buf, record->query_hash, 8);
    add_number(buf, record->version, 8);
    for (size_t i = 0; i < texts_count; i++) {
        add_text(buf, texts[i]);
    }
    size_t patients = patients_count(record);
    add_number(buf, patients, 1);
    for (size_t i = 0; i < patients; i++) {
        if (record->patients[i].len >= ACCESS_ID_BYTES || !str_is_utf8(record->patients[i])) {
            return FAIL(error, ERROR_INPUT, "a patient's id in an audit record is too long or no text");
        }
        add_text(buf, record->patients[i]);
    }
    if (record->app.len > 0) {
        add_text(buf, record->app);
    }
    return buf->failed ? FAIL(error, ERROR_TOO_LARGE, "an audit record is too large") : true;
}

struct decoder {
    struct arena *arena;
    struct str rest;
    bool failed;
};

static uint64_t take_number(struct decoder *decoder, size_t bytes)
{
    if (decoder->failed || decoder->rest.len < bytes) {
        decoder->failed = true;
        return 0;
    }
    uint64_t value = number_at(decoder->rest.at, bytes);
    decoder->rest = str_skip(decoder->rest, bytes);
    return value;
}

static struct str take_text(struct decoder *decoder)
{
    size_t len = (size_t)take_number(decoder, 1);
    bool is_uuid = len == TEXT_IS_UUID;
    len = is_uuid ? 16 : len;
    if (decoder->failed || decoder->rest.len < len || (!is_uuid && len > AUDIT_ROUTE_BYTES_MAX)) {
        decoder->failed = true;
        return STR_NONE;
    }
    struct str text = str_slice(decoder->rest, 0, len);
    decoder->rest = str_skip(decoder->rest, len);
    if (len == 0) {
        return STR_NONE;
    }
    text = is_uuid ? uuid_unpack(decoder->arena, (const uint8_t *)text.at) : arena_dup(decoder->arena, text);
    decoder->failed = decoder->failed || text.at == NULL || !str_is_utf8(text);
    return text;
}

bool audit_record_decode(struct arena *arena, struct str payload, struct audit_record *record)
{
    struct decoder decoder = { .arena = arena, .rest = payload };
    struct audit_record out = { 0 };
    uint64_t version = take_number(&decoder, 1);
    out.time_ms = (int64_t)take_number(&decoder, 8);
    uint64_t interaction = take_number(&decoder, 1);
    uint64_t outcome = take_number(&decoder, 1);
    out.count = (uint32_t)take_number(&decoder, 4);
    out.query_hash = take_number(&decoder, 8);
    out.version = take_number(&decoder, 8);
    struct str *texts[] = { &out.person,    &out.post, &out.organization, &out.route, &out.type,
                            &out.operation, &out.id };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        *texts[i] = take_text(&decoder);
    }
    uint64_t patients = take_number(&decoder, 1);
    for (size_t i = 0; i < patients && !decoder.failed; i++) {
        if (i >= AUDIT_PATIENTS_MAX) {
            return false;
        }
        out.patients[i] = take_text(&decoder);
        decoder.failed = decoder.failed || out.patients[i].len == 0;
    }
    if (version == RECORD_VERSION_APP) {
        out.app = take_text(&decoder);
    }
    bool outcome_known = outcome == AUDIT_SUCCESS || outcome == AUDIT_REFUSED || outcome == AUDIT_FAILED;
    if (decoder.failed || decoder.rest.len != 0 || version < RECORD_VERSION || version > RECORD_VERSION_APP ||
        !outcome_known || interaction >= ACCESS_INTERACTIONS_COUNT) {
        return false;
    }
    out.interaction = (enum access_interaction)interaction;
    out.outcome = (enum audit_outcome)outcome;
    *record = out;
    return true;
}

/* ---- frames ---- */

void audit_frame_add(struct buf *buf, char kind, struct str payload)
{
    assert(payload.len <= AUDIT_RECORD_BYTES_MAX);
    buf_add_char(buf, kind);
    add_number(buf, payload.len, 2);
    add_number(buf, hash64(payload, (unsigned char)kind) & UINT32_MAX, 4);
    buf_add(buf, payload);
}

void audit_header_add(struct buf *buf, uint64_t number, const uint8_t seal[SHA256_BYTES])
{
    buf_add(buf, (struct str){ magic, sizeof magic });
    add_number(buf, number, 8);
    buf_add(buf, (struct str){ (const char *)seal, SHA256_BYTES });
}

bool audit_header_read(struct str file, uint64_t *number, uint8_t seal[SHA256_BYTES])
{
    if (file.len < AUDIT_HEADER_BYTES || memcmp(file.at, magic, sizeof magic) != 0) {
        return false;
    }
    *number = number_at(file.at + 8, 8);
    memcpy(seal, file.at + 16, SHA256_BYTES);
    return true;
}

bool audit_frame_next(struct str file, size_t *offset, char *kind, struct str *payload)
{
    struct str rest = str_skip(file, *offset);
    if (rest.len < AUDIT_FRAME_BYTES) {
        return false;
    }
    size_t len = (size_t)number_at(rest.at + 1, 2);
    bool known = rest.at[0] == AUDIT_FRAME_RECORD || rest.at[0] == AUDIT_FRAME_SEAL;
    if (!known || len > AUDIT_RECORD_BYTES_MAX || rest.len - AUDIT_FRAME_BYTES < len) {
        return false;
    }
    struct str found = str_slice(rest, AUDIT_FRAME_BYTES, AUDIT_FRAME_BYTES + len);
    if (number_at(rest.at + 3, 4) != (hash64(found, (unsigned char)rest.at[0]) & UINT32_MAX)) {
        return false;
    }
    *kind = rest.at[0];
    *payload = found;
    *offset += AUDIT_FRAME_BYTES + len;
    return true;
}

void audit_seal_add(struct buf *buf, const struct audit_seal *seal)
{
    struct buf payload = { .bytes_max = AUDIT_SEAL_PAYLOAD_BYTES };
    buf_add(&payload, STR("SEAL"));
    add_number(&payload, seal->group, 8);
    add_number(&payload, seal->records, 4);
    buf_add(&payload, (struct str){ (const char *)seal->seal, SHA256_BYTES });
    if (payload.failed) {
        buf->failed = true;
    } else {
        audit_frame_add(buf, AUDIT_FRAME_SEAL, buf_str(&payload));
    }
    buf_deinit(&payload);
}

bool audit_seal_read(struct str payload, struct audit_seal *seal)
{
    if (payload.len != AUDIT_SEAL_PAYLOAD_BYTES || !str_starts_with(payload, STR("SEAL"))) {
        return false;
    }
    seal->group = number_at(payload.at + 4, 8);
    seal->records = (uint32_t)number_at(payload.at + 12, 4);
    memcpy(seal->seal, payload.at + 16, SHA256_BYTES);
    return true;
}

bool audit_seal_compute(const uint8_t before[SHA256_BYTES], struct str frames, struct audit_seal *seal,
                        struct error *error)
{
    struct buf buf = { .bytes_max = frames.len + 64 };
    bool ok = false;
    buf_add(&buf, (struct str){ (const char *)before, SHA256_BYTES });
    buf_add(&buf, frames);
    add_number(&buf, seal->group, 8);
    add_number(&buf, seal->records, 4);
    if (buf.failed) {
        (void)FAIL(error, ERROR_BUSY, "no memory to seal the audit log");
    } else {
        ok = hash_sha256(buf_str(&buf), seal->seal, error);
    }
    buf_deinit(&buf);
    return ok;
}
