#include "dicom/archive_internal.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/limits.h"

enum { SILENCE_MS = 5000, RETRY_MS = 30000, AWAKE_MS = 1000, BATCH_ARENA_BYTES = 16 << 20 };

/* ---- recovery at start ---- */

struct recovery {
    struct archive *archive;
    struct arena arena; /* of one instance */
};

static bool recover_record(void *data, struct archive_facts *facts, struct str bytes, struct error *error)
{
    struct recovery *recovery = data;
    struct archive *archive = recovery->archive;
    struct archive_facts read = *facts;
    struct error unreadable = { 0 };
    enum archive_known known = ARCHIVE_UNKNOWN;
    bool is_whole_file = archive_facts_read(&recovery->arena, bytes, NULL, 0,
                                            archive->options.charset_fallback, &read, &unreadable);
    struct archive_facts *list[] = { is_whole_file ? &read : facts };
    /* Only what was readable when it came was appended; should that change, the UIDs of the header still hold. */
    bool ok = archive_index_add(archive->index, list, 1, clock_now_ms(), &known, error);
    arena_reset(&recovery->arena);
    return ok;
}

static bool recover_pack(void *data, const char *name, struct error *error)
{
    struct recovery *recovery = data;
    struct archive *archive = recovery->archive;
    uint64_t known_end = 0;
    char path[1200];
    if (!archive_index_pack_end(archive->index, name, &known_end, error) ||
        !archive_pack_path(archive, name, ".pack", path, sizeof path, error)) {
        return false;
    }
    struct stat status;
    if (stat(path, &status) != 0 || (uint64_t)status.st_size <= known_end) {
        return true;
    }
    struct archive_scan scan = { .record = recover_record, .data = recovery };
    if (!archive_pack_scan(archive, name, known_end, &scan, error)) {
        return false;
    }
    /* What follows the last whole record was never acknowledged. */
    return scan.valid_end == scan.file_bytes || archive_pack_cut(archive, name, scan.valid_end, error);
}

/* Acknowledged instances that no file has any more: told, and only forgotten when somebody asked for it (or when they were
 * acknowledged before the sync, and a power cut took them). */
static bool look_for_lost(struct archive *archive, struct arena *arena, struct error *error)
{
    struct archive_pack_row *rows = NULL;
    size_t count = 0;
    bool forget = archive->options.forget_lost || archive->options.ack_written;
    bool ok = archive_index_packs(archive->index, arena, &rows, &count, error);
    for (size_t i = 0; ok && i < count; i++) {
        char path[1200];
        struct stat status = { 0 };
        uint64_t lost = 0;
        uint64_t end = 0;
        ok = archive_pack_path(archive, rows[i].name, ".pack", path, sizeof path, error);
        bool is_there = ok && stat(path, &status) == 0;
        if (!ok || (is_there && (uint64_t)status.st_size >= rows[i].end)) {
            continue;
        }
        if (!forget) {
            archive->damaged_count++;
            memcpy(archive->damaged, rows[i].name, sizeof archive->damaged);
            continue;
        }
        ok = archive_index_forget(archive->index, rows[i].name, (uint64_t)status.st_size, &lost, error) &&
             archive_index_pack_end(archive->index, rows[i].name, &end, error) &&
             (!is_there ||
              archive_pack_cut(archive, rows[i].name, end < ARCHIVE_PACK_MAGIC_BYTES ? 0 : end, error));
    }
    return ok;
}

size_t archive_damaged(const struct archive *archive, const char **first)
{
    *first = archive->damaged;
    return archive->damaged_count;
}

static bool recover(struct archive *archive, struct error *error)
{
    struct recovery recovery = { .archive = archive, .arena = { .bytes_max = LIMIT_REQUEST_ARENA_BYTES } };
    bool ok = look_for_lost(archive, &recovery.arena, error);
    arena_reset(&recovery.arena);
    ok = ok && archive_packs_each(archive, recover_pack, &recovery, error);
    arena_deinit(&recovery.arena);
    return ok;
}

/* ---- telling of changed studies ---- */

static void tell_study(struct archive *archive, struct str study, int64_t changes)
{
    struct error error = { 0 };
    const struct archive_host *host = &archive->options.host;
    bool ok = archive_metadata_refresh(archive, study, &error);
    ok = ok && (host->study_changed == NULL || host->study_changed(host->context, study, &error));
    if (ok) {
        (void)archive_index_told(archive->index, study, changes, &error);
    } else {
        (void)archive_index_set_due(archive->index, study, clock_now_ms() + RETRY_MS, &error);
    }
}

/* Waits for news, at most `wait_ms`. False when the archive is closing. */
static bool wait_for_news(struct archive *archive, int64_t wait_ms)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += wait_ms / 1000;
    until.tv_nsec += (wait_ms % 1000) * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    (void)pthread_mutex_lock(&archive->teller_lock);
    int waited = 0;
    while (!archive->is_closing && !archive->has_news && waited != ETIMEDOUT) {
        waited = pthread_cond_timedwait(&archive->teller_wake, &archive->teller_lock, &until);
    }
    archive->has_news = false;
    bool goes_on = !archive->is_closing;
    (void)pthread_mutex_unlock(&archive->teller_lock);
    return goes_on;
}

static void *teller_main(void *data)
{
    struct archive *archive = data;
    int64_t wait_ms = 0;
    while (wait_for_news(archive, wait_ms)) {
        char study[ARCHIVE_UID_BYTES];
        int64_t due_ms = 0;
        int64_t changes = 0;
        struct error error = { 0 };
        bool ok = archive_index_next_due(archive->index, study, &due_ms, &changes, &error);
        int64_t left_ms = due_ms - clock_now_ms();
        wait_ms = 1000;
        /* A due time far ahead was set before the clock was put back. */
        if (ok && due_ms > 0 && (left_ms <= 0 || left_ms > 2 * RETRY_MS)) {
            tell_study(archive, str_from_cstr(study), changes);
            wait_ms = 0;
        } else if (ok && due_ms > 0 && left_ms < wait_ms) {
            wait_ms = left_ms;
        }
    }
    return NULL;
}

static void wake_teller(struct archive *archive)
{
    (void)pthread_mutex_lock(&archive->teller_lock);
    archive->has_news = true;
    (void)pthread_cond_signal(&archive->teller_wake);
    (void)pthread_mutex_unlock(&archive->teller_lock);
}

/* ---- opening ---- */

bool archive_open(struct arena *arena, const struct archive_options *options, struct archive **archive,
                  struct error *error)
{
    struct archive *made = ARENA_NEW(arena, struct archive);
    if (made == NULL) {
        return FAIL(error, ERROR_TOO_LARGE, "no memory for the image archive");
    }
    made->arena = arena;
    made->options = *options;
    made->options.silence_ms = options->silence_ms == 0 ? SILENCE_MS : options->silence_ms;
    made->options.web_root = options->web_root == NULL ? "/dicom-web" : options->web_root;
    int len = snprintf(made->folder, sizeof made->folder, "%s", options->folder);
    if (len <= 0 || (size_t)len >= sizeof made->folder) {
        return FAIL(error, ERROR_INPUT, "the path of the image archive is too long");
    }
    (void)pthread_mutex_init(&made->packs_lock, NULL);
    (void)pthread_mutex_init(&made->metadata_lock, NULL);
    (void)pthread_mutex_init(&made->teller_lock, NULL);
    (void)pthread_cond_init(&made->teller_wake, NULL);
    for (size_t i = 0; i < ARCHIVE_PACKS_OPEN_MAX; i++) {
        made->packs[i].fd = -1;
        (void)pthread_mutex_init(&made->packs[i].lock, NULL);
        (void)pthread_cond_init(&made->packs[i].synced_more, NULL);
    }
    if (!folder_create(made->folder, error) ||
        !archive_index_open(arena, made->folder, &made->index, error) || !recover(made, error) ||
        (options->host.opened != NULL && !options->host.opened(options->host.context, made, error))) {
        archive_close(made);
        return false;
    }
    if (pthread_create(&made->teller, NULL, teller_main, made) != 0) {
        archive_close(made);
        return FAIL(error, ERROR_INTERNAL, "no thread for the image archive");
    }
    made->has_teller = true;
    *archive = made;
    return true;
}

void archive_close(struct archive *archive)
{
    if (archive == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&archive->teller_lock);
    archive->is_closing = true;
    (void)pthread_cond_signal(&archive->teller_wake);
    (void)pthread_mutex_unlock(&archive->teller_lock);
    if (archive->has_teller) {
        (void)pthread_join(archive->teller, NULL);
    }
    archive_packs_close(archive);
    archive_index_close(archive->index);
    (void)pthread_cond_destroy(&archive->teller_wake);
    (void)pthread_mutex_destroy(&archive->teller_lock);
    (void)pthread_mutex_destroy(&archive->metadata_lock);
    (void)pthread_mutex_destroy(&archive->packs_lock);
}

/* ---- batches ---- */

struct entry {
    struct archive_facts facts;
    struct archive_pack *pack;
    struct archive_result result;
    bool is_appended;
};

struct archive_batch {
    struct archive *archive;
    struct archive_batch_options options;
    struct arena arena; /* of the facts; reset at each flush */
    size_t count;
    int64_t awake_ms; /* when the index was last told that more is coming */
    size_t studies_count;
    char studies[ARCHIVE_BATCH_MAX][ARCHIVE_UID_BYTES]; /* touched since the last end */
    struct entry entries[ARCHIVE_BATCH_MAX];
};

bool archive_batch_create(struct arena *arena, struct archive *archive,
                          const struct archive_batch_options *options, struct archive_batch **batch,
                          struct error *error)
{
    struct archive_batch *made = ARENA_NEW(arena, struct archive_batch);
    if (made == NULL) {
        return FAIL(error, ERROR_TOO_LARGE, "no memory to receive instances");
    }
    if (options->organization.len > 64) {
        return FAIL(error, ERROR_INPUT, "the id of the organisation is longer than 64 characters");
    }
    made->archive = archive;
    made->options = *options;
    made->arena.bytes_max = LIMIT_REQUEST_ARENA_BYTES;
    *batch = made;
    return true;
}

void archive_batch_destroy(struct archive_batch *batch)
{
    if (batch != NULL) {
        for (size_t i = 0; i < batch->count; i++) {
            if (batch->entries[i].pack != NULL) {
                archive_pack_release(batch->archive, batch->entries[i].pack);
            }
        }
        batch->count = 0;
        arena_deinit(&batch->arena);
    }
}

static void copy_uid(char *to, struct str uid)
{
    assert(uid.len < ARCHIVE_UID_BYTES);
    memcpy(to, uid.at == NULL ? "" : uid.at, uid.len);
    to[uid.len] = '\0';
}

static bool check_expected(const struct archive_incoming *incoming, const struct archive_facts *facts,
                           struct error *error)
{
    if (incoming->expected_study.at != NULL && !str_equal(incoming->expected_study, facts->study)) {
        return FAIL(error, ERROR_INPUT, "the instance belongs to another study than the request says");
    }
    if (incoming->expected_sop.at != NULL && !str_equal(incoming->expected_sop, facts->sop)) {
        return FAIL(error, ERROR_INPUT, "the data set has another instance UID than the command");
    }
    return true;
}

static bool check_known(struct archive *archive, struct entry *entry, bool *is_known, struct error *error)
{
    enum archive_known known = ARCHIVE_UNKNOWN;
    if (!archive_index_known(archive->index, entry->facts.sop, entry->facts.hash, &known, error)) {
        return false;
    }
    *is_known = known == ARCHIVE_SAME;
    return known != ARCHIVE_OTHER ||
           FAIL(error, ERROR_CONFLICT, "an instance with this UID and other content is stored already");
}

/* Against what is stored and what waits in this batch. */
static bool check_series(struct archive_batch *batch, const struct archive_facts *facts, struct error *error)
{
    for (size_t i = 0; i < batch->count; i++) {
        const struct entry *entry = &batch->entries[i];
        if (entry->is_appended && str_equal(entry->facts.series, facts->series)) {
            return str_equal(entry->facts.study, facts->study) ||
                   FAIL(error, ERROR_INPUT, "the series belongs to another study than the instance says");
        }
    }
    return archive_index_check_series(batch->archive->index, facts->series, facts->study, error);
}

/* Reads, checks, appends. An instance that is known with the same bytes is not appended again. */
static bool take_in(struct archive_batch *batch, const struct archive_incoming *incoming, struct entry *entry,
                    struct error *error)
{
    struct archive *archive = batch->archive;
    struct archive_facts *facts = &entry->facts;
    struct str prefix = STR_NONE;
    struct str bytes = incoming->bytes;
    bool is_known = false;
    if (bytes.len > LIMIT_DICOM_INSTANCE_BYTES - 4096) {
        return FAIL(error, ERROR_TOO_LARGE, "an instance may have at most %d bytes",
                    LIMIT_DICOM_INSTANCE_BYTES);
    }
    if (!archive_facts_read(&batch->arena, bytes, incoming->syntax, 0, archive->options.charset_fallback,
                            facts, error)) {
        return false;
    }
    copy_uid(entry->result.study, facts->study);
    copy_uid(entry->result.series, facts->series);
    copy_uid(entry->result.sop, facts->sop);
    copy_uid(entry->result.class_uid, facts->class_uid);
    if (!check_expected(incoming, facts, error) ||
        !hash_sha256(str_skip(bytes, (size_t)facts->dataset_offset), facts->hash, error) ||
        !check_known(archive, entry, &is_known, error)) {
        return false;
    }
    if (is_known) {
        entry->result.outcome = ARCHIVE_ALREADY;
        return true;
    }
    if (!check_series(batch, facts, error)) {
        return false;
    }
    /* A file's data set must not hide that its beginning is cut off: a bare one gets a beginning. */
    bool is_bare = incoming->syntax != NULL || facts->dataset_offset == 0;
    if (is_bare) {
        prefix = archive_meta_make(&batch->arena, facts->syntax.at, facts->class_uid, facts->sop);
        if (prefix.at == NULL) {
            return FAIL(error, ERROR_TOO_LARGE, "no memory left to store an instance");
        }
        facts->dataset_offset += prefix.len;
        facts->bytes += prefix.len;
        facts->header_bytes += facts->header_bytes == 0 ? 0 : prefix.len;
        facts->frame_offset += facts->frame_offset == 0 ? 0 : prefix.len;
    }
    facts->organization = batch->options.organization;
    facts->received_ms = clock_now_ms();
    if (!archive_pack_acquire(archive, facts->series, &entry->pack, error)) {
        return false;
    }
    entry->is_appended = archive_pack_append(entry->pack, facts, prefix, bytes, error);
    return entry->is_appended;
}

/* What waits in a batch is not in the index yet: on a slow line the study would seem to be at rest meanwhile. */
static void keep_awake(struct archive_batch *batch, const struct entry *entry)
{
    struct error ignored = { 0 }; /* then it is told once more than needed */
    int64_t now_ms = clock_now_ms();
    if (entry->is_appended && now_ms - batch->awake_ms >= AWAKE_MS) {
        batch->awake_ms = now_ms;
        (void)archive_index_set_due(batch->archive->index, str_from_cstr(entry->result.study),
                                    now_ms + batch->archive->options.silence_ms, &ignored);
    }
}

void archive_batch_add(struct archive_batch *batch, const struct archive_incoming *incoming)
{
    if (batch->count == ARCHIVE_BATCH_MAX) {
        archive_batch_flush(batch);
    }
    struct entry *entry = &batch->entries[batch->count++];
    *entry = (struct entry){ .result = { .data = incoming->data, .outcome = ARCHIVE_REFUSED } };
    (void)take_in(batch, incoming, entry, &entry->result.error);
    keep_awake(batch, entry);
    /* What the facts of a large data set took is given back before the next one. */
    if (batch->arena.bytes_total > BATCH_ARENA_BYTES) {
        archive_batch_flush(batch);
    }
}

/* Each pack once: the later entries of the same pack find it synced. */
static void sync_packs(struct archive_batch *batch)
{
    for (size_t i = 0; i < batch->count; i++) {
        struct entry *entry = &batch->entries[i];
        if (entry->is_appended && !batch->archive->options.ack_written) {
            entry->is_appended = archive_pack_sync(entry->pack, &entry->result.error);
        }
    }
}

static void enter_index(struct archive_batch *batch)
{
    struct archive_facts *facts[ARCHIVE_BATCH_MAX];
    struct entry *entries[ARCHIVE_BATCH_MAX];
    enum archive_known known[ARCHIVE_BATCH_MAX];
    struct error error = { 0 };
    size_t count = 0;
    for (size_t i = 0; i < batch->count; i++) {
        if (batch->entries[i].is_appended) {
            entries[count] = &batch->entries[i];
            facts[count++] = &batch->entries[i].facts;
        }
    }
    int64_t due_ms = clock_now_ms() + batch->archive->options.silence_ms;
    bool ok = count == 0 || archive_index_add(batch->archive->index, facts, count, due_ms, known, &error);
    for (size_t i = 0; i < count; i++) {
        struct archive_result *result = &entries[i]->result;
        if (!ok) {
            result->error = error;
            archive_pack_distrust(entries[i]->pack);
        } else if (known[i] == ARCHIVE_OTHER) {
            (void)FAIL(&result->error, ERROR_CONFLICT,
                       "an instance with this UID and other content is stored already");
        } else {
            result->outcome = known[i] == ARCHIVE_SAME ? ARCHIVE_ALREADY : ARCHIVE_STORED;
        }
    }
}

static void note_study(struct archive_batch *batch, const char *study)
{
    for (size_t i = 0; i < batch->studies_count; i++) {
        if (strcmp(batch->studies[i], study) == 0) {
            return;
        }
    }
    /* More studies than the list holds are told of after the silence. */
    if (batch->studies_count < ARCHIVE_BATCH_MAX) {
        memcpy(batch->studies[batch->studies_count++], study, ARCHIVE_UID_BYTES);
    }
}

void archive_batch_flush(struct archive_batch *batch)
{
    sync_packs(batch);
    enter_index(batch);
    for (size_t i = 0; i < batch->count; i++) {
        struct entry *entry = &batch->entries[i];
        if (entry->pack != NULL) {
            archive_pack_release(batch->archive, entry->pack);
        }
        if (entry->result.outcome == ARCHIVE_STORED) {
            note_study(batch, entry->result.study);
        }
        batch->options.told(batch->options.context, &entry->result);
    }
    batch->count = 0;
    arena_reset(&batch->arena);
}

void archive_batch_end(struct archive_batch *batch)
{
    struct error ignored = { 0 }; /* then the silence tells */
    int64_t due_ms = batch->options.rest_ms == 0 ? 1 : clock_now_ms() + batch->options.rest_ms;
    archive_batch_flush(batch);
    for (size_t i = 0; i < batch->studies_count; i++) {
        (void)archive_index_set_due(batch->archive->index, str_from_cstr(batch->studies[i]), due_ms,
                                    &ignored);
    }
    if (batch->studies_count > 0) {
        wake_teller(batch->archive);
    }
    batch->studies_count = 0;
}

/* ---- looking ---- */

bool archive_find_instance(struct archive *archive, struct str study, struct str series, struct str sop,
                           struct archive_instance *instance, struct error *error)
{
    struct archive_instance found = { 0 };
    if (!archive_index_instance(archive->index, sop, &found, error)) {
        return false;
    }
    if ((study.at != NULL && !str_equal_cstr(study, found.study)) ||
        (series.at != NULL && !str_equal_cstr(series, found.series))) {
        return FAIL(error, ERROR_NOT_FOUND, "there is no such instance");
    }
    *instance = found;
    return true;
}

bool archive_list_instances(struct archive *archive, struct arena *arena, struct str study, struct str series,
                            struct archive_instance **instances, size_t *count, struct error *error)
{
    return archive_index_instances(archive->index, arena, study, series, instances, count, error);
}

bool archive_list_series(struct archive *archive, struct arena *arena, struct str study, struct str **series,
                         size_t *count, struct error *error)
{
    struct archive_series_row *rows = NULL;
    if (!archive_index_series(archive->index, arena, study, STR_NONE, &rows, count, error)) {
        return false;
    }
    struct str *uids = ARENA_ARRAY(arena, struct str, *count + 1);
    if (uids == NULL) {
        return FAIL(error, ERROR_TOO_LARGE, "no memory left to list series");
    }
    for (size_t i = 0; i < *count; i++) {
        uids[i] = rows[i].uid;
    }
    *series = uids;
    return *count > 0 || FAIL(error, ERROR_NOT_FOUND, "there is no such study");
}

bool archive_decide(struct archive *archive, const struct archive_decision *decision, struct error *error)
{
    if (!archive_index_decide(archive->index, decision, error)) {
        return false;
    }
    wake_teller(archive);
    return true;
}

/* ---- check ---- */

struct check {
    struct archive *archive;
    struct archive_check_report *report;
};

static void find_fault(struct archive_check_report *report, const char *name, const char *what)
{
    char text[160];
    (void)snprintf(text, sizeof text, "pack file %s: %s", name, what);
    report->findings_count++;
    report->finding(report->data, text);
}

static bool check_record(void *data, struct archive_facts *facts, struct str bytes, struct error *error)
{
    struct check *check = data;
    enum archive_known known = ARCHIVE_UNKNOWN;
    if (!archive_index_known(check->archive->index, facts->sop, facts->hash, &known, error)) {
        return false;
    }
    if (known == ARCHIVE_UNKNOWN) {
        find_fault(check->report, facts->pack, "an instance is not in the index");
    }
    check->report->instances_count++;
    check->report->bytes_count += bytes.len;
    return true;
}

static bool check_pack(void *data, const char *name, struct error *error)
{
    struct check *check = data;
    uint64_t known_end = 0;
    struct archive_scan scan = { .record = check_record, .data = check };
    if (!archive_index_pack_end(check->archive->index, name, &known_end, error) ||
        !archive_pack_scan(check->archive, name, 0, &scan, error)) {
        return false;
    }
    if (scan.valid_end < known_end) {
        find_fault(check->report, name, "damaged: an instance of the index cannot be read");
    } else if (scan.valid_end < scan.file_bytes) {
        find_fault(check->report, name, "ends with an instance that is not whole (never acknowledged)");
    }
    return true;
}

bool archive_check(struct archive *archive, struct archive_check_report *report, struct error *error)
{
    struct check check = { .archive = archive, .report = report };
    struct arena arena = { .bytes_max = LIMIT_REQUEST_ARENA_BYTES };
    struct archive_pack_row *rows = NULL;
    size_t count = 0;
    bool ok = archive_index_packs(archive->index, &arena, &rows, &count, error);
    for (size_t i = 0; ok && i < count; i++) {
        char path[1200];
        ok = archive_pack_path(archive, rows[i].name, ".pack", path, sizeof path, error);
        if (ok && rows[i].end > 0 && access(path, F_OK) != 0) {
            find_fault(report, rows[i].name, "is missing");
        }
    }
    arena_deinit(&arena);
    return ok && archive_packs_each(archive, check_pack, &check, error);
}
