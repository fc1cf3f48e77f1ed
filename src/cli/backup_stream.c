#include "cli/backup_stream.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <sodium.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/uuid.h"

#define MAGIC "SHANHAI BACKUP1\n"

enum {
    MAGIC_BYTES = 16,
    SALT_BYTES = crypto_pwhash_SALTBYTES,
    START_BYTES = crypto_secretstream_xchacha20poly1305_HEADERBYTES,
    HEADER_BYTES = MAGIC_BYTES + SALT_BYTES + 8 + START_BYTES,
    CHUNK_BYTES = 256 * 1024,
    TAG_BYTES = crypto_secretstream_xchacha20poly1305_ABYTES,
    PASSES = 3,
    MEMORY_KB = 64 * 1024,
    PASSES_MAX = 20, /* of a file that somebody else made */
    MEMORY_KB_MAX = 1024 * 1024,
    FILE_HEAD_BYTES = 2 + 8
};

struct backup_stream {
    crypto_secretstream_xchacha20poly1305_state state;
    int fd;
    bool is_first; /* the header is authenticated with the first chunk */
    bool is_last;  /* reading: the marked chunk was read */
    uint64_t bytes;
    uint64_t files;
    uint64_t left; /* of the current file */
    char name[BACKUP_NAME_BYTES];
    size_t plain_at; /* reading: what of `plain` was given out */
    size_t plain_len;
    uint8_t header[HEADER_BYTES];
    uint8_t plain[CHUNK_BYTES];
    uint8_t sealed[4 + CHUNK_BYTES + TAG_BYTES];
};

static void put_number(uint8_t *at, uint64_t value, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        at[i] = (uint8_t)(value >> (8 * i));
    }
}

static uint64_t get_number(const uint8_t *at, size_t bytes)
{
    uint64_t value = 0;
    for (size_t i = bytes; i-- > 0;) {
        value = value << 8 | at[i];
    }
    return value;
}

static struct backup_stream *stream_new(const char *path, int flags, struct error *error)
{
    struct backup_stream *stream = sodium_init() < 0 ? NULL : MEMORY_NEW(struct backup_stream);
    if (stream == NULL) {
        (void)FAIL(error, ERROR_BUSY, "no memory for a backup");
        return NULL;
    }
    stream->is_first = true;
    stream->fd = open(path, flags | O_CLOEXEC, 0600);
    if (stream->fd < 0) {
        (void)FAIL_OS(error, errno == EEXIST ? ERROR_CONFLICT : error_kind_from_errno(errno),
                      "cannot open '%.100s': %s", path, strerror(errno));
        memory_free(stream);
        return NULL;
    }
    return stream;
}

/* Argon2id of the passphrase with what the header says. */
static bool derive_key(const struct backup_stream *stream, struct str passphrase,
                       uint8_t key[crypto_secretstream_xchacha20poly1305_KEYBYTES], struct error *error)
{
    const uint8_t *numbers = stream->header + MAGIC_BYTES + SALT_BYTES;
    uint64_t passes = get_number(numbers, 4);
    uint64_t memory_kb = get_number(numbers + 4, 4);
    if (passes < 1 || passes > PASSES_MAX || memory_kb < 8 || memory_kb > MEMORY_KB_MAX) {
        return FAIL(error, ERROR_STRUCTURE, "the backup is damaged in its header");
    }
    return crypto_pwhash(key, crypto_secretstream_xchacha20poly1305_KEYBYTES, passphrase.at, passphrase.len,
                         stream->header + MAGIC_BYTES, passes, (size_t)memory_kb * 1024,
                         crypto_pwhash_ALG_ARGON2ID13) == 0 ||
           FAIL(error, ERROR_BUSY, "no memory to derive the key of the backup");
}

/* ---- writing ---- */

bool backup_stream_create(const char *path, struct str passphrase, struct backup_stream **out,
                          struct error *error)
{
    uint8_t key[crypto_secretstream_xchacha20poly1305_KEYBYTES];
    struct backup_stream *stream = stream_new(path, O_WRONLY | O_CREAT | O_EXCL, error);
    if (stream == NULL) {
        return false;
    }
    uint8_t *at = stream->header;
    memcpy(at, MAGIC, MAGIC_BYTES);
    put_number(at + MAGIC_BYTES + SALT_BYTES, PASSES, 4);
    put_number(at + MAGIC_BYTES + SALT_BYTES + 4, MEMORY_KB, 4);
    bool ok = random_bytes(at + MAGIC_BYTES, SALT_BYTES, error) && derive_key(stream, passphrase, key, error);
    if (ok) {
        (void)crypto_secretstream_xchacha20poly1305_init_push(&stream->state, at + HEADER_BYTES - START_BYTES,
                                                              key);
        ok = file_write_all(stream->fd, at, HEADER_BYTES, error);
    }
    sodium_memzero(key, sizeof key);
    if (!ok) {
        backup_stream_close(stream);
        return false;
    }
    stream->bytes = HEADER_BYTES;
    *out = stream;
    return true;
}

static bool flush_chunk(struct backup_stream *stream, bool is_last, struct error *error)
{
    unsigned long long len = 0;
    uint8_t tag = is_last ? crypto_secretstream_xchacha20poly1305_TAG_FINAL
                          : crypto_secretstream_xchacha20poly1305_TAG_MESSAGE;
    (void)crypto_secretstream_xchacha20poly1305_push(
        &stream->state, stream->sealed + 4, &len, stream->plain, stream->plain_len,
        stream->is_first ? stream->header : NULL, stream->is_first ? HEADER_BYTES : 0, tag);
    put_number(stream->sealed, len, 4);
    stream->is_first = false;
    stream->plain_len = 0;
    stream->bytes += 4 + len;
    return file_write_all(stream->fd, stream->sealed, 4 + (size_t)len, error);
}

static bool add_bytes(struct backup_stream *stream, const void *bytes, size_t len, struct error *error)
{
    const uint8_t *at = bytes;
    while (len > 0) {
        size_t part = CHUNK_BYTES - stream->plain_len;
        part = part < len ? part : len;
        memcpy(stream->plain + stream->plain_len, at, part);
        stream->plain_len += part;
        at += part;
        len -= part;
        if (stream->plain_len == CHUNK_BYTES && !flush_chunk(stream, false, error)) {
            return false;
        }
    }
    return true;
}

bool backup_stream_begin_file(struct backup_stream *stream, struct str name, uint64_t bytes,
                              struct error *error)
{
    uint8_t head[FILE_HEAD_BYTES];
    assert(stream->left == 0);
    assert(name.len > 0 && name.len < BACKUP_NAME_BYTES);
    put_number(head, name.len, 2);
    put_number(head + 2, bytes, 8);
    stream->left = bytes;
    stream->files++;
    return add_bytes(stream, head, sizeof head, error) && add_bytes(stream, name.at, name.len, error);
}

bool backup_stream_add(struct backup_stream *stream, struct str bytes, struct error *error)
{
    assert(bytes.len <= stream->left);
    stream->left -= bytes.len;
    return bytes.len == 0 || add_bytes(stream, bytes.at, bytes.len, error);
}

bool backup_stream_finish(struct backup_stream *stream, struct error *error)
{
    uint8_t head[FILE_HEAD_BYTES] = { 0 };
    assert(stream->left == 0);
    put_number(head + 2, stream->files, 8);
    return add_bytes(stream, head, sizeof head, error) && flush_chunk(stream, true, error) &&
           (fsync(stream->fd) == 0 ||
            FAIL_OS(error, error_kind_from_errno(errno), "the backup cannot be synced: %s", strerror(errno)));
}

/* ---- reading ---- */

static bool damaged(const struct backup_stream *stream, const char *what, struct error *error)
{
    return FAIL(error, ERROR_STRUCTURE, "the backup is %s at byte %llu%s%s", what,
                (unsigned long long)stream->bytes, stream->name[0] == '\0' ? "" : ", in ", stream->name);
}

/* False also at the end of the file; *len says how much came. */
static bool read_all(int fd, uint8_t *to, size_t wanted, size_t *len)
{
    *len = 0;
    while (*len < wanted) {
        ssize_t got = read(fd, to + *len, wanted - *len);
        if (got <= 0 && !(got < 0 && errno == EINTR)) {
            return false;
        }
        *len += got < 0 ? 0 : (size_t)got;
    }
    return true;
}

bool backup_stream_open(const char *path, struct str passphrase, struct backup_stream **out,
                        struct error *error)
{
    uint8_t key[crypto_secretstream_xchacha20poly1305_KEYBYTES];
    size_t len = 0;
    struct backup_stream *stream = stream_new(path, O_RDONLY, error);
    if (stream == NULL) {
        return false;
    }
    bool ok = read_all(stream->fd, stream->header, HEADER_BYTES, &len) &&
              memcmp(stream->header, MAGIC, MAGIC_BYTES) == 0;
    if (!ok) {
        (void)FAIL(error, ERROR_STRUCTURE, "'%.120s' is no backup of this program", path);
    }
    ok = ok && derive_key(stream, passphrase, key, error);
    if (ok && crypto_secretstream_xchacha20poly1305_init_pull(
                  &stream->state, stream->header + HEADER_BYTES - START_BYTES, key) != 0) {
        ok = damaged(stream, "damaged", error);
    }
    sodium_memzero(key, sizeof key);
    if (!ok) {
        backup_stream_close(stream);
        return false;
    }
    stream->bytes = HEADER_BYTES;
    *out = stream;
    return true;
}

static bool next_chunk(struct backup_stream *stream, struct error *error)
{
    unsigned long long plain_len = 0;
    size_t len = 0;
    uint8_t tag = 0;
    if (stream->is_last || !read_all(stream->fd, stream->sealed, 4, &len)) {
        return damaged(stream, "cut short", error);
    }
    size_t sealed_len = (size_t)get_number(stream->sealed, 4);
    if (sealed_len < TAG_BYTES || sealed_len > CHUNK_BYTES + TAG_BYTES) {
        return damaged(stream, "damaged", error);
    }
    if (!read_all(stream->fd, stream->sealed + 4, sealed_len, &len)) {
        return damaged(stream, "cut short", error);
    }
    if (crypto_secretstream_xchacha20poly1305_pull(
            &stream->state, stream->plain, &plain_len, &tag, stream->sealed + 4, sealed_len,
            stream->is_first ? stream->header : NULL, stream->is_first ? HEADER_BYTES : 0) != 0) {
        return stream->is_first ? FAIL(error, ERROR_INPUT,
                                       "the passphrase is not this backup's, or its beginning is damaged")
                                : damaged(stream, "damaged", error);
    }
    stream->is_first = false;
    stream->is_last = tag == crypto_secretstream_xchacha20poly1305_TAG_FINAL;
    stream->plain_at = 0;
    stream->plain_len = (size_t)plain_len;
    stream->bytes += 4 + sealed_len;
    return true;
}

static bool take_bytes(struct backup_stream *stream, void *to, size_t len, struct error *error)
{
    uint8_t *at = to;
    while (len > 0) {
        if (stream->plain_at == stream->plain_len && !next_chunk(stream, error)) {
            return false;
        }
        size_t part = stream->plain_len - stream->plain_at;
        part = part < len ? part : len;
        memcpy(at, stream->plain + stream->plain_at, part);
        stream->plain_at += part;
        at += part;
        len -= part;
    }
    return true;
}

static bool name_is_harmless(struct str name)
{
    bool ok = name.len > 0 && name.at[0] != '/' && str_find(name, STR("..")) == name.len;
    for (size_t i = 0; ok && i < name.len; i++) {
        char c = name.at[i];
        ok = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
             c == '-' || c == '_' || c == '/';
    }
    return ok;
}

bool backup_stream_next_file(struct backup_stream *stream, char name[BACKUP_NAME_BYTES], uint64_t *bytes,
                             bool *more, struct error *error)
{
    uint8_t head[FILE_HEAD_BYTES];
    assert(stream->left == 0);
    if (!take_bytes(stream, head, sizeof head, error)) {
        return false;
    }
    size_t len = (size_t)get_number(head, 2);
    uint64_t number = get_number(head + 2, 8);
    if (len == 0) {
        *more = false;
        bool whole = number == stream->files && stream->is_last && stream->plain_at == stream->plain_len;
        return whole || damaged(stream, "damaged", error);
    }
    if (len >= BACKUP_NAME_BYTES) {
        return damaged(stream, "damaged", error);
    }
    if (!take_bytes(stream, stream->name, len, error)) {
        return false;
    }
    stream->name[len] = '\0';
    if (!name_is_harmless((struct str){ stream->name, len })) {
        stream->name[0] = '\0';
        return damaged(stream, "damaged", error);
    }
    stream->left = number;
    stream->files++;
    memcpy(name, stream->name, len + 1);
    *bytes = number;
    *more = true;
    return true;
}

bool backup_stream_read(struct backup_stream *stream, struct str *piece, struct error *error)
{
    if (stream->left == 0) {
        *piece = STR("");
        return true;
    }
    if (stream->plain_at == stream->plain_len && !next_chunk(stream, error)) {
        return false;
    }
    size_t part = stream->plain_len - stream->plain_at;
    part = part < stream->left ? part : (size_t)stream->left;
    *piece = (struct str){ (const char *)stream->plain + stream->plain_at, part };
    stream->plain_at += part;
    stream->left -= part;
    return true;
}

/* ---- both ---- */

uint64_t backup_stream_bytes(const struct backup_stream *stream)
{
    return stream->bytes;
}

uint64_t backup_stream_files(const struct backup_stream *stream)
{
    return stream->files;
}

void backup_stream_close(struct backup_stream *stream)
{
    if (stream != NULL) {
        (void)close(stream->fd);
        sodium_memzero(stream, sizeof *stream);
        memory_free(stream);
    }
}
