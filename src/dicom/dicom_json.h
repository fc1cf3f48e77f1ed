/* dicom_json.h — data sets in the DICOM JSON model (PS3.18 annex F), always UTF-8. Any thread. */
#ifndef SHANHAI_DICOM_DICOM_JSON_H
#define SHANHAI_DICOM_DICOM_JSON_H

#include "base/buf.h"
#include "dicom/dataset.h"

struct dicom_json_options {
    struct str bulk_uri;     /* put before the tag in BulkDataURI; empty: bulk values are left out */
    size_t inline_bytes_max; /* longer binary values become BulkDataURI (pixel data always does) */
};

/* Appends the data set as one JSON object, without group 0002, group lengths and pixel values. A failure
 * (limit of the buffer or memory) shows in buf->failed. `arena` is for character conversion. */
void dicom_json_write(struct buf *buf, struct arena *arena, const struct dicom_dataset *dataset,
                      const struct dicom_json_options *options);

/* One text attribute as `"GGGGEEEE":{"vr":"..","Value":[…]}` without comma, for answers made from an index.
 * '\' separates values; a PN gives Alphabetic, Ideographic and Phonetic; IS and DS give numbers. */
void dicom_json_write_attribute(struct buf *buf, uint32_t tag, uint16_t vr, struct str text);

#endif
