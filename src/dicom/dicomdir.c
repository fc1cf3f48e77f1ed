#include "dicom/dicomdir.h"

bool dicomdir_count(struct arena *arena, struct str bytes, size_t *count, struct error *error)
{
    struct dicom_file file = { 0 };
    if (!dicom_read_file(arena, bytes, NULL, &file, error)) {
        return false;
    }
    const struct dicom_element *records = dicom_find(&file.dataset, TAG_DIRECTORY_RECORDS);
    if (records == NULL) {
        return FAIL(error, ERROR_STRUCTURE, "the directory of the CD has no records");
    }
    size_t found = 0;
    for (const struct dicom_item *item = records->items; item != NULL; item = item->next) {
        /* PS3.3 F.5: the levels above the objects refer to no file. */
        struct str type = str_trim(dicom_text(arena, &item->dataset, TAG_DIRECTORY_RECORD_TYPE));
        found += !str_equal(type, STR("PATIENT")) && !str_equal(type, STR("STUDY")) &&
                 !str_equal(type, STR("SERIES"));
    }
    *count = found;
    return true;
}
