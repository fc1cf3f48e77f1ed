/* lung_series.h — from stored DICOM instances to a volume that may be measured: headers are read, instances
 * sorted into series, each series is judged (lung.h: notes), the best one is chosen, its slices are decoded on
 * all cores. Pixels are decoded here, in this process: call it only in a worker process or on the command line
 * (dicom/pixels.h). Memory belongs to the struct lung_ct; one thread calls, helpers are joined. */
#ifndef SHANHAI_LUNG_LUNG_SERIES_H
#define SHANHAI_LUNG_LUNG_SERIES_H

#include "lung/lung.h"

enum { LUNG_SOURCES_MAX = 20000, LUNG_TEXT_BYTES = 65, LUNG_INSTANCE_BYTES_MAX = 64 * 1024 * 1024 };
enum { LUNG_DAMAGED_LISTED_MAX = 20 };

/* Where the bytes of one instance lie: a Part 10 file or data set at `offset` of the file at `path`. */
struct lung_source {
    const char *path;
    uint64_t offset;
    uint64_t length;    /* 0: to the end of the file */
    const char *syntax; /* transfer syntax UID of a bare data set; NULL or "": the bytes say it */
};

/* What is known of a series from its headers. */
struct lung_series {
    char study_uid[LUNG_UID_BYTES];
    char series_uid[LUNG_UID_BYTES];
    char kernel[LUNG_TEXT_BYTES];
    char manufacturer[LUNG_TEXT_BYTES];
    char description[LUNG_TEXT_BYTES];
    double thickness_mm;
    double spacing_mm;  /* distance of neighbouring slices */
    double pixel_mm[2]; /* between rows, between columns */
    size_t rows;
    size_t columns;
    size_t instances; /* without localizers and duplicates */
    bool left_at_high_columns;
    struct lung_notes_list notes;
};

struct lung_ct {
    struct lung_series series;
    struct lung_volume volume;             /* hu is NULL when the series is unfit */
    size_t slices_joined;                  /* neighbouring instances averaged into one slice, 1 for most */
    char (*instance_uids)[LUNG_UID_BYTES]; /* SOP Instance UIDs from feet to head, series.instances of them */
    size_t series_count;                   /* found among the sources */
    size_t unreadable_count;               /* sources that are no DICOM image */
    size_t damaged_count;                  /* instances of the chosen series whose pixels cannot be decoded */
    int64_t
        damaged[LUNG_DAMAGED_LISTED_MAX]; /* the first of them: Instance Number, else place from the feet */
    struct lung_series *others;           /* the series not chosen, series_count - 1 of them */
    struct arena arena;
};

/* Reads, chooses, decodes. False when nothing could be read or no slice of the chosen series can be decoded;
 * a series that must not be measured is true with lung_notes_unfit(&ct->series.notes). A few damaged slices are told
 * (damaged, LUNG_WARN_DAMAGED_SLICES) and filled from their neighbours. lung_ct_deinit in both cases. */
bool lung_ct_load(const struct lung_source *sources, size_t count, const struct lung_options *options,
                  struct lung_ct *ct, struct error *error) MUST_CHECK;
void lung_ct_deinit(struct lung_ct *ct);

/* Whether a kernel's name means a sharp (edge-enhancing) reconstruction. */
bool lung_kernel_is_sharp(const char *manufacturer, const char *kernel);

/* All DICOM-looking files of a folder, its folders not entered, sorted by name, as sources in the arena. */
bool lung_sources_of_folder(struct arena *arena, const char *folder, struct lung_source **sources,
                            size_t *count, struct error *error) MUST_CHECK;

#endif
