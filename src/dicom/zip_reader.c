#include "dicom/zip_reader.h"

#include <string.h>
#include <zlib.h>

#include "base/buf.h"
#include "base/limits.h"
#include "base/memory.h"

enum {
    LOCAL_HEADER_BYTES = 30,
    HEADER_BYTES_MAX = LOCAL_HEADER_BYTES + 65535 + 65535,
    INFLATED_STEP_BYTES = 64 * 1024,
    FLAG_ENCRYPTED = 1,
    FLAG_DESCRIPTOR = 8, /* sizes and checksum follow the file (4.3.9) */
    METHOD_STORED = 0,
    METHOD_DEFLATED = 8
};

static const uint32_t SIGNATURE_LOCAL = 0x04034b50u;
static const uint32_t SIGNATURE_DESCRIPTOR = 0x08074b50u;
static const uint32_t SIGNATURE_DIRECTORY = 0x02014b50u;
static const uint32_t SIGNATURE_END = 0x06054b50u;
static const uint32_t SIGNATURE_EXTRA_DATA = 0x08064b50u; /* 4.3.11, before the directory */
static const uint32_t SIGNATURE_END_64 = 0x06064b50u;

enum zip_state { STATE_HEADER, STATE_DATA, STATE_DESCRIPTOR, STATE_DIRECTORY };

struct zip_reader {
    struct zip_handler handler;
    enum zip_state state;
    struct buf header; /* what has come of a header or descriptor */
    z_stream inflater;
    bool has_inflater;
    uint32_t files_count;
    uint64_t total_bytes; /* inflated, of all files */
    struct {
        bool is_told;
        enum zip_problem problem;
        bool is_deflated;
        bool has_descriptor;
        bool is_64;        /* its descriptor has sizes of 64 bits */
        bool is_ended;     /* its deflate stream came to its end */
        uint32_t checksum; /* as said; with a descriptor, known later */
        uint32_t checksum_found;
        uint64_t packed_left; /* UINT64_MAX: not said */
        uint64_t packed_bytes;
        uint64_t bytes;
        uint64_t bytes_said;
    } file;
    char room[INFLATED_STEP_BYTES];
};

static uint16_t u16_at(const char *at)
{
    const unsigned char *bytes = (const unsigned char *)at;
    return (uint16_t)(bytes[0] | bytes[1] << 8);
}

static uint32_t u32_at(const char *at)
{
    return u16_at(at) | (uint32_t)u16_at(at + 2) << 16;
}

static uint64_t u64_at(const char *at)
{
    return u32_at(at) | (uint64_t)u32_at(at + 4) << 32;
}

bool zip_reader_create(const struct zip_handler *handler, struct zip_reader **zip, struct error *error)
{
    struct zip_reader *made = MEMORY_NEW(struct zip_reader);
    if (made == NULL) {
        return FAIL(error, ERROR_TOO_LARGE, "no memory to read a ZIP");
    }
    made->handler = *handler;
    made->header.bytes_max = HEADER_BYTES_MAX;
    if (inflateInit2(&made->inflater, -MAX_WBITS) != Z_OK) {
        zip_reader_destroy(made);
        return FAIL(error, ERROR_TOO_LARGE, "no memory to read a ZIP");
    }
    made->has_inflater = true;
    *zip = made;
    return true;
}

void zip_reader_destroy(struct zip_reader *zip)
{
    if (zip != NULL) {
        if (zip->has_inflater) {
            (void)inflateEnd(&zip->inflater);
        }
        buf_deinit(&zip->header);
        memory_free(zip);
    }
}

/* ---- headers ---- */

/* A name that would lead out of the folder it is unpacked to, were it a path. */
static bool name_climbs(struct str name)
{
    size_t begin = 0;
    if (name.len > 0 && (name.at[0] == '/' || name.at[0] == '\\')) {
        return true;
    }
    if (name.len > 1 && name.at[1] == ':') {
        return true;
    }
    for (size_t i = 0; i <= name.len; i++) {
        if (i == name.len || name.at[i] == '/' || name.at[i] == '\\') {
            if (str_equal(str_slice(name, begin, i), STR(".."))) {
                return true;
            }
            begin = i + 1;
        }
    }
    return str_find_char(name, '\0') < name.len;
}

/* 4.5.3: sizes of 64 bits stand in the extra field, uncompressed first, each only where the header has all ones. */
static void read_extra_64(struct zip_reader *zip, struct str extra, uint32_t packed, uint32_t plain)
{
    while (extra.len >= 4) {
        size_t len = u16_at(extra.at + 2);
        struct str field = str_slice(extra, 4, 4 + len);
        if (u16_at(extra.at) == 0x0001) {
            zip->file.is_64 = true;
            if (plain == UINT32_MAX && field.len >= 8) {
                zip->file.bytes_said = u64_at(field.at);
                field = str_skip(field, 8);
            }
            if (packed == UINT32_MAX && field.len >= 8) {
                zip->file.packed_left = u64_at(field.at);
            }
        }
        extra = str_skip(extra, 4 + len);
    }
}

static enum zip_problem problem_of(uint16_t flags, uint16_t method, struct str name)
{
    if ((flags & FLAG_ENCRYPTED) != 0) {
        return ZIP_ENCRYPTED;
    }
    if (method != METHOD_STORED && method != METHOD_DEFLATED) {
        return ZIP_METHOD;
    }
    return name_climbs(name) ? ZIP_PATH : ZIP_FINE;
}

/* The whole local header with name and extra field is there (4.3.7). */
static bool begin_file(struct zip_reader *zip, struct error *error)
{
    const char *header = zip->header.at;
    uint16_t flags = u16_at(header + 6);
    uint16_t method = u16_at(header + 8);
    uint32_t packed = u32_at(header + 18);
    uint32_t plain = u32_at(header + 22);
    size_t name_len = u16_at(header + 26);
    struct str name = { header + LOCAL_HEADER_BYTES, name_len };
    struct str extra = { header + LOCAL_HEADER_BYTES + name_len, u16_at(header + 28) };
    if (name_len > ZIP_NAME_BYTES_MAX || name_len == 0) {
        return FAIL(error, ERROR_STRUCTURE, "a file in the ZIP has no name or one that is too long");
    }
    if (++zip->files_count > ZIP_FILES_MAX) {
        return FAIL(error, ERROR_TOO_LARGE, "the ZIP has more than %d files", ZIP_FILES_MAX);
    }
    memset(&zip->file, 0, sizeof zip->file);
    zip->file.is_deflated = method == METHOD_DEFLATED;
    zip->file.has_descriptor = (flags & FLAG_DESCRIPTOR) != 0;
    zip->file.checksum = u32_at(header + 14);
    zip->file.packed_left = packed;
    zip->file.bytes_said = plain;
    zip->file.problem = problem_of(flags, method, name);
    read_extra_64(zip, extra, packed, plain);
    if (zip->file.has_descriptor && packed == 0) {
        zip->file.packed_left = UINT64_MAX;
    }
    bool end_is_known =
        zip->file.packed_left != UINT64_MAX || (zip->file.is_deflated && zip->file.problem != ZIP_ENCRYPTED);
    if (!end_is_known) {
        return FAIL(
            error, ERROR_UNSUPPORTED, "%s",
            zip->file.problem == ZIP_ENCRYPTED
                ? "the ZIP is protected by a password: unpack it first, or save it without one"
                : "the ZIP does not say how long a file in it is: save it again with another program");
    }
    if (inflateReset(&zip->inflater) != Z_OK) {
        return FAIL(error, ERROR_INTERNAL, "a ZIP cannot be read");
    }
    zip->state = STATE_DATA;
    zip->file.is_told = !(str_ends_with(name, STR("/")) || str_ends_with(name, STR("\\")));
    return !zip->file.is_told || zip->handler.begin(zip->handler.data, name, zip->file.problem, error);
}

/* Takes bytes until `wanted` have come. False: not yet. */
static bool gather(struct zip_reader *zip, struct str *piece, size_t wanted)
{
    size_t lacking = wanted > zip->header.len ? wanted - zip->header.len : 0;
    struct str taken = str_slice(*piece, 0, lacking);
    buf_add(&zip->header, taken);
    *piece = str_skip(*piece, taken.len);
    return zip->header.len >= wanted;
}

static bool feed_header(struct zip_reader *zip, struct str *piece, struct error *error)
{
    if (!gather(zip, piece, 4)) {
        return true;
    }
    uint32_t signature = u32_at(zip->header.at);
    if (signature == SIGNATURE_DIRECTORY || signature == SIGNATURE_END || signature == SIGNATURE_EXTRA_DATA ||
        signature == SIGNATURE_END_64) {
        zip->state = STATE_DIRECTORY;
        return true;
    }
    if (signature != SIGNATURE_LOCAL) {
        return FAIL(error, ERROR_STRUCTURE, "%s",
                    zip->files_count == 0 ? "this is not a ZIP" : "the ZIP is damaged");
    }
    if (!gather(zip, piece, LOCAL_HEADER_BYTES)) {
        return true;
    }
    size_t wanted = (size_t)LOCAL_HEADER_BYTES + u16_at(zip->header.at + 26) + u16_at(zip->header.at + 28);
    if (!gather(zip, piece, wanted)) {
        return !zip->header.failed || FAIL(error, ERROR_TOO_LARGE, "no memory to read a ZIP");
    }
    bool ok = begin_file(zip, error);
    buf_clear(&zip->header);
    return ok;
}

/* ---- files ---- */

static bool give(struct zip_reader *zip, struct str bytes, struct error *error)
{
    zip->file.bytes += bytes.len;
    zip->total_bytes += bytes.len;
    if (zip->file.bytes > LIMIT_DICOM_INSTANCE_BYTES || zip->total_bytes > ZIP_BYTES_MAX) {
        return FAIL(error, ERROR_TOO_LARGE, "the ZIP unpacks to more than is allowed");
    }
    if (zip->file.bytes > ZIP_RATIO_FROM_BYTES &&
        zip->file.bytes / ZIP_RATIO_MAX > zip->file.packed_bytes + INFLATED_STEP_BYTES) {
        return FAIL(error, ERROR_TOO_LARGE, "a file in the ZIP unpacks to far more than an image would");
    }
    if (zip->file.problem != ZIP_FINE || bytes.len == 0) {
        return true;
    }
    zip->file.checksum_found =
        (uint32_t)crc32(zip->file.checksum_found, (const Bytef *)bytes.at, (uInt)bytes.len);
    return !zip->file.is_told || zip->handler.bytes(zip->handler.data, bytes, error);
}

static bool end_file(struct zip_reader *zip, struct error *error)
{
    bool whole = zip->file.checksum_found == zip->file.checksum && zip->file.bytes == zip->file.bytes_said &&
                 (!zip->file.is_deflated || zip->file.is_ended);
    enum zip_problem problem = zip->file.problem != ZIP_FINE ? zip->file.problem
                               : whole                       ? ZIP_FINE
                                                             : ZIP_DAMAGED;
    zip->state = STATE_HEADER;
    return !zip->file.is_told || zip->handler.end(zip->handler.data, problem, error);
}

/* The file's packed bytes are all there. */
static bool end_data(struct zip_reader *zip, struct error *error)
{
    if (zip->file.has_descriptor) {
        zip->state = STATE_DESCRIPTOR;
        return true;
    }
    return end_file(zip, error);
}

/* Unpacks what is there of a file; *used tells how far. A damaged stream with a known length is skipped to its end. */
static bool inflate_piece(struct zip_reader *zip, struct str input, size_t *used, struct error *error)
{
    z_stream *stream = &zip->inflater;
    union {
        const char *constant;
        Bytef *bytes;
    } in = { .constant = input.at }; /* zlib only reads it */
    stream->next_in = in.bytes;
    stream->avail_in = (uInt)input.len;
    zip->file.packed_bytes += input.len;
    while (!zip->file.is_ended && zip->file.problem != ZIP_DAMAGED) {
        stream->next_out = (Bytef *)zip->room;
        stream->avail_out = sizeof zip->room;
        int result = inflate(stream, Z_NO_FLUSH);
        struct str plain = { zip->room, sizeof zip->room - stream->avail_out };
        if (!give(zip, plain, error)) {
            return false;
        }
        if (result == Z_STREAM_END) {
            zip->file.is_ended = true;
        } else if (result == Z_BUF_ERROR ||
                   (result == Z_OK && stream->avail_in == 0 && stream->avail_out > 0)) {
            break; /* more input is needed */
        } else if (result != Z_OK) {
            zip->file.problem = ZIP_DAMAGED;
        }
    }
    if (zip->file.problem == ZIP_DAMAGED && zip->file.packed_left == UINT64_MAX) {
        return FAIL(error, ERROR_STRUCTURE, "the ZIP is damaged");
    }
    *used = input.len - stream->avail_in;
    return true;
}

static bool feed_data(struct zip_reader *zip, struct str *piece, struct error *error)
{
    bool is_known = zip->file.packed_left != UINT64_MAX;
    size_t len = is_known && zip->file.packed_left < piece->len ? (size_t)zip->file.packed_left : piece->len;
    struct str input = str_slice(*piece, 0, len > (64u << 20) ? (64u << 20) : len);
    size_t used = input.len;
    bool is_inflated = zip->file.is_deflated && (zip->file.problem == ZIP_FINE || !is_known);
    if (is_inflated && !zip->file.is_ended) {
        if (!inflate_piece(zip, input, &used, error)) {
            return false;
        }
    } else if (!zip->file.is_deflated && zip->file.problem == ZIP_FINE) {
        zip->file.packed_bytes += input.len;
        if (!give(zip, input, error)) {
            return false;
        }
    }
    if (is_known) {
        used = input.len; /* bytes behind the stream's end that the header counts are none of the file */
        zip->file.packed_left -= used;
    }
    *piece = str_skip(*piece, used);
    bool is_over = is_known ? zip->file.packed_left == 0 : zip->file.is_ended;
    return !is_over || end_data(zip, error);
}

/* 4.3.9: an optional signature, the checksum, two sizes of 32 or 64 bits. */
static bool feed_descriptor(struct zip_reader *zip, struct str *piece, struct error *error)
{
    if (!gather(zip, piece, 4)) {
        return true;
    }
    size_t from = u32_at(zip->header.at) == SIGNATURE_DESCRIPTOR ? 4 : 0;
    size_t size_bytes = zip->file.is_64 ? 8 : 4;
    if (!gather(zip, piece, from + 4 + 2 * size_bytes)) {
        return true;
    }
    const char *at = zip->header.at + from;
    zip->file.checksum = u32_at(at);
    zip->file.bytes_said = zip->file.is_64 ? u64_at(at + 4 + size_bytes) : u32_at(at + 4 + size_bytes);
    buf_clear(&zip->header);
    return end_file(zip, error);
}

bool zip_reader_feed(struct zip_reader *zip, struct str piece, struct error *error)
{
    while (piece.len > 0 || (zip->state == STATE_DATA && zip->file.packed_left == 0)) {
        bool ok = true;
        switch (zip->state) {
        case STATE_HEADER:
            ok = feed_header(zip, &piece, error);
            break;
        case STATE_DATA:
            ok = feed_data(zip, &piece, error);
            break;
        case STATE_DESCRIPTOR:
            ok = feed_descriptor(zip, &piece, error);
            break;
        case STATE_DIRECTORY:
            return true;
        }
        if (!ok) {
            return false;
        }
    }
    return true;
}

bool zip_reader_finish(struct zip_reader *zip, struct error *error)
{
    if (zip->state == STATE_DIRECTORY) {
        return true;
    }
    return FAIL(error, ERROR_STRUCTURE, "%s",
                zip->files_count == 0 ? "this is not a ZIP" : "the ZIP ends too early");
}
