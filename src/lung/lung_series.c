#include "lung/lung_series.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/buf.h"
#include "lung/lung_grid.h"
#include "lung/lung_headers.h"

enum {
    VOLUME_VOXELS =
        512 * 512 * 420, /* larger series: neighbours are averaged, to stay in the worker's memory */
    SLICE_ARENA_BYTES = 160 * 1024 * 1024,
    SIDE_MAX = LUNG_COLUMNS_MAX
};

static const double GAP_MM_MAX = 10; /* between whole slices: a lobe's lesion must not vanish in it */

/* ---- headers of all sources ---- */

struct headers {
    const struct lung_source *sources;
    struct lung_header *items;
    bool *readable;
};

static void read_header(void *context, size_t index)
{
    struct headers *headers = context;
    struct error ignored = { 0 };
    headers->items[index].source = index;
    headers->readable[index] = lung_header_read(&headers->sources[index], &headers->items[index], &ignored);
}

static int compare_series(const void *a, const void *b)
{
    const struct lung_header *first = a;
    const struct lung_header *second = b;
    int order = strcmp(first->series.series_uid, second->series.series_uid);
    return order != 0 ? order : first->source < second->source ? -1 : first->source > second->source;
}

/* ---- choice ---- */

/* Thin and soft is best; a healthy score is above 1000, an unfit series below. */
static double series_score(const struct lung_series *series)
{
    double covered_mm = series->spacing_mm * (double)series->instances;
    double score = lung_notes_unfit(&series->notes) ? 0 : 1000;
    score += lung_notes_has(&series->notes, LUNG_WARN_SHARP_KERNEL) ? 0 : 100;
    score += series->thickness_mm <= 1.5 ? 40 : series->thickness_mm <= 3 ? 30 : 0;
    score += covered_mm > 240 ? 240 : covered_mm;
    score -= lung_notes_has(&series->notes, LUNG_WARN_CONTRAST) ? 20 : 0;
    return score + (double)series->instances / LUNG_SOURCES_MAX;
}

struct choice {
    struct lung_header *headers; /* of the chosen series, sorted */
    size_t count;
};

static bool choose_series(struct lung_ct *ct, struct lung_header *headers, size_t count,
                          struct choice *choice, struct error *error)
{
    qsort(headers, count, sizeof *headers, compare_series);
    size_t series_count = 0;
    for (size_t i = 0; i < count; i++) {
        series_count += i == 0 || strcmp(headers[i].series.series_uid, headers[i - 1].series.series_uid) != 0;
    }
    ct->series_count = series_count;
    ct->others = ARENA_ARRAY(&ct->arena, struct lung_series, series_count);
    if (ct->others == NULL) {
        return FAIL(error, ERROR_TOO_LARGE, "too many series");
    }
    double best = -1;
    size_t others = 0;
    for (size_t from = 0; from < count;) {
        size_t to = from + 1;
        while (to < count && strcmp(headers[to].series.series_uid, headers[from].series.series_uid) == 0) {
            to++;
        }
        struct lung_series series;
        size_t kept = to - from;
        lung_headers_judge(headers + from, &kept, &series);
        double score = series_score(&series);
        if (score > best) {
            if (best >= 0) {
                ct->others[others++] = ct->series;
            }
            best = score;
            ct->series = series;
            *choice = (struct choice){ headers + from, kept };
        } else {
            ct->others[others++] = series;
        }
        from = to;
    }
    if (series_count > 1) {
        lung_notes_add(&ct->series.notes, LUNG_WARN_OTHER_SERIES, (double)(series_count - 1));
    }
    return true;
}

/* ---- pixels ---- */

struct decode {
    const struct lung_source *sources;
    const struct choice *choice;
    struct lung_ct *ct;
    bool *damaged;            /* by instance, from feet to head */
    struct error first_error; /* of the first damaged one that was found */
    atomic_flag has_error;
};

static bool decode_instance(const struct lung_source *source, const struct lung_volume *volume, int16_t *hu,
                            struct error *error)
{
    struct arena arena = { .bytes_max = SLICE_ARENA_BYTES };
    struct dicom_file file = { 0 };
    struct dicom_image image;
    struct str bytes;
    struct str frame;
    bool ok = false;
    if (!lung_source_read(&arena, source, LUNG_INSTANCE_BYTES_MAX, true, &bytes, error)) {
        goto done;
    }
    file.syntax = source->syntax != NULL ? dicom_syntax_find(str_from_cstr(source->syntax)) : NULL;
    bool read = file.syntax != NULL
                    ? dicom_read_dataset(&arena, bytes, file.syntax, NULL, &file.dataset, error)
                    : dicom_read_file(&arena, bytes, NULL, &file, error);
    if (!read || !dicom_image_describe(&file.dataset, file.syntax, &image, error)) {
        goto done;
    }
    if (image.rows != volume->rows || image.columns != volume->columns || image.samples_per_pixel != 1) {
        (void)FAIL(error, ERROR_STRUCTURE, "a slice has another size than the rest of its series");
        goto done;
    }
    size_t frame_bytes = dicom_image_frame_bytes(&image);
    void *samples = arena_alloc(&arena, frame_bytes);
    if (samples == NULL) {
        (void)FAIL(error, ERROR_TOO_LARGE, "no memory to decode a slice");
        goto done;
    }
    if (!dicom_frame_bytes(&arena, &file.dataset, &image, 0, &frame, error) ||
        !dicom_frame_decode(&image, frame, samples, frame_bytes, error)) {
        goto done;
    }
    dicom_frame_modality(&image, samples, LUNG_HU_MIN, hu);
    ok = true;
done:
    arena_deinit(&arena);
    return ok;
}

LUNG_HOT static void clamp_row(int16_t *hu, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int16_t value = hu[i] < LUNG_HU_MIN ? LUNG_HU_MIN : hu[i];
        hu[i] = value > LUNG_HU_MAX ? LUNG_HU_MAX : value;
    }
}

static bool decode_one(struct decode *decode, size_t index, int16_t *hu)
{
    const struct lung_volume *volume = &decode->ct->volume;
    const struct lung_source *source = &decode->sources[decode->choice->headers[index].source];
    struct error error = { 0 };
    if (decode_instance(source, volume, hu, &error)) {
        clamp_row(hu, volume->rows * volume->columns);
        return true;
    }
    decode->damaged[index] = true;
    if (!atomic_flag_test_and_set(&decode->has_error)) {
        decode->first_error = error;
    }
    return false;
}

/* The mean of those instances of a slice that can be decoded. */
static void decode_joined(struct decode *decode, size_t slice, int16_t *out)
{
    const struct lung_volume *volume = &decode->ct->volume;
    size_t plane = volume->rows * volume->columns;
    size_t joined = decode->ct->slices_joined;
    struct arena arena = { .bytes_max = SLICE_ARENA_BYTES };
    int32_t *sums = arena_calloc(&arena, plane, sizeof *sums);
    int32_t whole = 0;
    for (size_t k = 0; k < joined; k++) {
        if (sums == NULL) {
            decode->damaged[slice * joined + k] = true;
        } else if (decode_one(decode, slice * joined + k, out)) {
            whole++;
            for (size_t i = 0; i < plane; i++) {
                sums[i] += out[i];
            }
        }
    }
    for (size_t i = 0; whole > 0 && i < plane; i++) {
        out[i] = (int16_t)(sums[i] / whole);
    }
    arena_deinit(&arena);
}

static void decode_slice(void *context, size_t index)
{
    struct decode *decode = context;
    const struct lung_volume *volume = &decode->ct->volume;
    int16_t *out = volume->hu + index * volume->rows * volume->columns;
    if (decode->ct->slices_joined == 1) {
        (void)decode_one(decode, index, out);
    } else {
        decode_joined(decode, index, out);
    }
}

static bool slice_is_lost(const struct decode *decode, size_t slice)
{
    size_t joined = decode->ct->slices_joined;
    for (size_t k = 0; k < joined; k++) {
        if (!decode->damaged[slice * joined + k]) {
            return false;
        }
    }
    return true;
}

/* A lost slice gets what lies between its nearest whole neighbours; at an end, the neighbour's. */
static void fill_slice(const struct decode *decode, size_t slice)
{
    const struct lung_volume *volume = &decode->ct->volume;
    size_t plane = volume->rows * volume->columns;
    size_t below = slice;
    size_t above = slice;
    while (below > 0 && slice_is_lost(decode, below)) {
        below--;
    }
    while (above + 1 < volume->slices && slice_is_lost(decode, above)) {
        above++;
    }
    below = slice_is_lost(decode, below) ? above : below;
    above = slice_is_lost(decode, above) ? below : above;
    double share = above == below ? 0 : (double)(slice - below) / (double)(above - below);
    const int16_t *low = volume->hu + below * plane;
    const int16_t *high = volume->hu + above * plane;
    int16_t *out = volume->hu + slice * plane;
    for (size_t i = 0; i < plane; i++) {
        out[i] = (int16_t)lround(low[i] + share * (high[i] - low[i]));
    }
}

/* Fills what is damaged and says so. False when there is too much of it: then nothing may be measured. */
static bool mend_damage(const struct decode *decode)
{
    struct lung_ct *ct = decode->ct;
    size_t count = decode->choice->count;
    size_t run = 0;
    size_t longest = 0;
    for (size_t i = 0; i < count; i++) {
        run = decode->damaged[i] ? run + 1 : 0;
        longest = run > longest ? run : longest;
        if (decode->damaged[i]) {
            int64_t number = decode->choice->headers[i].number;
            if (ct->damaged_count < LUNG_DAMAGED_LISTED_MAX) {
                ct->damaged[ct->damaged_count] = number > 0 ? number : (int64_t)i + 1;
            }
            ct->damaged_count++;
        }
    }
    size_t allowed = count / 50 > 0 ? count / 50 : 1;
    bool few = ct->damaged_count <= allowed && (double)(longest + 1) * ct->series.spacing_mm <= GAP_MM_MAX;
    if (ct->damaged_count > 0) {
        lung_notes_add(&ct->series.notes, few ? LUNG_WARN_DAMAGED_SLICES : LUNG_UNFIT_DAMAGED_SLICES,
                       (double)ct->damaged_count);
    }
    for (size_t slice = 0; few && slice < ct->volume.slices; slice++) {
        if (slice_is_lost(decode, slice)) {
            fill_slice(decode, slice);
        }
    }
    return few;
}

static bool decode_volume(struct lung_ct *ct, const struct lung_source *sources, const struct choice *choice,
                          const struct lung_options *options, struct error *error)
{
    const struct lung_series *series = &ct->series;
    size_t plane = series->rows * series->columns;
    size_t joined = (plane * series->instances + VOLUME_VOXELS - 1) / VOLUME_VOXELS;
    ct->slices_joined = joined;
    ct->volume = (struct lung_volume){ .columns = series->columns,
                                       .rows = series->rows,
                                       .slices = series->instances / joined,
                                       .column_mm = series->pixel_mm[1],
                                       .row_mm = series->pixel_mm[0],
                                       .slice_mm = series->spacing_mm * (double)joined,
                                       .left_at_high_columns = series->left_at_high_columns };
    ct->volume.hu = arena_alloc(&ct->arena, plane * ct->volume.slices * sizeof *ct->volume.hu);
    struct decode decode = { .sources = sources, .choice = choice, .ct = ct, .has_error = ATOMIC_FLAG_INIT };
    decode.damaged = arena_calloc(&ct->arena, choice->count, sizeof *decode.damaged);
    if (ct->volume.hu == NULL || decode.damaged == NULL) {
        return FAIL(error, ERROR_TOO_LARGE, "no memory for this CT");
    }
    lung_parallel(lung_threads(options), ct->volume.slices, decode_slice, &decode);
    if (!mend_damage(&decode)) {
        ct->volume.hu = NULL;
    }
    /* Every one fails, or this program cannot read the kind: that is no damage. */
    bool all_failed = ct->damaged_count >= ct->volume.slices * joined;
    if (all_failed || decode.first_error.kind == ERROR_UNSUPPORTED) {
        ct->volume.hu = NULL;
        *error = decode.first_error;
        return false;
    }
    return true;
}

static void check_limits(struct lung_series *series)
{
    if (series->rows > SIDE_MAX || series->columns > SIDE_MAX || series->instances > LUNG_SLICES_MAX) {
        lung_notes_add(&series->notes, LUNG_UNFIT_TOO_LARGE, 0);
    }
    if (series->rows < 32 || series->columns < 32) {
        lung_notes_add(&series->notes, LUNG_UNFIT_GEOMETRY, 0);
    }
}

static bool keep_uids(struct lung_ct *ct, const struct choice *choice, struct error *error)
{
    ct->instance_uids = arena_calloc(&ct->arena, choice->count, sizeof *ct->instance_uids);
    if (ct->instance_uids == NULL) {
        return FAIL(error, ERROR_TOO_LARGE, "no memory for this CT");
    }
    for (size_t i = 0; i < choice->count; i++) {
        memcpy(ct->instance_uids[i], choice->headers[i].uid, sizeof ct->instance_uids[i]);
    }
    return true;
}

bool lung_ct_load(const struct lung_source *sources, size_t count, const struct lung_options *options,
                  struct lung_ct *ct, struct error *error)
{
    *ct = (struct lung_ct){ .arena = { .bytes_max = (size_t)1 << 30 }, .slices_joined = 1 };
    struct arena arena = { .bytes_max = (size_t)1 << 28 };
    bool ok = false;
    if (count > LUNG_SOURCES_MAX) {
        (void)FAIL(error, ERROR_TOO_LARGE, "more than %d images", LUNG_SOURCES_MAX);
        goto done;
    }
    struct headers headers = { .sources = sources,
                               .items = ARENA_ARRAY(&arena, struct lung_header, count),
                               .readable = ARENA_ARRAY(&arena, bool, count) };
    if (headers.items == NULL || headers.readable == NULL) {
        (void)FAIL(error, ERROR_TOO_LARGE, "no memory to read %zu images", count);
        goto done;
    }
    lung_parallel(lung_threads(options), count, read_header, &headers);
    size_t readable = 0;
    for (size_t i = 0; i < count; i++) {
        if (headers.readable[i]) {
            headers.items[readable++] = headers.items[i];
        }
    }
    ct->unreadable_count = count - readable;
    if (readable == 0) {
        (void)FAIL(error, ERROR_STRUCTURE, "no DICOM image can be read");
        goto done;
    }
    struct choice choice = { 0 };
    if (!choose_series(ct, headers.items, readable, &choice, error)) {
        goto done;
    }
    check_limits(&ct->series);
    ok = lung_notes_unfit(&ct->series.notes) ||
         (decode_volume(ct, sources, &choice, options, error) && keep_uids(ct, &choice, error));
done:
    arena_deinit(&arena);
    return ok;
}

void lung_ct_deinit(struct lung_ct *ct)
{
    if (ct != NULL) {
        arena_deinit(&ct->arena);
        *ct = (struct lung_ct){ 0 };
    }
}

/* ---- folders ---- */

static int compare_paths(const void *a, const void *b)
{
    const struct lung_source *first = a;
    const struct lung_source *second = b;
    return strcmp(first->path, second->path);
}

bool lung_sources_of_folder(struct arena *arena, const char *folder, struct lung_source **sources,
                            size_t *count, struct error *error)
{
    bool ok = false;
    struct buf list = { .bytes_max = LUNG_SOURCES_MAX * sizeof(struct lung_source) };
    DIR *directory = opendir(folder);
    if (directory == NULL) {
        (void)FAIL_OS(error, ERROR_NOT_FOUND, "cannot open the folder '%s'", folder);
        goto done;
    }
    for (struct dirent *entry = readdir(directory); entry != NULL; entry = readdir(directory)) {
        if (entry->d_name[0] == '.' || entry->d_type == DT_DIR) {
            continue;
        }
        struct str path = arena_printf(arena, "%s/%s", folder, entry->d_name);
        struct lung_source source = { .path = path.at };
        buf_add(&list, (struct str){ (const char *)&source, sizeof source });
        if (path.at == NULL || list.failed) {
            (void)FAIL(error, ERROR_TOO_LARGE, "more than %d files in '%s'", LUNG_SOURCES_MAX, folder);
            goto done;
        }
    }
    *count = list.len / sizeof(struct lung_source);
    *sources = ARENA_ARRAY(arena, struct lung_source, *count + 1);
    if (*sources == NULL) {
        (void)FAIL(error, ERROR_TOO_LARGE, "no memory to list '%s'", folder);
        goto done;
    }
    memcpy(*sources, buf_str(&list).at, list.len);
    qsort(*sources, *count, sizeof **sources, compare_paths);
    ok = true;
done:
    buf_deinit(&list);
    if (directory != NULL) {
        (void)closedir(directory);
    }
    return ok;
}
