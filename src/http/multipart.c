#include "http/multipart.h"

enum state {
    STATE_PREAMBLE,
    STATE_DATA,            /* in a part's content */
    STATE_AFTER_DELIMITER, /* "--" ends all, blanks and CR LF begin a part */
    STATE_AFTER_DASH,      /* the second dash */
    STATE_PADDING,         /* blanks before CR LF */
    STATE_LINE_FEED,
    STATE_HEADERS,
    STATE_EPILOGUE,
};

enum { LINE_START = 2 }; /* bytes of the delimiter that a line's start stands for: CR LF */

/* ---- header values ---- */

struct str header_main_value(struct str value)
{
    return str_trim(str_slice(value, 0, str_find_char(value, ';')));
}

static bool is_token_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

/* One parameter from the front of *rest, which stands behind a ';'. False at the end or when malformed. */
static bool parameter_next(struct str *rest, struct str *name, struct str *raw, bool *quoted)
{
    *rest = str_trim(*rest);
    size_t at = 0;
    while (at < rest->len && is_token_char(rest->at[at])) {
        at++;
    }
    if (at == 0 || at == rest->len || rest->at[at] != '=') {
        return false;
    }
    *name = str_slice(*rest, 0, at);
    *rest = str_skip(*rest, at + 1);
    *quoted = rest->len > 0 && rest->at[0] == '"';
    if (*quoted) {
        at = 1;
        while (at < rest->len && rest->at[at] != '"') {
            at += rest->at[at] == '\\' ? 2 : 1;
        }
        if (at >= rest->len) {
            return false;
        }
        *raw = str_slice(*rest, 1, at);
        *rest = str_skip(*rest, at + 1);
    } else {
        *raw = str_trim(str_slice(*rest, 0, str_find_char(*rest, ';')));
    }
    *rest = str_skip(*rest, str_find_char(*rest, ';') + 1);
    return true;
}

static bool unquote(struct str raw, bool quoted, char *out, size_t out_size, size_t *out_len)
{
    size_t len = 0;
    for (size_t i = 0; i < raw.len; i++) {
        if (quoted && raw.at[i] == '\\' && i + 1 < raw.len) {
            i++;
        }
        if (len == out_size) {
            return false;
        }
        out[len++] = raw.at[i];
    }
    *out_len = len;
    return true;
}

bool header_parameter(struct str value, struct str name, char *out, size_t out_size, struct str *found)
{
    struct str rest = str_skip(value, str_find_char(value, ';') + 1);
    struct str candidate = STR_NONE;
    struct str raw = STR_NONE;
    bool quoted = false;
    while (parameter_next(&rest, &candidate, &raw, &quoted)) {
        size_t len = 0;
        if (str_equal_ignore_case(candidate, name)) {
            bool fits = unquote(raw, quoted, out, out_size, &len);
            *found = fits ? (struct str){ out, len } : *found;
            return fits;
        }
    }
    return false;
}

/* ---- beginning ---- */

/* RFC 2046 section 5.1.1: bchars, no space at the end. */
static bool boundary_is_valid(struct str boundary)
{
    if (boundary.len == 0 || boundary.at[boundary.len - 1] == ' ') {
        return false;
    }
    for (size_t i = 0; i < boundary.len; i++) {
        char c = boundary.at[i];
        bool alphanumeric = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!alphanumeric && (c == '\0' || strchr("'()+_,-./:=? ", c) == NULL)) {
            return false;
        }
    }
    return true;
}

bool multipart_init(struct multipart *parser, struct str content_type,
                    const struct multipart_handler *handler, struct error *error)
{
    assert(handler != NULL);
    struct str type = header_main_value(content_type);
    if (!str_equal_ignore_case(str_slice(type, 0, 10), STR("multipart/"))) {
        return FAIL(error, ERROR_MEDIA_TYPE, "the body must be multipart");
    }
    char text[MULTIPART_BOUNDARY_BYTES_MAX];
    struct str boundary = STR_NONE;
    if (!header_parameter(content_type, STR("boundary"), text, sizeof text, &boundary) ||
        !boundary_is_valid(boundary)) {
        return FAIL(error, ERROR_STRUCTURE, "Content-Type has no valid boundary of 1 to %d characters",
                    (int)MULTIPART_BOUNDARY_BYTES_MAX);
    }
    parser->handler = handler;
    parser->state = STATE_PREAMBLE;
    parser->parts_count = 0;
    parser->skipped_bytes = 0;
    parser->header_len = 0;
    /* The body begins like a line: the first delimiter needs no CR LF before it. */
    parser->matched = LINE_START;
    parser->virtual_bytes = LINE_START;
    memcpy(parser->delimiter, "\r\n--", 4);
    memcpy(parser->delimiter + 4, boundary.at, boundary.len);
    parser->delimiter_len = (uint32_t)(4 + boundary.len);
    return true;
}

/* ---- content ---- */

static bool skip_bytes(struct multipart *parser, size_t count, struct error *error)
{
    if (count > MULTIPART_PREAMBLE_BYTES_MAX - parser->skipped_bytes) {
        return FAIL(error, ERROR_TOO_LARGE, "more than %d bytes outside of the parts",
                    (int)MULTIPART_PREAMBLE_BYTES_MAX);
    }
    parser->skipped_bytes += (uint32_t)count;
    return true;
}

static bool emit(struct multipart *parser, struct str bytes, struct error *error)
{
    if (bytes.len == 0) {
        return true;
    }
    if (parser->state == STATE_PREAMBLE) {
        return skip_bytes(parser, bytes.len, error);
    }
    return parser->handler->bytes(parser->handler->data, bytes, error);
}

/* What looked like a delimiter was content after all. */
static bool emit_matched(struct multipart *parser, struct error *error)
{
    struct str bytes = { parser->delimiter + parser->virtual_bytes, parser->matched - parser->virtual_bytes };
    parser->matched = 0;
    parser->virtual_bytes = 0;
    return emit(parser, bytes, error);
}

static bool delimiter_found(struct multipart *parser, struct error *error)
{
    bool in_part = parser->state == STATE_DATA;
    parser->matched = 0;
    parser->virtual_bytes = 0;
    parser->state = STATE_AFTER_DELIMITER;
    return !in_part || parser->handler->end(parser->handler->data, error);
}

/* Goes on with a delimiter begun in an earlier piece. */
static bool continue_match(struct multipart *parser, struct str *piece, struct error *error)
{
    while (piece->len > 0 && parser->matched > 0) {
        if (piece->at[0] != parser->delimiter[parser->matched]) {
            return emit_matched(parser, error);
        }
        *piece = str_skip(*piece, 1);
        parser->matched++;
        if (parser->matched == parser->delimiter_len) {
            return delimiter_found(parser, error);
        }
    }
    return true;
}

/* The longest end of `piece` that may be the beginning of a delimiter. A delimiter has one CR, its first
 * byte, so only the last CR can begin it. */
static size_t tail_match(const struct multipart *parser, struct str piece)
{
    size_t window = piece.len < parser->delimiter_len ? piece.len : parser->delimiter_len - 1;
    struct str tail = str_skip(piece, piece.len - window);
    size_t at = str_find_last_char(tail, '\r');
    struct str end = str_skip(tail, at);
    bool matches = at < tail.len && memcmp(end.at, parser->delimiter, end.len) == 0;
    return matches ? end.len : 0;
}

static bool feed_content(struct multipart *parser, struct str *piece, struct error *error)
{
    if (parser->matched > 0) {
        return continue_match(parser, piece, error);
    }
    const char *found = memmem(piece->at, piece->len, parser->delimiter, parser->delimiter_len);
    if (found != NULL) {
        size_t len = (size_t)(found - piece->at);
        struct str content = str_slice(*piece, 0, len);
        *piece = str_skip(*piece, len + parser->delimiter_len);
        return emit(parser, content, error) && delimiter_found(parser, error);
    }
    size_t kept = tail_match(parser, *piece);
    struct str content = str_slice(*piece, 0, piece->len - kept);
    *piece = STR("");
    parser->matched = (uint32_t)kept;
    return emit(parser, content, error);
}

/* ---- the line of a delimiter and the headers behind it ---- */

static bool feed_delimiter_line(struct multipart *parser, char c, struct error *error)
{
    bool blank = c == ' ' || c == '\t';
    if (parser->state == STATE_AFTER_DELIMITER && c == '-') {
        parser->state = STATE_AFTER_DASH;
    } else if (parser->state == STATE_AFTER_DASH && c == '-') {
        parser->state = STATE_EPILOGUE;
    } else if ((parser->state == STATE_AFTER_DELIMITER || parser->state == STATE_PADDING) && blank) {
        parser->state = STATE_PADDING;
        return skip_bytes(parser, 1, error);
    } else if ((parser->state == STATE_AFTER_DELIMITER || parser->state == STATE_PADDING) && c == '\r') {
        parser->state = STATE_LINE_FEED;
    } else if (parser->state == STATE_LINE_FEED && c == '\n') {
        parser->state = STATE_HEADERS;
        parser->header_len = 0;
    } else {
        return FAIL(error, ERROR_STRUCTURE, "a boundary line of the multipart body has something behind it");
    }
    return true;
}

static bool keep_header(struct multipart_part *part, struct str name, struct str value, struct error *error)
{
    struct str *slot = NULL;
    if (str_equal_ignore_case(name, STR("Content-Type"))) {
        slot = &part->content_type;
    } else if (str_equal_ignore_case(name, STR("Content-Location"))) {
        slot = &part->content_location;
    } else if (str_equal_ignore_case(name, STR("Content-Disposition"))) {
        slot = &part->content_disposition;
    } else if (str_equal_ignore_case(name, STR("Content-ID"))) {
        slot = &part->content_id;
    } else if (str_equal_ignore_case(name, STR("Content-Transfer-Encoding"))) {
        return str_equal_ignore_case(value, STR("binary")) || str_equal_ignore_case(value, STR("8bit")) ||
               str_equal_ignore_case(value, STR("7bit")) ||
               FAIL(error, ERROR_UNSUPPORTED, "a part's Content-Transfer-Encoding must be binary");
    }
    if (slot != NULL && slot->at != NULL) {
        return FAIL(error, ERROR_STRUCTURE, "a part of the multipart body has a header twice");
    }
    if (slot != NULL) {
        *slot = value;
    }
    return true;
}

static bool parse_header_line(struct multipart_part *part, struct str line, struct error *error)
{
    size_t colon = str_find_char(line, ':');
    bool valid = colon > 0 && colon < line.len;
    for (size_t i = 0; valid && i < line.len; i++) {
        unsigned char c = (unsigned char)line.at[i];
        valid = i < colon ? is_token_char(line.at[i]) : (c >= 0x20 && c != 0x7f) || c == '\t';
    }
    if (!valid) {
        return FAIL(error, ERROR_STRUCTURE, "a part of the multipart body has a malformed header");
    }
    return keep_header(part, str_slice(line, 0, colon), str_trim(str_skip(line, colon + 1)), error);
}

static bool headers_done(struct multipart *parser, struct error *error)
{
    struct multipart_part part = { .index = parser->parts_count };
    struct str rest = { parser->header, parser->header_len };
    size_t lines_count = 0;
    while (rest.len > LINE_START) {
        size_t end = str_find(rest, STR("\r\n"));
        if (++lines_count > MULTIPART_HEADERS_MAX) {
            return FAIL(error, ERROR_TOO_LARGE, "a part has more than %d headers",
                        (int)MULTIPART_HEADERS_MAX);
        }
        if (!parse_header_line(&part, str_slice(rest, 0, end), error)) {
            return false;
        }
        rest = str_skip(rest, end + LINE_START);
    }
    if (++parser->parts_count > MULTIPART_PARTS_MAX) {
        return FAIL(error, ERROR_TOO_LARGE, "more than %d parts", (int)MULTIPART_PARTS_MAX);
    }
    parser->state = STATE_DATA;
    /* The empty line's end may be the CR LF of the next delimiter: then the content is empty. */
    parser->matched = LINE_START;
    parser->virtual_bytes = LINE_START;
    return parser->handler->begin(parser->handler->data, &part, error);
}

static bool feed_header(struct multipart *parser, char c, struct error *error)
{
    if (parser->header_len == sizeof parser->header) {
        return FAIL(error, ERROR_TOO_LARGE, "a part has more than %d bytes of headers",
                    (int)MULTIPART_HEADER_BYTES_MAX);
    }
    parser->header[parser->header_len++] = c;
    struct str header = { parser->header, parser->header_len };
    bool done = str_equal(header, STR("\r\n")) || str_ends_with(header, STR("\r\n\r\n"));
    return !done || headers_done(parser, error);
}

/* ---- feeding ---- */

bool multipart_feed(struct multipart *parser, struct str piece, struct error *error)
{
    bool ok = true;
    while (ok && piece.len > 0) {
        switch ((enum state)parser->state) {
        case STATE_PREAMBLE:
        case STATE_DATA:
            ok = feed_content(parser, &piece, error);
            break;
        case STATE_AFTER_DELIMITER:
        case STATE_AFTER_DASH:
        case STATE_PADDING:
        case STATE_LINE_FEED:
            ok = feed_delimiter_line(parser, piece.at[0], error);
            piece = str_skip(piece, 1);
            break;
        case STATE_HEADERS:
            ok = feed_header(parser, piece.at[0], error);
            piece = str_skip(piece, 1);
            break;
        case STATE_EPILOGUE:
            ok = skip_bytes(parser, piece.len, error);
            piece = STR("");
            break;
        }
    }
    return ok;
}

bool multipart_finish(struct multipart *parser, struct error *error)
{
    return parser->state == STATE_EPILOGUE ||
           FAIL(error, ERROR_STRUCTURE, "the multipart body ends before its closing boundary");
}
