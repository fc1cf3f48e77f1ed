/* The last look is at every voxel. Cells say where lung is; at the rim of the lung the voxel's own HU decides.
 * A voxel between -700 and -200 HU is opacity only if it is not simply the blurred border between air and a
 * wall or vessel, or a thing thinner than about 3 mm (fissure, small vessel): otherwise every healthy lung has
 * ten per cent of "ground glass" along its borders. */
#include "lung/lung_grid.h"

#include <assert.h>
#include <math.h>

enum {
    STATE_SIDE = 3,  /* LUNG_SIDE_… */
    STATE_WHOLE = 4, /* every voxel belongs to the lung; else only those below LUNG_AIR_HU */
    STATE_THICK = 8,
    STATE_AIRWAY = 16,
    STATE_EXCLUDED = 32,
    HU_BINS = 2048, /* from LUNG_HU_MIN; the last holds all above */
    EDGE_DENSE_HU = -300,
    EDGE_AIR_HU = -730, /* a little below -700, so that noise does not break faint ground glass */
    VESSEL_HU = 60,     /* mean around a cell: above it, vessel or calcium (noise lifts single voxels) */
    CALCIUM_HU = 150,   /* a single voxel */
    LUMEN_HU = -500,
    EDGE_MM_TENTHS = 16 /* how far the look to both sides goes */
};

struct slice_counts {
    uint32_t hu[HU_BINS];
    uint32_t classes[LUNG_CLASSES_COUNT];
    uint32_t excluded;
    uint32_t airway;
};

struct classify {
    const struct lung_grid *grid;
    const struct lung_volume *volume;
    uint8_t *states;
    uint8_t *labels;
    struct slice_counts *counts; /* [slice][0 right, 1 left] */
    ptrdiff_t steps[3];          /* voxels of a look along each axis, as offset; 0: axis not used */
    int reach[3];                /* … as count of voxels */
};

/* ---- states of cells ---- */

/* Thicker than a vessel and, over the cell and its neighbours in the slice, not brighter than tissue. */
static bool is_dense_lesion(const struct lung_grid *grid, int x, int y, int z)
{
    if ((grid->flags[lung_cell(grid->size, x, y, z)] & LUNG_CELL_THICK) == 0) {
        return false;
    }
    int sum = 0;
    int count = 0;
    for (int dy = -1; dy <= 1; dy++) {
        for (int dx = -1; dx <= 1; dx++) {
            if (x + dx >= 0 && x + dx < grid->size.columns && y + dy >= 0 && y + dy < grid->size.rows) {
                sum += grid->hu[lung_cell(grid->size, x + dx, y + dy, z)];
                count++;
            }
        }
    }
    return sum < VESSEL_HU * count;
}

/* Neighbours that are lung (or airway, or beyond the picture's end in height), of ten: 8 in the slice, 2 above and
 * below. *side gets the side of the first that is lung. Only for cells that do not lie on the slice's border. */
static int count_neighbours(const struct lung_grid *grid, size_t at, int slice, uint8_t *side)
{
    ptrdiff_t row = grid->size.columns;
    ptrdiff_t plane = row * grid->size.rows;
    const ptrdiff_t steps[10] = { -1, 1, -row, row, -row - 1, -row + 1, row - 1, row + 1, -plane, plane };
    int count = 0;
    for (int i = 0; i < 10; i++) {
        if ((i == 8 && slice == 0) || (i == 9 && slice == grid->size.slices - 1)) {
            count += grid->side[at] != 0; /* the picture ends in the lung */
            continue;
        }
        size_t next = (size_t)((ptrdiff_t)at + steps[i]);
        count += grid->side[next] != 0 || (grid->flags[next] & LUNG_CELL_AIRWAY) != 0;
        *side = *side == 0 ? grid->side[next] : *side;
    }
    return count;
}

static uint8_t state_of(const struct lung_grid *grid, int x, int y, int z)
{
    size_t at = lung_cell(grid->size, x, y, z);
    uint8_t flags = grid->flags[at];
    uint8_t side = grid->side[at];
    uint8_t neighbour = 0;
    if ((flags & LUNG_CELL_AIRWAY) != 0) {
        return (uint8_t)(STATE_AIRWAY | lung_side_of_column(grid, x));
    }
    if ((flags & LUNG_CELL_EXCLUDED) != 0 && side == 0) {
        return (uint8_t)(STATE_EXCLUDED | lung_side_of_column(grid, x));
    }
    if ((flags & LUNG_CELL_BODY) == 0) {
        return 0;
    }
    int count = count_neighbours(grid, at, z, &neighbour);
    if (side == 0) {
        return neighbour;
    }
    bool whole = count == 10 || (flags & LUNG_CELL_DENSE) != 0;
    return (uint8_t)(side | (whole ? STATE_WHOLE : 0) | (is_dense_lesion(grid, x, y, z) ? STATE_THICK : 0));
}

/* Whether a row, or one beside it, holds lung or anything else to be labelled. */
static bool is_row_empty(const struct lung_grid *grid, int y, int z)
{
    size_t columns = (size_t)grid->size.columns;
    for (int step = -1; step <= 1; step++) {
        const uint8_t *row = grid->side + lung_cell(grid->size, 0, y + step, z);
        if (memchr(row, LUNG_SIDE_RIGHT, columns) != NULL || memchr(row, LUNG_SIDE_LEFT, columns) != NULL) {
            return false;
        }
        int beside = z + step;
        if (step == 0 || beside < 0 || beside >= grid->size.slices) {
            continue;
        }
        row = grid->side + lung_cell(grid->size, 0, y, beside);
        if (memchr(row, LUNG_SIDE_RIGHT, columns) != NULL || memchr(row, LUNG_SIDE_LEFT, columns) != NULL) {
            return false;
        }
    }
    uint8_t any = 0;
    const uint8_t *flags = grid->flags + lung_cell(grid->size, 0, y, z);
    for (size_t x = 0; x < columns; x++) {
        any |= flags[x];
    }
    return (any & (LUNG_CELL_AIRWAY | LUNG_CELL_EXCLUDED)) == 0;
}

static void state_slice(void *context, size_t index)
{
    struct classify *classify = context;
    const struct lung_grid *grid = classify->grid;
    int z = (int)index;
    memset(classify->states + lung_cell(grid->size, 0, 0, z), 0,
           (size_t)grid->size.columns * (size_t)grid->size.rows);
    for (int y = 1; y < grid->size.rows - 1; y++) {
        uint8_t *states = classify->states + lung_cell(grid->size, 0, y, z);
        bool empty = is_row_empty(grid, y, z);
        for (int x = 1; !empty && x < grid->size.columns - 1; x++) {
            states[x] = state_of(grid, x, y, z);
        }
    }
}

/* ---- voxels ---- */

struct row_view {
    const struct classify *classify;
    const int16_t *hu; /* of the row */
    size_t slice;
    size_t row;
};

static const uint8_t *state_row(const struct classify *classify, size_t row, size_t slice)
{
    const struct lung_grid *grid = classify->grid;
    size_t y = row / (size_t)grid->voxels_across;
    size_t z = slice / (size_t)grid->voxels_deep;
    if (y >= (size_t)grid->size.rows) {
        return NULL;
    }
    z = z < (size_t)grid->size.slices ? z : (size_t)grid->size.slices - 1;
    return classify->states + lung_cell(grid->size, 0, (int)y, (int)z);
}

static bool state_holds(uint8_t state, int hu)
{
    return (state & STATE_SIDE) != 0 && (state & (STATE_AIRWAY | STATE_EXCLUDED)) == 0 &&
           ((state & STATE_WHOLE) != 0 || hu < LUNG_AIR_HU);
}

/* -1 aerated, +1 a wall, a vessel or outside the lung, 0 between. */
static int look(const struct classify *classify, size_t column, size_t row, size_t slice, int hu)
{
    if (hu < EDGE_AIR_HU) {
        const uint8_t *states = state_row(classify, row, slice);
        size_t x = column / (size_t)classify->grid->voxels_across;
        bool inside =
            states != NULL && x < (size_t)classify->grid->size.columns && state_holds(states[x], hu);
        return inside ? -1 : 1;
    }
    return hu >= EDGE_DENSE_HU ? 1 : 0;
}

/* Whether an opacity-valued voxel is only a border or a thin thing; *thin tells which. */
static bool is_edge(const struct row_view *view, size_t column, bool *thin)
{
    const struct classify *classify = view->classify;
    const struct lung_volume *volume = classify->volume;
    const size_t at[3] = { column, view->row, view->slice };
    const size_t end[3] = { volume->columns, volume->rows, volume->slices };
    bool edge = false;
    *thin = false;
    for (int axis = 0; axis < 3; axis++) {
        size_t reach = (size_t)classify->reach[axis];
        if (reach == 0 || at[axis] < reach || at[axis] + reach >= end[axis]) {
            continue;
        }
        size_t low[3] = { at[0], at[1], at[2] };
        size_t high[3] = { at[0], at[1], at[2] };
        low[axis] -= reach;
        high[axis] += reach;
        const int16_t *here = view->hu + column;
        int a = look(classify, low[0], low[1], low[2], here[-classify->steps[axis]]);
        int b = look(classify, high[0], high[1], high[2], here[classify->steps[axis]]);
        edge = edge || a * b < 0;
        *thin = *thin || (a < 0 && b < 0);
    }
    return edge || *thin;
}

static enum lung_class class_of(const struct row_view *view, size_t column, int hu, uint8_t state)
{
    if (hu < -700) {
        return hu < -950 ? LUNG_CLASS_EMPHYSEMA : LUNG_CLASS_AERATED;
    }
    if (hu >= -200) {
        return hu < CALCIUM_HU && (state & STATE_THICK) != 0 ? LUNG_CLASS_CONSOLIDATION : LUNG_CLASS_VESSEL;
    }
    bool thin = false;
    if (is_edge(view, column, &thin)) {
        return LUNG_CLASS_EDGE;
    }
    return hu < -500 ? LUNG_CLASS_GROUND_GLASS : LUNG_CLASS_MIXED;
}

static uint8_t label_voxel(const struct row_view *view, size_t column, uint8_t state,
                           struct slice_counts *counts)
{
    int hu = view->hu[column];
    if ((state & STATE_AIRWAY) != 0) {
        bool lumen = hu < LUMEN_HU;
        counts[0].airway += lumen;
        return lumen ? LUNG_LABEL_AIRWAY : LUNG_LABEL_OUTSIDE;
    }
    int left = (state & STATE_SIDE) == LUNG_SIDE_LEFT;
    if ((state & STATE_EXCLUDED) != 0) {
        counts[left].excluded++;
        return LUNG_LABEL_EXCLUDED;
    }
    if (!state_holds(state, hu)) {
        return LUNG_LABEL_OUTSIDE;
    }
    enum lung_class class = class_of(view, column, hu, state);
    int bin = hu - LUNG_HU_MIN;
    counts[left].hu[bin < HU_BINS ? bin : HU_BINS - 1]++;
    counts[left].classes[class]++;
    return (uint8_t)((left != 0 ? LUNG_LABEL_LEFT : LUNG_LABEL_RIGHT) + (int)class);
}

static void classify_slice(void *context, size_t index)
{
    struct classify *classify = context;
    const struct lung_volume *volume = classify->volume;
    size_t across = (size_t)classify->grid->voxels_across;
    size_t cells = (size_t)classify->grid->size.columns;
    struct slice_counts *counts = classify->counts + 2 * index;
    for (size_t row = 0; row < volume->rows; row++) {
        size_t at = (index * volume->rows + row) * volume->columns;
        uint8_t *labels = classify->labels + at;
        memset(labels, LUNG_LABEL_OUTSIDE, volume->columns);
        const uint8_t *states = state_row(classify, row, index);
        struct row_view view = { classify, volume->hu + at, index, row };
        for (size_t cell = 0; states != NULL && cell < cells; cell++) {
            if (states[cell] == 0) {
                continue;
            }
            for (size_t i = 0; i < across; i++) {
                labels[cell * across + i] = label_voxel(&view, cell * across + i, states[cell], counts);
            }
        }
    }
}

/* ---- sums ---- */

struct sums {
    uint64_t hu[HU_BINS];
    uint64_t classes[LUNG_CLASSES_COUNT];
};

static void sums_add(struct sums *sums, const struct slice_counts *counts)
{
    for (int i = 0; i < HU_BINS; i++) {
        sums->hu[i] += counts->hu[i];
    }
    for (int i = 0; i < LUNG_CLASSES_COUNT; i++) {
        sums->classes[i] += counts->classes[i];
    }
}

static void amounts_from_sums(const struct sums *sums, double voxel_ml, struct lung_amounts *out)
{
    *out = (struct lung_amounts){ 0 };
    uint64_t voxels = 0;
    double hu_sum = 0;
    for (int i = 0; i < HU_BINS; i++) {
        voxels += sums->hu[i];
        hu_sum += (double)sums->hu[i] * (i + LUNG_HU_MIN);
        int bin = i / LUNG_HISTOGRAM_STEP_HU;
        out->histogram[bin < LUNG_HISTOGRAM_BINS ? bin : LUNG_HISTOGRAM_BINS - 1] += (uint32_t)sums->hu[i];
    }
    if (voxels == 0) {
        return;
    }
    for (int i = 0; i < LUNG_CLASSES_COUNT; i++) {
        out->class_ml[i] = (double)sums->classes[i] * voxel_ml;
    }
    out->volume_ml = (double)voxels * voxel_ml;
    out->high_opacity_ml = out->class_ml[LUNG_CLASS_CONSOLIDATION];
    out->opacity_ml =
        out->class_ml[LUNG_CLASS_GROUND_GLASS] + out->class_ml[LUNG_CLASS_MIXED] + out->high_opacity_ml;
    out->mean_hu = hu_sum / (double)voxels;
    double wanted = 0.15 * (double)voxels;
    double below = 0;
    for (int i = 0; i < HU_BINS; i++) {
        double here = (double)sums->hu[i];
        if (here > 0 && below + here >= wanted) {
            out->pd15_hu = i + LUNG_HU_MIN + (wanted - below) / here;
            break;
        }
        below += here;
    }
}

static uint64_t slice_voxels(const struct slice_counts *counts)
{
    uint64_t voxels = 0;
    for (int side = 0; side < 2; side++) {
        for (int i = 0; i < LUNG_CLASSES_COUNT; i++) {
            voxels += counts[side].classes[i];
        }
    }
    return voxels;
}

/* Lowest slice in which one lung covers more than 1 cm²; the number of slices when there is none. */
static size_t lowest_slice(const struct classify *classify, size_t side)
{
    const struct lung_volume *volume = classify->volume;
    double pixel_mm2 = volume->column_mm * volume->row_mm;
    size_t z = 0;
    for (; z < volume->slices; z++) {
        uint32_t voxels = 0;
        for (int i = 0; i < LUNG_CLASSES_COUNT; i++) {
            voxels += classify->counts[2 * z + side].classes[i];
        }
        if (voxels * pixel_mm2 > 100) {
            break;
        }
    }
    return z;
}

static unsigned zone_score(double percent)
{
    return percent < 1 ? 0 : percent <= 25 ? 1 : percent <= 50 ? 2 : percent <= 75 ? 3 : 4;
}

static enum lung_region zone_of(const struct lung_result *result, size_t slice, int side)
{
    size_t height = result->slice_last - result->slice_first + 1;
    size_t third = (slice - result->slice_first) * 3 / height;
    return (enum lung_region)((side == 0 ? LUNG_RIGHT_LOWER : LUNG_LEFT_LOWER) - (int)third);
}

static uint32_t opacity_voxels(const struct slice_counts *counts)
{
    return counts->classes[LUNG_CLASS_GROUND_GLASS] + counts->classes[LUNG_CLASS_MIXED] +
           counts->classes[LUNG_CLASS_CONSOLIDATION];
}

static void find_key_slice(const struct classify *classify, struct lung_result *result)
{
    double worst = -1;
    for (int zone = 0; zone < LUNG_ZONES_COUNT; zone++) {
        const struct lung_amounts *amounts = &result->regions[zone];
        double percent = lung_percent(amounts, amounts->opacity_ml);
        result->zone_scores[zone] = (uint8_t)zone_score(percent);
        result->zone_score_sum += result->zone_scores[zone];
        if (percent > worst) {
            worst = percent;
            result->worst_zone = (enum lung_region)zone;
        }
    }
    uint32_t most = 0;
    int side = result->worst_zone >= LUNG_LEFT_UPPER;
    result->key_slice = (result->slice_first + result->slice_last) / 2;
    for (size_t z = result->slice_first; z <= result->slice_last; z++) {
        uint32_t voxels = opacity_voxels(&classify->counts[2 * z + (size_t)side]);
        if (zone_of(result, z, side) == result->worst_zone && voxels > most) {
            most = voxels;
            result->key_slice = z;
        }
    }
}

static void summarize(const struct classify *classify, struct sums *sums, struct lung_result *result)
{
    const struct lung_volume *volume = classify->volume;
    double voxel_ml = volume->column_mm * volume->row_mm * volume->slice_mm / 1000;
    size_t first = volume->slices;
    size_t last = 0;
    double excluded[2] = { 0 };
    result->airway_ml = 0;
    for (size_t z = 0; z < volume->slices; z++) {
        const struct slice_counts *counts = classify->counts + 2 * z;
        if (slice_voxels(counts) > 0) {
            first = first == volume->slices ? z : first;
            last = z;
        }
        excluded[0] += counts[0].excluded * voxel_ml;
        excluded[1] += counts[1].excluded * voxel_ml;
        result->airway_ml += counts[0].airway * voxel_ml;
    }
    for (size_t side = 0; side < 2; side++) {
        result->lowest[side] = lowest_slice(classify, side);
    }
    result->excluded_dense_right_ml = excluded[0];
    result->excluded_dense_left_ml = excluded[1];
    if (first > last) {
        return; /* no lung: the caller says so */
    }
    result->slice_first = first;
    result->slice_last = last;
    for (size_t z = first; z <= last; z++) {
        for (int side = 0; side < 2; side++) {
            const struct slice_counts *counts = &classify->counts[2 * z + (size_t)side];
            sums_add(&sums[zone_of(result, z, side)], counts);
            sums_add(&sums[side == 0 ? LUNG_RIGHT : LUNG_LEFT], counts);
            sums_add(&sums[LUNG_BOTH], counts);
        }
    }
    for (int region = 0; region < LUNG_REGIONS_COUNT; region++) {
        amounts_from_sums(&sums[region], voxel_ml, &result->regions[region]);
    }
    find_key_slice(classify, result);
}

static int reach_of(double voxel_mm)
{
    int voxels = (int)lrint(EDGE_MM_TENTHS / 10.0 / voxel_mm);
    return voxel_mm > 3 ? 0 : voxels < 1 ? 1 : voxels;
}

bool lung_classify(const struct lung_grid *grid, const struct lung_volume *volume, uint8_t *labels,
                   struct lung_result *result, struct error *error)
{
    assert(volume->columns <= LUNG_COLUMNS_MAX);
    struct arena arena = { .bytes_max = (size_t)1 << 30 };
    struct classify classify = { .grid = grid, .volume = volume, .labels = labels };
    classify.states = arena_alloc(&arena, lung_size_cells(grid->size));
    classify.counts = ARENA_ARRAY(&arena, struct slice_counts, 2 * volume->slices);
    struct sums *sums = ARENA_ARRAY(&arena, struct sums, LUNG_REGIONS_COUNT);
    bool ok = classify.states != NULL && classify.counts != NULL && sums != NULL;
    if (ok) {
        const double mm[3] = { volume->column_mm, volume->row_mm, volume->slice_mm };
        const size_t strides[3] = { 1, volume->columns, volume->columns * volume->rows };
        for (int axis = 0; axis < 3; axis++) {
            classify.reach[axis] = reach_of(mm[axis]);
            classify.steps[axis] = (ptrdiff_t)((size_t)classify.reach[axis] * strides[axis]);
        }
        lung_parallel(grid->threads, (size_t)grid->size.slices, state_slice, &classify);
        lung_parallel(grid->threads, volume->slices, classify_slice, &classify);
        summarize(&classify, sums, result);
    } else {
        (void)FAIL(error, ERROR_TOO_LARGE, "no memory to measure this CT");
    }
    arena_deinit(&arena);
    return ok;
}
