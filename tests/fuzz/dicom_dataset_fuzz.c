/* dicom_dataset_fuzz.c — any bytes as a DICOM file: read, written as JSON (which must read as JSON), described, its
 * first frame sliced, its facts taken. */
#include <assert.h>

#include "dicom/archive_internal.h"
#include "dicom/dicom_json.h"
#include "dicom/pixels.h"
#include "json/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena = { .bytes_max = 64u << 20 };
    struct error error = { 0 };
    struct dicom_file file;
    struct dicom_image image;
    struct archive_facts facts = { 0 };
    struct str frame;
    struct str bytes = { (const char *)data, size };
    const struct dicom_read_options options = { .charset_fallback = "GB18030" };
    if (dicom_read_file(&arena, bytes, &options, &file, &error)) {
        struct buf out = { .bytes_max = 32u << 20 };
        const struct dicom_json_options json = { .bulk_uri = STR("x/"), .inline_bytes_max = 64 };
        struct json *value = NULL;
        dicom_json_write(&out, &arena, &file.dataset, &json);
        if (!out.failed && !json_read(&arena, buf_str(&out), &value, &error)) {
            /* Nesting has its own, lower limit there; anything else would be our fault. */
            assert(error.kind != ERROR_INTERNAL);
        }
        if (dicom_image_describe(&file.dataset, file.syntax, &image, &error)) {
            assert(dicom_image_frame_bytes(&image) > 0);
            if (dicom_frame_bytes(&arena, &file.dataset, &image, 0, &frame, &error)) {
                assert(frame.len <= size || file.syntax->is_deflated);
            }
        }
        buf_deinit(&out);
    }
    if (archive_facts_read(&arena, bytes, NULL, 0, "GB18030", &facts, &error)) {
        assert(dicom_uid_is_valid(facts.sop));
        assert(facts.frame_offset + facts.frame_bytes <= size);
    }
    arena_deinit(&arena);
    return 0;
}
