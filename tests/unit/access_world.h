/* access_world.h — the invented people, records and grants against which access_test and sign_in_test ask: a real
 * store in a folder of its own, the policies of definitions/policies, a clock that the test moves. */
#ifndef SHANHAI_TESTS_ACCESS_WORLD_H
#define SHANHAI_TESTS_ACCESS_WORLD_H

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
#include "scratch.h"

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

static inline int64_t test_now(void *context)
{
    return *(int64_t *)context;
}

/* ---- the world ---- */

static inline void must(bool ok, const struct error *error)
{
    if (!ok) {
        fail_msg("%s: %s", error->where, error->text);
    }
}

/* Custodian is the Organization's id; the resource's text is written as Chinese records are: short. */
static inline void put(struct fixture *fixture, const char *custodian, const char *text)
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

static inline uint64_t key_of(const char *reference)
{
    struct str text = str_from_cstr(reference);
    size_t slash = str_find_char(text, '/');
    return hash_resource_key(str_slice(text, 0, slash), str_skip(text, slash + 1));
}

static inline void grant(struct fixture *fixture, const char *grantee, const char *reference,
                         int64_t until_ms)
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

static inline void put_organization(struct fixture *fixture, const char *id, const char *type,
                                    const char *parent)
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
static inline void put_person(struct fixture *fixture, const char *id, const char *role,
                              const char *organization)
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

static inline void put_people(struct fixture *fixture)
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

static inline void put_record(struct fixture *fixture)
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

static inline void put_grants(struct fixture *fixture)
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
    grant(fixture, "Organization/commission|commander", "Patient/pat", 0);
    grant(fixture, "Organization/county|county-doctor", "Bundle/document", 0);
    grant(fixture, "Organization/county|county-doctor", "Task/consult-1", 0);
    grant(fixture, "Organization/county|county-doctor", "Encounter/hub", 0);
}

/* ---- set-up ---- */

static inline void read_policies(struct fixture *fixture)
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

static inline void start_access(struct fixture *fixture)
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

static inline int set_up(void **state)
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

static inline int tear_down(void **state)
{
    struct fixture *fixture = *state;
    access_close(fixture->access);
    store_close(fixture->store);
    fhir_index_destroy(fixture->index);
    scratch_remove(fixture->folder);
    arena_deinit(&fixture->arena);
    test_free(fixture);
    return 0;
}

static inline void add_account(struct fixture *fixture, const char *name)
{
    struct error error = { 0 };
    struct str password = STR_NONE;
    struct account_new account = { .name = str_from_cstr(name),
                                   .password = str_from_cstr(good_password),
                                   .practitioner = str_from_cstr(name) };
    must(account_add(fixture->access, &fixture->arena, &account, &password, &error), &error);
    assert_true(str_equal_cstr(password, good_password));
}

static inline bool try_sign_in(struct fixture *fixture, const char *name, const char *password,
                               struct sign_in_answer *answer, uint32_t *wait_s, struct error *error)
{
    struct sign_in request = { .name = str_from_cstr(name),
                               .password = str_from_cstr(password),
                               .address = STR("192.0.2.7"),
                               .tls = true };
    return sign_in(fixture->access, &fixture->arena, &request, answer, wait_s, error);
}

static inline struct sign_in_answer signed_in(struct fixture *fixture, const char *name)
{
    struct sign_in_answer answer = { 0 };
    struct error error = { 0 };
    uint32_t wait_s = 0;
    must(try_sign_in(fixture, name, good_password, &answer, &wait_s, &error), &error);
    return answer;
}

/* The secret between '=' and ';' of a Set-Cookie value. */
static inline struct str secret_of(const struct sign_in_answer *answer)
{
    struct str text = str_skip(answer->set_cookie, strlen(SESSION_COOKIE_NAME) + 1);
    return str_slice(text, 0, str_find_char(text, ';'));
}

static inline enum error_kind ask(struct fixture *fixture, const struct session_request *request,
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

#endif
