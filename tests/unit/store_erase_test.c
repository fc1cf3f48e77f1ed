/* What is erased is nowhere: no body, no row, no piece of text that nobody else has; what others have stays. */
#include "store_fixture.h"

#include "store_ask.h"

#include "store/erase.h"

/* A resource has a family, and a note that is looked into. */
static bool rows_of(void *data, struct arena *rows_arena, struct str type, struct str resource,
                    struct index_rows *out, struct error *error)
{
    (void)data;
    (void)type;
    struct json *tree = NULL;
    struct index_row *rows = ARENA_ARRAY(rows_arena, struct index_row, 5);
    if (rows == NULL || !json_read(rows_arena, resource, &tree, error)) {
        return false;
    }
    struct str family = JSON_TEXT(rows_arena, tree, "family");
    struct str note = JSON_TEXT(rows_arena, tree, "note");
    rows[0] = (struct index_row){ .kind = INDEX_TEXT, .parameter = 1, .text = family };
    rows[1] =
        (struct index_row){ .kind = INDEX_KEY, .parameter = 2, .key = hash64(family, 1), .reference = true };
    rows[2] = (struct index_row){ .kind = INDEX_DATE, .parameter = 3, .from_ms = 5, .to_ms = 6 };
    rows[3] = (struct index_row){ .kind = INDEX_NUMBER, .parameter = 4, .low = 1.5, .high = 2.5 };
    rows[4] = (struct index_row){
        .kind = INDEX_KEY, .parameter = 5, .key = hash64(note, 5), .words = true, .text = note
    };
    *out = (struct index_rows){ rows, 5 };
    return true;
}

static const struct store_options options = { .index_rows = rows_of };

static void put_person(struct store *store, const char *id, const char *family, const char *note)
{
    struct index_rows rows = { 0 };
    struct str body = arena_printf(&arena, "},\"family\":\"%s\",\"note\":\"%s\"}", family, note);
    struct store_write write = write_of(id, STORE_METHOD_UPDATED, body.at);
    assert_true(
        rows_of(NULL, &arena, STR("Patient"), arena_printf(&arena, "{\"x\":{%s", body.at), &rows, NULL));
    write.index = &rows;
    assert_true(write_one(store, &write, NULL));
}

static void delete_person(struct store *store, const char *id)
{
    struct store_write write = write_of(id, STORE_METHOD_DELETED, "");
    write.body = STR_NONE;
    assert_true(write_one(store, &write, NULL));
}

static bool file_has(const char *name, struct str text)
{
    char path[96];
    char bytes[65536];
    size_t kept = 0;
    bool found = false;
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "rb");
    while (file != NULL && !found) {
        size_t len = fread(bytes + kept, 1, sizeof bytes - kept, file);
        struct str all = { bytes, kept + len };
        found = str_find(all, text) < all.len;
        kept = all.len < 64 ? 0 : 64;
        memmove(bytes, bytes + all.len - kept, kept);
        if (len == 0) {
            break;
        }
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    return found;
}

static void nothing_of_it_is_left(void **state)
{
    struct store_erased erased = { 0 };
    struct error error = { 0 };
    store_close(*state);
    struct store *store = open_store(&options);
    put_person(store, "a", "ouyang", "allergic to quicksilver");
    put_person(store, "a", "ouyang", "fears the dark cellar");
    put_person(store, "a", "zhang", "a shared remark");
    put_person(store, "b", "zhang", "a shared remark");
    delete_person(store, "a");
    store_close(store); /* all rows are in the main index now */
    store = open_store(&options);
    assert_int_equal(ask("SELECT count(*) FROM words"), 3);
    assert_true(store_erase(store, STR("Patient"), STR("a"), &erased, &error));
    assert_int_equal(erased.versions, 3);
    assert_int_equal(strlen(erased.hash), 64);
    assert_int_equal(ask("SELECT count(*) FROM words"), 1);
    assert_true(ask("SELECT count(*) FROM gram") > 0);
    assert_int_equal(ask("SELECT count(*) FROM gram g LEFT JOIN words w ON w.key = g.words"
                         " WHERE w.key IS NULL"),
                     0);
    assert_int_equal(ask("SELECT (SELECT count(*) FROM index_key) + (SELECT count(*) FROM index_text)"
                         " + (SELECT count(*) FROM index_date) + (SELECT count(*) FROM index_number)"),
                     5);
    assert_int_equal(ask("SELECT count(*) FROM version WHERE body IS NOT NULL"), 1);
    /* Every version is told as a deletion, none is missing from the sequence. */
    struct store_history history = { .type = STR("Patient"), .id = STR("a"), .count = 10 };
    struct store_page page = { 0 };
    struct store_reader *reader = NULL;
    assert_true(store_reader_begin(store, &reader, NULL));
    assert_true(store_read_history(reader, &arena, &history, &page, NULL));
    store_reader_end(reader);
    assert_int_equal(page.count, 4);
    for (size_t i = 0; i < page.count; i++) {
        assert_int_equal(page.versions[i].method, STORE_METHOD_DELETED);
        assert_null(page.versions[i].body.at);
    }
    expect_body(store, "b", "},\"family\":\"zhang\",\"note\":\"a shared remark\"}");
    /* Once more there is nothing to do; and the same text can come again. */
    assert_true(store_erase(store, STR("Patient"), STR("a"), &erased, &error));
    assert_int_equal(erased.versions, 0);
    put_person(store, "c", "ouyang", "fears the dark cellar");
    assert_int_equal(ask("SELECT count(*) FROM words"), 2);
    struct store_check_report report = { .whole_index = true };
    assert_true(store_check(store, &report, NULL));
    assert_int_equal(report.findings_count, 0);
    store_close(store);
    if (test_server() == NULL) {
        assert_false(file_has("store.db", STR("quicksilver")));
        assert_true(file_has("store.db", STR("a shared remark"))); /* the look would find it */
    }
    *state = open_store(&options);
}

static void rows_that_wait_are_waited_for(void **state)
{
    struct store_erased erased = { 0 };
    struct error error = { 0 };
    store_close(*state);
    struct store *store = open_store(&options);
    put_person(store, "a", "ouyang", "allergic to quicksilver");
    delete_person(store, "a");
    assert_true(store_erase(store, STR("Patient"), STR("a"), &erased, &error));
    assert_int_equal(erased.versions, 1);
    assert_int_equal(ask("SELECT count(*) FROM words"), 0);
    *state = store;
}

static void only_what_was_deleted(void **state)
{
    struct store_erased erased = { 0 };
    struct error error = { 0 };
    store_close(*state);
    struct store *store = open_store(&options);
    put_person(store, "a", "ouyang", "x");
    assert_false(store_erase(store, STR("Patient"), STR("a"), &erased, &error));
    assert_int_equal(error.kind, ERROR_CONFLICT);
    expect_body(store, "a", "},\"family\":\"ouyang\",\"note\":\"x\"}");
    assert_false(store_erase(store, STR("Patient"), STR("nobody"), &erased, &error));
    assert_int_equal(error.kind, ERROR_NOT_FOUND);
    *state = store;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_STORE(nothing_of_it_is_left),
        IN_STORE(rows_that_wait_are_waited_for),
        IN_STORE(only_what_was_deleted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
