#include "view/view_set.h"

#include <stdatomic.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/parse.h"
#include "store/body.h"

enum { VIEWS_MAX = 64, FILL_STEP_VERSIONS = 200 };

struct kept_view {
    struct view *view;
    const struct json *definition;
    struct str name;
    enum store_value_kind *kinds;
    _Atomic uint64_t filled_seq; /* UINT64_MAX: wholly */
};

struct view_set {
    struct arena *arena;
    struct store *store;
    int offset_minutes;
    struct kept_view views[VIEWS_MAX];
    size_t count;
};

static bool no_memory(struct error *error)
{
    return FAIL(error, ERROR_TOO_LARGE, "the views need more memory than they may use");
}

bool view_set_open(struct arena *arena, struct store *store, int offset_minutes, struct view_set **set,
                   struct error *error)
{
    struct view_set *made = ARENA_NEW(arena, struct view_set);
    if (made == NULL) {
        return no_memory(error);
    }
    *made = (struct view_set){ .arena = arena, .store = store, .offset_minutes = offset_minutes };
    *set = made;
    return true;
}

static const struct kept_view *find(const struct view_set *set, struct str name)
{
    for (size_t i = 0; set != NULL && i < set->count; i++) {
        if (str_equal(set->views[i].name, name)) {
            return &set->views[i];
        }
    }
    return NULL;
}

const struct view *view_set_find(const struct view_set *set, struct str name)
{
    const struct kept_view *kept = find(set, name);
    return kept == NULL ? NULL : kept->view;
}

const struct json *view_set_definition(const struct view_set *set, struct str name)
{
    const struct kept_view *kept = find(set, name);
    return kept == NULL ? NULL : kept->definition;
}

static enum store_value_kind kind_of_type(struct str type)
{
    static const struct {
        const char *type;
        enum store_value_kind kind;
    } kinds[] = {
        { "boolean", STORE_VALUE_INTEGER },     { "integer", STORE_VALUE_INTEGER },
        { "positiveInt", STORE_VALUE_INTEGER }, { "unsignedInt", STORE_VALUE_INTEGER },
        { "decimal", STORE_VALUE_REAL },        { "date", STORE_VALUE_INTEGER },
        { "dateTime", STORE_VALUE_INTEGER },    { "instant", STORE_VALUE_INTEGER },
    };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (str_equal_cstr(type, kinds[i].type)) {
            return kinds[i].kind;
        }
    }
    return STORE_VALUE_TEXT;
}

static bool define_table(struct view_set *set, struct kept_view *kept, struct str text, bool known,
                         struct error *error)
{
    size_t count = 0;
    const struct view_column *columns = view_columns(kept->view, &count);
    struct store_column *made = ARENA_ARRAY(set->arena, struct store_column, count + 1);
    kept->kinds = ARENA_ARRAY(set->arena, enum store_value_kind, count + 1);
    if (made == NULL || kept->kinds == NULL) {
        return no_memory(error);
    }
    for (size_t i = 0; i < count; i++) {
        kept->kinds[i] = kind_of_type(columns[i].type);
        made[i] =
            (struct store_column){ .name = arena_cstr(set->arena, columns[i].name), .kind = kept->kinds[i] };
    }
    struct store_view definition = {
        .name = arena_cstr(set->arena, kept->name),
        .type = arena_cstr(set->arena, view_resource(kept->view)),
        .columns = made,
        .columns_count = count,
        .known = known,
        .digest = hash64(text, 0),
    };
    if (definition.name == NULL || definition.type == NULL) {
        return no_memory(error);
    }
    uint64_t filled_seq = 0;
    bool ok = store_view_define(set->store, &definition, &filled_seq, error);
    atomic_store(&kept->filled_seq, filled_seq);
    return ok;
}

bool view_set_add(struct view_set *set, struct str text, struct error *error)
{
    struct json *definition = NULL;
    struct str kept_text = arena_dup(set->arena, text);
    if (set->count == VIEWS_MAX) {
        return FAIL(error, ERROR_TOO_LARGE, "more than %d views", VIEWS_MAX);
    }
    struct kept_view *kept = &set->views[set->count];
    if (!json_read(set->arena, kept_text, &definition, error) ||
        !view_compile(set->arena, definition, &kept->view, error)) {
        return false;
    }
    kept->definition = definition;
    kept->name = view_name(kept->view);
    bool known = json_is_true(JSON_GET(definition, "known"));
    if (kept->name.at == NULL) {
        return FAIL(error, ERROR_STRUCTURE, "a view that is kept needs a name");
    }
    if (!define_table(set, kept, kept_text, known, error)) {
        return false;
    }
    set->count++;
    return true;
}

/* The value of a column in the store's form; NULL when there is none or it does not fit the declared type. */
static struct store_value column_value(const struct view_set *set, struct arena *arena,
                                       enum store_value_kind kind, struct str type,
                                       const struct fhirpath_collection *value)
{
    static const struct store_value none = { .kind = STORE_VALUE_NULL };
    struct str text = value->count == 0 ? STR_NONE : fhirpath_item_text(arena, &value->items[0]);
    struct date_span span = { 0 };
    int64_t integer = 0;
    double real = 0;
    if (text.at == NULL) {
        return none;
    }
    if (kind == STORE_VALUE_TEXT) {
        return store_text(text);
    }
    if (kind == STORE_VALUE_REAL) {
        return parse_double(text, &real) ? store_real(real) : none;
    }
    if (str_equal(type, STR("boolean"))) {
        return store_integer(str_equal(text, STR("true")) ? 1 : 0);
    }
    if (str_equal(type, STR("date")) || str_equal(type, STR("dateTime")) || str_equal(type, STR("instant"))) {
        return date_parse(text, set->offset_minutes, &span, NULL) ? store_integer(span.from_ms) : none;
    }
    return parse_int64(text, INT64_MIN + 1, INT64_MAX, &integer) ? store_integer(integer) : none;
}

static bool fill_rows(const struct view_set *set, const struct kept_view *kept, struct arena *arena,
                      const struct json *resource, struct store_view_rows *out, struct error *error)
{
    size_t columns_count = 0;
    struct view_rows rows = { 0 };
    struct view_input input = { .resource = resource, .offset_minutes = set->offset_minutes };
    const struct view_column *columns = view_columns(kept->view, &columns_count);
    *out = (struct store_view_rows){ .view = kept->name, .columns_count = columns_count };
    if (resource == NULL) {
        return true;
    }
    if (!view_evaluate(kept->view, arena, &input, &rows, error)) {
        return false;
    }
    struct store_value *values = ARENA_ARRAY(arena, struct store_value, rows.count * columns_count + 1);
    if (values == NULL) {
        return no_memory(error);
    }
    out->values = values;
    for (const struct view_row *row = rows.first; row != NULL; row = row->next) {
        for (size_t i = 0; i < columns_count; i++) {
            *values++ = column_value(set, arena, kept->kinds[i], columns[i].type, &row->values[i]);
        }
        out->rows_count++;
    }
    return true;
}

bool view_set_rows(const struct view_set *set, struct arena *arena, struct str type,
                   const struct json *resource, struct store_view_rows **rows, size_t *count,
                   struct error *error)
{
    struct store_view_rows *made = ARENA_ARRAY(arena, struct store_view_rows, set->count + 1);
    size_t made_count = 0;
    if (made == NULL) {
        return no_memory(error);
    }
    for (size_t i = 0; i < set->count; i++) {
        if (!str_equal(view_resource(set->views[i].view), type)) {
            continue;
        }
        if (!fill_rows(set, &set->views[i], arena, resource, &made[made_count++], error)) {
            return false;
        }
    }
    *rows = made;
    *count = made_count;
    return true;
}

/* ---- back-fill ---- */

static bool refill_page(struct view_set *set, struct kept_view *kept, struct arena *arena,
                        const struct store_page *page, struct error *error)
{
    struct store_refill *refills = ARENA_ARRAY(arena, struct store_refill, page->count + 1);
    struct store_view_rows *rows = ARENA_ARRAY(arena, struct store_view_rows, page->count + 1);
    size_t count = 0;
    if (refills == NULL || rows == NULL) {
        return no_memory(error);
    }
    for (size_t i = 0; i < page->count; i++) {
        const struct store_version *version = &page->versions[i];
        struct str text = STR_NONE;
        struct json *resource = NULL;
        if (version->ended_seq != 0 || version->method == STORE_METHOD_DELETED) {
            continue;
        }
        if (!store_body_text(arena, version, &text, error) || !json_read(arena, text, &resource, error) ||
            !fill_rows(set, kept, arena, resource, &rows[count], error)) {
            return false;
        }
        refills[count] =
            (struct store_refill){ .seq = version->seq, .view_rows = &rows[count], .view_rows_count = 1 };
        count++;
    }
    struct store_set refill = { .arena = arena, .refills = refills, .refills_count = count };
    return count == 0 || store_write_and_wait(set->store, &refill, error);
}

static bool fill_view(struct view_set *set, struct kept_view *kept, struct arena *arena, bool *done,
                      struct error *error)
{
    struct store_reader *reader = NULL;
    struct store_page page = { 0 };
    if (!store_reader_begin(set->store, &reader, error)) {
        return false;
    }
    bool ok = store_read_feed(reader, arena, kept->filled_seq, view_resource(kept->view), FILL_STEP_VERSIONS,
                              false, &page, error);
    uint64_t reached = page.more ? page.next_seq : store_reader_seq(reader);
    store_reader_end(reader);
    if (!ok || !refill_page(set, kept, arena, &page, error) ||
        !store_view_set_filled(set->store, kept->name, reached, error)) {
        return false;
    }
    kept->filled_seq = reached;
    *done = !page.more;
    return true;
}

bool view_set_fill(struct view_set *set, bool *done, struct error *error)
{
    *done = true;
    for (size_t i = 0; i < set->count && *done; i++) {
        /* Versions after the definition brought their own rows: a view is behind only until it met the feed once. */
        if (set->views[i].filled_seq == UINT64_MAX) {
            continue;
        }
        struct arena arena = { .bytes_max = LIMIT_REQUEST_ARENA_BYTES };
        bool ok = fill_view(set, &set->views[i], &arena, done, error);
        arena_deinit(&arena);
        if (!ok) {
            return false;
        }
        if (*done) {
            set->views[i].filled_seq = UINT64_MAX;
        }
    }
    return true;
}

bool view_set_progress(const struct view_set *set, size_t at, struct str *name, unsigned *per_mille)
{
    if (at >= set->count) {
        return false;
    }
    uint64_t filled = atomic_load(&set->views[at].filled_seq);
    uint64_t all = store_seq(set->store);
    *name = set->views[at].name;
    *per_mille = filled >= all ? 1000 : (unsigned)(filled * 1000 / all);
    return true;
}
