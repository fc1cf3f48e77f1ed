/* `shanhai backup`: the folder of data as one encrypted file, while the server runs or not. The store is copied first, then the
 * images' index, then what both name: pack files, audit log, masks, photos, blobs, public keys. Whatever comes later belongs to the
 * next backup. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "access/audit_read.h"
#include "access/signing.h"
#include "base/clock.h"
#include "base/file.h"
#include "cli/backup_stream.h"
#include "cli/cli.h"
#include "cli/options.h"
#include "cli/passphrase.h"
#include "dicom/archive.h"
#include "store/store.h"

enum {
    ARENA_BYTES = 1024 * 1024 * 1024,
    PIECE_BYTES = 256 * 1024,
    PATH_BYTES = 4096,
    KEY_FILE_BYTES_MAX = 64 * 1024,
    DEPTH_MAX = 4,
    TELL_EVERY_US = 1000 * 1000
};

struct backup {
    struct arena arena;
    const char *data;
    char copies[PATH_BYTES]; /* DATA/backup.copies: of the databases, removed at the end */
    struct backup_stream *stream;
    char *piece; /* PIECE_BYTES, made with the first file */
    uint64_t seq;
    int64_t told_us;
    bool quiet;
};

static const char *path_of(struct backup *backup, const char *folder, const char *name)
{
    return arena_printf(&backup->arena, "%s/%s", folder, name).at;
}

static void tell(struct backup *backup, const char *name)
{
    int64_t now_us = clock_monotonic_us();
    if (!backup->quiet && now_us - backup->told_us >= TELL_EVERY_US) {
        backup->told_us = now_us;
        (void)fprintf(stderr, "backup: %llu files, %llu MB, at %s\n",
                      (unsigned long long)backup_stream_files(backup->stream),
                      (unsigned long long)(backup_stream_bytes(backup->stream) >> 20), name);
    }
}

/* The first `bytes` bytes of the file. It grows at its end at most, so they do not change meanwhile. */
static bool add_file(struct backup *backup, const char *path, const char *name, uint64_t bytes,
                     struct error *error)
{
    backup->piece = backup->piece == NULL ? arena_alloc(&backup->arena, PIECE_BYTES) : backup->piece;
    if (backup->piece == NULL) {
        return FAIL(error, ERROR_TOO_LARGE, "no memory to copy files");
    }
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return FAIL_OS(error, error_kind_from_errno(errno), "cannot read '%.100s': %s", name,
                       strerror(errno));
    }
    bool ok = backup_stream_begin_file(backup->stream, str_from_cstr(name), bytes, error);
    while (ok && bytes > 0) {
        size_t wanted = bytes < PIECE_BYTES ? (size_t)bytes : PIECE_BYTES;
        ssize_t got = read(fd, backup->piece, wanted);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            ok = FAIL(error, ERROR_INTERNAL, "'%.100s' is shorter than it should be: run `shanhai check`",
                      name);
            break;
        }
        ok = backup_stream_add(backup->stream, (struct str){ backup->piece, (size_t)got }, error);
        bytes -= (uint64_t)got;
        tell(backup, name);
    }
    (void)close(fd);
    return ok;
}

static bool add_whole_file(struct backup *backup, const char *path, const char *name, struct error *error)
{
    struct stat state;
    if (stat(path, &state) != 0) {
        return FAIL_OS(error, error_kind_from_errno(errno), "cannot read '%.100s'", name);
    }
    return add_file(backup, path, name, (uint64_t)state.st_size, error);
}

/* ---- the databases ---- */

static void remove_copies(struct backup *backup)
{
    static const char *const names[] = { "store.dump",       "store.db",         "store.db-wal",
                                         "store.db-shm",     "index.sqlite",     "index.sqlite-wal",
                                         "index.sqlite-shm", "store.db-journal", "index.sqlite-journal" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[PATH_BYTES + 32];
        (void)snprintf(path, sizeof path, "%s/%s", backup->copies, names[i]);
        (void)unlink(path);
    }
    (void)rmdir(backup->copies);
}

/* A database's copy has patients in it: it is made for its owner's eyes only. */
static bool make_private(const char *path, struct error *error)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        return FAIL_OS(error, error_kind_from_errno(errno), "cannot make '%.120s': %s", path,
                       strerror(errno));
    }
    (void)close(fd);
    return true;
}

/* As its own programs dump it; `shanhai restore --store` takes it back. */
static bool dump_store(struct backup *backup, struct store *store, uint64_t *audit_group, struct error *error)
{
    const char *path = path_of(backup, backup->copies, "store.dump");
    return make_private(path, error) && store_dump(store, path, &backup->seq, audit_group, error) &&
           add_whole_file(backup, path, "store.dump", error);
}

static bool copy_store(struct backup *backup, uint64_t *audit_group, struct error *error)
{
    struct store *store = NULL;
    struct store *copy = NULL;
    const struct store_options from = { .folder = backup->data, .read_only = true };
    const struct store_options to = { .folder = backup->copies, .read_only = true };
    const char *path = path_of(backup, backup->copies, "store.db");
    bool ok = store_open(&from, &store, error);
    if (ok && store_is_remote(store)) {
        ok = dump_store(backup, store, audit_group, error);
        store_close(store);
        return ok;
    }
    ok = ok && store_backup(store, path, error);
    store_close(store);
    if (ok && chmod(path, 0600) != 0) {
        ok = FAIL_OS(error, ERROR_INTERNAL, "cannot protect the copy of the store");
    }
    ok = ok && store_open(&to, &copy, error) && store_audit_group(copy, audit_group, error);
    if (ok) {
        backup->seq = store_seq(copy);
    }
    store_close(copy);
    return ok && add_whole_file(backup, path, "store.db", error);
}

/* ---- the files ---- */

static bool add_images(struct backup *backup, struct error *error)
{
    const char *folder = path_of(backup, backup->data, "images");
    const char *copy = path_of(backup, backup->copies, "index.sqlite");
    struct archive_part *parts = NULL;
    size_t count = 0;
    bool ok =
        make_private(copy, error) && archive_backup(&backup->arena, folder, copy, &parts, &count, error);
    for (size_t i = 0; ok && i < count; i++) {
        char path[PATH_BYTES];
        char name[128];
        (void)snprintf(name, sizeof name, "images/%.2s/%s.pack", parts[i].name, parts[i].name);
        (void)snprintf(path, sizeof path, "%.3900s/%s", backup->data, name);
        ok = parts[i].bytes == 0 || add_file(backup, path, name, parts[i].bytes, error);
    }
    return ok && (count == 0 || add_whole_file(backup, copy, "images/index.sqlite", error));
}

static bool add_audit(struct backup *backup, uint64_t group, struct error *error)
{
    struct audit_part *parts = NULL;
    size_t count = 0;
    bool ok = audit_backup_parts(&backup->arena, backup->data, group, &parts, &count, error);
    for (size_t i = 0; ok && i < count; i++) {
        const char *base = strrchr(parts[i].path, '/');
        const char *name = arena_printf(&backup->arena, "audit%s", base == NULL ? "" : base).at;
        ok = name != NULL && add_file(backup, parts[i].path, name, parts[i].bytes, error);
    }
    return ok;
}

/* Public keys alone: what was signed can be verified from the backup, and nobody can sign with it. */
static bool add_key(struct backup *backup, const char *path, const char *name, struct error *error)
{
    struct str file = STR_NONE;
    struct str public_file = STR_NONE;
    return file_read_whole(&backup->arena, path, KEY_FILE_BYTES_MAX, &file, error) &&
           signing_public_file(&backup->arena, file, &public_file, error) &&
           backup_stream_begin_file(backup->stream, str_from_cstr(name), public_file.len, error) &&
           backup_stream_add(backup->stream, public_file, error);
}

/* Every file below DATA/`name`; of "keys" only the public part of the key files. A file that is being made has the ending
 * ".new" and belongs to nobody yet. */
static bool add_folder(struct backup *backup, const char *name, unsigned depth, struct error *error)
{
    bool keys = strcmp(name, "keys") == 0;
    DIR *folder = opendir(path_of(backup, backup->data, name));
    bool ok = true;
    for (struct dirent *entry = folder == NULL ? NULL : readdir(folder); ok && entry != NULL;
         entry = readdir(folder)) {
        struct stat state;
        const char *inner = arena_printf(&backup->arena, "%s/%s", name, entry->d_name).at;
        const char *path = inner == NULL ? NULL : path_of(backup, backup->data, inner);
        if (path == NULL) {
            ok = FAIL(error, ERROR_TOO_LARGE, "no memory for the list of files");
        } else if (entry->d_name[0] == '.' || str_ends_with(str_from_cstr(inner), STR(".new")) ||
                   stat(path, &state) != 0) {
            continue;
        } else if (S_ISDIR(state.st_mode)) {
            ok = depth == DEPTH_MAX || add_folder(backup, inner, depth + 1, error);
        } else if (!keys) {
            ok = !S_ISREG(state.st_mode) || add_file(backup, path, inner, (uint64_t)state.st_size, error);
        } else if (str_ends_with(str_from_cstr(inner), STR(".json"))) {
            ok = add_key(backup, path, inner, error);
        }
    }
    if (folder != NULL) {
        (void)closedir(folder);
    }
    return ok;
}

/* ---- the whole ---- */

static bool write_all(struct backup *backup, struct error *error)
{
    uint64_t group = 0;
    if (!folder_create(backup->copies, error)) {
        return false;
    }
    remove_copies(backup); /* of a backup that was killed */
    return folder_create(backup->copies, error) && copy_store(backup, &group, error) &&
           add_images(backup, error) && add_audit(backup, group, error) &&
           add_folder(backup, "keys", 0, error) && add_folder(backup, "blobs", 0, error) &&
           add_folder(backup, "masks", 0, error) && add_folder(backup, "photos", 0, error) &&
           backup_stream_finish(backup->stream, error);
}

static bool run_backup(struct backup *backup, const char *to, struct str passphrase, struct error *error)
{
    const char *part = arena_printf(&backup->arena, "%s.part", to).at;
    int len = snprintf(backup->copies, sizeof backup->copies, "%s/backup.copies", backup->data);
    if (part == NULL || len < 0 || (size_t)len >= sizeof backup->copies) {
        return FAIL(error, ERROR_INPUT, "the path is too long");
    }
    if (access(to, F_OK) == 0) {
        return FAIL(error, ERROR_CONFLICT, "'%.120s' exists already", to);
    }
    (void)unlink(part);
    if (!backup_stream_create(part, passphrase, &backup->stream, error)) {
        return false;
    }
    bool ok = write_all(backup, error);
    remove_copies(backup);
    if (ok && rename(part, to) != 0) {
        ok = FAIL_OS(error, ERROR_INTERNAL, "cannot name the backup: %s", strerror(errno));
    }
    if (!ok) {
        (void)unlink(part);
    }
    return ok;
}

int cli_backup(int argc, char **argv)
{
    struct backup backup = { .arena = { .bytes_max = ARENA_BYTES }, .data = "data" };
    const char *to = NULL;
    const char *passphrase_file = NULL;
    bool help = false;
    const struct option table[] = {
        { "data", OPTION_TEXT, &backup.data, 0, 0,
          "FOLDER of all data (default: data); a server may run on it" },
        { "to", OPTION_TEXT, &to, 0, 0, "FILE to write; it must not exist" },
        { "passphrase-file", OPTION_TEXT, &passphrase_file, 0, 0,
          "FILE whose first line encrypts the backup (else the variable SHANHAI_BACKUP_PASSPHRASE)" },
        { "quiet", OPTION_FLAG, &backup.quiet, 0, 0, "no progress" },
    };
    if (!options_read(table, sizeof table / sizeof *table, argc, argv, NULL, &help)) {
        return 2;
    }
    if (help) {
        return 0;
    }
    struct error error = { 0 };
    struct str passphrase = STR_NONE;
    bool ok = to != NULL || FAIL(&error, ERROR_INPUT, "--to is needed: the file to write");
    ok = ok && passphrase_read(&backup.arena, passphrase_file, &passphrase, &error) &&
         run_backup(&backup, to, passphrase, &error);
    if (ok) {
        (void)printf("backup: %llu files, %llu bytes, changes up to number %llu, in %s\n",
                     (unsigned long long)backup_stream_files(backup.stream),
                     (unsigned long long)backup_stream_bytes(backup.stream), (unsigned long long)backup.seq,
                     to);
    } else {
        (void)fprintf(stderr, "shanhai backup: %s\n", error.text);
    }
    backup_stream_close(backup.stream);
    passphrase_wipe(passphrase);
    arena_deinit(&backup.arena);
    return ok ? 0 : 1;
}
