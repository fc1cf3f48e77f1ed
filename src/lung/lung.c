/* The order of the steps; each step is a file of its own (lung_grid.h names them). */
#include "lung/lung.h"

#include <assert.h>
#include <math.h>
#include <unistd.h>

#include "lung/lung_grid.h"

enum {
    THREADS_MAX_DEFAULT = 4,
    NOISE_LIMIT_HU = 40,
    HIGH_MEAN_HU = -700,
    SMALL_LUNG_ML = 1500,
    NO_LUNG_ML = 200,
    ASYMMETRY_PERCENT = 40, /* the smaller lung lacks so much of the larger */
    BASE_HEIGHT_MM = 35,    /* one lung ends so much higher than the other */
    RANGE_MM2 = 200,        /* lung cut by the first or the last slice */
    NOISE_STEP = 5,         /* every fifth cell is looked at */
    NOISE_BINS = 400
};

/* ---- noise: differences of voxels two apart in soft tissue that is even ---- */

static bool is_even_tissue(const struct lung_grid *grid, int x, int y, int z)
{
    static const int8_t steps[5][3] = { { 0, 0, 0 }, { -1, 0, 0 }, { 1, 0, 0 }, { 0, -1, 0 }, { 0, 1, 0 } };
    for (int i = 0; i < 5; i++) {
        int16_t hu = grid->hu[lung_cell(grid->size, x + steps[i][0], y + steps[i][1], z)];
        if (hu < 0 || hu > 100) {
            return false;
        }
    }
    return true;
}

static double measure_noise(const struct lung_grid *grid, const struct lung_volume *volume)
{
    uint32_t differences[NOISE_BINS] = { 0 };
    uint64_t count = 0;
    for (int z = 0; z < grid->size.slices; z += 2) {
        for (int y = 1; y < grid->size.rows - 1; y += 2) {
            for (int x = 1; x < grid->size.columns - 2; x += NOISE_STEP) {
                if (!is_even_tissue(grid, x, y, z)) {
                    continue;
                }
                size_t row = (size_t)y * (size_t)grid->voxels_across;
                size_t slice = (size_t)z * (size_t)grid->voxels_deep;
                const int16_t *hu = volume->hu + (slice * volume->rows + row) * volume->columns +
                                    (size_t)x * (size_t)grid->voxels_across;
                int difference = hu[0] > hu[2] ? hu[0] - hu[2] : hu[2] - hu[0];
                differences[difference < NOISE_BINS ? difference : NOISE_BINS - 1]++;
                count++;
            }
        }
    }
    uint64_t below = 0;
    for (int i = 0; i < NOISE_BINS; i++) {
        uint64_t here = differences[i];
        if (here > 0 && 2 * (below + here) >= count) {
            double median = i + ((double)count / 2 - (double)below) / (double)here - 0.5;
            return median / (0.6745 * sqrt(2)); /* median of |a - b| of normal noise */
        }
        below += here;
    }
    return 0;
}

/* ---- notes from the result ---- */

static double slice_area_mm2(const struct lung_volume *volume, const uint8_t *labels, size_t slice)
{
    size_t plane = volume->columns * volume->rows;
    size_t count = 0;
    for (size_t i = 0; i < plane; i++) {
        uint8_t label = labels[slice * plane + i];
        count += label >= LUNG_LABEL_RIGHT && label < LUNG_LABEL_AIRWAY;
    }
    return (double)count * volume->column_mm * volume->row_mm;
}

static void add_notes(const struct lung_volume *volume, const uint8_t *labels, struct lung_result *result)
{
    const struct lung_amounts *both = &result->regions[LUNG_BOTH];
    if (both->volume_ml < NO_LUNG_ML) {
        lung_notes_add(&result->notes, LUNG_UNFIT_NO_LUNG, both->volume_ml);
        return;
    }
    double right_ml = result->regions[LUNG_RIGHT].volume_ml;
    double left_ml = result->regions[LUNG_LEFT].volume_ml;
    double larger = right_ml > left_ml ? right_ml : left_ml;
    double lack = 100 * fabs(right_ml - left_ml) / larger;
    double bottom_mm2 = slice_area_mm2(volume, labels, 0);
    double top_mm2 = slice_area_mm2(volume, labels, volume->slices - 1);
    double cut_mm2 = bottom_mm2 > top_mm2 ? bottom_mm2 : top_mm2;
    double excluded = result->excluded_dense_right_ml + result->excluded_dense_left_ml;
    if (cut_mm2 > RANGE_MM2) {
        lung_notes_add(&result->notes, LUNG_WARN_RANGE_INCOMPLETE, cut_mm2);
    }
    if (both->mean_hu > HIGH_MEAN_HU) {
        lung_notes_add(&result->notes, LUNG_WARN_HIGH_MEAN, both->mean_hu);
    }
    if (both->volume_ml < SMALL_LUNG_ML) {
        lung_notes_add(&result->notes, LUNG_WARN_SMALL_LUNG, both->volume_ml);
    }
    if (lack > ASYMMETRY_PERCENT) {
        lung_notes_add(&result->notes, LUNG_WARN_ASYMMETRY, lack);
    }
    double step = fabs((double)result->lowest[0] - (double)result->lowest[1]) * volume->slice_mm;
    if (step > BASE_HEIGHT_MM && right_ml > 0 && left_ml > 0) {
        lung_notes_add(&result->notes, LUNG_WARN_BASE_HEIGHT, step);
    }
    if (excluded > 0) {
        lung_notes_add(&result->notes, LUNG_WARN_EXCLUDED_DENSE, excluded);
    }
    if (result->noise_hu > NOISE_LIMIT_HU) {
        lung_notes_add(&result->notes, LUNG_WARN_NOISE, result->noise_hu);
    }
}

/* ---- the steps ---- */

unsigned lung_threads(const struct lung_options *options)
{
    if (options != NULL && options->threads > 0) {
        return options->threads < LUNG_THREADS_MAX ? options->threads : LUNG_THREADS_MAX;
    }
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    return cores < 1 ? 1 : cores > THREADS_MAX_DEFAULT ? THREADS_MAX_DEFAULT : (unsigned)cores;
}

static void report(const struct lung_options *options, unsigned percent)
{
    if (options != NULL && options->progress != NULL) {
        options->progress(options->context, percent);
    }
}

static bool is_measurable(const struct lung_volume *volume, struct lung_notes_list *notes)
{
    bool geometry = volume->column_mm > 0.1 && volume->column_mm < 10 && volume->row_mm > 0.1 &&
                    volume->row_mm < 10 && volume->slice_mm > 0.1 && volume->slice_mm < 20;
    bool size = volume->columns >= 32 && volume->rows >= 32;
    if (!geometry || !size) {
        lung_notes_add(notes, LUNG_UNFIT_GEOMETRY, 0);
    }
    if (volume->columns > LUNG_COLUMNS_MAX || volume->rows > LUNG_COLUMNS_MAX ||
        volume->slices > LUNG_SLICES_MAX ||
        volume->columns * volume->rows * volume->slices > (size_t)LUNG_VOXELS_MAX) {
        lung_notes_add(notes, LUNG_UNFIT_TOO_LARGE, 0);
    }
    if (volume->slices < LUNG_SLICES_MIN) {
        lung_notes_add(notes, LUNG_UNFIT_TOO_FEW_SLICES, (double)volume->slices);
    }
    return !lung_notes_unfit(notes);
}

bool lung_measure_volume(const struct lung_volume *volume, const struct lung_options *options,
                         uint8_t *labels, struct lung_result *result, struct error *error)
{
    assert(volume != NULL && volume->hu != NULL);
    assert(labels != NULL);
    struct arena arena = { .bytes_max = (size_t)1 << 30 };
    struct lung_grid grid = { .threads = lung_threads(options), .arena = &arena };
    *result = (struct lung_result){ .notes = result->notes };
    bool airway_found = false;
    bool joined = false;
    bool ok = true;
    if (!is_measurable(volume, &result->notes)) {
        goto done;
    }
    ok = false;
    if (!lung_grid_build(&grid, volume, error) || !lung_grid_find_body(&grid, error)) {
        goto done;
    }
    report(options, 20);
    lung_grid_find_midline(&grid);
    if (!lung_airway_find(&grid, &airway_found, error) || !lung_sides_find(&grid, &joined, error)) {
        goto done;
    }
    report(options, 40);
    if (!lung_sides_close(&grid, error) || !lung_pleura_fill(&grid, error)) {
        goto done;
    }
    report(options, 60);
    if (!lung_pleura_mark_excluded(&grid, error) || !lung_vessels_open(&grid, error)) {
        goto done;
    }
    report(options, 75);
    if (!lung_classify(&grid, volume, labels, result, error)) {
        goto done;
    }
    result->noise_hu = measure_noise(&grid, volume);
    if (!airway_found) {
        lung_notes_add(&result->notes, LUNG_WARN_AIRWAY_NOT_FOUND, 0);
    }
    if (joined) {
        lung_notes_add(&result->notes, LUNG_WARN_SIDES_JOINED, 0);
    }
    add_notes(volume, labels, result);
    report(options, 100);
    ok = true;
done:
    arena_deinit(&arena);
    return ok;
}
