/* bulk_export.c — one NDJSON file after the other: type by type (and patient by patient of a group), page by page by
 * key, each page on a snapshot of its own (design.md section 3). After each file it is written down where the next one
 * begins, so a crash costs one file's work. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/uuid.h"
#include "feed/bulk_internal.h"
#include "fhir/search_query.h"
#include "model/model.h"
#include "store/body.h"
#include "store/search.h"

enum { FILE_RESOURCES = 100000, PAGE_RESOURCES = 500, PAGE_BYTES_MAX = 256 * 1024 * 1024 };

/* ---- the request ---- */

/* Whether an export of patients' records takes in the type at all (the R4 compartment of Patient). */
static bool is_asked(const struct bulk_export *request, struct str type)
{
    bool of_patients = request->patients || request->group.at != NULL;
    return !of_patients || str_equal(type, STR("Patient")) || model_compartment(STR("Patient"), type).len > 0;
}

static bool add_types(struct arena *arena, const struct access_session *session,
                      const struct bulk_export *request, struct json *types, struct error *error)
{
    struct str rest = request->types;
    struct str type = STR_NONE;
    size_t all_count = 0;
    const struct model_type *const *all = model_resources(&all_count);
    for (size_t i = 0; request->types.at == NULL && i < all_count; i++) {
        const struct access_act act = { .interaction = ACCESS_SEARCH, .type = all[i]->name };
        if (is_asked(request, all[i]->name) && access_has(session, act)) {
            (void)json_append(types, json_new_string(arena, all[i]->name));
        }
    }
    while (request->types.at != NULL && str_split_next(&rest, ',', &type)) {
        const struct access_act act = { .interaction = ACCESS_SEARCH, .type = type };
        if (model_resource_find(type) == NULL) {
            return FAIL(error, ERROR_INPUT, "_type names a resource type that R4 does not have");
        }
        if (!access_check(session, act, error)) {
            return false;
        }
        if (is_asked(request, type)) {
            (void)json_append(types, json_new_string(arena, type));
        }
    }
    return types->count > 0 || FAIL(error, ERROR_INPUT, "_type leaves nothing to export");
}

/* Whether the text begins the next filter; else its comma stood in a value ("Patient?gender=male,female"). */
static bool begins_filter(struct str text)
{
    size_t end = str_find_char(text, '?');
    return end < text.len && model_resource_find(str_slice(text, 0, end)) != NULL;
}

/* The next "Type?query" of the list. */
static bool next_filter(struct str *rest, struct str *one)
{
    struct str piece = STR_NONE;
    if (!str_split_next(rest, ',', one)) {
        return false;
    }
    while (rest->at != NULL && !begins_filter(*rest) && str_split_next(rest, ',', &piece)) {
        one->len = (size_t)(piece.at + piece.len - one->at); /* they lie one behind the other */
    }
    return true;
}

/* "Observation?status=final" → filters.Observation = ["status=final"] */
static bool add_filters(struct arena *arena, const struct bulk_export *request, struct json *filters,
                        struct error *error)
{
    struct str rest = request->typefilter;
    struct str one = STR_NONE;
    while (request->typefilter.at != NULL && next_filter(&rest, &one)) {
        struct str query = one;
        struct str type = STR_NONE;
        if (!begins_filter(one) || !str_split_next(&query, '?', &type) || query.len == 0) {
            return FAIL(error, ERROR_INPUT, "_typeFilter is a list of Type?query");
        }
        struct json *list = json_member(filters, type);
        list = list == NULL ? json_add(filters, type, json_new(arena, JSON_ARRAY)) : list;
        (void)json_append(list, json_new_string(arena, query));
    }
    return true;
}

struct walk {
    struct bulk_run *run;
    const struct json *types;
    const struct json *members; /* references of a group's patients; NULL: no group */
    struct json *files;
    size_t type;   /* index in types */
    size_t member; /* index in members */
    struct str cursor;
    const struct str *elements;
    size_t elements_count;
    FILE *out;
    char part[BULK_PATH_BYTES];
    uint64_t count; /* lines in the file */
};

/* One filter's conditions; what forms an answer (_sort, _include …) has no place in it. */
static bool parse_filter(struct arena *arena, const struct search_options *options, struct str text,
                         struct search_link *link, struct error *error)
{
    static const char *const forms[] = { "_sort",     "_count",   "_total",      "_summary",
                                         "_elements", "_include", "_revinclude", "_contained",
                                         "_format",   "_pretty",  "_cursor",     "_type" };
    struct search_query query = { 0 };
    if (!search_query_parse_text(arena, options, text, &query, error)) {
        return false;
    }
    for (size_t i = 0; i < query.pairs_count; i++) {
        struct str name = str_slice(query.pairs[i].name, 0, str_find_char(query.pairs[i].name, ':'));
        for (size_t k = 0; k < sizeof forms / sizeof *forms; k++) {
            if (str_equal_cstr(name, forms[k])) {
                return FAIL(error, ERROR_INPUT, "_typeFilter takes search parameters: '%s' is none",
                            forms[k]);
            }
        }
    }
    *link = (struct search_link){ .type = options->type, .criteria = query.criteria };
    return true;
}

/* Any of the type's filters, before the other conditions. */
static bool add_any_filter(struct arena *arena, const struct search_options *options,
                           const struct json *filters, struct search_query *query, struct error *error)
{
    struct search_link *links = ARENA_ARRAY(arena, struct search_link, filters == NULL ? 1 : filters->count);
    struct search_criteria *any = ARENA_NEW(arena, struct search_criteria);
    size_t count = 0;
    if (links == NULL || any == NULL) {
        return FAIL(error, ERROR_TOO_LARGE, "request memory used up");
    }
    JSON_EACH(filter, filters) {
        if (!parse_filter(arena, options, json_text(arena, filter), &links[count++], error)) {
            return false;
        }
    }
    *any = (struct search_criteria){ .next = query->criteria,
                                     .kind = SEARCH_GROUP,
                                     .type = options->type,
                                     .links = links,
                                     .links_count = count };
    query->criteria = any;
    return true;
}

static bool parse_query(struct arena *arena, const struct json *input, int offset_minutes, struct str type,
                        struct str member, struct search_query *query, struct error *error)
{
    struct search_options options = { .type = type, .offset_minutes = offset_minutes };
    const struct search_options plain = options;
    struct str since = JSON_TEXT(arena, input, "since");
    const struct json *filters = json_member(JSON_GET(input, "filters"), type);
    struct str text = arena_printf(arena, "_sort=_id&_count=%d&_lastUpdated=lt%.*s%s%.*s", PAGE_RESOURCES,
                                   STR_FMT(JSON_TEXT(arena, input, "time")),
                                   since.len > 0 ? "&_lastUpdated=ge" : "", STR_FMT(since));
    if (text.at == NULL) {
        return FAIL(error, ERROR_TOO_LARGE, "request memory used up");
    }
    if (member.at != NULL && !str_equal(type, STR("Patient"))) {
        options.compartment_type = STR("Patient");
        options.compartment_id = member;
    } else if (member.at != NULL) {
        text = arena_printf(arena, "%.*s&_id=%.*s", STR_FMT(text), STR_FMT(member));
    }
    return search_query_parse_text(arena, &options, text, query, error) &&
           (filters == NULL || add_any_filter(arena, &plain, filters, query, error));
}

/* What the walk will ask is asked once before: a wrong filter is told to whoever sent it. */
static bool check_queries(struct bulk *bulk, const struct access_session *session, struct arena *arena,
                          const struct json *input, struct error *error)
{
    JSON_EACH(type, JSON_GET(input, "types")) {
        struct search_query *query = ARENA_NEW(arena, struct search_query);
        if (query == NULL) {
            return FAIL(error, ERROR_TOO_LARGE, "request memory used up");
        }
        if (!parse_query(arena, input, bulk->options.offset_minutes, json_text(arena, type), STR_NONE, query,
                         error) ||
            !access_query_allowed(session, query, error)) {
            return false;
        }
    }
    return true;
}

bool bulk_export_begin(struct bulk *bulk, const struct access_session *session, struct arena *arena,
                       const struct bulk_export *request, uint64_t *id, struct error *error)
{
    char now[INSTANT_BYTES];
    char folder[UUID_TEXT_BYTES];
    struct date_span since;
    struct json *input = json_new(arena, JSON_OBJECT);
    struct json *types = json_add(input, STR("types"), json_new(arena, JSON_ARRAY));
    struct json *filters = json_add(input, STR("filters"), json_new(arena, JSON_OBJECT));
    (void)instant_format(clock_now_ms(), 0, now);
    if (request->since.at != NULL &&
        !date_parse(request->since, bulk->options.offset_minutes, &since, error)) {
        return FAIL(error, ERROR_INPUT, "_since is not an instant");
    }
    (void)json_add_text(arena, input, STR("url"), request->url);
    (void)json_add_text(arena, input, STR("time"), arena_dup(arena, str_from_cstr(now)));
    if (request->since.at != NULL) {
        char from[INSTANT_BYTES];
        (void)instant_format(since.from_ms, 0, from);
        (void)json_add_text(arena, input, STR("since"), arena_dup(arena, str_from_cstr(from)));
    }
    (void)json_add_text(arena, input, STR("group"), request->group);
    (void)json_add_text(arena, input, STR("elements"), request->elements);
    if (filters == NULL) {
        return FAIL(error, ERROR_TOO_LARGE, "request memory used up");
    }
    if (!add_types(arena, session, request, types, error) || !add_filters(arena, request, filters, error) ||
        !check_queries(bulk, session, arena, input, error) || !bulk_folder_make(bulk, folder, error)) {
        return false;
    }
    (void)json_add_text(arena, input, STR("folder"), arena_dup(arena, str_from_cstr(folder)));
    return bulk_queue(bulk, session, arena, BULK_EXPORT, input, id, error);
}

/* ---- one file ---- */

static struct str part_name(const struct walk *walk, struct arena *arena)
{
    struct str type = json_text(arena, json_at(walk->types, walk->type));
    return arena_printf(arena, "%.*s-%u.ndjson", STR_FMT(type), walk->files->count + 1);
}

static bool part_open(struct walk *walk, struct error *error)
{
    struct str name = arena_printf(walk->run->arena, "%.*s.part", STR_FMT(part_name(walk, walk->run->arena)));
    walk->count = 0;
    if (!bulk_path(walk->run->bulk, walk->run->folder, name, walk->part, error)) {
        return false;
    }
    walk->out = fopen(walk->part, "we");
    return walk->out != NULL || FAIL(error, ERROR_FULL, "a file of the export cannot be written");
}

/* The file under its own name and on disk, then the place where the next one begins. */
static bool part_close(struct walk *walk, struct error *error)
{
    struct bulk_run *run = walk->run;
    char path[BULK_PATH_BYTES];
    struct str name = part_name(walk, run->arena);
    bool ok = fflush(walk->out) == 0 && fsync(fileno(walk->out)) == 0;
    ok = fclose(walk->out) == 0 && ok;
    walk->out = NULL;
    if (!ok) {
        return FAIL(error, ERROR_FULL, "a file of the export cannot be written: is the disk full?");
    }
    if (walk->count == 0) {
        (void)unlink(walk->part);
    } else {
        if (!bulk_path(run->bulk, run->folder, name, path, error)) {
            return false;
        }
        if (rename(walk->part, path) != 0) {
            return FAIL(error, ERROR_INTERNAL, "a file of the export cannot be named");
        }
        struct json *file = json_append(walk->files, json_new(run->arena, JSON_OBJECT));
        (void)json_add(file, STR("type"), json_copy(run->arena, json_at(walk->types, walk->type), false));
        (void)json_add_text(run->arena, file, STR("name"), name);
        (void)json_add(file, STR("count"), json_new_integer(run->arena, (int64_t)walk->count));
    }
    return true;
}

static bool save(struct walk *walk, struct error *error)
{
    struct arena *arena = walk->run->arena;
    struct json *state = json_new(arena, JSON_OBJECT);
    (void)json_add(state, STR("type"), json_new_integer(arena, (int64_t)walk->type));
    (void)json_add(state, STR("member"), json_new_integer(arena, (int64_t)walk->member));
    (void)json_add_text(arena, state, STR("cursor"), walk->cursor);
    if (json_add(state, STR("files"), json_copy(arena, walk->files, false)) == NULL) {
        return FAIL(error, ERROR_TOO_LARGE, "the export has too many files");
    }
    return bulk_run_save(walk->run, state, error);
}

/* ---- pages ---- */

static bool write_hits(struct walk *walk, struct arena *arena, const struct store_hits *hits,
                       struct error *error)
{
    const struct bulk_options *options = &walk->run->bulk->options;
    for (size_t i = 0; i < hits->count; i++) {
        struct str text = STR_NONE;
        if (!options->text(&walk->run->session, arena, &hits->hits[i].version, walk->elements,
                           walk->elements_count, &text, error)) {
            return false;
        }
        if (fwrite(text.at, 1, text.len, walk->out) != text.len || putc('\n', walk->out) == EOF) {
            return FAIL(error, ERROR_FULL, "a file of the export cannot be written: is the disk full?");
        }
        walk->count++;
    }
    return true;
}

/* One page of one type (of one member); *more is false on the last. */
static bool write_page(struct walk *walk, bool *more, struct error *error)
{
    struct bulk_run *run = walk->run;
    struct arena arena = { .bytes_max = PAGE_BYTES_MAX };
    struct store_reader *reader = NULL;
    struct store_hits hits = { 0 };
    struct search_query query = { 0 };
    struct str type = json_text(run->arena, json_at(walk->types, walk->type));
    struct str member =
        walk->members == NULL ? STR_NONE : json_text(run->arena, json_at(walk->members, walk->member));
    const struct access_act act = { .interaction = ACCESS_SEARCH, .type = type };
    struct store_search search = { .query = &query, .cursor = walk->cursor, .now_ms = clock_now_ms() };
    bool ok =
        access_check(&run->session, act, error) &&
        parse_query(&arena, run->input, run->bulk->options.offset_minutes, type, member, &query, error) &&
        access_filter(&run->session, act, &arena, &search.filter, error) &&
        store_reader_begin(run->bulk->options.store, &reader, error);
    if (ok) {
        ok = store_search(reader, &arena, &search, &hits, error);
        store_reader_end(reader);
    }
    ok = ok && write_hits(walk, &arena, &hits, error);
    *more = ok && hits.next_cursor.at != NULL;
    walk->cursor = *more ? arena_dup(run->arena, hits.next_cursor) : STR_NONE;
    arena_deinit(&arena);
    return ok;
}

static bool write_type(struct walk *walk, struct error *error)
{
    size_t members = walk->members == NULL ? 1 : walk->members->count;
    while (walk->member < members) {
        bool more = true;
        while (more) {
            if (!bulk_run_is_wanted(walk->run, error) || !write_page(walk, &more, error)) {
                return false;
            }
            if (more && walk->count >= FILE_RESOURCES &&
                (!part_close(walk, error) || !save(walk, error) || !part_open(walk, error))) {
                return false;
            }
        }
        walk->member++;
    }
    return true;
}

static bool write_types(struct walk *walk, struct error *error)
{
    while (walk->type < walk->types->count) {
        bool ok = part_open(walk, error) && write_type(walk, error) && part_close(walk, error);
        if (walk->out != NULL) {
            (void)fclose(walk->out);
        }
        walk->type++;
        walk->member = 0;
        if (!ok || !save(walk, error) ||
            !store_job_progress(walk->run->bulk->options.store, walk->run->id,
                                (unsigned)(1000 * walk->type / walk->types->count), error)) {
            return false;
        }
    }
    return true;
}

/* ---- the job ---- */

/* The Group's patients, when the post may read the Group. */
static bool read_members(struct walk *walk, struct str group, struct error *error)
{
    struct bulk_run *run = walk->run;
    struct store_reader *reader = NULL;
    struct store_version version = { 0 };
    const struct store_filter *filter = NULL;
    struct json *tree = NULL;
    struct str text = STR_NONE;
    bool may = false;
    const struct access_act act = { .interaction = ACCESS_READ, .type = STR("Group") };
    if (!access_filter(&run->session, act, run->arena, &filter, error) ||
        !store_reader_begin(run->bulk->options.store, &reader, error)) {
        return false;
    }
    bool ok = store_read(reader, run->arena, STR("Group"), group, &version, error) &&
              store_matches(reader, &version, filter, &may, error);
    store_reader_end(reader);
    if (!ok || !may || version.method == STORE_METHOD_DELETED) {
        return FAIL(error, ERROR_NOT_FOUND, "there is no such Group");
    }
    if (!store_body_text(run->arena, &version, &text, error) || !json_read(run->arena, text, &tree, error)) {
        return false;
    }
    struct json *members = json_new(run->arena, JSON_ARRAY);
    JSON_EACH(member, JSON_GET(tree, "member")) {
        struct str reference = JSON_TEXT(run->arena, JSON_GET(member, "entity"), "reference");
        if (str_starts_with(reference, STR("Patient/")) && !json_is_true(JSON_GET(member, "inactive"))) {
            (void)json_append(members, json_new_string(run->arena, str_skip(reference, strlen("Patient/"))));
        }
    }
    walk->members = members;
    return true;
}

static bool read_elements(struct walk *walk, struct error *error)
{
    struct arena *arena = walk->run->arena;
    struct str text = JSON_TEXT(arena, walk->run->input, "elements");
    struct str *list = ARENA_ARRAY(arena, struct str, text.len / 2 + 1);
    struct str one = STR_NONE;
    if (list == NULL) {
        return FAIL(error, ERROR_TOO_LARGE, "request memory used up");
    }
    while (text.len > 0 && str_split_next(&text, ',', &one)) {
        list[walk->elements_count] = one;
        walk->elements_count += one.len > 0 ? 1 : 0;
    }
    walk->elements = list;
    return true;
}

static bool write_result(const struct walk *walk, struct str *result, struct error *error)
{
    struct arena *arena = walk->run->arena;
    struct json *object = json_new(arena, JSON_OBJECT);
    (void)json_add_text(arena, object, STR("transactionTime"), JSON_TEXT(arena, walk->run->input, "time"));
    (void)json_add_text(arena, object, STR("request"), JSON_TEXT(arena, walk->run->input, "url"));
    (void)json_add(object, STR("files"), json_copy(arena, walk->files, false));
    *result = json_write_arena(arena, object);
    return result->at != NULL || FAIL(error, ERROR_TOO_LARGE, "the export has too many files");
}

bool bulk_export_run(void *data, struct arena *arena, const struct store_job *job, struct str *result,
                     struct error *error)
{
    struct bulk_run run;
    if (!bulk_run_begin(data, arena, job, &run, error)) {
        return false;
    }
    struct str group = JSON_TEXT(arena, run.input, "group");
    struct str cursor = JSON_TEXT(arena, run.state, "cursor");
    const struct json *files = JSON_GET(run.state, "files");
    struct walk walk = { .run = &run,
                         .types = JSON_GET(run.input, "types"),
                         .files =
                             files == NULL ? json_new(arena, JSON_ARRAY) : json_copy(arena, files, false),
                         .type = (size_t)bulk_number(run.state, STR("type")),
                         .member = (size_t)bulk_number(run.state, STR("member")),
                         .cursor = cursor.len > 0 ? cursor : STR_NONE };
    return access_need_right(&run.session, BULK_EXPORT, error) && read_elements(&walk, error) &&
           (group.len == 0 || read_members(&walk, group, error)) && write_types(&walk, error) &&
           write_result(&walk, result, error);
}
