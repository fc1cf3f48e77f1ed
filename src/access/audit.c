/* audit.c — the writing side of the audit log (audit.h; bytes in audit_format.h).
 *
 * Every record is in the file (in the kernel's hands) when its call returns: kill -9 loses none. A thread
 * seals and syncs at most SYNC_MS later; a write's group is sealed at once. Only that thread rotates, so
 * nobody syncs a file that was closed. */
#include "access/audit.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "access/audit_format.h"
#include "access/audit_mark.h"
#include "access/audit_read.h"
#include "base/clock.h"
#include "base/file.h"

enum {
    SYNC_MS = 500,
    MERGE_SLOTS = 1024, /* a power of two */
    MERGE_BYTES = 400,
    MERGE_MS = 60 * 1000,
    PENDING_BYTES_MAX = 256 * 1024, /* sealed before the second is over when there is more */
    GROUP_BYTES_MAX = 64 * 1024 * 1024,
    FILE_READ_BYTES_MAX = 1024 * 1024 * 1024,
    MEND_EVERY_US = 200 * 1000,
    RESERVE_BYTES = 4 * 1024 * 1024, /* of the disk, so that reads can still be logged when it is full */
    TIME_OFFSET = 1,                 /* of time_ms in a record's payload */
    COUNT_OFFSET = TIME_OFFSET + 8 + 1 + 1
};

static const uint64_t file_bytes_default = 16u * 1024 * 1024;

/* A record seen within the last minute; further equal ones are only counted here. */
struct merge {
    uint64_t hash;
    int64_t first_ms;
    int64_t last_ms;
    uint32_t extra; /* not in the file yet */
    uint16_t len;   /* 0: free */
    char payload[MERGE_BYTES];
};

struct audit {
    const char *data_folder;
    const char *folder;
    uint64_t file_bytes_max;
    int64_t (*now_ms)(void *context);
    void *now_context;
    _Atomic uint64_t durable_group;
    pthread_t thread;
    bool thread_runs;
    int lock_fd;          /* held while open: two writers would break the chain */
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t work;
    bool stop;
    bool dirty;
    bool broken;     /* a sync or a cut failed: what is on disk is not known until `mend` has looked */
    int64_t mend_us; /* monotonic time of the last attempt */
    uint64_t synced; /* bytes of the file known to be on disk */
    int fd;
    uint64_t number;
    uint64_t length;
    uint64_t reserved;
    uint64_t last_group;
    uint8_t last_seal[SHA256_BYTES];
    uint64_t seal_end;      /* behind the last seal in this file; 0: none yet */
    struct audit_mark mark; /* the last seal on disk */
    struct buf pending;     /* frames in the file since the last seal */
    uint32_t pending_records;
    struct merge *merges;
};

static int64_t wall_clock(void *context)
{
    (void)context;
    return clock_now_ms();
}

struct audit_record audit_record_of(const struct access_session *session, struct access_act act)
{
    return (struct audit_record){ .person = session->person,
                                  .post = session->post,
                                  .organization = session->organization,
                                  .interaction = act.interaction,
                                  .operation = act.operation,
                                  .type = act.type,
                                  .count = 1,
                                  .app = session->app };
}

bool audit_encode(struct arena *arena, const struct audit_record *record, struct str *bytes,
                  struct error *error)
{
    struct buf buf = { .bytes_max = AUDIT_RECORD_BYTES_MAX };
    bool ok = audit_record_encode(&buf, record, error);
    struct str copy = ok ? arena_dup(arena, buf_str(&buf)) : STR_NONE;
    buf_deinit(&buf);
    if (ok && copy.at == NULL) {
        ok = FAIL(error, ERROR_TOO_LARGE, "request memory used up");
    }
    if (ok) {
        *bytes = copy;
    }
    return ok;
}

/* ---- bytes into the file; `lock` is held ---- */

static bool bytes_write(const struct audit *audit, struct str bytes, uint64_t at)
{
    for (size_t done = 0; done < bytes.len;) {
        ssize_t count = pwrite(audit->fd, bytes.at + done, bytes.len - done, (off_t)(at + done));
        if (count == 0) {
            errno = ENOSPC;
        }
        if (count <= 0 && errno != EINTR) {
            return false;
        }
        done += count < 0 ? 0 : (size_t)count;
    }
    return true;
}

/* After a failed sync the kernel counts the pages as clean, so that the next sync succeeds without writing them: the bytes
 * since the last good sync are read, found whole, written again and synced. Tried five times a second. */
static bool mend(struct audit *audit, struct error *error)
{
    struct arena arena = { .bytes_max = FILE_READ_BYTES_MAX + 1024u };
    char path[AUDIT_PATH_BYTES];
    struct str file = STR_NONE;
    struct audit_tail tail = { 0 };
    int64_t now_us = clock_monotonic_us();
    bool due = audit->mend_us == 0 || now_us - audit->mend_us >= MEND_EVERY_US;
    audit->mend_us = due ? now_us : audit->mend_us;
    bool ok = due && ftruncate(audit->fd, (off_t)audit->length) == 0 &&
              audit_file_path(audit->folder, audit->number, path) &&
              file_read_whole(&arena, path, FILE_READ_BYTES_MAX, &file, NULL) &&
              audit_tail_find(file, &tail, NULL) && tail.good == audit->length && file.len == audit->length &&
              memcmp(tail.seal.seal, audit->last_seal, sizeof audit->last_seal) == 0 &&
              bytes_write(audit, str_skip(file, (size_t)audit->synced), audit->synced) &&
              fdatasync(audit->fd) == 0;
    audit->synced = ok ? audit->length : audit->synced;
    audit->broken = !ok;
    arena_deinit(&arena);
    return ok || FAIL(error, ERROR_BUSY, "the audit log cannot be written at present; try again in a moment");
}

/* All of `bytes` at the end, or nothing. */
static bool file_add(struct audit *audit, struct str bytes, struct error *error)
{
    if (audit->broken && !mend(audit, error)) {
        return false;
    }
    if (audit->length + bytes.len > audit->reserved) {
        audit->reserved = audit->length + bytes.len + RESERVE_BYTES;
        (void)fallocate(audit->fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)audit->reserved); /* a courtesy: may fail */
    }
    if (!bytes_write(audit, bytes, audit->length)) {
        int reason = errno;
        audit->broken = ftruncate(audit->fd, (off_t)audit->length) != 0;
        return error_set(error, error_kind_from_errno(reason), reason, __func__,
                         "the audit log cannot be written");
    }
    audit->length += bytes.len;
    return true;
}

/* Frames of records: into the file, then into what waits for a seal. */
static bool frames_add(struct audit *audit, struct str frames, uint32_t records, struct error *error)
{
    /* The room first: what stands in the file and not in `pending` could not be sealed any more. */
    if (frames.len > 0 && buf_reserve(&audit->pending, frames.len) == NULL) {
        audit->pending.failed = false; /* what it holds is whole */
        return FAIL(error, ERROR_BUSY, "no memory to seal the audit log");
    }
    if (!file_add(audit, frames, error)) {
        return false;
    }
    buf_add(&audit->pending, frames);
    assert(!audit->pending.failed);
    audit->pending_records += records;
    if (!audit->dirty) {
        audit->dirty = true;
        (void)pthread_cond_signal(&audit->work);
    }
    return true;
}

static bool pending_seal(struct audit *audit, struct error *error)
{
    struct buf out = { .bytes_max = 256 };
    struct audit_seal seal = { .group = audit->last_group, .records = audit->pending_records };
    bool ok = audit_seal_compute(audit->last_seal, buf_str(&audit->pending), &seal, error);
    if (ok) {
        audit_seal_add(&out, &seal);
        ok = out.failed ? FAIL(error, ERROR_BUSY, "no memory to seal the audit log")
                        : file_add(audit, buf_str(&out), error);
    }
    if (ok) {
        memcpy(audit->last_seal, seal.seal, sizeof audit->last_seal);
        audit->seal_end = audit->length;
        buf_clear(&audit->pending);
        audit->pending_records = 0;
    }
    buf_deinit(&out);
    return ok;
}

static bool record_add(struct audit *audit, struct str payload, struct error *error)
{
    struct buf frame = { .bytes_max = AUDIT_FRAME_BYTES + AUDIT_RECORD_BYTES_MAX };
    audit_frame_add(&frame, AUDIT_FRAME_RECORD, payload);
    bool ok = frame.failed ? FAIL(error, ERROR_BUSY, "no memory for an audit record")
                           : frames_add(audit, buf_str(&frame), 1, error);
    buf_deinit(&frame);
    if (ok && audit->pending.len > PENDING_BYTES_MAX) {
        ok = pending_seal(audit, error);
    }
    return ok;
}

/* ---- merging ---- */

static void put_number(char *at, uint64_t value, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        at[i] = (char)(unsigned char)(value >> (8 * i));
    }
}

/* The repetitions of a minute as one record, with the time of the last. */
static bool merge_flush(struct audit *audit, struct merge *merge, struct error *error)
{
    if (merge->len == 0 || merge->extra == 0) {
        return true;
    }
    put_number(merge->payload + TIME_OFFSET, (uint64_t)merge->last_ms, 8);
    put_number(merge->payload + COUNT_OFFSET, merge->extra, 4);
    merge->extra = 0;
    return record_add(audit, (struct str){ merge->payload, merge->len }, error);
}

/* True when the record is only counted. Everything but its time decides whether it is the same. */
static bool merge_counts(struct audit *audit, struct str payload, int64_t time_ms, struct error *error,
                         bool *counted)
{
    uint64_t hash = hash64(str_skip(payload, TIME_OFFSET + 8), 7);
    struct merge *merge = &audit->merges[hash & (MERGE_SLOTS - 1)];
    bool same = merge->len == payload.len && merge->hash == hash && time_ms - merge->first_ms < MERGE_MS &&
                time_ms >= merge->first_ms;
    *counted = same;
    if (same) {
        merge->extra++;
        merge->last_ms = time_ms;
        return true;
    }
    if (payload.len > MERGE_BYTES) {
        return true;
    }
    if (!merge_flush(audit, merge, error)) {
        return false;
    }
    *merge =
        (struct merge){ .hash = hash, .first_ms = time_ms, .last_ms = time_ms, .len = (uint16_t)payload.len };
    memcpy(merge->payload, payload.at, payload.len);
    return true;
}

static bool merges_flush(struct audit *audit, int64_t before_ms, struct error *error)
{
    bool ok = true;
    for (size_t i = 0; i < MERGE_SLOTS && ok; i++) {
        struct merge *merge = &audit->merges[i];
        if (merge->len > 0 && merge->first_ms <= before_ms) {
            ok = merge_flush(audit, merge, error);
            merge->len = 0;
        }
    }
    return ok;
}

/* ---- what others call ---- */

bool audit_read_done(struct audit *audit, const struct audit_record *record, struct error *error)
{
    struct buf payload = { .bytes_max = AUDIT_RECORD_BYTES_MAX };
    bool counted = false;
    bool ok = audit_record_encode(&payload, record, error);
    if (ok) {
        (void)pthread_mutex_lock(&audit->lock);
        ok = merge_counts(audit, buf_str(&payload), record->time_ms, error, &counted) &&
             (counted || record_add(audit, buf_str(&payload), error));
        (void)pthread_mutex_unlock(&audit->lock);
    }
    buf_deinit(&payload);
    return ok;
}

bool audit_append(void *context, uint64_t group, const struct str *records, size_t records_count,
                  struct error *error)
{
    struct audit *audit = context;
    struct buf frames = { .bytes_max = GROUP_BYTES_MAX };
    bool ok = true;
    for (size_t i = 0; i < records_count && ok; i++) {
        if (records[i].len > AUDIT_RECORD_BYTES_MAX) {
            ok = FAIL(error, ERROR_INPUT, "an audit record is too large");
        } else {
            audit_frame_add(&frames, AUDIT_FRAME_RECORD, records[i]);
        }
    }
    if (frames.failed) {
        ok = FAIL(error, ERROR_BUSY, "no memory for the audit records of a commit");
    }
    if (ok) {
        (void)pthread_mutex_lock(&audit->lock);
        if (group > audit->last_group) {
            uint64_t before = audit->last_group;
            ok = frames_add(audit, buf_str(&frames), (uint32_t)records_count, error);
            if (ok) {
                audit->last_group = group;
                ok = pending_seal(audit, error);
                /* Without its seal the group would be handed over again and stand twice: that is told by
                 * the count in the store's outbox, never lost. */
                audit->last_group = ok ? group : before;
            }
        }
        (void)pthread_mutex_unlock(&audit->lock);
    }
    buf_deinit(&frames);
    return ok;
}

uint64_t audit_groups_durable(void *audit)
{
    return atomic_load(&((struct audit *)audit)->durable_group);
}

/* ---- files ---- */

static bool audit_path(const struct audit *audit, uint64_t number, char *out, struct error *error)
{
    return audit_file_path(audit->folder, number, out)
               ? true
               : FAIL(error, ERROR_INPUT, "the path of the audit log is too long");
}

static bool file_begin(struct audit *audit, uint64_t number, struct error *error)
{
    char path[AUDIT_PATH_BYTES];
    struct buf header = { .bytes_max = 256 };
    bool ok = false;
    audit_header_add(&header, number, audit->last_seal);
    if (header.failed) {
        (void)FAIL(error, ERROR_BUSY, "no memory for the audit log");
        goto done;
    }
    if (!audit_path(audit, number, path, error) ||
        !file_write_atomically(path, buf_str(&header), 0600, error)) {
        goto done;
    }
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0) {
        (void)FAIL_OS(error, ERROR_INTERNAL, "the audit log cannot be opened");
        goto done;
    }
    if (audit->fd >= 0) {
        (void)close(audit->fd);
    }
    audit->fd = fd;
    audit->number = number;
    audit->seal_end = 0;
    audit->length = header.len;
    audit->synced = header.len;
    audit->reserved = header.len;
    ok = true;
done:
    buf_deinit(&header);
    return ok;
}

/* Goes on in the last file: what was written but not sealed when the program ended is sealed now; a torn
 * frame behind it, which nobody was told of, is cut. Damage before a later seal is left as it is, for
 * audit_verify to name, and a new file goes on from the last good seal. */
static bool file_resume(struct audit *audit, uint64_t number, struct error *error)
{
    struct arena arena = { .bytes_max = 2ull * 1024 * 1024 * 1024 };
    char path[AUDIT_PATH_BYTES];
    struct str file = STR_NONE;
    struct audit_tail tail = { 0 };
    bool ok = audit_path(audit, number, path, error) &&
              file_read_whole(&arena, path, FILE_READ_BYTES_MAX, &file, error) &&
              audit_tail_find(file, &tail, error);
    if (ok) {
        memcpy(audit->last_seal, tail.seal.seal, sizeof audit->last_seal);
        audit->last_group = tail.seal.group;
        audit->number = number;
        audit->length = tail.good;
        audit->reserved = tail.good;
    }
    if (ok && tail.damaged) {
        ok = file_begin(audit, number + 1, error);
    } else if (ok) {
        audit->fd = open(path, O_RDWR | O_CLOEXEC);
        if (audit->fd < 0 || (tail.good < file.len && ftruncate(audit->fd, (off_t)tail.good) != 0)) {
            ok = FAIL_OS(error, ERROR_INTERNAL, "the audit log cannot be opened for writing");
        }
        buf_add(&audit->pending, str_slice(file, tail.sealed, tail.good));
        audit->pending_records = tail.records;
        ok = ok && (tail.records == 0 || pending_seal(audit, error));
        if (ok && fdatasync(audit->fd) != 0) {
            ok = FAIL_OS(error, ERROR_INTERNAL, "the audit log cannot be synced");
        }
        audit->synced = audit->length;
    }
    arena_deinit(&arena);
    return ok;
}

/* ---- the thread ---- */

/* Seals and syncs what is there; the lock is let go during the sync. */
static bool audit_sync_locked(struct audit *audit, bool all, struct error *error)
{
    int64_t now_ms = audit->now_ms(audit->now_context);
    bool ok = (!audit->broken || mend(audit, error)) &&
              merges_flush(audit, all ? INT64_MAX : now_ms - MERGE_MS, error) &&
              (audit->pending_records == 0 || pending_seal(audit, error));
    uint64_t group = audit->last_group;
    uint64_t length = audit->length;
    struct audit_mark mark = { .file = audit->number, .end = audit->seal_end };
    memcpy(mark.seal, audit->last_seal, sizeof mark.seal);
    int fd = audit->fd;
    audit->dirty = !ok; /* what did not succeed is tried again soon */
    if (audit->broken) {
        return false;
    }
    (void)pthread_mutex_unlock(&audit->lock);
    bool synced = fdatasync(fd) == 0;
    (void)pthread_mutex_lock(&audit->lock);
    if (!synced) {
        audit->broken = true; /* the kernel may have dropped what it could not write */
        audit->dirty = true;
        return FAIL(error, ERROR_INTERNAL, "the audit log cannot be synced");
    }
    audit->synced = length;
    audit->mark = mark.end > 0 ? mark : audit->mark;
    if (ok) {
        atomic_store(&audit->durable_group, group);
    }
    if (ok && audit->length > audit->file_bytes_max && audit->pending_records == 0) {
        ok = file_begin(audit, audit->number + 1, error);
    }
    return ok;
}

void audit_mark_of(struct audit *audit, struct audit_mark *mark)
{
    (void)pthread_mutex_lock(&audit->lock);
    *mark = audit->mark;
    (void)pthread_mutex_unlock(&audit->lock);
}

static void wait_ms(struct audit *audit, int64_t ms)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += (ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
    (void)pthread_cond_timedwait(&audit->work, &audit->lock, &until);
}

static void *sync_loop(void *context)
{
    struct audit *audit = context;
    (void)pthread_mutex_lock(&audit->lock);
    while (!audit->stop) {
        if (!audit->dirty) {
            wait_ms(audit, MERGE_MS); /* counts of a quiet minute come out by themselves */
        }
        if (!audit->stop && audit->dirty) {
            wait_ms(audit, SYNC_MS);
        }
        struct error ignored = { 0 }; /* `dirty` lets it be tried again, `mend` tells the next caller */
        (void)audit_sync_locked(audit, false, &ignored);
    }
    (void)pthread_mutex_unlock(&audit->lock);
    return NULL;
}

const char *audit_data_folder(const struct audit *audit)
{
    return audit->data_folder;
}

bool audit_sync(struct audit *audit, struct error *error)
{
    (void)pthread_mutex_lock(&audit->lock);
    bool ok = audit_sync_locked(audit, true, error);
    (void)pthread_mutex_unlock(&audit->lock);
    return ok;
}

static bool folder_lock(struct audit *audit, struct error *error)
{
    char path[AUDIT_PATH_BYTES];
    int len = snprintf(path, sizeof path, "%s/lock", audit->folder);
    if (len < 0 || len >= AUDIT_PATH_BYTES) {
        return FAIL(error, ERROR_INPUT, "the path of the audit log is too long");
    }
    audit->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (audit->lock_fd < 0) {
        return FAIL_OS(error, error_kind_from_errno(errno), "the lock of the audit log cannot be opened");
    }
    return flock(audit->lock_fd, LOCK_EX | LOCK_NB) == 0
               ? true
               : FAIL(
                     error, ERROR_CONFLICT,
                     "the server runs on this folder: use its screens, or stop it and run the command again");
}

bool audit_open(struct arena *arena, const struct audit_options *options, struct audit **audit,
                struct error *error)
{
    struct audit *made = ARENA_NEW(arena, struct audit);
    struct merge *merges = ARENA_ARRAY(arena, struct merge, MERGE_SLOTS);
    struct str folder = arena_printf(arena, "%s/audit", options->folder);
    if (made == NULL || merges == NULL || folder.at == NULL) {
        return FAIL(error, ERROR_BUSY, "no memory for the audit log");
    }
    made->folder = arena_cstr(arena, folder);
    made->data_folder = arena_cstr(arena, str_from_cstr(options->folder));
    made->file_bytes_max = options->file_bytes_max == 0 ? file_bytes_default : options->file_bytes_max;
    made->now_ms = options->now_ms == NULL ? wall_clock : options->now_ms;
    made->now_context = options->now_context;
    made->merges = merges;
    made->fd = -1;
    made->lock_fd = -1;
    made->pending.bytes_max = GROUP_BYTES_MAX;
    (void)pthread_mutex_init(&made->lock, NULL);
    (void)pthread_cond_init(&made->work, NULL);
    uint64_t last = 0;
    if (!folder_create(made->folder, error) || !folder_lock(made, error) ||
        !audit_last_file(made->folder, &last, error) ||
        !(last == 0 ? file_begin(made, 1, error) : file_resume(made, last, error))) {
        audit_close(made);
        return false;
    }
    atomic_store(&made->durable_group, made->last_group);
    if (pthread_create(&made->thread, NULL, sync_loop, made) != 0) {
        audit_close(made);
        return FAIL(error, ERROR_BUSY, "no thread for the audit log");
    }
    made->thread_runs = true;
    *audit = made;
    return true;
}

void audit_close(struct audit *audit)
{
    struct error ignored = { 0 };
    if (audit == NULL) {
        return;
    }
    if (audit->thread_runs) {
        (void)pthread_mutex_lock(&audit->lock);
        audit->stop = true;
        (void)pthread_cond_signal(&audit->work);
        (void)pthread_mutex_unlock(&audit->lock);
        (void)pthread_join(audit->thread, NULL);
        (void)pthread_mutex_lock(&audit->lock);
        (void)audit_sync_locked(audit, true, &ignored);
        (void)pthread_mutex_unlock(&audit->lock);
    }
    if (audit->fd >= 0) {
        (void)close(audit->fd);
    }
    if (audit->lock_fd >= 0) {
        (void)close(audit->lock_fd);
    }
    buf_deinit(&audit->pending);
    (void)pthread_cond_destroy(&audit->work);
    (void)pthread_mutex_destroy(&audit->lock);
}
