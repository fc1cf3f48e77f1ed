/* cli_user.h — `shanhai user …` and `shanhai key …`: people, posts, passwords, tokens and signing keys from the
 * shell. They work on the folder of data itself, so they refuse while the server runs on it (main.c opens the
 * folder offline before it calls these). They log nothing; secrets are printed once, on standard output.
 *
 *   user add NAME --role ROLE --organization ID [--organization-name TEXT] [--person TEXT | --practitioner ID]
 *            [--title CODE] [--specialty TEXT] [--phone TEXT] [--password-stdin]
 *   user list
 *   user passwd NAME
 *   user disable NAME | user enable NAME
 *   user posts NAME [--add ROLE --organization ID]
 *   user token NAME --post ID [--label TEXT] [--days N] | user token NAME --list | user token NAME --remove ID
 *   key list | key rotate [--practitioner ID] [--overlap-days N] */
#ifndef SHANHAI_CLI_CLI_USER_H
#define SHANHAI_CLI_CLI_USER_H

#include "access/access_open.h"

struct change;
struct signing_keys;

struct cli_people {
    struct access *access;
    struct change *change;
    struct signing_keys *keys;
    struct access_directory directory; /* of the same store */
};

/* A member of a listed row for printf; "" when it is absent. */
const char *cli_row_text(struct arena *arena, const struct json *row, const char *name);

/* argv[0] is "user", "key" or "app". Exit codes: 0; 1 refused or failed; 2 wrong use. */
int cli_user(const struct cli_people *people, int argc, char **argv);
int cli_key(const struct cli_people *people, int argc, char **argv);
int cli_app(const struct cli_people *people, int argc, char **argv); /* cli_app.c */

#endif
