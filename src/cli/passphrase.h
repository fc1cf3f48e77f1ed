/* passphrase.h — what a backup is encrypted with: the first line of a file, or the variable SHANHAI_BACKUP_PASSPHRASE. Never an
 * argument, which other people on the machine could read. */
#ifndef SHANHAI_CLI_PASSPHRASE_H
#define SHANHAI_CLI_PASSPHRASE_H

#include "base/arena.h"
#include "base/error.h"

/* `file` may be NULL: then the variable. At least 12 characters. In the arena. */
bool passphrase_read(struct arena *arena, const char *file, struct str *passphrase,
                     struct error *error) MUST_CHECK;
void passphrase_wipe(struct str passphrase);

#endif
