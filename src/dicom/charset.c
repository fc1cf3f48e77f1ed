#include "dicom/charset.h"

#include <iconv.h>
#include <stdint.h>

/* Defined terms of PS3.3 tables C.12-2 … C.12-5 and their iconv names. */
struct charset_row {
    const char *term;
    const char *iconv_name;
};
static const struct charset_row charset_rows[] = {
    { "ISO_IR 100", "ISO-8859-1" },
    { "ISO_IR 101", "ISO-8859-2" },
    { "ISO_IR 109", "ISO-8859-3" },
    { "ISO_IR 110", "ISO-8859-4" },
    { "ISO_IR 144", "ISO-8859-5" },
    { "ISO_IR 127", "ISO-8859-6" },
    { "ISO_IR 126", "ISO-8859-7" },
    { "ISO_IR 138", "ISO-8859-8" },
    { "ISO_IR 148", "ISO-8859-9" },
    { "ISO_IR 203", "ISO-8859-15" },
    { "ISO_IR 166", "TIS-620" },
    { "ISO_IR 13", "SHIFT_JIS" },
    { "ISO_IR 192", "UTF-8" },
    { "GB18030", "GB18030" },
    { "GBK", "GB18030" },
    { "ISO 2022 IR 100", "ISO-8859-1" },
    { "ISO 2022 IR 101", "ISO-8859-2" },
    { "ISO 2022 IR 109", "ISO-8859-3" },
    { "ISO 2022 IR 110", "ISO-8859-4" },
    { "ISO 2022 IR 144", "ISO-8859-5" },
    { "ISO 2022 IR 127", "ISO-8859-6" },
    { "ISO 2022 IR 126", "ISO-8859-7" },
    { "ISO 2022 IR 138", "ISO-8859-8" },
    { "ISO 2022 IR 148", "ISO-8859-9" },
    { "ISO 2022 IR 166", "TIS-620" },
    { "ISO 2022 IR 13", "SHIFT_JIS" },
    { "ISO 2022 IR 58", "GB18030" },
    { "ISO 2022 IR 149", "EUC-KR" },
};

/* Escape sequences (without ESC) and the set they bring into G0 or G1. */
struct escape_row {
    const char *bytes;
    const char *g1;        /* iconv name of what high bytes then mean, or NULL */
    const char *g0_escape; /* two-byte G0: its ISO-2022-JP-2 escape, "" for single-byte G0, or NULL */
};
static const struct escape_row escape_rows[] = {
    { "(B", NULL, "" },           { "(J", NULL, "" },           { "$B", NULL, "\033$B" },
    { "$@", NULL, "\033$B" },     { "$(D", NULL, "\033$(D" },   { ")I", "SHIFT_JIS", NULL },
    { "$)C", "EUC-KR", NULL },    { "$)A", "GB18030", NULL },   { "-A", "ISO-8859-1", NULL },
    { "-B", "ISO-8859-2", NULL }, { "-C", "ISO-8859-3", NULL }, { "-D", "ISO-8859-4", NULL },
    { "-L", "ISO-8859-5", NULL }, { "-G", "ISO-8859-6", NULL }, { "-F", "ISO-8859-7", NULL },
    { "-H", "ISO-8859-8", NULL }, { "-M", "ISO-8859-9", NULL }, { "-T", "TIS-620", NULL },
};

static bool is_plain_ascii(struct str bytes)
{
    for (size_t i = 0; i < bytes.len; i++) {
        uint8_t c = (uint8_t)bytes.at[i];
        if (c >= 0x7F || (c < 0x20 && c != '\t' && c != '\n' && c != '\f' && c != '\r')) {
            return false;
        }
    }
    return true;
}

/* Drops control characters; the text is UTF-8 already. */
static struct str without_controls(struct arena *arena, struct str text)
{
    char *out = arena_alloc(arena, text.len + 1);
    if (out == NULL) {
        return STR_NONE;
    }
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = (uint8_t)text.at[i];
        if (c != 0x7F && (c >= 0x20 || c == '\t' || c == '\n' || c == '\f' || c == '\r')) {
            out[len++] = text.at[i];
        }
    }
    return (struct str){ out, len };
}

static bool convert(struct arena *arena, struct str bytes, const char *from, struct str *out)
{
    bool ok = false;
    /* The longest growth is one byte to three (a Han character of two bytes to three or four). */
    size_t capacity = bytes.len * 4 + 8;
    char *room = arena_alloc(arena, capacity);
    iconv_t converter = room == NULL ? (iconv_t)-1 : iconv_open("UTF-8", from);
    if (converter == (iconv_t)-1) {
        return false;
    }
    char *in = (char *)(uintptr_t)bytes.at;
    size_t in_left = bytes.len;
    char *to = room;
    size_t to_left = capacity;
    if (iconv(converter, &in, &in_left, &to, &to_left) != (size_t)-1 && in_left == 0 &&
        iconv(converter, NULL, NULL, &to, &to_left) != (size_t)-1) {
        *out = (struct str){ room, capacity - to_left };
        ok = true;
    }
    (void)iconv_close(converter);
    return ok;
}

/* The declared set is missing or wrong. Latin-1 takes every byte, so this never fails but for memory. */
static struct str convert_guessing(struct arena *arena, struct str bytes, const char *fallback)
{
    struct str out = STR_NONE;
    if (str_is_utf8(bytes)) {
        return bytes;
    }
    if (fallback != NULL && convert(arena, bytes, fallback, &out)) {
        return out;
    }
    if (convert(arena, bytes, "GB18030", &out) || convert(arena, bytes, "ISO-8859-1", &out)) {
        return out;
    }
    return STR_NONE;
}

static bool is_letter(struct str bytes, size_t index)
{
    char c = index < bytes.len ? bytes.at[index] : '\0';
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

/* Bytes declared as a one-byte Latin set that are UTF-8 or GBK: C1 controls, well-formed multi-byte UTF-8,
 * or high bytes that come only in Han pairs of GB 2312 and touch no ASCII letter ("Müller" has a single
 * high byte between letters). */
static bool latin_is_a_lie(struct str bytes)
{
    if (str_is_utf8(bytes)) {
        return true;
    }
    size_t i = 0;
    while (i < bytes.len) {
        uint8_t lead = (uint8_t)bytes.at[i];
        if (lead < 0x80) {
            i++;
            continue;
        }
        if (lead <= 0x9F) {
            return true;
        }
        uint8_t trail = i + 1 < bytes.len ? (uint8_t)bytes.at[i + 1] : 0;
        bool touches = (i > 0 && is_letter(bytes, i - 1)) || is_letter(bytes, i + 2);
        if (lead < 0xB0 || lead > 0xF7 || trail < 0xA1 || trail == 0xFF || touches) {
            return false;
        }
        i += 2;
    }
    return true;
}

static const char *charset_find(struct str term)
{
    for (size_t i = 0; i < sizeof charset_rows / sizeof charset_rows[0]; i++) {
        if (str_equal_cstr(term, charset_rows[i].term)) {
            return charset_rows[i].iconv_name;
        }
    }
    return NULL;
}

static struct str convert_single(struct arena *arena, struct str bytes, const char *name,
                                 const char *fallback)
{
    struct str out = STR_NONE;
    bool is_latin = name != NULL && strcmp(name, "ISO-8859-1") == 0;
    /* What is UTF-8 we decide: iconv's goes beyond U+10FFFF. */
    if (name == NULL || strcmp(name, "UTF-8") == 0 || (is_latin && latin_is_a_lie(bytes))) {
        return convert_guessing(arena, bytes, fallback);
    }
    return convert(arena, bytes, name, &out) ? out : convert_guessing(arena, bytes, fallback);
}

struct decoder_2022 {
    struct arena *arena;
    struct str out;
    size_t capacity;
    const char *g0_escape; /* "" while G0 is a single-byte set */
    const char *g1;        /* iconv name, or NULL */
    const char *initial_g1;
    const char *fallback;
    bool failed;
};

static void add_run(struct decoder_2022 *decoder, struct str run)
{
    struct str text = STR_NONE;
    if (run.len == 0 || decoder->failed) {
        return;
    }
    if (decoder->g0_escape[0] != '\0') {
        struct str wrapped = arena_printf(decoder->arena, "%s%.*s\033(B", decoder->g0_escape, STR_FMT(run));
        if (wrapped.at == NULL || !convert(decoder->arena, wrapped, "ISO-2022-JP-2", &text)) {
            text = STR("?");
        }
    } else {
        text =
            is_plain_ascii(run) ? run : convert_single(decoder->arena, run, decoder->g1, decoder->fallback);
    }
    if (text.at == NULL || text.len > decoder->capacity - decoder->out.len) {
        decoder->failed = true;
        return;
    }
    memcpy((char *)(uintptr_t)decoder->out.at + decoder->out.len, text.at, text.len);
    decoder->out.len += text.len;
}

static const struct escape_row *escape_find(struct str rest)
{
    for (size_t i = 0; i < sizeof escape_rows / sizeof escape_rows[0]; i++) {
        if (str_starts_with(rest, str_from_cstr(escape_rows[i].bytes))) {
            return &escape_rows[i];
        }
    }
    return NULL;
}

/* PS3.5 6.1.2.5: escapes hold until a line end, and in names until '^', '=' or '\'. */
static struct str convert_2022(struct arena *arena, struct str bytes, const char *first, const char *fallback)
{
    struct decoder_2022 decoder = {
        .arena = arena, .g0_escape = "", .g1 = first, .initial_g1 = first, .fallback = fallback
    };
    decoder.capacity = bytes.len * 4 + 8;
    decoder.out.at = arena_alloc(arena, decoder.capacity);
    if (decoder.out.at == NULL) {
        return STR_NONE;
    }
    size_t from = 0;
    size_t i = 0;
    while (i < bytes.len) {
        char c = bytes.at[i];
        if (c == '\033') {
            add_run(&decoder, str_slice(bytes, from, i));
            const struct escape_row *row = escape_find(str_skip(bytes, i + 1));
            decoder.g1 = row != NULL && row->g1 != NULL ? row->g1 : decoder.g1;
            decoder.g0_escape = row != NULL && row->g0_escape != NULL ? row->g0_escape : decoder.g0_escape;
            i += 1 + (row == NULL ? 0 : strlen(row->bytes));
            from = i;
            continue;
        }
        bool is_reset = c == '\r' || c == '\n' || c == '\f' || c == '\\' || c == '^' || c == '=';
        if (is_reset && decoder.g0_escape[0] == '\0') {
            add_run(&decoder, str_slice(bytes, from, i + 1));
            decoder.g1 = decoder.initial_g1;
            from = i + 1;
        }
        i++;
    }
    add_run(&decoder, str_skip(bytes, from));
    return decoder.failed ? STR_NONE : decoder.out;
}

static struct str trim_value(struct str value)
{
    while (value.len > 0 && (value.at[value.len - 1] == ' ' || value.at[value.len - 1] == '\0')) {
        value.len--;
    }
    return value;
}

struct str charset_to_utf8(struct arena *arena, struct str bytes, struct str declared, const char *fallback)
{
    if (is_plain_ascii(bytes)) {
        return bytes;
    }
    struct str first = STR_NONE;
    struct str rest = trim_value(declared);
    bool has_more = false;
    if (rest.len > 0 && str_split_next(&rest, '\\', &first)) {
        has_more = rest.at != NULL;
        first = str_trim(first);
    }
    const char *name = charset_find(first);
    bool has_escapes = str_find_char(bytes, '\033') < bytes.len;
    struct str text = has_escapes || has_more ? convert_2022(arena, bytes, name, fallback)
                                              : convert_single(arena, bytes, name, fallback);
    return text.at == NULL || is_plain_ascii(text) ? text : without_controls(arena, text);
}
