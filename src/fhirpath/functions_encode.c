/* encode, decode, escape, unescape (FHIRPath trial use). */
#include "base/limits.h"
#include "fhirpath/functions.h"

static const char base64_plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char base64_url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

enum { CODED_BYTES_A_STEP = 8 };

static void encode_hex(struct buf *buf, struct str text)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < text.len; i++) {
        unsigned char byte = (unsigned char)text.at[i];
        buf_add_char(buf, digits[byte >> 4]);
        buf_add_char(buf, digits[byte & 15]);
    }
}

static void encode_base64(struct buf *buf, struct str text, const char *alphabet)
{
    for (size_t i = 0; i < text.len; i += 3) {
        uint32_t block = 0;
        size_t bytes = text.len - i < 3 ? text.len - i : 3;
        for (size_t j = 0; j < 3; j++) {
            block = block << 8 | (j < bytes ? (unsigned char)text.at[i + j] : 0u);
        }
        for (size_t j = 0; j < 4; j++) {
            buf_add_char(buf, j <= bytes ? alphabet[block >> (18 - 6 * j) & 63] : '=');
        }
    }
}

static int hex_value(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

static bool decode_hex(struct buf *buf, struct str text)
{
    if (text.len % 2 != 0) {
        return false;
    }
    for (size_t i = 0; i < text.len; i += 2) {
        int high = hex_value(text.at[i]);
        int low = hex_value(text.at[i + 1]);
        if (high < 0 || low < 0) {
            return false;
        }
        buf_add_char(buf, (char)(high << 4 | low));
    }
    return true;
}

static bool decode_base64(struct buf *buf, struct str text, const char *alphabet)
{
    while (text.len > 0 && text.at[text.len - 1] == '=') {
        text.len--;
    }
    uint32_t bits = 0;
    unsigned count = 0;
    for (size_t i = 0; i < text.len; i++) {
        const char *found = text.at[i] == '\0' ? NULL : strchr(alphabet, text.at[i]);
        if (found == NULL) {
            return false;
        }
        bits = bits << 6 | (uint32_t)(found - alphabet);
        count += 6;
        if (count >= 8) {
            count -= 8;
            buf_add_char(buf, (char)(bits >> count & 0xFF));
        }
    }
    return count < 6;
}

static bool add_text(struct call *call, struct buf *buf, bool ok, struct error *error)
{
    struct str text = arena_dup(call->run->arena, buf_str(buf));
    bool failed = buf->failed;
    buf_deinit(buf);
    if (failed) {
        return FAIL(error, ERROR_TOO_LARGE, "FHIRPath: %s() makes too long a text",
                    call->expression->function->name);
    }
    /* What cannot be decoded to text is empty. */
    return !ok || !str_is_utf8(text) || list_add_string(call->run, call->out, text, error);
}

static bool two_strings(struct call *call, struct str *input, struct str *format, bool *given,
                        struct error *error)
{
    bool has_input = false;
    bool has_format = false;
    if (!call_input_string(call, input, &has_input, error) ||
        !call_string(call, 0, format, &has_format, error)) {
        return false;
    }
    *given = has_input && has_format;
    return !*given || run_spend(call->run, input->len / CODED_BYTES_A_STEP, error);
}

bool function_encode(struct call *call, struct error *error)
{
    struct str input = { 0 };
    struct str format = { 0 };
    bool given = false;
    struct buf buf = { .bytes_max = LIMIT_RESOURCE_BYTES };
    if (!two_strings(call, &input, &format, &given, error)) {
        return false;
    }
    if (!given) {
        return true;
    }
    bool known = true;
    if (str_equal(format, STR("hex"))) {
        encode_hex(&buf, input);
    } else if (str_equal(format, STR("base64"))) {
        encode_base64(&buf, input, base64_plain);
    } else if (str_equal(format, STR("urlbase64"))) {
        encode_base64(&buf, input, base64_url);
    } else {
        known = false;
    }
    return add_text(call, &buf, known, error);
}

bool function_decode(struct call *call, struct error *error)
{
    struct str input = { 0 };
    struct str format = { 0 };
    bool given = false;
    struct buf buf = { .bytes_max = LIMIT_RESOURCE_BYTES };
    if (!two_strings(call, &input, &format, &given, error)) {
        return false;
    }
    if (!given) {
        return true;
    }
    bool ok = str_equal(format, STR("hex"))         ? decode_hex(&buf, input)
              : str_equal(format, STR("base64"))    ? decode_base64(&buf, input, base64_plain)
              : str_equal(format, STR("urlbase64")) ? decode_base64(&buf, input, base64_url)
                                                    : false;
    return add_text(call, &buf, ok, error);
}

static const struct {
    const char *text;
    const char *entity;
} entities[] = { { "&", "&amp;" }, { "<", "&lt;" }, { ">", "&gt;" }, { "\"", "&quot;" }, { "'", "&#39;" } };

static void escape_html(struct buf *buf, struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        const char *entity = NULL;
        for (size_t e = 0; e < sizeof entities / sizeof entities[0]; e++) {
            entity = entities[e].text[0] == text.at[i] ? entities[e].entity : entity;
        }
        if (entity != NULL) {
            buf_add(buf, str_from_cstr(entity));
        } else {
            buf_add_char(buf, text.at[i]);
        }
    }
}

static void unescape_html(struct buf *buf, struct str text)
{
    while (text.len > 0) {
        size_t taken = 1;
        struct str piece = str_slice(text, 0, 1);
        for (size_t e = 0; e < sizeof entities / sizeof entities[0]; e++) {
            if (str_starts_with(text, str_from_cstr(entities[e].entity))) {
                piece = str_from_cstr(entities[e].text);
                taken = strlen(entities[e].entity);
            }
        }
        buf_add(buf, piece);
        text = str_skip(text, taken);
    }
}

bool function_escape(struct call *call, struct error *error)
{
    struct str input = { 0 };
    struct str format = { 0 };
    bool given = false;
    struct buf buf = { .bytes_max = LIMIT_RESOURCE_BYTES };
    if (!two_strings(call, &input, &format, &given, error)) {
        return false;
    }
    if (!given) {
        return true;
    }
    if (str_equal(format, STR("html"))) {
        escape_html(&buf, input);
        return add_text(call, &buf, true, error);
    }
    if (!str_equal(format, STR("json"))) {
        return true;
    }
    json_write_text(&buf, input);
    struct str quoted = arena_dup(call->run->arena, buf_str(&buf));
    bool failed = buf.failed;
    buf_deinit(&buf);
    if (failed || quoted.at == NULL) {
        return run_out_of_memory(error);
    }
    return list_add_string(call->run, call->out, str_slice(quoted, 1, quoted.len - 1), error);
}

bool function_unescape(struct call *call, struct error *error)
{
    struct str input = { 0 };
    struct str format = { 0 };
    bool given = false;
    struct buf buf = { .bytes_max = LIMIT_RESOURCE_BYTES };
    if (!two_strings(call, &input, &format, &given, error)) {
        return false;
    }
    if (!given) {
        return true;
    }
    if (str_equal(format, STR("html"))) {
        unescape_html(&buf, input);
        return add_text(call, &buf, true, error);
    }
    if (!str_equal(format, STR("json"))) {
        return true;
    }
    /* The inside of a JSON string; a quote that is not escaped stands for itself. */
    struct json *read = NULL;
    struct str quoted = arena_printf(call->run->arena, "\"%.*s\"", STR_FMT(input));
    struct error ignored;
    if (quoted.at != NULL && json_read(call->run->arena, quoted, &read, &ignored)) {
        return list_add_string(call->run, call->out, json_text(call->run->arena, read), error);
    }
    return list_add_string(call->run, call->out, input, error);
}
