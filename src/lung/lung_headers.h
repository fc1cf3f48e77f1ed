/* lung_headers.h — inside of lung/: one instance as far as its header goes, and the judging of a series. */
#ifndef SHANHAI_LUNG_LUNG_HEADERS_H
#define SHANHAI_LUNG_LUNG_HEADERS_H

#include "dicom/pixels.h"
#include "lung/lung_series.h"

struct lung_header {
    size_t source;
    struct lung_series series; /* of this instance alone; notes unused */
    char uid[LUNG_UID_BYTES];
    double position[3];
    double orientation[6];
    double along; /* position along the normal, from feet to head */
    double tilt_degrees;
    uint32_t frames_count;
    int64_t number; /* Instance Number; 0: not said */
    bool is_ct;
    bool is_localizer;
    bool has_geometry;
    bool has_contrast;
};

/* Bytes of a source in the arena: the first bytes_max of them, or ERROR_TOO_LARGE when `whole`. */
bool lung_source_read(struct arena *arena, const struct lung_source *source, size_t bytes_max, bool whole,
                      struct str *out, struct error *error) MUST_CHECK;

/* The header. False when the bytes are no DICOM instance with an image. */
bool lung_header_read(const struct lung_source *source, struct lung_header *header,
                      struct error *error) MUST_CHECK;

/* Sorts the headers of one series from feet to head, drops localizers and duplicates (count changes) and
 * fills *series with what is common and the notes. */
void lung_headers_judge(struct lung_header *headers, size_t *count, struct lung_series *series);

#endif
