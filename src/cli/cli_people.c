/* `shanhai user …`, `shanhai key …` and `shanhai app …`: opens the folder for cli_user.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "access/store_side.h"
#include "cli/cli.h"
#include "cli/cli_user.h"
#include "cli/server.h"

enum { WORDS_MAX = 64 };

/* Takes `--data FOLDER` out of the words; the rest is the command's. */
static int take_data(int argc, char **argv, char **rest, const char **folder)
{
    int count = 0;
    for (int i = 0; i < argc && count < WORDS_MAX; i++) {
        if (strcmp(argv[i], "--data") == 0 && i + 1 < argc) {
            *folder = argv[++i];
        } else {
            rest[count++] = argv[i];
        }
    }
    return count;
}

int cli_people(int argc, char **argv)
{
    char *rest[WORDS_MAX + 1] = { NULL };
    struct server_options options = { .data_folder = "data", .offset_minutes = 480, .offline = true };
    int count = take_data(argc, argv, rest, &options.data_folder);
    struct server *server = calloc(1, sizeof *server);
    struct error error = { .text = "no memory to start" };
    if (server == NULL || !server_open(&options, server, &error)) {
        (void)fprintf(stderr, "shanhai %s: %s\n", argv[0], error.text);
        free(server);
        return 1;
    }
    const struct cli_people people = { .access = server->access,
                                       .change = server->change,
                                       .keys = server->keys,
                                       .directory = access_directory_of_store(server->store) };
    int (*const run)(const struct cli_people *, int, char **) = strcmp(argv[0], "key") == 0   ? cli_key
                                                                : strcmp(argv[0], "app") == 0 ? cli_app
                                                                                              : cli_user;
    int status = run(&people, count, rest);
    server_close(server);
    free(server);
    return status;
}
