/* Any bytes as a file of the audit log: the end is found inside the file, every frame moves forward, and a record
 * that is understood is written again as the same record. The first byte chooses whether a header stands before. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "access/audit_format.h"
#include "access/audit_read.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void record_again(struct arena *arena, struct str payload)
{
    struct audit_record record;
    struct audit_record again;
    struct error error = { 0 };
    struct buf first = { .bytes_max = AUDIT_RECORD_BYTES_MAX };
    struct buf second = { .bytes_max = AUDIT_RECORD_BYTES_MAX };
    if (audit_record_decode(arena, payload, &record)) {
        bool ok = audit_record_encode(&first, &record, &error);
        assert(ok);
        ok = audit_record_decode(arena, buf_str(&first), &again) &&
             audit_record_encode(&second, &again, &error);
        assert(ok);
        assert(str_equal(buf_str(&first), buf_str(&second)));
        (void)audit_event_json(arena, &record, STR("000001-48"));
    }
    buf_deinit(&first);
    buf_deinit(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t no_seal[SHA256_BYTES];
    struct arena arena = { .bytes_max = 1u << 20 };
    struct error error = { 0 };
    struct audit_tail tail = { 0 };
    struct buf file = { .bytes_max = (1u << 20) + AUDIT_HEADER_BYTES };
    struct str input = { (const char *)data, size };
    if (size > 0 && (data[0] & 1) != 0) {
        audit_header_add(&file, 1, no_seal);
    }
    buf_add(&file, str_skip(input, 1));
    record_again(&arena, str_skip(input, 1));
    if (!file.failed && audit_tail_find(buf_str(&file), &tail, &error)) {
        assert(tail.good <= file.len && tail.sealed <= tail.good);
        size_t offset = AUDIT_HEADER_BYTES;
        size_t before = offset;
        char kind = 0;
        struct str payload = STR_NONE;
        while (audit_frame_next(buf_str(&file), &offset, &kind, &payload)) {
            assert(offset > before && offset <= file.len);
            before = offset;
            record_again(&arena, payload);
            arena_reset(&arena);
        }
    }
    buf_deinit(&file);
    arena_deinit(&arena);
    return 0;
}
