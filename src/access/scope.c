#include "access/scope.h"

#include "base/buf.h"
#include "fhir/search_query.h"
#include "model/model.h"

/* ---- reading one ---- */

static const struct {
    char letter;
    unsigned act;
} letters[] = { { 'c', SCOPE_CREATE },
                { 'r', SCOPE_READ },
                { 'u', SCOPE_UPDATE },
                { 'd', SCOPE_DELETE },
                { 's', SCOPE_SEARCH } };

enum { LETTERS_COUNT = sizeof letters / sizeof *letters };

/* A subset of "cruds" in this order, or a word of version 1 of the standard ("permission-v1"). */
static unsigned acts_read(struct str text)
{
    unsigned acts = 0;
    size_t at = 0;
    if (str_equal(text, STR("read"))) {
        return SCOPE_READ | SCOPE_SEARCH;
    }
    if (str_equal(text, STR("write"))) {
        return SCOPE_CREATE | SCOPE_UPDATE | SCOPE_DELETE;
    }
    if (str_equal(text, STR("*"))) {
        return SCOPE_EVERYTHING;
    }
    for (size_t i = 0; i < LETTERS_COUNT; i++) {
        if (at < text.len && text.at[at] == letters[i].letter) {
            acts |= letters[i].act;
            at++;
        }
    }
    return at == text.len ? acts : 0;
}

/* What rows alone can answer: the same must be asked of what is written, before it is stored. */
static bool criteria_plain(const struct search_criteria *criteria)
{
    for (; criteria != NULL; criteria = criteria->next) {
        bool plain = criteria->kind == SEARCH_VALUES || criteria->kind == SEARCH_MISSING ||
                     criteria->kind == SEARCH_ID || criteria->kind == SEARCH_UPDATED;
        if (!plain) {
            return false;
        }
    }
    return true;
}

/* Parameters of a result (_sort, _include, _count …) say nothing about which resources are meant. */
static bool pairs_plain(struct str query)
{
    static const struct str common[] = { { "_id", 3 },      { "_lastUpdated", 12 }, { "_tag", 4 },
                                         { "_profile", 8 }, { "_security", 9 },     { "_source", 7 } };
    struct str pair = STR_NONE;
    while (str_split_next(&query, '&', &pair)) {
        struct str name = str_slice(pair, 0, str_find_char(pair, '='));
        name = str_slice(name, 0, str_find_char(name, ':'));
        bool known = name.len > 0 && name.at[0] != '_' && name.at[0] != '%';
        for (size_t i = 0; i < sizeof common / sizeof *common; i++) {
            known = known || str_equal(name, common[i]);
        }
        if (!known) {
            return false;
        }
    }
    return true;
}

static bool query_fits(struct arena *arena, const struct scope *scope)
{
    struct search_query query = { 0 };
    struct error ignored = { 0 };
    const struct search_options options = { .type = scope->type, .offset_minutes = 480 };
    if (scope->query.at == NULL) {
        return true;
    }
    return !str_equal(scope->type, STR("*")) && pairs_plain(scope->query) &&
           search_query_parse_text(arena, &options, scope->query, &query, &ignored) &&
           query.criteria != NULL && criteria_plain(query.criteria);
}

static bool scope_read(struct arena *arena, struct str text, struct scope *scope)
{
    static const struct str contexts[] = {
        [SCOPE_PATIENT] = { "patient/", 8 }, [SCOPE_USER] = { "user/", 5 }, [SCOPE_SYSTEM] = { "system/", 7 }
    };
    size_t context = 0;
    while (context < 3 && !str_starts_with(text, contexts[context])) {
        context++;
    }
    if (context == 3) {
        return false;
    }
    size_t question = str_find_char(text, '?');
    struct str plain = str_skip(str_slice(text, 0, question), contexts[context].len);
    size_t dot = str_find_char(plain, '.');
    *scope = (struct scope){ .context = (enum scope_context)context,
                             .type = str_slice(plain, 0, dot),
                             .acts = acts_read(str_skip(plain, dot + 1)),
                             .query = question < text.len ? str_skip(text, question + 1) : STR_NONE,
                             .text = text };
    bool known = str_equal(scope->type, STR("*")) || model_resource_find(scope->type) != NULL;
    return known && scope->acts != 0 && query_fits(arena, scope);
}

/* ---- the list ---- */

static bool word_read(struct str word, struct scope_list *list)
{
    const struct {
        struct str word;
        bool *said;
    } words[] = { { STR("openid"), &list->openid },
                  { STR("fhirUser"), &list->fhir_user },
                  { STR("offline_access"), &list->offline },
                  { STR("online_access"), &list->online },
                  { STR("launch"), &list->launch },
                  { STR("launch/patient"), &list->launch_patient },
                  { STR("launch/encounter"), &list->launch_encounter } };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (str_equal(words[i].word, word)) {
            *words[i].said = true;
            return true;
        }
    }
    return false;
}

/* "Patient.r Patient.s" is "Patient.rs" (scope equivalence). */
static bool scope_merge(struct scope_list *list, const struct scope *scope)
{
    for (size_t i = 0; i < list->count; i++) {
        struct scope *before = &list->scopes[i];
        if (before->context == scope->context && str_equal(before->type, scope->type) &&
            str_equal(before->query, scope->query) && before->acts == (before->acts | scope->acts)) {
            return true;
        }
    }
    return false;
}

/* Letters that stand in several scopes of one reach count together. */
static void acts_join(struct scope_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        for (size_t k = 0; k < list->count; k++) {
            struct scope *a = &list->scopes[i];
            const struct scope *b = &list->scopes[k];
            if (a->context == b->context && str_equal(a->type, b->type) && str_equal(a->query, b->query)) {
                a->acts |= b->acts;
            }
        }
    }
}

bool scope_list_read(struct arena *arena, struct str text, struct scope_list *list, struct error *error)
{
    struct scope_list made = { .scopes = ARENA_ARRAY(arena, struct scope, SCOPES_MAX),
                               .ignored = ARENA_ARRAY(arena, struct str, SCOPES_MAX) };
    struct str word = STR_NONE;
    if (made.scopes == NULL || made.ignored == NULL) {
        return FAIL(error, ERROR_TOO_LARGE, "request memory used up");
    }
    if (text.len > SCOPE_BYTES_MAX) {
        return FAIL(error, ERROR_RULE, "a list of scopes has at most %d bytes", SCOPE_BYTES_MAX);
    }
    while (text.at != NULL && str_split_next(&text, ' ', &word)) {
        struct scope scope;
        if (word.len == 0 || word_read(word, &made)) {
            continue;
        }
        if (made.count == SCOPES_MAX || made.ignored_count == SCOPES_MAX) {
            return FAIL(error, ERROR_RULE, "more than %d scopes are asked for", SCOPES_MAX);
        }
        if (!scope_read(arena, word, &scope)) {
            made.ignored[made.ignored_count++] = word;
        } else if (!scope_merge(&made, &scope)) {
            made.scopes[made.count++] = scope;
            made.launch_patient = made.launch_patient || scope.context == SCOPE_PATIENT;
        }
    }
    acts_join(&made);
    *list = made;
    return true;
}

struct str scope_list_text(struct arena *arena, const struct scope_list *list, const bool *kept)
{
    struct buf buf = { .bytes_max = SCOPE_BYTES_MAX + 64 };
    const struct {
        const char *word;
        bool said;
    } words[] = { { "openid", list->openid },
                  { "fhirUser", list->fhir_user },
                  { "launch", list->launch },
                  { "launch/patient", list->launch_patient },
                  { "launch/encounter", list->launch_encounter },
                  { "offline_access", list->offline },
                  { "online_access", list->online && !list->offline } };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (words[i].said) {
            buf_printf(&buf, "%s%s", buf.len == 0 ? "" : " ", words[i].word);
        }
    }
    for (size_t i = 0; i < list->count; i++) {
        if (kept == NULL || kept[i]) {
            buf_add(&buf, buf.len == 0 ? STR("") : STR(" "));
            buf_add(&buf, list->scopes[i].text);
        }
    }
    struct str text = buf.failed ? STR_NONE : arena_dup(arena, buf.len == 0 ? STR("") : buf_str(&buf));
    buf_deinit(&buf);
    return text;
}

/* ---- what they reach ---- */

bool scope_covers(const struct scope *scope, struct str type, unsigned acts, bool whole)
{
    bool of_type = str_equal(scope->type, STR("*")) || str_equal(scope->type, type);
    bool narrowed = scope->context == SCOPE_PATIENT || scope->query.at != NULL;
    return of_type && (scope->acts & acts) == acts && !(whole && narrowed);
}

unsigned scope_acts_of(enum access_interaction interaction)
{
    static const unsigned acts[] = {
        [ACCESS_READ] = SCOPE_READ,
        [ACCESS_SEARCH] = SCOPE_SEARCH,
        [ACCESS_HISTORY] = SCOPE_READ | SCOPE_SEARCH,
        [ACCESS_CREATE] = SCOPE_CREATE,
        [ACCESS_UPDATE] = SCOPE_UPDATE,
        [ACCESS_DELETE] = SCOPE_DELETE,
        [ACCESS_OPERATION] = 0,
    };
    return acts[interaction];
}

static bool any_covers(const struct scope_list *list, struct str type, unsigned acts, bool whole)
{
    for (size_t i = 0; i < list->count; i++) {
        if (scope_covers(&list->scopes[i], type, acts, whole)) {
            return true;
        }
    }
    return false;
}

bool scope_list_has_operation(const struct scope_list *list, struct str operation, struct str type)
{
    /* A step of a workflow writes many types with the workflow's authority: only who may write all of them. */
    static const struct {
        struct str name;
        unsigned acts;
        bool every_type;
    } operations[] = {
        { { "$everything", 11 }, SCOPE_READ | SCOPE_SEARCH, false },
        { { "$validate", 9 }, SCOPE_CREATE, false },
        { { "$validate", 9 }, SCOPE_UPDATE, false },
        { { "$import", 7 }, SCOPE_CREATE, false },
        { { "$import", 7 }, SCOPE_UPDATE, false },
        { { "$expand", 7 }, SCOPE_READ, false },
        { { "$validate-code", 14 }, SCOPE_READ, false },
        { { "$lookup", 7 }, SCOPE_READ, false },
        { { "$subsumes", 9 }, SCOPE_READ, false },
        { { "$translate", 10 }, SCOPE_READ, false },
        { { "$transitions", 12 }, SCOPE_READ | SCOPE_SEARCH, true },
        { { "$transition", 11 }, SCOPE_CREATE | SCOPE_READ | SCOPE_UPDATE | SCOPE_SEARCH, true },
    };
    for (size_t i = 0; i < sizeof operations / sizeof *operations; i++) {
        bool every = operations[i].every_type;
        if (str_equal(operations[i].name, operation) &&
            any_covers(list, every ? STR("*") : type, operations[i].acts, every)) {
            return true;
        }
    }
    return false;
}

bool scope_list_has_right(const struct scope_list *list, struct str right)
{
    /* Types as asked by the handlers themselves; `whole` where a handler has no filter of its own. */
    static const struct {
        struct str right;
        struct str type; /* "" = some type; the handler asks for each */
        unsigned acts;
        bool whole;
    } rights[] = {
        { { "dicom-read", 10 }, { "ImagingStudy", 12 }, SCOPE_READ | SCOPE_SEARCH, false },
        { { "dicom-send", 10 }, { "ImagingStudy", 12 }, SCOPE_CREATE, true },
        { { "audit", 5 }, { "AuditEvent", 10 }, SCOPE_READ | SCOPE_SEARCH, true },
        { { "figures", 7 }, { "*", 1 }, SCOPE_READ | SCOPE_SEARCH, true },
        { { "reports", 7 }, { "*", 1 }, SCOPE_READ | SCOPE_SEARCH, true },
        { { "export", 6 }, { "", 0 }, SCOPE_SEARCH, false },
        { { "import", 6 }, { "", 0 }, SCOPE_CREATE, false },
    };
    for (size_t i = 0; i < sizeof rights / sizeof *rights; i++) {
        if (!str_equal(rights[i].right, right)) {
            continue;
        }
        for (size_t k = 0; k < list->count; k++) {
            struct str type = rights[i].type.len > 0 ? rights[i].type : list->scopes[k].type;
            if (scope_covers(&list->scopes[k], type, rights[i].acts, rights[i].whole)) {
                return true;
            }
        }
    }
    return false;
}
