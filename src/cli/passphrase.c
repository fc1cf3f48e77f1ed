#include "cli/passphrase.h"

#include <stdint.h>
#include <stdlib.h>

#include "base/file.h"

enum { PASSPHRASE_BYTES_MIN = 12, PASSPHRASE_BYTES_MAX = 4096 };

bool passphrase_read(struct arena *arena, const char *file, struct str *passphrase, struct error *error)
{
    struct str text = STR_NONE;
    if (file != NULL) {
        if (!file_read_whole(arena, file, PASSPHRASE_BYTES_MAX, &text, error)) {
            return false;
        }
    } else {
        text = arena_dup(arena, str_from_cstr(getenv("SHANHAI_BACKUP_PASSPHRASE")));
    }
    text = str_slice(text, 0, str_find_char(text, '\n'));
    text = str_ends_with(text, STR("\r")) ? str_slice(text, 0, text.len - 1) : text;
    if (text.len < PASSPHRASE_BYTES_MIN) {
        return FAIL(error, ERROR_INPUT,
                    "a backup is encrypted: give --passphrase-file or SHANHAI_BACKUP_PASSPHRASE, %d "
                    "characters or more",
                    PASSPHRASE_BYTES_MIN);
    }
    *passphrase = text;
    return true;
}

void passphrase_wipe(struct str passphrase)
{
    if (passphrase.at != NULL) {
        explicit_bzero((void *)(uintptr_t)passphrase.at, passphrase.len);
    }
}
