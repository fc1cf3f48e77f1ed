#include "cli/cli_user.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "access/sign_in.h"
#include "access/signing.h"
#include "base/clock.h"
#include "base/parse.h"
#include "base/uuid.h"
#include "change/change.h"

enum {
    COMMAND_ARENA_BYTES = 64 * 1024 * 1024,
    TOKEN_DAYS = 90,
    OVERLAP_DAYS = 7,
    EXIT_REFUSED = 1,
    EXIT_USE = 2
};

struct options {
    struct str name; /* the word after the command */
    struct str role;
    struct str add;
    struct str organization;
    struct str organization_name;
    struct str person;
    struct str practitioner;
    struct str title;
    struct str specialty;
    struct str phone;
    struct str post;
    struct str label;
    struct str remove;
    struct str days;
    struct str overlap_days;
    bool list;
    bool password_stdin;
};

struct command {
    const struct cli_people *people;
    struct arena arena;
    struct options options;
    struct error error;
};

static const char user_help[] =
    "shanhai user add NAME --role ROLE --organization ID [--organization-name TEXT]\n"
    "             [--person TEXT | --practitioner ID] [--title CODE] [--specialty TEXT] [--phone TEXT]\n"
    "             [--password-stdin]\n"
    "shanhai user list\n"
    "shanhai user passwd NAME\n"
    "shanhai user disable NAME\n"
    "shanhai user enable NAME\n"
    "shanhai user posts NAME [--add ROLE --organization ID [--organization-name TEXT] [--title CODE]]\n"
    "shanhai user token NAME --post ID [--label TEXT] [--days N]\n"
    "shanhai user token NAME --list\n"
    "shanhai user token NAME --remove ID\n";
static const char key_help[] = "shanhai key list\n"
                               "shanhai key rotate [--practitioner ID] [--overlap-days N]\n";

static bool options_read(struct options *options, int argc, char **argv)
{
    const struct {
        const char *name;
        struct str *value;
    } texts[] = {
        { "--role", &options->role },
        { "--add", &options->add },
        { "--organization", &options->organization },
        { "--organization-name", &options->organization_name },
        { "--person", &options->person },
        { "--practitioner", &options->practitioner },
        { "--title", &options->title },
        { "--specialty", &options->specialty },
        { "--phone", &options->phone },
        { "--post", &options->post },
        { "--label", &options->label },
        { "--remove", &options->remove },
        { "--days", &options->days },
        { "--overlap-days", &options->overlap_days },
    };
    for (int i = 0; i < argc; i++) {
        size_t k = 0;
        while (k < sizeof texts / sizeof texts[0] && strcmp(argv[i], texts[k].name) != 0) {
            k++;
        }
        if (k < sizeof texts / sizeof texts[0]) {
            if (++i == argc) {
                return false;
            }
            *texts[k].value = str_from_cstr(argv[i]);
        } else if (strcmp(argv[i], "--list") == 0) {
            options->list = true;
        } else if (strcmp(argv[i], "--password-stdin") == 0) {
            options->password_stdin = true;
        } else if (argv[i][0] == '-' || options->name.at != NULL) {
            return false;
        } else {
            options->name = str_from_cstr(argv[i]);
        }
    }
    return true;
}

/* ---- writing people into the directory, as the system on behalf of their organisation ---- */

static struct json *text_in(struct command *command, struct json *object, struct str name, struct str text)
{
    return json_add(object, name, json_new_string(&command->arena, text));
}

static struct json *coded(struct command *command, struct str system, struct str code)
{
    struct json *concept = json_new(&command->arena, JSON_OBJECT);
    struct json *codings = json_add(concept, STR("coding"), json_new(&command->arena, JSON_ARRAY));
    struct json *coding = json_append(codings, json_new(&command->arena, JSON_OBJECT));
    (void)text_in(command, coding, STR("system"), system);
    (void)text_in(command, coding, STR("code"), code);
    return concept;
}

static struct json *list_of(struct command *command, struct json *value)
{
    struct json *list = json_new(&command->arena, JSON_ARRAY);
    (void)json_append(list, value);
    return list;
}

static struct json *reference_to(struct command *command, const char *type, struct str id)
{
    struct json *object = json_new(&command->arena, JSON_OBJECT);
    (void)text_in(command, object, STR("reference"),
                  arena_printf(&command->arena, "%s/%.*s", type, STR_FMT(id)));
    return object;
}

static struct json *resource_new(struct command *command, const char *type, struct str id)
{
    struct json *resource = json_new(&command->arena, JSON_OBJECT);
    (void)text_in(command, resource, STR("resourceType"), str_from_cstr(type));
    (void)text_in(command, resource, STR("id"), id);
    return resource;
}

static struct json *organization_new(struct command *command)
{
    struct json *resource = resource_new(command, "Organization", command->options.organization);
    (void)json_add(resource, STR("active"), json_new_bool(&command->arena, true));
    (void)json_add(
        resource, STR("type"),
        list_of(command,
                coded(command, STR("http://terminology.hl7.org/CodeSystem/organization-type"), STR("prov"))));
    (void)text_in(command, resource, STR("name"), command->options.organization_name);
    return resource;
}

static struct json *practitioner_new(struct command *command, struct str id)
{
    struct json *resource = resource_new(command, "Practitioner", id);
    struct json *name = json_new(&command->arena, JSON_OBJECT);
    struct str person = command->options.person.len > 0 ? command->options.person : command->options.name;
    (void)json_add(resource, STR("active"), json_new_bool(&command->arena, true));
    (void)text_in(command, name, STR("text"), person);
    (void)json_add(resource, STR("name"), list_of(command, name));
    return resource;
}

static struct json *post_new(struct command *command, struct str id, struct str practitioner, struct str role)
{
    struct options *options = &command->options;
    struct json *resource = resource_new(command, "PractitionerRole", id);
    if (options->title.len > 0) {
        struct json *extension = json_new(&command->arena, JSON_OBJECT);
        (void)text_in(command, extension, STR("url"), STR("urn:shanhai:ext:title"));
        (void)text_in(command, extension, STR("valueCode"), options->title);
        (void)json_add(resource, STR("extension"), list_of(command, extension));
    }
    (void)json_add(resource, STR("active"), json_new_bool(&command->arena, true));
    (void)json_add(resource, STR("practitioner"), reference_to(command, "Practitioner", practitioner));
    (void)json_add(resource, STR("organization"),
                   reference_to(command, "Organization", options->organization));
    (void)json_add(resource, STR("code"),
                   list_of(command, coded(command, STR("urn:shanhai:codes:role"), role)));
    if (options->specialty.len > 0) {
        struct json *concept = json_new(&command->arena, JSON_OBJECT);
        (void)text_in(command, concept, STR("text"), options->specialty);
        (void)json_add(resource, STR("specialty"), list_of(command, concept));
    }
    if (options->phone.len > 0) {
        struct json *contact = json_new(&command->arena, JSON_OBJECT);
        (void)text_in(command, contact, STR("system"), STR("phone"));
        (void)text_in(command, contact, STR("value"), options->phone);
        (void)json_add(resource, STR("telecom"), list_of(command, contact));
    }
    return resource;
}

static bool exists(struct command *command, const char *type, struct str id, bool *found)
{
    const struct access_directory *directory = &command->people->directory;
    struct json *resource = NULL;
    if (!directory->read(directory->context, &command->arena, str_from_cstr(type), id, &resource,
                         &command->error)) {
        return false;
    }
    *found = resource != NULL;
    return true;
}

/* New resources in one commit. */
static bool directory_write(struct command *command, struct json **resources, size_t count)
{
    struct access_session session = { 0 };
    struct change_entry entries[3] = { 0 };
    assert(count <= 3);
    for (size_t i = 0; i < count; i++) {
        entries[i] = (struct change_entry){ .kind = CHANGE_UPDATE,
                                            .type = JSON_TEXT(&command->arena, resources[i], "resourceType"),
                                            .id = JSON_TEXT(&command->arena, resources[i], "id"),
                                            .resource = resources[i] };
    }
    if (!access_session_machine(command->people->access, &command->arena, "system",
                                command->options.organization, &session, &command->error)) {
        return false;
    }
    struct change_set set = { .arena = &command->arena,
                              .session = &session,
                              .route = STR("shanhai user"),
                              .entries = entries,
                              .entries_count = count };
    bool ok = change_apply(command->people->change, &set, &command->error);
    access_directory_changed(command->people->access);
    return ok;
}

static bool role_known(struct command *command, struct str role)
{
    return access_role_is_for_people(command->people->access, role)
               ? true
               : FAIL(&command->error, ERROR_INPUT,
                      "there is no role '%.*s' for people (definitions/policies)",
                      STR_FMT(str_slice(role, 0, 40)));
}

/* The post, and whom and what it needs and is not there yet. */
static bool post_write(struct command *command, struct str practitioner, struct str role, struct str *post)
{
    char id[UUID_TEXT_BYTES];
    struct json *resources[3];
    size_t count = 0;
    bool found = false;
    if (!role_known(command, role) ||
        !exists(command, "Organization", command->options.organization, &found)) {
        return false;
    }
    if (!found && command->options.organization_name.len == 0) {
        return FAIL(&command->error, ERROR_INPUT,
                    "there is no such organisation: name it with --organization-name");
    }
    if (!found) {
        resources[count++] = organization_new(command);
    }
    if (!exists(command, "Practitioner", practitioner, &found)) {
        return false;
    }
    if (!found) {
        resources[count++] = practitioner_new(command, practitioner);
    }
    if (!uuid_v7(clock_now_ms(), id, &command->error)) {
        return false;
    }
    *post = arena_dup(&command->arena, str_from_cstr(id));
    resources[count++] = post_new(command, *post, practitioner, role);
    return directory_write(command, resources, count);
}

/* ---- commands ---- */

static bool password_from_stdin(struct command *command, struct str *password)
{
    char line[600];
    if (fgets(line, sizeof line, stdin) == NULL) {
        return FAIL(&command->error, ERROR_INPUT, "no password on standard input");
    }
    struct str text = str_from_cstr(line);
    while (text.len > 0 && (text.at[text.len - 1] == '\n' || text.at[text.len - 1] == '\r')) {
        text.len--;
    }
    *password = arena_dup(&command->arena, text);
    return password->at != NULL;
}

static bool user_add(struct command *command)
{
    const struct options *options = &command->options;
    char id[UUID_TEXT_BYTES];
    struct str practitioner = options->practitioner;
    struct str password = STR_NONE;
    struct str post = STR_NONE;
    if (options->name.len == 0 || options->role.len == 0 || options->organization.len == 0) {
        return FAIL(&command->error, ERROR_INPUT, "a name, --role and --organization are needed");
    }
    if (options->password_stdin && !password_from_stdin(command, &password)) {
        return false;
    }
    if (practitioner.len == 0) {
        if (!uuid_v7(clock_now_ms(), id, &command->error)) {
            return false;
        }
        practitioner = arena_dup(&command->arena, str_from_cstr(id));
    }
    struct account_new account = { .name = options->name,
                                   .password = password,
                                   .practitioner = practitioner,
                                   .must_change_password = password.at == NULL };
    if (!account_acceptable(command->people->access, &account, &command->error) ||
        !post_write(command, practitioner, options->role, &post) ||
        !account_add(command->people->access, &command->arena, &account, &password, &command->error)) {
        return false;
    }
    (void)printf("account      %.*s\nPractitioner %.*s\npost         %.*s (%.*s)\n", STR_FMT(options->name),
                 STR_FMT(practitioner), STR_FMT(post), STR_FMT(options->role));
    if (!options->password_stdin) {
        (void)printf("password     %.*s   (to be changed at the first sign-in)\n", STR_FMT(password));
    }
    return true;
}

const char *cli_row_text(struct arena *arena, const struct json *row, const char *name)
{
    struct str text = json_member_text(arena, row, str_from_cstr(name));
    const char *copy = arena_cstr(arena, text);
    return copy == NULL ? "" : copy;
}

static bool user_list(struct command *command)
{
    struct json *accounts = NULL;
    if (!account_list(command->people->access, &command->arena, NULL, &accounts, &command->error)) {
        return false;
    }
    (void)printf("%-20s %-38s %-9s %s\n", "account", "Practitioner", "state", "last sign-in");
    JSON_EACH(row, accounts) {
        const char *state = json_is_true(JSON_GET(row, "disabled"))             ? "disabled"
                            : json_is_true(JSON_GET(row, "mustChangePassword")) ? "new"
                                                                                : "active";
        (void)printf("%-20s %-38s %-9s %s\n", cli_row_text(&command->arena, row, "name"),
                     cli_row_text(&command->arena, row, "practitioner"), state,
                     cli_row_text(&command->arena, row, "lastSignInAt"));
    }
    return true;
}

static bool user_passwd(struct command *command)
{
    struct str password = STR_NONE;
    if (!account_reset_password(command->people->access, &command->arena, command->options.name, &password,
                                &command->error)) {
        return false;
    }
    (void)printf("password %.*s   (to be changed at the next sign-in; all sessions have ended)\n",
                 STR_FMT(password));
    return true;
}

static bool user_disable(struct command *command)
{
    return account_set_disabled(command->people->access, command->options.name, true, &command->error);
}

static bool user_enable(struct command *command)
{
    return account_set_disabled(command->people->access, command->options.name, false, &command->error);
}

static bool user_posts(struct command *command)
{
    struct json *posts = NULL;
    struct str practitioner = STR_NONE;
    struct str post = STR_NONE;
    const struct options *options = &command->options;
    if (!account_posts(command->people->access, &command->arena, options->name, &practitioner, &posts,
                       &command->error)) {
        return false;
    }
    if (options->add.len > 0) {
        if (options->organization.len == 0) {
            return FAIL(&command->error, ERROR_INPUT, "--add needs --organization");
        }
        if (!post_write(command, practitioner, options->add, &post) ||
            !account_posts(command->people->access, &command->arena, options->name, &practitioner, &posts,
                           &command->error)) {
            return false;
        }
    }
    (void)printf("%-38s %-20s %s\n", "post", "role", "organisation");
    JSON_EACH(row, posts) {
        (void)printf("%-38s %-20s %s\n", cli_row_text(&command->arena, row, "id"),
                     cli_row_text(&command->arena, row, "role"),
                     cli_row_text(&command->arena, JSON_GET(row, "organization"), "name"));
    }
    return true;
}

static bool user_token(struct command *command)
{
    const struct options *options = &command->options;
    struct access *access = command->people->access;
    struct json *tokens = NULL;
    struct str text = STR_NONE;
    uint64_t days = TOKEN_DAYS;
    if (options->remove.len > 0) {
        return token_remove(access, options->remove, &command->error);
    }
    if (options->list) {
        if (!token_list(access, &command->arena, &tokens, &command->error)) {
            return false;
        }
        JSON_EACH(row, tokens) {
            if (json_equals_text(JSON_GET(row, "account"), options->name)) {
                (void)printf("%s  until %s  post %s  %s\n", cli_row_text(&command->arena, row, "id"),
                             cli_row_text(&command->arena, row, "endsAt"),
                             cli_row_text(&command->arena, row, "post"),
                             cli_row_text(&command->arena, row, "label"));
            }
        }
        return true;
    }
    if (options->days.len > 0 && !parse_uint64(options->days, 400, &days)) {
        return FAIL(&command->error, ERROR_INPUT, "--days is 1 to 400");
    }
    struct token_new token = {
        .account = options->name, .post = options->post, .label = options->label, .days = (uint32_t)days
    };
    if (!token_add(access, &command->arena, &token, &text, &command->error)) {
        return false;
    }
    (void)printf("%.*s\n", STR_FMT(text));
    return true;
}

static bool key_list(struct command *command)
{
    struct json *keys = NULL;
    if (!signing_public_keys(command->people->keys, &command->arena, &keys, &command->error)) {
        return false;
    }
    JSON_EACH(row, keys) {
        (void)printf("%s  Practitioner %s  from %s  until %s\n", cli_row_text(&command->arena, row, "number"),
                     cli_row_text(&command->arena, row, "practitioner"),
                     cli_row_text(&command->arena, row, "from"), cli_row_text(&command->arena, row, "until"));
    }
    return true;
}

static bool key_rotate(struct command *command)
{
    uint64_t days = OVERLAP_DAYS;
    size_t count = 0;
    if (command->options.overlap_days.len > 0 && !parse_uint64(command->options.overlap_days, 365, &days)) {
        return FAIL(&command->error, ERROR_INPUT, "--overlap-days is 0 to 365");
    }
    if (!signing_rotate(command->people->keys, command->options.practitioner, (uint32_t)days, &count,
                        &command->error)) {
        return false;
    }
    (void)printf("%zu new signing keys; the old ones stay in force for %llu days\n", count,
                 (unsigned long long)days);
    return true;
}

struct verb {
    const char *name;
    bool (*run)(struct command *command);
    bool needs_name;
};

static int run(const struct cli_people *people, const struct verb *verbs, const char *help, int argc,
               char **argv)
{
    struct command command = { .people = people, .arena = { .bytes_max = COMMAND_ARENA_BYTES } };
    int status = EXIT_USE;
    while (argc > 1 && verbs->name != NULL && strcmp(argv[1], verbs->name) != 0) {
        verbs++;
    }
    if (argc < 2 || verbs->name == NULL || !options_read(&command.options, argc - 2, argv + 2) ||
        verbs->needs_name != (command.options.name.at != NULL)) {
        (void)fputs(help, stderr);
    } else if (verbs->run(&command)) {
        status = 0;
    } else {
        (void)fprintf(stderr, "shanhai: %s\n", command.error.text);
        status = EXIT_REFUSED;
    }
    arena_deinit(&command.arena);
    return status;
}

int cli_user(const struct cli_people *people, int argc, char **argv)
{
    static const struct verb verbs[] = {
        { "add", user_add, true },         { "list", user_list, false },    { "passwd", user_passwd, true },
        { "disable", user_disable, true }, { "enable", user_enable, true }, { "posts", user_posts, true },
        { "token", user_token, true },     { NULL, NULL, false },
    };
    return run(people, verbs, user_help, argc, argv);
}

int cli_key(const struct cli_people *people, int argc, char **argv)
{
    static const struct verb verbs[] = { { "list", key_list, false },
                                         { "rotate", key_rotate, false },
                                         { NULL, NULL, false } };
    return run(people, verbs, key_help, argc, argv);
}
