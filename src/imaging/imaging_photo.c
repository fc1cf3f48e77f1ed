/* Photos of film: kept once by their content, told by a Media that says what they are and that nobody may diagnose from
 * them. */
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/limits.h"
#include "change/change.h"
#include "imaging/imaging_internal.h"
#include "imaging/photo.h"

enum { PHOTO_PATH_BYTES = 1200 };

#define HASH_SYSTEM "urn:shanhai:id:sha-256"
#define NOT_DIAGNOSTIC "翻拍胶片，非诊断用途"

/* FOLDER/ab/HASH; the name is made of our own hexadecimal digits only. */
static bool photo_path(const struct imaging *imaging, struct str hash, bool folder_only,
                       char path[PHOTO_PATH_BYTES], struct error *error)
{
    bool is_hash = hash.len == HASH_HEX_BYTES;
    for (size_t i = 0; is_hash && i < hash.len; i++) {
        is_hash = (hash.at[i] >= '0' && hash.at[i] <= '9') || (hash.at[i] >= 'a' && hash.at[i] <= 'f');
    }
    int len = !is_hash ? -1
              : folder_only
                  ? snprintf(path, PHOTO_PATH_BYTES, "%s/%.2s", imaging->options.photos_folder, hash.at)
                  : snprintf(path, PHOTO_PATH_BYTES, "%s/%.2s/%.*s", imaging->options.photos_folder, hash.at,
                             STR_FMT(hash));
    return (len > 0 && len < PHOTO_PATH_BYTES) ||
           FAIL(error, ERROR_INTERNAL, "the path of a photo cannot be made");
}

static bool keep_photo(const struct imaging *imaging, struct str hash, struct str bytes, struct error *error)
{
    char folder[PHOTO_PATH_BYTES];
    char path[PHOTO_PATH_BYTES];
    struct stat status;
    if (!photo_path(imaging, hash, true, folder, error) || !photo_path(imaging, hash, false, path, error)) {
        return false;
    }
    if (stat(path, &status) == 0 && (uint64_t)status.st_size == bytes.len) {
        return true; /* the same photo is here already */
    }
    return folder_create(imaging->options.photos_folder, error) && folder_create(folder, error) &&
           file_write_atomically(path, bytes, 0600, error);
}

static struct str base64_text(struct arena *arena, const uint8_t *bytes, size_t len)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char *text = arena_alloc(arena, (len + 2) / 3 * 4 + 1);
    size_t at = 0;
    for (size_t i = 0; text != NULL && i < len; i += 3) {
        size_t have = len - i < 3 ? len - i : 3;
        uint32_t group = (uint32_t)bytes[i] << 16 | (have > 1 ? (uint32_t)bytes[i + 1] << 8 : 0) |
                         (have > 2 ? bytes[i + 2] : 0);
        for (size_t k = 0; k < 4; k++) {
            text[at++] = k <= have ? digits[group >> (18 - 6 * k) & 63] : '=';
        }
    }
    return text == NULL ? STR_NONE : (struct str){ text, at };
}

static struct json *one_in_list(struct arena *arena, struct json *object, const char *name)
{
    struct json *list = json_add(object, str_from_cstr(name), json_new(arena, JSON_ARRAY));
    return json_append(list, json_new(arena, JSON_OBJECT));
}

static void add_number(struct arena *arena, struct json *object, const char *name, uint64_t value)
{
    (void)json_add(object, str_from_cstr(name), json_new_integer(arena, (int64_t)value));
}

/* R4 Media: type and note say what it is; content has the SHA-1 that R4 asks for, identifier the SHA-256 we go by. */
static struct json *photo_media(struct imaging *imaging, const struct imaging_photo *request,
                                const struct photo *photo, struct str hash, struct str sha1)
{
    struct arena *arena = request->arena;
    char now[INSTANT_BYTES];
    (void)instant_format(clock_now_ms(), imaging->options.offset_minutes, now);
    struct str post = request->session->post;
    struct json *media = json_new(arena, JSON_OBJECT);
    (void)json_add_text(arena, media, STR("resourceType"), STR("Media"));
    struct json *identifier = one_in_list(arena, media, "identifier");
    (void)json_add_text(arena, identifier, STR("system"), STR(HASH_SYSTEM));
    (void)json_add_text(arena, identifier, STR("value"), hash);
    (void)json_add_text(arena, media, STR("status"), STR("completed"));
    (void)json_add(media, STR("type"),
                   imaging_concept(arena, STR("urn:shanhai:codes:media-kind"), STR("film-photo"),
                                   STR("翻拍胶片（非诊断）")));
    (void)json_add(media, STR("subject"), imaging_reference(arena, request->patient));
    (void)json_add_text(arena, media, STR("createdDateTime"), arena_dup(arena, str_from_cstr(now)));
    if (post.len > 0) {
        struct str operator= arena_printf(arena, "PractitionerRole/%.*s", STR_FMT(post));
        (void)json_add(media, STR("operator"), imaging_reference(arena, operator));
    }
    add_number(arena, media, "height", photo->rows);
    add_number(arena, media, "width", photo->columns);
    struct json *content = json_add(media, STR("content"), json_new(arena, JSON_OBJECT));
    (void)json_add_text(arena, content, STR("contentType"), str_from_cstr(photo->media_type));
    add_number(arena, content, "size", request->bytes.len);
    (void)json_add_text(arena, content, STR("hash"), sha1);
    (void)json_add_text(arena, content, STR("title"), STR("翻拍胶片"));
    struct json *note = one_in_list(arena, media, "note");
    (void)json_add_text(arena, note, STR("text"), STR(NOT_DIAGNOSTIC));
    return media;
}

/* The patient must be one that the session may read, in its own hospital. */
static bool check_subject(struct imaging *imaging, const struct imaging_photo *request, struct error *error)
{
    struct json *tree = NULL;
    size_t count = 0;
    const struct access_act read = { .interaction = ACCESS_READ, .type = STR("Patient") };
    const struct access_act create = { .interaction = ACCESS_CREATE, .type = STR("Media") };
    struct imaging_search search = { .type = read.type };
    if (!access_check(request->session, create, error)) {
        return false;
    }
    if (!str_starts_with(request->patient, STR("Patient/"))) {
        return FAIL(error, ERROR_INPUT, "say whose film it is: patient=Patient/…");
    }
    search.query = imaging_query(request->arena, "_id", str_skip(request->patient, 8));
    if (!access_filter(request->session, read, request->arena, &search.filter, error) ||
        !imaging_find_one(imaging, request->arena, &search, &tree, &count, error)) {
        return false;
    }
    return tree != NULL || FAIL(error, ERROR_NOT_FOUND, "there is no such patient");
}

bool imaging_keep_photo(struct imaging *imaging, const struct imaging_photo *request, struct json **media,
                        struct error *error)
{
    struct photo photo = { 0 };
    uint8_t digest[SHA256_BYTES];
    uint8_t sha1[SHA1_BYTES];
    char hex[HASH_HEX_BYTES + 1] = { 0 };
    if (!check_subject(imaging, request, error) || !photo_read(request->bytes, &photo, error) ||
        !hash_sha256(request->bytes, digest, error) || !hash_sha1(request->bytes, sha1, error)) {
        return false;
    }
    hash_hex(digest, sizeof digest, hex);
    struct str hash = arena_dup(request->arena, str_from_cstr(hex));
    struct str sha1_text = base64_text(request->arena, sha1, sizeof sha1);
    if (hash.at == NULL || sha1_text.at == NULL) {
        return IMAGING_NO_MEMORY(error);
    }
    struct json *made = photo_media(imaging, request, &photo, hash, sha1_text);
    /* The rights were asked above; what the Media says is the program's, so no client may write one of this kind. */
    struct change_entry entry = { .kind = CHANGE_CREATE, .type = STR("Media"), .resource = made };
    struct change_set set = { .arena = request->arena,
                              .session = request->session,
                              .route = STR("/photos"),
                              .entries = &entry,
                              .entries_count = 1,
                              .by_workflow = true };
    if (!keep_photo(imaging, hash, request->bytes, error) ||
        !change_apply(imaging->options.change, &set, error)) {
        return false;
    }
    (void)json_set(made, STR("id"), json_new_string(request->arena, entry.result.id));
    *media = made;
    return true;
}

bool imaging_read_photo(struct imaging *imaging, const struct access_session *session, struct arena *arena,
                        struct str media_id, struct imaging_photo_bytes *photo, struct error *error)
{
    struct json *media = NULL;
    size_t count = 0;
    struct str hash = STR_NONE;
    char path[PHOTO_PATH_BYTES];
    const struct access_act read = { .interaction = ACCESS_READ, .type = STR("Media") };
    struct imaging_search search = { .type = read.type, .query = imaging_query(arena, "_id", media_id) };
    if (!access_check(session, read, error) || !access_filter(session, read, arena, &search.filter, error) ||
        !imaging_find_one(imaging, arena, &search, &media, &count, error)) {
        return false;
    }
    JSON_EACH(identifier, JSON_GET(media, "identifier")) {
        if (json_equals_text(JSON_GET(identifier, "system"), STR(HASH_SYSTEM))) {
            hash = JSON_TEXT(arena, identifier, "value");
        }
    }
    bool is_photo = false;
    JSON_EACH(coding, JSON_GET(JSON_GET(media, "type"), "coding")) {
        is_photo = is_photo || json_equals_text(JSON_GET(coding, "code"), STR("film-photo"));
    }
    if (!is_photo || hash.len == 0) {
        return FAIL(error, ERROR_NOT_FOUND, "there is no such photo");
    }
    struct imaging_photo_bytes found = { .hash = hash };
    found.media_type = JSON_TEXT(arena, JSON_GET(media, "content"), "contentType");
    if (!photo_path(imaging, hash, false, path, error) ||
        !file_read_whole(arena, path, LIMIT_PHOTO_BYTES, &found.bytes, error)) {
        return false;
    }
    *photo = found;
    return true;
}

/* ---- check ---- */

static bool check_photo(const char *path, const char *name, struct imaging_photos_report *report,
                        struct error *error)
{
    struct arena arena = { .bytes_max = LIMIT_PHOTO_BYTES + (1 << 20) };
    struct str bytes = STR_NONE;
    uint8_t digest[SHA256_BYTES];
    char hex[HASH_HEX_BYTES + 1] = { 0 };
    struct error unreadable = { 0 };
    char text[160];
    bool read = file_read_whole(&arena, path, LIMIT_PHOTO_BYTES, &bytes, &unreadable);
    bool ok = !read || hash_sha256(bytes, digest, error);
    if (ok && read) {
        hash_hex(digest, sizeof digest, hex);
    }
    if (ok && strcmp(hex, name) != 0) {
        (void)snprintf(text, sizeof text, "photo %.64s: %s", name,
                       read ? "its content has another hash" : "cannot be read");
        report->findings_count++;
        report->finding(report->data, text);
    }
    report->photos_count++;
    arena_deinit(&arena);
    return ok;
}

bool imaging_photos_check(const char *folder, struct imaging_photos_report *report, struct error *error)
{
    bool ok = true;
    for (unsigned i = 0; ok && i < 256; i++) {
        char path[PHOTO_PATH_BYTES];
        int len = snprintf(path, sizeof path, "%s/%02x", folder, i);
        DIR *directory = len > 0 && (size_t)len < sizeof path ? opendir(path) : NULL;
        const struct dirent *entry = directory == NULL ? NULL : readdir(directory);
        while (ok && entry != NULL) {
            if (strlen(entry->d_name) == HASH_HEX_BYTES) { /* what is being written has a longer name */
                len = snprintf(path, sizeof path, "%s/%02x/%s", folder, i, entry->d_name);
                ok = len > 0 && (size_t)len < sizeof path && check_photo(path, entry->d_name, report, error);
            }
            entry = readdir(directory);
        }
        if (directory != NULL) {
            (void)closedir(directory);
        }
    }
    return ok;
}
