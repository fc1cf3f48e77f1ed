/* archive_pack.c — the pack files: one a series, named by a hash (a UID never becomes a path), instances behind
 * headers of 512 bytes:
 *      0 "SHREC001"    8 bytes of the Part 10 file, u64    16 received, ms since 1970, i64
 *     24 SHA-256 of the data set       56 transfer syntax, 120 class, 184 instance, 248 series, 312 study UID,
 *    376 organisation, each 64 bytes with NUL             440 offset of the data set in the file, u32
 *    444 CRC-32 of the bytes before it, u32               508 CRC-32 of bytes 0 to 507, u32
 * all little endian. */
#include "dicom/archive_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <zlib.h>

#include "base/file.h"
#include "base/limits.h"

#define PACK_MAGIC "SHANHAI PACK 1\n"
#define RECORD_MAGIC "SHREC001"
static_assert(sizeof PACK_MAGIC == ARCHIVE_PACK_MAGIC_BYTES, "the file begins with 16 bytes");

enum {
    AT_BYTES = 8,
    AT_RECEIVED = 16,
    AT_HASH = 24,
    AT_SYNTAX = 56,
    AT_CLASS = 120,
    AT_SOP = 184,
    AT_SERIES = 248,
    AT_STUDY = 312,
    AT_ORGANIZATION = 376,
    AT_DATASET = 440,
    AT_META_CRC = 444,
    AT_CRC = 508,
    FIELD_BYTES = 64
};

void archive_pack_name(struct str series, char name[ARCHIVE_PACK_BYTES])
{
    snprintf(name, ARCHIVE_PACK_BYTES, "%016llx%016llx", (unsigned long long)hash64(series, 0x5041434B),
             (unsigned long long)hash64(series, 0x31));
}

bool archive_pack_path(const struct archive *archive, const char *name, const char *suffix, char *path,
                       size_t size, struct error *error)
{
    int len = snprintf(path, size, "%s/%.2s/%s%s", archive->folder, name, name, suffix);
    return (len > 0 && (size_t)len < size) ||
           FAIL(error, ERROR_INPUT, "the path of the image archive is too long");
}

static void put_number(uint8_t *at, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++) {
        at[i] = (uint8_t)(value >> (8 * i));
    }
}

static uint64_t get_number(const uint8_t *at, unsigned bytes)
{
    uint64_t value = 0;
    for (unsigned i = bytes; i-- > 0;) {
        value = value << 8 | at[i];
    }
    return value;
}

static void put_text(uint8_t *at, struct str text)
{
    assert(text.len <= FIELD_BYTES);
    memcpy(at, text.at == NULL ? "" : text.at, text.len);
}

static struct str get_text(const uint8_t *at)
{
    return (struct str){ (const char *)at, strnlen((const char *)at, FIELD_BYTES) };
}

static uint32_t crc_of(const void *bytes, size_t len)
{
    return (uint32_t)crc32_z(0, bytes, len);
}

static void make_header(const struct archive_facts *facts, struct str meta,
                        uint8_t header[ARCHIVE_RECORD_BYTES])
{
    memset(header, 0, ARCHIVE_RECORD_BYTES);
    memcpy(header, RECORD_MAGIC, 8);
    put_number(header + AT_BYTES, facts->bytes, 8);
    put_number(header + AT_RECEIVED, (uint64_t)facts->received_ms, 8);
    memcpy(header + AT_HASH, facts->hash, SHA256_BYTES);
    put_text(header + AT_SYNTAX, facts->syntax);
    put_text(header + AT_CLASS, facts->class_uid);
    put_text(header + AT_SOP, facts->sop);
    put_text(header + AT_SERIES, facts->series);
    put_text(header + AT_STUDY, facts->study);
    put_text(header + AT_ORGANIZATION, facts->organization);
    put_number(header + AT_DATASET, facts->dataset_offset, 4);
    put_number(header + AT_META_CRC, crc_of(meta.at, meta.len), 4);
    put_number(header + AT_CRC, crc_of(header, AT_CRC), 4);
}

/* A name made in a folder must be synced, and the folder's own name in its parent. */
static bool make_pack(const struct archive *archive, const char *name, int *fd, struct error *error)
{
    char path[1200];
    if (!archive_pack_path(archive, name, "", path, sizeof path, error)) {
        return false;
    }
    path[strlen(archive->folder) + 3] = '\0';
    if (!folder_create(path, error) || !folder_sync(archive->folder, error)) {
        return false;
    }
    char folder[1200];
    memcpy(folder, path, sizeof folder);
    if (!archive_pack_path(archive, name, ".pack", path, sizeof path, error)) {
        return false;
    }
    int made = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    struct stat status;
    if (made < 0 || fstat(made, &status) != 0) {
        (void)FAIL_OS(error, error_kind_from_errno(errno), "cannot open a pack file: %s", strerror(errno));
        goto fail;
    }
    if (status.st_size < ARCHIVE_PACK_MAGIC_BYTES) {
        if (ftruncate(made, 0) != 0 || pwrite(made, PACK_MAGIC, sizeof PACK_MAGIC, 0) != sizeof PACK_MAGIC) {
            (void)FAIL_OS(error, error_kind_from_errno(errno), "cannot begin a pack file: %s",
                          strerror(errno));
            goto fail;
        }
        if (!folder_sync(folder, error)) {
            goto fail;
        }
    }
    *fd = made;
    return true;
fail:
    if (made >= 0) {
        (void)close(made);
    }
    return false;
}

/* Under packs_lock: the open slot of that name, or one to use for it. */
static struct archive_pack *find_slot(struct archive *archive, const char *name)
{
    struct archive_pack *best = NULL;
    for (size_t i = 0; i < ARCHIVE_PACKS_OPEN_MAX; i++) {
        struct archive_pack *pack = &archive->packs[i];
        if (pack->fd >= 0 && strcmp(pack->name, name) == 0) {
            return pack;
        }
        bool is_better =
            best == NULL || pack->fd < 0 || (best->fd >= 0 && pack->used_number < best->used_number);
        if (pack->pins == 0 && is_better) {
            best = pack;
        }
    }
    return best;
}

void archive_pack_distrust(struct archive_pack *pack)
{
    (void)pthread_mutex_lock(&pack->lock);
    pack->is_broken = true;
    (void)pthread_mutex_unlock(&pack->lock);
}

/* Opens the file for the slot. Behind what the index knows lies nothing that was acknowledged: a torn record, one whose
 * sync failed, one that was not entered. It must go, because a record behind it could not be found without the index. */
static bool open_slot(struct archive *archive, struct archive_pack *slot, const char *name,
                      struct error *error)
{
    uint64_t known_end = 0;
    struct stat status;
    int fd = -1;
    if (slot->fd >= 0) {
        (void)close(slot->fd);
        slot->fd = -1;
    }
    if (!archive_index_pack_end(archive->index, name, &known_end, error) ||
        !make_pack(archive, name, &fd, error)) {
        return false;
    }
    uint64_t end = known_end < ARCHIVE_PACK_MAGIC_BYTES ? ARCHIVE_PACK_MAGIC_BYTES : known_end;
    if (fstat(fd, &status) != 0 || ((uint64_t)status.st_size > end && ftruncate(fd, (off_t)end) != 0)) {
        (void)FAIL_OS(error, error_kind_from_errno(errno), "cannot prepare a pack file: %s", strerror(errno));
        goto fail;
    }
    if ((uint64_t)status.st_size < end) {
        (void)FAIL(error, ERROR_INTERNAL,
                   "pack file %s of this series is damaged: run `shanhai check` and restore it", name);
        goto fail;
    }
    slot->fd = fd;
    slot->end = end;
    slot->synced = 0; /* what a crashed writer left is synced with the first of ours */
    slot->is_broken = false;
    memcpy(slot->name, name, ARCHIVE_PACK_BYTES);
    return true;
fail:
    (void)close(fd);
    return false;
}

bool archive_pack_acquire(struct archive *archive, struct str series, struct archive_pack **pack,
                          struct error *error)
{
    char name[ARCHIVE_PACK_BYTES];
    bool ok = false;
    archive_pack_name(series, name);
    (void)pthread_mutex_lock(&archive->packs_lock);
    struct archive_pack *slot = find_slot(archive, name);
    if (slot == NULL) {
        (void)FAIL(error, ERROR_BUSY, "too many series are being received at once");
        goto done;
    }
    bool is_open = slot->fd >= 0 && strcmp(slot->name, name) == 0;
    bool is_usable = is_open && !(slot->is_broken && slot->pins == 0);
    if (!is_usable && !open_slot(archive, slot, name, error)) {
        goto done;
    }
    slot->pins++;
    slot->used_number = ++archive->packs_used;
    *pack = slot;
    ok = true;
done:
    (void)pthread_mutex_unlock(&archive->packs_lock);
    return ok;
}

void archive_pack_release(struct archive *archive, struct archive_pack *pack)
{
    (void)pthread_mutex_lock(&archive->packs_lock);
    assert(pack->pins > 0);
    pack->pins--;
    (void)pthread_mutex_unlock(&archive->packs_lock);
}

static bool write_at(int fd, struct iovec *parts, int parts_count, uint64_t offset, struct error *error)
{
    while (parts_count > 0) {
        ssize_t written = pwritev(fd, parts, parts_count, (off_t)offset);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written <= 0) {
            return FAIL_OS(error, error_kind_from_errno(errno), "cannot write an instance: %s",
                           strerror(errno));
        }
        offset += (uint64_t)written;
        size_t left = (size_t)written;
        while (parts_count > 0 && left >= parts->iov_len) {
            left -= parts->iov_len;
            parts++;
            parts_count--;
        }
        if (parts_count > 0) {
            parts->iov_base = (char *)parts->iov_base + left;
            parts->iov_len -= left;
        }
    }
    return true;
}

bool archive_pack_append(struct archive_pack *pack, struct archive_facts *facts, struct str prefix,
                         struct str bytes, struct error *error)
{
    uint8_t header[ARCHIVE_RECORD_BYTES];
    struct str meta = prefix.len > 0 ? prefix : str_slice(bytes, 0, (size_t)facts->dataset_offset);
    assert(facts->bytes == prefix.len + bytes.len);
    make_header(facts, meta, header);
    struct iovec parts[] = {
        { header, sizeof header },
        { (void *)(uintptr_t)prefix.at, prefix.len },
        { (void *)(uintptr_t)bytes.at, bytes.len },
    };
    bool ok = false;
    (void)pthread_mutex_lock(&pack->lock);
    if (pack->is_broken) {
        (void)FAIL(error, ERROR_FULL, "the pack file of this series cannot be written at present");
    } else if (write_at(pack->fd, parts, 3, pack->end, error)) {
        facts->offset = pack->end + ARCHIVE_RECORD_BYTES;
        memcpy(facts->pack, pack->name, sizeof facts->pack);
        pack->end = facts->offset + facts->bytes;
        ok = true;
    } else if (ftruncate(pack->fd, (off_t)pack->end) != 0) {
        pack->is_broken = true;
    }
    (void)pthread_mutex_unlock(&pack->lock);
    return ok;
}

bool archive_pack_sync(struct archive_pack *pack, struct error *error)
{
    bool ok = true;
    (void)pthread_mutex_lock(&pack->lock);
    uint64_t wanted = pack->end;
    while (ok && pack->synced < wanted) {
        if (pack->is_broken) {
            ok = FAIL(error, ERROR_FULL, "the disk did not take the instance");
        } else if (pack->is_syncing) {
            (void)pthread_cond_wait(&pack->synced_more, &pack->lock);
        } else {
            uint64_t end = pack->end;
            pack->is_syncing = true;
            (void)pthread_mutex_unlock(&pack->lock);
            bool is_synced = fdatasync(pack->fd) == 0;
            (void)pthread_mutex_lock(&pack->lock);
            pack->is_syncing = false;
            pack->synced = is_synced ? end : pack->synced;
            /* After a failed sync nobody knows what is on the disk: no more until the tail was read again. */
            pack->is_broken = pack->is_broken || !is_synced;
            (void)pthread_cond_broadcast(&pack->synced_more);
        }
    }
    (void)pthread_mutex_unlock(&pack->lock);
    return ok;
}

static bool read_at(int fd, void *to, size_t len, uint64_t offset)
{
    char *at = to;
    while (len > 0) {
        ssize_t got = pread(fd, at, len, (off_t)offset);
        if (got <= 0 && !(got < 0 && errno == EINTR)) {
            return false;
        }
        at += got < 0 ? 0 : got;
        len -= got < 0 ? 0 : (size_t)got;
        offset += got < 0 ? 0 : (uint64_t)got;
    }
    return true;
}

static bool header_is_whole(const uint8_t header[ARCHIVE_RECORD_BYTES], uint64_t bytes_left)
{
    return memcmp(header, RECORD_MAGIC, 8) == 0 && get_number(header + AT_CRC, 4) == crc_of(header, AT_CRC) &&
           get_number(header + AT_BYTES, 8) <= bytes_left &&
           get_number(header + AT_DATASET, 4) <= get_number(header + AT_BYTES, 8);
}

static bool content_is_whole(const uint8_t header[ARCHIVE_RECORD_BYTES], struct str bytes)
{
    uint8_t hash[SHA256_BYTES];
    size_t dataset_offset = (size_t)get_number(header + AT_DATASET, 4);
    struct error ignored = { 0 };
    return crc_of(bytes.at, dataset_offset) == get_number(header + AT_META_CRC, 4) &&
           hash_sha256(str_skip(bytes, dataset_offset), hash, &ignored) &&
           memcmp(hash, header + AT_HASH, SHA256_BYTES) == 0;
}

static void facts_of_header(const uint8_t header[ARCHIVE_RECORD_BYTES], const char *name, uint64_t offset,
                            struct archive_facts *facts)
{
    *facts = (struct archive_facts){ .bytes = get_number(header + AT_BYTES, 8), .offset = offset };
    facts->received_ms = (int64_t)get_number(header + AT_RECEIVED, 8);
    facts->dataset_offset = get_number(header + AT_DATASET, 4);
    memcpy(facts->hash, header + AT_HASH, SHA256_BYTES);
    facts->syntax = get_text(header + AT_SYNTAX);
    facts->class_uid = get_text(header + AT_CLASS);
    facts->sop = get_text(header + AT_SOP);
    facts->series = get_text(header + AT_SERIES);
    facts->study = get_text(header + AT_STUDY);
    facts->organization = get_text(header + AT_ORGANIZATION);
    memcpy(facts->pack, name, sizeof facts->pack);
}

bool archive_pack_scan(const struct archive *archive, const char *name, uint64_t from,
                       struct archive_scan *scan, struct error *error)
{
    char path[1200];
    struct stat status;
    uint8_t header[ARCHIVE_RECORD_BYTES];
    struct buf content = { .bytes_max = LIMIT_DICOM_INSTANCE_BYTES };
    bool ok = false;
    int fd = -1;
    if (!archive_pack_path(archive, name, ".pack", path, sizeof path, error)) {
        return false;
    }
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) != 0) {
        (void)FAIL_OS(error, error_kind_from_errno(errno), "cannot read pack file %s", name);
        goto done;
    }
    uint64_t at = from < ARCHIVE_PACK_MAGIC_BYTES ? ARCHIVE_PACK_MAGIC_BYTES : from;
    scan->file_bytes = (uint64_t)status.st_size;
    scan->valid_end = at;
    while (at + ARCHIVE_RECORD_BYTES <= scan->file_bytes && read_at(fd, header, sizeof header, at) &&
           header_is_whole(header, scan->file_bytes - at - ARCHIVE_RECORD_BYTES)) {
        struct archive_facts facts;
        facts_of_header(header, name, at + ARCHIVE_RECORD_BYTES, &facts);
        buf_clear(&content);
        char *room = buf_reserve(&content, (size_t)facts.bytes);
        if (room == NULL || !read_at(fd, room, (size_t)facts.bytes, facts.offset)) {
            break;
        }
        struct str bytes = { room, (size_t)facts.bytes };
        if (!content_is_whole(header, bytes)) {
            break;
        }
        if (!scan->record(scan->data, &facts, bytes, error)) {
            goto done;
        }
        at = facts.offset + facts.bytes;
        scan->valid_end = at;
    }
    ok = true;
done:
    if (fd >= 0) {
        (void)close(fd);
    }
    buf_deinit(&content);
    return ok;
}

static bool is_pack_name(const char *name)
{
    return strlen(name) == ARCHIVE_PACK_BYTES - 1 + strlen(".pack") &&
           strspn(name, "0123456789abcdef") == ARCHIVE_PACK_BYTES - 1 &&
           strcmp(name + ARCHIVE_PACK_BYTES - 1, ".pack") == 0;
}

bool archive_packs_each(const struct archive *archive,
                        bool (*pack)(void *data, const char *name, struct error *error), void *data,
                        struct error *error)
{
    bool ok = true;
    for (unsigned i = 0; ok && i < 256; i++) {
        char path[1200];
        (void)snprintf(path, sizeof path, "%s/%02x", archive->folder, i);
        DIR *folder = opendir(path);
        const struct dirent *entry = folder == NULL ? NULL : readdir(folder);
        while (ok && entry != NULL) {
            if (is_pack_name(entry->d_name)) {
                char name[ARCHIVE_PACK_BYTES] = { 0 };
                memcpy(name, entry->d_name, sizeof name - 1);
                ok = pack(data, name, error);
            }
            entry = readdir(folder);
        }
        if (folder != NULL) {
            (void)closedir(folder);
        }
    }
    return ok;
}

bool archive_pack_cut(const struct archive *archive, const char *name, uint64_t end, struct error *error)
{
    char path[1200];
    if (!archive_pack_path(archive, name, ".pack", path, sizeof path, error)) {
        return false;
    }
    return truncate(path, (off_t)end) == 0 ||
           FAIL_OS(error, error_kind_from_errno(errno), "cannot cut pack file %s", name);
}

bool archive_pack_file(struct archive *archive, const char *pack, char path[ARCHIVE_PATH_BYTES],
                       struct error *error)
{
    return archive_pack_path(archive, pack, ".pack", path, ARCHIVE_PATH_BYTES, error);
}

bool archive_open_pack(struct archive *archive, const char *pack, int *fd, struct error *error)
{
    char path[1200];
    if (!archive_pack_path(archive, pack, ".pack", path, sizeof path, error)) {
        return false;
    }
    int opened = open(path, O_RDONLY | O_CLOEXEC);
    if (opened < 0) {
        return FAIL_OS(error, ERROR_INTERNAL, "cannot open pack file %s", pack);
    }
    *fd = opened;
    return true;
}

bool archive_read_instance(struct archive *archive, struct arena *arena,
                           const struct archive_instance *instance, uint64_t bytes_max, struct str *bytes,
                           struct error *error)
{
    int fd = -1;
    size_t len = (size_t)(instance->bytes < bytes_max ? instance->bytes : bytes_max);
    char *room = arena_alloc(arena, len + 1);
    if (room == NULL) {
        return FAIL(error, ERROR_TOO_LARGE, "no memory left to read an instance");
    }
    if (!archive_open_pack(archive, instance->pack, &fd, error)) {
        return false;
    }
    bool ok = read_at(fd, room, len, instance->offset);
    (void)close(fd);
    if (!ok) {
        return FAIL(error, ERROR_INTERNAL, "pack file %s is shorter than the index says", instance->pack);
    }
    *bytes = (struct str){ room, len };
    return true;
}

void archive_packs_close(struct archive *archive)
{
    for (size_t i = 0; i < ARCHIVE_PACKS_OPEN_MAX; i++) {
        struct archive_pack *pack = &archive->packs[i];
        assert(pack->pins == 0);
        if (pack->fd >= 0) {
            (void)close(pack->fd);
            pack->fd = -1;
        }
        (void)pthread_cond_destroy(&pack->synced_more);
        (void)pthread_mutex_destroy(&pack->lock);
    }
}
