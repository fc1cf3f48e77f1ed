#include "lung/lung_headers.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    HEADER_BYTES =
        64 * 1024, /* enough for the header of nearly any CT slice; else the whole instance is read */
    HEADER_ARENA_BYTES = 96 * 1024 * 1024
};

static const double SAME_PLACE_MM = 0.05;
static const double THICK_MM = 3;
static const double TILT_DEGREES = 1;

/* ---- bytes ---- */

bool lung_source_read(struct arena *arena, const struct lung_source *source, size_t bytes_max, bool whole,
                      struct str *out, struct error *error)
{
    bool ok = false;
    int file = open(source->path, O_RDONLY | O_CLOEXEC);
    struct stat status;
    if (file < 0 || fstat(file, &status) != 0 || !S_ISREG(status.st_mode)) {
        (void)FAIL_OS(error, ERROR_NOT_FOUND, "an image file cannot be opened");
        goto done;
    }
    uint64_t size = status.st_size < 0 ? 0 : (uint64_t)status.st_size;
    uint64_t rest = source->offset > size ? 0 : size - source->offset;
    uint64_t length = source->length == 0 || source->length > rest ? rest : source->length;
    if (whole && length > bytes_max) {
        (void)FAIL(error, ERROR_TOO_LARGE, "an image is larger than %zu bytes", bytes_max);
        goto done;
    }
    size_t wanted = length > bytes_max ? bytes_max : (size_t)length;
    char *bytes = arena_alloc(arena, wanted + 1);
    if (bytes == NULL) {
        (void)FAIL(error, ERROR_TOO_LARGE, "no memory to read an image");
        goto done;
    }
    size_t got = 0;
    while (got < wanted) {
        ssize_t now = pread(file, bytes + got, wanted - got, (off_t)(source->offset + got));
        if (now <= 0 && !(now < 0 && errno == EINTR)) {
            (void)FAIL_OS(error, ERROR_STRUCTURE, "an image file ends early");
            goto done;
        }
        got += now > 0 ? (size_t)now : 0;
    }
    *out = (struct str){ bytes, got };
    ok = true;
done:
    if (file >= 0) {
        (void)close(file);
    }
    return ok;
}

/* ---- one header ---- */

static void copy_text(char *out, size_t size, struct str text)
{
    size_t len = text.len < size - 1 ? text.len : size - 1;
    while (len > 0 && len < text.len && ((unsigned char)text.at[len] & 0xc0) == 0x80) {
        len--; /* no half character at the end */
    }
    memcpy(out, text.at == NULL ? "" : text.at, len);
    out[len] = '\0';
}

static bool has_contrast(struct arena *arena, const struct dicom_dataset *dataset)
{
    struct str agent = str_trim(dicom_text(arena, dataset, TAG_CONTRAST_AGENT));
    return agent.len > 0 && !str_equal_ignore_case(agent, STR("NONE")) &&
           !str_equal_ignore_case(agent, STR("NO"));
}

static void header_fill(struct arena *arena, const struct dicom_dataset *dataset, struct lung_header *header)
{
    struct lung_series *series = &header->series;
    uint16_t rows = 0;
    uint16_t columns = 0;
    double frames = 1;
    double number = 0;
    struct str type = dicom_text(arena, dataset, TAG_IMAGE_TYPE);
    copy_text(header->uid, sizeof header->uid, dicom_uid(dataset, TAG_SOP_INSTANCE_UID));
    copy_text(series->study_uid, sizeof series->study_uid, dicom_uid(dataset, TAG_STUDY_INSTANCE_UID));
    copy_text(series->series_uid, sizeof series->series_uid, dicom_uid(dataset, TAG_SERIES_INSTANCE_UID));
    copy_text(series->kernel, sizeof series->kernel,
              dicom_value_at(dicom_text(arena, dataset, TAG_CONVOLUTION_KERNEL), 0));
    copy_text(series->manufacturer, sizeof series->manufacturer,
              dicom_text(arena, dataset, TAG_MANUFACTURER));
    copy_text(series->description, sizeof series->description,
              dicom_text(arena, dataset, TAG_SERIES_DESCRIPTION));
    header->is_ct = str_equal(str_trim(dicom_text(arena, dataset, TAG_MODALITY)), STR("CT"));
    /* PS3.3 C.8.2.1.1.1: value 3 of Image Type */
    header->is_localizer = str_equal(str_trim(dicom_value_at(type, 2)), STR("LOCALIZER"));
    header->has_contrast = has_contrast(arena, dataset);
    header->has_geometry = dicom_numbers(dataset, TAG_IMAGE_POSITION, header->position, 3) == 3 &&
                           dicom_numbers(dataset, TAG_IMAGE_ORIENTATION, header->orientation, 6) == 6 &&
                           dicom_numbers(dataset, TAG_PIXEL_SPACING, series->pixel_mm, 2) == 2 &&
                           dicom_us(dataset, TAG_ROWS, &rows) && dicom_us(dataset, TAG_COLUMNS, &columns);
    (void)dicom_number(dataset, TAG_SLICE_THICKNESS, &series->thickness_mm);
    (void)dicom_number(dataset, TAG_GANTRY_TILT, &header->tilt_degrees);
    (void)dicom_number(dataset, TAG_NUMBER_OF_FRAMES, &frames);
    (void)dicom_number(dataset, TAG_INSTANCE_NUMBER, &number);
    header->number = number >= 1 && number <= INT32_MAX ? (int64_t)number : 0;
    header->frames_count = frames >= 1 && frames <= 1e6 ? (uint32_t)frames : 1;
    series->rows = rows;
    series->columns = columns;
}

bool lung_header_read(const struct lung_source *source, struct lung_header *header, struct error *error)
{
    const struct dicom_read_options options = { .stop_at_pixels = true };
    struct arena arena = { .bytes_max = HEADER_ARENA_BYTES };
    const struct dicom_syntax *syntax =
        source->syntax != NULL ? dicom_syntax_find(str_from_cstr(source->syntax)) : NULL;
    struct dicom_file file = { 0 };
    bool ok = false;
    for (int attempt = 0; attempt < 2 && !ok; attempt++) {
        struct str bytes;
        size_t bytes_max = attempt == 0 ? HEADER_BYTES : LUNG_INSTANCE_BYTES_MAX;
        if (!lung_source_read(&arena, source, bytes_max, false, &bytes, error)) {
            break;
        }
        ok = syntax != NULL ? dicom_read_dataset(&arena, bytes, syntax, &options, &file.dataset, error)
                            : dicom_read_file(&arena, bytes, &options, &file, error);
    }
    if (ok) {
        header_fill(&arena, &file.dataset, header);
        ok = header->uid[0] != '\0' && header->series.series_uid[0] != '\0';
        if (!ok) {
            (void)FAIL(error, ERROR_STRUCTURE, "an instance lacks its UIDs");
        }
    }
    arena_deinit(&arena);
    return ok;
}

/* ---- kernels ---- */

bool lung_kernel_is_sharp(const char *manufacturer, const char *kernel)
{
    static const char *const words[] = {
        "LUNG", "BONE", "EDGE", "SHARP", "ULTRA", "DETAIL", "HRCT", "HIGHRES"
    };
    char upper[LUNG_TEXT_BYTES];
    size_t len = 0;
    for (; len < sizeof upper - 1 && kernel[len] != '\0'; len++) {
        upper[len] = (char)toupper((unsigned char)kernel[len]);
    }
    upper[len] = '\0';
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strstr(upper, words[i]) != NULL) {
            return true;
        }
    }
    size_t digits = strcspn(upper, "0123456789");
    unsigned number = 0;
    for (size_t i = digits; i < len && upper[i] >= '0' && upper[i] <= '9' && number < 1000; i++) {
        number = number * 10 + (unsigned)(upper[i] - '0');
    }
    if (strncmp(upper, "FC", 2) == 0) { /* Canon, Toshiba: FC5x lung, FC3x and FC8x bone */
        return (number >= 30 && number < 40) || (number >= 50 && number < 60) || number >= 80;
    }
    if (digits >= 1 && digits <= 2 &&
        strchr("BHIJUQT", upper[0]) != NULL) { /* Siemens: B31f … B80f, Br40, Bl57 */
        return number >= 55;
    }
    /* Philips: A, B smooth and standard; C, D, E, L and the Y family sharper */
    return strncmp(manufacturer, "Philips", 7) == 0 && len <= 2 && strchr("DELY", upper[0]) != NULL &&
           len > 0;
}

/* ---- judging a series ---- */

static void normal_of(const double o[6], double normal[3])
{
    normal[0] = o[1] * o[5] - o[2] * o[4];
    normal[1] = o[2] * o[3] - o[0] * o[5];
    normal[2] = o[0] * o[4] - o[1] * o[3];
    if (normal[2] < 0) { /* from feet to head, however the rows run */
        for (int i = 0; i < 3; i++) {
            normal[i] = -normal[i];
        }
    }
}

static double dot(const double a[3], const double b[3])
{
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

static int compare_along(const void *a, const void *b)
{
    const struct lung_header *first = a;
    const struct lung_header *second = b;
    if (first->along < second->along || first->along > second->along) {
        return first->along < second->along ? -1 : 1;
    }
    return strcmp(first->uid, second->uid);
}

static int compare_double(const void *a, const void *b)
{
    const double *first = a;
    const double *second = b;
    return *first < *second ? -1 : *first > *second ? 1 : 0;
}

/* Whether two instances may lie in one volume: size, spacing, direction, kernel, thickness. */
static bool is_alike(const struct lung_header *a, const struct lung_header *b)
{
    bool alike = a->series.rows == b->series.rows && a->series.columns == b->series.columns &&
                 strcmp(a->series.kernel, b->series.kernel) == 0 &&
                 fabs(a->series.thickness_mm - b->series.thickness_mm) < 0.01;
    for (int i = 0; i < 2; i++) {
        alike = alike && fabs(a->series.pixel_mm[i] - b->series.pixel_mm[i]) < 1e-4;
    }
    for (int i = 0; i < 6; i++) {
        alike = alike && fabs(a->orientation[i] - b->orientation[i]) < 1e-3;
    }
    return alike;
}

static size_t drop_localizers(struct lung_header *headers, size_t count)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (!headers[i].is_localizer) {
            headers[kept++] = headers[i];
        }
    }
    return kept;
}

static size_t drop_duplicates(struct lung_header *headers, size_t count, struct lung_series *series)
{
    size_t kept = 0;
    size_t mixed = 0;
    for (size_t i = 0; i < count; i++) {
        bool same_place = kept > 0 && fabs(headers[i].along - headers[kept - 1].along) < SAME_PLACE_MM;
        if (!same_place) {
            headers[kept++] = headers[i];
        } else if (strcmp(headers[i].uid, headers[kept - 1].uid) != 0) {
            mixed++; /* another image of the same place: a second reconstruction or acquisition */
        }
    }
    if (mixed > 0) {
        lung_notes_add(&series->notes, LUNG_UNFIT_MIXED_SERIES, (double)mixed);
    }
    if (count - kept - mixed > 0) {
        lung_notes_add(&series->notes, LUNG_WARN_DUPLICATE_SLICES, (double)(count - kept - mixed));
    }
    return kept;
}

/* Distances of neighbours: gaps, unevenness, two interleaved sets. `steps` has room for count - 1. */
static void judge_spacing(const struct lung_header *headers, size_t count, double *steps,
                          struct lung_series *series)
{
    for (size_t i = 0; i + 1 < count; i++) {
        steps[i] = headers[i + 1].along - headers[i].along;
    }
    qsort(steps, count - 1, sizeof *steps, compare_double);
    double median = steps[(count - 1) / 2];
    size_t odd = 0;
    double missing = 0;
    double deviation = 0;
    for (size_t i = 0; i + 1 < count; i++) {
        double off = fabs(steps[i] - median);
        odd += off > 0.2 * median;
        missing += steps[i] > 1.5 * median ? round(steps[i] / median) - 1 : 0;
        deviation = off > deviation ? off : deviation;
    }
    series->spacing_mm = median;
    if (odd * 5 > count) {
        lung_notes_add(&series->notes, LUNG_UNFIT_MIXED_SERIES, (double)odd);
    } else if (missing > 0) {
        lung_notes_add(&series->notes, LUNG_UNFIT_MISSING_SLICES, missing);
    } else {
        series->spacing_mm = (headers[count - 1].along - headers[0].along) / (double)(count - 1);
        if (deviation > 0.1 * median && deviation > 0.05) {
            lung_notes_add(&series->notes, LUNG_WARN_UNEVEN_SPACING, deviation);
        }
    }
}

/* The line through the slices' corners: its lean against the normal is a tilt; a jump off it is a second set. */
static void judge_line(const struct lung_header *headers, size_t count, const double normal[3],
                       struct lung_series *series)
{
    const struct lung_header *first = &headers[0];
    const struct lung_header *last = &headers[count - 1];
    double length = last->along - first->along;
    double lean[3];
    for (int i = 0; i < 3; i++) {
        lean[i] = (last->position[i] - first->position[i]) / length - normal[i];
    }
    double lean_degrees = atan(sqrt(dot(lean, lean))) * 180 / 3.14159265358979;
    double axis_degrees = acos(normal[2] > 1 ? 1 : normal[2]) * 180 / 3.14159265358979;
    double tilt = fabs(first->tilt_degrees);
    tilt = lean_degrees > tilt ? lean_degrees : tilt;
    tilt = axis_degrees > tilt ? axis_degrees : tilt;
    if (tilt > TILT_DEGREES) {
        lung_notes_add(&series->notes, LUNG_WARN_TILT, tilt);
    }
    size_t off_line = 0;
    for (size_t i = 0; i < count; i++) {
        double t = headers[i].along - first->along;
        double off2 = 0;
        for (int k = 0; k < 3; k++) {
            double off = headers[i].position[k] - first->position[k] - t * (normal[k] + lean[k]);
            off2 += off * off;
        }
        off_line += off2 > 4; /* 2 mm */
    }
    if (off_line > 0) {
        lung_notes_add(&series->notes, LUNG_UNFIT_MIXED_SERIES, (double)off_line);
    }
}

static void judge_kind(const struct lung_header *first, struct lung_series *series)
{
    double thickness = series->thickness_mm > series->spacing_mm ? series->thickness_mm : series->spacing_mm;
    if (thickness > THICK_MM) {
        lung_notes_add(&series->notes, LUNG_WARN_THICK_SLICES, thickness);
    }
    if (lung_kernel_is_sharp(series->manufacturer, series->kernel)) {
        lung_notes_add(&series->notes, LUNG_WARN_SHARP_KERNEL, 0);
    }
    if (first->has_contrast) {
        lung_notes_add(&series->notes, LUNG_WARN_CONTRAST, 0);
    }
}

/* False when the instances cannot even be sorted. */
static bool judge_geometry(struct lung_header *headers, size_t count, struct lung_series *series)
{
    size_t unlike = 0;
    for (size_t i = 0; i < count; i++) {
        if (!headers[i].is_ct) {
            lung_notes_add(&series->notes, LUNG_UNFIT_NOT_CT, 0);
        }
        if (!headers[i].has_geometry || headers[i].frames_count != 1) {
            lung_notes_add(&series->notes, LUNG_UNFIT_GEOMETRY, 0);
            return false;
        }
        unlike += !is_alike(&headers[i], &headers[0]);
    }
    if (unlike > 0) {
        lung_notes_add(&series->notes, LUNG_UNFIT_MIXED_SERIES,
                       (double)(unlike < count - unlike ? unlike : count - unlike));
    }
    double normal[3];
    normal_of(headers[0].orientation, normal);
    series->left_at_high_columns = headers[0].orientation[0] > 0;
    if (normal[2] < 0.85 || fabs(headers[0].orientation[0]) < 0.85) {
        lung_notes_add(&series->notes, LUNG_UNFIT_NOT_AXIAL, 0);
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        headers[i].along = dot(headers[i].position, normal);
    }
    return true;
}

void lung_headers_judge(struct lung_header *headers, size_t *count, struct lung_series *series)
{
    assert(*count > 0);
    *series = headers[0].series;
    series->notes = (struct lung_notes_list){ 0 };
    size_t kept = drop_localizers(headers, *count);
    if (kept == 0) {
        lung_notes_add(&series->notes, LUNG_UNFIT_NOT_AXIAL, 0);
        return;
    }
    *series = headers[0].series;
    *count = kept;
    series->instances = kept;
    if (!judge_geometry(headers, kept, series)) {
        return;
    }
    qsort(headers, kept, sizeof *headers, compare_along);
    kept = drop_duplicates(headers, kept, series);
    *count = kept;
    series->instances = kept;
    if (kept < LUNG_SLICES_MIN) {
        lung_notes_add(&series->notes, LUNG_UNFIT_TOO_FEW_SLICES, (double)kept);
        return;
    }
    struct arena arena = { .bytes_max = 1 << 24 };
    double *steps = ARENA_ARRAY(&arena, double, kept);
    if (steps == NULL) {
        lung_notes_add(&series->notes, LUNG_UNFIT_TOO_LARGE, 0);
        return;
    }
    double normal[3];
    normal_of(headers[0].orientation, normal);
    judge_spacing(headers, kept, steps, series);
    judge_line(headers, kept, normal, series);
    judge_kind(&headers[0], series);
    arena_deinit(&arena);
}
