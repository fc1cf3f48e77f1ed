/* phantom_file.h — writes one phantom slice as a DICOM file (PS3.10, explicit VR little endian, CT Image
 * Storage). Only for scenarios and tests: names are invented, UIDs come from the seed. */
#ifndef SHANHAI_SCENARIOS_PHANTOM_FILE_H
#define SHANHAI_SCENARIOS_PHANTOM_FILE_H

#include "base/buf.h"
#include "phantom_model.h"

struct phantom_series {
    const char *patient_name; /* UTF-8 */
    const char *patient_id;
    const char *patient_sex;
    const char *patient_birth; /* YYYYMMDD */
    const char *study_date;    /* YYYYMMDD */
    const char *accession;
    const char *kernel;
    const char *description;
    unsigned number;
    double thickness_mm;
    double intercept;
    bool is_signed;
    bool padding; /* -2000 stored outside the scanner's circle, and the tag that says so */
    bool prone;   /* columns and rows run the other way, and the orientation says so */
    bool contrast;
};

/* UID below 2.25 from the seed and what it names. */
void phantom_uid(char out[65], uint64_t seed, unsigned kind, uint64_t number);

/* The file's bytes into `buf` (cleared first). `hu` is changed where padding is asked for. `series_key` and
 * `instance` only make UIDs and the instance number. */
void phantom_file_write(const struct phantom *phantom, const struct phantom_series *series, size_t slice,
                        unsigned series_key, unsigned instance, int16_t *hu, struct buf *buf);

#endif
