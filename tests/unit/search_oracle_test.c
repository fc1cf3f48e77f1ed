/* Random searches over the Synthea bundles and the official examples against a brute-force oracle
 * (search_oracle.h): the same hits on all pages, in the asked order, with the same total; asked by the system and by a
 * session that sees half of the resources. SHANHAI_SEED and SHANHAI_QUERIES repeat and lengthen a run. */
#include "search_questions.h"

/* ---- asking both ---- */

static struct str hits[HITS_MAX];
static struct str wanted[HITS_MAX];

struct asked {
    struct str type;
    struct oracle_criterion *criteria[3];
    size_t criteria_count;
    const struct model_search_parameter *sort; /* or NULL */
    bool descending;
    unsigned page;
    struct search_pair pairs[8];
    size_t pairs_count;
};

static void describe(const struct asked *asked, const char *what)
{
    print_message("%s: %.*s?", what, STR_FMT(asked->type));
    for (size_t i = 0; i < asked->pairs_count; i++) {
        print_message("%s%.*s=%.*s", i == 0 ? "" : "&", STR_FMT(asked->pairs[i].name),
                      STR_FMT(asked->pairs[i].value));
    }
    print_message("%s\n", world.foreign ? " (foreign)" : "");
}

static bool ask_store(const struct asked *asked, size_t *count, uint64_t *total, struct error *error)
{
    static const uint64_t no_posts[1] = { 0 };
    const uint64_t ours = hash_resource_key(STR("Organization"), STR("ours"));
    const struct store_rule rule = { .type = STR("*"), .custodians = &ours, .custodians_count = 1 };
    const struct store_filter filter = {
        .rules = &rule, .rules_count = 1, .posts = no_posts, .posts_count = 1
    };
    struct search_options options = { .type = asked->type, .offset_minutes = ORACLE_OFFSET_MINUTES };
    struct search_query query = { 0 };
    struct str cursor = STR_NONE;
    *count = 0;
    if (!search_query_parse(&search_arena, &options, asked->pairs, asked->pairs_count, &query, error)) {
        return false;
    }
    for (bool first = true; first || cursor.at != NULL; first = false) {
        struct store_reader *reader = NULL;
        struct store_hits page = { 0 };
        struct store_search search = { .query = &query,
                                       .filter = world.foreign ? &filter : NULL,
                                       .cursor = cursor,
                                       .without_bodies = true };
        if (!store_reader_begin(store, &reader, error)) {
            return false;
        }
        bool ok = store_search(reader, &search_arena, &search, &page, error);
        store_reader_end(reader);
        if (!ok) {
            return false;
        }
        for (size_t i = 0; i < page.matches_count; i++) {
            assert_true(*count < HITS_MAX);
            hits[(*count)++] = arena_dup(&oracle_query, page.hits[i].version.id);
        }
        *total = page.has_total ? page.total : UINT64_MAX;
        cursor = page.next_cursor;
    }
    return true;
}

static size_t ask_oracle(const struct asked *asked)
{
    size_t count = 0;
    for (size_t i = 0; i < world.count; i++) {
        const struct oracle_resource *resource = &resources[i];
        bool fits = str_equal(resource->type, asked->type) && !(world.foreign && resource->hidden);
        for (size_t c = 0; c < asked->criteria_count && fits; c++) {
            fits = oracle_fits(&world, asked->criteria[c], resource);
        }
        if (fits) {
            wanted[count++] = resource->id;
        }
        arena_reset(&oracle_scratch);
    }
    return count;
}

/* What a resource stands at in the order; false without a value. */
static bool sort_key(const struct asked *asked, struct str id, struct str *text, double *number)
{
    struct str reference = arena_printf(&oracle_query, "%.*s/%.*s", STR_FMT(asked->type), STR_FMT(id));
    const struct oracle_resource *resource = oracle_find(&world, reference);
    struct fhirpath_collection values = oracle_parameter_values(asked->sort, resource->tree);
    bool any = false;
    for (size_t i = 0; i < values.count; i++) {
        struct oracle_span spans[2];
        double value = 0;
        struct str own = STR_NONE;
        if (asked->sort->kind == MODEL_SEARCH_DATE) {
            if (oracle_spans(&values.items[i], spans) == 0) {
                continue;
            }
            value = (double)spans[0].from;
        } else {
            own = index_normalise(&oracle_query, fhirpath_item_text(&oracle_scratch, &values.items[i]));
            own = str_slice(own, 0, 100);
        }
        int order = asked->sort->kind == MODEL_SEARCH_DATE ? (value > *number) - (value < *number)
                                                           : str_compare(own, *text);
        if (!any || (asked->descending ? order > 0 : order < 0)) {
            *text = own;
            *number = value;
        }
        any = true;
    }
    return any;
}

static bool in_order(const struct asked *asked, size_t count)
{
    struct str before = STR_NONE;
    double before_number = 0;
    bool before_any = true;
    for (size_t i = 0; asked->sort != NULL && i < count; i++) {
        struct str text = STR_NONE;
        double number = 0;
        bool any = sort_key(asked, hits[i], &text, &number);
        int order = asked->sort->kind == MODEL_SEARCH_DATE
                        ? (number > before_number) - (number < before_number)
                        : str_compare(text, before);
        if (i > 0 && any && (!before_any || (asked->descending ? order > 0 : order < 0))) {
            return false;
        }
        before = text;
        before_number = number;
        before_any = any;
    }
    return true;
}

static bool same_hits(size_t count, size_t wanted_count)
{
    static struct str sorted[HITS_MAX];
    memcpy(sorted, hits, count * sizeof *hits);
    qsort(sorted, count, sizeof *sorted, oracle_compare_text);
    bool same = count == wanted_count;
    size_t a = 0;
    size_t b = 0;
    for (int shown = 0; (a < count || b < wanted_count) && shown < 4;) {
        int order = a == count ? 1 : b == wanted_count ? -1 : str_compare(sorted[a], wanted[b]);
        if (order != 0) {
            print_message("  %s %.*s\n",
                          order < 0 ? "not wanted:" : "missed:", STR_FMT(order < 0 ? sorted[a] : wanted[b]));
            same = false;
            shown++;
        }
        a += order <= 0;
        b += order >= 0;
    }
    return same;
}

static bool compare(const struct asked *asked, size_t *found)
{
    struct error error = { 0 };
    size_t count = 0;
    uint64_t total = 0;
    oracle_is_close = false;
    size_t wanted_count = ask_oracle(asked);
    if (oracle_is_close) {
        return true;
    }
    if (!ask_store(asked, &count, &total, &error)) {
        describe(asked, "refused");
        print_message("  %s\n", error.text);
        return false;
    }
    *found = wanted_count;
    bool same = same_hits(count, wanted_count);
    bool ordered = in_order(asked, count);
    if (!same || !ordered || total != wanted_count) {
        describe(asked, !same ? "other hits" : !ordered ? "out of order" : "wrong total");
        print_message("  %zu hits, %zu wanted, total %llu\n", count, wanted_count, (unsigned long long)total);
        return false;
    }
    return true;
}

static bool is_sorted_by(const struct model_search_parameter *parameter)
{
    return parameter->kind == MODEL_SEARCH_DATE ||
           (parameter->kind == MODEL_SEARCH_TOKEN && str_equal(parameter->code, STR("status")));
}

static bool make(struct asked *asked)
{
    const char *pages[] = { "7", "50", "1000" };
    size_t count = 0;
    *asked = (struct asked){ .type = resources[chance(world.count)].type };
    if (chance(3) == 0) { /* the examples have one of many types */
        size_t all = 0;
        const struct model_type *const *types = model_resources(&all);
        asked->type = types[chance(all)]->name;
    }
    const struct model_search_parameter *list = model_search_list(asked->type, &count);
    for (size_t i = 1 + chance(3); i > 0; i--) {
        struct oracle_criterion *criterion = some_criterion(asked->type, 0);
        if (criterion != NULL) {
            asked->criteria[asked->criteria_count++] = criterion;
            asked->pairs[asked->pairs_count++] = pair_of(criterion);
        }
    }
    for (int i = 0; i < 5 && count > 0 && asked->sort == NULL && chance(2) == 0; i++) {
        const struct model_search_parameter *sort = &list[chance(count)];
        asked->sort = is_sorted_by(sort) ? sort : NULL;
    }
    if (asked->sort != NULL) {
        asked->descending = chance(2) == 0;
        asked->pairs[asked->pairs_count++] =
            (struct search_pair){ STR("_sort"),
                                  arena_printf(&oracle_query, "%s%.*s%s", asked->descending ? "-" : "",
                                               STR_FMT(asked->sort->code), chance(2) == 0 ? ",_id" : "") };
    }
    asked->pairs[asked->pairs_count++] =
        (struct search_pair){ STR("_count"), str_from_cstr(pages[chance(3)]) };
    asked->pairs[asked->pairs_count++] = (struct search_pair){ STR("_total"), STR("accurate") };
    return asked->criteria_count > 0;
}

static void random_searches_find_what_the_oracle_finds(void **state)
{
    (void)state;
    const char *shared = getenv("SHANHAI_SHARED");
    const char *seed = getenv("SHANHAI_SEED");
    const char *queries = getenv("SHANHAI_QUERIES");
    random_state = seed == NULL ? 20200211 : strtoull(seed, NULL, 10);
    size_t rounds = queries == NULL ? 2000 : strtoul(queries, NULL, 10);
    if (shared == NULL || !load_folder(shared, "synthea", load_bundle) ||
        !load_folder(shared, "examples", load_example)) {
        print_message("left out: random searches (SHANHAI_SHARED is not there)\n");
        skip();
    }
    qsort(resources, world.count, sizeof *resources, oracle_compare);
    for (size_t i = 0; i < world.count; i += 500) {
        put(&resources[i], world.count - i < 500 ? world.count - i : 500);
    }
    size_t failed = 0;
    size_t with_hits = 0;
    for (size_t i = 0; i < rounds;) {
        struct asked asked;
        size_t found = 0;
        world.foreign = false;
        bool made = make(&asked);
        if (made) {
            world.foreign = chance(2) == 0;
            for (size_t c = 0; c < asked.criteria_count; c++) {
                arena_reset(&oracle_scratch);
            }
            failed += compare(&asked, &found) ? 0 : 1;
            with_hits += found > 0;
            i++;
        }
        arena_reset(&oracle_scratch);
        arena_reset(&oracle_query);
        arena_reset(&search_arena);
    }
    print_message("random searches: %zu passed, %zu failed over %zu resources; %zu had hits\n",
                  rounds - failed, failed, world.count, with_hits);
    assert_int_equal(failed, 0);
    assert_true(with_hits > rounds / 2);
}

static char folder[64];

static int setup(void **state)
{
    (void)state;
    struct error error = { 0 };
    struct fhir_index_options index_options = { .offset_minutes = ORACLE_OFFSET_MINUTES };
    (void)snprintf(folder, sizeof folder, "/tmp/search-oracle-XXXXXX");
    assert_non_null(mkdtemp(folder));
    test_database_make(folder);
    struct store_options options = { .folder = folder,
                                     .index_rows = rows_of,
                                     .partitions = test_partitions() };
    if (!fhir_index_create(&index_options, &index_of, &error) || !store_open(&options, &store, &error)) {
        fail_msg("open: %s", error.text);
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    store_close(store);
    fhir_index_destroy(index_of);
    test_database_drop(folder);
    scratch_remove(folder);
    arena_deinit(&world_arena);
    arena_deinit(&search_arena);
    arena_deinit(&oracle_arena);
    arena_deinit(&oracle_query);
    arena_deinit(&oracle_scratch);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(random_searches_find_what_the_oracle_finds, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
