/* Searches that look into texts: _text, _content and :text (R4 3.1.1.4.10, 3.1.1.4.5). */
#include "base/hash.h"
#include "base/limits.h"
#include "fhir/search_internal.h"

enum { TERMS_MAX = 16 };

static bool bad_terms(struct str name, struct error *error)
{
    return FAIL(error, ERROR_INPUT,
                "the value of '%.*s' must be at most %d words, \"phrases\" in quotes, OR between them",
                STR_FMT(name), TERMS_MAX);
}

/* The phrase under every number of rows that answers. */
static bool add_phrase(struct search_parse *parse, struct str phrase, const uint32_t *numbers, size_t count,
                       struct search_values *list, struct error *error)
{
    for (size_t i = 0; i < count; i++) {
        struct search_value value = { .test = SEARCH_TEST_WORDS, .parameter = numbers[i], .text = phrase };
        if (!search_values_add(parse, list, value, error)) {
            return false;
        }
    }
    return true;
}

/* _content also has what the words of codes and the narrative have (index_words.c stores those once). */
static bool numbers_of(struct search_parse *parse, struct str type, struct str code, uint32_t **numbers,
                       size_t *count, struct error *error)
{
    const struct str levels[] = { type, STR("DomainResource"), STR("Resource") };
    bool content = str_equal(code, STR("_content"));
    size_t room = 2;
    for (size_t i = 0; i < 3; i++) {
        size_t own = 0;
        (void)model_search_list(levels[i], &own);
        room += own;
    }
    *numbers = ARENA_ARRAY(parse->arena, uint32_t, room);
    if (*numbers == NULL) {
        return search_no_memory(error);
    }
    *count = 0;
    (*numbers)[(*count)++] = hash_parameter(type, STR("_text"));
    if (content) {
        (*numbers)[(*count)++] = hash_parameter(type, STR("_content"));
    }
    for (size_t i = 0; i < 3 && content; i++) {
        size_t own = 0;
        const struct model_search_parameter *list = model_search_list(levels[i], &own);
        for (size_t k = 0; k < own; k++) {
            if (list[k].kind == MODEL_SEARCH_TOKEN) {
                (*numbers)[(*count)++] = index_parameter_with(type, list[k].code, STR("text"));
            }
        }
    }
    return true;
}

/* The next word or quoted phrase of "a "b c" d". */
static bool next_term(struct str *rest, struct str *term, bool *quoted)
{
    *rest = str_trim(*rest);
    if (rest->len == 0) {
        return false;
    }
    *quoted = rest->at[0] == '"';
    if (*quoted) {
        *rest = str_skip(*rest, 1);
    }
    size_t end = str_find_char(*rest, *quoted ? '"' : ' ');
    *term = str_slice(*rest, 0, end);
    *rest = str_skip(*rest, end + 1);
    return true;
}

struct term_reader {
    struct str type;
    struct str code;
    const uint32_t *numbers;
    size_t numbers_count;
};

/* The terms up to an OR or the end, all of which must be there, as an alternative of the group. */
static bool read_alternative(struct search_parse *parse, const struct term_reader *reader, struct str *rest,
                             struct search_criteria *group, struct error *error)
{
    struct search_criteria *tests = ARENA_ARRAY(parse->arena, struct search_criteria, TERMS_MAX);
    struct str term = STR_NONE;
    bool quoted = false;
    size_t count = 0;
    if (tests == NULL) {
        return search_no_memory(error);
    }
    while (next_term(rest, &term, &quoted) && (quoted || !str_equal(term, STR("OR")))) {
        struct search_values list = { 0 };
        struct str phrase = index_words(parse->arena, term);
        bool joined = !quoted && str_equal_ignore_case(term, STR("and"));
        if (phrase.at == NULL) {
            return search_no_memory(error);
        }
        if (phrase.len == 0 || joined) {
            continue;
        }
        if (count == TERMS_MAX) {
            return bad_terms(reader->code, error);
        }
        if (!add_phrase(parse, phrase, reader->numbers, reader->numbers_count, &list, error)) {
            return false;
        }
        tests[count] = (struct search_criteria){ .kind = SEARCH_VALUES,
                                                 .type = reader->type,
                                                 .code = reader->code,
                                                 .rows = INDEX_KEY,
                                                 .values = list.values,
                                                 .values_count = list.count };
        if (count > 0) {
            tests[count - 1].next = &tests[count];
        }
        count++;
    }
    return count > 0 ? search_group_add(parse, group, STR_NONE, tests, error)
                     : bad_terms(reader->code, error);
}

bool search_words_parse(struct search_parse *parse, struct str type, const struct search_pair *pair,
                        struct search_criteria *criteria, struct error *error)
{
    struct term_reader reader = { .type = type, .code = pair->name };
    uint32_t *numbers = NULL;
    struct str rest = pair->value;
    struct str part = STR_NONE;
    if (!numbers_of(parse, type, pair->name, &numbers, &reader.numbers_count, error)) {
        return false;
    }
    reader.numbers = numbers;
    while (search_split(&rest, ',', &part)) {
        struct str terms = search_unescape(parse->arena, part);
        do {
            if (criteria->links_count == LIMIT_SEARCH_VALUES) {
                return bad_terms(pair->name, error);
            }
            if (!read_alternative(parse, &reader, &terms, criteria, error)) {
                return false;
            }
        } while (terms.len > 0);
    }
    return true;
}

bool search_code_words(struct search_parse *parse, const struct search_target *target, struct str text,
                       struct search_values *list, struct error *error)
{
    struct str phrase = index_words(parse->arena, search_unescape(parse->arena, text));
    uint32_t number = index_parameter_with(target->type, target->parameter->code, STR("text"));
    if (phrase.at == NULL) {
        return search_no_memory(error);
    }
    return phrase.len > 0
               ? add_phrase(parse, phrase, &number, 1, list, error)
               : FAIL(error, ERROR_INPUT, "the value of '%.*s' must be words", STR_FMT(target->name));
}
