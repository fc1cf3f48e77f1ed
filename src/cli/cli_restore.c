/* `shanhai restore`: a backup becomes a folder of data again, somewhere else. Nothing has the folder's name before the last byte
 * of the backup was found whole. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "cli/backup_stream.h"
#include "cli/cli.h"
#include "cli/options.h"
#include "cli/passphrase.h"
#include "store/store.h"

enum { ARENA_BYTES = 1024 * 1024, PATH_BYTES = 4096, TELL_EVERY_US = 1000 * 1000 };

struct restore {
    struct backup_stream *stream;
    const char *part; /* the folder until all is there; NULL: only look */
    const char *url;  /* of an empty database, for a store that was one */
    int64_t told_us;
    bool quiet;
};

static void tell(struct restore *restore, const char *name)
{
    int64_t now_us = clock_monotonic_us();
    if (!restore->quiet && now_us - restore->told_us >= TELL_EVERY_US) {
        restore->told_us = now_us;
        (void)fprintf(stderr, "restore: %llu files, %llu MB, at %s\n",
                      (unsigned long long)backup_stream_files(restore->stream),
                      (unsigned long long)(backup_stream_bytes(restore->stream) >> 20), name);
    }
}

/* The folders on the way; their names are synced when all is there. */
static bool open_file(const struct restore *restore, const char *name, int *fd, struct error *error)
{
    char path[PATH_BYTES];
    int len = snprintf(path, sizeof path, "%s/%s", restore->part, name);
    if (len < 0 || (size_t)len >= sizeof path) {
        return FAIL(error, ERROR_INPUT, "the path is too long");
    }
    char *slash = strrchr(path, '/');
    *slash = '\0';
    if (!folder_create(path, error)) {
        return false;
    }
    *slash = '/';
    *fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    return *fd >= 0 ||
           FAIL_OS(error, error_kind_from_errno(errno), "cannot make '%.100s': %s", name, strerror(errno));
}

static bool take_file(struct restore *restore, const char *name, struct error *error)
{
    int fd = -1;
    struct str piece = STR_NONE;
    bool ok = restore->part == NULL || open_file(restore, name, &fd, error);
    do {
        ok = ok && backup_stream_read(restore->stream, &piece, error) &&
             (fd < 0 || file_write_all(fd, piece.at, piece.len, error));
        tell(restore, name);
    } while (ok && piece.len > 0);
    if (ok && fd >= 0 && fsync(fd) != 0) {
        ok = FAIL_OS(error, error_kind_from_errno(errno), "cannot sync '%.100s': %s", name, strerror(errno));
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    return ok;
}

static bool take_all(struct restore *restore, struct error *error)
{
    char name[BACKUP_NAME_BYTES];
    uint64_t bytes = 0;
    bool more = true;
    bool ok = true;
    while (ok && more) {
        ok = backup_stream_next_file(restore->stream, name, &bytes, &more, error) &&
             (!more || take_file(restore, name, error));
    }
    return ok;
}

/* The rows of a PostgreSQL store go into the database that was named. */
static bool fill_database(struct restore *restore, struct arena *arena, struct error *error)
{
    const char *dump = arena_printf(arena, "%s/store.dump", restore->part).at;
    const char *place = arena_printf(arena, "%s/store.url", restore->part).at;
    bool is_dump = access(dump, F_OK) == 0;
    if (!is_dump || restore->url == NULL) {
        return is_dump == (restore->url != NULL) ||
               FAIL(error, ERROR_INPUT,
                    is_dump ? "the store was a PostgreSQL database: name an empty one with --store"
                            : "the store was no PostgreSQL database: leave --store out");
    }
    if (!store_undump(restore->url, dump, error)) {
        return false;
    }
    int fd = open(place, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    bool ok = fd >= 0 && file_write_all(fd, restore->url, strlen(restore->url), error);
    if (fd >= 0) {
        (void)close(fd);
    }
    return (ok && unlink(dump) == 0) ||
           FAIL_OS(error, error_kind_from_errno(errno), "cannot write store.url: %s", strerror(errno));
}

static bool run_restore(struct restore *restore, struct arena *arena, const char *folder, struct error *error)
{
    if (folder == NULL) {
        return take_all(restore, error);
    }
    restore->part = arena_printf(arena, "%s.part", folder).at;
    if (access(folder, F_OK) == 0 || access(restore->part, F_OK) == 0) {
        return FAIL(error, ERROR_CONFLICT,
                    "'%.80s' (or that with .part) exists already: a backup is restored into a new folder",
                    folder);
    }
    if (!folder_create(restore->part, error) || !take_all(restore, error) ||
        !fill_database(restore, arena, error)) {
        return false;
    }
    sync(); /* names of files in all the folders */
    return rename(restore->part, folder) == 0 ||
           FAIL_OS(error, error_kind_from_errno(errno), "cannot name '%.100s': %s", folder, strerror(errno));
}

int cli_restore(int argc, char **argv)
{
    struct restore restore = { 0 };
    struct arena arena = { .bytes_max = ARENA_BYTES };
    const char *from = NULL;
    const char *folder = NULL;
    const char *passphrase_file = NULL;
    bool verify = false;
    bool help = false;
    const struct option table[] = {
        { "from", OPTION_TEXT, &from, 0, 0, "FILE that `shanhai backup` wrote" },
        { "data", OPTION_TEXT, &folder, 0, 0, "FOLDER to make; it must not exist" },
        { "store", OPTION_TEXT, &restore.url, 0, 0,
          "URL of an empty PostgreSQL database, when the backup's store was one" },
        { "verify", OPTION_FLAG, &verify, 0, 0, "only read the whole backup and say whether it is whole" },
        { "passphrase-file", OPTION_TEXT, &passphrase_file, 0, 0,
          "FILE whose first line decrypts the backup (else the variable SHANHAI_BACKUP_PASSPHRASE)" },
        { "quiet", OPTION_FLAG, &restore.quiet, 0, 0, "no progress" },
    };
    if (!options_read(table, sizeof table / sizeof *table, argc, argv, NULL, &help)) {
        return 2;
    }
    if (help) {
        return 0;
    }
    struct error error = { 0 };
    struct str passphrase = STR_NONE;
    bool ok = (from != NULL && (folder != NULL) != verify) ||
              FAIL(&error, ERROR_INPUT, "--from is needed, and either --data or --verify");
    ok = ok && passphrase_read(&arena, passphrase_file, &passphrase, &error) &&
         backup_stream_open(from, passphrase, &restore.stream, &error) &&
         run_restore(&restore, &arena, folder, &error);
    if (!ok) {
        (void)fprintf(stderr, "shanhai restore: %s\n", error.text);
    } else if (verify) {
        (void)printf("restore: the backup is whole, %llu files\n",
                     (unsigned long long)backup_stream_files(restore.stream));
    } else {
        (void)printf("restore: %llu files in %s; look at them with `shanhai check --data %s`\n",
                     (unsigned long long)backup_stream_files(restore.stream), folder, folder);
    }
    backup_stream_close(restore.stream);
    passphrase_wipe(passphrase);
    arena_deinit(&arena);
    return ok ? 0 : 1;
}
