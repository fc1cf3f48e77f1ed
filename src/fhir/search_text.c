/* A search as text: read from a policy or a conditional request, written as the self link. */
#include "base/limits.h"
#include "fhir/search_internal.h"

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* STR_NONE for a broken escape or ill-formed UTF-8. */
static struct str decode(struct arena *arena, struct str text)
{
    char *out = arena_alloc(arena, text.len + 1);
    size_t len = 0;
    for (size_t i = 0; out != NULL && i < text.len; i++) {
        char c = text.at[i] == '+' ? ' ' : text.at[i];
        if (c == '%') {
            int high = i + 2 < text.len ? hex_digit(text.at[i + 1]) : -1;
            int low = i + 2 < text.len ? hex_digit(text.at[i + 2]) : -1;
            if (high < 0 || low < 0) {
                return STR_NONE;
            }
            c = (char)(high * 16 + low);
            i += 2;
        }
        out[len++] = c;
    }
    struct str decoded = { out, len };
    return out != NULL && str_is_utf8(decoded) ? decoded : STR_NONE;
}

bool search_pairs_decode(struct arena *arena, struct str text, struct search_pair **pairs, size_t *count,
                         struct error *error)
{
    struct search_pair *list = ARENA_ARRAY(arena, struct search_pair, LIMIT_SEARCH_PARAMETERS);
    struct str rest = text;
    struct str part = STR_NONE;
    size_t found = 0;
    if (list == NULL) {
        return search_no_memory(error);
    }
    while (text.len > 0 && str_split_next(&rest, '&', &part)) {
        if (part.len == 0) {
            continue;
        }
        if (found == LIMIT_SEARCH_PARAMETERS) {
            return FAIL(error, ERROR_TOO_COSTLY, "a search has more than %d parameters",
                        LIMIT_SEARCH_PARAMETERS);
        }
        size_t equals = str_find_char(part, '=');
        struct search_pair pair = { decode(arena, str_slice(part, 0, equals)),
                                    decode(arena, str_skip(part, equals + 1)) };
        if (pair.name.at == NULL || pair.value.at == NULL) {
            return FAIL(error, ERROR_INPUT, "the search text is not well percent-encoded UTF-8");
        }
        list[found++] = pair;
    }
    *pairs = list;
    *count = found;
    return true;
}

bool search_query_parse_text(struct arena *arena, const struct search_options *options, struct str text,
                             struct search_query *query, struct error *error)
{
    size_t mark = str_find_char(text, '?');
    struct str type = mark < text.len ? str_slice(text, 0, mark) : STR_NONE;
    struct str rest = mark < text.len ? str_skip(text, mark + 1) : text;
    if (type.len > 0 && !str_equal(type, options->type)) {
        return FAIL(error, ERROR_INPUT, "the search is over another type than %.*s", STR_FMT(options->type));
    }
    struct search_pair *pairs = NULL;
    size_t count = 0;
    return search_pairs_decode(arena, rest, &pairs, &count, error) &&
           search_query_parse(arena, options, pairs, count, query, error);
}

/* RFC 3986: unreserved characters and those that FHIR uses in queries and that a query may hold. */
static void encode(struct buf *buf, struct str text)
{
    static const char plain[] = "-._~:,/$*@!";
    for (size_t i = 0; i < text.len; i++) {
        char c = text.at[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (letter || (c != '\0' && strchr(plain, c) != NULL)) {
            buf_add_char(buf, c);
        } else {
            buf_printf(buf, "%%%02X", (unsigned char)c);
        }
    }
}

struct str search_query_self(struct arena *arena, const struct search_query *query)
{
    struct buf buf = { .bytes_max = 4 * LIMIT_URL_BYTES };
    for (size_t i = 0; i < query->pairs_count; i++) {
        buf_add(&buf, i == 0 ? STR("") : STR("&"));
        encode(&buf, query->pairs[i].name);
        buf_add_char(&buf, '=');
        encode(&buf, query->pairs[i].value);
    }
    struct str text = buf.failed ? STR_NONE : arena_dup(arena, buf_str(&buf));
    buf_deinit(&buf);
    return text;
}
