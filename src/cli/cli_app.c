/* `shanhai app …`: apps of others, registered with a folder whose server does not run (cli_user.h). */
#include <stdio.h>
#include <string.h>

#include "access/app.h"
#include "access/jose.h"
#include "base/file.h"
#include "cli/cli_user.h"

enum { COMMAND_ARENA_BYTES = 64 * 1024 * 1024, REDIRECTS_MAX = 10, EXIT_REFUSED = 1, EXIT_USE = 2 };

static const char app_help[] =
    "shanhai app add NAME --redirect URL [--redirect URL …] [--secret | --keys JWKS.json | --keys-url URL]\n"
    "            [--scopes \"SCOPE …\"] [--launch URL]      an app that people allow\n"
    "shanhai app add NAME --post ID (--keys JWKS.json | --keys-url URL) [--scopes \"system/… …\"]   a "
    "backend service\n"
    "shanhai app list\n"
    "shanhai app disable CLIENT_ID\n"
    "shanhai app enable CLIENT_ID\n";

struct app_command {
    const struct cli_people *people;
    struct arena arena;
    struct app_new app;
    struct str name; /* the word after the command */
    struct str keys;
    struct str redirects[REDIRECTS_MAX];
    struct error error;
};

static bool words_read(struct app_command *command, int argc, char **argv)
{
    const struct {
        const char *name;
        struct str *value;
    } texts[] = { { "--keys", &command->keys },
                  { "--keys-url", &command->app.keys_url },
                  { "--scopes", &command->app.scopes },
                  { "--post", &command->app.post },
                  { "--launch", &command->app.launch } };
    for (int i = 0; i < argc; i++) {
        size_t k = 0;
        while (k < sizeof texts / sizeof *texts && strcmp(argv[i], texts[k].name) != 0) {
            k++;
        }
        bool is_redirect = strcmp(argv[i], "--redirect") == 0;
        if (is_redirect || k < sizeof texts / sizeof *texts) {
            if (++i == argc || (is_redirect && command->app.redirect_count == REDIRECTS_MAX)) {
                return false;
            }
            struct str *out =
                is_redirect ? &command->redirects[command->app.redirect_count++] : texts[k].value;
            *out = str_from_cstr(argv[i]);
        } else if (strcmp(argv[i], "--secret") == 0) {
            command->app.secret = true;
        } else if (argv[i][0] == '-' || command->name.at != NULL) {
            return false;
        } else {
            command->name = str_from_cstr(argv[i]);
        }
    }
    command->app.redirect = command->redirects;
    return true;
}

static bool add(struct app_command *command)
{
    struct str id = STR_NONE;
    struct str secret = STR_NONE;
    command->app.name = command->name;
    if (command->keys.at != NULL &&
        !file_read_whole(&command->arena, command->keys.at, JOSE_KEY_SET_BYTES_MAX, &command->app.key_set,
                         &command->error)) {
        return false;
    }
    if (!app_add(command->people->access, &command->arena, &command->app, &id, &secret, &command->error)) {
        return false;
    }
    (void)printf("client_id     %.*s\n", STR_FMT(id));
    if (secret.at != NULL) {
        (void)printf("client_secret %.*s   (shown once)\n", STR_FMT(secret));
    }
    return true;
}

static bool list(struct app_command *command)
{
    struct json *apps = NULL;
    if (!app_list(command->people->access, &command->arena, &apps, &command->error)) {
        return false;
    }
    (void)printf("%-38s %-20s %-9s %s\n", "client_id", "kind", "state", "name");
    JSON_EACH(row, apps) {
        (void)printf("%-38s %-20s %-9s %s\n", cli_row_text(&command->arena, row, "id"),
                     cli_row_text(&command->arena, row, "kind"),
                     json_is_true(JSON_GET(row, "disabled")) ? "disabled" : "active",
                     cli_row_text(&command->arena, row, "name"));
    }
    return true;
}

static bool disable(struct app_command *command)
{
    return app_set_disabled(command->people->access, command->name, true, &command->error);
}

static bool enable(struct app_command *command)
{
    return app_set_disabled(command->people->access, command->name, false, &command->error);
}

int cli_app(const struct cli_people *people, int argc, char **argv)
{
    static const struct {
        const char *name;
        bool (*run)(struct app_command *command);
        bool needs_name;
    } verbs[] = { { "add", add, true },
                  { "list", list, false },
                  { "disable", disable, true },
                  { "enable", enable, true } };
    struct app_command command = { .people = people, .arena = { .bytes_max = COMMAND_ARENA_BYTES } };
    size_t verb = 0;
    int status = EXIT_USE;
    while (argc > 1 && verb < sizeof verbs / sizeof *verbs && strcmp(argv[1], verbs[verb].name) != 0) {
        verb++;
    }
    if (argc < 2 || verb == sizeof verbs / sizeof *verbs || !words_read(&command, argc - 2, argv + 2) ||
        verbs[verb].needs_name != (command.name.at != NULL)) {
        (void)fputs(app_help, stderr);
    } else if (verbs[verb].run(&command)) {
        status = 0;
    } else {
        (void)fprintf(stderr, "shanhai: %s\n", command.error.text);
        status = EXIT_REFUSED;
    }
    arena_deinit(&command.arena);
    return status;
}
