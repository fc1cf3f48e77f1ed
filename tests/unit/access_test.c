/* What each role of definitions/policies sees and changes of one invented consult; masks, machines, and policies
 * that are not understood. */
#include "access_world.h"

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
    { "xray", "RR..RRRRRRR..xx......", "xRxxRRRRRRRx.xxxxx...", "xxxxxxxxxxxxxxxxxxxxx",
      "xxxxxxxxRRxxxxxxxxxx." },
    { "desk", "RRR.RR.RR.RRRxxxxxR..", "xxxxxxxxR.xxxxxxxxxx.", "xxxxxxxxxxxxxxxxxxxxx",
      "xxxxxxxxR.xxxxxxxxxx." },
    { "lead", "RRR.RR.RR.RRRRRR.RR..", "xxxxxxxxR.xxxR.R.xxx.", "xxxxxx.xxxxxxWxW.xxxx",
      "xxxxxxxxR.xxxxxxxxxx." },
    { "second", "RRR.RR.RR.RRR.R..RR..", "xxxxxxxxR.xxx.R..xxx.", "xxxxxx.xxxxxx.x..xxxx",
      "xxxxxxxxR.xxxxxxxxxx." },
    { "drafter", "R............R.......", "xxxxxxxx..xxx....xxx.", "xxxxx..xxxxxxW...xxxx",
      "xxxxxxxx..xxxxxxxxxx." },
    { "bystander", "R....................", "xxxxxxxx..xxx....xxx.", "xxxxx..xxxxxx....xxxx",
      "xxxxxxxx..xxxxxxxxxx." },
    { "declined", "R....................", "xxxxxxxx..xxx....xxx.", "xxxxx..xxxxxx....xxxx",
      "xxxxxxxx..xxxxxxxxxx." },
    { "chief", "RRxxxxxxR.xxxxxxxxx..", "xxxxxxxxxxxxxxxxxxxxx", "xxxxxxxxxxxxxxxxxxxxx",
      "xxxxxxxxxxxxxxxxxxxxx" },
    { "admin", "Rxxxxxxxxxxxxxxxxxxxx", ".xxxxxxxxxxxxxxxxxxxx", "xxxxxxxxxxxxxxxxxxxxx",
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
    /* A grant of a kind of its own is not one of the ordinary grants of the same post. */
    assert_int_not_equal(access_grantee_key(STR("PractitionerRole/x|break-glass")),
                         access_grantee_key(STR("PractitionerRole/x")));
    assert_int_not_equal(access_grantee_key(STR("PractitionerRole/x|break-glass")), 0);
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
        { RULE("\"types\":[\"Observation\"],\"interactions\":[\"read\"],\"custodian\":\"own\",\"grantedAs\":"
               "\"break-glass\""),
          "needs granted" },
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
