#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define FAIL_FILE(error, what, path)                                                                         \
    FAIL_OS(error, error_kind_from_errno(errno), "cannot %s '%s': %s", what, path, strerror(errno))

bool file_read_whole(struct arena *arena, const char *path, size_t bytes_max, struct str *out,
                     struct error *error)
{
    bool ok = false;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        (void)FAIL_FILE(error, "open", path);
        goto done;
    }
    struct stat status;
    if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
        (void)FAIL(error, ERROR_INPUT, "'%s' is not a file", path);
        goto done;
    }
    size_t size = (size_t)status.st_size;
    if (size > bytes_max) {
        (void)FAIL(error, ERROR_TOO_LARGE, "'%s' is larger than %zu bytes", path, bytes_max);
        goto done;
    }
    char *text = arena_alloc(arena, size + 1);
    if (text == NULL) {
        (void)FAIL(error, ERROR_TOO_LARGE, "no memory to read '%s'", path);
        goto done;
    }
    size_t len = 0;
    while (len < size) {
        ssize_t got = read(fd, text + len, size - len);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            (void)FAIL_FILE(error, "read", path);
            goto done;
        }
        if (got == 0) {
            break;
        }
        len += (size_t)got;
    }
    text[len] = '\0';
    *out = (struct str){ text, len };
    ok = true;
done:
    if (fd >= 0) {
        (void)close(fd);
    }
    return ok;
}

bool file_write_all(int fd, const void *bytes, size_t len, struct error *error)
{
    const char *at = bytes;
    while (len > 0) {
        ssize_t written = write(fd, at, len);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written < 0) {
            return FAIL_OS(error, error_kind_from_errno(errno), "cannot write: %s", strerror(errno));
        }
        at += written;
        len -= (size_t)written;
    }
    return true;
}

bool folder_sync(const char *path, struct error *error)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return FAIL_FILE(error, "open", path);
    }
    bool ok = fsync(fd) == 0;
    if (!ok) {
        (void)FAIL_FILE(error, "sync", path);
    }
    (void)close(fd);
    return ok;
}

bool file_write_atomically(const char *path, struct str content, unsigned mode, struct error *error)
{
    char beside[4096];
    char folder[4096];
    int length = snprintf(beside, sizeof beside, "%s.new", path);
    if (length < 0 || (size_t)length >= sizeof beside) {
        return FAIL(error, ERROR_INPUT, "the path is too long");
    }
    memcpy(folder, beside, (size_t)length + 1);
    int fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, (mode_t)mode);
    if (fd < 0) {
        return FAIL_FILE(error, "create", beside);
    }
    bool ok = file_write_all(fd, content.at, content.len, error);
    if (ok && fsync(fd) != 0) {
        ok = FAIL_FILE(error, "sync", beside);
    }
    (void)close(fd);
    if (ok && rename(beside, path) != 0) {
        ok = FAIL_FILE(error, "rename to", path);
    }
    if (!ok) {
        (void)unlink(beside);
        return false;
    }
    return folder_sync(dirname(folder), error);
}

bool folder_create(const char *path, struct error *error)
{
    char part[4096];
    size_t len = strlen(path);
    if (len == 0 || len >= sizeof part) {
        return FAIL(error, ERROR_INPUT, "the path of a folder must have 1 to %zu bytes", sizeof part - 1);
    }
    memcpy(part, path, len + 1);
    for (size_t i = 1; i <= len; i++) {
        if (part[i] != '/' && part[i] != '\0') {
            continue;
        }
        char kept = part[i];
        part[i] = '\0';
        if (mkdir(part, 0700) != 0 && errno != EEXIST) {
            return FAIL_FILE(error, "create folder", part);
        }
        part[i] = kept;
    }
    struct stat status;
    if (stat(path, &status) != 0 || !S_ISDIR(status.st_mode)) {
        return FAIL(error, ERROR_INPUT, "'%s' is not a folder", path);
    }
    return true;
}
