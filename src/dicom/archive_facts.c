/* archive_facts.c — what the index wants to know of an instance. */
#include "dicom/archive_internal.h"

#include <stdio.h>

#include "dicom/pixels.h"

static bool take_text(struct arena *arena, const struct dicom_dataset *dataset, uint32_t tag,
                      struct str *text, struct error *error)
{
    struct str value = dicom_text(arena, dataset, tag);
    if (value.len > ARCHIVE_TEXT_BYTES_MAX) {
        return FAIL(error, ERROR_INPUT, "attribute %08X is longer than %d bytes", tag,
                    ARCHIVE_TEXT_BYTES_MAX);
    }
    /* A copy: plain ASCII would point into bytes that the caller takes back. */
    *text = value.len == 0 ? STR_NONE : arena_dup(arena, value);
    return value.len == 0 || text->at != NULL ||
           FAIL(error, ERROR_TOO_LARGE, "no memory left to read an instance");
}

static struct str take_uid(struct arena *arena, const struct dicom_dataset *dataset, uint32_t tag)
{
    struct str uid = dicom_uid(dataset, tag);
    return uid.at == NULL ? STR_NONE : arena_dup(arena, uid);
}

static bool take_texts(struct arena *arena, const struct dicom_dataset *dataset, struct archive_facts *facts,
                       struct error *error)
{
    const struct {
        uint32_t tag;
        struct str *text;
    } wanted[] = {
        { TAG_PATIENT_NAME, &facts->patient_name },
        { TAG_PATIENT_ID, &facts->patient_id },
        { TAG_ISSUER_OF_PATIENT_ID, &facts->issuer },
        { TAG_PATIENT_BIRTH_DATE, &facts->birth_date },
        { TAG_PATIENT_SEX, &facts->sex },
        { TAG_ACCESSION_NUMBER, &facts->accession },
        { TAG_STUDY_ID, &facts->study_id },
        { TAG_STUDY_DATE, &facts->study_date },
        { TAG_STUDY_TIME, &facts->study_time },
        { TAG_STUDY_DESCRIPTION, &facts->study_description },
        { TAG_REFERRING_PHYSICIAN_NAME, &facts->referring },
        { TAG_INSTITUTION_NAME, &facts->institution },
        { TAG_TIMEZONE_OFFSET, &facts->timezone },
        { TAG_MODALITY, &facts->modality },
        { TAG_SERIES_NUMBER, &facts->series_number },
        { TAG_SERIES_DESCRIPTION, &facts->series_description },
        { TAG_BODY_PART, &facts->body_part },
        { TAG_SERIES_DATE, &facts->series_date },
        { TAG_SERIES_TIME, &facts->series_time },
        { TAG_LATERALITY, &facts->laterality },
        { TAG_MANUFACTURER, &facts->manufacturer },
        { TAG_MANUFACTURER_MODEL, &facts->model },
        { TAG_STATION_NAME, &facts->station },
        { TAG_CONVOLUTION_KERNEL, &facts->kernel },
    };
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        if (!take_text(arena, dataset, wanted[i].tag, wanted[i].text, error)) {
            return false;
        }
    }
    return true;
}

static int64_t whole_number(const struct dicom_dataset *dataset, uint32_t tag, int64_t otherwise)
{
    double number;
    if (!dicom_number(dataset, tag, &number) || number < -2147483648.0 || number > 2147483647.0) {
        return otherwise;
    }
    return (int64_t)number;
}

/* Where the pixel values lie, and the only frame when it lies in one piece as it is stored. */
static void take_pixels(const struct dicom_dataset *dataset, struct str bytes, uint64_t prefix_bytes,
                        struct archive_facts *facts)
{
    const struct dicom_element *pixels = dicom_find(dataset, TAG_PIXEL_DATA);
    /* A deflated data set was inflated elsewhere: nothing points into the bytes. */
    if (pixels == NULL || pixels->value.at < bytes.at || pixels->value.at > bytes.at + bytes.len) {
        return;
    }
    struct str frame = pixels->value;
    facts->header_bytes = prefix_bytes + (uint64_t)(pixels->value.at - bytes.at);
    if (facts->frames != 1) {
        return;
    }
    if (pixels->is_encapsulated) {
        const struct dicom_item *fragment = pixels->items == NULL ? NULL : pixels->items->next;
        if (fragment == NULL || fragment->next != NULL) {
            return;
        }
        frame = fragment->bytes;
    } else {
        /* Without the byte that pads to even length; a value that is too short is told by who reads the frame. */
        int64_t samples = whole_number(dataset, TAG_SAMPLES_PER_PIXEL, 1);
        bool is_sane = facts->rows > 0 && facts->rows <= UINT16_MAX && facts->columns > 0 &&
                       facts->columns <= UINT16_MAX && samples > 0 && samples <= 4 &&
                       (facts->bits == 8 || facts->bits == 16);
        uint64_t expected = is_sane ? (uint64_t)facts->rows * (uint64_t)facts->columns * (uint64_t)samples *
                                          (uint64_t)facts->bits / 8
                                    : 0;
        if (expected == 0 || expected > frame.len) {
            return;
        }
        frame.len = (size_t)expected;
    }
    facts->frame_offset = prefix_bytes + (uint64_t)(frame.at - bytes.at);
    facts->frame_bytes = frame.len;
}

bool archive_facts_read(struct arena *arena, struct str bytes, const struct dicom_syntax *syntax,
                        uint64_t prefix_bytes, const char *charset_fallback, struct archive_facts *facts,
                        struct error *error)
{
    const struct dicom_read_options options = { .charset_fallback = charset_fallback };
    struct dicom_file file = { .syntax = syntax };
    if (syntax == NULL ? !dicom_read_file(arena, bytes, &options, &file, error)
                       : !dicom_read_dataset(arena, bytes, syntax, &options, &file.dataset, error)) {
        return false;
    }
    const struct dicom_dataset *dataset = &file.dataset;
    facts->sop = take_uid(arena, dataset, TAG_SOP_INSTANCE_UID);
    facts->class_uid = take_uid(arena, dataset, TAG_SOP_CLASS_UID);
    facts->study = take_uid(arena, dataset, TAG_STUDY_INSTANCE_UID);
    facts->series = take_uid(arena, dataset, TAG_SERIES_INSTANCE_UID);
    facts->syntax = str_from_cstr(file.syntax->uid);
    if (facts->sop.at == NULL || facts->class_uid.at == NULL || facts->study.at == NULL ||
        facts->series.at == NULL) {
        return FAIL(error, ERROR_INPUT, "the instance lacks a valid study, series, class or instance UID");
    }
    if (!take_texts(arena, dataset, facts, error)) {
        return false;
    }
    facts->number = whole_number(dataset, TAG_INSTANCE_NUMBER, 0);
    facts->rows = whole_number(dataset, TAG_ROWS, 0);
    facts->columns = whole_number(dataset, TAG_COLUMNS, 0);
    facts->bits = whole_number(dataset, TAG_BITS_ALLOCATED, 0);
    facts->frames = whole_number(dataset, TAG_NUMBER_OF_FRAMES, 1);
    facts->dataset_offset = prefix_bytes + file.dataset_offset;
    facts->bytes = prefix_bytes + bytes.len;
    facts->header_bytes = 0;
    facts->frame_offset = 0;
    facts->frame_bytes = 0;
    take_pixels(dataset, bytes, prefix_bytes, facts);
    return true;
}

static void add_element(struct buf *buf, uint16_t element, const char *vr, struct str value)
{
    size_t len = value.len + value.len % 2;
    const char head[8] = { 2,     0,     (char)(uint8_t)element, (char)(uint8_t)(element >> 8),
                           vr[0], vr[1], (char)(uint8_t)len,     (char)(uint8_t)(len >> 8) };
    buf_add(buf, (struct str){ head, sizeof head });
    buf_add(buf, value);
    if (value.len % 2 == 1) {
        buf_add_char(buf, vr[0] == 'U' ? '\0' : ' ');
    }
}

struct str archive_meta_make(struct arena *arena, const char *syntax_uid, struct str class_uid,
                             struct str sop)
{
    struct buf group = { .bytes_max = 1024 };
    struct buf all = { .bytes_max = 2048 };
    buf_add(&group, (struct str){ "\2\0\1\0OB\0\0\2\0\0\0\0\1", 14 });
    add_element(&group, 0x0002, "UI", class_uid);
    add_element(&group, 0x0003, "UI", sop);
    add_element(&group, 0x0010, "UI", str_from_cstr(syntax_uid));
    add_element(&group, 0x0012, "UI", STR(DICOM_IMPLEMENTATION_UID));
    add_element(&group, 0x0013, "SH", STR(DICOM_IMPLEMENTATION_NAME));
    for (unsigned i = 0; i < 128; i++) {
        buf_add_char(&all, '\0');
    }
    const char length[4] = { (char)(uint8_t)group.len, (char)(uint8_t)(group.len >> 8), 0, 0 };
    buf_add(&all, STR("DICM"));
    add_element(&all, 0x0000, "UL", (struct str){ length, sizeof length });
    buf_add(&all, buf_str(&group));
    struct str made = group.failed || all.failed ? STR_NONE : arena_dup(arena, buf_str(&all));
    buf_deinit(&group);
    buf_deinit(&all);
    return made;
}
