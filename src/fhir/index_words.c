/* Texts to be looked into: narratives (_text), all that people wrote in a resource (_content), the words of codes
 * (:text), strings too long for the index (:contains). R4 3.1.1.4.10 leaves open what a text search finds; here a text
 * is cut into pieces, each kept once in the store with its grams: pairs of characters for Chinese, beginnings of words
 * else. */
#include "base/hash.h"
#include "base/limits.h"
#include "fhir/index_internal.h"

enum {
    SEED_WORDS = 10, /* part of the store's format, as the seeds of index_forms.c */
    PIECE_BYTES = 480,
    OVERLAP_BYTES = 48, /* a question of so many bytes is found across two pieces */
    GRAM_LETTERS = 7,
};

static bool is_word_letter(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* U+3000 … U+303F (、。「」) and U+FFFD are no letters. */
static bool is_wide_mark(const unsigned char *at, size_t left)
{
    return left >= 3 &&
           ((at[0] == 0xE3 && at[1] == 0x80) || (at[0] == 0xEF && at[1] == 0xBF && at[2] == 0xBD));
}

static size_t character_bytes(unsigned char first)
{
    if (first < 0x80) {
        return 1;
    }
    return first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
}

/* What a byte of plain ASCII is in words: itself in lower case, or 0 where it parts them. */
static char ascii_word_letter(char c)
{
    char lower = c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
    return is_word_letter((unsigned char)lower) ? lower : 0;
}

static bool is_ascii(struct str text)
{
    unsigned char all = 0;
    for (size_t i = 0; i < text.len; i++) {
        all |= (unsigned char)text.at[i];
    }
    return all < 0x80;
}

/* Most texts of codes: what index_normalise and the walk below make of them, in one go. */
static struct str ascii_words(struct arena *arena, struct str text)
{
    char *out = arena_alloc(arena, text.len + 1);
    size_t len = 0;
    if (out == NULL) {
        return STR_NONE;
    }
    for (size_t i = 0; i < text.len; i++) {
        char letter = ascii_word_letter(text.at[i]);
        if (letter != 0) {
            out[len++] = letter;
        } else if (len > 0 && out[len - 1] != ' ') {
            out[len++] = ' ';
        }
    }
    return (struct str){ out, len > 0 && out[len - 1] == ' ' ? len - 1 : len };
}

struct str index_words(struct arena *arena, struct str text)
{
    if (text.len <= PIECE_BYTES && is_ascii(text)) {
        return ascii_words(arena, text);
    }
    struct str normal = index_normalise(arena, text);
    char *out = normal.at == NULL ? NULL : arena_alloc(arena, 2 * normal.len + 1);
    size_t len = 0;
    bool blank = true;
    bool before_wide = false;
    if (out == NULL) {
        return STR_NONE;
    }
    for (size_t i = 0; i < normal.len;) {
        const unsigned char *at = (const unsigned char *)normal.at + i;
        size_t bytes = character_bytes(at[0]);
        bytes = bytes > normal.len - i ? normal.len - i : bytes;
        bool wide = at[0] >= 0x80;
        bool letter = wide ? !is_wide_mark(at, normal.len - i) : is_word_letter(at[0]);
        if ((!letter || wide != before_wide) && !blank) {
            out[len++] = ' ';
            blank = true;
        }
        if (letter) {
            memcpy(out + len, at, bytes);
            len += bytes;
            blank = false;
            before_wide = wide;
        }
        i += bytes;
    }
    return (struct str){ out, len > 0 && out[len - 1] == ' ' ? len - 1 : len };
}

uint64_t index_words_key(struct str text)
{
    uint64_t key = hash64(text, SEED_WORDS);
    return key == 0 ? 1 : key;
}

bool index_words_match(struct str text, struct str phrase)
{
    bool wide = phrase.len > 0 && (unsigned char)phrase.at[0] >= 0x80;
    for (struct str rest = text; rest.len >= phrase.len;) {
        size_t at = str_find(rest, phrase);
        if (at == rest.len) {
            return phrase.len == 0;
        }
        const char *found = rest.at + at;
        if (wide || found == text.at || found[-1] == ' ') {
            return true;
        }
        rest = str_skip(rest, at + 1);
    }
    return false;
}

/* ---- grams ---- */

static uint32_t code_point(const unsigned char *at, size_t bytes)
{
    static const uint8_t masks[] = { 0, 0x7F, 0x1F, 0x0F, 0x07 };
    uint32_t code = at[0] & masks[bytes];
    for (size_t i = 1; i < bytes; i++) {
        code = code << 6 | (at[i] & 0x3Fu);
    }
    return code;
}

#define WIDE_GRAM ((uint64_t)1 << 60)

/* Seven letters of a word, the rest zeros: words that begin alike lie beside each other. */
static struct index_gram word_gram(struct str word)
{
    uint64_t first = 0;
    uint64_t last = 0;
    for (size_t i = 0; i < GRAM_LETTERS; i++) {
        first = first << 8 | (i < word.len ? (unsigned char)word.at[i] : 0u);
        last = last << 8 | (i < word.len ? (unsigned char)word.at[i] : 0xFFu);
    }
    return (struct index_gram){ first, last };
}

static size_t wide_grams(struct str run, struct index_gram *grams, size_t max)
{
    size_t count = 0;
    uint32_t before = 0;
    for (size_t i = 0; i < run.len && count < max;) {
        size_t bytes = character_bytes((unsigned char)run.at[i]);
        bytes = bytes > run.len - i ? run.len - i : bytes;
        uint32_t code = code_point((const unsigned char *)run.at + i, bytes);
        if (i > 0) {
            uint64_t pair = WIDE_GRAM | (uint64_t)before << 21 | code;
            grams[count++] = (struct index_gram){ pair, pair };
        }
        before = code;
        i += bytes;
    }
    if (count < max) { /* the last character, with whatever follows it */
        uint64_t pair = WIDE_GRAM | (uint64_t)before << 21;
        grams[count++] = (struct index_gram){ pair, pair | 0x1FFFFF };
    }
    return count;
}

size_t index_grams(struct str text, struct index_gram *grams, size_t max)
{
    struct str rest = text;
    struct str run = STR_NONE;
    size_t count = 0;
    while (text.len > 0 && count < max && str_split_next(&rest, ' ', &run)) {
        if (run.len > 0 && (unsigned char)run.at[0] >= 0x80) {
            count += wide_grams(run, grams + count, max - count);
        } else if (run.len > 0) {
            grams[count++] = word_gram(run);
        }
    }
    return count;
}

/* ---- rows ---- */

static void add_piece(struct row_builder *builder, uint32_t parameter, struct str text)
{
    if (text.at == NULL) {
        builder->failed = true;
        return;
    }
    uint64_t key = index_words_key(text);
    for (size_t i = 0; i < builder->count; i++) {
        const struct index_row *row = &builder->rows[i];
        if (row->words && row->key == key && (builder->words_once || row->parameter == parameter)) {
            return;
        }
    }
    if (text.len > 0 && builder->words_count < LIMIT_STORE_WORD_PIECES) {
        builder->words_count++;
        rows_add(builder,
                 (struct index_row){
                     .kind = INDEX_KEY, .parameter = parameter, .key = key, .text = text, .words = true });
    }
}

static size_t character_start(struct str text, size_t at)
{
    while (at > 0 && at < text.len && ((unsigned char)text.at[at] & 0xC0) == 0x80) {
        at--;
    }
    return at;
}

/* Where a piece counts once for all parameters, a text that was cut before has nothing new: the display of a code stands under
 * its own parameter, and _content comes to the same slice of the source again. */
static bool words_known(struct row_builder *builder, uint32_t parameter, struct str text, bool exact)
{
    for (size_t i = 0; builder->words_once && i < builder->texts_count; i++) {
        if (builder->texts[i].at == text.at && builder->texts[i].len == text.len) {
            return true;
        }
    }
    if (parameter != 0 && !exact && builder->texts_count < sizeof builder->texts / sizeof builder->texts[0]) {
        builder->texts[builder->texts_count++] = text;
    }
    return false;
}

void index_add_words(struct row_builder *builder, uint32_t parameter, struct str text, bool exact)
{
    if (words_known(builder, parameter, text, exact)) {
        return;
    }
    for (size_t from = 0; parameter != 0 && from < text.len && !builder->failed;) {
        size_t to = text.len - from > PIECE_BYTES ? character_start(text, from + PIECE_BYTES) : text.len;
        struct str piece = str_slice(text, from, to);
        add_piece(builder, parameter,
                  exact ? index_normalise(builder->arena, piece) : index_words(builder->arena, piece));
        from = to == text.len ? to : character_start(text, to - OVERLAP_BYTES);
    }
}

/* The text of a narrative: a blank for each tag, the entities of XML decoded. */
static struct str narrative_text(struct arena *arena, struct str div)
{
    static const struct {
        struct str name;
        char letter;
    } entities[] = { { { "&amp;", 5 }, '&' },  { { "&lt;", 4 }, '<' },   { { "&gt;", 4 }, '>' },
                     { { "&quot;", 6 }, '"' }, { { "&nbsp;", 6 }, ' ' }, { { "&apos;", 6 }, '\'' } };
    char *out = arena_alloc(arena, div.len + 1);
    size_t len = 0;
    bool tag = false;
    for (size_t i = 0; out != NULL && i < div.len; i++) {
        char c = div.at[i];
        if (c == '<' || (tag && c == '>')) {
            tag = c == '<';
            out[len++] = ' ';
            continue;
        }
        for (size_t e = 0; c == '&' && e < sizeof entities / sizeof *entities; e++) {
            if (str_starts_with(str_skip(div, i), entities[e].name)) {
                c = entities[e].letter;
                i += entities[e].name.len - 1;
            }
        }
        if (!tag) {
            out[len++] = c;
        }
    }
    return out == NULL ? STR_NONE : (struct str){ out, len };
}

static bool is_prose(const struct model_type *type)
{
    return type != NULL && (str_equal(type->name, STR("string")) || str_equal(type->name, STR("markdown")));
}

/* Strings of the model that are what a thing is known by, a unit or a row of figures: tokens and quantities are asked for
 * them, a text search is not (R4 3.1.1.4.10 leaves open what it looks at). Each is new with each resource, and a new piece
 * costs a random page for itself and one for each of its grams. */
static bool is_named_value(const struct model_type *owner, struct str element)
{
    static const struct {
        struct str owner;
        struct str element;
    } values[] = { { { "Identifier", 10 }, { "value", 5 } },
                   { { "ContactPoint", 12 }, { "value", 5 } },
                   { { "Quantity", 8 }, { "unit", 4 } },
                   { { "SampledData", 11 }, { "data", 4 } } };
    bool found = false;
    for (size_t i = 0; i < sizeof values / sizeof *values && !found; i++) {
        found = str_equal(values[i].element, element) && str_equal(values[i].owner, owner->name);
    }
    return found;
}

/* Every string and markdown below; codes, ids, references and dates are no prose. */
static void add_content(struct row_builder *builder, uint32_t parameter, const struct model_type *type,
                        const struct json *value, unsigned depth)
{
    if (depth > LIMIT_JSON_DEPTH || builder->failed) {
        return;
    }
    if (value->kind == JSON_STRING && is_prose(type)) {
        index_add_words(builder, parameter, json_text(builder->arena, value), false);
    }
    if (value->kind == JSON_ARRAY) {
        JSON_EACH(item, value) {
            add_content(builder, parameter, type, item, depth + 1);
        }
    }
    if (value->kind != JSON_OBJECT || (type != NULL && str_equal(type->name, STR("Reference")))) {
        return;
    }
    const struct json *inner = JSON_GET(value, "resourceType");
    const struct model_type *own =
        inner != NULL ? model_resource_find(json_text(builder->arena, inner)) : type;
    JSON_EACH(member, value) {
        const struct model_element *element = own == NULL ? NULL : model_element_find(own, member->name);
        if (element != NULL && !is_named_value(own, member->name)) {
            add_content(builder, parameter, element->type, member, depth + 1);
        }
    }
}

void index_resource_words(struct row_builder *builder, const struct json *resource)
{
    struct str type = JSON_TEXT(builder->arena, resource, "resourceType");
    struct str div = JSON_TEXT(builder->arena, JSON_GET(resource, "text"), "div");
    struct str text = div.len > 0 ? narrative_text(builder->arena, div) : STR_NONE;
    builder->section = builder->count;
    index_add_words(builder, hash_parameter(type, STR("_text")), text, false);
    builder->words_once = true; /* what is found by its own parameter needs no row more (search_words.c) */
    add_content(builder, hash_parameter(type, STR("_content")), NULL, resource, 0);
    builder->words_once = false;
}
