/* lung.h — a chest CT as a volume of Hounsfield units goes in, volumes in millilitres and a labelled mask
 * come out. It is a quantitative measurement by thresholds and shape, never a diagnosis; the method is
 * written down in docs/modules/lung.md and has a version, because a changed method gives changed numbers.
 *
 * Pure computation: no files, no DICOM, no clock. The volume and the result belong to the caller; all
 * memory comes from the arena given. lung_measure_volume starts its own helper threads and joins them
 * before it returns; one call at a time for one volume, any number of volumes at once. */
#ifndef SHANHAI_LUNG_LUNG_H
#define SHANHAI_LUNG_LUNG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"

#define LUNG_METHOD_NAME "shanhai-lung-threshold"
#define LUNG_METHOD_VERSION "1.0.0"

enum {
    LUNG_COLUMNS_MAX = 1024,
    LUNG_SLICES_MAX = 2000,
    LUNG_SLICES_MIN = 20,
    LUNG_VOXELS_MAX = 512 * 512 * 800,
    LUNG_HU_MIN = -1024,
    LUNG_HU_MAX = 3071,
    LUNG_HISTOGRAM_BINS = 130, /* 10 HU each, from LUNG_HU_MIN on; the last holds all above */
    LUNG_HISTOGRAM_STEP_HU = 10,
    LUNG_UID_BYTES = 65,
    LUNG_NOTES_MAX = 32,
    LUNG_THREADS_MAX = 16
};

/* Class of a voxel inside the lung. Bounds: lung_classes[] (version of the method). */
enum lung_class {
    LUNG_CLASS_EMPHYSEMA,     /* below -950 HU */
    LUNG_CLASS_AERATED,       /* -950 .. -700 */
    LUNG_CLASS_GROUND_GLASS,  /* -700 .. -500 */
    LUNG_CLASS_MIXED,         /* -500 .. -200 */
    LUNG_CLASS_CONSOLIDATION, /* -200 .. 60, thicker than a vessel */
    LUNG_CLASS_VESSEL,        /* -200 and up where thin; above 60 everywhere (vessel, calcium, contrast) */
    LUNG_CLASS_EDGE,          /* -700 .. -200 between air and a wall or vessel: partial volume, no opacity */
    LUNG_CLASSES_COUNT
};

struct lung_class_row {
    const char *code; /* stable: code of urn:shanhai:codes:ct-measurement and member name in the JSON */
    const char *name_zh;
    const char *name_en;
    int hu_from; /* inclusive */
    int hu_to;   /* exclusive */
};
extern const struct lung_class_row lung_classes[LUNG_CLASSES_COUNT];

/* Regions measured. The zones are axial thirds of the height that both lungs span together. */
enum lung_region {
    LUNG_RIGHT_UPPER,
    LUNG_RIGHT_MIDDLE,
    LUNG_RIGHT_LOWER,
    LUNG_LEFT_UPPER,
    LUNG_LEFT_MIDDLE,
    LUNG_LEFT_LOWER,
    LUNG_ZONES_COUNT,
    LUNG_RIGHT = LUNG_ZONES_COUNT,
    LUNG_LEFT,
    LUNG_BOTH,
    LUNG_REGIONS_COUNT
};

struct lung_region_row {
    const char *code;
    const char *name_zh;
    const char *name_en;
};
extern const struct lung_region_row lung_regions[LUNG_REGIONS_COUNT];

/* What the doctor must know beside the numbers. Unfit codes come first: with one of them there are no numbers. */
enum lung_note_code {
    LUNG_UNFIT_NOT_CT,
    LUNG_UNFIT_NOT_AXIAL,
    LUNG_UNFIT_TOO_FEW_SLICES,
    LUNG_UNFIT_MISSING_SLICES,
    LUNG_UNFIT_MIXED_SERIES,
    LUNG_UNFIT_GEOMETRY,
    LUNG_UNFIT_TOO_LARGE,
    LUNG_UNFIT_NO_LUNG,
    LUNG_UNFIT_DAMAGED_SLICES,
    LUNG_UNFIT_LAST = LUNG_UNFIT_DAMAGED_SLICES,
    LUNG_WARN_THICK_SLICES,
    LUNG_WARN_SHARP_KERNEL,
    LUNG_WARN_CONTRAST,
    LUNG_WARN_TILT,
    LUNG_WARN_UNEVEN_SPACING,
    LUNG_WARN_DUPLICATE_SLICES,
    LUNG_WARN_RANGE_INCOMPLETE,
    LUNG_WARN_HIGH_MEAN,
    LUNG_WARN_EXCLUDED_DENSE,
    LUNG_WARN_AIRWAY_NOT_FOUND,
    LUNG_WARN_SIDES_JOINED,
    LUNG_WARN_ASYMMETRY,
    LUNG_WARN_BASE_HEIGHT,
    LUNG_WARN_NOISE,
    LUNG_WARN_OTHER_SERIES,
    LUNG_WARN_SMALL_LUNG,
    LUNG_WARN_DAMAGED_SLICES,
    LUNG_NOTES_COUNT
};

struct lung_note_row {
    const char *code;
    const char *text_zh;
    const char *text_en;
    const char *unit; /* of the value; "" when there is none */
};
extern const struct lung_note_row lung_notes[LUNG_NOTES_COUNT];

struct lung_note {
    enum lung_note_code code;
    double value; /* mm, ml, HU or a count, as lung_notes[code].unit says */
};

struct lung_notes_list {
    struct lung_note items[LUNG_NOTES_MAX];
    size_t count;
};

/* Adds a note once; a second one of the same code keeps the larger value. */
void lung_notes_add(struct lung_notes_list *notes, enum lung_note_code code, double value);
bool lung_notes_has(const struct lung_notes_list *notes, enum lung_note_code code);
bool lung_notes_unfit(const struct lung_notes_list *notes);

/* Slices lie from feet (0) to head. Voxel (column, row, slice) is hu[(slice * rows + row) * columns + column]. */
struct lung_volume {
    int16_t *hu; /* clamped to LUNG_HU_MIN .. LUNG_HU_MAX; padding is LUNG_HU_MIN */
    size_t columns;
    size_t rows;
    size_t slices;
    double column_mm; /* distance of neighbouring columns */
    double row_mm;
    double slice_mm;
    bool left_at_high_columns; /* patient's left lies towards growing columns (from the orientation) */
};

/* Amounts of one region. Per cent are of the region's volume; opacity is ground glass + mixed + consolidation. */
struct lung_amounts {
    double volume_ml;
    double class_ml[LUNG_CLASSES_COUNT];
    double opacity_ml;
    double high_opacity_ml; /* consolidation: -200 HU and up without vessels */
    double mean_hu;
    double pd15_hu; /* 15th percentile */
    uint32_t histogram[LUNG_HISTOGRAM_BINS];
};

enum lung_label {
    LUNG_LABEL_OUTSIDE = 0,
    LUNG_LABEL_RIGHT = 1,    /* + enum lung_class */
    LUNG_LABEL_LEFT = 9,     /* + enum lung_class */
    LUNG_LABEL_AIRWAY = 17,  /* trachea and bronchi */
    LUNG_LABEL_EXCLUDED = 18 /* dense region that may be lung and was not counted */
};

struct lung_result {
    struct lung_amounts regions[LUNG_REGIONS_COUNT];
    uint8_t zone_scores[LUNG_ZONES_COUNT]; /* 0: <1 % opacity, 1: to 25, 2: to 50, 3: to 75, 4: above */
    unsigned zone_score_sum;               /* 0-24, "six-zone score": not the 25-point lobar score */
    double excluded_dense_right_ml;
    double excluded_dense_left_ml;
    double airway_ml;
    double noise_hu; /* standard deviation in soft tissue */
    enum lung_region worst_zone;
    size_t key_slice;   /* index of the slice with most opacity in the worst zone */
    size_t lowest[2];   /* lowest slice with over 1 cm2 of lung: right, left */
    size_t slice_first; /* lowest and highest slice that hold lung */
    size_t slice_last;
    struct lung_notes_list notes;
};

/* Progress 0-100 from the calling thread; may be NULL in lung_options. */
struct lung_options {
    unsigned threads; /* 0: as many as there are cores, at most 4 */
    void (*progress)(void *context, unsigned percent);
    void *context;
};

/* Measures. `labels` (enum lung_label, one byte a voxel, same order as hu) is written whole. False only for
 * memory or impossible sizes; a volume that must not be measured gives true with lung_notes_unfit. Notes
 * already in result->notes (from the series) are kept and added to; the rest of *result is overwritten. */
bool lung_measure_volume(const struct lung_volume *volume, const struct lung_options *options,
                         uint8_t *labels, struct lung_result *result, struct error *error) MUST_CHECK;

/* How many threads `options` (may be NULL) ask for on this machine. */
unsigned lung_threads(const struct lung_options *options);

/* Per cent of the region's volume, 0 for an empty region. */
double lung_percent(const struct lung_amounts *amounts, double ml);

#endif
