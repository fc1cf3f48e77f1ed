/* People and rights against a real store: sign-in with its limits, sessions, tokens, and what each role of
 * definitions/policies sees and changes of one invented consult. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "access/store_side.h"
#include "access/sign_in.h"
#include "base/file.h"
#include "base/hash.h"
#include "fhir/index.h"
#include "fhir/search_query.h"
#include "store/body.h"
#include "store/search.h"

static const int64_t start_ms = 1790000000000; /* 2026-09-21 */
static const char good_password[] = "a quiet mountain";

struct fixture {
    char folder[64];
    int64_t now_ms;
    struct arena arena;
    struct store *store;
    struct fhir_index *index;
    struct access *access;
    struct access_policy_file files[32];
    size_t files_count;
};

static int64_t test_now(void *context)
{
    return *(int64_t *)context;
}

/* ---- the world ---- */

static void must(bool ok, const struct error *error)
{
    if (!ok) {
        fail_msg("%s: %s", error->where, error->text);
    }
}

/* Custodian is the Organization's id; the resource's text is written as Chinese records are: short. */
static void put(struct fixture *fixture, const char *custodian, const char *text)
{
    struct error error = { 0 };
    struct json *resource = NULL;
    struct index_rows found = { 0 };
    must(json_read(&fixture->arena, str_from_cstr(text), &resource, &error), &error);
    must(fhir_index_rows(fixture->index, &fixture->arena, resource, &found, &error), &error);
    struct store_write write = { .type = JSON_TEXT(&fixture->arena, resource, "resourceType"),
                                 .id = JSON_TEXT(&fixture->arena, resource, "id"),
                                 .method = STORE_METHOD_UPDATED,
                                 .custodian =
                                     hash_resource_key(STR("Organization"), str_from_cstr(custodian)),
                                 .index = &found };
    must(store_body_from_json(&fixture->arena, resource, &write.body, &error), &error);
    struct store_set set = { .arena = &fixture->arena, .writes = &write, .writes_count = 1 };
    must(store_write_and_wait(fixture->store, &set, &error), &error);
}

static uint64_t key_of(const char *reference)
{
    struct str text = str_from_cstr(reference);
    size_t slash = str_find_char(text, '/');
    return hash_resource_key(str_slice(text, 0, slash), str_skip(text, slash + 1));
}

static void grant(struct fixture *fixture, const char *grantee, const char *reference, int64_t until_ms)
{
    struct error error = { 0 };
    struct store_grant row = { .kind = STORE_GRANT_ADD,
                               .resource = key_of(reference),
                               .post = access_grantee_key(str_from_cstr(grantee)),
                               .basis = key_of("Task/consult-1"),
                               .from_ms = start_ms - 1000,
                               .until_ms = until_ms };
    struct store_set set = { .arena = &fixture->arena, .grants = &row, .grants_count = 1 };
    assert_true(row.post != 0);
    must(store_write_and_wait(fixture->store, &set, &error), &error);
}

static void put_organization(struct fixture *fixture, const char *id, const char *type, const char *parent)
{
    char text[512];
    char part_of[160] = "";
    if (parent != NULL) {
        (void)snprintf(part_of, sizeof part_of, ",\"partOf\":{\"reference\":\"Organization/%s\"}", parent);
    }
    (void)snprintf(text, sizeof text,
                   "{\"resourceType\":\"Organization\",\"id\":\"%s\",\"name\":\"%s\",\"type\":[{\"coding\":[{"
                   "\"code\":\"%s\"}]}]%s}",
                   id, id, type, part_of);
    put(fixture, id, text);
}

/* A person with one post, both named after it: post "li" of Practitioner "li". */
static void put_person(struct fixture *fixture, const char *id, const char *role, const char *organization)
{
    char text[768];
    (void)snprintf(text, sizeof text,
                   "{\"resourceType\":\"Practitioner\",\"id\":\"%s\",\"name\":[{\"text\":\"%s\"}]}", id, id);
    put(fixture, organization, text);
    (void)snprintf(text, sizeof text,
                   "{\"resourceType\":\"PractitionerRole\",\"id\":\"%s\",\"active\":true,\"practitioner\":{"
                   "\"reference\":\"Practitioner/%s\"},"
                   "\"organization\":{\"reference\":\"Organization/"
                   "%s\"},\"code\":[{\"coding\":[{\"system\":\"urn:shanhai:codes:role\","
                   "\"code\":\"%s\"}]}]}",
                   id, id, organization, role);
    put(fixture, organization, text);
}

static void put_people(struct fixture *fixture)
{
    put_organization(fixture, "commission", "govt", NULL);
    put_organization(fixture, "county", "prov", "commission");
    put_organization(fixture, "county-ward", "dept", "county");
    put_organization(fixture, "helper", "prov", NULL);
    put_organization(fixture, "other", "prov", NULL);
    put_person(fixture, "li", "county-doctor", "county-ward");
    put_person(fixture, "duty", "duty-head", "county");
    put_person(fixture, "xray", "radiologist", "county");
    put_person(fixture, "desk", "consult-coordinator", "helper");
    put_person(fixture, "lead", "expert", "helper");
    put_person(fixture, "second", "expert", "helper");
    put_person(fixture, "drafter", "expert", "helper");
    put_person(fixture, "bystander", "expert", "helper");
    put_person(fixture, "declined", "expert", "helper");
    put_person(fixture, "chief", "commander", "commission");
    put_person(fixture, "admin", "administrator", "county");
    put_person(fixture, "stranger", "county-doctor", "other");
}

static const char *const samples[] = {
    "Organization/helper",         /* directory */
    "Patient/pat",                 /* the county's patient, shared */
    "Condition/shared",            /* ticked by the requester */
    "Condition/private",           /* of the same patient, not ticked */
    "ImagingStudy/ct",             /* shared */
    "DiagnosticReport/reviewed",   /* CT measurement, agreed, shared */
    "DiagnosticReport/unreviewed", /* granted by mistake: still not to be seen outside */
    "ServiceRequest/request",
    "Task/consult-1",
    "Task/measure-1",
    "Encounter/hub",
    "Communication/word",
    "Observation/verdict",       /* image verdict, by the helper */
    "ClinicalImpression/draft",  /* of `lead`, drafter named */
    "ClinicalImpression/signed", /* of `second`, granted to `lead` */
    "Composition/joint-draft",   /* of `lead` */
    "Composition/decision",      /* the county's own */
    "Bundle/document",           /* granted to the county's doctors and the experts */
    "Provenance/step",           /* of the consult's Task */
    "Patient/other-pat",         /* another hospital's */
    "Task/other-consult",
};
enum { SAMPLES_COUNT = sizeof samples / sizeof samples[0] };

static void put_record(struct fixture *fixture)
{
    put(fixture, "county",
        "{\"resourceType\":\"Patient\",\"id\":\"pat\",\"name\":[{\"family\":\"张\",\"given\":[\"三\"],"
        "\"text\":\"张三\"}],"
        "\"birthDate\":\"1950-03-04\",\"identifier\":[{\"system\":\"urn:x\",\"value\":\"66\"}],\"gender\":"
        "\"male\"}");
    put(fixture, "other",
        "{\"resourceType\":\"Patient\",\"id\":\"other-pat\",\"name\":[{\"text\":\"李四\"}]}");
    put(fixture, "county",
        "{\"resourceType\":\"Condition\",\"id\":\"shared\",\"subject\":{\"reference\":\"Patient/pat\"}}");
    put(fixture, "county",
        "{\"resourceType\":\"Condition\",\"id\":\"private\",\"subject\":{\"reference\":\"Patient/pat\"}}");
    put(fixture, "county",
        "{\"resourceType\":\"ImagingStudy\",\"id\":\"ct\",\"status\":\"available\",\"subject\":{"
        "\"reference\":\"Patient/pat\"}}");
    put(fixture, "county",
        "{\"resourceType\":\"DiagnosticReport\",\"id\":\"reviewed\",\"status\":\"final\",\"code\":{\"text\":"
        "\"CT\"},\"subject\":{\"reference\":\"Patient/pat\"}}");
    put(fixture, "county",
        "{\"resourceType\":\"DiagnosticReport\",\"id\":\"unreviewed\",\"status\":\"preliminary\",\"code\":{"
        "\"text\":\"CT\"},\"subject\":{\"reference\":\"Patient/pat\"}}");
    put(fixture, "county-ward",
        "{\"resourceType\":\"ServiceRequest\",\"id\":\"request\",\"status\":\"active\",\"intent\":\"order\","
        "\"priority\":\"stat\","
        "\"code\":{\"coding\":[{\"system\":\"urn:shanhai:codes:consult-kind\",\"code\":\"remote-consult\"}]},"
        "\"subject\":{\"reference\":\"Patient/pat\"},\"requester\":{\"reference\":\"PractitionerRole/li\"}}");
    put(fixture, "county-ward",
        "{\"resourceType\":\"Task\",\"id\":\"consult-1\",\"status\":\"requested\",\"intent\":\"order\","
        "\"code\":{\"coding\":[{\"system\":\"urn:shanhai:codes:workflow\",\"code\":\"consult\"}]},"
        "\"for\":{\"reference\":\"Patient/"
        "pat\",\"display\":\"张三\"},\"requester\":{\"reference\":\"PractitionerRole/"
        "li\"},\"description\":\"text\"}");
    put(fixture, "county",
        "{\"resourceType\":\"Task\",\"id\":\"measure-1\",\"status\":\"in-progress\",\"intent\":\"order\","
        "\"code\":{\"coding\":[{\"system\":\"urn:shanhai:codes:workflow\",\"code\":\"ct-measurement\"}]}}");
    put(fixture, "other",
        "{\"resourceType\":\"Task\",\"id\":\"other-consult\",\"status\":\"requested\",\"intent\":\"order\","
        "\"code\":{\"coding\":[{\"system\":\"urn:shanhai:codes:workflow\",\"code\":\"consult\"}]}}");
    put(fixture, "county",
        "{\"resourceType\":\"Encounter\",\"id\":\"hub\",\"status\":\"in-progress\",\"class\":{\"code\":"
        "\"VR\"},\"subject\":{\"reference\":\"Patient/pat\"}}");
    put(fixture, "helper",
        "{\"resourceType\":\"Communication\",\"id\":\"word\",\"status\":\"completed\",\"encounter\":{"
        "\"reference\":\"Encounter/hub\"},\"sender\":{\"reference\":\"PractitionerRole/second\"}}");
    put(fixture, "helper",
        "{\"resourceType\":\"Observation\",\"id\":\"verdict\",\"status\":\"final\",\"code\":{\"coding\":[{"
        "\"system\":\"urn:shanhai:codes:consult-observation\",\"code\":\"image-verdict\"}]},"
        "\"encounter\":{\"reference\":\"Encounter/hub\"}}");
    put(fixture, "helper",
        "{\"resourceType\":\"ClinicalImpression\",\"id\":\"draft\",\"status\":\"in-progress\",\"subject\":{"
        "\"reference\":\"Patient/pat\"},\"encounter\":{\"reference\":\"Encounter/hub\"},"
        "\"assessor\":{\"reference\":\"PractitionerRole/"
        "lead\"},\"extension\":[{\"url\":\"urn:shanhai:ext:drafter\",\"valueReference\":{\"reference\":"
        "\"PractitionerRole/drafter\"}}],"
        "\"summary\":\"draft text\"}");
    put(fixture, "helper",
        "{\"resourceType\":\"ClinicalImpression\",\"id\":\"signed\",\"status\":\"completed\",\"subject\":{"
        "\"reference\":\"Patient/pat\"},\"encounter\":{\"reference\":\"Encounter/hub\"},"
        "\"assessor\":{\"reference\":\"PractitionerRole/second\"},\"summary\":\"signed text\"}");
    put(fixture, "helper",
        "{\"resourceType\":\"Composition\",\"id\":\"joint-draft\",\"status\":\"preliminary\",\"type\":{"
        "\"coding\":[{\"system\":\"urn:shanhai:codes:document\",\"code\":\"joint-opinion\"}]},"
        "\"date\":\"2026-09-20\",\"title\":\"t\",\"encounter\":{\"reference\":\"Encounter/"
        "hub\"},\"author\":[{\"reference\":\"PractitionerRole/lead\"}]}");
    put(fixture, "county-ward",
        "{\"resourceType\":\"Composition\",\"id\":\"decision\",\"status\":\"final\",\"type\":{\"coding\":[{"
        "\"system\":\"urn:shanhai:codes:document\",\"code\":\"decision\"}]},"
        "\"date\":\"2026-09-20\",\"title\":\"t\",\"author\":[{\"reference\":\"PractitionerRole/li\"}]}");
    put(fixture, "helper", "{\"resourceType\":\"Bundle\",\"id\":\"document\",\"type\":\"document\"}");
    put(fixture, "helper",
        "{\"resourceType\":\"Provenance\",\"id\":\"step\",\"recorded\":\"2026-09-20T00:00:00Z\",\"target\":[{"
        "\"reference\":\"Task/consult-1\"}],\"agent\":[{\"who\":{\"reference\":\"PractitionerRole/"
        "desk\"}}]}");
}

static void put_grants(struct fixture *fixture)
{
    static const char *const invited[] = { "Organization/helper|consult-coordinator", "PractitionerRole/lead",
                                           "PractitionerRole/second" };
    static const char *const opened[] = { "Patient/pat",
                                          "Condition/shared",
                                          "ImagingStudy/ct",
                                          "DiagnosticReport/reviewed",
                                          "DiagnosticReport/unreviewed",
                                          "ServiceRequest/request",
                                          "Task/consult-1",
                                          "Encounter/hub" };
    for (size_t k = 0; k < sizeof opened / sizeof opened[0]; k++) {
        for (size_t i = 0; i < sizeof invited / sizeof invited[0]; i++) {
            grant(fixture, invited[i], opened[k], 0);
        }
        grant(fixture, "PractitionerRole/declined", opened[k], start_ms - 1); /* ended */
    }
    grant(fixture, "PractitionerRole/lead", "ClinicalImpression/signed", 0);
    grant(fixture, "PractitionerRole/second", "ClinicalImpression/draft",
          0); /* too early: the status keeps it hidden */
    grant(fixture, "PractitionerRole/lead", "Bundle/document", 0);
    grant(fixture, "PractitionerRole/second", "Bundle/document", 0);
    grant(fixture, "Organization/county|county-doctor", "Bundle/document", 0);
    grant(fixture, "Organization/county|county-doctor", "Task/consult-1", 0);
    grant(fixture, "Organization/county|county-doctor", "Encounter/hub", 0);
}

/* ---- set-up ---- */

static void read_policies(struct fixture *fixture)
{
    const char *definitions = getenv("SHANHAI_DEFINITIONS");
    char path[1024];
    struct error error = { 0 };
    (void)snprintf(path, sizeof path, "%s/policies", definitions == NULL ? "definitions" : definitions);
    DIR *folder = opendir(path);
    if (folder == NULL) {
        fail_msg("no policies at %s", path);
    }
    for (struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        struct access_policy_file *file = &fixture->files[fixture->files_count];
        struct str name = str_from_cstr(entry->d_name);
        if (!str_ends_with(name, STR(".json"))) {
            continue;
        }
        (void)snprintf(path, sizeof path, "%s/policies/%s", definitions == NULL ? "definitions" : definitions,
                       entry->d_name);
        file->name = arena_dup(&fixture->arena, name);
        must(file_read_whole(&fixture->arena, path, 1 << 20, &file->text, &error), &error);
        fixture->files_count++;
        assert_true(fixture->files_count < 32);
    }
    (void)closedir(folder);
}

static void start_access(struct fixture *fixture)
{
    struct error error = { 0 };
    struct access_options options = { .policies = fixture->files,
                                      .policies_count = fixture->files_count,
                                      .rows = access_rows_of_store(fixture->store),
                                      .directory = access_directory_of_store(fixture->store),
                                      .now_ms = test_now,
                                      .now_context = &fixture->now_ms,
                                      .password_operations = 1,
                                      .password_memory_bytes = 8192 };
    must(access_open(&options, &fixture->access, &error), &error);
}

static int set_up(void **state)
{
    struct fixture *fixture = test_calloc(1, sizeof *fixture);
    struct error error = { 0 };
    struct fhir_index_options index_options = { .offset_minutes = 480 };
    const struct store_table *tables[] = { access_rows_table() };
    (void)snprintf(fixture->folder, sizeof fixture->folder, "/tmp/access_test.XXXXXX");
    assert_non_null(mkdtemp(fixture->folder));
    fixture->now_ms = start_ms;
    fixture->arena.bytes_max = 256u << 20;
    struct store_options options = { .folder = fixture->folder, .tables = tables, .tables_count = 1 };
    must(store_open(&options, &fixture->store, &error), &error);
    must(fhir_index_create(&index_options, &fixture->index, &error), &error);
    read_policies(fixture);
    start_access(fixture);
    put_people(fixture);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    char command[128];
    access_close(fixture->access);
    store_close(fixture->store);
    fhir_index_destroy(fixture->index);
    (void)snprintf(command, sizeof command, "rm -rf %s", fixture->folder);
    assert_int_equal(system(command), 0);
    arena_deinit(&fixture->arena);
    test_free(fixture);
    return 0;
}

static void add_account(struct fixture *fixture, const char *name)
{
    struct error error = { 0 };
    struct str password = STR_NONE;
    struct account_new account = { .name = str_from_cstr(name),
                                   .password = str_from_cstr(good_password),
                                   .practitioner = str_from_cstr(name) };
    must(account_add(fixture->access, &fixture->arena, &account, &password, &error), &error);
    assert_true(str_equal_cstr(password, good_password));
}

static bool try_sign_in(struct fixture *fixture, const char *name, const char *password,
                        struct sign_in_answer *answer, uint32_t *wait_s, struct error *error)
{
    struct sign_in request = { .name = str_from_cstr(name),
                               .password = str_from_cstr(password),
                               .address = STR("192.0.2.7"),
                               .tls = true };
    return sign_in(fixture->access, &fixture->arena, &request, answer, wait_s, error);
}

static struct sign_in_answer signed_in(struct fixture *fixture, const char *name)
{
    struct sign_in_answer answer = { 0 };
    struct error error = { 0 };
    uint32_t wait_s = 0;
    must(try_sign_in(fixture, name, good_password, &answer, &wait_s, &error), &error);
    return answer;
}

/* The secret between '=' and ';' of a Set-Cookie value. */
static struct str secret_of(const struct sign_in_answer *answer)
{
    struct str text = str_skip(answer->set_cookie, strlen(SESSION_COOKIE_NAME) + 1);
    return str_slice(text, 0, str_find_char(text, ';'));
}

static enum error_kind ask(struct fixture *fixture, const struct session_request *request,
                           struct access_session *session)
{
    struct error error = { 0 };
    struct access_session found;
    if (session_of_request(fixture->access, &fixture->arena, request, session == NULL ? &found : session,
                           &error)) {
        return ERROR_NONE;
    }
    return error.kind;
}

/* ---- sign-in and sessions ---- */

static void a_person_signs_in_and_out(void **state)
{
    struct fixture *fixture = *state;
    struct error error = { 0 };
    add_account(fixture, "li");
    struct sign_in_answer answer = signed_in(fixture, "li");
    const char *cookie = arena_cstr(&fixture->arena, answer.set_cookie);
    assert_non_null(strstr(cookie, "; HttpOnly; SameSite=Strict; Secure"));
    assert_int_equal(secret_of(&answer).len, 64);
    const char *info = arena_cstr(&fixture->arena, json_write_arena(&fixture->arena, answer.info));
    assert_non_null(strstr(info, "\"person\":{\"id\":\"li\",\"name\":\"li\"}"));
    assert_non_null(strstr(
        info, "\"role\":\"county-doctor\",\"title\":{\"zh\":\"邀请方医生\",\"en\":\"Inviting doctor\"}"));
    assert_non_null(strstr(info, "\"organization\":{\"id\":\"county-ward\",\"name\":\"county-ward\"},"
                                 "\"tenant\":{\"id\":\"county\",\"name\":\"county\"}"));
    assert_non_null(strstr(info, "\"language\":\"zh\""));

    struct session_request request = { .cookie = secret_of(&answer) };
    struct access_session session;
    assert_int_equal(ask(fixture, &request, &session), ERROR_NONE);
    assert_true(str_equal(session.tenant, STR("county")));
    assert_int_equal(session.csrf.len, 32);
    struct str gone = STR_NONE;
    must(sign_out(fixture->access, &fixture->arena, &session, &gone, &error), &error);
    assert_non_null(strstr(arena_cstr(&fixture->arena, gone), "Max-Age=0"));
    assert_int_equal(ask(fixture, &request, NULL), ERROR_SIGN_IN);
}

static void wrong_passwords_wait_longer_and_names_are_not_told(void **state)
{
    struct fixture *fixture = *state;
    struct sign_in_answer answer = { 0 };
    struct error known = { 0 };
    struct error unknown = { 0 };
    uint32_t wait_s = 0;
    add_account(fixture, "li");
    assert_false(try_sign_in(fixture, "li", "wrong password", &answer, &wait_s, &known));
    assert_false(try_sign_in(fixture, "nobody", "wrong password", &answer, &wait_s, &unknown));
    assert_int_equal(known.kind, ERROR_SIGN_IN);
    assert_int_equal(unknown.kind, ERROR_SIGN_IN);
    assert_string_equal(known.text, unknown.text);
    for (int i = 0; i < 4; i++) {
        assert_false(try_sign_in(fixture, "LI", "wrong password", &answer, &wait_s, &known));
    }
    assert_false(try_sign_in(fixture, "li", good_password, &answer, &wait_s, &known));
    assert_int_equal(known.kind, ERROR_TOO_MANY);
    assert_int_equal(wait_s, 30);
    fixture->now_ms += 31 * 1000;
    assert_false(try_sign_in(fixture, "li", "wrong password", &answer, &wait_s, &known));
    assert_false(try_sign_in(fixture, "li", good_password, &answer, &wait_s, &known));
    assert_int_equal(wait_s, 60); /* doubled */
    fixture->now_ms += 61 * 1000;
    assert_true(try_sign_in(fixture, "li", good_password, &answer, &wait_s, &known));
    assert_false(try_sign_in(fixture, "li", "wrong password", &answer, &wait_s, &known));
    assert_int_equal(known.kind, ERROR_SIGN_IN); /* forgotten after a success */
}

static void one_address_cannot_try_many_names(void **state)
{
    struct fixture *fixture = *state;
    struct sign_in_answer answer = { 0 };
    struct error error = { 0 };
    uint32_t wait_s = 0;
    char name[32];
    for (int i = 0; i < 20; i++) {
        (void)snprintf(name, sizeof name, "guess-%d", i);
        assert_false(try_sign_in(fixture, name, "wrong password", &answer, &wait_s, &error));
        assert_int_equal(error.kind, ERROR_SIGN_IN);
    }
    assert_false(try_sign_in(fixture, "guess-20", "wrong password", &answer, &wait_s, &error));
    assert_int_equal(error.kind, ERROR_TOO_MANY);
    assert_true(wait_s > 0);
}

static void unsafe_requests_need_origin_and_token(void **state)
{
    struct fixture *fixture = *state;
    add_account(fixture, "li");
    struct sign_in_answer answer = signed_in(fixture, "li");
    struct session_request request = { .cookie = secret_of(&answer),
                                       .csrf = answer.session.csrf,
                                       .origin = STR("https://shanhai.test:8443"),
                                       .host = STR("shanhai.test:8443"),
                                       .tls = true,
                                       .unsafe = true };
    assert_int_equal(ask(fixture, &request, NULL), ERROR_NONE);
    struct session_request bad = request;
    bad.csrf = STR("0123456789abcdef0123456789abcdef");
    assert_int_equal(ask(fixture, &bad, NULL), ERROR_FORBIDDEN);
    bad = request;
    bad.csrf = STR_NONE;
    assert_int_equal(ask(fixture, &bad, NULL), ERROR_FORBIDDEN);
    static const char *const origins[] = { "", "null", "https://evil.test", "http://shanhai.test:8443",
                                           "https://shanhai.test:8443.evil.test" };
    for (size_t i = 0; i < sizeof origins / sizeof origins[0]; i++) {
        bad = request;
        bad.origin = str_from_cstr(origins[i]);
        assert_int_equal(ask(fixture, &bad, NULL), ERROR_FORBIDDEN);
    }
    bad = request;
    bad.unsafe = false;
    bad.origin = STR("https://evil.test");
    assert_int_equal(ask(fixture, &bad, NULL), ERROR_NONE); /* a read: the cookie's SameSite keeps it away */
}

static void sessions_end_by_idleness_age_and_disabling(void **state)
{
    struct fixture *fixture = *state;
    struct error error = { 0 };
    add_account(fixture, "li");
    struct sign_in_answer answer = signed_in(fixture, "li");
    struct session_request request = { .cookie = secret_of(&answer) };
    for (int i = 0; i < 24; i++) { /* used every 29 minutes: 11 h 36 min */
        fixture->now_ms += 29 * 60 * 1000;
        assert_int_equal(ask(fixture, &request, NULL), ERROR_NONE);
    }
    fixture->now_ms += 25 * 60 * 1000;
    assert_int_equal(ask(fixture, &request, NULL), ERROR_SIGN_IN); /* older than 12 h */

    answer = signed_in(fixture, "li");
    request.cookie = secret_of(&answer);
    fixture->now_ms += 30 * 60 * 1000;
    assert_int_equal(ask(fixture, &request, NULL), ERROR_SIGN_IN); /* idle */

    answer = signed_in(fixture, "li");
    request.cookie = secret_of(&answer);
    must(account_set_disabled(fixture->access, STR("li"), true, &error), &error);
    assert_int_equal(ask(fixture, &request, NULL), ERROR_SIGN_IN);
    uint32_t wait_s = 0;
    assert_false(try_sign_in(fixture, "li", good_password, &answer, &wait_s, &error));
    must(account_set_disabled(fixture->access, STR("li"), false, &error), &error);
    (void)signed_in(fixture, "li");
}

static void sessions_and_accounts_survive_a_restart(void **state)
{
    struct fixture *fixture = *state;
    struct error error = { 0 };
    add_account(fixture, "li");
    struct sign_in_answer answer = signed_in(fixture, "li");
    struct session_request request = { .cookie = secret_of(&answer) };
    fixture->now_ms += 20 * 60 * 1000;
    assert_int_equal(ask(fixture, &request, NULL), ERROR_NONE);
    must(access_tick(fixture->access, &error), &error); /* writes down that it was used */
    access_close(fixture->access);
    start_access(fixture);
    fixture->now_ms += 20 * 60 * 1000;
    assert_int_equal(ask(fixture, &request, NULL), ERROR_NONE);
    fixture->now_ms += 13LL * 3600 * 1000;
    must(access_tick(fixture->access, &error), &error);
    access_close(fixture->access);
    start_access(fixture);
    assert_int_equal(ask(fixture, &request, NULL), ERROR_SIGN_IN);
    (void)signed_in(fixture, "li");
}

static void the_secret_is_not_in_the_store(void **state)
{
    struct fixture *fixture = *state;
    char command[256];
    add_account(fixture, "li");
    struct sign_in_answer answer = signed_in(fixture, "li");
    (void)snprintf(command, sizeof command, "grep -rqa -e %.*s -e '%s' %s", STR_FMT(secret_of(&answer)),
                   good_password, fixture->folder);
    assert_int_not_equal(system(command), 0);
}

static void switching_the_post_changes_rights_and_session(void **state)
{
    struct fixture *fixture = *state;
    struct error error = { 0 };
    put(fixture, "county",
        "{\"resourceType\":\"PractitionerRole\",\"id\":\"li-duty\",\"practitioner\":{\"reference\":"
        "\"Practitioner/li\"},"
        "\"organization\":{\"reference\":\"Organization/"
        "county\"},\"code\":[{\"coding\":[{\"system\":\"urn:shanhai:codes:role\",\"code\":\"duty-head\"}]}]"
        "}");
    put(fixture, "county",
        "{\"resourceType\":\"PractitionerRole\",\"id\":\"li-past\",\"practitioner\":{\"reference\":"
        "\"Practitioner/li\"},\"period\":{\"end\":\"2026-09-01\"},"
        "\"organization\":{\"reference\":\"Organization/"
        "county\"},\"code\":[{\"coding\":[{\"system\":\"urn:shanhai:codes:role\",\"code\":\"administrator\"}]"
        "}]}");
    put(fixture, "county",
        "{\"resourceType\":\"PractitionerRole\",\"id\":\"li-system\",\"practitioner\":{\"reference\":"
        "\"Practitioner/li\"},"
        "\"organization\":{\"reference\":\"Organization/"
        "county\"},\"code\":[{\"coding\":[{\"system\":\"urn:shanhai:codes:role\",\"code\":\"system\"}]}]}");
    add_account(fixture, "li");
    struct sign_in_answer first = signed_in(fixture, "li");
    assert_int_equal(JSON_GET(first.info, "posts")->count, 2); /* neither the ended nor the machine's */
    struct sign_in_answer next = { 0 };
    assert_false(session_switch_post(fixture->access, &fixture->arena, &first.session, STR("desk"), true,
                                     &next, &error));
    assert_int_equal(error.kind, ERROR_FORBIDDEN);
    struct str other = str_equal(first.session.post, STR("li")) ? STR("li-duty") : STR("li");
    must(session_switch_post(fixture->access, &fixture->arena, &first.session, other, true, &next, &error),
         &error);
    assert_true(str_equal(next.session.post, other));
    assert_false(str_equal(secret_of(&first), secret_of(&next)));
    struct session_request old = { .cookie = secret_of(&first) };
    assert_int_equal(ask(fixture, &old, NULL), ERROR_SIGN_IN);
    struct sign_in_answer again = signed_in(fixture, "li");
    assert_true(str_equal(again.session.post, other)); /* the last used */
}

static void a_post_taken_away_ends_its_sessions(void **state)
{
    struct fixture *fixture = *state;
    add_account(fixture, "li");
    struct sign_in_answer answer = signed_in(fixture, "li");
    struct session_request request = { .cookie = secret_of(&answer) };
    put(fixture, "county",
        "{\"resourceType\":\"PractitionerRole\",\"id\":\"li\",\"active\":false,\"practitioner\":{"
        "\"reference\":\"Practitioner/li\"},"
        "\"organization\":{\"reference\":\"Organization/"
        "county\"},\"code\":[{\"coding\":[{\"system\":\"urn:shanhai:codes:role\",\"code\":\"county-doctor\"}]"
        "}]}");
    access_directory_changed(fixture->access);
    assert_int_equal(ask(fixture, &request, NULL), ERROR_FORBIDDEN);
}

static void passwords_are_changed_with_the_old_one(void **state)
{
    struct fixture *fixture = *state;
    struct error error = { 0 };
    struct str reset = STR_NONE;
    uint32_t wait_s = 0;
    add_account(fixture, "li");
    struct sign_in_answer stale = signed_in(fixture, "li");
    must(account_reset_password(fixture->access, &fixture->arena, STR("li"), &reset, &error), &error);
    assert_int_equal(reset.len, 19);
    struct session_request old = { .cookie = secret_of(&stale) };
    assert_int_equal(ask(fixture, &old, NULL), ERROR_SIGN_IN);
    struct sign_in_answer answer = { 0 };
    must(try_sign_in(fixture, "li", arena_cstr(&fixture->arena, reset), &answer, &wait_s, &error), &error);
    assert_true(answer.session.must_change_password);
    struct access_act read = { .interaction = ACCESS_READ, .type = STR("Patient") };
    assert_false(access_check(&answer.session, read, &error));
    assert_non_null(strstr(error.text, "change the password"));

    static const char *const refused[] = { "short", "1234567890", "aaaaaaaaaaaa", "li li li li" };
    struct sign_in_answer changed = { 0 };
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        struct password_change change = { reset, str_from_cstr(refused[i]), true };
        assert_false(
            password_change(fixture->access, &fixture->arena, &answer.session, &change, &changed, &error));
        assert_int_equal(error.kind, ERROR_INPUT);
    }
    struct password_change wrong = { STR("not the old one"), STR("another mountain"), true };
    assert_false(
        password_change(fixture->access, &fixture->arena, &answer.session, &wrong, &changed, &error));
    assert_int_equal(error.kind, ERROR_SIGN_IN);
    struct password_change right = { reset, STR("another mountain"), true };
    must(password_change(fixture->access, &fixture->arena, &answer.session, &right, &changed, &error),
         &error);
    assert_false(changed.session.must_change_password);
    assert_true(access_check(&changed.session, read, &error));
    old.cookie = secret_of(&answer);
    assert_int_equal(ask(fixture, &old, NULL), ERROR_SIGN_IN);
    assert_true(try_sign_in(fixture, "li", "another mountain", &answer, &wait_s, &error));
}

static void signing_asks_for_the_password_again(void **state)
{
    struct fixture *fixture = *state;
    struct error error = { 0 };
    add_account(fixture, "li");
    struct sign_in_answer answer = signed_in(fixture, "li");
    assert_true(session_confirm(fixture->access, &answer.session, STR_NONE, &error)); /* given a moment ago */
    fixture->now_ms += 11 * 60 * 1000;
    assert_false(session_confirm(fixture->access, &answer.session, STR_NONE, &error));
    assert_int_equal(error.kind, ERROR_SIGN_IN);
    assert_false(session_confirm(fixture->access, &answer.session, STR("wrong password"), &error));
    assert_true(session_confirm(fixture->access, &answer.session, str_from_cstr(good_password), &error));
    assert_true(session_confirm(fixture->access, &answer.session, STR_NONE, &error));
}

static void tokens_act_for_a_post_until_they_end(void **state)
{
    struct fixture *fixture = *state;
    struct error error = { 0 };
    struct str text = STR_NONE;
    add_account(fixture, "li");
    struct token_new wanted = {
        .account = STR("li"), .post = STR("li"), .label = STR("LIS bridge"), .days = 30
    };
    must(token_add(fixture->access, &fixture->arena, &wanted, &text, &error), &error);
    struct session_request request = { .authorization = arena_concat(&fixture->arena, STR("Bearer "), text),
                                       .unsafe = true };
    struct access_session session;
    assert_int_equal(ask(fixture, &request, &session),
                     ERROR_NONE); /* no Origin, no CSRF token: not a browser */
    assert_true(str_equal(session.role, STR("county-doctor")));
    assert_false(session_confirm(fixture->access, &session, str_from_cstr(good_password), &error));
    struct token_new foreign = wanted;
    foreign.post = STR("desk");
    assert_false(token_add(fixture->access, &fixture->arena, &foreign, &text, &error));
    assert_int_equal(error.kind, ERROR_INPUT);

    access_close(fixture->access);
    start_access(fixture);
    assert_int_equal(ask(fixture, &request, NULL), ERROR_NONE);
    struct json *tokens = NULL;
    must(token_list(fixture->access, &fixture->arena, &tokens, &error), &error);
    assert_int_equal(tokens->count, 1);
    assert_true(json_equals_text(JSON_GET(json_at(tokens, 0), "label"), STR("LIS bridge")));
    fixture->now_ms += 31LL * 24 * 3600 * 1000;
    assert_int_equal(ask(fixture, &request, NULL), ERROR_SIGN_IN);
    fixture->now_ms = start_ms;
    must(token_remove(fixture->access, JSON_TEXT(&fixture->arena, json_at(tokens, 0), "id"), &error), &error);
    assert_int_equal(ask(fixture, &request, NULL), ERROR_SIGN_IN);
    static const char *const odd[] = { "Bearer x", "Bearer shanhai_zz", "Basic bGk6cGFzcw==", "Bearer " };
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
        struct session_request bad = { .authorization = str_from_cstr(odd[i]) };
        assert_int_equal(ask(fixture, &bad, NULL), ERROR_SIGN_IN);
    }
}

static void accounts_are_made_once_and_for_somebody(void **state)
{
    struct fixture *fixture = *state;
    struct error error = { 0 };
    struct str password = STR_NONE;
    struct json *accounts = NULL;
    struct account_new account = { .name = STR("li"), .practitioner = STR("li") };
    must(account_add(fixture->access, &fixture->arena, &account, &password, &error), &error);
    assert_int_equal(password.len, 19);
    account.name = STR("LI");
    assert_false(account_add(fixture->access, &fixture->arena, &account, &password, &error));
    assert_int_equal(error.kind, ERROR_CONFLICT);
    account.name = STR("li; drop");
    assert_false(account_add(fixture->access, &fixture->arena, &account, &password, &error));
    assert_int_equal(error.kind, ERROR_INPUT);
    account = (struct account_new){ .name = STR("ghost"), .practitioner = STR("nobody") };
    assert_false(account_add(fixture->access, &fixture->arena, &account, &password, &error));
    assert_int_equal(error.kind, ERROR_INPUT);
    must(account_list(fixture->access, &fixture->arena, &accounts, &error), &error);
    assert_int_equal(accounts->count, 1);
    const char *text = arena_cstr(&fixture->arena, json_write_arena(&fixture->arena, accounts));
    assert_null(strstr(text, "argon2"));
}

/* ---- rights ---- */

static struct access_session session_as(struct fixture *fixture, const char *name)
{
    struct error error = { 0 };
    struct str text = STR_NONE;
    struct access_session session = { 0 };
    add_account(fixture, name);
    struct token_new wanted = { .account = str_from_cstr(name), .post = str_from_cstr(name), .days = 1 };
    must(token_add(fixture->access, &fixture->arena, &wanted, &text, &error), &error);
    struct session_request request = { .authorization = arena_concat(&fixture->arena, STR("Bearer "), text) };
    assert_int_equal(ask(fixture, &request, &session), ERROR_NONE);
    return session;
}

/* R may, . is 404 (not to be seen), x is 403 (the role lacks it). */
static char outcome_of_read(struct fixture *fixture, const struct access_session *session,
                            enum access_interaction interaction, const char *reference,
                            struct store_reader *reader)
{
    struct str text = str_from_cstr(reference);
    size_t slash = str_find_char(text, '/');
    struct access_act act = { .interaction = interaction,
                              .type = str_slice(text, 0, slash),
                              .operation = STR("$transition") };
    const struct store_filter *filter = NULL;
    struct store_version version;
    struct error error = { 0 };
    bool matches = false;
    if (!access_check(session, act, &error)) {
        assert_int_equal(error.kind, ERROR_FORBIDDEN);
        return 'x';
    }
    must(store_read(reader, &fixture->arena, act.type, str_skip(text, slash + 1), &version, &error), &error);
    must(access_filter(session, act, &fixture->arena, &filter, &error), &error);
    must(store_matches(reader, &version, filter, &matches, &error), &error);
    return matches ? 'R' : '.';
}

/* An update with the stored content as it is. */
static char outcome_of_update(struct fixture *fixture, const struct access_session *session,
                              const char *reference, struct store_reader *reader)
{
    struct str text = str_from_cstr(reference);
    size_t slash = str_find_char(text, '/');
    struct store_version version;
    struct error error = { 0 };
    struct str body = STR_NONE;
    struct json *resource = NULL;
    struct str type = str_slice(text, 0, slash);
    must(store_read(reader, &fixture->arena, type, str_skip(text, slash + 1), &version, &error), &error);
    must(store_body_text(&fixture->arena, &version, &body, &error), &error);
    must(json_read(&fixture->arena, body, &resource, &error), &error);
    struct access_write write = { .act = { .interaction = ACCESS_UPDATE, .type = type },
                                  .resource = resource,
                                  .previous = resource,
                                  .previous_version = &version,
                                  .reader = reader,
                                  .now_ms = fixture->now_ms };
    if (access_may_write(session, &write, &fixture->arena, &error)) {
        return 'W';
    }
    assert_true(error.kind == ERROR_FORBIDDEN || error.kind == ERROR_NOT_FOUND);
    return error.kind == ERROR_NOT_FOUND ? '.' : 'x';
}

/* How many of the samples of a type a search by this role gives. */
static size_t search_count(struct fixture *fixture, const struct access_session *session, struct str type,
                           struct store_reader *reader)
{
    struct access_act act = { .interaction = ACCESS_SEARCH, .type = type };
    struct search_options options = { .type = type };
    struct search_query query = { 0 };
    struct store_hits hits = { 0 };
    struct store_search search = { .query = &query };
    struct error error = { 0 };
    if (!access_has(session, act)) {
        return 0;
    }
    must(search_query_parse_text(&fixture->arena, &options, STR("_count=100"), &query, &error), &error);
    must(access_filter(session, act, &fixture->arena, &search.filter, &error), &error);
    must(store_search(reader, &fixture->arena, &search, &hits, &error), &error);
    return hits.count;
}

struct expectation {
    const char *who;
    const char *read;    /* one letter a sample */
    const char *history; /* the same for older versions */
    const char *update;
    const char *transition;
};

/* Read with samples[] beside it. R and W: may; . is 404: not to be seen; x is 403: the role lacks it, or sees it
 * and may not change it. li, duty, xray: the county; desk, lead, second, drafter, bystander, declined: the helper. */
static const struct expectation matrix[] = {
    { "li", "RRRRRRRRRRRRR...RRR..", "xRRRRRRRRRRx.xx.Rx...", "xWWWxxxWWxWxxxxxxxx..",
      "xxxxxxxxRRxxxxxxxxxx." },
    { "duty", "RR.....RR............", "xxxxxxxxR.xxxxxxxxxx.", "xxxxxxxxxxxxxxxxxxxxx",
      "xxxxxxxxR.xxxxxxxxxx." },
    { "xray", "RR..RRRRRRR..xxxxx...", "xRxxRRRRRRRx.xxxxx...", "xxxxxxxxxxxxxxxxxxxxx",
      "xxxxxxxxRRxxxxxxxxxx." },
    { "desk", "RRR.RR.RR.RRRxxxxxR..", "xxxxxxxxR.xxxxxxxxxx.", "xxxxxxxxxxxxxxxxxxxxx",
      "xxxxxxxxR.xxxxxxxxxx." },
    { "lead", "RRR.RR.RR.RRRRRR.RR..", "xxxxxxxxR.xxxR.R.xxx.", "xxxxxxxxxxxxxWxW.xxxx",
      "xxxxxxxxR.xxxxxxxxxx." },
    { "second", "RRR.RR.RR.RRR.R..RR..", "xxxxxxxxR.xxx.R..xxx.", "xxxxxxxxxxxxx.x..xxxx",
      "xxxxxxxxR.xxxxxxxxxx." },
    { "drafter", "R............R.......", "xxxxxxxx..xxx....xxx.", "xxxxxxxxxxxxxW...xxxx",
      "xxxxxxxx..xxxxxxxxxx." },
    { "bystander", "R....................", "xxxxxxxx..xxx....xxx.", "xxxxxxxxxxxxx....xxxx",
      "xxxxxxxx..xxxxxxxxxx." },
    { "declined", "R....................", "xxxxxxxx..xxx....xxx.", "xxxxxxxxxxxxx....xxxx",
      "xxxxxxxx..xxxxxxxxxx." },
    { "chief", "RRxxxxxxR.xxxxxxxxx..", "xxxxxxxxxxxxxxxxxxxxx", "xxxxxxxxxxxxxxxxxxxxx",
      "xxxxxxxxxxxxxxxxxxxxx" },
    { "admin", "Rxxxxxxxxxxxxxxxxxxxx", "Rxxxxxxxxxxxxxxxxxxxx", "Wxxxxxxxxxxxxxxxxxxxx",
      "xxxxxxxxxxxxxxxxxxxxx" },
    { "stranger", "R..................RR", "x..........x.xx..x.RR", "x...xxx....x.xxxxxxWx",
      "xxxxxxxx..xxxxxxxxxxR" },
};

static void print_row(const char *what, const char *who, const char *letters)
{
    print_message("  %-10s %-10s %s\n", who, what, letters);
}

static void every_role_sees_and_changes_what_it_should(void **state)
{
    struct fixture *fixture = *state;
    struct error error = { 0 };
    struct store_reader *reader = NULL;
    size_t wrong = 0;
    size_t cells = 0;
    put_record(fixture);
    put_grants(fixture);
    for (size_t k = 0; k < SAMPLES_COUNT; k++) {
        print_message("  %2zu %s\n", k + 1, samples[k]);
    }
    for (size_t i = 0; i < sizeof matrix / sizeof matrix[0]; i++) {
        char got[4][SAMPLES_COUNT + 1] = { 0 };
        const char *const wanted[4] = { matrix[i].read, matrix[i].history, matrix[i].update,
                                        matrix[i].transition };
        static const char *const names[4] = { "read", "history", "update", "transition" };
        struct access_session session = session_as(fixture, matrix[i].who);
        must(store_reader_begin(fixture->store, &reader, &error), &error);
        for (size_t k = 0; k < SAMPLES_COUNT; k++) {
            got[0][k] = outcome_of_read(fixture, &session, ACCESS_READ, samples[k], reader);
            got[1][k] = outcome_of_read(fixture, &session, ACCESS_HISTORY, samples[k], reader);
            got[2][k] = outcome_of_update(fixture, &session, samples[k], reader);
            got[3][k] = outcome_of_read(fixture, &session, ACCESS_OPERATION, samples[k], reader);
            cells += 4;
        }
        for (size_t line = 0; line < 4; line++) {
            print_row(names[line], matrix[i].who, got[line]);
            if (strcmp(got[line], wanted[line]) != 0) {
                print_row("expected", matrix[i].who, wanted[line]);
                wrong++;
            }
        }
        for (size_t k = 0; k < SAMPLES_COUNT; k++) { /* a search gives what reads give, no more, no less */
            struct str type =
                str_slice(str_from_cstr(samples[k]), 0, str_find_char(str_from_cstr(samples[k]), '/'));
            size_t readable = 0;
            for (size_t other = 0; other < SAMPLES_COUNT; other++) {
                readable += str_starts_with(str_from_cstr(samples[other]), type) &&
                            samples[other][type.len] == '/' && got[0][other] == 'R';
            }
            if (!str_equal(type, STR("Organization"))) {
                assert_int_equal(search_count(fixture, &session, type, reader), readable);
            }
        }
        store_reader_end(reader);
    }
    print_message("  %zu cells\n", cells);
    assert_int_equal(wrong, 0);
}

/* ---- writing ---- */

/* NULL when the new resource may be written, else the refusal's text. */
static const char *refusal_of_create(struct fixture *fixture, const struct access_session *session,
                                     const char *text)
{
    struct error error = { 0 };
    struct json *resource = NULL;
    struct store_reader *reader = NULL;
    must(json_read(&fixture->arena, str_from_cstr(text), &resource, &error), &error);
    must(store_reader_begin(fixture->store, &reader, &error), &error);
    struct access_write write = {
        .act = { .interaction = ACCESS_CREATE, .type = JSON_TEXT(&fixture->arena, resource, "resourceType") },
        .resource = resource,
        .reader = reader,
        .now_ms = fixture->now_ms,
    };
    bool may = access_may_write(session, &write, &fixture->arena, &error);
    store_reader_end(reader);
    if (may) {
        return NULL;
    }
    assert_int_equal(error.kind, ERROR_FORBIDDEN);
    return arena_cstr(&fixture->arena, str_from_cstr(error.text));
}

static const char *refusal_of_update(struct fixture *fixture, const struct access_session *session,
                                     const char *text)
{
    struct error error = { 0 };
    struct json *resource = NULL;
    struct json *previous = NULL;
    struct store_version version;
    struct str body = STR_NONE;
    struct store_reader *reader = NULL;
    must(json_read(&fixture->arena, str_from_cstr(text), &resource, &error), &error);
    must(store_reader_begin(fixture->store, &reader, &error), &error);
    struct str type = JSON_TEXT(&fixture->arena, resource, "resourceType");
    must(store_read(reader, &fixture->arena, type, JSON_TEXT(&fixture->arena, resource, "id"), &version,
                    &error),
         &error);
    must(store_body_text(&fixture->arena, &version, &body, &error) &&
             json_read(&fixture->arena, body, &previous, &error),
         &error);
    struct access_write write = { .act = { .interaction = ACCESS_UPDATE, .type = type },
                                  .resource = resource,
                                  .previous = previous,
                                  .previous_version = &version,
                                  .reader = reader,
                                  .now_ms = fixture->now_ms };
    bool may = access_may_write(session, &write, &fixture->arena, &error);
    store_reader_end(reader);
    return may ? NULL : arena_cstr(&fixture->arena, str_from_cstr(error.text));
}

static void opinions_are_written_by_their_author_only(void **state)
{
    struct fixture *fixture = *state;
    put_record(fixture);
    put_grants(fixture);
    struct access_session lead = session_as(fixture, "lead");
    struct access_session drafter = session_as(fixture, "drafter");
    struct access_session bystander = session_as(fixture, "bystander");
#define IMPRESSION(status, assessor, encounter)                                                              \
    "{\"resourceType\":\"ClinicalImpression\",\"id\":\"draft\",\"status\":\"" status                         \
    "\",\"subject\":{\"reference\":\"Patient/pat\"},\"encounter\":{\"reference\":\"Encounter/" encounter     \
    "\"},\"assessor\":{\"reference\":\"PractitionerRole/" assessor "\"}"
#define DRAFTER(who)                                                                                         \
    ",\"extension\":[{\"url\":\"urn:shanhai:ext:drafter\",\"valueReference\":{\"reference\":"                \
    "\"PractitionerRole/" who "\"}}]"
    assert_null(refusal_of_create(fixture, &lead, IMPRESSION("in-progress", "lead", "hub") "}"));
    assert_string_equal(refusal_of_create(fixture, &lead, IMPRESSION("in-progress", "second", "hub") "}"),
                        "只能写本人的意见草稿；签署后的文字不可更改");
    assert_non_null(
        refusal_of_create(fixture, &lead, IMPRESSION("completed", "lead", "hub") "}")); /* unsigned */
    assert_non_null(refusal_of_create(fixture, &lead, IMPRESSION("in-progress", "lead", "nowhere") "}"));
    assert_non_null(refusal_of_create(fixture, &bystander,
                                      IMPRESSION("in-progress", "bystander", "hub") "}")); /* not invited */
    assert_null(
        refusal_of_update(fixture, &lead, IMPRESSION("in-progress", "lead", "hub") DRAFTER("drafter") "}"));
    assert_null(refusal_of_update(fixture, &lead,
                                  IMPRESSION("in-progress", "lead", "hub") "}")); /* takes the drafter away */
    assert_non_null(
        refusal_of_update(fixture, &lead, IMPRESSION("completed", "lead", "hub") "}")); /* only by signing */
    assert_non_null(refusal_of_update(fixture, &lead, IMPRESSION("in-progress", "second", "hub") "}"));
    assert_null(refusal_of_update(fixture, &drafter,
                                  IMPRESSION("in-progress", "lead", "hub") DRAFTER("drafter") "}"));
    assert_non_null(refusal_of_update(fixture, &drafter,
                                      IMPRESSION("in-progress", "lead", "hub") DRAFTER("bystander") "}"));
    assert_non_null(refusal_of_update(fixture, &drafter,
                                      IMPRESSION("in-progress", "drafter", "hub") DRAFTER("drafter") "}"));
}

static void requests_share_only_what_the_doctor_sees(void **state)
{
    struct fixture *fixture = *state;
    put_record(fixture);
    put_grants(fixture);
    struct access_session li = session_as(fixture, "li");
#define REQUEST(requester, patient, shared)                                                                  \
    "{\"resourceType\":\"ServiceRequest\",\"id\":\"request\",\"status\":\"draft\",\"intent\":\"order\","     \
    "\"subject\":{\"reference\":\"Patient/" patient                                                          \
    "\"},\"requester\":{\"reference\":\"PractitionerRole/" requester                                         \
    "\"},\"supportingInfo\":[{\"reference\":\"" shared "\"}]}"
    assert_null(refusal_of_create(fixture, &li, REQUEST("li", "pat", "ImagingStudy/ct")));
    assert_non_null(refusal_of_create(fixture, &li, REQUEST("duty", "pat", "ImagingStudy/ct")));
    assert_non_null(refusal_of_create(fixture, &li, REQUEST("li", "other-pat", "ImagingStudy/ct")));
    assert_non_null(refusal_of_create(fixture, &li, REQUEST("li", "pat", "ClinicalImpression/draft")));
    assert_non_null(refusal_of_create(fixture, &li, REQUEST("li", "pat", "ImagingStudy/none")));
    assert_null(refusal_of_create(
        fixture, &li, "{\"resourceType\":\"Condition\",\"subject\":{\"reference\":\"Patient/pat\"}}"));
    assert_non_null(refusal_of_create(
        fixture, &li, "{\"resourceType\":\"Condition\",\"subject\":{\"reference\":\"Patient/other-pat\"}}"));
    assert_non_null(refusal_of_create(fixture, &li, "{\"resourceType\":\"Organization\",\"name\":\"x\"}"));
}

static void people_speak_as_themselves_where_they_take_part(void **state)
{
    struct fixture *fixture = *state;
    put_record(fixture);
    put_grants(fixture);
    struct access_session second = session_as(fixture, "second");
    struct access_session declined = session_as(fixture, "declined");
#define WORD(sender)                                                                                         \
    "{\"resourceType\":\"Communication\",\"status\":\"completed\",\"subject\":{\"reference\":\"Patient/"     \
    "pat\"},\"encounter\":{\"reference\":\"Encounter/hub\"},"                                                \
    "\"sender\":{\"reference\":\"PractitionerRole/" sender "\"}}"
    assert_null(refusal_of_create(fixture, &second, WORD("second")));
    assert_non_null(refusal_of_create(fixture, &second, WORD("lead")));
    assert_non_null(refusal_of_create(fixture, &declined, WORD("declined")));
}

/* ---- masking and machines ---- */

static void the_commander_sees_patients_masked(void **state)
{
    struct fixture *fixture = *state;
    struct error error = { 0 };
    struct json *bundle = NULL;
    struct access_session chief = session_as(fixture, "chief");
    const char *text =
        "{\"resourceType\":\"Bundle\",\"entry\":[{\"resource\":{\"resourceType\":\"Patient\",\"id\":\"pat\","
        "\"name\":[{\"family\":\"张\",\"given\":[\"三\"],\"text\":\"张三\"}],\"birthDate\":\"1950-03-04\",\"_"
        "birthDate\":{\"id\":\"b\"},"
        "\"identifier\":[{\"value\":\"66\"}],\"telecom\":[{\"value\":\"154\"}],\"gender\":\"male\"}},"
        "{\"resource\":{\"resourceType\":\"Task\",\"for\":{\"reference\":\"Patient/"
        "pat\",\"display\":\"张三\"},\"description\":\"secret\","
        "\"owner\":{\"reference\":\"PractitionerRole/"
        "lead\",\"display\":\"专家\"},\"status\":\"requested\"}}]}";
    assert_true(access_masks_type(&chief, STR("Patient")));
    must(json_read(&fixture->arena, str_from_cstr(text), &bundle, &error), &error);
    must(access_mask(&chief, &fixture->arena, bundle, &error), &error);
    const char *masked = arena_cstr(&fixture->arena, json_write_arena(&fixture->arena, bundle));
    assert_non_null(strstr(masked, "\"name\":[{\"text\":\"张**\"}]"));
    assert_non_null(strstr(masked, "\"birthDate\":\"1950\""));
    assert_non_null(strstr(masked, "\"code\":\"MASKED\""));
    assert_non_null(strstr(masked, "\"display\":\"专家\""));
    assert_non_null(strstr(masked, "\"gender\":\"male\""));
    static const char *const gone[] = { "张三", "三", "66", "154", "1950-03", "_birthDate", "secret" };
    for (size_t i = 0; i < sizeof gone / sizeof gone[0]; i++) {
        assert_null(strstr(masked, gone[i]));
    }
    static const char *const refused[] = { "name", "birthdate", "identifier", "_text", "_content", "phone" };
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        assert_false(access_parameter_allowed(&chief, STR("Patient"), str_from_cstr(refused[i]), &error));
        assert_int_equal(error.kind, ERROR_FORBIDDEN);
        assert_non_null(strstr(error.text, refused[i]));
    }
    assert_true(access_parameter_allowed(&chief, STR("Patient"), STR("gender"), &error));
    assert_true(access_parameter_allowed(&chief, STR("Task"), STR("status"), &error));
    struct access_session li = session_as(fixture, "li");
    assert_false(access_masks_type(&li, STR("Patient")));
    assert_true(access_parameter_allowed(&li, STR("Patient"), STR("name"), &error));
}

static void rights_that_are_no_resource_follow_the_role(void **state)
{
    struct fixture *fixture = *state;
    struct error error = { 0 };
    struct access_session admin = session_as(fixture, "admin");
    struct access_session li = session_as(fixture, "li");
    struct access_session chief = session_as(fixture, "chief");
    assert_true(access_has_right(&admin, "accounts"));
    assert_true(access_has_right(&admin, "audit"));
    assert_false(access_has_right(&admin, "figures"));
    assert_false(access_has_right(&admin, "dicom-read"));
    assert_true(access_has_right(&chief, "figures"));
    assert_false(access_has_right(&chief, "sign"));
    assert_true(access_has_right(&li, "sign"));
    assert_false(access_need_right(&li, "accounts", &error));
    assert_int_equal(error.kind, ERROR_FORBIDDEN);
    assert_non_null(strstr(error.text, "accounts"));
}

static void machines_act_for_their_hospital(void **state)
{
    struct fixture *fixture = *state;
    struct error error = { 0 };
    struct access_session system;
    struct access_session device;
    struct store_reader *reader = NULL;
    put_record(fixture);
    must(access_session_machine(fixture->access, &fixture->arena, "system", STR("county"), &system, &error),
         &error);
    must(access_session_machine(fixture->access, &fixture->arena, "device", STR("county"), &device, &error),
         &error);
    assert_true(str_equal(device.organization, STR("county")));
    must(store_reader_begin(fixture->store, &reader, &error), &error);
    assert_int_equal(outcome_of_read(fixture, &system, ACCESS_READ, "ClinicalImpression/draft", reader), 'R');
    assert_int_equal(outcome_of_read(fixture, &device, ACCESS_READ, "Patient/pat", reader), 'R');
    assert_int_equal(outcome_of_read(fixture, &device, ACCESS_READ, "Patient/other-pat", reader), '.');
    assert_int_equal(outcome_of_read(fixture, &device, ACCESS_READ, "Condition/shared", reader), 'x');
    store_reader_end(reader);
    assert_false(access_session_machine(fixture->access, &fixture->arena, "county-doctor", STR("county"),
                                        &device, &error));
    assert_false(
        access_session_machine(fixture->access, &fixture->arena, "nothing", STR("county"), &device, &error));
}

static void grantees_are_posts_or_roles_of_an_organisation(void **state)
{
    (void)state;
    assert_int_equal(access_grantee_key(STR("PractitionerRole/x")), key_of("PractitionerRole/x"));
    assert_int_not_equal(access_grantee_key(STR("Organization/x|expert")),
                         access_grantee_key(STR("Organization/x|county-doctor")));
    assert_int_equal(access_grantee_key(STR("Organization/x")), 0);
    assert_int_equal(access_grantee_key(STR("Organization/|expert")), 0);
    assert_int_equal(access_grantee_key(STR("Organization/x|")), 0);
    assert_int_equal(access_grantee_key(STR("Practitioner/x")), 0);
    assert_int_equal(access_grantee_key(STR("PractitionerRole/")), 0);
}

/* ---- policies ---- */

#define ROLE(members) "{\"policy\":\"r\",\"title\":{\"zh\":\"角色\",\"en\":\"Role\"}," members "}"
#define RULE(members) ROLE("\"rules\":[{" members "}]")

static void policies_that_are_not_understood_are_refused(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        const char *text;
        const char *says;
    } cases[] = {
        { RULE("\"types\":[\"Patient\"],\"interactions\":[\"read\"]"), "custodian" },
        { RULE("\"types\":[\"Pateint\"],\"interactions\":[\"read\"],\"custodian\":\"own\""),
          "unknown resource type 'Pateint'" },
        { RULE("\"types\":[\"Patient\"],\"interactions\":[\"raed\"],\"custodian\":\"own\""),
          "unknown interaction 'raed'" },
        { RULE("\"types\":[\"Patient\"],\"interactions\":[],\"custodian\":\"own\""), "interactions" },
        { RULE("\"types\":[],\"interactions\":[\"read\"],\"custodian\":\"own\""), "types" },
        { RULE("\"types\":[\"Patient\"],\"interactions\":[\"read\"],\"custodian\":\"mine\""), "mine" },
        { RULE("\"types\":[\"Patient\"],\"interactions\":[\"read\"],\"custodian\":\"own\",\"wehn\":\"x\""),
          "unknown member 'wehn'" },
        { RULE("\"types\":[\"Observation\"],\"interactions\":[\"read\"],\"custodian\":\"any\",\"when\":"
               "\"subject:Patient.name=x\""),
          "no chain" },
        { RULE("\"types\":[\"Observation\"],\"interactions\":[\"read\"],\"custodian\":\"any\",\"when\":\"_"
               "has:x=y\""),
          "no chain" },
        { RULE("\"types\":[\"Observation\"],\"interactions\":[\"read\"],\"custodian\":\"any\",\"when\":"
               "\"author=x\""),
          "'author'" },
        { RULE("\"types\":[\"Observation\"],\"interactions\":[\"read\"],\"custodian\":\"any\","
               "\"grantedThrough\":\"status\""),
          "'status'" },
        { RULE("\"types\":[\"Observation\"],\"interactions\":[\"create\"],\"custodian\":\"own\",\"write\":"
               "\"status =\""),
          "not FHIRPath" },
        { RULE("\"types\":[\"Observation\"],\"interactions\":[\"create\"],\"custodian\":\"own\","
               "\"custodian\":\"any\""),
          "twice" },
        { RULE("\"types\":[\"Observation\"],\"interactions\":[\"read\"],\"custodian\":\"own\",\"granted\":"
               "\"yes\""),
          "granted" },
        { ROLE("\"includes\":[\"nothing\"],\"rules\":[]"), "no set of rules 'nothing'" },
        { ROLE("\"rules\":[],\"masked\":[{\"type\":\"Patient\",\"elements\":{\"name\":\"blur\"}}]"),
          "a mask is" },
        { "{\"policy\":\"r\",\"rules\":[]}", "two titles" },
        { "[]", "" },
        { "{", "" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct access_policy_file file = { STR("r.json"), str_from_cstr(cases[i].text) };
        struct access_options options = { .policies = &file,
                                          .policies_count = 1,
                                          .rows = access_rows_of_store(fixture->store),
                                          .directory = access_directory_of_store(fixture->store) };
        struct access *access = NULL;
        struct error error = { 0 };
        if (access_open(&options, &access, &error)) {
            fail_msg("taken: %s", cases[i].text);
        }
        if (strstr(error.text, cases[i].says) == NULL) {
            fail_msg("'%s' does not say '%s'", error.text, cases[i].says);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_person_signs_in_and_out, set_up, tear_down),
        cmocka_unit_test_setup_teardown(wrong_passwords_wait_longer_and_names_are_not_told, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(one_address_cannot_try_many_names, set_up, tear_down),
        cmocka_unit_test_setup_teardown(unsafe_requests_need_origin_and_token, set_up, tear_down),
        cmocka_unit_test_setup_teardown(sessions_end_by_idleness_age_and_disabling, set_up, tear_down),
        cmocka_unit_test_setup_teardown(sessions_and_accounts_survive_a_restart, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_secret_is_not_in_the_store, set_up, tear_down),
        cmocka_unit_test_setup_teardown(switching_the_post_changes_rights_and_session, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_post_taken_away_ends_its_sessions, set_up, tear_down),
        cmocka_unit_test_setup_teardown(passwords_are_changed_with_the_old_one, set_up, tear_down),
        cmocka_unit_test_setup_teardown(signing_asks_for_the_password_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(tokens_act_for_a_post_until_they_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(accounts_are_made_once_and_for_somebody, set_up, tear_down),
        cmocka_unit_test_setup_teardown(every_role_sees_and_changes_what_it_should, set_up, tear_down),
        cmocka_unit_test_setup_teardown(opinions_are_written_by_their_author_only, set_up, tear_down),
        cmocka_unit_test_setup_teardown(requests_share_only_what_the_doctor_sees, set_up, tear_down),
        cmocka_unit_test_setup_teardown(people_speak_as_themselves_where_they_take_part, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_commander_sees_patients_masked, set_up, tear_down),
        cmocka_unit_test_setup_teardown(rights_that_are_no_resource_follow_the_role, set_up, tear_down),
        cmocka_unit_test_setup_teardown(machines_act_for_their_hospital, set_up, tear_down),
        cmocka_unit_test_setup_teardown(grantees_are_posts_or_roles_of_an_organisation, set_up, tear_down),
        cmocka_unit_test_setup_teardown(policies_that_are_not_understood_are_refused, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
