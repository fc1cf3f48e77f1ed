/* `shanhai init`: a first organisation with its administrator, so that somebody can sign in and do the rest on the
 * screens. For a folder that no server has open; may be run again for a further hospital. */
#include <stdio.h>
#include <stdlib.h>

#include "access/sign_in.h"
#include "base/clock.h"
#include "base/uuid.h"
#include "change/change.h"
#include "cli/cli.h"
#include "cli/options.h"
#include "cli/server.h"

struct init_options {
    struct server_options server;
    const char *organization;
    const char *login;
    const char *name;
};

static struct json *reference_of(struct arena *arena, const char *type, struct str id)
{
    struct json *object = json_new(arena, JSON_OBJECT);
    (void)json_add_text(arena, object, STR("reference"), arena_printf(arena, "%s/%.*s", type, STR_FMT(id)));
    return object;
}

static struct json *resource_of(struct arena *arena, const char *type)
{
    struct json *object = json_new(arena, JSON_OBJECT);
    (void)json_add_text(arena, object, STR("resourceType"), str_from_cstr(type));
    (void)json_add(object, STR("active"), json_new_bool(arena, true));
    return object;
}

static struct json *role_concepts(struct arena *arena)
{
    struct json *list = json_new(arena, JSON_ARRAY);
    struct json *concept = json_append(list, json_new(arena, JSON_OBJECT));
    struct json *codings = json_add(concept, STR("coding"), json_new(arena, JSON_ARRAY));
    struct json *coding = json_append(codings, json_new(arena, JSON_OBJECT));
    (void)json_add_text(arena, coding, STR("system"), STR("urn:shanhai:codes:role"));
    (void)json_add_text(arena, coding, STR("code"), STR("administrator"));
    (void)json_add_text(arena, coding, STR("display"), STR("系统管理员"));
    return list;
}

static struct json *person_names(struct arena *arena, const char *name)
{
    struct json *list = json_new(arena, JSON_ARRAY);
    struct json *entry = json_append(list, json_new(arena, JSON_OBJECT));
    (void)json_add_text(arena, entry, STR("text"), str_from_cstr(name));
    return list;
}

static bool make_ids(struct arena *arena, struct str ids[3], struct error *error)
{
    for (int i = 0; i < 3; i++) {
        char id[UUID_TEXT_BYTES];
        if (!uuid_v7(clock_now_ms(), id, error)) {
            return false;
        }
        ids[i] = arena_dup(arena, str_from_cstr(id));
    }
    return true;
}

static bool write_directory(struct server *server, const struct init_options *options,
                            const struct str ids[3], struct error *error)
{
    struct arena *arena = &server->arena;
    struct access_session session;
    struct json *organization = resource_of(arena, "Organization");
    (void)json_add_text(arena, organization, STR("name"), str_from_cstr(options->organization));
    struct json *person = resource_of(arena, "Practitioner");
    (void)json_add(person, STR("name"), person_names(arena, options->name));
    struct json *post = resource_of(arena, "PractitionerRole");
    (void)json_add(post, STR("practitioner"), reference_of(arena, "Practitioner", ids[1]));
    (void)json_add(post, STR("organization"), reference_of(arena, "Organization", ids[0]));
    (void)json_add(post, STR("code"), role_concepts(arena));
    struct change_entry entries[] = {
        { .kind = CHANGE_CREATE, .type = STR("Organization"), .id = ids[0], .resource = organization },
        { .kind = CHANGE_CREATE, .type = STR("Practitioner"), .id = ids[1], .resource = person },
        { .kind = CHANGE_CREATE, .type = STR("PractitionerRole"), .id = ids[2], .resource = post },
    };
    struct change_set set = { .arena = arena,
                              .session = &session,
                              .route = STR("init"),
                              .entries = entries,
                              .entries_count = 3,
                              .by_workflow = true };
    return access_session_machine(server->access, arena, "system", ids[0], &session, error) &&
           change_apply(server->change, &set, error);
}

static bool run_init(struct server *server, const struct init_options *options, struct error *error)
{
    struct str ids[3];
    struct str password = STR_NONE;
    if (!make_ids(&server->arena, ids, error) || !write_directory(server, options, ids, error)) {
        return false;
    }
    const struct account_new account = { .name = str_from_cstr(options->login), .practitioner = ids[1] };
    if (!account_add(server->access, &server->arena, &account, &password, error)) {
        return false;
    }
    (void)printf("{\"organization\":\"%.*s\",\"practitioner\":\"%.*s\",\"post\":\"%.*s\",\"account\":\"%s\","
                 "\"password\":\"%.*s\"}\n",
                 STR_FMT(ids[0]), STR_FMT(ids[1]), STR_FMT(ids[2]), options->login, STR_FMT(password));
    return true;
}

int cli_init(int argc, char **argv)
{
    struct init_options options = { .server = {
                                        .data_folder = "data", .offset_minutes = 480, .offline = true } };
    const struct option table[] = {
        { "data", OPTION_TEXT, &options.server.data_folder, 0, 0, "FOLDER of all data (default: data)" },
        { "store", OPTION_TEXT, &options.server.store, 0, 0,
          "URL of a PostgreSQL database, postgresql://… (else a file in the folder; kept there once said)" },
        { "organization", OPTION_TEXT, &options.organization, 0, 0, "NAME of the hospital" },
        { "account", OPTION_TEXT, &options.login, 0, 0, "LOGIN of its administrator" },
        { "name", OPTION_TEXT, &options.name, 0, 0, "NAME of the administrator as people say it" },
    };
    bool help = false;
    if (!options_read(table, sizeof table / sizeof *table, argc, argv, NULL, &help)) {
        return 2;
    }
    if (help) {
        return 0;
    }
    if (options.organization == NULL || options.login == NULL || options.name == NULL) {
        (void)fprintf(stderr, "shanhai init wants --organization, --account and --name\n");
        return 2;
    }
    struct server *server = calloc(1, sizeof *server);
    struct error error = { .text = "no memory to start" };
    bool ok = server != NULL && server_open(&options.server, server, &error);
    if (ok) {
        ok = run_init(server, &options, &error);
        server_close(server);
    }
    if (!ok) {
        (void)fprintf(stderr, "shanhai init: %s\n", error.text);
    }
    free(server);
    return ok ? 0 : 1;
}
